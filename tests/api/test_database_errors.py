"""What a request that failed at the database leaves in the log: which statement it was, and what PostgreSQL said."""

import threading
import time
import uuid

import pytest

from .credentials import ORDERS
from .locks import transaction

ORDER = {"items": [{"name": "Tea", "price": 10, "quantity": 1}]}


def place(shop, answers, key):
    answers.append(shop.post(ORDERS, ORDER, headers={"Idempotency-Key": key}))


def told(platform, answer, event):
    lines = platform.log_lines(answer.headers["X-Request-Id"])
    assert [line["code"] for line in lines if line["event"] == "call_failed"] == ["service_unavailable"], lines
    [line] = [line for line in lines if line["event"] == event]
    return line


def backend_that_waits(platform):
    deadline = time.monotonic() + 20
    while not (rows := platform.postgres.rows("select pid, query from pg_stat_activity where usename = 'store_data' "
                                              "and wait_event_type = 'Lock'")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return rows[0]


def test_a_lock_that_was_not_given_in_time(platform, shop):
    """The row that numbers a store's orders is held by each of them until its commit has reached the disk. One that takes
    its time there costs the others lock_timeout, which is shorter than statement_timeout."""
    answers, key = [], uuid.uuid4().hex
    assert shop.post(ORDERS, ORDER).status_code == 201
    with transaction(platform) as cursor:
        cursor.execute("select from store_data.store_serial where store_id = %s for update", (shop.store_id,))
        place(shop, answers, key)
    assert answers[0].status_code == 503 and answers[0].headers["Retry-After"]
    place(shop, answers, key)
    assert answers[1].status_code == 201                        # nothing was done before
    line = told(platform, answers[0], "statement_failed")
    assert (line["sqlstate"], line["statement"]) == ("55P03", "ORDER_INSERT"), line


@pytest.mark.parametrize("how,sqlstate,event", [("cancelled", "57014", "statement_failed"),
                                                ("terminated", "57P01", "database_lost")])
def test_a_statement_that_was_ended_by_the_server(platform, shop, how, sqlstate, event):
    answers = []
    with transaction(platform) as cursor:
        cursor.execute("lock table store_data.store_order in exclusive mode")
        thread = threading.Thread(target=place, args=(shop, answers, uuid.uuid4().hex))
        thread.start()
        pid, query = backend_that_waits(platform)
        assert query.startswith("/* ORDER_INSERT */ ")
        end = "pg_cancel_backend" if how == "cancelled" else "pg_terminate_backend"
        platform.postgres.rows(f"select {end}(%s)", (pid,))
        thread.join()
    assert answers[0].status_code == 503, answers[0].text
    line = told(platform, answers[0], event)
    assert (line["sqlstate"], line["statement"]) == (sqlstate, "ORDER_INSERT"), line

"""Idempotency keys at the worker (contract K.1, protocols 6): the lock, the look-up, the kept answer, and who may wait."""

import itertools
import time

import pytest

from api.platform import Platform, give
from rpc.gateway import FLAG_AGAIN, FLAG_JSON, REPLY, Answer, FakeGateway

STORE = 71
KEYS = (f"key-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def orders():
    with Platform(gateways=0, services={"store-data": 1}, settings={"SX_WORKERS": "3"}) as platform:
        gateway = FakeGateway(platform, 1, give)
        gateway.platform = platform
        worker = gateway.wait_workers("store-data", 1)[0]
        for store_id in (STORE, STORE + 1):
            made = gateway.ask(worker, "store-data.stores.create",
                               body={"store_id": store_id, "name": "Tea", "email": "tea@example.com"})
            assert not made.is_error, made.value
        yield gateway
        gateway.close()


def order(key, *, note="n", app_id=1, store_id=STORE, customer_id=None):
    body = {"items": [{"name": "Tea", "price": 10, "quantity": 2}], "note": note}
    if customer_id:
        body["customer_id"] = customer_id
    return {"caller": {"audience": 1, "app_id": app_id, "store_id": store_id, "scopes": "write:orders"}, "body": body, "key": key}


def place(orders, *arguments, flags=0, **options):
    return orders.ask(orders.wait_workers("store-data", 1)[0], "store-data.orders.create", flags=flags,
                      **order(*arguments, **options))


def count(orders):
    return orders.platform.postgres.rows("select count(*) from store_data.store_order")[0][0]


def test_the_same_request_is_answered_again_byte_for_byte(orders):
    key, before = next(KEYS), count(orders)
    first = place(orders, key)
    assert first.status == 201 and "Idempotent-Replayed" not in first.headers
    for _ in range(3):
        again = place(orders, key)
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers["Idempotent-Replayed"] == "true"
    assert count(orders) == before + 1


def test_another_request_under_the_key_is_refused(orders):
    key = next(KEYS)
    place(orders, key)
    before = count(orders)
    answer = place(orders, key, note="another")
    assert (answer.status, answer.value["code"]) == (409, "idempotency_conflict")
    assert count(orders) == before


def test_keys_belong_to_app_and_store(orders):
    key, before = next(KEYS), count(orders)
    answers = [place(orders, key), place(orders, key, app_id=2), place(orders, key, store_id=STORE + 1)]
    assert [answer.status for answer in answers] == [201, 201, 201]
    assert count(orders) == before + 3


def test_errors_are_not_kept(orders):
    key, before = next(KEYS), count(orders)
    refused = place(orders, key, customer_id=999999)
    assert 400 <= refused.status < 500
    assert place(orders, key).status == 201
    assert count(orders) == before + 1


def test_a_second_call_is_told_to_come_back_but_a_second_attempt_waits(orders):
    key, before = next(KEYS), count(orders)
    worker = orders.wait_workers("store-data", 1)[0]
    blocker = orders.platform.postgres.connect()
    blocker.autocommit = False
    blocker.cursor().execute("lock table store_data.store_order in access exclusive mode")
    first = orders.request(worker, "store-data.orders.create", **order(key))
    time.sleep(0.2)
    started = time.monotonic()
    second = place(orders, key)
    assert time.monotonic() - started < 0.2
    assert (second.status, second.value["code"], second.headers["Retry-After"]) == (409, "conflict", "1")
    third = orders.request(worker, "store-data.orders.create", flags=FLAG_AGAIN, **order(key))
    time.sleep(0.2)
    assert orders.count(REPLY) == 0
    blocker.rollback()
    blocker.close()
    done = Answer(orders.wait(REPLY, number=first))
    replayed = Answer(orders.wait(REPLY, number=third))
    assert done.status == replayed.status == 201
    assert replayed.body == done.body and replayed.headers["Idempotent-Replayed"] == "true"
    assert count(orders) == before + 1


def test_a_second_attempt_waits_no_longer_than_its_budget(orders):
    key = next(KEYS)
    worker = orders.wait_workers("store-data", 1)[0]
    blocker = orders.platform.postgres.connect()
    blocker.autocommit = False
    blocker.cursor().execute("lock table store_data.store_order in access exclusive mode")
    first = orders.request(worker, "store-data.orders.create", **order(key))
    time.sleep(0.2)
    started = time.monotonic()
    second = orders.ask(worker, "store-data.orders.create", flags=FLAG_AGAIN, budget=500, **order(key))
    assert time.monotonic() - started < 1
    assert second.status in (503, 504)
    blocker.rollback()
    blocker.close()
    assert orders.wait(REPLY, number=first).status == 201


def test_the_hash_decides_what_is_the_same(orders):
    """The gateway tells the hash of the raw request; what it says decides, not the body's form."""
    key, digest = next(KEYS), b"\x07" * 32
    worker = orders.wait_workers("store-data", 1)[0]
    request = {**order(key), "hash": digest}
    first = orders.ask(worker, "store-data.orders.create", **request)
    request["body"]["note"] = "differs, but the hash does not"
    assert orders.ask(worker, "store-data.orders.create", **request).body == first.body
    request["hash"] = b"\x08" * 32
    assert orders.ask(worker, "store-data.orders.create", flags=FLAG_JSON, **request).value["code"] == "idempotency_conflict"


def test_a_key_is_forgotten_after_a_day(orders):
    key, before = next(KEYS), count(orders)
    place(orders, key)
    orders.platform.set_clock(25 * 3600)
    try:
        again = place(orders, key, note="a new day")
        assert again.status == 201 and "Idempotent-Replayed" not in again.headers
        assert count(orders) == before + 2
    finally:
        orders.platform.set_clock(0)


def test_a_key_that_is_too_long_is_refused(orders):
    assert place(orders, "k" * 256).value["errors"][0]["field"] == "Idempotency-Key"

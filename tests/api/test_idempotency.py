"""Idempotency-Key on orders: the same key and the same request is one order, whatever happens on the way (protocols 6)."""

import threading
import time

import pytest

from . import goods
from .client import is_error

ORDERS = "/api/apps/v1/orders"
BODY = '{"items": [{"name": "Tea", "price": 10.50, "quantity": 2}], "note": "ঢাকা"}'
OTHER = '{"items": [{"name": "Tea", "price": 10.50, "quantity": 3}]}'


def place(shop, key, body=BODY, **options):
    return shop.post(ORDERS, body=body, headers={"Idempotency-Key": key}, **options)


def count(shop):
    return goods.run(shop.platform, "select count(*) from store_order where store_id = %s", shop.store_id)[0][0]


def test_the_answer_is_replayed_byte_for_byte(shop):
    first = place(shop, "k")
    assert first.status_code == 201 and "Idempotent-Replayed" not in first.headers
    goods.run(shop.platform, "update store_order set note = 'changed since' where store_id = %s", shop.store_id)
    again = place(shop, "k")
    assert (again.status_code, again.content, again.headers["Idempotent-Replayed"]) == (201, first.content, "true")
    assert count(shop) == 1 and len(goods.events(shop)) == 1


def test_another_request_with_the_same_key_is_a_conflict(shop):
    place(shop, "k")
    is_error(place(shop, "k", OTHER), 409, "idempotency_conflict")
    is_error(place(shop, "k", BODY + " "), 409, "idempotency_conflict")     # the raw body counts
    is_error(shop.post(f"{ORDERS}?a=1", body=BODY, headers={"Idempotency-Key": "k"}), 409, "idempotency_conflict")
    assert count(shop) == 1


def test_keys_belong_to_an_app_and_a_store(owner, shop):
    other_app = owner.open_shop(store_id=shop.store_id)
    other_store = owner.open_shop()
    answers = [place(who, "k") for who in (shop, other_app, other_store)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["data"]["order_id"] for answer in answers}) == 3


def test_errors_are_not_kept(shop):
    is_error(place(shop, "k", '{"items": [{"sku_id": 1, "quantity": 1}], "customer_id": 999999999}'), 404, "not_found")
    is_error(place(shop, "k", "{"), 400, "invalid_json")
    assert place(shop, "k").status_code == 201
    assert place(shop, "").status_code in (201, 400)


@pytest.mark.parametrize("key", ["x" * 255, "💥 with blanks/and?signs", "'; drop table store_order; --"])
def test_any_key_will_do(shop, key):
    headers = {"Idempotency-Key": key.encode().decode("latin-1")}
    answers = [shop.post(ORDERS, body=BODY, headers=headers) for _ in range(2)]
    assert answers[0].status_code in (201, 400) and answers[0].content == answers[1].content or answers[0].status_code == 400
    assert count(shop) == (answers[0].status_code == 201)


def test_a_key_too_long_is_refused(shop):
    is_error(place(shop, "x" * 256), 400, "validation_error")
    assert count(shop) == 0


def test_many_at_once_are_one_order(shop):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(place(shop, "k"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [answer for answer in answers if answer.status_code == 201]
    assert done and len({answer.content for answer in done}) == 1 and count(shop) == 1
    for answer in answers:
        if answer.status_code != 201:
            is_error(answer, 409, "conflict")
            assert answer.headers["Retry-After"] == "1"
    assert place(shop, "k").content == done[0].content


class Held:
    """Holds the store's serial number, so that an order stops just before it is written."""

    def __init__(self, shop):
        goods.order(shop)
        self.connection = shop.platform.postgres.connect()
        self.connection.autocommit = False
        self.cursor = self.connection.cursor()
        self.cursor.execute("set search_path = store_data")
        self.cursor.execute("select from store_serial where store_id = %s for update", (shop.store_id,))

    def wait_for_waiter(self):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            self.cursor.execute("select pg_stat_clear_snapshot(); select pid, application_name from pg_stat_activity where wait_event_type = 'Lock' "
                                "and application_name like 'store-data/%'")
            found = self.cursor.fetchall()
            if found:
                return found[0]
            time.sleep(0.01)
        raise AssertionError("nobody came to wait")

    def release(self):
        self.connection.rollback()
        self.connection.close()


def in_background(function):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function()))
    thread.start()
    return thread, answers


def test_a_second_call_while_the_first_runs(shop):
    held = Held(shop)
    thread, answers = in_background(lambda: place(shop, "k"))
    held.wait_for_waiter()
    started = time.monotonic()
    answer = place(shop, "k")
    body = is_error(answer, 409, "conflict")
    assert answer.headers["Retry-After"] == "1" and body["message"]
    assert time.monotonic() - started < 0.5         # it is told so at once
    held.release()
    thread.join()
    assert answers[0].status_code == 201 and place(shop, "k").content == answers[0].content


def test_a_worker_killed_midway(make_platform):
    """kill -9 of the process that works on the order: the gateway asks another one, which waits for the dead one's lock."""
    from .shop import Owner

    platform = make_platform(services={"auth": 1, "store-data": 2}, settings={"SX_WORKERS": "1"})
    shop = Owner(platform).open_shop()
    for turn in range(5):
        held, before = Held(shop), count(shop)
        thread, answers = in_background(lambda key=f"k{turn}": place(shop, key))
        pid, _ = held.wait_for_waiter()
        victim = next(process for process in platform.of("store-data") if process.pid == client_of(platform, pid))
        victim.kill()
        time.sleep(0.2)
        held.release()
        thread.join()
        assert answers[0].status_code == 201, answers[0]
        assert count(shop) == before + 1
        assert place(shop, f"k{turn}").content == answers[0].content
        victim.start()
        platform.wait_ready()


def client_of(platform, backend):
    """The process at the other end of a backend's unix socket."""
    import subprocess

    listing = subprocess.run(["ss", "-xpnH"], capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split() for line in listing]
    peers = {row[7] for row in rows if len(row) > 8 and f"pid={backend}," in row[-1]}
    for row in rows:
        if len(row) > 8 and row[5] in peers:
            return int(row[-1].split("pid=")[1].split(",")[0])
    raise AssertionError(f"nobody is connected to backend {backend}")


def test_a_key_is_free_again_after_a_day(make_platform):
    from .shop import Owner

    platform = make_platform(services={"auth": 1, "store-data": 1})
    owner = Owner(platform)
    shop = owner.open_shop()
    first = place(shop, "k")
    platform.set_clock(23 * 3600)
    fresh = owner.open_shop(store_id=shop.store_id, app={"app_id": shop.app_id, "client_id": shop.client_id,
                                                         "client_secret": shop.client_secret,
                                                         "session_signing_key": shop.session_signing_key})
    assert place(fresh, "k").content == first.content
    platform.set_clock(24 * 3600 + 5)
    later = place(fresh, "k", OTHER)
    assert later.status_code == 201 and count(shop) == 2

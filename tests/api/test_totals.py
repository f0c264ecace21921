"""Kept totals against a recount, whatever is written by whom (protocols 12)."""

import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import goods

ORDERS = "/api/apps/v1/orders"
EXAMPLES = 100 if os.environ.get("SX_TEST_FULL") else 15
NEXT = {"pending": ["confirmed", "hold", "cancelled"], "confirmed": ["processing", "hold", "cancelled"],
        "processing": ["shipped", "hold", "cancelled"],
        "hold": ["pending", "confirmed", "processing", "cancelled"], "shipped": ["delivered"],
        "delivered": ["completed", "refunded"],
        "completed": ["refunded"], "cancelled": [], "refunded": []}


def verify(shop):
    counted = shop.platform.call("store-data.counts.verify", store_id=shop.store_id)
    assert counted["ok"] is True, counted["differences"]
    return counted


def totals(shop, **query):
    return shop.get(ORDERS, params={"limit": 1, **query}).json()["pagination"]["total"]


class Model:
    """What a store's orders are, held beside the real ones."""

    def __init__(self, shop):
        self.shop, self.orders = shop, {}

    def create(self, _):
        self.orders[goods.order(self.shop)["order_id"]] = "pending"

    def move(self, choice):
        movable = [order_id for order_id, status in self.orders.items() if NEXT[status]]
        if movable:
            order_id = movable[choice % len(movable)]
            status = NEXT[self.orders[order_id]][choice % len(NEXT[self.orders[order_id]])]
            assert self.shop.put(f"{ORDERS}/{order_id}/status", {"status": status}).status_code == 200
            self.orders[order_id] = status

    def refuse(self, choice):
        """A move that is refused counts nothing."""
        if self.orders:
            order_id = sorted(self.orders)[choice % len(self.orders)]
            assert self.shop.put(f"{ORDERS}/{order_id}/status", {"status": self.orders[order_id]}).status_code == 409

    def delete(self, choice):
        deletable = [order_id for order_id, status in self.orders.items() if status in ("pending", "cancelled")]
        if deletable:
            order_id = deletable[choice % len(deletable)]
            assert self.shop.delete(f"{ORDERS}/{order_id}").status_code == 200
            del self.orders[order_id]

    def shift(self, choice):
        """A writer of its own: another day, by SQL, many rows at once."""
        goods.run(self.shop.platform, "update store_order set created_at = created_at - interval '1 day' * %s where store_id = %s", choice % 3, self.shop.store_id)

    def check(self):
        assert totals(self.shop) == len(self.orders)
        for status in NEXT:
            assert totals(self.shop, status=status) == list(self.orders.values()).count(status)
        assert totals(self.shop, since="2000-01-01") == len(self.orders)
        verify(self.shop)


STEPS = ["create", "create", "create", "move", "move", "refuse", "delete", "shift"]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1000)), min_size=5, max_size=40))
def test_whatever_is_done_the_totals_are_right(owner, steps):
    model = Model(owner.open_shop())
    for name, choice in steps:
        getattr(model, name)(choice)
    model.check()


def test_many_writers_at_once(owner):
    shop = owner.open_shop()
    failures = []

    def work(number):
        try:
            for turn in range(12):
                order_id = goods.order(shop)["order_id"]
                for status in (["confirmed", "processing"], ["cancelled"], ["hold", "pending"], [])[(turn + number) % 4]:
                    assert shop.put(f"{ORDERS}/{order_id}/status", {"status": status}).status_code == 200
                if (turn + number) % 4 in (1, 3):
                    assert shop.delete(f"{ORDERS}/{order_id}").status_code == 200
        except AssertionError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert totals(shop) == verify(shop)["orders"] == 48
    assert totals(shop, status="processing") == totals(shop, status="pending") == 24


def test_page_and_total_are_of_one_moment(owner):
    """While orders come and go, a page that holds the whole store always has as many orders as it says."""
    shop, done = owner.open_shop(), threading.Event()

    def work():
        while not done.is_set():
            order_id = goods.order(shop)["order_id"]
            shop.delete(f"{ORDERS}/{order_id}")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(150):
            query = ({}, {"status": "pending"}, {"since": "2000-01-01"}, {"since": "2000-01-01", "sort": "grand_total"},
                     {"page": 1, "sort": "updated_at"})[turn % 5]
            body = shop.get(ORDERS, params={"limit": 250, **query}).json()
            assert len(body["data"]) == body["pagination"]["total"]
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("sql", [
    "update store_order set order_status = 'completed' where store_id = %s",
    "update store_order set deleted_at = now() where store_id = %s and order_id % 2 = 0",
    "update store_order set deleted_at = null, order_status = 'hold' where store_id = %s",
    "update product set is_active = not is_active where store_id = %s",
    "update product set deleted_at = now() where store_id = %s and product_id % 3 = 0",
    "delete from order_status_history where store_id = %s",
    "delete from order_item where store_id = %s; delete from store_order where store_id = %s and order_status = 'hold'",
])
def test_no_writer_can_forget_them(platform, shop, sql):
    platform.call("store-data.stores.fill", store_id=shop.store_id, kind="demo", orders=300)
    arguments = [shop.store_id] * sql.count("%s")
    sql = sql.replace("%", "%%").replace("%%s", "%s")
    if "delete from order_item" in sql:
        goods.run(platform, "delete from order_status_history where store_id = %s", shop.store_id)
    goods.run(platform, sql, *arguments)
    verify(shop)


def test_what_is_rolled_back_counts_nothing(platform, shop):
    connection = platform.postgres.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("set search_path = store_data")
        cursor.execute("insert into store_order (store_id, order_status, sub_total, tax, shipping, discount, grand_total, store_serial_order_no, "
                       "created_at, updated_at) select %s, 'pending', 1, 0, 0, 0, 1, 'R' || i, now(), now() from generate_series(1, 50) as i", (shop.store_id,))
        assert totals(shop) == 0
    connection.rollback()
    connection.close()
    assert totals(shop) == 0
    verify(shop)


def test_a_wrong_count_is_found(platform, shop):
    goods.order(shop)
    goods.run(platform, "update kept_count set n = n + 1 where store_id = %s and status = 'pending' and day = '-infinity'", shop.store_id)
    counted = platform.call("store-data.counts.verify", store_id=shop.store_id)
    assert counted["ok"] is False
    assert counted["differences"] == [{"kind": "order", "status": "pending", "day": None, "kept": 2, "counted": 1}]

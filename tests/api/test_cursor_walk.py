"""A walk by cursor through a large store while orders come in: each order that was there before is met exactly once.

SX_TEST_SCALE 1 walks past 100,000 orders.
"""

import os
import threading

import pytest

from . import goods

ORDERS = "/api/apps/v1/orders"
COUNT = int(100_000 * float(os.environ.get("SX_TEST_SCALE", "0.1")))


@pytest.fixture(scope="module")
def full(owner):
    """Times in groups of 1,000 equal ones and totals in 50 values, so that pages begin and end among ties."""
    shop = owner.open_shop()
    goods.run(shop.platform, "insert into store_order (store_id, order_status, financial_status, payment_method, sub_total, tax, shipping, discount, "
              "grand_total, created_at, updated_at, store_serial_order_no) select %s, 'pending', 'pending', 'cod', n %% 50, 0, 0, 0, n %% 50, "
              "'2026-01-01'::timestamptz + (n / 1000) * interval '1 microsecond', '2026-02-01'::timestamptz - (n / 1000) * interval '1 hour', "
              "'W' || n from generate_series(1, %s) as n", shop.store_id, COUNT)
    return shop


class Inserts:
    """Orders that are placed, by several clients at a time, until told to stop; with totals all over the range of the old ones."""

    def __init__(self, shop):
        self.shop, self.made, self.ended = shop, [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(3)]

    def run(self, number):
        price = number
        while not self.ended.is_set():
            answer = self.shop.post(ORDERS, {"items": [{"name": "Late", "price": price % 60, "quantity": 1}], "payment_method": "cod"})
            self.made.append((answer.status_code, answer.json()))
            price += 7

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def pages_of_list(shop, query):
    cursor = {}
    while True:
        answer = shop.get(ORDERS, params={**query, "limit": 250, **cursor})
        assert answer.status_code == 200, answer
        yield answer.json()
        cursor = {"cursor": answer.json()["pagination"]["next_cursor"]}
        if not cursor["cursor"]:
            return


def pages_of_filters(shop, body):
    cursor = None
    while True:
        answer = shop.post(f"{ORDERS}/filters", {**body, "limit": 250, "cursor": cursor})
        assert answer.status_code == 200, answer
        yield answer.json()
        cursor = answer.json()["pagination"]["next_cursor"]
        if not cursor:
            return


@pytest.mark.parametrize("pages, question", [
    (pages_of_list, {"sort": "created_at:desc"}), (pages_of_list, {"sort": "created_at:asc"}), (pages_of_list, {"sort": "grand_total:asc"}),
    (pages_of_list, {"sort": "updated_at:desc"}), (pages_of_list, {"sort": "grand_total:desc", "status": "pending"}),
    (pages_of_filters, {"filters": [{"name": "payment_method", "type": "is", "dataType": "select", "value": ["cod"]}], "sort": "created_at",
                        "order": "DESC"}),
], ids=str)
def test_each_earlier_order_is_met_once(full, pages, question):
    before = {n for n, in goods.run(full.platform, "select order_id from store_order where store_id = %s and deleted_at is null", full.store_id)}
    seen, totals = [], []
    with Inserts(full) as inserts:
        for page in pages(full, question):
            seen += [order["order_id"] for order in page["data"]]
            totals.append(page["pagination"]["total"])
    assert inserts.made and {status for status, _ in inserts.made} == {201}
    met = [n for n in seen if n in before]
    assert len(met) == len(before) and set(met) == before
    late = [n for n in seen if n not in before]
    assert len(late) == len(set(late)) and set(late) <= {body["data"]["order_id"] for _, body in inserts.made}
    assert totals == sorted(totals)                             # nothing is deleted, so a total never falls

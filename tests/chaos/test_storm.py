"""Many clients change one stock, one discount and one customer at once, while processes are killed: what is there in the end is
what was acknowledged, and everything that is kept (stock, uses, totals, rollups, events) equals a recount.

Each write is tried with its key until it has an answer that counts, so at the end nothing is in doubt.
"""

import os
import random
import signal
import threading
import time
import uuid
from collections import Counter

import psycopg2
import pytest
import requests

from api.shop import Owner
from .supervised import SupervisedPlatform

SCALE = float(os.environ.get("SX_TEST_SCALE", "0.1"))
CLIENTS = 64
SECONDS = max(10, 60 * SCALE)
PAUSES_S = (0.8, 2.5)                   # between two kills
STOCK, USES, PER_CUSTOMER = 400, 60, 8
API = "/api/apps/v1"


@pytest.fixture(scope="module")
def storm():
    """The store after the storm: everything below looks at what it left."""
    with SupervisedPlatform(gateways=2) as platform:
        storm = Storm(platform, Owner(platform).open_shop())
        storm.run()
        yield storm


class Storm:
    def __init__(self, platform, shop):
        self.platform, self.shop = platform, shop
        self.product = self.must("POST", "/products", {"name": "জামদানি শাড়ি", "variants": [
            {"variant_name": "Red", "sku_code": "RED", "price": 1250.50, "quantity": STOCK, "is_default": True},
            {"variant_name": "Blue", "sku_code": "BLUE", "price": 990, "quantity": STOCK}]}, 201)
        self.skus = [variant["sku_id"] for variant in self.product["variants"]]
        self.code = self.must("POST", "/discounts", {"code": "STORM", "is_amount": True, "amount": 25.25, "total_use": USES,
                                                     "use_per_user": PER_CUSTOMER}, 201)["code"]
        self.customers = [self.must("POST", "/customers", {"name": f"Customer {n}", "phone": f"+88017000000{n:02}"}, 201)["user_id"]
                          for n in range(12)]
        self.done = []                  # (what, detail) of what was acknowledged; list.append is atomic
        self.strange, self.kills = [], Counter()

    def must(self, method, path, body, status):
        answer = self.shop.request(method, API + path, json_body=body)
        assert answer.status_code == status, answer.text
        return answer.json()["data"]

    # -- the clients --

    def run(self):
        self.until = time.monotonic() + SECONDS
        threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]
        killer = threading.Thread(target=self.kill)
        for thread in [*threads, killer]:
            thread.start()
        for thread in [*threads, killer]:
            thread.join()
        self.platform.wait_ready()
        print(f"{dict(Counter(what for what, _ in self.done))}; killed {dict(self.kills)}")

    def client(self, number):
        chance = random.Random(number)
        mine = []                       # orders that this client may still cancel
        with requests.Session() as session:
            while time.monotonic() < self.until:
                if mine and chance.random() < 0.3:
                    self.cancel(session, mine.pop(chance.randrange(len(mine))))
                elif chance.random() < 0.4:
                    self.adjust(session, chance)
                else:
                    mine += self.order(session, chance)

    def insist(self, session, method, path, body):
        """The first answer that counts: 2xx, or an error that is not about the platform's own trouble."""
        headers = {**self.shop.bearer, **({"Idempotency-Key": uuid.uuid4().hex} if method == "POST" else {})}
        give_up = time.monotonic() + SECONDS + 60
        while time.monotonic() < give_up:
            try:
                answer = session.request(method, self.platform.url(API + path), json=body, headers=headers, timeout=15)
            except requests.RequestException:
                time.sleep(0.05)
                continue
            if answer.status_code < 500 and not (answer.status_code == 409 and "Retry-After" in answer.headers):
                return answer
            time.sleep(0.05)
        raise AssertionError(f"no answer that counts: {method} {path}")

    def adjust(self, session, chance):
        sku_id, change = chance.choice(self.skus), chance.choice([-3, -2, -1, 1, 2, 3, 4])
        answer = self.insist(session, "POST", f"/inventory/{self.product['product_id']}/adjust",
                             {"sku_id": sku_id, "adjustment": change, "reason": "storm"})
        self.note(answer, {200, 201}, {"insufficient_stock"}, "adjust", (sku_id, change))

    def order(self, session, chance):
        lines = [{"sku_id": sku_id, "quantity": chance.randint(1, 3)}
                 for sku_id in chance.sample(self.skus, chance.randint(1, 2))]
        body = {"customer_id": chance.choice(self.customers), "items": lines}
        coded = chance.random() < 0.5
        if coded:
            body["discount_code"] = self.code
        answer = self.insist(session, "POST", "/orders", body)
        if not self.note(answer, {201}, {"insufficient_stock", "invalid_discount"}, "order", (lines, coded)):
            return []
        return [(answer.json()["data"]["order_id"], lines, coded)]

    def cancel(self, session, order):
        """Sent again after a lost answer it is refused, because it is cancelled already: that counts as well."""
        order_id, lines, coded = order
        answer = self.insist(session, "PUT", f"/orders/{order_id}/status", {"status": "cancelled"})
        self.note(answer, {200, 409}, set(), "cancel", (order_id, lines, coded))

    def note(self, answer, good, refused, what, detail):
        if answer.status_code in good:
            self.done.append((what, detail))
            return True
        if answer.json().get("code") not in refused:
            self.strange.append((what, answer.status_code, answer.text[:300]))
        else:
            self.done.append((f"{what} refused", None))
        return False

    def kill(self):
        chance = random.Random(11)
        while time.monotonic() < self.until:
            victim = chance.choice(["store-data", "store-data", "backend"])
            try:
                if victim == "backend":
                    os.kill(self.platform.backend_in_use("store-data"), signal.SIGKILL)
                else:
                    self.platform.signal(victim, signal.SIGKILL)
                self.kills[victim] += 1
            except (OSError, IndexError, ValueError, psycopg2.OperationalError):       # not there at the moment
                self.kills[f"no {victim}"] += 1
            time.sleep(chance.uniform(*PAUSES_S))

    # -- what was acknowledged --

    def expected(self, sku_id):
        stock = STOCK
        for what, detail in self.done:
            if what == "adjust" and detail[0] == sku_id:
                stock += detail[1]
            elif what in ("order", "cancel"):
                lines = detail[0] if what == "order" else detail[1]
                pieces = sum(line["quantity"] for line in lines if line["sku_id"] == sku_id)
                stock += pieces if what == "cancel" else -pieces
        return stock

    def rows(self, sql, *arguments):
        return self.platform.postgres.rows("set search_path = seen_store_data, store_data; " + sql, arguments)


def test_there_was_a_storm(storm):
    counts = Counter(what for what, _ in storm.done)
    assert not storm.strange, storm.strange[:5]
    assert counts["order"] > 20 and counts["cancel"] > 5 and counts["adjust"] > 20, counts
    assert storm.kills["store-data"] > 0, storm.kills


def test_the_stock_is_the_sum_of_what_was_acknowledged(storm):
    shown = {variant["sku_id"]: variant["quantity"]
             for variant in storm.must("GET", f"/products/{storm.product['product_id']}", None, 200)["variants"]}
    assert shown == {sku_id: storm.expected(sku_id) for sku_id in storm.skus}


def test_each_movement_leads_to_the_next(storm):
    for sku_id in storm.skus:
        movements = storm.rows("select change, quantity_after from inventory_movement where store_id = %s and sku_id = %s "
                               "order by movement_id", storm.shop.store_id, sku_id)
        quantity = 0
        for change, after in movements:
            quantity += change
            assert quantity == after
        assert quantity == storm.expected(sku_id)


def test_the_discount_was_used_as_often_as_it_may_and_is_said(storm):
    used = sum(1 for what, detail in storm.done if what == "order" and detail[1])
    given_back = sum(1 for what, detail in storm.done if what == "cancel" and detail[2])
    orders = storm.rows("select count(*), max(n) from (select user_id, count(*) as n from store_order where store_id = %s and "
                        "discount_code = %s and order_status <> 'cancelled' group by user_id) as used",
                        storm.shop.store_id, storm.code)
    total = storm.rows("select coalesce(sum(n), 0) from (select count(*) as n from store_order where store_id = %s and "
                       "discount_code = %s and order_status <> 'cancelled') as used", storm.shop.store_id, storm.code)[0][0]
    assert total == used - given_back
    assert total <= USES and (orders[0][1] or 0) <= PER_CUSTOMER


@pytest.mark.parametrize("operation", ["counts.verify", "inventory.verify", "discounts.verify", "analytics.verify", "customers.verify"])
def test_what_is_kept_equals_a_recount(storm, operation):
    answer = storm.platform.call(f"store-data.{operation}", store_id=storm.shop.store_id)
    assert answer["ok"] and not answer["differences"], answer


def test_totals_of_customers_equal_their_orders(storm):
    recount = {user_id: (n, spent) for user_id, n, spent in storm.rows(
        "select user_id, count(*), sum(grand_total) from store_order where store_id = %s and deleted_at is null and "
        "order_status <> 'cancelled' group by user_id", storm.shop.store_id)}
    for user_id in storm.customers:
        customer = storm.must("GET", f"/customers/{user_id}", None, 200)
        n, spent = recount.get(user_id, (0, 0))
        assert (customer["total_orders"], round(customer["total_spent"] * 100)) == (n, int(spent * 100)), customer


def test_the_events_are_the_committed_changes_one_to_one(storm):
    store = storm.shop.store_id
    events = storm.rows("select topic, resource_id, data from outbox where store_id = %s order by id", store)
    by_topic = Counter((topic, resource_id) for topic, resource_id, _ in events)

    def rows_as(topic, sql):
        found = Counter({(topic, resource_id): n for resource_id, n in storm.rows(sql, store)})
        assert found == Counter({key: n for key, n in by_topic.items() if key[0] == topic}), topic

    rows_as("order.created", "select order_id, count(*) from store_order where store_id = %s group by 1")
    rows_as("order.cancelled", "select order_id, count(*) from order_status_history where store_id = %s and status = 'cancelled' "
            "group by 1")
    rows_as("order.status_changed", "select order_id, count(*) from order_status_history where store_id = %s and previous_status "
            "is not null group by 1")
    rows_as("product.created", "select product_id, count(*) from product where store_id = %s group by 1")
    rows_as("customer.created", "select user_id, count(*) from customer where store_id = %s group by 1")


def test_the_inventory_events_are_the_movements(storm):
    """Per variant in the same order, each beginning where the one before has ended."""
    for sku_id in storm.skus:
        told = [(change["old"], change["new"]) for change, in storm.rows(
            "select data -> 'changed' -> 'quantity' from outbox where store_id = %s and topic = 'inventory.updated' and "
            "(data ->> 'sku_id')::bigint = %s order by id", storm.shop.store_id, sku_id)]
        moved = [(after - change, after) for change, after in storm.rows(
            "select change, quantity_after from inventory_movement where store_id = %s and sku_id = %s order by movement_id",
            storm.shop.store_id, sku_id)]
        assert told == moved

"""Analytics: the figures of a store's days against a recount, whatever is written by whom, and the events of apps."""

import datetime
import os
import threading
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import goods
from .client import is_error
from .plans import Plans

BASE = "/api/apps/v1/analytics"
ORDERS = "/api/apps/v1/orders"
EXAMPLES = 60 if os.environ.get("SX_TEST_FULL") else 10
STATUSES = ["pending", "confirmed", "processing", "shipped", "delivered", "completed", "cancelled", "hold", "refunded"]
NEXT = {"pending": ["confirmed", "hold", "cancelled"], "confirmed": ["processing", "cancelled"], "processing": ["shipped", "cancelled"],
        "hold": ["pending", "cancelled"], "shipped": ["delivered"], "delivered": ["completed", "refunded"], "completed": ["refunded"]}


@pytest.fixture
def shop(owner):
    return owner.open_shop()


def get(shop, path, **query):
    """Data with exact numbers; `to` and `from_` as dates."""
    query = {name.rstrip("_"): str(value) for name, value in query.items()}
    answer = shop.get(f"{BASE}/{path}", params=query)
    assert answer.status_code == 200, answer
    return answer.json(parse_float=Decimal)["data"]


def verify(shop):
    checked = shop.platform.call("store-data.analytics.verify", store_id=shop.store_id)
    assert checked["ok"] is True, checked["differences"]


def today():
    return datetime.datetime.now(datetime.timezone.utc).date()


def days_ago(count):
    return today() - datetime.timedelta(days=count)


def add_items(shop, order_id, *items):
    """(product_id, price, quantity) by SQL."""
    for product_id, price, quantity in items:
        goods.run(shop.platform, "insert into order_item (store_id, order_id, product_id, name, price, quantity) values (%s, %s, %s, 'x', %s, %s)",
                  shop.store_id, order_id, product_id, price, quantity)


def add(shop, day, total, status="pending", user_id=None, *items):
    order_id = goods.add_orders(shop, [(status, f"{day}T23:59:59.999Z", f"{day}T23:59:59.999Z", total, user_id, None)])[0]
    add_items(shop, order_id, *items)
    return order_id


def figures(row):
    return tuple(row[name] for name in ("orders", "refunded", "sales", "items", "average"))


# ---- sales -----------------------------------------------------------------------------------------------------------

def test_a_row_for_every_day(shop):
    add(shop, "2026-03-01", "100.10", "pending", None, (None, 10, 3))
    add(shop, "2026-03-01", "0.20", "completed", None, (None, 1, 2), (None, 1, 1))
    add(shop, "2026-03-03", "999.99", "refunded", None, (None, 1, 50))
    add(shop, "2026-03-03", "50.00", "cancelled", None, (None, 1, 50))
    add(shop, "2026-03-05", "7.00")
    data = get(shop, "sales", from_="2026-03-01", to="2026-03-04")
    assert (data["from"], data["to"], data["interval"]) == ("2026-03-01", "2026-03-04", "day")
    assert [(row["from"], row["to"]) for row in data["rows"]] == [(f"2026-03-0{n}", f"2026-03-0{n}") for n in (1, 2, 3, 4)]
    zero = Decimal("0.00")
    assert [figures(row) for row in data["rows"]] == [
        (2, 0, Decimal("100.30"), 6, Decimal("50.15")), (0, 0, zero, 0, zero), (1, 1, zero, 0, zero), (0, 0, zero, 0, zero)]
    assert figures(data["totals"]) == (3, 1, Decimal("100.30"), 6, Decimal("50.15"))
    verify(shop)


def test_averages_are_exact_decimals(shop):
    for total in ("0.01", "0.02", "0.02"):
        add(shop, "2026-03-01", total)
    text = shop.get(f"{BASE}/sales", params={"from": "2026-03-01", "to": "2026-03-01"}).text
    assert '"sales":0.05,"items":0,"average":0.02' in text
    add(shop, "2026-03-01", "999999999999.99")
    assert get(shop, "sales", from_="2026-03-01", to="2026-03-01")["totals"]["average"] == Decimal("250000000000.01")


def test_weeks_begin_on_monday_and_months_on_the_first(shop):
    for day in ("2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02", "2026-03-08", "2026-03-09", "2026-03-31", "2026-04-01"):
        add(shop, day, "1.00")
    weeks = get(shop, "sales", from_="2026-02-28", to="2026-03-12", interval="week")["rows"]
    assert [(row["from"], row["to"], row["orders"]) for row in weeks] == [
        ("2026-02-28", "2026-03-01", 2), ("2026-03-02", "2026-03-08", 2), ("2026-03-09", "2026-03-12", 1)]
    months = get(shop, "sales", from_="2026-02-28", to="2026-05-15", interval="month")["rows"]
    assert [(row["from"], row["to"], row["orders"]) for row in months] == [
        ("2026-02-28", "2026-02-28", 1), ("2026-03-01", "2026-03-31", 5), ("2026-04-01", "2026-04-30", 1), ("2026-05-01", "2026-05-15", 0)]


def test_the_last_thirty_days_unless_said_otherwise(shop):
    rows = get(shop, "sales")["rows"]
    assert len(rows) == 30 and rows[0]["from"] == str(days_ago(29)) and rows[-1]["to"] == str(today())
    rows = get(shop, "sales", to="2026-03-31")["rows"]
    assert (len(rows), rows[0]["from"]) == (30, "2026-03-02")


def test_four_hundred_rows_and_no_more(shop):
    first = datetime.date(2024, 1, 1)
    assert len(get(shop, "sales", from_=first, to=first + datetime.timedelta(days=399))["rows"]) == 400
    body = is_error(shop.get(f"{BASE}/sales", params={"from": str(first), "to": str(first + datetime.timedelta(days=400))}), 400, "validation_error")
    assert "400" in body["errors"][0]["message"]
    assert len(get(shop, "sales", from_="2000-01-01", to="2030-12-31", interval="month")["rows"]) == 372
    is_error(shop.get(f"{BASE}/sales", params={"from": "1970-01-01", "to": "9999-12-31", "interval": "month"}), 400, "validation_error")


@pytest.mark.parametrize("query", [
    {"from": "2026-13-01"}, {"from": "2026-02-30"}, {"from": "yesterday"}, {"from": "2026-01-01T00:00:00Z"}, {"from": "2026-03-02", "to": "2026-03-01"},
    {"from": "1969-12-31", "to": "1970-01-01"}, {"to": "99999-01-01"}, {"from": "2026-01-01\0"}])
@pytest.mark.parametrize("path", ["sales", "products/top", "customers", "orders/status", "events/summary"])
def test_bad_days(shop, path, query):
    is_error(shop.get(f"{BASE}/{path}", params=query), 400, "validation_error")


def test_bad_words(shop):
    for path, query, allowed in (("sales", {"interval": "year"}, "week"), ("products/top", {"by": "price"}, "quantity")):
        assert allowed in is_error(shop.get(f"{BASE}/{path}", params=query), 400, "validation_error")["errors"][0]["message"]
    for path, most in (("products/top", 400), ("customers", 400), ("events/summary", 92)):
        first = datetime.date(2025, 1, 1)
        get(shop, path, from_=first, to=first + datetime.timedelta(days=most - 1))
        is_error(shop.get(f"{BASE}/{path}", params={"from": str(first), "to": str(first + datetime.timedelta(days=most))}), 400, "validation_error")


# ---- products, customers, statuses, summary --------------------------------------------------------------------------

def test_what_sells_best(shop, owner):
    tea, rice, lamp = (goods.add_product(shop, (1, 1), name=name)[0] for name in ("Tea", "Rice", "Lamp"))
    goods.add_product(owner.open_shop(), (1, 1))
    add(shop, "2026-03-01", 500, "pending", None, (tea, "10.50", 3), (rice, "100.00", 2), (None, 5, 100))
    add(shop, "2026-03-02", 500, "completed", None, (tea, "12.00", 1), (tea, "12.00", 1))
    add(shop, "2026-03-02", 500, "cancelled", None, (lamp, 10, 99))
    add(shop, "2026-03-02", 500, "refunded", None, (lamp, 10, 99))
    add(shop, "2026-03-09", 500, "pending", None, (lamp, "1000.00", 1))
    top = get(shop, "products/top", from_="2026-03-01", to="2026-03-08")
    assert top["by"] == "sales" and [(p["product_id"], p["name"], p["quantity"], p["sales"]) for p in top["products"]] == [
        (rice, "Rice", 2, Decimal("200.00")), (tea, "Tea", 5, Decimal("55.50"))]
    by_quantity = get(shop, "products/top", from_="2026-03-01", to="2026-03-31", by="quantity", limit=2)["products"]
    assert [p["name"] for p in by_quantity] == ["Tea", "Rice"]
    assert len(get(shop, "products/top", from_="2026-03-01", to="2026-03-31", limit="-5")["products"]) == 1
    goods.run(shop.platform, "update product set deleted_at = now(), name = 'Old tea' where store_id = %s and product_id = %s", shop.store_id, tea)
    assert get(shop, "products/top", from_="2026-03-02", to="2026-03-02")["products"][0]["name"] == "Old tea"
    verify(shop)


def test_new_and_returning_customers(shop):
    a, b, c, d = (goods.add_customer(shop) for _ in range(4))
    add(shop, "2026-02-01", 10, "completed", a)
    add(shop, "2026-02-01", 10, "cancelled", b)
    add(shop, "2026-03-01", 30, "pending", a)
    add(shop, "2026-03-02", 20, "pending", b)
    add(shop, "2026-03-03", 25, "pending", b)
    add(shop, "2026-03-03", 90, "refunded", c)
    add(shop, "2026-03-03", 90, "cancelled", d)
    add(shop, "2026-03-04", 500, "pending", None)
    data = get(shop, "customers", from_="2026-03-01", to="2026-03-31")
    assert (data["customers"], data["new"], data["returning"]) == (3, 2, 1)
    assert [(top["user_id"], top["orders"], top["spent"]) for top in data["top"]] == [
        (b, 2, Decimal("45.00")), (a, 1, Decimal("30.00")), (c, 1, Decimal("0.00"))]
    assert set(data["top"][0]) == {"user_id", "orders", "spent"}
    assert len(get(shop, "customers", from_="2026-03-01", to="2026-03-31", limit=1)["top"]) == 1
    assert get(shop, "customers", from_="2026-01-01", to="2026-01-02") == {
        "from": "2026-01-01", "to": "2026-01-02", "customers": 0, "new": 0, "returning": 0, "top": []}


def test_statuses(shop):
    for number, status in enumerate(STATUSES):
        for _ in range(number):
            add(shop, f"2026-03-0{1 + number % 2}", 1, status)
    deleted = add(shop, "2026-03-01", 1)
    goods.run(shop.platform, "update store_order set deleted_at = now() where store_id = %s and order_id = %s", shop.store_id, deleted)
    data = get(shop, "orders/status")
    assert data["from"] is data["to"] is None and data["total"] == 36
    assert [(s["status"], s["orders"]) for s in data["statuses"]] == [(status, n) for n, status in enumerate(STATUSES)]
    data = get(shop, "orders/status", from_="2026-03-02", to="2026-03-02")
    assert data["total"] == 16 and [s["orders"] for s in data["statuses"]] == [0, 1, 0, 3, 0, 5, 0, 7, 0]


def test_the_summary(shop):
    for ago, total in ((0, 1), (1, 2), (6, 4), (7, 8), (13, 16), (14, 32), (29, 64), (30, 128), (59, 256), (60, 512)):
        add(shop, days_ago(ago), total)
    data = get(shop, "summary")
    sales = {name: (span["current"]["sales"], span["previous"]["sales"]) for name, span in data.items()}
    assert sales == {"today": (1, 2), "last_7_days": (7, 24), "last_30_days": (127, 384)}
    assert data["last_30_days"]["previous"]["from"] == str(days_ago(59)) and data["today"]["current"]["to"] == str(today())


def test_stores_do_not_meet(shop, owner):
    other = owner.open_shop()
    product, _ = goods.add_product(other, (5, 50))
    customer = goods.add_customer(other)
    goods.order(other, customer_id=customer, items=[{"product_id": product, "quantity": 2}])
    assert other.post(f"{BASE}/events", {"events": [{"name": "theirs"}]}).status_code == 201
    for path in ("sales", "products/top", "customers", "orders/status", "summary", "events/summary"):
        assert get(shop, path) == get(owner.open_shop(), path)
    assert get(other, "customers")["top"][0]["user_id"] == customer


@pytest.mark.parametrize("path", ["sales", "products/top", "customers", "orders/status", "summary", "events/summary"])
def test_reading_needs_its_own_scope(owner, path):
    is_error(owner.open_shop(scopes=["write:analytics", "read:orders"]).get(f"{BASE}/{path}"), 403, "insufficient_scope")


# ---- kept right, whatever is written ----------------------------------------------------------------------------------

class Model:
    """A store's orders, held beside the real ones: id to [status, day, total, items], items being (product or None, price, quantity)."""

    def __init__(self, owner):
        self.shop, self.orders = owner.open_shop(), {}
        self.products = [goods.add_product(self.shop, (price, 10**6))[0] for price in (10, 25, 7)]
        self.customers = [goods.add_customer(self.shop) for _ in range(2)]
        self.prices = dict(zip(self.products, (10, 25, 7)))

    def lines(self, choice):
        lines = [(self.products[choice % 3], self.prices[self.products[choice % 3]], 1 + choice % 4)]
        if choice % 2:
            lines.append((None, 5, 1 + choice % 3))
        if choice % 5 == 0:
            lines.append((self.products[(choice + 1) % 3], self.prices[self.products[(choice + 1) % 3]], 2))
        return lines

    @staticmethod
    def sent(lines):
        return [{"product_id": product, "quantity": quantity} if product else {"name": "Wrap", "price": price, "quantity": quantity}
                for product, price, quantity in lines]

    def create(self, choice):
        lines = self.lines(choice)
        fields = {"customer_id": self.customers[choice % 2]} if choice % 3 else {}
        made = goods.order(self.shop, items=self.sent(lines), shipping=60, **fields)
        self.orders[made["order_id"]] = ["pending", str(today()), 60 + sum(price * quantity for _, price, quantity in lines), lines]

    def one(self, choice, *statuses):
        ids = [order_id for order_id, order in sorted(self.orders.items()) if order[0] in statuses]
        return ids[choice % len(ids)] if ids else None

    def move(self, choice):
        order_id = self.one(choice, *NEXT)
        if order_id:
            status = NEXT[self.orders[order_id][0]][choice % len(NEXT[self.orders[order_id][0]])]
            assert self.shop.put(f"{ORDERS}/{order_id}/status", {"status": status}).status_code == 200
            self.orders[order_id][0] = status

    def replace(self, choice):
        order_id = self.one(choice, "pending")
        if order_id:
            lines = self.lines(choice + 1)
            assert self.shop.put(f"{ORDERS}/{order_id}", {"items": self.sent(lines), "note": str(choice)}).status_code == 200
            self.orders[order_id][2:] = [60 + sum(price * quantity for _, price, quantity in lines), lines]

    def refund(self, choice):
        order_id = self.one(choice, "pending", "completed")
        if order_id:
            goods.run(self.shop.platform, "update store_order set order_status = 'refunded' where store_id = %s and order_id = %s", self.shop.store_id, order_id)
            self.orders[order_id][0] = "refunded"

    def delete(self, choice):
        order_id = self.one(choice, "pending", "cancelled")
        if order_id:
            assert self.shop.delete(f"{ORDERS}/{order_id}").status_code == 200
            del self.orders[order_id]

    def shift(self, choice):
        """Many at once to another day, by SQL; some lose their customer on the way."""
        goods.run(self.shop.platform, "update store_order set created_at = '2026-01-01'::timestamptz + order_id %% 3 * interval '1 day', "
                  "user_id = case when order_id %% 2 = 0 then user_id end where store_id = %s and order_id %% 4 = %s and deleted_at is null",
                  self.shop.store_id, choice % 4)
        for order_id, order in self.orders.items():
            if order_id % 4 == choice % 4:
                order[1] = f"2026-01-0{1 + order_id % 3}"

    def edit(self, choice):
        """Items changed where they are, by SQL."""
        goods.run(self.shop.platform, "update order_item set quantity = quantity + 1 where store_id = %s and order_id = any (select order_id from "
                  "store_order where store_id = %s and deleted_at is null and order_id %% 3 = %s)", self.shop.store_id, self.shop.store_id, choice % 3)
        for order_id, order in self.orders.items():
            if order_id % 3 == choice % 3:
                order[3] = [(product, price, quantity + 1) for product, price, quantity in order[3]]

    def expected(self, days):
        counted = [order for order in self.orders.values() if order[0] != "cancelled" and order[1] in days]
        sold = [order for order in counted if order[0] != "refunded"]
        sales = Decimal(sum(order[2] for order in sold))
        average = (sales / len(sold)).quantize(Decimal("0.01"), ROUND_HALF_UP) if sold else Decimal(0)
        return (len(counted), len(counted) - len(sold), sales, sum(quantity for order in sold for _, _, quantity in order[3]), average), sold

    def check(self):
        verify(self.shop)
        for days in ({str(today())}, {"2026-01-01", "2026-01-02", "2026-01-03"}):
            span = {"from_": min(days), "to": max(days)}
            expected, sold = self.expected(days)
            assert figures(get(self.shop, "sales", **span)["totals"]) == expected
            products = {}
            for order in sold:
                for product, price, quantity in order[3]:
                    if product:
                        kept = products.setdefault(product, [0, 0])
                        kept[0], kept[1] = kept[0] + quantity, kept[1] + price * quantity
            top = get(self.shop, "products/top", by="quantity", **span)["products"]
            assert {p["product_id"]: [p["quantity"], p["sales"]] for p in top} == products


STEPS = ["create", "create", "create", "move", "move", "replace", "refund", "delete", "shift", "edit"]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1000)), min_size=8, max_size=40))
def test_whatever_is_done_the_figures_are_right(owner, steps):
    model = Model(owner)
    for name, choice in steps:
        getattr(model, name)(choice)
    model.check()


def test_many_writers_at_once(owner):
    shop = owner.open_shop()
    product, skus = goods.add_product(shop, *[(10, 10**6)] * 8)
    customer = goods.add_customer(shop)
    failures = []

    def work(number):
        try:
            for turn in range(10):
                order_id = goods.order(shop, customer_id=customer, items=[{"sku_id": skus[number], "quantity": 2}, {"name": "Wrap", "price": 5, "quantity": 1}])["order_id"]
                if turn % 4 == 1:
                    assert shop.put(f"{ORDERS}/{order_id}", {"items": [{"sku_id": skus[turn % 8], "quantity": 1}]}).status_code == 200
                for status in (["cancelled"] if turn % 4 == 2 else ["confirmed"]):
                    assert shop.put(f"{ORDERS}/{order_id}/status", {"status": status}).status_code == 200
                if turn % 4 == 2:
                    assert shop.delete(f"{ORDERS}/{order_id}").status_code == 200
        except AssertionError as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    verify(shop)
    # of ten turns, 2 are cancelled, 3 (1, 5, 9) have one piece for 10, and 5 have two pieces and a wrap for 25
    assert figures(get(shop, "sales")["totals"])[:4] == (64, 0, Decimal(8 * (3 * 10 + 5 * 25)), 8 * (3 + 5 * 3))
    assert [(top["user_id"], top["orders"]) for top in get(shop, "customers")["top"]] == [(customer, 64)]
    assert [(top["product_id"], top["quantity"]) for top in get(shop, "products/top")["products"]] == [(product, 8 * (3 + 5 * 2))]


@pytest.mark.parametrize("sql", [
    "update store_order set order_status = 'completed' where store_id = %s",
    "update store_order set order_status = 'refunded' where store_id = %s and order_id % 2 = 0",
    "update store_order set deleted_at = now() where store_id = %s and order_id % 2 = 0",
    "update store_order set deleted_at = null, order_status = 'hold', created_at = created_at - interval '1 day' where store_id = %s",
    "update store_order set user_id = null where store_id = %s",
    "update store_order set sub_total = sub_total + 1, grand_total = grand_total + 1 where store_id = %s",
    "update order_item set product_id = null where store_id = %s and order_id % 2 = 0",
    "update order_item set price = price + 0.01, quantity = quantity + 1 where store_id = %s",
    "delete from order_item where store_id = %s and order_item_id % 2 = 0",
    "delete from order_item where store_id = %s; delete from order_status_history where store_id = %s; delete from store_order where store_id = %s",
])
def test_no_writer_can_forget_them(platform, shop, sql):
    platform.call("store-data.stores.fill", store_id=shop.store_id, kind="demo", orders=300)
    verify(shop)
    before = get(shop, "sales", from_=days_ago(399))["totals"]
    goods.run(platform, sql.replace("%", "%%").replace("%%s", "%s"), *[shop.store_id] * sql.count("%s"))
    verify(shop)
    after = get(shop, "sales", from_=days_ago(399))["totals"]
    assert before["orders"] > 0 and (after != before or "user_id" in sql or "product_id" in sql)


def test_items_cannot_go_together_with_their_orders(platform, shop):
    """Then nobody could tell which day they are to be taken from: the statement fails instead."""
    add(shop, "2026-03-01", 10, "pending", None, (None, 1, 1))
    with pytest.raises(Exception, match="before that of their orders"):
        goods.run(platform, "with i as (delete from order_item where store_id = %s returning order_id) "
                  "delete from store_order where store_id = %s and order_id in (select order_id from i)", shop.store_id, shop.store_id)
    verify(shop)


def test_a_wrong_figure_is_found_and_named(platform, shop):
    product, _ = goods.add_product(shop, (10, 10))
    add(shop, "2026-03-01", "20.00", "pending", goods.add_customer(shop), (product, 10, 2))
    assert shop.post(f"{BASE}/events", {"events": [{"name": "seen"}]}).status_code == 201
    for table, change, where, rollup in (("kept_day", "amount = amount + 0.01", "kind = 'a'", "sales"), ("kept_day", "n = n + 1", "kind = 'p'", "product"),
                                         ("kept_day", "n = n - 1", "kind = 'c'", "customer"), ("event_day", "n = 7", "name = 'seen'", "event")):
        verify(shop)
        goods.run(platform, f"create table if not exists was as select * from {table} limit 0; insert into was select * from {table} where store_id = %s", shop.store_id)
        goods.run(platform, f"update {table} set {change} where store_id = %s and {where}", shop.store_id)
        checked = platform.call("store-data.analytics.verify", store_id=shop.store_id)
        assert checked["ok"] is False and [d["rollup"] for d in checked["differences"]] == [rollup]
        goods.run(platform, f"delete from {table} where store_id = %s", shop.store_id)
        goods.run(platform, f"insert into {table} select * from was; drop table was")
    difference = checked["differences"][0]
    assert (difference["name"], difference["id"], difference["kept"], difference["counted"], difference["day"]) == ("seen", shop.app_id, 7, 1, str(today()))


# ---- events of apps --------------------------------------------------------------------------------------------------

def send(shop, *events, status=201, **options):
    answer = shop.post(f"{BASE}/events", {"events": list(events)}, **options)
    assert answer.status_code == status, answer
    return answer.json().get("data") or answer.json()


def names(shop, **query):
    return {name["name"]: name["events"] for name in get(shop, "events/summary", **query)["names"]}


def test_events_are_counted(shop):
    noon = f"{days_ago(2)}T12:00:00Z"
    assert send(shop, {"name": "cart.viewed", "properties": {"items": 3, "nested": {"a": [1, None, "ঢ"]}}}, {"name": "cart.viewed", "occurred_at": noon},
                {"name": "search:used", "customer_id": goods.add_customer(shop)}) == {"received": 3, "accepted": 3, "duplicates": 0}
    data = get(shop, "events/summary")
    assert data["total"] == 3 and data["names"] == [{"name": "cart.viewed", "events": 2}, {"name": "search:used", "events": 1}]
    assert data["days"] == [{"date": str(days_ago(2)), "name": "cart.viewed", "events": 1}, {"date": str(today()), "name": "cart.viewed", "events": 1},
                            {"date": str(today()), "name": "search:used", "events": 1}]
    assert names(shop, name="search:used") == {"search:used": 1} and names(shop, name="'; --") == {}
    assert get(shop, "events/summary", from_=today())["total"] == 2
    verify(shop)


def test_a_key_counts_once(shop):
    batch = [{"name": "a", "event_key": "k1"}, {"name": "a", "event_key": "k1"}, {"name": "b", "event_key": "k2"}, {"name": "a"}]
    assert send(shop, *batch) == {"received": 4, "accepted": 3, "duplicates": 1}
    assert send(shop, *batch) == {"received": 4, "accepted": 1, "duplicates": 3}
    assert names(shop) == {"a": 3, "b": 1}
    verify(shop)


def test_many_senders_of_the_same_events(shop):
    """Each key counts once, in whatever order the batches have them."""
    answers = []

    def work(number):
        keys = [f"k{n}" for n in range(60)]
        answers.append(send(shop, *({"name": f"n{key[-1]}", "event_key": key} for key in (keys if number % 2 else reversed(keys)))))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8 and sum(answer["accepted"] for answer in answers) == 60 == get(shop, "events/summary")["total"]
    verify(shop)


def test_events_are_the_apps_own(shop, owner):
    other = owner.open_shop(store_id=shop.store_id)
    send(shop, {"name": "mine", "event_key": "k"})
    assert names(other) == {} and send(other, {"name": "theirs", "event_key": "k"})["accepted"] == 1
    assert names(shop) == {"mine": 1} and names(other) == {"theirs": 1}


def test_all_or_none(shop, owner):
    good = {"name": "good"}
    stranger = goods.add_customer(owner.open_shop())
    answers = [send(shop, good, {"name": "x", "customer_id": number}, status=404) for number in (stranger, 10**15)]
    assert answers[0] == answers[1] and answers[0]["errors"][0]["field"] == "events[1].customer_id"
    send(shop, good, {"name": "Bad"}, status=400)
    assert names(shop) == {}


def test_a_customer_who_is_being_erased_is_none(platform, shop):
    """The event waits for the erasing: otherwise it would be written behind its back and stay."""
    customer, answers = goods.add_customer(shop), []
    connection = platform.postgres.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("set search_path = store_data; select 1 from customer where store_id = %s and user_id = %s for update", (shop.store_id, customer))
        thread = threading.Thread(target=lambda: answers.append(shop.post(f"{BASE}/events", {"events": [{"name": "a", "customer_id": customer}]})))
        thread.start()
        while not platform.postgres.rows("select pid from pg_locks where not granted"):
            assert thread.is_alive()
        cursor.execute("update customer set deleted_at = now() where store_id = %s and user_id = %s", (shop.store_id, customer))
    connection.commit()
    connection.close()
    thread.join()
    is_error(answers[0], 404, "not_found")
    assert names(shop) == {}


def test_when_an_event_may_have_occurred(shop):
    now = datetime.datetime.now(datetime.timezone.utc)
    send(shop, {"name": "a", "occurred_at": f"{days_ago(28)}T00:00:00Z"}, {"name": "a", "occurred_at": (now + datetime.timedelta(minutes=3)).isoformat()})
    for wrong in (f"{days_ago(31)}T00:00:00Z", (now + datetime.timedelta(minutes=10)).isoformat(), "9999-12-31T00:00:00Z", "0001-01-01T00:00:00Z"):
        body = send(shop, {"name": "a", "occurred_at": wrong}, status=400)
        assert body["errors"][0]["field"] == "events[0].occurred_at"
    assert names(shop, from_=days_ago(40), to=today() + datetime.timedelta(days=1)) == {"a": 2}


@pytest.mark.parametrize("event", [
    {}, {"name": ""}, {"name": None}, {"name": "x" * 65}, {"name": "Cart"}, {"name": "cart viewed"}, {"name": "ঢ"}, {"name": "a\n"}, {"name": 1},
    {"name": "a", "event_key": ""}, {"name": "a", "event_key": "k" * 129}, {"name": "a", "event_key": 7}, {"name": "a", "customer_id": 0},
    {"name": "a", "customer_id": 2**63}, {"name": "a", "customer_id": "7"}, {"name": "a", "occurred_at": "now"}, {"name": "a", "properties": []},
    {"name": "a", "properties": "x"}, {"name": "a", "properties": {"x": "y" * 4096}}, {"name": "a", "properties": {f"k{n}": n for n in range(101)}}])
def test_bad_events(shop, event):
    is_error(shop.post(f"{BASE}/events", {"events": [event]}), 400, "validation_error")
    assert names(shop) == {}


def test_the_largest_properties(shop):
    send(shop, {"name": "a", "properties": {"x": "y" * (4096 - len('{"x":""}'))}})
    body = send(shop, {"name": "a", "properties": {"x": "y" * (4097 - len('{"x":""}'))}}, status=400)
    assert body["errors"][0]["field"] == "events[0].properties"


def test_five_hundred_events_and_no_more(shop):
    assert send(shop, *({"name": f"n{n % 50}", "event_key": str(n)} for n in range(500)))["accepted"] == 500
    send(shop, *({"name": "a"} for _ in range(501)), status=400)
    send(shop, status=400)
    assert shop.post(f"{BASE}/events", body='{"events": [{"name": "a\\u0000"}]}').status_code == 400
    assert shop.post(f"{BASE}/events", body='{"events": [{"name": "a", "properties": {"k": "\\u0000"}}]}').status_code == 400


def test_two_hundred_names_and_no_more(shop):
    send(shop, *({"name": f"n{n}"} for n in range(199)))
    assert send(shop, {"name": "n0"}, {"name": "x1"}, {"name": "x2"}, status=409)["code"] == "conflict"
    send(shop, {"name": "n0"}, {"name": "x1"})
    send(shop, {"name": "n5"}, {"name": "x1"})
    assert send(shop, {"name": "x2"}, status=409)["code"] == "conflict"
    assert len(names(shop)) == 200


def test_the_same_request_is_replayed(shop):
    key = {"Idempotency-Key": "batch-1"}
    first, second = (shop.post(f"{BASE}/events", {"events": [{"name": "a"}]}, headers=key) for _ in range(2))
    assert first.content == second.content and names(shop) == {"a": 1}
    is_error(shop.post(f"{BASE}/events", {"events": [{"name": "b"}]}, headers=key), 409, "idempotency_conflict")


def test_old_events_are_taken_out_and_their_counts_stay(make_platform):
    from .shop import Owner
    platform = make_platform()
    shop = Owner(platform).open_shop()
    send(shop, {"name": "a", "event_key": "k", "occurred_at": f"{days_ago(1)}T12:00:00Z"}, {"name": "a", "event_key": "k2"})
    first, day = today(), 86400

    def counted():
        """With the app's own credentials: its token has run out by then."""
        return platform.get(f"{BASE}/events/summary", headers=shop.client, params={
            "from": str(first - datetime.timedelta(days=1)), "to": str(first)}).json()["data"]["names"]

    def wait_until(table, rows):
        for _ in range(300):
            if goods.run(platform, f"select count(*)::integer from {table} where store_id = %s", shop.store_id) == [(rows,)]:
                return
            threading.Event().wait(0.1)
        raise AssertionError(f"{table} has not {rows} rows")

    platform.set_clock(29 * day)                       # the older one is out of its 30 days
    wait_until("app_event", 1)
    verify(shop)
    assert counted() == [{"name": "a", "events": 2}]
    platform.set_clock(30 * day)
    wait_until("app_event", 0)
    verify(shop)
    assert counted() == [{"name": "a", "events": 2}]
    platform.set_clock(500 * day)
    wait_until("event_day", 0)


# ---- speed -----------------------------------------------------------------------------------------------------------

def test_no_table_is_scanned(platform, owner, tmp_path):
    """Ten thousand orders and events of one store among those of others."""
    shop = owner.open_shop()
    for _ in range(40):
        platform.call("store-data.stores.fill", store_id=shop.store_id, kind="bench", orders=250)
    for batch in range(20):
        send(shop, *({"name": f"n{n % 20}", "event_key": f"{batch}-{n}", "occurred_at": f"{days_ago(1 + n % 28)}T12:00:00Z"} for n in range(500)))
    platform.postgres.rows("set search_path = store_data; analyze store_order, order_item, kept_day, kept_count, app_event, event_day, app_event_name, product, customer")
    plans = Plans(platform, tmp_path)
    first, last, store, app = f"{days_ago(29)} 00:00+00", f"{today()} 00:00+00", shop.store_id, shop.app_id
    batch = '[{"line": 0, "event_key": "9-9", "name": "n1", "occurred_at": "2026-01-01T00:00:00Z", "customer_id": 1, "properties": null}]'
    for name, arguments in {
            "ANALYTICS_SALES": (store, first, last, "week"), "ANALYTICS_SUMMARY": (store, last), "ANALYTICS_PRODUCTS_BY_QUANTITY": (store, first, last, 10),
            "ANALYTICS_PRODUCTS_BY_SALES": (store, first, last, 10), "ANALYTICS_CUSTOMERS": (store, first, last, 10), "ANALYTICS_STATUS_ALL": (store,),
            "ANALYTICS_STATUS_DAYS": (store, first, last), "EVENTS_SUMMARY": (store, first, last, app, None), "EVENTS_STRANGER": (store, batch),
            "EVENTS_TRIM": ("2020-01-01",), "EVENT_DAYS_TRIM": ("2020-01-01",)}.items():
        assert not plans.scanned(name, *arguments), name
    verify(shop)

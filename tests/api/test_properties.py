"""Properties that hold for all orders: sums, discounts and their caps, the state machine, against a model in exact decimals."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from . import goods
from .client import is_error
from .shop import Owner

ORDERS = "/api/apps/v1/orders"
DISCOUNTS = "/api/apps/v1/discounts"
LARGEST = Decimal("999999999999.99")
PAISA = Decimal("0.01")
MOVES = {
    "pending": {"confirmed", "hold", "cancelled"}, "confirmed": {"processing", "hold", "cancelled"},
    "processing": {"shipped", "hold", "cancelled"}, "hold": {"pending", "confirmed", "processing", "cancelled"},
    "shipped": {"delivered"}, "delivered": {"completed", "refunded"}, "completed": {"refunded"}, "cancelled": set(), "refunded": set(),
}

quick = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
money = st.integers(0, 10**10).map(lambda paisa: Decimal(paisa) / 100)
small_money = st.integers(0, 10**6).map(lambda paisa: Decimal(paisa) / 100)
items = st.lists(st.tuples(money, st.integers(1, 100000)), min_size=1, max_size=6)
small_items = st.lists(st.tuples(small_money, st.integers(1, 20)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def one_shop(platform):
    return Owner(platform).open_shop()


def text_of(value):
    """JSON with every digit that Decimal has: the standard encoder would go through binary floating point."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return "{" + ",".join(f'"{name}":{text_of(member)}' for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(text_of(member) for member in value) + "]"
    return {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else \
        str(value) if isinstance(value, int) else f'"{value}"'


def send(shop, method, path, body, status=None):
    answer = shop.request(method, path, body=text_of(body))
    assert status in (None, answer.status_code), answer
    return answer


def data(answer):
    return answer.json(parse_float=Decimal)["data"]


def lines(rows):
    return [{"name": "x", "price": price, "quantity": quantity} for price, quantity in rows]


def off(terms, sub_total):
    """What a code takes off, as the contract says it."""
    if terms.get("minimum_order_value", 0) > sub_total:
        return None
    if "amount" in terms:
        return min(terms["amount"], sub_total)
    taken = (sub_total * terms["percentage"] / 100).quantize(PAISA, ROUND_HALF_UP)
    return min(taken, sub_total, terms.get("maximum_discount_amount", taken))


# ---- sums -------------------------------------------------------------------------------------------------------------


@quick
@given(rows=items, tax=money, shipping=money, discount=money)
def test_totals(one_shop, rows, tax, shipping, discount):
    sub_total = sum(price * quantity for price, quantity in rows)
    answer = send(one_shop, "POST", ORDERS, {"items": lines(rows), "tax": tax, "shipping": shipping, "discount": discount})
    if sub_total + tax + shipping > LARGEST or discount > sub_total + tax + shipping:
        is_error(answer, 400, "validation_error")
        return
    assert answer.status_code == 201, answer
    order = data(answer)
    assert (order["sub_total"], order["tax"], order["shipping"], order["discount"]) == (sub_total, tax, shipping, discount)
    assert order["grand_total"] == sub_total + tax + shipping - discount
    assert [(item["price"], item["quantity"]) for item in order["items"]] == rows


@quick
@given(price=st.integers(0, 10**13), decimals=st.integers(3, 6))
def test_more_than_two_decimals_are_refused(one_shop, price, decimals):
    assume(price % 10)
    value = Decimal(price).scaleb(-decimals)
    is_error(send(one_shop, "POST", ORDERS, {"items": [{"name": "x", "price": value, "quantity": 1}]}), 400, "validation_error")


# ---- discounts --------------------------------------------------------------------------------------------------------

percentage = st.integers(0, 10000).map(lambda hundredths: Decimal(hundredths) / 100)
positive = st.integers(1, 10**6).map(lambda paisa: Decimal(paisa) / 100)
all_terms = st.one_of(
    st.fixed_dictionaries({"percentage": percentage}, optional={"maximum_discount_amount": positive, "minimum_order_value": small_money}),
    st.fixed_dictionaries({"amount": positive}, optional={"minimum_order_value": small_money}))


@quick
@given(terms=all_terms, free=st.booleans(), rows=small_items, tax=small_money, shipping=small_money, by_hand=small_money, again=small_items)
def test_discounts(one_shop, terms, free, rows, tax, shipping, by_hand, again):
    """A code's part, with what is given by hand, never beyond what there is; and anew when the items are replaced."""
    made = data(send(one_shop, "POST", DISCOUNTS, {"code": "ANY", "free_shipping_on": free, **terms}, 201))
    try:
        sub_total = sum(price * quantity for price, quantity in rows)
        taken, due = off(terms, sub_total), Decimal(0) if free else shipping
        trial = data(one_shop.get(f"{DISCOUNTS}/validate/any", params={"subtotal": format(sub_total, "f")}))
        assert (trial["valid"], trial.get("amount")) == (taken is not None, taken)
        answer = send(one_shop, "POST", ORDERS, {"items": lines(rows), "tax": tax, "shipping": shipping, "discount": by_hand, "discount_code": "any"})
        if taken is None:
            assert is_error(answer, 409, "invalid_discount")["reason"] == "minimum_order_value"
            return
        most = sub_total + tax + due
        if by_hand > most:
            is_error(answer, 400, "validation_error")
            return
        order = data(answer)
        assert (order["shipping"], order["discount"]) == (due, min(by_hand + taken, most))
        assert order["grand_total"] == most - order["discount"] >= 0
        new_sub_total = sum(price * quantity for price, quantity in again)
        answer = send(one_shop, "PUT", f"{ORDERS}/{order['order_id']}", {"items": lines(again)})
        most = new_sub_total + tax + due
        if by_hand > most:
            is_error(answer, 400, "validation_error")
        else:
            after = data(answer)
            assert after["discount"] == min(by_hand + (off(terms, new_sub_total) or 0), most)
            assert after["grand_total"] == most - after["discount"]
    finally:
        send(one_shop, "DELETE", f"{DISCOUNTS}/{made['discount_id']}", {}, 200)


# ---- the life of orders -----------------------------------------------------------------------------------------------


class Life(RuleBasedStateMachine):
    """Orders of two variants with one code, moved in any way: stock, uses and statuses are those of the model."""

    shop = None

    @initialize(stock=st.integers(0, 30), total_use=st.integers(1, 3))
    def open(self, stock, total_use):
        self.product, self.skus = goods.add_product(self.shop, (10, stock), (Decimal("19.99"), stock))
        self.stock = dict.fromkeys(self.skus, stock)
        self.code = f"C{self.product}"
        self.total_use = total_use
        self.discount = data(send(self.shop, "POST", DISCOUNTS, {"code": self.code, "percentage": 15, "total_use": total_use}, 201))
        self.orders = {}

    def wanted(self, quantities):
        return {sku: quantity for sku, quantity in zip(self.skus, quantities) if quantity}

    def uses(self):
        return sum(order["code"] and order["status"] not in ("cancelled", "deleted") for order in self.orders.values())

    @rule(quantities=st.tuples(st.integers(0, 9), st.integers(0, 9)), code=st.booleans())
    def place(self, quantities, code):
        wanted = self.wanted(quantities)
        if not wanted:
            return
        body = {"items": [{"sku_id": sku, "quantity": quantity} for sku, quantity in wanted.items()], **({"discount_code": self.code} if code else {})}
        answer = send(self.shop, "POST", ORDERS, body)
        if any(self.stock[sku] < quantity for sku, quantity in wanted.items()):
            is_error(answer, 409, "insufficient_stock")
        elif code and self.uses() >= self.total_use:
            assert is_error(answer, 409, "invalid_discount")["reason"] == "total_use"
        else:
            assert answer.status_code == 201, answer
            for sku, quantity in wanted.items():
                self.stock[sku] -= quantity
            self.orders[data(answer)["order_id"]] = {"status": "pending", "from": None, "held": wanted, "code": code}

    def any_order(self, draw):
        return draw.draw(st.sampled_from(sorted(self.orders)))

    def give_back(self, order):
        for sku, quantity in order["held"].items():
            self.stock[sku] += quantity

    @precondition(lambda self: self.orders)
    @rule(draw=st.data(), to=st.sampled_from(sorted(MOVES)))
    def move(self, draw, to):
        order_id = self.any_order(draw)
        order = self.orders[order_id]
        answer = send(self.shop, "PUT", f"{ORDERS}/{order_id}/status", {"status": to})
        if order["status"] == "deleted":
            is_error(answer, 404, "not_found")
        elif to not in MOVES[order["status"]]:
            assert set(is_error(answer, 409, "invalid_transition")["allowed"]) == MOVES[order["status"]]
        else:
            assert data(answer)["order_status"] == to and data(answer)["held_from"] == (order["status"] if to == "hold" else None)
            if to == "cancelled":
                self.give_back(order)
            order["status"] = to

    @precondition(lambda self: self.orders)
    @rule(draw=st.data(), quantities=st.tuples(st.integers(0, 9), st.integers(0, 9)))
    def replace(self, draw, quantities):
        order_id, wanted = self.any_order(draw), self.wanted(quantities)
        order = self.orders[order_id]
        if not wanted:
            return
        answer = send(self.shop, "PUT", f"{ORDERS}/{order_id}", {"items": [{"sku_id": sku, "quantity": quantity} for sku, quantity in wanted.items()]})
        if order["status"] == "deleted":
            is_error(answer, 404, "not_found")
        elif order["status"] != "pending":
            is_error(answer, 409, "conflict")
        elif any(self.stock[sku] + order["held"].get(sku, 0) < quantity for sku, quantity in wanted.items()):
            is_error(answer, 409, "insufficient_stock")
        else:
            assert answer.status_code == 200, answer
            self.give_back(order)
            for sku, quantity in wanted.items():
                self.stock[sku] -= quantity
            order["held"] = wanted
            sub_total = sum((10, Decimal("19.99"))[self.skus.index(sku)] * quantity for sku, quantity in wanted.items())
            assert data(answer)["discount"] == ((sub_total * 15 / 100).quantize(PAISA, ROUND_HALF_UP) if order["code"] else 0)

    @precondition(lambda self: self.orders)
    @rule(draw=st.data())
    def delete(self, draw):
        order_id = self.any_order(draw)
        order = self.orders[order_id]
        answer = self.shop.delete(f"{ORDERS}/{order_id}")
        if order["status"] == "deleted":
            is_error(answer, 404, "not_found")
        elif order["status"] not in ("pending", "cancelled"):
            is_error(answer, 409, "conflict")
        else:
            assert answer.status_code == 200, answer
            if order["status"] == "pending":
                self.give_back(order)
            order["status"] = "deleted"

    @rule(change=st.integers(-9, 9), which=st.integers(0, 1))
    def adjust(self, change, which):
        sku = self.skus[which]
        answer = send(self.shop, "POST", f"/api/apps/v1/inventory/{self.product}/adjust", {"sku_id": sku, "adjustment": change})
        if self.stock[sku] + change < 0:
            is_error(answer, 409, "insufficient_stock")
        else:
            self.stock[sku] += change
            assert data(answer)["quantity"] == self.stock[sku]

    def teardown(self):
        if not hasattr(self, "orders"):
            return
        assert {sku: goods.stock(self.shop, sku) for sku in self.skus} == self.stock
        assert data(self.shop.get(f"{DISCOUNTS}/{self.discount['discount_id']}"))["used"] == self.uses()
        for operation in "store-data.inventory.verify", "store-data.discounts.verify", "store-data.counts.verify":
            answer = self.shop.platform.call(operation, store_id=self.shop.store_id)
            assert answer["ok"], answer


def test_the_life_of_orders(shop):
    Life.shop = shop
    run_state_machine_as_test(Life, settings=settings(max_examples=30, stateful_step_count=30, deadline=None, derandomize=True,
                                                      suppress_health_check=list(HealthCheck)))

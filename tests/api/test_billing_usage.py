"""Usage: counted exactly, capped to the paisa, told at half, four fifths and all of a cap, and charged once a month."""

import concurrent.futures
import random
import uuid
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from .client import is_error
from .payments import say
from .subscriptions import BILLING, UTC, StoreClock, begin_of, events, future, settle, text

USAGE = f"{BILLING}/usage-charges"
MONTH = future(3, 10).replace(hour=9)


def use(shop, quantity, unit_price, **fields):
    return shop.post(USAGE, {"description": "SMS", "quantity": quantity, "unit_price": unit_price, **fields})


def used(shop, quantity, unit_price, **fields):
    answer = use(shop, quantity, unit_price, **fields)
    assert answer.status_code == 201, answer.text
    return answer.json(parse_float=Decimal)["data"]


def item(quantity, unit_price, key=None, **fields):
    return {"description": "SMS", "quantity": quantity, "unit_price": unit_price, "idempotency_key": key or str(uuid.uuid4()), **fields}


def batch(shop, items, **fields):
    answer = shop.post(f"{USAGE}/batch", {"charges": items, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json(parse_float=Decimal)["data"]


def charges(shop):
    """Those that usage became: the newest first."""
    rows = shop.platform.postgres.rows("select charge_id, amount, platform_amount, gateway_fee_amount, developer_amount, status from billing.charge "
                                       "where store_id = %s and charge_type = 'usage' order by charge_id desc", (shop.store_id,))
    return [dict(zip(("charge_id", "amount", "platform", "gateway", "developer", "status"), row)) for row in rows]


def thresholds(shop):
    return [(data["percent"], Decimal(str(data["used"]))) for topic, data in events(shop) if topic == "usage.threshold_reached"]


def test_the_worked_figures(shop):
    shop.platform.call("billing.terms.set", app_id=shop.app_id, commission_rate=100000)
    one, five = used(shop, 1, 2.5), used(shop, 5, 2.5, metadata={"to": "Dhaka"})
    assert [(row["amount"], row["platform_amount"], row["developer_amount"]) for row in (one, five)] == [
        (Decimal("2.50"), Decimal("0.25"), Decimal("2.25")), (Decimal("12.50"), Decimal("1.25"), Decimal("11.25"))]
    assert (five["status"], five["currency"], five["charge_id"], five["metadata"]) == ("pending", "BDT", None, {"to": "Dhaka"})
    listed = shop.get(USAGE).json(parse_float=Decimal)
    assert listed["data"] == [five, one] and listed["pagination"]["total"] == 2
    page = shop.get(f"{USAGE}?limit=1").json(parse_float=Decimal)
    assert page["data"] == [five]
    assert shop.get(f"{USAGE}?limit=1&cursor={page['pagination']['next_cursor']}").json(parse_float=Decimal)["data"] == [one]


def test_amounts_are_rounded_half_up(shop):
    random.seed(20261122)
    for _ in range(40):
        quantity, price = Decimal(random.randrange(1, 20000)).scaleb(-3), Decimal(random.randrange(1, 9999)).scaleb(-2)
        expected = (quantity * price).quantize(Decimal("0.01"), ROUND_HALF_UP)
        answer = shop.request("POST", USAGE, body=f'{{"description": "SMS", "quantity": {quantity}, "unit_price": {price}}}')
        if expected == 0:
            is_error(answer, 400, "invalid_amount")
            continue
        row = answer.json(parse_float=Decimal)["data"]
        assert row["amount"] == expected and row["platform_amount"] + row["developer_amount"] == expected, row
        assert row["platform_amount"] == (expected / 5).quantize(Decimal("0.01"), ROUND_HALF_UP) and Decimal(row["quantity"]) == quantity


def test_bad_input(shop, owner):
    for quantity, price in ((0, 1), (-1, 1), (1, 0), (1, -2.5), (1, 0.005), (0.001, 0.01), (1000000, 1000)):
        is_error(use(shop, quantity, price), 400, "invalid_amount")
    for quantity, price in (("5", 1), (1, "2.50"), (1, None), (0.0001, 1), (1e10, 1)):
        is_error(use(shop, quantity, price), 400, "validation_error")
    is_error(shop.request("POST", USAGE, body='{"description": "x", "quantity": 1e2, "unit_price": 1}'), 400, "validation_error")
    is_error(shop.request("POST", USAGE, body='{"description": "x", "quantity": NaN, "unit_price": 1}'), 400, "invalid_json")
    for charges_ in ([], [item(1, 1)] * 501, [{"description": "SMS", "quantity": 1, "unit_price": 1}]):
        is_error(shop.post(f"{USAGE}/batch", {"charges": charges_}), 400, "validation_error")
    assert owner.open_shop().get(USAGE).json()["data"] == [] == shop.get(USAGE).json()["data"]


def test_each_of_a_batch_is_answered_in_its_place(shop):
    known = used(shop, 2, 1, idempotency_key="known")
    results = batch(shop, [item(1, 1, "a"), item(0, 1, "b"), item(2, 1, "known"), item(3, 1, "known"), item(1, 1, "a"), item(9, 1, "a"),
                           item(1, 0.005, "c"), item(4, 1, "d", metadata={"n": 1.50})])
    assert [(result["index"], result["status"], result.get("repeated"), result.get("code"), result.get("field")) for result in results] == [
        (0, "succeeded", None, None, None), (1, "failed", None, "invalid_amount", "quantity"), (2, "succeeded", True, None, None),
        (3, "failed", None, "idempotency_conflict", "idempotency_key"), (4, "succeeded", True, None, None),
        (5, "failed", None, "idempotency_conflict", "idempotency_key"), (6, "failed", None, "invalid_amount", "unit_price"),
        (7, "succeeded", None, None, None)]
    assert results[2]["usage_charge"] == known and results[4]["usage_charge"] == results[0]["usage_charge"]
    assert [row["amount"] for row in shop.get(USAGE).json()["data"]] == [4, 1, 2]
    again = batch(shop, [item(1, 1, "a"), item(4, 1, "d", metadata={"n": 1.50})])
    assert [(result["repeated"], result["usage_charge"]) for result in again] == [(True, results[0]["usage_charge"]), (True, results[7]["usage_charge"])]
    first = use(shop, 1, 1, idempotency_key="a")
    assert first.status_code == 201 and first.headers["Idempotent-Replayed"] == "true"
    is_error(use(shop, 2, 1, idempotency_key="d"), 409, "idempotency_conflict")
    assert len(shop.get(USAGE).json()["data"]) == 3


def test_a_batch_of_the_same_key(shop):
    key, items = {"Idempotency-Key": str(uuid.uuid4())}, [item(1, 1)]
    first, again = (shop.post(f"{USAGE}/batch", {"charges": items}, headers=key) for _ in range(2))
    assert first.status_code == 200 and first.content == again.content
    is_error(shop.post(f"{USAGE}/batch", {"charges": items * 2}, headers=key), 409, "idempotency_conflict")
    is_error(shop.post(f"{USAGE}/batch", {"charges": items, "capped_amount": 9.99}), 400, "invalid_amount")


def test_a_cap_is_reached_to_the_paisa_and_told_once_each(shop):
    clock = StoreClock(shop, MONTH)
    used(shop, 1, 49.99, capped_amount=100)
    assert thresholds(shop) == []
    used(shop, 1, 0.01)
    used(shop, 1, 45)
    is_error(use(shop, 1, 5.01), 400, "invalid_amount")
    is_error(use(shop, 1, 1, capped_amount=94.99), 400, "invalid_amount")
    used(shop, 1, 5)
    is_error(use(shop, 1, 0.01), 400, "invalid_amount")
    assert thresholds(shop) == [(50, 50), (80, 95), (100, 100)]
    used(shop, 1, 100, capped_amount=200)
    assert len(thresholds(shop)) == 3
    clock.advance(days=31)                                  # another month, the same cap
    used(shop, 1, 200)
    is_error(use(shop, 1, 0.01), 400, "invalid_amount")
    assert thresholds(shop)[3:] == [(50, 200), (80, 200), (100, 200)]


def test_nobody_passes_a_cap_beside_others(shop):
    used(shop, 1, 0.01, capped_amount=200)

    def send(n):
        if n % 4:
            return [use(shop, 1, 0.73, idempotency_key=f"one-{n}").status_code == 201]
        return [result["status"] == "succeeded" for result in batch(shop, [item(1, 0.73, f"{n}-{i}") for i in range(10)])]

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        taken = [done for answer in pool.map(send, range(128)) for done in answer]
    assert taken.count(True) == 273                         # 0.01 + 273 x 0.73 = 199.30: the next one would be 200.03
    [[amount, used_, rows]] = shop.platform.postgres.rows(
        "select b.amount, b.used, (select sum(amount) from billing.usage_charge as u where u.usage_bill_id = b.usage_bill_id) "
        "from billing.usage_bill as b where store_id = %s", (shop.store_id,))
    assert amount == used_ == rows == 19930
    assert [percent for percent, _ in thresholds(shop)] == [50, 80]
    used(shop, 1, 0.70)
    assert [percent for percent, _ in thresholds(shop)] == [50, 80, 100]


def test_a_month_becomes_one_charge(shop):
    clock = StoreClock(shop, MONTH)
    rows = [used(shop, 1, price) for price in (3.33, 3.33, 3.33, 0.01)]
    clock.advance(to=datetime(MONTH.year, 3, 31, 23, 59, 59, 999000, tzinfo=UTC))
    assert charges(shop) == []
    clock.advance(to=datetime(MONTH.year, 4, 1, tzinfo=UTC))
    [charge] = charges(shop)
    platform = sum(row["platform_amount"] for row in rows)
    assert (charge["amount"], charge["platform"], charge["gateway"], charge["developer"]) == (1000, int(platform * 100), 0, 1000 - int(platform * 100))
    shown = shop.get(f"{BILLING}/charges/{charge['charge_id']}").json()["data"]
    assert (shown["charge_type"], shown["status"], shown["description"], shown["expires_at"]) == (
        "usage", "pending", f"{MONTH.year}-03-01 to {MONTH.year}-03-31", text(clock.now + timedelta(days=7)))
    assert {(row["status"], row["charge_id"]) for row in shop.get(USAGE).json()["data"]} == {("billed", charge["charge_id"])}
    settle(shop, charge["charge_id"])
    assert {row["status"] for row in shop.get(USAGE).json()["data"]} == {"paid"}
    clock.advance(days=400)
    assert len(charges(shop)) == 1 and [topic for topic, _ in events(shop)] == ["charge.created", "charge.activated"]


def test_less_than_ten_is_carried_over(shop):
    clock = StoreClock(shop, MONTH)
    used(shop, 1, 9.99, capped_amount=10)
    for _ in range(3):
        clock.advance(to=begin_of(clock.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0), 1, 1))
        assert charges(shop) == []
    used(shop, 1, 10)                                       # this month's alone counts against the cap
    is_error(use(shop, 1, 0.01), 400, "invalid_amount")
    clock.advance(days=31)
    [charge] = charges(shop)
    assert charge["amount"] == 1999
    assert say(shop, charge, "decline").status_code == 200
    assert {row["status"] for row in shop.get(USAGE).json()["data"]} == {"declined"}


def test_the_first_use_of_a_month_closes_the_last_one(shop):
    """Where the scheduler has not come to it yet: what is used now is in a bill of its own."""
    clock = StoreClock(shop, MONTH)
    used(shop, 1, 20)
    shop.platform.postgres.rows("update billing.clock set at = at + interval '40 days' where store_id = %s", (shop.store_id,))
    now = used(shop, 1, 30)
    [charge] = charges(shop)
    assert charge["amount"] == 2000 and now["charge_id"] is None
    clock.advance(days=90)
    assert [each["amount"] for each in charges(shop)] == [3000, 2000]


def test_no_bill_is_larger_than_a_charge_may_be(shop):
    used(shop, 49999, 1)
    is_error(use(shop, 1.01, 1), 400, "invalid_amount")
    used(shop, 1, 1)
    is_error(use(shop, 1, 0.01), 400, "invalid_amount")

"""Subscriptions: made, paid, renewed, late, declined and cancelled; month ends and leap days; the first answer again."""

import time
import uuid
from datetime import timedelta

import pytest

from .client import is_error
from .payments import DECLINED, say
from .rpc import RpcError
from .subscriptions import BILLING, GRACE, NOTICE, StoreClock, begin_of, events, future, settle, text

SUBSCRIPTIONS = f"{BILLING}/subscriptions"


def make(shop, **fields):
    body = {"name": "Pro plan", "amount": 500, "billing_interval": "monthly", **fields}
    answer = shop.post(SUBSCRIPTIONS, body)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def see(shop, subscription):
    return shop.get(f"{SUBSCRIPTIONS}/{subscription['recurring_charge_id']}").json()["data"]


def charge_of(shop, charge_id):
    return shop.get(f"{BILLING}/charges/{charge_id}").json()["data"]


def topics(shop):
    return [topic for topic, _ in events(shop)]


def test_it_waits_for_its_first_payment(shop):
    made = make(shop, description="All of it", metadata={"plan": "pro"}, return_url="https://app.example/back")
    assert (made["status"], made["payment_status"], made["billing_interval"], made["trial_days"], made["charge_type"]) == (
        "pending", "pending", "monthly", 0, "recurring")
    assert (made["amount"], made["platform_amount"], made["gateway_fee_amount"], made["developer_amount"]) == (500, 100, 12.5, 387.5)
    assert made["recurring_charge_id"] == made["charge_id"] and made["confirmation_url"].endswith(f"/{made['charge_id']}")
    charge = charge_of(shop, made["charge_id"])
    assert (charge["charge_type"], charge["billing_interval"], charge["trial_days"], charge["recurring_charge_id"], charge["metadata"]) == (
        "recurring", "monthly", 0, made["recurring_charge_id"], {"plan": "pro"})
    assert see(shop, made) == made
    listed = shop.get(SUBSCRIPTIONS).json()
    assert listed["data"] == [made] and listed["pagination"]["total"] == 1
    assert topics(shop) == ["charge.created"]


def test_the_spelling_as_a_charge(shop):
    made = shop.post(f"{BILLING}/charges", {"name": "Pro plan", "amount": 500, "type": "recurring", "billing_interval": "annual"})
    charge = made.json()["data"]
    assert made.status_code == 201 and (charge["charge_type"], charge["billing_interval"]) == ("recurring", "yearly")
    assert see(shop, charge)["charge_id"] == charge["charge_id"]
    once = shop.post(f"{BILLING}/charges", {"name": "Setup", "amount": 500, "type": "one_time"}).json()["data"]
    assert (once["charge_type"], once["recurring_charge_id"], once["billing_interval"]) == ("one_time", None, None)
    is_error(shop.get(f"{SUBSCRIPTIONS}/{once['charge_id']}"), 404, "not_found")


def test_bad_input(shop, owner):
    good = {"name": "Pro plan", "amount": 500, "billing_interval": "monthly"}
    for fields in ({"amount": 9.99}, {"amount": 50000.01}, {"amount": -1}, {"amount": 0}, {"amount": 100.001}):
        is_error(shop.post(SUBSCRIPTIONS, {**good, **fields}), 400, "invalid_amount")
    for fields in ({"amount": "500"}, {"billing_interval": "weekly"}, {"trial_days": -1}, {"trial_days": 366}, {"trial_days": 1.5},
                   {"currency": "USD"}, {"name": ""}, {"billing_interval": None}):
        is_error(shop.post(SUBSCRIPTIONS, {**good, **fields}), 400, "validation_error")
    is_error(shop.request("POST", SUBSCRIPTIONS, body='{"name": "x", "amount": 1e3, "billing_interval": "monthly"}'), 400, "validation_error")
    made = make(shop)
    other = owner.open_shop()
    is_error(other.get(f"{SUBSCRIPTIONS}/{made['recurring_charge_id']}"), 404, "not_found")
    is_error(other.post(f"{SUBSCRIPTIONS}/{made['recurring_charge_id']}/cancel", {}), 404, "not_found")
    assert other.get(SUBSCRIPTIONS).json()["data"] == []


def test_the_same_key_in_the_body_is_the_same_subscription(shop):
    body = {"name": "Pro plan", "amount": 500, "billing_interval": "monthly", "idempotency_key": str(uuid.uuid4())}
    first, again = shop.post(SUBSCRIPTIONS, body), shop.post(SUBSCRIPTIONS, body)
    assert first.status_code == 201 and first.content == again.content and again.headers["Idempotent-Replayed"] == "true"
    is_error(shop.post(SUBSCRIPTIONS, {**body, "amount": 600}), 409, "idempotency_conflict")
    assert topics(shop) == ["charge.created"]
    cancel, key = f"{SUBSCRIPTIONS}/{first.json()['data']['recurring_charge_id']}/cancel", {"Idempotency-Key": str(uuid.uuid4())}
    first, again = (shop.post(cancel, {"reason": "moved"}, headers=key) for _ in range(2))
    assert first.status_code == 200 and first.content == again.content
    is_error(shop.post(cancel, {"reason": "closed"}, headers=key), 409, "idempotency_conflict")


@pytest.mark.parametrize("interval, months, day", [("monthly", 1, 31), ("monthly", 1, 29), ("yearly", 12, 28), ("annual", 12, 31)])
def test_periods_are_counted_from_the_first_one(shop, interval, months, day):
    anchor = future(day=day)
    clock = StoreClock(shop, anchor)
    made = make(shop, billing_interval=interval)
    settle(shop, made["charge_id"])
    for number in range(1, 16 if months == 1 else 4):
        ends = begin_of(anchor, months, number)
        now = see(shop, made)
        assert (now["status"], now["periods_paid"], now["current_period_end"]) == ("active", number, text(ends))
        clock.advance(to=ends - NOTICE - timedelta(milliseconds=1))
        assert see(shop, made)["charge_id"] == now["charge_id"]
        clock.advance(to=ends - NOTICE)
        asked = see(shop, made)
        assert asked["charge_id"] > now["charge_id"] and asked["payment_status"] == "pending" and asked["expires_at"] == text(ends + GRACE)
        topic, data = events(shop)[-1]
        assert (topic, data["charge_id"], data["recurring_charge_id"]) == ("subscription.renewal_pending", asked["charge_id"], made["charge_id"])
        clock.advance(days=(number * 7) % 10)               # in time, on the last day, or late
        settle(shop, asked["charge_id"])
        assert charge_of(shop, now["charge_id"])["status"] == "completed"
        assert [charge["charge_id"] for charge in shop.get(f"{BILLING}/active").json()["data"]] == [asked["charge_id"]]


def test_a_trial_delays_the_first_payment(shop):
    start = future()
    clock = StoreClock(shop, start)
    made = make(shop, trial_days=14)
    assert (made["status"], made["trial_ends_at"], made["payment_status"]) == ("active", text(start + timedelta(days=14)), "pending")
    clock.advance(days=11)
    assert topics(shop) == ["charge.created", "subscription.renewal_pending"]
    clock.advance(days=9)
    assert see(shop, made)["status"] == "active"
    settle(shop, made["charge_id"])
    now = see(shop, made)
    assert (now["current_period_start"], now["current_period_end"]) == (
        text(start + timedelta(days=14)), text(begin_of(start + timedelta(days=14), 1, 1)))


def test_seven_days_of_grace_and_no_longer(shop):
    clock = StoreClock(shop, future())
    made = make(shop)
    settle(shop, made["charge_id"])
    ends = begin_of(clock.now, 1, 1)
    clock.advance(to=ends + GRACE - timedelta(milliseconds=1))
    late = see(shop, made)
    assert (late["status"], late["payment_status"]) == ("active", "pending")
    settle(shop, late["charge_id"], card=DECLINED)
    assert see(shop, made)["payment_status"] == "pending"
    clock.advance(to=ends + GRACE)
    over = see(shop, made)
    assert (over["status"], over["reason"], over["payment_status"], over["cancelled_at"]) == ("cancelled", "payment_overdue", "expired", text(ends + GRACE))
    assert charge_of(shop, made["charge_id"])["status"] == "cancelled"
    assert topics(shop) == ["charge.created", "charge.activated", "charge.created", "subscription.renewal_pending", "charge.payment_failed",
                            "charge.expired", "charge.cancelled"]
    assert shop.get(f"{BILLING}/active").json()["data"] == []
    clock.advance(days=1000)
    assert len(topics(shop)) == 7


def test_a_first_payment_that_nobody_makes(shop):
    clock = StoreClock(shop, future())
    made = make(shop)
    clock.advance(hours=48)
    now = see(shop, made)
    assert (now["status"], now["reason"], now["payment_status"]) == ("cancelled", "expired", "expired")
    assert topics(shop) == ["charge.created", "charge.expired"]


def test_a_merchant_who_declines_keeps_what_is_paid_for(shop):
    clock = StoreClock(shop, future())
    made = make(shop)
    settle(shop, made["charge_id"])
    ends = begin_of(clock.now, 1, 1)
    clock.advance(to=ends - NOTICE)
    assert say(shop, {"charge_id": see(shop, made)["charge_id"]}, "decline").status_code == 200
    now = see(shop, made)
    assert (now["status"], now["cancel_at_period_end"], now["payment_status"]) == ("active", 1, "declined")
    clock.advance(to=ends)
    now = see(shop, made)
    assert (now["status"], now["reason"]) == ("cancelled", "declined")
    assert topics(shop)[-2:] == ["charge.declined", "charge.cancelled"]
    first = make(shop)
    assert say(shop, first, "decline").status_code == 200
    assert (see(shop, first)["status"], see(shop, first)["reason"]) == ("cancelled", "declined")


def test_its_app_cancels_it(shop):
    clock = StoreClock(shop, future())
    at_once, later, waiting = make(shop), make(shop), make(shop)
    for each in (at_once, later):
        settle(shop, each["charge_id"])
    path = f"{SUBSCRIPTIONS}/{{}}/cancel"
    answer = shop.post(path.format(at_once["recurring_charge_id"]), {})
    assert answer.status_code == 200 and answer.json()["data"]["status"] == "cancelled" and answer.json()["data"]["reason"] == "cancelled_by_app"
    assert shop.post(path.format(at_once["recurring_charge_id"])).json()["data"] == answer.json()["data"]
    assert charge_of(shop, at_once["charge_id"])["status"] == "cancelled"
    clock.advance(to=begin_of(clock.now, 1, 1) - NOTICE)
    answer = shop.post(path.format(later["recurring_charge_id"]), {"at_period_end": True, "reason": "moved"}).json()["data"]
    assert (answer["status"], answer["cancel_at_period_end"], answer["payment_status"]) == ("active", 1, "cancelled")
    clock.advance(days=3)
    now = see(shop, later)
    assert (now["status"], now["reason"]) == ("cancelled", "moved")
    assert see(shop, waiting)["status"] == "cancelled"
    fresh = make(shop)
    assert shop.post(path.format(fresh["recurring_charge_id"]), {"at_period_end": True}).json()["data"]["status"] == "cancelled"
    clock.advance(days=400)
    assert topics(shop).count("charge.cancelled") == 4      # two that were active, a renewal, and one that was never paid


def test_the_end_of_the_installation_ends_them(shop):
    clock = StoreClock(shop, future())
    waiting, active, leaving = make(shop), make(shop), make(shop)
    for each in (active, leaving):
        settle(shop, each["charge_id"])
    assert shop.post(f"{SUBSCRIPTIONS}/{leaving['recurring_charge_id']}/cancel", {"at_period_end": True}).status_code == 200
    assert shop.post(f"{BILLING}/usage-charges", {"description": "SMS", "quantity": 20, "unit_price": 1}).status_code == 201
    told = len(events(shop))
    end = {"installation_id": shop.installation_id, "generation": 1, "store_id": shop.store_id, "app_id": shop.app_id}

    def ended():
        try:
            return shop.platform.call("billing.installations.end", **end)
        except RpcError as problem:                         # while webhooks has not heard of all of it
            assert problem.code == "service_unavailable"
            return None

    until = time.monotonic() + 60
    while not ended():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert {(see(shop, each)["status"], see(shop, each)["reason"]) for each in (waiting, active, leaving)} == {("cancelled", "app_uninstalled")}
    assert {see(shop, each)["cancelled_at"] for each in (waiting, active, leaving)} == {text(clock.now)}
    cancelled = events(shop)[told:]
    assert sorted((topic, data["charge_id"], data["reason"]) for topic, data in cancelled) == sorted(
        ("charge.cancelled", each["charge_id"], "app_uninstalled") for each in (waiting, active, leaving))
    assert ended() and len(events(shop)) == told + 3
    assert [row["status"] for row in shop.get(f"{BILLING}/usage-charges").json()["data"]] == ["cancelled"]
    good = {"name": "Pro plan", "amount": 500, "billing_interval": "monthly"}
    item = {"description": "SMS", "quantity": 1, "unit_price": 1, "idempotency_key": "k"}
    for path, body in ((SUBSCRIPTIONS, good), (f"{BILLING}/usage-charges", item), (f"{BILLING}/usage-charges/batch", {"charges": [item]}),
                       (f"{SUBSCRIPTIONS}/{active['recurring_charge_id']}/cancel", {})):
        is_error(shop.post(path, body), 400, "invalid_installation")


def test_fees_are_those_of_the_day_of_asking(shop):
    clock = StoreClock(shop, future())
    made = make(shop)
    settle(shop, made["charge_id"])
    shop.platform.call("billing.terms.set_fee_payer", app_id=shop.app_id, fee_payer="merchant", version=1)
    shop.platform.call("billing.terms.set", app_id=shop.app_id, commission_rate=100000)
    clock.advance(to=begin_of(clock.now, 1, 1))
    now = see(shop, made)
    assert (now["amount"], now["base_amount"], now["platform_amount"], now["gateway_fee_amount"], now["developer_amount"]) == (
        562.5, 500, 50, 12.5, 500)
    assert charge_of(shop, made["charge_id"])["platform_amount"] == 100


def test_a_stores_clock_goes_forward_only(shop):
    clock = StoreClock(shop, future())
    with pytest.raises(RpcError) as refused:
        clock.advance(days=-1)
    assert refused.value.code == "validation_error"
    with pytest.raises(RpcError, match="before the year 9000"):
        shop.platform.call("billing.clock.advance", store_id=shop.store_id, to="9000-01-01T00:00:01Z")
    shop.platform.call("billing.clock.advance", store_id=shop.store_id, to="9000-01-01T00:00:00Z")
    make(shop, billing_interval="yearly", trial_days=365)


def test_a_clock_is_nobodys_outside_of_development(make_platform):
    platform = make_platform(settings={"SX_DEV": 0, "SX_CLOCK_FILE": ""})
    with pytest.raises(RpcError) as refused:
        platform.call("billing.clock.advance", store_id=1, to=text(future()))
    assert refused.value.code == "forbidden"

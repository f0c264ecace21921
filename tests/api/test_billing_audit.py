"""What people do to money is in the audit log, which is auth's (contract K.6): once for each deed, with who, from where, by which
request, and nothing for what changed nothing."""

import json
import uuid

import pytest

from .credentials import accepted, refused
from .payments import BILLING, Payer, approve, at_once, paid
from .rpc import RpcError
from .test_billing_developer import Developer
from .test_installations import until


@pytest.fixture
def payer(platform):
    return Payer(platform)


def deeds(platform, app_id):
    """Those of billing that an app's money saw, in their order, when none is on its way any more."""
    until(lambda: not platform.postgres.rows("select 1 from billing.outbox where topic = 'auth.audit'"))
    return platform.postgres.rows("select action, actor, actor_account_id, target, target_id, store_id from auth.audit where app_id = %s and "
                                  "event_id is not null order by audit_id", (app_id,))


def test_what_a_merchant_says(payer):
    asked, other = payer.charge_id(), payer.charge_id()
    trial = payer.shop.post(f"{BILLING}/subscriptions", {"name": "Pro", "amount": 100, "billing_interval": "monthly", "trial_days": 30}).json()["data"]
    for _ in range(2):                                                     # the second changes nothing
        accepted(payer.say(asked, "approve"))
        accepted(payer.say(other, "decline", reason="too dear"))
    accepted(payer.say(asked, "cancel"))
    refused(payer.say(asked, "approve"), 409, "conflict")
    done = paid(payer.shop, 50)["charge_id"]
    accepted(payer.say(trial["charge_id"], "decline"))
    assert deeds(payer.platform, payer.shop.app_id) == [
        (action, "account", payer.owner.account_id, "charge", charge_id, payer.store_id) for action, charge_id in (
            ("charge.approved", asked), ("charge.declined", other), ("charge.cancelled", asked), ("charge.approved", done),
            ("charge.declined", trial["charge_id"]))]
    listed = accepted(payer.platform.get("/api/audit", headers=payer.headers, params={"store_id": payer.store_id}))
    entry = next(row for row in reversed(listed) if row["action"] == "charge.approved")
    assert (entry["actor_account_id"], entry["actor_name"], entry["target_id"], entry["app_id"], entry["address"]) == (
        payer.owner.account_id, "Test Owner", asked, payer.shop.app_id, "127.0.0.1")
    assert len(entry["request_id"]) > 8 and payer.platform.log_lines(entry["request_id"])


def test_what_they_say_on_the_page(payer):
    for decision in ("approve", "decline"):
        charge = payer.charge()
        browser = payer.browser()
        browser.open(charge["confirmation_url"].removeprefix("https://admin.selorax.io"))
        browser.submit(decision)
    assert [row[:3] for row in deeds(payer.platform, payer.shop.app_id)] == [
        ("charge.approved", "account", payer.owner.account_id), ("charge.declined", "account", payer.owner.account_id)]


def test_the_end_of_a_subscription(payer):
    made = payer.shop.post(f"{BILLING}/subscriptions", {"name": "Pro", "amount": 100, "billing_interval": "monthly"}).json()["data"]
    path = approve(payer.shop, made)
    browser = payer.browser()
    browser.open(path)
    browser.submit("pay")
    assert payer.seen(made["charge_id"])["status"] == "active"
    for _ in range(2):
        accepted(payer.say(made["charge_id"], "cancel"))
    assert [(row[0], row[3], row[4]) for row in deeds(payer.platform, payer.shop.app_id)] == [
        ("charge.approved", "charge", made["charge_id"]), ("subscription.cancelled", "subscription", made["recurring_charge_id"])]


def test_what_developers_and_operators_do(platform):
    developer = Developer(platform)
    shop, app_id = developer.shops[0], developer.app_id
    charge = paid(shop, 1000)
    first, second = (developer.request(amount=100, idempotency_key=name).json()["data"]["payout_id"] for name in ("a", "b"))
    developer.request(amount=100, idempotency_key="a")
    assert developer.request(amount=10000).status_code == 400
    for _ in range(2):
        platform.call("billing.payouts.paid", payout_id=first)
        platform.call("billing.payouts.failed", payout_id=second, reason="no such bank")
    assert shop.post(f"{BILLING}/charges/{charge['charge_id']}/refund", {"amount": 10}).status_code == 201
    assert shop.post(f"{BILLING}/charges/{charge['charge_id']}/refund", {"amount": 10000}).status_code == 400
    platform.call("billing.wallets.adjust", app_id=app_id, store_id=shop.store_id, amount=500, description="a present")
    platform.call("billing.terms.set", app_id=app_id, commission_rate=100000)
    wallet_id = accepted(shop.get(f"{BILLING}/wallet"))["wallet_id"]
    person, operator, app = ("account", developer.account_id), ("operator", None), ("app", None)
    assert [row for row in deeds(platform, app_id) if row[0] != "charge.approved"] == [
        ("payout.requested", *person, "payout", first, None), ("payout.requested", *person, "payout", second, None),
        ("payout.paid", *operator, "payout", first, None), ("payout.failed", *operator, "payout", second, None),
        ("charge.refunded", *app, "charge", charge["charge_id"], shop.store_id),
        ("wallet.adjusted", *operator, "wallet", wallet_id, shop.store_id), ("app.terms_set", *operator, "app", app_id, None)]


def test_what_another_service_tells_is_kept_once(platform, shop):
    def told(event_id, topic="auth.audit"):
        data = {"actor": "operator", "account_id": None, "action": "test.told", "app_id": shop.app_id, "request_id": "r", "address": ""}
        return {"event_id": event_id, "topic": topic, "store_id": shop.store_id, "resource_type": "test", "resource_id": 7,
                "created_us": 1700000000123456, "data": json.dumps(data)}

    first, second = told(str(uuid.uuid4())), told(str(uuid.uuid4()))
    assert platform.call("auth.audit.add", events=[first, first]) == {"taken": 1}
    assert platform.call("auth.audit.add", events=[first, second]) == {"taken": 1}
    assert platform.postgres.rows("select actor, target, target_id, store_id, at = timestamptz 'epoch' + 1700000000123456 * interval '1 microsecond' "
                                  "from auth.audit where action = 'test.told' and app_id = %s", (shop.app_id,)) == [
        ("operator", "test", 7, shop.store_id, True)] * 2
    for bad in ([], [told("x")], [told(str(uuid.uuid4()), "charge.created")]):
        with pytest.raises(RpcError, match="validation_error"):
            platform.call("auth.audit.add", events=bad)


def test_a_lost_answer_and_a_killed_process_make_no_second_row(make_platform):
    """auth has taken the rows and billing does not hear of it: they come again."""
    platform = make_platform(durable=True)
    payer = Payer(platform)
    platform.postgres.rows("create function public.keep() returns trigger language plpgsql as $$ begin raise 'not yet'; end $$; "
                           "create trigger keep before delete on billing.outbox for each row when (old.topic = 'auth.audit') execute function public.keep()")
    charges = [payer.charge_id() for _ in range(5)]
    at_once(5, lambda n: accepted(payer.say(charges[n], "decline")))
    kept = "select count(*), count(distinct target_id) from auth.audit where action = 'charge.declined'"
    until(lambda: platform.postgres.rows(kept)[0][1] > 0)
    platform["billing-1"].kill()
    platform.postgres.rows("drop trigger keep on billing.outbox")
    platform["billing-1"].start()
    until(lambda: not platform.postgres.rows("select 1 from billing.outbox"))
    assert platform.postgres.rows(kept) == [(5, 5)]


def test_without_webhooks_deeds_are_kept(make_platform):
    platform = make_platform()
    payer = Payer(platform)
    until(lambda: not platform.postgres.rows("select 1 from billing.outbox"))
    charge_id = payer.charge_id()
    platform["webhooks-1"].kill()
    accepted(payer.say(charge_id, "decline"))
    platform["webhooks-1"].start()
    assert [row[0] for row in deeds(platform, payer.shop.app_id)] == ["charge.declined"]
    until(lambda: payer.topics(charge_id) == ["charge.created", "charge.declined"])

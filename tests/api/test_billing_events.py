"""Events of charges (contract D.1, D.2, K.4): every move of a charge reaches its app, once and in order, and nobody else's."""

import json
import time

import pytest

from .hooks import Sink, log_of, signature, subscribe
from .payments import BILLING, DECLINED, approve, begin, paid, pay, say
from .shop import Owner
from .test_uninstall import until
from .test_webhook_log import read_all

TOPICS = [f"charge.{move}" for move in ("created", "activated", "declined", "cancelled", "expired", "payment_failed")]


@pytest.fixture
def shop(owner):
    """One that webhooks knows already."""
    made = owner.open_shop()
    until(lambda: log_of(made.platform, made.installation_id))
    return made


def make(shop, amount=500, **fields):
    answer = shop.post(f"{BILLING}/charges", {"name": "Setup", "amount": amount, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def moves_of(log):
    """What an app's log says of each of its charges."""
    found = {}
    for row in log:
        if row["event_topic"].startswith("charge."):
            found.setdefault(row["data"]["charge_id"], []).append(row["event_topic"].removeprefix("charge."))
    return found


def moves(shop):
    return moves_of(read_all(shop, headers=shop.client))


def test_each_move_is_delivered(shop):
    stranger = shop.owner.open_shop(store_id=shop.store_id)                            # another app of the same store
    until(lambda: log_of(shop.platform, stranger.installation_id))
    with Sink() as sink, Sink() as other:
        secrets = {topic: subscribe(shop, f"{sink.url}/{topic}", topic)["signing_secret"] for topic in TOPICS}
        for topic in TOPICS:
            subscribe(stranger, other.url, topic)
        done = paid(shop, 500)
        failed, declined, cancelled = make(shop, 60), make(shop, 70), make(shop, 80)
        path = approve(shop, failed)
        begin(shop, path)
        pay(shop, path, card=DECLINED)
        assert say(shop, declined, "decline").status_code == 200
        assert shop.post(f"{BILLING}/charges/{cancelled['charge_id']}/cancel", {"reason": "ordered twice"}).status_code == 200
        wanted = {done["charge_id"]: ["created", "activated"], failed["charge_id"]: ["created", "payment_failed"],
                  declined["charge_id"]: ["created", "declined"], cancelled["charge_id"]: ["created", "cancelled"]}
        sink.wait(8)
        time.sleep(0.5)
        heard = {}
        for path, headers, body in list(sink.requests):
            said = json.loads(body)
            topic, data = said["event_topic"], said["data"]
            assert path == f"/{topic}" and said["store_id"] == shop.store_id and said["event_id"] == headers["X-SeloraX-Webhook-Event-Id"]
            assert headers["X-SeloraX-Signature"] == signature(secrets[topic], headers["X-SeloraX-Timestamp"], body)
            heard.setdefault(data["charge_id"], set()).add(topic.removeprefix("charge."))
            assert (data["app_id"], data["installation_id"], data["currency"], data["charge_type"], data["name"]) == (
                shop.app_id, shop.installation_id, "BDT", "one_time", "Setup")
        assert len(sink.requests) == 8 and heard == {charge: set(moves) for charge, moves in wanted.items()}
        last = {json.loads(body)["data"]["charge_id"]: json.loads(body)["data"] for path, _, body in sink.requests if not path.endswith("created")}
        assert [(last[charge["charge_id"]]["status"], last[charge["charge_id"]]["amount"], last[charge["charge_id"]]["reason"])
                for charge in (done, failed, declined, cancelled)] == [
            ("active", 500, None), ("pending", 60, None), ("declined", 70, None), ("cancelled", 80, "ordered twice")]
        assert moves(shop) == wanted
        assert other.requests == [] and moves(stranger) == {}


def test_a_charge_that_nobody_answers_expires(make_platform):
    platform = make_platform()
    shop = Owner(platform).open_shop()
    until(lambda: log_of(platform, shop.installation_id))
    charge = make(shop)
    platform.set_clock(48 * 3600 - 60)
    time.sleep(1)
    assert moves(shop) == {charge["charge_id"]: ["created"]}
    platform.set_clock(48 * 3600 + 60)
    until(lambda: moves(shop).get(charge["charge_id"]) == ["created", "expired"])
    assert platform.get(f"{BILLING}/charges/{charge['charge_id']}", headers=shop.client).json()["data"]["status"] == "expired"


def test_a_killed_process_loses_and_doubles_none(make_platform):
    """The charge and its event are one commit: what was answered is told, and nothing is told that is not there."""
    platform = make_platform(durable=True)
    shop = Owner(platform).open_shop()
    until(lambda: log_of(platform, shop.installation_id))
    made = set()
    for round_ in range(4):
        for _ in range(5):
            made.add(make(shop, 10 + round_)["charge_id"])
        platform["billing-1"].kill()
        until(lambda: not platform.postgres.backends("billing"))
        platform["billing-1"].start()
        until(lambda: shop.get(f"{BILLING}/wallet").status_code == 200)
    until(lambda: not platform.postgres.rows("select 1 from billing.outbox"))
    assert moves(shop) == {charge: ["created"] for charge in made}


def expire(shop):
    make(shop)
    shop.platform.call("billing.clock.advance", store_id=shop.store_id, to="2099-01-01T00:00:00Z")


def fail(shop):
    pay(shop, approve(shop, make(shop)), card=DECLINED)


# What there is to hear of billing (contract D.1, issue 6), and what makes it happen.
EMITTED = {
    "charge.created": make,
    "charge.activated": lambda shop: paid(shop, 500),
    "charge.declined": lambda shop: say(shop, make(shop), "decline"),
    "charge.cancelled": lambda shop: say(shop, make(shop), "cancel"),
    "charge.expired": expire,
    "charge.payment_failed": fail,
    "subscription.renewal_pending": lambda shop: shop.post(
        f"{BILLING}/subscriptions", {"name": "Pro", "amount": 100, "billing_interval": "monthly", "trial_days": 1}),
    "usage.threshold_reached": lambda shop: shop.post(
        f"{BILLING}/usage-charges", {"description": "SMS", "quantity": 5, "unit_price": 10, "capped_amount": 100}),
}


@pytest.mark.parametrize("topic", EMITTED)
def test_each_topic_is_told(shop, topic):
    EMITTED[topic](shop)
    until(lambda: topic in [row["event_topic"] for row in read_all(shop, headers=shop.client)])


def test_there_are_no_others(shop):
    listed = {row["topic"] for row in shop.get("/api/apps/v1/webhooks/topics").json()["data"]}
    assert {topic for topic in listed if topic.split(".")[0] in ("charge", "subscription", "usage")} == set(EMITTED)

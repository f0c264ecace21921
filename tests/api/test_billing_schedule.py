"""What time brings: ten years of subscriptions against a model, and each effect once, whoever is killed.

SX_TEST_SCALE 1 lives through ten years in 1,000 stores, each with a clock of its own; with a sanitizer through those of as few as ever.
"""

import collections
import concurrent.futures
import os
import random
import time
from datetime import datetime, timedelta

from .payments import CHARGES, DECLINED, merchant_headers, say
from .shop import Owner
from .subscriptions import BILLING, MILLION, UTC, Model, StoreClock, Usage, settle, share
from .test_billing_ledger import sealed, verify
from .test_billing_subscriptions import make
from .test_billing_usage import use, used

STORES = 12 if os.environ.get("VARIANT") == "asan" else max(12, int(1000 * float(os.environ.get("SX_TEST_SCALE", "0.1")) ** 2))
YEARS = 10
RATE = 200_000                                              # the platform's, where an app has no terms of its own
DAY_S = 86400


# ---- ten years -----------------------------------------------------------------------------------------------------------


class Life:
    """A store, its present subscription, what it uses, and the models of both; every word is said to platform and model."""

    def __init__(self, owner, seed):
        self.random, self.shop = random.Random(seed), owner.open_shop()
        year = datetime.now(UTC).year + 1
        start = datetime(year, 1, 1, 10, 20, 30, 456000, tzinfo=UTC) + timedelta(days=self.random.randrange(1461))
        self.clock, self.end = StoreClock(self.shop, start), start.replace(year=start.year + YEARS, day=min(start.day, 28))
        self.usage, self.past, self.refunds = Usage(RATE), [], {}

    def now(self):
        return self.clock.now

    # -- the subscription --

    def begin(self):
        interval, trial = self.random.choice(["monthly", "monthly", "yearly"]), self.random.choice([0, 0, 1, 14, 30])
        price = self.random.choice([1000, 9999, 50_000, 5_000_000])
        made = make(self.shop, amount=price / 100, billing_interval=interval, trial_days=trial)
        self.model, self.ids, self.price, self.seen_of = Model(self.now(), interval, trial), [made["recurring_charge_id"]], price, 0
        self.past.append((self.model, self.ids, price))

    def pay(self):
        if self.random.random() < 0.15:
            settle(self.shop, self.ids[-1], card=DECLINED)
            self.model.say("charge.payment_failed")
        if self.random.random() < 0.95:
            settle(self.shop, self.ids[-1])
            self.model.paid(self.now())

    def decline(self):
        assert say(self.shop, {"charge_id": self.ids[-1]}, "decline").status_code == 200
        self.model.unpaid(self.now(), "declined")

    def cancel(self):
        at_period_end = self.random.random() < 0.5
        answer = self.shop.post(f"{BILLING}/subscriptions/{self.ids[0]}/cancel", {"at_period_end": at_period_end})
        assert answer.status_code == 200, answer.text
        self.model.cancel(self.now(), at_period_end)

    def refund(self):
        """A part of a payment, or all that is left."""
        paid = [payment for topic, payment in self.model.said if topic == "charge.activated"]
        if paid:
            number = self.ids[self.random.choice(paid)]
            left = self.price - self.refunds.get(number, 0)
            amount = self.random.choice([left, min(left, self.random.randrange(1, self.price))])
            answer = self.shop.post(f"{BILLING}/charges/{number}/refund", {} if amount == left else {"amount": amount / 100})
            assert answer.status_code == (201 if amount else 409), answer.text
            self.refunds[number] = self.refunds.get(number, 0) + amount

    # -- usage --

    def use(self):
        quantity, price = self.random.randrange(1, 9000), self.random.randrange(1, 300)
        cap = self.random.randrange(1000, 6000) if self.random.random() < 0.3 else None
        fields = {} if cap is None else {"capped_amount": cap / 100}
        answer = use(self.shop, quantity / 1000, price / 100, **fields)
        taken = self.usage.add(self.now(), share(quantity, price, 1000), cap)
        assert answer.status_code == (201 if taken else 400), (answer.text, self.usage.used, self.usage.cap)

    def pay_usage(self):
        """What it was asked to pay for months, by the list that merchants see."""
        answer = self.shop.platform.get(CHARGES, params={"store_id": self.shop.store_id, "status": "pending", "limit": 100},
                                        headers=merchant_headers(self.shop.owner))
        numbers = sorted(row["charge_id"] for row in answer.json()["data"] if row["charge_type"] == "usage")
        waiting = [index for index, charge in enumerate(self.usage.charges) if charge["status"] == "pending"]
        assert len(numbers) == len(waiting)
        for number, index in zip(numbers, waiting):
            ending = self.usage.charges[index]["amount"] % 100          # by which the sandbox decides: 1 fails, 2 and 3 say nothing
            if ending in (2, 3) or self.random.random() < 0.2:
                assert say(self.shop, {"charge_id": number}, "decline").status_code == 200
                self.usage.end(index, "declined")
            else:
                settle(self.shop, number)
                self.usage.end(index, *(("pending", "payment_failed") if ending == 1 else ("paid", "activated")))

    # -- ten years --

    def advance(self, to):
        self.model.advance(to)
        self.usage.advance(to)
        self.clock.advance(to=to)

    def step(self):
        """Mostly as it should be: the merchant pays when asked."""
        word = self.random.random()
        if self.model.waits and word < 0.6:
            self.pay()
        elif self.model.waits and word < 0.63:
            self.decline()
        elif word > 0.99 and self.model.status != "cancelled":
            self.cancel()
        elif word > 0.97:
            self.refund()
        elif word > 0.9:
            self.use()
        elif word > 0.8 and any(charge["status"] == "pending" for charge in self.usage.charges):
            self.pay_usage()
        else:
            due = [moment for moment in (self.model.next_due(), self.usage.next_due()) if moment]
            far = timedelta(days=self.random.choice([0.01, 1, 3, 9]), seconds=self.random.randrange(DAY_S))
            self.advance(min(max(min(due), self.now()) if due and self.random.random() < 0.7 else self.now() + far, self.end))

    def compare(self):
        """Once something has come of it, and now and then although nothing should have."""
        if len(self.model.said) == self.seen_of and self.random.random() < 0.8:
            return
        seen = self.shop.get(f"{BILLING}/subscriptions/{self.ids[0]}").json()["data"]
        assert {name: seen[name] for name in self.model.shown()} == self.model.shown()
        if seen["charge_id"] != self.ids[-1]:
            self.ids.append(seen["charge_id"])
        assert len(self.ids) == len(self.model.payments)
        self.seen_of = len(self.model.said)

    def live(self):
        while self.now() < self.end:
            self.begin()
            self.compare()
            while self.model.status != "cancelled" and self.now() < self.end:
                self.step()
                self.compare()
            if self.model.status == "cancelled":
                self.advance(self.now() + timedelta(days=1))

    # -- what is left of them: all that was told, and each charge --

    def told(self, events):
        for model, ids, _ in self.past:
            own = [(topic, charge) for topic, charge, subscription, _ in events if subscription == ids[0]]
            assert own == [(topic, ids[payment]) for topic, payment in model.said]
        monthly = [(topic, charge) for topic, charge, subscription, _ in events if charge and not subscription]
        numbers = [charge for topic, charge in monthly if topic == "charge.created"]
        assert monthly == [(topic, numbers[index]) for topic, index in self.usage.said]
        assert [percent for _, _, _, percent in events if percent] == self.usage.thresholds
        assert len(events) == sum(len(model.said) for model, _, _ in self.past) + len(self.usage.said) + len(self.usage.thresholds)
        return numbers

    def kept(self, charges, numbers):
        """What the developer has earned of them."""
        wanted, earned = {}, 0
        for model, ids, price in self.past:
            platform, gateway = share(price, RATE, MILLION), share(price, 25_000, MILLION)
            paid = {payment for topic, payment in model.said if topic == "charge.activated"}
            for index, payment in enumerate(model.payments):
                back = self.refunds.get(ids[index], 0)
                wanted[ids[index]] = (payment["status"], price, platform, gateway, back)
                earned += (price - platform - gateway) * (index in paid) - (back - share(platform, back, price) - share(gateway, back, price))
        for number, charge in zip(numbers, self.usage.charges):
            status = "active" if charge["status"] == "paid" else charge["status"]
            wanted[number] = (status, charge["amount"], charge["platform"], 0, 0)
            earned += (charge["amount"] - charge["platform"]) * (status == "active")
        assert charges == wanted
        return earned


EVENTS = """select store_id, topic, (data ->> 'charge_id')::bigint, (data ->> 'recurring_charge_id')::bigint, (data ->> 'percent')::integer
            from seen_billing.outbox order by id"""
KEPT = """select store_id, charge_id, case when status <> 'paid' then status when ended_at is null then 'active' when reason is null then 'completed'
          else 'cancelled' end, amount, platform_amount, gateway_fee_amount, refunded_amount from billing.charge"""


def by_store(platform, sql):
    found = collections.defaultdict(list)
    for store_id, *row in platform.postgres.rows(sql):
        found[store_id].append(tuple(row))
    return found


def attempt(life, seed, do, *arguments):
    try:
        return do(*arguments)
    except Exception as problem:
        raise AssertionError(f"store {life.shop.store_id}, SX_TEST_SEED={seed}: {problem!r}") from problem


def test_ten_years_equal_the_model(make_platform):
    seed = int(os.environ.get("SX_TEST_SEED", random.randrange(1 << 32)))
    platform = make_platform(services={"auth": 1, "store-data": 1, "billing": 2}, recorded=STORES < 100)
    owner = Owner(platform)
    merchant_headers(owner)                                 # signed in once, for all threads
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        lives = list(pool.map(lambda n: Life(owner, seed + n), range(STORES)))
        list(pool.map(lambda life: attempt(life, seed, life.live), lives))
    until(lambda: not platform.postgres.rows("select 1 from billing.outbox limit 1"), "everything is told")
    events, charges = by_store(platform, EVENTS), by_store(platform, KEPT)
    balances = dict(platform.postgres.rows("select app_id, earned from billing.developer_balance"))
    for life in lives:
        numbers = attempt(life, seed, life.told, events[life.shop.store_id])
        earned = attempt(life, seed, life.kept, {row[0]: row[1:] for row in charges[life.shop.store_id]}, numbers)
        assert balances.get(life.shop.app_id, 0) == earned, f"store {life.shop.store_id}, SX_TEST_SEED={seed}"
    sealed(platform)
    code, found = verify(platform)
    assert code == 0, found
    print(f"SX_TEST_SEED={seed}: {len(lives)} stores, {sum(map(len, charges.values()))} charges, {sum(map(len, events.values()))} events")


# ---- one clock for all, and processes that are killed --------------------------------------------------------------------


def count(platform, topic):
    return platform.postgres.rows("select count(*), count(distinct resource_id) from seen_billing.outbox where topic = %s", (topic,))[0]


def until(condition, what):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


class Crowd:
    """Many subscriptions of one app that fall due together, with two processes to do it."""

    def __init__(self, platform, size):
        self.platform, self.size = platform, size
        owner = Owner(platform)
        app = owner.make_app()
        self.shops = [owner.open_shop(app=app) for _ in range(4)]

    def strike(self, topic, already):
        """In the middle of it one process is killed, and then the other: whichever of them did it."""
        for name in ("billing-1", "billing-2"):
            already += self.size // 10
            until(lambda: count(self.platform, topic)[0] > already, f"no {topic}")
            self.platform[name].kill()
            self.platform[name].start()

    def once(self, topic, expected):
        until(lambda: count(self.platform, topic)[0] >= expected, f"{topic}: {count(self.platform, topic)} of {expected}")


def test_each_effect_once_whoever_is_killed(make_platform):
    platform = make_platform(services={"auth": 1, "store-data": 1, "billing": 2})
    crowd = Crowd(platform, 120)
    for n in range(crowd.size):
        make(crowd.shops[n % 4], trial_days=10)
    for shop in crowd.shops:
        used(shop, 3, 10)
    platform.set_clock(8 * DAY_S)
    crowd.strike("subscription.renewal_pending", 0)
    crowd.once("subscription.renewal_pending", crowd.size)
    platform.set_clock(3 * DAY_S)                           # the clock jumps back: nothing is done again, and nothing undone
    time.sleep(1.5)
    assert count(platform, "subscription.renewal_pending") == (crowd.size, crowd.size)
    platform.set_clock(45 * DAY_S)
    crowd.strike("charge.expired", 0)
    crowd.once("charge.expired", crowd.size)
    crowd.once("charge.created", crowd.size + len(crowd.shops))
    platform.set_clock(70 * DAY_S)
    crowd.once("charge.expired", crowd.size + len(crowd.shops))
    assert count(platform, "charge.expired") == (crowd.size + len(crowd.shops),) * 2
    assert count(platform, "charge.created") == (crowd.size + len(crowd.shops),) * 2
    assert count(platform, "charge.cancelled") == (0, 0)
    rows = platform.postgres.rows("select status, reason, count(*) from billing.subscription group by 1, 2")
    assert rows == [("cancelled", "expired", crowd.size)]
    assert platform.postgres.rows("select status, count(*) from billing.usage_bill group by 1") == [("billed", len(crowd.shops))]
    assert platform.postgres.rows("select count(*) from billing.subscription where due_at is not null") == [(0,)]


# ---- what cannot be done -------------------------------------------------------------------------------------------------


REFUSE = """create function billing.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
            create trigger refuse before insert on billing.outbox for each row
            when (new.store_id = {} and new.topic = 'subscription.renewal_pending') execute function billing.refuse()"""


def test_what_fails_each_time_stands_in_nobodys_way(make_platform):
    """More of them than a turn takes, all due before the one that can be done; and they are done once they can be."""
    platform = make_platform(services={"auth": 1, "store-data": 1, "billing": 1})
    owner = Owner(platform)
    app = owner.make_app()
    bad, good = owner.open_shop(app=app), owner.open_shop(app=app)
    platform.postgres.rows(REFUSE.format(bad.store_id))
    for _ in range(60):
        make(bad, trial_days=10)
    make(good, trial_days=10)
    platform.set_clock(8 * DAY_S)
    until(lambda: count(platform, "subscription.renewal_pending") == (1, 1), "the others are in its way")
    platform.postgres.rows("drop trigger refuse on billing.outbox")
    until(lambda: count(platform, "subscription.renewal_pending") == (61, 61), "they are not looked at again")

"""What time brings: ten years of subscriptions against a model, and each effect once, whoever is killed.

SX_TEST_SCALE 1 lives through ten years in 1,000 stores, each with a clock of its own.
"""

import concurrent.futures
import os
import random
import time
from datetime import datetime, timedelta

from .payments import DECLINED, merchant_headers, say
from .shop import Owner
from .subscriptions import BILLING, UTC, Model, StoreClock, events, settle
from .test_billing_ledger import sealed, verify
from .test_billing_subscriptions import make
from .test_billing_usage import used

STORES = max(12, int(1000 * float(os.environ.get("SX_TEST_SCALE", "0.1")) ** 2))
YEARS = 10
DAY_S = 86400


# ---- ten years -----------------------------------------------------------------------------------------------------------


class Life:
    """A store, its present subscription and the model of it; every word is said to both."""

    def __init__(self, owner, seed):
        self.random, self.shop = random.Random(seed), owner.open_shop()
        year = datetime.now(UTC).year + 1
        start = datetime(year, 1, 1, 10, 20, 30, 456000, tzinfo=UTC) + timedelta(days=self.random.randrange(1461))
        self.clock, self.end = StoreClock(self.shop, start), start.replace(year=start.year + YEARS, day=min(start.day, 28))
        self.model, self.earned = None, 0

    def now(self):
        return self.clock.now

    def see(self):
        return self.shop.get(f"{BILLING}/subscriptions/{self.ids[0]}").json()["data"]

    def begin(self):
        interval, trial = self.random.choice(["monthly", "monthly", "yearly"]), self.random.choice([0, 0, 1, 14, 30])
        self.price = self.random.choice([10, 99.99, 500, 50000])
        made = make(self.shop, amount=self.price, billing_interval=interval, trial_days=trial)
        self.model, self.ids = Model(self.now(), interval, trial), [made["recurring_charge_id"]]

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
        paid = [index for index, payment in enumerate(self.model.payments) if payment["status"] in ("active", "completed", "cancelled")
                and not payment.get("refunded") and self.charge(index)["activated_at"]]
        if paid:
            index = self.random.choice(paid)
            answer = self.shop.post(f"{BILLING}/charges/{self.ids[index]}/refund", {})
            assert answer.status_code == 201, answer.text
            self.model.payments[index]["refunded"] = True

    def charge(self, index):
        return self.shop.get(f"{BILLING}/charges/{self.ids[index]}").json()["data"]

    def step(self):
        """Mostly as it should be: the merchant pays when asked."""
        due, word = self.model.next_due(), self.random.random()
        if self.model.waits and word < 0.6:
            self.pay()
        elif self.model.waits and word < 0.63:
            self.decline()
        elif word > 0.99 and self.model.status != "cancelled":
            self.cancel()
        elif word > 0.97:
            self.refund()
        else:
            far = timedelta(days=self.random.choice([0.01, 1, 3, 9]), seconds=self.random.randrange(DAY_S))
            to = min(max(due, self.now()) if due and self.random.random() < 0.7 else self.now() + far, self.end)
            self.model.advance(to)
            self.clock.advance(to=to)

    def compare(self):
        seen = self.see()
        assert {name: seen[name] for name in self.model.shown()} == self.model.shown()
        if seen["charge_id"] != self.ids[-1]:
            self.ids.append(seen["charge_id"])
        assert len(self.ids) == len(self.model.payments)

    def finish(self):
        """One subscription is over, or the years are: what was said of it."""
        own = [(topic, data["charge_id"]) for topic, data in events(self.shop) if data["recurring_charge_id"] == self.ids[0]]
        assert own == [(topic, self.ids[payment]) for topic, payment in self.model.said]
        for index, payment in enumerate(self.model.payments):
            charge = self.charge(index)
            assert (charge["status"], charge["refunded_amount"]) == (payment["status"], charge["amount"] * payment.get("refunded", False))
            if charge["activated_at"] and not payment.get("refunded"):
                self.earned += round(charge["developer_amount"] * 100)

    def live(self):
        while self.now() < self.end:
            self.begin()
            self.compare()
            while self.model.status != "cancelled" and self.now() < self.end:
                self.step()
                self.compare()
            self.finish()
            self.clock.advance(days=1)
        return self.earned


def test_ten_years_equal_the_model(make_platform):
    seed = int(os.environ.get("SX_TEST_SEED", random.randrange(1 << 32)))
    platform = make_platform(services={"auth": 1, "store-data": 1, "billing": 2})
    owner = Owner(platform)
    merchant_headers(owner)                                 # signed in once, for all threads
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        lives = list(pool.map(lambda n: Life(owner, seed + n), range(STORES)))
        for life, earned in zip(lives, pool.map(lambda life: attempt(life, seed), lives)):
            balance = platform.postgres.rows("select coalesce(sum(earned), 0) from billing.developer_balance where app_id = %s", (life.shop.app_id,))
            assert balance == [(earned,)], f"seed {seed}"
    sealed(platform)
    code, found = verify(platform)
    assert code == 0, found


def attempt(life, seed):
    try:
        return life.live()
    except Exception as problem:
        raise AssertionError(f"store {life.shop.store_id}, SX_TEST_SEED={seed}: {problem!r}") from problem


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

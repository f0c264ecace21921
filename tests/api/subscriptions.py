"""Subscriptions, usage and what time brings: a store's own clock, the events of a store, and models in Python, amounts in paisa.

    clock = StoreClock(shop, datetime(2030, 1, 31, 10, tzinfo=UTC))      # it is that time for the store, and stays so
    clock.advance(days=30)                                               # what falls due on the way has happened
    [topic for topic, _ in events(shop)]
"""

import calendar
from datetime import datetime, timedelta, timezone

from .payments import approve, pay

BILLING = "/api/apps/v1/billing"
UTC = timezone.utc
NOTICE, GRACE, ANSWER = timedelta(days=3), timedelta(days=7), timedelta(hours=48)
MONTHS = {"monthly": 1, "yearly": 12, "annual": 12}
SMALLEST, LARGEST = 1000, 5_000_000
MILLION = 10**6


def text(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def future(month=1, day=31):
    """A leap day is a year and some months behind it."""
    year = datetime.now(UTC).year + 1
    while not calendar.isleap(year + 1):
        year += 1
    return datetime(year, month, day, 10, 20, 30, 456000, tzinfo=UTC)


class StoreClock:
    def __init__(self, shop, now):
        self.shop, self.now = shop, now
        self.advance()

    def advance(self, to=None, **step):
        self.now = to or self.now + timedelta(**step)
        answer = self.shop.platform.call("billing.clock.advance", store_id=self.shop.store_id, to=text(self.now))
        assert answer["at"] == text(self.now)


def events(shop):
    """(topic, data) of billing in this store, in their order."""
    return shop.platform.postgres.rows("select topic, data from seen_billing.outbox where store_id = %s order by id", (shop.store_id,))


def settle(shop, charge_id, **options):
    """The merchant approves and pays, or tries to."""
    pay(shop, approve(shop, {"charge_id": charge_id}), **options)


def share(amount, part, whole):
    """Half up, as contract E.3 and K.5 have it."""
    return (2 * amount * part + whole) // (2 * whole)


def begin_of(anchor, months, number):
    """Independent of the platform's arithmetic."""
    month = anchor.month - 1 + months * number
    year, month = anchor.year + month // 12, month % 12 + 1
    return anchor.replace(year=year, month=month, day=min(anchor.day, calendar.monthrange(year, month)[1]))


class Model:
    """One subscription: what each word does to it, and `said`, the events that are to come of it: topic and which payment."""

    def __init__(self, now, interval, trial_days=0):
        self.months, self.status, self.reason, self.leaves = MONTHS[interval], "pending", None, False
        self.anchor, self.periods, self.ends, self.due, self.ended = None, 0, None, None, None
        self.payments, self.said = [], []
        self.ask(now, now + ANSWER)
        if trial_days:
            self.status, self.anchor = "active", now + timedelta(days=trial_days)
            self.ends, self.due = self.anchor, self.anchor - NOTICE
            self.payments[-1]["expires"] = self.anchor + GRACE

    @property
    def waits(self):
        return self.payments[-1]["status"] == "pending"

    def ask(self, now, expires):
        self.payments.append({"status": "pending", "expires": expires, "made": now})
        self.say("charge.created")

    def say(self, topic, payment=None):
        self.said.append((topic, len(self.payments) - 1 if payment is None else payment))

    def over(self, now, reason, told):
        self.status, self.reason, self.due, self.ended = "cancelled", reason, None, now
        live = [index for index, payment in enumerate(self.payments) if payment["status"] == "active"]
        for index in live:
            self.payments[index]["status"] = "cancelled"
        if live or not told:
            self.say("charge.cancelled", *live)

    def leave(self, reason):
        self.leaves, self.reason, self.due = True, reason, self.ends

    def paid(self, now):
        for payment in self.payments:
            if payment["status"] == "active":
                payment["status"] = "completed"
        self.payments[-1]["status"] = "active"
        self.anchor = self.anchor or now
        self.periods += 1
        self.status, self.ends = "active", begin_of(self.anchor, self.months, self.periods)
        self.due = self.ends - NOTICE
        self.say("charge.activated")

    def unpaid(self, now, status, reason=None):
        self.payments[-1]["status"] = status
        self.say(f"charge.{status}")
        if status == "expired":
            self.over(now, "payment_overdue" if self.periods else "expired", True)
        elif self.status == "pending" or now >= self.ends:
            self.over(now, reason or status, True)
        else:
            self.leave(reason or status)

    def cancel(self, now, at_period_end):
        pending = self.waits
        if pending:
            self.unpaid(now, "cancelled", "cancelled_by_app")
        if self.status == "cancelled":
            return
        if at_period_end and now < self.ends:
            self.leave("cancelled_by_app")
        else:
            self.over(now, "cancelled_by_app", pending)

    def next_due(self):
        times = [self.payments[-1]["expires"]] if self.waits else []
        return min(times + [self.due] if self.due else times, default=None)

    def advance(self, to):
        while self.next_due() and self.next_due() <= to:
            now = self.next_due()
            if self.waits and self.payments[-1]["expires"] <= now:
                self.unpaid(now, "expired")
            elif self.leaves:
                self.over(now, self.reason, False)
            else:
                if not self.waits:
                    self.ask(now, max(self.ends, now) + GRACE)
                self.due = None
                self.say("subscription.renewal_pending")

    def shown(self):
        return {"status": self.status, "reason": self.reason, "payment_status": self.payments[-1]["status"], "periods_paid": self.periods,
                "current_period_end": self.ends and text(self.ends), "cancel_at_period_end": int(self.leaves),
                "expires_at": text(self.payments[-1]["expires"]), "cancelled_at": self.ended and text(self.ended)}


class Usage:
    """What one installation has used: each month's part up to its cap, and the charges that months became."""

    def __init__(self, rate):
        self.rate, self.cap, self.charges, self.said, self.thresholds = rate, None, [], [], []
        self.clear()

    def clear(self):
        """No bill is open. used, of which the cap is told: this month's part of the amount."""
        self.count = self.used = self.amount = self.platform = self.told = 0
        self.ends = None

    def add(self, now, amount, cap=None):
        """True when it is taken; a cap is set only with what it takes."""
        cap = self.cap if cap is None else cap
        if not 1 <= amount <= LARGEST or self.amount + amount > LARGEST:
            return False
        if cap is not None and (not SMALLEST <= cap <= LARGEST or self.used + amount > cap):
            return False
        self.cap, self.ends, self.count = cap, self.ends or month_after(now), self.count + 1
        self.used, self.amount, self.platform = self.used + amount, self.amount + amount, self.platform + share(amount, self.rate, MILLION)
        for part in (50, 80, 100) if cap else ():
            if 100 * self.used >= cap * part and part > self.told:
                self.told = part
                self.thresholds.append(part)
        return True

    def next_due(self):
        waiting = [charge["expires"] for charge in self.charges if charge["status"] == "pending"]
        return min(waiting + ([self.ends] if self.ends else []), default=None)

    def advance(self, to):
        while self.next_due() and self.next_due() <= to:
            now = self.next_due()
            late = [index for index, charge in enumerate(self.charges) if charge["status"] == "pending" and charge["expires"] <= now]
            if late:
                self.end(late[0], "expired")
            elif self.amount < SMALLEST:
                self.used, self.told, self.ends = 0, 0, month_after(now)
            else:
                self.charges.append({"amount": self.amount, "platform": self.platform, "expires": now + GRACE})
                self.end(len(self.charges) - 1, "pending", "created")
                self.clear()

    def end(self, index, status, topic=None):
        self.charges[index]["status"] = status
        self.said.append((f"charge.{topic or status}", index))


def month_after(now):
    return (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)

"""Subscriptions and what time brings: a store's own clock, the events of a store, and a model of a subscription in Python.

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

"""Billing's step of an uninstall (protocols 8, contract C.3), killed between any two commits: what waited for the merchant is cancelled
once and its app told so before its subscriptions end, what was paid stays, and what was installed again meanwhile stays as it is.

Where the saga stands is held still by triggers that only the test has: a commit that moves a row on waits for a lock.
"""

import json

import pytest

from .hooks import Sink, subscribe
from .payments import BILLING, paid
from .rpc import RpcError
from .shop import Shop
from .test_billing_events import make
from .test_installations import Merchant, finished, until
from .test_webhook_uninstall import HOLD_S, closed, is_waited_for, kill, revive

GATES = """
create function public.gate() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended(tg_table_name || coalesce(to_jsonb(new) ->> 'step', to_jsonb(new) ->> 'status', ''), 0));
    return coalesce(new, old);
end
$$;
create trigger gate before update on auth.uninstall for each row when (old.step <> new.step) execute function public.gate();
create trigger gate before update on webhooks.installation for each row when (old.status <> new.status) execute function public.gate();
create trigger gate before update on billing.charge for each row when (old.status <> new.status) execute function public.gate();
create trigger gate before delete on billing.outbox for each row execute function public.gate();
"""
# A commit of the saga, in their order: what moves on when it succeeds.
COMMITS = ["uninstall2", "chargecancelled", "outbox", "installationended", "uninstall3"]


class Round:
    """An app in a store with charges that wait, some that were paid, one that goes on each month, and webhooks for what comes at the end."""

    def __init__(self, merchant, sink, number):
        self.platform, self.merchant, self.sink, self.number = merchant.platform, merchant, sink, number
        self.app, self.store_id = merchant.make_app(), merchant.open_store()
        self.shop = self.install(1)
        self.paid = [paid(self.shop, 500)["charge_id"], paid(self.shop, 40, "wallet-topup")["charge_id"]]
        self.waiting = [make(self.shop, 20 + n)["charge_id"] for n in range(3)]
        self.monthly = paid(self.shop, 30, "subscriptions", name="Plan", currency="BDT", billing_interval="monthly")["charge_id"]

    def install(self, generation):
        grant = self.platform.call("auth.installations.create", app_id=self.app["app_id"], store_id=self.store_id)
        shop = Shop(self.platform, self.store_id, self.app, grant)
        shop.owner = self.merchant
        until(lambda: self.platform.postgres.rows("select 1 from webhooks.installation where installation_id = %s and generation = %s and "
                                                  "status = 'active'", (shop.installation_id, generation)))
        for topic in ("charge.cancelled", "app.uninstalled"):
            subscribe(shop, f"{self.sink.url}/{self.number}/{generation}/{topic}", topic)
        return shop

    def install_again(self):
        self.fresh = self.install(2)
        self.young = make(self.fresh, 99)["charge_id"]

    def heard(self, topic, generation=1):
        return [json.loads(body)["data"] for path, _, body in list(self.sink.requests) if path == f"/{self.number}/{generation}/{topic}"]

    def check(self):
        """Each that waited is cancelled and told once (an attempt may be repeated), and nothing else has changed."""
        told = {data["charge_id"]: (data["status"], data["reason"]) for data in self.heard("charge.cancelled")}
        assert told == {charge: ("cancelled", "app_uninstalled") for charge in [*self.waiting, self.monthly]}
        rows = self.platform.postgres.rows("select charge_id, status, reason from billing.charge where store_id = %s", (self.store_id,))
        wanted = {**{charge: ("paid", None) for charge in self.paid}, **{charge: ("cancelled", "app_uninstalled") for charge in self.waiting},
                  self.monthly: ("paid", "app_uninstalled"), **({self.young: ("pending", None)} if self.young else {})}
        assert {charge: (status, reason) for charge, status, reason in rows} == wanted
        events = self.platform.postgres.rows("select count(*), count(distinct resource_id) from webhooks.event where store_id = %s and "
                                             "topic = 'charge.cancelled'", (self.store_id,))
        assert events == [(len(told), len(told))]
        assert self.platform.postgres.rows("select status, reason from billing.subscription where store_id = %s", (self.store_id,)) == [
            ("cancelled", "app_uninstalled")]
        assert self.heard("charge.cancelled", 2) == []

    young = None


@pytest.mark.parametrize("victim", ["billing", "auth", "webhooks", "postgres"])
def test_killed_at_every_commit(make_platform, victim):
    platform = make_platform(durable=True)
    platform.postgres.rows(GATES)
    merchant, clock = Merchant(platform), 0
    with Sink() as sink:
        rounds = []
        for number, commit in enumerate(COMMITS):
            one = Round(merchant, sink, number)
            until(lambda: not platform.postgres.rows("select 1 from billing.outbox"))
            with closed(platform, commit):
                platform.call("auth.installations.end", installation_id=one.shop.installation_id)
                until(lambda: is_waited_for(platform))
                kill(platform, victim)
            revive(platform, victim)
            if number % 2 == 0:                                                        # before the saga goes on
                one.install_again()
            clock += HOLD_S
            platform.set_clock(clock)
            until(lambda: finished(platform, one.shop.installation_id), 60)
            clock += HOLD_S                                                            # app.uninstalled is sent a little later
            platform.set_clock(clock)
            until(lambda: one.heard("app.uninstalled") and len({data["charge_id"] for data in one.heard("charge.cancelled")}) == 4)
            rounds.append(one)
        until(lambda: not platform.postgres.rows("select 1 from webhooks.waiting where subscription_id > 0"))
        for one in rounds:
            one.check()


def end(shop, generation):
    return shop.platform.call("billing.installations.end", installation_id=shop.installation_id, generation=generation,
                              store_id=shop.store_id, app_id=shop.app_id)


def test_it_may_come_again_and_late(platform, owner):
    """It acts on its generation and earlier ones, and whoever still charges by an older one is refused."""
    shop = owner.open_shop()
    waits = make(shop)["charge_id"]

    def status(charge):
        return platform.postgres.rows("select status, reason from billing.charge where charge_id = %s", (charge,))

    for _ in range(2):
        until(lambda: ended(shop, 1))
        assert status(waits) == [("cancelled", "app_uninstalled")]
    answer = shop.post(f"{BILLING}/charges", {"name": "Late", "amount": 20})             # admitted before, committed after
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_installation"), answer.text
    assert shop.post(f"{BILLING}/wallet/debit", {"amount": 1}).json()["code"] == "invalid_installation"
    fresh = owner.open_shop(store_id=shop.store_id, app={"app_id": shop.app_id, "client_id": shop.client_id, "client_secret": shop.client_secret,
                                                         "session_signing_key": shop.session_signing_key})
    young = make(fresh)["charge_id"]
    until(lambda: ended(shop, 1))
    assert status(young) == [("pending", None)]


def ended(shop, generation):
    try:
        return end(shop, generation)
    except RpcError as error:
        assert error.code == "service_unavailable", error                                # its events are on their way to webhooks
        return False


def test_thousands_that_wait(platform, owner):
    shop = owner.open_shop()
    first = make(shop)["charge_id"]
    platform.postgres.rows("insert into billing.charge (store_id, app_id, installation_id, generation, charge_type, name, currency, base_amount, "
                           "amount, fee_payer, commission_rate, gateway_fee_rate, platform_amount, gateway_fee_amount, developer_amount, status, "
                           "created_at, expires_at) select store_id, app_id, installation_id, generation, charge_type, name, currency, base_amount, "
                           "amount, fee_payer, commission_rate, gateway_fee_rate, platform_amount, gateway_fee_amount, developer_amount, status, "
                           "created_at, expires_at from billing.charge, generate_series(2, 2500) where charge_id = %s", (first,))
    until(lambda: ended(shop, 1), 60)
    assert platform.postgres.rows("select status, count(*) from billing.charge where installation_id = %s group by 1",
                                  (shop.installation_id,)) == [("cancelled", 2500)]
    until(lambda: platform.postgres.rows("select count(*) from webhooks.event where store_id = %s and topic = 'charge.cancelled'",
                                         (shop.store_id,)) == [(2500,)])

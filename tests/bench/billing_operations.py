#!/usr/bin/python3
"""What every operation of billing costs (operations.py), in `make bench`: for apps, developers, merchants and their browsers.

A store that has had little of everything beside one that has had much: charges in every state, subscriptions, usage, movements of
the wallet, revenue, payouts. They come in by SQL; what is paid, declined, refunded or told by the sandbox while it is measured goes
through the API. Each charge that waits for the merchant is used by one entry only.
"""

import sys
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import figures
from figures import Bench, say
from operations import MANY, Ask, Entry, Table

from api.browser import Browser, Forms
from api.payments import CARD
from api.shop import PASSWORD, Owner

SERVICE = "billing"
SMALL, LARGE = 200, 9_900               # of everything
COUNTED = "counted up to 10,000"
FORM = "application/x-www-form-urlencoded"
# Of the charges that wait, and of the payments that are open, each entry has a share of its own.
PARTS = ["charges.cancel", "merchant_charges.approve", "merchant_charges.decline", "merchant_charges.cancel", "approvals.answer", "open"]
OPEN = ["payments.page", "payments.return", "payments.callback", "sandbox.page", "sandbox.pay"]

FILL = """
set search_path = billing;
insert into charge (store_id, app_id, installation_id, generation, charge_type, name, currency, base_amount, amount, fee_payer,
    commission_rate, gateway_fee_rate, platform_amount, gateway_fee_amount, developer_amount, status, return_url, created_at, expires_at,
    activated_at, ended_at)
    select %(store)s, %(app)s, %(installation)s, 1, 'one_time', 'Setup', 'BDT', 50000, 50000, 'developer', 200000, 25000, 10000, 1250, 38750,
    status, 'https://app.example/done', now(), now() + interval '2 days', case status when 'paid' then now() end,
    case status when 'declined' then now() end
    from (select (array['paid', 'pending', 'pending', 'declined'])[1 + n %% 4] as status from generate_series(1, %(count)s) as n) as made;
insert into charge (store_id, app_id, installation_id, generation, charge_type, name, currency, base_amount, amount, fee_payer,
    commission_rate, gateway_fee_rate, platform_amount, gateway_fee_amount, developer_amount, status, created_at, expires_at, activated_at)
    select %(store)s, %(app)s, %(installation)s, 1, 'recurring', 'Pro plan', 'BDT', 50000, 50000, 'developer', 200000, 25000, 10000, 1250,
    38750, 'paid', now(), now() + interval '2 days', now() from generate_series(1, %(count)s);
insert into subscription (subscription_id, store_id, app_id, installation_id, generation, name, currency, base_amount, billing_interval,
    trial_days, status, charge_id, anchor_at, periods, period_starts_at, period_ends_at, due_at, created_at, activated_at)
    select charge_id, store_id, app_id, installation_id, 1, name, currency, base_amount, 'monthly', 0, 'active', charge_id, now(), 1, now(),
    now() + interval '30 days', now() + interval '27 days', now(), now() from charge where store_id = %(store)s and charge_type = 'recurring';
update charge set subscription_id = charge_id where store_id = %(store)s and charge_type = 'recurring';
insert into checkout (charge_id, account_id, provider, reference, status, location, ask_at, created_at)
    select charge_id, %(account)s, 'sandbox', 'sx_bench_' || charge_id, 'open', '/api/apps/billing/payments/sx_bench_' || charge_id || '/sandbox',
    now() + interval '1 day', now() from charge where store_id = %(store)s and status = 'pending' and (charge_id / 4) %% %(parts)s = %(parts)s - 1;
with bill as (insert into usage_bill (store_id, app_id, installation_id, generation, currency, starts_at, ends_at, used, amount,
    platform_amount, due_at) select %(store)s, %(app)s, %(installation)s, 1, 'BDT', date_trunc('month', now()), at, %(count)s, %(count)s, 0, at
    from (select date_trunc('month', now()) + interval '1 month' as at) as month returning usage_bill_id)
    insert into usage_charge (usage_bill_id, installation_id, description, quantity, unit_price, amount, platform_amount, idempotency_key,
    created_at) select usage_bill_id, %(installation)s, 'SMS', 1000, 1, 1, 0, 'filled-' || n, now() from bill, generate_series(1, %(count)s) as n;
insert into account (kind, app_id, currency) select kind, app_id, 'BDT' from (values ('issue', %(app)s), ('developer', %(app)s), ('provider', 0))
    as wanted (kind, app_id) on conflict do nothing;
with moved as (insert into transfer (from_account, to_account, amount, reason, at) select issue.account_id, wallet.account_id, 1, 'adjustment',
    now() from wallet join account as issue on issue.kind = 'issue' and issue.app_id = %(app)s, generate_series(1, %(count)s)
    where wallet.store_id = %(store)s returning transfer_id)
    insert into wallet_transaction (wallet_id, type, amount, balance_after, transfer_id, created_at) select wallet_id, 'adjustment', 1, 1,
    transfer_id, now() from moved, wallet where store_id = %(store)s;
update wallet set balance = balance + %(count)s where store_id = %(store)s;
with moved as (insert into transfer (from_account, to_account, amount, reason, charge_id, at) select f.account_id, t.account_id, 38750, 'charge',
    charge_id, now() from charge join account as f on f.kind = 'provider' join account as t on t.kind = 'developer' and t.app_id = charge.app_id
    where charge.store_id = %(store)s and charge_type = 'recurring' returning transfer_id, charge_id)
    insert into revenue (transfer_id, app_id, charge_id, type, paid, earned, currency, created_at) select transfer_id, %(app)s, charge_id,
    'charge', 50000, 38750, 'BDT', now() from moved;
insert into developer_balance (app_id, currency, earned, updated_at) values (%(app)s, 'BDT', 38750 * %(count)s, now());
insert into payout (app_id, currency, amount, all_of_it, status, requested_by, created_at, finished_at)
    select %(app)s, 'BDT', 100, false, 'paid', %(account)s, now(), now() from generate_series(1, %(count)s)
"""


class Store:
    """A store as its app, the app's developer, its merchant and their browser see it."""

    def __init__(self, bench, owner, people, count):
        shop = owner.open_shop()
        self.bench, self.platform, self.shop = bench, bench.platform, shop
        self.store_id, self.app_id, self.access_token = shop.store_id, shop.app_id, shop.access_token
        self.developer_token, self.merchant_token, self.browser = people
        bench.platform.call("billing.wallets.adjust", app_id=self.app_id, store_id=self.store_id, amount=10**9, description="Bench")
        self.sql(FILL, {"store": self.store_id, "app": self.app_id, "installation": shop.installation_id, "account": owner.account_id,
                        "count": count, "parts": len(PARTS)})

    def sql(self, sql, arguments=None):
        return self.platform.postgres.rows(sql, arguments)

    def ids(self, what):
        """Some of the store's, in no order: "COLUMN from TABLE where …"."""
        return [row_id for row_id, in self.sql(f"set search_path = billing; select {what} and store_id = %s order by random() limit {MANY}",
                                               (self.store_id,))]

    def waiting(self, part):
        """The charges that wait for the merchant and are that entry's."""
        return self.ids(f"charge_id from charge where status = 'pending' and charge_type = 'one_time' and (charge_id / 4) %% {len(PARTS)} = "
                        f"{PARTS.index(part)}")

    def open_payments(self, part):
        """The references of those that are that entry's."""
        return self.ids("reference from checkout join charge using (charge_id) where checkout.status = 'open' and (charge_id / "
                        f"{4 * len(PARTS)}) %% {len(OPEN)} = {OPEN.index(part)}")

    @property
    def cookies(self):
        return "Cookie: " + "; ".join(f"{name}={value}" for name, value in self.browser.cookies.items()) + "\r\n"


def open_stores(bench):
    started, owner = time.monotonic(), Owner(bench.platform, is_developer=True)
    developer = bench.platform.post("/api/v1/auth/login", {"identifier": owner.email, "password": PASSWORD}).json()["data"]["accessToken"]
    merchant = bench.platform.post("/api/auth/login", {"email": owner.email, "password": PASSWORD}).json()["data"]["token"]
    browser = Browser(bench.platform)
    browser.open("/api/auth/sign-in?to=/1/settings/apps/billing/1")
    browser.submit(identifier=owner.email, password=PASSWORD)
    small, large = [Store(bench, owner, (developer, merchant, browser), count) for count in (SMALL, LARGE)]
    while bench.platform.postgres.rows("select 1 from billing.unsealed limit 1"):
        time.sleep(0.1)
    bench.platform.postgres.rows("vacuum analyze")
    say(f"two stores with {SMALL} and {LARGE} charges, subscriptions, usage charges, movements, payouts: {time.monotonic() - started:.0f} s")
    return small, large


# ---- asking ----------------------------------------------------------------------------------------------------------


def page(query=""):
    return lambda store: [Ask(query)]


def made(body):
    """A new one with each request, of its number."""
    return lambda store: [Ask(body=body(n)) for n in range(MANY)]


def each(name, what, body=None):
    """One of many, by its id; body: of a number."""
    return lambda store: [Ask(body=body(n) if body else b"", **{name: row_id}) for n, row_id in enumerate(store.ids(what))]


def merchants(what):
    """What a merchant says to charges that wait."""
    return lambda store: [Ask(body={"store_id": store.store_id}, charge_id=row_id) for row_id in store.waiting(what)]


def of_app(query="", body=None):
    """What a developer asks of their app."""
    return lambda store: [Ask(query, body(n) if body else b"", app_id=store.app_id) for n in range(MANY if body else 1)]


def of_store(query=""):
    return lambda store: [Ask(f"store_id={store.store_id}{query}")]


def event(n, key="one"):
    return {"description": "SMS", "quantity": 1 + n % 7, "unit_price": 0.01, "idempotency_key": f"{key}-{n}"}


def pages_shown(store):
    ids = store.ids("charge_id from charge where charge_type = 'one_time'")
    return [Ask(store_id=store.store_id, charge_id=row_id, headers=store.cookies) for row_id in ids]


def forms_answered(store):
    """Each charge's form carries what its page has put into it."""
    asks = []
    for row_id in store.waiting("approvals.answer"):
        store.browser.open(f"/{store.store_id}/settings/apps/billing/{row_id}")
        token = Forms(store.browser.page.text).forms[0]["fields"]["form_token"]
        asks.append(Ask(body=urlencode({"decision": "approve", "form_token": token}), kind=FORM, headers=store.cookies, store_id=store.store_id,
                        charge_id=row_id))
    return asks


def payments(part, body=b""):
    return lambda store: [Ask(body=body, kind=FORM, reference=reference) for reference in store.open_payments(part)]


def told(store, part):
    """What the sandbox says of that entry's payments, once they are paid on its page: (reference, query)."""
    for reference in store.open_payments(part):
        answer = Browser(store.platform).send("POST", f"/api/apps/billing/payments/{reference}/sandbox", {"decision": "pay", "card_number": CARD})
        yield reference, urlsplit(answer.headers["Location"]).query


def returns(store):
    return [Ask(query, reference=reference) for reference, query in told(store, "payments.return")]


def callbacks(store):
    words = [(reference, parse_qs(query)) for reference, query in told(store, "payments.callback")]
    return [Ask(body={"reference": reference, "status": word["status"][0], "signature": word["signature"][0]}, provider="sandbox")
            for reference, word in words]


ENTRIES = [
    Entry("wallets.get", page()),
    # -- what makes things --
    Entry("charges.create", made(lambda n: {"name": "Setup", "amount": 500, "return_url": "https://app.example/done"})),
    Entry("charges.create", made(lambda n: {"name": "Pro plan", "amount": 500, "type": "recurring"}), "(recurring)"),
    Entry("wallets.topup", made(lambda n: {"amount": 500})),
    Entry("wallets.debit", made(lambda n: {"amount": 0.01, "description": "SMS"})),
    Entry("billing_subscriptions.create", made(lambda n: {"name": "Pro plan", "amount": 500, "billing_interval": "monthly", "trial_days": 14})),
    Entry("usage_charges.create", made(event)),
    Entry("usage_charges.create_batch", made(lambda n: {"charges": [event(i, f"batch-{n}") for i in range(100)]}), "(100)"),
    Entry("payouts.create", of_app(body=lambda n: {"amount": 0.01, "idempotency_key": f"payout-{n}"})),
    # -- what reads --
    Entry("charges.get", each("charge_id", "charge_id from charge where true")),
    Entry("charges.get", each("charge_id", "reference from checkout join charge using (charge_id) where true"), "by the provider's reference"),
    Entry("charges.active", page("limit=50"), grows=COUNTED),
    Entry("wallets.transactions", page("limit=50"), grows=COUNTED),
    Entry("billing_subscriptions.list", page("limit=50"), grows=COUNTED),
    Entry("billing_subscriptions.get", each("recurring_charge_id", "subscription_id from subscription where true")),
    Entry("usage_charges.list", page("limit=50"), grows=COUNTED),
    Entry("developer.charges", of_app("limit=50")),
    Entry("developer.charges", of_app("limit=50&status=completed"), "status"),
    Entry("developer.revenue", of_app("limit=50")),
    Entry("developer.balance", of_app()),
    Entry("payouts.list", of_app("limit=50"), grows=COUNTED),
    Entry("merchant_charges.list", of_store("&limit=50"), grows=COUNTED),
    Entry("merchant_charges.list", of_store("&limit=50&status=declined"), "status", grows=COUNTED),
    Entry("merchant_charges.get", lambda store: [Ask(f"store_id={store.store_id}", charge_id=row) for row in store.ids(
        "charge_id from charge where true")]),
    Entry("approvals.show", pages_shown, status="200"),
    Entry("sandbox.page", payments("sandbox.page")),
    Entry("payments.page", payments("payments.page"), status="303"),
    # -- what changes --
    Entry("merchant_charges.approve", merchants("merchant_charges.approve")),
    Entry("merchant_charges.decline", merchants("merchant_charges.decline")),
    Entry("merchant_charges.cancel", merchants("merchant_charges.cancel")),
    Entry("approvals.answer", forms_answered),
    Entry("sandbox.pay", payments("sandbox.pay", urlencode({"decision": "pay", "card_number": CARD})), status="303"),
    Entry("payments.return", returns, "(paid)", status="303"),
    Entry("payments.callback", callbacks, "(paid)"),
    Entry("charges.cancel", lambda store: [Ask(charge_id=row_id) for row_id in store.waiting("charges.cancel")]),
    Entry("charges.refund", each("charge_id", "charge_id from charge where status = 'paid' and charge_type = 'one_time'", lambda n: {"amount": 1.5})),
    Entry("billing_subscriptions.cancel", each("recurring_charge_id", "subscription_id from subscription where status = 'active'")),
]


def main():
    with figures.platform() as platform:
        bench = Bench(platform)
        small, large = open_stores(bench)
        Table(SERVICE, ENTRIES, small, large, reference="wallets.get").run()
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())

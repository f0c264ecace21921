"""Billing's lists, look-ups and sweeps where somebody has few among 40,000 rows and somebody else half of them, next to none of
which are in the state that is asked for: no table that grows is read row by row, nor through rows that are then left out, and what
is read is what is answered and counted. Nothing has been vacuumed, so that reading an index alone is no cheaper than it is."""

import sys

import pytest

from .plans import Plans, nodes
from .platform import ROOT, Platform

sys.path.append(str(ROOT / "proto"))

from contract import Contract  # noqa: E402

ROWS = 40_000
GROWING = {"charge", "revenue", "payout", "transfer", "account", "refund", "subscription", "developer_balance", "usage_bill", "usage_charge",
           "checkout", "unsealed", "wallet", "wallet_transaction"}
FEW, MANY = 1, 2                        # an app, a store and an installation each: of FEW is a row in a hundred, of MANY one half of them
LIMIT, COUNTED, JOINED = 21, 10_001, 6  # a page and one more, what is counted at most, and rows looked up for each of the page
EARLY, LATE = "2026-01-01", "2200-01-01"
BEGINNING, BEHIND = ("1970-01-01", 0) * 3, ("2100-01-14", 20_000) * 3   # of each kind: where a look at what is due goes on
ORIGIN = "https://admin.example"
# With the dashboard's origin before, and a status behind.
PAGES = {**{name: (True, None) for name in ("CHARGES_OF_APP", "CHARGES_OF_STORE", "CHARGES_ACTIVE", "SUBSCRIPTIONS_LIST")},
         **{name: (False, None) for name in ("REVENUE_OF_APP", "PAYOUTS_OF_APP", "USAGE_LIST")}}
STATES = [("CHARGES_OF_APP_IN_STATUS", "pending"), ("CHARGES_OF_APP_IN_STATUS", "completed"),
          *(("CHARGES_OF_STORE_IN", status) for status in ("pending", "active", "completed", "declined", "expired"))]
# The lists of the contract, each with its filters, and the statements behind them.
LISTS = {"billing_subscriptions.list": "SUBSCRIPTIONS_LIST", "charges.active": "CHARGES_ACTIVE", "developer.charges": "CHARGES_OF_APP",
         "developer.charges status": "CHARGES_OF_APP_IN_STATUS", "developer.revenue": "REVENUE_OF_APP", "merchant_charges.list": "CHARGES_OF_STORE",
         "merchant_charges.list status": "CHARGES_OF_STORE_IN", "payouts.list": "PAYOUTS_OF_APP", "usage_charges.list": "USAGE_LIST",
         "wallets.transactions": "WALLET_TRANSACTIONS"}
PLACE = {"page", "limit", "cursor", "before"}
FILL = f"""
set search_path = billing;
create temp table made as select n, case when n % 2 = 0 then {MANY} when n % 100 = 7 then {FEW} else 3 + n % 500 end as owner,
    n / 100 % 20 = 0 as rare, timestamptz '2100-01-01' + n * interval '1 minute' as at from generate_series(1, {ROWS}) as n;
insert into subscription (subscription_id, charge_id, store_id, app_id, installation_id, generation, name, currency, base_amount,
    billing_interval, trial_days, status, due_at, created_at) select n, n, owner, owner, owner, 1, 'Pro', 'BDT', 1000, 'monthly', 0,
    case when rare then 'active' else 'cancelled' end, case when rare then at end, now() from made order by n;
insert into charge (store_id, app_id, installation_id, generation, charge_type, subscription_id, name, currency, base_amount, amount, fee_payer,
    commission_rate, gateway_fee_rate, platform_amount, gateway_fee_amount, developer_amount, status, created_at, expires_at, ended_at)
    select owner, owner, owner, 1, 'recurring', case owner when {FEW} then 7 else n end, 'Setup', 'BDT', 1000, 1000, 'developer', 0, 0, 0, 0, 1000,
    case when rare then (array['pending', 'paid', 'declined'])[1 + n % 3] else 'paid' end, now(), at, case when not rare then now() end
    from made order by n;
insert into checkout (charge_id, account_id, provider, reference, status, ask_at, created_at)
    select n, 1, 'sandbox', 'sx_' || n, case when rare then 'open' else 'paid' end, at, now() from made order by n;
insert into account (kind, app_id, currency) select 'developer', n, 'BDT' from generate_series(1, 600) as n union all select 'provider', 0, 'BDT';
insert into transfer (from_account, to_account, amount, reason, charge_id, at) select f.account_id, t.account_id, 1000, 'charge', n, now()
    from made join account as f on f.kind = 'provider' join account as t on t.kind = 'developer' and t.app_id = owner order by n;
insert into wallet (app_id, store_id, currency, account_id, updated_at) select app_id, app_id, 'BDT', account_id, now() from account where kind = 'developer';
insert into wallet_transaction (wallet_id, type, amount, balance_after, transfer_id, created_at) select wallet_id, 'debit', 1, 0, transfer_id, now()
    from transfer join wallet on account_id = to_account order by transfer_id;
insert into revenue (transfer_id, app_id, charge_id, type, paid, earned, currency, created_at)
    select transfer_id, app_id, charge_id, 'charge', 1000, 1000, 'BDT', now() from transfer join charge using (charge_id) order by 1;
insert into payout (app_id, currency, amount, all_of_it, status, idempotency_key, requested_by, created_at)
    select owner, 'BDT', 100, false, case when n > {ROWS} - 3 then 'pending' else 'paid' end, 'key ' || n, 1, now() from made order by n;
insert into developer_balance (app_id, currency, updated_at) select n, 'BDT', now() from generate_series(1, 2000) as n;
insert into usage_bill (store_id, app_id, installation_id, generation, currency, status, starts_at, ends_at)
    select owner, owner, owner, 1, 'BDT', 'billed', now(), now() from made order by n;
insert into usage_bill (store_id, app_id, installation_id, generation, currency, starts_at, ends_at, due_at)
    select owner, owner, owner, 1, 'BDT', now(), now(), min(at) from made group by owner;
insert into usage_charge (usage_bill_id, installation_id, description, quantity, unit_price, amount, platform_amount, idempotency_key, created_at)
    select n, owner, 'SMS', 1000, 1, 1, 0, 'key ' || n, now() from made order by n;
"""


def removed(plan):
    return sum(value for node in nodes(plan) for name, value in node.items() if name.startswith("Rows Removed by"))


def read(plan):
    """Rows that were looked at, by whatever scan."""
    return sum((node["Actual Rows"] + removed({**node, "Plans": []})) * node["Actual Loops"] for node in nodes(plan)
               if node["Node Type"].endswith("Scan") and "Relation Name" in node or node["Node Type"] == "Bitmap Index Scan")


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    with Platform(gateways=0, services={"billing": 1}) as platform:
        platform["billing-1"].terminate()                                              # or it would seal all that
        platform.postgres.rows("alter system set autovacuum = off")
        platform.postgres.rows("select pg_reload_conf()")
        platform.postgres.rows(FILL)
        platform.postgres.rows("analyze")
        yield Plans(platform, tmp_path_factory.mktemp("plans"), "billing")


def check_page(plans, name, values_of):
    for owner in (FEW, MANY):
        for before in (2**62, ROWS // 2, 300):
            values = values_of(owner, before)
            plan = plans.explain(name, *values)
            counted = next(node["Actual Rows"] for node in nodes(plan) if node["Node Type"] == "Limit")
            assert removed(plan) == 0, plan
            assert counted <= COUNTED and read(plan) <= counted + LIMIT * JOINED + 2, plan
            assert not plans.scanned(name, *values) & GROWING


def lists_of_the_contract():
    for operation in Contract(str(ROOT)).operations:
        parameters = {node["name"]: node for node, _ in operation.parameters}
        if operation.service == "billing" and operation.method == "get" and "limit" in parameters:
            yield operation.id
            yield from (f"{operation.id} {name}" for name, node in parameters.items()
                        if node["in"] == "query" and name not in PLACE and not node.get("required"))


def test_every_list_has_a_plan():
    """One that is new, or has a new filter, is named in LISTS, and its statement is asked here."""
    assert set(lists_of_the_contract()) == set(LISTS)
    assert set(LISTS.values()) == {*PAGES, *(name for name, _ in STATES), "WALLET_TRANSACTIONS"}


@pytest.mark.parametrize("name", PAGES)
def test_a_page(plans, name):
    origin = [ORIGIN] if PAGES[name][0] else []
    check_page(plans, name, lambda owner, before: (*origin, owner, before, LIMIT, 0))


@pytest.mark.parametrize(("name", "status"), STATES)
def test_a_page_of_one_state(plans, name, status):
    check_page(plans, name, lambda owner, before: (ORIGIN, owner, before, LIMIT, 0, status))


def test_a_page_of_a_wallet(plans):
    check_page(plans, "WALLET_TRANSACTIONS", lambda owner, before: (owner, owner, "BDT", before, LIMIT, 0))


def test_what_the_pages_hold(plans):
    """That what was asked for is there: of some states much, of some little, of some nothing."""
    rows = dict(plans.run("select shown, count(*) from billing.charge where store_id = %s group by 1", (MANY,)))
    assert rows["completed"] > 10_000 and all(0 < rows[status] < 1000 for status in ("pending", "active", "declined")) and "expired" not in rows


@pytest.mark.parametrize(("name", "values", "most"), [
    ("BALANCE_GET", (1, "BDT", EARLY), 2), ("BALANCE_LOCK", (1, "BDT"), 1), ("PAYOUT_OF_KEY", (1, "key 7"), 2), ("PAYOUT_LOCK", (7,), 2),
    ("WALLET_GET", (FEW, FEW, "BDT"), 2), ("PAYOUTS_PENDING", (0, 100), 6), ("OWED_LIST", (0, 100), 2), ("OWED_LOCK", (7,), 3), ("CHARGE_OWN", (FEW, 7), 1), ("CHARGE_GET", (ORIGIN, FEW, 7), 3), ("CHARGE_KNOWN", (FEW, 7), 1),
    ("CHARGE_BY_REFERENCE", (FEW, "sx_7"), 2), ("CHECKOUT_FRESH", (2000, "sandbox", EARLY), 1), ("PAYMENT_READ", ("sx_7",), 3),
    ("SUBSCRIPTION_GET", (ORIGIN, FEW, 7), 3), ("SUBSCRIPTION_OVER", (7, 0, EARLY, None), 20), ("USAGE_BILL_OPEN", (MANY, "BDT"), 1),
    ("USAGE_BILL_MAKE", (MANY, MANY, MANY, 1, "BDT", EARLY, EARLY), 1), ("USAGE_BILL_MAKE", (MANY, MANY, MANY, 2, "BDT", EARLY, EARLY), 0),
    ("USAGE_KNOWN", (MANY, '[{"n": 0, "key": "key 8"}, {"n": 1, "key": "none"}]'), 5)])
def test_what_is_looked_up(plans, name, values, most):
    plan = plans.explain(name, *values)
    assert read(plan) <= most and removed(plan) == 0, plan
    assert not plans.scanned(name, *values) & GROWING


@pytest.mark.parametrize(("name", "values", "most"), [
    ("SCHEDULE_DUE", (EARLY, 50, *BEGINNING), 0), ("SCHEDULE_DUE", (LATE, 50, *BEGINNING), 150), ("SCHEDULE_OF_STORE", (MANY, EARLY), 0),
    ("SCHEDULE_DUE", (LATE, 50, *BEHIND), 150),
    ("SCHEDULE_OF_STORE", (MANY, LATE), 6), ("SCHEDULE_OF_STORE", (FEW, LATE), 6),
    ("CHECKOUTS_CLAIM", (EARLY, 4), 0), ("CHECKOUTS_CLAIM", (LATE, 4), 8),
    ("BLOCK_LAST", (), 1), ("TRANSFERS_UNSEALED", (100,), 400),
    # An end: what waits or lives, and the payment that was the latest of each.
    ("CHARGES_CANCEL", (MANY, 1, EARLY, 50, EARLY), 102), ("CHARGES_CANCEL", (MANY, 0, EARLY, 50, EARLY), None),
    ("CHARGES_CANCEL", (5, 1, EARLY, 50, EARLY), 30),
    ("SUBSCRIPTIONS_END", (MANY, 1, 50, EARLY, EARLY), 200), ("USAGE_BILLS_END", (MANY, 1), 1)])
def test_what_is_due_or_ends(plans, name, values, most):
    plan = plans.explain(name, *values)
    if most is not None:
        assert read(plan) <= most, plan
    assert not plans.scanned(name, *values) & GROWING

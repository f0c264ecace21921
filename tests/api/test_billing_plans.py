"""Developers' lists and an uninstall where an app has few among 40,000 charges, and another one half of them: no table that grows
is read row by row, nor through the rows of others."""

import pytest

from .plans import Plans, buffers, nodes
from .platform import Platform

ROWS = 20_000                           # half of what there is
GROWING = {"charge", "revenue", "payout", "transfer", "account", "refund", "subscription", "developer_balance"}
APPS = (1, 2)                            # of the first one is a row in a hundred, of the second one half of them
PAGES = ["CHARGES_OF_APP", "CHARGES_OF_APP_IN_STATUS", "REVENUE_OF_APP", "PAYOUTS_OF_APP"]
FILL = f"""
set search_path = billing;
insert into charge (store_id, app_id, installation_id, generation, charge_type, name, currency, base_amount, amount, fee_payer,
    commission_rate, gateway_fee_rate, platform_amount, gateway_fee_amount, developer_amount, status, created_at, expires_at)
    select n % 7, case when n % 2 = 0 then 2 when n % 100 = 7 then 1 else 3 + n % 500 end, n % 500, 1, 'one_time', 'Setup', 'BDT', 1000, 1000, 'developer', 0, 0, 0, 0, 1000,
    case when n % 400 < 2 then 'pending' else 'paid' end, now(), now() from generate_series(1, {2 * ROWS}) as n;
insert into account (kind, app_id, currency) select 'developer', n, 'BDT' from generate_series(1, 600) as n union all select 'provider', 0, 'BDT';
insert into transfer (from_account, to_account, amount, reason, charge_id, at) select f.account_id, t.account_id, 1000, 'charge', charge_id,
    now() from charge join account as f on f.kind = 'provider' join account as t on t.kind = 'developer' and t.app_id = charge.app_id;
insert into revenue (transfer_id, app_id, charge_id, type, paid, earned, currency, created_at)
    select transfer_id, app_id, charge_id, 'charge', 1000, 1000, 'BDT', now() from transfer join charge using (charge_id);
insert into payout (app_id, currency, amount, all_of_it, status, idempotency_key, requested_by, created_at)
    select case when n % 2 = 0 then 2 when n % 100 = 7 then 1 else 3 + n % 500 end, 'BDT', 100, false, case when n > {2 * ROWS} - 3 then 'pending' else 'paid' end, 'key ' || n, 1, now()
    from generate_series(1, {2 * ROWS}) as n;
insert into developer_balance (app_id, currency, updated_at) select n, 'BDT', now() from generate_series(1, 2000) as n;
"""


def arguments(name, app_id, before):
    page = (app_id, 2**62 if before is None else before, 20, 0)
    if not name.startswith("CHARGES"):
        return page
    return ("https://admin.example", *page, *(["pending"] if name.endswith("STATUS") else []))


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    with Platform(gateways=0, services={"billing": 1}) as platform:
        platform["billing-1"].terminate()                                              # or it would seal all that
        platform.postgres.rows(FILL)
        platform.postgres.rows("vacuum analyze")
        yield Plans(platform, tmp_path_factory.mktemp("plans"), "billing")


@pytest.mark.parametrize("name", PAGES)
def test_a_page(plans, name):
    """No row is read that is then left out, at either end of the list; what is counted is 10,000 entries of an index at most."""
    for app_id in APPS:
        for before in (None, ROWS, 300):
            plan = plans.explain(name, *arguments(name, app_id, before))
            assert sum(node.get("Rows Removed by Filter", 0) for node in nodes(plan)) == 0, plan
        assert not plans.scanned(name, *arguments(name, app_id, None)) & GROWING


@pytest.mark.parametrize(("name", "values"), [
    ("BALANCE_GET", (1, "BDT", "2026-01-01")), ("BALANCE_LOCK", (1, "BDT")), ("PAYOUT_OF_KEY", (1, "key 7")), ("PAYOUT_LOCK", (7,)),
    ("PAYOUTS_PENDING", (0, 100)), ("CHARGE_OWN", (7, 7)), ("CHARGES_CANCEL", (7, 1, "2026-01-01", 500))])
def test_what_is_looked_up(plans, name, values):
    assert not plans.scanned(name, *values) & GROWING
    assert buffers(plans.explain(name, *values)) <= 60

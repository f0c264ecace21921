"""What an overview costs where an app has 20,000 installations, charges, subscriptions and deliveries: it is read from kept counts
(test_app_counts.py)."""

import concurrent.futures
import pytest

from .plans import Plans, nodes
from .platform import Platform

ROWS, WRITERS = 20_000, 8
CROWDED = 2                              # the app that has half of all
WHOSE = "case when n % 2 = 0 then 2 when n % 100 = 7 then 1 else 3 + n % 50 end"
ROOM = """
set search_path = auth;
insert into account (account_id, name, email, password, created_at, updated_at) overriding system value
    values (1, 'Owner', 'o@plans.example', 'none', now(), now());
insert into store (store_id, owner_account_id, name, created_at, updated_at) overriding system value
    select n, 1, 'Store', now(), now() from generate_series(1, 40000) as n;
insert into app (app_id, owner_account_id, type, name, slug, redirect_urls, requested_scopes, client_id, client_secret_hash,
    session_signing_key, created_at, updated_at) overriding system value
    select n, 1, 'platform', 'App', 'app-' || n, '[]', 'read:orders', 'sx_app_' || md5(n::text), '', '', now(), now() from generate_series(1, 60) as n;
set search_path = webhooks;
select partitions_make((now() - n * interval '1 day')::date) from generate_series(0, 31) as n
"""
# Rows that are numbered first to last.
FILL = {
    "auth": f"""
        insert into auth.installation (store_id, app_id, granted_scopes, status, installed_at, consented_at, created_at, updated_at)
            select n, {WHOSE}, '', case when n % 5 = 0 then 'uninstalled' else 'active' end, now(), now(), now(), now()
            from generate_series({{first}}, {{last}}) as n""",
    "billing": f"""
        insert into billing.charge (store_id, app_id, installation_id, generation, charge_type, name, currency, base_amount, amount, fee_payer,
            commission_rate, gateway_fee_rate, platform_amount, gateway_fee_amount, developer_amount, status, created_at, expires_at)
            select n, {WHOSE}, n, 1, 'one_time', 'Setup', 'BDT', 1000 + n, 1000 + n, 'developer', 0, 0, 0, 0, 1000 + n,
            case when n % 3 = 0 then 'pending' else 'paid' end, now(), now() from generate_series({{first}}, {{last}}) as n""",
    "webhooks": f"""
        insert into webhooks.subscription (subscription_id, app_id, store_id, made_by, topic, target_url, secret, profile, status,
            created_at, updated_at) select n, case when n % 7 = 0 then null else {WHOSE} end, case when n % 7 = 0 then n end,
            case when n % 7 = 0 then 'merchant' else 'developer' end, 'order.created', '', '', 'selorax',
            case when n % 5 = 0 then 'inactive' else 'active' end, now(), now() from generate_series({{first}}, {{last}}) as n;
        insert into webhooks.delivery (delivery_id, event_at, subscription_id, event_id, topic, resource_type, resource_id, state, attempt,
            created_at, finished_at) select n, at, n, gen_random_uuid(), 'order.created', 'order', n, case when n % 4 = 0 then 'failed' else 'success' end,
            1, at, at from generate_series({{first}}, {{last}}) as n cross join lateral (select now() - (n % 30) * interval '1 day' as at) as t"""}
LOOKS = [("auth", "APP_COUNTS", (CROWDED,)), ("auth", "APP_LATEST_INSTALLATION", (CROWDED,)), ("billing", "APP_COUNTS", (CROWDED, "BDT")),
         ("billing", "APP_LATEST_CHARGE", (CROWDED,)), ("webhooks", "APP_LATEST_DELIVERY", (CROWDED,))]


def together(platform, statements):
    """Each in a connection of its own, WRITERS at a time."""
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(platform.postgres.rows, statements))


@pytest.fixture(scope="module")
def large():
    with Platform(gateways=0, services={name: 1 for name in FILL}) as platform:
        for name in FILL:
            platform[f"{name}-1"].terminate()
        platform.postgres.rows(ROOM)
        step = 2 * ROWS // 40
        together(platform, [sql.format(first=first, last=first + step - 1) for sql in FILL.values() for first in range(1, 2 * ROWS, step)])
        platform.postgres.rows("vacuum analyze")
        yield platform


@pytest.fixture(scope="module")
def plans(large, tmp_path_factory):
    made = {}
    for name in FILL:
        made[name] = Plans(large, tmp_path_factory.mktemp(name), name)
    return made


def rows_through(plan):
    """All that were looked at, in every part of the plan."""
    return sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in nodes(plan))


@pytest.mark.parametrize("service, name, values", LOOKS, ids=str)
def test_a_look_passes_over_few_rows(plans, service, name, values):
    assert rows_through(plans[service].explain(name, *values)) <= 3000
    assert not plans[service].scanned(name, *values) & {"installation", "charge", "subscription", "delivery", "installation_count", "charge_count",
                                                        "subscription_count", "delivery_count", "developer_balance"}


def test_the_figures_of_seven_days(large, plans):
    now = large.postgres.rows("select now()::text")[0][0]
    plan = plans["webhooks"].explain("APP_COUNTS", CROWDED, now)
    assert rows_through(plan) <= 500
    assert not plans["webhooks"].scanned("APP_COUNTS", CROWDED, now)

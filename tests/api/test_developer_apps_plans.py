"""A developer's lists where they have few among 40,000 apps, and another one half of them; where an app has few among 40,000
installations, and another one half of them: no table that grows is read row by row, nor through the rows of others."""

import pytest

from .plans import Plans, buffers, nodes
from .platform import Platform

ROWS = 20_000                            # half of what there is
GROWING = {"app", "app_count", "app_member", "installation", "installation_count", "token", "installation_usage"}
OWNERS = APPS = (1, 2)                   # of the first one is a row in a hundred, of the second one half of them
HELPER = 600                             # owns nothing, and helps with as many apps as one may
WHOSE = "case when n % 2 = 0 then 2 when n % 100 = 7 then 1 else 3 + n % 500 end"
FILL = f"""
set search_path = auth;
insert into account (account_id, name, email, password, created_at, updated_at) overriding system value
    select n, 'Owner', 'owner' || n || '@plans.example', 'none', now(), now() from generate_series(1, 600) as n;
insert into store (store_id, owner_account_id, name, created_at, updated_at) overriding system value
    select n, 1, 'Store', now(), now() from generate_series(1, {2 * ROWS}) as n;
insert into app (app_id, owner_account_id, type, name, slug, redirect_urls, requested_scopes, client_id, client_secret_hash,
    session_signing_key, is_active, is_listed, created_at, updated_at) overriding system value
    select n, {WHOSE}, 'platform', 'App', 'app-' || n, '[]', 'read:orders', 'sx_app_' || md5(n::text), '', '', n % 4000 <> 2, n % 2000 = 2,
    now(), now() from generate_series(1, {2 * ROWS}) as n;
insert into installation (store_id, app_id, granted_scopes, status, installed_at, consented_at, created_at, updated_at)
    select n, {WHOSE}, 'read:orders', case when n % 4000 < 3 then 'uninstalled' else 'active' end, now(), now(), now(), now()
    from generate_series(1, {2 * ROWS}) as n;
insert into token (installation_id, generation, kind, token_hash, expires_at, created_at)
    select installation_id, 1, 'access', sha256(n::text::bytea || installation_id::text::bytea), now(), now()
    from installation, generate_series(1, 2) as n;
insert into app_member (app_id, account_id, role, added_by_account_id, created_at, updated_at)
    select n, 510 + n % 50, 'viewer', 1, now(), now() from generate_series(1, {2 * ROWS}) as n where n <> 7
    union all select n * 150, {HELPER}, 'admin', 1, now(), now() from generate_series(1, 250) as n
    union all select 7, 100 + n, 'viewer', 1, now(), now() from generate_series(1, 100) as n;
"""


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    with Platform(gateways=0, services={"auth": 1}) as platform:
        platform["auth-1"].terminate()
        platform.postgres.rows(FILL)
        platform.postgres.rows("vacuum analyze")
        yield Plans(platform, tmp_path_factory.mktemp("plans"), "auth")


def left_out(plan):
    """A developer has four counts at most."""
    return sum(node.get("Rows Removed by Filter", 0) for node in nodes(plan) if node.get("Relation Name") in GROWING - {"app_count"})


@pytest.mark.parametrize("active, listed", [(None, None), (1, None), (0, None), (None, 1), (0, 1), (1, 0)])
def test_a_page_of_apps(plans, active, listed):
    for owner in OWNERS:
        for offset in (0, 5000):
            plan = plans.explain("OWNED_APPS_PAGE", owner, active, listed, 20, offset)
            assert left_out(plan) == 0, plan
        assert not plans.scanned("OWNED_APPS_PAGE", owner, active, listed, 20, 0) & GROWING
        assert buffers(plans.explain("OWNED_APPS_PAGE", owner, active, listed, 20, 0)) <= 200


def test_what_others_share(plans):
    """Every app that one helps with is looked at, and no other."""
    plan = plans.explain("OWNED_APPS_PAGE", HELPER, None, None, 20, 0)
    assert left_out(plan) == 0 and not plans.scanned("OWNED_APPS_PAGE", HELPER, None, None, 20, 0) & GROWING
    assert plan["Actual Rows"] == 20 and buffers(plan) <= 5000
    plan = plans.explain("APP_MEMBERS_PAGE", 7, 20, 0)
    assert plan["Actual Rows"] == 20 and buffers(plan) <= 1000
    assert not plans.scanned("APP_MEMBERS_PAGE", 7, 20, 0) & GROWING


@pytest.mark.parametrize("name", ["INSTALLATIONS_OF_APP", "INSTALLATIONS_OF_APP_ACTIVE", "INSTALLATIONS_OF_APP_ENDED"])
def test_a_page_of_installations(plans, name):
    for app_id in APPS:
        for offset, most in ((0, 400), (9_980, 600)):
            plan = plans.explain(name, app_id, 20, offset)
            assert left_out(plan) == 0 and buffers(plan) <= most, plan
        assert not plans.scanned(name, app_id, 20, 0) & GROWING


@pytest.mark.parametrize("name, values", [
    ("OWNED_APP_GET", (7,)), ("APP_ACCESS", (7, 1, "viewer")), ("APP_ACCESS", (7, 101, "viewer")), ("APP_MEMBER_GET", (7, 101)),
    ("APP_MEMBERS_ROOM", (7, HELPER)), ("APP_OF_CREATION", ("00000000-0000-4000-8000-000000000000",)), ("OWNED_APP_DELETE", (7, "2026-01-01")), ("APP_ENDING_INSTALLATIONS", (2, 0)), ("APP_ENDING_INSTALLATIONS", (1, 0)), ("APP_ENDING_INSTALLATIONS", (1, 9_000))])
def test_what_is_looked_up(plans, name, values):
    assert not plans.scanned(name, *values) & GROWING
    plans.explain(name, *values)                        # what triggers do is read from the catalogue once
    assert buffers(plans.explain(name, *values)) <= 60


@pytest.mark.parametrize("name, arguments, most", [
    ("APPS_UNTOLD", (200,), 1_500), ("APPS_SHOWN", ("{7,8}",), 20), ("APP_SET_APPROVED", (7, True, 9), 100),
    ("APPS_TOLD", ('[{"app_id": 7, "version": 1}, {"app_id": 8, "version": 1}]',), 40)])
def test_what_the_marketplace_is_told(plans, name, arguments, most):
    """While all of the 40,000 wait to be told."""
    assert not plans.scanned(name, *arguments) & {"app", "app_untold"}
    assert buffers(plans.explain(name, *arguments)) <= most

"""The marketplace's lists, and those of one's own apps, among 40,000 apps: half of them one developer's and in one category, few
of what is listed approved, one word in every name and another one in few. No table that grows is read row by row, nor
through rows that are not shown; what is rare costs what its rows cost."""

import json

import pytest

from .plans import Plans, buffers, nodes
from .platform import Platform

ROWS = 20_000                            # half of what there is
GROWING = {"listing", "review", "decision", "app", "app_untold"}
FEW, MANY = 1, 2                         # developers: one in a hundred apps is the first one's, half are the other's
COLUMNS = ("creation_id, app_id, account_id, version, name, slug, developer_name, is_listed, is_active, is_approved, category, created_at, updated_at, "
           "app_created_at, app_updated_at, review_number, review_status")
FILL = f"""
set search_path = developer_apps;
insert into listing ({COLUMNS})
    select gen_random_uuid(), n, case when n % 2 = 0 then 2 when n % 100 = 7 then 1 else 3 + n % 500 end, 1,
    'App' || case when n % 1000 = 7 then ' rarely' else '' end, 'app-' || n, '', n % 4000 <> 2, true, n % 400 = 7,
    case when n % 2 = 0 then 'common' when n % 100 = 7 then 'rare' end, now(), now(), now(), now(), 1, 'approved'
    from generate_series(1, {2 * ROWS}) as n;
insert into review (app_id, version, status, manifest, submitted_at, submitted_by)
    select n, 1, case when n % 400 = 0 then 'submitted' else 'approved' end, '{{"name": "App"}}', now(), 1 from generate_series(1, {2 * ROWS}) as n;
insert into decision (app_id, version, action, is_approved, account_id, at, due_at)
    select n, 1, 'approved', true, 1, now(), case when n % 4000 = 1 then now() end from generate_series(1, {2 * ROWS}) as n;
"""


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    with Platform(gateways=0, services={"developer-apps": 1}) as platform:
        platform["developer-apps-1"].terminate()
        platform.postgres.rows(FILL)
        platform.postgres.rows("vacuum analyze")
        yield Plans(platform, tmp_path_factory.mktemp("plans"), "developer-apps")


def left_out(plan):
    return sum(node.get("Rows Removed by Filter", 0) for node in nodes(plan) if node.get("Relation Name") in GROWING)


def looked_at(plan):
    """Rows of the table of apps that were read for it."""
    return sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan) if node.get("Relation Name") == "listing")


def explain(plans, name, *arguments):
    """The second time: the first one reads functions from the catalogue as well."""
    plans.explain(name, *arguments)
    return plans.explain(name, *arguments)


def check(plans, name, *arguments, most):
    plan = explain(plans, name, *arguments)
    assert not plans.scanned(name, *arguments) & GROWING
    assert left_out(plan) == 0, plan
    assert buffers(plan) <= most, plan
    return plan


@pytest.mark.parametrize("name, arguments, few", [
    ("MARKET_PAGE", (), False), ("MARKET_PAGE_APPROVED", (), True), ("MARKET_CATEGORY", ("common",), False), ("MARKET_CATEGORY", ("rare",), False),
    ("MARKET_CATEGORY", ("none",), True), ("MARKET_CATEGORY_APPROVED", ("rare",), True), ("MARKET_CATEGORY_APPROVED", ("common",), True)])
def test_a_page_of_the_marketplace(plans, name, arguments, few):
    for offset in (0, 9_980):
        plan = check(plans, name, 20, offset, *arguments, most=250 if few else 500)
        assert looked_at(plan) <= 10_001 + offset + 40


def test_a_search(plans):
    for category, approved, most in ((None, False, 40), ("rare", False, 40), (None, True, 40)):
        plan = explain(plans, "MARKET_SEARCH", 20, 0, category, "RARELY", approved)
        assert not plans.scanned("MARKET_SEARCH", 20, 0, category, "RARELY", approved) & GROWING
        assert looked_at(plan) <= most + 20 and buffers(plan) <= 1_000, plan
    for text in ("app", "a", "nowhere to be found"):
        plan = explain(plans, "MARKET_SEARCH", 20, 0, None, text, False)
        assert not plans.scanned("MARKET_SEARCH", 20, 0, None, text, False) & GROWING
        assert looked_at(plan) <= 10_001 + 20 and buffers(plan) <= 6_000, plan


@pytest.mark.parametrize("unlisted", [False, True])
def test_ones_own(plans, unlisted):
    for account, most in ((FEW, 300), (MANY, 500)):
        for category in (None, "common", "rare"):
            plan = explain(plans, "OWN_PAGE", account, 50, 0, category, unlisted)
            assert not plans.scanned("OWN_PAGE", account, 50, 0, category, unlisted) & GROWING
            assert looked_at(plan) <= 10_050 and buffers(plan) <= most, plan
        plan = explain(plans, "OWN_SEARCH", account, 50, 0, None, unlisted, "rarely")
        assert not plans.scanned("OWN_SEARCH", account, 50, 0, None, unlisted, "rarely") & GROWING
        assert looked_at(plan) <= (10_050 if account == MANY else 450), plan


@pytest.mark.parametrize("name, arguments, most", [
    ("MARKET_GET", (7, 5, True), 20), ("REVIEW_HOLD", (7,), 20), ("REVIEW_NEWEST", (7, "{}"), 20), ("REVIEW_GET", (7, 1), 20), ("REVIEW_WITHDRAW", (400,), 40),
    ("VERSION_SHOW", (7, 1, None), 40), ("REVIEW_SHOW", (7,), 60), ("REVIEWS_PAGE", (20, 0), 1_000), ("VERSIONS_PAGE", (7, 20, 0), 40),
    ("DECISIONS_UNTOLD", (1,), 20), ("DECISION_TOLD", (1,), 40), ("DECISION_TAKE", ("2030-01-01", "2030-01-02"), 60), ("REVIEW_PUT", (7, "{}", "2026-01-01", 1), 200)])
def test_what_is_looked_up(plans, name, arguments, most):
    assert not plans.scanned(name, *arguments) & GROWING
    plan = explain(plans, name, *arguments)
    assert buffers(plan) <= most, plan


def test_what_auth_tells(plans):
    """A batch costs what its apps cost, whether it is news or not."""
    [(creation_id,)] = plans.run("select creation_id::text from listing where app_id = 7")
    for version, name in ((1, "Not news"), (2, "News")):
        apps = json.dumps([{"creation_id": creation_id, "app_id": 7, "account_id": 1, "version": version, "name": name, "slug": "app-7", "is_listed": True,
                            "is_active": True, "is_approved": False, "is_deleted": version == 2, "created_at": "2026-01-01", "updated_at": "2026-01-01"}])
        assert not plans.scanned("LISTING_LEARN", apps) & GROWING
        assert buffers(explain(plans, "LISTING_LEARN", apps)) <= 500

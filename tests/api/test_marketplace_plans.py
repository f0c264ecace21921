"""The marketplace's lists, and those of one's own apps, among 40,000 apps: half of them one developer's and in one category, few
of what is listed approved, one word in every name and another one in few. No table that grows is read row by row, nor
through rows that are not shown; what is rare costs what its rows cost."""

import json
import re

import pytest

from .plans import Plans, buffers, nodes
from .platform import Platform

ROWS = 20_000                            # half of what there is
GROWING = {"listing", "listing_count", "review", "app", "app_untold"}
FEW, MANY = 1, 2                         # developers: one in a hundred apps is the first one's, half are the other's
COLUMNS = ("creation_id, app_id, account_id, version, name, slug, developer_name, is_listed, is_active, is_approved, category, created_at, updated_at, "
           "app_created_at, app_updated_at, review_number, review_status, approved_version, decision_number, decision_due")
FILL = f"""
set search_path = developer_apps;
insert into listing ({COLUMNS})
    select gen_random_uuid(), n, case when n % 2 = 0 then 2 when n % 100 = 7 then 1 else 3 + n % 500 end, 1,
    'App' || case when n % 1000 = 7 then ' rarely' else '' end, 'app-' || n, case when n % 4000 <> 1 then 'arket desk market' else '' end, n % 4 <> 2, true, n % 40 = 7,
    case when n % 2 = 0 then 'common' when n % 100 = 7 then 'rare' end, now(), now(), now(), now(), 1, 'approved',
    case when n % 40 = 7 then 1 end, 1, case when n % 4000 = 1 then now() end from generate_series(1, {2 * ROWS}) as n;
insert into review (app_id, version, status, manifest, submitted_at, submitted_by)
    select n, 1, case when n % 400 = 0 then 'submitted' else 'approved' end, '{{"name": "App"}}', now(), 1 from generate_series(1, {2 * ROWS}) as n;
"""


def planned_early(plans):
    """Statements that read a whole table by the plan that is made while there are no rows, as the service plans: it is kept until
    PostgreSQL has looked at the table again. A recount reads them all."""
    plans.run("set enable_seqscan = on")
    most = {name: max(map(int, re.findall(r"\$(\d+)", sql)), default=0) for name, sql in plans.statements.items()}
    return {name for name in most if name != "APP_COUNTS_VERIFY" and plans.scanned(name, *[None] * most[name]) & GROWING}


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    # Durable: pages whose commit is not on the disk yet are not all visible, whatever has vacuumed them.
    with Platform(gateways=0, services={"developer-apps": 1}, durable=True) as platform:
        platform["developer-apps-1"].terminate()
        early = planned_early(Plans(platform, tmp_path_factory.mktemp("early"), "developer-apps"))
        platform.postgres.rows(FILL)
        platform.postgres.rows("vacuum analyze")
        plans = Plans(platform, tmp_path_factory.mktemp("plans"), "developer-apps")
        plans.early = early
        yield plans


def test_what_is_planned_while_there_are_no_rows(plans):
    assert plans.early == set()


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
        plan = check(plans, name, 20, offset, *arguments, most=100 if few else 250)
        assert looked_at(plan) <= offset + 40


def test_a_search(plans):
    """What is looked at is what is found, or what is newest when that is too much: 10,000 apps, and the rest of their shelf."""
    for category, text, approved, found in ((None, "RARELY", False, 40), ("rare", "RARELY", False, 40), (None, "RARELY", True, 40), (None, "nowhere to be found", False, 0),
                                            ("none", "app", False, 0), ("common", "app", True, 0), ("rare", "app", False, 400), (None, "app", True, 1_000)):
        plan = explain(plans, "MARKET_SEARCH", 20, 0, category, text, approved)
        assert not plans.scanned("MARKET_SEARCH", 20, 0, category, text, approved) & GROWING and left_out(plan) == 0
        assert looked_at(plan) <= found + 21 and buffers(plan) <= 200 + found, plan
    for text in ("app", "a"):
        plan = explain(plans, "MARKET_SEARCH", 20, 9_980, None, text, False)
        assert looked_at(plan) <= 10_000 + 8_192 + 21 and buffers(plan) <= 1_000, plan


def test_a_search_whose_pieces_many_have(plans):
    """What has the pieces of a text is looked at as if it had the text, and no more of it than that."""
    plan = explain(plans, "MARKET_SEARCH", 20, 0, None, "market desk", False)
    assert not plans.scanned("MARKET_SEARCH", 20, 0, None, "market desk", False) & GROWING
    assert 10_000 <= looked_at(plan) <= 10_000 + 8_192 and buffers(plan) <= 1_000, plan


@pytest.mark.parametrize("unlisted", [False, True])
def test_ones_own(plans, unlisted):
    for account, most in ((FEW, 200), (MANY, 300)):
        for name, category in (("OWN_PAGE", ()), ("OWN_CATEGORY", ("common",)), ("OWN_CATEGORY", ("rare",))):
            for offset in (0, 5_000):
                plan = explain(plans, name, account, 50, offset, unlisted, *category)
                assert not plans.scanned(name, account, 50, offset, unlisted, *category) & GROWING
                assert looked_at(plan) <= offset + 102 and buffers(plan) <= most, plan
        plan = explain(plans, "OWN_SEARCH", account, 50, 0, unlisted, None, "rarely")
        assert not plans.scanned("OWN_SEARCH", account, 50, 0, unlisted, None, "rarely") & GROWING
        assert looked_at(plan) <= (10_052 if account == MANY else 450), plan


@pytest.mark.parametrize("name, arguments, most", [
    ("MARKET_GET", (7, 5, True), 20), ("REVIEW_HOLD", (7,), 20), ("REVIEW_NEWEST", (7, "{}"), 20), ("REVIEW_GET", (7, 1), 20), ("REVIEW_WITHDRAW", (400,), 40),
    ("VERSION_SHOW", (7, 1, None), 40), ("REVIEW_SHOW", (7,), 60), ("REVIEWS_PAGE", (20, 0), 150), ("VERSIONS_PAGE", (7, 20, 0), 40),
    ("DECISION_UNTOLD", (1,), 20), ("DECISION_TOLD", (1, 1), 60), ("DECISION_TAKE", ("2030-01-01", "2030-01-02"), 60), ("REVIEW_PUT", (7, "{}", "2026-01-01", 1), 200)])
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
        plan = explain(plans, "LISTING_LEARN", apps)
        assert buffers(plan) <= 500 and sum(node["Actual Rows"] for node in nodes(plan) if node.get("Relation Name") == "review") <= 1, plan


def test_a_search_that_finds_too_much_is_the_same_each_time(plans):
    """The newest 10,000, wherever the rows lie; those that have it in their name first."""
    def pages(text):
        return [app_id for offset in range(0, 10_000, 2_500) for _, app_id in plans.run(
            f"execute search(2500, {offset}, null, '{text}', false)") if app_id]

    sql = plans.statements["MARKET_SEARCH"]
    plans.run(f"prepare search as select _total, app_id from ({sql}) as answer")
    listed = [app_id for app_id in range(2 * ROWS, 0, -1) if app_id % 4 != 2]
    assert pages("app") == listed[:10_000] and plans.run("execute search(1, 0, null, 'app', false)")[0][0] == 10_000
    plans.run("begin")
    plans.run("update listing set description = 'moved' where app_id % 7 = 0")
    plans.run("update listing set developer_name = 'Something', short_description = 'An app', name = 'Else' where app_id % 5 = 0")
    try:
        newest = listed[:10_000]
        assert pages("APP") == [app_id for app_id in newest if app_id % 5] + [app_id for app_id in newest if app_id % 5 == 0]
    finally:
        plans.run("rollback")


def test_what_has_the_pieces_counts_as_what_is_found(plans):
    """Only what stands behind 10,000 newer ones is not found; in its category it is."""
    sql = plans.statements["MARKET_SEARCH"]
    plans.run(f"prepare among as select app_id from ({sql}) as answer where app_id is not null")
    plans.run("begin")
    plans.run("update listing set developer_name = 'Market Desk' where app_id in (7, 107, 39999)")
    try:
        assert plans.run("execute among(20, 0, null, 'market desk', false)") == [(39_999,)]
        assert plans.run("execute among(20, 0, 'rare', 'MARKET desk', false)") == [(107,), (7,)]
    finally:
        plans.run("rollback")

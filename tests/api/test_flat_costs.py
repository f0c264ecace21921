"""What must not grow with the store: totals of ranges and of categories, orders of a range in another sort, a batch of metafields.

Measured in pages that PostgreSQL touches, of the plan that the service keeps (generic), on a platform of its own whose tables
nobody looks at: first the planner knows nothing of them, then all.
"""

import itertools
import json
import random
from pathlib import Path

import pytest

from . import goods
from .plans import Plans, buffers, nodes
from .platform import Platform
from .shop import Owner

ORDERS, CATEGORIES = "/api/apps/v1/orders", "/api/apps/v1/categories"
COUNT, OTHERS = 20_000, 2_000
TABLES = "store_order, order_item, kept_count, kept_total, category, metafield_value, metafield_definition, customer, product"
KNOWN = [False, True]
SCHEMA = Path(__file__).resolve().parents[2] / "services" / "store-data" / "schema"

# Eight stripes a day, as many writers make; ten years; the latest change comes the later the older the order is.
MAKE_ORDERS = """
insert into store_order (store_id, order_status, financial_status, fulfillment_status, sub_total, tax, shipping, discount, grand_total,
    created_at, updated_at, store_serial_order_no)
select %s, case when n %% 3 = 0 then 'completed' else 'pending' end, 'paid', 'unfulfilled', n %% 977, 0, 0, 0, n %% 977,
    timestamptz '2016-01-01' + n * interval '260 minutes', timestamptz '2027-01-01' - n * interval '1 minute', 'S' || n from generate_series(1, %s) as n
"""
MAKE_STRIPES = """
insert into kept_count (store_id, kind, status, day, stripe, n) select store_id, kind, status, day, (stripe + i) %% 8, 0
from kept_count, generate_series(1, 7) as i where day > '-infinity' and store_id = %s
"""
MAKE_VALUES = """
insert into metafield_value (store_id, app_id, definition_id, resource_type, resource_id, value, created_at, updated_at)
select o.store_id, d.app_id, d.definition_id, 'o', o.order_id, 'v', now(), now() from store_order as o, metafield_definition as d
where o.store_id = %s and d.app_id = %s
"""


@pytest.fixture(scope="module")
def large():
    with Platform() as platform:
        owner = Owner(platform)
        for table in TABLES.split(", "):
            goods.run(platform, f"alter table {table} set (autovacuum_enabled = off)")
        for shop, count in [(owner.open_shop(), OTHERS), (owner.open_shop(), COUNT)]:
            goods.run(platform, MAKE_ORDERS, shop.store_id, count)
            goods.run(platform, MAKE_STRIPES, shop.store_id)
            goods.run(platform, "insert into category (store_id, name, slug, created_at, updated_at) select %s, 'Kurta ' || n, 'k-' || n, "
                      "now() + n * interval '1 second', now() - n * interval '1 second' from generate_series(1, %s) as n", shop.store_id, count // 5)
            answer = shop.post("/api/apps/v1/metafields/definitions", {"namespace": "a", "key": "b", "name": "B", "resource_type": "order"})
            assert answer.status_code == 201, answer.text
            goods.run(platform, MAKE_VALUES, shop.store_id, shop.app_id)
        yield shop


@pytest.fixture(scope="module", params=KNOWN, ids=["unknown", "known"])
def plans(large, tmp_path_factory, request):
    """As the service plans, also where reading a table would be allowed."""
    plans = Plans(large.platform, tmp_path_factory.mktemp("plans"))
    if request.param:
        connection = large.platform.postgres.connect()
        with connection.cursor() as cursor:
            cursor.execute("set search_path = store_data; analyze " + TABLES)
        connection.close()
    assert plans.run("select reltuples > 0 from pg_class where oid = 'store_order'::regclass") == [(request.param,)]
    plans.run("set enable_seqscan = on")
    return plans


def walked(plan):
    """Orders that the page is looked for in: its index scan is in the plan's last branch."""
    page = plan["Plans"][-1]
    assert {node["Node Type"] for node in nodes(page)} <= {"Limit", "Subquery Scan", "Index Scan"}, page
    return sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes(page) if node["Node Type"] == "Index Scan")


def test_a_batch_of_values_is_looked_up_by_key(large, plans):
    (definition, app), = goods.run(large.platform, "select definition_id, app_id from metafield_definition where app_id = %s", large.app_id)
    ids = [order for order, in goods.run(large.platform, "select order_id from store_order where store_id = %s order by order_id desc limit 100", large.store_id)]
    batch = json.dumps([{"n": n, "definition": definition, "letter": "o", "id": order} for n, order in enumerate(ids)])
    plan = plans.explain("METAFIELD_VALUES_OF", large.store_id, app, batch)
    used = [node.get("Index Name") for node in nodes(plan) if node.get("Relation Name") == "metafield_value"]
    assert used == ["metafield_value_resource"] and plan["Actual Rows"] == 100 and buffers(plan) < 100 * 8, plan
    plan = plans.explain("METAFIELD_RESOURCES_MISSING", large.store_id, batch)
    assert plan["Actual Rows"] == 0 and buffers(plan) < 100 * 8 and "hashed" not in json.dumps(plan), plan


def test_the_total_of_categories(large, plans):
    for sort, (way, key) in itertools.product(("CREATED", "UPDATED"), (("ASC", ("-infinity", 0)), ("DESC", ("infinity", 2**63 - 1)))):
        plan = plans.explain(f"CATEGORIES_{sort}_{way}", large.store_id, "", 51, 0, *key)
        assert plan["Actual Rows"] == 51 and buffers(plan) < 150, plan
    plan = plans.explain("CATEGORY_INSERT", large.store_id, "x", "x", None, None, None, 0, "2026-01-01", 5000)
    assert plan["Actual Rows"] == 1 and buffers(plan) < 100, plan


def test_orders_of_a_range(large, plans):
    """Ten years are the stripes of their months (1,000), not those of their days (29,000); a year at most those of eleven months and
    of sixty days."""
    for since, until, most in ("2016-01-02", "2026-12-31", 1200), ("2020-01-15", "2021-01-14", 700), ("2020-05-05", "2020-05-06", 50):
        plan = plans.explain("ORDERS_RANGE_SIZE", large.store_id, "", since, since, until, until)
        read = [node for node in nodes(plan) if node.get("Relation Name") == "kept_count"]
        assert {node["Node Type"] for node in read} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
        assert sum(node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0) for node in read) < most, plan


@pytest.mark.parametrize("sort, lowest", [("TOTAL", "Infinity"), ("UPDATED", "infinity")])
@pytest.mark.parametrize("status", ["", "completed"])
def test_a_walk_meets_its_page_soon_or_is_given_up(large, plans, sort, lowest, status):
    name = f"ORDERS_RANGE_WALKED_{'STATUS' if status else 'ANY'}_{sort}"
    for way, key in ("ASC", ("-" + lowest, 0)), ("DESC", (lowest, 2**63 - 1)):
        days = ["2016-01-05", "2016-01-05", "2026-12-31", "2026-12-31"]
        wide = plans.explain(f"{name}_{way}", large.store_id, status, 51, 0, *key, *days, COUNT * 2)
        assert wide["Actual Rows"] == 51 and walked(wide) <= 200, wide
        # The last days: by the latest change they are far away.
        days = ["2025-11-01", "2025-11-01", "2025-11-02", "2025-11-02"]
        bounded = plans.explain(f"{name}_{way}", large.store_id, status, 51, 0, *key, *days, 300)
        # 300 entries of the status, which a third has: who knows nothing of the table may take the index of all.
        assert walked(bounded) <= (900 if status else 300), bounded


def expected(large, status, since, until, sort, way):
    return [order for order, in goods.run(
        large.platform, f"select order_id from store_order where store_id = %s and (%s = '' or order_status = %s) and created_at between %s and %s "
        f"order by {sort} {way}, order_id {way}", large.store_id, status, status, since, until)]


@pytest.mark.parametrize("sort", ["updated_at", "grand_total"])
@pytest.mark.parametrize("way", ["asc", "desc"])
def test_ranges_in_another_sort_are_whole(large, sort, way):
    """Narrow, wide and in between, from every side: the same as the table says, page by page and in total."""
    dice = random.Random(f"{sort} {way}")
    ranges = [("2016-01-01T00:00:00Z", "2030-01-01T00:00:00Z"), ("2016-01-01T00:00:00Z", "2018-06-15T11:00:00Z"), ("2024-01-31T07:00:00Z", "2026-01-01T00:00:00Z"),
              ("2020-02-29T23:59:59Z", "2020-03-01T00:00:00Z"), ("2019-12-01T00:00:00Z", "2019-12-31T23:00:00Z")]
    for _ in range(6):
        since, until = sorted(f"20{dice.randint(16, 25)}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}T{dice.randint(0, 23):02d}:00:00Z" for _ in range(2))
        ranges.append((since, until))
    for since, until in ranges:
        for status in "", "completed":
            wanted = expected(large, status, since, until, sort, way)
            query = {"since": since, "until": until, "sort": f"{sort}:{way}", "limit": 250} | ({"status": status} if status else {})
            body = large.get(ORDERS, params=query).json()
            assert [o["order_id"] for o in body["data"]] == wanted[:250] and body["pagination"]["total"] == len(wanted)
            by_time = large.get(ORDERS, params={**query, "sort": f"created_at:{way}", "limit": 1}).json()
            assert by_time["pagination"]["total"] == len(wanted)
            if len(wanted) > 250:
                further = large.get(ORDERS, params={**query, "cursor": body["pagination"]["next_cursor"]}).json()
                assert [o["order_id"] for o in further["data"]] == wanted[250:500]
                last = -(-len(wanted) // 250)
                page = large.get(ORDERS, params={**query, "page": last}).json()
                assert [o["order_id"] for o in page["data"]] == wanted[(last - 1) * 250:] and page["pagination"]["next_cursor"] is None


def test_months_and_categories_are_recounted(owner):
    shop = owner.open_shop()
    ids = [shop.post(CATEGORIES, {"name": f"Kurta {n}"}).json()["data"]["category_id"] for n in range(4)]
    assert shop.delete(f"{CATEGORIES}/{ids[0]}").status_code == 200
    shop.put(f"{CATEGORIES}/{ids[1]}", {"name": "Panjabi"})
    goods.order(shop)
    goods.run(shop.platform, "update store_order set created_at = created_at - interval '40 days' where store_id = %s", shop.store_id)
    goods.order(shop)

    def ask():
        return shop.platform.call("store-data.counts.verify", store_id=shop.store_id)

    assert shop.get(CATEGORIES).json()["pagination"]["total"] == 3
    assert shop.get(ORDERS, params={"since": "2020-01-01"}).json()["pagination"]["total"] == 2
    assert ask()["ok"] is True, ask()["differences"]
    goods.run(shop.platform, "update kept_total set n = n + 1 where store_id = %s and kind = 'c' and n > 0", shop.store_id)
    goods.run(shop.platform, "update kept_count set n = n + 1 where store_id = %s and kind = 'm' and status = ''", shop.store_id)
    found = [(d["kind"], d["status"]) for d in ask()["differences"]]
    assert sorted(found) == [("category", ""), ("month", ""), ("month", "")] and ask()["ok"] is False


def test_a_store_of_before_is_brought_up_to_date(platform):
    """Months are added up of the days that were kept, and categories counted."""
    connection = platform.postgres.connect()
    connection.autocommit = False
    try:
        cursor = connection.cursor()
        cursor.execute("create schema old; set local search_path = old, public")
        for name in "001_init", "010_products", "020_customers", "030_inventory":
            cursor.execute((SCHEMA / f"{name}.sql").read_text())
        cursor.execute("insert into category (store_id, name, slug) select 1, n, n from generate_series(1, 3) as n")
        cursor.execute(MAKE_ORDERS, (1, 500))
        cursor.execute((SCHEMA / "095_range_totals.sql").read_text())
        cursor.execute("insert into category (store_id, name, slug) values (1, 'x', 'x'); delete from category where name in ('1', '2')")
        cursor.execute(MAKE_ORDERS.replace("'S' ||", "'T' ||"), (1, 100))
        cursor.execute("update store_order set order_status = 'shipped' where order_status = 'pending' and store_serial_order_no < 'S3'")
        cursor.execute("delete from order_status_history; delete from store_order where store_serial_order_no in ('T1', 'S2')")
        cursor.execute("select sum(n) from kept_total where kind = 'c'")
        assert cursor.fetchall() == [(2,)]
        cursor.execute("select status, day, sum(n) from kept_count where kind = 'm' group by 1, 2 having sum(n) <> 0 order by 1, 2")
        kept = cursor.fetchall()
        cursor.execute("select coalesce(order_status, '') collate \"C\" as status, month::date, count(*) from (select order_status, date_trunc('month', "
                       "created_at at time zone 'UTC') as month from store_order) as o group by cube (order_status), month order by status, month")
        assert kept == cursor.fetchall() and {status for status, _, _ in kept} == {"", "completed", "pending", "shipped"}
    finally:
        connection.rollback()
        connection.close()

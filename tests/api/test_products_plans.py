"""The list of products in a store of 10,000: no filter and no sort reads the whole table, and what is rare is found by an
index. The plans are those of the service's own statements, as PostgreSQL keeps them for all values."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from . import goods

PRODUCTS = "/api/apps/v1/products"
SORTS = ["created_at:asc", "created_at:desc", "updated_at:asc", "updated_at:desc", "name:asc", "name:desc"]
ROWS = 10000


@pytest.fixture(scope="module")
def big(owner):
    """Among 10,000 products one is rare in every way."""
    shop = owner.open_shop()
    goods.run(shop.platform, "insert into product (store_id, name, slug, category_id, is_active, created_at, updated_at) "
              "select %s, case when n = 7777 then 'Gift 🎁 zebra' else (array['Cotton Panjabi', 'Silk Saree', 'জামদানি শাড়ি'])[1 + n %% 3] || ' ' || n "
              "end, 's' || n, case when n = 7777 then 99 else n %% 3 + 1 end, n %% 10 > 0, timestamptz '2026-01-01' + n * interval '1 s', "
              "timestamptz '2026-02-01' + case when n = 7777 then interval '90 days' else n * interval '1 s' end "
              "from generate_series(1, %s) as n", shop.store_id, ROWS)
    goods.run(shop.platform, "insert into sku (store_id, product_id, variant_name, sku_code, price, quantity, is_default) "
              "select store_id, product_id, 'v', 'C' || product_id || '-' || v, case when slug = 's7777' then 5 else 100 + product_id %% 900 end, "
              "1, v = 1 from product, generate_series(1, 2) as v where store_id = %s", shop.store_id)
    goods.run(shop.platform, "analyze product, sku, kept_count")
    return shop


RARE = [{"search": "zebra"}, {"search": "🎁"}, {"search": "ZEB"}, {"search": "zz"}, {"search": "z"}, {"category_id": 99}, {"price_max": 50},
        {"price_min": 4, "price_max": "5.00"}, {"since": "2026-04-01"}, {"search": "zebra", "status": "active", "price_min": 1},
        {"category_id": 99, "price_max": 5}, {"since": "2026-04-01", "price_max": 6}]
COMMON = [{}, {"status": "active"}, {"status": "inactive"}, {"search": "a"}, {"search": "শাড়ি"}, {"category_id": 2}, {"price_min": 1},
          {"price_min": 300, "price_max": 700}, {"since": "2026-02-01"}, {"search": "panjabi", "status": "active", "category_id": 1}]


def scans(shop):
    """Whole-table scans so far. A backend is sure to have told its numbers when it has ended."""
    backends = [pid for pid, in goods.run(shop.platform, "select pid from pg_stat_activity where usename = 'store_data'")]
    for process in shop.platform.of("store-data"):
        process.restart()
    shop.platform.wait_ready()
    while goods.run(shop.platform, "select count(*) from pg_stat_activity where pid = any (%s)", backends)[0][0]:
        time.sleep(0.05)
    return dict(goods.run(shop.platform, "select relname::text, seq_scan from pg_stat_user_tables where relname in ('product', 'sku')"))


@pytest.mark.parametrize("query", RARE, ids=str)
@pytest.mark.parametrize("sort", SORTS)
def test_what_is_rare(big, sort, query):
    body = big.get(PRODUCTS, params={**query, "sort": sort}).json()
    wanted = [] if query == {"search": "zz"} else ["s7777"]
    assert [product["slug"] for product in body["data"]] == wanted and body["pagination"]["total"] == len(wanted)


@pytest.mark.parametrize("query", COMMON, ids=str)
@pytest.mark.parametrize("sort", SORTS)
def test_what_is_common(big, sort, query):
    column, _, way = sort.partition(":")
    key = "o.name_key" if column == "name" else f"o.{column}"
    where, values = ["o.store_id = %s"], [big.store_id]
    if "status" in query:
        where.append("o.is_active" if query["status"] == "active" else "not o.is_active")
    if "search" in query:
        where.append("o.name ilike %s")
        values.append(f"%{query['search']}%")
    if "category_id" in query:
        where.append("o.category_id = %s")
        values.append(query["category_id"])
    if "since" in query:
        where.append("o.updated_at >= %s::timestamptz")
        values.append(query["since"])
    if "price_min" in query:
        where.append("exists (select from sku as s where s.product_id = o.product_id and s.price between %s and %s)")
        values += [query["price_min"], query.get("price_max", 10**8)]
    rows = goods.run(big.platform, f"select o.product_id from product as o where {' and '.join(where)} order by {key} {way}, o.product_id {way}",
                     *values)
    body = big.get(PRODUCTS, params={**query, "sort": sort, "limit": 20}).json()
    assert [product["product_id"] for product in body["data"]] == [n for n, in rows[:20]]
    assert body["pagination"]["total"] == len(rows)
    deep = big.get(PRODUCTS, params={**query, "sort": sort, "limit": 20, "page": 3}).json()
    assert [product["product_id"] for product in deep["data"]] == [n for n, in rows[40:60]]
    further = big.get(PRODUCTS, params={**query, "sort": sort, "limit": 20, "cursor": body["pagination"]["next_cursor"]}).json()
    assert [product["product_id"] for product in further["data"]] == [n for n, in rows[20:40]]


# ---- plans -----------------------------------------------------------------------------------------------------------

def statements():
    """Name to SQL of the lists of products, as the compiler sees them."""
    source = Path(__file__).resolve().parents[2] / "services" / "store-data"
    text = subprocess.run(["gcc", "-E", "-P", "-DQUERY(name,sql)=@@name@@sql@@", "-include", source / "sql_lists.h",
                           source / "queries_products.h"], capture_output=True, text=True, check=True).stdout
    found = {}
    for name, sql in re.findall(r"@@\s*(\w+)\s*@@(.*?)@@", text, re.S):
        if name.startswith("PRODUCTS_FOUND") or name.startswith("PRODUCTS_AFTER") or name.startswith("PRODUCTS_PAGE"):
            found[name] = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', sql)).replace('\\"', '"')
    return found


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


KEYS = {"CREATED": "'infinity'", "UPDATED": "'infinity'", "NAME": "'~'"}
FILTERS = {                                # $7 since, $8 category, $9 and $10 price, $11 search
    "search": "'-infinity', 0, null, null, 'zebra'", "short search": "'-infinity', 0, null, null, 'z'",
    "category": "'-infinity', 99, null, null, null", "price": "'-infinity', 0, 4, 5, null",
    "half a price": "'-infinity', 0, null, 50, null", "since": "'2026-04-01', 0, null, null, null"}


def explained(big, name, sql, arguments):
    """The plan for all values, which is what a service keeps, run with these."""
    connection = big.platform.postgres.connect()
    try:
        cursor = connection.cursor()
        cursor.execute("set search_path = store_data, extensions; set plan_cache_mode = force_generic_plan; set jit = off")
        cursor.execute(f"prepare listed as {sql}")
        cursor.execute(f"explain (analyze, format json) execute listed ({arguments})")
        return cursor.fetchone()[0][0]["Plan"]
    finally:
        connection.rollback()
        connection.close()


def check(plan, most):
    for node in nodes(plan):
        assert not (node["Node Type"] == "Seq Scan" and node.get("Relation Name") in ("product", "sku")), node
        read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)) * node["Actual Loops"]
        if node.get("Relation Name"):
            assert read <= most, node


def test_the_plans_of_every_sort(big):
    found = statements()
    assert len(found) == 30
    for name, sql in found.items():
        key = next(value for word, value in KEYS.items() if f"_{word}_" in name)
        if "_ASC" in name:
            key = "''" if "_NAME_" in name else "'-infinity'"
        last = 0 if "_ASC" in name else 2**63 - 1
        if name.startswith("PRODUCTS_AFTER"):
            check(explained(big, name, sql, f"{big.store_id}, 'active', 51, {key}, {last}" if "STATUS" in name else
                            f"{big.store_id}, '', 51, {key}, {last}"), 300)
        elif name.startswith("PRODUCTS_PAGE"):
            check(explained(big, name, sql, f"{big.store_id}, '{'active' if 'STATUS' in name else ''}', 51, 100"), 300)
        else:
            for values in FILTERS.values():
                check(explained(big, name, sql, f"{big.store_id}, '', 51, 0, {key}, {last}, {values}"), 300)


def test_the_service_scans_nothing(big):
    """What really ran, whatever the plans above say. (Of a filter that fits all rows of a table, PostgreSQL may plan the first
    few runs for just these values, and then reads the table.)"""
    before = scans(big)
    for query in [*RARE, {}, {"status": "active"}, {"status": "inactive"}, {"category_id": 2}, {"search": "panjabi"}]:
        for sort in SORTS:
            assert big.get(PRODUCTS, params={**query, "sort": sort}).status_code == 200
    assert scans(big) == before

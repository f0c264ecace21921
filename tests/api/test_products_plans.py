"""The list of products in a store of 10,000: what is rare and what is common are found, by every filter and sort. How they are found
is test_list_plans.py's."""

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

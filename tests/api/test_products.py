"""Products: lists with their filters, and one with its variants."""

from decimal import Decimal

import pytest

from . import goods
from .client import is_error

PRODUCTS = "/api/apps/v1/products"


@pytest.fixture
def catalogue(shop):
    """Five products, made a day apart: names, prices, categories and activity differ."""
    rows = [("Cotton Panjabi", [1450, 1550], 1, True), ("Silk Panjabi", [3250], 1, True),
            ("Jamdani 100% Saree", [8900], 2, True),
            ("jute_bag", [350], 3, False), ("শাড়ি", [1850], 2, True)]
    ids = [goods.add_product(shop, *[(price, 5) for price in prices], name=name, category_id=category, is_active=active,
                             created_at=f"2026-01-0{day}T10:00:00Z", updated_at=f"2026-02-0{6 - day}T10:00:00.5Z")[0]
           for day, (name, prices, category, active) in enumerate(rows, 1)]
    return shop, ids


@pytest.mark.parametrize("query, wanted", [
    ({}, [4, 3, 2, 1, 0]),
    ({"sort": "created_at:asc"}, [0, 1, 2, 3, 4]),
    ({"sort": "updated_at"}, [0, 1, 2, 3, 4]),
    ({"sort": "name:asc"}, [0, 2, 1, 3, 4]),
    ({"sort": "name"}, [4, 3, 1, 2, 0]),
    ({"status": "active"}, [4, 2, 1, 0]),
    ({"status": "inactive"}, [3]),
    ({"since": "2026-02-03T10:00:00.500Z"}, [2, 1, 0]),
    ({"since": "2026-02-03T10:00:00.501Z"}, [1, 0]),
    ({"category_id": 2}, [4, 2]),
    ({"search": "panjabi"}, [1, 0]),
    ({"search": "শাড়ি"}, [4]),
    ({"search": "100%"}, [2]),
    ({"search": "%"}, [2]),
    ({"search": "_"}, [3]),
    ({"search": "\\"}, []),
    ({"search": "' or 1=1 --"}, []),
    ({"search": ""}, [4, 3, 2, 1, 0]),
    ({"price_min": 3000}, [2, 1]),
    ({"price_max": 1450}, [3, 0]),
    ({"price_min": 1500, "price_max": 1600}, [0]),
    ({"price_min": 1460, "price_max": "1549.99"}, []),     # one variant must fit both
    ({"search": "panjabi", "price_max": 2000, "status": "active", "category_id": 1}, [0]),
])
def test_lists(catalogue, query, wanted):
    shop, ids = catalogue
    answer = shop.get(PRODUCTS, params=query)
    assert answer.status_code == 200, answer
    assert [product["product_id"] for product in answer.json()["data"]] == [ids[n] for n in wanted]
    assert answer.json()["pagination"]["total"] == len(wanted)


def test_the_fields(catalogue):
    shop, ids = catalogue
    listed = shop.get(PRODUCTS, params={"status": "inactive"}).json()["data"][0]
    assert set(listed) == {"product_id", "store_id", "name", "slug", "category_id", "brand_id", "is_active",
                           "is_visible", "created_at", "updated_at"}
    assert (listed["is_active"], listed["is_visible"], listed["store_id"]) == (0, 1, shop.store_id)
    whole = shop.get(f"{PRODUCTS}/{ids[0]}").json(parse_float=Decimal)["data"]
    assert (whole["is_featured"], whole["description"]) == (0, None)
    assert [(variant["price"], variant["is_default"], variant["available"], variant["quantity"],
             variant["position"]) for variant in whole["variants"]] == [
        (1450, 1, 1, 5, 0), (1550, 0, 1, 5, 1)]


@pytest.mark.parametrize("query", [{"status": "gone"}, {"sort": "price"}, {"sort": "name:up"}, {"since": "yesterday"},
                                   {"category_id": "x"},
                                   {"price_min": "1.001"}, {"price_max": "1e3"}, {"cursor": "x"}, {"search": "x" * 101}])
def test_bad_queries(shop, query):
    body = is_error(shop.get(PRODUCTS, params=query), 400, "validation_error")
    assert [error["field"] for error in body["errors"]] == list(query)


def test_another_stores_product_is_not_there(owner, shop):
    product, _ = goods.add_product(owner.open_shop(), (10, 5))
    theirs, missing = (is_error(shop.get(f"{PRODUCTS}/{n}"), 404, "not_found") for n in (product, 2**60))
    assert theirs == missing


def test_what_is_deleted_is_gone(shop):
    product, (sku, _) = goods.add_product(shop, (10, 5), (20, 5))
    goods.run(shop.platform, "update sku set deleted_at = now() where sku_id = %s", sku)
    assert [variant["price"] for variant in shop.get(f"{PRODUCTS}/{product}").json()["data"]["variants"]] == [20]
    is_error(shop.post("/api/apps/v1/orders", {"items": [{"sku_id": sku, "quantity": 1}]}), 404, "not_found")
    goods.run(shop.platform, "update product set deleted_at = now() where product_id = %s", product)
    is_error(shop.get(f"{PRODUCTS}/{product}"), 404, "not_found")
    assert shop.get(PRODUCTS).json()["pagination"]["total"] == 0 and shop.get(PRODUCTS).json()["data"] == []


@pytest.mark.parametrize("sort", ["created_at:asc", "created_at:desc", "updated_at:asc", "updated_at:desc", "name:asc",
                                  "name:desc"])
@pytest.mark.parametrize("query", [{}, {"status": "active"}, {"search": "a"}])
def test_every_page(platform, shop, sort, query):
    """Walked by cursor and by page: the truth of the table, with ties in every column."""
    goods.run(platform, "insert into product (store_id, name, slug, is_active, created_at, updated_at) select %s, "
              "(array['apple','banana',repeat('ক', 100),'Apple','a'])[1 + i %% 5], 's' || i, i %% 3 > 0, "
              "timestamptz '2026-01-01' + i / 4 * interval '1 us', timestamptz '2026-01-01' + i %% 7 * interval '1 s' "
              "from generate_series(1, 53) as i", shop.store_id)
    column, _, way = sort.partition(":")
    key = "left(name, 60) collate \"C\"" if column == "name" else column
    wanted = [n for n, in goods.run(platform, f"select product_id from product where store_id = %s and (%s or is_active) and name ilike %s "
                                    f"order by {key} {way}, product_id {way}", shop.store_id, "status" not in query,
                                    f"%{query.get('search', '')}%")]
    walked, cursor = [], None
    while True:
        body = shop.get(PRODUCTS, params={**query, "sort": sort, "limit": 7,
                                          **({"cursor": cursor} if cursor else {})}).json()
        walked += [product["product_id"] for product in body["data"]]
        cursor = body["pagination"]["next_cursor"]
        assert body["pagination"]["total"] == len(wanted)
        if not cursor:
            break
    assert walked == wanted
    paged = [shop.get(PRODUCTS, params={**query, "sort": sort, "limit": 7,
                                        "page": page}).json()["data"] for page in range(1, 10)]
    assert [product["product_id"] for page in paged for product in page] == wanted

"""Many products at once (products_insert), as an import sends them: what one line may spoil is that line alone."""

from . import bulk, goods
from .client import is_error
from .test_categories import make as make_category

PRODUCTS = "/api/apps/v1/products"


def imported(shop, lines):
    """Each line's result, and the products that are there then: slug to id."""
    made = bulk.start(shop, "products", lines)
    bulk.wait(shop, made["job_id"])
    rows = goods.run(shop.platform, "select slug, product_id from product where store_id = %s and deleted_at is null", shop.store_id)
    return bulk.results(shop, made["job_id"]), dict(rows)


def test_lines_fail_alone(shop):
    group = make_category(shop)["category_id"]
    assert shop.post(PRODUCTS, {"name": "Tea", "variants": [{"price": 1, "sku_code": "OLD"}]}).status_code == 201
    lines = [
        ({"name": "Tea"}, None), ({"name": "Tea"}, None), ({"name": "TEA!"}, None),
        ({"name": "x", "slug": "tea-3"}, None),                              # a slug of its own goes before those that are made
        ({"name": "x", "slug": "tea-3"}, "duplicate_slug"), ({"name": "x", "slug": "tea"}, "duplicate_slug"),
        ({"name": "x", "slug": "X Y"}, "validation_error"),
        ({"name": "y", "category_id": group}, None), ({"name": "y", "category_id": 2**60}, "not_found"),
        ({"name": "a", "variants": [{"price": 1, "sku_code": "NEW"}]}, None),
        ({"name": "b", "variants": [{"price": 1, "sku_code": "NEW"}]}, "duplicate_sku"),
        ({"name": "c", "variants": [{"price": 1, "sku_code": "C"}, {"price": 1, "sku_code": "OLD"}]}, "duplicate_sku"),
        ({"name": "d", "variants": [{"price": 1, "sku_code": "D"}, {"price": 1, "sku_code": "D"}]}, "duplicate_sku"),
        ({"name": "e", "variants": [{"price": 1, "is_default": True}, {"price": 1, "is_default": True}]}, "validation_error"),
        ({"name": "f", "variants": [{"price": 1, "sku_code": "F", "quantity": 3}, {"price": 2, "quantity": 4, "is_default": True}]}, None),
    ]
    results, found = imported(shop, [body for body, _ in lines])
    told = [(result.get("error") or {}).get("code") or result.get("code") for result in results]
    assert told == [code for _, code in lines], results
    assert set(found) == {"tea", "tea-2", "tea-3", "tea-4", "tea-5", "y", "a", "f"}
    last = shop.get(f"{PRODUCTS}/{found['f']}").json()["data"]
    assert [(variant["quantity"], variant["is_default"], variant["position"]) for variant in last["variants"]] == [(3, 0, 0), (4, 1, 1)]
    topics = goods.run(shop.platform, "select topic, count(*) from outbox where store_id = %s group by topic order by topic", shop.store_id)
    assert topics == [("inventory.updated", 2), ("product.created", 8)]
    is_error(shop.delete(f"/api/apps/v1/categories/{group}"), 409, "conflict")


def test_two_thousand_of_one_name(shop):
    """Batches of 500: every one gets a slug of its own, and what is kept equals a recount."""
    results, found = imported(shop, [{"name": "চা", "variants": [{"price": 1, "quantity": 1}, {"price": 2}]}] * 2000)
    assert len(results) == len(found) == 2000 and all(slug.startswith("চা") for slug in found)
    assert set(found) == {"চা", *(f"চা-{n}" for n in range(2, 2001))}
    counts = shop.platform.call("store-data.counts.verify", store_id=shop.store_id)
    assert counts["ok"] and counts["products"] == 2000
    assert goods.run(shop.platform, "select sum(total_quantity), sum(variant_count) from product_stock where store_id = %s",
                     shop.store_id) == [(2000, 4000)]
    assert goods.run(shop.platform, "select count(*), sum(change) from inventory_movement where store_id = %s", shop.store_id) == [(2000, 2000)]
    assert goods.run(shop.platform, "select count(*), count(distinct resource_id) from outbox where store_id = %s and topic = 'product.created'",
                     shop.store_id) == [(2000, 2000)]

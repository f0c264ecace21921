"""Lists of the inventory, of movements and of discounts in a store with 10,000 of each: by an index, whatever the filter and sort."""

import pytest

from . import goods
from .plans import Plans, nodes
from .shop import Owner

COUNT = 10_000
WAYS = [("ASC", 0), ("DESC", 2**63 - 1)]


@pytest.fixture(scope="module")
def large(platform):
    """Every hundredth product has "rare" in its name, every second is out of stock, every 250th is low."""
    shop = Owner(platform).open_shop()
    goods.run(platform, "insert into product (store_id, name, slug, updated_at) select %s, case when i %% 100 = 0 then 'Rare ' else 'Thing ' "
              "end || i, 'p-' || i, timestamptz '2026-01-01' + i * interval '1 minute' from generate_series(1, %s) as i returning 1",
              shop.store_id, COUNT)
    goods.run(platform, "insert into sku (store_id, product_id, variant_name, sku_code, price, quantity, low_stock_threshold, updated_at) "
              "select store_id, product_id, 'Default', 'S-' || product_id, 10, case when product_id %% 2 = 0 then product_id %% 500 else 0 "
              "end, case when product_id %% 250 = 0 then 1000 end, updated_at from product where store_id = %s returning 1", shop.store_id)
    goods.run(platform, "insert into inventory_movement (store_id, product_id, sku_id, change, quantity_after, reason, created_at) select "
              "store_id, product_id, sku_id, quantity, quantity, 'opening', updated_at from sku where store_id = %s and quantity > 0 "
              "returning 1", shop.store_id)
    goods.run(platform, "insert into discount (store_id, code, is_amount, amount, is_active, created_at, updated_at) select %s, "
              "case when i %% 100 = 0 then 'RARE' else 'CODE' end || i, true, 1, i %% 3 > 0, timestamptz '2026-01-01' + i * interval "
              "'1 minute', now() from generate_series(1, %s) as i returning 1", shop.store_id, COUNT)
    shop.product_id, shop.sku_id = goods.run(platform, "select product_id, sku_id from sku where store_id = %s and quantity > 0 limit 1",
                                             shop.store_id)[0]
    goods.run(platform, "insert into inventory_movement (store_id, product_id, sku_id, change, quantity_after, reason, created_at) select "
              "%s, %s, %s, 0, 1, 'x', now() from generate_series(1, %s) returning 1", shop.store_id, shop.product_id, shop.sku_id, COUNT)
    connection = platform.postgres.connect()
    with connection.cursor() as cursor:
        cursor.execute("vacuum analyze store_data.product, store_data.sku, store_data.product_stock, store_data.inventory_movement, "
                       "store_data.discount, store_data.kept_total")
    connection.close()
    return shop


@pytest.fixture(scope="module")
def plans(large, tmp_path_factory):
    return Plans(large.platform, tmp_path_factory.mktemp("plans"))


def edge(sort, way):
    return {"UPDATED": ("-infinity", "infinity"), "CREATED": ("-infinity", "infinity"), "NAME": ("", "\U0010FFFF"),
            "CODE": ("", "\U0010FFFF"), "TOTAL": (-2**63, 2**63 - 1)}[sort][way == "DESC"]


def looked_at(plan):
    """Rows of the large tables that were read, and those that were read in vain."""
    return sum(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) for node in nodes(plan)
               if node.get("Relation Name") in ("product_stock", "discount", "inventory_movement"))


def check(plans, name, arguments, rows, most):
    assert plans.scanned(name, *arguments) <= {"kept_total"}, name        # a few rows a store
    plan = plans.explain(name, *arguments)
    assert plan["Actual Rows"] == rows and looked_at(plan) <= most, (name, looked_at(plan))


@pytest.mark.parametrize("sort", ["UPDATED", "NAME", "TOTAL"])
@pytest.mark.parametrize("way, last", WAYS)
def test_the_inventory(large, plans, sort, way, last):
    store, begin = large.store_id, [edge(sort, way), last]
    check(plans, f"STOCK_AFTER_{sort}_{way}", [store, "", 51, *begin], 51, 102)
    check(plans, f"STOCK_PAGE_{sort}_{way}", [store, "", 51, 100], 51, 51 * 4 + 100)
    for status in "in_stock", "out_of_stock":
        check(plans, f"STOCK_STATUS_{sort}_{way}", [store, status, 51, 0, *begin], 51, 102)
    check(plans, f"STOCK_OF_LOW_{sort}_{way}", [store, "low_stock", 51, 0, *begin, None], 40, 200)
    for status in "", "low_stock", "out_of_stock":
        found = goods.run(large.platform, "select count(*) from product_stock where store_id = %s and name like 'Rare%%' and (%s = '' or "
                          "(%s = 'low_stock' and low_count > 0) or (%s = 'out_of_stock' and not has_stock))", store, status, status, status)[0][0]
        check(plans, f"STOCK_OF_SEARCH_{sort}_{way}", [store, status, 51, 0, *begin, "rare"], max(1, min(51, found)), 600)


@pytest.mark.parametrize("name, further", [("MOVEMENTS_OF_PRODUCT", []), ("MOVEMENTS_OF_SKU", ["sku"])])
def test_movements(large, plans, name, further):
    more = [large.sku_id] if further else []
    arguments = [large.store_id, large.product_id, 51, 0, 2**63 - 1, 2**63 - 1, *more]
    check(plans, name, arguments, 51, 10_001 + 300)             # the total counts to 10,001
    assert plans.scanned("INVENTORY_GET", large.store_id, large.product_id) == set()


@pytest.mark.parametrize("sort", ["CREATED", "UPDATED", "CODE"])
@pytest.mark.parametrize("way, last", WAYS)
def test_discounts(large, plans, sort, way, last):
    store, begin = large.store_id, [edge(sort, way), last]
    check(plans, f"DISCOUNTS_ANY_{sort}_{way}", [store, "", 51, 0, *begin], 51, 102)
    for status in "active", "inactive":
        check(plans, f"DISCOUNTS_STATUS_{sort}_{way}", [store, status, 51, 0, *begin], 51, 102)
        check(plans, f"DISCOUNTS_SEARCH_{sort}_{way}", [store, status, 51, 0, *begin, "RARE"], 51 if status == "active" else 33, 400)
    check(plans, f"DISCOUNTS_SEARCH_{sort}_{way}", [store, "", 51, 0, *begin, "ARE1"], 12, 200)


def test_what_orders_do(large, plans):
    """Locks and changes find their few rows by keys, also as the generic plan has them."""
    store, product, sku = large.store_id, large.product_id, large.sku_id
    items = f'[{{"variant_id": {sku}, "quantity": 1}}]'
    line = f'[{{"line": 0, "sku_id": {sku}, "product_id": {product}}}]'
    for name, arguments in {
        "LINES_LOCK": [store, line, 0], "STOCK_TAKE": [store, items, "2026-01-01", 1], "STOCK_REPLACE": [store, 1, items, "2026-01-01"],
        "STOCK_RETURN": [store, 1, "2026-01-01", "x"], "STOCK_LOCK": [store, 1], "INVENTORY_LOCK": [store, product, sku, True],
        "INVENTORY_LOCK_LINES": [store, line], "DISCOUNT_LOCK_CODE": [store, "RARE100"], "DISCOUNT_BY_CODE": [store, "RARE100"],
        "DISCOUNT_USES": [store, "RARE100", 1, None, None], "DISCOUNT_RETURN": [store, 1], "DISCOUNT_OF_ORDER": [store, 1],
        "INVENTORY_SET": [store, f'[{{"sku_id": {sku}, "quantity": 1, "reason": "x"}}]', "2026-01-01"],
        "INVENTORY_VARIANT_GET": [store, sku], "INVENTORY_EXISTS": [store, product], "DISCOUNT_GET": [store, 1],
    }.items():
        assert plans.scanned(name, *arguments) & {"product", "sku", "product_stock", "discount", "inventory_movement"} == set(), name

"""Products, customers and orders put into a store by SQL: what the API has no route for yet, and orders with chosen times.

Everything goes through the tables' triggers, so the kept totals are right afterwards.
"""

import itertools

numbers = itertools.count(1)


def run(platform, sql, *arguments):
    return platform.postgres.rows("set search_path = seen_store_data, store_data; " + sql, arguments)


def add_product(shop, *variants, **columns):
    """A product with one variant per (price, quantity); answers product_id and the sku_ids."""
    number = next(numbers)
    columns = {"name": f"Thing {number}", "slug": f"thing-{number}", **columns}
    names = ", ".join(columns)
    product_id = run(shop.platform, f"insert into product (store_id, {names}) values (%s{', %s' * len(columns)}) returning product_id",
                     shop.store_id, *columns.values())[0][0]
    skus = [run(shop.platform, "insert into sku (store_id, product_id, variant_name, sku_code, price, quantity, is_default, position) "
                "values (%s, %s, %s, %s, %s, %s, %s, %s) returning sku_id", shop.store_id, product_id,
                f"V{index}" if len(variants) > 1 else "Default", f"SKU-{product_id}-{index}", price, quantity,
                index == 0, index)[0][0]
            for index, (price, quantity) in enumerate(variants)]
    run(shop.platform, "insert into inventory_movement (store_id, product_id, sku_id, change, quantity_after, reason, created_at) "
        "select store_id, product_id, sku_id, quantity, quantity, 'opening', created_at from sku where store_id = %s and product_id = %s "
        "and quantity > 0 returning 1", shop.store_id, product_id)
    return product_id, skus


def stock(shop, sku_id):
    return run(shop.platform, "select quantity from sku where store_id = %s and sku_id = %s", shop.store_id, sku_id)[0][0]


def add_customer(shop, name="Karim Hossain"):
    return run(shop.platform, "insert into customer (store_id, name, phone) values (%s, %s, %s) returning user_id",
               shop.store_id, name,
               f"+88017{next(numbers):08d}")[0][0]


def events(shop, order_id=None):
    """Topic and data of the events of the store, in their order."""
    return run(shop.platform, "select topic, data from outbox where store_id = %s and (%s::bigint is null or "
               "(resource_type = 'order' and resource_id = %s)) order by id", shop.store_id, order_id, order_id)


def order(shop, **fields):
    """An order of one free item, unless said otherwise; the created order."""
    body = {"items": [{"name": "Gift card", "price": 100, "quantity": 1}], **fields}
    answer = shop.post("/api/apps/v1/orders", body)
    assert answer.status_code == 201, answer
    return answer.json()["data"]


def add_orders(shop, rows):
    """Orders as (status, created_at, updated_at, grand_total, user_id, courier); answers their ids in the same order."""
    values = []
    for status, created_at, updated_at, total, user_id, courier in rows:
        values += [status, created_at, updated_at, total, user_id, courier]
    row = "(%s, %s::timestamptz, %s::timestamptz, %s::numeric, %s::bigint, %s)"
    return [order_id for order_id, in run(
        shop.platform, "insert into store_order (store_id, order_status, created_at, updated_at, sub_total, tax, shipping, discount, "
        f"grand_total, user_id, courier, store_serial_order_no) select {int(shop.store_id)}, status, c, u, total, 0, 0, 0, total, who, "
        "courier, 'S' || nextval('order_item_id_seq') from (values " + ", ".join([row] * len(rows)) +
        ") as v (status, c, u, total, who, courier) returning order_id", *values)]

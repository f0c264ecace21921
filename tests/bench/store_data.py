#!/usr/bin/python3
"""What every operation of store data costs (operations.py), in `make bench`.

In this order: what makes things, what reads, what changes, what deletes what was made. An operation may have more lines than one,
for what it does differently. A search looks through the entries of an index for the pieces of its word, of which a large store
has more; a total that is counted is counted up to 10,000 (contract, protocols 12): both may grow, and say so.
"""

import random
import sys

import figures
from figures import Bench
from operations import MANY, Ask, Entry, Table
from shops import SHOPS, image, open_stores, product, value, zone

from api import bulk

SERVICE = "store-data"
IMPORTS, LINES = 5 * SHOPS, 20          # an app may have five unfinished jobs in a store
PARTS = "multipart/form-data; boundary=cut"
NDJSON = "application/x-ndjson"
SEARCH, COUNTED = "a search grows with what is alike", "counted up to 10,000"
FEW = "of at most 250"
LIVE = "deleted_at is null"
ORDERS = f"order_id from store_order where {LIVE}"
PRODUCTS, CUSTOMERS = f"product_id from product where {LIVE}", f"user_id from customer where {LIVE}"
SKUS = f"sku_id from sku where {LIVE} and quantity > 10000"
CATEGORIES, DISCOUNTS, ZONES = "category_id from category", f"discount_id from discount where {LIVE}", "zone_id from shipping_zone"
VALUES = "value_id from metafield_value"


def once(query=""):
    """A list, or what is there once."""
    return lambda store: [Ask(query=query)]


def each(name, what, query="", limit=4000):
    """One of many, by its id."""
    return lambda store: [Ask(query=query, **{name: row_id}) for row_id in store.ids(what, limit)]


def made(body):
    """A new one with each request, of its number."""
    return lambda store: [Ask(body=body(n)) for n in range(MANY)]


def changed(name, what, body):
    """Another one with each request, and what it becomes, of the number."""
    return lambda store: [Ask(body=body(n), **{name: row_id}) for n, row_id in enumerate(store.ids(what, MANY))]


def deleted(name, what):
    return changed(name, what, lambda n: b"")


def made_in_many(body, each_of=None):
    """In stores that are nearly empty, by turns."""
    return lambda store: [Ask(shop=store.many[n], body=body(n)) for n in range(each_of * SHOPS if each_of else MANY)]


def in_many(name, what, body=None):
    return lambda store: [Ask(shop=shop, body=body(n) if body else b"", **{name: row_id})
                          for n, (shop, row_id) in enumerate(store.many.rows(what)[:MANY])]


def behind(name, table):
    """An export that begins 50 rows before its end."""
    last = f"select {name} from {table} where store_id = %s and {LIVE} order by 1 desc offset 50 limit 1"
    return lambda store: [Ask(f"after={store.sql(last, store.store_id)[0][0]}")]


def placed(with_code=False):
    """Orders of two items by customers who are known."""
    def asks(store):
        customers, skus = store.ids(CUSTOMERS), store.ids(SKUS)
        codes = store.ids(f"code from discount where {LIVE}") if with_code else None
        return [Ask(body={"customer_id": random.choice(customers), "shipping": 60, "payment_method": "cod", "items": two_of(skus),
                          **({"discount_code": random.choice(codes)} if codes else {})}) for _ in range(MANY)]
    return asks


def two_of(skus):
    return [{"sku_id": sku, "quantity": 1} for sku in random.sample(skus, 2)]


def items_replaced(store):
    skus = store.ids(SKUS)
    return [Ask(order_id=order, body={"items": two_of(skus)}) for order in store.ids(pending(0), MANY)]


def pending(part):
    """A part of the pending orders, so that each is changed by one entry only."""
    return f"order_id from store_order where {LIVE} and order_status = 'pending' and order_id %% 4 = {part}"


def filtered(name, kind, values):
    filters = [{"name": name, "type": "is", "tableAlias": "o", "dataType": kind, "value": values}]
    return lambda store: [Ask(body={"filters": filters, "limit": 50})]


def values(batch):
    def asks(store):
        orders = store.ids(ORDERS, MANY)
        batches = [orders[at:at + batch] for at in range(0, len(orders) - batch + 1, batch)]
        return [Ask(body={"metafields": [value("order", order, "checked", f"n{n} {order}") for order in batches[n % len(batches)]]})
                for n in range(MANY // (1 + batch // 10))]
    return asks


def stock(body):
    return lambda store: [Ask(product_id=product_id, body={"sku_id": sku_id, **body(n)})
                          for n, (product_id, sku_id) in enumerate(store.rows(f"product_id, sku_id from sku where {LIVE}", MANY))]


def variants(where, body=None):
    return lambda store: [Ask(product_id=product_id, sku_id=sku_id, body=body(n) if body else b"")
                          for n, (product_id, sku_id) in enumerate(store.rows(f"product_id, sku_id from sku where {LIVE} and {where}", MANY))]


def images(single=False):
    return lambda store: [Ask(product_id=product_id, **({"image_id": image_id} if single else {}))
                          for product_id, image_id in store.rows("product_id, image_id from product_image", MANY)]


def pictures(store):
    keys = [key.split("/") for key in store.ids("stored_key from product_image", 50)]
    return [Ask(store_id=store_id, product_id=product_id, file=file) for _, store_id, _, product_id, file in keys]


def imports(line):
    def asks(store):
        return [Ask(shop=store.many[n], kind=NDJSON, body=bulk.lines_of(line(n * LINES + i, store.many[n]) for i in range(LINES)))
                for n in range(IMPORTS)]
    return asks


def imported(operation, line):
    """The cost is that of the upload and of its lines, until all are applied."""
    return Entry(operation, imports(line), f"({LINES} lines)", settle=lambda store: store.many.finish_jobs())


def unfinished_jobs(store):
    store.many.make_unfinished_jobs(100)
    return [Ask(shop=shop, job_id=job) for shop, job in store.many.rows("job_id from bulk_job where status = 'uploading'")]


ENTRIES = [
    Entry("store.get", once()),
    # -- what makes things --
    Entry("orders.create", placed(), "(two items)"),
    Entry("orders.create", placed(with_code=True), "(two items, a discount)"),
    Entry("orders.create", made(lambda n: {"items": [{"name": "Gift card", "price": 100, "quantity": 1}], "customer": {
        "name": f"Rahim Uddin {n}", "phone": f"+88019{n:08d}"}}), "(a new customer)"),
    Entry("products.create", made(lambda n: product(20_000 + n))),
    Entry("variants.create", changed("product_id", PRODUCTS, lambda n: {"variant_name": f"Bench {n}", "price": 100 + n})),
    Entry("images.create", lambda store: [Ask(product_id=row, body=image(), kind=PARTS) for row in store.ids(PRODUCTS)]),
    Entry("categories.create", made_in_many(lambda n: {"name": f"Panjabi {n}"})),
    Entry("customers.create", made(lambda n: {"name": f"Karim {n}", "phone": f"+88016{n:08d}", "email": f"karim{n}@example.com"})),
    Entry("discounts.create", made(lambda n: {"code": f"PUJA{n}", "percentage": 5})),
    Entry("inventory.adjust", stock(lambda n: {"adjustment": 1 + n % 7})),
    Entry("shipping.zones.create", made_in_many(zone, 100)),
    Entry("metafields.definitions.create", made_in_many(lambda n: {
        "namespace": "bench", "key": f"field_{n}", "resource_type": "order"}, 250)),
    Entry("metafields.values.set", values(1), "(one)"),
    Entry("metafields.values.set", values(100), "(100)"),
    Entry("analytics.events.create", made(lambda n: {"events": [
        {"event_key": f"cart-{n}", "name": "cart.viewed", "properties": {"items": n % 9}}]}), "(one)"),
    Entry("analytics.events.create", made(lambda n: {"events": [
        {"event_key": f"batch-{n}-{i}", "name": f"cart.viewed{i % 20}"} for i in range(100)]}), "(100)"),
    imported("bulk.import_products", lambda n, shop: product(30_000 + n)),
    imported("bulk.import_customers", lambda n, shop: {"name": f"Karim {n}", "phone": f"+88015{n:08d}"}),
    imported("bulk.import_orders", lambda n, shop: {"items": [{"sku_id": shop.sku_id, "quantity": 1}], "note": f"order {n}"}),
    imported("bulk.import_inventory", lambda n, shop: {"sku_id": shop.sku_id, "quantity": 50_000 + n}),
    # -- what reads --
    Entry("orders.list", once("limit=50")),
    Entry("orders.list", once("limit=50&status=completed"), "status"),
    Entry("orders.list", once("limit=50&since=2020-01-01&sort=grand_total:asc"), "since, by grand_total"),
    Entry("orders.list", lambda store: [Ask(f"limit=50&customer_id={store.busy_customer}")], "customer_id", grows=COUNTED),
    Entry("orders.list", lambda store: [Ask("limit=50&order_ids=" + ",".join(map(str, store.ids(ORDERS, 50)))) for _ in range(20)], "order_ids"),
    Entry("orders.list", once("limit=50&has_courier=1"), "has_courier", grows=COUNTED),
    Entry("orders.filter", filtered("order_status", "select", ["completed"]), "order_status", grows=COUNTED),
    Entry("orders.filter", filtered("bench.checked", "metafield", [f"v{n}" for n in range(50)]), "metafield", grows=COUNTED),
    Entry("orders.get", each("order_id", ORDERS)),
    Entry("orders.history", each("order_id", "order_id from order_status_history")),
    Entry("products.list", once("limit=50")),
    Entry("products.list", once("limit=50&price_min=1000&price_max=1020"), "price range", grows=COUNTED),
    Entry("products.list", lambda store: [Ask(f"limit=50&search=panjabi+{n:05d}") for n in range(60)], "search", grows=SEARCH),
    Entry("products.get", each("product_id", PRODUCTS)),
    Entry("images.list", images()),
    Entry("images.get", images(single=True)),
    Entry("categories.list", once("limit=50")),
    Entry("categories.get", each("category_id", CATEGORIES)),
    Entry("customers.list", once("limit=50")),
    Entry("customers.list", once("limit=50&sort=name:asc&include_guests=1"), "include_guests, by name"),
    Entry("customers.list", once("limit=50&total_orders_min=1"), "total_orders_min", grows=COUNTED),
    Entry("customers.list", lambda store: [Ask(f"limit=50&search={random.randrange(10**8):08d}") for _ in range(100)], "search, nobody", grows=SEARCH),
    Entry("customers.get", each("user_id", CUSTOMERS)),
    Entry("customers.orders", lambda store: [Ask("limit=50", user_id=store.busy_customer)], grows=COUNTED),
    Entry("discounts.list", once("limit=50")),
    Entry("discounts.list", once("limit=50&search=EID0005"), "search", grows=SEARCH),
    Entry("discounts.get", each("discount_id", DISCOUNTS)),
    Entry("discounts.validate", each("code", f"code from discount where {LIVE} and code like 'EID%%'", "subtotal=1500")),
    Entry("inventory.list", once("limit=50")),
    Entry("inventory.list", once("limit=50&status=in_stock&sort=total_quantity:asc"), "in_stock, by total_quantity"),
    Entry("inventory.get", each("product_id", PRODUCTS)),
    Entry("inventory.movements", lambda store: [Ask("limit=50", product_id=store.busy_product)], grows=COUNTED),
    Entry("shipping.zones.list", once("limit=50")),
    Entry("shipping.zones.get", each("zone_id", ZONES)),
    Entry("shipping.rates", lambda store: [Ask(f"city=city+{n}&subtotal=1500") for n in range(60)]),
    Entry("metafields.definitions.list", once("limit=50"), grows=FEW),
    Entry("metafields.definitions.get", lambda store: [Ask(definition_id=row) for row, in store.sql(
        "select definition_id from metafield_definition where app_id = %s", store.shop.app_id)]),
    Entry("metafields.values.list", lambda store: [Ask(f"limit=50&resource_type=product&resource_id={store.busy_product}")], grows=FEW),
    Entry("metafields.values.get", each("value_id", VALUES)),
    Entry("analytics.sales", once()),
    Entry("analytics.sales", lambda store: [Ask("interval=month&from=" + store.sql("select (now() - interval '360 days')::date::text")[0][0])],
          "a year by month"),
    Entry("analytics.products.top", once()),
    Entry("analytics.customers", once()),
    Entry("analytics.orders.status", once()),
    Entry("analytics.summary", once()),
    Entry("analytics.events.summary", once()),
    Entry("bulk.list_jobs", once("limit=50"), grows=COUNTED),
    Entry("bulk.get_job", each("job_id", "job_id from bulk_job")),
    Entry("bulk.read_results", lambda store: [Ask(f"after={store.job_lines - 50}", job_id=store.job)], "(the last 50)"),
    Entry("bulk.export_products", behind("product_id", "product"), "(the last 50)"),
    Entry("bulk.export_customers", behind("user_id", "customer"), "(the last 50)"),
    Entry("bulk.export_orders", behind("order_id", "store_order"), "(the last 50)"),
    Entry("bulk.export_inventory", behind("sku_id", "sku"), "(the last 50)"),
    Entry("assets.product_image", pictures),
    # -- what changes --
    Entry("store.update", made_in_many(lambda n: {"name": f"Bazaar {n}", "address": f"Shop {n}, New Market, Dhaka"})),
    Entry("orders.update", changed("order_id", ORDERS, lambda n: {"note": f"Call {n} first", "courier": "Pathao"}), "note, courier"),
    Entry("orders.update", items_replaced, "(two items)"),
    Entry("orders.set_status", changed("order_id", pending(1), lambda n: {"status": "confirmed", "note": f"by phone {n}"}), "confirmed"),
    Entry("orders.set_status", changed("order_id", pending(2), lambda n: {"status": "cancelled", "note": f"by phone {n}"}), "cancelled"),
    Entry("products.update", changed("product_id", PRODUCTS, lambda n: {"name": f"Silk panjabi {n}"})),
    Entry("variants.update", variants("true", lambda n: {"price": 700 + n})),
    Entry("categories.update", changed("category_id", CATEGORIES, lambda n: {"position": 1 + n, "name": f"Kurta {n}"})),
    Entry("customers.update", changed("user_id", CUSTOMERS, lambda n: {"name": f"Nusrat Begum {n}"})),
    Entry("discounts.update", changed("discount_id", DISCOUNTS, lambda n: {"percentage": 11 + n % 80, "minimum_order_value": n})),
    Entry("inventory.set", stock(lambda n: {"quantity": 300_000 + n})),
    Entry("shipping.zones.update", in_many("zone_id", ZONES, lambda n: {"name": f"Around {n}", "cities": [f"Town {n}"]})),
    # -- what deletes --
    Entry("bulk.cancel_job", unfinished_jobs),
    Entry("orders.delete", deleted("order_id", pending(3))),
    Entry("images.delete", images(single=True)),
    Entry("variants.delete", variants("variant_name like 'Bench %%' and not is_default")),
    Entry("products.delete", deleted("product_id", f"{PRODUCTS} and name like 'Cotton panjabi 2%%'")),
    Entry("customers.delete", deleted("user_id", CUSTOMERS)),
    Entry("discounts.delete", deleted("discount_id", DISCOUNTS)),
    Entry("categories.delete", in_many("category_id", CATEGORIES)),
    Entry("shipping.zones.delete", in_many("zone_id", ZONES)),
    Entry("metafields.values.delete", deleted("value_id", f"{VALUES} where resource_type = 'o' and resource_id in (select {ORDERS})")),
    Entry("metafields.definitions.delete", lambda store: [Ask(shop=shop, definition_id=row) for shop in store.many.shops for row, in store.sql(
        "select definition_id from metafield_definition where app_id = %s", shop.app_id)]),
]


def main():
    with figures.platform() as platform:
        bench = Bench(platform)
        small, large = open_stores(bench)
        Table(SERVICE, ENTRIES, small, large).run()
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())

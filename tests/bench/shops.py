"""The stores that store_data.py measures in: a small one, a large one, and many that are nearly empty.

Everything comes in through the API: bulk imports, and the POSTs that are measured later. By SQL come what
would take minutes otherwise: 10,000 finished import jobs, 10,000 movements of one product, 10,000 orders of one customer.
"""

import os
import time

from figures import bearer, check_answers, http, say

from api import bulk
from api.shop import Owner

V1 = "/api/apps/v1"
SHOPS = 40
# How many rows of each. Of zones (100) and definitions (250) the large store has what the contract allows, of categories (5,000) nearly;
# "busy" are the orders of one customer, and the movements of one product.
SMALL = {"kind": "demo", "orders": 100, "products": 100, "customers": 1, "busy": 100, "discounts": 100, "categories": 100, "zones": 60,
         "definitions": 60, "values": 100, "jobs": 100, "events": 100}
LARGE = {"kind": "bench", "orders": 100_000, "products": 10_000, "customers": 10_000, "busy": 10_000, "discounts": 10_000,
         "categories": 4_500, "zones": 100, "definitions": 249, "values": 10_000, "jobs": 10_000, "events": 10_000}
ZONE = [{"name": "Home delivery", "price": 60, "estimated_days": 2}, {"name": "Free delivery", "price": 0, "min_order": 2000}]
PNG = b"\x89PNG\r\n\x1a\n"
MAKE_BUSY = """
update store_order as o set user_id = %s from (select store_id, order_id from store_order where store_id = %s limit %s) as theirs
    where o.store_id = theirs.store_id and o.order_id = theirs.order_id
"""
MAKE_MOVEMENTS = """
insert into inventory_movement (store_id, product_id, sku_id, change, quantity_after, reason, created_at)
    select %s, %s, %s, 0, 1, 'counted', now() from generate_series(1, %s)
"""
MAKE_JOBS = """
insert into bulk_job (store_id, app_id, installation_id, resource, status, lines_total, lines_done, succeeded, created_at, updated_at,
    started_at, finished_at)
    select %s, %s, %s, 'products', %s, 1, 1, 1, now(), now() + interval '1 hour', now(), case when %s = 'completed' then now() end
    from generate_series(1, %s)
"""


def parts(data):
    """A form with one file in it."""
    return (b'--cut\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n' + data
            + b"\r\n--cut--\r\n")


def image():
    """A file that no other one is equal to."""
    return parts(PNG + os.urandom(2048))


def product(number):
    return {"name": f"Cotton panjabi {number:05d}", "description": "Hand-stitched, full sleeve, machine wash cold. " * 3,
            "variants": [{"variant_name": size, "price": 900 + number % 1000, "quantity": 100_000} for size in ("M", "L")]}


def customer(number):
    return {"name": f"Nusrat Jahan {number:05d}", "phone": f"+88018{number:08d}", "email": f"nusrat{number}@example.com",
            "address_json": {"address": f"House {number}, Road 5, Dhanmondi", "city": "Dhaka"}}


def value(resource_type, resource_id, key, text):
    return {"namespace": "bench", "key": key, "resource_type": resource_type, "resource_id": resource_id, "value": text}


def zone(number):
    return {"name": f"Zone {number}", "cities": [f"City {number}", f"Area {number}"], "methods": ZONE}


class Store:
    """A store of some size, as its app sees it."""

    def __init__(self, bench, shop, many):
        self.bench, self.shop, self.many = bench, shop, many
        self.store_id, self.access_token = shop.store_id, shop.access_token

    def sql(self, sql, *arguments):
        return self.bench.platform.postgres.rows("set search_path = store_data; " + sql, arguments)

    def rows(self, what, limit=4000):
        """Some rows of the store, in no order: "COLUMNS from TABLE where …"."""
        sql = f"select {what} {'and' if ' where ' in what else 'where'} store_id = %s order by random() limit {limit}"
        return self.sql(sql, self.store_id)

    def ids(self, what, limit=4000):
        return [row_id for row_id, in self.rows(what, limit)]

    def send(self, path, bodies, wanted="201", kind="application/json"):
        """All of them, by POST."""
        requests = [http("POST", V1 + path, bearer(self.access_token), body, kind) for body in bodies]
        check_answers(self.bench.load(requests, connections=16, seconds=0), wanted, path)

    def imported(self, resource, lines):
        """Looked at seldom: an import gives way to whoever asks often."""
        job = bulk.start(self.shop, resource, lines)
        while job["status"] in ("queued", "running"):
            time.sleep(0.25)
            job = bulk.job(self.shop, job["job_id"])
        if job["succeeded"] != len(lines):
            raise SystemExit(f"import of {resource}: {job}")
        return job["job_id"]

    def fill(self, size):
        call, started = self.bench.platform.call, time.monotonic()
        for left in range(size["orders"], 0, -2000):
            call("store-data.stores.fill", store_id=self.store_id, kind=size["kind"], orders=min(left, 2000), days=365)
        self.job = self.imported("products", [product(n) for n in range(size["products"])])
        self.job_lines = size["products"]
        self.imported("customers", [customer(n) for n in range(size["customers"])])
        (self.busy_product, self.busy_sku), = self.rows("product_id, sku_id from sku where is_default", 1)
        self.busy_customer, = self.ids("user_id from customer where phone = '+8801800000000'", 1)
        self.sql(MAKE_BUSY, self.busy_customer, self.store_id, size["busy"])
        self.sql(MAKE_MOVEMENTS, self.store_id, self.busy_product, self.busy_sku, size["busy"])
        self.send("/discounts", [{"code": f"EID{n:05d}", "percentage": 10} for n in range(size["discounts"])])
        self.send("/categories", [{"name": f"Panjabi {n}"} for n in range(size["categories"])])
        self.send("/shipping/zones", [zone(n) for n in range(size["zones"])])
        self.fill_metafields(size)
        for product_id in self.ids("product_id from product where deleted_at is null", 60):
            self.send(f"/products/{product_id}/images", [image()], kind="multipart/form-data; boundary=cut")
        self.send("/analytics/events", [{"events": [{"name": f"cart.viewed{n % 20}"} for n in range(100)]} for _ in range(size["events"] // 100)])
        self.sql(MAKE_JOBS, self.store_id, self.shop.app_id, self.shop.installation_id, "completed", "completed", size["jobs"])
        say(f"a store with {size['orders']} orders, {size['products']} products: {time.monotonic() - started:.0f} s")
        return self

    def fill_metafields(self, size):
        """One product has a value of every definition but the one that orders have."""
        names = [f"field_{n}" for n in range(size["definitions"] - 1)]
        self.send("/metafields/definitions", [{"namespace": "bench", "key": name, "resource_type": kind}
                                              for name, kind in [("checked", "order"), *[(name, "product") for name in names]]])
        orders = self.ids("order_id from store_order where deleted_at is null", size["values"])
        values = [value("order", order, "checked", f"v{order % 100}") for order in orders]
        of_product = [value("product", self.busy_product, name, name) for name in names]
        for some in (of_product, values[:500], values[500:2000], values[2000:]):
            self.set_values(some)
            self.sql("analyze metafield_value")     # as autovacuum does in time; without, plans are those of a table with few rows

    def set_values(self, values):
        if values:
            self.send("/metafields/values", [{"metafields": values[at:at + 500]} for at in range(0, len(values), 500)], "200")


class Many:
    """Nearly empty stores, each with an app of its own: for what a store or an app may have few of."""

    def __init__(self, bench, owner):
        self.shops = [owner.open_shop() for _ in range(SHOPS)]
        self.by_id = {shop.store_id: shop for shop in self.shops}
        self.bench = bench
        for shop in self.shops:
            answer = shop.post(f"{V1}/products", product(0))
            shop.sku_id = answer.json()["data"]["variants"][0]["sku_id"]

    def __getitem__(self, number):
        return self.shops[number % SHOPS]

    def sql(self, sql, *arguments):
        return self.bench.platform.postgres.rows("set search_path = store_data; " + sql, arguments)

    def rows(self, sql):
        """(shop, id) of what these stores have: "COLUMN from TABLE …"."""
        ids = list(self.by_id)
        return [(self.by_id[store], row_id) for store, row_id in self.sql(f"select store_id, {sql} {'and' if ' where ' in sql else 'where'} "
                                                                          "store_id = any(%s) order by random()", ids)]

    def finish_jobs(self):
        """Waits until no import is under way."""
        while self.sql("select 1 from bulk_job where store_id = any(%s) and status in ('queued', 'running') limit 1", list(self.by_id)):
            time.sleep(0.02)

    def make_unfinished_jobs(self, each):
        for shop in self.shops:
            self.sql(MAKE_JOBS, shop.store_id, shop.app_id, shop.installation_id, "uploading", "uploading", each)


def open_stores(bench):
    """The small and the large one."""
    owner = Owner(bench.platform)
    many = Many(bench, owner)
    stores = [Store(bench, owner.open_shop(), many).fill(size) for size in (SMALL, LARGE)]
    bench.platform.postgres.rows("vacuum analyze")
    return stores

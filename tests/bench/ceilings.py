#!/usr/bin/python3
"""What the platform makes of the machine: rates as ratios to ceilings measured in the same run, tails, depth, memory (tests/README.md).

Ceilings: pgbench with the very statements the service runs (16 clients, prepared, unix socket), and a constant-body libmicrohttpd
server. Everything runs on this machine at once, so only the ratios mean something elsewhere. Rounds alternate, the median of
each counts. SX_BENCH_STORES and SX_BENCH_ORDERS set the data.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time

import figures
from figures import SECONDS, Bench, aim, bearer, check_answers, fill_in, http, say

from api.platform import Port

STORES = int(os.environ.get("SX_BENCH_STORES", "20"))
ORDERS = int(os.environ.get("SX_BENCH_ORDERS", "10000"))
ROUNDS = 3
ORDERS_PATH = "/api/apps/v1/orders"
LISTS = [("products", "PRODUCTS_AFTER_ANY_CREATED_DESC", ""), ("customers", "CUSTOMERS_AFTER_KNOWN_CREATED_DESC", "known"),
         ("inventory", "STOCK_AFTER_UPDATED_DESC", "")]


class Ceilings(Bench):
    """The stores that the rates are measured in, the pgbench scripts for them, and the requests."""

    def __init__(self, platform):
        super().__init__(platform)
        self.shops = []

    def fill(self, stores, orders):
        say(f"loading {stores} stores with {orders} orders each")
        self.platform.sxctl("bench-data", str(stores), str(orders), timeout=900)
        return json.loads((self.home / "bench.json").read_text())

    # -- ceilings --

    def list_script(self, statement="ORDERS_AFTER_ANY_CREATED_DESC", status=""):
        """The first page of a list by time, of any store."""
        ids = [shop["store_id"] for shop in self.shops]
        sql = self.statements[statement]
        values = {"$1": ":store", "$2": f"'{status}'", "$3": "51", "$4": "'infinity'", "$5": "9223372036854775807"}
        return f"\\set store random({min(ids)}, {max(ids)})\n{fill_in(sql, values)};\n"

    def get_script(self):
        first = min(shop["store_id"] for shop in self.shops)
        order = self.first_order()
        sql = fill_in(self.statements["ORDER_GET"], {"$1": ":store", "$2": ":id"})
        return (f"\\set n random(0, {STORES * ORDERS - 1})\n\\set store {first} + :n / {ORDERS}\n\\set id {order} + :n\n{sql};\n")

    def goods(self, shop):
        """What a store has to be ordered: ids of its variants and of its customers."""
        return [[row_id for row_id, in self.platform.postgres.rows(
            f"select {column} from store_data.{table} where store_id = %s and deleted_at is null order by 1 limit 200", (shop["store_id"],))]
                for column, table in (("sku_id", "sku"), ("user_id", "customer"))]

    def order_scripts(self):
        """An order of two items by a customer who is known, as orders_create.c places it: one script for each store."""
        scripts = []
        for shop in self.shops:
            (skus, customers), store = self.goods(shop), str(shop["store_id"])
            lines = ("('[{\"line\":0,\"sku_id\":' || :first || '},{\"line\":1,\"sku_id\":' || :second || '}]')::json")
            items = ("('[{\"product_id\":1,\"variant_id\":' || :first || ',\"name\":\"Cotton Panjabi - M\",\"price\":1450.00,\"quantity\":1,"
                     "\"image\":\"pnj-cot-1.jpg\",\"sku\":\"PNJ-COT-1\"},{\"product_id\":2,\"variant_id\":' || :second || ',\"name\":"
                     "\"Kabli Set - L\",\"price\":2490.00,\"quantity\":1,\"image\":\"kbl-set-1.jpg\",\"sku\":\"KBL-SET-2\"}]')::json")
            event = json.dumps({"order_id": 1, "id": 1, "order_number": "1", "order_status": "pending", "customer_name": "Rahim Uddin",
                                "customer_phone": "+8801712345678", "phone": "+8801712345678", "shipping_phone": None, "total": 4000.00,
                                "grand_total": 4000.00, "tracking_id": None, "tracking_number": None, "store_name": "Store", "payment_method": "cod"})
            statements = [
                ("CUSTOMER_EXISTS", [store, ":customer"]), ("LINES_LOCK", [store, lines, "0"]),
                ("STOCK_TAKE", [store, items, "now()", ":order_id"]),
                ("ORDER_INSERT", [store, ":customer", "3940.00", "0.00", "60.00", "0.00", "'cod'", "null", "null", "null", items, "now()", ":order_id",
                                  "null", "0.00"])]
            sql = [fill_in(self.statements[name], {f"${n}": value for n, value in enumerate(values, 1)}) for name, values in statements]
            scripts.append("".join((
                f"\\set first random(0, {len(skus) // 2 - 1})\n\\set second {skus[0]} + 1 + :first * 2\n\\set first {skus[0]} + :first * 2\n",
                f"\\set customer random({customers[0]}, {customers[-1]})\n",
                "begin;\n", f"{sql[0]};\n", f"{sql[1]} \\aset\n", f"{sql[2]};\n", f"{sql[3]};\n",
                "insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) values ('order.created', "
                f"{store}, 'order', :order_id, '{event}', now());\n", "commit;\n")))
        return scripts

    def order_requests(self):
        lines = []
        for shop in self.shops:
            skus, customers = self.goods(shop)
            for _ in range(100):
                first = random.randrange(len(skus) // 2) * 2
                order = {"customer_id": random.choice(customers), "shipping": 60, "payment_method": "cod",
                         "items": [{"sku_id": skus[0] + first, "quantity": 1}, {"sku_id": skus[0] + first + 1, "quantity": 1}]}
                lines.append(http("POST", ORDERS_PATH, bearer(shop["access_token"]), order))
        random.shuffle(lines)
        return lines

    def first_order(self):
        return self.platform.postgres.rows("select min(order_id) from store_data.store_order where store_id = %s",
                                           (self.shops[0]["store_id"],))[0][0]

    # -- requests --

    def list_requests(self, shops=None, what="orders"):
        return [http("GET", f"/api/apps/v1/{what}?limit=50", bearer(shop["access_token"])) for shop in shops or self.shops]

    def get_requests(self):
        order, lines = self.first_order(), []
        for _ in range(4000):
            n = random.randrange(STORES * ORDERS)
            lines.append(http("GET", f"{ORDERS_PATH}/{order + n}", bearer(self.shops[n // ORDERS]["access_token"])))
        return lines


def against_ceiling(bench, name, scripts, requests, floor, wish, wanted="200"):
    ceilings, results = [], []
    for _ in range(ROUNDS):
        ceilings.append(bench.pgbench(*scripts))
        results.append(bench.with_cpu(requests))
        check_answers(results[-1], wanted)
    rate, ceiling = statistics.median(r["rate"] for r in results), statistics.median(ceilings)
    say(f"{name}: {rate:.0f}/s over HTTP, {ceiling:.0f}/s by pgbench alone")
    aim(f"{name}: part of pgbench", rate / ceiling, floor=floor, wish=wish)
    middle = sorted(results, key=lambda r: r["rate"])[ROUNDS // 2]
    say(f"  p50 {middle['p50_us'] / 1000:.2f} ms, p99 {middle['p99_us'] / 1000:.2f} ms; CPU per request outside PostgreSQL: "
        + ", ".join(f"{process} {us:.1f} us" for process, us in middle["cpu_us"].items()))
    aim(f"{name}: p99 / p50 at 64 connections", statistics.median(r["p99_us"] / r["p50_us"] for r in results), ceiling=4)


def constant_ceiling(bench):
    port = Port()
    server = subprocess.Popen([bench.home / "bin" / "constant", str(port.number), "300"])
    try:
        time.sleep(0.3)
        say(f"constant-body libmicrohttpd server: {bench.load([http('GET', '/')], port=port.number)['rate']:.0f}/s")
    finally:
        server.terminate()
        server.wait()
        port.release()


def identity_and_limiter(bench):
    """A request refused for its scope has passed identity and limiter and goes no further; one for an unknown path has
    passed neither. The difference is their price."""
    shop = bench.shops[0]
    app = bench.platform.call("auth.apps.create", owner_account_id=bench.platform.call(
        "auth.accounts.create", name="Narrow", email="narrow@bench.example", password="correct horse battery")["account_id"],
        name="Narrow App", redirect_urls=["https://bench.example/cb"], requested_scopes=["read:store"])
    grant = bench.platform.call("auth.installations.create", app_id=app["app_id"], store_id=shop["store_id"])
    refused = [http("GET", ORDERS_PATH, bearer(grant["access_token"]))]
    unknown = [http("GET", "/nothing/here", bearer(grant["access_token"]))]
    costs = []
    for _ in range(ROUNDS):
        with_both, without = bench.with_cpu(refused), bench.with_cpu(unknown)
        check_answers(with_both, "403")
        check_answers(without, "404")
        costs.append(with_both["cpu_us"]["gateway-1"] - without["cpu_us"]["gateway-1"])
    aim("identity check and limiter, gateway CPU per request in us", statistics.median(costs), ceiling=15)


def steadiness(bench):
    for connections in (64, 256, 1000):
        result = bench.load(bench.list_requests(), connections=connections, seconds=max(SECONDS, 8))
        check_answers(result)
        windows = result["windows"]
        say(f"{connections} connections: {result['rate']:.0f}/s, p50 {result['p50_us'] / 1000:.1f} ms, p99 {result['p99_us'] / 1000:.1f} ms")
        aim(f"{connections} connections: slowest second / median second", min(windows) / statistics.median(windows), floor=0.2)


def buffers(bench, key, row_id):
    store = bench.shops[0]["store_id"]
    sql = fill_in(bench.statements["ORDERS_AFTER_ANY_CREATED_DESC"],
                  {"$1": f"{store}", "$2": "''", "$3": "51", "$4": f"'{key}'", "$5": f"{row_id}"})
    plan = bench.platform.postgres.rows(f"set search_path = store_data; explain (analyze, buffers, format json) {sql}")[0][0][0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def depth(bench):
    store = bench.shops[0]["store_id"]
    bench.platform.postgres.rows("vacuum analyze store_data.store_order")
    deep = bench.platform.postgres.rows("select created_at::text, order_id from store_data.store_order where store_id = %s and "
                                        "deleted_at is null order by created_at desc, order_id desc offset %s limit 1",
                                        (store, min(9949, ORDERS - 60)))[0]
    first, last = buffers(bench, "infinity", 2**63 - 1), buffers(bench, *deep)
    say(f"buffers read: page 1 {first}, page 200 by cursor {last}")
    aim("buffers: page 200 / page 1", last / first, ceiling=1.05)


def shop_size(bench):
    small, large = bench.fill(1, 1000), bench.fill(1, 100000)
    bench.platform.postgres.rows("vacuum analyze store_data.store_order")
    ratios = []
    for _ in range(ROUNDS):
        rates = [bench.load(bench.list_requests(shops))["rate"] for shops in (small, large)]
        ratios.append(rates[1] / rates[0])
    aim("a store with 100,000 orders against one with 1,000: rate", statistics.median(ratios), floor=0.9)


def main():
    with figures.platform() as platform:
        bench = Ceilings(platform)
        time.sleep(2)
        aim("memory of all our processes, idle, PSS in MiB", bench.pss_mib(), ceiling=64)
        bench.shops = bench.fill(STORES, ORDERS)
        bench.platform.postgres.rows("vacuum analyze")
        bench.load(bench.list_requests(), seconds=2)
        constant_ceiling(bench)
        against_ceiling(bench, "list of 50 with total", [bench.list_script()], bench.list_requests(), 0.4, 0.6)
        against_ceiling(bench, "one order with items", [bench.get_script()], bench.get_requests(), 0.35, 0.6)
        for what, statement, status in LISTS:
            against_ceiling(bench, f"list of 50 {what}", [bench.list_script(statement, status)], bench.list_requests(what=what), 0.4, 0.6)
        identity_and_limiter(bench)
        steadiness(bench)
        say(f"memory of all our processes under load, PSS: {bench.pss_mib():.1f} MiB")
        depth(bench)
        shop_size(bench)
        against_ceiling(bench, "an order of two items placed", bench.order_scripts(), bench.order_requests(), 0.5, 0.7, "201")
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())

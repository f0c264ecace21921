#!/usr/bin/python3
"""`make bench`: the project's own figures, as ratios to ceilings measured in the same run (tests/README.md).

Ceilings: pgbench with the very statements the service runs (16 clients, prepared, unix socket), and a constant-body libmicrohttpd
server. Everything runs on this machine at once, so only the ratios mean something elsewhere. Rounds alternate, the median of
each counts. SX_BENCH_SECONDS sets the length of one measurement (default 6), SX_BENCH_STORES and SX_BENCH_ORDERS the data.
"""

import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from api.platform import Platform, Port, as_user, postgres_bin  # noqa: E402

SECONDS = int(os.environ.get("SX_BENCH_SECONDS", "6"))
STORES = int(os.environ.get("SX_BENCH_STORES", "20"))
ORDERS = int(os.environ.get("SX_BENCH_ORDERS", "10000"))
ROUNDS = 3
ORDERS_PATH = "/api/apps/v1/orders"
LISTS = [("products", "PRODUCTS_AFTER_ANY_CREATED_DESC", ""), ("customers", "CUSTOMERS_AFTER_KNOWN_CREATED_DESC", "known"),
         ("inventory", "STOCK_AFTER_UPDATED_DESC", "")]
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
failures = []


def say(text):
    print(text, flush=True)


def aim(name, value, floor=None, ceiling=None, wish=None):
    """One figure with its bound; what misses it fails the run at the end."""
    good = (floor is None or value >= floor) and (ceiling is None or value <= ceiling)
    bound = f"at least {floor}" if floor is not None else f"at most {ceiling}"
    say(f"  {'ok  ' if good else 'MISS'} {name}: {value:.3g} ({bound}{f', aim {wish}' if wish else ''})")
    if not good:
        failures.append(name)


def compile_tools(directory):
    gcc = ["gcc", "-O2", "-std=c11", "-D_GNU_SOURCE", "-w"]
    bench = ROOT / "tests" / "bench"
    for name, extra in (("load", []), ("sink", []), ("constant", ["-lmicrohttpd"]), ("statements", [f"-I{ROOT}/services/store-data"])):
        subprocess.run([*gcc, *[e for e in extra if e.startswith("-I")], str(bench / f"{name}.c"), "-o", str(directory / name),
                        *[e for e in extra if e.startswith("-l")]], check=True)


class Bench:
    def __init__(self, platform):
        self.platform, self.home = platform, platform.home
        compile_tools(self.home / "bin")
        listed = subprocess.run([self.home / "bin" / "statements"], check=True, capture_output=True, text=True).stdout
        self.statements = dict(line.split("\t", 1) for line in listed.splitlines())
        self.shops = []

    def fill(self, stores, orders):
        say(f"loading {stores} stores with {orders} orders each")
        self.platform.sxctl("bench-data", str(stores), str(orders), timeout=900)
        return json.loads((self.home / "bench.json").read_text())

    # -- ceilings --

    def pgbench(self, *scripts, clients=16):
        """Each transaction runs one of the scripts."""
        files = []
        for number, script in enumerate(scripts):
            path = self.home / f"script-{number}.sql"
            path.write_text(script)
            files += ["-f", path]
        done = subprocess.run([postgres_bin() / "pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(SECONDS),
                               *files, "-h", self.home / "run", "-U", "store_data", "selorax"], capture_output=True, text=True,
                              check=False, **as_user())
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        if not found:
            raise SystemExit(f"pgbench: {done.stderr}")
        return float(found.group(1))

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
                lines.append((ORDERS_PATH, f"{bearer(shop)}\t{json.dumps(order)}"))
        random.shuffle(lines)
        return lines

    def first_order(self):
        return self.platform.postgres.rows("select min(order_id) from store_data.store_order where store_id = %s",
                                           (self.shops[0]["store_id"],))[0][0]

    # -- load --

    def load(self, lines, connections=64, port=None, seconds=SECONDS):
        path = self.home / "requests"
        path.write_text("".join(f"{target}\t{headers}\n" for target, headers in lines))
        time.sleep(0.5)                 # what the clients of the last run left in the gateway's queue is worked off
        port = port or self.platform.ports[0].number
        done = subprocess.run([self.home / "bin" / "load", str(port), str(connections), str(seconds), path], capture_output=True,
                              text=True, check=True)
        return json.loads(done.stdout)

    def list_requests(self, shops=None, what="orders"):
        return [(f"/api/apps/v1/{what}?limit=50", bearer(shop)) for shop in shops or self.shops]

    def get_requests(self):
        order, lines = self.first_order(), []
        for _ in range(4000):
            n = random.randrange(STORES * ORDERS)
            lines.append((f"/api/apps/v1/orders/{order + n}", bearer(self.shops[n // ORDERS])))
        return lines

    def cpu_us(self):
        """CPU time spent so far, by process, in microseconds."""
        spent = {}
        for name, process in self.platform.processes.items():
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            spent[name] = (int(fields[11]) + int(fields[12])) * TICK_US
        return spent

    def pss_mib(self):
        total = 0
        for process in self.platform.processes.values():
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))
        return total / 1024

    def with_cpu(self, lines, **options):
        before = self.cpu_us()
        result = self.load(lines, **options)
        after = self.cpu_us()
        result["cpu_us"] = {name: (after[name] - before[name]) / max(result["answers"], 1) for name in after}
        return result


def fill_in(sql, values):
    return re.sub(r"\$(\d+)", lambda found: values[found.group(0)], sql)


def bearer(shop):
    return f"Authorization: Bearer {shop['access_token']}"


def check_answers(result, wanted="200"):
    if set(result["statuses"]) != {wanted} or result["resets"]:
        raise SystemExit(f"unexpected answers: {result['statuses']}, {result['resets']} resets")


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
        say(f"constant-body libmicrohttpd server: {bench.load([('/', 'A: b')], port=port.number)['rate']:.0f}/s")
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
    refused = [("/api/apps/v1/orders", f"Authorization: Bearer {grant['access_token']}")]
    unknown = [("/nothing/here", f"Authorization: Bearer {grant['access_token']}")]
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
    limits = {f"SX_RATE_{name}": "1000000/60" for name in ("GLOBAL", "TOKEN", "VERIFY", "CREDENTIALS", "LOGIN", "METAFIELDS")}
    limits["SX_RATE_GLOBAL"] = "1000000/1"
    with Platform(settings={"SX_WORKERS": os.environ.get("SX_WORKERS", "0"), **limits}, durable=True) as platform:
        bench = Bench(platform)
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
    say(f"{'all figures within their bounds' if not failures else 'missed: ' + ', '.join(failures)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

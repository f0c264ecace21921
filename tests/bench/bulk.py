#!/usr/bin/python3
"""The figures of bulk import and export in `make bench`: 100,000 products in, 200,000 orders out, and what another tenant feels.

The import counts from the first byte of the body to `completed`, the export from the request to its last byte; both while
nothing else is asked. For the neighbour another store's app lists and places orders at a steady pace; each pair is a round
without an import and one with it, in turns, and the median over the pairs of its p99 counts.
"""

import http.client
import json
import re
import statistics
import sys
import threading
import time
from pathlib import Path

import figures
from figures import SECONDS, aim, say

from api import bulk
from api.shop import Owner

PRODUCTS, ORDERS, PAIRS, RATE = 100_000, 200_000, 10, 100

MAKE_ORDERS = """
set search_path = store_data;
with o as (insert into store_order (store_id, order_status, financial_status, fulfillment_status, created_at, updated_at, sub_total, tax,
    shipping, discount, grand_total, payment_method, store_serial_order_no, shipping_address)
    select %(store)s, 'pending', 'pending', 'unfulfilled', now(), now(), 200, 0, 60, 10, 250, 'cod', n::text,
    json_build_object('name', 'Customer ' || n, 'phone', '+8801700000000', 'address', '12 Mirpur Road, Dhaka')
    from generate_series(1, %(count)s) as n returning store_id, order_id)
insert into order_item (store_id, order_id, name, price, quantity, sku)
    select store_id, order_id, 'Thing ' || item, 100, 1, 'SKU-' || item from o, generate_series(1, 2) as item
"""


def products(count):
    return bulk.lines_of({"name": f"Cotton panjabi {n}", "description": "Hand-stitched, full sleeve, machine wash cold. " * 3,
                          "variants": [{"price": 900 + n % 1000, "quantity": n % 50}]} for n in range(count))


def import_products(shop):
    body = products(PRODUCTS)
    started = time.monotonic()
    job_id = bulk.start(shop, "products", body)["job_id"]
    sent = time.monotonic() - started
    while (job := bulk.job(shop, job_id))["status"] in ("queued", "running"):
        time.sleep(0.25)
    took = time.monotonic() - started
    if (job["status"], job["succeeded"]) != ("completed", PRODUCTS):
        raise SystemExit(f"import: {job}")
    say(f"import of {PRODUCTS} products, {len(body) / 2**20:.0f} MiB: {took:.1f} s, {sent:.1f} of them for the upload")
    aim(f"import of {PRODUCTS} products, seconds", took, ceiling=60)


def resident_mib(process):
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024


def read_all(platform, shop, path):
    """How many lines, and bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.ports[0].number, timeout=60)
    connection.request("GET", path, headers=shop.bearer)
    response = connection.getresponse()
    lines = size = 0
    while data := response.read1(1 << 20):
        lines, size = lines + data.count(b"\n"), size + len(data)
    connection.close()
    return lines, size


def export_orders(platform, shop):
    platform.postgres.rows(MAKE_ORDERS, {"store": shop.store_id, "count": ORDERS})
    platform.postgres.rows("vacuum analyze")
    path = "/api/apps/v1/bulk/orders/export"
    read_all(platform, shop, f"{path}?after=1")
    before = {name: resident_mib(process) for name, process in platform.processes.items()}
    started = time.monotonic()
    lines, size = read_all(platform, shop, path)
    took = time.monotonic() - started
    if lines != ORDERS:
        raise SystemExit(f"export: {lines} lines")
    growth = max(resident_mib(process) - before[name] for name, process in platform.processes.items())
    say(f"export of {ORDERS} orders with two items each, {size / 2**20:.0f} MiB: {took:.1f} s")
    aim(f"export of {ORDERS} orders, seconds", took, ceiling=10)
    aim("memory that a process grows by, MiB", growth, ceiling=16)


class Neighbour:
    """A tenant at a steady pace: a request is due every so often, whether or not the one before has been answered."""

    def __init__(self, platform, shop):
        self.platform, self.shop = platform, shop

    def p99_ms(self, seconds):
        times, lock = [], threading.Lock()
        begin = time.monotonic() + 0.2
        due = iter(range(int(RATE * seconds)))

        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", self.platform.ports[0].number, timeout=30)
            while True:
                with lock:
                    number = next(due, None)
                if number is None:
                    return
                at = begin + number / RATE
                time.sleep(max(0, at - time.monotonic()))
                if number % 5 == 0:
                    connection.request("POST", "/api/apps/v1/orders", json.dumps(bulk.order(number)),
                                       {**self.shop.bearer, "Content-Type": "application/json"})
                else:
                    connection.request("GET", "/api/apps/v1/orders?limit=50", headers=self.shop.bearer)
                response = connection.getresponse()
                response.read()
                if response.status not in (200, 201):
                    raise SystemExit(f"neighbour: {response.status}")
                times.append(time.monotonic() - at)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return statistics.quantiles(times, n=100)[98] * 1000


def neighbour(platform, owner):
    quiet, loud = Neighbour(platform, owner.open_shop()), owner.open_shop()
    quiet.p99_ms(2)
    pairs, rates = [], []
    for _ in range(PAIRS):
        without = quiet.p99_ms(SECONDS)
        job_id = bulk.start(loud, "products", products(40_000))["job_id"]
        before, started = bulk.job(loud, job_id)["lines_done"], time.monotonic()
        beside = quiet.p99_ms(SECONDS)
        job = bulk.job(loud, job_id)
        rates.append((job["lines_done"] - before) / (time.monotonic() - started))
        if job["status"] != "running":
            say(f"  the import was over before the round: {job['status']}")
        loud.post(f"/api/apps/v1/bulk/jobs/{job_id}/cancel")
        pairs.append((without, beside))
        time.sleep(1)
    without, beside = (statistics.median(each) for each in zip(*pairs))
    say(f"neighbour at {RATE} requests a second: p99 {without:.1f} ms without an import, {beside:.1f} ms beside one of "
        f"{statistics.median(rates):.0f} lines a second")
    aim("neighbour's p99 beside an import, beyond 1.5 times, ms", statistics.median(b - 1.5 * a for a, b in pairs), ceiling=5)


def main():
    with figures.platform() as platform:
        owner = Owner(platform)
        import_products(owner.open_shop())
        export_orders(platform, owner.open_shop())
        neighbour(platform, owner)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())

"""Imports while processes are killed: every line once. Two processes share the jobs; memory stays where it is."""

import json
import random
import re
import time
from pathlib import Path

import pytest

from . import bulk, goods
from .platform import VARIANT
from .shop import Owner

GROWTH_MAX = 16 << 20


def is_exact(shop, job_id, count, failed=()):
    """Each line has one result, each good one a product and an event of its own, and there is nothing else."""
    found = bulk.results(shop, job_id)
    assert [each["line"] for each in found] == list(range(1, count + 1))
    assert [each["line"] for each in found if each["status"] == "failed"] == list(failed)
    ids = [each["id"] for each in found if each["status"] == "succeeded"]
    assert len(set(ids)) == len(ids) == count - len(failed)
    names = goods.run(shop.platform, "select product_id, name from product where store_id = %s order by 1", shop.store_id)
    assert [product_id for product_id, _ in names] == sorted(ids)
    by_id = dict(names)
    assert all(by_id[each["id"]] == f"Thing {each['line'] - 1}" for each in found if "id" in each)
    told = goods.run(shop.platform, "select resource_id from outbox where store_id = %s and topic = 'product.created'", shop.store_id)
    assert sorted(product_id for product_id, in told) == sorted(ids)


def lines(count, bad=()):
    return bulk.lines_of([b"{" if n + 1 in bad else bulk.product(n) for n in range(count)])


@pytest.mark.parametrize("services", [1, 2])
def test_killed_again_and_again(make_platform, services):
    platform = make_platform(services={"auth": 1, "store-data": services})
    shop = Owner(platform).open_shop()
    count, bad = 8_000, (1, 2, 5_000, 7_999)
    job_id = bulk.start(shop, "products", lines(count, bad))["job_id"]

    def done():
        return goods.run(platform, "select lines_done, status from bulk_job where job_id = %s", job_id)[0]

    kills, seen = 0, 0
    deadline = time.monotonic() + bulk.WAIT_S * 2
    while done()[1] != "completed":
        assert time.monotonic() < deadline, done()
        if kills < 5 and done()[0] > seen:
            seen = done()[0]
            time.sleep(random.random() * 0.05)
            platform[f"store-data-{kills % services + 1}"].restart()
            kills += 1
        time.sleep(0.02)
    assert kills == 5
    platform.wait_ready()
    is_exact(shop, job_id, count, bad)


def wait_until_all_are_connected(platform):
    """A process whose first connections are cut ends, and nobody starts it again here."""
    count, same = 0, 0
    while same < 10:
        now = len(platform.postgres.backends("store-data"))
        same, count = (same + 1 if now == count else 0), now
        time.sleep(0.1)


def test_connections_are_cut(make_platform):
    platform = make_platform(durable=True)
    shop = Owner(platform).open_shop()
    wait_until_all_are_connected(platform)
    job_id = bulk.start(shop, "products", lines(6_000))["job_id"]
    for _ in range(3):
        for pid in platform.postgres.backends("store-data"):
            try:
                platform.postgres.rows("select pg_terminate_backend(%s)", (pid,))
            except Exception:                           # it may have ended by itself
                pass
        time.sleep(0.3)
    platform.wait_ready()
    deadline = time.monotonic() + bulk.WAIT_S
    while goods.run(platform, "select status from bulk_job where job_id = %s", job_id) != [("completed",)]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    is_exact(shop, job_id, 6_000)


def test_several_stores_take_turns(make_platform):
    """A small import does not wait for the end of a large one, whichever process applies them."""
    platform = make_platform(services={"auth": 1, "store-data": 2})
    owner = Owner(platform)
    shops = [owner.open_shop() for _ in range(4)]
    large = [bulk.start(shop, "products", lines(4_000))["job_id"] for shop in shops[:3]]
    small = bulk.start(shops[3], "products", lines(50))["job_id"]
    bulk.wait(shops[3], small)
    still = [bulk.job(shop, job_id)["status"] for shop, job_id in zip(shops, large)]
    assert "completed" not in still, still
    for shop, job_id in zip(shops, large):
        bulk.wait(shop, job_id, look_s=0.2)
        is_exact(shop, job_id, 4_000)
    is_exact(shops[3], small, 50)


def test_two_jobs_of_a_store_are_applied_one_after_the_other(make_platform):
    platform = make_platform(services={"auth": 1, "store-data": 2})
    shop = Owner(platform).open_shop()
    first = bulk.start(shop, "products", lines(3_000))["job_id"]
    second = bulk.start(shop, "products", [{"name": "Last", "price": 1}])["job_id"]
    one, two = bulk.wait(shop, first), bulk.wait(shop, second)
    assert one["finished_at"] <= two["started_at"]


def resident(process):
    text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) << 10


@pytest.mark.skipif(VARIANT == "asan", reason="a sanitizer keeps what was freed")
def test_memory_stays_flat(make_platform):
    """During an export of many rows and an import of many lines."""
    platform = make_platform()
    shop = Owner(platform).open_shop()
    goods.run(platform, "insert into store_order (store_id, order_status, created_at, updated_at, sub_total, tax, shipping, discount, "
              "grand_total, store_serial_order_no, note) select %s, 'pending', now(), now(), 1, 0, 0, 0, 1, n::text, repeat('n', 5000) "
              "from generate_series(1, 8000) as n", shop.store_id)
    assert len(bulk.export(shop, "orders", after=0)) == 8_000
    bulk.run(shop, "products", lines(1_000))
    before = {name: resident(process) for name, process in platform.processes.items()}
    answer = shop.get("/api/apps/v1/bulk/orders/export", timeout=bulk.WAIT_S)
    assert len(answer.content) > 40_000_000 and json.loads(answer.content.rsplit(b"\n", 2)[-2])["note"] == "n" * 5000
    bulk.run(shop, "products", lines(6_000))
    for name, process in platform.processes.items():
        assert resident(process) - before[name] < GROWTH_MAX, name

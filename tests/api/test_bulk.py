"""Bulk import and export: what goes in comes out, line by line; hostile bodies; jobs; who may see what."""

import json
import threading
import time

import pytest

from . import bulk, goods
from .client import is_error
from .raw import Raw
from .shop import Owner

PIECE = 262144
RESOURCES = ("products", "customers", "orders", "inventory")
FIRST = {"products": bulk.product(0), "customers": bulk.customer(0), "orders": bulk.order(0), "inventory": None}


def first_line(shop, resource):
    """One good line."""
    if resource == "inventory":
        _, [sku_id] = goods.add_product(shop, (100, 5))
        return {"sku_id": sku_id, "quantity": 7}
    return FIRST[resource]


def topics(shop):
    """How many events of each topic the store has."""
    rows = goods.run(shop.platform, "select topic, count(*), count(distinct resource_id) from outbox where store_id = %s group by 1",
                     shop.store_id)
    return {topic: (count, resources) for topic, count, resources in rows}


# ---- imports ----------------------------------------------------------------------------------------------------------


def test_products(shop):
    several = [{"variant_name": f"V{n}", "price": n, "quantity": n} for n in range(4)]
    done, found = bulk.run(shop, "products", [bulk.product(n, **({"variants": several} if n == 600 else {})) for n in range(1200)])
    assert (done["status"], done["percent"], done["succeeded"], done["message"]) == ("completed", 100, 1200, None)
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]
    assert [each["line"] for each in found] == list(range(1, 1201))
    assert topics(shop)["product.created"] == (1200, 1200)
    out = bulk.export(shop, "products")
    assert [each["product_id"] for each in out] == sorted(each["id"] for each in found)
    by_id = {each["product_id"]: each for each in out}
    for number in (0, 1, 600, 1199):
        one = by_id[found[number]["id"]]
        assert one["name"] == f"Thing {number}"
        assert one == shop.get(f"/api/apps/v1/products/{one['product_id']}").json()["data"]
    assert shop.get("/api/apps/v1/products?limit=1").json()["pagination"]["total"] == 1200


def test_customers(shop):
    lines = [bulk.customer(n) for n in range(300)]
    lines[17] = bulk.customer(5, name="Same phone")
    done, found = bulk.run(shop, "customers", lines)
    assert (done["succeeded"], done["failed"]) == (299, 1)
    assert found[17]["status"] == "failed" and "Line 18" in found[17]["message"]
    out = bulk.export(shop, "customers")
    assert {each["user_id"] for each in out} == {each["id"] for each in found if "id" in each}
    assert out[3] == shop.get(f"/api/apps/v1/customers/{out[3]['user_id']}").json()["data"]
    assert topics(shop)["customer.created"] == (299, 299)


def test_orders(shop):
    product_id, [sku_id] = goods.add_product(shop, (250, 10))
    lines = [bulk.order(n) for n in range(40)]
    lines[10] = {"items": [{"sku_id": sku_id, "quantity": 4}], "customer": {"name": "Rahim", "phone": "+8801712345678"}}
    lines[11] = bulk.order(11, items=[{"name": f"Item\n{n}", "price": n, "quantity": 1} for n in range(5)], metadata={"a": ["b\r\n", {}]})
    lines[20] = {"items": [{"sku_id": sku_id, "quantity": 7}]}
    lines[21] = {"items": [{"sku_id": 999_999_999, "quantity": 1}]}
    lines[22] = {"items": [{"sku_id": sku_id, "quantity": 6}]}
    done, found = bulk.run(shop, "orders", lines)
    assert (done["succeeded"], done["failed"]) == (38, 2)
    assert found[20]["code"] == "insufficient_stock" and found[20]["errors"][0]["field"].startswith("items[0]")
    assert found[21]["code"] == "not_found" and "Line 22" in found[21]["message"]
    assert goods.stock(shop, sku_id) == 0
    assert topics(shop)["order.created"] == (38, 38)
    out = bulk.export(shop, "orders")
    assert [each["order_id"] for each in out] == [each["id"] for each in found if "id" in each]
    assert out[10]["items"][0]["product_id"] == product_id
    assert out[10] == shop.get(f"/api/apps/v1/orders/{out[10]['order_id']}").json()["data"]
    assert out[11] == shop.get(f"/api/apps/v1/orders/{out[11]['order_id']}").json()["data"]
    assert [item["name"] for item in out[11]["items"]] == [f"Item\n{n}" for n in range(5)]
    assert [each["note"] for each in out[:3]] == ["order 0", "order 1", "order 2"]


def test_inventory(shop, owner):
    _, skus = goods.add_product(shop, *[(10, 1)] * 30)
    other = owner.open_shop()
    _, [foreign] = goods.add_product(other, (10, 3))
    lines = [{"sku_id": sku_id, "quantity": 100 + n} for n, sku_id in enumerate(skus)]
    lines += [{"sku_id": foreign, "quantity": 1}, {"sku_id": skus[0], "quantity": -1}, {"sku_id": skus[0]}, {"quantity": 1},
              {"sku_id": skus[1], "quantity": 55}, {"sku_id": skus[1], "quantity": 56}]
    done, found = bulk.run(shop, "inventory", lines)
    assert (done["succeeded"], done["failed"]) == (32, 4)
    assert found[30]["code"] == "not_found"
    assert [found[n]["errors"][0]["field"] for n in (31, 32, 33)] == ["quantity", "quantity", "sku_id"]
    assert goods.stock(other, foreign) == 3
    assert goods.stock(shop, skus[1]) == 56
    assert {each["sku_id"]: each["quantity"] for each in bulk.export(shop, "inventory")} == {
        sku_id: 56 if n == 1 else 100 + n for n, sku_id in enumerate(skus)}


def test_ten_megabytes_with_a_broken_line_in_the_middle(shop):
    text = "x" * 900
    lines = [bulk.product(n, description=text) for n in range(10_000)]
    middle = len(lines) // 2
    lines[middle] = b'{"name": "Broken", "price": 1'
    body = bulk.lines_of(lines)
    assert len(body) > 9_500_000
    job = bulk.start(shop, "products", body)
    assert job["lines_total"] == 10_000 and job["status"] in ("queued", "running")
    done = bulk.wait(shop, job["job_id"])
    assert (done["succeeded"], done["failed"]) == (9_999, 1)
    found = bulk.results(shop, job["job_id"])
    assert [each["line"] for each in found] == list(range(1, 10_001))
    [bad] = [each for each in found if each["status"] == "failed"]
    assert bad["line"] == middle + 1 and bad["code"] == "invalid_json" and f"Line {middle + 1}" in bad["message"]
    assert goods.run(shop.platform, "select count(*) from product where store_id = %s and name = 'Thing 9999'",
                     shop.store_id) == [(1,)]
    assert topics(shop)["product.created"] == (9_999, 9_999)
    assert goods.run(shop.platform, "select count(*) from bulk_piece where store_id = %s", shop.store_id) == [(0,)]


def test_a_wrong_line_names_its_fields(shop):
    _, found = bulk.run(shop, "products", [{"variants": [{"price": -1}]}, {"name": "", "slug": 5}, [], 7, "null", '"text"', {}])
    assert [each["status"] for each in found] == ["failed"] * 7
    assert {problem["field"] for problem in found[0]["errors"]} == {"name", "variants[0].price"}
    assert "Line 1: " in found[0]["message"]
    assert all(each["code"] == "validation_error" and each["errors"] for each in found)


HOSTILE = [
    b'{"name": "a\x00b", "price": 1}', b'{"name": "a\\u0000b", "price": 1}', b'{"name": "\xff\xfe", "price": 1}',
    b'{"name": "\\ud800", "price": 1}', b'{"name": "A", "name": "B", "price": 1}', b"[" * 5000, b'{"a":' * 3000, b"}{",
    b'{"name": "A", "variants": [{"price": 1e999}]}', b'{"name": "A", "variants": [{"price": 1.005}]}', b'{"name": NaN}',
    b'{"name": "A", "price": 1} {"name": "B", "price": 1}', b"\xef\xbb\xbf{}", b'{"' + "é".encode() * 300 + b'": 1, "' +
    "é".encode() * 300 + b'": 2}', b'{"name": "A", "price": 1, "idempotency_key": 5}',
    b'{"name": "A", "price": 1, "idempotency_key": ""}',
    b'{"name": "A", "price": 1, "idempotency_key": "' + b"k" * 256 + b'"}', b"nonsense", b"-", b'"']


def test_hostile_lines(shop):
    """Each fails alone, and between them good ones go on."""
    lines = [each for bad in HOSTILE for each in (bad, bulk.product(1))]
    done, found = bulk.run(shop, "products", lines)
    assert [each["status"] for each in found] == ["failed", "succeeded"] * len(HOSTILE)
    assert done["succeeded"] == len(HOSTILE)
    assert {each["code"] for each in found if "code" in each} <= {"invalid_json", "validation_error"}
    for each in found[::2]:
        assert each["message"].startswith(f"Line {each['line']}: ") and len(each["message"]) < 300


@pytest.mark.parametrize("body, numbers", [
    (b"", []), (b"\n\n\r\n \t\n", []),
    (b'\r\n{"name":"A","price":1}\r\n\r\n{"name":"B","price":1}\r\n', [2, 4]),
    (b'{"name":"A","price":1}', [1]),
    (b'\n\n{"name":"A","price":1}\n\n{"name":"B","price":1}', [3, 5]),
    (b"\n" * (PIECE + 5) + b'{"name":"A","price":1}', [PIECE + 6]),
], ids=["nothing", "empty lines", "CRLF", "no newline", "gaps", "a piece of newlines"])
def test_lines_at_the_borders(shop, body, numbers):
    done, found = bulk.run(shop, "products", body)
    assert [each["line"] for each in found if each["status"] == "succeeded"] == numbers
    assert (done["lines_total"], done["failed"]) == (len(numbers), 0)


def test_long_lines_and_short_ones(shop):
    """Lines as long as a piece, between short ones; every result has its line."""
    lines = []
    for n in range(6):
        lines += [bulk.product(n), {"name": f"Long {n}", "price": 1, "unknown": "y" * (PIECE - 200)}]
    done, found = bulk.run(shop, "products", lines)
    assert done["succeeded"] == 12
    names = {each["product_id"]: each["name"] for each in bulk.export(shop, "products")}
    assert [names[each["id"]] for each in found] == [line["name"] for line in lines]


def test_a_line_that_no_piece_can_hold(shop):
    """It fails alone, wherever it stands and whatever it begins with; and it is not empty because it begins so."""
    long = [b'{"name": "' + b"x" * PIECE + b'"}', b" " * PIECE + b"x", b"x" * (3 * PIECE), b'{"name":"L","price":1}' + b" " * (PIECE - 22)]
    for resource in RESOURCES:
        done, found = bulk.run(shop, resource, b"".join(bulk.lines_of([line, {}]) for line in long) + long[0])
        assert [each["line"] for each in found] == list(range(1, 10)) and done["succeeded"] == 0
        assert [each["code"] for each in found[::2]] == ["payload_too_large"] * 5
        assert found[0]["message"] == "Line 1: It is longer than 262143 bytes; make more lines of it"
        assert {each["code"] for each in found[1::2]} <= {"validation_error"}


def test_a_long_line_in_the_middle(shop):
    """10 MB: the rest is imported, and that line reported."""
    lines = [bulk.product(n, description="d" * 4000) for n in range(2400)]
    lines.insert(1200, {"name": "x" * (PIECE + 17), "price": 1})
    done, found = bulk.run(shop, "products", lines)
    assert (done["succeeded"], done["failed"]) == (2400, 1)
    assert [each["line"] for each in found if each["status"] == "failed"] == [1201]


def test_text_is_kept_byte_for_byte(shop):
    names = ["পাঞ্জাবি", "قميص", "👕👨‍👩‍👧", "=1+1", "a\u0301", "Ω" * 50]
    _, found = bulk.run(shop, "products", [{"name": name, "price": 1} for name in names])
    out = {each["product_id"]: each["name"] for each in bulk.export(shop, "products")}
    assert [out[each["id"]] for each in found] == names


# ---- idempotency of lines -------------------------------------------------------------------------------------------------


def test_a_line_with_a_key_is_applied_once(shop, owner):
    lines = [bulk.product(n, idempotency_key=f"row-{n}") for n in range(50)]
    _, first = bulk.run(shop, "products", lines + lines[:5])
    assert [each["id"] for each in first[50:]] == [each["id"] for each in first[:5]]
    assert all(each["repeated"] is True for each in first[50:])
    lines[7] = bulk.product(7, idempotency_key="row-7", description="another")
    _, second = bulk.run(shop, "products", lines + [bulk.product(50, idempotency_key="row-50")])
    assert second[7]["code"] == "idempotency_conflict" and second[7]["errors"][0]["field"] == "idempotency_key"
    assert [each.get("id") for each in second[:7]] == [each["id"] for each in first[:7]]
    assert "repeated" not in second[50] and second[50]["status"] == "succeeded"
    assert len(bulk.export(shop, "products")) == 51
    other = owner.open_shop(store_id=shop.store_id)         # another app of the store has keys of its own
    _, third = bulk.run(other, "products", [bulk.product(n, idempotency_key=f"row-{n}") for n in range(3)])
    assert not any("repeated" in each for each in third)


def test_a_failed_line_does_not_use_its_key_up(shop):
    _, found = bulk.run(shop, "customers", [{"phone": "+8801711111111", "idempotency_key": "k"},
                                            {"name": "A", "phone": "+8801711111111", "idempotency_key": "k"}])
    assert [each["status"] for each in found] == ["failed", "succeeded"]


def test_orders_with_keys(shop):
    _, found = bulk.run(shop, "orders", [bulk.order(1, idempotency_key="o")] * 3)
    assert len({each["id"] for each in found}) == 1
    assert topics(shop)["order.created"] == (1, 1)


# ---- jobs --------------------------------------------------------------------------------------------------------------


def unfinished(shop, count, status="running"):
    """Jobs that nobody works on, because an import like theirs is far from done: their rows say so."""
    return [goods.run(shop.platform, "insert into bulk_job (store_id, app_id, installation_id, resource, status, created_at, "
                      "updated_at) values (%s, %s, %s, 'products', %s, now(), now()) returning job_id",
                      shop.store_id, shop.app_id, shop.installation_id, status)[0][0] for _ in range(count)]


def test_an_app_has_five_unfinished_jobs_in_a_store_at_most(shop):
    jobs = unfinished(shop, 5, "uploading")
    neighbour = Owner(shop.platform).open_shop(store_id=shop.store_id)
    assert bulk.upload(neighbour, "products", b"{}\n").status_code == 202
    for resource in RESOURCES:
        assert "cancel one" in is_error(bulk.upload(shop, resource, b"{}\n"), 409, "conflict")["message"]
    answer = shop.post(f"/api/apps/v1/bulk/jobs/{jobs[0]}/cancel")
    assert answer.status_code == 200 and answer.json()["data"]["status"] == "cancelled"
    assert bulk.upload(shop, "products", b"{}\n").status_code == 202


def test_five_uploads_at_once_and_no_sixth(shop):
    unfinished(shop, 3, "uploading")
    statuses = []

    def send():
        statuses.append(bulk.upload(shop, "products", bulk.lines_of([bulk.product(1)] * 20_000)).status_code)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.count(202) >= 2 and set(statuses) <= {202, 409}
    for one in shop.get("/api/apps/v1/bulk/jobs").json()["data"]:
        if one["status"] in ("queued", "running", "uploading"):
            shop.post(f"/api/apps/v1/bulk/jobs/{one['job_id']}/cancel")


def test_the_list_of_jobs(shop):
    made = [bulk.run(shop, "products", [bulk.product(n)])[0]["job_id"] for n in range(3)]
    made.append(bulk.run(shop, "customers", [bulk.customer(1)])[0]["job_id"])
    seen, cursor = [], None
    while True:
        page = shop.get("/api/apps/v1/bulk/jobs?limit=3" + (f"&cursor={cursor}" if cursor else "")).json()
        seen += [each["job_id"] for each in page["data"]]
        assert page["pagination"]["total"] == 4
        cursor = page["pagination"]["next_cursor"]
        if not cursor:
            break
    assert seen == made[::-1]
    second = shop.get("/api/apps/v1/bulk/jobs?limit=3&page=2").json()
    assert [each["job_id"] for each in second["data"]] == made[:1] and second["pagination"] == {
        "page": 2, "limit": 3, "total": 4, "next_cursor": None}
    assert [each["job_id"] for each in shop.get("/api/apps/v1/bulk/jobs?resource=customers&status=completed").json()["data"]] == made[3:]
    assert shop.get("/api/apps/v1/bulk/jobs?resource=orders&status=completed").json()["pagination"]["total"] == 0
    assert [each["job_id"] for each in shop.get("/api/apps/v1/bulk/jobs?resource=customers").json()["data"]] == made[3:]
    assert shop.get("/api/apps/v1/bulk/jobs?status=failed").json()["data"] == []
    is_error(shop.get("/api/apps/v1/bulk/jobs?status=nonsense"), 400, "validation_error")
    first = shop.get("/api/apps/v1/bulk/jobs?limit=3").json()["pagination"]["next_cursor"]
    is_error(shop.get(f"/api/apps/v1/bulk/jobs?resource=customers&cursor={first}"), 400, "validation_error")


def test_results_go_on_behind_a_line(shop):
    done, found = bulk.run(shop, "products", [bulk.product(n) for n in range(700)])
    for after in (0, 1, 137, 699, 700, 10**9):
        assert bulk.results(shop, done["job_id"], after) == found[after:]
    path = f"/api/apps/v1/bulk/jobs/{done['job_id']}/results"
    for wrong in ("x", "-1", "1.5", "99999999999999999999"):
        is_error(shop.get(f"{path}?after={wrong}"), 400, "validation_error")


def test_results_of_many_bad_lines_come_in_chunks(shop):
    """More of them than a chunk holds, and each with as much to say as there can be."""
    bad = {"name": 1, "slug": 3, "description": 4, "variants": [{"price": "z"}] * 20}
    done, found = bulk.run(shop, "products", [bad] * 700)
    assert done["failed"] == 700 and len(json.dumps(found)) > 3 * PIECE
    assert [each["line"] for each in found] == list(range(1, 701))


def test_cancel(shop):
    lines = bulk.lines_of([bulk.product(n) for n in range(30_000)])
    job_id = bulk.start(shop, "products", lines)["job_id"]
    deadline = time.monotonic() + bulk.WAIT_S
    while bulk.job(shop, job_id)["lines_done"] == 0:
        assert time.monotonic() < deadline
    answer = shop.post(f"/api/apps/v1/bulk/jobs/{job_id}/cancel")
    assert answer.status_code == 200
    job = answer.json()["data"]
    assert job["status"] == "cancelled" and 0 < job["lines_done"] < 30_000 and job["percent"] < 100
    count = goods.run(shop.platform, "select count(*) from product where store_id = %s", shop.store_id)[0][0]
    assert count == job["succeeded"] == len(bulk.results(shop, job_id))
    time.sleep(1)
    assert bulk.job(shop, job_id) == job
    assert goods.run(shop.platform, "select count(*) from product where store_id = %s", shop.store_id) == [(count,)]
    assert shop.post(f"/api/apps/v1/bulk/jobs/{job_id}/cancel").json()["data"] == job
    done, _ = bulk.run(shop, "products", [bulk.product(1)])
    is_error(shop.post(f"/api/apps/v1/bulk/jobs/{done['job_id']}/cancel"), 409, "conflict")


def test_a_job_cancelled_while_it_is_uploaded(shop):
    body = bulk.lines_of([bulk.product(1)] * 12_000)
    head = (f"POST /api/apps/v1/bulk/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.access_token}\r\n"
            f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n")
    with Raw(shop.platform) as raw:
        raw.send(head).send(body[:PIECE + 10])
        deadline = time.monotonic() + bulk.WAIT_S
        while not (jobs := shop.get("/api/apps/v1/bulk/jobs?status=uploading").json()["data"]):
            assert time.monotonic() < deadline
        assert 0 < jobs[0]["lines_total"] < 12_000
        assert shop.post(f"/api/apps/v1/bulk/jobs/{jobs[0]['job_id']}/cancel").status_code == 200
        raw.send(body[PIECE + 10:])
        status, _, answer = raw.answer()
    assert status == 409 and "cancelled" in json.loads(answer)["message"]
    assert bulk.export(shop, "products") == []


@pytest.mark.parametrize("way", ["store", "app"])
def test_jobs_of_others_are_not_there(shop, owner, way):
    done, _ = bulk.run(shop, "products", [bulk.product(1)])
    other = owner.open_shop() if way == "store" else owner.open_shop(store_id=shop.store_id)
    for job_id in (done["job_id"], 10**15):
        for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel")):
            is_error(other.request(method, f"/api/apps/v1/bulk/jobs/{job_id}{path}"), 404, "not_found")
    assert other.get("/api/apps/v1/bulk/jobs").json()["data"] == []
    assert bulk.job(shop, done["job_id"]) == done


@pytest.mark.parametrize("path", ["", "/results", "/cancel"])
def test_what_is_no_job_id(shop, path):
    method = "POST" if path == "/cancel" else "GET"
    for wrong in ("x", "0", "-1", "1.5"):
        answer = shop.request(method, f"/api/apps/v1/bulk/jobs/{wrong}{path}")
        assert answer.status_code in (400, 404), answer


def test_another_type_of_body(shop):
    for resource in RESOURCES:
        answer = shop.post(f"/api/apps/v1/bulk/{resource}", {"name": "A"})
        is_error(answer, 415, "unsupported_media_type")


# ---- may it still? -------------------------------------------------------------------------------------------------------


def big_job(shop):
    return bulk.start(shop, "products", bulk.lines_of([bulk.product(n) for n in range(60_000)]))["job_id"]


@pytest.mark.parametrize("way", ["uninstall", "suspend", "switch off"])
def test_a_job_ends_with_its_installation(platform, owner, way):
    shop = owner.open_shop()
    job_id = big_job(shop)
    if way == "uninstall":
        platform.call("auth.installations.end", installation_id=shop.installation_id)
    elif way == "suspend":
        platform.call("auth.stores.set_status", store_id=shop.store_id, status="suspended")
    else:
        platform.call("auth.apps.set_status", app_id=shop.app_id, is_active=False)
    for method, path in (("GET", f"jobs/{job_id}"), ("GET", "jobs"), ("GET", f"jobs/{job_id}/results"), ("POST", f"jobs/{job_id}/cancel"),
                         *[("GET", f"{each}/export") for each in RESOURCES], *[("POST", each) for each in RESOURCES]):
        answer = shop.request(method, f"/api/apps/v1/bulk/{path}", **({"body": b"", "headers": bulk.NDJSON} if path in RESOURCES else {}))
        if way == "suspend":
            is_error(answer, 403, "store_inactive")
        else:
            is_error(answer, 401, "invalid_token")

    def row():
        return goods.run(platform, "select status, message, lines_done from bulk_job where store_id = %s and job_id = %s",
                         shop.store_id, job_id)[0]

    deadline = time.monotonic() + bulk.WAIT_S
    while row()[0] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    status, message, done = row()
    assert (status, "suspended" in message) == ("failed", way == "suspend") and done < 60_000
    assert goods.run(platform, "select count(*) from product where store_id = %s", shop.store_id) == [(done,)]


def test_standing(platform, owner, shop):
    def standing(since="2020-01-01T00:00:00Z", scope="write:products"):
        return platform.call("auth.installations.standing", installation_id=shop.installation_id, since=since, scope=scope)["standing"]

    assert standing() == "good"
    assert standing(scope="write:nothing") == "insufficient_scope"
    platform.call("auth.stores.set_status", store_id=shop.store_id, status="frozen")
    assert standing() == "store_inactive"
    platform.call("auth.stores.set_status", store_id=shop.store_id, status="active")
    platform.call("auth.installations.end", installation_id=shop.installation_id)
    assert standing() == "not_installed"
    platform.call("auth.installations.create", app_id=shop.app_id, store_id=shop.store_id)
    assert standing() == "not_installed"                    # it has ended since then
    assert standing(since="2090-01-01T00:00:00Z") == "good"


# ---- exports -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", RESOURCES)
def test_exports_go_on_behind_an_id(shop, resource):
    assert bulk.export(shop, resource) == []
    line = first_line(shop, resource)
    bulk.run(shop, resource, [line])
    all_rows = bulk.export(shop, resource)
    assert len(all_rows) == 1
    identity = {"products": "product_id", "customers": "user_id", "orders": "order_id", "inventory": "sku_id"}[resource]
    assert bulk.export(shop, resource, all_rows[0][identity]) == []
    assert bulk.export(shop, resource, all_rows[0][identity] - 1) == all_rows
    for wrong in ("x", "-1", "1:2", "1:2:x", "1:2:3:4", ":", "99999999999999999999"):
        is_error(shop.get(f"/api/apps/v1/bulk/{resource}/export?after={wrong}"), 400, "validation_error")
    is_error(shop.get(f"/api/apps/v1/bulk/{resource}/export?after=0:5:1"), 409, "conflict")


def test_exports_hold_what_the_store_has_and_nothing_else(shop, owner):
    other = owner.open_shop()
    mine = [goods.order(shop)["order_id"] for _ in range(5)]
    theirs = goods.order(other)["order_id"]
    shop.delete(f"/api/apps/v1/orders/{mine[2]}")
    assert [each["order_id"] for each in bulk.export(shop, "orders")] == mine[:2] + mine[3:]
    assert [each["order_id"] for each in bulk.export(other, "orders", after=mine[0])] == [theirs]


def test_orders_wider_than_a_chunk(shop):
    """Each is a few chunks by itself, and small ones stand between them."""
    wide = {f"key {n}": "x" * 9_000 for n in range(40)} | {"last": "ü" * 9_000}
    made = [goods.order(shop, metadata=wide if n % 2 else {"n": n})["order_id"] for n in range(6)]
    out = bulk.export(shop, "orders")
    assert [each["order_id"] for each in out] == made
    assert [each["metadata"] == wide for each in out] == [n % 2 == 1 for n in range(6)]
    assert bulk.export(shop, "orders", made[0]) == out[1:]


def test_an_export_while_orders_come(shop):
    """Each order that was there before is there once, whatever else happens meanwhile."""
    rows = [("pending", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 100, None, None)] * 4000
    before = goods.add_orders(shop, rows)
    ended = threading.Event()

    def write():
        number = 0
        while not ended.is_set():
            goods.order(shop)
            shop.put(f"/api/apps/v1/orders/{before[number % 4000]}", {"note": f"changed {number}"})
            number += 1

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):
            ids = [each["order_id"] for each in bulk.export(shop, "orders")]
            assert ids == sorted(set(ids)) and set(before) <= set(ids)
    finally:
        ended.set()
        for writer in writers:
            writer.join()


# ---- what is over -----------------------------------------------------------------------------------------------------------


def test_what_is_over_is_forgotten(make_platform):
    """An upload without another piece for a minute, finished jobs and their keys after seven days."""
    platform = make_platform()
    shop = Owner(platform).open_shop()
    body = bulk.lines_of([bulk.product(1)] * 12_000)
    with Raw(platform) as raw:
        raw.send(f"POST /api/apps/v1/bulk/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.access_token}\r\n"
                 f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n").send(body[:PIECE + 10])
        deadline = time.monotonic() + bulk.WAIT_S
        while not shop.get("/api/apps/v1/bulk/jobs?status=uploading").json()["data"]:
            assert time.monotonic() < deadline
    done, found = bulk.run(shop, "products", [bulk.product(1, idempotency_key="k")])

    def wait_for(sql, wanted):
        until = time.monotonic() + bulk.WAIT_S
        while goods.run(platform, sql) != wanted:
            assert time.monotonic() < until, goods.run(platform, sql)
            time.sleep(0.2)

    platform.set_clock(61)
    wait_for("select count(*) from bulk_job where status = 'failed' and message like '%%did not come%%'", [(1,)])
    wait_for("select count(*) from bulk_piece", [(0,)])
    assert bulk.results(shop, done["job_id"]) == found
    platform.set_clock(7 * 86400 + 1200)
    for table in ("bulk_job", "bulk_result", "bulk_key"):
        wait_for(f"select count(*) from {table}", [(0,)])

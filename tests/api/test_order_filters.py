"""POST /orders/filters: every filter, alone and with others, in every sort, is what the table says; and what it costs.

A small store with all kinds of orders, held against Python; a large one, whose size SX_TEST_SCALE sets (1: 100,000
orders), for plans and for the price of rare values.
"""

import itertools
import json
import os
import random
import re
import time

import pytest

from . import goods
from .client import is_error
from .plans import Plans, buffers, nodes
from .platform import Platform
from .shop import Owner

FILTERS, ORDERS = "/api/apps/v1/orders/filters", "/api/apps/v1/orders"
SORTS = [(column, way) for column in ("created_at", "updated_at", "grand_total") for way in ("ASC", "DESC")]
SCALE = float(os.environ.get("SX_TEST_SCALE", "0.1"))
LARGE = max(12_000, int(100_000 * SCALE))
COLUMNS = ["order_status", "financial_status", "fulfillment_status", "payment_method", "courier", "courier_id", "tracking_code", "note"]


def column(name, *values, kind="is"):
    return {"name": name, "type": kind, "tableAlias": "o", "dataType": "select", "value": list(values)}


def filled(name):
    return {"name": name, "type": "is_not_empty", "tableAlias": "o", "dataType": "text"}


def metafield(key, *values, kind="is"):
    return {"name": f"check.{key}", "type": kind, "tableAlias": "o", "dataType": "metafield", "value": list(values)}


def excluded(*keys):
    return [{"namespace": "check", "key": key} for key in keys]


def define(shop, *keys, **fields):
    for key in keys:
        answer = shop.post("/api/apps/v1/metafields/definitions", {"namespace": "check", "key": key, "resource_type": "order", **fields})
        assert answer.status_code == 201, answer


def put(shop, key, values):
    """values: {order_id: value}."""
    answer = shop.post("/api/apps/v1/metafields/values", {"metafields": [
        {"namespace": "check", "key": key, "resource_type": "order", "resource_id": order_id, "value": value}
        for order_id, value in values.items()]})
    assert answer.status_code == 200, answer


@pytest.fixture(scope="module")
def full(owner):
    """A shop, and its 180 orders as dictionaries; 15 more were deleted."""
    shop, draw = owner.open_shop(), random.Random(11)
    ids = goods.add_orders(shop, [(draw.choice(["pending", "pending", "shipped", "hold", "refunded"]),
                                   f"2026-03-0{draw.randrange(1, 4)}T10:00:00.{draw.choice([0, 1, 999999]):06d}Z",
                                   f"2026-04-0{draw.randrange(1, 4)}T10:00:00.{draw.randrange(3):06d}Z",
                                   draw.choice([100, 100.5, 99999, draw.randrange(500)]), None, draw.choice(["Pathao", "Steadfast", "", None]))
                                  for _ in range(195)])
    for order_id in ids:
        goods.run(shop.platform, "update store_order set financial_status = %s, fulfillment_status = %s, payment_method = %s, courier_id = %s, "
                  "tracking_code = %s, note = %s where order_id = %s", draw.choice(["pending", "paid", None]),
                  draw.choice(["unfulfilled", "fulfilled"]), draw.choice(["cod", "bkash", "a,b", "{x}", 'q"\\', "NULL", "বিকাশ", "", None]),
                  draw.choice(["17", "18", None]), draw.choice(["T1", "", None]), draw.choice(["call first", "", None]), order_id)
    define(shop, "state", "note", "count", "rare", "unused")
    define(shop, "of_product", resource_type="product")
    put(shop, "state", {order_id: draw.choice(["ok", "bad", 'we,ird"\\{}', "NULL", ""]) for order_id in draw.sample(ids, 120)})
    put(shop, "note", {order_id: "x" * draw.choice([1, 5000]) for order_id in draw.sample(ids, 60)})
    put(shop, "count", {order_id: str(draw.randrange(3)) for order_id in draw.sample(ids, 100)})
    put(shop, "rare", {order_id: "yes" for order_id in draw.sample(ids, 3)})
    goods.run(shop.platform, "update store_order set deleted_at = now() where order_id = any(%s)", draw.sample(ids, 15))
    return shop, truth(shop)


def truth(shop):
    names = ["order_id", "created_at", "updated_at", "grand_total", *COLUMNS]
    orders = [dict(zip(names, row)) for row in goods.run(
        shop.platform, f"select {', '.join(names)} from store_order where store_id = %s and deleted_at is null", shop.store_id)]
    for order in orders:
        order["metafields"] = {}
    by_id = {order["order_id"]: order for order in orders}
    for order_id, key, value in goods.run(shop.platform, "select resource_id, key, value from metafield_value join metafield_definition using "
                                          "(definition_id) where store_id = %s and metafield_value.app_id = %s", shop.store_id, shop.app_id):
        if order_id in by_id:
            by_id[order_id]["metafields"][key] = value
    return orders


def fits(order, one):
    if one["dataType"] == "metafield":
        value = order["metafields"].get(one["name"].split(".")[1])
        return value is not None if one["type"] == "is_not_empty" else value in one["value"]
    value = order[one["name"]]
    return bool(value) if one["type"] == "is_not_empty" else value in one["value"]


def wanted(orders, filters, without, sort):
    name, way = sort
    found = [order for order in orders if all(fits(order, one) for one in filters)
             and not any(item["key"] in order["metafields"] for item in without)]
    return [order["order_id"] for order in sorted(found, key=lambda order: (order[name], order["order_id"]), reverse=way == "DESC")]


def ids_of(body):
    return [order["order_id"] for order in body["data"]]


def ask(shop, filters, without=(), sort=("created_at", "DESC"), **fields):
    answer = shop.post(FILTERS, {"filters": list(filters), "exclude_metafields": list(without), "sort": sort[0], "order": sort[1], **fields})
    assert answer.status_code == 200, answer
    return answer.json()


def walk(shop, *arguments, **fields):
    cursor = None
    while True:
        body = ask(shop, *arguments, cursor=cursor, **fields)
        yield body
        cursor = body["pagination"]["next_cursor"]
        if not cursor:
            return


CASES = [
    ([], []),
    ([column("order_status", "pending")], []), ([column("order_status", "pending", "refunded", "pending")], []),
    ([column("financial_status", "paid", kind="select")], []), ([column("fulfillment_status", "fulfilled")], []),
    ([column("payment_method", "bkash")], []), ([column("payment_method", "a,b", "{x}", 'q"\\', "NULL", "বিকাশ")], []),
    ([column("payment_method", "")], []), ([column("payment_method", "nobody's")], []),
    ([column("courier", "Pathao", "Steadfast")], []), ([column("courier_id", "17")], []),
    *[([filled(name)], []) for name in ("courier", "courier_id", "tracking_code", "payment_method", "note")],
    ([filled("courier"), filled("note"), filled("tracking_code"), filled("courier_id"), filled("payment_method")], []),
    ([column("order_status", "pending"), column("financial_status", "paid"), column("payment_method", "cod", "bkash"), filled("note")], []),
    ([metafield("state", "ok")], []), ([metafield("state", "ok", 'we,ird"\\{}', "NULL", "")], []), ([metafield("state", "none")], []),
    ([metafield("count", "1", "2", kind="metafield_is")], []), ([metafield("note", kind="is_not_empty")], []),
    ([metafield("rare", kind="is_not_empty"), metafield("state", "ok", "bad")], []),
    ([metafield("state", "ok", kind="select"), metafield("count", kind="is_not_empty"), column("order_status", "pending")], []),
    ([metafield("undefined", "x")], []), ([metafield("unused", kind="is_not_empty")], []), ([metafield("of_product", kind="is_not_empty")], []),
    ([], excluded("state")), ([], excluded("state", "count", "rare")), ([], excluded("unused", "undefined")),
    ([column("order_status", "pending")], excluded("rare", "note")), ([metafield("state", "ok")], excluded("note")),
    ([metafield("state", "ok")], excluded("state")), ([filled("courier")], excluded("count")),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_every_filter_in_every_sort(full, case):
    shop, orders = full
    filters, without = CASES[case]
    for sort in SORTS:
        right = wanted(orders, filters, without, sort)
        pages = list(walk(shop, filters, without, sort, limit=max(7, len(right) // 4)))
        assert [n for page in pages for n in ids_of(page)] == right
        assert {page["pagination"]["total"] for page in pages} == {len(right)} and pages[0]["warnings"] == []
        assert ids_of(ask(shop, filters, without, sort, limit=10, page=2)) == right[10:20]
        assert ids_of(ask(shop, filters, without, sort, limit=10, page=10**6)) == []


def test_orders_come_with_items_and_metafields(full):
    shop, orders = full
    by_id = {order["order_id"]: order["metafields"] for order in orders}
    for order in ask(shop, [], limit=250)["data"]:
        assert order["items"] == []
        assert order["metafields"] == {f"check.{key}": value for key, value in by_id[order["order_id"]].items()}


def test_of_get_orders_too(full):
    shop, orders = full
    by_id = {order["order_id"]: order["metafields"] for order in orders}
    for query in ({"order_ids": ",".join(map(str, list(by_id)[:100]))}, {"has_courier": 1}):
        listed = shop.get(ORDERS, params={**query, "limit": 250}).json()["data"]
        assert listed
        for order in listed:
            assert order["metafields"] == {f"check.{key}": value for key, value in by_id[order["order_id"]].items()}
    assert all("metafields" not in order for order in shop.get(ORDERS).json()["data"])


def test_another_app_sees_and_finds_none_of_them(full, owner):
    shop, orders = full
    other = owner.open_shop(store_id=shop.store_id)
    for _ in range(2):
        assert ask(other, [metafield("state", "ok")])["data"] == []
        body = ask(other, [], excluded("state"), limit=250)
        assert len(body["data"]) == len(orders) and all(order["metafields"] == {} for order in body["data"])
        define(other, "state" if _ == 0 else "second")       # a name of its own changes nothing
    put(other, "state", {orders[0]["order_id"]: "ok"})
    assert ids_of(ask(other, [metafield("state", "ok")])) == [orders[0]["order_id"]]
    assert [order["metafields"] for order in ask(other, [metafield("state", "ok")])["data"]] == [{"check.state": "ok"}]
    assert ids_of(ask(shop, [metafield("state", "ok")], limit=250)) == wanted(orders, [metafield("state", "ok")], [], ("created_at", "DESC"))


def test_it_takes_the_scope_of_orders(full, owner):
    shop, _ = full
    is_error(owner.open_shop(scopes=["read:metafields", "write:orders"], store_id=shop.store_id).post(FILTERS, {}), 403, "insufficient_scope")
    assert ask(owner.open_shop(scopes=["read:orders"], store_id=shop.store_id), [])["data"]


def test_another_store_has_none_of_them(full, owner):
    shop, orders = full
    app = {name: getattr(shop, name) for name in ("app_id", "client_id", "client_secret", "session_signing_key")}
    other = owner.open_shop(app=app)
    assert ask(other, [metafield("state", kind="is_not_empty")])["data"] == [] and ask(other, [])["pagination"]["total"] == 0
    assert other.get(ORDERS, params={"order_ids": orders[0]["order_id"]}).json()["data"] == []


@pytest.mark.parametrize("one, why", [
    ({"name": "grand_total", "type": "between", "dataType": "number", "value": [1, 2]}, "not known"),
    ({**column("payment_method", "x"), "tableAlias": "c"}, "not known"), ({**column("payment_method", "x"), "dataType": "text"}, "not known"),
    (column("store_id", "1"), "not known"), (column("deleted_at", "1"), "not known"), (filled("order_status"), "not known"),
    ({**column("payment_method"), "value": None}, "list of 1 to 100"), (column("payment_method"), "list of 1 to 100"),
    ({**column("payment_method"), "value": {"a": 1}}, "list of 1 to 100"), (column("payment_method", *map(str, range(101))), "list of 1 to 100"),
    ({**metafield("state", "x"), "name": "state"}, "namespace.key"), ({**metafield("state", "x"), "type": "like"}, "not known"),
    ({**metafield("state"), "value": None}, "list of 1 to 100"), (metafield("state", *map(str, range(101))), "list of 1 to 100"),
    ({"name": "note", "type": "is", "dataType": "select", "value": ["x"]}, "not known"), ({}, "not known"),
])
def test_what_is_not_known_has_no_effect(full, one, why):
    shop, orders = full
    body = ask(shop, [one], limit=1)
    assert body["pagination"]["total"] == len(orders)
    assert len(body["warnings"]) == 1 and body["warnings"][0].startswith("filters[0] has no effect") and why in body["warnings"][0]


def test_a_filter_said_twice_and_too_many_metafields(full):
    shop, orders = full
    body = ask(shop, [column("courier", "Pathao"), column("courier", "Steadfast"), filled("courier"), metafield("state", "ok"), metafield("state", "bad")],
               limit=250)
    assert [warning.split("]")[0] for warning in body["warnings"]] == ["filters[1", "filters[4"]
    assert ids_of(body) == wanted(orders, [column("courier", "Pathao"), metafield("state", "ok")], [], ("created_at", "DESC"))
    body = ask(shop, [metafield(f"m{n}", kind="is_not_empty") for n in range(7)])
    assert body["data"] == [] and len(body["warnings"]) == 2 and "at most 5" in body["warnings"][0]


@pytest.mark.parametrize("body, field", [
    ({"filters": [column("courier", "x")] * 51}, "filters"), ({"filters": {}}, "filters"), ({"filters": ["x"]}, "filters[0]"),
    ({"exclude_metafields": excluded(*"abcdefghijklmnopqrstu")}, "exclude_metafields"), ({"exclude_metafields": "x"}, "exclude_metafields"),
    ({"exclude_metafields": [{"namespace": "check"}]}, "exclude_metafields[0].key"), ({"sort": "secret"}, "sort"), ({"order": "UP"}, "order"),
    ({"sort": "note; drop table store_order"}, "sort"), ({"filters": [{"name": 7}]}, "filters[0].name"), ({"cursor": "x"}, "cursor"),
])
def test_bad_bodies(full, body, field):
    shop, _ = full
    errors = is_error(shop.post(FILTERS, body), 400, "validation_error")["errors"]
    assert [error["field"] for error in errors] == [field]


def test_hostile_values_are_only_values(full):
    shop, _ = full
    for text in ("' or 1=1 --", "{}", "{NULL}", '"', "\\", "\n", "🙂", "x" * 60_000, "$1", "%s", "\u202e", "null"):
        for one in (column("payment_method", text), column("order_status", text), metafield("state", text), metafield("state", text, "none")):
            body = ask(shop, [one])
            assert (body["data"], body["warnings"], body["pagination"]["total"]) == ([], [], 0)
    for number in (17, 17.0, True, 10**30):
        assert ask(shop, [{**column("courier_id"), "value": [number]}])["warnings"] == []
    is_error(shop.post(FILTERS, {"filters": [column("payment_method", "\0")]}), 400, "invalid_json")
    assert ids_of(ask(shop, [{**metafield("count"), "value": 1}], limit=250)) == ids_of(ask(shop, [metafield("count", "1")], limit=250))


def test_a_cursor_is_for_its_own_filters(full):
    shop, _ = full
    base = {"filters": [metafield("state", "ok")], "exclude_metafields": excluded("rare"), "limit": 2}
    cursor = shop.post(FILTERS, base).json()["pagination"]["next_cursor"]
    assert shop.post(FILTERS, {**base, "cursor": cursor}).status_code == 200
    for change in ({"filters": [metafield("state", "bad")]}, {"filters": [metafield("count", "ok")]}, {"exclude_metafields": []},
                   {"exclude_metafields": excluded("count")}, {"filters": [metafield("state", kind="is_not_empty")]},
                   {"filters": [metafield("state", "ok"), filled("note")]}, {"order": "ASC"}, {"sort": "grand_total"}):
        is_error(shop.post(FILTERS, {**base, **change, "cursor": cursor}), 400, "validation_error")


def test_long_values_in_lists(shop):
    """An order's values are whole as long as they are 16 KiB together; what is longer is null there, and kept."""
    order_id = goods.order(shop)["order_id"]
    define(shop, "a", "b", "c", "d")
    for key, size in (("a", 10_000), ("b", 16_385), ("c", 6_384), ("d", 1)):
        put(shop, key, {order_id: key * size})
    listed = ask(shop, [])["data"][0]["metafields"]
    assert listed == {"check.a": "a" * 10_000, "check.b": None, "check.c": "c" * 6_384, "check.d": None}
    values = shop.get("/api/apps/v1/metafields/values", params={"resource_type": "order", "resource_id": order_id}).json()["data"]
    assert [len(row["value"]) for row in values] == [10_000, 16_385, 6_384, 1]


# ---- a large store ---------------------------------------------------------------------------------------------------

RARE = {"order_status": "refunded", "financial_status": "partially_refunded", "fulfillment_status": "fulfilled", "payment_method": "bkash",
        "courier": "Rare", "courier_id": "C-9"}


def settle(platform, *tables):
    """Vacuumed until every page is known to hold only what all see: an old snapshot of somebody else keeps it from that."""
    deadline = time.monotonic() + 60
    for table in tables:
        while True:
            connection = platform.postgres.connect()
            with connection.cursor() as cursor:
                cursor.execute(f"vacuum analyze store_data.{table}")
                cursor.execute("select relpages - relallvisible from pg_class where oid = %s::regclass", (f"store_data.{table}",))
                left = cursor.fetchone()[0]
            connection.close()
            if left == 0:
                break
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.fixture(scope="module")
def large():
    """Of the orders 20 have what is rare, spread over all; `everywhere` is a metafield of all others, `rare` of those. On a
    platform of its own: nobody else's snapshot keeps a page from being known as old."""
    with Platform() as platform:
        yield fill(Owner(platform).open_shop())


def fill(shop):
    step = LARGE // 20
    goods.run(shop.platform, "insert into store_order (store_id, order_status, financial_status, fulfillment_status, payment_method, courier, courier_id, "
              "tracking_code, note, sub_total, tax, shipping, discount, grand_total, created_at, updated_at, store_serial_order_no) select %s, "
              "case when rare then 'refunded' else 'completed' end, case when rare then 'partially_refunded' else 'paid' end, "
              "case when rare then 'fulfilled' else 'unfulfilled' end, case when rare then 'bkash' else 'cod' end, case when rare then 'Rare' end, "
              "case when rare then 'C-9' end, case when rare then 'T' end, case when rare then 'N' end, n %% 977, 0, 0, 0, n %% 977, "
              "'2026-01-01'::timestamptz + n * interval '1 minute', '2026-06-01'::timestamptz - n * interval '1 second', 'S' || n "
              "from (select n, n %% %s = 0 as rare from generate_series(1, %s) as n) as o", shop.store_id, step, step * 20)
    define(shop, "everywhere", "rare")
    goods.run(shop.platform, "insert into metafield_value (store_id, app_id, definition_id, resource_type, resource_id, value, created_at, updated_at) "
              "select o.store_id, d.app_id, d.definition_id, 'o', o.order_id, case d.key when 'rare' then 'yes' else 'v' || o.order_id %% 3 end, now(), "
              "now() from store_order as o join metafield_definition as d on d.app_id = %s and (d.key = 'rare') = (o.note is not null) "
              "where o.store_id = %s", shop.app_id, shop.store_id)
    settle(shop.platform, "store_order", "metafield_value")
    return shop


@pytest.fixture(scope="module")
def plans(large, tmp_path_factory):
    return Plans(large.platform, tmp_path_factory.mktemp("plans"))


def found_arguments(shop, name, sort="created_at", descending=True, **given):
    """What orders_filter.c gives ORDERS_FOUND_BY_…: lists of values, or null."""
    lists = [f"{{{given[each]}}}" if each in given else None for each in RARE]
    edge = {"created_at": "infinity", "updated_at": "infinity", "grand_total": "Infinity"}[sort]
    edge, least = (edge, 2**63 - 1) if descending else ("-" + edge, 0)
    definitions = goods.run(shop.platform, "select definition_id from metafield_definition where app_id = %s and key = %s", shop.app_id,
                            given.get("metafield", "rare"))[0][0]
    meta = ("1", f"{{{definitions}}}", f"{{{given['value']}}}") if "metafield" in given else ("0", "{}", "{}")
    return [shop.store_id, "", 51, 0, edge, least, *lists, f"{{{given['filled']}}}" if "filled" in given else None, shop.app_id, *meta, None,
            sort, descending]


FOUND = {**{f"ORDERS_FOUND_BY_{'STATUS' if name == 'order_status' else name.upper()}": {name: value} for name, value in RARE.items()},
         **{f"ORDERS_FOUND_BY_{name.upper()}_FILLED": {"filled": name} for name in ("courier", "courier_id", "tracking_code", "note")},
         "ORDERS_FOUND_BY_METAFIELD": {"metafield": "rare", "value": "yes"}}


@pytest.mark.parametrize("name", FOUND)
def test_a_rare_value_costs_what_its_rows_cost(large, plans, name):
    """20 orders of the store: their rows, their items and their metafields, whichever the sort; not a part of the store."""
    for sort, way in SORTS:
        plan = plans.explain(name, *found_arguments(large, name, sort, way == "DESC", **FOUND[name]))
        assert plan["Actual Rows"] == 20 and buffers(plan) < 700, (buffers(plan), json.dumps(plan)[:3000])
    any_metafield = found_arguments(large, "", metafield="rare", value="NULL")
    plan = plans.explain("ORDERS_FOUND_BY_METAFIELD", *any_metafield)
    assert plan["Actual Rows"] == 20 and buffers(plan) < 700


def definition(shop, key):
    return goods.run(shop.platform, "select definition_id from metafield_definition where app_id = %s and key = %s", shop.app_id, key)[0][0]


def test_what_few_orders_lack_is_found_by_entries_of_indexes(large, plans):
    """An entry for each order and one for each value, and the rows of what is left."""
    excluded = f"{{{definition(large, 'everywhere')}}}"
    plan = plans.explain("ORDERS_WITHOUT_SIZE", large.store_id, excluded)
    assert buffers(plan) < LARGE / 30, buffers(plan)
    for sort, way in SORTS:
        arguments = found_arguments(large, "", sort, way == "DESC")
        arguments[-3] = excluded
        plan = plans.explain("ORDERS_FOUND_WITHOUT", *arguments)
        assert plan["Actual Rows"] == 20 and buffers(plan) < LARGE / 20 + 700, buffers(plan)
        read = [node for node in nodes(plan) if node.get("Relation Name") == "store_order" and node["Node Type"] != "Index Only Scan"]
        assert read and sum(node["Actual Rows"] * node["Actual Loops"] for node in read) <= 60


def test_orders_that_are_many_more_than_values_are_not_counted(large, plans):
    plan = plans.explain("ORDERS_WITHOUT_SIZE", large.store_id, f"{{{definition(large, 'rare')}}}")
    assert buffers(plan) < 100, buffers(plan)
    assert not any(node["Actual Loops"] for node in nodes(plan) if node.get("Relation Name") == "store_order")


def test_what_filters_find_is_counted_without_the_orders(large, plans):
    """Entries of indexes that are up to date: however many there are, no rows."""
    arguments = [large.store_id, "{completed}", "{paid}", "{unfulfilled}", "{cod}", None, None, "{payment_method}"]
    plan = plans.explain("ORDERS_FILTER_SIZES", *arguments)
    assert plan["Actual Rows"] == 5 and buffers(plan) < 600, buffers(plan)
    assert plans.scanned("ORDERS_FILTER_SIZES", *arguments) <= set()


@pytest.mark.parametrize("sort", SORTS, ids="-".join)
def test_what_all_orders_have_is_met_along_the_sort(large, plans, sort):
    variant = f"{ {'created_at': 'CREATED', 'updated_at': 'UPDATED', 'grand_total': 'TOTAL'}[sort[0]]}_{sort[1]}"
    edge = "Infinity" if sort[0] == "grand_total" else "infinity"
    begin = [edge, 2**63 - 1] if sort[1] == "DESC" else ["-" + edge, 0]
    for name, status, lists in (("ANY", "", [None, "{paid}", None, "{cod}"]), ("STATUS", "completed", [None, "{paid}", None, None])):
        arguments = [large.store_id, status, 51, 0, *begin, *lists, None, None, None, large.app_id, "0", "{}", "{}", None, 10001]
        plan = plans.explain(f"ORDERS_WALKED_{name}_{variant}", *arguments)
        assert plan["Actual Rows"] == 51 and buffers(plan) < 1500, buffers(plan)
        assert plans.scanned(f"ORDERS_WALKED_{name}_{variant}", *arguments) <= {"metafield_definition"}


def test_no_list_of_orders_reads_a_table_row_by_row(large, plans):
    """Every statement that lists orders, in the plan that holds for all values."""
    checked = 0
    for name, sql in plans.statements.items():
        if not name.startswith("ORDERS_") or name in ("ORDERS_RANGE_SIZE",):
            continue
        count = max(int(n) for n in re.findall(r"\$(\d+)", sql))
        scanned = plans.scanned(name, *[None] * count)
        assert not scanned & {"store_order", "order_item", "metafield_value"}, (name, scanned)
        checked += 1
    assert checked > 60


def test_metafields_are_never_searched_row_by_row(large, plans):
    for name, sql in plans.statements.items():
        if name.startswith("METAFIELD"):
            count = max([int(n) for n in re.findall(r"\$(\d+)", sql)], default=0)
            scanned = plans.scanned(name, *[None] * count)
            assert not scanned & {"metafield_value", "store_order", "product", "customer"}, (name, scanned)


def test_excluded_over_http(large):
    step, orders = LARGE // 20, LARGE // 20 * 20
    body = ask(large, [], excluded("everywhere"), sort=("created_at", "ASC"))
    assert [order["store_serial_order_no"] for order in body["data"]] == [f"S{n}" for n in range(step, orders + 1, step)]
    assert body["pagination"]["total"] == 20 and "total_capped" not in body["pagination"]
    body = ask(large, [], excluded("rare"), limit=2)
    assert [order["store_serial_order_no"] for order in body["data"]] == [f"S{orders - 1}", f"S{orders - 2}"]
    assert (body["pagination"]["total"], body["pagination"]["total_capped"]) == (10000, True)
    body = ask(large, [], excluded("rare", "everywhere"))
    assert body["data"] == [] and body["pagination"]["total"] == 0


def test_rare_and_common_over_http(large):
    step, orders = LARGE // 20, LARGE // 20 * 20
    for one in [column(name, value) for name, value in RARE.items()] + [filled("note"), filled("tracking_code"), filled("courier"), filled("courier_id"),
                                                                        metafield("rare", "yes"), metafield("rare", kind="is_not_empty")]:
        body = ask(large, [one], sort=("created_at", "ASC"))
        assert [order["store_serial_order_no"] for order in body["data"]] == [f"S{n}" for n in range(step, orders + 1, step)]
        assert body["pagination"]["total"] == 20 and "total_capped" not in body["pagination"]
    for one in (column("payment_method", "cod"), filled("payment_method"), metafield("everywhere", kind="is_not_empty"), column("financial_status", "paid")):
        body = ask(large, [one], sort=("created_at", "DESC"), limit=3)
        assert (body["pagination"]["total"], body["pagination"]["total_capped"]) == (10000, True)
        first = orders if one == filled("payment_method") else orders - 1          # the newest has the rare value
        assert [order["store_serial_order_no"] for order in body["data"]] == [f"S{n}" for n in range(first, first - 3, -1)]
    assert ask(large, [])["pagination"]["total"] == orders
    assert ask(large, [column("order_status", "completed")])["pagination"]["total"] == orders - 20
    assert ask(large, [column("order_status", "completed"), column("payment_method", "bkash")])["pagination"]["total"] == 0
    body = ask(large, [], excluded("everywhere"), limit=250)
    assert body["pagination"]["total"] == len(body["data"]) == 20


def test_a_common_value_by_deep_pages(large):
    """Along the sort's index, by cursor and by page, with ties in the total."""
    for sort in (("grand_total", "DESC"), ("updated_at", "ASC")):
        by_cursor = [ids_of(page) for page in itertools.islice(walk(large, [column("payment_method", "cod")], [], sort, limit=200), 6)]
        for number, page in enumerate(by_cursor, 1):
            assert ids_of(ask(large, [column("payment_method", "cod")], [], sort, limit=200, page=number)) == page
        assert len({n for page in by_cursor for n in page}) == 1200

"""Every list of the store's data, by every documented filter and sort, in a store of 10,000 rows beside four others: no table of
that size is read row by row, and what is rare costs what its rows cost.

The requests are made of the contract document: each operation that has pages, each value of `sort`, each filter alone and in
pairs. A new filter fails here until it has a value that many rows have and one that few have. PostgreSQL plans with its
own settings, as it does for the service: first for the very values, as it does while a statement is young, then with the
plan for all values, which it may keep (pairs of filters are asked with this one alone). auto_explain writes down what was done;
PostgreSQL's counters have the last word.
"""

import itertools
import json
import sys
import time

import pytest

from . import goods, plan_store
from .operations import DOCUMENT, follow
from .platform import ROOT, Platform

sys.path.append(str(ROOT / "proto"))

from contract import Contract  # noqa: E402

COMMON, RARE = "common", "rare"
PLACE = ("page", "limit", "cursor", "sort")
DEEP = {"page": 20, "limit": 100}
NEEDED = {"metafields.values.list": ["resource_id"]}          # by its description

FILTERS = "/api/apps/v1/orders/filters"
# What few rows have costs these rows, and for a list of customers a look at the 1,000 newest; entries of indexes are no rows.
ROWS_OF_RARE = 1_500
MODES = ("auto", "force_generic_plan")


def lists():
    ours = {operation.id for operation in Contract(str(ROOT)).operations if operation.service == "store-data"}
    for path, methods in DOCUMENT["paths"].items():
        parameters = {p["name"]: p for p in map(follow, methods.get("get", {}).get("parameters", []))}
        name = methods.get("get", {}).get("operationId")
        if path.startswith("/api/apps/v1/") and name in ours and "limit" in parameters and "cursor" in parameters:
            yield name, (path, parameters)


LISTS = dict(lists())
SORTS = {name: [sort for sort in parameters.get("sort", {"schema": {}})["schema"].get("enum", [None]) if not sort or ":" in sort]
         for name, (_, parameters) in LISTS.items()}


class Store:
    """The store that is asked, what was asked last, and what PostgreSQL did for it."""

    def __init__(self, platform):
        self.platform = platform
        self.connection = platform.postgres.connect()
        self.set("session_preload_libraries", "auto_explain")
        self.run("load 'auto_explain'")
        for name, value in {"log_min_duration": "0", "log_analyze": "on", "log_timing": "off", "log_format": "json",
                            "log_nested_statements": "on"}.items():
            self.set(f"auto_explain.{name}", value)
        self.shop = plan_store.open_stores(platform)
        self.large = {name for name, in self.run("select relname::text from pg_class where relnamespace = 'store_data'::regnamespace and "
                                                 f"relkind = 'r' and reltuples > {plan_store.ROWS * 0.9}")}
        self.log = platform.postgres.process.log.open(encoding="utf-8", errors="replace")

        self.before = {}

    def set(self, name, value):
        self.run(f"alter system set {name} = '{value}'")

    def run(self, sql, arguments=None):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            return cursor.fetchall() if cursor.description else None

    def id(self, sql):
        return goods.run(self.platform, f"select {sql}", self.shop.store_id)[0][0]

    def restart(self, mode):
        """New connections, whose statements are young; the old ones are gone, and have told their counts."""
        self.set("plan_cache_mode", mode)
        self.run("select pg_reload_conf()")
        for process in self.platform.of("store-data"):
            process.terminate()
        while self.platform.postgres.backends("store-data"):
            time.sleep(0.02)
        for process in self.platform.of("store-data"):
            process.start()
        self.platform.wait_ready()

    def scans(self):
        return dict(self.run("select relname::text, seq_scan from pg_stat_user_tables where schemaname = 'store_data' and relname = any (%s)",
                             [sorted(self.large)]))

    def plans(self):
        """Those of the statements since the last call."""
        text = ""
        for line in self.log:
            if line.startswith("\t"):
                text += line
                continue
            if text:
                yield json.loads(text)["Plan"]
            text = ""
        if text:
            yield json.loads(text)["Plan"]

    def ask(self, path, query, body):
        list(self.plans())
        answer = self.shop.post(path, body) if body else self.shop.get(path, params=query)
        assert answer.status_code == 200, (query, body, answer.text)
        return answer.json(), list(self.plans())


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@pytest.fixture(scope="module")
def store():
    with Platform() as platform:
        made = Store(platform)
        made.restart("auto")
        made.before = made.scans()
        yield made


@pytest.fixture(scope="module", params=MODES)
def mode(store, request):
    store.restart(request.param)
    return request.param


def values(store):
    """What each filter is asked for: values that many rows have, and values that few have. Enumerations that are not here are
    asked for all their values."""
    rare_order = "note = 'N' and store_id = %s"
    created, changed = "2026-01-07T22:30:00Z", "2026-02-07T22:30:00Z"      # ten minutes before the last
    product = store.id("min(product_id) from product where store_id = %s")
    return {
        "customers.list": {
            "since": {COMMON: ["2026-01-01T00:00:00Z"], RARE: [changed]}, "search": {COMMON: ["person", "p"], RARE: ["żubr", "Żu", "✪"]},
            "total_orders_min": {COMMON: [1], RARE: [15]}, "total_spent_min": {COMMON: [1], RARE: [2000]}},
        "customers.orders": {"user_id": {COMMON: [store.id("min(user_id) from customer where store_id = %s")],
                                         RARE: [store.id("(array_agg(user_id order by user_id))[2] from customer where store_id = %s")]}},
        "products.list": {
            "since": {COMMON: ["2026-01-01T00:00:00Z"], RARE: [changed]}, "category_id": {COMMON: [1], RARE: [9]},
            "price_min": {COMMON: [1], RARE: [8000]}, "price_max": {COMMON: [9500], RARE: [5.5]},
            "search": {COMMON: ["panjabi", "a"], RARE: ["zebra", "zE", "🎁"]}},
        "categories.list": {"parent_id": {COMMON: [store.id("category_id from category where slug = 'c-1' and store_id = %s")],
                                          RARE: [store.id("category_id from category where slug = 'c-2' and store_id = %s")]}},
        "inventory.list": {"search": {COMMON: ["panjabi", "a"], RARE: ["zebra", "zE", "🎁"]},
                           "status": {COMMON: ["in_stock", "out_of_stock"], RARE: ["low_stock"]}},
        "inventory.movements": {"product_id": {COMMON: [product]},
                                "sku_id": {COMMON: [store.id(f"min(sku_id) from sku where store_id = %s and product_id = {product}")],
                                           RARE: [store.id(f"max(sku_id) from sku where store_id = %s and product_id = {product}")]}},
        "discounts.list": {"is_active": {COMMON: [0, 1]}, "search": {COMMON: ["CODE"], RARE: ["QZ-", "QZ", "z"]}},
        "orders.list": {
            "status": {COMMON: ["completed"], RARE: ["refunded"]}, "since": {COMMON: ["2026-01-02T00:00:00Z"], RARE: [created]},
            "until": {COMMON: ["2026-01-06T00:00:00Z"], RARE: ["2026-01-01T00:10:00Z"]},
            "customer_id": {COMMON: [store.id("min(user_id) from customer where store_id = %s")],
                            RARE: [store.id("(array_agg(user_id order by user_id))[2] from customer where store_id = %s")]},
            "order_ids": {RARE: [store.id(f"string_agg(order_id::text, ',') from store_order where {rare_order}")]},
            "has_courier": {COMMON: [0, 1]}},
        "metafields.definitions.list": {},
        "metafields.values.list": {"resource_type": {COMMON: ["order"]},
                                   "resource_id": {RARE: [store.id(f"min(order_id) from store_order where {rare_order}")]}},
        "bulk.list_jobs": {"status": {COMMON: ["completed"], RARE: ["failed"]}, "resource": {COMMON: ["products"], RARE: ["orders"]}},
        "shipping.zones.list": {},
    }


def choices(operation, known):
    """Each filter of a list as (name, value, kind)."""
    for name, parameter in LISTS[operation][1].items():
        if name in PLACE or parameter["in"] == "header":
            continue
        enumerated = follow(parameter["schema"]).get("enum")
        assert name in known or enumerated, f"{operation}: a value of {name} that is common, and one that is rare"
        for kind, chosen in known.get(name, {COMMON: enumerated}).items():
            for value in chosen:
                yield name, value, kind


def queries(operation, known):
    """Nothing; each filter, in every sort; each pair of filters. What the list cannot be asked without is in all of them."""
    parameters = LISTS[operation][1]
    every = list(choices(operation, known))
    needed = [name for name, parameter in parameters.items() if parameter.get("required")] + NEEDED.get(operation, [])
    for count in range(1 + 2 + len(needed)):
        for chosen in itertools.combinations(every, count):
            names = [name for name, _, _ in chosen]
            if len(set(names)) == len(names) and set(needed) <= set(names) and len(names) <= len(needed) + 2:
                yield chosen


def judge(store, asked, kinds, answer, plans, problems):
    assert plans, f"auto_explain says nothing of {asked}"
    found = [node for plan in plans for node in nodes(plan) if node.get("Relation Name") in store.large]
    for node in found:
        if node["Node Type"] == "Seq Scan":
            problems.append((asked, f"Seq Scan on {node['Relation Name']}"))
    read = sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)) * node["Actual Loops"]
               for node in found if node["Node Type"] != "Index Only Scan")
    if kinds == [RARE] and read > ROWS_OF_RARE:
        problems.append((asked, f"{read} rows read"))
    if kinds == [RARE] and not answer["data"]:
        problems.append((asked, "found nothing"))


@pytest.mark.parametrize("operation", LISTS)
def test_a_list(store, mode, operation):
    path, parameters = LISTS[operation]
    turn = itertools.cycle(SORTS[operation])         # pairs of filters take the sorts in turn
    problems = []
    for chosen in queries(operation, values(store)[operation]):
        kinds = [kind for name, _, kind in chosen if parameters[name]["in"] == "query"]
        if len(kinds) > 1 and mode == "auto" and operation not in NEEDED:
            continue
        sorts = SORTS[operation] if len(kinds) < 2 else [next(turn)]
        for sort, place in [(sort, {}) for sort in sorts] + [(sorts[0], DEEP)] * ("page" in parameters and not kinds):
            query = {name: value for name, value, _ in chosen} | ({"sort": sort} if sort else {}) | place
            answer, plans = store.ask(path.format(**query), {name: value for name, value in query.items() if parameters[name]["in"] == "query"}, None)
            judge(store, query, kinds, answer, plans, problems)
    assert not problems


# ---- POST /orders/filters --------------------------------------------------------------------------------------------

COLUMNS = {"order_status": ("completed", "refunded"), "financial_status": ("paid", "partially_refunded"), "fulfillment_status": ("unfulfilled", "fulfilled"),
           "payment_method": ("cod", "bkash"), "courier": ("Pathao", "Rare"), "courier_id": ("C-1", "C-9")}
FILLED = {"courier": COMMON, "courier_id": COMMON, "payment_method": COMMON, "tracking_code": RARE, "note": RARE}


def a_filter(name, kind, data_type, *wanted):
    return {"filters": [{"name": name, "type": kind, "tableAlias": "o", "dataType": data_type, "value": list(wanted)}]}


ORDER_FILTERS = [
    (COMMON, {}),
    *((kind, a_filter(name, "is", "select", value)) for name, pair in COLUMNS.items() for kind, value in zip((COMMON, RARE), pair)),
    *((kind, a_filter(name, "is_not_empty", "text")) for name, kind in FILLED.items()),
    (COMMON, a_filter("check.everywhere", "is", "metafield", "v1")), (RARE, a_filter("check.rare", "is", "metafield", "yes")),
    (COMMON, a_filter("check.everywhere", "is_not_empty", "metafield")), (RARE, a_filter("check.rare", "is_not_empty", "metafield")),
    # What is left when nearly all have it is rare.
    *((kind, {"exclude_metafields": [{"namespace": "check", "key": key}]}) for kind, key in ((RARE, "everywhere"), (COMMON, "third"), (COMMON, "rare")))]


def both(one, other):
    return {name: one.get(name, []) + other.get(name, []) for name in {**one, **other}}


def test_filters_of_orders(store, mode):
    schema = DOCUMENT["components"]["schemas"]["OrderFilters"]["properties"]
    sorts = [{"sort": sort, "order": order} for sort in schema["sort"]["enum"] for order in ("ASC", "DESC")]
    pairs = zip(itertools.combinations(ORDER_FILTERS[1:], 2), itertools.cycle(sorts))
    problems = []
    for kinds, body in [([kind], {**body, **sort}) for kind, body in ORDER_FILTERS for sort in sorts] + [
            ([one[0], other[0]], {**both(one[1], other[1]), **sort}) for (one, other), sort in pairs if mode != "auto"]:
        answer, plans = store.ask(FILTERS, None, body)
        judge(store, body, kinds, answer, plans, problems)
    assert not problems


# ---- all of them -----------------------------------------------------------------------------------------------------

def test_every_list_was_asked(store):
    assert set(values(store)) == set(LISTS)
    assert {"product", "sku", "product_stock", "inventory_movement", "discount", "customer", "customer_total", "store_order", "order_item",
            "order_status_history", "metafield_value", "category", "bulk_job"} <= store.large


def test_the_counters_agree(store):
    """No scan since the stores were filled, in any plan, logged or not."""
    store.restart("auto")
    assert store.scans() == store.before

"""Metafields: definitions of an app, values in a store, seen by nobody else (contract A.2 rows 41 to 45, K.3)."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from . import goods
from .client import is_error
from .rpc import RpcError

DEFINITIONS, VALUES = "/api/apps/v1/metafields/definitions", "/api/apps/v1/metafields/values"
FIELDS = {"definition_id", "namespace", "key", "name", "description", "resource_type", "value_type", "created_at"}


def define(shop, key="state", value_type="string", resource_type="order", namespace="check"):
    answer = shop.post(DEFINITIONS, {"namespace": namespace, "key": key, "resource_type": resource_type, "value_type": value_type})
    assert answer.status_code == 201, answer
    return answer.json()["data"]


def put(shop, *items):
    """Each item: (key, resource_id, value[, resource_type])."""
    return shop.post(VALUES, {"metafields": [
        {"namespace": "check", "key": item[0], "resource_type": item[3] if len(item) > 3 else "order", "resource_id": item[1],
         "value": item[2]} for item in items]})


def kept(shop, resource_id, resource_type="order"):
    answer = shop.get(VALUES, params={"resource_type": resource_type, "resource_id": resource_id})
    assert answer.status_code == 200, answer
    return {row["key"]: row["value"] for row in answer.json()["data"]}


def rows(shop, where="true"):
    return goods.run(shop.platform, f"select count(*) from metafield_value where store_id = %s and {where}", shop.store_id)[0][0]


def eventually(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- definitions -----------------------------------------------------------------------------------------------------


def test_a_definition_is_made_listed_read_and_deleted(shop):
    made = shop.post(DEFINITIONS, {"namespace": "courier-check", "key": "success_rate", "name": "সাফল্যের হার", "description": "In percent",
                                   "resource_type": "order", "value_type": "decimal", "extra": "ignored"})
    assert made.status_code == 201 and set(made.json()["data"]) == FIELDS
    definition = made.json()["data"]
    assert (definition["namespace"], definition["name"], definition["value_type"]) == ("courier-check", "সাফল্যের হার", "decimal")
    plain = define(shop, "note")
    assert (plain["name"], plain["description"]) == ("note", None)
    body = shop.get(DEFINITIONS).json()
    assert [row["key"] for row in body["data"]] == ["note", "success_rate"]       # by namespace and key
    assert body["pagination"] == {"page": 1, "limit": 250, "total": 2, "next_cursor": None}
    assert shop.get(DEFINITIONS, params={"resource_type": "product"}).json()["data"] == []
    path = f"{DEFINITIONS}/{definition['definition_id']}"
    assert shop.get(path).json()["data"] == definition
    assert shop.delete(path).json()["data"] == {"definition_id": definition["definition_id"]}
    for method in ("GET", "DELETE"):
        is_error(shop.request(method, path), 404, "not_found")
    assert [row["key"] for row in shop.get(DEFINITIONS).json()["data"]] == ["note"]


def test_a_name_is_defined_once_in_an_app(shop):
    define(shop, "state")
    for resource_type in ("order", "product"):
        is_error(shop.post(DEFINITIONS, {"namespace": "check", "key": "state", "resource_type": resource_type}), 409, "duplicate_definition")
    assert define(shop, "state", namespace="other")["namespace"] == "other"


def test_the_same_request_twice(shop):
    key = {"Idempotency-Key": f"definition-{shop.store_id}"}
    body = {"namespace": "check", "key": "state", "resource_type": "order"}
    first, second = (shop.post(DEFINITIONS, body, headers=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201) and first.content == second.content
    assert second.headers["Idempotent-Replayed"] == "true"


def test_of_many_who_define_one_name_one_does(shop):
    with ThreadPoolExecutor(16) as pool:
        body = {"namespace": "check", "key": "state", "resource_type": "order"}
        statuses = sorted(pool.map(lambda _: shop.post(DEFINITIONS, body).status_code, range(32)))
    assert statuses == [201] + [409] * 31


@pytest.mark.parametrize("change, field", [
    ({"namespace": "Check"}, "namespace"), ({"namespace": "a.b"}, "namespace"), ({"namespace": "a_b"}, "namespace"),
    ({"namespace": ""}, "namespace"), ({"namespace": "x" * 65}, "namespace"), ({"namespace": None}, "namespace"),
    ({"namespace": "চেক"}, "namespace"), ({"namespace": 7}, "namespace"),
    ({"key": "a-b"}, "key"), ({"key": "State"}, "key"), ({"key": "a b"}, "key"), ({"key": "k" * 65}, "key"), ({"key": "'; drop"}, "key"),
    ({"resource_type": "invoice"}, "resource_type"), ({"resource_type": "o"}, "resource_type"), ({"resource_type": None}, "resource_type"),
    ({"value_type": "float"}, "value_type"), ({"value_type": ["string"]}, "value_type"),
    ({"name": "\u202egnp"}, "name"), ({"name": "n" * 256}, "name"), ({"description": "d" * 1001}, "description"),
])
def test_bad_definitions(shop, change, field):
    body = {"namespace": "check", "key": "state", "resource_type": "order", **change}
    errors = is_error(shop.post(DEFINITIONS, body), 400, "validation_error")["errors"]
    assert [error["field"] for error in errors] == [field]
    assert shop.get(DEFINITIONS).json()["data"] == []


def test_an_app_has_at_most_250_definitions(shop):
    goods.run(shop.platform, "insert into metafield_definition (app_id, namespace, key, name, resource_type, value_type, created_at) "
              "select %s, 'many', 'k' || n, 'n', 'o', 'string', now() from generate_series(1, 245) as n", shop.app_id)
    with ThreadPoolExecutor(8) as pool:
        body = {"namespace": "check", "resource_type": "order"}
        answers = list(pool.map(lambda n: shop.post(DEFINITIONS, {**body, "key": f"k{n}"}), range(12)))
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [400] * 7
    is_error(next(answer for answer in answers if answer.status_code == 400), 400, "validation_error")
    is_error(shop.post(DEFINITIONS, {"namespace": "many", "key": "k7", "resource_type": "order"}), 409, "duplicate_definition")
    body = shop.get(DEFINITIONS).json()
    assert len(body["data"]) == body["pagination"]["total"] == 250
    seen, cursor = [], None
    while True:
        page = shop.get(DEFINITIONS, params={"limit": 33, **({"cursor": cursor} if cursor else {})}).json()
        seen += page["data"]
        cursor = page["pagination"]["next_cursor"]
        if not cursor:
            break
    assert seen == body["data"]
    assert shop.get(DEFINITIONS, params={"limit": 100, "page": 3}).json()["data"] == body["data"][200:]
    is_error(shop.get(DEFINITIONS, params={"cursor": "x"}), 400, "validation_error")


# ---- values ----------------------------------------------------------------------------------------------------------


def test_values_of_every_kind_of_resource(shop):
    product_id, _ = goods.add_product(shop, (10, 1))
    customer_id, order_id = goods.add_customer(shop), goods.order(shop)["order_id"]
    resources = {"order": order_id, "product": product_id, "customer": customer_id, "store": shop.store_id}
    for kind in resources:
        define(shop, f"of_{kind}", resource_type=kind)
    answer = put(shop, *((f"of_{kind}", number, f"value of {kind}", kind) for kind, number in resources.items()))
    assert answer.status_code == 200, answer
    assert [row["resource_type"] for row in answer.json()["data"]] == list(resources)
    for kind, number in resources.items():
        assert kept(shop, number, kind) == {f"of_{kind}": f"value of {kind}"}
    listed = shop.get(VALUES, params={"resource_type": "store"}).json()["data"]         # the store needs no id
    assert listed[0]["resource_id"] == shop.store_id
    one = f"{VALUES}/{listed[0]['value_id']}"
    assert shop.get(one).json()["data"] == listed[0]
    assert shop.delete(one).json()["data"] == {"value_id": listed[0]["value_id"]}
    for method in ("GET", "DELETE"):
        is_error(shop.request(method, one), 404, "not_found")
    assert kept(shop, shop.store_id, "store") == {}


GOOD = {
    "string": ["", "plain", "বাংলা עברית 🙂 e\u0301", "=1+1", "\u202ertl", "a\\\"b\n\t", "x" * 65536],
    "integer": ["0", "-1", "9223372036854775807", "-9223372036854775808"],
    "decimal": ["12.50", "-0.001", "7", "0." + "9" * 60],
    "boolean": ["true", "false"],
    "json": ['{"a": [1, 2.50, null]}', "[]", "null", '"text"', "1.10", ' {"b" :1} '],
    "date": ["2026-02-28", "2024-02-29"],
    "datetime": ["2026-01-15T08:30:00Z", "2026-01-15T08:30:00.123456+06:00"],
    "url": ["https://shop.example/a?b=c#d", "http://127.0.0.1:8080/"],
    "color": ["#1a2b3c", "#FFFFFF"],
}
BAD = {
    "string": ["x" * 65537, "বা" * 11000],
    "integer": ["", "1.0", "1e3", "9223372036854775808", " 1", "1 ", "0x10", "007", "+1", "১২"],
    "decimal": ["", "1e3", "1E3", ".5", "1.", "NaN", "Infinity", "1,5", "--1", "0." + "9" * 63],
    "boolean": ["", "True", "1", "yes"],
    "json": ["", "{", "{'a': 1}", '{"a": 1, "a": 2}', "[1,]", '"\\u0000"', '"\\ud800"', "[" * 40 + "]" * 40, "{} {}", "NaN"],
    "date": ["", "2026-02-30", "2026-2-3", "2026-01-15T00:00:00Z", "today"],
    "datetime": ["", "2026-01-15", "2026-01-15 08:30", "2026-13-01T00:00:00Z", "2026-01-15T25:00:00Z"],
    "url": ["", "shop.example", "javascript:alert(1)", "ftp://a.example/", "https://a b.example/", "https://a.example/" + "x" * 2048],
    "color": ["", "red", "#12345", "#1234567", "#12345g", "123456"],
}


@pytest.mark.parametrize("value_type", GOOD)
def test_values_are_checked_by_their_type_and_kept_as_they_were_sent(shop, value_type):
    order_id = goods.order(shop)["order_id"]
    define(shop, "typed", value_type)
    for value in GOOD[value_type]:
        answer = put(shop, ("typed", order_id, value))
        assert answer.status_code == 200, (value[:50], answer)
        assert answer.json()["data"][0]["value"] == value
        assert kept(shop, order_id) == {"typed": value}
    for value in BAD[value_type]:
        body = is_error(put(shop, ("typed", order_id, value)), 400, "validation_error")
        assert [error["field"] for error in body["errors"]] == ["metafields[0].value"], value[:50]
    assert kept(shop, order_id) == {"typed": GOOD[value_type][-1]}


def test_what_is_no_text_is_kept_as_its_json_text(shop):
    order_id = goods.order(shop)["order_id"]
    for value_type, sent, wanted in (("integer", "5", "5"), ("decimal", "12.50", "12.50"), ("boolean", "true", "true"),
                                     ("json", '{"a":[1,2.50,"x"]}', '{"a":[1,2.50,"x"]}'), ("string", "1.10", "1.10")):
        define(shop, f"as_{value_type}", value_type)
        body = ('{"metafields": [{"namespace": "check", "key": "as_%s", "resource_type": "order", "resource_id": %d, "value": %s}]}'
                % (value_type, order_id, sent))
        answer = shop.request("POST", VALUES, body=body)
        assert answer.status_code == 200, answer
        assert kept(shop, order_id)[f"as_{value_type}"] == wanted
    is_error(put(shop, ("as_integer", order_id, 1.5)), 400, "validation_error")
    is_error(put(shop, ("as_boolean", order_id, 1)), 400, "validation_error")
    is_error(put(shop, ("as_string", order_id, None)), 400, "validation_error")


def test_a_batch_is_written_as_a_whole_or_not_at_all(shop):
    first, second = (goods.order(shop)["order_id"] for _ in range(2))
    define(shop, "state")
    define(shop, "count", "integer")
    define(shop, "of_product", resource_type="product")
    good = ("state", first, "good")
    for bad, status, code, field in [
            (("count", second, "many"), 400, "validation_error", "metafields[1].value"),
            (("unknown", second, "x"), 404, "not_found", "metafields[1].key"),
            (("state", 999999999, "x"), 404, "not_found", "metafields[1].resource_id"),
            (("of_product", second, "x"), 400, "validation_error", "metafields[1].resource_type"),
            (("state", 0, "x"), 400, "validation_error", "metafields[1].resource_id"),
            (("state", -1, "x"), 400, "validation_error", "metafields[1].resource_id"),
            (("state", 2**63, "x"), 400, "validation_error", "metafields[1].resource_id"),
            (("state", first, "x"), 400, "validation_error", "metafields[1].key"),              # the same value twice
            (("state", None, "x"), 400, "validation_error", "metafields[1].resource_id"),
            (("Bad Key", second, "x"), 400, "validation_error", "metafields[1].key")]:
        body = is_error(put(shop, good, bad), status, code)
        assert [error["field"] for error in body["errors"]] == [field]
    assert rows(shop) == 0
    for body in ({}, {"metafields": []}, {"metafields": {}}, {"metafields": [7]}, [], {"metafields": [{}] * 501}):
        is_error(shop.post(VALUES, body), 400, "validation_error")
    assert rows(shop) == 0


def test_five_hundred_values_in_one_request(shop):
    define(shop, "state")
    ids = goods.add_orders(shop, [("pending", "2026-03-01", "2026-03-01", 1, None, None)] * 500)
    answer = put(shop, *(("state", order_id, f"v{n}") for n, order_id in enumerate(ids)))
    assert answer.status_code == 200, answer
    assert [(row["resource_id"], row["value"]) for row in answer.json()["data"]] == [(order_id, f"v{n}") for n, order_id in enumerate(ids)]
    assert rows(shop) == 500


def test_what_stays_the_same_is_not_written(shop):
    order_id = goods.order(shop)["order_id"]
    define(shop, "state")
    first = put(shop, ("state", order_id, "a")).json()["data"][0]
    version = goods.run(shop.platform, "select xmin::text, ctid::text from metafield_value where store_id = %s", shop.store_id)
    assert put(shop, ("state", order_id, "a")).json()["data"][0] == first
    assert goods.run(shop.platform, "select xmin::text, ctid::text from metafield_value where store_id = %s", shop.store_id) == version
    changed = put(shop, ("state", order_id, "b")).json()["data"][0]
    assert (changed["value_id"], changed["value"]) == (first["value_id"], "b") and changed["updated_at"] > first["updated_at"]


def test_sixty_four_upserts_of_one_value_leave_one_row(shop):
    ids = [goods.order(shop)["order_id"] for _ in range(2)]
    define(shop, "state")
    define(shop, "other")

    def write(n):                       # in changing order: nobody may wait in a ring
        items = [("state", ids[0], f"v{n}"), ("other", ids[1], f"v{n}"), ("state", ids[1], f"v{n}"), ("other", ids[0], f"v{n}")]
        return put(shop, *(items if n % 2 else items[::-1]))

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(write, range(64)))
    assert {answer.status_code for answer in answers} == {200}, answers
    assert rows(shop) == 4
    winners = {kept(shop, order_id)[key] for order_id in ids for key in ("state", "other")}
    assert len(winners) == 1 and winners < {f"v{n}" for n in range(64)}         # one batch was the last, as a whole


def test_the_values_of_a_resource_by_pages(shop):
    order_id = goods.order(shop)["order_id"]
    keys = [f"k{n:02d}" for n in range(23)]
    for key in keys:
        define(shop, key)
    put(shop, *((key, order_id, key) for key in reversed(keys)))
    query = {"resource_type": "order", "resource_id": order_id}
    assert [row["key"] for row in shop.get(VALUES, params=query).json()["data"]] == keys
    seen, cursor = [], {}
    while True:
        page = shop.get(VALUES, params={**query, "limit": 5, **cursor}).json()
        assert page["pagination"]["total"] == 23
        seen += [row["key"] for row in page["data"]]
        if not page["pagination"]["next_cursor"]:
            break
        cursor = {"cursor": page["pagination"]["next_cursor"]}
    assert seen == keys
    assert [row["key"] for row in shop.get(VALUES, params={**query, "limit": 5, "page": 5}).json()["data"]] == keys[20:]
    is_error(shop.get(VALUES, params={**query, "resource_id": goods.order(shop)["order_id"], **cursor}), 400, "validation_error")


@pytest.mark.parametrize("query, status, field", [
    ({}, 400, "resource_type"), ({"resource_type": "order"}, 400, "resource_id"),
    ({"resource_type": "invoice", "resource_id": 1}, 400, "resource_type"),
    ({"resource_type": "order", "resource_id": "x"}, 400, "resource_id"), ({"resource_type": "order", "resource_id": 0}, 400, "resource_id"),
    ({"resource_type": "order", "resource_id": 2**63 - 1}, 404, "resource_id"), ({"resource_type": "product", "resource_id": 1}, 404, "resource_id"),
    ({"resource_type": "store", "resource_id": 2**40}, 404, "resource_id"),
])
def test_bad_questions(shop, query, status, field):
    body = is_error(shop.get(VALUES, params=query), status, "validation_error" if status == 400 else "not_found")
    assert [error["field"] for error in body["errors"]] == [field]


def test_long_values_are_asked_for_by_pages(shop):
    order_id = goods.order(shop)["order_id"]
    goods.run(shop.platform, "with d as (insert into metafield_definition (app_id, namespace, key, name, resource_type, value_type, created_at) "
              "select %s, 'check', 'k' || n, 'n', 'o', 'string', now() from generate_series(1, 50) as n returning definition_id) insert into "
              "metafield_value (store_id, app_id, definition_id, resource_type, resource_id, value, created_at, updated_at) select %s, %s, "
              "definition_id, 'o', %s, repeat(E'\\x01', 65536), now(), now() from d", shop.app_id, shop.store_id, shop.app_id, order_id)
    query = {"resource_type": "order", "resource_id": order_id}
    assert is_error(shop.get(VALUES, params=query), 400, "validation_error")["errors"][0]["field"] == "limit"
    page = shop.get(VALUES, params={**query, "limit": 10}).json()
    assert len(page["data"]) == 10 and page["pagination"]["total"] == 50 and page["data"][0]["value"] == "\x01" * 65536


def test_a_resource_that_was_deleted_has_none(shop):
    order_id = goods.order(shop)["order_id"]
    define(shop, "state")
    value_id = put(shop, ("state", order_id, "a")).json()["data"][0]["value_id"]
    assert shop.get(f"{VALUES}/{value_id}").status_code == 200
    assert shop.delete(f"/api/apps/v1/orders/{order_id}").status_code == 200
    for answer in shop.get(f"{VALUES}/{value_id}"), shop.delete(f"{VALUES}/{value_id}"):
        is_error(answer, 404, "not_found")
    is_error(shop.get(VALUES, params={"resource_type": "order", "resource_id": order_id}), 404, "not_found")
    is_error(put(shop, ("state", order_id, "b")), 404, "not_found")


# ---- whose they are --------------------------------------------------------------------------------------------------


def test_another_app_sees_nothing(shop, owner):
    other = owner.open_shop(store_id=shop.store_id)
    order_id = goods.order(shop)["order_id"]
    definition = define(shop, "state")
    value = put(shop, ("state", order_id, "secret")).json()["data"][0]
    assert other.get(DEFINITIONS).json()["data"] == [] and kept(other, order_id) == {}
    for method in ("GET", "DELETE"):
        is_error(other.request(method, f"{DEFINITIONS}/{definition['definition_id']}"), 404, "not_found")
        is_error(other.request(method, f"{VALUES}/{value['value_id']}"), 404, "not_found")
    is_error(put(other, ("state", order_id, "mine")), 404, "not_found")
    define(other, "state", "integer")                       # the same name is another metafield
    assert put(other, ("state", order_id, "7")).status_code == 200
    assert (kept(shop, order_id), kept(other, order_id)) == ({"state": "secret"}, {"state": "7"})
    found = [each.get("/api/apps/v1/orders", params={"order_ids": order_id}).json()["data"][0]["metafields"] for each in (shop, other)]
    assert found == [{"check.state": "secret"}, {"check.state": "7"}]


def test_another_store_has_the_definition_and_not_the_values(shop, owner):
    app = {"app_id": shop.app_id, "client_id": shop.client_id, "client_secret": shop.client_secret,
           "session_signing_key": shop.session_signing_key}
    other = owner.open_shop(app=app)
    order_id = goods.order(shop)["order_id"]
    definition = define(shop, "state")
    value = put(shop, ("state", order_id, "secret")).json()["data"][0]
    assert other.get(f"{DEFINITIONS}/{definition['definition_id']}").status_code == 200
    is_error(other.get(VALUES, params={"resource_type": "order", "resource_id": order_id}), 404, "not_found")
    is_error(put(other, ("state", order_id, "x")), 404, "not_found")
    is_error(put(other, ("state", shop.store_id, "x", "store")), 400, "validation_error")
    for method in ("GET", "DELETE"):
        is_error(other.request(method, f"{VALUES}/{value['value_id']}"), 404, "not_found")
    theirs = goods.order(other)["order_id"]
    assert put(other, ("state", theirs, "theirs")).status_code == 200
    assert shop.delete(f"{DEFINITIONS}/{definition['definition_id']}").status_code == 200       # in all stores of the app
    assert kept(other, theirs) == {} and other.get(DEFINITIONS).json()["data"] == []


def test_scopes(owner):
    store = owner.open_shop()
    order_id = goods.order(store)["order_id"]
    reader, writer = (owner.open_shop(scopes=[f"{verb}:metafields"], store_id=store.store_id) for verb in ("read", "write"))
    neither = owner.open_shop(scopes=["read:orders"], store_id=store.store_id)
    definition = define(writer, "state")
    value = put(writer, ("state", order_id, "a")).json()["data"][0]
    paths = {"GET": [DEFINITIONS, f"{DEFINITIONS}/{definition['definition_id']}", f"{VALUES}?resource_type=store", f"{VALUES}/{value['value_id']}"],
             "DELETE": [f"{DEFINITIONS}/{definition['definition_id']}", f"{VALUES}/{value['value_id']}"]}
    for shop, methods in ((reader, ["DELETE"]), (writer, ["GET"]), (neither, ["GET", "DELETE"])):
        for method in methods:
            for path in paths[method]:
                is_error(shop.request(method, path), 403, "insufficient_scope")
    for shop in (reader, neither):
        is_error(shop.post(DEFINITIONS, {"namespace": "check", "key": "x", "resource_type": "order"}), 403, "insufficient_scope")
        is_error(put(shop, ("state", order_id, "b")), 403, "insufficient_scope")


OPERATIONS = [("GET", DEFINITIONS), ("POST", DEFINITIONS), ("GET", f"{DEFINITIONS}/1"), ("DELETE", f"{DEFINITIONS}/1"),
              ("GET", f"{VALUES}?resource_type=store"), ("POST", VALUES), ("GET", f"{VALUES}/1"), ("DELETE", f"{VALUES}/1"),
              ("POST", "/api/apps/v1/orders/filters")]


@pytest.mark.parametrize("method, path", OPERATIONS, ids=str)
def test_nobody_and_bad_ids(shop, method, path):
    is_error(shop.platform.request(method, path, body="{}" if method == "POST" else None), 401, "missing_token")
    storeless = {name: value for name, value in shop.client.items() if name != "X-Store-Id"}
    is_error(shop.platform.request(method, path, headers=storeless, body="{}" if method == "POST" else None), 400, "missing_store_id")
    if path.endswith("/1"):
        for bad in ("x", "0", "-1", str(2**63), "1.0"):
            is_error(shop.request(method, f"{path[:-1]}{bad}"), 404, "not_found")
        is_error(shop.request(method, f"{path[:-1]}{2**63 - 1}"), 404, "not_found")


def test_one_key_for_two_requests(shop):
    order_id = goods.order(shop)["order_id"]
    define(shop, "state")
    headers = {"Idempotency-Key": f"values-{shop.store_id}"}
    body = {"metafields": [{"namespace": "check", "key": "state", "resource_type": "order", "resource_id": order_id, "value": "a"}]}
    first, again = (shop.post(VALUES, body, headers=headers) for _ in range(2))
    assert first.status_code == 200 and first.content == again.content
    body["metafields"][0]["value"] = "b"
    is_error(shop.post(VALUES, body, headers=headers), 409, "idempotency_conflict")
    assert kept(shop, order_id) == {"state": "a"}


def test_class_m_counts_an_app_in_a_store(make_platform):
    from .shop import Owner
    platform = make_platform(settings={"SX_RATE_METAFIELDS": "5/900"})
    owner = Owner(platform)
    shop = owner.open_shop()
    other = owner.open_shop(store_id=shop.store_id)
    define(shop, "state")
    asks = [lambda: shop.get(DEFINITIONS), lambda: shop.get(f"{VALUES}?resource_type=store"), lambda: put(shop, ("state", 1, "x")),
            lambda: shop.delete(f"{DEFINITIONS}/999")]
    for left, ask in zip((3, 2, 1, 0), asks):
        answer = ask()
        assert (answer.headers["RateLimit-Limit"], answer.headers["RateLimit-Remaining"]) == ("5", str(left))
    for ask in asks:
        is_error(ask(), 429, "rate_limited")
    assert other.get(DEFINITIONS).status_code == 200 and shop.get("/api/apps/v1/store").status_code == 200


# ---- If-Match --------------------------------------------------------------------------------------------------------


def test_if_match(shop):
    order_id = goods.order(shop)["order_id"]
    definition = define(shop, "state")
    value = put(shop, ("state", order_id, "a")).json()["data"][0]
    path = f"{VALUES}/{value['value_id']}"
    tag = shop.get(path).headers["ETag"]
    put(shop, ("state", order_id, "b"))
    refused = shop.delete(path, headers={"If-Match": tag})
    is_error(refused, 412, "precondition_failed")
    assert refused.headers["ETag"] == shop.get(path).headers["ETag"] != tag
    assert shop.delete(path, headers={"If-Match": refused.headers["ETag"]}).status_code == 200
    path = f"{DEFINITIONS}/{definition['definition_id']}"
    is_error(shop.delete(path, headers={"If-Match": '"nothing"'}), 412, "precondition_failed")
    assert shop.delete(path, headers={"If-Match": shop.get(path).headers["ETag"]}).status_code == 200


# ---- removal ---------------------------------------------------------------------------------------------------------


def fill(shop, definition_id, count):
    """Values on resources that need not be there."""
    goods.run(shop.platform, "insert into metafield_value (store_id, app_id, definition_id, resource_type, resource_id, value, created_at, "
              "updated_at) select %s, %s, %s, 'o', n, 'v' || n, now(), now() from generate_series(1000000001, 1000000000 + %s) as n",
              shop.store_id, shop.app_id, definition_id, count)


def gone(shop, definition_id):
    return goods.run(shop.platform, "select (select count(*) from metafield_value where definition_id = %s) + (select count(*) from "
                     "metafield_definition where definition_id = %s)", definition_id, definition_id)[0][0] == 0


def test_a_definition_with_200_000_values_is_deleted(shop):
    definition = define(shop, "state")
    keeping = define(shop, "keeping")
    order_id = goods.order(shop)["order_id"]
    put(shop, ("state", order_id, "a"), ("keeping", order_id, "b"))
    fill(shop, definition["definition_id"], 200_000)
    path = f"{DEFINITIONS}/{definition['definition_id']}"
    assert shop.delete(path).status_code == 200
    assert kept(shop, order_id) == {"keeping": "b"}         # from the answer on
    again = define(shop, "state", "integer")
    assert put(shop, ("state", order_id, "5")).status_code == 200
    eventually(lambda: gone(shop, definition["definition_id"]))
    assert kept(shop, order_id) == {"keeping": "b", "state": "5"}
    assert rows(shop) == 2 and again["definition_id"] != definition["definition_id"] != keeping["definition_id"]


def test_removal_goes_on_after_kills(make_platform):
    from .shop import Owner
    platform = make_platform(services={"auth": 1, "store-data": 2})
    shop = Owner(platform).open_shop()
    definition = define(shop, "state")
    fill(shop, definition["definition_id"], 30_000)
    assert shop.delete(f"{DEFINITIONS}/{definition['definition_id']}").status_code == 200
    for name in ("store-data-1", "store-data-2", "store-data-1"):
        time.sleep(0.1)
        platform[name].restart()
    platform.wait_ready()
    eventually(lambda: gone(shop, definition["definition_id"]))


def test_no_value_is_left_behind_by_who_writes_while_it_is_deleted(shop):
    ids = [goods.order(shop)["order_id"] for _ in range(8)]
    for attempt in range(5):
        definition = define(shop, "state")
        ready = threading.Barrier(9)

        def write(order_id):
            ready.wait()
            return [put(shop, ("state", order_id, f"{attempt}-{n}")).status_code for n in range(6)]

        with ThreadPoolExecutor(9) as pool:
            writers = [pool.submit(write, order_id) for order_id in ids]
            ready.wait()
            assert shop.delete(f"{DEFINITIONS}/{definition['definition_id']}").status_code == 200
            for writer in writers:
                statuses = writer.result()
                assert statuses == sorted(statuses) and set(statuses) <= {200, 404}      # once gone, gone
        eventually(lambda: gone(shop, definition["definition_id"]))
        assert rows(shop) == 0


def test_what_an_app_kept_is_forgotten(shop, owner):
    other = owner.open_shop(store_id=shop.store_id)
    definitions = [define(each, "state")["definition_id"] for each in (shop, other)]
    fill(shop, definitions[0], 5000)
    fill(other, definitions[1], 10)
    removed = []
    while not removed or removed[-1]:
        removed.append(shop.platform.sxctl_call("store-data.metafields.forget", store_id=shop.store_id, app_id=shop.app_id)["removed"])
    assert removed == [2000, 2000, 1000, 0]
    assert rows(shop) == 10 and len(shop.get(DEFINITIONS).json()["data"]) == 1
    with pytest.raises(RpcError):
        shop.platform.call("store-data.metafields.forget", store_id=0, app_id=shop.app_id)

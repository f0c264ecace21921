"""The generator refuses a contract that could not be kept.

Each test takes a small good contract, breaks one thing in it, and expects a refusal that names the place. The last
tests compile what comes out, because a wrong table would otherwise only show in a running gateway.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GENERATE = os.path.join(ROOT, "proto", "generate.py")


def good():
    """A contract with one list, one write and one internal operation."""
    return {
        "store-data": {
            "x-service": "store-data",
            "paths": {
                "/api/apps/v1/orders/{order_id}": {
                    "get": {
                        "operationId": "orders.get", "summary": "One order", "security": [{"app": ["read:orders"]}],
                        "parameters": [{"name": "order_id", "in": "path", "required": True,
                                        "schema": {"$ref": "#/components/schemas/Id"}}],
                        "responses": {"200": {"x-data": {"$ref": "#/components/schemas/Order"}}},
                    },
                },
                "/api/apps/v1/orders": {
                    "get": {
                        "operationId": "orders.list", "summary": "Orders", "security": [{"app": ["read:orders"]}],
                        "parameters": [{"$ref": "#/components/parameters/Limit"}],
                        "responses": {"200": {"x-data": {"$ref": "#/components/schemas/Order"}, "x-list": True}},
                    },
                    "post": {
                        "operationId": "orders.create", "summary": "New order", "security": [{"app": ["write:orders"]}],
                        "x-idempotent": True, "x-errors": ["insufficient_stock"],
                        "requestBody": {"required": True, "content": {"application/json": {"schema": {
                            "type": "object", "required": ["total"],
                            "properties": {"total": {"$ref": "#/components/schemas/Money"},
                                           "note": {"type": ["string", "null"], "maxLength": 500}}}}}},
                        "responses": {"201": {"x-data": {"$ref": "#/components/schemas/Order"}}},
                    },
                },
            },
            "components": {"schemas": {"Order": {"type": "object", "required": ["order_id"],
                                                 "properties": {"order_id": {"$ref": "#/components/schemas/Id"}}}}},
        },
        "internal": {
            "operations": {
                "auth.tokens.revoke": {
                    "summary": "Revoke a token", "x-callers": ["operator", "store-data"],
                    "request": {"type": "object", "properties": {"token_id": {"type": "integer"}}}, "reply": {},
                },
            },
            "components": {"schemas": {}},
        },
    }


LIST = ("store-data", "paths", "/api/apps/v1/orders", "get")
CREATE = ("store-data", "paths", "/api/apps/v1/orders", "post")
GET = ("store-data", "paths", "/api/apps/v1/orders/{order_id}", "get")
BODY = CREATE + ("requestBody", "content", "application/json", "schema")
REVOKE = ("internal", "operations", "auth.tokens.revoke")


def at(contract, place):
    for step in place:
        contract = contract[step]
    return contract


def run(tmp_path, contract):
    """Writes the contract below tmp_path and runs the generator on it."""
    proto = tmp_path / "proto"
    proto.mkdir(exist_ok=True)
    shutil.copy(os.path.join(ROOT, "proto", "common.json"), proto)
    for name, fragment in contract.items():
        text = fragment if isinstance(fragment, str) else json.dumps(fragment)
        (proto / f"{name}.json").write_text(text)
    return subprocess.run([sys.executable, GENERATE, str(tmp_path / "gen"), str(tmp_path)],
                          capture_output=True, text=True, check=False)


def refused(tmp_path, contract):
    result = run(tmp_path, contract)
    assert result.returncode != 0, "the broken contract was accepted"
    assert "Traceback" not in result.stderr, result.stderr
    return result.stderr


def test_a_good_contract_is_accepted(tmp_path):
    result = run(tmp_path, good())
    assert result.returncode == 0, result.stderr


def form(schema, *kinds):
    return {"required": True, "content": {kind: {"schema": schema} for kind in kinds or [FORM]}}


FORM = "application/x-www-form-urlencoded"
FLAT = {"type": "object", "properties": {"a": {"type": "string"}}}
PARTS = "multipart/form-data"
FILES = {"type": "array", "maxItems": 2, "items": {"type": "string", "format": "binary", "maxLength": 9}}
BROKEN = {
    "unknown schema word": (BODY, {"pattern": "^a"}, '"pattern" is not enforced'),
    "unknown word deep inside": (BODY + ("properties", "note"), {"minimum": 3}, "note"),
    "number through a double": (BODY + ("properties", "total"), {"type": "number", "$ref": None}, "multipleOf"),
    "money with four decimals": (BODY + ("properties", "total"), {"type": "number", "multipleOf": 0.0001, "$ref": None},
                                 "multipleOf"),
    "minimum finer than multipleOf": (BODY + ("properties", "total"), {
        "type": "number", "multipleOf": 0.01, "minimum": 0.001, "$ref": None}, "minimum"),
    "two types": (BODY + ("properties", "note"), {"type": ["string", "integer"]}, "not enforced"),
    "enum of numbers": (BODY + ("properties", "note"), {"enum": [1, 2]}, "enum"),
    "unknown format": (BODY + ("properties", "note"), {"format": "ipv4"}, "ipv4"),
    "binary over HTTP": (BODY + ("properties", "note"), {"format": "binary"}, "binary"),
    "required without property": (BODY, {"required": ["total", "name"]}, '"name"'),
    "additionalProperties false": (BODY, {"additionalProperties": False}, "x-strict"),
    "bounds crossed": (BODY + ("properties", "note"), {"minLength": 501}, "minLength is above maxLength"),
    "dangling reference": (BODY + ("properties", "total"), {"$ref": "#/components/schemas/Nothing"}, "Nothing"),
    "reference into another kind": (BODY + ("properties", "total"), {"$ref": "#/components/parameters/Limit"}, "$ref"),
    "unknown operation word": (LIST, {"x-rates": "global"}, "x-rates"),
    "unknown rate class": (LIST, {"x-rate": "often"}, "x-rate"),
    "unknown timeout class": (LIST, {"x-timeout": "forever"}, "x-timeout"),
    "retry is no boolean": (LIST, {"x-retry": "yes"}, "x-retry"),
    "stream of a write": (CREATE, {"x-stream": True}, "x-stream is for GET"),
    "stream that cannot go on": (LIST, {"x-stream": True}, '"after"'),
    "stream that must be told where": (LIST, {"x-stream": True, "parameters": [
        {"name": "after", "in": "query", "required": True, "schema": {"type": "string"}}]}, '"after"'),
    "stream that goes on by number": (LIST, {"x-stream": True, "parameters": [
        {"name": "after", "in": "query", "schema": {"type": "integer"}}]}, '"after"'),
    "upload by GET": (LIST, {"x-upload": True}, "x-upload is for POST"),
    "upload under a key": (CREATE, {"x-upload": True}, "exclude each other"),
    "batch of what only reads": (LIST, {"x-batch": True}, "x-batch is for POST"),
    "batch of an upload": (CREATE, {"x-batch": True, "x-upload": True, "x-idempotent": False}, "x-batch is for a JSON body of one piece"),
    "batch of files": (CREATE, {"x-batch": True, "requestBody": form({"type": "object", "properties": {"a": FILES}}, PARTS)},
                       "x-batch is for a JSON body of one piece"),
    "batch of people": (CREATE, {"x-batch": True, "security": [{"merchant": []}]}, "x-batch is for the audience app"),
    "batch of nobody": (CREATE, {"x-batch": True, "security": []}, "x-batch is for the audience app"),
    "batch between services": (REVOKE, {"x-batch": True}, "x-batch"),
    "batch is no boolean": (CREATE, {"x-batch": "store"}, "x-batch must be true or false"),
    "answer of an unknown form": (LIST, {"x-answer": "xml"}, "x-answer must be one of"),
    "form where JSON is answered": (CREATE, {"requestBody": form(FLAT)}, "forms are for x-answer"),
    "page with a body for the worker": (CREATE, {"x-answer": "page", "requestBody": form(FLAT)}, "x-body-limit of at most"),
    "form with a list": (CREATE, {"x-answer": "oauth", "x-body-limit": 16384, "requestBody": form(
        {"type": "object", "properties": {"a": {"type": "array"}}})}, '"a": a form has fields'),
    "parts of two names": (CREATE, {"requestBody": form({"type": "object", "properties": {"a": FILES, "b": FILES}}, PARTS)}, "one property"),
    "parts without a bound": (CREATE, {"requestBody": form({"type": "object", "properties": {"a": {
        "type": "array", "items": {"type": "string", "format": "binary", "maxLength": 9}}}}, PARTS)}, "maxItems"),
    "parts that are text": (CREATE, {"requestBody": form({"type": "object", "properties": {"a": {
        "type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 9}}}}, PARTS)}, "binary and maxLength"),
    "parts or JSON": (CREATE, {"requestBody": form({"type": "object", "properties": {"a": FILES}}, PARTS, "application/json")}, "needs content"),
    "body of an unknown kind": (CREATE, {"requestBody": form(FLAT, "text/plain")}, "needs content"),
    "body with two schemas": (CREATE, {"x-answer": "oauth", "x-body-limit": 16384, "requestBody": {"content": {
        FORM: {"schema": FLAT}, "application/json": {"schema": {"type": "object"}}}}}, "one schema"),
    "body limit too high": (CREATE, {"x-body-limit": 1 << 30}, "x-body-limit"),
    "unknown error code": (CREATE, {"x-errors": ["out_of_luck"]}, "out_of_luck"),
    "unknown scope": (LIST, {"security": [{"app": ["read:everything"]}]}, "read:everything"),
    "unknown audience": (LIST, {"security": [{"robot": []}]}, "robot"),
    "security forgotten": (LIST, {"security": None}, "security"),
    "summary forgotten": (LIST, {"summary": None}, "summary"),
    "no success response": (LIST, {"responses": {"404": {"description": "gone"}}}, "success response"),
    "empty success response": (LIST, {"responses": {"200": {"description": "done"}}}, "no answer is empty"),
    "idempotency left open": (CREATE, {"x-idempotent": None}, "x-idempotent"),
    "duplicate operationId": (LIST, {"operationId": "orders.create"}, "already"),
    "operationId is no name": (LIST, {"operationId": "listOrders"}, "listOrders"),
    "path parameter not declared": (GET, {"parameters": []}, '"order_id" is not declared'),
    "parameter not in the path": (LIST, {"parameters": [{"name": "id", "in": "path", "required": True,
                                                         "schema": {"type": "integer"}}]}, '"id"'),
    "header parameter": (LIST, {"parameters": [
        {"name": "X-A", "in": "header", "schema": {"type": "string"}}]}, "header"),
    "list as parameter": (LIST, {"parameters": [{"name": "ids", "in": "query", "schema": {"type": "array"}}]}, "type"),
    "reply schema forgotten": (REVOKE, {"reply": None}, "reply"),
    "callers forgotten": (REVOKE, {"x-callers": []}, "x-callers"),
    "unknown caller": (REVOKE, {"x-callers": ["somebody"]}, "somebody"),
    "call to itself": (REVOKE, {"x-callers": ["auth"]}, "downwards only"),
    "unknown actor": (REVOKE, {"x-actors": ["somebody"]}, "somebody"),
    "actor of the gateway": (REVOKE, {"x-actors": ["gateway"]}, "is no service"),
    "actor and caller": (REVOKE, {"x-actors": ["store-data"]}, "is in x-callers as well"),
    "unknown internal word": (REVOKE, {"security": []}, "security"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_contract_is_refused(tmp_path, name):
    place, change, complaint = BROKEN[name]
    contract = good()
    for word, value in change.items():
        if value is None:
            at(contract, place).pop(word, None)
        else:
            at(contract, place)[word] = value
    message = refused(tmp_path, contract)
    assert complaint in message
    assert f"proto/{place[0]}.json" in message, "the file is named"


def test_two_ids_of_one_handler(tmp_path):
    contract = good()
    at(contract, LIST)["operationId"] = "orders.a_b"
    at(contract, CREATE)["operationId"] = "orders.a.b"
    assert "handler" in refused(tmp_path, contract)


def test_calls_that_would_go_round_are_refused(tmp_path):
    contract = good()
    contract["internal"]["operations"]["webhooks.events.publish"] = {
        "summary": "Publish", "x-callers": ["auth"], "reply": {}}
    assert '"auth" does not stand above "webhooks"' in refused(tmp_path, contract)


def test_an_actor_may_call_upwards(tmp_path):
    """It holds no worker, so nothing can wait in a circle; the hub lets no handler of its service call."""
    contract = good()
    contract["internal"]["operations"]["webhooks.events.publish"] = {
        "summary": "Publish", "x-actors": ["auth"], "reply": {}}
    result = run(tmp_path, contract)
    assert result.returncode == 0, result.stderr


def test_two_equal_routes_are_refused(tmp_path):
    contract = good()
    paths = contract["store-data"]["paths"]
    twin = json.loads(json.dumps(paths["/api/apps/v1/orders/{order_id}"]).replace("order_id", "id"))
    twin["get"]["operationId"] = "orders.twin"
    paths["/api/apps/v1/orders/{id}"] = twin
    assert "route" in refused(tmp_path, contract)


def test_a_schema_that_contains_itself_is_refused(tmp_path):
    contract = good()
    contract["store-data"]["components"]["schemas"]["Tree"] = {
        "type": "object", "properties": {"child": {"$ref": "#/components/schemas/Tree"}}}
    at(contract, BODY)["properties"]["tree"] = {"$ref": "#/components/schemas/Tree"}
    assert "contains itself" in refused(tmp_path, contract)


def test_a_schema_of_common_cannot_be_redefined(tmp_path):
    contract = good()
    contract["store-data"]["components"]["schemas"]["Money"] = {"type": "integer"}
    assert "Money is already in common.json" in refused(tmp_path, contract)


def test_a_field_that_stands_twice_is_refused(tmp_path):
    contract = good()
    contract["store-data"] = '{"x-service": "store-data", "paths": {}, "paths": {}}'
    assert '"paths" stands twice' in refused(tmp_path, contract)


def test_text_that_is_no_json_is_refused(tmp_path):
    contract = good()
    contract["store-data"] = '{"x-service": '
    assert "store-data.json" in refused(tmp_path, contract)


def test_developer_bodies_must_be_strict(tmp_path):
    contract = good()
    paths = contract["store-data"]["paths"]
    paths["/api/v1/orders"] = paths.pop("/api/apps/v1/orders")
    assert "x-strict" in refused(tmp_path, contract)


def of_an_app(role):
    """The contract with a developers' route of an app."""
    contract = good()
    node = contract["store-data"]["paths"].pop("/api/apps/v1/orders/{order_id}")["get"]
    node["security"] = [{"developer": []}]
    node["parameters"] = [{"name": "app_id", "in": "path", "required": True, "schema": {"$ref": "#/components/schemas/Id"}}]
    if role:
        node["x-role"] = role
    contract["store-data"]["paths"]["/api/v1/apps/{app_id}"] = {"get": node}
    return contract


def test_a_route_of_an_app_says_which_role_it_takes(tmp_path):
    for role in (None, "boss"):
        assert "x-role" in refused(tmp_path, of_an_app(role))
    contract = good()
    at(contract, GET)["x-role"] = "viewer"
    assert "x-role" in refused(tmp_path, contract)
    assert run(tmp_path, of_an_app("admin")).returncode == 0
    node = json.loads((tmp_path / "gen" / "openapi.json").read_text())["paths"]["/api/v1/apps/{app_id}"]["get"]
    assert node["x-role"] == "admin" and "`admin`" in node["description"]


# ---- what comes out --------------------------------------------------------------------------------------------------


def document(tmp_path):
    result = run(tmp_path, good())
    assert result.returncode == 0, result.stderr
    return json.loads((tmp_path / "gen" / "openapi.json").read_text())


def test_the_document_holds_envelopes_and_standard_errors(tmp_path):
    paths = document(tmp_path)["paths"]
    create = paths["/api/apps/v1/orders"]["post"]
    assert set(create["responses"]) == {
        "201", "400", "401", "403", "409", "413", "415", "429", "500", "502", "503", "504"}
    assert create["parameters"] == [{"$ref": "#/components/parameters/IdempotencyKey"}]
    assert create["security"] == [{"appToken": ["write:orders"]}, {
        "appClientId": ["write:orders"], "appClientSecret": ["write:orders"], "appStoreId": ["write:orders"]}]
    page = paths["/api/apps/v1/orders"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert page["required"] == ["data", "pagination", "status"]
    assert "304" in paths["/api/apps/v1/orders"]["get"]["responses"]
    assert "404" in paths["/api/apps/v1/orders/{order_id}"]["get"]["responses"]
    assert not any(word in json.dumps(paths) for word in ("x-data", "x-errors", "x-idempotent", "x-timeout"))


def test_pages_and_oauth_endpoints_are_documented_as_what_they_are(tmp_path):
    contract = good()
    at(contract, CREATE).update({"x-answer": "oauth", "x-body-limit": 16384, "x-idempotent": False,
                                 "requestBody": form(FLAT, "application/json", FORM)})
    at(contract, LIST).update({"x-answer": "page"})
    assert run(tmp_path, contract).returncode == 0
    made = json.loads((tmp_path / "gen" / "openapi.json").read_text())
    node = made["paths"]["/api/apps/v1/orders"]
    refused_with = made["components"]["responses"][node["post"]["responses"]["415"]["$ref"].rpartition("/")[2]]
    assert "OAuthError" in json.dumps(refused_with)
    page = made["components"]["responses"][node["get"]["responses"]["429"]["$ref"].rpartition("/")[2]]
    assert list(page["content"]) == ["text/html"] and "304" not in node["get"]["responses"]
    assert "x-answer" not in json.dumps(made)


def test_every_reference_of_the_document_leads_somewhere(tmp_path):
    root = document(tmp_path)

    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                target = root
                for step in node["$ref"].removeprefix("#/").split("/"):
                    target = target[step]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(root)


def test_the_yaml_says_the_same_as_the_json(tmp_path):
    root = document(tmp_path)
    assert yaml.safe_load((tmp_path / "gen" / "openapi.yaml").read_text(encoding="utf-8")) == root


PROGRAM = """
#include "service.h"
#include "store_data_operations.h"
%s
int main(void) { return store_data_handler_count == 3 && store_data_handlers[2].run ? 0 : 1; }
"""
HANDLER = "int %s(struct call *call) { (void)call; return 0; }"


def compiler_flags():
    return subprocess.run(["pkg-config", "--cflags", "msgpack", "libpq", "libzmq"], capture_output=True, text=True,
                          check=True).stdout.split()


def build(tmp_path, handlers):
    """Compiles the generated tables of store-data with a main file that has the given handlers."""
    assert run(tmp_path, good()).returncode == 0
    gen = tmp_path / "gen"
    (tmp_path / "main.c").write_text(PROGRAM % "\n".join(HANDLER % name for name in handlers))
    flags = compiler_flags()
    return subprocess.run(
        ["gcc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-iquote", os.path.join(ROOT, "libshared"),
         "-iquote", str(gen), *flags, str(tmp_path / "main.c"), str(gen / "store_data_operations.c"),
         str(gen / "errors.c"), "-o", str(tmp_path / "program")],
        capture_output=True, text=True, check=False)


def test_the_tables_compile_and_link(tmp_path):
    result = build(tmp_path, ["orders_list", "orders_get", "orders_create"])
    assert result.returncode == 0, result.stderr
    assert subprocess.run([str(tmp_path / "program")], check=False).returncode == 0


def test_the_handler_of_a_batch_takes_all_of_its_calls(tmp_path):
    contract = good()
    at(contract, CREATE)["x-batch"] = True
    assert run(tmp_path, contract).returncode == 0
    header = (tmp_path / "gen" / "store_data_operations.h").read_text()
    assert "int orders_create(struct call_batch *batch);" in header and "int orders_list(struct call *call);" in header
    assert ".run_batch = orders_create}" in (tmp_path / "gen" / "store_data_operations.c").read_text()
    assert "x-batch" not in (tmp_path / "gen" / "openapi.json").read_text()


def test_a_missing_handler_fails_the_link(tmp_path):
    result = build(tmp_path, ["orders_list", "orders_get"])
    assert result.returncode != 0
    assert "orders_create" in result.stderr


def test_text_survives_being_embedded(tmp_path):
    """Trigraphs, quotes, backslashes, line breaks and characters outside ASCII, in SQL and in the document."""
    schema = tmp_path / "services" / "store-data" / "schema"
    schema.mkdir(parents=True)
    text = 'select \'a??=b\', "q", E\'\\\\n\', \'টাকা\';\n\t-- the end\n'
    (schema / "001_init.sql").write_text(text, encoding="utf-8")
    assert run(tmp_path, good()).returncode == 0
    (tmp_path / "print.c").write_text(
        '#include <stdio.h>\n#include "store_data_operations.h"\n' + "\n".join(
            HANDLER % name for name in ("orders_list", "orders_get", "orders_create"))
        + "\nint main(void) { fputs(store_data_migrations[0].sql, stdout); return 0; }\n")
    flags = compiler_flags()
    subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-iquote", os.path.join(ROOT, "libshared"), "-iquote",
                    str(tmp_path / "gen"), *flags, str(tmp_path / "print.c"),
                    str(tmp_path / "gen" / "store_data_operations.c"), "-o", str(tmp_path / "print")], check=True)
    assert subprocess.run([str(tmp_path / "print")], capture_output=True, check=True).stdout.decode() == text


def test_the_platforms_own_contract_is_good(tmp_path):
    (tmp_path / "viewer").symlink_to(os.path.abspath(os.path.join(os.environ.get("GEN", os.path.join(ROOT, "build", "gen")), "viewer")))   # what npm brought when the platform was built
    result = subprocess.run([sys.executable, GENERATE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    root = json.loads((tmp_path / "openapi.json").read_text(encoding="utf-8"))
    assert yaml.safe_load((tmp_path / "openapi.yaml").read_text(encoding="utf-8")) == root

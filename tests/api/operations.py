"""The app API's operations as the contract has them, and one of everything that its own POSTs can make in a store.

For tests that hold for every operation: bodies are the examples of the request schemas, ids those of the store's own
things. So an operation is covered when it is described.
"""

import json
import os
import re
import time
from pathlib import Path

import pytest

GEN = Path(os.environ.get("GEN", Path(__file__).resolve().parents[2] / "build" / "gen"))
DOCUMENT = json.loads((GEN / "openapi.json").read_text(encoding="utf-8"))
METHODS = ("get", "post", "put", "patch", "delete")
# What the same thing is called where it is pointed at.
OTHER_NAMES = {"customer_id": "user_id", "variant_id": "sku_id"}


def follow(node):
    while "$ref" in node:
        target = DOCUMENT
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def example(schema):
    """A value that a schema takes: its example, or the least there can be."""
    schema = follow(schema)
    for word in ("examples", "example", "default"):
        if word in schema:
            return schema[word][0] if word == "examples" else schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    kind = kind if isinstance(kind, str) else kind[0]
    if kind == "object":
        return {name: example(node) for name, node in schema.get("properties", {}).items() if name in schema.get("required", [])}
    if kind == "array":
        return [example(schema["items"])] * schema.get("minItems", 0)
    if kind == "string":
        return {"date": "2026-01-15", "date-time": "2026-01-15T08:30:00Z", "email": "a@example.com"}.get(
            schema.get("format"), "x" * max(1, schema.get("minLength", 1)))
    return {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1), "boolean": False}.get(kind)


class Operation:
    def __init__(self, method, path, node):
        self.method, self.path, self.node = method.upper(), path, node
        self.scopes = node["security"][0]["appToken"]
        self.content = node.get("requestBody", {}).get("content", {})
        self.lines = "application/x-ndjson" in self.content
        self.parameters = {p["name"]: p for p in map(follow, node.get("parameters", [])) if p["in"] == "path"}
        self.query = {p["name"]: p.get("example", example(p["schema"])) for p in map(follow, node.get("parameters", []))
                      if p["in"] == "query" and p.get("required")}

    def __str__(self):
        return f"{self.method} {self.path}"

    def is_number(self, name):
        return follow(self.parameters[name]["schema"]).get("type") == "integer"

    def body(self, known):
        """Headers and bytes of a request that is as it should be, with the ids of a store's own things."""
        if self.lines:
            return {"Content-Type": "application/x-ndjson"}, b"{}\n"
        if "application/json" in self.content:
            value = with_ids(example(self.content["application/json"]["schema"]), known)
            return {"Content-Type": "application/json"}, json.dumps(value).encode()
        if "multipart/form-data" in self.content:
            field = next(iter(follow(self.content["multipart/form-data"]["schema"])["properties"]))
            png = b"\x89PNG\r\n\x1a\n" + os.urandom(64)
            return {"Content-Type": "multipart/form-data; boundary=cut"}, (
                f'--cut\r\nContent-Disposition: form-data; name="{field}"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n').encode() + (
                    png + b"\r\n--cut--\r\n")
        return {}, None

    def url(self, ids):
        return re.sub(r"\{([^}]*)\}", lambda found: str(ids[found[1]]), self.path)

    def ask(self, platform, credentials, ids, known=None, query=None):
        headers, body = self.body(known or ids)
        return platform.request(self.method, self.url(ids), headers={**credentials, **headers}, body=body, params={**self.query, **(query or {})} or None)

    def ask_whole(self, shop, known):
        """Like ask; a query parameter that is missed although it is not required is sent after all."""
        answer = self.ask(shop.platform, shop.bearer, known)
        missed = answer.status_code == 400 and answer.json().get("errors", [{}])[0].get("field")
        declared = {p["name"]: p for p in map(follow, self.node.get("parameters", [])) if p["in"] == "query"}
        if missed not in declared:
            return answer
        return self.ask(shop.platform, shop.bearer, known, None, with_ids({**self.query, missed: example(declared[missed]["schema"])}, known))


def with_ids(value, known):
    """The example with a store's own ids for those in it; ids of what the store has none of are left out."""
    if isinstance(value, list):
        return [with_ids(item, known) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for name, item in value.items():
        if name.endswith("_id") and isinstance(item, int):
            source = f"{value.get('resource_type')}_id" if name == "resource_id" else name
            source = OTHER_NAMES.get(source, source)
            if source in known:
                result[name] = known[source]
        elif name in TEXTS and isinstance(item, str):
            result[name] = item + str(known["store_id"])    # no two stores have one of the same name
        else:
            result[name] = with_ids(item, known)
    return result


OPERATIONS = [Operation(method, path, item[method]) for path, item in sorted(DOCUMENT["paths"].items()) for method in METHODS
              if method in item and "appToken" in (item[method].get("security") or [{}])[0]]
WITH_IDS = [operation for operation in OPERATIONS if operation.parameters]
READS = [operation for operation in OPERATIONS if operation.method == "GET"]


def harvest(value, known):
    """Ids by their names, wherever they are in an answer; the first that is met stays."""
    if isinstance(value, list):
        for item in value:
            harvest(item, known)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "sample":                                    # of a webhook topic: nobody's
                continue
            if (name.endswith("_id") and isinstance(item, int)) or name in TEXTS and isinstance(item, str):
                known.setdefault(name, item)
            harvest(item, known)


TEXTS = {name for operation in WITH_IDS for name in operation.parameters if not operation.is_number(name)}


def served(ask):
    """The answer, and while it is 503 (a busy machine, or word of the installation on its way) that to asking again, as the contract bids a client."""
    until = time.monotonic() + 60
    answer = ask()
    while answer.status_code == 503 and time.monotonic() < until:
        time.sleep(0.2)
        answer = ask()
    assert answer.status_code != 503, answer
    return answer


def populate(shop):
    """Makes one of everything that the contract can make; answers the ids by name. Again and again, because a thing may need another."""
    known, made = {"store_id": shop.store_id}, set()
    creators = [operation for operation in OPERATIONS if operation.method == "POST"]
    while True:
        before = len(known)
        for operation in creators:
            if operation in made or not set(operation.parameters) <= set(known):
                continue
            answer = served(lambda: operation.ask(shop.platform, shop.bearer, known))
            if 200 <= answer.status_code < 300:
                made.add(operation)
                if not operation.path.endswith("/cancel"):
                    harvest(answer.json()["data"], known)
        for operation in READS:
            if not operation.parameters and "ndjson" not in str(operation.node["responses"]["200"]):
                harvest(served(lambda: operation.ask_whole(shop, known)).json().get("data"), known)
        if len(known) == before:
            return known


def ids_for(operation, known):
    missing = [name for name in operation.parameters if name not in known]
    if missing:
        pytest.fail(f"{operation}: no POST or list of the contract gave a {missing[0]}; give the request schema of the POST that makes one an example that works")
    return known

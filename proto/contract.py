"""The contract, read from proto/*.json and checked: what is not understood is refused with its place in the file.

A Contract is a list of Operations with everything decided; schemas are looked into by tables.py, which enforces them.
"""

import json
import os
import re
from decimal import Decimal

METHODS = ["get", "post", "put", "patch", "delete"]
RATES = ["global", "token", "verify", "credentials", "login", "metafields", "exempt"]
TIMEOUTS = {"normal": 5000, "slow": 15000}
ANSWERS = ["json", "page", "oauth"]
ROLES = ["viewer", "developer", "admin", "owner"]   # in an app, the least first
JSON, FORM, PARTS = "application/json", "application/x-www-form-urlencoded", "multipart/form-data"
BODY_IN_LOOP_MAX = 65536                  # bounds.h
OPERATION_WORDS = {"operationId", "summary", "description", "tags", "security", "parameters", "requestBody",
                   "responses", "deprecated", "x-rate", "x-timeout", "x-retry", "x-idempotent", "x-body-limit",
                   "x-stream", "x-upload", "x-batch", "x-pool", "x-errors", "x-answer", "x-role"}
INTERNAL_WORDS = {"summary", "description", "request", "reply", "x-callers", "x-actors", "x-pool", "x-timeout", "x-retry",
                  "x-idempotent", "x-body-limit", "x-errors"}
FRAGMENT_WORDS = {"x-service", "tags", "paths", "components"}
COMPONENT_KINDS = {"schemas", "parameters", "responses"}
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$")


class Refused(Exception):
    """The contract cannot be enforced as it is written."""


def refuse(where, why):
    raise Refused(f"{where}: {why}")


def only(node, words, where):
    if not isinstance(node, dict):
        refuse(where, "must be an object")
    for word in node:
        if word not in words:
            refuse(where, f'unknown word "{word}"')


def load(path):
    def members(pairs):
        result = dict(pairs)
        if len(result) < len(pairs):
            names = [name for name, _ in pairs]
            refuse(path, f'"{next(n for n in names if names.count(n) > 1)}" stands twice in one object')
        return result

    with open(path, encoding="utf-8") as file:
        try:
            return json.load(file, parse_float=Decimal, object_pairs_hook=members)
        except json.JSONDecodeError as error:
            refuse(path, str(error))


def c_name(name):
    return re.sub(r"[.-]", "_", name)


# ---- the contract, read and checked ----------------------------------------------------------------------------------


class Operation:
    """One operation, of HTTP or internal, with everything decided."""

    def __init__(self, contract, service, name, where, node, components):
        self.service, self.id, self.where, self.node, self.components = service, name, where, node, components
        self.name = f"{service}.{name}"
        self.handler = c_name(name)
        self.path = self.body = None
        self.method, self.audience, self.rate = "post", "internal", "exempt"
        self.scopes, self.callers, self.actors, self.parameters = [], [], [], []
        self.batch = False
        self.stream = self.upload = self.body_required = self.form = self.form_only = self.multipart = False
        self.conditional = False  # takes If-Match
        self.role = None          # in the app at path.app_id
        self.answer = node.get("x-answer", "json")
        self.pool = node.get("x-pool", service)
        self.idempotent = node.get("x-idempotent", False)
        self.body_limit = node.get("x-body-limit", 1048576)
        self.errors = node.get("x-errors", [])
        if not NAME.match(name):
            refuse(where, f'"{name}" must be words of a-z 0-9 _ with dots between them, as orders.list')
        if len(self.name) > 96:
            refuse(where, "the name is longer than OPERATION_NAME_MAX")
        if not isinstance(node.get("summary"), str):
            refuse(where, "needs a summary")
        timeout = node.get("x-timeout", "normal")
        if timeout not in TIMEOUTS:
            refuse(where, f"x-timeout must be one of {', '.join(TIMEOUTS)}")
        self.timeout_ms = TIMEOUTS[timeout]
        for word in ("x-retry", "x-idempotent", "x-stream", "x-upload", "x-batch"):
            if not isinstance(node.get(word, False), bool):
                refuse(where, f"{word} must be true or false")
        most = 256 * 1024 * 1024 if node.get("x-upload") else 16 * 1024 * 1024
        if not isinstance(self.body_limit, int) or not 0 < self.body_limit <= most:
            refuse(where, f"x-body-limit must be bytes, at most {most}")
        for code in self.errors:
            if code not in contract.common["x-errors"]:
                refuse(where, f'x-errors: "{code}" is not in common.json')

    def resolve(self, node, kind, where):
        """Follows $ref through this operation's components, in order; answers the node and its name or None."""
        name = None
        while isinstance(node, dict) and "$ref" in node:
            prefix = f"#/components/{kind}/"
            if not node["$ref"].startswith(prefix):
                refuse(where, f'$ref must begin with {prefix}')
            name = node["$ref"][len(prefix):]
            for components in self.components:
                if name in components.get(kind, {}):
                    node = components[kind][name]
                    break
            else:
                refuse(where, f'"{name}" is in no {kind} of this file or of common.json')
        return node, name


class Contract:
    def __init__(self, root):
        self.root, self.proto = root, os.path.join(root, "proto")
        self.common = load(os.path.join(self.proto, "common.json"))
        self.common_components = self.common["components"]
        self.fragments, self.operations = {}, []
        self.layers = {name: level for level, names in enumerate(self.common["x-layers"]) for name in names}
        for file in sorted(os.listdir(self.proto)):
            if file.endswith(".json") and file not in ("common.json", "internal.json"):
                self.fragments[file] = self.read_fragment(file)
        for file, fragment in self.fragments.items():
            self.add_routes(file, fragment)
        self.add_internal("internal.json", load(os.path.join(self.proto, "internal.json")))
        self.operations.sort(key=lambda operation: operation.name)
        self.services = sorted(({o.service for o in self.operations} |
                                {fragment["x-service"] for fragment in self.fragments.values()}) - {"gateway"})
        self.check_names()

    def read_fragment(self, file):
        where, fragment = f"proto/{file}", load(os.path.join(self.proto, file))
        only(fragment, FRAGMENT_WORDS, where)
        service = fragment.get("x-service")
        if service not in self.layers or service == "operator":
            refuse(where, f'x-service "{service}" is in no layer of common.json')
        only(fragment.get("components", {}), COMPONENT_KINDS, f"{where}: components")
        return fragment

    def components_of(self, service):
        """Of all fragments of the service: a name stands in one of them only (check_names)."""
        return [fragment.get("components", {}) for fragment in self.fragments.values()
                if fragment["x-service"] == service]

    def add_routes(self, file, fragment):
        for path, item in fragment.get("paths", {}).items():
            only(item, METHODS, f"proto/{file}: {path}")
            for method, node in item.items():
                self.operations.append(self.http(fragment["x-service"], path, method, node,
                                                 f"proto/{file}: {method} {path}"))

    def http(self, service, path, method, node, where):
        only(node, OPERATION_WORDS, where)
        if "operationId" not in node:
            refuse(where, "needs an operationId")
        components = [*self.components_of(service), self.common_components]
        self_ = Operation(self, service, node["operationId"], where, node, components)
        self_.path, self_.method = path, method
        self_.conditional = method in ("put", "patch", "delete") and path.startswith("/api/apps/v1/") or (
            method == "put" and path.startswith("/api/v1/"))
        self_.stream, self_.upload = node.get("x-stream", False), node.get("x-upload", False)
        self_.batch = node.get("x-batch", False)
        self_.retry = node.get("x-retry", method == "get")
        self_.rate = node.get("x-rate", "global" if path.startswith("/api/") else "exempt")
        if self_.rate not in RATES:
            refuse(where, f"x-rate must be one of {', '.join(RATES)}")
        if method == "post" and path.startswith("/api/apps/v1/") and "x-idempotent" not in node:
            refuse(where, "say x-idempotent true, or false when it changes nothing")
        self.read_security(self_)
        self.read_role(self_)
        self.read_parameters(self_)
        self.read_body(self_)
        self.check_responses(self_)
        self.check_pieces(self_)
        self.check_answer(self_)
        self.check_batch(self_)
        return self_

    def read_security(self, operation):
        security = operation.node.get("security")
        if not isinstance(security, list) or len(security) > 1:
            refuse(operation.where, 'security must be [] or one audience, as [{"app": ["read:orders"]}]')
        operation.audience = "none"
        for requirement in security:
            [(operation.audience, operation.scopes)] = requirement.items()
            if operation.audience not in self.common["x-audiences"]:
                refuse(operation.where, f'unknown audience "{operation.audience}"')
            for scope in operation.scopes:
                if scope not in self.common["x-scopes"].get(operation.audience, {}):
                    refuse(operation.where, f'scope "{scope}" is not in common.json')

    @staticmethod
    def read_role(operation):
        operation.role = operation.node.get("x-role")
        of_app = operation.audience == "developer" and "{app_id}" in operation.path
        if of_app and operation.role not in ROLES:
            refuse(operation.where, f"say x-role, the least role in the app that may do this: {', '.join(ROLES)}")
        if operation.role and not of_app:
            refuse(operation.where, "x-role is for developers' routes with an app_id in the path")

    def read_parameters(self, operation):
        in_path = re.findall(r"\{([a-z_][a-z0-9_]*)\}", operation.path)
        if not re.fullmatch(r"(/([A-Za-z0-9_.-]+|\{[a-z_][a-z0-9_]*\}))+", operation.path):
            refuse(operation.where, "segments are plain text or {name}")
        for index, node in enumerate(operation.node.get("parameters", [])):
            where = f"{operation.where}: parameters[{index}]"
            node, _ = operation.resolve(node, "parameters", where)
            only(node, {"name", "in", "description", "required", "schema", "x-clamp", "example", "deprecated"}, where)
            schema, _ = operation.resolve(node.get("schema"), "schemas", where)
            if node.get("in") not in ("path", "query"):
                refuse(where, "in must be path or query; headers are the gateway's")
            if not isinstance(schema, dict) or schema.get("type") not in ("string", "integer", "number", "boolean"):
                refuse(where, "needs a schema of type string, integer, number or boolean")
            if node["in"] == "path" and (node["name"] not in in_path or not node.get("required")):
                refuse(where, f'"{node["name"]}" must stand in the path and be required')
            if any(node["name"] == other["name"] and node["in"] == other["in"] for other, _ in operation.parameters):
                refuse(where, f'"{node["name"]}" is declared twice')
            operation.parameters.append((node, where))
        for name in in_path:
            if not any(node["name"] == name and node["in"] == "path" for node, _ in operation.parameters):
                refuse(operation.where, f'path parameter "{name}" is not declared')

    @staticmethod
    def read_body(operation):
        body = operation.node.get("requestBody")
        if body is None:
            return
        where = f"{operation.where}: requestBody"
        only(body, {"description", "required", "content"}, where)
        operation.body_required = body.get("required", False)
        if operation.upload:                # taken as it is, in pieces; what is in it is the service's to check
            return
        content = body.get("content", {})
        if set(content) == {PARTS}:
            Contract.read_parts(operation, content[PARTS].get("schema"), where)
            return
        if not content or set(content) - {JSON, FORM} or not all("schema" in kind for kind in content.values()):
            refuse(where, f"needs content {JSON}, {FORM} or both, with a schema")
        operation.form, operation.form_only = FORM in content, JSON not in content
        operation.body = content[FORM if operation.form else JSON]["schema"]
        if any(kind["schema"] != operation.body for kind in content.values()):
            refuse(where, "a body has one schema, however it is written")
        schema, _ = operation.resolve(operation.body, "schemas", where)
        if operation.path.startswith("/api/v1/") and not schema.get("x-strict"):
            refuse(where, "bodies of the developer family say x-strict (unknown fields are named as errors)")

    @staticmethod
    def read_parts(operation, schema, where):
        """Files: one field, which the parts of its name are the items of (services/gateway/multipart.h)."""
        operation.multipart, operation.body = True, schema
        schema, _ = operation.resolve(schema, "schemas", where)
        fields = list((schema or {}).get("properties", {}).values())
        items = fields[0].get("items", {}) if len(fields) == 1 else {}
        if not (items.get("type") == "string" and items.get("format") == "binary" and "maxLength" in items
                and "maxItems" in fields[0]):
            refuse(where, f"{PARTS} needs an object with one property, a list with maxItems of strings with format "
                          "binary and maxLength (bytes)")

    @staticmethod
    def check_responses(operation):
        responses = operation.node.get("responses", {})
        if not any(status.startswith("2") or status in ("302", "303") for status in responses):
            refuse(operation.where, "needs a success response")
        for status, response in responses.items():
            where = f"{operation.where}: responses: {status}"
            if not re.fullmatch(r"[1-5][0-9][0-9]", status):
                refuse(where, "must be a status")
            response, _ = operation.resolve(response, "responses", where)
            only(response, {"description", "content", "headers", "x-data", "x-list", "x-members"}, where)
            if status.startswith("2") and not ("x-data" in response or response.get("content")):
                refuse(where, "needs x-data or content: no answer is empty")

    @staticmethod
    def check_answer(operation):
        """Pages and OAuth's endpoints: what a browser or an RFC client sends beside the parameters (proto/README.md)."""
        if operation.answer not in ANSWERS:
            refuse(operation.where, f"x-answer must be one of {', '.join(ANSWERS)}")
        if operation.answer == "json" and operation.form:
            refuse(operation.where, "forms are for x-answer page and oauth")
        if operation.answer != "json" and operation.body is not None and operation.body_limit > BODY_IN_LOOP_MAX:
            refuse(operation.where, f"x-answer {operation.answer} needs an x-body-limit of at most {BODY_IN_LOOP_MAX}")
        if not operation.form:
            return
        schema, _ = operation.resolve(operation.body, "schemas", operation.where)
        for name, node in schema.get("properties", {}).items():
            node, _ = operation.resolve(node, "schemas", operation.where)
            if node.get("type") not in ("string", "integer", "boolean"):
                refuse(operation.where, f'"{name}": a form has fields of type string, integer or boolean')

    @staticmethod
    def check_pieces(operation):
        """Streams and uploads: the gateway makes many requests of one (proto/README.md)."""
        after = [node for node, _ in operation.parameters if node["name"] == "after" and node["in"] == "query"]
        if operation.stream and operation.method != "get":
            refuse(operation.where, "x-stream is for GET: each chunk is a request of its own")
        if operation.stream and (not after or after[0].get("required") or after[0]["schema"].get("type") != "string"):
            refuse(operation.where, 'x-stream needs a query parameter "after", a string and not required')
        if operation.upload and operation.method != "post":
            refuse(operation.where, "x-upload is for POST")
        if operation.upload and operation.idempotent:
            refuse(operation.where, "x-upload and x-idempotent exclude each other: a piece is told by upload and seq")

    @staticmethod
    def check_batch(operation):
        """Requests of one app in one store that go together (proto/README.md)."""
        if not operation.batch:
            return
        if operation.audience != "app":
            refuse(operation.where, "x-batch is for the audience app: the key is its store and app")
        if operation.method != "post":
            refuse(operation.where, "x-batch is for POST: what only reads waits for nobody")
        if operation.upload or operation.multipart or operation.answer != "json":
            refuse(operation.where, "x-batch is for a JSON body of one piece: no x-upload, no files, no x-answer")

    def add_internal(self, file, internal):
        where = f"proto/{file}"
        only(internal, {"operations", "components"}, where)
        only(internal.get("components", {}), {"schemas"}, f"{where}: components")
        self.internal_schemas = internal.get("components", {}).get("schemas", {})
        for name, node in internal.get("operations", {}).items():
            here = f"{where}: {name}"
            only(node, INTERNAL_WORDS, here)
            service, _, rest = name.partition(".")
            if service not in self.layers or service in ("gateway", "operator"):
                refuse(here, f'"{service}" is no service of common.json\'s layers')
            components = [internal.get("components", {}), *self.components_of(service), self.common_components]
            operation = Operation(self, service, rest, here, node, components)
            operation.retry = node.get("x-retry", False)
            operation.body = node.get("request")
            operation.body_required = operation.body is not None
            if "reply" not in node:
                refuse(here, "needs a reply schema")
            operation.callers = node.get("x-callers", [])
            operation.actors = node.get("x-actors", [])
            if not operation.callers and not operation.actors:
                refuse(here, "needs x-callers: who may call it?")
            for actor in operation.actors:
                if actor not in self.layers or actor in ("gateway", "operator") or actor in operation.callers:
                    refuse(here, f'x-actors: "{actor}" is no service, or is in x-callers as well')
            for caller in operation.callers:
                if caller not in self.layers:
                    refuse(here, f'x-callers: "{caller}" is in no layer of common.json')
                if self.layers[caller] <= self.layers[service]:
                    refuse(here, f'x-callers: "{caller}" does not stand above "{service}": calls go downwards only')
            self.operations.append(operation)

    def check_names(self):
        seen = {}
        for operation in self.operations:
            for key in (("name", operation.name), ("handler", operation.service, operation.handler),
                        ("id", operation.path and operation.id),
                        ("route", operation.method, operation.path and re.sub(r"\{.*?\}", "{}", operation.path))):
                if key[-1] is None:
                    continue
                if key in seen:
                    refuse(operation.where, f"{key[0]} {key[-1]} is already that of {seen[key]}")
                seen[key] = operation.where
        for kind in sorted(COMPONENT_KINDS):
            owners = {name: "common.json" for name in self.common_components.get(kind, {})}
            for file, fragment in self.fragments.items():
                for name in fragment.get("components", {}).get(kind, {}):
                    if name in owners:
                        refuse(f"proto/{file}", f"{kind}: {name} is already in {owners[name]}")
                    owners[name] = file

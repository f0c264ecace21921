#!/usr/bin/python3
"""Turns the contract (proto/*.json) into C tables and into the served document.

    generate.py OUTDIR [ROOT]

Everything a route promises is decided here, at build time: what is not understood is refused with its place in the
file, so that no word in a fragment is silently without effect. proto/README.md describes the words. Reading order:
Contract (load and check), Tables (schemas as C), emit_* (the files), document (OpenAPI), yaml.
"""

import hashlib
import json
import os
import re
import sys
from decimal import Decimal

METHODS = ["get", "post", "put", "patch", "delete"]
RATES = ["global", "token", "verify", "credentials", "metafields", "exempt"]
TIMEOUTS = {"normal": 5000, "slow": 15000}
FORMATS = {"date-time": "DATE_TIME", "email": "EMAIL", "uri": "URI", "uuid": "UUID", "date": "DATE", "slug": "SLUG",
           "phone": "PHONE", "binary": "BINARY"}
ANNOTATIONS = {"description", "title", "examples", "example", "deprecated", "readOnly", "default"}
WORDS = {                                # what is enforced, per type of a request schema
    "any": set(),
    "boolean": set(),
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum", "multipleOf"},
    "string": {"minLength", "maxLength", "enum", "format"},
    "array": {"minItems", "maxItems", "items"},
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties", "x-strict"},
}
OPERATION_WORDS = {"operationId", "summary", "description", "tags", "security", "parameters", "requestBody",
                   "responses", "deprecated", "x-rate", "x-timeout", "x-retry", "x-idempotent", "x-body-limit",
                   "x-stream", "x-upload", "x-pool", "x-errors"}
INTERNAL_WORDS = {"summary", "description", "request", "reply", "x-callers", "x-pool", "x-timeout", "x-retry",
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
        self.scopes, self.callers, self.parameters = [], [], []
        self.stream = self.upload = self.body_required = False
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
        for word in ("x-retry", "x-idempotent", "x-stream", "x-upload"):
            if not isinstance(node.get(word, False), bool):
                refuse(where, f"{word} must be true or false")
        if not isinstance(self.body_limit, int) or not 0 < self.body_limit <= 16 * 1024 * 1024:
            refuse(where, "x-body-limit must be bytes, at most 16777216")
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
                self.add_fragment(file, load(os.path.join(self.proto, file)))
        self.add_internal("internal.json", load(os.path.join(self.proto, "internal.json")))
        self.operations.sort(key=lambda operation: operation.name)
        self.services = sorted({o.service for o in self.operations} | set(self.fragments) - {"gateway"})
        self.check_names()

    def add_fragment(self, file, fragment):
        where = f"proto/{file}"
        only(fragment, FRAGMENT_WORDS, where)
        service = fragment.get("x-service")
        if service not in self.layers or service == "operator":
            refuse(where, f'x-service "{service}" is in no layer of common.json')
        if service in self.fragments:
            refuse(where, f'"{service}" has two fragments')
        only(fragment.get("components", {}), COMPONENT_KINDS, f"{where}: components")
        self.fragments[service] = fragment
        for path, item in fragment.get("paths", {}).items():
            only(item, METHODS, f"{where}: {path}")
            for method, node in item.items():
                self.operations.append(self.http(service, fragment, path, method, node, f"{where}: {method} {path}"))

    def http(self, service, fragment, path, method, node, where):
        only(node, OPERATION_WORDS, where)
        if "operationId" not in node:
            refuse(where, "needs an operationId")
        components = [fragment.get("components", {}), self.common_components]
        self_ = Operation(self, service, node["operationId"], where, node, components)
        self_.path, self_.method = path, method
        self_.stream, self_.upload = node.get("x-stream", False), node.get("x-upload", False)
        self_.retry = node.get("x-retry", method == "get")
        self_.rate = node.get("x-rate", "global" if path.startswith("/api/") else "exempt")
        if self_.rate not in RATES:
            refuse(where, f"x-rate must be one of {', '.join(RATES)}")
        if method == "post" and path.startswith("/api/apps/v1/") and "x-idempotent" not in node:
            refuse(where, "say x-idempotent true, or false when it changes nothing")
        self.read_security(self_)
        self.read_parameters(self_)
        self.read_body(self_)
        self.check_responses(self_)
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
        try:
            operation.body = body["content"]["application/json"]["schema"]
        except KeyError:
            refuse(where, "needs content application/json with a schema")
        schema, _ = operation.resolve(operation.body, "schemas", where)
        if operation.path.startswith("/api/v1/") and not schema.get("x-strict"):
            refuse(where, "bodies of the developer family say x-strict (unknown fields are named as errors)")

    @staticmethod
    def check_responses(operation):
        responses = operation.node.get("responses", {})
        if not any(status.startswith("2") or status == "302" for status in responses):
            refuse(operation.where, "needs a success response")
        for status, response in responses.items():
            where = f"{operation.where}: responses: {status}"
            if not re.fullmatch(r"[1-5][0-9][0-9]", status):
                refuse(where, "must be a status")
            response, _ = operation.resolve(response, "responses", where)
            only(response, {"description", "content", "headers", "x-data", "x-list", "x-members"}, where)
            if status.startswith("2") and not ("x-data" in response or response.get("content")):
                refuse(where, "needs x-data or content: no answer is empty")

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
            components = [internal.get("components", {}), self.fragments.get(service, {}).get("components", {}),
                          self.common_components]
            operation = Operation(self, service, rest, here, node, components)
            operation.retry = node.get("x-retry", False)
            operation.body = node.get("request")
            operation.body_required = operation.body is not None
            if "reply" not in node:
                refuse(here, "needs a reply schema")
            operation.callers = node.get("x-callers", [])
            if not operation.callers:
                refuse(here, "needs x-callers: who may call it?")
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
            for service, fragment in self.fragments.items():
                for name in fragment.get("components", {}).get(kind, {}):
                    if name in owners:
                        refuse(f"proto/{service}.json", f"{kind}: {name} is already in {owners[name]}")
                    owners[name] = f"{service}.json"


# ---- schemas and operations as C -------------------------------------------------------------------------------------


def c_text(text):
    """A C string literal; ? is escaped because -std=c11 knows trigraphs."""
    if text is None:
        return "NULL"
    escaped = []
    for byte in text.encode():
        char = chr(byte)
        if char in '"\\?':
            escaped.append("\\" + char)
        elif 32 <= byte < 127:
            escaped.append(char)
        else:
            escaped.append({"\n": "\\n", "\t": "\\t"}.get(char, f"\\{byte:03o}"))
    return '"' + "".join(escaped) + '"'


def c_long_text(text, width=100):
    return "\n".join("    " + c_text(text[start:start + width]) for start in range(0, len(text), width)) or '    ""'


def c_bool(value):
    return "true" if value else "false"


class Tables:
    """Static const definitions in the order they are needed; equal ones are written once."""

    def __init__(self):
        self.lines, self.names, self.counts = [], {}, {}

    def define(self, kind, declaration, value):
        if (kind, value) not in self.names:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            name = f"{kind}_{self.counts[kind]}"
            self.lines.append(f"static const {declaration.format(name)} = {value};")
            self.names[kind, value] = name
        return self.names[kind, value]

    def texts(self, values):
        if not values:
            return "NULL"
        return self.define("texts", "char *const {}[]", "{" + ", ".join(map(c_text, values)) + ", NULL}")

    def schema(self, operation, node, where, inside=()):
        node, name = operation.resolve(node, "schemas", where)
        if name in inside:
            refuse(where, f"{name} contains itself: requests must have a bounded depth")
        inside += (name,) if name else ()
        if not isinstance(node, dict):
            refuse(where, "a schema must be an object")
        kinds = node.get("type", "any")
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        nullable = "null" in kinds and len(kinds) == 2
        kinds = [kind for kind in kinds if kind != "null"]
        if len(kinds) != 1 or kinds[0] not in WORDS:
            refuse(where, f'type {node["type"]} is not enforced: one type, or one and "null"')
        kind = kinds[0]
        for word in node:
            if word not in WORDS[kind] | ANNOTATIONS | {"type"}:
                refuse(where, f'"{word}" is not enforced for {kind}; proto/README.md lists the words that are')
        members = getattr(self, f"schema_{kind}")(operation, node, where, inside)
        members = ([".nullable = true"] if nullable else []) + members
        kind_c = {"number": "MONEY"}.get(kind, kind.upper())
        return self.define("schema", "struct schema {}", "{" + ", ".join([f".type = SCHEMA_{kind_c}"] + members) + "}")

    @staticmethod
    def bounds(node, low_word, high_word, where, low="0", high="INT64_MAX", scale=1):
        texts = []
        for word, otherwise in ((low_word, low), (high_word, high)):
            value = node.get(word)
            if value is not None:
                value = Decimal(value) * scale
                if value != int(value) or abs(value) > 2**63 - 1:
                    refuse(where, f"{word} must be within 64 bits and have no more decimals than multipleOf")
            texts.append(otherwise if value is None else f"INT64_C({int(value)})")
        if node.get(low_word) is not None and node.get(high_word) is not None and node[low_word] > node[high_word]:
            refuse(where, f"{low_word} is above {high_word}")
        return [f".min = {texts[0]}", f".max = {texts[1]}"]

    def schema_any(self, operation, node, where, inside):
        return []

    def schema_boolean(self, operation, node, where, inside):
        return []

    def schema_integer(self, operation, node, where, inside):
        return self.bounds(node, "minimum", "maximum", where, "INT64_MIN")

    def schema_number(self, operation, node, where, inside):
        decimals = {Decimal(1): 0, Decimal("0.01"): 2, Decimal("0.001"): 3}.get(Decimal(node.get("multipleOf", 0)))
        if decimals is None:
            refuse(where, "number needs multipleOf 1, 0.01 or 0.001: nothing here passes through a double")
        return [f".decimals = {decimals}"] + self.bounds(node, "minimum", "maximum", where, "-MONEY_MAX", "MONEY_MAX",
                                                         10**decimals)

    def schema_string(self, operation, node, where, inside):
        members = self.bounds(node, "minLength", "maxLength", where)
        if "format" in node:
            if node["format"] not in FORMATS or (node["format"] == "binary" and operation.path):
                refuse(where, f'format "{node["format"]}" is not enforced')
            members.append(f".format = FORMAT_{FORMATS[node['format']]}")
        if "enum" in node:
            choices = [choice for choice in node["enum"] if choice is not None]
            if not all(isinstance(choice, str) for choice in choices) or (
                    len(choices) < len(node["enum"]) and "null" not in node["type"]):
                refuse(where, "enum must be a list of strings")
            members.append(f".choices = {self.texts(choices)}")
        return members

    def schema_array(self, operation, node, where, inside):
        items = self.schema(operation, node.get("items", {}), f"{where}: items", inside)
        return self.bounds(node, "minItems", "maxItems", where) + [f".items = &{items}"]

    def schema_object(self, operation, node, where, inside):
        members = self.bounds(node, "minProperties", "maxProperties", where)
        further, properties = node.get("additionalProperties"), node.get("properties", {})
        if further is False:
            refuse(where, "say x-strict instead of additionalProperties false")
        if further is not None:
            members.append(".additional = true")
            if further is not True:
                members.append(f".items = &{self.schema(operation, further, f'{where}: additionalProperties', inside)}")
        if node.get("x-strict"):
            members.append(".strict = true")
        for name in node.get("required", []):
            if name not in properties:
                refuse(where, f'required "{name}" is not among the properties')
        if properties:
            fields = []
            for name, child in properties.items():
                schema = self.schema(operation, child, f"{where}: {name}", inside)
                fields.append(f"{{{c_text(name)}, &{schema}, {c_bool(name in node.get('required', []))}}}")
            fields = self.define("fields", "struct field {}[]", "{" + ", ".join(fields) + "}")
            members += [f".fields = {fields}", f".field_count = {len(properties)}"]
        return members

    def parameter_list(self, operation):
        rows = []
        for node, where in operation.parameters:
            schema = self.schema(operation, node["schema"], where)
            otherwise = operation.resolve(node["schema"], "schemas", where)[0].get("default")
            if isinstance(otherwise, bool):
                otherwise = c_bool(otherwise)
            rows.append("{%s, &%s, %s, PLACE_%s, %s, %s}" % (
                c_text(node["name"]), schema, c_text(None if otherwise is None else str(otherwise)),
                node["in"].upper(), c_bool(node.get("required")), c_bool(node.get("x-clamp"))))
        return self.define("parameters", "struct parameter {}[]", "{" + ", ".join(rows) + "}") if rows else "NULL"

    def operation(self, operation):
        body = "NULL"
        if operation.body is not None:
            body = "&" + self.schema(operation, operation.body, f"{operation.where}: body")
        members = {
            "name": c_text(operation.name), "service": c_text(operation.service), "pool": c_text(operation.pool),
            "audience": f"AUDIENCE_{operation.audience.upper()}", "method": f"HTTP_{operation.method.upper()}",
            "path": c_text(operation.path), "scopes": self.texts(operation.scopes),
            "callers": self.texts(operation.callers), "rate": f"RATE_{operation.rate.upper()}",
            "timeout_ms": operation.timeout_ms, "body_size_max": operation.body_limit,
            "idempotent": c_bool(operation.idempotent), "retry": c_bool(operation.retry),
            "stream": c_bool(operation.stream), "upload": c_bool(operation.upload),
            "upper_case": c_bool((operation.path or "").startswith("/api/v1/")),
            "body_required": c_bool(operation.body_required), "body": body,
            "parameters": self.parameter_list(operation), "parameter_count": len(operation.parameters),
        }
        return "    {" + ", ".join(f".{name} = {value}" for name, value in members.items()) + "},"


# ---- the files -------------------------------------------------------------------------------------------------------

BANNER = "/* Made by proto/generate.py from the fragments in proto; changes here are lost. */\n"


def emit_errors(contract, digest):
    codes = contract.common["x-errors"]
    names = ",\n".join(f"    FAIL_{code.upper()}" for code in codes)
    header = f"{BANNER}#ifndef ERRORS_H\n#define ERRORS_H\n\nenum fail {{\n{names},\n}};\n\n#endif\n"
    rows = "\n".join(f"    [FAIL_{code.upper()}] = {{{error['status']}, {c_text(code)}, {c_text(code.upper())}, "
                     f"{c_text(error['message'])}}}," for code, error in codes.items())
    source = (f'{BANNER}#include "contract.h"\n\nconst char contract_digest[] = "{digest}";\n'
              f"const struct fail_text fail_texts[] = {{\n{rows}\n}};\nconst unsigned fail_count = {len(codes)};\n")
    return {"errors.h": header, "errors.c": source}


def emit_array(declaration, rows):
    """An array of rows; C has no empty arrays, so that one gets a row nobody counts."""
    return f"{declaration} = {{\n" + ("\n".join(rows) or "    {0},") + "\n};\n"


def emit_operations(operations):
    tables = Tables()
    rows = [tables.operation(operation) for operation in operations]
    return {"operations.c": BANNER + '#include "contract.h"\n#include "money.h"\n\n' + "\n".join(tables.lines) + "\n\n"
            + emit_array("const struct operation operations[]", rows)
            + f"const unsigned operation_count = {len(rows)};\n"}


def migrations_of(root, service):
    for folder in ("libshared/schema", f"services/{service}/schema"):
        path = os.path.join(root, folder)
        for file in sorted(os.listdir(path)) if os.path.isdir(path) else []:
            if file.endswith(".sql"):
                with open(os.path.join(path, file), encoding="utf-8") as sql:
                    yield file, sql.read()


def emit_service(contract, service):
    prefix = c_name(service)
    own = [operation for operation in contract.operations if operation.service == service]
    tables = Tables()
    rows = [tables.operation(operation) for operation in own]
    guard = f"{prefix.upper()}_OPERATIONS_H"
    header = (f'{BANNER}#ifndef {guard}\n#define {guard}\n\n#include "service.h"\n\n'
              + "".join(f"int {operation.handler}(struct call *call);\n" for operation in own)
              + f"\nextern const struct handler {prefix}_handlers[];\nextern const unsigned {prefix}_handler_count;\n"
              f"extern const struct migration {prefix}_migrations[];\n"
              f"extern const unsigned {prefix}_migration_count;\n\n#endif\n")
    migrations = list(migrations_of(contract.root, service))
    source = (f'{BANNER}#include "{prefix}_operations.h"\n#include "money.h"\n\n' + "\n".join(tables.lines) + "\n\n"
              + (emit_array("static const struct operation own_operations[]", rows) if rows else "")
              + emit_array(f"const struct handler {prefix}_handlers[]",
                           [f"    {{&own_operations[{index}], {operation.handler}}},"
                            for index, operation in enumerate(own)])
              + f"const unsigned {prefix}_handler_count = {len(own)};\n"
              + emit_array(f"const struct migration {prefix}_migrations[]",
                           [f"    {{{c_text(name)},\n{c_long_text(sql)}}}," for name, sql in migrations])
              + f"const unsigned {prefix}_migration_count = {len(migrations)};\n")
    return {f"{prefix}_operations.h": header, f"{prefix}_operations.c": source}


def emit_document(json_text, yaml_text):
    source = BANNER + '#include <stddef.h>\n\n#include "openapi.h"\n'
    for name, text in (("openapi_json", json_text), ("openapi_yaml", yaml_text)):
        source += f"\nconst char {name}[] =\n{c_long_text(text)};\nconst size_t {name}_size = sizeof({name}) - 1;\n"
    header = (f"{BANNER}#ifndef OPENAPI_H\n#define OPENAPI_H\n\n#include <stddef.h>\n\n"
              "extern const char openapi_json[];\nextern const size_t openapi_json_size;\n"
              "extern const char openapi_yaml[];\nextern const size_t openapi_yaml_size;\n\n#endif\n")
    return {"openapi.h": header, "openapi.c": source, "openapi.json": json_text, "openapi.yaml": yaml_text}


# ---- the served document ---------------------------------------------------------------------------------------------


class Document:
    """The merged OpenAPI document: internal words out, envelopes and standard answers in."""

    def __init__(self, contract):
        self.contract, self.common = contract, contract.common
        self.error_responses = {}
        components = {kind: dict(nodes) for kind, nodes in contract.common_components.items()}
        paths, tags = {}, []
        for service, fragment in contract.fragments.items():
            tags += fragment.get("tags", [])
            for kind, nodes in fragment.get("components", {}).items():
                components.setdefault(kind, {}).update(nodes)
        for operation in contract.operations:
            if operation.path:
                paths.setdefault(operation.path, {})[operation.method] = self.operation(operation)
        components.setdefault("responses", {}).update(self.error_responses)
        self.root = self.public({
            "openapi": self.common["openapi"], "info": self.common["info"], "servers": self.common["servers"],
            "tags": tags, "paths": dict(sorted(paths.items())), "components": components})
        self.root["x-protocol-errors"] = sorted({self.status(code) for code in self.common["x-protocol-errors"]})

    def status(self, code):
        return self.common["x-errors"][code]["status"]

    def public(self, node):
        """Copies a node without our own words; x-strict becomes what it means."""
        if isinstance(node, list):
            return [self.public(item) for item in node]
        if not isinstance(node, dict):
            return node
        result = {word: self.public(value) for word, value in node.items() if word not in (
            "x-strict", "x-pool", "x-timeout", "x-retry", "x-idempotent", "x-body-limit", "x-errors", "x-stream",
            "x-upload")}
        if node.get("x-strict"):
            result["additionalProperties"] = False
        return result

    def operation(self, operation):
        node = {word: value for word, value in operation.node.items() if word not in ("responses", "security")}
        node["security"] = [
            {scheme: operation.scopes for scheme in schemes}
            for schemes in self.common["x-audiences"].get(operation.audience, {"requirements": []})["requirements"]]
        headers = []
        if operation.method == "get":
            headers.append("IfNoneMatch")
        if operation.idempotent:
            headers.append("IdempotencyKey")
        if headers:
            node["parameters"] = operation.node.get("parameters", []) + [
                {"$ref": f"#/components/parameters/{name}"} for name in headers]
        node["x-rate"] = operation.rate
        responses = {status: self.success(operation, status, response)
                     for status, response in operation.node["responses"].items()}
        if operation.method == "get" and "200" in responses:
            responses["304"] = {"description": "Not changed since the answer with this ETag.",
                                "headers": self.headers(operation, "ETag")}
        for status, codes in self.standard_errors(operation).items():
            responses.setdefault(status, self.error(operation, status, codes))
        node["responses"] = dict(sorted(responses.items()))
        return node

    def headers(self, operation, *further):
        names = ["X-Request-Id", "X-SeloraX-API-Version"]
        if operation.rate != "exempt":
            names += ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]
        return {name: {"$ref": f"#/components/headers/{name}"} for name in [*names, *further]}

    def success(self, operation, status, response):
        response, _ = operation.resolve(response, "responses", operation.where)
        further = ["ETag"] * (operation.method == "get") + ["Idempotent-Replayed"] * operation.idempotent
        result = {"description": response.get("description", operation.node["summary"]),
                  "headers": {**self.headers(operation, *further), **response.get("headers", {})}}
        if "x-data" in response:
            schema = self.envelope(operation, int(status), response)
            result["content"] = {"application/json": {"schema": schema}}
        elif "content" in response:
            result["content"] = response["content"]
        return result

    @staticmethod
    def envelope(operation, status, response):
        data, properties = response["x-data"], {}
        developer = operation.path.startswith("/api/v1/")
        if response.get("x-list") and developer:
            counts = {name: {"type": "integer", "minimum": 0} for name in ("page", "limit", "total", "totalPages")}
            data = {"type": "object", "required": ["items", *counts],
                    "properties": {"items": {"type": "array", "items": data}, **counts}}
        elif response.get("x-list"):
            data = {"type": "array", "items": data}
            properties = {"pagination": {"$ref": "#/components/schemas/Pagination"}}
        properties = {"data": data, **properties, "status": {"const": status}}
        required = list(properties)
        properties["message"] = {"type": "string"}
        properties.update(response.get("x-members", {}))
        return {"type": "object", "required": required + (["message"] if developer else []), "properties": properties}

    def standard_errors(self, operation):
        standard, groups = self.common["x-standard-errors"], ["any"]
        groups += ["limited"] if operation.rate != "exempt" else []
        groups += [operation.audience] if operation.audience in standard else []
        groups += ["scoped"] if operation.scopes else []
        refusable = [node for node, _ in operation.parameters if node["in"] == "query" and not node.get("x-clamp")]
        groups += ["parameters"] if refusable else []
        groups += ["path"] if "{" in operation.path else []
        groups += ["body"] if operation.body is not None or operation.upload else []
        groups += ["idempotent"] if operation.idempotent else []
        groups += ["unrepeatable"] if operation.method != "get" else []
        result = {}
        codes = [code for group in groups if operation.service != "gateway" for code in standard[group]]
        for code in dict.fromkeys(codes + operation.errors):
            result.setdefault(str(self.status(code)), []).append(code)
        return result

    def error(self, operation, status, codes):
        """Equal error answers become one component: Error401, Error401b, ..."""
        developer = operation.path.startswith("/api/v1/")
        lines = [f"`{code.upper() if developer else code}`: {self.common['x-errors'][code]['meaning']}."
                 for code in codes]
        schema = "DeveloperError" if developer else "Error"
        further = ["Retry-After"] if status in ("429", "503") else []
        response = {"description": "\n".join(lines), "headers": self.headers(operation, *further),
                    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
        for suffix in ["", *"bcdefghijklmnopqrstuvwxyz"]:
            name = f"Error{status}{suffix}"
            if self.error_responses.setdefault(name, response) == response:
                return {"$ref": f"#/components/responses/{name}"}
        return response


def yaml(node, indent=0):
    """Block YAML of a JSON value; whatever is no plain word is written as a JSON string, which YAML reads as well."""
    pad = "  " * indent
    if isinstance(node, dict) and node:
        lines = []
        for key, value in node.items():
            nested = isinstance(value, (dict, list)) and value
            text = "\n" + yaml(value, indent + 1) if nested else " " + yaml(value)
            lines.append(f"{pad}{yaml_scalar(key)}:{text}")
        return "\n".join(lines)
    if isinstance(node, list) and node:
        return "\n".join(f"{pad}- {yaml(item, indent + 1).lstrip(' ')}" for item in node)
    return yaml_scalar(node)


def yaml_scalar(value):
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*", value)
    if plain and value.lower() not in ("true", "false", "null", "yes", "no", "on", "off", "y", "n"):
        return value
    return dump(value)


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=float)


def generate(root):
    """All files, name to text."""
    contract = Contract(root)
    served = Document(contract).root
    json_text = dump(served)
    digest = hashlib.sha256(json_text.encode()).hexdigest()
    operations = [operation for operation in contract.operations if operation.service != "gateway"]
    files = {**emit_errors(contract, digest), **emit_operations(operations)}
    for service in contract.services:
        if service != "gateway":
            files.update(emit_service(contract, service))
    files.update(emit_document(json_text, yaml(json.loads(json_text)) + "\n"))
    return files


def write_if_changed(path, text):
    """A file that stays the same keeps its time, so that nothing is compiled again for it."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    except FileNotFoundError:
        pass
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main(arguments):
    if len(arguments) not in (2, 3):
        sys.exit(__doc__)
    target = arguments[1]
    root = arguments[2] if len(arguments) == 3 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        files = generate(root)
    except Refused as refused:
        sys.exit(f"generate.py: {refused}")
    os.makedirs(target, exist_ok=True)
    for name, text in files.items():
        write_if_changed(os.path.join(target, name), text)


if __name__ == "__main__":
    main(sys.argv)

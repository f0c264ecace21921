"""Schemas and operations as static C tables (libshared/contract.h)."""

import os
from decimal import Decimal

from contract import c_name, refuse

FORMATS = {"date-time": "DATE_TIME", "email": "EMAIL", "uri": "URI", "uuid": "UUID", "date": "DATE", "slug": "SLUG",
           "phone": "PHONE", "name": "NAME", "text": "TEXT", "host": "HOST", "image": "IMAGE", "images": "IMAGES", "binary": "BINARY"}
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
            if node["format"] not in FORMATS or (
                    node["format"] == "binary" and operation.path and not operation.multipart):
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
            "callers": self.texts(operation.callers), "actors": self.texts(operation.actors),
            "rate": f"RATE_{operation.rate.upper()}", "role": c_text(operation.role),
            "timeout_ms": operation.timeout_ms, "body_size_max": operation.body_limit,
            "idempotent": c_bool(operation.idempotent), "retry": c_bool(operation.retry),
            "stream": c_bool(operation.stream), "upload": c_bool(operation.upload),
            "batch": c_bool(operation.batch),
            "upper_case": c_bool((operation.path or "").startswith("/api/v1/")),
            "answer": f"ANSWER_{operation.answer.upper()}", "form": c_bool(operation.form),
            "form_only": c_bool(operation.form_only), "multipart": c_bool(operation.multipart),
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


def takes(operation):
    """What its handler is given: one call, or the calls of one app in one store."""
    return "struct call_batch *batch" if operation.batch else "struct call *call"


def emit_service(contract, service):
    prefix = c_name(service)
    own = [operation for operation in contract.operations if operation.service == service]
    tables = Tables()
    rows = [tables.operation(operation) for operation in own]
    guard = f"{prefix.upper()}_OPERATIONS_H"
    header = (f'{BANNER}#ifndef {guard}\n#define {guard}\n\n#include "service.h"\n\n'
              + "".join(f"int {operation.handler}({takes(operation)});\n" for operation in own)
              + f"\nextern const struct handler {prefix}_handlers[];\nextern const unsigned {prefix}_handler_count;\n"
              f"extern const struct migration {prefix}_migrations[];\n"
              f"extern const unsigned {prefix}_migration_count;\n\n#endif\n")
    migrations = list(migrations_of(contract.root, service))
    source = (f'{BANNER}#include "{prefix}_operations.h"\n#include "money.h"\n\n' + "\n".join(tables.lines) + "\n\n"
              + (emit_array("static const struct operation own_operations[]", rows) if rows else "")
              + emit_array(f"const struct handler {prefix}_handlers[]",
                           [f"    {{.operation = &own_operations[{index}], "
                            f".{'run_batch' if operation.batch else 'run'} = {operation.handler}}},"
                            for index, operation in enumerate(own)])
              + f"const unsigned {prefix}_handler_count = {len(own)};\n"
              + emit_array(f"const struct migration {prefix}_migrations[]",
                           [f"    {{{c_text(name)},\n{c_long_text(sql)}}}," for name, sql in migrations])
              + f"const unsigned {prefix}_migration_count = {len(migrations)};\n")
    return {f"{prefix}_operations.h": header, f"{prefix}_operations.c": source}

"""The served document: everything of the contract that concerns clients, with envelopes and standard answers spelt out."""

import json
import re
from decimal import Decimal

from contract import PARTS, refuse

LINES = "application/x-ndjson"

# ---- the served document ---------------------------------------------------------------------------------------------


class Document:
    """The merged OpenAPI document: internal words out, envelopes and standard answers in."""

    def __init__(self, contract, examples):
        self.contract, self.common, self.examples = contract, contract.common, examples
        self.error_responses = {}
        components = {kind: dict(nodes) for kind, nodes in contract.common_components.items()}
        paths, tags = {}, []
        for fragment in contract.fragments.values():
            tags += fragment.get("tags", [])
            for kind, nodes in fragment.get("components", {}).items():
                components.setdefault(kind, {}).update(nodes)
        for operation in contract.operations:
            if operation.path:
                paths.setdefault(operation.path, {})[operation.method] = self.operation(operation)
        components.setdefault("responses", {}).update(self.error_responses)
        self.root = self.public({
            "openapi": self.common["openapi"], "info": self.common["info"], "servers": self.common["servers"],
            "tags": self.in_groups(tags, paths), "paths": dict(sorted(paths.items())), "webhooks": self.webhooks(),
            "components": components, "x-tagGroups": self.common["x-tagGroups"]})
        self.root["x-protocol-errors"] = sorted({self.status(code) for code in self.common["x-protocol-errors"]})

    def status(self, code):
        return self.common["x-errors"][code]["status"]

    def in_groups(self, tags, paths):
        """The tags in the order of their groups; one that is used stands in a group, else nobody would find it."""
        order = [tag for group in self.common["x-tagGroups"] for tag in group["tags"]]
        for path, item in paths.items():
            for tag in {tag for node in item.values() for tag in node.get("tags", [])} - set(order):
                refuse(f"common.json: x-tagGroups: {path}", f'tag "{tag}" is in no group')
        return sorted(tags, key=lambda tag: order.index(tag["name"]))

    def webhooks(self):
        """What is sent to an app's own server: each topic that the platform answered with its sample."""
        return {topic["topic"]: {"post": self.webhook(topic)} for topic in self.examples.topics}

    def webhook(self, topic):
        scope = f"Needs the scope `{topic['required_scope']}`." if topic["required_scope"] else "Needs no scope."
        body = {"event_id": "0190f3a2-0000-7000-8000-000000000001", "event_topic": topic["topic"], "store_id": 1,
                "timestamp": "2026-01-15T08:30:00.000Z", "data": topic["sample"]}
        schema = {"type": "object", "required": list(body), "properties": {
            "event_id": {"type": "string", "format": "uuid"}, "event_topic": {"const": topic["topic"]},
            "store_id": {"type": "integer"}, "timestamp": {"type": "string", "format": "date-time"},
            "data": shape(topic["sample"])}}
        headers = [{"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
                   for name, text in self.common["x-webhook-headers"].items()]
        return {"operationId": "on." + topic["topic"], "tags": ["Webhooks"], "summary": topic["description"],
                "description": f"{scope} Sent to every subscription of `{topic['topic']}`; `data` as a subscription without "
                               "`permissions` and `fields` gets it. Check the signature before anything else.",
                "security": [], "parameters": headers,
                "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": body}}},
                "responses": {"2XX": {"description": "Taken. Anything else, and silence for ten seconds, is tried again."}}}

    def public(self, node):
        """Copies a node without our own words; x-strict becomes what it means. Steps below a thousandth are left out: to who
        reads doubles, as validators do, 0.2 is no multiple of a millionth."""
        if isinstance(node, list):
            return [self.public(item) for item in node]
        if not isinstance(node, dict):
            return node
        result = {word: self.public(value) for word, value in node.items() if word not in (
            "x-strict", "x-pool", "x-timeout", "x-retry", "x-idempotent", "x-body-limit", "x-errors", "x-stream",
            "x-upload", "x-batch", "x-answer")}
        if node.get("x-strict"):
            result["additionalProperties"] = False
        if isinstance(result.get("multipleOf"), Decimal) and result["multipleOf"] < Decimal("0.001"):
            del result["multipleOf"]
        return result

    def operation(self, operation):
        node = {word: value for word, value in operation.node.items() if word not in ("responses", "security")}
        node["description"] = " ".join(filter(None, [
            node.get("description"),
            operation.role and f"For members of the app from the role `{operation.role}` on."])) + self.conditions(operation)
        node["security"] = [
            {scheme: operation.scopes for scheme in schemes}
            for schemes in self.common["x-audiences"].get(operation.audience, {"requirements": []})["requirements"]]
        headers = []
        if operation.method == "get" and operation.answer != "page":
            headers.append("IfNoneMatch")
        if operation.conditional:
            headers.append("IfMatch")
        if operation.idempotent:
            headers.append("IdempotencyKey")
        if headers:
            node["parameters"] = operation.node.get("parameters", []) + [
                {"$ref": f"#/components/parameters/{name}"} for name in headers]
        node["x-rate"] = operation.rate
        if operation.upload:                                # whatever is in the lines, the gateway asks for this type
            node["requestBody"] = {"required": True, **node.get("requestBody", {}), "content": {LINES: {"schema": {"type": "string"}}}}
        if "requestBody" in node:
            node["requestBody"] = self.body(operation, node["requestBody"])
        responses = {status: self.success(operation, status, response)
                     for status, response in operation.node["responses"].items()}
        if operation.method == "get" and "200" in responses and operation.answer != "page":
            responses["304"] = {"description": "Not changed since the answer with this ETag.",
                                "headers": self.headers(operation, "ETag")}
        for status, codes in self.standard_errors(operation).items():
            responses.setdefault(status, self.error(operation, status, codes))
        node["responses"] = dict(sorted(responses.items()))
        return node

    @staticmethod
    def conditions(operation):
        scopes = ", ".join(f"`{scope}`" for scope in operation.scopes)
        rate = "Counts in no rate limit" if operation.rate == "exempt" else f"Rate class `{operation.rate}`"
        return f"\n\n{f'Scope {scopes}. ' if scopes else ''}{rate}."

    def body(self, operation, node):
        """With what the platform took once; files are no example."""
        sent = self.examples.request(operation)
        if sent is None or PARTS in node["content"]:
            return node
        lines = sent if isinstance(sent, str) else dump(sent) + "\n"
        return {**node, "content": {kind: {**content, "example": lines if kind == LINES else sent} for kind, content in node["content"].items()}}

    def headers(self, operation, *further):
        names = ["X-Request-Id", "X-SeloraX-API-Version", "X-Content-Type-Options"]
        if operation.rate != "exempt":
            names += ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]
        return {name: {"$ref": f"#/components/headers/{name}"} for name in [*names, *further]}

    def success(self, operation, status, response):
        response, _ = operation.resolve(response, "responses", operation.where)
        further = ["ETag"] * (operation.method == "get" and operation.answer != "page") + ["Idempotent-Replayed"] * operation.idempotent
        result = {"description": response.get("description", operation.node["summary"]),
                  "headers": {**self.headers(operation, *further), **response.get("headers", {})}}
        if "x-data" in response:
            schema = self.envelope(operation, int(status), response)
            result["content"] = {"application/json": {"schema": schema}}
        elif "content" in response:
            result["content"] = dict(response["content"])
        example = self.examples.answer(operation, status)
        if example is not None:
            [kind] = list(result["content"])[:1]
            result["content"][kind] = {**result["content"][kind], "example": example}
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
        groups += ["conditional"] if operation.conditional else []
        groups += ["unrepeatable"] if operation.method != "get" else []
        result = {}
        codes = [code for group in groups if operation.service != "gateway" for code in standard[group]]
        for code in dict.fromkeys(codes + operation.errors):
            result.setdefault(str(self.status(code)), []).append(code)
        return result

    def error(self, operation, status, codes):
        """Equal error answers become one component: Error401, Error401b, ..."""
        developer = operation.path.startswith("/api/v1/")
        lines = [f"[`{code.upper() if developer else code}`](/api/docs/errors/{code}): {self.common['x-errors'][code]['meaning']}."
                 for code in codes]
        schema = "OAuthError" if operation.answer == "oauth" else "DeveloperError" if developer else "Error"
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}, "examples": {
            code: {"summary": self.common["x-errors"][code]["meaning"], "value": self.examples.error(code, schema)} for code in codes}}}
        if operation.answer == "page":
            content = {"text/html": {"schema": {"type": "string"}}}
        further = ["Retry-After"] if status in ("429", "503") else []
        if status == "401" and operation.audience in self.common["x-audiences"]:
            further.append("WWW-Authenticate")
        response = {"description": "\n".join(lines), "headers": self.headers(operation, *further), "content": content}
        for suffix in ["", *"bcdefghijklmnopqrstuvwxyz"]:
            name = f"Error{status}{suffix}"
            if self.error_responses.setdefault(name, response) == response:
                return {"$ref": f"#/components/responses/{name}"}
        return response


def shape(value):
    """The schema of a sample: its members and their types, none of which must be there."""
    if isinstance(value, dict):
        return {"type": "object", "properties": {name: shape(inner) for name, inner in value.items()}}
    if isinstance(value, list):
        return {"type": "array", "items": shape(value[0]) if value else {}}
    kinds = {bool: "boolean", int: "integer", Decimal: "number", str: "string"}
    return {"type": [kinds[type(value)], "null"]} if value is not None else {}


SLUG = "^[a-z0-9-]+$"                    # the formats of our own that stand in it, as patterns


def manifest_schema(document):
    """What an app's manifest may be, as a JSON Schema that stands by itself."""
    def alone(node):
        if isinstance(node, list):
            return [alone(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return alone(document["components"]["schemas"][node["$ref"].rsplit("/", 1)[1]])
        own = {"slug": {"pattern": SLUG}, "name": {}, "text": {}}.get(node.get("format"))
        result = {word: alone(value) for word, value in node.items() if word != "format" or own is None}
        return {**result, **(own or {})}

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "SeloraX app manifest",
            **alone(document["components"]["schemas"]["AppManifest"])}


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
    # YAML's numbers need a point in front of the exponent.
    if isinstance(value, str):                          # what YAML does not print (5.1), JSON does
        return re.sub("[\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]", lambda found: f"\\u{ord(found.group()):04x}", dump(value))
    return re.sub(r"^(-?[0-9]+)e", r"\1.0e", dump(value))


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=float)

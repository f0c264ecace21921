"""The served document: everything of the contract that concerns clients, with envelopes and standard answers spelt out."""

import json
import re

# ---- the served document ---------------------------------------------------------------------------------------------


class Document:
    """The merged OpenAPI document: internal words out, envelopes and standard answers in."""

    def __init__(self, contract):
        self.contract, self.common = contract, contract.common
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
            "x-upload", "x-batch", "x-answer")}
        if node.get("x-strict"):
            result["additionalProperties"] = False
        return result

    def operation(self, operation):
        node = {word: value for word, value in operation.node.items() if word not in ("responses", "security")}
        if operation.role:
            node["description"] = f"{node.get('description', '')} For members of the app from the role `{operation.role}` on.".strip()
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
        responses = {status: self.success(operation, status, response)
                     for status, response in operation.node["responses"].items()}
        if operation.method == "get" and "200" in responses and operation.answer != "page":
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
        further = ["ETag"] * (operation.method == "get" and operation.answer != "page") + ["Idempotent-Replayed"] * operation.idempotent
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
        lines = [f"`{code.upper() if developer else code}`: {self.common['x-errors'][code]['meaning']}."
                 for code in codes]
        schema = "OAuthError" if operation.answer == "oauth" else "DeveloperError" if developer else "Error"
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
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
        own = {"slug": {"pattern": SLUG}, "name": {}}.get(node.get("format"))
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
    return dump(value) if isinstance(value, str) else re.sub(r"^(-?[0-9]+)e", r"\1.0e", dump(value))


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=float)

#!/usr/bin/python3
"""Takes from what the tests exchanged with the platform what shall stand in the document as examples: `make examples`.

    examples.py RECORDING...      directories; writes proto/examples/answers.json

For each operation one exchange with success for each of its statuses, chosen as the one that says most without being long, and
each error code as it was answered. Secrets keep their form and lose their value. test_contract.py holds the result against the
schemas.
"""

import json
import math
import os
import re
import sys
from collections import defaultdict
from pathlib import Path
from urllib.parse import parse_qsl

import jsonschema

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "proto" / "examples" / "answers.json"
DOCUMENT = Path(os.environ.get("GEN", ROOT / "build" / "gen")) / "openapi.json"
ITEMS_MAX, TEXT_MAX, GOOD_SIZE, REQUEST_MAX = 2, 400, 900, 2000
HEX, PASSWORD = "0123456789abcdef" * 8, "correct horse battery staple"
SECRETS = re.compile(r"((?:sx_[a-z]+_|whsec_))([0-9a-f]{16,})|\b([0-9a-f]{64})\b|(eyJ[\w-]+\.[\w-]+)\.[\w-]+")
ODD = re.compile(r"<script|[^\n\x20-\x7eঀ-৿৳…–’]|\\u0000|x{20}|a{20}|--|;|'|\\\\")
FAMILIAR = ("test_demo", "test_quickstart", "docs/")     # as a reader of the README would have it


def without_secrets(text):
    def plain(found):
        prefix, digits, bare, token = found.groups()
        return f"{token}.{'c2lnbmF0dXJl' * 4}" if token else (prefix or "") + HEX[:len(digits or bare)]
    return SECRETS.sub(plain, text)


def shorter(value):
    if isinstance(value, dict):
        return {name: shorter(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shorter(inner) for inner in value[:ITEMS_MAX]]
    return value


def richness(value):
    """How much an example shows: fields that hold something, each counted once by its name."""
    found = set()

    def look(node, path):
        for name, inner in node.items() if isinstance(node, dict) else enumerate(node[:1]) if isinstance(node, list) else ():
            if inner not in (None, "", [], {}, False, 0):
                found.add((path, name))
            look(inner, (*path, name))

    look(value, ())
    return len(found)


def score(line, body, takes_body):
    """Higher is better. A body that names other resources by their ids works in one store only."""
    text, ids = line["body"], len(re.findall(r'"[a-z_]+_id":', line["request"]))
    size = len(json.dumps(body)) if body is not None else len(text)
    hostile = bool(ODD.search(without_secrets(text) + line["request"]))
    familiar = line["test"].split("::")[0].split("api/")[-1].startswith(FAMILIAR)
    return (not hostile, not takes_body or sent_by(line) is not None, 20 * familiar + richness(body) - 10 * ids - 4 * abs(math.log((size + 50) / GOOD_SIZE)))


def as_json(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def sent_by(line):
    """A body as the document shows it, a form by its fields, of NDJSON some lines; None for what is nothing of these. Whole, unless
    it is long: an answer to a part of it would be another one."""
    body, lines = as_json(line["request"]), line["request"].splitlines(keepends=True)[:ITEMS_MAX]
    if line["path"].startswith("/api/apps/v1/bulk/"):
        return "".join(lines) if lines and all(as_json(each) for each in lines) else None
    if body is None and re.match(r"[a-z_]+=", line["request"]):
        body = dict(parse_qsl(line["request"], keep_blank_values=True))
    if not isinstance(body, dict):
        return None
    body = {**body, "password": PASSWORD} if "password" in body else body
    return body if len(line["request"]) <= REQUEST_MAX else shorter(body)


def excerpt(line):
    """The beginning of a text; of NDJSON whole lines. None for what is no text, as images are."""
    if kind_of(line) == "application/x-ndjson":
        return "".join(line["body"].splitlines(keepends=True)[:ITEMS_MAX])
    return line["body"][:TEXT_MAX] if kind_of(line).startswith("text/") else None


def kind_of(line):
    return next((value for name, value in line["headers"].items() if name.lower() == "content-type"), "").split(";")[0]


def routes(document):
    found = [(method, re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path)) + "$"), path)
             for path, item in document["paths"].items() for method in item]
    return sorted(found, key=lambda route: route[2].count("{"))


class Chosen:
    """The best exchange of each operation and status, and of each error code."""

    def __init__(self, document):
        self.document, self.routes = document, routes(document)
        self.best, self.errors, self.topics = {}, defaultdict(dict), None

    def take(self, line):
        path = line["path"].split("?")[0]
        route = next(((method, template) for method, pattern, template in self.routes
                      if method == line["method"].lower() and pattern.match(path)), None)
        if route is None or line["method"] == "HEAD" or path.startswith("/api/docs/"):
            return
        node, status = self.document["paths"][route[1]][route[0]], str(line["status"])
        if line["status"] >= 400:
            self.take_error(line, route[1])
        elif status in node["responses"] and node["responses"][status].get("content"):
            body = shorter(as_json(line["body"])) if kind_of(line).endswith("json") else None
            known = self.best.get((*route, status))
            if body is None and not excerpt(line):
                return
            worth = score(line, body, "requestBody" in node)
            if (known is None or worth > known[0]) and self.is_plain(node["responses"][status], body):
                self.best[(*route, status)] = (worth, line, body)
            if path == "/api/apps/v1/webhooks/topics":
                self.topics = as_json(line["body"])["data"]

    def is_plain(self, response, body):
        """Whether it is valid also for who reads amounts as doubles: 0.2 is then no multiple of 0.000001."""
        schema = next(iter(response["content"].values()))["schema"]
        resolver = jsonschema.RefResolver("", self.document)
        return body is None or jsonschema.Draft202012Validator(schema, resolver=resolver).is_valid(body)

    def take_error(self, line, path):
        body = as_json(line["body"])
        if not isinstance(body, dict) or "code" not in body or ODD.search(line["body"]):
            return
        schema = "OAuthError" if "error" in body else "DeveloperError" if path.startswith("/api/v1/") else "Error"
        known = self.errors[schema].get(body["code"].lower())
        if known is None or (richness(body), -len(line["body"])) > (richness(known), -len(json.dumps(known))):
            if len(line["body"]) < TEXT_MAX:
                self.errors[schema][body["code"].lower()] = body

    def result(self):
        operations = defaultdict(lambda: {"answers": {}})
        for (method, path, status), (_, line, body) in sorted(self.best.items(), key=lambda each: each[0][1::-1] + each[0][2:]):
            entry = operations[f"{method} {path}"]
            entry["answers"][status] = body if body is not None else excerpt(line)
            sent = sent_by(line)
            if sent is not None:                        # of the last status: what was done says more than what was there already
                entry["request"] = sent
        topics = [{name: topic[name] for name in ("topic", "required_scope", "description", "sample")} for topic in self.topics or []]
        return {"operations": operations, "errors": {schema: dict(sorted(found.items())) for schema, found in sorted(self.errors.items())},
                "topics": sorted(topics, key=lambda topic: topic["topic"])}


def main(directories):
    if not directories:
        sys.exit(__doc__)
    chosen = Chosen(json.loads(DOCUMENT.read_text(encoding="utf-8")))
    for file in sorted(file for directory in directories for file in Path(directory).glob("*.jsonl")):
        with open(file, encoding="utf-8") as lines:
            for text in lines:
                line = json.loads(text)
                if line["kind"] == "http":
                    chosen.take(line)
    text = without_secrets(json.dumps(chosen.result(), ensure_ascii=False, indent=1)) + "\n"
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

"""What apps read: every operation, parameter and field of store data, webhooks, billing and developer apps says what it means, where its name and type do not end it."""

import json
from pathlib import Path

import pytest

PROTO = Path(__file__).resolve().parents[2] / "proto"
FRAGMENTS = {path.name: fragment for path in sorted(PROTO.glob("*.json"))
             if (fragment := json.loads(path.read_text(encoding="utf-8"))).get("x-service") in ("billing", "developer-apps", "store-data", "webhooks")}


def bare(name, node, where):
    """The fields that nothing is said of, by their paths; what a $ref points at speaks for itself."""
    if "$ref" in node:
        return []
    found = [] if name is None or "description" in node else [where]
    for field, inner in node.get("properties", {}).items():
        found += bare(field, inner, f"{where}.{field}")
    if isinstance(node.get("items"), dict):
        found += bare(None, node["items"], where + "[]")
    return found


@pytest.mark.parametrize("name", FRAGMENTS)
def test_all_of_it_is_described(name):
    fragment, missing = FRAGMENTS[name], []
    for path, item in fragment.get("paths", {}).items():
        for method, operation in item.items():
            missing += [f"{method} {path}: {word}" for word in ("summary", "description") if not operation.get(word)]
            missing += [f"{method} {path}: {one['name']}" for one in operation.get("parameters", []) if "$ref" not in one and not one.get("description")]
    for schema, node in fragment.get("components", {}).get("schemas", {}).items():
        missing += bare(None, node, schema)
    assert not missing, "\n".join(missing)


def test_there_are_fragments():
    assert "products.json" in FRAGMENTS and bare("x", {"properties": {"y": {}}}, "x") == ["x", "x.y"]

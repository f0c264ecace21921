#!/usr/bin/python3
"""Turns the contract (proto/*.json) into C tables and into the served document.

    generate.py OUTDIR [ROOT]

Everything a route promises is decided at build time, so that no word in a fragment is silently without effect;
proto/README.md describes the words. Reading order: contract.py (read and check), tables.py (C), openapi.py (the document),
guides.py (the guides), files.py (what is served from memory).
"""

import hashlib
import json
import os
import sys

from contract import Contract, Refused
from errors import error_files
from examples import Examples
from explorer import explorer_files
from files import File, emit_files
from guides import guide_files
from openapi import Document, dump, manifest_schema, yaml
from postman import Collection
from tables import emit_errors, emit_operations, emit_service


def generate(root, target):
    """All files, name to text or bytes."""
    contract = Contract(root)
    examples = Examples(root, contract.common["x-errors"])
    document = Document(contract, examples)
    served = document.root
    json_text = dump(served)
    digest = hashlib.sha256(json_text.encode()).hexdigest()
    operations = [operation for operation in contract.operations if operation.service != "gateway"]
    files = {**emit_errors(contract, digest), **emit_operations(operations)}
    for service in contract.services:
        if service != "gateway":
            files.update(emit_service(contract, service))
    files.update({"openapi.json": json_text, "openapi.yaml": yaml(json.loads(json_text)) + "\n"})
    files.update(emit_files(list(served_files(root, target, document, files)), target))
    return files


def served_files(root, target, document, texts):
    """What the gateway serves from memory."""
    yield File("/api/docs/openapi.json", "application/json", texts["openapi.json"])
    yield File("/api/docs/openapi.yaml", "application/yaml", texts["openapi.yaml"])
    yield File("/api/docs/postman.json", "application/json", dump(Collection(document.root, dump).whole()))
    if "AppManifest" in document.root["components"]["schemas"]:
        yield File("/api/v1/apps/manifest-schema", "application/schema+json", dump(manifest_schema(document.root)))
    yield from guide_files(root)
    yield from error_files(document)
    yield from explorer_files(os.path.join(root, "services", "gateway", "explorer"), os.path.join(target, "viewer"))


def write_if_changed(path, content):
    """A file that stays the same keeps its time, so that nothing is compiled again for it."""
    content = content.encode() if isinstance(content, str) else content
    try:
        with open(path, "rb") as file:
            if file.read() == content:
                return
    except FileNotFoundError:
        pass
    with open(path, "wb") as file:
        file.write(content)


def main(arguments):
    if len(arguments) not in (2, 3):
        sys.exit(__doc__)
    target = arguments[1]
    root = arguments[2] if len(arguments) == 3 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        files = generate(root, target)
    except Refused as refused:
        sys.exit(f"generate.py: {refused}")
    os.makedirs(os.path.join(target, "files"), exist_ok=True)
    for name, content in files.items():
        write_if_changed(os.path.join(target, name), content)


if __name__ == "__main__":
    main(sys.argv)

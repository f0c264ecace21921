#!/usr/bin/python3
"""Turns the contract (proto/*.json) into C tables and into the served document.

    generate.py OUTDIR [ROOT]

Everything a route promises is decided at build time, so that no word in a fragment is silently without effect;
proto/README.md describes the words. Reading order: contract.py (read and check), tables.py (C), openapi.py (the document).
"""

import hashlib
import json
import os
import sys

from contract import Contract, Refused
from openapi import Document, dump, manifest_schema, yaml
from tables import emit_document, emit_errors, emit_operations, emit_service


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
    texts = {"openapi.json": json_text, "openapi.yaml": yaml(json.loads(json_text)) + "\n"}
    if "AppManifest" in served["components"]["schemas"]:
        texts["manifest_schema.json"] = dump(manifest_schema(served))
    files.update(emit_document(texts))
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

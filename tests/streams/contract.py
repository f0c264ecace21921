#!/usr/bin/python3
"""The platform's contract with one more service, for the tests of streams and uploads.

    contract.py TARGET

TARGET becomes a root for proto/generate.py: the fragments of proto, the one of this folder, and its service at the
bottom of the layers.
"""

import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SERVICE = "streams"


def main(target):
    shutil.rmtree(target, ignore_errors=True)
    (target / "proto").mkdir(parents=True)
    for fragment in [*(ROOT / "proto").glob("*.json"), *(HERE / "proto").glob("*.json")]:
        shutil.copy(fragment, target / "proto")
    common = target / "proto" / "common.json"
    text = json.loads(common.read_text(encoding="utf-8"))
    text["x-layers"][0].append(SERVICE)
    common.write_text(json.dumps(text), encoding="utf-8")
    shutil.copytree(ROOT / "libshared" / "schema", target / "libshared" / "schema")
    shutil.copytree(HERE / "schema", target / "services" / SERVICE / "schema")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Everything the tests exchanged with the platform, one JSON line each, for tests/conformance to check.

Written into the directory SX_TEST_RECORDING (default build/VARIANT/recording), one file per test process.
"""

import json
import os
import threading
from decimal import Decimal
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BODY_MAX = 32 * 1024 * 1024          # more than any answer has: what is cut off cannot be held against the document


def directory():
    given = os.environ.get("SX_TEST_RECORDING")
    return Path(given) if given else ROOT / "build" / os.environ.get("VARIANT", "release") / "recording"


def plain(value):
    """Money that was read exactly is a number of the answer; its shortest float is that number again."""
    return float(value) if isinstance(value, Decimal) else str(value)


class Recording:
    """Appends lines; safe for several threads."""

    shared = None

    @classmethod
    def instance(cls):
        cls.shared = cls.shared or cls()
        return cls.shared

    def __init__(self):
        place = directory()
        place.mkdir(parents=True, exist_ok=True)
        self.file = open(place / f"{os.getpid()}.jsonl", "a", encoding="utf-8")
        self.lock = threading.Lock()

    def write(self, **line):
        with self.lock:
            self.file.write(json.dumps(line, default=plain) + "\n")
            self.file.flush()

    def http(self, method, path, body, answer):
        if isinstance(body, bytes):
            body = body.decode("utf-8", "replace")
        sent = body[:BODY_MAX] if isinstance(body, str) else ""
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
        self.write(kind="http", test=test, method=method, path=path, request=sent,
                   status=answer.status_code, headers=dict(answer.headers), body=answer.text[:BODY_MAX])

    def rpc(self, operation, body, status, reply):
        test = os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]
        self.write(kind="rpc", test=test, operation=operation, request=body, status=status, reply=reply)


class Unrecorded:
    """For hundreds of thousands of exchanges that say the same again."""

    def http(self, *_):
        pass

    def rpc(self, *_):
        pass

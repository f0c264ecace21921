"""No operation is left out of `make bench`, and no part of it keeps another from running.

A service is held to this as soon as a file of tests/bench names it (SERVICE) and lists what it measures (ENTRIES).
"""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "tests" / "bench"
sys.path.insert(0, str(BENCH))

from operations import Entry, is_list, is_read, operations_of, uncovered  # noqa: E402

PARTS = {module.SERVICE: module for path in sorted(BENCH.glob("*.py")) if "\nSERVICE = " in path.read_text(encoding="utf-8")
         for module in [importlib.import_module(path.stem)]}


@pytest.mark.parametrize("service", PARTS)
def test_every_operation_is_measured(service):
    missing, unknown = uncovered(service, PARTS[service].ENTRIES)
    assert not missing, f"give each an Entry in tests/bench/{PARTS[service].__name__}.py"
    assert not unknown, "the contract has no such operation"


@pytest.mark.parametrize("service, least, some", [
    ("store-data", 50, {"orders.list", "orders.filter", "customers.orders"}),
    ("webhooks", 30, {"subscriptions.list", "developer_deliveries.list", "merchant_subscriptions.list"}),
    ("billing", 30, {"charges.active", "developer.revenue", "merchant_charges.list"}),
    ("developer-apps", 25, {"apps.list", "apps.installations", "versions.list"})])
def test_a_service_is_measured(service, least, some):
    operations = operations_of(service)
    assert service in PARTS and len(operations) > least
    assert some <= {name for name, operation in operations.items() if is_list(operation)}


def test_what_reads_and_what_writes():
    operations = operations_of("store-data")
    assert is_read(operations["orders.filter"]) and not is_read(operations["orders.create"])


def test_one_that_is_new_is_told(tmp_path):
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    path = tmp_path / "proto" / "shipping.json"
    fragment = json.loads(path.read_text(encoding="utf-8"))
    fragment["paths"]["/api/apps/v1/shipping/couriers"] = {"get": {
        "operationId": "shipping.couriers", "summary": "List couriers", "security": [{"app": ["read:shipping"]}],
        "responses": {"200": {"description": "Couriers.", "x-data": {"type": "object"}}}}}
    path.write_text(json.dumps(fragment), encoding="utf-8")
    entries = [*PARTS["store-data"].ENTRIES, Entry("shipping.nothing", list)]
    assert uncovered("store-data", entries, tmp_path) == (["shipping.couriers"], ["shipping.nothing"])


def test_a_part_that_misses_or_breaks_keeps_none_from_running(tmp_path):
    shutil.copy(BENCH / "run.py", tmp_path)
    for name, body, executable in (("breaks", "raise SystemExit('no platform')", True), ("holds", "print('  ok   one')", True),
                                   ("misses", "print('  MISS two: 3 (at most 2)'); raise SystemExit(1)", True), ("rows", "raise OSError", False)):
        part = tmp_path / f"{name}.py"
        part.write_text(f"#!/usr/bin/python3\n{body}\n", encoding="utf-8")
        part.chmod(0o755 if executable else 0o644)

    def run(*parts):
        done = subprocess.run([tmp_path / "run.py", *parts], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines()

    status, lines = run()
    assert status == 1 and "  ok   one" in lines
    assert lines[-3:] == ["== 3 parts, 2 missed", "  MISS breaks: broke off: no platform", "  MISS misses: two: 3 (at most 2)"]
    assert run("holds")[0] == 0 and run("rows")[0] == 2

#!/usr/bin/python3
"""Runs every layer of the tests (tests/README.md) and ends with one line: N passed, N failed.

SX_TEST_SCALE: how much of the full counts the model, crash and revocation tests do (0.1; `make test-full` gives 1).
SX_TEST_ONLY: names of steps, commas between them, to run only those.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "--tb=short", "--durations=8", "-p", "no:cacheprovider"]


class Counts:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed, failed, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def build(counts, variant):
    """A build that fails is one failed test: nothing after it means anything."""
    command = ["make", "--no-print-directory", "-j2", f"VARIANT={variant}", "all", "unit-tests"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        print(done.stdout[-8000:])
        counts.add(0, 1)
        sys.exit(finish(counts))


def unit(counts, variant):
    for program in sorted((ROOT / "build" / variant / "bin" / "unit").glob("test_*")):
        source = (ROOT / "tests" / "unit" / f"{program.name}.c").read_text()
        command = ["tests/unit/with_postgres.sh", program] if '"database.h"' in source else [program]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        passed = sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test", done.stdout)))
        failed = sum(map(int, re.findall(r"\[  FAILED  \] .*?(\d+) test\(s\), listed", done.stdout)))
        skipped = sum(map(int, re.findall(r"\[  SKIPPED \] (\d+) test", done.stdout)))
        if done.returncode != 0:
            failed = max(failed, 1)
            print(f"--- {program.name} ({variant}) failed:\n{done.stdout[-6000:]}")
        elif passed == 0:
            failed = 1
            print(f"--- {program.name} ({variant}) ran no test")
        counts.add(passed, failed, skipped)


def count_report(counts, path, code):
    try:
        suite = ElementTree.parse(path).getroot().find("testsuite")
        total, skipped = int(suite.get("tests")), int(suite.get("skipped"))
        failed = int(suite.get("failures")) + int(suite.get("errors"))
    except (ElementTree.ParseError, AttributeError, OSError):
        total, failed, skipped = 1, 1, 0
    if code != 0 and failed == 0:               # crashed, interrupted, or collected nothing
        failed = 1
        total = max(total, 1)
    counts.add(max(total - failed - skipped, 0), failed, skipped)


def pytest(counts, folders, variant="release"):
    pytest_side_by_side(counts, [(folders, variant)])


def pytest_side_by_side(counts, shares):
    """Each share is a process of its own, with platforms of its own: most tests wait more than they work."""
    waiting, running = list(shares), {}
    with tempfile.TemporaryDirectory() as directory:
        try:
            while waiting or running:
                while waiting and len(running) < SIDE_BY_SIDE:
                    report, (paths, variant) = f"{directory}/{len(waiting)}.xml", waiting.pop(0)
                    running[report] = subprocess.Popen(PYTEST + ["--junit-xml", report] + paths, cwd=ROOT,
                                                       env={**os.environ, "VARIANT": variant})
                for report in [report for report, process in running.items() if process.poll() is not None]:
                    count_report(counts, report, running.pop(report).returncode)
                time.sleep(0.1)
        except BaseException:
            for process in running.values():
                process.terminate()
            raise


# What these look at is PostgreSQL's: its plans, and which rows a walk meets. A sanitizer would see nothing more.
OF_POSTGRES = {"test_cursor_walk.py", "test_list_plans.py", "test_products_plans.py", "test_stock_plans.py",
               "test_flat_costs.py", "test_webhook_plans.py", "test_webhook_queue_plans.py", "test_billing_plans.py",
               "test_developer_apps_plans.py", "test_marketplace_plans.py", "test_developer_overview_plans.py"}
# What waits most of its time: below full scale not with a sanitizer, which would make it longer.
PATIENT = {"test_audit_trim.py", "test_bulk_faults.py", "test_privacy.py", "test_token_trim.py"}
# At full scale every file runs as released and with the sanitizers, but for OF_POSTGRES; below it each runs once.
IS_FULL = os.environ.get("SX_TEST_SCALE") == "1"


SIDE_BY_SIDE = 3
SHARES = 5 * SIDE_BY_SIDE   # so many that none of those side by side has nothing to do for long at the end
STREAMS = [(["tests/streams"], variant) for variant in ("release", "asan")]


def is_sanitized(path):
    return path.name not in (OF_POSTGRES if IS_FULL else OF_POSTGRES | PATIENT) and path.parent.name not in ("oauth", "verifiers")


def in_shares(variant, chosen):
    """The chosen ones of the API's test files, in shares of about the same length."""
    files = sorted((path for folder in ("api", "rpc", "oauth", "verifiers") for path in (ROOT / "tests" / folder).glob("test_*.py") if chosen(path)),
                   key=lambda path: path.stat().st_size, reverse=True)
    shares, sizes = [[] for _ in range(SHARES)], [0] * SHARES
    for path in files:
        smaller = sizes.index(min(sizes))
        shares[smaller].append(str(path))
        sizes[smaller] += path.stat().st_size
    return [(share, variant) for share in shares if share]


STEPS = [
    ("contract", lambda c: pytest(c, ["tests/proto", "tests/docs"])),
    ("unit", lambda c: unit(c, "release")),
    ("unit-asan", lambda c: unit(c, "asan")),
    # What runs as released comes first: the patient are in it, and at the end they would wait alone.
    ("api", lambda c: pytest_side_by_side(c, STREAMS + in_shares("release", lambda path: IS_FULL or not is_sanitized(path))
                                          + in_shares("asan", is_sanitized))),
    ("chaos", lambda c: pytest(c, ["tests/chaos"])),
    ("conformance", lambda c: pytest(c, ["tests/conformance"])),        # last: it looks at what all others have recorded
]


def finish(counts):
    tail = f", {counts.skipped} skipped" if counts.skipped else ""
    print(f"{counts.passed} passed, {counts.failed} failed{tail}", flush=True)
    return 1 if counts.failed or counts.passed == 0 else 0


def main():
    only = [name for name in os.environ.get("SX_TEST_ONLY", "").split(",") if name]
    recording = tempfile.mkdtemp(prefix="sx-traffic-")
    os.chmod(recording, 0o777)
    os.environ.setdefault("SX_TEST_RECORDING", recording)
    counts = Counts()
    for variant in ("release", "asan"):
        print(f"== build {variant}", flush=True)
        build(counts, variant)
    for name, step in STEPS:
        if only and name not in only:
            continue
        started, failed = time.monotonic(), counts.failed
        print(f"== {name}", flush=True)
        step(counts)
        print(f"== {name}: {time.monotonic() - started:.0f} s, {counts.failed - failed} failed", flush=True)
    return finish(counts)


if __name__ == "__main__":
    sys.exit(main())

"""What every operation of a service costs: a table with a line for each, made from the contract.

A part (store_data.py) says SERVICE and ENTRIES; method, path, status and kind of each request are the contract's. An operation
without an entry is a miss, and a failed test (tests/proto/test_bench.py). Writes are sent once each, with a key of their own, so
that each of them writes. What reads is asked in a small store and in a large one: a list may cost at most FLAT times as much
CPU in the large one. SX_BENCH_OPERATION_SECONDS is the length of one measurement.
"""

import itertools
import os
import statistics
import sys
from pathlib import Path

from figures import ROOT, bearer, check_answers, http, miss, say

sys.path.append(str(ROOT / "proto"))

from contract import Contract  # noqa: E402

CONNECTIONS = 16
SECONDS = float(os.environ.get("SX_BENCH_OPERATION_SECONDS", "0.8"))
SMALL_SECONDS = SECONDS / 2
WARM, WARM_SECONDS = 240, 0.3           # requests before each measurement: every worker has planned its statements then
MANY = 6000                             # more writes than are sent while it is measured
FLAT = 1.5
COSTLY_US = 400
REFERENCE = "store.get"
keys = itertools.count(1)


class Ask:
    """One request of an entry: what its path names, and what is sent. body: bytes of this kind, or a value for JSON. headers: lines
    beside those of the operation's audience."""

    def __init__(self, query="", body=b"", kind="application/json", shop=None, headers="", **ids):
        self.query, self.body, self.kind, self.shop, self.headers, self.ids = query, body, kind, shop, headers, ids


class Entry:
    """asks: a function of a store that answers the requests. settle: a function of it that waits until what they began is done.
    grows: why a list may cost more in a large store; without it, it may not. flat: nor may this one, which is no list of pages, or a
    write.
    most: how many times as much it may cost there. status: where the contract has more than one for success."""

    def __init__(self, operation, asks, what="", settle=None, grows=None, flat=False, most=FLAT, status=None):
        self.operation, self.asks, self.what, self.settle, self.grows = operation, asks, what, settle, grows
        self.flat, self.most, self.status = flat, most, status

    def __str__(self):
        return f"{self.operation} {self.what}".strip()


def operations_of(service, root=ROOT):
    """The operations that HTTP knows of, by their ids."""
    return {operation.id: operation for operation in Contract(str(root)).operations if operation.service == service and operation.path}


def uncovered(service, entries, root=ROOT):
    """Operations without an entry, and entries without an operation."""
    known, named = set(operations_of(service, root)), {entry.operation for entry in entries}
    return sorted(known - named), sorted(named - known)


def success(operation):
    """A form's answer may be nothing but a redirect."""
    return next(status for status in sorted(operation.node["responses"]) if status[0] in "23")


def is_list(operation):
    return bool(operation.node["responses"][success(operation)].get("x-list"))


def is_read(operation):
    return operation.method == "get" or is_list(operation)


def credentials(who, audience):
    """What a route of that audience wants in the head, of a store as an app and its people see it."""
    if audience == "merchant":
        return f"x-auth-token: {who.merchant_token}\r\n"
    if audience == "admin":
        return f"x-auth-token: {who.admin_token}\r\n"
    if audience == "developer":
        return bearer(who.developer_token)
    return bearer(who.access_token) if audience == "app" else ""


def run_us(pid):
    """CPU time of all threads of a process, in microseconds."""
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(path.read_text(encoding="ascii").split()[0])
        except (OSError, IndexError):    # a thread that has just ended
            continue
    return total / 1000


def spent(platform):
    """By the gateways, the services, and the backends of PostgreSQL that serve them."""
    processes = platform.processes
    gateways = [name for name in processes if name.startswith("gateway")]
    backends = [pid for service in platform.counts for pid in platform.postgres.backends(service)]
    return {"gateway": sum(run_us(processes[name].pid) for name in gateways),
            "services": sum(run_us(processes[name].pid) for name in processes if name not in gateways),
            "postgres": sum(run_us(pid) for pid in backends)}


class Measured:
    """One load and what it has cost, per answer."""

    def __init__(self, bench, requests, seconds, once=False, settle=None, wanted="200", what=""):
        before = spent(bench.platform)
        self.load = bench.load(requests, connections=CONNECTIONS, seconds=seconds, once=once)
        check_answers(self.load, wanted, what)
        if settle:
            settle()
        after, answers = spent(bench.platform), self.load["answers"]
        self.cpu_us = [(after[who] - before[who]) / answers for who in after]
        self.sum_us = sum(self.cpu_us)


class Table:
    """small and large may be stores of two platforms: each has its bench. beside: entries of other services, by their names; they are
    not asked whether they name all of that service's operations, and come right behind the reference, before anything is changed: what
    was deleted keeps a platform at work for a while."""

    def __init__(self, service, entries, small, large, reference=REFERENCE, beside=None):
        self.service, self.small, self.large, self.reference = service, small, large, reference
        self.named, self.entries, self.operations = entries, list(entries), operations_of(service)
        for other, others in (beside or {}).items():
            self.entries[1:1] = others
            self.operations.update({entry.operation: operations_of(other)[entry.operation] for entry in others})
        self.reference_us = None

    def requests(self, entry, store):
        operation = self.operations[entry.operation]
        made = []
        for ask in entry.asks(store):
            headers = credentials(ask.shop or store, operation.audience) + ask.headers
            if operation.idempotent:
                headers += f"Idempotency-Key: bench-{next(keys)}\r\n"
            path = operation.path.format(**ask.ids) + (f"?{ask.query}" if ask.query else "")
            made.append(http(operation.method.upper(), path, headers, ask.body, ask.kind))
        if not made:
            raise SystemExit(f"{entry}: the store has nothing to ask for")
        return made

    def status(self, entry):
        return entry.status or success(self.operations[entry.operation])

    def warm(self, entry, store, requests, status):
        check_answers(store.bench.load(requests, connections=CONNECTIONS, seconds=WARM_SECONDS, once=True), status, f"{entry}, warming up")

    def read(self, entry, store, seconds):
        requests, status = self.requests(entry, store), self.status(entry)
        self.warm(entry, store, list(itertools.islice(itertools.cycle(requests), WARM)), status)
        return Measured(store.bench, requests, seconds, wanted=status, what=str(entry))

    def write(self, entry, store):
        """A few of the requests go first, where there are many."""
        requests, status = self.requests(entry, store), self.status(entry)
        warm = WARM if len(requests) > 4 * WARM else 0
        if warm:
            self.warm(entry, store, requests[:warm], status)
        settle = (lambda: entry.settle(store)) if entry.settle else None
        return Measured(store.bench, requests[warm:], SECONDS, once=True, settle=settle, wanted=status, what=str(entry))

    def is_bound(self, entry):
        return (entry.flat or is_list(self.operations[entry.operation])) and not entry.grows

    def growth(self, entry):
        """What it costs in the large store, and how many times as much as in the small one. What would miss is measured twice more:
        the median counts."""
        rounds = []
        while not rounds or (rounds[0][1] > entry.most and self.is_bound(entry) and len(rounds) < 3):
            small, large = self.read(entry, self.small, SMALL_SECONDS), self.read(entry, self.large, SECONDS)
            rounds.append((large, large.sum_us / small.sum_us))
        middle = statistics.median(ratio for _, ratio in rounds)
        return next(each for each in rounds if each[1] == middle)

    def line(self, entry):
        operation = self.operations[entry.operation]
        if is_read(operation):
            measured, ratio = self.growth(entry)
        else:
            measured = self.write(entry, self.large)
            ratio = measured.sum_us / self.write(entry, self.small).sum_us if entry.flat else None
        self.reference_us = self.reference_us or measured.sum_us
        load, bound = measured.load, self.is_bound(entry)
        notes = [f"at most {entry.most}"] * bound + ["dear"] * (measured.sum_us > COSTLY_US) + [f"grows: {entry.grows}"] * bool(entry.grows)
        say(f"{str(entry):<52}{load['rate']:>8.0f}{load['p50_us'] / 1000:>8.2f}{load['p99_us'] / 1000:>8.2f}"
            + "".join(f"{us:>9.0f}" for us in measured.cpu_us) + f"{measured.sum_us:>9.0f}{measured.sum_us / self.reference_us:>8.1f}"
            + (f"{ratio:>8.2f}" if ratio else f"{'':>8}") + "  " + "; ".join(notes))
        if bound and ratio > entry.most:
            miss(f"{entry}: {ratio:.2f} times the CPU in a large store (at most {entry.most})")

    def try_line(self, entry):
        """What answers as it should not is a miss, and the others are measured."""
        try:
            self.line(entry)
        except SystemExit as problem:
            miss(str(problem))

    def run(self):
        missing, unknown = uncovered(self.service, self.named)
        for name in missing:
            miss(f"{name} has no entry in {self.service}'s part of the bench")
        for name in unknown:
            miss(f"{name} is no operation of {self.service}")
        say(f"{CONNECTIONS} connections. CPU in us per request, of gateway, services and PostgreSQL's backends. x: times "
            f"{self.operations[self.reference].path}. growth: CPU in the large store / in the small one; required where a bound stands "
            f"behind it. dear: more than {COSTLY_US} us")
        say(f"{'operation':<52}{'req/s':>8}{'p50 ms':>8}{'p99 ms':>8}{'gateway':>9}{'services':>9}{'postgres':>9}{'CPU us':>9}{'x':>8}"
            f"{'growth':>8}")
        for entry in sorted(self.entries, key=lambda entry: entry.operation != self.reference):
            if entry.operation in self.operations:
                self.try_line(entry)

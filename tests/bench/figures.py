"""What the parts of `make bench` have in common: the platform to measure, the load client, the ceilings, what it spends, and figures
with their bounds.

A part is an executable file beside this one. It prints its figures as they come and ends with finish(); run.py runs all
of them. SX_BENCH_SECONDS is the length of one measurement (default 6).
"""

import itertools
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests"))

from api.platform import Platform, as_user, postgres_bin  # noqa: E402

SECONDS = int(os.environ.get("SX_BENCH_SECONDS", "6"))
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
NO_LIMITS = {f"SX_RATE_{name}": "1000000/1" for name in ("GLOBAL", "TOKEN", "VERIFY", "CREDENTIALS", "LOGIN", "METAFIELDS")}
failures = []
numbers = itertools.count(1)


def say(text):
    print(text, flush=True)


def miss(name):
    """What misses its bound fails the run at the end; run.py collects these lines."""
    failures.append(name)
    say(f"  MISS {name}")


def aim(name, value, floor=None, ceiling=None, wish=None):
    """One figure with its bound."""
    good = (floor is None or value >= floor) and (ceiling is None or value <= ceiling)
    bound = f"at least {floor}" if floor is not None else f"at most {ceiling}"
    said = f"{name}: {value:.3g} ({bound}{f', aim {wish}' if wish else ''})"
    if good:
        say(f"  ok   {said}")
    else:
        miss(said)


def finish():
    """The exit status of a part."""
    say(f"{len(failures)} missed" if failures else "all figures within their bounds")
    return 1 if failures else 0


def platform(**settings):
    """As it is delivered: commits are durable, as many workers as it chooses. Without rate limits."""
    return Platform(settings={"SX_WORKERS": os.environ.get("SX_WORKERS", "0"), **NO_LIMITS, **settings}, durable=True)


def compile_tools(directory):
    gcc = ["gcc", "-O2", "-std=c11", "-D_GNU_SOURCE", "-w"]
    bench = ROOT / "tests" / "bench"
    for name, extra in (("load", []), ("sink", []), ("constant", ["-lmicrohttpd"]), ("statements", [f"-I{ROOT}/services/store-data"])):
        subprocess.run([*gcc, *[e for e in extra if e.startswith("-I")], str(bench / f"{name}.c"), "-o", str(directory / name),
                        *[e for e in extra if e.startswith("-l")]], check=True)


def http(method, path, headers="", body=b"", kind="application/json"):
    """A whole request, as it goes over the wire. headers: lines, each with its end; body: bytes, or a value to be JSON."""
    if not isinstance(body, bytes):
        body = body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
    if body:
        headers += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    elif method != "GET":
        headers += "Content-Length: 0\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode() + body


def bearer(token):
    return f"Authorization: Bearer {token}\r\n"


def check_answers(result, wanted="200", what="load"):
    if set(result["statuses"]) != {wanted} or result["resets"]:
        raise SystemExit(f"{what}: answers {result['statuses']}, {result['resets']} resets, not {wanted} alone\n{result['error']}")


def fill_in(sql, values):
    return re.sub(r"\$(\d+)", lambda found: values[found.group(0)], sql)


class Bench:
    """A platform with what measures it."""

    def __init__(self, platform):
        self.platform, self.home = platform, platform.home
        compile_tools(self.home / "bin")
        listed = subprocess.run([self.home / "bin" / "statements"], check=True, capture_output=True, text=True).stdout
        self.statements = dict(line.split("\t", 1) for line in listed.splitlines())

    # -- ceilings --

    def pgbench(self, *scripts, clients=16, user="store_data"):
        """Transactions a second; each runs one of the scripts. user: the role of a service."""
        files = []
        for number, script in enumerate(scripts):
            path = self.home / f"script-{number}.sql"
            path.write_text(script)
            files += ["-f", path]
        done = subprocess.run([postgres_bin() / "pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(SECONDS),
                               *files, "-h", self.home / "run", "-U", user, "selorax"], capture_output=True, text=True,
                              check=False, **as_user())
        found = re.search(r"tps = ([\d.]+)", done.stdout)
        if not found:
            raise SystemExit(f"pgbench: {done.stderr}")
        return float(found.group(1))

    # -- load --

    def load(self, requests, connections=64, port=None, seconds=SECONDS, once=False, rate=None):
        """Sends them (http) and answers what load.c reports. once: each at most once; with seconds 0 all of them. rate: evenly,
        so many a second. Two at once do not disturb each other."""
        path = self.home / f"requests-{next(numbers)}"
        path.write_bytes(b"".join(struct.pack("<I", len(request)) + request for request in requests))
        port = port or self.platform.ports[0].number
        done = subprocess.run([self.home / "bin" / "load", str(port), str(connections), str(seconds), path, *["once"] * once, *[str(rate)] * bool(rate)],
                              capture_output=True, text=True, check=False)
        path.unlink()
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        told = done.stderr.strip().splitlines()         # of the first answer that was an error: request, head, body
        return {**json.loads(done.stdout), "error": " ".join(told[:2] + told[-1:])}

    def cpu_us(self):
        """CPU time spent so far, by process, in microseconds."""
        spent = {}
        for name, process in self.platform.processes.items():
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            spent[name] = (int(fields[11]) + int(fields[12])) * TICK_US
        return spent

    def pss_mib(self):
        total = 0
        for process in self.platform.processes.values():
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))
        return total / 1024

    def with_cpu(self, requests, **options):
        before = self.cpu_us()
        result = self.load(requests, **options)
        after = self.cpu_us()
        result["cpu_us"] = {name: (after[name] - before[name]) / max(result["answers"], 1) for name in after}
        return result



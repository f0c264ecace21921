#!/usr/bin/python3
"""The figures of webhooks in `make bench`: from the commit of a change to the answer of an endpoint on the same machine.

The whole platform, PostgreSQL with its fsync, and the endpoint (sink.c, keep-alive) share the machine's cores.

- How late: changes of orders over HTTP at a steady pace; the time in the event's body, which is from before the commit,
  against the time at which the endpoint had the whole request.
- How many: events that are written into store-data's outbox by SQL, 500 to a commit, go all the way: outbox, intake into the
  log, queue, signature, endpoint, history.
- How flat: deliveries that lie ready by SQL, a thousand and a million: their rate, and what memory our process and the backends
  that serve it have taken for themselves.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from figures import TICK_US, Bench, aim, bearer, check_answers, finish, http, platform, say  # noqa: E402

from api.platform import Port  # noqa: E402
from api.shop import Owner  # noqa: E402

EVENTS, ROUNDS = 30_000, 3
PACE, PACED_S, ORDERS = 500, 8, 2_000
FEW, MANY, FEW_ROUNDS, MANY_TIMED = 1_000, 1_000_000, 10, 20_000
TOPIC = "order.updated"

MAKE_ORDERS = """
set search_path = store_data;
insert into store_order (store_id, order_status, financial_status, fulfillment_status, created_at, updated_at, sub_total, tax,
    shipping, discount, grand_total, payment_method, store_serial_order_no, shipping_address)
    select %(store)s, 'pending', 'pending', 'unfulfilled', now(), now(), 200, 0, 60, 10, 250, 'cod', n::text,
    json_build_object('name', 'Customer ' || n, 'phone', '+8801700000000', 'address', '12 Mirpur Road, Dhaka')
    from generate_series(1, %(count)s) as n returning order_id
"""
DATA = """json_build_object('order_id', n, 'id', n, 'order_number', n::text, 'order_status', 'confirmed', 'customer_name', 'Rahim Uddin',
    'customer_phone', '+8801712345678', 'phone', '+8801712345678', 'shipping_phone', '+8801712345678', 'total', 1460.00, 'grand_total',
    1460.00, 'tracking_id', null, 'tracking_number', null, 'store_name', 'Dhaka Threads', 'payment_method', 'cod',
    'changed', json_build_object('note', json_build_object('old', null, 'new', 'Call first')))"""
PUT_EVENTS = f"""
insert into store_data.outbox (topic, store_id, resource_type, resource_id, data, created_at)
    select '{TOPIC}', %(store)s, 'order', n, {DATA}, clock_timestamp() from generate_series(%(first)s, %(last)s) as n
"""
PUT_WAITING = f"""
with made as (insert into event (event_id, created_at, topic, store_id, resource_type, resource_id, data)
    select gen_random_uuid(), now(), '{TOPIC}', %(store)s, 'order', n, {DATA} from generate_series(1, %(count)s) as n
    returning event_id, created_at, resource_id)
insert into waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, created_at)
    select %(subscription)s, event_id, created_at, '{TOPIC}', 'order', resource_id, now(), now() from made
"""
RING = "update queue set due_at = now(), version = version + 1 where subscription_id = %(subscription)s"


class Sink:
    """The endpoint, as a process."""

    def __init__(self, program):
        self.port = Port()
        self.process = subprocess.Popen([program, str(self.port.number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.port.number}/hook"

    def ask(self, word="look"):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def wait(self, count, seconds=120):
        deadline = time.monotonic() + seconds
        while (seen := self.ask())["received"] < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"{count} deliveries expected: {seen}")
            time.sleep(0.05)
        return seen

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.port.release()


def memory_kib(pid):
    """What a process has for itself, without the memory that backends share."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii")).group(1))


def cpu_us(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * TICK_US


class Hooks:
    def __init__(self, bench, sink):
        self.bench, self.platform, self.sink, self.next = bench, bench.platform, sink, 1
        self.sql, self.values = self.platform.postgres.connect(), {}
        self.shop = Owner(self.platform).open_shop()
        while not self.rows("select 1 from webhooks.log where installation_id = %(installation)s", installation=self.shop.installation_id):
            time.sleep(0.05)                    # webhooks has heard of it
        answer = self.shop.post("/api/apps/v1/webhooks", {"event_topic": TOPIC, "target_url": sink.url})
        if answer.status_code != 201:
            raise SystemExit(answer.text)
        self.values = {"store": self.shop.store_id, "subscription": answer.json()["data"]["subscription_id"]}
        self.rows(PUT_EVENTS, first=0, last=0)
        sink.wait(1)                            # every process is up

    def rows(self, sql, **values):
        with self.sql.cursor() as cursor:
            cursor.execute(sql, {**self.values, **values})
            return cursor.fetchall() if cursor.description else []

    def processes(self):
        """Process ids by name: ours, the endpoint's, and PostgreSQL's by what they serve."""
        found = {process.pid: name for name, process in self.platform.processes.items()}
        found[self.sink.process.pid] = "endpoint"
        for pid, name, kind in self.rows("select pid, split_part(application_name, '/', 1), backend_type from pg_stat_activity"):
            found[pid] = f"postgres for {name}" if name else "postgres " + kind.split()[0]
        return found

    def cpu(self):
        spent = {}
        for pid, name in self.processes().items():
            spent[name] = spent.get(name, 0) + cpu_us(pid)
        return spent

    def say_cpu(self, before, count):
        spent = {name: (us - before.get(name, 0)) / count for name, us in self.cpu().items()}
        say(f"  CPU per delivery, {sum(spent.values()):.0f} us: "
            + ", ".join(f"{name} {us:.0f}" for name, us in sorted(spent.items(), key=lambda item: -item[1]) if us >= 1))

    def check(self, seen, count):
        """All of them, each one once, signed, and the history knows them."""
        if (seen["received"], seen["distinct"], seen["unsigned"]) != (count, count, 0):
            raise SystemExit(f"{count} deliveries expected: {seen}")
        while self.rows("select 1 from webhooks.waiting where subscription_id > 0 limit 1"):
            time.sleep(0.05)

    # -- how late --

    def late(self):
        ids = [order_id for order_id, in self.rows(MAKE_ORDERS, count=ORDERS)]
        self.rows("vacuum analyze")
        results = []
        for turn, seconds in enumerate((2, PACED_S, PACED_S)):
            requests = [http("PUT", f"/api/apps/v1/orders/{order_id}", bearer(self.shop.access_token), {"note": f"Call at {3 * hour + turn}"})
                        for hour in (1, 2) for order_id in ids]
            self.sink.ask("clear")
            before = self.cpu()
            done = self.bench.load(requests, seconds=seconds, rate=PACE)
            check_answers(done)
            time.sleep(0.5)
            seen = self.sink.wait(done["answers"])
            say(f"  {done['rate']:.0f} changes a second: p50 {seen['p50_ms']:.1f} ms, p99 {seen['p99_ms']:.1f} ms, last {seen['max_ms']:.1f} ms"
                f" (their own answers: p50 {done['p50_us'] / 1000:.1f} ms, p99 {done['p99_us'] / 1000:.1f} ms)")
            results.append(seen)
            self.say_cpu(before, seen["received"])
        aim(f"commit to received at {PACE} events a second, p99 in ms", min(seen["p99_ms"] for seen in results[1:]), ceiling=50)

    # -- how many --

    def throughput(self):
        rates = []
        for _ in range(ROUNDS):
            self.sink.ask("clear")
            before, started = self.cpu(), time.time()
            for first in range(self.next, self.next + EVENTS, 500):
                self.rows(PUT_EVENTS, first=first, last=first + 499)
            written = time.time() - started
            seen = self.sink.wait(EVENTS)
            self.next += EVENTS
            rates.append(EVENTS / (seen["last_us"] / 1e6 - started))
            say(f"  {EVENTS} events written in {written:.1f} s, delivered at {rates[-1]:.0f}/s over {seen['connections']} connections")
            self.say_cpu(before, EVENTS)
            self.check(seen, EVENTS)
        aim("durable signed deliveries a second, end to end", statistics.median(rates), floor=3000, wish=10000)

    # -- how flat --

    def memory(self):
        """Of our processes and of the backends that serve them, in MiB."""
        pids = [pid for pid, name in self.processes().items() if name in ("webhooks-1", "postgres for webhooks")]
        return sum(memory_kib(pid) for pid in pids) / 1024

    def put_waiting(self, count):
        self.rows(f"set search_path = webhooks; {PUT_WAITING}", count=count)

    def drain(self, count):
        """A second for so many of those that wait, from the first one's arrival on."""
        self.sink.ask("clear")
        self.rows(f"set search_path = webhooks; {RING}")
        seen = self.sink.wait(count)
        return (seen["received"] - 1) * 1e6 / (seen["last_us"] - seen["first_us"]), seen

    def flat(self):
        few, peak = [], 0
        for _ in range(FEW_ROUNDS):
            self.put_waiting(FEW)
            few.append(self.drain(FEW)[0])
            peak = max(peak, self.memory())
            self.check(self.sink.wait(FEW), FEW)
        started = time.monotonic()
        self.put_waiting(MANY)
        say(f"  {MANY} deliveries made ready in {time.monotonic() - started:.0f} s")
        self.rows("analyze webhooks.waiting")
        before = self.cpu()
        many, seen = self.drain(MANY_TIMED)
        memory = self.memory()
        self.say_cpu(before, seen["received"])
        say(f"  {statistics.median(few):.0f}/s of {FEW}, {many:.0f}/s of {MANY}; memory {peak:.1f} MiB, {memory:.1f} MiB")
        aim(f"deliveries a second of {FEW} waiting / of {MANY}", statistics.median(few) / many, ceiling=1.5)
        aim(f"memory with {MANY} waiting / with {FEW}", memory / peak, ceiling=1.25)
        self.rows("delete from webhooks.waiting where subscription_id > 0")


def main():
    with platform(SX_LOG_LEVEL=os.environ.get("SX_LOG_LEVEL", "warn")) as running:
        bench = Bench(running)
        sink = Sink(running.home / "bin" / "sink")
        try:
            hooks = Hooks(bench, sink)
            for part in sys.argv[1:] or ["late", "throughput", "flat"]:
                getattr(hooks, part)()
        finally:
            sink.close()
    return finish()


if __name__ == "__main__":
    sys.exit(main())

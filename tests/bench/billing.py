#!/usr/bin/python3
"""The figures of billing in `make bench`: debits, usage, and the check of the ledger.

- hot: debits of one wallet over 64 connections against 16 pgbench clients with the naive transaction, which locks another wallet of
  the same database, writes the same rows (the wallet, a transfer, the wallet's transaction, the kept answer of the key) and commits;
  and what somebody who reads a charge in another store feels of it.
- spread: the same over 1,000 wallets.
- usage: batches of 500 over 16 connections, each event with a key of its own.
- ledger: what the parts before have written and as much by SQL that it is a million entries, sealed by the service and checked
  by `sxctl ledger verify`. So the money of all that was measured adds up.
"""

import concurrent.futures
import json
import statistics
import sys
import time

import figures
from figures import SECONDS, Bench, aim, bearer, check_answers, http, say
from operations import run_us

from api.shop import Owner

V1 = "/api/apps/v1/billing"
ROUNDS, WALLETS, MOST = 3, 1_000, min(20_000 * SECONDS, 250_000)     # debits of a round: more than can be sent
FULL = 10**9
CALLS, READERS = 200, 8                                 # somebody else's calls: so many a second, over so many connections
USAGE_SHOPS, BATCH, BATCHES = 16, 500, 220 * SECONDS
ENTRIES = 1_000_000
DEBITED = "wallet, wallet_transaction, transfer, account, idempotency, installation"
NAIVE = """
\\set wallet random({first}, {last})
\\set key random(1, 4000000000000000000)
begin;
update wallet set balance = balance - 1, total_spent = total_spent + 1, updated_at = now() where wallet_id = :wallet and balance >= 1
    returning balance, account_id \\gset
insert into transfer (from_account, to_account, amount, reason, at) values (:account_id, {spent}, 1, 'debit', now()) returning transfer_id \\gset
insert into wallet_transaction (wallet_id, type, amount, balance_after, description, transfer_id, created_at)
    values (:wallet, 'debit', 1, :balance, 'SMS', :transfer_id, now());
insert into idempotency (store_id, app_id, key, operation, request_hash, status, body, sealed, created_at) values ({app}, {app},
    'naive-' || :client_id || '-' || :key, 'wallets.debit', '\\x{hash}', 201, '\\x{body}', false, now());
commit;
"""
BODY = b'{"data":{"transaction_id":1000000,"amount":0.01,"balance":9999999.99,"created_at":"2026-01-01T00:00:00.000Z"},"status":201}'
FILL = """
set search_path = billing;
insert into transfer (from_account, to_account, amount, reason, at)
    select account_id, %(spent)s, 1, 'debit', now() from wallet, generate_series(1, %(each)s) where app_id = %(app)s;
update wallet set balance = balance - %(each)s, total_spent = total_spent + %(each)s where app_id = %(app)s
"""


class Billing:
    """A store with the hot wallet, one that reads, a thousand with an app of theirs; and the wallets of pgbench, of an app and
    stores that nobody else knows."""

    def __init__(self, bench):
        self.bench, self.platform, self.number = bench, bench.platform, 0
        started, owner = time.monotonic(), Owner(bench.platform)
        self.hot, self.reader, app = owner.open_shop(), owner.open_shop(), owner.make_app()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.many = list(pool.map(lambda _: owner.open_shop(app=app), range(WALLETS)))
        self.app_id = owner.make_app()["app_id"]
        for app_id, store_id in [*((shop.app_id, shop.store_id) for shop in [self.hot, *self.many]),
                                 *((self.app_id, 10**9 + n) for n in range(1 + WALLETS))]:
            self.platform.call("billing.wallets.adjust", app_id=app_id, store_id=store_id, amount=FULL, description="Bench")
        ids = [wallet_id for wallet_id, in self.rows("select wallet_id from wallet where app_id = %s order by 1", self.app_id)]
        self.naive_hot, self.naive_many = ids[:1], ids[1:]
        [(self.spent,)] = self.rows("insert into account (kind, app_id, currency) values ('spent', %s, 'BDT') returning account_id", self.app_id)
        say(f"{2 * WALLETS + 2} wallets: {time.monotonic() - started:.0f} s")

    def rows(self, sql, *arguments):
        connection = self.platform.postgres.connect()
        with connection.cursor() as cursor:
            cursor.execute("set search_path = billing")
            cursor.execute(sql, arguments)
            found = cursor.fetchall() if cursor.description else []
        connection.close()
        return found

    def balance(self, shops):
        return self.rows("select sum(balance)::bigint from wallet where store_id = any (%s)", [shop.store_id for shop in shops])[0][0]

    # -- debits --

    def naive(self, wallets):
        script = NAIVE.format(first=wallets[0], last=wallets[-1], spent=self.spent, app=self.app_id, hash="00" * 32, body=BODY.hex())
        if wallets[-1] - wallets[0] != len(wallets) - 1:
            raise SystemExit("the wallets of pgbench are not numbered without gaps")
        return self.bench.pgbench(script, user="billing")

    def requests(self, shops):
        """Debits that have not been sent yet."""
        self.number += 1
        return [http("POST", f"{V1}/wallet/debit", f"{bearer(shops[n % len(shops)].access_token)}Idempotency-Key: debit-{self.number}-{n}\r\n",
                     b'{"amount":0.01,"description":"SMS"}') for n in range(MOST)]

    def spent_us(self):
        """CPU so far: of each of our processes, and of the backends that serve billing."""
        us = {name: run_us(process.pid) for name, process in self.platform.processes.items()}
        us["postgres for billing"] = sum(run_us(pid) for pid in self.platform.postgres.backends("billing"))
        return us

    def say_with_cpu(self, said, before, count, what):
        """count: of those that the CPU is divided by; less than half a microsecond of each is left out."""
        cost = {name: (after - before[name]) / count for name, after in self.spent_us().items()}
        say(f"  {said}; CPU per {what}, {sum(cost.values()):.0f} us: "
            + ", ".join(f"{name} {us:.1f}" for name, us in sorted(cost.items(), key=lambda item: -item[1]) if us >= 0.5))

    def debit(self, shops, seconds=SECONDS):
        requests, before, us = self.requests(shops), self.balance(shops), self.spent_us()
        done = self.bench.load(requests, seconds=seconds, once=True)
        check_answers(done, "201", "debits")
        if before - self.balance(shops) != done["answers"]:
            raise SystemExit(f"{done['answers']} debits of 0.01 have taken {before - self.balance(shops)}")
        self.say_with_cpu(f"{done['rate']:.0f}/s, p50 {done['p50_us'] / 1000:.1f} ms, p99 {done['p99_us'] / 1000:.1f} ms", us, done["answers"], "debit")
        return done

    def against_naive(self, name, shops, wallets, floor, wish):
        ceilings, rates = [], []
        for _ in range(ROUNDS):
            ceilings.append(self.naive(wallets))
            say(f"  {ceilings[-1]:.0f}/s by pgbench")
            rates.append(self.debit(shops)["rate"])
        rate, ceiling = statistics.median(rates), statistics.median(ceilings)
        say(f"{name}: {rate:.0f}/s{wish}, {ceiling:.0f}/s by pgbench with the naive transaction")
        aim(f"{name}: times the naive transaction", rate / ceiling, floor=floor)

    def warm_up(self, work, tables):
        """What is told of empty tables would stay in the plans through all that is measured."""
        work()
        self.rows(f"vacuum analyze {tables}")

    def hot_wallet(self):
        self.warm_up(lambda: self.debit([self.hot], seconds=2), DEBITED)
        self.against_naive("debits of one wallet", [self.hot], self.naive_hot, 2, " (aim 5000)")
        self.neighbour()

    def neighbour(self):
        """Somebody else's calls at a steady pace: alone, beside the hot wallet, and beside as many debits of other wallets."""
        made = self.reader.post(f"{V1}/charges", {"name": "Setup", "amount": 500})
        reads = [http("GET", f"{V1}/charges/{made.json()['data']['charge_id']}", bearer(self.reader.access_token))]

        def read(what):
            done = self.bench.load(reads, connections=READERS, rate=CALLS)
            check_answers(done, what=what)
            say(f"  another store's charges.get {what}: {done['rate']:.0f}/s, p50 {done['p50_us'] / 1000:.2f} ms, p99 {done['p99_us'] / 1000:.2f} ms")
            return done

        def read_beside(what, shops):
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                load = pool.submit(self.debit, shops, SECONDS + 2)
                time.sleep(1)
                done = read(what)
                load.result()
            return done

        read("alone")
        results = [(read_beside("beside the hot wallet", [self.hot]), read_beside("beside 1,000 wallets", self.many)) for _ in range(ROUNDS)]
        aim("calls of another store beside the hot wallet: part of their pace",
            statistics.median(hot["rate"] for hot, _ in results) / CALLS, floor=0.95)
        for name in ("p50_us", "p99_us"):
            aim(f"calls of another store: {name[:3]} beside the hot wallet / beside 1,000",
                statistics.median(hot[name] / many[name] for hot, many in results), ceiling=1)

    def spread(self):
        self.warm_up(lambda: self.debit(self.many, seconds=2), DEBITED)
        self.against_naive("debits of 1,000 wallets", self.many, self.naive_many, 0.5, "")

    # -- usage --

    def batches(self):
        self.number += 1
        return [http("POST", f"{V1}/usage-charges/batch", bearer(self.many[n % USAGE_SHOPS].access_token), {"charges": [
            {"description": "SMS", "quantity": 1, "unit_price": 0.01, "idempotency_key": f"use-{self.number}-{n}-{i}"} for i in range(BATCH)]})
                for n in range(BATCHES)]

    def used(self):
        return self.rows("select coalesce(sum(amount), 0)::bigint from usage_bill")[0][0]

    def count(self, seconds=SECONDS):
        requests, before, us = self.batches(), self.used(), self.spent_us()
        done = self.bench.load(requests, connections=USAGE_SHOPS, seconds=seconds, once=True)
        check_answers(done, what="usage")
        if self.used() - before != done["answers"] * BATCH:
            raise SystemExit(f"{done['answers']} batches were counted as {self.used() - before}")
        self.say_with_cpu(f"{done['rate'] * BATCH:.0f} events a second, p50 of a batch {done['p50_us'] / 1000:.0f} ms", us, done["answers"] * BATCH, "event")
        return done["rate"] * BATCH

    def usage(self):
        self.warm_up(lambda: self.count(seconds=1), "usage_bill, usage_charge")
        aim("usage by the batch route, events a second", statistics.median(self.count() for _ in range(ROUNDS)), floor=10_000)

    # -- the ledger --

    def ledger(self):
        [(there,)] = self.rows("select count(*) from transfer")
        each = max(0, ENTRIES - there) // len(self.naive_many) + 1
        for first in range(0, each, 100):
            self.platform.postgres.rows(FILL, {"spent": self.spent, "app": self.app_id, "each": min(100, each - first)})
        started = time.monotonic()
        [(waits,)] = self.rows("select count(*) from unsealed")
        while self.rows("select 1 from unsealed limit 1"):
            if time.monotonic() - started > 300:
                raise SystemExit("transfers stay unsealed")
            time.sleep(0.1)
        took = time.monotonic() - started
        say(f"{waits} entries sealed in {took:.0f} s, {waits / max(took, 0.1):.0f}/s")
        self.rows("vacuum analyze transfer, block, account, wallet, unsealed")
        results = []
        for _ in range(ROUNDS):
            us, started = self.spent_us(), time.monotonic()
            found = json.loads(self.platform.sxctl("ledger", "verify", timeout=120).stdout)
            results.append((time.monotonic() - started) * ENTRIES / found["transfers"])
            self.say_with_cpu(f"{found['transfers']} entries in {found['blocks']} blocks, {found['balances']} balances: {results[-1]:.1f} s for a million",
                              us, found["transfers"], "entry")
            if found["transfers"] < ENTRIES or found["balances"] < 2 * WALLETS:
                raise SystemExit(f"not all of it was looked at: {found}")
        aim("sxctl ledger verify of a million entries, seconds", statistics.median(results), ceiling=10)


def main():
    with figures.platform() as running:
        billing = Billing(Bench(running))
        for part in sys.argv[1:] or ["hot_wallet", "spread", "usage", "ledger"]:
            getattr(billing, part)()
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())

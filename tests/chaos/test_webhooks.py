"""Nothing committed is lost, nothing is invented: processes are killed (SIGKILL), and some stopped for longer than any lease
(SIGSTOP), at random moments under write load. What the endpoint has received are the changes that the rows and their
histories show (ledger.py), each under one event id, and those of a resource in the order of their commits.

SX_TEST_SCALE 1 does 200 rounds. SX_TEST_SEED repeats the victims of a run.
"""

import collections
import json
import os
import random
import threading
import time
import uuid

from api import bulk
from api.hooks import HOOKS, Sink, log_of, signature, standard_signature, subscribe
from api.platform import Platform
from api.shop import Owner

from . import ledger
from .hurt import Hurt, until

SCALE = float(os.environ.get("SX_TEST_SCALE", "0.1"))
ROUNDS = max(10, round(200 * SCALE))
SEED = int(os.environ.get("SX_TEST_SEED") or random.randrange(2 ** 32))
API = "/api/apps/v1"
WRITERS = 3
STOP_S = (0.1, 7)                                                           # the leases last five seconds at most
VICTIMS = 2 * ["store-data-1", "store-data-2", "webhooks-1", "webhooks-2", "gateway-1"] + ["auth-1", "backend", "postgres"]
STATUSES = ["confirmed", "processing", "shipped", "cancelled"]


class Load:
    """Threads that write without pause. What became of a request that was interrupted only the database knows."""

    def __init__(self, shop, sink, subs, rng):
        self.shop, self.sink, self.subs, self.stop = shop, sink, subs, threading.Event()
        self.platform, self.accepted = shop.platform, set()
        made = shop.post(API + "/products", {"name": "First", "variants": [{"price": price, "quantity": 10 ** 9} for price in (100, 200)]})
        self.skus = [variant["sku_id"] for variant in made.json()["data"]["variants"]]
        self.orders, self.products, self.customers = [], [made.json()["data"]["product_id"]], []
        self.secrets = {sub["subscription_id"]: [sub["signing_secret"]] for sub in subs}
        self.looked_at, self.came = 0, set()
        tasks = [self.write] * WRITERS + [self.import_lines, self.install, self.rotate]
        self.failed = []
        self.threads = [threading.Thread(target=self.run, args=(task, random.Random(rng.getrandbits(32))), daemon=True) for task in tasks]

    def run(self, task, rng):
        while not self.stop.is_set():
            try:
                task(rng)
            except AssertionError as failure:
                self.failed.append(failure)
                return
            except Exception:                                               # a killed process ends the exchange in any way
                self.stop.wait(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)

    def ask(self, method, path, body, known=None):
        answer = self.shop.request(method, API + path, json_body=body, timeout=15)
        if answer.status_code in (200, 201):
            data = answer.json()["data"]
            if known is not None:
                identifier = data.get("order_id") or data.get("product_id") or data.get("user_id")
                known.append(identifier)
                self.accepted.add((path[1:-1], identifier))
        else:
            self.stop.wait(0.01)

    def write(self, rng):
        name, kind = f"N{uuid.UUID(int=rng.getrandbits(128))}", rng.random()
        if kind < 0.4 or not self.orders:
            items = [{"sku_id": rng.choice(self.skus), "quantity": rng.randrange(1, 4)}] if rng.random() < 0.5 else \
                [{"name": "Gift card", "price": 100, "quantity": 1}]
            self.ask("POST", "/orders", {"items": items}, self.orders)
        elif kind < 0.6:
            self.ask("PUT", f"/orders/{rng.choice(self.orders[-20:])}", {"note": name})
        elif kind < 0.7:
            self.ask("PUT", f"/orders/{rng.choice(self.orders[-50:])}/status", {"status": rng.choice(STATUSES)})
        elif kind < 0.72:
            self.ask("DELETE", f"/orders/{rng.choice(self.orders)}", None)
        elif kind < 0.79 or not self.customers:
            self.ask("POST", "/customers", {"name": name}, self.customers)
        elif kind < 0.86:
            self.ask("PUT", f"/customers/{rng.choice(self.customers[-5:])}", {"name": name})
        elif kind < 0.92:
            self.ask("POST", "/products", {"name": name, "variants": [{"price": 10, "quantity": 5}]}, self.products)
        else:
            self.ask("PUT", f"/products/{rng.choice(self.products[-5:])}", {"name": name})

    def import_lines(self, rng):
        """Those that were accepted are applied by a job, whatever is killed meanwhile."""
        what, count = rng.choice(["orders", "products", "customers", "inventory"]), rng.randrange(20, 150)
        lines = {"orders": lambda n: {"items": [{"sku_id": rng.choice(self.skus), "quantity": 1}]},
                 "products": lambda n: {"name": f"Bulk {uuid.uuid4()}", "variants": [{"price": 1, "quantity": n}]},
                 "customers": lambda n: {"name": f"Bulk {n}"},
                 "inventory": lambda n: {"sku_id": rng.choice(self.skus), "quantity": 10 ** 9 - rng.randrange(10 ** 6)}}[what]
        self.shop.request("POST", f"{API}/bulk/{what}", body=bulk.lines_of([lines(n) for n in range(count)]), headers=bulk.NDJSON, timeout=15)
        self.stop.wait(rng.uniform(0.1, 0.6))

    def install(self, _):
        """One app comes and goes. It goes once it has heard that it came, because an end cancels what still waits."""
        rows = self.platform.postgres.rows("select generation, status from auth.installation where installation_id = %s",
                                           (self.shop.guest["installation_id"],))
        [(generation, status)] = rows
        arguments, operation = {"installation_id": self.shop.guest["installation_id"]}, "auth.installations.end"
        if status != "active":
            arguments = {"app_id": self.shop.guest["app_id"], "store_id": self.shop.store_id}
            operation = "auth.installations.create"
        elif not self.heard(generation):
            self.stop.wait(0.1)
            return
        self.platform.rpc().call(operation, arguments, timeout=3)

    def heard(self, generation):
        for path, _, body in self.sink.requests[self.looked_at:]:
            self.looked_at += 1
            if path == "/app":
                self.came.add(ledger.change_of(json.loads(body)))
        return ("app.installed", str(self.shop.guest["installation_id"]), str(generation)) in self.came

    def rotate(self, rng):
        """The answer may be lost with the new secret in it: asked again with the same key it comes again."""
        sub = rng.choice(self.subs)["subscription_id"]
        key = {"Idempotency-Key": str(uuid.uuid4())}
        for what in ("rotate-secret", "rotate-secret/promote"):
            while True:
                try:
                    answer = self.shop.post(f"{HOOKS}/{sub}/{what}", headers=key if what == "rotate-secret" else {}, timeout=15)
                except Exception:
                    continue
                if answer.status_code == 200 or self.stop.is_set():
                    break
                assert answer.status_code != 409 or "Retry-After" in answer.headers, answer
                time.sleep(0.05)
            if what == "rotate-secret" and answer.status_code == 200:
                self.secrets[sub].append(answer.json()["data"]["signing_secret"])
            self.stop.wait(rng.uniform(0.2, 2))


class Slow(Sink):
    """Takes its time, so that a kill meets deliveries that are under way; no longer once nobody is killed any more, because
    thousands of changes of one resource are told one after the other."""

    is_slow = True

    def take(self, path, headers, body):
        status = super().take(path, headers, body)
        if self.is_slow:
            time.sleep(random.uniform(0, 0.3))
        return status


def settle(platform, hurt):
    """All that is accepted is done, all that is committed is told."""
    def none(sql):
        hurt.heal()
        return not platform.postgres.rows(sql)

    until(lambda: none("select 1 from store_data.bulk_job where status in ('queued', 'running') limit 1"), 120, "imports end")
    until(lambda: none("select 1 from store_data.outbox union all select 1 from auth.outbox limit 1"), 120, "the outboxes are empty")
    clock = 0

    def over():
        nonlocal clock
        if not none("select 1 from auth.uninstall where step < 4 union all "
                    "select 1 from webhooks.waiting where subscription_id > 0 and attempt > 0 limit 1"):
            clock += 70                                                     # what failed while it was hurt comes again
            platform.set_clock(clock)
            time.sleep(0.5)
        return none("select 1 from auth.uninstall where step < 4 union all select 1 from auth.outbox union all "
                    "select 1 from webhooks.waiting where subscription_id > 0 limit 1")

    try:
        until(over, 180, "everything is delivered")
    except AssertionError as failure:
        left = platform.postgres.rows("select 'uninstall', installation_id::text, step, next_at::text from auth.uninstall where step < 4 union all "
                                      "select 'outbox', topic, resource_id, null from auth.outbox union all "
                                      "select 'waiting', topic, attempt, next_at::text from webhooks.waiting where subscription_id > 0 limit 9")
        raise AssertionError(f"clock {clock}: {left}") from failure


def check_signatures(subs, secrets, requests):
    """Each delivery is signed with a secret that its subscription has had, and only in its profile."""
    known = {sub["topic"]: (sub["signature_profile"], secrets[sub["subscription_id"]]) for sub in subs}
    for path, headers, body in requests:
        if path[1:] in known:
            profile, keys = known[path[1:]]
            headers = {name.lower(): value for name, value in headers.items()}
            stamp = headers["x-selorax-timestamp"]
            if profile == "selorax":
                assert headers["x-selorax-signature"] in [signature(key, stamp, body) for key in keys], path
            else:
                good = {standard_signature(key, headers["webhook-id"], stamp, body) for key in keys}
                assert set(headers["webhook-signature"].split(" ")) <= good, path


def test_no_kill_loses_or_invents_an_event():
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    began = time.monotonic()
    with Slow() as sink, Platform(services={"auth": 1, "store-data": 2, "webhooks": 2}, durable=True,
                                  settings={"SX_ACCESS_LOG": 0}) as platform:
        ledger.watch(platform)
        owner = Owner(platform)
        shop = owner.open_shop()
        subs = [subscribe(shop, f"{sink.url}/{topic}", topic, signature_profile=("selorax", "standard-webhooks")[n % 2])
                for n, topic in enumerate(ledger.OF_STORE)]
        guest = owner.make_app(webhook_receive_url=f"{sink.url}/app", webhook_topics=ledger.OF_AUTH)
        shop.guest = {**platform.call("auth.installations.create", app_id=guest["app_id"], store_id=shop.store_id), "app_id": guest["app_id"]}
        hurt = Hurt(platform, rng, ["store_data", "webhooks", "auth"], STOP_S)
        with Load(shop, sink, subs, rng) as load:
            for _ in range(ROUNDS):
                hurt.wait(rng.uniform(0.05, 0.5), lambda: len(load.accepted), 10)
                hurt.strike(rng.choice(VICTIMS))
            hurt.wake()
            hurt.wait(2)
            platform.wait_ready(60)
        hurt_s, sink.is_slow = time.monotonic() - began, False
        settle(platform, hurt)
        there = ledger.committed(platform, shop.store_id, guest["app_id"])
        told = ledger.Told(sink.requests)
        log = log_of(platform, shop.installation_id)
        check_signatures(subs, load.secrets, sink.requests)
    print(f"seed {SEED}: {ROUNDS} rounds in {hurt_s:.0f} s and {time.monotonic() - began - hurt_s:.0f} s to settle, {dict(hurt.done)}; "
          f"{dict(collections.Counter(change[0] for change in there))}; {len(sink.requests)} deliveries, {told.repeats} of them again; "
          f"{sum(map(len, load.secrets.values())) - len(subs)} rotations")
    assert not load.failed, load.failed
    assert {identifier for kind, identifier in load.accepted if kind == "order"} <= {int(change[1]) for change in there if change[0] == "order.created"}
    lost, invented = ledger.difference(there, told.first.values())
    assert not lost and not invented, f"seed {SEED}: lost {lost}, invented {invented}"
    wanted, came = ledger.by_resource(there), ledger.by_resource(told.first.values())
    for lane in (lane for lane in wanted if lane[0] in ledger.OF_STORE):    # those of an app have a subscription for each install
        assert came[lane] == wanted[lane], f"seed {SEED}: out of order"
    assert [seq for seq, _, _ in log] == list(range(1, len(log) + 1))
    logged = {event_id for _, event_id, topic in log if topic in ledger.OF_STORE}
    assert logged == {event_id for event_id, change in told.first.items() if change[0] in ledger.OF_STORE}

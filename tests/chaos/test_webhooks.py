"""Nothing committed is lost, nothing is invented: kill -9 of store-data, webhooks, gateway and PostgreSQL's backends at random
moments under write load. The events that the endpoint has received are the orders that are there, each under one event id.
SX_TEST_SCALE 1 does 200 rounds.
"""

import collections
import json
import os
import random
import signal
import threading
import time

from api.hooks import Sink, log_of, subscribe
from api.platform import Platform
from api.shop import Owner

SCALE = float(os.environ.get("SX_TEST_SCALE", "0.1"))
ROUNDS = max(5, round(200 * SCALE))
WRITERS = 3
ORDER = {"items": [{"name": "Gift card", "price": 100, "quantity": 1}]}


def until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Writers:
    """Orders without pause; what became of a request that was interrupted only the database knows."""

    def __init__(self, shop):
        self.shop, self.stop, self.accepted = shop, threading.Event(), set()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(WRITERS)]

    def run(self):
        while not self.stop.is_set():
            try:
                answer = self.shop.post("/api/apps/v1/orders", ORDER, timeout=20)
                if answer.status_code == 201:
                    self.accepted.add(answer.json()["data"]["order_id"])
                    continue
            except Exception:                                               # a killed gateway ends the connection in any way
                pass
            time.sleep(0.02)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)


def hurt(platform, rng):
    """Kills one and brings it back."""
    what = rng.choice(["store-data-1", "webhooks-1", "webhooks-2", "gateway-1", "postgres"])
    if what != "postgres":
        platform[what].kill()
        time.sleep(rng.uniform(0, 0.3))
        platform[what].start()
        return what
    backends = platform.postgres.rows("select pid from pg_stat_activity where usename in ('store_data', 'webhooks')")
    if backends:
        try:
            os.kill(rng.choice(backends)[0], signal.SIGKILL)                # the postmaster ends all of them and recovers
        except ProcessLookupError:
            pass
    time.sleep(0.5)
    platform.postgres.wait()
    return what


def test_no_kill_loses_or_invents_an_event():
    seed = random.randrange(2 ** 32)
    rng = random.Random(seed)
    with Sink() as sink, Platform(services={"auth": 1, "store-data": 1, "webhooks": 2}, durable=True,
                                  settings={"SX_ACCESS_LOG": 0}) as platform:
        shop = Owner(platform).open_shop()
        subscribe(shop, sink.url)
        with Writers(shop) as writers:
            hits = collections.Counter()
            for _ in range(ROUNDS):
                time.sleep(rng.uniform(0.1, 0.8))
                hits[hurt(platform, rng)] += 1
            platform.wait_ready(60)
        until(lambda: not platform.postgres.rows("select 1 from store_data.outbox limit 1"), 60)
        until(lambda: not platform.postgres.rows("select 1 from webhooks.waiting where attempt = 0 limit 1"), 60)
        platform.set_clock(100)                                             # what failed while it was hurt comes again
        until(lambda: not platform.postgres.rows("select 1 from webhooks.waiting limit 1"), 60)
        there = {order_id for order_id, in platform.postgres.rows("select order_id from store_data.store_order")}
        received = collections.defaultdict(set)
        for _, _, body in sink.requests:
            sent = json.loads(body)
            received[sent["data"]["order_id"]].add(sent["event_id"])
        log = log_of(platform, shop.installation_id)
    print(f"seed {seed}: {ROUNDS} rounds {dict(hits)}, {len(there)} orders, {len(sink.requests)} deliveries")
    assert writers.accepted <= there and len(there) > ROUNDS
    assert set(received) == there
    assert all(len(event_ids) == 1 for event_ids in received.values())
    assert [seq for seq, _, _ in log] == list(range(1, len(log) + 1))
    assert [topic for _, _, topic in log].count("order.created") == len(there)

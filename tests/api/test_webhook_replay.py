"""Events sent once more: one, a range, those of a topic, all that failed (contract K.4)."""

import collections
import json
import random
import time
import uuid
from datetime import datetime, timezone

import pytest

from .credentials import refused
from .hooks import HOOKS, Sink, event, log_of, publish, subscribe, waiting
from .shop import Owner
from .test_uninstall import until

REPLAYS = f"{HOOKS}/replays"
HOUR_US = 3600 * 1000000


@pytest.fixture
def shop(owner):
    """One that webhooks knows already."""
    made = owner.open_shop()
    until(lambda: log_of(made.platform, made.installation_id))
    return made


@pytest.fixture
def sink():
    with Sink() as made:
        yield made


def iso(time_us):
    return datetime.fromtimestamp(time_us / 1000000, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def dry_run(shop, **wish):
    answer = shop.post(REPLAYS, {**wish, "dry_run": True})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def begin(shop, **wish):
    answer = shop.post(REPLAYS, wish)
    assert answer.status_code == 202, answer.text
    return answer.json()["data"]


def look(shop, replay):
    return shop.get(f"{REPLAYS}/{replay['replay_id']}").json()["data"]


def completed(shop, replay):
    until(lambda: look(shop, replay)["status"] != "running")
    return look(shop, replay)


def switch(shop, sub, is_active):
    assert shop.put(f"{HOOKS}/{sub['subscription_id']}", {"is_active": is_active}).status_code == 200


def over(shop, *subs):
    until(lambda: not any(waiting(shop.platform, sub["subscription_id"]) for sub in subs))


def fail(shop, sink, sub, events):
    """They have failed for good, as those do that wait when their subscription is switched off."""
    sink.answers = dict.fromkeys(("/", "/hook"), 500)
    publish(shop.platform, *events)
    until(lambda: any(attempt for _, _, attempt in waiting(shop.platform, sub["subscription_id"])))
    switch(shop, sub, False)
    over(shop, sub)
    switch(shop, sub, True)
    sink.answers = []
    sink.requests.clear()


def deliveries(shop, sub):
    return shop.get(f"{HOOKS}/{sub['subscription_id']}/deliveries?limit=100").json()["data"]


def sent(sink, count):
    return [json.loads(body) for _, _, body in sink.wait(count)]


# ---- what is replayed ------------------------------------------------------------------------------------------------


def test_all_that_failed(shop, sink):
    sub = subscribe(shop, sink.url + "/hook")
    events = [event(shop.store_id, resource_id=number % 3, data={"n": number}) for number in range(6)]
    fail(shop, sink, sub, events)
    publish(shop.platform, event(shop.store_id, resource_id=9, data={"n": 9}))             # this one comes through
    assert sent(sink, 1)[0]["data"] == {"n": 9}
    over(shop, sub)
    assert dry_run(shop) == {"subscriptions": 1, "total": 6, "total_capped": 0} and len(sink.requests) == 1
    replay = begin(shop)
    assert (replay["status"], replay["total"], replay["total_capped"], replay["rate"]) == ("running", 6, 0, 50)
    assert replay["filter"]["status"] == "failed" and replay["filter"]["subscription_id"] is None and replay["finished_at"] is None
    done = completed(shop, replay)
    assert (done["status"], done["queued"], done["message"]) == ("completed", 6, None) and done["finished_at"] and done["reached"]
    assert sorted(one["event_id"] for one in sent(sink, 7)[1:]) == sorted(one["event_id"] for one in events)
    over(shop, sub)
    rows = deliveries(shop, sub)
    failed = {row["delivery_id"]: row for row in rows if row["status"] == "failed"}
    again = {row["retried_as"]: row for row in failed.values()}
    assert len(rows) == 13 and len(failed) == len(again) == 6
    for row in rows:
        if row["delivery_id"] in again:
            assert row["status"] == "success" and row["event_id"] == again[row["delivery_id"]]["event_id"] and row["retried_as"] is None
    assert dry_run(shop)["total"] == 0 and dry_run(shop, status="all")["total"] == 7
    assert len({row["attempt_log"][0]["attempt_id"] for row in rows if row["status"] == "success"}) == 7


def test_what_fails_in_a_replay_is_for_the_next_one(shop, sink):
    sub = subscribe(shop, sink.url + "/hook")
    events = [event(shop.store_id, resource_id=number) for number in range(3)]
    fail(shop, sink, sub, events)
    sink.answers = {"/hook": 500}
    completed(shop, begin(shop))
    sink.wait(3)
    switch(shop, sub, False)
    over(shop, sub)
    switch(shop, sub, True)
    sink.answers = []
    sink.requests.clear()
    assert dry_run(shop)["total"] == 3
    assert completed(shop, begin(shop))["queued"] == 3
    assert sorted(one["event_id"] for one in sent(sink, 3)) == sorted(one["event_id"] for one in events)


def test_times_topics_and_subscriptions(shop, sink):
    """Of nine events, every hour one."""
    now_us = time.time_ns() // 1000
    first_us = now_us - 30 * HOUR_US
    orders, products = subscribe(shop, sink.url + "/orders"), subscribe(shop, sink.url + "/products", "product.updated")
    topics = ["order.created", "order.created", "product.updated"]
    events = [event(shop.store_id, topics[n % 3], n, {"n": n}, created_us=first_us + n * HOUR_US) for n in range(9)]
    publish(shop.platform, *events)
    sink.wait(9)
    over(shop, orders, products)
    for wish, numbers in (({}, [0, 1, 2, 3, 4, 5, 6, 7, 8]), ({"topic": "product.updated"}, [2, 5, 8]), ({"topic": "order.updated"}, []),
                          ({"subscription_id": orders["subscription_id"]}, [0, 1, 3, 4, 6, 7]),
                          ({"from": iso(first_us + 3 * HOUR_US), "to": iso(first_us + 7 * HOUR_US)}, [3, 4, 5, 6]),
                          ({"from": iso(first_us + 3 * HOUR_US + 1)}, [4, 5, 6, 7, 8]),
                          ({"to": iso(first_us + 3 * HOUR_US), "topic": "order.created"}, [0, 1]), ({"to": iso(first_us)}, []),
                          ({"to": iso(now_us + 40 * HOUR_US), "from": iso(first_us + 8 * HOUR_US)}, [8])):
        sink.requests.clear()
        assert dry_run(shop, status="all", **wish)["total"] == len(numbers), wish
        done = completed(shop, begin(shop, status="all", rate=500, **wish))
        assert (done["status"], done["total"], done["queued"]) == ("completed", len(numbers), len(numbers)), wish
        over(shop, orders, products)
        assert sorted(one["data"]["n"] for one in sent(sink, len(numbers))) == numbers, wish
        assert all(path == ("/products" if json.loads(body)["data"]["n"] % 3 == 2 else "/orders") for path, _, body in sink.requests)


def test_events_that_it_never_got(shop, sink):
    """From before it was made, and while it was switched off."""
    publish(shop.platform, event(shop.store_id, data={"n": 1}))
    sub = subscribe(shop, sink.url)
    switch(shop, sub, False)
    publish(shop.platform, event(shop.store_id, data={"n": 2}))
    switch(shop, sub, True)
    assert dry_run(shop)["total"] == 0 and dry_run(shop, status="all")["total"] == 2
    assert completed(shop, begin(shop, status="all"))["queued"] == 2
    assert [one["data"]["n"] for one in sent(sink, 2)] == [1, 2]


def test_one_event(owner, shop, sink):
    one, two = subscribe(shop, sink.url + "/1"), subscribe(shop, sink.url + "/2")
    publish(shop.platform, told := event(shop.store_id), other := event(shop.store_id, "product.created"))
    sink.wait(2)
    assert dry_run(shop, event_id=told["event_id"]) == {"subscriptions": 2, "total": 2, "total_capped": 0}
    done = begin(shop, event_id=told["event_id"])
    assert (done["status"], done["total"], done["queued"], done["filter"]["event_id"]) == ("completed", 2, 2, told["event_id"])
    assert {path for path, _, _ in sink.wait(4)[2:]} == {"/1", "/2"}
    begin(shop, event_id=told["event_id"], subscription_id=two["subscription_id"])
    [(path, headers, body)] = sink.wait(5)[4:]
    assert path == "/2" and json.loads(body)["event_id"] == told["event_id"] == headers["X-SeloraX-Webhook-Event-Id"]
    assert len({headers["X-SeloraX-Delivery-Id"] for _, headers, _ in sink.requests}) == 5
    over(shop, one, two)
    assert len(deliveries(shop, one)) == 2 and len(deliveries(shop, two)) == 3
    assert begin(shop, event_id=other["event_id"])["queued"] == 0                          # nobody has subscribed to it
    stranger = owner.open_shop()
    for wish in ({"event_id": str(uuid.uuid4())}, {"event_id": "x"}, {"event_id": told["event_id"], "status": "all"},
                 {"event_id": told["event_id"], "from": iso(0)}, {"event_id": told["event_id"], "topic": "product.created"},
                 {"event_id": other["event_id"], "subscription_id": one["subscription_id"]}):
        refused(shop.post(REPLAYS, wish), 400, "validation_error")
    refused(stranger.post(REPLAYS, {"event_id": told["event_id"]}), 400, "validation_error")


def test_a_test_delivery_is_not_replayed(shop, sink):
    sub = subscribe(shop, sink.url + "/hook")
    sink.answers = {"/hook": 500}
    tested = shop.post(f"{HOOKS}/{sub['subscription_id']}/test").json()["data"]
    sink.wait(1)
    switch(shop, sub, False)
    over(shop, sub)
    switch(shop, sub, True)
    assert dry_run(shop)["total"] == 0 and dry_run(shop, status="all")["total"] == 0
    refused(shop.post(REPLAYS, {"event_id": tested["event_id"]}), 400, "validation_error")
    sink.answers = []
    assert shop.post(f"{HOOKS}/deliveries/{tested['delivery_id']}/retry").status_code == 202
    sink.wait(2)


# ---- bad wishes ------------------------------------------------------------------------------------------------------


def test_wishes_that_are_none(owner, shop, sink):
    sub, stranger = subscribe(shop, sink.url), owner.open_shop(store_id=shop.store_id)
    for wish in ({"from": iso(time.time_ns() // 1000 + HOUR_US)}, {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
                 {"from": "yesterday"}, {"rate": 0}, {"rate": 501}, {"rate": 1.5}, {"status": "success"}, {"topic": "a"},
                 {"subscription_id": 2 ** 62}, {"subscription_id": sub["subscription_id"], "topic": "order.updated"}):
        refused(shop.post(REPLAYS, wish), 400, "validation_error")
    refused(stranger.post(REPLAYS, {"subscription_id": sub["subscription_id"]}), 400, "validation_error")
    switch(shop, sub, False)
    refused(shop.post(REPLAYS, {"subscription_id": sub["subscription_id"]}), 409, "conflict")
    refused(shop.post(REPLAYS, {"subscription_id": sub["subscription_id"], "dry_run": True}), 409, "conflict")


def test_replays_of_others_are_not_seen(owner, shop, sink):
    subscribe(shop, sink.url)
    mine, stranger = begin(shop), owner.open_shop(store_id=shop.store_id)
    assert [one["replay_id"] for one in shop.get(REPLAYS).json()["data"]] == [mine["replay_id"]] and stranger.get(REPLAYS).json()["data"] == []
    refused(stranger.get(f"{REPLAYS}/{mine['replay_id']}"), 404, "not_found")
    refused(stranger.post(f"{REPLAYS}/{mine['replay_id']}/cancel"), 404, "not_found")
    refused(shop.get(f"{REPLAYS}/{2 ** 62}"), 404, "not_found")
    refused(shop.get(f"{REPLAYS}/abc"), 404, "not_found")


def test_each_route_wants_its_store_and_its_own_key(shop):
    publish(shop.platform, one := event(shop.store_id))
    made = begin(shop, event_id=one["event_id"])
    storeless = {name: value for name, value in shop.client.items() if name != "X-Store-Id"}
    for method, path in (("GET", REPLAYS), ("POST", REPLAYS), ("GET", f"{REPLAYS}/{made['replay_id']}"), ("POST", f"{REPLAYS}/{made['replay_id']}/cancel")):
        refused(shop.platform.request(method, path, headers=storeless, body="{}" if method == "POST" else None), 400, "missing_store_id")
    key = {"Idempotency-Key": "once"}
    answers = [shop.post(REPLAYS, {"event_id": one["event_id"]}, headers=key) for _ in range(2)]
    assert answers[0].status_code == 202 and answers[0].text == answers[1].text and len(shop.get(REPLAYS).json()["data"]) == 2
    refused(shop.post(f"{REPLAYS}/{made['replay_id']}/cancel", headers=key), 409, "idempotency_conflict")


def test_the_newest_hundred_are_kept(shop):
    publish(shop.platform, one := event(shop.store_id))
    made = [begin(shop, event_id=one["event_id"])["replay_id"] for _ in range(103)]
    assert [each["replay_id"] for each in shop.get(REPLAYS).json()["data"]] == made[:2:-1]


def test_more_than_a_hundred_subscriptions(shop, sink):
    subs = [subscribe(shop, sink.url, "order.created" if number < 51 else "order.updated") for number in range(101)]
    refused(shop.post(REPLAYS, {"dry_run": True}), 400, "validation_error")
    refused(shop.post(REPLAYS, {}), 400, "validation_error")
    assert dry_run(shop, subscription_id=subs[0]["subscription_id"])["subscriptions"] == 1
    assert shop.delete(f"{HOOKS}/{subs[0]['subscription_id']}").status_code == 200
    publish(shop.platform, event(shop.store_id), event(shop.store_id, "order.updated"))
    assert dry_run(shop, status="all") == {"subscriptions": 100, "total": 100, "total_capped": 0}


# ---- its shape -------------------------------------------------------------------------------------------------------


def test_its_rate_and_its_end(shop, sink):
    """Five a second; a live event does not wait for the rest; once it is cancelled nothing follows."""
    sub = subscribe(shop, sink.url)
    publish(shop.platform, *[event(shop.store_id, resource_id=number, data={"n": number}) for number in range(200)])
    sink.wait(200)
    over(shop, sub)
    started = time.monotonic()
    replay = begin(shop, status="all", rate=5)
    refused(shop.post(REPLAYS, {"status": "all"}), 409, "conflict")                        # one at a time
    begin(shop, event_id=json.loads(sink.requests[0][2])["event_id"])                      # but a single event
    while True:
        queued = look(shop, replay)["queued"]
        assert queued <= 1 + 5 * (time.monotonic() - started)
        if queued >= 4:
            break
        assert time.monotonic() - started < 30
    publish(shop.platform, live := event(shop.store_id, resource_id=0))
    until(lambda: live["event_id"] in [json.loads(body)["event_id"] for _, _, body in sink.requests])
    seen = look(shop, replay)
    assert seen["status"] == "running" and 4 <= seen["queued"] < 200
    cancelled = shop.post(f"{REPLAYS}/{replay['replay_id']}/cancel").json()["data"]
    assert cancelled["status"] == "cancelled" and cancelled["finished_at"]
    over(shop, sub)
    time.sleep(0.7)
    assert look(shop, replay) == cancelled and len(sink.requests) == 200 + 1 + 1 + cancelled["queued"]
    assert shop.post(f"{REPLAYS}/{replay['replay_id']}/cancel").json()["data"] == cancelled
    assert completed(shop, begin(shop))["status"] == "completed"                           # the next one may begin


def test_it_rests_while_much_waits(shop, sink):
    sub = subscribe(shop, sink.url)
    publish(shop.platform, *[event(shop.store_id, resource_id=number) for number in range(10)])
    sink.wait(10)
    over(shop, sub)
    shop.platform.postgres.rows(
        "insert into webhooks.waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, created_at) "
        "select %s, event_id, created_at, topic, 'order', n, now() + interval '1 hour', now() from webhooks.event, generate_series(1, 1000) as n "
        "where event_id = %s", (sub["subscription_id"], json.loads(sink.requests[0][2])["event_id"]))
    replay = begin(shop, status="all", rate=500)
    time.sleep(1)
    assert (look(shop, replay)["status"], look(shop, replay)["queued"]) == ("running", 0)
    shop.platform.postgres.rows("delete from webhooks.waiting where subscription_id = %s", (sub["subscription_id"],))
    assert completed(shop, replay)["queued"] == 10
    sink.wait(20)


def test_live_events_do_not_wait_for_replayed_ones(shop, sink):
    """Nor the other way round: each has a lane of its own for a resource."""
    sub = subscribe(shop, sink.url)
    publish(shop.platform, event(shop.store_id, resource_id=1, data={"n": 1}), event(shop.store_id, resource_id=1, data={"n": 2}))
    sink.wait(2)
    over(shop, sub)
    sink.answers = [500]
    completed(shop, begin(shop, status="all"))
    until(lambda: [attempt for _, _, attempt in waiting(shop.platform, sub["subscription_id"])] == [1, 0])
    publish(shop.platform, event(shop.store_id, resource_id=1, data={"n": 3}))
    assert [one["data"]["n"] for one in sent(sink, 4)] == [1, 2, 1, 3]
    until(lambda: len(waiting(shop.platform, sub["subscription_id"])) == 2)
    sink.answers = [500]
    publish(shop.platform, event(shop.store_id, resource_id=2, data={"n": 4}))
    until(lambda: len(waiting(shop.platform, sub["subscription_id"])) == 3)
    row = [one for one in deliveries(shop, sub) if one["status"] == "success"][-1]
    assert shop.post(f"{HOOKS}/deliveries/{row['delivery_id']}/retry").status_code == 202  # a single one is no different
    time.sleep(0.3)
    assert [one["data"]["n"] for one in sent(sink, 5)] == [1, 2, 1, 3, 4]                  # it waits for what is replayed before it
    until(lambda: len(waiting(shop.platform, sub["subscription_id"])) == 4)


class Moody(Sink):
    """Fails one request in ten; keeps what it answered."""

    def __init__(self, rng):
        super().__init__()
        self.rng, self.answered = rng, []

    def take(self, path, headers, body):
        status = 500 if self.rng.random() < 0.1 else 200
        with self.changed:
            self.answered.append((json.loads(body)["data"]["n"], status))
        return status


def test_order_per_resource_in_a_replay(make_platform):
    """Of a resource nothing comes before what went before it has succeeded, over two processes."""
    seed, count, resources = random.randrange(2 ** 32), 400, 7
    platform = make_platform(services={"auth": 1, "store-data": 1, "webhooks": 2})
    shop = Owner(platform).open_shop()
    until(lambda: log_of(platform, shop.installation_id))
    publish(platform, *[event(shop.store_id, "order.updated", n % resources, {"n": n}) for n in range(count)])
    with Moody(random.Random(seed)) as moody:
        sub = subscribe(shop, moody.url, "order.updated")
        replay, clock, until_s = begin(shop, status="all", rate=500), 0, time.monotonic() + 120
        while look(shop, replay)["status"] == "running" or waiting(platform, sub["subscription_id"]):
            assert time.monotonic() < until_s
            time.sleep(0.3)
            if not platform.postgres.rows("select 1 from webhooks.waiting where next_at <= now() + %s * interval '1 s' limit 1", (clock,)):
                clock += 100
                platform.set_clock(clock)
                assert clock < 80000
    done = collections.defaultdict(list)
    for n, status in moody.answered:
        assert n == (done[n % resources][-1] + resources if done[n % resources] else n % resources), f"seed {seed}: {n} out of turn"
        if status == 200:
            done[n % resources].append(n)
    assert sum(map(len, done.values())) == count == look(shop, replay)["queued"] < len(moody.answered)


# ---- faults ----------------------------------------------------------------------------------------------------------


def test_killed_at_any_moment_each_is_sent_once_more(make_platform, sink):
    seed, count = random.randrange(2 ** 32), 600
    rng = random.Random(seed)
    platform = make_platform(services={"auth": 1, "store-data": 1, "webhooks": 2})
    shop = Owner(platform).open_shop()
    sub = subscribe(shop, sink.url)
    for start in range(0, count, 300):
        publish(platform, *[event(shop.store_id, resource_id=n % 50, data={"n": n}) for n in range(start, start + 300)])
    sink.wait(count)
    over(shop, sub)
    replay = begin(shop, status="all", rate=200)
    for number in range(8):
        victim = platform[f"webhooks-{number % 2 + 1}"]
        time.sleep(rng.random() * 0.3)
        victim.kill()
        victim.start()
    platform.wait_ready()
    done = completed(shop, replay)
    until(lambda: not waiting(platform, sub["subscription_id"]), 40)
    made = platform.postgres.rows("select count(*), count(distinct event_id) from webhooks.delivery where subscription_id = %s and state = 'success'",
                                  (sub["subscription_id"],))
    assert (done["status"], done["queued"], made) == ("completed", count, [(2 * count, count)]), f"seed {seed}"
    assert collections.Counter(platform.postgres.rows("select count(*) from webhooks.delivery group by event_id"))[(2,)] == count
    told = collections.Counter(json.loads(body)["data"]["n"] for _, _, body in sink.requests)
    assert set(told) == set(range(count)) and min(told.values()) >= 2


def test_switched_off_it_stops(shop, sink):
    sub = subscribe(shop, sink.url)
    publish(shop.platform, *[event(shop.store_id, resource_id=number) for number in range(50)])
    sink.wait(50)
    over(shop, sub)
    replay = begin(shop, status="all", rate=5, subscription_id=sub["subscription_id"])
    switch(shop, sub, False)
    done = completed(shop, replay)
    assert done["status"] == "stopped" and done["message"] and done["queued"] < 50


def test_uninstalled_it_stops(owner, sink):
    shop = owner.open_shop()
    until(lambda: log_of(shop.platform, shop.installation_id))
    platform, sub = shop.platform, subscribe(shop, sink.url)
    publish(platform, *[event(shop.store_id, resource_id=number) for number in range(50)])
    sink.wait(50)
    over(shop, sub)
    replay = begin(shop, status="all", rate=5)
    platform.call("auth.installations.end", installation_id=shop.installation_id)
    until(lambda: platform.postgres.rows("select state from webhooks.replay where replay_id = %s", (replay["replay_id"],)) == [("stopped",)])
    until(lambda: platform.postgres.rows("select status from webhooks.installation where installation_id = %s", (shop.installation_id,)) == [("ended",)])
    assert waiting(platform, sub["subscription_id"]) == []
    before = len(sink.requests)
    time.sleep(0.5)
    assert len(sink.requests) == before < 100

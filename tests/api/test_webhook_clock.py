"""What takes hours or days, on the test clock: jitter, Retry-After, failures in a row, 410, and replays of what is old (contract
D.3, K.4). The retry table and the ten failures are in test_webhook_delivery.py, the log's days in test_webhook_log.py."""

import email.utils
import json
import time

import pytest

from .credentials import refused
from .hooks import HOOKS, Sink, event, log_of, publish, subscribe, waiting
from .shop import Owner
from .test_uninstall import until

DAY_S = 86400
GAPS = (60, 300, 1800, 7200, 43200)


@pytest.fixture
def shop(make_platform):
    """On a platform whose clock may be set."""
    made = Owner(make_platform()).open_shop()
    until(lambda: log_of(made.platform, made.installation_id))
    return made


@pytest.fixture
def sink():
    with Sink() as made:
        yield made


def waits(shop, attempt):
    """How long after its attempt of that number each delivery is to wait."""
    return [seconds for seconds, in shop.platform.postgres.rows(
        "select extract(epoch from next_retry_at - at)::float from webhooks.attempt where attempt = %s and response_status <> 200 order by delivery_id", (attempt,))]


def look(shop, sub):
    return shop.platform.get(f"{HOOKS}/{sub['subscription_id']}", headers=shop.client).json()["data"]


def test_jitter(shop, sink):
    """Sixty that failed together do not come back together: up to a tenth later, spread over all of it, at each of the gaps."""
    count, clock = 60, 0
    sub = subscribe(shop, sink.url + "/hook")
    sink.answers = {"/hook": 503}
    publish(shop.platform, *[event(shop.store_id, resource_id=number) for number in range(count)])
    for number, gap in enumerate(GAPS, 1):
        until(lambda: len(waits(shop, number)) == count, 40)
        # `at` is when the attempt began; the gap runs from its end.
        found = sorted(waits(shop, number))
        assert gap <= found[0] and found[-1] <= gap * 1.1 + 20, (gap, found)
        assert len({round(each, 3) for each in found}) > count * 0.9
        if gap >= 1800:                                                     # where the attempts' own time is nothing beside it
            lower, upper = gap * 1.03, gap * 1.07
            assert found[0] < lower and found[-1] > upper and any(lower < each < upper for each in found), (gap, found)
        clock += gap * 1.1 + 30
        shop.platform.set_clock(int(clock))
    until(lambda: look(shop, sub)["is_active"] == 0, 40)                    # ten of them have failed for good


def test_retry_after(shop, sink):
    """Later than the table says, never earlier, and a day at most; as seconds or as a date; what comes is not sent before."""
    platform, clock = shop.platform, 0
    sub = subscribe(shop, sink.url)
    for number, (said, least, most) in enumerate((("3600", 3600, 3600), ("5", 60, 66), ("999999999", DAY_S, DAY_S), ("-5", 60, 66),
                                                  ("soon", 60, 66), ("date", 1700, 1830)), 1):
        sink.answers = [429]
        sink.headers = {"Retry-After": email.utils.formatdate(time.time() + 1800, usegmt=True) if said == "date" else said}
        platform.postgres.rows("delete from webhooks.attempt")
        publish(platform, event(shop.store_id, resource_id=number))
        until(lambda: len(waits(shop, 1)) == 1)
        [wait] = waits(shop, 1)
        assert least <= wait <= most + 10, (said, wait)
        before, sink.headers = len(sink.requests), {}
        platform.set_clock(clock + least - 12)
        time.sleep(0.3)
        assert len(sink.requests) == before, said
        clock += most + 20
        platform.set_clock(clock)
        sink.wait(before + 1)
        until(lambda: waiting(platform, sub["subscription_id"]) == [])


def test_a_success_begins_the_count_of_failures_anew(shop, sink):
    platform, clock = shop.platform, 0
    sub = subscribe(shop, sink.url + "/hook")
    for round_number in range(2):
        sink.answers = {"/hook": 500}
        publish(platform, *[event(shop.store_id, resource_id=number) for number in range(9)])
        for number, gap in enumerate((*GAPS, 0), 1):
            until(lambda: len(waits(shop, number)) == 9 * (round_number + 1), 40)
            clock += gap * 1.1 + 30
            platform.set_clock(int(clock))
        until(lambda: waiting(platform, sub["subscription_id"]) == [])
        assert look(shop, sub)["failure_count"] == 9 and look(shop, sub)["is_active"] == 1
        sink.answers = {}
        before = len(sink.requests)
        publish(platform, event(shop.store_id, resource_id=100))
        sink.wait(before + 1)
        until(lambda: look(shop, sub)["failure_count"] == 0)


def test_410_ends_what_waits_and_tells_the_developer(shop, sink):
    platform = shop.platform
    sub, _ = subscribe(shop, sink.url + "/hook"), subscribe(shop, sink.url + "/told", "webhook.disabled")
    sink.answers = {"/hook": 500}
    publish(platform, *[event(shop.store_id, resource_id=number) for number in range(5)])
    until(lambda: len(waits(shop, 1)) == 5)
    sink.answers = {"/hook": 410}
    platform.set_clock(70)
    until(lambda: look(shop, sub)["is_active"] == 0)
    until(lambda: waiting(platform, sub["subscription_id"]) == [])
    until(lambda: "/told" in [path for path, _, _ in sink.requests])
    [told] = [json.loads(body) for path, _, body in sink.requests if path == "/told"]
    assert told["data"]["reason"] == "the endpoint answered 410 Gone" == look(shop, sub)["disabled_reason"]
    states = platform.postgres.rows("select state, count(*) from webhooks.delivery where subscription_id = %s group by 1", (sub["subscription_id"],))
    assert states == [("failed", 5)]
    page = shop.get("/api/apps/v1/events?topic=webhook.disabled").json()    # and the log has it
    assert [one["event_id"] for one in page["data"]] == [told["event_id"]]
    before = len(sink.requests)
    platform.set_clock(20000)
    time.sleep(0.3)
    assert len(sink.requests) == before


def test_replays_reach_as_far_as_events_are_kept(shop, sink):
    platform, now_us = shop.platform, time.time_ns() // 1000
    sub = subscribe(shop, sink.url)
    old, young = [event(shop.store_id, resource_id=n, created_us=now_us + n * DAY_S * 1000000) for n in (0, 20)]

    def ask(**wish):
        return platform.post(f"{HOOKS}/replays", {"status": "all", **wish}, headers=shop.client)

    publish(platform, old)
    platform.set_clock(20 * DAY_S)
    publish(platform, young)
    sink.wait(2)
    platform.set_clock(30 * DAY_S)
    assert ask(dry_run=True).json()["data"]["total"] == 2
    platform.set_clock(33 * DAY_S)
    platform["webhooks-1"].restart()                                        # its actor looks at once
    platform.wait_ready()
    until(lambda: not platform.postgres.rows("select 1 from webhooks.event where event_id = %s", (old["event_id"],)))
    assert ask(dry_run=True).json()["data"]["total"] == 1
    for wish in ({"event_id": old["event_id"]}, {"event_id": old["event_id"], "dry_run": True}):
        refused(platform.post(f"{HOOKS}/replays", wish, headers=shop.client), 400, "validation_error")
    assert ask().status_code == 202
    assert [one["event_id"] for one in sink.bodies(3)] == [old["event_id"], young["event_id"], young["event_id"]]
    until(lambda: waiting(platform, sub["subscription_id"]) == [])


def test_a_replay_does_not_make_up_for_lost_time(shop, sink):
    """An hour that passes at once is no hour's worth of deliveries at once."""
    platform = shop.platform
    sub = subscribe(shop, sink.url)
    publish(platform, *[event(shop.store_id, resource_id=number) for number in range(100)])
    sink.wait(100)
    until(lambda: waiting(platform, sub["subscription_id"]) == [])
    started = time.monotonic()
    replay = shop.post(f"{HOOKS}/replays", {"status": "all", "rate": 2}).json()["data"]
    for jump in range(1, 5):
        platform.set_clock(jump * 3600)
        time.sleep(0.3)
        queued = shop.get(f"{HOOKS}/replays/{replay['replay_id']}").json()["data"]["queued"]
        assert queued <= 1 + jump + 2 * (time.monotonic() - started)
    assert shop.post(f"{HOOKS}/replays/{replay['replay_id']}/cancel").status_code == 200

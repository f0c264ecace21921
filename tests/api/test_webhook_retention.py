"""Days that go (contract K.4): by the day alone, whatever still waits; never by a clock that is far ahead; and who reads the log is
told of every number that went with them."""

import json
import time

import pytest

from .credentials import refused
from .hooks import Sink, event, log_of, publish, subscribe, waiting
from .shop import Owner
from .test_uninstall import until

EVENTS = "/api/apps/v1/events"
DAY_S = 86400
TABLES = ("log", "event", "delivery", "attempt")


@pytest.fixture
def shop(make_platform):
    """On a platform whose clock may be set."""
    made = Owner(make_platform()).open_shop()
    until(lambda: log_of(made.platform, made.installation_id))
    return made


def at(days):
    return time.time_ns() // 1000 + days * DAY_S * 1000000


def pass_to(platform, days):
    platform.set_clock(days * DAY_S)
    platform["webhooks-1"].restart()                                        # its actor looks at once
    platform.wait_ready()


def told(platform, name):
    return [line for line in platform["webhooks-1"].log_lines() if line["event"] == name]


def tables(platform, days):
    day = time.strftime("%Y%m%d", time.gmtime(time.time() + days * DAY_S))
    return [name for name in TABLES if platform.postgres.rows("select to_regclass(%s)", (f"webhooks.{name}_{day}",)) != [(None,)]]


def test_what_waits_does_not_keep_a_day(shop):
    """A delivery that waits for 33 days ends with its event; one that is overlooked ends as well, and holds up nothing."""
    platform = shop.platform
    with Sink() as sink:
        sub = subscribe(shop, sink.url + "/hook")
        sink.answers = {"/hook": 500}
        publish(platform, old := event(shop.store_id, resource_id=1))
        until(lambda: [row[2] for row in waiting(platform, sub["subscription_id"])] == [1])
        platform.postgres.rows("update webhooks.waiting set next_at = now() + interval '1 year' where subscription_id > 0")
        kept = platform.postgres.rows("select row_to_json(w) from webhooks.waiting as w where subscription_id > 0")[0][0]
        sink.answers = {}
        publish(platform, young := event(shop.store_id, resource_id=2, created_us=at(33)))
        pass_to(platform, 33)
        until(lambda: tables(platform, 0) == [])
        until(lambda: waiting(platform, sub["subscription_id"]) == [])      # the young one is on its way still
        assert tables(platform, 33) == list(TABLES)
        assert [line["deliveries"] for line in told(platform, "deliveries_expired")] == [1]
        dropped = [line["table"] for line in told(platform, "partition_dropped")]
        assert dropped[:4] == [f"{name}_{time.strftime('%Y%m%d', time.gmtime(at(0) / 1e6))}" for name in TABLES]
        platform.postgres.rows("insert into webhooks.waiting select * from json_populate_record(null::webhooks.waiting, %s)",
                               (json.dumps({**kept, "next_at": "2020-01-01"}),))
        platform.postgres.rows("update webhooks.queue set due_at = '2020-01-01', version = version + 1")
        publish(platform, last := event(shop.store_id, resource_id=1, created_us=at(33)))
        until(lambda: waiting(platform, sub["subscription_id"]) == [])
        assert [body["event_id"] for body in sink.bodies(3)] == [old["event_id"], young["event_id"], last["event_id"]]


def test_a_clock_far_ahead_drops_nothing(shop):
    platform = shop.platform
    publish(platform, event(shop.store_id))
    before = log_of(platform, shop.installation_id)
    pass_to(platform, 40)
    until(lambda: told(platform, "retention_refused"))
    time.sleep(0.3)
    assert tables(platform, 0) == list(TABLES) and log_of(platform, shop.installation_id) == before
    publish(platform, event(shop.store_id, created_us=at(40)))              # so it is the time after all
    pass_to(platform, 40)
    until(lambda: tables(platform, 0) == [])


def test_a_hole_is_told(shop):
    """A day goes by the event's time, a number by arrival: what came after midnight from before it leaves a hole, which is no
    event's beginning."""
    platform = shop.platform
    publish(platform, event(shop.store_id, resource_id=2))
    publish(platform, event(shop.store_id, resource_id=3, created_us=at(1)))
    publish(platform, event(shop.store_id, resource_id=4))                  # late
    publish(platform, event(shop.store_id, resource_id=5, created_us=at(1)))
    publish(platform, event(shop.store_id, resource_id=6, created_us=at(32)))
    pass_to(platform, 32)
    until(lambda: tables(platform, 0) == [])
    assert [seq for seq, _, _ in log_of(platform, shop.installation_id)] == [3, 5, 6]

    def read(after):
        return platform.get(f"{EVENTS}?after={after}", headers=shop.client)

    for after in (1, 2, 3):
        assert refused(read(after), 410, "events_expired")["oldest_seq"] == 5
    for after in (0, 4):
        page = read(after).json()
        assert ([one["seq"] for one in page["data"]], page["oldest_seq"], page["last_seq"]) == ([5, 6], 5, 6)


def test_a_day_that_was_dropped_is_made_again(shop):
    """By a process that has made it a moment ago, whoever dropped it."""
    platform = shop.platform
    for _ in range(2):
        publish(platform, event(shop.store_id, created_us=at(-20)))
        assert tables(platform, -20) == list(TABLES)
        for _ in TABLES:
            platform.postgres.rows("select webhooks.partition_drop((now() at time zone 'UTC')::date - 20)")
        assert tables(platform, -20) == []

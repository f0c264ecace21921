"""Deliveries where there is very much of something: answers as large as they may be, subscriptions of one owner whose endpoint takes
its time, owners whose endpoints all hang, deliveries behind one that waits for its retry; and leases of a process that is not there
any more.
"""

import asyncio
import json
import random
import threading
import time

import pytest

from .hooks import Sink, event, log_of, publish, subscribe
from .plans import Plans
from .shop import Owner
from .test_endpoint_isolation import Holding
from .test_uninstall import until

SUBSCRIPTIONS, STORES, BEHIND, HOLDER = 600, 6, 3000, 4711                # more subscriptions than a process has places
APPS, EACH = 8, 100


class Flooded:
    """An endpoint that keeps up with anything: /slow... answers after `delay` seconds, and not while it is held, with `status` and
    `text`, all else at once with nothing."""

    def __init__(self):
        self.arrived, self.answered, self.delay, self.text, self.status = {}, {}, 0, b"", 200
        self.free = asyncio.Event()
        self.free.set()
        self.loop, ready = asyncio.new_event_loop(), threading.Event()
        self.thread = threading.Thread(target=self.run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024))
        self.url = "http://127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.server.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = [line for line in head.split("\r\n") if line.lower().startswith("content-length:")][0]
                await reader.readexactly(int(length.partition(":")[2]))
                path, slow = head.split()[1], head.split()[1].startswith("/slow")
                self.arrived[path] = self.arrived.get(path, 0) + 1
                if slow and self.delay:
                    await asyncio.sleep(self.delay * random.uniform(0.7, 1.3))      # they do not go on all at once
                if slow:
                    await self.free.wait()
                text, status = (self.text, self.status) if slow else (b"", 200)
                writer.write(b"HTTP/1.1 %d Word\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text))
                self.answered[path] = self.answered.get(path, 0) + 1
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def wait(self, path, count, seconds=120):
        until(lambda: self.arrived.get(path, 0) >= count, seconds)

    def hold(self):
        self.loop.call_soon_threadsafe(self.free.clear)

    def release(self):
        self.loop.call_soon_threadsafe(self.free.set)

    def wait_full(self, paths):
        """Until no more come than have come."""
        seen = -1
        while seen != (count := sum(self.arrived.get(path, 0) for path in paths)):
            seen = count
            time.sleep(1)


class Crowd:
    """Shops of one app that have many subscriptions to one endpoint, and the shop of another app with one."""

    def __init__(self, platform):
        self.platform, self.sink, self.number = platform, Flooded(), 0
        owner, self.good = Owner(platform), Owner(platform).open_shop()
        app = owner.make_app()
        self.bad = [owner.open_shop(app=app) for _ in range(STORES)]
        self.subs = [subscribe(shop, self.sink.url + "/slow", "order.updated")["subscription_id"] for shop in self.bad
                     for _ in range(SUBSCRIPTIONS // STORES)]
        subscribe(self.good, self.sink.url + "/good", "order.updated")

    def publish(self, shops, count):
        self.number += count
        for shop in shops:
            publish(self.platform, *[event(shop.store_id, "order.updated", self.number - n) for n in range(count)])

    def waiting(self):
        return self.platform.postgres.rows("select count(*) from webhooks.waiting where subscription_id > 0")[0][0]

    def drain(self):
        until(lambda: self.waiting() == 0, 300)

    def warm_up(self):
        """Until every endpoint is trusted: more good answers than CAP_FIRST."""
        before = self.sink.arrived.get("/slow", 0)
        for _ in range(2):
            self.publish(self.bad, 3)
            self.publish([self.good], 3)
        self.sink.wait("/slow", before + 6 * SUBSCRIPTIONS)
        self.drain()


@pytest.fixture(scope="module")
def crowd():
    from .platform import Platform
    with Platform() as platform:
        made = Crowd(platform)
        yield made
        made.sink.close()


def test_answers_of_control_characters(crowd):
    """As JSON they are six times as long. While PostgreSQL makes it wait a process collects more of them than one statement holds."""
    crowd.warm_up()
    platform, sink, before = crowd.platform, crowd.sink, dict(crowd.sink.arrived)
    [(first,)] = platform.postgres.rows("select coalesce(max(delivery_id), 0) from webhooks.delivery")
    sink.text = b"\x01" * 4096
    lock = platform.postgres.connect()
    lock.autocommit = False
    lock.cursor().execute("lock table webhooks.attempt in exclusive mode")
    crowd.publish(crowd.bad, 17)
    crowd.publish([crowd.good], 1)
    seen = -1
    while sink.arrived["/slow"] != seen:                                    # as many as are begun without a note
        seen = sink.arrived["/slow"]
        time.sleep(1)
    assert seen > before["/slow"]
    lock.rollback()
    lock.close()
    sink.wait("/good", before["/good"] + 1)
    sink.wait("/slow", before["/slow"] + 17 * SUBSCRIPTIONS, 300)
    crowd.drain()
    sink.text = b""
    assert platform.postgres.rows(
        "select count(*), count(distinct delivery_id), count(*) filter (where response_body = repeat(chr(1), 4096)) from webhooks.attempt "
        "where delivery_id > %s and subscription_id = any (%s)", (first, crowd.subs)) == [(17 * SUBSCRIPTIONS,) * 3]
    assert sink.arrived["/slow"] == before["/slow"] + 17 * SUBSCRIPTIONS and sink.arrived["/good"] == before["/good"] + 1


def test_slow_ones_that_are_trusted_leave_places_to_others(crowd):
    """They have all requests under way that one owner may have, for long, and more queues than there are places. What comes for
    somebody else is not behind all of them; and putting them off is no work for its own sake."""
    crowd.warm_up()
    platform, sink, before, each = crowd.platform, crowd.sink, dict(crowd.sink.arrived), 6
    answered, started, updates = sink.answered["/slow"], time.monotonic(), queue_updates(platform)
    sink.delay = 1.5
    crowd.publish(crowd.bad, each)
    for number in range(1, 4):
        sink.wait("/slow", before["/slow"] + 150 + number)                  # it is full
        crowd.publish([crowd.good], 1)
        sink.wait("/good", before["/good"] + number)
        assert sink.answered["/slow"] - answered < number * SUBSCRIPTIONS
    until(lambda: sink.answered["/slow"] - answered > each * SUBSCRIPTIONS // 4)
    assert queue_updates(platform) - updates < 3000 * (time.monotonic() - started)
    sink.delay = 0
    crowd.drain()
    assert sink.arrived["/slow"] == before["/slow"] + each * SUBSCRIPTIONS


def queue_updates(platform):
    return platform.postgres.rows("select n_tup_upd from pg_stat_all_tables where schemaname = 'webhooks' and relname = 'queue'")[0][0]


# ---- owners whose endpoints hang -------------------------------------------------------------------------------------


class Hanging:
    """Apps that have many endpoints each, more together than the processes have places for; all of them can be made to hang."""

    def __init__(self, platform):
        self.platform, self.sink, self.number = platform, Flooded(), 0
        self.paths = [f"/slow/{number}" for number in range(APPS)]
        self.bad = [Owner(platform).open_shop() for _ in range(APPS)]
        self.subs = [subscribe(shop, self.sink.url + path, "order.updated")["subscription_id"]
                     for shop, path in zip(self.bad, self.paths) for _ in range(EACH)]
        self.good = self.open("/good")
        publish(platform, event(self.good.store_id, "order.updated"))
        self.sink.wait("/good", 1)

    def open(self, path):
        """Somebody else's shop, of another app."""
        shop = Owner(self.platform).open_shop()
        subscribe(shop, self.sink.url + path, "order.updated")
        return shop

    def publish(self):
        """One event for each of their endpoints."""
        self.number += 1
        publish(self.platform, *[event(shop.store_id, "order.updated", self.number) for shop in self.bad])

    def outcomes(self):
        """Of the last one: how many endpoints had it, by what they answered."""
        return dict(self.platform.postgres.rows(
            "select response_status, count(distinct subscription_id) from webhooks.attempt where resource_id = %s and "
            "subscription_id = any (%s) group by 1", (self.number, self.subs)))

    def answer(self, status):
        """All of them, at once."""
        self.sink.status = status
        self.publish()
        until(lambda: self.outcomes() == {status: len(self.subs)}, 300)
        self.sink.status = 200

    def hang(self):
        """Meanwhile events arrive at somebody known and at somebody new, before any of the others has ended."""
        sink, before = self.sink, dict(self.sink.arrived)
        new = f"/new/{self.number}"
        others = [("/good", self.good), (new, self.open(new))]
        sink.hold()
        self.publish()
        for path in self.paths:
            sink.wait(path, before.get(path, 0) + 1)
        sink.wait_full(self.paths)
        for count in range(1, 4):
            for path, shop in others:
                publish(self.platform, event(shop.store_id, "order.updated", 100 * self.number + count))
                sink.wait(path, before.get(path, 0) + count)
        assert self.outcomes() == {}
        sink.release()
        until(lambda: self.outcomes().get(200) == len(self.subs), 300)


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
def hanging(make_platform, request):
    made = Hanging(make_platform(services={"auth": 1, "store-data": 1, "webhooks": request.param}))
    yield made
    made.sink.close()


def test_owners_whose_endpoints_hang_delay_nobody_else(hanging):
    """However many they are, and whatever was known of them before. All of them get their turn."""
    hanging.hang()                                                          # nothing is known of them
    hanging.answer(200)
    hanging.answer(200)
    hanging.hang()                                                          # they were trusted
    hanging.answer(200)
    hanging.answer(500)
    hanging.answer(500)
    hanging.hang()                                                          # they failed


# ---- leases ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(owner):
    made = owner.open_shop()
    until(lambda: log_of(made.platform, made.installation_id))
    return made


def test_a_lease_from_a_clock_that_was_set_back_is_taken(shop):
    """One of another process that is still there is not: it lasts five seconds."""
    platform = shop.platform
    with Sink() as sink:
        far, near = [subscribe(shop, f"{sink.url}/{name}")["subscription_id"] for name in ("far", "near")]
        platform.postgres.rows("update webhooks.queue set holder = 1, held_until = clock_timestamp() + interval '1 day' where subscription_id = %s", (far,))
        [(ends,)] = platform.postgres.rows("update webhooks.queue set holder = 1, held_until = clock_timestamp() + interval '5 seconds' "
                                           "where subscription_id = %s returning extract(epoch from held_until)::float", (near,))
        publish(platform, event(shop.store_id))
        assert [path for path, _, _ in sink.wait(1)] == ["/far"]
        sink.wait(2)
        assert time.time() >= ends


def test_after_a_reconnect_nothing_is_begun_before_the_lease_is_renewed(make_platform):
    """A crash of PostgreSQL may have forgotten the claim, and somebody else has the queue since."""
    platform = make_platform()
    shop = Owner(platform).open_shop()
    with Holding() as sink:
        sub = subscribe(shop, sink.url, "order.updated")["subscription_id"]
        publish(platform, *[event(shop.store_id, "order.updated", 1, {"n": n}) for n in (1, 2)])
        sink.wait_standing(1)
        platform.postgres.rows("update webhooks.queue set holder = 1, held_until = clock_timestamp() + interval '3 seconds' where "
                               "subscription_id = %s; select pg_terminate_backend(pid) from pg_stat_activity where application_name like "
                               "'webhooks/%%'", (sub,))
        sink.release.set()
        assert [body["data"]["n"] for body in sink.bodies(3)] == [1, 1, 2]
    assert [line for line in platform["webhooks-1"].log_lines() if line.get("event") == "queues_lost"]


def test_what_is_in_hand_is_read_again_whatever_the_clocks_say(make_platform):
    """The subscription was changed by a process whose clock is ahead of that of the process which redacts an event."""
    platform = make_platform()
    shop = Owner(platform).open_shop()
    with Holding() as sink:
        sub = subscribe(shop, sink.url, "order.updated")["subscription_id"]
        platform.postgres.rows("update webhooks.subscription set updated_at = now() + interval '1 day' where subscription_id = %s", (sub,))
        first, second = [event(shop.store_id, "order.updated", 1, {"n": n}) for n in (1, 2)]
        publish(platform, first, second)
        sink.wait_standing(1)
        platform.postgres.rows("update webhooks.event set data = '{\"n\": 3}' where event_id = %s", (second["event_id"],))
        platform.postgres.rows("update webhooks.queue set reread_at = now() where subscription_id = %s", (sub,))
        lease = "select held_until from webhooks.queue where subscription_id = %s"
        for _ in range(2):                                                  # renewed since
            held = platform.postgres.rows(lease, (sub,))
            until(lambda: platform.postgres.rows(lease, (sub,)) != held)
        sink.release.set()
        assert [body["data"]["n"] for body in sink.bodies(2)] == [1, 3]


# ---- statements ------------------------------------------------------------------------------------------------------


class Statements:
    """The service's own, run by hand; texts are their arguments."""

    def __init__(self, platform, directory):
        self.statements, self.platform = Plans(platform, directory, "webhooks").statements, platform

    def run(self, name, *arguments):
        connection = self.platform.postgres.connect("webhooks")
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"prepare {name} as {self.statements[name].replace('%', '%%')}", ())
                cursor.execute(f"execute {name} ({', '.join(['%s'] * len(arguments))})", [str(value) for value in arguments])
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()


PUT = """insert into webhooks.waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, created_at)
    select %s, e.event_id, e.created_at, 'order.created', 'order', 7, now() + %s::interval, now() from generate_series(1, %s),
    (select * from webhooks.event where event_id = %s) as e returning delivery_id"""


@pytest.fixture
def retried(shop):
    """A subscription of which one event waits for its retry: (platform, sink, subscription, event's id)."""
    with Sink() as sink:
        sub = subscribe(shop, sink.url)["subscription_id"]
        sink.answers, one = [500], event(shop.store_id, resource_id=7)
        publish(shop.platform, one)
        until(lambda: shop.platform.postgres.rows("select 1 from webhooks.waiting where subscription_id = %s and attempt = 1", (sub,)))
        until(lambda: shop.platform.postgres.rows("select 1 from webhooks.queue where subscription_id = %s and holder is null and "
                                                  "due_at > now()", (sub,)))
        yield shop.platform, sink, sub, one["event_id"]
        shop.platform.postgres.rows("delete from webhooks.waiting where subscription_id = %s", (sub,))


def test_many_behind_one_that_waits_are_put_off_together(retried, tmp_path):
    platform, sink, sub, event_id = retried
    statements = Statements(platform, tmp_path)
    [(until_then,)] = platform.postgres.rows("select next_at from webhooks.waiting where subscription_id = %s", (sub,))
    early = "select delivery_id from webhooks.waiting where subscription_id = %s and next_at < %s order by delivery_id limit 16"
    platform.postgres.rows(PUT, (sub, "0", BEHIND, event_id))
    looks = 0
    while found := platform.postgres.rows(early, (sub, until_then)):     # as many as are read of a doubtful endpoint's
        statements.run("WAITING_PARK", "{%s}" % ",".join(str(each) for each, in found))
        looks += 1
        assert looks <= 3
    platform.postgres.rows(PUT, (sub, "0", BEHIND, event_id))               # the process finds them by itself
    platform.postgres.rows("update webhooks.queue set due_at = now(), version = version + 1 where subscription_id = %s", (sub,))
    until(lambda: not platform.postgres.rows(early, (sub, until_then)))
    assert len(sink.requests) == 1


def test_one_behind_a_later_one_waits_as_long_as_that(shop, tmp_path):
    """Although the first in their lane is due."""
    platform = shop.platform
    sub = subscribe(shop, "http://127.0.0.1:9/", "product.updated")["subscription_id"]
    one = event(shop.store_id, "order.created")
    publish(platform, one)
    ids = [platform.postgres.rows(PUT, (sub, when, 1, one["event_id"]))[0][0] for when in ("0", "1 hour", "0", "0")]
    Statements(platform, tmp_path).run("WAITING_PARK", "{%d}" % ids[2])
    times = [when for when, in platform.postgres.rows("select next_at from webhooks.waiting where subscription_id = %s order by delivery_id", (sub,))]
    platform.postgres.rows("delete from webhooks.waiting where subscription_id = %s", (sub,))
    assert times[0] < times[1] == times[2] == times[3]


def test_what_comes_while_a_queue_is_put_off_waits_no_longer_than_that(retried, tmp_path):
    """Its transaction commits while the release waits for its lock, and is not seen by it."""
    platform, sink, sub, event_id = retried
    statements, connection, done = Statements(platform, tmp_path), platform.postgres.connect(), []
    connection.autocommit = False
    held = "update webhooks.queue set holder = %s, held_until = clock_timestamp() + interval '5 seconds', due_at = now() + interval '1 hour' " \
        "where subscription_id = %s returning version, to_char(clock_timestamp() + interval '2 seconds', 'YYYY-MM-DD HH24:MI:SS.USOF')"
    for put_off in (True, False):
        [(version, limit)] = platform.postgres.rows(held, (HOLDER, sub))
        with connection.cursor() as cursor:
            cursor.execute(PUT, (sub, "0", 1, event_id))
            cursor.execute("update webhooks.queue set due_at = least(due_at, now()), version = version + 1 where subscription_id = %s", (sub,))
        released = json.dumps([{"s": sub, "v": version, **({"until": limit} if put_off else {})}])
        thread = threading.Thread(target=lambda: done.append(statements.run("QUEUE_RELEASE", released, HOLDER)))
        thread.start()
        until(lambda: platform.postgres.rows("select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like 'execute QUEUE_RELEASE%'"))
        connection.commit()
        thread.join()
        if put_off:
            assert platform.postgres.rows("select 1 from webhooks.queue where subscription_id = %s and due_at <= %s", (sub, limit))
    connection.close()
    assert done == [[(sub,)], []]                                           # who does not put it off keeps it
    until(lambda: not platform.postgres.rows("select 1 from webhooks.waiting where subscription_id = %s and next_at <= now()", (sub,)))
    assert len(sink.requests) == 1

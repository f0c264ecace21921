"""The uninstall's steps in webhooks (protocols 8), killed between any two commits: exactly one app.uninstalled goes out, nothing
after it but shop/redact, and what was installed again meanwhile stays as it is.

Where the saga stands is held still by triggers that only the test has: a commit that moves a row on waits for a lock.
"""

import contextlib
import json
import os
import threading
import time

import pytest

from .hooks import Sink, event, log_of, publish, subscribe, waiting
from .shop import Shop
from .test_installations import Merchant, finished, until

HOLD_S = 61                              # longer than a killed actor's row is held
TWO_DAYS_S = 48 * 3600 + 60
GATES = """
create function public.gate() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended(tg_table_name || coalesce(to_jsonb(new) ->> 'step', to_jsonb(new) ->> 'status'), 0));
    return new;
end
$$;
create trigger gate before update on auth.uninstall for each row when (old.step <> new.step) execute function public.gate();
create trigger gate before update on webhooks.installation for each row when (old.status <> new.status) execute function public.gate();
"""
# A commit of the saga, in their order: what moves on when it succeeds.
COMMITS = ["installationending", "uninstall2", "installationended", "uninstall3", "uninstall4"]


@contextlib.contextmanager
def closed(platform, commit):
    """The saga does not get beyond this commit until the block ends, or PostgreSQL is killed."""
    connection = platform.postgres.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (commit,))
        yield
    finally:
        connection.close()


def is_waited_for(platform):
    return platform.postgres.rows("select 1 from pg_locks where locktype = 'advisory' and not granted and mode = 'ShareLock'")


def cluster_runs(platform):
    """Whether any process works in the cluster's directory: backends see the end of the postmaster by themselves."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == str(platform.postgres.data):
                return True
    return False


def kill(platform, victim):
    if victim == "postgres":
        platform["postgres"].kill()
        until(lambda: not cluster_runs(platform))
        platform.postgres.start()
        return
    platform[f"{victim}-1"].kill()
    until(lambda: not platform.postgres.backends(victim))


def revive(platform, victim):
    for process in platform.processes.values():                            # one that was still connecting ends with PostgreSQL
        if not process.is_running():
            process.start()
    platform.wait_ready()


class Round:
    """An app in a store, with all there is to go wrong: deliveries that wait, subscriptions to what comes at the end."""

    def __init__(self, platform, merchant, sink, number):
        self.platform, self.merchant, self.sink, self.number = platform, merchant, sink, number
        self.app, self.store_id = merchant.make_app(), merchant.open_store()
        self.topics = ("order.created", "app.uninstalled", "shop/redact")
        self.shop, self.subs = self.install(1)

    def install(self, generation):
        grant = self.platform.call("auth.installations.create", app_id=self.app["app_id"], store_id=self.store_id)
        shop = Shop(self.platform, self.store_id, self.app, grant)
        until(lambda: self.platform.postgres.rows("select 1 from webhooks.installation where installation_id = %s and generation = %s and "
                                                  "status = 'active'", (shop.installation_id, generation)))
        path = f"/{self.number}/{generation}"
        return shop, [subscribe(shop, self.sink.url + path + f"/{topic.partition('.')[0]}", topic) for topic in self.topics]

    def heard(self, generation=1):
        """Topic and event of what came to the subscriptions of that generation, in its order."""
        rows = [json.loads(body) for path, _, body in list(self.sink.requests) if path.startswith(f"/{self.number}/{generation}/")]
        return [(row["event_topic"], row["event_id"]) for row in rows]


def fails_at(sink, number):
    sink.answers = {**(sink.answers or {}), f"/{number}/1/order": 500}


@pytest.mark.parametrize("victim", ["webhooks", "auth", "postgres"])
def test_killed_at_every_commit(make_platform, victim):
    platform = make_platform(durable=True)
    platform.postgres.rows(GATES)
    merchant, clock = Merchant(platform), 0
    with Sink() as sink:
        sink.answers = {}
        rounds = []
        for number, commit in enumerate(COMMITS):
            again = number % 2 == 0                                              # installed again before the saga goes on
            fails_at(sink, number)
            one = Round(platform, merchant, sink, number)
            publish(platform, event(one.store_id), event(one.store_id, resource_id=2))
            orders = one.subs[0]["subscription_id"]
            until(lambda: [row[2] for row in waiting(platform, orders)] == [1, 1])
            with closed(platform, commit):
                platform.call("auth.installations.end", installation_id=one.shop.installation_id)
                until(lambda: is_waited_for(platform))
                kill(platform, victim)
            revive(platform, victim)
            if again:
                one.fresh, one.fresh_subs = one.install(2)
            clock += HOLD_S
            platform.set_clock(clock)
            until(lambda: finished(platform, one.shop.installation_id), 60)
            clock += HOLD_S                                                      # app.uninstalled is sent a little later
            platform.set_clock(clock)
            until(lambda: ("app.uninstalled" in dict(one.heard())))
            publish(platform, event(one.store_id, resource_id=3))
            one.again = again
            rounds.append(one)
        until(lambda: not platform.postgres.rows("select 1 from webhooks.waiting where subscription_id > 0"))
        for one in rounds:
            self_heard(platform, one, [])
        platform.set_clock(clock + TWO_DAYS_S)
        until(lambda: not platform.postgres.rows("select 1 from auth.uninstall union all select 1 from auth.outbox"))
        until(lambda: all("shop/redact" in dict(one.heard()) for one in rounds if not one.again))
        until(lambda: not platform.postgres.rows("select 1 from webhooks.waiting where subscription_id > 0"))
        for one in rounds:
            self_heard(platform, one, [] if one.again else ["shop/redact"])


def self_heard(platform, one, after):
    """What came of it: the orders, one app.uninstalled, and then no more than `after`; each event once, however often it was sent."""
    heard = one.heard()
    order = list(dict.fromkeys(heard))
    ends = [topic for topic, _ in order if topic != "order.created"]
    assert ends == ["app.uninstalled", *after], (one.number, order)
    first = heard.index(next(row for row in heard if row[0] == "app.uninstalled"))
    assert {topic for topic, _ in heard[first:]} == {"app.uninstalled", *after}
    events = platform.postgres.rows("select topic, count(*) from webhooks.event where store_id = %s and topic in ('app.uninstalled', 'shop/redact') "
                                    "group by 1 order by 1", (one.store_id,))
    assert events == [(topic, 1) for topic in ["app.uninstalled", *after]]
    statuses = platform.postgres.rows("select status, generation from webhooks.installation where installation_id = %s", (one.shop.installation_id,))
    if one.again:
        assert statuses == [("active", 2)]
        assert [topic for topic, _ in dict.fromkeys(one.heard(2))] == ["order.created"]
        assert platform.postgres.rows("select count(*) from webhooks.subscription where installation_id = %s and generation = 2 and status = 'active'",
                                      (one.shop.installation_id,)) == [(len(one.topics),)]
    else:
        assert statuses == [("ended", 1)] and one.heard(2) == []
    assert platform.postgres.rows("select count(*) from webhooks.subscription where installation_id = %s and generation = 1 and status in "
                                  "('active', 'inactive')", (one.shop.installation_id,)) == [(0,)]


def test_what_a_process_has_in_hand_is_not_sent_behind_the_end(make_platform):
    """Hundreds are in memory behind a slow endpoint when the app is uninstalled: once app.uninstalled has come, none of them follows."""
    platform = make_platform()
    merchant = Merchant(platform)
    with Sink() as sink:
        app, store_id = merchant.make_app(), merchant.open_store()
        grant = platform.call("auth.installations.create", app_id=app["app_id"], store_id=store_id)
        shop = Shop(platform, store_id, app, grant)
        until(lambda: log_of(platform, shop.installation_id))
        subscribe(shop, sink.url + "/end", "app.uninstalled")
        subscribe(shop, sink.url + "/order", "order.created")
        taken = sink.take

        def slow(path, headers, body):
            if path == "/order":
                threading.Event().wait(0.05)
            return taken(path, headers, body)

        sink.take = slow
        for batch in range(4):
            publish(platform, *[event(store_id, resource_id=1 + batch * 500 + n) for n in range(500)])
        sink.wait(50)
        platform.call("auth.installations.end", installation_id=shop.installation_id)
        until(lambda: any(path == "/end" for path, _, _ in list(sink.requests)))
        until(lambda: not platform.postgres.rows("select 1 from webhooks.waiting where subscription_id > 0"))
        time.sleep(2)
        paths = [path for path, _, _ in sink.requests]
        assert len(paths) < 2001
        assert paths.count("/end") == 1 and paths[-1] == "/end"

#!/usr/bin/python3
"""What every operation of webhooks costs (operations.py), in `make bench`: for apps, developers and merchants.

The three have the same routes to what is theirs. Subscriptions are made in forty stores, by their routes, and are changed and deleted
there; lists are read in a small and a large store, whose events, deliveries and most subscriptions come by SQL. The cost of
what sends something is that of the request and of its delivery to an endpoint on the same machine.
"""

import sys
import time

import figures
from figures import Bench, say
from operations import MANY, Ask, Entry, Table
from webhooks import DATA, TOPIC, Sink

from api.shop import PASSWORD, Owner

SERVICE = "webhooks"
SHOPS = 40
SMALL, LARGE = 100, 9_900               # of everything; an app may have 10,000 subscriptions in a store
REPLAYS = {SMALL: 10, LARGE: 100}       # the newest hundred are kept
OF_EACH = 100                           # subscriptions of an app for a topic, of a developer's app, of a store's merchant
PREFIX = {"app": "", "developer": "developer_", "merchant": "merchant_"}
COUNTED, FEW = "counted up to 10,000", "of at most 100"
QUIET = "charge.declined"               # a topic of which nothing happens here

FILL = f"""
set search_path = webhooks;
select partitions_make((now() - n * interval '1 day')::date) from generate_series(0, 1) as n;
create temp table made as select gen_random_uuid() as event_id, now() - (%(count)s - n) * interval '1 second' as at, n
    from generate_series(1, %(count)s) as n;
insert into event (event_id, created_at, topic, store_id, resource_type, resource_id, data)
    select event_id, at, '{TOPIC}', %(store)s, 'order', n, {DATA} from made order by n;
insert into log (installation_id, seq, event_at, event_id, topic)
    select installation_id, last + n, at, event_id, '{TOPIC}' from made, sequence where installation_id = %(installation)s order by n;
update sequence set last = last + %(count)s where installation_id = %(installation)s;
insert into delivery (delivery_id, event_at, subscription_id, event_id, topic, resource_type, resource_id, state, attempt, created_at, finished_at)
    select nextval('delivery_id_seq'), at, subscription_id, event_id, '{TOPIC}', 'order', n, 'success', 1, at, at
    from made, unnest(%(subscriptions)s::bigint[]) as subscription_id order by n;
insert into attempt (attempt_id, at, delivery_id, subscription_id, attempt, request_headers, response_status, response_body, duration_ms)
    select gen_random_uuid(), event_at, delivery_id, subscription_id, 1, '{{"X-SeloraX-Event-Id": "one"}}', 200, 'ok', 3
    from delivery where subscription_id = any (%(subscriptions)s);
insert into subscription (subscription_id, store_id, installation_id, app_id, generation, made_by, topic, target_url, secret, profile, status,
    created_at, updated_at) select nextval('subscription_id_seq'), store_id, installation_id, app_id, generation, made_by, '{QUIET}',
    target_url, secret, profile, status, created_at, updated_at
    from subscription, generate_series(1, %(count)s) where subscription_id = (%(subscriptions)s)[1];
insert into replay (installation_id, generation, status, from_at, to_at, rate, state, total, at_time, next_at, created_at, finished_at)
    select %(installation)s, 1, 'all', now(), now(), 50, 'completed', 0, now(), now(), now(), now() from generate_series(1, %(replays)s)
"""
RUNNING = """
insert into webhooks.replay (installation_id, generation, status, from_at, to_at, rate, state, total, at_time, next_at, created_at)
    select id, 1, 'all', now(), now(), 1, 'running', 0, now(), 'infinity', now() from unnest(%s::bigint[]) as id returning installation_id, replay_id
"""


class Store:
    """A store as its app, the app's developer and its merchant see it. busy: a subscription of each of them, which has the deliveries."""

    def __init__(self, stores, shop):
        self.stores, self.bench, self.sql, self.many = stores, stores.bench, stores.sql, stores.many
        self.store_id, self.app_id, self.installation_id = shop.store_id, shop.app_id, shop.installation_id
        self.access_token, self.developer_token, self.merchant_token = shop.access_token, shop.developer_token, shop.merchant_token
        wish = {"event_topic": TOPIC, "target_url": stores.sink.url}
        self.busy = {
            "app": shop.post("/api/apps/v1/webhooks", wish),
            "developer": shop.platform.post(f"/api/v1/apps/{shop.app_id}/webhooks/subscriptions", wish,
                                            headers={"Authorization": f"Bearer {self.developer_token}"}),
            "merchant": shop.platform.post("/api/apps/webhooks/subscriptions", {"store_id": self.store_id, **wish},
                                           headers={"x-auth-token": self.merchant_token})}
        for family, answer in self.busy.items():
            if answer.status_code != 201:
                raise SystemExit(f"{family}: {answer.text}")
            self.busy[family] = answer.json()["data"]["subscription_id"]

    def fill(self, count):
        self.sql(FILL, {"count": count, "store": self.store_id, "installation": self.installation_id, "replays": REPLAYS[count],
                        "subscriptions": list(self.busy.values())})
        return self


class Stores:
    """The small one, the large one, and many that are nearly empty, each with an app of its own; all of one merchant and developer."""

    def __init__(self, bench, sink):
        self.bench, self.sink, started = bench, sink, time.monotonic()
        owner = Owner(bench.platform, is_developer=True)
        developer = bench.platform.post("/api/v1/auth/login", {"identifier": owner.email, "password": PASSWORD}).json()["data"]["accessToken"]
        merchant = bench.platform.post("/api/auth/login", {"email": owner.email, "password": PASSWORD}).json()["data"]["token"]
        self.many = [owner.open_shop() for _ in range(SHOPS + 2)]
        for shop in self.many:
            shop.developer_token, shop.merchant_token = developer, merchant
        while self.sql("select count(distinct installation_id) from webhooks.log where installation_id = any (%s)",
                       ([shop.installation_id for shop in self.many],)) != [(SHOPS + 2,)]:
            time.sleep(0.05)                    # webhooks has heard of all of them
        small, large = self.many.pop(), self.many.pop()
        self.small, self.large = Store(self, small).fill(SMALL), Store(self, large).fill(LARGE)
        self.sql("vacuum analyze")
        say(f"two stores with {SMALL} and {LARGE} events, deliveries and subscriptions: {time.monotonic() - started:.0f} s")

    def sql(self, sql, arguments=None):
        return self.bench.platform.postgres.rows(sql, arguments)


# ---- asking ----------------------------------------------------------------------------------------------------------


def ask(family, who, query="", body=b"", **ids):
    """What names whose it is: a developer's path, a merchant's query."""
    if family == "developer":
        ids["app_id"] = who.app_id
    if family == "merchant":
        query = f"store_id={who.store_id}" + (f"&{query}" if query else "")
    return Ask(query, body, shop=who, **ids)


def made(family):
    """In the many stores by turns, as many as there may be of a topic."""
    def asks(store):
        bodies = []
        for n in range(min(MANY, SHOPS * OF_EACH)):
            shop = store.many[n % SHOPS]
            body = {"event_topic": TOPIC, "target_url": store.stores.sink.url, "name": f"Bench {n}"}
            bodies.append(Ask(body={**body, "store_id": shop.store_id} if family == "merchant" else body, shop=shop,
                              **({"app_id": shop.app_id} if family == "developer" else {})))
        return bodies
    return asks


def each(family, body=None):
    """Each of those that were made, by its id; body: of a number."""
    def asks(store):
        whose = "store_id" if family == "merchant" else "app_id"
        shops = {getattr(shop, whose): shop for shop in store.many}
        rows = store.sql(f"select {whose}, subscription_id from webhooks.subscription where made_by = '{family}' and status = 'active' and "
                         f"{whose} = any (%s) order by random() limit {MANY}", (list(shops),))
        return [ask(family, shops[one], body=body(n) if body else b"", subscription_id=row) for n, (one, row) in enumerate(rows)]
    return asks


def deliveries(family):
    """A page of those of the busy one."""
    def asks(store):
        busy = store.busy[family]
        return [ask(family, store, f"limit=20&subscription_id={busy}") if family == "developer"
                else ask(family, store, "limit=20", subscription_id=busy)]
    return asks


def again(family):
    """Each delivery of the busy one once more."""
    def asks(store):
        rows = store.sql("select delivery_id from webhooks.delivery where subscription_id = %s and state = 'success' order by random() limit %s",
                         (store.busy[family], MANY))
        return [ask(family, store, delivery_id=row) for row, in rows]
    return asks


def delivered(store):
    while store.sql("select 1 from webhooks.waiting where subscription_id > 0 limit 1"):
        time.sleep(0.02)


def page(query, family="app"):
    return lambda store: [ask(family, store, query)]


def middle(store):
    [(last,)] = store.sql("select last from webhooks.sequence where installation_id = %s", (store.installation_id,))
    return [Ask(f"after={last // 2}&limit=50")]


def replays(store):
    rows = store.sql("select replay_id from webhooks.replay where installation_id = %s", (store.installation_id,))
    return [Ask(replay_id=row) for row, in rows]


def single_events(store):
    rows = store.sql("select event_id::text from webhooks.log where installation_id = %s and topic = %s order by random() limit %s",
                     (store.installation_id, TOPIC, MANY))
    return [Ask(body={"event_id": row, "topic": TOPIC}) for row, in rows]


def counts(store):
    return [Ask(body={"status": "all", "topic": TOPIC, "dry_run": True, "rate": 1 + n % 500}) for n in range(MANY)]


def begun(store):
    """One in each of the many stores, by SQL: it is due never."""
    shops = {shop.installation_id: shop for shop in store.many}
    return [Ask(shop=shops[whose], replay_id=row) for whose, row in store.sql(RUNNING, (list(shops),))]


def entries_of(family):
    name = PREFIX[family]
    return [
        Entry(f"{name}subscriptions.create", made(family)),
        Entry(f"{name}subscriptions.list", page("limit=50", family), grows=COUNTED),
        Entry(f"{name}subscriptions.get", each(family)),
        Entry(f"{name}deliveries.list", deliveries(family), grows=COUNTED),
        Entry(f"{name}subscriptions.update", each(family, lambda n: {"name": f"Bench again {n}"})),
        Entry(f"{name}subscriptions.rotate_secret", each(family)),
        Entry(f"{name}subscriptions.promote_secret", each(family)),
        Entry(f"{name}subscriptions.test", each(family), "(delivered)", settle=delivered),
        Entry(f"{name}deliveries.retry", again(family), "(delivered)", settle=delivered),
        Entry(f"{name}subscriptions.delete", each(family)),
    ]


ENTRIES = [
    Entry("topics.list", page("")),
    Entry("events.list", page("limit=50"), flat=True),
    Entry("events.list", page(f"limit=50&topic={TOPIC}"), "topic", flat=True),
    Entry("events.list", middle, "from the middle", flat=True),
    Entry("replays.list", page(""), grows=FEW),
    Entry("replays.get", replays),
    Entry("replays.create", counts, "(counted)", status="200"),
    Entry("replays.create", single_events, "(one event, delivered)", settle=delivered, status="202"),
    Entry("replays.cancel", begun),
    *(entry for family in PREFIX for entry in entries_of(family)),
]


def main():
    with figures.platform() as platform:
        bench = Bench(platform)
        sink = Sink(platform.home / "bin" / "sink")
        try:
            stores = Stores(bench, sink)
            Table(SERVICE, ENTRIES, stores.small, stores.large, reference="topics.list").run()
        finally:
            sink.close()
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())

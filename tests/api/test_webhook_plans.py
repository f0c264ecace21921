"""Replays, the log and every list of webhooks in a store of 10,000 events over seven days: no table that grows is read row by row,
and a piece costs what it answers, wherever it lies. What an event costs in a store of many apps.

Each list of the contract, and each of its filters, is named by the statement that answers it: one that is new fails here.
"""

import json
import sys
import uuid
from datetime import datetime, timezone

import pytest

from .hooks import log_of, subscribe
from .plans import Plans, buffers, nodes
from .platform import ROOT
from .shop import Owner
from .test_uninstall import until

sys.path.append(str(ROOT / "proto"))

from contract import Contract  # noqa: E402

ROWS, FAILED_EACH, RARE_EACH, OFF_EACH = 10_000, 100, 500, 5_000
FAR = "2100-01-01"
GROWING = {"event", "log", "delivery", "attempt", "waiting", "queue", "subscription", "installation", "sequence", "replay"}


class Large:
    """A store with that many events, every delivery of its subscription over; one in a hundred failed. As many subscriptions of
    its app's developer, next to none of them switched off."""

    def __init__(self, owner, directory):
        shop = owner.open_shop()
        platform = self.platform = shop.platform
        until(lambda: log_of(platform, shop.installation_id))
        self.sub = subscribe(shop, "http://127.0.0.1:9/")["subscription_id"]
        self.installation_id, self.store_id, self.app_id = shop.installation_id, shop.store_id, shop.app_id
        platform.postgres.rows(f"""
            set search_path = webhooks;
            select partitions_make((now() - n * interval '1 day')::date) from generate_series(0, 8) as n;
            create temp table made as select gen_random_uuid() as event_id, now() - ({ROWS} - n) * interval '1 minute' as at, n,
                case when n % {RARE_EACH} = 0 then 'product.deleted' else 'order.created' end as topic from generate_series(1, {ROWS}) as n;
            insert into event (event_id, created_at, topic, store_id, resource_type, resource_id, data)
                select event_id, at, topic, {shop.store_id}, split_part(topic, '.', 1), n % 500, '{{}}' from made order by n;
            insert into log (installation_id, seq, event_at, event_id, topic)
                select {shop.installation_id}, n + 100, at, event_id, topic from made order by n;
            update sequence set last = {ROWS} + 100 where installation_id = {shop.installation_id};
            insert into delivery (delivery_id, event_at, subscription_id, event_id, topic, resource_type, resource_id, state, attempt,
                created_at, finished_at) select nextval('delivery_id_seq'), at, {self.sub}, event_id, topic, 'order', n % 500,
                case when n % {FAILED_EACH} = 1 then 'failed' else 'success' end, 1, at, at from made where topic = 'order.created' order by n;
            insert into subscription (subscription_id, app_id, made_by, topic, target_url, secret, profile, status, created_at, updated_at)
                select nextval('subscription_id_seq'), {self.app_id}, 'developer', 'charge.declined', 'https://app.example', '', 'selorax',
                case when n % {OFF_EACH} = 0 then 'inactive' else 'active' end, at, at from made;
            analyze event, log, delivery, subscription;
            """)
        self.event = platform.postgres.rows("select event_id::text, created_at::text from webhooks.event where store_id = %s limit 1",
                                            (shop.store_id,))[0]
        self.day = platform.postgres.rows("select (now() - interval '3 days')::text")[0][0]
        self.plans = Plans(platform, directory, "webhooks")


@pytest.fixture(scope="module")
def large(owner, tmp_path_factory):
    return Large(owner, tmp_path_factory.mktemp("plans"))


# Which lists a statement answers, and by which filter; a second word tells apart what it is asked for.
LISTS = {"TOPICS_LIST": {"topics.list"}, "REPLAYS_LIST": {"replays.list"}, "EVENTS_AFTER_ALL": {"events.list"},
         "EVENTS_AFTER_TOPIC": {"events.list topic"}, "SUBSCRIPTIONS_LIST": {"subscriptions.list"},
         "SUBSCRIPTIONS_OF_STORE": {"merchant_subscriptions.list"},
         "SUBSCRIPTIONS_OF_APP": {"developer_subscriptions.list"}, "SUBSCRIPTIONS_OF_APP inactive": {"developer_subscriptions.list status"},
         "DELIVERIES_LIST": {f"{whose}deliveries.list" for whose in ("", "developer_", "merchant_")},
         "DELIVERIES_LIST failed": {f"{whose}deliveries.list status" for whose in ("", "developer_", "merchant_")}}
PLACE = {"page", "limit", "cursor", "after"}


def statements(large):
    """What each is given, and how many rows it is about."""
    mine, sub, (event_id, event_at) = large.installation_id, large.sub, large.event
    return {
        "REPLAY_COUNT_FAILED": ((mine, None, None, 1, "2000-01-01", FAR), ROWS // FAILED_EACH),
        "REPLAY_COUNT_ALL": ((mine, sub, "order.created", 1, "2000-01-01", FAR), 10_001),
        "REPLAY_EVENT_FIND": ((mine, event_id, 1), 1),
        "REPLAY_EVENT_SEND": ((mine, sub, None, 1, event_id, event_at, FAR), 1),
        "REPLAY_TARGET": ((mine, None, None, 1, 0, 32, 1000, FAR), 1),
        "REPLAY_QUEUE_FAILED": ((sub, "order.created", 2 ** 60, FAR, large.day, 0, 20, FAR), 20),
        "REPLAY_QUEUE_ALL": ((sub, "order.created", mine, FAR, large.day, 0, 20, FAR), 20),
        "REPLAYS_LIST": ((mine, 1), 1), "REPLAY_GET": ((mine, 1, 1), 1), "REPLAY_CANCEL": ((mine, 1, 1, FAR), 1), "REPLAY_TRIM": ((mine,), 1),
        "REPLAY_TAKE": ((FAR,), 1), "REPLAY_MOVE": ((1, sub, FAR, 1, 1, FAR), 1), "REPLAY_FINISH": ((1, FAR), 1),
        "EVENTS_AFTER_ALL": ((mine, 5000, 50, "{read:orders,read:products}"), 50),
        "EVENTS_AFTER_TOPIC": ((mine, 0, 50, "{read:orders,read:products}", "product.deleted"), ROWS // RARE_EACH),
        "LOG_END": ((mine, 1), 1), "LOG_BEGIN": ((mine, 1), 1),
        "SUBSCRIPTIONS_LIST": ((FAR, mine, 2 ** 60, 51, 0, 1), 51), "DELIVERIES_LIST": ((sub, 2 ** 60, 51, "{}", "{success,failed}", 0), 10_001),
        "DELIVERIES_LIST failed": ((sub, 2 ** 60, 51, "{}", "{failed}", 0), ROWS // FAILED_EACH),
        "SUBSCRIPTIONS_OF_STORE": ((large.store_id, 2 ** 60, 51, 0), 51), "SUBSCRIPTIONS_OF_APP": ((FAR, large.app_id, None, 51, 0), 10_001),
        "SUBSCRIPTIONS_OF_APP inactive": ((FAR, large.app_id, "inactive", 51, 0), ROWS // OFF_EACH), "TOPICS_LIST": (("{read:orders}",), 50),
    }


def lists_of_the_contract():
    """Alone, and with each of its filters."""
    for operation in Contract(str(ROOT)).operations:
        if operation.service != "webhooks" or operation.method != "get":
            continue
        parameters, answer = [node for node, _ in operation.parameters], operation.node["responses"]["200"]
        if "limit" in {one["name"] for one in parameters} or answer.get("x-list") or answer["x-data"].get("type") == "array":
            yield operation.id
            yield from (f"{operation.id} {one['name']}" for one in parameters
                        if one["in"] == "query" and one["name"] not in PLACE and not one.get("required"))


def test_every_list_has_a_plan(large):
    """One that is new, or has a new filter, has a statement here, and is named in LISTS."""
    wanted = set(lists_of_the_contract())
    assert {"events.list topic", "developer_subscriptions.list status", "topics.list"} <= wanted
    assert set().union(*LISTS.values()) == wanted and set(LISTS) <= set(statements(large))


def test_nothing_that_grows_is_read_row_by_row(large):
    for name, (arguments, _) in statements(large).items():
        scanned = {table.split("_20")[0] for table in large.plans.scanned(name.split()[0], *arguments)}
        assert not scanned & GROWING, (name, scanned)


def test_a_piece_costs_what_it_answers(large):
    """Pages of PostgreSQL's: some for each row that is answered, and some for each day there is."""
    days = large.platform.postgres.rows("select count(*) from pg_inherits where inhparent = 'webhooks.log'::regclass")[0][0]
    for name, (arguments, rows) in statements(large).items():
        read = buffers(large.plans.explain(name.split()[0], *arguments))
        # A row that is sent: its event, a row of waiting with four indexes, and a look at each day for a failure.
        assert read <= 40 * rows + 12 * days + 100, (name, read, rows, days)
    assert buffers(large.plans.explain("REPLAY_COUNT_ALL", large.installation_id, None, "product.deleted", 1, "2000-01-01", FAR)) <= 12 * days + 200


def test_what_is_counted_is_what_there_is(large):
    for name, expected in (("REPLAY_COUNT_FAILED", ROWS // FAILED_EACH), ("REPLAY_COUNT_ALL", ROWS - ROWS // RARE_EACH)):
        large.plans.explain(name, large.installation_id, None, None, 1, "2000-01-01", FAR)
        rows = large.plans.run(f"execute {name} (%s, null, null, 1, '2000-01-01', %s)", (str(large.installation_id), FAR))
        assert rows == [(1, expected)], name


# ---- an event in a store of many apps --------------------------------------------------------------------------------

FEW_APPS, MANY_APPS, EVENTS, FIRST_ID = 10, 100, 20, 10**9
MAKE_APPS = """
set search_path = webhooks;
create temp table made as select n + %(base)s as id from generate_series(%(first)s, %(last)s) as n;
insert into installation (installation_id, store_id, app_id, generation, scopes, status, updated_at)
    select id, %(store)s, id, 1, '{read:orders}', 'active', now() from made;
insert into sequence (installation_id, last) select id, id %% 7 from made;
insert into subscription (subscription_id, store_id, installation_id, app_id, generation, made_by, topic, target_url, secret, profile, status,
    created_at, updated_at) select id, %(store)s, id, id, 1, 'app', 'order.created', 'https://app.example', '', 'selorax', 'active', now(), now()
    from made;
insert into queue (subscription_id) select id from made;
analyze installation, sequence, subscription, queue
"""


class Crowd:
    """A store with some apps, each with a subscription, and a batch of its events."""

    def __init__(self, platform, directory):
        self.platform, shop = platform, Owner(platform).open_shop()
        until(lambda: log_of(platform, shop.installation_id))
        self.store_id, self.apps = shop.store_id, 0
        self.plans = Plans(platform, directory, "webhooks")
        self.batch = [{"n": n, "event_id": str(uuid.uuid4()), "topic": "order.created", "resource_type": "order", "store_id": shop.store_id,
                       "resource_id": n % 3, "created_at": datetime.now(timezone.utc).isoformat(), "data": {"n": n}} for n in range(EVENTS)]
        self.work()                                         # a plan is made while there is one app

    def grow(self, apps):
        self.platform.postgres.rows(MAKE_APPS, {"base": FIRST_ID, "first": self.apps + 1, "last": apps, "store": self.store_id})
        self.apps = apps

    def work(self):
        """Rows that came through the parts of the plan, and pages that were looked at, of a batch that is rolled back."""
        parts = list(nodes(self.plans.explain("EVENTS_TAKE", json.dumps(self.batch), FAR)))
        rows = sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0))
                   * node["Actual Loops"] for node in parts)
        return rows, sum(buffers(node) for node in parts)


@pytest.fixture
def crowd(make_platform, tmp_path):
    return Crowd(make_platform(), tmp_path)


def test_an_event_costs_what_it_is_sent_to(crowd):
    """Ten times the apps, ten times the rows and pages: nothing of another app's is looked through for an app."""
    crowd.grow(FEW_APPS)
    few = crowd.work()
    crowd.grow(MANY_APPS)
    many = crowd.work()
    assert all(after <= 1.1 * MANY_APPS / FEW_APPS * before for before, after in zip(few, many)), (few, many)


def test_each_app_hears_of_each_event_once_and_in_order(crowd):
    """Each log goes on from where it was, whatever comes twice, in one batch or in the next."""
    crowd.grow(MANY_APPS)
    ids, batch, run = [event["event_id"] for event in crowd.batch], crowd.batch, crowd.plans.run
    run("begin")
    for events, taken in ((batch[:5] + batch[:2], 5), (batch + batch[-3:], EVENTS - 5), (batch[3:], 0)):
        events = [{**event, "n": n} for n, event in enumerate(events)]
        assert run("execute EVENTS_TAKE (%s, %s)", (json.dumps(events), FAR)) == [(taken,)]
    logs = run("select installation_id, array_agg(seq order by seq), array_agg(event_id::text order by seq) from log where installation_id > %s "
               "group by 1", (FIRST_ID,))
    apps = range(FIRST_ID + 1, FIRST_ID + MANY_APPS + 1)
    assert {app: seqs for app, seqs, _ in logs} == {app: list(range(app % 7 + 1, app % 7 + EVENTS + 1)) for app in apps}
    assert all(found == ids for _, _, found in logs)
    assert run("select count(*) from sequence where installation_id > %s and last = installation_id %% 7 + %s", (FIRST_ID, EVENTS)) == [(MANY_APPS,)]
    waiting = run("select subscription_id, array_agg(event_id::text order by delivery_id) from waiting where subscription_id > %s "
                  "group by 1", (FIRST_ID,))
    assert {sub for sub, _ in waiting} == set(apps) and all(found == ids for _, found in waiting)
    assert run("select count(*) from queue where subscription_id > %s and due_at = %s and version = 2", (FIRST_ID, FAR)) == [(MANY_APPS,)]
    run("rollback")

"""Replays and the log in a store of 10,000 events over seven days: no table that grows is read row by row, and a piece costs what
it answers, wherever it lies."""

import pytest

from .hooks import log_of, subscribe
from .plans import Plans, buffers
from .test_uninstall import until

ROWS, FAILED_EACH, RARE_EACH = 10_000, 100, 500
FAR = "2100-01-01"
GROWING = {"event", "log", "delivery", "attempt", "waiting", "queue", "subscription", "installation", "sequence", "replay"}


class Large:
    """A store with that many events, every delivery of its subscription over; one in a hundred failed."""

    def __init__(self, owner, directory):
        shop = owner.open_shop()
        platform = self.platform = shop.platform
        until(lambda: log_of(platform, shop.installation_id))
        self.sub = subscribe(shop, "http://127.0.0.1:9/")["subscription_id"]
        self.installation_id, self.store_id = shop.installation_id, shop.store_id
        platform.postgres.rows(f"""
            set search_path = webhooks;
            select partitions_make((now() - n * interval '1 day')::date) from generate_series(0, 8) as n;
            create temp table made as select gen_random_uuid() as event_id, now() - ({ROWS} - n) * interval '1 minute' as at, n,
                case when n % {RARE_EACH} = 0 then 'product.deleted' else 'order.created' end as topic from generate_series(1, {ROWS}) as n;
            insert into event (event_id, created_at, topic, store_id, resource_type, resource_id, data)
                select event_id, at, topic, {shop.store_id}, split_part(topic, '.', 1), n % 500, '{{}}' from made order by n;
            insert into log (installation_id, seq, event_at, event_id, topic, generation)
                select {shop.installation_id}, n + 100, at, event_id, topic, 1 from made order by n;
            update sequence set last = {ROWS} + 100 where installation_id = {shop.installation_id};
            insert into delivery (delivery_id, event_at, subscription_id, event_id, topic, resource_type, resource_id, state, attempt,
                created_at, finished_at) select nextval('delivery_id_seq'), at, {self.sub}, event_id, topic, 'order', n % 500,
                case when n % {FAILED_EACH} = 1 then 'failed' else 'success' end, 1, at, at from made where topic = 'order.created' order by n;
            analyze event, log, delivery;
            """)
        self.event = platform.postgres.rows("select event_id::text, created_at::text from webhooks.event where store_id = %s limit 1",
                                            (shop.store_id,))[0]
        self.day = platform.postgres.rows("select (now() - interval '3 days')::text")[0][0]
        self.plans = Plans(platform, directory, "webhooks")


@pytest.fixture(scope="module")
def large(owner, tmp_path_factory):
    return Large(owner, tmp_path_factory.mktemp("plans"))


def statements(large):
    """What each is given, and how many rows it is about."""
    mine, sub, (event_id, event_at) = large.installation_id, large.sub, large.event
    return {
        "REPLAY_COUNT_FAILED": ((mine, None, None, "2000-01-01", FAR), ROWS // FAILED_EACH),
        "REPLAY_COUNT_ALL": ((mine, sub, "order.created", "2000-01-01", FAR), 10_001),
        "REPLAY_EVENT_FIND": ((mine, event_id), 1),
        "REPLAY_EVENT_SEND": ((mine, sub, None, event_id, event_at, FAR), 1),
        "REPLAY_TARGET": ((mine, None, None, 0, 1, 32, 1000, FAR), 1),
        "REPLAY_QUEUE_FAILED": ((sub, "order.created", 2 ** 60, FAR, large.day, 0, 20, FAR), 20),
        "REPLAY_QUEUE_ALL": ((sub, "order.created", mine, FAR, large.day, 0, 20, FAR), 20),
        "REPLAYS_LIST": ((mine,), 1), "REPLAY_GET": ((mine, 1), 1), "REPLAY_CANCEL": ((mine, 1, FAR), 1), "REPLAY_TRIM": ((mine,), 1),
        "REPLAY_TAKE": ((FAR,), 1), "REPLAY_MOVE": ((1, sub, FAR, 1, 1, FAR), 1), "REPLAY_FINISH": ((1, FAR), 1),
        "EVENTS_AFTER_ALL": ((mine, 5000, 50, "{read:orders,read:products}"), 50),
        "EVENTS_AFTER_TOPIC": ((mine, 0, 50, "{read:orders,read:products}", "product.deleted"), ROWS // RARE_EACH),
        "LOG_END": ((mine,), 1), "LOG_BEGIN": ((mine,), 1),
        "SUBSCRIPTIONS_LIST": ((FAR, mine, 2 ** 60, 51, 0), 51), "DELIVERIES_LIST": ((sub, 2 ** 60, 51, "{}", "{success,failed}", 0), 10_001),
        "SUBSCRIPTIONS_OF_STORE": ((large.store_id, 2 ** 60, 51, 0), 51),
    }


def test_nothing_that_grows_is_read_row_by_row(large):
    for name, (arguments, _) in statements(large).items():
        scanned = {table.split("_20")[0] for table in large.plans.scanned(name, *arguments)}
        assert not scanned & GROWING, (name, scanned)


def test_a_piece_costs_what_it_answers(large):
    """Pages of PostgreSQL's: some for each row that is answered, and some for each day there is."""
    days = large.platform.postgres.rows("select count(*) from pg_inherits where inhparent = 'webhooks.log'::regclass")[0][0]
    for name, (arguments, rows) in statements(large).items():
        read = buffers(large.plans.explain(name, *arguments))
        # A row that is sent: its event, a row of waiting with four indexes, and a look at each day for a failure.
        assert read <= 40 * rows + 12 * days + 100, (name, read, rows, days)
    assert buffers(large.plans.explain("REPLAY_COUNT_ALL", large.installation_id, None, "product.deleted", "2000-01-01", FAR)) <= 12 * days + 200


def test_what_is_counted_is_what_there_is(large):
    for name, expected in (("REPLAY_COUNT_FAILED", ROWS // FAILED_EACH), ("REPLAY_COUNT_ALL", ROWS - ROWS // RARE_EACH)):
        large.plans.explain(name, large.installation_id, None, None, "2000-01-01", FAR)
        rows = large.plans.run(f"execute {name} (%s, null, null, '2000-01-01', %s)", (str(large.installation_id), FAR))
        assert rows == [(1, expected)], name

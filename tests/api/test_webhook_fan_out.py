"""Thousands of subscriptions of one app, over many stores and all in one store: each gets its events once and nobody else's, a
list walks them page by page, and the limits are exact, of a topic and of all.

SX_TEST_SCALE 1 makes them 10,000 over all stores; the app of one store always has as many.
"""

import collections
import concurrent.futures
import json
import os

import pytest

from . import goods
from .credentials import refused
from .hooks import HOOKS, Sink, log_of, subscribe
from .shop import Owner
from .test_uninstall import until

SCALE = float(os.environ.get("SX_TEST_SCALE", "0.1"))
LIMIT, EACH = 10000, 100                                                    # of an installation, of that for a topic: subscriptions.c
STORES = max(4, round(100 * SCALE))
URL = "https://app.example/hooks"


def at_once(*requests):
    """The statuses of requests that are made at the same time, sorted."""
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        return sorted(done.result().status_code for done in [pool.submit(request) for request in requests])


def test_one_app_in_many_stores(make_platform):
    """An order in each store: every subscription of that store hears of it, once; its log has it once."""
    platform = make_platform(services={"auth": 1, "store-data": 1, "webhooks": 2})
    owner = Owner(platform)
    app, shops = owner.make_app(), []
    with Sink() as sink:
        for _ in range(STORES):
            shops.append(owner.open_shop(app=app))
            for number in range(EACH):
                subscribe(shops[-1], f"{sink.url}/{shops[-1].store_id}/{number}")
        orders = {shop.store_id: goods.order(shop)["order_id"] for shop in shops}
        requests = sink.wait(STORES * EACH, 120)
        until(lambda: not platform.postgres.rows("select 1 from webhooks.waiting where subscription_id > 0 limit 1"))
        logs = [[topic for _, _, topic in log_of(platform, shop.installation_id)] for shop in shops]
        assert len(sink.requests) == STORES * EACH
    paths = collections.Counter(path for path, _, _ in requests)
    assert paths == {f"/{shop.store_id}/{number}": 1 for shop in shops for number in range(EACH)}
    for path, _, body in requests:
        sent = json.loads(body)
        assert f"/{sent['store_id']}/" in path and sent["data"]["order_id"] == orders[sent["store_id"]]
    assert all(topics.count("order.created") == 1 for topics in logs)


@pytest.fixture(scope="module")
def crowded(owner):
    """A store whose app has all but two of the subscriptions that it may have: copies of one, of a topic nobody sends."""
    shop = owner.open_shop()
    first = subscribe(shop, URL, "charge.declined")["subscription_id"]
    platform, columns = shop.platform, "store_id, installation_id, app_id, generation, made_by, topic, target_url, secret, profile, status, " \
        "created_at, updated_at"
    platform.postgres.rows(f"insert into webhooks.subscription (subscription_id, {columns}) select nextval('webhooks.subscription_id_seq'), "
                           f"{columns} from webhooks.subscription, generate_series(1, {LIMIT - 3}) where subscription_id = %s", (first,))
    platform.postgres.rows("insert into webhooks.queue (subscription_id) select subscription_id from webhooks.subscription on conflict do nothing")
    platform.postgres.rows("analyze webhooks.subscription; analyze webhooks.queue")
    return shop


def test_the_limit_is_exact_and_a_list_walks_them(crowded):
    first = crowded.get(f"{HOOKS}?limit=100").json()
    assert first["pagination"]["total"] == LIMIT - 2 and len(first["data"]) == 100
    ids, cursor = [one["subscription_id"] for one in first["data"]], first["pagination"]["next_cursor"]
    while cursor:
        page = crowded.get(f"{HOOKS}?limit=100&cursor={cursor}").json()
        ids += [one["subscription_id"] for one in page["data"]]
        cursor = page["pagination"]["next_cursor"]
    assert len(ids) == len(set(ids)) == LIMIT - 2 and ids == sorted(ids, reverse=True)
    made = [subscribe(crowded, URL, "charge.created")["subscription_id"] for _ in range(2)]
    refused(crowded.post(HOOKS, {"topic": "charge.created", "url": URL}), 409, "conflict")
    for subscription_id in made:
        assert crowded.delete(f"{HOOKS}/{subscription_id}").status_code == 200
    assert crowded.delete(f"{HOOKS}/{subscribe(crowded, URL)['subscription_id']}").status_code == 200


def test_the_limit_of_a_topic_is_exact(owner):
    """Whoever asks at once for the last places, by a new one or by a change; what is switched off counts."""
    shop = owner.open_shop()

    def make():
        return shop.post(HOOKS, {"topic": "order.created", "url": URL})

    made = [subscribe(shop, URL)["subscription_id"] for _ in range(EACH - 5)]
    other = subscribe(shop, URL, "order.updated")["subscription_id"]
    assert at_once(*[make] * 12) == [201] * 5 + [409] * 7

    def change():
        return shop.put(f"{HOOKS}/{other}", {"topic": "order.created"})

    assert shop.put(f"{HOOKS}/{made[0]}", {"is_active": False, "topic": "order.created"}).status_code == 200
    assert refused(make(), 409, "conflict")["errors"][0]["field"] == "event_topic"
    refused(change(), 409, "conflict")
    assert shop.put(f"{HOOKS}/{other}", {"name": "still"}).json()["data"]["topic"] == "order.updated"
    assert shop.delete(f"{HOOKS}/{made[0]}").status_code == 200
    assert at_once(change, make, make) in ([200, 409, 409], [201, 409, 409])
    assert shop.get(f"{HOOKS}?limit=1").json()["pagination"]["total"] in (EACH, EACH + 1)
    assert shop.platform.postgres.rows("select count(*) from webhooks.subscription where installation_id = %s and topic = 'order.created' and "
                                       "status in ('active', 'inactive')", (shop.installation_id,)) == [(EACH,)]

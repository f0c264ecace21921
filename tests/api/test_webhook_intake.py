"""Events from a commit in any service into the log and towards the subscriptions (protocols 7, 8)."""

import json
import time
import uuid

import pytest

from . import goods
from .hooks import HOOKS, Sink, event, log_of, publish, subscribe, waiting
from .test_uninstall import blocked, until
from .rpc import RpcError
from .shop import Owner


URL = "http://127.0.0.1:9/hook"                                             # discard: nobody listens


@pytest.fixture
def shop(owner):
    """One that webhooks knows already."""
    made = owner.open_shop()
    until(lambda: log_of(made.platform, made.installation_id))
    return made


def taken(platform, event_id):
    return platform.postgres.rows("select topic, store_id, resource_type, resource_id, data from webhooks.event where event_id = %s", (event_id,))


# ---- the outbox ------------------------------------------------------------------------------------------------------


def test_a_commit_reaches_the_log(shop):
    order = goods.order(shop)
    until(lambda: "order.created" in [topic for _, _, topic in log_of(shop.platform, shop.installation_id)])
    assert shop.platform.postgres.rows("select data ->> 'order_id' from webhooks.event where store_id = %s and topic = 'order.created'",
                                       (shop.store_id,)) == [(str(order["order_id"]),)]
    until(lambda: not shop.platform.postgres.rows("select 1 from store_data.outbox where store_id = %s", (shop.store_id,)))


def test_rows_wait_while_webhooks_is_away(make_platform):
    from .shop import Owner
    platform = make_platform()
    shop = Owner(platform).open_shop()
    platform["webhooks-1"].terminate()
    orders = [goods.order(shop)["order_id"] for _ in range(3)]
    time.sleep(0.5)
    assert len(platform.postgres.rows("select 1 from store_data.outbox where topic = 'order.created'")) == 3
    platform["webhooks-1"].start()
    until(lambda: not platform.postgres.rows("select 1 from store_data.outbox"))
    until(lambda: not platform.postgres.rows("select 1 from auth.outbox"))
    found = platform.postgres.rows("select resource_id from webhooks.event where topic = 'order.created' order by number")
    assert [order_id for order_id, in found] == orders


def test_a_lower_id_that_commits_later_is_not_skipped(shop):
    """The reader keeps no position: what a long transaction wrote first and committed last comes as well."""
    platform = shop.platform
    connection = platform.postgres.connect("store_data")
    connection.autocommit = False
    row = ("insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) "
           "values ('product.updated', %s, 'product', %s, '{}', now())")
    with connection.cursor() as cursor:
        cursor.execute(row, (shop.store_id, 1))
        platform.postgres.rows(row.replace("outbox", "store_data.outbox"), (shop.store_id, 2))
        until(lambda: platform.postgres.rows("select 1 from webhooks.event where store_id = %s and resource_id = 2", (shop.store_id,)))
        connection.commit()
    connection.close()
    until(lambda: platform.postgres.rows("select 1 from webhooks.event where store_id = %s and resource_id = 1 and topic = 'product.updated'",
                                         (shop.store_id,)))


@pytest.mark.parametrize("service", ["webhooks", "store-data"])
def test_a_kill_loses_and_doubles_nothing(make_platform, service):
    """Killed while a batch is under way: what was committed is there once."""
    from .shop import Owner
    platform = make_platform()
    shop = Owner(platform).open_shop()
    sub = subscribe(shop, URL)
    shop.put(f"{HOOKS}/{sub['subscription_id']}", {"target_url": URL})
    with blocked(platform, "select 1 from webhooks.sequence for update"):
        orders = [goods.order(shop)["order_id"] for _ in range(5)]
        until(lambda: platform.postgres.rows("select 1 from pg_stat_activity where usename = 'webhooks' and wait_event_type = 'Lock'"))
        platform[f"{service}-1"].kill()
    platform[f"{service}-1"].start()
    until(lambda: not platform.postgres.rows("select 1 from store_data.outbox"))
    found = platform.postgres.rows("select resource_id from webhooks.event where topic = 'order.created' order by number")
    assert [order_id for order_id, in found] == orders
    log = log_of(platform, shop.installation_id)
    assert [seq for seq, _, _ in log] == list(range(1, len(log) + 1))
    assert len({event_id for _, event_id, _ in log}) == len(log)


# ---- intake ----------------------------------------------------------------------------------------------------------


def test_an_event_counts_once(shop):
    platform = shop.platform
    one, two, three = (event(shop.store_id, resource_id=number) for number in (1, 2, 3))
    assert publish(platform, one, two) == {"taken": 2, "known": 0}
    assert publish(platform, two, three, one) == {"taken": 1, "known": 2}
    log = [row for row in log_of(platform, shop.installation_id) if row[2] == "order.created"]
    assert [event_id for _, event_id, _ in log] == [one["event_id"], two["event_id"], three["event_id"]]


def test_the_same_event_twice_in_one_batch(shop):
    one = event(shop.store_id)
    assert publish(shop.platform, one, one) == {"taken": 1, "known": 1}


def test_data_is_kept_as_it_came(shop):
    text = '{"b": 1460.00, "a": [1e3, "\\u09a2"], "big": 12345678901234567890.10}'
    one = {**event(shop.store_id), "data": text}
    publish(shop.platform, one)
    kept = shop.platform.postgres.rows("select data::text from webhooks.event where event_id = %s", (one["event_id"],))
    assert kept == [(text,)]


def test_an_event_of_another_day_has_its_own_partition(shop):
    day_us = 86400 * 1000000
    late = event(shop.store_id, created_us=time.time_ns() // 1000 - 3 * day_us)
    early = event(shop.store_id, created_us=time.time_ns() // 1000 + 3 * day_us)
    assert publish(shop.platform, late, early)["taken"] == 2
    assert publish(shop.platform, late, early)["known"] == 2


def test_an_unknown_topic_is_kept_and_goes_to_nobody(shop):
    one = event(shop.store_id, topic="weather.changed")
    assert publish(shop.platform, one)["taken"] == 1
    assert taken(shop.platform, one["event_id"]) and one["event_id"] not in [row[1] for row in log_of(shop.platform, shop.installation_id)]


def test_only_auth_tells_of_installations(shop):
    news = event(shop.store_id, topic="webhooks.installation", resource_id=shop.installation_id,
                 data={"installation_id": shop.installation_id, "app_id": shop.app_id, "generation": 1, "scopes": ["read:orders"],
                       "topics": [], "url": None})
    assert publish(shop.platform, news) == {"taken": 0, "known": 0}
    assert shop.platform.postgres.rows("select scopes from webhooks.installation where installation_id = %s",
                                       (shop.installation_id,)) == [(["read:orders"],)]
    with pytest.raises(RpcError) as refused:
        publish(shop.platform, {**news, "data": "no json"})
    assert refused.value.code == "validation_error"


def test_bad_events_are_refused(shop):
    good = event(shop.store_id)
    for wrong in ({"event_id": "7"}, {"store_id": 0}, {"created_us": -1}, {"topic": "a"}):
        with pytest.raises(RpcError) as refused:
            publish(shop.platform, {**good, **wrong})
        assert refused.value.code == "validation_error"
    with pytest.raises(RpcError):
        shop.platform.call("webhooks.events.publish", events=[])


# ---- who gets what ---------------------------------------------------------------------------------------------------


def test_only_apps_with_the_scope_and_of_the_store(owner):
    platform = owner.platform
    store_id = owner.open_store()
    reader = owner.open_shop(["read:orders"], store_id)
    other = owner.open_shop(["read:products"], store_id)
    stranger = owner.open_shop(["read:orders"])
    for shop in (reader, other, stranger):
        until(lambda: log_of(platform, shop.installation_id))              # its app.installed
    one = event(store_id)
    publish(platform, one)
    assert [one["event_id"] in [row[1] for row in log_of(platform, shop.installation_id)] for shop in (reader, other, stranger)] == [
        True, False, False]


def test_named_events_go_to_their_app_alone(owner):
    platform = owner.platform
    store_id = owner.open_store()
    mine, other = owner.open_shop(store_id=store_id), owner.open_shop(store_id=store_id)
    for shop in (mine, other):
        until(lambda: log_of(platform, shop.installation_id))
    charge = event(store_id, topic="charge.activated", data={"charge_id": 5, "installation_id": mine.installation_id})
    foreign = event(owner.open_store(), topic="charge.activated", data={"charge_id": 6, "installation_id": mine.installation_id})
    publish(platform, charge, foreign)
    logs = [[row[1] for row in log_of(platform, shop.installation_id)] for shop in (mine, other)]
    assert charge["event_id"] in logs[0] and charge["event_id"] not in logs[1]
    assert foreign["event_id"] not in logs[0] + logs[1]                    # another store's event never names an app of this one


def test_the_log_has_no_gaps_under_many_writers(shop):
    from concurrent.futures import ThreadPoolExecutor
    platform = shop.platform

    def write(writer):
        for number in range(20):
            assert publish(platform, *[event(shop.store_id, resource_id=writer * 1000 + number * 5 + k) for k in range(5)])["taken"] == 5

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    log = log_of(platform, shop.installation_id)
    assert len(log) >= 400 and [seq for seq, _, _ in log] == list(range(1, len(log) + 1))


def test_a_delivery_for_each_subscription_in_order(shop):
    subs = [subscribe(shop, URL, topic) for topic in ("order.created", "order.created", "order.updated")]
    events = [event(shop.store_id, resource_id=number) for number in range(5)]
    publish(shop.platform, *events, event(shop.store_id, topic="order.updated"))
    rows = shop.platform.postgres.rows("select subscription_id, event_id from (select delivery_id, subscription_id, event_id from webhooks.waiting union all select delivery_id, "
                                       "subscription_id, event_id "
                                       "from webhooks.delivery) as w where subscription_id = any (%s) order by delivery_id",
                                       ([sub["subscription_id"] for sub in subs],))
    wanted = [(sub["subscription_id"], one["event_id"]) for one in events for sub in subs[:2]]
    assert rows[:-1] == wanted and rows[-1][0] == subs[2]["subscription_id"]


# ---- installations ---------------------------------------------------------------------------------------------------


def test_declared_topics_are_subscribed_at_each_install(owner):
    platform = owner.platform
    app = owner.make_app(["read:orders"], webhook_topics=["order.created", "product.created", "no.topic", "app.installed"],
                         webhook_receive_url=URL)
    shop = owner.open_shop(app=app)

    def made():
        listed = shop.get(HOOKS).json()["data"]
        return sorted((one["event_topic"], one["target_url"], one["created_by_type"]) for one in listed)

    until(lambda: len(made()) == 2)
    assert made() == [("app.installed", URL, "install"), ("order.created", URL, "install")]
    first = {one["subscription_id"] for one in shop.get(HOOKS).json()["data"]}
    assert [topic for topic, _, _ in (waiting(platform, min(first)) + waiting(platform, max(first)))] == ["app.installed"]
    again = owner.open_shop(store_id=shop.store_id, app=app)
    shop.access_token = again.access_token
    until(lambda: len(made()) == 2 and not first & {one["subscription_id"] for one in shop.get(HOOKS).json()["data"]})


def test_a_late_word_about_an_earlier_generation(owner):
    """webhooks was down, the merchant installed again, and then the end of the first installation comes."""
    platform = owner.platform
    shop = owner.open_shop()
    shop = owner.open_shop(store_id=shop.store_id, app={"app_id": shop.app_id, "client_id": shop.client_id, "client_secret": "",
                                                        "session_signing_key": ""})
    sub = subscribe(shop, URL, "app.uninstalled")
    for operation in ("ending", "ended"):
        platform.call(f"webhooks.installations.{operation}", installation_id=shop.installation_id, generation=1, store_id=shop.store_id,
                      app_id=shop.app_id, **({"event_id": str(uuid.uuid4()), "created_us": time.time_ns() // 1000,
                                              "data": json.dumps({"installation_id": shop.installation_id, "generation": 1})}
                                             if operation == "ending" else {}))
    assert shop.get(f"{HOOKS}/{sub['subscription_id']}").json()["data"]["is_active"] == 1
    assert waiting(platform, sub["subscription_id"]) == []


def test_an_end_does_not_overtake_its_install(make_platform):
    """auth's outbox is stuck, the app is installed and uninstalled meanwhile: its subscriptions are made before they end."""
    platform = make_platform()
    owner = Owner(platform)
    store_id = owner.open_store()
    with Sink() as sink:
        app = owner.make_app(webhook_receive_url=sink.url, webhook_topics=["app.installed", "app.uninstalled"])
        platform.postgres.rows("insert into auth.outbox (topic, store_id, resource_type, resource_id, data, created_at) "
                               "values ('', 1, 'x', 1, '{}', now())")       # webhooks refuses it for ever
        installation_id = platform.call("auth.installations.create", app_id=app["app_id"], store_id=store_id)["installation_id"]
        platform.call("auth.installations.end", installation_id=installation_id)
        until(lambda: platform.postgres.rows("select 1 from auth.uninstall where tries > 1 or step > 1"))
        platform.postgres.rows("delete from auth.outbox where topic = ''")
        until(lambda: "app.uninstalled" in [json.loads(body)["event_topic"] for _, _, body in sink.requests])
    assert [topic for _, _, topic in log_of(platform, installation_id)] == ["app.installed", "app.uninstalled"]


def test_ends_of_two_generations_do_not_overtake_each_other(make_platform):
    """The first goodbye has to wait, the app is installed and uninstalled once more meanwhile: both are said."""
    platform = make_platform()
    owner = Owner(platform)
    store_id = owner.open_store()
    with Sink() as sink:
        app = owner.make_app(webhook_receive_url=sink.url, webhook_topics=["app.uninstalled"])
        installation_id = platform.call("auth.installations.create", app_id=app["app_id"], store_id=store_id)["installation_id"]
        until(lambda: log_of(platform, installation_id))
        platform["webhooks-1"].kill()
        platform.call("auth.installations.end", installation_id=installation_id)
        platform["auth-1"].kill()
        platform.postgres.rows("update auth.uninstall set next_at = now() + interval '1 hour'")
        for name in ("webhooks-1", "auth-1"):
            platform[name].start()
        platform.wait_ready()
        platform.call("auth.installations.create", app_id=app["app_id"], store_id=store_id)
        until(lambda: len(log_of(platform, installation_id)) == 2)
        platform.call("auth.installations.end", installation_id=installation_id)
        time.sleep(1)                                                       # enough for the second to go all its way
        platform.postgres.rows("update auth.uninstall set next_at = now() where generation = 1")
        # Two subscriptions, one of each generation: between them no order of arrival is promised.
        assert sorted(body["data"]["generation"] for body in sink.bodies(2)) == [1, 2]


def test_changed_scopes_are_known(shop):
    platform = shop.platform
    until(lambda: log_of(platform, shop.installation_id))
    platform.postgres.rows("update auth.installation set granted_scopes = 'read:products' where installation_id = %s", (shop.installation_id,))
    news = event(shop.store_id, topic="webhooks.installation", data={"installation_id": shop.installation_id, "app_id": shop.app_id,
                                                                    "generation": 1, "scopes": ["read:products"], "topics": []})
    one, two = event(shop.store_id), event(shop.store_id, topic="product.created")
    publish(platform, one, two)
    publish(platform, news)
    three, four = event(shop.store_id), event(shop.store_id, topic="product.created")
    publish(platform, three, four)
    known = [row[1] for row in log_of(platform, shop.installation_id)]
    assert [each["event_id"] in known for each in (one, two, three, four)] == [True, True, False, True]

"""An app that is installed again: its new credentials open nothing of the install before, whatever webhooks knows at that moment
(protocols 8): neither its log, nor its subscriptions, deliveries and replays. A credential of before opens nothing of the new one."""

import json
import threading
import time
import uuid

import pytest

from .credentials import bearer, refused, session_token
from .hooks import HOOKS, Sink, event, log_of, publish, subscribe, waiting
from .platform import ROOT
from .rpc import RpcError
from .shop import Owner, Shop
from .test_uninstall import blocked, finished, until
from .test_webhook_log import EVENTS, read, read_all
from .test_webhook_replay import REPLAYS, begin, dry_run

UNHEARD = "select 1 from webhooks.installation for share"                    # what auth says of another install waits, and nothing else


@pytest.fixture
def sink():
    with Sink() as made:
        yield made


def install(owner, shop=None):
    """The app on the store, for the first time or over whatever is there."""
    if shop is None:
        shop = owner.open_shop()
        until(lambda: log_of(owner.platform, shop.installation_id))
        return shop
    grant = owner.platform.call("auth.installations.create", app_id=shop.app_id, store_id=shop.store_id)
    assert grant["installation_id"] == shop.installation_id
    app = {"app_id": shop.app_id, "client_id": shop.client_id, "client_secret": shop.client_secret, "session_signing_key": shop.session_signing_key}
    fresh = Shop(owner.platform, shop.store_id, app, grant)
    fresh.generation = grant["generation"]
    return fresh


def uninstall(shop):
    shop.platform.call("auth.installations.end", installation_id=shop.installation_id)


def hear(shop):
    """Until webhooks has heard of this install, and its log has so."""
    until(lambda: shop.get(EVENTS).json().get("data"))


def ids_of(shop):
    """Every event that its log has now."""
    return {event_id for _, event_id, _ in log_of(shop.platform, shop.installation_id)}


def check_fresh(page, old):
    """A page from the beginning of a log that nothing has come into but the install."""
    assert not old & {one["event_id"] for one in page["data"]}
    assert [one["event_topic"] for one in page["data"]] == ["app.installed"]
    assert page["oldest_seq"] == page["data"][0]["seq"] == page["last_seq"] == page["next_after"]


# ---- while webhooks has not heard of it ------------------------------------------------------------------------------


def test_over_a_live_install_before_webhooks_has_heard_of_it(owner, sink):
    platform = owner.platform
    shop = install(owner)
    sub = subscribe(shop, sink.url + "/old")
    sink.answers = {"/old": 410}                                            # a delivery that failed, to be sent once more
    publish(platform, told := event(shop.store_id))
    until(lambda: shop.get(f"{HOOKS}/{sub['subscription_id']}").json()["data"]["is_active"] == 0)
    assert shop.put(f"{HOOKS}/{sub['subscription_id']}", {"is_active": True}).status_code == 200
    delivery = shop.get(f"{HOOKS}/{sub['subscription_id']}/deliveries").json()["data"][0]
    assert (delivery["event_id"], delivery["status"]) == (told["event_id"], "failed")
    sink.answers = {}
    replay = begin(shop, event_id=told["event_id"])
    until(lambda: waiting(platform, sub["subscription_id"]) == [])
    came = len(sink.requests)
    last = read(shop)["last_seq"]
    with blocked(platform, UNHEARD):
        fresh = install(owner, shop)
        publish(platform, event(shop.store_id, "product.created"))          # goes into the log of the install that is known
        for headers in (fresh.bearer, fresh.client, bearer(session_token(fresh, gen=fresh.generation))):
            for query in ("", f"?after={last}", "?topic=order.created"):
                assert "set up" in refused(platform.get(EVENTS + query, headers=headers), 503, "service_unavailable")["message"]
        refused(platform.get(EVENTS, headers=shop.bearer), 401, "invalid_token")
        path = f"{HOOKS}/{sub['subscription_id']}"
        for method, where, body in (
                ("GET", path, None), ("PUT", path, {"name": "mine"}), ("DELETE", path, None), ("POST", path + "/test", None),
                ("POST", path + "/rotate-secret", None), ("POST", path + "/rotate-secret/promote", None), ("GET", path + "/deliveries", None),
                ("POST", f"{HOOKS}/deliveries/{delivery['delivery_id']}/retry", None), ("GET", f"{REPLAYS}/{replay['replay_id']}", None),
                ("POST", f"{REPLAYS}/{replay['replay_id']}/cancel", None)):
            refused(fresh.request(method, where, json_body=body), 404, "not_found")
        assert fresh.get(HOOKS).json()["data"] == [] == fresh.get(REPLAYS).json()["data"]
        for where, body in ((REPLAYS, {"dry_run": True, "status": "all"}), (REPLAYS, {"event_id": told["event_id"]}), (REPLAYS, {}),
                            (HOOKS, {"event_topic": "order.created", "target_url": sink.url})):
            refused(fresh.post(where, body), 503, "service_unavailable")
        old = ids_of(shop)
        assert len(old) > last
    hear(fresh)
    check_fresh(page := read(fresh), old)
    assert page["last_seq"] == last + 2
    assert refused(fresh.get(f"{EVENTS}?after={last}"), 410, "events_expired")["oldest_seq"] == last + 2
    assert waiting(platform, sub["subscription_id"]) == [] and len(sink.requests) == came


def test_what_the_new_install_makes_is_all_it_sees(owner, sink):
    platform = owner.platform
    shop = install(owner)
    subscribe(shop, sink.url + "/old")
    publish(platform, *[event(shop.store_id, resource_id=number) for number in range(30)])
    sink.wait(30)
    running = begin(shop, status="all", rate=1)                             # half a minute's worth
    old = ids_of(shop)
    fresh = install(owner, shop)
    sub = subscribe(fresh, sink.url + "/new")
    assert dry_run(fresh, status="all") == {"subscriptions": 1, "total": 0, "total_capped": 0}
    assert [one["subscription_id"] for one in fresh.get(HOOKS).json()["data"]] == [sub["subscription_id"]]
    for number in list(old)[:3]:
        assert refused(fresh.post(REPLAYS, {"event_id": number}), 400, "validation_error")["errors"][0]["field"] == "event_id"
    publish(platform, new := event(shop.store_id, resource_id=77))
    until(lambda: any(path == "/new" for path, _, _ in list(sink.requests)))
    assert dry_run(fresh, status="all") == {"subscriptions": 1, "total": 1, "total_capped": 0}
    replay = begin(fresh, status="all")                                     # the old one, stopped or not yet, is not in its way
    until(lambda: fresh.get(f"{REPLAYS}/{replay['replay_id']}").json()["data"]["status"] == "completed")
    assert [one["replay_id"] for one in fresh.get(REPLAYS).json()["data"]] == [replay["replay_id"]]
    until(lambda: [path for path, _, _ in list(sink.requests)].count("/new") == 2)
    assert {json.loads(body)["event_id"] for path, _, body in sink.requests if path == "/new"} == {new["event_id"]}
    until(lambda: platform.postgres.rows("select state from webhooks.replay where replay_id = %s", (running["replay_id"],)) == [("stopped",)])
    assert [one["event_topic"] for one in read_all(fresh)] == ["app.installed", "order.created"]


@pytest.mark.parametrize("how", ["stopped", "killed"])
@pytest.mark.parametrize("ended", [False, True])
def test_webhooks_comes_back_after_a_reinstall(make_platform, how, ended):
    """The new token is there before webhooks is, and reads as soon as it can: nothing, and then what is its own."""
    platform = make_platform(gateways=1, services={"auth": 1, "store-data": 1, "webhooks": 1})
    owner = Owner(platform)
    shop = install(owner)
    publish(platform, *[event(shop.store_id, resource_id=number) for number in range(5)])
    old, process = ids_of(shop), platform["webhooks-1"]
    assert len(old) == 6 and len(read(shop)["data"]) == 6
    process.pause() if how == "stopped" else process.kill()
    if ended:
        uninstall(shop)
    fresh = install(owner, shop)
    answers, over = [], threading.Event()

    def ask():
        while not over.is_set():
            answers.append((platform.get(EVENTS, headers=fresh.bearer).json(), platform.get(REPLAYS, headers=fresh.bearer).json()))

    readers = [threading.Thread(target=ask) for _ in range(3)]
    try:
        with blocked(platform, UNHEARD):                                    # and for a while it is back and has not heard
            for reader in readers:
                reader.start()
            process.resume() if how == "stopped" else process.start()
            platform.wait_ready()
            until(lambda: any("set up" in page.get("message", "") for page, _ in list(answers)))
        until(lambda: any(page.get("data") for page, _ in list(answers)))
    finally:
        over.set()
        for reader in readers:
            reader.join()
    for page, replays in answers:
        assert not replays.get("data")
        if page.get("data"):
            check_fresh(page, old)
    if ended:
        until(lambda: finished(platform, shop.installation_id))
    check_fresh(read(fresh), old)                                           # the end of the old install is not in it either
    refused(platform.get(EVENTS, headers=shop.bearer), 401, "invalid_token")


# ---- again and again -------------------------------------------------------------------------------------------------


def test_uninstalled_and_installed_again_at_once(owner):
    platform = owner.platform
    shop, seen = install(owner), set()
    for ended in (True, False, True, True, False):
        publish(platform, *[event(shop.store_id, resource_id=number) for number in range(3)])
        old = ids_of(shop)
        if ended:
            uninstall(shop)
        shop = install(owner, shop)
        hear(shop)
        page = read(shop)
        assert not (old | seen) & {one["event_id"] for one in page["data"]}
        seen |= old
        until(lambda: finished(platform, shop.installation_id))             # pylint: disable=cell-var-from-loop
        check_fresh(read(shop), seen)
        assert read(shop)["data"][0]["data"]["generation"] == shop.generation


def test_installed_again_and_again_while_others_write(make_platform):
    """Events come without a pause, from several: each install's log has no gap and tells of itself alone, and all of them together have
    every event once."""
    platform = make_platform(services={"auth": 1, "store-data": 1, "webhooks": 2})
    owner = Owner(platform)
    shop, over, sent, failures, lock = install(owner), threading.Event(), set(), [], threading.Lock()
    store_id = shop.store_id

    def write(number):
        while not over.is_set():
            events = [event(store_id, resource_id=number * 10 + n) for n in range(3)]
            try:
                publish(platform, *events)
            except (RpcError, TimeoutError) as failure:
                failures.append(failure)
                return
            with lock:
                sent.update(one["event_id"] for one in events)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    logs = []
    try:
        for _ in range(6):
            count = len(sent)
            until(lambda: len(sent) > count + 20 or failures)               # pylint: disable=cell-var-from-loop
            logs.append(read_all(shop))
            shop = install(owner, shop)
            hear(shop)
    finally:
        over.set()
        for writer in writers:
            writer.join()
    assert not failures
    logs.append(read_all(shop))
    for log in logs:
        assert [one["seq"] for one in log] == list(range(log[0]["seq"], log[0]["seq"] + len(log)))
    installed = [[one["data"]["generation"] for one in log if one["event_topic"] == "app.installed"] for log in logs]
    assert installed == [[number] for number in range(1, 8)]
    for one, other in zip(logs, logs[1:]):
        assert one[-1]["seq"] < other[0]["seq"]
    rows = log_of(platform, shop.installation_id)
    assert [seq for seq, _, _ in rows] == list(range(1, len(rows) + 1))
    assert {event_id for _, event_id, topic in rows if topic == "order.created"} == sent


def test_what_names_an_earlier_install_is_not_in_the_log(owner, sink):
    """The end of the first install comes when the second one is known: to whom it is for, and into nobody's log."""
    platform = owner.platform
    shop = install(owner)
    subscribe(shop, sink.url, "app.uninstalled")
    fresh = install(owner, shop)
    hear(fresh)
    publish(platform, first := event(shop.store_id))
    for generation in (1, 2):
        data = {"installation_id": shop.installation_id, "app_id": shop.app_id, "generation": generation}
        publish(platform, event(shop.store_id, "charge.declined", data=data))
    platform.call("webhooks.installations.ending", installation_id=shop.installation_id, generation=1, store_id=shop.store_id, app_id=shop.app_id,
                  event_id=str(uuid.uuid4()), created_us=time.time_ns() // 1000,
                  data=json.dumps({"installation_id": shop.installation_id, "generation": 1}))
    publish(platform, second := event(shop.store_id))
    log = read_all(fresh)
    assert [one["event_topic"] for one in log] == ["app.installed", "order.created", "charge.declined", "order.created"]
    assert [one["seq"] for one in log] == [2, 3, 4, 5] and log[2]["data"]["generation"] == 2
    assert (log[1]["event_id"], log[3]["event_id"]) == (first["event_id"], second["event_id"])
    assert sink.bodies(1)[0]["event_topic"] == "app.uninstalled"


def test_logs_that_were_kept_when_rows_said_whose_they_are(platform):
    """Brought up to date (schema/061_generations.sql) a log begins behind what is of an earlier install."""
    folders = [ROOT / "services" / "webhooks" / "schema", ROOT / "libshared" / "schema"]
    files = sorted((file for folder in folders for file in folder.glob("*.sql")), key=lambda file: file.name)
    connection = platform.postgres.connect()
    connection.autocommit = False
    try:
        cursor = connection.cursor()
        cursor.execute("create role old; create schema old; set local search_path = old; create table migration (name text)")
        for file in files:
            if file.name < "061":
                cursor.execute(file.read_text())
        cursor.execute("create table log_all partition of log default; "
                       "insert into installation (installation_id, store_id, app_id, generation, scopes, status, updated_at) "
                       "select id, 1, id, generation, '{}', 'active', now() from (values (1, 2), (2, 1), (3, 3), (4, 2)) as i (id, generation); "
                       "insert into log (installation_id, seq, event_at, event_id, topic, generation) select id, seq, now(), gen_random_uuid(), 'x', generation "
                       "from (values (1, 1, 1), (1, 2, 1), (1, 3, 2), (2, 1, 1), (2, 2, 1), (4, 7, 1)) as l (id, seq, generation)")
        for file in files:
            if file.name >= "061":
                cursor.execute(file.read_text())
        cursor.execute("select installation_id, log_after from installation order by 1")
        assert cursor.fetchall() == [(1, 2), (2, 0), (3, 0), (4, 7)]
    finally:
        connection.rollback()
        connection.close()


# ---- identities of before --------------------------------------------------------------------------------------------


def test_an_identity_that_a_gateway_has_kept(make_platform):
    """A gateway that was stopped during the reinstall has the app's identity of before in its cache: it opens neither log."""
    platform = make_platform(gateways=2)
    owner = Owner(platform)
    shop = install(owner)
    publish(platform, event(shop.store_id))
    for headers in (shop.client, shop.bearer):
        assert platform.get(EVENTS, gateway=2, headers=headers).status_code == 200
    old = ids_of(shop)
    with blocked(platform, UNHEARD):
        platform["gateway-2"].pause()
        fresh = install(owner, shop)
        platform["gateway-2"].resume()
        refused(platform.get(EVENTS, gateway=2, headers=shop.bearer), 401, "invalid_token")
        refused(platform.get(EVENTS, gateway=2, headers=shop.client), 503, "service_unavailable")
    hear(fresh)
    for headers in (shop.client, fresh.bearer):
        check_fresh(platform.get(EVENTS, gateway=2, headers=headers).json(), old)
    refused(platform.get(EVENTS, gateway=2, headers=shop.bearer), 401, "invalid_token")


def test_a_request_that_was_on_its_way(owner, sink):
    """It was let in before the reinstall and reaches webhooks after it: of its own install there is nothing any more."""
    platform = owner.platform
    shop = install(owner)
    fresh = install(owner, shop)
    hear(fresh)
    sub = subscribe(fresh, sink.url)

    def ask(generation, operation, body=None, **path):
        caller = {"audience": 1, "app_id": shop.app_id, "store_id": shop.store_id, "installation_id": shop.installation_id,
                  "generation": generation, "scopes": "read:orders"}
        try:
            reply = platform.rpc().call(operation, body, caller=caller, path=path, query={}, as_json=True)
        except RpcError as error:
            return error.code
        return reply["data"]

    assert [one["event_topic"] for one in ask(2, "webhooks.events.list")] == ["app.installed"]
    assert ask(2, "webhooks.subscriptions.get", subscription_id=sub["subscription_id"])["subscription_id"] == sub["subscription_id"]
    for generation in (0, 1, 3):
        assert ask(generation, "webhooks.events.list") == "service_unavailable"
        assert ask(generation, "webhooks.subscriptions.get", subscription_id=sub["subscription_id"]) == "not_found"
        assert ask(generation, "webhooks.subscriptions.list") == [] == ask(generation, "webhooks.replays.list")
        made = {"event_topic": "order.created", "target_url": sink.url}
        assert ask(generation, "webhooks.subscriptions.create", made) == "service_unavailable"
        assert ask(generation, "webhooks.replays.create", {"status": "all"}) == "service_unavailable"
    assert [one["subscription_id"] for one in fresh.get(HOOKS).json()["data"]] == [sub["subscription_id"]]

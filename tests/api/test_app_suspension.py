"""Apps that an operator stops until they let them go on: what is refused from then on and where, what the developer can still say and
sees, and which webhooks wait for how long."""

import concurrent.futures
import json
import time

import pytest

from .client import is_error
from .credentials import STORE, refused
from .hooks import HOOKS, Sink, event, log_of, publish, subscribe, waiting
from .oauth import TOKEN
from .payments import Payer, merchant_headers
from .platform import ROOT, Platform
from .rpc import RpcError
from .test_custom_apps import Store
from .test_developer_apps import Developer, grant, until

GATEWAYS = (1, 2)
REASON = "It sells what it reads"


@pytest.fixture(scope="module")
def platform():
    with Platform(gateways=2, services={"auth": 2, "store-data": 1, "webhooks": 2}) as shared:
        yield shared


@pytest.fixture
def developer(platform):
    return Developer(platform)


@pytest.fixture
def made(developer):
    return developer.make(requested_scopes=["read:orders", "read:customers", "read:store"])


@pytest.fixture
def shop(platform, developer, made):
    shop = grant(developer, made)
    until(lambda: log_of(platform, shop.installation_id))
    return shop


class Slow(Sink):
    pause = 0.05

    def take(self, path, headers, body):
        time.sleep(self.pause)
        return super().take(path, headers, body)


def suspend(app_id, platform, reason=REASON):
    return platform.call("auth.apps.suspend", app_id=app_id, reason=reason)


def reinstate(app_id, platform):
    return platform.call("auth.apps.reinstate", app_id=app_id)


def app_row(platform, app_id):
    return platform.postgres.rows("select is_active, suspended_at is not null, suspension_reason, suspension_version from auth.app "
                                  "where app_id = %s", (app_id,))[0]


def audit(platform, app_id):
    return platform.postgres.rows("select actor, action, reason from auth.audit where app_id = %s and action in ('app.suspended', "
                                  "'app.reinstated', 'app.switched_on', 'app.switched_off') order by audit_id", (app_id,))


def tried(platform, shop):
    return [platform.get(STORE, headers=headers, gateway=gateway).status_code for gateway in GATEWAYS for headers in (shop.bearer, shop.client)]


def switch(developer, app_id, is_active):
    return developer.ask("PATCH", f"/{app_id}/status", {"is_active": is_active})


# ---- credentials and the developer -----------------------------------------------------------------------------------


def test_nothing_of_a_suspended_app_is_accepted_anywhere(platform, shop):
    """From the answer on, whichever gateway has seen the credentials before; and all of it once it is reinstated."""
    for _ in range(3):
        assert tried(platform, shop) == [200] * 4
        suspend(shop.app_id, platform)
        assert tried(platform, shop) == [401] * 4
        refresh = {"grant_type": "refresh_token", "client_id": shop.client_id, "client_secret": shop.client_secret, "refresh_token": shop.refresh_token}
        assert platform.post(TOKEN, refresh).status_code == 401
        reinstate(shop.app_id, platform)
    assert tried(platform, shop) == [200] * 4


def test_its_developer_sees_why_and_cannot_switch_it_on(platform, developer, made):
    app_id = made["app_id"]
    before = developer.see(f"/{app_id}")
    told = suspend(app_id, platform)
    assert (told["app_id"], told["is_active"], told["is_suspended"], told["reason"]) == (app_id, 0, 1, REASON)
    seen = developer.see(f"/{app_id}")
    assert (seen["is_active"], seen["suspension"]) == (0, {"reason": REASON, "suspended_at": told["suspended_at"]})
    assert set(seen) - set(before) == {"suspension"}
    answer = switch(developer, app_id, True)
    is_error(answer, 409, "APP_SUSPENDED")
    assert REASON in answer.json()["message"] and "operator" in answer.json()["message"]
    with pytest.raises(RpcError) as error:
        platform.call("auth.apps.set_status", app_id=app_id, is_active=True)
    assert (error.value.status, error.value.code) == (409, "app_suspended")
    assert not app_row(platform, app_id)[0]
    assert reinstate(app_id, platform) == {"app_id": app_id, "is_active": 1, "is_suspended": 0, "reason": None, "suspended_at": None}
    assert set(developer.see(f"/{app_id}")) == set(before)


@pytest.mark.parametrize("was, says, then", [(True, None, True), (False, None, False), (True, False, False), (False, False, False)])
def test_it_comes_back_as_its_developer_wanted_it_last(platform, developer, made, was, says, then):
    app_id = made["app_id"]
    assert switch(developer, app_id, was).status_code == 200
    suspend(app_id, platform)
    if says is not None:
        assert switch(developer, app_id, says).json()["data"] == {"app_id": app_id, "is_active": 0}
    assert reinstate(app_id, platform)["is_active"] == int(then) == developer.see(f"/{app_id}")["is_active"]
    assert switch(developer, app_id, True).json()["data"]["is_active"] == 1


def test_it_is_in_the_marketplace_no_more(platform, developer, made):
    """What it is listed as stays, and it is there again by itself."""
    app_id = made["app_id"]
    assert developer.ask("PATCH", f"/{app_id}/listing", {"is_listed": True}).status_code == 200
    public = "select is_public from developer_apps.listing where app_id = %s"
    until(lambda: platform.postgres.rows(public, (app_id,)) == [(True,)])
    suspend(app_id, platform)
    until(lambda: platform.postgres.rows(public, (app_id,)) == [(False,)])
    assert developer.see(f"/{app_id}")["is_listed"] == 1
    reinstate(app_id, platform)
    until(lambda: platform.postgres.rows(public, (app_id,)) == [(True,)])


def test_said_twice_it_is_done_once(platform, made):
    app_id = made["app_id"]
    reinstate(app_id, platform)
    assert audit(platform, app_id) == []
    first = suspend(app_id, platform)
    assert suspend(app_id, platform, "Another one") == first
    reinstate(app_id, platform)
    reinstate(app_id, platform)
    assert audit(platform, app_id) == [("operator", "app.suspended", REASON), ("operator", "app.reinstated", None)]


def test_both_at_once(platform, shop):
    """Each finds what the other has done: they alternate, and what was done last holds, also in webhooks."""
    for _ in range(5):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: (suspend if n % 2 else reinstate)(shop.app_id, platform), range(16)))
        actions = [action for _, action, _ in audit(platform, shop.app_id)]
        assert actions == ["app.suspended", "app.reinstated"] * (len(actions) // 2) + ["app.suspended"] * (len(actions) % 2)
        is_active, suspended, _, version = app_row(platform, shop.app_id)
        assert (suspended, is_active, version) == (len(actions) % 2 == 1, len(actions) % 2 == 0, len(actions))
        assert tried(platform, shop) == [401 if suspended else 200] * 4
    until(lambda: platform.postgres.rows("select is_suspended, version from webhooks.suspended_app where app_id = %s", (shop.app_id,)) == [
        (suspended, version)])
    reinstate(shop.app_id, platform)


def test_a_suspended_app_can_be_deleted(platform, developer, shop):
    suspend(shop.app_id, platform)
    assert developer.ask("DELETE", f"/{shop.app_id}").status_code == 200
    for operation, more in (("auth.apps.suspend", {"reason": REASON}), ("auth.apps.reinstate", {}), ("auth.apps.set_status", {"is_active": True})):
        with pytest.raises(RpcError) as error:
            platform.call(operation, app_id=shop.app_id, **more)
        assert (error.value.status, error.value.code) == (404, "not_found")


def test_a_custom_app(platform, merchant):
    store_id = merchant.open_store()
    app = Store(platform, merchant, store_id).make()
    headers = {"Authorization": f"Bearer {app['access_token']}"}
    assert [platform.get(STORE, headers=headers, gateway=gateway).status_code for gateway in GATEWAYS] == [200, 200]
    suspend(app["app_id"], platform)
    assert [platform.get(STORE, headers=headers, gateway=gateway).status_code for gateway in GATEWAYS] == [401, 401]
    reinstate(app["app_id"], platform)
    assert [platform.get(STORE, headers=headers, gateway=gateway).status_code for gateway in GATEWAYS] == [200, 200]
    assert platform.postgres.rows("select store_id from auth.audit where app_id = %s and action = 'app.suspended'", (app["app_id"],)) == [(store_id,)]


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "   "}, {"reason": "x" * 501}, {"reason": None}, {"reason": 1}, {"reason": "a\nb"}], ids=str)
def test_a_reason_is_given(platform, made, body):
    with pytest.raises(RpcError) as error:
        platform.call("auth.apps.suspend", app_id=made["app_id"], **body)
    assert (error.value.status, error.value.code) == (400, "validation_error")
    assert suspend(made["app_id"], platform, "অ" * 500)["reason"] == "অ" * 500
    reinstate(made["app_id"], platform)


def test_it_is_the_operators_alone():
    """No service may call it, nor anything over HTTP."""
    contract = json.loads((ROOT / "proto" / "internal.json").read_text(encoding="utf-8"))["operations"]
    for name in ("auth.apps.suspend", "auth.apps.reinstate"):
        assert contract[name]["x-callers"] == ["operator"] and "x-actors" not in contract[name]


# ---- money -----------------------------------------------------------------------------------------------------------


def test_its_charges_cannot_be_approved(platform):
    """They can be declined, and approved once it is reinstated."""
    payer = Payer(platform)
    first, second = payer.charge_id(), payer.charge_id()
    suspend(payer.shop.app_id, platform)
    answer = payer.say(first, "approve")
    refused(answer, 409, "conflict")
    assert "suspended" in answer.json()["message"] and REASON not in answer.text and payer.checkouts(first) == []
    assert payer.say(second, "decline").status_code == 200
    reinstate(payer.shop.app_id, platform)
    assert payer.say(first, "approve").status_code == 200


# ---- webhooks --------------------------------------------------------------------------------------------------------


def is_told(platform, app_id, suspended=True):
    until(lambda: platform.postgres.rows("select is_suspended from webhooks.suspended_app where app_id = %s", (app_id,)) == [(suspended,)])


def queue(platform, subscription_id):
    """Whether somebody holds it, and when it is due: never, once its app is reinstated, or at a time."""
    return platform.postgres.rows("select holder is not null, case when due_at is null then 'never' when due_at = 'infinity' then 'reinstated' "
                                  "else 'then' end from webhooks.queue where subscription_id = %s", (subscription_id,))[0]


def numbers(sink, path):
    return [json.loads(body)["data"]["order_id"] for where, _, body in list(sink.requests) if where == path]


def test_deliveries_wait_and_go_on_in_their_order(platform, shop):
    with Sink() as sink:
        sub = subscribe(shop, sink.url + "/hook")
        publish(platform, *(event(shop.store_id, data={"order_id": n}) for n in range(5)))
        until(lambda: numbers(sink, "/hook") == list(range(5)))
        suspend(shop.app_id, platform)
        is_told(platform, shop.app_id)
        for n in range(5, 25):
            publish(platform, event(shop.store_id, data={"order_id": n}))
        until(lambda: queue(platform, sub["subscription_id"]) == (False, "reinstated"))
        assert len(waiting(platform, sub["subscription_id"])) == 20 and numbers(sink, "/hook") == list(range(5))
        reinstate(shop.app_id, platform)
        until(lambda: waiting(platform, sub["subscription_id"]) == [])
        assert numbers(sink, "/hook") == list(range(25))
        until(lambda: queue(platform, sub["subscription_id"]) == (False, "never"))


def test_what_is_being_sent_stops(platform, shop):
    """A flood that is under way: soon after the suspension nothing of it arrives any more, and then the rest."""
    with Slow() as sink:
        sub = subscribe(shop, sink.url + "/flood")
        publish(platform, *(event(shop.store_id, data={"order_id": n}) for n in range(400)))
        until(lambda: len(numbers(sink, "/flood")) > 5)
        suspend(shop.app_id, platform)
        until(lambda: queue(platform, sub["subscription_id"]) == (False, "reinstated"))
        stopped = len(numbers(sink, "/flood"))
        time.sleep(1)
        assert len(numbers(sink, "/flood")) == stopped < 400
        sink.pause = 0
        reinstate(shop.app_id, platform)
        until(lambda: waiting(platform, sub["subscription_id"]) == [])
        assert numbers(sink, "/flood") == list(range(400))


def test_one_for_every_store_waits_as_well_and_those_of_others_do_not(platform, developer, shop):
    """What another app and the merchant have subscribed to in the same store arrives as ever."""
    other = grant(Developer(platform), Developer(platform).make(), store_id=shop.store_id)
    until(lambda: log_of(platform, other.installation_id))
    with Sink() as sink:
        made = developer.ask("POST", f"/{shop.app_id}/webhooks/subscriptions", {"event_topic": "order.created", "target_url": sink.url + "/every"})
        assert made.status_code == 201, made.text
        subscribe(other, sink.url + "/other")
        answer = platform.post("/api/apps/webhooks/subscriptions", {"store_id": shop.store_id, "event_topic": "order.created",
                                                                    "target_url": sink.url + "/merchant"}, headers=merchant_headers(shop.owner))
        assert answer.status_code == 201, answer.text
        suspend(shop.app_id, platform)
        is_told(platform, shop.app_id)
        publish(platform, event(shop.store_id, data={"order_id": 7}))
        until(lambda: {path for path, _, _ in list(sink.requests)} == {"/other", "/merchant"})
        until(lambda: queue(platform, made.json()["data"]["subscription_id"]) == (False, "reinstated"))
        reinstate(shop.app_id, platform)
        until(lambda: numbers(sink, "/every") == [7])


def test_an_end_passes_the_suspension(platform, developer, shop):
    """app.uninstalled, and what people have a right to; of what waited for the app nothing is left."""
    with Sink() as sink:
        topics = ("app.uninstalled", "customers/redact", "customers/data_request", "shop/redact")
        for topic in topics:
            subscribe(shop, f"{sink.url}/{topic}", topic)
        orders = subscribe(shop, sink.url + "/orders")
        suspend(shop.app_id, platform)
        is_told(platform, shop.app_id)
        publish(platform, event(shop.store_id), event(shop.store_id, "customers/redact", 5, resource_type="customer"),
                event(shop.store_id, "customers/data_request", 5, resource_type="customer"))
        until(lambda: {path for path, _, _ in list(sink.requests)} == {"/customers/redact", "/customers/data_request"})
        until(lambda: queue(platform, orders["subscription_id"]) == (False, "reinstated"))
        assert developer.ask("DELETE", f"/{shop.app_id}").status_code == 200
        until(lambda: "/app.uninstalled" in {path for path, _, _ in list(sink.requests)})
        until(lambda: platform.postgres.rows("select step from auth.uninstall where installation_id = %s", (shop.installation_id,)) == [(4,)])
        assert waiting(platform, orders["subscription_id"]) == []
        publish(platform, event(shop.store_id, "shop/redact", shop.installation_id, {"installation_id": shop.installation_id}, "installation"))
        until(lambda: "/shop/redact" in {path for path, _, _ in list(sink.requests)})
        assert "/orders" not in {path for path, _, _ in sink.requests}


def test_who_waits_is_not_looked_at_again_and_again(platform, shop):
    """With something to send, it is claimed once for what has come; without, it is due never, suspended or not."""
    with Sink() as sink:
        busy, idle = subscribe(shop, sink.url + "/busy"), subscribe(shop, sink.url + "/idle", "order.updated")
        publish(platform, event(shop.store_id), event(shop.store_id, "order.updated"))
        until(lambda: len(sink.requests) == 2)
        until(lambda: [queue(platform, sub["subscription_id"]) for sub in (busy, idle)] == [(False, "never")] * 2)
        suspend(shop.app_id, platform)
        is_told(platform, shop.app_id)
        publish(platform, event(shop.store_id))
        until(lambda: queue(platform, busy["subscription_id"]) == (False, "reinstated"))
        written = "select xmin::text from webhooks.queue where subscription_id in (%s, %s) order by 1"
        before = platform.postgres.rows(written, (busy["subscription_id"], idle["subscription_id"]))
        time.sleep(1.5)
        assert platform.postgres.rows(written, (busy["subscription_id"], idle["subscription_id"])) == before
        assert queue(platform, idle["subscription_id"]) == (False, "never")
        reinstate(shop.app_id, platform)
        until(lambda: len(sink.requests) == 3)
        until(lambda: [queue(platform, sub["subscription_id"]) for sub in (busy, idle)] == [(False, "never")] * 2)


def test_a_replay_rests(platform, shop):
    """Nothing is put on its way while the app is suspended, and that is looked at now and then only."""
    with Sink() as sink:
        sub = subscribe(shop, sink.url + "/again")
        publish(platform, *(event(shop.store_id, data={"order_id": n}) for n in range(40)))
        until(lambda: numbers(sink, "/again") == list(range(40)))
        begun = platform.post(f"{HOOKS}/replays", {"status": "all", "rate": 5}, headers=shop.bearer)
        assert begun.status_code == 202, begun.text
        suspend(shop.app_id, platform)
        is_told(platform, shop.app_id)
        replay_id = begun.json()["data"]["replay_id"]
        until(lambda: platform.postgres.rows("select next_at > now() + interval '3 seconds' from webhooks.replay where replay_id = %s", (replay_id,))[0][0])
        queued = platform.postgres.rows("select queued::int from webhooks.replay where replay_id = %s", (replay_id,))
        assert queued[0][0] < 40
        time.sleep(1.5)
        assert platform.postgres.rows("select queued::int from webhooks.replay where replay_id = %s", (replay_id,)) == queued
        reinstate(shop.app_id, platform)
        until(lambda: sorted(numbers(sink, "/again")) == sorted([*range(40)] * 2), 60)
        until(lambda: queue(platform, sub["subscription_id"]) == (False, "never"))


def test_all_that_waited_are_woken_however_many(platform, shop):
    """More than one statement does; those of other apps sleep on."""
    mine, others, many = shop.app_id, shop.app_id + 10**9, 12_000
    platform.postgres.rows("insert into webhooks.suspended_app (app_id, is_suspended, version) values (%s, true, 1)", (others,))
    put = ("with made as (insert into webhooks.subscription (subscription_id, app_id, made_by, topic, target_url, secret, profile, status, created_at, "
           "updated_at) select nextval('webhooks.subscription_id_seq'), %s, 'developer', 'order.created', 'https://app.example', '', 'selorax', "
           "'inactive', now(), now() from generate_series(1, %s) returning subscription_id) "
           "insert into webhooks.queue (subscription_id, due_at, waits_for_app) select subscription_id, 'infinity', %s from made")
    sleeping = "select app_id, count(*) from webhooks.queue join webhooks.subscription using (subscription_id) where due_at = 'infinity' " \
        f"and app_id in ({mine}, {others}) group by 1"
    platform.postgres.rows(put, (mine, many, mine))
    platform.postgres.rows(put, (others, 10, others))
    suspend(mine, platform)
    is_told(platform, mine)
    assert dict(platform.postgres.rows(sleeping)) == {mine: many, others: 10}
    reinstate(mine, platform)
    until(lambda: dict(platform.postgres.rows(sleeping)) == {others: 10})
    until(lambda: platform.postgres.rows("select count(*) from webhooks.queue where due_at <= now()") == [(0,)], 60)   # with nothing to send


def test_word_that_comes_late_or_from_others_changes_nothing(platform, shop):
    def say(suspended, version):
        publish(platform, event(0, "webhooks.app", shop.app_id, {"app_id": shop.app_id, "suspended": suspended, "version": version}, "webhooks.app"))

    def known():
        return platform.postgres.rows("select is_suspended, version from webhooks.suspended_app where app_id = %s", (shop.app_id,))

    for suspended, version, then in ((True, 1, (True, 1)), (False, 2, (False, 2)), (True, 1, (False, 2)), (False, 2, (False, 2)), (True, 3, (True, 3)),
                                     (False, 2, (True, 3))):
        say(suspended, version)
        assert known() == [then]
    with pytest.raises(RpcError) as error:
        platform.call("webhooks.events.publish", events=[event(0, "webhooks.other", shop.app_id, {}, "webhooks.other")])
    assert (error.value.status, error.value.code) == (400, "validation_error")


def test_reinstated_and_suspended_while_events_come(platform, shop):
    """However often and whoever sends: nothing is left behind, nothing is sent twice or out of order."""
    with Sink() as sink:
        sub = subscribe(shop, sink.url + "/all")
        for n in range(120):
            publish(platform, event(shop.store_id, data={"order_id": n}))
            if n % 10 == 5:
                suspend(shop.app_id, platform)
            if n % 10 == 9:
                reinstate(shop.app_id, platform)
        until(lambda: waiting(platform, sub["subscription_id"]) == [])
        assert numbers(sink, "/all") == list(range(120))

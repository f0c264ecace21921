"""An app at a glance (contract A.5 row 98, seed 004): every figure after a history of installs, uninstalls, charges, refunds and
deliveries; days that pass; and what is left of it while those that it is gathered from are away, slow or refuse."""

import time
from datetime import datetime, timedelta, timezone

import pytest

from .client import is_error
from .hooks import Sink, event, publish, subscribe
from .payments import BILLING, paid, say
from .rpc import RpcError
from .shop import PASSWORD
from .test_developer_apps import TIME, Developer, grant, told, unique, until

NOTHING = {"installations": {"active": 0, "total": 0}, "charges": {"count": 0, "total_amount": "0.00", "total_developer_amount": "0.00"},
           "webhooks": {"active_subscriptions": 0, "delivered_7d": 0, "failed_7d": 0},
           "recent_activity": {"latest_installation": None, "latest_charge": None, "latest_delivery": None}}
DAY_S = 86400


class App:
    """One with a developer of its own."""

    def __init__(self, platform):
        self.platform, self.developer = platform, Developer(platform)
        self.made = self.developer.make(requested_scopes=["read:orders", "billing"])
        self.app_id = self.made["app_id"]

    def install(self):
        return grant(self.developer, self.made)

    def ask(self):
        return self.developer.ask("GET", f"/{self.app_id}/overview")

    def see(self, part=None):
        data = told(self.ask(), "App overview fetched")
        return data[part] if part else data

    def latest(self, what):
        """Without its time."""
        found = self.see("recent_activity")[f"latest_{what}"]
        assert TIME.match(found.pop("created_at"))
        return found

    def subscribe(self, url, topic):
        """The developer's own, for every store."""
        answer = self.developer.ask("POST", f"/{self.app_id}/webhooks/subscriptions", {"event_topic": topic, "target_url": url})
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]["subscription_id"]

    def sign_in(self):
        """Again, after a day."""
        answer = self.platform.post("/api/v1/auth/login", {"identifier": self.developer.email, "password": PASSWORD})
        self.developer.headers = {"Authorization": f"Bearer {answer.json()['data']['accessToken']}"}


@pytest.fixture
def app(platform):
    return App(platform)


def settles(look, wanted):
    """What other services hear of in their own time; the last look is told when it stays something else."""
    end = time.monotonic() + 30
    while (found := look()) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    assert found == wanted


# ---- the figures -----------------------------------------------------------------------------------------------------


def test_before_anything_happened(app):
    data = app.see()
    assert data == NOTHING
    assert list(data) == list(NOTHING) and all(list(data[part]) == list(NOTHING[part]) for part in NOTHING)


def test_installs(app):
    shops = [app.install() for _ in range(3)]
    other = App(app.platform)
    other.install()
    assert app.see("installations") == {"active": 3, "total": 3}
    last = {"installation_id": shops[2].installation_id, "store_id": shops[2].store_id}
    assert app.latest("installation") == {**last, "status": "active"}
    for shop, left in ((shops[0], 2), (shops[2], 1)):
        app.platform.call("auth.installations.end", installation_id=shop.installation_id)
        assert app.see("installations") == {"active": left, "total": 3}
    assert app.latest("installation") == {**last, "status": "uninstalled"}
    again = app.developer.open_shop(store_id=shops[2].store_id, app={**app.made, "client_id": app.made["clientId"],
                                    "client_secret": app.made["clientSecret"], "session_signing_key": app.made["sessionSigningKey"]})
    assert again.installation_id == shops[2].installation_id
    assert app.see("installations") == {"active": 2, "total": 3} and app.latest("installation") == {**last, "status": "active"}
    assert other.see("installations") == {"active": 1, "total": 1}


def test_charges(app):
    """The sums are those of the balance, to the paisa, after each step."""
    first, second = app.install(), app.install()

    def figures(count, total, developers):
        assert app.see("charges") == {"count": count, "total_amount": total, "total_developer_amount": developers}
        assert developers == app.developer.see(f"/{app.app_id}/billing/balance")["total_earned"]

    paid(first, 500, "wallet-topup")
    figures(1, "500.00", "387.50")
    charge = paid(second, 1000, name="Setup")
    figures(2, "1500.00", "1162.50")
    assert app.latest("charge") == {"charge_id": charge["charge_id"], "name": "Setup", "amount": 1000.00, "status": "completed"}
    waits = first.post(f"{BILLING}/charges", {"name": "Later", "amount": 150.5}).json()["data"]
    figures(2, "1500.00", "1162.50")
    assert app.latest("charge") == {"charge_id": waits["charge_id"], "name": "Later", "amount": 150.50, "status": "pending"}
    for amount, total, developers in ((400, "1100.00", "852.50"), (600, "500.00", "387.50")):
        answer = second.post(f"{BILLING}/charges/{charge['charge_id']}/refund", {"amount": amount})
        assert answer.status_code == 201, answer.text
        figures(2, total, developers)
    assert say(first, waits, "decline").status_code == 200
    figures(2, "500.00", "387.50")
    assert app.latest("charge")["status"] == "declined"
    app.platform.call("auth.installations.end", installation_id=first.installation_id)
    figures(2, "500.00", "387.50")
    assert App(app.platform).see("charges") == NOTHING["charges"]


def test_deliveries(app):
    shop = app.install()
    with Sink() as sink:
        sink.answers = {"/gone": 410}

        def figures(active, delivered, failed):
            settles(lambda: app.see("webhooks"), {"active_subscriptions": active, "delivered_7d": delivered, "failed_7d": failed})

        subscribe(shop, f"{sink.url}/good")
        subscribe(shop, f"{sink.url}/gone", "order.updated")
        own = app.subscribe(f"{sink.url}/own", "order.cancelled")
        figures(3, 0, 0)
        publish(app.platform, *[event(shop.store_id, resource_id=n) for n in (1, 2, 3)])
        figures(3, 3, 0)
        publish(app.platform, event(shop.store_id, "order.updated"))
        figures(2, 3, 1)                                                            # 410 switches it off
        rows = app.platform.postgres.rows("select delivery_id::text from webhooks.delivery where topic = 'order.updated' and subscription_id in "
                                          "(select subscription_id from webhooks.subscription where app_id = %s)", (app.app_id,))
        assert app.latest("delivery") == {"delivery_id": rows[0][0], "event_topic": "order.updated", "status": "failed"}
        publish(app.platform, event(shop.store_id, "order.cancelled"))
        figures(2, 4, 1)
        found = app.latest("delivery")
        assert isinstance(found["delivery_id"], str) and (found["event_topic"], found["status"]) == ("order.cancelled", "success")
        path = f"/{app.app_id}/webhooks/subscriptions/{own}"
        assert app.developer.ask("PATCH", path, {"is_active": False}).status_code == 200
        assert app.see("webhooks")["active_subscriptions"] == 1
        assert app.developer.ask("PATCH", path, {"is_active": True}).status_code == 200
        assert app.see("webhooks")["active_subscriptions"] == 2
        assert app.developer.ask("DELETE", path).status_code == 200
        assert app.see("webhooks")["active_subscriptions"] == 1
        app.platform.call("auth.installations.end", installation_id=shop.installation_id)
        figures(0, 4, 1)
    assert App(app.platform).see("webhooks") == NOTHING["webhooks"]


def test_a_failure_is_one_when_it_is_given_up(app):
    """What waits for its next attempt counts as nothing yet; what waits for a subscription that is switched off never comes."""
    shop = app.install()
    with Sink() as sink:
        sink.answers = {"/hook": 500}
        sub = subscribe(shop, f"{sink.url}/hook")["subscription_id"]
        publish(app.platform, event(shop.store_id))
        until(lambda: app.platform.postgres.rows("select 1 from webhooks.waiting where subscription_id = %s and attempt = 1", (sub,)))
        assert app.see("webhooks") == {"active_subscriptions": 1, "delivered_7d": 0, "failed_7d": 0}
        assert app.see("recent_activity")["latest_delivery"] is None
        answer = app.developer.ask("PATCH", f"/{app.app_id}/webhooks/subscriptions/{sub}", {"is_active": False})
        assert answer.status_code == 200, answer.text
        settles(lambda: app.see("webhooks"), {"active_subscriptions": 0, "delivered_7d": 0, "failed_7d": 1})


def test_days_pass(make_platform):
    """Seven days in UTC, and thirty for what is kept of them at all."""
    app = App(make_platform())
    shop, rows = app.install(), app.platform.postgres.rows
    with Sink() as sink:
        sub = subscribe(shop, f"{sink.url}/hook")["subscription_id"]
        publish(app.platform, event(shop.store_id))
        settles(lambda: app.see("webhooks")["delivered_7d"], 1)
        finished = rows("select finished_at from webhooks.delivery where subscription_id = %s", (sub,))[0][0].astimezone(timezone.utc)
        noon = datetime(finished.year, finished.month, finished.day, 12, tzinfo=timezone.utc)

        def go_to(days):
            app.platform.set_clock(int((noon + timedelta(days=days) - datetime.now(timezone.utc)).total_seconds()))
            app.sign_in()

        for days, counted in ((6, 1), (7, 0)):
            go_to(days)
            assert app.see("webhooks") == {"active_subscriptions": 1, "delivered_7d": counted, "failed_7d": 0}
        assert app.latest("delivery")["event_topic"] == "order.created"             # still kept
        go_to(34)
        publish(app.platform, event(shop.store_id, created_us=int((noon + timedelta(days=34)).timestamp() * 1000000)))
        settles(lambda: app.see("webhooks")["delivered_7d"], 1)
        app.platform["webhooks-1"].restart()                                        # its actor looks at once
        app.platform.wait_ready()
        settles(lambda: rows("select min(day)::text from webhooks.delivery_count"), [(str((noon + timedelta(days=34)).date()),)])
        assert app.see("webhooks") == {"active_subscriptions": 1, "delivered_7d": 1, "failed_7d": 0}


def test_the_operations_behind_it(app):
    """As an operator calls them; auth alone says whose the app is."""
    app.install()
    call, stranger = app.platform.call, Developer(app.platform)
    assert call("auth.apps.overview", app_id=app.app_id, account_id=app.developer.account_id)["counts"] == {"active": 1, "total": 1}
    with pytest.raises(RpcError) as refused:
        call("auth.apps.overview", app_id=app.app_id, account_id=stranger.account_id)
    assert refused.value.code == "app_not_found"
    for operation, part in (("billing.apps.overview", "charges"), ("webhooks.apps.overview", "webhooks")):
        assert call(operation, app_id=app.app_id) == {"counts": NOTHING[part], "latest": None}
    is_error(stranger.ask("GET", f"/{app.app_id}/overview"), 404, "APP_NOT_FOUND")
    assert app.developer.ask("DELETE", f"/{app.app_id}").status_code == 200
    is_error(app.ask(), 404, "APP_NOT_FOUND")


# ---- without the others ----------------------------------------------------------------------------------------------


def without(whole, *parts):
    """As it is to be when these are missing."""
    latest = {"charges": "latest_charge", "webhooks": "latest_delivery"}
    recent = {name: None if name in [latest[part] for part in parts] else value for name, value in whole["recent_activity"].items()}
    return {**whole, **{part: None for part in parts}, "recent_activity": recent, "missing": list(parts)}


def test_who_is_away_is_missing(make_platform):
    app = App(make_platform())
    shop = app.install()
    with Sink() as sink:
        paid(shop, 500)
        subscribe(shop, f"{sink.url}/hook")
        publish(app.platform, event(shop.store_id))
        settles(lambda: app.see("webhooks")["delivered_7d"], 1)
    whole = app.see()
    assert "missing" not in whole and None not in whole["recent_activity"].values()
    billing, webhooks, auth = (app.platform[f"{name}-1"] for name in ("billing", "webhooks", "auth"))

    billing.kill()
    assert app.see() == without(whole, "charges")
    webhooks.kill()
    assert app.see() == without(whole, "charges", "webhooks")
    billing.start()
    settles(app.see, without(whole, "webhooks"))
    webhooks.start()
    settles(app.see, whole)

    webhooks.pause()                                                                # there, and silent
    try:
        assert app.see() == without(whole, "webhooks")
    finally:
        webhooks.resume()
    settles(app.see, whole)

    auth.kill()
    assert app.ask().status_code >= 500
    auth.start()
    settles(lambda: app.ask().status_code, 200)
    assert app.see() == whole


@pytest.mark.parametrize("table, part", [("billing.charge_count", "charges"), ("webhooks.delivery_count", "webhooks")])
def test_who_answers_503_is_missing(make_platform, table, part):
    """A database that does not answer in time is 503 there."""
    app = App(make_platform())
    whole, connection = app.see(), app.platform.postgres.connect()
    connection.autocommit = False
    try:
        connection.cursor().execute(f"lock table {table} in access exclusive mode")
        with pytest.raises(RpcError) as refused:
            app.platform.call(f"{table.split('.')[0]}.apps.overview", app_id=app.app_id)
        assert refused.value.status == 503
        assert app.see() == without(whole, part)
    finally:
        connection.rollback()
        connection.close()
    settles(app.see, whole)


def test_many_look_while_one_is_away(make_platform):
    """Each gets what there is, and the services that are there go on serving."""
    app = App(make_platform())
    whole = app.see()
    app.platform["billing-1"].kill()
    for _ in range(5):
        assert app.see() == without(whole, "charges")
        assert app.developer.ask("PATCH", f"/{app.app_id}", {"name": unique("Name")}).status_code == 200

"""A whole life of an app, over HTTP alone: a developer registers and makes it, a merchant finds and installs it, it works, charges and
is told of everything, the developer watches, and the merchant parts with it. Nothing here calls an internal operation or the
database; where reviews are required the operator makes the admin first, as the README says."""

import json
import time
import uuid
from urllib.parse import urlencode, urlsplit

import pytest

from .browser import Browser, redirected
from .client import is_error
from .hooks import Sink, signature
from .oauth import AUTHORIZE, TOKEN, challenge_of
from .payments import CARD, at_once
from .shop import PASSWORD
from .test_developer_apps import until

CALLBACK, DONE, ORDERS = "https://journey.example/callback", "https://journey.example/done", "/api/apps/v1/orders"
CHARGES = "/api/apps/v1/billing/charges"
VERIFIER = "v" * 64
BALANCE = {"total_earned": "387.50", "total_paid_out": "0.00", "available_balance": "387.50"}
PAID = {"count": 1, "total_amount": "500.00", "total_developer_amount": "387.50"}


class Somebody:
    """Whoever has credentials; each call says what it is to come to, and answers the data."""

    def __init__(self, platform, **headers):
        self.platform, self.headers = platform, headers

    def ask(self, method, path, body=None, status=200, query=None):
        answer = self.platform.request(method, path, headers=self.headers, json_body=body, params=query)
        assert answer.status_code == status, answer.text
        return answer.json()["data"]

    def see(self, path, **query):
        return self.ask("GET", path, query=query)


class Developer(Somebody):
    def __init__(self, platform, email):
        made = Somebody(platform).ask("POST", "/api/v1/auth/register", {"name": "Ada Rahman", "email": email, "password": PASSWORD}, 201)
        super().__init__(platform, Authorization=f"Bearer {made['accessToken']}")


class Merchant(Somebody):
    def __init__(self, platform, email):
        body = {"name": "Karim Mia", "email": email, "password": PASSWORD, "store_name": "Karim's Tea"}
        made = Somebody(platform).ask("POST", "/api/auth/register", body, 201)
        super().__init__(platform, **{"x-auth-token": made["token"]})
        self.email, self.store_id, self.browser = email, made["store"]["store_id"], Browser(platform)

    def sign_in(self, path):
        """The page, by way of the form that asks who one is."""
        self.browser.open(path)
        return self.browser.submit(identifier=self.email, password=PASSWORD)


class Admin(Somebody):
    """A platform admin, whom an operator has made."""

    def __init__(self, platform, email):
        platform.sxctl("create-admin", "Site Admin", email, stdin=f"{PASSWORD}\n{PASSWORD}\n")
        made = Somebody(platform).ask("POST", "/api/auth/login", {"email": email, "password": PASSWORD})
        super().__init__(platform, **{"x-auth-token": made["token"]})


class App(Somebody):
    """The app's own server: what it was told at its creation, its tokens once it is installed, and what is posted to it."""

    def __init__(self, platform, made, sink):
        super().__init__(platform)
        self.app_id, self.client_id, self.client_secret, self.sink, self.secrets = made["app_id"], made["clientId"], made["clientSecret"], sink, {}

    def address(self, store_id, state):
        """Where it sends a merchant who wants it."""
        return f"{AUTHORIZE}?" + urlencode({"client_id": self.client_id, "redirect_uri": CALLBACK, "scope": "read:orders write:orders billing",
                                            "state": state, "store_id": store_id, "code_challenge": challenge_of(VERIFIER),
                                            "code_challenge_method": "S256"})

    def token(self, **fields):
        return self.platform.post(TOKEN, {"client_id": self.client_id, "client_secret": self.client_secret, **fields})

    def exchange(self, code):
        answer = self.token(grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=VERIFIER)
        assert answer.status_code == 200, answer.text
        self.grant = answer.json()["data"]
        self.headers = {"Authorization": f"Bearer {self.grant['access_token']}"}

    def subscribe(self, topic):
        made = self.ask("POST", "/api/apps/v1/webhooks", {"topic": topic, "url": f"{self.sink.url}/{topic}"}, 201)
        self.secrets[f"/{topic}"] = made["signing_secret"]

    def told(self, path):
        """The data of what was posted to the path, each with a signature that the secret of its subscription makes."""
        found = []
        for where, headers, body in list(self.sink.requests):
            if where == path:
                stamp, sent = headers["X-SeloraX-Timestamp"], headers["X-SeloraX-Signature"]
                assert sent == signature(self.secrets[path], stamp, body) and abs(time.time() - int(stamp)) <= 300
                event = json.loads(body)
                assert headers["X-SeloraX-Webhook-Event"] == event["event_topic"] and headers["X-SeloraX-Idempotency-Key"] == event["event_id"]
                assert event["store_id"] == self.grant["store_id"]
                found.append(event["data"])
        return found

    def hears(self, path):
        """The one event that comes to the path."""
        [data] = until(lambda: self.told(path))
        return data


def publish(developer, sink, word):
    """Made, described and listed; the app's server knows what only this answer says."""
    made = developer.ask("POST", "/api/v1/apps", {
        "name": f"Order Desk {word}", "redirect_urls": [CALLBACK], "requested_scopes": ["read:orders", "write:orders", "billing"],
        "short_description": "Takes orders by telephone", "category": word, "webhook_receive_url": f"{sink.url}/declared",
        "webhook_topics": ["app.installed"]}, 201)
    app_id = made["app_id"]
    assert developer.ask("PATCH", f"/api/v1/apps/{app_id}", {"icon": "https://journey.example/icon.png"})["icon"]
    assert developer.ask("PATCH", f"/api/v1/apps/{app_id}/listing", {"is_listed": True}) == {"app_id": app_id, "is_listed": 1}
    assert developer.see("/api/v1/apps", listed="true")["items"][0]["app_id"] == app_id
    return App(developer.platform, made, sink)


def review(developer, admin, app_id, unseen):
    """Sent back once, approved at the second time; until then nobody else finds it."""
    path = f"/api/v1/apps/{app_id}/submit-for-review"
    for action in ("reject", "approve"):
        version = developer.ask("POST", path)["version"]
        assert [item["version"] for item in admin.see("/api/apps/review")["items"] if item["app_id"] == app_id] == [version]
        unseen()
        admin.ask("POST", f"/api/apps/{app_id}/review", {"action": action, "version": version, "message": "The icon is not yours"})
        assert developer.see(f"/api/v1/apps/{app_id}/versions/{version}")["status"] == ("approved" if action == "approve" else "rejected")
        developer.ask("PATCH", f"/api/v1/apps/{app_id}", {"icon": "https://journey.example/own.png"})


def install(merchant, app):
    """By OAuth in the merchant's browser; the code comes to the app's callback."""
    merchant.sign_in(app.address(merchant.store_id, "st4te"))
    assert "Order Desk" in merchant.browser.forms.text
    place, fields = redirected(merchant.browser.submit("install"))
    assert (place, fields["state"]) == (CALLBACK, "st4te")
    is_error(app.platform.post("/api/apps/v1/orders", {}), 401, "missing_token")
    app.exchange(fields["code"])
    assert (app.grant["store_id"], app.grant["app_id"]) == (merchant.store_id, app.app_id)


def pay(merchant, charge):
    """Approved on the page that the charge names, and paid on the provider's."""
    path = urlsplit(charge["confirmation_url"]).path
    merchant.browser.open(path)
    if "identifier" in merchant.browser.forms.forms[0]["fields"]:
        merchant.browser.submit(identifier=merchant.email, password=PASSWORD)
    merchant.browser.submit("approve")
    return redirected(merchant.browser.submit("pay", card_number=CARD))


def work(app):
    """Orders, and word of them; nothing beyond what was granted."""
    until(lambda: app.see("/api/apps/v1/webhooks"))                                 # what it declared is there
    for topic in ("order.created", "charge.activated", "charge.cancelled", "app.uninstalled"):
        app.subscribe(topic)
    order = app.ask("POST", ORDERS, {"items": [{"name": "Tea", "price": 10.5, "quantity": 2}]}, 201)
    assert app.see(f"{ORDERS}/{order['order_id']}")["grand_total"] == 21
    assert app.hears("/order.created")["order_id"] == order["order_id"]
    is_error(app.platform.get("/api/apps/v1/products", headers=app.headers), 403, "insufficient_scope")


def charge(merchant, app):
    """One charge that the merchant approves and pays, and one that is left waiting."""
    paid = app.ask("POST", CHARGES, {"name": "Setup", "amount": 500, "return_url": DONE}, 201)
    assert pay(merchant, paid) == (DONE, {"payment": "success", "charge_id": str(paid["charge_id"])})
    assert app.see(f"{CHARGES}/{paid['charge_id']}")["status"] == "active"
    assert app.hears("/charge.activated")["charge_id"] == paid["charge_id"]
    return paid, app.ask("POST", CHARGES, {"name": "Training", "amount": 750.5, "return_url": DONE}, 201)


def overview(developer, app, delivered):
    """Once it has heard of all deliveries; the figures, and what came last."""
    path = f"/api/v1/apps/{app.app_id}/overview"
    [data] = until(lambda: [data for data in [developer.see(path)] if data["webhooks"]["delivered_7d"] == delivered])
    assert "missing" not in data
    return data, data["recent_activity"]


def watch(developer, merchant, app, paid, waits):
    """What the developer has of it: the installation, the charges, the money, the overview."""
    mine, installation_id = f"/api/v1/apps/{app.app_id}", app.grant["installation_id"]
    [one] = until(lambda: [item for item in developer.see(f"{mine}/installations")["items"] if item["request_count"]])
    assert (one["installation_id"], one["store_id"], one["status"]) == (installation_id, merchant.store_id, "active")
    charges = {item["charge_id"]: item for item in developer.see(f"{mine}/billing/charges")["items"]}
    assert {number: item["status"] for number, item in charges.items()} == {paid["charge_id"]: "completed", waits["charge_id"]: "pending"}
    parts = [charges[paid["charge_id"]][name] for name in ("amount", "platform_amount", "gateway_fee_amount", "developer_amount")]
    assert parts == [500, 100, 12.5, 387.5]
    [revenue] = developer.see(f"{mine}/billing/revenue")["items"]
    assert (revenue["charge_id"], revenue["amount"], revenue["to_wallet_amount"]) == (paid["charge_id"], "500.00", "387.50")
    assert BALANCE.items() <= developer.see(f"{mine}/billing/balance").items()
    data, latest = overview(developer, app, 3)                                      # app.installed too, which it declared
    assert data["installations"] == {"active": 1, "total": 1} and data["charges"] == PAID
    assert data["webhooks"] == {"active_subscriptions": 5, "delivered_7d": 3, "failed_7d": 0}
    assert latest["latest_installation"]["installation_id"] == installation_id
    assert (latest["latest_charge"]["charge_id"], latest["latest_charge"]["status"]) == (waits["charge_id"], "pending")
    assert latest["latest_delivery"]["status"] == "success"


def part(developer, merchant, app, waits):
    """The merchant uninstalls it: nothing of it works from the answer on, it hears of that, and the developer sees it."""
    mine, installation_id = f"/api/v1/apps/{app.app_id}", app.grant["installation_id"]
    assert merchant.ask("POST", f"/api/apps/installations/{installation_id}/uninstall")["status"] == "uninstalled"
    for path in (ORDERS, f"{CHARGES}/{waits['charge_id']}", "/api/apps/v1/webhooks"):
        is_error(app.platform.get(path, headers=app.headers), 401, "invalid_token")
    client = {"X-Client-Id": app.client_id, "X-Client-Secret": app.client_secret, "X-Store-Id": str(merchant.store_id)}
    is_error(app.platform.get(ORDERS, headers=client), 401, "not_installed")
    is_error(app.token(grant_type="refresh_token", refresh_token=app.grant["refresh_token"]), 400, "invalid_grant")
    assert app.hears("/app.uninstalled")["installation_id"] == installation_id
    cancelled = app.hears("/charge.cancelled")
    assert (cancelled["charge_id"], cancelled["reason"]) == (waits["charge_id"], "app_uninstalled")
    [one] = developer.see(f"{mine}/installations", status="uninstalled")["items"]
    assert (one["installation_id"], one["token_expires_at"]) == (installation_id, None)
    assert developer.see(f"{mine}/installations", status="active")["items"] == []
    data, latest = overview(developer, app, 5)
    assert data["installations"] == {"active": 0, "total": 1} and data["charges"] == PAID
    assert data["webhooks"] == {"active_subscriptions": 0, "delivered_7d": 5, "failed_7d": 0}
    assert (latest["latest_installation"]["status"], latest["latest_charge"]["status"]) == ("uninstalled", "cancelled")
    assert BALANCE.items() <= developer.see(f"{mine}/billing/balance").items()      # what was paid stays theirs
    assert merchant.see("/api/apps/installations", store_id=merchant.store_id) == []


@pytest.mark.parametrize("reviewed", [False, True], ids=["as it is", "reviewed"])
def test_an_apps_whole_life(make_platform, reviewed):
    platform, word = make_platform(settings={"SX_REVIEW_REQUIRED": int(reviewed)}), uuid.uuid4().hex[:12]
    developer, merchant = Developer(platform, "ada@journey.example"), Merchant(platform, "karim@journey.example")

    def found():
        return [item["app_id"] for item in merchant.see("/api/apps/marketplace", search=word)["items"]]

    with Sink() as sink:
        app = publish(developer, sink, word)
        page = f"/api/apps/{app.app_id}"
        if reviewed:
            def unseen():
                assert found() == []
                is_error(platform.get(page, headers=merchant.headers), 404, "app_not_found")
            review(developer, Admin(platform, "admin@journey.example"), app.app_id, unseen)
        assert found() == [app.app_id]
        assert merchant.see(page)["requested_scopes"] == ["read:orders", "write:orders", "billing"]
        install(merchant, app)
        [installed] = merchant.see("/api/apps/installations", store_id=merchant.store_id)
        assert (installed["installation_id"], installed["status"]) == (app.grant["installation_id"], "active")
        work(app)
        paid, waits = charge(merchant, app)
        watch(developer, merchant, app, paid, waits)
        part(developer, merchant, app, waits)
        assert found() == [app.app_id]


def test_what_is_installed_needs_no_developer_apps(make_platform):
    """While that service is away nobody makes, changes or looks for apps; whoever knows one installs it, and those that are installed
    work, are paid and are uninstalled."""
    platform = make_platform()
    developer, merchant = Developer(platform, "ada@journey.example"), Merchant(platform, "karim@journey.example")
    with Sink() as sink:
        app = publish(developer, sink, "away")
        platform["developer-apps-1"].kill()
        until(lambda: platform.get("/readyz").status_code == 503)        # what is handed to it before that may be outcome_unknown
        asked = [("GET", "/api/v1/apps", None, developer.headers),
                 ("PATCH", f"/api/v1/apps/{app.app_id}/status", {"is_active": False}, developer.headers),
                 ("GET", "/api/apps/marketplace", None, merchant.headers), ("GET", f"/api/apps/{app.app_id}", None, merchant.headers)]

        def ask(number):
            method, path, body, headers = asked[number]
            return platform.request(method, path, headers=headers, json_body=body)

        for answer in at_once(len(asked), ask):
            assert answer.status_code in (503, 504) and answer.json()["code"].lower() in ("service_unavailable", "gateway_timeout"), answer.text
        install(merchant, app)
        app.ask("POST", ORDERS, {"items": [{"name": "Tea", "price": 10.5, "quantity": 2}]}, 201)
        pay(merchant, app.ask("POST", CHARGES, {"name": "Setup", "amount": 500, "return_url": DONE}, 201))
        refreshed = app.token(grant_type="refresh_token", refresh_token=app.grant["refresh_token"])
        assert refreshed.status_code == 200, refreshed.text
        assert BALANCE.items() <= developer.see(f"/api/v1/apps/{app.app_id}/billing/balance").items()      # billing's own
        merchant.ask("POST", f"/api/apps/installations/{app.grant['installation_id']}/uninstall")
        is_error(platform.get(ORDERS, headers=app.headers), 401, "invalid_token")
        platform["developer-apps-1"].start()
        platform.wait_ready()
        assert developer.see(f"/api/v1/apps/{app.app_id}")["is_active"] == 1
        data = developer.see(f"/api/v1/apps/{app.app_id}/overview")
        assert data["installations"] == {"active": 0, "total": 1} and data["charges"] == PAID

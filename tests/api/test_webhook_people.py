"""Subscriptions of people who have signed in: developers (contract A.6, rows 104 to 106) and merchants (A.7, rows 114, 115)."""

import json
import re

import pytest

from .credentials import accepted, bearer, refused
from .hooks import HOOKS, Sink, event, log_of, publish, signature, subscribe, waiting
from .shop import PASSWORD, Owner
from .test_stores import MANAGE, WEBHOOKS, Merchant
from .test_uninstall import until
from .test_webhook_fan_out import at_once

URL = "https://app.example/hooks"
STORES = "/api/apps/webhooks/subscriptions"
SEALED = "coalesce((select secret from webhooks.subscription where secret <> '' limit 1), '')"  # the exchange of the key passes it over
ITEM = {"subscription_id", "installation_id", "app_id", "store_id", "name", "event_topic", "target_url", "permissions", "is_active",
        "failure_count", "last_failure_at", "last_success_at", "created_at", "updated_at"}


class Developer(Owner):
    """Signed in, with an app that is installed in two stores."""

    def __init__(self, platform, scopes=None):
        super().__init__(platform, is_developer=True)
        self.token = platform.post("/api/v1/auth/login", {"identifier": self.email, "password": PASSWORD}).json()["data"]["accessToken"]
        self.app = self.make_app(scopes)
        self.path = f"/api/v1/apps/{self.app['app_id']}/webhooks"
        self.shops = [self.open_shop(app=self.app) for _ in range(2)]
        until(lambda: all(log_of(platform, shop.installation_id) for shop in self.shops))

    def ask(self, method, path="", body=None, **options):
        return self.platform.request(method, self.path + path, headers=bearer(self.token), json_body=body, **options)

    def make(self, url=URL, topic="order.created", **fields):
        answer = self.ask("POST", "/subscriptions", {"event_topic": topic, "target_url": url, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]


@pytest.fixture(scope="module")
def dev(platform):
    return Developer(platform, ["read:orders", "write:orders"])


@pytest.fixture(scope="module")
def rival(platform):
    return Developer(platform)


def said(answer, message, status=200):
    body = answer.json()
    assert (answer.status_code, body["status"], body["message"], set(body)) == (status, status, message, {"status", "message", "data"}), answer.text
    return body["data"]


# ---- developers ------------------------------------------------------------------------------------------------------


def test_a_developers_subscription(dev):
    made = said(dev.ask("POST", "/subscriptions", {"event_topic": "order.created", "target_url": URL, "name": "All stores",
                                                   "permissions": ["read_orders"]}), "Webhook subscription created", 201)
    assert set(made) == {"subscription_id", "app_id", "event_topic", "target_url", "signing_secret", "created_at"}
    assert re.fullmatch("whsec_[0-9a-f]{64}", made["signing_secret"]) and made["app_id"] == dev.app["app_id"]
    path = f"/subscriptions/{made['subscription_id']}"
    seen = said(dev.ask("GET", path), "Webhook subscription fetched")
    assert set(seen) >= ITEM and "signing_secret" not in seen
    assert (seen["installation_id"], seen["store_id"], seen["name"], seen["permissions"], seen["is_active"], seen["created_at"]) == (
        None, None, "All stores", ["read:orders"], 1, made["created_at"])
    changed = said(dev.ask("PATCH", path, {"name": None, "is_active": False, "target_url": URL + "/2"}), "Webhook subscription updated")
    assert (changed["name"], changed["is_active"], changed["target_url"]) == (None, 0, URL + "/2")
    refused(dev.ask("POST", path + "/test"), 409, "CONFLICT")
    fresh = said(dev.ask("POST", path + "/rotate-secret"), "Webhook secret rotated")["signing_secret"]
    assert fresh != made["signing_secret"]
    refused(dev.ask("POST", path + "/rotate-secret"), 409, "CONFLICT")
    assert said(dev.ask("POST", path + "/rotate-secret/promote"), "Webhook secret promoted")["previous_secret_until"] is None
    assert said(dev.ask("DELETE", path), "Webhook subscription deleted") == {"subscription_id": made["subscription_id"]}
    for method, rest, body in (("GET", "", None), ("PATCH", "", {}), ("DELETE", "", None), ("POST", "/test", None),
                               ("POST", "/rotate-secret", None), ("POST", "/rotate-secret/promote", None)):
        refused(dev.ask(method, path + rest, body), 404, "NOT_FOUND")


def test_the_list_of_an_app(platform):
    dev = Developer(platform)
    assert said(dev.ask("GET", "/subscriptions"), "Webhook subscriptions fetched") == {
        "items": [], "page": 1, "limit": 20, "total": 0, "totalPages": 0}
    ids = [dev.make()["subscription_id"]] + [subscribe(shop, URL)["subscription_id"] for shop in dev.shops]
    dev.ask("PATCH", f"/subscriptions/{ids[1]}", {"is_active": False})
    page = said(dev.ask("GET", "/subscriptions?limit=2"), "Webhook subscriptions fetched")
    assert [one["subscription_id"] for one in page["items"]] == [ids[2], ids[1]] and set(page["items"][0]) >= ITEM
    assert (page["page"], page["limit"], page["total"], page["totalPages"]) == (1, 2, 3, 2)
    assert [(one["store_id"], one["installation_id"]) for one in page["items"]] == [
        (shop.store_id, shop.installation_id) for shop in dev.shops[::-1]]
    assert [one["subscription_id"] for one in dev.ask("GET", "/subscriptions?limit=2&page=2").json()["data"]["items"]] == [ids[0]]
    for status, wanted in (("active", [ids[2], ids[0]]), ("inactive", [ids[1]])):
        page = dev.ask("GET", "/subscriptions", params={"status": status}).json()["data"]
        assert [one["subscription_id"] for one in page["items"]] == wanted and page["total"] == len(wanted)
    assert dev.ask("GET", "/subscriptions?limit=-1&page=x").json()["data"]["limit"] == 1
    refused(dev.ask("GET", "/subscriptions?status=odd"), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("body, field", [
    ({"event_topic": "no.topic"}, "event_topic"), ({"event_topic": "xy"}, "event_topic"), ({"event_topic": None}, "event_topic"),
    ({"target_url": "ftp://a.example/"}, "target_url"), ({"target_url": 7}, "target_url"), ({"name": "x"}, "name"),
    ({"permissions": ["a"] * 51}, "permissions"), ({"permissions": "read_orders"}, "permissions"), ({"secret": "mine"}, "secret"),
    ({"store_id": 1}, "store_id")])
def test_a_developers_bad_bodies(dev, body, field):
    answer = dev.ask("POST", "/subscriptions", {"event_topic": "order.created", "target_url": URL, **body})
    assert refused(answer, 400, "VALIDATION_ERROR")["errors"][0]["field"].startswith(field)


def test_a_developers_topic_needs_a_scope_that_the_app_requests(dev):
    refused(dev.ask("POST", "/subscriptions", {"event_topic": "product.created", "target_url": URL}), 403, "INSUFFICIENT_SCOPE")
    refused(dev.ask("POST", "/subscriptions", {"event_topic": "order.created"}), 400, "VALIDATION_ERROR")
    made = dev.make()
    refused(dev.ask("PATCH", f"/subscriptions/{made['subscription_id']}", {"event_topic": "customers/redact"}), 403, "INSUFFICIENT_SCOPE")
    for bad in ({"target_url": "ftp://x/"}, {"event_topic": "no.topic"}, {"is_active": "yes"}, {"secret": "mine"}):
        refused(dev.ask("PATCH", f"/subscriptions/{made['subscription_id']}", bad), 400, "VALIDATION_ERROR")


def test_it_hears_of_every_store_that_has_the_app(platform):
    dev = Developer(platform)
    with Sink() as sink:
        made = dev.make(sink.url)
        others = Owner(platform).open_shop()                                      # a store without the app
        publish(platform, event(dev.shops[0].store_id), event(others.store_id), event(dev.shops[1].store_id, resource_id=2))
        requests = sink.wait(2)
        assert sorted(json.loads(body)["store_id"] for _, _, body in requests) == sorted(shop.store_id for shop in dev.shops)
        for _, headers, body in requests:
            assert headers["X-SeloraX-Signature"] == signature(made["signing_secret"], headers["X-SeloraX-Timestamp"], body)
        until(lambda: waiting(platform, made["subscription_id"]) == [])
        page = said(dev.ask("GET", "/deliveries", params={"subscription_id": made["subscription_id"]}), "Deliveries fetched")
        assert (page["total"], page["totalPages"], [one["status"] for one in page["items"]]) == (2, 1, ["success"] * 2)
        assert {"delivery_id", "event_topic", "status", "created_at"} <= set(page["items"][0])
        assert dev.ask("GET", "/deliveries", params={"subscription_id": made["subscription_id"], "status": "failed"}).json()["data"]["items"] == []
        again = said(dev.ask("POST", f"/deliveries/{page['items'][0]['delivery_id']}/retry"), "Delivery queued", 202)
        assert again["event_id"] == page["items"][0]["event_id"]
        assert json.loads(sink.wait(3)[2][2])["event_id"] == again["event_id"]
        said(dev.ask("POST", f"/subscriptions/{made['subscription_id']}/test"), "Test delivery queued", 202)
        assert json.loads(sink.wait(4)[3][2])["store_id"] == 0
        refused(dev.ask("GET", "/deliveries"), 400, "VALIDATION_ERROR")
        refused(dev.ask("GET", "/deliveries", params={"subscription_id": 2**60}), 404, "NOT_FOUND")
        for delivery in ("x", "0", str(2**62)):
            refused(dev.ask("POST", f"/deliveries/{delivery}/retry"), 404, "NOT_FOUND")


def test_an_uninstall_ends_it_for_that_store(platform):
    dev = Developer(platform)
    gone, stays = dev.shops
    with Sink() as sink:
        sink.answers = {"/orders": 500}
        orders, ends = dev.make(sink.url + "/orders"), dev.make(sink.url + "/ends", "app.uninstalled")
        publish(platform, event(gone.store_id), event(stays.store_id, resource_id=2))
        sink.wait(2)
        until(lambda: [row[2] for row in waiting(platform, orders["subscription_id"])] == [1, 1])
        platform.call("auth.installations.end", installation_id=gone.installation_id)
        [body] = [json.loads(body) for path, _, body in sink.wait(3) if path == "/ends"]
        assert (body["event_topic"], body["store_id"], body["data"]["installation_id"]) == ("app.uninstalled", gone.store_id, gone.installation_id)
        assert [row[1] for row in waiting(platform, orders["subscription_id"])] == [2]
        publish(platform, event(gone.store_id, resource_id=3), event(stays.store_id, resource_id=4))
        sink.wait(4)
        until(lambda: [row[1] for row in waiting(platform, orders["subscription_id"])] == [2, 4])
        assert ends["app_id"] == dev.app["app_id"] and len(sink.requests) == 4


def test_it_needs_the_scope_that_the_store_has_granted(platform):
    dev = Developer(platform, ["read:orders", "read:products"])
    store_id = dev.open_store()
    grant = platform.call("auth.installations.create", app_id=dev.app["app_id"], store_id=store_id, scopes=["read:orders"])
    until(lambda: log_of(platform, grant["installation_id"]))
    with Sink() as sink:
        dev.make(sink.url, "product.created")
        publish(platform, event(store_id, "product.created"), mine := event(dev.shops[0].store_id, "product.created", resource_id=2))
        assert json.loads(sink.wait(1)[0][2])["store_id"] == dev.shops[0].store_id
        until(lambda: platform.postgres.rows("select count(*) from webhooks.delivery where event_id = %s", (mine["event_id"],)) == [(1,)])
        assert len(sink.requests) == 1


def test_at_most_a_hundred_for_every_store(platform):
    dev = Developer(platform)
    platform.postgres.rows(
        "insert into webhooks.subscription (subscription_id, app_id, made_by, topic, target_url, secret, profile, status, created_at, updated_at) "
        "select nextval('webhooks.subscription_id_seq'), %s, 'developer', 'order.created', 'https://a.example', " + SEALED +
        ", 'selorax', 'inactive', now(), "
        "now() from generate_series(1, 97)", (dev.app["app_id"],))

    def make():
        return dev.ask("POST", "/subscriptions", {"event_topic": "order.created", "target_url": URL})

    assert at_once(*[make] * 8) == [201] * 3 + [409] * 5
    refused(make(), 409, "CONFLICT")
    assert dev.ask("GET", "/subscriptions?limit=100").json()["data"]["total"] == 100


def test_a_developers_change_of_an_apps_topic(platform):
    """Counts as the app's own."""
    dev = Developer(platform)
    for _ in range(100):
        subscribe(dev.shops[0], URL)
    one = subscribe(dev.shops[0], URL, "order.updated")["subscription_id"]
    refused(dev.ask("PATCH", f"/subscriptions/{one}", {"event_topic": "order.created"}), 409, "CONFLICT")
    assert dev.ask("PATCH", f"/subscriptions/{one}", {"event_topic": "order.deleted"}).status_code == 200


def test_a_store_that_takes_a_scope_back(platform):
    """By another install with fewer: a developer's retry sends nothing of it, and of the other store it does."""
    dev = Developer(platform, ["read:orders", "read:products"])
    with Sink() as sink:
        made = dev.make(sink.url)
        publish(platform, *[event(shop.store_id) for shop in dev.shops])
        sink.wait(2)
        path = f"/deliveries?subscription_id={made['subscription_id']}&status=success"
        until(lambda: dev.ask("GET", path).json()["data"]["total"] == 2)
        stores = {json.loads(body)["event_id"]: json.loads(body)["store_id"] for _, _, body in sink.requests}
        ids = {stores[one["event_id"]]: one["delivery_id"] for one in dev.ask("GET", path).json()["data"]["items"]}
        less, same = [shop.store_id for shop in dev.shops]
        platform.call("auth.installations.create", app_id=dev.app["app_id"], store_id=less, scopes=["read:products"])
        until(lambda: platform.postgres.rows("select scopes from webhooks.installation where installation_id = %s",
                                             (dev.shops[0].installation_id,)) == [(["read:products"],)])
        refused(dev.ask("POST", f"/deliveries/{ids[less]}/retry"), 404, "NOT_FOUND")
        assert dev.ask("POST", f"/deliveries/{ids[same]}/retry").status_code == 202
        sink.wait(3)


def developer_routes(subscription_id, delivery_id="1"):
    one = f"/subscriptions/{subscription_id}"
    return [("GET", "/subscriptions", None), ("POST", "/subscriptions", {"event_topic": "order.created", "target_url": URL}), ("GET", one, None),
            ("PATCH", one, {"name": "theirs"}), ("DELETE", one, None), ("POST", one + "/test", None), ("POST", one + "/rotate-secret", None),
            ("POST", one + "/rotate-secret/promote", None), ("GET", f"/deliveries?subscription_id={subscription_id}", None),
            ("POST", f"/deliveries/{delivery_id}/retry", None)]


def rows_of(platform, subscription_id):
    return platform.postgres.rows("select s::text from webhooks.subscription as s where subscription_id = %s", (subscription_id,))


def test_another_developers_app_is_not_there(platform, dev, rival):
    """Theirs, one that never was, and a custom app answer alike; a subscription of theirs is not reached through an own app."""
    made = rival.make()
    before = rows_of(platform, made["subscription_id"])
    for method, rest, body in developer_routes(made["subscription_id"]):
        answers = [platform.request(method, f"/api/v1/apps/{app_id}/webhooks{rest}", headers=bearer(dev.token), json_body=body)
                   for app_id in (rival.app["app_id"], 2**60)]
        assert refused(answers[0], 404, "APP_NOT_FOUND") == refused(answers[1], 404, "APP_NOT_FOUND")
        if "subscriptions/" in rest or "subscription_id" in rest:
            refused(dev.ask(method, rest, body), 404, "NOT_FOUND")
    assert rows_of(platform, made["subscription_id"]) == before


def test_who_is_no_developer(platform, dev, rival, shop, merchant):
    routes = developer_routes(1)
    for method, rest, body in routes:
        refused(platform.request(method, dev.path + rest, json_body=body), 401, "UNAUTHORIZED")
        for headers in (bearer("x"), shop.bearer, bearer(merchant.token), {"x-auth-token": merchant.token}):
            refused(platform.request(method, dev.path + rest, headers=headers, json_body=body), 401, "UNAUTHORIZED")


def test_a_session_that_has_ended(make_platform):
    platform = make_platform()
    dev = Developer(platform)
    routes = developer_routes(dev.make()["subscription_id"])
    platform.set_clock(3601)
    for method, rest, body in routes:
        refused(dev.ask(method, rest, body), 401, "UNAUTHORIZED")
    platform.set_clock(0)
    assert dev.ask("GET", "/subscriptions").status_code == 200
    platform.call("auth.accounts.set_status", account_id=dev.account_id, status="disabled")
    for method, rest, body in routes:
        refused(dev.ask(method, rest, body), 401, "UNAUTHORIZED")


def test_who_is_a_developer_no_more(platform):
    dev = Developer(platform)
    routes = developer_routes(dev.make()["subscription_id"])
    platform.postgres.rows("update auth.account set is_developer = false where account_id = %s", (dev.account_id,))
    platform.call("auth.developer_keys.forget")                                    # the gateways ask again
    for method, rest, body in routes:
        refused(dev.ask(method, rest, body), 403, "FORBIDDEN")


# ---- merchants -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seller(platform):
    return Merchant(platform)


@pytest.fixture
def store(platform, seller):
    return platform.call("auth.stores.create", owner_account_id=seller.account_id, name="Shop")["store_id"]


def make(seller, store, url=URL, topic="order.created", **fields):
    answer = seller.ask("POST", STORES, {"store_id": store, "event_topic": topic, "target_url": url, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def test_a_merchants_subscription(platform, seller, store):
    made = make(seller, store, name="ERP", permissions=["read_orders"], signature_profile="github")
    assert re.fullmatch("whsec_[0-9a-f]{64}", made["signing_secret"])
    assert (made["store_id"], made["app_id"], made["installation_id"], made["created_by_type"], made["name"]) == (store, None, None, "merchant", "ERP")
    one, query = f"{STORES}/{made['subscription_id']}", {"store_id": store}
    seen = accepted(seller.ask("GET", one, params=query))
    assert seen == {name: value for name, value in made.items() if name != "signing_secret"}
    assert accepted(seller.ask("PUT", one, {"name": None, "event_topic": "order.updated"}, params=query))["event_topic"] == "order.updated"
    assert seller.ask("POST", one + "/test", params=query).status_code == 202
    assert accepted(seller.ask("POST", one + "/rotate-secret", params=query))["signing_secret"] != made["signing_secret"]
    refused(seller.ask("POST", one + "/rotate-secret", params=query), 409, "conflict")
    assert accepted(seller.ask("POST", one + "/rotate-secret/promote", params=query))["previous_secret_until"] is None
    assert accepted(seller.ask("PUT", one, {"is_active": False}, params=query))["is_active"] == 0
    refused(seller.ask("POST", one + "/test", params=query), 409, "conflict")
    assert accepted(seller.ask("DELETE", one, params=query)) == {"subscription_id": made["subscription_id"]}
    refused(seller.ask("GET", one, params=query), 404, "not_found")


def test_a_store_hears_of_itself(platform, seller, store):
    with Sink() as sink:
        made = make(seller, store, sink.url)
        other = platform.call("auth.stores.create", owner_account_id=seller.account_id, name="Other")["store_id"]
        publish(platform, event(other), event(store, resource_id=2))
        [(_, headers, body)] = sink.wait(1)
        assert json.loads(body)["store_id"] == store
        assert headers["X-SeloraX-Signature"] == signature(made["signing_secret"], headers["X-SeloraX-Timestamp"], body)
        until(lambda: waiting(platform, made["subscription_id"]) == [])
        query = {"store_id": store}
        log = seller.ask("GET", f"{STORES}/{made['subscription_id']}/deliveries", params=query).json()
        assert [one["status"] for one in log["data"]] == ["success"] and log["pagination"]["total"] == 1
        again = seller.ask("POST", f"/api/apps/webhooks/deliveries/{log['data'][0]['delivery_id']}/retry", params=query)
        assert again.status_code == 202 and sink.wait(2)
        refused(seller.ask("POST", "/api/apps/webhooks/deliveries/x/retry", params=query), 404, "not_found")
        refused(seller.ask("POST", f"/api/apps/webhooks/deliveries/{log['data'][0]['delivery_id']}/retry", params={"store_id": other}), 404, "not_found")
        assert len(sink.requests) == 2


def test_the_list_of_a_store(platform, seller, store):
    """The merchants' and the apps', with the names of those."""
    owner = Owner(platform)
    app = owner.make_app()
    shop = owner.open_shop(store_id=store, app=app)
    name = platform.call("auth.apps.find", app_id=app["app_id"])["name"]
    mine, theirs = make(seller, store, name="ERP"), subscribe(shop, URL, permissions=["read_orders"])
    page = seller.ask("GET", STORES, params={"store_id": store, "limit": 1}).json()
    assert page["pagination"]["total"] == 2
    [first] = page["data"]
    [second] = seller.ask("GET", STORES, params={"store_id": store, "limit": 1, "cursor": page["pagination"]["next_cursor"]}).json()["data"]
    shown = [(one["subscription_id"], one["app_id"], one["installation_id"], one["created_by_type"], one["source_name"], one["permissions"]) for one in (first, second)]
    assert shown == [(theirs["subscription_id"], shop.app_id, shop.installation_id, "app", name, ["read:orders"]),
                     (mine["subscription_id"], None, None, "merchant", "Merchant", None)]
    assert [one["subscription_id"] for one in seller.ask("GET", STORES, params={"store_id": store, "limit": 1, "page": 2}).json()["data"]] == [mine["subscription_id"]]
    for path in ("", "/test", "/rotate-secret"):                                  # an app's own are not the merchant's to change
        refused(seller.ask("POST" if path else "DELETE", f"{STORES}/{theirs['subscription_id']}{path}", params={"store_id": store}), 404, "not_found")
    refused(seller.ask("GET", STORES), 400, "validation_error")
    refused(seller.ask("GET", STORES, params={"store_id": store, "cursor": "x"}), 400, "validation_error")
    other = platform.call("auth.stores.create", owner_account_id=seller.account_id, name="Other")["store_id"]
    refused(seller.ask("GET", STORES, params={"store_id": other, "cursor": page["pagination"]["next_cursor"]}), 400, "validation_error")


@pytest.mark.parametrize("body", [{"event_topic": "charge.created"}, {"event_topic": "order.deleted"}, {"event_topic": "shop/redact"},
                                  {"event_topic": "no.topic"}, {"target_url": "ftp://a/"}, {"target_url": None}, {"name": "x"}, {"store_id": "x"}])
def test_a_merchants_bad_bodies(seller, store, body):
    refused(seller.ask("POST", STORES, {"store_id": store, "event_topic": "order.created", "target_url": URL, **body}), 400, "validation_error")


def test_the_topics_of_merchants(seller, store):
    for topic in ("order.created", "order.updated", "order.status_changed", "product.created", "product.updated", "product.deleted", "customer.created",
                  "customer.updated", "inventory.updated", "app.installed", "app.uninstalled"):
        assert make(seller, store, topic=topic)["event_topic"] == topic


def test_at_most_a_hundred_of_a_store(platform, seller, store):
    platform.postgres.rows(
        "insert into webhooks.subscription (subscription_id, store_id, made_by, topic, target_url, secret, profile, status, created_at, updated_at) "
        "select nextval('webhooks.subscription_id_seq'), %s, 'merchant', 'order.created', 'https://a.example', " + SEALED +
        ", 'selorax', 'active', now(), "
        "now() from generate_series(1, 100)", (store,))
    refused(seller.ask("POST", STORES, {"store_id": store, "event_topic": "order.created", "target_url": URL}), 409, "conflict")


def store_routes(store, subscription_id):
    one, of = f"{STORES}/{subscription_id}", f"?store_id={store}"
    return [("GET", STORES + of, None, False), ("POST", STORES, {"store_id": store, "event_topic": "order.created", "target_url": URL}, True),
            ("GET", one + of, None, False), ("PUT", one + of, {"name": "theirs"}, True), ("DELETE", one + of, None, True),
            ("POST", one + "/test" + of, None, True), ("POST", one + "/rotate-secret" + of, None, True),
            ("POST", one + "/rotate-secret/promote" + of, None, True), ("GET", one + "/deliveries" + of, None, False),
            ("POST", "/api/apps/webhooks/deliveries/1/retry" + of, None, True)]


def test_a_store_of_somebody_else(platform, seller, store):
    made = make(seller, store)
    before = rows_of(platform, made["subscription_id"])
    stranger, helper, viewer = (Merchant(platform) for _ in range(3))
    for member, permission in ((helper, MANAGE), (viewer, WEBHOOKS)):
        answer = seller.ask("POST", f"/api/stores/{store}/members", {"email": member.email, "permissions": [permission]})
        assert answer.status_code == 201, answer.text
    own = stranger.open()
    for (method, path, body, _), (_, nowhere, no_body, _), (_, through_own, own_body, _) in zip(
            store_routes(store, made["subscription_id"]), store_routes(2**60, made["subscription_id"]), store_routes(own, made["subscription_id"])):
        answers = [stranger.ask(method, path, body), stranger.ask(method, nowhere, no_body)]
        assert refused(answers[0], 404, "not_found") == refused(answers[1], 404, "not_found")
        refused(helper.ask(method, path, body), 403, "forbidden")
        if str(made["subscription_id"]) in path or "retry" in path:
            refused(stranger.ask(method, through_own, own_body), 404, "not_found")
    assert rows_of(platform, made["subscription_id"]) == before
    assert [one["subscription_id"] for one in accepted(viewer.ask("GET", STORES, params={"store_id": store}))] == [made["subscription_id"]]
    assert make(viewer, store)["store_id"] == store
    answer = seller.ask("DELETE", f"/api/stores/{store}/members/{viewer.account_id}")
    assert answer.status_code == 200, answer.text
    refused(viewer.ask("GET", STORES, params={"store_id": store}), 404, "not_found")


def test_who_is_no_merchant(platform, dev, shop, store):
    for method, path, body, _ in store_routes(store, 1):
        refused(platform.request(method, path, json_body=body), 401, "missing_token")
        refused(platform.request(method, path, headers=bearer("x"), json_body=body), 401, "invalid_token")
        for token in (shop.access_token, dev.token):
            refused(platform.request(method, path, headers=bearer(token), json_body=body), 401, "missing_auth")


def test_suspended_and_frozen(platform, seller, store):
    made = make(seller, store)
    for status in ("suspended", "frozen"):
        platform.call("auth.stores.set_status", store_id=store, status=status)
        for method, path, body, changes in store_routes(store, made["subscription_id"]):
            if changes or status == "suspended":
                refused(seller.ask(method, path, body), 403, "store_inactive")
            else:
                assert seller.ask(method, path, body).status_code == 200


def test_the_store_is_named(seller, store):
    for method, path, body, _ in store_routes(store, make(seller, store)["subscription_id"]):
        if "?" in path:
            refused(seller.ask(method, path.partition("?")[0], body), 400, "validation_error")


def test_a_merchants_session_that_has_ended(platform, seller, store):
    made = make(seller, store)
    late = Merchant(platform)
    platform.call("auth.sessions.revoke", account_id=late.account_id)
    for method, path, body, _ in store_routes(store, made["subscription_id"]):
        refused(late.ask(method, path, body), 401, "invalid_token")


# ---- what auth tells -------------------------------------------------------------------------------------------------


def test_what_auth_says_of_apps_and_stores(platform, dev, rival, seller, store):
    from .rpc import RpcError
    owned = platform.call("auth.apps.owned", app_id=dev.app["app_id"], account_id=dev.account_id)
    assert owned == {"app_id": dev.app["app_id"], "role": "owner", "requested_scopes": "read:orders write:orders"}
    assert platform.call("auth.stores.allow", store_id=store, account_id=seller.account_id, permission=WEBHOOKS, change=True) == {"store_id": store}
    names = platform.call("auth.apps.names", app_ids=[dev.app["app_id"], 0, 2**60])["apps"]
    assert [one["app_id"] for one in names] == [dev.app["app_id"]] and platform.call("auth.apps.names", app_ids=[])["apps"] == []
    for operation, arguments, code in (
            ("auth.apps.owned", {"app_id": dev.app["app_id"], "account_id": rival.account_id}, "app_not_found"),
            ("auth.stores.allow", {"store_id": store, "account_id": rival.account_id, "permission": WEBHOOKS, "change": False}, "not_found")):
        with pytest.raises(RpcError) as error:
            platform.call(operation, **arguments)
        assert (error.value.status, error.value.code) == (404, code)

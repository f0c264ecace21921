"""An app's subscriptions: made, read, changed, deleted; their secrets; the topics there are (contract K.4)."""

import pytest

from .credentials import refused
from .hooks import HOOKS, Sink, event, log_of, publish, subscribe, waiting
from .test_uninstall import until

URL = "https://app.example/hooks"


@pytest.fixture(scope="module")
def reader(owner):
    return owner.open_shop(["read:orders"])


def test_made_and_read(shop):
    made = subscribe(shop, URL, name="My orders", permissions=["read_orders", "read:customers"], fields=["order_id"],
                     signature_profile="stripe")
    assert made["signing_secret"].startswith("whsec_") and len(made["signing_secret"]) == 70
    assert (made["event_topic"], made["topic"], made["target_url"], made["url"], made["is_active"]) == ("order.created", "order.created", URL, URL, 1)
    assert (made["app_id"], made["store_id"], made["installation_id"]) == (shop.app_id, shop.store_id, shop.installation_id)
    assert (made["permissions"], made["fields"]) == (["read:orders", "read:customers"], ["order_id"])
    read = shop.get(f"{HOOKS}/{made['subscription_id']}").json()["data"]
    assert read == {name: value for name, value in made.items() if name != "signing_secret"}
    assert [one["subscription_id"] for one in shop.get(HOOKS).json()["data"]] == [made["subscription_id"]]


def test_both_names_of_the_fields(shop):
    answer = shop.post(HOOKS, {"topic": "order.created", "url": URL})
    assert answer.status_code == 201 and answer.json()["data"]["event_topic"] == "order.created"
    for body in ({"topic": "order.created"}, {"url": URL}, {}):
        assert shop.post(HOOKS, body).json()["code"] == "validation_error"


def test_the_secret_is_sealed_and_in_no_log(shop):
    made = subscribe(shop, URL)
    kept = str(shop.platform.postgres.rows("select s::text, encode(secret, 'escape') from webhooks.subscription as s where subscription_id = %s",
                                           (made["subscription_id"],)))
    logs = "".join(process.log.read_text() for process in shop.platform.processes.values())
    assert made["signing_secret"] not in kept + logs and made["signing_secret"][6:] not in kept + logs


def test_repeated_with_its_key_it_is_the_same_one(shop):
    answers = [shop.post(HOOKS, {"topic": "order.created", "url": URL}, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json() and len(shop.get(HOOKS).json()["data"]) == 1


@pytest.mark.parametrize("body", [{"event_topic": "no.topic"}, {"target_url": "ftp://a.example/"}, {"target_url": "app.example"},
                                  {"target_url": 7}, {"permissions": "read_orders"}, {"fields": []}, {"signature_profile": "none"},
                                  {"name": "x"}, {"event_topic": "x" * 101}])
def test_bad_bodies(shop, body):
    refused(shop.post(HOOKS, {"event_topic": "order.created", "target_url": URL, **body}), 400, "validation_error")


def test_a_topic_needs_its_scope(reader):
    refused(reader.post(HOOKS, {"topic": "product.created", "url": URL}), 403, "insufficient_scope")
    made = subscribe(reader, URL)
    refused(reader.put(f"{HOOKS}/{made['subscription_id']}", {"topic": "customers/redact"}), 403, "insufficient_scope")
    assert subscribe(reader, URL, "charge.activated")["is_active"] == 1


def test_changed(shop):
    made = subscribe(shop, URL, name="first", permissions=["read_orders"])
    path = f"{HOOKS}/{made['subscription_id']}"
    changed = shop.put(path, {"url": URL + "/2", "topic": "order.updated", "signature_profile": "github", "permissions": None, "fields": ["id"]})
    assert changed.status_code == 200, changed.text
    data = changed.json()["data"]
    assert (data["target_url"], data["topic"], data["signature_profile"], data["permissions"], data["fields"], data["name"]) == (
        URL + "/2", "order.updated", "github", None, ["id"], "first")
    off = shop.put(path, {"is_active": False}).json()["data"]
    assert off["is_active"] == 0 and off["disabled_at"] and off["disabled_reason"] == "switched off by its owner" and off["fields"] == ["id"]
    on = shop.put(path, {"is_active": True, "name": None}).json()["data"]
    assert on["is_active"] == 1 and on["disabled_reason"] is None and on["name"] is None
    for bad in ({"url": "ftp://x/"}, {"topic": "no.topic"}, {"is_active": "yes"}):
        refused(shop.put(path, bad), 400, "validation_error")


def test_deleted(shop):
    made = subscribe(shop, URL)
    path = f"{HOOKS}/{made['subscription_id']}"
    assert shop.delete(path).json()["data"] == {"subscription_id": made["subscription_id"]}
    for answer in (shop.get(path), shop.put(path, {}), shop.delete(path), shop.post(path + "/test"), shop.post(path + "/rotate-secret"),
                   shop.post(path + "/rotate-secret/promote")):
        refused(answer, 404, "not_found")
    assert shop.get(HOOKS).json()["data"] == []


def test_another_apps_are_not_there(owner, shop):
    made = subscribe(shop, URL)
    other = owner.open_shop(store_id=shop.store_id)
    path = f"{HOOKS}/{made['subscription_id']}"
    for answer in (other.get(path), other.put(path, {"name": "mine"}), other.delete(path), other.post(path + "/test"),
                   other.post(path + "/rotate-secret"), other.post(path + "/rotate-secret/promote")):
        refused(answer, 404, "not_found")
    assert other.get(HOOKS).json()["data"] == [] and shop.get(path).json()["data"]["name"] is None


def test_pages(shop):
    ids = [subscribe(shop, f"{URL}/{number}")["subscription_id"] for number in range(7)][::-1]
    first = shop.get(f"{HOOKS}?limit=3").json()
    assert [one["subscription_id"] for one in first["data"]] == ids[:3]
    assert (first["pagination"]["total"], first["pagination"]["page"]) == (7, 1)
    second = shop.get(f"{HOOKS}?limit=3&cursor={first['pagination']['next_cursor']}").json()
    last = shop.get(f"{HOOKS}?limit=3&cursor={second['pagination']['next_cursor']}").json()
    assert [one["subscription_id"] for one in second["data"] + last["data"]] == ids[3:] and last["pagination"]["next_cursor"] is None
    assert [one["subscription_id"] for one in shop.get(f"{HOOKS}?limit=3&page=2").json()["data"]] == ids[3:6]
    empty = shop.get(f"{HOOKS}?page=9").json()
    assert empty["data"] == [] and empty["pagination"]["total"] == 7
    refused(shop.get(f"{HOOKS}?cursor=abc"), 400, "validation_error")


def test_topics(reader):
    topics = {one["topic"]: one for one in reader.get(f"{HOOKS}/topics").json()["data"]}
    assert {"order.created", "order.deleted", "charge.cancelled", "customers/redact", "shop/redact", "app.uninstalled"} <= set(topics)
    assert (topics["order.created"]["required_scope"], topics["order.created"]["is_allowed"]) == ("read:orders", 1)
    assert topics["product.created"]["is_allowed"] == 0 and topics["charge.created"]["required_scope"] is None
    assert topics["order.created"]["sample"]["order_id"]


def test_rotated_twice_is_a_conflict(shop):
    made = subscribe(shop, URL)
    path = f"{HOOKS}/{made['subscription_id']}/rotate-secret"
    fresh = shop.post(path).json()["data"]
    assert fresh["signing_secret"] != made["signing_secret"] and fresh["previous_secret_until"]
    refused(shop.post(path), 409, "conflict")
    assert shop.post(path + "/promote").json()["data"]["previous_secret_until"] is None
    assert shop.post(path).status_code == 200
    shop.put(f"{HOOKS}/{made['subscription_id']}", {"is_active": False})
    refused(shop.post(f"{HOOKS}/{made['subscription_id']}/test"), 409, "conflict")


def test_what_waits_goes_with_it(shop):
    until(lambda: log_of(shop.platform, shop.installation_id))
    with Sink() as sink:
        sink.answers = {"/": 500}
        subs = [subscribe(shop, sink.url + "/") for _ in range(2)]
        publish(shop.platform, event(shop.store_id))
        sink.wait(2)
        until(lambda: all([row[2] for row in waiting(shop.platform, sub["subscription_id"])] == [1] for sub in subs))
        shop.delete(f"{HOOKS}/{subs[0]['subscription_id']}")
        shop.put(f"{HOOKS}/{subs[1]['subscription_id']}", {"is_active": False})
        assert [waiting(shop.platform, sub["subscription_id"]) for sub in subs] == [[], []]


def test_an_ended_installation_makes_none(shop):
    """auth refuses first; this is the moment between its word and ours, which may also be that of a new install."""
    until(lambda: log_of(shop.platform, shop.installation_id))
    shop.platform.call("webhooks.installations.ending", installation_id=shop.installation_id, generation=1, store_id=shop.store_id, app_id=shop.app_id)
    answer = shop.post(HOOKS, {"topic": "order.created", "url": URL})
    refused(answer, 503, "service_unavailable")
    assert answer.headers["Retry-After"] == "1"


def test_at_most_ten_thousand(shop):
    until(lambda: log_of(shop.platform, shop.installation_id))
    shop.platform.postgres.rows(
        "insert into webhooks.subscription (subscription_id, store_id, installation_id, app_id, generation, made_by, topic, target_url, secret, "
        "profile, status, created_at, updated_at) select nextval('webhooks.subscription_id_seq'), %s, %s, %s, 1, 'app', 'order.created', "
        "'https://a.example', '', 'selorax', 'active', now(), now() from generate_series(1, 10000)", (shop.store_id, shop.installation_id, shop.app_id))
    refused(shop.post(HOOKS, {"topic": "order.created", "url": URL}), 409, "conflict")
    assert shop.get(f"{HOOKS}?limit=250").json()["pagination"]["total"] == 10000
    shop.platform.postgres.rows("delete from webhooks.subscription where installation_id = %s", (shop.installation_id,))


ROUTES = [("GET", HOOKS), ("POST", HOOKS), ("GET", HOOKS + "/topics"), ("GET", HOOKS + "/1"), ("PUT", HOOKS + "/1"), ("DELETE", HOOKS + "/1"),
          ("GET", HOOKS + "/1/deliveries"), ("POST", HOOKS + "/1/test"), ("POST", HOOKS + "/1/rotate-secret"),
          ("POST", HOOKS + "/1/rotate-secret/promote"), ("POST", HOOKS + "/deliveries/1/retry"), ("GET", "/api/apps/v1/events")]


def test_a_suspended_store(shop):
    shop.platform.call("auth.stores.set_status", store_id=shop.store_id, status="suspended")
    for method, path in ROUTES:
        body = {"topic": "order.created", "url": URL} if (method, path) == ("POST", HOOKS) else {} if method == "PUT" else None
        refused(shop.request(method, path, json_body=body), 403, "store_inactive")


def test_one_key_for_two_things(shop):
    one, two = subscribe(shop, URL)["subscription_id"], subscribe(shop, URL)["subscription_id"]
    for route in ("{}/test", "{}/rotate-secret", "{}/rotate-secret/promote"):
        key = {"Idempotency-Key": route}
        assert shop.post(f"{HOOKS}/{route.format(one)}", headers=key).status_code in (200, 202)
        refused(shop.post(f"{HOOKS}/{route.format(two)}", headers=key), 409, "idempotency_conflict")
    refused(shop.post(f"{HOOKS}/deliveries/1/retry", headers=key), 409, "idempotency_conflict")


def test_secrets_are_found_by_the_exchange_of_the_master_key(shop):
    subscribe(shop, URL)
    batch = shop.platform.call("webhooks.secrets.reseal", column=0, after=0)
    assert batch["unreadable"] == 0 and not batch["done"]


def test_a_new_master_key_opens_the_secrets(make_platform):
    from .shop import Owner
    platform = make_platform()
    shop = Owner(platform).open_shop()
    with Sink() as sink:
        made = subscribe(shop, sink.url)
        shop.post(f"{HOOKS}/{made['subscription_id']}/rotate-secret")
        platform.sxctl("rotate-master-key", "--wait", "0")
        publish(platform, event(shop.store_id))
        from .hooks import signature
        [(_, headers, body)] = sink.wait(1)
        assert headers["X-SeloraX-Signature"] == signature(made["signing_secret"], headers["X-SeloraX-Timestamp"], body)

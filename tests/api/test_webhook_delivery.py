"""Deliveries: what is sent, how it is signed, what comes after a failure, in which order (contract D.2, D.3, K.4)."""

import collections
import json
import time
from datetime import datetime

import pytest

from . import goods
from .hooks import HOOKS, Sink, event, log_of, publish, signature, standard_signature, subscribe, waiting
from .shop import Owner
from .test_uninstall import until


@pytest.fixture
def shop(owner):
    """One that webhooks knows already."""
    made = owner.open_shop()
    until(lambda: log_of(made.platform, made.installation_id))
    return made


@pytest.fixture
def sink():
    with Sink() as made:
        yield made


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def attempts(platform, subscription_id):
    return platform.postgres.rows(
        "select attempt, response_status, error, extract(epoch from next_retry_at - at)::float from webhooks.attempt "
        "where subscription_id = %s order by at, attempt", (subscription_id,))


# ---- what is sent ----------------------------------------------------------------------------------------------------


def test_an_order_is_delivered_signed(shop, sink):
    sub = subscribe(shop, sink.url + "/hook?x=1")
    order = goods.order(shop)
    [(path, headers, body)] = sink.wait(1)
    headers, sent = lower(headers), json.loads(body)
    assert path == "/hook?x=1" and headers["content-type"] == "application/json" and headers["user-agent"] == "SeloraX-Webhook/1.0"
    assert sent["event_topic"] == headers["x-selorax-webhook-event"] == "order.created"
    assert sent["event_id"] == headers["x-selorax-webhook-event-id"] == headers["x-selorax-idempotency-key"]
    assert sent["store_id"] == shop.store_id and sent["data"]["order_id"] == order["order_id"]
    assert datetime.strptime(sent["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert abs(int(headers["x-selorax-timestamp"]) - time.time()) < 60
    assert headers["x-selorax-signature"] == signature(sub["signing_secret"], headers["x-selorax-timestamp"], body)
    assert len(headers["x-selorax-delivery-id"]) == 36 and "expect" not in headers
    until(lambda: waiting(shop.platform, sub["subscription_id"]) == [])
    seen = shop.get(f"{HOOKS}/{sub['subscription_id']}").json()["data"]
    assert seen["last_success_at"] and seen["failure_count"] == 0 and "signing_secret" not in seen


def test_profiles_and_a_rotation(shop, sink):
    subs = {profile: subscribe(shop, f"{sink.url}/{profile}", signature_profile=profile)
            for profile in ("selorax", "standard-webhooks", "stripe", "github", "shopify")}
    publish(shop.platform, event(shop.store_id))
    check_profiles(sink.wait(5), {profile: [sub["signing_secret"]] for profile, sub in subs.items()})
    fresh = {profile: shop.post(f"{HOOKS}/{sub['subscription_id']}/rotate-secret").json()["data"]["signing_secret"] for profile, sub in subs.items()}
    publish(shop.platform, event(shop.store_id))
    both = {profile: [fresh[profile], sub["signing_secret"]] if profile in ("standard-webhooks", "stripe") else [sub["signing_secret"]]
            for profile, sub in subs.items()}
    check_profiles(sink.wait(10)[5:], both)
    for sub in subs.values():
        assert shop.post(f"{HOOKS}/{sub['subscription_id']}/rotate-secret").status_code == 409
        promoted = shop.post(f"{HOOKS}/{sub['subscription_id']}/rotate-secret/promote")
        assert promoted.status_code == 200 and promoted.json()["data"]["previous_secret_until"] is None
    publish(shop.platform, event(shop.store_id))
    check_profiles(sink.wait(15)[10:], {profile: [secret] for profile, secret in fresh.items()})


def check_profiles(requests, secrets):
    import base64
    import hashlib
    import hmac
    assert {path[1:] for path, _, _ in requests} == set(secrets)
    for path, headers, body in requests:
        headers, keys = lower(headers), secrets[path[1:]]
        stamp, identifier = headers["x-selorax-timestamp"], headers["x-selorax-webhook-event-id"]
        macs = [hmac.new(key.encode(), body, hashlib.sha256) for key in keys]
        timed = [signature(key, stamp, body).removeprefix("sha256=") for key in keys]
        if path == "/selorax":
            assert headers["x-selorax-signature"] == "sha256=" + timed[0]
        elif path == "/standard-webhooks":
            assert headers["webhook-id"] == identifier and headers["webhook-timestamp"] == stamp
            assert headers["webhook-signature"] == " ".join(standard_signature(key, identifier, stamp, body) for key in keys)
        elif path == "/stripe":
            assert headers["stripe-signature"] == f"t={stamp}," + ",".join(f"v1={each}" for each in timed)
        elif path == "/github":
            assert headers["x-hub-signature-256"] == "sha256=" + macs[0].hexdigest() and headers["x-github-event"] == "order.created"
        else:
            assert headers["x-shopify-hmac-sha256"] == base64.b64encode(macs[0].digest()).decode()


def test_permissions_and_fields_filter_the_payload(shop, sink):
    data = {"order_id": 5, "grand_total": 1460.00, "customer_name": "Rahim", "customer_phone": "+880", "phone": "+880",
            "shipping_address": {"city": "Dhaka"}, "changed": {"note": {"old": 1, "new": 2}, "shipping_address": {"old": {}, "new": {}}}}
    subscribe(shop, sink.url + "/all", permissions=["read_orders", "read_customers"])
    subscribe(shop, sink.url + "/orders", permissions=["read_orders"])
    subscribe(shop, sink.url + "/fields", fields=["order_id", "customer_name"])
    subscribe(shop, sink.url + "/both", fields=["order_id", "customer_name"], permissions=["read:orders"])
    publish(shop.platform, event(shop.store_id, data=data))
    got = {path: json.loads(body)["data"] for path, _, body in sink.wait(4)}
    assert got["/all"] == data
    assert got["/orders"] == {"order_id": 5, "grand_total": 1460.00, "changed": {"note": {"old": 1, "new": 2}}}
    assert got["/fields"] == {"order_id": 5, "customer_name": "Rahim"} and got["/both"] == {"order_id": 5}


def test_a_test_delivery(shop, sink):
    sub = subscribe(shop, sink.url, "product.updated")
    answer = shop.post(f"{HOOKS}/{sub['subscription_id']}/test")
    assert answer.status_code == 202, answer.text
    [sent] = sink.bodies(1)
    assert sent["event_id"] == answer.json()["data"]["event_id"] and sent["event_topic"] == "product.updated" and sent["data"]["variants"]
    assert sent["event_id"] not in [event_id for _, event_id, _ in log_of(shop.platform, shop.installation_id)]
    shop.put(f"{HOOKS}/{sub['subscription_id']}", {"is_active": False})
    assert shop.post(f"{HOOKS}/{sub['subscription_id']}/test").json()["code"] == "conflict"


# ---- order -----------------------------------------------------------------------------------------------------------


def test_order_per_resource(shop, sink):
    subscribe(shop, sink.url, "order.updated")
    events = [event(shop.store_id, "order.updated", resource_id=number % 7, data={"n": number}) for number in range(300)]
    for start in range(0, 300, 50):
        publish(shop.platform, *events[start:start + 50])
    seen = collections.defaultdict(list)
    for body in sink.bodies(300):
        seen[body["data"]["n"] % 7].append(body["data"]["n"])
    assert sum(map(len, seen.values())) == 300 and all(numbers == sorted(numbers) for numbers in seen.values())


def test_a_failing_event_holds_back_its_resource_only(make_platform, sink):
    platform = make_platform()
    shop = Owner(platform).open_shop()
    sub = subscribe(shop, sink.url, "order.updated")
    sink.answers = [500]
    publish(platform, event(shop.store_id, "order.updated", 1, {"n": 1}))
    sink.wait(1)
    until(lambda: attempts(platform, sub["subscription_id"]))
    publish(platform, *[event(shop.store_id, "order.updated", resource, {"n": number}) for resource, number in ((1, 2), (2, 3), (1, 4), (3, 5))])
    assert sorted(body["data"]["n"] for body in sink.bodies(3)[1:]) == [3, 5]
    time.sleep(0.5)
    assert len(sink.requests) == 3 and [row[1] for row in waiting(platform, sub["subscription_id"])] == [1, 1, 1]
    platform.set_clock(70)
    assert [body["data"]["n"] for body in sink.bodies(6)[3:]] == [1, 2, 4]
    until(lambda: waiting(platform, sub["subscription_id"]) == [])


# ---- failures --------------------------------------------------------------------------------------------------------


def test_the_retry_table(make_platform, sink):
    """1 min, 5 min, 30 min, 2 h, 12 h, each up to a tenth later; then it has failed."""
    platform = make_platform()
    shop = Owner(platform).open_shop()
    sub = subscribe(shop, sink.url)
    sink.answers = [500, 404, 302, 503, 400, 500]
    one = event(shop.store_id)
    publish(platform, one)
    clock = 0
    for number, gap in enumerate((60, 300, 1800, 7200, 43200), 1):
        sink.wait(number)
        until(lambda: len(attempts(platform, sub["subscription_id"])) == number)
        clock += gap - 2
        platform.set_clock(clock)
        time.sleep(0.2)
        assert len(sink.requests) == number
        clock += gap // 10 + 4
        platform.set_clock(clock)
    requests = sink.wait(6)
    until(lambda: waiting(platform, sub["subscription_id"]) == [])
    rows = attempts(platform, sub["subscription_id"])
    assert [(number, status) for number, status, _, _ in rows] == [(1, 500), (2, 404), (3, 302), (4, 503), (5, 400), (6, 500)]
    for (_, _, _, wait_s), gap in zip(rows, (60, 300, 1800, 7200, 43200)):
        assert gap <= wait_s <= gap * 1.1 + 5
    assert rows[5][3] is None
    headers = [lower(headers) for _, headers, _ in requests]
    assert len({each["x-selorax-delivery-id"] for each in headers}) == 6 and len({each["x-selorax-webhook-event-id"] for each in headers}) == 1
    stamps = [int(each["x-selorax-timestamp"]) for each in headers]
    assert stamps[5] - stamps[0] > 52000
    for (_, _, body), each in zip(requests, headers):
        assert each["x-selorax-signature"] == signature(sub["signing_secret"], each["x-selorax-timestamp"], body)
    assert platform.postgres.rows("select state, attempt from webhooks.delivery") == [("failed", 6)]
    assert shop.get(f"{HOOKS}/{sub['subscription_id']}").json()["data"]["failure_count"] == 1


def test_ten_failed_events_in_a_row_switch_it_off(make_platform, sink):
    platform = make_platform()
    shop = Owner(platform).open_shop()
    sub, told = subscribe(shop, sink.url + "/bad"), subscribe(shop, sink.url + "/told", "webhook.disabled")
    sink.answers = {"/bad": 500}
    publish(platform, *[event(shop.store_id, resource_id=number) for number in range(10)])
    for number, clock in enumerate((0, 70, 500, 2700, 11000, 60000), 1):
        platform.set_clock(clock)
        until(lambda: len(attempts(platform, sub["subscription_id"])) == 10 * number)
    until(lambda: [path for path, _, _ in sink.requests].count("/told") == 1)
    seen = shop.get(f"{HOOKS}/{sub['subscription_id']}").json()["data"]
    assert (seen["is_active"], seen["failure_count"], seen["disabled_reason"]) == (0, 10, "ten events in a row failed")
    body = json.loads([body for path, _, body in sink.requests if path == "/told"][0])
    assert body["data"]["subscription_id"] == sub["subscription_id"] and body["event_topic"] == "webhook.disabled"
    assert told["signing_secret"].encode() not in json.dumps(body).encode()
    publish(platform, event(shop.store_id, resource_id=99))
    assert waiting(platform, sub["subscription_id"]) == []
    back = shop.put(f"{HOOKS}/{sub['subscription_id']}", {"is_active": True}).json()["data"]
    assert (back["is_active"], back["failure_count"], back["disabled_reason"]) == (1, 0, None)
    sink.answers = []
    before = len(sink.requests)
    publish(platform, event(shop.store_id, resource_id=100))
    sink.wait(before + 1)


def test_410_ends_it_at_once(shop, sink):
    sub = subscribe(shop, sink.url)
    sink.answers = [410]
    publish(shop.platform, event(shop.store_id))
    until(lambda: shop.get(f"{HOOKS}/{sub['subscription_id']}").json()["data"]["is_active"] == 0)
    assert shop.get(f"{HOOKS}/{sub['subscription_id']}").json()["data"]["disabled_reason"] == "the endpoint answered 410 Gone"
    until(lambda: waiting(shop.platform, sub["subscription_id"]) == [])


def test_retry_after_is_honoured(shop, sink):
    sub = subscribe(shop, sink.url)
    sink.answers, sink.headers = [429], {"Retry-After": "3600"}
    publish(shop.platform, event(shop.store_id))
    until(lambda: attempts(shop.platform, sub["subscription_id"]))
    [(_, status, _, wait_s)] = attempts(shop.platform, sub["subscription_id"])
    assert status == 429 and 3600 <= wait_s <= 3620


def test_nobody_listens(shop):
    sub = subscribe(shop, "http://127.0.0.1:9/")
    publish(shop.platform, event(shop.store_id))
    until(lambda: attempts(shop.platform, sub["subscription_id"]))
    [(number, status, error, wait_s)] = attempts(shop.platform, sub["subscription_id"])
    assert number == 1 and status is None and error and 60 <= wait_s <= 70


def test_a_silent_endpoint_delays_nobody_else(shop, sink):
    with Sink() as silent:
        silent.answers = {"/": 17}
        sub = subscribe(shop, silent.url + "/")
        subscribe(shop, sink.url)
        publish(shop.platform, *[event(shop.store_id, resource_id=number) for number in range(20)])
        assert len(sink.wait(20, 10)) == 20
        until(lambda: attempts(shop.platform, sub["subscription_id"]), 40)
        assert attempts(shop.platform, sub["subscription_id"])[0][1] is None


# ---- several processes -----------------------------------------------------------------------------------------------


def test_processes_share_the_work_and_survive_each_other(make_platform, sink):
    platform = make_platform(services={"auth": 1, "store-data": 1, "webhooks": 3})
    shop = Owner(platform).open_shop()
    for number in range(6):
        subscribe(shop, f"{sink.url}/{number}", "order.updated")
    for start in range(0, 200, 20):
        publish(platform, *[event(shop.store_id, "order.updated", number % 5, {"n": number}) for number in range(start, start + 20)])
        if start == 60:
            platform["webhooks-2"].kill()
        if start == 120:
            platform["webhooks-2"].start()
            platform["webhooks-3"].kill()
    until(lambda: not platform.postgres.rows("select 1 from webhooks.waiting where subscription_id > 0"), 40)
    seen = collections.defaultdict(list)
    for path, _, body in sink.requests:
        number = json.loads(body)["data"]["n"]
        seen[path, number % 5].append(number)
    for numbers in seen.values():
        first = list(dict.fromkeys(numbers))                                # what a killed process had under way comes twice
        assert first == sorted(first) and len(first) == 40
    assert len(seen) == 30


def test_stopped_in_order_nothing_is_sent_twice(make_platform, sink):
    platform = make_platform(services={"auth": 1, "store-data": 1, "webhooks": 2})
    shop = Owner(platform).open_shop()
    subscribe(shop, sink.url)
    for start in range(0, 300, 30):
        publish(platform, *[event(shop.store_id, resource_id=number, data={"n": number}) for number in range(start, start + 30)])
        if start == 90:
            assert platform["webhooks-1"].terminate() == 0
    until(lambda: not platform.postgres.rows("select 1 from webhooks.waiting where subscription_id > 0"))
    assert sorted(json.loads(body)["data"]["n"] for _, _, body in sink.requests) == list(range(300))


# ---- uninstall -------------------------------------------------------------------------------------------------------


def test_an_uninstall_says_goodbye_and_ends(owner, sink):
    platform = owner.platform
    shop = owner.open_shop()
    for topic in ("app.uninstalled", "order.created", "charge.cancelled"):
        subscribe(shop, f"{sink.url}/{topic}", topic)
    platform.call("auth.installations.end", installation_id=shop.installation_id)
    [(path, _, body)] = sink.wait(1)
    assert path == "/app.uninstalled" and json.loads(body)["data"]["installation_id"] == shop.installation_id
    until(lambda: platform.postgres.rows("select status from webhooks.installation where installation_id = %s", (shop.installation_id,)) == [("ended",)])
    publish(platform, event(shop.store_id), event(shop.store_id, "charge.cancelled", data={"installation_id": shop.installation_id}))
    time.sleep(0.3)
    assert len(sink.requests) == 1

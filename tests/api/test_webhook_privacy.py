"""Somebody who is forgotten is forgotten here too: in the events of 30 days, in what still waits, in what endpoints answered."""

import json

import pytest

from . import goods
from .customers import make
from .hooks import HOOKS, Sink, event, log_of, publish, subscribe, waiting
from .rpc import RpcError
from .shop import Owner
from .test_privacy import WORDS, found, many_orders, person, redact, requests, until, webhooks_done, wish
from .test_stores import Merchant
from .test_webhook_uninstall import kill

DAY_S = 86400


class Echo(Sink):
    """Answers what it was sent, as error pages do."""

    def take(self, path, headers, body):
        self.text = body
        return super().take(path, headers, body)


@pytest.fixture
def platform(make_platform):
    return make_platform(durable=True)


@pytest.fixture
def mine(platform):
    merchant = Merchant(platform)
    store_id = merchant.open(name="Corner Shop")
    until(lambda: platform.postgres.rows("select 1 from store_data.store_profile where store_id = %s", (store_id,)))
    shop = Owner(platform).open_shop(store_id=store_id)
    until(lambda: log_of(platform, shop.installation_id))
    return merchant, shop


def bodies_of(sink, path):
    return [json.loads(body) for where, _, body in list(sink.requests) if where == path]


def about(body, number):
    return body["data"].get("order_id", body["data"].get("user_id")) == number


def test_what_waits_goes_out_without_them(platform, mine):
    """And what asks the app to forget them goes out with all by which it knows them, which is forgotten a week later."""
    merchant, shop = mine
    with Echo() as sink:
        sink.answers = {"/fails": 500}
        subs = [subscribe(shop, sink.url + "/fails", topic) for topic in ("order.created", "order.updated", "customer.created")]
        subs.append(subscribe(shop, sink.url + "/gdpr", "customers/redact"))
        user_id, orders = person(shop)
        other = make(shop, name="Rahim", phone="01899999999", email="rahim@example.com")
        until(lambda: [len(waiting(platform, sub["subscription_id"])) for sub in subs[:3]] == [2, 2, 2])
        until(lambda: all(row[2] == 1 for sub in subs[:3] for row in waiting(platform, sub["subscription_id"])))
        assert {table[:7] for table, _, _ in found(platform, WORDS)} >= {"event", "attempt"[:7]}

        wish(merchant, shop, "redact", user_id)
        until(lambda: requests(merchant, shop)[0]["completed_at"])
        assert found(platform, WORDS) == []
        [told] = until(lambda: bodies_of(sink, "/gdpr"))
        assert told["data"]["customer"] == {"id": user_id, "email": "jahan@example.com", "phone": "+8801712345678"}

        before = len(bodies_of(sink, "/fails"))
        platform.set_clock(500)                                                   # after a second attempt too
        again = until(lambda: (late := bodies_of(sink, "/fails")[before:]) and len({body["event_id"] for body in late}) == 6 and late)
        for body in again:
            if body["event_topic"] == "customer.created" and about(body, other["user_id"]):
                assert body["data"]["name"] == "Rahim"
            else:
                assert not any(word in json.dumps(body, ensure_ascii=False) for word in WORDS), body
        created = next(body for body in again if body["event_topic"] == "order.created" and about(body, orders[0]))
        assert (created["data"]["customer_name"], created["data"]["phone"], created["data"]["grand_total"]) == (None, None, 21)
        log = shop.get("/api/apps/v1/events?limit=100").json()["data"]
        assert not any(word in json.dumps(row, ensure_ascii=False) for row in log if row["event_topic"] != "customers/redact" for word in WORDS)
        assert [row["seq"] for row in log] == list(range(1, len(log) + 1))
        kept = shop.get(f"{HOOKS}/{subs[2]['subscription_id']}/deliveries").json()["data"]
        assert any("rahim@" in (attempt["response_body"] or "") for row in kept for attempt in row["attempt_log"])

        assert found(platform, ["jahan@"], notices=True) != []
        platform.set_clock(500 + 70)
        until(lambda: platform.postgres.rows("select resource_type, pass from webhooks.redaction") == [("customer", 2)], 60)
        platform.set_clock(500 + 70 + 8 * DAY_S)
        until(lambda: not platform.postgres.rows("select 1 from webhooks.redaction"))
        assert found(platform, WORDS, notices=True) == []
        [event_left] = platform.postgres.rows("select data from webhooks.event where topic = 'customers/redact'")
        assert event_left[0]["customer"] == {"id": user_id, "email": None, "phone": None}


def test_an_answer_that_comes_late(platform, mine):
    """An attempt was under way while they were erased: what came back of it goes a minute later."""
    _, shop = mine
    with Echo() as sink:
        sub = subscribe(shop, sink.url, "order.created")
        user_id, [order_id] = person(shop, 1)
        until(lambda: waiting(platform, sub["subscription_id"]) == [])
        redact(platform, shop, user_id)
        platform.postgres.rows("update webhooks.attempt set response_body = 'Nusrat', resource_type = 'order' where subscription_id = %s "
                               "and resource_id = %s", (sub["subscription_id"], order_id))
        platform.set_clock(61)
        until(lambda: found(platform, WORDS) == [])


def test_webhooks_is_killed_in_the_middle(platform, mine):
    """The batches that are done stay done, and the others follow; nobody else's event changes."""
    _, shop = mine
    user_id, _ = person(shop, 1)
    many_orders(platform, shop, user_id, 2000)
    ids = [row[0] for row in goods.run(platform, "select order_id from store_order where user_id = %s order by 1", user_id)]
    theirs = goods.order(shop, shipping_address={"name": "Rahim"})["order_id"]
    rest = goods.events(shop, theirs)
    for batch in range(0, len(ids), 500):
        publish(platform, *[event(shop.store_id, "order.updated", number, {"order_id": number, "customer_name": "Nusrat", "phone": "01712345678"})
                            for number in ids[batch:batch + 500]])
    left = lambda: platform.postgres.rows("select count(*) from webhooks.event where data::text like '%%Nusrat%%' and topic = 'order.updated'")[0][0]
    assert left() >= 2000
    assert platform.call("store-data.customers.redact", store_id=shop.store_id, customer_id=user_id)["status"] == "running"
    kills = 0
    for share in (0.9, 0.6, 0.3):
        until(lambda share=share: left() < 2000 * share)
        if left() == 0:
            break
        platform["webhooks-1"].kill()
        kills += 1
        until(lambda: not platform.postgres.backends("webhooks"))
        if kills == 2:
            kill(platform, "postgres")
        platform["webhooks-1"].start()
        platform.wait_ready()
    redact(platform, shop, user_id)
    assert kills >= 1 and left() == 0 and found(platform, WORDS) == []
    assert goods.events(shop, theirs) == rest
    assert len(platform.postgres.rows("select 1 from webhooks.event where topic = 'order.updated' and erased")) >= 2000


def test_webhooks_is_down_for_a_while(platform, mine):
    """It is not completed before webhooks has heard of it, and what was in the outbox meanwhile is erased there."""
    merchant, shop = mine
    platform["webhooks-1"].kill()
    user_id, _ = person(shop, 1)
    wish(merchant, shop, "redact", user_id)
    until(lambda: goods.run(platform, "select 1 from redaction where completed_at is not null"))
    assert platform.call("store-data.customers.redact", store_id=shop.store_id, customer_id=user_id)["status"] == "running"
    assert requests(merchant, shop)[0]["completed_at"] is None
    platform["webhooks-1"].start()
    platform.wait_ready()
    until(lambda: requests(merchant, shop)[0]["completed_at"])
    assert found(platform, WORDS) == []


def test_only_store_data_says_whom(platform, mine):
    _, shop = mine
    row = {"event_id": "8d9c1d3e-2f4b-4c5d-9e6f-7a8b9c0d1e2f", "topic": "webhooks.redaction", "store_id": shop.store_id, "resource_type": "redaction",
           "resource_id": 0, "created_us": 1, "data": json.dumps({"resource_type": "order", "ids": [1]})}
    for service, topic, code in (("auth", "webhooks.redaction", "forbidden"), ("store-data", "webhooks.installation", "forbidden"),
                                 ("auth", "webhooks.unheard", "validation_error")):
        with pytest.raises(RpcError) as error:
            platform.rpc().call("webhooks.events.publish", {"events": [{**row, "topic": topic}]}, caller={"audience": 5, "service": service})
        assert error.value.code == code
    assert platform.postgres.rows("select 1 from webhooks.redaction") == []
    webhooks_done(platform, shop)


def test_person_free(platform):
    free = lambda data: platform.postgres.rows("select webhooks.person_free(%s::json)", (json.dumps(data),))[0][0]
    order = {"order_id": 1, "customer_name": "Nusrat", "phone": "017", "total": 1460.50, "changed": {"note": {"old": "a", "new": "b"}, "courier": {"old": 1, "new": 2}},
             "customer_email": "n@x", "shipping_address": {"name": "Nusrat"}, "order_status": "pending"}
    assert free(order) == {"order_id": 1, "customer_name": None, "phone": None, "total": 1460.50, "order_status": "pending", "customer_email": None,
                           "changed": {"note": {"old": None, "new": None}, "courier": {"old": 1, "new": 2}}, "shipping_address": None}
    assert free({"user_id": 5, "name": "Nusrat", "email": "n@x", "phone": None, "total_orders": 3}) == {
        "user_id": 5, "name": "", "email": None, "phone": None, "total_orders": 3}
    for odd in ({}, [], "Nusrat", None, 7, {"changed": "x"}, {"changed": {}}, {"customer": 7}):
        assert free(odd) == odd
    assert platform.postgres.rows("select webhooks.person_free('{\"order_id\": 1, \"total\": 10.00}')::text")[0][0].replace(" ", "") == '{"order_id":1,"total":10.00}'

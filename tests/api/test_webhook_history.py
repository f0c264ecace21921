"""The delivery log, one delivery once more, and the log of events (contract K.4)."""

import json
import time

import pytest

from .credentials import refused
from .hooks import HOOKS, Sink, event, log_of, publish, subscribe, waiting
from .test_uninstall import until

EVENTS = "/api/apps/v1/events"


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


def deliveries(shop, sub, query=""):
    answer = shop.get(f"{HOOKS}/{sub['subscription_id']}/deliveries{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def over(shop, sub, count=1):
    until(lambda: len([one for one in deliveries(shop, sub)["data"] if one["status"] in ("success", "failed")]) >= count)


# ---- the delivery log ------------------------------------------------------------------------------------------------


def test_an_attempt_is_logged(shop, sink):
    sub = subscribe(shop, sink.url)
    publish(shop.platform, one := event(shop.store_id))
    over(shop, sub)
    [row] = deliveries(shop, sub)["data"]
    assert (row["event_id"], row["event_topic"], row["status"], row["attempts"], row["next_retry_at"]) == (
        one["event_id"], "order.created", "success", 1, None)
    assert row["finished_at"] and row["delivery_id"].isdigit()
    [attempt] = row["attempt_log"]
    [(_, headers, _)] = sink.wait(1)
    assert attempt["attempt_id"] == headers["X-SeloraX-Delivery-Id"] == attempt["request_headers"]["X-SeloraX-Delivery-Id"]
    assert (attempt["response_status"], attempt["response_body"], attempt["error"], attempt["next_retry_at"]) == (200, "", None, None)
    assert sub["signing_secret"] not in json.dumps(row)


def test_what_the_endpoint_said_is_kept_up_to_4_kib(shop, sink):
    sub = subscribe(shop, sink.url)
    for text in (b"no such hook", b"x" * 4095 + "ñ".encode() + b"y" * 100, b"\xff\xfe", b"a\x00b"):
        sink.answers, sink.text = [500], text
        before = len(sink.requests)
        publish(shop.platform, event(shop.store_id, resource_id=before + 1))
        sink.wait(before + 1)
        until(lambda: len([one for one in deliveries(shop, sub)["data"] if one["status"] == "retrying"]) == before + 1)
    bodies = [one["attempt_log"][0]["response_body"] for one in deliveries(shop, sub)["data"]][::-1]
    assert bodies == ["no such hook", "x" * 4095, None, "a b"]


def test_states_and_pages(shop, sink):
    sub = subscribe(shop, sink.url)
    sink.answers = [500, 500]
    publish(shop.platform, event(shop.store_id, resource_id=1))
    publish(shop.platform, event(shop.store_id, resource_id=2))
    until(lambda: [row[2] for row in waiting(shop.platform, sub["subscription_id"])] == [1, 1])
    publish(shop.platform, *[event(shop.store_id, resource_id=number) for number in range(10, 15)])
    publish(shop.platform, event(shop.store_id, resource_id=1))
    over(shop, sub, 5)
    assert [len(deliveries(shop, sub, f"?status={status}")["data"]) for status in ("pending", "retrying", "success", "failed")] == [1, 2, 5, 0]
    everything = deliveries(shop, sub)
    assert everything["pagination"]["total"] == 8 and [one["status"] for one in everything["data"]] == ["pending"] + ["success"] * 5 + ["retrying"] * 2
    pages, cursor = [], None
    while True:
        page = deliveries(shop, sub, "?limit=3" + (f"&cursor={cursor}" if cursor else ""))
        pages += page["data"]
        cursor = page["pagination"]["next_cursor"]
        if not cursor:
            break
    assert [one["delivery_id"] for one in pages] == [one["delivery_id"] for one in everything["data"]]
    assert [one["delivery_id"] for one in deliveries(shop, sub, "?limit=3&page=2")["data"]] == [one["delivery_id"] for one in pages[3:6]]
    assert deliveries(shop, sub, "?status=failed")["pagination"]["total"] == 0
    refused(shop.get(f"{HOOKS}/{sub['subscription_id']}/deliveries?status=lost"), 400, "validation_error")
    refused(shop.get(f"{HOOKS}/{sub['subscription_id']}/deliveries?cursor=abc"), 400, "validation_error")
    refused(shop.get(f"{HOOKS}/{sub['subscription_id']}/deliveries?page=99999"), 400, "validation_error")


def test_another_apps_deliveries(owner, shop, sink):
    sub = subscribe(shop, sink.url)
    publish(shop.platform, event(shop.store_id))
    over(shop, sub)
    other = owner.open_shop(store_id=shop.store_id)
    [row] = deliveries(shop, sub)["data"]
    refused(other.get(f"{HOOKS}/{sub['subscription_id']}/deliveries"), 404, "not_found")
    for delivery_id in (row["delivery_id"], "0", "abc", "99999999999999999999"):
        refused(other.post(f"{HOOKS}/deliveries/{delivery_id}/retry"), 404, "not_found")


# ---- once more -------------------------------------------------------------------------------------------------------


def test_a_retry_now(shop, sink):
    sub = subscribe(shop, sink.url)
    sink.answers = [500]
    publish(shop.platform, event(shop.store_id), event(shop.store_id))
    until(lambda: [row[2] for row in waiting(shop.platform, sub["subscription_id"])] == [1, 0])
    row = deliveries(shop, sub)["data"][-1]
    answer = shop.post(f"{HOOKS}/deliveries/{row['delivery_id']}/retry")
    assert answer.status_code == 202 and answer.json()["data"]["status"] == "retrying"
    sink.wait(3)                                                            # and what it held back comes with it
    over(shop, sub, 2)
    assert [one["attempts"] for one in deliveries(shop, sub)["data"]] == [1, 2]


def test_one_that_is_over_is_begun_anew(shop, sink):
    sub = subscribe(shop, sink.url)
    publish(shop.platform, one := event(shop.store_id))
    over(shop, sub)
    [row] = deliveries(shop, sub)["data"]
    fresh = shop.post(f"{HOOKS}/deliveries/{row['delivery_id']}/retry").json()["data"]
    assert fresh["delivery_id"] != row["delivery_id"] and fresh["event_id"] == one["event_id"]
    assert [body["event_id"] for body in sink.bodies(2)] == [one["event_id"]] * 2
    over(shop, sub, 2)
    shop.put(f"{HOOKS}/{sub['subscription_id']}", {"is_active": False})
    refused(shop.post(f"{HOOKS}/deliveries/{row['delivery_id']}/retry"), 404, "not_found")


def test_a_scope_that_was_withdrawn(shop, sink):
    """Neither what waits nor what is over is sent once more by hand."""
    sub, platform = subscribe(shop, sink.url), shop.platform
    publish(platform, event(shop.store_id, resource_id=1))
    over(shop, sub)
    sink.answers = [500]
    publish(platform, event(shop.store_id, resource_id=2))
    until(lambda: [row[2] for row in waiting(platform, sub["subscription_id"])] == [1])
    ids = [one["delivery_id"] for one in deliveries(shop, sub)["data"]]
    platform.postgres.rows("update webhooks.installation set scopes = array_remove(scopes, 'read:orders') where installation_id = %s",
                           (shop.installation_id,))
    for delivery_id in ids:
        refused(shop.post(f"{HOOKS}/deliveries/{delivery_id}/retry"), 404, "not_found")
    assert len(sink.requests) == 2 and len(ids) == 2
    platform.postgres.rows("update webhooks.installation set scopes = scopes || '{read:orders}'::text[] where installation_id = %s",
                           (shop.installation_id,))
    for delivery_id in ids:
        assert shop.post(f"{HOOKS}/deliveries/{delivery_id}/retry").status_code == 202
    sink.wait(4)


def test_off_and_on_again_with_thousands_waiting(shop, sink):
    """What waited when it was switched off has failed, all of it; what comes afterwards is delivered."""
    sub, platform, count = subscribe(shop, sink.url), shop.platform, 12000
    publish(platform, event(shop.store_id))
    over(shop, sub)
    platform.postgres.rows("""
        insert into webhooks.waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, created_at)
        select subscription_id, event_id, event_at, topic, resource_type, 10 + n, now() + interval '1 hour', now()
        from webhooks.delivery, generate_series(1, %s) as n where subscription_id = %s""", (count, sub["subscription_id"]))
    for is_active in (False, True):
        assert shop.put(f"{HOOKS}/{sub['subscription_id']}", {"is_active": is_active}).status_code == 200
    publish(platform, fresh := event(shop.store_id))
    assert sink.bodies(2)[1]["event_id"] == fresh["event_id"]
    until(lambda: waiting(platform, sub["subscription_id"]) == [])
    states = platform.postgres.rows("select state, count(*) from webhooks.delivery where subscription_id = %s group by 1 order by 1",
                                    (sub["subscription_id"],))
    assert states == [("failed", count), ("success", 2)] and len(sink.requests) == 2


def test_the_largest_page_fits(shop, sink):
    """A hundred deliveries of six attempts each, whose answers were nothing but control characters."""
    sub, platform = subscribe(shop, sink.url), shop.platform
    publish(platform, *[event(shop.store_id, resource_id=number) for number in range(101)])
    until(lambda: deliveries(shop, sub, "?status=success")["pagination"]["total"] == 101)
    platform.postgres.rows("""
        insert into webhooks.attempt (attempt_id, at, delivery_id, subscription_id, attempt, request_headers, response_status, response_body,
            duration_ms) select attempt_id, at, delivery_id, subscription_id, n, request_headers, 500, repeat(chr(1), 4096), 1
        from webhooks.attempt, generate_series(2, 6) as n where subscription_id = %s and attempt = 1""", (sub["subscription_id"],))
    platform.postgres.rows("update webhooks.attempt set response_body = repeat(chr(1), 4096), error = repeat('x', 200) where subscription_id = %s",
                           (sub["subscription_id"],))
    page = deliveries(shop, sub, "?limit=250")
    assert len(page["data"]) == 100 and page["pagination"]["next_cursor"]
    assert all(len(one["attempt_log"]) == 6 and all(len(each["response_body"]) == 4096 for each in one["attempt_log"]) for one in page["data"])


# ---- the log of events -----------------------------------------------------------------------------------------------


def test_the_log_is_read_to_its_end(shop):
    events = [event(shop.store_id, resource_id=number, data={"n": number, "amount": 10.50}) for number in range(25)]
    publish(shop.platform, *events)
    seen, after = [], 0
    while True:
        answer = shop.get(f"{EVENTS}?after={after}&limit=10").json()
        seen += answer["data"]
        if answer["next_after"] == after:
            break
        after = answer["next_after"]
    assert [one["seq"] for one in seen] == list(range(1, len(seen) + 1)) and answer["last_seq"] == len(seen)
    assert [one["event_id"] for one in seen if one["event_topic"] == "order.created"] == [one["event_id"] for one in events]
    assert seen[0]["event_topic"] == "app.installed" and seen[-1]["data"] == {"n": 24, "amount": 10.50} and seen[-1]["store_id"] == shop.store_id
    only = shop.get(f"{EVENTS}?topic=app.installed").json()
    assert [one["seq"] for one in only["data"]] == [1]
    assert shop.get(f"{EVENTS}?after=1&topic=app.installed").json()["next_after"] == len(seen)
    for bad in ("after=-1", "after=x", "topic=a"):
        refused(shop.get(f"{EVENTS}?{bad}"), 400, "validation_error")


def test_only_what_the_app_may_read_and_of_itself(owner):
    store_id = owner.open_store()
    reader, other = owner.open_shop(["read:orders"], store_id), owner.open_shop(["read:products"], store_id)
    for one in (reader, other):
        until(lambda: log_of(owner.platform, one.installation_id))
    publish(owner.platform, event(store_id), event(store_id, "product.created"))
    assert [one["event_topic"] for one in reader.get(EVENTS).json()["data"]] == ["app.installed", "order.created"]
    assert [one["event_topic"] for one in other.get(EVENTS).json()["data"]] == ["app.installed", "product.created"]


def test_old_days_are_dropped(make_platform):
    from .shop import Owner
    platform = make_platform()
    shop = Owner(platform).open_shop()
    until(lambda: log_of(platform, shop.installation_id))
    day_us = 86400 * 1000000
    publish(platform, event(shop.store_id, created_us=time.time_ns() // 1000 - 40 * day_us), event(shop.store_id))
    before = len(log_of(platform, shop.installation_id))
    platform["webhooks-1"].restart()                                        # its actor looks at once
    until(lambda: len(log_of(platform, shop.installation_id)) == before - 1)
    page = shop.get(EVENTS).json()                                          # it had come in between, and left a hole
    assert page["oldest_seq"] == page["last_seq"] == before and [one["seq"] for one in page["data"]] == [before]

"""What customers may ask for: to be told what is held about them, and to be forgotten (contract K.2, K.6)."""

import json
import threading
import time
from decimal import Decimal

import pytest

from . import goods
from .bulk import start
from .client import is_error
from .credentials import accepted, refused
from .customers import CUSTOMERS, make, verify
from .rpc import RpcError
from .shop import Owner
from .test_stores import Merchant

ORDERS = "/api/apps/v1/orders"
WORDS = ["Nusrat", "নুসরাত", "jahan@", "1712345678", "Dhanmondi", "door-code", "bKash-0171", "PTH-8412", "CON-9", "gate note",
         "tall-with-hat"]


def until(check, seconds=40):
    deadline = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.05)
    return answer


def found(platform, words, notices=False):
    """Where any of the words stands, in whatever column of text, JSON or bytes of store-data or webhooks. The samples of topics are
    nobody's; what asks apps to forget somebody is looked at with `notices` alone."""
    places = []
    for schema in ("store_data", "webhooks"):
        columns = platform.postgres.rows(
            "select table_name, column_name, data_type from information_schema.columns join information_schema.tables using (table_schema, table_name) "
            "where table_schema = %s and table_type = 'BASE TABLE' and data_type in ('text', 'json', 'jsonb', 'bytea', 'character varying', 'ARRAY') "
            "and (table_schema, table_name) <> ('webhooks', 'topic') and table_name <> 'migration'", (schema,))
        assert len(columns) > 20
        for table, column, kind in columns:
            text = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
            where = " and topic not like 'customers/%%'" if (schema, table[:5]) == ("webhooks", "event") and not notices else ""
            for word in words:
                looked = [word, json.dumps(word)[1:-1]]
                if kind == "bytea":
                    looked.append("".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\{b:03o}" for b in word.encode()))
                rows = platform.postgres.rows(
                    f"select count(*) from {schema}.{table} where (" + " or ".join([f"strpos({text}, %s) > 0"] * len(looked)) + ")" + where, looked)
                if rows != [(0,)]:
                    places.append((table, column, word))
    return places


def person(shop, orders=2):
    """A customer with orders in all states, with all that could tell who they are; answers the id and the order ids."""
    made = shop.post(CUSTOMERS, {"name": "Nusrat নুসরাত", "phone": "01712345678", "email": "jahan@example.com",
                                 "address_json": {"address": "House 12, Dhanmondi", "hint": "door-code 99"}},
                     headers={"Idempotency-Key": "person"}).json()["data"]
    shop.put(f"{CUSTOMERS}/{made['user_id']}", {"name": "Nusrat J"})
    ids = []
    for number in range(orders):
        answer = shop.post(ORDERS, {"customer_id": made["user_id"], "items": [{"name": "Gift card", "price": 10.5, "quantity": 2}],
                                    "note": "gate note", "metadata": {"payer": "bKash-01712345678"},
                                    "shipping_address": {"name": "Nusrat", "phone": "+8801712345678", "address": "Dhanmondi"}},
                           headers={"Idempotency-Key": f"order-{number}"})
        assert answer.status_code == 201, answer
        order_id = answer.json()["data"]["order_id"]
        shop.put(f"{ORDERS}/{order_id}", {"tracking_code": "PTH-8412", "courier": "Pathao", "courier_id": "CON-9", "note": "Nusrat: gate note"})
        shop.put(f"{ORDERS}/{order_id}/status", {"status": "cancelled" if number % 2 else "confirmed", "note": "door-code told by Nusrat"})
        ids.append(order_id)
    for kind, resource_id in (("c", made["user_id"]), ("o", ids[0])):
        goods.run(shop.platform, "insert into metafield_value (store_id, app_id, definition_id, resource_type, resource_id, value, created_at, updated_at) "
                  "values (%s, %s, 1, %s, %s, 'tall-with-hat', now(), now())", shop.store_id, shop.app_id, kind, resource_id)
    goods.run(shop.platform, "insert into app_event (store_id, app_id, name, occurred_at, customer_id, properties, created_at) values "
              "(%s, %s, 'seen', now(), %s, '{\"who\": \"tall-with-hat\"}', now())", shop.store_id, shop.app_id, made["user_id"])
    if orders > 1:
        assert shop.delete(f"{ORDERS}/{ids[1]}").status_code == 200
    return made["user_id"], ids


def redact(platform, shop, user_id, **more):
    answer = until(lambda: (reply := platform.call("store-data.customers.redact", store_id=shop.store_id, customer_id=user_id, **more))
                   ["status"] == "completed" and reply)
    assert answer["completed_at"] >= answer["created_at"]
    webhooks_done(platform, shop)
    return answer


def webhooks_done(platform, shop):
    until(lambda: platform.call("webhooks.redactions.read", store_id=shop.store_id)["status"] == "completed")


def redact_store(platform, shop):
    answer = until(lambda: (reply := platform.call("store-data.stores.redact", store_id=shop.store_id))["status"] == "completed" and reply)
    webhooks_done(platform, shop)
    return answer


@pytest.fixture
def mine(platform):
    """A merchant with a store and an app on it; (merchant, shop)."""
    merchant = Merchant(platform)
    store_id = platform.call("auth.stores.create", owner_account_id=merchant.account_id, name="Shop")["store_id"]
    platform.call("store-data.stores.create", store_id=store_id, name="Shop")
    return merchant, Owner(platform).open_shop(store_id=store_id)


def requests(merchant, shop, **query):
    return accepted(merchant.ask("GET", f"/api/stores/{shop.store_id}/privacy/requests", params=query))


def wish(merchant, shop, path, user_id):
    answer = merchant.ask("POST", f"/api/stores/{shop.store_id}/privacy/{path}", {"customer_id": user_id})
    assert answer.status_code == 201, answer
    return answer.json()["data"]


def told(platform, store_id):
    return platform.postgres.rows("select topic, data from seen_auth.outbox where store_id = %s and topic like 'customers/%%' order by id", (store_id,))


# ---- from the merchant to the last byte ------------------------------------------------------------------------------


def test_a_merchant_has_a_customer_forgotten(make_platform):
    """Nothing that tells who it was is left anywhere; the books are as they were."""
    platform = make_platform()
    merchant = Merchant(platform)
    store_id = merchant.open(name="Corner Shop")
    until(lambda: platform.postgres.rows("select 1 from store_data.store_profile where store_id = %s", (store_id,)))
    shop = Owner(platform).open_shop(store_id=store_id)
    user_id, orders = person(shop, 4)
    other = make(shop, name="Rahim", phone="01899999999", email="rahim@example.com")
    order = goods.order(shop, customer_id=other["user_id"], shipping_address={"name": "Rahim"})
    books = [shop.get(f"{ORDERS}/{order_id}").json()["data"] for order_id in orders if order_id != orders[1]]
    rest = goods.run(platform, "select data from outbox where resource_type = 'order' and resource_id = %s", order["order_id"])
    places = found(platform, WORDS)
    assert {table for table, _, _ in places} >= {"customer", "store_order", "order_status_history", "event", "idempotency"}
    assert {word for _, _, word in places} == set(WORDS)

    asked = wish(merchant, shop, "redact", user_id)
    assert (asked["kind"], asked["told_at"], asked["completed_at"]) == ("redact", None, None)
    [done] = until(lambda: (rows := requests(merchant, shop)) and rows[0]["completed_at"] and rows)
    assert done["privacy_request_id"] == asked["privacy_request_id"] and asked["created_at"] <= done["told_at"] <= done["completed_at"]
    assert told(platform, store_id) == [("customers/redact", {
        "privacy_request_id": asked["privacy_request_id"], "store_id": store_id, "redact_requested_at": asked["created_at"],
        "customer": {"id": user_id, "email": "jahan@example.com", "phone": "+8801712345678"}})]

    assert found(platform, WORDS) == []
    for before in books:
        after = shop.get(f"{ORDERS}/{before['order_id']}").json()["data"]
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"note", "metadata", "shipping_address", "tracking_code", "courier_id"} and after["user_id"] == user_id
        assert all(after[name] is None for name in changed)
        assert [move["note"] for move in shop.get(f"{ORDERS}/{before['order_id']}/history").json()["data"]] == [None, None]
    is_error(shop.get(f"{CUSTOMERS}/{user_id}"), 404, "not_found")
    for word in ("Nusrat", "1712345678", "jahan@"):
        assert shop.get(CUSTOMERS, params={"search": word, "include_guests": "true"}).json()["data"] == []
    again = shop.get(f"{CUSTOMERS}/{other['user_id']}").json()["data"]
    assert (again["name"], again["total_orders"], again["phone"]) == ("Rahim", 1, "+8801899999999")
    assert goods.run(platform, "select data from outbox where resource_type = 'order' and resource_id = %s", order["order_id"]) == rest
    assert shop.get(f"{ORDERS}/{order['order_id']}").json()["data"]["shipping_address"] == {"name": "Rahim"}
    verify(shop)
    assert platform.call("store-data.counts.verify", store_id=store_id)["ok"] is True


def test_a_replay_after_it_is_still_a_replay(platform, mine):
    _, shop = mine
    user_id, [order_id] = person(shop, 1)
    body = {"customer_id": user_id, "items": [{"name": "Gift card", "price": 10.5, "quantity": 2}], "note": "gate note",
            "metadata": {"payer": "bKash-01712345678"},
            "shipping_address": {"name": "Nusrat", "phone": "+8801712345678", "address": "Dhanmondi"}}
    redact(platform, shop, user_id)
    answer = shop.post(ORDERS, body, headers={"Idempotency-Key": "order-0"})
    assert answer.status_code == 201 and answer.headers["Idempotent-Replayed"] == "true"
    data = answer.json(parse_float=Decimal)["data"]
    assert (data["order_id"], data["grand_total"], data["shipping_address"], data["note"]) == (order_id, Decimal("21.00"), None, None)
    assert data["items"][0]["name"] == "Gift card" and answer.json()["status"] == 201
    is_error(shop.post(ORDERS, {**body, "note": "x"}, headers={"Idempotency-Key": "order-0"}), 409, "idempotency_conflict")
    assert shop.get(ORDERS).json()["pagination"]["total"] == 1


def test_the_events_that_are_left(platform, mine):
    _, shop = mine
    user_id, [order_id] = person(shop, 1)
    count = len(goods.events(shop))
    redact(platform, shop, user_id)
    events = goods.events(shop)
    assert len(events) == count
    updated = next(data for topic, data in events if topic == "order.updated")
    assert (updated["order_id"], updated["customer_name"], updated["phone"], updated["tracking_id"], updated["grand_total"]) == (
        order_id, None, None, None, 21)
    changed = updated.get("changed", updated.get("changes"))
    assert changed["note"] == changed["tracking_code"] == {"old": None, "new": None} and changed["courier"]["new"] == "Pathao"
    renamed = next(data for topic, data in events if topic == "customer.updated")
    assert (renamed["name"], renamed["email"], renamed["changed"], renamed["user_id"]) == ("", None, {"name": {"old": None, "new": None}}, user_id)


def test_a_data_request_is_told_with_how_to_reach_them(platform, mine):
    merchant, shop = mine
    user_id, _ = person(shop, 1)
    asked = wish(merchant, shop, "data-request", user_id)
    [done] = until(lambda: (rows := requests(merchant, shop)) and rows[0]["completed_at"] and rows)
    assert done["kind"] == "data_request" and done["told_at"] == done["completed_at"]
    assert told(platform, shop.store_id) == [("customers/data_request", {
        "privacy_request_id": asked["privacy_request_id"], "store_id": shop.store_id, "requested_at": asked["created_at"],
        "customer": {"id": user_id, "email": "jahan@example.com", "phone": "+8801712345678"}})]
    assert shop.get(f"{CUSTOMERS}/{user_id}").status_code == 200


def test_what_one_customer_asks_is_done_in_that_order(platform, mine):
    """After an erasing nobody can be reached any more, however soon the next was asked."""
    merchant, shop = mine
    user_id, _ = person(shop, 1)
    for path in ("data-request", "redact", "data-request", "redact"):
        wish(merchant, shop, path, user_id)
    until(lambda: all(row["completed_at"] for row in requests(merchant, shop)))
    events, asked = told(platform, shop.store_id), requests(merchant, shop)[::-1]
    assert [topic for topic, _ in events] == ["customers/data_request", "customers/redact"] * 2
    assert [row["privacy_request_id"] for row in asked] == [data["privacy_request_id"] for _, data in events]
    assert [row["completed_at"] <= following["told_at"] for row, following in zip(asked, asked[1:])] == [True] * 3
    known, nobody = {"id": user_id, "email": "jahan@example.com", "phone": "+8801712345678"}, {"id": user_id, "email": None, "phone": None}
    assert [data["customer"] for _, data in events] == [known, known, nobody, nobody]


def test_whom_the_store_never_had(platform, mine, owner):
    merchant, shop = mine
    theirs = make(owner.open_shop(), name="Theirs", phone="01712300001")
    for customer_id in (2**60, theirs["user_id"]):
        wish(merchant, shop, "redact", customer_id)
    until(lambda: len(rows := requests(merchant, shop)) == 2 and all(row["completed_at"] for row in rows))
    assert [data["customer"] for _, data in told(platform, shop.store_id)] == [
        {"id": customer_id, "email": None, "phone": None} for customer_id in (2**60, theirs["user_id"])]
    assert goods.run(platform, "select name from customer where user_id = %s", theirs["user_id"]) == [("Theirs",)]
    assert goods.run(platform, "select 1 from redaction where store_id = %s", shop.store_id) == []
    errors = []
    for customer_id in (2**60, theirs["user_id"]):
        with pytest.raises(RpcError) as error:
            platform.call("store-data.customers.export", store_id=shop.store_id, customer_id=customer_id)
        errors.append((error.value.status, error.value.code, error.value.message))
    assert errors[0] == errors[1] and errors[0][0] == 404


def test_who_may_look_at_the_requests(platform, mine, owner):
    merchant, shop = mine
    for number in range(1, 6):
        wish(merchant, shop, "redact", 2**50 + number)
    path = f"/api/stores/{shop.store_id}/privacy/requests"
    refused(Merchant(platform).ask("GET", path), 404, "not_found")
    refused(platform.get(path), 401, "missing_token")
    refused(shop.get(path), 401, "missing_auth")
    seen, cursor = [], None
    while True:
        body = merchant.ask("GET", path, params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [row["customer_id"] for row in body["data"]]
        cursor = body["pagination"]["next_cursor"]
        if not cursor:
            break
    assert seen == [2**50 + number for number in range(5, 0, -1)] and body["pagination"]["total"] == 5
    refused(merchant.ask("GET", path + "?cursor=x"), 400, "validation_error")
    helper = Merchant(platform)
    answer = merchant.ask("POST", f"/api/stores/{shop.store_id}/members", {"email": helper.email, "permissions": ["apps__manage_apps"]})
    assert answer.status_code == 201, answer
    refused(helper.ask("GET", path), 403, "forbidden")                       # the owner's alone


# ---- export ----------------------------------------------------------------------------------------------------------


def exported(platform, shop, user_id):
    """All pages, put together."""
    whole, more = {"orders": [], "history": [], "metafields": [], "events": []}, {}
    while True:
        page = platform.call("store-data.customers.export", store_id=shop.store_id, customer_id=user_id, **more)
        for part, rows in whole.items():
            assert len(page[part]) <= 100
            rows += page[part]
        if page["next_part"] is None:
            return {**whole, "customer": page["customer"]}
        more = {"part": page["next_part"], "after": page["next_after"], "after_id": page["next_after_id"]}


def test_an_export_holds_everything(platform, mine):
    _, shop = mine
    user_id, orders = person(shop, 3)
    goods.order(shop)
    page = exported(platform, shop, user_id)
    assert [order["order_id"] for order in page["orders"]] == orders
    assert (page["customer"]["name"], page["customer"]["phone"], page["customer"]["deleted_at"]) == ("Nusrat J", "+8801712345678", None)
    assert [order["deleted_at"] is None for order in page["orders"]] == [True, False, True]
    assert [(row["order_id"], row["value"]) for row in page["metafields"]] == [(None, "tall-with-hat"), (orders[0], "tall-with-hat")]
    assert [(row["app_id"], row["name"], row["properties"]) for row in page["events"]] == [(shop.app_id, "seen", {"who": "tall-with-hat"})]
    for order in page["orders"]:
        assert order["shipping_address"]["name"] == "Nusrat" and order["items"][0]["quantity"] == 2
        assert [row["note"] for row in page["history"] if row["order_id"] == order["order_id"]][-1] == "door-code told by Nusrat"
    shop.delete(f"{CUSTOMERS}/{user_id}")
    assert platform.call("store-data.customers.export", store_id=shop.store_id, customer_id=user_id)["customer"]["deleted_at"]


def test_how_to_reach_somebody(platform, mine, owner):
    _, shop = mine
    user_id, _ = person(shop, 1)
    where = {"store_id": shop.store_id, "customer_id": user_id}
    known = {"email": "jahan@example.com", "phone": "+8801712345678"}
    assert platform.call("store-data.customers.contact", **where) == known
    shop.delete(f"{CUSTOMERS}/{user_id}")
    assert platform.call("store-data.customers.contact", **where) == known                # until it is erased
    nobody = {"email": None, "phone": None}
    assert platform.call("store-data.customers.contact", store_id=owner.open_store(), customer_id=user_id) == nobody
    redact(platform, shop, user_id)
    assert platform.call("store-data.customers.contact", **where) == nobody


def test_an_export_comes_in_pages(platform, mine):
    _, shop = mine
    user_id = make(shop, phone="01712300002")["user_id"]
    ids = goods.add_orders(shop, [("completed", "2026-01-01", "2026-01-01", n, user_id, None) for n in range(250)])
    goods.run(platform, "insert into order_status_history (store_id, order_id, status, created_at) select %s, %s, 'm' || i, now() from "
              "generate_series(1, 1050) as i", shop.store_id, ids[3])
    goods.run(platform, "insert into metafield_value (store_id, app_id, definition_id, resource_type, resource_id, value, created_at, updated_at) "
              "select %s, %s, i, k.kind::\"char\", k.id, k.kind || i, now(), now() from generate_series(1, 1030) as i, (values ('c', %s), ('o', %s)) as k (kind, id)",
              shop.store_id, shop.app_id, user_id, ids[7])
    goods.run(platform, "insert into app_event (store_id, app_id, name, occurred_at, customer_id, created_at) select %s, %s, 'e' || i, now(), %s, now() "
              "from generate_series(1, 230) as i", shop.store_id, shop.app_id, user_id)
    whole = exported(platform, shop, user_id)
    assert [order["order_id"] for order in whole["orders"]] == sorted(ids)
    moves = [row["status"] for row in whole["history"] if row["order_id"] == ids[3]]
    assert [status for status in moves if status.startswith("m")] == [f"m{i}" for i in range(1, 1051)]
    values = [(row["order_id"], row["value"]) for row in whole["metafields"]]
    assert len(values) == 2060 and set(values) == {(id, f"{kind}{i}") for kind, id in (("c", None), ("o", ids[7])) for i in range(1, 1031)}
    assert [row["name"] for row in whole["events"]] == [f"e{i}" for i in range(1, 231)]


# ---- erasing, whatever happens -----------------------------------------------------------------------------------------


def many_orders(platform, shop, user_id, count):
    """Orders with an address and a history, by SQL."""
    goods.run(platform, "with o as (insert into store_order (store_id, user_id, order_status, sub_total, tax, shipping, discount, grand_total, "
              "store_serial_order_no, shipping_address, note, created_at, updated_at) select %s, %s, 'completed', 1, 0, 0, 0, 1, 'M' || %s || '-' || i, "
              "'{\"name\": \"Nusrat\"}', 'gate note', now(), now() from generate_series(1, %s) as i returning store_id, order_id) "
              "insert into order_status_history (store_id, order_id, status, note, created_at) select store_id, order_id, 'completed', 'gate note', now() from o",
              shop.store_id, user_id, user_id, count)


def left(platform, shop):
    return goods.run(platform, "select count(*) from store_order where store_id = %s and note is not null", shop.store_id)[0][0]


@pytest.mark.parametrize("whose", ["customer", "store"])
def test_a_kill_in_the_middle(make_platform, whose):
    """The batches that are done stay done, the others follow; each order is looked at once."""
    platform = make_platform(durable=True)
    shop = Owner(platform).open_shop()
    user_id = make(shop, phone="01712345678", name="Nusrat")["user_id"]
    many_orders(platform, shop, user_id, 20000)
    operation, arguments = ("store-data.customers.redact", {"customer_id": user_id}) if whose == "customer" else ("store-data.stores.redact", {})
    assert platform.call(operation, store_id=shop.store_id, **arguments)["status"] == "running"
    kills = 0
    for share in (0.9, 0.6, 0.3):
        until(lambda share=share: left(platform, shop) < 20000 * share)
        if left(platform, shop) == 0:
            break
        platform["store-data-1"].kill()
        kills += 1
        until(lambda: not platform.postgres.backends("store-data"))
        before = left(platform, shop)
        assert before % 200 == 0                                                   # no half batch
        platform["store-data-1"].start()
        platform.wait_ready()
    assert kills >= 1
    done = until(lambda: (reply := platform.call(operation, store_id=shop.store_id, **arguments))["status"] == "completed" and reply)
    webhooks_done(platform, shop)
    assert done["orders"] == 20000 and left(platform, shop) == 0 and found(platform, WORDS) == []
    assert goods.run(platform, "select total_orders, total_spent from customer_total where user_id = %s", user_id) == [(20000, 20000)]
    verify(shop)
    assert platform.call("store-data.counts.verify", store_id=shop.store_id)["ok"] is True


def test_store_data_is_down_for_a_while(make_platform):
    """auth asks until it is done, also after it was killed itself."""
    platform = make_platform(durable=True)
    merchant = Merchant(platform)
    store_id = merchant.open(name="Corner Shop")
    until(lambda: platform.postgres.rows("select 1 from store_data.store_profile where store_id = %s", (store_id,)))
    shop = Owner(platform).open_shop(store_id=store_id)
    user_id, _ = person(shop, 1)
    platform["store-data-1"].kill()
    wish(merchant, shop, "redact", user_id)
    until(lambda: platform.postgres.rows("select 1 from auth.privacy_request where tries > 1"))
    assert told(platform, store_id) == [] and requests(merchant, shop)[0]["told_at"] is None
    platform["auth-1"].kill()
    platform["auth-1"].start()
    platform["store-data-1"].start()
    platform.wait_ready()
    until(lambda: requests(merchant, shop)[0]["completed_at"])
    assert [data["customer"]["email"] for _, data in told(platform, store_id)] == ["jahan@example.com"]
    assert found(platform, WORDS) == []


def test_an_order_that_is_being_placed_is_erased_too(platform, mine):
    """It holds the customer; the erasing waits for it, and afterwards there is no such customer to order for."""
    _, shop = mine
    user_id, _ = person(shop, 1)
    connection = platform.postgres.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("set search_path = store_data")
        cursor.execute("select from customer where user_id = %s for key share", (user_id,))
        platform.call("store-data.customers.redact", store_id=shop.store_id, customer_id=user_id)
        until(lambda: platform.postgres.rows("select 1 from pg_stat_activity where usename = 'store_data' and wait_event_type = 'Lock'"))
        cursor.execute("insert into store_order (store_id, user_id, order_status, sub_total, tax, shipping, discount, grand_total, store_serial_order_no, "
                       "shipping_address, created_at, updated_at) values (%s, %s, 'pending', 1, 0, 0, 0, 1, 'late', '{\"name\": \"Nusrat\"}', now(), now())",
                       (shop.store_id, user_id))
    connection.commit()
    connection.close()
    redact(platform, shop, user_id)
    assert goods.run(platform, "select shipping_address, user_id from store_order where store_id = %s and store_serial_order_no = 'late'",
                     shop.store_id) == [(None, user_id)]
    is_error(shop.post(ORDERS, {"customer_id": user_id, "items": [{"name": "x", "price": 1, "quantity": 1}]}), 404, "not_found")


def test_orders_and_changes_meanwhile(platform, mine):
    """Eight clients go on ordering and changing while the customer is erased: what was written before is gone."""
    _, shop = mine
    user_id, _ = person(shop, 1)
    many_orders(platform, shop, user_id, 3000)
    stop, codes = threading.Event(), []

    def work(number):
        while not stop.is_set():
            answer = shop.post(ORDERS, {"customer_id": user_id, "items": [{"name": "Card", "price": 1, "quantity": 1}], "note": "gate note",
                                        "shipping_address": {"name": "Nusrat"}})
            codes.append(answer.status_code)
            shop.put(f"{CUSTOMERS}/{user_id}", {"name": f"Nusrat {number}"})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: codes.count(201) > 20)
    redact(platform, shop, user_id)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(codes) == {201, 404}
    assert goods.run(platform, "select count(*) from store_order where store_id = %s and (note is not null or shipping_address is not null)", shop.store_id) == [(0,)]
    assert goods.run(platform, "select count(*) from outbox where store_id = %s and data::text like '%%Nusrat%%'", shop.store_id) == [(0,)]
    assert goods.run(platform, "select name, phone, email from customer where user_id = %s", user_id) == [("", None, None)]
    verify(shop)


def test_a_customer_whose_orders_never_stop(platform, mine):
    """There is always an order being placed for them, so nobody else ever has them alone; and yet it is their turn."""
    _, shop = mine
    user_id, _ = person(shop, 1)
    stop, held = threading.Event(), threading.Semaphore(0)

    def hold():
        connection = platform.postgres.connect()
        connection.autocommit = False
        with connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("select from store_data.customer where user_id = %s and deleted_at is null for key share", (user_id,))
                held.release()
                time.sleep(0.3)
                connection.commit()
        connection.close()

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
        held.acquire()
        time.sleep(0.07)
    platform.call("store-data.customers.redact", store_id=shop.store_id, customer_id=user_id)
    try:
        until(lambda: goods.run(platform, "select 1 from redaction where store_id = %s and completed_at is not null", shop.store_id), 8)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not [line for line in platform["store-data-1"].log_lines() if line["event"] == "redaction_delayed" and line["store_id"] == shop.store_id]


def test_asked_again(platform, mine):
    """An erasing that is done counts for what was asked before it, and is done again for what is asked later."""
    _, shop = mine
    user_id, [order_id] = person(shop, 1)
    first = redact(platform, shop, user_id)
    assert redact(platform, shop, user_id) == first
    assert redact(platform, shop, user_id, asked_at=first["created_at"]) == first
    shop.put(f"{ORDERS}/{order_id}", {"note": "Nusrat called"})
    second = redact(platform, shop, user_id, asked_at=first["completed_at"][:-1].replace("Z", "") + "Z")
    assert second["created_at"] >= first["completed_at"] and second["completed_at"] > first["completed_at"]
    assert shop.get(f"{ORDERS}/{order_id}").json()["data"]["note"] is None


def test_a_whole_store(make_platform):
    platform = make_platform()
    owner = Owner(platform)
    shop, other = owner.open_shop(), owner.open_shop()
    user_id, orders = person(shop, 3)
    goods.order(shop, note="gate note", shipping_address={"name": "Nusrat"})              # nobody's
    for number in range(450):
        goods.run(platform, "insert into customer (store_id, name) values (%s, 'Nusrat')", shop.store_id)
    theirs = make(other, name="Rahim", phone="01812312312")
    goods.order(other, customer_id=theirs["user_id"], note="Rahim's gate")
    redact_store(platform, shop)
    assert found(platform, WORDS) == []
    assert shop.get(CUSTOMERS, params={"include_guests": "true"}).json()["pagination"]["total"] == 0
    assert shop.get(ORDERS).json()["pagination"]["total"] == len(orders)                  # one of them was deleted, one is nobody's
    assert other.get(f"{CUSTOMERS}/{theirs['user_id']}").json()["data"]["name"] == "Rahim"
    assert other.get(ORDERS).json()["data"][0]["note"] == "Rahim's gate"
    verify(shop)
    with pytest.raises(RpcError) as error:
        platform.call("store-data.stores.redact", store_id=2**60)
    assert (error.value.status, error.value.code) == (404, "not_found")


def test_what_apps_kept_of_a_whole_store(make_platform):
    """Events that name nobody, more of them than go at once, and the keys of imported lines."""
    platform = make_platform()
    owner = Owner(platform)
    shop, other = owner.open_shop(), owner.open_shop()
    for one in (shop, other):
        goods.run(platform, "insert into app_event (store_id, app_id, name, occurred_at, properties, created_at) select %s, %s + i %% 2, 'seen', now(), "
                  "'{\"who\": \"tall-with-hat\"}', now() from generate_series(1, 1200) as i", one.store_id, one.app_id)
        goods.run(platform, "insert into bulk_key (store_id, app_id, resource, key, hash, id, created_at) select %s, %s, 'customers', 'jahan@' || i, 'x', i, now() "
                  "from generate_series(1, 1500) as i", one.store_id, one.app_id)
    until(lambda: platform.call("store-data.stores.redact", store_id=shop.store_id)["status"] == "completed")
    left = "select count(*), count(properties), (select count(*) from bulk_key where store_id = %s) from app_event where store_id = %s"
    assert goods.run(platform, left, shop.store_id, shop.store_id) == [(1200, 0, 0)]
    assert goods.run(platform, left, other.store_id, other.store_id) == [(1200, 1200, 1500)]


def test_an_import_ends_before_its_store_is_erased(make_platform):
    """What it has not made by then is never made."""
    platform = make_platform()
    shop = Owner(platform).open_shop()
    lines = "".join(json.dumps({"name": "Nusrat", "phone": f"0171{i:07}", "address_json": {"address": "Dhanmondi"}}) + "\n" for i in range(20000))
    start(shop, "customers", lines.encode())
    until(lambda: goods.run(platform, "select 1 from customer where store_id = %s limit 1", shop.store_id))
    assert goods.run(platform, "select status from bulk_job where store_id = %s", shop.store_id)[0][0] in ("queued", "running")
    redact_store(platform, shop)
    made = goods.run(platform, "select count(*) from customer where store_id = %s", shop.store_id)
    assert goods.run(platform, "select status, message from bulk_job where store_id = %s", shop.store_id) == [("failed", "The store was erased")]
    assert found(platform, ["Nusrat", "Dhanmondi"]) == []
    time.sleep(1)
    assert goods.run(platform, "select count(*) from customer where store_id = %s", shop.store_id) == made and made[0][0] < 20000


def metafield(shop, kind, resource_id, value, key):
    shop.post("/api/apps/v1/metafields/definitions", {"namespace": "n", "key": kind, "name": "x", "resource_type": kind, "value_type": "string"})
    body = {"metafields": [{"namespace": "n", "key": kind, "resource_type": kind, "resource_id": resource_id, "value": value}]}
    answer = shop.post("/api/apps/v1/metafields/values", body, headers={"Idempotency-Key": key})
    assert answer.status_code in (200, 201), answer
    return lambda: shop.post("/api/apps/v1/metafields/values", body, headers={"Idempotency-Key": key})


def test_a_value_that_is_being_kept_about_them(platform, mine):
    """The erasing has them: the value waits, and then there is no such customer."""
    _, shop = mine
    user_id = make(shop, phone="01712312399")["user_id"]
    connection = platform.postgres.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("set search_path = store_data")
        cursor.execute("select from customer where user_id = %s for update", (user_id,))
        shop.post("/api/apps/v1/metafields/definitions", {"namespace": "n", "key": "late", "name": "x", "resource_type": "customer", "value_type": "string"})
        answers = []
        thread = threading.Thread(target=lambda: answers.append(shop.post("/api/apps/v1/metafields/values", {"metafields": [
            {"namespace": "n", "key": "late", "resource_type": "customer", "resource_id": user_id, "value": "SECRET-3"}]})))
        thread.start()
        until(lambda: answers or platform.postgres.rows("select 1 from pg_stat_activity where usename = 'store_data' and wait_event_type = 'Lock'"))
        cursor.execute("update customer set deleted_at = now() where user_id = %s", (user_id,))
    connection.commit()
    connection.close()
    thread.join()
    is_error(answers[0], 404, "not_found")
    assert goods.run(platform, "select 1 from metafield_value where value = 'SECRET-3'") == []


@pytest.mark.parametrize("whose", ["customer", "store"])
def test_no_kept_answer_tells_of_them(make_platform, whose):
    platform = make_platform()
    shop = Owner(platform).open_shop()
    user_id, [order_id] = person(shop, 1)
    other = make(shop, name="Rahim", phone="01899999999")["user_id"]
    goods.run(platform, "delete from metafield_value where store_id = %s", shop.store_id)
    asked = [metafield(shop, "customer", user_id, "SECRET-1", "m1"), metafield(shop, "order", order_id, "SECRET-2", "m2")]
    theirs = metafield(shop, "customer", other, "theirs", "m3")
    goods.run(platform, "update idempotency set sealed = true, body = %s where store_id = %s and key = 'person'", b"\x00" * 60, shop.store_id)
    if whose == "customer":
        redact(platform, shop, user_id)
        assert theirs().headers["Idempotent-Replayed"] == "true"
    else:
        redact_store(platform, shop)
        assert goods.run(platform, "select count(*) from idempotency where store_id = %s and key like 'm_'", shop.store_id) == [(0,)]
    assert goods.run(platform, "select 1 from idempotency where store_id = %s and sealed", shop.store_id) == []
    assert found(platform, ["SECRET-1", "SECRET-2"]) == []
    assert all("Idempotent-Replayed" not in ask().headers for ask in asked)


def test_orders_they_placed_as_a_guest(make_platform):
    """Known by phone and e-mail, however these were written; other people's stay."""
    platform = make_platform()
    shop = Owner(platform).open_shop()
    user_id, _ = person(shop, 1)
    addresses = [{"name": "Nusrat", "phone": "017-1234 5678"}, {"name": "Nusrat", "phone": "+880 1712345678"},
                 {"name": "Nusrat", "phone": "০১৭১২৩৪৫৬৭৮"}, {"name": "Nusrat", "email": "Jahan@Example.com "},
                 {"name": "Nusrat", "phone": "٠١٧١٢٣٤٥٦٧٨"}, {"name": "Nusrat", "phone": "+۸۸۰۱۷۱۲۳۴۵۶۷۸"},
                 {"name": "Nusrat", "phone": "०१७१२ ३४५ ६७८"}, {"name": "Nusrat", "phone": "０１７１２３４５６７８"},
                 {"name": "Nusrat", "phone": "\u202a+880\u00a01712\u2011345678\u202c"}]
    for number, address in enumerate(addresses):
        goods.order(shop, note="gate note", shipping_address=address)
        answer = shop.post(ORDERS, {"items": [{"name": "x", "price": 1, "quantity": 1}], "shipping_address": address},
                           headers={"Idempotency-Key": f"guest-{number}"})
        assert answer.status_code == 201, answer
    left = goods.order(shop, note="Rahim", shipping_address={"name": "Rahim", "phone": "01812345678", "email": "rahim@example.org"})
    goods.run(platform, "insert into discount (store_id, code, is_amount, percentage, used, created_at, updated_at) values (%s, 'TEN', false, 10, 1, now(), now())",
              shop.store_id)
    goods.run(platform, "insert into discount_use (store_id, order_id, discount_id, phone, email, created_at) select store_id, order_id, (select discount_id "
              "from discount where store_id = %s), '+8801712345678', 'jahan@example.com', now() from store_order where store_id = %s and order_id = %s",
              shop.store_id, shop.store_id, left["order_id"])
    done = redact(platform, shop, user_id)
    assert done["orders"] == 19
    assert found(platform, WORDS + ["017-1234 5678", "0 1712345678", "০১৭১২৩৪৫৬৭৮", "٠١٧١٢٣٤٥٦٧٨", "۱۷۱۲۳۴۵۶۷۸", "०१७१२", "０１７１２", "1712\u2011345678", "Jahan@"]) == []
    kept = shop.get(f"{ORDERS}/{left['order_id']}").json()["data"]
    assert (kept["note"], kept["shipping_address"]["name"]) == ("Rahim", "Rahim")
    assert goods.run(platform, "select phone, email from discount_use where store_id = %s", shop.store_id) == [(None, None)]
    assert goods.run(platform, "select phone, email from redaction where store_id = %s", shop.store_id) == [(None, None)]


def test_an_app_that_left_leaves_the_stores_customers_alone(make_platform):
    """shop/redact tells the app to forget the store; the store has not left."""
    from .test_installations import Merchant as Installer
    platform = make_platform()
    merchant = Installer(platform)
    store_id = merchant.open_store()
    shop = Owner(platform).open_shop(store_id=store_id)
    made = make(shop, phone="01712300003")
    merchant.uninstall(merchant.install(merchant.make_app(), store_id)["installation_id"])
    until(lambda: platform.postgres.rows("select 1 from auth.uninstall where step = 4"))
    platform.set_clock(48 * 3600 + 1)
    until(lambda: platform.postgres.rows("select 1 from seen_auth.outbox where topic = 'shop/redact'"))
    time.sleep(1)
    assert goods.run(platform, "select 1 from redaction") == []
    assert goods.run(platform, "select name, phone from customer where user_id = %s", made["user_id"]) == [("Nusrat Jahan", "+8801712300003")]

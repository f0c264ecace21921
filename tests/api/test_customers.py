"""Customers: made, changed, deleted, alone and by many at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from . import goods
from .client import is_error
from .customers import CUSTOMERS, FIELDS, make, verify


def events(shop, user_id):
    return goods.run(shop.platform, "select topic, data from outbox where store_id = %s and resource_type = 'customer' and "
                     "resource_id = %s order by id", shop.store_id, user_id)


def ask(shop, method, path, body=None, **headers):
    return shop.request(method, path, json_body=body, headers=headers)


# ---- one -------------------------------------------------------------------------------------------------------------


def test_make_read_change_delete(shop):
    address = {"address": "House 12, Road 5", "city": "ঢাকা", "floor": 3}
    made = make(shop, email="Nusrat@Example.com", phone="01712345678", address_json=address)
    assert set(made) == FIELDS
    assert (made["name"], made["email"], made["phone"], made["address_json"], made["is_guest"], made["store_id"],
            made["total_orders"], made["total_spent"]) == (
        "Nusrat Jahan", "Nusrat@Example.com", "+8801712345678", address, 0, shop.store_id, 0, 0)
    path = f"{CUSTOMERS}/{made['user_id']}"
    assert shop.get(path).json()["data"] == made
    changed = shop.put(path, {"name": "N. Jahan", "email": None}).json()["data"]
    assert (changed["name"], changed["email"], changed["phone"], changed["address_json"]) == (
        "N. Jahan", None, "+8801712345678", address)
    assert changed["updated_at"] > made["updated_at"] and changed["created_at"] == made["created_at"]
    assert shop.delete(path).json()["data"] == {"user_id": made["user_id"]}
    for method in ("GET", "PUT", "DELETE"):
        is_error(ask(shop, method, path, {} if method == "PUT" else None), 404, "not_found")
    is_error(shop.get(path + "/orders"), 404, "not_found")
    verify(shop)


def test_the_events(shop):
    made = make(shop, phone="01712345670")
    path = f"{CUSTOMERS}/{made['user_id']}"
    changed = shop.put(path, {"name": "Nusrat", "phone": None, "email": "n@example.com",
                              "address_json": {"city": "Sylhet"}}).json()["data"]
    assert shop.put(path, {"name": "Nusrat", "address_json": {"city": "Sylhet"}}).json()["data"] == changed   # nothing new
    assert shop.put(path, {}).json()["data"] == changed
    shop.delete(path)
    (created, first), (updated, second) = events(shop, made["user_id"])
    assert (created, updated) == ("customer.created", "customer.updated")
    assert first == made
    assert second.pop("changed") == {
        "name": {"old": "Nusrat Jahan", "new": "Nusrat"}, "phone": {"old": "+8801712345670", "new": None},
        "email": {"old": None, "new": "n@example.com"}, "address_json": {"old": None, "new": {"city": "Sylhet"}}}
    assert second == changed


@pytest.mark.parametrize("sent, kept", [
    ("01712345678", "+8801712345678"), ("8801712345678", "+8801712345678"), ("+8801712345678", "+8801712345678"),
    ("008801712345678", "+8801712345678"), ("0044207946000", "+44207946000"), ("01012345678", "01012345678"),
    ("29876543", "29876543"), ("+12025550123", "+12025550123"), ("00000000", "+000000"),
])
def test_how_phone_numbers_are_kept(shop, sent, kept):
    made = make(shop, phone=sent)
    assert made["phone"] == kept
    assert shop.put(f"{CUSTOMERS}/{made['user_id']}", {"phone": sent}).json()["data"] == made
    is_error(shop.post(CUSTOMERS, {"name": "Other", "phone": kept if len(kept) > 8 else sent}), 409, "duplicate_phone")


def test_who_has_neither_is_a_guest(shop):
    guest = make(shop)
    assert (guest["is_guest"], guest["phone"], guest["email"]) == (1, None, None)
    path = f"{CUSTOMERS}/{guest['user_id']}"
    assert shop.put(path, {"email": "g@example.com"}).json()["data"]["is_guest"] == 0
    assert shop.put(path, {"email": None}).json()["data"]["is_guest"] == 1
    assert verify(shop)["customers"] == 1


def test_duplicates(shop, owner):
    first = make(shop, phone="01711111111", email="first@example.com")
    second = make(shop, phone="01722222222", email="second@example.com")
    path = f"{CUSTOMERS}/{second['user_id']}"
    for body, code in (({"phone": "+8801711111111"}, "duplicate_phone"), ({"email": "FIRST@Example.com"}, "duplicate_email"),
                       ({"phone": "8801711111111", "email": "first@example.com"}, "duplicate_phone")):
        field = code.partition("_")[2]
        for answer in (shop.post(CUSTOMERS, {"name": "X", **body}), shop.put(path, body)):
            assert is_error(answer, 409, code)["errors"][0]["field"] == field
    assert shop.get(path).json()["data"] == second
    assert len(events(shop, second["user_id"])) == 1
    shop.delete(f"{CUSTOMERS}/{first['user_id']}")                    # what was the first one's is free now
    assert shop.put(path, {"phone": "01711111111"}).status_code == 200
    make(owner.open_shop(), phone="01711111111")                      # and another store's anyway
    verify(shop)


def test_words_are_kept_byte_for_byte(shop):
    for word in ("مرحبا بالعالم", "שלום", "👩‍👩‍👧‍👦 family", "নুসরাত জাহান", "=1+1", "'; drop table customer; --", "%_\\", "a\u202eb",
                 "İstanbul", "x" * 255, "ক" * 255, "\U0001F600" * 255, " "):
        made = make(shop, name=word, address_json={"note": word, word[:64]: [word[:10], None, 1.50]})
        assert made["name"] == word and made["address_json"]["note"] == word
        assert shop.get(f"{CUSTOMERS}/{made['user_id']}").json()["data"] == made
        found = shop.get(CUSTOMERS, params={"search": word[:100], "include_guests": "true", "limit": 250}).json()["data"]
        assert made["user_id"] in [row["user_id"] for row in found], word
    verify(shop)


@pytest.mark.parametrize("body, field", [
    ({}, "name"), ({"name": ""}, "name"), ({"name": None}, "name"), ({"name": 7}, "name"), ({"name": "x" * 256}, "name"),
    ({"name": "a", "email": "no"}, "email"), ({"name": "a", "email": ""}, "email"), ({"name": "a", "email": "a@b"}, "email"),
    ({"name": "a", "email": "x" * 300 + "@example.com"}, "email"),
    ({"name": "a", "phone": "12"}, "phone"), ({"name": "a", "phone": "01712-345678"}, "phone"), ({"name": "a", "phone": 1712345678}, "phone"),
    ({"name": "a", "phone": "٠١٧١٢٣٤٥٦٧٨"}, "phone"),
    ({"name": "a", "address_json": []}, "address_json"), ({"name": "a", "address_json": "Dhaka"}, "address_json"),
    ({"name": "a", "address_json": {str(n): 1 for n in range(51)}}, "address_json"),
    ({"name": "a", "address_json": {"city": "x" * 256}}, "address_json.city"),
])
def test_bad_bodies(shop, body, field):
    made = make(shop)
    answers = [shop.post(CUSTOMERS, body)]
    if body:
        answers.append(shop.put(f"{CUSTOMERS}/{made['user_id']}", body))
    for answer in answers:
        assert is_error(answer, 400, "validation_error")["errors"][0]["field"] == field
    assert shop.get(f"{CUSTOMERS}/{made['user_id']}").json()["data"] == made


def test_no_zero_byte_gets_in(shop):
    for text in ('{"name": "a\\u0000b"}', '{"name": "a", "address_json": {"a": "\\u0000"}}', '{"name": "a", "address_json": {"\\u0000": 1}}',
                 '{"name": "a\\ud800"}', '[]', '"x"', ''):
        answer = shop.request("POST", CUSTOMERS, body=text)
        assert answer.status_code == 400, answer
    is_error(shop.request("POST", CUSTOMERS, body='{"name": "' + "x" * 2000000 + '"}'), 413, "payload_too_large")
    assert shop.get(CUSTOMERS, params={"include_guests": "true"}).json()["pagination"]["total"] == 0


def test_another_stores_customer_is_not_there(owner, shop):
    theirs = make(owner.open_shop(), phone="01733333333")["user_id"]
    for method, tail in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/orders")):
        answers = [is_error(ask(shop, method, f"{CUSTOMERS}/{n}{tail}", {"name": "Mine"} if method == "PUT" else None), 404,
                            "not_found") for n in (theirs, 2**60)]
        assert answers[0] == answers[1]
    for bad in ("0", "-1", "x", str(2**63), "1.5", "%00", "'"):
        for method, tail in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/orders")):
            answer = ask(shop, method, f"{CUSTOMERS}/{bad}{tail}", {} if method == "PUT" else None)
            assert (answer.status_code, answer.json()["code"]) in ((400, "validation_error"), (404, "not_found")), answer
    assert shop.get(CUSTOMERS, params={"search": "01733333333"}).json()["data"] == []


def test_scopes(owner):
    reader, writer = owner.open_shop(scopes=["read:customers"]), owner.open_shop(scopes=["write:customers"])
    made = make(writer)
    is_error(writer.get(CUSTOMERS), 403, "insufficient_scope")
    is_error(reader.post(CUSTOMERS, {"name": "x"}), 403, "insufficient_scope")
    assert reader.get(CUSTOMERS).status_code == 200
    is_error(writer.get(f"{CUSTOMERS}/{made['user_id']}"), 403, "insufficient_scope")
    for method in ("PUT", "DELETE"):
        is_error(ask(reader, method, f"{CUSTOMERS}/1", {} if method == "PUT" else None), 403, "insufficient_scope")
    is_error(reader.get(f"{CUSTOMERS}/1/orders"), 403, "insufficient_scope")            # orders need their own scope
    is_error(owner.open_shop(scopes=["read:orders"]).get(f"{CUSTOMERS}/1/orders"), 403, "insufficient_scope")


def test_if_match(shop):
    made = make(shop)
    path = f"{CUSTOMERS}/{made['user_id']}"
    tag = shop.get(path).headers["ETag"]
    assert shop.put(path, {"name": "One"}, headers={"If-Match": tag}).status_code == 200
    for answer in (shop.put(path, {"name": "Two"}, headers={"If-Match": tag}), shop.delete(path, headers={"If-Match": tag})):
        is_error(answer, 412, "precondition_failed")
        assert answer.headers["ETag"] == shop.get(path).headers["ETag"]
    tag = shop.get(path).headers["ETag"]
    goods.order(shop, customer_id=made["user_id"])                    # total_orders is part of what GET answers
    is_error(shop.delete(path, headers={"If-Match": tag}), 412, "precondition_failed")
    assert shop.delete(path, headers={"If-Match": shop.get(path).headers["ETag"]}).status_code == 200


def test_an_idempotency_key(shop):
    body, headers = {"name": "Once", "phone": "01744444444"}, {"Idempotency-Key": "once"}
    first, again = (shop.post(CUSTOMERS, body, headers=headers) for _ in range(2))
    assert first.content == again.content and again.headers["Idempotent-Replayed"] == "true"
    is_error(shop.post(CUSTOMERS, {**body, "name": "Other"}, headers=headers), 409, "idempotency_conflict")


# ---- many at once ----------------------------------------------------------------------------------------------------


def together(count, work):
    start = threading.Barrier(count)

    def one(number):
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_64_make_the_same_phone(shop):
    ways = ["01755555555", "8801755555555", "+8801755555555", "008801755555555"]
    answers = together(64, lambda n: shop.post(CUSTOMERS, {"name": f"C{n}", "phone": ways[n % 4]}))
    made = [answer for answer in answers if answer.status_code == 201]
    assert len(made) == 1
    for answer in answers:
        if answer not in made:
            is_error(answer, 409, "duplicate_phone")
    assert verify(shop)["customers"] == 1
    assert len(goods.run(shop.platform, "select 1 from outbox where store_id = %s and topic = 'customer.created'", shop.store_id)) == 1


def test_64_orders_and_makers_of_one_customer(shop):
    """An order finds or makes the customer, whoever else makes them at the same time."""
    def work(number):
        if number % 2:
            return shop.post(CUSTOMERS, {"name": "Same", "phone": "01766666666"}).status_code
        return shop.post("/api/apps/v1/orders", {"customer": {"name": "Same", "phone": "+8801766666666"},
                                                 "items": [{"name": "Card", "price": 10, "quantity": 1}]}).status_code

    codes = together(64, work)
    assert set(codes[::2]) == {201} and set(codes[1::2]) <= {201, 409} and codes[1::2].count(201) <= 1
    [customer] = shop.get(CUSTOMERS).json(parse_float=Decimal)["data"]
    assert (customer["total_orders"], customer["total_spent"]) == (32, Decimal("320.00"))
    verify(shop)


def test_32_orders_at_once_for_one_customer(shop):
    user_id = make(shop, phone="01777777777")["user_id"]
    orders = together(32, lambda n: goods.order(shop, customer_id=user_id, items=[{"name": "Card", "price": 10 + n, "quantity": 1}]))
    customer = shop.get(f"{CUSTOMERS}/{user_id}").json()["data"]
    assert (customer["total_orders"], customer["total_spent"]) == (32, sum(order["grand_total"] for order in orders))
    verify(shop)

    def end(number):
        path = f"/api/apps/v1/orders/{orders[number]['order_id']}"
        return (shop.delete(path) if number % 2 else shop.put(path + "/status", {"status": "cancelled"})).status_code

    assert together(32, end) == [200] * 32
    customer = shop.get(f"{CUSTOMERS}/{user_id}").json()["data"]
    assert (customer["total_orders"], customer["total_spent"]) == (0, 0)
    verify(shop)


def test_what_counts_as_spent(shop):
    user_id = make(shop, phone="01788888888")["user_id"]
    path = f"{CUSTOMERS}/{user_id}"

    def totals():
        verify(shop)
        customer = shop.get(path).json(parse_float=Decimal)["data"]
        return customer["total_orders"], customer["total_spent"]

    first, second, third = (goods.order(shop, customer_id=user_id, items=[{"name": "Card", "price": price, "quantity": 3}])["order_id"]
                            for price in (0.10, 19.99, 500))
    goods.order(shop)                                                                     # nobody's
    assert totals() == (3, Decimal("1560.27"))
    for status in ("confirmed", "processing", "shipped", "delivered"):
        shop.put(f"/api/apps/v1/orders/{third}/status", {"status": status})
    assert totals() == (3, Decimal("1560.27"))
    shop.put(f"/api/apps/v1/orders/{third}/status", {"status": "refunded"})
    assert totals() == (3, Decimal("60.27"))
    shop.put(f"/api/apps/v1/orders/{first}/status", {"status": "cancelled"})
    assert totals() == (2, Decimal("59.97"))
    shop.put(f"/api/apps/v1/orders/{second}", {"items": [{"name": "Card", "price": 1.01, "quantity": 1}]})
    assert totals() == (2, Decimal("1.01"))
    shop.delete(f"/api/apps/v1/orders/{second}")
    assert totals() == (1, 0)
    goods.run(shop.platform, "update store_order set user_id = null where order_id = %s", third)
    assert totals() == (0, 0)


def test_the_totals_of_a_bulk_by_sql(platform, shop):
    platform.call("store-data.stores.fill", store_id=shop.store_id, kind="demo", orders=400)
    verify(shop)
    goods.run(platform, "update store_order set order_status = 'cancelled' where store_id = %s and order_id %% 3 = 0", shop.store_id)
    goods.run(platform, "update store_order set deleted_at = now() where store_id = %s and order_id %% 5 = 0", shop.store_id)
    goods.run(platform, "update store_order set user_id = (select min(user_id) from customer where store_id = %s) where store_id = %s "
              "and order_id %% 7 = 0", shop.store_id, shop.store_id)
    verify(shop)
    goods.run(platform, "update customer_total set total_spent = total_spent + 0.01 where store_id = %s", shop.store_id)
    assert platform.call("store-data.customers.verify", store_id=shop.store_id)["ok"] is False


# ---- orders of a customer, customers of an order ------------------------------------------------------------------------


def test_the_orders_of_a_customer(shop):
    mine, other = make(shop, phone="01799999991")["user_id"], make(shop, phone="01799999992")["user_id"]
    wanted = [goods.order(shop, customer_id=mine)["order_id"] for _ in range(7)][::-1]
    goods.order(shop, customer_id=other)
    gone = goods.order(shop, customer_id=mine)["order_id"]
    shop.delete(f"/api/apps/v1/orders/{gone}")
    path, walked, cursor = f"{CUSTOMERS}/{mine}/orders", [], None
    while True:
        body = shop.get(path, params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        assert body["pagination"]["total"] == 7
        walked += [order["order_id"] for order in body["data"]]
        cursor = body["pagination"]["next_cursor"]
        if not cursor:
            break
    assert walked == wanted
    assert [order["order_id"] for page in (1, 2, 3, 4) for order in shop.get(path, params={"limit": 3, "page": page}).json()["data"]] == wanted
    cursor = shop.get(path, params={"limit": 3}).json()["pagination"]["next_cursor"]
    is_error(shop.get(f"{CUSTOMERS}/{other}/orders", params={"cursor": cursor}), 400, "validation_error")


def test_an_order_finds_the_customer_however_the_phone_is_written(shop):
    made = make(shop, phone="01712121212")
    order = goods.order(shop, customer={"name": "Nusrat J.", "phone": "8801712121212"})
    assert order["user_id"] == made["user_id"]
    topic, data = events(shop, made["user_id"])[-1]
    assert topic == "customer.updated" and data["changed"] == {"name": {"old": "Nusrat Jahan", "new": "Nusrat J."}}
    assert set(data) == FIELDS | {"changed"}
    fresh = goods.order(shop, customer={"name": "New", "phone": "01713131313"})
    [(topic, data)] = events(shop, fresh["user_id"])
    assert topic == "customer.created" and set(data) == FIELDS and data["phone"] == "+8801713131313"


def test_the_orders_of_a_deleted_customer_stay(shop):
    user_id = make(shop, phone="01714141414")["user_id"]
    order_id = goods.order(shop, customer_id=user_id)["order_id"]
    assert shop.delete(f"{CUSTOMERS}/{user_id}").status_code == 200
    assert shop.get(f"/api/apps/v1/orders/{order_id}").json()["data"]["user_id"] == user_id
    is_error(shop.post("/api/apps/v1/orders", {"customer_id": user_id, "items": [{"name": "x", "price": 1, "quantity": 1}]}), 404,
             "not_found")
    again = goods.order(shop, customer={"name": "Again", "phone": "01714141414"})
    assert again["user_id"] != user_id
    verify(shop)


def test_an_address_sent_back_otherwise_written_changes_nothing(shop):
    made = shop.post(CUSTOMERS, {"name": "K", "address_json": {"zip": 1207, "city": "Dhaka", "at": {"x": 2, "y": 0.5}}}).json()["data"]
    path = f"{CUSTOMERS}/{made['user_id']}"
    again = shop.put(path, body='{"address_json": {"at": {"y": 5e-1, "x": 2.0}, "city": "Dhaka", "zip": 1207}}').json()["data"]
    assert again == made and len(events(shop, made["user_id"])) == 1
    assert shop.put(path, {"address_json": {"zip": "1207", "city": "Dhaka", "at": {"x": 2, "y": 0.5}}}).json()["data"] != made
    assert len(events(shop, made["user_id"])) == 2

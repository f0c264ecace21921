"""Discount codes: made, found, tried out, used by orders within their limits, given back."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from . import goods
from .client import is_error
from .shop import Owner

DISCOUNTS = "/api/apps/v1/discounts"
ORDERS = "/api/apps/v1/orders"


def data(answer, status=200):
    assert answer.status_code == status, answer
    return answer.json(parse_float=Decimal)["data"]


def make(shop, code="EID10", **fields):
    if not {"percentage", "amount", "free_shipping_on"} & set(fields):
        fields["percentage"] = 10
    return data(shop.post(DISCOUNTS, {"code": code, **fields}), 201)


def place(shop, price=1000, **fields):
    return shop.post(ORDERS, {"items": [{"name": "Saree", "price": price, "quantity": 1}], **fields})


def used(shop, discount):
    return data(shop.get(f"{DISCOUNTS}/{discount['discount_id']}"))["used"]


def refused(answer, reason):
    body = is_error(answer, 409, "invalid_discount")
    assert body["reason"] == reason and body["errors"][0]["field"] == "discount_code"


def trial(shop, code="EID10", **params):
    return data(shop.get(f"{DISCOUNTS}/validate/{code}", params=params))


def verified(shop):
    answer = shop.platform.call("store-data.discounts.verify", store_id=shop.store_id)
    assert answer["ok"] and answer["differences"] == [], answer
    return answer


# ---- the code itself --------------------------------------------------------------------------------------------------


def test_made_read_changed_deleted(shop):
    made = make(shop, " eid-10 ", percentage=12.5, maximum_discount_amount=500, minimum_order_value=100, total_use=9, use_per_user=1,
                starts_at="2026-01-01T00:00:00Z", ends_at="2099-01-01T00:00:00Z")
    assert (made["code"], made["is_amount"], made["amount"], made["percentage"]) == ("EID-10", 0, None, Decimal("12.50"))
    assert (made["free_shipping_on"], made["is_active"], made["used"], made["store_id"]) == (0, 1, 0, shop.store_id)
    assert made["starts_at"] == "2026-01-01T00:00:00.000Z"
    path = f"{DISCOUNTS}/{made['discount_id']}"
    assert data(shop.get(path)) == made
    changed = data(shop.put(path, {"amount": 50, "total_use": None, "is_active": False}))
    assert (changed["is_amount"], changed["amount"], changed["percentage"], changed["total_use"], changed["is_active"]) == (1, 50, None, None, 0)
    assert changed["use_per_user"] == 1 and changed["updated_at"] >= made["updated_at"]
    assert data(shop.put(path, {"amount": 50}))["updated_at"] == changed["updated_at"]      # nothing changed
    assert data(shop.delete(path))["discount_id"] == made["discount_id"]
    for answer in shop.get(path), shop.put(path, {"amount": 1}), shop.delete(path):
        is_error(answer, 404, "not_found")
    verified(shop)


def test_a_code_is_there_once(shop):
    first, second = make(shop, "eid"), make(shop, "PUJA")
    for code in "EID", "eid", "\tEid  ":
        is_error(shop.post(DISCOUNTS, {"code": code, "amount": 1}), 409, "duplicate_code")
        is_error(shop.put(f"{DISCOUNTS}/{second['discount_id']}", {"code": code}), 409, "duplicate_code")
    assert data(shop.put(f"{DISCOUNTS}/{first['discount_id']}", {"code": "eid"}))["code"] == "EID"
    other = Owner(shop.platform).open_shop()
    make(other, "EID")
    data(shop.delete(f"{DISCOUNTS}/{first['discount_id']}"))
    again = make(shop, "EID", amount=5)
    assert again["discount_id"] != first["discount_id"] and trial(shop, "eid")["discount"]["discount_id"] == again["discount_id"]


def test_the_same_code_by_many_at_once(shop):
    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda _: shop.post(DISCOUNTS, {"code": "ONE", "amount": 1}).status_code, range(16)))
    assert sorted(codes) == [201] + [409] * 15
    verified(shop)


@pytest.mark.parametrize("body, field", [
    ({"percentage": 1}, "code"), ({"code": "  ", "percentage": 1}, "code"), ({"code": "x" * 65, "percentage": 1}, "code"),
    ({"code": "a\nb", "percentage": 1}, "code"), ({"code": 5, "percentage": 1}, "code"), ({"code": "A"}, "percentage"),
    ({"code": "A", "percentage": 100.01}, "percentage"), ({"code": "A", "percentage": -1}, "percentage"),
    ({"code": "A", "percentage": 1.005}, "percentage"), ({"code": "A", "percentage": "5"}, "percentage"),
    ({"code": "A", "amount": 0}, "amount"), ({"code": "A", "amount": 0.001}, "amount"), ({"code": "A", "amount": -5}, "amount"),
    ({"code": "A", "amount": 1, "percentage": 1}, "percentage"), ({"code": "A", "is_amount": True}, "amount"),
    ({"code": "A", "is_amount": True, "percentage": 5}, "percentage"), ({"code": "A", "is_amount": False, "amount": 5}, "amount"),
    ({"code": "A", "amount": 1, "total_use": 0}, "total_use"), ({"code": "A", "amount": 1, "use_per_user": 1.5}, "use_per_user"),
    ({"code": "A", "amount": 1, "minimum_order_value": -1}, "minimum_order_value"),
    ({"code": "A", "percentage": 1, "maximum_discount_amount": 0}, "maximum_discount_amount"),
    ({"code": "A", "amount": 1, "starts_at": "2026-02-01T00:00:00Z", "ends_at": "2026-02-01T00:00:00Z"}, "ends_at"),
    ({"code": "A", "amount": 1, "starts_at": "2026-02-02T00:00:00Z", "ends_at": "2026-02-01T00:00:00Z"}, "ends_at"),
    ({"code": "A", "amount": 1, "starts_at": "yesterday"}, "starts_at"), ({"code": "A", "amount": 1, "is_active": "yes"}, "is_active"),
])
def test_a_bad_discount_names_its_field(shop, body, field):
    body = is_error(shop.post(DISCOUNTS, body), 400, "validation_error")
    assert field in [error["field"] for error in body["errors"]]
    assert shop.get(DISCOUNTS).json()["pagination"]["total"] == 0


def test_a_change_is_checked_as_a_whole(shop):
    path = f"{DISCOUNTS}/{make(shop, ends_at='2026-03-01T00:00:00Z')['discount_id']}"
    before = data(shop.get(path))
    for body in ({"starts_at": "2026-03-01T00:00:00Z"}, {"percentage": None}, {"is_amount": True}, {"amount": 5, "percentage": 5},
                 {"code": ""}, {"code": None}):
        is_error(shop.put(path, body), 400, "validation_error")
    assert data(shop.get(path)) == before
    assert data(shop.put(path, {"percentage": None, "free_shipping_on": True}))["percentage"] == 0


def test_codes_in_any_script(shop):
    for code, kept in ("ঈদ১০", "ঈদ১০"), ("خصم ٥", "خصم ٥"), ("🧵sale", "🧵SALE"), ("=1+1", "=1+1"), ("a/b?c#d%", "A/B?C#D%"), ("é" * 64, "é" * 64):
        from urllib.parse import quote

        assert make(shop, code)["code"] == kept
        assert trial(shop, quote(code, safe=""))["valid"] is True
        order = data(place(shop, discount_code=code), 201)
        assert order["discount_code"] == kept and order["discount"] == 100
    verified(shop)


def test_if_match(shop):
    path = f"{DISCOUNTS}/{make(shop)['discount_id']}"
    tag = shop.get(path).headers["ETag"]
    data(shop.put(path, {"percentage": 11}, headers={"If-Match": tag}))
    for answer in shop.put(path, {"percentage": 12}, headers={"If-Match": tag}), shop.delete(path, headers={"If-Match": tag}):
        is_error(answer, 412, "precondition_failed")
        assert answer.headers["ETag"] == shop.get(path).headers["ETag"]
    data(shop.delete(path, headers={"If-Match": shop.get(path).headers["ETag"]}))


def test_what_is_anothers(shop):
    other = Owner(shop.platform).open_shop()
    path = f"{DISCOUNTS}/{make(other, 'THEIRS')['discount_id']}"
    for answer in shop.get(path), shop.put(path, {"amount": 1}), shop.delete(path), shop.get(f"{DISCOUNTS}/{2**50}"):
        assert is_error(answer, 404, "not_found")["message"] == "No such discount in this store"
    assert trial(shop, "THEIRS") == {"valid": False, "reason": "not_found", "message": "this store has no such code"}
    refused(place(shop, discount_code="THEIRS"), "not_found")
    assert data(shop.get(DISCOUNTS)) == []


def test_scopes(platform):
    owner = Owner(platform)
    reader = owner.open_shop(scopes=["read:discounts"])
    trial(reader)
    is_error(reader.post(DISCOUNTS, {"code": "A", "amount": 1}), 403, "insufficient_scope")
    writer = owner.open_shop(scopes=["write:discounts"], store_id=reader.store_id)
    make(writer)
    is_error(writer.get(DISCOUNTS), 403, "insufficient_scope")
    is_error(writer.get(f"{DISCOUNTS}/validate/EID10"), 403, "insufficient_scope")


def test_a_key_makes_it_once(shop):
    answers = [shop.post(DISCOUNTS, {"code": "A", "amount": 1}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].text == answers[1].text and answers[1].status_code == 201


# ---- the list ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params, wanted", [
    ({}, ["D_4", "C%3", "B2", "A1"]), ({"sort": "code:asc"}, ["A1", "B2", "C%3", "D_4"]), ({"sort": "code"}, ["D_4", "C%3", "B2", "A1"]),
    ({"sort": "created_at:asc"}, ["A1", "B2", "C%3", "D_4"]), ({"sort": "updated_at:desc"}, ["A1", "D_4", "C%3", "B2"]),
    ({"is_active": 1, "sort": "code:asc"}, ["B2", "C%3", "D_4"]), ({"is_active": 0}, ["A1"]), ({"search": "b"}, ["B2"]),
    ({"search": " 3 "}, ["C%3"]), ({"search": "%"}, ["C%3"]), ({"search": "_"}, ["D_4"]), ({"search": "\\"}, []),
    ({"search": "1", "is_active": 1}, []), ({"search": ""}, ["D_4", "C%3", "B2", "A1"]),
])
def test_filters_and_sorts(shop, params, wanted):
    first = make(shop, "a1")
    for code in "b2", "c%3", "d_4":
        make(shop, code)
    data(shop.put(f"{DISCOUNTS}/{first['discount_id']}", {"is_active": False}))
    answer = shop.get(DISCOUNTS, params=params)
    assert [d["code"] for d in data(answer)] == wanted and answer.json()["pagination"]["total"] == len(wanted)
    walked, cursor = [], None
    while True:
        answer = shop.get(DISCOUNTS, params={**params, "limit": 2, **({"cursor": cursor} if cursor else {})})
        walked += [d["code"] for d in data(answer)]
        cursor = answer.json()["pagination"]["next_cursor"]
        if not cursor:
            break
    assert walked == wanted
    assert [d["code"] for d in data(shop.get(DISCOUNTS, params={**params, "limit": 3, "page": 2}))] == wanted[3:]


def test_the_longest_codes_have_cursors(shop):
    codes = [chr(0x1F600 + i) * 64 for i in range(5)]
    for code in codes:
        make(shop, code)
    walked, cursor = [], None
    while len(walked) < 5:
        answer = shop.get(DISCOUNTS, params={"sort": "code:asc", "limit": 2, **({"cursor": cursor} if cursor else {})})
        walked += [d["code"] for d in data(answer)]
        cursor = answer.json()["pagination"]["next_cursor"]
    assert walked == codes and cursor is None


def test_bad_lists(shop):
    assert "code" in is_error(shop.get(DISCOUNTS, params={"sort": "amount"}), 400, "validation_error")["errors"][0]["message"]
    for params in {"is_active": 2}, {"is_active": "true"}, {"cursor": "x"}:
        is_error(shop.get(DISCOUNTS, params=params), 400, "validation_error")


# ---- trying out -------------------------------------------------------------------------------------------------------


def test_validate(shop):
    made = make(shop, minimum_order_value=100, maximum_discount_amount=50)
    assert trial(shop, "eid10") == {"valid": True, "discount": made, "free_shipping": False}
    assert trial(shop, subtotal=333.33) == {"valid": True, "discount": made, "free_shipping": False, "amount": Decimal("33.33")}
    assert trial(shop, subtotal=5000)["amount"] == 50
    assert trial(shop, subtotal="99.99")["reason"] == "minimum_order_value"
    assert trial(shop, "NOBODY")["reason"] == "not_found" and trial(shop, "%20")["reason"] == "not_found"
    for params in {"subtotal": -1}, {"subtotal": 1.001}, {"subtotal": "x"}, {"customer_id": 0}:
        is_error(shop.get(f"{DISCOUNTS}/validate/EID10", params=params), 400, "validation_error")
    make(shop, "SHIP", free_shipping_on=True)
    assert trial(shop, "ship", subtotal=10) == {"valid": True, "discount": trial(shop, "SHIP")["discount"], "free_shipping": True, "amount": 0}


def test_validate_knows_who(shop):
    make(shop, use_per_user=1)
    who, nobody = goods.add_customer(shop), goods.add_customer(shop)
    data(place(shop, discount_code="EID10", customer_id=who), 201)
    assert trial(shop, customer_id=who)["reason"] == "use_per_user"
    assert trial(shop, customer_id=nobody)["valid"] and trial(shop)["valid"]
    foreign = goods.add_customer(Owner(shop.platform).open_shop())
    for customer_id in foreign, 2**50:
        is_error(shop.get(f"{DISCOUNTS}/validate/EID10", params={"customer_id": customer_id}), 404, "not_found")


# ---- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms, price, taken", [
    ({"percentage": 10}, 1000, "100"), ({"percentage": 10}, "0.05", "0.01"), ({"percentage": 10}, "0.04", "0"),
    ({"percentage": 33.33}, "99.99", "33.33"), ({"percentage": 12.5}, "0.12", "0.02"), ({"percentage": 100}, "0.01", "0.01"),
    ({"percentage": 0}, 1000, "0"), ({"percentage": 0.01}, 100, "0.01"), ({"percentage": 0.01}, "49.99", "0"), ({"percentage": 0.01}, 50, "0.01"),
    ({"percentage": 50, "maximum_discount_amount": 99.99}, 1000, "99.99"), ({"amount": 150}, 1000, "150"), ({"amount": 150}, 100, "100"),
    ({"percentage": 99.99}, 100000000, "99990000"),
])
def test_what_a_code_takes_off(shop, terms, price, taken):
    discount = make(shop, **terms)
    order = data(shop.post(ORDERS, body=f'{{"items": [{{"name": "x", "price": {price}, "quantity": 1}}], "discount_code": " eid10 ", '
                           '"shipping": 60, "tax": 5}'), 201)
    assert (order["discount_code"], order["discount"]) == ("EID10", Decimal(taken))
    assert order["grand_total"] == Decimal(price) + 65 - Decimal(taken) and order["shipping"] == 60
    assert data(shop.get(f"{ORDERS}/{order['order_id']}")) == order and used(shop, discount) == 1


def test_free_shipping(shop):
    make(shop, "SHIP", free_shipping_on=True)
    order = data(place(shop, discount_code="ship", shipping=60, tax=1), 201)
    assert (order["shipping"], order["discount"], order["grand_total"]) == (0, 0, 1001)
    make(shop, "BOTH", amount=10, free_shipping_on=True)
    order = data(place(shop, discount_code="both", shipping=60), 201)
    assert (order["shipping"], order["discount"], order["grand_total"]) == (0, 10, 990)


def test_a_code_and_a_discount_by_hand(shop):
    make(shop, percentage=50)
    order = data(place(shop, discount_code="EID10", discount=100, shipping=60), 201)
    assert (order["discount"], order["grand_total"]) == (600, 460)
    order = data(place(shop, discount_code="EID10", discount=900, shipping=60), 201)
    assert (order["discount"], order["grand_total"]) == (1060, 0)
    is_error(place(shop, discount_code="EID10", discount=1060.01, shipping=60), 400, "validation_error")
    assert data(place(shop), 201)["discount_code"] is None and data(place(shop, discount_code=None), 201)["discount"] == 0


def test_why_a_code_is_refused(shop):
    product, (sku,) = goods.add_product(shop, (1000, 9))
    body = {"items": [{"sku_id": sku, "quantity": 1}], "customer": {"name": "New", "phone": "+8801711999888"}}
    make(shop, "OFF", is_active=False)
    make(shop, "SOON", starts_at="2099-01-01T00:00:00Z")
    make(shop, "OVER", ends_at="2020-01-01T00:00:00Z")
    make(shop, "LARGE", minimum_order_value=1000.01)
    for code, reason in [("OFF", "inactive"), ("SOON", "not_started"), ("OVER", "expired"), ("LARGE", "minimum_order_value"),
                         ("NONE", "not_found"), ("   ", "not_found")]:
        refused(shop.post(ORDERS, {**body, "discount_code": code}), reason)
        if code.strip() and code != "LARGE":
            assert trial(shop, code)["reason"] == reason
    assert goods.stock(shop, sku) == 9 and goods.events(shop) == []
    assert goods.run(shop.platform, "select count(*) from customer where store_id = %s", shop.store_id) == [(0,)]
    is_error(place(shop, discount_code="x" * 129), 400, "validation_error")
    is_error(place(shop, discount_code=5), 400, "validation_error")


def test_dates_go_by_the_clock(make_platform):
    platform = make_platform()
    shop = Owner(platform).open_shop()
    now = goods.run(platform, "select to_char(now() at time zone 'UTC' + interval '1 hour', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), "
                    "to_char(now() at time zone 'UTC' + interval '2 hours', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")[0]
    make(shop, starts_at=now[0], ends_at=now[1])
    refused(place(shop, discount_code="EID10"), "not_started")
    platform.set_clock(3700)
    data(place(shop, discount_code="EID10"), 201)
    platform.set_clock(7300)
    refused(place(shop, discount_code="EID10"), "expired")


def test_a_use_comes_back(shop):
    discount = make(shop, total_use=1)
    first = data(place(shop, discount_code="EID10"), 201)
    refused(place(shop, discount_code="EID10"), "total_use")
    data(shop.put(f"{ORDERS}/{first['order_id']}/status", {"status": "cancelled"}))
    assert used(shop, discount) == 0
    second = data(place(shop, discount_code="EID10"), 201)
    data(shop.delete(f"{ORDERS}/{first['order_id']}"))        # gave its use back when it was cancelled
    assert used(shop, discount) == 1
    data(shop.delete(f"{ORDERS}/{second['order_id']}"))
    assert used(shop, discount) == 0
    third = data(place(shop, discount_code="EID10"), 201)["order_id"]
    for status in "confirmed", "processing", "shipped", "delivered", "refunded":
        data(shop.put(f"{ORDERS}/{third}/status", {"status": status}))
    assert used(shop, discount) == 1 and data(shop.get(f"{ORDERS}/{third}"))["discount_code"] == "EID10"
    verified(shop)


def test_a_deleted_code_still_counts_for_its_orders(shop):
    discount = make(shop)
    order = data(place(shop, discount_code="EID10"), 201)
    data(shop.delete(f"{DISCOUNTS}/{discount['discount_id']}"))
    refused(place(shop, discount_code="EID10"), "not_found")
    again = data(shop.put(f"{ORDERS}/{order['order_id']}", {"items": [{"name": "x", "price": 500, "quantity": 1}]}))
    assert (again["discount"], again["grand_total"], again["discount_code"]) == (50, 450, "EID10")
    data(shop.put(f"{ORDERS}/{order['order_id']}/status", {"status": "cancelled"}))
    verified(shop)


def test_new_items_are_discounted_anew(shop):
    make(shop, percentage=10, minimum_order_value=100)
    order = data(place(shop, discount_code="EID10", discount=30, shipping=60), 201)
    path = f"{ORDERS}/{order['order_id']}"
    assert order["discount"] == 130
    after = data(shop.put(path, {"items": [{"name": "x", "price": 2000, "quantity": 1}]}))
    assert (after["discount"], after["grand_total"]) == (230, 1830)
    event = [body for topic, body in goods.events(shop, order["order_id"]) if topic == "order.updated"][0]
    assert event["changed"]["discount"] == {"old": 130, "new": 230} and event["changed"]["grand_total"] == {"old": 930, "new": 1830}
    after = data(shop.put(path, {"items": [{"name": "x", "price": 99.99, "quantity": 1}]}))
    assert (after["discount"], after["grand_total"]) == (30, Decimal("129.99"))
    is_error(shop.put(path, {"items": [], "note": "x"}), 400, "validation_error")


# ---- limits -----------------------------------------------------------------------------------------------------------


def test_guests_count_by_phone_and_e_mail(shop):
    make(shop, use_per_user=1)
    who = data(shop.post("/api/apps/v1/orders", {"items": [{"name": "x", "price": 1, "quantity": 1}], "discount_code": "EID10",
                                                 "customer": {"name": "Mitu", "phone": "+8801711222333", "email": "mitu@shop.example"}}), 201)
    refused(place(shop, discount_code="EID10", customer_id=who["user_id"]), "use_per_user")
    refused(place(shop, discount_code="EID10", customer={"name": "M", "phone": "01711222333"}), "use_per_user")
    refused(place(shop, discount_code="EID10", shipping_address={"phone": "01711222333"}), "use_per_user")
    refused(place(shop, discount_code="EID10", shipping_address={"email": "MITU@shop.example"}), "use_per_user")
    for padded in (" mitu@shop.example", "Mitu@shop.example\t", "\r\nmitu@shop.example \n"):
        refused(place(shop, discount_code="EID10", shipping_address={"email": padded}), "use_per_user")
    for address in {"phone": "+8801811000000"}, {"email": "guest@shop.example"}:
        data(place(shop, discount_code="EID10", shipping_address=address), 201)
        refused(place(shop, discount_code="EID10", shipping_address=address), "use_per_user")
    refused(place(shop, discount_code="EID10", customer={"name": "G", "email": "Guest@shop.example"}), "use_per_user")
    for _ in range(2):                                      # nobody knows who they are
        data(place(shop, discount_code="EID10"), 201)
    for hostile in {"phone": 5}, {"phone": ["x"]}, {"email": {"a": 1}}, {"email": 7}, {"phone": None, "email": None}, {"email": "x" * 9000}:
        assert place(shop, discount_code="EID10", shipping_address=hostile).status_code in (201, 400)
    verified(shop)


def test_total_use_holds_when_64_order_at_once(shop):
    discount = make(shop, total_use=10)
    product, (sku,) = goods.add_product(shop, (100, 1000))
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: shop.post(ORDERS, {"items": [{"sku_id": sku, "quantity": 1}], "discount_code": "eid10"}), range(64)))
    assert sorted(a.status_code for a in answers) == [201] * 10 + [409] * 54
    for answer in answers:
        if answer.status_code == 409:
            refused(answer, "total_use")
    assert used(shop, discount) == 10 and goods.stock(shop, sku) == 990 and verified(shop)["uses"] == 10
    assert sum(data(a, 201)["discount"] for a in answers if a.status_code == 201) == 100


def test_use_per_user_holds_when_64_order_at_once(shop):
    make(shop, use_per_user=1)
    who = goods.add_customer(shop)
    with ThreadPoolExecutor(64) as pool:
        codes = list(pool.map(lambda _: place(shop, discount_code="EID10", customer_id=who).status_code, range(64)))
    assert sorted(codes) == [201] + [409] * 63
    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda _: place(shop, discount_code="EID10", shipping_address={"phone": "+8801999888777"}).status_code,
                              range(16)))
    assert sorted(codes) == [201] + [409] * 15
    assert verified(shop)["uses"] == 2


def test_uses_taken_and_given_back_at_once(shop):
    discount = make(shop, total_use=5)

    def client(_):
        for _ in range(3):
            answer = place(shop, discount_code="EID10")
            assert answer.status_code in (201, 409), answer
            if answer.status_code == 201:
                data(shop.put(f"{ORDERS}/{answer.json()['data']['order_id']}/status", {"status": "cancelled"}))

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(client, range(32)))
    assert used(shop, discount) == 0
    verified(shop)


def test_verify_finds_what_is_wrong(shop):
    discount = make(shop)
    goods.run(shop.platform, "update discount set used = 3 where store_id = %s returning 1", shop.store_id)
    answer = shop.platform.call("store-data.discounts.verify", store_id=shop.store_id)
    assert not answer["ok"] and answer["differences"] == [
        {"kind": "discount.used", "id": discount["discount_id"], "kept": 3, "counted": 0}]


# ---- who a buyer is ---------------------------------------------------------------------------------------------------

SPELLINGS = ["01711111112", "+8801711111112", "8801711111112", "008801711111112", "+880 1711111112", "+880-1711-111112", "০১৭১১১১১১১২",
             "+৮৮০ ১৭১১ ১১১১১২", "1711111112", "+880 (0) 1711111112", "01711-111112", " (01711) 111 112 ", "+88001711111112", "00 880 1711.111112",
             "01711\u00a0111\u2011112"]


def guest(shop, **address):
    return place(shop, discount_code="ONE", shipping_address=address)


def test_a_guest_is_known_again_however_the_phone_is_written(shop):
    for index, first in enumerate(SPELLINGS[:3]):
        make(shop, "ONE", use_per_user=1)
        data(guest(shop, phone=first), 201)
        for phone in SPELLINGS:
            refused(guest(shop, phone=phone), "use_per_user")
        for phone in "01711111113", "+1 171 111 1112", "+97101711111112":
            data(guest(shop, phone=phone), 201)
        refused(place(shop, discount_code="ONE", customer={"name": "K", "phone": SPELLINGS[index]}), "use_per_user")
        data(shop.delete(f"{DISCOUNTS}/{data(shop.get(DISCOUNTS))[0]['discount_id']}"))


def test_a_phone_without_a_digit_is_nobodys(shop):
    make(shop, "ONE", use_per_user=1)
    for phone in "ask next door", "-", "":
        data(guest(shop, phone=phone), 201)


@pytest.mark.parametrize("known", [{"phone": "01711111112"}, {"email": "K@Shop.Example"}])
def test_a_customer_who_was_deleted_is_the_same_buyer(shop, known):
    make(shop, "ONE", use_per_user=1)
    who = data(shop.post("/api/apps/v1/customers", {"name": "K", **known}), 201)["user_id"]
    data(place(shop, discount_code="ONE", customer_id=who), 201)
    data(shop.delete(f"/api/apps/v1/customers/{who}"))
    refused(place(shop, discount_code="ONE", customer={"name": "K", **known}), "use_per_user")
    refused(guest(shop, **{name: value.lower() for name, value in known.items()}), "use_per_user")
    verified(shop)


def test_a_customer_who_has_changed_the_phone_is_the_same_buyer(shop):
    make(shop, "ONE", use_per_user=1)
    who = data(shop.post("/api/apps/v1/customers", {"name": "K", "phone": "01711111112"}), 201)["user_id"]
    data(place(shop, discount_code="ONE", customer_id=who), 201)
    data(shop.put(f"/api/apps/v1/customers/{who}", {"phone": "01711111113"}))
    for phone in "01711111112", "01711111113":
        refused(guest(shop, phone=phone), "use_per_user")
        refused(place(shop, discount_code="ONE", customer={"name": "P", "phone": phone}), "use_per_user")


def test_a_customer_of_whom_nothing_is_known_is_where_the_parcel_goes(shop):
    make(shop, "ONE", use_per_user=1)
    data(place(shop, discount_code="ONE", customer={"name": "K"}, shipping_address={"phone": "01711111112"}), 201)
    refused(place(shop, discount_code="ONE", customer={"name": "K"}, shipping_address={"phone": "+880 1711 111112"}), "use_per_user")
    friend = {"name": "F", "phone": "01911111119"}
    data(place(shop, discount_code="ONE", customer=friend, shipping_address={"phone": "01711111112"}), 201)

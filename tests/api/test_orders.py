"""Orders: placed, changed, moved along, deleted, found; their totals, their stock, their events."""

import json
import threading
from decimal import Decimal

import pytest

from . import goods
from .client import is_error

ORDERS = "/api/apps/v1/orders"
STATUSES = ["pending", "confirmed", "processing", "shipped", "delivered", "completed", "cancelled", "hold", "refunded"]
MOVES = {
    "pending": {"confirmed", "hold", "cancelled"},
    "confirmed": {"processing", "hold", "cancelled"},
    "processing": {"shipped", "hold", "cancelled"},
    "hold": {"pending", "confirmed", "processing", "cancelled"},
    "shipped": {"delivered"},
    "delivered": {"completed", "refunded"},
    "completed": {"refunded"},
    "cancelled": set(),
    "refunded": set(),
}
FREE = {"name": "Gift card", "price": 100, "quantity": 1}


def exact(answer):
    return answer.json(parse_float=Decimal)


def move(shop, order_id, status, **fields):
    return shop.put(f"{ORDERS}/{order_id}/status", {"status": status, **fields})


# ---- placing ---------------------------------------------------------------------------------------------------------


def test_an_order_as_the_contract_has_it(shop):
    answer = shop.post(ORDERS, {"items": [{"name": "Silk Panjabi", "price": 750, "quantity": 2}], "shipping": 60,
                                "discount": 100,
                                "payment_method": "cod", "note": "Call first"})
    assert answer.status_code == 201
    order = exact(answer)["data"]
    assert (order["sub_total"], order["tax"], order["shipping"], order["discount"], order["grand_total"]) == (1500, 0, 60, 100, 1460)
    assert '"grand_total":1460.00' in answer.text and '"tax":0.00' in answer.text
    assert (order["order_status"], order["financial_status"], order["fulfillment_status"]) == ("pending", "pending", "unfulfilled")
    assert (order["store_id"], order["user_id"], order["store_serial_order_no"],
            order["payment_method"]) == (shop.store_id, None, "1", "cod")
    assert order["items"][0]["name"] == "Silk Panjabi" and order["items"][0]["variant_id"] is None
    assert exact(shop.get(f"{ORDERS}/{order['order_id']}"))["data"] == order
    assert goods.order(shop)["store_serial_order_no"] == "2"


def test_sums_are_exact(shop):
    """0.1 + 0.2 and friends; the largest order there can be."""
    items = ",".join(['{"name": "a", "price": 0.10, "quantity": 3}'] * 7 + ['{"name": "b", "price": 0.07, "quantity": 11}'])
    answer = shop.post(ORDERS, body=f'{{"items": [{items}], "tax": 0.01}}')
    assert exact(answer)["data"]["grand_total"] == Decimal("2.88")
    is_error(shop.post(ORDERS, body=f'{{"items": [{items}], "shipping": 1e2}}'), 400, "validation_error")
    many, one = {"name": "x", "price": 100000000, "quantity": 9999}, {"name": "y", "price": 99999999.99, "quantity": 1}
    large = shop.post(ORDERS, {"items": [many, one]})
    assert large.status_code == 201 and exact(large)["data"]["grand_total"] == Decimal("999999999999.99")
    is_error(shop.post(ORDERS, {"items": [{**many, "quantity": 10000}]}), 400, "validation_error")


@pytest.mark.parametrize("body, field", [
    ({}, "items"), ({"items": []}, "items"), ({"items": [{}]}, "items[0].quantity"),
    ({"items": [{"quantity": 1}]}, "items[0].name"),
    ({"items": [{"name": "x", "quantity": 1}]}, "items[0].price"), ({"items": [{**FREE, "quantity": 0}]},
                                                                    "items[0].quantity"),
    ({"items": [{**FREE, "price": 1.001}]}, "items[0].price"), ({"items": [{**FREE, "price": -1}]}, "items[0].price"),
    ({"items": [FREE], "discount": 100.01}, "discount"), ({"items": [FREE], "discount": -1}, "discount"),
    ({"items": [FREE], "shipping": "60"}, "shipping"), ({"items": [FREE], "customer": {}}, "customer.name"),
    ({"items": [FREE], "customer": {"name": "x", "email": "nobody"}}, "customer.email"),
    ({"items": [FREE], "customer_id": 2**63}, "customer_id"),
    ({"items": [FREE], "metadata": []}, "metadata"), ({"items": [FREE] * 201}, "items"),
])
def test_a_bad_order_names_its_field(shop, body, field):
    body = is_error(shop.post(ORDERS, body), 400, "validation_error")
    assert field in [error["field"] for error in body["errors"]]


def test_what_is_not_known_is_ignored(shop):
    order = goods.order(shop, colour="green", grand_total=1, items=[{**FREE, "weight": 4}])
    assert order["grand_total"] == 100 and "colour" not in order


def test_addresses_and_metadata_stay_as_they_are(shop):
    address = {"name": "Nusrat Jahan", "phone": "+8801712345678", "city": "Dhaka", "nearby": "ঢাকা \"New\" Market\\\n"}
    metadata = {"n": [1, 2.50, None, True], "deep": {"a": {"b": {}}}, "empty": ""}
    answer = shop.post(ORDERS, body='{"items":[{"name":"x","price":1,"quantity":1}],"metadata":{"exact":1.2500000000000000000001e-7}}')
    assert "1.2500000000000000000001e-7" in answer.text
    order = goods.order(shop, shipping_address=address, metadata=metadata)
    assert (order["shipping_address"], order["metadata"]) == (address, metadata)


def test_prices_come_from_the_catalogue(shop):
    product, (small, large) = goods.add_product(shop, (Decimal("499.50"), 10), (650, 10), name="Tea")
    order = goods.order(shop, items=[{"product_id": product, "quantity": 2, "price": 1, "name": "cheap"},
                                     {"sku_id": large, "quantity": 1},
                                     {"sku_id": small, "product_id": product, "quantity": 1}])
    assert [(item["variant_id"], item["price"], item["name"], item["sku"]) for item in order["items"]] == [
        (small, 499.5, "Tea - V0", f"SKU-{product}-0"), (large, 650, "Tea - V1", f"SKU-{product}-1"),
        (small, 499.5, "Tea - V0", f"SKU-{product}-0")]
    assert order["sub_total"] == 2148.5
    assert (goods.stock(shop, small), goods.stock(shop, large)) == (7, 9)


def test_too_little_stock_changes_nothing(shop):
    _, (one,) = goods.add_product(shop, (10, 5), name="Rice")
    _, (two,) = goods.add_product(shop, (10, 1), name="Oil")
    body = is_error(shop.post(ORDERS, {"items": [{"sku_id": one, "quantity": 2}, {"sku_id": two, "quantity": 1},
                                                 {"sku_id": two, "quantity": 1}]}),
                    409, "insufficient_stock")
    assert "Oil" in body["errors"][0]["message"] and [item["sku_id"] for item in body["items"]] == [two, two]
    assert body["items"][0]["requested"] == 2 and body["items"][0]["available"] == 1
    assert (goods.stock(shop, one), goods.stock(shop, two)) == (5, 1)
    assert shop.get(ORDERS).json()["pagination"]["total"] == 0


def test_what_is_another_stores_is_not_there(owner, shop):
    other = owner.open_shop()
    product, (sku,) = goods.add_product(other, (10, 5))
    customer, foreign = goods.add_customer(other), goods.order(other)["order_id"]
    for theirs, missing in ((product, 2**40), (product, 2**62)):
        answers = [is_error(shop.post(ORDERS, {"items": [{"product_id": n, "quantity": 1}]}), 404,
                            "not_found") for n in (theirs, missing)]
        assert answers[0] == answers[1]
    for body in ({"items": [{"sku_id": sku, "quantity": 1}]}, {"items": [FREE], "customer_id": customer}):
        is_error(shop.post(ORDERS, body), 404, "not_found")
    assert is_error(shop.get(f"{ORDERS}/{foreign}"), 404, "not_found") == is_error(shop.get(f"{ORDERS}/{2**62}"), 404, "not_found")
    is_error(shop.put(f"{ORDERS}/{foreign}", {"note": "mine"}), 404, "not_found")
    is_error(move(shop, foreign, "confirmed"), 404, "not_found")
    is_error(shop.delete(f"{ORDERS}/{foreign}"), 404, "not_found")
    assert shop.get(ORDERS, params={"order_ids": f"{foreign}"}).json()["data"] == []
    assert goods.stock(other, sku) == 5 and other.get(f"{ORDERS}/{foreign}").json()["data"]["note"] is None


def test_customers_are_found_again(shop):
    first = goods.order(shop, customer={"name": "Nusrat Jahan", "phone": "+8801712000001", "email": "Nusrat@Example.com"})
    by_phone = goods.order(shop, customer={"name": "Nusrat J.", "phone": "+8801712000001"})
    by_email = goods.order(shop, customer={"name": "Nusrat J.", "email": "nusrat@example.com"})
    assert first["user_id"] == by_phone["user_id"] == by_email["user_id"]
    assert goods.order(shop, customer_id=first["user_id"])["user_id"] == first["user_id"]
    other = goods.order(shop, customer={"name": "Nusrat Jahan"})
    assert other["user_id"] not in (None, first["user_id"])
    assert [topic for topic, _ in goods.events(shop) if topic.startswith("customer")] == ["customer.created", "customer.updated", "customer.created"]
    found = shop.get(ORDERS, params={"customer_id": first["user_id"]}).json()
    assert found["pagination"]["total"] == 4 == len(found["data"])


def test_a_new_customer_in_many_orders_at_once_is_one(shop):
    answers = []

    def place():
        answers.append(shop.post(ORDERS, {"items": [FREE], "customer": {"name": "Rahim", "phone": "+8801812000009", "email": "r@example.com"}}))

    threads = [threading.Thread(target=place) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["data"]["user_id"] for answer in answers}) == 1


@pytest.mark.parametrize("pieces, wanted", [(5, 1), (10, 3)])
def test_the_last_pieces_are_sold_once(shop, pieces, wanted):
    """Parallel orders for the same two variants, in either order: never more than there are, and none waits for ever."""
    _, (one, two) = goods.add_product(shop, (10, pieces), (20, pieces))
    answers, ways = [], [[one, two], [two, one]]

    def place(way):
        answers.append(shop.post(ORDERS, {"items": [{"sku_id": sku, "quantity": wanted} for sku in way]}))

    threads = [threading.Thread(target=place, args=(ways[index % 2],)) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sold = [answer for answer in answers if answer.status_code == 201]
    assert len(sold) == pieces // wanted
    assert {answer.json()["code"] for answer in answers if answer.status_code != 201} == {"insufficient_stock"}
    assert goods.stock(shop, one) == goods.stock(shop, two) == pieces - wanted * len(sold)
    assert shop.get(ORDERS).json()["pagination"]["total"] == len(sold)


# ---- changing --------------------------------------------------------------------------------------------------------


def test_only_what_is_sent_changes(shop):
    made = goods.order(shop, note="old", payment_method="cod", metadata={"a": 1})
    path = f"{ORDERS}/{made['order_id']}"
    changed = shop.put(path, {"note": "new", "courier": "Pathao", "tracking_code": "PTH-1", "financial_status": "paid",
                              "shipping_address": {"name": "Karim"}, "courier_id": "7", "order_status": "shipped",
                              "sub_total": 1})
    assert changed.status_code == 200
    after = changed.json()["data"]
    assert after == {**made, "note": "new", "courier": "Pathao", "tracking_code": "PTH-1", "financial_status": "paid",
                     "courier_id": "7",
                     "shipping_address": {"name": "Karim"}, "updated_at": after["updated_at"]}
    assert after["updated_at"] > made["updated_at"]
    emptied = shop.put(path, {"note": None, "courier": None, "metadata": None, "shipping_address": None}).json()["data"]
    assert (emptied["note"], emptied["courier"], emptied["metadata"], emptied["shipping_address"]) == (None, None, None, None)
    assert shop.get(path).json()["data"] == emptied
    changes = [data["changed"] for topic, data in goods.events(shop, made["order_id"]) if topic == "order.updated"]
    assert changes[0]["note"] == {"old": "old", "new": "new"} and changes[1]["metadata"] == {"old": {"a": 1}, "new": None}


def test_what_changes_nothing_is_no_event(shop):
    made = goods.order(shop, note="same", metadata={"a": 1})
    for body in ({}, {"note": "same"}, {"metadata": {"a": 1}, "courier": None}):
        answer = shop.put(f"{ORDERS}/{made['order_id']}", body)
        assert (answer.status_code, answer.json()["data"]) == (200, made)
    assert [topic for topic, _ in goods.events(shop, made["order_id"])] == ["order.created"]


def test_what_is_sent_back_as_it_was_changes_nothing(shop):
    product_id, _ = goods.add_product(shop, (100, 9))
    items = [{"product_id": product_id, "quantity": 2}, {"name": "Wrap", "price": 50.5, "quantity": 1}]
    made = exact(shop.post(ORDERS, body='{"items": %s, "metadata": {"a": 2, "b": [1.50, {"x": null, "y": true, "z": "t"}], "c": 1e999999, "d": -0}, '
                           '"shipping_address": {"name": "N", "city": "Dhaka"}}' % json.dumps(items)))["data"]
    path = f"{ORDERS}/{made['order_id']}"
    same = '{"shipping_address": {"city": "Dhaka", "name": "N"}, "metadata": %s, "items": %s}'
    for metadata in ('{"d": 0, "c": 1e999999, "b": [1.5, {"z": "t", "y": true, "x": null}], "a": 2.0}',
                     '{"a": 0.2e+1, "b": [15E-1, {"y": true, "x": null, "z": "t"}], "c": 10e999998, "d": 0.0}'):
        assert exact(shop.put(path, body=same % (metadata, json.dumps(items))))["data"] == made
    named = [{"sku_id": item["variant_id"], "quantity": item["quantity"]} if item["variant_id"] else items[1] for item in made["items"]]
    assert exact(shop.put(path, {"items": named}))["data"] == made
    assert [topic for topic, _ in goods.events(shop, made["order_id"])] == ["order.created"]
    seen = 1
    for body in ({"items": items[::-1]}, {"items": items}, {"items": [items[0], {**items[1], "price": 50.49}]}, {"items": items[:1]},
                 {"items": [{**items[0], "quantity": 3}]}, {"metadata": {"a": 2, "b": [2, 1]}}, {"metadata": {"a": 2, "b": [1, 2]}},
                 {"metadata": {"a": "2", "b": [1, 2]}}, {"metadata": {"a": "2"}}, {"metadata": {"a": 1e-7}}, {"metadata": {"a": -1e-7}},
                 {"metadata": {"a": False}}, {"metadata": {"a": 0}}, {"metadata": {"a": None}}, {"metadata": {}}, {"metadata": None}):
        assert shop.put(path, body).status_code == 200
        seen += 1
        assert len(goods.events(shop, made["order_id"])) == seen, body


@pytest.mark.parametrize("body", [{"financial_status": "rich"}, {"financial_status": None}, {"note": 5}, {"items": []},
                                  {"metadata": "x"},
                                  {"items": [{"name": "x", "quantity": 1}]}])
def test_a_bad_change(shop, body):
    made = goods.order(shop)
    is_error(shop.put(f"{ORDERS}/{made['order_id']}", body), 400, "validation_error")
    assert shop.get(f"{ORDERS}/{made['order_id']}").json()["data"] == made


def test_items_can_be_replaced_while_pending(shop):
    _, (one, two) = goods.add_product(shop, (10, 5), (20, 5))
    made = goods.order(shop, items=[{"sku_id": one, "quantity": 5}], shipping=60, discount=10)
    path = f"{ORDERS}/{made['order_id']}"
    assert (made["grand_total"], goods.stock(shop, one)) == (100, 0)
    after = shop.put(path, {"items": [{"sku_id": one, "quantity": 4}, {"sku_id": two, "quantity": 5},
                                      FREE]}).json()["data"]
    assert (after["sub_total"], after["grand_total"], len(after["items"])) == (240, 290, 3)
    assert (goods.stock(shop, one), goods.stock(shop, two)) == (1, 0)
    body = is_error(shop.put(path, {"items": [{"sku_id": one, "quantity": 6}]}), 409, "insufficient_stock")
    assert body["items"][0]["available"] == 5      # what the order holds counts
    assert (goods.stock(shop, one), goods.stock(shop, two)) == (1, 0)
    is_error(shop.put(path, {"items": [{"sku_id": 2**50, "quantity": 1}]}), 404, "not_found")
    event = [data for topic, data in goods.events(shop, made["order_id"]) if topic == "order.updated"][0]
    assert event["changed"]["grand_total"] == {"old": 100, "new": 290} and len(event["changed"]["items"]["new"]) == 3
    assert move(shop, made["order_id"], "confirmed").status_code == 200
    is_error(shop.put(path, {"items": [FREE]}), 409, "conflict")
    assert shop.put(path, {"note": "late"}).status_code == 200


def test_a_discount_larger_than_the_rest_is_refused(shop):
    made = goods.order(shop, items=[{**FREE, "price": 500}], discount=400)
    is_error(shop.put(f"{ORDERS}/{made['order_id']}", {"items": [FREE]}), 400, "validation_error")
    assert shop.get(f"{ORDERS}/{made['order_id']}").json()["data"]["grand_total"] == 100


# ---- moving along ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", STATUSES)
def test_every_move(shop, before):
    for after in STATUSES:
        order_id = goods.order(shop)["order_id"]
        goods.run(shop.platform, "update store_order set order_status = %s where order_id = %s", before, order_id)
        answer = move(shop, order_id, after)
        if after in MOVES[before]:
            assert (answer.status_code, answer.json()["data"]["order_status"]) == (200, after)
            assert answer.json()["data"]["held_from"] == (before if after == "hold" else None)
        else:
            assert set(is_error(answer, 409, "invalid_transition")["allowed"]) == MOVES[before]
            assert shop.get(f"{ORDERS}/{order_id}").json()["data"]["order_status"] == before


def test_the_whole_way_with_its_events(shop):
    made = goods.order(shop, customer={"name": "Profile Name", "phone": "+8801713333333"},
                       shipping_address={"name": "Door Name", "phone": "+8801714444444"})
    order_id = made["order_id"]
    for status in ("confirmed", "processing", "shipped", "delivered", "completed", "refunded"):
        assert move(shop, order_id, status, note="next").status_code == 200
    after = shop.get(f"{ORDERS}/{order_id}").json()["data"]
    assert (after["financial_status"], after["fulfillment_status"]) == ("refunded", "fulfilled")
    seen = goods.events(shop, order_id)
    assert [topic for topic, _ in seen] == ["order.created"] + ["order.status_changed"] * 6
    created, moved = seen[0][1], seen[1][1]
    assert {name: created[name] for name in ("order_id", "order_number", "customer_name", "customer_phone", "total",
                                             "tracking_id")} == {
        "order_id": order_id, "order_number": "1", "customer_name": "Door Name", "customer_phone": "+8801714444444",
        "total": 100, "tracking_id": None}
    assert created["store_name"] == shop.get("/api/apps/v1/store").json()["data"]["name"]
    assert (moved["status"], moved["previous_status"]) == ("confirmed", "pending") and "status" not in created
    history = goods.run(shop.platform, "select previous_status, status, note from order_status_history where order_id = %s order by history_id", order_id)
    assert history[0] == (None, "pending", None) and history[-1] == ("completed", "refunded",
                                                                     "next") and len(history) == 7


def test_cancelling_gives_the_stock_back(shop):
    _, (one, two) = goods.add_product(shop, (10, 5), (20, 5))
    order_id = goods.order(shop, items=[{"sku_id": two, "quantity": 3}, {"sku_id": one, "quantity": 2},
                                        {"sku_id": two, "quantity": 1}, FREE])["order_id"]
    assert (goods.stock(shop, one), goods.stock(shop, two)) == (3, 1)
    assert shop.put(f"{ORDERS}/{order_id}/status", {"order_status": "hold"}).status_code == 200      # the older name
    assert move(shop, order_id, "cancelled").status_code == 200
    assert (goods.stock(shop, one), goods.stock(shop, two)) == (5, 5)
    assert [topic for topic, _ in goods.events(shop, order_id)][-2:] == ["order.status_changed", "order.cancelled"]
    assert shop.delete(f"{ORDERS}/{order_id}").status_code == 200
    assert (goods.stock(shop, one), goods.stock(shop, two)) == (5, 5)


@pytest.mark.parametrize("body", [{}, {"status": None}, {"status": "lost"}, {"status": 1}])
def test_a_bad_status(shop, body):
    error = is_error(shop.put(f"{ORDERS}/{goods.order(shop)['order_id']}/status", body), 400, "validation_error")["errors"][0]
    assert error["field"] == "status"
    if body in ({}, {"status": "lost"}):
        assert all(status in error["message"] for status in STATUSES)


def test_deleting(shop):
    _, (sku,) = goods.add_product(shop, (10, 5))
    made = goods.order(shop, items=[{"sku_id": sku, "quantity": 2}])
    path = f"{ORDERS}/{made['order_id']}"
    move(shop, made["order_id"], "confirmed")
    is_error(shop.delete(path), 409, "conflict")
    again = goods.order(shop, items=[{"sku_id": sku, "quantity": 2}])
    answer = shop.delete(f"{ORDERS}/{again['order_id']}")
    assert (answer.status_code, answer.json()["data"]) == (200,
                                                           {"order_id": again["order_id"]}) and answer.json()["message"]
    assert goods.stock(shop, sku) == 3
    for method, body in (("GET", None), ("PUT", {"note": "x"}), ("DELETE", None)):
        is_error(shop.request(method, f"{ORDERS}/{again['order_id']}", json_body=body), 404, "not_found")
    assert [order["order_id"] for order in shop.get(ORDERS).json()["data"]] == [made["order_id"]]
    assert goods.events(shop, again["order_id"])[-1][0] == "order.deleted"


@pytest.mark.parametrize("order_id", ["0", "-1", "x", "9223372036854775808", "1e3", "1%00"])
def test_an_id_that_is_none(shop, order_id):
    assert shop.get(f"{ORDERS}/{order_id}").status_code in (400, 404)


# ---- finding by filters ----------------------------------------------------------------------------------------------


def find(shop, filters=(), **fields):
    answer = shop.post(f"{ORDERS}/filters", {"filters": list(filters), **fields})
    assert answer.status_code == 200, answer
    return answer.json()


def pair(name, kind, data_type="select", **fields):
    return {"name": name, "type": kind, "tableAlias": "o", "dataType": data_type, **fields}


@pytest.fixture
def mixed(shop):
    """Five orders: confirmed with a courier, confirmed paid by bkash, hold, pending with a note, shipped."""
    ids = [goods.order(shop, payment_method="bkash" if n == 1 else "cod",
                       note="x" if n == 3 else None)["order_id"] for n in range(5)]
    for order_id, way in zip(ids, [["confirmed"], ["confirmed"], ["hold"], [], ["confirmed", "processing", "shipped"]]):
        for status in way:
            move(shop, order_id, status)
    shop.put(f"{ORDERS}/{ids[0]}", {"courier": "RedX", "courier_id": "12"})
    shop.put(f"{ORDERS}/{ids[4]}", {"courier": "Pathao", "tracking_code": "P-1"})
    return shop, ids


@pytest.mark.parametrize("filters, wanted", [
    ([], [4, 3, 2, 1, 0]),
    ([pair("order_status", "is", value=["confirmed"])], [1, 0]),
    ([pair("order_status", "is", value="confirmed")], [1, 0]),
    ([pair("order_status", "select", value=["hold", "shipped"])], [4, 2]),
    ([pair("order_status", "is", value=["confirmed"]), pair("payment_method", "is", value=["bkash", "nagad"])], [1]),
    ([pair("courier", "is_not_empty", "text")], [4, 0]),
    ([pair("courier", "is", value=["Pathao", 'x","y', "\\"])], [4]),
    ([pair("courier", "is", value="RedX")], [0]),
    ([pair("courier_id", "is", value=[12])], [0]),
    ([pair("tracking_code", "is_not_empty", "text"), pair("order_status", "is", value=["shipped"])], [4]),
    ([pair("note", "is_not_empty", "text")], [3]),
    ([pair("fulfillment_status", "is", value=["fulfilled"])], [4]),
    ([pair("financial_status", "is", value=["paid"])], []),
    ([pair("order_status", "is", value=["nonsense"])], []),
])
def test_filters(mixed, filters, wanted):
    shop, ids = mixed
    found = find(shop, filters)
    assert [order["order_id"] for order in found["data"]] == [ids[n] for n in wanted]
    assert found["pagination"]["total"] == len(wanted) and found["warnings"] == []
    assert all(len(order["items"]) == 1 for order in found["data"])


@pytest.mark.parametrize("filters", [
    [pair("grand_total", "between", "number", value=[1, 2])], [pair("order_status", "is", "text", value=["confirmed"])],
    [{**pair("order_status", "is", value=["confirmed"]), "tableAlias": "u"}], [pair("order_status", "is", value=[])],
    [pair("order_status", "is")], [{}], [pair("secret", "is_not_empty")], [pair("courier'; drop table store_order; --", "is", value=["x"])],
])
def test_a_filter_that_is_not_known_has_no_effect_and_is_named(mixed, filters):
    shop, ids = mixed
    found = find(shop, filters)
    assert found["pagination"]["total"] == 5 and len(found["warnings"]) == 1 and "filters[0]" in found["warnings"][0]


def test_the_same_column_twice(mixed):
    shop, ids = mixed
    found = find(shop, [pair("order_status", "is", value=["hold"]), pair("order_status", "is", value=["shipped"])])
    assert [order["order_id"] for order in found["data"]] == [ids[2]] and len(found["warnings"]) == 1


def test_filtered_pages(mixed):
    shop, ids = mixed
    seen, cursor = [], None
    for _ in range(3):
        found = find(shop, limit=2, cursor=cursor, sort="created_at", order="ASC", page=1)
        seen += [order["order_id"] for order in found["data"]]
        cursor = found["pagination"]["next_cursor"]
    assert (seen, cursor) == (ids, None)
    assert [order["order_id"] for order in find(shop, page=3, limit="2", order="asc")["data"]] == ids[4:]
    for page, limit in (("abc", -1), (None, 10000), ([], {}), (-5, 0), (1.5, "x"), (2**70, 5)):
        assert shop.post(f"{ORDERS}/filters", {"page": page, "limit": limit}).status_code == 200
    assert find(shop, limit=10000)["pagination"]["limit"] == 250
    is_error(shop.post(f"{ORDERS}/filters", {"cursor": "AAAA"}), 400, "validation_error")
    is_error(shop.post(f"{ORDERS}/filters", {"sort": "secret"}), 400, "validation_error")


@pytest.mark.parametrize("shift", range(3))
def test_a_long_name_is_not_cut_within_a_character(shop, shift):
    _, (sku_id,) = goods.add_product(shop, (1, 1), name="x" * shift + "ঢ" * 85)
    answer = shop.post(ORDERS, {"items": [{"sku_id": sku_id, "quantity": 5}]})
    is_error(answer, 409, "insufficient_stock")
    assert "�" not in answer.content.decode("utf-8")


# ---- history ---------------------------------------------------------------------------------------------------------


def test_history_tells_every_move(shop, owner):
    order_id = shop.post(ORDERS, {"items": [FREE]}).json()["data"]["order_id"]
    for status, note in (("hold", "Address is unclear"), ("confirmed", None), ("cancelled", "Called off")):
        assert move(shop, order_id, status, note=note).status_code == 200
    assert move(shop, order_id, "shipped").status_code == 409                   # refused: no move
    moves = shop.get(f"{ORDERS}/{order_id}/history").json()["data"]
    assert [(m["previous_status"], m["status"], m["note"]) for m in moves] == [
        (None, "pending", None), ("pending", "hold", "Address is unclear"), ("hold", "confirmed", None),
        ("confirmed", "cancelled", "Called off")]
    assert [m["created_at"] for m in moves] == sorted(m["created_at"] for m in moves)
    is_error(owner.open_shop().get(f"{ORDERS}/{order_id}/history"), 404, "not_found")
    is_error(owner.open_shop(scopes=["read:products"]).get(f"{ORDERS}/{order_id}/history"), 403, "insufficient_scope")
    assert shop.delete(f"{ORDERS}/{order_id}").status_code == 200
    is_error(shop.get(f"{ORDERS}/{order_id}/history"), 404, "not_found")

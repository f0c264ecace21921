"""Inventory: stock as it is listed, set, adjusted, moved by orders; its movements, its events, its recount."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from . import goods
from .client import is_error

INVENTORY = "/api/apps/v1/inventory"
ORDERS = "/api/apps/v1/orders"


def data(answer, status=200):
    assert answer.status_code == status, answer
    return answer.json()["data"]


def variants(shop, product_id):
    return {row["sku_id"]: row for row in data(shop.get(f"{INVENTORY}/{product_id}"))["variants"]}


def movements(shop, product_id, **params):
    return data(shop.get(f"{INVENTORY}/{product_id}/movements", params=params))


def events(shop):
    return [body for topic, body in goods.events(shop) if topic == "inventory.updated"]


def verified(shop):
    answer = shop.platform.call("store-data.inventory.verify", store_id=shop.store_id)
    assert answer["ok"] and answer["differences"] == [], answer
    return answer


# ---- setting and adjusting --------------------------------------------------------------------------------------------


def test_setting_a_variant(shop):
    product, (one, two) = goods.add_product(shop, (10, 5), (20, 7))
    row = data(shop.put(f"{INVENTORY}/{product}", {"sku_id": two, "quantity": 12, "reason": "Counted"}))
    assert (row["sku_id"], row["product_id"], row["quantity"], row["low_stock"]) == (two, product, 12, 0)
    stock = data(shop.get(f"{INVENTORY}/{product}"))
    assert (stock["total_quantity"], stock["variant_count"], stock["has_stock"]) == (17, 2, 1)
    assert [v["quantity"] for v in stock["variants"]] == [5, 12]
    newest = movements(shop, product)[0]
    assert (newest["sku_id"], newest["change"], newest["quantity_after"], newest["reason"],
            newest["order_id"]) == (two, 5, 12, "Counted", None)
    event, = events(shop)
    assert (event["sku_id"], event["product_id"], event["quantity"], event["reason"]) == (two, product, 12, "Counted")
    assert event["changed"] == {"quantity": {"old": 7, "new": 12}}
    verified(shop)


def test_a_product_with_one_variant_needs_no_sku_id(shop):
    product, (sku,) = goods.add_product(shop, (10, 5))
    assert data(shop.put(f"{INVENTORY}/{product}", {"quantity": 0}))["sku_id"] == sku
    assert data(shop.post(f"{INVENTORY}/{product}/adjust", {"adjustment": 3}))["quantity"] == 3
    assert [m["reason"] for m in movements(shop, product)] == ["adjust", "set", "opening"]
    many, _ = goods.add_product(shop, (10, 5), (20, 7))
    for answer in shop.put(f"{INVENTORY}/{many}", {"quantity": 1}), shop.post(f"{INVENTORY}/{many}/adjust", {"adjustment": 1}):
        assert is_error(answer, 400, "validation_error")["errors"][0]["field"] == "sku_id"


def test_what_changes_nothing_writes_nothing(shop):
    product, (sku,) = goods.add_product(shop, (10, 5))
    assert data(shop.put(f"{INVENTORY}/{product}", {"quantity": 5}))["quantity"] == 5
    assert data(shop.post(f"{INVENTORY}/{product}/adjust", {"adjustment": 0}))["quantity"] == 5
    assert len(movements(shop, product)) == 1 and events(shop) == []


def test_never_below_zero_never_too_much(shop):
    product, (sku,) = goods.add_product(shop, (10, 5))
    path = f"{INVENTORY}/{product}/adjust"
    assert is_error(shop.post(path, {"adjustment": -6}), 409, "insufficient_stock")["quantity"] == 5
    assert data(shop.post(path, {"adjustment": -5}))["quantity"] == 0
    assert data(shop.post(path, {"adjustment": 10**9}))["quantity"] == 10**9
    is_error(shop.post(path, {"adjustment": 1}), 400, "validation_error")
    assert len(events(shop)) == 2
    verified(shop)


def test_expected_quantity(shop):
    product, (sku,) = goods.add_product(shop, (10, 5))
    body = is_error(shop.put(f"{INVENTORY}/{product}", {"quantity": 9, "expected_quantity": 4}), 409, "conflict")
    assert body["quantity"] == 5 and goods.stock(shop, sku) == 5
    assert data(shop.put(f"{INVENTORY}/{product}", {"quantity": 9, "expected_quantity": 5}))["quantity"] == 9
    is_error(shop.put(f"{INVENTORY}/{product}", {"quantity": 9, "expected_quantity": 5}), 409, "conflict")


def test_if_match(shop):
    product, (one, two) = goods.add_product(shop, (10, 5), (20, 7))
    path = f"{INVENTORY}/{product}"
    tag = shop.get(path).headers["ETag"]
    data(shop.put(path, {"sku_id": one, "quantity": 6}, headers={"If-Match": tag}))
    stale = shop.put(path, {"sku_id": two, "quantity": 1}, headers={"If-Match": tag})
    is_error(stale, 412, "precondition_failed")
    assert stale.headers["ETag"] == shop.get(path).headers["ETag"] != tag
    assert goods.stock(shop, two) == 7
    data(shop.put(path, {"sku_id": two, "quantity": 1}, headers={"If-Match": stale.headers["ETag"]}))


def test_low_stock(shop):
    product, (sku,) = goods.add_product(shop, (10, 5))
    path = f"{INVENTORY}/{product}"
    row = data(shop.put(path, {"low_stock_threshold": 5}))
    assert (row["low_stock_threshold"], row["low_stock"], row["quantity"]) == (5, 0, 5)
    low = lambda: [p["product_id"] for p in data(shop.get(INVENTORY, params={"status": "low_stock"}))]
    assert low() == []
    goods.order(shop, items=[{"sku_id": sku, "quantity": 1}])
    assert low() == [product] and data(shop.get(path))["low_stock"] == 1
    data(shop.post(f"{path}/adjust", {"adjustment": -1}))
    data(shop.put(path, {"quantity": 50}))
    assert low() == []
    threshold, crossed, further, back = events(shop)
    assert threshold["changed"] == {"low_stock_threshold": {"old": None, "new": 5}} and threshold["low_stock"] is False
    assert crossed["changed"] == {"quantity": {"old": 5, "new": 4}, "low_stock": {"old": False, "new": True}}
    assert crossed["low_stock"] is True and further["low_stock"] is True and "low_stock" not in further["changed"]
    assert back["low_stock"] is False and back["changed"]["low_stock"] == {"old": True, "new": False}
    assert len(movements(shop, product)) == 4               # the threshold's own change moves nothing
    assert data(shop.put(path, {"low_stock_threshold": None}))["low_stock_threshold"] is None
    verified(shop)


@pytest.mark.parametrize("body, field", [
    ({}, "quantity"), ({"quantity": -1}, "quantity"), ({"quantity": 10**9 + 1}, "quantity"), ({"quantity": 1.5}, "quantity"),
    ({"quantity": "5"}, "quantity"), ({"quantity": 2**70}, "quantity"), ({"quantity": 1, "sku_id": 0}, "sku_id"),
    ({"quantity": 1, "reason": ""}, "reason"), ({"quantity": 1, "reason": "x" * 256}, "reason"),
    ({"low_stock_threshold": -1}, "low_stock_threshold"), ({"quantity": 1, "expected_quantity": -1}, "expected_quantity"),
])
def test_a_bad_set_names_its_field(shop, body, field):
    product, _ = goods.add_product(shop, (10, 5))
    body = is_error(shop.put(f"{INVENTORY}/{product}", body), 400, "validation_error")
    assert field in [error["field"] for error in body["errors"]]


def test_nul_is_refused(shop):
    product, _ = goods.add_product(shop, (10, 5))
    is_error(shop.put(f"{INVENTORY}/{product}", {"quantity": 1, "reason": "a\0b"}), 400, "invalid_json")


@pytest.mark.parametrize("body", [{}, {"adjustment": None}, {"adjustment": 0.5}, {"adjustment": "1"}, {"adjustment": 10**9 + 1},
                                  {"adjustment": -2**63}, {"adjustment": 2**64}, []])
def test_a_bad_adjustment(shop, body):
    product, (sku,) = goods.add_product(shop, (10, 5))
    is_error(shop.post(f"{INVENTORY}/{product}/adjust", body), 400, "validation_error")
    assert goods.stock(shop, sku) == 5


def test_a_reason_stays_byte_for_byte(shop):
    product, _ = goods.add_product(shop, (10, 5))
    for reason in ["গুদাম গণনা", "مخزون", "=1+1", "🧵 \"x\" \\ \n", "' or 1=1 --"]:
        data(shop.post(f"{INVENTORY}/{product}/adjust", {"adjustment": 1, "reason": reason}))
        assert movements(shop, product)[0]["reason"] == events(shop)[-1]["reason"] == reason


def test_what_is_not_there_and_what_is_anothers(platform, shop):
    from .shop import Owner

    other = Owner(platform).open_shop()
    foreign, (foreign_sku,) = goods.add_product(other, (10, 5))
    mine, (sku,) = goods.add_product(shop, (10, 5))
    for product in foreign, 2**50:
        texts = {is_error(answer, 404, "not_found")["message"] for answer in (
            shop.get(f"{INVENTORY}/{product}"), shop.get(f"{INVENTORY}/{product}/movements"),
            shop.put(f"{INVENTORY}/{product}", {"quantity": 1}),
            shop.put(f"{INVENTORY}/{product}", {"sku_id": foreign_sku, "quantity": 1}),
            shop.post(f"{INVENTORY}/{product}/adjust", {"adjustment": 1}))}
        assert texts == {"No such product in this store"}
    is_error(shop.put(f"{INVENTORY}/{mine}", {"sku_id": foreign_sku, "quantity": 1}), 404, "not_found")
    assert movements(shop, mine, sku_id=foreign_sku) == []
    assert goods.stock(other, foreign_sku) == 5 and [p["product_id"] for p in data(shop.get(INVENTORY))] == [mine]


def test_scopes(platform):
    from .shop import Owner

    owner = Owner(platform)
    reader = owner.open_shop(scopes=["read:inventory"])
    product, _ = goods.add_product(reader, (10, 5))
    data(reader.get(f"{INVENTORY}/{product}"))
    is_error(reader.put(f"{INVENTORY}/{product}", {"quantity": 1}), 403, "insufficient_scope")
    is_error(reader.post(f"{INVENTORY}/{product}/adjust", {"adjustment": 1}), 403, "insufficient_scope")
    writer = owner.open_shop(scopes=["write:inventory"], store_id=reader.store_id)
    is_error(writer.get(INVENTORY), 403, "insufficient_scope")
    data(writer.put(f"{INVENTORY}/{product}", {"quantity": 1}))


def test_an_adjustment_with_a_key_happens_once(shop):
    product, (sku,) = goods.add_product(shop, (10, 5))
    answers = [shop.post(f"{INVENTORY}/{product}/adjust", {"adjustment": 2}, headers={"Idempotency-Key": "k"}) for _ in range(3)]
    assert [a.status_code for a in answers] == [200] * 3 and goods.stock(shop, sku) == 7 and len(events(shop)) == 1


# ---- orders -----------------------------------------------------------------------------------------------------------


def test_orders_move_stock(shop):
    product, (one, two) = goods.add_product(shop, (10, 9), (20, 9))
    made = goods.order(shop, items=[{"sku_id": one, "quantity": 2}, {"sku_id": two, "quantity": 1}, {"sku_id": one, "quantity": 1}])
    order_id = made["order_id"]
    first, second = sorted(movements(shop, product)[:2], key=lambda m: m["sku_id"])
    assert (first["sku_id"], first["change"], first["quantity_after"], first["order_id"], first["reason"]) == (one, -3, 6, order_id, "order")
    assert (second["sku_id"], second["change"], second["quantity_after"], second["order_id"]) == (two, -1, 8, order_id)
    data(shop.put(f"{ORDERS}/{order_id}", {"items": [{"sku_id": one, "quantity": 3}, {"sku_id": two, "quantity": 4}]}))
    newest, older = movements(shop, product)[:2]             # `one` stays as it is: no movement of it
    assert (newest["sku_id"], newest["change"], newest["reason"], newest["order_id"]) == (two, -3, "order_items", order_id)
    assert older["reason"] == "order"
    data(shop.put(f"{ORDERS}/{order_id}/status", {"status": "cancelled"}))
    assert {(m["sku_id"], m["change"], m["reason"]) for m in movements(shop, product)[:2]} == {
        (one, 3, "order_cancelled"), (two, 4, "order_cancelled")}
    data(shop.delete(f"{ORDERS}/{order_id}"))                # gave its stock back already
    other = goods.order(shop, items=[{"sku_id": one, "quantity": 1}])
    data(shop.delete(f"{ORDERS}/{other['order_id']}"))
    assert movements(shop, product)[0]["reason"] == "order_deleted"
    told = [(e["sku_id"], e["changed"]["quantity"]["old"], e["changed"]["quantity"]["new"], e["order_id"]) for e in events(shop)]
    assert told == [(one, 9, 6, order_id), (two, 9, 8, order_id), (two, 8, 5, order_id), (one, 6, 9, order_id),
                    (two, 5, 9, order_id), (one, 9, 8, other["order_id"]), (one, 8, 9, other["order_id"])]
    assert (goods.stock(shop, one), goods.stock(shop, two)) == (9, 9)
    verified(shop)


def test_a_refused_order_moves_nothing(shop):
    product, (one, two) = goods.add_product(shop, (10, 9), (20, 1))
    is_error(shop.post(ORDERS, {"items": [{"sku_id": one, "quantity": 2}, {"sku_id": two, "quantity": 2}]}), 409, "insufficient_stock")
    is_error(shop.post(ORDERS, {"items": [{"sku_id": one, "quantity": 2}], "discount": 21}), 400, "validation_error")
    assert len(movements(shop, product)) == 2 and events(shop) == []


def test_free_text_orders_have_no_movement(shop):
    goods.order(shop)
    assert events(shop) == []


def test_if_match_on_orders(shop):
    made = goods.order(shop)
    path = f"{ORDERS}/{made['order_id']}"
    tag = shop.get(path).headers["ETag"]
    data(shop.put(path, {"note": "one"}, headers={"If-Match": tag}))
    for answer in (shop.put(path, {"note": "two"}, headers={"If-Match": tag}),
                   shop.put(f"{path}/status", {"status": "cancelled"}, headers={"If-Match": tag}),
                   shop.delete(path, headers={"If-Match": tag})):
        is_error(answer, 412, "precondition_failed")
        assert answer.headers["ETag"] == shop.get(path).headers["ETag"]
    data(shop.put(f"{path}/status", {"status": "cancelled"}, headers={"If-Match": shop.get(path).headers["ETag"]}))
    data(shop.delete(path, headers={"If-Match": shop.get(path).headers["ETag"]}))


# ---- the list ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def stocked(shop):
    """Seven products: (name, quantities)."""
    made = {}
    for name, quantities in [("Tea", [3]), ("Rice", [0]), ("Panjabi", [5, 0, 2]), ("Saree", [0, 0]), ("Honey", [40]),
                             ("Red tea", [1]), ("Lamp", [7])]:
        made[name], _ = goods.add_product(shop, *((10, q) for q in quantities), name=name, slug=name.replace(" ", "-"))
    shop.products = made
    return shop


def names(answer):
    return [row["name"] for row in data(answer)]


def test_a_row(stocked):
    row = next(r for r in data(stocked.get(INVENTORY)) if r["name"] == "Panjabi")
    assert set(row) == {"product_id", "name", "is_active", "updated_at", "total_quantity", "variant_count", "has_stock", "low_stock"}
    assert (row["total_quantity"], row["variant_count"], row["has_stock"], row["is_active"], row["low_stock"]) == (7, 3, 1, 1, 0)


@pytest.mark.parametrize("params, wanted", [
    ({"sort": "name:asc"}, ["Honey", "Lamp", "Panjabi", "Red tea", "Rice", "Saree", "Tea"]),
    ({"sort": "name"}, ["Tea", "Saree", "Rice", "Red tea", "Panjabi", "Lamp", "Honey"]),
    ({"sort": "total_quantity:desc"}, ["Honey", "Lamp", "Panjabi", "Tea", "Red tea", "Saree", "Rice"]),
    ({"sort": "total_quantity:asc"}, ["Rice", "Saree", "Red tea", "Tea", "Panjabi", "Lamp", "Honey"]),
    ({"sort": "updated_at:asc"}, ["Tea", "Rice", "Panjabi", "Saree", "Honey", "Red tea", "Lamp"]),
    ({"sort": "total_quantity:asc", "status": "in_stock"}, ["Red tea", "Tea", "Panjabi", "Lamp", "Honey"]),
    ({"sort": "total_quantity:desc", "status": "out_of_stock"}, ["Saree", "Rice"]),
    ({"sort": "name:asc", "status": "out_of_stock"}, ["Rice", "Saree"]),
    ({"sort": "updated_at:asc", "status": "in_stock"}, ["Tea", "Panjabi", "Honey", "Red tea", "Lamp"]),
    ({"sort": "name:asc", "search": "TEA"}, ["Red tea", "Tea"]), ({"search": "zzz"}, []),
    ({"sort": "name:asc", "search": "a", "status": "out_of_stock"}, ["Saree"]),
    ({"sort": "name:asc", "search": "%"}, []), ({"sort": "name:asc", "search": "_"}, []), ({"status": "low_stock"}, []),
])
def test_filters_and_sorts(stocked, params, wanted):
    answer = stocked.get(INVENTORY, params=params)
    assert names(answer) == wanted and answer.json()["pagination"]["total"] == len(wanted)
    paged, walked, cursor = [], [], None
    for page in range(1, 5):
        paged += names(stocked.get(INVENTORY, params={**params, "limit": 2, "page": page}))
    while True:
        answer = stocked.get(INVENTORY, params={**params, "limit": 2, **({"cursor": cursor} if cursor else {})})
        walked += names(answer)
        cursor = answer.json()["pagination"]["next_cursor"]
        if not cursor:
            break
    assert paged == walked == wanted


def test_bad_lists(stocked):
    body = is_error(stocked.get(INVENTORY, params={"sort": "price"}), 400, "validation_error")
    assert "total_quantity" in body["errors"][0]["message"]
    is_error(stocked.get(INVENTORY, params={"status": "plenty"}), 400, "validation_error")
    cursor = stocked.get(INVENTORY, params={"limit": 1}).json()["pagination"]["next_cursor"]
    for params in ({"sort": "name"}, {"status": "in_stock"}, {"search": "t"}):
        is_error(stocked.get(INVENTORY, params={**params, "cursor": cursor}), 400, "validation_error")
    assert stocked.get(INVENTORY, params={"limit": 10000}).json()["pagination"]["limit"] == 250


def test_what_products_do_is_seen(stocked):
    goods.run(stocked.platform, "update product set name = 'Green tea', is_active = false where store_id = %s and name = 'Tea' returning 1",
              stocked.store_id)
    goods.run(stocked.platform, "update product set deleted_at = now() where store_id = %s and name = 'Honey' returning 1", stocked.store_id)
    goods.run(stocked.platform, "update sku set deleted_at = now() where store_id = %s and product_id = %s and quantity = 5 returning 1",
              stocked.store_id, stocked.products["Panjabi"])
    rows = {row["name"]: row for row in data(stocked.get(INVENTORY))}
    assert "Honey" not in rows and "Tea" not in rows and rows["Green tea"]["is_active"] == 0
    assert (rows["Panjabi"]["total_quantity"], rows["Panjabi"]["variant_count"]) == (2, 2)
    assert stocked.get(INVENTORY, params={"status": "in_stock"}).json()["pagination"]["total"] == 4
    is_error(stocked.get(f"{INVENTORY}/{stocked.products['Honey']}/movements"), 404, "not_found")
    verified(stocked)


def test_a_walk_over_movements(shop):
    product, (one, two) = goods.add_product(shop, (10, 100), (10, 100))
    for i in range(7):
        data(shop.post(f"{INVENTORY}/{product}/adjust", {"sku_id": (one, two)[i % 2], "adjustment": -1 - i}))
    wanted = [m["movement_id"] for m in movements(shop, product)]
    assert wanted == sorted(wanted, reverse=True) and len(wanted) == 9
    walked, cursor = [], None
    while True:
        answer = shop.get(f"{INVENTORY}/{product}/movements", params={"limit": 4, **({"cursor": cursor} if cursor else {})})
        walked += [m["movement_id"] for m in data(answer)]
        assert answer.json()["pagination"]["total"] == 9
        cursor = answer.json()["pagination"]["next_cursor"]
        if not cursor:
            break
    assert walked == wanted
    assert [m["movement_id"] for m in movements(shop, product, limit=4, page=3)] == wanted[8:]
    own = movements(shop, product, sku_id=two)
    assert {m["sku_id"] for m in own} == {two} and sum(m["change"] for m in own) == goods.stock(shop, two)


# ---- many at once -----------------------------------------------------------------------------------------------------


def test_64_clients_on_one_variant(shop):
    """Sets, adjustments and orders at once: what was acknowledged is what is there."""
    product, (sku, other) = goods.add_product(shop, (10, 500), (10, 500))
    goods.run(shop.platform, "update sku set low_stock_threshold = 480 where store_id = %s returning 1", shop.store_id)

    def client(number):
        rng, done = random.Random(number), []
        for _ in range(6):
            kind = rng.choice(["adjust", "order", "order", "both", "set"])
            if kind == "adjust":
                change = rng.randint(-9, 9)
                if shop.post(f"{INVENTORY}/{product}/adjust", {"sku_id": sku, "adjustment": change}).status_code == 200:
                    done.append(change)
            elif kind == "set":
                now = variants(shop, product)[sku]["quantity"]
                change = rng.randint(0, 9)
                answer = shop.put(f"{INVENTORY}/{product}", {"sku_id": sku, "quantity": now + change, "expected_quantity": now})
                assert answer.status_code in (200, 409), answer
                done += [change] if answer.status_code == 200 else []
            else:
                items = [{"sku_id": sku, "quantity": rng.randint(1, 3)}]
                items += [{"sku_id": other, "quantity": 1}] if kind == "both" else []
                rng.shuffle(items)
                answer = shop.post(ORDERS, {"items": items})
                assert answer.status_code in (201, 409), answer
                if answer.status_code == 201:
                    done.append(-sum(i["quantity"] for i in items if i["sku_id"] == sku))
                    if rng.random() < 0.3:
                        order_id = answer.json()["data"]["order_id"]
                        data(shop.put(f"{ORDERS}/{order_id}/status", {"status": "cancelled"}))
                        done.append(-done[-1])
        return done

    with ThreadPoolExecutor(64) as pool:
        done = [change for changes in pool.map(client, range(64)) for change in changes]
    assert goods.stock(shop, sku) == 500 + sum(done)
    assert verified(shop)["quantity"] == goods.stock(shop, sku) + goods.stock(shop, other)
    told = [e["changed"]["quantity"] for e in events(shop) if e["sku_id"] == sku]
    assert told[0]["old"] == 500 and all(a["new"] == b["old"] for a, b in zip(told, told[1:]))
    assert told[-1]["new"] == goods.stock(shop, sku)
    assert len(told) == goods.run(shop.platform, "select count(*) from inventory_movement where store_id = %s and sku_id = %s and "
                                  "reason <> 'opening'", shop.store_id, sku)[0][0]


def test_the_last_piece_is_sold_once(shop):
    product, (sku,) = goods.add_product(shop, (10, 10))
    with ThreadPoolExecutor(64) as pool:
        codes = list(pool.map(lambda _: shop.post(ORDERS, {"items": [{"sku_id": sku, "quantity": 1}]}).status_code, range(64)))
    assert sorted(codes) == [201] * 10 + [409] * 54 and goods.stock(shop, sku) == 0
    verified(shop)


def test_verify_finds_what_is_wrong(shop):
    product, (sku,) = goods.add_product(shop, (10, 5))
    goods.run(shop.platform, "update product_stock set total_quantity = 6 where store_id = %s returning 1", shop.store_id)
    goods.run(shop.platform, "update sku set quantity = 4 where store_id = %s returning 1", shop.store_id)
    answer = shop.platform.call("store-data.inventory.verify", store_id=shop.store_id)
    assert not answer["ok"]
    assert {(d["kind"], d["id"], d["kept"], d["counted"]) for d in answer["differences"]} == {
        ("product.total_quantity", product, 5, 4), ("sku.quantity", sku, 4, 5)}

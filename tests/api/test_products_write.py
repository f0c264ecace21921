"""Products and variants as apps write them: fields, slugs, codes, the default variant, stock, events, conditions."""

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from . import goods
from .client import is_error

PRODUCTS = "/api/apps/v1/products"
# Right to left, joined, combined, outside the basic plane, and what a spreadsheet would take for a formula.
ODD_TEXTS = ["شال صوف", "পাঞ্জাবি", "👩‍👩‍👧‍👦 kit 🎁", "e\u0301clair \u202eabc", "=1+1", "<script>alert(1)</script>", "a\tb\nc", "' or 1=1 --",
             "\\", "{}", "\U0010fffd"]


def make(shop, status=201, **body):
    answer = shop.post(PRODUCTS, {"name": "Cotton Panjabi", **body})
    assert answer.status_code == status, answer
    return answer.json(parse_float=Decimal)["data"]


def read(shop, product_id):
    return shop.get(f"{PRODUCTS}/{product_id}").json(parse_float=Decimal)["data"]


def events(shop, product_id, topic=None):
    """Topic and data of what was told about a product, in order."""
    return goods.run(shop.platform, "select topic, data from outbox where store_id = %s and resource_type = 'product' and resource_id = %s "
                     "and (%s::text is null or topic = %s) order by id", shop.store_id, product_id, topic, topic)


def stock_events(shop, product_id):
    return [data for data, in goods.run(shop.platform, "select data from outbox where store_id = %s and topic = 'inventory.updated' and "
                                        "data ->> 'product_id' = %s order by id", shop.store_id, str(product_id))]


def movements(shop, product_id):
    return goods.run(shop.platform, "select sku_id, change, quantity_after, reason from inventory_movement where store_id = %s and "
                     "product_id = %s order by movement_id", shop.store_id, product_id)


def defaults(product):
    return [variant["sku_id"] for variant in product["variants"] if variant["is_default"]]


def category(shop, name="Clothes", **body):
    return shop.post("/api/apps/v1/categories", {"name": name, **body}).json()["data"]["category_id"]


# ---- making ----------------------------------------------------------------------------------------------------------

def test_the_least(shop):
    product = make(shop)
    assert product == read(shop, product["product_id"])
    assert (product["slug"], product["is_active"], product["is_visible"], product["is_featured"], product["is_bestseller"],
            product["category_id"], product["description"], product["store_id"]) == (
        "cotton-panjabi", 1, 1, 0, 0, None, None, shop.store_id)
    [variant] = product["variants"]
    assert variant == {
        "sku_id": variant["sku_id"], "product_id": product["product_id"], "variant_name": "Default",
        "sku_code": f"SKU-{variant['sku_id']}", "price": 0, "compare_at_price": None, "available": 1, "quantity": 0,
        "is_default": 1, "images": None, "weight": None, "position": 0, "free_shipping": 0}
    [(topic, data)] = events(shop, product["product_id"])
    assert topic == "product.created" and movements(shop, product["product_id"]) == []
    assert data == shop.get(f"{PRODUCTS}/{product['product_id']}").json()["data"]      # the whole product, as GET has it


def test_everything(shop):
    group = category(shop)
    product = make(shop, name="Silk", slug="silk-2026", description="d" * 50000, short_description="s", category_id=group,
                   brand_id=9, is_active=False, is_visible=False, is_featured=True, is_bestseller=True, variants=[
                       {"variant_name": "M", "sku_code": "S-M", "price": 1450.55, "compare_at_price": 1700, "quantity": 24,
                        "weight": 0.35, "images": "a.png,b.png", "available": False, "free_shipping": True},
                       {"variant_name": "L", "sku_code": "S-L", "price": 100000000, "quantity": 1000000000, "is_default": True,
                        "position": 7, "weight": 1.005}], unknown=1)
    assert (product["slug"], product["category_id"], product["brand_id"], product["is_active"], product["is_featured"]) == (
        "silk-2026", group, 9, 0, 1)
    first, second = product["variants"]
    assert (first["price"], first["compare_at_price"], first["weight"], first["images"], first["available"],
            first["free_shipping"], first["is_default"], first["position"]) == (
        Decimal("1450.55"), Decimal("1700.00"), Decimal("0.350"), "a.png,b.png", 0, 1, 0, 0)
    assert (second["price"], second["quantity"], second["is_default"], second["position"], second["weight"]) == (
        100000000, 1000000000, 1, 7, Decimal("1.005"))
    assert movements(shop, product["product_id"]) == [
        (first["sku_id"], 24, 24, "product_created"), (second["sku_id"], 1000000000, 1000000000, "product_created")]
    assert [(data["sku_id"], data["quantity"], data["reason"], data["changed"]) for data in stock_events(shop, product["product_id"])] == [
        (first["sku_id"], 24, "product_created", {"quantity": {"old": 0, "new": 24}}),
        (second["sku_id"], 1000000000, "product_created", {"quantity": {"old": 0, "new": 1000000000}})]
    assert events(shop, product["product_id"], "product.created")[0][1]["variants"][0]["price"] == 1450.55


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_text_is_kept(shop, text):
    product = make(shop, name=text, description=text, variants=[{"variant_name": text, "sku_code": text, "price": 1}])
    found = read(shop, product["product_id"])
    assert (found["name"], found["description"], found["variants"][0]["variant_name"], found["variants"][0]["sku_code"]) == (text,) * 4
    assert events(shop, product["product_id"])[0][1]["name"] == text
    listed = shop.get(PRODUCTS, params={"search": text}).json()["data"]
    assert [row["product_id"] for row in listed] == [product["product_id"]]


def test_nul_is_refused(shop):
    is_error(shop.request("POST", PRODUCTS, body=b'{"name": "a\\u0000b"}'), 400, "invalid_json")
    assert shop.get(PRODUCTS).json()["data"] == []


@pytest.mark.parametrize("body, field", [
    ({"name": ""}, "name"), ({"name": "x" * 256}, "name"), ({"name": None}, "name"), ({"name": 7}, "name"),
    ({"slug": "Two Words"}, "slug"), ({"slug": "-a"}, "slug"), ({"slug": "a--b"}, "slug"), ({"slug": "../x"}, "slug"), ({"slug": ""}, "slug"),
    ({"slug": "x" * 201}, "slug"), ({"category_id": -1}, "category_id"), ({"category_id": 2**63}, "category_id"),
    ({"is_active": 1}, "is_active"), ({"description": "x" * 50001}, "description"),
    ({"variants": [{}]}, "variants[0].price"),
    ({"variants": [{"price": 1}] * 251}, "variants"),
    ({"variants": [{"price": 1.005}]}, "variants[0].price"), ({"variants": [{"price": -0.01}]}, "variants[0].price"),
    ({"variants": [{"price": 100000000.01}]}, "variants[0].price"), ({"variants": [{"price": "7"}]}, "variants[0].price"),
    ({"variants": [{"price": 1, "quantity": -1}]}, "variants[0].quantity"),
    ({"variants": [{"price": 1, "quantity": 1.5}]}, "variants[0].quantity"),
    ({"variants": [{"price": 1, "quantity": 10**9 + 1}]}, "variants[0].quantity"),
    ({"variants": [{"price": 1, "weight": 0.0001}]}, "variants[0].weight"),
    ({"variants": [{"price": 1, "is_default": True}, {"price": 2, "is_default": True}]}, "variants"),
    ({"variants": [{"price": 1, "compare_at_price": 1.999}]}, "variants[0].compare_at_price"),
])
def test_bad_bodies(shop, body, field):
    found = is_error(shop.post(PRODUCTS, {"name": "X", **body}), 400, "validation_error")
    assert [error["field"] for error in found["errors"]] == [field]
    assert goods.run(shop.platform, "select count(*) from product where store_id = %s", shop.store_id) == [(0,)]


def test_money_as_a_double_would_spoil_it(shop):
    answer = shop.request("POST", PRODUCTS, body='{"name": "x", "variants": [{"price": 1e2}]}')
    is_error(answer, 400, "validation_error")
    answer = shop.request("POST", PRODUCTS, body='{"name": "x", "variants": [{"price": 70368744.17}]}')
    assert answer.json(parse_float=str)["data"]["variants"][0]["price"] == "70368744.17"


# ---- slugs and codes -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, slug", [
    ("Cotton  Panjabi!", "cotton-panjabi"), ("পাঞ্জাবি – সুতি", "পাঞ্জাবি-সুতি"), ("ÉCLAIR Straße", "éclair-straße"),
    ("ЧАЙ 100%", "чай-100"), ("شال صوف", "شال-صوف"), ("🎁🎁", "product"), ("--", "product"), ("a/b\\c..d", "a-b-c-d"),
    ("৳৫০০ ভাউচার।", "৫০০-ভাউচার"), ("x" * 255, "x" * 100), ("茶（緑）", "茶-緑")])
def test_slugs_of_names(shop, name, slug):
    assert [make(shop, name=name)["slug"] for _ in range(3)] == [slug, f"{slug}-2", f"{slug}-3"]


def test_numbers_of_slugs_go_on(shop):
    goods.run(shop.platform, "insert into product (store_id, name, slug) select %s, 'x', case when n = 1 then 'tea' else 'tea-' || n end "
              "from generate_series(1, 1000) as n", shop.store_id)
    assert [make(shop, name="Tea")["slug"] for _ in range(2)] == ["tea-1001", "tea-1002"]


def test_a_taken_slug(shop):
    product = make(shop, slug="tea")
    body = is_error(shop.post(PRODUCTS, {"name": "Other", "slug": "tea"}), 409, "duplicate_slug")
    assert body["errors"][0]["field"] == "slug"
    other = make(shop, name="Other")
    is_error(shop.put(f"{PRODUCTS}/{other['product_id']}", {"slug": "tea"}), 409, "duplicate_slug")
    assert read(shop, other["product_id"])["slug"] == "other"
    shop.delete(f"{PRODUCTS}/{product['product_id']}")
    assert make(shop, slug="tea")["slug"] == "tea"


def test_a_taken_code(shop):
    make(shop, variants=[{"price": 1, "sku_code": "A"}, {"price": 1, "sku_code": "B"}])
    body = is_error(shop.post(PRODUCTS, {"name": "x", "variants": [{"price": 1, "sku_code": "C"}, {"price": 1, "sku_code": "B"}]}),
                    409, "duplicate_sku")
    assert body["errors"][0]["field"] == "variants[1].sku_code"
    body = is_error(shop.post(PRODUCTS, {"name": "x", "variants": [{"price": 1, "sku_code": "D"}, {"price": 1, "sku_code": "D"}]}),
                    409, "duplicate_sku")
    assert body["errors"][0]["field"] == "variants[1].sku_code"
    assert len(shop.get(PRODUCTS).json()["data"]) == 1


def test_another_store_may_have_the_same(owner, shop):
    for one in (shop, owner.open_shop()):
        assert make(one, slug="same", variants=[{"price": 1, "sku_code": "SAME"}])["slug"] == "same"


def at_once(count, function):
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(function, range(count)))


def test_64_of_one_slug_make_one(shop):
    answers = at_once(64, lambda n: shop.post(PRODUCTS, {"name": "x", "slug": "one"}))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 63
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"duplicate_slug"}
    assert goods.run(shop.platform, "select count(*) from outbox where store_id = %s", shop.store_id) == [(1,)]


def test_64_of_one_code_make_one(shop):
    answers = at_once(64, lambda n: shop.post(PRODUCTS, {"name": f"x{n}", "variants": [{"price": 1, "sku_code": "ONE"}]}))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 63
    assert shop.get(PRODUCTS).json()["pagination"]["total"] == 1


def test_64_of_one_name_get_a_slug_each(shop):
    slugs = [answer.json()["data"]["slug"] for answer in at_once(64, lambda n: shop.post(PRODUCTS, {"name": "Tea"}))]
    assert len(set(slugs)) == 64 and "tea" in slugs and all(slug.startswith("tea") for slug in slugs)


# ---- changing --------------------------------------------------------------------------------------------------------

def test_an_update(shop):
    product = make(shop, description="old", brand_id=4)
    path, group = f"{PRODUCTS}/{product['product_id']}", category(shop)
    answer = shop.put(path, {"name": "New", "description": None, "is_active": False, "category_id": group, "brand_id": 5,
                             "is_visible": True})
    now = answer.json()["data"]
    assert answer.status_code == 200 and now == shop.get(path).json()["data"]
    assert (now["name"], now["description"], now["is_active"], now["category_id"], now["slug"]) == ("New", None, 0, group, "cotton-panjabi")
    assert now["updated_at"] >= product["updated_at"] and now["created_at"] == product["created_at"]
    _, data = events(shop, product["product_id"], "product.updated")[0]
    assert data.pop("changed") == {
        "name": {"old": "Cotton Panjabi", "new": "New"}, "description": {"old": "old", "new": None},
        "category_id": {"old": None, "new": group}, "brand_id": {"old": 4, "new": 5}, "is_active": {"old": 1, "new": 0}}
    assert data == now


def test_what_changes_nothing_is_not_told(shop):
    product = make(shop)
    path = f"{PRODUCTS}/{product['product_id']}"
    for body in ({}, {"name": "Cotton Panjabi"}, {"category_id": None, "is_active": True}, {"slug": "cotton-panjabi"}, {"x": 1}):
        answer = shop.put(path, body)
        assert answer.status_code == 200 and answer.json()["data"]["updated_at"] == product["updated_at"]
    sku = product["variants"][0]["sku_id"]
    assert shop.put(f"{path}/variants/{sku}", {"price": 0, "quantity": 0, "weight": None}).status_code == 200
    assert len(events(shop, product["product_id"])) == 1


def test_bad_updates(shop):
    product = make(shop)
    path = f"{PRODUCTS}/{product['product_id']}"
    for body, field in (({"name": None}, "name"), ({"slug": None}, "slug"), ({"slug": "A B"}, "slug"), ({"is_active": None}, "is_active"),
                        ({"variants": []}, "variants"), ({"variants": {}}, "variants")):
        assert is_error(shop.put(path, body), 400, "validation_error")["errors"][0]["field"] == field
    is_error(shop.put(path, {"category_id": 2**60}), 404, "not_found")
    assert read(shop, product["product_id"]) == product


def test_a_delete(shop):
    product = make(shop, variants=[{"price": 5, "quantity": 3, "sku_code": "A"}])
    path = f"{PRODUCTS}/{product['product_id']}"
    assert shop.delete(path).json()["data"] == {"product_id": product["product_id"]}
    for answer in (shop.get(path), shop.delete(path), shop.put(path, {"name": "x"}), shop.post(f"{path}/variants", {"price": 1})):
        is_error(answer, 404, "not_found")
    _, data = events(shop, product["product_id"], "product.deleted")[0]
    assert (data["product_id"], data["variants"][0]["quantity"]) == (product["product_id"], 3)
    is_error(shop.post("/api/apps/v1/orders", {"items": [{"sku_id": product["variants"][0]["sku_id"], "quantity": 1}]}), 404, "not_found")
    assert shop.get(PRODUCTS).json()["pagination"]["total"] == 0
    assert shop.get(PRODUCTS, params={"price_min": 1}).json()["data"] == []
    make(shop, variants=[{"price": 5, "sku_code": "A"}])                # the code is free again


# ---- variants --------------------------------------------------------------------------------------------------------

def test_variants(shop):
    product = make(shop, variants=[{"price": 10, "sku_code": "A"}])
    path, first = f"{PRODUCTS}/{product['product_id']}/variants", product["variants"][0]["sku_id"]
    answer = shop.post(path, {"variant_name": "L", "price": 12.5, "quantity": 4, "is_default": True})
    assert answer.status_code == 201
    second = answer.json()["data"]
    assert (second["position"], second["is_default"], second["sku_code"]) == (1, 1, f"SKU-{second['sku_id']}")
    now = read(shop, product["product_id"])
    assert defaults(now) == [second["sku_id"]] and now["updated_at"] >= product["updated_at"]
    _, data = events(shop, product["product_id"], "product.updated")[-1]
    assert data["changed"] == {"variants": {"old": [], "new": [second]}}
    assert len(data["variants"]) == 2
    assert movements(shop, product["product_id"]) == [(second["sku_id"], 4, 4, "variant_created")]

    answer = shop.put(f"{path}/{first}", {"images": "k1,k2", "quantity": 9, "is_default": True, "compare_at_price": 20})
    body = answer.json()
    assert (answer.status_code, body["data"]["images"], body["data"]["quantity"], body["status"]) == (200, "k1,k2", 9, 200) and body["message"]
    assert defaults(read(shop, product["product_id"])) == [first]
    _, data = events(shop, product["product_id"], "product.updated")[-1]
    changed = data["changed"]["variants"]
    assert (changed["old"][0]["quantity"], changed["new"][0]["quantity"], changed["new"][0]["is_default"]) == (0, 9, 1)
    shop.put(f"{path}/{first}", {"quantity": 2, "compare_at_price": None})
    assert movements(shop, product["product_id"])[1:] == [(first, 9, 9, "variant_updated"), (first, -7, 2, "variant_updated")]
    assert [(data["changed"]["quantity"], data["quantity"]) for data in stock_events(shop, product["product_id"])] == [
        ({"old": 0, "new": 4}, 4), ({"old": 0, "new": 9}, 9), ({"old": 9, "new": 2}, 2)]

    answer = shop.delete(f"{path}/{first}")
    assert answer.json()["data"] == {"product_id": product["product_id"], "sku_id": first}
    now = read(shop, product["product_id"])
    assert [variant["sku_id"] for variant in now["variants"]] == defaults(now) == [second["sku_id"]]
    is_error(shop.delete(f"{path}/{second['sku_id']}"), 409, "conflict")
    is_error(shop.delete(f"{path}/{first}"), 404, "not_found")
    assert shop.post(path, {"price": 1, "sku_code": "A"}).status_code == 201


def test_bad_variants(shop):
    product = make(shop, variants=[{"price": 10, "sku_code": "A"}, {"price": 10, "sku_code": "B"}])
    path = f"{PRODUCTS}/{product['product_id']}/variants"
    first, second = (variant["sku_id"] for variant in product["variants"])
    is_error(shop.post(path, {"price": 1, "sku_code": "B"}), 409, "duplicate_sku")
    is_error(shop.put(f"{path}/{first}", {"sku_code": "B"}), 409, "duplicate_sku")
    for body, field in (({"price": 1.001}, "price"), ({"price": None}, "price"), ({"quantity": -1}, "quantity"), ({"sku_code": ""}, "sku_code"),
                        ({"sku_code": None}, "sku_code"), ({"images": "x" * 8193}, "images"), ({"is_default": False}, "is_default"),
                        ({"position": -1}, "position"), ({"weight": 10**9}, "weight")):
        assert is_error(shop.put(f"{path}/{first}", body), 400, "validation_error")["errors"][0]["field"] == field
    is_error(shop.post(path, {}), 400, "validation_error")
    other = make(shop)
    is_error(shop.put(f"{PRODUCTS}/{other['product_id']}/variants/{second}", {"price": 1}), 404, "not_found")
    assert read(shop, product["product_id"]) == product


def test_the_251st_variant(shop):
    product = make(shop, variants=[{"price": n} for n in range(250)])
    assert len(product["variants"]) == 250
    path = f"{PRODUCTS}/{product['product_id']}/variants"
    is_error(shop.post(path, {"price": 1}), 409, "conflict")
    shop.delete(f"{path}/{product['variants'][7]['sku_id']}")
    assert [answer.status_code for answer in at_once(8, lambda n: shop.post(path, {"price": 1}))].count(201) == 1


def test_one_default_whoever_asks(shop):
    product = make(shop, variants=[{"price": n} for n in range(6)])
    path = f"{PRODUCTS}/{product['product_id']}/variants"
    skus = [variant["sku_id"] for variant in product["variants"]]
    answers = at_once(48, lambda n: shop.put(f"{path}/{skus[n % 6]}", {"is_default": True, "quantity": n})
                      if n % 8 else shop.post(path, {"price": 1, "is_default": True}))
    assert {answer.status_code for answer in answers} == {200, 201}
    now = read(shop, product["product_id"])
    assert len(defaults(now)) == 1 and len(now["variants"]) == 12
    total = goods.run(shop.platform, "select (select sum(change) from inventory_movement where product_id = %s), (select sum(quantity) "
                      "from sku where product_id = %s and deleted_at is null)", product["product_id"], product["product_id"])
    assert total[0][0] == total[0][1]


# ---- conditions, keys, borders ---------------------------------------------------------------------------------------

def test_if_match(shop):
    product = make(shop, variants=[{"price": 1}, {"price": 2}])
    path = f"{PRODUCTS}/{product['product_id']}"
    first, second = (f"{path}/variants/{variant['sku_id']}" for variant in product["variants"])
    stale = shop.get(path).headers["ETag"]
    assert shop.put(path, {"name": "B"}, headers={"If-Match": stale}).status_code == 200
    for answer in (shop.put(path, {"name": "C"}, headers={"If-Match": stale}), shop.delete(path, headers={"If-Match": stale}),
                   shop.put(first, {"price": 7}, headers={"If-Match": stale}), shop.delete(second, headers={"If-Match": stale})):
        is_error(answer, 412, "precondition_failed")
        assert answer.headers["ETag"] == shop.get(path).headers["ETag"]
    for change in (lambda tag: shop.put(first, {"price": 7}, headers=tag), lambda tag: shop.delete(second, headers=tag),
                   lambda tag: shop.put(path, {"name": "D"}, headers=tag), lambda tag: shop.delete(path, headers=tag)):
        assert change({"If-Match": shop.get(path).headers["ETag"]}).status_code == 200


def test_a_key_makes_one_product(shop):
    answers = [shop.post(PRODUCTS, {"name": "Once"}, headers={"Idempotency-Key": "k1"}) for _ in range(3)]
    assert len({answer.content for answer in answers}) == 1 and answers[1].headers["Idempotent-Replayed"] == "true"
    assert shop.get(PRODUCTS).json()["pagination"]["total"] == 1


def test_another_stores_are_not_there(owner, shop):
    other = owner.open_shop()
    product = make(other, variants=[{"price": 1}, {"price": 2}])
    group, sku = category(other), product["variants"][0]["sku_id"]
    mine = make(shop)
    for name in ("%d", "%d/variants"):
        for ask in (lambda path: shop.put(path, {"name": "x"}), shop.delete, lambda path: shop.post(path, {"price": 1})):
            theirs, absent = (ask(f"{PRODUCTS}/{name % number}") for number in (product["product_id"], 2**60))
            assert (theirs.status_code, theirs.json()) == (absent.status_code, absent.json()) and theirs.status_code in (404, 405)
    for ask in (lambda path: shop.put(path, {"price": 1}), shop.delete):
        is_error(ask(f"{PRODUCTS}/{product['product_id']}/variants/{sku}"), 404, "not_found")
        is_error(ask(f"{PRODUCTS}/{mine['product_id']}/variants/{sku}"), 404, "not_found")
    theirs, absent = (is_error(shop.post(PRODUCTS, {"name": "x", "category_id": number}), 404, "not_found") for number in (group, 2**60))
    assert theirs == absent and theirs["errors"][0]["field"] == "category_id"
    is_error(shop.put(f"{PRODUCTS}/{mine['product_id']}", {"category_id": group}), 404, "not_found")
    assert read(other, product["product_id"]) == product


def test_scopes(owner):
    shop = owner.open_shop(["read:products"])
    for answer in (shop.post(PRODUCTS, {"name": "x"}), shop.put(f"{PRODUCTS}/1", {}), shop.delete(f"{PRODUCTS}/1"),
                   shop.post(f"{PRODUCTS}/1/variants", {"price": 1}), shop.put(f"{PRODUCTS}/1/variants/1", {}),
                   shop.delete(f"{PRODUCTS}/1/variants/1"), shop.post("/api/apps/v1/categories", {"name": "x"})):
        is_error(answer, 403, "insufficient_scope")


def test_kept_totals_and_recount(shop):
    ids = [make(shop, name=f"p{n}", is_active=n % 2 == 0)["product_id"] for n in range(6)]
    shop.put(f"{PRODUCTS}/{ids[0]}", {"is_active": False})
    shop.delete(f"{PRODUCTS}/{ids[1]}")
    for status, wanted in (("active", 2), ("inactive", 3), (None, 5)):
        params = {"status": status} if status else {}
        assert shop.get(PRODUCTS, params=params).json()["pagination"]["total"] == wanted
    counts = shop.platform.call("store-data.counts.verify", store_id=shop.store_id)
    assert counts["ok"] and counts["products"] == 5, counts


# ---- images as addresses, slugs in a ring ----------------------------------------------------------------------------


def test_what_a_browser_would_run_is_no_image(shop):
    product = make(shop)
    path = f"{PRODUCTS}/{product['product_id']}/variants"
    sku = product["variants"][0]["sku_id"]
    for images in "javascript:alert(1)", "a.png,javascript:x", "a.png, data:text/html;base64,AA", "../a.png", "//evil.example/a.png", "a b.png":
        for answer in (shop.put(f"{path}/{sku}", {"images": images}), shop.post(path, {"variant_name": "M", "price": 1, "images": images}),
                       shop.post(PRODUCTS, {"name": "P", "variants": [{"price": 1, "images": images}]})):
            assert "image" in is_error(answer, 400, "validation_error")["errors"][0]["field"]
    for images in "a.png, https://cdn.example/b.png,", "", "stores/1/products/7/9f.png", None:
        assert shop.put(f"{path}/{sku}", {"images": images}).json()["data"]["images"] == images


def test_products_that_exchange_their_slugs_at_once(shop):
    def deadlocks():
        return goods.run(shop.platform, "select deadlocks from pg_stat_database where datname = current_database()")[0][0]

    first, second = make(shop, slug="s1")["product_id"], make(shop, slug="s2")["product_id"]
    before = deadlocks()
    wanted = [(first, "s2"), (second, "s1"), (first, "s3"), (second, "s3"), (first, "s1"), (second, "s2")] * 3 * 8
    with ThreadPoolExecutor(18) as pool:
        codes = set(pool.map(lambda one: shop.put(f"{PRODUCTS}/{one[0]}", {"slug": one[1]}).status_code, wanted))
    assert codes <= {200, 409}
    time.sleep(1.5)                                 # the numbers are told once a second
    assert deadlocks() == before

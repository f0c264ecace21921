"""Shipping zones, their places and methods, and what an address is offered (contract K.3)."""

import threading
from decimal import Decimal

import pytest

from .client import is_error

ZONES = "/api/apps/v1/shipping/zones"
RATES = "/api/apps/v1/shipping/rates"


@pytest.fixture
def shop(owner):
    return owner.open_shop()


def made(shop, name="Inside Dhaka", **fields):
    answer = shop.post(ZONES, {"name": name, **fields})
    assert answer.status_code == 201, answer
    return answer.json()["data"]


def changed(shop, zone, **fields):
    answer = shop.put(f"{ZONES}/{zone['zone_id']}", fields)
    assert answer.status_code == 200, answer
    return answer.json()["data"]


def got(shop, zone):
    return shop.get(f"{ZONES}/{zone['zone_id']}").json()["data"]


def rates(shop, **query):
    answer = shop.get(RATES, params=query)
    assert answer.status_code == 200, answer
    data = answer.json()["data"]
    return data["zone"] and data["zone"]["name"], [rate["name"] for rate in data["rates"]]


def method(name="Home delivery", price=60, **fields):
    return {"name": name, "price": price, **fields}


def test_a_zones_life(shop):
    zone = made(shop, cities=["Dhaka", "Mirpur"], methods=[method(estimated_days=2), method("Free", 0, min_order=2000)])
    assert zone["store_id"] == shop.store_id and zone["is_default"] == 0 and zone["cities"] == ["Dhaka", "Mirpur"]
    assert [(m["name"], m["price"], m["min_order"], m["estimated_days"]) for m in zone["methods"]] == [
        ("Home delivery", 60, None, 2), ("Free", 0, 2000, None)]
    assert got(shop, zone) == zone
    listed = shop.get(ZONES).json()
    assert listed["data"] == [zone] and listed["pagination"] == {"page": 1, "limit": 50, "total": 1, "next_cursor": None}
    zone = changed(shop, zone, name="Dhaka", cities=["Uttara", "Dhaka"])
    assert (zone["name"], zone["cities"], len(zone["methods"])) == ("Dhaka", ["Uttara", "Dhaka"], 2)
    answer = shop.delete(f"{ZONES}/{zone['zone_id']}")
    assert answer.status_code == 200 and answer.json()["data"] == {"zone_id": zone["zone_id"]}
    is_error(shop.get(f"{ZONES}/{zone['zone_id']}"), 404, "not_found")
    is_error(shop.delete(f"{ZONES}/{zone['zone_id']}"), 404, "not_found")
    is_error(shop.put(f"{ZONES}/{zone['zone_id']}", {"name": "Late"}), 404, "not_found")
    assert rates(shop, city="Dhaka") == (None, [])


def test_what_an_address_is_offered(shop):
    made(shop, "Dhaka", cities=["Dhaka"], methods=[method(price=60), method("Express", 120), method("Free", 0, min_order=2000)])
    made(shop, "Mirpur", cities=["Mirpur"], methods=[method("Bicycle", 30)])
    made(shop, "Elsewhere", is_default=True, methods=[method("Courier", 120)])
    made(shop, "Nowhere", cities=["Saint Martin"])
    assert rates(shop, city="Dhaka") == ("Dhaka", ["Home delivery", "Express"])
    assert rates(shop, city="Dhaka", subtotal="1999.99") == ("Dhaka", ["Home delivery", "Express"])
    assert rates(shop, city="Dhaka", subtotal="2000") == ("Dhaka", ["Free", "Home delivery", "Express"])
    assert rates(shop, city="Dhaka", area="Mirpur") == ("Mirpur", ["Bicycle"])
    assert rates(shop, city="Dhaka", area="Banani") == ("Dhaka", ["Home delivery", "Express"])
    assert rates(shop, city="Sylhet") == rates(shop) == rates(shop, city="") == ("Elsewhere", ["Courier"])
    assert rates(shop, city="Saint Martin") == ("Nowhere", [])
    full = shop.get(RATES, params={"city": "Dhaka"}).json(parse_float=Decimal)["data"]["rates"][0]
    assert full["price"] == Decimal("60.00") and str(full["price"]) == "60.00" and full["method_id"]


@pytest.mark.parametrize("city", ["dhaka", "DHAKA", "  Dhaka ", "dHaKa\t"])
def test_places_in_any_spelling(shop, city):
    made(shop, cities=["Dhaka"])
    assert rates(shop, city=city)[0] == "Inside Dhaka"
    body = is_error(shop.post(ZONES, {"name": "Again", "cities": ["Sylhet", city]}), 409, "conflict")
    assert body["errors"][0]["field"] == "cities[1]"


@pytest.mark.parametrize(("stored", "asked"), [
    ("Cox's  Bazar", "cox's bazar"), ("ঢাকা", "ঢাকা"), ("ÉCOLE", "e\u0301cole"), ("Ｄｈａｋａ", "dhaka"), ("القاهرة", "القاهرة"), ("🏝", "🏝")])
def test_places_of_any_script(shop, stored, asked):
    zone = made(shop, cities=[stored])
    assert zone["cities"] == [stored]
    assert rates(shop, city=asked)[0] == zone["name"]


def test_two_spellings_are_one_place(shop):
    assert made(shop, cities=["Dhaka", "DHAKA", " dhaka ", "Sylhet"])["cities"] == ["Dhaka", "Sylhet"]


def test_a_place_is_in_one_zone(shop):
    first = made(shop, cities=["Dhaka"])
    second = made(shop, "Second", cities=["Sylhet"])
    body = is_error(shop.put(f"{ZONES}/{second['zone_id']}", {"cities": ["Khulna", "DHAKA"], "name": "New"}), 409, "conflict")
    assert str(first["zone_id"]) in body["errors"][0]["message"]
    assert got(shop, second) == second
    changed(shop, first, cities=[])
    assert changed(shop, second, cities=["Khulna", "DHAKA"])["cities"] == ["Khulna", "DHAKA"]


def test_one_zone_is_the_default(shop):
    first, second = made(shop, is_default=True), made(shop, "Second")
    is_error(shop.post(ZONES, {"name": "Third", "is_default": True}), 409, "conflict")
    is_error(shop.put(f"{ZONES}/{second['zone_id']}", {"is_default": True}), 409, "conflict")
    assert changed(shop, first, is_default=True) == first
    assert changed(shop, first, is_default=False)["is_default"] == 0
    assert changed(shop, second, is_default=True)["is_default"] == 1


def test_methods_keep_who_they_are(shop):
    zone = made(shop, methods=[method("A", 1), method("B", 2)])
    a, b = (m["method_id"] for m in zone["methods"])
    zone = changed(shop, zone, methods=[method("B2", 3, method_id=b), method("C", 4)])
    assert [m["name"] for m in zone["methods"]] == ["B2", "C"] and zone["methods"][0]["method_id"] == b
    assert zone["methods"][1]["method_id"] not in (a, b)
    body = is_error(shop.put(f"{ZONES}/{zone['zone_id']}", {"methods": [method(method_id=b), method(method_id=a)]}), 404, "not_found")
    assert body["errors"][0]["field"] == "methods[1].method_id"
    is_error(shop.put(f"{ZONES}/{zone['zone_id']}", {"methods": [method(method_id=b), method(method_id=b)]}), 400, "validation_error")
    assert got(shop, zone) == zone
    assert changed(shop, zone, methods=[])["methods"] == []


def test_another_zones_method_is_no_method(shop, owner):
    other, zone, foreign = made(shop, "Other", methods=[method()]), made(shop), made(owner.open_shop(), methods=[method()])
    answers = [shop.put(f"{ZONES}/{zone['zone_id']}", {"methods": [method(method_id=number)]}).json()
               for number in (other["methods"][0]["method_id"], foreign["methods"][0]["method_id"], 10**15)]
    assert answers[0] == answers[1] == answers[2] and answers[0]["code"] == "not_found"


def test_what_changes_nothing_writes_nothing(shop):
    zone = made(shop, cities=["Dhaka"], methods=[method(min_order=5)])
    assert changed(shop, zone) == changed(shop, zone, name=zone["name"], cities=["Dhaka"], is_default=False, methods=zone["methods"]) == zone
    assert changed(shop, zone, cities=["Dhaka", "Sylhet"])["updated_at"] > zone["updated_at"]


def test_if_match(shop):
    zone = made(shop)
    path = f"{ZONES}/{zone['zone_id']}"
    tag = shop.get(path).headers["ETag"]
    assert shop.put(path, {"name": "One"}, headers={"If-Match": tag}).status_code == 200
    stale = shop.put(path, {"name": "Two"}, headers={"If-Match": tag})
    is_error(stale, 412, "precondition_failed")
    assert stale.headers["ETag"] == shop.get(path).headers["ETag"] != tag
    is_error(shop.delete(path, headers={"If-Match": tag}), 412, "precondition_failed")
    assert shop.delete(path, headers={"If-Match": stale.headers["ETag"]}).status_code == 200


def test_pages(shop):
    zones = [made(shop, f"Zone {number}") for number in range(7)]
    assert [z["name"] for z in shop.get(ZONES, params={"limit": 3}).json()["data"]] == ["Zone 6", "Zone 5", "Zone 4"]
    assert [z["name"] for z in shop.get(ZONES, params={"limit": 3, "page": 3}).json()["data"]] == ["Zone 0"]
    seen, cursor = [], None
    while True:
        body = shop.get(ZONES, params={"limit": 2, "sort": "created_at:asc", **({"cursor": cursor} if cursor else {})}).json()
        seen += body["data"]
        assert body["pagination"]["total"] == 7
        cursor = body["pagination"]["next_cursor"]
        if not cursor:
            break
    assert seen == zones
    assert shop.get(ZONES, params={"page": 9}).json()["data"] == []
    body = is_error(shop.get(ZONES, params={"sort": "name"}), 400, "validation_error")
    assert "created_at" in body["errors"][0]["message"]
    is_error(shop.get(ZONES, params={"cursor": "x"}), 400, "validation_error")


@pytest.mark.parametrize("body", [
    {}, {"name": ""}, {"name": 5}, {"name": "x" * 256}, {"name": "Z", "cities": "Dhaka"}, {"name": "Z", "cities": [""]},
    {"name": "Z", "cities": ["  \t "]}, {"name": "Z", "cities": ["x" * 101]}, {"name": "Z", "cities": [1]},
    {"name": "Z", "cities": [f"C{n}" for n in range(501)]}, {"name": "Z", "is_default": 1},
    {"name": "Z", "methods": [method()] * 51}, {"name": "Z", "methods": [{"name": "M"}]},
    {"name": "Z", "methods": [method(price=-1)]}, {"name": "Z", "methods": [method(price=1.234)]},
    {"name": "Z", "methods": [method(price=10**12)]}, {"name": "Z", "methods": [method(price="60")]},
    {"name": "Z", "methods": [method(min_order=-0.01)]}, {"name": "Z", "methods": [method(estimated_days=1.5)]},
    {"name": "Z", "methods": [method(estimated_days=-1)]}, {"name": "Z", "methods": [method(estimated_days=366)]}])
def test_bad_zones(shop, body):
    is_error(shop.post(ZONES, body), 400, "validation_error")
    assert shop.get(ZONES).json()["pagination"]["total"] == 0


def test_nul_is_refused(shop):
    assert shop.post(ZONES, body='{"name": "a\\u0000b"}').status_code == 400
    assert shop.post(ZONES, body='{"name": "Z", "cities": ["a\\u0000b"]}').status_code == 400
    assert shop.get(RATES, params={"city": "a\0b"}).status_code == 400


@pytest.mark.parametrize("query", [{"subtotal": "-1"}, {"subtotal": "1.234"}, {"subtotal": "1e3"}, {"subtotal": "x"},
                                   {"subtotal": "99999999999999"}, {"city": "x" * 101}])
def test_bad_rates(shop, query):
    is_error(shop.get(RATES, params=query), 400, "validation_error")


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "'; drop table shipping_zone; --", "‮ltr", "%s%n", "<b>&amp;</b>", "🚚" * 3])
def test_text_is_kept(shop, name):
    zone = made(shop, name, methods=[method(name)])
    assert zone["name"] == zone["methods"][0]["name"] == name and got(shop, zone) == zone


def test_the_largest_zone(shop):
    zone = made(shop, cities=[f"City {n}" for n in range(500)], methods=[method(f"M{n}", n) for n in range(50)])
    assert len(zone["cities"]) == 500 and len(zone["methods"]) == 50
    assert rates(shop, city="city 499")[1][:2] == ["M0", "M1"]
    assert changed(shop, zone, cities=list(reversed(zone["cities"])))["cities"] == list(reversed(zone["cities"]))


def test_a_hundred_zones_and_no_more(shop):
    """Also when they come at the same time."""
    for number in range(92):
        made(shop, f"Zone {number}")
    answers = []
    threads = [threading.Thread(target=lambda n=number: answers.append(shop.post(ZONES, {"name": f"Late {n}"}).status_code)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201] * 8 + [409] * 8
    assert shop.get(ZONES).json()["pagination"]["total"] == 100


def test_writers_at_the_same_time(shop):
    """A place goes to one of them, and one becomes the default."""
    answers = []

    def work(number):
        answers.append(shop.post(ZONES, {"name": f"Z{number}", "is_default": True, "cities": ["Dhaka"]}).status_code)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201] + [409] * 7


def test_the_same_key_makes_one(shop):
    key = {"Idempotency-Key": "zone-1"}
    first, second = (shop.post(ZONES, {"name": "Once"}, headers=key) for _ in range(2))
    assert first.content == second.content and second.headers["Idempotent-Replayed"] == "true"
    is_error(shop.post(ZONES, {"name": "Other"}, headers=key), 409, "idempotency_conflict")


def test_stores_do_not_meet(shop, owner):
    other = owner.open_shop()
    made(other, "Theirs", cities=["Dhaka"], is_default=True, methods=[method()])
    assert rates(shop, city="Dhaka") == (None, []) and shop.get(ZONES).json()["data"] == []
    made(shop, "Ours", cities=["Dhaka"], is_default=True)

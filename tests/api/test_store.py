"""GET and PUT /store: the profile of the store behind the credential, and of no other."""

import threading

import pytest

from . import goods
from .client import is_error
from .shop import Owner

STORE = "/api/apps/v1/store"


def test_the_profile(shop):
    answer = shop.get(STORE)
    body = answer.json()
    assert answer.status_code == body["status"] == 200 and body["message"]
    data = body["data"]
    assert data["store_id"] == shop.store_id and data["currency"] == "BDT" and data["language"] == "bn"
    assert data["image"] is None and data["created_at"].endswith("Z")


def test_every_way_in_shows_the_same(platform, shop, owner):
    other = owner.open_shop()
    assert platform.get(STORE, headers=shop.client).json() == shop.get(STORE).json()
    assert other.get(STORE).json()["data"]["store_id"] == other.store_id != shop.store_id
    # store_id in the query has no effect beside a token
    assert shop.get(STORE, params={"store_id": other.store_id}).json()["data"]["store_id"] == shop.store_id


def test_a_scope_of_its_own(owner):
    is_error(owner.open_shop(scopes=["read:orders"]).get(STORE), 403, "insufficient_scope")


def test_a_store_that_has_no_profile_yet(platform, owner):
    store_id = platform.call("auth.stores.create", owner_account_id=owner.account_id, name="Bare")["store_id"]
    is_error(owner.open_shop(store_id=store_id).get(STORE), 404, "not_found")


def test_unchanged_is_not_sent_again(shop):
    first = shop.get(STORE)
    assert shop.get(STORE, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


# ---- PUT /store ------------------------------------------------------------------------------------------------------

def put(shop, **fields):
    answer = shop.put(STORE, fields)
    assert answer.status_code == 200, answer
    return answer.json()["data"]


def test_what_is_sent_changes(shop):
    before = shop.get(STORE).json()["data"]
    after = put(shop, name="Nabanna Fashion", phone="+8801811000000", language="en", image="logo.png")
    assert after.pop("updated_at") > before.pop("updated_at")
    assert after == {**before, "name": "Nabanna Fashion", "phone": "+8801811000000", "language": "en", "image": "logo.png"}
    assert put(shop, email=None, address=None)["email"] is None
    assert shop.get(STORE).json()["data"]["address"] is None


def test_what_changes_nothing_writes_nothing(shop):
    before = shop.get(STORE).json()["data"]
    assert put(shop) == put(shop, name=before["name"], email=before["email"]) == put(shop, unknown=1) == before


def test_the_currency_stays_once_there_are_orders(shop, platform):
    assert put(shop, currency="USD")["currency"] == "USD"
    assert put(shop, currency="BDT")["currency"] == "BDT"
    order_id = goods.order(shop)["order_id"]
    body = is_error(shop.put(STORE, {"currency": "USD", "name": "Changed"}), 409, "conflict")
    assert body["errors"][0]["field"] == "currency" and shop.get(STORE).json()["data"]["name"] != "Changed"
    assert shop.delete(f"/api/apps/v1/orders/{order_id}").status_code == 200
    is_error(shop.put(STORE, {"currency": "USD"}), 409, "conflict")
    assert put(shop, currency="BDT", name="Still here")["name"] == "Still here"


def test_an_order_on_its_way_is_waited_for(shop, platform):
    """The order holds the store's serial until it commits: the currency changes before it or not at all."""
    connection = platform.postgres.connect()
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("set search_path = store_data; insert into store_serial (store_id, last) values (%s, 1)", (shop.store_id,))
        answers = []
        thread = threading.Thread(target=lambda: answers.append(shop.put(STORE, {"currency": "USD"})))
        thread.start()
        while not platform.postgres.rows("select pid from pg_locks where not granted and locktype = 'transactionid'"):
            assert thread.is_alive()
    connection.commit()
    connection.close()
    thread.join()
    is_error(answers[0], 409, "conflict")


def test_if_match(shop):
    tag = shop.get(STORE).headers["ETag"]
    assert shop.put(STORE, {"name": "One"}, headers={"If-Match": tag}).status_code == 200
    stale = shop.put(STORE, {"name": "Two"}, headers={"If-Match": tag})
    is_error(stale, 412, "precondition_failed")
    assert stale.headers["ETag"] == shop.get(STORE).headers["ETag"]
    assert shop.put(STORE, {"name": "Two"}, headers={"If-Match": stale.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize("fields", [
    {"name": ""}, {"name": None}, {"name": "x" * 256}, {"name": 1}, {"email": "no"}, {"phone": "abc"}, {"language": "fr"}, {"language": None},
    {"currency": "JPY"}, {"currency": "bdt"}, {"currency": None}, {"domain": "x" * 256}, {"address": "x" * 1001}, {"image": "x" * 2049},
    *({"domain": text} for text in ("javascript:alert(1)", "a b", "https://shop.example", "shop.example/", "-a.example", "a-.example", "a..b", ".a", "a.", "",
                                    "x" * 64 + ".example", "a_b", "shop.example:80", "a\n.b")),
    *({"image": text} for text in ("javascript:x", "data:image/png;base64,AA", "ftp://a.example/b", "//a.example/x.png", "/etc/passwd", "../x.png", "a/../b",
                                   "a b.png", "", "a/", "https://", "<x>"))])
def test_bad_fields(shop, fields):
    before = shop.get(STORE).json()
    is_error(shop.put(STORE, fields), 400, "validation_error")
    assert shop.get(STORE).json() == before


@pytest.mark.parametrize("text", ["=1+1", "ঢাকা বাজার", "سوق دكا", "🛍 Bazaar", "'; drop table store_profile; --"])
def test_text_is_kept(shop, text):
    assert put(shop, name=text, address=text)["name"] == shop.get(STORE).json()["data"]["address"] == text


def test_writing_needs_its_own_scope(owner, platform):
    shop = owner.open_shop(scopes=["read:store"])
    is_error(shop.put(STORE, {"name": "X"}), 403, "insufficient_scope")
    store_id = platform.call("auth.stores.create", owner_account_id=owner.account_id, name="Bare")["store_id"]
    is_error(owner.open_shop(store_id=store_id).put(STORE, {"name": "X"}), 404, "not_found")


def test_the_owner_still_sees_the_name_it_was_opened_under(platform):
    owner = Owner(platform)
    shop = owner.open_shop(store_id=owner.open_store("Opened as"))
    put(shop, name="Shown as")
    stores = platform.call("auth.stores.list", owner_account_id=owner.account_id)["stores"]
    assert {store["store_id"]: store["name"] for store in stores}[shop.store_id] == "Opened as"


def test_domains_and_images(shop):
    for domain in "shop.example", "a", "xn--54b7fta0cc.example", "1-a.B2.example", "x" * 63 + ".example", None:
        assert put(shop, domain=domain)["domain"] == domain
    for image in "https://cdn.example/a%20b.png?w=1,2", "http://a.example", "logo.png", "stores/1/products/7/9f86.png", "a-b_c~d/E.f", None:
        assert put(shop, image=image)["image"] == image

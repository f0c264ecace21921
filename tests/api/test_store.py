"""GET /store: the profile of the store behind the credential, and of no other."""

from .client import is_error

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

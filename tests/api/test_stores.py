"""Stores as merchants see them: opened, shared with members, watched by an audit log (contract K.2, K.6)."""

import os
import time

import psycopg2
import pytest

from .credentials import STORE, accepted, bearer, refused
from .embedded import Merchant as Seller
from .shop import PASSWORD, Owner

INSTALL, MANAGE = "apps__install_apps", "apps__manage_apps"
WEBHOOKS, BILLING = "apps__view_webhooks", "apps__manage_billing"


class Merchant:
    """A signed-in account of its own."""

    def __init__(self, platform, admin=False):
        self.platform = platform
        account = Owner(platform, is_admin=True) if admin else Owner(platform)
        self.email, self.account_id = account.email, account.account_id
        data = accepted(platform.post("/api/auth/login", {"email": account.email, "password": PASSWORD}))
        self.headers = {"x-auth-token": data["token"]}

    def ask(self, method, path, body=None, **options):
        return self.platform.request(method, path, headers=self.headers, json_body=body, **options)

    def open(self, **fields):
        answer = self.ask("POST", "/api/stores", {"name": "Corner Shop", **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]["store_id"]


@pytest.fixture
def merchant(platform):
    return Merchant(platform)


@pytest.fixture
def other(platform):
    return Merchant(platform)


def profile_of(platform, store_id):
    return platform.postgres.rows("select name, email, phone, address, domain, language, currency "
                                  "from store_data.store_profile where store_id = %s", (store_id,))


def wait_for_profile(platform, store_id, seconds=20):
    until = time.monotonic() + seconds
    while not profile_of(platform, store_id):
        assert time.monotonic() < until, "the store has no profile yet"
        time.sleep(0.05)
    while platform.postgres.rows("select store_id from auth.store_setup where store_id = %s", (store_id,)):
        assert time.monotonic() < until, "the order to make the profile is still there"
        time.sleep(0.05)
    return profile_of(platform, store_id)[0]


# ---- opening ---------------------------------------------------------------------------------------------------------


def test_a_store_is_opened_and_gets_its_profile(platform, merchant):
    store_id = merchant.open(email="shop@shop.example", phone="+8801711111111", address="12 Mirpur Road", language="en",
                             domain="corner.example")
    [store] = accepted(merchant.ask("GET", "/api/stores"))
    assert (store["store_id"], store["role"], store["status"]) == (store_id, "owner", "active")
    assert store["permissions"] == [MANAGE, INSTALL, WEBHOOKS, BILLING]
    assert wait_for_profile(platform, store_id) == ("Corner Shop", "shop@shop.example", "+8801711111111",
                                                    "12 Mirpur Road", "corner.example", "en", "BDT")
    assert [s["store_id"] for s in accepted(merchant.ask("GET", "/api/auth/me"))["stores"]] == [store_id]


def test_an_app_reads_the_new_store(platform, merchant, owner):
    store_id = merchant.open()
    wait_for_profile(platform, store_id)
    shop = owner.open_shop(store_id=store_id)
    assert accepted(shop.get("/api/apps/v1/store"))["name"] == "Corner Shop"


def test_registering_may_open_the_first_store(platform):
    answer = platform.post("/api/auth/register", {"name": "Karim", "email": f"k-{os.urandom(5).hex()}@shop.example",
                                                  "password": PASSWORD, "store_name": "Karim's দোকান"})
    data = answer.json()["data"]
    assert answer.status_code == 201 and data["store"]["owner_account_id"] == data["account"]["account_id"]
    assert wait_for_profile(platform, data["store"]["store_id"])[0] == "Karim's দোকান"


@pytest.mark.parametrize("body, field", [
    ({}, "name"), ({"name": ""}, "name"), ({"name": "x" * 256}, "name"), ({"name": 7}, "name"),
    ({"name": "x", "email": "no address"}, "email"), ({"name": "x", "phone": "1"}, "phone"),
    ({"name": "x", "language": "xx"}, "language"), ({"name": "x", "domain": "x" * 256}, "domain")])
def test_stores_that_are_none(merchant, body, field):
    errors = refused(merchant.ask("POST", "/api/stores", body), 400, "validation_error")["errors"]
    assert field in [error["field"] for error in errors]
    assert accepted(merchant.ask("GET", "/api/stores")) == []


def test_stores_are_paged(merchant, other):
    ids = [merchant.open(name=f"Store {n}") for n in range(5)]
    other.open()
    first = merchant.ask("GET", "/api/stores?limit=2").json()
    assert [s["store_id"] for s in first["data"]] == ids[:2]
    assert {k: first["pagination"][k] for k in ("page", "limit", "total")} == {"page": 1, "limit": 2, "total": 5}
    second = merchant.ask("GET", "/api/stores", params={"limit": 2, "cursor": first["pagination"]["next_cursor"]}).json()
    assert [s["store_id"] for s in second["data"]] == ids[2:4]
    third = merchant.ask("GET", "/api/stores?limit=2&page=3").json()
    assert [s["store_id"] for s in third["data"]] == ids[4:] and third["pagination"]["next_cursor"] is None
    assert merchant.ask("GET", "/api/stores?limit=-1&page=abc").status_code == 200
    cursor = first["pagination"]["next_cursor"]
    for bad in ("x", cursor[:-1], cursor + "A"):
        refused(merchant.ask("GET", "/api/stores", params={"cursor": bad}), 400, "validation_error")
    refused(other.ask("GET", "/api/stores", params={"cursor": cursor}), 400, "validation_error")


def test_profiles_are_made_after_any_crash(make_platform):
    """store-data is away, auth is killed: every store that was answered gets its profile in the end, once."""
    platform = make_platform(durable=True, services={"auth": 2, "store-data": 1})
    merchant = Merchant(platform)
    platform["store-data-1"].kill()
    ids = [merchant.open(name=f"Store {n}") for n in range(3)]
    time.sleep(0.5)
    for name in ("auth-1", "auth-2"):
        platform[name].kill()
    assert len(platform.postgres.rows("select store_id from auth.store_setup")) == 3
    for name in ("auth-1", "auth-2", "store-data-1"):
        platform[name].start()
    platform.wait_ready()
    for n, store_id in enumerate(ids):
        assert wait_for_profile(platform, store_id, 40)[0] == f"Store {n}"


ORDER_OF_A_PROFILE = ("insert into auth.store_setup (store_id, name, language, next_at, created_at) "
                      "values (%s, 'Another name', %s, now(), now())")


def test_a_profile_that_is_there_stays_as_it_is(platform, merchant):
    """What a crash between store-data's answer and the end of the order leaves behind."""
    store_id = merchant.open()
    wait_for_profile(platform, store_id)
    platform.postgres.rows(ORDER_OF_A_PROFILE, (store_id, "en"))
    assert wait_for_profile(platform, store_id)[0] == "Corner Shop"


def test_an_order_that_cannot_be_carried_out_holds_up_no_other(platform, merchant, owner):
    refused_id = platform.call("auth.stores.create", owner_account_id=owner.account_id, name="x")["store_id"]
    platform.postgres.rows(ORDER_OF_A_PROFILE, (refused_id, "no language"))
    try:
        for _ in range(3):
            wait_for_profile(platform, merchant.open())
        [(tries, later)] = platform.postgres.rows("select tries, next_at > now() from auth.store_setup where store_id = %s",
                                                  (refused_id,))
        assert tries >= 1 and later
    finally:
        platform.postgres.rows("delete from auth.store_setup where store_id = %s", (refused_id,))


# ---- members ---------------------------------------------------------------------------------------------------------


def members(store_id, account_id=None):
    return f"/api/stores/{store_id}/members" + (f"/{account_id}" if account_id else "")


def test_a_member_comes_changes_and_goes(platform, merchant, other):
    store_id = merchant.open()
    refused(other.ask("GET", members(store_id)), 404, "not_found")
    answer = merchant.ask("POST", members(store_id), {"email": other.email.upper(), "permissions": [BILLING, INSTALL, BILLING]})
    assert answer.status_code == 201 and answer.json()["data"]["permissions"] == [INSTALL, BILLING]
    [store] = accepted(other.ask("GET", "/api/stores"))
    assert (store["store_id"], store["role"], store["permissions"]) == (store_id, "member", [INSTALL, BILLING])
    assert accepted(merchant.ask("POST", members(store_id), {"email": other.email, "permissions": []}))["permissions"] == []
    [member] = accepted(merchant.ask("GET", members(store_id)))
    assert (member["account_id"], member["email"], member["permissions"]) == (other.account_id, other.email, [])
    assert "name" not in member and "name" not in answer.json()["data"]     # whoever knows an address learns no name by it
    accepted(merchant.ask("DELETE", members(store_id, other.account_id)))
    assert accepted(other.ask("GET", "/api/stores")) == [] and accepted(merchant.ask("GET", members(store_id))) == []
    refused(merchant.ask("DELETE", members(store_id, other.account_id)), 404, "not_found")
    actions = [row["action"] for row in accepted(merchant.ask("GET", f"/api/audit?store_id={store_id}"))]
    assert actions == ["member.removed", "member.changed", "member.added", "store.created"]


def test_a_member_is_not_the_owner(platform, merchant, other):
    third, store_id = Merchant(platform), merchant.open()
    merchant.ask("POST", members(store_id), {"email": other.email, "permissions": [MANAGE, INSTALL, WEBHOOKS, BILLING]})
    merchant.ask("POST", members(store_id), {"email": third.email, "permissions": []})
    customer = {"customer_id": 1}
    for method, path, body in (
            ("GET", members(store_id), None), ("POST", members(store_id), {"email": other.email, "permissions": [MANAGE]}),
            ("DELETE", members(store_id, third.account_id), None), ("GET", f"/api/audit?store_id={store_id}", None),
            ("POST", f"/api/stores/{store_id}/privacy/redact", customer),
            ("POST", f"/api/stores/{store_id}/privacy/data-request", customer)):
        refused(other.ask(method, path, body), 403, "forbidden")
    accepted(other.ask("DELETE", members(store_id, other.account_id)))
    refused(other.ask("DELETE", members(store_id, other.account_id)), 404, "not_found")


@pytest.mark.parametrize("body, status, field", [
    ({"permissions": [MANAGE]}, 400, "email"), ({"email": "x", "permissions": [MANAGE]}, 400, "email"),
    ({"email": "a@b.example"}, 400, "permissions"), ({"email": "a@b.example", "permissions": MANAGE}, 400, "permissions"),
    ({"email": "a@b.example", "permissions": [MANAGE, "owner"]}, 400, "permissions[1]"),
    ({"email": "a@b.example", "permissions": ["apps__manage"]}, 400, "permissions[0]"),
    ({"email": "a@b.example", "permissions": [MANAGE + " " + INSTALL]}, 400, "permissions[0]"),
    ({"email": "a@b.example", "permissions": [MANAGE] * 65}, 400, "permissions"),
    ({"email": "nobody@nowhere.example", "permissions": [MANAGE]}, 404, "email")])
def test_members_that_are_none(merchant, body, status, field):
    store_id = merchant.open()
    code = "validation_error" if status == 400 else "not_found"
    errors = refused(merchant.ask("POST", members(store_id), body), status, code)["errors"]
    assert field in [error["field"] for error in errors]


def test_the_owner_is_no_member(merchant):
    store_id = merchant.open()
    refused(merchant.ask("POST", members(store_id), {"email": merchant.email, "permissions": [MANAGE]}), 409, "conflict")
    refused(merchant.ask("DELETE", members(store_id, merchant.account_id)), 404, "not_found")


@pytest.mark.parametrize("way", ["removed", "left"])
def test_a_repeated_removal_ends_everything_again(platform, way):
    """The first call may have committed without having told the gateways, which is how it looks here."""
    seller, member = Seller(platform), Seller(platform)
    path, shop = members(seller.shop.store_id, member.account_id), seller.shop
    answer = platform.post(members(shop.store_id), {"email": member.email, "permissions": ["apps__install_apps"]},
                           headers=seller.headers)
    assert answer.status_code == 201
    token = member.session_token(shop)
    for _ in range(2):                                  # the second from the gateway's cache
        assert platform.get(STORE, headers=bearer(token)).status_code == 200
    platform.postgres.rows("delete from auth.store_member where store_id = %s and account_id = %s",
                           (shop.store_id, member.account_id))
    assert platform.get(STORE, headers=bearer(token)).status_code == 200
    refused(platform.request("DELETE", path, headers=(seller if way == "removed" else member).headers), 404, "not_found")
    refused(platform.get(STORE, headers=bearer(token)), 401, "invalid_token")


def test_members_are_paged(platform, merchant):
    store_id = merchant.open()
    ids = []
    for _ in range(3):
        account = Owner(platform)
        merchant.ask("POST", members(store_id), {"email": account.email, "permissions": [INSTALL]})
        ids.append(account.account_id)
    first = merchant.ask("GET", members(store_id) + "?limit=2").json()
    rest = merchant.ask("GET", members(store_id), params={"cursor": first["pagination"]["next_cursor"]}).json()
    assert [m["account_id"] for m in first["data"] + rest["data"]] == ids and first["pagination"]["total"] == 3
    refused(merchant.ask("GET", members(store_id), params={"cursor": "x"}), 400, "validation_error")
    another = merchant.open()
    refused(merchant.ask("GET", members(another), params={"cursor": first["pagination"]["next_cursor"]}), 400,
            "validation_error")


def test_another_merchants_store_is_as_if_it_were_not_there(merchant, other):
    store_id = merchant.open()
    for method, path, body in (
            ("GET", members("{}"), None), ("POST", members("{}"), {"email": other.email, "permissions": []}),
            ("DELETE", members("{}", merchant.account_id), None), ("GET", "/api/audit?store_id={}", None),
            ("POST", "/api/stores/{}/privacy/redact", {"customer_id": 1}),
            ("POST", "/api/stores/{}/privacy/data-request", {"customer_id": 1})):
        foreign, missing = (other.ask(method, path.format(number), body) for number in (store_id, 10**15))
        assert refused(foreign, 404, "not_found") == refused(missing, 404, "not_found")


# ---- states ----------------------------------------------------------------------------------------------------------


def test_a_frozen_store_can_be_read_and_a_suspended_one_not(platform, merchant, other, owner):
    admin, store_id = Merchant(platform, admin=True), merchant.open()
    shop = owner.open_shop(store_id=store_id)
    merchant.ask("POST", members(store_id), {"email": other.email, "permissions": [MANAGE]})
    wait_for_profile(platform, store_id)
    path = f"/api/stores/{store_id}/status"
    reads = [(merchant, "GET", members(store_id), None), (merchant, "GET", f"/api/audit?store_id={store_id}", None)]
    writes = [(merchant, "POST", members(store_id), {"email": other.email, "permissions": []}),
              (merchant, "POST", f"/api/stores/{store_id}/privacy/redact", {"customer_id": 1}),
              (merchant, "POST", f"/api/stores/{store_id}/privacy/data-request", {"customer_id": 1}),
              (merchant, "DELETE", members(store_id, other.account_id), None)]
    assert shop.get("/api/apps/v1/store").status_code == 200
    for status in ("suspended", "frozen"):
        assert accepted(admin.ask("PATCH", path, {"status": status})) == {"store_id": store_id, "status": status}
        refused(shop.get("/api/apps/v1/store"), 403, "store_inactive")
        for who, method, where, body in writes + (reads if status == "suspended" else []):
            refused(who.ask(method, where, body), 403, "store_inactive")
        assert accepted(merchant.ask("GET", "/api/stores"))[0]["status"] == status
    for who, method, where, body in reads:
        accepted(who.ask(method, where, body))
    accepted(admin.ask("PATCH", path, {"status": "active"}))
    assert shop.get("/api/apps/v1/store").status_code == 200
    assert merchant.ask(*writes[1][1:]).status_code == 201
    rows = accepted(merchant.ask("GET", f"/api/audit?store_id={store_id}&limit=2"))
    assert rows[1]["action"] == "store.set_active" and rows[1]["actor_account_id"] is None


def test_only_admins_set_a_stores_status(platform, merchant):
    store_id = merchant.open()
    path = f"/api/stores/{store_id}/status"
    refused(merchant.ask("PATCH", path, {"status": "frozen"}), 403, "forbidden")
    admin = Merchant(platform, admin=True)
    for body in ({}, {"status": "gone"}, {"status": 1}, {"status": None}):
        refused(admin.ask("PATCH", path, body), 400, "validation_error")
    refused(admin.ask("PATCH", f"/api/stores/{10**15}/status", {"status": "active"}), 404, "not_found")
    refused(platform.request("PATCH", path, json_body={"status": "frozen"}), 401, "missing_token")


# ---- privacy ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path, topic, when", [("data-request", "customers/data_request", "requested_at"),
                                               ("redact", "customers/redact", "redact_requested_at")])
def test_a_customers_wish_is_recorded_and_told(platform, merchant, path, topic, when):
    store_id = merchant.open()
    answer = merchant.ask("POST", f"/api/stores/{store_id}/privacy/{path}", {"customer_id": 77})
    data = answer.json()["data"]
    assert answer.status_code == 201 and (data["store_id"], data["customer_id"]) == (store_id, 77)
    until = time.monotonic() + 20
    while not (rows := platform.postgres.rows("select topic, resource_type, resource_id, data from seen_auth.outbox where "
                                              "store_id = %s and topic like 'customers/%%'", (store_id,))):
        assert time.monotonic() < until, "it is not told"
        time.sleep(0.05)
    [row] = rows
    assert row[:3] == (topic, "customer", 77)
    assert row[3] == {"privacy_request_id": data["privacy_request_id"], "store_id": store_id,
                      "customer": {"id": 77, "email": None, "phone": None}, when: data["created_at"]}
    [(kind, account)] = platform.postgres.rows("select kind, account_id from auth.privacy_request where store_id = %s",
                                               (store_id,))
    assert (kind, account) == (path.replace("-", "_"), merchant.account_id)
    [entry] = accepted(merchant.ask("GET", f"/api/audit?store_id={store_id}&limit=1"))
    assert entry["target"] == "privacy_request" and entry["target_id"] == data["privacy_request_id"]


@pytest.mark.parametrize("path", ["data-request", "redact"])
@pytest.mark.parametrize("body", [{}, {"customer_id": 0}, {"customer_id": "7"}, {"customer_id": 2**63}, {"customer_id": None}])
def test_wishes_that_are_none(merchant, path, body):
    store_id = merchant.open()
    refused(merchant.ask("POST", f"/api/stores/{store_id}/privacy/{path}", body), 400, "validation_error")


# ---- the audit log ---------------------------------------------------------------------------------------------------


def test_the_audit_log_tells_who_did_what_when_and_from_where(platform, merchant, owner):
    store_id = merchant.open()
    owner.open_shop(store_id=store_id)
    request = merchant.ask("POST", f"/api/stores/{store_id}/privacy/redact", {"customer_id": 5})
    answer = merchant.ask("GET", f"/api/audit?store_id={store_id}")
    rows = accepted(answer)
    assert [row["action"] for row in rows] == ["privacy.redact_requested", "app.installed", "store.created"]
    assert (rows[0]["actor"], rows[0]["actor_account_id"], rows[0]["actor_name"], rows[0]["address"]) == (
        "account", merchant.account_id, "Test Owner", "127.0.0.1")
    assert rows[0]["request_id"] == request.headers["X-Request-Id"] and rows[0]["at"].endswith("Z")
    assert (rows[1]["actor"], rows[1]["actor_account_id"], rows[1]["address"]) == ("operator", None, "")
    assert answer.json()["pagination"]["total"] == 3


def test_the_audit_log_does_not_name_the_platforms_admins(platform, merchant):
    store_id, admin = merchant.open(), Merchant(platform, admin=True)
    accepted(admin.ask("PATCH", f"/api/stores/{store_id}/status", {"status": "frozen"}))
    changed, made = accepted(merchant.ask("GET", f"/api/audit?store_id={store_id}"))
    assert (changed["action"], changed["actor"], made["actor_account_id"]) == ("store.set_frozen", "account",
                                                                              merchant.account_id)
    assert (changed["actor_account_id"], changed["actor_name"], changed["address"]) == (None, None, "")
    [row] = platform.postgres.rows("select actor_account_id, address from auth.audit where audit_id = %s",
                                   (changed["audit_id"],))
    assert row == (admin.account_id, "127.0.0.1")


def test_the_audit_log_is_paged(platform, merchant):
    store_id = merchant.open()
    for number in range(1, 5):
        merchant.ask("POST", f"/api/stores/{store_id}/privacy/redact", {"customer_id": number})
    seen, cursor = [], None
    while True:
        params = {"store_id": store_id, "limit": 2, **({"cursor": cursor} if cursor else {})}
        page = merchant.ask("GET", "/api/audit", params=params).json()
        seen += [row["audit_id"] for row in page["data"]]
        cursor = page["pagination"]["next_cursor"]
        if not cursor:
            break
        merchant.ask("POST", f"/api/stores/{store_id}/privacy/redact", {"customer_id": 9})
    assert len(seen) == 5 and seen == sorted(seen, reverse=True)
    third = accepted(merchant.ask("GET", f"/api/audit?store_id={store_id}&limit=2&page=3"))
    assert len(third) == 2
    for query in ("", "?store_id=0", "?store_id=x", f"?store_id={store_id}&store_id={store_id}", f"?store_id={2**63}",
                  f"?store_id={store_id}&cursor=x"):
        refused(merchant.ask("GET", "/api/audit" + query), 400, "validation_error")


def test_sessions_of_other_families_open_no_store(platform, shop):
    refused(platform.get("/api/stores", headers=shop.bearer), 401, "missing_auth")
    refused(platform.get("/api/stores"), 401, "missing_token")
    developer = platform.post("/api/v1/auth/register", {"name": "Dev", "email": f"d-{os.urandom(5).hex()}@shop.example",
                                                        "password": PASSWORD}).json()["data"]
    refused(platform.get("/api/stores", headers=bearer(developer["accessToken"])), 401, "missing_auth")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        platform.postgres.rows("select * from auth.store_member", user="store_data")

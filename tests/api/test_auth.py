"""Who gets in, who does not, and with which words (contract K.1, K.2; seed's table of error codes)."""

import base64
import hashlib
import hmac
import json
import os
import time

import psycopg2
import pytest

from .rpc import RpcError
from .shop import PASSWORD, Owner

STORE = "/api/apps/v1/store"            # needs read:store
ORDERS = "/api/apps/v1/orders"          # needs read:orders


def refused(answer, status, code):
    body = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (status, code, status), answer.text
    return body


def accepted(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def part(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def jwt(key, claims, header=None):
    signed = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    return f"{signed}.{part(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest())}"


def session_token(shop, key=None, **claims):
    now = int(time.time())
    claims = {"sub": str(shop.store_id), "sid": shop.installation_id, "app_id": shop.app_id, "iat": now, "exp": now + 600, **claims}
    return jwt(key or shop.session_signing_key, {name: value for name, value in claims.items() if value is not None})


@pytest.fixture
def merchant(platform):
    account = Owner(platform)
    answer = platform.post("/api/auth/login", {"email": account.email, "password": PASSWORD})
    account.token = accepted(answer)["token"]
    return account


@pytest.fixture
def developer(platform):
    account = Owner(platform, is_developer=True)
    answer = platform.post("/api/v1/auth/login", {"identifier": account.email, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    account.token = answer.json()["data"]["accessToken"]
    return account


# ---- both ways in ----------------------------------------------------------------------------------------------------


def test_both_ways_resolve_to_the_same_context(platform, shop):
    by_token = accepted(platform.get(STORE, headers=shop.bearer))
    by_client = accepted(platform.get(STORE, headers=shop.client))
    assert by_token == by_client
    assert by_token["store_id"] == shop.store_id


def test_store_id_may_be_a_query_parameter_with_client_credentials(platform, shop):
    headers = {name: value for name, value in shop.client.items() if name != "X-Store-Id"}
    assert accepted(platform.get(f"{STORE}?store_id={shop.store_id}", headers=headers))["store_id"] == shop.store_id


def test_store_id_is_ignored_with_a_bearer(platform, owner, shop):
    other = owner.open_shop()
    answer = platform.get(f"{STORE}?store_id={other.store_id}", headers={**shop.bearer, "X-Store-Id": str(other.store_id)})
    assert accepted(answer)["store_id"] == shop.store_id


def test_a_bearer_wins_over_client_credentials(platform, shop):
    wrong = {**shop.client, "X-Client-Secret": "sx_secret_" + "0" * 64}
    assert accepted(platform.get(STORE, headers={**wrong, **shop.bearer}))
    refused(platform.get(STORE, headers={**shop.client, **bearer("sx_at_" + "0" * 64)}), 401, "invalid_token")


def test_the_bearer_scheme_has_no_case(platform, shop):
    assert accepted(platform.get(STORE, headers={"Authorization": f"bearer {shop.access_token}"}))


# ---- the errors, in the contract's order -----------------------------------------------------------------------------


def test_no_credential(platform):
    body = refused(platform.get(STORE), 401, "missing_token")
    assert body["message"]


@pytest.mark.parametrize("header", [
    "Bearer sx_at_" + "0" * 64, "Bearer sx_at_", "Bearer x", "Bearer a.b.c", "Bearer ..", "Bearer sx_ms_" + "0" * 64,
    "Bearer " + "x" * 5000, "Bearer sx_at_' or 1=1 --", "Basic dXNlcjpwYXNz", "Bearer", "token"])
def test_tokens_that_are_none(platform, header):
    refused(platform.get(STORE, headers={"Authorization": header}), 401, "invalid_token")


def test_a_refresh_token_is_no_access_token(platform, shop):
    refused(platform.get(STORE, headers=bearer(shop.refresh_token)), 401, "invalid_token")


def test_an_expired_token(platform, shop):
    digest = hashlib.sha256(shop.access_token.encode()).digest()
    platform.postgres.rows("update auth.token set expires_at = now() where token_hash = %s", (digest,))
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")


def test_a_token_expires_in_the_cache_too(platform, owner):
    shop = owner.open_shop()
    digest = hashlib.sha256(shop.access_token.encode()).digest()
    platform.postgres.rows("update auth.token set expires_at = now() + interval '1 second' where token_hash = %s", (digest,))
    assert platform.get(STORE, headers=shop.bearer).status_code == 200
    time.sleep(1.1)
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")


@pytest.mark.parametrize("change", [
    {"X-Client-Id": "sx_app_" + "0" * 32}, {"X-Client-Id": "x"}, {"X-Client-Secret": "sx_secret_" + "0" * 64},
    {"X-Client-Secret": "x"}, {"X-Client-Id": None}, {"X-Client-Secret": None},
    {"X-Client-Secret": "x", "X-Store-Id": None}, {"X-Client-Secret": "x", "X-Store-Id": "999999999"}])
def test_wrong_client_credentials(platform, shop, change):
    headers = {name: value for name, value in {**shop.client, **change}.items() if value is not None}
    refused(platform.get(STORE, headers=headers), 401, "invalid_client")


def test_client_credentials_without_a_store(platform, shop):
    headers = {name: value for name, value in shop.client.items() if name != "X-Store-Id"}
    refused(platform.get(STORE, headers=headers), 400, "missing_store_id")


@pytest.mark.parametrize("store_id", ["999999999", "abc", "-1", "0", "22x", "99999999999999999999", "1.0"])
def test_a_store_without_the_app(platform, shop, store_id):
    refused(platform.get(STORE, headers={**shop.client, "X-Store-Id": store_id}), 401, "not_installed")


def test_another_owners_store(platform, shop, owner):
    other = owner.open_shop()
    refused(platform.get(STORE, headers={**shop.client, "X-Store-Id": str(other.store_id)}), 401, "not_installed")


@pytest.mark.parametrize("status", ["suspended", "frozen"])
def test_an_inactive_store(platform, owner, status):
    narrow = owner.open_shop(scopes=["read:orders"])
    stranger = owner.open_shop()
    assert platform.get(ORDERS, headers=narrow.bearer).status_code == 200
    assert platform.get(ORDERS, headers=narrow.client).status_code == 200
    assert platform.call("auth.stores.set_status", store_id=narrow.store_id, status=status)["status"] == status
    refused(platform.get(ORDERS, headers=narrow.bearer), 403, "store_inactive")
    refused(platform.get(ORDERS, headers=narrow.client), 403, "store_inactive")
    # before the scope, after the credential and the installation
    refused(platform.get(STORE, headers=narrow.bearer), 403, "store_inactive")
    refused(platform.get(STORE, headers={**narrow.client, "X-Client-Secret": "x"}), 401, "invalid_client")
    refused(platform.get(STORE, headers={**stranger.client, "X-Store-Id": str(narrow.store_id)}), 401, "not_installed")
    platform.call("auth.stores.set_status", store_id=narrow.store_id, status="active")
    assert platform.get(ORDERS, headers=narrow.bearer).status_code == 200


def test_a_scope_that_is_missing(platform, owner):
    shop = owner.open_shop(scopes=["write:store", "read:orders"])
    for headers in (shop.bearer, shop.client):
        assert "read:store" in refused(platform.get(STORE, headers=headers), 403, "insufficient_scope")["message"]
        assert platform.get(ORDERS, headers=headers).status_code == 200


def test_scopes_may_be_spelt_with_an_underscore(platform, owner):
    shop = owner.open_shop(scopes=["read_orders,read_store", "read:orders"])
    assert platform.get(STORE, headers=shop.bearer).status_code == 200
    found = platform.call("auth.installations.get", installation_id=shop.installation_id)
    assert found["granted_scopes"] == "read:orders read:store"


def test_an_installation_may_hold_less_than_its_app_asks_for(platform, owner):
    app, store_id = owner.make_app(["read:orders", "read:store"]), owner.open_store()
    grant = platform.call("auth.installations.create", app_id=app["app_id"], store_id=store_id, scopes=["read_orders"])
    assert grant["granted_scopes"] == "read:orders"
    refused(platform.get(STORE, headers=bearer(grant["access_token"])), 403, "insufficient_scope")
    with pytest.raises(RpcError) as error:
        platform.call("auth.installations.create", app_id=app["app_id"], store_id=store_id, scopes=["read:orders", "write:orders"])
    assert error.value.code == "validation_error" and "write:orders" in str(error.value)


# ---- other families --------------------------------------------------------------------------------------------------


def test_a_merchant_on_an_app_route(platform, merchant):
    refused(platform.get(STORE, headers={"x-auth-token": merchant.token}), 401, "missing_auth")
    refused(platform.get(STORE, headers=bearer(merchant.token)), 401, "missing_auth")
    refused(platform.get(STORE, headers={"x-auth-token": "sx_ms_" + "0" * 64}), 401, "invalid_token")


def test_a_developer_on_an_app_or_merchant_route(platform, developer):
    refused(platform.get(STORE, headers=bearer(developer.token)), 401, "missing_auth")
    refused(platform.get("/api/auth/me", headers=bearer(developer.token)), 401, "missing_auth")


def test_an_app_on_a_merchant_route(platform, shop):
    refused(platform.get("/api/auth/me", headers=shop.bearer), 401, "missing_auth")
    refused(platform.get("/api/auth/me", headers={"x-auth-token": shop.access_token}), 401, "missing_auth")
    refused(platform.get("/api/auth/me"), 401, "missing_token")
    refused(platform.get("/api/auth/me", headers=bearer("x")), 401, "invalid_token")


def introspect(platform, audience, **credential):
    caller = {"audience": 5, "service": "gateway"}
    return platform.rpc().call("auth.identity.introspect", {"audience": audience, **credential}, caller=caller)


def test_the_developer_family_has_one_word(platform, shop, merchant, developer):
    for credential in ({"kind": "bearer", "token": "x"}, {"kind": "bearer", "token": shop.access_token},
                       {"kind": "session", "token": merchant.token},
                       {"kind": "client", "client_id": shop.client_id, "client_secret": shop.client_secret, "store_id": "1"}):
        with pytest.raises(RpcError) as error:
            introspect(platform, 3, **credential)
        assert (error.value.status, error.value.code) == (401, "unauthorized")
    found = introspect(platform, 3, kind="bearer", token=developer.token)
    assert found["caller"]["account_id"] == developer.account_id and found["caller"]["audience"] == 3
    assert f"account:{developer.account_id}" in found["tags"]


def test_admin_routes_take_a_merchant_session_of_an_admin(platform, merchant):
    with pytest.raises(RpcError) as error:
        introspect(platform, 4, kind="session", token=merchant.token)
    assert (error.value.status, error.value.code) == (403, "forbidden")
    admin = Owner(platform, is_admin=True)
    token = accepted(platform.post("/api/auth/login", {"identifier": admin.email, "password": PASSWORD}))["token"]
    assert introspect(platform, 4, kind="session", token=token)["caller"]["audience"] == 4
    assert introspect(platform, 2, kind="session", token=token)["caller"]["audience"] == 2


def test_only_the_gateway_may_ask_who_somebody_is(platform, shop):
    for service in ("operator", "store-data"):
        with pytest.raises(RpcError) as error:
            platform.rpc().call("auth.identity.introspect", {"kind": "bearer", "token": shop.access_token, "audience": 1},
                                caller={"audience": 5, "service": service})
        assert error.value.status == 403


def test_an_introspection_tells_what_it_depends_on(platform, shop):
    found = introspect(platform, 1, kind="bearer", token=shop.access_token)
    kinds = sorted(tag.split(":")[0] for tag in found["tags"])
    assert kinds == ["app", "installation", "store", "token"]
    assert found["caller"]["installation_id"] == shop.installation_id
    assert abs(found["expires_us"] / 1e6 - time.time() - 86400) < 120
    found = introspect(platform, 1, kind="client", client_id=shop.client_id, client_secret=shop.client_secret,
                       store_id=str(shop.store_id))
    assert sorted(tag.split(":")[0] for tag in found["tags"]) == ["app", "installation", "store"]
    assert "expires_us" not in found


# ---- session tokens of embedded apps ---------------------------------------------------------------------------------


def test_a_session_token_is_an_app_bearer(platform, shop):
    assert accepted(platform.get(STORE, headers=bearer(session_token(shop))))["store_id"] == shop.store_id
    assert accepted(platform.get(STORE, headers=bearer(session_token(shop, sub=shop.store_id, sid=str(shop.installation_id)))))


def test_session_tokens_that_are_none(platform, owner, shop):
    other, now = owner.open_shop(), int(time.time())
    claims = {"sub": str(shop.store_id), "sid": shop.installation_id, "app_id": shop.app_id, "exp": now + 600}
    good = session_token(shop)
    tokens = {
        "expired": session_token(shop, exp=now - 1), "without exp": session_token(shop, exp=None),
        "exp is text": session_token(shop, exp="soon"), "exp is huge": session_token(shop, exp=2**63 - 1),
        "not yet valid": session_token(shop, nbf=now + 300),
        "another app's key": session_token(shop, key=other.session_signing_key),
        "another app": session_token(shop, app_id=other.app_id), "another store": session_token(shop, sub=other.store_id),
        "another installation": session_token(shop, sid=other.installation_id), "no store": session_token(shop, sub=None),
        "older than the install": session_token(shop, iat=now - 3600),
        "claims to be a developer": session_token(shop, aud="developer"),
        "alg none": f"{part({'alg': 'none'})}.{part(claims)}.", "alg none, signed": jwt(shop.session_signing_key, claims, {"alg": "none"}),
        "alg RS256": jwt(shop.session_signing_key, claims, {"alg": "RS256"}),
        "no alg": jwt(shop.session_signing_key, claims, {"typ": "JWT"}),
        "critical words": jwt(shop.session_signing_key, claims, {"alg": "HS256", "crit": ["exp"], "exp": 1}),
        "empty signature": good.rpartition(".")[0] + ".", "cut": good[:-2], "padded": good + "=",
        "claims changed": ".".join([good.split(".")[0], part({**claims, "sub": "1"}), good.split(".")[2]]),
        "payload is a list": jwt(shop.session_signing_key, [claims]), "payload is no JSON": jwt(shop.session_signing_key, b"{"),
        "four parts": good + ".x",
    }
    for name, token in tokens.items():
        answer = platform.get(STORE, headers=bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token"), f"{name}: {answer.text}"


def test_a_new_signing_key_voids_session_tokens_at_once(platform, shop):
    token = session_token(shop)
    assert platform.get(STORE, headers=bearer(token)).status_code == 200
    fresh = platform.call("auth.apps.rotate_signing_key", app_id=shop.app_id)["session_signing_key"]
    refused(platform.get(STORE, headers=bearer(token)), 401, "invalid_token")
    assert platform.get(STORE, headers=bearer(session_token(shop, key=fresh))).status_code == 200


# ---- stored credentials that are broken ------------------------------------------------------------------------------


def test_a_signing_key_that_cannot_be_opened(platform, owner):
    shop = owner.open_shop()
    platform.postgres.rows("update auth.app set session_signing_key = overlay(session_signing_key placing '\\x00' from 20) "
                           "where app_id = %s", (shop.app_id,))
    refused(platform.get(STORE, headers=bearer(session_token(shop))), 500, "auth_error")
    assert platform.get(STORE, headers=shop.bearer).status_code == 200


def test_a_sealed_key_cannot_be_moved_to_another_app(platform, owner):
    shop, other = owner.open_shop(), owner.open_shop()
    platform.postgres.rows("update auth.app set session_signing_key = (select session_signing_key from auth.app where app_id = %s) "
                           "where app_id = %s", (other.app_id, shop.app_id))
    refused(platform.get(STORE, headers=bearer(session_token(shop, key=other.session_signing_key))), 500, "auth_error")


def test_a_secret_hash_that_is_none(platform, owner):
    shop = owner.open_shop()
    platform.postgres.rows("update auth.app set client_secret_hash = '\\x00' where app_id = %s", (shop.app_id,))
    refused(platform.get(STORE, headers=shop.client), 500, "auth_error")


# ---- taken back: refused at once, though the gateway had it in its cache -----------------------------------------------


def test_one_revoked_token(platform, shop):
    second = platform.call("auth.tokens.issue", installation_id=shop.installation_id)
    assert platform.get(STORE, headers=shop.bearer).status_code == 200
    assert platform.get(STORE, headers=bearer(second["access_token"])).status_code == 200
    assert platform.call("auth.tokens.revoke", token=shop.access_token)["installation_id"] == shop.installation_id
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")
    assert platform.get(STORE, headers=bearer(second["access_token"])).status_code == 200
    assert platform.get(STORE, headers=shop.client).status_code == 200
    platform.call("auth.tokens.revoke", token=shop.access_token)            # again: no error, still dead
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")
    platform.call("auth.tokens.revoke", token=shop.refresh_token)


def test_all_tokens_of_an_installation(platform, shop):
    second = platform.call("auth.tokens.issue", installation_id=shop.installation_id)
    for token in (shop.access_token, second["access_token"]):
        assert platform.get(STORE, headers=bearer(token)).status_code == 200
    platform.call("auth.tokens.revoke", installation_id=shop.installation_id)
    for token in (shop.access_token, second["access_token"]):
        refused(platform.get(STORE, headers=bearer(token)), 401, "invalid_token")
    assert platform.get(STORE, headers=shop.client).status_code == 200


def test_a_rotated_secret(platform, shop):
    assert platform.get(STORE, headers=shop.client).status_code == 200
    fresh = platform.call("auth.apps.rotate_secret", app_id=shop.app_id)
    refused(platform.get(STORE, headers=shop.client), 401, "invalid_client")
    assert fresh["client_id"] == shop.client_id
    assert platform.get(STORE, headers={**shop.client, "X-Client-Secret": fresh["client_secret"]}).status_code == 200
    assert platform.get(STORE, headers=shop.bearer).status_code == 200


def test_an_app_switched_off(platform, shop):
    assert platform.get(STORE, headers=shop.client).status_code == 200
    assert platform.get(STORE, headers=shop.bearer).status_code == 200
    assert platform.call("auth.apps.set_status", app_id=shop.app_id, is_active=False)["is_active"] == 0
    refused(platform.get(STORE, headers=shop.client), 401, "invalid_client")
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")
    refused(platform.get(STORE, headers=bearer(session_token(shop))), 401, "invalid_token")
    platform.call("auth.apps.set_status", app_id=shop.app_id, is_active=True)
    assert platform.get(STORE, headers=shop.bearer).status_code == 200


def test_an_installation_that_ended_and_one_made_again(platform, shop):
    assert platform.get(STORE, headers=shop.client).status_code == 200
    assert platform.get(STORE, headers=shop.bearer).status_code == 200
    early = session_token(shop)
    ended = platform.call("auth.installations.end", installation_id=shop.installation_id)
    assert ended["status"] == "uninstalled"
    refused(platform.get(STORE, headers=shop.client), 401, "not_installed")
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")
    refused(platform.get(STORE, headers=bearer(early)), 401, "invalid_token")
    with pytest.raises(RpcError) as error:
        platform.call("auth.tokens.issue", installation_id=shop.installation_id)
    assert error.value.code == "invalid_installation"
    time.sleep(1.1)                                                         # session tokens count in whole seconds
    again = platform.call("auth.installations.create", app_id=shop.app_id, store_id=shop.store_id)
    assert (again["installation_id"], again["generation"]) == (shop.installation_id, 2)
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")
    refused(platform.get(STORE, headers=bearer(early)), 401, "invalid_token")
    assert platform.get(STORE, headers=bearer(again["access_token"])).status_code == 200
    assert platform.get(STORE, headers=shop.client).status_code == 200


def test_installing_over_an_installation_kills_its_tokens(platform, shop):
    assert platform.get(STORE, headers=shop.bearer).status_code == 200
    again = platform.call("auth.installations.create", app_id=shop.app_id, store_id=shop.store_id)
    assert again["generation"] == 2
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")
    assert platform.get(STORE, headers=bearer(again["access_token"])).status_code == 200


def me(platform, token):
    return platform.get("/api/auth/me", headers={"x-auth-token": token})


@pytest.mark.parametrize("how", ["token", "session_id", "account_id", "disabled"])
def test_sessions_that_ended(platform, merchant, how):
    assert me(platform, merchant.token).status_code == 200
    if how == "disabled":
        platform.call("auth.accounts.set_status", account_id=merchant.account_id, status="disabled")
    elif how == "session_id":
        rows = platform.postgres.rows("select session_id from auth.session where account_id = %s", (merchant.account_id,))
        platform.call("auth.sessions.revoke", session_id=rows[0][0])
    else:
        value = {"token": merchant.token, "account_id": merchant.account_id}[how]
        assert platform.call("auth.sessions.revoke", **{how: value})["account_id"] == merchant.account_id
    refused(me(platform, merchant.token), 401, "invalid_token")
    refused(platform.get(STORE, headers=bearer(merchant.token)), 401, "invalid_token")
    if how == "disabled":
        refused(platform.post("/api/auth/login", {"email": merchant.email, "password": PASSWORD}), 403, "forbidden")
        refused(platform.post("/api/v1/auth/login", {"identifier": merchant.email, "password": PASSWORD}), 403, "FORBIDDEN")
        platform.call("auth.accounts.set_status", account_id=merchant.account_id, status="active")
        refused(me(platform, merchant.token), 401, "invalid_token")


def test_a_developers_jwt_ends_with_its_session(platform, developer):
    introspect(platform, 3, kind="bearer", token=developer.token)
    platform.call("auth.sessions.revoke", account_id=developer.account_id)
    refused(platform.get(STORE, headers=bearer(developer.token)), 401, "invalid_token")
    with pytest.raises(RpcError):
        introspect(platform, 3, kind="bearer", token=developer.token)


# ---- login -----------------------------------------------------------------------------------------------------------


def login(platform, identifier, password, path="/api/auth/login"):
    return platform.post(path, {"identifier": identifier, "password": password})


def test_a_merchant_signs_in_by_any_of_its_names(platform):
    phone, username = f"+88017{int.from_bytes(os.urandom(3), 'big'):08d}", f"user{os.urandom(4).hex()}"
    email = f"{username}@shop.example"
    created = platform.call("auth.accounts.create", name="Rahim", email=email.upper(), phone=phone, username=username,
                            password=PASSWORD)
    assert created["email"] == email
    assert platform.call("auth.accounts.find", email=email.title())["account_id"] == created["account_id"]
    for identifier in (email, email.title(), phone, username, username.upper()):
        data = accepted(login(platform, identifier, PASSWORD))
        assert data["account"]["account_id"] == created["account_id"]
        assert "password" not in json.dumps(data).lower() and data["expires_in"] == 86400
    assert accepted(platform.post("/api/auth/login", {"email": email, "password": PASSWORD, "remember": True}))
    account = accepted(me(platform, data["token"]))
    assert (account["email"], account["phone"], account["username"], account["stores"]) == (email, phone, username, [])
    assert accepted(platform.get("/api/auth/me", headers=bearer(data["token"]))) == account


def test_me_lists_the_stores(platform, merchant):
    store_id = merchant.open_store("Dokan")
    platform.call("auth.stores.set_status", store_id=store_id, status="frozen")
    stores = accepted(me(platform, merchant.token))["stores"]
    assert [(store["store_id"], store["name"], store["status"]) for store in stores] == [(store_id, "Dokan", "frozen")]
    listed = platform.call("auth.stores.list", owner_account_id=merchant.account_id)["stores"]
    assert [store["store_id"] for store in listed] == [store_id]


def test_a_developer_signs_in(platform, developer):
    answer = login(platform, developer.email, PASSWORD, "/api/v1/auth/login")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (201, 200) and body["message"]
    assert set(body["data"]) == {"accessToken", "refreshToken", "expiresIn"} and body["data"]["expiresIn"] == "1h"
    head, claims, _ = body["data"]["accessToken"].split(".")
    decode = lambda text: json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert decode(head)["alg"] == "HS256"
    assert decode(claims)["exp"] - decode(claims)["iat"] == 3600 and decode(claims)["sub"] == str(developer.account_id)


def test_an_account_without_the_portal(platform, merchant):
    refused(login(platform, merchant.email, PASSWORD, "/api/v1/auth/login"), 403, "FORBIDDEN")
    refused(login(platform, merchant.email, "wrong password", "/api/v1/auth/login"), 401, "UNAUTHORIZED")


def test_unknown_account_and_wrong_password_look_the_same(platform, merchant):
    wrong = login(platform, merchant.email, "wrong password")
    unknown = login(platform, f"nobody-{os.urandom(4).hex()}@shop.example", "wrong password")
    refused(wrong, 401, "unauthorized")
    assert wrong.json() == unknown.json()
    other = {"X-Request-Id", "Date", "RateLimit-Remaining", "RateLimit-Reset"}
    assert {k: v for k, v in wrong.headers.items() if k not in other} == {k: v for k, v in unknown.headers.items() if k not in other}


@pytest.mark.parametrize("known", [True, False])
def test_ten_failures_lock_for_a_quarter_of_an_hour(platform, known):
    account = Owner(platform) if known else None
    email = account.email if known else f"nobody-{os.urandom(4).hex()}@shop.example"
    for path in ["/api/auth/login", "/api/v1/auth/login"] * 5:
        assert login(platform, email, "wrong password", path).status_code == 401
    for password in ("wrong password", PASSWORD):
        answer = login(platform, email, password)
        refused(answer, 429, "rate_limited")
        assert 800 < int(answer.headers["Retry-After"]) <= 900
    refused(login(platform, email.upper(), PASSWORD, "/api/v1/auth/login"), 429, "RATE_LIMITED")
    platform.postgres.rows("update auth.login_failure set until = now() where failures > 10")
    assert login(platform, email, PASSWORD).status_code == (200 if known else 401)


def test_a_right_password_forgets_the_failures(platform, merchant):
    for _ in range(3):
        for _ in range(6):
            assert login(platform, merchant.email, "wrong password").status_code == 401
        assert login(platform, merchant.email, PASSWORD).status_code == 200


@pytest.mark.parametrize("body, field", [
    ({"password": PASSWORD}, "identifier"), ({"identifier": "a@b.example"}, "password"), ({"identifier": "ab", "password": PASSWORD}, "identifier"),
    ({"identifier": "a@b.example", "password": "short"}, "password"), ({"identifier": "a@b.example", "password": "x" * 129}, "password"),
    ({"identifier": 7, "password": PASSWORD}, "identifier"), ({"identifier": "x" * 256, "password": PASSWORD}, "identifier")])
def test_logins_that_are_none(platform, body, field):
    for path, code in (("/api/auth/login", "validation_error"), ("/api/v1/auth/login", "VALIDATION_ERROR")):
        errors = refused(platform.post(path, body), 400, code)["errors"]
        assert field in [error["field"] for error in errors]


def test_the_developer_family_names_unknown_fields(platform, developer):
    body = {"identifier": developer.email, "password": PASSWORD, "remember": True}
    errors = refused(platform.post("/api/v1/auth/login", body), 400, "VALIDATION_ERROR")["errors"]
    assert [error["field"] for error in errors] == ["remember"]


def test_names_cannot_be_used_for_anything_but_names(platform):
    for identifier in ("' or '1'='1", "%", "a@b.example\u0000x", "\\", "a@b.example' --"):
        assert login(platform, identifier.ljust(3), "some password").status_code in (400, 401)


# ---- what an operator may get wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation, body, status, code", [
    ("auth.accounts.create", {"name": "x", "email": "no address", "password": PASSWORD}, 400, "validation_error"),
    ("auth.accounts.create", {"name": "x", "email": "a@b.example", "password": "short"}, 400, "validation_error"),
    ("auth.accounts.create", {"name": "x", "email": "a@b.example", "password": PASSWORD, "username": "9x@"}, 400, "validation_error"),
    ("auth.accounts.find", {"email": "nobody@nowhere.example"}, 404, "not_found"),
    ("auth.accounts.set_status", {"account_id": 10**12, "status": "disabled"}, 404, "not_found"),
    ("auth.stores.create", {"owner_account_id": 10**12, "name": "x"}, 404, "not_found"),
    ("auth.stores.set_status", {"store_id": 10**12, "status": "active"}, 404, "not_found"),
    ("auth.stores.set_status", {"store_id": 1, "status": "gone"}, 400, "validation_error"),
    ("auth.apps.create", {"owner_account_id": 10**12, "name": "App", "redirect_urls": ["https://a.example/"],
                          "requested_scopes": ["read:orders"]}, 404, "not_found"),
    ("auth.apps.create", {"owner_account_id": 1, "name": "App", "redirect_urls": ["https://a.example/"],
                          "requested_scopes": ["read:everything"]}, 400, "validation_error"),
    ("auth.apps.create", {"owner_account_id": 1, "name": "App", "redirect_urls": [], "requested_scopes": ["read:orders"]}, 400,
     "validation_error"),
    ("auth.apps.find", {"slug": "no-such-app"}, 404, "not_found"), ("auth.apps.find", {}, 404, "not_found"),
    ("auth.apps.rotate_secret", {"app_id": 10**12}, 404, "not_found"),
    ("auth.apps.rotate_signing_key", {"app_id": 10**12}, 404, "not_found"),
    ("auth.apps.set_status", {"app_id": 10**12, "is_active": True}, 404, "not_found"),
    ("auth.installations.create", {"app_id": 10**12, "store_id": 1}, 404, "not_found"),
    ("auth.installations.get", {"installation_id": 10**12}, 404, "not_found"),
    ("auth.installations.end", {"installation_id": 10**12}, 404, "not_found"),
    ("auth.tokens.issue", {"installation_id": 10**12}, 400, "invalid_installation"),
    ("auth.tokens.revoke", {"token": "sx_at_unknown"}, 404, "not_found"),
    ("auth.tokens.revoke", {"installation_id": 10**12}, 404, "not_found"),
    ("auth.tokens.revoke", {}, 400, "validation_error"),
    ("auth.tokens.revoke", {"token": "sx_at_x", "installation_id": 1}, 400, "validation_error"),
    ("auth.sessions.revoke", {}, 400, "validation_error"), ("auth.sessions.revoke", {"session_id": 10**12}, 404, "not_found"),
    ("auth.sessions.revoke", {"account_id": 10**12}, 404, "not_found"), ("auth.sessions.revoke", {"token": "x"}, 404, "not_found"),
])
def test_operations_refuse(platform, operation, body, status, code):
    with pytest.raises(RpcError) as error:
        platform.call(operation, **body)
    assert (error.value.status, error.value.code) == (status, code)


def test_a_store_that_is_none_cannot_get_an_app(platform, owner):
    with pytest.raises(RpcError) as error:
        platform.call("auth.installations.create", app_id=owner.make_app()["app_id"], store_id=10**12)
    assert error.value.code == "not_found" and error.value.errors[0]["field"] == "store_id"


def test_names_are_taken_once(platform, owner):
    with pytest.raises(RpcError) as error:
        platform.call("auth.accounts.create", name="x", email=owner.email.upper(), password=PASSWORD)
    assert (error.value.status, error.value.errors[0]["field"]) == (409, "email")
    app = dict(owner_account_id=owner.account_id, name="Same Name!", redirect_urls=["https://a.example/"], requested_scopes=["read:orders"])
    first, second = (platform.call("auth.apps.create", **app) for _ in range(2))
    assert first["slug"] != second["slug"] and second["slug"].startswith("same-name-")
    with pytest.raises(RpcError) as error:
        platform.call("auth.apps.create", **app, slug=first["slug"])
    assert (error.value.status, error.value.errors[0]["field"]) == (409, "slug")


def test_an_app_is_found_without_its_secrets(platform, owner):
    created = platform.call("auth.apps.create", owner_account_id=owner.account_id, name="Found", type="platform",
                            redirect_urls=["https://a.example/cb?x=%22&y='", "https://b.example/"], requested_scopes=["billing", "read:orders"],
                            slug=f"found-{os.urandom(4).hex()}", icon="https://a.example/i.png", developer_name="Karim")
    for key in ({"app_id": created["app_id"]}, {"slug": created["slug"]}):
        found = platform.call("auth.apps.find", **key)
        assert found["redirect_urls"] == ["https://a.example/cb?x=%22&y='", "https://b.example/"]
        assert (found["requested_scopes"], found["is_active"], found["icon"]) == ("read:orders billing", 1, "https://a.example/i.png")
        assert created["client_secret"] not in str(found) and created["session_signing_key"] not in str(found)


# ---- at rest, in logs, in the audit log ------------------------------------------------------------------------------


def test_no_secret_is_stored_or_logged_as_it_is(platform, shop, merchant, developer):
    platform.get(STORE, headers=shop.bearer)
    platform.get(STORE, headers=shop.client)
    secrets = [shop.access_token, shop.refresh_token, shop.client_secret, shop.session_signing_key, merchant.token, PASSWORD]
    dump = ""
    for table, in platform.postgres.rows("select tablename from pg_tables where schemaname = 'auth'"):
        dump += "\n".join(row for row, in platform.postgres.rows(f"select t::text from auth.{table} t"))
    logs = "".join(process.log.read_text(errors="replace") for process in platform.processes.values())
    for secret in secrets:
        bare = secret.rpartition("_")[2]
        for text in (dump, logs):
            assert secret not in text and bare not in text and bare.encode().hex() not in text
    assert developer.token.split(".")[2] not in logs


def test_the_audit_log_only_grows(platform, shop):
    platform.call("auth.apps.rotate_secret", app_id=shop.app_id)
    rows = platform.postgres.rows("select actor, action, target_id, request_id from auth.audit where app_id = %s order by audit_id",
                                  (shop.app_id,))
    assert [row[1] for row in rows] == ["app.created", "app.installed", "app.secret_rotated"]
    assert {row[0] for row in rows} == {"operator"}
    for statement in ("update auth.audit set actor = 'nobody'", "delete from auth.audit", "truncate auth.audit"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            platform.postgres.rows(statement, user="auth")


def test_checks_write_nothing(platform, shop):
    """No write per request: accepted and refused checks leave every row of auth as it was, down to its xmin."""

    def rows():
        tables = [name for name, in platform.postgres.rows("select tablename from pg_tables where schemaname = 'auth'")]
        return {name: platform.postgres.rows(f"select md5(string_agg(t.xmin::text || t::text, ',' order by t::text)) from auth.{name} t")
                for name in tables if name != "gateway"}

    before = rows()
    for _ in range(20):
        assert platform.get(STORE, headers=shop.bearer).status_code == 200
        assert platform.get(STORE, headers=shop.client).status_code == 200
        refused(platform.get(STORE, headers=bearer("sx_at_" + "0" * 64)), 401, "invalid_token")
    assert rows() == before


def test_a_process_tells_its_metrics(platform):
    assert "sx_login_accepted_total" in platform.call("auth.metrics.read")

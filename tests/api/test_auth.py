"""Who gets in, who does not, and with which words (contract K.1, K.2; seed's table of error codes)."""

import hashlib
import time

import pytest

from .credentials import ORDERS, STORE, accepted, bearer, introspect, jwt, part, refused, session_token
from .rpc import RpcError
from .shop import PASSWORD, Owner


# ---- both ways in ----------------------------------------------------------------------------------------------------


def test_both_ways_resolve_to_the_same_context(platform, shop):
    by_token = accepted(platform.get(STORE, headers=shop.bearer))
    by_client = accepted(platform.get(STORE, headers=shop.client))
    assert by_token == by_client
    assert by_token["store_id"] == shop.store_id


def test_store_id_may_be_a_query_parameter_with_client_credentials(platform, shop):
    headers = {name: value for name, value in shop.client.items() if name != "X-Store-Id"}
    assert accepted(platform.get(f"{STORE}?store_id={shop.store_id}", headers=headers))["store_id"] == shop.store_id


def test_store_id_in_the_query_is_read_like_any_other(platform, shop):
    headers = {name: value for name, value in shop.client.items() if name != "X-Store-Id"}
    escaped = "".join(f"%{ord(digit):02x}" for digit in str(shop.store_id))
    assert accepted(platform.get(f"{STORE}?%73tore_id={escaped}", headers=headers))["store_id"] == shop.store_id
    for query in ["store_id=", f"store_id={shop.store_id}&store_id={shop.store_id}", "store_id=%zz", "store_id", "a=1"]:
        refused(platform.get(f"{STORE}?{query}", headers=headers), 400, "missing_store_id")
    refused(platform.get(STORE, headers={**headers, "X-Store-Id": b"\xff"}), 400, "missing_store_id")
    wrong = {**headers, "X-Client-Secret": "sx_secret_" + "0" * 64}
    refused(platform.get(f"{STORE}?store_id=", headers=wrong), 401, "invalid_client")


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
        platform.call("auth.installations.create", app_id=app["app_id"], store_id=store_id,
                      scopes=["read:orders", "write:orders"])
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


def test_x_auth_token_is_for_merchants(platform, shop, developer):
    for route, token in [(STORE, shop.access_token), (STORE, developer.token), ("/api/auth/me", developer.token)]:
        refused(platform.get(route, headers={"x-auth-token": token}), 401, "missing_auth")
    refused(platform.get("/api/auth/me"), 401, "missing_token")
    refused(platform.get("/api/auth/me", headers=bearer("x")), 401, "invalid_token")


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


def test_only_the_gateway_may_hold_a_lease(platform, shop):
    for service in ("operator", "store-data"):
        for operation, body in (("auth.identity.join", {"gateway_id": 99}), ("auth.identity.renew", {"gateway_id": 99, "since": 0})):
            with pytest.raises(RpcError) as error:
                platform.rpc().call(operation, body, caller={"audience": 5, "service": service})
            assert error.value.status == 403


def test_the_operator_may_ask_whether_a_token_is_good(platform, shop):
    """Who may end and make tokens may ask: sxctl demo renews what has ended."""
    question = {"kind": "bearer", "token": shop.access_token, "audience": 1}
    assert platform.call("auth.identity.introspect", **question)["caller"]["app_id"] == shop.app_id
    with pytest.raises(RpcError) as error:
        platform.call("auth.identity.introspect", **{**question, "token": "sx_at_" + "0" * 64})
    assert (error.value.status, error.value.code) == (401, "invalid_token")


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
        "alg none": f"{part({'alg': 'none'})}.{part(claims)}.",
        "alg none, signed": jwt(shop.session_signing_key, claims, {"alg": "none"}),
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
    platform.postgres.rows("update auth.app set session_signing_key = "
                           "(select session_signing_key from auth.app where app_id = %s) where app_id = %s", (other.app_id, shop.app_id))
    refused(platform.get(STORE, headers=bearer(session_token(shop, key=other.session_signing_key))), 500, "auth_error")


def test_a_secret_hash_that_is_none(platform, owner):
    shop = owner.open_shop()
    platform.postgres.rows("update auth.app set client_secret_hash = '\\x00' where app_id = %s", (shop.app_id,))
    refused(platform.get(STORE, headers=shop.client), 500, "auth_error")


@pytest.mark.parametrize("headers, code", [
    ({"Authorization": b"Bearer \xff\xfe"}, "invalid_token"), ({"Authorization": "Bearer a b"}, "invalid_token"),
    ({"x-auth-token": b"\xff"}, "invalid_token"), ({"X-Client-Id": b"\xff", "X-Client-Secret": "x", "X-Store-Id": "1"}, "invalid_client"),
    ({"X-Client-Id": "x", "X-Client-Secret": b"\xe0\xa6", "X-Store-Id": "1"}, "invalid_client"),
])
def test_credentials_that_are_no_text(platform, headers, code):
    refused(platform.get(ORDERS, headers=headers), 401, code)

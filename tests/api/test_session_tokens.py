"""Session tokens of embedded apps (contract A.1 rows 5-7, B, C.2): made for the merchant, read by the app, dead with all they
rest on. The app's side is an own implementation of what apps do, and PyJWT."""

import time

import jwt as pyjwt
import pytest

from .credentials import STORE, accepted, bearer, jwt, part, refused, session_token
from .embedded import EMBED, TOKEN, VERIFY, Merchant, frontend_parameters, unpadded, verify
from .shop import Owner


@pytest.fixture(scope="module")
def seller(platform):
    return Merchant(platform)


def claims_of(token, shop):
    return pyjwt.decode(token, shop.session_signing_key, algorithms=["HS256"], audience=shop.client_id, issuer="selorax",
                        options={"require": ["exp", "iat", "sub", "aud", "iss", "jti"]})


# ---- the page and its address ----------------------------------------------------------------------------------------


def test_a_merchant_opens_an_app(platform, seller):
    answer = seller.embed()
    data, shop = accepted(answer), seller.shop
    assert {name: answer.json()[name] for name in data} == data          # flat as well, as the documented example
    assert data["expires_in"] == 600 and data["app_name"].startswith("App ")
    parameters = dict(frontend_parameters(data["iframe_url"], shop.session_signing_key))
    assert data["iframe_url"].startswith("https://app.example/embed?")
    assert parameters.pop("hmac") and abs(int(parameters.pop("timestamp")) - time.time()) < 120
    assert "=" not in parameters["host"] and unpadded(parameters.pop("host")) == "https://admin.selorax.io"
    assert parameters == {"store_id": str(shop.store_id)}
    claims = claims_of(data["session_token"], shop)
    assert (int(claims["sub"]), claims["sid"], claims["app_id"]) == (shop.store_id, shop.installation_id, shop.app_id)
    assert claims["exp"] - claims["iat"] == 600
    assert accepted(verify(shop, data["session_token"])) == {
        "store_id": shop.store_id, "installation_id": shop.installation_id, "app_id": shop.app_id}
    assert accepted(platform.get(STORE, headers=bearer(data["session_token"])))["store_id"] == shop.store_id


def test_a_session_token_is_kept_by_nobody_on_the_way(seller):
    assert seller.embed().headers["Cache-Control"] == "no-store"
    assert seller.session().headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("app_url, start, own", [
    ("https://app.example", "https://app.example?", []),
    ("https://app.example/e?theme=dark&a=1", "https://app.example/e?theme=dark&a=1&", [("theme", "dark"), ("a", "1")]),
    ("https://app.example/e?zz=%C3%A9+x%26y&empty=&flag", "https://app.example/e?zz=%C3%A9+x%26y&empty=&flag&",
     [("zz", "é x&y"), ("empty", ""), ("flag", "")]),
    ("https://app.example/e?store_id=9&hmac=0&host=x&timestamp=1&%68mac=1&ok=1", "https://app.example/e?ok=1&", [("ok", "1")]),
    ("https://app.example/#/route?x=1", "https://app.example/?", []),
    ("https://app.example/e?#top", "https://app.example/e?", []),
])
def test_what_the_apps_address_has_of_its_own_is_kept_and_signed(seller, app_url, start, own):
    shop = seller.install(app_url)
    url = accepted(seller.embed(shop))["iframe_url"]
    parameters = frontend_parameters(url, shop.session_signing_key)
    assert url.startswith(start + "store_id=")
    assert url.partition("#")[2] == app_url.partition("#")[2]
    assert [pair for pair in parameters if pair[0] not in ("store_id", "host", "timestamp", "hmac")] == own
    assert dict(parameters)["store_id"] == str(shop.store_id)
    assert len(parameters) == len(own) + 4


def test_the_dashboards_origin_is_a_setting(make_platform):
    platform = make_platform(settings={"SX_DASHBOARD_ORIGIN": "http://localhost:3000"})
    merchant = Merchant(platform)
    parameters = dict(frontend_parameters(accepted(merchant.embed())["iframe_url"], merchant.shop.session_signing_key))
    assert unpadded(parameters["host"]) == "http://localhost:3000"


@pytest.mark.parametrize("origin", ["admin.example.com", "https://admin.example.com/", "https://", "https://a b", "ftp://a"])
def test_an_origin_that_is_none(platform, origin):
    platform.settings["SX_DASHBOARD_ORIGIN"] = origin
    try:
        answer = platform.sxctl("who", check=False)
    finally:
        del platform.settings["SX_DASHBOARD_ORIGIN"]
    assert answer.returncode != 0 and "SX_DASHBOARD_ORIGIN" in answer.stderr


# ---- who may have one ------------------------------------------------------------------------------------------------


def test_a_fresh_token_for_an_open_page(seller):
    shop = seller.shop
    answers = [seller.session(), seller.platform.post(TOKEN, {"installation_id": shop.installation_id}, headers=seller.headers)]
    tokens = [accepted(answer)["session_token"] for answer in answers]
    assert answers[0].json()["session_token"] == tokens[0] and answers[0].json()["expires_in"] == 600
    assert len({claims_of(token, shop)["jti"] for token in tokens}) == 2
    assert all(accepted(verify(shop, token))["store_id"] == shop.store_id for token in tokens)


@pytest.mark.parametrize("body", [
    {}, {"app_id": 1}, {"store_id": 1}, {"app_id": 1, "store_id": 1, "installation_id": 1}, {"app_id": 1, "installation_id": 1},
    {"app_id": "1", "store_id": 1}, {"app_id": 0, "store_id": 1}, {"app_id": 2**63, "store_id": 1}, {"app_id": 1.5, "store_id": 1},
    {"installation_id": None}, {"installation_id": -1}, {"installation_id": [1]},
])
def test_bodies_that_name_nothing(seller, body):
    refused(seller.platform.post(TOKEN, body, headers=seller.headers), 400, "validation_error")


@pytest.mark.parametrize("query", [
    "", "app_id=1", "store_id=1", "app_id=x&store_id=1", "app_id=1&store_id=0", "app_id=1&store_id=-1", "app_id=1&app_id=2&store_id=1",
    "app_id=9223372036854775808&store_id=1", "app_id=1&store_id=1e3", "app_id=1&store_id=" + "1" * 500, "app_id=%00&store_id=1",
])
def test_queries_that_name_nothing(seller, query):
    refused(seller.platform.get(f"{EMBED}?{query}", headers=seller.headers), 400, "validation_error")


def test_only_people_get_one(platform, seller, developer):
    shop = seller.shop
    path, body = f"{EMBED}?app_id={shop.app_id}&store_id={shop.store_id}", {"installation_id": shop.installation_id}
    algorithm = f"/api/apps/{shop.app_id}/session-algorithm"
    for headers, code in [({}, "missing_token"), (bearer("sx_ms_" + "0" * 64), "invalid_token"), (shop.bearer, "missing_auth"),
                          (bearer(seller.session_token()), "missing_auth"), (bearer(developer.token), "missing_auth"),
                          ({"x-auth-token": seller.session_token()}, "missing_auth")]:
        refused(platform.get(path, headers=headers), 401, code)
        refused(platform.post(TOKEN, body, headers=headers), 401, code)
        refused(platform.request("PUT", algorithm, headers=headers, json_body={"algorithm": "ES256"}), 401, code)


def test_another_merchants_store_is_as_good_as_none(platform, seller):
    stranger, shop = Merchant(platform), seller.shop
    answers = [refused(stranger.embed(shop), 404, "not_found"), refused(stranger.session(shop), 404, "not_found"),
               refused(platform.get(f"{EMBED}?app_id={shop.app_id}&store_id={10**12}", headers=stranger.headers), 404, "not_found")]
    assert len({str(answer["message"]) for answer in answers}) == 1
    first = refused(platform.post(TOKEN, {"installation_id": shop.installation_id}, headers=stranger.headers), 404, "not_found")
    second = refused(platform.post(TOKEN, {"installation_id": 10**12}, headers=stranger.headers), 404, "not_found")
    assert first == second


def let(seller, member, *permissions):
    answer = seller.platform.post(f"/api/stores/{seller.shop.store_id}/members", headers=seller.headers,
                                  json_body={"email": member.email, "permissions": permissions})
    assert answer.status_code in (200, 201), answer.text


@pytest.mark.parametrize("permissions", [(), ("apps__view_webhooks",), ("apps__view_webhooks", "apps__manage_billing")])
def test_a_member_who_can_have_no_credentials_opens_no_app(platform, seller, permissions):
    """A session token opens all that the app may do."""
    member, shop = Merchant(platform), seller.shop
    let(seller, member, *permissions)
    refused(member.embed(shop), 403, "forbidden")
    refused(member.session(shop), 403, "forbidden")


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
@pytest.mark.parametrize("how", ["removed", "left", "lost every permission", "lost the permission", "disabled"])
def test_a_members_token_ends_with_the_membership(platform, algorithm, how):
    seller, member = Merchant(platform), Merchant(platform)
    shop = seller.shop
    accepted(seller.choose(algorithm))
    let(seller, member, "apps__view_webhooks", "apps__install_apps")
    token, others = member.session_token(shop), seller.session_token()
    for _ in range(2):                                                              # the second from the gateway's cache
        assert platform.get(STORE, headers=bearer(token)).status_code == 200
    if how == "disabled":
        platform.call("auth.accounts.set_status", account_id=member.account_id, status="disabled")
    elif how.startswith("lost"):
        let(seller, member, *(["apps__view_webhooks"] if how == "lost the permission" else []))
    else:
        headers = seller.headers if how == "removed" else member.headers
        accepted(platform.request("DELETE", f"/api/stores/{shop.store_id}/members/{member.account_id}", headers=headers))
    refused(is_dead(shop, token), 401, "invalid_token")
    assert platform.get(STORE, headers=bearer(others)).status_code == 200


@pytest.mark.parametrize("permission", ["apps__install_apps", "apps__manage_apps"])
def test_a_member_of_the_store_opens_apps_too(platform, seller, permission):
    member, shop = Merchant(platform), seller.shop
    refused(member.embed(shop), 404, "not_found")
    let(seller, member, permission)
    assert accepted(verify(shop, accepted(member.embed(shop))["session_token"]))["store_id"] == shop.store_id
    assert accepted(member.session(shop))["session_token"]


def test_apps_that_are_not_there(platform, seller):
    other, shop = Merchant(platform), seller.install()
    here = f"{EMBED}?app_id={other.shop.app_id}&store_id={shop.store_id}"
    refused(platform.get(here, headers=seller.headers), 404, "not_found")                # installed elsewhere
    refused(platform.get(f"{EMBED}?app_id={10**12}&store_id={shop.store_id}", headers=seller.headers), 404, "not_found")
    platform.call("auth.apps.set_status", app_id=shop.app_id, is_active=False)
    refused(seller.embed(shop), 404, "not_found")
    platform.call("auth.apps.set_status", app_id=shop.app_id, is_active=True)
    assert seller.embed(shop).status_code == 200
    platform.call("auth.installations.end", installation_id=shop.installation_id)
    refused(seller.embed(shop), 404, "not_found")
    refused(seller.session(shop), 404, "not_found")


def test_apps_without_a_page(seller):
    plain = seller.open_shop()
    refused(seller.embed(plain), 400, "invalid_request")
    assert seller.session(plain).status_code == 200
    custom = seller.open_shop(app=seller.make_app(type="custom", app_url="https://app.example/"))
    refused(seller.embed(custom), 400, "invalid_request")
    refused(seller.session(custom), 400, "invalid_request")


@pytest.mark.parametrize("status", ["suspended", "frozen"])
def test_stores_that_are_shut(platform, seller, status):
    shop = seller.install()
    token = seller.session_token(shop)
    platform.call("auth.stores.set_status", store_id=shop.store_id, status=status)
    refused(seller.embed(shop), 403, "store_inactive")
    refused(seller.session(shop), 403, "store_inactive")
    refused(verify(shop, token), 403, "store_inactive")
    refused(platform.get(STORE, headers=bearer(token)), 403, "store_inactive")
    platform.call("auth.stores.set_status", store_id=shop.store_id, status="active")
    assert verify(shop, token).status_code == 200


def test_each_token_is_in_the_audit_log_and_in_no_other(platform, seller):
    answer = seller.session()
    token, request_id = answer.json()["session_token"], answer.headers["X-Request-Id"]
    rows = platform.postgres.rows("select action, actor_account_id, store_id, app_id, target_id, address, audit::text from auth.audit "
                                  "where request_id = %s", (request_id,))
    shop = seller.shop
    assert [row[:6] for row in rows] == [("session_token.issued", seller.account_id, shop.store_id, shop.app_id,
                                          shop.installation_id, "127.0.0.1")]
    platform.get(STORE, headers=bearer(token))
    verify(shop, token)
    secrets = [token, token.rpartition(".")[2], shop.session_signing_key, shop.client_secret]
    for process in platform.processes.values():
        text = process.log.read_text(errors="replace")
        assert not any(secret in text for secret in secrets), process.name
    assert not any(secret in rows[0][6] for secret in secrets)


# ---- read by the app and by the platform -----------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [
    {"session_token": None}, {"client_id": None}, {"client_secret": None}, {"session_token": ""}, {"session_token": 7},
    {"session_token": "x" * 4097}, {"client_id": "x" * 256}, {"client_secret": ["a"]}, {"session_token": {}},
])
def test_verify_needs_three_texts(seller, fields):
    refused(verify(seller.shop, "x.y.z", **fields), 400, "validation_error")


def test_verify_asks_for_the_apps_secret_first(seller):
    shop, token = seller.shop, seller.session_token()
    for fields in [{"client_id": "sx_app_" + "0" * 32}, {"client_secret": "sx_secret_" + "0" * 64}, {"client_secret": shop.client_secret[:-1]},
                   {"client_id": "' or 1=1 --"}, {"client_secret": "x", "session_token": "rubbish"}]:
        refused(verify(shop, token, **fields), 401, "invalid_client")
    refused(verify(shop, "rubbish"), 401, "invalid_token")


def test_a_secret_that_was_rotated_verifies_nothing(platform, seller):
    shop = seller.install()
    token = seller.session_token(shop)
    fresh = platform.call("auth.apps.rotate_secret", app_id=shop.app_id)["client_secret"]
    refused(verify(shop, token), 401, "invalid_client")
    assert verify(shop, token, client_secret=fresh).status_code == 200
    platform.call("auth.apps.set_status", app_id=shop.app_id, is_active=False)
    refused(verify(shop, token, client_secret=fresh), 401, "invalid_client")


def test_another_apps_token_is_none(seller):
    other = seller.install(store_id=seller.shop.store_id)
    refused(verify(other, seller.session_token()), 401, "invalid_token")
    refused(verify(seller.shop, seller.session_token(other)), 401, "invalid_token")


def test_a_stored_secret_that_is_broken(platform, seller):
    shop = seller.install()
    token = seller.session_token(shop)
    platform.postgres.rows("update auth.app set client_secret_hash = '\\x00' where app_id = %s", (shop.app_id,))
    refused(verify(shop, token), 500, "auth_error")
    platform.postgres.rows("update auth.app set session_signing_key = '\\x00' where app_id = %s", (shop.app_id,))
    refused(seller.session(shop), 500, "auth_error")


def forged(shop, other):
    """Tokens that are none, by what is wrong with them."""
    now = int(time.time())
    key, good = shop.session_signing_key, session_token(shop)
    claims = {"aud": shop.client_id, "sub": str(shop.store_id), "sid": shop.installation_id, "app_id": shop.app_id, "gen": 1,
              "iat": now, "exp": now + 600}
    head, body, signature = good.split(".")
    return {
        "alg none": f"{part({'alg': 'none'})}.{part(claims)}.", "alg None": f"{part({'alg': 'None'})}.{part(claims)}.{signature}",
        "alg none, signed": jwt(key, claims, {"alg": "none"}), "alg hs256": jwt(key, claims, {"alg": "hs256"}),
        "alg HS384": jwt(key, claims, {"alg": "HS384"}), "alg RS256": jwt(key, claims, {"alg": "RS256"}),
        "alg ES256": jwt(key, claims, {"alg": "ES256"}), "alg ES256 with 64 bytes": f"{part({'alg': 'ES256'})}.{body}.{part(bytes(64))}",
        "alg is a list": jwt(key, claims, {"alg": ["HS256"]}), "no alg": jwt(key, claims, {"typ": "JWT"}),
        "alg twice": f"{part(b'{' + b'%salg%s:%snone%s,%salg%s:%sHS256%s' % ((b'%c' % 34,) * 8) + b'}')}.{body}.{signature}",
        "critical words": jwt(key, claims, {"alg": "HS256", "crit": ["b64"], "b64": False}),
        "empty key": jwt("", claims), "key of another app": session_token(shop, key=other.session_signing_key),
        "client secret as key": session_token(shop, key=shop.client_secret), "key in its header": jwt(
            "a" * 64, claims, {"alg": "HS256", "jwk": {"kty": "oct", "k": part(b"a" * 64)}}),
        "expired": session_token(shop, iat=now - 700, exp=now - 1), "ends now": session_token(shop, iat=now - 600, exp=now),
        "not yet valid": session_token(shop, nbf=now + 300), "made tomorrow": session_token(shop, iat=now + 86400, exp=now + 87000),
        "without exp": session_token(shop, exp=None), "without iat": session_token(shop, iat=None),
        "lives an hour": session_token(shop, exp=now + 3600), "lives for ever": session_token(shop, exp=2**63 - 1),
        "exp is text": session_token(shop, exp="soon"), "iat is negative": session_token(shop, iat=-1, exp=now + 600),
        "another store": session_token(shop, sub=str(other.store_id)), "another app": session_token(shop, app_id=other.app_id),
        "another installation": session_token(shop, sid=other.installation_id), "no store": session_token(shop, sub=None),
        "store 0": session_token(shop, sub="0"), "store with a space": session_token(shop, sub=f" {shop.store_id}"),
        "another audience": session_token(shop, aud=other.client_id), "no audience": session_token(shop, aud=None),
        "audience is a list": session_token(shop, aud=[shop.client_id]), "a developer's audience": session_token(shop, aud="developer"),
        "earlier install": session_token(shop, gen=0), "later install": session_token(shop, gen=2), "no install": session_token(shop, gen=None),
        "no signature": f"{head}.{body}.", "two parts": f"{head}.{body}", "four parts": good + ".x", "cut": good[:-2], "padded": good + "=",
        "another's signature": f"{head}.{body}.{session_token(shop, sub='987654').rpartition('.')[2]}",
        "last bits of the signature": good[:-1] + chr(ord(good[-1]) + 1), "signature in plain base64": f"{head}.{body}.{signature[:-1]}+",
        "claims changed": f"{head}.{part({**claims, 'sub': str(other.store_id)})}.{signature}",
        "no object": jwt(key, [claims]), "no JSON": jwt(key, b"{"), "no UTF-8": jwt(key, b'{"sub":"\xff"}'),
        "nested a lot": jwt(key, b'{"a":' * 500 + b"1" + b"}" * 500), "dots": "..", "empty parts": ".a.", "NUL": jwt(key, b'{"sub":"1\\u0000"}'),
    }


def test_tokens_that_are_none(platform, seller):
    shop, other = seller.shop, seller.install()
    assert verify(shop, session_token(shop)).status_code == 200                     # what the forgeries are made from
    assert platform.get(STORE, headers=bearer(session_token(shop))).status_code == 200
    for name, token in forged(shop, other).items():
        for answer in (platform.get(STORE, headers=bearer(token)), verify(shop, token)):
            assert (answer.status_code, answer.json().get("code")) == (401, "invalid_token"), f"{name}: {answer.text}"


def test_no_other_family_takes_one(platform, seller):
    token = seller.session_token()
    refused(platform.get("/api/auth/me", headers={"x-auth-token": token}), 401, "missing_auth")
    refused(platform.get("/api/auth/me", headers=bearer(token)), 401, "missing_auth")


def test_a_session_token_has_the_apps_scopes_and_no_more(platform, owner):
    shop = owner.open_shop(scopes=["read:orders"])
    refused(platform.get(STORE, headers=bearer(session_token(shop))), 403, "insufficient_scope")
    assert platform.get("/api/apps/v1/orders", headers=bearer(session_token(shop))).status_code == 200


def test_ten_minutes_and_no_longer(make_platform):
    platform = make_platform()
    merchant = Merchant(platform)
    token = merchant.session_token()
    platform.set_clock(500)
    assert platform.get(STORE, headers=bearer(token)).status_code == 200
    assert verify(merchant.shop, token).status_code == 200
    platform.set_clock(601)
    refused(platform.get(STORE, headers=bearer(token)), 401, "invalid_token")
    refused(verify(merchant.shop, token), 401, "invalid_token")


# ---- taken back ------------------------------------------------------------------------------------------------------


def is_dead(shop, token, code="invalid_token"):
    refused(shop.platform.get(STORE, headers=bearer(token)), 403 if code == "store_inactive" else 401, code)
    return verify(shop, token)


@pytest.mark.parametrize("what", ["key", "uninstall", "reinstall", "app off", "suspended"])
def test_a_token_dies_with_what_it_rests_on(platform, seller, what):
    shop = seller.install()
    token = seller.session_token(shop)
    for _ in range(2):                                                              # the second from the gateway's cache
        assert platform.get(STORE, headers=bearer(token)).status_code == 200
    assert verify(shop, token).status_code == 200
    if what == "key":
        platform.call("auth.apps.rotate_signing_key", app_id=shop.app_id)
        refused(is_dead(shop, token), 401, "invalid_token")
    elif what == "uninstall":
        platform.call("auth.installations.end", installation_id=shop.installation_id)
        refused(is_dead(shop, token), 401, "invalid_token")
    elif what == "reinstall":                                                       # within the same second, too
        platform.call("auth.installations.create", app_id=shop.app_id, store_id=shop.store_id)
        refused(is_dead(shop, token), 401, "invalid_token")
    elif what == "app off":
        platform.call("auth.apps.set_status", app_id=shop.app_id, is_active=False)
        refused(is_dead(shop, token), 401, "invalid_client")
        return
    else:
        platform.call("auth.stores.set_status", store_id=shop.store_id, status="suspended")
        refused(is_dead(shop, token, "store_inactive"), 403, "store_inactive")
        return
    if what != "uninstall":
        assert platform.get(STORE, headers=bearer(seller.session_token(shop))).status_code == 200


def test_a_reinstalled_app_gets_working_tokens(platform, seller):
    shop = seller.install()
    platform.call("auth.installations.end", installation_id=shop.installation_id)
    platform.call("auth.installations.create", app_id=shop.app_id, store_id=shop.store_id)
    token = seller.session_token(shop)
    assert claims_of(token, shop)["gen"] == 2
    assert verify(shop, token).status_code == 200
    refused(verify(shop, session_token(shop)), 401, "invalid_token")                # generation 1


def test_verify_is_counted_by_address_before_anything_is_looked_at(make_platform):
    platform = make_platform(settings={"SX_RATE_VERIFY": "3/60"})
    answers = [platform.post(VERIFY, {"session_token": "x", "client_id": "x", "client_secret": "x"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert answers[2].headers["RateLimit-Remaining"] == "0" and int(answers[3].headers["Retry-After"]) > 0
    owner = Owner(platform)
    assert platform.get(STORE, headers=owner.open_shop().bearer).status_code == 200

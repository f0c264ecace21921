"""What an app itself asks of the OAuth endpoints, and as whom (contract A.1, K.2; RFC 6749, 2.3; RFC 7009, 7662, 8414)."""

import base64
from urllib.parse import quote, urlencode

import pytest

from .credentials import refused, session_token
from .oauth import AUTHORIZE, CALLBACK, INTROSPECT, REVOKE, TOKEN, Install
from .oauth_answers import oauth_error, tokens_of


def test_client_authentication(platform, install):
    body = {"grant_type": "refresh_token", "refresh_token": "x"}
    for credentials in ({}, {"client_id": install.app["client_id"]}, {"client_secret": install.app["client_secret"]},
                        {**install.credentials, "client_secret": "sx_secret_" + "0" * 64},
                        {**install.credentials, "client_id": "sx_app_" + "0" * 32},
                        {**install.credentials, "client_id": "\u00e9"}):
        for path in (TOKEN, REVOKE, INTROSPECT):
            oauth_error(platform.post(path, {**body, "token": "x", **credentials}), 401, "invalid_client")
    for text in ("", "Basic", "Basic ", "Basic !!!", "Bearer sx_at_" + "0" * 64, "Basic " + "A" * 5000,
                 "Basic " + base64.b64encode(b"no colon").decode(), "Basic " + base64.b64encode(b"a\0b:c").decode(),
                 "Basic " + base64.b64encode(b"%zz:c").decode(), "Basic " + base64.b64encode(b"\xff:\xff").decode(),
                 "Basic " + base64.b64encode(f"{install.app['client_id']}:wrong".encode()).decode()):
        answer = platform.post(TOKEN, body, headers={"Authorization": text})
        oauth_error(answer, 401, "invalid_client")
        assert answer.headers["WWW-Authenticate"].startswith("Basic ") or not text
    basic = {"Authorization": "Basic " + base64.b64encode(":".join(install.credentials.values()).encode()).decode()}
    oauth_error(platform.post(TOKEN, {**body, **install.credentials}, headers=basic), 400, "invalid_request")
    answer = platform.post(TOKEN, {**body, "client_id": "another"}, headers=basic)
    oauth_error(answer, 400, "invalid_request")
    oauth_error(platform.post(TOKEN, {**body, "client_id": install.app["client_id"]}, headers=basic), 400, "invalid_grant")


def test_an_app_switched_off_and_a_rotated_secret(install):
    given = tokens_of(install.exchange())
    install.platform.call("auth.apps.set_status", app_id=install.app["app_id"], is_active=False)
    oauth_error(install.refresh(given["refresh_token"]), 401, "invalid_client")
    install.platform.call("auth.apps.set_status", app_id=install.app["app_id"], is_active=True)
    rotated = install.platform.call("auth.apps.rotate_secret", app_id=install.app["app_id"])
    oauth_error(install.refresh(given["refresh_token"]), 401, "invalid_client")
    assert tokens_of(install.refresh(given["refresh_token"], client_secret=rotated["client_secret"]))


def test_the_token_endpoint_has_its_own_limit(make_platform):
    platform = make_platform(settings={"SX_RATE_TOKEN": "3/60"})
    for _ in range(3):
        oauth_error(platform.post(TOKEN, {"grant_type": "x"}), 401, "invalid_client")
    answer = platform.post(TOKEN, {"grant_type": "x"})
    oauth_error(answer, 429, "temporarily_unavailable", "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0 and answer.headers["RateLimit-Limit"] == "3"


# ---- what is sent ----------------------------------------------------------------------------------------------------


def test_forms_json_and_basic(install):
    platform = install.platform
    basic = base64.b64encode(":".join(quote(part) for part in install.credentials.values()).encode()).decode()
    body = {"grant_type": "authorization_code", "code": install.code(), "redirect_uri": CALLBACK}
    answer = platform.request("POST", TOKEN, body=urlencode(body), headers={
        "Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"})
    first = tokens_of(answer)
    body = {**install.credentials, "grant_type": "refresh_token", "refresh_token": first["refresh_token"], "scope": ""}
    answer = platform.request("POST", TOKEN, body=urlencode(body),
                              headers={"Content-Type": "application/x-www-form-urlencoded"})
    second = tokens_of(answer)
    answer = platform.request("POST", INTROSPECT, body=urlencode({"token": second["access_token"]}), headers={
        "Authorization": f"basic {basic}", "Content-Type": "application/x-www-form-urlencoded"})
    body = answer.json()
    assert body["active"] and body["data"] == {k: v for k, v in body.items() if k not in ("data", "status")}
    assert body["client_id"] == install.app["client_id"] and body["store_id"] == install.store_id
    assert body["exp"] - body["iat"] == 86400 and body["sub"] == str(install.store_id)
    assert body["scope"] == "read:orders read:store" and body["token_type"] == "Bearer"


@pytest.mark.parametrize("body", [
    {}, {"grant_type": 5}, {"grant_type": None}, {"grant_type": ""}, {"grant_type": ["authorization_code"]},
    {"grant_type": "authorization_code"}, {"grant_type": "refresh_token"}, {"grant_type": "authorization_code", "code": 7},
    {"grant_type": "authorization_code", "code": ""}, {"grant_type": "refresh_token", "refresh_token": "x" * 256},
    {"grant_type": "refresh_token", "refresh_token": {"a": 1}}, {"grant_type": "authorization_code", "code": "x\u0000y"},
])
def test_bad_bodies(install, body):
    answer = install.token(**body)
    oauth_error(answer, 400, "invalid_request", answer.json()["code"])
    assert answer.json()["code"] in ("validation_error", "invalid_json")


def test_bad_forms(platform, install):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    good = urlencode({**install.credentials, "grant_type": "refresh_token", "refresh_token": "x"})
    for text in (good + "&grant_type=refresh_token", good + "&refresh_token=y", good + "&scope=%zz", good + "&scope=%ff",
                 good + "&scope=%00", "&".join(f"a{i}=1" for i in range(70)) + "&" + good, "", "===&&&", "{}"):
        oauth_error(platform.request("POST", TOKEN, body=text, headers=form), 400, "invalid_request", "validation_error")
    oauth_error(platform.request("POST", TOKEN, body=good + "&unknown=1&code_verifier=", headers=form), 400, "invalid_grant")
    oauth_error(platform.request("POST", TOKEN, body="a=" + "b" * 20000, headers=form), 413, "invalid_request",
                "payload_too_large")
    oauth_error(platform.request("POST", TOKEN, body=good, headers={"Content-Type": "text/plain"}), 415,
                "invalid_request", "unsupported_media_type")
    oauth_error(platform.request("POST", TOKEN, body=good), 400, "invalid_request", "invalid_json")
    for kind in ("password", "client_credentials", "implicit", "authorization_code "):
        oauth_error(install.token(grant_type=kind), 400, "unsupported_grant_type")
    oauth_error(platform.post(TOKEN, {"grant_type": "password"}), 401, "invalid_client")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencodedx", "application/x-www-form-urlencoded-2"])
def test_other_content_types_are_told_both_that_are_taken(platform, kind):
    error = oauth_error(platform.post(TOKEN, body="grant_type=refresh_token", headers={"Content-Type": kind}), 415,
                        "invalid_request", "unsupported_media_type")
    assert "application/json" in error["message"] and "application/x-www-form-urlencoded" in error["message"]


# ---- giving back, asking ---------------------------------------------------------------------------------------------


def test_revocation(platform, install, owner):
    given, thief = tokens_of(install.exchange()), Install(platform, owner)
    oauth_error(platform.post(REVOKE, {**thief.credentials, "token": given["access_token"]}), 400, "invalid_grant")
    assert install.works(given["access_token"])
    for _ in range(2):
        answer = platform.post(REVOKE, {**install.credentials, "token": given["access_token"],
                                        "token_type_hint": "refresh_token"})
        assert answer.status_code == 200, answer
    assert not install.works(given["access_token"]) and install.is_active(given["refresh_token"])
    second = tokens_of(install.refresh(given["refresh_token"]))
    assert platform.post(REVOKE, {**install.credentials, "token": second["refresh_token"]}).status_code == 200
    assert not install.is_active(second["refresh_token"]) and not install.works(second["access_token"])
    for token in ("x", "sx_at_" + "0" * 64, "\u00e9"):
        assert platform.post(REVOKE, {**install.credentials, "token": token}).status_code == 200
    for body in ({}, {"token": 7}, {"token": ""}, {"token": "x" * 5000}):
        oauth_error(platform.post(REVOKE, {**install.credentials, **body}), 400, "invalid_request", "validation_error")


def test_a_session_token_cannot_be_revoked(platform, shop, install):
    """RFC 7009, 2.2.1. What merely is no token of ours stays 200: it is not valid, as was asked for."""
    body = {"client_id": shop.client_id, "client_secret": shop.client_secret}
    oauth_error(platform.post(REVOKE, {**body, "token": session_token(shop)}), 400, "unsupported_token_type")
    oauth_error(platform.post(REVOKE, {**body, "client_secret": "x", "token": session_token(shop)}), 401, "invalid_client")
    for token in ("x", "a.b.c", "eyJ", "eyJ.x", "eyJ.x.y z", "sx_at_" + "0" * 64):
        assert platform.post(REVOKE, {**body, "token": token}).status_code == 200, token


def test_token_answers_are_not_kept(platform, install):
    """RFC 6749, 5.1."""
    for answer in (install.exchange(), platform.post(INTROSPECT, {**install.credentials, "token": "x"}),
                   install.refresh("x")):
        assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache"), answer
    assert "Pragma" not in platform.get("/.well-known/oauth-authorization-server").headers


def test_introspection(platform, install, owner):
    given, stranger = tokens_of(install.exchange()), Install(platform, owner)
    assert install.is_active(given["access_token"]) and install.is_active(given["refresh_token"])
    for token in (given["access_token"], given["refresh_token"], "x", "sx_at_" + "0" * 64, "\u00e9"):
        answer = platform.post(INTROSPECT, {**stranger.credentials, "token": token})
        assert answer.json() == {"active": False, "data": {"active": False}, "status": 200}
    tokens_of(install.refresh(given["refresh_token"]))
    assert not install.is_active(given["refresh_token"])            # used
    oauth_error(platform.post(INTROSPECT, install.credentials), 400, "invalid_request", "validation_error")


# ---- where everything is ---------------------------------------------------------------------------------------------


def test_metadata(platform):
    answer = platform.get("/.well-known/oauth-authorization-server")
    data = answer.json()
    assert answer.status_code == 200 and data["issuer"] == platform.url()
    assert data["token_endpoint"] == platform.url(TOKEN) and data["authorization_endpoint"] == platform.url(AUTHORIZE)
    assert data["code_challenge_methods_supported"] == ["S256"] and "read:orders" in data["scopes_supported"]
    for host in ("evil.example/path", "evil.example\"", "a b", ""):
        issuer = platform.get("/.well-known/oauth-authorization-server", headers={"Host": host}).json()
        assert "evil" not in issuer.get("issuer", "")
    named = platform.get("/.well-known/oauth-authorization-server",
                         headers={"Host": "api.example", "X-Forwarded-Proto": "https"}).json()
    assert named["issuer"] == "http://api.example"      # nobody has said that this client is a proxy of ours


def test_the_public_url_is_the_issuer(make_platform):
    platform = make_platform(settings={"SX_PUBLIC_URL": "https://api.example.com"})
    data = platform.get("/.well-known/oauth-authorization-server").json()
    assert data["issuer"] == "https://api.example.com" and data["token_endpoint"].startswith("https://api.example.com/api")


def test_without_a_public_address_the_operator_is_warned(make_platform):
    """Outside development the issuer would be whatever Host a client sends."""
    def warned(platform):
        return [line["event"] for line in platform["gateway-1"].log_lines()].count("no_public_url")

    assert warned(make_platform(settings={"SX_DEV": "0", "SX_CLOCK_FILE": ""})) == 1
    assert warned(make_platform(settings={"SX_DEV": "0", "SX_CLOCK_FILE": "",
                                          "SX_PUBLIC_URL": "https://api.example.com"})) == 0
    assert warned(make_platform()) == 0


def test_unknown_paths_there_are_errors_of_the_platform(platform):
    refused(platform.get("/api/apps/oauth/nothing"), 404, "not_found")
    assert platform.get(TOKEN).status_code == 405

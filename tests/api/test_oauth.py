"""Installing an app by OAuth, from the click to tokens and back (contract A.1, C.1, K.2; RFC 6749, 7009, 7636, 7662, 8414)."""

import base64
import concurrent.futures
from urllib.parse import quote, urlencode

import pytest

from .browser import Browser, redirected
from .credentials import refused
from .oauth import AUTHORIZE, CALLBACK, INTROSPECT, REVOKE, TOKEN, Install, challenge_of
from .rpc import RpcError
from .shop import PASSWORD, Owner


@pytest.fixture
def install(platform, owner):
    return Install(platform, owner)


def tokens_of(answer):
    body = answer.json()
    assert answer.status_code == 200 and body["status"] == 200, answer
    data = body["data"]
    for name in ("access_token", "refresh_token", "token_type", "expires_in", "scope"):
        assert body[name] == data[name]
    assert (data["token_type"], data["expires_in"]) == ("Bearer", 86400)
    assert answer.headers["Cache-Control"] == "no-store"
    return data


def oauth_error(answer, status, error, code=None):
    """RFC 6749's error and the contract's, in one body."""
    body = answer.json()
    assert (answer.status_code, body["error"], body["code"], body["status"]) == (status, error, code or error, status)
    assert body["error_description"] and body["message"]
    return body


def error_page(answer, status, code):
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8"), answer
    assert code in answer.text and "Location" not in answer.headers
    return answer.text


# ---- the whole way ---------------------------------------------------------------------------------------------------


def test_install_use_refresh_revoke(install):
    page = install.ask()
    assert page.status_code == 200 and "See your orders" in page.text and "Change your store" not in page.text
    place, fields = redirected(install.browser.submit("install"))
    assert place == CALLBACK and fields["state"] == "xyz 1&2"
    assert set(fields) == {"code", "state", "iss"} and fields["iss"] == install.platform.url()
    assert fields["code"].startswith("sx_ac_") and len(fields["code"]) == 70
    first = tokens_of(install.exchange(fields["code"]))
    assert (first["store_id"], first["app_id"]) == (install.store_id, install.app["app_id"])
    assert first["scopes"] == ["read:orders", "read:store"] and first["scope"] == "read:orders read:store"
    assert install.works(first["access_token"])
    second = tokens_of(install.refresh(first["refresh_token"]))
    assert second["installation_id"] == first["installation_id"] and install.works(second["access_token"])
    assert second["refresh_token"] != first["refresh_token"]
    answer = install.platform.post(REVOKE, {**install.credentials, "token": second["refresh_token"]})
    assert answer.status_code == 200 and answer.json()["status"] == 200 and answer.json()["message"]
    assert not install.works(second["access_token"]) and not install.works(first["access_token"])
    oauth_error(install.refresh(second["refresh_token"]), 400, "invalid_grant")


def test_a_second_install_makes_the_first_ones_tokens_worthless(install):
    first = tokens_of(install.exchange())
    second = tokens_of(install.exchange())
    assert second["installation_id"] == first["installation_id"]
    assert install.works(second["access_token"]) and not install.works(first["access_token"])
    oauth_error(install.refresh(first["refresh_token"]), 400, "invalid_grant")


def test_uninstalled_by_the_merchant_and_installed_again(platform, install):
    first = tokens_of(install.exchange())
    signed_in = platform.post("/api/auth/login", {"email": install.owner.email, "password": PASSWORD})
    merchant = {"x-auth-token": signed_in.json()["data"]["token"]}
    ended = platform.post(f"/api/apps/installations/{first['installation_id']}/uninstall", headers=merchant)
    assert ended.status_code == 200, ended
    assert not install.works(first["access_token"]) and not install.is_active(first["refresh_token"])
    oauth_error(install.refresh(first["refresh_token"]), 400, "invalid_grant")
    again = tokens_of(install.exchange())
    assert again["installation_id"] == first["installation_id"] and install.works(again["access_token"])
    assert not install.works(first["access_token"])
    oauth_error(install.refresh(first["refresh_token"]), 400, "invalid_grant")


def test_cancel_tells_the_app(install):
    install.ask()
    place, fields = redirected(install.browser.submit("cancel"))
    assert place == CALLBACK and fields["error"] == "access_denied" and fields["state"] == "xyz 1&2"
    rows = install.platform.postgres.rows("select count(*) from auth.oauth_code where store_id = %s", (install.store_id,))
    assert rows == [(0,)]


def test_what_is_kept_of_it(install):
    code = install.code()
    given = tokens_of(install.exchange(code))
    kept = "\n".join(str(row) for table in ("oauth_code", "token", "audit", "outbox") for row in
                     install.platform.postgres.rows(f"select {table}::text from auth.{table}"))
    logs = "".join(process.log.read_text() for process in install.platform.processes.values())
    for secret in (code, given["access_token"], given["refresh_token"], install.app["client_secret"],
                   *install.browser.cookies.values()):
        assert secret not in kept and secret not in logs
    actions = [action for action, in install.platform.postgres.rows(
        "select action from auth.audit where store_id = %s order by audit_id", (install.store_id,))]
    assert "oauth.consented" in actions and "app.installed" in actions
    topics = install.platform.postgres.rows("select topic from auth.outbox where store_id = %s", (install.store_id,))
    assert ("app.installed",) in topics


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


# ---- signing in and consent ------------------------------------------------------------------------------------------


def test_pages_cannot_be_framed_or_scripted(install):
    install.browser.open(install.address())
    pages = [install.browser.page]
    pages.append(install.sign_in())
    pages.append(install.browser.open(f"{AUTHORIZE}?client_id=sx_app_{'0' * 32}&redirect_uri={CALLBACK}"))
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy and "script" not in policy
        assert page.headers["X-Frame-Options"] == "DENY" and page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store" and "<script" not in page.text
    assert "form-action 'self' https://app.example" in pages[1].headers["Content-Security-Policy"]
    assert "form-action 'none'" in pages[2].headers["Content-Security-Policy"]


def test_no_other_origins_script_reads_the_pages(install):
    for method, headers in (("GET", {}), ("OPTIONS", {"Access-Control-Request-Method": "POST"})):
        answer = install.browser.send(method, install.address(), Origin="https://evil.example", **headers)
        assert answer.status_code == 200, answer
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    answer = install.platform.request("OPTIONS", TOKEN, headers={"Origin": "https://app.example",
                                                                 "Access-Control-Request-Method": "POST"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_names_on_the_page_are_text(platform, owner):
    install = Install(platform, owner, developer_name="<b>Evil</b> & 'Sons'")
    platform.postgres.rows("update auth.app set name = %s, icon = 'javascript:alert(1)' where app_id = %s",
                           ('"><script>alert(1)</script>', install.app["app_id"]))
    page = install.ask(state='"><img src=x onerror=alert(1)>').text
    assert "<script>" not in page and "<b>Evil" not in page and "onerror=alert(1)>" not in page and "javascript:" not in page
    assert "&lt;b&gt;Evil&lt;/b&gt; &amp; &#39;Sons&#39;" in page


def test_a_wrong_password_is_a_page(install):
    install.browser.open(install.address())
    page = install.browser.submit(identifier=install.owner.email, password="wrong horse battery")
    error_page(page, 401, "unauthorized")
    assert install.sign_in().status_code == 200


def test_the_cookie(install):
    install.browser.open(install.address())
    before = install.browser.cookies["sx_oauth"]
    form = install.browser.forms.forms[0]
    assert "SameSite=Lax" in install.browser.page.headers["Set-Cookie"]
    answer = install.browser.send("POST", form["action"],
                                  {**form["fields"], "identifier": install.owner.email, "password": PASSWORD})
    assert answer.status_code == 303 and "HttpOnly" in answer.headers["Set-Cookie"]
    after = install.browser.cookies["sx_oauth"]
    assert before != after and after.startswith("sx_bs_")          # a new value at each sign-in (session fixation)


def test_answers_to_forms_are_not_sent_on(install):
    install.browser.open(install.address())
    form = install.browser.forms.forms[0]
    fields = {**form["fields"], "identifier": install.owner.email, "password": PASSWORD}
    answer = install.browser.send("POST", form["action"], fields)
    assert answer.status_code == 303 and PASSWORD not in answer.headers["Location"]
    install.browser.open(answer.headers["Location"])
    assert install.browser.submit("install").status_code == 302     # holds nothing but the merchant's click


def test_a_planted_cookie_is_no_session(install):
    for value in ("sx_ms_" + "0" * 64, "sx_bs_" + "0" * 64, "sx_an_" + "0" * 64, "x", "sx_bs_" + "f" * 63 + "\"", "=" * 70):
        install.browser.cookies = {"sx_oauth": value}
        page = install.browser.open(install.address())
        assert page.status_code == 200 and "Sign in" in page.text
        assert install.browser.submit(identifier=install.owner.email, password=PASSWORD).status_code == 200
        assert install.browser.cookies["sx_oauth"] != value


def test_the_cookie_is_no_api_token_and_an_api_token_no_cookie(platform, install):
    signed_in = platform.post("/api/auth/login", {"email": install.owner.email, "password": PASSWORD})
    token = signed_in.json()["data"]["token"]
    assert "Sign in" not in install.ask().text
    cookie = install.browser.cookies["sx_oauth"]
    for headers in ({"x-auth-token": cookie}, {"Authorization": f"Bearer {cookie}"}):
        refused(platform.get("/api/auth/me", headers=headers), 401, "invalid_token")
    assert platform.get("/api/auth/me", headers={"x-auth-token": token}).status_code == 200
    install.browser.cookies = {"sx_oauth": token}
    assert "Sign in" in install.browser.open(install.address()).text


def test_under_https_the_cookie_is_secure(make_platform):
    platform = make_platform(settings={"SX_TRUSTED_PROXIES": "127.0.0.1"})
    install = Install(platform, Owner(platform))
    install.browser = Browser(platform, **{"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"})
    page = install.sign_in()
    assert page.status_code == 200 and "Install" in page.text
    assert list(install.browser.cookies) == ["__Host-sx_oauth"] and "Strict-Transport-Security" in page.headers
    _, fields = redirected(install.browser.submit("install"))
    assert fields["iss"].startswith("https://") and tokens_of(install.exchange(fields["code"]))
    plain = Browser(platform)
    plain.cookies = {"__Host-sx_oauth": install.browser.cookies["__Host-sx_oauth"]}
    assert "Sign in" in plain.open(install.address()).text


def test_the_public_url_is_the_issuer(make_platform):
    platform = make_platform(settings={"SX_PUBLIC_URL": "https://api.example.com"})
    data = platform.get("/.well-known/oauth-authorization-server").json()
    assert data["issuer"] == "https://api.example.com" and data["token_endpoint"].startswith("https://api.example.com/api")


def test_a_forged_form_counts_for_nothing(platform, install):
    install.ask()
    form = install.browser.forms.forms[0]
    fields = {**form["fields"], "decision": "install"}
    for change in ({"form_token": "0" * 64}, {"scope": "read:orders"}, {"state": "other"}, {"store_id": "1"},
                   {"code_challenge": "A" * 43, "code_challenge_method": "S256"}):
        error_page(install.browser.send("POST", AUTHORIZE, {**fields, **change}), 403, "forbidden")
    stranger = Browser(platform)                                    # another person's browser, with the whole form
    answer = stranger.send("POST", AUTHORIZE, fields)
    assert answer.status_code == 303 and answer.headers["Location"].startswith(AUTHORIZE)
    other = Install(platform, Owner(platform))
    other.sign_in()
    error_page(other.browser.send("POST", AUTHORIZE, fields), 403, "forbidden")
    error_page(install.browser.send("POST", AUTHORIZE, {**fields, "form_token": None}), 403, "forbidden")
    error_page(install.browser.send("POST", AUTHORIZE, {**fields, "client_id": "sx_app_" + "0" * 32}), 401,
               "invalid_client")
    body = {name: value for name, value in fields.items() if name != "form_token"}
    error_page(install.browser.send("POST", AUTHORIZE, body), 400, "validation_error")
    assert redirected(install.browser.send("POST", AUTHORIZE, fields))[1]["code"]      # the real one still does


def test_a_forged_sign_in_counts_for_nothing(platform, install):
    install.browser.open(install.address())
    fields = {**install.browser.forms.forms[0]["fields"], "identifier": install.owner.email, "password": PASSWORD}
    error_page(Browser(platform).send("POST", "/api/apps/oauth/login", fields), 403, "forbidden")
    victim = Browser(platform)
    victim.open(install.address())
    error_page(victim.send("POST", "/api/apps/oauth/login", fields), 403, "forbidden")
    error_page(install.browser.send("POST", "/api/apps/oauth/login", {**fields, "client_id": "sx_app_" + "1" * 32}), 401,
               "invalid_client")
    error_page(install.browser.send("POST", "/api/apps/oauth/login", {**fields, "redirect_uri": "https://evil.example/"}),
               400, "invalid_redirect_uri")


def test_only_forms_are_taken_there(install):
    install.ask()
    form = install.browser.forms.forms[0]["fields"]
    answer = install.platform.post(AUTHORIZE, {**form, "decision": "install"})
    error_page(answer, 415, "unsupported_media_type")


def test_use_another_account(install):
    install.ask()
    cookie = install.browser.cookies["sx_oauth"]
    page = install.browser.submit("switch")
    assert "Sign in" in page.text and install.browser.cookies["sx_oauth"] != cookie
    install.browser.cookies["sx_oauth"] = cookie
    assert "Sign in" in install.browser.open(install.address()).text


def test_a_session_that_ended_is_asked_again(install):
    install.ask()
    form = install.browser.page
    install.platform.call("auth.sessions.revoke", account_id=install.owner.account_id)
    install.browser.page = form
    assert "Sign in" in install.browser.submit("install").text


def test_a_store_that_was_given_away_meanwhile(install):
    install.ask()
    install.platform.postgres.rows("update auth.store set owner_account_id = %s where store_id = %s",
                                   (Owner(install.platform).account_id, install.store_id))
    error_page(install.browser.submit("install"), 404, "not_found")


# ---- whose store -----------------------------------------------------------------------------------------------------


def test_a_store_of_somebody_else(platform, install):
    foreign = Owner(platform).open_store()
    for store_id in (foreign, 999999999):
        error_page(install.ask(store_id=store_id), 404, "not_found")


def test_a_store_that_is_not_active(install):
    code = install.code()
    for status in ("frozen", "suspended"):
        install.platform.call("auth.stores.set_status", store_id=install.store_id, status=status)
        error_page(install.ask(), 403, "store_inactive")
    oauth_error(install.exchange(code), 403, "invalid_grant", "store_inactive")
    install.platform.call("auth.stores.set_status", store_id=install.store_id, status="active")
    given = tokens_of(install.exchange(code))
    install.platform.call("auth.stores.set_status", store_id=install.store_id, status="suspended")
    oauth_error(install.refresh(given["refresh_token"]), 403, "invalid_grant", "store_inactive")
    assert not install.is_active(given["access_token"])
    install.platform.call("auth.stores.set_status", store_id=install.store_id, status="active")
    assert tokens_of(install.refresh(given["refresh_token"]))


def test_members_need_the_permission(platform, install):
    helper = Owner(platform)
    token = platform.post("/api/auth/login", {"email": install.owner.email, "password": PASSWORD}).json()["data"]["token"]
    for permissions, status in ((["apps__view_webhooks"], 403), (["apps__install_apps"], 200)):
        answer = platform.post(f"/api/stores/{install.store_id}/members",
                               {"email": helper.email, "permissions": permissions}, headers={"x-auth-token": token})
        assert answer.status_code in (200, 201), answer
        browser = Browser(platform)
        assert install.sign_in(browser, helper).status_code == status


# ---- what the app asks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes, error", [
    ({"state": None}, "invalid_request"), ({"scope": None}, "invalid_request"), ({"store_id": None}, "invalid_request"),
    ({"store_id": "x"}, "invalid_request"), ({"store_id": "-1"}, "invalid_request"),
    ({"store_id": "1e3"}, "invalid_request"), ({"store_id": "9" * 20}, "invalid_request"),
    ({"scope": "read:everything"}, "invalid_scope"), ({"scope": "read:orders,write:orders"}, "invalid_scope"),
    ({"scope": ", ,"}, "invalid_scope"), ({"response_type": "token"}, "unsupported_response_type"),
    ({"state": "caf\u00e9"}, "invalid_request"), ({"code_challenge": "A" * 43}, "invalid_request"),
    ({"code_challenge": "A" * 43, "code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge": "A" * 42, "code_challenge_method": "S256"}, "invalid_request"),
    ({"code_challenge": "A" * 42 + "=", "code_challenge_method": "S256"}, "invalid_request"),
    ({"code_challenge_method": "S256"}, "invalid_request"),
])
def test_mistakes_go_to_the_app_once_the_merchant_has_signed_in(install, changes, error):
    page = install.browser.open(install.address(**changes))
    assert page.status_code == 200 and "Sign in" in page.text       # no redirect for whoever clicked a link
    answer = install.browser.submit(identifier=install.owner.email, password=PASSWORD)
    place, fields = redirected(answer)
    assert place == CALLBACK and fields["error"] == error and fields["error_description"]
    assert fields.get("state") == changes.get("state", "xyz 1&2") or error == "invalid_request"
    assert fields["iss"] == install.platform.url()


def test_both_spellings_of_scopes(install):
    for scope in ("read:orders read:store", "read_orders,read_store", "read:store,,read:orders"):
        page = install.ask(scope=scope)
        assert page.status_code == 200 and "See your orders" in page.text and "See your store" in page.text


@pytest.mark.parametrize("client_id", [None, "", "sx_app_" + "0" * 32, "x", "sx_app_%", "' or 1=1 --", "\u0000"])
def test_an_unknown_app_is_a_page(install, client_id):
    answer = install.browser.open(install.address(client_id=client_id))
    assert answer.status_code in (400, 401) and answer.headers["Content-Type"].startswith("text/html")


def test_an_app_switched_off_is_a_page(install):
    install.platform.call("auth.apps.set_status", app_id=install.app["app_id"], is_active=False)
    error_page(install.browser.open(install.address()), 401, "invalid_client")
    install.platform.call("auth.apps.set_status", app_id=install.app["app_id"], is_active=True)


@pytest.mark.parametrize("redirect_uri", [
    None, "", "https://evil.example/callback", "http://app.example/callback", "https://app.example/callback/",
    "https://app.example/callback/../evil", "https://app.example/callback?x=1", "https://app.example/callback#",
    "https://app.example/callback#@evil.example", "https://app.example@evil.example/callback",
    "https://user@app.example/callback", "https://app.example.evil.example/callback", "https://app.example/Callback",
    "HTTPS://APP.EXAMPLE/callback", "https://app.example:443/callback", "https://app.example//callback",
    "https://app.example/%63allback", "https://app.example\\@evil.example/callback", "//app.example/callback",
    "https://xn--pp-vka.example/callback", "https://\u0430pp.example/callback", "https://app.example/callback ",
    " https://app.example/callback", "https://app.example/callback\r\nSet-Cookie: a=b", "javascript:alert(1)",
    "data:text/html,x", "https:app.example/callback", "https://app.example/callback%00", "/callback", "*",
])
def test_a_redirect_that_is_not_registered_is_a_page(install, redirect_uri):
    answer = install.browser.open(install.address(redirect_uri=redirect_uri))
    assert answer.status_code == 400 and "Location" not in answer.headers, answer
    assert answer.headers["Content-Type"].startswith("text/html") and "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("redirect_uri", [
    "https://user:secret@app.example/", "https://app.example/#fragment", "ftp://app.example/", "https://",
    "https://app.example\\evil/", "https://app.example/a b", "https:///path",
])
def test_a_dangerous_redirect_is_refused_although_registered(platform, owner, redirect_uri):
    install = Install(platform, owner)
    platform.postgres.rows("update auth.app set redirect_urls = jsonb_build_array(%s::text) where app_id = %s",
                           (redirect_uri, install.app["app_id"]))
    error_page(install.browser.open(install.address(redirect_uri=redirect_uri)), 400, "invalid_redirect_uri")


def test_without_tls_only_on_the_apps_own_machine(make_platform):
    platform = make_platform(settings={"SX_DEV": "0", "SX_CLOCK_FILE": ""})
    there = ["http://localhost:3000/cb", "http://127.0.0.1/cb", "http://[::1]:3000/cb", "https://app.example/cb"]
    away = ["http://app.example/cb", "http://localhost.evil.example/cb", "http://127.0.0.1.evil.example/cb"]
    install = Install(platform, Owner(platform), redirect_urls=there + away)
    for redirect_uri in there:
        assert install.browser.open(install.address(redirect_uri=redirect_uri)).status_code == 200
    for redirect_uri in away:
        error_page(install.browser.open(install.address(redirect_uri=redirect_uri)), 400, "invalid_redirect_uri")


def test_a_redirect_with_a_fragment_is_not_registered(platform, owner):
    """RFC 6749, 3.1.2."""
    with pytest.raises(RpcError) as error:
        Install(platform, owner, redirect_urls=(CALLBACK, "https://app.example/cb#there"))
    assert (error.value.code, error.value.errors[0]["field"]) == ("validation_error", "redirect_urls[1]")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencodedx", "application/x-www-form-urlencoded-2"])
def test_other_content_types_are_told_both_that_are_taken(platform, kind):
    error = oauth_error(platform.post(TOKEN, body="grant_type=refresh_token", headers={"Content-Type": kind}), 415,
                        "invalid_request", "unsupported_media_type")
    assert "application/json" in error["message"] and "application/x-www-form-urlencoded" in error["message"]


def test_a_name_on_a_page_stands_by_itself(platform):
    """Whatever direction it is written in, what stands around it stays where it is."""
    owner = Owner(platform)
    install = Install(platform, owner, developer_name="Karim & \u0633")
    platform.postgres.rows("update auth.app set name = %s where app_id = %s",
                           ("\u0645\u062a\u062c\u0631<b>", install.app["app_id"]))
    page = install.browser.open(install.address()).text
    assert "<bdi>\u0645\u062a\u062c\u0631&lt;b&gt;</bdi> asks for access" in page
    install.sign_in()
    page = install.browser.open(install.address()).text
    assert "<h1>Install <bdi>\u0645\u062a\u062c\u0631&lt;b&gt;</bdi>?</h1>" in page and "<b>" not in page
    assert "<title>Install \u0645\u062a\u062c\u0631&lt;b&gt;?</title>" in page
    assert "Made by <bdi>Karim &amp; \u0633</bdi>" in page and page.count("<bdi>") == 4


def test_without_a_public_address_the_operator_is_warned(make_platform):
    """Outside development the issuer would be whatever Host a client sends."""
    def warned(platform):
        return [line["event"] for line in platform["gateway-1"].log_lines()].count("no_public_url")

    assert warned(make_platform(settings={"SX_DEV": "0", "SX_CLOCK_FILE": ""})) == 1
    assert warned(make_platform(settings={"SX_DEV": "0", "SX_CLOCK_FILE": "",
                                          "SX_PUBLIC_URL": "https://api.example.com"})) == 0
    assert warned(make_platform()) == 0


def test_a_custom_app_is_not_installed_this_way(platform, owner):
    install = Install(platform, owner, type="custom")
    error_page(install.browser.open(install.address()), 401, "invalid_client")


def test_a_redirect_keeps_its_own_query(platform, owner):
    install = Install(platform, owner, redirect_urls=("https://app.example/cb?tenant=7", "https://app.example/other"))
    install.ask()
    answer = install.browser.submit("install")
    assert answer.headers["Location"].startswith("https://app.example/cb?tenant=7&code=sx_ac_")
    code = redirected(answer)[1]["code"]
    oauth_error(install.token(grant_type="authorization_code", code=code, redirect_uri="https://app.example/other"), 400,
                "invalid_grant")
    assert tokens_of(install.exchange(code))


def test_a_parameter_given_twice_is_a_page(install):
    for name, value in (("redirect_uri", CALLBACK), ("state", "b"), ("client_id", install.app["client_id"]), ("scope", "x")):
        error_page(install.browser.open(f"{install.address()}&{urlencode({name: value})}"), 400, "validation_error")


def test_a_parameter_too_long_is_a_page(install):
    for name in ("redirect_uri", "state", "client_id", "scope", "store_id", "code_challenge"):
        error_page(install.browser.open(install.address(**{name: "a" * 1025})), 400, "validation_error")


# ---- codes -----------------------------------------------------------------------------------------------------------


def test_a_code_works_once_and_its_second_use_takes_back_what_the_first_gave(install):
    code = install.code()
    given = tokens_of(install.exchange(code))
    assert install.works(given["access_token"])
    oauth_error(install.exchange(code), 400, "invalid_grant")
    assert not install.works(given["access_token"])
    oauth_error(install.refresh(given["refresh_token"]), 400, "invalid_grant")
    renewed = tokens_of(install.exchange())
    oauth_error(install.exchange(code), 400, "invalid_grant")
    assert install.works(renewed["access_token"])                   # of a later install it takes back nothing


def test_one_code_brought_by_many_at_once_gives_one_pair_at_most(install):
    code = install.code()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: install.exchange(code), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + 15 * [400]
    given = next(answer.json()["data"] for answer in answers if answer.status_code == 200)
    assert not install.works(given["access_token"])


def test_a_code_of_another_app(platform, install, owner):
    code, thief = install.code(), Install(platform, owner)
    oauth_error(thief.exchange(code), 400, "invalid_grant")
    assert install.works(tokens_of(install.exchange(code))["access_token"])
    oauth_error(thief.exchange(code), 400, "invalid_grant")         # and nor can it take anything back
    assert install.is_active(tokens_of(install.exchange())["access_token"])


@pytest.mark.parametrize("code", ["x", "sx_ac_" + "0" * 64, "sx_ac_", "' --", "\u00e9", "0" * 255])
def test_a_code_that_is_none(install, code):
    oauth_error(install.exchange(code), 400, "invalid_grant")


def test_a_code_lives_sixty_seconds(make_platform):
    platform = make_platform()
    install = Install(platform, Owner(platform))
    late, early = install.code(), install.code()
    platform.set_clock(50)
    tokens_of(install.exchange(early))
    platform.set_clock(61)
    oauth_error(install.exchange(late), 400, "invalid_grant")


def uninstall(install, installation_id):
    signed_in = install.platform.post("/api/auth/login", {"email": install.owner.email, "password": PASSWORD})
    answer = install.platform.post(f"/api/apps/installations/{installation_id}/uninstall",
                                   headers={"x-auth-token": signed_in.json()["data"]["token"]})
    assert answer.status_code == 200, answer


def test_a_code_from_before_an_uninstall_installs_nothing(install):
    used, kept = install.code(), install.code()
    given = tokens_of(install.exchange(used))
    uninstall(install, given["installation_id"])
    oauth_error(install.exchange(kept), 400, "invalid_grant")
    status = "select status = 'active' from auth.installation where installation_id = %s"
    assert install.platform.postgres.rows(status, (given["installation_id"],)) == [(False,)]
    again = tokens_of(install.exchange())
    oauth_error(install.exchange(kept), 400, "invalid_grant")       # nor after a reinstall
    assert install.works(again["access_token"])


def test_an_older_consent_does_not_replace_a_newer_one(install):
    wide, narrow, last = install.code(), install.code(scope="read:store"), install.code(scope="read:store")
    given = tokens_of(install.exchange(narrow))
    oauth_error(install.exchange(wide), 400, "invalid_grant")
    assert install.works(given["access_token"]) and given["scope"] == "read:store"
    assert tokens_of(install.exchange(last))["scope"] == "read:store"


@pytest.mark.parametrize("how", ["removed", "lost the permission", "disabled"])
def test_a_code_of_somebody_who_may_install_no_more(platform, install, how):
    owner, helper = install.owner, Owner(platform)
    token = platform.post("/api/auth/login", {"email": owner.email, "password": PASSWORD}).json()["data"]["token"]
    headers, members = {"x-auth-token": token}, f"/api/stores/{install.store_id}/members"

    def allow(*permissions):
        answer = platform.post(members, {"email": helper.email, "permissions": permissions}, headers=headers)
        assert answer.status_code in (200, 201), answer

    allow("apps__install_apps", "apps__manage_apps")
    install.owner = helper
    tokens_of(install.exchange())
    code = install.code()
    if how == "removed":
        answer = platform.request("DELETE", f"{members}/{helper.account_id}", headers=headers)
        assert answer.status_code == 200, answer
    elif how == "disabled":
        platform.call("auth.accounts.set_status", account_id=helper.account_id, status="disabled")
    else:
        allow("apps__manage_apps")
    oauth_error(install.exchange(code), 400, "invalid_grant")


def test_a_code_goes_only_with_its_redirect(install):
    code = install.code()
    for redirect_uri in (None, "", "https://app.example/callback/", "https://evil.example/"):
        fields = {"redirect_uri": redirect_uri} if redirect_uri else {}
        oauth_error(install.token(grant_type="authorization_code", code=code, **fields), 400, "invalid_grant")
    assert tokens_of(install.exchange(code))


def test_pkce(install):
    verifier = "v" * 43
    asked = {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256", "response_type": "code"}
    code = install.code(**asked)
    for wrong in (None, "w" * 43, verifier + "v", "v" * 42, challenge_of(verifier)):
        oauth_error(install.exchange(code, **({"code_verifier": wrong} if wrong else {})), 400, "invalid_grant")
    assert tokens_of(install.exchange(code, code_verifier=verifier))
    oauth_error(install.exchange(install.code(), code_verifier=verifier), 400, "invalid_grant")     # no downgrade


# ---- the token endpoint ----------------------------------------------------------------------------------------------


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


def test_the_token_endpoint_has_its_own_limit(make_platform):
    platform = make_platform(settings={"SX_RATE_TOKEN": "3/60"})
    for _ in range(3):
        oauth_error(platform.post(TOKEN, {"grant_type": "x"}), 401, "invalid_client")
    answer = platform.post(TOKEN, {"grant_type": "x"})
    oauth_error(answer, 429, "temporarily_unavailable", "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0 and answer.headers["RateLimit-Limit"] == "3"


# ---- rotation --------------------------------------------------------------------------------------------------------


def test_a_lost_answer_does_not_cost_the_install(install):
    first = tokens_of(install.exchange())
    lost = tokens_of(install.refresh(first["refresh_token"]))
    again = tokens_of(install.refresh(first["refresh_token"]))
    assert install.works(again["access_token"]) and not install.works(lost["access_token"])
    oauth_error(install.refresh(lost["refresh_token"]), 400, "invalid_grant")
    assert tokens_of(install.refresh(again["refresh_token"]))


def test_a_refresh_token_whose_successor_was_used_ends_the_grant(install):
    first = tokens_of(install.exchange())
    second = tokens_of(install.refresh(first["refresh_token"]))
    third = tokens_of(install.refresh(second["refresh_token"]))
    assert install.works(third["access_token"])
    oauth_error(install.refresh(first["refresh_token"]), 400, "invalid_grant")
    for given in (first, second, third):
        assert not install.works(given["access_token"])
        oauth_error(install.refresh(given["refresh_token"]), 400, "invalid_grant")


def test_a_refresh_token_used_again_after_sixty_seconds_ends_the_grant(make_platform):
    platform = make_platform()
    install = Install(platform, Owner(platform))
    first = tokens_of(install.exchange())
    tokens_of(install.refresh(first["refresh_token"]))
    platform.set_clock(59)
    second = tokens_of(install.refresh(first["refresh_token"]))
    platform.set_clock(62)
    oauth_error(install.refresh(first["refresh_token"]), 400, "invalid_grant")
    assert not install.works(second["access_token"])
    third = tokens_of(install.exchange())
    platform.set_clock(62 + 30 * 86400 + 1)
    oauth_error(install.refresh(third["refresh_token"]), 400, "invalid_grant")


@pytest.mark.parametrize("gateways", [1, 2])
def test_after_a_race_exactly_one_pair_lives(make_platform, gateways):
    platform = make_platform(gateways=gateways, services={"auth": 2, "store-data": 1})
    install = Install(platform, Owner(platform))
    first = tokens_of(install.exchange())
    body = {**install.credentials, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}

    def once(number):
        return platform.post(TOKEN, body, gateway=number % gateways + 1)

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(once, range(64)))
    given = [tokens_of(answer) for answer in answers if answer.status_code == 200]
    assert given and {answer.status_code for answer in answers} <= {200, 503}
    alive = [pair for pair in given if install.works(pair["access_token"])]
    assert len(alive) == 1 and [pair for pair in given if install.is_active(pair["refresh_token"])] == alive
    for pair in given:
        if pair not in alive:
            oauth_error(install.refresh(pair["refresh_token"]), 400, "invalid_grant")
    assert tokens_of(install.refresh(alive[0]["refresh_token"]))


def test_scopes_do_not_grow_by_a_refresh(install):
    given = tokens_of(install.exchange(install.code(scope="read:orders")))
    assert given["scope"] == "read:orders"
    for scope in ("read:orders read:store", "write:orders", "read:everything", "read_store"):
        oauth_error(install.refresh(given["refresh_token"], scope=scope), 400, "invalid_scope")
    assert tokens_of(install.refresh(given["refresh_token"], scope="read_orders"))["scopes"] == ["read:orders"]


def test_a_refresh_token_of_another_app(platform, install, owner):
    given, thief = tokens_of(install.exchange()), Install(platform, owner)
    oauth_error(thief.refresh(given["refresh_token"]), 400, "invalid_grant")
    oauth_error(install.refresh(given["access_token"]), 400, "invalid_grant")       # an access token is none
    assert tokens_of(install.refresh(given["refresh_token"]))


def test_nothing_of_an_ended_installation(install):
    given, code = tokens_of(install.exchange()), install.code()
    install.platform.call("auth.installations.end", installation_id=given["installation_id"])
    oauth_error(install.refresh(given["refresh_token"]), 400, "invalid_grant")
    assert not install.is_active(given["access_token"]) and not install.works(given["access_token"])
    oauth_error(install.exchange(code), 400, "invalid_grant")       # consent was given before the end
    again = tokens_of(install.exchange())
    assert again["installation_id"] == given["installation_id"]
    oauth_error(install.refresh(given["refresh_token"]), 400, "invalid_grant")


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


def test_introspection(platform, install, owner):
    given, stranger = tokens_of(install.exchange()), Install(platform, owner)
    assert install.is_active(given["access_token"]) and install.is_active(given["refresh_token"])
    for token in (given["access_token"], given["refresh_token"], "x", "sx_at_" + "0" * 64, "\u00e9"):
        answer = platform.post(INTROSPECT, {**stranger.credentials, "token": token})
        assert answer.json() == {"active": False, "data": {"active": False}, "status": 200}
    tokens_of(install.refresh(given["refresh_token"]))
    assert not install.is_active(given["refresh_token"])            # used
    oauth_error(platform.post(INTROSPECT, install.credentials), 400, "invalid_request", "validation_error")


def test_unknown_paths_there_are_errors_of_the_platform(platform):
    refused(platform.get("/api/apps/oauth/nothing"), 404, "not_found")
    assert platform.get(TOKEN).status_code == 405

"""The consent page: who sees it, what it asks, where it sends the merchant (contract A.1, C.1; RFC 6749, 4.1.1; RFC 9207)."""

import json
from urllib.parse import urlencode

import pytest

from .browser import Browser, redirected
from .credentials import refused
from .oauth import AUTHORIZE, CALLBACK, TOKEN, Install
from .oauth_answers import error_page, oauth_error, tokens_of
from .rpc import RpcError
from .shop import PASSWORD, Owner


def test_cancel_tells_the_app(install):
    install.ask()
    place, fields = redirected(install.browser.submit("cancel"))
    assert place == CALLBACK and fields["error"] == "access_denied" and fields["state"] == "xyz 1&2"
    rows = install.platform.postgres.rows("select count(*) from auth.oauth_code where store_id = %s", (install.store_id,))
    assert rows == [(0,)]


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


# ---- signing in and consent ------------------------------------------------------------------------------------------


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


def test_the_second_of_two_tabs_goes_on(platform, install):
    """Signed in by the first tab, the second one's form has lost its cookie; it goes back to what its tab asked for."""
    browser = install.browser
    browser.open(install.address(state="first"))
    first = browser.forms.forms[0]
    browser.open(install.address(state="second"))
    second = browser.forms.forms[0]
    filled = {"identifier": install.owner.email, "password": PASSWORD}
    assert browser.open(first["action"], {**first["fields"], **filled}, "POST").status_code == 200
    cookie = browser.cookies["sx_oauth"]
    stranger = Owner(platform)
    filled = {"identifier": stranger.email, "password": PASSWORD}     # counts for nothing: nobody else is signed in
    answer = browser.open(second["action"], {**second["fields"], **filled}, "POST")
    assert answer.status_code == 200 and browser.cookies["sx_oauth"] == cookie
    assert install.owner.email in answer.text and stranger.email not in answer.text
    assert redirected(browser.submit("install"))[1]["state"] == "second"


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


# ---- whose store -----------------------------------------------------------------------------------------------------


def test_a_store_that_was_given_away_meanwhile(install):
    install.ask()
    install.platform.postgres.rows("update auth.store set owner_account_id = %s where store_id = %s",
                                   (Owner(install.platform).account_id, install.store_id))
    error_page(install.browser.submit("install"), 404, "not_found")


def test_a_store_of_somebody_else(platform, install):
    foreign = Owner(platform).open_store()
    for store_id in (foreign, 999999999):
        error_page(install.ask(store_id=store_id), 404, "not_found")


def test_a_store_that_is_not_active(install):
    code = install.code()
    for status in ("frozen", "suspended"):
        install.platform.call("auth.stores.set_status", store_id=install.store_id, status=status)
        error_page(install.ask(), 403, "store_inactive")
    oauth_error(install.exchange(code), 403, "temporarily_unavailable", "store_inactive")   # no reason to drop a grant
    install.platform.call("auth.stores.set_status", store_id=install.store_id, status="active")
    given = tokens_of(install.exchange(code))
    install.platform.call("auth.stores.set_status", store_id=install.store_id, status="suspended")
    oauth_error(install.refresh(given["refresh_token"]), 403, "temporarily_unavailable", "store_inactive")
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


def test_a_custom_app_is_not_installed_this_way(platform, owner):
    install = Install(platform, owner, type="custom")
    error_page(install.browser.open(install.address()), 401, "invalid_client")


def test_a_parameter_given_twice_is_a_page(install):
    for name, value in (("redirect_uri", CALLBACK), ("state", "b"), ("client_id", install.app["client_id"]), ("scope", "x")):
        error_page(install.browser.open(f"{install.address()}&{urlencode({name: value})}"), 400, "validation_error")


def test_a_parameter_too_long_is_a_page(install):
    for name in ("redirect_uri", "state", "client_id", "scope", "store_id", "code_challenge"):
        error_page(install.browser.open(install.address(**{name: "a" * 1025})), 400, "validation_error")


# ---- where the answer goes -------------------------------------------------------------------------------------------


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
    install = Install(platform, Owner(platform), redirect_urls=there)
    for redirect_uri in away:
        with pytest.raises(RpcError) as error:
            Install(platform, install.owner, redirect_urls=[CALLBACK, redirect_uri])
        [wrong] = error.value.errors
        assert (error.value.code, wrong["field"]) == ("validation_error", "redirect_urls[1]") and "localhost" in wrong["message"]
    platform.postgres.rows("update auth.app set redirect_urls = %s where app_id = %s",
                           (json.dumps(there + away), install.app["app_id"]))       # from before the rule
    for redirect_uri in there:
        assert install.browser.open(install.address(redirect_uri=redirect_uri)).status_code == 200
    for redirect_uri in away:
        error_page(install.browser.open(install.address(redirect_uri=redirect_uri)), 400, "invalid_redirect_uri")


@pytest.mark.parametrize("redirect_uri", [
    "https://user:secret@app.example/", "ftp://app.example/", "https://app.example\\evil/", "https:///path",
    "https://app.example/cb?code=1", "https://app.example/cb?a=b&state=", "https://app.example/cb?c%6Fde=1",
    "https://app.example/cb?iss", "https://app.example/cb?error=x",
])
def test_what_could_not_be_used_is_not_registered(platform, owner, redirect_uri):
    with pytest.raises(RpcError) as error:
        Install(platform, owner, redirect_urls=(CALLBACK, redirect_uri))
    assert (error.value.code, error.value.errors[0]["field"]) == ("validation_error", "redirect_urls[1]")
    install = Install(platform, owner)
    platform.postgres.rows("update auth.app set redirect_urls = jsonb_build_array(%s::text) where app_id = %s",
                           (redirect_uri, install.app["app_id"]))
    error_page(install.browser.open(install.address(redirect_uri=redirect_uri)), 400, "invalid_redirect_uri")
    kept = "https://app.example/cb?encode=1&codes=2&x=state"
    assert Install(platform, owner, redirect_urls=(kept,)).ask(redirect_uri=kept).status_code == 200


def test_a_redirect_with_a_fragment_is_not_registered(platform, owner):
    """RFC 6749, 3.1.2."""
    with pytest.raises(RpcError) as error:
        Install(platform, owner, redirect_urls=(CALLBACK, "https://app.example/cb#there"))
    assert (error.value.code, error.value.errors[0]["field"]) == ("validation_error", "redirect_urls[1]")


def test_a_redirect_keeps_its_own_query(platform, owner):
    install = Install(platform, owner, redirect_urls=("https://app.example/cb?tenant=7", "https://app.example/other"))
    install.ask()
    answer = install.browser.submit("install")
    assert answer.headers["Location"].startswith("https://app.example/cb?tenant=7&code=sx_ac_")
    code = redirected(answer)[1]["code"]
    oauth_error(install.token(grant_type="authorization_code", code=code, redirect_uri="https://app.example/other"), 400,
                "invalid_grant")
    assert tokens_of(install.exchange(code))

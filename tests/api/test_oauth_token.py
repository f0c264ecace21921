"""Codes and refresh tokens become tokens, and how all of them end (contract C.1, K.2; RFC 6749, 4.1.3 and 6; RFC 7636)."""

import concurrent.futures

import pytest

from .browser import redirected
from .oauth import CALLBACK, REVOKE, TOKEN, Install, challenge_of
from .oauth_answers import oauth_error, tokens_of
from .shop import PASSWORD, Owner


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
    topics = install.platform.postgres.rows("select topic from seen_auth.outbox where store_id = %s", (install.store_id,))
    assert ("app.installed",) in topics


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


def test_an_older_access_token_runs_out_by_itself(make_platform):
    """A refresh takes nothing from the pair before but its refresh token; who wants more gives the access token back."""
    platform = make_platform(gateways=2)
    install = Install(platform, Owner(platform))
    first = tokens_of(install.exchange())
    platform.set_clock(12 * 3600)
    second = tokens_of(install.refresh(first["refresh_token"]))
    third = tokens_of(install.refresh(second["refresh_token"]))
    assert [install.works(pair["access_token"]) for pair in (first, second, third)] == [True, True, True]
    assert [install.is_active(pair["refresh_token"]) for pair in (first, second, third)] == [False, False, True]
    answer = platform.post(REVOKE, {**install.credentials, "token": second["access_token"]})
    assert answer.status_code == 200, answer
    assert [install.works(pair["access_token"]) for pair in (first, second, third)] == [True, False, True]
    platform.set_clock(24 * 3600 + 2)
    assert [install.works(pair["access_token"]) for pair in (first, second, third)] == [False, False, True]


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

"""The exchange of an app's credentials, by whoever develops it, and when each was last used (issue 3, contract A.7)."""

import concurrent.futures
import time

import pytest

from .credentials import STORE, accepted, bearer, refused, session_token
from .locks import transaction, wait_for
from .rpc import RpcError
from .shop import PASSWORD, Owner

HOUR = 3600


@pytest.fixture
def app(platform, merchant):
    """An app of the merchant's own on a store of theirs, and requests about it."""
    return App(platform, merchant, merchant.open_shop())


class App:
    def __init__(self, platform, account, shop):
        self.platform, self.account, self.shop = platform, account, shop
        self.path = f"/api/apps/{shop.app_id}"

    def ask(self, method, leaf, body=None, token=None):
        return self.platform.request(method, f"{self.path}/{leaf}", json_body=body,
                                     headers={"x-auth-token": token or self.account.token})

    def rotate(self, **body):
        return accepted(self.ask("POST", "rotate-secret", body or None))

    def get(self, secret):
        return self.platform.get(STORE, headers={**self.shop.client, "X-Client-Secret": secret})


def test_the_old_secret_dies_at_once(app):
    assert app.get(app.shop.client_secret).status_code == 200
    fresh = app.rotate()
    assert fresh["previous_secret_expires_at"] is None
    refused(app.get(app.shop.client_secret), 401, "invalid_client")
    assert app.get(fresh["client_secret"]).status_code == 200
    assert app.platform.get(STORE, headers=app.shop.bearer).status_code == 200
    second = app.rotate(overlap_hours=0)
    refused(app.get(fresh["client_secret"]), 401, "invalid_client")
    assert app.get(second["client_secret"]).status_code == 200


def test_an_overlap_keeps_the_old_secret_for_its_hours(make_platform):
    platform = make_platform()
    account = Owner(platform)
    account.token = accepted(platform.post("/api/auth/login", {"email": account.email, "password": PASSWORD}))["token"]
    app = App(platform, account, account.open_shop())
    assert app.get(app.shop.client_secret).status_code == 200
    fresh = app.rotate(overlap_hours=2)
    assert fresh["previous_secret_expires_at"] is not None
    for _ in range(3):                                # from the gateway's cache as well
        assert app.get(app.shop.client_secret).status_code == 200
        assert app.get(fresh["client_secret"]).status_code == 200
    view = accepted(app.ask("GET", "credentials"))
    assert view["previous_secret_expires_at"] == fresh["previous_secret_expires_at"]
    platform.set_clock(2 * HOUR - 60)
    assert app.get(app.shop.client_secret).status_code == 200
    platform.set_clock(2 * HOUR + 60)                 # with no call in between
    refused(app.get(app.shop.client_secret), 401, "invalid_client")
    assert app.get(fresh["client_secret"]).status_code == 200
    view = accepted(app.ask("GET", "credentials"))
    assert view["previous_secret_expires_at"] is None and view["previous_secret_last_used_at"] is None


def test_at_most_two_secrets_live(app):
    first = app.shop.client_secret
    second = app.rotate(overlap_hours=5)["client_secret"]
    assert app.get(first).status_code == app.get(second).status_code == 200
    third = app.rotate(overlap_hours=5)["client_secret"]
    refused(app.get(first), 401, "invalid_client")
    assert app.get(second).status_code == app.get(third).status_code == 200
    fourth = app.rotate()["client_secret"]            # all at once, the overlap of before included
    for old in (first, second, third):
        refused(app.get(old), 401, "invalid_client")
    assert app.get(fourth).status_code == 200


def test_after_a_lost_answer_the_secret_in_use_stays(make_platform):
    """The secret that nobody saw is replaced; the one the app still works with is kept, as long as it is asked for."""
    platform = make_platform()
    account = Owner(platform)
    account.token = accepted(platform.post("/api/auth/login", {"email": account.email, "password": PASSWORD}))["token"]
    app = App(platform, account, account.open_shop())
    first = app.shop.client_secret
    lost = app.rotate(overlap_hours=2)["client_secret"]
    again = app.rotate(overlap_hours=3)["client_secret"]
    third = app.rotate(overlap_hours=3)["client_secret"]
    assert app.get(first).status_code == app.get(third).status_code == 200
    for unseen in (lost, again):
        refused(app.get(unseen), 401, "invalid_client")
    fourth = app.rotate(overlap_hours=3)["client_secret"]   # the third has been used: now the first one goes
    refused(app.get(first), 401, "invalid_client")
    assert app.get(third).status_code == 200
    platform.set_clock(3 * HOUR + 60)
    refused(app.get(third), 401, "invalid_client")
    fifth = app.rotate(overlap_hours=1)["client_secret"]    # the overlap is over: the fourth stays, unused as it is
    assert app.get(fourth).status_code == app.get(fifth).status_code == 200
    sixth = app.rotate(overlap_hours=1)["client_secret"]
    assert app.rotate()["previous_secret_expires_at"] is None   # without an overlap everything older dies
    for old in (fourth, fifth, sixth):
        refused(app.get(old), 401, "invalid_client")


def test_a_use_at_the_token_endpoint_counts_for_a_rotation(platform, app):
    first = app.shop.client_secret
    second = app.rotate(overlap_hours=1)["client_secret"]
    body = {"client_id": app.shop.client_id, "client_secret": second, "token": "x"}
    assert platform.post("/api/apps/oauth/introspect", body).status_code == 200
    app.rotate(overlap_hours=1)
    assert app.get(second).status_code == 200
    refused(app.get(first), 401, "invalid_client")


def test_a_misspelt_overlap_is_refused(platform, app):
    for body in ({"overlap_hour": 24}, {"overlapHours": 24}, {"overlap_hours": 1, "x": 1}):
        refused(app.ask("POST", "rotate-secret", body), 400, "validation_error")
        with pytest.raises(RpcError):
            platform.call("auth.apps.rotate_secret", app_id=app.shop.app_id, **body)
    assert app.get(app.shop.client_secret).status_code == 200


def test_an_overlap_may_stand_in_the_query(app):
    fresh = accepted(app.ask("POST", "rotate-secret?overlap_hours=1"))
    assert fresh["previous_secret_expires_at"] is not None
    assert app.get(app.shop.client_secret).status_code == app.get(fresh["client_secret"]).status_code == 200
    for query, body in (("169", None), ("x", None), ("1", {"overlap_hours": 2})):
        refused(app.ask("POST", f"rotate-secret?overlap_hours={query}", body), 400, "validation_error")
    assert app.get(fresh["client_secret"]).status_code == 200


def test_an_operator_rotates_with_an_overlap(platform, app):
    fresh = platform.call("auth.apps.rotate_secret", app_id=app.shop.app_id, overlap_hours=1)
    assert app.get(app.shop.client_secret).status_code == app.get(fresh["client_secret"]).status_code == 200
    assert platform.call("auth.apps.rotate_secret", app_id=app.shop.app_id)["previous_secret_expires_at"] is None
    refused(app.get(app.shop.client_secret), 401, "invalid_client")
    for wrong in ({"app_id": 2**62}, {"app_id": app.shop.app_id, "overlap_hours": 169}):
        with pytest.raises(RpcError):
            platform.call("auth.apps.rotate_secret", **wrong)


def test_a_new_signing_key_voids_session_tokens(platform, app):
    token = session_token(app.shop)
    assert platform.get(STORE, headers=bearer(token)).status_code == 200
    fresh = accepted(app.ask("POST", "generate-signing-key"))
    refused(platform.get(STORE, headers=bearer(token)), 401, "invalid_token")
    refused(platform.get(STORE, headers=bearer(session_token(app.shop))), 401, "invalid_token")
    again = session_token(app.shop, key=fresh["session_signing_key"])
    assert platform.get(STORE, headers=bearer(again)).status_code == 200
    assert app.get(app.shop.client_secret).status_code == 200


def test_only_its_developer_may(platform, app, owner, developer):
    stranger = accepted(platform.post("/api/auth/login", {"email": owner.email, "password": owner.password}))["token"]
    for method, leaf in (("POST", "rotate-secret"), ("POST", "generate-signing-key"), ("GET", "credentials")):
        refused(app.ask(method, leaf, token=stranger), 404, "not_found")
        refused(platform.request(method, f"{app.path}/{leaf}"), 401, "missing_token")
        refused(platform.request(method, f"{app.path}/{leaf}", headers=app.shop.bearer), 401, "missing_auth")
        refused(platform.request(method, f"{app.path}/{leaf}", headers=bearer(developer.token)), 401, "missing_auth")
        answers = [platform.request(method, f"/api/apps/{app_id}/{leaf}", headers={"x-auth-token": stranger}).json()
                   for app_id in (app.shop.app_id, 2**62)]
        assert answers[0] == answers[1]
    assert app.get(app.shop.client_secret).status_code == 200


def test_a_custom_app_is_its_stores(platform, app):
    made = platform.post("/api/apps/custom", {"store_id": app.shop.store_id, "name": "Own", "scopes": ["read:store"]},
                         headers={"x-auth-token": app.account.token}).json()["data"]
    for method, leaf in (("POST", "rotate-secret"), ("POST", "generate-signing-key"), ("GET", "credentials")):
        refused(platform.request(method, f"/api/apps/{made['app_id']}/{leaf}",
                                 headers={"x-auth-token": app.account.token}), 404, "not_found")


@pytest.mark.parametrize("hours", [-1, 169, 2**63, "1", 1.5, True, [1]])
def test_hours_that_are_none(app, hours):
    refused(app.ask("POST", "rotate-secret", {"overlap_hours": hours}), 400, "validation_error")
    assert app.get(app.shop.client_secret).status_code == 200


def test_other_bad_input(platform, app):
    for bad in ("0", "-1", "x", str(2**63)):
        for method, leaf in (("POST", "rotate-secret"), ("POST", "generate-signing-key"), ("GET", "credentials")):
            refused(platform.request(method, f"/api/apps/{bad}/{leaf}", headers={"x-auth-token": app.account.token}),
                    404, "not_found")
    answer = platform.request("POST", f"{app.path}/rotate-secret", body="{", headers={"x-auth-token": app.account.token})
    refused(answer, 400, "invalid_json")


def until(look, wanted, timeout=20):
    """Uses reach auth in batches."""
    deadline = time.monotonic() + timeout
    while not wanted(view := look()):
        assert time.monotonic() < deadline, view
        time.sleep(0.1)
    return view


def test_the_last_use_of_each_credential_is_shown(platform, app):
    look = lambda: accepted(app.ask("GET", "credentials"))
    view = look()
    assert view["secret_last_used_at"] is view["signing_key_last_used_at"] is None
    assert view["previous_secret_last_used_at"] is None
    assert app.get(app.shop.client_secret).status_code == 200
    view = until(look, lambda view: view["secret_last_used_at"])
    assert view["signing_key_last_used_at"] is None and view["secret_last_used_at"] >= view["secret_created_at"]
    platform.get(STORE, headers=bearer(session_token(app.shop)))
    until(look, lambda view: view["signing_key_last_used_at"])
    app.rotate(overlap_hours=1)
    view = look()                                     # the new one was never used, the old one was
    assert view["secret_last_used_at"] is None and view["previous_secret_last_used_at"]
    before = view["previous_secret_last_used_at"]
    assert app.get(app.shop.client_secret).status_code == 200
    view = until(look, lambda view: view["previous_secret_last_used_at"] > before)
    assert view["secret_last_used_at"] is None


def test_a_secret_in_a_body_is_used_too(platform, app):
    look = lambda: accepted(app.ask("GET", "credentials"))
    shop = app.shop
    verify = lambda secret: platform.post("/api/apps/session/verify", {
        "session_token": session_token(shop), "client_id": shop.client_id, "client_secret": secret})
    verify("sx_secret_" + "0" * 64)
    assert look()["secret_last_used_at"] is None
    assert verify(shop.client_secret).status_code == 200
    first = look()["secret_last_used_at"]
    assert first
    assert verify(shop.client_secret).status_code == 200      # kept to the minute
    assert look()["secret_last_used_at"] == first
    fresh = app.rotate(overlap_hours=1)["client_secret"]
    assert look()["previous_secret_last_used_at"] == first and look()["secret_last_used_at"] is None
    refresh = {"grant_type": "refresh_token", "client_id": shop.client_id, "refresh_token": shop.refresh_token}
    assert platform.post("/api/apps/oauth/token", {**refresh, "client_secret": fresh}).status_code == 200
    assert look()["secret_last_used_at"]


def test_the_note_of_a_secrets_use_is_locked_last(platform, app):
    """A request that waits for an installation must not hold what all requests with the app's secret write."""
    shop, use = app.shop, f"secret:{app.shop.app_id}:1"
    refresh = {"grant_type": "refresh_token", "client_id": shop.client_id, "client_secret": shop.client_secret,
               "refresh_token": shop.refresh_token}
    platform.postgres.rows("insert into auth.credential_use values (%s, now() - interval '1 hour')", (use,))
    with transaction(platform) as cursor, concurrent.futures.ThreadPoolExecutor(1) as pool:
        cursor.execute("select 1 from auth.installation where installation_id = %s for update", (shop.installation_id,))
        answer = pool.submit(platform.post, "/api/apps/oauth/token", refresh)
        wait_for(platform, 1)
        free = "select 1 from auth.credential_use where credential = %s for update skip locked"
        assert platform.postgres.rows(free, (use,)) == [(1,)]
        cursor.connection.rollback()
        assert answer.result().status_code == 200
    assert platform.postgres.rows("select 1 from auth.credential_use where credential = %s and "
                                  "last_used_at > now() - interval '30 minutes'", (use,)) == [(1,)]


def test_the_last_use_of_a_custom_apps_credentials_is_shown(platform, app):
    headers = {"x-auth-token": app.account.token}
    made = platform.post("/api/apps/custom", {"store_id": app.shop.store_id, "name": "Own", "scopes": ["read:store"]},
                         headers=headers).json()["data"]
    look = lambda: accepted(platform.get(f"/api/apps/custom?store_id={app.shop.store_id}", headers=headers))[0]
    assert look()["token_last_used_at"] is None
    assert platform.get(STORE, headers=bearer(made["access_token"])).status_code == 200
    view = until(look, lambda view: view["token_last_used_at"])
    assert view["secret_last_used_at"] is None
    answer = platform.post(f"/api/apps/custom/{made['app_id']}/regenerate-token", headers=headers)
    assert answer.status_code == 200 and look()["token_last_used_at"] is None       # a new token was never used

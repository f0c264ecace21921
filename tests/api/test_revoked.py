"""Taken back: refused from the moment the operation has answered, though the gateway had it in its cache.

tests/chaos/test_revocation.py does the same under load, with stopped gateways.
"""

import concurrent.futures
import json
import time

import pytest

from .credentials import STORE, bearer, introspect, me, refused, session_token
from .locks import transaction, wait_for
from .rpc import RpcError
from .shop import PASSWORD


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


def test_a_refresh_token_goes_with_all_it_was_given_with(platform, shop):
    platform.call("auth.tokens.revoke", token=shop.refresh_token)
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")


def test_a_refresh_under_way_does_not_outlive_the_installations_tokens(platform, shop):
    """The refresh has made its pair and not committed when all tokens of the installation are revoked."""
    fields = {"client_id": shop.client_id, "client_secret": shop.client_secret, "grant_type": "refresh_token",
              "refresh_token": shop.refresh_token}
    with transaction(platform) as cursor, concurrent.futures.ThreadPoolExecutor(2) as pool:
        cursor.execute("lock table auth.audit in exclusive mode")
        refreshed = pool.submit(platform.post, "/api/apps/oauth/token", fields)
        wait_for(platform, 1)
        revoked = pool.submit(platform.call, "auth.tokens.revoke", installation_id=shop.installation_id)
        wait_for(platform, 2)
        cursor.connection.rollback()
        answer = refreshed.result()
        assert answer.status_code == 200 and revoked.result()["revoked"] == 1, answer.text
    refused(platform.get(STORE, headers=bearer(answer.json()["access_token"])), 401, "invalid_token")
    again = platform.post("/api/apps/oauth/token", {**fields, "refresh_token": answer.json()["refresh_token"]})
    assert again.json()["error"] == "invalid_grant"


def test_an_operator_revokes_with_sxctl(platform, shop):
    assert platform.get(STORE, headers=shop.bearer).status_code == 200
    answer = platform.sxctl("call", "auth.tokens.revoke", json.dumps({"token": shop.access_token}))
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")
    assert json.loads(answer.stdout)["revoked"] == 1
    answer = platform.sxctl("call", "auth.tokens.revoke", json.dumps({"token": "sx_at_unknown"}), check=False)
    assert answer.returncode != 0 and "not_found" in answer.stdout + answer.stderr


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

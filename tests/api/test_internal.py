"""The operator's side: every internal operation, called as an operator calls it, by `sxctl call`.

What they do to those who hold credentials is looked at through the front door: the same credentials over HTTP.
"""

import os
import subprocess
import time

import pytest

from .client import is_error
from .rpc import HEADER, RpcError
from .shop import PASSWORD, Owner

ORDERS = "/api/apps/v1/orders"


@pytest.fixture
def operator(platform):
    """`operator("auth.tokens.revoke", token=...)` through the program, not through Python."""
    return platform.sxctl_call


def email():
    return f"{os.urandom(6).hex()}@shop.example"


# ---- accounts and sessions -------------------------------------------------------------------------------------------


def login(platform, address, password=PASSWORD):
    return platform.post("/api/auth/login", {"email": address, "password": password})


def test_an_account_from_birth_to_its_end(platform, operator):
    address = email()
    made = operator("auth.accounts.create", name="Rahim Uddin", email=address, password=PASSWORD)
    assert operator("auth.accounts.find", email=address.upper()) == made
    session = login(platform, address)
    assert session.status_code == 200
    token = {"x-auth-token": session.json()["data"]["token"]}
    assert platform.get("/api/auth/me", headers=token).status_code == 200

    operator("auth.accounts.set_status", account_id=made["account_id"], status="disabled")
    is_error(platform.get("/api/auth/me", headers=token), 401, "invalid_token")
    assert login(platform, address).status_code in (401, 403)

    operator("auth.accounts.set_status", account_id=made["account_id"], status="active")
    is_error(platform.get("/api/auth/me", headers=token), 401, "invalid_token")
    assert login(platform, address).status_code == 200


def test_an_address_is_taken_once(operator):
    address = email()
    operator("auth.accounts.create", name="First", email=address, password=PASSWORD)
    with pytest.raises(RpcError, match="conflict"):
        operator("auth.accounts.create", name="Second", email=address, password=PASSWORD)


def test_a_session_can_be_ended(platform, owner, operator):
    kept, ended = (login(platform, owner.email).json()["data"]["token"] for _ in range(2))
    operator("auth.sessions.revoke", token=ended)
    is_error(platform.get("/api/auth/me", headers={"x-auth-token": ended}), 401, "invalid_token")
    assert platform.get("/api/auth/me", headers={"x-auth-token": kept}).status_code == 200


# ---- apps, installations, tokens -------------------------------------------------------------------------------------


def test_a_rotated_secret_ends_the_old_one(platform, shop, operator):
    assert platform.get(ORDERS, headers=shop.client).status_code == 200
    fresh = operator("auth.apps.rotate_secret", app_id=shop.app_id)
    is_error(platform.get(ORDERS, headers=shop.client), 401, "invalid_client")
    assert platform.get(ORDERS, headers={**shop.client, "X-Client-Secret": fresh["client_secret"]}).status_code == 200


def test_a_rotated_signing_key_differs(shop, operator):
    fresh = operator("auth.apps.rotate_signing_key", app_id=shop.app_id)
    assert fresh["session_signing_key"] != shop.session_signing_key


def test_an_app_switched_off_and_on(platform, shop, operator):
    operator("auth.apps.set_status", app_id=shop.app_id, is_active=False)
    is_error(shop.get(ORDERS), 401, "invalid_token")
    is_error(platform.get(ORDERS, headers=shop.client), 401, "invalid_client")
    operator("auth.apps.set_status", app_id=shop.app_id, is_active=True)
    assert platform.get(ORDERS, headers=shop.client).status_code == 200
    found = operator("auth.apps.find", app_id=shop.app_id)
    assert (found["is_active"], found["client_id"]) == (1, shop.client_id)


def test_a_revoked_token_ends_alone(platform, shop, operator):
    other = operator("auth.tokens.issue", installation_id=shop.installation_id)["access_token"]
    operator("auth.tokens.revoke", token=shop.access_token)
    is_error(shop.get(ORDERS), 401, "invalid_token")
    assert platform.get(ORDERS, headers={"Authorization": f"Bearer {other}"}).status_code == 200


def test_an_installation_ends_and_comes_back(platform, owner, shop, operator):
    before = operator("auth.installations.get", installation_id=shop.installation_id)
    operator("auth.installations.end", installation_id=shop.installation_id)
    is_error(shop.get(ORDERS), 401, "invalid_token")
    is_error(platform.get(ORDERS, headers=shop.client), 401, "not_installed")
    again = operator("auth.installations.create", app_id=shop.app_id, store_id=shop.store_id)
    assert again["installation_id"] == shop.installation_id and again["generation"] > before["generation"]
    assert platform.get(ORDERS, headers={"Authorization": f"Bearer {again['access_token']}"}).status_code == 200
    is_error(shop.get(ORDERS), 401, "invalid_token")


# ---- stores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["suspended", "frozen"])
def test_a_store_that_is_not_active(platform, shop, operator, status):
    operator("auth.stores.set_status", store_id=shop.store_id, status=status)
    for headers in (shop.bearer, shop.client):
        is_error(platform.get(ORDERS, headers=headers), 403, "store_inactive")
    operator("auth.stores.set_status", store_id=shop.store_id, status="active")
    assert shop.get(ORDERS).status_code == 200


def test_the_stores_of_an_account(platform, operator):
    account = Owner(platform)
    opened = [account.open_store(), account.open_store()]
    stores = operator("auth.stores.list", owner_account_id=account.account_id)["stores"]
    assert [store["store_id"] for store in stores] == opened


def test_a_profile_is_made_once(shop, operator):
    profile = shop.get("/api/apps/v1/store").json()["data"]
    again = operator("store-data.stores.create", store_id=shop.store_id, name="Another name")
    assert again == profile


def test_a_filled_store_counts_right(shop, operator):
    filled = operator("store-data.stores.fill", store_id=shop.store_id, kind="demo", orders=200)
    assert filled["orders"] == 200 == shop.get(ORDERS).json()["pagination"]["total"]
    counted = operator("store-data.counts.verify", store_id=shop.store_id)
    assert counted["ok"] is True and counted["differences"] == []
    assert (counted["orders"], counted["products"]) == (filled["orders"], filled["products"])


# ---- sxctl and the RPC themselves ------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["auth", "store-data"])
def test_the_metrics_of_a_service(operator, service):
    assert "process_cpu_seconds_total" in operator(f"{service}.metrics.read")


def test_an_unknown_operation_is_an_error(platform):
    result = platform.sxctl("call", "auth.nothing.here", "{}", check=False)
    assert result.returncode != 0 and "not_found" in result.stderr


@pytest.mark.parametrize("body", [
    "{", "[]", '{"store_id": "one", "status": "active"}', '{"store_id": 1}', '{"store_id": 1, "status": "gone"}'])
def test_a_bad_request_is_refused_with_a_reason(platform, body):
    result = platform.sxctl("call", "auth.stores.set_status", body, check=False)
    assert result.returncode != 0 and result.stderr.strip()


def test_who_is_connected(platform):
    shown = platform.sxctl("who").stdout
    assert "auth" in shown and "store-data" in shown


def test_an_admin_can_be_made(platform, operator):
    address = email()
    made = operator("auth.accounts.create", name="Admin", email=address, password=PASSWORD, is_admin=True)
    assert made["is_admin"] == 1
    assert login(platform, address).status_code == 200


def test_python_speaks_the_same_rpc(platform, shop):
    """Forty lines of Python are a client of the platform (api/rpc.py)."""
    assert platform.call("auth.installations.get", installation_id=shop.installation_id)["store_id"] == shop.store_id
    with pytest.raises(RpcError) as caught:
        platform.call("auth.installations.get", installation_id=2**62)
    assert (caught.value.status, caught.value.code) == (404, "not_found")


def test_nobody_calls_what_is_not_meant_for_them(platform):
    """Counting use is the gateway's alone (x-callers)."""
    with pytest.raises(RpcError) as caught:
        platform.call("auth.usage.add", gateway_id=1, batch=1, entries=[])
    assert caught.value.status in (403, 404)


def test_the_help_lists_every_setting(platform):
    for program in ("gateway", "auth", "store-data"):
        result = subprocess.run([str(platform.home / "bin" / program), "--help"], env=platform.settings,
                                capture_output=True, text=True, check=True)
        assert all(name in result.stdout for name in ("SX_HOME", "SX_PORT", "SX_RATE_GLOBAL", "SX_IDENTITY_LEASE_MS"))


def test_a_misspelt_setting_is_refused(platform):
    result = subprocess.run([str(platform.home / "bin" / "auth")], env={**platform.settings, "SX_WORKRES": "4"},
                            capture_output=True, text=True, check=False, timeout=20)
    assert result.returncode != 0 and "SX_WORKRES" in result.stderr


def test_nothing_secret_is_logged(platform, shop):
    shop.get(ORDERS)
    platform.get(ORDERS, headers=shop.client)
    text = "".join(process.log.read_text(errors="replace") for process in platform.processes.values())
    for secret in (shop.access_token, shop.refresh_token, shop.client_secret, shop.session_signing_key, PASSWORD):
        assert secret not in text


@pytest.mark.parametrize("name", ["", ".", "orders.get\0", "orders.get\0" + "x" * 50, "auth.accounts.create\0\0", "\0", "x" * 100000])
def test_names_of_no_operation(platform, name):
    with pytest.raises(RpcError) as caught:
        platform.rpc().call(name, {})
    assert (caught.value.status, caught.value.code) == (404, "not_found")


def test_a_version_from_nowhere_is_forgotten(platform, shop):
    """An invalidation with a version that auth's database does not have: the gateway believes auth again within a second."""
    platform.rpc().socket.send_multipart([HEADER.pack(b"SXR1", 6, 0, 0, 1 << 62, 0, 0), b"", b"\x90"])
    deadline = time.monotonic() + 10
    while platform.get(ORDERS, headers=shop.bearer).status_code != 200:
        assert time.monotonic() < deadline, "still refused"
        time.sleep(0.1)

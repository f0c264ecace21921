"""Signing in, what an operator may get wrong, and what auth keeps and tells about secrets (contract K.2, K.6)."""

import base64
import collections
import concurrent.futures
import json
import os

import psycopg2
import pytest

from .credentials import STORE, accepted, bearer, me, refused
from .locks import transaction, wait_for
from .rpc import RpcError
from .shop import PASSWORD, Owner


# ---- login -----------------------------------------------------------------------------------------------------------


def login(platform, identifier, password, path="/api/auth/login"):
    return platform.post(path, {"identifier": identifier, "password": password})


@pytest.mark.parametrize("path, audience", [("/api/auth/login", "merchant"), ("/api/v1/auth/login", "developer")])
def test_a_sign_in_while_the_account_is_being_disabled(platform, path, audience):
    """The password was checked before, the session would begin after: it would have outlived the account."""
    account = Owner(platform, is_developer=True)
    with transaction(platform) as cursor, concurrent.futures.ThreadPoolExecutor(1) as pool:
        cursor.execute("update auth.account set status = 'disabled' where account_id = %s", (account.account_id,))
        answer = pool.submit(login, platform, account.email, PASSWORD, path)
        wait_for(platform, 1)
        cursor.connection.commit()
        refused(answer.result(), 403, "forbidden" if audience == "merchant" else "FORBIDDEN")
    assert platform.postgres.rows("select 1 from auth.session where account_id = %s and audience = %s",
                                  (account.account_id, audience)) == []


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
    wrong, unknown = ({k: v for k, v in answer.headers.items() if k not in other} for answer in (wrong, unknown))
    assert wrong == unknown


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
    platform.postgres.rows("update auth.login_failure set until = now() where failures >= 10")
    assert login(platform, email, PASSWORD).status_code == (200 if known else 401)


def test_a_full_account_does_not_show_which_names_are_its_own(platform):
    """Another name of it is neither refused in another way, nor is the right password taken."""
    phone = "+8801" + str(int.from_bytes(os.urandom(4), "big")).zfill(10)[-9:]
    email = f"two-names-{os.urandom(4).hex()}@shop.example"
    platform.call("auth.accounts.create", name="Two Names", email=email, password=PASSWORD, phone=phone)
    for _ in range(10):
        assert login(platform, email, "wrong password").status_code == 401
    refused(login(platform, email, PASSWORD), 429, "rate_limited")
    stranger = login(platform, "nobody" + phone[1:], PASSWORD)
    guess, right = login(platform, phone, "wrong password"), login(platform, phone, PASSWORD)
    assert guess.status_code == 401 and guess.json() == right.json() == stranger.json()
    for _ in range(8):
        assert login(platform, phone, "wrong password").status_code == 401
    refused(login(platform, phone, PASSWORD), 429, "rate_limited")
    platform.postgres.rows("update auth.login_failure set until = now() where failures >= 10")
    assert login(platform, phone, PASSWORD).status_code == 200


def test_parallel_guesses_are_counted_one_by_one(platform):
    """32 guesses at once: ten are checked, the rest is refused; and meanwhile other requests of auth are answered."""
    account, shop = Owner(platform), Owner(platform).open_shop()
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        guesses = [pool.submit(lambda: login(platform, account.email, "wrong password").status_code) for _ in range(32)]
        while not all(guess.done() for guess in guesses):
            refused(platform.get(STORE, headers=bearer("sx_at_" + "0" * 64)), 401, "invalid_token")     # never cached
    counts = collections.Counter(guess.result() for guess in guesses)
    assert counts[401] <= 10 and set(counts) <= {401, 429, 503}, counts
    assert platform.get(STORE, headers=shop.bearer).status_code == 200


def test_a_right_password_forgets_the_failures(platform, merchant):
    for _ in range(3):
        for _ in range(6):
            assert login(platform, merchant.email, "wrong password").status_code == 401
        assert login(platform, merchant.email, PASSWORD).status_code == 200


@pytest.mark.parametrize("body, field", [
    ({"password": PASSWORD}, "identifier"), ({"identifier": "a@b.example"}, "password"),
    ({"identifier": "ab", "password": PASSWORD}, "identifier"), ({"identifier": "a@b.example", "password": "short"}, "password"),
    ({"identifier": "a@b.example", "password": "x" * 129}, "password"),
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
    ("auth.accounts.create", {"name": "x", "email": "a@b.example", "password": PASSWORD, "username": "9x@"}, 400,
     "validation_error"),
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
    ("auth.sessions.revoke", {"account_id": 10**12}, 404, "not_found"),
    ("auth.sessions.revoke", {"token": "x"}, 404, "not_found"),
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
    app = dict(owner_account_id=owner.account_id, name="Same Name!", redirect_urls=["https://a.example/"],
               requested_scopes=["read:orders"])
    first, second = (platform.call("auth.apps.create", **app) for _ in range(2))
    assert first["slug"] != second["slug"] and second["slug"].startswith("same-name-")
    with pytest.raises(RpcError) as error:
        platform.call("auth.apps.create", **app, slug=first["slug"])
    assert (error.value.status, error.value.errors[0]["field"]) == (409, "slug")


def test_an_app_is_found_without_its_secrets(platform, owner):
    created = platform.call("auth.apps.create", owner_account_id=owner.account_id, name="Found", type="platform",
                            redirect_urls=["https://a.example/cb?x=%22&y='", "https://b.example/"],
                            requested_scopes=["billing", "read:orders"],
                            slug=f"found-{os.urandom(4).hex()}", icon="https://a.example/i.png", developer_name="Karim")
    for key in ({"app_id": created["app_id"]}, {"slug": created["slug"]}):
        found = platform.call("auth.apps.find", **key)
        assert found["redirect_urls"] == ["https://a.example/cb?x=%22&y='", "https://b.example/"]
        assert found["requested_scopes"] == "read:orders billing"
        assert (found["is_active"], found["icon"]) == (1, "https://a.example/i.png")
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
    rows = platform.postgres.rows("select actor, action from auth.audit where app_id = %s order by audit_id", (shop.app_id,))
    assert [row[1] for row in rows] == ["app.created", "app.installed", "app.secret_rotated"]
    assert {row[0] for row in rows} == {"operator"}
    for statement in ("update auth.audit set actor = 'nobody'", "delete from auth.audit", "truncate auth.audit"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            platform.postgres.rows(statement, user="auth")


def test_checks_write_nothing(platform, shop):
    """No write per request: accepted and refused checks leave every row of auth as it was, down to its xmin."""

    # By the clock, not by request; app_untold is what developer-apps is still to hear of the apps that were made before.
    batched = {"gateway", "actor_lease", "installation_usage", "usage_batch", "credential_use", "app_untold"}

    def rows():
        tables = [name for name, in platform.postgres.rows("select tablename from pg_tables where schemaname = 'auth'")]
        sql = "select md5(string_agg(t.xmin::text || t::text, ',' order by t::text)) from auth.{} t"
        return {name: platform.postgres.rows(sql.format(name)) for name in tables if name not in batched}

    before = rows()
    for _ in range(20):
        assert platform.get(STORE, headers=shop.bearer).status_code == 200
        assert platform.get(STORE, headers=shop.client).status_code == 200
        refused(platform.get(STORE, headers=bearer("sx_at_" + "0" * 64)), 401, "invalid_token")
    assert rows() == before


def test_a_process_tells_its_metrics(platform):
    assert "sx_login_accepted_total" in platform.call("auth.metrics.read")

"""People come, stay signed in and leave: registration, renewal, codes by phone (contract K.2, A.6; RFC 9700 4.14)."""

import concurrent.futures
import os
import re

import pytest

from .credentials import accepted, bearer, me, refused
from .rpc import RpcError
from .shop import PASSWORD, Owner


def fresh_email():
    return f"person-{os.urandom(6).hex()}@shop.example"


def fresh_phone():
    return f"+88018{int.from_bytes(os.urandom(4), 'big'):010d}"


def register(platform, path="/api/auth/register", **fields):
    return platform.post(path, {"name": "Rahima", "email": fresh_email(), "password": PASSWORD, **fields})


def renew(platform, token):
    return platform.post("/api/auth/refresh", {"refresh_token": token})


def renew_developer(platform, token):
    return platform.post("/api/v1/auth/refresh", {"refreshToken": token})


def developer_me(platform, token):
    return platform.get("/api/v1/auth/me", headers=bearer(token))


def signed_in(answer):
    """A developer's sign-in: HTTP says 201, the body 200."""
    body = answer.json()
    assert (answer.status_code, body["status"]) == (201, 200), answer.text
    return body["data"]


def session_of(answer):
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


# ---- registration ----------------------------------------------------------------------------------------------------


def test_a_merchant_registers_and_is_signed_in(platform):
    email, phone = fresh_email(), fresh_phone()
    data = session_of(register(platform, email=email.upper(), phone=phone))
    assert data["store"] is None and data["account"]["email"] == email and data["account"]["is_developer"] == 0
    assert re.fullmatch("sx_ms_[0-9a-f]{64}", data["token"]) and re.fullmatch("sx_mr_[0-9a-f]{64}", data["refresh_token"])
    account = accepted(me(platform, data["token"]))
    assert (account["email"], account["phone"], account["is_admin"], account["stores"]) == (email, phone, 0, [])
    for identifier in (email, phone):
        accepted(platform.post("/api/auth/login", {"identifier": identifier, "password": PASSWORD}))


def test_a_developer_registers_and_is_signed_in(platform):
    answer = register(platform, "/api/v1/auth/register")
    assert answer.status_code == 201 and answer.json()["status"] == 201 and answer.json()["message"] == "Account created"
    account = developer_me(platform, answer.json()["data"]["accessToken"]).json()["data"]
    assert account["is_developer"] == 1 and account["is_admin"] == 0 and account["name"] == "Rahima"


def test_a_merchant_becomes_a_developer_with_the_accounts_password(platform):
    email, phone = fresh_email(), fresh_phone()
    account = session_of(register(platform, email=email, phone=phone))["account"]
    taken = refused(register(platform, "/api/v1/auth/register", email=email, password="wrong password"), 409, "CONFLICT")
    answer = register(platform, "/api/v1/auth/register", email=email.upper(), name="Another Name")
    fresh = register(platform, "/api/v1/auth/register").json()
    assert (answer.status_code, answer.json()["message"], answer.json()["status"]) == (201, fresh["message"], 201)
    assert set(answer.json()["data"]) == set(fresh["data"])
    shown = developer_me(platform, answer.json()["data"]["accessToken"]).json()["data"]
    assert (shown["account_id"], shown["name"], shown["phone"], shown["is_developer"]) == (
        account["account_id"], "Rahima", phone, 1)
    signed_in(platform.post("/api/v1/auth/login", {"identifier": email, "password": PASSWORD}))
    assert refused(register(platform, "/api/v1/auth/register", email=email), 409, "CONFLICT") == taken   # is one already
    assert platform.postgres.rows("select actor_account_id from auth.audit where action = 'account.made_developer' and "
                                  "target_id = %s", (account["account_id"],)) == [(account["account_id"],)]


def test_a_developer_becomes_a_merchant_with_the_accounts_password(platform):
    email = fresh_email()
    developer = session_of(register(platform, "/api/v1/auth/register", email=email))
    account_id = developer_me(platform, developer["accessToken"]).json()["data"]["account_id"]
    refused(register(platform, email=email, password="wrong password", store_name="Not theirs"), 409, "conflict")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: register(platform, email=email, store_name="First"), range(6)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(201) == 1 and set(statuses) <= {201, 409, 503}, statuses       # one store, and not six
    [data] = [answer.json()["data"] for answer in answers if answer.status_code == 201]
    assert (data["account"]["account_id"], data["account"]["is_developer"]) == (account_id, 1)
    assert [store["store_id"] for store in accepted(me(platform, data["token"]))["stores"]] == [data["store"]["store_id"]]


@pytest.mark.parametrize("path, code", [("/api/auth/register", "conflict"), ("/api/v1/auth/register", "CONFLICT")])
def test_registering_is_no_way_around_the_lockout(platform, path, code):
    """Guesses are counted with those of signing in; that an account is locked shows no more than that it is there."""
    email = fresh_email()
    other = "/api/v1/auth/register" if code == "conflict" else "/api/auth/register"
    assert register(platform, other, email=email).status_code == 201
    for _ in range(10):
        first = refused(register(platform, path, email=email, password="wrong password"), 409, code)
    assert refused(register(platform, path, email=email), 409, code) == first
    refused(platform.post("/api/auth/login", {"identifier": email, "password": PASSWORD}), 429, "rate_limited")


@pytest.mark.parametrize("path, code", [("/api/auth/register", "forbidden"), ("/api/v1/auth/register", "FORBIDDEN")])
def test_a_disabled_account_becomes_nothing(platform, path, code):
    account = Owner(platform, is_developer=code == "forbidden")
    platform.call("auth.accounts.set_status", account_id=account.account_id, status="disabled")
    refused(register(platform, path, email=account.email), 403, code)
    assert register(platform, path, email=account.email, password="wrong password").status_code == 409


def test_what_another_account_has_is_taken(platform):
    email, phone = fresh_email(), fresh_phone()
    session_of(register(platform, email=email, phone=phone))
    for path, code in (("/api/auth/register", "conflict"), ("/api/v1/auth/register", "CONFLICT")):
        body = refused(register(platform, path, email=email.upper(), password="somebody else's"), 409, code)
        assert body["errors"][0]["field"] == "email"
        body = refused(register(platform, path, phone=phone), 409, code)
        assert body["errors"][0]["field"] == "phone"


@pytest.mark.parametrize("fields, field", [
    ({"email": "no address"}, "email"), ({"email": None}, "email"), ({"name": ""}, "name"), ({"name": "x" * 256}, "name"),
    ({"password": "short"}, "password"), ({"password": "x" * 129}, "password"), ({"password": 12345678}, "password"),
    ({"phone": "12"}, "phone"), ({"phone": "call me"}, "phone"), ({"email": "a" * 250 + "@b.example"}, "email"),
    ({"store_name": ""}, "store_name"), ({"store_name": ["x"]}, "store_name")])
def test_registrations_that_are_none(platform, fields, field):
    errors = refused(register(platform, **fields), 400, "validation_error")["errors"]
    assert field in [error["field"] for error in errors]
    if "store_name" not in fields:
        errors = refused(register(platform, "/api/v1/auth/register", **fields), 400, "VALIDATION_ERROR")["errors"]
        assert field in [error["field"] for error in errors]


DECEIVING = ["a\u202egro", "a\nb", "a\x7fb", "a\x85b", "sam\u200be", "a\u200fb", "\u2066a\u2069", "a\u2028b", "pay\u200dpal",
             "   ", "\u3000\u00a0", "\ufeffa", "\u09b0\u200d\u200d\u09af", "\u09b0\u200d"]


@pytest.mark.parametrize("name", DECEIVING)
def test_names_that_deceive(platform, name):
    """Nothing that cannot be seen, and nothing that turns the text around it."""
    [error] = refused(register(platform, name=name), 400, "validation_error")["errors"]
    assert error["field"] == "name" and "visible text" in error["message"]
    [error] = refused(register(platform, "/api/v1/auth/register", name=name), 400, "VALIDATION_ERROR")["errors"]
    assert error["field"] == "name"
    [error] = refused(register(platform, store_name=name), 400, "validation_error")["errors"]
    assert error["field"] == "store_name"
    with pytest.raises(RpcError):
        platform.call("auth.apps.create", owner_account_id=1, name=f"App {name}" if name.strip() else name,
                      redirect_urls=["https://a.example/"], requested_scopes=["read:orders"])


@pytest.mark.parametrize("name", ["\u09b0\u200d\u09cd\u09af\u09be\u09ac", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "O'Neil <b>",
                                  "\U0001f469\u200d\U0001f4bb Lab", "Zo\u00eb"])
def test_names_as_people_have_them(platform, name):
    """Also those that are spelt with joiners."""
    answer = register(platform, name=name)
    assert answer.status_code == 201 and answer.json()["data"]["account"]["name"] == name


@pytest.mark.parametrize("field", ["is_admin", "is_developer", "status", "account_id"])
def test_nobody_makes_an_admin_of_himself(platform, field):
    data = session_of(register(platform, **{field: 1}))
    assert (data["account"]["is_admin"], data["account"]["is_developer"]) == (0, 0)
    refused(register(platform, "/api/v1/auth/register", **{field: 1}), 400, "VALIDATION_ERROR")


# ---- renewal ---------------------------------------------------------------------------------------------------------


def test_a_merchants_session_is_renewed(platform):
    first = session_of(register(platform))
    second = accepted(renew(platform, first["refresh_token"]))
    assert second["account"] == first["account"] and second["expires_in"] == 86400
    refused(me(platform, first["token"]), 401, "invalid_token")
    accepted(me(platform, second["token"]))
    third = accepted(renew(platform, second["refresh_token"]))
    accepted(me(platform, third["token"]))


def test_a_spent_refresh_token_ends_the_session(platform):
    """RFC 9700 4.14.2: whoever of the two is the thief, neither goes on."""
    first = session_of(register(platform))
    second = accepted(renew(platform, first["refresh_token"]))
    third = accepted(renew(platform, second["refresh_token"]))
    accepted(me(platform, third["token"]))
    refused(renew(platform, first["refresh_token"]), 401, "invalid_token")
    for token in (first, second, third):
        refused(me(platform, token["token"]), 401, "invalid_token")
        refused(renew(platform, token["refresh_token"]), 401, "invalid_token")
    other = accepted(platform.post("/api/auth/login", {"email": first["account"]["email"], "password": PASSWORD}))
    accepted(me(platform, other["token"]))


def test_a_spent_refresh_token_ends_the_session_again(platform):
    """An earlier use may have ended it without having told the gateways, which is how it looks here."""
    first = session_of(register(platform))
    second = accepted(renew(platform, first["refresh_token"]))
    for _ in range(2):                                  # the second from the gateway's cache
        accepted(me(platform, second["token"]))
    account_id = second["account"]["account_id"]
    platform.postgres.rows("update auth.session set revoked_at = now() where account_id = %s", (account_id,))
    accepted(me(platform, second["token"]))
    for _ in range(2):
        refused(renew(platform, first["refresh_token"]), 401, "invalid_token")
        refused(me(platform, second["token"]), 401, "invalid_token")
    assert platform.postgres.rows("select count(*) from auth.audit where actor_account_id = %s and "
                                  "action = 'session.token_reused'", (account_id,)) == [(0,)]


def test_a_developers_session_is_renewed_and_ends_when_a_token_is_reused(platform):
    first = register(platform, "/api/v1/auth/register").json()["data"]
    second = signed_in(renew_developer(platform, first["refreshToken"]))
    assert developer_me(platform, second["accessToken"]).status_code == 200
    refused(renew_developer(platform, first["refreshToken"]), 401, "UNAUTHORIZED")
    refused(developer_me(platform, second["accessToken"]), 401, "UNAUTHORIZED")
    refused(renew_developer(platform, second["refreshToken"]), 401, "UNAUTHORIZED")


def test_64_renewals_at_once_leave_one_session_or_none(platform):
    """One wins, the others hold a spent token: the session ends, and what the winner got is dead as well."""
    first = session_of(register(platform))
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = [pool.submit(renew, platform, first["refresh_token"]) for _ in range(64)]
        answers = [answer.result() for answer in answers]
    won = [answer.json()["data"] for answer in answers if answer.status_code == 200]
    assert len(won) == 1 and {answer.status_code for answer in answers} <= {200, 401, 503}, answers
    refused(me(platform, won[0]["token"]), 401, "invalid_token")
    refused(renew(platform, won[0]["refresh_token"]), 401, "invalid_token")


def test_a_refresh_token_is_good_in_its_own_family_only(platform, shop):
    merchant, developer = session_of(register(platform)), register(platform, "/api/v1/auth/register").json()["data"]
    for token in (developer["refreshToken"], shop.refresh_token, merchant["token"], "sx_mr_" + "0" * 64, "'; --", "é"):
        refused(renew(platform, token), 401, "invalid_token")
    for token in (merchant["refresh_token"], shop.refresh_token, developer["accessToken"][:255], "sx_dr_" + "0" * 64):
        refused(renew_developer(platform, token), 401, "UNAUTHORIZED")
    accepted(renew(platform, merchant["refresh_token"]))
    signed_in(renew_developer(platform, developer["refreshToken"]))


@pytest.mark.parametrize("body", [{}, {"refresh_token": ""}, {"refresh_token": 7}, {"refresh_token": "x" * 256},
                                  {"refresh_token": None}, {"refreshToken": "x"}])
def test_renewals_that_are_none(platform, body):
    refused(platform.post("/api/auth/refresh", body), 400, "validation_error")
    refused(platform.post("/api/v1/auth/refresh", {k.replace("_t", "T"): v for k, v in body.items() if v != "x"}), 400,
            "VALIDATION_ERROR")


def test_a_disabled_account_is_not_renewed(platform):
    data = session_of(register(platform))
    platform.call("auth.accounts.set_status", account_id=data["account"]["account_id"], status="disabled")
    refused(renew(platform, data["refresh_token"]), 401, "invalid_token")
    platform.call("auth.accounts.set_status", account_id=data["account"]["account_id"], status="active")
    refused(renew(platform, data["refresh_token"]), 401, "invalid_token")


def test_sessions_run_out(make_platform):
    platform = make_platform()
    day = 86400
    merchant, developer = session_of(register(platform)), register(platform, "/api/v1/auth/register").json()["data"]
    platform.set_clock(day + 5)
    refused(me(platform, merchant["token"]), 401, "invalid_token")
    refused(developer_me(platform, developer["accessToken"]), 401, "UNAUTHORIZED")
    merchant = accepted(renew(platform, merchant["refresh_token"]))
    platform.set_clock(32 * day)
    refused(renew(platform, merchant["refresh_token"]), 401, "invalid_token")
    refused(renew_developer(platform, developer["refreshToken"]), 401, "UNAUTHORIZED")
    session_of(register(platform))
    assert platform.postgres.rows("select count(*) from auth.session where refresh_expires_at < now()")[0][0] == 0


# ---- leaving ---------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_and_no_other(platform):
    data = session_of(register(platform))
    other = accepted(platform.post("/api/auth/login", {"email": data["account"]["email"], "password": PASSWORD}))
    answer = platform.request("POST", "/api/auth/logout", headers={"x-auth-token": data["token"]})
    assert accepted(answer)["session_id"] > 0
    refused(me(platform, data["token"]), 401, "invalid_token")
    refused(renew(platform, data["refresh_token"]), 401, "invalid_token")
    refused(platform.request("POST", "/api/auth/logout", headers=bearer(data["token"])), 401, "invalid_token")
    accepted(me(platform, other["token"]))


def test_a_developer_signs_out(platform):
    data = register(platform, "/api/v1/auth/register").json()["data"]
    answer = platform.request("POST", "/api/v1/auth/logout", headers=bearer(data["accessToken"]))
    assert answer.status_code == 200 and answer.json()["message"] == "Signed out"
    refused(developer_me(platform, data["accessToken"]), 401, "UNAUTHORIZED")
    refused(renew_developer(platform, data["refreshToken"]), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("method, path", [("GET", "/api/v1/auth/me"), ("POST", "/api/v1/auth/logout")])
def test_who_is_no_developer_any_more(platform, method, path):
    email = fresh_email()
    data = register(platform, "/api/v1/auth/register", email=email).json()["data"]
    platform.postgres.rows("update auth.account set is_developer = false where email = %s", (email,))
    refused(platform.request(method, path, headers=bearer(data["accessToken"])), 403, "FORBIDDEN")
    refused(renew_developer(platform, data["refreshToken"]), 401, "UNAUTHORIZED")


def test_who_came_and_went_is_in_the_audit_log(platform):
    data = session_of(register(platform))
    account_id = data["account"]["account_id"]
    second = accepted(renew(platform, data["refresh_token"]))
    refused(renew(platform, data["refresh_token"]), 401, "invalid_token")
    third = accepted(platform.post("/api/auth/login", {"email": data["account"]["email"], "password": PASSWORD}))
    platform.request("POST", "/api/auth/logout", headers=bearer(third["token"]))
    rows = platform.postgres.rows("select action, actor, address from auth.audit where actor_account_id = %s "
                                  "order by audit_id", (account_id,))
    assert [row[0] for row in rows] == ["account.registered", "session.opened", "session.token_reused", "session.opened",
                                        "session.closed"]
    assert {row[1:] for row in rows} == {("account", "127.0.0.1")}
    refused(me(platform, second["token"]), 401, "invalid_token")


def test_tokens_are_kept_as_hashes(platform):
    first = session_of(register(platform))
    second = accepted(renew(platform, first["refresh_token"]))
    dump = str(platform.postgres.rows("select s::text, x::text from auth.session s left join auth.session_spent x "
                                      "using (session_id) order by session_id desc limit 50"))
    for data in (first, second):
        assert data["token"][6:] not in dump and data["refresh_token"][6:] not in dump


# ---- codes by phone --------------------------------------------------------------------------------------------------


def send_code(platform, phone):
    """Asks for a code; answers it, as the log sender shows it."""
    answer = platform.post("/api/v1/auth/otp/send", {"phone": phone})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == {"message": "A code was sent to the number", "expiresInMinutes": 5}
    [line] = [line for line in platform.log_lines(answer.headers["X-Request-Id"]) if line["event"] == "otp_sent"]
    assert line["phone"] == phone and re.fullmatch("[0-9]{4}", line["code"])
    return line["code"]


def verify(platform, phone, code):
    return platform.post("/api/v1/auth/otp/verify", {"phone": phone, "otp": code})


def wrong(code):
    return f"{(int(code) + 1) % 10000:04d}"


@pytest.fixture(autouse=True)
def senders_forgotten(platform):
    """All tests ask from one address, which may ask for 30 codes in a quarter of an hour, and guess 30 times a day."""
    platform.postgres.rows("delete from auth.login_failure where who in (sha256('otp-from:127.0.0.1'), "
                           "sha256('otp-wrong-from:127.0.0.1'))")


def phone_of_developer(platform):
    phone = fresh_phone()
    session_of(register(platform, "/api/v1/auth/register", phone=phone))
    return phone


def test_a_code_signs_a_developer_in_once(platform):
    phone = phone_of_developer(platform)
    code = send_code(platform, phone)
    refused(verify(platform, phone, wrong(code)), 400, "INVALID_OTP")
    data = signed_in(verify(platform, phone, code))
    assert set(data) == {"accessToken", "refreshToken", "expiresIn"}
    assert developer_me(platform, data["accessToken"]).json()["data"]["phone"] == phone
    refused(verify(platform, phone, code), 400, "INVALID_OTP")


def test_a_new_code_replaces_the_old_one(platform):
    phone = phone_of_developer(platform)
    codes = [send_code(platform, phone) for _ in range(3)]
    if codes[-1] != codes[0]:
        refused(verify(platform, phone, codes[0]), 400, "INVALID_OTP")
    signed_in(verify(platform, phone, codes[-1]))


def test_after_six_attempts_the_code_is_dead(platform):
    phone = phone_of_developer(platform)
    code = send_code(platform, phone)
    for _ in range(6):
        refused(verify(platform, phone, wrong(code)), 400, "INVALID_OTP")
    for given in (code, wrong(code)):
        refused(verify(platform, phone, given), 400, "OTP_EXPIRED")
    signed_in(verify(platform, phone, send_code(platform, phone)))


def test_parallel_guesses_have_six_attempts_together(platform):
    phone = phone_of_developer(platform)
    code = send_code(platform, phone)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(verify, platform, phone, wrong(code)) for _ in range(16)]
    codes = [answer.result().json()["code"] for answer in answers]
    assert codes.count("INVALID_OTP") == 6 and codes.count("OTP_EXPIRED") == 10, codes
    refused(verify(platform, phone, code), 400, "OTP_EXPIRED")


def test_a_code_counts_once_when_it_comes_twice_at_once(platform):
    phone = phone_of_developer(platform)
    code = send_code(platform, phone)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        statuses = [pool.submit(verify, platform, phone, code) for _ in range(6)]
    assert sorted(answer.result().status_code for answer in statuses) == [201] + 5 * [400]


def test_who_has_an_account_is_not_told(platform):
    """Sending answers the same; only who holds the phone learns that no account has it."""
    phone = fresh_phone()
    code = send_code(platform, phone)
    refused(verify(platform, phone, wrong(code)), 400, "INVALID_OTP")
    refused(verify(platform, phone, code), 404, "USER_NOT_FOUND")
    refused(verify(platform, fresh_phone(), "0000"), 400, "INVALID_OTP")


def test_a_code_opens_no_account_without_the_portal(platform):
    phone = fresh_phone()
    account = session_of(register(platform, phone=phone))["account"]
    refused(verify(platform, phone, send_code(platform, phone)), 403, "FORBIDDEN")
    platform.postgres.rows("update auth.account set is_developer = true where account_id = %s", (account["account_id"],))
    platform.call("auth.accounts.set_status", account_id=account["account_id"], status="disabled")
    refused(verify(platform, phone, send_code(platform, phone)), 403, "FORBIDDEN")


def test_codes_are_scarce(platform):
    phone = phone_of_developer(platform)
    for _ in range(5):
        code = send_code(platform, phone)
    answer = platform.post("/api/v1/auth/otp/send", {"phone": phone})
    refused(answer, 429, "RATE_LIMITED")
    assert 800 < int(answer.headers["Retry-After"]) <= 900
    platform.postgres.rows("update auth.login_failure set failures = 20 where who = sha256(convert_to(%s, 'UTF8'))",
                           (f"otp-wrong:{phone}",))
    signed_in(verify(platform, phone, code))
    platform.postgres.rows("insert into auth.login_failure values (sha256(convert_to(%s, 'UTF8')), 20, now() + interval "
                           "'1 day')", (f"otp-wrong:{phone}",))
    refused(verify(platform, phone, code), 429, "RATE_LIMITED")


def test_wrong_codes_are_not_kept_for_ever(platform):
    """A guess at a number that never asked for a code leaves a row too; guesses take the old ones away."""
    platform.postgres.rows("insert into auth.login_failure (who, failures, until) "
                           "select sha256(convert_to('old ' || n, 'UTF8')), 1, now() - interval '1 day' from "
                           "generate_series(1, 30) n")
    old = "select count(*) from auth.login_failure where until < now() - interval '1 hour'"
    for _ in range(2):
        refused(verify(platform, fresh_phone(), "0000"), 400, "INVALID_OTP")
    assert platform.postgres.rows(old) == [(0,)]


def test_a_network_of_ipv6_counts_as_one_sender(make_platform):
    """Who has one address of IPv6 has at least a /64 of them."""
    platform = make_platform(settings={"SX_TRUSTED_PROXIES": "127.0.0.1"})
    for host in range(30):
        assert platform.post("/api/v1/auth/otp/send", {"phone": fresh_phone()},
                             headers={"X-Forwarded-For": f"2001:db8:1:2::{host + 1:x}"}).status_code == 200
    for address, status in (("2001:db8:1:2:ffff::1", 429), ("2001:db8:1:3::1", 200)):
        assert platform.post("/api/v1/auth/otp/send", {"phone": fresh_phone()},
                             headers={"X-Forwarded-For": address}).status_code == status


def test_one_address_does_not_get_codes_without_end(platform):
    platform.postgres.rows("insert into auth.login_failure values (sha256('otp-from:127.0.0.1'), 30, now() + interval "
                           "'15 minutes')")
    refused(platform.post("/api/v1/auth/otp/send", {"phone": fresh_phone()}), 429, "RATE_LIMITED")


def failures_of(platform, who):
    rows = platform.postgres.rows("select failures from auth.login_failure where who = sha256(convert_to(%s, 'UTF8'))", (who,))
    return rows[0][0] if rows else 0


def test_wrong_codes_for_many_numbers_end_an_address(make_platform):
    """Whoever tries few codes each on many numbers is stopped too, and a right code does not buy new guesses."""
    platform = make_platform(settings={"SX_TRUSTED_PROXIES": "127.0.0.1"})

    def ask(phone, code, address):
        return platform.post("/api/v1/auth/otp/verify", {"phone": phone, "otp": code}, headers={"X-Forwarded-For": address})

    own = phone_of_developer(platform)
    for guess in range(30):
        if guess % 10 == 0:                                 # of his own; not counted, and nothing forgotten for it
            signed_in(ask(own, send_code(platform, own), f"2001:db8:5:6::{guess:x}"))
        phone = fresh_phone()
        refused(ask(phone, wrong(send_code(platform, phone)) if guess < 6 else "0000", f"2001:db8:5:6::{guess + 1:x}"), 400,
                "INVALID_OTP")
    code = send_code(platform, own)
    answer = ask(own, code, "2001:db8:5:6:ffff::1")
    refused(answer, 429, "RATE_LIMITED")
    assert 86000 < int(answer.headers["Retry-After"]) <= 86400
    signed_in(ask(own, code, "2001:db8:5:7::1"))


def test_strangers_lock_no_number_that_asked_for_no_code(platform):
    phone, other = phone_of_developer(platform), fresh_phone()
    code = send_code(platform, other)
    without, against = verify(platform, phone, "0000"), verify(platform, other, wrong(code))
    assert refused(without, 400, "INVALID_OTP") == refused(against, 400, "INVALID_OTP")
    for _ in range(22):
        refused(verify(platform, phone, "0000"), 400, "INVALID_OTP")
    assert (failures_of(platform, f"otp-wrong:{phone}"), failures_of(platform, f"otp-wrong:{other}")) == (0, 1)
    signed_in(verify(platform, phone, send_code(platform, phone)))


def test_a_dead_code_counts_against_no_number(platform):
    phone = phone_of_developer(platform)
    code = send_code(platform, phone)
    for _ in range(6):
        refused(verify(platform, phone, wrong(code)), 400, "INVALID_OTP")
    for _ in range(5):
        refused(verify(platform, phone, wrong(code)), 400, "OTP_EXPIRED")
    assert failures_of(platform, f"otp-wrong:{phone}") == 6


def test_a_locked_number_is_locked_whether_a_code_was_sent_or_not(platform):
    answers = []
    for send in (True, False):
        phone = fresh_phone()
        if send:
            send_code(platform, phone)
        platform.postgres.rows("insert into auth.login_failure values (sha256(convert_to(%s, 'UTF8')), 20, now() + interval "
                               "'1 day')", (f"otp-wrong:{phone}",))
        answers.append(refused(verify(platform, phone, "0000"), 429, "RATE_LIMITED"))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("phone", ["", "12", "1" * 21, "phone", "+88 017", 88017123456, None, ["+8801712345678"]])
def test_numbers_that_are_none(platform, phone):
    refused(platform.post("/api/v1/auth/otp/send", {"phone": phone}), 400, "VALIDATION_ERROR")
    refused(verify(platform, phone, "1234"), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("code", ["", "123", "12345", "abcd", "12 4", "１２３４", "-123", 1234, None])
def test_codes_that_are_none(platform, code):
    refused(verify(platform, "+8801712345678", code), 400, "VALIDATION_ERROR")


def test_codes_grow_old_and_are_not_kept_readable(make_platform):
    platform = make_platform()
    phone = phone_of_developer(platform)
    code = send_code(platform, phone)
    assert code not in str(platform.postgres.rows("select code_mac::text from auth.otp")) or len(code) < 5
    [(mac,)] = platform.postgres.rows("select encode(code_mac, 'hex') from auth.otp")
    assert mac not in [row[0] for row in platform.postgres.rows(
        "select encode(sha256(convert_to(lpad(n::text, 4, '0'), 'UTF8')), 'hex') from generate_series(0, 9999) n")]
    platform.set_clock(301)
    refused(verify(platform, phone, code), 400, "OTP_EXPIRED")


def test_without_a_provider_no_code_is_sent_or_logged(make_platform):
    platform = make_platform(settings={"SX_DEV": "0", "SX_CLOCK_FILE": ""})
    answer = platform.post("/api/v1/auth/otp/send", {"phone": "+8801712345678"})
    refused(answer, 503, "SERVICE_UNAVAILABLE")
    assert "password" in answer.json()["message"] and answer.headers["Retry-After"]
    assert "otp_sent" not in "".join(process.tail(1000) for process in platform.of("auth"))


def test_another_gateway_knows_at_once(make_platform):
    """Nothing that a renewal, a reuse or a sign-out took back is accepted once it has answered (protocols 5)."""
    platform = make_platform(gateways=2, services={"auth": 2, "store-data": 1})

    def ask(token, gateway):
        return platform.get("/api/auth/me", headers=bearer(token), gateway=gateway)

    for round_ in range(10):
        first = session_of(register(platform))
        accepted(ask(first["token"], 1)), accepted(ask(first["token"], 2))
        second = accepted(renew(platform, first["refresh_token"]))
        refused(ask(first["token"], 2), 401, "invalid_token")
        accepted(ask(second["token"], 2)), accepted(ask(second["token"], 1))
        if round_ % 2:
            accepted(platform.request("POST", "/api/auth/logout", headers=bearer(second["token"]), gateway=1))
        else:
            refused(renew(platform, first["refresh_token"]), 401, "invalid_token")
        refused(ask(second["token"], 2), 401, "invalid_token")
        refused(ask(second["token"], 1), 401, "invalid_token")


def test_a_renewed_session_survives_the_process_that_renewed_it(make_platform):
    """Everything is in the tables: another process, started after a kill, knows what was spent."""
    platform = make_platform(durable=True)
    first = session_of(register(platform))
    second = accepted(renew(platform, first["refresh_token"]))
    platform["auth-1"].kill()
    platform["auth-1"].start()
    platform.wait_ready()
    accepted(me(platform, second["token"]))
    refused(renew(platform, first["refresh_token"]), 401, "invalid_token")
    refused(me(platform, second["token"]), 401, "invalid_token")


def test_the_owner_of_the_tests_can_sign_in_as_everybody_else(platform):
    """Accounts made by an operator and by themselves are the same kind."""
    account = Owner(platform)
    data = accepted(platform.post("/api/auth/login", {"email": account.email, "password": PASSWORD}))
    accepted(renew(platform, data["refresh_token"]))

"""Rate classes T, V and K, and that of signing in, on their routes: counted by the client's address, before anybody is asked who it is (contract
0.3, K.1)."""

import pytest

from .credentials import STORE, accepted, bearer, refused
from .platform import Platform
from .shop import PASSWORD, Owner

TOKEN, VERIFY, CUSTOM = "/api/apps/oauth/token", "/api/apps/session/verify", "/api/apps/custom"
NOBODY = "/api/apps/custom/1/rotate-secret"


@pytest.fixture(scope="module")
def limited():
    """A platform with small limits; each test has addresses of its own, as a proxy tells them."""
    with Platform(settings={"SX_RATE_TOKEN": "4/900", "SX_RATE_VERIFY": "6/900", "SX_RATE_CREDENTIALS": "3/900",
                            "SX_RATE_LOGIN": "5/900", "SX_RATE_GLOBAL": "40/900", "SX_TRUSTED_PROXIES": "127.0.0.1"}) as platform:
        yield platform


def ask(platform, address, method, path, body=None, headers=None):
    return platform.request(method, path, json_body=body, headers={"X-Forwarded-For": address, **(headers or {})})


def shown(answer):
    return int(answer.headers["RateLimit-Limit"]), int(answer.headers["RateLimit-Remaining"])


def used_up(answer, limit):
    refused(answer, 429, "rate_limited")
    assert shown(answer) == (limit, 0)
    assert 0 < int(answer.headers["Retry-After"]) <= 900 and 0 < int(answer.headers["RateLimit-Reset"]) <= 900


@pytest.mark.parametrize("path, limit, body, address", [
    (TOKEN, 4, {"grant_type": "refresh_token", "client_id": "sx_app_" + "0" * 32, "client_secret": "x" * 64,
                "refresh_token": "sx_rt_" + "0" * 64}, "192.0.2.10"),
    (VERIFY, 6, {"session_token": "a.b.c", "client_id": "sx_app_" + "0" * 32, "client_secret": "x" * 64}, "192.0.2.11"),
])
def test_guesses_are_counted_by_address(limited, path, limit, body, address):
    for left in range(limit - 1, -1, -1):
        answer = ask(limited, address, "POST", path, body)
        assert answer.status_code == 401 and shown(answer) == (limit, left)
    used_up(ask(limited, address, "POST", path, body), limit)
    used_up(ask(limited, address, "POST", path, {"nonsense": True}), limit)
    assert ask(limited, "198.51.100." + address.rsplit(".", 1)[1], "POST", path, body).status_code == 401


def test_credential_routes_are_counted_before_anybody_is_asked(limited):
    owner = Owner(limited)
    token = accepted(ask(limited, "192.0.2.30", "POST", "/api/auth/login",
                         {"email": owner.email, "password": PASSWORD}))["token"]
    store_id, merchant = owner.open_store(), {"x-auth-token": token}
    make = lambda address, headers: ask(limited, address, "POST", CUSTOM, {
        "store_id": store_id, "name": f"From {address}", "scopes": ["read:store"]}, headers)
    refused(make("192.0.2.31", {}), 401, "missing_token")
    refused(make("192.0.2.31", bearer("sx_ms_" + "0" * 64)), 401, "invalid_token")
    made = make("192.0.2.31", merchant)
    assert made.status_code == 201 and shown(made) == (3, 0)
    used_up(make("192.0.2.31", merchant), 3)              # a good session is not even looked at
    app_id = made.json()["data"]["app_id"]
    for leaf in ("regenerate-token", "rotate-secret"):
        used_up(ask(limited, "192.0.2.31", "POST", f"{CUSTOM}/{app_id}/{leaf}", headers=merchant), 3)
        # one class for all of them, another address has its own
        answer = ask(limited, "192.0.2.32", "POST", f"{CUSTOM}/{app_id}/{leaf}", headers=merchant)
        assert answer.status_code == 200
    assert make("192.0.2.32", merchant).status_code == 201
    used_up(make("192.0.2.32", merchant), 3)
    for address in ("192.0.2.31", "192.0.2.32"):            # other routes go on, also for this address
        answer = ask(limited, address, "GET", f"{CUSTOM}?store_id={store_id}", headers=merchant)
        assert answer.status_code == 200 and shown(answer)[0] == 40
    # The session's own window has counted what was admitted: three creations and rotations, two lists ...
    left = shown(ask(limited, "192.0.2.33", "GET", "/api/auth/me", headers=merchant))[1]
    assert left == 40 - 4 - 2 - 1


def test_failed_authentications_end_an_address(limited):
    """... and every failure counts by address in class G, whatever the route."""
    owner = Owner(limited)
    shop = owner.open_shop()
    for number in range(40):
        headers = bearer("sx_at_" + f"{number:064x}") if number % 2 else {**shop.client, "X-Client-Secret": "wrong"}
        assert ask(limited, "192.0.2.40", "GET", STORE, headers=headers).status_code == 401
    used_up(ask(limited, "192.0.2.40", "GET", STORE, headers=bearer("sx_at_" + "f" * 64)), 40)
    used_up(ask(limited, "192.0.2.40", "GET", STORE, headers=shop.bearer), 40)
    assert ask(limited, "192.0.2.41", "GET", STORE, headers=shop.bearer).status_code == 200


def test_who_succeeds_is_not_counted_by_address(limited):
    shops = [Owner(limited).open_shop() for _ in range(3)]
    for shop in shops:                                      # three apps behind one address: each has its own window
        for _ in range(20):
            assert ask(limited, "192.0.2.50", "GET", STORE, headers=shop.bearer).status_code == 200


def test_signing_in_and_registering_are_counted_by_address(limited):
    """One class for all of them, so that nobody tries a password each on many accounts, nor makes accounts without end."""
    owner, number = Owner(limited), 0
    routes = [("/api/auth/login", {"email": "nobody@shop.example", "password": PASSWORD}),
              ("/api/v1/auth/login", {"identifier": "nobody@shop.example", "password": PASSWORD}),
              ("/api/auth/register", {"name": "Rahima", "email": "no address", "password": PASSWORD}),
              ("/api/v1/auth/register", {"name": "Rahima", "email": "no address", "password": PASSWORD})]
    assert limited.request("POST", "/api/apps/oauth/login", body="x=1", headers={
        "X-Forwarded-For": "192.0.2.60", "Content-Type": "application/x-www-form-urlencoded"}).status_code == 400
    for left, (path, body) in zip((3, 2, 1, 0), routes):
        answer = ask(limited, "192.0.2.60", "POST", path, body)
        assert answer.status_code in (400, 401) and shown(answer) == (5, left), answer.text
    for path, body in routes:
        answer = ask(limited, "192.0.2.60", "POST", path, body)
        refused(answer, 429, "RATE_LIMITED" if "/v1/" in path else "rate_limited")
        assert shown(answer) == (5, 0) and 0 < int(answer.headers["Retry-After"]) <= 900
        lines = limited.log_lines(answer.headers["X-Request-Id"])
        assert [line for line in lines if line["level"] in ("warn", "error")] == []
    accepted(ask(limited, "192.0.2.61", "POST", "/api/auth/login", {"email": owner.email, "password": PASSWORD}))


def test_adding_members_is_counted_as_signing_in(limited):
    """An answer tells whether an e-mail has an account, so it may not be asked faster than by signing in."""
    for left in range(4, -1, -1):
        answer = ask(limited, "192.0.2.70", "POST", "/api/v1/apps/1/members", {"email": "nobody@dev.example", "role": "viewer"},
                     bearer("nobody"))
        assert answer.status_code == 401 and shown(answer) == (5, left), answer.text
    refused(ask(limited, "192.0.2.70", "POST", "/api/v1/apps/1/members", {"email": "nobody@dev.example", "role": "viewer"}), 429, "RATE_LIMITED")

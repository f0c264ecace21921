"""What developers switch and exchange shows at once (contract A.5 rows 83, 85-87, K.2): clients that call without a pause through two
gateways while the switch is made. No call that began after the switch had answered succeeds with what it took back, and none that it
did not take back fails."""

import collections
import json
import threading
import time

import pytest

from . import client
from .client import is_error
from .credentials import STORE, bearer, session_token
from .embedded import TOKEN as SESSION_TOKEN
from .embedded import VERIFY
from .oauth import AUTHORIZE, INTROSPECT, TOKEN
from .payments import at_once
from .platform import Platform
from .shop import PASSWORD
from .test_developer_apps import Developer, grant

GATEWAYS = (1, 2)
ENOUGH = 8                             # answers of each gateway before a switch, and as many after it
CALLBACK = "https://example.com/oauth/callback"


@pytest.fixture(scope="module")
def platform():
    with Platform(gateways=2, services={"auth": 2, "store-data": 1}) as shared:
        yield shared


class Call:
    """What one of an app's clients does again and again with one credential; `answers`: gateway, when it began and ended, status, code."""

    def __init__(self, name, method, path, headers, json_body=None):
        self.name, self.request, self.body = name, (method, path, {**headers, "Content-Type": "application/json"}), json_body
        self.answers = []

    def make(self, platform, gateway):
        began = time.monotonic()
        answer = client.ask(platform.ports[gateway - 1].number, *self.request, json.dumps(self.body) if self.body else None)
        self.answers.append((gateway, began, time.monotonic(), answer.status_code, answer.json().get("code")))

    def between(self, moment, until=float("inf")):
        """Those that began and ended then: gateway, status, code."""
        return [(gateway, status, code) for gateway, began, ended, status, code in list(self.answers) if moment < began and ended < until]


class Hammer:
    """One thread for each of the calls and each gateway, until the block ends."""

    def __init__(self, platform, *calls):
        self.platform, self.calls, self.running, self.broken = platform, calls, True, []
        self.threads = [threading.Thread(target=self.run, args=(call, gateway)) for call in calls for gateway in GATEWAYS]

    def run(self, call, gateway):
        try:
            while self.running:
                call.make(self.platform, gateway)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            self.broken.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        for thread in self.threads:
            thread.join()
        assert not self.broken, self.broken

    def watch(self, moment):
        """Until each call has been answered often enough through each gateway since then."""
        end = time.monotonic() + 30
        while not all(count >= ENOUGH for call in self.calls for count in self.counts(call, moment)):
            assert time.monotonic() < end and not self.broken, (self.broken, [(call.name, self.counts(call, moment)) for call in self.calls])
            time.sleep(0.01)

    @staticmethod
    def counts(call, moment):
        found = collections.Counter(gateway for gateway, _, _ in call.between(moment))
        return [found[gateway] for gateway in GATEWAYS]

    def switch(self, do, dead, code=None):
        """Does it under fire: all goes well before, and from its answer on what is dead is refused and all else goes well."""
        before = time.monotonic()
        self.watch(before)
        began = time.monotonic()
        done = do()
        answered = time.monotonic()
        self.watch(answered)
        for call in self.calls:
            early = call.between(before, began if call in dead else answered)
            late = {(status, found) for _, status, found in call.between(answered)}
            assert {status for _, status, _ in early} == {200}, (call.name, set(early))
            assert late == ({(401, code or call.refusal)} if call in dead else {(200, None)}), (call.name, late)
        return done


class App:
    """One that is installed on a store; its calls by the name of what they show."""

    def __init__(self, platform):
        self.platform, self.developer = platform, Developer(platform)
        self.made = self.developer.make(requested_scopes=["read:orders", "read:store"], redirect_urls=[CALLBACK])
        self.app_id, self.shop = self.made["app_id"], grant(self.developer, self.made)
        answer = platform.post("/api/auth/login", {"email": self.developer.email, "password": PASSWORD})
        self.merchant = {"x-auth-token": answer.json()["data"]["token"]}

    def ask(self, method, path="", body=None, gateway=1):
        return self.platform.request(method, f"/api/v1/apps/{self.app_id}{path}", headers=self.developer.headers, json_body=body, gateway=gateway)

    def do(self, *arguments, **options):
        answer = self.ask(*arguments, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def rotate(self, gateway=1):
        return self.do("POST", "/rotate-secret", gateway=gateway)["client_secret"]

    def regenerate(self, gateway=1):
        return self.do("POST", "/regenerate-signing-key", gateway=gateway)["session_signing_key"]

    def switch(self, is_active, gateway=1):
        return self.do("PATCH", "/status", {"is_active": is_active}, gateway=gateway)

    def calls(self):
        """With what the app has at this moment: its token; its secret, thrice; a session token, as a bearer's and to be verified."""
        shop, session = self.shop, session_token(self.shop)
        client_fields = {"client_id": shop.client_id, "client_secret": shop.client_secret}
        made = [Call("token", "GET", STORE, shop.bearer), Call("secret", "GET", STORE, shop.client),
                Call("introspection", "POST", INTROSPECT, {}, {**client_fields, "token": shop.access_token}),
                Call("verification", "POST", VERIFY, {}, {**client_fields, "session_token": session}),
                Call("session", "GET", STORE, bearer(session))]
        for call in made:
            call.refusal = "invalid_token" if call.name in ("token", "session") else "invalid_client"
        return made

    def tried(self, headers):
        return [self.platform.get(STORE, headers=headers, gateway=gateway).status_code for gateway in GATEWAYS]

    def refresh(self, gateway=1, **fields):
        body = {"grant_type": "refresh_token", "client_id": self.shop.client_id, "client_secret": self.shop.client_secret,
                "refresh_token": self.shop.refresh_token, **fields}
        return self.platform.post(TOKEN, body, gateway=gateway)


@pytest.fixture
def app(platform):
    return App(platform)


def of(calls, *names):
    return [call for call in calls if call.name in names]


def test_a_rotated_secret(platform, app):
    """Tokens and session tokens do not rest on it."""
    for gateway in GATEWAYS:
        calls, old = app.calls(), app.shop.client
        with Hammer(platform, *calls) as hammer:
            fresh = hammer.switch(lambda gateway=gateway: app.rotate(gateway), of(calls, "secret", "introspection", "verification"))
        for other in GATEWAYS:
            is_error(app.refresh(other), 401, "invalid_client")
        app.shop.client_secret = fresh
        assert app.tried(app.shop.client) == [200, 200] and app.tried(old) == [401, 401]
        answer = app.refresh(gateway)
        assert answer.status_code == 200, answer.text
        app.shop.access_token, app.shop.refresh_token = (answer.json()["data"][name] for name in ("access_token", "refresh_token"))


def test_a_rotation_without_overlap_ends_one_with(platform, app):
    """What the dashboard's rotation left alive beside the new one (credentials.c) dies with it in the developer's."""
    old = app.shop.client
    answer = platform.post(f"/api/apps/{app.app_id}/rotate-secret", {"overlap_hours": 24}, headers=app.merchant)
    assert answer.status_code == 200 and answer.json()["data"]["previous_secret_expires_at"], answer.text
    app.shop.client_secret = answer.json()["data"]["client_secret"]
    calls = [*of(app.calls(), "token", "secret"), Call("old secret", "GET", STORE, old)]
    calls[-1].refusal = "invalid_client"
    with Hammer(platform, *calls) as hammer:
        app.shop.client_secret = hammer.switch(app.rotate, calls[1:])
    assert app.tried(app.shop.client) == [200, 200]


def test_a_new_signing_key(platform, app):
    """It has no overlap. Client secret and tokens do not rest on it; the dashboard signs with the new one from then on."""
    for gateway in GATEWAYS:
        calls = app.calls()
        with Hammer(platform, *calls) as hammer:
            app.shop.session_signing_key = hammer.switch(lambda gateway=gateway: app.regenerate(gateway), of(calls, "session", "verification"),
                                                         "invalid_token")
        for other in GATEWAYS:
            body = {"app_id": app.app_id, "store_id": app.shop.store_id}
            given = platform.post(SESSION_TOKEN, body, headers=app.merchant, gateway=other).json()["data"]["session_token"]
            assert app.tried(bearer(given)) == app.tried(bearer(session_token(app.shop))) == [200, 200]


def test_switched_off_and_on(platform, app):
    """Its installation stops, and goes on where it was: nothing that it had is lost."""
    calls = app.calls()
    with Hammer(platform, *calls) as hammer:
        for gateway in (*GATEWAYS, *GATEWAYS):
            off = hammer.switch(lambda gateway=gateway: app.switch(False, gateway), calls)
            assert off == {"app_id": app.app_id, "is_active": 0}
            for other in GATEWAYS:
                is_error(app.refresh(other), 401, "invalid_client")
                page = platform.get(f"{AUTHORIZE}?client_id={app.shop.client_id}&redirect_uri={CALLBACK}&scope=read:orders&state=x&store_id="
                                    f"{app.shop.store_id}", gateway=other)
                assert page.status_code >= 400 and "text/html" in page.headers["Content-Type"]
                is_error(platform.post("/api/apps/installations/direct-install", {"store_id": app.shop.store_id, "app_id": app.app_id},
                                       headers=app.merchant, gateway=other), 404, "not_found")
                assert app.do("GET", "/installations", gateway=other)["items"][0]["status"] == "active"
            app.switch(True, gateway)
            answered = time.monotonic()
            hammer.watch(answered)
            for call in calls:
                assert {status for _, status, _ in call.between(answered)} == {200}, call.name
    assert app.refresh().status_code == 200


def test_deleted(platform, app):
    """For good: nothing of it comes back, for nobody."""
    calls = app.calls()
    with Hammer(platform, *calls) as hammer:
        assert hammer.switch(lambda: app.do("DELETE"), calls) == {"app_id": app.app_id}
        for gateway in GATEWAYS:
            for method, path, body in (("GET", "", None), ("PATCH", "/status", {"is_active": True}), ("POST", "/rotate-secret", None),
                                       ("POST", "/regenerate-signing-key", None), ("GET", "/installations", None), ("DELETE", "", None)):
                is_error(app.ask(method, path, body, gateway), 404, "APP_NOT_FOUND")
            is_error(app.refresh(gateway), 401, "invalid_client")
        hammer.watch(time.monotonic())
    for call in calls:
        assert call.answers[-1][3] == 401


def test_a_gateway_that_stood_still_meanwhile(platform, app):
    """It believes nothing that it knew: what it meets first when it goes on it refuses."""
    calls = app.calls()
    for call in calls:
        for gateway in GATEWAYS:
            call.make(platform, gateway)
            assert call.answers[-1][3] == 200, call.answers
    platform["gateway-2"].pause()
    try:
        app.rotate()
        app.regenerate()
    finally:
        platform["gateway-2"].resume()
    dead = calls[1:]
    for call in dead:
        call.make(platform, 2)
        assert call.answers[-1][3] in (401, 503), call.answers[-1]
    platform.wait_ready()
    for call in calls:
        call.make(platform, 2)
        assert call.answers[-1][3] == (401 if call in dead else 200), (call.name, call.answers[-1])


def test_the_last_of_many_is_the_one_that_counts(platform, app):
    """Exchanged by eight at once through both gateways: one secret works in the end, and one signing key."""
    secrets = at_once(8, lambda number: app.rotate(number % 2 + 1))
    keys = at_once(8, lambda number: app.regenerate(number % 2 + 1))
    assert len(set(secrets)) == len(set(keys)) == 8
    works = [app.tried({**app.shop.client, "X-Client-Secret": secret}) for secret in secrets]
    assert sorted(works) == [[200, 200]] + [[401, 401]] * 7
    works = [app.tried(bearer(session_token(app.shop, key))) for key in keys]
    assert sorted(works) == [[200, 200]] + [[401, 401]] * 7


def test_on_and_off_at_once(platform, app):
    """Whatever was said last, all say the same."""
    for _ in range(3):
        at_once(8, lambda number: app.switch(number % 3 == 0, number % 2 + 1))
        is_active = app.do("GET")["is_active"]
        assert app.tried(app.shop.bearer) == app.tried(app.shop.client) == [200 if is_active else 401] * 2

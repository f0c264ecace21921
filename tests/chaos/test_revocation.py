"""Nothing revoked is accepted after the answer: 64 connections hammer two gateways while credentials are taken back.

Two auth processes; now and then a gateway is stopped (SIGSTOP) and goes on later with everything it had in hand. A request that
began after a revoking call had answered and was accepted nevertheless is a violation: there must be none. A stopped gateway
answers none of its 32 connections, so right after each answer fresh connections bring it the dead credential as well: that is
what it meets first when it goes on. SX_TEST_SCALE 1 revokes a thousand times.
"""

import asyncio
import collections
import os
import random
import threading
import time
from types import SimpleNamespace

import pytest

from api.credentials import session_token
from api.embedded import TOKEN
from api.oauth import REVOKE
from api.oauth import TOKEN as OAUTH_TOKEN
from api.platform import Platform
from api.shop import PASSWORD, Owner

SCALE = float(os.environ.get("SX_TEST_SCALE", "0.1"))
ROUNDS = max(24, round(1000 * SCALE))
CONNECTIONS = 64
PROBES = 2                              # fresh connections to each gateway right after an answer
PATH = "/api/apps/v1/store"
BEFORE_S, AFTER_S = 0.05, 0.1           # hammering with a credential before it is revoked, and on after the answer


class Credential:
    """Headers that are tried until they are retired. `dead_since`: when the revoking call had answered; `alive_again`: just
    before what they belong to was restored for the next round, never for what stays dead."""

    def __init__(self, kind, headers):
        self.kind, self.accepted, self.refused, self.late = kind, 0, 0, []
        self.dead_since = self.alive_again = float("inf")
        lines = [f"GET {PATH} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.request = "\r\n".join(lines).encode()

    def note(self, started, status):
        if status == 200:
            self.accepted += 1
            if started > self.dead_since and time.monotonic() < self.alive_again:
                self.late.append(started - self.dead_since)
        elif status in (401, 403):
            self.refused += 1


class Hammer(threading.Thread):
    """CONNECTIONS keep-alive connections in one thread, half of them to each gateway."""

    def __init__(self, ports, steady):
        super().__init__()
        self.ports, self.steady, self.live = ports, steady, []
        self.running, self.statuses, self.lost = True, collections.Counter(), 0

    def run(self):
        asyncio.run(self.everything())

    async def everything(self):
        self.loop, self.probes = asyncio.get_running_loop(), set()
        await asyncio.gather(*(self.connection(self.ports[index % len(self.ports)]) for index in range(CONNECTIONS)))
        await asyncio.gather(*self.probes)

    def probe(self, credential):
        """Tries a credential on fresh connections, from now on."""
        for port in self.ports * PROBES:
            self.loop.call_soon_threadsafe(lambda port=port: self.probes.add(asyncio.ensure_future(self.fresh(port, credential))))

    async def fresh(self, port, credential):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await self.once(reader, writer, credential)
        writer.close()

    async def once(self, reader, writer, credential):
        started = time.monotonic()
        writer.write(credential.request)
        status = await asyncio.wait_for(self.answer(reader), 30)
        self.statuses[status] += 1
        credential.note(started, status)

    async def connection(self, port):
        while self.running:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                while self.running:
                    credential = random.choice(self.live or [self.steady]) if random.random() < 0.9 else self.steady
                    await self.once(reader, writer, credential)
                writer.close()
            except (OSError, asyncio.IncompleteReadError):
                self.lost += 1
                await asyncio.sleep(0.01)

    @staticmethod
    async def answer(reader):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        await reader.readexactly(length)
        return int(head[9:12])


class Stopper(threading.Thread):
    """Stops one gateway now and then; `free` names one that runs, for the revoking calls."""

    def __init__(self, platform):
        super().__init__()
        self.platform, self.running, self.free, self.stops = platform, True, 2, 0

    def run(self):
        while self.running:
            time.sleep(random.uniform(0.1, 0.8))
            victim = random.choice((1, 2))
            self.free = 3 - victim
            time.sleep(0.02)            # calls under way through the victim may still be answered
            self.platform[f"gateway-{victim}"].pause()
            time.sleep(random.choice((0.1, 0.3, 0.5, 0.7, 1.0, 2.5)) * random.uniform(0.8, 1.2))
            self.platform[f"gateway-{victim}"].resume()
            self.stops += 1


class Revoker:
    """Makes credentials of each kind and takes them back."""

    def __init__(self, platform, stopper):
        self.platform, self.stopper = platform, stopper
        self.owner = Owner(platform)
        self.apps = [self.owner.make_app() for _ in range(4)]
        self.stores = [self.owner.open_store() for _ in range(4)]
        self.unshared = self.owner.make_app()                   # its session tokens are signed with the platform's key pair
        self.call("auth.apps.set_session_algorithm", app_id=self.unshared["app_id"], algorithm="ES256")
        answer = platform.post("/api/auth/login", {"email": self.owner.email, "password": PASSWORD})
        self.merchant = {"x-auth-token": answer.json()["data"]["token"]}

    def call(self, operation, **body):
        """Through a gateway that runs; one that was stopped meanwhile has not answered, so the call is made again."""
        while True:
            try:
                return self.platform.rpc(self.stopper.free).call(operation, body, timeout=4)
            except TimeoutError:
                self.platform.local.rpc.clear()

    def install(self, app=None):
        app, store_id = app or random.choice(self.apps), random.choice(self.stores)
        grant = self.call("auth.installations.create", app_id=app["app_id"], store_id=store_id)
        return app, store_id, grant

    def by_token(self, kind, grant):
        return Credential(kind, {"Authorization": f"Bearer {grant['access_token']}"})

    def by_client(self, kind, app, store_id):
        return Credential(kind, {"X-Client-Id": app["client_id"], "X-Client-Secret": app["client_secret"],
                                 "X-Store-Id": store_id})

    def session(self, kind):
        """A session token of an embedded app and what kills it."""
        if kind == "session, keys":
            _, _, grant = self.install(self.unshared)
            token, revoke = self.signed(grant), lambda: self.call("auth.session_keys.rotate", at_once=True)
        else:
            app, store_id, grant = self.install()
            token = session_token(SimpleNamespace(**{**app, **grant, "store_id": store_id}), gen=grant["generation"])
            revoke = {
                "session, key": lambda: self.rotate_key(app),
                "session, uninstall": lambda: self.call("auth.installations.end", installation_id=grant["installation_id"]),
                "session, algorithm": lambda: self.call("auth.apps.set_session_algorithm", app_id=app["app_id"], algorithm="ES256"),
            }[kind]
        return Credential(kind, {"Authorization": f"Bearer {token}"}), revoke, \
            (lambda: self.call("auth.apps.set_session_algorithm", app_id=app["app_id"], algorithm="HS256")) if "algorithm" in kind else None

    def signed(self, grant):
        """A session token made by the platform; asked for again when the gateway was stopped meanwhile."""
        while True:
            answer = self.platform.post(TOKEN, {"installation_id": grant["installation_id"]}, headers=self.merchant,
                                        gateway=self.stopper.free)
            if answer.status_code == 200:
                return answer.json()["session_token"]
            assert answer.status_code >= 500, answer.text

    def ask(self, app, path, **fields):
        """An OAuth endpoint, asked as the app until it has said yes or no."""
        while True:
            answer = self.platform.post(path, {"client_id": app["client_id"], "client_secret": app["client_secret"], **fields},
                                        gateway=self.stopper.free)
            if answer.status_code < 500:
                return answer.status_code, answer.json().get("data")
            time.sleep(0.05)

    def refresh(self, app, refresh_token):
        return self.ask(app, OAUTH_TOKEN, grant_type="refresh_token", refresh_token=refresh_token)

    def oauth(self, kind):
        """What an app does to its own tokens, and what a refresh token that comes twice does to them."""
        app, _, grant = self.install()
        if kind.startswith("oauth revoke"):
            token = grant["access_token" if kind.endswith("access") else "refresh_token"]
            return self.by_token(kind, grant), lambda: self.ask(app, REVOKE, token=token)
        status, pair = self.refresh(app, grant["refresh_token"])
        assert status == 200
        if kind == "oauth, refreshed again":
            return self.by_token(kind, pair), lambda: self.refresh(app, grant["refresh_token"])
        status, pair = self.refresh(app, pair["refresh_token"])
        assert status == 200
        return self.by_token(kind, pair), lambda: self.refresh(app, grant["refresh_token"])

    def prepare(self, kind):
        """Fresh credentials, what kills them, and what makes the next round possible again (None: they stay dead)."""
        if kind.startswith("session"):
            credential, revoke, restore = self.session(kind)
            return [credential], revoke, restore
        if kind.startswith("oauth"):
            credential, revoke = self.oauth(kind)
            return [credential], revoke, None
        app, store_id, grant = self.install()
        token, client = self.by_token(kind, grant), self.by_client(kind, app, store_id)
        if kind == "token":
            return [token], lambda: self.call("auth.tokens.revoke", token=grant["access_token"]), None
        if kind == "tokens":
            return [token], lambda: self.call("auth.tokens.revoke", installation_id=grant["installation_id"]), None
        if kind == "reinstall":
            return [token], lambda: self.call("auth.installations.create", app_id=app["app_id"], store_id=store_id), None
        if kind == "uninstall, token":
            return [token], lambda: self.call("auth.installations.end", installation_id=grant["installation_id"]), None
        if kind == "uninstall, client":
            return [client], lambda: self.call("auth.installations.end", installation_id=grant["installation_id"]), lambda: None
        if kind == "secret":
            return [client], lambda: self.rotate(app), None
        if kind == "app off":
            return [token, client], lambda: self.call("auth.apps.set_status", app_id=app["app_id"], is_active=False), \
                lambda: self.call("auth.apps.set_status", app_id=app["app_id"], is_active=True)
        return [token, client], lambda: self.call("auth.stores.set_status", store_id=store_id, status=kind), \
            lambda: self.call("auth.stores.set_status", store_id=store_id, status="active")

    def rotate(self, app):
        app["client_secret"] = self.call("auth.apps.rotate_secret", app_id=app["app_id"])["client_secret"]

    def rotate_key(self, app):
        app["session_signing_key"] = self.call("auth.apps.rotate_signing_key", app_id=app["app_id"])["session_signing_key"]


KINDS = ["token", "tokens", "reinstall", "uninstall, token", "uninstall, client", "secret", "app off", "suspended", "frozen",
         "session, key", "session, uninstall", "session, algorithm", "session, keys",
         "oauth revoke, access", "oauth revoke, refresh", "oauth, refreshed again", "oauth, reused"]


@pytest.fixture(scope="module")
def hammered():
    with Platform(gateways=2, services={"auth": 2, "store-data": 1}, settings={"SX_WORKERS": 8, "SX_ACCESS_LOG": 0}) as platform:
        yield platform


def test_nothing_revoked_is_accepted_after_the_answer(hammered):
    steady = Owner(hammered).open_shop()
    stopper = Stopper(hammered)
    revoker = Revoker(hammered, stopper)
    hammer = Hammer([port.number for port in hammered.ports], Credential("steady", steady.bearer))
    used = []
    hammer.start()
    stopper.start()
    try:
        for turn in range(ROUNDS):
            credentials, revoke, restore = revoker.prepare(KINDS[turn % len(KINDS)])
            hammer.live = credentials
            time.sleep(BEFORE_S)
            revoke()
            answered = time.monotonic()
            for credential in credentials:
                credential.dead_since = answered
                hammer.probe(credential)
            time.sleep(AFTER_S)
            used += credentials
            hammer.live = []
            if restore:
                for credential in credentials:
                    credential.alive_again = time.monotonic()
                restore()
    finally:
        stopper.running = hammer.running = False
        stopper.join()
        hammer.join(60)
    report(hammer, stopper, used)
    late = [(credential.kind, credential.late) for credential in used if credential.late]
    assert not late, f"accepted after the answer: {late}"
    assert hammer.steady.refused == 0, "a credential that nobody revoked was refused"
    assert set(hammer.statuses) <= {200, 401, 403, 429, 502, 503, 504}
    assert hammer.lost == 0
    tried = [credential for credential in used if credential.accepted and credential.refused]
    assert len(tried) > len(used) / 2, "most credentials must have been used on both sides of their revocation"


def report(hammer, stopper, used):
    total = sum(hammer.statuses.values())
    print(f"\n{len(used)} credentials revoked in {ROUNDS} rounds, {total} requests {dict(hammer.statuses)}, "
          f"{stopper.stops} stops of a gateway; accepted before {sum(c.accepted for c in used)}, refused after {sum(c.refused for c in used)}, "
          f"accepted after the answer {sum(len(c.late) for c in used)}")

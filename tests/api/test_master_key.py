"""The exchange of the master key while everything runs, killed at any moment (`sxctl rotate-master-key`, issue 3).

What is sealed must open at every moment, and in the end nothing may depend on the old key.
"""

import fcntl
import hmac
import os
import re
import signal
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .credentials import ORDERS, STORE, accepted, bearer, refused, session_token
from .platform import Platform, as_user, give
from .shop import PASSWORD, Owner

SEALED = {"auth.app": "session_signing_key", "auth.session_key": "private_key",
          "auth.idempotency": "body", "store_data.idempotency": "body"}
NO_ID = bytes(4)


def derive(master, label):
    """HKDF-SHA256 without salt, one block."""
    return hmac.digest(hmac.digest(bytes(32), master, "sha256"), label.encode() + b"\x01", "sha256")


def key_id(master):
    first, *rest = derive(master, "master-key-id")[:4]
    return bytes([first | 0x80, *rest])


class Keys:
    """The key file of a platform."""

    def __init__(self, platform):
        self.path = platform.home / "secrets" / "master.key"

    @property
    def lines(self):
        return self.path.read_text().splitlines()

    @property
    def current(self):
        return bytes.fromhex(self.lines[0])


@pytest.fixture(scope="module")
def place():
    """Shared: each test leaves it with one key."""
    with Platform(services={"auth": 2, "store-data": 1}) as platform:
        yield Place(platform)


class Place:
    """A platform with one of everything that is sealed, and what tells that all of it still opens."""

    def __init__(self, platform):
        self.platform, self.keys = platform, Keys(platform)
        self.owner = Owner(platform, is_developer=True)
        self.shops = [self.owner.open_shop() for _ in range(25)]        # more than one batch
        self.shop = self.shops[0]
        self.keep_sealed_answer()
        answer = platform.post("/api/auth/login", {"email": self.owner.email, "password": PASSWORD})
        self.merchant = {"x-auth-token": accepted(answer)["token"]}
        self.keyless = self.owner.open_shop()                           # its tokens are the platform's own
        answer = platform.request("PUT", f"/api/apps/{self.keyless.app_id}/session-algorithm",
                                  json_body={"algorithm": "ES256"}, headers=self.merchant)
        assert accepted(answer)["algorithm"] == "ES256"
        platform.call("auth.session_keys.rotate")

    def keep_sealed_answer(self):
        """No route answers a secret under a key yet, so a kept answer is sealed here as libshared does it."""
        self.order = {"items": [{"name": "Tea", "price": 1, "quantity": 1}]}
        self.answer = self.repeat()
        assert self.answer.status_code == 201
        about = f"store-data:{self.shop.store_id}:{self.shop.app_id}:kept"
        nonce, master = os.urandom(12), self.keys.current
        body = NO_ID + nonce + AESGCM(derive(master, "idempotency")).encrypt(nonce, self.answer.content, about.encode())
        self.platform.postgres.rows("update store_data.idempotency set body = %s, sealed = true where key = 'kept'",
                                    (body,))

    def repeat(self):
        return self.shop.post(ORDERS, self.order, headers={"Idempotency-Key": "kept"})

    def developer_token(self):
        answer = self.platform.post("/api/v1/auth/login", {"identifier": self.owner.email, "password": PASSWORD})
        return answer.json()["data"]["accessToken"]

    def check(self):
        """Everything that is sealed opens, and new things can be sealed."""
        answer = self.repeat()
        assert answer.content == self.answer.content and answer.headers["Idempotent-Replayed"] == "true"
        for shop in self.shops[::6]:
            # A fresh token: the gateway has not seen it, so auth opens the key.
            token = session_token(shop, jti=os.urandom(8).hex())
            assert self.platform.get(STORE, headers=bearer(token)).status_code == 200
        made = self.platform.post("/api/apps/session/session-token", {"installation_id": self.keyless.installation_id},
                                  headers=self.merchant)
        token = accepted(made)["session_token"]
        assert self.platform.get(STORE, headers=bearer(token)).status_code == 200
        fresh = self.platform.call("auth.apps.rotate_signing_key", app_id=self.shops[1].app_id)
        self.shops[1].session_signing_key = fresh["session_signing_key"]

    def sealed_ids(self):
        """The key ids of all sealed values, by table."""
        return {table: {bytes(row[0]) for row in self.platform.postgres.rows(
                    f"select distinct substr({column}, 1, 4) from {table} "
                    + ("where sealed" if column == "body" else ""))}
                for table, column in SEALED.items()}

    def rotate(self, *arguments, check=True):
        return self.platform.sxctl("rotate-master-key", "--wait", "0", *arguments, check=check)

    def begin(self):
        """Not waited for."""
        return subprocess.Popen([str(self.platform.home / "bin" / "sxctl"), "rotate-master-key", "--wait", "1"],
                                env=self.platform.settings, cwd=self.platform.home, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, **as_user())

    def is_exchanged(self, old):
        new = self.keys.current
        assert new != old and len(self.keys.lines) == 1
        ids = self.sealed_ids()
        assert all(found <= {key_id(new)} for found in ids.values()), ids
        assert ids["auth.app"] and ids["auth.session_key"] and ids["store_data.idempotency"]
        self.check()


def test_every_sealed_value_is_sealed_anew(place):
    old, mode = place.keys.current, place.keys.path.stat()
    place.check()
    done = place.rotate()
    assert "done" in done.stdout
    place.is_exchanged(old)
    after = place.keys.path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (mode.st_mode, mode.st_uid, mode.st_gid)
    shown = done.stdout + done.stderr
    for process in place.platform.processes.values():
        shown += process.log.read_text(errors="replace")
    for key in (old, place.keys.current):
        assert key.hex() not in shown
    for process in place.platform.processes.values():       # and for those that start with the new file alone
        process.restart()
    place.platform.wait_ready()
    place.check()


def test_what_the_old_key_signed_ends_with_it(place):
    shop, token = place.shop, place.developer_token()
    for _ in range(3):
        shop.post(ORDERS, place.order)
    page = shop.get(f"{ORDERS}?limit=1").json()["pagination"]["next_cursor"]
    look = lambda: place.platform.get("/api/v1/auth/me", headers=bearer(token)).status_code
    assert look() == 200                                    # the gateway keeps the answer
    place.rotate()
    assert look() == 401
    deadline = time.monotonic() + 20                        # processes look every now and then
    while (answer := shop.get(f"{ORDERS}?limit=1&cursor={page}")).status_code == 200:
        assert time.monotonic() < deadline
    refused(answer, 400, "validation_error")
    page = shop.get(f"{ORDERS}?limit=1").json()["pagination"]["next_cursor"]
    assert shop.get(f"{ORDERS}?limit=1&cursor={page}").status_code == 200
    token = place.developer_token()
    assert look() == 200
    assert place.platform.call("auth.developer_keys.forget")["revoked"] == 1
    assert look() == 200                                    # asked for again, and good


def when_file_says(place, process, pattern):
    """Kills the exchange as soon as the key file has come so far."""
    deadline = time.monotonic() + 20
    while not re.search(pattern, place.keys.path.read_text(), re.MULTILINE):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("state", ["^next ", "^old "])
def test_killed_between_its_steps(place, state):
    shop, old, token = place.shop, place.keys.current, place.developer_token()
    for _ in range(3):
        shop.post(ORDERS, place.order)
    page = shop.get(f"{ORDERS}?limit=1").json()["pagination"]["next_cursor"]
    when_file_says(place, place.begin(), state)
    place.check()
    # Left like this, everything goes on: also for processes that start now.
    time.sleep(0.5)
    if state == "^old ":                                    # the new key signs: what the old one signed may end at any moment
        token = place.developer_token()
        page = shop.get(f"{ORDERS}?limit=1").json()["pagination"]["next_cursor"]
    assert shop.get(f"{ORDERS}?limit=1&cursor={page}").status_code == 200
    assert place.platform.get("/api/v1/auth/me", headers=bearer(token)).status_code == 200
    place.platform["auth-1"].restart()
    place.platform["store-data-1"].restart()
    place.platform.wait_ready()
    place.check()
    lines = place.keys.lines
    assert "going on" in place.rotate().stdout
    expected = lines[0] if state == "^old " else lines[1].split()[1]
    assert place.keys.lines == [expected]                   # the exchange that was begun, not another one
    place.is_exchanged(old)


def test_killed_again_and_again(place):
    """At moments that come as they come, with secrets being made meanwhile."""
    old, rounds = place.keys.current, max(4, int(40 * float(os.environ.get("SX_TEST_SCALE", "0.1"))))
    for number in range(rounds):
        process = place.begin()
        time.sleep(2.4 * number / rounds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        place.check()
        place.shops.append(place.owner.open_shop())
    place.rotate()
    place.is_exchanged(old)


def test_killed_while_it_writes_the_file(place):
    """What it leaves beside the key file is no key file, and in nobody's way."""
    old = place.keys.current
    for leftover in (".new", ".lock"):
        leftover = place.keys.path.with_name("master.key" + leftover)
        leftover.write_text("half")
        give(leftover)
    place.rotate()
    place.is_exchanged(old)


def test_two_at_once(place):
    first = place.begin()
    when = time.monotonic() + 20
    while len(place.keys.lines) < 2:
        assert time.monotonic() < when
        time.sleep(0.01)
    second = place.rotate(check=False)
    assert second.returncode != 0 and "another rotate-master-key" in second.stderr
    assert first.wait(30) == 0 and len(place.keys.lines) == 1
    place.check()


def test_a_service_that_dies_meanwhile(place):
    old, process = place.keys.current, place.begin()
    while process.poll() is None:
        place.platform["auth-2"].restart()
        time.sleep(0.3)
    place.platform.wait_ready()
    place.rotate() if len(place.keys.lines) > 1 else None
    place.is_exchanged(old)


def test_what_no_key_opens_is_named(place):
    old = place.keys.current
    broken = place.shops.pop(6)
    place.platform.postgres.rows("update auth.app set session_signing_key = %s where app_id = %s",
                                 (key_id(old) + os.urandom(92), broken.app_id))
    done = place.rotate()
    assert "1 values were opened by no key" in done.stderr
    refused(place.platform.get(STORE, headers=bearer(session_token(broken))), 500, "auth_error")
    place.platform.postgres.rows("update auth.app set session_signing_key = %s || substr(session_signing_key, 5) "
                                 "where app_id = %s", (key_id(place.keys.current), broken.app_id))
    place.is_exchanged(old)
    place.platform.call("auth.apps.rotate_signing_key", app_id=broken.app_id)


def test_copies_are_exchanged_together(place):
    """As in containers, where each service has its own copy."""
    platform, path = place.platform, place.keys.path
    copy = path.with_name("copy.key")
    copy.write_bytes(path.read_bytes())
    give(copy)
    process = platform["store-data-1"]
    process.environment = {**process.environment, "SX_MASTER_KEY_FILE": str(copy)}
    process.restart()
    platform.wait_ready()
    old = place.keys.current
    alone = place.rotate(check=False)                       # store-data does not see the new key: nothing is forgotten
    assert alone.returncode != 0 and "another key file" in alone.stderr
    assert len(place.keys.lines) == 2
    place.check()
    place.rotate(str(path), str(copy))
    assert copy.read_text() == path.read_text()
    place.is_exchanged(old)
    process.environment = {name: value for name, value in process.environment.items() if name != "SX_MASTER_KEY_FILE"}
    process.restart()
    platform.wait_ready()
    copy.write_text(os.urandom(32).hex())
    wrong = place.rotate(str(path), str(copy), check=False)
    assert wrong.returncode != 0 and "not copies of one file" in wrong.stderr
    assert len(place.keys.lines) == 1


@pytest.mark.parametrize("order", [0, 1])
def test_one_rotation_at_a_time_whichever_copy_is_named_first(platform, order):
    keys = Keys(platform)
    before, copy = keys.lines, keys.path.with_name("second.key")
    copy.write_bytes(keys.path.read_bytes())
    give(copy)
    paths, lock = [str(keys.path), str(copy)], copy.with_name("second.key.lock")
    lock.touch()
    give(lock)
    with open(lock) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = platform.sxctl("rotate-master-key", "--wait", "0", *(paths if order else reversed(paths)), check=False)
    assert done.returncode != 0 and "another rotate-master-key is at work" in done.stderr
    assert keys.lines == before and copy.read_bytes() == keys.path.read_bytes()


def test_what_cannot_be_begun(platform):
    for arguments, why in ((["--wait"], "seconds"), (["--wait", "x"], "seconds"), (["--wait", "-1"], "seconds"),
                           (["--what"], "usage"), (["/nonexistent/key"], "lock file")):
        done = platform.sxctl("rotate-master-key", *arguments, check=False)
        assert done.returncode != 0 and why in done.stderr, done.stderr
    keys, before = Keys(platform), Keys(platform).lines
    empty = keys.path.with_name("empty.key")
    empty.write_text("")
    give(empty)
    done = platform.sxctl("rotate-master-key", str(empty), check=False)
    assert done.returncode != 0 and "64 hex digits" in done.stderr
    assert keys.lines == before


@pytest.mark.parametrize("service", ["auth", "billing", "developer-apps", "store-data"])
def test_one_batch(platform, shop, service):
    """The operation it is made of: it changes nothing that is sealed with the present key."""
    place = {"column": 0, "after": 0}
    for _ in range(100):
        reply = platform.call(f"{service}.secrets.reseal", **place)
        place = {name: reply[name] for name in place}
        assert reply["key"] == key_id(Keys(platform).current).hex()
        assert reply["resealed"] == 0
        if reply["done"]:
            break
    assert reply["done"]
    assert platform.get(STORE, headers=bearer(session_token(shop))).status_code == 200
    assert platform.call(f"{service}.secrets.reseal", column=1000, after=2**62)["done"]

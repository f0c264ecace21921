"""Libraries that know nothing of this platform verify its deliveries: those of Standard Webhooks, Stripe, GitHub and Shopify,
from npm, used unchanged, and the lines that README.md shows for the profile of our own.

They are fetched by the lock file into a temporary directory; what that needs is node and npm (services/sxctl/packages.sh).
"""

import base64
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from api import goods
from api.hooks import HOOKS, Sink, event, publish, subscribe
from api.shop import Owner

PLACE = Path(__file__).parent
README = (PLACE.parents[1] / "README.md").read_text()
SIGNED_IN = {"selorax": "x-selorax-signature", "standard-webhooks": "webhook-signature", "stripe": "stripe-signature",
             "github": "x-hub-signature-256", "shopify": "x-shopify-hmac-sha256"}
PROFILES = sorted(SIGNED_IN)
SEVERAL = {"standard-webhooks", "stripe"}                                   # carry both signatures of a rotation
NO_OLD = {"selorax", "standard-webhooks", "stripe"}                         # their verifiers look at the time
NO_NEW = {"selorax", "standard-webhooks"}                                   # and also at one that is still to come


def shown(language):
    """The README's lines that verify a signature."""
    return next(code for code in re.findall(rf"```{language}\n(.*?)```", README, re.S) if "def verify" in code or "function verify" in code)


class Libraries:
    """The running script (verify.mjs)."""

    def __init__(self, directory):
        assert shutil.which("node") and shutil.which("npm"), "node and npm are needed: services/sxctl/packages.sh test"
        for name in ("package.json", "package-lock.json", ".npmrc", "verify.mjs"):
            shutil.copy(PLACE / name, directory)
        (directory / "readme.mjs").write_text(shown("js"))
        fetched = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=directory, capture_output=True,
                                 text=True, check=False, timeout=300)
        assert fetched.returncode == 0, f"npm could not fetch the libraries:\n{fetched.stderr[-2000:]}"
        self.process = subprocess.Popen(["node", "verify.mjs"], cwd=directory, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def take(self, profile, secret, headers, body, ahead_s=0):
        """What the library gives out; None when it refuses."""
        asked = {"profile": profile, "secret": secret, "headers": {name.lower(): value for name, value in headers.items()},
                 "body": base64.b64encode(body).decode(), "ahead_s": ahead_s}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line).get("event")

    def end(self):
        self.process.kill()
        self.process.communicate()


class Python:
    """The README's lines in Python, asked the same."""

    def __init__(self):
        self.known = {}
        exec(shown("python"), self.known)                                   # pylint: disable=exec-used

    def take(self, _, secret, headers, body, ahead_s=0):
        self.known["time"] = SimpleNamespace(time=lambda: time.time() + ahead_s)
        return json.loads(body) if self.known["verify"](secret, headers, body) else None


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    made = Libraries(tmp_path_factory.mktemp("verifiers"))
    yield made
    made.end()


@pytest.fixture
def sink():
    with Sink() as made:
        yield made


def altered_bodies(body):
    assert b',"id":' in body
    for place in (0, len(body) // 2, len(body) - 1):
        yield body[:place] + bytes([body[place] ^ 1]) + body[place + 1:]
    yield from (body + b" ", body[:-1], b" " + body, b"", body.replace(b',"id":', b', "id":'))


def changed(text):
    """In the middle, by one character of the same kind."""
    place = len(text) * 3 // 4
    return text[:place] + ("1" if text[place] != "1" else "2") + text[place + 1:]


def altered_headers(profile, headers):
    """Each header that is signed or signs: changed, and gone."""
    names = {name.lower(): name for name in headers}
    signed = [SIGNED_IN[profile]] + {"standard-webhooks": ["webhook-id", "webhook-timestamp"], "selorax": ["x-selorax-timestamp"]}.get(profile, [])
    for name in (names[each] for each in signed):
        later = str(int(headers[name]) + 1) if headers[name].isdecimal() else changed(headers[name])
        yield {**headers, name: later}
        yield {**headers, name: ""}
        yield {each: value for each, value in headers.items() if each != name}
    if profile == "stripe":
        stamp = re.match(r"t=(\d+),", headers[names["stripe-signature"]]).group(1)
        yield {**headers, names["stripe-signature"]: headers[names["stripe-signature"]].replace(stamp, str(int(stamp) + 1))}


def verifiers_of(libraries, profile):
    return [libraries, Python()] if profile == "selorax" else [libraries]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_delivery_is_taken_and_nothing_else(owner, sink, libraries, profile):
    shop = owner.open_shop()
    secret = subscribe(shop, sink.url, signature_profile=profile)["signing_secret"]
    other = subscribe(shop, sink.url, "order.updated", signature_profile=profile)["signing_secret"]
    order = goods.order(shop, customer={"name": "রহিম উদ্দিন", "phone": "+8801712345678"})
    [(_, headers, body)] = sink.wait(1)
    for verifier in verifiers_of(libraries, profile):
        taken = verifier.take(profile, secret, headers, body)
        assert taken["data"]["order_id"] == order["order_id"] and taken["data"]["customer_name"] == "রহিম উদ্দিন"
        assert taken["event_topic"] == "order.created" and taken["store_id"] == shop.store_id
        assert verifier.take(profile, other, headers, body) is None
        for each in altered_bodies(body):
            assert verifier.take(profile, secret, headers, each) is None, each
        for each in altered_headers(profile, headers):
            assert verifier.take(profile, secret, each, body) is None, each
        assert verifier.take(profile, secret, headers, body, ahead_s=280)
        assert (verifier.take(profile, secret, headers, body, ahead_s=320) is None) == (profile in NO_OLD)
        assert (verifier.take(profile, secret, headers, body, ahead_s=-320) is None) == (profile in NO_NEW)
    if profile == "shopify":
        assert taken["shop"] == f"store-{shop.store_id}.selorax.io" and taken["library_topic"] == "ORDER_CREATED"


class Rotations:
    """A subscription of each profile and one way to end its rotation, and what came for them last."""

    def __init__(self, platform, sink, libraries):
        self.platform, self.sink, self.libraries, self.clock = platform, sink, libraries, 0
        self.shop = Owner(platform).open_shop()
        self.subs = {f"/{profile}/{way}": subscribe(self.shop, f"{sink.url}/{profile}/{way}", signature_profile=profile)
                     for profile in PROFILES for way in ("promoted", "waited", "retried")}
        self.old = {path: sub["signing_secret"] for path, sub in self.subs.items()}
        self.new = {}

    def ask(self, path, what):
        answer = self.shop.post(f"{HOOKS}/{self.subs[path]['subscription_id']}/{what}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def send(self):
        """One event: what every endpoint got."""
        before = len(self.sink.requests)
        publish(self.platform, event(self.shop.store_id, resource_id=before + 1))
        return self.sink.wait(before + len(self.subs))[before:]

    def until_failures_are_noted(self):
        failed = "select count(*)::int from webhooks.waiting where subscription_id > 0 and attempt = 1"
        deadline = time.monotonic() + 30
        while self.platform.postgres.rows(failed) != [(2 * len(PROFILES),)]:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def check(self, request, by_old, by_new):
        path, headers, body = request
        profile = path.split("/")[1]
        for verifier in verifiers_of(self.libraries, profile):
            for secret, good in ((self.old[path], by_old), (self.new.get(path, "whsec_" + "00" * 32), by_new)):
                taken = verifier.take(profile, secret, headers, body, ahead_s=self.clock)
                assert (taken is not None) == good, (path, "old" if secret == self.old[path] else "new", self.clock)


def test_a_rotation(make_platform, sink, libraries):
    """Those that carry several signatures are taken with either secret for 24 hours, the others with the old one until it is
    promoted; after that only the new one counts, also for what is sent again."""
    run = Rotations(make_platform(), sink, libraries)
    for request in run.send():
        run.check(request, True, False)
    run.new = {path: run.ask(path, "rotate-secret")["signing_secret"] for path in run.subs}
    sink.answers = {path: 500 for path in run.subs if path.endswith("/retried")}
    overlap = run.send()
    for request in overlap:
        run.check(request, True, request[0].split("/")[1] in SEVERAL)
    for path in run.subs:
        if path.endswith("/promoted"):
            run.ask(path, "rotate-secret/promote")
    sink.answers = {path: 500 for path in run.subs if path.endswith("/retried")}
    for request in run.send():
        over = request[0].endswith("/promoted")
        run.check(request, not over, over or request[0].split("/")[1] in SEVERAL)
    run.until_failures_are_noted()                                              # by the clock as it is still
    sink.answers, before, run.clock = {}, len(sink.requests), 86410
    run.platform.set_clock(run.clock)
    again = sink.wait(before + 2 * len(PROFILES), 60)[before:]
    assert {path for path, _, _ in again} == {f"/{profile}/retried" for profile in PROFILES}
    assert {json.loads(body)["event_id"] for _, _, body in again} >= {json.loads(overlap[0][2])["event_id"]}
    for request in again + run.send():
        run.check(request, False, True)

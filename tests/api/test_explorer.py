"""The explorer (/api/docs) in Chromium: a person reads, authorises, asks for orders and sees them, with everything but the gateway
out of reach. Pictures of it lie in build/VARIANT/pictures afterwards.
"""

import base64
import gzip
import json
import os
import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .chromium import WAIT_S, Chromium
from .platform import Platform, give

PICTURES = Path(__file__).resolve().parents[2] / "build" / os.environ.get("VARIANT", "release") / "pictures"
FIRST_PAINT_MAX = 1_000_000
MEMORY_MAX_KIB = 64 * 1024
ORDERS = ".opblock-get:has([data-path='/api/apps/v1/orders'])"
SECTIONS = ["Apps API", "Developer API", "OAuth and sessions", "Accounts", "Webhooks", "Billing"]


@pytest.fixture(scope="module")
def chromium():
    with Chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def demo():
    """A platform as `make up` leaves it."""
    with Platform() as platform:
        platform.sxctl("demo", platform.url(), timeout=300)
        platform.demo = json.loads((platform.home / "demo.json").read_text())
        yield platform


@pytest.fixture
def person(chromium, demo):
    one = Person(chromium, demo)
    yield one
    one.tab.close()


class Person:
    """Somebody at the explorer."""

    def __init__(self, chromium, platform):
        self.tab, self.platform = chromium.tab(scripts=True), platform
        self.look(1200, False)
        self.tab.open(platform.url("/api/docs"))
        self.wait("document.querySelectorAll('.opblock-tag').length > 9 && !document.querySelector('#demo').hidden")

    def look(self, width, dark):
        """With a screen of this width, and a system that is light or dark."""
        self.tab.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def see(self, expression):
        answer = self.tab.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression):
        until = time.monotonic() + WAIT_S
        while not self.see(f"!!({expression})"):
            assert time.monotonic() < until, f"never: {expression}\n{self.see('document.body.innerText')[:3000]}\n{self.tab.complaints}"
            time.sleep(0.05)

    def press(self, selector, place=0):
        """With the mouse, in the middle of it."""
        self.wait(f"document.querySelectorAll({json.dumps(selector)}).length > {place}")
        x, y = self.see(f"""(() => {{ const one = document.querySelectorAll({json.dumps(selector)})[{place}];
            one.scrollIntoView({{block: 'center', behavior: 'instant'}}); const box = one.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()""")
        for what in ("mousePressed", "mouseReleased"):
            self.tab.ask("Input.dispatchMouseEvent", type=what, x=x, y=y, button="left", clickCount=1)

    def key(self, name, code, text=""):
        for kind in ("keyDown", "keyUp"):
            self.tab.ask("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, **({"text": text} if text and kind == "keyDown" else {}))

    def type(self, selector, text):
        self.wait(f"document.querySelector({json.dumps(selector)})")
        self.see(f"document.querySelector({json.dumps(selector)}).focus()")
        self.tab.ask("Input.insertText", text=text)

    def open_orders(self):
        self.press("h3[data-tag=Orders]")
        self.press(f"{ORDERS} .opblock-summary-control")
        self.wait_open()

    def wait_open(self):
        """The viewer has resolved the operation's references: what is shown of it stays as it is."""
        self.wait(f"document.querySelector({json.dumps(ORDERS + ' button.execute')}) && !document.querySelector('.opblock-loading-animation')")

    def execute(self):
        before = self.sent()
        self.press(f"{ORDERS} button.execute")
        return self.answer(before)

    def sent(self):
        return self.see("performance.getEntriesByType('resource').filter((each) => each.name.includes('/v1/orders')).length")

    def answer(self, before=0):
        """What the page shows of the next answer."""
        self.wait(f"performance.getEntriesByType('resource').filter((each) => each.name.includes('/v1/orders')).length > {before}")
        answer = json.dumps(f"{ORDERS} .live-responses-table")
        self.wait(f"document.querySelector({answer})?.querySelector('.response-col_status')")
        return self.see(f"document.querySelector({answer}).innerText")

    def picture(self, name):
        PICTURES.mkdir(parents=True, exist_ok=True)
        (PICTURES / f"explorer-{name}.png").write_bytes(base64.b64decode(self.tab.ask("Page.captureScreenshot")["data"]))

    def kept_to_the_gateway(self):
        """Nobody else was asked for anything, and the policy had nothing to refuse."""
        places = {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for _, url in self.tab.requests if not url.startswith("data:")}
        assert places == {self.platform.url()}
        assert [each for each in self.tab.complaints if "status of 401" not in each] == []


def sees_orders(person, answer):
    shown = person.platform.get("/api/apps/v1/orders", headers={"Authorization": f"Bearer {person.platform.demo['access_token']}"}).json()
    assert answer.split()[2] == "200", answer[:300]
    assert f'"order_id": {shown["data"][0]["order_id"]}' in answer
    assert re.search(r"ratelimit-limit: \d+", answer) and "ratelimit-remaining" in answer
    assert re.search(r"Status 200 .* \d+ of \d+ requests left", person.see("document.querySelector('#rate').innerText"))


def fits(person, width, dark):
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((sum, each) => sum + +each, 0)"
    person.wait(f"({ground} < 200) === {str(dark).lower()}")
    assert person.see("document.documentElement.scrollWidth") <= width      # nothing stands beside the screen


def test_the_demo_is_two_clicks_away(person):
    assert person.see("[...document.querySelectorAll('#sections a')].map((each) => each.innerText)")[:6] == SECTIONS
    person.picture("desktop")
    person.press("#credentials button")
    person.press("#sections a", SECTIONS.index("Webhooks"))
    person.wait("document.querySelectorAll('.webhooks .opblock').length >= 20")
    person.picture("webhooks")
    person.press("#sections a")                                             # whoever is authorised stays so
    person.wait("document.querySelector('h3[data-tag=Orders]')")
    person.open_orders()
    sees_orders(person, person.execute())
    person.picture("desktop-orders")
    person.press("#credentials button", 1)                                  # client credentials take the place of the token
    sees_orders(person, person.execute())
    headers = [each["request"]["headers"] for each in person.tab.events("Network.requestWillBeSent") if "/v1/orders" in each["request"]["url"]][-1]
    assert {"X-Client-Id", "X-Client-Secret", "X-Store-Id"} <= set(headers) and "Authorization" not in headers
    person.kept_to_the_gateway()


def test_on_a_phone_and_in_the_dark(person):
    for name, width, dark in (("phone", 375, False), ("phone-dark", 375, True), ("dark", 1200, True)):
        person.look(width, dark)
        fits(person, width, dark)
        person.picture(name)
    person.press("#scheme")                                                 # by hand, against the system
    assert person.see("document.documentElement.className") == ""
    person.press("#scheme")
    person.look(375, True)
    person.press("#credentials button")
    person.open_orders()
    sees_orders(person, person.execute())
    fits(person, 375, True)
    person.picture("phone-orders")
    person.kept_to_the_gateway()


def test_somebody_types_a_token(person):
    person.open_orders()
    assert "missing_token" in person.execute()
    person.press("button.authorize")
    person.type("#auth-bearer-value", person.platform.demo["access_token"])
    person.press(".auth-container .auth-btn-wrapper button[type=submit]")
    person.press(".modal-ux-header .close-modal")
    person.press(f"{ORDERS} button.btn-clear")
    sees_orders(person, person.execute())
    person.kept_to_the_gateway()


def test_a_document_that_does_not_come_is_told(person):
    person.tab.ask("Network.setBlockedURLs", urls=["*/openapi.json"])
    person.tab.open(person.platform.url("/api/docs"))
    person.wait("document.querySelector('#explorer').innerText.includes('did not come')")


def tab_to(person, expression, most=60):
    for _ in range(most):
        person.key("Tab", 9)
        if person.see(expression):
            return
    raise AssertionError(f"Tab does not lead to {expression}")


def test_by_keyboard(person):
    """Tab reaches the link past the head, the demo's buttons and the operations; Enter presses them."""
    person.key("Tab", 9)
    assert person.see("document.activeElement.className") == "skip"
    tab_to(person, "document.activeElement.parentElement.id === 'credentials'")
    person.key("Enter", 13, "\r")
    person.wait("document.querySelector('#authorised').innerText.includes('authorised')")
    tab_to(person, "document.activeElement.tagName === 'BUTTON' && document.activeElement.closest('h3.opblock-tag')?.dataset.tag === 'Orders'")
    person.key("Enter", 13, "\r")
    person.wait(f"document.querySelector({json.dumps(ORDERS)})")
    tab_to(person, f"document.activeElement.matches({json.dumps(ORDERS + ' .opblock-summary-control')})")
    person.key("Enter", 13, "\r")
    person.wait_open()
    tab_to(person, f"document.activeElement.matches({json.dumps(ORDERS + ' button.execute')})")
    person.key("Enter", 13, "\r")
    sees_orders(person, person.answer())


# ---- what is served ----


def parts(platform):
    """The page and everything that it asks for before anything is seen."""
    page = platform.get("/api/docs").text
    paths = re.findall(r'(?:href|src)="(/api/docs/[^"]*\.(?:css|js))"', page)
    return ["/api/docs", *paths, "/api/docs/openapi.json"]


def test_what_comes_before_the_first_paint(platform):
    sizes = {}
    for path in parts(platform):
        answer = platform.get(path, headers={"Accept-Encoding": "gzip"})
        packed = answer.content
        assert answer.headers["Content-Encoding"] == "gzip" and answer.headers["ETag"]
        assert gzip.decompress(packed) == platform.get(path, headers={"Accept-Encoding": "identity"}).content
        again = platform.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304 and not again.content
        assert ("immutable" if "/viewer/" in path else "no-cache") in again.headers["Cache-Control"]
        sizes[path] = len(packed)
    assert sum(sizes.values()) < FIRST_PAINT_MAX, sizes


def test_the_viewers_licence_goes_with_it(platform):
    """The bundle's first line names the file beside it in which its licences stand."""
    place = next(path for path in parts(platform) if path.endswith("-bundle.js"))
    named = re.match(r"/\*! For license information please see (\S+) \*/", platform.get(place).text).group(1)
    for name, text in (("LICENSE", "Apache License"), ("NOTICE", "SmartBear"), (named, "@license")):
        answer = platform.get(f"{place.rpartition('/')[0]}/{name}")
        assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/plain; charset=utf-8" and text in answer.text, name


def test_nothing_but_the_gateway_may_be_asked(platform):
    policy = platform.get("/api/docs").headers["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["connect-src"] == rules["script-src"] == rules["style-src"] == "'self'"
    assert "unsafe" not in policy and "http" not in policy
    page = platform.get("/api/docs").text
    assert "<style" not in page and "style=" not in page and not re.search(r"<script(?![^>]*\bsrc=)", page) and "//" not in re.sub(r"<!DOCTYPE[^>]*>", "", page)


@pytest.mark.skipif(os.environ.get("VARIANT", "release") != "release", reason="a sanitizer's memory is its own")
def test_the_gateway_stays_small(platform):
    for path in parts(platform) + ["/api/docs/openapi.yaml", "/api/docs/postman.json"]:
        for coding in ("gzip", "identity"):
            assert platform.get(path, headers={"Accept-Encoding": coding}).status_code == 200
    status = Path(f"/proc/{platform['gateway-1'].pid}/status").read_text()
    assert int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) < MEMORY_MAX_KIB


# ---- the demo's credentials ----


def test_the_demo_is_for_this_machine_alone(demo):
    place = "/api/docs/demo.json"
    own = demo.get(place).json()["data"]
    assert own["app"] == {name: demo.demo[name] for name in ("access_token", "client_id", "client_secret", "store_id")}
    assert own["merchant"] == {"token": demo.demo["merchant"]["token"]}
    assert own["developer"] == {"access_token": demo.demo["developer"]["access_token"]}
    port = urlsplit(demo.url()).port
    for host in (f"localhost:{port}", "localhost"):
        assert demo.get(place, headers={"Host": host}).json()["data"]
    for headers in ({"Host": f"rebound.example:{port}"}, {"Host": "127.0.0.1.example"}, {"Host": "localhost.example"}, {"Host": "127.0.0.10"},
                    {"X-Forwarded-For": "127.0.0.1"}):
        answer = demo.get(place, headers=headers)
        assert answer.status_code == 200 and answer.json() == {"data": None, "status": 200}
    answer = demo.get(place, headers={"Origin": "https://elsewhere.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers and answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("settings", [{"SX_DEV": "0", "SX_CLOCK_FILE": ""}, {"SX_TRUSTED_PROXIES": "10.0.0.7"}, {"SX_PUBLIC_URL": "https://api.example"}])
def test_no_demo_outside_of_development_or_behind_a_proxy(make_platform, settings):
    platform = make_platform(settings=settings)
    (platform.home / "demo.json").write_text('{"access_token": "sx_at_secret", "store_id": 1}')
    give(platform.home / "demo.json")
    assert platform.get("/api/docs/demo.json").json() == {"data": None, "status": 200}


def test_what_is_no_demo_file(make_platform):
    platform = make_platform(recorded=False)
    for text in ["", "{", "[]", "7", "null", '{"app": []}', '{"merchant": 7}', "\0", "[" * 5000, "x" * 70000]:
        (platform.home / "demo.json").write_text(text)
        give(platform.home / "demo.json")
        assert platform.get("/api/docs/demo.json").status_code == 200
    assert platform.get("/livez").status_code == 200

"""The guides (proto/guides) are true: each is followed from its first line to its last on a platform with the demo's stores, with
the programs a reader has, and shows what comes out."""

import base64
import hashlib
import hmac
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from pasting import Reader

from api import client
from api.browser import Browser
from api.embedded import Merchant
from api.platform import Platform
from api.shop import Owner

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "proto"))
from guides import read_guides                                              # noqa: E402 pylint: disable=wrong-import-position

GUIDES = {guide.name: guide for guide in read_guides(ROOT / "proto" / "guides")}


class Demo:
    """A platform as `make up` leaves it."""

    def __init__(self, platform):
        self.platform = platform
        platform.sxctl("demo", platform.url(), timeout=300)
        self.known = json.loads((platform.home / "demo.json").read_text())


@pytest.fixture(scope="module")
def demo():
    """Of its own: the guides name the store 1 and the app 1."""
    with Platform() as platform:
        yield Demo(platform)


# As they are when nobody sets any.
SETTINGS = dict(re.findall(r"^\| `(SX_\w+)` \| `([^`]+)` ", (ROOT / "README.md").read_text(), re.M))


def limits():
    """Of rates: name to "REQUESTS/SECONDS"."""
    return {name: value for name, value in SETTINGS.items() if name.startswith("SX_RATE_")}


@pytest.fixture
def demo_of(name, request):
    """Tests have room for more requests than others; the guide about limits is followed within those of everybody."""
    if name != "rate-limits":
        return request.getfixturevalue("demo")
    return Demo(request.getfixturevalue("make_platform")(settings=limits()))


def consent(demo, address):
    """What a guide tells the merchant to do in a browser; where the browser goes then."""
    browser, merchant = Browser(demo.platform), demo.known["merchant"]
    browser.open(address[address.index("/api/"):])
    browser.submit(identifier=merchant["email"], password=merchant["password"])
    return browser.submit("install").headers["Location"]


def code_of(reader, demo):
    """Of the address that was printed last."""
    back = urlsplit(consent(demo, reader.printed.strip().splitlines()[-1]))
    assert f"{back.scheme}://{back.netloc}{back.path}" == reader.here("http://127.0.0.1:3000/oauth/callback")
    return dict(parse_qsl(back.query))["code"]


def install_with_the_program(reader, demo):
    """It takes the answer in the browser that began, and in no other, and no other answer."""
    port = reader.port("3000")
    ask = lambda path, cookie="": client.ask(port, "GET", path, {"Cookie": cookie})     # noqa: E731
    assert ask("/install?store_id=1%20").status_code == 400
    begun = [ask("/install?store_id=1") for _ in range(3)]
    cookies = [answer.headers["Set-Cookie"] for answer in begun]
    assert all("HttpOnly; SameSite=Lax" in cookie for cookie in cookies)
    mine, other, third = (cookie.split(";")[0] for cookie in cookies)
    back = consent(demo, begun[0].headers["Location"]).split(str(port))[1]
    for cookie in ("", "install=x", other):
        assert ask(back, cookie).status_code == 400
    assert ask(back.replace("state=", "state=x"), third).status_code == 400
    assert ask(back, mine).text == "Installed."
    assert ask(back, mine).status_code == 400                               # once


def wait_for_event(reader, topic):
    """The log hears of a change a moment after it."""
    reader.paste(f'until curl -s "$API/api/apps/v1/events?after=0" -H "Authorization: Bearer $token" | grep -q {topic}; do sleep 0.1; done', 20)


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_is_true(name, demo_of, tmp_path):
    def before(reader, block):
        if "python3 follow.py" in block.code:
            wait_for_event(reader, "order.created")
        if "sx_ac_…" in block.code and block.language == "sh":
            reader.known["sx_ac_…"] = code_of(reader, demo_of)
        if "cat install.log" in block.code:
            install_with_the_program(reader, demo_of)

    with Reader(demo_of.platform, tmp_path) as reader:
        reader.follow(GUIDES[name], before)


def test_the_client_that_waits_never_hears_that_it_was_too_much(make_platform, tmp_path):
    """The guide's, with a window that it uses up again and again."""
    platform = make_platform(settings={"SX_RATE_GLOBAL": "4/1"})
    shop = Owner(platform).open_shop()
    program = next(block.code for block in GUIDES["rate-limits"].blocks if block.file == "polite.py")
    (tmp_path / "polite.py").write_text(program)
    ran = subprocess.run(["/usr/bin/python3", "polite.py", "9"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
                         env={"API": platform.url(), "TOKEN": shop.access_token})
    assert ran.returncode == 0 and ran.stdout.endswith(" asked 9 times\n"), ran.stderr
    seen = [line["status"] for line in platform["gateway-1"].log_lines() if line.get("path") == "/api/apps/v1/store"]
    assert seen == [200] * 9


def token_of(shop, key=None, head=None, **changes):
    now = int(time.time())
    said = {"iss": "selorax", "aud": shop.client_id, "sub": "1", "sid": 1, "app_id": 1, "iat": now, "exp": now + 600, **changes}
    text = ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in (head or {"alg": "HS256"}, said))
    made = hmac.new((key or shop.session_signing_key).encode(), text.encode(), hashlib.sha256).digest()
    return text + "." + base64.urlsafe_b64encode(made).decode().rstrip("=")


def test_the_check_of_session_tokens_believes_no_others(platform):
    """The guide's program: tokens of other apps, of other times, signed by others or by nobody, and what is no token."""
    merchant = Merchant(platform)
    shop, known = merchant.shop, {}
    program = next(block.code for block in GUIDES["install"].blocks if block.file == "session.py")
    exec(program[:program.index("said = verify(sys")], known)               # pylint: disable=exec-used
    verify, now, good = known["verify"], int(time.time()), merchant.session_token()
    assert (verify(good, shop.session_signing_key, shop.client_id)["sub"]) == str(shop.store_id)
    assert verify(token_of(shop), shop.session_signing_key, shop.client_id)
    head, payload, mark = good.split(".")
    nothing = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    for bad in (token_of(shop, key="0" * 64), token_of(shop, aud="sx_app_other"), token_of(shop, iss="other"), token_of(shop, exp=now - 1),
                token_of(shop, iat=now + 120), token_of(shop, exp="never"), token_of(shop, head={"alg": "none"}), token_of(shop, head={"alg": "ES256"}),
                token_of(shop, head=["HS256"]), f"{nothing}.{payload}.", f"{head}.{payload}.", f"{head}.{payload}", f"{head}.{payload}x.{mark}",
                f"{head}.{payload}.{mark[:-2]}AA", f"{'[' * 9000}.{payload}.{mark}", "", "..", "\ud800.a.b", "é.é.é"):
        with pytest.raises(ValueError):
            verify(bad, shop.session_signing_key, shop.client_id)


# ---- figures ---------------------------------------------------------------------------------------------------------


def constant(file, name):
    """A #define of the programs."""
    return int(eval(re.search(rf"#define {name}\s+([\d* ()]+)", (ROOT / file).read_text()).group(1)))     # pylint: disable=eval-used


COMMON = json.loads((ROOT / "proto" / "common.json").read_text())["components"]
HOOKS, AUTH, BILLING = "services/webhooks", "services/auth", "services/billing"
GAPS = [int(gap) // 60 for gap in re.search(r"gaps_s\[\] = {([\d, ]+)}", (ROOT / HOOKS / "delivery_note.c").read_text()).group(1).split(",")]
AMOUNTS = re.search(r"\('BDT', 2, (\d+), (\d+)\)", (ROOT / BILLING / "schema/001_init.sql").read_text()).groups()
PAGE = COMMON["parameters"]["Limit"]["schema"]
BATCH = json.loads((ROOT / "proto/billing-subscriptions.json").read_text())["components"]["schemas"]["UsageBatch"]["properties"]["charges"]["maxItems"]


def figures():
    """What the guides promise in numbers: sentence by sentence, as the programs have them."""
    yield "first-app", f"A page has {PAGE['default']} orders unless you ask for up to {PAGE['maximum']}"
    yield "first-app", f"kept for {constant(f'{HOOKS}/retention.c', 'KEEP_DAYS') - 1} days in a log"
    yield "install", f"The code is good for {constant(f'{AUTH}/oauth_authorize.c', 'CODE_S')} seconds and once"
    yield "install", (f"An access token lives for {constant(f'{AUTH}/tokens.h', 'ACCESS_TOKEN_S') // 3600} hours, "
                      f"a refresh token for {constant(f'{AUTH}/tokens.h', 'REFRESH_TOKEN_S') // 86400} days")
    yield "install", f"The token endpoint takes {limits()['SX_RATE_TOKEN'].split('/')[0]} requests a minute"
    yield "install", {600: "a JWT of ten minutes"}[constant(f"{AUTH}/session_tokens.h", "SESSION_TOKEN_S")]
    yield "install", f"{limits()['SX_RATE_VERIFY'].split('/')[0]} times a minute for an address"
    yield "webhooks", f"until you answer 2xx within {constant(f'{HOOKS}/deliver.c', 'ANSWER_WAIT_MS') // 1000} seconds"
    yield "webhooks", {6: "**Six attempts**"}[constant(f"{HOOKS}/delivery.h", "ATTEMPTS_MAX")]
    minute, five, thirty, two, twelve = GAPS
    yield "webhooks", f"again after {minute} minute, {five} minutes, {thirty} minutes, {two // 60} hours and {twelve // 60} hours"
    yield "webhooks", f"respected for up to {constant(f'{HOOKS}/delivery_note.c', 'RETRY_AFTER_MAX_S') // 3600} hours"
    yield "webhooks", f"after {constant(f'{HOOKS}/delivery.h', 'FAILURES_MAX')} events in a row have failed for good"
    yield "webhooks", f"are kept for {constant(f'{HOOKS}/retention.c', 'KEEP_DAYS') - 1} days"
    yield "webhooks", f"is taken over after {constant(f'{HOOKS}/subscriptions.c', 'ROTATION_S') // 3600} hours"
    least, most = (int(amount) // 100 for amount in AMOUNTS)
    yield "billing", f"Amounts are from {least:,}.00 to {most:,}.00 BDT"
    yield "billing", (f"the platform keeps {int(SETTINGS['SX_COMMISSION_RATE']) / 10000:g} % unless your app has terms of its own, "
                      f"and the payment provider {int(SETTINGS['SX_GATEWAY_FEE_RATE']) / 10000:g} %")
    yield "billing", f"pay or decline within {int(SETTINGS['SX_CHARGE_EXPIRY']) // 3600} hours"
    days = (ROOT / BILLING / "subscription.h").read_text()
    assert "GRACE_US  (7 * DAY_US)" in days and "NOTICE_US (3 * DAY_US)" in days
    yield "billing", "Three days before a period ends the next payment is asked for"
    yield "billing", "one that is more than seven days late ends it"
    yield "billing", f"Up to {BATCH} at once go to `usage-charges/batch`"
    yield "idempotency", f"Any text of up to {COMMON['parameters']['IdempotencyKey']['schema']['maxLength']} characters"
    yield "idempotency", "is kept for 24 hours"                             # test_idempotency.py holds the time
    for name, limit in limits().items():
        requests, seconds = limit.split("/")
        yield "rate-limits", f"(`{name.removeprefix('SX_RATE_').lower()}`) | {int(requests):,} in {seconds} s |"


@pytest.mark.parametrize("name, sentence", figures())
def test_its_figures_are_those_of_the_programs(name, sentence):
    assert sentence in GUIDES[name].prose, sentence


def test_every_class_of_limits_is_named():
    assert set(limits()) == {f"SX_RATE_{name.upper()}" for name in re.findall(r"\(`(\w+)`\) \|", GUIDES["rate-limits"].prose)}

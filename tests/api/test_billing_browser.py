"""A merchant pays in Chromium: sign-in, approval, the sandbox's page and the way back to the app (contract E.1, K.5).

test_billing_page.py says what the pages are; this says that a browser with its own opinion of cookies, redirects and policies
goes all the way, without a script and without asking anybody else.
"""

import http.server
import threading
from urllib.parse import urlsplit

import pytest

from .chromium import Chromium
from .payments import DECLINED, Payer
from .shop import PASSWORD


@pytest.fixture(scope="module")
def chromium():
    with Chromium() as browser:
        yield browser


class App:
    """An app's own site, where merchants come back to: `visits` are the paths they came with."""

    def __init__(self):
        self.visits = visits = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                visits.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(b"<!DOCTYPE html><title>The app</title><p>Welcome back</p>")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def app():
    with App() as one:
        yield one


@pytest.fixture
def payer(platform):
    return Payer(platform, fee_payer="merchant")


def signed_in(chromium, payer, charge):
    """A tab that opened the charge's page and was asked who it is on the way."""
    tab, path = chromium.tab(), urlsplit(charge["confirmation_url"]).path
    tab.open(payer.platform.url(path))
    assert urlsplit(tab.url).path == "/api/auth/sign-in" and "Sign in" in tab.text and charge["name"] not in tab.text
    tab.fill("identifier", payer.owner.email)
    tab.fill("password", PASSWORD)
    tab.press("button")
    assert tab.url == payer.platform.url(path)
    return tab


def kept_to_itself(tab, *places):
    """Pages were all that it asked for, and nobody but these was asked."""
    assert {kind for kind, _ in tab.requests} == {"Document"}, tab.requests
    assert {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for _, url in tab.requests} == set(places)
    assert tab.complaints == []


def test_approve_pay_and_land(chromium, app, payer):
    charge = payer.charge(500, name="Setup & more", return_url=f"{app.url}/done?shop=7")
    tab = signed_in(chromium, payer, charge)
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in tab.page.tags}
    for line in ("Setup & more", "The app: 500.00 BDT", "Platform fee: 100.00 BDT", "Payment fee: 12.50 BDT", "To pay: 612.50 BDT"):
        assert line in tab.text, tab.text
    tab.press("button[value=approve]")
    assert "Pay with the sandbox" in tab.text and "To pay: 612.50 BDT" in tab.text
    tab.press("button[value=pay]")
    landed = f"/done?shop=7&payment=success&charge_id={charge['charge_id']}"
    assert tab.url == app.url + landed and app.visits == [landed] and "Welcome back" in tab.text
    assert payer.seen(charge["charge_id"])["status"] == "active"
    assert payer.moved(charge["charge_id"]) == {"platform": 10000, "gateway": 1250, "developer": 50000}
    kept_to_itself(tab, payer.platform.url(), app.url)
    tab.open(charge_page := payer.platform.url(urlsplit(charge["confirmation_url"]).path))
    assert tab.url == charge_page and "It is paid" in tab.text and tab.page.forms == []


def test_decline(chromium, app, payer):
    charge = payer.charge(return_url=f"{app.url}/done")
    tab = signed_in(chromium, payer, charge)
    tab.press("button[value=decline]")
    landed = f"/done?payment=cancelled&charge_id={charge['charge_id']}"
    assert tab.url == app.url + landed and app.visits == [landed]
    assert payer.seen(charge["charge_id"])["status"] == "declined" and payer.moved(charge["charge_id"]) == {}
    kept_to_itself(tab, payer.platform.url(), app.url)
    tab.back()
    assert "It is declined" in tab.text and tab.page.forms == []


def test_a_card_that_is_refused_and_another_try(chromium, app, payer):
    charge = payer.charge(return_url=f"{app.url}/done")
    tab = signed_in(chromium, payer, charge)
    tab.press("button[value=approve]")
    tab.fill("card_number", "4242")
    tab.press("button[value=pay]")
    assert "12 to 19 digits" in tab.text
    tab.fill("card_number", DECLINED)
    tab.press("button[value=pay]")
    assert tab.url == f"{app.url}/done?payment=failed&charge_id={charge['charge_id']}"
    assert payer.seen(charge["charge_id"])["status"] == "pending"
    tab.open(payer.platform.url(urlsplit(charge["confirmation_url"]).path))
    tab.press("button[value=approve]")
    tab.press("button[value=pay]")
    assert tab.url == f"{app.url}/done?payment=success&charge_id={charge['charge_id']}"
    assert payer.seen(charge["charge_id"])["status"] == "active" and sum(payer.moved(charge["charge_id"]).values()) == 61250
    kept_to_itself(tab, payer.platform.url(), app.url)

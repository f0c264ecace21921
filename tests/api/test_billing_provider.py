"""Where merchants pay (SX_BILLING_PROVIDER): the sandbox takes any card and its payments are owed to developers, so outside of
development nobody pays there, whatever was said there before; and no secret goes to a provider that is not the real one."""

import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from .browser import Browser
from .certificates import Authority
from .credentials import accepted, refused
from .oauth_answers import error_page
from .payments import CALLBACK, CARD, SILENT, Payer, approve, pay_by, word_of
from .platform import as_user, give
from .test_installations import until

LIVE = {"SX_DEV": "0", "SX_CLOCK_FILE": ""}
EPS = {"SX_BILLING_PROVIDER": "eps", "SX_PUBLIC_URL": "https://pay.example", "SX_EPS_USERNAME": "u", "SX_EPS_PASSWORD_FILE": "p",
       "SX_EPS_HASH_KEY_FILE": "h", "SX_EPS_MERCHANT_ID": "m", "SX_EPS_STORE_ID": "s"}


@pytest.mark.parametrize("settings, named", [({"SX_BILLING_PROVIDER": "sandbox"}, "SX_BILLING_PROVIDER"),
                                             ({**EPS, "SX_EPS_URL": "http://pgapi.eps.com.bd"}, "SX_EPS_URL")])
def test_what_is_not_safe_does_not_start(platform, settings, named):
    done = subprocess.run([str(platform.home / "bin" / "billing")], env={**platform.settings, **LIVE, **settings}, cwd=platform.home,
                          capture_output=True, text=True, check=False, timeout=20, **as_user())
    assert done.returncode == 1 and done.stderr.startswith(f"{named}: "), done.stderr


def test_nobody_pays_where_there_is_no_provider(make_platform):
    platform = make_platform(settings=LIVE)
    payer = Payer(platform)
    charge = payer.charge()
    body = refused(payer.say(charge["charge_id"], "approve"), 503, "service_unavailable")
    assert "SX_BILLING_PROVIDER" in body["message"]
    browser = payer.browser()
    page = browser.open(charge["confirmation_url"].removeprefix("https://admin.selorax.io"))
    assert "form-action 'self' https://app.example" in page.headers["Content-Security-Policy"]
    error_page(browser.submit("approve"), 503, "service_unavailable")
    assert payer.checkouts(charge["charge_id"]) == [] and payer.seen(charge["charge_id"])["status"] == "pending"
    assert accepted(payer.say(charge["charge_id"], "decline"))["status"] == "declined"


def go_live(platform, **settings):
    platform["billing-1"].terminate()
    platform["billing-1"].environment.update({**LIVE, **settings})
    platform["billing-1"].start()


def test_what_the_sandbox_said_before_counts_for_nothing(make_platform):
    platform = make_platform()
    payer = Payer(platform)
    silent, told, begun = (payer.charge_id() for _ in range(3))
    pay_by(Browser(platform), payer.approve(silent), SILENT)
    path = payer.approve(told)
    word = word_of(pay_by(Browser(platform), path, CARD), path.rsplit("/", 1)[1])
    page = payer.approve(begun)
    assert platform.get(page).headers["Location"] == f"{page}/sandbox"
    go_live(platform)
    until(lambda: payer.get().status_code == 200)
    assert accepted(platform.post(f"{CALLBACK}/sandbox", word))["status"] == "failed"
    payer.ask_now(silent)
    until(lambda: payer.checkouts(silent)[0][1] == "failed")
    error_page(Browser(platform).send("GET", f"{page}/sandbox"), 404, "not_found")
    error_page(Browser(platform).send("POST", f"{page}/sandbox", {"decision": "pay", "card_number": CARD}), 404, "not_found")
    for charge_id in (silent, told, begun):
        assert payer.seen(charge_id)["status"] == "pending" and payer.moved(charge_id) == {}
        refused(payer.say(charge_id, "approve"), 503, "service_unavailable")


def test_payments_of_a_provider_that_was_given_up(make_platform):
    """They stay open, are asked about in vain, and hold up nobody."""
    platform = make_platform()
    payer = Payer(platform)
    charge_id = payer.charge_id()
    payer.approve(charge_id)
    platform.postgres.rows("update billing.checkout set provider = 'eps', location = 'https://eps.example/pay'")
    secret = platform.home / "secret"
    secret.write_text("not for the log")
    give(secret)
    platform["billing-1"].terminate()
    platform["billing-1"].environment.update({"SX_EPS_PASSWORD_FILE": str(secret), "SX_EPS_HASH_KEY_FILE": str(secret)})
    platform["billing-1"].start()
    payer.ask_now(charge_id)
    until(lambda: any(line["event"] == "payment_not_asked" for line in platform["billing-1"].log_lines()))
    assert [status for _, status in payer.checkouts(charge_id)] == ["open"]
    until(lambda: payer.get().status_code == 200)
    browser = payer.browser()
    browser.open(approve(payer.shop, {"charge_id": charge_id}))              # at the sandbox: not the one at EPS again
    browser.submit("pay")
    assert payer.seen(charge_id)["status"] == "active"


class Listener:
    """A server with that TLS context: what it was sent once the handshake was over."""

    def __init__(self, context):
        self.socket, self.heard, self.greeted = socket.create_server(("127.0.0.1", 0)), [], 0
        self.context, self.port = context, self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            self.greeted += 1
            plain.settimeout(5)
            try:
                with self.context.wrap_socket(plain, server_side=True) as safe:
                    self.heard.append(safe.recv(65536))
            except (ssl.SSLError, OSError):
                plain.close()


@pytest.mark.parametrize("self_signed", [False, True])
def test_a_foreign_certificate_hears_no_secret(make_platform, self_signed):
    listener = Listener(Authority().context("localhost", self_signed=self_signed))
    platform = make_platform()
    payer = Payer(platform)
    charge_id = payer.charge_id()
    for name in ("password", "hash.key"):
        Path(platform.home, name).write_text("not for strangers")
        give(Path(platform.home, name))
    platform["billing-1"].terminate()
    platform["billing-1"].environment.update({
        **EPS, "SX_EPS_URL": f"https://localhost:{listener.port}", "SX_EPS_PASSWORD_FILE": str(platform.home / "password"),
        "SX_EPS_HASH_KEY_FILE": str(platform.home / "hash.key")})
    platform["billing-1"].start()
    until(lambda: payer.get().status_code == 200)
    error_page(platform.get(payer.approve(charge_id)), 503, "service_unavailable")
    assert listener.greeted and listener.heard == [] and payer.checkouts(charge_id)[0][1] == "failed"
    assert "not for strangers" not in platform["billing-1"].log.read_text()
    listener.socket.close()

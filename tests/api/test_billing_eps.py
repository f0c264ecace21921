"""Payments through EPS, against a server that speaks its messages: token, initialise, check (K.5). What the gateway says when it
is asked is all that counts; what a browser brings is a reason to ask."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from .browser import Browser
from .credentials import accepted, refused
from .oauth_answers import error_page
from .payments import CALLBACK, Payer, at_once, landed
from .platform import Platform, as_user, give
from .test_installations import until

USER, PASSWORD, KEY, MERCHANT, STORE = "platform@eps.example", "p\"ss\\word", "FHZxyz56789=", "29e86e70-merchant", "d44e705f-store"
WRONG = (500, b"<html>"), (200, b"not json"), (200, b"{}"), (200, b'{"RedirectURL": "javascript:alert(1)"}'), (302, b""), (200, b"[" * 5000)


def hash_of(about):
    return base64.b64encode(hmac.new(KEY.encode(), about.encode(), hashlib.sha512).digest()).decode()


class Eps:
    """payments: what it knows, by merchantTransactionId. answers: what it says instead of what is right, by the end of a path."""

    def __init__(self):
        self.payments, self.begun, self.answers, self.asked, self.complaints, self.hold = {}, [], {}, [], [], None
        eps = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                eps.take(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def do_GET(self):
                eps.take(self, None)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request, body):
        parts = urlsplit(request.path)
        what = parts.path.rsplit("/", 1)[1]
        self.asked.append(what)
        if self.hold:
            self.hold.wait(20)
        status, text = self.answers.get(what) or (200, json.dumps(getattr(self, what)(request, parts, body)).encode())
        request.send_response(status)
        request.send_header("Content-Length", str(len(text)))
        if status == 302:
            request.send_header("Location", f"{self.url}/elsewhere")
        request.end_headers()
        request.wfile.write(text)

    def check(self, request, about, token=True):
        if request.headers["x-hash"] != hash_of(about):
            self.complaints.append(f"{request.path}: x-hash")
        if token and request.headers["Authorization"] != "Bearer token-1":
            self.complaints.append(f"{request.path}: {request.headers['Authorization']}")

    def GetToken(self, request, _, body):
        self.check(request, USER, token=False)
        if body != {"userName": USER, "password": PASSWORD}:
            self.complaints.append(f"{body}")
        return {"token": "token-1", "expireDate": "2030-01-01T00:00:00Z", "errorMessage": None, "errorCode": None}

    def InitializeEPS(self, request, _, body):
        reference = body["merchantTransactionId"]
        self.check(request, reference)
        self.begun.append(body)
        if reference in self.payments:
            return {"ErrorMessage": "Duplicate merchantTransactionId", "ErrorCode": "1"}
        self.payments[reference] = {"MerchantTransactionId": reference, "Status": "Pending", "TotalAmount": f"{body['totalAmount']:.2f}"}
        return {"TransactionId": f"eps-{reference}", "RedirectURL": f"{self.url}/PG?data={reference}", "ErrorMessage": "", "ErrorCode": None}

    def CheckMerchantTransactionStatus(self, request, parts, _):
        [reference] = parse_qs(parts.query)["merchantTransactionId"]
        self.check(request, reference)
        return self.payments.get(reference, {"ErrorMessage": "No transaction", "Status": None})

    def back(self, reference, joint="&"):
        """Where it sends the browser, with what it adds: EPS's own words, which prove nothing."""
        [body] = [body for body in self.begun if body["merchantTransactionId"] == reference]
        parts = urlsplit(body["successUrl"])
        assert f"{parts.scheme}://{parts.netloc}" == "http://pay.example"
        return f"{parts.path}?{parts.query}{joint}Status=Success&status=&MerchantTransactionId={reference}&ErrorCode=&ErrorMessage="


@pytest.fixture(scope="module")
def world():
    eps = Eps()
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        for name, text in (("password", PASSWORD), ("hash.key", KEY)):
            Path(place, name).write_text(text + "\n", encoding="utf-8")
            give(Path(place, name))
        with Platform(settings={
                "SX_BILLING_PROVIDER": "eps", "SX_PUBLIC_URL": "http://pay.example", "SX_EPS_URL": eps.url, "SX_EPS_USERNAME": USER,
                "SX_EPS_PASSWORD_FILE": f"{place}/password", "SX_EPS_HASH_KEY_FILE": f"{place}/hash.key", "SX_EPS_MERCHANT_ID": MERCHANT,
                "SX_EPS_STORE_ID": STORE}) as platform:
            yield platform, eps
    eps.server.shutdown()


@pytest.fixture
def eps(world):
    world[1].answers, world[1].complaints, world[1].hold = {}, [], None
    yield world[1]
    assert world[1].complaints == []


@pytest.fixture
def payer(world):
    return Payer(world[0])


def begin(payer, eps, charge_id):
    """Approved, and the browser sent to EPS: the payment's reference."""
    path = payer.approve(charge_id)
    reference = path.rsplit("/", 1)[1]
    answer = payer.platform.get(path)
    assert answer.status_code == 303 and answer.headers["Location"] == f"{eps.url}/PG?data={reference}", answer
    return reference


def say(eps, reference, status, **fields):
    eps.payments[reference].update(Status=status, **fields)


def come_back(payer, eps, reference, **options):
    return payer.platform.get(eps.back(reference, **options))


# ---- the way through -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("joint", ["&", "?"])
def test_approved_paid_and_back(payer, eps, joint):
    charge = payer.charge(512.5, name='Setup "é" \\')
    answer = accepted(payer.say(charge["charge_id"], "approve"))
    reference = begin(payer, eps, charge["charge_id"])
    assert answer["payment_url"] == f"http://pay.example/api/apps/billing/payments/{reference}"
    body = eps.begun[-1]
    assert {name: body[name] for name in ("merchantId", "storeId", "merchantTransactionId", "totalAmount", "transactionTypeId", "ProductName",
                                          "customerEmail", "customerName", "CustomerOrderId")} == {
        "merchantId": MERCHANT, "storeId": STORE, "merchantTransactionId": reference, "totalAmount": 512.5, "transactionTypeId": 1,
        "ProductName": 'Setup "é" \\', "customerEmail": payer.owner.email, "customerName": "Test Owner",
        "CustomerOrderId": f"charge-{charge['charge_id']}"}
    assert payer.platform.get(urlsplit(answer["payment_url"]).path).headers["Location"] == f"{eps.url}/PG?data={reference}"
    assert len([b for b in eps.begun if b["merchantTransactionId"] == reference]) == 1
    say(eps, reference, "Success")
    assert landed(come_back(payer, eps, reference, joint=joint)) == (
        "https://app.example/done", {"payment": "success", "charge_id": str(charge["charge_id"])})
    assert payer.seen(charge["charge_id"])["status"] == "active" and sum(payer.moved(charge["charge_id"]).values()) == 51250
    assert payer.seen(reference)["charge_id"] == charge["charge_id"]       # apps find it by merchant_transaction_id too


def test_the_page_lets_the_form_lead_to_eps(payer, eps):
    charge = payer.charge()
    browser = payer.browser()
    page = browser.open(urlsplit(charge["confirmation_url"]).path)
    assert "form-action 'self' https://app.example https:" in page.headers["Content-Security-Policy"]
    answer = browser.submit("approve")
    assert answer.status_code == 303 and answer.headers["Location"].startswith(f"{eps.url}/PG?data=sx")


@pytest.mark.parametrize("status, payment, checkout", [("Failed", "failed", "failed"), ("FAILED", "failed", "failed"), ("Cancelled", "cancelled", "cancelled"),
                                                       ("CANCEL", "cancelled", "cancelled")])
def test_not_paid(payer, eps, status, payment, checkout):
    charge_id = payer.charge_id()
    reference = begin(payer, eps, charge_id)
    say(eps, reference, status)
    assert landed(come_back(payer, eps, reference))[1]["payment"] == payment
    assert payer.seen(charge_id)["status"] == "pending" and payer.checkouts(charge_id) == [(reference, checkout)]
    say(eps, begin(payer, eps, charge_id), "Success")
    other = [reference for reference, status in payer.checkouts(charge_id) if status == "open"][0]
    assert landed(come_back(payer, eps, other))[1]["payment"] == "success"


@pytest.mark.parametrize("answer", [{"data": {"transactionStatus": "x", "Status": "SUCCESS", "totalAmount": 500, "merchantTransactionId": "{}"}},
                                    {"status": "success", "totalAmount": "500.0000", "merchanttransactionid": "{}"},
                                    {"Status": "Success", "TotalAmount": 500.00, "MerchantTransactionId": "{}", "data": None}])
def test_other_spellings(payer, eps, answer):
    charge_id = payer.charge_id()
    reference = begin(payer, eps, charge_id)
    eps.payments[reference] = json.loads(json.dumps(answer).replace("{}", reference, 1))
    assert landed(come_back(payer, eps, reference))[1]["payment"] == "success"


# ---- what is not to be believed --------------------------------------------------------------------------------------


def test_what_the_browser_says_is_nothing(payer, eps):
    charge_id = payer.charge_id()
    reference = begin(payer, eps, charge_id)
    page = come_back(payer, eps, reference)                     # Status=Success, while EPS says Pending
    assert page.status_code == 200 and "waiting" in page.text and payer.seen(charge_id)["status"] == "pending"
    path = f"/api/apps/billing/payments/{reference}/return"
    for query in ("", "?Status=Success", "?signature=x", f"?signature={'0' * 64}", f"?signature={'0' * 64}?Status=Success"):
        error_page(payer.platform.get(path + query), 403, "forbidden")
    say(eps, reference, "Success")
    for signature in ("0" * 64, hash_of(reference)):
        refused(payer.platform.post(f"{CALLBACK}/eps", {"merchantTransactionId": reference, "signature": signature}), 403, "forbidden")
    refused(payer.platform.post(f"{CALLBACK}/sandbox", {"reference": reference, "signature": "x"}), 404, "not_found")
    error_page(payer.platform.get(f"/api/apps/billing/payments/{reference}/sandbox"), 404, "not_found")
    assert payer.seen(charge_id)["status"] == "pending"
    signature = parse_qs(urlsplit(eps.back(reference)).query)["signature"][0]
    word = {"merchantTransactionId": reference, "signature": signature}
    assert accepted(payer.platform.post(f"{CALLBACK}/eps", word)) == {"reference": reference, "status": "paid"}
    assert payer.seen(charge_id)["status"] == "active"


@pytest.mark.parametrize("wrong", [{"TotalAmount": "499.99"}, {"TotalAmount": "500.001"}, {"TotalAmount": None}, {"TotalAmount": "5e2"},
                                   {"TotalAmount": 50000}, {"MerchantTransactionId": "another"}, {"MerchantTransactionId": None}])
def test_an_answer_about_something_else(payer, eps, wrong):
    charge_id = payer.charge_id()
    reference = begin(payer, eps, charge_id)
    say(eps, reference, "Success", **wrong)
    assert come_back(payer, eps, reference).status_code == 200
    assert payer.seen(charge_id)["status"] == "pending" and payer.moved(charge_id) == {}


@pytest.mark.parametrize("status", ["Failed", "Cancelled"])
def test_another_payments_failure_is_not_ours(payer, eps, status):
    charge_id = payer.charge_id()
    reference = begin(payer, eps, charge_id)
    say(eps, reference, status, MerchantTransactionId="another")
    assert come_back(payer, eps, reference).status_code == 200
    assert payer.checkouts(charge_id) == [(reference, "open")]
    say(eps, reference, status, MerchantTransactionId=None)
    assert come_back(payer, eps, reference).status_code == 303 and payer.checkouts(charge_id) == [(reference, status.lower())]


def test_replayed_at_once(payer, eps):
    charge_id = payer.charge_id()
    reference = begin(payer, eps, charge_id)
    say(eps, reference, "Success")
    word = {"reference": reference, "signature": parse_qs(urlsplit(eps.back(reference)).query)["signature"][0]}
    answers = at_once(16, lambda n: payer.platform.post(f"{CALLBACK}/eps", word) if n % 2 else come_back(payer, eps, reference))
    assert {answer.status_code for answer in answers} == {200, 303}
    assert sum(payer.moved(charge_id).values()) == 50000
    until(lambda: "charge.activated" in payer.topics(charge_id))
    assert payer.topics(charge_id) == ["charge.created", "charge.activated"]


def test_many_browsers_begin_one_payment(payer, eps):
    charge_id = payer.charge_id()
    path = payer.approve(charge_id)
    answers = at_once(8, lambda _: payer.platform.get(path))
    assert {answer.status_code for answer in answers} <= {200, 303}
    assert payer.platform.get(path).headers["Location"].startswith(f"{eps.url}/PG?data=sx")
    assert [body["merchantTransactionId"] for body in eps.begun].count(path.rsplit("/", 1)[1]) == 1


# ---- when EPS does not answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["GetToken", "InitializeEPS"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_payment_that_cannot_begin(payer, eps, what, wrong):
    charge_id = payer.charge_id()
    path = payer.approve(charge_id)
    eps.answers[what] = wrong
    error_page(payer.platform.get(path), 503, "service_unavailable")
    assert payer.checkouts(charge_id)[0][1] == "failed" and payer.seen(charge_id)["status"] == "pending"
    eps.answers = {}
    assert payer.approve(charge_id) != path
    begin(payer, eps, charge_id)


@pytest.mark.parametrize("what", ["GetToken", "CheckMerchantTransactionStatus"])
def test_what_could_not_be_asked_is_asked_again(payer, eps, what):
    charge_id = payer.charge_id()
    reference = begin(payer, eps, charge_id)
    say(eps, reference, "Success")
    eps.answers[what] = (503, b"")
    page = come_back(payer, eps, reference)
    assert page.status_code == 200 and "waiting" in page.text
    word = {"reference": reference, "signature": parse_qs(urlsplit(eps.back(reference)).query)["signature"][0]}
    refused(payer.platform.post(f"{CALLBACK}/eps", word), 503, "service_unavailable")
    before = len(eps.asked)
    payer.ask_now(charge_id)
    until(lambda: len(eps.asked) > before)
    assert payer.seen(charge_id)["status"] == "pending"
    eps.answers = {}
    payer.ask_now(charge_id)
    until(lambda: payer.seen(charge_id)["status"] == "active")
    assert landed(come_back(payer, eps, reference))[1]["payment"] == "success"


def test_silence_holds_up_nobody_else(payer, eps):
    """EPS takes connections and says nothing: pages that wait for it end, and everything else answers meanwhile."""
    waiting = [payer.approve(payer.charge_id()) for _ in range(6)]
    eps.hold = threading.Event()
    threads = [threading.Thread(target=payer.platform.get, args=(path,)) for path in waiting]
    try:
        for thread in threads:
            thread.start()
        until(lambda: "GetToken" in eps.asked[-1:])
        for _ in range(5):
            assert payer.get(limit=1).status_code == 200
            payer.charge_id()
        assert any(thread.is_alive() for thread in threads)
    finally:
        eps.hold.set()
        for thread in threads:
            thread.join()


# ---- settings and secrets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes, named", [({"SX_EPS_USERNAME": ""}, "SX_EPS_USERNAME"), ({"SX_PUBLIC_URL": ""}, "SX_PUBLIC_URL"),
                                            ({"SX_EPS_URL": "ftp://x"}, "SX_EPS_URL"), ({"SX_BILLING_PROVIDER": "cash"}, "SX_BILLING_PROVIDER")])
def test_settings_that_cannot_work_are_refused(world, changes, named):
    platform, _ = world
    done = subprocess.run([str(platform.home / "bin" / "billing")], env={**platform.settings, **changes}, cwd=platform.home,
                          capture_output=True, text=True, check=False, timeout=20, **as_user())
    assert done.returncode == 1 and named in done.stderr, done.stderr


def test_no_secret_is_logged(world):
    platform, _ = world
    text = "".join(process.log.read_text(errors="replace") for process in platform.processes.values())
    assert "eps_failed" in text
    for secret in (PASSWORD, KEY, "token-1", hash_of(USER)):
        assert secret not in text and json.dumps(secret)[1:-1] not in text

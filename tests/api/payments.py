"""Merchants who pay: what an app charges goes through the approval, the sandbox's page and the way back, as a browser does it.

    charge = paid(shop, 500)                              # made, approved and paid
    path = approve(shop, charge)                          # its payment page
    pay(shop, path, card=DECLINED)

A `Payer` is the owner of a store with such an app, and what there is to see of what they do.
"""

import concurrent.futures
from urllib.parse import parse_qs, urlencode, urlsplit

from .browser import Browser
from .credentials import accepted
from .shop import PASSWORD, Owner

BILLING = "/api/apps/v1/billing"
CHARGES = "/api/apps/billing/charges"
CALLBACK = "/api/apps/billing/payments/callback"
RETURN = "https://app.example/done"
CARD, DECLINED, STALLED, SILENT = "4242 4242 4242 4242", "4000 0000 0000 0002", "4000-0000-0000-0259", "4000 0000 0000 3220"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def merchant_headers(owner):
    """Of the account that owns the store, signed in once."""
    if not hasattr(owner, "merchant_token"):
        owner.merchant_token = accepted(owner.platform.post("/api/auth/login", {"email": owner.email, "password": PASSWORD}))["token"]
    return {"x-auth-token": owner.merchant_token}


def say(shop, charge, what, **body):
    """What the merchant says to a charge: approve, decline, cancel."""
    return shop.platform.post(f"{CHARGES}/{charge['charge_id']}/{what}", {"store_id": shop.store_id, **body}, headers=merchant_headers(shop.owner))


def approve(shop, charge):
    """The path of the payment page."""
    return urlsplit(accepted(say(shop, charge, "approve"))["payment_url"]).path


def pay(shop, path, card=CARD, decision="pay"):
    """On the sandbox's page, and back from there: the answer that the browser ends at."""
    answer = shop.platform.post(f"{path}/sandbox", body=urlencode({"decision": decision, "card_number": card}), headers=FORM)
    assert answer.status_code in (302, 303), answer.text
    back = urlsplit(answer.headers["Location"])
    return shop.platform.get(f"{back.path}?{back.query}")


def begin(shop, path):
    """The browser at the payment page, which sends it to the sandbox's."""
    answer = shop.platform.get(path)
    assert answer.status_code in (302, 303) and urlsplit(answer.headers["Location"]).path == f"{path}/sandbox", answer.text


def paid(shop, amount, what="charges", **fields):
    """A charge, or with wallet-topup a top-up, as the app sees it once it is paid."""
    fields = {"amount": amount, **({"name": "Setup"} if what == "charges" else {}), **fields}
    made = shop.post(f"{BILLING}/{what}", fields)
    assert made.status_code == 201, made.text
    path = approve(shop, made.json()["data"])
    begin(shop, path)
    pay(shop, path)
    charge = shop.get(f"{BILLING}/charges/{made.json()['data']['charge_id']}").json()["data"]
    assert charge["status"] == "active", charge
    return charge


class Payer:
    def __init__(self, platform, fee_payer=None):
        self.platform, self.owner = platform, Owner(platform)
        self.shop = self.owner.open_shop()
        self.store_id = self.shop.store_id
        self.headers = merchant_headers(self.owner)
        if fee_payer:
            platform.postgres.rows("insert into billing.app_terms (app_id, fee_payer, updated_at) values (%s, %s, now())",
                                   (self.shop.app_id, fee_payer))

    def charge(self, amount=500, **fields):
        fields = {"name": "Setup", "amount": amount, "return_url": RETURN, **fields}
        made = self.shop.post(f"{BILLING}/charges", {name: value for name, value in fields.items() if value is not None})
        assert made.status_code == 201, made.text
        return made.json()["data"]

    def charge_id(self, *args, **fields):
        return self.charge(*args, **fields)["charge_id"]

    def seen(self, charge_id):
        return accepted(self.shop.get(f"{BILLING}/charges/{charge_id}"))

    def get(self, path="", **params):
        return self.platform.get(CHARGES + path, headers=self.headers, params={"store_id": self.store_id, **params})

    def say(self, charge_id, what, **fields):
        return say(self.shop, {"charge_id": charge_id}, what, **fields)

    def approve(self, charge_id):
        return approve(self.shop, {"charge_id": charge_id})

    def browser(self, owner=None, page="/1/settings/apps/billing/1"):
        """One that has signed in."""
        browser = Browser(self.platform)
        browser.open(f"/api/auth/sign-in?to={page}")
        browser.submit(identifier=(owner or self.owner).email, password=PASSWORD)
        return browser

    def checkouts(self, charge_id):
        return self.platform.postgres.rows("select reference, status from billing.checkout where charge_id = %s order by 1", (charge_id,))

    def topics(self, charge_id):
        """Of the events there have been, in their order."""
        rows = self.platform.postgres.rows(
            "select topic from (select topic, created_at from webhooks.event where resource_type = 'charge' and resource_id = %(id)s and "
            "topic like 'charge.%%' union select topic, created_at from billing.outbox where resource_type = 'charge' and "
            "resource_id = %(id)s and topic like 'charge.%%') as both_of_them order by created_at", {"id": charge_id})
        return [topic for topic, in rows]

    def moved(self, charge_id):
        """What the ledger says a charge has moved: account kind to amount."""
        return dict(self.platform.postgres.rows(
            "select kind, sum(amount)::bigint from billing.transfer join billing.account on account_id = to_account "
            "where charge_id = %s group by kind", (charge_id,)))

    def grow_old(self, charge_id):
        """Its payments are no longer fresh enough to be the same."""
        self.platform.postgres.rows("update billing.checkout set created_at = created_at - interval '31 minutes' where charge_id = %s",
                                    (charge_id,))

    def ask_now(self, charge_id):
        """Whoever asks about payments that nothing was heard of does so now."""
        self.platform.postgres.rows("update billing.checkout set ask_at = now() - interval '1 minute' where charge_id = %s", (charge_id,))


def pay_by(browser, path, card=CARD):
    """From the payment's page to where the sandbox sends the browser, without following it: its last answer."""
    browser.open(path)
    form = browser.forms.forms[0]
    return browser.send("POST", form["action"], {"decision": "pay", "card_number": card})


def word_of(answer, reference):
    """What the sandbox sent the browser back with, as it would tell it by itself."""
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    return {"reference": reference, "status": query["status"][0], "signature": query["signature"][0]}


def landed(answer):
    """Where the browser was sent at last: the address, and what was added to its query."""
    assert answer.status_code == 303, answer
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.scheme}://{parts.netloc}{parts.path}", {name: value for name, [value] in parse_qs(parts.query).items()}


def at_once(count, do):
    """What `do(0)` ... `do(count - 1)` answer, side by side."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(do, range(count)))

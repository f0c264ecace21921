"""Merchants who pay: what an app charges goes through the approval, the sandbox's page and the way back, as a browser does it.

    charge = paid(shop, 500)                              # made, approved and paid
    path = approve(shop, charge)                          # its payment page
    pay(shop, path, card=DECLINED)
"""

from urllib.parse import urlencode, urlsplit

from .shop import PASSWORD

BILLING = "/api/apps/v1/billing"
MERCHANT = "/api/apps/billing/charges"
CARD, DECLINED = "4242 4242 4242 4242", "4000 0000 0000 0002"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def merchant_headers(owner):
    """Of the account that owns the store, signed in once."""
    if not hasattr(owner, "merchant_token"):
        answer = owner.platform.post("/api/auth/login", {"email": owner.email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        owner.merchant_token = answer.json()["data"]["token"]
    return {"x-auth-token": owner.merchant_token}


def say(shop, charge, what, **body):
    """What the merchant says to a charge: approve, decline, cancel."""
    return shop.platform.post(f"{MERCHANT}/{charge['charge_id']}/{what}", {"store_id": shop.store_id, **body}, headers=merchant_headers(shop.owner))


def approve(shop, charge):
    """The path of the payment page."""
    answer = say(shop, charge, "approve")
    assert answer.status_code == 200, answer.text
    return urlsplit(answer.json()["data"]["payment_url"]).path


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

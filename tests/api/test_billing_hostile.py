"""Money under attack: everything at once, everything out of order, and everybody else's numbers (issue 6, bad input).

Whatever wins, the amount of a payment is in the ledger once: with those whom it was for, or owed to the merchant; a charge has
one end, and says so once."""

import os
import uuid

import pytest

from .browser import Browser
from .client import is_error
from .credentials import accepted
from .payments import BILLING, CALLBACK, Payer, approve, at_once, merchant_headers, paid, pay_by, word_of
from .rpc import RpcError
from .test_billing_developer import Developer, refund
from .test_billing_ledger import sealed, verify
from .test_billing_wallets import adjust
from .test_installations import until

ROUNDS = max(3, int(30 * float(os.environ.get("SX_TEST_SCALE", "0.1"))))
ENDS = {"charge.activated", "charge.declined", "charge.cancelled", "charge.expired"}


@pytest.fixture
def payer(platform):
    return Payer(platform)


def is_whole(payer, charge_id):
    """One end, told once; a payment's amount is there once, and with the right ones."""
    charge, [(_, checkout)] = payer.seen(charge_id), payer.checkouts(charge_id)
    until(lambda: not payer.platform.postgres.rows("select 1 from billing.outbox where resource_type = 'charge' and resource_id = %s", (charge_id,)))
    ends = [topic for topic in payer.topics(charge_id) if topic in ENDS]
    assert ends == [f"charge.{'activated' if charge['status'] == 'active' else charge['status']}"]
    split = {"platform": 10000, "gateway": 1250, "developer": 38750}
    assert (checkout, payer.moved(charge_id)) == (("paid", split) if charge["status"] == "active" else ("duplicate", {"owed": 50000}))
    return charge["status"]


# ---- races -----------------------------------------------------------------------------------------------------------


def test_money_against_every_end(payer):
    """The browser comes back and the provider calls while the merchant declines and cancels, the app cancels, and time is over."""
    platform, found = payer.platform, set()
    for first in range(ROUNDS):
        charge_id = payer.charge_id()
        path = payer.approve(charge_id)
        back = pay_by(Browser(platform), path)
        word = word_of(back, path.rsplit("/", 1)[1])

        def expire(charge_id=charge_id):
            platform.postgres.rows("update billing.charge set expires_at = now() - interval '1 second' where charge_id = %s and status = 'pending'",
                                   (charge_id,))

        deeds = [lambda back=back: platform.get(back.headers["Location"]), lambda word=word: platform.post(f"{CALLBACK}/sandbox", word),
                 lambda charge_id=charge_id: payer.say(charge_id, "decline"), lambda charge_id=charge_id: payer.say(charge_id, "cancel"),
                 lambda charge_id=charge_id: payer.shop.post(f"{BILLING}/charges/{charge_id}/cancel", {}), expire]
        deeds = deeds[first % 6:] + deeds[:first % 6]
        at_once(len(deeds), lambda n, deeds=deeds: deeds[n]())
        accepted(platform.post(f"{CALLBACK}/sandbox", word))
        found.add(is_whole(payer, charge_id))
    assert found <= {"active", "declined", "cancelled", "expired"}


def test_money_against_an_uninstall(platform):
    for _ in range(ROUNDS):
        payer = Payer(platform)
        charge_id = payer.charge_id()
        path = payer.approve(charge_id)
        word = word_of(pay_by(Browser(platform), path), path.rsplit("/", 1)[1])

        def end(payer=payer):
            try:
                platform.call("billing.installations.end", installation_id=payer.shop.installation_id, generation=1, store_id=payer.store_id,
                              app_id=payer.shop.app_id)
            except RpcError as error:
                assert error.code == "service_unavailable"               # its events are still on their way to webhooks

        at_once(3, lambda n, end=end, word=word: end() if n == 1 else platform.post(f"{CALLBACK}/sandbox", word))
        assert is_whole(payer, charge_id) in ("active", "cancelled")
        for what, body in (("charges", {"name": "x", "amount": 10}), ("wallet-topup", {"amount": 10}), ("wallet/debit", {"amount": 1}),
                           (f"charges/{charge_id}/refund", {}), (f"charges/{charge_id}/cancel", {})):
            is_error(payer.shop.post(f"{BILLING}/{what}", body), 400, "invalid_installation")


def test_a_topup_is_spent_or_given_back(payer):
    """Debits race refunds of what they would spend: the wallet ends with what is left, and never below nothing."""
    shop = payer.shop
    for _ in range(ROUNDS):
        charge, before = paid(shop, 100, "wallet-topup"), accepted(shop.get(f"{BILLING}/wallet"))["balance"]
        assert before == 100

        def move(n, charge=charge):
            return refund(shop, charge, amount=30) if n % 2 else shop.post(f"{BILLING}/wallet/debit", {"amount": 30})

        moved = [answer.status_code for answer in at_once(12, move)]
        assert set(moved) == {201, 400} and moved.count(201) == 3
        wallet = accepted(shop.get(f"{BILLING}/wallet"))
        assert wallet["balance"] == 10 and accepted(shop.get(f"{BILLING}/charges/{charge['charge_id']}"))["refunded_amount"] == 30 * moved[1::2].count(201)
        assert shop.post(f"{BILLING}/wallet/debit", {"amount": 10}).status_code == 201
    sealed(payer.platform)
    assert verify(payer.platform)[0] == 0


def test_a_payout_against_a_refund(platform):
    """Together they may take what was earned below nothing, and never a payout more than there was when it was asked for."""
    developer = Developer(platform)
    for _ in range(ROUNDS):
        charge = paid(developer.shops[0], 1000)
        available = float(developer.balance()[2])
        answers = at_once(8, lambda n, charge=charge: refund(developer.shops[0], charge, amount=250) if n % 2 else developer.request(amount=300))
        assert [answer.status_code for answer in answers[1::2]] == [201] * 4
        asked = [answer.status_code for answer in answers[::2]].count(201)
        assert asked <= available // 300
        assert round(float(developer.balance()[2]) - available, 2) == -775 - 300 * asked
        for payout in developer.see("payouts")["items"]:
            if payout["status"] == "pending":
                platform.call("billing.payouts.failed", payout_id=payout["payout_id"], reason="not this time")
        assert developer.balance()[1:] == ("0.00", "0.00", "0.00")
    sealed(platform)
    assert verify(platform)[0] == 0


def test_a_payout_has_one_end(platform):
    developer = Developer(platform)
    paid(developer.shops[0], 1000)
    for _ in range(ROUNDS):
        payout_id = developer.request(amount=10).json()["data"]["payout_id"]

        def end(n, payout_id=payout_id):
            try:
                return platform.call(f"billing.payouts.{'failed' if n % 2 else 'paid'}", payout_id=payout_id, **({"reason": "no"} if n % 2 else {}))["status"]
            except RpcError as error:
                return error.code

        words = at_once(8, end)
        assert set(words) in ({"paid", "conflict"}, {"failed", "conflict"}) and words.count("conflict") == 4
    listed = developer.see("payouts", limit=100)["items"]
    kept = 10 * sum(row["status"] == "paid" for row in listed)
    assert developer.balance() == ("775.00", f"{kept}.00", f"{775 - kept}.00", "0.00")


def test_what_is_owed_goes_back_once(payer):
    """Money for a declined charge: an operator gives it back while the provider goes on telling of it."""
    platform, charge_id = payer.platform, payer.charge_id()
    path = payer.approve(charge_id)
    word = word_of(pay_by(Browser(platform), path), path.rsplit("/", 1)[1])
    accepted(payer.say(charge_id, "decline"))
    assert accepted(platform.post(f"{CALLBACK}/sandbox", word))["status"] == "duplicate"
    owed, after = None, 0
    while owed is None:                                                  # other tests have left some as well
        page = platform.call("billing.owed.list", after=after)["payments"]
        owed, after = next((row for row in page if row["charge_id"] == charge_id), None), page[-1]["checkout_id"]
    assert (owed["reference"], owed["store_id"], owed["amount"], owed["status"]) == (word["reference"], payer.store_id, 500, "duplicate")

    def tell(n):
        if n % 2:
            return accepted(platform.post(f"{CALLBACK}/sandbox", word))["status"] in ("duplicate", "returned")
        return platform.call("billing.owed.returned", checkout_id=owed["checkout_id"], note="EPS 77")["status"] == "returned"

    assert all(at_once(8, tell))
    assert payer.moved(charge_id) == {"owed": 50000, "provider": 50000}
    assert accepted(platform.post(f"{CALLBACK}/sandbox", word))["status"] == "returned"
    assert owed["checkout_id"] not in [row["checkout_id"] for row in platform.call("billing.owed.list", after=owed["checkout_id"] - 1)["payments"]]
    paid_once = paid(payer.shop, 20)["charge_id"]
    [(open_one,)] = platform.postgres.rows("select checkout_id from billing.checkout where charge_id = %s", (paid_once,))
    for checkout_id in (open_one, 999999999):
        with pytest.raises(RpcError, match="not_found"):
            platform.call("billing.owed.returned", checkout_id=checkout_id)
    until(lambda: platform.postgres.rows("select count(*) from auth.audit where action = 'payment.returned' and target_id = %s", (charge_id,)) == [(1,)])


# ---- amounts ---------------------------------------------------------------------------------------------------------

ROUTES = ["charges", "wallet-topup", "wallet/debit", "subscriptions", "usage-charges", "refund", "payouts"]
AMOUNTS = ["-1", "0", "-0", "0.00", "500.001", "5e2", "5E+2", "1e400", "-1e400", "NaN", "Infinity", '"500"', "[500]", "{}", "true", "00500", "0x1F4",
           "+500", "500.", ".5", "99999999999999999999", "1000000000.01"]


@pytest.mark.parametrize("route", ROUTES)
def test_amounts_that_are_none(platform, route):
    developer = Developer(platform)
    shop = developer.shops[0]
    adjust(shop, 100000)
    charge = paid(shop, 1000)
    seen = platform.postgres.rows("select (select count(*) from billing.charge), (select count(*) from billing.transfer), "
                                  "(select count(*) from billing.usage_charge), (select count(*) from billing.payout)")
    for amount in AMOUNTS:
        if route == "payouts":
            answer = platform.request("POST", developer.path("payouts"), headers=developer.headers, body=f'{{"amount": {amount}}}')
        else:
            path = f"charges/{charge['charge_id']}/refund" if route == "refund" else route
            more = {"charges": '"name": "x", ', "subscriptions": '"name": "x", "billing_interval": "monthly", ',
                    "usage-charges": '"description": "x", "quantity": 1, "unit_price": '}.get(route, "")
            name = "" if route == "usage-charges" else '"amount": '
            answer = shop.request("POST", f"{BILLING}/{path}", body=f"{{{more}{name}{amount}}}")
        assert answer.status_code == 400, (amount, answer)
        assert answer.json()["code"].lower() in ("invalid_amount", "validation_error", "invalid_json", "insufficient_balance"), (amount, answer)
        if amount == "0":
            assert answer.json()["errors"][0]["message"].startswith("must be " + ("from 10.00" if route in ROUTES[:2] + ROUTES[3:4] else "above 0"))
    assert seen == platform.postgres.rows("select (select count(*) from billing.charge), (select count(*) from billing.transfer), "
                                          "(select count(*) from billing.usage_charge), (select count(*) from billing.payout)")


@pytest.mark.parametrize("payer, commission, parts", [("developer", 0, (0, 25, 975)), ("developer", 975000, (975, 25, 0)), ("merchant", 1000000, (1000, 25, 1000)),
                                                      ("merchant", 0, (0, 25, 1000))])
def test_rates_at_their_ends(platform, payer, commission, parts):
    developer = Developer(platform)
    platform.call("billing.terms.set_fee_payer", app_id=developer.app_id, fee_payer=payer, version=1)
    platform.call("billing.terms.set", app_id=developer.app_id, commission_rate=commission)
    charge = paid(developer.shops[0], 10)
    assert tuple(round(charge[name] * 100) for name in ("platform_amount", "gateway_fee_amount", "developer_amount")) == parts
    assert round(charge["amount"] * 100) == sum(parts)
    for amount in (0.01, 0.19, 3.33, None):
        assert refund(developer.shops[0], charge, **({"amount": amount} if amount else {})).status_code == 201
    assert developer.balance() == ("0.00", "0.00", "0.00", "0.00")
    rows = platform.postgres.rows("select kind, sum(case when to_account = account_id then amount else -amount end) from billing.account join "
                                  "billing.transfer on account_id in (from_account, to_account) where charge_id = %s group by kind", (charge["charge_id"],))
    assert {total for _, total in rows} == {0}


def test_rates_that_leave_nothing(platform):
    developer = Developer(platform)
    for rate in (976000, 1000000):
        platform.call("billing.terms.set", app_id=developer.app_id, commission_rate=rate)
        for what in ("charges", "subscriptions"):
            body = {"name": "x", "amount": 500, **({"billing_interval": "monthly"} if what == "subscriptions" else {})}
            is_error(developer.shops[0].post(f"{BILLING}/{what}", body), 400, "invalid_amount")
    for rate in (-1, 1000001):
        with pytest.raises(RpcError, match="validation_error"):
            platform.call("billing.terms.set", app_id=developer.app_id, commission_rate=rate)


@pytest.mark.parametrize("decimals, good, bad, developer_part, coin", [(0, 11, 10.5, "9", 1), (3, 10.005, 10.0005, "7.754", 0.001)])
def test_a_currency_of_other_decimals(make_platform, decimals, good, bad, developer_part, coin):
    platform = make_platform()
    platform.postgres.rows("update billing.currency set decimals = %s, smallest = 10 * 10 ^ %s, largest = 50000 * 10 ^ %s", (decimals,) * 3)
    developer = Developer(platform)
    shop = developer.shops[0]
    answer = shop.post(f"{BILLING}/charges", {"name": "x", "amount": bad})
    assert answer.status_code == 400 and answer.json()["code"] in ("invalid_amount", "validation_error")
    charge = paid(shop, good)
    assert charge["amount"] == good and developer.balance()[0] == developer_part
    answer = refund(shop, charge, amount=coin)
    assert answer.status_code == 201 and answer.json()["data"]["amount"] == coin
    is_error(refund(shop, charge, amount=good), 400, "invalid_amount")
    assert refund(shop, charge).status_code == 201 and float(developer.balance()[0]) == 0
    top = paid(shop, 11, "wallet-topup")
    assert top["amount"] == 11 and shop.post(f"{BILLING}/wallet/debit", {"amount": coin}).json()["data"]["balance"] == 11 - coin
    sealed(platform)
    assert verify(platform)[0] == 0


# ---- other people's numbers ------------------------------------------------------------------------------------------


def test_another_apps_numbers_are_nobodys(platform):
    """Of the same store, byte for byte as numbers that there are not."""
    payer = Payer(platform)
    stranger = payer.owner.open_shop(store_id=payer.store_id)
    charge = paid(payer.shop, 100)
    waits = payer.charge_id()
    reference = payer.approve(waits).rsplit("/", 1)[1]
    subscription = payer.shop.post(f"{BILLING}/subscriptions", {"name": "Pro", "amount": 100, "billing_interval": "monthly"}).json()["data"]["recurring_charge_id"]
    assert payer.seen(reference)["charge_id"] == waits
    for method, path, one, nobody in [("GET", "charges/{}", waits, 999999999), ("GET", "charges/{}", reference, "sx" + "0" * 32),
                                      ("POST", "charges/{}/cancel", waits, 999999999), ("POST", "charges/{}/refund", charge["charge_id"], 999999999),
                                      ("GET", "subscriptions/{}", subscription, 999999999), ("POST", "subscriptions/{}/cancel", subscription, 999999999)]:
        answers = [stranger.request(method, f"{BILLING}/{path.format(which)}", json_body={} if method == "POST" else None) for which in (one, nobody)]
        assert [answer.status_code for answer in answers] == [404, 404] and answers[0].content == answers[1].content, path
    for what in ("active", "subscriptions", "wallet/transactions", "usage-charges"):
        assert stranger.get(f"{BILLING}/{what}").json()["data"] == []
    adjust(payer.shop, 5000)
    is_error(stranger.post(f"{BILLING}/wallet/debit", {"amount": 1}), 400, "insufficient_balance")
    assert accepted(stranger.get(f"{BILLING}/wallet"))["wallet_id"] != accepted(payer.shop.get(f"{BILLING}/wallet"))["wallet_id"]


def test_a_key_is_of_one_request_of_one_app(platform):
    payer = Payer(platform)
    stranger, key = payer.owner.open_shop(store_id=payer.store_id), {"Idempotency-Key": str(uuid.uuid4())}
    charge = paid(payer.shop, 100)
    first = payer.shop.post(f"{BILLING}/wallet-topup", {"amount": 50}, headers=key)
    assert first.status_code == 201
    for path, body in (("charges", {"name": "x", "amount": 50}), ("wallet-topup", {"amount": 51}), ("wallet/debit", {"amount": 50}),
                       (f"charges/{charge['charge_id']}/refund", {"amount": 50}), (f"charges/{charge['charge_id']}/cancel", {})):
        is_error(payer.shop.post(f"{BILLING}/{path}", body, headers=key), 409, "idempotency_conflict")
    other = stranger.post(f"{BILLING}/wallet-topup", {"amount": 50}, headers=key)
    assert other.status_code == 201 and other.json()["data"]["charge_id"] != first.json()["data"]["charge_id"]
    poor = {"Idempotency-Key": str(uuid.uuid4())}
    is_error(stranger.post(f"{BILLING}/wallet/debit", {"amount": 5}, headers=poor), 400, "insufficient_balance")
    adjust(stranger, 500)
    assert stranger.post(f"{BILLING}/wallet/debit", {"amount": 5}, headers=poor).status_code == 201      # an error was not kept


# ---- time ------------------------------------------------------------------------------------------------------------


def test_a_clock_that_goes_back(make_platform):
    """A process had marked a payment as its own by a clock that was an hour ahead, and is gone."""
    platform = make_platform()
    payer = Payer(platform)
    platform.set_clock(3600)
    charge_id = payer.charge_id()
    path = payer.approve(charge_id)
    platform.postgres.rows("update billing.checkout set busy_until = now() + interval '1 hour'")
    platform.set_clock(0)
    assert platform.get(path).headers["Location"] == f"{path}/sandbox"
    browser = Browser(platform)
    browser.open(pay_by(browser, approve(payer.shop, {"charge_id": charge_id})).headers["Location"])
    assert payer.seen(charge_id)["status"] == "active" and sum(payer.moved(charge_id).values()) == 50000
    for what in ("approve", "decline", "cancel"):
        is_error(platform.post(f"/api/apps/billing/charges/{charge_id}/{what}", {"store_id": payer.store_id}, headers=merchant_headers(payer.owner)), 409, "conflict")

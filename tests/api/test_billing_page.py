"""The page on which a merchant approves a charge, the sandbox's payment page, and the way back (contract E.1, K.5).

Driven by a browser that follows links, forms and redirects; the pages work without a script."""

import re
from urllib.parse import urlsplit

import pytest

from .browser import Browser, Forms
from .credentials import accepted, refused
from .oauth_answers import error_page
from .payments import CALLBACK, CARD, DECLINED, SILENT, STALLED, Payer, at_once, landed, pay, pay_by, word_of
from .rpc import RpcError
from .shop import PASSWORD, Owner
from .test_installations import until
from .test_stores import WEBHOOKS


@pytest.fixture
def payer(platform):
    return Payer(platform)


def page_of(charge):
    return urlsplit(charge["confirmation_url"]).path


def reference_of(payer, charge_id):
    [(reference, _)] = payer.checkouts(charge_id)
    return reference


# ---- from the link to the app ----------------------------------------------------------------------------------------


def test_sign_in_approve_pay_and_back(payer):
    charge = payer.charge(name="Setup & more", description="Once, and never again")
    assert charge["confirmation_url"] == f"https://admin.selorax.io/{payer.store_id}/settings/apps/billing/{charge['charge_id']}"
    browser = Browser(payer.platform)
    page = browser.open(page_of(charge))
    assert page.status_code == 200 and "Sign in" in page.text and "Setup" not in page.text
    browser.submit(identifier=payer.owner.email, password=PASSWORD)
    text = browser.forms.text
    assert "Setup & more" in text and "Once, and never again" in text and "To pay: 500.00 BDT" in " ".join(text.split())
    assert "Platform fee" not in text and payer.owner.email in text
    browser.submit("approve")
    assert "Pay with the sandbox" in browser.page.text and "500.00" in browser.page.text
    place, added = landed(browser.submit("pay", card_number=CARD))
    assert (place, added) == ("https://app.example/done", {"payment": "success", "charge_id": str(charge["charge_id"])})
    assert payer.seen(charge["charge_id"])["status"] == "active"
    assert payer.moved(charge["charge_id"]) == {"platform": 10000, "gateway": 1250, "developer": 38750}
    page = browser.open(page_of(charge))
    assert "It is paid" in page.text and browser.forms.forms == []


def test_who_pays_the_fees_sees_them(platform):
    payer = Payer(platform, fee_payer="merchant")
    charge = payer.charge(500)
    browser = payer.browser(page=page_of(charge))
    items = re.findall("<li>(.*?)</li>", browser.open(page_of(charge)).text)
    assert [item.split(": ")[1] for item in items] == ["500.00 BDT", "100.00 BDT", "12.50 BDT", "612.50 BDT"], items
    assert [item.split(": ")[0] for item in items[1:]] == ["Platform fee", "Payment fee", "To pay"]


def test_declined_on_the_page(payer):
    charge = payer.charge(return_url="https://app.example/done?shop=7#top")
    browser = payer.browser()
    browser.open(page_of(charge))
    answer = browser.submit("decline")
    assert answer.headers["Location"] == f"https://app.example/done?shop=7&payment=cancelled&charge_id={charge['charge_id']}#top"
    assert payer.seen(charge["charge_id"])["status"] == "declined" and payer.checkouts(charge["charge_id"]) == []
    until(lambda: payer.topics(charge["charge_id"]) == ["charge.created", "charge.declined"])


def test_cancelled_on_the_payment_page(payer):
    charge = payer.charge()
    browser = payer.browser()
    browser.open(page_of(charge))
    browser.submit("approve")
    assert landed(browser.submit("cancel"))[1]["payment"] == "cancelled"
    assert payer.seen(charge["charge_id"])["status"] == "pending"
    browser.open(page_of(charge))
    browser.submit("approve")
    assert landed(browser.submit("pay"))[1]["payment"] == "success"
    assert [status for _, status in payer.checkouts(charge["charge_id"])].count("cancelled") == 1


def test_where_return_urls_lead(payer):
    for given, wanted in (("https://app.example", "https://app.example?{}"), ("https://app.example/?", "https://app.example/?{}"),
                          ("https://app.example/a?b", "https://app.example/a?b&{}"), ("https://app.example/a?b&", "https://app.example/a?b&{}"),
                          ("https://app.example/#x?y", "https://app.example/?{}#x?y"), ("http://localhost:3000/é", "http://localhost:3000/%C3%A9?{}")):
        charge = payer.charge(return_url=given)
        browser = Browser(payer.platform)
        answer = browser.open(pay_by(browser, payer.approve(charge["charge_id"]), DECLINED).headers["Location"])
        assert answer.headers["Location"] == wanted.format(f"payment=failed&charge_id={charge['charge_id']}")
    for bad in ("javascript:alert(1)", "//evil.example", "https://app.example/\r\nSet-Cookie: a=b", "data:text/html,x"):
        refused(payer.shop.post("/api/apps/v1/billing/charges", {"name": "x", "amount": 10, "return_url": bad}), 400, "validation_error")


def test_without_a_return_url(payer):
    charge_id = payer.charge_id(return_url=None)
    browser = Browser(payer.platform)
    page = browser.open(pay_by(browser, payer.approve(charge_id), DECLINED).headers["Location"])
    assert page.status_code == 200 and "The payment failed" in page.text and f"/{payer.store_id}/settings/apps/billing/{charge_id}" in page.text


# ---- who may ---------------------------------------------------------------------------------------------------------


def test_a_forged_form_counts_for_nothing(payer, platform):
    charge, other = payer.charge(), payer.charge()
    browser, second = payer.browser(), payer.browser()
    token = {"form_token": Forms(browser.open(page_of(charge)).text).forms[0]["fields"]["form_token"]}
    for who, path, fields in ((browser, charge, {"form_token": "0" * 64}), (browser, charge, {"form_token": "x"}),
                              (second, charge, token), (browser, other, token)):
        for decision in ("approve", "decline"):
            error_page(who.send("POST", page_of(path), {"decision": decision, **fields}), 403, "forbidden")
    for cookies in ({}, {"sx_oauth": "sx_bs_" + "0" * 64}):
        nobody = Browser(platform)
        nobody.cookies = cookies
        answer = nobody.send("POST", page_of(charge), {"decision": "decline", **token})
        assert answer.status_code == 303 and answer.headers["Location"].startswith("/api/auth/sign-in?to=/")
    for fields in ({}, {"decision": "approve"}, {"decision": "other", **token}):
        error_page(browser.send("POST", page_of(charge), fields), 400, "validation_error")
    assert {payer.seen(row["charge_id"])["status"] for row in (charge, other)} == {"pending"}
    assert payer.checkouts(charge["charge_id"]) == payer.checkouts(other["charge_id"]) == []
    assert browser.send("POST", page_of(charge), {"decision": "decline", **token}).status_code == 303


def test_only_who_may_bill_sees_it(payer, platform):
    charge = payer.charge()
    stranger, member = Owner(platform), Owner(platform)
    platform.post(f"/api/stores/{payer.store_id}/members", {"email": member.email, "permissions": [WEBHOOKS]}, headers=payer.headers)
    error_page(payer.browser(stranger).open(page_of(charge)), 404, "not_found")
    error_page(payer.browser(member).open(page_of(charge)), 403, "forbidden")
    browser, foreign = payer.browser(), Payer(platform).charge()
    error_page(browser.open(page_of(foreign)), 404, "not_found")
    error_page(browser.open(f"/{payer.store_id}/settings/apps/billing/{foreign['charge_id']}"), 404, "charge_not_found")
    error_page(browser.open(f"/{payer.store_id}/settings/apps/billing/999999999"), 404, "charge_not_found")
    error_page(browser.send("POST", page_of(foreign), {"decision": "approve", "form_token": "x"}), 404, "not_found")
    for path in ("/x/settings/apps/billing/1", "/0/settings/apps/billing/1", f"/{payer.store_id}/settings/apps/billing/x"):
        error_page(browser.open(path), 404, "not_found")


def test_what_came_too_late_is_a_page(payer):
    charge = payer.charge()
    browser = payer.browser()
    browser.open(page_of(charge))
    fields = browser.forms.forms[0]["fields"]
    accepted(payer.say(charge["charge_id"], "decline"))
    error_page(browser.send("POST", page_of(charge), {"decision": "approve", **fields}), 409, "conflict")
    assert "It is declined" in browser.open(page_of(charge)).text


def test_who_paid_too_late_is_told_that_it_goes_back(payer):
    for paid_before in (False, True):
        for return_url in (None, "https://app.example/done"):
            charge_id = payer.charge_id(return_url=return_url)
            path = payer.approve(charge_id)
            back = pay_by(Browser(payer.platform), path)
            if paid_before:
                payer.grow_old(charge_id)
                pay(payer.shop, payer.approve(charge_id))
            else:
                accepted(payer.say(charge_id, "decline"))
            page = payer.platform.get(back.headers["Location"])
            assert page.status_code == 200 and "This payment goes back to you" in page.text, page.text
            assert ("had been paid before" if paid_before else "was over before") in page.text
            assert (f"payment={'success' if paid_before else 'cancelled'}&amp;charge_id={charge_id}" if return_url else
                    f"/{payer.store_id}/settings/apps/billing/{charge_id}\"") in page.text


def test_pages_cannot_be_framed_or_scripted(payer):
    charge = payer.charge(name="<script>alert(1)</script>", description="\"><img src=x onerror=alert(1)>")
    browser = payer.browser()
    pages = [browser.open(page_of(charge))]
    assert "form-action 'self' https://app.example" in pages[0].headers["Content-Security-Policy"]
    pages.append(browser.submit("approve"))
    assert "form-action 'self' https://app.example" in pages[1].headers["Content-Security-Policy"]
    pages.append(browser.send("GET", f"/api/auth/sign-in?to={page_of(charge)}"))
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert page.status_code == 200 and "<script" not in page.text and "<img" not in page.text
        assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy and "script" not in policy
        assert page.headers["X-Frame-Options"] == "DENY" and page.headers["Cache-Control"] == "no-store"


def test_signing_in_leads_to_our_pages_only(payer, platform):
    browser = Browser(platform)
    for to in ("https://evil.example", "//evil.example", "/api/auth/me", "/1/settings/apps/billing/", "/1/settings/apps/billing/1?x=1",
               "/1/settings/apps/billing/1/../../../x", "/%0d%0a/settings/apps/billing/1", "javascript:alert(1)"):
        error_page(browser.send("GET", f"/api/auth/sign-in?to={to}"), 400, "validation_error")
    page = page_of(payer.charge())
    browser.open(f"/api/auth/sign-in?to={page}")
    fields = browser.forms.forms[0]["fields"]
    error_page(browser.submit(identifier=payer.owner.email, password="wrong horse battery"), 401, "unauthorized")
    who = {"identifier": payer.owner.email, "password": PASSWORD}
    error_page(browser.send("POST", "/api/auth/sign-in", {**fields, **who, "to": "/2/settings/apps/billing/3"}), 403, "forbidden")
    error_page(browser.send("POST", "/api/auth/sign-in", {**fields, **who, "to": "https://evil.example"}), 400, "validation_error")
    error_page(Browser(platform).send("POST", "/api/auth/sign-in", {**fields, **who}), 403, "forbidden")
    answer = browser.send("POST", "/api/auth/sign-in", {**fields, **who})
    assert answer.status_code == 303 and answer.headers["Location"] == page and browser.cookies["sx_oauth"].startswith("sx_bs_")


def test_what_other_services_are_told_of_a_browser(payer, platform):
    def ask(browser, store_id=payer.store_id, cookie=True, **changes):
        web = {"base_url": platform.url(), **({"cookie": f"other=1; sx_oauth={browser.cookies['sx_oauth']}"} if cookie else {})}
        return platform.call("auth.browsers.allow", web=web, store_id=store_id, permission="apps__manage_billing", change=True, **changes)

    browser = payer.browser()
    told = ask(browser)
    assert (told["signed_in"], told["account_id"], told["email"]) == (True, payer.owner.account_id, payer.owner.email)
    assert ask(browser, cookie=False) == {"signed_in": False}
    platform.call("auth.sessions.revoke", session_id=told["session_id"])
    assert ask(browser) == {"signed_in": False}
    with pytest.raises(RpcError, match="not_found"):
        ask(payer.browser(Owner(platform)))
    assert platform.call("auth.accounts.contact", account_id=payer.owner.account_id) == {
        "name": "Test Owner", "email": payer.owner.email, "phone": None}
    with pytest.raises(RpcError, match="not_found"):
        platform.call("auth.accounts.contact", account_id=999999999)


def test_pages_are_limited(make_platform):
    platform = make_platform(settings={"SX_RATE_GLOBAL": "4/900"})
    answers = [platform.get("/1/settings/apps/billing/1") for _ in range(5)]
    assert [answer.status_code for answer in answers[:4]] == [303] * 4
    error_page(answers[4], 429, "rate_limited")


def test_another_account_ends_the_session_before(payer, platform):
    charge, other = payer.charge(), Owner(platform)
    browser = payer.browser(other)
    error_page(browser.open(page_of(charge)), 404, "not_found")
    before = dict(browser.cookies)
    browser.open(f"/api/auth/sign-in?to={page_of(charge)}")
    page = browser.submit(identifier=payer.owner.email, password=PASSWORD)
    assert page.status_code == 200 and "Approve and pay" in page.text
    old = Browser(platform)
    old.cookies = before
    assert "Sign in" in old.open(page_of(charge)).text


# ---- what the sandbox does -------------------------------------------------------------------------------------------


def test_outcomes_by_card_and_by_amount(payer):
    for amount, card, payment, status in ((500, CARD, "success", "active"), (500, DECLINED, "failed", "pending"),
                                          (500.01, CARD, "failed", "pending"), (500.04, "4000-0000-0000-1111", "success", "active")):
        charge_id = payer.charge_id(amount)
        browser = Browser(payer.platform)
        assert landed(browser.open(pay_by(browser, payer.approve(charge_id), card).headers["Location"]))[1]["payment"] == payment
        assert payer.seen(charge_id)["status"] == status
    for card in ("4242", "x" * 16, "4" * 20, "4242 4242 4242 424é"):
        charge_id = payer.charge_id()
        page = pay_by(Browser(payer.platform), payer.approve(charge_id), card)
        assert page.status_code == 200 and "12 to 19 digits" in page.text
        assert payer.checkouts(charge_id)[0][1] == "open"


def test_a_payment_that_is_over_is_not_made_again(payer):
    charge_id = payer.charge_id()
    browser, path = Browser(payer.platform), payer.approve(charge_id)
    browser.open(pay_by(browser, path, DECLINED).headers["Location"])
    browser.send("POST", f"{path}/sandbox", {"decision": "pay", "card_number": CARD})
    assert payer.checkouts(charge_id)[0][1] == "failed" and payer.seen(charge_id)["status"] == "pending"
    assert landed(browser.open(path))[1]["payment"] == "failed"


@pytest.mark.parametrize("amount, card", [(500, SILENT), (500.03, CARD)])
def test_what_nobody_tells_is_asked_for(payer, amount, card):
    charge_id = payer.charge_id(amount)
    browser = Browser(payer.platform)
    page = pay_by(browser, payer.approve(charge_id), card)
    assert page.status_code == 200 and "has to ask" in page.text
    assert payer.seen(charge_id)["status"] == "pending"
    payer.ask_now(charge_id)
    until(lambda: payer.seen(charge_id)["status"] == "active")
    assert sum(payer.moved(charge_id).values()) == round(amount * 100)


def test_what_stays_open_is_asked_for_less_and_less_often(payer):
    charge_id = payer.charge_id()
    browser, path = Browser(payer.platform), payer.approve(charge_id)
    pay_by(browser, path, STALLED)
    pauses = []
    for asked in range(1, 4):
        payer.ask_now(charge_id)
        until(lambda: payer.platform.postgres.rows("select 1 from billing.checkout where charge_id = %s and asked = %s", (charge_id, asked)))
        [(pause,)] = payer.platform.postgres.rows(
            "select extract(epoch from ask_at - now())::int from billing.checkout where charge_id = %s", (charge_id,))
        pauses.append(round(pause / 60))
    assert pauses == [1, 2, 4] and payer.checkouts(charge_id)[0][1] == "open"
    payer.platform.postgres.rows("update billing.checkout set created_at = created_at - interval '8 days' where charge_id = %s", (charge_id,))
    payer.ask_now(charge_id)
    until(lambda: payer.checkouts(charge_id)[0][1] == "failed")
    assert payer.seen(charge_id)["status"] == "pending"


def test_several_processes_ask_and_one_pays(make_platform):
    platform = make_platform(services={"auth": 1, "store-data": 1, "webhooks": 1, "billing": 3})
    payer = Payer(platform)
    charges = [payer.charge_id() for _ in range(12)]
    for charge_id in charges:
        pay_by(Browser(platform), payer.approve(charge_id), SILENT)
    platform["billing-2"].kill()
    platform.postgres.rows("update billing.checkout set ask_at = now() - interval '1 minute'")
    until(lambda: all(payer.seen(charge_id)["status"] == "active" for charge_id in charges))
    for charge_id in charges:
        assert sum(payer.moved(charge_id).values()) == 50000
    assert platform.postgres.rows("select count(*) from billing.account join billing.transfer on to_account = account_id where kind = 'owed'") == [(0,)]


# ---- callbacks -------------------------------------------------------------------------------------------------------


def tell(payer, word, provider="sandbox"):
    return payer.platform.post(f"{CALLBACK}/{provider}", word)


def test_forged_callbacks(payer):
    charge_id = payer.charge_id()
    path = payer.approve(charge_id)
    reference = reference_of(payer, charge_id)
    for signature in ("0" * 64, "x", "A" * 64):
        refused(tell(payer, {"reference": reference, "status": "paid", "signature": signature}), 403, "forbidden")
        answer = payer.platform.get(f"{path}/return", params={"status": "paid", "signature": signature})
        error_page(answer, 403, "forbidden")
    error_page(payer.platform.get(f"{path}/return"), 403, "forbidden")
    refused(tell(payer, {"reference": reference, "status": "paid"}), 400, "validation_error")
    refused(tell(payer, {"status": "paid", "signature": "0" * 64}), 400, "validation_error")
    refused(tell(payer, {"reference": "sx" + "0" * 32, "status": "paid", "signature": "0" * 64}), 404, "not_found")
    word = word_of(pay_by(Browser(payer.platform), path, DECLINED), reference)
    refused(tell(payer, {**word, "status": "paid"}), 403, "forbidden")
    for provider in ("eps", "nobody"):
        refused(tell(payer, word, provider), 404, "not_found")
    assert payer.seen(charge_id)["status"] == "pending" and payer.checkouts(charge_id)[0][1] == "open"
    assert accepted(tell(payer, word)) == {"reference": reference, "status": "failed"}


def test_a_word_of_one_payment_says_nothing_of_another(payer):
    first, second = payer.charge_id(), payer.charge_id()
    payer.approve(second)
    word = word_of(pay_by(Browser(payer.platform), payer.approve(first)), reference_of(payer, first))
    refused(tell(payer, {**word, "reference": reference_of(payer, second)}), 403, "forbidden")
    assert payer.checkouts(second)[0][1] == "open"


def test_a_signed_word_that_the_provider_does_not_bear_out(payer):
    """Asking decides: what the sandbox keeps is another outcome than it signed before."""
    charge_id = payer.charge_id()
    word = word_of(pay_by(Browser(payer.platform), payer.approve(charge_id)), reference_of(payer, charge_id))
    payer.platform.postgres.rows("update billing.sandbox_payment set outcome = 'stalled' where reference = %s", (word["reference"],))
    assert accepted(tell(payer, word))["status"] == "open" and payer.seen(charge_id)["status"] == "pending"
    payer.platform.postgres.rows("update billing.sandbox_payment set outcome = 'paid' where reference = %s", (word["reference"],))
    assert accepted(tell(payer, word))["status"] == "paid" and payer.seen(charge_id)["status"] == "active"


def test_replayed_callbacks(payer):
    charge_id = payer.charge_id()
    back = pay_by(Browser(payer.platform), payer.approve(charge_id))
    word = word_of(back, reference_of(payer, charge_id))
    answers = at_once(16, lambda n: tell(payer, word) if n % 2 else payer.platform.get(back.headers["Location"]))
    assert {answer.status_code for answer in answers[::2]} == {303}
    assert {accepted(answer)["status"] for answer in answers[1::2]} == {"paid"}
    assert sum(payer.moved(charge_id).values()) == 50000
    until(lambda: "charge.activated" in payer.topics(charge_id))
    assert payer.topics(charge_id) == ["charge.created", "charge.activated"]


def test_callbacks_in_any_order(payer):
    """Two payments of one charge: whatever is told first pays it, and what comes late is owed or nothing."""
    for cards, wanted in (((CARD, CARD), {"platform": 10000, "gateway": 1250, "developer": 38750, "owed": 50000}),
                          ((DECLINED, CARD), {"platform": 10000, "gateway": 1250, "developer": 38750}),
                          ((CARD, DECLINED), {"platform": 10000, "gateway": 1250, "developer": 38750})):
        charge_id, words = payer.charge_id(), []
        for card in cards:
            path = payer.approve(charge_id)
            words.append(word_of(pay_by(Browser(payer.platform), path, card), path.rsplit("/", 1)[1]))
            payer.grow_old(charge_id)
        for word in reversed(words):
            accepted(tell(payer, word))
        for word in words:
            accepted(tell(payer, word))
        assert payer.moved(charge_id) == wanted and payer.seen(charge_id)["status"] == "active"
        assert payer.topics(charge_id).count("charge.activated") == 1


def test_money_after_a_failure_is_money(payer):
    charge_id = payer.charge_id()
    word = word_of(pay_by(Browser(payer.platform), payer.approve(charge_id), DECLINED), reference_of(payer, charge_id))
    assert accepted(tell(payer, word))["status"] == "failed"
    payer.platform.postgres.rows("update billing.sandbox_payment set outcome = 'paid' where reference = %s", (word["reference"],))
    assert accepted(tell(payer, word))["status"] == "paid"
    assert payer.seen(charge_id)["status"] == "active" and sum(payer.moved(charge_id).values()) == 50000


def test_payments_that_are_none(payer):
    browser = Browser(payer.platform)
    for path in ("sx" + "0" * 32, "x", "sx" + "0" * 32 + "/sandbox"):
        error_page(browser.open(f"/api/apps/billing/payments/{path}"), 404, "not_found")
    error_page(browser.send("GET", "/api/apps/billing/payments/sx0/return?signature=x"), 404, "not_found")
    error_page(browser.send("POST", "/api/apps/billing/payments/sx0/sandbox", {"decision": "pay"}), 404, "not_found")
    error_page(browser.send("POST", "/api/apps/billing/payments/sx0/sandbox", {"decision": "steal"}), 400, "validation_error")
    error_page(browser.send("GET", f"/api/apps/billing/payments/sx0/return?signature={'x' * 5000}"), 400, "validation_error")

"""Charges as a store's merchant answers them over the API (contract A.7 row 116, K.5), and who may (K.2)."""

import uuid

import pytest

from .browser import Browser
from .credentials import accepted, refused
from .payments import BILLING, CARD, CHARGES, DECLINED, RETURN, Payer, at_once, landed, merchant_headers, pay_by
from .shop import Owner
from .test_installations import until
from .test_stores import BILLING as PERMISSION
from .test_stores import WEBHOOKS


@pytest.fixture
def payer(platform):
    return Payer(platform)


def settle(payer, charge_id, card=CARD):
    """Approved and paid to the end; where the browser landed."""
    browser = Browser(payer.platform)
    return landed(browser.open(pay_by(browser, payer.approve(charge_id), card).headers["Location"]))


# ---- looking ---------------------------------------------------------------------------------------------------------


def test_a_stores_charges(payer):
    made = [payer.charge(100 + n, name=f"Part {n}") for n in range(5)]
    other_app = payer.owner.open_shop(store_id=payer.store_id)
    made.append(other_app.post(f"{BILLING}/charges", {"name": "Other", "amount": 20}).json()["data"])
    listed = payer.get().json()
    assert [row["charge_id"] for row in listed["data"]] == [row["charge_id"] for row in reversed(made)]
    assert listed["pagination"]["total"] == 6
    assert {row["app_name"] for row in listed["data"]} == {name for name, in payer.platform.postgres.rows(
        "select name from auth.app where app_id in (%s, %s)", (payer.shop.app_id, other_app.app_id))}
    one = accepted(payer.get(f"/{made[0]['charge_id']}"))
    app_name = one.pop("app_name")
    assert one == payer.seen(made[0]["charge_id"]) and app_name
    first = payer.get(limit=4).json()
    rest = payer.get(limit=4, cursor=first["pagination"]["next_cursor"]).json()
    assert [row["charge_id"] for row in first["data"] + rest["data"]] == [row["charge_id"] for row in listed["data"]]
    assert rest["pagination"]["next_cursor"] is None


def test_charges_in_one_state(payer):
    waits, over, paid, gone = (payer.charge_id() for _ in range(4))
    accepted(payer.say(over, "decline"))
    accepted(payer.say(gone, "cancel"))
    settle(payer, paid)
    for status, charge_id in (("pending", waits), ("declined", over), ("active", paid), ("cancelled", gone)):
        listed = payer.get(status=status).json()
        assert [(row["charge_id"], row["status"]) for row in listed["data"]] == [(charge_id, status)]
        assert listed["pagination"]["total"] == 1
    assert payer.get(status="expired").json()["data"] == []
    refused(payer.get(status="paid"), 400, "validation_error")
    cursor = payer.get(limit=1).json()["pagination"]["next_cursor"]
    refused(payer.get(limit=1, status="pending", cursor=cursor), 400, "validation_error")


# ---- who may ---------------------------------------------------------------------------------------------------------


def every_route(payer, charge_id, headers, store_id):
    yield payer.platform.get(f"{CHARGES}/{charge_id}", headers=headers, params={"store_id": store_id})
    for what in ("approve", "decline", "cancel"):
        yield payer.platform.post(f"{CHARGES}/{charge_id}/{what}", {"store_id": store_id}, headers=headers)


def test_another_stores_charge_is_not_there(payer, platform):
    stranger = Payer(platform)
    charge_id = stranger.charge_id()
    for answer in every_route(payer, charge_id, payer.headers, payer.store_id):
        refused(answer, 404, "charge_not_found")
    for answer in every_route(payer, charge_id, payer.headers, stranger.store_id):
        refused(answer, 404, "not_found")
    refused(platform.get(CHARGES, headers=payer.headers, params={"store_id": stranger.store_id}), 404, "not_found")
    for answer in every_route(payer, 999999999, payer.headers, payer.store_id):
        refused(answer, 404, "charge_not_found")
    assert stranger.seen(charge_id)["status"] == "pending" and stranger.checkouts(charge_id) == []


def test_a_member_needs_the_permission(payer, platform):
    member = Owner(platform)
    headers, charge_id = merchant_headers(member), payer.charge_id()
    members = f"/api/stores/{payer.store_id}/members"
    platform.post(members, {"email": member.email, "permissions": [WEBHOOKS]}, headers=payer.headers)
    for answer in every_route(payer, charge_id, headers, payer.store_id):
        refused(answer, 403, "forbidden")
    refused(platform.get(CHARGES, headers=headers, params={"store_id": payer.store_id}), 403, "forbidden")
    assert payer.seen(charge_id)["status"] == "pending" and payer.checkouts(charge_id) == []
    platform.post(members, {"email": member.email, "permissions": [PERMISSION]}, headers=payer.headers)
    answers = list(every_route(payer, charge_id, headers, payer.store_id))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 409]     # cancelled after declined


def test_other_credentials_are_none(payer, platform):
    charge_id = payer.charge_id()
    refused(platform.get(CHARGES, params={"store_id": payer.store_id}), 401, "missing_token")
    for answer in every_route(payer, charge_id, {}, payer.store_id):
        refused(answer, 401, "missing_token")
    for answer in every_route(payer, charge_id, payer.shop.bearer, payer.store_id):
        refused(answer, 401, "missing_auth")


def test_a_frozen_store_reads_and_does_not_pay(payer, platform):
    charge_id = payer.charge_id()
    platform.call("auth.stores.set_status", store_id=payer.store_id, status="frozen")
    look, *others = every_route(payer, charge_id, payer.headers, payer.store_id)
    assert accepted(look)["status"] == "pending"
    for answer in others:
        refused(answer, 403, "store_inactive")


def test_bad_requests(payer):
    charge_id = payer.charge_id()
    for charge in ("0", "-1", "x", "1e3", "99999999999999999999"):
        assert payer.get(f"/{charge}").status_code in (400, 404)
    for body in ({}, {"store_id": "x"}, {"store_id": 0}, {"store_id": None}):
        for what in ("approve", "decline", "cancel"):
            refused(payer.platform.post(f"{CHARGES}/{charge_id}/{what}", body, headers=payer.headers), 400, "validation_error")
    for path in (CHARGES, f"{CHARGES}/{charge_id}"):
        refused(payer.platform.get(path, headers=payer.headers), 400, "validation_error")
    refused(payer.say(charge_id, "decline", reason="x" * 256), 400, "validation_error")
    assert payer.seen(charge_id)["status"] == "pending"


# ---- answering -------------------------------------------------------------------------------------------------------


def test_declined(payer):
    charge_id = payer.charge_id()
    over = accepted(payer.say(charge_id, "decline", reason="too dear"))
    assert (over["status"], over["reason"]) == ("declined", "too dear")
    assert accepted(payer.say(charge_id, "decline")) == over
    refused(payer.say(charge_id, "approve"), 409, "conflict")
    refused(payer.say(charge_id, "cancel"), 409, "conflict")
    until(lambda: "charge.declined" in payer.topics(charge_id))
    assert payer.topics(charge_id) == ["charge.created", "charge.declined"]


def test_cancelled(payer):
    charge_id = payer.charge_id()
    over = accepted(payer.say(charge_id, "cancel"))
    assert (over["status"], over["reason"]) == ("cancelled", "cancelled_by_merchant")
    assert accepted(payer.say(charge_id, "cancel", reason="again")) == over
    refused(payer.say(charge_id, "approve"), 409, "conflict")
    refused(payer.say(charge_id, "decline"), 409, "conflict")
    until(lambda: "charge.cancelled" in payer.topics(charge_id))
    assert payer.topics(charge_id) == ["charge.created", "charge.cancelled"]


def test_paid(payer):
    charge_id = payer.charge_id()
    assert settle(payer, charge_id) == ("https://app.example/done", {"payment": "success", "charge_id": str(charge_id)})
    assert payer.seen(charge_id)["status"] == "active"
    for what in ("approve", "decline", "cancel"):
        refused(payer.say(charge_id, what), 409, "conflict")
    until(lambda: "charge.activated" in payer.topics(charge_id))
    assert payer.topics(charge_id) == ["charge.created", "charge.activated"]
    assert payer.moved(charge_id) == {"platform": 10000, "gateway": 1250, "developer": 38750}


def test_expired(payer):
    charge_id = payer.charge_id()
    payer.platform.postgres.rows("update billing.charge set expires_at = now() - interval '1 second' where charge_id = %s", (charge_id,))
    for what in ("approve", "decline", "cancel"):
        refused(payer.say(charge_id, what), 409, "conflict")
    assert payer.checkouts(charge_id) == []


def test_a_subscription_is_cancelled_by_its_payment(payer):
    for at_period_end in (False, True):
        made = payer.shop.post(f"{BILLING}/subscriptions", {"name": "Pro", "amount": 100, "currency": "BDT", "billing_interval": "monthly", "return_url": RETURN})
        assert made.status_code == 201, made.text
        charge_id = made.json()["data"]["charge_id"]
        settle(payer, charge_id)
        assert payer.seen(charge_id)["status"] == "active"
        answer = accepted(payer.say(charge_id, "cancel", at_period_end=at_period_end))
        assert answer["status"] == ("active" if at_period_end else "cancelled"), answer
        assert accepted(payer.say(charge_id, "cancel", at_period_end=at_period_end))["status"] == answer["status"]


# ---- approving -------------------------------------------------------------------------------------------------------


def test_approved_again_it_is_the_same_payment(payer):
    charge_id = payer.charge_id()
    path = payer.approve(charge_id)
    assert payer.approve(charge_id) == path and len(payer.checkouts(charge_id)) == 1
    payer.grow_old(charge_id)
    fresh = payer.approve(charge_id)
    assert fresh != path and len(payer.checkouts(charge_id)) == 2


def test_a_failed_payment_leaves_the_charge_open(payer):
    charge_id = payer.charge_id()
    path = payer.approve(charge_id)
    assert settle(payer, charge_id, DECLINED)[1]["payment"] == "failed"
    assert payer.seen(charge_id)["status"] == "pending" and payer.moved(charge_id) == {}
    assert payer.approve(charge_id) != path
    assert settle(payer, charge_id)[1]["payment"] == "success"
    assert [status for _, status in payer.checkouts(charge_id)].count("paid") == 1
    until(lambda: "charge.activated" in payer.topics(charge_id))
    assert payer.topics(charge_id) == ["charge.created", "charge.payment_failed", "charge.activated"]


def test_approved_by_16_at_once(payer):
    charge_id = payer.charge_id()
    answers = at_once(16, lambda _: payer.say(charge_id, "approve"))
    assert len({accepted(answer)["payment_url"] for answer in answers}) == 1
    assert len(payer.checkouts(charge_id)) == 1


def test_approval_against_decline(payer):
    """Whichever comes first: nobody pays for what was declined, and money on its way goes back."""
    for _ in range(8):
        charge_id = payer.charge_id()
        answers = at_once(4, lambda n, charge_id=charge_id: payer.say(charge_id, "decline" if n % 2 else "approve"))
        assert {answers[1].status_code, answers[3].status_code} == {200}
        assert {answer.status_code for answer in answers[::2]} <= {200, 409}
        assert payer.seen(charge_id)["status"] == "declined"
        begun = [answer.json()["data"]["payment_url"] for answer in answers[::2] if answer.status_code == 200]
        assert len(payer.checkouts(charge_id)) == len(set(begun))
        assert payer.topics(charge_id)[-1] == "charge.declined"


def test_money_for_what_was_declined_goes_back(payer):
    charge_id = payer.charge_id()
    browser, path = Browser(payer.platform), payer.approve(charge_id)
    back = pay_by(browser, path)
    accepted(payer.say(charge_id, "decline"))
    assert "goes back to you" in browser.open(back.headers["Location"]).text
    assert payer.seen(charge_id)["status"] == "declined"
    assert payer.moved(charge_id) == {"owed": 50000}
    assert [status for _, status in payer.checkouts(charge_id)] == ["duplicate"]
    assert "goes back to you" in browser.open(path).text
    [owed] = [row for row in payer.platform.call("billing.owed.list")["payments"] if row["charge_id"] == charge_id]
    payer.platform.call("billing.owed.returned", checkout_id=owed["checkout_id"])
    assert landed(browser.open(path))[1]["payment"] == "cancelled"


def test_a_topup_is_in_the_wallet_once(payer):
    made = payer.shop.post(f"{BILLING}/wallet-topup", {"amount": 300}, headers={"Idempotency-Key": str(uuid.uuid4())}).json()["data"]
    assert made["return_url"] is None
    browser = Browser(payer.platform)
    page = browser.open(pay_by(browser, payer.approve(made["charge_id"])).headers["Location"])
    assert page.status_code == 200 and "Paid" in page.text
    assert accepted(payer.shop.get(f"{BILLING}/wallet"))["balance"] == 300

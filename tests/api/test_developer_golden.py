"""Seed 004, example by example: each request as it stands there, and the answer held against the one that stands there: its members
in their order, their types, their values wherever the request decides them, how numbers and times are written, the message, the status.

seed_004.json has all 20 of them word for word, but for the e-mail addresses, which the seed does not show."""

import json
import re
from pathlib import Path

import pytest

from .client import is_error
from .hooks import Sink, event, publish
from .payments import paid
from .platform import Platform
from .test_developer_apps import Developer, grant, until, wanted


class Number(str):
    """One of JSON's as it was written."""


def read(text):
    return json.loads(text, parse_float=Number, parse_int=Number)


SEED = read((Path(__file__).parent / "seed_004.json").read_text(encoding="utf-8"))
SENT = json.loads((Path(__file__).parent / "seed_004.json").read_text(encoding="utf-8"))
FORMS = [re.compile(rf"^{form}$") for form in (
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",                    # a time
    r"-?\d+\.\d\d",                                               # money of the ledger
    r"\d+")]                                                      # an id of the ledger, or of a delivery
CREDENTIALS = {"client_id": "sx_app_[0-9a-f]{32}", "clientId": "sx_app_[0-9a-f]{32}", "clientSecret": "sx_secret_[0-9a-f]{64}",
               "client_secret": "sx_secret_[0-9a-f]{64}", "sessionSigningKey": "[0-9a-f]{64}", "session_signing_key": "[0-9a-f]{64}"}
MONEY = {"amount", "base_amount", "platform_amount", "gateway_fee_amount", "developer_amount", "pricing_amount"}
# What only the platform decides.
ITS_OWN = {"app_id", "installation_id", "store_id", "charge_id", "ledger_id", "delivery_id", "created_by", "created_at", "updated_at", "activated_at",
           "token_expires_at", "last_used_at", *CREDENTIALS}
# Members that the seed does not have.
MORE = {
    "charges": {"app_id", "description", "refunded_amount", "reason", "confirmation_url", "return_url", "metadata", "expires_at", "recurring_charge_id",
                "billing_interval", "trial_days"},
    "revenue": {"currency"},
    "balance": {"pending_payouts"},
}


def same_number(name, example, found, free):
    assert type(found) is Number, (name, found)
    if name in MONEY:
        assert re.match(r"^\d+\.\d\d$", found), (name, found)
    elif "." not in example:
        assert re.match(r"^\d+$", found), (name, found)
    assert name in free or float(found) == float(example), (name, example, found)


def same_text(name, example, found, free):
    assert type(found) is str, (name, found)
    if name in CREDENTIALS:
        assert re.fullmatch(CREDENTIALS[name], found), (name, found)
        return
    form = next((form for form in FORMS if form.match(example)), None)
    assert not form or form.match(found), (name, found)
    assert name in free or found == example, (name, example, found)


def same(name, example, found, free, more):
    if type(example) is Number:
        same_number(name, example, found, free)
    elif type(example) is str:
        same_text(name, example, found, free)
    elif type(example) is dict:
        assert [member for member in found if member not in more or member in example] == list(example), name
        assert set(found) - set(example) <= more, name
        for member in example:
            same(member, example[member], found[member], free, more)
    elif type(example) is list:
        assert type(found) is list and len(found) == len(example), (name, found)
        for one, other in zip(example, found):
            same(name, one, other, free, more)
    else:
        assert found is example, (name, found)                     # null, true, false


def golden(name, answer, *free, example=None):
    """The answer is that of the seed; what is free has its form, and a value of its own. Answers its data."""
    example, found = example or SEED[name], read(answer.text)
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    assert set(found) == set(example) and answer.status_code == int(example["status"]), answer.text
    same("", example["data"], found["data"], ITS_OWN | set(free), MORE.get(name, set()))
    assert (found["message"], found["status"]) == (example["message"], example["status"])
    return answer.json()["data"]


def test_nothing_is_left_out():
    """Each example has a test here, and there are 20: 4 requests, 16 answers."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert len(SEED) == 20
    for name in SEED:
        assert f'golden("{name}"' in source or f'SENT["{name}"]' in source, name


# ---- the app of the seed's developer ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_platform():
    """Of its own, because the slugs are those of the seed."""
    with Platform() as started:
        yield started


@pytest.fixture(scope="module")
def messaging(own_platform):
    """The app that the seed lists, by one who has no other."""
    developer, app = Developer(own_platform), SENT["get"]["data"]
    known = {name: value for name, value in app.items() if name not in ITS_OWN | {"app_type", "is_listed", "is_active"}}
    app_id = developer.make(**known)["app_id"]
    assert developer.ask("PATCH", f"/{app_id}/listing", {"is_listed": True}).status_code == 200
    return developer, app_id


@pytest.fixture(scope="module")
def custom(own_platform):
    """The app that the seed creates."""
    developer = Developer(own_platform)
    answer = developer.ask("POST", "", SENT["create request"])
    return developer, golden("create", answer)


def test_list_my_apps(messaging):
    developer, app_id = messaging
    data = golden("list", developer.ask("GET", page=1, limit=20, status="active", listed="true"))
    assert [item["app_id"] for item in data["items"]] == [app_id]


def test_get_app_details(messaging):
    developer, app_id = messaging
    data = golden("get", developer.ask("GET", f"/{app_id}"))
    assert (data["app_id"], data["created_by"]) == (app_id, developer.account_id)
    error = is_error(developer.ask("GET", "/999999999"), 404, "APP_NOT_FOUND")
    assert list(error) == ["status", "code", "message"] and error["message"] == "App not found or not owned by you"


def test_create_app(custom):
    developer, made = custom
    kept = developer.see(f"/{made['app_id']}")
    assert {name: kept[name] for name in SENT["create request"]} == SENT["create request"]
    assert kept["client_id"] == made["clientId"]
    error = is_error(developer.ask("POST", "", SENT["create request"]), 409, "SLUG_EXISTS")
    assert error["message"].startswith("Slug already in use")
    twice = wanted(redirect_urls=["https://example.com/oauth/callback"] * 2)
    assert is_error(developer.ask("POST", "", twice), 409, "DUPLICATE_FIELD")["message"].startswith("Unique constraint violation")


def test_update_app_profile(custom):
    developer, made = custom
    before = developer.see(f"/{made['app_id']}")
    golden("update", developer.ask("PATCH", f"/{made['app_id']}", SENT["update request"]))
    after = developer.see(f"/{made['app_id']}")
    assert after.pop("updated_at") > before.pop("updated_at") and after == {**before, **SENT["update request"]}


def off(name, flag):
    """The example with the flag at 0."""
    return {**SEED[name], "data": {**SEED[name]["data"], flag: Number("0")}}


def test_update_listing_status(custom):
    developer, made = custom
    path = f"/{made['app_id']}/listing"
    golden("listing", developer.ask("PATCH", path, SENT["listing request"]))
    assert developer.see(f"/{made['app_id']}")["is_listed"] == 1
    golden("listing", developer.ask("PATCH", path, {"is_listed": False}), example=off("listing", "is_listed"))


def test_update_active_status(custom):
    developer, made = custom
    path = f"/{made['app_id']}/status"
    golden("status", developer.ask("PATCH", path, {"is_active": False}), example=off("status", "is_active"))
    assert developer.see(f"/{made['app_id']}")["is_active"] == 0
    golden("status", developer.ask("PATCH", path, SENT["status request"]))


def test_rotations(custom):
    developer, made = custom
    secret = golden("rotate-secret", developer.ask("POST", f"/{made['app_id']}/rotate-secret"))
    key = golden("regenerate-signing-key", developer.ask("POST", f"/{made['app_id']}/regenerate-signing-key"))
    assert secret["client_secret"] != made["clientSecret"] and key["session_signing_key"] != made["sessionSigningKey"]


def test_settings(own_platform):
    """Of an app that was made of them; then each group is taken away and put back."""
    developer, groups = Developer(own_platform), SENT["settings"]["data"]
    app_id = developer.make(**{name: value for group in groups.values() for name, value in group.items()})["app_id"]
    golden("settings", developer.ask("GET", f"/{app_id}/settings"))
    others = {"oauth": {"redirect_urls": ["https://example.org/cb"]}, "webhooks": SENT["settings/webhooks request"],
              "embed": {"setup_url": "https://example.com/setup"}, "billing": {"pricing_type": "free", "pricing_amount": 0, "fee_payer": "merchant"},
              "developer": {"developer_name": None, "developer_email": None}}
    for group, change in others.items():
        changed = developer.ask("PATCH", f"/{app_id}/settings/{group}", change).json()
        assert (changed["status"], changed["message"], changed["data"]) == (200, "Settings updated", {**groups[group], **change})
        group_alone = {"status": Number("200"), "message": "Settings updated", "data": SEED["settings"]["data"][group]}
        golden("settings", developer.ask("PATCH", f"/{app_id}/settings/{group}", groups[group]), example=group_alone)
    golden("settings", developer.ask("GET", f"/{app_id}/settings"))


def test_delete_app(custom):
    developer, made = custom
    assert golden("delete", developer.ask("DELETE", f"/{made['app_id']}")) == {"app_id": made["app_id"]}
    is_error(developer.ask("GET", f"/{made['app_id']}"), 404, "APP_NOT_FOUND")
    assert developer.see()["total"] == 0


# ---- an app that is used ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def used(own_platform):
    """One in a store, at the commission of the seed's charge, with one top-up and one event that was delivered."""
    developer, app = Developer(own_platform), SENT["get"]["data"]
    with Sink() as sink:
        made = developer.make(requested_scopes=app["requested_scopes"])
        answer = developer.ask("POST", f"/{made['app_id']}/webhooks/subscriptions",
                               {"event_topic": "order.status_changed", "target_url": f"{sink.url}/hook"})
        assert answer.status_code == 201, answer.text
        own_platform.call("billing.terms.set", app_id=made["app_id"], commission_rate=100000)
        shop = grant(developer, made)
        charge = paid(shop, 500, "wallet-topup")
        publish(own_platform, event(shop.store_id, "order.status_changed"))
        until(lambda: developer.see(f"/{made['app_id']}/overview")["webhooks"]["delivered_7d"] == 1)
        until(lambda: developer.see(f"/{made['app_id']}/installations")["items"][0]["request_count"])
        yield developer, made["app_id"], shop, charge["charge_id"]


def test_list_installations(used):
    developer, app_id, shop, _ = used
    data = golden("installations", developer.ask("GET", f"/{app_id}/installations", page=1, limit=20, status="active"), "request_count")
    [item] = data["items"]
    assert (item["installation_id"], item["store_id"]) == (shop.installation_id, shop.store_id) and item["request_count"] > 0


def test_billing_charges(used):
    developer, app_id, shop, charge_id = used
    data = golden("charges", developer.ask("GET", f"/{app_id}/billing/charges", page=1, limit=20, status="completed"))
    [item] = data["items"]
    assert (item["charge_id"], item["store_id"], item["installation_id"]) == (charge_id, shop.store_id, shop.installation_id)


def test_revenue_ledger(used):
    """The seed's 400.00 is that of another commission than its charge 8 has, which earns its developer 437.50."""
    developer, app_id, _, charge_id = used
    data = golden("revenue", developer.ask("GET", f"/{app_id}/billing/revenue", page=1, limit=20), "to_wallet_amount")
    assert [(item["app_id"], item["charge_id"], item["to_wallet_amount"]) for item in data["items"]] == [(app_id, charge_id, "437.50")]


def test_developer_balance(used):
    developer, app_id, _, _ = used
    data = golden("balance", developer.ask("GET", f"/{app_id}/billing/balance"), "total_earned", "available_balance")
    assert (data["app_id"], data["total_earned"], data["available_balance"]) == (app_id, "437.50", "437.50")


def test_app_overview(used):
    developer, app_id, shop, charge_id = used
    data = golden("overview", developer.ask("GET", f"/{app_id}/overview"), "active", "total", "count", "total_amount", "total_developer_amount",
                  "active_subscriptions", "delivered_7d", "failed_7d")
    recent = data.pop("recent_activity")
    assert data == {"installations": {"active": 1, "total": 1},
                    "charges": {"count": 1, "total_amount": "500.00", "total_developer_amount": "437.50"},
                    "webhooks": {"active_subscriptions": 1, "delivered_7d": 1, "failed_7d": 0}}
    assert recent["latest_installation"]["installation_id"] == shop.installation_id and recent["latest_charge"]["charge_id"] == charge_id

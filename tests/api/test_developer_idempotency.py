"""Idempotency-Key on the developers' POSTs that make something: one app, one subscription, one payout, however often they are sent,
side by side, and when a process is killed in the middle; and what was kept is told only to those who may do it still."""

import concurrent.futures
import os
import threading
import time
import uuid

import pytest

from .client import is_error
from .operations import DOCUMENT, METHODS, follow
from .payments import paid
from .shop import PASSWORD
from .test_app_members import Team
from .test_developer_apps import APPS, Developer, grant, unique, wanted

KILLS = max(4, int(40 * float(os.environ.get("SX_TEST_SCALE", "0.1"))))


@pytest.fixture
def developer(platform):
    return Developer(platform)


def post(developer, path, body, key, gateway=1):
    return developer.platform.request("POST", APPS + path, headers={**developer.headers, "Idempotency-Key": key}, json_body=body, gateway=gateway)


def is_replayed(answer, first):
    assert (answer.status_code, answer.content) == (first.status_code, first.content)
    assert answer.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers


def test_an_app_is_made_once(developer):
    key, body = str(uuid.uuid4()), wanted(slug=unique())
    first = post(developer, "", body, key)
    assert first.status_code == 201, first.text
    for _ in range(3):
        is_replayed(post(developer, "", body, key), first)
    is_error(post(developer, "", {**body, "name": "Another"}, key), 409, "IDEMPOTENCY_CONFLICT")
    assert developer.see()["total"] == 1
    grant(developer, first.json()["data"])                          # with the credentials that were shown
    is_error(post(developer, "", body, str(uuid.uuid4())), 409, "SLUG_EXISTS")


def test_without_a_slug(developer):
    """Nothing but the key tells the second from a new one."""
    first, again = (post(developer, "", wanted(), "the-same") for _ in range(2))
    is_replayed(again, first)
    assert post(developer, "", wanted(), "another").json()["data"]["app_id"] != first.json()["data"]["app_id"]
    assert developer.see()["total"] == 2


def test_a_key_is_its_developers_own(developer):
    other = Developer(developer.platform)
    mine, theirs = post(developer, "", wanted(), "key-1"), post(other, "", wanted(), "key-1")
    assert mine.status_code == theirs.status_code == 201 and mine.json()["data"]["clientId"] != theirs.json()["data"]["clientId"]
    assert (developer.see()["total"], other.see()["total"]) == (1, 1)


def test_errors_are_not_kept(developer):
    taken = developer.make(slug=unique())
    is_error(post(developer, "", wanted(slug=taken["slug"]), "key"), 409, "SLUG_EXISTS")
    is_error(post(developer, "", wanted(redirect_urls=["https://example.com/"] * 2), "key"), 409, "DUPLICATE_FIELD")
    is_error(post(developer, "", wanted(requested_scopes=["read:everything"]), "key"), 400, "VALIDATION_ERROR")
    assert post(developer, "", wanted(), "key").status_code == 201


def test_what_is_no_key(developer):
    for key in ("", "x" * 256, "with space"):
        is_error(post(developer, "", wanted(), key), 400, "VALIDATION_ERROR")
    assert post(developer, "", wanted(), "x" * 255).status_code == 201 and developer.see()["total"] == 1


def test_secrets_are_sealed(developer):
    key = str(uuid.uuid4())
    made = post(developer, "", wanted(), key).json()["data"]
    [(sealed, body)] = developer.platform.postgres.rows("select sealed, body from developer_apps.idempotency where key = %s",
                                                        (f"{developer.account_id}:{key}",))
    assert sealed and not any(made[name].encode() in bytes(body) for name in ("clientSecret", "sessionSigningKey", "clientId"))


def test_a_subscription_is_made_once(developer):
    app_id = developer.make()["app_id"]
    path, body = f"/{app_id}/webhooks/subscriptions", {"event_topic": "order.created", "target_url": "https://app.example/hooks"}
    first = post(developer, path, body, "hook")
    assert first.status_code == 201, first.text
    is_replayed(post(developer, path, body, "hook"), first)
    is_error(post(developer, path, {**body, "event_topic": "order.updated"}, "hook"), 409, "IDEMPOTENCY_CONFLICT")
    other = f"/{developer.make()['app_id']}/webhooks/subscriptions"
    is_error(post(developer, other, body, "hook"), 409, "IDEMPOTENCY_CONFLICT")
    assert developer.see(path)["total"] == 1 and developer.see(other)["total"] == 0
    is_error(post(Developer(developer.platform), path, body, "hook"), 404, "APP_NOT_FOUND")


def test_a_payout_is_requested_once(developer):
    made = developer.make(requested_scopes=["read:orders", "billing"])
    paid(grant(developer, made), 1000)
    path = f"/{made['app_id']}/billing/payouts"
    first = post(developer, path, {"amount": 100}, "January")
    assert first.status_code == 201, first.text
    is_replayed(post(developer, path, {"amount": 100}, "January"), first)
    is_error(post(developer, path, {"amount": 200}, "January"), 409, "IDEMPOTENCY_CONFLICT")
    is_error(post(developer, path, {"amount": 5000}, "February"), 400, "INSUFFICIENT_BALANCE")
    assert post(developer, path, {"amount": 200}, "February").status_code == 201
    assert developer.see(f"/{made['app_id']}/billing/balance")["total_paid_out"] == "300.00"
    named = [post(developer, path, {"amount": 10, "idempotency_key": "March"}, f"March {n}".replace(" ", "-")).json()["data"] for n in range(2)]
    assert named[0] == named[1]                                     # the body's own name holds beside the header


# ---- who may hear it again -------------------------------------------------------------------------------------------


HOOKS, HOOK = "/{}/webhooks/subscriptions", {"event_topic": "order.created", "target_url": "https://app.example/hooks"}


def is_refused(answer, status, code, *secrets):
    is_error(answer, status, code)
    assert "Idempotent-Replayed" not in answer.headers and not any(secret in answer.text for secret in secrets)


def test_these_are_all_that_take_a_key():
    """Beside those of apps, whose token is looked at with each request and says what may be seen. A new one needs its tests here."""
    keyed = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in METHODS if method in item
             if any(follow(parameter)["name"] == "Idempotency-Key" for parameter in item[method].get("parameters", []))
             and not path.startswith("/api/apps/v1/")}
    assert keyed == {("POST", "/api/v1/apps"), ("POST", "/api/v1/apps/{app_id}/webhooks/subscriptions"), ("POST", "/api/v1/apps/{app_id}/billing/payouts")}


def test_who_is_a_member_no_more(platform):
    team = Team(platform)
    path, who = HOOKS.format(team.app_id), team.developer
    first = post(who, path, HOOK, "hook")
    secret = first.json()["data"]["signing_secret"]
    is_replayed(post(who, path, HOOK, "hook"), first)
    assert team.change(who, "viewer").status_code == 200
    is_refused(post(who, path, HOOK, "hook"), 403, "FORBIDDEN", secret)
    assert team.change(who, "admin").status_code == 200
    is_replayed(post(who, path, HOOK, "hook"), first)
    assert team.remove(who).status_code == 200
    for _ in range(2):
        is_refused(post(who, path, HOOK, "hook"), 404, "APP_NOT_FOUND", secret)
    assert team.add(who, "developer").status_code == 201
    is_replayed(post(who, path, HOOK, "hook"), first)
    assert team.owner.see(path)["total"] == 1
    assert team.owner.ask("DELETE", f"/{team.app_id}").status_code == 200
    is_refused(post(who, path, HOOK, "hook"), 404, "APP_NOT_FOUND", secret)


def test_a_payout_of_who_was_lowered(platform):
    team = Team(platform, requested_scopes=["read:orders", "billing"])
    paid(grant(team.owner, team.made), 1000)
    path, who = f"/{team.app_id}/billing/payouts", team.admin
    first = post(who, path, {"amount": 100}, "January")
    assert first.status_code == 201, first.text
    assert team.change(who, "developer").status_code == 200
    is_refused(post(who, path, {"amount": 100}, "January"), 403, "FORBIDDEN", "payout_id")
    assert team.remove(who).status_code == 200
    is_refused(post(who, path, {"amount": 100}, "January"), 404, "APP_NOT_FOUND", "payout_id")
    assert team.owner.see(path)["total"] == 1


def test_an_app_that_was_handed_on(platform):
    """Who has made it hears its credentials again as long as it is theirs, and again once it is."""
    maker, taker, body = Developer(platform), Developer(platform), wanted(slug=unique())
    first, other = post(maker, "", body, "key"), post(maker, "", wanted(), "other")
    made = first.json()["data"]
    member, secrets = f"/{made['app_id']}/members", [made[name] for name in ("clientId", "clientSecret", "sessionSigningKey")]
    assert maker.ask("POST", member, {"email": taker.email, "role": "viewer"}).status_code == 201
    is_replayed(post(maker, "", body, "key"), first)
    assert maker.ask("PATCH", f"{member}/{taker.account_id}", {"role": "owner"}).status_code == 200
    is_refused(post(maker, "", body, "key"), 403, "FORBIDDEN", *secrets)
    assert taker.ask("DELETE", f"{member}/{maker.account_id}").status_code == 200
    is_refused(post(maker, "", body, "key"), 404, "APP_NOT_FOUND", *secrets)
    is_error(post(maker, "", {**body, "name": "Another"}, "key"), 409, "IDEMPOTENCY_CONFLICT")
    is_replayed(post(maker, "", wanted(), "other"), other)
    assert taker.ask("POST", member, {"email": maker.email, "role": "admin"}).status_code == 201
    assert taker.ask("PATCH", f"{member}/{maker.account_id}", {"role": "owner"}).status_code == 200
    is_replayed(post(maker, "", body, "key"), first)


def test_an_app_that_was_deleted(developer):
    """Its deletion takes no key: asked again there is no such app, and so it is when its making is asked again."""
    first = post(developer, "", wanted(), "key")
    made = first.json()["data"]
    again = {"headers": {**developer.headers, "Idempotency-Key": "gone"}}
    assert developer.platform.request("DELETE", f"{APPS}/{made['app_id']}", **again).status_code == 200
    is_refused(developer.platform.request("DELETE", f"{APPS}/{made['app_id']}", **again), 404, "APP_NOT_FOUND")
    is_refused(post(developer, "", wanted(), "key"), 404, "APP_NOT_FOUND", made["clientId"], made["clientSecret"])
    assert post(developer, "", wanted(), "another").json()["data"]["app_id"] != made["app_id"] and developer.see()["total"] == 1


# ---- time, crowds, kills ---------------------------------------------------------------------------------------------


def test_a_day_later_a_key_is_a_new_one(make_platform):
    platform = make_platform()
    developer = Developer(platform)
    first = post(developer, "", wanted(), "key")
    platform.set_clock(86400 + 60)
    answer = platform.post("/api/v1/auth/login", {"identifier": developer.email, "password": PASSWORD})
    developer.headers = {"Authorization": f"Bearer {answer.json()['data']['accessToken']}"}
    second = post(developer, "", wanted(name="Another"), "key")
    assert second.status_code == 201 and second.json()["data"]["app_id"] != first.json()["data"]["app_id"]


def test_many_at_once(make_platform):
    """At two gateways and two processes: who comes while it is made is told to come again, and then hears the same."""
    platform = make_platform(gateways=2, services={"auth": 1, "store-data": 1, "developer-apps": 2})
    developer = Developer(platform)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for turn in range(5):
            answers = list(pool.map(lambda n: post(developer, "", wanted(), f"key-{turn}", gateway=n % 2 + 1), range(16)))
            made = {answer.content for answer in answers if answer.status_code == 201}
            assert len(made) == 1 and developer.see()["total"] == turn + 1
            for answer in answers:
                if answer.status_code != 201:
                    is_error(answer, 409, "CONFLICT")
                    assert answer.headers["Retry-After"] == "1"
            assert post(developer, "", wanted(), f"key-{turn}").content in made


@pytest.mark.parametrize("service", ["developer-apps", "auth"])
def test_killed_in_the_middle(make_platform, service):
    """Never two apps of one key; who was answered is answered the same again. Of who was not it may be unknown what came of it, and then
    that is what is answered."""
    platform = make_platform(services={"auth": 1, "store-data": 1, service: 2})
    developer, answers, over = Developer(platform), {}, threading.Event()

    def make(lane):
        while not over.is_set():
            key = f"{lane}-{len(answers)}-{uuid.uuid4().hex[:8]}"
            answers[key] = post(developer, "", wanted(description=key), key)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(make, lane) for lane in range(4)]
        for turn in range(KILLS):
            time.sleep(0.15)
            platform[f"{service}-{turn % 2 + 1}"].kill()
            platform[f"{service}-{turn % 2 + 1}"].start()
        over.set()
        for job in jobs:
            job.result()
    platform.wait_ready()
    platform.set_clock(40)                                          # nobody is at work on any of them any more
    lost = 0
    for key, first in answers.items():
        again = post(developer, "", wanted(description=key), key)
        assert first.status_code in (201, 502, 503, 504), first.text
        if first.status_code == 201:
            assert (again.status_code, again.content) == (201, first.content)
        elif again.status_code != 201:
            is_error(again, 502, "OUTCOME_UNKNOWN")
            lost += 1
    described = platform.postgres.rows("select listing.description, count(*) from developer_apps.listing join auth.app using (creation_id) group by 1")
    assert {count for _, count in described} == {1}
    assert len(answers) - lost <= len(described) <= len(answers)

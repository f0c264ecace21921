"""Idempotency-Key on the developers' POSTs that make something: one app, one subscription, one payout, however often they are sent,
side by side, and when a process is killed in the middle."""

import concurrent.futures
import os
import threading
import time
import uuid

import pytest

from .client import is_error
from .payments import paid
from .shop import PASSWORD
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

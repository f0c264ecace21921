"""Endpoints that do what no server should (contract D.3): what is noted of each, and that the process stays small and alive.

All of them at once, each a subscription of its own; the events go to a well-behaved one beside them as well. Only a status
with all its headers within 15 seconds counts.
"""

import email.utils
import time
from pathlib import Path

import pytest

from .certificates import Authority
from .hooks import Sink, event, log_of, publish, subscribe
from .hostile import Hostile
from .platform import VARIANT
from .receiver import Receiver
from .shop import Owner
from .test_uninstall import until

SLOW = {"never": None, "after-14": 200, "after-16": None, "trickling-headers": None, "trickling-first-line": None, "trickling-body": 200}
QUICK = {
    "gigabyte": 200, "gigabyte-in-chunks": 200, "gigabyte-refused": 500, "bomb": 200, "endless-headers": None, "endless-line": None,
    "endless-first-line": None, "endless-continue": None, "reset": None, "closes": None, "closes-in-first-line": None,
    "closes-in-headers": None, "closes-in-body": 200, "closes-in-chunk": 200, "bad-chunk": 200, "no-end": 200, "http09": None,
    "not-http": None, "nothing-after": None, "continue": 200, "continue-only": None, "early-hints": 200, "switches": None,
    "status-abc": None, "status-99999": None, "status-999": 999, "status-204": 204, "status-304": 304, "status-401": 401,
    "status-407": 407, "length-twice": 200, "length-negative": None, "bytes": 500, "speaks-twice": 200, "redirect-301": 301, "redirect-302": 302, "redirect-303": 303, "redirect-307": 307, "redirect-308": 308,
}
ALL = {**SLOW, **QUICK}


def resident_mib(process):
    line = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def attempts(platform, shop):
    """By URL: the attempts in their order, as status, error, body, seconds until the next one."""
    found = {}
    for url, *rest in platform.postgres.rows(
            "select s.target_url, a.response_status, a.error, a.response_body, extract(epoch from a.next_retry_at - a.at)::float from "
            "webhooks.attempt as a join webhooks.subscription as s using (subscription_id) where s.store_id = %s order by a.at", (shop.store_id,)):
        found.setdefault(url, []).append(tuple(rest))
    return found


class Outcome:
    """One event to a subscription for each behaviour, and then another one."""

    def __init__(self, platform):
        self.shop = Owner(platform).open_shop()
        until(lambda: log_of(platform, self.shop.installation_id), 60)
        with Hostile() as endpoint, Sink() as sink:
            for path in ALL:
                subscribe(self.shop, f"{endpoint.url}/{path}")
            subscribe(self.shop, sink.url)
            before = resident_mib(platform["webhooks-1"])
            publish(platform, event(self.shop.store_id, resource_id=1))
            sink.wait(1)
            until(lambda: len(attempts(platform, self.shop)) == len(ALL) + 1, 60)
            publish(platform, event(self.shop.store_id, resource_id=2))
            sink.wait(2)
            quick = [f"{endpoint.url}/{path}" for path in QUICK]
            until(lambda: all(len(attempts(platform, self.shop)[url]) == 2 for url in quick), 60)
            self.growth = resident_mib(platform["webhooks-1"]) - before
            self.first, self.second = ({url.rpartition("/")[2]: each[number] for url, each in attempts(platform, self.shop).items()
                                        if url.startswith(endpoint.url) and len(each) > number} for number in (0, 1))
            self.sent, self.seen = endpoint.sent, endpoint.seen


@pytest.fixture(scope="module")
def small_platform():
    from .platform import Platform
    with Platform() as platform:
        yield platform


@pytest.fixture(scope="module")
def outcome(small_platform):
    return Outcome(small_platform)


@pytest.fixture
def shop(small_platform):
    made = Owner(small_platform).open_shop()
    until(lambda: log_of(made.platform, made.installation_id), 60)
    return made


@pytest.mark.parametrize("path", sorted(ALL))
def test_what_is_noted(outcome, path):
    expected = ALL[path]
    status, error, body, wait_s = outcome.first[path]
    assert (status, bool(error)) == (expected, expected is None), error
    assert (wait_s is None) == (status is not None and 200 <= status < 300)
    assert body is None or len(body) <= 4096
    if path in QUICK:
        assert outcome.second[path][0] == expected


def test_what_is_kept_of_answers(outcome):
    assert outcome.first["gigabyte"][2] == "x" * 4096 and outcome.first["gigabyte-refused"][2] == "x" * 4096
    assert outcome.first["closes-in-body"][2] == "half" and outcome.first["no-end"][2] == "until it closes"
    assert outcome.first["bomb"][2] is None and outcome.first["bytes"][2] is None


def test_nothing_is_read_to_its_end(outcome):
    """What is on the way in sockets' buffers may be sent, and no more."""
    assert set(outcome.sent) == {"gigabyte", "gigabyte-in-chunks", "gigabyte-refused", "endless-headers", "endless-line",
                                 "endless-first-line", "endless-continue"}
    assert max(outcome.sent.values()) < 32 << 20


def test_one_request_for_each_attempt(outcome):
    """No redirect is followed, nobody answers a challenge. (What came to a kept connection and found it closed comes again.)"""
    answered = [path for path in QUICK if path.startswith(("redirect-", "status-", "gigabyte"))]
    assert {path: outcome.seen.count(path) for path in answered} == {path: 2 for path in answered}


@pytest.mark.parametrize("path", ["hangs-up-later", "forgets-connection"])
def test_a_kept_connection_that_is_gone_costs_no_attempt(small_platform, shop, path):
    """What was sent on it is sent again on a new one, however often it happens."""
    with Hostile() as endpoint:
        subscribe(shop, f"{endpoint.url}/{path}")
        for number in range(1, 10):
            publish(small_platform, event(shop.store_id, resource_id=number))
            until(lambda: len(attempts(small_platform, shop).get(f"{endpoint.url}/{path}", [])) == number)
            time.sleep(0.1)
    assert [(status, error) for status, error, _, _ in attempts(small_platform, shop)[f"{endpoint.url}/{path}"]] == [(200, None)] * 9


@pytest.mark.skipif(VARIANT == "asan", reason="a sanitizer keeps what was freed")
def test_the_process_stays_small(outcome):
    assert outcome.growth < 48


def test_nothing_of_it_was_an_error_of_ours(outcome, small_platform):
    assert small_platform["webhooks-1"].is_running()
    assert [line for line in small_platform["webhooks-1"].log_lines() if line.get("level") in ("error", "fatal")] == []


# ---- Retry-After -----------------------------------------------------------------------------------------------------


class Waits(Receiver):
    """429 with the Retry-After that the path's number stands for; even paths of 500 have none."""

    def __init__(self, values):
        super().__init__()
        self.values = values
        handler, receiver = self.server.RequestHandlerClass, self

        def end_headers(request, ended=handler.end_headers):
            value = receiver.values.get(request.path)
            if value is not None:
                request.send_header("Retry-After", value)
            ended(request)
        handler.end_headers = end_headers
        self.answers = {path: 429 if value is not None else 500 for path, value in values.items()}


def test_retry_after_in_all_its_forms(small_platform, shop):
    date = email.utils.formatdate(time.time() + 1800, usegmt=True)
    values = {"/seconds": "3600", "/none": None, "/date": date, "/past": email.utils.formatdate(time.time() - 1800, usegmt=True),
              "/word": "soon", "/negative": "-3600", "/zero": "0", "/huge": "99999999999999999999999", "/week": "604800", "/empty": "",
              "/nan": "0x7fffffff", "/far": "Fri, 31 Dec 9999 23:59:59 GMT"}
    with Waits(values) as endpoint:
        for path in values:
            subscribe(shop, endpoint.url + path)
        publish(small_platform, event(shop.store_id))
        until(lambda: len(attempts(small_platform, shop)) == len(values))
    waits = {url.removeprefix(endpoint.url): each[0][3] for url, each in attempts(small_platform, shop).items()}
    asked = {"/seconds": (3600, 3610), "/date": (1780, 1810), "/week": (86400, 86410), "/far": (86400, 86410)}
    for path, wait_s in waits.items():
        least, most = asked.get(path, (60, 71))
        assert least <= wait_s <= most, (path, wait_s)


def test_one_that_asked_for_time_does_not_hold_up_another(small_platform, shop):
    """Connections and handles serve many endpoints; what one said is not remembered of the next."""
    with Waits({"/patient": "7200", "/plain": None}) as endpoint:
        subs = [subscribe(shop, endpoint.url + path) for path in ("/patient", "/plain")]
        for number in range(5):
            publish(small_platform, event(shop.store_id, resource_id=number))
        until(lambda: sum(map(len, attempts(small_platform, shop).values())) == 10)
    found = attempts(small_platform, shop)
    assert all(wait_s >= 7200 for _, _, _, wait_s in found[subs[0]["target_url"]])
    assert all(wait_s <= 71 for _, _, _, wait_s in found[subs[1]["target_url"]])


# ---- TLS -------------------------------------------------------------------------------------------------------------


def test_a_certificate_that_nobody_vouches_for(small_platform, shop):
    authority = Authority()
    with Hostile(authority.context("localhost", self_signed=True)) as alone, Hostile(authority.context("localhost")) as unknown, \
            Hostile() as plain, Sink() as sink:
        targets = [each.url.replace("127.0.0.1", "localhost") + "/status-204" for each in (alone, unknown)]
        targets += [plain.url.replace("http://", "https://") + "/status-204", f"https://{plain.origin}/never"]
        for target in [*targets, sink.url]:
            subscribe(shop, target)
        publish(small_platform, event(shop.store_id))
        sink.wait(1)
        until(lambda: len(attempts(small_platform, shop)) == len(targets) + 1, 40)
        assert alone.seen == unknown.seen == []
    for target in targets:
        [(status, error, _, wait_s)] = attempts(small_platform, shop)[target]
        assert status is None and error and 60 <= wait_s <= 90
    assert "certificate" in attempts(small_platform, shop)[targets[0]][0][1].lower()

"""The pushes to apps beside each other: many at once, slow apps, late answers, apps that are switched off, in order."""

import ctypes
import os
import subprocess
import threading
import time

import pytest

from .credentials import STORE, bearer
from .platform import give
from .receiver import Receiver
from .test_installations import Merchant, finished, token_of, until


class Recorder(Receiver):
    """Notes when each request came and when its answer went; those to `held` are answered when `release` is set."""

    def __init__(self, held=None, held_s=8):
        super().__init__()
        self.held, self.held_s, self.release, self.seen = held, held_s, threading.Event(), []

    def take(self, path, headers, body):
        self.seen.append(("came", path))
        status = super().take(path, headers, body)
        if path == self.held:
            self.release.wait(self.held_s)
        self.seen.append(("answered", path))
        return status


@pytest.fixture
def platform(make_platform):
    return make_platform()


@pytest.fixture
def merchant(platform):
    return Merchant(platform)


def make_due(platform, installation_ids):
    """Pushes of tokens that are all due at this moment, in this order."""
    platform.postgres.rows(
        "insert into auth.app_push (installation_id, generation, kind, next_at, created_at) select id, 1, 'token', "
        "now() - interval '1 minute' + place * interval '1 millisecond', now() "
        "from unnest(%s::bigint[]) with ordinality as due (id, place)", (installation_ids,))


def set_webhook(platform, app, url):
    platform.postgres.rows("update auth.app set webhook_url = %s where app_id = %s", (url, app["app_id"]))


def test_more_are_due_than_a_turn_takes(platform, merchant):
    """The planner believes in one row, as after a quiet night, and there are forty."""
    apps, made = [merchant.make_app(["read:store"]) for _ in range(20)], []
    for store_id in (merchant.open_store(), merchant.open_store()):
        made += [merchant.install(app, store_id)["installation_id"] for app in apps]
    make_due(platform, made[:1])
    until(lambda: not platform.postgres.rows("select 1 from auth.app_push"))     # no webhook_url: forgotten
    with Recorder() as receiver:
        for process in platform.of("auth"):
            process.pause()
        make_due(platform, made[:1])
        platform.postgres.rows("vacuum analyze auth.app_push")
        platform.postgres.rows("delete from auth.app_push")
        for app in apps:
            set_webhook(platform, app, receiver.url)
        make_due(platform, made)
        for process in platform.of("auth"):
            process.resume()
        receiver.wait(40)
        until(lambda: not platform.postgres.rows("select 1 from auth.app_push"))
        assert len(receiver.requests) == 40
        tokens = [token_of(request) for request in receiver.requests]
        assert len(set(tokens)) == 40
    assert all(process.is_running() for process in platform.of("auth"))


def test_a_slow_app_takes_two_places(platform, merchant):
    slow, quick = merchant.make_app(["read:store"]), merchant.make_app(["read:store"])
    made = [merchant.install(slow, merchant.open_store())["installation_id"] for _ in range(8)]
    made.append(merchant.install(quick, merchant.open_store())["installation_id"])
    with Recorder(held="/token") as slow_server, Receiver() as quick_server:
        set_webhook(platform, slow, slow_server.url)
        set_webhook(platform, quick, quick_server.url)
        make_due(platform, made)
        quick_server.wait(1)
        assert len(slow_server.requests) <= 2
        slow_server.held = None
        slow_server.release.set()
        slow_server.wait(8)


@pytest.mark.parametrize("services", [{"auth": 2, "store-data": 1}])
def test_pushes_do_not_overtake_each_other(make_platform, services):
    """The end of an install is still being told, by one process, when the next install has its token, in another."""
    platform = make_platform(services=services)
    merchant = Merchant(platform)
    with Recorder(held="/revoke") as receiver:
        app, store_id = merchant.make_app(webhook_url=receiver.url), merchant.open_store()
        made = merchant.install(app, store_id)
        receiver.wait(1)
        merchant.uninstall(made["installation_id"])
        receiver.wait(2)
        merchant.install(app, store_id)
        request = receiver.wait(3)[2]
        assert receiver.seen[:5] == [("came", "/token"), ("answered", "/token"), ("came", "/revoke"),
                                     ("answered", "/revoke"), ("came", "/token")]
        assert platform.get(STORE, headers=bearer(token_of(request))).status_code == 200
        until(lambda: not platform.postgres.rows("select 1 from auth.app_push"))


def test_an_attempt_of_a_killed_process_is_waited_for_no_longer_than_it_could_last(platform, merchant):
    with Recorder() as receiver:
        app, store_id = merchant.make_app(webhook_url=receiver.url), merchant.open_store()
        made = merchant.install(app, store_id)
        receiver.wait(1)
        until(lambda: not platform.postgres.rows("select 1 from auth.app_push"))
        receiver.held = "/revoke"
        merchant.uninstall(made["installation_id"])
        receiver.wait(2)
        until(lambda: finished(platform, made["installation_id"]))
        for process in platform.of("auth"):
            process.kill()
        receiver.release.set()
        for process in platform.of("auth"):
            process.start()
        platform.wait_ready()
        merchant.install(app, store_id)
        assert len(receiver.requests) == 2
        platform.set_clock(31)
        assert receiver.wait(3)[2][0] == "/token"


def test_an_app_that_is_off_is_told_later_attempts_too(platform, merchant):
    with Receiver() as receiver:
        receiver.answers = [503]
        app, store_id = merchant.make_app(webhook_url=receiver.url), merchant.open_store()
        merchant.install(app, store_id)
        receiver.wait(1)
        until(lambda: platform.postgres.rows("select 1 from auth.app_push where attempts = 1 and busy_until is null"))
        platform.call("auth.apps.set_status", app_id=app["app_id"], is_active=False)
        platform.set_clock(61)
        token = token_of(receiver.wait(2)[1])
        assert platform.get(STORE, headers=bearer(token)).status_code == 401
        platform.call("auth.apps.set_status", app_id=app["app_id"], is_active=True)
        assert platform.get(STORE, headers=bearer(token)).status_code == 200


# ---- apps that do not answer -----------------------------------------------------------------------------------------


def pushes(platform, condition="true"):
    return {one for one, in platform.postgres.rows(f"select installation_id from auth.app_push where {condition}")}


def test_an_app_that_never_answers_holds_up_no_other(platform, merchant):
    """Twenty apps get theirs while three others keep each of their places to the last."""
    store_id, slow_apps = merchant.open_store(), [merchant.make_app(["read:store"]) for _ in range(3)]
    quick_apps = [merchant.make_app(["read:store"]) for _ in range(20)]
    slow = [merchant.install(app, place)["installation_id"]
            for place in (store_id, merchant.open_store(), merchant.open_store()) for app in slow_apps]
    quick = [merchant.install(app, store_id)["installation_id"] for app in quick_apps]
    with Recorder(held="/token", held_s=60) as silent, Receiver() as receiver:
        for app in slow_apps:
            set_webhook(platform, app, silent.url)
        for app in quick_apps:
            set_webhook(platform, app, receiver.url)
        make_due(platform, slow)
        silent.wait(6)                                          # two of each app
        make_due(platform, quick)
        receiver.wait(20)
        until(lambda: not pushes(platform) & set(quick))        # each is noted as well
        assert silent.seen == [("came", "/token")] * 6
        assert pushes(platform) == set(slow) and len(pushes(platform, "busy_until is not null")) == 6
        silent.release.set()


def test_an_answer_that_took_longer_than_a_turn_may_is_noted(platform, merchant):
    with Recorder(held="/token", held_s=60) as receiver:
        app, store_id = merchant.make_app(webhook_url=receiver.url), merchant.open_store()
        made = merchant.install(app, store_id)["installation_id"]
        receiver.wait(1)
        time.sleep(6)                                           # app_push_plan.turn_ms is 5 s
        receiver.release.set()
        until(lambda: not pushes(platform))
        assert len(receiver.requests) == 1
        ours = [line for line in platform["auth-1"].log_lines() if line.get("installation_id") == made]
        assert [line["event"] for line in ours if line["event"].startswith("app_push")] == ["app_push_arrived"]


def failures(platform):
    return sum(line["event"] == "actor_turn_failed" and line["actor"] == "app-push"
               for line in platform["auth-1"].log_lines())


def test_what_the_database_could_not_take_is_noted_later(platform, merchant):
    with Recorder(held="/token", held_s=60) as receiver:
        app, store_id = merchant.make_app(webhook_url=receiver.url), merchant.open_store()
        merchant.install(app, store_id)
        receiver.wait(1)
        connection = platform.postgres.connect()
        connection.cursor().execute("begin; lock table auth.app_push in share row exclusive mode")
        receiver.release.set()
        until(lambda: ("answered", "/token") in receiver.seen)
        failed = failures(platform)
        until(lambda: failures(platform) >= failed + 2)         # one of them when it had the answer
        connection.close()
        for backend in platform.postgres.backends("auth"):
            platform.postgres.rows("select pg_terminate_backend(%s)", (backend,))
        until(lambda: not pushes(platform))
        assert len(receiver.requests) == 1


def test_a_process_that_is_told_to_end_breaks_off_and_says_so(platform, merchant):
    with Recorder(held="/token", held_s=60) as receiver:
        app, store_id = merchant.make_app(webhook_url=receiver.url), merchant.open_store()
        made = merchant.install(app, store_id)["installation_id"]
        receiver.wait(1)
        assert platform["auth-1"].terminate() == 0
        assert pushes(platform, "busy_until is null and attempts = 1") == {made}
        assert receiver.seen == [("came", "/token")]
        receiver.release.set()
        platform["auth-1"].start()
        platform.wait_ready()


HANGING_RESOLVER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");

    if (node && strcmp(node, "hangs.example") == 0)
        for (unsigned left = 120; left;)
            left = sleep(left);
    return next(node, service, hints, list);
}
"""


def curl_version():
    text = ctypes.CDLL("libcurl.so.4").curl_version
    text.restype = ctypes.c_char_p
    return tuple(int(part) for part in text().split()[0].split(b"/")[1].split(b".")[:2])


@pytest.mark.skipif(curl_version() < (7, 87), reason="libcurl before 7.87 waits for its resolver")
def test_a_look_up_that_hangs_holds_up_neither_pushes_nor_the_end(platform, merchant):
    """Two minutes, while an attempt lasts ten seconds and the end of a process at most fifteen."""
    library = platform.home / "bin" / "hangs.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, "-x", "c", "-", "-ldl"], input=HANGING_RESOLVER, text=True,
                   check=True)
    give(library)
    auth = platform["auth-1"]
    auth.terminate()
    auth.environment = {**auth.environment, "LD_PRELOAD": str(library),
                        "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    auth.start()
    platform.wait_ready()
    with Receiver() as receiver:
        store_id = merchant.open_store()
        lost = merchant.install(merchant.make_app(webhook_url="http://hangs.example/"), store_id)["installation_id"]
        until(lambda: pushes(platform, "busy_until is not null") == {lost})
        merchant.install(merchant.make_app(webhook_url=receiver.url), store_id)
        receiver.wait(1)
        until(lambda: pushes(platform, "busy_until is null and attempts = 1") == {lost})    # its ten seconds are over
        platform.set_clock(61)
        until(lambda: pushes(platform, "busy_until is not null and attempts = 2") == {lost})
        assert auth.terminate() == 0
        assert pushes(platform, "busy_until is null and attempts = 2") == {lost}

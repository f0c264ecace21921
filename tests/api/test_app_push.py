"""The pushes to apps beside each other: many at once, slow apps, late answers, apps that are switched off, in order."""

import threading

import pytest

from .credentials import STORE, bearer
from .receiver import Receiver
from .test_installations import Merchant, finished, token_of, until


class Recorder(Receiver):
    """Notes when each request came and when its answer went; those to `held` are answered when `release` is set."""

    def __init__(self, held=None):
        super().__init__()
        self.held, self.release, self.seen = held, threading.Event(), []

    def take(self, path, headers, body):
        self.seen.append(("came", path))
        status = super().take(path, headers, body)
        if path == self.held:
            self.release.wait(8)
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

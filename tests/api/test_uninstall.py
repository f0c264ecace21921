"""The saga behind an uninstall (protocols 8): killed between any two of its steps it finishes, and a reinstall that overtakes
it stays. Where it stands is held still by locks on what the next step wants to write."""

import contextlib
import random
import threading
import time

import pytest

from .credentials import STORE, refused
from .receiver import Receiver
from .test_installations import Merchant, client_of, events, finished, status_of, until

HOLD_S = 60                              # longer than a killed actor's row is held, and than a push waits for its second attempt
BLOCKS = {"before the first step": ("lock table auth.app_push in exclusive mode", 0),
          "before webhooks has done its part": ("lock table webhooks.subscription in exclusive mode", 1),
          "before the last step": ("select 1 from auth.installation for no key update", 3)}


@contextlib.contextmanager
def blocked(platform, sql):
    """What is locked stays locked until the block ends."""
    connection = platform.postgres.connect()
    connection.autocommit = False
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
        yield
    finally:
        connection.rollback()
        connection.close()


def step_of(platform, installation_id):
    rows = platform.postgres.rows("select step from auth.uninstall where installation_id = %s", (installation_id,))
    return rows[0][0] if rows else None


def kill_auth(platform):
    """Until its backends have noticed: one that waits for our lock would go on with what was sent to it."""
    for process in platform.of("auth"):
        process.kill()
    until(lambda: not platform.postgres.rows("select 1 from pg_stat_activity where usename = 'auth'"))


def start_auth(platform):
    for process in platform.of("auth"):
        process.start()
    platform.wait_ready()


def let_it_finish(platform, installation_id):
    """A row whose actor was killed is held for a while; the clock need not be waited for."""
    platform.set_clock(let_it_finish.clock + HOLD_S + 1)
    let_it_finish.clock += HOLD_S + 1
    until(lambda: finished(platform, installation_id))


@pytest.fixture
def platform(make_platform):
    let_it_finish.clock = 0
    return make_platform(durable=True)


@pytest.fixture
def merchant(platform):
    return Merchant(platform)


def uninstall_blocked(platform, merchant, installation_id, where):
    """Uninstalls and kills auth once the saga stands where it is wanted; the lock on the row itself is taken late, because
    the request needs it too."""
    sql, step = BLOCKS[where]
    if step == 0:
        with blocked(platform, sql):
            answer = merchant.uninstall(installation_id)
            assert step_of(platform, installation_id) == 0
            kill_auth(platform)
        return answer
    with blocked(platform, BLOCKS["before the first step"][0]):
        answer = merchant.uninstall(installation_id)
        holder = contextlib.ExitStack()
        holder.enter_context(blocked(platform, sql))
    with holder:
        until(lambda: step_of(platform, installation_id) == step)
        kill_auth(platform)
    return answer


@pytest.mark.parametrize("where", BLOCKS)
def test_a_kill_between_two_steps(platform, merchant, where):
    with Receiver() as receiver:
        store_id, app = merchant.open_store(), merchant.make_app(webhook_url=receiver.url)
        installation_id = merchant.install(app, store_id)["installation_id"]
        receiver.wait(1)
        assert uninstall_blocked(platform, merchant, installation_id, where)["status"] == "uninstalled"
        assert status_of(platform, installation_id) == ("uninstalling", 1)
        start_auth(platform)
        refused(platform.get(STORE, headers=client_of(app, store_id)), 401, "not_installed")
        let_it_finish(platform, installation_id)
        assert status_of(platform, installation_id) == ("uninstalled", 1)
        assert [path for path, _, _ in receiver.wait(2)] == ["/token", "/revoke"]
        assert [topic for topic, _, _ in events(platform, installation_id)] == ["app.installed", "app.uninstalled"]


@pytest.mark.parametrize("where", BLOCKS)
def test_a_reinstall_overtakes_it(platform, merchant, where):
    """The late saga leaves the new installation alone, and its app is not told that it ended."""
    with Receiver() as receiver:
        store_id, app = merchant.open_store(), merchant.make_app(webhook_url=receiver.url)
        installation_id = merchant.install(app, store_id)["installation_id"]
        receiver.wait(1)
        until(lambda: not platform.postgres.rows("select 1 from auth.app_push"))
        if where != "before the first step":
            receiver.answers = [503]                                         # the revoke is still to be repeated
        uninstall_blocked(platform, merchant, installation_id, where)
        platform.postgres.rows("update auth.uninstall set next_at = next_at + interval '1 hour'")
        start_auth(platform)
        platform.set_clock(31)                                               # a killed attempt counts as under way for a while
        made = merchant.install(app, store_id)
        assert made["installation_id"] == installation_id
        until(lambda: receiver.requests[-1][0] == "/token" and len(receiver.requests) > 1)
        told = len(receiver.requests)
        platform.postgres.rows("update auth.uninstall set next_at = next_at - interval '1 hour'")
        let_it_finish(platform, installation_id)
        platform.set_clock(let_it_finish.clock + 3600)
        time.sleep(1)
        assert status_of(platform, installation_id) == ("active", 2)
        assert platform.get(STORE, headers=client_of(app, store_id)).status_code == 200
        assert "/revoke" not in [path for path, _, _ in receiver.requests[told:]]


def test_kills_at_any_moment(platform, merchant):
    """Whatever the request came to, asking again ends it, and each event is there once."""
    store_id = merchant.open_store()
    made = [merchant.install(merchant.make_app(), store_id)["installation_id"] for _ in range(8)]
    for installation_id in made:
        process = platform["auth-1"]
        timer = threading.Timer(random.uniform(0, 0.04), process.kill)
        timer.start()
        path = f"/api/apps/installations/{installation_id}/uninstall"
        answer = merchant.ask("POST", path)
        assert answer.status_code in (200, 502, 503, 504), answer.text
        timer.join()
        process.start()
        platform.wait_ready()
        until(lambda: merchant.ask("POST", path).status_code == 200)                        # the gateway may still believe in dead workers
    for installation_id in made:
        let_it_finish(platform, installation_id)
        assert status_of(platform, installation_id) == ("uninstalled", 1)
        assert [topic for topic, _, _ in events(platform, installation_id)] == ["app.installed", "app.uninstalled"]


@pytest.mark.parametrize("how", ["kill", "pause", "terminate"])
def test_another_process_takes_over(make_platform, how):
    """One process runs the actor; when that is killed, stopped or ended, another one goes on by itself."""
    platform = make_platform(services={"auth": 2, "store-data": 1})
    merchant = Merchant(platform)
    store_id, app = merchant.open_store(), merchant.make_app()
    made = merchant.install(app, store_id)

    def runs(process):
        changes = [line["event"] for line in process.log_lines() if line.get("actor") == "uninstall"]
        return bool(changes) and changes[-1] == "actor_runs_here"

    until(lambda: sum(runs(process) for process in platform.of("auth")) == 1)
    holder = next(process for process in platform.of("auth") if runs(process))
    getattr(holder, how)()
    uninstall = f"/api/apps/installations/{made['installation_id']}/uninstall"
    until(lambda: merchant.ask("POST", uninstall).status_code == 200)        # a stopped worker may have got it first
    until(lambda: finished(platform, made["installation_id"]))
    assert status_of(platform, made["installation_id"]) == ("uninstalled", 1)
    other = next(process for process in platform.of("auth") if process is not holder)
    assert runs(other)
    if how == "pause":
        holder.resume()
        until(lambda: not runs(holder))
        assert runs(other)


def test_a_lost_database_delays_it_only(platform, merchant):
    store_id, app = merchant.open_store(), merchant.make_app()
    made = merchant.install(app, store_id)
    with blocked(platform, "lock table auth.app_push in exclusive mode"):
        merchant.uninstall(made["installation_id"])
        platform.postgres.rows("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'auth'")
    let_it_finish(platform, made["installation_id"])
    assert status_of(platform, made["installation_id"]) == ("uninstalled", 1)
    assert merchant.install(app, store_id)["status"] == "active"


def test_two_days_later_the_app_is_to_forget_the_store(platform, merchant):
    """Unless it has been installed again, which an earlier end must not undo."""
    store_id = merchant.open_store()
    gone, back = [merchant.install(merchant.make_app(), store_id) for _ in range(2)]
    for made in (gone, back):
        merchant.uninstall(made["installation_id"])
        until(lambda: finished(platform, made["installation_id"]))
    merchant.install({"app_id": back["app_id"]}, store_id)
    platform.set_clock(47 * 3600)
    time.sleep(1)
    assert len(platform.postgres.rows("select 1 from auth.uninstall")) == 2
    platform.set_clock(48 * 3600 + 1)
    until(lambda: not platform.postgres.rows("select 1 from auth.uninstall"))
    redacts = platform.postgres.rows("select store_id, data from seen_auth.outbox where topic = 'shop/redact'")
    assert [(store, data["installation_id"], data["app_id"]) for store, data in redacts] == [
        (store_id, gone["installation_id"], gone["app_id"])]
    assert redacts[0][1]["redact_requested_at"] > gone["installed_at"]


def test_a_process_that_comes_late_shortens_nothing(platform, merchant):
    """While it stood another one took the row up: the two days until shop/redact stay two days."""
    made = merchant.install(merchant.make_app(), merchant.open_store())
    with contextlib.ExitStack() as held:
        with blocked(platform, BLOCKS["before the first step"][0]):
            merchant.uninstall(made["installation_id"])
            held.enter_context(blocked(platform, BLOCKS["before the last step"][0]))
        until(lambda: step_of(platform, made["installation_id"]) == 3)
        platform.postgres.rows("update auth.uninstall set tries = tries + 1, next_at = now() + interval '5 s'")
    until(lambda: step_of(platform, made["installation_id"]) == 4)
    assert platform.postgres.rows("select 1 from auth.uninstall where next_at > now() + interval '47 hours'")


def test_the_app_is_told_once_to_forget_the_store(platform, merchant):
    """Of two processes that take the last step the one that deletes the row tells it."""
    made = merchant.install(merchant.make_app(), merchant.open_store())
    merchant.uninstall(made["installation_id"])
    until(lambda: finished(platform, made["installation_id"]))
    with blocked(platform, "select 1 from auth.installation for update"):
        platform.postgres.rows("update auth.uninstall set next_at = now()")
        until(lambda: platform.postgres.rows("select 1 from pg_stat_activity where usename = 'auth' and "
                                             "wait_event_type = 'Lock' and query like '%redact_requested_at%'"))
        platform.postgres.rows("delete from auth.uninstall")                 # as the other one did it
    until(lambda: not platform.postgres.rows("select 1 from pg_stat_activity where usename = 'auth' and "
                                             "(wait_event_type = 'Lock' or state like '%transaction%')"))
    assert [topic for topic, _, _ in events(platform, made["installation_id"])] == ["app.installed", "app.uninstalled"]


def test_a_lease_from_a_clock_that_was_set_back(platform, merchant):
    """Nobody waits for an hour that the database's clock will live through again."""
    for process in platform.of("auth"):
        assert process.terminate() == 0
    platform.postgres.rows("update auth.actor_lease set holder = 1, until = now() + interval '1 hour'")
    start_auth(platform)
    made = merchant.install(merchant.make_app(), merchant.open_store())
    merchant.uninstall(made["installation_id"])
    until(lambda: finished(platform, made["installation_id"]))

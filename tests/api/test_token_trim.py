"""What has run out goes: tokens however they were made, and when credentials that are no more were last used."""

from .credentials import STORE, bearer
from .receiver import Receiver
from .test_installations import Merchant, token_of, until

DAY_S = 86400


def uses(platform, like):
    return {name for name, in platform.postgres.rows(
        "select credential from auth.credential_use where credential like %s", (like,))}


def test_tokens_of_all_kinds_go_a_day_after_their_end(make_platform):
    platform = make_platform()
    merchant = Merchant(platform)
    with Receiver() as receiver:
        store_id, app = merchant.open_store(), merchant.make_app(webhook_url=receiver.url)
        merchant.install(app, store_id)
        token = token_of(receiver.wait(1)[0])
        grant = platform.call("auth.installations.create", app_id=merchant.make_app()["app_id"], store_id=store_id)
        for one in (token, grant["access_token"]):
            assert platform.get(STORE, headers=bearer(one)).status_code == 200
        until(lambda: len(uses(platform, "token:%")) == 2)
        platform.set_clock(2 * DAY_S - 60)
        assert platform.postgres.rows("select count(*) from auth.token") == [(3,)]
        platform.set_clock(2 * DAY_S + 60)
        until(lambda: platform.postgres.rows("select kind from auth.token") == [("refresh",)])
        assert uses(platform, "token:%") == set()
        platform.set_clock(31 * DAY_S + 60)
        until(lambda: platform.postgres.rows("select count(*) from auth.token") == [(0,)])


def test_uses_of_credentials_before_the_last_two_go(platform):
    app_id = Merchant(platform).make_app()["app_id"]
    platform.postgres.rows("insert into auth.credential_use select kind || ':' || %s || ':' || number, now() from "
                           "unnest(array['secret', 'signing_key']) as kind, generate_series(1, 3) as number", (app_id,))
    for number in (2, 3, 4):
        platform.call("auth.apps.rotate_secret", app_id=app_id)
        platform.call("auth.apps.rotate_signing_key", app_id=app_id)
        assert {name.rpartition(":")[2] for name in uses(platform, f"%:{app_id}:%")} == {
            str(one) for one in range(number - 1, 4)}
    assert uses(platform, f"%:{app_id}:%") == {f"secret:{app_id}:3", f"signing_key:{app_id}:3"}


def test_a_request_trims_no_more_than_its_share(make_platform):
    """The planner may do what it likes least: a look-up of what is to go, made anew for each row that there is."""
    platform = make_platform()
    for way in ("hashagg", "hashjoin", "material", "mergejoin", "sort"):
        platform.postgres.rows(f"alter role auth set enable_{way} = off")
    for process in platform.of("auth"):
        process.restart()
    platform.wait_ready()
    platform.postgres.rows("insert into auth.login_failure select sha256(n::text::bytea), 1, now() - interval '1 hour' "
                           "from generate_series(1, 500) as n")
    answer = platform.post("/api/auth/login", {"email": "nobody@example.com", "password": "a wrong password"})
    assert answer.status_code == 401
    left = platform.postgres.rows("select count(*) from auth.login_failure where until < now()")[0][0]
    assert 400 < left < 500

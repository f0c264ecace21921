"""Apps on stores as their merchant handles them: direct install, list, use, uninstall, reinstall (contract A.7, C.1, C.3)."""

import json
import os
import threading
import time

import pytest

from .credentials import STORE, accepted, bearer, refused, session_token
from .locks import transaction
from .receiver import Receiver, signature
from .rpc import RpcError
from .shop import PASSWORD, SCOPES, Owner, Shop

PATH = "/api/apps/installations"
INSTALL = f"{PATH}/direct-install"


class Merchant(Owner):
    """Signed in; makes stores and apps by the operator's calls."""

    def __init__(self, platform, **flags):
        super().__init__(platform, **flags)
        self.token = accepted(platform.post("/api/auth/login", {"email": self.email, "password": PASSWORD}))["token"]

    def ask(self, method, path, body=None, **options):
        return self.platform.request(method, path, headers={"x-auth-token": self.token}, json_body=body, **options)

    def make_app(self, scopes=None, **fields):
        return self.platform.call(
            "auth.apps.create", owner_account_id=self.account_id, name=f"App {os.urandom(6).hex()}",
            redirect_urls=["https://app.example/callback"], requested_scopes=scopes or SCOPES, **fields)

    def install(self, app, store_id, **fields):
        answer = self.ask("POST", INSTALL, {"app_id": app["app_id"], "store_id": store_id, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    def uninstall(self, installation_id):
        return accepted(self.ask("POST", f"{PATH}/{installation_id}/uninstall"))

    def see(self, installation_id):
        return accepted(self.ask("GET", f"{PATH}/{installation_id}"))


@pytest.fixture
def merchant(platform):
    return Merchant(platform)


@pytest.fixture
def stranger(platform):
    return Merchant(platform)


def events(platform, installation_id):
    return platform.postgres.rows("select topic, store_id, data from seen_auth.outbox where resource_type = 'installation' "
                                  "and resource_id = %s order by id", (installation_id,))


def audits(platform, installation_id):
    return [action for action, in platform.postgres.rows(
        "select action from auth.audit where target = 'installation' and target_id = %s order by audit_id",
        (installation_id,))]


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def finished(platform, installation_id):
    """The saga waits for nothing but the two days until shop/redact."""
    return not platform.postgres.rows("select 1 from auth.uninstall where installation_id = %s and step < 4",
                                      (installation_id,))


def status_of(platform, installation_id):
    return platform.postgres.rows("select status, generation from auth.installation where installation_id = %s",
                                  (installation_id,))[0]


def client_of(app, store_id):
    return {"X-Client-Id": app["client_id"], "X-Client-Secret": app["client_secret"], "X-Store-Id": str(store_id)}


# ---- install ---------------------------------------------------------------------------------------------------------


def test_an_app_of_ones_own(platform, merchant):
    store_id, app = merchant.open_store(), merchant.make_app(["read:store", "read:orders"])
    made = merchant.install(app, store_id)
    assert (made["store_id"], made["app_id"], made["status"], made["installed_by"]) == (
        store_id, app["app_id"], "active", "direct")
    assert made["scopes"] == ["read:orders", "read:store"]
    assert (made["request_count"], made["last_used_at"], made["uninstalled_at"]) == (0, None, None)
    assert "sx_" not in json.dumps(made)
    assert platform.get(STORE, headers=client_of(app, store_id)).status_code == 200
    assert merchant.see(made["installation_id"])["app_slug"] == app["slug"]
    assert audits(platform, made["installation_id"]) == ["app.installed"]
    [(topic, store, data)] = events(platform, made["installation_id"])
    assert (topic, store, data["app_id"], data["generation"]) == ("app.installed", store_id, app["app_id"], 1)
    assert data["installed_at"] == made["installed_at"] and data["scopes"] == made["scopes"]


def test_fewer_scopes_than_the_app_asks_for(platform, merchant):
    store_id, app = merchant.open_store(), merchant.make_app(["read:orders", "read:store"])
    assert merchant.install(app, store_id, scopes=["read_orders"])["scopes"] == ["read:orders"]
    refused(platform.get(STORE, headers=client_of(app, store_id)), 403, "insufficient_scope")
    for scopes in (["write:orders"], ["read:orders", "read:nothing"]):
        answer = merchant.ask("POST", INSTALL, {"app_id": app["app_id"], "store_id": store_id, "scopes": scopes})
        assert refused(answer, 400, "validation_error")["errors"][0]["field"].startswith("scopes")


def test_a_foreign_app_only_when_it_is_listed(platform, merchant, stranger):
    store_id, app = merchant.open_store(), stranger.make_app()
    body = {"app_id": app["app_id"], "store_id": store_id}
    refused(merchant.ask("POST", INSTALL, body), 404, "not_found")
    assert platform.call("auth.apps.set_listed", app_id=app["app_id"], is_listed=True)["is_listed"] == 1
    made = merchant.install(app, store_id)
    assert platform.call("auth.apps.set_listed", app_id=app["app_id"], is_listed=False)["is_listed"] == 0
    assert merchant.see(made["installation_id"])["status"] == "active"
    refused(merchant.ask("POST", INSTALL, body), 404, "not_found")


def test_what_cannot_be_installed(platform, merchant, stranger):
    store_id, app = merchant.open_store(), merchant.make_app()
    refused(merchant.ask("POST", INSTALL, {"app_id": 10**12, "store_id": store_id}), 404, "not_found")
    refused(merchant.ask("POST", INSTALL, {"app_id": app["app_id"], "store_id": 10**12}), 404, "not_found")
    refused(stranger.ask("POST", INSTALL, {"app_id": app["app_id"], "store_id": store_id}), 404, "not_found")
    platform.call("auth.apps.set_status", app_id=app["app_id"], is_active=False)
    refused(merchant.ask("POST", INSTALL, {"app_id": app["app_id"], "store_id": store_id}), 404, "not_found")
    platform.call("auth.apps.set_status", app_id=app["app_id"], is_active=True)
    for status in ("suspended", "frozen"):
        platform.call("auth.stores.set_status", store_id=store_id, status=status)
        refused(merchant.ask("POST", INSTALL, {"app_id": app["app_id"], "store_id": store_id}), 403, "store_inactive")
    assert platform.postgres.rows("select 1 from auth.installation where app_id = %s", (app["app_id"],)) == []


@pytest.mark.parametrize("body", [
    {}, {"app_id": 1}, {"store_id": 1}, {"app_id": "1", "store_id": "x"}, {"app_id": 0, "store_id": 1},
    {"app_id": 2**63, "store_id": 1}, {"app_id": 1, "store_id": -1}, {"app_id": 1.5, "store_id": 1},
    {"app_id": [1], "store_id": 1}, {"app_id": 1, "store_id": 1, "scopes": []},
    {"app_id": 1, "store_id": 1, "scopes": "read:orders"}, {"app_id": 1, "store_id": 1, "scopes": ["x" * 65]},
    {"app_id": 1, "store_id": 1, "scopes": ["read:orders"] * 65}])
def test_bad_bodies(merchant, body):
    assert refused(merchant.ask("POST", INSTALL, body), 400, "validation_error")["errors"]


def test_who_may(platform, merchant, stranger):
    """A member sees; who may install can do both; without a session nobody does anything."""
    store_id, app = merchant.open_store(), merchant.make_app()
    made = merchant.install(app, store_id)
    one, end = f"{PATH}/{made['installation_id']}", f"{PATH}/{made['installation_id']}/uninstall"
    body = {"app_id": app["app_id"], "store_id": store_id}
    for method, path, sent in (("GET", one, None), ("POST", end, None), ("GET", f"{PATH}?store_id={store_id}", None),
                               ("POST", INSTALL, body)):
        refused(stranger.ask(method, path, sent), 404, "not_found")
        refused(platform.request(method, path, json_body=sent), 401, "missing_token")
        refused(platform.request(method, path, headers=client_of(app, store_id), json_body=sent), 401, "missing_token")
    answer = merchant.ask("POST", f"/api/stores/{store_id}/members",
                          {"email": stranger.email, "permissions": ["apps__view_webhooks"]})
    assert answer.status_code in (200, 201), answer.text
    assert stranger.see(made["installation_id"])["app_id"] == app["app_id"]
    refused(stranger.ask("POST", end), 403, "forbidden")
    refused(stranger.ask("POST", INSTALL, body), 403, "forbidden")
    merchant.ask("POST", f"/api/stores/{store_id}/members",
                 {"email": stranger.email, "permissions": ["apps__install_apps"]})
    assert stranger.uninstall(made["installation_id"])["status"] == "uninstalled"
    assert stranger.install(app, store_id)["status"] == "active"      # the owner's app is the store's own


# ---- list ------------------------------------------------------------------------------------------------------------


def test_the_list_of_a_store(platform, merchant):
    store_id, other = merchant.open_store(), merchant.open_store()
    made = [merchant.install(merchant.make_app(), store_id) for _ in range(5)]
    merchant.install(merchant.make_app(), other)
    ids = [one["installation_id"] for one in reversed(made)]
    merchant.uninstall(ids[0])

    def page(**parameters):
        body = merchant.ask("GET", PATH, params={"store_id": store_id, **parameters}).json()
        return [one["installation_id"] for one in body["data"]], body["pagination"]

    assert page()[0] == ids[1:] and page()[1] == {"page": 1, "limit": 50, "total": 4, "next_cursor": None}
    assert page(status="all")[0] == ids
    assert page(status="uninstalled")[0] == ids[:1]
    assert page(status="all", limit=2, page=3)[0] == ids[4:]
    assert page(status="all", limit=2, page=9) == ([], {"page": 9, "limit": 2, "total": 5, "next_cursor": None})
    first, pagination = page(status="all", limit=2)
    second, pagination = page(status="all", limit=2, cursor=pagination["next_cursor"])
    third, last = page(status="all", limit=2, cursor=pagination["next_cursor"])
    assert first + second + third == ids and last["next_cursor"] is None
    answer = merchant.ask("GET", PATH, params={"store_id": store_id, "cursor": pagination["next_cursor"]})
    assert refused(answer, 400, "validation_error")["errors"][0]["field"] == "cursor"
    answer = merchant.ask("GET", PATH, params={"store_id": other, "status": "all", "cursor": pagination["next_cursor"]})
    refused(answer, 400, "validation_error")


@pytest.mark.parametrize("query", ["", "?store_id=", "?store_id=x", "?store_id=1&store_id=2", "?store_id=-1",
                                   f"?store_id={2**63}", "?store_id=1&status=gone", "?store_id=1&cursor=abc"])
def test_bad_queries(merchant, query):
    store_id = merchant.open_store()
    answer = merchant.ask("GET", PATH + query.replace("store_id=1&", f"store_id={store_id}&", 1))
    refused(answer, 400, "validation_error")


@pytest.mark.parametrize("one", ["0", "x", "-1", str(2**63), "1e3"])
def test_bad_ids(merchant, one):
    assert merchant.ask("GET", f"{PATH}/{one}").status_code in (400, 404)
    assert merchant.ask("POST", f"{PATH}/{one}/uninstall").status_code in (400, 404)


def test_a_store_that_is_not_active(platform, merchant):
    store_id = merchant.open_store()
    made = merchant.install(merchant.make_app(), store_id)
    one = f"{PATH}/{made['installation_id']}"
    platform.call("auth.stores.set_status", store_id=store_id, status="frozen")
    assert merchant.see(made["installation_id"])["status"] == "active"
    refused(merchant.ask("POST", f"{one}/uninstall"), 403, "store_inactive")
    platform.call("auth.stores.set_status", store_id=store_id, status="suspended")
    refused(merchant.ask("GET", one), 403, "store_inactive")
    refused(merchant.ask("GET", PATH, params={"store_id": store_id}), 403, "store_inactive")


# ---- uninstall, reinstall --------------------------------------------------------------------------------------------


def test_uninstall_and_reinstall(platform, merchant):
    store_id, app = merchant.open_store(), merchant.make_app()
    grant = platform.call("auth.installations.create", app_id=app["app_id"], store_id=store_id)
    shop = Shop(platform, store_id, app, grant)
    early = session_token(shop)
    for headers in (shop.bearer, shop.client, bearer(early)):
        assert platform.get(STORE, headers=headers).status_code == 200
    ended = merchant.uninstall(shop.installation_id)
    assert ended["status"] == "uninstalled" and ended["uninstalled_at"]
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")
    refused(platform.get(STORE, headers=shop.client), 401, "not_installed")
    refused(platform.get(STORE, headers=bearer(early)), 401, "invalid_token")
    until(lambda: finished(platform, shop.installation_id))
    assert status_of(platform, shop.installation_id) == ("uninstalled", 1)
    again = merchant.uninstall(shop.installation_id)                         # changes nothing
    assert again["uninstalled_at"] == ended["uninstalled_at"]
    made = merchant.install(app, store_id)
    assert made["installation_id"] == shop.installation_id and made["uninstalled_at"] is None
    assert status_of(platform, shop.installation_id) == ("active", 2)
    refused(platform.get(STORE, headers=shop.bearer), 401, "invalid_token")
    assert platform.get(STORE, headers=shop.client).status_code == 200
    assert [(topic, data["generation"]) for topic, _, data in events(platform, shop.installation_id)] == [
        ("app.installed", 1), ("app.uninstalled", 1), ("app.installed", 2)]
    assert audits(platform, shop.installation_id) == ["app.installed", "app.uninstalled", "app.installed"]


def test_spent_tokens_do_not_hold_up_an_uninstall(platform, merchant):
    """However many an app has made: none of them is written, so one that is locked is not waited for either."""
    store_id, app = merchant.open_store(), merchant.make_app()
    grant = platform.call("auth.installations.create", app_id=app["app_id"], store_id=store_id)
    installation_id = grant["installation_id"]
    with transaction(platform) as cursor:
        cursor.execute("select 1 from auth.token where installation_id = %s for update", (installation_id,))
        assert merchant.uninstall(installation_id)["status"] == "uninstalled"
        merchant.install(app, store_id)
        platform.call("auth.tokens.revoke", installation_id=installation_id)
    refused(platform.get(STORE, headers=bearer(grant["access_token"])), 401, "invalid_token")


# ---- what is counted -------------------------------------------------------------------------------------------------


def test_calls_are_counted(platform, merchant):
    store_id, app = merchant.open_store(), merchant.make_app()
    made = merchant.install(app, store_id)
    for _ in range(7):
        assert platform.get(STORE, headers=client_of(app, store_id)).status_code == 200
    refused(platform.get(STORE, headers={**client_of(app, store_id), "X-Client-Secret": "wrong"}), 401, "invalid_client")
    seen = until(lambda: (one := merchant.see(made["installation_id"]))["request_count"] >= 7 and one)
    assert seen["request_count"] == 7 and seen["last_used_at"] >= made["installed_at"]
    assert platform.get(STORE, headers=client_of(app, store_id)).status_code == 200
    until(lambda: merchant.see(made["installation_id"])["request_count"] == 8)
    used = platform.postgres.rows("select last_used_at from auth.credential_use where credential = %s",
                                  (f"secret:{app['app_id']}:1",))
    assert len(used) == 1


def test_a_batch_counts_once(platform, merchant):
    made = merchant.install(merchant.make_app(), merchant.open_store())
    gateway = int.from_bytes(os.urandom(7), "big")
    caller = {"audience": 5, "service": "gateway"}
    entry = {"installation_id": made["installation_id"], "requests": 5, "last_used_us": 1_700_000_000_000_000,
             "credential": "token:1000000000001"}
    for batch in (1, 1, 2, 1):
        body = {"gateway_id": gateway, "batch": batch, "entries": [entry, {**entry, "installation_id": 10**12}]}
        platform.rpc().call("auth.usage.add", body, caller=caller)
    seen = merchant.see(made["installation_id"])
    assert (seen["request_count"], seen["last_used_at"]) == (10, "2023-11-14T22:13:20.000Z")
    earlier = {**entry, "last_used_us": 1_600_000_000_000_000}
    platform.rpc().call("auth.usage.add", {"gateway_id": gateway, "batch": 3, "entries": [earlier]}, caller=caller)
    seen = merchant.see(made["installation_id"])
    assert (seen["request_count"], seen["last_used_at"]) == (15, "2023-11-14T22:13:20.000Z")


def test_a_gateway_that_ends_tells_what_it_counted(make_platform):
    platform = make_platform()
    merchant = Merchant(platform)
    store_id, app = merchant.open_store(), merchant.make_app()
    made = merchant.install(app, store_id)
    for _ in range(3):
        assert platform.get(STORE, headers=client_of(app, store_id)).status_code == 200
    assert platform["gateway-1"].terminate() == 0
    count = platform.postgres.rows("select request_count from auth.installation_usage where installation_id = %s",
                                   (made["installation_id"],))
    assert count == [(3,)]


def test_counts_are_exact_over_gateways_and_lost_answers(make_platform):
    """Two gateways count at once while auth is killed again and again: a batch whose answer was lost counts once."""
    platform = make_platform(gateways=2)
    merchant = Merchant(platform)
    store_id, app = merchant.open_store(), merchant.make_app()
    made = merchant.install(app, store_id)
    accepted_calls, until_s = [0, 0], time.monotonic() + 12

    def hammer(index):
        while time.monotonic() < until_s:
            answer = platform.get(STORE, headers=client_of(app, store_id), gateway=index + 1)
            accepted_calls[index] += answer.status_code == 200

    threads = [threading.Thread(target=hammer, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        time.sleep(1.7)
        platform["auth-1"].restart()
    for thread in threads:
        thread.join()
    platform.wait_ready()

    def counted():
        rows = platform.postgres.rows("select request_count from auth.installation_usage where installation_id = %s",
                                      (made["installation_id"],))
        return rows and rows[0][0] >= sum(accepted_calls) and rows[0][0]

    assert until(counted) == sum(accepted_calls)


# ---- the push to the app ---------------------------------------------------------------------------------------------


def test_the_app_gets_its_token_and_hears_of_its_end(platform, merchant):
    with Receiver() as receiver:
        app = merchant.make_app(webhook_url=f"{receiver.url}/hooks/oauth/")
        store_id = merchant.open_store()
        made = merchant.install(app, store_id)
        [(path, headers, raw)] = receiver.wait(1)
        body = json.loads(raw)
        key = app["session_signing_key"]
        assert path == "/hooks/oauth/token" and headers["Content-Type"] == "application/json"
        assert list(body) == ["store_id", "installation_id", "access_token", "hmac"]
        assert (body["store_id"], body["installation_id"]) == (store_id, made["installation_id"])
        assert body["hmac"] == signature(key, store_id=store_id, installation_id=made["installation_id"],
                                         access_token=body["access_token"])
        assert platform.get(STORE, headers=bearer(body["access_token"])).status_code == 200
        merchant.uninstall(made["installation_id"])
        refused(platform.get(STORE, headers=bearer(body["access_token"])), 401, "invalid_token")
        path, _, raw = receiver.wait(2)[1]
        assert path == "/hooks/oauth/revoke"
        assert json.loads(raw) == {"store_id": store_id, "hmac": signature(key, store_id=store_id, action="revoke")}
        until(lambda: not platform.postgres.rows("select 1 from auth.app_push where installation_id = %s",
                                                 (made["installation_id"],)))


def test_an_oauth_or_operator_install_is_not_pushed(platform, merchant):
    with Receiver() as receiver:
        app, store_id = merchant.make_app(webhook_url=receiver.url), merchant.open_store()
        grant = platform.call("auth.installations.create", app_id=app["app_id"], store_id=store_id)
        merchant.uninstall(grant["installation_id"])
        until(lambda: finished(platform, grant["installation_id"]))
        assert platform.postgres.rows("select 1 from auth.app_push where installation_id = %s",
                                      (grant["installation_id"],)) == []
        assert receiver.requests == []


def token_of(request):
    return json.loads(request[2])["access_token"]


def test_each_attempt_has_a_token_of_its_own(make_platform):
    """Redirects are not followed and errors are tried again. An attempt that seems lost may be the one whose token the app
    has stored, so all of them work."""
    platform = make_platform()
    merchant = Merchant(platform)
    with Receiver() as receiver:
        receiver.answers = [302, 500, 200]
        app, store_id = merchant.make_app(webhook_url=receiver.url), merchant.open_store()
        made = merchant.install(app, store_id)
        receiver.wait(1)
        platform.set_clock(61)
        receiver.wait(2)
        platform.set_clock(61 + 301)
        tokens = [token_of(request) for request in receiver.wait(3)]
        assert len(set(tokens)) == 3
        until(lambda: not platform.postgres.rows("select 1 from auth.app_push"))
        for token in tokens:
            assert platform.get(STORE, headers=bearer(token)).status_code == 200
        assert len(receiver.requests) == 3
        assert all(path == "/token" for path, _, _ in receiver.requests)
    stored = "\n".join(str(row) for table in ("app_push", "audit", "outbox", "token")
                       for row in platform.postgres.rows(f"select * from auth.{table}"))
    logged = "\n".join(process.log.read_text() for process in platform.processes.values())
    for token in tokens:
        assert token not in stored and token not in logged
    assert made["installation_id"]


def test_six_attempts_and_no_more(make_platform):
    platform = make_platform()
    merchant = Merchant(platform)
    with Receiver() as receiver:
        receiver.answers = [503] * 20
        made = merchant.install(merchant.make_app(webhook_url=receiver.url), merchant.open_store())
        clock = 0
        for attempt, gap_s in enumerate([60, 300, 1800, 7200, 43200], 1):
            receiver.wait(attempt)
            until(lambda: platform.postgres.rows("select 1 from auth.app_push where attempts = %s", (attempt,)))
            time.sleep(0.3)                                                  # its result has been noted
            clock += gap_s + 1
            platform.set_clock(clock)
        receiver.wait(6)
        until(lambda: not platform.postgres.rows("select 1 from auth.app_push"))
        assert audits(platform, made["installation_id"]) == ["app.installed", "app.push_failed"]
        platform.set_clock(clock + 100_000)
        time.sleep(1)
        assert len(receiver.requests) == 6


def test_a_slow_app_holds_nobody_up_for_long(make_platform):
    platform = make_platform()
    merchant = Merchant(platform)
    store_id = merchant.open_store()
    with Receiver() as slow, Receiver() as quick:
        slow.answers = [3, 60]
        merchant.install(merchant.make_app(webhook_url=slow.url), store_id)
        slow.wait(1)
        merchant.install(merchant.make_app(webhook_url=quick.url), store_id)
        quick.wait(1)
        merchant.install(merchant.make_app(webhook_url=slow.url), store_id)
        slow.wait(2)
        assert platform["auth-1"].terminate() == 0                           # nor does it keep auth from ending


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "https://127.0.0.1:{port}", "https://localhost:{port}",
                                 "https://[::ffff:127.0.0.1]:{port}", "https://0.0.0.0:{port}",
                                 "https://169.254.169.254/latest"])
def test_the_platform_dials_no_address_inside(private_platform, url):
    """Outside development: what is resolved must be public, and only https is spoken."""
    platform, merchant = private_platform
    with Receiver() as receiver:
        url = url.format(port=receiver.server.server_port)
        app = merchant.make_app()
        platform.postgres.rows("update auth.app set webhook_url = %s where app_id = %s", (url, app["app_id"]))
        made = merchant.install(app, merchant.open_store())

        def failure():
            return [line for line in platform["auth-1"].log_lines() if line.get("event") == "app_push_failed"
                    and line["installation_id"] == made["installation_id"]]

        assert until(failure)[0]["status"] == 0
        assert ("not public" in failure()[0]["why"]) == url.startswith("https")
        assert receiver.requests == []


@pytest.mark.parametrize("url", ["http://app.example/hooks", "https://127.0.0.1/", "https://10.0.0.1:8443/", "https://0x7f.1/",
                                 "https://2130706433/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://localhost/",
                                 "https://169.254.169.254/latest"])
def test_an_address_inside_is_not_even_registered(private_platform, url):
    _, merchant = private_platform
    with pytest.raises(RpcError) as error:
        merchant.make_app(webhook_url=url)
    assert (error.value.code, error.value.errors[0]["field"]) == ("validation_error", "webhook_url")
    merchant.make_app(webhook_url="https://93.184.215.14/hooks")


@pytest.fixture(scope="module")
def private_platform():
    from .platform import Platform
    with Platform(settings={"SX_DEV": "0", "SX_CLOCK_FILE": ""}) as platform:
        yield platform, Merchant(platform)

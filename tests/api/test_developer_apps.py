"""Developers' apps (contract A.5): what changing, listing and switching them does, whose an app is, and what a kill in the middle
leaves. The seed's examples are in test_developer_golden.py, the limits in test_developer_limits.py."""

import concurrent.futures
import itertools
import os
import re
import threading
import time
import uuid
from pathlib import Path

import pytest

from .client import is_error
from .locks import transaction
from .rpc import RpcError
from .shop import PASSWORD, SCOPES, Owner

APPS = "/api/v1/apps"
SERVICES = Path(__file__).resolve().parents[2] / "services"
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
SECRET, KEY = re.compile(r"^sx_secret_[0-9a-f]{64}$"), re.compile(r"^[0-9a-f]{64}$")


class Developer(Owner):
    """One who has signed in."""

    def __init__(self, platform):
        super().__init__(platform, is_developer=True)
        answer = platform.post("/api/v1/auth/login", {"identifier": self.email, "password": PASSWORD})
        self.headers = {"Authorization": f"Bearer {answer.json()['data']['accessToken']}"}

    def ask(self, method, path="", body=None, **query):
        return self.platform.request(method, APPS + path, headers=self.headers, json_body=body, params=query or None)

    def see(self, path="", **query):
        answer = self.ask("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def make(self, **fields):
        answer = self.ask("POST", "", wanted(**fields))
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]


def wanted(**fields):
    return {"name": "My app", "redirect_urls": ["https://example.com/oauth/callback"], "requested_scopes": ["read:orders"], **fields}


def told(answer, message, status=200):
    """The envelope of the seed, whole."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"status", "message", "data"} and (body["status"], body["message"]) == (status, message), body
    return body["data"]


def unique(text="slug"):
    return f"{text}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def developer(platform):
    return Developer(platform)


@pytest.fixture(scope="module")
def one(platform):
    """For what leaves nothing behind but apps."""
    return Developer(platform)


@pytest.fixture(scope="module")
def stranger(platform):
    return Developer(platform)


# The request of the seed's example "Create App".
CREATE = {
    "name": "My Custom App",
    "redirect_urls": ["https://example.com/oauth/callback"],
    "requested_scopes": ["read:orders", "read:products", "billing"],
    "description": "A detailed description of what the app does",
    "short_description": "Brief marketplace summary",
    "icon": "https://cdn.example.com/icon.png",
    "screenshots": ["https://cdn.example.com/shot-1.png"],
    "homepage_url": "https://example.com",
    "app_url": "https://example.com/embed",
    "setup_url": "https://example.com/setup",
    "webhook_url": "https://api.example.com/oauth",
    "webhook_receive_url": "https://api.example.com/webhooks",
    "webhook_topics": ["order.status_changed", "order.created"],
    "developer_name": "Acme Labs",
    "developer_email": "dev@acme.example",
    "pricing_type": "subscription",
    "pricing_amount": 499,
    "fee_payer": "developer",
    "category": "analytics",
    "metadata": {"version": "1.0"},
}


@pytest.fixture
def made(developer):
    """The app of the seed's example, with a slug of its own."""
    body = {**CREATE, "slug": unique("my-custom-app")}
    data = told(developer.ask("POST", "", body), "App created", 201)
    assert list(data) == ["app_id", "name", "slug", "clientId", "clientSecret", "sessionSigningKey"]
    return data


# ---- what is said of them --------------------------------------------------------------------------------------------


def test_what_was_not_said_is_null_or_free(one):
    app = one.see(f"/{one.make()['app_id']}")
    for name in ("icon", "description", "short_description", "homepage_url", "app_url", "setup_url", "webhook_url", "webhook_receive_url",
                 "developer_name", "developer_email", "category", "metadata"):
        assert app[name] is None, name
    assert (app["screenshots"], app["webhook_topics"]) == ([], [])
    assert (app["pricing_type"], app["pricing_amount"], app["fee_payer"]) == ("free", 0, "developer")


def test_delete(developer, made):
    assert told(developer.ask("DELETE", f"/{made['app_id']}"), "App deleted") == {"app_id": made["app_id"]}
    assert developer.see()["total"] == 0
    for method, path, body in (("GET", "", None), ("DELETE", "", None), ("PATCH", "", {"name": "Again"}), ("POST", "/rotate-secret", None)):
        is_error(developer.ask(method, f"/{made['app_id']}{path}", body), 404, "APP_NOT_FOUND")
    is_error(developer.ask("POST", "", wanted(slug=made["slug"])), 409, "SLUG_EXISTS")


def test_listing(developer, made):
    for listed in (True, False):
        data = told(developer.ask("PATCH", f"/{made['app_id']}/listing", {"is_listed": listed}), "App listing updated")
        assert data == {"app_id": made["app_id"], "is_listed": int(listed)} and type(data["is_listed"]) is int
        assert developer.see(listed="true")["total"] == int(listed) and developer.see(listed="false")["total"] == int(not listed)


def test_status(developer, made):
    for active in (False, True):
        data = told(developer.ask("PATCH", f"/{made['app_id']}/status", {"is_active": active}), "App status updated")
        assert data == {"app_id": made["app_id"], "is_active": int(active)} and type(data["is_active"]) is int
        assert developer.see(status="active")["total"] == int(active) and developer.see(status="inactive")["total"] == int(not active)


GROUPS = {"oauth": ["redirect_urls", "requested_scopes"], "webhooks": ["webhook_receive_url", "webhook_topics"], "embed": ["app_url", "setup_url"],
          "billing": ["pricing_type", "pricing_amount", "fee_payer"], "developer": ["developer_name", "developer_email"]}


CHANGES = [("oauth", {"redirect_urls": ["https://a.example/cb", "https://b.example/cb"]}), ("oauth", {"requested_scopes": ["billing", "read_orders"]}),
           ("webhooks", {"webhook_receive_url": "https://api.example.com/webhooks/v2", "webhook_topics": ["order.status_changed", "order.created"]}),
           ("webhooks", {"webhook_receive_url": None, "webhook_topics": []}), ("embed", {"app_url": "https://example.com/v2", "setup_url": None}),
           ("billing", {"pricing_type": "usage", "pricing_amount": 0.05}), ("billing", {"fee_payer": "merchant"}),
           ("developer", {"developer_name": "Acme", "developer_email": None}), ("developer", {})]


@pytest.mark.parametrize("group, change", CHANGES, ids=str)
def test_settings_by_category(developer, made, group, change):
    before = developer.see(f"/{made['app_id']}/settings")
    data = told(developer.ask("PATCH", f"/{made['app_id']}/settings/{group}", change), "Settings updated")
    if "requested_scopes" in change:
        change = {"requested_scopes": ["read:orders", "billing"]}
    assert data == {**before[group], **change}
    assert developer.see(f"/{made['app_id']}/settings") == {**before, group: data}


def test_installations(developer, made):
    shops = [grant(developer, made) for _ in range(3)]
    last = shops[-1]
    until(lambda: developer.see(f"/{made['app_id']}/installations")["items"][0]["request_count"] == 1)
    data = told(developer.ask("GET", f"/{made['app_id']}/installations", page=1, limit=20, status="active"), "Installations fetched")
    assert list(data) == ["items", "page", "limit", "total", "totalPages"]
    assert [item["installation_id"] for item in data["items"]] == [shop.installation_id for shop in reversed(shops)]
    item = data["items"][0]
    assert list(item) == ["installation_id", "store_id", "status", "granted_scopes", "token_expires_at", "last_used_at", "request_count",
                          "created_at", "updated_at"]
    assert all(TIME.match(item.pop(name)) for name in ("token_expires_at", "last_used_at", "created_at", "updated_at"))
    assert item == {"installation_id": last.installation_id, "store_id": last.store_id, "status": "active",
                    "granted_scopes": ["read:orders", "read:products", "billing"], "request_count": 1}
    developer.platform.call("auth.installations.end", installation_id=last.installation_id)
    ended = developer.see(f"/{made['app_id']}/installations", status="uninstalled")
    assert [(item["installation_id"], item["status"], item["token_expires_at"]) for item in ended["items"]] == [(last.installation_id, "uninstalled", None)]
    pages = [developer.see(f"/{made['app_id']}/installations", page=page, limit=2) for page in (1, 2, 3)]
    assert [len(page["items"]) for page in pages] == [2, 1, 0] and all((page["total"], page["totalPages"]) == (3, 2) for page in pages)
    is_error(developer.ask("GET", f"/{made['app_id']}/installations", status="gone"), 400, "VALIDATION_ERROR")


def test_scopes(platform, merchant_token):
    """Contract A.7: those that can be requested, and no other."""
    answer = platform.get("/api/apps/scopes", headers={"x-auth-token": merchant_token})
    assert answer.status_code == 200 and set(answer.json()) == {"data", "status"}, answer.text
    assert sorted(entry["scope"] for entry in answer.json()["data"]) == sorted(SCOPES)
    assert all(set(entry) == {"scope", "description"} and entry["description"] for entry in answer.json()["data"])
    is_error(platform.get("/api/apps/scopes"), 401, "missing_token")


# ---- whose it is -----------------------------------------------------------------------------------------------------

ROUTES = [("GET", "", None), ("PATCH", "", {"name": "Mine now"}), ("DELETE", "", None), ("PATCH", "/listing", {"is_listed": True}),
          ("PATCH", "/status", {"is_active": False}), ("POST", "/rotate-secret", None), ("POST", "/regenerate-signing-key", None),
          ("GET", "/settings", None), ("GET", "/installations", None), ("GET", "/overview", None), ("PATCH", "/settings/oauth", {"redirect_urls": ["https://evil.example/"]}),
          ("PATCH", "/settings/webhooks", {"webhook_topics": []}), ("PATCH", "/settings/embed", {"app_url": "https://evil.example/"}),
          ("PATCH", "/settings/billing", {"fee_payer": "merchant"}), ("PATCH", "/settings/billing", {"pricing_amount": 1}),
          ("PATCH", "/settings/developer", {"developer_name": "Evil"})]


def rows_of(platform, app_id):
    return [platform.postgres.rows(f"select t::text from {table} as t where app_id = %s", (app_id,))
            for table in ("auth.app", "developer_apps.listing", "billing.app_terms")]


@pytest.fixture(scope="module")
def owned(one):
    return one.make(**CREATE)


@pytest.fixture(scope="module")
def merchant_token(platform, one):
    return platform.post("/api/auth/login", {"email": one.email, "password": PASSWORD}).json()["data"]["token"]


@pytest.fixture(scope="module")
def app_bearer(one):
    return one.open_shop().bearer


@pytest.mark.parametrize("method, path, body", ROUTES, ids=lambda value: str(value)[:30])
def test_strangers(platform, owned, stranger, merchant_token, app_bearer, method, path, body):
    made, before = owned, rows_of(platform, owned["app_id"])
    foreign = stranger.ask(method, f"/{made['app_id']}{path}", body)
    missing = stranger.ask(method, f"/999999999{path}", body)
    for answer in (foreign, missing):
        is_error(answer, 404, "APP_NOT_FOUND")
    assert foreign.text == missing.text and foreign.json()["message"] == "App not found or not owned by you"
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {merchant_token}"}, app_bearer):
        is_error(platform.request(method, f"{APPS}/{made['app_id']}{path}", headers=headers, json_body=body), 401, "UNAUTHORIZED")
    assert rows_of(platform, made["app_id"]) == before


ALL = [("GET", "", None), ("POST", "", wanted())] + [(method, f"/{{}}{path}", body) for method, path, body in ROUTES]


def test_what_is_no_id(one):
    for method, path, body in ALL:
        if path:
            for app_id in ("0", "-1", "abc", "9223372036854775808"):
                is_error(one.ask(method, path.format(app_id), body), 404, "NOT_FOUND")


def test_who_is_a_developer_no_more(platform):
    leaver = Developer(platform)
    app_id = leaver.make()["app_id"]
    platform.postgres.rows("update auth.account set is_developer = false where account_id = %s", (leaver.account_id,))
    platform.call("auth.developer_keys.forget")         # the gateways ask again
    for method, path, body in ALL:
        is_error(leaver.ask(method, path.format(app_id), body), 403, "FORBIDDEN")


def test_the_operations_behind_it(platform, one, stranger, owned):
    """As an operator calls them."""
    app, mine, foreign = owned["app_id"], {"account_id": one.account_id}, {"account_id": stranger.account_id}
    whole = platform.call("auth.apps.get", app_id=app, **mine)
    assert whole in platform.call("auth.apps.page", limit=100, offset=0, **mine)["apps"] and whole["client_id"] == owned["clientId"]
    assert platform.call("auth.apps.page", limit=100, offset=0, **foreign)["total"] == len(stranger.see(limit=100)["items"])
    assert platform.call("auth.apps.creation", creation_id=whole["creation_id"])["app_id"] == app
    assert platform.call("auth.apps.creation", creation_id=str(uuid.uuid4()))["app_id"] is None
    assert platform.call("auth.apps.installations", app_id=app, limit=10, offset=0, **mine) == {"installations": [], "total": 0}
    assert platform.call("auth.apps.update", app_id=app, changes={"name": "Renamed"}, **mine)["name"] == "Renamed"
    assert platform.call("webhooks.topics.unknown", topics=["order.created", "order.lost", "no.topic"])["unknown"] == ["no.topic", "order.lost"]
    for version, said, kept in ((5, "merchant", "merchant"), (4, "developer", "merchant"), (5, "developer", "merchant"), (6, "developer", "developer")):
        assert platform.call("billing.terms.set_fee_payer", app_id=app, fee_payer=said, version=version) == {"app_id": app}
        assert payer(one, app)[0] == kept
    for operation, fields in (("get", {}), ("update", {"changes": {"name": "Mine now"}}), ("delete", {}), ("installations", {"limit": 1, "offset": 0}),
                              ("rotate_secret", {}), ("rotate_signing_key", {}), ("set_listed", {"is_listed": True}), ("set_status", {"is_active": False})):
        with pytest.raises(RpcError) as refused:
            platform.call(f"auth.apps.{operation}", app_id=app, **fields, **foreign)
        assert refused.value.code == "app_not_found"
    doomed = one.make()["app_id"]
    assert platform.call("auth.apps.delete", app_id=doomed, **mine) == {"app_id": doomed}


def test_made_twice_under_one_id(platform, one):
    """A first attempt that comes late makes nothing and takes nothing: only a second one may."""
    fields = {"creation_id": str(uuid.uuid4()), "owner_account_id": one.account_id, "name": "Made once", "redirect_urls": ["https://a.example/"],
              "requested_scopes": ["read:orders"]}
    first = platform.call("auth.apps.create", **fields)
    until(lambda: rows_of(platform, first["app_id"])[1])            # auth has told of it
    before = rows_of(platform, first["app_id"])
    with pytest.raises(RpcError) as refused:
        platform.call("auth.apps.create", **fields)
    assert refused.value.code == "conflict" and rows_of(platform, first["app_id"]) == before


def test_a_custom_app_is_nobodys(platform, developer):
    store = developer.open_store()
    token = platform.post("/api/auth/login", {"email": developer.email, "password": PASSWORD}).json()["data"]["token"]
    custom = platform.post(f"/api/apps/custom?store_id={store}", {"name": unique("Mine"), "scopes": ["read:orders"]}, headers={"x-auth-token": token})
    assert custom.status_code == 201, custom.text
    assert developer.see()["total"] == 0
    for method, path, body in ROUTES:
        is_error(developer.ask(method, f"/{custom.json()['data']['app_id']}{path}", body), 404, "APP_NOT_FOUND")


def test_who_did_it_is_in_the_audit_log(platform, developer, made):
    app = made["app_id"]
    for method, path, body in (("PATCH", "", {"name": "New name"}), ("PATCH", "/listing", {"is_listed": True}), ("POST", "/rotate-secret", None),
                               ("POST", "/regenerate-signing-key", None), ("PATCH", "/status", {"is_active": False}), ("DELETE", "", None)):
        assert developer.ask(method, f"/{app}{path}", body).status_code == 200
    rows = platform.postgres.rows("select action, actor_account_id from auth.audit where app_id = %s order by audit_id", (app,))
    assert [action for action, _ in rows][1:] == ["app.updated", "app.listed", "app.secret_rotated", "app.signing_key_rotated", "app.switched_off",
                                                  "app.deleted"]
    assert {account for _, account in rows[1:]} == {developer.account_id}


# ---- what it does elsewhere ------------------------------------------------------------------------------------------


def grant(developer, made, **fields):
    shop = developer.open_shop(app={"app_id": made["app_id"], "client_id": made["clientId"], "client_secret": made["clientSecret"],
                                    "session_signing_key": made["sessionSigningKey"]}, **fields)
    assert shop.get("/api/apps/v1/orders").status_code == 200
    return shop


def test_switched_off_and_rotated_at_once(developer, made):
    shop = grant(developer, made)
    developer.ask("PATCH", f"/{made['app_id']}/status", {"is_active": False})
    is_error(shop.get("/api/apps/v1/orders"), 401, "invalid_token")
    developer.ask("PATCH", f"/{made['app_id']}/status", {"is_active": True})
    assert shop.get("/api/apps/v1/orders").status_code == 200
    ask = lambda: developer.platform.get("/api/apps/v1/orders", headers=shop.client)  # noqa: E731
    assert ask().status_code == 200
    shop.client_secret = developer.ask("POST", f"/{made['app_id']}/rotate-secret").json()["data"]["client_secret"]
    assert ask().status_code == 200
    shop.client_secret = made["clientSecret"]
    is_error(ask(), 401, "invalid_client")


def until(check, seconds=20):
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, check
        time.sleep(0.1)
    return found


def test_a_deleted_apps_installations_end(developer, made):
    shops = [grant(developer, made) for _ in range(3)]
    assert developer.ask("DELETE", f"/{made['app_id']}").status_code == 200
    for shop in shops:
        is_error(shop.get("/api/apps/v1/orders"), 401, "invalid_token")
    rows = developer.platform.postgres.rows
    until(lambda: rows("select distinct status from auth.installation where app_id = %s", (made["app_id"],)) == [("uninstalled",)])
    until(lambda: rows("select 1 from auth.app_ending where app_id = %s", (made["app_id"],)) == [])


def test_an_installation_that_cannot_end_yet_holds_nobody_up(developer):
    """Somebody has its row for longer than one waits for that: the others end, of its app and of the next one, and it ends afterwards."""
    late, other = developer.make(), developer.make()
    shops = [grant(developer, late) for _ in range(3)] + [grant(developer, other)]
    rows = developer.platform.postgres.rows
    status = lambda: [rows("select status from auth.installation where installation_id = %s", (shop.installation_id,))[0][0] for shop in shops]  # noqa: E731
    with transaction(developer.platform) as cursor:
        cursor.execute("select 1 from auth.installation where installation_id = %s for update", (shops[0].installation_id,))
        for app in (late, other):
            assert developer.ask("DELETE", f"/{app['app_id']}").status_code == 200
        until(lambda: status() == ["active"] + ["uninstalled"] * 3)
        until(lambda: rows("select app_id from auth.app_ending where tries > 1") == [(late["app_id"],)])   # again, and later
    delayed = [line for process in developer.platform.of("auth") for line in process.log_lines() if line.get("event") == "app_ending_delayed"]
    assert {(line["app_id"], line["installation_id"], line["code"]) for line in delayed} == {(late["app_id"], shops[0].installation_id, "service_unavailable")}
    until(lambda: status() == ["uninstalled"] * 4)
    until(lambda: rows("select 1 from auth.app_ending") == [])


def payer(developer, app_id):
    found = developer.platform.postgres.rows("select fee_payer, commission_rate from billing.app_terms where app_id = %s", (app_id,))
    return found[0] if found else ("developer", None)


def test_the_fee_payer_counts_for_charges(developer, made):
    for body in ({"fee_payer": "merchant"}, {"fee_payer": "developer"}, {"fee_payer": "merchant"}):
        assert developer.ask("PATCH", f"/{made['app_id']}/settings/billing", body).status_code == 200
        assert payer(developer, made["app_id"]) == (body["fee_payer"], None)
    terms = {"app_id": made["app_id"], "commission_rate": 150000}
    assert developer.platform.call("billing.terms.set", **terms) == {**terms, "fee_payer": "merchant"}
    with pytest.raises(RpcError) as refused:                            # an operator has no word in it
        developer.platform.call("billing.terms.set", **terms, fee_payer="developer")
    assert refused.value.code == "validation_error" and payer(developer, made["app_id"]) == ("merchant", 150000)
    developer.ask("PATCH", f"/{made['app_id']}", {"fee_payer": "developer"})
    assert payer(developer, made["app_id"]) == ("developer", 150000)
    assert payer(developer, developer.make(fee_payer="merchant")["app_id"]) == ("merchant", None)
    charge = grant(developer, made).post("/api/apps/v1/billing/charges", {"name": "Setup", "amount": 100}).json()["data"]
    assert charge["fee_payer"] == "developer"


def test_what_an_operator_had_said_of_it_ends(developer, made):
    """Before it was its developer's alone, billing's could differ for good. The migrations have it told again, or take it back."""
    said, unsaid = made["app_id"], developer.make()["app_id"]
    assert developer.ask("PATCH", f"/{said}", {"fee_payer": "merchant"}).status_code == 200
    rows = developer.platform.postgres.rows
    rows("update billing.app_terms set fee_payer = 'developer' where app_id = %s", (said,))
    rows("insert into billing.app_terms (app_id, fee_payer, commission_rate, updated_at) values (%s, 'merchant', 150000, now())", (unsaid,))
    connection = developer.platform.postgres.connect()
    connection.autocommit = True
    try:
        for _ in range(2):                                              # killed before it was noted, it runs again
            for schema, file in (("developer_apps", "developer-apps/schema/030_fee_payer.sql"), ("billing", "billing/schema/082_fee_payer.sql")):
                connection.cursor().execute(f"set search_path = {schema}")
                connection.cursor().execute((SERVICES / file).read_text())
    finally:
        connection.close()
    until(lambda: payer(developer, said) == ("merchant", None) and payer(developer, unsaid) == ("developer", 150000))
    until(lambda: rows("select due_at, payer_version > 0 from developer_apps.listing where app_id in (%s, %s) order by app_id", (said, unsaid)) ==
          [(None, True), (None, False)])
    developer.ask("PATCH", f"/{unsaid}", {"fee_payer": "merchant"})
    assert payer(developer, unsaid) == ("merchant", 150000)


def test_an_operators_app_takes_all_of_it(one):
    app = one.make_app()
    assert one.see(f"/{app['app_id']}")["pricing_type"] == "free"
    change = {"description": "Said later", "screenshots": ["https://example.com/1.png"], "fee_payer": "merchant", "metadata": {"a": [1.50]}}
    assert one.ask("PATCH", f"/{app['app_id']}", change).status_code == 200
    after = one.see(f"/{app['app_id']}")
    assert {name: after[name] for name in change} == change and payer(one, app["app_id"]) == ("merchant", None)


# ---- losses ----------------------------------------------------------------------------------------------------------


def test_what_a_request_left_is_brought_to_its_end(make_platform):
    """Without billing an app is made all the same, and billing hears of it later; a row that no app came of goes."""
    platform = make_platform()
    developer, rows = Developer(platform), platform.postgres.rows
    platform["billing-1"].kill()
    app = developer.make(fee_payer="merchant")
    other = developer.make(short_description="whole")
    assert developer.ask("PATCH", f"/{other['app_id']}/settings/billing", {"fee_payer": "merchant"}).status_code == 200
    assert developer.see(f"/{app['app_id']}")["fee_payer"] == "merchant" and payer(developer, app["app_id"]) == ("developer", None)
    platform["billing-1"].start()
    platform.wait_ready()
    rows("insert into developer_apps.listing (account_id, due_at, created_at, updated_at) select %s, due_at, created_at - interval '2 hours', created_at "
         "from developer_apps.listing where app_id = %s", (developer.account_id, app["app_id"]))
    rows("update developer_apps.listing set app_id = null where app_id = %s", (app["app_id"],))   # killed behind auth's commit
    assert developer.see(f"/{app['app_id']}")["fee_payer"] == "merchant"
    rows("update developer_apps.listing set due_at = due_at - interval '2 minutes'")
    until(lambda: payer(developer, app["app_id"]) == payer(developer, other["app_id"]) == ("merchant", None))
    until(lambda: rows("select app_id is null, due_at is null from developer_apps.listing") == [(False, True)] * 2)


KILLS = max(4, int(40 * float(os.environ.get("SX_TEST_SCALE", "0.1"))))


def of_number(number):
    return wanted(slug=f"app-number-{number}", short_description=f"number {number}", screenshots=[f"https://example.com/{number}.png"],
                  fee_payer="merchant", pricing_type="usage", webhook_topics=["order.created"], metadata={"number": number})


def make_while_killed(platform, developer, victims):
    """The answers by their numbers: four at a time, until the last one was killed and came back."""
    answers, numbers, over = {}, itertools.count(), threading.Event()

    def make():
        while not over.is_set():
            number = next(numbers)
            answers[number] = developer.ask("POST", "", of_number(number))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(make) for _ in range(4)]
        for turn in range(KILLS):
            time.sleep(0.15)
            platform[victims[turn % len(victims)]].kill()
            platform[victims[turn % len(victims)]].start()
        over.set()
        for job in jobs:
            job.result()
    platform.wait_ready()
    return answers


def whole_everywhere(platform, app_ids):
    """What each service has of them, and that none has anything of another one."""
    rows = platform.postgres.rows
    return rows("select app_id from auth.app order by 1") == rows("select app_id from developer_apps.listing order by 1") == \
        rows("select app_id from billing.app_terms where fee_payer = 'merchant' order by 1") == [(app_id,) for app_id in sorted(app_ids)] and \
        rows("select count(*) from developer_apps.listing where due_at is not null or version = 0 or name is null") == [(0,)]


@pytest.mark.parametrize("killed", [["auth"], ["developer-apps"], ["billing"], ["webhooks"], ["auth", "developer-apps", "billing", "webhooks"]],
                         ids=lambda services: "all in turn" if len(services) > 1 else services[0])
def test_killed_while_apps_are_made(make_platform, killed):
    """Every app is whole or absent, in every service, once an hour has gone by; who was answered can use what was answered."""
    platform = make_platform(services={"auth": 1, "store-data": 1, **{service: 2 for service in killed}})
    developer = Developer(platform)
    answers = make_while_killed(platform, developer, [f"{service}-{number}" for number in (1, 2) for service in killed])
    listed, pages = {}, -(-developer.see(limit=100)["total"] // 100)
    for page in range(1, pages + 1):
        listed.update({item["slug"]: item["app_id"] for item in developer.see(limit=100, page=page)["items"]})
    assert {answer.status_code for answer in answers.values()} <= {201, 502, 503, 504}, answers
    made = {number: answer.json()["data"] for number, answer in answers.items() if answer.status_code == 201}
    assert made and {app["slug"]: app["app_id"] for app in made.values()}.items() <= listed.items()
    for slug, app_id in listed.items():
        app = developer.see(f"/{app_id}")
        assert {name: app[name] for name in of_number(0)} == of_number(int(slug.rpartition("-")[2])), app
    for app in list(made.values())[-3:] + list(made.values())[:3]:
        grant(developer, app)
    platform.set_clock(3700)
    until(lambda: whole_everywhere(platform, listed.values()), 60)


def test_two_gateways_and_an_hour_later(make_platform):
    """What is taken back is refused by both from the answer on; a token of more than an hour opens nothing."""
    platform = make_platform(gateways=2)
    developer = Developer(platform)
    made = developer.make(webhook_topics=["order.created"])
    shop = grant(developer, made)

    def answers(headers):
        return [platform.get("/api/apps/v1/orders", headers=headers, gateway=gateway).status_code for gateway in (1, 2)]

    for _ in range(5):
        assert answers(shop.bearer) == answers(shop.client) == [200, 200]
        assert developer.ask("PATCH", f"/{made['app_id']}/status", {"is_active": False}).status_code == 200
        assert answers(shop.bearer) == answers(shop.client) == [401, 401]
        assert developer.ask("PATCH", f"/{made['app_id']}/status", {"is_active": True}).status_code == 200
        old, shop.client_secret = shop.client, developer.ask("POST", f"/{made['app_id']}/rotate-secret").json()["data"]["client_secret"]
        assert answers(old) == [401, 401] and answers(shop.client) == [200, 200]
    platform.set_clock(3700)
    for method, path, body in ALL:
        is_error(developer.ask(method, path.format(made["app_id"]), body), 401, "UNAUTHORIZED")

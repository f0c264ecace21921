"""Every route of a developer's app as everybody: a stranger, who is no member any more, each role, the owner, a token that is over,
and tokens of other families. The routes are read from the document, so that a new one without an entry here fails."""

import pytest

from .client import is_error
from .operations import DOCUMENT, METHODS
from .shop import PASSWORD, Owner
from .test_developer_apps import Developer, unique

ROLES = ["viewer", "developer", "admin", "owner"]
MANIFEST = {"name": "From a manifest", "redirect_urls": ["https://example.com/cb"], "requested_scopes": ["read:orders"]}
WEBHOOKS, SUBSCRIPTION = "/webhooks/subscriptions", "/webhooks/subscriptions/{subscription_id}"
HOOK = {"event_topic": "order.created", "target_url": "https://app.example/hooks"}

# METHOD and path behind the app's: the body, and what is answered to who may where it is no success.
ENTRIES = {
    "GET ": (None, None), "PATCH ": ({"name": "New name"}, None), "DELETE ": (None, None),
    "PATCH /listing": ({"is_listed": True}, None), "PATCH /status": ({"is_active": False}, None),
    "POST /rotate-secret": (None, None), "POST /regenerate-signing-key": (None, None),
    "GET /installations": (None, None), "GET /overview": (None, None),
    "GET /manifest": (None, None), "PUT /manifest": (MANIFEST, None),
    "GET /settings": (None, None), "PATCH /settings/oauth": ({"redirect_urls": ["https://example.com/2"]}, None),
    "PATCH /settings/webhooks": ({"webhook_topics": ["order.created"]}, None), "PATCH /settings/embed": ({"app_url": "https://example.com/e"}, None),
    "PATCH /settings/billing": ({"fee_payer": "merchant", "pricing_amount": 1}, None), "PATCH /settings/developer": ({"developer_name": "New"}, None),
    "POST /submit-for-review": (None, None), "GET /versions": (None, None), "GET /versions/{version}": (None, (404, "NOT_FOUND")),
    "GET /members": (None, None), "POST /members": ({"email": "{email}", "role": "viewer"}, None),
    "PATCH /members/{account_id}": ({"role": "developer"}, None), "DELETE /members/{account_id}": (None, None),
    "GET /billing/charges": (None, None), "GET /billing/revenue": (None, None), "GET /billing/balance": (None, None),
    "GET /billing/payouts": (None, None), "POST /billing/payouts": ({"amount": 100}, (400, "INSUFFICIENT_BALANCE")),
    f"GET {WEBHOOKS}": (None, None), f"POST {WEBHOOKS}": (HOOK, None), f"GET {SUBSCRIPTION}": (None, None),
    f"PATCH {SUBSCRIPTION}": ({"name": "Another name"}, None), f"DELETE {SUBSCRIPTION}": (None, None), f"POST {SUBSCRIPTION}/test": (None, None),
    f"POST {SUBSCRIPTION}/rotate-secret": (None, None), f"POST {SUBSCRIPTION}/rotate-secret/promote": (None, None),
    "GET /webhooks/deliveries": (None, None), "POST /webhooks/deliveries/{delivery_id}/retry": (None, (404, "NOT_FOUND")),
}
OF_NO_APP = {"GET /api/v1/apps", "POST /api/v1/apps", "GET /api/v1/auth/me", "POST /api/v1/auth/logout"}
# Those that bring what they are known by, or are for everybody.
OPEN = {"POST /api/v1/auth/register", "POST /api/v1/auth/login", "POST /api/v1/auth/refresh", "POST /api/v1/auth/otp/send",
        "POST /api/v1/auth/otp/verify", "GET /api/v1/apps/manifest-schema"}
APP = "/api/v1/apps/{app_id}"
# Of a listing what the developer says: what auth says of the app comes there in its own time.
SAID = "description, short_description, homepage_url, category, pricing_type, pricing_amount, fee_payer, payer_version, screenshots, metadata"
KEPT = {"auth.app": "t.*", "auth.app_member": "t.*", "developer_apps.listing": SAID, "billing.app_terms": "t.*", "webhooks.subscription": "t.*",
        "developer_apps.review": "t.*"}


class Route:
    def __init__(self, method, path, node):
        self.method, self.rest, self.role = method.upper(), path.removeprefix(APP), node["x-role"]
        self.query = [parameter["name"] for parameter in node.get("parameters", []) if parameter.get("in") == "query" and parameter.get("required")]

    def __str__(self):
        return f"{self.method} {self.rest}"

    def is_about(self, name):
        return name in self.query or f"{{{name}}}" in self.rest

    def may(self, role):
        return ROLES.index(role) >= ROLES.index(self.role)

    def ask(self, platform, headers, app_id, ids):
        body, _ = ENTRIES[str(self)]
        if body and body.get("email"):
            body = {**body, "email": ids["email"]}
        return platform.request(self.method, APP.format(app_id=app_id) + self.rest.format(**ids), headers=headers, json_body=body,
                                params={name: ids[name] for name in self.query} or None)

    def is_done(self, answer):
        _, other = ENTRIES[str(self)]
        assert other or 200 <= answer.status_code < 300, answer.text
        return is_error(answer, *other) if other else answer


def family():
    return [(method, path, item[method]) for path, item in sorted(DOCUMENT["paths"].items()) for method in METHODS if method in item]


def developers():
    return [one for one in family() if any("developerToken" in needed for needed in one[2].get("security") or [])]


ROUTES = [Route(*one) for one in developers() if one[1].startswith(APP)]


def rows_of(platform, app_id):
    return {table: platform.postgres.rows(f"select row({columns})::text from {table} as t where app_id = %s order by 1", (app_id,))
            for table, columns in KEPT.items()}


class People:
    """One in each role of whichever app, and those who have none."""

    def __init__(self, platform):
        self.platform = platform
        self.by_role = {role: Developer(platform) for role in ROLES}
        self.owner, self.stranger, self.other = self.by_role["owner"], Developer(platform), Developer(platform)
        self.newcomer = Owner(platform)

    def add(self, app_id, who, role):
        answer = self.owner.ask("POST", f"/{app_id}/members", {"email": who.email, "role": role})
        assert answer.status_code == 201, answer.text

    def app(self, role="owner", route=None):
        """A new app of the owner's with a member in this role; its id, and those of what the route is about."""
        app_id = self.owner.make(name=unique("App"))["app_id"]
        ids = {"account_id": self.other.account_id, "email": self.newcomer.email, "subscription_id": 999999999, "delivery_id": "999999999",
               "version": 1}
        if role != "owner":
            self.add(app_id, self.by_role[role], role)
        if route and route.is_about("account_id"):
            self.add(app_id, self.other, "viewer")
        if route and route.is_about("subscription_id"):
            ids["subscription_id"] = self.owner.ask("POST", f"/{app_id}{WEBHOOKS}", HOOK).json()["data"]["subscription_id"]
        return app_id, ids


@pytest.fixture(scope="module")
def people(platform):
    return People(platform)


@pytest.fixture(scope="module")
def elsewhere(platform, people):
    """An app, and credentials that are no developer's."""
    token = platform.post("/api/auth/login", {"email": people.owner.email, "password": PASSWORD}).json()["data"]["token"]
    shop, own = people.owner.open_shop(), people.owner.headers["Authorization"].removeprefix("Bearer ")
    foreign = [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {token}"}, {"x-auth-token": token}, {"x-auth-token": own},
               shop.bearer, shop.client, {"Authorization": f"Bearer {own[:-1]}"}, {"Authorization": f"Bearer {refresh_token(people.owner)}"}]
    return (*people.app(), foreign)


def refresh_token(who):
    return who.platform.post("/api/v1/auth/login", {"identifier": who.email, "password": PASSWORD}).json()["data"]["refreshToken"]


def test_every_route_is_here():
    assert {str(route) for route in ROUTES} == set(ENTRIES)
    assert {f"{method.upper()} {path}" for method, path, _ in developers() if not path.startswith(APP)} == OF_NO_APP
    assert {f"{method.upper()} {path}" for method, path, _ in family() if path.startswith("/api/v1/")} == \
        {f"{method.upper()} {path}" for method, path, _ in developers()} | OPEN


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_each_role(platform, people, route):
    for role in ROLES:
        app_id, ids = people.app(role, route)
        before = rows_of(platform, app_id)
        answer = route.ask(platform, people.by_role[role].headers, app_id, ids)
        if route.may(role):
            route.is_done(answer)
        else:
            error = is_error(answer, 403, "FORBIDDEN")
            assert route.role in error["message"] and role in error["message"], error
            assert rows_of(platform, app_id) == before


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_strangers(platform, people, elsewhere, route):
    app_id, ids, foreign = elsewhere
    before = rows_of(platform, app_id)
    theirs = route.ask(platform, people.stranger.headers, app_id, ids)
    nobodys = route.ask(platform, people.stranger.headers, 999999999, ids)
    for answer in (theirs, nobodys):
        is_error(answer, 404, "APP_NOT_FOUND")
    assert theirs.text == nobodys.text
    for headers in foreign:
        is_error(route.ask(platform, headers, app_id, ids), 401, "UNAUTHORIZED")
    assert rows_of(platform, app_id) == before


@pytest.mark.parametrize("route", sorted(OF_NO_APP))
def test_strangers_to_what_is_of_no_app(platform, people, elsewhere, route):
    method, path = route.split(" ")
    total = people.owner.see()["total"]
    for headers in elsewhere[-1]:
        is_error(platform.request(method, path, headers=headers, json_body=MANIFEST if method == "POST" else None), 401, "UNAUTHORIZED")
    assert people.owner.see()["total"] == total


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_who_is_a_member_no_more(platform, people, route):
    app_id, ids = people.app("admin", route)
    admin = people.by_role["admin"]
    assert people.owner.ask("DELETE", f"/{app_id}/members/{admin.account_id}").status_code == 200
    before = rows_of(platform, app_id)
    is_error(route.ask(platform, admin.headers, app_id, ids), 404, "APP_NOT_FOUND")
    assert rows_of(platform, app_id) == before


def test_who_is_a_developer_no_more(platform):
    people = People(platform)
    app_id, ids = people.app("admin")
    accounts = [people.owner.account_id, people.by_role["admin"].account_id]
    platform.postgres.rows("update auth.account set is_developer = false where account_id = any (%s)", (accounts,))
    platform.call("auth.developer_keys.forget")         # the gateways ask again
    before = rows_of(platform, app_id)
    for route in ROUTES:
        for role in ("owner", "admin"):
            is_error(route.ask(platform, people.by_role[role].headers, app_id, ids), 403, "FORBIDDEN")
    assert rows_of(platform, app_id) == before


def test_an_expired_token(make_platform):
    platform = make_platform()
    people = People(platform)
    app_id, ids = people.app("admin")
    platform.set_clock(3700)
    before = rows_of(platform, app_id)
    for route in ROUTES:
        for role in ("owner", "admin"):
            is_error(route.ask(platform, people.by_role[role].headers, app_id, ids), 401, "UNAUTHORIZED")
    for route in OF_NO_APP:
        method, path = route.split(" ")
        is_error(platform.request(method, path, headers=people.owner.headers, json_body={} if method == "POST" else None), 401, "UNAUTHORIZED")
    assert rows_of(platform, app_id) == before


def test_what_an_app_costs_is_for_admins(platform, people):
    """By whichever route it is said, beside whatever else."""
    app_id, _ = people.app("developer")
    people.add(app_id, people.by_role["admin"], "admin")
    developer, admin = people.by_role["developer"], people.by_role["admin"]
    whole = {**people.owner.see(f"/{app_id}/manifest"), "description": "Ours", "fee_payer": "merchant"}
    for change in ({"fee_payer": "merchant"}, {"pricing_amount": 5}, {"pricing_type": "usage"}, {"name": "Other", "fee_payer": "merchant"}):
        before = rows_of(platform, app_id)
        is_error(developer.ask("PATCH", f"/{app_id}", change), 403, "FORBIDDEN")
        assert rows_of(platform, app_id) == before
    for query in ("", "?dry_run=true"):
        is_error(developer.ask("PUT", f"/{app_id}/manifest{query}", whole), 403, "FORBIDDEN")
    assert rows_of(platform, app_id) == before
    assert admin.ask("PATCH", f"/{app_id}", {"pricing_amount": 5, "pricing_type": "usage"}).status_code == 200
    assert admin.ask("PUT", f"/{app_id}/manifest", {**whole, "pricing_amount": 5, "pricing_type": "usage"}).status_code == 200
    assert developer.ask("PUT", f"/{app_id}/manifest", {**whole, "pricing_amount": 5, "pricing_type": "usage", "description": "x"}).status_code == 200

"""Who helps with an app, and how much they may: adding, changing, removing, handing on. What each role may on which route is
test_developer_matrix.py."""

import concurrent.futures

import pytest

from .client import is_error
from .locks import transaction, wait_for
from .shop import PASSWORD, Owner
from .test_developer_apps import APPS, TIME, Developer, told

ITEM = ["account_id", "email", "role", "added_by", "created_at"]


class Team:
    """An app, its owner, and a member in each role."""

    def __init__(self, platform, **fields):
        self.platform, self.owner = platform, Developer(platform)
        self.made = self.owner.make(**fields)
        self.app_id = self.made["app_id"]
        self.people = {role: Developer(platform) for role in ("viewer", "developer", "admin")}
        for role, who in self.people.items():
            told(self.add(who, role), "Member added", 201)
        self.viewer, self.developer, self.admin = self.people.values()

    def add(self, who, role, by=None):
        return (by or self.owner).ask("POST", f"/{self.app_id}/members", {"email": who.email, "role": role})

    def change(self, who, role, by=None):
        return (by or self.owner).ask("PATCH", f"/{self.app_id}/members/{who.account_id}", {"role": role})

    def remove(self, who, by=None):
        return (by or self.owner).ask("DELETE", f"/{self.app_id}/members/{who.account_id}")

    def roles(self):
        return {item["account_id"]: item["role"] for item in self.owner.see(f"/{self.app_id}/members", limit=100)["items"]}

    def audit(self):
        return self.platform.postgres.rows("select action, actor_account_id, target, target_id from auth.audit where app_id = %s order by audit_id",
                                           (self.app_id,))


@pytest.fixture
def team(platform):
    return Team(platform)


@pytest.fixture(scope="module")
def calm(platform):
    """For what changes nothing of it."""
    return Team(platform)


# ---- the list --------------------------------------------------------------------------------------------------------


def test_the_list(calm):
    data = told(calm.viewer.ask("GET", f"/{calm.app_id}/members"), "Members fetched")
    assert list(data) == ["items", "page", "limit", "total", "totalPages"] and (data["total"], data["totalPages"]) == (4, 1)
    assert [list(item) for item in data["items"]] == [ITEM] * 4 and all(TIME.match(item.pop("created_at")) for item in data["items"])
    assert data["items"] == [
        {"account_id": calm.owner.account_id, "email": calm.owner.email, "role": "owner", "added_by": None},
        *({"account_id": who.account_id, "email": who.email, "role": role, "added_by": calm.owner.account_id} for role, who in calm.people.items())]
    pages = [calm.owner.see(f"/{calm.app_id}/members", page=page, limit=3) for page in (1, 2, 3)]
    assert [[item["role"] for item in page["items"]] for page in pages] == [["owner", "viewer", "developer"], ["admin"], []]
    assert all((page["total"], page["totalPages"]) == (4, 2) for page in pages)


def test_their_own_lists_of_apps(team):
    """Beside what they own, the newest first, each once."""
    viewer, owner = team.viewer, team.owner
    first, second = viewer.make()["app_id"], owner.make()["app_id"]
    third = viewer.make()["app_id"]
    owner.ask("POST", f"/{second}/members", {"email": viewer.email, "role": "admin"})
    owner.ask("PATCH", f"/{second}/status", {"is_active": False})
    owner.ask("PATCH", f"/{team.app_id}/listing", {"is_listed": True})
    for query, wanted in (({}, [third, second, first, team.app_id]), ({"status": "inactive"}, [second]), ({"listed": "true"}, [team.app_id]),
                          ({"status": "active", "listed": "false"}, [third, first]), ({"limit": 2, "page": 2}, [first, team.app_id])):
        page = viewer.see(**query)
        assert [item["app_id"] for item in page["items"]] == wanted
        assert page["total"] == (4 if "page" in query else len(wanted))
    assert viewer.see(f"/{second}")["created_by"] == owner.account_id
    owner.ask("DELETE", f"/{second}")
    assert [item["app_id"] for item in viewer.see()["items"]] == [third, first, team.app_id]
    assert team.platform.postgres.rows("select 1 from auth.app_member where app_id = %s", (second,)) == []


# ---- adding ----------------------------------------------------------------------------------------------------------


def test_adding(team):
    newcomer = Developer(team.platform)
    is_error(newcomer.ask("GET", f"/{team.app_id}"), 404, "APP_NOT_FOUND")
    member = told(team.add(newcomer, "viewer", by=team.admin), "Member added", 201)
    assert list(member) == ITEM and (member["account_id"], member["email"], member["role"], member["added_by"]) == (
        newcomer.account_id, newcomer.email, "viewer", team.admin.account_id)
    assert newcomer.see(f"/{team.app_id}")["app_id"] == team.app_id
    assert told(team.add(newcomer, "viewer"), "Member is there already") == member
    is_error(team.add(newcomer, "admin"), 409, "CONFLICT")
    is_error(team.add(team.owner, "viewer", by=team.admin), 409, "CONFLICT")
    assert team.audit()[-1] == ("app_member.added_as_viewer", team.admin.account_id, "account", newcomer.account_id)


def test_an_address_is_found_in_any_case(team):
    newcomer = Developer(team.platform)
    answer = team.owner.ask("POST", f"/{team.app_id}/members", {"email": newcomer.email.upper(), "role": "viewer"})
    assert told(answer, "Member added", 201)["email"] == newcomer.email


BAD = [{}, {"email": "a@example.com"}, {"role": "viewer"}, {"email": "nobody", "role": "viewer"}, {"email": 7, "role": "viewer"},
       {"email": "a" * 250 + "@example.com", "role": "viewer"}, {"email": "a@example.com", "role": "owner"}, {"email": "a@example.com", "role": "boss"},
       {"email": "a@example.com", "role": None}, {"email": "a@example.com", "role": "viewer", "app_id": 1}]


@pytest.mark.parametrize("body", BAD, ids=lambda body: str(body)[:60])
def test_bad_bodies(calm, body):
    before = calm.roles()
    is_error(calm.owner.ask("POST", f"/{calm.app_id}/members", body), 400, "VALIDATION_ERROR")
    assert calm.roles() == before


def test_bad_changes(calm):
    path = f"/{calm.app_id}/members/{calm.viewer.account_id}"
    for body in ({}, {"role": "boss"}, {"role": None}, {"role": ["admin"]}, {"role": "admin", "email": "a@example.com"}):
        is_error(calm.owner.ask("PATCH", path, body), 400, "VALIDATION_ERROR")
    stranger = Developer(calm.platform)
    for answer in (calm.change(stranger, "admin"), calm.remove(stranger), calm.owner.ask("DELETE", f"/{calm.app_id}/members/abc"),
                   calm.owner.ask("POST", f"/{calm.app_id}/members", {"email": "nobody@shop.example", "role": "viewer"})):
        is_error(answer, 404, "NOT_FOUND")
    assert calm.roles()[calm.viewer.account_id] == "viewer"


def test_room(team):
    """100 members of one app, and 250 apps that one account helps with: also of those who come at the same moment."""
    platform, rows = team.platform, team.platform.postgres.rows
    newcomers = [Owner(platform) for _ in range(4)]
    rows("insert into auth.account (name, email, password, created_at, updated_at) select 'Filler', 'filler-' || n || '-' || %s || '@shop.example', "
         "'none', now(), now() from generate_series(1, 95) as n", (str(team.app_id),))
    rows("insert into auth.app_member (app_id, account_id, role, added_by_account_id, created_at, updated_at) select %s, account_id, 'viewer', %s, "
         "now(), now() from auth.account where email like %s", (team.app_id, team.owner.account_id, f"filler-%-{team.app_id}@shop.example"))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda who: team.add(who, "viewer"), newcomers))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    assert team.owner.see(f"/{team.app_id}/members")["total"] == 101
    busy = Owner(platform)
    apps = [team.owner.make()["app_id"] for _ in range(3)]
    rows("insert into auth.app (owner_account_id, type, name, slug, redirect_urls, requested_scopes, client_id, client_secret_hash, session_signing_key, "
         "is_active, is_listed, created_at, updated_at) select %s, 'platform', 'App', 'busy-' || %s || '-' || n, '[]', 'read:orders', "
         "'sx_app_' || md5(%s || n::text), client_secret_hash, session_signing_key, true, false, now(), now() from auth.app, generate_series(1, 249) as n "
         "where app_id = %s", (team.owner.account_id, str(team.app_id), str(team.app_id), team.app_id))
    rows("insert into auth.app_member (app_id, account_id, role, added_by_account_id, created_at, updated_at) select app_id, %s, 'viewer', %s, now(), now() "
         "from auth.app where slug like %s", (busy.account_id, team.owner.account_id, f"busy-{team.app_id}-%"))
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda app_id: team.owner.ask("POST", f"/{app_id}/members", {"email": busy.email, "role": "viewer"}), apps))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


# ---- changing and removing -------------------------------------------------------------------------------------------


def test_changing(team):
    assert told(team.change(team.viewer, "developer", by=team.admin), "Member updated")["role"] == "developer"
    assert team.viewer.ask("PATCH", f"/{team.app_id}", {"name": "By them"}).status_code == 200
    assert told(team.change(team.viewer, "developer"), "Member updated")["role"] == "developer"
    assert [action for action, *_ in team.audit()].count("app_member.made_developer") == 1
    told(team.change(team.admin, "viewer", by=team.admin), "Member updated")
    is_error(team.change(team.admin, "admin", by=team.admin), 403, "FORBIDDEN")
    is_error(team.change(team.owner, "viewer"), 409, "CONFLICT")


def test_removing_and_leaving(team):
    is_error(team.remove(team.viewer, by=team.developer), 403, "FORBIDDEN")
    assert told(team.remove(team.viewer, by=team.admin), "Member removed") == {"account_id": team.viewer.account_id}
    is_error(team.remove(team.viewer), 404, "NOT_FOUND")
    is_error(team.viewer.ask("GET", f"/{team.app_id}"), 404, "APP_NOT_FOUND")
    assert team.viewer.see()["total"] == 0
    told(team.remove(team.developer, by=team.developer), "Member removed")
    is_error(team.remove(team.developer, by=team.developer), 404, "APP_NOT_FOUND")
    for who in (team.owner, team.admin):
        is_error(team.remove(team.owner, by=who), 409, "CONFLICT")
    assert [(action, target) for action, _, _, target in team.audit()][-2:] == [
        ("app_member.removed", team.viewer.account_id), ("app_member.left", team.developer.account_id)]
    assert set(team.roles()) == {team.owner.account_id, team.admin.account_id}


def test_handing_it_on(team):
    for who in (team.viewer, team.developer, team.admin):
        is_error(team.change(team.admin, "owner", by=who), 403, "FORBIDDEN")
    assert told(team.change(team.developer, "owner"), "Member updated")["role"] == "owner"
    assert team.roles() == {team.developer.account_id: "owner", team.owner.account_id: "admin", team.admin.account_id: "admin",
                            team.viewer.account_id: "viewer"}
    assert told(team.change(team.developer, "owner"), "Member updated")["role"] == "owner"     # the answer got lost
    assert [action for action, *_ in team.audit()].count("app.transferred") == 1
    is_error(team.owner.ask("DELETE", f"/{team.app_id}"), 403, "FORBIDDEN")
    assert team.developer.see(f"/{team.app_id}")["created_by"] == team.owner.account_id
    assert team.developer.see()["total"] == team.owner.see()["total"] == 1
    told(team.change(team.owner, "owner", by=team.developer), "Member updated")                # and back
    assert team.owner.see(f"/{team.app_id}")["created_by"] == team.owner.account_id
    assert team.owner.ask("DELETE", f"/{team.app_id}").status_code == 200


def test_who_cannot_have_an_app(team):
    merchant, gone = Owner(team.platform), Developer(team.platform)
    for who in (merchant, gone):
        told(team.add(who, "admin"), "Member added", 201)
    team.platform.call("auth.accounts.set_status", account_id=gone.account_id, status="disabled")
    for who in (merchant, gone):
        is_error(team.change(who, "owner"), 409, "CONFLICT")
    assert team.roles()[team.owner.account_id] == "owner"


def test_there_is_one_owner_whatever_happens_at_once(team):
    """The owner hands the app on to many at the same moment, while an admin removes them."""
    others = list(team.people.values())
    jobs = [lambda who=who: team.change(who, "owner") for who in others] + [lambda who=who: team.remove(who, by=team.admin) for who in others[:2]]
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        answers = [job.result() for job in [pool.submit(job) for job in jobs]]
    assert all(answer.status_code in (200, 403, 404, 409) for answer in answers), answers
    rows = team.platform.postgres.rows
    [(owner,)] = rows("select owner_account_id from auth.app where app_id = %s", (team.app_id,))
    members = dict(rows("select account_id, role from auth.app_member where app_id = %s", (team.app_id,)))
    assert owner not in members and "owner" not in members.values()
    assert owner != team.owner.account_id and members.get(team.owner.account_id) == "admin"
    assert sum(answer.status_code == 200 and answer.json()["data"].get("role") == "owner" for answer in answers) == 1


# ---- the routes of merchants -----------------------------------------------------------------------------------------


def test_credentials_over_the_dashboards_routes(team):
    """The same account, signed in as a merchant."""
    stranger = Developer(team.platform)
    tokens = {who: team.platform.post("/api/auth/login", {"email": who.email, "password": PASSWORD}).json()["data"]["token"]
              for who in (stranger, team.owner, *team.people.values())}

    def ask(who, method, path, body=None):
        return team.platform.request(method, f"/api/apps/{team.app_id}{path}", headers={"x-auth-token": tokens[who]}, json_body=body)

    routes = [("POST", "/rotate-secret", None), ("POST", "/generate-signing-key", None), ("PUT", "/session-algorithm", {"algorithm": "ES256"})]
    for route in routes:
        is_error(ask(stranger, *route), 404, "not_found")
        for who in (team.viewer, team.developer):
            is_error(ask(who, *route), 403, "forbidden")
        for who in (team.admin, team.owner):
            assert ask(who, *route).status_code == 200
    for who in (team.viewer, team.owner):
        assert ask(who, "GET", "/credentials").json()["data"]["app_id"] == team.app_id
    is_error(ask(stranger, "GET", "/credentials"), 404, "not_found")


def test_an_app_that_is_not_listed_is_installed_by_its_members(calm):
    for who, status in ((calm.viewer, (200, 201)), (Developer(calm.platform), (400, 403, 404, 409))):
        token = calm.platform.post("/api/auth/login", {"email": who.email, "password": PASSWORD}).json()["data"]["token"]
        answer = calm.platform.post("/api/apps/installations/direct-install", {"app_id": calm.app_id, "store_id": who.open_store()},
                                    headers={"x-auth-token": token})
        assert answer.status_code in status, answer.text


# ---- at once ---------------------------------------------------------------------------------------------------------


def test_two_gateways(make_platform):
    """What is given or taken away counts with both from the answer on, in every service that is asked."""
    platform = make_platform(gateways=2)
    team = Team(platform)
    paths = ["", "/members", "/manifest", "/billing/balance", "/webhooks/subscriptions"]

    def seen(gateway):
        return {platform.request("GET", f"{APPS}/{team.app_id}{path}", headers=team.viewer.headers, gateway=gateway).status_code for path in paths}

    def may_change(gateway):
        return platform.request("PATCH", f"{APPS}/{team.app_id}", headers=team.viewer.headers, json_body={"name": "By them"},
                                gateway=gateway).status_code

    for _ in range(4):
        assert [seen(1), seen(2), may_change(1), may_change(2)] == [{200}, {200}, 403, 403]
        assert team.change(team.viewer, "developer").status_code == 200
        assert [may_change(1), may_change(2)] == [200, 200]
        assert team.remove(team.viewer).status_code == 200
        assert [seen(1), seen(2), may_change(1), may_change(2)] == [{404}, {404}, 404, 404]
        assert team.add(team.viewer, "viewer").status_code == 201


def test_whoever_was_removed_has_left_nothing_behind(team):
    """An admin who is removed while they add others: what they did stands in the list that the remover reads, or was refused."""
    friends = [Owner(team.platform) for _ in range(12)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        added = [pool.submit(team.add, friend, "admin", team.admin) for friend in friends]
        removed = pool.submit(lambda: (team.remove(team.admin).status_code, team.roles()))
        status, roles = removed.result()
        answers = [job.result() for job in added]
    assert status == 200 and team.admin.account_id not in roles
    assert {answer.status_code for answer in answers} <= {201, 404}
    assert team.roles() == roles


MANIFEST = {"name": "Theirs", "redirect_urls": ["https://example.com/cb"], "requested_scopes": ["read:orders"]}
HOLDING = [("PATCH", "", {"name": "Theirs"}), ("DELETE", "", None), ("PUT", "/manifest", MANIFEST), ("PATCH", "/settings/embed", {"app_url": None}),
           ("PATCH", "/listing", {"is_listed": True}), ("PATCH", "/status", {"is_active": False}), ("POST", "/rotate-secret", None),
           ("POST", "/regenerate-signing-key", None), ("POST", "/members", {"email": "{email}", "role": "viewer"}),
           ("PATCH", "/members/{owner}", {"role": "viewer"}), ("DELETE", "/members/{owner}", None)]
HOLDING_OF_MERCHANTS = [("POST", "/rotate-secret", None), ("POST", "/generate-signing-key", None), ("PUT", "/session-algorithm", {"algorithm": "ES256"})]


def test_who_may_not_waits_for_nobody(team):
    """And makes nobody wait: the app is held by those who may change it alone."""
    stranger = Developer(team.platform)
    tokens = {who: team.platform.post("/api/auth/login", {"email": who.email, "password": PASSWORD}).json()["data"]["token"]
              for who in (stranger, team.viewer)}

    def refused(who, status, code):
        for method, path, body in HOLDING:
            body = {**body, "email": stranger.email} if body and "email" in body else body
            is_error(who.ask(method, f"/{team.app_id}{path.format(owner=team.owner.account_id)}", body), status, code)
        for method, path, body in HOLDING_OF_MERCHANTS:
            answer = team.platform.request(method, f"/api/apps/{team.app_id}{path}", headers={"x-auth-token": tokens[who]}, json_body=body)
            is_error(answer, status, "not_found" if status == 404 else code.lower())

    with transaction(team.platform) as cursor, concurrent.futures.ThreadPoolExecutor(1) as pool:
        cursor.execute("select from auth.app where app_id = %s for update", (team.app_id,))
        refused(stranger, 404, "APP_NOT_FOUND")
        is_error(stranger.ask("DELETE", f"/{team.app_id}/members/{stranger.account_id}"), 404, "APP_NOT_FOUND")
        refused(team.viewer, 403, "FORBIDDEN")
        waits = pool.submit(team.change, team.viewer, "developer")
        wait_for(team.platform, 1)
        cursor.connection.rollback()
        assert waits.result().status_code == 200
    assert team.roles()[team.viewer.account_id] == "developer"


def test_who_is_removed_while_they_wait_may_not(team):
    """The second look, behind the lock: they were a member at the first one."""
    with transaction(team.platform) as cursor, concurrent.futures.ThreadPoolExecutor(1) as pool:
        cursor.execute("select from auth.app where app_id = %s for update", (team.app_id,))
        waits = pool.submit(team.owner.platform.request, "PATCH", f"{APPS}/{team.app_id}", headers=team.developer.headers, json_body={"name": "By them"})
        wait_for(team.platform, 1)
        cursor.execute("delete from auth.app_member where app_id = %s and account_id = %s", (team.app_id, team.developer.account_id))
        cursor.connection.commit()
        is_error(waits.result(), 404, "APP_NOT_FOUND")
    assert team.owner.see(f"/{team.app_id}")["name"] == "My app"

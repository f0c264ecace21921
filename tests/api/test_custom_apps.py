"""Custom apps: made by a merchant for one store, with credentials that work at once (contract C.4, K.2)."""

import concurrent.futures
import json
import os

import pytest

from . import embedded
from .browser import redirected
from .credentials import ORDERS, STORE, accepted, bearer, refused
from .locks import transaction, wait_for
from .oauth import Install
from .shop import PASSWORD, Owner

CUSTOM = "/api/apps/custom"
YEAR_S = 365 * 86400


@pytest.fixture
def store(platform, merchant):
    """A store of the merchant's own, and requests as the merchant."""
    return Store(platform, merchant, merchant.open_store())


class Store:
    def __init__(self, platform, account, store_id):
        self.platform, self.account, self.store_id = platform, account, store_id

    def ask(self, method, path="", body=None, **options):
        return self.platform.request(method, CUSTOM + path, json_body=body,
                                     headers={"x-auth-token": self.account.token}, **options)

    def make(self, name=None, scopes=("read:store",), **further):
        body = {"store_id": self.store_id, "name": name or f"Import {os.urandom(4).hex()}", "scopes": list(scopes),
                **further}
        answer = self.ask("POST", "", body)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    def list(self, **query):
        answer = self.ask("GET", "", params={"store_id": self.store_id, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def member(self, *permissions):
        """Somebody else who helps in this store."""
        helper = Owner(self.platform)
        answer = self.platform.post("/api/auth/login", {"email": helper.email, "password": PASSWORD})
        helper.token = accepted(answer)["token"]
        if permissions:
            answer = self.platform.post(f"/api/stores/{self.store_id}/members",
                                        {"email": helper.email, "permissions": list(permissions)},
                                        headers={"x-auth-token": self.account.token})
            assert answer.status_code in (200, 201), answer.text
        return Store(self.platform, helper, self.store_id)


def client(app, secret=None, store_id=None):
    return {"X-Client-Id": app["client_id"], "X-Client-Secret": secret or app["client_secret"],
            "X-Store-Id": str(store_id or app["store_id"])}


def works(platform, headers, path=STORE):
    return platform.get(path, headers=headers).status_code == 200


# ---- made ------------------------------------------------------------------------------------------------------------


def test_its_credentials_work_at_once_on_its_store_alone(platform, store):
    app = store.make("Warehouse", ["read_store", "read:orders"], description="Prints labels")
    assert (app["name"], app["description"], app["scopes"]) == ("Warehouse", "Prints labels",
                                                                ["read:orders", "read:store"])
    assert (app["store_id"], app["token_type"], app["expires_in"]) == (store.store_id, "Bearer", YEAR_S)
    for headers in (bearer(app["access_token"]), client(app)):
        assert accepted(platform.get(STORE, headers=headers))["store_id"] == store.store_id
        refused(platform.post(ORDERS, {"items": [{"name": "Tea", "price": 1, "quantity": 1}]}, headers=headers), 403,
                "insufficient_scope")
    refused(platform.get(STORE, headers=client(app, store_id=store.account.open_store())), 401, "not_installed")
    [listed] = store.list()["data"]
    assert (listed["app_id"], listed["name"], listed["status"], listed["is_active"]) == (app["app_id"], "Warehouse",
                                                                                        "active", 1)
    text = json.dumps(store.list())
    assert app["client_secret"] not in text and app["access_token"] not in text
    installed = platform.call("auth.installations.get", installation_id=app["installation_id"])
    assert (installed["app_id"], installed["store_id"]) == (app["app_id"], store.store_id)


def test_its_token_lives_for_a_year(platform, store):
    app = store.make()
    [[lifetime]] = platform.postgres.rows(
        "select extract(epoch from expires_at - created_at)::bigint from auth.token where installation_id = %s",
        (app["installation_id"],))
    assert lifetime == YEAR_S
    rows = platform.postgres.rows("select kind from auth.token where installation_id = %s", (app["installation_id"],))
    assert rows == [("access",)]                    # nothing to refresh with: the merchant makes a new one


def test_nothing_is_stored_in_clear(platform, store):
    app = store.make()
    [row] = platform.postgres.rows("select row_to_json(app)::text from auth.app where app_id = %s", (app["app_id"],))
    assert app["client_secret"].removeprefix("sx_secret_") not in row[0]
    for process in platform.processes.values():
        text = process.log.read_text(errors="replace")
        assert app["client_secret"] not in text and app["access_token"] not in text


def test_names_are_the_creators_own(platform, store):
    app = store.make("Bot")
    for name in ("Bot", "BOT", "bot"):
        body = {"store_id": store.store_id, "name": name, "scopes": ["read:store"]}
        assert refused(store.ask("POST", "", body), 409, "duplicate_name")["errors"][0]["field"] == "name"
    other = Store(platform, store.account, store.account.open_store())
    refused(other.ask("POST", "", {"store_id": other.store_id, "name": "Bot", "scopes": ["read:store"]}), 409,
            "duplicate_name")                      # the same creator, whatever the store
    helper = store.member("apps__manage_apps")
    helper.make("Bot")
    second = store.make("Bot two")
    refused(store.ask("PATCH", f"/{second['app_id']}", {"name": "bot"}), 409, "duplicate_name")
    assert store.ask("DELETE", f"/{app['app_id']}").status_code == 200
    store.make("Bot")                              # free again


@pytest.mark.parametrize("name", ["  Label Bot ", "LABEL BOT", "\uff2cabel \uff22ot", "\u3000label bot"])
def test_names_that_look_the_same_are_the_same(store, name):
    app = store.make("Label Bot")
    body = {"store_id": store.store_id, "name": name, "scopes": ["read:store"]}
    refused(store.ask("POST", "", body), 409, "duplicate_name")
    assert store.ask("PATCH", f"/{app['app_id']}", {"name": name}).status_code == 200
    refused(store.ask("PATCH", f"/{app['app_id']}", {"name": "Label\u200bBot"}), 400, "validation_error")
    assert store.ask("DELETE", f"/{app['app_id']}").status_code == 200


def test_the_same_name_at_the_same_time_is_made_once(store):
    body = {"store_id": store.store_id, "name": "Racer", "scopes": ["read:store"]}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [answer.status_code for answer in pool.map(lambda _: store.ask("POST", "", body), range(8))]
    assert sorted(answers) == [201] + [409] * 7
    assert store.list()["pagination"]["total"] == 1


def test_names_without_a_letter_of_ascii_are_not_in_each_others_way(platform, store):
    """Their slugs are chance alone: a chance of millions is not enough for it."""
    for name in ("\u09a6\u09cb\u0995\u09be\u09a8", "\u8f93\u51fa\u673a", "---"):
        [(slug,)] = platform.postgres.rows("select slug from auth.app where app_id = %s", (store.make(name)["app_id"],))
        assert slug.startswith("app-") and len(slug) == len("app-") + 16


def test_a_slug_that_is_taken_is_not_the_names_fault(platform, store):
    """Nor is any other constraint: one more try with another slug, and no false `duplicate_name`."""
    platform.postgres.rows("""
        create sequence auth.unlucky; grant usage on sequence auth.unlucky to auth;
        create function auth.unlucky() returns trigger language plpgsql as $$
            begin if nextval('auth.unlucky') = 1 then new.slug := (select min(slug) from auth.app); end if; return new; end $$;
        create trigger unlucky before insert on auth.app for each row execute function auth.unlucky()""")
    try:
        app = store.make()
    finally:
        platform.postgres.rows("drop trigger unlucky on auth.app; drop function auth.unlucky; drop sequence auth.unlucky")
    assert works(platform, client(app))


def test_the_list_is_paged(store):
    made = [store.make()["app_id"] for _ in range(5)]
    body = store.list(limit=2)
    seen = [app["app_id"] for app in body["data"]]
    while body["pagination"]["next_cursor"]:
        body = store.list(limit=2, cursor=body["pagination"]["next_cursor"])
        seen += [app["app_id"] for app in body["data"]]
    assert seen == made[::-1] and body["pagination"]["total"] == 5
    assert [app["app_id"] for app in store.list(limit=2, page=3)["data"]] == made[:1]
    refused(store.ask("GET", "", params={"store_id": store.store_id, "cursor": "x"}), 400, "validation_error")


# ---- changed ---------------------------------------------------------------------------------------------------------


def test_name_description_and_scopes_change(platform, store):
    app = store.make("Before", ["read:store", "read:orders"], description="old")
    path, headers = f"/{app['app_id']}", bearer(app["access_token"])
    assert accepted(store.ask("PATCH", path, {"name": "After"}))["description"] == "old"
    assert accepted(store.ask("PATCH", path, {"description": None}))["description"] is None
    assert works(platform, headers, ORDERS)
    view = accepted(store.ask("PATCH", path, {"scopes": ["read:store", "write:orders"]}))
    assert (view["name"], view["scopes"]) == ("After", ["write:orders", "read:store"])
    refused(platform.get(ORDERS, headers=headers), 403, "insufficient_scope")
    refused(platform.get(ORDERS, headers=client(app)), 403, "insufficient_scope")
    answer = platform.post(ORDERS, {"items": [{"name": "Tea", "price": 1, "quantity": 1}]}, headers=headers)
    assert answer.status_code == 201, answer.text


def test_a_new_token_ends_the_old_one(platform, store):
    app = store.make()
    path = f"/{app['app_id']}/regenerate-token"
    assert works(platform, bearer(app["access_token"]))
    fresh = accepted(store.ask("POST", path))
    refused(platform.get(STORE, headers=bearer(app["access_token"])), 401, "invalid_token")
    assert works(platform, bearer(fresh["access_token"])) and works(platform, client(app))
    assert fresh["expires_in"] == YEAR_S and fresh["installation_id"] == app["installation_id"]
    again = accepted(store.ask("POST", path, {"store_id": store.store_id}))
    refused(platform.get(STORE, headers=bearer(fresh["access_token"])), 401, "invalid_token")
    assert works(platform, bearer(again["access_token"]))


def test_of_many_new_tokens_at_once_one_lives(platform, store):
    app = store.make()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: store.ask("POST", f"/{app['app_id']}/regenerate-token"), range(16)))
    tokens = [answer.json()["data"]["access_token"] for answer in answers if answer.status_code == 200]
    assert len(tokens) == 16
    assert sum(works(platform, bearer(token)) for token in tokens) == 1


def test_a_new_secret_ends_the_old_one(platform, store):
    app = store.make()
    assert works(platform, client(app))
    fresh = accepted(store.ask("POST", f"/{app['app_id']}/rotate-secret"))
    assert fresh["previous_secret_expires_at"] is None and fresh["client_id"] == app["client_id"]
    refused(platform.get(STORE, headers=client(app)), 401, "invalid_client")
    assert works(platform, client(app, fresh["client_secret"])) and works(platform, bearer(app["access_token"]))


def test_a_deleted_app_is_dead(platform, store):
    app = store.make()
    path = f"/{app['app_id']}"
    assert works(platform, bearer(app["access_token"])) and works(platform, client(app))
    assert accepted(store.ask("DELETE", path)) == {"app_id": app["app_id"], "deleted": 1}
    refused(platform.get(STORE, headers=bearer(app["access_token"])), 401, "invalid_token")
    refused(platform.get(STORE, headers=client(app)), 401, "invalid_client")
    for method, further in (("PATCH", ""), ("POST", "/regenerate-token"), ("POST", "/rotate-secret")):
        refused(store.ask(method, path + further, {"name": "Again"} if method == "PATCH" else None), 404, "not_found")
    assert store.list()["data"] == []


def test_a_deletion_can_be_repeated(platform, store):
    """One whose answer was lost may not have told the gateways: asked again, it tells them."""
    app = store.make()
    path = f"/{app['app_id']}"
    version = "select v from auth.identity_version"
    for _ in range(2):
        [before] = platform.postgres.rows(version)
        assert accepted(store.ask("DELETE", path)) == {"app_id": app["app_id"], "deleted": 1}
        tags = platform.postgres.rows("select tag from auth.invalidation where v > %s", before)
        assert (f"app:{app['app_id']}",) in tags and (f"installation:{app['installation_id']}",) in tags
    assert platform.postgres.rows("select count(*) from auth.audit where action = 'custom_app.deleted' and app_id = %s",
                                  (app["app_id"],)) == [(1,)]
    refused(store.ask("DELETE", "/999999999"), 404, "not_found")


def test_an_uninstalled_app_gets_no_token(platform, store):
    app = store.make()
    platform.call("auth.installations.end", installation_id=app["installation_id"])
    refused(platform.get(STORE, headers=bearer(app["access_token"])), 401, "invalid_token")
    refused(store.ask("POST", f"/{app['app_id']}/regenerate-token"), 400, "invalid_installation")
    [listed] = store.list()["data"]
    assert listed["status"] == "uninstalled" and listed["token_expires_at"] is None
    assert store.ask("DELETE", f"/{app['app_id']}").status_code == 200


# ---- whose it is -----------------------------------------------------------------------------------------------------


def every_route(store, app_id):
    """Each route once, as this person: the answers."""
    app = {"name": f"New {os.urandom(4).hex()}", "scopes": ["read:store"]}
    return {
        "list": store.ask("GET", "", params={"store_id": store.store_id}),
        "create": store.ask("POST", "", {"store_id": store.store_id, **app}),
        "update": store.ask("PATCH", f"/{app_id}", {"description": "mine"}),
        "token": store.ask("POST", f"/{app_id}/regenerate-token"),
        "secret": store.ask("POST", f"/{app_id}/rotate-secret"),
        "delete": store.ask("DELETE", f"/{app_id}"),
    }


def test_another_stores_apps_do_not_exist(platform, store):
    app = store.make()
    stranger = store.member()
    for answer in every_route(stranger, app["app_id"]).values():
        refused(answer, 404, "not_found")
    answers = [stranger.ask("DELETE", f"/{app_id}").json() for app_id in (app["app_id"], 2**62)]
    assert answers[0] == answers[1]
    own = Store(platform, stranger.account, stranger.account.open_store())
    refused(own.ask("DELETE", f"/{app['app_id']}", params={"store_id": own.store_id}), 404, "not_found")
    refused(store.ask("DELETE", f"/{app['app_id']}", params={"store_id": store.account.open_store()}), 404, "not_found")
    assert works(platform, client(app)) and works(platform, bearer(app["access_token"]))


def test_a_member_needs_the_permission(platform, store):
    app = store.make()
    for answer in every_route(store.member("apps__install_apps", "apps__view_webhooks"), app["app_id"]).values():
        refused(answer, 403, "forbidden")
    answers = every_route(store.member("apps__manage_apps"), app["app_id"])
    assert {answer.status_code for answer in answers.values()} == {200, 201}, answers


def test_a_platform_app_is_no_custom_app(platform, store):
    app = store.account.make_app()
    for answer in list(every_route(store, app["app_id"]).values())[2:]:
        refused(answer, 404, "not_found")


@pytest.mark.parametrize("status", ["suspended", "frozen"])
def test_a_store_that_is_stopped(platform, store, status):
    app = store.make()
    platform.call("auth.stores.set_status", store_id=store.store_id, status=status)
    answers = every_route(store, app["app_id"])
    listed = answers.pop("list")
    if status == "frozen":
        assert listed.status_code == 200                # its merchant may look
    else:
        refused(listed, 403, "store_inactive")
    for answer in answers.values():
        refused(answer, 403, "store_inactive")
    refused(platform.get(STORE, headers=client(app)), 403, "store_inactive")


def test_only_merchants_are_asked(platform, store, shop, developer):
    path = f"{CUSTOM}?store_id={store.store_id}"
    refused(platform.get(path), 401, "missing_token")
    refused(platform.get(path, headers=bearer("sx_ms_" + "0" * 64)), 401, "invalid_token")
    refused(platform.get(path, headers=shop.bearer), 401, "missing_auth")
    refused(platform.get(path, headers=bearer(developer.token)), 401, "missing_auth")
    for method, leaf in (("POST", ""), ("PATCH", "/1"), ("DELETE", "/1"), ("POST", "/1/regenerate-token"),
                         ("POST", "/1/rotate-secret")):
        refused(platform.request(method, CUSTOM + leaf, json_body={}), 401, "missing_token")
        refused(platform.request(method, CUSTOM + leaf, json_body={}, headers=shop.bearer), 401, "missing_auth")


def test_only_who_may_manage_it_uninstalls_it(platform, store):
    """It cannot be installed again."""
    app = store.make()
    path = f"/api/apps/installations/{app['installation_id']}/uninstall"
    ask = lambda helper: platform.post(path, headers={"x-auth-token": helper.account.token})
    refused(ask(store.member()), 404, "not_found")
    refused(ask(store.member("apps__install_apps")), 403, "forbidden")
    assert works(platform, client(app))
    assert accepted(ask(store.member("apps__manage_apps")))["status"] == "uninstalled"
    assert not works(platform, client(app))


def test_who_made_it_is_not_its_developer(platform, store):
    """It is its store's: the routes of developers do not know it, before and after its maker leaves."""
    helper = store.member("apps__manage_apps")
    app = helper.make()
    def tries():
        headers, path = {"x-auth-token": helper.account.token}, f"/api/apps/{app['app_id']}"
        yield platform.request("PUT", f"{path}/session-algorithm", json_body={"algorithm": "ES256"}, headers=headers)
        for leaf in ("rotate-secret", "generate-signing-key"):
            yield platform.post(f"{path}/{leaf}", headers=headers)
        yield platform.get(f"{path}/credentials", headers=headers)
        yield platform.post("/api/apps/installations/direct-install",
                            {"store_id": helper.account.open_store(), "app_id": app["app_id"]}, headers=headers)
    for answer in tries():
        refused(answer, 404, "not_found")
    accepted(removed(store, helper))
    for answer in tries():
        refused(answer, 404, "not_found")
    assert works(platform, client(app)) and works(platform, bearer(app["access_token"]))


def test_what_an_operator_does_to_it_is_in_its_stores_audit(platform, store):
    app_id = store.make()["app_id"]
    platform.call("auth.apps.rotate_secret", app_id=app_id)
    platform.call("auth.apps.rotate_signing_key", app_id=app_id)
    platform.call("auth.apps.set_session_algorithm", app_id=app_id, algorithm="ES256")
    platform.call("auth.apps.set_status", app_id=app_id, is_active=False)
    rows = accepted(platform.get(f"/api/audit?store_id={store.store_id}", headers={"x-auth-token": store.account.token}))
    assert [row["action"] for row in rows[:4]] == ["app.switched_off", "app.session_algorithm_set_ES256",
                                                   "app.signing_key_rotated", "app.secret_rotated"]


# ---- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change, field", [
    ({"store_id": None}, "store_id"), ({"store_id": 0}, "store_id"), ({"store_id": "x"}, "store_id"),
    ({"store_id": 2**63}, "store_id"), ({"name": None}, "name"), ({"name": "ab"}, "name"),
    ({"name": "x" * 256}, "name"), ({"name": 7}, "name"), ({"description": "x" * 2001}, "description"),
    ({"description": 1}, "description"), ({"scopes": None}, "scopes"), ({"scopes": []}, "scopes"),
    ({"scopes": "read:store"}, "scopes"), ({"scopes": ["read:everything"]}, "scopes[0]"),
    ({"scopes": ["read:store", ""]}, "scopes[1]"), ({"scopes": ["read:store"] * 65}, "scopes"),
    ({"scopes": ["billing"]}, "scopes"), ({"scopes": ["read:store,billing"]}, "scopes"),
])
def test_what_cannot_be_made(store, change, field):
    body = {"store_id": store.store_id, "name": "Fine name", "scopes": ["read:store"], **change}
    body = {name: value for name, value in body.items() if value is not None}
    errors = refused(store.ask("POST", "", body), 400, "validation_error")["errors"]
    assert field in [error["field"] for error in errors], errors
    assert store.list()["data"] == []


def test_what_cannot_be_changed(store):
    app = store.make()
    path = f"/{app['app_id']}"
    for body in ({}, {"store_id": store.store_id}, {"name": ""}, {"name": None, "scopes": []}, {"scopes": ["x"]}):
        refused(store.ask("PATCH", path, body), 400, "validation_error")
    refused(store.ask("PATCH", path, {"scopes": ["read:store", "billing"]}), 400, "validation_error")
    assert store.list()["data"][0]["scopes"] == ["read:store"]
    for hours in (-1, 169, "1", 1.5, True):
        refused(store.ask("POST", f"{path}/rotate-secret", {"overlap_hours": hours}), 400, "validation_error")
    refused(store.ask("POST", f"{path}/regenerate-token", {"store_id": store.store_id},
                      params={"store_id": store.store_id + 1}), 400, "validation_error")
    for bad in ("0", "x", "-1", str(2**63)):
        refused(store.ask("DELETE", f"/{bad}"), 404, "not_found")
    refused(store.ask("DELETE", path, params={"store_id": "x"}), 400, "validation_error")
    refused(store.ask("GET"), 400, "validation_error")
    refused(store.ask("GET", f"?store_id={store.store_id}&store_id={store.store_id}"), 400, "validation_error")


def test_every_change_is_in_the_audit(platform, store):
    app = store.make()
    path = f"/{app['app_id']}"
    accepted(store.ask("PATCH", path, {"scopes": ["read:orders"]}))
    accepted(store.ask("POST", f"{path}/regenerate-token"))
    accepted(store.ask("POST", f"{path}/rotate-secret"))
    accepted(store.ask("DELETE", path))
    rows = platform.postgres.rows("select action, actor_account_id, store_id from auth.audit where app_id = %s "
                                  "order by audit_id", (app["app_id"],))
    assert [action for action, _, _ in rows] == [
        "custom_app.created", "app.installed", "custom_app.updated", "custom_app.scopes_changed",
        "custom_app.token_regenerated", "app.secret_rotated", "app.uninstalled", "custom_app.deleted"]
    assert {(account, store_id) for _, account, store_id in rows} == {(store.account.account_id, store.store_id)}


# ---- who knows its credentials ---------------------------------------------------------------------------------------


def removed(store, helper, by=None):
    return (by or store).platform.request("DELETE", f"/api/stores/{store.store_id}/members/{helper.account.account_id}",
                                          headers={"x-auth-token": (by or store).account.token})


def flags(store):
    return {app["app_id"]: (app["creator_has_left"], app["rotation_due"]) for app in store.list()["data"]}


@pytest.mark.parametrize("way", ["removed", "left"])
def test_an_app_outlives_its_makers_time_and_the_owner_is_told(platform, store, way):
    helper, own = store.member("apps__manage_apps"), store.make("Owner's own")
    app, deleted = helper.make("Left behind"), helper.make("Gone before")
    assert helper.ask("DELETE", f"/{deleted['app_id']}").status_code == 200
    assert flags(store) == {own["app_id"]: (0, 0), app["app_id"]: (0, 0)}
    [listed] = [one for one in store.list()["data"] if one["app_id"] == app["app_id"]]
    assert listed["created_by"] == {"account_id": helper.account.account_id, "name": "Test Owner"}
    answer = removed(store, helper, by=helper if way == "left" else store)
    assert accepted(answer) == {"account_id": helper.account.account_id,
                                "custom_apps": [{"app_id": app["app_id"], "name": "Left behind", "rotation_due": 1}]}
    assert works(platform, bearer(app["access_token"])) and works(platform, client(app))    # it is the store's
    assert flags(store) == {own["app_id"]: (0, 0), app["app_id"]: (1, 1)}
    audit = accepted(platform.get(f"/api/audit?store_id={store.store_id}", headers={"x-auth-token": store.account.token}))
    assert [(row["action"], row["target"], row["target_id"]) for row in audit[:2]] == [
        ("custom_app.maker_left", "app", app["app_id"]), (f"member.{way}", "account", helper.account.account_id)]
    accepted(store.ask("POST", f"/{app['app_id']}/rotate-secret"))
    assert flags(store)[app["app_id"]] == (1, 1)            # the token is still known
    accepted(store.ask("POST", f"/{app['app_id']}/regenerate-token"))
    assert flags(store)[app["app_id"]] == (1, 0)
    assert not works(platform, bearer(app["access_token"])) and not works(platform, client(app))


def test_who_has_made_a_new_credential_knows_it_too(platform, store):
    helper, app, another = store.member("apps__manage_apps"), store.make("With new token"), store.make("With new secret")
    untouched = store.make("Untouched")
    accepted(helper.ask("POST", f"/{app['app_id']}/regenerate-token"))
    accepted(helper.ask("POST", f"/{another['app_id']}/rotate-secret"))
    named = accepted(removed(store, helper))["custom_apps"]
    assert [(one["app_id"], one["rotation_due"]) for one in named] == [(another["app_id"], 1), (app["app_id"], 1)]
    assert flags(store) == {app["app_id"]: (0, 1), another["app_id"]: (0, 1), untouched["app_id"]: (0, 0)}
    accepted(store.ask("POST", f"/{app['app_id']}/regenerate-token"))
    platform.call("auth.apps.rotate_secret", app_id=another["app_id"])      # an operator
    assert set(flags(store).values()) == {(0, 0)}


def test_a_maker_whose_credentials_were_exchanged_before_is_named_without_need(store):
    helper = store.member("apps__manage_apps")
    app = helper.make()
    accepted(store.ask("POST", f"/{app['app_id']}/rotate-secret"))
    accepted(store.ask("POST", f"/{app['app_id']}/regenerate-token"))
    [named] = accepted(removed(store, helper))["custom_apps"]
    assert (named["app_id"], named["rotation_due"]) == (app["app_id"], 0)
    assert flags(store) == {app["app_id"]: (1, 0)}


# ---- a member is removed at the same moment --------------------------------------------------------------------------

LOCKS = {
    "create": "select from auth.store where store_id = %(store_id)s for update",
    "scopes": "select from auth.app where app_id = %(app_id)s for update",
    "token": "select from auth.installation where installation_id = %(installation_id)s for update",
    "secret": "select from auth.app where app_id = %(app_id)s for update",
    "direct install": "select from auth.store where store_id = %(store_id)s for update",
    "consent": "select from auth.store where store_id = %(store_id)s for update",
    "code": "select from auth.store where store_id = %(store_id)s for update",
}


class Making:
    """A helper about to make a credential by the member's right, and what was made by it."""

    def __init__(self, platform, store, route):
        self.platform, self.store, self.route = platform, store, route
        self.helper = store.member("apps__manage_apps", "apps__install_apps")
        self.app = store.make() if route in ("scopes", "token", "secret") else {"app_id": 0, "installation_id": 0}
        self.embedded = store.account.make_app(app_url="https://app.example/embed")
        platform.call("auth.installations.create", app_id=self.embedded["app_id"], store_id=store.store_id)
        self.own = self.helper.account.make_app()
        if route in ("consent", "code"):
            self.install = Install(platform, self.helper.account)
            self.install.store_id = store.store_id
            self.code = self.install.code() if route == "code" else self.install.ask() and None

    def ask(self):
        helper, path = self.helper, f"/{self.app['app_id']}"
        headers, embed = {"x-auth-token": helper.account.token}, {"app_id": self.embedded["app_id"], "store_id": self.store.store_id}
        return {
            "create": lambda: helper.ask("POST", "", {"store_id": self.store.store_id, "name": "Late", "scopes": ["read:store"]}),
            "scopes": lambda: helper.ask("PATCH", path, {"scopes": ["read:store", "read:customers"]}),
            "token": lambda: helper.ask("POST", f"{path}/regenerate-token"),
            "secret": lambda: helper.ask("POST", f"{path}/rotate-secret"),
            "direct install": lambda: self.platform.post(
                "/api/apps/installations/direct-install", {"store_id": self.store.store_id, "app_id": self.own["app_id"]},
                headers=headers),
            "consent": lambda: self.install.browser.submit("install"),
            "code": lambda: self.install.exchange(self.code),
            "session token": lambda: self.platform.post(embedded.TOKEN, embed, headers=headers),
            "embed params": lambda: self.platform.get(embedded.EMBED, params=embed, headers=headers),
        }[self.route]()


@pytest.mark.parametrize("route", list(LOCKS))
def test_a_removal_waits_for_what_is_being_made(platform, store, route):
    """... and so names it: nothing comes to be behind its answer."""
    making = Making(platform, store, route)
    with transaction(platform) as cursor, concurrent.futures.ThreadPoolExecutor(2) as pool:
        cursor.execute(LOCKS[route], {**making.app, "store_id": store.store_id})
        made = pool.submit(making.ask)
        wait_for(platform, 1)
        gone = pool.submit(removed, store, making.helper)
        wait_for(platform, 2)
        assert not gone.done()
        cursor.connection.rollback()
        made, named = made.result(), accepted(gone.result())["custom_apps"]
    assert made.status_code in (200, 201, 302, 303), made.text
    if route in ("create", "token", "secret"):
        assert [(one["app_id"], one["rotation_due"]) for one in named] == [(made.json()["data"]["app_id"], 1)]
    if route == "consent":
        assert making.install.exchange(redirected(made)[1]["code"]).status_code == 400


@pytest.mark.parametrize("route", [*LOCKS, "session token", "embed params"])
def test_nothing_is_made_by_a_right_that_is_being_taken_away(platform, store, route):
    making = Making(platform, store, route)
    with transaction(platform) as cursor, concurrent.futures.ThreadPoolExecutor(1) as pool:
        cursor.execute("delete from auth.store_member where store_id = %s and account_id = %s",
                       (store.store_id, making.helper.account.account_id))
        answer = pool.submit(making.ask)
        wait_for(platform, 1)
        cursor.connection.commit()
        answer = answer.result()
    assert answer.status_code in ((400,) if route == "code" else (404,)), answer.text
    assert [app["app_id"] for app in store.list()["data"]] == ([making.app["app_id"]] if making.app["app_id"] else [])
    assert platform.postgres.rows("select granted_scopes from auth.installation where installation_id = %s",
                                  (making.app["installation_id"],)) in ([], [("read:store",)])

"""The marketplace and the dashboard's lists of one's own apps (contract A.7 rows 107, 108, 110): what is shown to whom and what
never is, search in any script, what shows from which moment on; reviews, their order and their races."""

import concurrent.futures
import json
import random
import unicodedata
import uuid

import pytest

from .client import is_error
from .shop import PASSWORD, Owner
from .test_developer_apps import CREATE, TIME, Developer, told, unique, until

MARKET, MINE, DEVELOPMENT, QUEUE = "/api/apps/marketplace", "/api/apps", "/api/apps/development", "/api/apps/review"
LISTED = ["app_id", "app_type", "name", "slug", "icon", "short_description", "developer_name", "category", "pricing_type", "pricing_amount",
          "created_at", "updated_at"]
SHOWN = ["app_id", "app_type", "name", "slug", "icon", "screenshots", "description", "short_description", "homepage_url", "requested_scopes",
         "developer_name", "developer_email", "pricing_type", "pricing_amount", "category", "is_listed", "is_active", "created_at", "updated_at"]
OWN = ["app_id", "app_type", "name", "slug", "icon", "short_description", "category", "is_listed", "is_active", "review_status", "is_approved",
       "created_at", "updated_at"]
VERSION = ["app_id", "version", "status", "message", "submitted_at", "decided_at"]
LETTERS = "কখগঘচছজঝটঠডঢণতথদধনপফবভমরলশষসহ"


def dashboard_token(platform, account):
    answer = platform.post("/api/auth/login", {"email": account.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return {"x-auth-token": answer.json()["data"]["token"]}


class Person(Developer):
    """One who has signed in as a developer, and to the dashboard."""

    def __init__(self, platform):
        super().__init__(platform)
        self.dashboard = dashboard_token(platform, self)

    def look_for(self, path, gateway=1, **query):
        return self.platform.get(path, headers=self.dashboard, params=query or None, gateway=gateway)

    def found(self, path=MARKET, gateway=1, **query):
        answer = self.look_for(path, gateway, **query)
        assert answer.status_code == 200 and set(answer.json()) == {"data", "status"}, answer.text
        assert list(answer.json()["data"]) == ["items", "page", "limit", "total", "totalPages"]
        return answer.json()["data"]

    def ids(self, path=MARKET, gateway=1, **query):
        data = self.found(path, gateway, **query)
        ids = [item["app_id"] for item in data["items"]]
        assert data["total"] >= len(ids) == len(set(ids))
        return ids

    def publish(self, **fields):
        app_id = self.make(**fields)["app_id"]
        self.switch(app_id, "listing", True)
        return app_id

    def switch(self, app_id, path, value):
        body = {"is_listed" if path == "listing" else "is_active": value}
        assert self.ask("PATCH", f"/{app_id}/{path}", body).status_code == 200

    def submit(self, app_id):
        return told(self.ask("POST", f"/{app_id}/submit-for-review"), "App submitted for review")


class Admin(Owner):
    """A platform admin who reviews."""

    def __init__(self, platform):
        super().__init__(platform, is_admin=True)
        self.dashboard = dashboard_token(platform, self)

    def review(self, app_id, action, version, message=None):
        body = {"action": action, "version": version, **({"message": message} if message else {})}
        return self.platform.post(f"/api/apps/{app_id}/review", body, headers=self.dashboard)

    def decide(self, *arguments):
        answer = self.review(*arguments)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def see(self, path, **query):
        answer = self.platform.get(path, headers=self.dashboard, params=query or None)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@pytest.fixture(scope="module")
def person(platform):
    return Person(platform)


@pytest.fixture(scope="module")
def stranger(platform):
    return Person(platform)


@pytest.fixture(scope="module")
def admin(platform):
    return Admin(platform)


def bangla(length=8):
    """A word that no other test has."""
    return "".join(random.choice(LETTERS) for _ in range(length))


# ---- what is shown ---------------------------------------------------------------------------------------------------


def test_the_marketplace(person, stranger):
    category = unique("category")
    app_id = person.publish(**{**CREATE, "slug": unique(), "category": category})
    data = stranger.found(category=category)
    [item] = data.pop("items")
    assert data == {"page": 1, "limit": 20, "total": 1, "totalPages": 1}
    assert list(item) == LISTED and TIME.match(item["created_at"]) and TIME.match(item["updated_at"])
    assert {name: item[name] for name in LISTED if name in CREATE and name not in ("slug", "category")} == \
        {name: CREATE[name] for name in LISTED if name in CREATE and name not in ("slug", "category")}
    assert (item["app_id"], item["app_type"], item["category"]) == (app_id, "platform", category)


def test_one_app(person, stranger):
    app_id = person.publish(**{**CREATE, "slug": unique()})
    for who in (person, stranger):
        answer = who.look_for(f"/api/apps/{app_id}")
        assert answer.status_code == 200 and set(answer.json()) == {"data", "status"}, answer.text
        app = answer.json()["data"]
        assert list(app) == SHOWN and TIME.match(app["created_at"]) and TIME.match(app["updated_at"])
        same = [name for name in SHOWN if name in CREATE and name != "slug"]
        assert {name: app[name] for name in same} == {name: CREATE[name] for name in same}
        assert (app["app_id"], app["is_listed"], app["is_active"]) == (app_id, 1, 1) and type(app["is_listed"]) is int


def test_what_is_private_is_in_no_answer(person, stranger):
    category, secret = unique("category"), uuid.uuid4().hex
    made = person.make(category=category, metadata={"note": secret}, app_url=f"https://{secret}.example/", setup_url=f"https://{secret}.example/",
                       webhook_url=f"https://{secret}.example/hooks", webhook_receive_url=f"https://{secret}.example/events",
                       redirect_urls=[f"https://{secret}.example/callback"], webhook_topics=["order.created"])
    person.switch(made["app_id"], "listing", True)
    texts = [stranger.look_for(MARKET, category=category).text, stranger.look_for(f"/api/apps/{made['app_id']}").text,
             person.look_for(MINE, category=category).text]
    for text in texts:
        assert str(made["app_id"]) in text
        for private in (secret, made["clientId"], made["clientSecret"], made["sessionSigningKey"], "fee_payer", "created_by", person.email):
            assert private not in text


def test_who_is_shown_nothing(platform, person, stranger):
    hidden = person.make()["app_id"]
    assert person.look_for(f"/api/apps/{hidden}").status_code == 200
    answers = [stranger.look_for(f"/api/apps/{app_id}") for app_id in (hidden, 999_999_999)]
    for answer in answers:
        is_error(answer, 404, "app_not_found")
    assert answers[0].text == answers[1].text
    for app_id in ("0", "-1", "abc", "9223372036854775808"):
        is_error(stranger.look_for(f"/api/apps/{app_id}"), 404, "not_found")
    for path in (MARKET, MINE, DEVELOPMENT, f"/api/apps/{hidden}"):
        is_error(platform.get(path), 401, "missing_token")
        is_error(platform.get(path, headers={"Authorization": "Bearer nonsense"}), 401, "invalid_token")
        is_error(platform.get(path, headers=person.headers), 401, "missing_auth")


def test_custom_apps_are_in_no_marketplace(platform, person):
    word = bangla()
    made = platform.post(f"/api/apps/custom?store_id={person.open_store()}", {"name": word, "scopes": ["read:orders"]}, headers=person.dashboard)
    assert made.status_code == 201, made.text
    assert person.ids(search=word) == person.ids(MINE, search=word) == []
    is_error(person.look_for(f"/api/apps/{made.json()['data']['app_id']}"), 404, "app_not_found")


def test_pages(person, stranger):
    category = unique("category")
    apps = [person.publish(category=category) for _ in range(5)]
    pages = [stranger.found(category=category, page=page, limit=2) for page in (1, 2, 3, 4)]
    assert [[item["app_id"] for item in page["items"]] for page in pages] == [apps[4:2:-1], apps[2:0:-1], apps[:1], []]
    assert all((page["total"], page["totalPages"], page["limit"]) == (5, 3, 2) for page in pages)
    assert [page["page"] for page in pages] == [1, 2, 3, 4]
    for limit, clamped in ((0, 1), (-3, 1), (101, 100), ("many", 20)):
        assert stranger.found(limit=limit)["limit"] == clamped
    assert stranger.found(page=10**9)["items"] == [] and stranger.found()["total"] >= 5
    assert stranger.ids()[0] >= apps[-1]                       # without a filter the newest come first as well
    assert stranger.found(category=unique())["totalPages"] == 0
    for path in (MARKET, MINE, DEVELOPMENT):
        for query in ({"category": "c" * 65}, {"search": "ক" * 101}):
            is_error(stranger.look_for(path, **query), 400, "validation_error")
    assert stranger.ids(search="", category="", limit=1) == stranger.ids(limit=1)          # a form in which nothing was chosen
    assert stranger.ids(search="ক" * 100) == []


# ---- search ----------------------------------------------------------------------------------------------------------


def test_search_in_any_script(person, stranger):
    word, latin = bangla(), uuid.uuid4().hex[:12]
    app_id = person.publish(name=f"{word} {latin.upper()} বাংলা অ্যাপ 🛒 100% O'Neil \\o/", short_description=f"Kürzel-{latin[::-1]}",
                            developer_name=f"দোকান {word[::-1]}")
    for text in (word, word[1:5], latin, latin.upper(), latin[3:9], f"{word} {latin}", f"{latin} বাংলা", f"{latin.upper()} বাংলা অ্যাপ 🛒 100% O'NEIL \\O/",
                 f"kürzel-{latin[::-1]}", f"KÜRZEL-{latin[::-1]}", word[::-1], f"দোকান {word[::-1]}"):
        assert stranger.ids(search=text) == person.ids(MINE, search=text) == [app_id], text
    for text in (word + "ক", f"{latin}x", f"{latin}  বাংলা", f"{latin}%", f"{latin[:5]}_", "' or 1=1 --" + latin, f"{latin} {word}", f"{latin}' & '", "\\" + latin):
        assert stranger.ids(search=text) == person.ids(MINE, search=text) == [], text
    for text in ("\0", "a\0b", "\u200b", "\n"):
        assert stranger.look_for(MARKET, search=text).status_code in (200, 400)
    for text in ("🛒", "%", "'", "\\", "O'", "🛒 100%", "বা"):      # as short as one sign; others may have it too
        assert stranger.found(search=text)["total"] >= 1, text


def test_letters_that_are_written_in_two_ways(person, stranger):
    """য় is one character or two, é as well: whoever types either finds both."""
    word = bangla()
    composed, decomposed = f"{word} \u09df\u09dc Caf\u00e9", f"{word} \u09af\u09bc\u09a1\u09bc Cafe\u0301"
    assert unicodedata.normalize("NFKC", composed) == unicodedata.normalize("NFKC", decomposed) != composed
    apps = [person.publish(name=name) for name in (composed, decomposed)]
    for text in (composed, decomposed, composed.upper(), decomposed.lower()):
        assert sorted(stranger.ids(search=text)) == sorted(person.ids(MINE, search=text)) == apps


def test_what_is_so_called_comes_first(person, stranger):
    word, category = bangla(), unique("category")
    named = person.publish(name=f"The {word}", category=category)
    told_of = person.publish(name="Something else", short_description=f"better than {word}")
    newest_named = person.publish(name=f"{word} too")
    by_it = person.publish(name="By it", developer_name=word, category=category)
    assert stranger.ids(search=word) == [newest_named, named, by_it, told_of]
    assert [stranger.ids(search=word, page=page, limit=3) for page in (1, 2, 3)] == [[newest_named, named, by_it], [told_of], []]
    assert stranger.ids(search=word, category=category) == [named, by_it]
    assert stranger.found(search=word, limit=3)["total"] == 4 and stranger.found(search=word, limit=3)["totalPages"] == 2


def test_search_follows_changes(person, stranger):
    before, after = bangla(), bangla()
    app_id = person.publish(name=f"Named {before}", short_description="first")
    assert person.ask("PATCH", f"/{app_id}", {"name": f"Named {after}"}).status_code == 200
    assert (stranger.ids(search=before), stranger.ids(search=after)) == ([], [app_id])
    assert person.ask("PATCH", f"/{app_id}", {"short_description": f"once {before}"}).status_code == 200
    assert stranger.ids(search=before) == [app_id]
    assert person.ask("PATCH", f"/{app_id}/settings/developer", {"developer_name": f"{before} Ltd"}).status_code == 200
    assert person.ask("PATCH", f"/{app_id}", {"short_description": None}).status_code == 200
    assert stranger.ids(search=before) == [app_id]


def test_texts_that_mean_harm(person, stranger):
    """They are shown as they are, as JSON; a name is what can be seen of it."""
    word, category = bangla(), "<b>&\"'" + unique()
    markup = f"<script>alert('{word}')</script>&amp;\"\\"
    app_id = person.publish(name=markup, developer_name=markup, short_description=markup + "\n\t\x7f\u202e", description=markup, category=category)
    for answer in (stranger.look_for(MARKET, search=markup), stranger.look_for(MARKET, category=category), stranger.look_for(f"/api/apps/{app_id}")):
        assert answer.headers["Content-Type"].startswith("application/json")
        shown = answer.json()["data"]
        shown = shown["items"][0] if "items" in shown else shown
        assert (shown["app_id"], shown["name"], shown["developer_name"], shown["category"]) == (app_id, markup, markup, category)
        assert shown["short_description"] == markup + "\n\t\x7f\u202e"
    for name in ("a\nb c", "a\tb c", "abc\x7f", "abc\u202e", "\u200b\u200b\u200b", "   ", "\u2066abc"):
        is_error(person.ask("PATCH", f"/{app_id}", {"name": name}), 400, "VALIDATION_ERROR")
    assert stranger.ids(search=word) == [app_id]
    many = "\ufdfa"                                                                           # one sign that is read as eighteen
    assert person.ask("PATCH", f"/{app_id}", {"short_description": many * 500}).status_code == 200
    for text in (word, many * 3, unicodedata.normalize("NFKC", many)):
        assert app_id in stranger.ids(search=text, category=category)


def test_the_slug_of_a_deleted_app_stays_taken(person, stranger):
    """Whoever followed its address must not come to somebody else's app."""
    slug = unique()
    app_id = person.publish(slug=slug)
    assert person.ask("DELETE", f"/{app_id}").status_code == 200
    for who in (person, stranger):
        is_error(who.ask("POST", "", {"name": "Another", "slug": slug, "redirect_urls": ["https://app.example/cb"],
                                      "requested_scopes": ["read:orders"]}), 409, "SLUG_EXISTS")


# ---- one's own -------------------------------------------------------------------------------------------------------


def test_ones_own_apps(platform):
    me, other = Person(platform), Person(platform)
    word, category = bangla(), unique("category")
    first = me.make(name=f"First {word}", category=category, icon="https://cdn.example.com/1.png", short_description="first of all")["app_id"]
    listed = me.publish(name="Second", category=category)
    off = me.make(name=f"Third {word}")["app_id"]
    me.switch(off, "status", False)
    gone = me.make(name=f"Fourth {word}")["app_id"]
    assert me.ids(MINE)[0] == gone
    assert me.ask("DELETE", f"/{gone}").status_code == 200
    data = me.found(MINE)
    assert {name: data[name] for name in data if name != "items"} == {"page": 1, "limit": 50, "total": 3, "totalPages": 1}
    assert [item["app_id"] for item in data["items"]] == [off, listed, first]
    assert all(list(item) == OWN and TIME.match(item["created_at"]) for item in data["items"])
    item = data["items"][2]
    assert (item["name"], item["icon"], item["short_description"], item["category"]) == \
        (f"First {word}", "https://cdn.example.com/1.png", "first of all", category)
    assert [(item["is_listed"], item["is_active"], item["review_status"], item["is_approved"]) for item in data["items"]] == \
        [(0, 0, "draft", 0), (1, 1, "draft", 0), (0, 1, "draft", 0)]
    assert me.ids(DEVELOPMENT) == [off, first]
    assert me.ids(MINE, search=word) == [off, first] and me.ids(MINE, category=category) == [listed, first]
    assert me.ids(MINE, search=word, category=category) == me.ids(DEVELOPMENT, category=category) == [first]
    assert [me.ids(MINE, page=page, limit=2) for page in (1, 2, 3)] == [[off, listed], [first], []]
    assert me.found(MINE, limit=1000)["limit"] == 250 and other.ids(MINE) == other.ids(DEVELOPMENT) == other.ids(MINE, search=word) == []


def test_an_operators_app_is_there_too(person, stranger):
    """It is told by auth, a moment later."""
    app_id, word = person.make_app()["app_id"], bangla()
    until(lambda: person.ids(MINE)[:1] == [app_id])
    assert person.ask("PATCH", f"/{app_id}", {"name": f"App {word}", "category": word}).status_code == 200
    assert person.ids(DEVELOPMENT, search=word) == [app_id] and stranger.ids(search=word) == []
    person.platform.call("auth.apps.set_listed", app_id=app_id, is_listed=True)
    until(lambda: stranger.ids(category=word) == [app_id])
    person.platform.call("auth.apps.set_status", app_id=app_id, is_active=False)
    until(lambda: stranger.ids(category=word) == [])


# ---- from which moment on --------------------------------------------------------------------------------------------


def test_two_gateways_and_nothing_is_lost(make_platform):
    """What a developer does shows everywhere from the answer on; what an operator does also after a crash."""
    platform = make_platform(gateways=2)
    me, other = Person(platform), Person(platform)
    word = bangla()
    app_id = me.make(name=f"App {word}", category=word)["app_id"]

    def seen():
        """By search, by category, among all, and by itself; through both gateways."""
        looks = {(app_id in other.ids(search=word, gateway=gateway), app_id in other.ids(category=word, gateway=gateway),
                  app_id in other.ids(gateway=gateway), other.look_for(f"/api/apps/{app_id}", gateway).status_code == 200)
                 for gateway in (1, 2)}
        assert looks in ({(True,) * 4}, {(False,) * 4}), looks
        return looks == {(True,) * 4}

    assert not seen()
    for _ in range(5):
        for path, value, shown in (("listing", True, True), ("status", False, False), ("status", True, True), ("listing", False, False)):
            me.switch(app_id, path, value)
            assert seen() == shown
    platform["developer-apps-1"].kill()
    platform.call("auth.apps.set_listed", app_id=app_id, is_listed=True)
    platform["auth-1"].kill()
    for name in ("auth-1", "developer-apps-1"):
        platform[name].start()
    platform.wait_ready()
    until(lambda: app_id in other.ids(category=word))
    assert seen()
    rows = platform.postgres.rows
    until(lambda: rows("select count(*) from auth.app_untold") == [(0,)])
    assert rows("select version from developer_apps.listing where app_id = %s", (app_id,)) == rows("select version from auth.app where app_id = %s", (app_id,))
    assert me.ask("DELETE", f"/{app_id}").status_code == 200
    assert not seen() and me.look_for(f"/api/apps/{app_id}").status_code == 404


def test_the_operations_behind_it(platform, person, stranger):
    """As an operator calls them: what is older than what is kept changes nothing."""
    word = bangla()
    app_id = person.publish(name=f"App {word}")
    [kept] = platform.call("auth.apps.shown", app_ids=[app_id, 999_999_999])["apps"]
    assert (kept["app_id"], kept["account_id"], kept["is_listed"], kept["is_deleted"]) == (app_id, person.account_id, 1, 0)
    for version, learned in ((kept["version"], 0), (kept["version"] - 1, 0), (kept["version"] + 1000, 1)):
        apps = json.dumps([{**kept, "version": version, "name": f"Told {word}", "is_listed": version > kept["version"]}])
        assert platform.call("developer-apps.apps.learn", apps=apps) == {"learned": learned}
        assert stranger.found(search=word)["items"][0]["name"] == (f"Told {word}" if learned else f"App {word}")
    assert platform.call("developer-apps.apps.learn", apps="[]") == {"learned": 0}

    app_id = person.make()["app_id"]
    for number, approved, after in ((10**15, True, 1), (10**15 - 1, False, 1), (10**15, False, 1), (10**15 + 1, False, 0)):
        assert platform.call("auth.apps.reviewed", app_id=app_id, decision_number=number, is_approved=approved) == {"app_id": app_id}
        assert platform.call("auth.apps.shown", app_ids=[app_id])["apps"][0]["is_approved"] == after


def test_a_new_app_told_by_many_at_once(platform, person):
    """One of them makes its row, and none of the others is refused for being second in the wrong index."""
    known = {**platform.call("auth.apps.shown", app_ids=[person.make()["app_id"]])["apps"][0], "is_deleted": True}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for app_id in range(10**15, 10**15 + 60):
            apps = json.dumps([{**known, "app_id": app_id, "creation_id": str(uuid.uuid4())}])
            told = [pool.submit(platform.call, "developer-apps.apps.learn", apps=apps) for _ in range(8)]
            assert sorted(job.result()["learned"] for job in told) == [0] * 7 + [1]
    platform.postgres.rows("delete from developer_apps.listing where app_id >= %s", (10**15,))


# ---- reviews ---------------------------------------------------------------------------------------------------------


def audit(platform, app_id):
    """What was done to an app's versions, when nothing is on its way to the audit log any more."""
    until(lambda: not platform.postgres.rows("select 1 from developer_apps.outbox"))
    return platform.postgres.rows("select action, target_id, actor_account_id from auth.audit where app_id = %s and target = 'app_version' "
                                  "order by audit_id", (app_id,))


def test_a_review_from_end_to_end(platform, person, admin):
    app_id = person.make(name="Reviewed", category="first")["app_id"]
    data = person.submit(app_id)
    assert list(data) == VERSION and TIME.match(data.pop("submitted_at"))
    assert data == {"app_id": app_id, "version": 1, "status": "submitted", "message": None, "decided_at": None}
    assert person.submit(app_id)["version"] == 1                                              # nothing has changed
    assert person.ask("PATCH", f"/{app_id}", {"category": "second", "metadata": {"not": "reviewed"}}).status_code == 200
    from_dashboard = platform.post(f"/api/apps/{app_id}/submit-for-review", headers=person.dashboard)
    assert from_dashboard.status_code == 200 and from_dashboard.json()["data"]["version"] == 2
    is_error(admin.review(app_id, "approve", 1), 409, "conflict")                             # not what is there now
    queued = admin.see(QUEUE, limit=100)
    assert list(queued) == ["items", "page", "limit", "total", "totalPages"]
    [item] = [item for item in queued["items"] if item["app_id"] == app_id]
    assert list(item) == ["app_id", "version", "status", "name", "slug", "icon", "developer_name", "is_approved", "submitted_at"]
    assert (item["version"], item["status"], item["name"], item["is_approved"]) == (2, "submitted", "Reviewed", 0)
    shown = admin.see(f"/api/apps/{app_id}/review")
    assert list(shown) == [*VERSION, "against", "changes", "manifest"] and shown["against"] is None
    changes = {change["field"]: (change["before"], change["after"]) for change in shown["changes"]}
    assert changes["category"] == (None, "second") and changes["requested_scopes"] == (None, ["read:orders"]) and "icon" not in changes
    assert set(shown["manifest"]) == {*CREATE, "slug"} - {"metadata"} and shown["manifest"]["category"] == "second"

    assert admin.decide(app_id, "move", 2)["status"] == "in_review"
    assert person.found(MINE)["items"][0]["review_status"] == "in_review"
    is_error(admin.review(app_id, "reject", 2), 400, "validation_error")
    rejected = admin.decide(app_id, "reject", 2, "বর্ণনা লিখুন")
    assert (rejected["status"], rejected["message"]) == ("rejected", "বর্ণনা লিখুন") and TIME.match(rejected["decided_at"])
    is_error(admin.review(app_id, "move", 2), 409, "conflict")
    assert person.found(MINE)["items"][0]["review_status"] == "rejected"
    assert app_id not in [item["app_id"] for item in admin.see(QUEUE, limit=100)["items"]]

    assert person.ask("PATCH", f"/{app_id}", {"description": "Says what it does", "category": None}).status_code == 200
    assert person.submit(app_id)["version"] == 3
    approved = admin.decide(app_id, "approve", 3)
    assert (approved["status"], approved["message"]) == ("approved", None) and admin.decide(app_id, "approve", 3) == approved
    assert person.submit(app_id)["version"] == 3
    item = person.found(MINE)["items"][0]
    assert (item["app_id"], item["review_status"], item["is_approved"]) == (app_id, "approved", 1)
    assert audit(platform, app_id) == [(f"app_version.{action}", version, who.account_id) for action, version, who in (
        ("submitted", 1, person), ("withdrawn", 1, person), ("submitted", 2, person), ("taken_into_review", 2, admin), ("rejected", 2, admin),
        ("submitted", 3, person), ("approved", 3, admin))]

    versions = told(person.ask("GET", f"/{app_id}/versions"), "Versions fetched")
    assert [(item["version"], item["status"]) for item in versions["items"]] == [(3, "approved"), (2, "rejected")] and versions["total"] == 2
    assert all(list(item) == VERSION for item in versions["items"])
    assert [item["version"] for item in person.see(f"/{app_id}/versions", page=2, limit=1)["items"]] == [2]
    third = told(person.ask("GET", f"/{app_id}/versions/3"), "Version fetched")
    assert third["against"] == 2 and third["changes"] == [{"field": "category", "before": "second", "after": None},
                                                          {"field": "description", "before": None, "after": "Says what it does"}]
    assert person.see(f"/{app_id}/versions/3", against=3)["changes"] == []
    back = person.see(f"/{app_id}/versions/2", against=3)
    assert back["against"] == 3 and back["changes"][0] == {"field": "category", "before": None, "after": "second"}
    is_error(person.ask("GET", f"/{app_id}/versions/3", against=1), 400, "VALIDATION_ERROR")
    is_error(person.ask("GET", f"/{app_id}/versions/1"), 404, "NOT_FOUND")

    assert person.ask("PATCH", f"/{app_id}", {"name": "Renamed"}).status_code == 200
    assert person.submit(app_id)["version"] == 4
    assert person.found(MINE)["items"][0]["is_approved"] == 1                                 # the third still is
    shown = admin.see(f"/api/apps/{app_id}/review")
    assert shown["against"] == 3 and shown["changes"] == [{"field": "name", "before": "Reviewed", "after": "Renamed"}]
    assert admin.decide(app_id, "reject", 4, "No")["status"] == "rejected"
    assert person.found(MINE)["items"][0]["is_approved"] == 1
    assert admin.decide(app_id, "reject", 3, "Not any more")["status"] == "rejected"          # the approval is taken back
    item = person.found(MINE)["items"][0]
    assert (item["review_status"], item["is_approved"]) == ("rejected", 0)
    assert admin.decide(app_id, "approve", 4)["status"] == "approved" and person.found(MINE)["items"][0]["is_approved"] == 1


def test_who_may_review_and_submit(platform, person, stranger, admin):
    app_id = person.make()["app_id"]
    submit, review = f"/api/apps/{app_id}/submit-for-review", f"/api/apps/{app_id}/review"
    for answer in (platform.post(submit, headers=stranger.dashboard), platform.post("/api/apps/999999999/submit-for-review", headers=person.dashboard)):
        is_error(answer, 404, "app_not_found")
    for path in (f"/{app_id}/submit-for-review", "/999999999/submit-for-review"):
        is_error(stranger.ask("POST", path), 404, "APP_NOT_FOUND")
    for path in (f"/{app_id}/versions", f"/{app_id}/versions/1"):
        is_error(stranger.ask("GET", path), 404, "APP_NOT_FOUND")
    is_error(admin.platform.get(review, headers=admin.dashboard), 404, "app_not_found")       # never submitted
    is_error(admin.review(app_id, "approve", 1), 409, "conflict")
    is_error(admin.review(999_999_999, "approve", 1), 404, "app_not_found")
    told(person.ask("POST", f"/{app_id}/members", {"email": stranger.email, "role": "viewer"}), "Member added", 201)
    is_error(platform.post(submit, headers=stranger.dashboard), 403, "forbidden")
    is_error(stranger.ask("POST", f"/{app_id}/submit-for-review"), 403, "FORBIDDEN")
    assert stranger.see(f"/{app_id}/versions")["items"] == []
    person.submit(app_id)
    body = {"action": "approve", "version": 1}
    for headers in (person.dashboard, stranger.dashboard):
        is_error(platform.get(QUEUE, headers=headers), 403, "forbidden")
        is_error(platform.get(review, headers=headers), 403, "forbidden")
        is_error(platform.post(review, body, headers=headers), 403, "forbidden")
    for path in (QUEUE, review):
        is_error(platform.get(path), 401, "missing_token")
    is_error(platform.post(submit), 401, "missing_token")
    is_error(platform.post(review, body, headers=person.headers), 401, "missing_auth")
    for wrong in ({}, {"action": "approve"}, {"action": "bless", "version": 1}, {"action": "approve", "version": 0},
                  {"action": "reject", "version": 1, "message": ""}, {"action": "reject", "version": 1, "message": "x" * 2001}, {"version": 1}):
        is_error(platform.post(review, wrong, headers=admin.dashboard), 400, "validation_error")
    assert person.see(f"/{app_id}/versions")["items"][0]["status"] == "submitted"
    assert person.ask("DELETE", f"/{app_id}").status_code == 200
    assert app_id not in [item["app_id"] for item in admin.see(QUEUE, limit=100)["items"]]
    is_error(admin.review(app_id, "approve", 1), 404, "app_not_found")
    is_error(person.ask("POST", f"/{app_id}/submit-for-review"), 404, "APP_NOT_FOUND")


def test_metadata_is_no_part_of_it(person):
    """It may hold what no version could keep."""
    app_id = person.make()["app_id"]
    assert person.submit(app_id)["version"] == 1
    for metadata in ({"text": "a\0b"}, {"version": "2.0"}):
        assert person.ask("PATCH", f"/{app_id}", {"metadata": metadata}).status_code in (200, 400)
        assert person.submit(app_id)["version"] == 1
    assert "metadata" not in person.see(f"/{app_id}/versions/1")["manifest"]


def test_who_is_a_developer_no_more(platform):
    leaver = Person(platform)
    app_id = leaver.make()["app_id"]
    leaver.submit(app_id)
    platform.postgres.rows("update auth.account set is_developer = false where account_id = %s", (leaver.account_id,))
    platform.call("auth.developer_keys.forget")         # the gateways ask again
    for method, path in (("POST", "submit-for-review"), ("GET", "versions"), ("GET", "versions/1")):
        is_error(leaver.ask(method, f"/{app_id}/{path}"), 403, "FORBIDDEN")


def test_submissions_at_once(person, platform):
    app_id = person.make()["app_id"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(lambda _: person.submit(app_id)["version"], range(8)))
    assert versions == [1] * 8
    assert platform.postgres.rows("select version, status from developer_apps.review where app_id = %s", (app_id,)) == [(1, "submitted")]


DONE = {"submitted": "submitted", "in_review": "taken_into_review", "approved": "approved", "rejected": "rejected"}


def test_decisions_and_submissions_at_once(person, admin, platform):
    """Nothing is approved but what was looked at; one version waits at most; auth hears of all decisions, in their order."""
    app_id = person.make()["app_id"]
    person.submit(app_id)
    looked_at = {}

    def change(number):
        person.ask("PATCH", f"/{app_id}", {"short_description": f"number {number}"})
        person.submit(app_id)

    def decide(number):
        shown = admin.see(f"/api/apps/{app_id}/review")
        answer = admin.review(app_id, ("approve", "reject", "move")[number % 3], shown["version"], "as it is")
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 200 and number % 3 == 0:
            looked_at[shown["version"]] = shown["manifest"]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(job, number) for number in range(30) for job in (change, decide)]
        for job in jobs:
            job.result()
    rows = platform.postgres.rows
    kept = rows("select version, status, manifest from developer_apps.review where app_id = %s order by version", (app_id,))
    assert sum(status in ("submitted", "in_review") for _, status, _ in kept) <= 1
    for version, status, manifest in kept:
        assert status != "approved" or looked_at[version] == manifest
    deeds = audit(platform, app_id)
    for version, status, _ in kept:
        assert [action for action, number, _ in deeds if number == version][-1] == f"app_version.{DONE[status]}"
    submitted = [version for action, version, _ in deeds if action == "app_version.submitted"]
    assert submitted == list(range(1, len(submitted) + 1))
    assert [version for action, version, _ in deeds if action == "app_version.withdrawn"] == [
        version for version in submitted if version not in [number for number, *_ in kept]]
    assert all(who == (person if action in ("app_version.submitted", "app_version.withdrawn") else admin).account_id for action, _, who in deeds)
    [(approved, told_auth, number, due)] = rows("select approved_version is not null, is_approved, decision_number, decision_due from "
                                                "developer_apps.listing where app_id = %s", (app_id,))
    assert due is None and number == len([1 for _, _, who in deeds if who == admin.account_id])
    assert (approved, number) == rows("select is_approved, decision_number from auth.app where app_id = %s", (app_id,))[0] and approved == told_auth


def test_a_review_is_required(make_platform):
    """Then it is found, seen and installed by others from the approval on, and no longer once that is taken back."""
    platform = make_platform(gateways=2, settings={"SX_REVIEW_REQUIRED": 1})
    me, other, admin = Person(platform), Person(platform), Admin(platform)
    word, store = bangla(), other.open_store()
    app_id, never = (me.publish(name=f"App {word}", category=word) for _ in range(2))

    def seen(gateway):
        looks = (app_id in other.ids(search=word, gateway=gateway), app_id in other.ids(category=word, gateway=gateway),
                 app_id in other.ids(gateway=gateway), other.look_for(f"/api/apps/{app_id}", gateway).status_code == 200)
        assert looks in ((True,) * 4, (False,) * 4), looks
        assert never not in other.ids(gateway=gateway)
        return looks[0]

    def install():
        return platform.post("/api/apps/installations/direct-install", {"store_id": store, "app_id": app_id}, headers=other.dashboard).status_code

    assert [seen(1), seen(2), install()] == [False, False, 404]
    assert me.look_for(f"/api/apps/{app_id}").json()["data"]["is_listed"] == 1                # its own developer sees it
    version = me.submit(app_id)["version"]
    assert [seen(1), seen(2)] == [False, False]
    for _ in range(3):
        assert admin.decide(app_id, "approve", version)["status"] == "approved"
        assert [seen(1), seen(2)] == [True, True]
        me.switch(app_id, "listing", False)
        assert [seen(1), seen(2)] == [False, False]
        me.switch(app_id, "listing", True)
        assert [seen(1), seen(2)] == [True, True]
        assert admin.decide(app_id, "reject", version, "Not any more")["status"] == "rejected"
        assert [seen(1), seen(2), install()] == [False, False, 404]
    admin.decide(app_id, "approve", version)
    assert install() == 201

    # auth is away: the decision is kept, and brought there later.
    platform["auth-1"].pause()
    try:
        answer = admin.review(app_id, "reject", version, "While nobody listens")
    finally:
        platform["auth-1"].resume()
    platform.wait_ready()
    if answer.status_code != 200:                             # who asks could not be looked up either
        assert answer.status_code in (503, 504), answer.text
        admin.decide(app_id, "reject", version, "While nobody listens")
    rows = platform.postgres.rows
    rows("update developer_apps.listing set decision_due = decision_due - interval '2 minutes'")
    until(lambda: rows("select count(*) from developer_apps.listing where decision_due is not null") == [(0,)])
    until(lambda: app_id not in other.ids(category=word))
    assert [seen(1), seen(2), install()] == [False, False, 404]


def test_what_auth_has_not_heard_of(make_platform):
    """What a kill behind the commit leaves: a decision is told by the actor, and a deed comes again and is kept once."""
    platform = make_platform()
    me, admin, rows = Person(platform), Admin(platform), platform.postgres.rows
    apps = [me.make()["app_id"] for _ in range(5)]
    rows("create function public.keep() returns trigger language plpgsql as $$ begin raise 'not yet'; end $$; "
         "create trigger keep before delete on developer_apps.outbox for each row execute function public.keep()")
    for app_id in apps:
        me.submit(app_id)
    kept = "select count(*), count(distinct app_id) from auth.audit where action = 'app_version.submitted'"
    until(lambda: rows(kept)[0][1] > 0)
    platform["developer-apps-1"].kill()
    rows("drop trigger keep on developer_apps.outbox")
    platform["developer-apps-1"].start()
    until(lambda: not rows("select 1 from developer_apps.outbox"))
    assert rows(kept) == [(5, 5)]

    admin.decide(apps[0], "approve", 1)
    rows("update developer_apps.listing set approved_version = null, decision_number = 7, decision_due = now() - interval '1 minute' "
         "where app_id = %s", (apps[0],))
    until(lambda: rows("select count(*) from developer_apps.listing where decision_due is not null") == [(0,)])
    assert rows("select is_approved, decision_number from auth.app where app_id = %s", (apps[0],)) == [(False, 7)]
    until(lambda: rows("select is_approved from developer_apps.listing where app_id = %s", (apps[0],)) == [(False,)])


def test_a_review_that_is_required_later(make_platform):
    """Apps that are listed already are in nobody's way until then, and what was approved meanwhile is there at once. What has
    installed them goes on."""
    platform = make_platform(gateways=2)
    me, other, admin = Person(platform), Person(platform), Admin(platform)
    word, store = bangla(), other.open_store()
    installed, approved, rejected, waiting = apps = [me.publish(name=f"App {word}", category=word) for _ in range(4)]
    for app_id in (approved, rejected, waiting):
        me.submit(app_id)
    admin.decide(approved, "approve", 1)
    admin.decide(rejected, "reject", 1, "It does nothing")

    def seen():
        looks = {tuple(sorted(look)) for gateway in (1, 2) for look in (
            other.ids(search=word, gateway=gateway), other.ids(category=word, gateway=gateway),
            [app_id for app_id in other.ids(gateway=gateway, limit=100) if app_id in apps],
            [app_id for app_id in apps if other.look_for(f"/api/apps/{app_id}", gateway).status_code == 200])}
        assert len(looks) == 1, looks
        return list(looks.pop())

    def install(app_id):
        return platform.post("/api/apps/installations/direct-install", {"store_id": store, "app_id": app_id}, headers=other.dashboard).status_code

    def require(review):
        for name in ("auth-1", "developer-apps-1"):
            platform[name].environment["SX_REVIEW_REQUIRED"] = str(review)
            platform[name].terminate()
            platform[name].start()
        platform.wait_ready()
        until(lambda: other.look_for(MARKET).status_code == 200)

    assert seen() == apps and install(installed) == 201
    require(1)
    assert seen() == [approved] and [install(app_id) for app_id in (rejected, waiting)] == [404, 404]
    own_store = me.open_store()
    assert platform.post("/api/apps/installations/direct-install", {"store_id": own_store, "app_id": waiting},
                         headers=me.dashboard).status_code == 201                             # its developer's may have it before
    listed = platform.get("/api/apps/installations", headers=other.dashboard, params={"store_id": store}).json()["data"]
    assert [(item["app_id"], item["status"]) for item in listed] == [(installed, "active")]
    assert me.ids(MINE, category=word) == apps[::-1]
    admin.decide(waiting, "approve", 1)
    assert seen() == [approved, waiting] and install(waiting) == 201
    require(0)
    assert seen() == apps and install(rejected) == 201


def test_a_deed_tells_who_and_from_where(person, admin, platform):
    app_id = person.make()["app_id"]
    person.submit(app_id)
    answer = admin.review(app_id, "approve", 1)
    for again in (person.submit(app_id), admin.decide(app_id, "approve", 1)):                 # these do nothing
        assert again["status"] == "approved"
    assert len(audit(platform, app_id)) == 2
    assert platform.postgres.rows("select actor, action, actor_account_id, address, request_id, store_id from auth.audit where app_id = %s and "
                                  "target = 'app_version' order by audit_id desc limit 1", (app_id,)) == [
        ("account", "app_version.approved", admin.account_id, "127.0.0.1", answer.headers["X-Request-Id"], None)]

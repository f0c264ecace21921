"""An app's whole configuration as one document: what GET gives PUT takes, all of it or nothing, and no more than what is different."""

import concurrent.futures
import json
import sys

import jsonschema
import pytest

from .client import is_error
from .operations import DOCUMENT
from .platform import ROOT
from .test_developer_apps import CREATE, GROUPS, SECRET, TIME, Developer, payer, told, unique, until, wanted
from .test_developer_matrix import rows_of

sys.path.append(str(ROOT / "proto"))

from openapi import manifest_schema  # noqa: E402

FIELDS = ["name", "slug", "icon", "screenshots", "description", "short_description", "homepage_url", "app_url", "setup_url", "webhook_url",
          "webhook_receive_url", "webhook_topics", "redirect_urls", "requested_scopes", "developer_name", "developer_email", "pricing_type",
          "pricing_amount", "fee_payer", "category", "metadata"]
REQUIRED = ["name", "redirect_urls", "requested_scopes"]
# What an app is of which nothing more was said.
BARE = {"icon": None, "screenshots": [], "description": None, "short_description": None, "homepage_url": None, "app_url": None, "setup_url": None,
        "webhook_url": None, "webhook_receive_url": None, "webhook_topics": [], "developer_name": None, "developer_email": None,
        "pricing_type": "free", "pricing_amount": 0, "fee_payer": "developer", "category": None, "metadata": None}
SCHEMA = "/api/v1/apps/manifest-schema"


class App:
    def __init__(self, developer, **fields):
        self.developer, self.platform = developer, developer.platform
        self.made = developer.make(**fields)
        self.app_id = self.made["app_id"]

    def get(self):
        return told(self.developer.ask("GET", f"/{self.app_id}/manifest"), "Manifest fetched")

    def tag(self):
        return self.developer.ask("GET", f"/{self.app_id}/manifest").headers["ETag"]

    def put(self, manifest, tag=None, **query):
        headers = {**self.developer.headers, **({"If-Match": tag} if tag else {})}
        return self.platform.request("PUT", f"/api/v1/apps/{self.app_id}/manifest", headers=headers, json_body=manifest, params=query or None)

    def apply(self, manifest, **options):
        return told(self.put(manifest, **options), "Manifest applied")

    def rows(self):
        return rows_of(self.platform, self.app_id)


@pytest.fixture(scope="module")
def developer(platform):
    return Developer(platform)


@pytest.fixture
def app(developer):
    return App(developer, **CREATE, slug=unique("manifest"))


# ---- the document ----------------------------------------------------------------------------------------------------


def test_it_is_the_whole_configuration(app):
    manifest = app.get()
    assert list(manifest) == FIELDS and manifest == {**CREATE, "slug": app.made["slug"]}
    whole = app.developer.see(f"/{app.app_id}")
    assert manifest == {name: whole[name] for name in FIELDS}
    settings = app.developer.see(f"/{app.app_id}/settings")
    assert all(settings[group][name] == manifest[name] for group, names in GROUPS.items() for name in names)


def test_no_secret_is_in_it(app):
    app.developer.ask("POST", f"/{app.app_id}/rotate-secret")
    text = app.developer.ask("GET", f"/{app.app_id}/manifest").text + app.put(app.get()).text
    assert "sx_secret_" not in text and "sx_app_" not in text and app.made["sessionSigningKey"] not in text and app.made["clientSecret"] not in text
    assert SECRET.match(app.made["clientSecret"])


def test_the_published_schema(app, platform):
    answer = platform.get(SCHEMA)
    assert answer.status_code == 200 and answer.headers["Content-Type"].split(";")[0] == "application/schema+json"
    schema = answer.json()
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    manifest = app.get()
    assert list(check.iter_errors(manifest)) == [] and list(check.iter_errors({"$schema": SCHEMA, **manifest})) == []
    for bad in ({**manifest, "colour": "red"}, {**manifest, "slug": "Upper"}, {**manifest, "screenshots": ["https://a.example/"] * 11},
                {**manifest, "fee_payer": "nobody"}, {name: value for name, value in manifest.items() if name != "name"}, []):
        assert list(check.iter_errors(bad)), bad
    tag = answer.headers["ETag"]
    assert platform.get(SCHEMA, headers={"If-None-Match": tag}).status_code == 304
    is_error(platform.post(SCHEMA, {}), 405, "METHOD_NOT_ALLOWED")


def test_the_schema_is_that_of_the_contract(platform):
    """Every field that PATCH takes is one of the manifest's, with the same limits, and the other way round."""
    of = {name: DOCUMENT["components"]["schemas"][name] for name in ("AppManifest", "DeveloperAppUpdate", "DeveloperAppCreate")}
    fields = dict(of["AppManifest"]["properties"])
    assert fields.pop("$schema") and list(fields) == FIELDS
    assert fields == of["DeveloperAppUpdate"]["properties"] == of["DeveloperAppCreate"]["properties"]
    assert of["AppManifest"]["required"] == REQUIRED == of["DeveloperAppCreate"]["required"]
    published = platform.get(SCHEMA).json()
    assert published["additionalProperties"] is False and published["required"] == REQUIRED
    assert list(published["properties"]) == ["$schema", *FIELDS] and "$ref" not in json.dumps(published)
    assert published == manifest_schema(DOCUMENT)


# ---- applying --------------------------------------------------------------------------------------------------------


def test_what_get_gave_changes_nothing(app):
    before, rows, manifest = app.developer.see(f"/{app.app_id}"), app.rows(), app.get()
    audit = "select count(*) from auth.audit where app_id = %s"
    count = app.platform.postgres.rows(audit, (app.app_id,))
    for sent in (manifest, {"$schema": "https://example.com/schema", **manifest}, {**manifest, "requested_scopes": [
            scope.replace(":", "_") for scope in manifest["requested_scopes"]]}):
        assert app.apply(sent) == {"dry_run": False, "changes": [], "manifest": manifest}
    assert app.rows() == rows and app.developer.see(f"/{app.app_id}") == before
    assert app.platform.postgres.rows(audit, (app.app_id,)) == count


@pytest.mark.parametrize("metadata", [{}, {"deep": [1, None, {"e": 1.50}], "text": "ক\"\\"}, {"b": 1, "a": 2}, {"n": 1e300}, None], ids=str)
def test_metadata_comes_back_as_it_went(developer, metadata):
    app = App(developer)
    app.apply({**app.get(), "metadata": metadata})
    assert app.get()["metadata"] == metadata
    rows = app.rows()
    for text in (json.dumps(app.get()), json.dumps(app.get(), sort_keys=True, indent=4)):
        answer = app.platform.request("PUT", f"/api/v1/apps/{app.app_id}/manifest", headers={**developer.headers, "Content-Type": "application/json"},
                                      body=text)
        assert told(answer, "Manifest applied")["changes"] == []
    assert app.rows() == rows


def test_a_nul_is_refused_or_kept_but_breaks_nothing(app):
    for field in ("name", "description", "metadata"):
        value = {"text": "a\0b"} if field == "metadata" else "abc\0d"
        assert app.put({**app.get(), field: value}).status_code in (200, 400)
        assert app.apply(app.get())["changes"] == []


CHANGE = {
    "name": "Another name", "icon": None, "screenshots": ["https://cdn.example.com/2.png", "https://cdn.example.com/1.png"], "description": None,
    "short_description": "Shorter", "homepage_url": "https://example.org", "app_url": "https://example.org/embed", "setup_url": None,
    "webhook_url": None, "webhook_receive_url": "https://api.example.org/webhooks", "webhook_topics": [],
    "redirect_urls": ["https://example.org/cb", "http://localhost:3000/cb"], "requested_scopes": ["read:orders"], "developer_name": "Others",
    "developer_email": "other@acme.example", "pricing_type": "usage", "pricing_amount": 0.05, "fee_payer": "merchant", "category": None,
    "metadata": {"version": "2.0"}}


@pytest.mark.parametrize("field", [*CHANGE, "slug"])
def test_one_field(app, field):
    before, value = app.get(), CHANGE.get(field, unique("other"))
    value = unique("other") if field == "slug" else value
    for _ in range(2):
        planned = told(app.put({**before, field: value}, dry_run="true"), "Manifest checked")
        assert planned == {"dry_run": True, "changes": [{"field": field, "before": before[field], "after": value}], "manifest": before}
        assert app.get() == before
    assert app.apply({**before, field: value}) == {**planned, "dry_run": False, "manifest": {**before, field: value}}
    assert app.get() == {**before, field: value}
    assert app.apply({**before, field: value})["changes"] == []


def test_all_of_it(app):
    before = app.get()
    after = {**CHANGE, "slug": unique("whole")}
    applied = app.apply(after)
    assert applied["manifest"] == app.get() == after
    assert applied["changes"] == [{"field": name, "before": before[name], "after": after[name]} for name in FIELDS]
    assert payer(app.developer, app.app_id)[0] == "merchant"
    assert TIME.match(app.developer.see(f"/{app.app_id}")["updated_at"])
    assert app.apply(before)["manifest"] == before and payer(app.developer, app.app_id)[0] == "developer"


def test_what_is_left_out_is_emptied(app):
    """But for the slug, in which nothing else is to be found."""
    least = {name: CREATE[name] for name in REQUIRED}
    assert app.apply(least)["manifest"] == app.get() == {**least, "slug": app.made["slug"], **BARE}
    fresh = App(app.developer, **{name: CREATE[name] for name in REQUIRED})
    assert {name: value for name, value in fresh.get().items() if name != "slug"} == {**least, **BARE}


def test_it_is_written_from_one_app_to_another(app, platform):
    other = App(Developer(platform))
    other.apply({**app.get(), "slug": unique("copy")})
    assert {**other.get(), "slug": ""} == {**app.get(), "slug": ""}


# ---- refusing --------------------------------------------------------------------------------------------------------

BAD = [("name", "ab"), ("name", None), ("slug", "Upper"), ("slug", None), ("icon", "javascript:alert(1)"), ("screenshots", ["no URL"]),
       ("screenshots", None), ("description", "ক" * 8001), ("redirect_urls", []), ("redirect_urls", ["https://example.com/#part"]),
       ("webhook_url", "https://user:pw@example.com/"), ("requested_scopes", ["read:everything"]), ("webhook_topics", ["order.exploded"]),
       ("pricing_amount", -1), ("pricing_type", "barter"), ("fee_payer", None), ("metadata", []), ("metadata", {"text": "x" * 65536}),
       ("client_id", "sx_app_1"), ("is_listed", True), ("is_active", 1), ("app_id", 5), ("client_secret", "mine"), ("$schema", 5)]


@pytest.mark.parametrize("field, value", BAD, ids=lambda value: str(value)[:30])
def test_bad_values(app, field, value):
    """One that is wrong beside nineteen that are different and right: nothing changes."""
    rows = app.rows()
    for query in ({}, {"dry_run": "true"}):
        answer = app.put({**CHANGE, field: value}, **query)
        is_error(answer, 400, "VALIDATION_ERROR")
        assert any(error["field"].startswith(field) for error in answer.json()["errors"]), answer.text
    assert app.rows() == rows


def test_unknown_fields_are_all_named(app):
    answer = app.put({**app.get(), "colour": "red", "size": 5})
    is_error(answer, 400, "VALIDATION_ERROR")
    assert {error["field"] for error in answer.json()["errors"]} == {"colour", "size"}


@pytest.mark.parametrize("missing", REQUIRED)
def test_required_fields(app, missing):
    answer = app.put({name: value for name, value in app.get().items() if name != missing})
    is_error(answer, 400, "VALIDATION_ERROR")
    assert [error["field"] for error in answer.json()["errors"]] == [missing]


def test_what_is_taken_or_there_twice(app):
    other, rows = App(app.developer), app.rows()
    for query in ({}, {"dry_run": "true"}):
        is_error(app.put({**CHANGE, "slug": other.made["slug"]}, **query), 409, "SLUG_EXISTS")
        for field in ("redirect_urls", "screenshots"):
            is_error(app.put({**CHANGE, field: ["https://example.com/1"] * 2}, **query), 409, "DUPLICATE_FIELD")
    assert app.rows() == rows


def test_odd_bodies(app):
    rows = app.rows()
    is_error(app.put({**CHANGE, "dry_run": True}), 400, "VALIDATION_ERROR")
    is_error(app.put(CHANGE, dry_run="perhaps"), 400, "VALIDATION_ERROR")
    is_error(app.put({**CHANGE, "metadata": {"text": "x" * 2_000_000}}), 413, "PAYLOAD_TOO_LARGE")
    for body, code in (("{", "INVALID_JSON"), ("[]", "VALIDATION_ERROR"), ('{"name":"a app","name":"a app"}', "INVALID_JSON")):
        is_error(app.platform.request("PUT", f"/api/v1/apps/{app.app_id}/manifest", body=body,
                                      headers={**app.developer.headers, "Content-Type": "application/json"}), 400, code)
    assert app.rows() == rows


# ---- If-Match --------------------------------------------------------------------------------------------------------


def test_only_if_nobody_was_faster(app):
    manifest, tag = app.get(), app.tag()
    done = app.put({**manifest, "name": "First"}, tag=tag)
    told(done, "Manifest applied")
    assert done.headers["ETag"] == app.tag() != tag
    rows = app.rows()
    for query in ({}, {"dry_run": "true"}):
        refused = app.put({**manifest, "name": "Second"}, tag=tag, **query)
        is_error(refused, 412, "PRECONDITION_FAILED")
        assert refused.headers["ETag"] == app.tag()
    for stale in (f"W/{app.tag()}", '"nonsense"'):
        is_error(app.put({**manifest, "name": "Second"}, tag=stale), 412, "PRECONDITION_FAILED")
    assert app.rows() == rows
    told(app.put({**app.get(), "name": "Second"}, tag=done.headers["ETag"]), "Manifest applied")
    told(app.put({**app.get(), "name": "Third"}, tag="*"), "Manifest applied")
    assert app.platform.get(f"/api/v1/apps/{app.app_id}/manifest", headers={**app.developer.headers, "If-None-Match": app.tag()}).status_code == 304
    tag = app.tag()
    assert app.put(app.get(), tag=tag).headers["ETag"] == tag
    for path, change in (("", {"description": "By PATCH"}), ("/settings/developer", {"developer_name": "By PATCH"})):
        tag = app.tag()
        assert app.developer.ask("PATCH", f"/{app.app_id}{path}", change).status_code == 200
        is_error(app.put(manifest, tag=tag), 412, "PRECONDITION_FAILED")


@pytest.mark.parametrize("field", ["name", "description"])
def test_one_of_many_with_one_tag(app, field):
    """Whether what they change is kept by one service or by the other."""
    manifest, tag = app.get(), app.tag()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: app.put({**manifest, field: f"Number {n}"}, tag=tag), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    [done] = [answer.json()["data"]["manifest"] for answer in answers if answer.status_code == 200]
    assert app.get() == done == {**manifest, field: done[field]}


# ---- losses ----------------------------------------------------------------------------------------------------------


def test_killed_while_it_is_applied(make_platform):
    """Sent again, every manifest is there whole, whoever was killed."""
    platform = make_platform(services={"auth": 2, "store-data": 1, "developer-apps": 2})
    app = App(Developer(platform))
    for turn in range(12):
        manifest = {**CHANGE, "name": f"Turn {turn}", "description": f"Turn {turn}", "fee_payer": ("merchant", "developer")[turn % 2],
                    "slug": app.made["slug"]}
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            sent = pool.submit(app.put, manifest)
            victim = platform[f"{('auth', 'developer-apps')[turn % 2]}-{turn // 2 % 2 + 1}"]
            victim.kill()
            victim.start()
            first = sent.result()
        assert first.status_code in (200, 502, 503, 504), first.text
        platform.wait_ready()
        again = app.apply(manifest)
        assert again["manifest"] == app.get() == manifest
        assert first.status_code != 200 or again["changes"] == []
    until(lambda: payer(app.developer, app.app_id)[0] == "developer")


def test_without_billing_it_is_applied_all_the_same(make_platform):
    platform = make_platform()
    app = App(Developer(platform))
    platform["billing-1"].kill()
    app.apply({**app.get(), "fee_payer": "merchant", "name": "Without billing"})
    assert app.get()["fee_payer"] == "merchant" and payer(app.developer, app.app_id)[0] == "developer"
    platform["billing-1"].start()
    platform.wait_ready()
    platform.postgres.rows("update developer_apps.listing set due_at = due_at - interval '2 minutes'")
    until(lambda: payer(app.developer, app.app_id)[0] == "merchant")


def test_only_the_configuration_is_wanted(developer):
    """What an app is made of by POST is what its manifest says, so that either can make the other."""
    app = App(developer, **{name: value for name, value in wanted(**CHANGE).items()})
    assert {**app.get(), "slug": ""} == {**CHANGE, "slug": ""}

"""The limits of a developer's app at their edges (seed 004): lengths in characters, lists, addresses, bodies that are too large, fields that
there are not, values that stand twice, and one slug that many want."""

import concurrent.futures
import json
import re
import uuid

import pytest

from .client import is_error
from .shop import SCOPES
from .test_developer_apps import APPS, CREATE, GROUPS, Developer, told, unique, wanted


@pytest.fixture
def developer(platform):
    return Developer(platform)


@pytest.fixture(scope="module")
def one(platform):
    """For what leaves nothing behind but apps."""
    return Developer(platform)


@pytest.fixture
def made(developer):
    return developer.make(**CREATE)


# ---- values ----------------------------------------------------------------------------------------------------------

# A character of each kind: of one byte, two, three and four; and a letter with a mark behind it, which are two.
CHARACTERS = {"a": 1, "é": 1, "অ": 1, "𝒂": 1, "e\u0301": 2}
LENGTHS = [("name", 3, 255), ("description", 0, 8000), ("short_description", 0, 500), ("developer_name", 1, 255), ("category", 1, 64)]


def of_length(character, length):
    """So many characters."""
    return character * (length // CHARACTERS[character]) + "x" * (length % CHARACTERS[character])


LONG = "https://example.com/" + "x" * 2028
URLS = ["icon", "homepage_url", "app_url", "setup_url", "webhook_url", "webhook_receive_url", "screenshots", "redirect_urls"]
NO_URLS = ["javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "javascript://example.com/%0aalert(1)",
           "data:text/html,<script>alert(1)</script>", "data:image/png;base64,AAAA", "file:///etc/passwd", "vbscript:x", "blob:https://example.com/1",
           "ftp://example.com/", "//example.com/", "/path", "example.com", "https:example.com", "https://", "https:///path", "https://user@example.com/",
           "https://user:password@example.com/", "https://:password@example.com/", "https://example.com\\@evil.example/", "https://exa mple.com/",
           "https://example.com:0/", "https://example.com:65536/", "https://-example.com/", "https://example.com/\n",
           "", LONG + "x"]
LISTS = ["screenshots", "webhook_topics", "redirect_urls", "requested_scopes"]
NO_LISTS = ["https://example.com/", 7, True, {}, {"0": "https://example.com/"}, [None], [7], [True], [["https://example.com/"]],
            [{"url": "https://example.com/"}], ["https://example.com/", 7]]

GOOD = [("icon", LONG), ("screenshots", [f"https://example.com/{n}.png" for n in range(10)]), ("screenshots", []),
        ("redirect_urls", [f"https://example.com/{n}" for n in range(20)]), ("redirect_urls", ["http://localhost:3000/cb"]),
        ("requested_scopes", SCOPES), ("webhook_topics", []), ("pricing_amount", 10000000), ("pricing_amount", 0.01), ("pricing_amount", 0),
        ("metadata", {}), ("metadata", {"deep": [1, None, {"e": 1.5}], "text": "x" * 60000}), ("metadata", None),
        ("metadata", {"text": "x" * (65536 - 11)}), ("description", None), ("icon", None)]
BAD = [("name", None), ("name", 7), ("name", "   "), ("name", "a\u202eb"), ("slug", "ab"), ("slug", "a" * 256), ("slug", "Upper"),
       ("slug", "with space"), ("slug", "under_score"), ("slug", "ঢাকা"), ("slug", "a.b"), ("slug", None), ("slug", ["a-b"]), ("description", 5),
       ("screenshots", [f"https://example.com/{n}.png" for n in range(11)]), ("screenshots", None), ("redirect_urls", []), ("redirect_urls", None),
       ("redirect_urls", ["https://example.com/#part"]), ("redirect_urls", ["https://example.com/?code=1"]),
       ("redirect_urls", [f"https://example.com/{n}" for n in range(21)]), ("requested_scopes", []), ("requested_scopes", ["read:everything"]),
       ("requested_scopes", None), ("webhook_topics", ["order.exploded"]), ("webhook_topics", ["x"]), ("webhook_topics", None), ("developer_name", ""),
       ("developer_email", "nobody"), ("developer_email", "a@b@example.com"), ("developer_email", "a" * 246 + "@example.com"), ("pricing_type", "barter"),
       ("pricing_type", None), ("pricing_amount", -1), ("pricing_amount", -0.01), ("pricing_amount", 0.001), ("pricing_amount", "499"),
       ("pricing_amount", 10000000.01), ("pricing_amount", None), ("fee_payer", "nobody"), ("fee_payer", None), ("metadata", []), ("metadata", "text"),
       ("metadata", {"text": "x" * (65536 - 10)}), ("app_id", 5), ("is_listed", True), ("client_id", "sx_app_1")]


def short(value):
    return str(value)[:30]


@pytest.mark.parametrize("field, value", GOOD, ids=short)
def test_good_values(one, field, value):
    made, changed = one.make(**{field: value}), one.make()
    assert told(one.ask("PATCH", f"/{changed['app_id']}", {field: value}), "App updated").get(field, value) == value or field == "requested_scopes"
    for app in (made, changed):
        kept = one.see(f"/{app['app_id']}")[field]
        assert (set(kept) == set(value) and len(kept) == len(value)) if field == "requested_scopes" else kept == value


def tried(one, app, field, value):
    """An app made with it, one changed to it, and where it is a setting its group as well."""
    yield one.ask("POST", "", wanted(**{field: value}))
    yield one.ask("PATCH", f"/{app['app_id']}", {"short_description": "not kept", field: value})
    for group in (name for name, fields in GROUPS.items() if field in fields):
        yield one.ask("PATCH", f"/{app['app_id']}/settings/{group}", {field: value})


@pytest.mark.parametrize("field, value", BAD, ids=short)
def test_bad_values(one, field, value):
    app = one.make()
    before, total = one.see(f"/{app['app_id']}"), one.see()["total"]
    for answer in tried(one, app, field, value):
        is_error(answer, 400, "VALIDATION_ERROR")
        assert any(error["field"].startswith(field) for error in answer.json()["errors"]), answer.text
    assert one.see(f"/{app['app_id']}") == before and one.see()["total"] == total


@pytest.mark.parametrize("character", CHARACTERS)
@pytest.mark.parametrize("field, least, most", LENGTHS)
def test_lengths_are_those_of_characters(one, field, least, most, character):
    app = one.make()
    for length in (max(least, 1), most - 1, most):
        value = of_length(character, length)
        assert len(value) == length
        assert one.see(f"/{one.make(**{field: value})['app_id']}")[field] == value
        assert told(one.ask("PATCH", f"/{app['app_id']}", {field: value}), "App updated").get(field, value) == value
        assert one.see(f"/{app['app_id']}")[field] == value
    for length in [most + 1] + [least - 1] * (least > 0):
        value = of_length(character, length)
        for answer in (one.ask("POST", "", wanted(**{field: value})), one.ask("PATCH", f"/{app['app_id']}", {field: value})):
            is_error(answer, 400, "VALIDATION_ERROR")
            assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert one.see(f"/{app['app_id']}")[field] == of_length(character, most)


BLANK = [" ", "   ", "\t", "\n \r\n", "\u00a0\u3000", "\u200b\u200b\u200b", "\u200d", "\u2060\ufeff", "\u3164", "\u2800\u2800\u2800", "\ufe0f", "\u202e \u2066"]


@pytest.mark.parametrize("field", ["name", "developer_name", "short_description"])
def test_what_is_to_say_something(one, field):
    """By whichever route; what may be empty may be so still."""
    app = one.make(**CREATE | {"slug": unique()})
    before = one.see(f"/{app['app_id']}")
    for value in BLANK:
        for method, path, body in (("POST", "", wanted(**{field: value})), ("PATCH", f"/{app['app_id']}", {field: value}),
                                   ("PUT", f"/{app['app_id']}/manifest", wanted(**{field: value}))):
            assert field in [error["field"] for error in is_error(one.ask(method, path, body), 400, "VALIDATION_ERROR")["errors"]], (method, value)
    is_error(one.ask("PATCH", f"/{app['app_id']}/settings/developer", {"developer_name": BLANK[0]}), 400, "VALIDATION_ERROR")
    assert one.see(f"/{app['app_id']}") == before
    for value in ("", " a\n\tb ", "\u200ba", None):
        assert told(one.ask("PATCH", f"/{app['app_id']}", {"short_description": value}), "App updated")["short_description"] == value


def refused(one, field, values):
    """Each of them, on every way, with the field named; and none of it is kept."""
    app = one.make()
    before, total = one.see(f"/{app['app_id']}"), one.see()["total"]
    for value in values:
        for answer in tried(one, app, field, value):
            is_error(answer, 400, "VALIDATION_ERROR")
            assert all(re.fullmatch(rf"{field}(\[\d+\])?", error["field"]) for error in answer.json()["errors"]), (value, answer.text)
    assert one.see(f"/{app['app_id']}") == before and one.see()["total"] == total


@pytest.mark.parametrize("field", URLS)
def test_what_is_no_address(one, field):
    refused(one, field, [[f"https://example.com/{field}", url] if field in LISTS else url for url in NO_URLS])


@pytest.mark.parametrize("field", LISTS)
def test_what_is_no_list(one, field):
    refused(one, field, NO_LISTS)


def test_a_scope_said_twice_is_one(one):
    app = one.make(requested_scopes=["read:orders", "read_orders", "read:orders", "billing"])
    assert one.see(f"/{app['app_id']}")["requested_scopes"] == ["read:orders", "billing"]


def test_slugs_at_their_edges(one):
    slug = uuid.uuid4().hex.ljust(254, "-") + "z"
    assert one.make(slug=slug)["slug"] == slug
    shortest = next(text for text in iter(lambda: uuid.uuid4().hex[:3], None) if one.ask("POST", "", wanted(slug=text)).status_code == 201)
    assert one.see()["items"][0]["slug"] == shortest


@pytest.mark.parametrize("missing", ["name", "redirect_urls", "requested_scopes"])
def test_required_fields(one, missing):
    body = wanted()
    del body[missing]
    answer = one.ask("POST", "", body)
    is_error(answer, 400, "VALIDATION_ERROR")
    assert [error["field"] for error in answer.json()["errors"]] == [missing]


def test_unknown_fields_are_named(developer, made):
    for method, path, body in (("POST", "", wanted(colour="red")), ("PATCH", f"/{made['app_id']}", {"colour": "red"}),
                               ("PATCH", f"/{made['app_id']}/status", {"is_active": True, "colour": "red"}),
                               ("PATCH", f"/{made['app_id']}/settings/embed", {"colour": "red"}),
                               ("PATCH", f"/{made['app_id']}/settings/embed", {"redirect_urls": ["https://a.example/"]})):
        answer = developer.ask(method, path, body)
        is_error(answer, 400, "VALIDATION_ERROR")
        assert [error["field"] for error in answer.json()["errors"]] == [("redirect_urls" if "redirect_urls" in body and "colour" not in body else "colour")]


def test_all_unknown_fields_are_named(one):
    answer = one.ask("POST", "", wanted(colour="red", size=5, Name="My app", clientSecret="mine"))
    is_error(answer, 400, "VALIDATION_ERROR")
    assert {error["field"] for error in answer.json()["errors"]} == {"colour", "size", "Name", "clientSecret"}
    assert one.see(f"/{one.make(metadata={'colour': 'red'})['app_id']}")["metadata"] == {"colour": "red"}


@pytest.mark.parametrize("path, name", [("status", "is_active"), ("listing", "is_listed")])
def test_flags_are_booleans(developer, made, path, name):
    for body in ({}, {name: 1}, {name: "true"}, {name: None}):
        is_error(developer.ask("PATCH", f"/{made['app_id']}/{path}", body), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("field, value", [("redirect_urls", "https://example.com/cb"), ("webhook_topics", "order.created"),
                                          ("screenshots", "https://example.com/1.png")])
def test_the_same_twice(developer, made, field, value):
    group = next((name for name, fields in GROUPS.items() if field in fields), None)
    for method, path, body in (("POST", "", wanted(**{field: [value, value]})), ("PATCH", f"/{made['app_id']}", {field: [value, value]}),
                               ("PATCH", f"/{made['app_id']}{'/settings/' + group if group else ''}", {field: [value, value]})):
        answer = developer.ask(method, path, body)
        is_error(answer, 409, "DUPLICATE_FIELD")
        assert [error["field"] for error in answer.json()["errors"]] == [f"{field}[1]"]


def test_ten_megabytes_of_metadata(developer, made):
    """Whoever sends them hears why they are refused, at once or in pieces, and the gateway serves on."""
    platform, before = developer.platform, developer.see(f"/{made['app_id']}")
    pids = [process.pid for process in platform.processes.values()]
    body = json.dumps(wanted(metadata={"text": "x" * 10_000_000})).encode()
    pieces = [body[at:at + 65536] for at in range(0, len(body), 65536)]
    headers = {**developer.headers, "Content-Type": "application/json"}
    for method, path in (("POST", ""), ("PATCH", f"/{made['app_id']}"), ("PUT", f"/{made['app_id']}/manifest")):
        for sent in (body, iter(pieces)):
            is_error(platform.request(method, f"{APPS}{path}", headers=headers, body=sent), 413, "PAYLOAD_TOO_LARGE")
    for length in (65537, 900_000):                                 # as JSON; the gateway takes it, the service does not
        answer = developer.ask("PATCH", f"/{made['app_id']}", {"metadata": {"text": "x" * (length - 11)}})
        is_error(answer, 400, "VALIDATION_ERROR")
        assert answer.json()["errors"] == [{"field": "metadata", "message": "must be at most 65536 bytes as JSON"}]
    assert developer.see(f"/{made['app_id']}") == before and developer.see()["total"] == 1
    assert [process.pid for process in platform.processes.values() if process.is_running()] == pids


def test_odd_bodies(developer):
    deep = "[" * 5000 + "]" * 5000
    for body, code in (("", "VALIDATION_ERROR"), ("{", "INVALID_JSON"), ("[]", "VALIDATION_ERROR"), ("null", "VALIDATION_ERROR"),
                       ('{"name":"My app","name":"My app"}', "INVALID_JSON"), ('{"name":"\xff"}', "INVALID_JSON"),
                       (f'{{"metadata":{{"deep":{deep}}}}}', "INVALID_JSON")):
        answer = developer.platform.request("POST", APPS, headers={**developer.headers, "Content-Type": "application/json"},
                                            body=body.encode("latin-1"))
        is_error(answer, 400, code)
    assert developer.see()["total"] == 0


def test_a_nul_is_refused_or_kept_but_breaks_nothing(one):
    for field in ("name", "description", "metadata"):
        value = {"text": "a\0b"} if field == "metadata" else "abc\0d"
        assert one.ask("POST", "", wanted(**{field: value})).status_code in (201, 400)


def test_pages(developer):
    apps = [developer.make(name=f"App number {n}")["app_id"] for n in range(5)]
    pages = [developer.see(page=page, limit=2) for page in (1, 2, 3, 4)]
    assert [[item["app_id"] for item in page["items"]] for page in pages] == [apps[4:2:-1], apps[2:0:-1], apps[:1], []]
    assert all((page["total"], page["totalPages"], page["limit"]) == (5, 3, 2) for page in pages)
    for limit, clamped in ((0, 1), (-3, 1), (101, 100), ("many", 20)):
        assert developer.see(limit=limit)["limit"] == clamped
    assert developer.see(page=10**9)["items"] == []
    for query in ({"status": "asleep"}, {"listed": "maybe"}):
        is_error(developer.ask("GET", **query), 400, "VALIDATION_ERROR")


# ---- slugs -----------------------------------------------------------------------------------------------------------


def test_a_slug_is_made_of_the_name(one):
    name = f"Café {unique('Bar')}!"
    first, second = (one.make(name=name)["slug"] for _ in range(2))
    assert re.match(r"^caf-bar-[0-9a-f]{12}$", first) and second.startswith(first + "-")
    assert re.match(r"^app-[0-9a-f]+$", one.make(name="অ্যাপ")["slug"])


def test_a_taken_slug(developer, made):
    other = Developer(developer.platform)
    for who in (developer, other):
        answer = who.ask("POST", "", wanted(slug=made["slug"]))
        is_error(answer, 409, "SLUG_EXISTS")
        assert [error["field"] for error in answer.json()["errors"]] == ["slug"]
    app = other.make(short_description="mine")
    is_error(other.ask("PATCH", f"/{app['app_id']}", {"slug": made["slug"], "name": "Not kept", "short_description": "not kept"}), 409, "SLUG_EXISTS")
    after = other.see(f"/{app['app_id']}")
    assert (after["slug"], after["name"], after["short_description"]) == (app["slug"], "My app", "mine")
    assert developer.see()["total"] == 1 and other.see()["total"] == 1


def test_one_slug_wanted_by_many_at_once(make_platform):
    """At two gateways, of several developers; and again by those who change it."""
    platform = make_platform(gateways=2, services={"auth": 2, "store-data": 1, "developer-apps": 2})
    developers = [Developer(platform) for _ in range(4)]

    def ask(number, method, path, body):
        return platform.request(method, f"{APPS}{path}", headers=developers[number % 4].headers, json_body=body, gateway=number // 4 % 2 + 1)

    def one_of(answers, status):
        assert sorted(answer.status_code for answer in answers) == [status] + [409] * (len(answers) - 1)
        assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"SLUG_EXISTS"}

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for _ in range(5):
            slug = unique()
            one_of(list(pool.map(lambda n: ask(n, "POST", "", wanted(slug=slug)), range(16))), 201)
        assert sum(one.see()["total"] for one in developers) == 5
        assert platform.postgres.rows("select count(*), count(app_id) from developer_apps.listing") == [(5, 5)]
        apps, slug = [one.make()["app_id"] for one in developers], unique()
        one_of(list(pool.map(lambda n: ask(n, "PATCH", f"/{apps[n]}", {"slug": slug}), range(4))), 200)
        answers = list(pool.map(lambda n: ask(n, "POST", "", wanted(name=f"{slug} app")), range(16)))
    assert len({answer.json()["data"]["slug"] for answer in answers}) == 16

"""Bodies, parameters and URLs that are wrong, dangerous or merely odd: each is named, bounded or taken as plain text.

Nothing here may end in a 500, a hang or a process less; the platform is looked at again after each test.
"""

import json
import re
import time
from decimal import Decimal
from urllib.parse import quote

import pytest

from .client import is_error
from .raw import Raw

ORDERS = "/api/apps/v1/orders"


@pytest.fixture(autouse=True)
def still_whole(platform):
    """After whatever the test did: nothing has ended, nothing hangs."""
    yield
    assert all(process.is_running() for process in platform.processes.values())
    assert platform.get("/livez").status_code == 200
    assert platform.get("/readyz").status_code == 200


# ---- bodies ----------------------------------------------------------------------------------------------------------


BAD_JSON = {
    "empty": "", "no JSON": "hello", "cut short": '{"items": [', "text behind": '{"items": []} true',
    "two values": "{}{}",
    "single quotes": "{'items': 1}", "trailing comma": '{"items": [],}', "comment": '{"items": [] /* none */}',
    "duplicate field": '{"note": "a", "note": "b"}', "duplicate deep inside": '{"metadata": {"a": {"b": 1, "b": 2}}}',
    "NaN": '{"tax": NaN}', "Infinity": '{"tax": Infinity}', "plus sign": '{"tax": +1}', "leading zero": '{"tax": 01}',
    "hexadecimal": '{"tax": 0x10}', "control character": '{"note": "a\x01b"}', "bad UTF-8": b'{"note": "\xff\xfe"}',
    "overlong UTF-8": b'{"note": "\xc0\xaf"}', "surrogate in UTF-8": b'{"note": "\xed\xa0\x80"}',
    "lone surrogate": '{"note": "\\ud800"}', "byte order mark": b'\xef\xbb\xbf{"note": "a"}',
    "NUL byte": b'{"note": "a\x00b"}', "escaped NUL": '{"note": "a\\u0000b"}', "bad escape": '{"note": "\\x41"}',
    "nested lists": "[" * 100000 + "]" * 100000, "nested objects": '{"a":' * 5000 + "1" + "}" * 5000,
    "a little too deep": '{"metadata":' + '{"a":' * 40 + "1" + "}" * 41,
    "too many fields": "{" + ",".join(f'"f{i}": 1' for i in range(1000)) + "}",
    "number of 1,000 digits": '{"tax": ' + "9" * 1000 + "}",
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json(shop, name):
    body = BAD_JSON[name]
    answer = shop.post(ORDERS, body=body.encode() if isinstance(body, str) else body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("invalid_json", "validation_error")


@pytest.mark.parametrize("body", ["[]", "1", '"order"', "null", "true"])
def test_a_body_that_is_no_object(shop, body):
    """Also one so large that a worker looks at it, and not the gateway."""
    small = is_error(shop.post(ORDERS, body=body), 400, "validation_error")["errors"]
    assert is_error(shop.post(ORDERS, body=body + " " * 70000), 400, "validation_error")["errors"] == small


BAD_FIELDS = {
    "items": ({"items": "none"}, "items"),
    "no items": ({}, "items"),
    "empty items": ({"items": []}, "items"),
    "item is no object": ({"items": [7]}, "items[0]"),
    "quantity as text": ({"items": [{"name": "Tea", "price": 1, "quantity": "2"}]}, "items[0].quantity"),
    "quantity with decimals": ({"items": [{"name": "Tea", "price": 1, "quantity": 1.5}]}, "items[0].quantity"),
    "quantity zero": ({"items": [{"name": "Tea", "price": 1, "quantity": 0}]}, "items[0].quantity"),
    "quantity negative": ({"items": [{"name": "Tea", "price": 1, "quantity": -1}]}, "items[0].quantity"),
    "quantity beyond 63 bits": ({"items": [{"name": "Tea", "price": 1, "quantity": 2**63}]}, "items[0].quantity"),
    "id beyond 63 bits": ({"items": [{"product_id": 2**64, "quantity": 1}]}, "items[0].product_id"),
    "id as text": ({"items": [{"product_id": "1", "quantity": 1}]}, "items[0].product_id"),
    "id as boolean": ({"items": [{"product_id": True, "quantity": 1}]}, "items[0].product_id"),
    "price as text": ({"items": [{"name": "Tea", "price": "10.00", "quantity": 1}]}, "items[0].price"),
    "note as number": ({"note": 7, "items": [{"name": "Tea", "price": 1, "quantity": 1}]}, "note"),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_wrong_types_are_named(shop, name):
    body, field = BAD_FIELDS[name]
    error = is_error(shop.post(ORDERS, body), 400, "validation_error")
    assert field in [entry["field"] for entry in error["errors"]]


@pytest.mark.parametrize("price", [
    "1e2", "1E2", "10.001", "0.1e1", "1e400", "-1", "10.0000000000000001", "1" + "0" * 40])
def test_prices_that_are_no_prices(shop, price):
    """More decimals than the currency has, an exponent, or too much is validation_error; nothing is rounded."""
    body = '{"items": [{"name": "Tea", "price": %s, "quantity": 1}]}' % price
    error = is_error(shop.post(ORDERS, body=body), 400, "validation_error")
    assert error["errors"][0]["field"] == "items[0].price"


@pytest.mark.parametrize("price", ["0.1", "0.10", "19.99", "1234567.89", "70"])
def test_prices_are_exact(shop, price):
    body = '{"items": [{"name": "Tea", "price": %s, "quantity": 3}]}' % price
    answer = shop.post(ORDERS, body=body)
    assert answer.status_code == 201, answer.text
    total = json.loads(answer.text, parse_float=Decimal)["data"]["grand_total"]
    assert total == 3 * Decimal(price)
    assert re.search(r'"grand_total":\d+\.\d\d[,}]', answer.text), "two decimals, always"


def test_all_errors_are_listed_at_once(shop):
    error = is_error(shop.post(ORDERS, {"note": 1, "tax": "x", "items": [{"quantity": 0}, {"quantity": "a"}]}), 400,
                     "validation_error")
    assert {"note", "tax", "items[0].quantity", "items[1].quantity"} <= {entry["field"] for entry in error["errors"]}


def test_the_list_of_errors_is_bounded(shop):
    error = is_error(shop.post(ORDERS, {"items": [{"quantity": 0}] * 200}), 400, "validation_error")
    assert len(error["errors"]) <= 20


def test_large_bodies_are_validated_as_well(shop):
    """Above 64 KiB the worker does it (protocols 11): the same errors come back."""
    note = "x" * 100000
    error = is_error(shop.post(ORDERS, {"note": note, "items": [{"quantity": 0}]}), 400, "validation_error")
    assert "items[0].quantity" in [entry["field"] for entry in error["errors"]]
    is_error(shop.post(ORDERS, body='{"note": "' + note + '", "items": ['), 400, "invalid_json")


def test_unknown_fields_are_ignored(shop):
    answer = shop.post(ORDERS, {
        "items": [{"name": "Tea", "price": 1, "quantity": 1, "colour": "red"}], "campaign": {"id": 7}})
    assert answer.status_code == 201


@pytest.mark.parametrize("kind", [
    "text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_other_content_types(shop, kind):
    is_error(shop.post(ORDERS, body="{}", headers={"Content-Type": kind}), 415, "unsupported_media_type")


@pytest.mark.parametrize("coding, status", [
    ("gzip", 415), ("Deflate", 415), ("br", 415), ("identity, gzip", 415), ("identity", 201), ("Identity", 201)])
def test_nothing_is_unpacked(shop, coding, status):
    body = {"items": [{"name": "Tea", "price": 1, "quantity": 1}]}
    answer = shop.post(ORDERS, body, headers={"Content-Encoding": coding})
    assert answer.status_code == status, answer.text
    if status == 415:
        assert "Content-Encoding" in is_error(answer, 415, "unsupported_media_type")["message"]


@pytest.mark.parametrize("kind", [
    "application/json", "application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"])
def test_ways_to_say_json(shop, kind):
    body = {"items": [{"name": "Tea", "price": 1, "quantity": 1}]}
    assert shop.post(ORDERS, body, headers={"Content-Type": kind}).status_code == 201


def test_a_body_above_the_limit(shop):
    is_error(shop.post(ORDERS, body=b"{" + b" " * (1 << 20) + b"}"), 413, "payload_too_large")


def test_a_body_just_below_the_limit(shop):
    text = json.dumps({"items": [{"name": "Tea", "price": 1, "quantity": 1}]})
    assert shop.post(ORDERS, body=text + " " * ((1 << 20) - len(text))).status_code == 201


def test_a_body_said_to_be_enormous(platform, shop):
    head = "".join(f"{name}: {value}\r\n" for name, value in shop.bearer.items())
    with Raw(platform) as raw:
        raw.send(f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\n{head}Content-Type: application/json\r\n"
                 "Content-Length: 999999999999\r\n\r\n")
        status, _, body = raw.answer()
    assert status == 413 and json.loads(body)["code"] == "payload_too_large"


@pytest.mark.parametrize("known, size, status, code", [
    (False, 1 << 20, 401, "missing_token"), (False, 7 << 20, 401, "missing_token"), (True, 7 << 20, 413, "payload_too_large"),
])
def test_who_sends_everything_before_listening_hears_the_refusal(platform, shop, known, size, status, code):
    """As most HTTP libraries do: a connection closed under them is an error of the network, and no answer."""
    head = "".join(f"{name}: {value}\r\n" for name, value in shop.bearer.items()) if known else ""
    with Raw(platform) as raw:
        raw.socket.sendall(f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\n{head}Content-Type: application/json\r\n"
                           f"Content-Length: {size}\r\n\r\n".encode() + b" " * size)
        answer = raw.answer()
    assert answer is not None and answer[0] == status and json.loads(answer[2])["code"] == code


def test_chunked_bodies(platform, shop):
    text = json.dumps({"items": [{"name": "Tea", "price": 1, "quantity": 1}]})
    assert shop.post(ORDERS, body=iter([text[:10].encode(), text[10:].encode()])).status_code == 201
    endless = shop.post(ORDERS, body=iter([b"{"] + [b" " * 65536] * 20))
    is_error(endless, 413, "payload_too_large")


def test_an_error_before_the_body_keeps_the_connection(platform):
    """401 comes before the body is looked at; the client may go on with the same connection."""
    body = "x" * 5000
    one = (f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
           f"Content-Length: {len(body)}\r\n\r\n{body}")
    with Raw(platform) as raw:
        for _ in range(3):
            status, _, text = raw.send(one).answer()
            assert status == 401 and json.loads(text)["code"] == "missing_token"


# ---- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [
    "page=abc", "page=-1", "page=0", "limit=-1", "limit=abc", "limit=0", "limit=10000", "limit=",
    "page=99999999999999999999999", "limit=1.5", "page=1&limit=500", "limit=%00", "page=%31"])
def test_page_and_limit_are_clamped(shop, query):
    answer = shop.get(f"{ORDERS}?{query}")
    assert answer.status_code == 200, answer.text
    assert 1 <= answer.json()["pagination"]["limit"] <= 250
    assert answer.json()["pagination"]["page"] >= 1


@pytest.mark.parametrize("query", [
    "customer_id=abc", "customer_id=9223372036854775808", "since=yesterday", "until=2026-13-01", "sort=password",
    "sort=created_at:sideways", "cursor=nonsense", "customer_id=1%20or%201=1", "since=2026-01-01T00:00:00Z'--"])
def test_other_parameters_are_refused(shop, query):
    is_error(shop.get(f"{ORDERS}?{query}"), 400, "validation_error")


@pytest.mark.parametrize("identifier", [
    "9223372036854775808", "18446744073709551616", "-1", "0", "abc", "1.0", "1e3", "0x1", "9" * 400,
    "1%27%20or%20%271%27%3D%271", "%F0%9F%98%80", "..%2F..%2Fetc", "1%00"])
def test_ids_that_are_none(shop, identifier):
    answer = shop.get(f"{ORDERS}/{identifier}")
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["code"] in ("validation_error", "not_found", "bad_request")


@pytest.mark.parametrize("moment", ["9999-12-31", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-12:00", "0001-01-01",
                                    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+12:00"])
@pytest.mark.parametrize("query", ["since", "until", "sort=updated_at&since", "sort=grand_total&until", "status=pending&since"])
def test_the_ends_of_time(shop, query, moment):
    answer = shop.get(f"{ORDERS}?{query}={quote(moment)}")
    assert answer.status_code in (200, 400), answer.text
    if query == "since":
        assert shop.get(f"/api/apps/v1/products?since={quote(moment)}").status_code in (200, 400)


@pytest.mark.parametrize("body", ["{", '{"note": "a", "note": "b"}', '{"note": "\\u0000"}', '{"tax": 1.}', "[" * 50, "   "])
def test_large_bodies_are_answered_like_small_ones(shop, body):
    """They are read in a worker, not in the gateway."""
    small, large = shop.post(ORDERS, body=body), shop.post(ORDERS, body=body + " " * 70000)
    assert (large.status_code, large.content) == (small.status_code, small.content) and small.status_code == 400


def test_the_highest_id(shop):
    is_error(shop.get(f"{ORDERS}/9223372036854775807"), 404, "not_found")


@pytest.mark.parametrize("text", ["' or 1=1 --", "'; drop table \"order\"; --", "\\'; select pg_sleep(5); --",
                                  "%' union select 1 --", "${jndi:ldap://x}", "{{7*7}}", "\"><script>",
                                  "💩", "robert'); --"])
def test_sql_in_text_is_just_text(shop, text):
    """It comes back as it went in, and selects nothing where it is a filter."""
    answer = shop.post(ORDERS, {"note": text, "items": [{"name": text[:20], "price": 1, "quantity": 1}]})
    assert answer.status_code == 201
    order = shop.get(f"{ORDERS}/{answer.json()['data']['order_id']}").json()["data"]
    assert order["note"] == text and order["items"][0]["name"] == text[:20]
    started = time.monotonic()
    for parameter in ("status", "sort", "cursor", "since"):
        found = shop.request("GET", ORDERS, params={parameter: text})
        assert found.status_code == 400 or found.json()["data"] == []
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("query", [
    "%", "%zz", "a=%1", "status=%ff%fe", "status=%00", "&&&==&", "a" * 4000, "=".join("a" * 50)])
def test_odd_query_strings(shop, query):
    answer = shop.get(f"{ORDERS}?{query}")
    assert answer.status_code in (200, 400), answer.text
    assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize(("count", "statuses"), [(60, (200,)), (100, (400,)), (1000, (400, 431))])
def test_many_parameters(shop, count, statuses):
    answer = shop.get(f"{ORDERS}?" + "&".join(f"p{i}=1" for i in range(count)))
    assert answer.status_code in statuses and answer.json()["status"] == answer.status_code


def test_a_url_beyond_the_limit(shop):
    is_error(shop.get(f"{ORDERS}?status={'a' * 9000}"), 414, "uri_too_long")


def test_headers_beyond_the_limit(platform):
    with Raw(platform) as raw:
        headers = "".join(f"X-{i}: {'a' * 1000}\r\n" for i in range(100))
        raw.send(f"GET {ORDERS} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")
        answer = raw.answer()
    if answer is not None:
        status, _, body = answer
        assert status in (400, 413, 431) and json.loads(body)["status"] == status


def test_a_header_cannot_be_smuggled_into_the_answer(platform):
    for value in ("a%0d%0aSet-Cookie:%20x=1", "a%09b", "%0d%0a%0d%0a<html>"):
        answer = platform.get(f"/nothing?x={value}", headers={"Origin": f"https://{value}.example"})
        assert "Set-Cookie" not in answer.headers and answer.status_code == 404
    with Raw(platform) as raw:
        answer = raw.send("GET /livez HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\r\n Set-Cookie: x=1\r\n\r\n").answer()
    assert answer is None or "set-cookie" not in answer[1]

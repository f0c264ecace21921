"""What every path promises about HTTP itself (contract K.1), asked politely and rudely.

Rude input gets the contract's error or a closed connection: never a crash, a hang or a 500. The platform is looked at
again after each of these tests.
"""

import json
import os
import re
import socket
import time
from pathlib import Path

import pytest
import yaml

from .client import is_error
from .credentials import session_token
from .multipart import image, upload
from .raw import Raw
from .shop import Owner

ORDERS = "/api/apps/v1/orders"


@pytest.fixture(autouse=True)
def still_whole(platform):
    """After whatever the test did: nothing has ended, nothing hangs."""
    yield
    assert all(process.is_running() for process in platform.processes.values())
    assert platform.get("/livez").status_code == 200
    assert platform.get("/readyz").status_code == 200


# ---- who asks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [ORDERS, "/api/auth/me", "/api/v1/auth/me"])
def test_a_401_says_what_would_help(platform, path):
    """RFC 6750, 3: what to show, and whether it was a token that has been refused."""
    for headers, challenge in (({}, "Bearer"),
                               ({"Authorization": "Bearer sx_at_" + "0" * 64}, 'Bearer error="invalid_token"'),
                               ({"Authorization": "Bearer \u00e9".encode()}, 'Bearer error="invalid_token"'),
                               ({"x-auth-token": "x"}, 'Bearer error="invalid_token"')):
        answer = platform.get(path, headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, challenge), answer


def test_other_answers_have_no_challenge(platform, shop):
    wrong = {**shop.client, "X-Client-Secret": "sx_secret_" + "0" * 64}
    assert platform.get(ORDERS, headers=wrong).headers["WWW-Authenticate"] == "Bearer"      # no token was sent
    for answer in (shop.get(ORDERS), shop.get("/api/apps/v1/orders/999999999"), platform.get("/api/nothing"),
                   platform.post("/api/auth/login", {"email": "nobody@shop.example", "password": "wrong password"})):
        assert "WWW-Authenticate" not in answer.headers


def test_secrets_in_a_path_are_not_logged(platform, shop):
    token, number = shop.access_token, f"mask-{os.urandom(6).hex()}"
    for path in (f"{ORDERS}/{token}", f"/hooks/whsec_{'Ab1' * 10}/{shop.client_secret}", f"/x/{session_token(shop)}",
                 f"/api/apps/v1/orders/{shop.client_secret}?token={token}"):
        platform.get(path, headers={"X-Request-Id": number})
    deadline = time.monotonic() + 10
    lines = []
    while len(lines) < 4 and time.monotonic() < deadline:
        lines = [line for line in platform.log_lines(number) if line.get("event") == "request"]
        time.sleep(0.05)
    assert [line["path"] for line in lines] == [f"{ORDERS}/sx_at_***", "/hooks/whsec_***/sx_secret_***", "/x/***",
                                                f"{ORDERS}/sx_secret_***"]


# ---- paths and methods -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [
    "/", "/nothing", "/api", "/api/", "/api/apps/v1/", "/api/apps/v1/nothing", "/api/apps/v1/orders/",
    "/api/apps/v1//orders", "/API/apps/v1/orders", "/api/apps/v2/orders", "/livez/"])
def test_unknown_paths(platform, path):
    is_error(platform.get(path), 404, "not_found")


def test_a_word_where_a_number_stands(platform, merchant):
    """Beside the path of an app, whose page asks who is there first."""
    for path in ("/api/apps/v1", "/api/apps/nothing"):
        is_error(platform.get(path, headers={"x-auth-token": merchant.token}), 404, "not_found")
        is_error(platform.get(path), 401, "missing_token")


def test_unknown_path_of_the_developer_family(platform):
    is_error(platform.get("/api/v1/nothing"), 404, "NOT_FOUND")


def test_other_method_names_the_allowed_ones(platform, shop):
    answer = shop.request("PATCH", ORDERS)
    is_error(answer, 405, "method_not_allowed")
    allowed = {word.strip() for word in answer.headers["Allow"].split(",")}
    assert {"GET", "POST", "HEAD", "OPTIONS"} <= allowed and "PATCH" not in allowed


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "PROPFIND"])
def test_methods_nobody_serves(platform, method):
    with Raw(platform) as raw:
        answer = raw.send(f"{method} {ORDERS} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").answer()
    assert answer is None or answer[0] in (400, 405, 501)


def test_head_is_get_without_a_body(shop):
    get, head = shop.get(f"{ORDERS}?limit=1"), shop.request("HEAD", f"{ORDERS}?limit=1")
    assert head.status_code == 200 and head.content == b""
    assert head.headers["Content-Length"] == str(len(get.content))
    assert head.headers["ETag"] == get.headers["ETag"]


def test_head_of_an_unknown_path(platform):
    answer = platform.request("HEAD", "/api/apps/v1/nothing")
    assert answer.status_code == 404 and answer.content == b""


# ---- headers of every answer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/livez", "/nothing", ORDERS, "/api/v1/nothing", "/api/docs/openapi.json"])
def test_every_answer_names_its_request_and_the_version(platform, path):
    answer = platform.get(path)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", answer.headers["X-Request-Id"])
    assert answer.headers["X-SeloraX-API-Version"] == "v1"


def test_the_clients_request_id_is_kept_and_logged(platform, shop):
    mine = "order-import_42"
    answer = shop.get(ORDERS, headers={"X-Request-Id": mine})
    assert answer.headers["X-Request-Id"] == mine
    time.sleep(0.2)
    assert platform.log_lines(mine), "the request stands in the log under its id"


@pytest.mark.parametrize("bad", ["a b", "a" * 65, "ä", "a;b", "", "<script>"])
def test_a_bad_request_id_is_replaced(platform, bad):
    answer = platform.request("GET", "/livez", headers={"X-Request-Id": bad.encode()})
    assert answer.status_code == 200
    assert answer.headers["X-Request-Id"] != bad
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", answer.headers["X-Request-Id"])


def test_request_ids_differ(platform):
    assert len({platform.get("/livez").headers["X-Request-Id"] for _ in range(20)}) == 20


def test_rate_limit_headers(shop):
    first, second = shop.get(ORDERS), shop.get(ORDERS)
    for answer in (first, second):
        assert int(answer.headers["RateLimit-Limit"]) == 1000000
        assert 1 <= int(answer.headers["RateLimit-Reset"]) <= 60
    if int(first.headers["RateLimit-Reset"]) >= int(second.headers["RateLimit-Reset"]):
        assert int(second.headers["RateLimit-Remaining"]) == int(first.headers["RateLimit-Remaining"]) - 1


def test_rate_limit_headers_on_errors(platform):
    assert "RateLimit-Limit" in platform.get(ORDERS).headers


def test_answers_are_json(shop):
    assert shop.get(ORDERS).headers["Content-Type"].split(";")[0] == "application/json"


# What is answered is much of it users' text, which a browser is to take for what it is said to be.
ANSWERED = ["/livez", "/readyz", "/metrics", "/nothing", "/api/v1/nothing", "/api/docs", "/api/docs/errors", "/api/docs/guides", "/api/docs/pages.css",
            "/api/docs/openapi.json", "/api/docs/openapi.yaml", "/api/apps/oauth/authorize", "/assets/stores/1/products/1/none.png", ORDERS]


@pytest.mark.parametrize("path", ANSWERED)
def test_browsers_do_not_guess_types(platform, path):
    for method in ("GET", "HEAD", "OPTIONS", "DELETE"):
        answer = platform.request(method, path)
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"], (method, answer.status_code)


def test_browsers_do_not_guess_types_of_what_a_store_has(platform, shop):
    product = shop.post("/api/apps/v1/products", {"name": "<script>"}).json()["data"]["product_id"]
    uploaded = upload(shop, product, image())
    served = platform.get(f"/assets/{uploaded.json()['data'][0]['stored_key']}")
    listed = shop.get(ORDERS)
    for answer, status in ((uploaded, 201), (served, 200), (listed, 200), (shop.get(ORDERS, headers={"If-None-Match": listed.headers["ETag"]}), 304),
                           (shop.get("/api/apps/v1/bulk/products/export"), 200), (shop.post(ORDERS, {"items": "none"}), 400)):
        assert answer.status_code == status and answer.headers.get_all("X-Content-Type-Options") == ["nosniff"], answer


# ---- conditional reads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [ORDERS, "/api/apps/v1/store", "/api/apps/v1/products", "/api/docs/openapi.json"])
def test_etag_and_304(shop, path):
    first = shop.get(path)
    assert first.status_code == 200
    tag = first.headers["ETag"]
    assert re.fullmatch(r'(W/)?"[^"]+"', tag)
    for sent in (tag, "*", f'"other", {tag}', tag if tag.startswith("W/") else f"W/{tag}"):
        again = shop.get(path, headers={"If-None-Match": sent})
        assert (again.status_code, again.content) == (304, b""), sent
        assert again.headers["ETag"] == tag
    assert shop.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_etag_changes_with_the_content(shop):
    before = shop.get(ORDERS).headers["ETag"]
    assert shop.post(ORDERS, {"items": [{"name": "Tea", "price": 10, "quantity": 1}]}).status_code == 201
    after = shop.get(ORDERS, headers={"If-None-Match": before})
    assert after.status_code == 200 and after.headers["ETag"] != before


# ---- CORS ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [ORDERS, "/api/v1/auth/login", "/api/auth/me"])
def test_preflight(platform, path):
    answer = platform.request("OPTIONS", path, headers={
        "Origin": "https://shop.example", "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization, idempotency-key"})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://shop.example")
    assert {"GET", "POST"} & {word.strip() for word in answer.headers["Access-Control-Allow-Methods"].split(",")}
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert all(name in allowed for name in ("authorization", "x-client-id", "x-client-secret", "x-store-id",
                                            "content-type", "idempotency-key", "x-auth-token"))
    assert answer.json(), "no answer is empty"


def test_cross_origin_answers_show_their_headers(shop):
    answer = shop.get(ORDERS, headers={"Origin": "https://shop.example"})
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", "https://shop.example")
    assert "ratelimit-remaining" in answer.headers["Access-Control-Expose-Headers"].lower()


def test_errors_are_readable_across_origins(platform):
    answer = platform.get(ORDERS, headers={"Origin": "https://shop.example"})
    assert answer.status_code == 401 and "Access-Control-Allow-Origin" in answer.headers


# ---- malformed HTTP --------------------------------------------------------------------------------------------------


MALFORMED = {
    "no HTTP": "hello\r\n\r\n", "bytes": bytes(range(256)) * 20,
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500,
    "no version": "GET /livez\r\n\r\n", "bad version": "GET /livez HTTP/9.9\r\nHost: a\r\n\r\n",
    "lower case": "get /livez http/1.1\r\n\r\n",
    "no host": "GET /livez HTTP/1.1\r\n\r\n", "space before colon": "GET /livez HTTP/1.1\r\nHost : a\r\n\r\n",
    "NUL in URL": b"GET /livez\x00/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "NUL in header": b"GET /livez HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
    "bad escape in path": "GET /api/apps/v1/orders/%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad length": f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n",
    "negative length": f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
    "two lengths": f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhelloo",
    "length and chunks": f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "0\r\n\r\n",
    "bad chunk": f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                 "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "unknown coding": f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    "header without colon": "GET /livez HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
    "one endless header": "GET /livez HTTP/1.1\r\nHost: a\r\nX: " + "a" * 200000 + "\r\n\r\n",
    "one endless line": "GET /" + "a" * 200000 + " HTTP/1.1\r\nHost: a\r\n\r\n",
    "10,000 headers": "GET /livez HTTP/1.1\r\nHost: a\r\n" + "".join(f"X-{i}: 1\r\n" for i in range(10000)) + "\r\n",
}
TOLERATED = {"no version", "lower case", "no host", "space before colon", "two lengths", "length and chunks",
             "unknown coding", "header without colon", "bad version", "NUL in header"}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_http(platform, name):
    """Refused, or, where harmless, understood; never a 500."""
    data = MALFORMED[name]
    with Raw(platform) as raw:
        answer = raw.send(data).end().answer()
    if answer is None:
        return
    status, headers, body = answer
    assert status < 500 or status in (501, 505)
    if status >= 400:
        assert headers["content-type"].split(";")[0] == "application/json", body[:200]
        assert headers["x-content-type-options"] == "nosniff"
        error = json.loads(body)
        assert error["status"] == status and error["code"] and error["message"]
    else:
        assert name in TOLERATED


LIVEZ = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
TWO_WAYS = {
    "blank before the colon of a length": f"Content-Length : {len(LIVEZ)}\r\n\r\n{LIVEZ}",
    "blank before the colon of a coding": "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "tab before the colon": "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "coding on the next line": "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "key on two lines": "Idempotency-Key: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "two hosts": "Host: b\r\n\r\n",
    "same length twice": "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two codings": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", TWO_WAYS)
def test_headers_that_can_be_read_in_two_ways(platform, shop, name):
    """Whoever stands before the platform may read them the other way: nothing behind them is taken for a request."""
    with Raw(platform) as raw:
        raw.send(f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nAuthorization: {shop.bearer['Authorization']}\r\n"
                 f"Content-Type: application/json\r\n{TWO_WAYS[name]}{LIVEZ}")
        data = b"".join(iter(lambda: raw.socket.recv(65536), b""))
    assert data.startswith(b"HTTP/1.1 400") and data.count(b"HTTP/1.1 ") == 1
    assert json.loads(data.partition(b"\r\n\r\n")[2])["code"] == "bad_request"


@pytest.mark.parametrize("second", [
    "Authorization: Bearer x", "authorization: {bearer}", "X-Auth-Token: a\r\nx-auth-token: a", "X-Client-Id: a\r\nX-Client-Id: b",
    "X-Client-Secret: a\r\nX-Client-Secret: a", "X-Store-Id: 1\r\nx-store-id: 2", "Content-Type: text/plain",
    "Content-Encoding: identity\r\nContent-Encoding: gzip"])
def test_a_header_that_says_who_or_what_stands_once(platform, shop, second):
    """Of two a proxy may have read the other one; the connection goes on."""
    bearer = shop.bearer["Authorization"]
    with Raw(platform) as raw:
        raw.send(f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nAuthorization: {bearer}\r\nContent-Type: application/json\r\n"
                 f"{second.format(bearer=bearer)}\r\nContent-Length: 2\r\n\r\n{{}}{LIVEZ}").end()
        data = b"".join(iter(lambda: raw.socket.recv(65536), b""))
    assert data.startswith(b"HTTP/1.1 400") and data.count(b"HTTP/1.1 ") == 2
    assert b'"bad_request"' in data and b" stands twice; send it once" in data


def test_good_headers_that_come_byte_by_byte(platform):
    """However the memory they are read into grows, they are understood."""
    head = "GET /livez HTTP/1.1\r\nHost:a\r\nEmpty:\r\nBlank: \t \r\n" + "".join(f"X-{i}: \t {'v' * 900}\r\n" for i in range(12))
    with Raw(platform) as raw:
        for byte in head[:300]:
            raw.send(byte)
        for at in range(300, len(head), 700):
            raw.send(head[at:at + 700])
            time.sleep(0.002)
        assert raw.send("\r\n").answer()[0] == 200


@pytest.mark.parametrize("path", ["/%61pi/apps/v1/store", "/api/%61pps/v1/store", "http://a/api/apps/v1/store",
                                  "https://a/%61%70%69/apps/v1/store"])
def test_no_way_of_writing_a_path_leads_around_the_limits(platform, shop, path):
    before = int(shop.get("/api/apps/v1/store").headers["RateLimit-Remaining"])
    with Raw(platform) as raw:
        raw.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {shop.bearer['Authorization']}\r\n\r\n")
        status, headers, _ = raw.answer()
    assert status == 200
    assert int(headers["ratelimit-remaining"]) in (before - 1, 999999)


def test_an_escaped_path_has_the_errors_of_its_family(platform):
    is_error(platform.get("/%61pi/v1/nothing"), 404, "NOT_FOUND")


def test_the_query_of_an_absolute_url_is_no_path(platform, shop):
    with Raw(platform) as raw:
        raw.send(f"GET http://a?b=/api/apps/v1/store HTTP/1.1\r\nHost: a\r\nAuthorization: {shop.bearer['Authorization']}\r\n\r\n")
        assert raw.answer()[0] == 404


def test_a_buffer_full_of_nothing_costs_no_time(platform):
    """A chunk's extension that does not end fills the connection's memory: the gateway waits for its end, it does not spin."""
    def cpu_s():
        fields = Path(f"/proc/{platform['gateway-1'].pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with Raw(platform) as raw:
        raw.send(f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;{'a' * 30000}")
        time.sleep(0.2)
        before = cpu_s()
        time.sleep(2)
        assert cpu_s() - before < 0.5
        started = time.monotonic()
        assert platform.get("/livez").status_code == 200
        assert time.monotonic() - started < 0.5


def test_pipelined_requests_are_answered_in_order(platform):
    with Raw(platform) as raw:
        raw.send("".join(f"GET /livez HTTP/1.1\r\nHost: a\r\nX-Request-Id: n{i}\r\n\r\n" for i in range(20)))
        data = more = raw.socket.recv(65536)
        while more and (data.count(b"HTTP/1.1 200") < 20 or not data.endswith(b"}")):
            more = raw.socket.recv(65536)
            data += more
    assert re.findall(rb"(?i)x-request-id: (n\d+)", data) == [f"n{i}".encode() for i in range(20)]


def test_http_1_0(platform):
    with Raw(platform) as raw:
        status, _, body = raw.send("GET /livez HTTP/1.0\r\n\r\n").answer()
    assert status == 200 and json.loads(body)["status"] == 200


def test_expect_100_continue(platform, shop):
    text = json.dumps({"items": [{"name": "Tea", "price": 1, "quantity": 1}]})
    with Raw(platform) as raw:
        raw.send(f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nAuthorization: {shop.bearer['Authorization']}\r\n"
                 f"Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n")
        assert raw.socket.recv(1000).startswith(b"HTTP/1.1 100")
        status, _, _ = raw.send(text).answer()
    assert status == 201


# ---- patience --------------------------------------------------------------------------------------------------------


def test_a_client_that_goes_away_midway(platform, shop):
    for cut in (10, 60, 200):
        text = (f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nAuthorization: {shop.bearer['Authorization']}\r\n"
                "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"note\":")
        for _ in range(20):
            with Raw(platform) as raw:
                raw.send(text[:cut])
    assert shop.get(ORDERS).json()["pagination"]["total"] == 0


def closes_midway(raw, text):
    """All of the text and the end of the stream, so that they come together."""
    raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    raw.send(text).end()


@pytest.mark.parametrize("what", ["head", "json", "chunked", "images", "thrown away"])
def test_a_stream_that_ends_midway_ends_the_connection(platform, shop, what):
    """Also when its end comes together with its last data, and whatever was asked before: seconds, not until an idle connection ends."""
    assert shop.get(ORDERS).status_code == 200          # the identity is known from now on
    head = f"Host: a\r\nAuthorization: {shop.bearer['Authorization']}\r\n"
    text = {
        "head": f"POST {ORDERS} HTTP/1.1\r\n{head}",
        "json": f"POST {ORDERS} HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{{\"note\":",
        "chunked": f"POST {ORDERS} HTTP/1.1\r\n{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{{\"note\":\r\n",
        "images": f"POST /api/apps/v1/products/1/images HTTP/1.1\r\n{head}Content-Type: multipart/form-data; boundary=b\r\n"
                  "Content-Length: 5000\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"images\"; filename=\"a.png\"\r\n\r\nabc",
        "thrown away": f"POST /nothing HTTP/1.1\r\n{head}Content-Length: 500\r\n\r\nabc"}[what]
    with Raw(platform) as fresh, Raw(platform) as used:
        used.send(f"GET /livez HTTP/1.1\r\n{head}\r\n")
        assert used.answer()[0] == 200
        time.sleep(2)                                   # it is no new connection any more
        for raw in (fresh, used):
            closes_midway(raw, text)
        for raw in (fresh, used):
            assert raw.answer() is None
    assert shop.get(ORDERS).json()["pagination"]["total"] == 0


def test_a_drain_does_not_wait_for_streams_that_ended(make_platform):
    platform = make_platform()
    shop = Owner(platform).open_shop()
    assert shop.get(ORDERS).status_code == 200
    connections = [Raw(platform) for _ in range(5)]
    for raw in connections:
        closes_midway(raw, f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nAuthorization: {shop.bearer['Authorization']}\r\n"
                           "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"note\":")
    assert shop.get(ORDERS).status_code == 200
    started = time.monotonic()
    assert platform["gateway-1"].terminate() == 0
    assert time.monotonic() - started < 10, "a drain waits 15 s for what is still being read"
    for raw in connections:
        raw.socket.close()


def test_slow_clients_are_cut_off_and_hold_nobody_up(platform):
    """Clients that send a byte now and then, in the head and in the body, are closed; others are served meanwhile."""
    slow = [Raw(platform) for _ in range(50)]
    started = time.monotonic()
    try:
        for index, raw in enumerate(slow):
            raw.send("GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow: " if index % 2 else
                     f"POST {ORDERS} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        gone = set()
        while len(gone) < len(slow) and time.monotonic() - started < 60:
            for index, raw in enumerate(slow):
                if index not in gone:
                    try:
                        raw.socket.settimeout(0.001)
                        if raw.socket.recv(65536) == b"":
                            gone.add(index)
                        raw.socket.sendall(b"a")
                    except socket.timeout:
                        raw.send("a")
                    except OSError:
                        gone.add(index)
            asked = time.monotonic()
            assert platform.get("/livez").status_code == 200
            assert time.monotonic() - asked < 2
            time.sleep(0.5)
        assert len(gone) == len(slow), f"{len(slow) - len(gone)} slow clients are still held after 60 s"
    finally:
        for raw in slow:
            raw.socket.close()


def test_a_thousand_idle_connections(platform, shop):
    idle = []
    try:
        for _ in range(1000):
            idle.append(Raw(platform))
        for raw in idle[::10]:
            raw.send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        for raw in idle[::10]:
            assert raw.answer()[0] == 200
        started = time.monotonic()
        for _ in range(50):
            assert shop.get(f"{ORDERS}?limit=1").status_code == 200
        assert time.monotonic() - started < 10
    finally:
        for raw in idle:
            raw.socket.close()


# ---- the gateway's own pages -----------------------------------------------------------------------------------------


def test_the_document_in_both_forms(platform):
    as_json, as_yaml = platform.get("/api/docs/openapi.json"), platform.get("/api/docs/openapi.yaml")
    assert as_json.headers["Content-Type"].split(";")[0] == "application/json"
    assert as_yaml.headers["Content-Type"].split(";")[0] == "application/yaml"
    document = as_json.json()
    assert document["openapi"].startswith("3.1") and ORDERS in document["paths"]
    assert yaml.safe_load(as_yaml.text) == document


def test_readyz_names_the_services(platform):
    ready = platform.get("/readyz").json()["data"]
    assert ready["ready"] is True and ready["identity_lease"] is True
    workers = {entry["service"]: entry for entry in ready["services"]}
    assert {"auth", "store-data"} <= set(workers)
    assert all(entry["workers"] > 0 and entry["foreign_contract"] == 0 for entry in workers.values())


def test_metrics(platform, shop):
    shop.get(ORDERS)
    text = platform.get("/metrics").text
    assert re.search(r"(?m)^# TYPE \w+ (counter|gauge|histogram)$", text)
    assert "process_cpu_seconds_total" in text
    wrong = [line for line in text.splitlines()
             if not re.fullmatch(r"(#.*|[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? [-+0-9.eInfNa]+|)", line)]
    assert wrong == []


def test_bodies_held_are_bounded_all_together(platform, shop):
    """Eighty clients hold a megabyte each: beyond 64 MiB the gateway refuses, and serves everybody again when they are gone."""
    head = (f"POST {ORDERS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shop.access_token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1048000\r\n\r\n")
    holders = [Raw(platform).send(head).send(b" " * 1040000) for _ in range(80)]
    try:
        assert shop.get("/api/apps/v1/store").status_code == 200
        time.sleep(2)                               # everything sent has been read
        answers = [holder.send(b" " * 8000).answer() for holder in holders]
        assert {(status, json.loads(body)["code"]) for status, _, body in answers} == \
            {(400, "invalid_json"), (503, "service_unavailable")}
    finally:
        for holder in holders:
            holder.socket.close()
    deadline = time.monotonic() + 10
    while shop.post(ORDERS, body=b" " * 1000000).status_code == 503 and time.monotonic() < deadline:
        time.sleep(0.05)
    is_error(shop.post(ORDERS, body=b" " * 1000000), 400, "invalid_json")

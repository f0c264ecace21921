"""Answers that come in chunks (x-stream) and bodies that go in pieces (x-upload), through a real gateway and a real service.

The service writes down every call it takes (service.c), so that a test sees what the gateway asked, and of which worker.
"""

import hashlib
import http.client
import itertools
import json
import os
import socket
import threading
import time

import msgpack
import pytest

from api.client import Answer, is_error
from api.platform import VARIANT
from api.raw import Raw
from api.rpc import FLAG_ERROR, unpack

PIECE = 262144
SLOW = 3 if VARIANT == "asan" else 1
MEMORY_GROWTH_MAX = 24 << 20
GATEWAY_STOP_S = 15                     # DRAIN_WAIT_MS
names = itertools.count(1)


@pytest.fixture
def run():
    """The name under which the service writes down this test's calls."""
    return f"run-{os.getpid()}-{next(names)}"


def path_of(run, **query):
    return "/streams/lines?" + "&".join(f"{name}={value}" for name, value in {"run": run, **query}.items())


class Exchange:
    """One connection with one request on it."""

    def __init__(self, platform, method, path, body=None, headers=None, buffer=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", platform.ports[0].number, timeout=30)
        if buffer:
            self.connection.sock = socket.socket()
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            self.connection.sock.settimeout(30)
            self.connection.sock.connect(("127.0.0.1", platform.ports[0].number))
        self.connection.request(method, path, body=body, headers=headers or {}, encode_chunked=True)
        self.response = self.connection.getresponse()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.response.close()
        self.connection.close()


def get(platform, path, method="GET", headers=None):
    with Exchange(platform, method, path, headers=headers) as exchange:
        return Answer(exchange.response)


def send(platform, path, body, headers=None):
    """A POST; body is bytes, or an iterator of bytes, which goes in chunks."""
    headers = {"Content-Type": "application/x-ndjson", **(headers or {})}
    with Exchange(platform, "POST", path, body, headers) as exchange:
        return Answer(exchange.response)


def taken(platform, run):
    """(place, again, worker) of every call the service took."""
    return platform.postgres.rows("select place, again, worker from streams.taken where run = %s order by id", (run,))


def places(platform, run):
    return [place for place, _, _ in taken(platform, run)]


def pieces(platform, run):
    """(upload, seq, bytes) of what was kept."""
    return [(upload, seq, bytes(data)) for upload, seq, data in platform.postgres.rows(
        "select upload_id, seq, bytes from streams.piece join streams.upload using (upload_id) where run = %s "
        "order by upload_id, seq", (run,))]


def wait_for(condition, what, timeout=10):
    deadline = time.monotonic() + timeout * SLOW
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def numbers(content):
    lines = content.decode().split("\n")
    assert lines.pop() == "", "the last line has an end too"
    return [json.loads(line)["line"] for line in lines]


def memory(platform):
    with open(f"/proc/{platform['gateway-1'].pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def broken(platform, run):
    """What the gateway has logged about a stream that ended as an error."""
    return [line for line in platform.log_lines(run) if line.get("event") == "stream_broken"]


def is_well(platform, name="after"):
    """The gateway serves on."""
    answer = get(platform, path_of(f"{name}-{next(names)}", chunks=2))
    assert answer.status_code == 200 and numbers(answer.content) == list(range(20))


# ---- streams ---------------------------------------------------------------------------------------------------------


def test_a_stream_is_all_its_chunks_in_order(platform, run):
    answer = get(platform, path_of(run, chunks=50, lines=7))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Transfer-Encoding"] == "chunked" and answer.headers["X-Request-Id"]
    assert numbers(answer.content) == list(range(350))
    assert places(platform, run) == list(range(50))


def test_one_chunk_is_an_ordinary_body_of_the_same_type(platform, run):
    answer = get(platform, path_of(run, chunks=1))
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert numbers(answer.content) == list(range(10))


@pytest.mark.parametrize("chunks, lines", [(0, 10), (1, 0), (5, 0)])
def test_an_empty_stream(platform, run, chunks, lines):
    answer = get(platform, path_of(run, chunks=chunks, lines=lines))
    assert answer.status_code == 200 and answer.content == b""
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert len(taken(platform, run)) == max(chunks, 1)


def test_the_client_says_where_to_go_on(platform, run):
    answer = get(platform, path_of(run, chunks=5, after=3))
    assert numbers(answer.content) == list(range(30, 50))
    assert places(platform, run) == [3, 4]


def test_an_after_that_the_contract_does_not_take(platform, run):
    is_error(get(platform, path_of(run, after="9" * 33)), 400, "validation_error")
    is_error(get(platform, path_of(run, after="no-number")), 400, "validation_error")
    assert places(platform, run) == []


@pytest.mark.parametrize("chunks", [1, 5])
def test_head_has_the_head_and_asks_once(platform, run, chunks):
    answer = get(platform, path_of(run, chunks=chunks), "HEAD")
    assert answer.status_code == 200 and answer.content == b""
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert places(platform, run) == [0]


def test_the_connection_lives_on_after_a_stream(platform, run):
    with Exchange(platform, "GET", path_of(run, chunks=5)) as exchange:
        assert numbers(exchange.response.read()) == list(range(50))
        exchange.connection.request("GET", "/livez")
        assert exchange.connection.getresponse().status == 200


def test_http_1_0_gets_the_bytes_and_the_end(platform, run):
    with Raw(platform) as raw:
        raw.send(f"GET {path_of(run, chunks=5)} HTTP/1.0\r\n\r\n")
        status, headers, body = raw.answer()
    assert status == 200 and "transfer-encoding" not in headers
    assert numbers(body) == list(range(50))


def test_memory_does_not_grow_with_the_stream(platform, run):
    chunks = 800 // (8 if VARIANT == "asan" else 1)
    query = {"lines": 200, "width": 1280}
    get(platform, path_of(run + "-warm", chunks=40, **query))
    before, size, highest = memory(platform), 0, 0
    with Exchange(platform, "GET", path_of(run, chunks=chunks, **query)) as exchange:
        while data := exchange.response.read(1 << 20):
            size += len(data)
            highest = max(highest, memory(platform))
    assert size > chunks * 250_000
    assert highest - before < MEMORY_GROWTH_MAX, f"{size >> 20} MB streamed, {(highest - before) >> 10} KiB more memory"


def test_a_slow_reader_is_waited_for(platform, run):
    """What the sockets hold is asked for, no more; the rest when the client reads on."""
    query = {"chunks": 120, "lines": 200, "width": 1280}
    with Exchange(platform, "GET", path_of(run, **query), buffer=65536) as exchange:
        wait_for(lambda: places(platform, run), "nothing was asked for")
        asked = 0
        while asked < (asked := len(places(platform, run))):
            time.sleep(0.5 * SLOW)
        assert asked < 60, "chunks were asked for that nobody reads"
        assert numbers(exchange.response.read()) == list(range(120 * 200))
    assert places(platform, run) == list(range(120))


def test_a_client_that_leaves_is_noticed(platform, run):
    with Exchange(platform, "GET", path_of(run, chunks=100_000, lines=100)) as exchange:
        exchange.response.read(100_000)
    asked = -1
    while asked < (asked := len(places(platform, run))):
        time.sleep(0.3 * SLOW)
    assert asked < 100_000
    is_well(platform)


def test_a_client_that_leaves_while_a_chunk_is_made(platform, run):
    with Exchange(platform, "GET", path_of(run, chunks=3, fault="sleep", at=1)) as exchange:
        exchange.response.read(10)
        wait_for(lambda: places(platform, run) == [0, 1], "the second chunk was not asked for")
    is_well(platform)
    time.sleep(5.5)                             # the call's deadline passes, the reply comes late
    is_well(platform)
    assert places(platform, run) == [0, 1]


FAULTS = {
    "fail": [0, 1, 2], "created": [0, 1, 2], "huge": [0, 1, 2],             # the fault is the third chunk's
    "wide_next": [0, 1, 2], "endless_next": [0, 1, 2],                      # the third chunk leads nowhere
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_midway_is_no_end(platform, run, fault):
    with Exchange(platform, "GET", path_of(run, chunks=5, fault=fault, at=2), headers={"X-Request-Id": run}) as exchange:
        assert exchange.response.status == 200
        with pytest.raises(http.client.IncompleteRead) as cut:
            exchange.response.read()
    whole = 30 if fault == "wide_next" else 20      # that chunk itself is good
    assert numbers(cut.value.partial) == list(range(whole))
    assert places(platform, run) == FAULTS[fault]
    assert len(broken(platform, run)) == 1
    lines = [line for line in platform.log_lines(run) if line.get("event") == "request"]
    assert all(line["status"] == 200 for line in lines)
    is_well(platform)


@pytest.mark.parametrize("fault, status, code", [
    ("fail", 400, "validation_error"), ("huge", 500, "internal_error"), ("endless_next", 500, "internal_error")])
def test_an_error_of_the_first_chunk_is_the_answer(platform, run, fault, status, code):
    is_error(get(platform, path_of(run, chunks=5, fault=fault)), status, code)
    assert places(platform, run) == [0]


def test_a_stream_that_never_had_a_200(platform, run):
    """Only a 200 is a stream: what is said in another status is said at once."""
    answer = get(platform, path_of(run, chunks=5, fault="created"))
    assert answer.status_code == 201 and len(places(platform, run)) == 1


def test_a_worker_killed_midway_costs_nothing(platform, run):
    answer = get(platform, path_of(run, chunks=6, fault="die", at=3))
    assert numbers(answer.content) == list(range(60))
    calls = taken(platform, run)
    assert [place for place, _, _ in calls] == [0, 1, 2, 3, 3, 4, 5]
    (_, first, killed), (_, second, other) = calls[3:5]
    assert (first, second) == (False, True) and killed != other


def test_the_deadline_is_each_chunks_own(platform, run):
    with Exchange(platform, "GET", path_of(run, chunks=5, fault="sleep", at=2)) as exchange:
        with pytest.raises(http.client.IncompleteRead) as cut:
            exchange.response.read()
    assert numbers(cut.value.partial) == list(range(20))
    assert places(platform, run) == [0, 1, 2]
    wait_for(lambda: platform.get("/livez").status_code == 200, "the gateway does not answer")


# ---- uploads ---------------------------------------------------------------------------------------------------------


def ndjson(size, width=150):
    """Lines of various lengths, at least size bytes of them."""
    lines, total = [], 0
    for number in itertools.count():
        lines.append(json.dumps({"line": number, "fill": "y" * (number * 37 % (2 * width))}) + "\n")
        total += len(lines[-1])
        if total >= size:
            return "".join(lines).encode()


def slices(data, size):
    return (data[start:start + size] for start in range(0, len(data), size))


def is_taken(platform, run, answer, data):
    """The answer is the sum, and every piece but the last is as many whole lines as fit."""
    assert answer.status_code == 202, answer.text
    kept = pieces(platform, run)
    assert answer.json()["data"] == {
        "pieces": len(kept), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert len({upload for upload, _, _ in kept}) == 1
    assert [seq for _, seq, _ in kept] == list(range(len(kept)))
    assert b"".join(piece for _, _, piece in kept) == data
    for (_, _, piece), (_, _, following) in zip(kept, kept[1:]):
        assert len(piece) <= PIECE and piece.endswith(b"\n")
        line = following.partition(b"\n")[0] + b"\n"
        assert len(piece) + len(line) > PIECE, "another line would have fitted"


@pytest.mark.parametrize("way", ["length", "chunked", "small chunks"])
def test_ten_megabytes_arrive_whole(platform, run, way):
    data = ndjson(10 << 20)
    body = {"length": data, "chunked": slices(data, 100_000), "small chunks": slices(data, 1777)}[way]
    before = memory(platform)
    is_taken(platform, run, send(platform, path_of(run), body), data)
    assert memory(platform) - before < MEMORY_GROWTH_MAX
    assert len(pieces(platform, run)) >= 40


@pytest.mark.parametrize("data", [
    b"", b"\n", b"one", b"one\n", b"one\ntwo",
    b"a" * (PIECE - 1) + b"\n",
    b"a" * (PIECE - 1) + b"\nb",
    b"a" * (PIECE - 2) + b"\n" + b"b" * (PIECE - 1) + b"\n" + b"c" * (PIECE - 1),
    b"\n" * (2 * PIECE),
], ids=["empty", "newline", "one", "line", "unended", "full", "full+1", "long lines", "newlines"])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_at_the_borders(platform, run, data, chunked):
    is_taken(platform, run, send(platform, path_of(run), slices(data, 100_000) if chunked else data), data)


def test_the_connection_lives_on_after_an_upload(platform, run):
    data = ndjson(PIECE * 3)
    with Exchange(platform, "POST", path_of(run), data, {"Content-Type": "application/x-ndjson"}) as exchange:
        assert exchange.response.status == 202
        exchange.response.read()
        exchange.connection.request("GET", "/livez")
        assert exchange.connection.getresponse().status == 200


@pytest.mark.parametrize("before", [0, 1000, 600_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_line_that_no_piece_can_hold(platform, run, before, chunked):
    head = ndjson(before) if before else b""
    data = head + b"z" * PIECE + b"\n" + ndjson(500_000)
    answer = send(platform, path_of(run), slices(data, 65536) if chunked else data)
    [problem] = is_error(answer, 400, "validation_error")["errors"]
    assert problem["field"] == "body" and str(PIECE) in problem["message"]
    assert f"byte {len(head)}" in problem["message"]
    assert b"".join(piece for _, _, piece in pieces(platform, run)) == head
    is_well(platform)


@pytest.mark.parametrize("at, size", [(0, 100), (0, 16 << 20), (2, 5 << 20)])
def test_an_error_at_a_piece_is_the_answer(platform, run, at, size):
    """Also to a client that listens only once it has sent everything."""
    data = ndjson(size - 400)
    answer = send(platform, path_of(run, fault="fail", at=at), data)
    assert is_error(answer, 400, "validation_error")["errors"][0]["field"] == "query.at"
    assert places(platform, run) == list(range(at + 1))
    is_well(platform)


def test_an_upload_without_a_name_goes_no_further(platform, run):
    is_error(send(platform, path_of(run, fault="nameless"), ndjson(PIECE * 3)), 500, "internal_error")
    assert places(platform, run) == [0]


def test_a_body_beyond_the_limit(platform, run):
    """Announced it is refused at once, in chunks when it has come: what was taken until then lacks its last piece."""
    limit = 16 << 20
    with Raw(platform) as raw:
        raw.send(f"POST {path_of(run)} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                 f"Content-Length: {limit + 1}\r\n\r\n")
        status, _, body = raw.answer()
    assert status == 413 and json.loads(body)["code"] == "payload_too_large"
    assert places(platform, run) == []
    is_error(send(platform, path_of(run), slices(ndjson(limit + 1000), 1 << 16)), 413, "payload_too_large")
    assert 0 < sum(len(piece) for _, _, piece in pieces(platform, run)) <= limit


def test_another_type_and_a_wrong_query_are_refused_before_the_body(platform, run):
    is_error(send(platform, path_of(run), b"{}\n", {"Content-Type": "application/json"}), 415, "unsupported_media_type")
    is_error(send(platform, path_of(run, at="x"), ndjson(PIECE * 2)), 400, "validation_error")
    assert places(platform, run) == []


def test_a_slow_client(platform, run):
    data = ndjson(700_000)

    def dripping():
        for part in slices(data, 100_000):
            yield part
            time.sleep(0.3)

    is_taken(platform, run, send(platform, path_of(run), dripping()), data)


def test_a_slow_service_slows_its_client_down(platform, run):
    """Pieces go one by one: nothing piles up in the gateway while the service takes its time."""
    data = ndjson(12 << 20)
    before = memory(platform)
    is_taken(platform, run, send(platform, path_of(run, fault="doze"), slices(data, 1 << 16)), data)
    assert memory(platform) - before < MEMORY_GROWTH_MAX


@pytest.mark.parametrize("sent", [100_000, 600_000])
def test_a_client_that_leaves_midway(platform, run, sent):
    """Its upload never gets a last piece."""
    with Raw(platform) as raw:
        raw.send(f"POST {path_of(run)} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                 f"Content-Length: 1000000\r\n\r\n").send(ndjson(sent)[:sent])
        wait_for(lambda: len(pieces(platform, run)) == sent // PIECE, "the pieces did not come")
    is_well(platform)
    assert len(taken(platform, run)) == sent // PIECE


def test_a_client_that_leaves_while_a_piece_is_taken(platform, run):
    with Raw(platform) as raw:
        raw.send(f"POST {path_of(run, fault='sleep', at=1)} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                 f"Content-Length: 1000000\r\n\r\n").send(ndjson(600_000))
        wait_for(lambda: places(platform, run) == [0, 1], "the second piece did not come")
    is_well(platform)
    time.sleep(6.5)
    is_well(platform)
    assert places(platform, run) == [0, 1]


def test_the_deadline_is_each_pieces_own(platform, run):
    is_error(send(platform, path_of(run, fault="sleep", at=1), ndjson(PIECE * 3)), 504, "gateway_timeout")
    assert places(platform, run) == [0, 1]
    assert len(pieces(platform, run)) <= 2


@pytest.mark.parametrize("fault", ["die", "die_later"])
@pytest.mark.parametrize("at", [1, 3])
def test_a_worker_killed_at_a_piece_costs_nothing(platform, run, fault, at):
    """The piece goes to another worker with the same seq; one that was kept already is not kept twice."""
    data = ndjson(900_000)
    is_taken(platform, run, send(platform, path_of(run, fault=fault, at=at), data), data)
    calls = taken(platform, run)
    assert [place for place, _, _ in calls] == [0, *range(1, at), at, at, *range(at + 1, 4)]
    (_, first, killed), (_, second, other) = calls[at:at + 2]
    assert (first, second) == (False, True) and killed != other


def test_the_first_piece_is_never_repeated(platform, run):
    """Nothing tells a second one from the first of another upload."""
    is_error(send(platform, path_of(run, fault="die_later"), ndjson(PIECE * 2)), 502, "outcome_unknown")
    assert taken(platform, run) == [(0, False, taken(platform, run)[0][2])]


def test_no_worker_at_all(platform, run):
    for process in platform.of("streams"):
        process.kill()
    is_error(send(platform, path_of(run), ndjson(PIECE * 5)), 503, "service_unavailable")
    is_error(get(platform, path_of(run)), 503, "service_unavailable")


# ---- over the RPC ----------------------------------------------------------------------------------------------------


def ask(platform, operation, **arguments):
    status, flags, headers, body = platform.rpc().ask(operation, **arguments)
    return (unpack(body) if flags & FLAG_ERROR else body), status, headers


def test_an_upload_over_the_rpc(platform, run):
    """Somebody who is no gateway sends pieces too; the worker checks them itself."""
    query = {"run": run}
    _, status, headers = ask(platform, "streams.lines.load", query=query,
                             body={"seq": 0, "bytes": b"a\n", "last": False})
    assert status == 200
    body = {"upload": headers["X-Upload-Id"], "seq": 1, "bytes": b"b\n", "last": True}
    answer, status, _ = ask(platform, "streams.lines.load", query=query, body=body)
    assert status == 202
    assert unpack(answer)["data"]["sha256"] == hashlib.sha256(b"a\nb\n").hexdigest()


@pytest.mark.parametrize("change, field", [
    ({"seq": None}, "seq"), ({"seq": -1}, "seq"), ({"bytes": None}, "bytes"), ({"bytes": "text\n"}, "bytes"),
    ({"bytes": b"x" * (PIECE + 1)}, "bytes"), ({"last": None}, "last"), ({"upload": "u" * 65}, "upload")])
def test_a_piece_that_is_none(platform, run, change, field):
    piece = {"seq": 0, "bytes": b"a\n", "last": True, **change}
    body = {name: value for name, value in piece.items() if value is not None}
    error, status, _ = ask(platform, "streams.lines.load", query={"run": run}, body=body)
    assert status == 400 and [problem["field"] for problem in error["errors"]] == [field]


def test_no_piece_at_all(platform, run):
    error, status, _ = ask(platform, "streams.lines.load", query={"run": run})
    assert status == 400 and error["errors"][0]["field"] == "body"


def test_a_stream_over_the_rpc(platform, run):
    """The caller asks chunk after chunk; the lines are msgpack values."""
    after, seen = None, []
    while True:
        query = {"run": run, "chunks": 3, **({"after": after} if after else {})}
        body, status, headers = ask(platform, "streams.lines.list", query=query)
        assert status == 200
        unpacker = msgpack.Unpacker()
        unpacker.feed(body)
        seen += [value["line"] for value in unpacker]
        after = headers.get("X-Stream-Next")
        if not after:
            break
    assert seen == list(range(30))


# ---- the gateway's end -----------------------------------------------------------------------------------------------


def test_what_ends_soon_ends_whole_while_the_gateway_goes(platform, run):
    data = ndjson(2 << 20)
    results = {}

    def upload():
        results["upload"] = send(platform, path_of(run + "-up", fault="doze"), slices(data, 1 << 16))

    def stream():
        results["stream"] = get(platform, path_of(run, fault="doze", chunks=50))

    threads = [threading.Thread(target=work) for work in (upload, stream)]
    for thread in threads:
        thread.start()
    wait_for(lambda: places(platform, run) and places(platform, run + "-up"), "nothing has begun")
    assert platform["gateway-1"].terminate() == 0
    for thread in threads:
        thread.join(30)
    assert numbers(results["stream"].content) == list(range(500))
    is_taken(platform, run + "-up", results["upload"], data)


def test_what_does_not_end_is_ended(platform, run):
    """Streams without end, clients that do not read, uploads that stand still or never stop: bounded, and as errors."""
    port, begun = platform.ports[0].number, threading.Barrier(4)
    ends = {}

    def reading(name, **query):
        with Exchange(platform, "GET", path_of(f"{run}-{name}", **query)) as exchange:
            begun.wait(30)
            try:
                while exchange.response.read(65536):
                    pass
                ends[name] = "whole"
            except (http.client.IncompleteRead, ConnectionResetError):
                ends[name] = "cut"

    def endless_body():
        begun.wait(30)
        for number in itertools.count():
            yield b"w" * 999 + b"\n"
            if number % 100 == 0:
                time.sleep(0.2)

    def writing(name):
        try:
            ends[name] = send(platform, path_of(f"{run}-{name}", fault="doze"), endless_body()).status_code
        except (ConnectionError, http.client.HTTPException):
            ends[name] = "cut"

    threads = [threading.Thread(target=reading, args=("fast",), kwargs={"chunks": 1 << 30}),
               threading.Thread(target=reading, args=("dozing",), kwargs={"chunks": 1 << 30, "fault": "doze"}),
               threading.Thread(target=writing, args=("upload",))]
    for thread in threads:
        thread.start()
    idle = Exchange(platform, "GET", path_of(run + "-idle", chunks=1 << 30, width=2000, lines=100), buffer=65536)
    stuck = socket.create_connection(("127.0.0.1", port))
    stuck.sendall(f"POST {path_of(run + '-stuck')} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                  "Content-Length: 1000000\r\n\r\n".encode() + ndjson(300_000))
    begun.wait(30)
    wait_for(lambda: len(places(platform, run + "-stuck")) == 1, "the first piece did not come")
    started = time.monotonic()
    assert platform["gateway-1"].terminate(timeout=GATEWAY_STOP_S + 8 * SLOW) == 0
    took = time.monotonic() - started
    for thread in threads:
        thread.join(10)
    idle.connection.close()
    stuck.close()
    assert took < GATEWAY_STOP_S + 5 * SLOW
    assert ends["fast"] == ends["dozing"] == "cut"
    assert ends["upload"] in ("cut", 413, 503)

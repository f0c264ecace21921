"""Answers that come in chunks (x-stream), through a real gateway and a real service.

The service writes down every call it takes, so that a test sees what the gateway asked, and of which worker.
"""

import http.client
import time

import pytest

from api.client import is_error
from api.platform import VARIANT
from api.raw import Raw
from streams.exchange import (
    MEMORY_GROWTH_MAX, SLOW, Exchange, broken, get, is_well, memory, numbers, path_of, places, taken, wait_for)


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


def test_memory_does_not_grow_and_the_pace_does_not_fall_with_the_stream(platform, run):
    chunks = 800 // (8 if VARIANT == "asan" else 1)
    query = {"lines": 200, "width": 1280}
    get(platform, path_of(run + "-warm", chunks=40, **query))
    before, size, highest, started = memory(platform), 0, 0, time.monotonic()
    with Exchange(platform, "GET", path_of(run, chunks=chunks, **query)) as exchange:
        while data := exchange.response.read(1 << 20):
            size += len(data)
            highest = max(highest, memory(platform))
    assert size > chunks * 250_000
    assert time.monotonic() - started < 20 * SLOW       # over a minute when the loop pauses between writes
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
    with Exchange(platform, "GET", path_of(run, chunks=5, fault=fault, at=2),
                  headers={"X-Request-Id": run}) as exchange:
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
    platform.wait_for_a_death()
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

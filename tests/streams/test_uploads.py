"""Bodies that go in pieces (x-upload), through a real gateway and a real service that keeps them."""

import json
import os
import time

import pytest

from api.client import is_error
from api.raw import Raw
from streams.exchange import (
    MEMORY_GROWTH_MAX, PIECE, Exchange, get, head_of_post, is_taken, is_well, memory, ndjson, path_of, pieces, places,
    send, slices, taken, wait_for)

BODIES_HELD_MAX = 64 << 20              # BODIES_SIZE_MAX


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
    """Its beginning goes on, longer than any line that fits; the rest of it does not, and what follows does."""
    head, tail = ndjson(before) if before else b"", ndjson(500_000)
    for rest in (b"", b"z", b"z" * (3 * PIECE + 7)):
        data = head + b"z" * PIECE + rest + b"\n" + tail
        answer = send(platform, path_of(run), slices(data, 65536) if chunked else data)
        assert answer.status_code == 202, answer.text
        kept = [piece for _, _, piece in pieces(platform, run)]
        assert b"".join(kept) == head + b"z" * PIECE + b"\n" + tail
        assert [len(piece) for piece in kept if len(piece) > PIECE] == [PIECE + 1]
        run += "x"
    is_well(platform)


def test_a_line_without_an_end(platform, run):
    """However long it is, only its beginning is held."""
    before = memory(platform)
    answer = send(platform, path_of(run), b"one\n" + b"z" * (12 << 20))
    assert answer.status_code == 202, answer.text
    assert [piece for _, _, piece in pieces(platform, run)] == [b"one\n", b"z" * PIECE + b"\n", b""]
    assert memory(platform) - before < MEMORY_GROWTH_MAX


@pytest.mark.parametrize("at, size", [(0, 100), (0, 16 << 20), (2, 5 << 20)])
def test_an_error_at_a_piece_is_the_answer(platform, run, at, size):
    """Also to a client that listens only once it has sent everything."""
    data = ndjson(size - 400)
    answer = send(platform, path_of(run, fault="fail", at=at), data)
    assert is_error(answer, 400, "validation_error")["errors"][0]["field"] == "query.at"
    assert places(platform, run) == list(range(at + 1))
    is_well(platform)


def test_no_chunk_right_behind_a_piece(platform, run):
    """While the piece is on its way; the connection ends all the same."""
    def descriptors():
        return len(os.listdir(f"/proc/{platform['gateway-1'].pid}/fd"))

    before = descriptors()
    for _ in range(8):
        with Raw(platform) as raw:
            raw.send(f"POST {path_of(run)} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
                     f"Transfer-Encoding: chunked\r\n\r\n{PIECE - 100:x}\r\n" + "x" * (PIECE - 101) + "\n\r\n")
            time.sleep(0.2)                         # so that what follows is read at once
            raw.send("64\r\n" + "y" * 99 + "\n\r\nnone\r\n")
            assert raw.answer()[0] == 400
    wait_for(lambda: descriptors() < before + 4, "connections have stayed")


def test_an_upload_without_a_name_goes_no_further(platform, run):
    is_error(send(platform, path_of(run, fault="nameless"), ndjson(PIECE * 3)), 500, "internal_error")
    assert places(platform, run) == [0]


def test_a_body_beyond_the_limit(platform, run):
    """Announced it is refused at once, in chunks when it has come: what was taken until then lacks its last piece."""
    limit = 16 << 20
    with Raw(platform) as raw:
        raw.send(head_of_post(path_of(run), limit + 1))
        status, _, body = raw.answer()
    assert status == 413 and json.loads(body)["code"] == "payload_too_large"
    assert places(platform, run) == []
    is_error(send(platform, path_of(run), slices(ndjson(limit + 1000), 1 << 16)), 413, "payload_too_large")
    assert 0 < sum(len(piece) for _, _, piece in pieces(platform, run)) <= limit


def test_all_uploads_together_are_bounded(platform, run):
    """Each may hold a piece; beyond that there is no room, until some have gone."""
    head = head_of_post(path_of(run), 100)
    uploads = [Raw(platform).send(head + "x") for _ in range(BODIES_HELD_MAX // PIECE)]
    try:
        wait_for(lambda: send(platform, path_of(run), b"one\n").status_code == 503, "there is always room")
    finally:
        for upload in uploads:
            upload.socket.close()
    wait_for(lambda: send(platform, path_of(run), b"one\n").status_code == 202, "there is no room again")


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
        raw.send(head_of_post(path_of(run), 1000000)).send(ndjson(sent)[:sent])
        wait_for(lambda: len(pieces(platform, run)) == sent // PIECE, "the pieces did not come")
    is_well(platform)
    assert len(taken(platform, run)) == sent // PIECE


def test_a_client_that_leaves_while_a_piece_is_taken(platform, run):
    with Raw(platform) as raw:
        raw.send(head_of_post(path_of(run, fault="sleep", at=1), 1000000)).send(ndjson(600_000))
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
    answer = send(platform, path_of(run, fault=fault, at=at), data)
    platform.wait_for_a_death()
    is_taken(platform, run, answer, data)
    calls = taken(platform, run)
    assert [place for place, _, _ in calls] == [0, *range(1, at), at, at, *range(at + 1, 4)]
    (_, first, killed), (_, second, other) = calls[at:at + 2]
    assert (first, second) == (False, True) and killed != other


def test_the_first_piece_is_never_repeated(platform, run):
    """Nothing tells a second one from the first of another upload."""
    is_error(send(platform, path_of(run, fault="die_later"), ndjson(PIECE * 2)), 502, "outcome_unknown")
    platform.wait_for_a_death()
    assert taken(platform, run) == [(0, False, taken(platform, run)[0][2])]


def test_no_worker_at_all(platform, run):
    for process in platform.of("streams"):
        process.kill()
    wait_for(lambda: get(platform, path_of(run)).status_code == 503, "the workers are still waited for")
    is_error(send(platform, path_of(run), ndjson(PIECE * 5)), 503, "service_unavailable")
    is_error(get(platform, path_of(run)), 503, "service_unavailable")

"""Streams and uploads asked for by somebody who is no gateway: the worker checks what it would have."""

import hashlib

import msgpack
import pytest

from api.rpc import FLAG_ERROR, unpack
from streams.exchange import PIECE


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
    ({"bytes": b"x" * (PIECE + 2)}, "bytes"), ({"last": None}, "last"), ({"upload": "u" * 65}, "upload")])
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

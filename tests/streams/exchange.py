"""One request on a connection of its own, and what the service has written down about it (service.c)."""

import hashlib
import http.client
import itertools
import json
import socket
import time

from api.client import Answer
from api.platform import VARIANT

PIECE = 262144                          # STREAM_CHUNK_MAX
SLOW = 3 if VARIANT == "asan" else 1
MEMORY_GROWTH_MAX = 24 << 20


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


def head_of_post(path, size):
    """For a bare connection."""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: {size}\r\n\r\n"


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


def is_well(platform):
    """The gateway serves on."""
    answer = get(platform, path_of("after", chunks=2))
    assert answer.status_code == 200 and numbers(answer.content) == list(range(20))


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

"""The gateway ends while streams and uploads are under way: in order when they end soon, in bounded time when not."""

import http.client
import itertools
import socket
import threading
import time

import pytest

from streams.exchange import (
    SLOW, Exchange, get, head_of_post, is_taken, ndjson, numbers, path_of, places, send, slices, wait_for)

GATEWAY_STOP_S = 15                     # DRAIN_WAIT_MS


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


@pytest.fixture
def platform_that_is_cut(platform):
    """The gateway goes while workers send to it. libzmq then and when forgets the metadata of a connection whose socket is
    closed while messages come (its issue 2602), so its own allocations do not count as leaks, in this one process."""
    gateway = platform["gateway-1"]
    suppressions = platform.home / "leaks-of-libzmq"
    suppressions.write_text("leak:libzmq.so\n")
    gateway.environment["LSAN_OPTIONS"] = f"suppressions={suppressions}"
    gateway.restart()
    platform.wait_ready()
    yield platform
    del gateway.environment["LSAN_OPTIONS"]


def test_what_does_not_end_is_ended(platform_that_is_cut, run):
    """Streams without end, clients that do not read, uploads that stand still or never stop: bounded, and as errors."""
    platform = platform_that_is_cut
    port, begun = platform.ports[0].number, threading.Barrier(8)
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
    # Of these some are being sent a chunk in the gateway's last turns, and would want another.
    threads += [threading.Thread(target=reading, args=(f"wide-{number}",), kwargs={"chunks": 1 << 30, "lines": 12,
                                                                                    "width": 20_000})
                for number in range(4)]
    for thread in threads:
        thread.start()
    idle = Exchange(platform, "GET", path_of(run + "-idle", chunks=1 << 30, width=2000, lines=100), buffer=65536)
    stuck = socket.create_connection(("127.0.0.1", port))
    stuck.sendall(head_of_post(path_of(run + "-stuck"), 1000000).encode() + ndjson(300_000))
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
    assert ends.pop("upload") in ("cut", 413, 503)
    assert len(ends) == 6 and set(ends.values()) == {"cut"}

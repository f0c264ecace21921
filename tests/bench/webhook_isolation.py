#!/usr/bin/python3
"""What bad endpoints cost their neighbours, in `make bench`: fifty subscriptions, of which one leads nowhere, one answers after
thirty seconds and one trickles a byte a second.

Each pair is a round without those three and one with them, in turns. An event's time runs from before it is published until
the endpoint has it; the p99 over the other 47 endpoints with the three may be 1.5 times that without them, and 5 ms, at the
median over the pairs. The exit status says whether it was.
"""

import asyncio
import json
import multiprocessing
import socket
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from figures import Platform, aim, finish, say  # noqa: E402

from api.hooks import HOOKS, event, publish, subscribe  # noqa: E402
from api.shop import Owner  # noqa: E402

PAIRS, SECONDS, RATE, GOOD = 10, 4, 10, 47
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Endpoint(asyncio.Protocol):
    """Answers at once and notes how old the event is."""

    times = []

    def __init__(self):
        self.data = b""

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            length = int(head[head.index(b"content-length:") + 15:].split(b"\r\n")[0])
            if len(self.data) < end + 4 + length:
                return
            sent_us = json.loads(self.data[end + 4:end + 4 + length])["data"]["sent_us"]
            self.times.append((time.time_ns() // 1000 - sent_us) / 1000)
            self.data = self.data[end + 4 + length:]
            self.transport.write(OK)


def serve_good(pipe):
    """A process of its own: tells its port, then the times that have come up since the last question."""
    async def serve():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Endpoint, "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        loop.add_reader(pipe.fileno(), answer)
        await server.serve_forever()

    def answer():
        pipe.recv()
        pipe.send(list(Endpoint.times))
        Endpoint.times.clear()

    asyncio.run(serve())


def take_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)


def wait_30(connection):
    take_request(connection)
    time.sleep(30)
    connection.sendall(OK)


def trickle(connection):
    take_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(1)


def serve_bad(behave):
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)

    def serve(connection):
        try:
            behave(connection)
        except OSError:
            pass
        connection.close()

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def serve_dead():
    """Its queue is full for ever, so that who dials gets no answer."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    serve_dead.kept = [listener]
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        serve_dead.kept.append(filler)
    return listener.getsockname()[1]


class Rounds:
    def __init__(self, platform, pipe, port):
        self.platform, self.pipe, self.number = platform, pipe, 0
        self.shop = Owner(platform).open_shop()
        for number in range(GOOD):
            subscribe(self.shop, f"http://127.0.0.1:{port}/{number}")
        ports = serve_dead(), serve_bad(wait_30), serve_bad(trickle)
        self.bad = [subscribe(self.shop, f"http://127.0.0.1:{each}/")["subscription_id"] for each in ports]
        self.switch(False)

    def switch(self, on):
        for subscription_id in self.bad:
            answer = self.shop.put(f"{HOOKS}/{subscription_id}", {"is_active": on})
            assert answer.status_code == 200, answer.text

    def times(self):
        self.pipe.send(None)
        return self.pipe.recv()

    def p99_ms(self, with_bad, seconds=SECONDS):
        self.switch(with_bad)
        self.times()
        begin, count = time.monotonic() + 0.2, RATE * seconds
        for n in range(count):
            time.sleep(max(0, begin + n / RATE - time.monotonic()))
            self.number += 1
            publish(self.platform, event(self.shop.store_id, resource_id=self.number, data={"sent_us": time.time_ns() // 1000}))
        found, deadline = self.times(), time.monotonic() + 30
        while len(found) < count * GOOD and time.monotonic() < deadline:
            time.sleep(0.1)
            found += self.times()
        if len(found) != count * GOOD:
            raise SystemExit(f"isolation: {len(found)} of {count * GOOD} deliveries came")
        return sorted(found)[len(found) * 99 // 100]


def main():
    pipe, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=serve_good, args=(theirs,), daemon=True)
    process.start()
    with Platform(durable=True, settings={"SX_ACCESS_LOG": 0, "SX_LOG_LEVEL": "warn"}) as platform:
        rounds = Rounds(platform, pipe, pipe.recv())
        rounds.p99_ms(False, 1)
        pairs = [(rounds.p99_ms(False), rounds.p99_ms(True)) for _ in range(PAIRS)]
    process.terminate()
    without, beside = (statistics.median(each) for each in zip(*pairs))
    excess = statistics.median(beside - 1.5 * without for without, beside in pairs)
    say(f"  p99 of the {GOOD} others: {without:.1f} ms without, {beside:.1f} ms with one dead, one 30-second and one trickling endpoint")
    aim("what these three add beyond 1.5 times the others' p99, in ms", excess, ceiling=5)
    return finish()


if __name__ == "__main__":
    sys.exit(main())

"""A gateway that does only what a test tells it: the broker's side of the internal RPC (proto/README.md, protocols 1, 2, 3, 14).

It binds the socket a real gateway would bind, takes READY from workers, sends them REQUESTs and sees everything they send.
"""

import itertools
import os
import time
from collections import namedtuple

import msgpack
import zmq

from api.rpc import FLAG_ERROR, HEADER, pack, unpack

READY, REQUEST, REPLY, PING, BYE, INVALIDATE, ACK = range(1, 8)
FLAG_JSON, FLAG_AGAIN = 1, 2

Message = namedtuple("Message", "worker kind flags status id name body")


class Answer:
    def __init__(self, message):
        self.status, self.flags, self.body = message.status, message.flags, message.body
        self.headers = unpack(message.name) if message.name else {}

    @property
    def is_error(self):
        return bool(self.flags & FLAG_ERROR)

    @property
    def value(self):
        return unpack(self.body)


class FakeGateway:
    def __init__(self, platform, index=1, give=lambda path: None):
        self.path = platform.home / "run" / f"gateway-{index}.ipc"
        self.ids = itertools.count(int.from_bytes(os.urandom(4), "big") << 32 | 1)
        self.echoes = True              # BYE is echoed as it comes
        self.seen = []                  # what came and was not asked for yet
        self.workers = {}               # routing id to service name, of READY
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, 500)
        self.socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 1500)
        self.socket.bind(f"ipc://{self.path}")
        give(self.path)

    def close(self, unlink=True):
        self.socket.close()
        if unlink:
            self.path.unlink(missing_ok=True)

    # -- messages --

    def send(self, worker, kind, *, number=0, flags=0, budget=5000, name=b"", body=b""):
        self.socket.send_multipart([worker, HEADER.pack(b"SXR1", kind, flags, 0, number, budget, 0), name, body])

    def take(self, wait_s):
        """One message from the socket, noted; False when none came."""
        if not self.socket.poll(max(wait_s, 0) * 1000):
            return False
        worker, header, name, body = self.socket.recv_multipart()
        magic, kind, flags, status, number, _, _ = HEADER.unpack(header)
        assert magic == b"SXR1"
        if kind == READY:
            self.workers[worker] = name.decode()
        if kind == BYE:
            self.workers.pop(worker, None)
        if kind == BYE and self.echoes:
            try:
                self.send(worker, BYE)
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:     # it did not wait for us
                    raise
        self.seen.append(Message(worker, kind, flags, status, number, name, body))
        return True

    def wait(self, kind, *, worker=None, number=None, timeout=5, fresh=False):
        """The first message of a kind; what came before counts, unless fresh is set."""
        deadline = time.monotonic() + timeout
        if fresh:
            self.listen(0)
            self.seen.clear()
        while True:
            for message in self.seen:
                if message.kind == kind and worker in (None, message.worker) and number in (None, message.id):
                    self.seen.remove(message)
                    return message
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no message of kind {kind} within {timeout} s; there were {[m.kind for m in self.seen]}")
            self.take(left)

    def listen(self, seconds):
        """Takes what comes for a while; answers it all."""
        deadline = time.monotonic() + seconds
        while self.take(deadline - time.monotonic()) or time.monotonic() < deadline:
            pass
        return self.seen

    def count(self, kind):
        return sum(message.kind == kind for message in self.seen)

    # -- a gateway's work --

    def wait_workers(self, service, count, timeout=5):
        """Routing ids of that many workers of a service."""
        deadline = time.monotonic() + timeout
        while True:
            found = [worker for worker, name in self.workers.items() if name == service]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"{len(found)} workers of {service}, not {count}"
            self.take(deadline - time.monotonic())

    def request(self, worker, operation, *, flags=0, budget=5000, **arguments):
        number = next(self.ids)
        self.send(worker, REQUEST, number=number, flags=flags, budget=budget, name=operation.encode(), body=pack(arguments))
        return number

    def ask(self, worker, operation, *, flags=0, budget=5000, timeout=5, **arguments):
        number = self.request(worker, operation, flags=flags, budget=budget, **arguments)
        return Answer(self.wait(REPLY, worker=worker, number=number, timeout=timeout))


def settle(gateways, seconds=1.0):
    """Lets workers move between several gateways until each has its share."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for gateway in gateways:
            gateway.listen(0.01)


def ready_body(message):
    return msgpack.unpackb(message.body)

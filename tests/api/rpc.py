"""The internal RPC as any other program of the platform would speak it: one DEALER, three frames (proto/README.md).

It shows that the protocol is simple enough to be spoken without our C code, and lets tests call every operation.
"""

import itertools
import json
import os
import struct
import time
from decimal import Decimal

import msgpack
import zmq

HEADER = struct.Struct(">4sBBHQIi")
REQUEST, REPLY = 2, 3
FLAG_JSON, FLAG_ERROR = 1, 4
EXT_MONEY, EXT_NUMBER = 1, 2
AUDIENCES = {"none": 0, "app": 1, "merchant": 2, "developer": 3, "admin": 4, "internal": 5}


class RpcError(Exception):
    """The answer was an error; `code`, `status`, `message`, `errors` and `details` are the answer's."""

    def __init__(self, operation, body):
        self.code, self.status, self.message = body.get("code"), body.get("status"), body.get("message")
        self.errors, self.details = body.get("errors", []), body.get("details", {})
        super().__init__(f"{operation}: {self.status} {self.code}: {self.message} {self.errors or ''}")


def pack(value):
    """Decimal becomes money with two decimals; everything else is msgpack's own."""

    def further(item):
        if isinstance(item, Decimal):
            return msgpack.ExtType(EXT_MONEY, struct.pack(">Bq", 2, int(item.scaleb(2))))
        raise TypeError(f"{type(item).__name__} does not travel")

    return msgpack.packb(value, default=further, datetime=True)


def unpack(data):
    def ext(code, body):
        if code == EXT_MONEY:
            decimals, amount = struct.unpack(">Bq", body)
            return Decimal(amount).scaleb(-decimals)
        if code == EXT_NUMBER:
            return Decimal(body.decode())
        return msgpack.ExtType(code, body)

    return msgpack.unpackb(data, ext_hook=ext, timestamp=3, strict_map_key=False)


class RpcClient:
    """One connection to one gateway. Not to be shared between threads."""

    def __init__(self, endpoint):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(endpoint)
        self.ids = itertools.count((int.from_bytes(os.urandom(4), "big") | 1) << 32 | 1)

    def close(self):
        self.socket.close()

    def ask(self, operation, *, flags=0, timeout=10, **arguments):
        """Sends one REQUEST and waits for its REPLY: (status, flags, headers, body), the body as bytes."""
        deadline = time.monotonic() + timeout
        number = next(self.ids)
        header = HEADER.pack(b"SXR1", REQUEST, flags, 0, number, int(timeout * 1000), 0)
        if not self.socket.poll(timeout * 1000, zmq.POLLOUT):
            raise TimeoutError(f"{operation}: no gateway takes it within {timeout} s")
        self.socket.send_multipart([header, operation.encode(), pack(arguments)])
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not self.socket.poll(left * 1000):
                raise TimeoutError(f"{operation}: no answer within {timeout} s")
            head, headers, body = self.socket.recv_multipart()
            magic, kind, reply_flags, status, reply_id, _, _ = HEADER.unpack(head)
            if magic == b"SXR1" and kind == REPLY and reply_id == number:
                return status, reply_flags, unpack(headers) if headers else {}, body

    def call(self, operation, body=None, *, path=None, query=None, caller=None, key=None, as_json=False, timeout=10):
        """The bare value of the answer, or RpcError."""
        arguments = {"body": body, "path": path, "query": query, "key": key,
                     "caller": caller or {"audience": AUDIENCES["internal"], "service": "operator"}}
        arguments = {name: value for name, value in arguments.items() if value is not None}
        status, flags, _, reply = self.ask(operation, flags=FLAG_JSON if as_json else 0, timeout=timeout, **arguments)
        if flags & FLAG_ERROR:
            raise RpcError(operation, unpack(reply))
        assert 200 <= status < 300, f"{operation}: {status} without the error flag"
        return json.loads(reply, parse_float=Decimal) if as_json else unpack(reply)

"""A plain HTTP client that sends what it is told, byte for byte, and keeps one connection alive per thread and port.

A connection that the server closed while idle is replaced before use; one that breaks during an exchange is an error
the test sees, because the platform promises not to do that.
"""

import gzip
import http.client
import json
import select
import threading
from urllib.parse import urlencode

local = threading.local()


class Answer:
    """headers: names in any case. content is as it was sent, text is unpacked."""

    def __init__(self, response):
        self.status_code, self.headers, self.content = response.status, response.headers, response.read()
        self.encoding = "utf-8"

    @property
    def text(self):
        packed = self.content and self.headers.get("Content-Encoding") == "gzip"
        return (gzip.decompress(self.content) if packed else self.content).decode(self.encoding, "replace")

    def json(self, **options):
        return json.loads(self.content, **options)

    def __repr__(self):
        return f"<Answer {self.status_code} {self.text[:300]}>"


def connection_to(port, timeout):
    """This thread's connection to the port; fresh when the old one has been closed by the other side."""
    connections = local.__dict__.setdefault("connections", {})
    connection = connections.get(port)
    if connection and connection.sock and select.select([connection.sock], [], [], 0)[0]:
        connection.close()
    if not connection:
        connection = connections[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.timeout = timeout
    if connection.sock:
        connection.sock.settimeout(timeout)
    return connection


def ask(port, method, path, headers, body=None, params=None, timeout=20):
    """One request and its answer. body: bytes, text, or an iterator of bytes, which is sent in chunks."""
    if params:
        path += ("&" if "?" in path else "?") + urlencode(params)
    if isinstance(body, str):
        body = body.encode()
    connection = connection_to(port, timeout)
    try:
        connection.request(method, path, body=body, headers=headers, encode_chunked=True)
        return Answer(connection.getresponse())
    except BaseException:
        connection.close()
        raise


def is_error(answer, status, code):
    """The answer is this error, in the contract's envelope; answers its body."""
    body = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (status, code, status), body
    assert body["message"]
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    return body

"""An endpoint that does with the connection what it likes: for each path a function that is given the socket after a request."""

import gzip
import socket
import struct
import threading
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
GIB = 1 << 30


class Hostile:
    """`with Hostile() as it:` then it.url + "/reset" and so on: every function below is a path. `sent` counts bytes by path,
    `seen` requests. With `context` it speaks TLS."""

    def __init__(self, context=None):
        self.context, self.sent, self.seen, self.lock = context, {}, [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.origin = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.url = ("https://" if context else "http://") + self.origin

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            file, number = connection.makefile("rb"), 0
            while path := read_request(file):
                with self.lock:
                    self.seen.append(path)
                number += 1
                if not BEHAVIOURS[path](connection, number, lambda count, path=path: self.count(path, count)):
                    break
        except (OSError, ValueError, LookupError):                          # it hung up, or speaks TLS to us
            pass
        finally:
            connection.close()

    def count(self, path, count):
        with self.lock:
            self.sent[path] = self.sent.get(path, 0) + count


def read_request(file):
    """Its path without the slash; None when there is none."""
    first, length = file.readline(), 0
    while (line := file.readline()).strip():
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    file.read(length)
    return first.split(b" ")[1][1:].decode() if first else None


def pour(connection, count, chunk=b"x" * 65536, whole=GIB):
    for _ in range(0, whole, len(chunk)):
        connection.sendall(chunk)
        count(len(chunk))


def trickle(connection, text):
    for byte in text:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def after(seconds):
    def behave(connection, *_):
        time.sleep(seconds)
        connection.sendall(OK)
        return True
    return behave


def says(text, keep=False):
    def behave(connection, *_):
        connection.sendall(text)
        return keep
    return behave


def status(line, headers=b""):
    return says(b"HTTP/1.1 " + line + b"\r\n" + headers + b"Content-Length: 0\r\n\r\n", keep=True)


def reset(connection, *_):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def gigabyte(connection, _, count):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    pour(connection, count)


def gigabyte_in_chunks(connection, _, count):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    pour(connection, count, b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n")


def gigabyte_refused(connection, _, count):
    connection.sendall(b"HTTP/1.1 500 No\r\n\r\n")
    pour(connection, count)


def bomb(connection, *_):
    """A hundred megabytes in a tenth of one."""
    body = gzip.compress(b"\0" * (100 << 20), 9)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return True


def endless_headers(connection, _, count):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    pour(connection, count, b"X-More: and more\r\n" * 1000)


def endless_line(connection, _, count):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-More: ")
    pour(connection, count)


def endless_first_line(connection, _, count):
    connection.sendall(b"HTTP/1.1 200 ")
    pour(connection, count)


def endless_continue(connection, _, count):
    pour(connection, count, b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def trickling_headers(connection, *_):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    trickle(connection, b"x" * 60)


def trickling_first_line(connection, *_):
    trickle(connection, OK)


def trickling_body(connection, *_):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    trickle(connection, b"x" * 60)


def hangs_up_later(connection, *_):
    """Says that it keeps the connection, and does not."""
    connection.sendall(OK)
    time.sleep(0.05)


def forgets_connection(connection, number, _):
    """Resets the connection when a second request comes on it."""
    if number > 1:
        return reset(connection)
    connection.sendall(OK)
    return True


def speaks_twice(connection, *_):
    """An answer that nobody asked for stands ready for the next request."""
    connection.sendall(OK + b"HTTP/1.1 200 Injected\r\nContent-Length: 0\r\n\r\n")
    return True


BEHAVIOURS = {
    "never": after(60), "after-14": after(14), "after-16": after(16),
    "trickling-headers": trickling_headers, "trickling-first-line": trickling_first_line, "trickling-body": trickling_body,
    "gigabyte": gigabyte, "gigabyte-in-chunks": gigabyte_in_chunks, "gigabyte-refused": gigabyte_refused, "bomb": bomb,
    "endless-headers": endless_headers, "endless-line": endless_line, "endless-first-line": endless_first_line,
    "endless-continue": endless_continue, "reset": reset, "closes": says(b""), "closes-in-first-line": says(b"HTTP/1.1 20"),
    "closes-in-headers": says(b"HTTP/1.1 200 OK\r\nX-One: 1\r\n"),
    "closes-in-body": says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
    "closes-in-chunk": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf"),
    "bad-chunk": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "no-end": says(b"HTTP/1.0 200 OK\r\n\r\nuntil it closes"),
    "http09": says(b"<html>hello</html>"), "not-http": says(b"SSH-2.0-OpenSSH_9.2\r\n"), "nothing-after": says(b"HTTP/1.1 200 OK\r\n"),
    "continue": says(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, keep=True), "continue-only": says(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early-hints": says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, keep=True),
    "switches": says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
    "status-abc": says(b"HTTP/1.1 abc OK\r\n\r\n"), "status-99999": says(b"HTTP/1.1 99999 OK\r\n\r\n"), "status-999": status(b"999 Odd"),
    "status-204": says(b"HTTP/1.1 204 No Content\r\n\r\n", keep=True), "status-304": says(b"HTTP/1.1 304 Not Modified\r\n\r\n", keep=True),
    "status-401": status(b"401 No", b"WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\nWWW-Authenticate: Basic realm=x\r\n"),
    "status-407": status(b"407 No", b"Proxy-Authenticate: Basic realm=x\r\n"),
    "length-twice": says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 5\r\n\r\nhello"),
    "length-negative": says(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello"),
    "bytes": says(b"HTTP/1.1 500 No\r\nContent-Length: 8\r\n\r\n\x00\xff\xfe\x80\x00abc", keep=True),
    "hangs-up-later": hangs_up_later, "forgets-connection": forgets_connection, "speaks-twice": speaks_twice,
    **{f"redirect-{code}": status(b"%d Moved" % code, b"Location: http://169.254.169.254/latest/meta-data\r\n")
       for code in (301, 302, 303, 307, 308)},
}

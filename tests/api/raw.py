"""A bare TCP connection, for what no HTTP library would send."""

import re
import socket


class Raw:
    """Send bytes, read answers."""

    def __init__(self, platform):
        self.socket = socket.create_connection(("127.0.0.1", platform.ports[0].number), timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data.encode() if isinstance(data, str) else data)
        except (BrokenPipeError, ConnectionResetError):
            pass                                    # refused midway: the answer, if any, can still be read
        return self

    def end(self):
        """Nothing more will be sent."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass                                    # closed by the other side already
        return self

    def answer(self):
        """Status, headers and body until the connection ends or the body is complete; None when it was just closed."""
        data = b""
        while True:
            head, separator, body = data.partition(b"\r\n\r\n")
            if separator:
                length = re.search(rb"(?im)^content-length: (\d+)", head)
                if length and len(body) >= int(length[1]):
                    break
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                break
            data += more
        if not data:
            return None
        assert separator, f"an answer without an end of its head: {data[:200]!r}"
        lines = head.decode("latin-1").split("\r\n")
        return int(lines[0].split(" ")[1]), dict(line.lower().split(": ", 1) for line in lines[1:]), body

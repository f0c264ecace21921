"""An app's own server, as the platform sees it: keeps what is posted to it and answers what it is told."""

import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    request_queue_size = 256                                                # or a burst of connections waits for seconds


class Receiver:
    """`with Receiver() as app:` then app.url is where it listens. `answers`: statuses for the next requests, 200 when none
    are left; a number below 100 is that many seconds of silence instead. Or a dict of path to status. `headers` and `text` go
    with every answer. Connections are kept."""

    def __init__(self):
        self.requests, self.answers, self.headers, self.text, self.changed = [], [], {}, b"", threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = receiver.take(self.path, dict(self.headers), body)
                if status < 100:
                    time.sleep(status)
                    self.close_connection = True
                    return
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"{receiver.url}/elsewhere")
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.text)))
                self.end_headers()
                self.wfile.write(receiver.text)

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None                          # a killed platform hangs up
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, path, headers, body):
        with self.changed:
            self.requests.append((path, headers, body))
            self.changed.notify_all()
            if isinstance(self.answers, dict):
                return self.answers.get(path, 200)
            return self.answers.pop(0) if self.answers else 200

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def wait(self, count, seconds=20):
        """The first `count` requests, once there are as many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, seconds), self.requests
            return self.requests[:count]


def signature(key, **members):
    """The hmac of contract C.1: over the compact JSON of the members in their order."""
    text = json.dumps(members, separators=(",", ":"))
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()

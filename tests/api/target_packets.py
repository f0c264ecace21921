"""Inside a network of its own (namespace.py): a platform with SX_DEV=0 is made to deliver to every URL there is a trick with.

Each is tried twice: by the API, and written into the table behind the API's back, so that what is dialled is judged by the
connection alone. The whole internet is our own listener: whatever were dialled would be answered. Prints what was seen as JSON.
"""

import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .certificates import DAY, Authority
from .hooks import HOOKS, event, log_of, publish, signature, subscribe
from .namespace import Names, Wire, cover
from .platform import Platform
from .shop import Owner
from .test_uninstall import until

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PUBLIC, SIX = "93.184.215.14", "2606:2800:21f:cb07::1"
FORBIDDEN = ["127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.100.100.200", "168.63.129.16",
             "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
             "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "fc00::1", "fd00:ec2::254",
             "fe80::1", "fec0::1", "ff02::1"]


def rebinding(forbidden):
    return lambda count: [PUBLIC] if count <= 1 else [forbidden]


ZONE = {"public.example": [PUBLIC], "app.example": [PUBLIC], "six.example": [SIX], "redirect.example": [PUBLIC], "silent.example": None,
        "self-signed.example": [PUBLIC], "expired.example": [PUBLIC], "wrong.example": [PUBLIC], "none.example": [],
        "localhost": ["127.0.0.1", "::1"], "metadata.google.internal": ["169.254.169.254"],
        "alias.example": ("=", "localhost"), "alias2.example": ("=", "metadata.google.internal"),
        "mixed.example": ["127.0.0.1", "10.0.0.1", PUBLIC, "169.254.169.254", "::1", SIX, "fe80::1"],
        "rebinding1.example": rebinding("127.0.0.1"), "rebinding2.example": rebinding("169.254.169.254"),
        "rebinding3.example": rebinding("::1"), "rebinding4.example": rebinding("::ffff:10.0.0.1"),
        **{f"leads-inside-{number}.example": [address] for number, address in enumerate(FORBIDDEN)}}


def tricks():
    """The URLs of the unit test: those that no platform takes, those that development alone takes, and those that are fine."""
    source = (Path(__file__).resolve().parents[1] / "unit" / "test_outbound_url.c").read_text()
    arrays = dict(re.findall(r"^static const char \*const (\w+)\[\] = \{\n(.*?)\n\};", source, re.S | re.M))
    found = {}
    for name, text in arrays.items():
        lines = [line for line in text.replace("LABEL_63", '"' + "a" * 63 + '"').split("\n") if line.strip().startswith('"')]
        raw = ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', line)).encode().decode("latin-1").encode().decode("unicode_escape") for line in lines]
        texts = [each.encode("latin-1").decode("utf-8", "replace") for each in raw]
        found[name] = [text for text in texts if "\ufffd" not in text]      # no JSON can bring these
    return found


class Internet:
    """Listens on 443 of every address; what it is asked for, by the name that was asked for."""

    def __init__(self, authority):
        self.received, contexts = [], {
            "self-signed.example": authority.context("self-signed.example", self_signed=True),
            "expired.example": authority.context("expired.example", until=-DAY), "wrong.example": authority.context("other.example")}
        internet = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                internet.received.append((self.headers["Host"], self.connection.getsockname()[0], dict(self.headers), body))
                to = {"/1": "https://169.254.169.254/latest", "/2": "https://leads-inside-0.example/", "/3": "http://127.0.0.1:9/",
                      "/4": "file:///etc/passwd", "/5": "//10.0.0.1/"}.get(self.path)
                self.send_response(307 if to else 200)
                self.send_header("Content-Length", "0")
                if to:
                    self.send_header("Location", to)
                    self.send_header("Alt-Svc", 'h2="169.254.169.254:443"; ma=3600')
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6
            request_queue_size = 256

            def server_bind(self):
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                ThreadingHTTPServer.server_bind(self)

            def get_request(self):
                connection, client = self.socket.accept()
                return chosen["any"].wrap_socket(connection, server_side=True, do_handshake_on_connect=False), client

            def handle_error(self, *_):
                pass

        def choose(connection, name, _):
            if name and name not in chosen:
                chosen[name] = contexts.get(name) or authority.context(name)
            if name:
                connection.context = chosen[name]

        chosen = {"any": authority.context("any.example")}
        chosen["any"].sni_callback = choose
        self.server = Server(("::", 443), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def refusals(shop, urls):
    """What the API says to each."""
    said = {}
    for url in urls:
        answer = shop.post(HOOKS, {"event_topic": "order.created", "target_url": url})
        said[url] = answer.json().get("code", answer.status_code)
    return said


def attempts(platform, number):
    """What came of the first attempt at each URL for the event about that resource."""
    rows = platform.postgres.rows(
        "select s.target_url, a.response_status, a.error from webhooks.attempt as a join webhooks.subscription as s using (subscription_id) "
        "join (select delivery_id, resource_id from webhooks.waiting union all select delivery_id, resource_id from webhooks.delivery) as d "
        "using (delivery_id) where d.resource_id = %s", (number,))
    return {url: [status, error] for url, status, error in rows}


def deliver(platform, shop, wire, number, expected):
    wire.take()
    publish(platform, event(shop.store_id, resource_id=number))
    until(lambda: len(attempts(platform, number)) >= expected, 90)
    time.sleep(0.3)
    dialled, datagrams = wire.take()
    return {"attempts": attempts(platform, number), "dialled": sorted(dialled), "datagrams": sorted(datagrams)}


def run(wire, names, internet):
    with Platform(settings={"SX_DEV": 0, "SX_CLOCK_FILE": ""}) as platform:
        shop = Owner(platform).open_shop()
        until(lambda: log_of(platform, shop.installation_id), 60)
        lists = tricks()
        said = refusals(shop, lists["unclear"] + lists["inside"])
        names_too = [f"https://{name}/" for name in ZONE if name.endswith(".example")] + [f"https://redirect.example/{n}" for n in range(1, 6)]
        urls = sorted({url for each in lists.values() for url in each} | set(names_too))
        secrets = {}
        for url in urls:
            made = subscribe(shop, "https://public.example/", "product.created")        # more than an app may have of one topic
            secrets[url] = made["signing_secret"]
            platform.postgres.rows("update webhooks.subscription set topic = 'order.created', target_url = %s where subscription_id = %s",
                                   (url, made["subscription_id"]))
        first = deliver(platform, shop, wire, 1, len(urls))
        platform["webhooks-1"].restart()                                    # and has forgotten what names meant
        second = deliver(platform, shop, wire, 2, len(urls))
        good = [headers["X-SeloraX-Signature"] == signature(secrets["https://public.example/"], headers["X-SeloraX-Timestamp"], body)
                for host, _, headers, body in internet.received if host == "public.example"]
        own = [port.number for port in platform.ports]
    return {"said": said, "urls": urls, "first": first, "second": second, "own": own, "asked": names.asked, "good": good,
            "received": sorted({(host, address) for host, address, _, _ in internet.received})}


def main():
    authority, wire = Authority(), Wire()
    names = Names(ZONE, ["10.0.0.9"])
    cover(BUNDLE, authority.pem)
    print(json.dumps(run(wire, names, Internet(authority))), flush=True)


if __name__ == "__main__":
    main()

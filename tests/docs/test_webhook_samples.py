"""The programs of the guide about webhooks, as a developer would copy them: each takes what the platform delivers, and nothing
that is forged, old or changed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api import client, goods
from api.hooks import HOOKS, Sink, signature, subscribe
from api.platform import Port

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "proto"))
from guides import read_guides                                              # noqa: E402 pylint: disable=wrong-import-position

GUIDE = next(guide for guide in read_guides(ROOT / "proto" / "guides") if guide.name == "webhooks")
FILES = {block.file: block.code for block in GUIDE.blocks if block.file}
COMMANDS = {"node": ["node", "webhook.mjs"], "python": ["/usr/bin/python3", "webhook.py"], "php": ["php", "-S", "127.0.0.1:{port}", "webhook.php"]}
PROGRAMS = [*COMMANDS, "c"]


class Served:
    """One that listens: a delivery is posted to it."""

    def __init__(self, language, secrets, directory):
        self.port = Port()
        command = [word.format(port=self.port.number) for word in COMMANDS[language]]
        environment = {"PATH": os.environ["PATH"], "PORT": str(self.port.number), "WEBHOOK_SECRETS": ",".join(secrets)}
        self.process = subprocess.Popen(command, cwd=directory, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                client.ask(self.port.number, "GET", "/", {})
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)

    def takes(self, headers, body):
        headers = {name: value for name, value in headers.items() if name.lower() not in ("host", "content-length")}
        try:
            status = client.ask(self.port.number, "POST", "/hooks", headers, body).status_code
        except (OSError, client.http.client.HTTPException):                 # hangs up on what is too large
            status = 413
        assert status in (200, 401, 413), status
        return status == 200

    def end(self):
        self.process.kill()
        self.process.wait()
        self.port.release()


class Compiled:
    """The one in C: a delivery is handed to it."""

    def __init__(self, secrets, directory):
        self.secrets, self.directory = secrets, directory
        command = next(line for line in GUIDE.blocks[[block.file for block in GUIDE.blocks].index("webhook.c") + 1].code.splitlines() if line.startswith("gcc"))
        subprocess.run(command, shell=True, cwd=directory, check=True)

    def takes(self, headers, body):
        headers = {name.lower(): value for name, value in headers.items()}
        told = subprocess.run(["./webhook", headers.get("x-selorax-timestamp", ""), headers.get("x-selorax-signature", "")], input=body,
                              cwd=self.directory, env={"WEBHOOK_SECRETS": ",".join(self.secrets)}, capture_output=True, check=False)
        assert (told.returncode, told.stdout) in ((0, b"genuine\n"), (1, b"refused\n")) and not told.stderr, told
        return told.returncode == 0

    def end(self):
        pass


@pytest.fixture
def start(tmp_path):
    running = []
    for name, code in FILES.items():
        (tmp_path / name).write_text(code)

    def made(language, *secrets):
        running.append(Compiled(secrets, tmp_path) if language == "c" else Served(language, secrets, tmp_path))
        return running[-1]

    yield made
    for each in running:
        each.end()


@pytest.fixture
def sink():
    with Sink() as made:
        yield made


def without(headers, name):
    return {each: value for each, value in headers.items() if each.lower() != name.lower()}


def signed(headers, secret, stamp, body):
    return {**without(without(headers, "X-SeloraX-Timestamp"), "X-SeloraX-Signature"), "X-SeloraX-Timestamp": stamp,
            "X-SeloraX-Signature": signature(secret, stamp, body)}


def forged(headers, body, secret):
    """What somebody sends who has no secret, or another one."""
    mark = headers["X-SeloraX-Signature"]
    yield without(headers, "X-SeloraX-Signature")
    yield without(headers, "X-SeloraX-Timestamp")
    for other in ("", "sha256=", mark[7:], mark[:-1], mark + "0", mark.upper(), mark[:-1] + ("0" if mark[-1] != "0" else "1"), "sha1=" + mark[7:]):
        yield {**headers, "X-SeloraX-Signature": other}
    for other in ("whsec_" + "0" * 64, "", "whsec_", secret.removeprefix("whsec_"), secret + ","):
        yield signed(headers, other, headers["X-SeloraX-Timestamp"], body)


@pytest.mark.parametrize("language", PROGRAMS)
def test_what_the_platform_sends_is_taken_and_nothing_else(language, shop, sink, start):
    secret = subscribe(shop, sink.url)["signing_secret"]
    goods.order(shop, customer={"name": "রহিম উদ্দিন", "phone": "+8801712345678"})
    [(_, headers, body)] = sink.wait(1)
    program, now = start(language, secret), int(time.time())
    assert program.takes(headers, body)
    for each in forged(headers, body, secret):
        assert not program.takes(each, body), each
    for each in (body + b" ", body[:-1], b"", body.replace(b'"store_id":', b'"store_id": '), bytes([body[0] ^ 1]) + body[1:]):
        assert not program.takes(headers, each), each
    for ago, good in ((0, True), (280, True), (-280, True), (320, False), (-320, False), (86400, False)):
        assert program.takes(signed(headers, secret, str(now - ago), body), body) == good, ago
    for stamp in ("", "now", f"{now}.0", f"+{now}", f"0x{now:x}", "9" * 40, "-1"):
        assert not program.takes(signed(headers, secret, stamp, body), body), stamp
    large = b'{"data":"' + b"x" * (1 << 20) + b'"}'
    assert not program.takes(signed(headers, secret, str(now), large), large)
    assert program.takes(headers, body)                                     # whatever came before


@pytest.mark.parametrize("language", PROGRAMS)
def test_both_secrets_of_a_rotation(language, shop, sink, start):
    subscription = subscribe(shop, sink.url)
    place, old = f"{HOOKS}/{subscription['subscription_id']}", subscription["signing_secret"]
    new = shop.post(f"{place}/rotate-secret").json()["data"]["signing_secret"]
    goods.order(shop)
    [(_, *during)] = sink.wait(1)
    assert shop.post(f"{place}/rotate-secret/promote").status_code == 200
    goods.order(shop)
    [(_, *after)] = sink.wait(2)[1:]
    for secrets, taken in (((old, new), (True, True)), ((new, old), (True, True)), ((old,), (True, False)), ((new,), (False, True))):
        program = start(language, *secrets)
        assert (program.takes(*during), program.takes(*after)) == taken, secrets


@pytest.mark.parametrize("language", PROGRAMS)
@pytest.mark.parametrize("secrets", ["", ",", "whsec_0123,"])
def test_an_empty_secret_is_none(language, secrets, start):
    """What is left of a setting that is missing or half written signs nothing."""
    stamp, body = str(int(time.time())), b'{"event_topic":"order.created","data":{"order_id":1}}'
    program = start(language, secrets)
    assert not program.takes(signed({}, "", stamp, body), body)
    assert program.takes(signed({}, "whsec_0123", stamp, body), body) == (secrets != "" and secrets != ",")

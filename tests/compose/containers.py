"""compose.yaml brought up under a project name of its own, and what the tests ask of it.

COMPOSE is the command, `docker compose` or `docker-compose`: its first and its second version are both spoken to.
"""

import http.client
import json
import os
import re
import secrets
import shlex
import ssl
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SERVICES = ["gateway", "auth", "billing", "developer-apps", "store-data", "webhooks"]


def run(command, check=True, **environment):
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert not check or done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def wait_until(what, seconds, say):
    """Until what() is true; answers how long it took."""
    started = time.monotonic()
    while not what():
        assert time.monotonic() - started < seconds, f"{say} after {seconds} s"
        time.sleep(0.2)
    return time.monotonic() - started


class Containers:
    def __init__(self):
        self.project = "selorax-test-" + secrets.token_hex(3)
        self.port = os.environ.get("SX_PORT", "18081")
        self.edge_port = os.environ.get("SX_EDGE_PORT", "18443")
        # What this machine trusts beside the distribution's certificates, a build in a container must trust as well.
        self.ca = "\n".join(path.read_text() for path in sorted(Path("/usr/local/share/ca-certificates").glob("*.crt")))

    def compose(self, *arguments, port=None, check=True):
        return run([*shlex.split(os.environ.get("COMPOSE", "docker-compose")), "-p", self.project, "--profile", "edge", *arguments],
                   check, SX_PORT=port or self.port, SX_EDGE_PORT=self.edge_port, SX_RATE_GLOBAL="100000/60", SX_BUILD_CA=self.ca)

    def up(self, *services, port=None, **scale):
        arguments = [f"--scale={name.replace('_', '-')}={count}" for name, count in scale.items()]
        self.compose("up", "-d", *arguments, *services, port=port)

    def down(self):
        self.compose("down", "-v", "--remove-orphans", check=False)

    def ids(self, service):
        return self.compose("ps", "-aq", service).split()

    def inspect(self, container, what):
        return run(["docker", "inspect", "-f", "{{" + what + "}}", container]).strip()

    def published(self, container, port="8080/tcp"):
        bound = json.loads(self.inspect(container, "json .NetworkSettings.Ports"))[port]
        return int(bound[0]["HostPort"])

    def sxctl(self, *arguments):
        return self.compose("run", "--rm", "--no-deps", "-T", "demo", *arguments)

    def demo(self):
        """The credentials, once they are there."""
        text = ""

        def there():
            nonlocal text
            text = self.compose("run", "--rm", "--no-deps", "-T", "demo", "cat", "/secrets/demo.json", check=False)
            return text.strip().endswith("}")
        wait_until(there, 60, "no demo data")
        return json.loads(text)

    def who(self):
        """Requests by service and process, as `sxctl who` prints them; several gateways' are added up."""
        counts, service = {}, None
        for line in self.sxctl("sxctl", "who").splitlines():
            if match := re.match(r"  (\S+) +\d+ workers, .* queued", line):
                service = counts.setdefault(match[1], {})
            elif match := re.match(r"    (\S+) +\d+ workers, .* (\d+) requests", line):
                service[match[1]] = service.get(match[1], 0) + int(match[2])
        return counts

    def log(self, container):
        done = subprocess.run(["docker", "logs", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout.splitlines()

    def is_ready(self, port=None):
        try:
            return ask(port or self.port, "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False


def connect(port, tls=False):
    if tls:
        return http.client.HTTPSConnection("127.0.0.1", int(port), timeout=10, context=ssl._create_unverified_context())
    return http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)


def ask(port, path, headers={}, tls=False, method="GET", body=None):
    connection = connect(port, tls)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


def burst(port, path, headers, connections=48, rounds=8, tls=False):
    """All connections ask at the same moment, so that one replica's workers cannot do it alone. Answers the statuses."""
    opened = [connect(port, tls) for _ in range(connections)]
    statuses = {}
    for turn in range(rounds):
        for number, one in enumerate(opened):
            one.request("GET", path, headers=headers(turn * connections + number) if callable(headers) else headers)
        for one in opened:
            answer = one.getresponse()
            answer.read()
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
    for one in opened:
        one.close()
    return statuses

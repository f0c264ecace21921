"""A whole platform for a test: PostgreSQL, gateways and services as real processes on free ports, in an own directory.

    with Platform(gateways=2, services={"auth": 2, "store-data": 1}) as platform:
        platform.get("/livez")
        platform["store-data-1"].kill()

The programs are those of build/VARIANT/bin (environment variable VARIANT, default release). Run by root everything
becomes user `postgres`, because PostgreSQL refuses root. Every exchange over HTTP and RPC is recorded (recording.py),
for the tests of tests/conformance.
"""

import fcntl
import hashlib
import http.client
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg2

from . import client
from .recording import Recording, Unrecorded
from .rpc import RpcClient, RpcError

ROOT = Path(__file__).resolve().parents[2]
VARIANT = os.environ.get("VARIANT", "release")
BIN = Path(os.environ.get("BUILD", ROOT / "build" / VARIANT)) / "bin"
USER = "postgres" if os.geteuid() == 0 else None
START_WAIT_S = 60 if VARIANT == "asan" else 30


def postgres_bin():
    """The newest PostgreSQL of this machine."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else Path(shutil.which("initdb")).parent


def as_user():
    return {"user": USER, "group": USER, "extra_groups": []} if USER else {}


def give(path):
    """Hands a file or directory that we made to the user the platform runs as."""
    if USER:
        entry = pwd.getpwnam(USER)
        os.chown(path, entry.pw_uid, entry.pw_gid)
    return path


def give_directory(path, mode):
    path.mkdir()
    path.chmod(mode)
    give(path)


class Port:
    """A free TCP port that no other test run on this machine picks at the same time."""

    def __init__(self):
        directory = Path(tempfile.gettempdir()) / f"sx-ports-{os.geteuid()}"
        directory.mkdir(exist_ok=True)
        while True:
            self.number = random.randrange(20000, 32000)
            self.lock = open(directory / str(self.number), "w", encoding="utf-8")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", self.number))
                return
            except OSError:
                self.lock.close()

    def release(self):
        self.lock.close()


class Process:
    """One process: started again by the same object, its output in one log file."""

    def __init__(self, name, arguments, environment, directory):
        self.name, self.arguments, self.environment = name, [str(word) for word in arguments], environment
        self.directory, self.log = directory, directory / "log" / f"{name}.log"
        self.handle = None

    def start(self):
        with open(self.log, "ab") as log:
            self.handle = subprocess.Popen(
                self.arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.directory,
                env=self.environment, start_new_session=True, **as_user())
        return self

    @property
    def pid(self):
        return self.handle.pid

    def is_running(self):
        return self.handle is not None and self.handle.poll() is None

    def kill(self):
        """SIGKILL: gone without a word."""
        self.handle.kill()
        self.handle.wait()

    def pause(self):
        """SIGSTOP: still there, but silent. On a busy machine its threads do not all stop at once: waits until they have."""
        self.handle.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self):
        self.handle.send_signal(signal.SIGCONT)

    def terminate(self, timeout=25, sig=signal.SIGTERM):
        """Asks it to end in order; answers its exit status. One that does not is killed, and that is an error."""
        if not self.is_running():
            return self.handle.returncode if self.handle else None
        self.handle.send_signal(signal.SIGCONT)
        self.handle.send_signal(sig)
        try:
            return self.handle.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {timeout} s; see {self.log}") from None

    def restart(self):
        if self.is_running():
            self.kill()
        return self.start()

    def tail(self, lines=15):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def log_lines(self):
        """The JSON lines it has logged so far."""
        for line in self.log.read_text(errors="replace").splitlines():
            if line.startswith("{"):
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    pass


class Postgres:
    """The private cluster of `make up` (services/postgres/cluster.sh): socket in home/run, database selorax.

    A made and empty cluster is kept as a template between runs. `durable=False` turns fsync off, which only tests may
    ask for that never kill PostgreSQL.
    """

    def __init__(self, home, environment, durable):
        self.home, self.data = home, home / "postgres"
        self.bin = postgres_bin()
        arguments = [self.bin / "postgres", "-D", self.data, "-k", home / "run"]
        for setting in [] if durable else ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]:
            arguments += ["-c", setting]
        self.process = Process("postgres", arguments, environment, home)

    def template(self):
        """Made by cluster.sh, once per version of its files."""
        files = [ROOT / "services" / "postgres" / name for name in ("cluster.sh", "roles.sql")]
        content = b"".join(file.read_bytes() for file in files) + str(self.bin).encode()
        stamp = hashlib.sha256(content).hexdigest()[:12]
        place = Path(tempfile.gettempdir()) / f"sx-template-{os.geteuid()}-{stamp}"
        with open(f"{place}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (place / "done").exists():
                shutil.rmtree(place, ignore_errors=True)
                give_directory(place, 0o700)
                for file in files:
                    give(Path(shutil.copy(file, place)))
                subprocess.run(["sh", place / "cluster.sh", "init"], check=True, cwd=place, **as_user(),
                               env={"PATH": os.environ["PATH"], "SX_HOME": str(place)})
                (place / "done").touch()
        return place / "postgres"

    def make(self):
        copy = ["cp", "-a", "--reflink=auto", self.template(), self.data]
        subprocess.run(copy, check=True, cwd=self.home, **as_user())

    def start(self):
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self.process.start()
        self.wait()

    def wait(self):
        """Until it takes connections; also after a crash that it heals by itself."""
        deadline = time.monotonic() + START_WAIT_S
        while time.monotonic() < deadline and self.process.is_running():
            if subprocess.run([self.bin / "pg_isready", "-q", "-h", self.home / "run"], check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError(f"PostgreSQL does not start:\n{self.process.tail()}")

    def stop(self):
        self.process.terminate(sig=signal.SIGINT, timeout=60)

    def connect(self, user="postgres"):
        """A connection as superuser or as a role of a service; autocommit."""
        connection = psycopg2.connect(host=str(self.home / "run"), dbname="selorax", user=user)
        connection.autocommit = True
        return connection

    def rows(self, sql, arguments=None, user="postgres"):
        connection = self.connect(user)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, arguments)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def keep_events_in_sight(self):
        """A view seen_SERVICE.outbox: what a service has put into its outbox, also after it was published."""
        of_billing = "split_part(topic, '.', 1) in ('charge', 'subscription', 'usage')"
        for service, topics in (("auth", "topic like 'app.%' or topic like '%/%'"), ("billing", of_billing),
                                ("store_data", f"topic not like 'app.%' and topic not like '%/%' and not {of_billing}")):
            if not self.rows("select 1 from information_schema.tables where table_schema in (%s, 'webhooks') and "
                             "table_name in ('outbox', 'event') having count(*) = 3", (service,)):
                continue
            columns = "event_id, topic, store_id, resource_type, resource_id, data, created_at"
            self.rows(f"create schema if not exists seen_{service}; create or replace view seen_{service}.outbox as "
                      f"select id, {columns} from {service}.outbox where topic not like 'webhooks.%' and topic <> 'auth.audit' "
                      f"union all select number - 1000000000000, {columns} from webhooks.event where ({topics}) and "
                      f"not exists (select from {service}.outbox as o where o.event_id = event.event_id)")

    def backends(self, application):
        """Process ids of the backends that serve a service: application_name is SERVICE/N."""
        rows = self.rows("select pid from pg_stat_activity where application_name like %s", (application + "/%",))
        return [pid for pid, in rows]


class Platform:
    """Everything between a client and the database, in a directory of its own under the temporary directory."""

    def __init__(self, gateways=1, services=None, settings=None, durable=False, recorded=True):
        # Nothing is ready without the services that every other one needs. Those that others ask come last, and end last:
        # who asks one that has gone waits for it, also when it is to end.
        self.counts = {"auth": 1, "store-data": 1} if services is None else dict(services)
        for service in ("billing", "developer-apps", "webhooks") if gateways else ():
            self.counts.setdefault(service, 1)
        # Short, because the path of a unix socket has at most 107 bytes.
        self.home = Path(tempfile.mkdtemp(prefix="sx-"))
        os.chmod(self.home, 0o755)
        self.recording = Recording.instance() if recorded else Unrecorded()
        self.ports = [Port() for _ in range(gateways)]
        self.settings = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "SX_HOME": str(self.home), "SX_DEV": "1",
            "SX_WORKERS": "4", "SX_CLOCK_FILE": str(self.home / "clock"), "SX_LOG_LEVEL": "info",
            "SX_RATE_GLOBAL": "1000000/60", "SX_RATE_TOKEN": "100000/60", "SX_RATE_VERIFY": "100000/60",
            "SX_RATE_CREDENTIALS": "100000/900", "SX_RATE_LOGIN": "100000/60", "SX_RATE_METAFIELDS": "100000/60",
            "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:exitcode=99", "UBSAN_OPTIONS": "print_stacktrace=1",
            **{name: str(value) for name, value in (settings or {}).items()}}
        self.local = threading.local()
        self.prepare_home()
        self.postgres = Postgres(self.home, self.settings, durable)
        self.processes = {}
        for index, port in enumerate(self.ports, 1):
            self.add("gateway", index, SX_GATEWAY_INDEX=str(index), SX_PORT=str(port.number))
        for service, count in self.counts.items():
            for index in range(1, count + 1):
                self.add(service, index)

    def prepare_home(self):
        give(self.home)
        for name, mode in (("run", 0o700), ("log", 0o755), ("secrets", 0o700), ("bin", 0o755)):
            give_directory(self.home / name, mode)
        # Copies: the user may not be able to reach the clone, and a build during the run must not change what runs.
        for program in sorted(BIN.iterdir() if BIN.is_dir() else []):
            if program.is_file() and os.access(program, os.X_OK):
                shutil.copy(program, self.home / "bin" / program.name)
        key = self.home / "secrets" / "master.key"
        key.write_text(os.urandom(32).hex())
        key.chmod(0o600)
        give(key)

    def add(self, service, index, **environment):
        name = f"{service}-{index}"
        program = self.home / "bin" / service
        self.processes[name] = Process(name, [program], {**self.settings, **environment}, self.home)
        return self.processes[name]

    # -- life --

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop(check=False)
            raise
        return self

    def __exit__(self, *failure):
        self.stop(check=failure[0] is None)

    def start(self):
        assert (self.home / "bin" / "gateway").exists(), f"nothing built in {BIN}: make VARIANT={VARIANT}"
        self.postgres.make()
        self.postgres.start()
        for service in self.counts:
            self.migrate(service)
        self.postgres.keep_events_in_sight()
        for process in self.processes.values():
            process.start()
        self.wait_ready()
        return self

    def migrate(self, service):
        result = subprocess.run([str(self.home / "bin" / service), "migrate"], env=self.settings, cwd=self.home,
                                capture_output=True, text=True, check=False, **as_user())
        assert result.returncode == 0, f"{service} migrate:\n{result.stderr}"

    def wait_ready(self, timeout=START_WAIT_S):
        """Until every gateway that runs says it is ready; answers the seconds it took."""
        started = time.monotonic()
        for index, port in enumerate(self.ports, 1):
            gateway = self.processes[f"gateway-{index}"]
            while gateway.is_running():
                try:
                    answer = client.ask(port.number, "GET", "/readyz", {}, timeout=2)
                    if answer.status_code == 200:
                        break
                    last = answer.text
                except (OSError, http.client.HTTPException) as error:
                    last = repr(error)
                for process in self.processes.values():
                    assert process.handle is None or process.is_running(), \
                        f"{process.name} ended with status {process.handle.returncode}:\n{process.tail()}"
                assert time.monotonic() - started < timeout, f"not ready after {timeout} s: {last}\n{gateway.tail()}"
                time.sleep(0.05)
            else:
                raise AssertionError(f"{gateway.name} ended:\n{gateway.tail()}")
        return time.monotonic() - started

    def stop(self, check=True):
        """Ends everything in order. With check, a crash, a sanitizer's find or a process that stays is a failure."""
        problems = []
        services = [p for p in self.processes.values() if not p.name.startswith("gateway")]
        gateways = [p for p in self.processes.values() if p.name.startswith("gateway")]
        for process in services + gateways + [self.postgres.process]:
            try:
                status = process.terminate(sig=signal.SIGINT if process.name == "postgres" else signal.SIGTERM)
                # SIGKILL is what tests do, SIGTERM may come before a process has begun; any other end is a crash.
                if status not in (None, 0, -signal.SIGKILL, -signal.SIGTERM):
                    problems.append(f"{process.name} ended with status {status}:\n{process.tail(60)}")
            except AssertionError as problem:
                problems.append(str(problem))
        for process in self.processes.values():
            text = process.log.read_text(errors="replace") if process.log.exists() else ""
            if "Sanitizer" in text or "runtime error:" in text or "Assertion" in text:
                problems.append(f"{process.name}:\n{process.tail(60)}")
        for port in self.ports:
            port.release()
        if not problems or not check:
            shutil.rmtree(self.home, ignore_errors=True)
        if check and problems:
            raise AssertionError("\n".join(problems))

    def __getitem__(self, name):
        return self.postgres.process if name == "postgres" else self.processes[name]

    def of(self, service):
        """All processes of a service."""
        return [process for process in self.processes.values() if process.name.rpartition("-")[0] == service]

    def set_clock(self, offset_s):
        """Sets the clock of all processes forward (libshared/clock.h)."""
        fresh = self.home / "clock.new"
        fresh.write_text(str(offset_s))
        give(fresh)
        fresh.rename(self.home / "clock")
        time.sleep(0.06)

    def log_lines(self, request_id):
        """What all processes logged about one request."""
        return [line for process in self.processes.values() for line in process.log_lines()
                if line.get("request_id") == request_id]

    # -- talking to it --

    def url(self, path="", gateway=1):
        return f"http://127.0.0.1:{self.ports[gateway - 1].number}{path}"

    def request(self, method, path, *, gateway=1, headers=None, json_body=None, body=None, **options):
        """One HTTP request, recorded. json_body is sent as JSON; body is sent as it is."""
        headers = dict(headers or {})
        if json_body is not None:
            body = json.dumps(json_body, default=str)
        if body is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        answer = client.ask(self.ports[gateway - 1].number, method, path, headers, body, **options)
        self.recording.http(method, path, body, answer)
        return answer

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, json_body=None, **options):
        return self.request("POST", path, json_body=json_body, **options)

    def rpc(self, gateway=1):
        """An RPC client of this thread, connected to one gateway."""
        clients = self.local.__dict__.setdefault("rpc", {})
        if gateway not in clients:
            clients[gateway] = RpcClient(f"ipc://{self.home}/run/gateway-{gateway}.ipc")
        return clients[gateway]

    def call(self, operation, gateway=1, **body):
        """One internal operation as an operator, recorded: `platform.call("auth.tokens.revoke", token_id=7)`."""
        try:
            reply = self.rpc(gateway).call(operation, body, as_json=True)
        except RpcError as error:
            self.recording.rpc(operation, body, error.status, error.code)
            raise
        self.recording.rpc(operation, body, 200, reply)
        return reply

    def sxctl_call(self, operation, **body):
        """Like call, but by the operator's program."""
        result = self.sxctl("call", operation, json.dumps(body, default=str), check=False)
        if result.returncode != 0:
            lines = [line for line in result.stderr.splitlines() if line.startswith('{"code"')]
            error = json.loads(lines[-1]) if lines else {"message": result.stderr.strip()}
            self.recording.rpc(operation, body, error.get("status", 0), error.get("code"))
            raise RpcError(operation, error)
        reply = json.loads(result.stdout)
        self.recording.rpc(operation, body, 200, reply)
        return reply

    def sxctl(self, *arguments, check=True, timeout=60, stdin=None):
        result = subprocess.run([str(self.home / "bin" / "sxctl"), *arguments], env=self.settings, cwd=self.home,
                                capture_output=True, text=True, check=False, timeout=timeout, input=stdin, **as_user())
        assert not check or result.returncode == 0, f"sxctl {' '.join(arguments)}: {result.stderr}"
        return result

"""A platform as `make up` runs it: `sxctl supervise` starts everything and heals it."""

import os
import signal
import subprocess
import time

import requests

from api.platform import START_WAIT_S, Platform, Process


class SupervisedPlatform(Platform):
    """Gateways share one port (SO_REUSEPORT), as they do in production; processes are found by their pid files."""

    def __init__(self, gateways=2, settings=None):
        super().__init__(gateways=1, services={"auth": 1, "store-data": 1},
                         settings={"SX_GATEWAYS": gateways, "SX_WORKERS": 8, **(settings or {})}, durable=True)
        self.settings["SX_PORT"] = str(self.ports[0].number)
        self.processes = {}
        self.supervisor = Process("supervisor", [self.home / "bin" / "sxctl", "supervise"], self.settings, self.home)

    def start(self):
        self.postgres.make()
        self.supervisor.start()
        self.wait_ready()
        self.postgres.keep_events_in_sight()
        return self

    def wait_ready(self, timeout=START_WAIT_S):
        started = time.monotonic()
        last = None
        while time.monotonic() - started < timeout:
            try:
                answer = requests.get(self.url("/readyz"), timeout=2)
                if answer.status_code == 200:
                    return time.monotonic() - started
                last = answer.text
            except requests.RequestException as error:
                last = error
            time.sleep(0.05)
        raise AssertionError(f"not ready after {timeout} s: {last}\n{self.supervisor.tail()}")

    def stop(self, check=True):
        self.supervisor.terminate(timeout=45)
        super().stop(check=check)

    def pid_of(self, name):
        return int((self.home / "run" / f"{name}.pid").read_text().split()[0])

    def signal(self, name, number):
        os.kill(self.pid_of(name), number)

    def backend_in_use(self, service):
        """A PostgreSQL backend of the service; the one that worked last."""
        found = self.postgres.rows("select pid from pg_stat_activity where application_name like %s "
                                   "order by state_change desc nulls last limit 1", (service + "/%",))
        return found[0][0]

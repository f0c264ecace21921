"""Processes and PostgreSQL are killed (SIGKILL), or stopped for a while (SIGSTOP), and brought back as the supervisor would do it."""

import collections
import os
import signal
import time


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


class Hurt:
    """Kills one and brings it back, or stops it for up to stop_s seconds. `backend`: a backend of one of the roles, with which
    PostgreSQL ends all of them; `postgres`: its postmaster."""

    def __init__(self, platform, rng, roles, stop_s=None):
        self.platform, self.rng, self.roles, self.stop_s = platform, rng, roles, stop_s
        self.asleep, self.done = {}, collections.Counter()

    def wake(self, now=None):
        for name in [name for name, at in self.asleep.items() if now is None or at <= now]:
            self.platform[name].resume()
            del self.asleep[name]

    def heal(self):
        """As the supervisor does: a process that begins while PostgreSQL goes away ends with an error, never by a signal."""
        for process in self.platform.processes.values():
            if not process.is_running():
                assert process.handle.returncode == 1, f"{process.name} ended with {process.handle.returncode}:\n{process.tail()}"
                process.start()
                self.done["ended at its start"] += 1

    def wait(self, seconds, done=lambda: 0, more=0):
        """That long, and until the load has `more` done than it had, but no longer than five seconds."""
        began, before = time.monotonic(), done()
        while True:
            self.wake(time.monotonic())
            self.heal()
            passed = time.monotonic() - began
            if passed >= seconds and (done() >= before + more or passed > 5):
                return
            time.sleep(0.02)

    def strike(self, what):
        if what == "backend":
            self.kill_backend()
        elif what == "postgres":
            self.platform["postgres"].kill()                                # the others see it and end
            until(lambda: not self.postgres_runs(), 20, "PostgreSQL's processes end with it")
            self.platform.postgres.start()
        elif self.stop_s and self.rng.random() < 0.25 and what not in self.asleep:
            self.platform[what].pause()
            self.asleep[what] = time.monotonic() + self.rng.uniform(*self.stop_s)
            what = f"stopped {what}"
        else:
            self.asleep.pop(what, None)
            self.platform[what].kill()
            time.sleep(self.rng.uniform(0, 0.3))
            self.platform[what].start()
        self.done[what] += 1

    def kill_backend(self):
        """The postmaster ends all of them and recovers."""
        backends = self.platform.postgres.rows("select pid from pg_stat_activity where usename = any (%s)", (self.roles,))
        if backends:
            try:
                os.kill(self.rng.choice(backends)[0], signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.5)
        self.platform.postgres.wait()

    def postgres_runs(self):
        """Whether any process works in the cluster's directory."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/cwd") == str(self.platform.postgres.data):
                    return True
            except OSError:
                pass
        return False

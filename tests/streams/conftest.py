"""A platform with one service more: `streams` (service.c), two processes of it, and a gateway that has its routes."""

import itertools
import os
import re
import shutil
import time

import pytest

from api.platform import BIN, ROOT, VARIANT, Platform

# ASan keeps freed memory; so little of it that memory which grows is still seen.
SETTINGS = {"SX_WORKERS": "2",
            "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:exitcode=99:quarantine_size_mb=1:malloc_context_size=8"}
names = itertools.count(1)


class StreamsPlatform(Platform):
    def __init__(self):
        super().__init__(services={"auth": 1, "store-data": 1, "streams": 2}, settings=SETTINGS)

    def prepare_home(self):
        super().prepare_home()
        for name in ("gateway", "streams"):
            program = BIN / "test" / name
            assert program.exists(), f"{program} is not built: make VARIANT={VARIANT} unit-tests"
            shutil.copy(program, self.home / "bin" / name)

    def migrate(self, service):
        if service == "streams":
            self.make_roles(service)
        super().migrate(service)

    def make_roles(self, service):
        """As roles.sql makes them for the platform's own services."""
        text = (ROOT / "services" / "postgres" / "roles.sql").read_text(encoding="utf-8")
        text = re.sub(r"(?m)^\\.*$", "", text)
        text, count = re.subn(r"(?s)(text\[\] := array\[).*?\]", rf"\1'{service}']", text)
        assert count == 1
        self.postgres.rows(text)

    def wait_for_a_death(self):
        """The gateway knows of one before the kernel tells us."""
        deadline = time.monotonic() + 10
        while all(process.is_running() for process in self.of("streams")):
            assert time.monotonic() < deadline, "nobody has died"
            time.sleep(0.01)

    def revive(self):
        """What a test has killed runs again."""
        for process in self.processes.values():
            if not process.is_running():
                process.start()
        self.wait_ready()


@pytest.fixture(scope="session")
def shared():
    with StreamsPlatform() as platform:
        yield platform


@pytest.fixture
def platform(shared):
    yield shared
    shared.revive()


@pytest.fixture
def run():
    """The name under which the service writes down this test's calls."""
    return f"run-{os.getpid()}-{next(names)}"

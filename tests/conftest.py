"""Fixtures for everything that needs a running platform.

`platform` is shared by the tests of one process: use it for what leaves no traces beyond its own store. `make_platform`
makes one for a single test, which may then kill, stop and restart what it likes.
"""

import signal

import pytest

from api.platform import Platform
from api.shop import Owner


def pytest_configure():
    """A run that is told to end takes its platforms down first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def platform():
    with Platform() as shared:
        yield shared


@pytest.fixture(scope="session")
def owner(platform):
    """Somebody who owns stores and apps on the shared platform."""
    return Owner(platform)


@pytest.fixture
def shop(owner):
    """A new store with an app of its own that holds every scope."""
    return owner.open_shop()


@pytest.fixture
def make_platform():
    """`make_platform(gateways=2, services={...})`: started, and taken down when the test ends."""
    made = []

    def make(**options):
        made.append(Platform(**options))
        return made[-1].__enter__()

    yield make
    for one in made:
        one.stop()

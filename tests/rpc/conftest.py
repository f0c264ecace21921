"""Services without a gateway: the tests play it."""

import pytest

from api.platform import Platform, give
from rpc.gateway import FakeGateway


@pytest.fixture(scope="module")
def alone():
    """auth and PostgreSQL, three workers and two aside, nobody to serve."""
    with Platform(gateways=0, services={"auth": 1}, settings={"SX_WORKERS": "3"}) as platform:
        yield platform


@pytest.fixture
def gateways(alone):
    """`gateways(1)`: a gateway of the test's own; all are closed when it ends."""
    made = []

    def make(index=1):
        made.append(FakeGateway(alone, index, give))
        return made[-1]

    yield make
    for gateway in made:
        if not gateway.socket.closed:
            gateway.close()

"""What auth's worker does between a revocation's commit and its answer (protocols 5), with gateways that ack as the test likes."""

import time

import pytest

from rpc.gateway import ACK, INVALIDATE, REPLY, settle, unpack

WAIT_S = 1.0                            # INVALIDATE_WAIT_MS
IDS = iter(range(1000, 2000))


class Joined:
    """A gateway with a lease."""

    def __init__(self, gateway):
        self.gateway, self.id = gateway, next(IDS)
        aside = gateway.wait_workers("auth-aside", 1)[0]
        assert not gateway.ask(aside, "auth.identity.join", body={"gateway_id": self.id}).is_error

    def ack(self, message):
        self.gateway.send(message.worker, ACK, number=message.id, name=str(self.id).encode())


@pytest.fixture
def joined(alone, gateways):
    pair = gateways(1), gateways(2)
    settle(pair)
    alone.postgres.rows("delete from auth.gateway")
    yield [Joined(gateway) for gateway in pair]
    alone.postgres.rows("delete from auth.gateway")


@pytest.fixture
def revoke(joined):
    """Begins a revoking call at a worker of the first gateway: (worker, number of the request)."""
    gateway = joined[0].gateway
    worker = gateway.wait_workers("auth", 1)[0]
    made = gateway.ask(worker, "auth.accounts.create",
                       body={"name": "Karim", "email": f"karim-{time.time_ns()}@example.com", "password": "correct horse"})
    assert not made.is_error, made.value
    return lambda: (worker, gateway.request(worker, "auth.accounts.set_status",
                                            body={"account_id": made.value["account_id"], "status": "disabled"}))


def test_the_answer_waits_for_every_gateway(joined, revoke):
    one, two = joined
    worker, number = revoke()
    first, second = one.gateway.wait(INVALIDATE), two.gateway.wait(INVALIDATE)
    assert first.id == second.id > 0
    assert any(tag.startswith("account:") for tag in unpack(first.body))
    one.ack(first)
    with pytest.raises(TimeoutError):
        one.gateway.wait(REPLY, number=number, timeout=0.3)
    two.ack(second)
    assert one.gateway.wait(REPLY, worker=worker, number=number, timeout=0.2).status == 200


def test_a_silent_gateway_delays_it_until_its_lease_is_over(joined, revoke):
    one, _ = joined
    started = time.monotonic()
    _, number = revoke()
    one.ack(one.gateway.wait(INVALIDATE))
    one.gateway.wait(REPLY, number=number, timeout=3)
    assert WAIT_S <= time.monotonic() - started < WAIT_S + 0.5


def test_an_ack_of_another_version_does_not_count(joined, revoke):
    one, two = joined
    _, number = revoke()
    first, second = one.gateway.wait(INVALIDATE), two.gateway.wait(INVALIDATE)
    one.ack(first)
    two.ack(second._replace(id=second.id - 1))
    two.gateway.send(second.worker, ACK, number=second.id, name=b"not a number")
    with pytest.raises(TimeoutError):
        one.gateway.wait(REPLY, number=number, timeout=0.3)
    two.ack(second)
    one.gateway.wait(REPLY, number=number, timeout=0.2)


def test_a_gateway_that_connects_meanwhile_is_told_as_well(joined, revoke, gateways):
    one, two = joined
    _, number = revoke()
    one.ack(one.gateway.wait(INVALIDATE))
    two.gateway.wait(INVALIDATE)
    third = gateways(3)
    late = third.wait(INVALIDATE, timeout=0.9)
    assert late.id
    one.gateway.wait(REPLY, number=number, timeout=3)


def test_a_request_that_comes_meanwhile_is_served_afterwards(joined, revoke):
    one, two = joined
    worker, number = revoke()
    first, second = one.gateway.wait(INVALIDATE), two.gateway.wait(INVALIDATE)
    early = one.gateway.request(worker, "auth.accounts.find", body={"email": "nobody@example.com"})
    time.sleep(0.1)
    one.ack(first)
    two.ack(second)
    assert one.gateway.wait(REPLY, number=number, timeout=0.5).status == 200
    assert one.gateway.wait(REPLY, number=early, timeout=0.5).status == 404

"""The worker's side of the protocols: credit, several gateways, draining, and what it does with each kind of request."""

import json
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
import zmq

from rpc.gateway import BYE, FLAG_JSON, PING, READY, REPLY, REQUEST, Answer, ready_body

WORKERS, ASIDE = 3, 2                   # threads of auth


def find(email="nobody@example.com"):
    return {"body": {"email": email}}


@contextmanager
def accounts_locked(platform):
    """What looks for an account waits until this ends."""
    blocker = platform.postgres.connect()
    blocker.autocommit = False
    blocker.cursor().execute("lock table auth.account in access exclusive mode")
    try:
        yield
    finally:
        blocker.rollback()
        blocker.close()


def slots(message):
    return ready_body(message)["slots"]


def wait_slots(gateway, wanted):
    """Until auth's pool has given this gateway so many."""
    while slots(gateway.wait(READY, worker=gateway.wait_workers("auth", 1)[0])) != wanted:
        pass


# ---- credit ----


def test_every_pool_says_ready_with_a_slot_for_each_worker(gateways):
    gateway = gateways()
    for pool, threads in (("auth", WORKERS), ("auth-aside", ASIDE)):
        worker = gateway.wait_workers(pool, 1)[0]
        ready = gateway.wait(READY, worker=worker)
        while slots(ready) < threads:           # the first of them stand ready while the others connect
            ready = gateway.wait(READY, worker=worker)
        assert ready.id == 0
        said = ready_body(ready)
        assert len(said.pop("contract")) == 64 and said.pop("instance")
        assert said == {"slots": threads, "held": []}


def test_ready_is_repeated_each_second(gateways):
    gateway = gateways()
    worker = gateway.wait_workers("auth", 1)[0]
    gateway.listen(0.2)
    gateway.seen.clear()
    gateway.listen(2.5)
    assert 2 <= sum(m.kind == READY and m.worker == worker for m in gateway.seen) <= 4


def test_ready_tells_the_last_request_taken(gateways):
    gateway = gateways()
    worker = gateway.wait_workers("auth", 1)[0]
    number = gateway.request(worker, "auth.accounts.find", **find())
    gateway.wait(REPLY, worker=worker, number=number)
    assert gateway.wait(READY, worker=worker, fresh=True).id == number


def test_ready_names_what_is_in_hand(alone, gateways):
    gateway = gateways()
    worker = gateway.wait_workers("auth", 1)[0]
    gateway.listen(0.2)
    with accounts_locked(alone):
        first = gateway.request(worker, "auth.accounts.find", **find())
        second = gateway.request(worker, "auth.metrics.read")
        gateway.wait(REPLY, number=second)      # the other thread was free
        ready = gateway.wait(READY, worker=worker, fresh=True)
        assert ready.id == second
        assert ready_body(ready)["held"] == [first & 0xffffffff]
    gateway.wait(REPLY, number=first)
    assert ready_body(gateway.wait(READY, worker=worker, fresh=True))["held"] == []


def test_a_busy_pool_goes_on_with_what_came_meanwhile(alone, gateways):
    """More than one socket's worth at once: nothing is left lying, whoever takes it."""
    gateway = gateways()
    worker = gateway.wait_workers("auth", 1)[0]
    for _ in range(200):
        numbers = [gateway.request(worker, "auth.accounts.find", **find()) for _ in range(WORKERS)]
        for number in numbers:
            gateway.wait(REPLY, number=number, timeout=2)


def test_a_lost_reply_frees_the_slot_soon(gateways):
    """The READY behind a REPLY comes at once, not after a second: it frees the slot when the REPLY was lost."""
    gateway = gateways()
    worker = gateway.wait_workers("auth", 1)[0]
    number = gateway.request(worker, "auth.accounts.find", **find())
    gateway.wait(REPLY, worker=worker, number=number)
    started = time.monotonic()
    assert gateway.wait(READY, worker=worker, fresh=True).id == number
    assert time.monotonic() - started < 0.5


def test_a_restarted_gateway_is_found_again(gateways):
    first = gateways()
    first.wait_workers("auth", 1)
    first.close(unlink=False)
    time.sleep(0.3)
    second = gateways()
    started = time.monotonic()
    worker = second.wait_workers("auth", 1)[0]
    assert time.monotonic() - started < 1.5
    assert second.ask(worker, "auth.accounts.find", **find()).status == 404


def test_what_lay_while_the_process_was_stopped_is_not_done_too_late(alone, gateways):
    """Its budget went by unseen: who asked has been told 504, so it must not be carried out now."""
    gateway = gateways()
    worker = gateway.wait_workers("auth", 1)[0]
    gateway.listen(0.5)
    alone["auth-1"].handle.send_signal(signal.SIGSTOP)
    made = {"name": "Late", "email": f"late-{time.time_ns()}@example.com", "password": "correct horse"}
    numbers = [gateway.request(worker, "auth.accounts.create", budget=700, body=made) for _ in range(2)]
    time.sleep(1.2)
    alone["auth-1"].handle.send_signal(signal.SIGCONT)
    answers = [Answer(gateway.wait(REPLY, number=number)) for number in numbers]
    assert [answer.value["code"] for answer in answers] == ["gateway_timeout"] * 2
    assert gateway.ask(worker, "auth.accounts.find", **find(made["email"])).status == 404


# ---- requests ----


@pytest.fixture
def worker(gateways):
    gateway = gateways()
    one = gateway.wait_workers("auth", 1)[0]
    return lambda operation, **options: gateway.ask(one, operation, **options)


@pytest.mark.parametrize("operation, arguments, status, code", [
    ("auth.no.such", {}, 404, "not_found"),
    ("auth.accounts", {}, 404, "not_found"),
    ("auth.accounts.findd", {}, 404, "not_found"),
    ("auth.accounts.find", find(), 404, "not_found"),
    ("auth.accounts.find", {}, 400, "validation_error"),
    ("auth.accounts.find", {"body": {}}, 400, "validation_error"),
    ("auth.accounts.find", {"body": []}, 400, "validation_error"),
    ("auth.accounts.find", {"body": {"email": 7}}, 400, "validation_error"),
    ("auth.accounts.find", {"raw": b'{"email": "nobody@example.com"}'}, 404, "not_found"),
    ("auth.accounts.find", {"raw": b'{"email": "a", "email": "b"}'}, 400, "invalid_json"),
    ("auth.accounts.find", {"raw": b'{"email": '}, 400, "invalid_json"),
    ("auth.accounts.find", {"raw": b'{"email": ""}'}, 400, "validation_error"),
    ("auth.accounts.find", {"raw": b"\xff"}, 400, "invalid_json"),
    ("auth.accounts.find", {"budget": 0, **find()}, 504, "gateway_timeout"),
])
def test_what_is_wrong_is_said(worker, operation, arguments, status, code):
    answer = worker(operation, **arguments)
    assert answer.is_error
    assert (answer.status, answer.value["status"], answer.value["code"]) == (status, status, code)
    assert answer.value["message"]
    if code == "validation_error":
        assert all(error["field"] and error["message"] for error in answer.value["errors"])


def test_an_answer_is_msgpack_or_json_as_asked(worker):
    made = {"name": "Rahim", "email": f"rahim-{time.time_ns()}@example.com", "password": "correct horse"}
    answer = worker("auth.accounts.create", body=made)
    assert not answer.is_error and answer.value["email"] == made["email"]
    again = worker("auth.accounts.find", flags=FLAG_JSON, body={"email": made["email"]})
    assert json.loads(again.body)["account_id"] == answer.value["account_id"]


def test_an_error_is_msgpack_even_when_json_was_asked(worker):
    assert worker("auth.accounts.find", flags=FLAG_JSON, **find()).value["code"] == "not_found"


def test_metrics_can_be_read(worker):
    text = worker("auth.metrics.read").value
    assert "sx_calls_total" in text and "sx_handler_seconds_count" in text


def test_noise_is_dropped_and_the_next_request_served(gateways):
    gateway = gateways()
    worker = gateway.wait_workers("auth", 1)[0]
    for frames in ([b""], [b"x" * 24, b"", b""], [b"SXR1"], [b"", b"", b"", b"", b""], [b"SXR1" + b"\xff" * 20, b"a", b"b"]):
        gateway.socket.send_multipart([worker, *frames])
    gateway.send(worker, PING)
    gateway.send(worker, BYE)
    gateway.send(worker, REPLY, number=7)
    number = 1 << 40
    gateway.send(worker, REQUEST, number=number, name=b"auth.accounts.find", body=b"\xdd\xff\xff\xff\xff")
    assert gateway.wait(REPLY, number=number).status == 400
    gateway.send(worker, REQUEST, number=number + 1, name=b"\xff" * 300, body=b"\x80")
    assert gateway.wait(REPLY, number=number + 1).status == 404
    assert gateway.ask(worker, "auth.accounts.find", **find()).status == 404


# ---- several gateways ----


def test_a_second_gateway_gets_its_share_only_after_the_echo(gateways):
    first = gateways(1)
    first.wait_workers("auth", 1)
    first.wait_workers("auth-aside", 1)
    first.listen(0.2)
    first.seen.clear()
    first.echoes = False
    second = gateways(2)
    bye = first.wait(BYE)
    # The echo is still out: the credit is the first gateway's, and its REQUEST that crossed the BYE is served.
    crossed = first.request(bye.worker, "auth.accounts.find", **find())
    first.wait(REPLY, worker=bye.worker, number=crossed)
    second.listen(0.1)
    assert second.count(READY) == 0
    other = first.wait(BYE, timeout=3)
    assert other.worker != bye.worker
    first.send(bye.worker, BYE)
    first.send(other.worker, BYE)
    first.echoes = True
    for gateway in (first, second):
        gateway.wait_workers("auth", 1)
        gateway.wait_workers("auth-aside", 1)
    wait_slots(first, WORKERS - 1)
    wait_slots(second, 1)
    # The second one goes: the first has all of them within a second, and is served.
    first.listen(0.1)
    first.seen.clear()
    second.close()
    started = time.monotonic()
    wait_slots(first, WORKERS)
    assert time.monotonic() - started < 1.2
    assert first.ask(first.wait_workers("auth", 1)[0], "auth.accounts.find", **find()).status == 404


def test_what_is_in_hand_counts_until_it_is_answered(alone, gateways):
    """Three threads, two of them busy for the one gateway, whose share becomes one: the other gets what is free, not its share,
    or a request of its would wait unseen."""
    crowded = gateways(2)
    worker = crowded.wait_workers("auth", 1)[0]
    crowded.listen(0.2)
    with accounts_locked(alone):
        numbers = [crowded.request(worker, "auth.accounts.find", **find()) for _ in range(2)]
        late = gateways(1)
        crowded.wait(BYE, worker=worker)
        assert slots(late.wait(READY, worker=late.wait_workers("auth", 1)[0])) == 1
        for _ in range(5):
            crowded.listen(0.05)
            late.listen(0.05)
        assert {slots(m) for m in late.seen if m.kind == READY and m.worker in late.wait_workers("auth", 1)} <= {1}
    for number in numbers:
        crowded.wait(REPLY, number=number)
    wait_slots(late, 2)


def test_a_gateway_that_does_not_echo_loses_the_connection(gateways):
    first = gateways(1)
    first.wait_workers("auth", 1)
    first.wait_workers("auth-aside", 1)
    first.listen(0.2)
    first.seen.clear()
    first.echoes = False
    second = gateways(2)
    bye = first.wait(BYE)
    started = time.monotonic()
    with pytest.raises(zmq.ZMQError) as gone:
        while time.monotonic() - started < 2:
            first.send(bye.worker, PING)
            time.sleep(0.01)
    assert gone.value.errno == zmq.EHOSTUNREACH
    second.wait_workers("auth", 1, timeout=2)


# ---- its database ----


def test_without_its_database_it_is_ready_for_nobody(alone, gateways):
    gateway = gateways()
    worker = gateway.wait_workers("auth", 1)[0]
    gateway.listen(0.2)
    gateway.seen.clear()
    gateway.echoes = False
    alone.postgres.stop()
    try:
        bye = gateway.wait(BYE, worker=worker, timeout=3)
        # What crossed the BYE is answered all the same.
        answer = gateway.ask(bye.worker, "auth.accounts.find", **find())
        assert (answer.status, answer.value["code"]) == (503, "service_unavailable")
        gateway.send(bye.worker, BYE)
        gateway.echoes = True
        gateway.listen(0.3)
        gateway.seen.clear()
        gateway.listen(1.5)
        assert not [m for m in gateway.seen if m.kind == READY and m.worker == worker]
    finally:
        alone.postgres.start()
    wait_slots(gateway, WORKERS)
    assert gateway.ask(worker, "auth.accounts.find", **find()).status == 404


# ---- draining ----


def test_a_process_goes_after_the_echoes_and_its_last_reply(alone, gateways):
    gateway = gateways()
    workers = gateway.wait_workers("auth", 1) + gateway.wait_workers("auth-aside", 1)
    gateway.listen(0.2)
    gateway.seen.clear()
    gateway.echoes = False
    with accounts_locked(alone):
        held = gateway.request(workers[0], "auth.accounts.find", **find())
        time.sleep(0.2)
        alone["auth-1"].handle.send_signal(signal.SIGTERM)
        leaving = [gateway.wait(BYE, timeout=2).worker for _ in workers]
        assert sorted(leaving) == sorted(workers)
        crossed = gateway.request(workers[0], "auth.metrics.read")
        gateway.wait(REPLY, number=crossed)
        for worker in leaving:
            gateway.send(worker, BYE)
        time.sleep(0.2)
        assert alone["auth-1"].handle.poll() is None
    gateway.wait(REPLY, number=held)
    assert alone["auth-1"].handle.wait(5) == 0
    alone["auth-1"].start()
    gateway.wait_workers("auth", 1, timeout=10)


def test_it_goes_without_a_gateway_as_well(alone):
    assert alone["auth-1"].terminate(timeout=5) == 0
    alone["auth-1"].start()


def test_a_service_with_fewer_workers_than_gateways_does_not_start(alone):
    settings = {**alone.settings, "SX_WORKERS": "1", "SX_GATEWAYS": "2"}
    process = alone["auth-1"]
    from api.platform import as_user
    ended = subprocess.run(process.arguments, env=settings, cwd=alone.home, capture_output=True, text=True, timeout=20,
                           check=False, **as_user())
    assert ended.returncode == 1
    assert "too_few_workers" in ended.stderr

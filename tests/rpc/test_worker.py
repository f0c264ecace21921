"""The worker's side of the protocols: credit, homes, draining, and what it does with each kind of request."""

import json
import signal
import subprocess
import time

import pytest
import zmq

from rpc.gateway import BYE, FLAG_JSON, PING, READY, REPLY, REQUEST, ready_body

WORKERS = 2                             # of auth; as many are aside


def find(email="nobody@example.com"):
    return {"body": {"email": email}}


# ---- credit ----


def test_every_worker_says_ready_under_its_pools_name(gateways):
    gateway = gateways()
    assert len(gateway.wait_workers("auth", WORKERS)) == WORKERS
    assert len(gateway.wait_workers("auth-aside", 2)) == 2
    ready = gateway.wait(READY)
    assert ready.id == 0
    assert len(ready_body(ready)["contract"]) == 64
    assert ready_body(ready)["instance"]


def test_ready_is_repeated_each_second_while_idle(gateways):
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


def test_a_lost_reply_frees_the_worker_soon(gateways):
    """The READY behind a REPLY comes at once, not after a second: it frees the worker when the REPLY was lost."""
    gateway = gateways()
    worker = gateway.wait_workers("auth", 1)[0]
    number = gateway.request(worker, "auth.accounts.find", **find())
    gateway.wait(REPLY, worker=worker, number=number)
    started = time.monotonic()
    assert gateway.wait(READY, worker=worker, fresh=True).id == number
    assert time.monotonic() - started < 0.5


def test_a_restarted_gateway_is_found_again(gateways):
    first = gateways()
    first.wait_workers("auth", WORKERS)
    first.close(unlink=False)
    time.sleep(0.3)
    second = gateways()
    started = time.monotonic()
    worker = second.wait_workers("auth", WORKERS)[0]
    assert time.monotonic() - started < 1.5
    assert second.ask(worker, "auth.accounts.find", **find()).status == 404


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


# ---- homes ----


def test_a_second_gateway_gets_its_share_only_after_the_echo(gateways):
    first = gateways(1)
    first.wait_workers("auth", WORKERS)
    first.wait_workers("auth-aside", 2)
    first.listen(0.2)
    first.seen.clear()
    first.echoes = False
    second = gateways(2)
    bye = first.wait(BYE)
    # The echo is still out: the credit is the first gateway's, and its REQUEST that crossed the BYE is served.
    crossed = first.request(bye.worker, "auth.accounts.find", **find())
    first.wait(REPLY, worker=bye.worker, number=crossed)
    assert second.count(READY) == 0 or bye.worker not in second.workers
    first.send(bye.worker, BYE)
    first.echoes = True
    second.wait(READY)
    moved = first.wait(BYE, timeout=3)
    assert moved.worker != bye.worker
    second.wait_workers("auth", 1)
    second.wait_workers("auth-aside", 1)
    # Nobody who has left is heard of again.
    first.listen(0.1)
    first.seen.clear()
    first.listen(1.3)
    assert {m.worker for m in first.seen if m.kind == READY} & {bye.worker, moved.worker} == set()
    assert first.count(READY) > 0
    # The second one goes: all come home within a second, and are served.
    first.workers.clear()
    second.close()
    started = time.monotonic()
    first.wait_workers("auth", WORKERS)
    first.wait_workers("auth-aside", 2)
    assert time.monotonic() - started < 1.2
    for worker in first.wait_workers("auth", WORKERS):
        assert first.ask(worker, "auth.accounts.find", **find()).status == 404


def test_a_gateway_that_does_not_echo_loses_the_connection(gateways):
    first = gateways(1)
    first.wait_workers("auth", WORKERS)
    first.wait_workers("auth-aside", 2)
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


# ---- draining ----


def test_a_worker_goes_after_the_echo_and_its_last_reply(alone, gateways):
    gateway = gateways()
    workers = gateway.wait_workers("auth", WORKERS) + gateway.wait_workers("auth-aside", 2)
    gateway.listen(0.2)
    gateway.seen.clear()
    gateway.echoes = False
    alone["auth-1"].handle.send_signal(signal.SIGTERM)
    leaving = [gateway.wait(BYE, timeout=2).worker for _ in workers]
    assert sorted(leaving) == sorted(workers)
    crossed = gateway.request(leaving[0], "auth.accounts.find", **find())
    gateway.wait(REPLY, worker=leaving[0], number=crossed)
    for worker in leaving:
        gateway.send(worker, BYE)
    assert alone["auth-1"].handle.wait(5) == 0
    alone["auth-1"].start()
    gateway.wait_workers("auth", WORKERS, timeout=10)


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

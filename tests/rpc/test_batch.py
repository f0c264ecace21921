"""Several requests in one message (x-batch, protocols 10): each is answered as it would have been alone."""

import json
import struct
import time
from decimal import Decimal

import msgpack
import pytest

from api.platform import Platform, give
from api.rpc import EXT_MONEY, pack, unpack
from rpc.gateway import FLAG_AGAIN, FLAG_JSON, REPLY, REQUEST, Answer, FakeGateway

DEBIT, FLAG_BATCH, FLAG_ERROR = "billing.wallets.debit", 16, 4
STORE, APP = 81, 9


@pytest.fixture(scope="module")
def billing():
    with Platform(gateways=0, services={"billing": 1}, settings={"SX_WORKERS": "3"}) as platform:
        gateway = FakeGateway(platform, 1, give)
        gateway.platform, gateway.worker = platform, gateway.wait_workers("billing", 1)[0]
        yield gateway
        gateway.close()


@pytest.fixture
def wallet(billing):
    def fill(paisa, store_id=STORE):
        made = billing.ask(billing.worker, "billing.wallets.adjust", body={"app_id": APP, "store_id": store_id, "amount": paisa, "description": "x"})
        assert not made.is_error, made.value
        return made.value["balance"]
    return fill


def want(amount, key=None, store_id=STORE, app_id=APP, **more):
    caller = {"audience": 1, "app_id": app_id, "store_id": store_id, "installation_id": 5, "generation": 1, "scopes": "billing"}
    return {"caller": caller, "path": {}, "query": {}, "body": {"amount": amount}, **({"key": key} if key else {}), **more}


def send(billing, frame, flags=FLAG_BATCH, operation=DEBIT):
    number = next(billing.ids)
    billing.send(billing.worker, REQUEST, number=number, flags=flags, budget=5000, name=operation.encode(), body=frame)
    return billing.wait(REPLY, worker=billing.worker, number=number)


def send_all(billing, *wants, flags=0, budget=5000):
    """(status, error code or None, value, headers) of each."""
    reply = send(billing, pack([[flags, budget, pack(each)] for each in wants]))
    assert (reply.flags, reply.status, len(unpack(reply.body))) == (FLAG_BATCH, 200, len(wants))
    answers = []
    for status, flags_of, headers, body in unpack(reply.body):
        value = json.loads(body) if flags & FLAG_JSON and not flags_of & FLAG_ERROR else unpack(body)
        answers.append((status, value["code"] if flags_of & FLAG_ERROR else None, value, unpack(headers) if headers else {}))
    return answers


def test_each_has_its_own_answer_in_its_own_place(billing, wallet):
    before = wallet(10000)
    answers = send_all(billing, want(1), want(0), want(99999), {**want(1), "body": {}}, want(2))
    assert [answer[:2] for answer in answers] == [(201, None), (400, "invalid_amount"), (400, "insufficient_balance"),
                                                  (400, "validation_error"), (201, None)]
    assert [answers[i][2]["data"]["balance"] for i in (0, 4)] == [before - 1, before - 3]
    checked = {**want(1), "body": {"amount": msgpack.ExtType(EXT_MONEY, struct.pack(">Bq", 3, 2500))}}
    [(_, _, value, _)] = send_all(billing, checked, flags=FLAG_JSON)
    assert value["status"] == 201 and value["data"]["amount"] == 2.5


def test_keys(billing, wallet):
    before = wallet(1000)
    key, other = f"k-{time.time_ns()}", f"o-{time.time_ns()}"
    answers = send_all(billing, want(1, key), want(1, key), want(2, key), want(1, other))
    assert [answer[:2] for answer in answers] == [(201, None), (201, None), (409, "idempotency_conflict"), (201, None)]
    assert answers[0][2] == answers[1][2] and answers[1][3] == {"Idempotent-Replayed": "true"} and not answers[0][3]
    again = send_all(billing, want(1, other), want(1, key), flags=FLAG_AGAIN)
    assert [answer[2] for answer in again] == [answers[3][2], answers[0][2]]
    alone = billing.ask(billing.worker, DEBIT, **want(1, key))         # an ordinary REQUEST is a batch of one
    assert alone.value == answers[0][2] and alone.headers == {"Idempotent-Replayed": "true"} and not alone.flags
    assert wallet(1) == before - 2 + Decimal("0.01")


def test_who_is_somebody_else_or_too_late_is_refused_alone(billing, wallet):
    before = wallet(1000)
    answers = send_all(billing, want(1), want(1, store_id=STORE + 1), want(1, app_id=APP + 1))
    assert [answer[:2] for answer in answers] == [(201, None), (400, "bad_request"), (400, "bad_request")]
    assert [answer[:2] for answer in send_all(billing, want(1), budget=0)] == [(504, "gateway_timeout")]
    assert wallet(1) == before - 1 + Decimal("0.01")


@pytest.mark.parametrize("frame", [b"", b"\x90", b"\x80", pack("x"), pack([[0, 5000, pack(want(1))]] * 65), b"\xdd\xff\xff\xff\xff"])
def test_a_list_that_is_none_is_one_error(billing, frame):
    answer = Answer(send(billing, frame))
    assert answer.is_error and (answer.status, answer.value["code"], answer.flags) == (400, "bad_request", FLAG_ERROR)


@pytest.mark.parametrize("each", [None, [], [0], [0, 5000], [0, 5000, b""], [0, 5000, b"\xc1"], ["x", "y", "z"], {}, [0, 5000, pack([])]])
def test_what_is_no_request_is_refused_and_the_others_are_done(billing, wallet, each):
    before = wallet(1000)
    reply = send(billing, pack([[0, 5000, pack(want(1))], each]))
    answers = unpack(reply.body)
    assert [status for status, *_ in answers] == [201, 400] and unpack(answers[1][3])["code"] == "bad_request"
    assert wallet(1) == before - 1 + Decimal("0.01")


def test_what_is_not_put_together_takes_no_list(billing):
    answer = Answer(send(billing, pack([[0, 5000, pack(want(1))]]), operation="billing.wallets.get"))
    assert (answer.status, answer.value["code"]) == (400, "bad_request")

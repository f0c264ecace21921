"""Money while processes are killed (SIGKILL): billing's, and PostgreSQL's backends and postmaster, with nothing that puts right
afterwards. Several clients say random words about money to the platform and to their models (money_model.py); a word that was not
answered, or by an error of the platform's own, is said again with the same key until the answer is known. In the end every balance,
charge, subscription, event and account of the ledger is what was acknowledged.

SX_TEST_SCALE 1 kills 100 times. SX_TEST_SEED repeats the victims of a run, and what each client wants.
"""

import collections
import concurrent.futures
import os
import random
import threading
import time

from api.hooks import log_of
from api.money_model import KINDS, Client, accounts
from api.platform import Platform
from api.rpc import RpcError
from api.test_billing_ledger import sealed, verify

from .hurt import Hurt, until

SCALE = float(os.environ.get("SX_TEST_SCALE", "0.1"))
ROUNDS = max(10, round(100 * SCALE))
SEED = int(os.environ.get("SX_TEST_SEED") or random.randrange(2 ** 32))
CLIENTS = 4
KNOWN_S = 60                                                                # until then whatever was asked has an answer
VICTIMS = 3 * ["billing-1", "billing-2"] + 2 * ["backend", "postgres"]
LOOKS_AGAIN = b'http-equiv="refresh"'
WANTED = [kind for kind in KINDS if kind != "adjust"]                       # the operator's own word has no key


def is_known(path, answer):
    """Not so while the platform is in trouble, does the same already, or has not heard yet what became of a payment."""
    return (answer.status_code < 500 and not (answer.status_code == 409 and "Retry-After" in answer.headers) and
            not ("/return" in path and LOOKS_AGAIN in answer.content))


class Insisting(Platform):
    """Asked by clients that do not give up."""

    def __init__(self, **options):
        super().__init__(**options)
        self.unknown = collections.Counter()

    def request(self, method, path, **options):
        end = time.monotonic() + KNOWN_S
        while True:
            answer = super().request(method, path, **options)
            if is_known(path, answer):
                return answer
            self.wait(answer.status_code, end, f"{method} {path}: {answer}")

    def call(self, operation, **options):
        end = time.monotonic() + KNOWN_S
        while True:
            try:
                return super().call(operation, **options)
            except RpcError as error:
                if error.status < 500:
                    raise
                self.wait(error.status, end, repr(error))

    def wait(self, status, end, what):
        assert time.monotonic() < end, f"not known within {KNOWN_S} s: {what}"
        self.unknown[status] += 1
        time.sleep(0.05)


class Hurried(Client):
    def begin(self, shop, path):
        """The page waits for twenty seconds for a process that began and was killed; the sandbox's own page does not."""
        answer = shop.platform.get(path)
        assert answer.status_code == 303 or LOOKS_AGAIN in answer.content, answer


class Work:
    """A thread for each client, until it is told to stop or finds something wrong."""

    def __init__(self, clients, rng):
        self.clients, self.stop, self.done = clients, threading.Event(), [0] * len(clients)
        self.pool = concurrent.futures.ThreadPoolExecutor(len(clients))
        self.results = [self.pool.submit(self.run, number, random.Random(rng.getrandbits(64))) for number in range(len(clients))]

    def run(self, number, rng):
        while not self.stop.is_set():
            self.clients[number].step(rng.choice(WANTED), *(rng.randrange(2 ** 31) for _ in range(3)))
            self.done[number] += 1
            if self.done[number] % 20 == 0:
                self.clients[number].check()

    def is_over(self, some=all):
        return some(result.done() for result in self.results)


def decks(rng):
    while True:
        yield from rng.sample(VICTIMS, len(VICTIMS))


def suffer(platform, work, rng):
    """The kills; afterwards nobody is in the middle of anything."""
    hurt = Hurt(platform, rng, ["billing"])
    try:
        for _, victim in zip(range(ROUNDS), decks(rng)):
            hurt.wait(rng.uniform(0.05, 0.5), lambda: sum(work.done), 40)
            if work.is_over(any):
                break
            hurt.strike(victim)
        hurt.wait(0.5, lambda: sum(work.done), 20)
    finally:
        work.stop.set()
    end = time.monotonic() + 2 * KNOWN_S
    while not work.is_over():
        hurt.heal()
        assert time.monotonic() < end, "a client is still in the middle of something"
        time.sleep(0.05)
    for result in work.results:
        result.result()
    until(lambda: hurt.heal() or not platform.postgres.rows("select 1 from billing.outbox limit 1"), 120, "everything is told")
    return hurt.done


def test_no_kill_loses_or_makes_money():
    rng, began = random.Random(SEED), time.monotonic()
    print(f"SX_TEST_SEED={SEED}")
    with Insisting(services={"auth": 1, "store-data": 1, "billing": 2}, durable=True, settings={"SX_ACCESS_LOG": 0}) as platform:
        clients = [Hurried(platform, number) for number in range(CLIENTS)]
        work = Work(clients, rng)
        killed = suffer(platform, work, rng)
        assert sum(killed[victim] for victim in set(VICTIMS)) == ROUNDS
        for client in clients:
            client.check_all()
            for shop in client.shops:
                log = log_of(platform, shop.installation_id)
                assert [seq for seq, _, _ in log] == list(range(1, len(log) + 1))
        found, wanted = accounts(platform, clients)
        assert found == wanted
        sealed(platform)
        code, verified = verify(platform)
        assert code == 0 and verified["transfers"] == platform.postgres.rows("select count(*) from billing.transfer")[0][0], verified
    print(f"{time.monotonic() - began:.0f} s, {sum(work.done)} operations, {dict(killed)}, asked again after {dict(platform.unknown)}, "
          f"{verified['transfers']} transfers")

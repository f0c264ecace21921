"""Billing against a model in Python (money_model.py): random operations of several clients at once. A list that fails is made shorter
until every operation in it is needed.

SX_TEST_SEED repeats a run, SX_TEST_SCALE 1 does 100,000 operations, 25,000 with a sanitizer.
"""

import concurrent.futures
import contextlib
import os
import random
import threading

from .money_model import KINDS, Client, accounts
from .test_billing_ledger import sealed, verify
from .test_uninstall import until

SEED = int(os.environ.get("SX_TEST_SEED", random.randrange(2**32)))
SCALE = float(os.environ.get("SX_TEST_SCALE", "0.1"))
OPERATIONS = int((25_000 if SCALE == 1 and os.environ.get("VARIANT") == "asan" else 100_000) * SCALE)
CLIENTS = 8
CHECK_EACH = 150
SHRINK_RUNS = 40
ONE_AT_A_TIME = threading.Lock()


def run(platform, number, operations):
    """A new client does them; the client, or what was wrong and at which operation."""
    with ONE_AT_A_TIME:                                                                # signing in is slow on purpose
        client = Client(platform, number)
    for place, operation in enumerate(operations):
        try:
            client.step(*operation)
            if place % CHECK_EACH == CHECK_EACH - 1:
                client.check()
        except Exception as error:
            return client, operations[:place + 1], error
    try:
        until(lambda: not platform.postgres.rows("select 1 from billing.outbox limit 1"))
        client.check_all()
    except Exception as error:
        return client, operations, error
    return client, operations, None


def shortest(platform, number, operations, error):
    """A part of them that fails still, and how, by leaving out ever smaller pieces."""
    size, runs = len(operations) // 2, 0
    while size and runs < SHRINK_RUNS:
        place = 0
        while place < len(operations) and runs < SHRINK_RUNS:
            fewer, runs = operations[:place] + operations[place + size:], runs + 1
            _, tried, found = run(platform, number, fewer)
            if found:
                operations, error = tried, found
            else:
                place += size
        size //= 2
    return operations, error


def test_against_the_model(make_platform):
    platform = make_platform(services={"auth": 1, "store-data": 1, "billing": 2}, recorded=OPERATIONS <= 10_000)
    print(f"SX_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    lists = [[(chance.choice(KINDS), *(chance.randrange(2**31) for _ in range(3))) for _ in range(OPERATIONS // CLIENTS)] for _ in range(CLIENTS)]
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        done = list(pool.map(lambda number: run(platform, number, lists[number]), range(CLIENTS)))
    for number, (_, operations, error) in enumerate(done):
        if error:
            with contextlib.suppress(Exception):
                operations, error = shortest(platform, number, operations, error)
            raise AssertionError(f"SX_TEST_SEED={SEED}, client {number}: {error!r}\nafter {operations}") from error
    found, wanted = accounts(platform, [client for client, _, _ in done])
    assert found == wanted, f"SX_TEST_SEED={SEED}"
    sealed(platform)
    code, verified = verify(platform)
    assert code == 0 and verified["transfers"] == platform.postgres.rows("select count(*) from billing.transfer")[0][0], verified

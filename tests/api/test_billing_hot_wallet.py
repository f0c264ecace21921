"""One wallet that many want at once: debits go together (x-batch), and each is exact, its own, and done once.

SX_TEST_SCALE 1 does ten times as many.
"""

import concurrent.futures
import http.client
import os
import random
import subprocess
import threading
import time
import uuid
from collections import Counter

import pytest

from .client import is_error
from .locks import transaction
from .plans import Plans, buffers
from .platform import ROOT, Platform
from .shop import Owner

BILLING = "/api/apps/v1/billing"
SCALE = float(os.environ.get("SX_TEST_SCALE", "0.1"))
CLIENTS = 64
LOCK = "select from billing.wallet where store_id = %s for update"


@pytest.fixture(scope="module")
def busy():
    """Two gateways, and a billing with two workers for each."""
    with Platform(gateways=2, settings={"SX_WORKERS": "4"}) as platform:
        yield platform


@pytest.fixture
def shop(busy):
    return Owner(busy).open_shop()


def fill(shop, paisa):
    shop.platform.call("billing.wallets.adjust", app_id=shop.app_id, store_id=shop.store_id, amount=paisa, description="money to spend")


def debit(shop, amount, key=None, **options):
    return shop.post(f"{BILLING}/wallet/debit", {"amount": amount}, headers={"Idempotency-Key": key} if key else {}, **options)


def at_once(clients, work):
    """work(n) of each client, all at the same time; what they answered."""
    start = threading.Barrier(clients)

    def one(n):
        start.wait()
        return work(n)

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return list(pool.map(one, range(clients)))


def rows_of(shop):
    """(type, amount, balance after, database transaction) of all that moved the wallet, each with its transfer in the ledger."""
    return shop.platform.postgres.rows(
        "select t.type, t.amount, t.balance_after, t.xmin::text from billing.wallet_transaction as t join billing.wallet as w using "
        "(wallet_id) join billing.transfer as l using (transfer_id) where w.store_id = %s and w.app_id = %s and l.amount = t.amount and "
        "l.reason = t.type and w.account_id = case when t.type = 'debit' then l.from_account else l.to_account end order by "
        "t.transaction_id", (shop.store_id, shop.app_id))


def check(shop, spent):
    """In paisa: each balance follows from the one before it, and wallet and ledger say the same."""
    balance = 0
    for kind, amount, after, _ in rows_of(shop):
        balance += -amount if kind == "debit" else amount
        assert after == balance >= 0
    wallet = shop.get(f"{BILLING}/wallet").json()["data"]
    assert (round(wallet["balance"] * 100), round(wallet["total_spent"] * 100)) == (balance, spent)
    assert sum(row[1] for row in rows_of(shop) if row[0] == "debit") == spent
    shop.platform.sxctl("ledger", "verify")


def wait_for_waiting(platform, count, queued=0):
    """Until so many of billing's transactions wait for a lock, and so many requests for billing in the gateways."""
    deadline = time.monotonic() + 10

    def waiting():
        pools = [pool for gateway in (1, 2) for pool in platform.rpc(gateway).call("gateway.who", {}) if pool["service"] == "billing"]
        return sum(pool["queued"] for pool in pools) >= queued and platform.postgres.rows(
            "select count(*)::int from pg_stat_activity where usename = 'billing' and wait_event_type = 'Lock'") >= [(count,)]

    while not waiting():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_64_clients_at_two_gateways_never_overdraw(busy, shop):
    each = int(200 * SCALE)
    given = 100 * CLIENTS * each // 2 + 77
    fill(shop, given)
    sizes = [random.Random(n).randrange(1, 300) for n in range(CLIENTS)]

    def work(n):
        answers = [debit(shop, sizes[n] / 100, gateway=1 + n % 2) for _ in range(each)]
        assert {answer.status_code for answer in answers} <= {201, 400}
        for answer in answers:
            if answer.status_code == 400:
                is_error(answer, 400, "insufficient_balance")
        return [answer.json()["data"] for answer in answers if answer.status_code == 201]

    taken = [data for answers in at_once(CLIENTS, work) for data in answers]
    spent = sum(round(data["amount"] * 100) for data in taken)
    assert given - max(sizes) < spent <= given          # all but what is too little for somebody
    assert len({data["transaction_id"] for data in taken}) == len({data["balance"] for data in taken}) == len(taken)
    check(shop, spent)


def test_what_waits_goes_together_and_holds_up_nobody_else(busy, shop):
    """The wallet is locked: the debits wait in the gateways and hold one worker for each. What comes for others is served."""
    other = Owner(busy).open_shop()
    fill(shop, 10000)
    fill(other, 10000)
    assert debit(other, 1).status_code == 201
    with transaction(busy) as cursor, concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        cursor.execute(LOCK, (shop.store_id,))
        waiting = [pool.submit(debit, shop, (100 + n) / 100, gateway=1 + n % 2) for n in range(CLIENTS)]
        wait_for_waiting(busy, 2, CLIENTS - 2)
        for gateway in (1, 2):
            assert debit(other, 1, gateway=gateway).status_code == 201
        assert not any(answer.done() for answer in waiting)
        cursor.connection.rollback()
        answers = [answer.result() for answer in waiting]
    assert Counter(answer.status_code for answer in answers) == {201: CLIENTS}
    assert [answer.json()["data"]["amount"] for answer in answers] == [(100 + n) / 100 for n in range(CLIENTS)]    # each its own
    assert len({row[3] for row in rows_of(shop) if row[0] == "debit"}) == 4      # one alone and one with the rest, at each
    check(shop, sum(100 + n for n in range(CLIENTS)))


def test_a_key_that_many_bring_is_one_debit(busy, shop):
    fill(shop, 100000)
    for _ in range(max(2, int(20 * SCALE))):
        before = len(rows_of(shop))
        key, other = uuid.uuid4().hex, uuid.uuid4().hex

        def work(n):
            while (answer := debit(shop, 2.5, key if n % 4 else other, gateway=1 + n % 2)).status_code == 409:
                assert answer.json()["code"] == "conflict" and answer.headers["Retry-After"]
                time.sleep(0.05)
            return answer

        answers = at_once(CLIENTS, work)
        assert {answer.status_code for answer in answers} == {201}
        for group in (answers[0::4], [answer for n, answer in enumerate(answers) if n % 4]):
            assert len({answer.content for answer in group}) == 1
            assert sum("Idempotent-Replayed" not in answer.headers for answer in group) == 1
        assert len(rows_of(shop)) == before + 2
    check(shop, 250 * (len(rows_of(shop)) - 1))


def test_each_of_a_batch_is_answered_for_what_it_is(busy, shop):
    """Good, bad, repeated and contradictory ones that are decided together."""
    fill(shop, 10000)
    known, twice = uuid.uuid4().hex, uuid.uuid4().hex
    first = debit(shop, 10, known)
    wants = [(10, known, 201, None), (11, known, 409, "idempotency_conflict"), (1000, None, 400, "insufficient_balance"),
             (0, None, 400, "invalid_amount"), (1.005, None, 400, "invalid_amount"), ("1", None, 400, "validation_error"),
             (1, twice, 201, None), (1, twice, 201, None), (2.25, None, 201, None), (1e9, uuid.uuid4().hex, 400, "insufficient_balance")]
    with transaction(busy) as cursor, concurrent.futures.ThreadPoolExecutor(len(wants) + 1) as pool:
        cursor.execute(LOCK, (shop.store_id,))
        opener = pool.submit(debit, shop, 1)
        wait_for_waiting(busy, 1)
        answers = [pool.submit(debit, shop, amount, key) for amount, key, _, _ in wants]
        wait_for_waiting(busy, 1, len(wants) - 1)       # the gateway refuses one by itself
        cursor.connection.rollback()
        answers = [answer.result() for answer in answers]
        assert opener.result().status_code == 201
    for answer, (_, _, status, code) in zip(answers, wants, strict=True):
        assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answers[0].content == first.content and answers[0].headers["Idempotent-Replayed"] == "true"
    assert answers[6].content == answers[7].content
    check(shop, 1000 + 100 + 100 + 225)


def test_an_installation_that_ends_meanwhile(busy, shop):
    """Admitted while the app was installed, decided when it is no more."""
    fill(shop, 10000)
    assert debit(shop, 1).status_code == 201
    with transaction(busy) as cursor, concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        cursor.execute(LOCK, (shop.store_id,))
        opener = pool.submit(debit, shop, 1)
        wait_for_waiting(busy, 1)
        late = [pool.submit(debit, shop, 1) for _ in range(10)]
        wait_for_waiting(busy, 1, len(late))
        ending = pool.submit(busy.call, "billing.installations.end", installation_id=shop.installation_id, generation=1,
                             store_id=shop.store_id, app_id=shop.app_id)
        wait_for_waiting(busy, 2)                       # it comes after the debit that holds the installation
        cursor.connection.rollback()
        assert opener.result().status_code == 201
        answers = [answer.result() for answer in late]
        ending.result()
    # The next batch and the end race for the installation: all of the one come before or behind it.
    codes = {(answer.status_code, answer.json().get("code")) for answer in answers}
    assert len(codes) == 1 and codes <= {(201, None), (400, "invalid_installation")}, codes
    is_error(debit(shop, 1), 400, "invalid_installation")
    check(shop, 100 * (2 + (10 if codes == {(201, None)} else 0)))


FILL = """
set search_path = billing;
insert into idempotency (store_id, app_id, key, operation, request_hash, status, body, sealed, created_at)
    select 1000000 + case when n <= 20000 then 1 else n end, 1, 'key-' || n, 'x', '', 201, '', false, now() from generate_series(1, 40000) as n;
insert into installation (installation_id) select n from generate_series(1000001, 1010000) as n;
insert into account (kind, app_id, store_id, currency) select 'wallet', 1000002, n, 'BDT' from generate_series(1, 10000) as n;
insert into account (kind, app_id, currency) select kind, n, 'BDT' from generate_series(1000001, 1005000) as n, unnest('{issue,spent}'::text[]) as kind;
insert into wallet (app_id, store_id, currency, account_id, updated_at)
    select app_id, store_id, currency, account_id, now() from account where kind = 'wallet' and app_id = 1000002
"""


def test_a_debit_reads_what_it_needs_and_no_more(busy, tmp_path):
    """Where one app has half of all keys, and with as many wallets as there are stores."""
    (tmp_path / "queries.h").write_text('#include "shared_queries.h"\n')
    subprocess.run(["gcc", "-w", f"-I{tmp_path}", f"-iquote{ROOT}/libshared", str(ROOT / "tests" / "bench" / "statements.c"), "-o",
                    str(tmp_path / "shared")], check=True)
    plans = Plans(busy, tmp_path, "billing")
    plans.statements.update(line.split("\t", 1) for line in subprocess.run(
        [tmp_path / "shared"], check=True, capture_output=True, text=True).stdout.splitlines())
    busy.postgres.rows(FILL)
    busy.postgres.rows("vacuum analyze")
    for name, values, most in (
            ("IDEMPOTENCY_FIND_ALL", (1000001, 1, "{key-7,key-8,key-9,nothing}", "2020-01-01"), 40), ("WALLET_LOCK", (77, 1000002, "BDT"), 40),
            ("INSTALLATIONS_SHARE", ("{1000007,1000007,1009999}",), 40),
            ("IDEMPOTENCY_KEEP_ALL", (7, 7, "x", "{a,b}", '{"",""}', "{201,201}", "{NULL,NULL}", '{"",""}', "{0,0}", "2026-01-01"), 60)):
        assert not plans.scanned(name, *values) & {"idempotency", "installation", "wallet", "account"}, name
        plans.explain(name, *values)
        assert buffers(plans.explain(name, *values)) <= most, name


def test_killed_while_debits_are_under_way(make_platform):
    """What was acknowledged is there, nothing is there twice; keys make sure of both."""
    platform = make_platform(gateways=2, services={"auth": 1, "store-data": 1, "billing": 2}, durable=True)
    shop = Owner(platform).open_shop()
    kills = max(3, int(40 * SCALE))
    fill(shop, 10**9)
    over = threading.Event()
    done = [{} for _ in range(16)]

    def work(n):
        while not over.is_set():
            key = uuid.uuid4().hex
            while True:
                try:
                    answer = debit(shop, (n + 1) / 100, key, gateway=1 + n % 2)
                except (OSError, http.client.HTTPException) as error:
                    raise AssertionError(f"a gateway broke off: {error!r}") from error
                if answer.status_code == 201:
                    break
                assert answer.status_code in (409, 502, 503, 504), answer.text
                time.sleep(0.02)
            done[n][answer.json()["data"]["transaction_id"]] = n + 1

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for number in range(kills):
        time.sleep(0.2 + random.random() / 5)
        process = platform[f"billing-{1 + number % 2}"]
        process.kill()
        process.start()
    time.sleep(0.3)
    over.set()
    for thread in threads:
        thread.join()
    told = {number: amount for each in done for number, amount in each.items()}
    assert sum(map(len, done)) == len(told) > kills
    kept = dict(platform.postgres.rows("select transaction_id, amount::int from billing.wallet_transaction where type = 'debit'"))
    assert kept == told
    check(shop, sum(told.values()))

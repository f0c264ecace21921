"""The ledger: sealed in blocks, read out as a text, and every change of it found."""

import itertools
import json
import os
import random
import time

import psycopg2
import pytest

from .payments import paid
from .shop import Owner
from .test_billing_wallets import BILLING, adjust

FLIPS = int(2000 * float(os.environ.get("SX_TEST_SCALE", "0.1")))
LINES = 40


def sealed(platform):
    until = time.monotonic() + 30
    while platform.postgres.rows("select 1 from billing.unsealed limit 1"):
        assert time.monotonic() < until, "transfers stay unsealed"
        time.sleep(0.05)


def verify(platform, *path):
    done = platform.sxctl("ledger", "verify", *path, check=False)
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else done.stderr


def filled(shop):
    adjust(shop, 100000)
    for amount in (1, 2.5, 10, 33.33):
        assert shop.post(f"{BILLING}/wallet/debit", {"amount": amount}).status_code == 201
    sealed(shop.platform)


def test_it_is_what_it_was(shop):
    filled(shop)
    blocks = shop.platform.call("billing.ledger.read", after=0)
    assert blocks["text"].startswith("B|1\n") and blocks["last"] >= blocks["blocks"] >= 1
    kept = [line for line in shop.platform.call("billing.ledger.wallets", block=2**40, after=0)["text"].splitlines() if line.startswith("W|")]
    assert f"W|wallet:{shop.app_id}:{shop.store_id}:BDT|95317" in kept
    paid(shop, 100)
    kept = shop.platform.call("billing.ledger.developers", block=2**40, after=0)["text"]
    assert f"W|developer:{shop.app_id}:0:BDT|" in kept
    sealed(shop.platform)
    kept = shop.platform.call("billing.ledger.developers", block=2**40, after=0)["text"].splitlines()
    assert {f"W|developer:{shop.app_id}:0:BDT|7750", f"W|payout:{shop.app_id}:0:BDT|0", f"W|paid:{shop.app_id}:0:BDT|0"} <= set(kept)
    code, found = verify(shop.platform)
    assert code == 0 and found["ok"] and found["transfers"] >= 5 and found["balances"] >= 1 and found["unsealed"] == 0


class Export:
    """An export in a file that the platform's user may read, and every change of it that is asked for."""

    def __init__(self, platform):
        self.platform, self.path = platform, platform.home / "ledger.txt"
        self.text = platform.sxctl("ledger", "export").stdout.encode()

    def is_right(self, text):
        self.path.write_bytes(text)
        code, _ = verify(self.platform, self.path)
        assert code in (0, 1)
        return code == 0

    def flipped(self, at, bit):
        return self.text[:at] + bytes([self.text[at] ^ 1 << bit]) + self.text[at + 1:]


@pytest.fixture
def export(shop):
    filled(shop)
    made = Export(shop.platform)
    yield made
    made.path.unlink()


def some(lines):
    """Numbers of lines: all of a short export, of a long one its ends and others."""
    return range(len(lines)) if len(lines) <= LINES else sorted(
        {0, 1, len(lines) - 2, len(lines) - 1, *random.sample(range(len(lines)), LINES)})


def test_one_flipped_bit_in_an_export_is_found(export):
    """In the first and the last byte of lines, and many anywhere."""
    assert export.is_right(export.text)
    lines = export.text.splitlines(keepends=True)
    begins = list(itertools.accumulate(map(len, lines), initial=0))
    places = {(at, random.randrange(8)) for line in some(lines) for at in (begins[line], begins[line + 1] - 1)}
    places |= {(random.randrange(len(export.text)), random.randrange(8)) for _ in range(FLIPS)}
    for at, bit in sorted(places):
        assert not export.is_right(export.flipped(at, bit)), (at, bit)


def test_lines_that_are_gone_doubled_or_in_another_order_are_found(export):
    lines = export.text.splitlines(keepends=True)
    for at in some(lines):
        assert not export.is_right(b"".join(lines[:at] + lines[at + 1:])), lines[at]
        assert not export.is_right(b"".join(lines[:at + 1] + lines[at:])), lines[at]
        if at and lines[at] != lines[at - 1]:
            assert not export.is_right(b"".join(lines[:at - 1] + [lines[at], lines[at - 1]] + lines[at + 1:])), lines[at]
    for size in (0, 1, len(export.text) - 1, len(export.text) // 2):
        assert not export.is_right(export.text[:size])
    assert not export.is_right(export.text + b"\n")


def test_what_is_kept_beside_the_ledger_is_held_against_it(make_platform):
    platform = make_platform()
    shop = Owner(platform).open_shop()
    filled(shop)
    platform.postgres.rows("update billing.wallet set balance = balance + 1 where store_id = %s", (shop.store_id,))
    code, why = verify(platform)
    assert code == 1 and "its transfers make" in why
    platform.postgres.rows("update billing.wallet set balance = balance - 1 where store_id = %s", (shop.store_id,))
    assert verify(platform)[0] == 0
    platform.postgres.rows("alter table billing.transfer disable trigger user; update billing.transfer set amount = amount + 1 "
                           "where transfer_id = (select min(transfer_id) from billing.transfer)")
    code, why = verify(platform)
    assert code == 1 and "block 1 is not what was sealed" in why


def test_the_service_cannot_change_what_is_written(shop):
    for table, column in (("transfer", "amount"), ("block", "hash"), ("account", "app_id"), ("currency", "decimals")):
        for what in (f"delete from billing.{table}", f"truncate billing.{table}", f"update billing.{table} set {column} = {column}"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                shop.platform.postgres.rows(what, user="billing")

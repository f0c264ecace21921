"""The ledger: sealed in blocks, read out as a text, and every change of it found."""

import json
import random
import time

import psycopg2
import pytest

from .shop import Owner
from .test_billing_wallets import BILLING, adjust


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
    code, found = verify(shop.platform)
    assert code == 0 and found["ok"] and found["transfers"] >= 5 and found["wallets"] >= 1


def test_one_flipped_bit_in_an_export_is_found(shop, tmp_path):
    filled(shop)
    text = shop.platform.sxctl("ledger", "export").stdout.encode()
    path = tmp_path / "ledger.txt"
    path.write_bytes(text)
    assert verify(shop.platform, path)[0] == 0
    random.seed(20261122)
    places = [(at, 1 << random.randrange(8)) for at in random.sample(range(len(text)), min(400, len(text)))]
    for at, bit in places:
        path.write_bytes(text[:at] + bytes([text[at] ^ bit]) + text[at + 1:])
        assert verify(shop.platform, path)[0] == 1, (at, bit)
    lines = text.splitlines(keepends=True)
    for at in range(len(lines)):
        path.write_bytes(b"".join(lines[:at] + lines[at + 1:]))
        assert verify(shop.platform, path)[0] == 1, lines[at]


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
    for table in ("transfer", "block", "account"):
        for what in (f"delete from billing.{table}", f"truncate billing.{table}", f"update billing.{table} set {table}_id = 1"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                shop.platform.postgres.rows(what, user="billing")

"""Wallets: what is in them, what moved them, and that nothing is taken that is not there."""

import concurrent.futures
import uuid

from .client import is_error

BILLING = "/api/apps/v1/billing"


def adjust(shop, amount, why="put right"):
    return shop.platform.call("billing.wallets.adjust", app_id=shop.app_id, store_id=shop.store_id, amount=amount, description=why)


def test_a_new_wallet_is_empty(shop):
    wallet = shop.get(f"{BILLING}/wallet").json()["data"]
    assert {name: wallet[name] for name in ("balance", "currency", "total_topup", "total_spent")} == {
        "balance": 0, "currency": "BDT", "total_topup": 0, "total_spent": 0}
    assert shop.get(f"{BILLING}/wallet").json()["data"]["wallet_id"] == wallet["wallet_id"]


def test_a_debit_takes_what_is_there(shop):
    adjust(shop, 50000)
    done = shop.post(f"{BILLING}/wallet/debit", {"amount": 150, "description": "SMS", "metadata": {"count": 60}})
    assert done.status_code == 201 and (done.json()["data"]["amount"], done.json()["data"]["balance"]) == (150, 350)
    is_error(shop.post(f"{BILLING}/wallet/debit", {"amount": 350.01}), 400, "insufficient_balance")
    wallet = shop.get(f"{BILLING}/wallet").json()["data"]
    assert (wallet["balance"], wallet["total_topup"], wallet["total_spent"]) == (350, 0, 150)
    moved = shop.get(f"{BILLING}/wallet/transactions").json()
    assert [(row["type"], row["amount"], row["balance_after"], row["description"], row["metadata"]) for row in moved["data"]] == [
        ("debit", 150, 350, "SMS", {"count": 60}), ("adjustment", 500, 500, "put right", None)]
    assert moved["pagination"]["total"] == 2


def test_bad_amounts(shop):
    for amount in (0, -1, 0.001, 1.005, 1e9 + 1):
        answer = shop.post(f"{BILLING}/wallet/debit", {"amount": amount})
        assert answer.status_code == 400 and answer.json()["code"] in ("invalid_amount", "validation_error"), answer.text


def test_debits_side_by_side_never_take_more_than_there_is(shop):
    adjust(shop, 10000)

    def debit(_):
        return shop.post(f"{BILLING}/wallet/debit", {"amount": 2.50}, headers={"Idempotency-Key": str(uuid.uuid4())}).status_code

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(debit, range(100)))
    assert (answers.count(201), answers.count(400)) == (40, 60)
    assert shop.get(f"{BILLING}/wallet").json()["data"]["balance"] == 0


def test_a_charge_waits_for_the_merchant(shop):
    made = shop.post(f"{BILLING}/charges", {"name": "Setup", "amount": 500, "currency": "BDT", "metadata": {"plan": "pro"}})
    charge = made.json()["data"]
    assert made.status_code == 201, made.text
    assert (charge["status"], charge["amount"], charge["platform_amount"], charge["gateway_fee_amount"], charge["developer_amount"]) == (
        "pending", 500, 100, 12.5, 387.5)
    assert shop.get(f"{BILLING}/charges/{charge['charge_id']}").json()["data"] == charge
    is_error(shop.get(f"{BILLING}/charges/999999999"), 404, "charge_not_found")
    for amount in (9.99, 50000.01):
        is_error(shop.post(f"{BILLING}/charges", {"name": "Setup", "amount": amount}), 400, "invalid_amount")

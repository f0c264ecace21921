"""The developer's side of billing (contract A.5, seed 004): charges of all stores, revenue, balance, payouts, and the app's
refunds. What they show is held against the ledger by `sxctl ledger verify`."""

import concurrent.futures
import uuid

import pytest

from .client import is_error
from .payments import paid
from .rpc import RpcError
from .shop import PASSWORD, Owner
from .test_billing_ledger import sealed, verify
from .test_billing_wallets import BILLING


class Developer(Owner):
    """One who has signed in, with an app in two stores."""

    def __init__(self, platform):
        super().__init__(platform, is_developer=True)
        answer = platform.post("/api/v1/auth/login", {"identifier": self.email, "password": PASSWORD})
        self.headers = {"Authorization": f"Bearer {answer.json()['data']['accessToken']}"}
        self.app = self.make_app()
        self.app_id = self.app["app_id"]
        self.shops = [self.open_shop(app=self.app) for _ in range(2)]

    def path(self, what, app_id=None):
        return f"/api/v1/apps/{app_id or self.app_id}/billing/{what}"

    def ask(self, method, what, body=None, app_id=None, **query):
        return self.platform.request(method, self.path(what, app_id), headers=self.headers, json_body=body, params=query or None)

    def see(self, what, **query):
        answer = self.ask("GET", what, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def request(self, **body):
        return self.ask("POST", "payouts", body)

    def balance(self):
        found = self.see("balance")
        return found["total_earned"], found["total_paid_out"], found["available_balance"], found["pending_payouts"]


@pytest.fixture
def developer(platform):
    return Developer(platform)


def test_before_anything_was_earned(developer):
    answer = developer.ask("GET", "balance")
    assert answer.json()["message"] == "Balance fetched"
    assert {name: value for name, value in answer.json()["data"].items() if name != "updated_at"} == {
        "app_id": developer.app_id, "total_earned": "0.00", "total_paid_out": "0.00", "available_balance": "0.00", "pending_payouts": "0.00",
        "currency": "BDT"}
    for what, message in (("charges", "Charges fetched"), ("revenue", "Revenue fetched"), ("payouts", "Payouts fetched")):
        answer = developer.ask("GET", what).json()
        assert answer["message"] == message
        assert answer["data"] == {"items": [], "page": 1, "limit": 20, "total": 0, "totalPages": 0}


def test_the_seeds_charge(developer):
    """Charge 8 of seed 004, at the default commission of 20 %."""
    charge = paid(developer.shops[0], 500, "wallet-topup")
    waits = developer.shops[1].post(f"{BILLING}/charges", {"name": "Setup", "amount": 150}).json()["data"]
    listed = developer.see("charges")
    assert [row["charge_id"] for row in listed["items"]] == [waits["charge_id"], charge["charge_id"]] and listed["total"] == 2
    wanted = {"charge_id": charge["charge_id"], "store_id": developer.shops[0].store_id, "installation_id": developer.shops[0].installation_id,
              "charge_type": "wallet_topup", "name": "Wallet Top-up", "amount": 500.00, "base_amount": 500.00, "currency": "BDT",
              "fee_payer": "developer", "commission_rate": 0.2, "platform_amount": 100.00, "gateway_fee_rate": 0.025, "gateway_fee_amount": 12.50,
              "developer_amount": 387.50, "status": "completed"}
    row = listed["items"][1]
    assert {name: row[name] for name in wanted} == wanted and row["activated_at"] is not None
    for status, found in (("completed", [charge]), ("pending", [waits]), ("declined", [])):
        assert [row["charge_id"] for row in developer.see("charges", status=status)["items"]] == [one["charge_id"] for one in found]
    assert [row["charge_id"] for row in developer.see("charges", before=waits["charge_id"])["items"]] == [charge["charge_id"]]
    [entry] = developer.see("revenue")["items"]
    assert isinstance(entry["ledger_id"], str) and {name: value for name, value in entry.items() if name not in ("ledger_id", "created_at")} == {
        "app_id": developer.app_id, "charge_id": charge["charge_id"], "from_wallet_amount": "500.00", "to_wallet_amount": "387.50",
        "amount": "500.00", "currency": "BDT", "type": "topup", "description": "Wallet Top-up"}
    assert developer.balance() == ("387.50", "0.00", "387.50", "0.00")


def test_pages(developer):
    made = [developer.shops[n % 2].post(f"{BILLING}/charges", {"name": f"No. {n}", "amount": 10 + n}).json()["data"]["charge_id"] for n in range(5)]
    for number, expected in ((1, made[:2:-1]), (2, made[2:0:-1]), (3, made[:1]), (4, []), (10**9, [])):
        page = developer.see("charges", page=number, limit=2)
        assert [row["charge_id"] for row in page["items"]] == expected
        assert {name: page[name] for name in ("page", "limit", "total", "totalPages")} == {"page": number, "limit": 2, "total": 5, "totalPages": 3}
    for bad in ({"page": "abc"}, {"limit": -1}, {"limit": 10000}):
        assert developer.ask("GET", "charges", **bad).status_code == 200
    is_error(developer.ask("GET", "charges", status="paid"), 400, "VALIDATION_ERROR")
    for what in ("charges", "revenue", "payouts"):
        is_error(developer.ask("GET", what, before="x"), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("method,what", [("GET", "charges"), ("GET", "revenue"), ("GET", "balance"), ("GET", "payouts"), ("POST", "payouts")])
def test_whose_app_it_is(platform, developer, method, what):
    """Nobody else's, and no store's own; and no one else's tokens."""
    stranger = Developer(platform)
    body = {} if method == "POST" else None
    is_error(stranger.ask(method, what, body, app_id=developer.app_id), 404, "APP_NOT_FOUND")
    is_error(stranger.ask(method, what, body, app_id=999999999), 404, "APP_NOT_FOUND")
    for headers in ({}, developer.shops[0].bearer):
        assert platform.request(method, developer.path(what), headers=headers, json_body=body).status_code == 401
    platform.postgres.rows("update auth.account set is_developer = false where account_id = %s", (developer.account_id,))
    platform.call("auth.developer_keys.forget")                                       # the gateways ask again
    is_error(developer.ask(method, what, body), 403, "FORBIDDEN")


def test_payouts(developer):
    paid(developer.shops[0], 1000)                                                   # 775.00 of it are the developer's
    is_error(developer.request(amount=775.01), 400, "INSUFFICIENT_BALANCE")
    for amount in (0, -1, 0.001, 1.005):
        is_error(developer.request(amount=amount), 400, "INVALID_AMOUNT")
    is_error(developer.request(amount="5"), 400, "VALIDATION_ERROR")
    is_error(developer.request(amount=1, sum=2), 400, "VALIDATION_ERROR")
    first = developer.request(amount=75.5)
    assert first.status_code == 201 and first.json()["message"] == "Payout requested"
    first = first.json()["data"]
    assert (first["amount"], first["status"], first["note"], first["finished_at"]) == ("75.50", "pending", None, None)
    assert developer.balance() == ("775.00", "75.50", "699.50", "75.50")
    rest = developer.request().json()["data"]
    assert rest["amount"] == "699.50" and developer.balance() == ("775.00", "775.00", "0.00", "775.00")
    is_error(developer.request(), 400, "INSUFFICIENT_BALANCE")
    platform = developer.platform
    pending = [row["payout_id"] for row in platform.call("billing.payouts.pending")["payouts"]]
    assert {first["payout_id"], rest["payout_id"]} <= set(pending)
    assert platform.call("billing.payouts.pending", after=pending[-1])["payouts"] == []
    for _ in range(2):                                                               # said twice
        done = platform.call("billing.payouts.paid", payout_id=first["payout_id"], reference="BRAC 4711")
        assert (done["status"], done["note"]) == ("paid", "BRAC 4711")
        back = platform.call("billing.payouts.failed", payout_id=rest["payout_id"], reason="account closed")
        assert (back["status"], back["note"]) == ("failed", "account closed")
    assert developer.balance() == ("775.00", "75.50", "699.50", "0.00")
    for operation, payout, more in (("failed", first, {"reason": "no"}), ("paid", rest, {})):
        with pytest.raises(RpcError) as refused:
            platform.call(f"billing.payouts.{operation}", payout_id=payout["payout_id"], **more)
        assert refused.value.code == "conflict"
        with pytest.raises(RpcError) as refused:
            platform.call(f"billing.payouts.{operation}", payout_id=999999999, **more)
        assert refused.value.code == "not_found"
    assert [(row["payout_id"], row["status"]) for row in developer.see("payouts")["items"]] == [
        (rest["payout_id"], "failed"), (first["payout_id"], "paid")]
    assert [row["payout_id"] for row in developer.see("payouts", before=rest["payout_id"])["items"]] == [first["payout_id"]]
    sealed(platform)
    assert verify(platform)[0] == 0


def test_a_payout_with_a_name_is_requested_once(developer):
    paid(developer.shops[0], 1000)
    key = str(uuid.uuid4())
    first = developer.request(amount=100, idempotency_key=key)
    again = developer.request(amount=100, idempotency_key=key)
    assert first.status_code == again.status_code == 201 and first.json() == again.json()
    is_error(developer.request(amount=101, idempotency_key=key), 409, "IDEMPOTENCY_CONFLICT")
    is_error(developer.request(idempotency_key=key), 409, "IDEMPOTENCY_CONFLICT")
    everything = str(uuid.uuid4())
    assert developer.request(idempotency_key=everything).json()["data"]["amount"] == "675.00"
    assert developer.request(idempotency_key=everything).json()["data"]["amount"] == "675.00"
    assert developer.see("payouts")["total"] == 2
    other = Developer(developer.platform)
    paid(other.shops[0], 100)
    assert other.request(amount=1, idempotency_key=key).status_code == 201               # another app's names are its own


def test_payouts_side_by_side_are_never_more_than_there_is(developer):
    """64 clients, some with the same name."""
    paid(developer.shops[0], 1000)

    def request(n):
        return developer.request(amount=25, **({"idempotency_key": f"name {n % 4}"} if n % 8 == 0 else {})).status_code

    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(request, range(128)))
    assert set(answers) == {201, 400}
    payouts = developer.see("payouts", limit=100)["items"]
    assert len(payouts) == 31 and {row["amount"] for row in payouts} == {"25.00"}        # 31 x 25.00 of 775.00
    assert developer.balance() == ("775.00", "775.00", "0.00", "775.00")
    sealed(developer.platform)
    assert verify(developer.platform)[0] == 0


# ---- refunds ----------------------------------------------------------------------------------------------------------

def refund(shop, charge, key=None, **body):
    return shop.post(f"{BILLING}/charges/{charge['charge_id']}/refund", body, headers={"Idempotency-Key": key} if key else None)


def test_a_refund_reverses_the_split(developer):
    shop = developer.shops[0]
    charge = paid(shop, 333.33)
    answer = refund(shop, charge, amount=0.01, reason="a coin")
    assert answer.status_code == 201, answer.text
    assert {name: answer.json()["data"][name] for name in ("charge_id", "amount", "currency", "reason")} == {
        "charge_id": charge["charge_id"], "amount": 0.01, "currency": "BDT", "reason": "a coin"}
    assert refund(shop, charge, amount=100).status_code == 201
    is_error(refund(shop, charge, amount=233.33), 400, "invalid_amount")
    for amount in (0, -5, 0.001):
        is_error(refund(shop, charge, amount=amount), 400, "invalid_amount")
    assert shop.get(f"{BILLING}/charges/{charge['charge_id']}").json()["data"]["refunded_amount"] == 100.01
    rest = refund(shop, charge)
    assert rest.json()["data"]["amount"] == 233.32
    is_error(refund(shop, charge), 409, "conflict")
    assert developer.balance() == ("0.00", "0.00", "0.00", "0.00")
    entries = developer.see("revenue")["items"]
    assert [entry["type"] for entry in entries][-1] == "charge" and entries[0]["from_wallet_amount"] == "-233.32"
    rows = developer.platform.postgres.rows("select kind, coalesce(sum(case when to_account = account_id then amount else -amount end), 0)::bigint "
                                            "from billing.account join billing.transfer on account_id in (from_account, to_account) "
                                            "where charge_id = %s group by kind", (charge["charge_id"],))
    assert {kind: total for kind, total in rows} == {"provider": 0, "platform": 0, "gateway": 0, "developer": 0}


def test_a_refund_after_a_payout_leaves_less_than_nothing(developer):
    shop = developer.shops[0]
    charge = paid(shop, 1000)
    developer.request()
    assert refund(shop, charge).status_code == 201
    assert developer.balance() == ("0.00", "775.00", "-775.00", "775.00")
    is_error(developer.request(amount=1), 400, "INSUFFICIENT_BALANCE")
    is_error(developer.request(), 400, "INSUFFICIENT_BALANCE")
    paid(shop, 1000)
    assert developer.balance()[2] == "0.00"


def test_a_refund_with_a_key_happens_once(developer):
    shop = developer.shops[0]
    charge = paid(shop, 100)
    key = str(uuid.uuid4())
    answers = [refund(shop, charge, key, amount=40) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3 and len({answer.text for answer in answers}) == 1
    is_error(refund(shop, charge, key, amount=41), 409, "idempotency_conflict")

    def once(n):
        return refund(shop, charge, f"{key}{n}", amount=10).status_code

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(once, range(16)))
    assert (answers.count(201), answers.count(400)) == (6, 10)
    assert shop.get(f"{BILLING}/charges/{charge['charge_id']}").json()["data"]["refunded_amount"] == 100


def test_a_top_up_goes_back_only_while_it_is_there(developer):
    shop = developer.shops[0]
    charge = paid(shop, 500, "wallet-topup")
    assert shop.post(f"{BILLING}/wallet/debit", {"amount": 200}).status_code == 201
    is_error(refund(shop, charge), 400, "insufficient_balance")
    assert refund(shop, charge, amount=300).status_code == 201
    wallet = shop.get(f"{BILLING}/wallet").json()["data"]
    assert (wallet["balance"], wallet["total_topup"], wallet["total_spent"]) == (0, 500, 200)
    assert [row["type"] for row in shop.get(f"{BILLING}/wallet/transactions").json()["data"]] == ["refund", "debit", "topup"]


def test_what_cannot_be_refunded(developer):
    shop, other = developer.shops
    waits = shop.post(f"{BILLING}/charges", {"name": "Setup", "amount": 150}).json()["data"]
    is_error(refund(shop, waits), 409, "conflict")
    charge = paid(shop, 150)
    for bad in ({"amount": "all"}, {"reason": ""}, {"amount": 1, "reason": 7}):
        is_error(refund(shop, charge, **bad), 400, "validation_error")
    for stranger in (other, Developer(developer.platform).shops[0]):
        is_error(refund(stranger, charge), 404, "charge_not_found")
    is_error(refund(shop, {"charge_id": 999999999}), 404, "charge_not_found")


def test_a_charge_is_cancelled_by_its_app(developer):
    shop, other = developer.shops
    charge = shop.post(f"{BILLING}/charges", {"name": "Setup", "amount": 150}).json()["data"]
    cancel = f"{BILLING}/charges/{charge['charge_id']}/cancel"
    is_error(other.post(cancel, {}), 404, "charge_not_found")
    is_error(shop.post(cancel, {"reason": ""}), 400, "validation_error")
    for _ in range(2):
        done = shop.post(cancel, {"reason": "ordered twice"})
        assert done.status_code == 200 and (done.json()["data"]["status"], done.json()["data"]["reason"]) == ("cancelled", "ordered twice")
    is_error(shop.post(f"{BILLING}/charges/{paid(shop, 20)['charge_id']}/cancel", {}), 409, "conflict")

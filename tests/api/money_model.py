"""A pure model of an app's money in Python, and a client who says every word to it and to the platform: each answer, balance, state
and event must be as the model has it, and in the end each account of the ledger.

Every client has an app of its own in two stores, so that its own operations come in a known order; what clients share is the platform's
and the provider's accounts. An operation is a kind and three numbers that choose among what is there, so that any part of a list of
operations is such a list. The stores' clocks stand still: what time brings is subscriptions.py.
"""

import collections
import concurrent.futures
import uuid

from .hooks import log_of
from .payments import BILLING, DECLINED, approve, begin, merchant_headers, pay, say
from .shop import PASSWORD, Owner
from .subscriptions import LARGEST, MILLION, SMALLEST, Usage, future, share, text as date_text
from .test_billing_events import moves_of
from .test_uninstall import until
from .test_webhook_log import read_all

NOW = future(day=1)
TERMS = [("developer", None), ("developer", 100_000), ("merchant", 100_000), ("merchant", 333_333), ("developer", 0), ("developer", 975_000),
         ("merchant", None), ("merchant", 0)]
KINDS = (6 * ["debit"] + 4 * ["charge", "topup", "pay", "pay", "use"] + 3 * ["refund"] +
         2 * ["fail", "decline", "cancel", "late", "payout", "adjust", "subscribe", "unsubscribe"] + ["twice", "payout_end", "race", "bad"])


class Charge:
    def __init__(self, number, shop, kind, base, payer, rate):
        self.number, self.shop, self.kind, self.base, self.payer, self.rate = number, shop, kind, base, payer, rate
        self.platform, self.gateway = share(base, rate, MILLION), share(base, 25_000, MILLION)
        self.amount = base if payer == "developer" else base + self.platform + self.gateway
        self.developer = self.amount - self.platform - self.gateway
        self.status, self.reason, self.refunded, self.moves = "pending", None, 0, ["created"]
        self.was_paid = self.leaves = False

    def part(self, of, refunded):
        """What of a part goes back with a refund that ends at `refunded`."""
        return share(of, refunded, self.amount) - share(of, self.refunded, self.amount)


class Wallet:
    balance = topped = spent = moves = 0


class Wrong(Exception):
    """The platform is not as the model."""


def same(what, found, wanted):
    if found != wanted:
        raise Wrong(f"{what}: {found!r}, by the model {wanted!r}")


def money(amount):
    """As JSON has it: a float with two decimals prints as exactly these."""
    return amount / 100


def text(amount):
    return f"{'-' if amount < 0 else ''}{abs(amount) // 100}.{abs(amount) % 100:02}"


class Client:
    def __init__(self, platform, number):
        self.platform, self.owner = platform, Owner(platform, is_developer=True)
        answer = platform.post("/api/v1/auth/login", {"identifier": self.owner.email, "password": PASSWORD})
        self.headers = {"Authorization": f"Bearer {answer.json()['data']['accessToken']}"}
        app = self.owner.make_app()
        self.app_id, self.shops = app["app_id"], [self.owner.open_shop(app=app) for _ in range(2)]
        self.payer, rate = TERMS[number % len(TERMS)]
        self.rate = 200_000 if rate is None else rate
        platform.call("billing.terms.set_fee_payer", app_id=self.app_id, fee_payer=self.payer, version=1)
        platform.call("billing.terms.set", app_id=self.app_id, **({} if rate is None else {"commission_rate": rate}))
        merchant_headers(self.owner)
        for shop in self.shops:
            until(lambda: log_of(platform, shop.installation_id))
            platform.call("billing.clock.advance", store_id=shop.store_id, to=date_text(NOW))
        self.charges, self.wallets, self.usage, self.payouts = {}, [Wallet(), Wallet()], [Usage(self.rate), Usage(self.rate)], {}
        self.ledger, self.entries = {}, []
        self.pool = concurrent.futures.ThreadPoolExecutor(4)

    # -- the model's money --

    def move(self, giver, taker, amount):
        """A transfer between two accounts; they are named by kind and store, platform-wide ones by kind alone."""
        self.ledger[giver] = self.ledger.get(giver, 0) - amount
        self.ledger[taker] = self.ledger.get(taker, 0) + amount

    @property
    def earned(self):
        return sum(entry[1] for entry in self.entries)

    @property
    def out(self):
        return sum(amount for amount, status in self.payouts.values() if status != "failed")

    def chosen(self, number, *statuses, kind=None):
        """One of the charges in these states, or None."""
        there = [charge for charge in self.charges.values() if charge.status in statuses and kind in (None, charge.kind)]
        return there[number % len(there)] if there else None

    def split(self, charge, sign, kind, amount, base, platform, gateway):
        developer = amount - platform - gateway
        for account, part in (("platform", platform), ("gateway", gateway), ("developer", developer)):
            self.move("provider", account, sign * part)
        if developer:
            self.entries.append((sign * amount, sign * developer, kind, charge.number))
        if charge.kind == "wallet_topup" and base:
            wallet = self.wallets[charge.shop]
            wallet.balance += sign * base
            wallet.topped += max(sign, 0) * base
            wallet.moves += 1
            self.move("issue", f"wallet {charge.shop}", sign * base)

    # -- asking --

    def post(self, shop, path, body):
        """With a key of its own, and now and then with the same one again, at once or side by side: the first answer comes again."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}

        def ask(_=None):
            return self.shops[shop].post(BILLING + path, body, headers=headers)

        lot = int(headers["Idempotency-Key"][-1], 16)
        if lot == 0:
            answers = list(self.pool.map(ask, range(3)))
            answer = next((one for one in answers if one.status_code != 409), answers[0])
            answers = [one for one in answers if one.status_code != 409 or "Retry-After" not in one.headers]
        else:
            answers = [answer] = [ask()]
        if lot == 1 and answer.status_code < 300:
            answers.append(ask())
        same(f"{path} repeated", {one.status_code for one in answers}, {answer.status_code})
        if answer.status_code < 300:
            same(f"{path} repeated", {one.text for one in answers}, {answer.text})
        return answer

    def expect(self, answer, status, code=None):
        found = (answer.status_code, answer.json().get("code") if answer.status_code >= 400 else None)
        same(f"{answer.text[:300]}", found, (status, code))
        return answer.json().get("data")

    # -- operations --

    def step(self, kind, a, b, c):
        getattr(self, f"do_{kind}")(a, b, c)

    def ask_for(self, path, shop, kind, base, **fields):
        charge = Charge(None, shop, kind, base, self.payer, self.rate)
        answer = self.post(shop, path, {"amount": money(base), "name": "Setup", **fields})
        if not SMALLEST <= base <= LARGEST or charge.developer < 0:
            self.expect(answer, 400, "invalid_amount")
            return
        data = self.expect(answer, 201)
        charge.number = data["charge_id"]
        self.charges[charge.number] = charge
        self.see(charge, data, "pending")

    def do_charge(self, a, b, _):
        self.ask_for("/charges", a % 2, "one_time", [1000 + b % 200_000, 1000 + b % 5_000, 1000 + 20 * (b % 100)][a // 2 % 3])

    def do_topup(self, a, b, _):
        self.ask_for("/wallet-topup", a % 2, "wallet_topup", 1000 + b % 20_000)

    def do_subscribe(self, a, b, _):
        self.ask_for("/charges", a % 2, "recurring", 1000 + b % 100_000, type="recurring", billing_interval=["monthly", "yearly"][b % 2])

    def do_unsubscribe(self, a, b, _):
        charge = self.chosen(a, "pending", "active", kind="recurring")
        if not charge:
            return
        at_period_end = b % 2 == 1
        self.expect(self.post(charge.shop, f"/subscriptions/{charge.number}/cancel", {"at_period_end": at_period_end}), 200)
        if charge.was_paid and at_period_end:
            charge.leaves = True
        else:
            charge.status, charge.reason = "cancelled", "cancelled_by_app"
            charge.moves.append("cancelled")

    def do_use(self, a, b, c):
        """Quantities in thousandths; the developer bears the commission whoever pays the fees."""
        usage, quantity, price = self.usage[a % 2], 1 + b % 9_000, 1 + c % 400
        amount = share(quantity, price, 1000)
        cap = [None, None, None, None, usage.used + c % 5_000, SMALLEST + c % 9_000][a // 2 % 6]
        body = {"description": "SMS", "quantity": quantity / 1000, "unit_price": money(price), **({} if cap is None else {"capped_amount": money(cap)})}
        answer = self.post(a % 2, "/usage-charges", body)
        if not usage.add(NOW, amount, cap):
            self.expect(answer, 400, "invalid_amount")
        else:
            same("used", self.expect(answer, 201)["amount"], money(amount))

    def do_bad(self, a, b, _):
        self.ask_for("/charges", a % 2, "one_time", [0, -1000, 999, 5_000_001, 1, b % 1000][b % 6])

    def do_pay(self, a, b, _):
        """Failing where the sandbox's rule for the amount says so. An amount that stalls or tells nobody waits for ever here."""
        charge = self.chosen(a, "pending")
        if not charge or charge.amount % 100 in (2, 3):
            return
        path = approve(self.shops[charge.shop], {"charge_id": charge.number})
        self.begin(self.shops[charge.shop], path)
        answer = pay(self.shops[charge.shop], path)
        if answer.status_code != 200:
            raise Wrong(f"the way back from the sandbox: {answer}")
        if charge.amount % 100 == 1:
            charge.moves.append("payment_failed")
        else:
            self.is_paid(charge)
        if b % 5 == 0:                                                                 # the browser goes back once more
            pay(self.shops[charge.shop], path)

    def begin(self, shop, path):
        begin(shop, path)

    def is_paid(self, charge):
        self.split(charge, 1, "topup" if charge.kind == "wallet_topup" else "charge", charge.amount, charge.base, charge.platform, charge.gateway)
        charge.status, charge.was_paid = "active", True
        charge.moves.append("activated")

    def do_fail(self, a, b, _):
        charge = self.chosen(a, "pending")
        if not charge or charge.amount % 100 in (2, 3):
            return
        path = approve(self.shops[charge.shop], {"charge_id": charge.number})
        pay(self.shops[charge.shop], path, card=DECLINED, decision=("pay", "cancel")[b % 2])
        charge.moves.append("payment_failed")

    def do_twice(self, a, *_):
        """One payment, brought by three at once."""
        charge = self.chosen(a, "pending")
        if not charge or charge.amount % 100 in (1, 2, 3):
            return
        path = approve(self.shops[charge.shop], {"charge_id": charge.number})
        list(self.pool.map(lambda _: pay(self.shops[charge.shop], path), range(3)))
        self.is_paid(charge)

    def do_late(self, a, b, _):
        """The money comes when the charge is over: it is the merchant's."""
        charge = self.chosen(a, "pending")
        if not charge or charge.amount % 100 in (1, 2, 3):
            return
        path = approve(self.shops[charge.shop], {"charge_id": charge.number})
        if b % 2:
            self.is_cancelled(charge)
        else:
            self.is_declined(charge)
        pay(self.shops[charge.shop], path)
        self.move("provider", f"owed {charge.shop}", charge.amount)

    def is_cancelled(self, charge):
        self.expect(self.post(charge.shop, f"/charges/{charge.number}/cancel", {"reason": "not now"}), 200)
        charge.status, charge.reason = "cancelled", "not now"
        charge.moves.append("cancelled")

    def is_declined(self, charge):
        answer = say(self.shops[charge.shop], {"charge_id": charge.number}, "decline")
        if answer.status_code != 200:
            raise Wrong(f"declining: {answer}")
        charge.status = "declined"
        charge.moves.append("declined")

    def do_cancel(self, a, *_):
        charge = self.chosen(a, "pending", "active", "declined", "cancelled")
        if charge and charge.status == "pending":
            self.is_cancelled(charge)
        elif charge:
            answer = self.post(charge.shop, f"/charges/{charge.number}/cancel", {})
            self.expect(answer, *((200, None) if charge.status == "cancelled" and not charge.was_paid else (409, "conflict")))

    def do_decline(self, a, *_):
        charge = self.chosen(a, "pending")
        if charge:
            self.is_declined(charge)

    def do_refund(self, a, b, c):
        charge = self.chosen(a, *(("active",) if b % 10 else ("active", "pending", "declined")))
        if not charge:
            return
        left = charge.amount - charge.refunded
        amount = [left, 1 + c % 300, left + 1 + c % 50, 1 + c % max(left, 1), max(left // 2, 1)][b % 5]
        answer = self.post(charge.shop, f"/charges/{charge.number}/refund", {} if b % 5 == 0 else {"amount": money(amount)})
        base = charge.part(charge.base, charge.refunded + amount) if amount <= left else 0
        if charge.status != "active":
            self.expect(answer, 409, "conflict")
        elif left == 0 and b % 5 == 0:
            self.expect(answer, 409, "conflict")
        elif amount > left:
            self.expect(answer, 400, "invalid_amount")
        elif charge.kind == "wallet_topup" and base > self.wallets[charge.shop].balance:
            self.expect(answer, 400, "insufficient_balance")
        else:
            same("refund", self.expect(answer, 201)["amount"], money(amount))
            platform, gateway = charge.part(charge.platform, charge.refunded + amount), charge.part(charge.gateway, charge.refunded + amount)
            self.split(charge, -1, "refund", amount, base, platform, gateway)
            charge.refunded += amount

    def do_debit(self, a, b, c):
        shop = a % 2
        wallet = self.wallets[shop]
        amount = [1 + b % 500, wallet.balance, wallet.balance + 1, 1 + b % 20_000][0 if c % 4 else b % 4]
        answer = self.post(shop, "/wallet/debit", {"amount": money(amount), "description": "SMS"})
        if amount == 0:
            self.expect(answer, 400, "invalid_amount")
        elif amount > wallet.balance:
            self.expect(answer, 400, "insufficient_balance")
        else:
            self.is_debited(shop, amount)
            same("what is left", self.expect(answer, 201)["balance"], money(wallet.balance))

    def is_debited(self, shop, amount):
        wallet = self.wallets[shop]
        wallet.balance -= amount
        wallet.spent += amount
        wallet.moves += 1
        self.move(f"wallet {shop}", "spent", amount)

    def do_race(self, a, b, _):
        """Debits of the same amount side by side: as many succeed as there is money for."""
        shop, amount, count = a % 2, 1 + b % 5_000, 4
        answers = list(self.pool.map(lambda _: self.post(shop, "/wallet/debit", {"amount": money(amount)}).status_code, range(count)))
        enough = min(count, self.wallets[shop].balance // amount)
        same("debits side by side", (answers.count(201), answers.count(400)), (enough, count - enough))
        for _ in range(enough):
            self.is_debited(shop, amount)

    def do_adjust(self, a, b, _):
        shop, amount = a % 2, 1 + b % 5_000
        self.platform.call("billing.wallets.adjust", app_id=self.app_id, store_id=self.shops[shop].store_id, amount=amount, description="put right")
        self.wallets[shop].balance += amount
        self.wallets[shop].moves += 1
        self.move("issue", f"wallet {shop}", amount)

    def do_payout(self, a, b, c):
        available = self.earned - self.out
        amount = [None, 1 + b % 10_000, available + 1, max(available // 2, 1)][a % 4]
        key = str(uuid.uuid4())
        body = {"idempotency_key": key, **({} if amount is None else {"amount": money(amount)})}
        answers = [self.platform.post(f"/api/v1/apps/{self.app_id}/billing/payouts", body, headers=self.headers) for _ in range(1 + c % 2)]
        wanted = available if amount is None else amount
        for answer in answers:
            if amount is not None and amount <= 0:
                self.expect(answer, 400, "INVALID_AMOUNT")
            elif available <= 0 or wanted > available:
                self.expect(answer, 400, "INSUFFICIENT_BALANCE")
            else:
                same("payout", self.expect(answer, 201)["amount"], text(wanted))
        if answers[0].status_code == 201:
            self.payouts[answers[0].json()["data"]["payout_id"]] = (wanted, "pending")
            self.move("developer", "payout", wanted)

    def do_payout_end(self, a, b, _):
        there = [number for number, (_, status) in self.payouts.items() if status == "pending"]
        if not there:
            return
        number = there[a % len(there)]
        amount = self.payouts[number][0]
        if b % 3:
            self.platform.call("billing.payouts.paid", payout_id=number)
        else:
            self.platform.call("billing.payouts.failed", payout_id=number, reason="no such account")
        self.payouts[number] = (amount, "paid" if b % 3 else "failed")
        self.move("payout", "paid" if b % 3 else "developer", amount)

    # -- looking --

    def see(self, charge, data, status):
        wanted = {"charge_id": charge.number, "charge_type": charge.kind, "status": status, "reason": charge.reason,
                  "amount": money(charge.amount), "base_amount": money(charge.base), "platform_amount": money(charge.platform),
                  "gateway_fee_amount": money(charge.gateway), "developer_amount": money(charge.developer),
                  "refunded_amount": money(charge.refunded), "fee_payer": charge.payer, "commission_rate": charge.rate / MILLION}
        same("charge", {name: data[name] for name in wanted}, wanted)

    def developer(self, what, **query):
        answer = self.platform.get(f"/api/v1/apps/{self.app_id}/billing/{what}", headers=self.headers, params=query or None)
        return self.expect(answer, 200)

    def pages(self, what, id_name):
        """All of a developer's list."""
        found, before = [], None
        while page := self.developer(what, limit=100, **({"before": before} if before else {}))["items"]:
            found += page
            before = page[-1][id_name]
        return found

    def check(self):
        for shop, wallet in zip(self.shops, self.wallets):
            data = self.expect(shop.get(f"{BILLING}/wallet"), 200)
            same("wallet", {name: data[name] for name in ("balance", "total_topup", "total_spent")},
                 {"balance": money(wallet.balance), "total_topup": money(wallet.topped), "total_spent": money(wallet.spent)})
        balance = self.developer("balance")
        on_its_way = sum(amount for amount, status in self.payouts.values() if status == "pending")
        same("balance", [balance[name] for name in ("total_earned", "total_paid_out", "available_balance", "pending_payouts")],
             [text(amount) for amount in (self.earned, self.out, self.earned - self.out, on_its_way)])

    def check_all(self):
        self.check()
        charges = self.pages("charges", "charge_id")
        same("charges", sorted(row["charge_id"] for row in charges), sorted(self.charges))
        for row in charges:
            charge = self.charges[row["charge_id"]]
            self.see(charge, row, "completed" if charge.was_paid else charge.status)
        same("revenue", [(row["from_wallet_amount"], row["to_wallet_amount"], row["type"], row["charge_id"]) for row in self.pages("revenue", "ledger_id")],
             [(text(paid), text(earned), kind, charge) for paid, earned, kind, charge in reversed(self.entries)])
        same("payouts", {row["payout_id"]: (row["amount"], row["status"]) for row in self.pages("payouts", "payout_id")},
             {number: (text(amount), status) for number, (amount, status) in self.payouts.items()})
        for number, shop in enumerate(self.shops):
            self.check_wallet(shop, self.wallets[number])
            own = [charge for charge in self.charges.values() if charge.shop == number]
            self.check_subscriptions(shop, [charge for charge in own if charge.kind == "recurring"])
            log = read_all(shop, headers=shop.client)
            same("events twice", [event for event, count in collections.Counter(row["event_id"] for row in log).items() if count > 1], [])
            same("events", moves_of(log), {charge.number: charge.moves for charge in own})
            self.check_usage(shop, self.usage[number], [row["data"]["percent"] for row in log if row["event_topic"] == "usage.threshold_reached"])

    def check_subscriptions(self, shop, charges):
        for charge in charges:
            data = self.expect(shop.get(f"{BILLING}/subscriptions/{charge.number}"), 200)
            status = charge.status if charge.status in ("pending", "active") else "cancelled"
            reason = charge.reason or ("cancelled_by_app" if charge.leaves else None if status != "cancelled" else charge.status)
            same("subscription", [data[name] for name in ("charge_id", "status", "reason", "periods_paid", "cancel_at_period_end", "payment_status")],
                 [charge.number, status, reason, int(charge.was_paid), int(charge.leaves), charge.status])

    def check_usage(self, shop, usage, told):
        rows = self.platform.postgres.rows("select used, amount, platform_amount, capped_amount, (select count(*) from billing.usage_charge as u where "
                                           "u.usage_bill_id = b.usage_bill_id) from billing.usage_bill as b where store_id = %s", (shop.store_id,))
        same("usage", rows, [(usage.used, usage.used, usage.platform, usage.cap, usage.count)] if usage.count else [])
        same("thresholds", told, usage.thresholds)

    def check_wallet(self, shop, wallet):
        """Each movement's balance is that of the one before with its amount."""
        cursor, rows = "", []
        while cursor is not None:
            page = shop.get(f"{BILLING}/wallet/transactions?limit=100" + (cursor and f"&cursor={cursor}")).json()
            rows, cursor = rows + page["data"], page["pagination"]["next_cursor"]
        same("movements", len(rows), wallet.moves)
        balance = 0
        for row in reversed(rows):
            sign = 1 if row["type"] in ("topup", "adjustment") else -1
            balance += sign * round(100 * row["amount"])
            same("movement", round(100 * row["balance_after"]), balance)


def accounts(platform, clients):
    """What each account of the ledger holds, by kind, app and store: as it is and as the clients' models have it."""
    rows = platform.postgres.rows("select kind, app_id, store_id, (select coalesce(sum(case when to_account = account_id then amount else -amount end), 0) "
                                  "from billing.transfer where account_id in (from_account, to_account))::bigint from billing.account")
    wanted = {}
    for client in clients:
        for name, amount in client.ledger.items():
            kind, _, shop = name.partition(" ")
            store_id = client.shops[int(shop)].store_id if shop else 0
            app_id = 0 if kind in ("provider", "platform", "gateway", "owed") else client.app_id
            wanted[kind, app_id, store_id] = wanted.get((kind, app_id, store_id), 0) + amount
    return {tuple(row[:3]): row[3] for row in rows if row[3]}, {name: amount for name, amount in wanted.items() if amount}

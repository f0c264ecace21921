"""The log of events (contract K.4): without gaps whoever writes beside whom, bad numbers, other rights, installed again, days that
are gone; and that it says the same as the pushes did."""

import hashlib
import json
import random
import threading
import time

import pytest

from .credentials import refused
from .hooks import Sink, event, log_of, publish, subscribe, waiting
from .shop import Owner, Shop
from .test_uninstall import blocked, until

EVENTS = "/api/apps/v1/events"
DAY_S = 86400


@pytest.fixture
def shop(owner):
    """One that webhooks knows already."""
    made = owner.open_shop()
    until(lambda: log_of(made.platform, made.installation_id))
    return made


def read(shop, query="", headers=None):
    answer = shop.platform.get(EVENTS + query, headers=headers or shop.bearer)
    assert answer.status_code == 200, answer.text
    return answer.json()


def read_all(shop, after=0, limit=100, headers=None):
    seen = []
    while True:
        page = read(shop, f"?after={after}&limit={limit}", headers)
        seen += page["data"]
        if page["next_after"] == page["last_seq"]:
            return seen
        assert page["next_after"] > after
        after = page["next_after"]


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_no_gap_is_ever_seen(make_platform):
    """Four writers and a reader, two processes, one of which is killed: what is read is always what comes next."""
    platform = make_platform(services={"auth": 1, "store-data": 1, "webhooks": 2})
    owner = Owner(platform)
    store_id = owner.open_store()
    shops = [owner.open_shop(store_id=store_id) for _ in range(2)]
    for shop in shops:
        until(lambda: log_of(platform, shop.installation_id))
    sent, failures, lock = [], [], threading.Lock()

    def write(number):
        for batch in range(15):
            events = [event(store_id, "order.created", number * 100 + batch, {"n": n}) for n in range(1 + (batch * 7 + number) % 5)]
            for _ in range(50):                                             # a lost answer: the same events once more
                try:
                    publish(platform, *events)
                    break
                except Exception as failure:                                # pylint: disable=broad-except
                    last = failure
                    time.sleep(0.1)
            else:
                failures.append(last)
            with lock:
                sent.extend(one["event_id"] for one in events)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    seen, after, deadline = [], 0, time.monotonic() + 90
    while any(writer.is_alive() for writer in writers) or after < last_seq:
        page = read(shops[0], f"?after={after}&limit=7")
        assert [one["seq"] for one in page["data"]] == list(range(after + 1, after + 1 + len(page["data"])))
        seen += page["data"]
        after, last_seq = page["next_after"], page["last_seq"]
        if 100 < after < 110:
            platform["webhooks-2"].restart()
        assert time.monotonic() < deadline
    seen += read_all(shops[0], after, 7)                                    # what came between the last look and their end
    assert not failures and [one["seq"] for one in seen] == list(range(1, len(seen) + 1))
    told = [one["event_id"] for one in seen if one["event_topic"] == "order.created"]
    assert len(set(told)) == len(told) and set(told) == set(sent), (len(told), len(sent), set(told) ^ set(sent))
    assert {one["event_id"] for one in read_all(shops[1]) if one["event_topic"] == "order.created"} == set(sent)


def test_numbers_that_are_none(shop):
    publish(shop.platform, event(shop.store_id))
    last = read(shop)["last_seq"]
    page = read(shop, f"?after={last}")
    assert (page["data"], page["next_after"], page["oldest_seq"]) == ([], last, 1)
    for bad in (last + 1, 2 ** 63 - 1, 2 ** 63, 10 ** 30, -1, -2 ** 63, "x", "1.5", "0x1"):
        body = refused(shop.get(f"{EVENTS}?after={bad}"), 400, "validation_error")
        assert body["errors"][0]["field"] == "after", bad
    refused(shop.get(f"{EVENTS}?after={last + 1}&topic=order.created"), 400, "validation_error")
    assert read(shop, "?topic=no.such")["data"] == []
    assert read(shop, "?topic=no.such")["next_after"] == last


def test_pages_of_a_topic_go_on_behind_it(shop):
    publish(shop.platform, *[event(shop.store_id, "product.updated" if n % 4 == 0 else "order.created", n) for n in range(40)])
    end, after, seen = read(shop)["last_seq"], 0, []
    for expected in (3, 3, 3, 1):
        page = read(shop, f"?topic=product.updated&limit=3&after={after}")
        assert len(page["data"]) == expected
        seen += [one["seq"] for one in page["data"]]
        assert page["next_after"] == (page["data"][-1]["seq"] if expected == 3 else end)
        after = page["next_after"]
    everything = read(shop, "?limit=250")["data"]
    assert seen == [one["seq"] for one in everything if one["event_topic"] == "product.updated"]


# ---- installed again -------------------------------------------------------------------------------------------------


def again(owner, shop):
    """The same app on the same store once more."""
    grant = owner.platform.call("auth.installations.create", app_id=shop.app_id, store_id=shop.store_id)
    assert grant["installation_id"] == shop.installation_id
    app = {"app_id": shop.app_id, "client_id": shop.client_id, "client_secret": shop.client_secret, "session_signing_key": shop.session_signing_key}
    fresh = Shop(owner.platform, shop.store_id, app, grant)
    until(lambda: [topic for _, _, topic in log_of(owner.platform, shop.installation_id)].count("app.installed") == 2)
    return fresh


def test_installed_again_the_numbers_go_on(owner, shop):
    """The log begins anew with its app.installed; who has a number of before is told that there was more."""
    platform = owner.platform
    publish(platform, event(shop.store_id))
    after = read(shop)["last_seq"]
    platform.call("auth.installations.end", installation_id=shop.installation_id)
    until(lambda: platform.postgres.rows("select status from webhooks.installation where installation_id = %s", (shop.installation_id,)) == [("ended",)])
    refused(shop.get(EVENTS), 401, "invalid_token")
    publish(platform, event(shop.store_id))                                 # while it is away: not for it
    fresh = again(owner, shop)
    publish(platform, late := event(shop.store_id))
    page = read(fresh)
    assert [one["event_topic"] for one in page["data"]] == ["app.installed", "order.created"] and page["data"][-1]["event_id"] == late["event_id"]
    assert [one["seq"] for one in page["data"]] == [after + 2, after + 3]  # app.uninstalled has one as well, of the install that it ends
    assert (page["oldest_seq"], page["next_after"], page["last_seq"]) == (after + 2, after + 3, after + 3)
    for number in (1, after):
        assert refused(fresh.get(f"{EVENTS}?after={number}"), 410, "events_expired")["oldest_seq"] == after + 2
    assert read(fresh, f"?after={after + 1}")["data"] == page["data"] and read(fresh, f"?after={after + 2}")["data"] == page["data"][1:]


def test_what_it_may_not_read_any_more_is_passed_over(owner, shop):
    publish(owner.platform, *[event(shop.store_id, "order.created" if n % 10 else "product.created", n) for n in range(60)])
    owner.platform.postgres.rows("update auth.installation set granted_scopes = 'read:products' where installation_id = %s", (shop.installation_id,))
    shop.access_token = owner.platform.call("auth.tokens.issue", installation_id=shop.installation_id)["access_token"]
    seen = read_all(shop, limit=7)
    assert [one["event_topic"] for one in seen if one["event_topic"] != "app.installed"] == ["product.created"] * 6
    page = read(shop, "?after=2&limit=5")                                   # nothing but orders: on to what is behind them
    assert (page["data"], page["next_after"]) == ([], 7)
    page = read(shop, "?topic=order.created&limit=5")
    assert page["data"] == [] and page["next_after"] > 1


def test_the_log_of_an_install_begins_with_it(owner):
    """Until webhooks has heard of an install nobody is told that its log is empty."""
    platform = owner.platform
    unheard = "lock table webhooks.installation in share mode"              # what auth's outbox says waits
    with blocked(platform, unheard):
        shop = owner.open_shop()
        body = refused(shop.get(EVENTS), 503, "service_unavailable")
        assert "set up" in body["message"]
    until(lambda: shop.get(EVENTS).status_code == 200)
    page = read(shop)
    assert [one["event_topic"] for one in page["data"]] == ["app.installed"] and page["last_seq"] == 1
    platform.call("auth.installations.end", installation_id=shop.installation_id)
    until(lambda: platform.postgres.rows("select status from webhooks.installation where installation_id = %s", (shop.installation_id,)) == [("ended",)])
    with blocked(platform, unheard):
        grant = platform.call("auth.installations.create", app_id=shop.app_id, store_id=shop.store_id)
        refused(platform.get(EVENTS, headers={"Authorization": f"Bearer {grant['access_token']}"}), 503, "service_unavailable")


# ---- days that are gone ----------------------------------------------------------------------------------------------


def test_who_comes_too_late_is_told(make_platform):
    platform = make_platform()
    owner = Owner(platform)
    shop, other = owner.open_shop(), owner.open_store()
    until(lambda: log_of(platform, shop.installation_id))
    now_us = time.time_ns() // 1000

    def pass_to(days, *numbers):
        platform.set_clock(days * DAY_S)
        if numbers:
            publish(platform, *[event(shop.store_id, resource_id=n, created_us=now_us + days * DAY_S * 1000000) for n in numbers])
        platform["webhooks-1"].restart()                                    # its actor looks at once
        platform.wait_ready()

    pass_to(0, 2, 3)
    pass_to(20, 4, 5)
    assert [one["seq"] for one in read(shop, headers=shop.client)["data"]] == [1, 2, 3, 4, 5]
    pass_to(30)                                                             # of 30 days nothing is missing
    time.sleep(0.5)
    assert [one["seq"] for one in read(shop, headers=shop.client)["data"]] == [1, 2, 3, 4, 5]
    pass_to(33, 6)
    until(lambda: [seq for seq, _, _ in log_of(platform, shop.installation_id)] == [4, 5, 6])
    page = read(shop, headers=shop.client)                                  # from the beginning of what there is
    assert ([one["seq"] for one in page["data"]], page["oldest_seq"], page["last_seq"]) == ([4, 5, 6], 4, 6)
    assert [one["seq"] for one in read(shop, "?after=3", shop.client)["data"]] == [4, 5, 6]
    for query in ("?after=1", "?after=2", "?after=2&topic=order.created", "?after=2&topic=product.created&limit=1"):
        body = refused(platform.get(EVENTS + query, headers=shop.client), 410, "events_expired")
        assert body["oldest_seq"] == 4 and "after=3" in json.dumps(body)
    publish(platform, event(other, created_us=now_us + 70 * DAY_S * 1000000))
    pass_to(70)
    until(lambda: log_of(platform, shop.installation_id) == [])
    page = read(shop, headers=shop.client)
    assert (page["data"], page["next_after"], page["oldest_seq"], page["last_seq"]) == ([], 6, 7, 6)
    assert read(shop, "?after=6", shop.client)["data"] == []
    refused(platform.get(f"{EVENTS}?after=5", headers=shop.client), 410, "events_expired")
    pass_to(70, 7)
    assert [one["seq"] for one in read(shop, "?after=6", shop.client)["data"]] == [7]


# ---- the same as the pushes ------------------------------------------------------------------------------------------

# Of each kind: its id, where it is read, what its state is made of, and what ends it.
KINDS = {
    "order": ("order_id", "/api/apps/v1/orders", ("order_status", "grand_total", "payment_method"), ("order.deleted",)),
    "product": ("product_id", "/api/apps/v1/products", ("name", "slug", "is_active"), ("product.deleted",)),
    "customer": ("user_id", "/api/apps/v1/customers", ("name", "phone", "email"), ()),
}
TOPICS = [*(f"order.{verb}" for verb in ("created", "updated", "status_changed", "cancelled", "deleted")),
          *(f"product.{verb}" for verb in ("created", "updated", "deleted")), "customer.created", "customer.updated", "inventory.updated"]


class Model:
    """An app's own copy of the store, made of events alone. Stock is of products that there are."""

    def __init__(self, events=()):
        self.found, self.stock = {}, {}
        for told in events:
            self.take(told)

    def take(self, told):
        topic, data = told["event_topic"], told["data"]
        kind = topic.partition(".")[0]
        if kind == "inventory":
            self.stock[data["product_id"], data["sku_id"]] = data["quantity"]
        elif kind in KINDS:
            name, _, fields, ends = KINDS[kind]
            if topic in ends:
                self.found.pop((kind, data[name]), None)
            else:
                self.found[kind, data[name]] = [data[field] for field in fields]

    def hash(self):
        stock = [[*key, quantity] for key, quantity in self.stock.items() if ("product", key[0]) in self.found]
        rows = [[*key, *value] for key, value in self.found.items()]
        return hashlib.sha256(json.dumps([sorted(rows), sorted(stock)], default=str).encode()).hexdigest()


class Store:
    """Changes at random through the API."""

    def __init__(self, shop, rng):
        self.shop, self.rng, self.ids, self.skus, self.numbers = shop, rng, {"order": [], "product": [], "customer": []}, {}, iter(range(10 ** 6))

    def make(self, kind):
        number = next(self.numbers)
        body = {"order": {"items": [{"name": "Gift card", "price": 100 + number, "quantity": 1}]},
                "product": {"name": f"Panjabi {number}", "variants": [{"price": 950.5, "quantity": 10}]},
                "customer": {"name": f"Rahim {number}", "phone": f"+88017{number:08d}"}}[kind]
        if kind == "order" and self.skus and self.rng.random() < 0.5:
            body = {"items": [{"sku_id": self.rng.choice(list(self.skus.values())), "quantity": 1}]}
        answer = self.shop.post(KINDS[kind][1], body)
        assert answer.status_code == 201 or answer.json()["code"] == "insufficient_stock", answer.text
        if answer.status_code == 201:
            made = answer.json()["data"]
            self.ids[kind].append(made[KINDS[kind][0]])
            if kind == "product":
                self.skus[made["product_id"]] = made["variants"][0]["sku_id"]

    def change(self, kind):
        path, number = f"{KINDS[kind][1]}/{self.rng.choice(self.ids[kind])}", next(self.numbers)
        body = {"order": {"payment_method": f"bank {number}"}, "product": {"name": f"Shari {number}", "is_active": number % 2 == 0},
                "customer": {"name": f"Karim {number}", "email": f"k{number}@example.com"}}[kind]
        if kind == "order" and self.rng.random() < 0.5:
            path, body = path + "/status", {"status": self.rng.choice(["confirmed", "processing", "cancelled"])}
        answer = self.shop.put(path, body)
        assert answer.status_code == 200 or answer.json()["code"] in ("invalid_transition", "conflict"), answer.text

    def end(self, kind):
        gone = self.rng.choice(self.ids[kind])
        answer = self.shop.delete(f"{KINDS[kind][1]}/{gone}")
        assert answer.status_code == 200 or answer.json()["code"] == "conflict", answer.text   # an order that is on its way
        if answer.status_code == 200:
            self.ids[kind].remove(gone)
            self.skus.pop(gone, None)

    def stock(self):
        product_id = self.rng.choice(list(self.skus))
        answer = self.shop.put(f"/api/apps/v1/inventory/{product_id}", {"quantity": self.rng.randrange(100)})
        assert answer.status_code == 200, answer.text

    def step(self):
        kind = self.rng.choice(list(KINDS))
        if len(self.ids[kind]) < 2 or self.rng.random() < 0.3:
            self.make(kind)
        elif kind != "customer" and len(self.ids[kind]) > 4 and self.rng.random() < 0.2:
            self.end(kind)
        elif self.skus and self.rng.random() < 0.3:
            self.stock()
        else:
            self.change(kind)

    def real(self, known):
        """The same state as the API shows it; stock of the variants whose stock has ever changed."""
        model = Model()
        for kind, (name, path, fields, _) in KINDS.items():
            for one in self.shop.get(f"{path}?limit=250").json()["data"]:
                model.found[kind, one[name]] = [one[field] for field in fields]
        for product_id, sku_id in known.stock:
            answer = self.shop.get(f"/api/apps/v1/inventory/{product_id}")
            if answer.status_code == 200:
                model.stock[product_id, sku_id] = next(each["quantity"] for each in answer.json()["data"]["variants"] if each["sku_id"] == sku_id)
        return model


class Forgetful(Sink):
    """Takes everything, and may forget it at once: `kept` is what is left, `pushed` what came."""

    def __init__(self):
        super().__init__()
        self.forgets, self.kept, self.pushed = False, [], {}

    def take(self, path, headers, body):
        told = json.loads(body)
        with self.changed:
            self.pushed[told["event_id"]] = told
            if not self.forgets:
                self.kept.append(told)
        return 200


def test_who_missed_every_push_has_the_same_state(shop):
    """A random series of changes, the pushes of its middle deleted: events of the log, of all pushes and the API agree."""
    seed = random.randrange(2 ** 32)
    store, platform = Store(shop, random.Random(seed)), shop.platform
    with Forgetful() as sink:
        subs = [subscribe(shop, sink.url, topic) for topic in TOPICS]

        def quiet():
            until(lambda: not platform.postgres.rows("select 1 from store_data.outbox where store_id = %s", (shop.store_id,)), 60)
            until(lambda: not any(waiting(platform, sub["subscription_id"]) for sub in subs), 60)

        for _ in range(30):
            store.step()
        quiet()
        own, after = Model(read_all(shop)), read(shop)["last_seq"]          # up to here the app keeps up
        for sink.forgets in (True, False):
            for _ in range(60):
                store.step()
            quiet()
    logged, pushed = read_all(shop, limit=17), sorted(sink.pushed.values(), key=lambda told: told["timestamp"])
    assert {told["event_id"] for told in pushed} == {told["event_id"] for told in logged if told["event_topic"] in TOPICS}
    assert {told["event_topic"] for told in pushed} >= {"order.created", "product.updated", "customer.updated", "inventory.updated"}
    for told in read_all(shop, after):
        own.take(told)
    pulled = Model(logged)
    real = store.real(pulled)
    assert len(sink.kept) < len(sink.pushed) and Model(sink.kept).hash() != real.hash(), f"seed {seed}"
    assert pulled.hash() == real.hash(), f"seed {seed}: {differences(pulled, real)}"
    assert Model(pushed).hash() == real.hash() == own.hash(), f"seed {seed}: {differences(Model(pushed), real)}"


def differences(one, other):
    return [(key, one.found.get(key), other.found.get(key)) for key in {**one.found, **other.found} if one.found.get(key) != other.found.get(key)] + [
        (key, one.stock.get(key), other.stock.get(key)) for key in one.stock if one.stock[key] != other.stock.get(key) and ("product", key[0]) in other.found]


def test_days_that_several_make_at_once(make_platform):
    """Events of days that have no partition yet, from four writers of two processes at the same moment."""
    platform = make_platform(services={"auth": 1, "store-data": 1, "webhooks": 2})
    store_id, now_us, days, writers = Owner(platform).open_store(), time.time_ns() // 1000, 12, 4
    together, failures = threading.Barrier(writers), []

    def write():
        for day in range(2, 2 + days):
            together.wait()
            try:
                publish(platform, event(store_id, created_us=now_us - day * DAY_S * 1000000))
            except Exception as failure:                                    # pylint: disable=broad-except
                failures.append(failure)

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert platform.postgres.rows("select count(*) from webhooks.event where store_id = %s", (store_id,)) == [(days * writers,)]

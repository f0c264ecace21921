"""Counts that are kept for lists and overviews (protocols 12): right whatever happens to those who write, nobody waits for another one's
count of the same app, and nobody waits in a ring. Each test writes as the services' statements do, to a platform whose services are down."""

import concurrent.futures
import os
import random
import signal
from pathlib import Path

import psycopg2
import pytest

from .platform import Platform
from .shop import Owner
from .test_developer_apps import until

SCHEMAS = Path(__file__).resolve().parents[2] / "services"
SERVICES = ("auth", "billing", "developer-apps", "webhooks")
SCALE = float(os.environ.get("SX_TEST_SCALE", "0.1"))
WRITERS, TURNS, KILLS = 6, max(20, int(400 * SCALE)), max(3, int(20 * SCALE))
CUT = (None, "57P01", "57P02", "57P03")  # what is told of a connection that is, or of PostgreSQL while it comes back
HOT = 1                                  # the app, and the developer, that all of them are about
ROOM = f"""
insert into auth.account (account_id, name, email, password, created_at, updated_at) overriding system value
    select n, 'Owner', 'o' || n || '@counts.example', 'none', now(), now() from generate_series(1, 2) as n;
insert into auth.store (store_id, owner_account_id, name, created_at, updated_at) overriding system value
    select n, 1, 'Store', now(), now() from generate_series(1, 100000) as n;
select webhooks.partitions_make((now() - n * interval '1 day')::date) from generate_series(0, 1) as n
"""
# One more of each, of the number n.
INSERT = {
    "app": """insert into auth.app (app_id, owner_account_id, type, name, slug, redirect_urls, requested_scopes, client_id, client_secret_hash,
        session_signing_key, created_at, updated_at) overriding system value values ({n}, 1, 'platform', 'App', 'app-{n}', '[]', 'read:orders',
        'sx_app_' || md5('{n}'), '', '', now(), now())""",
    "installation": """insert into auth.installation (store_id, app_id, granted_scopes, status, installed_at, consented_at, created_at, updated_at)
        values ({n}, 1, '', 'active', now(), now(), now(), now())""",
    "charge": """insert into billing.charge (charge_id, store_id, app_id, installation_id, generation, charge_type, name, currency, base_amount, amount,
        fee_payer, commission_rate, gateway_fee_rate, platform_amount, gateway_fee_amount, developer_amount, status, created_at, expires_at)
        overriding system value values ({n}, {n}, 1, {n}, 1, 'one_time', 'Setup', 'BDT', 1000 + {n}, 1000 + {n}, 'developer', 0, 0, 0, 0, 1000 + {n},
        'pending', now(), now())""",
    "listing": """insert into developer_apps.listing (app_id, account_id, version, name, slug, category, is_listed, is_active, created_at, updated_at,
        app_created_at, app_updated_at) values ({n}, 1, 1, 'App', 'app-{n}', 'messaging', true, true, now(), now(), now(), now())""",
    "subscription": """insert into webhooks.subscription (subscription_id, app_id, made_by, topic, target_url, secret, profile, status, created_at,
        updated_at) values ({n}, 1, 'developer', 'order.created', '', '', 'selorax', 'active', now(), now())""",
    "delivery": """insert into webhooks.delivery (delivery_id, event_at, subscription_id, event_id, topic, resource_type, resource_id, state, attempt,
        created_at, finished_at) values ({n}, now(), 1, gen_random_uuid(), 'order.created', 'order', {n}, case {n} % 4 when 0 then 'failed' else
        'success' end, 1, now(), now())"""}
# What happens to rows first to last, which are nobody else's; r of some number.
CHANGE = {
    "app": """update auth.app set is_active = (app_id + {r}) % 3 > 0, is_listed = (app_id + {r}) % 2 = 0, owner_account_id = 1 + (app_id + {r}) % 2,
        deleted_at = case when (app_id + {r}) % 17 = 0 then now() end where app_id between {first} and {last}""",
    "installation": """update auth.installation set status = case (store_id + {r}) % 3 when 0 then 'uninstalled' when 1 then 'uninstalling' else 'active'
        end where store_id between {first} and {last}""",
    "charge": """update billing.charge set status = (array['pending', 'paid', 'declined', 'cancelled', 'expired'])[1 + (charge_id + {r}) % 5],
        refunded_amount = (charge_id * {r}) % 900 where charge_id between {first} and {last}""",
    "listing": """update developer_apps.listing set is_listed = (app_id + {r}) % 3 > 0, is_active = (app_id + {r}) % 5 > 0, is_approved = (app_id + {r}) % 2 = 0,
        is_deleted = (app_id + {r}) % 17 = 0, account_id = 1 + (app_id + {r}) % 2, review_status = (array['draft', 'submitted', 'in_review',
        'approved'])[1 + (app_id + {r}) % 4], category = (array['messaging', 'other', null])[1 + (app_id + {r}) % 3] where app_id between {first} and {last}""",
    "subscription": """update webhooks.subscription set status = case (subscription_id + {r}) % 3 when 0 then 'active' when 1 then 'inactive' else 'ended'
        end where subscription_id between {first} and {last}"""}
# Kept, and counted.
PUBLIC = "is_listed and is_active and not is_deleted"
LISTS = {"public": (0, PUBLIC), "approved": (0, f"{PUBLIC} and is_approved"), "own": ("account_id", "version > 0 and not is_deleted"),
         "unlisted": ("account_id", "version > 0 and not is_deleted and not is_listed"),
         "review": (0, "version > 0 and not is_deleted and review_status in ('submitted', 'in_review')")}
PAIRS = [
    ("select app_id, sum(active), sum(total) from auth.installation_count group by 1",
     "select app_id, count(*) filter (where status = 'active'), count(*) from auth.installation group by 1"),
    ("select account_id, is_active, is_listed, sum(n) from auth.app_count group by 1, 2, 3 having sum(n) <> 0",
     "select owner_account_id, is_active, is_listed, count(*) from auth.app where home_store_id is null and deleted_at is null group by 1, 2, 3"),
    ("select app_id, currency, status, sum(n), sum(amount) from billing.charge_count group by 1, 2, 3 having sum(n) <> 0",
     "select app_id, currency, status, count(*), sum(amount - refunded_amount) from billing.charge group by 1, 2, 3"),
    ("select app_id, sum(active) from webhooks.subscription_count group by 1 having sum(active) <> 0",
     "select app_id, count(*) from webhooks.subscription where app_id is not null and status = 'active' group by 1"),
    ("select app_id, day, sum(delivered), sum(failed), max(last_id) from webhooks.delivery_count group by 1, 2",
     "select app_id, (finished_at at time zone 'UTC')::date, count(*) filter (where state = 'success'), count(*) filter (where state = 'failed'), "
     "max(delivery_id) from webhooks.delivery join webhooks.subscription using (subscription_id) where app_id is not null group by 1, 2"),
    ("select list, account_id, category, sum(n) from developer_apps.listing_count group by 1, 2, 3 having sum(n) <> 0",
     " union all ".join(f"select '{name}', {whose}, c.category, count(*) from developer_apps.listing cross join lateral (values (''), (listing.category)) "
                        f"as c (category) where {which} and c.category is not null group by 2, 3" for name, (whose, which) in LISTS.items()))]
# The migration of each service, and what it makes beside columns.
MADE = {"auth": ("081_app_counts.sql", ["installation_count", "app_count"], ["installation_counted", "app_counted", "count_stripe"]),
        "billing": ("081_app_counts.sql", ["charge_count"], ["charge_counted", "count_stripe"]),
        "developer-apps": ("020_listing_counts.sql", ["listing_count"], ["listing_counted", "listing_count_add", "count_stripe"]),
        "webhooks": ("070_app_counts.sql", ["subscription_count", "delivery_count"], ["subscription_counted", "delivery_counted", "count_stripe"])}


@pytest.fixture(scope="module")
def crowd():
    with Platform(gateways=0, services={name: 1 for name in SERVICES}, durable=True) as platform:
        for name in SERVICES:
            platform[f"{name}-1"].terminate()
        platform.postgres.rows(ROOM)
        for what in INSERT:
            platform.postgres.rows(INSERT[what].format(n=HOT))
        yield platform


def wrong(run):
    """Lines that only one of a pair has."""
    return [line for kept, counted in PAIRS for line in set(run(kept)) ^ set(run(counted))]


class Writer:
    """Writes rows of its own, in every order, as many as it likes in one transaction; now and then it gives up, or its connection is cut."""

    def __init__(self, postgres, number):
        self.postgres, self.random = postgres, random.Random(number)
        self.first = self.next = {what: 1000 * number for what in INSERT}
        self.next = dict(self.first)

    def statement(self, what):
        if what in CHANGE and self.random.random() < 0.5:
            return CHANGE[what].format(first=self.first[what], last=self.next[what], r=self.random.randrange(1000))
        self.next[what] += 1
        return INSERT[what].format(n=self.next[what])

    def transaction(self, cursor):
        cursor.execute("set local lock_timeout = '20s'")
        for what in self.random.choices(list(INSERT), k=self.random.randrange(1, 8)):
            cursor.execute(self.statement(what))
        end = self.random.random()
        if end < 0.1:
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")
        cursor.execute("rollback" if end < 0.25 else "commit")

    def run(self, turns):
        connection = None
        for _ in range(turns):
            try:
                connection = connection or self.postgres.connect()
                with connection.cursor() as cursor:
                    cursor.execute("begin")
                    self.transaction(cursor)
            except psycopg2.Error as problem:
                if problem.pgcode not in CUT:
                    raise
                connection = None
                self.postgres.wait()


def test_many_writers_that_are_cut(crowd):
    """The counts are those of a recount, and nobody was in anybody's way."""
    writers = [Writer(crowd.postgres, number) for number in range(1, WRITERS + 1)]
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(writer.run, TURNS) for writer in writers]:
            done.result()
    assert crowd.postgres.rows("select deadlocks from pg_stat_database where datname = 'selorax'") == [(0,)]
    assert wrong(crowd.postgres.rows) == []
    assert all(crowd.postgres.rows(counted) for _, counted in PAIRS)
    crowd.postgres.rows("update billing.charge_count set n = n + 1 where app_id = 1 and status = 'pending' and stripe = 0")
    assert len(wrong(crowd.postgres.rows)) == 2
    crowd.postgres.rows("update billing.charge_count set n = n - 1 where app_id = 1 and status = 'pending' and stripe = 0")


def kill_one(postgres):
    """Whether there was one to kill."""
    try:
        pids = postgres.rows("select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() limit 1")
    except psycopg2.Error:
        return False
    for pid, in pids:
        os.kill(pid, signal.SIGKILL)
    return len(pids)


def test_postgresql_is_killed_meanwhile(crowd):
    """A backend that dies takes all others with it: what was not committed is in no count."""
    writers, kills = [Writer(crowd.postgres, number) for number in range(11, 11 + WRITERS)], 0
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        running = [pool.submit(writer.run, 2 * TURNS) for writer in writers]
        while not all(done.done() for done in running):
            kills += kills < KILLS and kill_one(crowd.postgres)
            concurrent.futures.wait(running, timeout=0.3)
        for done in running:
            done.result()
    crowd.postgres.wait()
    assert kills and wrong(crowd.postgres.rows) == []


@pytest.mark.parametrize("what", INSERT)
def test_nobody_waits_for_another_ones_count(crowd, what):
    """One app, many stores: each of them is counted at once, while none of the others is committed."""
    connections = [crowd.postgres.connect() for _ in range(20)]
    try:
        for number, connection in enumerate(connections):
            with connection.cursor() as cursor:
                cursor.execute("begin; set local lock_timeout = '1s'")
                cursor.execute(INSERT[what].format(n=50_000 + 100 * list(INSERT).index(what) + number))
        for connection in connections:
            with connection.cursor() as cursor:
                cursor.execute("commit")
    finally:
        for connection in connections:
            connection.close()
    assert wrong(crowd.postgres.rows) == []


def test_a_count_is_few_rows(crowd):
    """As many as there were writers at the same moment, and no more with time: each look adds them up."""
    for service, (_, tables, _) in MADE.items():
        for table in tables:
            assert crowd.postgres.rows(f"select max(stripe) < 30 from {service.replace('-', '_')}.{table}") == [(True,)], table


def test_a_category_that_is_left_leaves_nothing(crowd):
    """Any text can be one."""
    for number in range(20):
        crowd.postgres.rows(f"update developer_apps.listing set category = 'tried {number}' where app_id = {HOT}")
    kept = "select list, n from developer_apps.listing_count where category like 'tried %' order by 1"
    assert {n for _, n in crowd.postgres.rows(kept)} == {1}
    crowd.postgres.rows(f"update developer_apps.listing set category = null where app_id = {HOT}")
    assert crowd.postgres.rows(kept) == [] and wrong(crowd.postgres.rows) == []


def test_the_migrations_count_what_there_is(crowd):
    connection = crowd.postgres.connect()
    connection.autocommit = False
    try:
        cursor = connection.cursor()

        def run(sql):
            cursor.execute(sql)
            return cursor.fetchall()

        for service, (file, tables, functions) in MADE.items():
            cursor.execute(f"set local search_path = {service.replace('-', '_')}")
            cursor.execute("".join(f"drop table {name};" for name in tables) + "".join(f"drop function {name} cascade;" for name in functions))
            if service == "billing":
                cursor.execute("alter table developer_balance drop column entries")
            if service == "developer-apps":
                cursor.execute("drop type listing_change")
            cursor.execute((SCHEMAS / service / "schema" / file).read_text())
        assert wrong(run) == [] and all(run(kept) for kept, _ in PAIRS)
    finally:
        connection.rollback()
        connection.close()


RELEASED = {"auth": "073_audit_of_others.sql", "billing": "006_outbox_vacuum.sql", "webhooks": "062_usage.sql"}  # the last of each


def test_a_platform_from_before(crowd):
    """Schemas as they were released, with something of each in them: what came with developers' apps finds all of it."""
    connection = crowd.postgres.connect()
    connection.autocommit = False
    try:
        cursor = connection.cursor()

        def run(sql):
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

        def migrate(service, released):
            run(f"set local search_path = {service}")
            files = [*(SCHEMAS / service / "schema").glob("*.sql"), *(SCHEMAS.parent / "libshared" / "schema").glob("*.sql")]
            for file in sorted(files, key=lambda file: file.name):
                if (file.name <= RELEASED[service]) == released:
                    run(file.read_text())

        for service in RELEASED:
            run(f"drop schema {service} cascade; create schema {service}; set local search_path = {service}; create table migration ()")
            migrate(service, released=True)
        run(ROOM)
        for what in INSERT:
            for n in (1, 2) if what != "listing" else ():
                run(INSERT[what].format(n=n))
        run("update auth.app set type = 'custom', home_store_id = 1 where app_id = 2")
        for service in RELEASED:
            migrate(service, released=False)
        assert wrong(run) == [] and all(run(kept) for kept, _ in PAIRS)
        assert run("select app_id, version from auth.app_untold") == [(1, 1)]         # for the marketplace, where custom apps are not
        assert run("select count(distinct creation_id), bool_or(is_approved) from auth.app") == [(2, False)]
    finally:
        connection.rollback()
        connection.close()


# What is made wrong, and how the operation calls it.
WRONG = {"auth": [("update auth.installation_count set active = active + {by} where app_id = {app}", ["installations.active"]),
                  ("update auth.app_count set n = n + {by} where account_id = {owner}", ["apps.active"])],
         "billing": [("update billing.charge_count set amount = amount + {by} where app_id = {app}", ["amount.BDT.pending"])],
         "developer-apps": [("update developer_apps.listing_count set n = n + {by} where list = 'own' and account_id = {owner}", ["own"])],
         "webhooks": [("update webhooks.subscription_count set active = active + {by} where app_id = {app}", ["subscriptions.active"])]}


@pytest.mark.parametrize("service", WRONG)
def test_what_is_wrong_is_told(platform, service):
    owner = Owner(platform, is_developer=True)
    shop = owner.open_shop()
    shop.post("/api/apps/v1/billing/charges", {"name": "Setup", "amount": 500})
    shop.post("/api/apps/v1/webhooks", {"topic": "order.created", "url": "https://app.example/hooks"})
    until(lambda: platform.postgres.rows("select 1 from developer_apps.listing where app_id = %s and version > 0", (shop.app_id,)))

    def differences():
        answer = platform.call(f"{service}.app_counts.verify", app_id=shop.app_id)
        assert answer["ok"] == (answer["differences"] == [])
        return [(line["count"], line["kept"] - line["counted"]) for line in answer["differences"]]

    assert differences() == []
    for sql, names in WRONG[service]:
        platform.postgres.rows(sql.format(by=1, app=shop.app_id, owner=owner.account_id))
        assert differences() == [(name, 1) for name in names]
        platform.postgres.rows(sql.format(by=-1, app=shop.app_id, owner=owner.account_id))
    assert differences() == []

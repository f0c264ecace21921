#!/usr/bin/python3
"""What every operation of the Developer Apps API costs (operations.py), in `make bench`, and that nobody's number of apps makes one dear.

Two platforms side by side: one with 100 apps and 1,000 installations, one with 100,000 and 1,000,000. In both one developer has half
of the apps, and one app of theirs half of the installations, and every charge, delivery and entry of revenue. All of it comes in by
SQL. What is read costs the same in both but where its entry says why not; what billing keeps for a developer is read here as well.
"""

import itertools
import sys
import time

import figures
from figures import Bench, say
from operations import MANY, Ask, Entry, Table

from api.shop import PASSWORD, Owner

SERVICE = "developer-apps"
SMALL, LARGE = 100, 100_000             # apps; ten times as many installations
DEEP = 8                                # the last page there is passes over 10,000 rows of an index
SHELVES = 3                             # a search looks at one shelf of 8,192 apps after the other
TEXTS = 2.5                             # what is searched changes: the index of its parts is deeper where there are many
SEARCH = "what is found is counted up to 10,000 and sorted"

# %(apps)s apps, of whom every other one is the developer's; the first of them is the crowded one.
FILL = [
    ("accounts, stores", """
set search_path = auth;
insert into account (name, email, password, created_at, updated_at)
    select 'Developer', 'd' || n || '@bench.example', 'none', now(), now() from generate_series(1, %(apps)s / 100) as n;
insert into store (owner_account_id, name, created_at, updated_at)
    select %(account)s, 'Store ' || n, now(), now() from generate_series(1, 5 * %(apps)s) as n
"""), ("apps", """
set search_path = auth;
insert into app (owner_account_id, type, name, slug, redirect_urls, requested_scopes, client_id, client_secret_hash, session_signing_key,
    is_active, is_listed, is_approved, created_at, updated_at)
    select case when n %% 2 = 1 then %(account)s else %(others)s + n %% (%(apps)s / 100) end, 'platform',
    (array['Courier', 'Message', 'Review', 'Loyalty', 'Invoice', 'Returns'])[1 + n %% 6] || ' '
    || (array['desk', 'box', 'hub', 'point', 'bridge'])[1 + n %% 5] || ' ' || to_char(n, 'FM000000'), 'bench-' || n,
    '["https://app.example/callback"]', 'read:orders', 'sx_app_' || md5('bench' || n), sha256(n::text::bytea), sha256(n::text::bytea),
    n %% 20 <> 3, n %% 10 <> 5, n %% 3 = 1, now(), now() from generate_series(1, %(apps)s) as n;
delete from app_untold
"""), ("listings", """
insert into developer_apps.listing (creation_id, app_id, account_id, version, name, slug, developer_name, developer_email, requested_scopes,
    is_listed, is_active, is_approved, app_created_at, app_updated_at, created_at, updated_at, short_description, description, category)
    select creation_id, app_id, owner_account_id, version, name, slug, 'Dhaka Labs', 'a@dhaka.example', '["read:orders"]', is_listed, is_active,
    is_approved, created_at, updated_at, created_at, updated_at, 'Automated work for each order', repeat('What the app does. ', 40),
    case when app_id %% (%(apps)s / 20) = 1 then 'rare' when app_id %% 4 < 3 then 'messaging' else 'kind ' || app_id %% 50 end
    from auth.app where slug like 'bench-%%';
insert into developer_apps.review (app_id, version, status, manifest, submitted_at, submitted_by, decided_at)
    select %(first)s, n, 'approved', jsonb_build_object('name', 'App', 'description', 'Version ' || n), now(), %(account)s, now()
    from generate_series(1, 10) as n;
insert into developer_apps.review (app_id, version, status, manifest, submitted_at, submitted_by)
    select %(first)s + n, 1, 'submitted', '{"name": "App"}', now() + n * interval '1 ms', %(account)s
    from generate_series(1, %(apps)s - 1, 20) as n;
update developer_apps.listing set review_number = 1, review_status = 'submitted' from developer_apps.review where review.status = 'submitted'
    and review.app_id = listing.app_id;
update developer_apps.listing set review_number = 10, review_status = 'approved', approved_version = 10 where app_id = %(first)s
"""), ("installations", """
set search_path = auth;
insert into installation (store_id, app_id, granted_scopes, status, installed_at, consented_at, created_at, updated_at)
    select store_id, app_id, 'read:orders', case when store_id %% 20 = 0 then 'uninstalled' else 'active' end, now(), now(), now(), now()
    from (select %(store)s + n as store_id, unnest(array[%(first)s, %(first)s + 1 + n %% (%(apps)s - 1)]) as app_id
    from generate_series(1, 5 * %(apps)s) as n) as made
"""), ("tokens, usage", """
set search_path = auth;
set session_replication_role = replica;
insert into token (installation_id, generation, kind, token_hash, expires_at, created_at)
    select installation_id, 1, 'access', sha256(installation_id::text::bytea), now() + interval '1 day', now() from installation
    where app_id = %(first)s and status = 'active';
insert into installation_usage (installation_id, request_count, last_used_at)
    select installation_id, 1547, now() from installation where app_id = %(first)s
"""), ("charges, revenue", """
set search_path = billing;
insert into account (kind, app_id, currency) values ('developer', %(first)s, 'BDT'), ('provider', 0, 'BDT');
insert into charge (store_id, app_id, installation_id, generation, charge_type, name, currency, base_amount, amount, fee_payer,
    commission_rate, gateway_fee_rate, platform_amount, gateway_fee_amount, developer_amount, status, created_at, expires_at, activated_at)
    select %(store)s + n, %(first)s, n, 1, 'one_time', 'Setup', 'BDT', 50000, 50000, 'developer', 200000, 25000, 10000, 1250, 38750,
    case when n %% 2 = 0 then 'paid' when n %% 20 = 1 then 'declined' else 'cancelled' end, now(), now() + interval '2 days',
    case when n %% 2 = 0 then now() end from generate_series(1, %(apps)s) as n;
with moved as (insert into transfer (from_account, to_account, amount, reason, charge_id, at) select f.account_id, t.account_id, 38750, 'charge',
    charge_id, now() from charge join account as f on f.kind = 'provider' join account as t on t.kind = 'developer'
    where status = 'paid' returning transfer_id, charge_id)
    insert into revenue (transfer_id, app_id, charge_id, type, paid, earned, currency, created_at)
    select transfer_id, %(first)s, charge_id, 'charge', 50000, 38750, 'BDT', now() from moved;
insert into developer_balance (app_id, currency, earned, updated_at)
    select app_id, currency, sum(earned), now() from revenue group by 1, 2
"""), ("subscriptions, deliveries", """
set search_path = webhooks;
select partitions_make((now() - n * interval '1 day')::date) from generate_series(0, 8) as n;
insert into subscription (subscription_id, app_id, made_by, topic, target_url, secret, profile, status, created_at, updated_at)
    select nextval('subscription_id_seq'), %(first)s, 'developer', 'order.created', 'https://app.example/hooks', '', 'selorax', 'active',
    now(), now() from generate_series(1, %(apps)s / 10) as n;
insert into delivery (delivery_id, event_at, subscription_id, event_id, topic, resource_type, resource_id, state, attempt, created_at,
    finished_at) select nextval('delivery_id_seq'), at, (select min(subscription_id) from subscription) + n %% (%(apps)s / 10),
    gen_random_uuid(), 'order.created', 'order', n, case when n %% 50 = 0 then 'failed' else 'success' end, 1, at, at
    from generate_series(1, %(apps)s) as n cross join lateral (select now() - n %% 7 * interval '1 day' as at) as t
""")]


class Side:
    """A platform with so many apps: as the developer, as a merchant, who is the same person, and as a platform admin."""

    def __init__(self, bench, apps):
        self.bench, self.platform = bench, bench.platform
        owner, admin = Owner(self.platform, is_developer=True), Owner(self.platform, is_admin=True)
        answer = self.platform.post("/api/v1/auth/login", {"identifier": owner.email, "password": PASSWORD}).json()
        self.developer_token = answer["data"]["accessToken"]
        self.merchant_token, self.admin_token = [self.dashboard_token(person) for person in (owner, admin)]
        (self.app_id,), = self.sql("select coalesce(max(app_id), 0) + 1 from auth.app")
        (store,), = self.sql("select coalesce(max(store_id), 0) from auth.store")
        self.values = {"apps": apps, "account": owner.account_id, "others": admin.account_id + 1, "first": self.app_id, "store": store}
        self.fill(apps)

    def dashboard_token(self, person):
        return self.platform.post("/api/auth/login", {"email": person.email, "password": PASSWORD}).json()["data"]["token"]

    def sql(self, sql, arguments=None):
        return self.platform.postgres.rows(sql, arguments)

    def fill(self, apps):
        started, told = time.monotonic(), []
        for what, sql in FILL:
            begun = time.monotonic()
            self.sql(sql, self.values)
            told.append(f"{what} {time.monotonic() - begun:.0f} s")
        while self.sql("select 1 from billing.unsealed limit 1"):
            time.sleep(0.1)
        self.sql("vacuum analyze")
        say(f"{apps} apps, {10 * apps} installations: {time.monotonic() - started:.0f} s ({', '.join(told)})")

    def apps(self, which="true", limit=MANY):
        """The developer's, but for the crowded one: each but once, in no order."""
        return [app_id for app_id, in self.sql(f"select app_id from auth.app where owner_account_id = %s and app_id > %s and {which} "
                                               f"order by random() limit {limit}", (self.values["account"], self.app_id))]


# ---- asking ----------------------------------------------------------------------------------------------------------


def page(query=""):
    return lambda side: [Ask(query)]


def last_page(query="limit=20"):
    """500 pages of 20 are what there is of at most; of 100 the fifth is the last."""
    return lambda side: [Ask(f"{query}&page={500 if side.values['apps'] > SMALL else 2}")]


def crowded(query="", **ids):
    return lambda side: [Ask(query, app_id=side.app_id, **ids)]


def last_crowded():
    return lambda side: [Ask(f"limit=20&page={500 if side.values['apps'] > SMALL else 2}", app_id=side.app_id)]


def each(body=None, which="true"):
    """Every app once; of a write with the body of a number."""
    return lambda side: [Ask(body=body(n) if body else b"", app_id=app_id) for n, app_id in enumerate(side.apps(which))]


def in_turn(body):
    """Every app as often as it takes."""
    return lambda side: [Ask(body=body(n), app_id=app_id) for n, app_id in zip(range(MANY), itertools.cycle(side.apps()))]


def made(n):
    return {"name": f"New {n}", "redirect_urls": ["https://app.example/callback"], "requested_scopes": ["read:orders"],
            "short_description": "Automated work for each order", "category": "messaging"}


def found(side):
    """Each by its number, which is in its name alone."""
    return [Ask(f"search=%20{n:06d}") for n in range(1, 100)]


def manifests(side):
    """What GET told, with another description."""
    asks = []
    for n, app_id in enumerate(side.apps(limit=400)):
        answer = side.platform.get(f"/api/v1/apps/{app_id}/manifest", headers={"Authorization": f"Bearer {side.developer_token}"})
        asks.append(Ask(body={**answer.json()["data"], "short_description": f"Another {n}"}, app_id=app_id))
    return asks


def decided(side):
    rows = side.sql(f"select app_id from developer_apps.review where status = 'submitted' and version = 1 order by random() limit {MANY}")
    return [Ask(body={"action": "approve", "version": 1}, app_id=app_id) for app_id, in rows]


def read(operation, asks, what="", **options):
    return Entry(operation, asks, what, flat=True, **options)


ENTRIES = [
    read("apps.get", each()),
    # -- lists --
    read("apps.list", page()),
    read("apps.list", page("status=active"), "active"),
    read("apps.list", page("status=inactive&limit=5"), "inactive"),
    read("apps.list", page("listed=true"), "listed"),
    read("apps.list", page("status=inactive&listed=false"), "inactive, not listed"),
    read("apps.list", last_page(), "the last page", most=DEEP),
    read("apps.installations", crowded()),
    read("apps.installations", crowded("status=active"), "active"),
    read("apps.installations", crowded("status=uninstalled"), "uninstalled"),
    read("apps.installations", last_crowded(), "the last page", most=DEEP),
    read("market.list", page()),
    read("market.list", page("category=messaging"), "category"),
    read("market.list", page("category=rare"), "a rare category"),
    read("market.list", last_page(), "the last page", most=DEEP),
    read("market.list", found, "search, one is found", most=SHELVES),
    read("market.list", page("search=zzz"), "search, nothing is found", most=SHELVES),
    Entry("market.list", page("search=desk"), "search, a fifth is found", grows=SEARCH),
    read("market.get", each(which="is_listed and is_active")),
    read("market.mine", page()),
    read("market.mine", page("category=messaging&limit=20"), "category"),
    read("market.mine", last_page(), "the last page", most=DEEP),
    Entry("market.mine", found, "search", grows="the newest 10,000 are looked through"),
    read("market.development", page("limit=5")),
    read("market.development", page("category=messaging&limit=2"), "category"),
    Entry("market.development", page("search=desk"), "search", grows="the newest 10,000 are looked through"),
    # -- an app --
    read("apps.overview", crowded()),
    read("settings.get", each()),
    read("manifest.get", each()),
    read("versions.list", crowded()),
    read("versions.get", crowded(version=5)),
    read("reviews.queue", page()),
    read("reviews.get", crowded()),
    # -- what changes --
    Entry("apps.create", lambda side: [Ask(body=made(n)) for n in range(MANY)], flat=True),
    Entry("apps.update", in_turn(lambda n: {"short_description": f"Shorter {n}", "icon": "https://cdn.example/icon.png"}), flat=True,
          most=TEXTS),
    Entry("settings.billing", in_turn(lambda n: {"pricing_type": "subscription", "pricing_amount": 100 + n}), flat=True),
    Entry("settings.oauth", each(lambda n: {"redirect_urls": [f"https://app.example/callback/{n}"]})),
    Entry("settings.webhooks", each(lambda n: {"webhook_receive_url": f"https://app.example/hooks/{n}"})),
    Entry("settings.embed", each(lambda n: {"app_url": f"https://app.example/{n}"})),
    Entry("settings.developer", each(lambda n: {"developer_name": f"Labs {n}"})),
    Entry("manifest.put", manifests),
    Entry("apps.set_listing", each(lambda n: {"is_listed": False}, "is_listed")),
    Entry("apps.set_status", each(lambda n: {"is_active": False}, "is_active")),
    Entry("apps.rotate_secret", each()),
    Entry("apps.regenerate_signing_key", each()),
    Entry("reviews.decide", decided),
    Entry("reviews.submit", each()),
    Entry("reviews.developer_submit", each()),
    Entry("apps.delete", each()),
]
BILLING = [
    read("developer.charges", crowded()),
    read("developer.charges", crowded("status=completed"), "completed"),
    read("developer.charges", crowded("status=declined&limit=5"), "declined"),
    read("developer.charges", last_crowded(), "the last page", most=DEEP),
    read("developer.revenue", crowded()),
    read("developer.revenue", last_crowded(), "the last page", most=DEEP),
    read("developer.balance", crowded()),
]


def main():
    with figures.platform() as few, figures.platform() as many:
        small, large = Side(Bench(few), SMALL), Side(Bench(many), LARGE)
        Table(SERVICE, ENTRIES, small, large, reference="apps.get", beside={"billing": BILLING}).run()
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""The figures of OAuth in `make bench`: codes exchanged cold, refresh tokens, introspection; each per second over HTTP.

What is exchanged lies ready in the database, made by SQL, because making it over HTTP would take longer than what is measured.
Each code is for a store of its own, so that each exchange makes an installation; each refresh token is used once. Commits are
durable. The ceiling beside them is pgbench with as many bare commits of one small row, which is what the disk can do.
"""

import sys

import figures
from figures import SECONDS, Bench, aim, check_answers, http, say

COUNT = 2500 * SECONDS
CALLBACK = "https://bench.example/cb"
FORM = "application/x-www-form-urlencoded"

MAKE_STORES = """
insert into store (owner_account_id, name, created_at, updated_at)
    select %(account)s, 'Bench ' || n, now(), now() from generate_series(1, %(count)s) as n
"""
# Another app that has been on all of these stores for long, so that plans are made for tables of some size.
MAKE_OTHERS = """
with put as (insert into installation (store_id, app_id, granted_scopes, installed_at, consented_at, created_at, updated_at)
    select store_id, %(other)s, 'read:orders', now(), now(), now(), now() from store where name like 'Bench %%' returning *)
insert into token (installation_id, generation, kind, token_hash, expires_at, created_at)
    select installation_id, 1, kind, sha256(convert_to(kind || installation_id, 'utf8')), now() + interval '1 day', now()
    from put, (values ('access'), ('refresh')) as kinds (kind)
"""
MAKE_CODES = """
insert into oauth_code (code_hash, app_id, store_id, account_id, redirect_uri, scopes, expires_at, created_at)
    select sha256(convert_to('sx_ac_' || n, 'utf8')), %(app)s, store_id, %(account)s, %(callback)s, 'read:orders',
    now() + interval '1 hour', now()
    from (select store_id, row_number() over (order by store_id) as n from store where name like 'Bench %%') as stores
"""
MAKE_REFRESH = """
insert into token (installation_id, generation, kind, token_hash, expires_at, created_at)
    select installation_id, generation, 'refresh', sha256(convert_to('sx_rt_' || n, 'utf8')), now() + interval '1 hour', now()
    from (select *, row_number() over (order by installation_id) as n from installation where app_id = %(app)s) as own
"""
COMMITS = "insert into bench_commit values (1);\n"


class OAuth:
    def __init__(self, bench):
        self.bench = bench
        call = bench.platform.call
        self.account = call("auth.accounts.create", name="Bench", email="oauth@bench.example", password="correct horse battery",
                            is_developer=True)["account_id"]
        self.app, other = [call("auth.apps.create", owner_account_id=self.account, name="Bench", redirect_urls=[CALLBACK],
                                requested_scopes=["read:orders"]) for _ in range(2)]
        self.values = {"account": self.account, "app": self.app["app_id"], "other": other["app_id"], "callback": CALLBACK,
                       "count": COUNT}
        self.client = f"client_id={self.app['client_id']}&client_secret={self.app['client_secret']}"

    def sql(self, text):
        self.bench.platform.postgres.rows("set search_path = auth; " + text, self.values)

    def once(self, name, path, bodies, floor):
        result = self.bench.load([http("POST", path, body=f"{body}&{self.client}", kind=FORM) for body in bodies], seconds=0)
        check_answers(result, what=name)
        say(f"{name}: {result['rate']:.0f}/s, p50 {result['p50_us'] / 1000:.1f} ms, p99 {result['p99_us'] / 1000:.1f} ms")
        aim(f"{name}, per second", result["rate"], floor=floor)


def commit_ceiling(bench):
    bench.platform.postgres.rows("create table store_data.bench_commit (n integer); "
                                 "grant insert on store_data.bench_commit to store_data")
    say(f"pgbench, 16 clients, one row and one durable commit each: {bench.pgbench(COMMITS):.0f}/s")


def main():
    with figures.platform() as platform:
        bench = Bench(platform)
        oauth = OAuth(bench)
        commit_ceiling(bench)
        oauth.sql(MAKE_STORES)
        oauth.sql(MAKE_OTHERS)
        oauth.sql(MAKE_CODES)
        platform.postgres.rows("vacuum analyze")
        numbers = range(1, COUNT + 1)
        oauth.once("authorization_code exchange, cold", "/api/apps/oauth/token",
                   [f"grant_type=authorization_code&code=sx_ac_{n}&redirect_uri={CALLBACK}" for n in numbers], 2000)
        oauth.sql(MAKE_REFRESH)
        platform.postgres.rows("vacuum analyze")
        oauth.once("refresh", "/api/apps/oauth/token",
                   [f"grant_type=refresh_token&refresh_token=sx_rt_{n}" for n in numbers], 2000)
        oauth.once("introspection", "/api/apps/oauth/introspect",
                   [f"token=sx_rt_{n}" for _ in range(2) for n in numbers], 10000)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())

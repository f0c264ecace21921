"""Each service reaches its own schema and nothing else; PostgreSQL itself says so (decision 7)."""

import itertools

import psycopg2
import psycopg2.errors
import pytest

SERVICES = ["auth", "billing", "developer_apps", "store_data", "webhooks"]


def tables(platform, schema):
    rows = platform.postgres.rows("select relname from pg_class where relkind in ('r', 'p', 'v', 'm') "
                                  "and relnamespace = %s::regnamespace", (schema,))
    return [name for name, in rows]


def attempt(platform, role, sql):
    platform.postgres.rows(sql, user=role)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_its_own_tables(platform, service):
    names = tables(platform, service)
    assert names, f"{service} has no tables"
    for name in names:
        attempt(platform, service, f"select count(*) from {service}.{name}")


@pytest.mark.parametrize(("role", "schema"), itertools.permutations(SERVICES, 2))
def test_a_service_is_refused_on_every_foreign_table(platform, role, schema):
    for name in tables(platform, schema):
        for sql in (f"select * from {schema}.{name} limit 1", f"delete from {schema}.{name}",
                    f"begin; lock table {schema}.{name}", f"create table {schema}.intruder (a int)"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                attempt(platform, role, sql)


@pytest.mark.parametrize(("role", "schema"), itertools.permutations(SERVICES, 2))
def test_a_foreign_schema_is_not_even_usable(platform, role, schema):
    usage = platform.postgres.rows("select has_schema_privilege(%s, %s, 'usage')", (role, schema))
    assert usage == [(False,)]


@pytest.mark.parametrize("role", SERVICES)
def test_no_grant_outside_the_own_schema(platform, role):
    for view, columns in (("role_table_grants", "table_schema, table_name"),
                          ("role_usage_grants", "object_schema, object_name"),
                          ("role_routine_grants", "routine_schema, routine_name")):
        foreign = platform.postgres.rows(
            f"select {columns}, privilege_type from information_schema.{view} "
            f"where grantee = %s and {columns.split(',')[0]} not in (%s, 'pg_catalog', 'information_schema')",
            (role, role))
        assert foreign == []


@pytest.mark.parametrize("role", SERVICES)
def test_a_service_cannot_change_tables(platform, role):
    """Only the owner role, which migrates, may."""
    for name in tables(platform, role):
        for sql in (f"drop table {role}.{name}", f"truncate {role}.{name}",
                    f"alter table {role}.{name} add column intruder int"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                attempt(platform, role, sql)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        attempt(platform, role, f"create table {role}.intruder (a int)")


def test_what_is_counted_is_never_taken_away(platform):
    """The triggers that keep counts of these know rows that come and change."""
    for name in ("product", "sku", "product_stock", "discount", "customer", "store_order"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            attempt(platform, "store_data", f"delete from store_data.{name} where store_id = 0")


@pytest.mark.parametrize("role", [name + suffix for name in SERVICES for suffix in ("", "_owner")])
def test_no_role_has_powers_over_the_cluster(platform, role):
    rows = platform.postgres.rows(
        "select rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolreplication from pg_roles "
        "where rolname = %s", (role,))
    assert rows == [(False,) * 5]


@pytest.mark.parametrize("role", SERVICES)
def test_nobody_writes_to_public(platform, role):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        attempt(platform, role, "create table public.intruder (a int)")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        attempt(platform, role, "create schema intruder")


def test_every_service_has_been_looked_at(platform):
    """A new service's schema must be added to SERVICES above."""
    rows = platform.postgres.rows("select nspname from pg_namespace where nspname !~ '^(pg_|information_schema|seen_)'")
    with_tables = {name for name, in rows if tables(platform, name)}
    assert with_tables == set(SERVICES)

/* database.h - a service "sx-test" in the PostgreSQL that SX_TEST_DATABASE names, for the unit tests that need one.
 *
 * The variable is a libpq connection string without a user, to a throwaway cluster whose superuser is postgres and that
 * trusts everybody (with_postgres.sh makes one): the tests stop and kill its processes. Without it they are skipped.
 */
#ifndef DATABASE_H
#define DATABASE_H

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "db.h"
#include "log.h"
#include "migrate.h"

#define TEST_SERVICE "sx-test"
#define TEST_SCHEMA  "sx_test"

static inline PGconn *
admin_open(void)
{
    const char *names[] = {"dbname", "user", "options", NULL};
    const char *values[] = {getenv("SX_TEST_DATABASE"), "postgres", "-c client_min_messages=warning", NULL};
    PGconn *admin = PQconnectdbParams(names, values, 1);

    if (PQstatus(admin) != CONNECTION_OK)
        fail_msg("SX_TEST_DATABASE: %s", PQerrorMessage(admin));
    return admin;
}

/* The first value of the answer, as a number. */
static inline int64_t
admin_sql(const char *sql)
{
    PGconn *admin = admin_open();
    PGresult *result = PQexec(admin, sql);
    int64_t value = 0;

    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(admin));
    if (PQntuples(result) > 0)
        value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    PQfinish(admin);
    return value;
}

/* An empty schema with its two roles, as services/postgres/roles.sql makes them, but with shorter time limits. */
static inline void
make_schema(void)
{
    admin_sql("drop schema if exists sx_test cascade");
    admin_sql(
        "do $$ begin "
        "if not exists (select from pg_roles where rolname = 'sx_test') then create role sx_test login; end if; "
        "if not exists (select from pg_roles where rolname = 'sx_test_owner') then create role sx_test_owner login; "
        "end if; end $$");
    admin_sql(
        "do $$ begin execute format('grant connect on database %I to sx_test, sx_test_owner', current_database()); "
        "end $$");
    admin_sql("create schema sx_test authorization sx_test_owner");
    admin_sql("grant usage on schema sx_test to sx_test");
    admin_sql("alter default privileges for role sx_test_owner in schema sx_test "
              "grant select, insert, update, delete on tables to sx_test");
    admin_sql("alter role sx_test set search_path = sx_test");
    admin_sql("alter role sx_test_owner set search_path = sx_test");
    admin_sql("alter role sx_test set statement_timeout = '700ms'");
    admin_sql("alter role sx_test set lock_timeout = '200ms'");
}

static inline char *
read_text(const char *path)
{
    char *text = xcalloc(1, 65536);
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

/* What every service's schema begins with; tests run in the repository's root. */
static inline struct migration
shared_migration(void)
{
    static char *sql;
    char *longer;
    glob_t files;

    if (!sql) {
        sql = xstrdup("");
        assert_int_equal(glob("libshared/schema/*.sql", 0, NULL, &files), 0);
        for (size_t i = 0; i < files.gl_pathc; i++) { /* in the order of their names, as they are applied */
            char *text = read_text(files.gl_pathv[i]);

            assert_true(asprintf(&longer, "%s%s\n", sql, text) > 0);
            free(sql);
            free(text);
            sql = longer;
        }
        globfree(&files);
    }
    return (struct migration){"000_shared.sql", sql};
}

static inline int
database_setup(void **state)
{
    (void)state;
    log_start("test", getenv("SX_TEST_LOG") ? LOG_DEBUG : LOG_ERROR + 1);
    config = (struct config){.home = "/nonexistent", .database_url = getenv("SX_TEST_DATABASE"), .dev = 1};
    if (config.database_url)
        make_schema();
    return 0;
}

#define needs_database()                                                                                               \
    do {                                                                                                               \
        if (!config.database_url)                                                                                      \
            skip();                                                                                                    \
    } while (0)

#endif

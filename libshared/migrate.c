/* migrate.c - applies what is new, refuses what was changed after it ran.
 *
 * Several processes may migrate at once (a compose project scaled up): the advisory lock lets one work and the others
 * find nothing left to do. A file and its record are one transaction, so a crash leaves a file either applied or not; a
 * file without a transaction may be applied and not recorded, and is then run again.
 */
#include "migrate.h"

#include <string.h>

#include "log.h"
#include "secret.h"

#define NO_TRANSACTION "-- no transaction\n"

static int
fail(PGresult *result, const char *schema, const char *what)
{
    log_event(LOG_ERROR, "migration_failed", "s:schema", schema, "s:what", what, "s:sqlstate",
              PQresultErrorField(result, PG_DIAG_SQLSTATE), "s:why",
              PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), "s:position",
              PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION), NULL);
    PQclear(result);
    return -1;
}

static bool
is_good(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
}

/* One statement with up to two text parameters. */
static int
run(PGconn *connection, const char *schema, const char *sql, const char *first, const char *second)
{
    const char *values[] = {first, second};
    PGresult *result = PQexecParams(connection, sql, second ? 2 : first ? 1 : 0, NULL, values, NULL, NULL, 0);

    if (!is_good(result))
        return fail(result, schema, sql);
    PQclear(result);
    return 0;
}

static void
digest(char target[HEX_SIZE(SHA256_SIZE)], const char *sql)
{
    uint8_t hash[SHA256_SIZE];

    secret_sha256(hash, sql, strlen(sql));
    secret_hex(target, hash, sizeof hash);
}

static PGresult *
read_applied(PGconn *connection)
{
    return PQexec(connection, "select name, sha256 from migration order by name");
}

enum standing { STANDING_NEW, STANDING_APPLIED, STANDING_CHANGED };

static enum standing
standing_of(const PGresult *applied, const struct migration *migration)
{
    char hash[HEX_SIZE(SHA256_SIZE)];

    digest(hash, migration->sql);
    for (int i = 0; i < PQntuples(applied); i++)
        if (strcmp(PQgetvalue(applied, i, 0), migration->name) == 0)
            return strcmp(PQgetvalue(applied, i, 1), hash) == 0 ? STANDING_APPLIED : STANDING_CHANGED;
    return STANDING_NEW;
}

static int
run_file(PGconn *connection, const char *schema, const struct migration *migration)
{
    PGresult *result = PQexec(connection, migration->sql);

    if (!is_good(result))
        return fail(result, schema, migration->name);
    PQclear(result);
    return 0;
}

static int
record(PGconn *connection, const char *schema, const struct migration *migration)
{
    char hash[HEX_SIZE(SHA256_SIZE)];

    digest(hash, migration->sql);
    return run(connection, schema, "insert into migration (name, sha256) values ($1, $2)", migration->name, hash);
}

/* Waiting for a table's lock would make everybody behind it wait as well; so a migration gives up soon, and is run
 * again. Building an index concurrently has to wait for old transactions, and holds nobody up. */
static int
apply(PGconn *connection, const char *schema, const struct migration *migration)
{
    bool alone = strncmp(migration->sql, NO_TRANSACTION, sizeof NO_TRANSACTION - 1) == 0;
    int status;

    log_event(LOG_INFO, "migrating", "s:schema", schema, "s:file", migration->name, NULL);
    if (run(connection, schema, "select set_config('lock_timeout', $1, false)", alone ? "0" : "2s", NULL))
        return -1;
    if (alone)
        return run_file(connection, schema, migration) || record(connection, schema, migration) ? -1 : 0;
    status = run(connection, schema, "begin", NULL, NULL);
    if (status == 0 && (run_file(connection, schema, migration) || record(connection, schema, migration)))
        status = -1;
    if (status == 0)
        return run(connection, schema, "commit", NULL, NULL);
    PQclear(PQexec(connection, "rollback"));
    return -1;
}

static int
apply_new(PGconn *connection, const char *schema, const struct migration *migrations, unsigned count)
{
    PGresult *applied = read_applied(connection);
    int status = 0;

    if (!is_good(applied))
        return fail(applied, schema, "reading the table migration");
    for (unsigned i = 0; i < count && status == 0; i++) {
        switch (standing_of(applied, &migrations[i])) {
        case STANDING_APPLIED: break;
        case STANDING_NEW: status = apply(connection, schema, &migrations[i]); break;
        case STANDING_CHANGED:
            log_event(LOG_ERROR, "migration_changed", "s:schema", schema, "s:file", migrations[i].name, "s:why",
                      "the file has been applied and was changed afterwards; undo the change and write a new file",
                      NULL);
            status = -1;
        }
    }
    PQclear(applied);
    return status;
}

int
migrate_run(PGconn *connection, const char *schema, const struct migration *migrations, unsigned count)
{
    int status;

    if (run(connection, schema, "select set_config('search_path', quote_ident($1), false)", schema, NULL) ||
        run(connection, schema, "set statement_timeout = 0", NULL, NULL) ||
        run(connection, schema, "set idle_in_transaction_session_timeout = 0", NULL, NULL) ||
        run(connection, schema, "set client_min_messages = warning", NULL, NULL) ||
        run(connection, schema, "set lock_timeout = '60s'", NULL, NULL) ||
        run(connection, schema, "select pg_advisory_lock(hashtextextended('migrate ' || $1, 0))", schema, NULL))
        return -1;
    status = run(connection, schema,
                 "create table if not exists migration (name text primary key, sha256 text not null, "
                 "applied_at timestamptz not null default now())",
                 NULL, NULL);
    if (status == 0)
        status = apply_new(connection, schema, migrations, count);
    if (run(connection, schema, "select pg_advisory_unlock(hashtextextended('migrate ' || $1, 0))", schema, NULL))
        status = -1;
    return status;
}

int
migrate_check(PGconn *connection, const char *schema, const struct migration *migrations, unsigned count)
{
    PGresult *applied = read_applied(connection);
    int status = 0;

    if (!is_good(applied)) {
        (void)fail(applied, schema, "reading the table migration; run the command `SERVICE migrate` first");
        return -1;
    }
    for (unsigned i = 0; i < count && status == 0; i++) {
        if (standing_of(applied, &migrations[i]) == STANDING_APPLIED)
            continue;
        log_event(LOG_ERROR, "schema_not_current", "s:schema", schema, "s:file", migrations[i].name, "s:why",
                  "this file has not been applied as it is; run the command `SERVICE migrate` first", NULL);
        status = -1;
    }
    PQclear(applied);
    return status;
}

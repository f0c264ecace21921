/* db.c - a worker's connection: made, lost and made again, and the calls that handlers use it with. */
#include "db_private.h"

#include <assert.h>
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "clock.h"
#include "log.h"
#include "metric.h"
#include "shared_statements.h"
#include "text.h"

#define ROLLBACK_WAIT_MS 500

static const char *const control_sql[CONTROL_COUNT] = {
    "begin", "commit", "rollback", "savepoint t", "release savepoint t", "rollback to savepoint t",
};

static const char *const shared_sql[SHARED_STATEMENT_COUNT] = {
#define QUERY(name, sql) [(name)-SHARED_STATEMENT_BASE] = NAMED_SQL(name, sql),
#include "shared_queries.h"
#undef QUERY
};

static struct metric connects_made = METRIC_COUNTER("sx_database_connects_total", "Connections made to PostgreSQL.");

/* ---- connecting -------------------------------------------------------------------------------------------------- */

static bool
is_in_name(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_';
}

static bool
sql_has_word(const char *sql, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = sql; (at = strcasestr(at, word)) != NULL; at += len)
        if ((at == sql || !is_in_name(at[-1])) && !is_in_name(at[len]))
            return true;
    return false;
}

/* Whether the statement may change something; then a loss outside a transaction has an unknown outcome. A word that
 * only looks like it ("for update") is on the safe side; a column ("updated_at") is no such word. */
static bool
sql_writes(const char *sql)
{
    static const char *const words[] = {"insert", "update", "delete", "merge"};

    for (unsigned i = 0; i < ARRAY_COUNT(words); i++)
        if (sql_has_word(sql, words[i]))
            return true;
    return false;
}

/* Preparing hundreds of statements costs a server process a fifth of a second, so all are prepared once, to see that
 * they can be, and elsewhere each with its first use: when PostgreSQL comes back, all processes are back soon. Where
 * even that takes longer than a request may wait, giving up and beginning again would go on for ever, so each try waits
 * longer than the last. */
static int
db_connect_prepared(struct db *self, bool whole)
{
    int64_t until_ms = clock_monotonic_ms() + self->connect_wait_ms;

    unsigned first = whole ? 0 : self->count - CONTROL_COUNT;

    self->connection = connection_open(self->service, self->application, CONNECTION_SERVICE, until_ms);
    if (self->connection &&
        connection_prepare(self->connection, self->statements + first, self->count - first, until_ms))
        db_drop(self);
    for (unsigned i = 0; i < self->count; i++)
        self->prepared[i] = i >= first;
    if (!self->connection) {
        self->connect_again_ms = clock_monotonic_ms() + RECONNECT_WAIT_MS;
        if (clock_monotonic_ms() >= until_ms && self->connect_wait_ms < CONNECT_WAIT_MAX_MS)
            self->connect_wait_ms *= 2;
        return -1;
    }
    self->connect_wait_ms = CONNECT_WAIT_MS;
    self->number++;
    metric_add(&connects_made, 1);
    return 0;
}

static void
db_name_statements(struct db *self, const char *const *statements, unsigned count)
{
    self->own_count = count;
    self->count = count + SHARED_STATEMENT_COUNT + CONTROL_COUNT;
    self->statements = xcalloc(self->count, sizeof *self->statements);
    self->writes = xcalloc(self->count, sizeof *self->writes);
    self->prepared = xcalloc(self->count, sizeof *self->prepared);
    for (unsigned i = 0; i < self->count; i++) {
        struct connection_statement *target = &self->statements[i];

        if (i < count)
            target->sql = statements[i];
        else if (i < count + SHARED_STATEMENT_COUNT)
            target->sql = shared_sql[i - count];
        else
            target->sql = control_sql[i - count - SHARED_STATEMENT_COUNT];
        snprintf(target->name, sizeof target->name, "s%u", i);
        self->writes[i] = sql_writes(target->sql);
    }
}

struct db *
db_new(const char *service, unsigned index, const char *const *statements, unsigned count)
{
    struct db *self = xcalloc(1, sizeof *self);

    assert(count < SHARED_STATEMENT_BASE);
    snprintf(self->service, sizeof self->service, "%s", service);
    snprintf(self->application, sizeof self->application, "%s/%u", service, index);
    self->connect_wait_ms = CONNECT_WAIT_MAX_MS; /* nobody waits yet */
    db_name_statements(self, statements, count);
    if (db_connect_prepared(self, index == 0))
        db_destroy(&self);
    return self;
}

void
db_destroy(struct db **self)
{
    struct db *db = *self;

    *self = NULL;
    if (!db)
        return;
    for (unsigned i = 0; i < db->result_count; i++)
        PQclear(db->results[i]);
    PQfinish(db->connection);
    free(db->results);
    free(db->statements);
    free(db->writes);
    free(db->prepared);
    free(db);
}

PGconn *
db_connect(const char *service, bool owner)
{
    char application[SERVICE_NAME_MAX + 16];
    PGconn *connection;

    snprintf(application, sizeof application, "%s/migrate", service);
    connection = connection_open(service, application, owner ? CONNECTION_OWNER : CONNECTION_SERVICE,
                                 clock_monotonic_ms() + CONNECT_WAIT_MS);
    if (connection && PQsetnonblocking(connection, 0) != 0) {
        PQfinish(connection);
        connection = NULL;
    }
    return connection;
}

bool
db_is_connected(const struct db *self)
{
    return self->connection != NULL;
}

unsigned
db_connection_number(const struct db *self)
{
    return self->number;
}

/* An idle connection has nothing to say but farewell. */
static bool
has_ended(PGconn *connection)
{
    struct pollfd readable = {.fd = PQsocket(connection), .events = POLLIN};

    return poll(&readable, 1, 0) != 0;
}

int
db_ensure(struct db *self)
{
    assert(self->depth == 0 && self->head == self->tail);
    if (self->connection && has_ended(self->connection))
        db_drop(self);
    if (self->connection)
        return 0;
    if (clock_monotonic_ms() < self->connect_again_ms)
        return -1;
    return db_connect_prepared(self, false);
}

/* The next result that a handler wants becomes rows. A statement outside a transaction is committed by the
 * Sync behind it, so its answer counts only when that has been answered too. */
static int
collect_rows(struct call *call, bool tolerate, struct rows *rows)
{
    struct db *self = call->db;
    int64_t affected = 0;
    PGresult *result;

    assert(self->kept > 0);
    if (db_take_kept(call, tolerate, &result))
        return -1;
    if (self->result_count == self->result_capacity) {
        self->result_capacity = self->result_capacity ? 2 * self->result_capacity : 16;
        self->results = xrealloc(self->results, self->result_capacity * sizeof(PGresult *));
    }
    self->results[self->result_count++] = result;
    if (self->kept == 0) {
        db_drain(self, clock_monotonic_ms() + STATEMENT_WAIT_MS);
        if (self->unsafe)
            return db_fail_lost(call, NULL);
    }
    const char *tuples = PQcmdTuples(result);
    if (text_to_int(tuples, strlen(tuples), &affected))
        affected = 0;
    if (rows)
        *rows = (struct rows){.result = result,
                              .count = (unsigned)PQntuples(result),
                              .columns = (unsigned)PQnfields(result),
                              .affected = (unsigned)affected};
    return 0;
}

/* ---- what handlers call ------------------------------------------------------------------------------------------ */

int
db_run(struct call *call, unsigned statement, struct rows *rows, const char *types, ...)
{
    va_list values;
    int status;

    assert(call->db->kept == 0);
    va_start(values, types);
    status = db_queue_statement(call, statement, FATE_KEEP, false, types, values);
    va_end(values);
    return status ? -1 : collect_rows(call, false, rows);
}

int
db_try(struct call *call, unsigned statement, struct rows *rows, const char *types, ...)
{
    struct db *self = call->db;
    bool inside = self->depth > 0;
    va_list values;
    int status;

    assert(self->kept == 0);
    va_start(values, types);
    status = db_queue_statement(call, statement, FATE_KEEP, inside, types, values);
    va_end(values);
    if (status || collect_rows(call, true, rows))
        return -1;
    if (inside && ((!db_is_good(rows->result) && db_queue_control(self, CONTROL_BACK, FATE_DROP)) ||
                   db_queue_control(self, CONTROL_RELEASE, FATE_DROP)))
        return db_fail_lost(call, NULL);
    return 0;
}

const char *
db_violated(const struct rows *rows)
{
    const char *name;

    if (db_is_good(rows->result))
        return NULL;
    name = PQresultErrorField(rows->result, PG_DIAG_CONSTRAINT_NAME);
    return name ? name : ""; /* not null has no name */
}

int
db_send(struct call *call, unsigned statement, const char *types, ...)
{
    va_list values;
    int status;

    va_start(values, types);
    status = db_queue_statement(call, statement, FATE_KEEP, false, types, values);
    va_end(values);
    return status;
}

int
db_collect(struct call *call, struct rows *rows)
{
    return collect_rows(call, false, rows);
}

int
db_send_off(struct call *call)
{
    struct db *self = call->db;

    if (!self->connection || db_queue_sync(self) || PQflush(self->connection) != 0)
        return -1; /* what does not fit into the socket is sent while the results are waited for */
    return PQsocket(self->connection);
}

int
db_post(struct call *call, unsigned statement, const char *types, ...)
{
    va_list values;
    int status;

    assert(call->db->depth > 0);
    va_start(values, types);
    status = db_queue_statement(call, statement, FATE_DROP, false, types, values);
    va_end(values);
    return status;
}

int
db_begin(struct call *call)
{
    struct db *self = call->db;

    assert(self->kept == 0);
    if (!self->connection)
        return db_fail_lost(call, NULL);
    self->depth++; /* BEGIN itself travels with the first statement */
    return 0;
}

void
db_after_commit(struct call *call, void (*run)(void))
{
    assert(db_in_transaction(call->db));
    call->db->after_commit = run;
}

static void
run_after_commit(struct db *self)
{
    void (*run)(void) = self->after_commit;

    self->after_commit = NULL;
    if (run)
        run();
}

int
db_commit(struct call *call)
{
    struct db *self = call->db;
    PGresult *result;
    bool committed;

    assert(self->depth > 0 && self->kept == 0);
    if (self->depth > 1 || !self->began) {
        self->depth--;
        return 0;
    }
    if (db_is_late(call))
        return call_fail(call, FAIL_GATEWAY_TIMEOUT, NULL, NULL);
    if (self->connection && db_fault_now())
        db_drop(self);
    self->unsafe = self->connection != NULL; /* lost before: the server rolls back */
    if (!self->connection || db_queue_control(self, CONTROL_COMMIT, FATE_KEEP))
        return db_fail_lost(call, "commit");
    if (db_take_kept(call, false, &result))
        return -1;
    committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;
    PQclear(result);
    self->unsafe = false;
    self->depth = 0;
    self->began = false;
    self->committed |= committed;
    db_drain(self, clock_monotonic_ms() + STATEMENT_WAIT_MS);
    if (committed) {
        run_after_commit(self);
        return 0;
    }
    log_event(LOG_ERROR, "commit_after_failed_statement", "s:request_id", call->request_id, NULL);
    return call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
}

void
db_rollback(struct db *self)
{
    int64_t until_ms = clock_monotonic_ms() + ROLLBACK_WAIT_MS;

    db_drain(self, until_ms);
    if (self->connection && PQtransactionStatus(self->connection) != PQTRANS_IDLE) {
        if (db_queue_control(self, CONTROL_ROLLBACK, FATE_DROP))
            db_drop(self);
        db_drain(self, until_ms);
    }
    self->depth = 0;
    self->began = false;
    self->unsafe = false;
    self->after_commit = NULL;
}

bool
db_in_transaction(const struct db *self)
{
    return self->depth > 0;
}

bool
db_wants_retry(const struct db *self)
{
    return self->wants_retry && !self->committed;
}

void
db_release(struct db *self)
{
    assert(self->depth == 0);
    db_drain(self, clock_monotonic_ms() + ROLLBACK_WAIT_MS);
    self->unsafe = false;
    self->committed = false;
    for (unsigned i = 0; i < self->result_count; i++)
        PQclear(self->results[i]);
    self->result_count = 0;
}

/* db_queue.c - what was sent and not yet answered, and what the answers mean.
 *
 * BEGIN costs no round trip of its own, nor do savepoints and posted statements, and there is one way only in which a
 * result is waited for.
 */
#include "db_private.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "clock.h"
#include "config.h"
#include "log.h"
#include "metric.h"
#include "parameters.h"
#include "shared_statements.h"

static struct metric statement_seconds = METRIC_HISTOGRAM("sx_statement_seconds", "Round trips to PostgreSQL.");
static struct metric losses =
    METRIC_COUNTER("sx_database_lost_total", "Connections lost, or given up because of a wait.");

void
db_drop(struct db *self)
{
    PQfinish(self->connection);
    self->connection = NULL;
    self->lost_sqlstate[0] = '\0';
    self->head = self->tail = self->kept = 0;
    self->unsynced = false;
    metric_add(&losses, 1);
}

/* ---- failing ----------------------------------------------------------------------------------------------------- */

bool
db_is_late(const struct call *call)
{
    return call->deadline_ms && clock_monotonic_ms() >= call->deadline_ms;
}

/* NAMED_SQL's name; NULL when it has none. */
static const char *
statement_name(struct arena *arena, const char *sql)
{
    const char *end = sql && strncmp(sql, "/* ", 3) == 0 ? strstr(sql, " */") : NULL;

    return end ? arena_strndup(arena, sql + 3, (size_t)(end - sql - 3)) : NULL;
}

/* The connection is gone, or is given up because it did not answer in time. The line says what the server gave as its
 * reason, if it gave one. */
int
db_fail_lost(struct call *call, const char *sql)
{
    struct db *self = call->db;
    bool unsafe = self->unsafe;
    bool late = db_is_late(call);
    const char *why = self->lost_sqlstate[0]                        ? "the server ended the session"
                      : !self->connection                           ? "there was no connection"
                      : PQstatus(self->connection) != CONNECTION_OK ? "the connection was closed"
                                                                    : "no answer in time";

    log_event(LOG_WARN, "database_lost", "s:request_id", call->request_id, "s:why", why, "s:sqlstate",
              self->lost_sqlstate[0] ? self->lost_sqlstate : NULL, "s:statement", statement_name(call->arena, sql),
              "b:late", late, "b:outcome_unknown", unsafe, "s:sql", sql, NULL);
    if (self->connection)
        db_drop(self);
    self->unsafe = false;
    if (unsafe)
        return call_fail(call, FAIL_OUTCOME_UNKNOWN, NULL, NULL);
    return call_fail(call, late ? FAIL_GATEWAY_TIMEOUT : FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
}

static bool
is_lost(const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

    return !PQresultErrorField(result, PG_DIAG_SQLSTATE) || !severity || strcmp(severity, "ERROR") != 0;
}

static bool
is_want_of_time(const char *sqlstate)
{
    /* cancelled, lock not available, and the classes insufficient resources and operator intervention */
    return strcmp(sqlstate, "55P03") == 0 || strncmp(sqlstate, "53", 2) == 0 || strncmp(sqlstate, "57", 2) == 0;
}

/* An error that the server reported for one statement. The SQL is ours and holds no values; the server's sentence may
 * quote what a client sent in class 22, so that one is not logged. */
static int
fail_statement(struct call *call, const char *sql, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *why = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    bool retry = strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0;

    if (strncmp(sqlstate, "22", 2) == 0)
        why = NULL;
    log_event(retry ? LOG_INFO : LOG_ERROR, "statement_failed", "s:request_id", call->request_id, "s:sqlstate",
              sqlstate, "s:statement", statement_name(call->arena, sql), "s:why", why, "s:sql", sql, NULL);
    call->db->wants_retry = retry;
    if (retry || is_want_of_time(sqlstate))
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
    return call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
}

/* ---- the queue --------------------------------------------------------------------------------------------------- */

/* SX_FAULT=db:N: true for the Nth statement of this process. */
bool
db_fault_now(void)
{
    static atomic_uint sent;

    if (!config.fault || strncmp(config.fault, "db:", 3) != 0)
        return false;
    return atomic_fetch_add(&sent, 1) + 1 == strtoul(config.fault + 3, NULL, 10);
}

static unsigned
control_index(const struct db *self, enum control control)
{
    return self->count - CONTROL_COUNT + control;
}

static void
queue_push(struct db *self, unsigned statement, enum fate fate)
{
    assert(self->tail < QUEUE_MAX);
    self->queue[self->tail++] = (struct entry){(uint16_t)statement, (uint8_t)fate};
    self->unsynced = fate != FATE_SYNC;
    self->kept += fate == FATE_KEEP;
}

int
db_queue_control(struct db *self, enum control control, enum fate fate)
{
    unsigned index = control_index(self, control);

    if (!PQsendQueryPrepared(self->connection, self->statements[index].name, 0, NULL, NULL, NULL, 0))
        return -1;
    queue_push(self, index, fate);
    return 0;
}

int
db_queue_sync(struct db *self)
{
    if (!self->unsynced)
        return 0;
    if (!PQpipelineSync(self->connection))
        return -1;
    queue_push(self, 0, FATE_SYNC);
    return 0;
}

/* Sends a statement's text ahead of its first use on this connection. */
static int
queue_prepare(struct db *self, unsigned index)
{
    const struct connection_statement *statement = &self->statements[index];

    if (self->prepared[index])
        return 0;
    if (!PQsendPrepare(self->connection, statement->name, statement->sql, 0, NULL))
        return -1;
    queue_push(self, index, FATE_PREPARE);
    self->prepared[index] = true;
    return 0;
}

/* Queues a statement, behind BEGIN when it is the first one of a transaction. */
int
db_queue_statement(struct call *call, unsigned statement, enum fate fate, bool savepoint, const char *types,
                   va_list values)
{
    struct db *self = call->db;
    bool own = statement < SHARED_STATEMENT_BASE;
    unsigned index = own ? statement : self->own_count + statement - SHARED_STATEMENT_BASE;
    struct parameters parameters;

    assert(own ? statement < self->own_count : statement < SHARED_STATEMENT_END);
    self->wants_retry = false;
    if (db_is_late(call))
        return call_fail(call, FAIL_GATEWAY_TIMEOUT, NULL, NULL);
    if (self->connection && db_fault_now())
        db_drop(self);
    if (!self->connection)
        return db_fail_lost(call, self->statements[index].sql);
    self->unsafe |= self->depth == 0 && self->writes[index];
    parameters_fill(&parameters, call->arena, types, values);
    if ((self->depth > 0 && !self->began && db_queue_control(self, CONTROL_BEGIN, FATE_DROP)) ||
        queue_prepare(self, index) || (savepoint && db_queue_control(self, CONTROL_SAVEPOINT, FATE_DROP)) ||
        !PQsendQueryPrepared(self->connection, self->statements[index].name, parameters.count, parameters.values,
                             parameters.lengths, parameters.formats, 0))
        return db_fail_lost(call, self->statements[index].sql);
    self->began = self->depth > 0;
    queue_push(self, index, fate);
    return 0;
}

/* Takes the result of the queue's first entry. NULL when the connection is lost, which is_lost also says of an error
 * that ends the session. */
static PGresult *
queue_pop(struct db *self, int64_t until_ms, struct entry *entry)
{
    PGresult *result;

    assert(self->head != self->tail);
    *entry = self->queue[self->head];
    if (connection_wait(self->connection, until_ms))
        return NULL;
    result = PQgetResult(self->connection);
    if (!result || (PQresultStatus(result) == PGRES_FATAL_ERROR && is_lost(result))) {
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

        snprintf(self->lost_sqlstate, sizeof self->lost_sqlstate, "%s", sqlstate ? sqlstate : "");
        PQclear(result);
        return NULL;
    }
    if (entry->fate == FATE_SYNC) {
        self->committed |= self->unsafe; /* a statement outside a transaction; had it failed, it would be safe */
        self->unsafe = false;
    } else
        PQclear(PQgetResult(self->connection));             /* the NULL that ends each statement's results */
    if (entry->fate == FATE_PREPARE && !db_is_good(result)) /* behind a statement that failed */
        self->prepared[entry->statement] = false;
    self->kept -= entry->fate == FATE_KEEP;
    if (++self->head == self->tail)
        self->head = self->tail = 0;
    return result;
}

/* Reads away what is left of a pipeline, so that the connection can be used again; drops it when that does not work. */
void
db_drain(struct db *self, int64_t until_ms)
{
    struct entry entry;

    if (self->connection && db_queue_sync(self))
        db_drop(self);
    while (self->head != self->tail) {
        PGresult *result = queue_pop(self, until_ms, &entry);

        if (!result)
            db_drop(self); /* empties the queue */
        PQclear(result);
    }
}

bool
db_is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_PIPELINE_SYNC;
}

static bool
is_violation(const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    return sqlstate && strncmp(sqlstate, "23", 2) == 0;
}

/* Takes results until the one that is kept and hands that to the caller. With tolerate, a broken constraint is no
 * failure of that one. */
int
db_take_kept(struct call *call, bool tolerate, PGresult **kept)
{
    struct db *self = call->db;
    int64_t started_us = clock_monotonic_us(), until_ms = started_us / 1000 + STATEMENT_WAIT_MS;
    struct entry entry = {.fate = FATE_SYNC};
    bool travels = self->unsynced; /* or an earlier round trip has brought the result */
    bool good;

    if (call->deadline_ms && call->deadline_ms < until_ms)
        until_ms = call->deadline_ms;
    if (!self->connection || db_queue_sync(self))
        return db_fail_lost(call, NULL);
    for (;;) {
        *kept = queue_pop(self, until_ms, &entry);
        if (!*kept)
            return db_fail_lost(call, self->statements[entry.statement].sql);
        good = db_is_good(*kept);
        if (entry.fate == FATE_KEEP || !good)
            break;
        PQclear(*kept);
    }
    if (travels)
        metric_observe_us(&statement_seconds, clock_monotonic_us() - started_us);
    if (good || (tolerate && entry.fate == FATE_KEEP && is_violation(*kept)))
        return 0;
    self->unsafe = false; /* the server said that it did not happen */
    (void)fail_statement(call, self->statements[entry.statement].sql, *kept);
    PQclear(*kept);
    db_drain(self, until_ms);
    return -1;
}

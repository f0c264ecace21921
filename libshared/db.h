/* db.h - one PostgreSQL connection of one worker, with the statements of the service prepared.
 *
 * Statements are named in the service's queries.h and in shared_queries.h. The first connection of a process prepares
 * all of them, and one that does not prepare keeps the service from starting; the others prepare each with its first
 * use, in the same round trip. Waiting for PostgreSQL is bounded by the call's deadline (0: none)
 * and by STATEMENT_WAIT_MS: past it the connection is closed (a stopped backend cannot answer a cancel) and the call
 * fails.
 *
 * All functions that take a call record the answer's error in it themselves, so handlers only pass -1 on:
 *   connection lost before commit        503 service_unavailable, nothing happened
 *   the same, the deadline has passed    504 gateway_timeout
 *   connection lost while committing     502 outcome_unknown; a statement that writes outside a transaction is its own
 *                                        commit
 *   57014, 55P03 and other want of time  503 service_unavailable
 *   40001, 40P01                         503, once the worker has run the handler TRANSACTION_TRIES_MAX times; it is
 *                                        not run again when something that it did is committed
 *   23505 and other constraint errors    500, unless db_try was used (then the handler answers itself)
 *
 * The connection is always in libpq's pipeline mode: statements are queued and travel together, with BEGIN in front, as
 * soon as a result is wanted. A write takes one round trip less for each db_post.
 */
#ifndef DB_H
#define DB_H

#include <libpq-fe.h>

#include "base.h"
#include "out.h"

struct call;
struct db;

struct rows {
    PGresult *result; /* belongs to the call; released when it ends */
    unsigned count;
    unsigned columns;
    unsigned affected; /* of insert, update, delete */
};

/* A statement for such a table that carries its name, for the log and for pg_stat_activity. */
#define NAMED_SQL(name, sql) "/* " #name " */ " sql

/* Connects; NULL after logging why. index is the connection's number in the process: number 0 prepares everything. Who
 * wants to wait calls again after RECONNECT_WAIT_MS. statements must outlive the object. */
struct db *db_new(const char *service, unsigned index, const char *const *statements, unsigned count);
void db_destroy(struct db **self);

/* Worker, before a handler runs: makes sure of a connection, for at most CONNECT_WAIT_MS; -1 when there is none. After
 * a failure it does not try for RECONNECT_WAIT_MS, and after a try that was too short the next one is twice as long, up
 * to CONNECT_WAIT_MAX_MS, where db_new begins. */
int db_ensure(struct db *self) must_check;
bool db_is_connected(const struct db *self);

/* Which connection it is now: another number after each reconnect. For who keeps what a transaction that did not wait
 * for the disk has said: a crash of PostgreSQL may have forgotten it, and broken every connection. */
unsigned db_connection_number(const struct db *self);

/* Worker, when the answer has been written: gives back the results that the handler got. No transaction may be open. */
void db_release(struct db *self);

/* A plain blocking connection for migrate_run (owner) and migrate_check; the caller's to PQfinish, or NULL. */
PGconn *db_connect(const char *service, bool owner);

/* types, one letter per parameter:
 *   l int64_t    L const int64_t *, NULL is null    s const char *, NULL is null    b int as boolean
 *   m int64_t amount with 2 decimals                M const int64_t *, NULL is null
 *   t int64_t microseconds since 1970               T const int64_t *, NULL is null
 *   x const void *, size_t as bytea                 j struct str of JSON text, absent is null
 */
int db_run(struct call *call, unsigned statement, struct rows *rows, const char *types, ...) must_check;

/* Like db_run, but a unique, foreign key, check or exclusion violation is no error: answers 0 with rows->result's
 * SQLSTATE in class 23 and the transaction rolled back to where it was before the statement (a savepoint is kept). The
 * constraint's name is what db_violated answers; NULL when there was none. */
int db_try(struct call *call, unsigned statement, struct rows *rows, const char *types, ...) must_check;
const char *db_violated(const struct rows *rows);

/* Transactions. Nested begins are counted: only the outermost one begins and commits. A handler that returns -1 after
 * db_begin is rolled back by the worker. call_service asserts that none is open. */
int db_begin(struct call *call) must_check;
int db_commit(struct call *call) must_check;

/* Inside a transaction: run(), once, when its outermost commit has succeeded; never when it has not. One function a
 * transaction: the last one named. */
void db_after_commit(struct call *call, void (*run)(void));
void db_rollback(struct db *self); /* workers, actors that go on after a failure, who only saw what would be */
bool db_in_transaction(const struct db *self);
bool db_wants_retry(const struct db *self); /* the last failure was 40001 or 40P01, and nothing was committed yet */

/* Several statements in one round trip: send them all, then collect the results in the same order. Inside a transaction
 * each sees what was committed before it began, not before the first one. */
int db_send(struct call *call, unsigned statement, const char *types, ...) must_check;
int db_collect(struct call *call, struct rows *rows) must_check;

/* Who has something else to do until the results of db_send come: all that was sent is on its way, and the descriptor
 * that is answered can be read once there is something to collect. -1: collect at once, which says what is wrong. */
int db_send_off(struct call *call);

/* A statement whose result nobody wants, inside a transaction: travels with the next one or with the commit, which
 * fails if it failed. What it is given is copied before it returns. */
int db_post(struct call *call, unsigned statement, const char *types, ...) must_check;

/* Columns by name; a column that is not there is a programming error (assert). */
bool rows_is_null(const struct rows *self, unsigned row, const char *column);
int64_t rows_int(const struct rows *self, unsigned row, const char *column);      /* null is 0; boolean is 0 or 1 */
const char *rows_text(const struct rows *self, unsigned row, const char *column); /* null is NULL; lives as the call */
int64_t rows_money(const struct rows *self, unsigned row, const char *column);    /* numeric(_,2) in paisa; null is 0 */
int64_t rows_time(const struct rows *self, unsigned row, const char *column);     /* timestamptz in microseconds */

/* bytea: copies at most size bytes and answers how many the value has, 0 for null; size 0 asks for the length alone. */
size_t rows_bytes(const struct rows *self, unsigned row, const char *column, uint8_t *target, size_t size);

/* Writes a row as an object with column names as keys, by column type: integers and floats bare, boolean as 0 or 1
 * (contract 0.3), json as it is, numeric as a number with its decimals, timestamptz in ISO form, the rest as text.
 * Columns whose name begins with an underscore are not written. Not a number and infinity, which JSON does not have,
 * are null. */
void out_row(struct out *self, const struct rows *rows, unsigned row);
void out_rows(struct out *self, const struct rows *rows); /* a list of them */

/* The same object, open for so many further members, which the caller writes. */
void out_row_with(struct out *self, const struct rows *rows, unsigned row, unsigned further);

#endif

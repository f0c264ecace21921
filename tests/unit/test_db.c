/* The database connection of a worker against a real PostgreSQL: values, transactions, and every way of losing it. */
#include "database.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "bounds.h"
#include "call_private.h"
#include "clock.h"
#include "parameters.h"
#include "shared_statements.h"

enum statement {
    ECHO,
    PID,
    THING_PUT,
    THING_COUNT,
    THING_LOCK,
    SLEEP,
    DIVIDE,
    RAISE,
    SLOW_COMMIT,
    SETTINGS_OF_SESSION,
    LENGTHS,
    STATEMENT_COUNT
};

#define LONG_NAME "a_name_as_long_as_postgresql_lets_a_name_be_which_is_63_bytes__" /* 63 bytes: no name is longer */

static const char *const statements[STATEMENT_COUNT] = {
    [ECHO] = "select $1::bigint as l, $2::text as s, $3::boolean as b, $4::numeric(12,2) as m, $5::timestamptz as t, "
             "$6::bytea as x, $7::json as j, $8::bigint as nothing, $1::bigint as _hidden",
    [PID] = "select pg_backend_pid() as pid",
    [THING_PUT] = "insert into thing (id, name) values ($1, $2)",
    [THING_COUNT] = "select count(*) as n from thing",
    [THING_LOCK] = "select id from thing where id = $1 for share",
    [SLEEP] = "select pg_sleep($1 / 1000.0) is null as slept, now() as updated_at",
    [DIVIDE] = "select 1 / $1::int as quotient",
    [RAISE] = "select raise($1) is null as raised",
    [SLOW_COMMIT] = "insert into slow_commit (ms) values ($1)",
    [SETTINGS_OF_SESSION] = "select current_setting('TimeZone') as zone, current_setting('application_name') as name, "
                            "current_setting('client_encoding') as encoding, current_setting('DateStyle') as style",
    [LENGTHS] = "select repeat('x', n) as s, repeat('9', n)::json as " LONG_NAME ", repeat('y\"', n) as q, "
                "case when n % 2 = 0 then '' end as z from generate_series(1, 80) as n order by n",
};

static const char schema_sql[] =
    "create table thing (id bigint primary key, name text constraint thing_name unique);\n"
    "create table slow_commit (ms int);\n"
    "create function sleep_at_commit() returns trigger language plpgsql as "
    "$$ begin perform pg_sleep(new.ms / 1000.0); return null; end $$;\n"
    "create constraint trigger slow after insert on slow_commit deferrable initially deferred "
    "for each row execute function sleep_at_commit();\n"
    "create function raise(code text) returns void language plpgsql as "
    "$$ begin raise exception using errcode = code, message = 'asked for'; end $$;\n";

/* A call as the worker would lend it, on a connection of its own. */
static struct db *db;
static struct arena *arena;
static struct call_private private;
static struct call call;
static struct rows rows;

static int
start_call(void **state)
{
    (void)state;
    if (!config.database_url)
        return 0;
    admin_sql("truncate sx_test.thing, sx_test.slow_commit");
    arena = arena_new(4096);
    db = db_new(TEST_SERVICE, 3, statements, STATEMENT_COUNT);
    private = (struct call_private){.service = TEST_SERVICE};
    call = (struct call){.arena = arena, .db = db, .request_id = "test", .private = &private};
    return db ? 0 : -1;
}

static int
end_call(void **state)
{
    (void)state;
    if (!config.database_url)
        return 0;
    if (db_in_transaction(db))
        db_rollback(db);
    db_release(db);
    db_destroy(&db);
    arena_destroy(&arena);
    config.fault = NULL;
    return 0;
}

static int
setup(void **state)
{
    struct migration migrations[] = {shared_migration(), {"001_test.sql", schema_sql}};
    PGconn *owner;
    int status;

    if (database_setup(state) != 0 || !config.database_url)
        return 0;
    owner = db_connect(TEST_SERVICE, true);
    status = owner ? migrate_run(owner, TEST_SCHEMA, migrations, 2) : -1;
    PQfinish(owner);
    return status;
}

static int64_t
backend_pid(void)
{
    assert_int_equal(db_run(&call, PID, &rows, ""), 0);
    return rows_int(&rows, 0, "pid");
}

static void
assert_failed(int status, enum fail code)
{
    assert_int_equal(status, -1);
    assert_true(private.failed);
    assert_string_equal(fail_texts[private.code].code, fail_texts[code].code);
    private.failed = false;
}

static int64_t
things(void)
{
    return admin_sql("select count(*) from sx_test.thing");
}

/* As the worker does it after a failed handler and before the next request. */
static void
next_request(void)
{
    int64_t until_ms = clock_monotonic_ms() + 10000;

    if (db_in_transaction(db))
        db_rollback(db);
    db_release(db);
    while (db_ensure(db) != 0) {
        assert_true(clock_monotonic_ms() < until_ms);
        usleep(20000);
    }
    assert_true(backend_pid() > 0);
}

/* ---- values --------------------------------------------------------------------------------------------------- */

static void
fill(struct parameters *target, const char *types, ...)
{
    va_list values;

    va_start(values, types);
    parameters_fill(target, NULL, types, values);
    va_end(values);
}

static void
parameters_are_text(void **state)
{
    struct parameters p;
    int64_t number = -7, price = -5, before = -1;

    (void)state;
    fill(&p, "lLLsbbmMtTx", INT64_MIN, &number, NULL, "text", 1, 0, INT64_C(146000), &price, INT64_C(1768465800123456),
         &before, "\0x", (size_t)2);
    assert_int_equal(p.count, 11);
    assert_string_equal(p.values[0], "-9223372036854775808");
    assert_string_equal(p.values[1], "-7");
    assert_null(p.values[2]);
    assert_string_equal(p.values[3], "text");
    assert_string_equal(p.values[4], "t");
    assert_string_equal(p.values[5], "f");
    assert_string_equal(p.values[6], "1460.00");
    assert_string_equal(p.values[7], "-0.05");
    assert_string_equal(p.values[8], "2026-01-15T08:30:00.123456Z");
    assert_string_equal(p.values[9], "1969-12-31T23:59:59.999999Z");
    assert_int_equal(p.lengths[10], 2);
    assert_int_equal(p.formats[10], 1);
    assert_int_equal(p.formats[0], 0);
}

static void
echo(void)
{
    assert_int_equal(db_run(&call, ECHO, &rows, "lsbmtxjL", INT64_C(-42), "say \"hi\"\n\\ \xe0\xa6\xa2", 1,
                            INT64_C(146050), INT64_C(1768465800123456), "\0\xff", (size_t)2, STR("{\"a\": [1, 2.50]}"),
                            NULL),
                     0);
    assert_int_equal(rows.count, 1);
}

static void
values_come_back(void **state)
{
    uint8_t bytes[4] = {9, 9, 9, 9};

    (void)state;
    needs_database();
    echo();
    assert_int_equal(rows_int(&rows, 0, "l"), -42);
    assert_string_equal(rows_text(&rows, 0, "s"), "say \"hi\"\n\\ \xe0\xa6\xa2");
    assert_int_equal(rows_int(&rows, 0, "b"), 1);
    assert_int_equal(rows_money(&rows, 0, "m"), 146050);
    assert_true(rows_time(&rows, 0, "t") == INT64_C(1768465800123456));
    assert_int_equal(rows_bytes(&rows, 0, "x", bytes, 4), 2);
    assert_memory_equal(bytes, "\0\xff\t\t", 4);
    assert_int_equal(rows_bytes(&rows, 0, "x", NULL, 0), 2);
    assert_true(rows_is_null(&rows, 0, "nothing"));
    assert_int_equal(rows_int(&rows, 0, "nothing"), 0);
    assert_null(rows_text(&rows, 0, "nothing"));
    assert_int_equal(rows_int(&rows, 0, "l"), -42); /* out of order as well */
}

static void
rows_become_json(void **state)
{
    static const char expected[] = "[{\"l\":-42,\"s\":\"say \\\"hi\\\"\\n\\\\ \xe0\xa6\xa2\",\"b\":1,\"m\":1460.50,"
                                   "\"t\":\"2026-01-15T08:30:00.123Z\",\"x\":\"\\\\x00ff\",\"j\":{\"a\": [1, 2.50]},"
                                   "\"nothing\":null}]";
    struct buf buf;
    struct out out;

    (void)state;
    needs_database();
    echo();
    buf_init(&buf, 65536);
    out_init(&out, &buf, OUT_JSON);
    out_rows(&out, &rows);
    assert_true(out_complete(&out));
    assert_int_equal(buf.size, sizeof expected - 1);
    assert_memory_equal(buf.data, expected, buf.size);
    buf_reset(&buf);
    out_init(&out, &buf, OUT_JSON);
    out_map(&out, 2);
    out_key(&out, "row");
    out_row(&out, &rows, 0);
    out_key(&out, "n");
    out_int(&out, 1);
    assert_true(out_complete(&out));
    assert_memory_equal(buf.data, "{\"row\":{\"l\":-42,", 16);
    assert_memory_equal(buf.data + buf.size - 7, ",\"n\":1}", 7);
    buf_free(&buf);
    buf_init(&buf, 64); /* too small: the failure is kept */
    out_init(&out, &buf, OUT_JSON);
    out_rows(&out, &rows);
    assert_false(out_complete(&out));
    buf_free(&buf);
}

/* Each is copied in its own way. */
static void
texts_of_all_lengths_become_json(void **state)
{
    struct buf buf, expected;
    struct out out;

    (void)state;
    needs_database();
    assert_int_equal(db_run(&call, LENGTHS, &rows, ""), 0);
    buf_init(&buf, 262144);
    buf_init(&expected, 262144);
    out_init(&out, &buf, OUT_JSON);
    out_rows(&out, &rows);
    assert_true(out_complete(&out));
    for (unsigned n = 1; n <= 80; n++) {
        buf_append_text(&expected, n == 1 ? "[{\"s\":\"" : ",{\"s\":\"");
        for (unsigned i = 0; i < n; i++)
            buf_append_byte(&expected, 'x');
        buf_append_text(&expected, "\",\"" LONG_NAME "\":");
        for (unsigned i = 0; i < n; i++)
            buf_append_byte(&expected, '9');
        buf_append_text(&expected, ",\"q\":\"");
        for (unsigned i = 0; i < n; i++)
            buf_append_text(&expected, "y\\\"");
        buf_append_text(&expected, n % 2 == 0 ? "\",\"z\":\"\"}" : "\",\"z\":null}");
    }
    buf_append_byte(&expected, ']');
    assert_int_equal(buf.size, expected.size);
    assert_memory_equal(buf.data, expected.data, buf.size);
    buf_free(&buf);
    buf_free(&expected);
}

static void
rows_become_msgpack(void **state)
{
    struct buf buf;
    struct out out;
    struct in in;

    (void)state;
    needs_database();
    echo();
    buf_init(&buf, 65536);
    out_init(&out, &buf, OUT_MSGPACK);
    out_row(&out, &rows, 0);
    assert_true(out_complete(&out));
    assert_int_equal(in_decode(&in, arena, buf.data, buf.size), 0);
    assert_int_equal(in_count(in, ""), 8);
    assert_int_equal(in_int(in, "l", 0), -42);
    assert_int_equal(in_int(in, "b", 0), 1);
    assert_int_equal(in_money(in, "m", 0), 146050);
    assert_true(in_time(in, "t", 0) == INT64_C(1768465800123456));
    assert_int_equal(in_count(in, "j.a"), 2);
    assert_true(in_is_null(in, "nothing"));
    buf_free(&buf);
}

static void
session_is_set_up(void **state)
{
    (void)state;
    needs_database();
    assert_int_equal(db_run(&call, SETTINGS_OF_SESSION, &rows, ""), 0);
    assert_string_equal(rows_text(&rows, 0, "zone"), "UTC");
    assert_string_equal(rows_text(&rows, 0, "name"), "sx-test/3");
    assert_string_equal(rows_text(&rows, 0, "encoding"), "UTF8");
    assert_memory_equal(rows_text(&rows, 0, "style"), "ISO", 3);
}

static void
what_does_not_prepare_is_refused(void **state)
{
    static const char *const wrong[] = {"select 1 as one", "select nothing from nowhere", "select 2 as two"};

    (void)state;
    needs_database();
    assert_null(db_new(TEST_SERVICE, 0, wrong, 3));
    assert_null(db_new("sx-unknown", 0, wrong, 1));
}

/* ---- transactions --------------------------------------------------------------------------------------------- */

static void
put(int64_t id, const char *name)
{
    assert_int_equal(db_run(&call, THING_PUT, &rows, "ls", id, name), 0);
    assert_int_equal(rows.affected, 1);
}

static void
only_the_outermost_commit_counts(void **state)
{
    (void)state;
    needs_database();
    assert_int_equal(db_begin(&call), 0);
    assert_int_equal(db_begin(&call), 0);
    put(1, "a");
    assert_int_equal(db_commit(&call), 0);
    assert_true(db_in_transaction(db));
    assert_int_equal(things(), 0);
    assert_int_equal(db_commit(&call), 0);
    assert_false(db_in_transaction(db));
    assert_int_equal(things(), 1);
    assert_int_equal(db_begin(&call), 0);
    put(2, "b");
    db_rollback(db);
    assert_int_equal(things(), 1);
    assert_int_equal(db_begin(&call), 0); /* nothing in between */
    assert_int_equal(db_commit(&call), 0);
    next_request();
}

static void
posted_statements_travel_with_the_commit(void **state)
{
    (void)state;
    needs_database();
    assert_int_equal(db_begin(&call), 0);
    assert_int_equal(db_post(&call, THING_PUT, "ls", INT64_C(1), "a"), 0);
    assert_int_equal(db_post(&call, THING_PUT, "ls", INT64_C(2), "b"), 0);
    assert_int_equal(db_commit(&call), 0);
    assert_int_equal(things(), 2);
    assert_int_equal(db_begin(&call), 0);
    assert_int_equal(db_post(&call, THING_PUT, "ls", INT64_C(3), "c"), 0);
    assert_int_equal(db_post(&call, THING_PUT, "ls", INT64_C(1), "again"), 0);
    assert_failed(db_commit(&call), FAIL_INTERNAL_ERROR);
    next_request();
    assert_int_equal(things(), 2);
}

static void
a_try_can_go_wrong(void **state)
{
    (void)state;
    needs_database();
    put(1, "a");
    assert_int_equal(db_try(&call, THING_PUT, &rows, "ls", INT64_C(2), "a"), 0); /* outside a transaction */
    assert_string_equal(db_violated(&rows), "thing_name");
    assert_int_equal(db_begin(&call), 0);
    for (int64_t id = 2; id < 5; id++) {
        assert_int_equal(db_try(&call, THING_PUT, &rows, "ls", id, "a"), 0);
        assert_string_equal(db_violated(&rows), "thing_name");
        assert_int_equal(rows.count, 0);
        assert_int_equal(db_try(&call, THING_PUT, &rows, "ls", id, id == 2 ? "b" : NULL), 0);
        assert_null(db_violated(&rows));
        assert_int_equal(rows.affected, 1);
    }
    assert_int_equal(db_commit(&call), 0);
    assert_int_equal(things(), 4);
    assert_failed(db_run(&call, THING_PUT, &rows, "ls", INT64_C(9), "a"), FAIL_INTERNAL_ERROR); /* not asked for */
    next_request();
}

/* A statement whose first use stands behind a failure was never prepared, and is prepared with its next one. */
static void
a_first_use_that_was_passed_over_is_no_use(void **state)
{
    (void)state;
    needs_database();
    assert_int_equal(db_begin(&call), 0);
    assert_int_equal(db_send(&call, DIVIDE, "l", INT64_C(0)), 0);
    assert_int_equal(db_send(&call, THING_COUNT, ""), 0);
    assert_failed(db_collect(&call, &rows), FAIL_INTERNAL_ERROR);
    db_rollback(db);
    next_request();
    assert_int_equal(db_begin(&call), 0);
    put(1, "a");
    assert_int_equal(db_try(&call, THING_PUT, &rows, "ls", INT64_C(2), "a"), 0);
    assert_int_equal(db_run(&call, THING_LOCK, &rows, "l", INT64_C(1)), 0); /* first used behind the savepoint's end */
    assert_int_equal(db_run(&call, THING_COUNT, &rows, ""), 0);
    assert_int_equal(rows_int(&rows, 0, "n"), 1);
    assert_int_equal(db_commit(&call), 0);
}

static void
several_travel_together(void **state)
{
    (void)state;
    needs_database();
    for (unsigned round = 0; round < 2; round++) {
        if (round == 1)
            assert_int_equal(db_begin(&call), 0);
        assert_int_equal(db_send(&call, THING_COUNT, ""), 0);
        assert_int_equal(db_send(&call, THING_PUT, "ls", (int64_t)round, NULL), 0);
        assert_int_equal(db_send(&call, THING_COUNT, ""), 0);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(db_collect(&call, &rows), 0);
            if (i != 1)
                assert_int_equal(rows_int(&rows, 0, "n"), round + i / 2);
        }
    }
    assert_int_equal(db_commit(&call), 0);
    assert_int_equal(things(), 2);
    assert_int_equal(db_send(&call, THING_COUNT, ""), 0);
    assert_int_equal(db_send(&call, DIVIDE, "l", INT64_C(0)), 0);
    assert_int_equal(db_send(&call, THING_COUNT, ""), 0);
    assert_int_equal(db_collect(&call, &rows), 0);
    assert_failed(db_collect(&call, &rows), FAIL_INTERNAL_ERROR);
    next_request();
    assert_int_equal(db_send(&call, THING_COUNT, ""), 0); /* forgotten: the next request is not disturbed */
    next_request();
    assert_int_equal(db_run(&call, THING_COUNT, &rows, ""), 0);
    assert_int_equal(rows_int(&rows, 0, "n"), 2);
}

/* ---- errors of statements ------------------------------------------------------------------------------------ */

static void
errors_have_their_answers(void **state)
{
    int64_t pid;

    (void)state;
    needs_database();
    pid = backend_pid();
    for (unsigned inside = 0; inside < 2; inside++) {
        static const struct {
            const char *sqlstate;
            enum fail code;
            bool retry;
        } cases[] = {
            {"40001", FAIL_SERVICE_UNAVAILABLE, true},  {"40P01", FAIL_SERVICE_UNAVAILABLE, true},
            {"57014", FAIL_SERVICE_UNAVAILABLE, false}, {"55P03", FAIL_SERVICE_UNAVAILABLE, false},
            {"53300", FAIL_SERVICE_UNAVAILABLE, false}, {"22012", FAIL_INTERNAL_ERROR, false},
            {"23505", FAIL_INTERNAL_ERROR, false},      {"42501", FAIL_INTERNAL_ERROR, false},
        };

        for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
            if (inside)
                assert_int_equal(db_begin(&call), 0);
            assert_failed(db_run(&call, RAISE, &rows, "s", cases[i].sqlstate), cases[i].code);
            assert_int_equal(db_wants_retry(db), cases[i].retry);
            next_request();
        }
    }
    assert_int_equal(backend_pid(), pid); /* none of them cost the connection */
}

static void
slow_statements_are_cancelled_by_the_server(void **state)
{
    int64_t pid;

    (void)state;
    needs_database();
    pid = backend_pid();
    assert_failed(db_run(&call, SLEEP, &rows, "l", INT64_C(5000)), FAIL_SERVICE_UNAVAILABLE);
    next_request();
    assert_int_equal(backend_pid(), pid);
}

static void
locks_are_not_waited_for_long(void **state)
{
    PGconn *other;

    (void)state;
    needs_database();
    put(1, "a");
    other = admin_open();
    PQclear(PQexec(other, "begin; update sx_test.thing set name = 'b' where id = 1"));
    assert_int_equal(db_begin(&call), 0);
    assert_failed(db_run(&call, THING_LOCK, &rows, "l", INT64_C(1)), FAIL_SERVICE_UNAVAILABLE);
    PQfinish(other);
    next_request();
}

/* ---- losing the connection ------------------------------------------------------------------------------------ */

static void
a_stopped_backend_is_left_behind(void **state)
{
    int64_t started_ms, pid;

    (void)state;
    needs_database();
    for (unsigned inside = 0; inside < 2; inside++) {
        pid = backend_pid();
        if (kill((pid_t)pid, SIGSTOP) != 0)
            skip(); /* another user's process */
        started_ms = clock_monotonic_ms();
        if (inside)
            assert_int_equal(db_begin(&call), 0);
        assert_failed(db_run(&call, THING_COUNT, &rows, ""), FAIL_SERVICE_UNAVAILABLE);
        assert_in_range(clock_monotonic_ms() - started_ms, STATEMENT_WAIT_MS - 1, STATEMENT_WAIT_MS + 500);
        assert_false(db_is_connected(db));
        next_request();
        assert_int_not_equal(backend_pid(), pid);
        kill((pid_t)pid, SIGCONT);
    }
}

static void
the_deadline_is_kept(void **state)
{
    int64_t started_ms;

    (void)state;
    needs_database();
    started_ms = clock_monotonic_ms();
    call.deadline_ms = started_ms + 150;
    assert_failed(db_run(&call, SLEEP, &rows, "l", INT64_C(5000)), FAIL_GATEWAY_TIMEOUT);
    assert_in_range(clock_monotonic_ms() - started_ms, 149, 600);
    call.deadline_ms = 0;
    next_request();
    put(1, "a");
    call.deadline_ms = clock_monotonic_ms(); /* passed: nothing is even begun, and the connection stays */
    assert_failed(db_run(&call, THING_PUT, &rows, "ls", INT64_C(2), "b"), FAIL_GATEWAY_TIMEOUT);
    assert_true(db_is_connected(db));
    assert_int_equal(things(), 1);
}

static void
a_late_commit_is_not_sent(void **state)
{
    (void)state;
    needs_database();
    assert_int_equal(db_begin(&call), 0);
    put(1, "a");
    call.deadline_ms = clock_monotonic_ms();
    assert_failed(db_commit(&call), FAIL_GATEWAY_TIMEOUT);
    call.deadline_ms = 0;
    next_request();
    assert_int_equal(things(), 0);
}

static void
terminate(int64_t pid)
{
    char sql[64];

    snprintf(sql, sizeof sql, "select pg_terminate_backend(%lld, 5000)::int", (long long)pid);
    assert_int_equal(admin_sql(sql), 1);
}

static void
a_loss_in_a_transaction_means_nothing_happened(void **state)
{
    (void)state;
    needs_database();
    assert_int_equal(db_begin(&call), 0);
    put(1, "a");
    terminate(backend_pid());
    assert_failed(db_run(&call, THING_PUT, &rows, "ls", INT64_C(2), "b"), FAIL_SERVICE_UNAVAILABLE);
    assert_failed(db_run(&call, THING_COUNT, &rows, ""), FAIL_SERVICE_UNAVAILABLE); /* not on a new connection */
    assert_failed(db_commit(&call), FAIL_SERVICE_UNAVAILABLE);
    next_request();
    assert_int_equal(things(), 0);
}

/* PostgreSQL ends all its sessions after a crash of one; only then does it recover. */
static void
wait_for_end(PGconn *session)
{
    do {
        usleep(10000);
        PQclear(PQexec(session, "select 1"));
    } while (PQstatus(session) == CONNECTION_OK);
    PQfinish(session);
}

static void
a_killed_backend_is_survived(void **state)
{
    PGconn *bystander;

    (void)state;
    needs_database();
    bystander = admin_open();
    assert_int_equal(db_begin(&call), 0);
    put(1, "a");
    if (kill((pid_t)backend_pid(), SIGKILL) != 0)
        skip(); /* another user's process */
    assert_failed(db_run(&call, THING_COUNT, &rows, ""), FAIL_SERVICE_UNAVAILABLE);
    wait_for_end(bystander);
    next_request();
    assert_int_equal(things(), 0);
}

struct killer {
    int64_t pid;
    pthread_t thread;
};

static void *
kill_soon(void *argument)
{
    struct killer *self = argument;

    usleep(150000);
    terminate(self->pid);
    return NULL;
}

static void
a_loss_in_the_commit_has_an_unknown_outcome(void **state)
{
    struct killer killer;

    (void)state;
    needs_database();
    for (unsigned inside = 0; inside < 2; inside++) {
        int status = 0;

        killer.pid = backend_pid();
        assert_int_equal(pthread_create(&killer.thread, NULL, kill_soon, &killer), 0);
        if (inside) {
            assert_int_equal(db_begin(&call), 0);
            put(1, "a");
            assert_int_equal(db_run(&call, SLOW_COMMIT, &rows, "l", INT64_C(600)), 0);
            status = db_commit(&call);
        } else {
            status = db_run(&call, SLOW_COMMIT, &rows, "l", INT64_C(600)); /* its own commit */
        }
        pthread_join(killer.thread, NULL);
        assert_failed(status, FAIL_OUTCOME_UNKNOWN);
        next_request();
    }
}

static void
a_lost_read_is_merely_unavailable(void **state)
{
    struct killer killer;
    int status;

    (void)state;
    needs_database();
    killer.pid = backend_pid();
    assert_int_equal(pthread_create(&killer.thread, NULL, kill_soon, &killer), 0);
    status = db_run(&call, SLEEP, &rows, "l", INT64_C(600));
    pthread_join(killer.thread, NULL);
    assert_failed(status, FAIL_SERVICE_UNAVAILABLE);
    next_request();
}

static void
a_loss_while_idle_is_noticed(void **state)
{
    int64_t pid;

    (void)state;
    needs_database();
    pid = backend_pid();
    db_release(db);
    terminate(pid);
    usleep(20000);
    assert_int_equal(db_ensure(db), 0);
    assert_int_not_equal(backend_pid(), pid);
}

static void
faults_can_be_asked_for(void **state)
{
    (void)state;
    needs_database();
    config.fault = "db:3"; /* counted from here: no statement was counted while it was unset */
    assert_int_equal(db_begin(&call), 0);
    put(1, "a");
    put(2, "b");
    assert_failed(db_commit(&call), FAIL_SERVICE_UNAVAILABLE);
    next_request();
    assert_int_equal(things(), 0);
}

#define case_of(test) cmocka_unit_test_setup_teardown(test, start_call, end_call)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_are_text),
        case_of(values_come_back),
        case_of(rows_become_json),
        case_of(texts_of_all_lengths_become_json),
        case_of(rows_become_msgpack),
        case_of(session_is_set_up),
        case_of(what_does_not_prepare_is_refused),
        case_of(only_the_outermost_commit_counts),
        case_of(posted_statements_travel_with_the_commit),
        case_of(a_try_can_go_wrong),
        case_of(a_first_use_that_was_passed_over_is_no_use),
        case_of(several_travel_together),
        case_of(errors_have_their_answers),
        case_of(slow_statements_are_cancelled_by_the_server),
        case_of(locks_are_not_waited_for_long),
        case_of(a_stopped_backend_is_left_behind),
        case_of(the_deadline_is_kept),
        case_of(a_late_commit_is_not_sent),
        case_of(a_loss_in_a_transaction_means_nothing_happened),
        case_of(a_killed_backend_is_survived),
        case_of(a_loss_in_the_commit_has_an_unknown_outcome),
        case_of(a_lost_read_is_merely_unavailable),
        case_of(a_loss_while_idle_is_noticed),
        case_of(faults_can_be_asked_for),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}

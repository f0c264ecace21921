/* What the worker does with requests that come together (x-batch), against a real PostgreSQL: one transaction, an
 * answer for each, kept answers under Idempotency-Keys, runs again. */
#include "database.h"

#include "bounds.h"
#include "clock.h"
#include "serve.h"

#define BUDGET_MS 1000
#define FROM      "ipc://nobody"
#define OPERATION "sx-test.things.put_all"

enum statement { THING_PUT, RAISE, STATEMENT_COUNT };

static const char *const statements[STATEMENT_COUNT] = {
    [THING_PUT] = "insert into thing (id) values ($1) returning id",
    [RAISE] = "select raise($1) is null as raised",
};

static const char schema_sql[] = "create table thing (id bigint primary key);\n"
                                 "create function raise(code text) returns void language plpgsql as "
                                 "$$ begin raise exception using errcode = code, message = 'asked for'; end $$;\n";

/* How often the handler ran, and what is raised at the first `failures` runs. */
static struct {
    const char *sqlstate;
    unsigned failures, runs;
} plan;

/* A body is the thing to put, or what becomes of it: 0 is refused by itself, below that fails all. */
static int
things_put_all(struct call_batch *batch)
{
    bool fails = plan.runs++ < plan.failures;
    struct call *call = batch->call;
    struct rows rows;
    int rc = 0;

    for (unsigned i = 0; i < batch->count; i++) {
        struct call *member = batch->members[i];
        int64_t id = in_int(member->in, "body", 0);

        if (id == 0) {
            rc |= call_fail(member, FAIL_NOT_FOUND, "body", "no such thing") != -1;
            continue;
        }
        if (id < 0)
            return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
        if (db_run(call, THING_PUT, &rows, "l", id))
            return -1;
        call_header(member, "X-Run", arena_printf(member->arena, "%u", plan.runs));
        call_data(member);
        out_int(&member->out, id);
        rc |= call_reply(member, 201);
    }
    return fails ? db_run(call, RAISE, &rows, "s", plan.sqlstate) : rc;
}

static const struct schema any = {.type = SCHEMA_ANY};
static const struct operation put_all = {
    .name = OPERATION, .audience = AUDIENCE_APP, .path = "/things", .idempotent = true, .batch = true, .body = &any};
static const struct handler handlers[] = {{.operation = &put_all, .run_batch = things_put_all}};

static const struct service service = {
    .name = TEST_SERVICE,
    .handlers = handlers,
    .handler_count = ARRAY_COUNT(handlers),
    .statements = statements,
    .statement_count = STATEMENT_COUNT,
};

static void *context;
static struct gateways *known;
static struct peers *peers;
static struct db *db;
static struct server *server;
static struct arena *arena;
static struct served served;
static struct in value; /* of the last answer */

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

static int
start(void **state)
{
    (void)state;
    if (!config.database_url)
        return 0;
    config.home = "/nonexistent";
    admin_sql("truncate sx_test.thing, sx_test.idempotency");
    memset(&plan, 0, sizeof plan);
    context = zmq_ctx_new();
    known = gateways_new(context, TEST_SERVICE);
    peers = peers_new(known);
    db = db_new(TEST_SERVICE, 1, statements, STATEMENT_COUNT);
    server = server_new(&service, db, peers);
    arena = arena_new(4096);
    buf_init(&served.headers, 4096);
    return db ? 0 : -1;
}

static int
end(void **state)
{
    (void)state;
    if (!config.database_url)
        return 0;
    server_destroy(&server);
    db_destroy(&db);
    peers_destroy(&peers);
    gateways_destroy(&known);
    zmq_ctx_term(context);
    arena_destroy(&arena);
    buf_free(&served.headers);
    return 0;
}

static void
fill_frame(zmq_msg_t *frame, const void *data, size_t size)
{
    zmq_msg_init_size(frame, size);
    if (size)
        memcpy(zmq_msg_data(frame), data, size);
}

static int64_t
things(void)
{
    return admin_sql("select count(*) from sx_test.thing");
}

struct want {
    const char *key;
    int64_t body;
    uint8_t flags;
    int32_t budget_ms; /* 0: BUDGET_MS */
    int64_t store_id;  /* 0: 1 */
};

struct got {
    int status;
    const char *code, *replayed;
    int64_t data;
};

static void
pack_want(struct buf *packed, const struct want *want)
{
    struct out map;

    buf_init(packed, 1024);
    out_init(&map, packed, OUT_MSGPACK);
    out_map(&map, 3);
    out_key(&map, "caller");
    out_map(&map, 3);
    out_key_int(&map, "audience", AUDIENCE_APP);
    out_key_int(&map, "store_id", want->store_id ? want->store_id : 1);
    out_key_int(&map, "app_id", 1);
    out_key_text(&map, "key", want->key);
    out_key_int(&map, "body", want->body);
}

static void
write_want(struct out *out, const struct want *want)
{
    struct buf packed;

    pack_want(&packed, want);
    out_list(out, 3);
    out_int(out, want->flags);
    out_int(out, want->budget_ms ? want->budget_ms : BUDGET_MS);
    out_binary(out, packed.data, packed.size);
    buf_free(&packed);
}

static void
read_got(struct in each, struct got *got)
{
    struct str headers = in_str(in_item(each, 2), ""), body = in_str(in_item(each, 3), "");
    struct in map;

    *got = (struct got){.status = (int)in_int(in_item(each, 0), "", 0)};
    if (headers.len > 0) {
        assert_int_equal(in_decode(&map, arena, headers.base, headers.len), 0);
        got->replayed = in_text(map, "Idempotent-Replayed");
    }
    assert_int_equal(in_decode(&map, arena, body.base, body.len), 0);
    got->data = in_int(map, "data", 0);
    got->code = in_text(map, "code");
    assert_int_equal(in_int(in_item(each, 1), "", 0), got->code ? WIRE_FLAG_ERROR : 0);
}

/* As an ordinary REQUEST; the status. */
static int
serve_alone(const struct want *want)
{
    struct peer_message request = {.wire = {.type = WIRE_REQUEST, .id = 7, .budget_ms = BUDGET_MS}};
    struct buf packed;

    pack_want(&packed, want);
    fill_frame(&request.name, OPERATION, strlen(OPERATION));
    fill_frame(&request.body, packed.data, packed.size);
    serve_request(server, FROM, &request, clock_monotonic_ms(), &served);
    assert_int_equal(served.wire.flags & WIRE_FLAG_BATCH, 0);
    zmq_msg_close(&served.body);
    peer_message_close(&request);
    buf_free(&packed);
    return served.wire.status;
}

static void
serve_all(const struct want *wants, unsigned count, struct got *got)
{
    struct peer_message request = {.wire = {.type = WIRE_REQUEST, .flags = WIRE_FLAG_BATCH, .id = 7}};
    struct buf packed;
    struct out out;

    buf_init(&packed, 65536);
    out_init(&out, &packed, OUT_MSGPACK);
    out_list(&out, count);
    for (unsigned i = 0; i < count; i++)
        write_want(&out, &wants[i]);
    fill_frame(&request.name, OPERATION, strlen(OPERATION));
    fill_frame(&request.body, packed.data, packed.size);
    serve_request(server, FROM, &request, clock_monotonic_ms(), &served);
    assert_int_equal(served.wire.id, 7);
    assert_int_equal(served.wire.flags, WIRE_FLAG_BATCH);
    if (in_decode(&value, arena, arena_strndup(arena, zmq_msg_data(&served.body), zmq_msg_size(&served.body)),
                  zmq_msg_size(&served.body)) != 0)
        fail_msg("the answers cannot be read");
    assert_int_equal(in_count(value, ""), count);
    for (unsigned i = 0; i < count; i++)
        read_got(in_item(value, i), &got[i]);
    zmq_msg_close(&served.body);
    peer_message_close(&request);
    buf_free(&packed);
}

static void
a_batch_is_one_transaction_and_each_is_answered_by_itself(void **state)
{
    const struct want wants[] = {{.body = 1}, {.key = "b-1", .body = 0}, {.key = "b-2", .body = 2}, {.body = 3}};
    struct got got[ARRAY_COUNT(wants)];

    (void)state;
    needs_database();
    serve_all(wants, ARRAY_COUNT(wants), got);
    assert_int_equal(plan.runs, 1);
    assert_int_equal(got[0].data, 1);
    assert_int_equal(got[1].status, 404);
    assert_string_equal(got[1].code, "not_found");
    assert_int_equal(got[2].data, 2);
    assert_int_equal(got[3].status, 201);
    assert_int_equal(things(), 3);
    assert_int_equal(admin_sql("select count(distinct xmin::text) from sx_test.thing"), 1);
    assert_int_equal(admin_sql("select count(*) from sx_test.idempotency"), 1); /* the 2xx with a key alone */
}

static void
kept_answers_are_told_in_a_batch_too(void **state)
{
    const struct want wants[] = {{.key = "c-1", .body = 1}, {.key = "c-2", .body = 2}, {.key = "c-1", .body = 9}};
    struct got got[ARRAY_COUNT(wants)];

    (void)state;
    needs_database();
    assert_int_equal(serve_alone(&wants[0]), 201);
    serve_all(wants, ARRAY_COUNT(wants), got);
    assert_string_equal(got[0].replayed, "true");
    assert_int_equal(got[0].data, 1);
    assert_null(got[1].replayed);
    assert_string_equal(got[2].code, "idempotency_conflict");
    assert_int_equal(serve_alone(&wants[1]), 201);
    assert_int_equal(plan.runs, 2);
    assert_int_equal(things(), 2);
    admin_sql("update sx_test.idempotency set created_at = created_at - interval '25 hours'");
    admin_sql("truncate sx_test.thing");
    serve_all(wants, 2, got);
    assert_null(got[0].replayed);
    assert_int_equal(things(), 2);
}

/* The second one is asked when the first one's answer is there. */
static void
a_key_that_stands_twice_in_a_batch(void **state)
{
    const struct want wants[] = {{.key = "d-1", .body = 1}, {.key = "d-1", .body = 1}, {.key = "d-1", .body = 2},
                                 {.key = "d-2", .body = 0}, {.key = "d-2", .body = 5}, {.key = "d-1", .body = 1}};
    struct got got[ARRAY_COUNT(wants)];

    (void)state;
    needs_database();
    serve_all(wants, ARRAY_COUNT(wants), got);
    assert_int_equal(got[0].status, 201);
    assert_null(got[0].replayed);
    assert_string_equal(got[1].replayed, "true");
    assert_string_equal(got[2].code, "idempotency_conflict");
    assert_int_equal(got[3].status, 404);
    assert_int_equal(got[4].data, 5); /* nothing was kept of the one before it */
    assert_string_equal(got[5].replayed, "true");
    assert_int_equal(things(), 2);
    assert_int_equal(plan.runs, 2);
}

static void
a_batch_that_fails_fails_whole(void **state)
{
    const struct want wants[] = {{.key = "e-1", .body = 1}, {.body = -1}, {.body = 0}};
    struct got got[ARRAY_COUNT(wants)];

    (void)state;
    needs_database();
    serve_all(wants, ARRAY_COUNT(wants), got);
    for (unsigned i = 0; i < ARRAY_COUNT(wants); i++)
        assert_int_equal(got[i].status, 503);
    assert_int_equal(things(), 0);
    assert_int_equal(admin_sql("select count(*) from sx_test.idempotency"), 0);
    serve_all(wants, 1, got);
    assert_int_equal(got[0].status, 201);
}

static void
a_batch_is_run_again_after_a_serialization_failure(void **state)
{
    const struct want wants[] = {{.key = "f-1", .body = 1}, {.key = "f-1", .body = 1}, {.body = 0}, {.body = 3}};
    struct got got[ARRAY_COUNT(wants)];

    (void)state;
    needs_database();
    plan.sqlstate = "40001";
    plan.failures = TRANSACTION_TRIES_MAX - 1;
    serve_all(wants, ARRAY_COUNT(wants), got);
    assert_int_equal(plan.runs, TRANSACTION_TRIES_MAX);
    assert_int_equal(got[0].status, 201);
    assert_string_equal(got[1].replayed, "true");
    assert_int_equal(got[2].status, 404);
    assert_int_equal(got[3].status, 201);
    assert_int_equal(things(), 2);
}

static void
each_of_a_batch_is_read_by_itself(void **state)
{
    const struct want wants[] = {
        {.body = 1}, {.body = 2, .budget_ms = -5}, {.body = 3, .store_id = 2}, {.key = "g-1", .body = 4, .flags = 2}};
    struct got got[ARRAY_COUNT(wants)];

    (void)state;
    needs_database();
    serve_all(wants, ARRAY_COUNT(wants), got);
    assert_int_equal(got[0].status, 201);
    assert_int_equal(got[1].status, 504); /* its time is up, and it is not done */
    assert_int_equal(got[2].status, 400); /* nobody else's store */
    assert_int_equal(got[3].status, 201); /* a second attempt */
    assert_int_equal(things(), 2);
}

static void
a_list_that_is_none_is_one_error(void **state)
{
    struct peer_message request = {
        .wire = {.type = WIRE_REQUEST, .flags = WIRE_FLAG_BATCH, .id = 7, .budget_ms = BUDGET_MS}};
    static const char *const frames[] = {"", "\x80", "\x90", "\x07", "\xdc\xff\xff"};

    (void)state;
    needs_database();
    for (unsigned i = 0; i < ARRAY_COUNT(frames); i++) {
        fill_frame(&request.name, OPERATION, strlen(OPERATION));
        fill_frame(&request.body, frames[i], strlen(frames[i]));
        serve_request(server, FROM, &request, clock_monotonic_ms(), &served);
        assert_int_equal(served.wire.status, 400);
        assert_int_equal(served.wire.flags, WIRE_FLAG_ERROR);
        zmq_msg_close(&served.body);
        peer_message_close(&request);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_one_transaction_and_each_is_answered_by_itself),
        TEST(kept_answers_are_told_in_a_batch_too),
        TEST(a_key_that_stands_twice_in_a_batch),
        TEST(a_batch_that_fails_fails_whole),
        TEST(a_batch_is_run_again_after_a_serialization_failure),
        TEST(each_of_a_batch_is_read_by_itself),
        TEST(a_list_that_is_none_is_one_error),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}

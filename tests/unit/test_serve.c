/* What the worker does around a handler, against a real PostgreSQL and a gateway of the test's own: runs it again after
 * a serialization failure, keeps and replays answers under Idempotency-Keys, sealed ones too, claims those of
 * developers before it runs, and lends it call_service and call_ask_all. */
#include "database.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"
#include "master_key.h"
#include "secret.h"
#include "serve.h"

#define SECRET    "sx_at_no_one_may_read_this"
#define BUDGET_MS 1000
#define ROUNDS    8

/* ---- the service ---- */

enum statement { THING_PUT, RAISE, STATEMENT_COUNT };

static const char *const statements[STATEMENT_COUNT] = {
    [THING_PUT] = "insert into thing (id) values ($1) returning id",
    [RAISE] = "select raise($1) is null as raised",
};

static const char schema_sql[] = "create table thing (id bigint primary key);\n"
                                 "create function raise(code text) returns void language plpgsql as "
                                 "$$ begin raise exception using errcode = code, message = 'asked for'; end $$;\n";

/* What a handler of the test does at each of its runs, and how often it ran. */
static struct {
    const char *sqlstate; /* raised at the first `failures` runs */
    unsigned failures;
    bool commits_first;
    unsigned runs;
} plan;

static int
things_put(struct call *call)
{
    bool fails = plan.runs++ < plan.failures;
    struct rows rows;

    if (plan.commits_first &&
        (db_begin(call) || db_post(call, THING_PUT, "l", (int64_t)100 + plan.runs) || db_commit(call)))
        return -1;
    if (db_begin(call) || db_run(call, THING_PUT, &rows, "l", (int64_t)plan.runs))
        return -1;
    if (fails && db_run(call, RAISE, &rows, "s", plan.sqlstate))
        return -1;
    if (db_commit(call))
        return -1;
    call_header(call, "X-Run", arena_printf(call->arena, "%u", plan.runs));
    call_data(call);
    out_int(&call->out, (int64_t)plan.runs);
    return call_reply(call, 201);
}

/* A statement outside a transaction is committed by itself. */
static int
things_put_singly(struct call *call)
{
    struct rows rows;

    plan.runs++;
    if (db_run(call, THING_PUT, &rows, "l", (int64_t)plan.runs) || db_run(call, RAISE, &rows, "s", plan.sqlstate))
        return -1;
    call_data(call);
    out_null(&call->out);
    return call_reply(call, 200);
}

static int
secrets_make(struct call *call)
{
    plan.runs++;
    call_seal(call);
    call_data(call);
    out_text(&call->out, SECRET);
    return call_reply(call, 201);
}

static int
others_ask(struct call *call)
{
    struct buf arguments;
    struct out out;
    struct in reply;
    int rc;

    buf_init(&arguments, 1024);
    out_init(&out, &arguments, OUT_MSGPACK);
    out_map(&out, 1);
    out_key(&out, "body");
    out_int(&out, 7);
    rc = call_service(call, "other.things.get", &arguments, &reply);
    buf_free(&arguments);
    if (rc != 0)
        return -1;
    call_data(call);
    out_text(&call->out, in_text(reply, "text"));
    return call_reply(call, 200);
}

static int
others_ask_wrongly(struct call *call)
{
    struct buf arguments;
    struct in reply;
    int rc;

    buf_init(&arguments, 16);
    buf_append_byte(&arguments, '\x07'); /* no map */
    rc = call_service(call, "other.things.get", &arguments, &reply);
    buf_free(&arguments);
    return rc == 0 ? call_reply(call, 200) : -1;
}

/* Answers a list: for each that was asked its text, or the code of its failure. */
static int
others_ask_all(struct call *call)
{
    struct call_asked asked[] = {{.operation = "other.things.get"}, {.operation = "other.things.find"}};

    for (unsigned i = 0; i < ARRAY_COUNT(asked); i++)
        out_key_int(call_question(&asked[i].question, 1), "n", i);
    call_ask_all(call, asked, ARRAY_COUNT(asked), 100);
    assert_false(call_failed(call));
    call_data(call);
    out_list(&call->out, ARRAY_COUNT(asked));
    for (unsigned i = 0; i < ARRAY_COUNT(asked); i++)
        out_text(&call->out,
                 asked[i].answered ? in_text(asked[i].reply, "text") : fail_texts[asked[i].failure.code].code);
    return call_reply(call, 200);
}

static const struct schema any = {.type = SCHEMA_ANY};
static const struct operation ask = {.name = "sx-test.others.ask", .audience = AUDIENCE_INTERNAL};
static const struct operation ask_all = {.name = "sx-test.others.ask_all", .audience = AUDIENCE_INTERNAL};
static const struct operation ask_once = {
    .name = "sx-test.others.ask_once", .audience = AUDIENCE_DEVELOPER, .idempotent = true, .body = &any};
static const struct operation ask_wrongly = {.name = "sx-test.others.ask_wrongly", .audience = AUDIENCE_INTERNAL};
static const struct operation make_secret = {
    .name = "sx-test.secrets.make", .audience = AUDIENCE_INTERNAL, .idempotent = true, .body = &any};
static const struct operation put = {
    .name = "sx-test.things.put", .audience = AUDIENCE_INTERNAL, .idempotent = true, .body = &any};
static const struct operation put_once = {
    .name = "sx-test.things.put_once", .audience = AUDIENCE_DEVELOPER, .idempotent = true, .body = &any};
static const struct operation put_singly = {.name = "sx-test.things.put_singly", .audience = AUDIENCE_INTERNAL};

static const struct handler handlers[] = {
    {.operation = &ask, .run = others_ask},           {.operation = &ask_all, .run = others_ask_all},
    {.operation = &ask_once, .run = others_ask},      {.operation = &ask_wrongly, .run = others_ask_wrongly},
    {.operation = &make_secret, .run = secrets_make}, {.operation = &put, .run = things_put},
    {.operation = &put_once, .run = things_put},      {.operation = &put_singly, .run = things_put_singly},
};

static const struct service service = {
    .name = TEST_SERVICE,
    .handlers = handlers,
    .handler_count = ARRAY_COUNT(handlers),
    .statements = statements,
    .statement_count = STATEMENT_COUNT,
};

/* ---- the gateway: answers whatever is asked of service "other" ---- */

enum manner { ANSWERS, REFUSES, REFUSES_STRANGELY, BABBLES, IS_SILENT, DIES };

static struct {
    pthread_t thread;
    atomic_bool stop, bound;
    _Atomic enum manner manner;
    struct wire asked; /* header of the last request; read after its answer */
    char endpoint[128];
} gateway;

static void *context;

static void
write_answer(struct buf *body)
{
    struct out out;

    out_init(&out, body, OUT_MSGPACK);
    if (gateway.manner == BABBLES) {
        buf_append_byte(body, '\xc1'); /* what msgpack never uses */
    } else if (gateway.manner == ANSWERS) {
        out_map(&out, 1);
        out_key(&out, "text");
        out_text(&out, "an answer");
    } else {
        out_map(&out, 3);
        out_key(&out, "code");
        out_text(&out, gateway.manner == REFUSES ? "not_found" : "no_code_of_ours");
        out_key(&out, "status");
        out_int(&out, 404);
        out_key(&out, "message");
        out_text(&out, "There is no such thing");
    }
}

static void
answer(void *router)
{
    struct wire reply = {.type = WIRE_REPLY, .status = 200};
    uint8_t header[WIRE_SIZE];
    zmq_msg_t frames[4];
    struct wire wire;
    struct buf body;

    for (unsigned i = 0; i < ARRAY_COUNT(frames); i++) {
        zmq_msg_init(&frames[i]);
        zmq_msg_recv(&frames[i], router, 0);
    }
    assert_int_equal(wire_decode(&wire, zmq_msg_data(&frames[1]), zmq_msg_size(&frames[1])), 0);
    gateway.asked = wire;
    if (gateway.manner == DIES)
        atomic_store(&gateway.stop, true);
    if (gateway.manner == REFUSES || gateway.manner == REFUSES_STRANGELY)
        reply.status = 404, reply.flags = WIRE_FLAG_ERROR;
    reply.id = wire.id;
    wire_encode(&reply, header);
    buf_init(&body, 1024);
    write_answer(&body);
    if (gateway.manner != DIES && gateway.manner != IS_SILENT) {
        zmq_send(router, zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]), ZMQ_SNDMORE);
        zmq_send(router, header, sizeof header, ZMQ_SNDMORE);
        zmq_send(router, "", 0, ZMQ_SNDMORE);
        zmq_send(router, body.data, body.size, 0);
    }
    buf_free(&body);
    for (unsigned i = 0; i < ARRAY_COUNT(frames); i++)
        zmq_msg_close(&frames[i]);
}

static void *
gateway_run(void *nothing)
{
    void *router = zmq_socket(context, ZMQ_ROUTER);
    const int none = 0;

    zmq_setsockopt(router, ZMQ_LINGER, &none, sizeof none);
    assert_int_equal(zmq_bind(router, gateway.endpoint), 0);
    atomic_store(&gateway.bound, true);
    while (!atomic_load(&gateway.stop)) {
        zmq_pollitem_t item = {.socket = router, .events = ZMQ_POLLIN};

        if (zmq_poll(&item, 1, 10) > 0)
            answer(router);
    }
    zmq_close(router);
    return nothing;
}

/* ---- around each test ---- */

static char home[] = "/tmp/sx-serve-XXXXXX";
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
    static const char key[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    struct migration migrations[] = {shared_migration(), {"001_test.sql", schema_sql}};
    char path[64];
    PGconn *owner;
    FILE *file;
    int status;

    if (database_setup(state) != 0 || !config.database_url)
        return 0;
    config.home = mkdtemp(home);
    snprintf(path, sizeof path, "%s/run", home);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/key", home);
    file = fopen(path, "w");
    fputs(key, file);
    fclose(file);
    master_load(path);
    unlink(path);
    owner = db_connect(TEST_SERVICE, true);
    status = owner ? migrate_run(owner, TEST_SCHEMA, migrations, 2) : -1;
    PQfinish(owner);
    return status;
}

static int
teardown(void **state)
{
    char path[64];

    (void)state;
    snprintf(path, sizeof path, "%s/run", home);
    rmdir(path);
    rmdir(home);
    return 0;
}

static int
start(void **state)
{
    (void)state;
    if (!config.database_url)
        return 0;
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

static void
gateway_stop(void)
{
    if (!atomic_load(&gateway.bound))
        return;
    atomic_store(&gateway.stop, true);
    pthread_join(gateway.thread, NULL);
    atomic_store(&gateway.bound, false);
    unlink(gateway.endpoint + strlen("ipc://"));
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
    gateway_stop();
    zmq_ctx_term(context);
    arena_destroy(&arena);
    buf_free(&served.headers);
    return 0;
}

static void
gateway_start(enum manner manner)
{
    gateway.manner = manner;
    atomic_store(&gateway.stop, false);
    snprintf(gateway.endpoint, sizeof gateway.endpoint, "ipc://%s/run/gateway-1.ipc", home);
    pthread_create(&gateway.thread, NULL, gateway_run, NULL);
    while (!atomic_load(&gateway.bound))
        usleep(1000);
    gateways_refresh(known);
    peers_sync(peers);
    while (!peers_live(peers))
        usleep(1000);
}

static void
fill_frame(zmq_msg_t *frame, const void *data, size_t size)
{
    zmq_msg_init_size(frame, size);
    if (size)
        memcpy(zmq_msg_data(frame), data, size);
}

/* Serves one request of store and app 1; the status, with the answer's value in `value`. */
static int
serve(const char *operation, const char *key, int64_t body, uint8_t flags, uint32_t budget_ms)
{
    struct peer_message request = {.wire = {.type = WIRE_REQUEST, .flags = flags, .id = 7, .budget_ms = budget_ms}};
    struct buf packed;
    struct out out;
    int status;

    buf_init(&packed, 1024);
    out_init(&out, &packed, OUT_MSGPACK);
    out_map(&out, 4);
    out_key(&out, "request_id");
    out_text(&out, "r-1");
    out_key(&out, "caller");
    out_map(&out, 3);
    out_key(&out, "audience");
    out_int(&out, AUDIENCE_APP);
    out_key(&out, "store_id");
    out_int(&out, 1);
    out_key(&out, "app_id");
    out_int(&out, 1);
    out_key(&out, "key");
    out_text(&out, key);
    out_key(&out, "body");
    out_int(&out, body);
    fill_frame(&request.name, operation, strlen(operation));
    fill_frame(&request.body, packed.data, packed.size);
    serve_request(server, gateway.endpoint, &request, clock_monotonic_ms(), &served);
    assert_int_equal(served.wire.id, 7);
    status = served.wire.status;
    if (in_decode(&value, arena, arena_strndup(arena, zmq_msg_data(&served.body), zmq_msg_size(&served.body)),
                  zmq_msg_size(&served.body)) != 0)
        fail_msg("the answer cannot be read");
    zmq_msg_close(&served.body);
    peer_message_close(&request);
    buf_free(&packed);
    return status;
}

static int
serve_plainly(const char *operation)
{
    return serve(operation, NULL, 0, 0, BUDGET_MS);
}

static const char *
header(const char *name)
{
    struct in map;

    if (served.headers.size == 0)
        return NULL;
    if (in_decode(&map, arena, arena_strndup(arena, served.headers.data, served.headers.size), served.headers.size) !=
        0)
        return NULL;
    return in_text(map, name);
}

static int64_t
things(void)
{
    return admin_sql("select count(*) from sx_test.thing");
}

/* ---- runs of a handler ---- */

static void
a_handler_is_run_again_after_a_serialization_failure(void **state)
{
    static const char *const sqlstates[] = {"40001", "40P01"};

    (void)state;
    needs_database();
    for (unsigned i = 0; i < ARRAY_COUNT(sqlstates); i++) {
        admin_sql("truncate sx_test.thing");
        memset(&plan, 0, sizeof plan);
        plan.sqlstate = sqlstates[i];
        plan.failures = TRANSACTION_TRIES_MAX - 1;
        assert_int_equal(serve_plainly("sx-test.things.put"), 201);
        assert_int_equal(plan.runs, TRANSACTION_TRIES_MAX);
        assert_int_equal(in_int(value, "", 0), TRANSACTION_TRIES_MAX);
        assert_string_equal(header("X-Run"), "3"); /* of the last run alone */
        assert_int_equal(things(), 1);
    }
}

static void
it_is_run_no_more_than_so_often(void **state)
{
    (void)state;
    needs_database();
    plan.sqlstate = "40001";
    plan.failures = 100;
    assert_int_equal(serve_plainly("sx-test.things.put"), 503);
    assert_int_equal(plan.runs, TRANSACTION_TRIES_MAX);
    assert_int_equal(things(), 0);
}

static void
other_failures_end_it(void **state)
{
    (void)state;
    needs_database();
    plan.sqlstate = "22012";
    plan.failures = 1;
    assert_int_equal(serve_plainly("sx-test.things.put"), 500);
    assert_int_equal(plan.runs, 1);
    assert_int_equal(serve_plainly("sx-test.things.put"), 201); /* the connection is as good as before */
}

static void
it_is_not_run_again_once_something_is_committed(void **state)
{
    (void)state;
    needs_database();
    plan.sqlstate = "40001";
    plan.failures = 1;
    plan.commits_first = true;
    assert_int_equal(serve_plainly("sx-test.things.put"), 503);
    assert_int_equal(plan.runs, 1);
    assert_int_equal(things(), 1);
    assert_int_equal(serve_plainly("sx-test.things.put_singly"), 503);
    assert_int_equal(plan.runs, 2);
    assert_int_equal(things(), 2);
    plan.commits_first = false; /* and the next call is a new one */
    plan.runs = 10;
    plan.failures = 11;
    assert_int_equal(serve_plainly("sx-test.things.put"), 201);
    assert_int_equal(plan.runs, 12);
}

static void
a_keyed_handler_is_run_again_under_its_lock(void **state)
{
    (void)state;
    needs_database();
    plan.sqlstate = "40P01";
    plan.failures = 1;
    assert_int_equal(serve("sx-test.things.put", "k-1", 5, 0, BUDGET_MS), 201);
    assert_int_equal(plan.runs, 2);
    assert_int_equal(serve("sx-test.things.put", "k-1", 5, WIRE_FLAG_AGAIN, BUDGET_MS), 201);
    assert_int_equal(plan.runs, 2);
    assert_int_equal(in_int(value, "", 0), 2);
    assert_string_equal(header("X-Run"), "2");
    assert_string_equal(header("Idempotent-Replayed"), "true");
    assert_int_equal(things(), 1);
}

/* ---- sealed answers ---- */

static void
a_sealed_answer_is_replayed_and_cannot_be_read(void **state)
{
    (void)state;
    needs_database();
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_int_equal(serve("sx-test.secrets.make", "k-2", 5, 0, BUDGET_MS), 201);
        assert_string_equal(in_text(value, ""), SECRET);
    }
    assert_int_equal(plan.runs, 1);
    assert_int_equal(admin_sql("select count(*) from sx_test.idempotency where sealed"), 1);
    assert_int_equal(
        admin_sql("select count(*) from sx_test.idempotency where position('" SECRET "'::bytea in body) > 0"), 0);
    assert_int_equal(serve("sx-test.things.put", "k-3", 5, 0, BUDGET_MS), 201);
    assert_int_equal(admin_sql("select count(*) from sx_test.idempotency where not sealed"), 1);
}

static void
a_sealed_answer_opens_in_its_own_row_only(void **state)
{
    (void)state;
    needs_database();
    assert_int_equal(serve("sx-test.secrets.make", "k-4", 5, 0, BUDGET_MS), 201);
    admin_sql("update sx_test.idempotency set key = 'k-5'");
    assert_int_equal(serve("sx-test.secrets.make", "k-5", 5, 0, BUDGET_MS), 500);
    assert_int_equal(serve("sx-test.secrets.make", "k-5", 6, 0, BUDGET_MS), 409);
    assert_int_equal(plan.runs, 1);
}

/* ---- calls to services below ---- */

static void
a_service_below_is_asked(void **state)
{
    (void)state;
    needs_database();
    gateway_start(ANSWERS);
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_int_equal(serve_plainly("sx-test.others.ask"), 200);
        assert_string_equal(in_text(value, ""), "an answer");
    }
    assert_int_equal(gateway.asked.flags, WIRE_FLAG_NESTED);
    assert_in_range(gateway.asked.budget_ms, BUDGET_MS / 2, BUDGET_MS - NESTED_BUDGET_MARGIN_MS);
}

static void
its_error_is_passed_on(void **state)
{
    (void)state;
    needs_database();
    gateway_start(REFUSES);
    assert_int_equal(serve_plainly("sx-test.others.ask"), 404);
    assert_int_equal(served.wire.flags, WIRE_FLAG_ERROR);
    assert_string_equal(in_text(value, "code"), "not_found");
    assert_string_equal(in_text(value, "message"), "There is no such thing");
}

static void
what_cannot_be_understood_is_an_error_of_ours(void **state)
{
    (void)state;
    needs_database();
    gateway_start(REFUSES_STRANGELY);
    assert_int_equal(serve_plainly("sx-test.others.ask"), 500);
    assert_string_equal(in_text(value, "code"), "internal_error");
    assert_int_equal(serve_plainly("sx-test.others.ask_wrongly"), 500);
    gateway.manner = BABBLES;
    assert_int_equal(serve_plainly("sx-test.others.ask"), 500);
}

static void
no_answer_in_time_is_a_timeout(void **state)
{
    int64_t started_ms;

    (void)state;
    needs_database();
    gateway_start(IS_SILENT);
    started_ms = clock_monotonic_ms();
    assert_int_equal(serve("sx-test.others.ask", NULL, 0, 0, 300), 504);
    assert_in_range(clock_monotonic_ms() - started_ms, 200, 800);
    assert_int_equal(serve("sx-test.others.ask", NULL, 0, 0, NESTED_BUDGET_MARGIN_MS - 10), 504);
}

static void
a_gateway_lost_meanwhile_leaves_the_outcome_open(void **state)
{
    (void)state;
    needs_database();
    gateway_start(DIES);
    assert_int_equal(serve_plainly("sx-test.others.ask"), 502);
    assert_string_equal(in_text(value, "code"), "outcome_unknown");
}

static void
without_a_gateway_nothing_has_happened(void **state)
{
    (void)state;
    needs_database();
    assert_int_equal(serve("sx-test.others.ask", NULL, 0, 0, 200), 503);
    assert_string_equal(in_text(value, "code"), "service_unavailable");
}

/* What comes of them is told of each, and the call has not failed, whatever that is. */
static void
several_are_asked_at_once(void **state)
{
    static const struct {
        enum manner manner;
        const char *each;
    } cases[] = {
        {ANSWERS, "an answer"}, {REFUSES, "not_found"}, {BABBLES, "internal_error"}, {IS_SILENT, "gateway_timeout"}};

    (void)state;
    needs_database();
    gateway_start(ANSWERS);
    for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
        gateway.manner = cases[i].manner;
        assert_int_equal(serve("sx-test.others.ask_all", NULL, 0, 0, 500), 200);
        for (unsigned n = 0; n < 2; n++)
            assert_string_equal(in_text(in_item(value, n), ""), cases[i].each);
    }
    assert_int_equal(serve("sx-test.others.ask_all", NULL, 0, 0, 90), 200); /* no time but what is to be spared */
    assert_string_equal(in_text(in_item(value, 0), ""), "gateway_timeout");
}

/* ---- keys that are claimed ---- */

static int
ask_once_under(const char *key, int64_t body, uint8_t flags)
{
    return serve("sx-test.others.ask_once", key, body, flags, gateway.manner == IS_SILENT ? 200 : BUDGET_MS);
}

static void
who_asks_others_does_it_once_for_a_key(void **state)
{
    (void)state;
    needs_database();
    gateway_start(ANSWERS);
    assert_int_equal(ask_once_under("k-6", 5, 0), 200);
    gateway.manner = REFUSES; /* whoever asks now */
    assert_int_equal(ask_once_under("k-6", 5, 0), 200);
    assert_string_equal(in_text(value, ""), "an answer");
    assert_string_equal(header("Idempotent-Replayed"), "true");
    assert_int_equal(ask_once_under("k-6", 6, 0), 409);
    assert_string_equal(in_text(value, "code"), "idempotency_conflict");
    assert_int_equal(ask_once_under("k-7", 5, 0), 404); /* an error gives the key back */
    gateway.manner = ANSWERS;
    assert_int_equal(ask_once_under("k-7", 5, 0), 200);
    assert_int_equal(admin_sql("select count(*) from sx_test.idempotency where status = 200 and store_id = 0"), 2);
}

static void
what_came_of_a_claim_is_not_tried_out(void **state)
{
    (void)state;
    needs_database();
    gateway_start(IS_SILENT);
    assert_int_equal(ask_once_under("k-8", 5, 0), 504);
    gateway.manner = ANSWERS;
    assert_int_equal(ask_once_under("k-8", 5, 0), 409); /* perhaps it is still at work */
    assert_string_equal(in_text(value, "code"), "conflict");
    assert_string_equal(header("Retry-After"), "1");
    assert_int_equal(ask_once_under("k-8", 5, WIRE_FLAG_AGAIN), 502);
    admin_sql("update sx_test.idempotency set created_at = created_at - interval '31 seconds'");
    assert_int_equal(ask_once_under("k-8", 5, 0), 502);
    assert_string_equal(in_text(value, "code"), "outcome_unknown");
    assert_int_equal(ask_once_under("k-8", 6, 0), 409);
    assert_string_equal(in_text(value, "code"), "idempotency_conflict");
    admin_sql("update sx_test.idempotency set created_at = created_at - interval '24 hours'");
    assert_int_equal(ask_once_under("k-8", 6, 0), 200);
}

static void
a_claim_keeps_no_handler_from_running_again(void **state)
{
    (void)state;
    needs_database();
    plan.sqlstate = "40P01";
    plan.failures = 1;
    assert_int_equal(serve("sx-test.things.put_once", "k-9", 5, 0, BUDGET_MS), 201);
    assert_int_equal(plan.runs, 2);
    assert_int_equal(serve("sx-test.things.put_once", "k-9", 5, 0, BUDGET_MS), 201);
    assert_int_equal(plan.runs, 2);
    plan.sqlstate = "22012";
    plan.failures = 3;
    assert_int_equal(serve("sx-test.things.put_once", "k-10", 5, 0, BUDGET_MS), 500);
    assert_int_equal(serve("sx-test.things.put_once", "k-10", 5, 0, BUDGET_MS), 409);
    assert_int_equal(plan.runs, 3);
}

/* ---- names ---- */

static void
only_whole_names_are_found(void **state)
{
    static const char *const names[] = {"",
                                        "s",
                                        "sx-test.others",
                                        "sx-test.others.as",
                                        "sx-test.others.ask_",
                                        "sx-test.things.put_singly_",
                                        "tx-test.things.put",
                                        "sx-test.metrics.reads"};

    (void)state;
    needs_database();
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
        assert_int_equal(serve_plainly(names[i]), 404);
    assert_int_equal(serve_plainly("sx-test.metrics.read"), 200);
    assert_non_null(strstr(in_text(value, ""), "sx_call_reruns_total"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handler_is_run_again_after_a_serialization_failure),
        TEST(it_is_run_no_more_than_so_often),
        TEST(other_failures_end_it),
        TEST(it_is_not_run_again_once_something_is_committed),
        TEST(a_keyed_handler_is_run_again_under_its_lock),
        TEST(a_sealed_answer_is_replayed_and_cannot_be_read),
        TEST(a_sealed_answer_opens_in_its_own_row_only),
        TEST(a_service_below_is_asked),
        TEST(its_error_is_passed_on),
        TEST(what_cannot_be_understood_is_an_error_of_ours),
        TEST(no_answer_in_time_is_a_timeout),
        TEST(a_gateway_lost_meanwhile_leaves_the_outcome_open),
        TEST(without_a_gateway_nothing_has_happened),
        TEST(several_are_asked_at_once),
        TEST(who_asks_others_does_it_once_for_a_key),
        TEST(what_came_of_a_claim_is_not_tried_out),
        TEST(a_claim_keeps_no_handler_from_running_again),
        TEST(only_whole_names_are_found),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

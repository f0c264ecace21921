/* test_hub_callers.c - names and callers: who may be ready as what, who may ask for what (protocols 4, decision 12). */
#include "hub_asks.h"

/* ---- names (decision 12) ------------------------------------------------------------------------------------- */

static void
test_ready_under_anothers_name_is_refused(void **state)
{
    struct wire wire = {.type = WIRE_READY};

    (void)state;
    deliver_bytes(hub, "w1", "webhooks", &wire, "auth", "\x80", 1);
    assert_int_equal(state_of("auth").workers, 0);
    deliver_bytes(hub, "w2", "auth", &wire, "auth", "\x80", 1);
    deliver_bytes(hub, "w3", "auth", &wire, "auth-aside", "\x80", 1);
    assert_int_equal(state_of("auth").workers, 1);
    assert_int_equal(state_of("auth").foreign_contract, 1);
    assert_int_equal(state_of("auth-aside").workers, 1);
    ready(hub, "w4", "nobody", 0);
    ready(hub, "w4", "gateway", 0);
    ready(hub, "w4", "", 0);
    ready(hub, "w4", "store-data", 0);
    ready(hub, "w4", "auth", 0); /* one name per socket */
    assert_int_equal(state_of("auth").workers, 1);
    assert_int_equal(state_of("store-data").workers, 1);
    assert_int_equal(state_of("store-data").foreign_contract, 0);
}

static void
test_invalidation_is_applied_before_its_ack(void **state)
{
    struct wire wire = {.type = WIRE_INVALIDATE, .id = 4711};

    (void)state;
    deliver_bytes(hub, "w1", "webhooks", &wire, "", "\x90", 1);
    assert_int_equal(router.count, 0);
    deliver_bytes(hub, "w1", NULL, &wire, "", "\x90", 1);
    assert_int_equal(router.invalidated, 4711);
    assert_int_equal(router.acks_at_invalidate, 0);
    assert_int_equal(sent_last(1)->wire.type, WIRE_ACK);
    assert_int_equal(sent_last(1)->wire.id, 4711);
    assert_string_equal(sent_last(1)->name, "77");
}

/* ---- requests from services (protocols 4) -------------------------------------------------------------------- */

static void
test_nested_request_goes_out_and_back(void **state)
{
    uint64_t id;

    (void)state;
    ready(hub, "s1", "store-data", 0);
    ready(hub, "a1", "auth", 0);
    request(hub, "s1", NULL, "auth.stores.members", 99, WIRE_FLAG_NESTED, 800);
    assert_string_equal(sent_last(1)->to, "a1");
    assert_int_equal(sent_last(1)->wire.budget_ms, 800);
    assert_int_equal(sent_last(1)->wire.flags, 0);
    id = sent_last(1)->wire.id;
    assert_int_not_equal(id, 99);
    reply(hub, "a1", id, "members");
    assert_string_equal(sent_last(1)->to, "s1");
    assert_int_equal(sent_last(1)->wire.type, WIRE_REPLY);
    assert_int_equal(sent_last(1)->wire.id, 99);
    assert_int_equal(sent_last(1)->wire.status, 200);
    assert_memory_equal(sent_last(1)->body, "members", 7);
    assert_int_equal(state_of("store-data").idle, 1);
}

static const char *
fail_code(const struct sent *sent)
{
    static char code[64];
    struct arena *arena = arena_new(1024);
    struct in in;

    assert_int_equal(sent->wire.type, WIRE_REPLY);
    assert_int_equal(sent->wire.flags, WIRE_FLAG_ERROR);
    assert_int_equal(in_decode(&in, arena, sent->body, sent->body_size), 0);
    assert_int_equal(in_int(in, "status", 0), sent->wire.status);
    assert_true(in_has(in, "message"));
    snprintf(code, sizeof code, "%s", in_text(in, "code"));
    arena_destroy(&arena);
    return code;
}

static void
test_nested_budget_is_respected(void **state)
{
    (void)state;
    ready(hub, "s1", "store-data", 0);
    request(hub, "s1", NULL, "auth.stores.members", 5, WIRE_FLAG_NESTED, 300);
    advance(299);
    assert_int_equal(router.count, 0);
    advance(1);
    assert_string_equal(fail_code(sent_last(1)), "gateway_timeout");
    assert_int_equal(sent_last(1)->wire.id, 5);
    request(hub, "s1", NULL, "auth.stores.members", 6, WIRE_FLAG_NESTED, 0);
    assert_string_equal(fail_code(sent_last(1)), "gateway_timeout");
    request(hub, "s1", NULL, "auth.stores.members", 7, WIRE_FLAG_NESTED, UINT32_MAX);
    assert_true(hub_next_ms(hub) <= router.now_ms + REQUEST_BUDGET_MAX_MS);
}

static void
test_nested_goes_to_the_head_and_never_meets_full(void **state)
{
    static struct ask asks[QUEUE_PER_SERVICE_MAX + 1];
    const struct operation *introspect = hub_operation(STR("auth.identity.introspect"));

    (void)state;
    ready(hub, "s1", "store-data", 0);
    ready(hub, "s2", "store-data", 0);
    ready(hub, "a1", "auth", 0);
    for (unsigned i = 0; i < QUEUE_PER_SERVICE_MAX + 1; i++)
        submit(&asks[i], introspect, true);
    assert_int_equal(state_of("auth").queued, QUEUE_PER_SERVICE_MAX);
    request(hub, "s1", NULL, "auth.stores.members", 1, WIRE_FLAG_NESTED, 1000);
    request(hub, "s2", NULL, "auth.stores.members", 2, WIRE_FLAG_NESTED, 1000);
    assert_int_equal(state_of("auth").queued, QUEUE_PER_SERVICE_MAX + 2);
    request(hub, "s2", NULL, "auth.stores.members", 3, 0, 1000); /* not nested: full */
    assert_string_equal(fail_code(sent_last(1)), "service_unavailable");
    reply(hub, "a1", asks[0].call.id, "");
    assert_string_equal(sent_last(1)->name, "auth.stores.members");
    reply(hub, "a1", sent_last(1)->wire.id, "");
    assert_string_equal(sent_last(2)->name,
                        "auth.stores.members"); /* the worker does not wait for the end of the first */
    assert_string_equal(sent_last(1)->to, "s1");
    reply(hub, "a1", sent_last(2)->wire.id, "");
    assert_string_equal(sent_last(2)->name, "auth.identity.introspect");
    assert_string_equal(sent_last(1)->to, "s2");
}

static void
test_undeclared_callers_are_refused(void **state)
{
    struct wire wire = {.type = WIRE_REQUEST, .id = 9, .budget_ms = 1000};
    struct buf body;
    struct out out;

    (void)state;
    ready(hub, "a1", "auth", 0);
    ready(hub, "s1", "store-data", 0);
    request(hub, "s1", NULL, "auth.tokens.revoke", 1, WIRE_FLAG_NESTED, 1000);
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
    request(hub, "a1", NULL, "store-data.orders.list", 2, WIRE_FLAG_NESTED, 1000); /* upwards */
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
    request(hub, "c1", "webhooks", "auth.stores.members", 3, 0, 1000);
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
    request(hub, "c1", "webhooks", "store-data.orders.list", 4, 0, 1000);
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
    request(hub, "c2", NULL, "auth.stores.members", 5, 0, 1000); /* the operator is not listed either */
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
    request(hub, "c2", NULL, "auth.identity.introspect", 6, 0, 1000);
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
    assert_int_equal(hub_in_flight(hub), 0);
    request(hub, "c2", NULL, "auth.tokens.revoke", 7, 0, 1000);
    assert_string_equal(sent_last(1)->to, "a1");
    request(hub, "c2", "operator", "store-data.orders.list", 8, WIRE_FLAG_JSON, 1000);
    assert_string_equal(sent_last(1)->to, "s1");
    assert_int_equal(sent_last(1)->wire.flags, WIRE_FLAG_JSON);

    /* An actor of store-data: a socket that was never ready; on ipc it says who it is, under CURVE its key does. */
    buf_init(&body, 1024);
    out_init(&out, &body, OUT_MSGPACK);
    out_map(&out, 1);
    out_key(&out, "caller");
    out_map(&out, 1);
    out_key(&out, "service");
    out_text(&out, "store-data");
    ready(hub, "a2", "auth", 0);
    deliver_bytes(hub, "c3", NULL, &wire, "auth.stores.members", body.data, body.size);
    assert_string_equal(sent_last(1)->to, "a2");
    deliver_bytes(hub, "c4", "operator", &wire, "auth.stores.members", body.data, body.size);
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
    buf_free(&body);
}

/* auth stands below store-data: its actors may call there, its handlers may not, whatever the operation lists. */
static void
test_a_handler_never_calls_upwards(void **state)
{
    struct wire wire = {.type = WIRE_REQUEST, .id = 9, .budget_ms = 1000};
    struct buf body;
    struct out out;

    (void)state;
    ready(hub, "a1", "auth", 0);
    ready(hub, "s1", "store-data", 0);
    buf_init(&body, 1024);
    out_init(&out, &body, OUT_MSGPACK);
    out_map(&out, 1);
    out_key(&out, "caller");
    out_map(&out, 1);
    out_key(&out, "service");
    out_text(&out, "auth");
    wire.flags = WIRE_FLAG_NESTED;
    deliver_bytes(hub, "a1", NULL, &wire, "store-data.stores.create", body.data, body.size);
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
    deliver_bytes(hub, "c1", "auth", &wire, "store-data.stores.create", body.data, body.size); /* under CURVE */
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
    deliver_bytes(hub, "c2", NULL, &wire, "store-data.stores.create", body.data, body.size);
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
    wire.flags = 0;
    deliver_bytes(hub, "c2", "webhooks", &wire, "store-data.stores.create", body.data, body.size);
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
    deliver_bytes(hub, "c3", NULL, &wire, "store-data.stores.create", body.data, body.size);
    assert_string_equal(sent_last(1)->to, "s1");
    buf_free(&body);
}

static void
test_unknown_operations_are_refused(void **state)
{
    static const char *const names[] = {"auth.nothing",
                                        "auth",
                                        "",
                                        "..",
                                        "gateway.health.live",
                                        "nobody.metrics.read",
                                        ".metrics.read",
                                        "store-data.orders.list.",
                                        "store-data.orders.lis"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
        request(hub, "c1", NULL, names[i], i + 1, 0, 1000);
        assert_string_equal(fail_code(sent_last(1)), "not_found");
        assert_int_equal(sent_last(1)->wire.id, i + 1);
    }
}

static const char *
who(void)
{
    request(hub, "c1", NULL, "gateway.who", 1, WIRE_FLAG_JSON, 1000);
    assert_int_equal(sent_last(1)->wire.status, 200);
    sent_last(1)->body[sent_last(1)->body_size] = '\0';
    return sent_last(1)->body;
}

#define NO_AUTH                                                                                                        \
    "[{\"service\":\"auth\",\"workers\":0,\"idle\":0,\"queued\":0,\"foreign_contract\":0,\"processes\":[]},"           \
    "{\"service\":\"auth-aside\",\"workers\":0,\"idle\":0,\"queued\":0,\"foreign_contract\":0,\"processes\":[]},"

static void
test_who_tells_of_processes(void **state)
{
    static const char busy[] =
        NO_AUTH "{\"service\":\"store-data\",\"workers\":3,\"idle\":2,\"queued\":0,\"foreign_contract\":0,"
                "\"processes\":[{\"instance\":\"two:7\",\"workers\":1,\"idle\":1,\"requests\":0},"
                "{\"instance\":\"one:7\",\"workers\":2,\"idle\":1,\"requests\":1}]}]";
    static const char lost[] =
        NO_AUTH "{\"service\":\"store-data\",\"workers\":2,\"idle\":1,\"queued\":0,\"foreign_contract\":0,"
                "\"processes\":[{\"instance\":\"one:7\",\"workers\":2,\"idle\":1,\"requests\":1}]}]";
    struct ask ask;

    (void)state;
    ready_with(hub, "s1", "store-data", 0, "one:7", 2, NULL, 0);
    submit(&ask, ORDERS_LIST, true);
    ready_of(hub, "s2", "store-data", 0, "two:7");
    assert_string_equal(who(), busy);
    put_in(router.gone, "s2");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_string_equal(who(), lost);
}

static void
test_who_and_metrics(void **state)
{
    (void)state;
    ready(hub, "s1", "store-data", 0);
    request(hub, "c1", NULL, "gateway.who", 2, 0, 1000);
    assert_int_equal((uint8_t)sent_last(1)->body[0], 0x93);
    request(hub, "c1", NULL, "store-data.metrics.read", 3, 0, 1000);
    assert_string_equal(sent_last(1)->to, "s1");
    assert_string_equal(sent_last(1)->name, "store-data.metrics.read");
    reply(hub, "s1", sent_last(1)->wire.id, "# HELP");
    assert_string_equal(sent_last(1)->to, "c1");
    request(hub, "s1", NULL, "store-data.metrics.read", 4, 0, 1000);
    assert_string_equal(fail_code(sent_last(1)), "forbidden");
}

static void
test_requests_of_a_lost_caller_are_dropped(void **state)
{
    struct ask ask;

    (void)state;
    ready(hub, "s1", "store-data", 0);
    submit(&ask, ORDERS_LIST, true);
    request(hub, "s1", NULL, "auth.stores.members", 1, WIRE_FLAG_NESTED, 1000);
    request(hub, "s1", NULL, "auth.stores.members", 2, WIRE_FLAG_NESTED, 1000);
    assert_int_equal(state_of("auth").queued, 2);
    put_in(router.gone, "s1");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(state_of("auth").queued, 0);
    assert_int_equal(hub_in_flight(hub), 1); /* the HTTP request, waiting for another worker */
    ready(hub, "a1", "auth", 0);
    assert_int_equal(state_of("auth").idle, 1);
    request(hub, "c1", NULL, "auth.tokens.revoke", 3, 0, 1000);
    put_in(router.gone, "c1");
    reply(hub, "a1", sent_last(1)->wire.id, ""); /* sxctl was killed: nobody to tell */
    assert_int_equal(state_of("auth").idle, 1);
}

/* A component that is caller and worker at once and vanishes with its own request in its hands. */
static void
test_worker_lost_with_its_own_request(void **state)
{
    struct wire ready_wire = {.type = WIRE_READY};

    (void)state;
    deliver_bytes(hub, "x1", NULL, &ready_wire, "store-data", "\x80", 1);
    request(hub, "x1", "operator", "store-data.orders.list", 1, 0, 1000);
    assert_string_equal(sent_last(1)->to, "x1");
    put_in(router.gone, "x1");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(hub_in_flight(hub), 0);
    assert_int_equal(state_of("store-data").workers, 0);
}

static void
test_lost_worker_of_a_nested_request(void **state)
{
    (void)state;
    ready(hub, "s1", "store-data", 0);
    ready(hub, "a2", "auth", 0);
    ready(hub, "a1", "auth", 0);
    request(hub, "s1", NULL, "auth.stores.members", 1, WIRE_FLAG_NESTED, 1000);
    request(hub, "c1", NULL, "auth.tokens.revoke", 2, 0, 1000);
    put_in(router.gone, "a1");
    put_in(router.gone, "a2");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_string_equal(fail_code(sent_last(1)), "outcome_unknown"); /* revoke is not marked x-retry */
    assert_string_equal(sent_last(1)->to, "c1");
    ready(hub, "a3", "auth", 0);
    assert_string_equal(sent_last(1)->name, "auth.stores.members");
    assert_int_equal(sent_last(1)->wire.flags, WIRE_FLAG_AGAIN);
}

static void
test_drain_takes_nested_requests_only(void **state)
{
    (void)state;
    ready(hub, "a1", "auth", 0);
    ready(hub, "s1", "store-data", 0);
    hub_drain(hub);
    request(hub, "c1", NULL, "auth.tokens.revoke", 1, 0, 1000);
    assert_string_equal(fail_code(sent_last(1)), "service_unavailable");
    request(hub, "s1", NULL, "auth.stores.members", 2, WIRE_FLAG_NESTED, 1000);
    assert_string_equal(sent_last(1)->to, "a1");
}

static void
test_malformed_messages_are_dropped(void **state)
{
    struct wire ack = {.type = WIRE_ACK, .id = 1};
    struct wire ping = {.type = WIRE_PING};
    zmq_msg_t header, name, body;

    (void)state;
    zmq_msg_init_size(&header, 5);
    memset(zmq_msg_data(&header), 'x', 5);
    zmq_msg_init(&name);
    zmq_msg_init(&body);
    hub_receive(hub, STR("w1"), NULL, &header, &name, &body);
    deliver_bytes(hub, "w1", NULL, &ack, "1", NULL, 0);
    deliver_bytes(hub, "w1", NULL, &ping, "", NULL, 0);
    deliver_bytes(hub, "", NULL, &ping, "", NULL, 0);
    assert_int_equal(router.count, 0);
    assert_true(hub_next_ms(hub) == INT64_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ready_under_anothers_name_is_refused),
        TEST(test_invalidation_is_applied_before_its_ack),
        TEST(test_nested_request_goes_out_and_back),
        TEST(test_nested_budget_is_respected),
        TEST(test_nested_goes_to_the_head_and_never_meets_full),
        TEST(test_undeclared_callers_are_refused),
        TEST(test_a_handler_never_calls_upwards),
        TEST(test_unknown_operations_are_refused),
        TEST(test_who_tells_of_processes),
        TEST(test_who_and_metrics),
        TEST(test_requests_of_a_lost_caller_are_dropped),
        TEST(test_worker_lost_with_its_own_request),
        TEST(test_lost_worker_of_a_nested_request),
        TEST(test_drain_takes_nested_requests_only),
        TEST(test_malformed_messages_are_dropped),
    };

    return cmocka_run_group_tests_name("hub_callers", tests, NULL, NULL);
}

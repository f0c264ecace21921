/* Requests to services and the sockets under them, against gateways of the test's own: which REPLY counts, what is kept
 * for the worker, and when a request counts as sent (protocols 1 and 3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "clock.h"
#include "config.h"
#include "contract.h"
#include "in.h"
#include "out.h"

#define GATEWAYS 2
#define SOON_MS  300
#define SEVERAL  3

enum manner {
    ANSWERS,     /* each request with its operation's name */
    TALKS_FIRST, /* other messages before the answer, among them a REQUEST and a BYE */
    IS_SILENT,
    IS_LATE, /* a request is answered when the next one has come, before that one */
    DIES,    /* at the first request */
    MIMICS,  /* a READY is answered with a REPLY of the same id */
    GATHERS, /* SEVERAL requests, and answers them from the last to the first */
    IS_CURT, /* the first request is answered, no other */
};

struct gateway {
    pthread_t thread;
    atomic_bool stop, bound;
    enum manner manner;
    char endpoint[PEER_ENDPOINT_MAX];
    uint64_t late_id;
    uint64_t gathered[SEVERAL];
    char names[SEVERAL][64];
    atomic_uint requests;
    struct wire last; /* header of the last request */
};

static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;

static void *context;
static struct gateway gateways[GATEWAYS];
static struct gateways *known;
static struct peers *peers;

/* ---- the gateway ---- */

static void
send_to(void *router, zmq_msg_t *routing, enum wire_type type, uint64_t id, const char *name, const char *text)
{
    struct wire wire = {.type = type, .id = id, .status = type == WIRE_REPLY ? 200 : 0};
    uint8_t header[WIRE_SIZE];
    struct buf body;
    struct out out;

    wire_encode(&wire, header);
    buf_init(&body, 1024);
    out_init(&out, &body, OUT_MSGPACK);
    out_text(&out, text);
    zmq_send(router, zmq_msg_data(routing), zmq_msg_size(routing), ZMQ_SNDMORE);
    zmq_send(router, header, sizeof(header), ZMQ_SNDMORE);
    zmq_send(router, name, strlen(name), ZMQ_SNDMORE);
    zmq_send(router, body.data, body.size, 0);
    buf_free(&body);
}

static void
take_request(struct gateway *self, void *router, zmq_msg_t *routing, const struct wire *wire, const char *operation)
{
    unsigned before = atomic_fetch_add(&self->requests, 1);

    pthread_mutex_lock(&last_lock);
    self->last = *wire;
    pthread_mutex_unlock(&last_lock);
    if (self->manner == GATHERS && before < SEVERAL) {
        self->gathered[before] = wire->id;
        snprintf(self->names[before], sizeof(self->names[before]), "%s", operation);
        for (unsigned i = SEVERAL; before == SEVERAL - 1 && i-- > 0;)
            send_to(router, routing, WIRE_REPLY, self->gathered[i], "", self->names[i]);
    }
    if (self->manner == IS_CURT && before == 0)
        send_to(router, routing, WIRE_REPLY, wire->id, "", operation);
    if (self->manner == TALKS_FIRST) {
        send_to(router, routing, WIRE_REPLY, wire->id + 1, "", "not this one");
        send_to(router, routing, WIRE_REPLY, wire->id - 1, "", "nor this one");
        send_to(router, routing, WIRE_PING, 0, "", "");
        send_to(router, routing, WIRE_REQUEST, 77, "auth.kept", "");
        send_to(router, routing, WIRE_BYE, 0, "", "");
        send_to(router, routing, WIRE_ACK, 5, "1", "");
    }
    if (self->manner == IS_LATE && self->late_id)
        send_to(router, routing, WIRE_REPLY, self->late_id, "", "late");
    if (self->manner == ANSWERS || self->manner == TALKS_FIRST || (self->manner == IS_LATE && self->late_id))
        send_to(router, routing, WIRE_REPLY, wire->id, "", operation);
    self->late_id = wire->id;
}

static void
take(struct gateway *self, void *router)
{
    zmq_msg_t frames[4];
    struct wire wire;
    char operation[64];

    for (unsigned i = 0; i < 4; i++) {
        zmq_msg_init(&frames[i]);
        zmq_msg_recv(&frames[i], router, 0);
    }
    assert_int_equal(wire_decode(&wire, zmq_msg_data(&frames[1]), zmq_msg_size(&frames[1])), 0);
    snprintf(operation, sizeof(operation), "%.*s", (int)zmq_msg_size(&frames[2]), (char *)zmq_msg_data(&frames[2]));
    if (wire.type == WIRE_READY && self->manner == MIMICS)
        send_to(router, &frames[0], WIRE_REPLY, wire.id, "", "from another gateway");
    if (wire.type == WIRE_REQUEST)
        take_request(self, router, &frames[0], &wire, operation);
    if (wire.type == WIRE_REQUEST && self->manner == DIES)
        atomic_store(&self->stop, true);
    for (unsigned i = 0; i < 4; i++)
        zmq_msg_close(&frames[i]);
}

static void *
gateway_run(void *argument)
{
    struct gateway *self = argument;
    void *router = zmq_socket(context, ZMQ_ROUTER);
    const int none = 0;

    zmq_setsockopt(router, ZMQ_LINGER, &none, sizeof(none));
    assert_int_equal(zmq_bind(router, self->endpoint), 0);
    atomic_store(&self->bound, true);
    while (!atomic_load(&self->stop)) {
        zmq_pollitem_t item = {.socket = router, .events = ZMQ_POLLIN};

        if (zmq_poll(&item, 1, 10) > 0)
            take(self, router);
    }
    zmq_close(router);
    return NULL;
}

static void
gateway_start(unsigned index, enum manner manner)
{
    struct gateway *self = &gateways[index];

    memset(self, 0, sizeof(*self));
    self->manner = manner;
    snprintf(self->endpoint, sizeof(self->endpoint), "ipc://%s/run/gateway-%u.ipc", config.home, index + 1);
    pthread_create(&self->thread, NULL, gateway_run, self);
    while (!atomic_load(&self->bound))
        usleep(1000);
}

static struct wire
last_request(unsigned index)
{
    struct wire wire;

    pthread_mutex_lock(&last_lock);
    wire = gateways[index].last;
    pthread_mutex_unlock(&last_lock);
    return wire;
}

static void
gateway_stop(unsigned index)
{
    struct gateway *self = &gateways[index];

    if (!self->endpoint[0])
        return;
    atomic_store(&self->stop, true);
    pthread_join(self->thread, NULL);
    unlink(self->endpoint + strlen("ipc://"));
    self->endpoint[0] = '\0';
}

/* ---- around each test ---- */

static int
set_up(void **state)
{
    char directory[] = "/tmp/sx-client-XXXXXX", run[64];

    (void)state;
    config.home = xstrdup(mkdtemp(directory));
    snprintf(run, sizeof(run), "%s/run", directory);
    mkdir(run, 0700);
    context = zmq_ctx_new();
    return 0;
}

static int
tear_down(void **state)
{
    char run[64];

    (void)state;
    peers_destroy(&peers);
    gateways_destroy(&known);
    for (unsigned i = 0; i < GATEWAYS; i++)
        gateway_stop(i);
    zmq_ctx_term(context);
    snprintf(run, sizeof(run), "%s/run", config.home);
    rmdir(run);
    rmdir(config.home);
    free((char *)config.home);
    return 0;
}

static unsigned
live_count(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < peers_count(peers); i++)
        count += peer_is_live(peers_at(peers, i));
    return count;
}

static void
connect_to(unsigned count)
{
    known = gateways_new(context, "store-data");
    peers = peers_new(known);
    assert_int_equal(peers_count(peers), 0);
    peers_sync(peers);
    assert_int_equal(peers_count(peers), count);
    while (live_count() < count)
        usleep(1000);
}

static int
ask(struct peer *prefer, int64_t wait_ms, char answer[64], bool *maybe_sent)
{
    struct client_reply reply;
    struct buf request;
    struct arena *arena = arena_new(1024);
    struct in in;
    int rc;

    buf_init(&request, 1024);
    assert_int_equal(client_arguments(&request, STR(""), "store-data", "r-1"), 0);
    rc = client_request(peers, prefer, "auth.asked", WIRE_FLAG_NESTED, &request, clock_monotonic_ms() + wait_ms, &reply,
                        maybe_sent);
    if (rc == 0) {
        assert_int_equal(in_decode(&in, arena, zmq_msg_data(&reply.body), zmq_msg_size(&reply.body)), 0);
        snprintf(answer, 64, "%s", in_text(in, ""));
        assert_int_equal(reply.status, 200);
        client_reply_close(&reply);
    }
    buf_free(&request);
    arena_destroy(&arena);
    return rc;
}

/* SEVERAL at once, "auth.asked_0" and so on; answered ones are held against their names. How many those are. */
static unsigned
ask_several(int64_t wait_ms, struct client_exchange exchanges[SEVERAL])
{
    static const char *const names[SEVERAL] = {"auth.asked_0", "auth.asked_1", "auth.asked_2"};
    struct arena *arena = arena_new(1024);
    struct buf request;
    unsigned answered = 0;

    buf_init(&request, 1024);
    assert_int_equal(client_arguments(&request, STR(""), "store-data", "r-1"), 0);
    for (unsigned i = 0; i < SEVERAL; i++)
        exchanges[i] = (struct client_exchange){.operation = names[i], .request = &request};
    client_request_all(peers, NULL, 0, clock_monotonic_ms() + wait_ms, exchanges, SEVERAL);
    for (unsigned i = 0; i < SEVERAL; i++) {
        struct in in;

        if (!exchanges[i].answered)
            continue;
        answered++;
        assert_int_equal(client_reply_decode(&exchanges[i].reply, arena, &in), 0);
        assert_string_equal(in_text(in, ""), names[i]);
        client_reply_close(&exchanges[i].reply);
    }
    buf_free(&request);
    arena_destroy(&arena);
    return answered;
}

/* ---- tests ---- */

static void
a_request_is_answered(void **state)
{
    char answer[64];
    bool maybe_sent;
    uint64_t first;

    (void)state;
    gateway_start(0, ANSWERS);
    connect_to(1);
    assert_int_equal(ask(NULL, 2000, answer, &maybe_sent), 0);
    assert_string_equal(answer, "auth.asked");
    assert_int_equal(last_request(0).flags, WIRE_FLAG_NESTED);
    assert_in_range(last_request(0).budget_ms, 1, 2000);
    first = last_request(0).id;
    assert_int_equal(ask(NULL, 2000, answer, &maybe_sent), 0);
    assert_true(last_request(0).id == first + 1);
}

static void
only_its_own_reply_counts(void **state)
{
    struct peer_message message;
    char answer[64];
    bool maybe_sent;

    (void)state;
    gateway_start(0, TALKS_FIRST);
    connect_to(1);
    assert_int_equal(ask(NULL, 2000, answer, &maybe_sent), 0);
    assert_string_equal(answer, "auth.asked");
    assert_int_equal(peer_receive(peers_at(peers, 0), &message), -1);
}

static void
a_late_reply_answers_nothing(void **state)
{
    char answer[64];
    bool maybe_sent;

    (void)state;
    gateway_start(0, IS_LATE);
    connect_to(1);
    assert_int_equal(ask(NULL, 100, answer, &maybe_sent), -1);
    assert_true(maybe_sent);
    assert_int_equal(ask(NULL, 2000, answer, &maybe_sent), 0);
    assert_string_equal(answer, "auth.asked");
}

static void
a_reply_of_another_gateway_does_not_count(void **state)
{
    char answer[64];
    struct wire ready = {.type = WIRE_READY};
    bool maybe_sent;

    (void)state;
    gateway_start(0, MIMICS);
    gateway_start(1, IS_SILENT);
    connect_to(2);
    ready.id = peers_at(peers, 1)->last_id + 1;
    assert_int_equal(peer_send(peers_at(peers, 0), &ready, STR("store-data"), STR("\x80")), 0);
    usleep(50000);
    assert_int_equal(ask(peers_at(peers, 1), 200, answer, &maybe_sent), -1);
    assert_true(maybe_sent);
    assert_int_equal(atomic_load(&gateways[1].requests), 1);
    assert_true(last_request(1).id == ready.id);
}

static void
a_gateway_that_dies_is_noticed(void **state)
{
    char answer[64];
    bool maybe_sent;
    int64_t started_ms;

    (void)state;
    gateway_start(0, DIES);
    connect_to(1);
    started_ms = clock_monotonic_ms();
    assert_int_equal(ask(NULL, 5000, answer, &maybe_sent), -1);
    assert_true(maybe_sent);
    assert_in_range(clock_monotonic_ms() - started_ms, 0, SOON_MS);
}

/* None is answered before the last one is asked, and then the last one first. */
static void
several_are_asked_before_one_is_answered(void **state)
{
    struct client_exchange exchanges[SEVERAL];

    (void)state;
    gateway_start(0, GATHERS);
    connect_to(1);
    assert_int_equal(ask_several(2000, exchanges), SEVERAL);
}

static void
one_without_an_answer_takes_none_with_it(void **state)
{
    struct client_exchange exchanges[SEVERAL];
    int64_t started_ms = clock_monotonic_ms();

    (void)state;
    gateway_start(0, IS_CURT);
    connect_to(1);
    assert_int_equal(ask_several(200, exchanges), 1);
    assert_true(exchanges[0].answered);
    for (unsigned i = 0; i < SEVERAL; i++)
        assert_true(exchanges[i].maybe_sent);
    assert_true(clock_monotonic_ms() - started_ms >= 200);
    assert_int_equal(atomic_load(&gateways[0].requests), SEVERAL);
}

static void
several_without_a_gateway_are_not_sent(void **state)
{
    struct client_exchange exchanges[SEVERAL];

    (void)state;
    connect_to(0);
    assert_int_equal(ask_several(100, exchanges), 0);
    for (unsigned i = 0; i < SEVERAL; i++)
        assert_false(exchanges[i].maybe_sent);
}

static void
without_a_gateway_nothing_is_sent(void **state)
{
    char answer[64];
    bool maybe_sent;
    int64_t started_ms = clock_monotonic_ms();

    (void)state;
    connect_to(0);
    assert_int_equal(ask(NULL, 100, answer, &maybe_sent), -1);
    assert_false(maybe_sent);
    assert_in_range(clock_monotonic_ms() - started_ms, 100, 100 + SOON_MS);
}

static void
the_set_follows_the_living(void **state)
{
    struct peer *first;

    (void)state;
    gateway_start(0, ANSWERS);
    gateway_start(1, ANSWERS);
    connect_to(2);
    assert_ptr_equal(peers_live(peers), peers_at(peers, 0));
    assert_ptr_equal(peers_named(peers, gateways[1].endpoint), peers_at(peers, 1));
    first = peers_at(peers, 0);
    first->held[first->held_count++] = 7;
    gateway_stop(0);
    while (live_count() == 2)
        usleep(1000);
    assert_ptr_equal(peers_live(peers), peers_at(peers, 1));
    assert_true(gateways_refresh(known));
    peers_sync(peers);
    assert_int_equal(peers_count(peers), 2); /* a request of the first is still in hand */
    first->held_count = 0;
    assert_true(peers_sync(peers));
    assert_int_equal(peers_count(peers), 1);
    assert_string_equal(peers_at(peers, 0)->endpoint, gateways[1].endpoint);
}

static void
a_reset_connection_is_a_new_one(void **state)
{
    struct peer *peer;
    char answer[64];
    bool maybe_sent;
    uint64_t before;

    (void)state;
    gateway_start(0, ANSWERS);
    connect_to(1);
    peer = peers_at(peers, 0);
    before = peer->last_id;
    peer->taken = 9;
    peer_reset(peers, peer);
    assert_int_equal(peer->taken, 0);
    assert_true(peer->last_id >> 32 != before >> 32);
    assert_int_equal(ask(NULL, 2000, answer, &maybe_sent), 0);
}

static void
arguments_get_a_caller_unless_they_have_one(void **state)
{
    static const char given[] = "\x82\xa6"
                                "caller\x81\xa8"
                                "audience\x01\xa4"
                                "body\x07";
    struct arena *arena = arena_new(1024);
    struct buf target;
    struct in in;

    (void)state;
    buf_init(&target, 1024);
    assert_int_equal(client_arguments(&target, (struct str){given, sizeof(given) - 1}, "billing", "r-2"), 0);
    assert_int_equal(in_decode(&in, arena, target.data, target.size), 0);
    assert_int_equal(in_count(in, ""), 3);
    assert_int_equal(in_int(in, "caller.audience", 0), 1);
    assert_int_equal(in_int(in, "body", 0), 7);
    assert_string_equal(in_text(in, "request_id"), "r-2");
    buf_reset(&target);
    assert_int_equal(client_arguments(&target,
                                      STR("\x81\xa4"
                                          "body\x07"),
                                      "billing", "r-2"),
                     0);
    assert_int_equal(in_decode(&in, arena, target.data, target.size), 0);
    assert_int_equal(in_int(in, "caller.audience", 0), AUDIENCE_INTERNAL);
    assert_string_equal(in_text(in, "caller.service"), "billing");
    assert_int_equal(client_arguments(&target, STR("\x93\x01\x02\x03"), "billing", "r-2"), -1);
    assert_int_equal(client_arguments(&target, STR("\x81"), "billing", "r-2"), -1);
    buf_free(&target);
    arena_destroy(&arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered),
        TEST(only_its_own_reply_counts),
        TEST(a_late_reply_answers_nothing),
        TEST(a_reply_of_another_gateway_does_not_count),
        TEST(a_gateway_that_dies_is_noticed),
        TEST(several_are_asked_before_one_is_answered),
        TEST(one_without_an_answer_takes_none_with_it),
        TEST(several_without_a_gateway_are_not_sent),
        TEST(without_a_gateway_nothing_is_sent),
        TEST(the_set_follows_the_living),
        TEST(a_reset_connection_is_a_new_one),
        TEST(arguments_get_a_caller_unless_they_have_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

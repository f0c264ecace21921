/* test_hub_batches.c - calls of one app in one store that go together (x-batch; protocols 10), and that each ends once
 * and by itself whatever happens to the others. */
#include "hub_asks.h"

#define ASKS 80

static struct ask asks[ASKS];

static void
debit_as(struct ask *ask, int64_t store_id, bool repeatable, int64_t within_ms)
{
    ask_init(ask, WALLETS_DEBIT, repeatable);
    ask->call.store_id = store_id;
    ask->call.app_id = 1;
    ask->call.deadline_ms = router.now_ms + within_ms;
    hub_submit(hub, &ask->call);
}

static void
debit(struct ask *ask, int64_t store_id)
{
    debit_as(ask, store_id, true, 5000);
}

/* There may be PINGs between them. */
static unsigned
requests(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < router.count; i++)
        count += router.sent[i].wire.type == WIRE_REQUEST;
    return count;
}

static struct sent *
last_request(void)
{
    unsigned at = router.count;

    while (at > 0 && router.sent[at - 1].wire.type != WIRE_REQUEST)
        at--;
    assert_true(at > 0);
    return &router.sent[at - 1];
}

/* How many a REQUEST carries. */
static unsigned
carried(const struct sent *sent)
{
    struct arena *arena = arena_new(4096);
    struct in list;
    unsigned count = 1;

    assert_int_equal(sent->wire.type, WIRE_REQUEST);
    assert_string_equal(sent->name, "store-data.wallets.debit");
    if (sent->wire.flags & WIRE_FLAG_BATCH) {
        assert_int_equal(in_decode(&list, arena, sent->body, sent->body_size), 0);
        count = in_count(list, "");
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(in_count(in_item(list, i), ""), 3);
            assert_true(str_is(in_str(in_item(in_item(list, i), 2), ""), "request"));
        }
    } else
        assert_int_equal(sent->body_size, strlen("request"));
    arena_destroy(&arena);
    return count;
}

/* One number of an element of a batch's frame 3. */
static int64_t
element(const struct sent *sent, unsigned index, unsigned which)
{
    struct arena *arena = arena_new(4096);
    struct in list;
    int64_t value;

    assert_int_equal(in_decode(&list, arena, sent->body, sent->body_size), 0);
    value = in_int(in_item(in_item(list, index), which), "", -1);
    arena_destroy(&arena);
    return value;
}

/* The REPLY to several: the i-th is answered "i", the one at `failed` with an error. */
static void
reply_all(const char *from, uint64_t id, unsigned count, unsigned failed)
{
    struct wire wire = {.type = WIRE_REPLY, .flags = WIRE_FLAG_BATCH, .id = id, .status = 200};
    struct buf body;
    struct out out;

    buf_init(&body, 65536);
    out_init(&out, &body, OUT_MSGPACK);
    out_list(&out, count);
    for (unsigned i = 0; i < count; i++) {
        char text[16];
        int size = snprintf(text, sizeof text, "%u", i);

        out_list(&out, 4);
        out_int(&out, i == failed ? 400 : 201);
        out_int(&out, i == failed ? WIRE_FLAG_ERROR : 0);
        out_binary(&out, "", 0);
        out_binary(&out, text, (size_t)size);
    }
    deliver_bytes(hub, from, NULL, &wire, "", body.data, body.size);
    buf_free(&body);
}

#define NOBODY UINT32_MAX

static void
test_what_comes_meanwhile_goes_together(void **state)
{
    uint64_t first;

    (void)state;
    ready_with(hub, "w1", "store-data", 0, "one:1", 4, NULL, 0);
    debit(&asks[0], 1);
    assert_int_equal(carried(last_request()), 1); /* one alone goes at once, and as ever */
    assert_int_equal(last_request()->wire.flags, WIRE_FLAG_JSON);
    first = last_request()->wire.id;
    for (unsigned i = 1; i < 6; i++)
        debit(&asks[i], 1);
    assert_int_equal(requests(), 1); /* although slots are free */
    assert_int_equal(state_of("store-data").queued, 5);
    router.now_ms += 100;
    reply(hub, "w1", first, "alone");
    assert_string_equal(asks[0].body, "alone");
    assert_int_equal(carried(last_request()), 5);
    assert_int_equal(last_request()->wire.flags, WIRE_FLAG_BATCH);
    assert_int_equal(last_request()->wire.budget_ms, 4900);
    assert_int_equal(element(last_request(), 0, 0), WIRE_FLAG_JSON);
    assert_int_equal(element(last_request(), 4, 1), 4900);
    assert_int_equal(state_of("store-data").queued, 0);
    reply_all("w1", last_request()->wire.id, 5, 2);
    for (unsigned i = 1; i < 6; i++) {
        char expected[16];

        snprintf(expected, sizeof expected, "%u", i - 1);
        assert_int_equal(asks[i].ends, 1);
        assert_string_equal(asks[i].body, expected);
        assert_int_equal(asks[i].status, i == 3 ? 400 : 201);
        assert_int_equal(asks[i].error, i == 3);
        assert_int_equal(asks[i].call.attempts, 1);
    }
    assert_int_equal(requests(), 2);
    assert_int_equal(hub_in_flight(hub), 0);
}

static void
test_other_keys_and_other_operations_do_not_wait(void **state)
{
    struct ask other;

    (void)state;
    ready_with(hub, "w1", "store-data", 0, "one:1", 4, NULL, 0);
    debit(&asks[0], 1);
    debit(&asks[1], 1);
    debit(&asks[2], 2);
    assert_int_equal(requests(), 2);
    submit(&other, ORDERS_LIST, true);
    assert_int_equal(requests(), 3);
    ask_init(&asks[3], WALLETS_DEBIT, true); /* of nobody: not put together with anything */
    hub_submit(hub, &asks[3].call);
    assert_int_equal(requests(), 4);
    assert_int_equal(state_of("store-data").queued, 1);
}

/* The rule of hub_take_reply: the worker does not wait for what ends cost. */
static unsigned sent_at_end;

static void
note_sent(struct hub_call *call, struct hub_reply *result)
{
    sent_at_end = requests();
    ask_done(call, result);
}

static void
test_the_next_batch_goes_before_the_last_one_ends(void **state)
{
    (void)state;
    ready(hub, "w1", "store-data", 0);
    debit(&asks[0], 1);
    asks[0].call.done = note_sent;
    debit(&asks[1], 1);
    debit(&asks[2], 1);
    reply(hub, "w1", last_request()->wire.id, "");
    assert_int_equal(sent_at_end, 2);
    asks[1].call.done = note_sent;
    asks[1].then = &asks[4]; /* who is told asks again, which goes with the next */
    ask_init(&asks[4], WALLETS_DEBIT, true);
    asks[4].call.store_id = asks[4].call.app_id = 1;
    debit(&asks[3], 1);
    reply_all("w1", last_request()->wire.id, 2, NOBODY);
    assert_int_equal(sent_at_end, 3);
    reply(hub, "w1", last_request()->wire.id, "3");
    assert_string_equal(asks[3].body, "3");
    reply(hub, "w1", last_request()->wire.id, "4");
    assert_string_equal(asks[4].body, "4");
    assert_int_equal(hub_in_flight(hub), 0);
}

static void
test_at_most_64_and_a_mebibyte(void **state)
{
    static char large[700000];
    struct buf request = {.data = large, .size = sizeof large};

    (void)state;
    ready(hub, "w1", "store-data", 0);
    for (unsigned i = 0; i < ASKS; i++)
        debit(&asks[i], 1);
    reply(hub, "w1", last_request()->wire.id, "");
    assert_int_equal(carried(last_request()), BATCH_MAX);
    reply_all("w1", last_request()->wire.id, BATCH_MAX, NOBODY);
    assert_int_equal(carried(last_request()), ASKS - 1 - BATCH_MAX);
    for (unsigned i = 0; i < 3; i++) {
        ask_init(&asks[i], WALLETS_DEBIT, true);
        asks[i].call.store_id = asks[i].call.app_id = 1;
        asks[i].call.request = &request;
        hub_submit(hub, &asks[i].call);
    }
    reply_all("w1", last_request()->wire.id, ASKS - 1 - BATCH_MAX, NOBODY);
    assert_int_equal(last_request()->body_size, sizeof large); /* two of them would be too much */
    for (unsigned i = 3; i < ASKS; i++)
        assert_int_equal(asks[i].ends, 1);
}

static void
test_each_has_its_own_deadline(void **state)
{
    (void)state;
    ready(hub, "w1", "store-data", 0);
    debit(&asks[0], 1);
    debit_as(&asks[1], 1, true, 50);  /* while it waits */
    debit_as(&asks[2], 1, true, 300); /* while it is under way */
    debit(&asks[3], 1);
    debit(&asks[4], 1);
    advance(100);
    assert_int_equal(asks[1].fail, FAIL_GATEWAY_TIMEOUT);
    reply(hub, "w1", last_request()->wire.id, "");
    assert_int_equal(carried(last_request()), 3);
    assert_int_equal(element(last_request(), 0, 1), 200);
    advance(250);
    assert_int_equal(asks[2].ends, 1);
    assert_int_equal(asks[2].status, 504);
    reply_all("w1", last_request()->wire.id, 3, NOBODY);
    assert_string_equal(asks[3].body, "1"); /* their places are as they were */
    assert_string_equal(asks[4].body, "2");
    assert_int_equal(asks[2].ends, 1);
    assert_int_equal(hub_in_flight(hub), 0);
}

/* As long as the worker is at it the key is under way, and not for ever. */
static void
test_cancelled_ones_hold_their_key_until_the_reply_or_their_time(void **state)
{
    uint64_t busy;

    (void)state;
    ready_with(hub, "w1", "store-data", 0, "one:1", 4, NULL, 0);
    debit(&asks[0], 1);
    hub_cancel(hub, &asks[0].call);
    debit(&asks[1], 1);
    assert_int_equal(requests(), 1);
    reply(hub, "w1", last_request()->wire.id, "late");
    assert_int_equal(carried(last_request()), 1);
    hub_cancel(hub, &asks[1].call);
    advance(1000);
    debit(&asks[2], 1);
    debit(&asks[3], 1);
    hub_cancel(hub, &asks[3].call); /* while it waits */
    assert_int_equal(state_of("store-data").queued, 1);
    assert_int_equal(requests(), 2);
    advance(4002);
    busy = last_request()->wire.id;
    ready_with(hub, "w1", "store-data", busy, "one:1", 4, &busy, 1); /* still at it */
    assert_int_equal(requests(), 3);
    assert_int_equal(asks[2].ends, 0);
    reply(hub, "w1", last_request()->wire.id, "2");
    assert_string_equal(asks[2].body, "2");
    assert_int_equal(asks[0].ends + asks[1].ends + asks[3].ends, 0);
    assert_int_equal(hub_in_flight(hub), 0);
}

static void
test_without_a_worker_they_gather(void **state)
{
    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&asks[9], ORDERS_LIST, true);
    debit(&asks[0], 1);
    debit_as(&asks[1], 1, true, 50);
    debit(&asks[2], 1);
    debit(&asks[3], 2);
    assert_int_equal(state_of("store-data").queued, 4);
    hub_cancel(hub, &asks[3].call); /* the only one of its key */
    assert_int_equal(state_of("store-data").queued, 3);
    advance(60);
    assert_int_equal(asks[1].fail, FAIL_GATEWAY_TIMEOUT);
    reply(hub, "w1", last_request()->wire.id, "");
    assert_int_equal(carried(last_request()), 2);
    reply_all("w1", last_request()->wire.id, 2, NOBODY);
    assert_int_equal(asks[0].ends + asks[2].ends, 2);
    assert_int_equal(hub_in_flight(hub), 0);
}

/* Time goes on without a tick: what is late is not sent. */
static void
test_a_late_one_is_not_sent(void **state)
{
    (void)state;
    ready(hub, "w1", "store-data", 0);
    debit(&asks[0], 1);
    debit_as(&asks[1], 1, true, 50);
    debit(&asks[2], 1);
    router.now_ms += 60;
    reply(hub, "w1", last_request()->wire.id, "");
    assert_int_equal(asks[1].fail, FAIL_GATEWAY_TIMEOUT);
    assert_int_equal(carried(last_request()), 1);
    reply(hub, "w1", last_request()->wire.id, "2");
    assert_string_equal(asks[2].body, "2");
    assert_int_equal(hub_in_flight(hub), 0);
}

static void
test_a_lost_worker_is_each_ones_own_loss(void **state)
{
    (void)state;
    ready(hub, "w2", "store-data", 0);
    ready(hub, "w1", "store-data", 0);
    debit(&asks[0], 1);
    debit(&asks[1], 1);
    debit_as(&asks[2], 1, false, 5000);
    debit(&asks[3], 1);
    reply(hub, "w1", last_request()->wire.id, "");
    assert_string_equal(last_request()->to, "w1");
    assert_int_equal(carried(last_request()), 3);
    debit(&asks[4], 1);
    put_in(router.gone, "w1");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(asks[2].ends, 1);
    assert_int_equal(asks[2].fail, FAIL_OUTCOME_UNKNOWN);
    assert_string_equal(last_request()->to, "w2");
    assert_int_equal(carried(last_request()), 3); /* those that may go again, in their order, and who has come since */
    assert_int_equal(element(last_request(), 0, 0), WIRE_FLAG_JSON | WIRE_FLAG_AGAIN);
    assert_int_equal(element(last_request(), 1, 0), WIRE_FLAG_JSON | WIRE_FLAG_AGAIN);
    assert_int_equal(element(last_request(), 2, 0), WIRE_FLAG_JSON);
    ready(hub, "w3", "store-data", 0);
    put_in(router.gone, "w2");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(asks[1].fail, FAIL_OUTCOME_UNKNOWN); /* the second time is the last */
    assert_int_equal(asks[3].fail, FAIL_OUTCOME_UNKNOWN);
    assert_string_equal(last_request()->to, "w3");
    assert_int_equal(last_request()->wire.flags, WIRE_FLAG_JSON | WIRE_FLAG_AGAIN);
    reply(hub, "w3", last_request()->wire.id, "4");
    assert_string_equal(asks[4].body, "4");
    assert_int_equal(hub_in_flight(hub), 0);
}

/* READY does not name the request any more: the answer was lost on its way. */
static void
test_a_lost_reply_is_a_loss_too(void **state)
{
    (void)state;
    ready(hub, "w1", "store-data", 0);
    debit(&asks[0], 1);
    debit(&asks[1], 1);
    debit(&asks[2], 1);
    reply(hub, "w1", last_request()->wire.id, "");
    ready(hub, "w1", "store-data", last_request()->wire.id);
    assert_int_equal(carried(last_request()), 2);
    assert_int_equal(element(last_request(), 0, 0), WIRE_FLAG_JSON | WIRE_FLAG_AGAIN);
    reply_all("w1", last_request()->wire.id, 2, NOBODY);
    assert_int_equal(asks[1].ends + asks[2].ends, 2);
}

static void
test_a_worker_of_another_contract_gets_them_singly(void **state)
{
    struct wire wire = {.type = WIRE_READY};

    (void)state;
    deliver_bytes(hub, "w1", NULL, &wire, "store-data", "\x80", 1); /* tells of no contract */
    assert_int_equal(state_of("store-data").foreign_contract, 1);
    for (unsigned i = 0; i < 4; i++)
        debit(&asks[i], 1);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(carried(last_request()), 1);
        assert_int_equal(last_request()->wire.flags, WIRE_FLAG_JSON);
        reply(hub, "w1", last_request()->wire.id, "");
        assert_int_equal(asks[i].ends, 1);
    }
}

static void
test_one_answer_is_the_answer_to_all(void **state)
{
    struct wire wire = {.type = WIRE_REPLY, .flags = WIRE_FLAG_ERROR, .status = 400};

    (void)state;
    ready(hub, "w1", "store-data", 0);
    for (unsigned i = 0; i < 3; i++)
        debit(&asks[i], 1);
    reply(hub, "w1", last_request()->wire.id, "");
    wire.id = last_request()->wire.id;
    deliver_bytes(hub, "w1", NULL, &wire, "", "no", 2);
    for (unsigned i = 1; i < 3; i++) {
        assert_string_equal(asks[i].body, "no");
        assert_true(asks[i].error && asks[i].status == 400 && asks[i].ends == 1);
    }
}

static void
test_a_broken_reply_leaves_the_outcome_open(void **state)
{
    (void)state;
    ready(hub, "w1", "store-data", 0);
    for (unsigned i = 0; i < 4; i++)
        debit(&asks[i], 1);
    reply(hub, "w1", last_request()->wire.id, "");
    reply_all("w1", last_request()->wire.id, 2, NOBODY); /* of three */
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(asks[i].fail, FAIL_OUTCOME_UNKNOWN);
    assert_int_equal(hub_in_flight(hub), 0);
}

static struct ask *cancelled_by_done;

static void
cancel_another(struct hub_call *call, struct hub_reply *result)
{
    ask_done(call, result);
    hub_cancel(hub, &cancelled_by_done->call);
}

static void
test_the_end_of_one_may_cancel_another(void **state)
{
    (void)state;
    ready(hub, "w1", "store-data", 0);
    for (unsigned i = 0; i < 4; i++)
        debit(&asks[i], 1);
    reply(hub, "w1", last_request()->wire.id, "");
    asks[1].call.done = cancel_another;
    cancelled_by_done = &asks[2];
    reply_all("w1", last_request()->wire.id, 3, NOBODY);
    assert_int_equal(asks[2].ends, 0);
    assert_string_equal(asks[3].body, "2");
    assert_int_equal(hub_in_flight(hub), 0);
}

static void
test_who_waits_counts_for_the_queues_bound(void **state)
{
    static struct ask many[QUEUE_PER_SERVICE_MAX + 2];

    (void)state;
    ready(hub, "w1", "store-data", 0);
    for (unsigned i = 0; i < QUEUE_PER_SERVICE_MAX + 1; i++)
        debit(&many[i], 1);
    assert_int_equal(state_of("store-data").queued, QUEUE_PER_SERVICE_MAX);
    debit(&many[QUEUE_PER_SERVICE_MAX + 1], 2);
    assert_int_equal(many[QUEUE_PER_SERVICE_MAX + 1].fail, FAIL_SERVICE_UNAVAILABLE);
    advance(6000);
    for (unsigned i = 0; i < QUEUE_PER_SERVICE_MAX + 1; i++)
        assert_int_equal(many[i].ends, 1);
}

static void
test_the_hub_may_go_while_some_wait(void **state)
{
    (void)state;
    ready(hub, "w1", "store-data", 0);
    for (unsigned i = 0; i < 5; i++)
        debit(&asks[i], 1 + i / 3);
}

/* ---- whatever happens -------------------------------------------------------------------------------------------- */

#define MODEL_CALLS   128
#define MODEL_KEYS    3
#define MODEL_WORKERS 3
#define MODEL_SLOTS   3

struct carrying {
    uint64_t id;
    unsigned count; /* 1: an ordinary REQUEST */
};

static struct {
    struct ask asks[MODEL_CALLS];
    bool live[MODEL_CALLS];
    struct carrying taken[MODEL_WORKERS][MODEL_SLOTS];
    unsigned held[MODEL_WORKERS], generation[MODEL_WORKERS], seen;
    uint64_t last[MODEL_WORKERS];
    unsigned submitted, ended, together;
    uint32_t random;
} model;

static unsigned
model_random(unsigned below)
{
    model.random = model.random * 1664525 + 1013904223;
    return (model.random >> 8) % below;
}

static void
model_name(unsigned worker, char name[16])
{
    snprintf(name, 16, "m%u.%u", worker, model.generation[worker]);
}

static void
model_take(void)
{
    for (; model.seen < router.count; model.seen++)
        for (unsigned i = 0; i < MODEL_WORKERS; i++) {
            const struct sent *sent = &router.sent[model.seen];
            char name[16];

            model_name(i, name);
            if (sent->wire.type != WIRE_REQUEST || strcmp(sent->to, name) != 0)
                continue;
            assert_true(model.held[i] < MODEL_SLOTS);
            model.last[i] = sent->wire.id;
            model.taken[i][model.held[i]++] = (struct carrying){sent->wire.id, carried(sent)};
            model.together += carried(sent) > 1;
        }
}

static void
model_done(struct hub_call *call, struct hub_reply *result)
{
    struct ask *ask = call->owner;

    assert_true(model.live[ask - model.asks]);
    model.live[ask - model.asks] = false;
    model.ended++;
    zmq_msg_close(&result->headers);
    zmq_msg_close(&result->body);
}

static void
model_work(unsigned worker)
{
    unsigned which = model_random(MODEL_SLOTS);
    struct carrying one;
    uint64_t ids[MODEL_SLOTS];
    char name[16];

    model_name(worker, name);
    if (which >= model.held[worker]) {
        for (unsigned i = 0; i < model.held[worker]; i++)
            ids[i] = model.taken[worker][i].id;
        ready_with(hub, name, "store-data", model.last[worker], name, MODEL_SLOTS, ids, model.held[worker]);
        return;
    }
    one = model.taken[worker][which];
    model.taken[worker][which] = model.taken[worker][--model.held[worker]];
    if (model_random(20) == 0)
        return; /* the reply is lost */
    if (one.count == 1)
        reply(hub, name, one.id, "alone");
    else
        reply_all(name, one.id, one.count - (model_random(50) == 0), NOBODY);
}

static void
model_step(void)
{
    unsigned what = model_random(100), index = model_random(MODEL_CALLS), worker = model_random(MODEL_WORKERS);
    char name[16];

    if (what < 50 && !model.live[index]) {
        struct ask *ask = &model.asks[index];

        ask_init(ask, WALLETS_DEBIT, model_random(2));
        ask->call.store_id = 1 + model_random(MODEL_KEYS);
        ask->call.app_id = 1;
        ask->call.deadline_ms = router.now_ms + model_random(3000);
        ask->call.done = model_done;
        model.live[index] = true;
        model.submitted++;
        hub_submit(hub, &ask->call);
    } else if (what < 80)
        model_work(worker);
    else if (what < 82) {
        model_name(worker, name);
        memset(router.gone, 0, sizeof router.gone);
        put_in(router.gone, name);
        if (model_random(2))
            hub_disconnected(hub);
        advance(600);
        model.generation[worker]++;
        model.held[worker] = 0;
        model.last[worker] = 0;
    } else if (what < 86 && model.live[index]) {
        hub_cancel(hub, &model.asks[index].call);
        model.live[index] = false;
        model.ended++;
    } else
        advance(model_random(100));
}

static void
test_each_ends_once_whatever_happens(void **state)
{
    (void)state;
    memset(&model, 0, sizeof model);
    model.random = 20261122;
    for (unsigned step = 0; step < 50000; step++) {
        model_step();
        model_take();
        if (router.count > SENT_MAX / 2) {
            for (unsigned i = 0; i < router.count; i++)
                free(router.sent[i].body);
            router.count = model.seen = 0;
        }
    }
    advance(10000);
    for (unsigned i = 0; i < MODEL_CALLS; i++)
        assert_false(model.live[i]);
    assert_int_equal(model.submitted, model.ended);
    assert_int_equal(hub_in_flight(hub), 0);
    assert_int_equal(state_of("store-data").queued, 0);
    assert_true(model.submitted > 5000 && model.together > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_comes_meanwhile_goes_together),
        TEST(test_other_keys_and_other_operations_do_not_wait),
        TEST(test_the_next_batch_goes_before_the_last_one_ends),
        TEST(test_at_most_64_and_a_mebibyte),
        TEST(test_each_has_its_own_deadline),
        TEST(test_cancelled_ones_hold_their_key_until_the_reply_or_their_time),
        TEST(test_without_a_worker_they_gather),
        TEST(test_a_late_one_is_not_sent),
        TEST(test_a_lost_worker_is_each_ones_own_loss),
        TEST(test_a_lost_reply_is_a_loss_too),
        TEST(test_a_worker_of_another_contract_gets_them_singly),
        TEST(test_one_answer_is_the_answer_to_all),
        TEST(test_a_broken_reply_leaves_the_outcome_open),
        TEST(test_the_end_of_one_may_cancel_another),
        TEST(test_who_waits_counts_for_the_queues_bound),
        TEST(test_the_hub_may_go_while_some_wait),
        TEST(test_each_ends_once_whatever_happens),
    };

    return cmocka_run_group_tests_name("hub_batches", tests, NULL, NULL);
}

/* test_hub_model.c - the hub under random events: whatever happens, each call ends once and no worker holds
 * more than it has slots. */
#include "hub_asks.h"

#define MODEL_CALLS   64
#define MODEL_WORKERS 6
#define MODEL_SLOTS   3

static struct {
    struct ask asks[MODEL_CALLS];
    bool live[MODEL_CALLS];
    uint64_t taken[MODEL_WORKERS][MODEL_SLOTS]; /* in the worker's hands */
    unsigned count[MODEL_WORKERS];
    uint64_t last[MODEL_WORKERS];
    unsigned seen[MODEL_WORKERS]; /* messages of router.sent it has looked at */
    unsigned generation[MODEL_WORKERS];
    unsigned submitted, ended;
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

static unsigned
model_slots(unsigned worker)
{
    return 1 + worker % MODEL_SLOTS;
}

/* What the worker's socket holds for it: never more than it has slots, or the credit rule is broken. */
static void
model_take(unsigned worker)
{
    char name[16];

    model_name(worker, name);
    for (; model.seen[worker] < router.count; model.seen[worker]++) {
        const struct sent *sent = &router.sent[model.seen[worker]];

        if (strcmp(sent->to, name) != 0 || sent->wire.type != WIRE_REQUEST)
            continue;
        assert_true(model.count[worker] < model_slots(worker));
        model.taken[worker][model.count[worker]++] = model.last[worker] = sent->wire.id;
    }
}

static void
model_done(struct hub_call *call, struct hub_reply *result)
{
    struct ask *ask = call->owner;

    assert_true(model.live[ask - model.asks]);
    model.live[ask - model.asks] = false;
    model.ended++;
    if (!result->local) {
        char expected[32];

        snprintf(expected, sizeof expected, "%llx", (unsigned long long)call->id);
        assert_int_equal(zmq_msg_size(&result->body), strlen(expected));
        assert_memory_equal(zmq_msg_data(&result->body), expected, strlen(expected));
    }
    zmq_msg_close(&result->headers);
    zmq_msg_close(&result->body);
}

static void
model_work(unsigned worker)
{
    unsigned which = model_random(MODEL_SLOTS);
    char name[16], body[32];
    uint64_t id;

    model_name(worker, name);
    model_take(worker);
    if (which >= model.count[worker]) {
        ready_with(hub, name, "store-data", model.last[worker], name, model_slots(worker), model.taken[worker],
                   model.count[worker]);
        return;
    }
    id = model.taken[worker][which];
    model.taken[worker][which] = model.taken[worker][--model.count[worker]];
    snprintf(body, sizeof body, "%llx", (unsigned long long)id);
    if (model_random(20) != 0) /* now and then a reply is lost */
        reply(hub, name, id, body);
}

static void
model_kill(unsigned worker)
{
    char name[16];

    model_name(worker, name);
    memset(router.gone, 0, sizeof router.gone);
    put_in(router.gone, name);
    if (model_random(2))
        hub_disconnected(hub);
    advance(600);
    model.generation[worker]++;
    model.count[worker] = 0;
    model.last[worker] = 0;
}

static void
model_step(void)
{
    unsigned what = model_random(100), index = model_random(MODEL_CALLS), worker = model_random(MODEL_WORKERS);

    if (what < 40 && !model.live[index]) {
        ask_init(&model.asks[index], ORDERS_LIST, model_random(2));
        model.asks[index].call.deadline_ms = router.now_ms + model_random(3000);
        model.asks[index].call.done = model_done;
        model.live[index] = true;
        model.submitted++;
        hub_submit(hub, &model.asks[index].call);
    } else if (what < 80)
        model_work(worker);
    else if (what < 82)
        model_kill(worker);
    else if (what < 85 && model.live[index]) {
        hub_cancel(hub, &model.asks[index].call);
        model.live[index] = false;
        model.ended++;
    } else if (what < 87) {
        char name[16];

        model_name(worker, name);
        reply(hub, name, model_random(1000), "not asked");
    } else
        advance(model_random(200));
}

static void
test_every_call_ends_once_whatever_happens(void **state)
{
    (void)state;
    memset(&model, 0, sizeof model);
    model.random = 20260101;
    for (unsigned step = 0; step < 50000; step++) {
        model_step();
        for (unsigned i = 0; i < MODEL_WORKERS; i++)
            model_take(i);
        if (router.count > SENT_MAX / 2) {
            for (unsigned i = 0; i < router.count; i++)
                free(router.sent[i].body);
            router.count = 0;
            memset(model.seen, 0, sizeof model.seen);
        }
    }
    advance(10000);
    for (unsigned i = 0; i < MODEL_CALLS; i++)
        assert_false(model.live[i]);
    assert_int_equal(model.submitted, model.ended);
    assert_int_equal(hub_in_flight(hub), 0);
    assert_int_equal(state_of("store-data").queued, 0);
    assert_true(model.submitted > 5000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_call_ends_once_whatever_happens),
    };

    return cmocka_run_group_tests_name("hub_model", tests, NULL, NULL);
}

/* hub_asks.h - what the tests of the hub share: requests that note how they ended, and a clock that ticks the hub. */
#ifndef HUB_ASKS_H
#define HUB_ASKS_H

#include "fake_router.h"

#define ORDERS_LIST   (&operations[7])
#define ORDERS_CREATE (&operations[6])
#define WALLETS_DEBIT (&operations[9])

struct ask {
    struct hub_call call;
    struct buf request;
    unsigned ends;
    bool local;
    enum fail fail;
    int status;
    bool error;
    char body[256];
    struct ask *then; /* submitted by done */
};

static struct hub *hub;

static inline void
ask_done(struct hub_call *call, struct hub_reply *result)
{
    struct ask *ask = call->owner;

    ask->ends++;
    ask->local = result->local;
    ask->fail = result->fail;
    ask->status = result->status;
    ask->error = result->error;
    snprintf(ask->body, sizeof ask->body, "%.*s", (int)zmq_msg_size(&result->body),
             (char *)zmq_msg_data(&result->body));
    zmq_msg_close(&result->headers);
    zmq_msg_close(&result->body);
    if (ask->then != NULL)
        hub_submit(hub, &ask->then->call);
}

static inline void
ask_init(struct ask *ask, const struct operation *operation, bool repeatable)
{
    static char text[] = "request";

    memset(ask, 0, sizeof *ask);
    ask->request = (struct buf){.data = text, .size = sizeof text - 1};
    ask->call.operation = operation;
    ask->call.request = &ask->request;
    ask->call.repeatable = repeatable;
    ask->call.flags = WIRE_FLAG_JSON;
    ask->call.deadline_ms = router.now_ms + 5000;
    ask->call.done = ask_done;
    ask->call.owner = ask;
}

static inline void
submit(struct ask *ask, const struct operation *operation, bool repeatable)
{
    ask_init(ask, operation, repeatable);
    hub_submit(hub, &ask->call);
}

static inline void
advance(int64_t by_ms)
{
    int64_t until_ms = router.now_ms + by_ms;

    for (int64_t next_ms; (next_ms = hub_next_ms(hub)) <= until_ms;) {
        router.now_ms = next_ms > router.now_ms ? next_ms : router.now_ms;
        hub_tick(hub);
    }
    router.now_ms = until_ms;
}

static inline struct hub_service_state
state_of(const char *service)
{
    struct hub_service_state states[SERVICES_MAX];
    unsigned count = hub_services(hub, states, SERVICES_MAX);

    for (unsigned i = 0; i < count; i++)
        if (strcmp(states[i].service, service) == 0)
            return states[i];
    fail();
    return states[0];
}

static inline int
set_up(void **state)
{
    (void)state;
    router_reset();
    hub = hub_new(&router_transport, GATEWAY_ID);
    return 0;
}

static inline int
tear_down(void **state)
{
    (void)state;
    hub_destroy(&hub);
    assert_null(hub);
    hub_destroy(&hub);
    router_free();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif

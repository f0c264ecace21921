/* fake_router.h - a ROUTER and a clock made of plain memory, and a small contract, for tests of what stands on the hub.
 *
 * Every message the hub sends is kept and can be looked at; routing ids can be gone or full. Included by one file of a
 * program, which is why everything here is static and why it may define operations[].
 */
#ifndef FAKE_ROUTER_H
#define FAKE_ROUTER_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bounds.h"
#include "hub.h"
#include "in.h"
#include "out.h"

#define SENT_MAX   65536
#define GATEWAY_ID 77

static const char *const by_operator[] = {"operator", NULL};
static const char *const by_gateway[] = {"gateway", NULL};
static const char *const by_store_data[] = {"store-data", NULL};
static const char *const by_auth[] = {"auth", NULL};

const struct operation operations[] = {
    {.name = "auth.identity.introspect", .pool = "auth", .callers = by_gateway, .timeout_ms = 5000, .retry = true},
    {.name = "auth.identity.join", .pool = "auth-aside", .callers = by_gateway, .timeout_ms = 5000, .retry = true},
    {.name = "auth.identity.renew", .pool = "auth-aside", .callers = by_gateway, .timeout_ms = 5000, .retry = true},
    {.name = "auth.stores.members", .pool = "auth", .callers = by_store_data, .timeout_ms = 5000, .retry = true},
    {.name = "auth.tokens.revoke", .pool = "auth", .callers = by_operator, .timeout_ms = 5000},
    {.name = "gateway.health.live", .pool = "gateway", .path = "/livez", .timeout_ms = 5000},
    {.name = "store-data.orders.create",
     .pool = "store-data",
     .audience = AUDIENCE_APP,
     .method = HTTP_POST,
     .path = "/api/apps/v1/orders",
     .timeout_ms = 5000,
     .retry = true},
    {.name = "store-data.orders.list",
     .pool = "store-data",
     .audience = AUDIENCE_APP,
     .method = HTTP_GET,
     .path = "/api/apps/v1/orders",
     .timeout_ms = 5000,
     .retry = true},
    {.name = "store-data.stores.create", .pool = "store-data", .actors = by_auth, .timeout_ms = 5000},
    {.name = "store-data.wallets.debit",
     .pool = "store-data",
     .audience = AUDIENCE_APP,
     .method = HTTP_POST,
     .path = "/api/apps/v1/billing/wallet/debit",
     .timeout_ms = 5000,
     .retry = true,
     .batch = true},
};
const unsigned operation_count = ARRAY_COUNT(operations);

struct sent {
    char to[16];
    struct wire wire;
    char name[128];
    char *body;
    size_t body_size;
};

static struct {
    int64_t now_ms;
    struct sent *sent;
    unsigned count;
    char gone[16][16];
    char full[16][16];
    uint64_t invalidated;        /* version of the last INVALIDATE */
    unsigned acks_at_invalidate; /* what had been sent when it was applied */
    void (*on_invalidate)(uint64_t version, struct str tags);
} router;

static bool
is_in(char list[16][16], const char *id)
{
    for (unsigned i = 0; i < 16; i++)
        if (strcmp(list[i], id) == 0)
            return true;
    return false;
}

static inline void
put_in(char list[16][16], const char *id)
{
    for (unsigned i = 0; i < 16; i++)
        if (list[i][0] == '\0') {
            snprintf(list[i], 16, "%s", id);
            return;
        }
    abort();
}

static inline void
take_from(char list[16][16], const char *id)
{
    for (unsigned i = 0; i < 16; i++)
        if (strcmp(list[i], id) == 0)
            list[i][0] = '\0';
}

static int
router_send(void *context, const void *routing_id, size_t routing_size, const struct wire *wire, struct str name,
            struct str body)
{
    struct sent *sent = &router.sent[router.count];

    (void)context;
    assert_true(router.count < SENT_MAX && routing_size < sizeof sent->to && name.len < sizeof sent->name);
    memset(sent, 0, sizeof *sent);
    memcpy(sent->to, routing_id, routing_size);
    if (is_in(router.gone, sent->to) || is_in(router.full, sent->to)) {
        errno = is_in(router.gone, sent->to) ? EHOSTUNREACH : EAGAIN;
        return -1;
    }
    sent->wire = *wire;
    memcpy(sent->name, name.base, name.len);
    sent->body = xmalloc(body.len + 1);
    if (body.len > 0)
        memcpy(sent->body, body.base, body.len);
    sent->body_size = body.len;
    router.count++;
    return 0;
}

static int64_t
router_now_ms(void *context)
{
    (void)context;
    return router.now_ms;
}

static void
router_invalidate(void *context, uint64_t version, struct str tags)
{
    (void)context;
    router.invalidated = version;
    router.acks_at_invalidate = router.count;
    if (router.on_invalidate != NULL)
        router.on_invalidate(version, tags);
}

static const struct hub_transport router_transport = {
    .send = router_send, .now_ms = router_now_ms, .invalidate = router_invalidate};

static void
router_reset(void)
{
    struct sent *sent = router.sent;

    for (unsigned i = 0; i < router.count; i++)
        free(sent[i].body);
    memset(&router, 0, sizeof router);
    router.sent = sent == NULL ? xmalloc(SENT_MAX * sizeof *sent) : sent;
    router.now_ms = 1000000;
}

static inline void
router_free(void)
{
    router_reset();
    free(router.sent);
    router.sent = NULL;
}

/* The number'th message from the end; 1 is the last. */
static inline struct sent *
sent_last(unsigned number)
{
    assert_true(number <= router.count);
    return &router.sent[router.count - number];
}

static void
deliver_bytes(struct hub *hub, const char *from, const char *peer, const struct wire *wire, const char *name_text,
              const void *data, size_t size)
{
    struct str routing_id = {from, strlen(from)};
    zmq_msg_t header, name, body;

    zmq_msg_init_size(&header, WIRE_SIZE);
    wire_encode(wire, zmq_msg_data(&header));
    zmq_msg_init_size(&name, strlen(name_text));
    memcpy(zmq_msg_data(&name), name_text, strlen(name_text));
    zmq_msg_init_size(&body, size);
    if (size > 0)
        memcpy(zmq_msg_data(&body), data, size);
    hub_receive(hub, routing_id, peer, &header, &name, &body);
}

/* The READY of a worker with so many slots that has these requests in its hands. */
static inline void
ready_with(struct hub *hub, const char *from, const char *service, uint64_t id, const char *instance, unsigned slots,
           const uint64_t *held, unsigned held_count)
{
    struct wire wire = {.type = WIRE_READY, .id = id};
    struct buf body;
    struct out out;

    buf_init(&body, 1024);
    out_init(&out, &body, OUT_MSGPACK);
    out_map(&out, 4);
    out_key(&out, "instance");
    out_text(&out, instance);
    out_key(&out, "contract");
    out_text(&out, contract_digest);
    out_key(&out, "slots");
    out_int(&out, slots);
    out_key(&out, "held");
    out_list(&out, held_count);
    for (unsigned i = 0; i < held_count; i++)
        out_int(&out, (uint32_t)held[i]);
    deliver_bytes(hub, from, NULL, &wire, service, body.data, body.size);
    buf_free(&body);
}

static inline void
ready_of(struct hub *hub, const char *from, const char *service, uint64_t id, const char *instance)
{
    ready_with(hub, from, service, id, instance, 1, NULL, 0);
}

/* Of a process of its own. */
static inline void
ready(struct hub *hub, const char *from, const char *service, uint64_t id)
{
    ready_of(hub, from, service, id, from);
}

static inline void
reply(struct hub *hub, const char *from, uint64_t id, const char *body)
{
    struct wire wire = {.type = WIRE_REPLY, .id = id, .status = 200};

    deliver_bytes(hub, from, NULL, &wire, "", body, strlen(body));
}

static inline void
request(struct hub *hub, const char *from, const char *peer, const char *operation, uint64_t id, uint8_t flags,
        uint32_t budget_ms)
{
    struct wire wire = {.type = WIRE_REQUEST, .id = id, .flags = flags, .budget_ms = budget_ms};

    deliver_bytes(hub, from, peer, &wire, operation, "\x80", 1);
}

#endif

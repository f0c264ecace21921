/* hub.h - workers, credits, queues, deadlines, retries; knows no HTTP (protocols 1, 2, 3, 4, 14).
 *
 * A worker, which is a process's pool of threads, has given this gateway so many slots. A request goes to the worker of
 * its service with the smallest part of them taken, else it waits in that service's bounded queue, else it fails with
 * 503. A worker that vanishes with requests in hand is found by PING; each is sent to another worker when that is safe,
 * else it ends as `outcome_unknown`. Every request ends exactly once, by its `done`. Those of an operation with x-batch
 * that come while one of the same app in the same store is under way go together when it is done (protocols 10).
 *
 * The hub's clock and its way of sending are given to it, so that unit tests drive it without sockets. Single-threaded.
 */
#ifndef HUB_H
#define HUB_H

#include <zmq.h>

#include "buf.h"
#include "contract.h"
#include "wire.h"

struct hub;
struct hub_batch;
struct hub_call;
struct hub_queue;
struct hub_worker;

/* What a request ended with. The messages are the receiver's to close; they are empty when local is set. */
struct hub_reply {
    bool local;     /* made by the hub: fail says why; no worker answered */
    enum fail fail; /* FAIL_SERVICE_UNAVAILABLE, FAIL_GATEWAY_TIMEOUT, FAIL_OUTCOME_UNKNOWN */
    int status;
    bool error;        /* body is the error map (proto/README.md), msgpack */
    bool batch;        /* the hub's own: body answers several */
    zmq_msg_t headers; /* msgpack map of extra HTTP headers, or empty */
    zmq_msg_t body;
};

/* One request on its way. Embedded in its owner; the hub keeps pointers to it from hub_submit until done has run or
 * hub_cancel was called. */
struct hub_call {
    /* set by the owner */
    const struct operation *operation;
    const struct buf *request; /* frame 3; must stay as it is until the end, for the second attempt */
    uint8_t flags;             /* WIRE_FLAG_JSON */
    bool repeatable;           /* may go to a second worker: safe method, or keyed and x-retry */
    int64_t deadline_ms;       /* monotonic */
    int64_t store_id, app_id;  /* who asks, where the operation has x-batch; 0: it goes alone */
    void (*done)(struct hub_call *self, struct hub_reply *reply);
    void *owner;
    const char *request_id; /* for the log; NULL when none */
    /* told by the hub, for the access log */
    unsigned attempts;
    int64_t submitted_ms, sent_ms;
    /* the hub's own */
    uint64_t id;
    struct hub_worker *worker;
    struct hub_call *next, *previous;
    struct hub_batch *batch;   /* it waits in, or is under way with */
    struct hub_batch *carries; /* it stands for all of this one */
    struct hub_queue *list;    /* of batch it stands in */
    unsigned place;            /* in the REQUEST that carries it */
    size_t deadline_index;
    uint8_t state;
};

struct hub_transport {
    /* Sends one message to a routing id without waiting. 0, or -1 with errno: EHOSTUNREACH (gone), EAGAIN (full). */
    int (*send)(void *context, const void *routing_id, size_t routing_size, const struct wire *wire, struct str name,
                struct str body);
    int64_t (*now_ms)(void *context);
    /* INVALIDATE from auth: apply the tags, then the hub acks. */
    void (*invalidate)(void *context, uint64_t version, struct str tags);
    void *context;
};

/* gateway_id is this incarnation's id as auth knows it (ACK carries it). The transport is copied. Pools are known from
 * operations[]; a pool nobody has been ready for counts as just lost when the hub is made, so that the first requests
 * after a restart wait for the workers' READY instead of failing. */
struct hub *hub_new(const struct hub_transport *transport, int64_t gateway_id);
void hub_destroy(struct hub **self); /* calls still in flight are forgotten without done: their owners went before */
int64_t hub_now_ms(const struct hub *self); /* the transport's clock */

/* The contract's entry of a name, or NULL. Names are sorted, so this is a binary search. */
const struct operation *hub_operation(struct str name);

/* Ends with done, at once (inside this function) or later, always. The done may submit again. Set WIRE_FLAG_NESTED in
 * flags only for a request made by somebody who holds a worker: it goes to the head of the queue and never meets
 * "full". */
void hub_submit(struct hub *self, struct hub_call *call);
void hub_cancel(struct hub *self, struct hub_call *call); /* the owner is gone; a late reply is dropped */

/* One message from the ROUTER: routing id, header, name, body. peer is the CURVE key's name or NULL on ipc (protocols
 * 4: the hub refuses undeclared callers; decision 12: a READY under another name is refused). Takes the messages over.
 *
 * Who a REQUEST comes from: the CURVE name; else the service the peer is ready for; else, on ipc, the service its
 * `caller` names (an actor, a worker thread's own socket); else "operator". */
void hub_receive(struct hub *self, struct str routing_id, const char *peer, zmq_msg_t *header, zmq_msg_t *name,
                 zmq_msg_t *body);

void hub_disconnected(struct hub *self);     /* the monitor saw a peer go: start asking who is still there */
int64_t hub_next_ms(const struct hub *self); /* monotonic time at which hub_tick is needed; INT64_MAX when never */
void hub_tick(struct hub *self);             /* deadlines, pings */

/* For /readyz: does a service have a worker; how many, how busy. A worker whose contract digest differs counts but is
 * reported. One entry per pool that the contract names, also for one nobody is in: "auth" and "auth-aside". */
struct hub_service_state {
    const char *service; /* the pool's name; lives as long as the hub */
    unsigned workers, idle, queued;
    unsigned foreign_contract;
};
unsigned hub_services(const struct hub *self, struct hub_service_state *target, unsigned max);

/* Drain (SIGTERM): from now on requests from peers get 503, except nested ones, which what is in flight depends on. */
void hub_drain(struct hub *self);
unsigned hub_in_flight(const struct hub *self); /* queued or sent; the gateway's own (lease renewals) count as well */

#endif

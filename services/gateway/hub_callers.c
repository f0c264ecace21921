/* hub_callers.c - requests that come in from the other side: services calling services, actors, sxctl (protocols 4).
 *
 * Each becomes a call of the hub like any other; its answer goes back to the routing id it came from, under the
 * id it came with. Who may call what is the contract's word (x-callers, x-actors); everything else is refused here, so
 * no cycle of waiting services can arise.
 */
#include "hub_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "in.h"
#include "log.h"
#include "metric.h"
#include "out.h"

static struct metric refused_total =
    METRIC_COUNTER("sx_hub_refused_callers_total", "Requests of peers that the contract does not allow.");
static struct metric unsent_total =
    METRIC_COUNTER("sx_hub_unsent_replies_total", "Replies whose caller was gone or took nothing.");

struct hub_nested {
    struct hub_call call;
    struct hub *hub;
    struct hub_worker *caller;
    struct hub_nested *next, **link; /* link: what points here */
    uint64_t caller_id;
    bool nested;        /* counted in caller->nested */
    struct buf request; /* a view of body */
    zmq_msg_t body;
};

static void
send_reply(struct hub *self, struct str routing_id, const struct wire *wire, struct str headers, struct str body)
{
    if (self->transport.send(self->transport.context, routing_id.base, routing_id.len, wire, headers, body) == 0)
        return;
    metric_add(&unsent_total, 1);
    if (errno == EHOSTUNREACH && self->worker_count > 0)
        hub_disconnected(self);
}

static void
send_fail(struct hub *self, struct str routing_id, uint64_t id, enum fail fail, const char *message)
{
    struct wire wire = {
        .type = WIRE_REPLY, .flags = WIRE_FLAG_ERROR, .status = (uint16_t)fail_texts[fail].status, .id = id};
    struct buf body;
    struct out out;

    buf_init(&body, 4096);
    out_init(&out, &body, OUT_MSGPACK);
    out_map(&out, 3);
    out_key(&out, "code");
    out_text(&out, fail_texts[fail].code);
    out_key(&out, "status");
    out_int(&out, fail_texts[fail].status);
    out_key(&out, "message");
    out_text(&out, message == NULL ? fail_texts[fail].message : message);
    send_reply(self, routing_id, &wire, STR(""), (struct str){body.data, body.size});
    buf_free(&body);
}

static void
nested_free(struct hub_nested *self)
{
    *self->link = self->next;
    if (self->next != NULL)
        self->next->link = self->link;
    self->caller->nested -= self->nested;
    zmq_msg_close(&self->body);
    free(self);
}

static void
nested_done(struct hub_call *call, struct hub_reply *reply)
{
    struct hub_nested *self = call->owner;
    struct hub_worker *caller = self->caller;
    struct hub *hub = self->hub;
    struct str routing_id = {(const char *)caller->routing, caller->routing_size};
    uint64_t id = self->caller_id;

    nested_free(self);
    if (reply->local)
        send_fail(hub, routing_id, id, reply->fail, NULL);
    else {
        struct wire wire = {.type = WIRE_REPLY,
                            .flags = reply->error ? WIRE_FLAG_ERROR : 0,
                            .status = (uint16_t)reply->status,
                            .id = id};

        send_reply(hub, routing_id, &wire, (struct str){zmq_msg_data(&reply->headers), zmq_msg_size(&reply->headers)},
                   (struct str){zmq_msg_data(&reply->body), zmq_msg_size(&reply->body)});
    }
    zmq_msg_close(&reply->headers);
    zmq_msg_close(&reply->body);
    if (caller->requests == NULL && (caller->pool == NULL || (caller->leaving && caller->sent_count == 0)))
        hub_worker_forget(hub, caller);
}

void
hub_drop_requests(struct hub *self, struct hub_worker *caller)
{
    for (struct hub_nested *each = caller->requests, *next; each != NULL; each = next) {
        next = each->next;
        hub_cancel(self, &each->call);
        nested_free(each);
    }
}

static bool
is_among(const char *const *services, const char *caller)
{
    if (services == NULL || caller == NULL)
        return false;
    for (const char *const *each = services; *each != NULL; each++)
        if (strcmp(*each, caller) == 0)
            return true;
    return false;
}

/* A handler holds a worker while it asks, and says so: upwards it could wait in a circle for itself. */
static bool
is_listed(const struct operation *operation, const char *caller, bool handler)
{
    return is_among(operation->callers, caller) || (!handler && is_among(operation->actors, caller));
}

/* An unnamed peer on ipc is one of the platform's own processes, in a directory only they can enter: an actor, or a
 * worker thread with a request of its own. It says which in its request. */
static bool
is_allowed(struct hub *self, const struct hub_worker *worker, const char *peer, const struct operation *operation,
           const struct wire *wire, struct str request)
{
    bool handler = (wire->flags & WIRE_FLAG_NESTED) != 0;
    const char *caller = peer;
    struct in in;
    bool allowed;

    if (caller == NULL)
        caller = worker != NULL && worker->pool != NULL ? worker->pool->service : "operator";
    if (is_listed(operation, caller, handler))
        return true;
    if (strcmp(caller, "operator") != 0)
        return false;
    if (operation->path != NULL || (operation->callers == NULL && operation->actors == NULL))
        return true;
    if (peer != NULL)
        return false;
    allowed = in_decode(&in, self->arena, request.base, request.len) == 0 &&
              is_listed(operation, in_text(in, "caller.service"), handler);
    arena_reset(self->arena);
    return allowed;
}

/* NAME.metrics.read is answered by every service and listed in no contract. */
static const struct operation *
find_operation(struct hub *self, struct str name)
{
    static const char suffix[] = ".metrics.read";
    const struct operation *operation = hub_operation(name);
    struct hub_pool *pool;

    if (operation != NULL)
        return strcmp(operation->pool, "gateway") == 0 ? NULL : operation;
    if (name.len < sizeof suffix || memcmp(name.base + name.len - (sizeof suffix - 1), suffix, sizeof suffix - 1) != 0)
        return NULL;
    pool = hub_pool_named(self, (struct str){name.base, name.len - (sizeof suffix - 1)});
    return pool == NULL ? NULL : &pool->metrics_read;
}

static void
write_processes(struct out *out, const struct hub *self, const struct hub_pool *pool)
{
    unsigned count = 0;

    for (const struct hub_worker *each = self->workers; each != NULL; each = each->next)
        count += each->pool == pool;
    out_list(out, count);
    for (const struct hub_worker *each = self->workers; each != NULL; each = each->next) {
        if (each->pool != pool)
            continue;
        out_map(out, 4);
        out_key(out, "instance");
        out_text(out, each->instance);
        out_key(out, "workers");
        out_int(out, each->slots);
        out_key(out, "idle");
        out_int(out, each->idle ? hub_worker_free(each) : 0);
        out_key(out, "requests");
        out_int(out, (int64_t)each->total);
    }
}

/* gateway.who: who is connected to this gateway. */
static void
answer_who(struct hub *self, struct str routing_id, const struct wire *request)
{
    struct wire wire = {.type = WIRE_REPLY, .status = 200, .id = request->id};
    struct hub_service_state states[SERVICES_MAX];
    struct buf body;
    struct out out;

    hub_services(self, states, SERVICES_MAX);
    buf_init(&body, WIRE_MESSAGE_MAX);
    out_init(&out, &body, request->flags & WIRE_FLAG_JSON ? OUT_JSON : OUT_MSGPACK);
    out_list(&out, self->pool_count);
    for (unsigned i = 0; i < self->pool_count; i++) {
        const struct hub_pool *pool = &self->pools[i];

        out_map(&out, 6);
        out_key(&out, "service");
        out_text(&out, pool->name);
        out_key(&out, "workers");
        out_int(&out, states[i].workers);
        out_key(&out, "idle");
        out_int(&out, states[i].idle);
        out_key(&out, "queued");
        out_int(&out, pool->queued);
        out_key(&out, "foreign_contract");
        out_int(&out, pool->foreign);
        out_key(&out, "processes");
        write_processes(&out, self, pool);
    }
    send_reply(self, routing_id, &wire, STR(""), (struct str){body.data, body.size});
    buf_free(&body);
}

/* Makes the call out of a request that has passed every check. */
static void
submit_nested(struct hub *self, struct hub_worker *caller, const struct operation *operation, const struct wire *wire,
              zmq_msg_t *body)
{
    struct hub_nested *nested = xcalloc(1, sizeof *nested);
    uint32_t budget_ms = wire->budget_ms < REQUEST_BUDGET_MAX_MS ? wire->budget_ms : REQUEST_BUDGET_MAX_MS;

    nested->hub = self;
    nested->caller = caller;
    nested->caller_id = wire->id;
    nested->nested = (wire->flags & WIRE_FLAG_NESTED) != 0 && caller->nested < PEER_NESTED_MAX;
    caller->nested += nested->nested;
    nested->link = &caller->requests;
    nested->next = caller->requests;
    if (nested->next != NULL)
        nested->next->link = &nested->next;
    caller->requests = nested;
    zmq_msg_init(&nested->body);
    zmq_msg_move(&nested->body, body);
    nested->request.data = zmq_msg_data(&nested->body);
    nested->request.size = zmq_msg_size(&nested->body);
    nested->call.operation = operation;
    nested->call.request = &nested->request;
    nested->call.flags = wire->flags & (WIRE_FLAG_JSON | WIRE_FLAG_AGAIN);
    nested->call.flags |= nested->nested ? WIRE_FLAG_NESTED : 0;
    /* An internal operation marked x-retry is repeatable by itself; a POST only with a key, which is not looked for
     * here. */
    nested->call.repeatable = operation->retry && (operation->path == NULL || operation->method == HTTP_GET);
    nested->call.deadline_ms = hub_now_ms(self) + budget_ms;
    nested->call.done = nested_done;
    nested->call.owner = nested;
    hub_submit(self, &nested->call);
}

void
hub_take_request(struct hub *self, struct str routing_id, const char *peer, const struct wire *wire, zmq_msg_t *name,
                 zmq_msg_t *body)
{
    struct str name_text = {zmq_msg_data(name), zmq_msg_size(name)};
    struct str body_text = {zmq_msg_data(body), zmq_msg_size(body)};
    struct hub_worker *worker = hub_worker_find(self, routing_id);
    const struct operation *operation;

    if (str_is(name_text, "gateway.who")) {
        answer_who(self, routing_id, wire);
        return;
    }
    operation = find_operation(self, name_text);
    if (operation == NULL) {
        metric_add(&refused_total, 1);
        send_fail(self, routing_id, wire->id, FAIL_NOT_FOUND,
                  "No operation of this name is in the contract; see proto/ for those there are");
        return;
    }
    if (!is_allowed(self, worker, peer, operation, wire, body_text)) {
        metric_add(&refused_total, 1);
        log_event(LOG_WARN, "caller_refused", "s:operation", operation->name, "s:peer", peer, NULL);
        send_fail(self, routing_id, wire->id, FAIL_FORBIDDEN,
                  "The operation's x-callers do not list the calling service (x-actors are for its actors alone)");
        return;
    }
    if (worker == NULL)
        worker = hub_worker_add(self, routing_id);
    if (worker == NULL || (self->draining && (wire->flags & WIRE_FLAG_NESTED) == 0)) {
        send_fail(self, routing_id, wire->id, FAIL_SERVICE_UNAVAILABLE, NULL);
        if (worker != NULL && worker->pool == NULL && worker->requests == NULL)
            hub_worker_forget(self, worker);
        return;
    }
    submit_nested(self, worker, operation, wire, body);
}

/* hub.c - requests on their way to workers: queues, dispatch, retries, the one end of each.
 *
 * The rules, in one place. A pool with an idle worker has an empty queue. A call is in exactly one of three states:
 * queued, sent to the one worker whose `sent` points to it, or ended; one that is in a batch (hub_batches.c) is queued
 * and sent with the call that carries it. Whatever may run a `done` comes last in its function, because a done may
 * submit the next call, which may end others.
 */
#include "hub_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "metric.h"

static struct metric lost_total = METRIC_COUNTER("sx_hub_lost_total", "Requests whose worker vanished.");
static struct metric retries_total = METRIC_COUNTER("sx_hub_retries_total", "Requests given to a second worker.");
static struct metric unknown_total =
    METRIC_COUNTER("sx_hub_outcome_unknown_total", "Requests that ended as outcome_unknown.");
static struct metric timeouts_total = METRIC_COUNTER("sx_hub_timeouts_total", "Requests that met their deadline.");
static struct metric no_worker_total =
    METRIC_COUNTER("sx_hub_refused_no_worker_total", "Requests refused because their service had no worker.");
static struct metric full_total =
    METRIC_COUNTER("sx_hub_refused_full_total", "Requests refused because their service's queue was full.");
static struct metric malformed_total =
    METRIC_COUNTER("sx_hub_malformed_total", "Messages from peers that were not understood.");

#define NO_POOL UINT8_MAX /* the gateway's own operations need no worker */

/* One gauge per pool. Metrics are never unregistered, so they are the process's, not the hub's. */
static struct metric queue_gauges[SERVICES_MAX];
static char queue_labels[SERVICES_MAX][SERVICE_NAME_MAX + sizeof "service=\"\""];

void
hub_count_queue(struct hub *self, struct hub_pool *pool)
{
    metric_set(&queue_gauges[pool - self->pools], pool->queued);
}

struct hub_pool *
hub_pool_named(struct hub *self, struct str name)
{
    for (unsigned i = 0; i < self->pool_count; i++)
        if (str_is(name, self->pools[i].name))
            return &self->pools[i];
    return NULL;
}

static struct hub_pool *
pool_add(struct hub *self, const struct operation *operation)
{
    struct hub_pool *pool = &self->pools[self->pool_count];
    struct metric *gauge = &queue_gauges[self->pool_count];
    struct str service, rest;

    if (self->pool_count == SERVICES_MAX || strlen(operation->pool) > SERVICE_NAME_MAX ||
        wire_split(operation->name, strlen(operation->name), &service, &rest))
        log_fatal("contract_has_too_many_services", "s:operation", operation->name, NULL);
    snprintf(pool->name, sizeof pool->name, "%s", operation->pool);
    snprintf(pool->service, sizeof pool->service, "%.*s", (int)service.len, service.base);
    snprintf(pool->metrics_name, sizeof pool->metrics_name, "%s.metrics.read", operation->pool);
    pool->metrics_read = (struct operation){.name = pool->metrics_name, .pool = pool->name, .retry = true};
    pool->seen_ms = hub_now_ms(self);
    snprintf(queue_labels[self->pool_count], sizeof queue_labels[0], "service=\"%s\"", pool->name);
    gauge->kind = METRIC_KIND_GAUGE;
    gauge->name = "sx_hub_queue_length";
    gauge->help = "Requests waiting for a worker.";
    gauge->labels = queue_labels[self->pool_count];
    self->pool_count++;
    hub_count_queue(self, pool);
    return pool;
}

struct hub *
hub_new(const struct hub_transport *transport, int64_t gateway_id)
{
    struct hub *self = xcalloc(1, sizeof *self);

    self->transport = *transport;
    self->gateway_id = gateway_id;
    self->arena = arena_new(4096);
    self->pool_of = xcalloc(operation_count, sizeof self->pool_of[0]);
    self->ping_ms = self->sweep_ms = INT64_MAX;
    self->ping_step = HUB_PING_ROUNDS + 1;
    for (unsigned i = 0; i < operation_count; i++) {
        struct hub_pool *pool = hub_pool_named(self, str_of(operations[i].pool));

        self->pool_of[i] = NO_POOL;
        if (strcmp(operations[i].pool, "gateway") == 0)
            continue;
        if (pool == NULL)
            pool = pool_add(self, &operations[i]);
        self->pool_of[i] = (uint8_t)(pool - self->pools);
    }
    return self;
}

void
hub_destroy(struct hub **self)
{
    struct hub *hub = *self;

    if (hub == NULL)
        return;
    for (unsigned i = 0; i < WORKER_BUCKETS; i++)
        for (struct hub_worker *each = hub->buckets[i]; each != NULL; each = each->bucket_next)
            hub_drop_requests(hub, each);
    for (unsigned i = 0; i < WORKER_BUCKETS; i++)
        while (hub->buckets[i] != NULL)
            hub_worker_forget(hub, hub->buckets[i]);
    hub_batches_forget(hub);
    arena_destroy(&hub->arena);
    free(hub->deadlines);
    free(hub->pool_of);
    free(hub);
    *self = NULL;
}

int64_t
hub_now_ms(const struct hub *self)
{
    return self->transport.now_ms(self->transport.context);
}

const struct operation *
hub_operation(struct str name)
{
    unsigned low = 0, high = operation_count;

    if (name.len > OPERATION_NAME_MAX || memchr(name.base, 0, name.len)) /* it would end the comparison too early */
        return NULL;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = strncmp(name.base, operations[middle].name, name.len);

        if (order == 0 && operations[middle].name[name.len] != '\0')
            order = -1;
        if (order == 0)
            return &operations[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static struct hub_pool *
pool_of_call(struct hub *self, const struct hub_call *call)
{
    uint8_t index;

    if (call->operation < operations || call->operation >= operations + operation_count)
        return hub_pool_named(self, str_of(call->operation->pool));
    index = self->pool_of[call->operation - operations];
    return index == NO_POOL ? NULL : &self->pools[index];
}

void
hub_list_put(struct hub_queue *self, struct hub_call *call, bool first)
{
    call->next = first ? self->first : NULL;
    call->previous = first ? NULL : self->last;
    if (call->next != NULL)
        call->next->previous = call;
    else
        self->last = call;
    if (call->previous != NULL)
        call->previous->next = call;
    else
        self->first = call;
}

void
hub_list_take(struct hub_queue *self, struct hub_call *call)
{
    if (call->next != NULL)
        call->next->previous = call->previous;
    else
        self->last = call->previous;
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        self->first = call->next;
    call->next = call->previous = NULL;
}

static struct hub_queue *
queue_of(struct hub_pool *pool, const struct hub_call *call)
{
    return &pool->queues[call->flags & WIRE_FLAG_NESTED ? QUEUE_NESTED : QUEUE_ORDINARY];
}

void
hub_enqueue(struct hub *self, struct hub_pool *pool, struct hub_call *call, bool first)
{
    call->state = CALL_QUEUED;
    call->worker = NULL;
    hub_list_put(queue_of(pool, call), call, first);
    pool->queued += call->carries == NULL;
    hub_count_queue(self, pool);
}

void
hub_dequeue(struct hub *self, struct hub_pool *pool, struct hub_call *call)
{
    hub_list_take(queue_of(pool, call), call);
    pool->queued -= call->carries == NULL;
    hub_count_queue(self, pool);
}

/* Takes the call out of wherever it is. Its worker, if it has one, keeps working on it for nobody. */
static void
withdraw(struct hub *self, struct hub_call *call)
{
    if (call->state == CALL_QUEUED)
        hub_dequeue(self, pool_of_call(self, call), call);
    else if (call->state == CALL_IN_BATCH)
        hub_batch_leave(call);
    else if (call->worker != NULL)
        hub_worker_drop_call(call->worker, call);
    hub_deadline_remove(self, call);
    call->worker = NULL;
    call->state = CALL_NONE;
}

void
hub_end(struct hub *self, struct hub_call *call, struct hub_reply *reply)
{
    withdraw(self, call);
    call->done(call, reply);
}

static void
reply_local(struct hub_call *call, enum fail fail)
{
    struct hub_reply reply = {.local = true, .fail = fail, .status = fail_texts[fail].status, .error = true};

    zmq_msg_init(&reply.headers);
    zmq_msg_init(&reply.body);
    call->done(call, &reply);
}

void
hub_end_local(struct hub *self, struct hub_call *call, enum fail fail)
{
    withdraw(self, call);
    reply_local(call, fail);
}

/* False when the worker is not there any more or takes nothing: then it is no longer idle, and the call still queued.
 */
static bool
send_call(struct hub *self, struct hub_pool *pool, struct hub_worker *worker, struct hub_call *call, int64_t now_ms)
{
    struct hub_batch *batch = call->carries;
    int64_t deadline_ms =
        batch == NULL ? call->deadline_ms : hub_batch_load(batch, worker->foreign ? 1 : BATCH_MAX, now_ms);
    uint8_t flags = call->flags & (WIRE_FLAG_JSON | WIRE_FLAG_AGAIN | WIRE_FLAG_BATCH);
    struct wire wire = {.type = WIRE_REQUEST,
                        .flags = flags | (call->attempts > 0 ? WIRE_FLAG_AGAIN : 0),
                        .id = (worker->last_sent == 0 ? wire_incarnation() : worker->last_sent) + 1,
                        .budget_ms = (uint32_t)(deadline_ms - now_ms)};
    struct str body = {call->request->data, call->request->size};

    if (hub_send(self, worker, &wire, str_of(call->operation->name), body)) {
        if (errno == EHOSTUNREACH)
            hub_worker_lose(self, worker);
        else
            hub_worker_silence(self, worker);
        return false;
    }
    hub_dequeue(self, pool, call);
    hub_worker_note_sent(worker, wire.id, call);
    hub_worker_settle(self, worker);
    call->state = CALL_SENT;
    call->worker = worker;
    call->id = wire.id;
    call->attempts++;
    call->sent_ms = now_ms;
    if (batch != NULL)
        hub_batch_sent(batch, deadline_ms, now_ms);
    if (self->ping_ms == INT64_MAX)
        self->ping_ms = now_ms + HEARTBEAT_INTERVAL_MS;
    return true;
}

/* A call that should not be sent any more: this one, or one that it carries. */
static struct hub_call *
find_late(struct hub_call *call, int64_t now_ms)
{
    if (call->carries != NULL)
        return hub_batch_late(call->carries, now_ms);
    return call->deadline_ms <= now_ms ? call : NULL;
}

void
hub_dispatch(struct hub *self, struct hub_pool *pool)
{
    while (pool->idle != NULL) {
        struct hub_call *call = pool->queues[QUEUE_NESTED].first, *late;
        int64_t now_ms = hub_now_ms(self);

        if (call == NULL)
            call = pool->queues[QUEUE_ORDINARY].first;
        if (call == NULL)
            return;
        late = find_late(call, now_ms);
        if (late != NULL) {
            metric_add(&timeouts_total, 1);
            hub_end_local(self, late, FAIL_GATEWAY_TIMEOUT);
        } else
            send_call(self, pool, hub_worker_choose(pool), call, now_ms);
    }
}

void
hub_submit(struct hub *self, struct hub_call *call)
{
    struct hub_pool *pool = pool_of_call(self, call);
    int64_t now_ms = hub_now_ms(self);

    call->attempts = 0;
    call->id = 0;
    call->submitted_ms = now_ms;
    call->sent_ms = 0;
    call->worker = NULL;
    call->batch = call->carries = NULL;
    call->state = CALL_NONE;
    if (pool == NULL || (pool->workers == 0 && now_ms - pool->seen_ms > NO_WORKER_MS)) {
        metric_add(&no_worker_total, 1);
        reply_local(call, FAIL_SERVICE_UNAVAILABLE);
        return;
    }
    if (call->deadline_ms <= now_ms) {
        metric_add(&timeouts_total, 1);
        reply_local(call, FAIL_GATEWAY_TIMEOUT);
        return;
    }
    if (pool->queued >= QUEUE_PER_SERVICE_MAX && (call->flags & WIRE_FLAG_NESTED) == 0) {
        metric_add(&full_total, 1);
        reply_local(call, FAIL_SERVICE_UNAVAILABLE);
        return;
    }
    hub_deadline_add(self, call);
    if (call->operation->batch && call->store_id != 0 && (call->flags & WIRE_FLAG_NESTED) == 0)
        hub_batch_join(self, pool, call);
    else
        hub_enqueue(self, pool, call, false);
    hub_dispatch(self, pool);
}

void
hub_cancel(struct hub *self, struct hub_call *call)
{
    if (self->ending == call)
        self->ending = NULL;
    if (call->state != CALL_NONE)
        withdraw(self, call);
}

/* Whether it was carried out is not known. Once more is right when twice does no harm. */
bool
hub_lost_repeats(const struct hub_call *call)
{
    bool repeats = call->repeatable && call->attempts < REQUEST_ATTEMPTS_MAX;

    metric_add(&lost_total, 1);
    metric_add(&retries_total, repeats);
    return repeats;
}

void
hub_call_lost(struct hub *self, struct hub_call *call)
{
    if (call->carries != NULL) {
        hub_batch_lost(call->carries);
    } else if (hub_lost_repeats(call)) {
        struct hub_pool *pool = pool_of_call(self, call);

        hub_enqueue(self, pool, call, true);
        hub_dispatch(self, pool);
    } else
        hub_end_lost(self, call);
}

/* A GET that cannot be repeated any more has changed nothing, so its failure is a plain one. */
void
hub_end_lost(struct hub *self, struct hub_call *call)
{
    bool harmless = call->operation->path != NULL && call->operation->method == HTTP_GET;

    call->worker = NULL;
    if (!harmless)
        metric_add(&unknown_total, 1);
    hub_end_local(self, call, harmless ? FAIL_SERVICE_UNAVAILABLE : FAIL_OUTCOME_UNKNOWN);
}

/* Not before the tags are applied: the ack is what lets auth answer the revoking call (protocols 5). */
static void
take_invalidation(struct hub *self, struct str routing_id, uint64_t version, struct str tags)
{
    struct wire ack = {.type = WIRE_ACK, .id = version};
    char id[24];
    int size = snprintf(id, sizeof id, "%lld", (long long)self->gateway_id);

    self->transport.invalidate(self->transport.context, version, tags);
    if (self->transport.send(self->transport.context, routing_id.base, routing_id.len, &ack,
                             (struct str){id, (size_t)size}, STR("")))
        log_event(LOG_WARN, "ack_not_sent", "l:version", (int64_t)version, NULL);
}

static void
take_message(struct hub *self, struct str routing_id, const char *peer, const struct wire *wire, zmq_msg_t *name,
             zmq_msg_t *body)
{
    struct str name_text = {zmq_msg_data(name), zmq_msg_size(name)};
    struct str body_text = {zmq_msg_data(body), zmq_msg_size(body)};

    switch (wire->type) {
    case WIRE_READY: hub_take_ready(self, routing_id, peer, wire->id, name_text, body_text); return;
    case WIRE_REPLY: hub_take_reply(self, routing_id, wire, name, body); return;
    case WIRE_REQUEST: hub_take_request(self, routing_id, peer, wire, name, body); return;
    case WIRE_BYE: hub_take_bye(self, routing_id, wire); return;
    case WIRE_INVALIDATE:
        if (peer != NULL && strcmp(peer, "auth") != 0)
            break;
        take_invalidation(self, routing_id, wire->id, body_text);
        return;
    case WIRE_PING: return;
    case WIRE_ACK: break;
    }
    metric_add(&malformed_total, 1);
}

void
hub_receive(struct hub *self, struct str routing_id, const char *peer, zmq_msg_t *header, zmq_msg_t *name,
            zmq_msg_t *body)
{
    struct wire wire;

    if (routing_id.len == 0 || routing_id.len > ROUTING_SIZE_MAX ||
        wire_decode(&wire, zmq_msg_data(header), zmq_msg_size(header)))
        metric_add(&malformed_total, 1);
    else
        take_message(self, routing_id, peer, &wire, name, body);
    zmq_msg_close(header);
    zmq_msg_close(name);
    zmq_msg_close(body);
}

int64_t
hub_next_ms(const struct hub *self)
{
    int64_t next_ms = self->ping_ms < self->sweep_ms ? self->ping_ms : self->sweep_ms;

    if (self->deadline_count > 0 && self->deadlines[0].at_ms < next_ms)
        next_ms = self->deadlines[0].at_ms;
    return next_ms;
}

void
hub_tick(struct hub *self)
{
    int64_t now_ms = hub_now_ms(self);

    while (self->deadline_count > 0 && self->deadlines[0].at_ms <= now_ms) {
        struct hub_call *call = self->deadlines[0].call;

        if (call->state == CALL_SENT && ++call->worker->timeouts % 3 == 0)
            log_event(LOG_WARN, "worker_stuck", "s:service", call->worker->pool->name, "s:operation",
                      call->operation->name, "s:request_id", call->request_id, "l:in_a_row",
                      (int64_t)call->worker->timeouts, NULL);
        metric_add(&timeouts_total, call->carries == NULL);
        hub_end_local(self, call, FAIL_GATEWAY_TIMEOUT);
    }
    if (self->ping_ms <= now_ms)
        hub_ping_workers(self);
    if (self->sweep_ms <= now_ms)
        hub_sweep_workers(self);
}

unsigned
hub_services(const struct hub *self, struct hub_service_state *target, unsigned max)
{
    unsigned count = self->pool_count < max ? self->pool_count : max;

    for (unsigned i = 0; i < count; i++) {
        const struct hub_pool *pool = &self->pools[i];

        target[i] = (struct hub_service_state){
            .service = pool->name, .queued = pool->queued, .foreign_contract = pool->foreign};
    }
    for (const struct hub_worker *worker = self->workers; worker != NULL; worker = worker->next) {
        unsigned i = (unsigned)(worker->pool - self->pools);

        if (i >= count)
            continue;
        target[i].workers += worker->leaving ? 0 : worker->slots;
        target[i].idle += worker->idle ? hub_worker_free(worker) : 0;
    }
    return count;
}

void
hub_drain(struct hub *self)
{
    self->draining = true;
}

unsigned
hub_in_flight(const struct hub *self)
{
    return (unsigned)self->deadline_count;
}

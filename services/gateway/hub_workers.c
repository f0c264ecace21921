/* hub_workers.c - routing ids: who is ready, who works, who has gone (protocols 1, 2, 14).
 *
 * The credit rule is in hub_take_ready and hub_take_reply and nowhere else. A worker is taken for gone only when the
 * ROUTER says that its routing id does not exist any more; silence alone costs it its credit, nothing else.
 */
#include "hub_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "in.h"
#include "log.h"
#include "metric.h"

static struct metric unknown_total =
    METRIC_COUNTER("sx_hub_unknown_replies_total", "Replies to no request under way; dropped.");
static struct metric late_total = METRIC_COUNTER("sx_hub_late_replies_total", "Replies nobody waited for any more.");
static struct metric stale_total =
    METRIC_COUNTER("sx_hub_stale_ready_total", "READYs that crossed a REQUEST; they give no credit.");
static struct metric refused_total =
    METRIC_COUNTER("sx_hub_refused_ready_total", "READYs under a name that is unknown or not the peer's.");
static struct metric vanished_total = METRIC_COUNTER("sx_hub_workers_vanished_total", "Workers that went without BYE.");

/* When to look again after a disconnect: 0, 10, 50, 200 ms after it, then at the usual interval (protocols 14). */
static const int ping_waits_ms[HUB_PING_ROUNDS] = {10, 40, 150};

static unsigned
bucket_of(const void *routing, size_t size)
{
    const uint8_t *bytes = routing;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return (hash ^ hash >> 16) & (WORKER_BUCKETS - 1);
}

struct hub_worker *
hub_worker_find(const struct hub *self, struct str routing_id)
{
    struct hub_worker *worker = self->buckets[bucket_of(routing_id.base, routing_id.len)];

    while (worker != NULL &&
           (worker->routing_size != routing_id.len || memcmp(worker->routing, routing_id.base, routing_id.len) != 0))
        worker = worker->bucket_next;
    return worker;
}

struct hub_worker *
hub_worker_add(struct hub *self, struct str routing_id)
{
    unsigned bucket = bucket_of(routing_id.base, routing_id.len);
    struct hub_worker *worker;

    if (self->peer_count >= PEERS_MAX)
        return NULL;
    worker = xcalloc(1, sizeof *worker);
    memcpy(worker->routing, routing_id.base, routing_id.len);
    worker->routing_size = routing_id.len;
    worker->bucket_next = self->buckets[bucket];
    self->buckets[bucket] = worker;
    self->peer_count++;
    return worker;
}

/* The process behind "HOST:PID/INDEX", made if this is the first worker of it that is heard of. */
static struct hub_process *
process_named(struct hub_pool *pool, struct str instance)
{
    const char *slash = instance.len > 0 ? memrchr(instance.base, '/', instance.len) : NULL;
    size_t len = slash != NULL ? (size_t)(slash - instance.base) : instance.len;
    struct hub_process *process = pool->processes;

    len = len < INSTANCE_MAX ? len : INSTANCE_MAX;
    while (process != NULL && !str_is((struct str){instance.base, len}, process->instance))
        process = process->next;
    if (process != NULL)
        return process;
    process = xcalloc(1, sizeof *process);
    if (len > 0)
        memcpy(process->instance, instance.base, len);
    process->next = pool->processes;
    pool->processes = process;
    return process;
}

static void
leave_process(struct hub_pool *pool, struct hub_process *process)
{
    struct hub_process **link = &pool->processes;

    if (--process->workers > 0)
        return;
    while (*link != process)
        link = &(*link)->next;
    *link = process->next;
    free(process);
}

/* After this neither a message nor the end of a request of its own finds it; whoever holds the pointer frees it. */
static void
unlink_worker(struct hub *self, struct hub_worker *worker)
{
    struct hub_worker **link = &self->buckets[bucket_of(worker->routing, worker->routing_size)];

    hub_drop_requests(self, worker);
    while (*link != worker)
        link = &(*link)->bucket_next;
    *link = worker->bucket_next;
    self->peer_count--;
    if (worker->pool == NULL)
        return;
    hub_worker_set_idle(self, worker, false);
    if (worker->next != NULL)
        worker->next->previous = worker->previous;
    if (worker->previous != NULL)
        worker->previous->next = worker->next;
    else
        self->workers = worker->next;
    self->worker_count--;
    worker->pool->workers--;
    worker->pool->foreign -= worker->foreign;
    leave_process(worker->pool, worker->process);
    worker->process = NULL;
    worker->pool->seen_ms = hub_now_ms(self);
}

void
hub_worker_forget(struct hub *self, struct hub_worker *worker)
{
    assert(worker->requests == NULL);
    unlink_worker(self, worker);
    free(worker);
}

/* The second half of a loss, when nothing finds the worker any more. */
static void
bury(struct hub *self, struct hub_worker *worker)
{
    struct hub_call *call = worker->call;

    if (worker->pool != NULL) {
        metric_add(&vanished_total, 1);
        log_event(LOG_WARN, "worker_lost", "s:service", worker->pool->name, "s:operation",
                  call == NULL ? NULL : call->operation->name, "s:request_id", call == NULL ? NULL : call->request_id,
                  "l:workers_left", (int64_t)worker->pool->workers, NULL);
    }
    free(worker);
    if (call != NULL) {
        call->worker = NULL;
        hub_call_lost(self, call);
    }
}

/* The threads of one process die together, but their connections are seen to end one after the other. Its idle workers
 * get nothing more until their next READY, or a retry would go to a sibling that is just as dead. */
static void
doubt_siblings(struct hub *self, const struct hub_worker *lost)
{
    struct hub_worker *next;

    for (struct hub_worker *worker = lost->pool->idle; worker != NULL; worker = next) {
        next = worker->idle_next;
        if (worker->process == lost->process)
            hub_worker_set_idle(self, worker, false);
    }
}

void
hub_worker_lose(struct hub *self, struct hub_worker *worker)
{
    if (worker->pool != NULL)
        doubt_siblings(self, worker);
    unlink_worker(self, worker);
    bury(self, worker);
}

void
hub_worker_set_idle(struct hub *self, struct hub_worker *worker, bool idle)
{
    struct hub_pool *pool = worker->pool;

    if (worker->idle == idle)
        return;
    worker->idle = idle;
    if (idle) {
        worker->idle_previous = NULL;
        worker->idle_next = pool->idle;
        if (pool->idle != NULL)
            pool->idle->idle_previous = worker;
        pool->idle = worker;
        pool->idle_count++;
        self->idle_count++;
        worker->process->idle++;
        if (self->sweep_ms == INT64_MAX)
            self->sweep_ms = hub_now_ms(self) + READY_INTERVAL_MS;
        return;
    }
    if (worker->idle_next != NULL)
        worker->idle_next->idle_previous = worker->idle_previous;
    if (worker->idle_previous != NULL)
        worker->idle_previous->idle_next = worker->idle_next;
    else
        pool->idle = worker->idle_next;
    pool->idle_count--;
    self->idle_count--;
    worker->process->idle--;
}

int
hub_send(struct hub *self, const struct hub_worker *worker, const struct wire *wire, struct str name, struct str body)
{
    return self->transport.send(self->transport.context, worker->routing, worker->routing_size, wire, name, body);
}

/* What its READY says of it: of which process it is, and whether that was built from this contract. */
static void
read_ready(struct hub *self, struct hub_worker *worker, struct str body)
{
    struct in in;
    bool read = in_decode(&in, self->arena, body.base, body.len) == 0;

    worker->foreign = !read || !str_is(in_str(in, "contract"), contract_digest);
    worker->process = process_named(worker->pool, read ? in_str(in, "instance") : STR(""));
    worker->process->workers++;
    arena_reset(self->arena);
}

/* The worker behind a READY, made if this is its first; NULL when the name is not one it may have. */
static struct hub_worker *
worker_for_ready(struct hub *self, struct str routing_id, const char *peer, struct str name, struct str body)
{
    struct hub_worker *worker = hub_worker_find(self, routing_id);
    struct hub_pool *pool;

    if (worker != NULL && worker->pool != NULL)
        return str_is(name, worker->pool->name) ? worker : NULL;
    pool = hub_pool_named(self, name);
    if (pool == NULL || (peer != NULL && strcmp(peer, pool->service) != 0))
        return NULL;
    if (worker == NULL)
        worker = hub_worker_add(self, routing_id);
    if (worker == NULL)
        return NULL;
    worker->pool = pool;
    read_ready(self, worker, body);
    worker->next = self->workers;
    if (self->workers != NULL)
        self->workers->previous = worker;
    self->workers = worker;
    self->worker_count++;
    pool->workers++;
    pool->foreign += worker->foreign;
    if (worker->foreign)
        log_event(LOG_WARN, "worker_of_another_contract", "s:service", pool->name, NULL);
    return worker;
}

void
hub_take_ready(struct hub *self, struct str routing_id, const char *peer, uint64_t id, struct str name, struct str body)
{
    struct hub_worker *worker = worker_for_ready(self, routing_id, peer, name, body);
    struct hub_call *lost;

    if (worker == NULL) {
        metric_add(&refused_total, 1);
        log_event(LOG_WARN, "ready_refused", "s:peer", peer, NULL);
        return;
    }
    worker->seen_ms = hub_now_ms(self);
    if (worker->last_sent != 0 && id != worker->last_sent) {
        metric_add(&stale_total, 1);
        return;
    }
    /* It has taken its last request and is idle: if the answer has not come by now, it never will. */
    lost = worker->call;
    worker->call = NULL;
    worker->busy = worker->leaving = false;
    hub_worker_set_idle(self, worker, true);
    if (lost != NULL) {
        lost->worker = NULL;
        hub_call_lost(self, lost);
    }
    hub_dispatch(self, hub_pool_named(self, name));
}

void
hub_take_reply(struct hub *self, struct str routing_id, const struct wire *wire, zmq_msg_t *headers, zmq_msg_t *body)
{
    struct hub_worker *worker = hub_worker_find(self, routing_id);
    struct hub_reply reply = {.status = wire->status, .error = (wire->flags & WIRE_FLAG_ERROR) != 0};
    struct hub_pool *pool;
    struct hub_call *call;

    if (worker == NULL || !worker->busy || worker->last_sent != wire->id) {
        metric_add(&unknown_total, 1);
        return;
    }
    call = worker->call;
    pool = worker->pool;
    worker->call = NULL;
    worker->busy = false;
    worker->timeouts = 0;
    worker->seen_ms = hub_now_ms(self);
    if (!worker->leaving)
        hub_worker_set_idle(self, worker, true);
    else if (worker->requests == NULL)
        hub_worker_forget(self, worker);
    if (call == NULL)
        metric_add(&late_total, 1);
    else {
        call->worker = NULL;
        zmq_msg_init(&reply.headers);
        zmq_msg_init(&reply.body);
        zmq_msg_move(&reply.headers, headers);
        zmq_msg_move(&reply.body, body);
        hub_end(self, call, &reply);
    }
    hub_dispatch(self, pool);
}

/* The echo tells it that no REQUEST is on its way to it any more; its last REPLY may still come. */
void
hub_take_bye(struct hub *self, struct str routing_id, const struct wire *wire)
{
    struct hub_worker *worker = hub_worker_find(self, routing_id);
    struct wire echo = {.type = WIRE_BYE, .id = wire->id};

    if (worker != NULL && worker->pool != NULL) {
        hub_worker_set_idle(self, worker, false);
        worker->leaving = true;
    }
    if (self->transport.send(self->transport.context, routing_id.base, routing_id.len, &echo, STR(""), STR("")) &&
        errno != EHOSTUNREACH)
        log_event(LOG_WARN, "bye_not_echoed", NULL);
    if (worker != NULL && !worker->busy && worker->requests == NULL)
        hub_worker_forget(self, worker);
}

void
hub_disconnected(struct hub *self)
{
    self->ping_step = 0;
    self->ping_ms = hub_now_ms(self);
}

/* Right after a disconnect everybody is asked, later only those who hold something or have fallen silent. The lost ones
 * are first taken out and then buried, because burying runs the calls' ends. */
void
hub_ping_workers(struct hub *self)
{
    bool everybody = self->ping_step <= HUB_PING_ROUNDS;
    const struct wire ping = {.type = WIRE_PING};
    struct hub_worker *lost = NULL;

    for (struct hub_worker *worker = self->workers, *next; worker != NULL; worker = next) {
        next = worker->next;
        if (worker->idle && !everybody)
            continue;
        if (hub_send(self, worker, &ping, STR(""), STR("")) && errno == EHOSTUNREACH) {
            doubt_siblings(self, worker);
            unlink_worker(self, worker);
            worker->next = lost;
            lost = worker;
        }
    }
    if (self->ping_step < HUB_PING_ROUNDS)
        self->ping_ms = hub_now_ms(self) + ping_waits_ms[self->ping_step];
    else if (self->worker_count > self->idle_count)
        self->ping_ms = hub_now_ms(self) + HEARTBEAT_INTERVAL_MS;
    else
        self->ping_ms = INT64_MAX;
    if (self->ping_step <= HUB_PING_ROUNDS)
        self->ping_step++;
    while (lost != NULL) {
        struct hub_worker *worker = lost;

        lost = worker->next;
        bury(self, worker);
    }
}

/* An idle worker says READY each second. One that does not is stopped, or gone without a trace. */
void
hub_sweep_workers(struct hub *self)
{
    int64_t now_ms = hub_now_ms(self);

    for (struct hub_worker *worker = self->workers; worker != NULL; worker = worker->next)
        if (worker->idle && now_ms - worker->seen_ms > WORKER_SILENT_MS) {
            hub_worker_set_idle(self, worker, false);
            if (self->ping_ms == INT64_MAX)
                self->ping_ms = now_ms;
        }
    self->sweep_ms = self->idle_count > 0 ? now_ms + READY_INTERVAL_MS : INT64_MAX;
}

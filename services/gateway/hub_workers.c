/* hub_workers.c - routing ids: who is ready, who works, who has gone (protocols 1, 2, 14).
 *
 * The credit rule is in hub_take_ready and hub_take_reply and nowhere else: a worker has as many slots as its READY
 * says, a REQUEST takes one, its REPLY gives it back. READY also names the requests that are in its hands; one that it
 * has taken and does not name will never be answered. A worker is taken for gone only when the ROUTER says that its
 * routing id does not exist any more; silence alone costs it its credit, nothing else.
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
    METRIC_COUNTER("sx_hub_stale_ready_total", "READYs that crossed a REQUEST, which stays in the worker's hands.");
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

/* One that leaves is no worker of its pool any more, though it may have requests in its hands. */
static void
set_leaving(struct hub *self, struct hub_worker *worker, bool leaving)
{
    if (worker->leaving == leaving)
        return;
    worker->leaving = leaving;
    worker->pool->workers += leaving ? -1u : 1;
    worker->pool->seen_ms = hub_now_ms(self);
    hub_worker_settle(self, worker);
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
    set_leaving(self, worker, true);
    if (worker->next != NULL)
        worker->next->previous = worker->previous;
    if (worker->previous != NULL)
        worker->previous->next = worker->next;
    else
        self->workers = worker->next;
    self->worker_count--;
    worker->pool->foreign -= worker->foreign;
}

static void
free_worker(struct hub_worker *worker)
{
    free(worker->sent);
    free(worker);
}

void
hub_worker_forget(struct hub *self, struct hub_worker *worker)
{
    assert(worker->requests == NULL);
    unlink_worker(self, worker);
    free_worker(worker);
}

/* The second half of a loss, when nothing finds the worker any more. The end of one call may cancel another that is
 * still in its hands: it is then not there any more when its turn comes. */
static void
bury(struct hub *self, struct hub_worker *worker)
{
    if (worker->pool != NULL) {
        metric_add(&vanished_total, 1);
        log_event(LOG_WARN, "worker_lost", "s:service", worker->pool->name, "s:instance", worker->instance,
                  "l:requests", (int64_t)worker->sent_count, NULL);
    }
    while (worker->sent_count > 0) {
        struct hub_call *call = worker->sent[--worker->sent_count].call;

        if (call == NULL)
            continue;
        call->worker = NULL;
        hub_call_lost(self, call);
    }
    free_worker(worker);
}

void
hub_worker_lose(struct hub *self, struct hub_worker *worker)
{
    unlink_worker(self, worker);
    bury(self, worker);
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

unsigned
hub_worker_free(const struct hub_worker *worker)
{
    unsigned taken = worker->sent_count + worker->strangers;

    return taken < worker->slots ? worker->slots - taken : 0;
}

void
hub_worker_settle(struct hub *self, struct hub_worker *worker)
{
    bool idle = !worker->leaving && !worker->silent && hub_worker_free(worker) > 0;
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
        self->idle_count++;
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
    self->idle_count--;
}

void
hub_worker_silence(struct hub *self, struct hub_worker *worker)
{
    worker->silent = true;
    hub_worker_settle(self, worker);
}

/* The one with the smallest part of its slots taken; the most recently ready of equals, whose memory is warm. */
struct hub_worker *
hub_worker_choose(const struct hub_pool *pool)
{
    struct hub_worker *best = pool->idle;

    for (struct hub_worker *each = best->idle_next; each != NULL; each = each->idle_next)
        if (hub_worker_free(each) * best->slots > hub_worker_free(best) * each->slots)
            best = each;
    return best;
}

void
hub_worker_note_sent(struct hub_worker *worker, uint64_t id, struct hub_call *call)
{
    assert(hub_worker_free(worker) > 0);
    worker->sent[worker->sent_count++] = (struct hub_sent){id, call};
    worker->last_sent = id;
    worker->total++;
}

void
hub_worker_drop_call(struct hub_worker *worker, const struct hub_call *call)
{
    for (unsigned i = 0; i < worker->sent_count; i++)
        if (worker->sent[i].call == call)
            worker->sent[i].call = NULL;
}

/* Gives a slot back. */
static struct hub_call *
take_sent(struct hub_worker *worker, unsigned index)
{
    struct hub_call *call = worker->sent[index].call;

    worker->sent[index] = worker->sent[--worker->sent_count];
    if (call != NULL)
        call->worker = NULL;
    return call;
}

static int
find_sent(const struct hub_worker *worker, uint64_t id)
{
    for (unsigned i = 0; i < worker->sent_count; i++)
        if (worker->sent[i].id == id)
            return (int)i;
    return -1;
}

int
hub_send(struct hub *self, const struct hub_worker *worker, const struct wire *wire, struct str name, struct str body)
{
    return self->transport.send(self->transport.context, worker->routing, worker->routing_size, wire, name, body);
}

/* What READY says. The texts lie in the hub's arena. */
struct ready {
    struct str instance, contract;
    unsigned slots;
    uint64_t taken;                    /* id of the last REQUEST taken on this connection */
    uint32_t held[WORKER_THREADS_MAX]; /* the counters of those in its hands, of the same incarnation */
    unsigned held_count;
};

/* A worker that says nothing of slots has one, and nothing in its hands when it is ready. */
static void
read_ready(struct hub *self, uint64_t id, struct str body, struct ready *ready)
{
    struct in in = {NULL, self->arena}, held;
    bool read = in_decode(&in, self->arena, body.base, body.len) == 0;
    int64_t slots = read ? in_int(in, "slots", 1) : 1;

    *ready = (struct ready){.taken = id, .instance = STR(""), .contract = STR("")};
    ready->slots = slots < 1 ? 1 : slots > WORKER_THREADS_MAX ? WORKER_THREADS_MAX : (unsigned)slots;
    if (!read)
        return;
    ready->instance = in_str(in, "instance");
    ready->contract = in_str(in, "contract");
    held = in_at(in, "held");
    for (unsigned i = 0; i < in_count(held, "") && i < WORKER_THREADS_MAX; i++)
        ready->held[ready->held_count++] = (uint32_t)in_int(in_item(held, i), "", 0);
}

/* The worker behind a READY, made if this is its first; NULL when the name is not one it may have. */
static struct hub_worker *
worker_for_ready(struct hub *self, struct str routing_id, const char *peer, struct str name, const struct ready *ready)
{
    struct hub_worker *worker = hub_worker_find(self, routing_id);
    size_t len = ready->instance.len < INSTANCE_MAX ? ready->instance.len : INSTANCE_MAX;
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
    worker->foreign = !str_is(ready->contract, contract_digest);
    if (len > 0)
        memcpy(worker->instance, ready->instance.base, len);
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

static void
set_slots(struct hub_worker *worker, unsigned slots)
{
    unsigned room = slots > worker->sent_count ? slots : worker->sent_count;

    worker->sent = xrealloc(worker->sent, room * sizeof worker->sent[0]);
    worker->slots = slots;
}

/* It has taken this request and does not hold it: if the answer has not come by now, it never will. What the READY
 * crossed on its way has a greater id; an id of another incarnation says nothing of ours. */
static bool
is_forgotten(const struct ready *ready, uint64_t id)
{
    if (id >> 32 != ready->taken >> 32 || id > ready->taken)
        return false;
    for (unsigned i = 0; i < ready->held_count; i++)
        if (ready->held[i] == (uint32_t)id)
            return false;
    return true;
}

/* Those it holds that we have not sent on this connection: it had them from us before it, or before we were started
 * anew, and a thread works on each. */
static unsigned
count_strangers(const struct hub_worker *worker, const struct ready *ready)
{
    unsigned ours = 0;

    for (unsigned i = 0; i < worker->sent_count; i++) {
        uint64_t id = worker->sent[i].id;

        ours += id >> 32 == ready->taken >> 32 && id <= ready->taken && !is_forgotten(ready, id);
    }
    return ready->held_count > ours ? ready->held_count - ours : 0;
}

/* The next call that was in the worker's hands and is lost; NULL when there is none. */
static struct hub_call *
take_forgotten(struct hub_worker *worker, const struct ready *ready)
{
    struct hub_call *call = NULL;

    for (unsigned i = 0; i < worker->sent_count && call == NULL;)
        if (is_forgotten(ready, worker->sent[i].id))
            call = take_sent(worker, i);
        else
            i++;
    return call;
}

void
hub_take_ready(struct hub *self, struct str routing_id, const char *peer, uint64_t id, struct str name, struct str body)
{
    struct hub_worker *worker;
    struct hub_call *lost;
    struct ready ready;

    read_ready(self, id, body, &ready);
    worker = worker_for_ready(self, routing_id, peer, name, &ready);
    arena_reset(self->arena);
    if (worker == NULL) {
        metric_add(&refused_total, 1);
        log_event(LOG_WARN, "ready_refused", "s:peer", peer, NULL);
        return;
    }
    worker->seen_ms = hub_now_ms(self);
    worker->silent = false;
    set_leaving(self, worker, false);
    if (worker->last_sent != 0 && id != worker->last_sent)
        metric_add(&stale_total, 1);
    set_slots(worker, ready.slots);
    worker->strangers = count_strangers(worker, &ready);
    do {
        lost = take_forgotten(worker, &ready);
        hub_worker_settle(self, worker);
        if (lost != NULL)
            hub_call_lost(self, lost);
        worker = hub_worker_find(self, routing_id); /* that may have been the end of it */
    } while (lost != NULL && worker != NULL);
    hub_dispatch(self, hub_pool_named(self, name));
}

void
hub_take_reply(struct hub *self, struct str routing_id, const struct wire *wire, zmq_msg_t *headers, zmq_msg_t *body)
{
    struct hub_worker *worker = hub_worker_find(self, routing_id);
    struct hub_reply reply = {.status = wire->status,
                              .error = (wire->flags & WIRE_FLAG_ERROR) != 0,
                              .batch = (wire->flags & WIRE_FLAG_BATCH) != 0};
    struct hub_pool *pool;
    struct hub_call *call;
    int index = worker == NULL ? -1 : find_sent(worker, wire->id);

    if (index < 0) {
        metric_add(&unknown_total, 1);
        return;
    }
    call = take_sent(worker, (unsigned)index);
    pool = worker->pool;
    worker->timeouts = 0;
    worker->seen_ms = hub_now_ms(self);
    worker->silent = false;
    hub_worker_settle(self, worker);
    if (worker->leaving && worker->sent_count == 0 && worker->requests == NULL)
        hub_worker_forget(self, worker);
    if (call == NULL)
        metric_add(&late_total, 1);
    if (call == NULL || call->carries == NULL) { /* what carries others dispatches them itself before it ends any */
        self->ending = call;
        hub_dispatch(self, pool); /* first, so that the worker does not wait for what the end of a call costs */
        call = self->ending;      /* what that ended may have cancelled it */
        self->ending = NULL;
    }
    if (call == NULL)
        return;
    zmq_msg_init(&reply.headers);
    zmq_msg_init(&reply.body);
    zmq_msg_move(&reply.headers, headers);
    zmq_msg_move(&reply.body, body);
    hub_end(self, call, &reply);
}

/* The echo tells it that no REQUEST is on its way to it any more; its last REPLY may still come. */
void
hub_take_bye(struct hub *self, struct str routing_id, const struct wire *wire)
{
    struct hub_worker *worker = hub_worker_find(self, routing_id);
    struct wire echo = {.type = WIRE_BYE, .id = wire->id};

    if (worker != NULL && worker->pool != NULL)
        set_leaving(self, worker, true);
    if (self->transport.send(self->transport.context, routing_id.base, routing_id.len, &echo, STR(""), STR("")) &&
        errno != EHOSTUNREACH)
        log_event(LOG_WARN, "bye_not_echoed", NULL);
    if (worker != NULL && worker->sent_count == 0 && worker->requests == NULL)
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
    bool everybody = self->ping_step <= HUB_PING_ROUNDS, waiting = false;
    const struct wire ping = {.type = WIRE_PING};
    struct hub_worker *lost = NULL;

    for (struct hub_worker *worker = self->workers, *next; worker != NULL; worker = next) {
        bool wanted = worker->sent_count > 0 || !worker->idle;

        next = worker->next;
        waiting |= wanted;
        if ((wanted || everybody) && hub_send(self, worker, &ping, STR(""), STR("")) && errno == EHOSTUNREACH) {
            unlink_worker(self, worker);
            worker->next = lost;
            lost = worker;
        }
    }
    if (self->ping_step < HUB_PING_ROUNDS)
        self->ping_ms = hub_now_ms(self) + ping_waits_ms[self->ping_step];
    else
        self->ping_ms = waiting ? hub_now_ms(self) + HEARTBEAT_INTERVAL_MS : INT64_MAX;
    if (self->ping_step <= HUB_PING_ROUNDS)
        self->ping_step++;
    while (lost != NULL) {
        struct hub_worker *worker = lost;

        lost = worker->next;
        bury(self, worker);
    }
}

/* A worker says READY each second. One that does not is stopped, or gone without a trace. */
void
hub_sweep_workers(struct hub *self)
{
    int64_t now_ms = hub_now_ms(self);

    for (struct hub_worker *worker = self->workers; worker != NULL; worker = worker->next)
        if (worker->idle && now_ms - worker->seen_ms > WORKER_SILENT_MS) {
            hub_worker_silence(self, worker);
            if (self->ping_ms == INT64_MAX)
                self->ping_ms = now_ms;
        }
    self->sweep_ms = self->idle_count > 0 ? now_ms + READY_INTERVAL_MS : INT64_MAX;
}

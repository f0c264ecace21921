/* hub_batches.c - calls that would wait for each other in a worker wait here, and go together (x-batch; protocols 10).
 *
 * Of an operation with x-batch there is one REQUEST under way for each app in a store. What comes meanwhile waits, and
 * goes as one REQUEST as soon as the REPLY has come. So a hot key holds one worker, nobody waits for company, and the
 * more there is to do the more is done at once.
 *
 * A batch has a carrier, which is a call of the hub like any other: it goes through the pool's queue to a worker, and
 * is answered or lost. What it carries is decided when it is sent. Its members keep their own deadlines; each stands in
 * a list, `waiting`, `sent`, or that of the function that is ending them, and leaves it at its own end, whatever the
 * others do. A batch that carries nothing and that nobody waits in is gone.
 */
#include "hub_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "in.h"
#include "log.h"
#include "metric.h"
#include "out.h"

static struct metric batches_total =
    METRIC_COUNTER("sx_hub_batches_total", "Requests sent that carried more than one (x-batch).");
static struct metric members_total = METRIC_COUNTER("sx_hub_batch_members_total", "Requests that those carried.");

struct hub_batch {
    struct hub_batch *bucket_next;
    struct hub *hub;
    struct hub_pool *pool;
    const struct operation *operation;
    int64_t store_id, app_id;
    struct hub_call carrier;
    struct hub_queue waiting, sent;
    unsigned loaded;    /* how many the REQUEST carries */
    struct buf request; /* its frame 3 when they are several */
};

/* What one of several was answered. */
struct answer {
    int status;
    unsigned flags;
    struct str headers, body; /* in the REPLY */
};

/* ---- finding ----------------------------------------------------------------------------------------------------- */

static struct hub_batch **
bucket_of(struct hub *self, const struct operation *operation, int64_t store_id, int64_t app_id)
{
    uint64_t hash = (uint64_t)store_id * UINT64_C(0x9e3779b97f4a7c15);

    hash = (hash ^ hash >> 32 ^ (uint64_t)app_id) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= (uint64_t)(operation - operations);
    return &self->batches[(hash ^ hash >> 32) & (BATCH_BUCKETS - 1)];
}

static struct hub_batch *
find(struct hub *self, struct hub_pool *pool, const struct hub_call *call)
{
    struct hub_batch **bucket = bucket_of(self, call->operation, call->store_id, call->app_id), *batch = *bucket;

    while (batch != NULL &&
           (batch->operation != call->operation || batch->store_id != call->store_id || batch->app_id != call->app_id))
        batch = batch->bucket_next;
    if (batch != NULL)
        return batch;
    batch = xcalloc(1, sizeof *batch);
    batch->hub = self;
    batch->pool = pool;
    batch->operation = call->operation;
    batch->store_id = call->store_id;
    batch->app_id = call->app_id;
    buf_init(&batch->request, 2 * BATCH_SIZE_MAX);
    batch->bucket_next = *bucket;
    *bucket = batch;
    return batch;
}

static void
forget(struct hub_batch *self)
{
    struct hub_batch **link = bucket_of(self->hub, self->operation, self->store_id, self->app_id);

    while (*link != self)
        link = &(*link)->bucket_next;
    *link = self->bucket_next;
    buf_free(&self->request);
    free(self);
}

void
hub_batches_forget(struct hub *self)
{
    for (unsigned i = 0; i < BATCH_BUCKETS; i++)
        while (self->batches[i] != NULL)
            forget(self->batches[i]);
}

/* ---- members ----------------------------------------------------------------------------------------------------- */

static void
move(struct hub_call *call, struct hub_queue *to, bool first)
{
    hub_list_take(call->list, call);
    hub_list_put(to, call, first);
    call->list = to;
}

static void
count_waiting(struct hub_batch *self, int more)
{
    self->pool->queued += (unsigned)more;
    hub_count_queue(self->hub, self->pool);
}

/* Those under way are the caller's to end; the batch does not know them any more. */
static void
detach_sent(struct hub_batch *self, struct hub_queue *ended)
{
    *ended = self->sent;
    self->sent = (struct hub_queue){NULL, NULL};
    for (struct hub_call *call = ended->first; call != NULL; call = call->next) {
        call->list = ended;
        call->batch = NULL;
    }
}

void
hub_batch_leave(struct hub_call *call)
{
    struct hub_batch *self = call->batch;
    bool waited = self != NULL && call->list == &self->waiting;

    hub_list_take(call->list, call);
    call->list = NULL;
    call->batch = NULL;
    if (!waited)
        return;
    count_waiting(self, -1);
    if (self->waiting.first == NULL && self->carrier.state == CALL_QUEUED) {
        hub_dequeue(self->hub, self->pool, &self->carrier);
        hub_deadline_remove(self->hub, &self->carrier);
        forget(self);
    }
}

struct hub_call *
hub_batch_late(const struct hub_batch *self, int64_t now_ms)
{
    unsigned left = BATCH_MAX;

    for (struct hub_call *call = self->waiting.first; call != NULL && left > 0; call = call->next, left--)
        if (call->deadline_ms <= now_ms)
            return call;
    return NULL;
}

/* ---- the end of what was carried --------------------------------------------------------------------------------- */

/* The REPLY to several; -1 when it is not one. The texts lie in the message. */
static int
read_answers(struct hub *hub, struct hub_reply *reply, struct answer *answers, unsigned count)
{
    struct in list;
    int rc = in_decode(&list, hub->arena, zmq_msg_data(&reply->body), zmq_msg_size(&reply->body));

    if (rc == 0 && in_count(list, "") != count)
        rc = -1;
    for (unsigned i = 0; i < count && rc == 0; i++) {
        struct in each = in_item(list, i);

        answers[i] = (struct answer){.status = (int)in_int(in_item(each, 0), "", 0),
                                     .flags = (unsigned)in_int(in_item(each, 1), "", 0),
                                     .headers = in_str(in_item(each, 2), ""),
                                     .body = in_str(in_item(each, 3), "")};
        if (in_count(each, "") != 4 || answers[i].status < 200 || answers[i].status > 599)
            rc = -1;
    }
    arena_reset(hub->arena);
    return rc;
}

static void
fill_frame(zmq_msg_t *frame, struct str text)
{
    zmq_msg_init_size(frame, text.len);
    if (text.len > 0)
        memcpy(zmq_msg_data(frame), text.base, text.len);
}

static void
end_member(struct hub *hub, struct hub_call *call, struct hub_reply *all, const struct answer *answer)
{
    struct hub_reply reply = {.status = all->status, .error = all->error};

    if (answer != NULL) {
        reply.status = answer->status;
        reply.error = (answer->flags & WIRE_FLAG_ERROR) != 0;
        fill_frame(&reply.headers, answer->headers);
        fill_frame(&reply.body, answer->body);
    } else {
        zmq_msg_init(&reply.headers);
        zmq_msg_init(&reply.body);
        zmq_msg_copy(&reply.headers, &all->headers);
        zmq_msg_copy(&reply.body, &all->body);
    }
    hub_end(hub, call, &reply);
}

/* A member's end may cancel others, or submit what forms the next batch: the list is looked at anew each time. */
static void
end_all(struct hub *hub, struct hub_queue *ended, struct hub_reply *reply, unsigned loaded)
{
    struct answer answers[BATCH_MAX];
    bool several = loaded > 1 && !reply->local && reply->batch;
    bool broken = several && read_answers(hub, reply, answers, loaded) != 0;

    if (broken)
        log_event(LOG_ERROR, "batch_reply_broken", "l:requests", (int64_t)loaded, NULL);
    while (ended->first != NULL) {
        struct hub_call *call = ended->first;

        if (reply->local)
            hub_end_local(hub, call, reply->fail);
        else if (broken)
            hub_end_lost(hub, call);
        else
            end_member(hub, call, reply, several ? &answers[call->place] : NULL);
    }
}

static void carrier_done(struct hub_call *carrier, struct hub_reply *reply);

/* Puts the carrier into the queue for those who wait; without any the batch is gone. */
static void
go_on(struct hub_batch *self, bool first)
{
    if (self->waiting.first == NULL) {
        forget(self);
        return;
    }
    self->carrier = (struct hub_call){.operation = self->operation,
                                      .request = &self->request,
                                      .deadline_ms = INT64_MAX, /* its members have theirs */
                                      .submitted_ms = hub_now_ms(self->hub),
                                      .done = carrier_done,
                                      .owner = self,
                                      .carries = self};
    hub_deadline_add(self->hub, &self->carrier);
    hub_enqueue(self->hub, self->pool, &self->carrier, first);
}

/* The next REQUEST is on its way before anybody is told of this one's end. */
static void
carrier_done(struct hub_call *carrier, struct hub_reply *reply)
{
    struct hub_batch *self = carrier->owner;
    struct hub_pool *pool = self->pool;
    unsigned loaded = self->loaded;
    struct hub *hub = self->hub;
    struct hub_queue ended;

    detach_sent(self, &ended);
    go_on(self, false);
    hub_dispatch(hub, pool);
    end_all(hub, &ended, reply, loaded);
    zmq_msg_close(&reply->headers);
    zmq_msg_close(&reply->body);
}

/* Each by its own rule, as if it had been alone. */
void
hub_batch_lost(struct hub_batch *self)
{
    struct hub_pool *pool = self->pool;
    struct hub *hub = self->hub;
    struct hub_queue ended;
    bool again = false;

    hub_deadline_remove(hub, &self->carrier);
    self->carrier.state = CALL_NONE;
    detach_sent(self, &ended);
    for (struct hub_call *call = ended.last, *before; call != NULL; call = before) {
        before = call->previous;
        if (!hub_lost_repeats(call))
            continue;
        move(call, &self->waiting, true);
        call->batch = self;
        count_waiting(self, 1);
        again = true;
    }
    go_on(self, again);
    hub_dispatch(hub, pool);
    while (ended.first != NULL)
        hub_end_lost(hub, ended.first);
}

/* ---- the way there ----------------------------------------------------------------------------------------------- */

void
hub_batch_join(struct hub *self, struct hub_pool *pool, struct hub_call *call)
{
    struct hub_batch *batch = find(self, pool, call);

    call->state = CALL_IN_BATCH;
    call->batch = batch;
    call->list = &batch->waiting;
    hub_list_put(&batch->waiting, call, false);
    count_waiting(batch, 1);
    if (batch->carrier.state == CALL_NONE)
        go_on(batch, false);
}

static uint8_t
flags_of(const struct hub_call *call)
{
    return (uint8_t)((call->flags & (WIRE_FLAG_JSON | WIRE_FLAG_AGAIN)) | (call->attempts > 0 ? WIRE_FLAG_AGAIN : 0));
}

static void
write_members(struct hub_batch *self, int64_t now_ms)
{
    const struct hub_call *call = self->waiting.first;
    struct out out;

    buf_reset(&self->request);
    out_init(&out, &self->request, OUT_MSGPACK);
    out_list(&out, self->loaded);
    for (unsigned i = 0; i < self->loaded; i++, call = call->next) {
        assert(call != NULL);
        out_list(&out, 3);
        out_int(&out, flags_of(call));
        out_int(&out, call->deadline_ms - now_ms);
        out_binary(&out, call->request->data, call->request->size);
    }
}

/* As many of those who wait as may go, in their order; there is one at least. */
int64_t
hub_batch_load(struct hub_batch *self, unsigned max, int64_t now_ms)
{
    int64_t deadline_ms = 0;
    size_t size = 0;

    self->loaded = 0;
    for (const struct hub_call *call = self->waiting.first; call != NULL && self->loaded < max; call = call->next) {
        size += call->request->size;
        if (self->loaded > 0 && size > BATCH_SIZE_MAX)
            break;
        deadline_ms = call->deadline_ms > deadline_ms ? call->deadline_ms : deadline_ms;
        self->loaded++;
    }
    if (self->loaded == 1) {
        self->carrier.request = self->waiting.first->request;
        self->carrier.flags = flags_of(self->waiting.first);
        return deadline_ms;
    }
    write_members(self, now_ms);
    self->carrier.request = &self->request;
    self->carrier.flags = WIRE_FLAG_BATCH;
    return deadline_ms;
}

/* The carrier outlives its members by a moment, also when all of them have been cancelled: as long as the worker may be
 * at it, the key is under way. */
void
hub_batch_sent(struct hub_batch *self, int64_t deadline_ms, int64_t now_ms)
{
    for (unsigned i = 0; i < self->loaded; i++) {
        struct hub_call *call = self->waiting.first;

        move(call, &self->sent, false);
        call->place = i;
        call->attempts++;
        call->sent_ms = now_ms;
    }
    count_waiting(self, -(int)self->loaded);
    if (self->loaded > 1) {
        metric_add(&batches_total, 1);
        metric_add(&members_total, self->loaded);
    }
    hub_deadline_remove(self->hub, &self->carrier);
    self->carrier.deadline_ms = deadline_ms + 1;
    hub_deadline_add(self->hub, &self->carrier);
}

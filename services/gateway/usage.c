/* usage.c - two tables that change places: one is counted in, the other is the batch under way, kept as the message it
 * was sent as until auth has taken it, so that a second attempt says the same. */
#include "usage.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "metric.h"
#include "out.h"

#define USAGE_ENTRIES_MAX  1024 /* what auth.usage.add takes at once */
#define USAGE_SLOTS        2048 /* a power of two; never more than half full */
#define USAGE_INTERVAL_MS  2000
#define USAGE_ANSWER_MS    3000
#define USAGE_MESSAGE_SIZE 262144

struct use {
    int64_t installation_id; /* 0: a free slot */
    int64_t requests;
    int64_t last_used_us;
    char credential[CREDENTIAL_NAME_SIZE];
};

struct usage {
    struct hub *hub;
    int64_t gateway_id;
    const struct operation *add;
    struct use *slots;
    unsigned count;
    int64_t batch;      /* the number of the last one made */
    struct buf request; /* that batch, while it is not taken */
    struct hub_call call;
    bool pending; /* request holds a batch that auth has not taken yet */
    bool asked;   /* call is under way */
    bool draining, gave_up;
    int64_t next_ms;
};

static struct metric lost = METRIC_COUNTER("sx_usage_lost_total", "Calls of apps that could not be counted.");

struct usage *
usage_new(struct hub *hub, int64_t gateway_id)
{
    struct usage *self = xcalloc(1, sizeof *self);

    self->hub = hub;
    self->gateway_id = gateway_id;
    self->add = hub_operation(STR("auth.usage.add"));
    self->slots = xcalloc(USAGE_SLOTS, sizeof *self->slots);
    buf_init(&self->request, USAGE_MESSAGE_SIZE);
    self->next_ms = hub_now_ms(hub) + USAGE_INTERVAL_MS;
    return self;
}

void
usage_destroy(struct usage **self)
{
    if (*self == NULL)
        return;
    hub_cancel((*self)->hub, &(*self)->call);
    buf_free(&(*self)->request);
    free((*self)->slots);
    free(*self);
    *self = NULL;
}

/* The slot of this pair, or a free one: there is always one, because at most half are taken. */
static struct use *
find_slot(const struct usage *self, const struct identity *identity)
{
    uint64_t hash = (uint64_t)identity->installation_id * UINT64_C(0x9e3779b97f4a7c15);

    for (const char *at = identity->credential; *at; at++)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
    for (uint64_t i = hash >> 32;; i++) {
        struct use *use = &self->slots[i % USAGE_SLOTS];

        if (use->installation_id == 0 ||
            (use->installation_id == identity->installation_id && strcmp(use->credential, identity->credential) == 0))
            return use;
    }
}

void
usage_note(struct usage *self, const struct identity *identity)
{
    struct use *use;

    if (identity->installation_id == 0 || self->add == NULL)
        return;
    use = find_slot(self, identity);
    if (use->installation_id == 0) {
        if (self->count == USAGE_ENTRIES_MAX) {
            metric_add(&lost, 1);
            return;
        }
        use->installation_id = identity->installation_id;
        memcpy(use->credential, identity->credential, sizeof use->credential);
        if (++self->count == USAGE_ENTRIES_MAX)
            self->next_ms = 0;
    }
    use->requests++;
    use->last_used_us = clock_now_us();
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

static void
write_entry(struct out *out, const struct use *use)
{
    out_map(out, 4);
    out_key(out, "installation_id");
    out_int(out, use->installation_id);
    out_key(out, "requests");
    out_int(out, use->requests);
    out_key(out, "last_used_us");
    out_int(out, use->last_used_us);
    out_key(out, "credential");
    out_text(out, use->credential);
}

static void
make_batch(struct usage *self)
{
    struct out out;

    buf_reset(&self->request);
    out_init(&out, &self->request, OUT_MSGPACK);
    out_map(&out, 2);
    out_key(&out, "caller");
    out_map(&out, 2);
    out_key(&out, "audience");
    out_int(&out, AUDIENCE_INTERNAL);
    out_key(&out, "service");
    out_text(&out, "gateway");
    out_key(&out, "body");
    out_map(&out, 3);
    out_key(&out, "gateway_id");
    out_int(&out, self->gateway_id);
    out_key(&out, "batch");
    out_int(&out, ++self->batch);
    out_key(&out, "entries");
    out_list(&out, self->count);
    for (unsigned i = 0; i < USAGE_SLOTS; i++)
        if (self->slots[i].installation_id != 0)
            write_entry(&out, &self->slots[i]);
    memset(self->slots, 0, USAGE_SLOTS * sizeof *self->slots);
    self->count = 0;
    self->pending = true;
}

static void
batch_answered(struct hub_call *call, struct hub_reply *reply)
{
    struct usage *self = call->owner;

    self->asked = false;
    if (!reply->local && !reply->error)
        self->pending = false;
    else if (!reply->local && reply->status < 500) {
        self->pending = false; /* the same batch would be refused again */
        log_event(LOG_ERROR, "usage_refused", "l:status", (int64_t)reply->status, NULL);
    } else if (self->draining)
        self->gave_up = true;
    zmq_msg_close(&reply->headers);
    zmq_msg_close(&reply->body);
}

int64_t
usage_next_ms(const struct usage *self)
{
    if (self->asked || self->gave_up || (self->count == 0 && !self->pending))
        return INT64_MAX;
    return self->next_ms;
}

void
usage_tick(struct usage *self)
{
    int64_t now_ms = hub_now_ms(self->hub);

    if (now_ms < usage_next_ms(self))
        return;
    if (!self->pending)
        make_batch(self);
    self->next_ms = now_ms + USAGE_INTERVAL_MS;
    self->asked = true;
    self->call = (struct hub_call){.operation = self->add,
                                   .request = &self->request,
                                   .repeatable = true,
                                   .deadline_ms = now_ms + USAGE_ANSWER_MS,
                                   .done = batch_answered,
                                   .owner = self};
    hub_submit(self->hub, &self->call);
}

void
usage_drain(struct usage *self)
{
    self->draining = true;
    self->next_ms = 0;
}

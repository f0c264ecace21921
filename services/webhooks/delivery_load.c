/* delivery_load.c - which queues this process holds, and the next deliveries of them. A few statements for all of them
 * together, however many there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "delivery.h"
#include "log.h"
#include "statements.h"
#include "text.h"

#define CLAIM_EACH_MS   5 /* and not more often, under load */
#define RENEW_EACH_MS   1000
#define PUT_OFF_MS      1000 /* and each next one later, so that however many there are they neither */
#define PUT_OFF_EACH_MS 2    /* keep us busy nor take the places as fast as those become free */
#define LIST_MAX        4194304
#define IDS_MAX         1048576

/* ---- numbers as PostgreSQL's arrays, written into a buffer ------------------------------------------------------- */

static void
ids_begin(struct buf *self)
{
    buf_init(self, IDS_MAX);
    buf_append_byte(self, '{');
}

static void
ids_add(struct buf *self, int64_t id)
{
    char text[INT_TEXT_SIZE];

    if (self->size > 1)
        buf_append_byte(self, ',');
    buf_append(self, text, text_from_int(text, id));
}

static const char *
ids_end(struct buf *self, struct arena *arena)
{
    const char *text;

    buf_append_byte(self, '}');
    text = arena_strndup(arena, self->data, self->size);
    buf_free(self);
    return text;
}

/* ---- the lease --------------------------------------------------------------------------------------------------- */

/* Somebody else may be sending for what we held: everything is let go, and what is under way is broken off. */
static void
lose_all(struct delivery *self)
{
    log_event(LOG_WARN, "queues_lost", "l:held", (int64_t)self->count, NULL);
    outbound_destroy(&self->outbound);
    self->outbound = outbound_new();
    while (self->count > 0)
        endpoint_remove(self, self->count - 1);
}

/* Both are times by the clocks of other processes, of which the later one need not be the greater one. */
static bool
is_changed(const struct endpoint *self, const struct rows *rows, unsigned row)
{
    return self->updated_us != rows_time(rows, row, "updated_at") ||
           self->reread_us != rows_time(rows, row, "reread_at") ||
           self->suspended != (rows_int(rows, row, "is_suspended") != 0);
}

static int
renew(struct call *call, struct delivery *self)
{
    int64_t begun_ms = clock_monotonic_ms();
    struct rows rows;
    struct buf ids;

    if (self->count == 0 || begun_ms - self->renewed_ms < RENEW_EACH_MS)
        return 0;
    ids_begin(&ids);
    for (unsigned i = 0; i < self->count; i++)
        ids_add(&ids, self->endpoints[i]->subscription_id);
    if (db_run(call, QUEUE_RENEW, &rows, "ls", self->holder, ids_end(&ids, call->arena)))
        return -1;
    if (rows.affected < self->count)
        lose_all(self);
    for (unsigned row = 0; self->count > 0 && row < rows.count; row++) {
        struct endpoint *endpoint = endpoint_find(self, rows_int(&rows, row, "subscription_id"));

        if (endpoint && endpoint->updated_us && is_changed(endpoint, &rows, row))
            endpoint_forget_waiting(endpoint);
    }
    self->renewed_ms = begun_ms;
    return 0;
}

int
delivery_claim(struct call *call, struct delivery *self)
{
    int64_t now_ms = clock_monotonic_ms();
    struct rows rows;

    if (renew(call, self))
        return -1;
    if (self->count == ENDPOINTS_MAX || now_ms - self->claimed_ms < CLAIM_EACH_MS)
        return 0;
    if (db_run(call, QUEUE_CLAIM, &rows, "ltl", self->holder, clock_now_us(), (int64_t)(ENDPOINTS_MAX - self->count)))
        return -1;
    if (self->count == 0)
        self->renewed_ms = now_ms;
    self->claimed_ms = now_ms;
    for (unsigned i = 0; i < rows.count; i++)
        if (!endpoint_find(self, rows_int(&rows, i, "subscription_id")))
            endpoint_add(self, rows_int(&rows, i, "subscription_id"));
    return 0;
}

/* ---- what is due ------------------------------------------------------------------------------------------------- */

/* Of what cannot go out soon only a few are read. */
static unsigned
items_max(const struct delivery *self, const struct endpoint *endpoint)
{
    if (endpoint_standing(endpoint) != TRUSTED)
        return ITEMS_DOUBTED;
    return ITEMS_ALL / self->count < ITEMS_MAX ? ITEMS_ALL / self->count : ITEMS_MAX;
}

static bool
wants_more(const struct delivery *self, const struct endpoint *endpoint)
{
    return endpoint->may_have_more && endpoint->count <= items_max(self, endpoint) * 3 / 8;
}

static struct str
wanted_json(struct call *call, struct delivery *self, unsigned count)
{
    struct str json;
    struct buf buf;
    struct out out;

    buf_init(&buf, LIST_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, count);
    for (unsigned i = 0; i < self->count; i++) {
        struct endpoint *endpoint = self->endpoints[i];

        if (!wants_more(self, endpoint))
            continue;
        out_map(&out, 3);
        out_key(&out, "s");
        out_int(&out, endpoint->subscription_id);
        out_key(&out, "n");
        out_int(&out, items_max(self, endpoint) - endpoint->count);
        out_key(&out, "x");
        out_list(&out, endpoint->count);
        for (struct item *item = endpoint->first; item; item = item->next)
            out_int(&out, item->delivery_id);
    }
    json = (struct str){arena_strndup(call->arena, buf.data, buf.size), buf.size};
    buf_free(&buf);
    return json;
}

static enum standing
last_standing(const struct rows *rows, unsigned row)
{
    if (rows_is_null(rows, row, "last_success_at"))
        return rows_is_null(rows, row, "last_failure_at") ? DOUBTED : FAILING;
    if (rows_is_null(rows, row, "last_failure_at"))
        return TRUSTED;
    return rows_time(rows, row, "last_success_at") < rows_time(rows, row, "last_failure_at") ? FAILING : TRUSTED;
}

static void
read_endpoint(struct delivery *delivery, struct endpoint *self, const struct rows *rows, unsigned row)
{
    endpoint_introduce(delivery, self, rows_int(rows, row, "owner"), last_standing(rows, row));
    self->version = rows_int(rows, row, "version");
    self->store_id = rows_int(rows, row, "store_id");
    self->updated_us = rows_time(rows, row, "updated_at");
    self->reread_us = rows_time(rows, row, "reread_at");
    self->suspended = rows_int(rows, row, "is_suspended") != 0;
    free(self->url);
    self->url = xstrdup(rows_text(rows, row, "target_url"));
    self->profile = profile_of(rows_text(rows, row, "profile"));
    self->readable = secret_read(rows, row, "secret", self->subscription_id, self->secret) == 0;
    self->has_old = !rows_is_null(rows, row, "old_secret") &&
                    secret_read(rows, row, "old_secret", self->subscription_id, self->old_secret) == 0;
    self->old_until_us = rows_time(rows, row, "old_secret_until");
}

/* False: an earlier one of its resource is neither over nor in hand. */
static bool
read_item(struct endpoint *endpoint, const struct rows *rows, unsigned row)
{
    struct item *item, *prev = NULL;
    const char *body = rows_text(rows, row, "body");

    if (!rows_is_null(rows, row, "prev")) {
        prev = endpoint_find_item(endpoint, rows_int(rows, row, "prev"));
        if (!prev)
            return false;
    }
    item = item_add(endpoint, rows_int(rows, row, "delivery_id"));
    item->state = prev ? ITEM_CHAINED : ITEM_WAITS;
    if (prev)
        prev->behind = item;
    item->attempt = rows_int(rows, row, "attempt") + 1;
    snprintf(item->event_id, sizeof item->event_id, "%s", rows_text(rows, row, "event_id"));
    snprintf(item->topic, sizeof item->topic, "%s", rows_text(rows, row, "topic"));
    item->body = body ? xstrdup(body) : NULL;
    return true;
}

static int
read_items(struct call *call, struct delivery *self, const struct rows *rows)
{
    struct endpoint *endpoint = NULL;
    unsigned parked = 0;
    struct rows gone;
    struct buf ids;

    ids_begin(&ids);
    for (unsigned row = 0; row < rows->count; row++) {
        if (!endpoint || endpoint->subscription_id != rows_int(rows, row, "subscription_id")) {
            endpoint = endpoint_find(self, rows_int(rows, row, "subscription_id"));
            endpoint->may_have_more = true;
        }
        if (!read_item(endpoint, rows, row)) {
            ids_add(&ids, rows_int(rows, row, "delivery_id"));
            parked++;
        }
    }
    if (parked == 0) {
        buf_free(&ids);
        return 0;
    }
    return db_run(call, WAITING_PARK, &gone, "s", ids_end(&ids, call->arena));
}

/* What waits for a subscription that is switched off. */
static int
drop_waiting(struct call *call, struct endpoint *endpoint)
{
    struct rows dropped;

    if (db_run(call, SUBSCRIPTION_DROP_WAITING, &dropped, "lt", endpoint->subscription_id, clock_now_us()))
        return -1;
    endpoint->may_have_more = dropped.affected == DROPPED_AT_ONCE;
    return 0;
}

int
delivery_load(struct call *call, struct delivery *self)
{
    struct rows endpoints, rows;
    unsigned count = 0;
    struct buf ids;

    ids_begin(&ids);
    for (unsigned i = 0; i < self->count; i++)
        if (wants_more(self, self->endpoints[i])) {
            ids_add(&ids, self->endpoints[i]->subscription_id);
            count++;
        }
    if (count == 0) {
        buf_free(&ids);
        return 0;
    }
    if (db_send(call, ENDPOINTS_READ, "s", ids_end(&ids, call->arena)) ||
        db_send(call, WAITING_LOAD, "jt", wanted_json(call, self, count), clock_now_us()))
        return -1;
    delivery_meanwhile(call, self);
    if (db_collect(call, &endpoints) || db_collect(call, &rows))
        return -1;
    for (unsigned i = 0; i < endpoints.count; i++) {
        struct endpoint *endpoint = endpoint_find(self, rows_int(&endpoints, i, "subscription_id"));

        bool changed = endpoint->updated_us && is_changed(endpoint, &endpoints, i);

        read_endpoint(self, endpoint, &endpoints, i);
        endpoint->may_have_more = false; /* unless something came with it */
        if (changed)                     /* what was read before then counts no more */
            endpoint_forget_waiting(endpoint);
        if (!rows_int(&endpoints, i, "is_on") && drop_waiting(call, endpoint))
            return -1;
    }
    return read_items(call, self, &rows);
}

/* ---- letting go -------------------------------------------------------------------------------------------------- */

/* While all places are taken those that could only wait for others of their owner have none. */
static bool
is_put_off(const struct delivery *self, const struct endpoint *endpoint)
{
    if (self->count < ENDPOINTS_MAX || !endpoint_hangs(self, endpoint))
        return false;
    for (const struct item *item = endpoint->first; item; item = item->next)
        if (item->state == ITEM_OVER || item->state == ITEM_NOTED)
            return false;
    return true;
}

static bool
is_done_with(const struct delivery *self, const struct endpoint *endpoint)
{
    return (endpoint->count == 0 && !endpoint->may_have_more) || is_put_off(self, endpoint);
}

/* How long the next one is put off. */
static int64_t
wait_ms(struct delivery *self)
{
    int64_t now_ms = clock_monotonic_ms();

    self->back_ms += PUT_OFF_EACH_MS;
    if (self->back_ms < now_ms + PUT_OFF_MS)
        self->back_ms = now_ms + PUT_OFF_MS;
    return self->back_ms - now_ms;
}

static void
write_release(struct delivery *delivery, struct out *out, struct endpoint *self)
{
    bool put_off = self->count > 0 || self->may_have_more;

    if (put_off)
        endpoint_forget_waiting(self);
    out_map(out, put_off ? 4 : 3);
    out_key(out, "s");
    out_int(out, self->subscription_id);
    out_key(out, "v");
    out_int(out, self->version);
    out_key(out, "suspended");
    out_bool(out, self->suspended);
    if (put_off) {
        out_key(out, "until");
        out_time(out, clock_now_us() + wait_ms(delivery) * INT64_C(1000));
    }
    self->may_have_more = true; /* those that are not given back have got something new */
}

int
delivery_release(struct call *call, struct delivery *self)
{
    struct endpoint *done[ENDPOINTS_MAX];
    unsigned count = 0;
    struct rows rows;
    struct buf buf;
    struct out out;
    int rc;

    for (unsigned i = 0; i < self->count; i++)
        if (is_done_with(self, self->endpoints[i]))
            done[count++] = self->endpoints[i];
    if (count == 0)
        return 0;
    buf_init(&buf, LIST_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, count);
    for (unsigned i = 0; i < count; i++)
        write_release(self, &out, done[i]);
    rc = db_run(call, QUEUE_RELEASE, &rows, "jl", (struct str){buf.data, buf.size}, self->holder);
    buf_free(&buf);
    for (unsigned row = 0; rc == 0 && row < rows.count; row++)
        for (unsigned i = 0; i < self->count; i++)
            if (self->endpoints[i]->subscription_id == rows_int(&rows, row, "subscription_id")) {
                endpoint_remove(self, i);
                break;
            }
    return rc;
}

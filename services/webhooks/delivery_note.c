/* delivery_note.c - results of attempts, many in one transaction: what is over goes into the history, what failed gets
 * its next time, and endpoints that keep failing are switched off (contract D.3, K.4). */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "delivery.h"
#include "log.h"
#include "statements.h"
#include "text.h"

#define RESULT_MAX        (6 * ANSWER_KEPT + 16384) /* an answer of control characters, the headers and the rest */
#define RESULTS_MAX       (NOTED_AT_ONCE * RESULT_MAX)
#define RETRY_AFTER_MAX_S 86400
#define STATUS_GONE       410

static const int64_t gaps_s[] = {60, 300, 1800, 7200, 43200};

/* Up to a tenth later, so that what failed together does not come back together. */
static int64_t
next_time(const struct item *self)
{
    int64_t gap_us = gaps_s[self->attempt - 1] * US_PER_SECOND, asked_us;
    uint32_t random;

    secret_random(&random, sizeof random);
    gap_us += (int64_t)((double)gap_us / 10 * random / UINT32_MAX);
    asked_us = self->request.retry_after_s < RETRY_AFTER_MAX_S ? self->request.retry_after_s : RETRY_AFTER_MAX_S;
    asked_us *= US_PER_SECOND;
    return clock_now_us() + (gap_us > asked_us ? gap_us : asked_us);
}

static void
judge(struct item *self)
{
    int status = self->request.status;

    if (status >= 200 && status < 300)
        self->result = "success";
    else if (status == STATUS_GONE || self->attempt >= ATTEMPTS_MAX || !self->body)
        self->result = "failed";
    else
        self->result = "retrying";
    self->next_us = strcmp(self->result, "retrying") == 0 ? next_time(self) : 0;
}

static void
member_text(struct out *out, const char *name, const char *text)
{
    out_key(out, name);
    out_text(out, text);
}

static void
member_int(struct out *out, const char *name, int64_t value)
{
    out_key(out, name);
    out_int(out, value);
}

static void
member_time(struct out *out, const char *name, int64_t time_us)
{
    out_key(out, name);
    if (time_us)
        out_time(out, time_us);
    else
        out_null(out);
}

/* What a stranger's server wrote is kept as far as it is text. */
static void
member_answer(struct out *out, struct item *self)
{
    struct str text = {self->answer, self->request.answer_len};

    for (size_t i = 0; i < text.len; i++)
        if (self->answer[i] == '\0')
            self->answer[i] = ' ';
    while (text.len + 4 > ANSWER_KEPT && !text_is_utf8(text.base, text.len))
        text.len--; /* the last character may have been cut */
    out_key(out, "answer");
    if (self->request.status && text_is_utf8(text.base, text.len))
        out_str(out, text);
    else
        out_null(out);
}

static void
write_result(struct out *out, struct item *self, int64_t n)
{
    out_map(out, 14);
    member_int(out, "n", n);
    member_int(out, "id", self->delivery_id);
    member_int(out, "s", self->endpoint->subscription_id);
    member_text(out, "state", self->result);
    member_time(out, "next_at", self->next_us);
    member_int(out, "attempt", self->attempt);
    member_text(out, "attempt_id", self->attempt_id);
    member_time(out, "at", self->begun_us);
    out_key(out, "headers");
    out_json(out, str_of(self->headers ? self->headers : "{}"));
    out_key(out, "status");
    if (self->request.status)
        out_int(out, self->request.status);
    else
        out_null(out);
    member_answer(out, self);
    if (!text_is_utf8(self->request.error, strlen(self->request.error)))
        snprintf(self->request.error, sizeof self->request.error, "the answer cannot be read");
    member_text(out, "error", self->request.error[0] ? self->request.error : NULL);
    member_int(out, "ms", self->request.duration_ms);
    out_key(out, "gone");
    out_bool(out, self->request.status == STATUS_GONE);
}

static unsigned
count_over(const struct delivery *self)
{
    unsigned count = 0;

    for (unsigned i = 0; i < self->count; i++)
        for (struct item *item = self->endpoints[i]->first; item; item = item->next)
            count += item->state == ITEM_OVER;
    return count;
}

static struct str
results_json(struct call *call, struct delivery *self, unsigned count, bool *all_good)
{
    struct str json;
    struct buf buf;
    struct out out;
    int64_t n = 0;

    buf_init(&buf, RESULTS_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, count);
    for (unsigned i = 0; i < self->count; i++)
        for (struct item *item = self->endpoints[(self->turn_of + i) % self->count]->first; item && n < count;
             item = item->next)
            if (item->state == ITEM_OVER) {
                judge(item);
                *all_good &= strcmp(item->result, "success") == 0;
                write_result(&out, item, n++);
                item->state = ITEM_NOTED;
            }
    json = (struct str){arena_strndup(call->arena, buf.data, buf.size), buf.size};
    buf_free(&buf);
    return json;
}

/* ---- switching off ----------------------------------------------------------------------------------------------- */

/* The developer hears of it by an event, which the log of the store's install has as well, where it is of a store. */
static int
announce(struct call *call, const struct rows *rows, int64_t subscription_id, int64_t now_us)
{
    const struct event event = {
        .event_id = str_of(rows_text(rows, 0, "event_id")),
        .topic = str_of("webhook.disabled"),
        .resource_type = str_of("webhook"),
        .data = str_of(rows_text(rows, 0, "_event")),
        .store_id = rows_int(rows, 0, "store_id"),
        .resource_id = subscription_id,
        .created_us = now_us,
    };

    if (!rows_is_null(rows, 0, "store_id"))
        return events_take(call, &event, 1) < 0 ? -1 : 0;
    db_after_commit(call, deliver_wake);
    return db_post(call, DEVELOPER_TELL, "stllj", event.event_id.base, now_us, rows_int(rows, 0, "app_id"),
                   subscription_id, event.data);
}

static int
disable(struct call *call, struct delivery *self, const struct rows *noted, unsigned row)
{
    int64_t subscription_id = rows_int(noted, row, "subscription_id"), now_us = clock_now_us();
    const char *why = rows_int(noted, row, "gone") ? "the endpoint answered 410 Gone" : "ten events in a row failed";
    struct endpoint *endpoint = endpoint_find(self, subscription_id);
    struct rows rows;

    if (db_run(call, SUBSCRIPTION_DISABLE, &rows, "lts", subscription_id, now_us, why))
        return -1;
    if (rows.count == 0)
        return 0;
    log_event(LOG_INFO, "subscription_disabled", "l:subscription_id", subscription_id, "s:why", why, NULL);
    if (endpoint)
        endpoint_forget_waiting(endpoint);
    if (db_post(call, SUBSCRIPTION_DROP_WAITING, "lt", subscription_id, now_us))
        return -1;
    return rows_is_null(&rows, 0, "_event") ? 0 : announce(call, &rows, subscription_id, now_us);
}

static int
send_note(struct call *call, struct delivery *self, struct str results, const char *durable, struct rows *rows)
{
    if (db_send(call, ATTEMPTS_NOTE, "jltls", results, self->holder, clock_now_us(), (int64_t)FAILURES_MAX, durable))
        return -1;
    delivery_meanwhile(call, self);
    return db_collect(call, rows);
}

/* That all went well need not be on the disk when it is answered: a crash of PostgreSQL that forgets it makes the last
 * half second's deliveries come again, each with its event's id, as at-least-once allows. What a failure changes is
 * promised to somebody: how many attempts there are, and when. */
static int
note(struct call *call, struct delivery *self, struct str results, bool all_good)
{
    struct rows rows;

    if (all_good)
        return send_note(call, self, results, "off", &rows);
    if (db_begin(call) || send_note(call, self, results, "on", &rows))
        return -1;
    for (unsigned i = 0; i < rows.count; i++)
        if (rows_int(&rows, i, "is_bad") && disable(call, self, &rows, i))
            return -1;
    return db_commit(call);
}

/* ---- forgetting -------------------------------------------------------------------------------------------------- */

/* What was to follow one that is repeated waits in the table as long as that. */
static void
drop_chain(struct item *self)
{
    while (self) {
        struct item *behind = self->behind;

        item_free(self);
        self = behind;
    }
}

static void
forget(struct endpoint *self)
{
    struct item *item = self->first;

    while (item) {
        struct item *behind = item->behind;
        bool over = item->state == ITEM_NOTED, again = over && strcmp(item->result, "retrying") == 0;

        if (!over) {
            item = item->next;
            continue;
        }
        if (again)
            drop_chain(behind);
        else if (behind)
            behind->state = ITEM_WAITS;
        self->may_have_more |= again;
        item_free(item);
        item = self->first; /* the list may have lost more than this one */
    }
}

/* They are noted by another turn, one at a time, so that one that cannot be written down holds up nobody: when it is
 * refused alone, and not for want of PostgreSQL, what its endpoint answered is left out. What was noted after all
 * counts no second time. */
static int
remember(struct call *call, struct delivery *self)
{
    struct call_failure failure = {.code = FAIL_INTERNAL_ERROR};
    bool refused;

    (void)call_take_failure(call, &failure);
    refused = failure.code == FAIL_INTERNAL_ERROR && self->note_max == 1;
    for (unsigned i = 0; i < self->count; i++)
        for (struct item *item = self->endpoints[i]->first; item; item = item->next)
            if (item->state == ITEM_NOTED) {
                item->state = ITEM_OVER;
                if (refused)
                    item->request.answer_len = 0;
            }
    self->note_max = 1;
    return call_fail(call, failure.code, failure.field, failure.why);
}

/* An attempt is kept with the day on which it was begun. */
static int
need_days(struct call *call, const struct delivery *self)
{
    int64_t known_day = -1;

    for (unsigned i = 0; i < self->count; i++)
        for (const struct item *item = self->endpoints[i]->first; item; item = item->next) {
            if (item->state != ITEM_OVER || item->begun_us / DAY_US == known_day)
                continue;
            if (partitions_need(call, item->begun_us))
                return -1;
            known_day = item->begun_us / DAY_US;
        }
    return 0;
}

int
delivery_note(struct call *call, struct delivery *self)
{
    unsigned over = count_over(self), count;
    bool all_good = true;
    struct str results;

    self->over = over;
    if (over == 0)
        return 0;
    if (self->note_max == 0)
        self->note_max = NOTED_AT_ONCE;
    count = over < self->note_max ? over : self->note_max;
    if (need_days(call, self))
        return -1;
    results = results_json(call, self, count, &all_good);
    if (note(call, self, results, all_good))
        return remember(call, self);
    self->over -= count; /* what came back meanwhile has been added */
    self->note_max = 2 * self->note_max < NOTED_AT_ONCE ? 2 * self->note_max : NOTED_AT_ONCE;
    for (unsigned i = 0; i < self->count; i++)
        forget(self->endpoints[i]);
    return 0;
}

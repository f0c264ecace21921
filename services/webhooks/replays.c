/* replays.c - the app's routes to replays: what would be sent, begin, look, cancel (contract K.4). */
#include "bounds.h"
#include "clock.h"
#include "replay.h"
#include "statements.h"
#include "subscription.h"
#include "webhooks_operations.h"

#define RATE_DEFAULT 50
#define TARGETS_MAX  100
#define REACH_DAYS   31 /* nothing older is kept */

struct wish {
    int64_t installation_id, generation, subscription_id, from_us, to_us, rate, now_us;
    int64_t event_us;            /* of the single event */
    const int64_t *subscription; /* NULL: all */
    const char *topic, *event_id, *status;
    bool dry_run;
};

static int
read_wish(struct call *call, struct wish *self)
{
    int64_t now_us = clock_now_us();

    *self = (struct wish){
        .installation_id = call->caller.installation_id,
        .generation = call->caller.generation,
        .subscription_id = in_int(call->in, "body.subscription_id", 0),
        .from_us = in_time(call->in, "body.from", now_us - REACH_DAYS * DAY_US),
        .to_us = in_time(call->in, "body.to", now_us),
        .rate = in_int(call->in, "body.rate", RATE_DEFAULT),
        .now_us = now_us,
        .topic = in_text(call->in, "body.topic"),
        .event_id = in_text(call->in, "body.event_id"),
        .status = in_text(call->in, "body.status"),
        .dry_run = in_bool(call->in, "body.dry_run", false),
    };
    if (self->subscription_id)
        self->subscription = &self->subscription_id;
    if (self->event_id && (self->status || in_has(call->in, "body.from") || in_has(call->in, "body.to")))
        return call_fail(call, FAIL_VALIDATION_ERROR, "event_id", "stands alone: leave out from, to and status");
    if (!self->status)
        self->status = self->event_id ? "all" : "failed";
    if (self->to_us > now_us)
        self->to_us = now_us;
    if (self->from_us >= self->to_us)
        return call_fail(call, FAIL_VALIDATION_ERROR, "from", "must be earlier than to, and in the past");
    return 0;
}

/* Why the one subscription that was named is none of those to send to. */
static int
refuse_subscription(struct call *call, const struct wish *self)
{
    struct rows rows;

    if (db_run(call, SUBSCRIPTION_GET, &rows, "tsl", self->now_us, subscription_owner(call), self->subscription_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, "subscription_id",
                         "is no subscription of this app in this store");
    if (!rows_int(&rows, 0, "is_active"))
        return call_fail(call, FAIL_CONFLICT, "subscription_id",
                         "The subscription is switched off; switch it on first");
    return call_failf(call, FAIL_VALIDATION_ERROR, self->event_id ? "event_id" : "topic",
                      "The subscription is for another topic: %s", rows_text(&rows, 0, "topic"));
}

/* The event's topic is the only one whose subscriptions it may go to. */
static int
find_event(struct call *call, struct wish *self)
{
    struct rows rows;
    const char *topic;

    if (db_run(call, REPLAY_EVENT_FIND, &rows, "lsl", self->installation_id, self->event_id, self->generation))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, "event_id",
                         "is no event of this installation's log, or is kept no more");
    topic = rows_text(&rows, 0, "topic");
    if (self->topic && !str_is(str_of(self->topic), topic))
        return call_failf(call, FAIL_VALIDATION_ERROR, "topic", "The event is of another topic: %s", topic);
    self->topic = topic;
    self->event_us = rows_time(&rows, 0, "at");
    self->from_us = self->event_us;
    self->to_us = self->event_us + 1;
    return 0;
}

/* How many would be sent, in `rows`. */
static int
count_all(struct call *call, const struct wish *self, struct rows *rows)
{
    bool is_failed = str_is(str_of(self->status), "failed");

    if (db_run(call, is_failed ? REPLAY_COUNT_FAILED : REPLAY_COUNT_ALL, rows, "lLsltt", self->installation_id,
               self->subscription, self->topic, self->generation, self->from_us, self->to_us))
        return -1;
    if (rows_int(rows, 0, "subscriptions") > TARGETS_MAX)
        return call_failf(call, FAIL_VALIDATION_ERROR, "subscription_id",
                          "More than %d subscriptions would be sent to; name one, or a topic", TARGETS_MAX);
    if (rows_int(rows, 0, "subscriptions") == 0 && self->subscription)
        return refuse_subscription(call, self);
    return 0;
}

static int
reply_count(struct call *call, int64_t subscriptions, int64_t total)
{
    call_data(call);
    out_map(&call->out, 3);
    out_key(&call->out, "subscriptions");
    out_int(&call->out, subscriptions);
    out_key(&call->out, "total");
    out_int(&call->out, total < TOTAL_EXACT_MAX ? total : TOTAL_EXACT_MAX);
    out_key(&call->out, "total_capped");
    out_int(&call->out, total > TOTAL_EXACT_MAX);
    return call_reply(call, 200);
}

static int
insert(struct call *call, const struct wish *self, const char *state, int64_t total, int64_t queued, struct rows *rows)
{
    if (db_post(call, REPLAY_TRIM, "l", self->installation_id) ||
        db_try(call, REPLAY_INSERT, rows, "lLsssttlslltl", self->installation_id, self->subscription, self->topic,
               self->event_id, self->status, self->from_us, self->to_us, self->rate, state, total, queued, self->now_us,
               self->generation))
        return -1;
    if (db_violated(rows))
        return call_fail(call, FAIL_CONFLICT, NULL,
                         "Another replay of this installation is running; wait until it is over, or cancel it");
    return rows->count == 0 ? installation_unheard(call) : 0;
}

/* A single event goes out at once. */
static int
send_event(struct call *call, const struct wish *self)
{
    struct rows rows, sent;
    int64_t queued;

    if (db_begin(call) || db_run(call, INSTALLATION_SHARE, &rows, "ll", self->installation_id, self->generation))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_CONFLICT, NULL, "The app is being uninstalled");
    if (db_run(call, REPLAY_EVENT_SEND, &sent, "lLslstt", self->installation_id, self->subscription, self->topic,
               self->generation, self->event_id, self->event_us, self->now_us))
        return -1;
    queued = rows_int(&sent, 0, "queued");
    if (insert(call, self, "completed", queued, queued, &rows))
        return -1;
    db_after_commit(call, deliver_wake);
    if (db_commit(call))
        return -1;
    return call_reply_row(call, 202, &rows, 0);
}

static void
wake(void)
{
    actor_wake(REPLAY_ACTOR);
}

int
replays_create(struct call *call)
{
    struct rows counted, rows;
    struct wish wish;

    if (read_wish(call, &wish) || installation_await(call, LOG_END, &rows) ||
        (wish.event_id && find_event(call, &wish)) || count_all(call, &wish, &counted))
        return -1;
    if (wish.dry_run)
        return reply_count(call, rows_int(&counted, 0, "subscriptions"),
                           rows_int(&counted, 0, wish.event_id ? "subscriptions" : "total"));
    if (wish.event_id)
        return send_event(call, &wish);
    if (db_begin(call) || insert(call, &wish, "running", rows_int(&counted, 0, "total"), 0, &rows))
        return -1;
    db_after_commit(call, wake);
    if (db_commit(call))
        return -1;
    return call_reply_row(call, 202, &rows, 0);
}

int
replays_list(struct call *call)
{
    struct rows rows;

    if (db_run(call, REPLAYS_LIST, &rows, "ll", call->caller.installation_id, call->caller.generation))
        return -1;
    call_data(call);
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

static int
reply_one(struct call *call)
{
    struct rows rows;

    if (db_run(call, REPLAY_GET, &rows, "lll", call->caller.installation_id, call->caller.generation,
               in_int(call->in, "path.replay_id", 0)))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "replay_id", "No such replay of this app in this store");
    return call_reply_row(call, 200, &rows, 0);
}

int
replays_get(struct call *call)
{
    return reply_one(call);
}

/* Waits for the piece that is being put on its way; after the answer nothing more is. */
int
replays_cancel(struct call *call)
{
    struct rows rows;

    if (db_run(call, REPLAY_CANCEL, &rows, "lllt", call->caller.installation_id, call->caller.generation,
               in_int(call->in, "path.replay_id", 0), clock_now_us()))
        return -1;
    return reply_one(call);
}

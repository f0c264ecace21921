/* installations.c - the two steps of auth's uninstall saga that happen here (protocols 8). Each may come again, and
 * late: it acts on its generation and earlier ones, and does nothing twice. */
#include "clock.h"
#include "intake.h"
#include "statements.h"
#include "webhooks_operations.h"

#define CANCELLED_AT_ONCE 5000
#define CANCEL_BATCHES    50

static int64_t
take_uninstalled(struct call *call)
{
    const struct event event = {
        .event_id = in_str(call->in, "body.event_id"),
        .topic = str_of("app.uninstalled"),
        .resource_type = str_of("installation"),
        .data = in_str(call->in, "body.data"),
        .store_id = in_int(call->in, "body.store_id", 0),
        .resource_id = in_int(call->in, "body.installation_id", 0),
        .created_us = in_int(call->in, "body.created_us", 0),
    };

    return events_take(call, &event, 1);
}

static int
reply(struct call *call, bool deliveries, int64_t count)
{
    call_data(call);
    out_map(&call->out, deliveries ? 2 : 1);
    out_key(&call->out, "installation_id");
    out_int(&call->out, in_int(call->in, "body.installation_id", 0));
    if (deliveries) {
        out_key(&call->out, "deliveries");
        out_int(&call->out, count);
    }
    return call_reply(call, 200);
}

/* A statement may take only so long, and a million may wait: all but the last batch go before the transaction. What
 * does not fit into this call is left to the next one, which the saga makes. */
static int
cancel_most(struct call *call, int64_t installation_id, int64_t generation)
{
    struct rows rows;

    for (unsigned i = 0; i < CANCEL_BATCHES; i++) {
        if (db_run(call, WAITING_CANCEL, &rows, "lll", installation_id, generation, (int64_t)CANCELLED_AT_ONCE))
            return -1;
        if (rows.affected < CANCELLED_AT_ONCE)
            return 0;
    }
    return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, "More deliveries wait than can be cancelled at once");
}

/* Whoever installed it again meanwhile is left alone: the event says of which generation it is, and goes to that one's
 * subscriptions, which have been ending since then, and to the merchant's. */
int
installations_ending(struct call *call)
{
    int64_t installation_id = in_int(call->in, "body.installation_id", 0);
    int64_t generation = in_int(call->in, "body.generation", 0), now_us = clock_now_us(), taken = 0;
    bool has_event = in_has(call->in, "body.data");
    struct rows rows, cancelled;

    if (cancel_most(call, installation_id, generation))
        return -1;
    if ((has_event && partitions_need(call, in_int(call->in, "body.created_us", 0))) || db_begin(call) ||
        db_post(call, SEQUENCE_LOCK, "l", installation_id) ||
        db_run(call, INSTALLATION_BEGIN_END, &rows, "llllt", installation_id, generation,
               in_int(call->in, "body.store_id", 0), in_int(call->in, "body.app_id", 0), now_us) ||
        db_post(call, SEQUENCE_PUT, "l", installation_id) ||
        db_post(call, SUBSCRIPTIONS_BEGIN_END, "llt", installation_id, generation, now_us) ||
        db_run(call, WAITING_CANCEL, &cancelled, "lll", installation_id, generation, (int64_t)CANCELLED_AT_ONCE) ||
        db_post(call, QUEUES_OF_APP_REREAD, "lt", in_int(call->in, "body.app_id", 0), now_us))
        return -1;
    if (cancelled.affected == CANCELLED_AT_ONCE)
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, "More deliveries wait than can be cancelled at once");
    if (has_event)
        taken = take_uninstalled(call);
    if (taken < 0 || db_commit(call))
        return -1;
    return reply(call, true, taken);
}

int
installations_ended(struct call *call)
{
    int64_t installation_id = in_int(call->in, "body.installation_id", 0);
    int64_t generation = in_int(call->in, "body.generation", 0), now_us = clock_now_us();

    if (db_begin(call) || db_post(call, SUBSCRIPTIONS_END, "llt", installation_id, generation, now_us) ||
        db_post(call, INSTALLATION_END, "llt", installation_id, generation, now_us) || db_commit(call))
        return -1;
    return reply(call, false, 0);
}

/* history.c - the delivery log of a subscription, one delivery once more, and the log of events for those who would
 * rather ask than be told (contract K.4). */
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "listing.h"
#include "statements.h"
#include "subscription.h"
#include "text.h"
#include "webhooks_operations.h"

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

int
deliveries_select(struct call *call, int64_t subscription_id, const char **waiting, const char **over)
{
    const char *status = in_text(call->in, "query.status");
    struct rows rows;

    *waiting = "{pending,retrying}";
    *over = "{success,failed}";
    if (status) {
        bool waits = strcmp(status, "pending") == 0 || strcmp(status, "retrying") == 0;

        *waiting = waits ? arena_printf(call->arena, "{%s}", status) : "{}";
        *over = waits ? "{}" : arena_printf(call->arena, "{%s}", status);
    }
    if (db_run(call, SUBSCRIPTION_GET, &rows, "tsl", clock_now_us(), subscription_owner(call), subscription_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "subscription_id", "No such subscription");
    return 0;
}

int
deliveries_list(struct call *call)
{
    int64_t subscription_id = in_int(call->in, "path.subscription_id", 0);
    const char *waiting, *over, *status = in_text(call->in, "query.status");
    struct listing page = {.list = "deliveries",
                           .of = subscription_id,
                           .filter = status,
                           .id_column = "_id",
                           .descending = true,
                           .deepest = PAGES_DEEP};
    struct rows rows;

    if (listing_begin(&page, call) || deliveries_select(call, subscription_id, &waiting, &over) ||
        db_run(call, DELIVERIES_LIST, &rows, "lllssl", subscription_id, listing_id(&page), listing_wanted(&page),
               waiting, over, listing_offset(&page)))
        return -1;
    return listing_reply(&page, call, &rows, rows_int(&rows, 0, "_total"));
}

int
deliveries_retry(struct call *call)
{
    const char *text = in_text(call->in, "path.delivery_id");
    int64_t delivery_id = 0, now_us = clock_now_us();
    struct rows rows;

    if (text_to_int(text, strlen(text), &delivery_id))
        delivery_id = 0;
    /* Shared first, so that an uninstall comes before or after. */
    if (db_begin(call) || db_run(call, DELIVERY_SHARE, &rows, "l", delivery_id) ||
        db_run(call, DELIVERY_HURRY, &rows, "lst", delivery_id, subscription_owner(call), now_us))
        return -1;
    if (rows.count == 0 && db_run(call, DELIVERY_AGAIN, &rows, "lst", delivery_id, subscription_owner(call), now_us))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "delivery_id",
                         "No such delivery of a subscription that is switched on and whose topic may be read");
    if (db_post(call, QUEUE_RING, "lt", rows_int(&rows, 0, "_subscription_id"), now_us))
        return -1;
    db_after_commit(call, deliver_wake);
    if (db_commit(call))
        return -1;
    return call_reply_row(call, 202, &rows, 0);
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

/* Where to go on: behind what was told, or behind what was looked at when all of it was told. Where less was found than
 * asked for, that is the log's end, unless something has come since that was looked up. */
static int64_t
next_after(const struct rows *rows, int64_t after, int64_t limit, int64_t end)
{
    int64_t told = rows_int(rows, rows->count - 1, "seq"), seen = rows_int(rows, 0, "_seen");

    if (told < rows_int(rows, 0, "_last"))
        return told;
    if (rows_int(rows, 0, "_count") == limit || seen > end)
        return seen;
    return end > after ? end : after;
}

static int
write_events(struct call *call, const struct rows *rows, int64_t next, int64_t oldest, int64_t last)
{
    struct rows shown = *rows;

    if (rows_is_null(rows, 0, "seq"))
        shown.count = 0;
    call_data_with(call, 3);
    out_rows(&call->out, &shown);
    out_key(&call->out, "next_after");
    out_int(&call->out, next);
    out_key(&call->out, "oldest_seq");
    out_int(&call->out, oldest);
    out_key(&call->out, "last_seq");
    out_int(&call->out, last > next ? last : next);
    return call_reply(call, 200);
}

int
events_list(struct call *call)
{
    int64_t after = in_int(call->in, "query.after", 0), limit = in_int(call->in, "query.limit", PAGE_LIMIT_DEFAULT);
    int64_t installation_id = call->caller.installation_id, generation = call->caller.generation, oldest, last;
    const char *topic = in_text(call->in, "query.topic"), *scopes = subscription_scopes(call);
    struct rows rows, begin, end;

    /* Its end first: what is behind it was not looked for. Its beginning last: a day may be dropped in between, or the
     * app be installed again, and then what was read is of two installs. */
    if (installation_await(call, LOG_END, &end) ||
        (topic ? db_send(call, EVENTS_AFTER_TOPIC, "lllss", installation_id, after, limit, scopes, topic)
               : db_send(call, EVENTS_AFTER_ALL, "llls", installation_id, after, limit, scopes)) ||
        db_send(call, LOG_BEGIN, "ll", installation_id, generation) || db_collect(call, &rows) ||
        db_collect(call, &begin))
        return -1;
    if (begin.count == 0)
        return installation_unheard(call);
    last = rows_int(&end, 0, "last");
    oldest = rows_int(&begin, 0, "oldest");
    if (after > last)
        return call_failf(call, FAIL_VALIDATION_ERROR, "after",
                          "is beyond the newest event, %lld: it is no number of this log", (long long)last);
    if (after > 0 && after + 1 < oldest) {
        call_fail_detail(call, "oldest_seq", arena_printf(call->arena, "%lld", (long long)oldest));
        return call_failf(call, FAIL_EVENTS_EXPIRED, "after",
                          "Events up to %lld are kept no more, or are of an earlier install. Read the present state "
                          "over the API, then go on with after=%lld",
                          (long long)oldest - 1, (long long)oldest - 1);
    }
    return write_events(call, &rows, next_after(&rows, after, limit, last), oldest, last);
}

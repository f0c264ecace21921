/* history.c - the delivery log of a subscription, one delivery once more, and the log of events for those who would
 * rather ask than be told (contract K.4). */
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "cursor.h"
#include "statements.h"
#include "subscription.h"
#include "text.h"
#include "webhooks_operations.h"

#define PAGES_DEEP 10000 /* rows that `page` reaches; a cursor goes on */

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

static int
write_list(struct call *call, const struct rows *rows, int64_t page, int64_t limit, struct cursor *cursor)
{
    int64_t total = rows_int(rows, 0, "_total");
    bool capped = total > TOTAL_EXACT_MAX;
    struct rows shown = *rows;

    if (shown.count == 1 && rows_is_null(rows, 0, "_id"))
        shown.count = 0;
    if (shown.count > limit)
        shown.count = (unsigned)limit;
    call_data_with(call, 1);
    out_rows(&call->out, &shown);
    out_key(&call->out, "pagination");
    out_map(&call->out, 4 + capped);
    out_key(&call->out, "page");
    out_int(&call->out, page);
    out_key(&call->out, "limit");
    out_int(&call->out, limit);
    out_key(&call->out, "total");
    out_int(&call->out, capped ? TOTAL_EXACT_MAX : total);
    if (capped) {
        out_key(&call->out, "total_capped");
        out_bool(&call->out, true);
    }
    out_key(&call->out, "next_cursor");
    if (rows->count > limit) {
        cursor->id = rows_int(rows, (unsigned)limit - 1, "_id");
        out_text(&call->out, cursor_encode(cursor, call->arena));
    } else {
        out_null(&call->out);
    }
    return call_reply(call, 200);
}

static int
check_mine(struct call *call, int64_t subscription_id)
{
    struct rows rows;

    if (db_run(call, SUBSCRIPTION_GET, &rows, "tll", clock_now_us(), call->caller.installation_id, subscription_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "subscription_id", "No such subscription of this app in this store");
    return 0;
}

int
deliveries_list(struct call *call)
{
    int64_t subscription_id = in_int(call->in, "path.subscription_id", 0);
    int64_t page = in_int(call->in, "query.page", 1), limit = in_int(call->in, "query.limit", PAGE_LIMIT_DEFAULT);
    const char *text = in_text(call->in, "query.cursor"), *status = in_text(call->in, "query.status");
    const char *waiting = "{pending,retrying}", *over = "{success,failed}";
    uint64_t filters = cursor_hash(0, (const char *)&subscription_id, sizeof subscription_id);
    struct cursor cursor = {.descending = true};
    struct rows rows;

    if (status) {
        bool waits = strcmp(status, "pending") == 0 || strcmp(status, "retrying") == 0;

        waiting = waits ? arena_printf(call->arena, "{%s}", status) : "{}";
        over = waits ? "{}" : arena_printf(call->arena, "{%s}", status);
        filters = cursor_hash(filters, status, strlen(status));
    }
    cursor.filters = filters;
    if (text && cursor_decode(&cursor, call->arena, text, strlen(text)))
        return call_fail(call, FAIL_VALIDATION_ERROR, "cursor",
                         "is not a next_cursor of this list with this filter; begin again without it");
    if (!text && page > PAGES_DEEP / limit)
        return call_failf(call, FAIL_VALIDATION_ERROR, "page", "reaches the first %d deliveries; go on with the cursor",
                          PAGES_DEEP);
    if (check_mine(call, subscription_id) ||
        db_run(call, DELIVERIES_LIST, &rows, "lllssl", subscription_id, text ? cursor.id : INT64_MAX, limit + 1,
               waiting, over, text ? 0 : (page - 1) * limit))
        return -1;
    return write_list(call, &rows, page, limit, &cursor);
}

int
deliveries_retry(struct call *call)
{
    const char *text = in_text(call->in, "path.delivery_id");
    int64_t delivery_id = 0, now_us = clock_now_us();
    struct rows rows;

    if (text_to_int(text, strlen(text), &delivery_id))
        delivery_id = 0;
    if (db_begin(call) || db_run(call, DELIVERY_HURRY, &rows, "llt", delivery_id, call->caller.installation_id, now_us))
        return -1;
    if (rows.count == 0 &&
        db_run(call, DELIVERY_AGAIN, &rows, "llt", delivery_id, call->caller.installation_id, now_us))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "delivery_id",
                         "No such delivery of a subscription of this app that is switched on");
    if (db_post(call, QUEUE_RING, "lt", rows_int(&rows, 0, "_subscription_id"), now_us))
        return -1;
    db_after_commit(call, deliver_wake);
    if (db_commit(call))
        return -1;
    return call_reply_row(call, 202, &rows, 0);
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

int
events_list(struct call *call)
{
    int64_t after = in_int(call->in, "query.after", 0), limit = in_int(call->in, "query.limit", PAGE_LIMIT_DEFAULT);
    int64_t installation_id = call->caller.installation_id, last;
    const char *topic = in_text(call->in, "query.topic"), *scopes = subscription_scopes(call);
    struct rows rows, end;

    /* Its end first: what is behind it was not looked for. */
    if (db_run(call, LOG_END, &end, "l", installation_id))
        return -1;
    if (topic ? db_run(call, EVENTS_AFTER_TOPIC, &rows, "lllss", installation_id, after, limit, scopes, topic)
              : db_run(call, EVENTS_AFTER_ALL, &rows, "llls", installation_id, after, limit, scopes))
        return -1;
    last = rows.count ? rows_int(&rows, rows.count - 1, "seq") : rows_int(&end, 0, "last");
    call_data_with(call, 2);
    out_rows(&call->out, &rows);
    out_key(&call->out, "next_after");
    out_int(&call->out, last > after ? last : after);
    out_key(&call->out, "last_seq");
    out_int(&call->out, rows_int(&end, 0, "last"));
    return call_reply(call, 200);
}

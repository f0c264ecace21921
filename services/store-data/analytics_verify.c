/* analytics_verify.c - the figures of a store against a recount of its orders, items and events: what counts.verify is
 * for the kept totals.
 *
 * In spans of days, because a statement has two seconds and a store any number of orders. The two sides of a span are
 * of one moment, because they are one statement.
 */
#include "analytics.h"
#include "clock.h"
#include "statements.h"
#include "store_data_operations.h"

#define SPANS_MAX       64 /* ANALYTICS_SPANS makes fewer, whatever there is */
#define DIFFERENCES_MAX 1000

/* Of each span the rows that differ, and those of events behind them; answers how many sets there are, or -1. */
static int
compare(struct call *call, int64_t store_id, struct rows sets[SPANS_MAX + 1])
{
    unsigned count = 0, differences = 0;
    struct rows spans;

    if (db_run(call, ANALYTICS_SPANS, &spans, "l", store_id))
        return -1;
    for (; count < spans.count && count < SPANS_MAX && differences < DIFFERENCES_MAX; count++) {
        if (db_run(call, ANALYTICS_VERIFY, &sets[count], "lss", store_id, rows_text(&spans, count, "first"),
                   rows_text(&spans, count, "last")))
            return -1;
        differences += sets[count].count;
    }
    if (db_run(call, EVENTS_VERIFY, &sets[count], "lt", store_id,
               day_begin(clock_now_us()) - (EVENT_KEEP_DAYS - 1) * DAY_US))
        return -1;
    return (int)count + 1;
}

int
analytics_verify(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0);
    struct rows sets[SPANS_MAX + 1];
    unsigned differences = 0;
    int count = compare(call, store_id, sets);

    if (count < 0)
        return -1;
    for (int set = 0; set < count; set++)
        differences += sets[set].count;
    call_data(call);
    out_map(&call->out, 3);
    out_key(&call->out, "store_id");
    out_int(&call->out, store_id);
    out_key(&call->out, "ok");
    out_bool(&call->out, differences == 0);
    out_key(&call->out, "differences");
    out_list(&call->out, differences);
    for (int set = 0; set < count; set++)
        for (unsigned row = 0; row < sets[set].count; row++)
            out_row(&call->out, &sets[set], row);
    return call_reply(call, 200);
}

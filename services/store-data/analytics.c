/* analytics.c - what was sold, of what, to whom (contract K.3), from figures that the writes keep per UTC day
 * (schema/040_analytics.sql). No order is looked at here, so an answer costs the same in a store of any size: it grows
 * with the days asked about.
 */
#include "analytics.h"

#include <string.h>
#include <time.h>

#include "clock.h"
#include "statements.h"
#include "store_data_operations.h"

#define ROWS_MAX     400 /* of one answer */
#define TOP_DAYS_MAX 400

static int64_t
week_of(int64_t day_us)
{
    return (day_us / DAY_US + 3) / 7; /* 1970 began on a Thursday */
}

static int64_t
month_of(int64_t day_us)
{
    time_t seconds = (time_t)(day_us / US_PER_SECOND);
    struct tm parts;

    gmtime_r(&seconds, &parts);
    return (int64_t)parts.tm_year * 12 + parts.tm_mon;
}

/* How many intervals a range touches: the rows there will be. */
static int64_t
intervals(const struct days *days, const char *interval)
{
    if (strcmp(interval, "week") == 0)
        return week_of(days->last_us) - week_of(days->first_us) + 1;
    if (strcmp(interval, "month") == 0)
        return month_of(days->last_us) - month_of(days->first_us) + 1;
    return (days->last_us - days->first_us) / DAY_US + 1;
}

static void
write_totals(struct call *call, const struct rows *rows)
{
    static const char *const names[] = {"orders", "refunded", "sales", "items", "average"};
    static const char *const columns[] = {"_orders", "_refunded", "_sales", "_items", "_average"};

    out_key(&call->out, "totals");
    out_map(&call->out, ARRAY_COUNT(names));
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
        out_key(&call->out, names[i]);
        out_json(&call->out, str_of(rows_text(rows, 0, columns[i]))); /* numbers, as PostgreSQL writes them */
    }
}

int
analytics_sales(struct call *call)
{
    const char *interval = in_text(call->in, "query.interval");
    struct days days;
    struct rows rows;

    if (days_read(&days, call, 0))
        return -1;
    if (intervals(&days, interval) > ROWS_MAX)
        return call_failf(call, FAIL_VALIDATION_ERROR, "from",
                          "and to are more than %d intervals of a %s; ask for a shorter time or longer intervals",
                          ROWS_MAX, interval);
    if (db_run(call, ANALYTICS_SALES, &rows, "ltts", call->caller.store_id, days.first_us, days.last_us, interval))
        return -1;
    call_data(call);
    out_map(&call->out, 5);
    days_write(&days, call);
    out_key(&call->out, "interval");
    out_text(&call->out, interval);
    write_totals(call, &rows);
    out_key(&call->out, "rows");
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

int
analytics_summary(struct call *call)
{
    static const char *const spans[] = {"today", "last_7_days", "last_30_days"};
    struct rows rows;

    if (db_run(call, ANALYTICS_SUMMARY, &rows, "lt", call->caller.store_id, clock_day_begin(clock_now_us())))
        return -1;
    call_data(call);
    out_map(&call->out, ARRAY_COUNT(spans));
    for (unsigned i = 0; i < ARRAY_COUNT(spans); i++) {
        out_key(&call->out, spans[i]);
        out_map(&call->out, 2);
        out_key(&call->out, "current");
        out_row(&call->out, &rows, 2 * i);
        out_key(&call->out, "previous");
        out_row(&call->out, &rows, 2 * i + 1);
    }
    return call_reply(call, 200);
}

int
analytics_products_top(struct call *call)
{
    const char *by = in_text(call->in, "query.by");
    struct days days;
    struct rows rows;

    if (days_read(&days, call, TOP_DAYS_MAX) ||
        db_run(call, strcmp(by, "quantity") == 0 ? ANALYTICS_PRODUCTS_BY_QUANTITY : ANALYTICS_PRODUCTS_BY_SALES, &rows,
               "lttl", call->caller.store_id, days.first_us, days.last_us, in_int(call->in, "query.limit", 10)))
        return -1;
    call_data(call);
    out_map(&call->out, 4);
    days_write(&days, call);
    out_key(&call->out, "by");
    out_text(&call->out, by);
    out_key(&call->out, "products");
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

int
analytics_customers(struct call *call)
{
    int64_t customers, returning;
    struct days days;
    struct rows rows;

    if (days_read(&days, call, TOP_DAYS_MAX) ||
        db_run(call, ANALYTICS_CUSTOMERS, &rows, "lttl", call->caller.store_id, days.first_us, days.last_us,
               in_int(call->in, "query.limit", 10)))
        return -1;
    customers = rows_int(&rows, 0, "_customers");
    returning = rows_int(&rows, 0, "_returning");
    if (customers == 0)
        rows.count = 0;
    call_data(call);
    out_map(&call->out, 6);
    days_write(&days, call);
    out_key(&call->out, "customers");
    out_int(&call->out, customers);
    out_key(&call->out, "new");
    out_int(&call->out, customers - returning);
    out_key(&call->out, "returning");
    out_int(&call->out, returning);
    out_key(&call->out, "top");
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

int
analytics_orders_status(struct call *call)
{
    bool all = !in_has(call->in, "query.from") && !in_has(call->in, "query.to");
    int64_t store_id = call->caller.store_id, total = 0;
    struct days days;
    struct rows rows;

    if ((!all && days_read(&days, call, 0)) ||
        (all ? db_run(call, ANALYTICS_STATUS_ALL, &rows, "l", store_id)
             : db_run(call, ANALYTICS_STATUS_DAYS, &rows, "ltt", store_id, days.first_us, days.last_us)))
        return -1;
    for (unsigned row = 0; row < rows.count; row++)
        total += rows_int(&rows, row, "orders");
    call_data(call);
    out_map(&call->out, 4);
    if (all) {
        out_key(&call->out, "from");
        out_null(&call->out);
        out_key(&call->out, "to");
        out_null(&call->out);
    } else {
        days_write(&days, call);
    }
    out_key(&call->out, "total");
    out_int(&call->out, total);
    out_key(&call->out, "statuses");
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

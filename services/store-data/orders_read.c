/* orders_read.c - one order, and lists of them.
 *
 * A list chooses the statement that finds its rows with the least work: by a sort's own index where nothing, a status
 * or a time range narrows it, else by what narrows it most (ids, a customer, a courier). queries.h has them all.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bounds.h"
#include "clock.h"
#include "orders.h"
#include "statements.h"
#include "store_data_operations.h"
#include "text.h"

#define LATEST_US     INT64_C(253402214400000000) /* 9999-12-31 */
#define ORDER_IDS_MAX 500

/* As many may come between two statements, and the second one still sees all that the first one has counted. */
#define ORDERS_MEANWHILE 1000

/* Bytes; below REPLY_SIZE_MAX by all that the orders have besides. ORDER_METAFIELDS bounds what one order has. */
#define METAFIELDS_OF_PAGE_MAX (10 * 1024 * 1024)

const struct list_sort order_sorts[LIST_SORTS] = {
    {"created_at", "created_at", "-infinity", "infinity"},
    {"updated_at", "updated_at", "-infinity", "infinity"},
    {"grand_total", "grand_total", "-Infinity", "Infinity"},
};

/* What a list was asked for. */
struct order_query {
    int64_t store_id;
    const char *status; /* "" for any */
    int64_t since_us, until_us;
    bool ranged;
    int64_t customer_id; /* 0 for any */
    bool courier;
    const char *ids; /* "{1,2}" or NULL */
};

int
orders_get(struct call *call)
{
    struct rows rows;

    if (db_run(call, ORDER_GET, &rows, "ll", call->caller.store_id, in_int(call->in, "path.order_id", 0)))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "order_id", "No such order in this store");
    return call_reply_row(call, 200, &rows, 0);
}

static int
read_ids(struct order_query *self, struct call *call, const char *text)
{
    unsigned count = 0;
    struct buf ids;

    buf_init(&ids, URL_SIZE_MAX * 2);
    buf_append_byte(&ids, '{');
    while (*text) {
        size_t len = strcspn(text, ",");
        int64_t id;

        if (len > 0 && (text_to_int(text, len, &id) || id < 1 || ++count > ORDER_IDS_MAX)) {
            buf_free(&ids);
            return call_failf(call, FAIL_VALIDATION_ERROR, "order_ids",
                              "must be at most %d ids with commas between them", ORDER_IDS_MAX);
        }
        if (len > 0 && count > 1)
            buf_append_byte(&ids, ',');
        buf_append(&ids, text, len);
        text += len;
        text += *text == ',';
    }
    buf_append_byte(&ids, '}');
    self->ids = arena_strndup(call->arena, ids.data, ids.size);
    buf_free(&ids);
    return 0;
}

/* Clients see milliseconds, the table holds microseconds: an order must be found by the time it shows. */
static int64_t
inclusive(int64_t until_us)
{
    return until_us % 1000 == 0 && until_us < LATEST_US ? until_us + 999 : until_us;
}

/* The first midnight after it must have a date. */
static int64_t
before_the_end(int64_t since_us)
{
    return since_us < LATEST_US ? since_us : LATEST_US;
}

static int
read_query(struct order_query *self, struct call *call)
{
    const char *status = in_text(call->in, "query.status"), *ids = in_text(call->in, "query.order_ids");

    *self = (struct order_query){
        .store_id = call->caller.store_id,
        .status = status ? status : "",
        .since_us = before_the_end(in_time(call->in, "query.since", EARLIEST_US)),
        .until_us = inclusive(in_time(call->in, "query.until", LATEST_US)),
        .ranged = in_has(call->in, "query.since") || in_has(call->in, "query.until"),
        .customer_id = in_int(call->in, "query.customer_id", 0),
        .courier = in_int(call->in, "query.has_courier", 0) != 0,
    };
    return ids ? read_ids(self, call, ids) : 0;
}

static const char *
query_text(const struct order_query *self, struct arena *arena)
{
    return arena_printf(arena, "%s %" PRId64 " %" PRId64 " %" PRId64 " %d %s", self->status, self->since_us,
                        self->until_us, self->customer_id, self->courier, self->ids ? self->ids : "");
}

/* As PostgreSQL reads it, with microseconds. */
static const char *
time_text(struct arena *arena, int64_t time_us)
{
    int64_t start = clock_day_begin(time_us);
    time_t seconds = (time_t)(start / 1000000);
    int64_t rest = time_us - start;
    struct tm day;

    gmtime_r(&seconds, &day);
    return arena_printf(arena, "%04d-%02d-%02d %02d:%02d:%02d.%06d+00", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday,
                        (int)(rest / 3600000000), (int)(rest / 60000000 % 60), (int)(rest / 1000000 % 60),
                        (int)(rest % 1000000));
}

/* The first page by created_at begins at the range's end: from infinity, the index would be walked up to it. */
static const char *
range_key(const struct list *list, const struct order_query *query, struct arena *arena)
{
    if (list->after || list->sort != 0 || !query->ranged)
        return list_key(list);
    return time_text(arena, list->descending ? query->until_us : query->since_us);
}

/* Ids, courier, customer, with any other filter. */
static int
run_found(struct list *list, struct call *call, const struct order_query *query, struct rows *rows)
{
    unsigned first = query->ids           ? ORDERS_OF_IDS_CREATED_ASC
                     : !query->courier    ? ORDERS_OF_CUSTOMER_CREATED_ASC
                     : query->customer_id ? ORDERS_OF_COURIER_CUSTOMER_CREATED_ASC
                                          : ORDERS_OF_COURIER_CREATED_ASC;

    list->counted = true;
    if (first == ORDERS_OF_CUSTOMER_CREATED_ASC)
        return db_run(call, first + list_variant(list), rows, "lsllslttlbs", query->store_id, query->status,
                      list_wanted(list), list_offset(list), range_key(list, query, call->arena), list_id(list),
                      query->since_us, query->until_us, query->customer_id, (int)query->courier, query->ids);
    return db_run(call, first + list_variant(list), rows, "lsllslttlbsl", query->store_id, query->status,
                  list_wanted(list), list_offset(list), range_key(list, query, call->arena), list_id(list),
                  query->since_us, query->until_us, query->customer_id, (int)query->courier, query->ids,
                  call->caller.app_id) ||
                   order_metafields_fit(call, rows)
               ? -1
               : 0;
}

/* Between these two midnights the days of a range are whole. */
static int64_t
since_end(const struct order_query *query)
{
    return clock_day_begin(query->since_us + DAY_US - 1);
}

static int64_t
until_start(const struct order_query *query)
{
    return clock_day_begin(query->until_us);
}

/* entries: how many to walk past at most; 0: of a statement that does not walk. */
static int
run_other(struct list *list, struct call *call, const struct order_query *query, unsigned first, int64_t entries,
          struct rows *rows)
{
    first += list_variant(list) - 2;
    if (entries == 0)
        return db_run(call, first, rows, "lsllsltttt", query->store_id, query->status, list_wanted(list),
                      list_offset(list), list_key(list), list_id(list), query->since_us, since_end(query),
                      until_start(query), query->until_us);
    return db_run(call, first, rows, "lsllslttttl", query->store_id, query->status, list_wanted(list),
                  list_offset(list), list_key(list), list_id(list), query->since_us, since_end(query),
                  until_start(query), query->until_us, entries);
}

/* A time range that the sort's index does not know. Finding it costs each of its orders. Walking costs, where nothing
 * is known of how the two have to do with each other, as many entries for each order of the page as there are orders
 * in the store for each one in the range; it is given up where finding would have cost no more. */
static int
run_other_range(struct list *list, struct call *call, const struct order_query *query, struct rows *rows)
{
    unsigned walked = *query->status ? ORDERS_RANGE_WALKED_STATUS_UPDATED_ASC : ORDERS_RANGE_WALKED_ANY_UPDATED_ASC;
    int64_t wanted = list_wanted(list) + list_offset(list), in_range, total;
    struct rows size;

    if (db_run(call, ORDERS_RANGE_SIZE, &size, "lstttt", query->store_id, query->status, query->since_us,
               since_end(query), until_start(query), query->until_us))
        return -1;
    in_range = rows_int(&size, 0, "n");
    total = rows_int(&size, 0, "total");
    if (in_range > wanted && total / in_range < in_range / wanted) {
        int64_t entries = in_range + list_offset(list) + ORDERS_MEANWHILE;

        if (run_other(list, call, query, walked, entries, rows))
            return -1;
        if ((int64_t)rows->count == list_wanted(list) || entries >= total + ORDERS_MEANWHILE)
            return 0;
    }
    return run_other(list, call, query, ORDERS_RANGE_FOUND_UPDATED_ASC, 0, rows);
}

/* A time range sorted by time: the ends of the index range. */
static int
run_range(struct list *list, struct call *call, const struct order_query *query, struct rows *rows)
{
    unsigned variant = list->descending + 2 * (*query->status != 0);

    if (list_offset(list) > 0)
        return db_run(call, ORDERS_SPAN_PAGE_ANY_ASC + variant, rows, "lslltttt", query->store_id, query->status,
                      list_wanted(list), list_offset(list), query->since_us, since_end(query), until_start(query),
                      query->until_us);
    return db_run(call, ORDERS_SPAN_AFTER_ANY_ASC + variant, rows, "lslsltttt", query->store_id, query->status,
                  list_wanted(list), range_key(list, query, call->arena), list_id(list), query->since_us,
                  since_end(query), until_start(query), query->until_us);
}

/* Nothing or a status: the totals are kept, the index is walked. */
static int
run_plain(struct list *list, struct call *call, const struct order_query *query, struct rows *rows)
{
    bool any = *query->status == 0;

    if (list_offset(list) > 0)
        return db_run(call, (any ? ORDERS_PAGE_ANY_CREATED_ASC : ORDERS_PAGE_STATUS_CREATED_ASC) + list_variant(list),
                      rows, "lsll", query->store_id, query->status, list_wanted(list), list_offset(list));
    return db_run(call, (any ? ORDERS_AFTER_ANY_CREATED_ASC : ORDERS_AFTER_STATUS_CREATED_ASC) + list_variant(list),
                  rows, "lslsl", query->store_id, query->status, list_wanted(list), list_key(list), list_id(list));
}

int
order_metafields_fit(struct call *call, const struct rows *rows)
{
    size_t size = 0;

    for (unsigned i = 0; i < rows->count; i++)
        size += rows_is_null(rows, i, "metafields") ? 0 : strlen(rows_text(rows, i, "metafields"));
    if (size <= METAFIELDS_OF_PAGE_MAX)
        return 0;
    return call_fail(call, FAIL_VALIDATION_ERROR, "limit",
                     "the metafields of these orders are too long for one answer; ask for fewer orders");
}

int
orders_list(struct call *call)
{
    struct list list = {.sorts = order_sorts, .id_column = "order_id"};
    struct order_query query;
    struct rows rows;
    int failed;

    if (read_query(&query, call) || list_read(&list, call, NULL, query_text(&query, call->arena)))
        return -1;
    if (query.ids || query.courier || query.customer_id)
        failed = run_found(&list, call, &query, &rows);
    else if (query.ranged && list.sort == 0)
        failed = run_range(&list, call, &query, &rows);
    else if (query.ranged)
        failed = run_other_range(&list, call, &query, &rows);
    else
        failed = run_plain(&list, call, &query, &rows);
    if (failed)
        return -1;
    list_write(&list, call, &rows, 0);
    return call_reply(call, 200);
}

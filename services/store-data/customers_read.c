/* customers_read.c - one customer, their orders, and lists of customers.
 *
 * A list without filters walks its sort's index. With filters, the one that lets through the fewest finds the rows by
 * its own index, and they are sorted; when all of them let through many, the sort's index is walked past what does not
 * fit.
 */
#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "list.h"
#include "orders.h"
#include "statements.h"
#include "store_data_operations.h"
#include "verify.h"

/* U+10FFFF is no character: no name comes after it. */
static const struct list_sort customer_sorts[LIST_SORTS] = {
    {"created_at", "created_at", "-infinity", "infinity"},
    {"updated_at", "updated_at", "-infinity", "infinity"},
    {"name", "_name_key", "", "\U0010FFFF\U0010FFFF"},
};

struct customer_query {
    const char *status; /* "known", or "" with guests */
    const char *search; /* NULL for none */
    int64_t since_us;
    int64_t orders_min, spent_min; /* spent_min in paisa */
    bool since;
};

static int
get(struct call *call, int64_t user_id, struct rows *rows)
{
    if (db_run(call, CUSTOMER_GET, rows, "ll", call->caller.store_id, user_id))
        return -1;
    if (rows->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "user_id", "No such customer in this store");
    return 0;
}

int
customers_get(struct call *call)
{
    struct rows rows;

    if (get(call, in_int(call->in, "path.user_id", 0), &rows))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
customers_orders(struct call *call)
{
    int64_t user_id = in_int(call->in, "path.user_id", 0), store_id = call->caller.store_id;
    struct list list = {.sorts = order_sorts, .id_column = "order_id"};
    const char *filters = arena_printf(call->arena, "customer %" PRId64 " %" PRId64, store_id, user_id);
    struct rows rows;

    if (get(call, user_id, &rows) ||
        list_begin(&list, call, "created_at:desc", in_int(call->in, "query.page", 1),
                   in_int(call->in, "query.limit", PAGE_LIMIT_DEFAULT), in_text(call->in, "query.cursor"),
                   cursor_hash(0, filters, strlen(filters))) ||
        db_run(call, CUSTOMER_ORDERS, &rows, "llllsl", store_id, user_id, list_wanted(&list), list_offset(&list),
               list_key(&list), list_id(&list)))
        return -1;
    list.counted = true;
    list_write(&list, call, &rows, 0);
    return call_reply(call, 200);
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* What stands between the fields of customer_text is looked for as it is kept in them, as a space. */
static const char *
search_text(const char *text, struct arena *arena)
{
    char *copy;

    if (!text || !*text)
        return NULL;
    copy = arena_strdup(arena, text);
    for (char *at = copy; *at; at++)
        if (*at == '\x1f')
            *at = ' ';
    return copy;
}

static void
read_query(struct customer_query *self, struct call *call)
{
    const char *guests = in_text(call->in, "query.include_guests");

    *self = (struct customer_query){
        .status = guests && (strcmp(guests, "true") == 0 || strcmp(guests, "1") == 0) ? "" : "known",
        .search = search_text(in_text(call->in, "query.search"), call->arena),
        .since = in_has(call->in, "query.since"),
        .since_us = in_time(call->in, "query.since", EARLIEST_US),
        .orders_min = in_int(call->in, "query.total_orders_min", 0),
        .spent_min = in_money(call->in, "query.total_spent_min", 0),
    };
}

static uint64_t
query_hash(const struct customer_query *self, struct call *call)
{
    const char *text = arena_printf(call->arena, "customers %" PRId64 " %s %" PRId64 " %" PRId64 " %" PRId64 " %s",
                                    call->caller.store_id, self->status, self->since_us, self->orders_min,
                                    self->spent_min, self->search ? self->search : "");

    return cursor_hash(0, text, strlen(text));
}

/* The filter that lets through the fewest; "" when that is still many. */
static int
choose_filter(struct call *call, const struct customer_query *query, const char **filter)
{
    static const char *const filters[] = {"since", "total_orders", "total_spent", "search"};
    int64_t fewest = TOTAL_EXACT_MAX + 1;
    struct rows sizes;

    if (db_run(call, CUSTOMERS_FILTER_SIZES, &sizes, "lTLMs", call->caller.store_id,
               query->since ? &query->since_us : NULL, query->orders_min > 0 ? &query->orders_min : NULL,
               query->spent_min > 0 ? &query->spent_min : NULL, query->search))
        return -1;
    *filter = "";
    for (unsigned i = 0; i < ARRAY_COUNT(filters); i++)
        if (rows_int(&sizes, 0, filters[i]) < fewest) {
            fewest = rows_int(&sizes, 0, filters[i]);
            *filter = filters[i];
        }
    return 0;
}

static int
run_filtered(struct list *list, struct call *call, const struct customer_query *query, struct rows *rows)
{
    const int64_t *since = query->since ? &query->since_us : NULL;
    const int64_t *orders = query->orders_min > 0 ? &query->orders_min : NULL;
    const int64_t *spent = query->spent_min > 0 ? &query->spent_min : NULL;
    int64_t store_id = call->caller.store_id;
    const char *filter;

    if (choose_filter(call, query, &filter))
        return -1;
    list->counted = true;
    if (!*filter)
        return db_run(call, CUSTOMERS_WALKED_CREATED_ASC + list_variant(list), rows, "lsllslTLMs", store_id,
                      query->status, list_wanted(list), list_offset(list), list_key(list), list_id(list), since, orders,
                      spent, query->search);
    return db_run(call, CUSTOMERS_FOUND_CREATED_ASC + list_variant(list), rows, "lsllslTLMss", store_id, query->status,
                  list_wanted(list), list_offset(list), list_key(list), list_id(list), since, orders, spent,
                  query->search, filter);
}

static int
run_plain(struct list *list, struct call *call, const struct customer_query *query, struct rows *rows)
{
    bool any = *query->status == 0;
    int64_t store_id = call->caller.store_id;

    if (list_offset(list) > 0)
        return db_run(call,
                      (any ? CUSTOMERS_PAGE_ANY_CREATED_ASC : CUSTOMERS_PAGE_KNOWN_CREATED_ASC) + list_variant(list),
                      rows, "lsll", store_id, query->status, list_wanted(list), list_offset(list));
    return db_run(call,
                  (any ? CUSTOMERS_AFTER_ANY_CREATED_ASC : CUSTOMERS_AFTER_KNOWN_CREATED_ASC) + list_variant(list),
                  rows, "lslsl", store_id, query->status, list_wanted(list), list_key(list), list_id(list));
}

int
customers_list(struct call *call)
{
    struct list list = {.sorts = customer_sorts, .id_column = "user_id"};
    struct customer_query query;
    struct rows rows;
    bool plain;

    read_query(&query, call);
    plain = !query.since && !query.search && query.orders_min <= 0 && query.spent_min <= 0;
    if (list_begin(&list, call, in_text(call->in, "query.sort"), in_int(call->in, "query.page", 1),
                   in_int(call->in, "query.limit", PAGE_LIMIT_DEFAULT), in_text(call->in, "query.cursor"),
                   query_hash(&query, call)) ||
        (plain ? run_plain(&list, call, &query, &rows) : run_filtered(&list, call, &query, &rows)))
        return -1;
    list_write(&list, call, &rows, 0);
    return call_reply(call, 200);
}

/* ---- kept against a recount -------------------------------------------------------------------------------------- */

/* The whole, which is always among the rows, says how many there are; it is a difference like the others. */
static unsigned
count_differences(const struct rows *counts, int64_t *customers)
{
    unsigned differences = 0;

    *customers = 0;
    for (unsigned row = 0; row < counts->count; row++) {
        differences += rows_int(counts, row, "kept") != rows_int(counts, row, "counted");
        if (*rows_text(counts, row, "status") == 0)
            *customers = rows_int(counts, row, "counted");
    }
    return differences;
}

int
customers_verify(struct call *call)
{
    struct verify *verify = arena_alloc(call->arena, sizeof *verify);
    struct rows counts;
    int64_t customers;

    if (verify_spans(verify, call, VERIFY_CUSTOMERS_NEXT, VERIFY_CUSTOMERS) ||
        db_run(call, VERIFY_CUSTOMERS_TOTALS, &counts, "l", verify->store_id) || db_commit(call))
        return -1;
    verify->others = count_differences(&counts, &customers);
    verify_write(verify, 2);
    out_key(&call->out, "customers");
    out_int(&call->out, customers);
    out_key(&call->out, "counts");
    out_rows(&call->out, &counts);
    return call_reply(call, 200);
}

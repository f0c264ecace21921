/* orders_filter.c - POST /orders/filters: orders by any set of filters on columns and metafields.
 *
 * Each filter could drive the search (queries_order_filters.h). How many orders each would find is counted up to
 * TOTAL_EXACT_MAX; the one with the fewest drives, and when all of them have many, the sort's index is walked.
 */
#include "orders_filter.h"

#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "orders.h"
#include "statements.h"
#include "store_data_operations.h"
#include "text.h"

/* The last of the drivers in queries_order_filters.h. */
#define DRIVER_METAFIELD_NUMBER 11
#define DRIVER_WITHOUT_NUMBER   12

/* $19 of ORDERS_WALKED. */
#define TOTAL_COUNT   0
#define TOTAL_IS_KEPT (-1)

/* Of all filters, how many there are and which finds the fewest orders by itself. */
struct sizes {
    unsigned drivers, best;
    int64_t fewest;
};

static void
weigh(struct sizes *self, unsigned driver, int64_t count)
{
    if (self->drivers++ == 0 || count < self->fewest) {
        self->best = driver;
        self->fewest = count;
    }
}

/* The rarest metafield goes to the front: that is the one that drives. */
static int
weigh_metafields(struct sizes *self, struct call *call, struct order_filters *filters)
{
    struct metafield_filter *all = filters->metafields, first;
    unsigned best = 0;
    int64_t fewest = 0;
    struct rows rows;

    for (unsigned i = 0; i < filters->metafield_count; i++) {
        if (db_run(call, ORDERS_METAFIELD_SIZE, &rows, "lls", call->caller.store_id, all[i].definition_id,
                   all[i].values))
            return -1;
        if (i == 0 || rows_int(&rows, 0, "n") < fewest) {
            best = i;
            fewest = rows_int(&rows, 0, "n");
        }
    }
    if (filters->metafield_count == 0)
        return 0;
    first = all[best];
    all[best] = all[0];
    all[0] = first;
    weigh(self, DRIVER_METAFIELD_NUMBER, fewest);
    return 0;
}

/* Where nearly all orders have what may not be there, few are left. Weighed last: it finds them by an entry of an index
 * for each order and each value, which is better than the walk alone. */
static int
weigh_excluded(struct sizes *self, struct call *call, const struct order_filters *filters)
{
    struct rows rows;

    if (!filters->excluded || (self->drivers > 0 && self->fewest <= TOTAL_EXACT_MAX))
        return 0;
    if (db_run(call, ORDERS_WITHOUT_SIZE, &rows, "ls", call->caller.store_id, filters->excluded))
        return -1;
    weigh(self, DRIVER_WITHOUT_NUMBER, rows_int(&rows, 0, "n"));
    return 0;
}

static int
weigh_filters(struct sizes *self, struct call *call, struct order_filters *filters)
{
    const char *const *values = filters->values;
    struct rows rows;

    *self = (struct sizes){.drivers = 0};
    if (filters->column_count > 0) {
        if (db_run(call, ORDERS_FILTER_SIZES, &rows, "lsssssss", call->caller.store_id, values[ORDER_STATUS],
                   values[FINANCIAL], values[FULFILLMENT], values[PAYMENT], values[COURIER], values[COURIER_ID],
                   filters->filled))
            return -1;
        for (unsigned i = 0; i < rows.count; i++)
            weigh(self, (unsigned)rows_int(&rows, i, "driver"), rows_int(&rows, i, "n"));
    }
    return weigh_metafields(self, call, filters) || weigh_excluded(self, call, filters) ? -1 : 0;
}

/* The metafields' definitions and values, side by side in two lists. */
static void
pair_metafields(const struct order_filters *self, struct arena *arena, const char **definitions, const char **values)
{
    struct buf ids, texts;

    buf_init(&ids, WIRE_MESSAGE_MAX);
    buf_init(&texts, WIRE_MESSAGE_MAX);
    for (unsigned i = 0; i < self->metafield_count; i++) {
        const struct metafield_filter *filter = &self->metafields[i];

        for (unsigned n = 0; n < filter->value_count; n++) {
            buf_append_text(&ids, ids.size ? "," : "{");
            buf_append_text(&ids, arena_printf(arena, "%" PRId64, filter->definition_id));
        }
        buf_append_byte(&texts, texts.size ? ',' : '{');
        buf_append(&texts, filter->values + 1, strlen(filter->values) - 2);
    }
    buf_append_text(&ids, ids.size ? "}" : "{}");
    buf_append_text(&texts, texts.size ? "}" : "{}");
    *definitions = arena_strndup(arena, ids.data, ids.size);
    *values = arena_strndup(arena, texts.data, texts.size);
    buf_free(&ids);
    buf_free(&texts);
}

static int
run_found(struct list *list, struct call *call, const struct order_filters *filters, unsigned driver, struct rows *rows)
{
    const char *const *values = filters->values, *definitions, *metafields;

    pair_metafields(filters, call->arena, &definitions, &metafields);
    list->counted = true;
    return db_run(call, ORDERS_FOUND_BY_STATUS + driver, rows, "lsllslsssssssllssssb", call->caller.store_id, "",
                  list_wanted(list), list_offset(list), list_key(list), list_id(list), values[ORDER_STATUS],
                  values[FINANCIAL], values[FULFILLMENT], values[PAYMENT], values[COURIER], values[COURIER_ID],
                  filters->filled, call->caller.app_id, (int64_t)filters->metafield_count, definitions, metafields,
                  filters->excluded, list->sorts[list->sort].column, (int)list->descending);
}

static int
run_walked(struct list *list, struct call *call, const struct order_filters *filters, int64_t total, struct rows *rows)
{
    const char *const *values = filters->values, *status = filters->status, *definitions, *metafields;
    unsigned first = *status ? ORDERS_WALKED_STATUS_CREATED_ASC : ORDERS_WALKED_ANY_CREATED_ASC;

    pair_metafields(filters, call->arena, &definitions, &metafields);
    list->counted = total != TOTAL_IS_KEPT;
    return db_run(call, first + list_variant(list), rows, "lsllslsssssssllsssl", call->caller.store_id, status,
                  list_wanted(list), list_offset(list), list_key(list), list_id(list),
                  *status ? NULL : values[ORDER_STATUS], values[FINANCIAL], values[FULFILLMENT], values[PAYMENT],
                  values[COURIER], values[COURIER_ID], filters->filled, call->caller.app_id,
                  (int64_t)filters->metafield_count, definitions, metafields, filters->excluded, total);
}

static int
run(struct list *list, struct call *call, struct order_filters *filters, struct rows *rows)
{
    struct sizes sizes;

    if (!filters->excluded && filters->metafield_count == 0 && filters->column_count == (*filters->status != 0))
        return run_walked(list, call, filters, TOTAL_IS_KEPT, rows);
    if (weigh_filters(&sizes, call, filters))
        return -1;
    if (sizes.drivers > 0 && sizes.fewest <= TOTAL_EXACT_MAX)
        return run_found(list, call, filters, sizes.best, rows);
    /* What stands alone has just been counted. But a metafield may also be one of orders that were deleted. */
    if (sizes.drivers == 1 && filters->metafield_count == 0)
        return run_walked(list, call, filters, sizes.fewest, rows);
    return run_walked(list, call, filters, TOTAL_COUNT, rows);
}

/* page and limit of a body are clamped like those of a query (contract K.1). */
static int64_t
clamped(struct in value, int64_t otherwise, int64_t max)
{
    int64_t number = in_int(value, "", otherwise);
    struct str text = in_str(value, "");

    if (text.base && text_to_int(text.base, text.len, &number))
        number = otherwise;
    return number < 1 ? 1 : number > max ? max : number;
}

int
orders_filter(struct call *call)
{
    struct in body = in_at(call->in, "body");
    struct list list = {.sorts = order_sorts, .id_column = "order_id"};
    const char *sort = in_text(body, "sort"), *order = in_text(body, "order");
    struct order_filters filters;
    struct rows rows;

    sort = arena_printf(call->arena, "%s:%s", sort ? sort : "created_at",
                        order && (order[0] == 'A' || order[0] == 'a') ? "asc" : "desc");
    if (order_filters_read(&filters, call) ||
        list_begin(&list, call, sort, clamped(in_at(body, "page"), 1, 1000000000),
                   clamped(in_at(body, "limit"), PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX), in_text(body, "cursor"),
                   order_filters_hash(&filters, call)) ||
        run(&list, call, &filters, &rows) || order_metafields_fit(call, &rows))
        return -1;
    list_write(&list, call, &rows, 1);
    out_key(&call->out, "warnings");
    out_list(&call->out, filters.warning_count);
    for (unsigned i = 0; i < filters.warning_count; i++)
        out_text(&call->out, filters.warnings[i]);
    return call_reply(call, 200);
}

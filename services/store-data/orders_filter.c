/* orders_filter.c - POST /orders/filters: pairs of type and dataType on columns, as the merchants' dashboards send
 * them.
 *
 * Clients send filters that no platform ever knew and expect an answer all the same, so an unknown one has no effect;
 * it is named in `warnings`, so that it does not go unnoticed.
 */
#include <string.h>

#include "bounds.h"
#include "json_text.h"
#include "orders.h"
#include "statements.h"
#include "store_data_operations.h"
#include "text.h"

#define VALUES_MAX  100
#define FILTERS_MAX 50

enum { ORDER_STATUS, FINANCIAL, FULFILLMENT, PAYMENT, COURIER, COURIER_ID, COLUMNS };

static const char *const value_columns[COLUMNS] = {"order_status",   "financial_status", "fulfillment_status",
                                                   "payment_method", "courier",          "courier_id"};
static const char *const filled_columns[] = {"courier", "courier_id", "tracking_code", "payment_method", "note"};

struct filters {
    const char *values[COLUMNS]; /* "{a,b}", or NULL */
    const char *status;          /* the only value of order_status, or "" */
    bool filled[ARRAY_COUNT(filled_columns)];
    const char *warnings[FILTERS_MAX];
    unsigned warning_count;
};

static void
warn(struct filters *self, struct call *call, unsigned index, const char *why)
{
    self->warnings[self->warning_count++] = arena_printf(call->arena, "filters[%u] has no effect: %s", index, why);
}

/* A word of the client in a sentence: what is absent is "". */
static const char *
word(struct in filter, const char *name)
{
    const char *text = in_text(filter, name);

    return text ? text : "";
}

static int
find(const char *const *names, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

static void
read_values(struct filters *self, struct call *call, unsigned index, unsigned column, struct in value)
{
    unsigned count = in_text(value, "") ? 1 : in_count(value, "");
    const char *only = count == 1 ? in_text(in_text(value, "") ? value : in_item(value, 0), "") : NULL;

    if (self->values[column]) {
        warn(self, call, index, arena_printf(call->arena, "\"%s\" was filtered before", value_columns[column]));
        return;
    }
    if (count == 0 || count > VALUES_MAX) {
        warn(self, call, index, arena_printf(call->arena, "value must be a list of 1 to %d texts", VALUES_MAX));
        return;
    }
    self->values[column] = array_text_of(value, call->arena);
    if (column == ORDER_STATUS && only && *only)
        self->status = only;
}

static void
read_filter(struct filters *self, struct call *call, unsigned index, struct in filter)
{
    const char *name = word(filter, "name"), *type = word(filter, "type"), *data_type = word(filter, "dataType");
    bool order = strcmp(word(filter, "tableAlias"), "o") == 0 || !in_has(filter, "tableAlias");
    bool chosen = strcmp(data_type, "select") == 0 && (strcmp(type, "is") == 0 || strcmp(type, "select") == 0);
    int column = find(value_columns, COLUMNS, name), filled = find(filled_columns, ARRAY_COUNT(filled_columns), name);

    if (order && chosen && column >= 0)
        read_values(self, call, index, (unsigned)column, in_at(filter, "value"));
    else if (order && filled >= 0 && strcmp(type, "is_not_empty") == 0)
        self->filled[filled] = true;
    else
        warn(self, call, index,
             arena_printf(call->arena, "\"%s\" with dataType \"%s\" on \"%s\" is not known", type, data_type, name));
}

static const char *
filled_text(const struct filters *self, struct call *call)
{
    const char *text = NULL;

    for (unsigned i = 0; i < ARRAY_COUNT(filled_columns); i++)
        if (self->filled[i])
            text = arena_printf(call->arena, "%s%s%s", text ? text : "", text ? "," : "{", filled_columns[i]);
    return text ? arena_printf(call->arena, "%s}", text) : NULL;
}

static uint64_t
filters_hash(const struct filters *self, struct call *call)
{
    uint64_t hash = cursor_hash(0, "filters", 7);

    hash = cursor_hash(hash, (const char *)&call->caller.store_id, sizeof(call->caller.store_id));
    for (unsigned i = 0; i < COLUMNS; i++)
        hash = cursor_hash(hash, self->values[i] ? self->values[i] : "", self->values[i] ? strlen(self->values[i]) : 0);
    return cursor_hash(hash, (const char *)self->filled, sizeof(self->filled));
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

static int
run(struct list *list, struct call *call, const struct filters *self, struct rows *rows)
{
    const char *filled = filled_text(self, call), *const *values = self->values;
    unsigned first = *self->status                              ? ORDERS_FILTERED_STATUS_CREATED_ASC
                     : self->filled[0] || self->values[COURIER] ? ORDERS_FILTERED_COURIER_CREATED_ASC
                                                                : ORDERS_FILTERED_ANY_CREATED_ASC;

    list->counted = true;
    return db_run(call, first + list_variant(list), rows, "lsllslsssssss", call->caller.store_id, self->status,
                  list_wanted(list), list_offset(list), list_key(list), list_id(list),
                  *self->status ? NULL : values[ORDER_STATUS], values[FINANCIAL], values[FULFILLMENT], values[PAYMENT],
                  values[COURIER], values[COURIER_ID], filled);
}

int
orders_filter(struct call *call)
{
    struct in body = in_at(call->in, "body"), all = in_at(body, "filters");
    struct list list = {.sorts = order_sorts, .id_column = "order_id"};
    const char *sort = in_text(body, "sort"), *order = in_text(body, "order");
    struct filters filters = {.status = ""};
    struct rows rows;

    for (unsigned i = 0; i < in_count(all, ""); i++)
        read_filter(&filters, call, i, in_item(all, i));
    sort = arena_printf(call->arena, "%s:%s", sort ? sort : "created_at",
                        order && (order[0] == 'A' || order[0] == 'a') ? "asc" : "desc");
    if (list_begin(&list, call, sort, clamped(in_at(body, "page"), 1, 1000000000),
                   clamped(in_at(body, "limit"), PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX), in_text(body, "cursor"),
                   filters_hash(&filters, call)) ||
        run(&list, call, &filters, &rows))
        return -1;
    list_write(&list, call, &rows, 1);
    out_key(&call->out, "warnings");
    out_list(&call->out, filters.warning_count);
    for (unsigned i = 0; i < filters.warning_count; i++)
        out_text(&call->out, filters.warnings[i]);
    return call_reply(call, 200);
}

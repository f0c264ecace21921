/* products.c - the catalogue, read. */
#include <inttypes.h>

#include "list.h"
#include "statements.h"
#include "store_data_operations.h"

/* U+10FFFF is no character: no name comes after it. */
static const struct list_sort product_sorts[LIST_SORTS] = {
    {"created_at", "created_at", "-infinity", "infinity"},
    {"updated_at", "updated_at", "-infinity", "infinity"},
    {"name", "_name_key", "", "\U0010FFFF\U0010FFFF"},
};

int
products_get(struct call *call)
{
    struct rows rows;

    if (db_run(call, PRODUCT_GET, &rows, "ll", call->caller.store_id, in_int(call->in, "path.product_id", 0)))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "product_id", "No such product in this store");
    return call_reply_row(call, 200, &rows, 0);
}

struct product_query {
    const char *status, *search;
    int64_t since_us, category_id;
    int64_t price_min, price_max; /* -1 for none */
};

static bool
is_plain(const struct product_query *self)
{
    return self->since_us == EARLIEST_US && !self->category_id && self->price_min < 0 && self->price_max < 0 &&
           !self->search;
}

static const char *
query_text(const struct product_query *self, struct arena *arena)
{
    return arena_printf(arena, "%s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %s", self->status, self->since_us,
                        self->category_id, self->price_min, self->price_max, self->search ? self->search : "");
}

static int
run(struct list *list, struct call *call, const struct product_query *query, struct rows *rows)
{
    bool any = *query->status == 0;
    int64_t store_id = call->caller.store_id;

    if (!is_plain(query)) {
        list->counted = true;
        return db_run(call, PRODUCTS_FOUND_CREATED_ASC + list_variant(list), rows, "lsllsltlMMs", store_id,
                      query->status, list_wanted(list), list_offset(list), list_key(list), list_id(list),
                      query->since_us, query->category_id, query->price_min < 0 ? NULL : &query->price_min,
                      query->price_max < 0 ? NULL : &query->price_max, query->search);
    }
    if (list_offset(list) > 0)
        return db_run(call,
                      (any ? PRODUCTS_PAGE_ANY_CREATED_ASC : PRODUCTS_PAGE_STATUS_CREATED_ASC) + list_variant(list),
                      rows, "lsll", store_id, query->status, list_wanted(list), list_offset(list));
    return db_run(call, (any ? PRODUCTS_AFTER_ANY_CREATED_ASC : PRODUCTS_AFTER_STATUS_CREATED_ASC) + list_variant(list),
                  rows, "lslsl", store_id, query->status, list_wanted(list), list_key(list), list_id(list));
}

int
products_list(struct call *call)
{
    const char *status = in_text(call->in, "query.status"), *search = in_text(call->in, "query.search");
    struct product_query query = {
        .status = status ? status : "",
        .search = search && *search ? search : NULL,
        .since_us = in_time(call->in, "query.since", EARLIEST_US),
        .category_id = in_int(call->in, "query.category_id", 0),
        .price_min = in_money(call->in, "query.price_min", -1),
        .price_max = in_money(call->in, "query.price_max", -1),
    };
    struct list list = {.sorts = product_sorts, .id_column = "product_id"};
    struct rows rows;

    if (list_read(&list, call, NULL, query_text(&query, call->arena)) || run(&list, call, &query, &rows))
        return -1;
    list_write(&list, call, &rows, 0);
    return call_reply(call, 200);
}

/* inventory.c - the stock of each product, read: the list, one product with its variants, and what happened to it.
 *
 * The list walks product_stock alone, whose figures triggers keep (schema/030_inventory.sql).
 */
#include <inttypes.h>
#include <string.h>

#include "list.h"
#include "statements.h"
#include "store_data_operations.h"
#include "verify.h"

/* U+10FFFF is no character: no name comes after it. */
static const struct list_sort stock_sorts[LIST_SORTS] = {
    {"updated_at", "updated_at", "-infinity", "infinity"},
    {"name", "_name_key", "", "\U0010FFFF\U0010FFFF"},
    {"total_quantity", "total_quantity", "-9223372036854775808", "9223372036854775807"},
};

/* Newest first is the only order. */
static const struct list_sort movement_sorts[LIST_SORTS] = {
    {"movement_id", "movement_id", "0", "9223372036854775807"},
};

static int
run(struct list *list, struct call *call, const char *status, const char *search, struct rows *rows)
{
    int64_t store_id = call->caller.store_id;
    bool low = strcmp(status, "low_stock") == 0;

    if (low || search) {
        list->counted = true;
        return db_run(call, (low ? STOCK_OF_LOW_UPDATED_ASC : STOCK_OF_SEARCH_UPDATED_ASC) + list_variant(list), rows,
                      "lsllsls", store_id, status, list_wanted(list), list_offset(list), list_key(list), list_id(list),
                      search);
    }
    if (*status)
        return db_run(call, STOCK_STATUS_UPDATED_ASC + list_variant(list), rows, "lsllsl", store_id, status,
                      list_wanted(list), list_offset(list), list_key(list), list_id(list));
    if (list_offset(list) > 0)
        return db_run(call, STOCK_PAGE_UPDATED_ASC + list_variant(list), rows, "lsll", store_id, status,
                      list_wanted(list), list_offset(list));
    return db_run(call, STOCK_AFTER_UPDATED_ASC + list_variant(list), rows, "lslsl", store_id, status,
                  list_wanted(list), list_key(list), list_id(list));
}

int
inventory_list(struct call *call)
{
    const char *status = in_text(call->in, "query.status"), *search = in_text(call->in, "query.search");
    struct list list = {.sorts = stock_sorts, .id_column = "product_id"};
    struct rows rows;

    if (!status)
        status = "";
    if (search && !*search)
        search = NULL;
    if (list_read(&list, call, NULL, arena_printf(call->arena, "%s %s", status, search ? search : "")) ||
        run(&list, call, status, search, &rows))
        return -1;
    list_write(&list, call, &rows, 0);
    return call_reply(call, 200);
}

int
inventory_get(struct call *call)
{
    struct rows rows;

    if (db_run(call, INVENTORY_GET, &rows, "ll", call->caller.store_id, in_int(call->in, "path.product_id", 0)))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "product_id", "No such product in this store");
    return call_reply_row(call, 200, &rows, 0);
}

static int
run_movements(struct list *list, struct call *call, int64_t product_id, int64_t sku_id, struct rows *rows)
{
    int64_t store_id = call->caller.store_id;

    if (sku_id)
        return db_run(call, MOVEMENTS_OF_SKU, rows, "llllsll", store_id, product_id, list_wanted(list),
                      list_offset(list), list_key(list), list_id(list), sku_id);
    return db_run(call, MOVEMENTS_OF_PRODUCT, rows, "llllsl", store_id, product_id, list_wanted(list),
                  list_offset(list), list_key(list), list_id(list));
}

int
inventory_movements(struct call *call)
{
    int64_t product_id = in_int(call->in, "path.product_id", 0), sku_id = in_int(call->in, "query.sku_id", 0);
    struct list list = {.sorts = movement_sorts, .id_column = "movement_id"};
    struct rows rows, product;

    if (list_read(&list, call, "movement_id:desc",
                  arena_printf(call->arena, "%" PRId64 " %" PRId64, product_id, sku_id)))
        return -1;
    list.counted = true;
    if (run_movements(&list, call, product_id, sku_id, &rows))
        return -1;
    if (rows_int(&rows, 0, "_total") == 0) {
        if (db_run(call, INVENTORY_EXISTS, &product, "ll", call->caller.store_id, product_id))
            return -1;
        if (product.count == 0)
            return call_fail(call, FAIL_NOT_FOUND, "product_id", "No such product in this store");
    }
    list_write(&list, call, &rows, 0);
    return call_reply(call, 200);
}

int
inventory_verify(struct call *call)
{
    struct verify *verify = arena_alloc(call->arena, sizeof *verify);
    struct rows totals;

    if (verify_spans(verify, call, VERIFY_INVENTORY_NEXT, VERIFY_INVENTORY) ||
        db_run(call, VERIFY_INVENTORY_TOTALS, &totals, "l", verify->store_id) || db_commit(call))
        return -1;
    verify_add(verify, &totals, 1);
    verify_write(verify, 3);
    out_key(&call->out, "products");
    out_int(&call->out, rows_int(&totals, 0, "id"));
    out_key(&call->out, "variants");
    out_int(&call->out, rows_int(&totals, 0, "kept"));
    out_key(&call->out, "quantity");
    out_int(&call->out, rows_int(&totals, 0, "counted"));
    return call_reply(call, 200);
}

/* inventory_set.c - the stock of variants is set, adjusted, and set by the hundred.
 *
 * A variant is locked, then looked at, then written: what is compared with expected_quantity and what an adjustment is
 * added to stays true until the commit. A change that changes nothing writes nothing.
 */
#include <inttypes.h>

#include "clock.h"
#include "inventory.h"
#include "json_text.h"
#include "outbox.h"
#include "statements.h"
#include "store_data_operations.h"

#define QUANTITY_MAX INT64_C(1000000000) /* also in proto/inventory.json */

/* A variant as it was when it was locked, and as it will be. */
struct stock {
    int64_t sku_id;
    int64_t old, quantity;
    int64_t old_threshold, threshold; /* -1 for none */
    const char *reason;
};

static void
stock_read(struct stock *self, const struct rows *rows, unsigned row)
{
    self->sku_id = rows_int(rows, row, "sku_id");
    self->old = self->quantity = rows_int(rows, row, "quantity");
    self->old_threshold = self->threshold =
        rows_is_null(rows, row, "low_stock_threshold") ? -1 : rows_int(rows, row, "low_stock_threshold");
}

static bool
stock_differs(const struct stock *self)
{
    return self->quantity != self->old || self->threshold != self->old_threshold;
}

static int
write_all(struct call *call, const struct stock *all, unsigned count)
{
    struct json_text text;
    unsigned changed = 0;

    for (unsigned i = 0; i < count; i++)
        changed += stock_differs(&all[i]);
    if (changed == 0)
        return 0;
    json_text_begin(&text);
    out_list(&text.out, changed);
    for (unsigned i = 0; i < count; i++) {
        if (!stock_differs(&all[i]))
            continue;
        out_map(&text.out, 4);
        out_key(&text.out, "sku_id");
        out_int(&text.out, all[i].sku_id);
        out_key(&text.out, "quantity");
        out_int(&text.out, all[i].quantity);
        out_key(&text.out, "low_stock_threshold");
        if (all[i].threshold < 0)
            out_null(&text.out);
        else
            out_int(&text.out, all[i].threshold);
        out_key(&text.out, "reason");
        out_text(&text.out, all[i].reason);
    }
    db_after_commit(call, outbox_wake);
    return db_post(call, INVENTORY_SET, "ljt", call->caller.store_id, json_text_end(&text, call->arena),
                   clock_now_us());
}

/* ---- one variant ------------------------------------------------------------------------------------------------- */

/* Locks the variant of the request. The whole product where the request does not name one, or where its state is asked
 * for with If-Match: that is a state of all its variants. row: which of them it is. */
static int
lock_variant(struct call *call, struct rows *rows, unsigned *row)
{
    int64_t product_id = in_int(call->in, "path.product_id", 0), sku_id = in_int(call->in, "body.sku_id", 0);
    struct rows product;

    if (db_begin(call) || db_run(call, INVENTORY_LOCK, rows, "lllb", call->caller.store_id, product_id, sku_id,
                                 (int)(sku_id == 0 || call_has_if_match(call))))
        return -1;
    for (*row = 0; *row < rows->count && sku_id && rows_int(rows, *row, "sku_id") != sku_id; (*row)++)
        ;
    if (*row == rows->count) {
        if (db_run(call, INVENTORY_EXISTS, &product, "ll", call->caller.store_id, product_id))
            return -1;
        return product.count ? call_fail(call, FAIL_NOT_FOUND, "sku_id", "This product has no such variant")
                             : call_fail(call, FAIL_NOT_FOUND, "product_id", "No such product in this store");
    }
    if (!sku_id && rows->count > 1)
        return call_failf(call, FAIL_VALIDATION_ERROR, "sku_id", "is needed: the product has %u variants", rows->count);
    return call_if_match_get(call, INVENTORY_GET, product_id);
}

static int
answer(struct call *call, int64_t sku_id)
{
    struct rows rows;

    if (db_run(call, INVENTORY_VARIANT_GET, &rows, "ll", call->caller.store_id, sku_id) || db_commit(call))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

static const char *
reason_of(struct in body, const char *otherwise)
{
    const char *reason = in_text(body, "reason");

    return reason ? reason : otherwise;
}

/* What the request says of quantity and threshold; the rest stays. */
static void
read_wishes(struct stock *self, struct in body)
{
    self->quantity = in_int(body, "quantity", self->quantity);
    if (in_is_null(body, "low_stock_threshold"))
        self->threshold = -1;
    self->threshold = in_int(body, "low_stock_threshold", self->threshold);
    self->reason = reason_of(body, "set");
}

int
inventory_set(struct call *call)
{
    struct in body = in_at(call->in, "body");
    struct stock stock;
    struct rows rows;
    unsigned row;

    if (!in_has(body, "quantity") && !in_is_sent(body, "low_stock_threshold"))
        return call_fail(call, FAIL_VALIDATION_ERROR, "quantity", "is needed, or low_stock_threshold");
    if (lock_variant(call, &rows, &row))
        return -1;
    stock_read(&stock, &rows, row);
    if (in_int(body, "expected_quantity", stock.old) != stock.old) {
        call_fail_detail(call, "quantity", arena_printf(call->arena, "%" PRId64, stock.old));
        return call_failf(call, FAIL_CONFLICT, "expected_quantity",
                          "The quantity is %" PRId64 "; look at what has changed and send it with that", stock.old);
    }
    read_wishes(&stock, body);
    return write_all(call, &stock, 1) ? -1 : answer(call, stock.sku_id);
}

int
inventory_adjust(struct call *call)
{
    int64_t adjustment = in_int(call->in, "body.adjustment", 0);
    struct stock stock;
    struct rows rows;
    unsigned row;

    if (lock_variant(call, &rows, &row))
        return -1;
    stock_read(&stock, &rows, row);
    if (adjustment < 0 && stock.old + adjustment < 0) {
        call_fail_detail(call, "quantity", arena_printf(call->arena, "%" PRId64, stock.old));
        return call_failf(call, FAIL_INSUFFICIENT_STOCK, "adjustment", "Only %" PRId64 " in stock", stock.old);
    }
    if (adjustment > 0 && stock.old + adjustment > QUANTITY_MAX)
        return call_failf(call, FAIL_VALIDATION_ERROR, "adjustment", "makes more than %" PRId64 " in stock",
                          QUANTITY_MAX);
    stock.quantity = stock.old + adjustment;
    stock.reason = reason_of(in_at(call->in, "body"), "adjust");
    return write_all(call, &stock, 1) ? -1 : answer(call, stock.sku_id);
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

static struct str
wanted_lines(struct call *call, const struct line *lines, unsigned count)
{
    struct json_text text;

    json_text_begin(&text);
    out_list(&text.out, count);
    for (unsigned i = 0; i < count; i++) {
        out_map(&text.out, 2);
        out_key(&text.out, "line");
        out_int(&text.out, i);
        out_key(&text.out, "sku_id");
        out_int(&text.out, in_int(lines[i].body, "sku_id", 0));
    }
    return json_text_end(&text, call->arena);
}

/* The variant among those that earlier lines have named, or a new one behind them. */
static struct stock *
find_stock(struct stock *all, unsigned *count, const struct rows *rows, unsigned row)
{
    int64_t sku_id = rows_int(rows, row, "sku_id");

    for (unsigned i = 0; i < *count; i++)
        if (all[i].sku_id == sku_id)
            return &all[i];
    stock_read(&all[*count], rows, row);
    all[*count].reason = "bulk";
    return &all[(*count)++];
}

int
inventory_set_lines(struct call *call, struct line *lines, unsigned count)
{
    struct stock *all = arena_alloc(call->arena, (count + 1) * sizeof(*all));
    unsigned stocks = 0, row = 0;
    struct rows rows;

    if (db_run(call, INVENTORY_LOCK_LINES, &rows, "lj", call->caller.store_id, wanted_lines(call, lines, count)))
        return -1;
    for (unsigned i = 0; i < count; i++) {
        if (row == rows.count || rows_int(&rows, row, "line") != i) {
            line_fail(&lines[i], FAIL_NOT_FOUND, "sku_id", "No such variant in this store");
            continue;
        }
        find_stock(all, &stocks, &rows, row)->quantity = in_int(lines[i].body, "quantity", 0);
        lines[i].id = rows_int(&rows, row++, "sku_id");
    }
    return write_all(call, all, stocks);
}

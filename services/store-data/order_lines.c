/* order_lines.c - what is ordered: prices from the catalogue, stock that is really there, sums without rounding.
 *
 * Variants are locked before their stock is looked at, always in the order of their ids, and stay locked until the
 * transaction ends. So of two orders for the last piece one waits and then sees that it is gone, and orders for the
 * same pieces in another order wait for each other in a row, never in a ring.
 */
#include <inttypes.h>
#include <string.h>

#include "json_text.h"
#include "money.h"
#include "orders.h"
#include "statements.h"

#define TOTAL_MAX INT64_C(99999999999999) /* numeric(14,2), in paisa */

static const char *
line_field(struct call *call, unsigned index, const char *name)
{
    return arena_printf(call->arena, "items[%u].%s", index, name);
}

/* What the request says; the catalogue's part is filled in later. */
static int
read_line(struct order_line *self, struct call *call, struct in item, unsigned index)
{
    self->product_id = in_int(item, "product_id", 0);
    self->sku_id = in_int(item, "sku_id", 0);
    self->quantity = in_int(item, "quantity", 0);
    if (self->product_id || self->sku_id)
        return 0;
    self->name = in_text(item, "name");
    self->price = in_money(item, "price", -1);
    if (!self->name)
        return call_fail(call, FAIL_VALIDATION_ERROR, line_field(call, index, "name"),
                         "is needed for an item without product_id and sku_id");
    if (self->price < 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, line_field(call, index, "price"),
                         "is needed for an item without product_id and sku_id");
    return 0;
}

static struct str
catalogue_lines(const struct order_lines *self, struct arena *arena)
{
    struct json_text text;
    unsigned count = 0;

    for (unsigned i = 0; i < self->count; i++)
        count += self->lines[i].name == NULL;
    json_text_begin(&text);
    out_list(&text.out, count);
    for (unsigned i = 0; i < self->count; i++) {
        const struct order_line *line = &self->lines[i];

        if (line->name)
            continue;
        out_map(&text.out, 1 + (line->product_id != 0) + (line->sku_id != 0));
        out_key(&text.out, "line");
        out_int(&text.out, i);
        if (line->product_id) {
            out_key(&text.out, "product_id");
            out_int(&text.out, line->product_id);
        }
        if (line->sku_id) {
            out_key(&text.out, "sku_id");
            out_int(&text.out, line->sku_id);
        }
    }
    return json_text_end(&text, arena);
}

static int64_t
wanted(const struct order_lines *self, int64_t sku_id)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < self->count; i++)
        if (self->lines[i].sku_id == sku_id)
            sum += self->lines[i].quantity;
    return sum;
}

/* What there is of a row's variant, with what the order already holds. */
static int64_t
available(const struct rows *rows, unsigned row)
{
    return rows_int(rows, row, "quantity") + rows_int(rows, row, "held");
}

/* `items` of the error body: each variant of which there is too little. */
static int
fail_insufficient(const struct order_lines *self, struct call *call, const struct rows *rows, unsigned first)
{
    unsigned index = (unsigned)rows_int(rows, first, "line"), count = 0;
    struct json_text text;

    for (unsigned row = 0; row < rows->count; row++)
        count += available(rows, row) < wanted(self, rows_int(rows, row, "sku_id"));
    json_text_begin(&text);
    out_list(&text.out, count);
    for (unsigned row = 0; row < rows->count; row++) {
        int64_t sku_id = rows_int(rows, row, "sku_id");

        if (available(rows, row) >= wanted(self, sku_id))
            continue;
        out_map(&text.out, 5);
        out_key(&text.out, "index");
        out_int(&text.out, rows_int(rows, row, "line"));
        out_key(&text.out, "sku_id");
        out_int(&text.out, sku_id);
        out_key(&text.out, "name");
        out_text(&text.out, rows_text(rows, row, "name"));
        out_key(&text.out, "requested");
        out_int(&text.out, wanted(self, sku_id));
        out_key(&text.out, "available");
        out_int(&text.out, available(rows, row));
    }
    call_fail_detail(call, "items", json_text_end(&text, call->arena).base);
    return call_fail(call, FAIL_INSUFFICIENT_STOCK, line_field(call, index, "quantity"),
                     arena_printf(call->arena, "Only %" PRId64 " of \"%s\" left", available(rows, first),
                                  rows_text(rows, first, "name")));
}

static int
take_from_catalogue(struct order_lines *self, struct call *call, const struct rows *rows)
{
    for (unsigned row = 0; row < rows->count; row++) {
        struct order_line *line = &self->lines[rows_int(rows, row, "line")];

        line->sku_id = rows_int(rows, row, "sku_id");
        line->product_id = rows_int(rows, row, "product_id");
        line->name = rows_text(rows, row, "name");
        line->price = rows_money(rows, row, "price");
        line->image = rows_text(rows, row, "image");
        line->sku = rows_text(rows, row, "sku_code");
    }
    for (unsigned i = 0; i < self->count; i++)
        if (!self->lines[i].name)
            return call_fail(call, FAIL_NOT_FOUND, line_field(call, i, self->lines[i].sku_id ? "sku_id" : "product_id"),
                             "No such product or variant in this store");
    for (unsigned row = 0; row < rows->count; row++)
        if (available(rows, row) < wanted(self, rows_int(rows, row, "sku_id")))
            return fail_insufficient(self, call, rows, row);
    return 0;
}

static int
add_up(struct order_lines *self, struct call *call)
{
    self->sub_total = 0;
    for (unsigned i = 0; i < self->count; i++) {
        int64_t amount;

        if (money_multiply(self->lines[i].price, self->lines[i].quantity, &amount) ||
            money_add(self->sub_total, amount, &self->sub_total) || self->sub_total > TOTAL_MAX)
            return call_fail(call, FAIL_VALIDATION_ERROR, line_field(call, i, "quantity"),
                             "makes the order larger than 999999999999.99; split it");
    }
    return 0;
}

int
order_lines_read(struct order_lines *self, struct call *call, struct in items, int64_t order_id)
{
    bool catalogue = order_id != 0;
    struct rows rows;

    self->order_id = 0;
    self->count = in_count(items, "");
    self->lines = arena_alloc(call->arena, self->count * sizeof(*self->lines));
    for (unsigned i = 0; i < self->count; i++) {
        if (read_line(&self->lines[i], call, in_item(items, i), i))
            return -1;
        catalogue = catalogue || !self->lines[i].name;
    }
    if (catalogue &&
        (db_run(call, LINES_LOCK, &rows, "ljl", call->caller.store_id, catalogue_lines(self, call->arena), order_id) ||
         take_from_catalogue(self, call, &rows)))
        return -1;
    if (catalogue && rows.count > 0)
        self->order_id = rows_int(&rows, 0, "order_id");
    return add_up(self, call);
}

struct str
order_lines_json(const struct order_lines *self, struct arena *arena)
{
    struct json_text text;

    json_text_begin(&text);
    out_list(&text.out, self->count);
    for (unsigned i = 0; i < self->count; i++) {
        const struct order_line *line = &self->lines[i];

        out_map(&text.out, 7);
        out_key_id(&text.out, "product_id", line->product_id);
        out_key_id(&text.out, "variant_id", line->sku_id);
        out_key(&text.out, "name");
        out_text(&text.out, line->name);
        out_key(&text.out, "price");
        out_money(&text.out, line->price, 2);
        out_key(&text.out, "quantity");
        out_int(&text.out, line->quantity);
        out_key(&text.out, "image");
        out_text(&text.out, line->image);
        out_key(&text.out, "sku");
        out_text(&text.out, line->sku);
    }
    return json_text_end(&text, arena);
}

int
order_total(struct call *call, int64_t sub_total, int64_t tax, int64_t shipping, int64_t discount, int64_t *total)
{
    int64_t before;

    if (money_add(sub_total, tax, &before) || money_add(before, shipping, &before) || before > TOTAL_MAX)
        return call_fail(call, FAIL_VALIDATION_ERROR, "items", "make the order larger than 999999999999.99; split it");
    if (discount > before)
        return call_fail(call, FAIL_VALIDATION_ERROR, "discount", "must not be more than sub_total + tax + shipping");
    *total = before - discount;
    return 0;
}

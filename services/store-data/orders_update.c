/* orders_update.c - PUT /orders/{order_id}: the fields that were sent change, the others stay.
 *
 * New values are worked out against the locked row and written together; what really changed is told in the event. A
 * request that changes nothing writes nothing and has no event.
 */
#include <string.h>

#include "clock.h"
#include "json_text.h"
#include "orders.h"
#include "statements.h"
#include "store_data_operations.h"

enum { NOTE, PAYMENT_METHOD, FINANCIAL_STATUS, COURIER, COURIER_ID, TRACKING_CODE, SHIPPING_ADDRESS, METADATA, FIELDS };

static const char *const field_names[FIELDS] = {"note",       "payment_method", "financial_status", "courier",
                                                "courier_id", "tracking_code",  "shipping_address", "metadata"};

struct change {
    const char *values[FIELDS]; /* as they will be; NULL is null */
    const char *old[FIELDS];
    int64_t sub_total, total;
    struct str old_items, new_items; /* absent unless items were sent */
    unsigned count;                  /* members of changes */
    struct json_text changes;
};

static bool
is_json(unsigned field)
{
    return field == SHIPPING_ADDRESS || field == METADATA;
}

static bool
text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void
read_fields(struct change *self, struct call *call, const struct rows *before)
{
    struct in body = in_at(call->in, "body");

    for (unsigned i = 0; i < FIELDS; i++) {
        self->old[i] = self->values[i] = rows_text(before, 0, field_names[i]);
        if (in_has(body, field_names[i]) || in_is_null(body, field_names[i]))
            self->values[i] = is_json(i) ? json_text_of(in_at(body, field_names[i]), call->arena).base
                                         : in_text(body, field_names[i]);
        self->count += !text_equal(self->old[i], self->values[i]);
    }
}

/* Gives back what the order held and takes what it holds now; all variants are locked by then. */
static int
replace_items(struct change *self, struct call *call, const struct rows *before, int64_t order_id, int64_t now_us)
{
    int64_t store_id = call->caller.store_id;
    struct order_lines lines;
    struct rows rows;
    struct str items;

    if (strcmp(rows_text(before, 0, "order_status"), "pending") != 0)
        return call_failf(call, FAIL_CONFLICT, "items",
                          "The order is %s; items can be changed only while it is pending",
                          rows_text(before, 0, "order_status"));
    if (order_lines_read(&lines, call, in_at(call->in, "body.items"), order_id) ||
        db_run(call, ITEMS_OF_ORDER, &rows, "ll", store_id, order_id))
        return -1;
    self->old_items = str_of(rows_text(&rows, 0, "items"));
    self->sub_total = lines.sub_total;
    if (order_total(call, lines.sub_total, rows_money(before, 0, "tax"), rows_money(before, 0, "shipping"),
                    rows_money(before, 0, "discount"), &self->total))
        return -1;
    items = order_lines_json(&lines, call->arena);
    if (db_post(call, STOCK_RETURN, "llt", store_id, order_id, now_us) ||
        db_post(call, STOCK_TAKE, "ljt", store_id, items, now_us) ||
        db_post(call, ITEMS_DELETE, "ll", store_id, order_id) ||
        db_post(call, ITEMS_INSERT, "llj", store_id, order_id, items))
        return -1;
    self->count += 1 + 2 * (self->total != rows_money(before, 0, "grand_total"));
    return 0;
}

static void
change_member(struct out *out, const char *name, const char *old, const char *new, bool json)
{
    out_key(out, name);
    out_map(out, 2);
    out_key(out, "old");
    if (json)
        out_json(out, str_of(old ? old : "null"));
    else
        out_text(out, old);
    out_key(out, "new");
    if (json)
        out_json(out, str_of(new ? new : "null"));
    else
        out_text(out, new);
}

static struct str
changes_text(struct change *self, struct call *call, const struct rows *before, const struct rows *after)
{
    struct out *out = &self->changes.out;

    json_text_begin(&self->changes);
    out_map(out, self->count);
    for (unsigned i = 0; i < FIELDS; i++)
        if (!text_equal(self->old[i], self->values[i]))
            change_member(out, field_names[i], self->old[i], self->values[i], is_json(i));
    if (self->old_items.base) {
        change_member(out, "items", self->old_items.base, rows_text(after, 0, "items"), true);
        if (self->total != rows_money(before, 0, "grand_total")) {
            change_member(out, "sub_total", rows_text(before, 0, "sub_total"), rows_text(after, 0, "sub_total"), true);
            change_member(out, "grand_total", rows_text(before, 0, "grand_total"), rows_text(after, 0, "grand_total"),
                          true);
        }
    }
    return json_text_end(&self->changes, call->arena);
}

int
orders_update(struct call *call)
{
    int64_t store_id = call->caller.store_id, order_id = in_int(call->in, "path.order_id", 0), now_us = clock_now_us();
    struct rows before, order;
    struct change change = {0};

    if (db_begin(call) || order_lock(call, order_id, &before))
        return -1;
    change.sub_total = rows_money(&before, 0, "sub_total");
    change.total = rows_money(&before, 0, "grand_total");
    read_fields(&change, call, &before);
    if (in_has(call->in, "body.items") && replace_items(&change, call, &before, order_id, now_us))
        return -1;
    if (change.count == 0) {
        if (db_run(call, ORDER_GET, &order, "ll", store_id, order_id) || db_commit(call))
            return -1;
        return call_reply_row(call, 200, &order, 0);
    }
    if (db_run(call, ORDER_UPDATE, &order, "llssssssjjmmt", store_id, order_id, change.values[NOTE],
               change.values[PAYMENT_METHOD], change.values[FINANCIAL_STATUS], change.values[COURIER],
               change.values[COURIER_ID], change.values[TRACKING_CODE], str_of(change.values[SHIPPING_ADDRESS]),
               str_of(change.values[METADATA]), change.sub_total, change.total, now_us) ||
        order_event(call, "order.updated", &order, NULL, changes_text(&change, call, &before, &order)) ||
        db_commit(call))
        return -1;
    return call_reply_row(call, 200, &order, 0);
}

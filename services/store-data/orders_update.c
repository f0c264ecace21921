/* orders_update.c - PUT /orders/{order_id}: the fields that were sent change, the others stay.
 *
 * New values are worked out against the locked row and written together; what really changed is told in the event. A
 * request that changes nothing writes nothing and has no event.
 */
#include <string.h>

#include "changes.h"
#include "clock.h"
#include "orders.h"
#include "statements.h"
#include "store_data_operations.h"

enum { NOTE, PAYMENT_METHOD, FINANCIAL_STATUS, COURIER, COURIER_ID, TRACKING_CODE, SHIPPING_ADDRESS, METADATA, FIELDS };

static const char *const field_names[FIELDS] = {"note",       "payment_method", "financial_status", "courier",
                                                "courier_id", "tracking_code",  "shipping_address", "metadata"};

struct update {
    const char *values[FIELDS]; /* as they will be; NULL is null */
    bool any;                   /* something is not as it was */
    int64_t sub_total, total;
    struct order_discount discount;
    const char *old_items; /* NULL unless items were sent */
};

static bool
is_json(unsigned field)
{
    return field == SHIPPING_ADDRESS || field == METADATA;
}

static void
read_fields(struct update *self, struct call *call, const struct rows *before)
{
    struct in body = in_at(call->in, "body");

    for (unsigned i = 0; i < FIELDS; i++) {
        const char *old = rows_text(before, 0, field_names[i]);

        self->values[i] = old;
        if (in_is_sent(body, field_names[i]))
            self->values[i] = is_json(i) ? json_text_after(body, field_names[i], old, call->arena).base
                                         : in_text(body, field_names[i]);
        self->any = self->any || !text_equal(old, self->values[i]);
    }
}

/* From what the order held to what it holds now; all variants are locked by then. */
static int
replace_items(struct update *self, struct call *call, const struct rows *before, int64_t order_id, int64_t now_us)
{
    int64_t store_id = call->caller.store_id;
    struct order_lines lines;
    struct rows rows;
    struct str items;

    if (strcmp(rows_text(before, 0, "order_status"), "pending") != 0)
        return call_failf(call, FAIL_CONFLICT, "items",
                          "The order is %s; items can be changed only while it is pending",
                          rows_text(before, 0, "order_status"));
    if (order_lines_read(&lines, call, in_at(call->in, "body.items"), order_id))
        return -1;
    items = order_lines_json(&lines, call->arena);
    if (db_run(call, ITEMS_SAME, &rows, "llj", store_id, order_id, items))
        return -1;
    if (rows_int(&rows, 0, "same"))
        return 0;
    if (db_run(call, ITEMS_OF_ORDER, &rows, "ll", store_id, order_id))
        return -1;
    self->old_items = rows_text(&rows, 0, "items");
    self->any = true;
    self->sub_total = lines.sub_total;
    if (order_discount_again(&self->discount, call, before, lines.sub_total) ||
        order_total(call, lines.sub_total, rows_money(before, 0, "tax"), rows_money(before, 0, "shipping"),
                    self->discount.total, &self->total))
        return -1;
    return db_post(call, STOCK_REPLACE, "lljt", store_id, order_id, items, now_us) ||
                   db_post(call, ITEMS_DELETE, "ll", store_id, order_id) ||
                   db_post(call, ITEMS_INSERT, "llj", store_id, order_id, items)
               ? -1
               : 0;
}

static struct str
changed(const struct update *self, struct call *call, const struct rows *before, const struct rows *after)
{
    static const char *const amounts[] = {"sub_total", "discount", "grand_total"};
    struct changes changes;

    changes_begin(&changes);
    for (unsigned i = 0; i < FIELDS; i++)
        (is_json(i) ? changes_json : changes_text)(&changes, field_names[i], rows_text(before, 0, field_names[i]),
                                                   self->values[i]);
    if (self->old_items)
        changes_json(&changes, "items", self->old_items, rows_text(after, 0, "items"));
    for (unsigned i = 0; i < ARRAY_COUNT(amounts); i++)
        changes_json(&changes, amounts[i], rows_text(before, 0, amounts[i]), rows_text(after, 0, amounts[i]));
    return changes_end(&changes, call->arena);
}

int
orders_update(struct call *call)
{
    int64_t store_id = call->caller.store_id, order_id = in_int(call->in, "path.order_id", 0), now_us = clock_now_us();
    struct rows before, order;
    struct update self = {0};

    if (db_begin(call) || order_lock(call, order_id, &before))
        return -1;
    self.sub_total = rows_money(&before, 0, "sub_total");
    self.total = rows_money(&before, 0, "grand_total");
    self.discount.total = rows_money(&before, 0, "discount");
    self.discount.by_code = rows_money(&before, 0, "code_discount");
    read_fields(&self, call, &before);
    if (in_has(call->in, "body.items") && replace_items(&self, call, &before, order_id, now_us))
        return -1;
    if (!self.any) {
        if (db_run(call, ORDER_GET, &order, "ll", store_id, order_id) || db_commit(call))
            return -1;
        return call_reply_resource(call, 200, &order);
    }
    if (db_run(call, ORDER_UPDATE, &order, "llssssssjjmmtmm", store_id, order_id, self.values[NOTE],
               self.values[PAYMENT_METHOD], self.values[FINANCIAL_STATUS], self.values[COURIER],
               self.values[COURIER_ID], self.values[TRACKING_CODE], str_of(self.values[SHIPPING_ADDRESS]),
               str_of(self.values[METADATA]), self.sub_total, self.total, now_us, self.discount.total,
               self.discount.by_code) ||
        order_event(call, "order.updated", &order, NULL, changed(&self, call, &before, &order)) || db_commit(call))
        return -1;
    return call_reply_resource(call, 200, &order);
}

/* order_events.c - what the world is told about an order, in the transaction of the change (contract D.2, protocols 7).
 */
#include "json_text.h"
#include "orders.h"
#include "outbox.h"

static void
money_member(struct out *out, const char *name, int64_t amount)
{
    out_key(out, name);
    out_money(out, amount, 2);
}

/* Receivers know some of these under two names. */
static struct str
event_data(struct call *call, const struct rows *rows, const char *previous_status, struct str changed)
{
    int64_t order_id = rows_int(rows, 0, "order_id"), total = rows_money(rows, 0, "grand_total");
    const char *status = rows_text(rows, 0, "order_status"), *phone = rows_text(rows, 0, "_customer_phone");
    const char *tracking = rows_text(rows, 0, "tracking_code");
    struct json_text text;

    json_text_begin(&text);
    out_map(&text.out, 14 + 2 * (previous_status != NULL) + (changed.base != NULL));
    out_key(&text.out, "order_id");
    out_int(&text.out, order_id);
    out_key(&text.out, "id");
    out_int(&text.out, order_id);
    out_key_text(&text.out, "order_number", rows_text(rows, 0, "store_serial_order_no"));
    out_key_text(&text.out, "order_status", status);
    out_key_text(&text.out, "customer_name", rows_text(rows, 0, "_customer_name"));
    out_key_text(&text.out, "customer_phone", phone);
    out_key_text(&text.out, "phone", phone);
    out_key_text(&text.out, "shipping_phone", rows_text(rows, 0, "_shipping_phone"));
    money_member(&text.out, "total", total);
    money_member(&text.out, "grand_total", total);
    out_key_text(&text.out, "tracking_id", tracking);
    out_key_text(&text.out, "tracking_number", tracking);
    out_key_text(&text.out, "store_name", rows_text(rows, 0, "_store_name"));
    out_key_text(&text.out, "payment_method", rows_text(rows, 0, "payment_method"));
    if (previous_status) {
        out_key_text(&text.out, "status", status);
        out_key_text(&text.out, "previous_status", previous_status);
    }
    if (changed.base) {
        out_key(&text.out, "changed");
        out_json(&text.out, changed);
    }
    return json_text_end(&text, call->arena);
}

int
order_event(struct call *call, const char *topic, const struct rows *rows, const char *previous_status,
            struct str changed)
{
    return outbox_put(call, topic, call->caller.store_id, "order", rows_int(rows, 0, "order_id"),
                      event_data(call, rows, previous_status, changed));
}

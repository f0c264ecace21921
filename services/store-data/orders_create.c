/* orders_create.c - an order is placed: customer, stock, totals, number and event in one transaction.
 *
 * Locks are taken in one order everywhere: customer, variants (by id), the store's serial number, kept counts. The
 * serial comes late, because all orders of a store wait for each other from there to the commit.
 */
#include "clock.h"
#include "json_text.h"
#include "orders.h"
#include "statements.h"
#include "store_data_operations.h"

int
orders_create(struct call *call)
{
    struct in body = in_at(call->in, "body");
    int64_t store_id = call->caller.store_id, now_us = clock_now_us(), user_id, total;
    int64_t tax = in_money(body, "tax", 0), shipping = in_money(body, "shipping", 0),
            discount = in_money(body, "discount", 0);
    struct order_lines lines;
    struct rows order;
    struct str items;

    if (db_begin(call) || order_customer(call, now_us, &user_id) ||
        order_lines_read(&lines, call, in_at(body, "items"), 0) ||
        order_total(call, lines.sub_total, tax, shipping, discount, &total))
        return -1;
    items = order_lines_json(&lines, call->arena);
    if (db_post(call, STOCK_TAKE, "ljt", store_id, items, now_us) ||
        db_run(call, ORDER_INSERT, &order, "lLmmmmssjjjt", store_id, user_id ? &user_id : NULL, lines.sub_total, tax,
               shipping, discount, in_text(body, "payment_method"), in_text(body, "note"),
               json_text_of(in_at(body, "shipping_address"), call->arena),
               json_text_of(in_at(body, "metadata"), call->arena), items, now_us) ||
        order_event(call, "order.created", &order, NULL, (struct str){NULL, 0}) || db_commit(call))
        return -1;
    return call_reply_row(call, 201, &order, 0);
}

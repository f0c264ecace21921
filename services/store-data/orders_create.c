/* orders_create.c - an order is placed: customer, stock, discount, totals, number and events in one transaction.
 *
 * Locks are taken in the order that statements.h tells.
 *
 * Round trips: one each for the customer, the variants, the code and the order, where there are such; one for the
 * commit. The stock travels with the order, the code's use and the event with the commit.
 */
#include "clock.h"
#include "json_text.h"
#include "orders.h"
#include "statements.h"
#include "store_data_operations.h"

static int
insert_order(struct call *call, struct in body, int64_t user_id, const struct order_lines *lines,
             const struct order_amounts *amounts, const struct order_discount *discount, int64_t now_us,
             struct rows *order)
{
    struct str items = order_lines_json(lines, call->arena);
    int64_t store_id = call->caller.store_id;

    if (lines->order_id && db_post(call, STOCK_TAKE, "ljtl", store_id, items, now_us, lines->order_id))
        return -1;
    return db_run(call, ORDER_INSERT, order, "lLmmmmssjjjtLsm", store_id, user_id ? &user_id : NULL, amounts->sub_total,
                  amounts->tax, amounts->shipping, discount->total, in_text(body, "payment_method"),
                  in_text(body, "note"), json_text_of(in_at(body, "shipping_address"), call->arena),
                  json_text_of(in_at(body, "metadata"), call->arena), items, now_us,
                  lines->order_id ? &lines->order_id : NULL, discount->code, discount->by_code);
}

int
order_place(struct call *call, struct in body, struct rows *order)
{
    int64_t now_us = clock_now_us(), user_id, total;
    struct order_amounts amounts = {0, in_money(body, "tax", 0), in_money(body, "shipping", 0)};
    struct order_discount discount;
    struct order_lines lines;

    if (order_customer(call, body, now_us, &user_id) || order_lines_read(&lines, call, in_at(body, "items"), 0))
        return -1;
    amounts.sub_total = lines.sub_total;
    if (order_discount_apply(&discount, call, body, user_id, &amounts, now_us) ||
        order_total(call, amounts.sub_total, amounts.tax, amounts.shipping, discount.total, &total) ||
        insert_order(call, body, user_id, &lines, &amounts, &discount, now_us, order) ||
        order_discount_use(&discount, call, rows_int(order, 0, "order_id"), now_us))
        return -1;
    return order_event(call, "order.created", order, NULL, (struct str){NULL, 0});
}

int
orders_create(struct call *call)
{
    struct rows order;

    if (db_begin(call) || order_place(call, in_at(call->in, "body"), &order) || db_commit(call))
        return -1;
    return call_reply_resource(call, 201, &order);
}

/* orders_status.c - the way of an order from pending to completed (contract K.3), and its end by deletion. */
#include <string.h>

#include "clock.h"
#include "json_text.h"
#include "orders.h"
#include "statements.h"
#include "store_data_operations.h"

#define STATUS_WORDS "pending, confirmed, processing, shipped, delivered, completed, cancelled, hold, refunded"

static const struct {
    const char *from;
    const char *to[5];
} moves[] = {
    {"pending", {"confirmed", "hold", "cancelled"}},
    {"confirmed", {"processing", "hold", "cancelled"}},
    {"processing", {"shipped", "hold", "cancelled"}},
    {"shipped", {"delivered"}},
    {"delivered", {"completed", "refunded"}},
    {"completed", {"refunded"}},
    {"hold", {"pending", "confirmed", "processing", "cancelled"}}, /* back to any status before shipped */
};

static const char *const *
moves_from(const char *status)
{
    static const char *const none[] = {NULL};

    for (unsigned i = 0; i < ARRAY_COUNT(moves); i++)
        if (strcmp(moves[i].from, status) == 0)
            return moves[i].to;
    return none;
}

static bool
is_allowed(const char *from, const char *to)
{
    for (const char *const *at = moves_from(from); *at; at++)
        if (strcmp(*at, to) == 0)
            return true;
    return false;
}

static int
fail_transition(struct call *call, const char *from, const char *to)
{
    const char *const *allowed = moves_from(from);
    const char *words = "none";
    struct json_text text;
    unsigned count = 0;

    while (allowed[count])
        count++;
    json_text_begin(&text);
    out_list(&text.out, count);
    for (unsigned i = 0; i < count; i++) {
        out_text(&text.out, allowed[i]);
        words = i ? arena_printf(call->arena, "%s, %s", words, allowed[i]) : allowed[i];
    }
    call_fail_detail(call, "allowed", json_text_end(&text, call->arena).base);
    return call_failf(call, FAIL_INVALID_TRANSITION, "status", "The order is %s and cannot become %s; possible: %s",
                      from, to, words);
}

int
order_lock(struct call *call, int64_t order_id, struct rows *rows)
{
    if (db_run(call, ORDER_LOCK, rows, "ll", call->caller.store_id, order_id))
        return -1;
    if (rows->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "order_id", "No such order in this store");
    return call_if_match_get(call, ORDER_GET, order_id);
}

/* What the order holds goes back: its stock, and the use of its discount code. Locks in the order in which orders take
 * them: variants, the code, what products have in all. */
static int
release(struct call *call, const struct rows *order, const char *reason, int64_t now_us)
{
    int64_t store_id = call->caller.store_id, order_id = rows_int(order, 0, "order_id");

    if (db_post(call, STOCK_LOCK, "ll", store_id, order_id))
        return -1;
    if (!rows_is_null(order, 0, "discount_code") && db_post(call, DISCOUNT_RETURN, "ll", store_id, order_id))
        return -1;
    return db_post(call, STOCK_RETURN, "llts", store_id, order_id, now_us, reason);
}

int
orders_set_status(struct call *call)
{
    int64_t order_id = in_int(call->in, "path.order_id", 0), now_us = clock_now_us();
    const char *to = in_text(call->in, "body.status"), *from, *financial, *fulfillment;
    struct rows before, order;
    bool cancelled;

    if (!to)
        to = in_text(call->in, "body.order_status");
    if (!to)
        return call_fail(call, FAIL_VALIDATION_ERROR, "status",
                         "is needed: what the order is to become, one of " STATUS_WORDS);
    if (db_begin(call) || order_lock(call, order_id, &before))
        return -1;
    from = rows_text(&before, 0, "order_status");
    if (!is_allowed(from, to))
        return fail_transition(call, from, to);
    cancelled = strcmp(to, "cancelled") == 0;
    financial = strcmp(to, "refunded") == 0 ? "refunded" : rows_text(&before, 0, "financial_status");
    fulfillment = strcmp(to, "shipped") == 0 ? "fulfilled" : rows_text(&before, 0, "fulfillment_status");
    if ((cancelled && release(call, &before, "order_cancelled", now_us)) ||
        db_run(call, ORDER_SET_STATUS, &order, "llsssssst", call->caller.store_id, order_id, to,
               strcmp(to, "hold") == 0 ? from : NULL, financial, fulfillment, from, in_text(call->in, "body.note"),
               now_us) ||
        order_event(call, "order.status_changed", &order, from, (struct str){NULL, 0}) ||
        (cancelled && order_event(call, "order.cancelled", &order, from, (struct str){NULL, 0})) || db_commit(call))
        return -1;
    return call_reply_resource(call, 200, &order);
}

int
orders_history(struct call *call)
{
    struct rows rows;

    if (db_run(call, ORDER_HISTORY, &rows, "ll", call->caller.store_id, in_int(call->in, "path.order_id", 0)))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "order_id", "No such order in this store");
    call_data(call);
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

int
orders_delete(struct call *call)
{
    int64_t order_id = in_int(call->in, "path.order_id", 0), now_us = clock_now_us();
    struct rows before, order;
    const char *status;
    bool pending;

    if (db_begin(call) || order_lock(call, order_id, &before))
        return -1;
    status = rows_text(&before, 0, "order_status");
    pending = strcmp(status, "pending") == 0;
    if (!pending && strcmp(status, "cancelled") != 0)
        return call_failf(call, FAIL_CONFLICT, NULL,
                          "The order is %s; only a pending or cancelled order can be deleted", status);
    if ((pending && release(call, &before, "order_deleted", now_us)) ||
        db_run(call, ORDER_DELETE, &order, "llt", call->caller.store_id, order_id, now_us) ||
        order_event(call, "order.deleted", &order, NULL, (struct str){NULL, 0}) || db_commit(call))
        return -1;
    return call_reply_deleted(call, "order_id", order_id, "Order deleted");
}

/* customers_export.c - everything that is held about a customer, for whoever answers their question (contract K.6), and
 * how they can be reached. Deleted customers and orders are held until they are erased, so they are told as well. */
#include "statements.h"
#include "store_data_operations.h"

#define PAGE_ORDERS 100

int
customers_contact(struct call *call)
{
    struct rows rows;

    if (db_run(call, CUSTOMER_CONTACT, &rows, "ll", in_int(call->in, "body.store_id", 0),
               in_int(call->in, "body.customer_id", 0)))
        return -1;
    if (rows.count > 0)
        return call_reply_row(call, 200, &rows, 0);
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "email");
    out_null(&call->out);
    out_key(&call->out, "phone");
    out_null(&call->out);
    return call_reply(call, 200);
}

int
customers_export(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0), user_id = in_int(call->in, "body.customer_id", 0);
    struct rows customer, orders;
    bool more;

    if (db_run(call, CUSTOMER_EXPORT, &customer, "ll", store_id, user_id))
        return -1;
    if (customer.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "customer_id", "No such customer in this store");
    if (db_run(call, CUSTOMER_EXPORT_ORDERS, &orders, "llll", store_id, user_id, in_int(call->in, "body.after", 0),
               (int64_t)PAGE_ORDERS + 1))
        return -1;
    more = orders.count > PAGE_ORDERS;
    if (more)
        orders.count = PAGE_ORDERS;
    call_data(call);
    out_map(&call->out, 3);
    out_key(&call->out, "customer");
    out_row(&call->out, &customer, 0);
    out_key(&call->out, "orders");
    out_rows(&call->out, &orders);
    out_key(&call->out, "next_after");
    if (more)
        out_int(&call->out, rows_int(&orders, orders.count - 1, "order_id"));
    else
        out_null(&call->out);
    return call_reply(call, 200);
}

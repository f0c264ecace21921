/* customers_export.c - everything that is held about a customer, for whoever answers their question (contract K.6), and
 * how they can be reached. Deleted customers and orders are held until they are erased, so they are told as well. */
#include <string.h>

#include "statements.h"
#include "store_data_operations.h"

#define PAGE_ROWS 100

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

/* In this order; a part that is not at its end goes on behind its last row. */
static const struct part {
    const char *name;
    unsigned statement;
} parts[] = {{"orders", CUSTOMER_EXPORT_ORDERS},
             {"history", CUSTOMER_EXPORT_HISTORY},
             {"metafields", CUSTOMER_EXPORT_METAFIELDS},
             {"events", CUSTOMER_EXPORT_EVENTS}};

/* Where to go on; next is ARRAY_COUNT(parts) when that was all. */
static void
write_next(struct out *out, unsigned next, const struct rows *last)
{
    out_key(out, "next_part");
    if (next < ARRAY_COUNT(parts))
        out_text(out, parts[next].name);
    else
        out_null(out);
    out_key(out, "next_after");
    if (next < ARRAY_COUNT(parts))
        out_int(out, last ? rows_int(last, last->count - 1, "_after") : 0);
    else
        out_null(out);
    out_key(out, "next_after_id");
    if (next < ARRAY_COUNT(parts))
        out_int(out, last ? rows_int(last, last->count - 1, "_after_id") : 0);
    else
        out_null(out);
}

int
customers_export(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0), user_id = in_int(call->in, "body.customer_id", 0);
    const char *name = in_text(call->in, "body.part");
    struct rows customer, rows;
    unsigned part = 0;
    bool more;

    while (name && strcmp(parts[part].name, name) != 0) /* the contract allows no other */
        part++;
    if (db_run(call, CUSTOMER_EXPORT, &customer, "ll", store_id, user_id))
        return -1;
    if (customer.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "customer_id", "No such customer in this store");
    if (db_run(call, parts[part].statement, &rows, "lllll", store_id, user_id, in_int(call->in, "body.after", 0),
               in_int(call->in, "body.after_id", 0), (int64_t)PAGE_ROWS + 1))
        return -1;
    more = rows.count > PAGE_ROWS;
    if (more)
        rows.count = PAGE_ROWS;
    call_data(call);
    out_map(&call->out, 4 + ARRAY_COUNT(parts));
    out_key(&call->out, "customer");
    out_row(&call->out, &customer, 0);
    for (unsigned i = 0; i < ARRAY_COUNT(parts); i++) {
        out_key(&call->out, parts[i].name);
        if (i == part)
            out_rows(&call->out, &rows);
        else
            out_list(&call->out, 0);
    }
    write_next(&call->out, more ? part : part + 1, more ? &rows : NULL);
    return call_reply(call, 200);
}

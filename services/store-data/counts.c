/* counts.c - the kept totals of a store against a recount (protocols 12). */
#include <string.h>

#include "statements.h"
#include "store_data_operations.h"

/* The whole of a kind, which is always among the rows when there is any. */
static int64_t
whole(const struct rows *rows, const char *kind)
{
    for (unsigned row = 0; row < rows->count; row++)
        if (strcmp(rows_text(rows, row, "kind"), kind) == 0 && *rows_text(rows, row, "status") == 0 &&
            rows_is_null(rows, row, "day"))
            return rows_int(rows, row, "counted");
    return 0;
}

static bool
differs(const struct rows *rows, unsigned row)
{
    return rows_int(rows, row, "kept") != rows_int(rows, row, "counted");
}

int
counts_verify(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0);
    unsigned differences = 0;
    struct rows rows;

    if (db_run(call, COUNTS_VERIFY, &rows, "l", store_id))
        return -1;
    for (unsigned row = 0; row < rows.count; row++)
        differences += differs(&rows, row);
    call_data(call);
    out_map(&call->out, 5);
    out_key(&call->out, "store_id");
    out_int(&call->out, store_id);
    out_key(&call->out, "ok");
    out_bool(&call->out, differences == 0);
    out_key(&call->out, "orders");
    out_int(&call->out, whole(&rows, "order"));
    out_key(&call->out, "products");
    out_int(&call->out, whole(&rows, "product"));
    out_key(&call->out, "differences");
    out_list(&call->out, differences);
    for (unsigned row = 0; row < rows.count; row++)
        if (differs(&rows, row))
            out_row(&call->out, &rows, row);
    return call_reply(call, 200);
}

/* counts.c - the kept totals of a store against a recount (protocols 12). */
#include "statements.h"
#include "store_data_operations.h"
#include "verify.h"

int
counts_verify(struct call *call)
{
    struct verify *verify = arena_alloc(call->arena, sizeof *verify);
    struct rows totals;

    if (verify_spans(verify, call, VERIFY_DAYS_NEXT, VERIFY_COUNTS) ||
        db_run(call, VERIFY_COUNTS_TOTALS, &totals, "l", verify->store_id) || db_commit(call))
        return -1;
    verify_add(verify, &totals, 1);
    verify_write(verify, 2);
    out_key(&call->out, "orders");
    out_int(&call->out, rows_int(&totals, 0, "kept"));
    out_key(&call->out, "products");
    out_int(&call->out, rows_int(&totals, 0, "counted"));
    return call_reply(call, 200);
}

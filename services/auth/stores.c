/* stores.c - a store as auth knows it: who owns it, and whether anybody may call for it. */
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "statements.h"

int
stores_create(struct call *call)
{
    struct rows rows;
    int64_t store_id;

    if (db_begin(call) || db_run(call, STORE_INSERT, &rows, "lst", in_int(call->in, "body.owner_account_id", 0),
                                 in_text(call->in, "body.name"), clock_now_us()))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "owner_account_id", "No such account");
    store_id = rows_int(&rows, 0, "store_id");
    if (audit_put(call, "store.created", "store", store_id, store_id, 0) || db_commit(call))
        return -1;
    return call_reply_row(call, 201, &rows, 0);
}

int
stores_set_status(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0);
    const char *status = in_text(call->in, "body.status");
    struct rows rows;

    if (db_begin(call) || db_run(call, STORE_SET_STATUS, &rows, "lst", store_id, status, clock_now_us()))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "store_id", "No such store");
    if (audit_put(call, arena_printf(call->arena, "store.set_%s", status), "store", store_id, store_id, 0) ||
        invalidation_commit(call, "store", store_id))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
stores_list(struct call *call)
{
    struct rows rows;

    if (db_run(call, STORES_OF_ACCOUNT, &rows, "l", in_int(call->in, "body.owner_account_id", 0)))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "stores");
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

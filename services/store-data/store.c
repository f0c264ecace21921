/* store.c - a store's profile: read by apps, made by the platform when auth has made the store. */
#include "clock.h"
#include "statements.h"
#include "store_data_operations.h"

static int
answer_store(struct call *call, int64_t store_id)
{
    struct rows rows;

    if (db_run(call, STORE_GET, &rows, "l", store_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "store_id", "No such store");
    if (call->operation->path == NULL)
        return call_reply_row(call, 200, &rows, 0);
    call_data_with(call, 1);
    out_row(&call->out, &rows, 0);
    out_key(&call->out, "message");
    out_text(&call->out, "Store fetched");
    return call_reply(call, 200);
}

int
store_get(struct call *call)
{
    return answer_store(call, call->caller.store_id);
}

static const char *
text_or(struct call *call, const char *path, const char *otherwise)
{
    const char *text = in_text(call->in, path);

    return text ? text : otherwise;
}

int
stores_create(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0);
    struct rows rows;

    if (db_run(call, STORE_INSERT, &rows, "lsssssssst", store_id, in_text(call->in, "body.name"),
               in_text(call->in, "body.email"), in_text(call->in, "body.phone"), text_or(call, "body.currency", "BDT"),
               in_text(call->in, "body.image"), in_text(call->in, "body.address"), in_text(call->in, "body.domain"),
               text_or(call, "body.language", "bn"), clock_now_us()))
        return -1;
    return answer_store(call, store_id);
}

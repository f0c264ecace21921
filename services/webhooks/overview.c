/* overview.c - what an app's overview shows of its webhooks; asked by developer-apps, which knows whose app it is. */
#include "clock.h"
#include "recount.h"
#include "statements.h"
#include "webhooks_operations.h"

int
apps_overview(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    struct rows counts, latest;

    if (db_run(call, APP_COUNTS, &counts, "lt", app_id, clock_now_us()) ||
        db_run(call, APP_LATEST_DELIVERY, &latest, "l", app_id))
        return -1;
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "counts");
    out_row(&call->out, &counts, 0);
    out_key(&call->out, "latest");
    if (latest.count)
        out_row(&call->out, &latest, 0);
    else
        out_null(&call->out);
    return call_reply(call, 200);
}

int
app_counts_verify(struct call *call)
{
    struct rows rows;

    if (db_run(call, APP_COUNTS_VERIFY, &rows, "l", in_int(call->in, "body.app_id", 0)))
        return -1;
    return recount_reply(call, &rows);
}

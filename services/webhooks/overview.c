/* overview.c - what an app's overview shows of its webhooks; asked by developer-apps, which knows whose app it is. */
#include "app_counts.h"
#include "clock.h"
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
    return app_counts_reply(call, &counts, &latest);
}

int
app_counts_verify(struct call *call)
{
    struct rows rows;

    if (db_run(call, APP_COUNTS_VERIFY, &rows, "l", in_int(call->in, "body.app_id", 0)))
        return -1;
    return app_counts_reply_recount(call, &rows);
}

/* app_suspension.c - an operator stops an app until they let it go on; its developer can neither lift that nor wait it
 * out (apps_set_status). What the developer wants meanwhile counts once the app is reinstated.
 *
 * A suspended app is an inactive one to everybody but webhooks, which goes on sending for an app that its developer has
 * switched off and holds back what a suspended one would get: it is told through the outbox.
 */
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "outbox.h"
#include "statements.h"

static int
hold(struct call *call, int64_t app_id, bool *suspended)
{
    struct rows rows;

    if (db_begin(call) || db_run(call, APP_SUSPENSION, &rows, "l", app_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "app_id", "No such app");
    *suspended = rows_int(&rows, 0, "is_suspended");
    return 0;
}

/* With the change itself: to the audit log, and to webhooks. */
static int
tell(struct call *call, const char *action, int64_t app_id, const struct rows *rows)
{
    if (audit_put_why(call, action, "app", app_id, rows_int(rows, 0, "_store_id"), app_id,
                      rows_text(rows, 0, "_reason")))
        return -1;
    return outbox_put(call, "webhooks.app", 0, "webhooks.app", app_id, str_of(rows_text(rows, 0, "_news")));
}

int
apps_suspend(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    struct rows rows;
    bool suspended = false;

    if (hold(call, app_id, &suspended))
        return -1;
    if (!suspended &&
        (db_run(call, APP_SUSPEND, &rows, "lst", app_id, in_text(call->in, "body.reason"), clock_now_us()) ||
         tell(call, "app.suspended", app_id, &rows)))
        return -1;
    if (db_run(call, APP_SUSPENSION, &rows, "l", app_id) || invalidation_commit(call, "app", app_id))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
apps_reinstate(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    struct rows rows;
    bool suspended = false;

    if (hold(call, app_id, &suspended))
        return -1;
    if (suspended && (db_run(call, APP_REINSTATE, &rows, "lt", app_id, clock_now_us()) ||
                      tell(call, "app.reinstated", app_id, &rows)))
        return -1;
    if (db_run(call, APP_SUSPENSION, &rows, "l", app_id) || invalidation_commit(call, "app", app_id))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

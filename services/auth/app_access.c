/* app_access.c - a look at an app and the caller's place in it, then the answer in a fixed order: is there such an app
 * for this person, may they do this. */
#include "app_access.h"

#include "statements.h"

static int
look(struct call *call, int64_t app_id, const char *role, struct rows *rows)
{
    if (db_run(call, APP_ACCESS, rows, "lls", app_id, call->caller.account_id, role))
        return -1;
    if (rows->count == 0)
        return call_fail(call, FAIL_APP_NOT_FOUND, NULL, NULL);
    if (!rows_int(rows, 0, "_allowed"))
        return call_failf(call, FAIL_FORBIDDEN, NULL,
                          "This takes the role %s in the app, and yours is %s; its owner and admins can change that",
                          role, rows_text(rows, 0, "role"));
    return 0;
}

/* Who may not is refused before the lock, and makes nobody wait. Behind it is looked again, in a statement of its own:
 * one that waits for the lock goes on to see the members as they were before. */
int
app_access(struct call *call, int64_t app_id, const char *role, struct rows *rows)
{
    if (look(call, app_id, role, rows))
        return -1;
    if (!db_in_transaction(call->db))
        return 0;
    return db_post(call, APP_HOLD, "l", app_id) || look(call, app_id, role, rows) ? -1 : 0;
}

int
app_access_of_merchant(struct call *call, int64_t app_id, const char *role)
{
    struct call_failure failure;
    struct rows rows;

    if (app_access(call, app_id, role, &rows) == 0)
        return 0;
    if (!call_take_failure(call, &failure))
        return -1;
    if (failure.code == FAIL_APP_NOT_FOUND)
        return call_fail(call, FAIL_NOT_FOUND, "app_id", "No such app");
    return call_fail(call, failure.code, failure.field, failure.why);
}

int
app_allow(struct call *call)
{
    int64_t account_id = in_int(call->in, "body.account_id", 0);
    const char *role = in_text(call->in, "body.role");
    struct rows rows;

    if (account_id == 0)
        return 0; /* an operator */
    call->caller.account_id = account_id;
    return app_access(call, in_int(call->in, "body.app_id", 0), role ? role : APP_ROLE_OWNER, &rows);
}

/* installations_merchant.c - a store's apps as its merchant sees them: what is installed and how much it is used;
 * direct install, uninstall (contract A.7). Who may do it is decided here, what it means in installations.c. */
#include <string.h>

#include "app_push.h"
#include "auth_operations.h"
#include "clock.h"
#include "config.h"
#include "installation.h"
#include "listing.h"
#include "statements.h"
#include "store_access.h"

/* ---- looking ----------------------------------------------------------------------------------------------------- */

int
installations_list(struct call *call)
{
    int64_t store_id = in_int(call->in, "query.store_id", 0);
    const char *status = in_text(call->in, "query.status");
    struct listing page = {
        .list = "installations", .of = store_id, .filter = status, .id_column = "installation_id", .descending = true};
    struct rows rows;

    if (store_allow(call, store_id, NULL, STORE_READ) || listing_begin(&page, call) ||
        db_run(call, INSTALLATIONS_OF_STORE, &rows, "lslll", store_id, strcmp(status, "all") == 0 ? NULL : status,
               listing_id(&page), listing_wanted(&page), listing_offset(&page)))
        return -1;
    return listing_reply(&page, call, &rows, rows_int(&rows, 0, "_total"));
}

/* The same answer for an installation that does not exist and for one of a store that is none of the caller's. custom:
 * the permission that a custom app takes, which cannot be installed again. */
static int
allow_installation(struct call *call, int64_t installation_id, const char *permission, const char *custom,
                   enum store_use use)
{
    struct rows rows;

    if (db_run(call, INSTALLATION_STORE_OF, &rows, "ll", installation_id, call->caller.account_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "installation_id", "You have no such installation");
    if (strcmp(rows_text(&rows, 0, "type"), "custom") == 0)
        permission = custom;
    return store_allow(call, rows_int(&rows, 0, "store_id"), permission, use);
}

static int
reply_installation(struct call *call, int64_t installation_id, int status)
{
    struct rows rows;

    if (db_run(call, INSTALLATION_VIEW, &rows, "l", installation_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "installation_id", "You have no such installation");
    return call_reply_row(call, status, &rows, 0);
}

int
installations_show(struct call *call)
{
    int64_t installation_id = in_int(call->in, "path.installation_id", 0);

    if (allow_installation(call, installation_id, NULL, NULL, STORE_READ))
        return -1;
    return reply_installation(call, installation_id, 200);
}

/* ---- installing and uninstalling --------------------------------------------------------------------------------- */

int
installations_direct_install(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0), app_id = in_int(call->in, "body.app_id", 0);
    const char *granted = "";
    struct rows app, rows;
    int64_t installation_id;

    if (db_begin(call) || store_allow(call, store_id, INSTALL_PERMISSION, STORE_CHANGE) ||
        db_run(call, APP_FOR_DIRECT_INSTALL, &app, "lllb", app_id, call->caller.account_id, store_id,
               (int)config.review_required))
        return -1;
    if (app.count == 0 || !rows_int(&app, 0, "active"))
        return call_fail(call, FAIL_NOT_FOUND, "app_id",
                         "No such app, or it can only be installed through its own page");
    if (installation_scopes(call, "body.scopes", rows_text(&app, 0, "requested_scopes"), &granted) ||
        installation_install(call, store_id, app_id, granted, INSTALLATION_DIRECT, NULL, &rows))
        return -1;
    installation_id = rows_int(&rows, 0, "installation_id");
    if (db_post(call, PUSH_TOKEN_PUT, "llt", installation_id, rows_int(&rows, 0, "generation"), clock_now_us()) ||
        installation_commit(call, &rows))
        return -1;
    actor_wake(app_push_plan.name);
    return reply_installation(call, installation_id, 201);
}

int
installations_uninstall(struct call *call)
{
    int64_t installation_id = in_int(call->in, "path.installation_id", 0);
    struct rows rows;

    if (allow_installation(call, installation_id, INSTALL_PERMISSION, MANAGE_PERMISSION, STORE_CHANGE) ||
        installation_end(call, installation_id, &rows))
        return -1;
    return reply_installation(call, installation_id, 200);
}

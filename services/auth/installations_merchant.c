/* installations_merchant.c - a store's apps as its merchant sees them: what is installed and how much it is used;
 * direct install, uninstall (contract A.7). Who may do it is decided here, what it means in installations.c. */
#include <string.h>

#include "app_push.h"
#include "auth_operations.h"
#include "bounds.h"
#include "clock.h"
#include "cursor.h"
#include "installation.h"
#include "statements.h"
#include "store_access.h"

/* ---- looking ----------------------------------------------------------------------------------------------------- */

static void
write_next_cursor(struct call *call, struct cursor *cursor, const struct rows *rows, unsigned count, bool more)
{
    out_key(&call->out, "next_cursor");
    if (!more) {
        out_null(&call->out);
        return;
    }
    cursor->key = STR("");
    cursor->id = rows_int(rows, count - 1, "installation_id");
    out_text(&call->out, cursor_encode(cursor, call->arena));
}

static int
reply_page(struct call *call, const struct rows *rows, struct cursor *cursor, int64_t page, int64_t limit)
{
    struct rows shown = *rows;
    bool more;

    if (rows->count == 1 && rows_is_null(rows, 0, "installation_id"))
        shown.count = 0; /* the total alone */
    more = shown.count > limit;
    if (more)
        shown.count = (unsigned)limit;
    call_data_with(call, 1);
    out_rows(&call->out, &shown);
    out_key(&call->out, "pagination");
    out_map(&call->out, 4);
    out_key(&call->out, "page");
    out_int(&call->out, page);
    out_key(&call->out, "limit");
    out_int(&call->out, limit);
    out_key(&call->out, "total");
    out_int(&call->out, rows_int(rows, 0, "_total"));
    write_next_cursor(call, cursor, rows, shown.count, more);
    return call_reply(call, 200);
}

/* The cursor's filters: the store and the status, so that it walks no other list. */
static uint64_t
filters_of(int64_t store_id, const char *status)
{
    uint64_t hash = cursor_hash(0, (const char *)&store_id, sizeof store_id);

    return cursor_hash(hash, status, strlen(status));
}

int
installations_list(struct call *call)
{
    int64_t store_id = in_int(call->in, "query.store_id", 0);
    int64_t page = in_int(call->in, "query.page", 1), limit = in_int(call->in, "query.limit", PAGE_LIMIT_DEFAULT);
    const char *status = in_text(call->in, "query.status"), *after = in_text(call->in, "query.cursor");
    struct cursor cursor = {.descending = true, .filters = filters_of(store_id, status)};
    struct rows rows;

    if (store_allow(call, store_id, NULL, STORE_READ))
        return -1;
    if (after && cursor_decode(&cursor, call->arena, after, strlen(after)) != 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, "cursor",
                         "is not a next_cursor of this list with these filters; begin again without it");
    if (db_run(call, INSTALLATIONS_OF_STORE, &rows, "lslll", store_id, strcmp(status, "all") == 0 ? NULL : status,
               after ? cursor.id : INT64_MAX, limit + 1, after ? (int64_t)0 : (page - 1) * limit))
        return -1;
    return reply_page(call, &rows, &cursor, page, limit);
}

/* The same answer for an installation that does not exist and for one of a store that is none of the caller's. */
static int
allow_installation(struct call *call, int64_t installation_id, const char *permission, enum store_use use)
{
    struct rows rows;

    if (db_run(call, INSTALLATION_STORE_OF, &rows, "ll", installation_id, call->caller.account_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "installation_id", "You have no such installation");
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

    if (allow_installation(call, installation_id, NULL, STORE_READ))
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

    if (store_allow(call, store_id, INSTALL_PERMISSION, STORE_CHANGE))
        return -1;
    if (db_begin(call) || db_run(call, APP_FOR_DIRECT_INSTALL, &app, "lll", app_id, call->caller.account_id, store_id))
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

    if (allow_installation(call, installation_id, INSTALL_PERMISSION, STORE_CHANGE) ||
        installation_end(call, installation_id, &rows))
        return -1;
    return reply_installation(call, installation_id, 200);
}

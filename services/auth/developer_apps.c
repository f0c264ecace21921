/* developer_apps.c - apps as their developers see and change them; asked by developer-apps, which has the rest of them
 * (contract A.5). Another developer's app does not exist for them.
 */
#include "app_access.h"
#include "app_counts.h"
#include "app_ending.h"
#include "apps.h"
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "json_text.h"
#include "scopes.h"
#include "statements.h"

static int
not_found(struct call *call)
{
    return call_fail(call, FAIL_APP_NOT_FOUND, NULL, NULL);
}

int
apps_get(struct call *call)
{
    struct rows rows;

    if (app_allow(call) || db_run(call, OWNED_APP_GET, &rows, "l", in_int(call->in, "body.app_id", 0)))
        return -1;
    return rows.count ? call_reply_row(call, 200, &rows, 0) : not_found(call);
}

/* {name: rows, total}; the rows are a single one of nulls when there are none. */
static int
reply_page(struct call *call, const char *name, const struct rows *rows, const char *id_column)
{
    struct rows shown = *rows;

    if (rows_is_null(rows, 0, id_column))
        shown.count = 0;
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, name);
    out_rows(&call->out, &shown);
    out_key_int(&call->out, "total", rows_int(rows, 0, "_total"));
    return call_reply(call, 200);
}

int
apps_installations(struct call *call)
{
    const char *status = in_text(call->in, "body.status");
    unsigned statement = status == NULL                     ? INSTALLATIONS_OF_APP
                         : str_is(str_of(status), "active") ? INSTALLATIONS_OF_APP_ACTIVE
                                                            : INSTALLATIONS_OF_APP_ENDED;
    struct rows rows;

    if (app_allow(call) || db_run(call, statement, &rows, "lll", in_int(call->in, "body.app_id", 0),
                                  in_int(call->in, "body.limit", 0), in_int(call->in, "body.offset", 0)))
        return -1;
    return reply_page(call, "installations", &rows, "installation_id");
}

int
apps_overview(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    struct rows counts, latest;

    if (app_allow(call) || db_run(call, APP_COUNTS, &counts, "l", app_id) ||
        db_run(call, APP_LATEST_INSTALLATION, &latest, "l", app_id))
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

int
apps_page(struct call *call)
{
    int64_t active = in_bool(call->in, "body.is_active", false), listed = in_bool(call->in, "body.is_listed", false);
    struct rows rows;

    if (db_run(call, OWNED_APPS_PAGE, &rows, "lLLll", in_int(call->in, "body.account_id", 0),
               in_has(call->in, "body.is_active") ? &active : NULL, in_has(call->in, "body.is_listed") ? &listed : NULL,
               in_int(call->in, "body.limit", 0), in_int(call->in, "body.offset", 0)))
        return -1;
    return reply_page(call, "apps", &rows, "app_id");
}

int
apps_creation(struct call *call)
{
    struct rows rows;

    if (db_run(call, APP_OF_CREATION, &rows, "s", in_text(call->in, "body.creation_id")))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

/* The row was held, so that only what is said of updated_at can be wrong; of a second attempt perhaps because of the
 * first. */
static int
refuse_update(struct call *call, const struct rows *rows)
{
    if (db_violated(rows))
        return call_fail(call, FAIL_CONFLICT, "slug", "Another app has this slug; choose another one");
    if (!in_has(call->in, "body.unchanged_since"))
        return not_found(call);
    return call_fail(call, call->second_attempt ? FAIL_OUTCOME_UNKNOWN : FAIL_PRECONDITION_FAILED, NULL, NULL);
}

int
apps_update(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0), since_us = in_time(call->in, "body.unchanged_since", 0);
    struct in changes = in_at(call->in, "body.changes");
    const char *scopes_after = NULL;
    struct rows rows;
    uint32_t scopes;

    if (db_begin(call) || app_allow(call))
        return -1;
    if (in_has(changes, "requested_scopes")) {
        if (scopes_of_request(call, "body.changes.requested_scopes", "requested_scopes", &scopes))
            return -1;
        scopes_after = scopes_text(call->arena, scopes);
    }
    if (app_check_urls(call, changes) ||
        db_try(call, OWNED_APP_UPDATE, &rows, "ljstT", app_id, json_text_of(changes, call->arena), scopes_after,
               clock_now_us(), in_has(call->in, "body.unchanged_since") ? &since_us : NULL))
        return -1;
    if (db_violated(&rows) || rows.count == 0)
        return refuse_update(call, &rows);
    if (in_bool(call->in, "body.dry_run", false))
        db_rollback(call->db);
    else if (audit_put(call, "app.updated", "app", app_id, 0, app_id) || db_commit(call))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

/* An install that is under way holds the app's row: it comes before, and its installation is ended with the others, or
 * finds the app gone. */
int
apps_delete(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    struct rows rows;

    if (db_begin(call) || app_allow(call) || db_run(call, OWNED_APP_DELETE, &rows, "lt", app_id, clock_now_us()))
        return -1;
    if (rows.count == 0)
        return not_found(call);
    if (db_post(call, APP_MEMBERS_FORGET, "l", app_id) || db_post(call, APP_ENDING_PUT, "l", app_id) ||
        audit_put(call, "app.deleted", "app", app_id, 0, app_id) || invalidation_commit(call, "app", app_id))
        return -1;
    actor_wake(app_ending_plan.name);
    return call_reply_row(call, 200, &rows, 0);
}

/* installations.c - an app on a store: made, made again, ended. One row per pair for ever; its generation rises with
 * each install, so that nothing issued for an earlier one is ever accepted again (protocols 8). The merchant's routes
 * are in installations_merchant.c; both use what is here. */
#include "installation.h"

#include <string.h>

#include "app_access.h"
#include "apps.h"
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "outbox.h"
#include "scopes.h"
#include "statements.h"
#include "tokens.h"
#include "uninstall.h"

int
installation_scopes(struct call *call, const char *path, const char *registered, const char **granted)
{
    uint32_t all = 0, asked;

    if (scopes_add(&all, str_of(registered)))
        return call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
    asked = all;
    if (in_has(call->in, path) && scopes_of_request(call, path, "scopes", &asked))
        return -1;
    if (asked & ~all)
        return call_failf(call, FAIL_VALIDATION_ERROR, "scopes", "the app has not registered %s",
                          scopes_text(call->arena, asked & ~all));
    *granted = scopes_text(call->arena, asked);
    return 0;
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

int
installation_announce(struct call *call, int64_t installation_id)
{
    db_after_commit(call, outbox_wake);
    return db_post(call, INSTALLATION_ANNOUNCE, "lt", installation_id, clock_now_us());
}

int
installation_install(struct call *call, int64_t store_id, int64_t app_id, const char *scopes, enum installation_way way,
                     const int64_t *consented_us, struct rows *rows)
{
    static const char *const ways[] = {"oauth", "direct", "custom", "operator"};
    int64_t now_us = clock_now_us(), installation_id;

    if (db_run(call, INSTALLATION_INSTALL, rows, "llstsT", store_id, app_id, scopes, now_us, ways[way], consented_us))
        return -1;
    if (rows->count == 0 && consented_us)
        return call_fail(call, FAIL_INVALID_GRANT, NULL,
                         "Since this was agreed to, the app was uninstalled or installed anew; ask the merchant again");
    if (rows->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "store_id", "No such store");
    installation_id = rows_int(rows, 0, "installation_id");
    if (audit_put(call, "app.installed", "installation", installation_id, store_id, app_id) ||
        installation_announce(call, installation_id))
        return -1;
    return outbox_put(call, "app.installed", store_id, "installation", installation_id,
                      str_of(rows_text(rows, 0, "_event")));
}

int
installation_commit(struct call *call, const struct rows *rows)
{
    if (rows_int(rows, 0, "generation") > 1)
        return invalidation_commit(call, "installation", rows_int(rows, 0, "installation_id"));
    return db_commit(call);
}

int
installations_create(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    int64_t store_id = in_int(call->in, "body.store_id", 0);
    const char *granted = "";
    struct token_pair pair;
    struct rows rows, app;

    if (db_begin(call) || db_run(call, APP_FOR_INSTALL, &app, "l", app_id))
        return -1;
    if (app.count == 0 || !rows_int(&app, 0, "active"))
        return call_fail(call, FAIL_NOT_FOUND, "app_id", "No such app, or it is switched off");
    if (installation_scopes(call, "body.scopes", rows_text(&app, 0, "requested_scopes"), &granted) ||
        installation_install(call, store_id, app_id, granted, INSTALLATION_OPERATOR, NULL, &rows) ||
        token_pair_insert(call, rows_int(&rows, 0, "installation_id"), rows_int(&rows, 0, "generation"), &pair) ||
        installation_commit(call, &rows))
        return -1;
    return token_pair_reply(call, &rows, &pair);
}

int
installations_get(struct call *call)
{
    struct rows rows;

    if (db_run(call, INSTALLATION_GET, &rows, "l", in_int(call->in, "body.installation_id", 0)))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "installation_id", "No such installation");
    return call_reply_row(call, 200, &rows, 0);
}

/* What the gateways hear of by an invalidation, work without requests has to ask for. One word for whatever keeps it
 * from going on, in the order in which a request would be refused. */
int
installations_standing(struct call *call)
{
    const char *standing = "good";
    struct rows rows;

    if (db_run(call, INSTALLATION_STANDING, &rows, "lt", in_int(call->in, "body.installation_id", 0),
               in_time(call->in, "body.since", 0)))
        return -1;
    if (rows.count == 0 || !rows_int(&rows, 0, "installed"))
        standing = "not_installed";
    else if (!rows_int(&rows, 0, "store_active"))
        standing = "store_inactive";
    else if (!identity_has_scope(&(struct identity){.scopes = rows_text(&rows, 0, "granted_scopes")},
                                 in_text(call->in, "body.scope")))
        standing = "insufficient_scope";
    out_map(&call->out, 1);
    out_key(&call->out, "standing");
    out_text(&call->out, standing);
    return call_reply(call, 200);
}

/* ---- out --------------------------------------------------------------------------------------------------------- */

static int
end_active(struct call *call, int64_t installation_id, const struct rows *locked)
{
    int64_t generation = rows_int(locked, 0, "generation"), store_id = rows_int(locked, 0, "store_id");
    int64_t now_us = clock_now_us();
    struct rows ended;

    if (db_run(call, INSTALLATION_END, &ended, "lt", installation_id, now_us) ||
        db_post(call, UNINSTALL_PUT, "lltj", installation_id, generation, now_us,
                str_of(rows_text(&ended, 0, "_event"))))
        return -1;
    return audit_put(call, "app.uninstalled", "installation", installation_id, store_id, rows_int(locked, 0, "app_id"));
}

int
installation_end(struct call *call, int64_t installation_id, struct rows *rows)
{
    if (db_begin(call) || db_run(call, INSTALLATION_LOCK, rows, "l", installation_id))
        return -1;
    if (rows->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "installation_id", "No such installation");
    if (strcmp(rows_text(rows, 0, "_status"), "active") == 0 && end_active(call, installation_id, rows))
        return -1;
    /* Also when it had ended before: that call may have committed without having answered. */
    if (invalidation_commit(call, "installation", installation_id))
        return -1;
    actor_wake(uninstall_plan.name);
    return 0;
}

int
installations_end(struct call *call)
{
    struct rows rows;

    if (installation_end(call, in_int(call->in, "body.installation_id", 0), &rows))
        return -1;
    call_data(call);
    out_map(&call->out, 4);
    out_key(&call->out, "installation_id");
    out_int(&call->out, rows_int(&rows, 0, "installation_id"));
    out_key(&call->out, "store_id");
    out_int(&call->out, rows_int(&rows, 0, "store_id"));
    out_key(&call->out, "app_id");
    out_int(&call->out, rows_int(&rows, 0, "app_id"));
    out_key(&call->out, "status");
    out_text(&call->out, "uninstalled");
    return call_reply(call, 200);
}

/* Whose apps other merchants find. Takes nothing from those who have installed it. */
int
apps_set_listed(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    bool is_listed = in_bool(call->in, "body.is_listed", false);
    struct rows rows;

    if (db_begin(call) || app_allow(call) ||
        db_run(call, APP_SET_LISTED, &rows, "lbt", app_id, is_listed, clock_now_us()))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "app_id", "No such platform app");
    if (audit_put(call, is_listed ? "app.listed" : "app.unlisted", "app", app_id, 0, app_id) || db_commit(call))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

/* installations.c - an app on a store: made, made again, ended. One row per pair for ever; its generation rises with
 * each install, so that nothing issued for an earlier one is ever accepted again (protocols 8). */
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "scopes.h"
#include "statements.h"
#include "tokens.h"

/* The scopes asked for, within what the app has registered; all of those when none are named. Locks the app's row. */
static int
granted_scopes(struct call *call, int64_t app_id, const char **granted)
{
    uint32_t registered = 0, asked;
    struct rows app;

    if (db_run(call, APP_FOR_INSTALL, &app, "l", app_id))
        return -1;
    if (app.count == 0 || !rows_int(&app, 0, "active"))
        return call_fail(call, FAIL_NOT_FOUND, "app_id", "No such app, or it is switched off");
    if (scopes_add(&registered, str_of(rows_text(&app, 0, "requested_scopes"))))
        return call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
    asked = registered;
    if (in_has(call->in, "body.scopes") && scopes_of_request(call, "body.scopes", "scopes", &asked))
        return -1;
    if (asked & ~registered)
        return call_failf(call, FAIL_VALIDATION_ERROR, "scopes", "the app has not registered %s",
                          scopes_text(call->arena, asked & ~registered));
    *granted = scopes_text(call->arena, asked);
    return 0;
}

int
installations_create(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    int64_t store_id = in_int(call->in, "body.store_id", 0);
    int64_t now_us = clock_now_us(), installation_id;
    const char *granted = "";
    struct token_pair pair;
    struct rows rows;

    if (db_begin(call) || granted_scopes(call, app_id, &granted) ||
        db_run(call, INSTALLATION_PUT, &rows, "llst", store_id, app_id, granted, now_us))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "store_id", "No such store");
    installation_id = rows_int(&rows, 0, "installation_id");
    if (db_post(call, INSTALLATION_TOKENS_SET_REVOKED, "lt", installation_id, now_us) ||
        token_pair_insert(call, installation_id, rows_int(&rows, 0, "generation"), &pair) ||
        audit_put(call, "app.installed", "installation", installation_id, store_id, app_id))
        return -1;
    /* Only an install over an earlier one takes something back. */
    if (rows_int(&rows, 0, "generation") > 1 ? invalidation_commit(call, "installation", installation_id)
                                             : db_commit(call))
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

int
installations_end(struct call *call)
{
    int64_t installation_id = in_int(call->in, "body.installation_id", 0);
    int64_t now_us = clock_now_us();
    struct rows rows;

    if (db_begin(call) || db_run(call, INSTALLATION_END, &rows, "lt", installation_id, now_us))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "installation_id", "No such installation");
    if (db_post(call, INSTALLATION_TOKENS_SET_REVOKED, "lt", installation_id, now_us) ||
        audit_put(call, "app.uninstalled", "installation", installation_id, rows_int(&rows, 0, "store_id"),
                  rows_int(&rows, 0, "app_id")) ||
        invalidation_commit(call, "installation", installation_id))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

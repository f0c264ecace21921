/* app_tell.c - what developer-apps keeps of apps for the marketplace, and auth of its reviews (contract A.7).
 *
 * Each change of an app counts its version up and notes it as untold, in the change's own transaction (a trigger, so
 * that no writer can forget it). What is told is the app as it is, not what has happened to it: the receiver keeps
 * whatever has the higher version, so it may be told twice, late and in any order. developer-apps asks for an app that
 * it has just changed and need not wait for this.
 */
#include "app_tell.h"

#include "auth_operations.h"
#include "json_text.h"
#include "statements.h"

#define BATCH_APPS 200

static int
take_turn(struct call *call)
{
    struct call_question question;
    struct rows rows, gone;
    struct out *body;
    struct in reply;

    if (db_run(call, APPS_UNTOLD, &rows, "l", (int64_t)BATCH_APPS))
        return -1;
    if (rows_int(&rows, 0, "many") == 0)
        return ACTOR_DONE;
    body = call_question(&question, 1);
    out_key_text(body, "apps", rows_text(&rows, 0, "apps"));
    if (call_ask(call, "developer-apps.apps.learn", &question, &reply))
        return -1;
    return db_run(call, APPS_TOLD, &gone, "j", str_of(rows_text(&rows, 0, "apps"))) ? -1 : ACTOR_AGAIN;
}

const struct actor_plan app_tell_plan = {.name = "app-tell", .turn = take_turn, .look_ms = 200, .turn_ms = 4000};

int
apps_shown(struct call *call)
{
    struct rows rows;

    if (db_run(call, APPS_SHOWN, &rows, "s", array_text_of(in_at(call->in, "body.app_ids"), call->arena)))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "apps");
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

/* Who has decided developer-apps tells the audit log itself. */
int
apps_reviewed(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    struct rows rows;

    if (db_run(call, APP_SET_APPROVED, &rows, "lbl", app_id, in_bool(call->in, "body.is_approved", false),
               in_int(call->in, "body.decision_number", 0)))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key_int(&call->out, "app_id", app_id);
    return call_reply(call, 200);
}

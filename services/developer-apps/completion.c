/* completion.c - finishes what a request left: it was killed, or another service could not be reached.
 *
 * Making an app: its row here, then the app in auth under the row's creation_id, then what billing is to know. With the
 * second step the app is there, with all that was said of it, because the row is found by its creation_id; a kill
 * before it leaves a row that nobody sees, which is deleted here, and a kill behind it leaves only what billing is to
 * hear, which is told here. Each step may happen twice.
 */
#include "completion.h"

#include "app.h"
#include "statements.h"

/* No request is as old: auth will not make the app of a row any more. */
#define FORGET_US (3600 * US_PER_SECOND)

/* Which app came of the row; 0: none, or none yet. */
static int
find_app(struct call *call, const char *creation_id, int64_t *app_id)
{
    struct call_question question;
    struct out *body = call_question(&question, 1);
    struct rows rows;
    struct in reply;

    out_key_text(body, "creation_id", creation_id);
    if (call_ask(call, "auth.apps.creation", &question, &reply))
        return -1;
    *app_id = in_int(reply, "app_id", 0);
    return *app_id ? db_run(call, LISTING_MADE, &rows, "sl", creation_id, *app_id) : 0;
}

/* A row is put off before it is worked on, out of the way of the others. */
static int
take_turn(struct call *call)
{
    int64_t now_us = clock_now_us(), app_id;
    struct rows rows, done;
    const char *creation_id;

    if (db_run(call, LISTING_TAKE, &rows, "tt", now_us, now_us + COMPLETION_WAIT_US))
        return -1;
    if (rows.count == 0)
        return ACTOR_DONE;
    creation_id = rows_text(&rows, 0, "creation_id");
    app_id = rows_int(&rows, 0, "app_id");
    if (app_id == 0 && find_app(call, creation_id, &app_id))
        return -1;
    if (app_id == 0) {
        if (rows_time(&rows, 0, "created_at") < now_us - FORGET_US &&
            db_run(call, LISTING_FORGET, &done, "s", creation_id))
            return -1;
        return ACTOR_AGAIN;
    }
    if (rows_int(&rows, 0, "payer_version"))
        app_tell_billing(call, app_id, rows_text(&rows, 0, "fee_payer"), rows_int(&rows, 0, "payer_version"));
    return ACTOR_AGAIN;
}

const struct actor_plan completion_plan = {.name = "completion", .turn = take_turn, .look_ms = 1000, .turn_ms = 8000};

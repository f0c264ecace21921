/* app_ending.c - ends the installations of deleted apps, each as in an uninstall (contract A.5 row 83).
 *
 * The delete itself has made every credential void, in one commit with a row here. What is left is said to merchants,
 * webhooks and billing, installation after installation: however many there are, and whenever a process is killed, the
 * row stays until none is left. One that cannot be ended now, because somebody holds its row, is passed over: it comes
 * again in the next round, later each time, and neither the others of its app nor other apps wait for it.
 */
#include "app_ending.h"

#include "clock.h"
#include "installation.h"
#include "log.h"
#include "statements.h"

#define DELAY_MAX_S 60

static int
pass_over(struct call *call, int64_t app_id, int64_t installation_id)
{
    struct call_failure failure;
    struct rows rows;

    if (!call_take_failure(call, &failure))
        return -1;
    if (db_in_transaction(call->db))
        db_rollback(call->db);
    log_event(LOG_WARN, "app_ending_delayed", "s:request_id", call->request_id, "l:app_id", app_id, "l:installation_id",
              installation_id, "s:code", fail_texts[failure.code].code, "s:why", failure.why, NULL);
    return db_run(call, APP_ENDING_PASS, &rows, "ll", app_id, installation_id);
}

/* Nothing is behind after_id. The app is done when that was all there is; else those that were passed over are left, or
 * have ended meanwhile, which the next round finds. */
static int
end_round(struct call *call, const struct rows *app)
{
    int64_t app_id = rows_int(app, 0, "app_id"), tries = rows_int(app, 0, "tries");
    int64_t delay_s = tries < 6 ? INT64_C(1) << tries : DELAY_MAX_S;
    struct rows rows;

    if (rows_int(app, 0, "after_id") == 0)
        return db_run(call, APP_ENDING_DONE, &rows, "l", app_id);
    return db_run(call, APP_ENDING_AGAIN, &rows, "lt", app_id, clock_now_us() + delay_s * US_PER_SECOND);
}

static int
take_turn(struct call *call)
{
    struct rows app, installations, rows;
    int64_t app_id;

    if (db_run(call, APP_ENDING_NEXT, &app, "t", clock_now_us()))
        return -1;
    if (app.count == 0)
        return ACTOR_DONE;
    app_id = rows_int(&app, 0, "app_id");
    if (db_run(call, APP_ENDING_INSTALLATIONS, &installations, "ll", app_id, rows_int(&app, 0, "after_id")))
        return -1;
    for (unsigned i = 0; i < installations.count && !actor_is_stopping(call); i++) {
        int64_t installation_id = rows_int(&installations, i, "installation_id");

        /* The turn's time may be spent on it: the rest is the next one's. */
        if (installation_end(call, installation_id, &rows))
            return pass_over(call, app_id, installation_id) ? -1 : ACTOR_AGAIN;
    }
    if (installations.count == 0 && end_round(call, &app))
        return -1;
    return actor_is_stopping(call) ? ACTOR_DONE : ACTOR_AGAIN;
}

const struct actor_plan app_ending_plan = {.name = "app-ending", .turn = take_turn, .look_ms = 500, .turn_ms = 10000};

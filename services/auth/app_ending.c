/* app_ending.c - ends the installations of deleted apps, each as in an uninstall (contract A.5 row 83).
 *
 * The delete itself has made every credential void, in one commit with a row here. What is left is said to merchants,
 * webhooks and billing, installation after installation: however many there are, and whenever a process is killed, the
 * row stays until none is left.
 */
#include "app_ending.h"

#include "installation.h"
#include "statements.h"

static int
take_turn(struct call *call)
{
    struct rows app, installations, rows;
    int64_t app_id;

    if (db_run(call, APP_ENDING_NEXT, &app, ""))
        return -1;
    if (app.count == 0)
        return ACTOR_DONE;
    app_id = rows_int(&app, 0, "app_id");
    if (db_run(call, APP_ENDING_INSTALLATIONS, &installations, "l", app_id))
        return -1;
    for (unsigned i = 0; i < installations.count && !actor_is_stopping(call); i++)
        if (installation_end(call, rows_int(&installations, i, "installation_id"), &rows))
            return -1;
    if (installations.count == 0 && db_run(call, APP_ENDING_DONE, &rows, "l", app_id))
        return -1;
    return actor_is_stopping(call) ? ACTOR_DONE : ACTOR_AGAIN;
}

const struct actor_plan app_ending_plan = {.name = "app-ending", .turn = take_turn, .look_ms = 500, .turn_ms = 10000};

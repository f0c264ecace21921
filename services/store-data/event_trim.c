/* event_trim.c - an actor takes out events of apps that are older than EVENT_KEEP_DAYS, and counts that are older than
 * EVENT_DAY_KEEP_DAYS. Batches of a thousand, each in a statement of its own: however many there are, nothing is locked
 * for long, and what was taken out is gone for good before the next batch.
 *
 * Whole UTC days go, so that a recount of the days that are left (analytics_verify.c) is exact at any moment.
 */
#include "analytics.h"
#include "clock.h"
#include "statements.h"

static int
take_turn(struct call *call)
{
    int64_t today_us = clock_day_begin(clock_now_us());
    struct rows events, days;

    if (db_run(call, EVENTS_TRIM, &events, "t", today_us - (EVENT_KEEP_DAYS - 1) * DAY_US) ||
        db_run(call, EVENT_DAYS_TRIM, &days, "t", today_us - (EVENT_DAY_KEEP_DAYS - 1) * DAY_US))
        return -1;
    return rows_int(&events, 0, "count") + rows_int(&days, 0, "count") > 0 ? ACTOR_AGAIN : ACTOR_DONE;
}

const struct actor_plan event_trim_plan = {.name = "event-trim", .turn = take_turn, .look_ms = 5000, .turn_ms = 4000};

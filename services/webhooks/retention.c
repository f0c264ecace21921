/* retention.c - a day's partitions are made before the day comes, so that no event waits for it, and dropped whole. */
#include "retention.h"

#include "clock.h"
#include "log.h"
#include "statements.h"

#define KEEP_DAYS 31 /* whole days: each event is there for 30 */
#define LOOK_MS   60000

static int
take_turn(struct call *call)
{
    int64_t now_us = clock_now_us();
    struct rows rows;

    if (db_run(call, PARTITIONS_MAKE, &rows, "t", now_us) ||
        db_run(call, PARTITIONS_MAKE, &rows, "t", now_us + DAY_US) ||
        db_run(call, PARTITIONS_DROP, &rows, "t", now_us - KEEP_DAYS * DAY_US))
        return -1;
    if (rows_int(&rows, 0, "dropped") == 0)
        return ACTOR_DONE;
    log_event(LOG_INFO, "partitions_dropped", "l:tables", rows_int(&rows, 0, "dropped"), NULL);
    return ACTOR_AGAIN;
}

const struct actor_plan retention_plan = {.name = "retention", .turn = take_turn, .look_ms = LOOK_MS, .turn_ms = 10000};

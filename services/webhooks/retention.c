/* retention.c - a day's partitions are made before the day comes, so that no event waits for it, and dropped whole: by
 * the day alone, whatever still waits. What is to be sent of such a day has failed for good, and goes first.
 *
 * A clock that is far ahead must not cost the log: nothing is dropped while nothing newer has come in.
 */
#include "retention.h"

#include "clock.h"
#include "log.h"
#include "statements.h"

#define KEEP_DAYS  31 /* whole days: each event is there for 30 */
#define LOOK_MS    60000
#define PAGE       20000 /* deliveries: far below STATEMENT_WAIT_MS */
#define PAGES_EACH 20    /* turn */

/* How far this day's deliveries were looked for, and whether it was said that it stays. The actor's thread alone
 * touches it. */
static struct {
    int64_t day_us, delivery_id;
    bool refused;
} kept = {.day_us = INT64_MIN};

/* 1 when no more wait, 0 when the next turn is to go on. */
static int
expire_waiting(struct call *call)
{
    struct rows rows;

    for (unsigned i = 0; i < PAGES_EACH; i++) {
        if (db_run(call, WAITING_EXPIRE, &rows, "tll", kept.day_us + DAY_US, kept.delivery_id, (int64_t)PAGE))
            return -1;
        if (rows_int(&rows, 0, "gone") > 0)
            log_event(LOG_WARN, "deliveries_expired", "l:deliveries", rows_int(&rows, 0, "gone"), NULL);
        if (rows_int(&rows, 0, "seen") < PAGE)
            return 1;
        kept.delivery_id = rows_int(&rows, 0, "last");
    }
    return 0;
}

/* Those of the days up to that one; what is left goes in a later turn. */
static int
drop_counts(struct call *call)
{
    struct rows rows;

    for (unsigned i = 0; i < PAGES_EACH; i++) {
        if (db_run(call, DELIVERY_COUNTS_DROP, &rows, "tl", kept.day_us + DAY_US, (int64_t)PAGE))
            return -1;
        if (rows_int(&rows, 0, "gone") < PAGE)
            break;
    }
    return 0;
}

/* A table a turn. */
static int
drop(struct call *call)
{
    int rc = expire_waiting(call);
    struct rows rows;

    if (rc <= 0)
        return rc;
    if (db_run(call, PARTITION_DROP, &rows, "t", kept.day_us))
        return -1;
    if (!rows_is_null(&rows, 0, "part"))
        log_event(LOG_WARN, "partition_dropped", "s:table", rows_text(&rows, 0, "part"), NULL);
    return drop_counts(call);
}

static int
take_turn(struct call *call)
{
    int64_t now_us = clock_now_us();
    struct rows rows;

    if (db_run(call, PARTITIONS_MAKE, &rows, "t", now_us) ||
        db_run(call, PARTITIONS_MAKE, &rows, "t", now_us + DAY_US) ||
        db_run(call, PARTITION_OLDEST, &rows, "t", now_us - KEEP_DAYS * DAY_US))
        return -1;
    if (rows_is_null(&rows, 0, "day"))
        return ACTOR_DONE;
    if (kept.day_us != rows_time(&rows, 0, "day")) {
        kept.day_us = rows_time(&rows, 0, "day");
        kept.delivery_id = 0;
        kept.refused = false;
    }
    if (!rows_int(&rows, 0, "goes_on")) {
        if (!kept.refused)
            log_event(LOG_WARN, "retention_refused", "s:why",
                      "no event is younger than what is to be dropped: is the clock far ahead?", NULL);
        kept.refused = true;
        return ACTOR_DONE;
    }
    return drop(call) ? -1 : ACTOR_AGAIN;
}

const struct actor_plan retention_plan = {.name = "retention", .turn = take_turn, .look_ms = LOOK_MS, .turn_ms = 10000};

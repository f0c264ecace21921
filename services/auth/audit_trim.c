/* audit_trim.c - an actor that asks for the deletion of old entries, one batch a turn. The deletion itself is the
 * database owner's (schema/064_audit_retention.sql): this service may add to the log and read it, and change nothing.
 */
#include "audit_trim.h"

#include "clock.h"
#include "config.h"
#include "statements.h"

#define BATCH    500
#define US_A_DAY (86400 * US_PER_SECOND)

static int
take_turn(struct call *call)
{
    struct rows rows;

    if (db_run(call, AUDIT_TRIM, &rows, "tl", clock_now_us() - config.audit_days * US_A_DAY, (int64_t)BATCH))
        return -1;
    return rows_int(&rows, 0, "count") > 0 ? ACTOR_AGAIN : ACTOR_DONE;
}

const struct actor_plan audit_trim_plan = {.name = "audit-trim", .turn = take_turn, .look_ms = 5000, .turn_ms = 4000};

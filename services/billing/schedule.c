/* schedule.c - one leased actor, a transaction for each thing that is due. What is due stands in its own row, which is
 * locked, looked at again and changed together with its effects: so nothing happens twice, and a process that is killed
 * has done all of it or nothing.
 */
#include "schedule.h"

#include <string.h>

#include "charge.h"
#include "clock.h"
#include "log.h"
#include "statements.h"
#include "subscription.h"
#include "usage.h"

#define LOOK_MS 500
#define TURN_MS 5000
#define EACH    50 /* of a kind, in a turn */

static int
charge_expire(struct call *call, int64_t charge_id, int64_t now_us)
{
    struct charge charge;

    if (charge_lock(call, charge_id, &charge))
        return -1;
    if (strcmp(charge.status, "pending") != 0 || charge.expires_us > now_us)
        return 0;
    return charge_end(call, &charge, "expired", NULL) ? -1 : 1;
}

int
schedule_do(struct call *call, const struct rows *due, unsigned row, int64_t now_us)
{
    static int (*const kinds[])(struct call *, int64_t, int64_t) = {charge_expire, subscription_renew, usage_settle};
    int done;

    if (db_begin(call))
        return -1;
    done = kinds[rows_int(due, row, "kind")](call, rows_int(due, row, "id"), now_us);
    return done < 0 || db_commit(call) ? -1 : done;
}

/* What cannot be done stands in nobody's way: it is told, and looked at again in the next turn. */
static void
note_failure(struct call *call, const struct rows *due, unsigned row)
{
    struct call_failure failure = {0};

    if (db_in_transaction(call->db))
        db_rollback(call->db);
    if (!call_take_failure(call, &failure))
        failure.why = NULL;
    log_event(LOG_WARN, "schedule_failed", "l:kind", rows_int(due, row, "kind"), "l:id", rows_int(due, row, "id"),
              "s:why", failure.why ? failure.why : "", NULL);
}

static int
take_turn(struct call *call)
{
    int64_t now_us = clock_now_us();
    bool found = false;
    struct rows due;

    if (db_run(call, SCHEDULE_DUE, &due, "tl", now_us, (int64_t)EACH))
        return -1;
    for (unsigned row = 0; row < due.count && !actor_is_stopping(call) && clock_monotonic_ms() < call->deadline_ms;
         row++) {
        int done = schedule_do(call, &due, row, now_us);

        if (done < 0)
            note_failure(call, &due, row);
        found = found || done > 0;
    }
    return found ? ACTOR_AGAIN : ACTOR_DONE;
}

const struct actor_plan schedule_plan = {.name = "schedule", .turn = take_turn, .look_ms = LOOK_MS, .turn_ms = TURN_MS};

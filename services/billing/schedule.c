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
#define KINDS   3

/* The one of a kind that was looked at last; all zero: none. */
struct place {
    int64_t at_us, id;
};

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
    static int (*const kinds[KINDS])(struct call *, int64_t, int64_t) = {charge_expire, subscription_renew,
                                                                         usage_settle};
    int done;

    if (db_begin(call))
        return -1;
    done = kinds[rows_int(due, row, "kind")](call, rows_int(due, row, "id"), now_us);
    return done < 0 || db_commit(call) ? -1 : done;
}

/* What cannot be done is told, and looked at again after the others. */
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

/* A turn goes on behind the one before, and at the end of a kind begins it anew: those that fail each time, however
 * many they are, stand in nobody's way. Only the actor's thread is here. */
static int
take_turn(struct call *call)
{
    static struct place places[KINDS];
    unsigned counts[KINDS] = {0}, row;
    int64_t now_us = clock_now_us();
    bool more = false;
    struct rows due;

    if (db_run(call, SCHEDULE_DUE, &due, "tltltltl", now_us, (int64_t)EACH, places[0].at_us, places[0].id,
               places[1].at_us, places[1].id, places[2].at_us, places[2].id))
        return -1;
    for (row = 0; row < due.count && !actor_is_stopping(call) && clock_monotonic_ms() < call->deadline_ms; row++) {
        int64_t kind = rows_int(&due, row, "kind");
        int done = schedule_do(call, &due, row, now_us);

        if (done < 0)
            note_failure(call, &due, row);
        more = more || done > 0;
        places[kind] = (struct place){rows_time(&due, row, "at"), rows_int(&due, row, "id")};
        counts[kind]++;
    }
    for (unsigned kind = 0; row == due.count && kind < KINDS; kind++) {
        if (counts[kind] < EACH)
            places[kind] = (struct place){0, 0};
        more = more || counts[kind] == EACH;
    }
    return more || row < due.count ? ACTOR_AGAIN : ACTOR_DONE;
}

const struct actor_plan schedule_plan = {.name = "schedule", .turn = take_turn, .look_ms = LOOK_MS, .turn_ms = TURN_MS};

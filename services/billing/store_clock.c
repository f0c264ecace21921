/* store_clock.c - the test clock: years of one store pass in seconds.
 *
 * A store's clock that was moved stands still until it is moved again. On its way it stops wherever something is due,
 * which then happens at that time and before the answer, one after the other, as it would have happened by itself.
 */
#include "store_clock.h"

#include "billing_operations.h"
#include "clock.h"
#include "config.h"
#include "schedule.h"
#include "statements.h"

/* 9000-01-01: what is due a few years later is still a time that can be written down. */
#define LAST_S INT64_C(221845392000)

int
store_now(struct call *call, int64_t store_id, int64_t *now_us)
{
    struct rows rows;

    *now_us = clock_now_us();
    if (!config.dev)
        return 0;
    if (db_run(call, CLOCK_GET, &rows, "l", store_id))
        return -1;
    if (rows.count)
        *now_us = rows_time(&rows, 0, "at");
    return 0;
}

static int
set(struct call *call, int64_t store_id, int64_t now_us)
{
    struct rows rows;

    return db_run(call, CLOCK_SET, &rows, "lt", store_id, now_us);
}

/* A call that ends half-way has moved the clock that far; the next one goes on. */
static int
advance(struct call *call, int64_t store_id, int64_t to_us)
{
    int64_t now_us;
    struct rows due;

    for (;;) {
        if (db_run(call, SCHEDULE_OF_STORE, &due, "lt", store_id, to_us))
            return -1;
        if (due.count == 0)
            return set(call, store_id, to_us);
        if (set(call, store_id, rows_time(&due, 0, "at")) || store_now(call, store_id, &now_us) ||
            schedule_do(call, &due, 0, now_us) < 0)
            return -1;
    }
}

int
clock_advance(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0), to_us = in_time(call->in, "body.to", 0), now_us;

    if (!config.dev)
        return call_fail(call, FAIL_FORBIDDEN, NULL, "A clock can be moved under SX_DEV=1 only");
    if (store_now(call, store_id, &now_us))
        return -1;
    if (to_us < now_us)
        return call_fail(call, FAIL_VALIDATION_ERROR, "to", "must not be before the time that it is for the store");
    if (to_us > LAST_S * US_PER_SECOND)
        return call_fail(call, FAIL_VALIDATION_ERROR, "to", "must be before the year 9000");
    if (set(call, store_id, now_us) || advance(call, store_id, to_us))
        return -1;
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "store_id");
    out_int(&call->out, store_id);
    out_key(&call->out, "at");
    out_time(&call->out, to_us);
    return call_reply(call, 200);
}

/* analytics_verify.c - the figures of a store against a recount of its orders, items and events: what counts.verify is
 * for the kept totals.
 */
#include "analytics.h"
#include "clock.h"
#include "statements.h"
#include "store_data_operations.h"
#include "verify.h"

int
analytics_verify(struct call *call)
{
    int64_t since_us = clock_day_begin(clock_now_us()) - (EVENT_KEEP_DAYS - 1) * DAY_US;
    struct verify *verify = arena_alloc(call->arena, sizeof *verify);
    struct rows events;

    if (verify_spans(verify, call, VERIFY_DAYS_NEXT, VERIFY_ANALYTICS) ||
        db_run(call, VERIFY_EVENTS, &events, "lt", verify->store_id, since_us) || db_commit(call))
        return -1;
    verify_add(verify, &events, 0);
    verify_write(verify, 0);
    return call_reply(call, 200);
}

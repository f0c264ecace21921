/* installations.c - billing's step of auth's uninstall saga (protocols 8): what waits for the merchant is cancelled,
 * what was paid stays. May come again, and late: it acts on its generation and earlier ones, and does nothing twice. */
#include "billing_operations.h"
#include "charge.h"
#include "clock.h"
#include "statements.h"

#define CANCELLED_AT_ONCE 200

int
installations_end(struct call *call)
{
    int64_t installation_id = in_int(call->in, "body.installation_id", 0);
    int64_t generation = in_int(call->in, "body.generation", 0), now_us = clock_now_us();
    struct rows rows;

    if (db_begin(call) || db_post(call, INSTALLATION_END, "ll", installation_id, generation) ||
        db_run(call, CHARGES_CANCEL, &rows, "lltl", installation_id, generation, now_us, (int64_t)CANCELLED_AT_ONCE))
        return -1;
    for (unsigned row = 0; row < rows.count; row++)
        if (charge_event(call, "charge.cancelled", rows_int(&rows, row, "charge_id")))
            return -1;
    if (db_commit(call))
        return -1;
    if (rows.count == CANCELLED_AT_ONCE)
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, "More charges wait than can be cancelled at once");
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "installation_id");
    out_int(&call->out, installation_id);
    return call_reply(call, 200);
}

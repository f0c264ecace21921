/* installations.c - billing's step of auth's uninstall saga (protocols 8): what waits for the merchant is cancelled,
 * what was paid stays. May come again, and late: it acts on its generation and earlier ones, and does nothing twice. It
 * is done when webhooks has all events of it, because afterwards nobody is there to take them.
 */
#include "billing_operations.h"
#include "charge.h"
#include "clock.h"
#include "outbox.h"
#include "statements.h"
#include "store_clock.h"
#include "subscription.h"

#define CANCELLED_AT_ONCE 500
#define CANCEL_BATCHES    20

/* Charges that come meanwhile see that the installation has ended: after the first commit there are only fewer. */
static int
cancel_charges(struct call *call, int64_t installation_id, int64_t generation)
{
    int64_t ended, now_us;
    struct rows rows;

    if (store_now(call, in_int(call->in, "body.store_id", 0), &now_us))
        return -1;
    for (unsigned i = 0; i < CANCEL_BATCHES; i++) {
        if (db_begin(call) || db_post(call, INSTALLATION_END, "ll", installation_id, generation) ||
            db_run(call, CHARGES_CANCEL, &rows, "lltlt", installation_id, generation, now_us,
                   (int64_t)CANCELLED_AT_ONCE, clock_now_us()) ||
            subscriptions_end(call, installation_id, generation, now_us, CANCELLED_AT_ONCE, &ended))
            return -1;
        db_after_commit(call, outbox_wake);
        if (db_commit(call))
            return -1;
        if (rows.affected < CANCELLED_AT_ONCE && ended < CANCELLED_AT_ONCE)
            return 0;
    }
    return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, "More charges wait than can be cancelled at once");
}

int
installations_end(struct call *call)
{
    int64_t installation_id = in_int(call->in, "body.installation_id", 0);
    int64_t generation = in_int(call->in, "body.generation", 0);
    struct rows rows;

    if (cancel_charges(call, installation_id, generation) ||
        db_run(call, INSTALLATION_UNTOLD, &rows, "ll", installation_id, generation))
        return -1;
    if (rows_int(&rows, 0, "untold"))
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, "The outbox still holds something of the installation");
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "installation_id");
    out_int(&call->out, installation_id);
    return call_reply(call, 200);
}

/* refunds.c - an app takes a charge back: what was paid goes back to the merchant, what waits for them is cancelled. */
#include <string.h>

#include "billing_operations.h"
#include "charge.h"
#include "config.h"
#include "statements.h"

/* Locks it. 404 charge_not_found when it is not of the caller's installation, whose end waits until the commit. */
static int
lock_own(struct call *call, struct charge *charge)
{
    int64_t charge_id = in_int(call->in, "path.charge_id", 0);
    struct rows rows;

    if (installation_hold(call) || db_run(call, CHARGE_OWN, &rows, "ll", call->caller.installation_id, charge_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_CHARGE_NOT_FOUND, "charge_id", NULL);
    return charge_lock(call, charge_id, charge);
}

/* All that is left of it, unless an amount was sent. */
static int
read_amount(struct call *call, const struct charge *charge, int64_t *amount)
{
    struct terms terms;

    if (in_has(call->in, "body.amount"))
        return terms_get(call, charge->currency, &terms) || amount_read(call, "body.amount", &terms, false, amount) ? -1
                                                                                                                    : 0;
    *amount = charge->fees.amount - charge->refunded;
    if (*amount == 0)
        return call_fail(call, FAIL_CONFLICT, "charge_id", "This charge has been refunded already");
    return 0;
}

int
charges_refund(struct call *call)
{
    struct charge charge = {0};
    struct rows rows;
    int64_t amount;

    if (db_begin(call) || lock_own(call, &charge) || read_amount(call, &charge, &amount) ||
        charge_refund(call, &charge, amount, in_text(call->in, "body.reason"), &rows) ||
        charge_audit(call, &charge, "charge.refunded", 0) || db_commit(call))
        return -1;
    call_message(call, "Charge refunded");
    return call_reply_row(call, 201, &rows, 0);
}

/* Asked again it answers the same. */
int
charges_cancel(struct call *call)
{
    struct charge charge = {0};
    struct rows rows;

    if (db_begin(call) || lock_own(call, &charge))
        return -1;
    if (charge_end(call, &charge, "cancelled", in_text(call->in, "body.reason")))
        return -1;
    if (strcmp(charge.status, "cancelled") != 0)
        return call_fail(call, FAIL_CONFLICT, "charge_id",
                         "Only a charge that waits for the merchant can be cancelled");
    if (db_run(call, CHARGE_GET, &rows, "sll", config.dashboard_origin, call->caller.installation_id,
               charge.charge_id) ||
        db_commit(call))
        return -1;
    call_message(call, "Charge cancelled");
    return call_reply_row(call, 200, &rows, 0);
}

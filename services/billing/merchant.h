/* merchant.h - what a merchant does with a charge, on the API or on its page: approve it, or not pay it.
 *
 * Each is a transaction of its own. 404 charge_not_found when the store has no such charge, 409 conflict with a
 * sentence when it is too late for what is asked.
 */
#ifndef MERCHANT_H
#define MERCHANT_H

#include "charge.h"

#define BILLING_PERMISSION "apps__manage_billing"

/* reference: of the payment to make. Approved again, soon after, it is the same (checkout.h). */
int merchant_approve(struct call *call, int64_t store_id, int64_t charge_id, int64_t account_id,
                     const char **reference) must_check;

/* status: declined or cancelled. Once more changes nothing. A cancelled charge that was paid for a subscription ends
 * that, now or with its period. reason may be NULL. account_id: who says it. */
struct refusal {
    const char *status, *reason;
    bool at_period_end;
    int64_t account_id;
};
int merchant_refuse(struct call *call, int64_t store_id, int64_t charge_id, const struct refusal *self) must_check;

/* The charge as the API shows it; rows has one row. */
int merchant_charge(struct call *call, int64_t store_id, int64_t charge_id, struct rows *rows) must_check;

/* What the apps of the first `count` rows are called; merchant_app_name answers NULL for one that there is not. */
int merchant_app_names(struct call *call, const struct rows *rows, unsigned count, struct in *names) must_check;
const char *merchant_app_name(struct in names, int64_t app_id);

#endif

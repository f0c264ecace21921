/* subscription.h - what comes back each month or year: its payments, and its end.
 *
 * All inside a transaction of the caller's, who has locked the charge (statements.h says in which order).
 */
#ifndef SUBSCRIPTION_H
#define SUBSCRIPTION_H

#include "charge.h"

#define GRACE_US  (7 * DAY_US) /* for which a payment may be late (contract K.5) */
#define NOTICE_US (3 * DAY_US) /* before a period's end the next payment is asked for */

/* What the caller asks for, with its first charge, which is its number too. */
int subscription_make(struct call *call, int64_t *charge_id) must_check;

/* Its charge has been paid: the next period is there. */
int subscription_paid(struct call *call, const struct charge *charge, int64_t now_us) must_check;

/* Its charge was declined, cancelled or has expired, as charge->status says; the reason may be NULL. Without a payment
 * there is no further period: it ends with the one that is paid for, or now. */
int subscription_unpaid(struct call *call, const struct charge *charge, const char *reason, int64_t now_us) must_check;

/* Its app ends it, now or with the period that is paid for; what waits for payment is cancelled. 409 conflict when it
 * is being renewed at the same moment; nothing when it is over. */
int subscription_cancel(struct call *call, int64_t subscription_id, bool at_period_end, const char *reason) must_check;

/* The end of an installation, after its pending charges were cancelled and with its row locked: subscriptions and usage
 * of this generation and earlier ones are over. now_us: for the store. Answers in *count how many subscriptions were
 * ended, at most `most`: there may be more then. */
int subscriptions_end(struct call *call, int64_t installation_id, int64_t generation, int64_t now_us, int64_t most,
                      int64_t *count) must_check;

/* The scheduler's piece of work (schedule.c): 1 when something was due and is done, 0 when not, -1. */
int subscription_renew(struct call *call, int64_t subscription_id, int64_t now_us) must_check;

#endif

/* usage.h - what an app counts and the merchant pays for at the end of the month. */
#ifndef USAGE_H
#define USAGE_H

#include "call.h"

/* The scheduler's piece of work (schedule.c), in a transaction: the month of a bill is over. 1 when something was due
 * and is done, 0 when not, -1. */
int usage_settle(struct call *call, int64_t usage_bill_id, int64_t now_us) must_check;

/* The end of an installation, in a transaction: what was used and not asked for yet is asked for no more. */
int usage_end(struct call *call, int64_t installation_id, int64_t generation) must_check;

#endif

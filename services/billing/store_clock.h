/* store_clock.h - what time it is for a store. */
#ifndef STORE_CLOCK_H
#define STORE_CLOCK_H

#include "call.h"

/* clock_now_us, unless billing.clock.advance has stopped the store's clock, which it does under SX_DEV=1 only. Charges,
 * subscriptions and usage go by it; the ledger, wallets and events are stamped with the real time. */
int store_now(struct call *call, int64_t store_id, int64_t *now_us) must_check;

#endif

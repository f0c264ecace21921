/* fees.h - how a payment is split between platform, payment provider and developer (contract E.3, K.5).
 *
 * Amounts are in a currency's smallest unit, rates in parts of a million; shares are rounded half up. Pure: no clock,
 * no database.
 */
#ifndef FEES_H
#define FEES_H

#include "base.h"

#define RATE_WHOLE INT64_C(1000000)

enum fee_payer { FEE_PAYER_DEVELOPER, FEE_PAYER_MERCHANT };

struct fees {
    int64_t base;      /* what the app asks for */
    int64_t amount;    /* what the merchant pays */
    int64_t platform;  /* commission */
    int64_t gateway;   /* the payment provider's */
    int64_t developer; /* what is left: amount = platform + gateway + developer, always */
};

/* base from 0 to MONEY_MAX, rates from 0 to RATE_WHOLE. -1 when both shares together are more than the developer has,
 * or the amount would pass MONEY_MAX. */
int fees_split(struct fees *self, int64_t base, enum fee_payer payer, int64_t commission_rate,
               int64_t gateway_rate) must_check;

/* The part of a paid charge that `refunded` (of its amount, together with what was refunded before) takes back from
 * each: in proportion, so that refunds of the whole amount, in however many steps, take back exactly what was split.
 * before <= refunded <= of->amount. */
void fees_refund(struct fees *self, const struct fees *of, int64_t before, int64_t refunded);

#endif

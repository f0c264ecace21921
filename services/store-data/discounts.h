/* discounts.h - the terms of a discount code: what it takes off an order, and why it may not.
 *
 * Decisions beyond the contract (proto/discounts.json tells them): an order has at most one code; a percentage is of
 * sub_total, rounded half up to the smallest unit, and never more than maximum_discount_amount or sub_total; what is
 * given by hand comes on top, and both together are never more than sub_total + tax + shipping.
 */
#ifndef DISCOUNTS_H
#define DISCOUNTS_H

#include "call.h"

struct discount {
    int64_t discount_id;
    const char *code;
    bool is_amount, free_shipping, is_active;
    int64_t amount;                  /* in paisa */
    int64_t percentage;              /* in hundredths of a percent */
    int64_t minimum_order, maximum;  /* in paisa; 0 for none */
    int64_t total_use, use_per_user; /* 0 for unlimited */
    int64_t used;
    int64_t starts_us, ends_us; /* INT64_MIN, INT64_MAX for none */
};

#define DISCOUNT_CODE_MAX 64 /* characters; also in schema/031_discounts.sql */

/* The code as it is kept: without blanks around it, a-z in upper case. NULL: nothing is left, or it is too long or has
 * control characters. */
const char *discount_code(const char *text, struct arena *arena);

void discount_read(struct discount *self, const struct rows *rows, unsigned row);

/* Why it cannot be used now: inactive, not_started, expired, total_use, use_per_user, minimum_order_value; NULL when it
 * can. sub_total is -1 when it is not known, uses how often this buyer has used it. */
const char *discount_refusal(const struct discount *self, int64_t now_us, int64_t sub_total, int64_t uses);

/* A reason in words, also of not_found; a string constant. */
const char *discount_why(const char *reason);

/* What it takes off; 0 below minimum_order. */
int64_t discount_amount(const struct discount *self, int64_t sub_total);

#endif

/* customers.h - what other parts of this service need of customers: making many, and how a phone number is kept. */
#ifndef CUSTOMERS_H
#define CUSTOMERS_H

#include "changes.h"
#include "lines.h"

/* Makes a customer of each line, inside the caller's transaction; at most LINES_MAX. A line's body is validated as
 * CustomerCreate. A line fails by itself (duplicate_phone, duplicate_email, conflict) and the others go on; events are
 * in the outbox. -1: the call has failed. */
int customers_insert(struct call *call, struct line *lines, unsigned count) must_check;

/* Puts customer.updated into the outbox. after: a row of CUSTOMER_COLUMNS. */
int customer_updated(struct call *call, const struct rows *after, const struct changes *changes) must_check;

/* A phone number as it is kept and looked up: its digits, of whatever script, without what stands between them. The
 * ways in which a mobile number of Bangladesh is written become +8801XXXXXXXXX, a leading 00 becomes +. NULL without a
 * digit; the result is in the arena (phone.c). */
const char *phone_normal(const char *phone, struct arena *arena);

#endif

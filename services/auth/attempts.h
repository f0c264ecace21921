/* attempts.h - how often something may be tried in a while (contract K.2: lockout, OTP).
 *
 * Counted in a table, so that all processes count together and a restart forgets nothing. An attempt is counted before
 * it is looked at, so that parallel ones are counted one by one; a good one may be forgiven afterwards.
 */
#ifndef ATTEMPTS_H
#define ATTEMPTS_H

#include "call.h"

/* Whom it counts against: "account:7", "otp:+8801…". Stored as a hash; upper and lower case are the same. */
struct attempts {
    const char *who;
    int64_t max;      /* in one window */
    int64_t window_s; /* from the first attempt */
    const char *why;  /* what the refused one is told, with Retry-After */
};

/* Counts one more. -1: rate_limited when there were max before it in this window. No transaction may be open. */
int attempts_count(struct call *call, const struct attempts *self) must_check;

/* The same, but the refused one is told nothing: *allowed is false. */
int attempts_note(struct call *call, const struct attempts *self, bool *allowed) must_check;

/* Counts nothing. -1: rate_limited when the next one counted would be refused. */
int attempts_look(struct call *call, const struct attempts *self) must_check;

int attempts_forget(struct call *call, const struct attempts *self) must_check;

/* One that was counted was a good one: the others stay counted. */
int attempts_give_back(struct call *call, const struct attempts *self) must_check;

/* Housekeeping: a few windows that are over. */
int attempts_trim(struct call *call) must_check;

#endif

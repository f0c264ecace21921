/* schedule.h - the actor that does what time brings: expiry of charges, renewals, grace, usage settlement. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include "actor.h"

/* One row of SCHEDULE_DUE or SCHEDULE_OF_STORE, in a transaction of its own: 1 when it was done, 0 when it was not due
 * any more, -1. */
int schedule_do(struct call *call, const struct rows *due, unsigned row, int64_t now_us) must_check;

extern const struct actor_plan schedule_plan;

#endif

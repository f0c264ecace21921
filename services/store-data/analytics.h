/* analytics.h - what the parts of analytics share: the days a request asks about, and how long events are kept. */
#ifndef ANALYTICS_H
#define ANALYTICS_H

#include "actor.h"
#include "call.h"

#define EVENT_KEEP_DAYS     30  /* an event, and with it its key, after the UTC day it occurred on */
#define EVENT_DAY_KEEP_DAYS 400 /* the counts of a day */

/* Whole UTC days, both ends belong to it. */
struct days {
    int64_t first_us, last_us; /* midnights */
};

/* query.from and query.to; without them the 30 days that end with `to`, or today. At most `most` days, 0 for any
 * number. -1: they make no range, and the call has failed. */
int days_read(struct days *self, struct call *call, int64_t most) must_check;

/* Writes `from` and `to` into an open map. */
void days_write(const struct days *self, struct call *call);

extern const struct actor_plan event_trim_plan;

#endif

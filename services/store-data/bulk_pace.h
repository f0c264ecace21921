/* bulk_pace.h - how hard an import may work, so that the other tenants do not feel it.
 *
 * A batch is sized by time, and after it the actor rests. While this process has hardly a request to handle it does not
 * rest at all; while it has, it works a bounded share of the time. The signal is the number of requests that the
 * workers of this process have handled (serve_calls): a counter that is there anyway, read a few times a second. The
 * gateways deal requests to all processes alike, so what this one sees is what the others see as well, and PostgreSQL
 * with them.
 */
#ifndef BULK_PACE_H
#define BULK_PACE_H

#include "call.h"

struct bulk_pace {
    int64_t looked_ms, calls; /* at the last look */
    bool busy;
};

/* Rests after worked_us of work, in an actor's turn. */
void bulk_pace_rest(struct bulk_pace *self, const struct call *call, int64_t worked_us);

/* How many to take at once, when `count` have taken `took_us`: 1 to max. */
unsigned bulk_pace_size(unsigned count, int64_t took_us, unsigned max);

#endif

/* bulk_pace.c - see bulk_pace.h. */
#include "bulk_pace.h"

#include <time.h>

#include "actor.h"
#include "clock.h"
#include "serve.h"

#define BATCH_US   40000 /* of one transaction: what it locks, nobody waits for longer */
#define LOOK_MS    250
#define BUSY_RATE  20    /* requests a second, in this process; fewer are a dashboard that somebody looks at */
#define BUSY_SHARE 40    /* percent of the time, then */
#define SLICE_US   20000 /* of a rest: a process that is to end does not wait for more */
#define REST_MAX   400000

static void
look(struct bulk_pace *self)
{
    int64_t now_ms = clock_monotonic_ms(), calls = serve_calls(), passed_ms = now_ms - self->looked_ms;

    if (passed_ms < LOOK_MS)
        return;
    self->busy = self->looked_ms == 0 || (calls - self->calls) * 1000 / passed_ms > BUSY_RATE;
    self->looked_ms = now_ms;
    self->calls = calls;
}

void
bulk_pace_rest(struct bulk_pace *self, const struct call *call, int64_t worked_us)
{
    int64_t rest_us = worked_us * (100 - BUSY_SHARE) / BUSY_SHARE;

    look(self);
    if (!self->busy)
        return;
    if (rest_us > REST_MAX)
        rest_us = REST_MAX;
    for (; rest_us > 0 && !actor_is_stopping(call); rest_us -= SLICE_US) {
        const struct timespec pause = {0, (rest_us < SLICE_US ? rest_us : SLICE_US) * 1000};

        nanosleep(&pause, NULL);
    }
}

unsigned
bulk_pace_size(unsigned count, int64_t took_us, unsigned max)
{
    int64_t wanted = (int64_t)count * BATCH_US / (took_us > 0 ? took_us : 1);

    if (wanted > 2 * (int64_t)count)
        wanted = 2 * (int64_t)count;
    if (wanted < count / 2)
        wanted = count / 2;
    return wanted < 1 ? 1 : wanted > max ? max : (unsigned)wanted;
}

/* analytics_days.c - from and to of every analytics route: whole days, because that is what the figures are kept by. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "analytics.h"
#include "clock.h"
#include "text.h"

#define DAYS_BY_DEFAULT 30

/* The contract has seen that it is a date. */
static int
read_date(struct call *call, const char *path, const char *field, int64_t *day_us)
{
    const char *text = in_text(call->in, path);

    if (text && (text_to_time(text, strlen(text), day_us) || *day_us < 0))
        return call_fail(call, FAIL_VALIDATION_ERROR, field, "must be 1970-01-01 or later");
    return 0;
}

int
days_read(struct days *self, struct call *call, int64_t most)
{
    self->last_us = clock_day_begin(clock_now_us());
    if (read_date(call, "query.to", "to", &self->last_us))
        return -1;
    self->first_us = self->last_us - (DAYS_BY_DEFAULT - 1) * DAY_US;
    if (read_date(call, "query.from", "from", &self->first_us))
        return -1;
    if (self->first_us < 0)
        self->first_us = 0;
    if (self->first_us > self->last_us)
        return call_fail(call, FAIL_VALIDATION_ERROR, "from", "must not be later than to");
    if (most && (self->last_us - self->first_us) / DAY_US + 1 > most)
        return call_failf(call, FAIL_VALIDATION_ERROR, "from",
                          "and to are more than %" PRId64 " days; ask for a shorter time, or in several parts", most);
    return 0;
}

static void
write_day(struct call *call, const char *name, int64_t day_us)
{
    time_t seconds = (time_t)(day_us / US_PER_SECOND);
    char text[32];
    struct tm parts;

    gmtime_r(&seconds, &parts);
    strftime(text, sizeof(text), "%Y-%m-%d", &parts);
    out_key(&call->out, name);
    out_text(&call->out, text);
}

void
days_write(const struct days *self, struct call *call)
{
    write_day(call, "from", self->first_us);
    write_day(call, "to", self->last_us);
}

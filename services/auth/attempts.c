/* attempts.c - one row per name that somebody tried; the row begins anew when its window is over. */
#include "attempts.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "clock.h"
#include "metric.h"
#include "secret.h"
#include "statements.h"

static struct metric refused =
    METRIC_COUNTER("sx_attempts_refused_total", "Logins and codes refused after too many attempts.");

static void
hash_name(uint8_t target[SHA256_SIZE], struct call *call, const char *who)
{
    char *name = arena_strdup(call->arena, who);

    for (char *at = name; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    secret_sha256(target, name, strlen(name));
}

int
attempts_count(struct call *call, const struct attempts *self)
{
    int64_t now_us = clock_now_us(), left_us;
    uint8_t who[SHA256_SIZE];
    struct rows rows;

    assert(!db_in_transaction(call->db)); /* what is rolled back was never counted */
    hash_name(who, call, self->who);
    if (db_run(call, LOGIN_FAILURE_COUNT, &rows, "xtt", who, sizeof who, now_us,
               now_us + US_PER_SECOND * self->window_s))
        return -1;
    if (rows_int(&rows, 0, "failures") <= self->max)
        return 0;
    metric_add(&refused, 1);
    left_us = rows_time(&rows, 0, "until") - now_us;
    call_header(call, "Retry-After", arena_printf(call->arena, "%lld", (long long)left_us / US_PER_SECOND + 1));
    return call_fail(call, FAIL_RATE_LIMITED, NULL, self->why);
}

int
attempts_forget(struct call *call, const struct attempts *self)
{
    uint8_t who[SHA256_SIZE];
    struct rows rows;

    hash_name(who, call, self->who);
    return db_run(call, LOGIN_FAILURE_FORGET, &rows, "x", who, sizeof who);
}

int
attempts_trim(struct call *call)
{
    struct rows rows;

    return db_run(call, LOGIN_FAILURE_TRIM, &rows, "t", clock_now_us());
}

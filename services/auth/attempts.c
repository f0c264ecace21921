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

static int
count_one(struct call *call, const struct attempts *self, struct rows *rows, bool *allowed)
{
    int64_t now_us = clock_now_us();
    uint8_t who[SHA256_SIZE];

    assert(!db_in_transaction(call->db)); /* what is rolled back was never counted */
    hash_name(who, call, self->who);
    if (db_run(call, LOGIN_FAILURE_COUNT, rows, "xtt", who, sizeof who, now_us,
               now_us + US_PER_SECOND * self->window_s))
        return -1;
    *allowed = rows_int(rows, 0, "failures") <= self->max;
    if (!*allowed)
        metric_add(&refused, 1);
    return 0;
}

int
attempts_note(struct call *call, const struct attempts *self, bool *allowed)
{
    struct rows rows;

    return count_one(call, self, &rows, allowed);
}

static int
refuse(struct call *call, const struct attempts *self, const struct rows *rows)
{
    int64_t left_us = rows_time(rows, 0, "until") - clock_now_us();

    call_header(call, "Retry-After", arena_printf(call->arena, "%lld", (long long)left_us / US_PER_SECOND + 1));
    return call_fail(call, FAIL_RATE_LIMITED, NULL, self->why);
}

int
attempts_count(struct call *call, const struct attempts *self)
{
    struct rows rows;
    bool allowed;

    if (count_one(call, self, &rows, &allowed))
        return -1;
    return allowed ? 0 : refuse(call, self, &rows);
}

int
attempts_look(struct call *call, const struct attempts *self)
{
    uint8_t who[SHA256_SIZE];
    struct rows rows;

    hash_name(who, call, self->who);
    if (db_run(call, LOGIN_FAILURE_LOOK, &rows, "xt", who, sizeof who, clock_now_us()))
        return -1;
    if (rows.count == 0 || rows_int(&rows, 0, "failures") < self->max)
        return 0;
    metric_add(&refused, 1);
    return refuse(call, self, &rows);
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
attempts_give_back(struct call *call, const struct attempts *self)
{
    uint8_t who[SHA256_SIZE];
    struct rows rows;

    hash_name(who, call, self->who);
    return db_run(call, LOGIN_FAILURE_GIVE_BACK, &rows, "x", who, sizeof who);
}

int
attempts_trim(struct call *call)
{
    struct rows rows;

    return db_run(call, LOGIN_FAILURE_TRIM, &rows, "t", clock_now_us());
}

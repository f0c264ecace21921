/* client_secret.c - compares hashes. Both of an app's secrets are always compared, so that the time does not tell
 * whether there are two. */
#include "client_secret.h"

#include "clock.h"
#include "log.h"
#include "statements.h"

#define USE_KEPT_EVERY_S 60

static bool
is_secret(const struct rows *rows, struct str given, struct client_secret_match *match, bool *broken)
{
    uint8_t hash[SHA256_SIZE], current[SHA256_SIZE] = {0}, previous[SHA256_SIZE] = {0};
    size_t size = rows_bytes(rows, 0, "client_secret_hash", current, sizeof current);
    size_t previous_size = rows_bytes(rows, 0, "previous_secret_hash", previous, sizeof previous);
    int64_t expires_us = rows_time(rows, 0, "previous_secret_expires_at");
    bool is_current, is_previous;

    *match = (struct client_secret_match){rows_int(rows, 0, "secret_number"), 0, rows_time(rows, 0, "secret_used_at")};
    secret_sha256(hash, given.base ? given.base : "", given.len);
    is_current = secret_equal(hash, current, sizeof current);
    is_previous = secret_equal(hash, previous, sizeof previous);
    *broken = !rows_is_null(rows, 0, "client_secret_hash") && size != sizeof current;
    if (is_current && size)
        return true;
    if (!is_previous || previous_size != sizeof previous || expires_us <= clock_now_us())
        return false;
    *match = (struct client_secret_match){match->number - 1, expires_us, rows_time(rows, 0, "previous_secret_used_at")};
    return true;
}

enum client_secret
client_secret_check(struct call *call, const struct rows *rows, struct str given, struct client_secret_match *match)
{
    bool broken, right = is_secret(rows, given, match, &broken);

    if (broken) {
        log_event(LOG_ERROR, "client_secret_unusable", "s:request_id", call->request_id, "l:app_id",
                  rows_int(rows, 0, "app_id"), NULL);
        (void)!call_fail(call, FAIL_AUTH_ERROR, NULL, NULL);
        return CLIENT_SECRET_BROKEN;
    }
    return right && rows_int(rows, 0, "app_active") ? CLIENT_SECRET_RIGHT : CLIENT_SECRET_WRONG;
}

int
client_secret_note_use(struct call *call, int64_t app_id, const struct client_secret_match *match)
{
    int64_t now_us = clock_now_us();
    const char *name;
    struct rows rows;

    if (now_us - match->used_us < USE_KEPT_EVERY_S * US_PER_SECOND)
        return 0;
    name = arena_printf(call->arena, "secret:%lld:%lld", (long long)app_id, (long long)match->number);
    if (db_in_transaction(call->db))
        return db_post(call, SECRET_USE_NOTE, "stt", name, now_us, now_us - USE_KEPT_EVERY_S * US_PER_SECOND);
    return db_run(call, SECRET_USE_NOTE, &rows, "stt", name, now_us, now_us - USE_KEPT_EVERY_S * US_PER_SECOND);
}

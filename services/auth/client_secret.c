/* client_secret.c - compares hashes. Both of an app's secrets are always compared, so that the time does not tell
 * whether there are two. */
#include "client_secret.h"

#include "clock.h"
#include "statements.h"

#define USE_KEPT_EVERY_S 60

struct client_secret_match
client_secret_check(const struct rows *rows, unsigned row, struct str given)
{
    uint8_t hash[SHA256_SIZE], current[SHA256_SIZE] = {0}, previous[SHA256_SIZE] = {0};
    size_t size = rows_bytes(rows, row, "client_secret_hash", current, sizeof current);
    size_t previous_size = rows_bytes(rows, row, "previous_secret_hash", previous, sizeof previous);
    int64_t expires_us = rows_time(rows, row, "previous_secret_expires_at");
    struct client_secret_match match = {CLIENT_SECRET_WRONG, rows_int(rows, row, "secret_number"), 0,
                                        rows_time(rows, row, "secret_used_at")};
    bool is_current, is_previous;

    secret_sha256(hash, given.base ? given.base : "", given.len);
    is_current = secret_equal(hash, current, sizeof current);
    is_previous = secret_equal(hash, previous, sizeof previous);
    if (!rows_is_null(rows, row, "client_secret_hash") && size != sizeof current) {
        match.verdict = CLIENT_SECRET_BROKEN;
    } else if (is_current && size) {
        match.verdict = CLIENT_SECRET_RIGHT;
    } else if (is_previous && previous_size == sizeof previous && expires_us > clock_now_us()) {
        match = (struct client_secret_match){CLIENT_SECRET_RIGHT, match.number - 1, expires_us,
                                             rows_time(rows, row, "previous_secret_used_at")};
    }
    return match;
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

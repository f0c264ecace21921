/* idempotency.c - lock, look up, keep.
 *
 * The advisory lock is asked for in a statement of its own, before the look-up: a look-up in the same statement would
 * read a snapshot from before the lock and miss what the holder has just committed (protocols 6). Both travel in one
 * round trip: PostgreSQL takes the second one's snapshot when the first one has ended.
 */
#include "idempotency.h"

#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "call_private.h"
#include "clock.h"
#include "secret.h"
#include "shared_statements.h"

#define KEPT_FOR_US      (24 * 3600 * US_PER_SECOND) /* contract K.1 */
#define KEPT_HEADERS_MAX 4096
#define SEAL_LABEL       "idempotency"

/* Who asks and with which key: what is locked, and what a sealed answer is bound to. */
static const char *
key_text(const struct call *call)
{
    return arena_printf(call->arena, "%s:%" PRId64 ":%" PRId64 ":%s", call->private->service, call->caller.store_id,
                        call->caller.app_id, call->idempotency_key);
}

/* Over HTTP the gateway tells the hash, because only it has seen the raw body. */
static void
request_hash(const struct call *call, uint8_t target[SHA256_SIZE])
{
    const struct call_private *private = call->private;
    size_t name = strlen(call->operation->name) + 1;
    char *all;

    if (private->request_hash.len == SHA256_SIZE) {
        memcpy(target, private->request_hash.base, SHA256_SIZE);
        return;
    }
    all = arena_alloc(call->arena, name + private->arguments.len);
    memcpy(all, call->operation->name, name);
    memcpy(all + name, private->arguments.base, private->arguments.len);
    secret_sha256(target, all, name + private->arguments.len);
}

static int
send_lock(struct call *call)
{
    int64_t left_ms = call->deadline_ms - clock_monotonic_ms();
    const char *text = key_text(call);

    if (!call->second_attempt)
        return db_send(call, IDEMPOTENCY_TRY_LOCK, "s", text);
    return db_send(call, IDEMPOTENCY_WAIT_LOCK, "ss", text,
                   arena_printf(call->arena, "%" PRId64 "ms", left_ms > 1 ? left_ms : 1));
}

static int
collect_lock(struct call *call)
{
    struct rows rows;

    if (db_collect(call, &rows) != 0)
        return -1;
    if (call->second_attempt || rows_int(&rows, 0, "locked")) /* who waits gets it, or an error */
        return 0;
    call_header(call, "Retry-After", "1");
    return call_fail(call, FAIL_CONFLICT, NULL,
                     "A request with this Idempotency-Key is being worked on; repeat it in a second to get its answer");
}

static const uint8_t *
column_bytes(struct call *call, const struct rows *rows, const char *column, size_t *size)
{
    const char *hex = rows_text(rows, 0, column); /* as PostgreSQL writes bytea: \x and two digits a byte */
    uint8_t *bytes = arena_alloc(call->arena, hex ? strlen(hex) + 1 : 1);

    *size = hex ? rows_bytes(rows, 0, column, bytes, strlen(hex) + 1) : 0;
    return bytes;
}

static int
replay(struct call *call, const struct rows *rows)
{
    struct call_private *private = call->private;
    const char *text = key_text(call);
    const uint8_t *body, *headers;
    size_t body_size, headers_size;
    struct in map;

    body = column_bytes(call, rows, "body", &body_size);
    headers = column_bytes(call, rows, "headers", &headers_size);
    if (rows_int(rows, 0, "sealed")) {
        uint8_t *opened = arena_alloc(call->arena, body_size);

        if (body_size < SEAL_OVERHEAD || secret_open(opened, SEAL_LABEL, str_of(text), body, body_size) != 0)
            return call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
        body = opened;
        body_size -= SEAL_OVERHEAD;
    }
    buf_append(&private->body, body, body_size);
    if (headers_size && in_decode(&map, call->arena, headers, headers_size) == 0)
        for (unsigned i = 0; i < in_count(map, ""); i++) {
            struct str name = in_key(map, i);

            call_header(call, arena_strndup(call->arena, name.base, name.len), in_text(in_value(map, i), ""));
        }
    call_header(call, "Idempotent-Replayed", "true");
    private->replied = true;
    private->status = (int)rows_int(rows, 0, "status");
    return 0;
}

/* Whether the kept answer is this request's. */
static int
check_hash(struct call *call, const struct rows *rows)
{
    uint8_t hash[SHA256_SIZE], kept[SHA256_SIZE];

    request_hash(call, hash);
    if (rows_bytes(rows, 0, "request_hash", kept, sizeof kept) == sizeof hash && memcmp(kept, hash, sizeof hash) == 0)
        return 0;
    return call_fail(call, FAIL_IDEMPOTENCY_CONFLICT, NULL, NULL);
}

static int
begin(struct call *call, enum idempotency_state *state)
{
    int64_t store_id = call->caller.store_id, app_id = call->caller.app_id;
    const char *key = call->idempotency_key;
    struct rows rows;

    if (strlen(key) > IDEMPOTENCY_KEY_MAX)
        return call_failf(call, FAIL_VALIDATION_ERROR, "Idempotency-Key", "must be at most %d characters",
                          IDEMPOTENCY_KEY_MAX);
    if (db_begin(call) != 0 || send_lock(call) != 0 ||
        db_send(call, IDEMPOTENCY_FIND, "llst", store_id, app_id, key, clock_now_us() - KEPT_FOR_US) != 0 ||
        collect_lock(call) != 0 || db_collect(call, &rows) != 0)
        return -1;
    *state = IDEMPOTENCY_NEW;
    if (rows.count == 0)
        return 0;
    if (rows_int(&rows, 0, "expired"))
        return db_post(call, IDEMPOTENCY_FORGET, "lls", store_id, app_id, key);
    *state = IDEMPOTENCY_REPLAYED;
    if (check_hash(call, &rows) != 0 || replay(call, &rows) != 0)
        return -1;
    db_rollback(call->db); /* nothing was changed */
    return 0;
}

enum idempotency_state
idempotency_begin(struct call *call)
{
    enum idempotency_state state = IDEMPOTENCY_FAILED;

    return begin(call, &state) == 0 ? state : IDEMPOTENCY_FAILED;
}

int
idempotency_keep(struct call *call)
{
    const struct call_private *private = call->private;
    const void *body = private->body.data;
    size_t size = private->body.size;
    uint8_t hash[SHA256_SIZE];
    struct buf headers;
    int rc;

    if (private->status < 200 || private->status > 299)
        return db_commit(call);
    request_hash(call, hash);
    if (private->sealed) {
        uint8_t *sealed = arena_alloc(call->arena, size + SEAL_OVERHEAD);

        secret_seal(sealed, SEAL_LABEL, str_of(key_text(call)), body, size);
        body = sealed;
        size += SEAL_OVERHEAD;
    }
    buf_init(&headers, KEPT_HEADERS_MAX);
    call_write_headers(call, &headers);
    if (buf_failed(&headers))
        rc = call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL); /* half of them would be replayed as none */
    else
        rc = db_post(call, IDEMPOTENCY_KEEP, "llssxlxxbt", call->caller.store_id, call->caller.app_id,
                     call->idempotency_key, call->operation->name, (const void *)hash, sizeof(hash),
                     (int64_t) private->status, (const void *)headers.data, headers.size, body ? body : "", size,
                     (int)private->sealed, clock_now_us());
    buf_free(&headers);
    return rc == 0 ? db_commit(call) : -1;
}

bool
idempotency_expire(struct call *call)
{
    struct rows rows;

    return db_run(call, IDEMPOTENCY_EXPIRE, &rows, "t", clock_now_us() - KEPT_FOR_US) == 0 && rows.affected > 0;
}

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
#include "developer_access.h"
#include "json.h"
#include "secret.h"
#include "shared_statements.h"
#include "sql_list.h"

#define KEPT_FOR_US      (24 * 3600 * US_PER_SECOND) /* contract K.1 */
#define CLAIM_WAIT_US    (30 * US_PER_SECOND)        /* no request is at work for so long */
#define CLAIMED          0                           /* stands for the status until there is an answer */
#define KEPT_HEADERS_MAX 4096
#define SEAL_LABEL       "idempotency"

bool
idempotency_claims(const struct call *call)
{
    return call->operation->idempotent && call->idempotency_key && call->operation->audience == AUDIENCE_DEVELOPER;
}

/* Where a key's answer is kept. A developer has no store, and the app that the route names is perhaps still to be made:
 * the account stands in the key. */
struct place {
    int64_t store_id, app_id;
    const char *key;
};

static struct place
place_of(const struct call *call)
{
    if (call->operation->audience != AUDIENCE_DEVELOPER)
        return (struct place){call->caller.store_id, call->caller.app_id, call->idempotency_key};
    return (struct place){
        .key = arena_printf(call->arena, "%" PRId64 ":%s", call->caller.account_id, call->idempotency_key)};
}

/* Who asks and with which key: what is locked, and what a sealed answer is bound to. */
static const char *
key_text(const struct call *call)
{
    struct place place = place_of(call);

    return arena_printf(call->arena, "%s:%" PRId64 ":%" PRId64 ":%s", call->private->service, place.store_id,
                        place.app_id, place.key);
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

/* As lock_timeout. */
static const char *
time_left(const struct call *call)
{
    int64_t left_ms = call->deadline_ms - clock_monotonic_ms();

    return arena_printf(call->arena, "%" PRId64 "ms", left_ms > 1 ? left_ms : 1);
}

static int
send_lock(struct call *call)
{
    const char *text = key_text(call);

    if (!call->second_attempt)
        return db_send(call, IDEMPOTENCY_TRY_LOCK, "s", text);
    return db_send(call, IDEMPOTENCY_WAIT_LOCK, "ss", text, time_left(call));
}

static int
fail_locked(struct call *call)
{
    call_header(call, "Retry-After", "1");
    return call_fail(call, FAIL_CONFLICT, NULL,
                     "A request with this Idempotency-Key is being worked on; repeat it in a second to get its answer");
}

static int
collect_lock(struct call *call)
{
    struct rows rows;

    if (db_collect(call, &rows) != 0)
        return -1;
    if (call->second_attempt || rows_int(&rows, 0, "locked")) /* who waits gets it, or an error */
        return 0;
    return fail_locked(call);
}

static const uint8_t *
column_bytes(struct call *call, const struct rows *rows, unsigned row, const char *column, size_t *size)
{
    const char *hex = rows_text(rows, row, column); /* as PostgreSQL writes bytea: \x and two digits a byte */
    uint8_t *bytes = arena_alloc(call->arena, hex ? strlen(hex) + 1 : 1);

    *size = hex ? rows_bytes(rows, row, column, bytes, strlen(hex) + 1) : 0;
    return bytes;
}

/* The app that a developer's kept answer is about: the route's, or the one that was made, which the answer names. */
static int64_t
app_of(const struct call *call, const uint8_t *body, size_t size)
{
    int64_t app_id = in_int(call->in, "path.app_id", 0);
    char why[JSON_WHY_SIZE];
    struct buf packed;
    struct in answer;

    if (app_id || call->out.encoding != OUT_JSON)
        return app_id;
    buf_init(&packed, REPLY_SIZE_MAX);
    if (json_to_msgpack((const char *)body, size, &packed, why) == 0 &&
        in_decode(&answer, call->arena, packed.data, packed.size) == 0)
        app_id = in_int(answer, "data.app_id", 0);
    buf_free(&packed);
    return app_id;
}

/* What was kept may hold secrets, and is for those who might ask for it today: members come and go, and apps are handed
 * on. Who has made an app must have it still. */
static int
check_access(struct call *call, const uint8_t *body, size_t size)
{
    const char *role = call->operation->role ? call->operation->role : "owner";
    int64_t app_id = app_of(call, body, size);
    struct in reply;

    return app_id ? developer_access(call, app_id, role, &reply) : 0;
}

static int
replay(struct call *call, const struct rows *rows, unsigned row)
{
    struct call_private *private = call->private;
    const char *text = key_text(call);
    const uint8_t *body, *headers;
    size_t body_size, headers_size;
    struct in map;

    body = column_bytes(call, rows, row, "body", &body_size);
    headers = column_bytes(call, rows, row, "headers", &headers_size);
    if (rows_int(rows, row, "sealed")) {
        uint8_t *opened = arena_alloc(call->arena, body_size);

        if (body_size < SEAL_OVERHEAD || secret_open(opened, SEAL_LABEL, str_of(text), body, body_size) != 0)
            return call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
        body = opened;
        body_size -= SEAL_OVERHEAD;
    }
    if (idempotency_claims(call) && check_access(call, body, body_size))
        return -1;
    buf_append(&private->body, body, body_size);
    if (headers_size && in_decode(&map, call->arena, headers, headers_size) == 0)
        for (unsigned i = 0; i < in_count(map, ""); i++) {
            struct str name = in_key(map, i);

            call_header(call, arena_strndup(call->arena, name.base, name.len), in_text(in_value(map, i), ""));
        }
    call_header(call, "Idempotent-Replayed", "true");
    private->replied = true;
    private->status = (int)rows_int(rows, row, "status");
    return 0;
}

/* Whether the kept answer is this request's. */
static int
check_hash(struct call *call, const struct rows *rows, unsigned row)
{
    uint8_t hash[SHA256_SIZE], kept[SHA256_SIZE];

    request_hash(call, hash);
    if (rows_bytes(rows, row, "request_hash", kept, sizeof kept) == sizeof hash && memcmp(kept, hash, sizeof hash) == 0)
        return 0;
    return call_fail(call, FAIL_IDEMPOTENCY_CONFLICT, NULL, NULL);
}

static int
check_length(struct call *call)
{
    if (strlen(call->idempotency_key) <= IDEMPOTENCY_KEY_MAX)
        return 0;
    return call_failf(call, FAIL_VALIDATION_ERROR, "Idempotency-Key", "must be at most %d characters",
                      IDEMPOTENCY_KEY_MAX);
}

/* Committed before the handler runs: whoever comes with the key meanwhile, or after this process was lost, sees it. */
static int
claim(struct call *call, struct place place)
{
    uint8_t hash[SHA256_SIZE];

    request_hash(call, hash);
    return db_post(call, IDEMPOTENCY_KEEP, "llssxlxxbt", place.store_id, place.app_id, place.key, call->operation->name,
                   (const void *)hash, sizeof(hash), (int64_t)CLAIMED, (const void *)NULL, (size_t)0, (const void *)"",
                   (size_t)0, 0, clock_now_us()) ||
                   db_commit(call)
               ? -1
               : 0;
}

/* Whoever claimed it is at work, or was lost with all that could say how far it came. */
static int
fail_claimed(struct call *call, const struct rows *rows)
{
    if (!call->second_attempt && rows_time(rows, 0, "created_at") > clock_now_us() - CLAIM_WAIT_US)
        return fail_locked(call);
    return call_fail(call, FAIL_OUTCOME_UNKNOWN, NULL,
                     "A request with this Idempotency-Key may or may not have been carried out; look, and repeat it "
                     "with a new key if it was not");
}

static int
begin(struct call *call, enum idempotency_state *state)
{
    struct place place = place_of(call);
    struct rows rows;

    if (check_length(call) != 0 || db_begin(call) != 0 || send_lock(call) != 0 ||
        db_send(call, IDEMPOTENCY_FIND, "llst", place.store_id, place.app_id, place.key,
                clock_now_us() - KEPT_FOR_US) != 0 ||
        collect_lock(call) != 0 || db_collect(call, &rows) != 0)
        return -1;
    *state = IDEMPOTENCY_NEW;
    if (rows.count && rows_int(&rows, 0, "expired")) {
        if (db_post(call, IDEMPOTENCY_FORGET, "lls", place.store_id, place.app_id, place.key) != 0)
            return -1;
        rows.count = 0;
    }
    if (rows.count == 0)
        return idempotency_claims(call) ? claim(call, place) : 0;
    *state = IDEMPOTENCY_REPLAYED;
    if (check_hash(call, &rows, 0) != 0)
        return -1;
    if (rows_int(&rows, 0, "status") == CLAIMED)
        return fail_claimed(call, &rows);
    db_rollback(call->db); /* nothing was changed */
    return replay(call, &rows, 0);
}

enum idempotency_state
idempotency_begin(struct call *call)
{
    enum idempotency_state state = IDEMPOTENCY_FAILED;

    return begin(call, &state) == 0 ? state : IDEMPOTENCY_FAILED;
}

/* Sealed when it holds a secret. */
static struct str
kept_body(const struct call *call)
{
    const struct call_private *private = call->private;
    size_t size = private->body.size;
    uint8_t *sealed;

    if (!private->sealed)
        return (struct str){size ? private->body.data : "", size};
    sealed = arena_alloc(call->arena, size + SEAL_OVERHEAD);
    secret_seal(sealed, SEAL_LABEL, str_of(key_text(call)), private->body.data, size);
    return (struct str){(const char *)sealed, size + SEAL_OVERHEAD};
}

/* Absent when there are none. Half of them would be replayed as none, so that is an error. */
static int
kept_headers(struct call *call, struct str *text)
{
    struct buf headers;
    int rc = 0;

    *text = (struct str){NULL, 0};
    buf_init(&headers, KEPT_HEADERS_MAX);
    call_write_headers(call, &headers);
    if (buf_failed(&headers))
        rc = call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
    else if (headers.size)
        *text = (struct str){arena_strndup(call->arena, headers.data, headers.size), headers.size};
    buf_free(&headers);
    return rc;
}

static bool
is_kept(const struct call *call)
{
    return call->private->status >= 200 && call->private->status <= 299;
}

int
idempotency_keep(struct call *call)
{
    const struct call_private *private = call->private;
    uint8_t hash[SHA256_SIZE];
    struct str headers, body;

    if (!is_kept(call))
        return db_commit(call);
    request_hash(call, hash);
    if (kept_headers(call, &headers) != 0)
        return -1;
    body = kept_body(call);
    if (db_post(call, IDEMPOTENCY_KEEP, "llssxlxxbt", call->caller.store_id, call->caller.app_id, call->idempotency_key,
                call->operation->name, (const void *)hash, sizeof(hash), (int64_t) private->status,
                (const void *)headers.base, headers.len, (const void *)body.base, body.len, (int)private->sealed,
                clock_now_us()) != 0)
        return -1;
    return db_commit(call);
}

/* With these nobody can say that nothing was done. */
static bool
is_settled(enum fail code)
{
    return code != FAIL_OUTCOME_UNKNOWN && code != FAIL_GATEWAY_TIMEOUT && code != FAIL_INTERNAL_ERROR;
}

/* What was done is done, and is answered: of an answer that cannot be kept the claim stays, and says no more than that
 * there was a request. */
void
idempotency_settle(struct call *call)
{
    const struct call_private *private = call->private;
    struct call_private answered = *private;
    struct place place = place_of(call);
    struct str headers, body;
    struct rows rows;
    int rc = 0;

    if (!private->failed && is_kept(call)) {
        body = kept_body(call);
        rc = kept_headers(call, &headers) ||
             db_run(call, IDEMPOTENCY_SETTLE, &rows, "llslxxb", place.store_id, place.app_id, place.key,
                    (int64_t) private->status, (const void *)headers.base, headers.len, (const void *)body.base,
                    body.len, (int)private->sealed);
    } else if (!private->failed || is_settled(private->code)) {
        rc = db_run(call, IDEMPOTENCY_FORGET, &rows, "lls", place.store_id, place.app_id, place.key);
    }
    if (rc)
        *call->private = answered;
}

bool
idempotency_expire(struct call *call)
{
    struct rows rows;

    return db_run(call, IDEMPOTENCY_EXPIRE, &rows, "t", clock_now_us() - KEPT_FOR_US) == 0 && rows.affected > 0;
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

/* Takes those who have ended out of the batch. */
static void
leave_ended(struct call_batch *batch)
{
    unsigned left = 0;

    for (unsigned i = 0; i < batch->count; i++)
        if (!call_failed(batch->members[i]) && !batch->members[i]->private->replied)
            batch->members[left++] = batch->members[i];
    batch->count = left;
}

/* The names of those who ask with a key for the first time, or for the second. */
static const char *
lock_names(const struct call_batch *batch, bool second, struct call **named, unsigned *count)
{
    struct sql_list names;

    *count = 0;
    sql_list_begin(&names);
    for (unsigned i = 0; i < batch->count; i++) {
        struct call *member = batch->members[i];

        if (!member->idempotency_key || member->second_attempt != second)
            continue;
        named[(*count)++] = member;
        sql_list_str(&names, str_of(key_text(member)));
    }
    return sql_list_end(&names, batch->call->arena);
}

static const char *
keys_of(const struct call_batch *batch, struct call **keyed, unsigned *count)
{
    struct sql_list keys;

    *count = 0;
    sql_list_begin(&keys);
    for (unsigned i = 0; i < batch->count; i++)
        if (batch->members[i]->idempotency_key) {
            keyed[(*count)++] = batch->members[i];
            sql_list_str(&keys, str_of(batch->members[i]->idempotency_key));
        }
    return sql_list_end(&keys, batch->call->arena);
}

/* One round trip, unless nobody has a key. The locks first, each statement with a snapshot of its own (see above). */
static int
lock_and_find(struct call_batch *batch, struct call **keyed, struct rows *found)
{
    struct call *call = batch->call, *waiting[BATCH_MAX], *trying[BATCH_MAX];
    unsigned wait_count, try_count, keyed_count;
    const char *wait_names = lock_names(batch, true, waiting, &wait_count);
    const char *try_names = lock_names(batch, false, trying, &try_count);
    const char *keys = keys_of(batch, keyed, &keyed_count);
    struct rows locked;

    *found = (struct rows){0};
    if (keyed_count == 0)
        return 0;
    if ((wait_count > 0 && db_send(call, IDEMPOTENCY_WAIT_LOCKS, "ss", wait_names, time_left(call)) != 0) ||
        (try_count > 0 && db_send(call, IDEMPOTENCY_TRY_LOCKS, "s", try_names) != 0) ||
        db_send(call, IDEMPOTENCY_FIND_ALL, "llst", call->caller.store_id, call->caller.app_id, keys,
                clock_now_us() - KEPT_FOR_US) != 0 ||
        (wait_count > 0 && db_collect(call, &locked) != 0) || (try_count > 0 && db_collect(call, &locked) != 0) ||
        db_collect(call, found) != 0)
        return -1;
    for (unsigned row = 0; try_count > 0 && row < locked.count; row++)
        if (!rows_int(&locked, row, "locked"))
            (void)fail_locked(trying[rows_int(&locked, row, "n") - 1]);
    return 0;
}

/* The kept answers, each to who asks for it. What is too old is forgotten. */
static int
answer_known(struct call_batch *batch, struct call **keyed, const struct rows *found)
{
    struct call *call = batch->call;

    for (unsigned row = 0; row < found->count; row++) {
        struct call *member = keyed[rows_int(found, row, "n") - 1];

        if (call_failed(member))
            continue;
        if (rows_int(found, row, "expired")) {
            if (db_post(call, IDEMPOTENCY_FORGET, "lls", call->caller.store_id, call->caller.app_id,
                        member->idempotency_key) != 0)
                return -1;
        } else if (check_hash(member, found, row) == 0)
            (void)replay(member, found, row);
    }
    return 0;
}

/* Of those with the same key the first stays. */
static void
put_off_same(struct call_batch *batch, struct call_batch *later)
{
    unsigned left = 0;

    for (unsigned i = 0; i < batch->count; i++) {
        struct call *member = batch->members[i];
        bool same = false;

        for (unsigned k = 0; k < left && member->idempotency_key && !same; k++)
            same = text_equal(batch->members[k]->idempotency_key, member->idempotency_key);
        if (same)
            later->members[later->count++] = member;
        else
            batch->members[left++] = member;
    }
    batch->count = left;
}

int
idempotency_begin_all(struct call_batch *batch, struct call_batch *later)
{
    struct call *keyed[BATCH_MAX];
    struct rows found;

    for (unsigned i = 0; i < batch->count; i++)
        if (batch->members[i]->idempotency_key)
            (void)check_length(batch->members[i]);
    leave_ended(batch);
    if (lock_and_find(batch, keyed, &found) != 0 || answer_known(batch, keyed, &found) != 0)
        return -1;
    leave_ended(batch);
    put_off_same(batch, later);
    return 0;
}

int
idempotency_keep_all(const struct call_batch *batch)
{
    struct call *call = batch->call;
    struct sql_list keys, hashes, statuses, headers, bodies, sealed;
    struct sql_list *const lists[] = {&keys, &hashes, &statuses, &headers, &bodies, &sealed};
    const char *texts[ARRAY_COUNT(lists)];
    unsigned kept = 0;
    int rc = 0;

    for (unsigned i = 0; i < ARRAY_COUNT(lists); i++)
        sql_list_begin(lists[i]);
    for (unsigned i = 0; i < batch->count && rc == 0; i++) {
        struct call *member = batch->members[i];
        uint8_t hash[SHA256_SIZE];
        struct str text, body;

        if (!member->idempotency_key || call_failed(member) || !is_kept(member))
            continue;
        rc = kept_headers(member, &text) == 0 ? 0 : call_fail_as(call, member);
        request_hash(member, hash);
        body = kept_body(member);
        sql_list_str(&keys, str_of(member->idempotency_key));
        sql_list_bytes(&hashes, hash, sizeof hash);
        sql_list_int(&statuses, member->private->status);
        sql_list_bytes(&headers, text.base, text.len);
        sql_list_bytes(&bodies, body.base, body.len);
        sql_list_int(&sealed, member->private->sealed);
        kept++;
    }
    for (unsigned i = 0; i < ARRAY_COUNT(lists); i++)
        texts[i] = sql_list_end(lists[i], call->arena);
    if (rc != 0 || kept == 0)
        return rc;
    return db_post(call, IDEMPOTENCY_KEEP_ALL, "llssssssst", call->caller.store_id, call->caller.app_id,
                   call->operation->name, texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], clock_now_us());
}

/* app_push.c - claims what is due, makes the bodies, sends them side by side, notes what came of each. A claim already
 * says when the next attempt is due, so a process that is killed in between costs an attempt and no push. */
#include "app_push.h"

#include <stdio.h>
#include <string.h>

#include "apps.h"
#include "audit.h"
#include "clock.h"
#include "log.h"
#include "outbound.h"
#include "statements.h"
#include "tokens.h"

#define PUSHES_AT_ONCE 8
#define ATTEMPTS_MAX   6     /* contract D.3 */
#define ANSWER_WAIT_MS 10000 /* of one attempt; SIGTERM cuts it short */
#define NOTE_WAIT_MS   1500
#define BUSY_S         30 /* an attempt is over long before, unless its process was killed */
#define BODY_MAX       1024
#define TOKEN_BYTES    32

struct push {
    int64_t installation_id, generation, attempts;
    int64_t store_id, app_id, busy_until_us;
    const char *kind; /* "token" or "revoke" */
    struct outbound_request request;
    char body[BODY_MAX];
};

/* ---- the body ---------------------------------------------------------------------------------------------------- */

/* What is signed, compact and in this order, is not always what is sent; the last member sent is the signature. */
static void
write_body(struct push *self, const struct rows *target, const uint8_t key[SIGNING_KEY_SIZE], const char *token)
{
    int64_t store_id = rows_int(target, 0, "store_id");
    uint8_t mac[SHA256_SIZE];
    char hex[HEX_SIZE(SHA256_SIZE)], text[BODY_MAX];
    int len;

    if (token)
        len = snprintf(text, sizeof text, "{\"store_id\":%lld,\"installation_id\":%lld,\"access_token\":\"%s\"}",
                       (long long)store_id, (long long)self->installation_id, token);
    else
        len = snprintf(text, sizeof text, "{\"store_id\":%lld,\"action\":\"revoke\"}", (long long)store_id);
    secret_hmac(mac, key, SIGNING_KEY_SIZE, text, (size_t)len);
    secret_hex(hex, mac, sizeof mac);
    if (token)
        len = snprintf(self->body, sizeof self->body, "%.*s,\"hmac\":\"%s\"}", len - 1, text, hex);
    else
        len = snprintf(self->body, sizeof self->body, "{\"store_id\":%lld,\"hmac\":\"%s\"}", (long long)store_id, hex);
    secret_wipe(text, sizeof text);
    self->request.body = (struct str){self->body, (size_t)len};
}

/* Made for one attempt: when it is over only the app has it. */
static int
make_token(struct call *call, const struct push *self, char **token)
{
    int64_t now_us = clock_now_us();
    uint8_t hash[SHA256_SIZE];

    *token = secret_token(call->arena, "sx_at_", TOKEN_BYTES);
    secret_sha256(hash, *token, strlen(*token));
    return db_post(call, TOKEN_INSERT, "llsxtt", self->installation_id, self->generation, "access", hash, sizeof hash,
                   now_us + ACCESS_TOKEN_S * US_PER_SECOND, now_us);
}

/* The token's hash is committed before anybody can show it. 1: the push is no longer true. */
static int
prepare(struct call *call, struct push *self)
{
    uint8_t key[SIGNING_KEY_SIZE];
    char *token = NULL;
    struct rows target;

    if (db_begin(call) ||
        db_run(call, PUSH_TARGET, &target, "lls", self->installation_id, self->generation, self->kind))
        return -1;
    if (target.count == 0)
        return db_commit(call) ? -1 : 1;
    if (app_open_signing_key(&target, key))
        return call_fail(call, FAIL_INTERNAL_ERROR, NULL, "the app's signing key cannot be opened");
    self->store_id = rows_int(&target, 0, "store_id");
    self->app_id = rows_int(&target, 0, "app_id");
    if (strcmp(self->kind, "token") == 0 && make_token(call, self, &token))
        return -1;
    self->request.url = outbound_url(call->arena, rows_text(&target, 0, "webhook_url"), self->kind);
    write_body(self, &target, key, token);
    secret_wipe(key, sizeof key);
    if (token)
        secret_wipe(token, strlen(token));
    return db_commit(call);
}

/* ---- what came of it --------------------------------------------------------------------------------------------- */

static int
forget(struct call *call, const struct push *self)
{
    return db_post(call, PUSH_DONE, "lls", self->installation_id, self->generation, self->kind);
}

static int
set_free(struct call *call, const struct push *self)
{
    return db_post(call, PUSH_SET_FREE, "llstt", self->installation_id, self->generation, self->kind,
                   self->busy_until_us, clock_now_us());
}

/* Whatever came of it, what was put in its place meanwhile waits for nothing now. */
static int
note_end(struct call *call, const struct push *self, bool is_over)
{
    if (db_begin(call) || (is_over && forget(call, self)) || set_free(call, self))
        return -1;
    return db_commit(call);
}

static int
note_given_up(struct call *call, const struct push *self)
{
    if (db_begin(call) || forget(call, self) || set_free(call, self) ||
        audit_put(call, "app.push_failed", "installation", self->installation_id, self->store_id, self->app_id))
        return -1;
    return db_commit(call);
}

static int
note_result(struct call *call, const struct push *self)
{
    bool arrived = self->request.status >= 200 && self->request.status < 300;

    log_event(arrived ? LOG_INFO : LOG_WARN, arrived ? "app_push_arrived" : "app_push_failed", "s:request_id",
              call->request_id, "l:installation_id", self->installation_id, "s:kind", self->kind, "l:attempt",
              self->attempts, "l:status", (int64_t)self->request.status, "s:why", self->request.error, NULL);
    call->deadline_ms = clock_monotonic_ms() + NOTE_WAIT_MS; /* what the apps took is not the database's fault */
    if (!arrived && self->attempts >= ATTEMPTS_MAX)
        return note_given_up(call, self);
    return note_end(call, self, arrived);
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

static int
claim(struct call *call, struct rows *rows)
{
    int64_t now_us = clock_now_us(), minute_us = 60 * US_PER_SECOND;

    return db_run(call, PUSH_CLAIM, rows, "tttttttlt", now_us, now_us + minute_us, now_us + 5 * minute_us,
                  now_us + 30 * minute_us, now_us + 120 * minute_us, now_us + 720 * minute_us, now_us + 720 * minute_us,
                  (int64_t)PUSHES_AT_ONCE, now_us + BUSY_S * US_PER_SECOND);
}

/* One that cannot be made (a key that does not open) must not hold up the others: it waits for its next attempt. */
static unsigned
prepare_all(struct call *call, const struct rows *rows, struct push *pushes, struct outbound_request **requests)
{
    unsigned count = 0;

    for (unsigned i = 0; i < rows->count && i < PUSHES_AT_ONCE; i++) {
        struct push *push = &pushes[count];
        int made;

        *push = (struct push){.installation_id = rows_int(rows, i, "installation_id"),
                              .generation = rows_int(rows, i, "generation"),
                              .attempts = rows_int(rows, i, "attempts"),
                              .busy_until_us = rows_time(rows, i, "busy_until"),
                              .kind = rows_text(rows, i, "kind")};
        made = prepare(call, push);
        if (made < 0 && db_in_transaction(call->db))
            db_rollback(call->db);
        if (made != 0 && note_end(call, push, made == 1))
            made = -1;
        if (made < 0 && db_in_transaction(call->db))
            db_rollback(call->db);
        if (made < 0)
            log_event(LOG_ERROR, "app_push_not_made", "s:request_id", call->request_id, "l:installation_id",
                      push->installation_id, NULL);
        if (made == 0)
            requests[count++] = &push->request;
    }
    return count;
}

static int
take_turn(struct call *call)
{
    struct push *pushes = arena_alloc(call->arena, PUSHES_AT_ONCE * sizeof *pushes);
    struct outbound_request *requests[PUSHES_AT_ONCE];
    struct rows rows;
    unsigned count;
    int failed = 0;

    if (claim(call, &rows))
        return -1;
    if (rows.count == 0)
        return ACTOR_DONE;
    count = prepare_all(call, &rows, pushes, requests);
    outbound_send(requests, count, ANSWER_WAIT_MS, call);
    for (unsigned i = 0; i < count; i++) {
        secret_wipe(pushes[i].body, sizeof pushes[i].body);
        if (note_result(call, &pushes[i])) {
            failed = -1;
            if (db_in_transaction(call->db))
                db_rollback(call->db);
        }
    }
    return failed ? -1 : ACTOR_AGAIN;
}

const struct actor_plan app_push_plan = {.name = "app-push", .turn = take_turn, .look_ms = 500, .turn_ms = 14000};

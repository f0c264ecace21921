/* app_push.c - claims what is due, makes the bodies, sends them side by side, notes what came of each. What is under
 * way goes on between the turns, so an app that is slow to answer holds up nobody. A claim already says when the next
 * attempt is due, so a process that is killed in between costs an attempt and no push.
 */
#include "app_push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps.h"
#include "audit.h"
#include "clock.h"
#include "log.h"
#include "outbound.h"
#include "statements.h"
#include "tokens.h"

#define PUSHES_AT_ONCE 64
#define CLAIMS_A_TURN  8
#define PUSHES_OF_APP  2     /* at once, so that one that never answers does not take all places */
#define ATTEMPTS_MAX   6     /* contract D.3 */
#define ANSWER_WAIT_MS 10000 /* of one attempt; SIGTERM cuts it short */
#define LOOK_MS        200   /* while answers are waited for: whether there is more to send */
#define NOTE_WAIT_MS   2000  /* what one note may take; a turn that has less left leaves it to the next */
#define BUSY_S         30    /* an attempt is over long before, unless its process was killed */
#define BODY_MAX       1024

enum state { PUSH_FREE, PUSH_UNDER_WAY, PUSH_OVER /* and not yet noted */ };

struct push {
    enum state state;
    int64_t installation_id, generation, attempts;
    int64_t store_id, app_id, busy_until_us;
    char kind[8]; /* "token" or "revoke" */
    char *url;
    struct outbound_request request;
    char body[BODY_MAX];
};

/* What a turn leaves to the next one. The actor's thread alone touches it. */
static struct {
    struct outbound *outbound; /* NULL: nothing is kept */
    struct push pushes[PUSHES_AT_ONCE];
    unsigned used;
} kept;

static struct push *
take_place(const struct rows *rows, unsigned row)
{
    struct push *push = kept.pushes;

    while (push->state != PUSH_FREE)
        push++;
    *push = (struct push){.state = PUSH_UNDER_WAY,
                          .installation_id = rows_int(rows, row, "installation_id"),
                          .generation = rows_int(rows, row, "generation"),
                          .attempts = rows_int(rows, row, "attempts"),
                          .busy_until_us = rows_time(rows, row, "busy_until")};
    snprintf(push->kind, sizeof push->kind, "%s", rows_text(rows, row, "kind"));
    push->request.owner = push;
    kept.used++;
    return push;
}

static void
leave_place(struct push *self)
{
    secret_wipe(self->body, sizeof self->body);
    free(self->url);
    self->url = NULL;
    self->state = PUSH_FREE;
    kept.used--;
}

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

/* The token's hash is committed before anybody can show it. 1: the push is no longer true. */
static int
prepare(struct call *call, struct push *self)
{
    uint8_t key[SIGNING_KEY_SIZE];
    struct token token = {0};
    struct rows target;
    const char *url;

    if (db_begin(call) ||
        db_run(call, PUSH_TARGET, &target, "lls", self->installation_id, self->generation, self->kind))
        return -1;
    if (target.count == 0)
        return db_commit(call) ? -1 : 1;
    if (app_open_signing_key(&target, key))
        return call_fail(call, FAIL_INTERNAL_ERROR, NULL, "the app's signing key cannot be opened");
    self->store_id = rows_int(&target, 0, "store_id");
    self->app_id = rows_int(&target, 0, "app_id");
    /* Made for one attempt: when it is over only the app has it. */
    if (strcmp(self->kind, "token") == 0 &&
        token_insert(call, self->installation_id, self->generation, ACCESS_TOKEN_S, &token))
        return -1;
    url = outbound_url(call->arena, rows_text(&target, 0, "webhook_url"), self->kind);
    self->url = url ? xstrdup(url) : NULL;
    self->request.url = self->url;
    write_body(self, &target, key, token.text);
    secret_wipe(key, sizeof key);
    if (token.text)
        secret_wipe(token.text, strlen(token.text));
    return db_commit(call);
}

/* ---- what came of it --------------------------------------------------------------------------------------------- */

static int
set_free(struct call *call, const struct push *self)
{
    return db_post(call, PUSH_SET_FREE, "llstt", self->installation_id, self->generation, self->kind,
                   self->busy_until_us, clock_now_us());
}

/* Whatever came of it, what was put in its place meanwhile waits for nothing now. Once more is no harm: a commit whose
 * answer was lost is noted again. */
static int
note_end(struct call *call, const struct push *self, bool is_over, bool is_given_up)
{
    struct rows rows = {0};

    if (db_begin(call) ||
        (is_over && db_run(call, PUSH_DONE, &rows, "lls", self->installation_id, self->generation, self->kind)))
        return -1;
    if (is_given_up && rows.affected &&
        audit_put(call, "app.push_failed", "installation", self->installation_id, self->store_id, self->app_id))
        return -1;
    if (set_free(call, self))
        return -1;
    return db_commit(call);
}

static int
note_result(struct call *call, const struct push *self)
{
    bool arrived = self->request.status >= 200 && self->request.status < 300;
    bool given_up = !arrived && self->attempts >= ATTEMPTS_MAX;

    if (note_end(call, self, arrived || given_up, given_up)) {
        if (db_in_transaction(call->db))
            db_rollback(call->db);
        return -1;
    }
    log_event(arrived ? LOG_INFO : LOG_WARN, arrived ? "app_push_arrived" : "app_push_failed", "s:request_id",
              call->request_id, "l:installation_id", self->installation_id, "s:kind", self->kind, "l:attempt",
              self->attempts, "l:status", (int64_t)self->request.status, "s:why", self->request.error, NULL);
    return 0;
}

/* What cannot be noted is tried again by the next turn, until others may take the attempt for lost. */
static int
note_results(struct call *call)
{
    for (struct push *push = kept.pushes; push < kept.pushes + PUSHES_AT_ONCE; push++) {
        if (push->state != PUSH_OVER || call->deadline_ms - clock_monotonic_ms() < NOTE_WAIT_MS)
            continue;
        if (note_result(call, push) && clock_now_us() < push->busy_until_us)
            return -1;
        leave_place(push);
    }
    return 0;
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

static int
claim(struct call *call, struct rows *rows)
{
    int64_t now_us = clock_now_us(), minute_us = 60 * US_PER_SECOND, places = PUSHES_AT_ONCE - kept.used;

    return db_run(call, PUSH_CLAIM, rows, "tttttttltl", now_us, now_us + minute_us, now_us + 5 * minute_us,
                  now_us + 30 * minute_us, now_us + 120 * minute_us, now_us + 720 * minute_us, now_us + 720 * minute_us,
                  places < CLAIMS_A_TURN ? places : CLAIMS_A_TURN, now_us + BUSY_S * US_PER_SECOND,
                  (int64_t)PUSHES_OF_APP);
}

/* One that cannot be made (a key that does not open) must not hold up the others: it waits for its next attempt. */
static void
send_one(struct call *call, struct push *push)
{
    int made = prepare(call, push);

    if (made < 0 && db_in_transaction(call->db))
        db_rollback(call->db);
    if (made == 0) {
        if (outbound_begin(kept.outbound, &push->request, ANSWER_WAIT_MS))
            push->state = PUSH_OVER;
        return;
    }
    if (note_end(call, push, made == 1, false)) {
        made = -1;
        if (db_in_transaction(call->db))
            db_rollback(call->db);
    }
    if (made < 0)
        log_event(LOG_ERROR, "app_push_not_made", "s:request_id", call->request_id, "l:installation_id",
                  push->installation_id, NULL);
    leave_place(push);
}

/* Waits for the first one, and takes all that are there. */
static void
take_answers(int64_t wait_ms)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;
    struct outbound_request *request;

    while ((request = outbound_take(kept.outbound, until_ms)) != NULL) {
        ((struct push *)request->owner)->state = PUSH_OVER;
        until_ms = 0;
    }
}

static int
take_turn(struct call *call)
{
    struct rows rows = {0};

    if (!kept.outbound)
        kept.outbound = outbound_new();
    take_answers(0); /* those that came while the database failed */
    if (note_results(call) || (kept.used < PUSHES_AT_ONCE && claim(call, &rows)))
        return -1;
    for (unsigned i = 0; i < rows.count; i++)
        send_one(call, take_place(&rows, i));
    if (kept.used == 0)
        return rows.count ? ACTOR_AGAIN : ACTOR_DONE;
    if (rows.count == CLAIMS_A_TURN)
        return ACTOR_AGAIN; /* there may be more */
    take_answers(LOOK_MS);
    return ACTOR_AGAIN;
}

/* What is under way is broken off; it counts as an attempt. */
static void
leave(struct call *call)
{
    outbound_destroy(&kept.outbound);
    for (struct push *push = kept.pushes; push < kept.pushes + PUSHES_AT_ONCE; push++) {
        if (push->state == PUSH_FREE)
            continue;
        if (push->state == PUSH_UNDER_WAY)
            snprintf(push->request.error, sizeof push->request.error, "broken off: the process ends");
        if (call->deadline_ms > clock_monotonic_ms())
            (void)!note_result(call, push);
        leave_place(push);
    }
}

const struct actor_plan app_push_plan = {
    .name = "app-push", .turn = take_turn, .leave = leave, .look_ms = 500, .turn_ms = 5000};

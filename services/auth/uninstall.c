/* uninstall.c - the steps, and the actor that takes them. What a step changes in this service's tables is one
 * transaction with the note that it is done. */
#include "uninstall.h"

#include "app_push.h"
#include "clock.h"
#include "log.h"
#include "outbox.h"
#include "statements.h"

#define HOLD_S      5 /* a row whose actor was killed is taken up again after this */
#define DELAY_MAX_S 60
#define REDACT_S    (48 * 3600) /* contract C.3 */

/* What a step answers beside -1. */
enum { STEP_DONE, STEP_WAITS /* the next one is due later */ };

struct saga {
    int64_t installation_id, generation, step, tries;
    int64_t store_id, app_id, created_us;
    const char *event_id, *event; /* of app.uninstalled; event is NULL when the outbox has had it */
};

static int
advance(struct call *call, const struct saga *self)
{
    return db_post(call, UNINSTALL_ADVANCE, "lll", self->installation_id, self->generation, self->step);
}

/* The app that got its token by a push is told in the same way that it ended. */
static int
tell_app(struct call *call, const struct saga *self)
{
    if (db_begin(call) ||
        db_post(call, PUSH_REVOKE_PUT, "llt", self->installation_id, self->generation, clock_now_us()) ||
        advance(call, self) || db_commit(call))
        return -1;
    actor_wake(app_push_plan.name);
    return STEP_DONE;
}

/* Asked again they do nothing for a generation that they have ended already, and webhooks drops an event that it has.
 */
static int
ask(struct call *call, const struct saga *self, const char *operation, bool event)
{
    struct call_question question;
    struct out *body = call_question(&question, event ? 7 : 4);
    struct in reply;

    out_key_int(body, "installation_id", self->installation_id);
    out_key_int(body, "generation", self->generation);
    out_key_int(body, "store_id", self->store_id);
    out_key_int(body, "app_id", self->app_id);
    if (event) {
        out_key_text(body, "event_id", self->event_id);
        out_key_int(body, "created_us", self->created_us);
        out_key_text(body, "data", self->event);
    }
    return call_ask(call, operation, &question, &reply);
}

static int
step_done(struct call *call, const struct saga *self)
{
    return db_begin(call) || advance(call, self) || db_commit(call) ? -1 : STEP_DONE;
}

/* Its subscriptions get app.uninstalled and from now on nothing but what belongs to the end. They are there once
 * webhooks has heard of the install: an end that overtook it would find nobody to tell. */
static int
webhooks_ending(struct call *call, const struct saga *self)
{
    struct rows rows;

    if (db_run(call, INSTALLATION_UNTOLD, &rows, "l", self->installation_id))
        return -1;
    if (rows_int(&rows, 0, "untold"))
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, "The outbox still holds something of the installation");
    return ask(call, self, "webhooks.installations.ending", self->event != NULL) ? -1 : step_done(call, self);
}

/* What billing cancels belongs to the end; it answers when webhooks has heard of it. Then everything has been said. */
static int
webhooks_ended(struct call *call, const struct saga *self)
{
    if (ask(call, self, "billing.installations.end", false) || ask(call, self, "webhooks.installations.ended", false))
        return -1;
    return step_done(call, self);
}

/* Nothing of this generation works or waits any more, anywhere. */
static int
finish(struct call *call, const struct saga *self)
{
    int64_t now_us = clock_now_us();

    if (db_begin(call) || db_post(call, INSTALLATION_FINISH, "llt", self->installation_id, self->generation, now_us) ||
        db_post(call, UNINSTALL_ADVANCE_LATER, "lllt", self->installation_id, self->generation, self->step,
                now_us + REDACT_S * US_PER_SECOND) ||
        db_commit(call))
        return -1;
    log_event(LOG_INFO, "uninstalled", "s:request_id", call->request_id, "l:installation_id", self->installation_id,
              "l:generation", self->generation, NULL);
    return STEP_WAITS;
}

/* The app is to forget what it knows of the store, unless it has been installed again meanwhile. Whoever deletes the
 * row tells it: of two processes that got here one. */
static int
redact(struct call *call, const struct saga *self)
{
    struct rows rows, row;

    if (db_begin(call) ||
        db_run(call, INSTALLATION_REDACT, &rows, "llt", self->installation_id, self->generation, clock_now_us()) ||
        db_run(call, UNINSTALL_DELETE, &row, "ll", self->installation_id, self->generation))
        return -1;
    if (rows.count && row.affected == 1 &&
        outbox_put(call, "shop/redact", rows_int(&rows, 0, "store_id"), "installation", self->installation_id,
                   str_of(rows_text(&rows, 0, "_event"))))
        return -1;
    return db_commit(call);
}

/* In the order of contract C.3. A row of table uninstall says how many of them are done. */
static int (*const steps[])(struct call *call, const struct saga *saga) = {tell_app, webhooks_ending, webhooks_ended,
                                                                           finish, redact};

/* Tried again soon at first, then once a minute, for ever. The hold stays if even this cannot be written. */
static int
delay(struct call *call, const struct saga *self)
{
    int64_t delay_s = self->tries < 6 ? INT64_C(1) << self->tries : DELAY_MAX_S;
    struct rows rows;

    if (db_in_transaction(call->db))
        db_rollback(call->db);
    log_event(LOG_WARN, "uninstall_delayed", "s:request_id", call->request_id, "l:installation_id",
              self->installation_id, "l:step", self->step, "l:tries", self->tries, "l:delay_s", delay_s, NULL);
    return db_run(call, UNINSTALL_DELAY, &rows, "lllt", self->installation_id, self->generation, self->tries,
                  clock_now_us() + delay_s * US_PER_SECOND);
}

static int
take_turn(struct call *call)
{
    int64_t now_us = clock_now_us();
    struct saga saga;
    struct rows rows;

    if (db_run(call, UNINSTALL_CLAIM, &rows, "tt", now_us, now_us + HOLD_S * US_PER_SECOND))
        return -1;
    if (rows.count == 0)
        return ACTOR_DONE;
    saga = (struct saga){
        rows_int(&rows, 0, "installation_id"), rows_int(&rows, 0, "generation"), rows_int(&rows, 0, "step"),
        rows_int(&rows, 0, "tries"),           rows_int(&rows, 0, "store_id"),   rows_int(&rows, 0, "app_id"),
        rows_time(&rows, 0, "created_at"),     rows_text(&rows, 0, "event_id"),  rows_text(&rows, 0, "event")};
    for (; saga.step < (int64_t)ARRAY_COUNT(steps); saga.step++) {
        int rc = steps[saga.step](call, &saga);

        if (rc < 0 && delay(call, &saga))
            return -1;
        if (rc != STEP_DONE)
            break;
    }
    return ACTOR_AGAIN;
}

const struct actor_plan uninstall_plan = {.name = "uninstall", .turn = take_turn, .look_ms = 250, .turn_ms = 10000};

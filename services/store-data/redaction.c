/* redaction.c - the steps, the actor that takes them, and the operations that ask for it.
 *
 * The customer comes first: no further order can be placed for them, and those that are being placed are waited for. So
 * what the later steps look for does not grow any more. What each step leaves: order number, items, amounts, status and
 * times. A whole store's imports come before it, and all steps are taken again until a pass has found nothing.
 */
#include "redaction.h"

#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "statements.h"
#include "store_data_operations.h"

/* Rows of a batch: far below STATEMENT_WAIT_MS, also on a busy machine. */
#define CUSTOMERS_BATCH  200
#define ORDERS_BATCH     200
#define APP_EVENTS_BATCH 500
#define EVENTS_BATCH     1000
#define ANSWERS_BATCH    100
#define PIECES_BATCH     40
#define RESULTS_BATCH    200
#define KEYS_BATCH       1000
#define USES_BATCH       200

#define DELAY_MAX_S 60
#define STORE_WHOLE 0        /* user_id: everybody */
#define HIDDEN      "hidden" /* after_key of redact_customers */

struct redaction {
    int64_t store_id, user_id, step, after_id, tries;
    const char *after_key;
    const char *phone, *email; /* how the customer could be reached; NULL when not at all */
    int64_t pass, found;       /* what this pass has found */
    int64_t orders;            /* erased by this batch */
    bool step_done;
};

/* A page of ids has been looked for: where the next one begins, and whether there is one. */
static const char *
page_ids(struct redaction *self, const struct rows *page, unsigned batch)
{
    self->after_id = rows_int(page, 0, "last");
    self->found += rows_int(page, 0, "found");
    self->step_done = rows_int(page, 0, "count") < batch;
    return rows_text(page, 0, "ids");
}

/* Their lines are other people's names and addresses on the way into the tables that the next steps empty. */
static int
redact_imports(struct call *call, struct redaction *self)
{
    int64_t store_id = self->store_id;
    struct rows turn, ended, pieces, results, keys;

    if (db_run(call, REDACT_IMPORTS_LOCK, &turn, "l", store_id) ||
        db_run(call, REDACT_IMPORTS_END, &ended, "lt", store_id, clock_now_us()) ||
        db_run(call, REDACT_IMPORTS_PIECES, &pieces, "ll", store_id, (int64_t)PIECES_BATCH) ||
        db_run(call, REDACT_IMPORTS_RESULTS, &results, "ll", store_id, (int64_t)RESULTS_BATCH) ||
        db_run(call, REDACT_IMPORTS_KEYS, &keys, "ll", store_id, (int64_t)KEYS_BATCH))
        return -1;
    self->found += (int64_t)ended.affected + pieces.affected + results.affected + keys.affected;
    self->step_done = pieces.affected < PIECES_BATCH && results.affected < RESULTS_BATCH && keys.affected < KEYS_BATCH;
    return 0;
}

/* First nobody finds them any more, in a transaction of its own; then they are emptied. */
static int
redact_customers(struct call *call, struct redaction *self)
{
    int64_t store_id = self->store_id, after_id = self->after_id, found = self->found;
    struct rows rows;
    const char *ids;

    if (self->user_id == STORE_WHOLE) {
        if (db_run(call, REDACT_CUSTOMERS_PAGE, &rows, "lll", store_id, after_id, (int64_t)CUSTOMERS_BATCH))
            return -1;
        ids = page_ids(self, &rows, CUSTOMERS_BATCH);
    } else {
        self->step_done = true;
        ids = arena_printf(call->arena, "{%" PRId64 "}", self->user_id);
    }
    if (!ids)
        return 0;
    if (strcmp(self->after_key, HIDDEN) != 0) {
        self->after_id = after_id;
        self->found = found;
        self->after_key = HIDDEN;
        self->step_done = false;
        return db_post(call, REDACT_CUSTOMERS_HIDE, "lst", store_id, ids, clock_now_us());
    }
    self->after_key = "";
    return db_run(call, REDACT_CUSTOMERS_LOCK, &rows, "ls", store_id, ids) ||
                   db_post(call, REDACT_CUSTOMERS, "lst", store_id, ids, clock_now_us()) ||
                   db_post(call, REDACT_METAFIELDS, "lss", store_id, "c", ids) ||
                   db_post(call, REDACTION_TELL, "lsst", store_id, "customer", ids, clock_now_us())
               ? -1
               : 0;
}

static int
empty_orders(struct call *call, int64_t store_id, const char *ids)
{
    struct rows rows;

    if (!ids)
        return 0;
    return db_run(call, REDACT_ORDERS_LOCK, &rows, "ls", store_id, ids) ||
                   db_post(call, REDACT_ORDERS, "ls", store_id, ids) ||
                   db_post(call, REDACT_HISTORY, "ls", store_id, ids) ||
                   db_post(call, REDACT_METAFIELDS, "lss", store_id, "o", ids) ||
                   db_post(call, REDACTION_TELL, "lsst", store_id, "order", ids, clock_now_us())
               ? -1
               : 0;
}

static int
redact_orders(struct call *call, struct redaction *self)
{
    int64_t store_id = self->store_id, batch = ORDERS_BATCH;
    struct rows rows;

    if (self->user_id == STORE_WHOLE
            ? db_run(call, REDACT_STORE_ORDERS_PAGE, &rows, "lll", store_id, self->after_id, batch)
            : db_run(call, REDACT_ORDERS_PAGE, &rows, "llll", store_id, self->after_id, batch, self->user_id))
        return -1;
    self->orders = self->pass == 0 ? rows_int(&rows, 0, "count") : 0;
    return empty_orders(call, store_id, page_ids(self, &rows, ORDERS_BATCH));
}

/* Orders that were placed without an account, for the same phone or e-mail. */
static int
redact_guest_orders(struct call *call, struct redaction *self)
{
    int64_t store_id = self->store_id, batch = ORDERS_BATCH;
    struct rows rows;

    self->step_done = true;
    if (!self->phone && !self->email)
        return 0;
    if (db_run(call, REDACT_GUEST_ORDERS_PAGE, &rows, "lllss", store_id, self->after_id, batch, self->phone,
               self->email))
        return -1;
    self->orders = rows_int(&rows, 0, "count");
    return empty_orders(call, store_id, page_ids(self, &rows, ORDERS_BATCH));
}

/* Found by what is erased here. */
static int
redact_code_uses(struct call *call, struct redaction *self)
{
    struct rows rows;

    if (db_run(call, REDACT_CODE_USES, &rows, "lssl", self->store_id, self->phone, self->email, (int64_t)USES_BATCH))
        return -1;
    self->step_done = rows.affected < USES_BATCH;
    return 0;
}

static int
redact_store_app_events(struct call *call, struct redaction *self)
{
    struct rows rows;

    if (db_run(call, REDACT_STORE_APP_EVENTS, &rows, "llsl", self->store_id, self->after_id, self->after_key,
               (int64_t)APP_EVENTS_BATCH))
        return -1;
    self->step_done = rows.count == 0 || rows_int(&rows, 0, "count") < APP_EVENTS_BATCH;
    if (rows.count > 0) {
        self->found += rows_int(&rows, 0, "found");
        self->after_id = rows_int(&rows, 0, "app_id");
        self->after_key = rows_text(&rows, 0, "key");
    }
    return 0;
}

/* Of a customer, what is erased is not found again, so there is no position. */
static int
redact_app_events(struct call *call, struct redaction *self)
{
    struct rows rows;

    if (self->user_id == STORE_WHOLE)
        return redact_store_app_events(call, self);
    if (db_run(call, REDACT_APP_EVENTS, &rows, "lll", self->store_id, self->user_id, (int64_t)APP_EVENTS_BATCH))
        return -1;
    self->step_done = rows.affected < APP_EVENTS_BATCH;
    return 0;
}

/* Whoever changed an order or a customer had locked it, so that their event was there before the step that erased the
 * row; later events are written from what was left of it. */
static int
redact_events(struct call *call, struct redaction *self)
{
    struct rows rows;

    if (db_run(call, REDACT_OUTBOX, &rows, "llllss", self->store_id, self->user_id, self->after_id,
               (int64_t)EVENTS_BATCH, self->phone, self->email))
        return -1;
    self->after_id = rows_int(&rows, 0, "last");
    self->step_done = rows_int(&rows, 0, "count") < EVENTS_BATCH;
    return 0;
}

static int
redact_answers(struct call *call, struct redaction *self)
{
    struct rows rows;

    if (db_run(call, REDACT_ANSWERS, &rows, "lllslss", self->store_id, self->user_id, self->after_id, self->after_key,
               (int64_t)ANSWERS_BATCH, self->phone, self->email))
        return -1;
    self->step_done = rows.count == 0 || rows_int(&rows, 0, "count") < ANSWERS_BATCH;
    if (rows.count > 0) {
        self->after_id = rows_int(&rows, 0, "app_id");
        self->after_key = rows_text(&rows, 0, "key");
    }
    return 0;
}

/* A row of table redaction says how many of them are done. */
static int (*const steps[])(struct call *call, struct redaction *self) = {
    redact_imports,   redact_customers,  redact_orders, redact_guest_orders,
    redact_code_uses, redact_app_events, redact_events, redact_answers};

/* One batch and the note about it, in the transaction that holds the row. */
static int
advance(struct call *call, struct redaction *self)
{
    bool last;

    if (steps[self->step](call, self))
        return -1;
    if (self->step_done) {
        self->step++;
        self->after_id = 0;
        self->after_key = "";
    }
    last = self->step == (int64_t)ARRAY_COUNT(steps);
    if (last && self->user_id == STORE_WHOLE && self->found > 0) {
        last = false;
        self->step = 0;
        self->pass++;
        self->found = 0;
    }
    if (db_post(call, REDACTION_ADVANCE, "llllsltbll", self->store_id, self->user_id, self->step, self->after_id,
                self->after_key, self->orders, clock_now_us(), (int)last, self->pass, self->found) ||
        db_commit(call))
        return -1;
    if (last)
        log_event(LOG_INFO, "redacted", "s:request_id", call->request_id, "l:store_id", self->store_id, "l:customer_id",
                  self->user_id, NULL);
    return 0;
}

/* Tried again soon at first, then once a minute, for ever; meanwhile others are erased. */
static int
delay(struct call *call, const struct redaction *self)
{
    int64_t delay_s = self->tries < 6 ? INT64_C(1) << self->tries : DELAY_MAX_S;
    struct rows rows;

    if (db_in_transaction(call->db))
        db_rollback(call->db);
    log_event(LOG_WARN, "redaction_delayed", "s:request_id", call->request_id, "l:store_id", self->store_id,
              "l:customer_id", self->user_id, "l:step", self->step, "l:tries", self->tries, NULL);
    return db_run(call, REDACTION_DELAY, &rows, "llt", self->store_id, self->user_id,
                  clock_now_us() + delay_s * US_PER_SECOND);
}

static int
take_turn(struct call *call)
{
    struct redaction self;
    struct rows rows;

    if (db_begin(call) || db_run(call, REDACTION_TAKE, &rows, "t", clock_now_us()))
        return -1;
    if (rows.count == 0) {
        db_rollback(call->db);
        return ACTOR_DONE;
    }
    self = (struct redaction){.store_id = rows_int(&rows, 0, "store_id"),
                              .user_id = rows_int(&rows, 0, "user_id"),
                              .step = rows_int(&rows, 0, "step"),
                              .after_id = rows_int(&rows, 0, "after_id"),
                              .after_key = rows_text(&rows, 0, "after_key"),
                              .tries = rows_int(&rows, 0, "tries"),
                              .pass = rows_int(&rows, 0, "pass"),
                              .found = rows_int(&rows, 0, "found"),
                              .phone = rows_text(&rows, 0, "phone"),
                              .email = rows_text(&rows, 0, "email")};
    if (self.user_id != STORE_WHOLE && self.step == 0) /* imports are a store's: the customer is emptied at once */
        self.step = 1;
    if (advance(call, &self) && delay(call, &self))
        return -1;
    return ACTOR_AGAIN;
}

const struct actor_plan redaction_plan = {.name = "redaction", .turn = take_turn, .look_ms = 500, .turn_ms = 5000};

/* ---- operations -------------------------------------------------------------------------------------------------- */

static int
request(struct call *call, int64_t store_id, int64_t user_id)
{
    int64_t asked_us = in_time(call->in, "body.asked_at", 0);
    struct rows rows;

    if (db_begin(call) ||
        db_run(call, REDACTION_PUT, &rows, "llTt", store_id, user_id, asked_us ? &asked_us : NULL, clock_now_us()) ||
        db_run(call, REDACTION_GET, &rows, "ll", store_id, user_id) || db_commit(call))
        return -1;
    actor_wake(redaction_plan.name);
    return call_reply_row(call, 200, &rows, 0);
}

int
customers_redact(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0), user_id = in_int(call->in, "body.customer_id", 0);
    struct rows rows;

    if (db_run(call, CUSTOMER_CONTACT, &rows, "ll", store_id, user_id))
        return -1;
    if (rows.count > 0)
        return request(call, store_id, user_id);
    if (db_run(call, REDACTION_NOTHING, &rows, "llt", store_id, user_id, clock_now_us()))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
stores_redact(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0);
    struct rows rows;

    if (db_run(call, STORE_GET, &rows, "l", store_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "store_id", "No such store");
    return request(call, store_id, STORE_WHOLE);
}

/* privacy_work.c - the actor behind privacy requests: tells them, and has what is to be forgotten erased.
 *
 * Apps know a customer by e-mail and phone (contract D.2), which are not auth's to keep: they are asked of store-data
 * when the event is written, and live here in the outbox until it has been published. Only then is store-data told to
 * erase, which it does in its own time and answers how far it is; it is asked until it is done, and then webhooks,
 * which has heard of it from store-data. A row is put off before it is worked on, every step may be taken twice, and
 * failures are tried again for ever.
 */
#include "privacy_work.h"

#include <string.h>

#include "clock.h"
#include "log.h"
#include "outbox.h"
#include "statements.h"

#define EVENT_MAX   2048
#define HOLD_S      5 /* a row whose actor was killed is taken up again after this */
#define LOOK_S      1 /* between two looks at an erasing that goes on */
#define DELAY_MAX_S 60

struct wish {
    int64_t id, store_id, customer_id, created_us, tries;
    bool redact, told;
};

static struct str
event_data(struct call *call, const struct wish *self, struct in contact)
{
    struct buf buf;
    struct out out;
    struct str json;

    buf_init(&buf, EVENT_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_map(&out, 4);
    out_key(&out, "privacy_request_id");
    out_int(&out, self->id);
    out_key(&out, "store_id");
    out_int(&out, self->store_id);
    out_key(&out, "customer");
    out_map(&out, 3);
    out_key(&out, "id");
    out_int(&out, self->customer_id);
    out_key_text(&out, "email", in_text(contact, "email"));
    out_key_text(&out, "phone", in_text(contact, "phone"));
    out_key(&out, self->redact ? "redact_requested_at" : "requested_at");
    out_time(&out, self->created_us);
    json = (struct str){arena_strndup(call->arena, buf.data, buf.size), buf.size};
    buf_free(&buf);
    return json;
}

static int
ask(struct call *call, const struct wish *self, const char *operation, struct in *reply)
{
    bool redact = strcmp(operation, "store-data.customers.redact") == 0;
    struct call_question question;
    struct out *body = call_question(&question, 2 + redact);

    out_key_int(body, "store_id", self->store_id);
    out_key_int(body, "customer_id", self->customer_id);
    if (redact) {
        out_key(body, "asked_at");
        out_time(body, self->created_us);
    }
    return call_ask(call, operation, &question, reply);
}

/* Of two processes that got here one tells it. */
static int
tell(struct call *call, const struct wish *self)
{
    const char *topic = self->redact ? "customers/redact" : "customers/data_request";
    struct rows rows;
    struct in contact;

    if (ask(call, self, "store-data.customers.contact", &contact) || db_begin(call) ||
        db_run(call, PRIVACY_TOLD, &rows, "ltb", self->id, clock_now_us(), (int)!self->redact))
        return -1;
    if (rows.count > 0 &&
        outbox_put(call, topic, self->store_id, "customer", self->customer_id, event_data(call, self, contact)))
        return -1;
    return db_commit(call);
}

static bool
is_completed(struct in reply)
{
    const char *status = in_text(reply, "status");

    return status && strcmp(status, "completed") == 0;
}

static int
erase(struct call *call, const struct wish *self)
{
    int64_t now_us = clock_now_us();
    struct in reply;
    struct rows rows;

    if (ask(call, self, "store-data.customers.redact", &reply) ||
        (is_completed(reply) && ask(call, self, "webhooks.redactions.read", &reply)))
        return -1;
    if (!is_completed(reply))
        return db_run(call, PRIVACY_LATER, &rows, "ltl", self->id, now_us + LOOK_S * US_PER_SECOND, INT64_C(0));
    return db_run(call, PRIVACY_DONE, &rows, "lt", self->id, clock_now_us());
}

/* Tried again soon at first, then once a minute, for ever; what others asked for goes on. */
static int
delay(struct call *call, const struct wish *self)
{
    int64_t delay_s = self->tries < 6 ? INT64_C(1) << self->tries : DELAY_MAX_S;
    struct rows rows;

    if (db_in_transaction(call->db))
        db_rollback(call->db);
    log_event(LOG_WARN, "privacy_delayed", "s:request_id", call->request_id, "l:privacy_request_id", self->id,
              "l:tries", self->tries, "l:delay_s", delay_s, NULL);
    return db_run(call, PRIVACY_LATER, &rows, "ltl", self->id, clock_now_us() + delay_s * US_PER_SECOND, self->tries);
}

static int
take_turn(struct call *call)
{
    int64_t now_us = clock_now_us();
    struct wish self;
    struct rows rows;

    if (db_run(call, PRIVACY_TAKE, &rows, "tt", now_us, now_us + HOLD_S * US_PER_SECOND))
        return -1;
    if (rows.count == 0)
        return ACTOR_DONE;
    self = (struct wish){.id = rows_int(&rows, 0, "privacy_request_id"),
                         .store_id = rows_int(&rows, 0, "store_id"),
                         .customer_id = rows_int(&rows, 0, "customer_id"),
                         .created_us = rows_time(&rows, 0, "created_at"),
                         .tries = rows_int(&rows, 0, "tries"),
                         .redact = strcmp(rows_text(&rows, 0, "kind"), "redact") == 0,
                         .told = !rows_is_null(&rows, 0, "told_at")};
    if (((!self.told && tell(call, &self)) || (self.redact && erase(call, &self))) && delay(call, &self))
        return -1;
    return ACTOR_AGAIN;
}

const struct actor_plan privacy_plan = {.name = "privacy", .turn = take_turn, .look_ms = 500, .turn_ms = 4000};

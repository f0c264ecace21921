/* usage_bill.c - what was used is collected in a bill. At the month's end it becomes one charge, or goes on for another
 * month when it is below the smallest charge (contract K.5).
 */
#include "usage_bill.h"

#include "outbox.h"
#include "period.h"
#include "statements.h"
#include "subscription.h"
#include "text.h"
#include "usage.h"

static void
take(struct usage_bill *self, const struct rows *rows)
{
    *self = (struct usage_bill){
        .id = rows_int(rows, 0, "usage_bill_id"),
        .store_id = rows_int(rows, 0, "store_id"),
        .app_id = rows_int(rows, 0, "app_id"),
        .installation_id = rows_int(rows, 0, "installation_id"),
        .generation = rows_int(rows, 0, "generation"),
        .starts_us = rows_time(rows, 0, "starts_at"),
        .ends_us = rows_time(rows, 0, "ends_at"),
        .used = rows_int(rows, 0, "used"),
        .capped_amount = rows_int(rows, 0, "capped_amount"),
        .told = rows_int(rows, 0, "told"),
        .amount = rows_int(rows, 0, "amount"),
        .platform = rows_int(rows, 0, "platform_amount"),
        .currency = rows_text(rows, 0, "currency"),
        .is_due = !rows_is_null(rows, 0, "due_at"),
    };
    if (self->is_due)
        self->due_us = rows_time(rows, 0, "due_at");
}

static int
set(struct call *call, const struct usage_bill *self)
{
    return db_post(call, USAGE_BILL_SET, "lttlllll", self->id, self->starts_us, self->ends_us, self->used,
                   self->capped_amount, self->told, self->amount, self->platform);
}

int
usage_bill_write(struct call *call, struct usage_bill *self)
{
    static const int64_t parts[] = {50, 80, 100};
    int64_t told = self->told;
    struct rows rows;

    for (unsigned i = 0; self->capped_amount && i < ARRAY_COUNT(parts); i++)
        if (self->used * 100 >= self->capped_amount * parts[i] && parts[i] > self->told)
            self->told = parts[i];
    if (set(call, self))
        return -1;
    for (unsigned i = 0; i < ARRAY_COUNT(parts); i++) {
        if (parts[i] <= told || parts[i] > self->told)
            continue;
        if (db_run(call, USAGE_EVENT, &rows, "ll", self->id, parts[i]) ||
            outbox_put(call, "usage.threshold_reached", self->store_id, "usage_bill", self->id,
                       str_of(rows_text(&rows, 0, "data"))))
            return -1;
    }
    return 0;
}

/* The shares of its usage charges add up to the charge's. */
static int
charge_for(struct call *call, const struct usage_bill *self, const struct terms *terms, int64_t now_us,
           int64_t *charge_id)
{
    char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
    struct charge_new charge = {
        .store_id = self->store_id,
        .app_id = self->app_id,
        .installation_id = self->installation_id,
        .generation = self->generation,
        .type = "usage",
        .name = "Usage",
        .currency = self->currency,
        .terms = *terms,
        .fees = {self->amount, self->amount, self->platform, 0, self->amount - self->platform},
        .now_us = now_us,
        .expires_us = now_us + GRACE_US,
    };

    charge.terms.payer = FEE_PAYER_DEVELOPER;
    charge.terms.gateway_rate = 0;
    text_from_time(from, self->starts_us);
    text_from_time(to, self->ends_us - 1);
    charge.description = arena_printf(call->arena, "%.10s to %.10s", from, to);
    if (charge_insert(call, &charge, charge_id))
        return -1;
    return charge_event(call, "charge.created", *charge_id);
}

/* Its month is over: 1 when it has become a charge, 0 when it goes on in the month of now_us. */
static int
close_month(struct call *call, struct usage_bill *self, int64_t now_us)
{
    struct terms terms;
    int64_t charge_id;

    if (terms_of(call, self->app_id, self->currency, &terms))
        return -1;
    if (self->amount >= terms.smallest) {
        if (charge_for(call, self, &terms, now_us, &charge_id) ||
            db_post(call, USAGE_BILL_CLOSE, "ll", self->id, charge_id))
            return -1;
        return 1;
    }
    self->starts_us = month_begin(now_us, 0);
    self->ends_us = month_begin(now_us, 1);
    self->used = self->told = 0;
    return set(call, self);
}

/* ---- the caller's ------------------------------------------------------------------------------------------------ */

static int
open_or_make(struct call *call, struct usage_bill *self, const char *currency, int64_t now_us)
{
    const struct identity *caller = &call->caller;
    struct rows rows;

    if (db_run(call, USAGE_BILL_OPEN, &rows, "ls", caller->installation_id, currency))
        return -1;
    if (rows.count == 0 &&
        (db_post(call, USAGE_BILL_MAKE, "llllstt", caller->store_id, caller->app_id, caller->installation_id,
                 caller->generation, currency, month_begin(now_us, 0), month_begin(now_us, 1)) ||
         db_run(call, USAGE_BILL_OPEN, &rows, "ls", caller->installation_id, currency)))
        return -1;
    if (rows.count == 0) /* made by one who closed it again meanwhile */
        return call_fail(call, FAIL_CONFLICT, NULL, NULL);
    take(self, &rows);
    return 0;
}

int
usage_bill_open(struct call *call, struct usage_bill *self, const char *currency, int64_t now_us)
{
    int closed;

    if (open_or_make(call, self, currency, now_us))
        return -1;
    if (now_us < self->ends_us)
        return 0;
    closed = close_month(call, self, now_us);
    return closed <= 0 ? closed : open_or_make(call, self, currency, now_us);
}

/* ---- what is due, and the end ------------------------------------------------------------------------------------ */

int
usage_settle(struct call *call, int64_t usage_bill_id, int64_t now_us)
{
    struct rows rows, installation;
    struct usage_bill self;

    if (db_run(call, USAGE_BILL_PEEK, &rows, "l", usage_bill_id) ||
        db_run(call, INSTALLATION_SHARE, &installation, "ll", rows_int(&rows, 0, "installation_id"),
               rows_int(&rows, 0, "generation")) ||
        db_run(call, USAGE_BILL_LOCK, &rows, "l", usage_bill_id))
        return -1;
    if (rows.count == 0 || rows_int(&installation, 0, "over"))
        return 0;
    take(&self, &rows);
    if (!self.is_due || self.due_us > now_us)
        return 0;
    return close_month(call, &self, now_us) < 0 ? -1 : 1;
}

int
usage_end(struct call *call, int64_t installation_id, int64_t generation)
{
    return db_post(call, USAGE_BILLS_END, "ll", installation_id, generation);
}

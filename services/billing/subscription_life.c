/* subscription_life.c - what becomes of a subscription: paid, not paid, due, cancelled. The only place that changes its
 * row.
 *
 *   pending --paid--> active --three days before the period's end: a charge, subscription.renewal_pending--> active
 *   active  --paid: the next period   --declined or cancelled: until the period's end   --expired: cancelled
 */
#include <string.h>

#include "clock.h"
#include "period.h"
#include "statements.h"
#include "store_clock.h"
#include "subscription.h"
#include "usage.h"

struct subscription {
    int64_t id, store_id, app_id, installation_id, generation, base_amount, charge_id, anchor_us, periods, ends_us,
        due_us;
    const char *name, *description, *currency, *return_url, *metadata, *status, *reason;
    enum interval interval;
    bool leaves, has_anchor, is_due;
};

static int
lock(struct call *call, int64_t subscription_id, struct subscription *self)
{
    struct rows rows;

    if (db_run(call, SUBSCRIPTION_LOCK, &rows, "l", subscription_id))
        return -1;
    *self = (struct subscription){
        .id = subscription_id,
        .store_id = rows_int(&rows, 0, "store_id"),
        .app_id = rows_int(&rows, 0, "app_id"),
        .installation_id = rows_int(&rows, 0, "installation_id"),
        .generation = rows_int(&rows, 0, "generation"),
        .base_amount = rows_int(&rows, 0, "base_amount"),
        .charge_id = rows_int(&rows, 0, "charge_id"),
        .anchor_us = rows_time(&rows, 0, "anchor_at"),
        .periods = rows_int(&rows, 0, "periods"),
        .ends_us = rows_time(&rows, 0, "period_ends_at"),
        .due_us = rows_time(&rows, 0, "due_at"),
        .name = rows_text(&rows, 0, "name"),
        .description = rows_text(&rows, 0, "description"),
        .currency = rows_text(&rows, 0, "currency"),
        .return_url = rows_text(&rows, 0, "return_url"),
        .metadata = rows_text(&rows, 0, "metadata"),
        .status = rows_text(&rows, 0, "status"),
        .reason = rows_text(&rows, 0, "reason"),
        .interval = strcmp(rows_text(&rows, 0, "billing_interval"), "yearly") == 0 ? INTERVAL_YEARLY : INTERVAL_MONTHLY,
        .leaves = rows_int(&rows, 0, "cancel_at_period_end"),
        .has_anchor = !rows_is_null(&rows, 0, "anchor_at"),
        .is_due = !rows_is_null(&rows, 0, "due_at"),
    };
    return 0;
}

static bool
is_over(const struct subscription *self)
{
    return strcmp(self->status, "cancelled") == 0;
}

/* Apps hear of it by the payment that was active until now; where there was none and its last charge's own end was no
 * word of it, by that charge. */
static int
end(struct call *call, const struct subscription *self, const char *reason, int64_t now_us, bool told)
{
    int64_t charge_id = self->charge_id;
    struct rows over;

    if (db_post(call, SUBSCRIPTION_END, "lst", self->id, reason, now_us) ||
        db_run(call, SUBSCRIPTION_OVER, &over, "llts", self->id, INT64_C(0), now_us, reason))
        return -1;
    if (over.count)
        charge_id = rows_int(&over, 0, "charge_id");
    return over.count || !told ? charge_event(call, "charge.cancelled", charge_id) : 0;
}

static int
leave(struct call *call, const struct subscription *self, const char *reason)
{
    return db_post(call, SUBSCRIPTION_LEAVE, "ls", self->id, reason);
}

int
subscription_paid(struct call *call, const struct charge *charge, int64_t now_us)
{
    struct subscription self;
    struct rows over;
    int64_t ends_us;

    if (lock(call, charge->subscription_id, &self))
        return -1;
    if (!self.has_anchor)
        self.anchor_us = now_us;
    ends_us = period_begin(self.anchor_us, self.interval, self.periods + 1);
    if (db_post(call, SUBSCRIPTION_PAID, "lltltttt", self.id, charge->charge_id, self.anchor_us, self.periods + 1,
                period_begin(self.anchor_us, self.interval, self.periods), ends_us, ends_us - NOTICE_US, now_us))
        return -1;
    return db_run(call, SUBSCRIPTION_OVER, &over, "llts", self.id, charge->charge_id, now_us, NULL);
}

int
subscription_unpaid(struct call *call, const struct charge *charge, const char *reason, int64_t now_us)
{
    bool expired = strcmp(charge->status, "expired") == 0;
    struct subscription self;

    if (lock(call, charge->subscription_id, &self))
        return -1;
    if (is_over(&self) || self.charge_id != charge->charge_id)
        return 0;
    if (expired)
        reason = self.periods ? "payment_overdue" : "expired";
    else if (!reason)
        reason = charge->status;
    if (expired || strcmp(self.status, "pending") == 0 || now_us >= self.ends_us)
        return end(call, &self, reason, now_us, true);
    return leave(call, &self, reason);
}

/* The pending charge first: then nobody can pay for a period that will not be. */
static int
lock_charge(struct call *call, int64_t charge_id, struct charge *charge, bool *pending)
{
    if (charge_lock(call, charge_id, charge))
        return -1;
    *pending = strcmp(charge->status, "pending") == 0;
    return 0;
}

int
subscription_cancel(struct call *call, int64_t subscription_id, bool at_period_end, const char *reason)
{
    struct subscription self;
    struct charge charge;
    int64_t now_us;
    struct rows rows;
    bool pending;

    if (db_run(call, SUBSCRIPTION_PEEK, &rows, "l", subscription_id) ||
        lock_charge(call, rows_int(&rows, 0, "charge_id"), &charge, &pending) ||
        (pending && charge_end(call, &charge, "cancelled", reason)) || lock(call, subscription_id, &self) ||
        store_now(call, self.store_id, &now_us))
        return -1;
    if (self.charge_id != charge.charge_id)
        return call_fail(call, FAIL_CONFLICT, NULL, "The subscription is being renewed; ask again");
    if (is_over(&self))
        return 0;
    if (at_period_end && now_us < self.ends_us)
        return leave(call, &self, reason);
    return end(call, &self, reason, now_us, pending);
}

/* ---- what is due ------------------------------------------------------------------------------------------------- */

/* The next period's payment, by the terms of today: 1, or 0 when they leave the developer nothing. It may be late by
 * seven days, however late it was asked for. */
static int
ask_payment(struct call *call, struct subscription *self, int64_t now_us)
{
    struct charge_new charge = {
        .store_id = self->store_id,
        .app_id = self->app_id,
        .installation_id = self->installation_id,
        .generation = self->generation,
        .type = "recurring",
        .name = self->name,
        .description = self->description,
        .currency = self->currency,
        .return_url = self->return_url,
        .metadata = str_of(self->metadata),
        .subscription_id = self->id,
        .now_us = now_us,
        .expires_us = (self->ends_us > now_us ? self->ends_us : now_us) + GRACE_US,
    };

    if (terms_of(call, self->app_id, self->currency, &charge.terms))
        return -1;
    if (fees_split(&charge.fees, self->base_amount, charge.terms.payer, charge.terms.commission_rate,
                   charge.terms.gateway_rate))
        return 0;
    if (charge_insert(call, &charge, &self->charge_id) || charge_event(call, "charge.created", self->charge_id))
        return -1;
    return 1;
}

static int
renew(struct call *call, struct subscription *self, bool pending, int64_t now_us)
{
    int asked = pending ? 1 : ask_payment(call, self, now_us); /* a trial's has been asked for from the beginning */

    if (asked <= 0)
        return asked < 0 ? -1 : leave(call, self, "no_terms");
    if (db_post(call, SUBSCRIPTION_WAIT, "ll", self->id, self->charge_id))
        return -1;
    return charge_event(call, "subscription.renewal_pending", self->charge_id);
}

/* An installation that has ended meanwhile takes its subscriptions along. */
int
subscription_renew(struct call *call, int64_t subscription_id, int64_t now_us)
{
    struct subscription self;
    struct charge charge;
    struct rows rows, installation;
    bool pending;
    int rc;

    if (db_run(call, SUBSCRIPTION_PEEK, &rows, "l", subscription_id) ||
        db_run(call, INSTALLATION_SHARE, &installation, "ll", rows_int(&rows, 0, "installation_id"),
               rows_int(&rows, 0, "generation")) ||
        lock_charge(call, rows_int(&rows, 0, "charge_id"), &charge, &pending) || lock(call, subscription_id, &self))
        return -1;
    if (rows_int(&installation, 0, "over") || !self.is_due || self.due_us > now_us ||
        self.charge_id != charge.charge_id)
        return 0;
    if (self.leaves)
        rc = end(call, &self, self.reason, now_us, false);
    else
        rc = renew(call, &self, pending, now_us);
    return rc ? -1 : 1;
}

/* ---- the end of an installation ---------------------------------------------------------------------------------- */

int
subscriptions_end(struct call *call, int64_t installation_id, int64_t generation, int64_t now_us, int64_t most,
                  int64_t *count)
{
    struct rows rows;

    if (db_run(call, SUBSCRIPTIONS_END, &rows, "llltt", installation_id, generation, most, now_us, clock_now_us()) ||
        usage_end(call, installation_id, generation))
        return -1;
    *count = rows_int(&rows, 0, "ended");
    return 0;
}

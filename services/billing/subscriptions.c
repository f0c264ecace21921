/* subscriptions.c - what apps do with subscriptions: make, look at, cancel (contract A.2 rows 48 and 49, K.5).
 *
 * Renewals and ends are in subscription_life.c; period.c says when periods begin.
 */
#include <string.h>

#include "billing_operations.h"
#include "config.h"
#include "listing.h"
#include "statements.h"
#include "subscription.h"

/* With a trial it is active at once, and its first payment may come until the trial is over and the grace as well. */
int
subscription_make(struct call *call, int64_t *charge_id)
{
    int64_t trial_days = in_int(call->in, "body.trial_days", 0), trial_ends_us, due_us;
    const char *interval = in_text(call->in, "body.billing_interval");
    struct charge_new charge;

    if (charge_read(call, &charge))
        return -1;
    charge.type = "recurring";
    trial_ends_us = charge.now_us + trial_days * DAY_US;
    due_us = trial_ends_us - NOTICE_US;
    if (trial_days)
        charge.expires_us = trial_ends_us + GRACE_US;
    if (installation_hold(call) || charge_insert(call, &charge, charge_id) ||
        db_post(call, SUBSCRIPTION_INSERT, "lllllsssLslsjTTt", *charge_id, charge.store_id, charge.app_id,
                charge.installation_id, charge.generation, charge.name, charge.description, charge.currency,
                &charge.fees.base, interval && strcmp(interval, "monthly") != 0 ? "yearly" : "monthly", trial_days,
                charge.return_url, charge.metadata, trial_days ? &trial_ends_us : NULL, trial_days ? &due_us : NULL,
                charge.now_us) ||
        db_post(call, SUBSCRIPTION_FIRST, "l", *charge_id))
        return -1;
    return charge_event(call, "charge.created", *charge_id);
}

static int
get(struct call *call, int64_t subscription_id, struct rows *rows)
{
    if (db_run(call, SUBSCRIPTION_GET, rows, "sll", config.dashboard_origin, call->caller.installation_id,
               subscription_id))
        return -1;
    return rows->count ? 0
                       : call_fail(call, FAIL_NOT_FOUND, "recurring_charge_id",
                                   "No such subscription of this app in this store");
}

int
billing_subscriptions_create(struct call *call)
{
    int64_t subscription_id;
    struct rows rows;

    if (db_begin(call) || subscription_make(call, &subscription_id) || get(call, subscription_id, &rows) ||
        db_commit(call))
        return -1;
    call_message(call, "Subscription created");
    return call_reply_row(call, 201, &rows, 0);
}

int
billing_subscriptions_get(struct call *call)
{
    struct rows rows;

    return get(call, in_int(call->in, "path.recurring_charge_id", 0), &rows) ? -1 : call_reply_row(call, 200, &rows, 0);
}

int
billing_subscriptions_list(struct call *call)
{
    struct listing page = {.list = "subscriptions",
                           .of = call->caller.installation_id,
                           .id_column = "recurring_charge_id",
                           .descending = true};
    struct rows rows;

    if (listing_begin(&page, call) ||
        db_run(call, SUBSCRIPTIONS_LIST, &rows, "sllll", config.dashboard_origin, call->caller.installation_id,
               listing_id(&page), listing_wanted(&page), listing_offset(&page)))
        return -1;
    return listing_reply(&page, call, &rows, rows_int(&rows, 0, "_total"));
}

int
billing_subscriptions_cancel(struct call *call)
{
    int64_t subscription_id = in_int(call->in, "path.recurring_charge_id", 0);
    bool at_period_end = in_bool(call->in, "body.at_period_end", false);
    const char *reason = in_text(call->in, "body.reason");
    struct rows rows;

    if (db_begin(call) || installation_hold(call) || get(call, subscription_id, &rows) ||
        subscription_cancel(call, subscription_id, at_period_end, reason ? reason : "cancelled_by_app") ||
        get(call, subscription_id, &rows) || db_commit(call))
        return -1;
    call_message(call, at_period_end ? "Subscription ends with its period" : "Subscription cancelled");
    return call_reply_row(call, 200, &rows, 0);
}

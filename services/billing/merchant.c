/* merchant.c - a store's charges and what its merchant says to them (contract A.7 row 116, K.5). auth says whether they
 * may; what follows is the same on the API and on the charge's page (approval_page.c).
 */
#include "merchant.h"

#include <string.h>

#include "billing_operations.h"
#include "checkout.h"
#include "config.h"
#include "listing.h"
#include "outbox.h"
#include "statements.h"
#include "store_clock.h"
#include "subscription.h"

/* ---- whether they may, and whose apps these are ------------------------------------------------------------------ */

static int
allow(struct call *call, bool change)
{
    struct call_question question;
    struct out *body = call_question(&question, 4);
    struct in reply;

    call->caller.store_id = in_int(call->in, "query.store_id", in_int(call->in, "body.store_id", 0));
    out_key_int(body, "account_id", call->caller.account_id);
    out_key_int(body, "store_id", call->caller.store_id);
    out_key_text(body, "permission", BILLING_PERMISSION);
    out_key(body, "change");
    out_bool(body, change);
    return call_ask(call, "auth.stores.allow", &question, &reply);
}

int
merchant_app_names(struct call *call, const struct rows *rows, unsigned count, struct in *names)
{
    struct call_question question;
    struct out *body = call_question(&question, 1);
    struct in reply;

    out_key(body, "app_ids");
    out_list(body, count);
    for (unsigned row = 0; row < count; row++)
        out_int(body, rows_int(rows, row, "app_id"));
    if (call_ask(call, "auth.apps.names", &question, &reply))
        return -1;
    *names = in_at(reply, "apps");
    return 0;
}

const char *
merchant_app_name(struct in names, int64_t app_id)
{
    for (unsigned i = 0; i < in_count(names, ""); i++)
        if (in_int(in_item(names, i), "app_id", 0) == app_id)
            return in_text(in_item(names, i), "name");
    return NULL;
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

int
merchant_charge(struct call *call, int64_t store_id, int64_t charge_id, struct rows *rows)
{
    if (db_run(call, CHARGE_OF_STORE, rows, "sll", config.dashboard_origin, store_id, charge_id))
        return -1;
    return rows->count ? 0 : call_fail(call, FAIL_CHARGE_NOT_FOUND, "charge_id", NULL);
}

static void
write_charge(struct call *call, const struct rows *rows, unsigned row, struct in names)
{
    out_row_with(&call->out, rows, row, 1);
    out_key_text(&call->out, "app_name", merchant_app_name(names, rows_int(rows, row, "app_id")));
}

int
merchant_charges_list(struct call *call)
{
    const char *status = in_text(call->in, "query.status");
    struct listing page = {
        .list = "charges of a store", .filter = status, .id_column = "charge_id", .descending = true, .deepest = 10000};
    struct rows rows;
    struct in names;
    unsigned count;

    if (allow(call, false))
        return -1;
    page.of = call->caller.store_id; /* which allow has read */
    if (listing_begin(&page, call) ||
        (status ? db_run(call, CHARGES_OF_STORE_IN, &rows, "slllls", config.dashboard_origin, page.of,
                         listing_id(&page), listing_wanted(&page), listing_offset(&page), status)
                : db_run(call, CHARGES_OF_STORE, &rows, "sllll", config.dashboard_origin, page.of, listing_id(&page),
                         listing_wanted(&page), listing_offset(&page))))
        return -1;
    count = listing_count(&page, &rows);
    if (merchant_app_names(call, &rows, count, &names))
        return -1;
    call_data_with(call, 1);
    out_list(&call->out, count);
    for (unsigned row = 0; row < count; row++)
        write_charge(call, &rows, row, names);
    return listing_end(&page, call, &rows, rows_int(&rows, 0, "_total"));
}

static int
reply_charge(struct call *call, int64_t charge_id)
{
    struct rows rows;
    struct in names;

    if (merchant_charge(call, call->caller.store_id, charge_id, &rows) || merchant_app_names(call, &rows, 1, &names))
        return -1;
    call_data(call);
    write_charge(call, &rows, 0, names);
    return call_reply(call, 200);
}

int
merchant_charges_get(struct call *call)
{
    return allow(call, false) ? -1 : reply_charge(call, in_int(call->in, "path.charge_id", 0));
}

/* ---- answering --------------------------------------------------------------------------------------------------- */

/* A charge of the store, before it is locked. */
struct known {
    const char *shown; /* its status as the API says it */
    int64_t app_id, subscription_id;
};

static int
find(struct call *call, int64_t store_id, int64_t charge_id, struct known *known)
{
    struct rows rows;

    if (db_run(call, CHARGE_KNOWN, &rows, "ll", store_id, charge_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_CHARGE_NOT_FOUND, "charge_id", NULL);
    *known = (struct known){rows_text(&rows, 0, "shown"), rows_int(&rows, 0, "app_id"),
                            rows_int(&rows, 0, "subscription_id")};
    return 0;
}

/* It is pending, and not only because nobody has looked at the time. */
static int
check_waits(struct call *call, const struct charge *charge)
{
    int64_t now_us;

    if (strcmp(charge->status, "paid") == 0)
        return call_fail(call, FAIL_CONFLICT, NULL, "The charge has been paid");
    if (strcmp(charge->status, "pending") != 0)
        return call_failf(call, FAIL_CONFLICT, NULL, "The charge is %s; the app can ask again", charge->status);
    if (store_now(call, charge->store_id, &now_us))
        return -1;
    if (now_us >= charge->expires_us)
        return call_fail(call, FAIL_CONFLICT, NULL, "The charge is expired; the app can ask again");
    return 0;
}

/* An operator has stopped the app: it is to take no money of anybody either. Asked before anything is locked. */
static int
check_app(struct call *call, int64_t app_id)
{
    struct call_question question;
    struct out *body = call_question(&question, 1);
    struct in reply;

    out_key(body, "app_ids");
    out_list(body, 1);
    out_int(body, app_id);
    if (call_ask(call, "auth.apps.names", &question, &reply))
        return -1;
    if (in_int(in_item(in_at(reply, "apps"), 0), "is_suspended", 0))
        return call_fail(
            call, FAIL_CONFLICT, NULL,
            "The app is suspended; nothing can be paid to it until the operator of the platform lifts that");
    return 0;
}

int
merchant_approve(struct call *call, int64_t store_id, int64_t charge_id, int64_t account_id, const char **reference)
{
    struct charge charge = {.status = ""};
    struct known known = {.shown = ""};

    if (find(call, store_id, charge_id, &known) || check_app(call, known.app_id) || db_begin(call) ||
        charge_lock(call, charge_id, &charge) || check_waits(call, &charge) ||
        checkout_open(call, &charge, account_id, reference))
        return -1;
    return db_commit(call);
}

/* Of a payment that was made, what it pays for. The payment is not locked: the one that waits, if there is one, has to
 * be locked before it. */
static int
end_subscription(struct call *call, int64_t store_id, const struct known *known, const struct refusal *self)
{
    const struct deed deed = {.action = "subscription.cancelled",
                              .target = "subscription",
                              .target_id = known->subscription_id,
                              .store_id = store_id,
                              .app_id = known->app_id,
                              .account_id = self->account_id};

    if (subscription_cancel(call, known->subscription_id, self->at_period_end,
                            self->reason ? self->reason : "cancelled_by_merchant"))
        return -1;
    return outbox_audit(call, &deed);
}

static int
end_charge(struct call *call, int64_t charge_id, const struct refusal *self, bool cancels)
{
    struct charge charge = {.status = ""};

    if (charge_lock(call, charge_id, &charge))
        return -1;
    if (strcmp(charge.status, self->status) == 0)
        return 0; /* it was said before */
    if (check_waits(call, &charge) ||
        charge_end(call, &charge, self->status, self->reason || !cancels ? self->reason : "cancelled_by_merchant"))
        return -1;
    return charge_audit(call, &charge, cancels ? "charge.cancelled" : "charge.declined", self->account_id);
}

int
merchant_refuse(struct call *call, int64_t store_id, int64_t charge_id, const struct refusal *self)
{
    bool cancels = strcmp(self->status, "cancelled") == 0;
    struct known known = {.shown = ""};

    if (db_begin(call) || find(call, store_id, charge_id, &known))
        return -1;
    if (strcmp(known.shown, self->status) == 0)
        return db_commit(call); /* it was said before */
    if (cancels && known.subscription_id && strcmp(known.shown, "active") == 0
            ? end_subscription(call, store_id, &known, self)
            : end_charge(call, charge_id, self, cancels))
        return -1;
    return db_commit(call);
}

int
merchant_charges_approve(struct call *call)
{
    int64_t charge_id = in_int(call->in, "path.charge_id", 0);
    const char *reference;

    if (allow(call, true) ||
        merchant_approve(call, call->caller.store_id, charge_id, call->caller.account_id, &reference))
        return -1;
    call_data(call);
    out_map(&call->out, 2);
    out_key_id(&call->out, "charge_id", charge_id);
    out_key_text(&call->out, "payment_url", payment_address(call, reference, ""));
    return call_reply(call, 200);
}

static int
refuse(struct call *call, const char *status)
{
    const struct refusal refusal = {.status = status,
                                    .reason = in_text(call->in, "body.reason"),
                                    .at_period_end = in_bool(call->in, "body.at_period_end", false),
                                    .account_id = call->caller.account_id};
    int64_t charge_id = in_int(call->in, "path.charge_id", 0);

    if (allow(call, true) || merchant_refuse(call, call->caller.store_id, charge_id, &refusal))
        return -1;
    return reply_charge(call, charge_id);
}

int
merchant_charges_decline(struct call *call)
{
    return refuse(call, "declined");
}

int
merchant_charges_cancel(struct call *call)
{
    return refuse(call, "cancelled");
}

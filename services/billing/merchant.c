/* merchant.c - a store's charges and what its merchant says to them (contract A.7 row 116, K.5). auth says whether they
 * may; what follows is the same on the API and on the charge's page (approval_page.c).
 */
#include "merchant.h"

#include <string.h>

#include "billing_operations.h"
#include "bounds.h"
#include "checkout.h"
#include "config.h"
#include "listing.h"
#include "statements.h"
#include "store_clock.h"
#include "subscription.h"

#define ARGUMENTS_MAX 8192

/* ---- whether they may, and whose apps these are ------------------------------------------------------------------ */

static int
allow(struct call *call, bool change)
{
    struct buf arguments;
    struct in reply;
    struct out out;
    int rc;

    call->caller.store_id = in_int(call->in, "query.store_id", in_int(call->in, "body.store_id", 0));
    buf_init(&arguments, ARGUMENTS_MAX);
    out_init(&out, &arguments, OUT_MSGPACK);
    out_map(&out, 1);
    out_key(&out, "body");
    out_map(&out, 4);
    out_key_id(&out, "account_id", call->caller.account_id);
    out_key_id(&out, "store_id", call->caller.store_id);
    out_key_text(&out, "permission", BILLING_PERMISSION);
    out_key(&out, "change");
    out_bool(&out, change);
    rc = call_service(call, "auth.stores.allow", &arguments, &reply);
    buf_free(&arguments);
    return rc;
}

int
merchant_app_names(struct call *call, const struct rows *rows, unsigned count, struct in *names)
{
    struct buf arguments;
    struct in reply;
    struct out out;
    int rc;

    buf_init(&arguments, ARGUMENTS_MAX);
    out_init(&out, &arguments, OUT_MSGPACK);
    out_map(&out, 1);
    out_key(&out, "body");
    out_map(&out, 1);
    out_key(&out, "app_ids");
    out_list(&out, count);
    for (unsigned row = 0; row < count; row++)
        out_int(&out, rows_int(rows, row, "app_id"));
    rc = call_service(call, "auth.apps.names", &arguments, &reply);
    buf_free(&arguments);
    if (rc == 0)
        *names = in_at(reply, "apps");
    return rc;
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

/* Inside a transaction. shown: its status as the API says it. */
static int
hold(struct call *call, int64_t store_id, int64_t charge_id, struct charge *charge, const char **shown)
{
    struct rows rows;

    if (db_run(call, CHARGE_KNOWN, &rows, "ll", store_id, charge_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_CHARGE_NOT_FOUND, "charge_id", NULL);
    *shown = rows_text(&rows, 0, "shown");
    return charge_lock(call, charge_id, charge);
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

int
merchant_approve(struct call *call, int64_t store_id, int64_t charge_id, int64_t account_id, const char **reference)
{
    struct charge charge;
    const char *shown;

    if (db_begin(call) || hold(call, store_id, charge_id, &charge, &shown) || check_waits(call, &charge) ||
        checkout_open(call, &charge, account_id, reference))
        return -1;
    return db_commit(call);
}

int
merchant_refuse(struct call *call, int64_t store_id, int64_t charge_id, const char *status, const char *reason,
                bool at_period_end)
{
    bool cancels = strcmp(status, "cancelled") == 0;
    struct charge charge;
    const char *shown;

    if (db_begin(call) || hold(call, store_id, charge_id, &charge, &shown))
        return -1;
    if (strcmp(shown, status) == 0 || strcmp(charge.status, status) == 0)
        return db_commit(call); /* it was said before */
    if (cancels && charge.subscription_id && strcmp(shown, "active") == 0) {
        if (subscription_cancel(call, charge.subscription_id, at_period_end, reason ? reason : "cancelled_by_merchant"))
            return -1;
        return db_commit(call);
    }
    if (check_waits(call, &charge) ||
        charge_end(call, &charge, status, reason || !cancels ? reason : "cancelled_by_merchant"))
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
    int64_t charge_id = in_int(call->in, "path.charge_id", 0);

    if (allow(call, true) ||
        merchant_refuse(call, call->caller.store_id, charge_id, status, in_text(call->in, "body.reason"),
                        in_bool(call->in, "body.at_period_end", false)))
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

/* charges.c - an app asks a merchant for money: one-time charges and top-ups of its wallet (contract K.5, E.2). */
#include <string.h>

#include "billing_operations.h"
#include "bounds.h"
#include "charge.h"
#include "clock.h"
#include "config.h"
#include "json_text.h"
#include "listing.h"
#include "outbox.h"
#include "statements.h"
#include "text.h"

/* ---- making ------------------------------------------------------------------------------------------------------ */

/* What the two kinds differ in. */
struct kind {
    const char *type, *name; /* name: when none was sent */
};

static int
insert(struct call *call, const struct kind *kind, const struct terms *terms, const struct fees *fees,
       int64_t *charge_id)
{
    const struct identity *caller = &call->caller;
    const char *name = in_text(call->in, "body.name");
    int64_t now_us = clock_now_us();
    struct rows rows;

    if (db_run(call, CHARGE_INSERT, &rows, "llllssssllslllllsjtt", caller->store_id, caller->app_id,
               caller->installation_id, caller->generation, kind->type, name ? name : kind->name,
               in_text(call->in, "body.description"), CURRENCY, fees->base, fees->amount,
               terms->payer == FEE_PAYER_MERCHANT ? "merchant" : "developer", terms->commission_rate,
               terms->gateway_rate, fees->platform, fees->gateway, fees->developer,
               in_text(call->in, "body.return_url"), json_text_of(in_at(call->in, "body.metadata"), call->arena),
               now_us, now_us + config.charge_expiry_s * US_PER_SECOND))
        return -1;
    *charge_id = rows_int(&rows, 0, "charge_id");
    return 0;
}

static int
create(struct call *call, const struct kind *kind)
{
    int64_t amount, charge_id;
    struct terms terms;
    struct rows rows;
    struct fees fees;

    if (terms_get(call, CURRENCY, &terms) || amount_read(call, "body.amount", &terms, true, &amount))
        return -1;
    if (fees_split(&fees, amount, terms.payer, terms.commission_rate, terms.gateway_rate))
        return call_fail(call, FAIL_INVALID_AMOUNT, "amount",
                         "leaves nothing after the platform's and the gateway's fee");
    if (db_begin(call) || installation_hold(call) || insert(call, kind, &terms, &fees, &charge_id) ||
        charge_event(call, "charge.created", charge_id) ||
        db_run(call, CHARGE_GET, &rows, "sll", config.dashboard_origin, call->caller.installation_id, charge_id) ||
        db_commit(call))
        return -1;
    call_message(call, "Charge created");
    return call_reply_row(call, 201, &rows, 0);
}

int
charges_create(struct call *call)
{
    return create(call, &(struct kind){"one_time", NULL});
}

int
wallets_topup(struct call *call)
{
    return create(call, &(struct kind){"wallet_topup", "Wallet top-up"});
}

int
charge_event(struct call *call, const char *topic, int64_t charge_id)
{
    struct rows rows;

    if (db_run(call, CHARGE_EVENT, &rows, "l", charge_id))
        return -1;
    return outbox_put(call, topic, rows_int(&rows, 0, "store_id"), "charge", charge_id,
                      str_of(rows_text(&rows, 0, "data")));
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int
not_found(struct call *call)
{
    return call_fail(call, FAIL_CHARGE_NOT_FOUND, "charge_id", NULL);
}

/* By its number, or by what a payment provider knows it by. */
int
charges_get(struct call *call)
{
    const char *name = in_text(call->in, "path.charge_id");
    int64_t installation_id = call->caller.installation_id, charge_id;
    struct rows rows;

    if (text_to_int(name, strlen(name), &charge_id)) {
        if (db_run(call, CHARGE_BY_REFERENCE, &rows, "ls", installation_id, name))
            return -1;
        if (rows.count == 0)
            return not_found(call);
        charge_id = rows_int(&rows, 0, "charge_id");
    }
    if (db_run(call, CHARGE_GET, &rows, "sll", config.dashboard_origin, installation_id, charge_id))
        return -1;
    return rows.count ? call_reply_row(call, 200, &rows, 0) : not_found(call);
}

int
charges_active(struct call *call)
{
    struct listing page = {
        .list = "active charges", .of = call->caller.installation_id, .id_column = "charge_id", .descending = true};
    struct rows rows;
    int64_t total;

    if (listing_begin(&page, call) ||
        db_run(call, CHARGES_ACTIVE, &rows, "sllll", config.dashboard_origin, call->caller.installation_id,
               listing_id(&page), listing_wanted(&page), listing_offset(&page)))
        return -1;
    total = rows_int(&rows, 0, "_total");
    if (rows_is_null(&rows, 0, "charge_id"))
        rows.count = 0; /* the total alone */
    return listing_reply(&page, call, &rows, total);
}

/* charges.c - an app asks a merchant for money: one-time charges and top-ups of its wallet (contract K.5, E.2). */
#include <string.h>

#include "billing_operations.h"
#include "bounds.h"
#include "charge.h"
#include "config.h"
#include "json_text.h"
#include "listing.h"
#include "outbox.h"
#include "statements.h"
#include "store_clock.h"
#include "subscription.h"
#include "text.h"

/* ---- making ------------------------------------------------------------------------------------------------------ */

/* What the two kinds differ in. */
struct kind {
    const char *type, *name; /* name: when none was sent */
};

int
charge_insert(struct call *call, const struct charge_new *self, int64_t *charge_id)
{
    const struct terms *terms = &self->terms;
    const struct fees *fees = &self->fees;
    int64_t subscription_id = self->subscription_id;
    struct rows rows;

    if (db_run(call, CHARGE_INSERT, &rows, "llllssssllslllllsjttL", self->store_id, self->app_id, self->installation_id,
               self->generation, self->type, self->name, self->description, self->currency, fees->base, fees->amount,
               terms->payer == FEE_PAYER_MERCHANT ? "merchant" : "developer", terms->commission_rate,
               terms->gateway_rate, fees->platform, fees->gateway, fees->developer, self->return_url, self->metadata,
               self->now_us, self->expires_us, subscription_id ? &subscription_id : NULL))
        return -1;
    *charge_id = rows_int(&rows, 0, "charge_id");
    return 0;
}

int
charge_read(struct call *call, struct charge_new *self)
{
    const struct identity *caller = &call->caller;
    int64_t amount;

    *self = (struct charge_new){
        .store_id = caller->store_id,
        .app_id = caller->app_id,
        .installation_id = caller->installation_id,
        .generation = caller->generation,
        .name = in_text(call->in, "body.name"),
        .description = in_text(call->in, "body.description"),
        .currency = CURRENCY,
        .return_url = in_text(call->in, "body.return_url"),
        .metadata = json_text_of(in_at(call->in, "body.metadata"), call->arena),
    };
    if (terms_get(call, CURRENCY, &self->terms) || amount_read(call, "body.amount", &self->terms, true, &amount) ||
        store_now(call, caller->store_id, &self->now_us))
        return -1;
    self->expires_us = self->now_us + config.charge_expiry_s * US_PER_SECOND;
    if (fees_split(&self->fees, amount, self->terms.payer, self->terms.commission_rate, self->terms.gateway_rate))
        return call_fail(call, FAIL_INVALID_AMOUNT, "amount",
                         "leaves nothing after the platform's and the gateway's fee");
    return 0;
}

/* Commits it. */
static int
reply_created(struct call *call, int64_t charge_id)
{
    struct rows rows;

    if (db_run(call, CHARGE_GET, &rows, "sll", config.dashboard_origin, call->caller.installation_id, charge_id) ||
        db_commit(call))
        return -1;
    call_message(call, "Charge created");
    return call_reply_row(call, 201, &rows, 0);
}

static int
create(struct call *call, const struct kind *kind)
{
    struct charge_new charge;
    int64_t charge_id;

    if (charge_read(call, &charge))
        return -1;
    charge.type = kind->type;
    if (!charge.name)
        charge.name = kind->name;
    if (db_begin(call) || installation_hold(call) || charge_insert(call, &charge, &charge_id) ||
        charge_event(call, "charge.created", charge_id))
        return -1;
    return reply_created(call, charge_id);
}

/* With type recurring: a subscription, of which the first charge is answered. */
int
charges_create(struct call *call)
{
    const char *type = in_text(call->in, "body.type");
    int64_t charge_id;

    if (!type || strcmp(type, "recurring") != 0)
        return create(call, &(struct kind){"one_time", NULL});
    if (db_begin(call) || subscription_make(call, &charge_id))
        return -1;
    return reply_created(call, charge_id);
}

int
wallets_topup(struct call *call)
{
    return create(call, &(struct kind){"wallet_topup", "Wallet Top-up"});
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

int
charge_audit(struct call *call, const struct charge *charge, const char *action, int64_t account_id)
{
    const struct deed deed = {.action = action,
                              .target = "charge",
                              .target_id = charge->charge_id,
                              .store_id = charge->store_id,
                              .app_id = charge->app_id,
                              .account_id = account_id};

    return outbox_audit(call, &deed);
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

    if (listing_begin(&page, call) ||
        db_run(call, CHARGES_ACTIVE, &rows, "sllll", config.dashboard_origin, call->caller.installation_id,
               listing_id(&page), listing_wanted(&page), listing_offset(&page)))
        return -1;
    return listing_reply(&page, call, &rows, rows_int(&rows, 0, "_total"));
}

/* payments.c - what happens when money has come, or has not (contract K.5): the one place where a charge becomes paid.
 */
#include <string.h>

#include "charge.h"
#include "clock.h"
#include "developer.h"
#include "log.h"
#include "statements.h"
#include "store_clock.h"
#include "subscription.h"

int
charge_lock(struct call *call, int64_t charge_id, struct charge *charge)
{
    struct rows rows;

    if (db_run(call, CHARGE_LOCK, &rows, "l", charge_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_CHARGE_NOT_FOUND, "charge_id", NULL);
    *charge = (struct charge){
        .charge_id = charge_id,
        .store_id = rows_int(&rows, 0, "store_id"),
        .app_id = rows_int(&rows, 0, "app_id"),
        .installation_id = rows_int(&rows, 0, "installation_id"),
        .generation = rows_int(&rows, 0, "generation"),
        .expires_us = rows_time(&rows, 0, "expires_at"),
        .type = rows_text(&rows, 0, "charge_type"),
        .name = rows_text(&rows, 0, "name"),
        .currency = rows_text(&rows, 0, "currency"),
        .status = rows_text(&rows, 0, "status"),
        .return_url = rows_text(&rows, 0, "return_url"),
        .fees = {rows_int(&rows, 0, "base_amount"), rows_int(&rows, 0, "amount"), rows_int(&rows, 0, "platform_amount"),
                 rows_int(&rows, 0, "gateway_fee_amount"), rows_int(&rows, 0, "developer_amount")},
        .refunded = rows_int(&rows, 0, "refunded_amount"),
        .subscription_id = rows_int(&rows, 0, "subscription_id"),
    };
    return 0;
}

/* Who gets what of a payment; the other way round of a refund. */
static int
post_split(struct call *call, const struct charge *charge, const char *reason, const struct fees *fees, bool back)
{
    enum { DEVELOPER = 2 };
    const struct account_name provider = {ACCOUNT_PROVIDER, 0, 0};
    const struct {
        struct account_name account;
        int64_t amount;
    } parts[] = {
        {{ACCOUNT_PLATFORM, 0, 0}, fees->platform},
        {{ACCOUNT_GATEWAY, 0, 0}, fees->gateway},
        [DEVELOPER] = {{ACCOUNT_DEVELOPER, charge->app_id, 0}, fees->developer},
    };
    struct transfer transfers[ARRAY_COUNT(parts)];
    int64_t ids[ARRAY_COUNT(parts)];
    int sign = back ? -1 : 1;

    for (unsigned i = 0; i < ARRAY_COUNT(parts); i++)
        transfers[i] = (struct transfer){provider, parts[i].account, sign * parts[i].amount};
    if (ledger_post(call, charge->currency, reason, charge->charge_id, transfers, ARRAY_COUNT(transfers), ids))
        return -1;
    return revenue_add(call, charge, reason, sign * fees->amount, sign * fees->developer, ids[DEVELOPER]);
}

static bool
is_topup(const struct charge *charge)
{
    return strcmp(charge->type, "wallet_topup") == 0;
}

static int
fill_wallet(struct call *call, const struct charge *charge)
{
    struct wallet wallet = {.app_id = charge->app_id, .store_id = charge->store_id, .currency = charge->currency};
    const struct movement movement = {.type = "topup",
                                      .amount = charge->fees.base,
                                      .adds = true,
                                      .description = charge->name,
                                      .charge_id = charge->charge_id};
    struct rows rows;

    return wallet_lock(call, &wallet) || wallet_move(call, &wallet, &movement, &rows) ? -1 : 0;
}

/* The ledger says who got what, a top-up is in the wallet, and the event is on its way. */
static int
pay(struct call *call, struct charge *charge)
{
    int64_t now_us;

    if (store_now(call, charge->store_id, &now_us) || db_post(call, CHARGE_PAID, "lt", charge->charge_id, now_us) ||
        (charge->subscription_id && subscription_paid(call, charge, now_us)) ||
        post_split(call, charge, is_topup(charge) ? "topup" : "charge", &charge->fees, false) ||
        (is_topup(charge) && fill_wallet(call, charge)))
        return -1;
    charge->status = "paid";
    return charge_event(call, "charge.activated", charge->charge_id);
}

int
charge_end(struct call *call, struct charge *charge, const char *status, const char *reason)
{
    int64_t now_us;

    if (strcmp(charge->status, "pending") != 0)
        return 0;
    if (store_now(call, charge->store_id, &now_us) ||
        db_post(call, CHARGE_END, "lsst", charge->charge_id, status, reason, now_us))
        return -1;
    charge->status = status;
    if (charge_event(call, arena_printf(call->arena, "charge.%s", status), charge->charge_id))
        return -1;
    return charge->subscription_id ? subscription_unpaid(call, charge, reason, now_us) : 0;
}

/* It came for a charge that nobody may take money for any more: an operator gives it back (owed.c). */
static int
owe(struct call *call, const struct charge *charge, const char *reference)
{
    const struct transfer transfer = {
        {ACCOUNT_PROVIDER, 0, 0}, {ACCOUNT_OWED, 0, charge->store_id}, charge->fees.amount};

    log_event(LOG_WARN, "payment_owed", "s:request_id", call->request_id, "s:reference", reference, "l:charge_id",
              charge->charge_id, "l:store_id", charge->store_id, NULL);
    return ledger_post(call, charge->currency, "charge", charge->charge_id, &transfer, 1, NULL);
}

/* What a checkout is by what its provider says of it. */
static const char *
checkout_word(enum outcome outcome, bool pending)
{
    if (outcome == OUTCOME_PAID)
        return pending ? "paid" : "duplicate";
    return outcome == OUTCOME_CANCELLED ? "cancelled" : "failed";
}

/* Money has come of it already: whatever is said later is said again. */
bool
checkout_has_money(const char *status)
{
    return strcmp(status, "paid") == 0 || strcmp(status, "duplicate") == 0 || strcmp(status, "returned") == 0;
}

/* The charge first, then its checkout: the order in which everybody locks them. */
int
checkout_end(struct call *call, const char *reference, enum outcome outcome)
{
    bool pending, paid = outcome == OUTCOME_PAID;
    struct charge charge = {.status = ""};
    const char *status;
    struct rows rows;

    if (db_run(call, CHECKOUT_FIND, &rows, "s", reference))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "reference", "No such payment");
    if (charge_lock(call, rows_int(&rows, 0, "charge_id"), &charge) ||
        db_run(call, CHECKOUT_LOCK, &rows, "s", reference))
        return -1;
    status = rows_text(&rows, 0, "status");
    if (strcmp(status, "open") != 0 && (!paid || checkout_has_money(status)))
        return 0; /* known */
    pending = strcmp(charge.status, "pending") == 0;
    if (db_post(call, CHECKOUT_END, "sst", reference, checkout_word(outcome, pending), clock_now_us()))
        return -1;
    if (paid)
        return pending ? pay(call, &charge) : owe(call, &charge, reference);
    return pending ? charge_event(call, "charge.payment_failed", charge.charge_id) : 0;
}

/* ---- refunds ----------------------------------------------------------------------------------------------------- */

/* What a top-up put into the wallet has to be there still. */
static int
empty_wallet(struct call *call, const struct charge *charge, int64_t amount, const char *reason)
{
    struct wallet wallet = {.app_id = charge->app_id, .store_id = charge->store_id, .currency = charge->currency};
    const struct movement movement = {.type = "refund",
                                      .amount = amount,
                                      .description = reason ? reason : charge->name,
                                      .charge_id = charge->charge_id};
    struct rows rows;

    if (amount == 0)
        return 0;
    return wallet_lock(call, &wallet) || wallet_move(call, &wallet, &movement, &rows) ? -1 : 0;
}

int
charge_refund(struct call *call, struct charge *charge, int64_t amount, const char *reason, struct rows *refund)
{
    int64_t refunded;
    struct fees part;

    if (strcmp(charge->status, "paid") != 0)
        return call_fail(call, FAIL_CONFLICT, NULL, "Only a charge that was paid can be refunded");
    if (amount > charge->fees.amount - charge->refunded)
        return call_fail(call, FAIL_INVALID_AMOUNT, "amount", "is more than what is left of the charge");
    refunded = charge->refunded + amount;
    fees_refund(&part, &charge->fees, charge->refunded, refunded);
    if (post_split(call, charge, "refund", &part, true) ||
        (is_topup(charge) && empty_wallet(call, charge, part.base, reason)) ||
        db_post(call, CHARGE_REFUNDED, "ll", charge->charge_id, refunded))
        return -1;
    return db_run(call, REFUND_INSERT, refund, "llsts", charge->charge_id, amount, reason, clock_now_us(),
                  charge->currency);
}

/* wallets.c - an app's money in a store: looked at, taken from, topped up (contract K.5, E.5). */
#include "billing_operations.h"
#include "bounds.h"
#include "charge.h"
#include "clock.h"
#include "json_text.h"
#include "listing.h"
#include "statements.h"

int
wallet_lock(struct call *call, struct wallet *wallet)
{
    const struct account_name name = {ACCOUNT_WALLET, wallet->app_id, wallet->store_id};
    int64_t account_id;
    struct rows rows;

    if (db_run(call, WALLET_LOCK, &rows, "lls", wallet->store_id, wallet->app_id, wallet->currency))
        return -1;
    if (rows.count == 0) {
        if (ledger_account(call, name, wallet->currency, &account_id) ||
            db_post(call, WALLET_MAKE, "llslt", wallet->app_id, wallet->store_id, wallet->currency, account_id,
                    clock_now_us()) ||
            db_run(call, WALLET_LOCK, &rows, "lls", wallet->store_id, wallet->app_id, wallet->currency))
            return -1;
    }
    wallet->wallet_id = rows_int(&rows, 0, "wallet_id");
    wallet->balance = rows_int(&rows, 0, "balance");
    return 0;
}

int
wallet_move(struct call *call, struct wallet *wallet, const struct movement *movement, struct rows *rows)
{
    const struct account_name own = {ACCOUNT_WALLET, wallet->app_id, wallet->store_id};
    bool spent = str_is(str_of(movement->type), "debit");
    const struct account_name other = {spent ? ACCOUNT_SPENT : ACCOUNT_ISSUE, wallet->app_id, 0};
    struct transfer transfer = {movement->adds ? other : own, movement->adds ? own : other, movement->amount};
    int64_t transfer_id, charge_id = movement->charge_id, now_us = clock_now_us();

    wallet->balance += movement->adds ? movement->amount : -movement->amount;
    if (wallet->balance < 0)
        return call_fail(call, FAIL_INSUFFICIENT_BALANCE, NULL,
                         "The wallet holds less than that; ask the merchant to top it up");
    if (ledger_post(call, wallet->currency, movement->type, charge_id, &transfer, 1, &transfer_id) ||
        db_post(call, WALLET_MOVE, "llllt", wallet->wallet_id, wallet->balance,
                str_is(str_of(movement->type), "topup") ? movement->amount : INT64_C(0),
                spent ? movement->amount : INT64_C(0), now_us))
        return -1;
    return db_run(call, WALLET_TRANSACTION, rows, "lsllsLljts", wallet->wallet_id, movement->type, movement->amount,
                  wallet->balance, movement->description, charge_id ? &charge_id : NULL, transfer_id,
                  movement->metadata, now_us, wallet->currency);
}

static struct wallet
wallet_of_caller(const struct call *call)
{
    return (struct wallet){.app_id = call->caller.app_id, .store_id = call->caller.store_id, .currency = CURRENCY};
}

int
wallets_get(struct call *call)
{
    struct wallet wallet = wallet_of_caller(call);
    struct rows rows;

    if (db_run(call, WALLET_GET, &rows, "lls", wallet.store_id, wallet.app_id, wallet.currency))
        return -1;
    if (rows.count == 0 && (db_begin(call) || wallet_lock(call, &wallet) || db_commit(call) ||
                            db_run(call, WALLET_GET, &rows, "lls", wallet.store_id, wallet.app_id, wallet.currency)))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
wallets_debit(struct call *call)
{
    struct wallet wallet = wallet_of_caller(call);
    struct movement movement = {.type = "debit",
                                .description = in_text(call->in, "body.description"),
                                .metadata = json_text_of(in_at(call->in, "body.metadata"), call->arena)};
    struct terms terms;
    struct rows rows;

    if (terms_get(call, CURRENCY, &terms) || amount_read(call, "body.amount", &terms, false, &movement.amount) ||
        db_begin(call) || installation_hold(call) || wallet_lock(call, &wallet) ||
        wallet_move(call, &wallet, &movement, &rows) || call_reply_row(call, 201, &rows, 0) || db_commit(call))
        return -1;
    return 0;
}

int
wallets_transactions(struct call *call)
{
    struct wallet wallet = wallet_of_caller(call);
    struct listing page = {.list = "wallet transactions",
                           .of = call->caller.installation_id,
                           .id_column = "transaction_id",
                           .descending = true};
    struct rows rows;
    int64_t total;

    if (listing_begin(&page, call) ||
        db_run(call, WALLET_TRANSACTIONS, &rows, "llslll", wallet.store_id, wallet.app_id, wallet.currency,
               listing_id(&page), listing_wanted(&page), listing_offset(&page)))
        return -1;
    total = rows_int(&rows, 0, "_total");
    if (rows_is_null(&rows, 0, "transaction_id"))
        rows.count = 0; /* the total alone */
    return listing_reply(&page, call, &rows, total);
}

/* An operator puts a balance right, up or down; the wallet's owner reads why. */
int
wallets_adjust(struct call *call)
{
    int64_t amount = in_int(call->in, "body.amount", 0);
    struct wallet wallet = {.app_id = in_int(call->in, "body.app_id", 0),
                            .store_id = in_int(call->in, "body.store_id", 0),
                            .currency = CURRENCY};
    const struct movement movement = {.type = "adjustment",
                                      .amount = amount < 0 ? -amount : amount,
                                      .adds = amount > 0,
                                      .description = in_text(call->in, "body.description")};
    struct rows rows;

    if (amount == 0)
        return call_fail(call, FAIL_INVALID_AMOUNT, "amount", "must not be 0");
    if (db_begin(call) || wallet_lock(call, &wallet) || wallet_move(call, &wallet, &movement, &rows) || db_commit(call))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

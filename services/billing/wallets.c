/* wallets.c - an app's money in a store: looked at, taken from, topped up (contract K.5, E.5). */
#include "billing_operations.h"
#include "bounds.h"
#include "charge.h"
#include "clock.h"
#include "json_text.h"
#include "listing.h"
#include "outbox.h"
#include "sql_list.h"
#include "statements.h"

/* ---- one wallet, locked ------------------------------------------------------------------------------------------ */

static int
send_lock(struct call *call, const struct wallet *wallet)
{
    return db_send(call, WALLET_LOCK, "lls", wallet->store_id, wallet->app_id, wallet->currency);
}

/* False when there is none. */
static bool
read_wallet(struct wallet *wallet, const struct rows *rows)
{
    if (rows->count == 0)
        return false;
    wallet->wallet_id = rows_int(rows, 0, "wallet_id");
    wallet->balance = rows_int(rows, 0, "balance");
    wallet->account_id = rows_int(rows, 0, "account_id");
    wallet->decimals = (unsigned)rows_int(rows, 0, "decimals");
    wallet->issue_id = rows_int(rows, 0, "issue_id");
    wallet->spent_id = rows_int(rows, 0, "spent_id");
    return true;
}

static int
make_wallet(struct call *call, struct wallet *wallet)
{
    const struct account_name name = {ACCOUNT_WALLET, wallet->app_id, wallet->store_id};
    int64_t account_id;
    struct rows rows;

    if (ledger_account(call, name, wallet->currency, &account_id) ||
        db_post(call, WALLET_MAKE, "llslt", wallet->app_id, wallet->store_id, wallet->currency, account_id,
                clock_now_us()) ||
        send_lock(call, wallet) || db_collect(call, &rows))
        return -1;
    return read_wallet(wallet, &rows) ? 0 : call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
}

int
wallet_lock(struct call *call, struct wallet *wallet)
{
    struct rows rows;

    if (send_lock(call, wallet) || db_collect(call, &rows))
        return -1;
    return read_wallet(wallet, &rows) ? 0 : make_wallet(call, wallet);
}

/* ---- moving ------------------------------------------------------------------------------------------------------ */

/* A movement with the balance after it. */
struct step {
    const struct movement *movement;
    int64_t balance;
};

/* False when the wallet holds less. */
static bool
step_take(struct step *self, struct wallet *wallet, const struct movement *movement)
{
    if (!movement->adds && movement->amount > wallet->balance)
        return false;
    wallet->balance += movement->adds ? movement->amount : -movement->amount;
    *self = (struct step){movement, wallet->balance};
    return true;
}

static int
insufficient(struct call *call)
{
    return call_fail(call, FAIL_INSUFFICIENT_BALANCE, NULL,
                     "The wallet holds less than that; ask the merchant to top it up");
}

/* All of one type, charge and direction, at least one: the transfers with their transactions in one statement, and the
 * wallet in another, in the same round trip. */
static int
post(struct call *call, struct wallet *wallet, const struct step *steps, unsigned count, int64_t now_us,
     struct rows *rows)
{
    const struct movement *first = steps[0].movement;
    bool spent = str_is(str_of(first->type), "debit"), topup = str_is(str_of(first->type), "topup");
    int64_t *other = spent ? &wallet->spent_id : &wallet->issue_id, sum = 0, charge_id = first->charge_id;
    struct sql_list amounts, balances, descriptions, metadata;
    const char *texts[4];

    if (*other == 0 &&
        ledger_account(call, (struct account_name){spent ? ACCOUNT_SPENT : ACCOUNT_ISSUE, wallet->app_id, 0},
                       wallet->currency, other))
        return -1;
    sql_list_begin(&amounts);
    sql_list_begin(&balances);
    sql_list_begin(&descriptions);
    sql_list_begin(&metadata);
    for (unsigned i = 0; i < count; i++) {
        sum += steps[i].movement->amount;
        sql_list_int(&amounts, steps[i].movement->amount);
        sql_list_int(&balances, steps[i].balance);
        sql_list_str(&descriptions, str_of(steps[i].movement->description));
        sql_list_str(&metadata, steps[i].movement->metadata);
    }
    texts[0] = sql_list_end(&amounts, call->arena);
    texts[1] = sql_list_end(&balances, call->arena);
    texts[2] = sql_list_end(&descriptions, call->arena);
    texts[3] = sql_list_end(&metadata, call->arena);
    if (db_post(call, WALLET_MOVE, "llllt", wallet->wallet_id, wallet->balance, topup ? sum : INT64_C(0),
                spent ? sum : INT64_C(0), now_us))
        return -1;
    return db_run(call, WALLET_TRANSACTIONS_INSERT, rows, "lllsLtssss", wallet->wallet_id,
                  first->adds ? *other : wallet->account_id, first->adds ? wallet->account_id : *other, first->type,
                  charge_id ? &charge_id : NULL, now_us, texts[0], texts[1], texts[2], texts[3]);
}

int
wallet_move(struct call *call, struct wallet *wallet, const struct movement *movement, struct rows *rows)
{
    struct step step;

    if (!step_take(&step, wallet, movement))
        return insufficient(call);
    return post(call, wallet, &step, 1, clock_now_us(), rows);
}

static void
write_moved(struct call *call, const struct wallet *wallet, const struct step *step, int64_t transaction_id,
            int64_t now_us)
{
    call_data(call);
    out_map(&call->out, 4);
    out_key_int(&call->out, "transaction_id", transaction_id);
    out_key(&call->out, "amount");
    out_money(&call->out, step->movement->amount, wallet->decimals);
    out_key(&call->out, "balance");
    out_money(&call->out, step->balance, wallet->decimals);
    out_key(&call->out, "created_at");
    out_time(&call->out, now_us);
}

/* ---- the app's own ----------------------------------------------------------------------------------------------- */

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

/* ---- debits ------------------------------------------------------------------------------------------------------ */

static const char *
installations_of(const struct call_batch *batch)
{
    struct sql_list ids;

    sql_list_begin(&ids);
    for (unsigned i = 0; i < batch->count; i++)
        sql_list_int(&ids, batch->members[i]->caller.installation_id);
    return sql_list_end(&ids, batch->call->arena);
}

/* -1 when it is not known. */
static int
find_installation(const struct rows *known, int64_t installation_id)
{
    for (unsigned row = 0; row < known->count; row++)
        if (rows_int(known, row, "installation_id") == installation_id)
            return (int)row;
    return -1;
}

/* Installations before the wallet, as everywhere; the first time that one is charged it becomes known. */
static int
lock_all(const struct call_batch *batch, struct wallet *wallet, struct rows *known)
{
    struct call *call = batch->call;
    const char *ids = installations_of(batch);
    struct rows rows;

    if (db_send(call, INSTALLATIONS_SHARE, "s", ids) || send_lock(call, wallet) || db_collect(call, known) ||
        db_collect(call, &rows) || (!read_wallet(wallet, &rows) && make_wallet(call, wallet)))
        return -1;
    for (unsigned i = 0; i < batch->count; i++)
        if (find_installation(known, batch->members[i]->caller.installation_id) < 0)
            return db_post(call, INSTALLATIONS_KNOW, "s", ids) || db_run(call, INSTALLATIONS_SHARE, known, "s", ids)
                       ? -1
                       : 0;
    return 0;
}

/* One of them, in its turn; false when it has failed, and has taken nothing. */
static bool
take(struct call *call, struct wallet *wallet, const struct rows *known, struct step *step)
{
    const struct terms terms = {.decimals = wallet->decimals};
    struct movement *movement = arena_alloc(call->arena, sizeof *movement);
    int installation = find_installation(known, call->caller.installation_id), rc;

    *movement = (struct movement){.type = "debit",
                                  .description = in_text(call->in, "body.description"),
                                  .metadata = json_text_of(in_at(call->in, "body.metadata"), call->arena)};
    if (clock_monotonic_ms() >= call->deadline_ms)
        rc = call_fail(call, FAIL_GATEWAY_TIMEOUT, NULL, NULL);
    else if (installation < 0 || rows_int(known, (unsigned)installation, "ended") >= call->caller.generation)
        rc = call_fail(call, FAIL_INVALID_INSTALLATION, NULL, "The app is no longer installed on this store");
    else if (amount_read(call, "body.amount", &terms, false, &movement->amount))
        rc = -1;
    else if (!step_take(step, wallet, movement))
        rc = insufficient(call);
    else
        return true;
    (void)rc; /* it has ended, and the others go on */
    return false;
}

/* Those of one app in one store that wait for its wallet: locked once, decided in their order, written together. */
int
wallets_debit(struct call_batch *batch)
{
    struct wallet wallet = wallet_of_caller(batch->call);
    struct call *taken[BATCH_MAX];
    struct step steps[BATCH_MAX];
    int64_t now_us = clock_now_us();
    struct rows known, rows;
    unsigned count = 0;
    int rc = 0;

    if (lock_all(batch, &wallet, &known))
        return -1;
    for (unsigned i = 0; i < batch->count; i++)
        if (take(batch->members[i], &wallet, &known, &steps[count]))
            taken[count++] = batch->members[i];
    if (count > 0 && post(batch->call, &wallet, steps, count, now_us, &rows))
        return -1;
    for (unsigned i = 0; i < count; i++) {
        write_moved(taken[i], &wallet, &steps[i], rows_int(&rows, i, "transaction_id"), now_us);
        rc |= call_reply(taken[i], 201);
    }
    return rc;
}

/* ---- what moved it ----------------------------------------------------------------------------------------------- */

int
wallets_transactions(struct call *call)
{
    struct wallet wallet = wallet_of_caller(call);
    struct listing page = {.list = "wallet transactions",
                           .of = call->caller.installation_id,
                           .id_column = "transaction_id",
                           .descending = true};
    struct rows rows;

    if (listing_begin(&page, call) ||
        db_run(call, WALLET_TRANSACTIONS, &rows, "llslll", wallet.store_id, wallet.app_id, wallet.currency,
               listing_id(&page), listing_wanted(&page), listing_offset(&page)))
        return -1;
    return listing_reply(&page, call, &rows, rows_int(&rows, 0, "_total"));
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
    struct deed deed = {
        .action = "wallet.adjusted", .target = "wallet", .store_id = wallet.store_id, .app_id = wallet.app_id};
    int64_t now_us = clock_now_us();
    struct rows rows;
    struct step step;

    if (amount == 0)
        return call_fail(call, FAIL_INVALID_AMOUNT, "amount", "must not be 0");
    if (db_begin(call) || wallet_lock(call, &wallet))
        return -1;
    if (!step_take(&step, &wallet, &movement))
        return insufficient(call);
    deed.target_id = wallet.wallet_id;
    if (post(call, &wallet, &step, 1, now_us, &rows) || outbox_audit(call, &deed) || db_commit(call))
        return -1;
    write_moved(call, &wallet, &step, rows_int(&rows, 0, "transaction_id"), now_us);
    return call_reply(call, 200);
}

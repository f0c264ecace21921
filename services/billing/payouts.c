/* payouts.c - what a developer has earned, on its way to them: they ask for it, an operator sends it and says what has
 * become of it (contract K.5). It leaves their balance when it is asked for, so that it cannot be asked for twice.
 */
#include <string.h>

#include "billing_operations.h"
#include "clock.h"
#include "developer.h"
#include "items.h"
#include "outbox.h"
#include "statements.h"

#define PENDING_AT_ONCE 100

/* Moves the amount between two of the developer's accounts; paid_out and on_its_way say by how much it changes what is
 * kept beside the ledger. */
static int
move(struct call *call, int64_t app_id, const char *currency, enum account_kind from, enum account_kind to,
     int64_t amount, int64_t paid_out, int64_t on_its_way)
{
    const struct transfer transfer = {{from, app_id, 0}, {to, app_id, 0}, amount};

    if (ledger_post(call, currency, "payout", 0, &transfer, 1, NULL))
        return -1;
    return db_post(call, BALANCE_MOVE, "lsllt", app_id, currency, paid_out, on_its_way, clock_now_us());
}

static int
note(struct call *call, const char *action, const struct rows *payout)
{
    return outbox_audit(call, &(struct deed){.action = action,
                                             .target = "payout",
                                             .target_id = rows_int(payout, 0, "payout_id"),
                                             .app_id = rows_int(payout, 0, "app_id")});
}

/* ---- the developer ----------------------------------------------------------------------------------------------- */

static int
reply_requested(struct call *call, const struct rows *rows)
{
    call_message(call, "Payout requested");
    return call_reply_row(call, 201, rows, 0);
}

/* The answer to the first request with this key; amount is 0 when all was asked for. */
static int
repeat(struct call *call, const struct rows *known, int64_t amount)
{
    int64_t asked = rows_int(known, 0, "_all") ? 0 : rows_int(known, 0, "_amount");

    if (asked != amount)
        return call_fail(call, FAIL_IDEMPOTENCY_CONFLICT, "idempotency_key", NULL);
    return db_commit(call) ? -1 : reply_requested(call, known);
}

/* With the balance locked. */
static int
request(struct call *call, int64_t available, int64_t amount, struct rows *rows)
{
    int64_t app_id = call->caller.app_id, wanted = amount ? amount : available;

    if (available <= 0)
        return call_fail(call, FAIL_INSUFFICIENT_BALANCE, "amount", "Nothing is available to be paid out");
    if (wanted > available)
        return call_fail(call, FAIL_INSUFFICIENT_BALANCE, "amount", "is more than the available balance");
    if (move(call, app_id, CURRENCY, ACCOUNT_DEVELOPER, ACCOUNT_PAYOUT, wanted, wanted, wanted) ||
        db_run(call, PAYOUT_INSERT, rows, "lslbslt", app_id, CURRENCY, wanted, amount == 0,
               in_text(call->in, "body.idempotency_key"), call->caller.account_id, clock_now_us()))
        return -1;
    return note(call, "payout.requested", rows);
}

int
payouts_create(struct call *call)
{
    const char *key = in_text(call->in, "body.idempotency_key");
    struct rows balance, rows = {0};
    int64_t amount = 0, available;
    struct terms terms;

    if (developer_allow(call) || terms_get(call, CURRENCY, &terms) ||
        (in_has(call->in, "body.amount") && amount_read(call, "body.amount", &terms, false, &amount)) ||
        db_begin(call) || db_run(call, BALANCE_LOCK, &balance, "ls", call->caller.app_id, CURRENCY) ||
        (key && db_run(call, PAYOUT_OF_KEY, &rows, "ls", call->caller.app_id, key)))
        return -1;
    if (rows.count)
        return repeat(call, &rows, amount);
    available = balance.count ? rows_int(&balance, 0, "available") : 0;
    if (request(call, available, amount, &rows) || db_commit(call))
        return -1;
    return reply_requested(call, &rows);
}

int
payouts_list(struct call *call)
{
    int64_t before = in_int(call->in, "query.before", INT64_MAX);
    struct items page = {.id_column = "payout_id"};
    struct rows rows;

    items_begin(&page, call);
    if (developer_allow(call) || db_run(call, PAYOUTS_OF_APP, &rows, "llll", call->caller.app_id, before,
                                        items_wanted(&page), items_offset(&page)))
        return -1;
    call_message(call, "Payouts fetched");
    return items_reply(&page, call, &rows);
}

/* ---- the operator ------------------------------------------------------------------------------------------------ */

/* What an end means for the ledger. */
struct end {
    const char *status, *action;
    enum account_kind to;
    bool back; /* available again */
};

/* The first word counts, and may be repeated. */
static int
finish(struct call *call, const struct end *end, const char *why)
{
    int64_t payout_id = in_int(call->in, "body.payout_id", 0), amount;
    const char *status;
    struct rows rows;

    if (db_begin(call) || db_run(call, PAYOUT_LOCK, &rows, "l", payout_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "payout_id", "No such payout");
    status = rows_text(&rows, 0, "status");
    if (strcmp(status, "pending") == 0) {
        amount = rows_int(&rows, 0, "_amount");
        if (move(call, rows_int(&rows, 0, "app_id"), rows_text(&rows, 0, "currency"), ACCOUNT_PAYOUT, end->to, amount,
                 end->back ? -amount : 0, -amount) ||
            db_run(call, PAYOUT_END, &rows, "lsst", payout_id, end->status, why, clock_now_us()) ||
            note(call, end->action, &rows))
            return -1;
    } else if (strcmp(status, end->status) != 0) {
        return call_failf(call, FAIL_CONFLICT, "payout_id", "This payout is %s already", status);
    }
    return db_commit(call) ? -1 : call_reply_row(call, 200, &rows, 0);
}

int
payouts_paid(struct call *call)
{
    return finish(call, &(struct end){"paid", "payout.paid", ACCOUNT_PAID, false}, in_text(call->in, "body.reference"));
}

int
payouts_failed(struct call *call)
{
    return finish(call, &(struct end){"failed", "payout.failed", ACCOUNT_DEVELOPER, true},
                  in_text(call->in, "body.reason"));
}

int
payouts_pending(struct call *call)
{
    struct rows rows;

    if (db_run(call, PAYOUTS_PENDING, &rows, "ll", in_int(call->in, "body.after", 0), (int64_t)PENDING_AT_ONCE))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "payouts");
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

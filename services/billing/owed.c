/* owed.c - money that came for a charge which nobody may take money for any more (checkout_end): it is the merchant's.
 * An operator gives it back at the payment provider, and says so here.
 */
#include <string.h>

#include "billing_operations.h"
#include "charge.h"
#include "outbox.h"
#include "statements.h"

#define OWED_AT_ONCE 100

int
owed_list(struct call *call)
{
    struct rows rows;

    if (db_run(call, OWED_LIST, &rows, "ll", in_int(call->in, "body.after", 0), (int64_t)OWED_AT_ONCE))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "payments");
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

/* With the checkout locked. */
static int
give_back(struct call *call, const struct rows *owed)
{
    int64_t store_id = rows_int(owed, 0, "store_id"), charge_id = rows_int(owed, 0, "charge_id");
    const struct transfer transfer = {
        {ACCOUNT_OWED, 0, store_id}, {ACCOUNT_PROVIDER, 0, 0}, rows_int(owed, 0, "_amount")};
    const struct deed deed = {.action = "payment.returned",
                              .target = "charge",
                              .target_id = charge_id,
                              .store_id = store_id,
                              .app_id = rows_int(owed, 0, "app_id")};

    if (ledger_post(call, rows_text(owed, 0, "currency"), "refund", charge_id, &transfer, 1, NULL))
        return -1;
    return outbox_audit(call, &deed);
}

int
owed_returned(struct call *call)
{
    int64_t checkout_id = in_int(call->in, "body.checkout_id", 0);
    const char *status;
    struct rows rows;

    if (db_begin(call) || db_run(call, OWED_LOCK, &rows, "l", checkout_id))
        return -1;
    status = rows.count ? rows_text(&rows, 0, "status") : "none";
    if (strcmp(status, "duplicate") == 0) {
        if (give_back(call, &rows) || db_post(call, OWED_RETURN, "ls", checkout_id, in_text(call->in, "body.note")) ||
            db_run(call, OWED_LOCK, &rows, "l", checkout_id))
            return -1;
    } else if (strcmp(status, "returned") != 0) {
        return call_fail(call, FAIL_NOT_FOUND, "checkout_id", "No such payment is owed to a merchant");
    }
    return db_commit(call) ? -1 : call_reply_row(call, 200, &rows, 0);
}

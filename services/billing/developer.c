/* developer.c - what an app's developer sees of its charges and of what they have earned by them, across all stores.
 *
 * auth says whose the app is. revenue and developer_balance are the ledger as it concerns them, written with each
 * transfer and checked against it by `sxctl ledger verify`, so that no request has to add anything up.
 */
#include "developer.h"

#include "app_counts.h"
#include "billing_operations.h"
#include "clock.h"
#include "config.h"
#include "developer_access.h"
#include "items.h"
#include "statements.h"

int
developer_allow(struct call *call)
{
    struct in reply;

    call->caller.app_id = in_int(call->in, "path.app_id", 0);
    return developer_access(call, call->caller.app_id, call->operation->role, &reply);
}

int
revenue_add(struct call *call, const struct charge *charge, const char *type, int64_t paid, int64_t earned,
            int64_t transfer_id)
{
    if (transfer_id == 0)
        return 0;
    return db_post(call, REVENUE_ADD, "lllsllst", transfer_id, charge->app_id, charge->charge_id, type, paid, earned,
                   charge->currency, clock_now_us());
}

/* Lists go on behind the rows that `page` reaches by the last id that was read. */
static int64_t
before(const struct call *call)
{
    return in_int(call->in, "query.before", INT64_MAX);
}

int
developer_charges(struct call *call)
{
    const char *status = in_text(call->in, "query.status");
    struct items page = {.id_column = "charge_id"};
    int64_t app_id = in_int(call->in, "path.app_id", 0);
    struct rows rows;

    items_begin(&page, call);
    if (developer_allow(call))
        return -1;
    if (status ? db_run(call, CHARGES_OF_APP_IN_STATUS, &rows, "slllls", config.dashboard_origin, app_id, before(call),
                        items_wanted(&page), items_offset(&page), status)
               : db_run(call, CHARGES_OF_APP, &rows, "sllll", config.dashboard_origin, app_id, before(call),
                        items_wanted(&page), items_offset(&page)))
        return -1;
    call_message(call, "Charges fetched");
    return items_reply(&page, call, &rows);
}

int
developer_revenue(struct call *call)
{
    struct items page = {.id_column = "_id"};
    struct rows rows;

    items_begin(&page, call);
    if (developer_allow(call) || db_run(call, REVENUE_OF_APP, &rows, "llll", call->caller.app_id, before(call),
                                        items_wanted(&page), items_offset(&page)))
        return -1;
    call_message(call, "Revenue fetched");
    return items_reply(&page, call, &rows);
}

int
developer_balance(struct call *call)
{
    struct rows rows;

    if (developer_allow(call) || db_run(call, BALANCE_GET, &rows, "lst", call->caller.app_id, CURRENCY, clock_now_us()))
        return -1;
    call_message(call, "Balance fetched");
    return call_reply_row(call, 200, &rows, 0);
}

/* For developer-apps, which knows whose it is. */
int
apps_overview(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    struct rows counts, latest;

    if (db_run(call, APP_COUNTS, &counts, "ls", app_id, CURRENCY) ||
        db_run(call, APP_LATEST_CHARGE, &latest, "l", app_id))
        return -1;
    return app_counts_reply(call, &counts, &latest);
}

int
app_counts_verify(struct call *call)
{
    struct rows rows;

    if (db_run(call, APP_COUNTS_VERIFY, &rows, "l", in_int(call->in, "body.app_id", 0)))
        return -1;
    return app_counts_reply_recount(call, &rows);
}

/* privacy.c - a merchant passes on what a customer asked for: their data, or that it be forgotten (contract K.2, K.6).
 *
 * Recorded here, as the proof; privacy_work.c does what it takes. Who asks may look how far that is.
 */
#include "actor.h"
#include "audit.h"
#include "auth_operations.h"
#include "bounds.h"
#include "clock.h"
#include "listing.h"
#include "privacy_work.h"
#include "statements.h"
#include "store_access.h"

static int
request(struct call *call, const char *kind, const char *action)
{
    int64_t store_id = in_int(call->in, "path.store_id", 0);
    struct rows rows;

    if (store_allow(call, store_id, PERMISSION_OWNER, STORE_CHANGE) || db_begin(call) ||
        db_run(call, PRIVACY_INSERT, &rows, "llslt", store_id, in_int(call->in, "body.customer_id", 0), kind,
               call->caller.account_id, clock_now_us()) ||
        audit_put(call, action, "privacy_request", rows_int(&rows, 0, "privacy_request_id"), store_id, 0) ||
        db_commit(call))
        return -1;
    actor_wake(privacy_plan.name);
    return call_reply_row(call, 201, &rows, 0);
}

int
privacy_data_request(struct call *call)
{
    return request(call, "data_request", "privacy.data_requested");
}

int
privacy_redact(struct call *call)
{
    return request(call, "redact", "privacy.redact_requested");
}

int
privacy_list(struct call *call)
{
    int64_t store_id = in_int(call->in, "path.store_id", 0);
    struct listing page = {.list = "privacy", .of = store_id, .id_column = "privacy_request_id", .descending = true};
    struct rows rows, count;

    if (store_allow(call, store_id, PERMISSION_OWNER, STORE_READ) || listing_begin(&page, call) ||
        db_run(call, PRIVACY_PAGE, &rows, "llll", store_id, listing_id(&page), listing_wanted(&page),
               listing_offset(&page)) ||
        db_run(call, PRIVACY_COUNT, &count, "ll", store_id, (int64_t)TOTAL_EXACT_MAX + 1))
        return -1;
    return listing_reply(&page, call, &rows, rows_int(&count, 0, "total"));
}

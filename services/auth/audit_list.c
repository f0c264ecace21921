/* audit_list.c - the audit log of a store, for its owner: who did what, when, from where (contract K.6). The newest
 * first, and it only grows at that end: a cursor never shows a row twice. */
#include "auth_operations.h"
#include "bounds.h"
#include "listing.h"
#include "statements.h"
#include "store_access.h"

int
audit_list(struct call *call)
{
    int64_t store_id = in_int(call->in, "query.store_id", 0);
    struct listing page = {.list = "audit", .of = store_id, .id_column = "audit_id", .descending = true};
    struct rows rows, count;

    if (store_allow(call, store_id, PERMISSION_OWNER, STORE_READ) || listing_begin(&page, call) ||
        db_run(call, AUDIT_PAGE, &rows, "llll", store_id, listing_id(&page), listing_wanted(&page),
               listing_offset(&page)) ||
        db_run(call, AUDIT_COUNT, &count, "ll", store_id, (int64_t)TOTAL_EXACT_MAX + 1))
        return -1;
    return listing_reply(&page, call, &rows, rows_int(&count, 0, "total"));
}

/* queries.h - all SQL of billing: QUERY(NAME, "statement"), prepared at connect. Included twice on purpose:
 * statements.h makes the enum of it, main.c the array.
 */

/* Ids, the newest first, for a page or to be counted: from the index that has them in this order and nothing else, so
 * that others' rows, and those in another state, are neither read nor left out (protocols 13). Counted in order as
 * well, because in none PostgreSQL would gather all that there are before it counts the first 10,000. */
#define NEWEST(table, which, id, before, count, but)                                                                   \
    "select " id " from " table " where " which " and " id " < " before " order by " id " desc limit " count           \
    " offset " but
#define LAST "9223372036854775807"

/* A page and how many there are in all: `counted` and `ids` are of the above, `beside` joins what `columns` name. */
#define PAGE_OF(columns, total, ids, beside, id)                                                                       \
    "with total as (select " total                                                                                     \
    " as _total) select total._total, page.* from total left join lateral (select " columns " from (" ids              \
    ") as ids" beside " order by " id " desc) as page on true"
#define COUNTED(counted)                        "(select count(*) from (" counted ") as counted)"
#define PAGE(columns, counted, ids, beside, id) PAGE_OF(columns, COUNTED(counted), ids, beside, id)

/* How many there are is kept, and counted only for those before some id. */
#define KEPT(before, kept, counted)                                                                                    \
    "case when " before " = " LAST " then (select " kept ") else " COUNTED(counted) " end"

#include "queries_charges.h"
#include "queries_ledger.h"
#include "queries_merchant.h"
#include "queries_owed.h"
#include "queries_payouts.h"
#include "queries_schedule.h"
#include "queries_subscriptions.h"
#include "queries_usage.h"
#include "queries_wallets.h"

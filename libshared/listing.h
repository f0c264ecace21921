/* listing.h - paging of a list that is ordered by an id (contract 0.3, K.1; protocols 13).
 *
 *     struct listing page = {.list = "members", .of = store_id, .id_column = "account_id"};
 *     if (listing_begin(&page, call) || db_run(call, MEMBERS_PAGE, &rows, "llll", store_id, listing_id(&page),
 *                                           listing_wanted(&page), listing_offset(&page)) || ...)
 *         return -1;
 *     return listing_reply(&page, call, &rows, total);
 *
 * The operation takes the query parameters page, limit and cursor. A statement that answers the total beside the rows
 * may answer a single row whose id is null when there is none.
 */
#ifndef LISTING_H
#define LISTING_H

#include "call.h"
#include "cursor.h"

struct listing {
    const char *list; /* its name and whose it is: a cursor of another list is refused */
    int64_t of;
    const char *filter;    /* what else selects its rows, as text; NULL when nothing does */
    const char *id_column; /* of the result; the order of the list */
    bool descending;
    int64_t deepest; /* rows that `page` reaches, a cursor goes on; 0: all */
    /* listing_begin's */
    int64_t page, limit;
    bool by_cursor;
    struct cursor cursor;
};

/* -1 after call_fail: the cursor is not of this list. */
int listing_begin(struct listing *self, struct call *call) must_check;

/* For the statement: rows beyond this id (below it when descending), so many (one more than the page holds), and how
 * many to leave out before. */
int64_t listing_id(const struct listing *self);
int64_t listing_wanted(const struct listing *self);
int64_t listing_offset(const struct listing *self);

unsigned listing_count(const struct listing *self, const struct rows *rows); /* how many of the rows are shown */

/* The head of a list whose items the handler writes itself: answers how many there are, opens the list and its
 * envelope. listing_end writes the pagination, listing_reply all of it from rows. A total above TOTAL_EXACT_MAX is
 * shown as capped: count at most one more. */
unsigned listing_open(const struct listing *self, struct call *call, const struct rows *rows);
int listing_end(struct listing *self, struct call *call, const struct rows *rows, int64_t total) must_check;
int listing_reply(struct listing *self, struct call *call, const struct rows *rows, int64_t total) must_check;

#endif

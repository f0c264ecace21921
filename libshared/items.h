/* items.h - paging of a list of the developer family (contract 0.3): {items, page, limit, total, totalPages}.
 *
 *     struct items page = {.id_column = "payout_id"};
 *     items_begin(&page, call);
 *     if (db_run(call, PAYOUTS_PAGE, &rows, "lll", app_id, items_wanted(&page), items_offset(&page)))
 *         return -1;
 *     return items_reply(&page, call, &rows);
 *
 * The operation takes the query parameters page and limit. `page` reaches the first TOTAL_EXACT_MAX rows, and total
 * says no more: the statement answers it beside the rows as _total, which it need not count any further, and a single
 * row whose id is null when there are no rows.
 */
#ifndef ITEMS_H
#define ITEMS_H

#include "call.h"

struct items {
    const char *id_column;
    /* items_begin's */
    int64_t page, limit;
};

void items_begin(struct items *self, const struct call *call);

/* For the statement: how many rows, and how many to leave out before them. */
int64_t items_wanted(const struct items *self);
int64_t items_offset(const struct items *self);

int items_reply(const struct items *self, struct call *call, const struct rows *rows) must_check;

/* The same where another service has answered the page: items as JSON text, and its total. */
int items_reply_json(const struct items *self, struct call *call, struct str items, int64_t total) must_check;

#endif

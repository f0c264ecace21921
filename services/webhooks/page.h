/* page.h - a page of a list that is ordered by an id, the newest first.
 *
 * The statement answers one row more than the page holds, each with _total; without any row a single one whose id is
 * null.
 */
#ifndef PAGE_H
#define PAGE_H

#include "call.h"
#include "cursor.h"

#define PAGES_DEEP 10000 /* rows that `page` reaches; a cursor goes on */

struct page {
    const char *id_column;
    int64_t page, limit;
    bool by_cursor;
    struct cursor cursor; /* its filters are the caller's to set before page_begin */
};

/* Reads page, limit and cursor of the query. -1 after call_fail. */
int page_begin(struct page *self, struct call *call) must_check;
int64_t page_before(const struct page *self); /* for the statement: ids below it, and how many to leave out */
int64_t page_offset(const struct page *self);
unsigned page_count(const struct page *self, const struct rows *rows); /* how many of the rows are shown */

/* The answer; or its end, when the caller has opened it (call_data_with one further member) and written the items. */
int page_reply(struct page *self, struct call *call, const struct rows *rows) must_check;
int page_end(struct page *self, struct call *call, const struct rows *rows) must_check;

#endif

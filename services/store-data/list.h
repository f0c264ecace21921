/* list.h - paging of a list: page, limit, sort and cursor in; data and pagination out (contract 0.3, protocols 13).
 *
 * A list has up to three sorts (the rest of its array is empty), and each way of finding its rows has six statements in
 * queries.h, in the order of list_variant. Rows are asked for with one more than the page holds: that one says that
 * there is a next page.
 */
#ifndef LIST_H
#define LIST_H

#include "call.h"
#include "cursor.h"

#define LIST_SORTS  3
#define EARLIEST_US INT64_C(-62135596800000000) /* 0001-01-01: a `since` that was not given */

struct list_sort {
    const char *name;             /* as clients write it */
    const char *column;           /* of the result: the key's full value */
    const char *lowest, *highest; /* keys before and after every other */
};

struct list {
    const struct list_sort *sorts;
    const char *id_column;
    unsigned sort;
    bool descending;
    int64_t page;
    int64_t limit;
    bool after;   /* there is a cursor: page counts no more */
    bool counted; /* the total is capped at TOTAL_EXACT_MAX */
    struct cursor cursor;
};

/* sort is "column" or "column:asc|desc", already validated; cursor is NULL when there is none. filters: cursor_hash
 * over everything that chooses rows. -1: the cursor is not of this list, and the call has failed. */
int list_begin(struct list *self, struct call *call, const char *sort, int64_t page, int64_t limit, const char *cursor,
               uint64_t filters) must_check;

/* The same from the query of a GET: page, limit, sort and cursor. sort: that of a list that has one only; NULL to take
 * the query's. filters: everything else that chooses rows, as text; the operation, the store and the app belong to the
 * cursor by themselves. */
int list_read(struct list *self, struct call *call, const char *sort, const char *filters) must_check;

/* What to add to the first of six statements. */
unsigned list_variant(const struct list *self);

/* Where the page begins: the cursor's key and id, or what lies before every row. */
const char *list_key(const struct list *self);
int64_t list_id(const struct list *self);
int64_t list_offset(const struct list *self); /* rows to leave out; 0 with a cursor */
int64_t list_wanted(const struct list *self); /* limit + 1 */

/* Ends the list with the rows of its statement. Writes data and pagination; the caller may have further members after
 * it (call_reply is the caller's). */
void list_write(struct list *self, struct call *call, const struct rows *rows, unsigned further_members);

#endif

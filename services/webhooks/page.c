/* page.c - one row more than the page holds is asked for: it says that there is a next page, and is not shown. */
#include "page.h"

#include <string.h>

#include "bounds.h"

int
page_begin(struct page *self, struct call *call)
{
    const char *text = in_text(call->in, "query.cursor");

    self->page = in_int(call->in, "query.page", 1);
    self->limit = in_int(call->in, "query.limit", PAGE_LIMIT_DEFAULT);
    self->by_cursor = text != NULL;
    self->cursor.descending = true;
    if (text && cursor_decode(&self->cursor, call->arena, text, strlen(text)))
        return call_fail(call, FAIL_VALIDATION_ERROR, "cursor",
                         "is not a next_cursor of this list with these filters; begin again without it");
    if (!text && self->page > PAGES_DEEP / self->limit)
        return call_failf(call, FAIL_VALIDATION_ERROR, "page", "reaches the first %d of a list; go on with the cursor",
                          PAGES_DEEP);
    return 0;
}

int64_t
page_before(const struct page *self)
{
    return self->by_cursor ? self->cursor.id : INT64_MAX;
}

int64_t
page_offset(const struct page *self)
{
    return self->by_cursor ? 0 : (self->page - 1) * self->limit;
}

unsigned
page_count(const struct page *self, const struct rows *rows)
{
    if (rows->count == 1 && rows_is_null(rows, 0, self->id_column))
        return 0;
    return rows->count > self->limit ? (unsigned)self->limit : rows->count;
}

int
page_end(struct page *self, struct call *call, const struct rows *rows)
{
    int64_t total = rows_int(rows, 0, "_total");
    bool capped = total > TOTAL_EXACT_MAX;
    struct out *out = &call->out;

    out_key(out, "pagination");
    out_map(out, 4 + capped);
    out_key(out, "page");
    out_int(out, self->page);
    out_key(out, "limit");
    out_int(out, self->limit);
    out_key(out, "total");
    out_int(out, capped ? TOTAL_EXACT_MAX : total);
    if (capped) {
        out_key(out, "total_capped");
        out_bool(out, true);
    }
    out_key(out, "next_cursor");
    if (rows->count > self->limit) {
        self->cursor.id = rows_int(rows, (unsigned)self->limit - 1, self->id_column);
        self->cursor.key = (struct str){NULL, 0};
        out_text(out, cursor_encode(&self->cursor, call->arena));
    } else {
        out_null(out);
    }
    return call_reply(call, 200);
}

int
page_reply(struct page *self, struct call *call, const struct rows *rows)
{
    struct rows shown = *rows;

    shown.count = page_count(self, rows);
    call_data_with(call, 1);
    out_rows(&call->out, &shown);
    return page_end(self, call, rows);
}

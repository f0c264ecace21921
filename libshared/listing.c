/* listing.c - one row more than the page holds is asked for: it says that there is a next page, and is not shown. */
#include "listing.h"

#include <string.h>

#include "bounds.h"

#define SORT_BY_ID 0

int
listing_begin(struct listing *self, struct call *call)
{
    const char *text = in_text(call->in, "query.cursor");
    uint64_t filters = cursor_hash(0, self->list, strlen(self->list));

    filters = cursor_hash(filters, (const char *)&self->of, sizeof self->of);
    if (self->filter)
        filters = cursor_hash(filters, self->filter, strlen(self->filter));
    self->page = in_int(call->in, "query.page", 1);
    self->limit = in_int(call->in, "query.limit", PAGE_LIMIT_DEFAULT);
    self->by_cursor = text != NULL;
    self->cursor = (struct cursor){.sort = SORT_BY_ID, .descending = self->descending, .filters = filters};
    if (text && cursor_decode(&self->cursor, call->arena, text, strlen(text)) != 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, "cursor",
                         "is not a next_cursor of this list, as it is filtered now; begin again without it");
    if (!text && self->deepest && self->page > self->deepest / self->limit)
        return call_failf(call, FAIL_VALIDATION_ERROR, "page",
                          "reaches the first %lld of a list; go on with the cursor", (long long)self->deepest);
    return 0;
}

int64_t
listing_id(const struct listing *self)
{
    if (self->by_cursor)
        return self->cursor.id;
    return self->descending ? INT64_MAX : 0;
}

int64_t
listing_wanted(const struct listing *self)
{
    return self->limit + 1;
}

int64_t
listing_offset(const struct listing *self)
{
    return self->by_cursor ? 0 : (self->page - 1) * self->limit;
}

unsigned
listing_count(const struct listing *self, const struct rows *rows)
{
    if (rows->count == 1 && rows_is_null(rows, 0, self->id_column))
        return 0;
    return rows->count > self->limit ? (unsigned)self->limit : rows->count;
}

unsigned
listing_open(const struct listing *self, struct call *call, const struct rows *rows)
{
    call_data_with(call, 1);
    return listing_count(self, rows);
}

int
listing_end(struct listing *self, struct call *call, const struct rows *rows, int64_t total)
{
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
listing_reply(struct listing *self, struct call *call, const struct rows *rows, int64_t total)
{
    struct rows page = *rows;

    page.count = listing_open(self, call, rows);
    out_rows(&call->out, &page);
    return listing_end(self, call, rows, total);
}

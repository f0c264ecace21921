/* items.c - nothing is read beyond what `page` reaches, so that no page costs more than the last one there is. */
#include "items.h"

#include "bounds.h"

#define LIMIT_DEFAULT 20 /* of the developer family */

void
items_begin(struct items *self, const struct call *call)
{
    self->page = in_int(call->in, "query.page", 1);
    self->limit = in_int(call->in, "query.limit", LIMIT_DEFAULT);
}

/* page and limit are as the contract allows them: their product cannot overflow. */
int64_t
items_offset(const struct items *self)
{
    int64_t offset = (self->page - 1) * self->limit;

    return offset < TOTAL_EXACT_MAX ? offset : TOTAL_EXACT_MAX;
}

int64_t
items_wanted(const struct items *self)
{
    int64_t left = TOTAL_EXACT_MAX - items_offset(self);

    return left < self->limit ? left : self->limit;
}

static void
open_reply(struct call *call)
{
    call_data(call);
    out_map(&call->out, 5);
    out_key(&call->out, "items");
}

static int
end_reply(const struct items *self, struct call *call, int64_t total)
{
    if (total > TOTAL_EXACT_MAX)
        total = TOTAL_EXACT_MAX;
    out_key_int(&call->out, "page", self->page);
    out_key_int(&call->out, "limit", self->limit);
    out_key_int(&call->out, "total", total);
    out_key_int(&call->out, "totalPages", (total + self->limit - 1) / self->limit);
    return call_reply(call, 200);
}

int
items_reply_json(const struct items *self, struct call *call, struct str items, int64_t total)
{
    open_reply(call);
    out_json(&call->out, items);
    return end_reply(self, call, total);
}

int
items_reply(const struct items *self, struct call *call, const struct rows *rows)
{
    struct rows shown = *rows;

    if (shown.count == 1 && rows_is_null(rows, 0, self->id_column))
        shown.count = 0;
    open_reply(call);
    out_rows(&call->out, &shown);
    return end_reply(self, call, rows_int(rows, 0, "_total"));
}

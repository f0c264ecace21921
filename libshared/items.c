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

int
items_reply(const struct items *self, struct call *call, const struct rows *rows)
{
    int64_t total = rows_int(rows, 0, "_total");
    struct rows shown = *rows;

    if (total > TOTAL_EXACT_MAX)
        total = TOTAL_EXACT_MAX;
    if (shown.count == 1 && rows_is_null(rows, 0, self->id_column))
        shown.count = 0;
    call_data(call);
    out_map(&call->out, 5);
    out_key(&call->out, "items");
    out_rows(&call->out, &shown);
    out_key(&call->out, "page");
    out_int(&call->out, self->page);
    out_key(&call->out, "limit");
    out_int(&call->out, self->limit);
    out_key(&call->out, "total");
    out_int(&call->out, total);
    out_key(&call->out, "totalPages");
    out_int(&call->out, (total + self->limit - 1) / self->limit);
    return call_reply(call, 200);
}

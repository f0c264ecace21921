/* list.c - the same paging for every list of this service. */
#include "list.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "bounds.h"

static void
read_sort(struct list *self, const char *sort)
{
    size_t len = strcspn(sort, ":");

    for (self->sort = 0; self->sort < LIST_SORTS; self->sort++)
        if (self->sorts[self->sort].name && strlen(self->sorts[self->sort].name) == len &&
            memcmp(self->sorts[self->sort].name, sort, len) == 0)
            break;
    assert(self->sort < LIST_SORTS); /* the contract lists what may be sent */
    self->descending = strcmp(sort + len, ":asc") != 0;
}

int
list_begin(struct list *self, struct call *call, const char *sort, int64_t page, int64_t limit, const char *cursor,
           uint64_t filters)
{
    read_sort(self, sort);
    self->page = page;
    self->limit = limit;
    self->after = cursor != NULL;
    self->counted = false;
    self->cursor = (struct cursor){.sort = (uint8_t)self->sort, .descending = self->descending, .filters = filters};
    if (cursor && cursor_decode(&self->cursor, call->arena, cursor, strlen(cursor)) != 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, "cursor",
                         "is not a next_cursor of this list with this sort and these filters; begin again without it");
    return 0;
}

int
list_read(struct list *self, struct call *call, const char *sort, const char *filters)
{
    const char *chosen = arena_printf(call->arena, "%s %" PRId64 " %" PRId64 " %s", call->operation->name,
                                      call->caller.store_id, call->caller.app_id, filters);

    return list_begin(self, call, sort ? sort : in_text(call->in, "query.sort"), in_int(call->in, "query.page", 1),
                      in_int(call->in, "query.limit", PAGE_LIMIT_DEFAULT), in_text(call->in, "query.cursor"),
                      cursor_hash(0, chosen, strlen(chosen)));
}

unsigned
list_variant(const struct list *self)
{
    return 2 * self->sort + self->descending;
}

const char *
list_key(const struct list *self)
{
    if (self->after)
        return self->cursor.key.base ? self->cursor.key.base : "";
    return self->descending ? self->sorts[self->sort].highest : self->sorts[self->sort].lowest;
}

int64_t
list_id(const struct list *self)
{
    if (self->after)
        return self->cursor.id;
    return self->descending ? INT64_MAX : 0;
}

int64_t
list_offset(const struct list *self)
{
    return self->after ? 0 : (self->page - 1) * self->limit;
}

int64_t
list_wanted(const struct list *self)
{
    return self->limit + 1;
}

static void
write_next_cursor(struct list *self, struct call *call, const struct rows *rows, unsigned last)
{
    const char *key = rows_text(rows, last, self->sorts[self->sort].column);

    self->cursor.key = str_of(key);
    self->cursor.id = rows_int(rows, last, self->id_column);
    out_text(&call->out, cursor_encode(&self->cursor, call->arena));
}

void
list_write(struct list *self, struct call *call, const struct rows *rows, unsigned further_members)
{
    int64_t total = rows_int(rows, 0, "_total");
    bool capped = self->counted && total > TOTAL_EXACT_MAX;
    unsigned count = rows->count;
    struct rows page = *rows;
    bool more;

    if (count == 1 && rows_is_null(rows, 0, self->id_column))
        count = 0; /* the total alone */
    more = count > self->limit;
    if (more)
        count = (unsigned)self->limit;

    call_data_with(call, 1 + further_members);
    page.count = count;
    out_rows(&call->out, &page);
    out_key(&call->out, "pagination");
    out_map(&call->out, 4 + capped);
    out_key(&call->out, "page");
    out_int(&call->out, self->page);
    out_key(&call->out, "limit");
    out_int(&call->out, self->limit);
    out_key(&call->out, "total");
    out_int(&call->out, capped ? TOTAL_EXACT_MAX : total);
    if (capped) {
        out_key(&call->out, "total_capped");
        out_bool(&call->out, true);
    }
    out_key(&call->out, "next_cursor");
    if (more)
        write_next_cursor(self, call, rows, count - 1);
    else
        out_null(&call->out);
}

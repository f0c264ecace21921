/* verify.c - see verify.h. */
#include "verify.h"

#include "clock.h"
#include "statements.h"

#define WORK_MS 6000 /* of a call's 15 seconds: the last span and what stands for the whole store come on top */

void
verify_add(struct verify *self, const struct rows *rows, unsigned first)
{
    if (rows->count <= first)
        return;
    self->sets[self->set_count].rows = *rows;
    self->sets[self->set_count++].first = first;
    self->differences += rows->count - first;
}

/* Each statement sees what is committed when it begins, so no old rows are kept for the sake of a long recount. */
int
verify_spans(struct verify *self, struct call *call, unsigned next, unsigned span)
{
    int64_t after = in_int(call->in, "body.after", 0), until_ms = clock_monotonic_ms() + WORK_MS;
    struct rows rows;

    *self = (struct verify){.call = call, .store_id = in_int(call->in, "body.store_id", 0)};
    if (db_begin(call) || db_run(call, VERIFY_BEGIN, &rows, ""))
        return -1;
    do {
        if (db_run(call, next, &rows, "ll", self->store_id, after))
            return -1;
        self->next_after = rows_int(&rows, 0, "last");
        if (db_run(call, span, &rows, "lll", self->store_id, after, self->next_after))
            return -1;
        verify_add(self, &rows, 0);
        after = self->next_after;
    } while (after != INT64_MAX && self->differences < VERIFY_DIFFERENCES_MAX && clock_monotonic_ms() < until_ms);
    if (after == INT64_MAX)
        self->next_after = 0;
    return 0;
}

void
verify_write(const struct verify *self, unsigned members)
{
    struct out *out = &self->call->out;

    call_data(self->call);
    out_map(out, members + VERIFY_MEMBERS);
    out_key(out, "store_id");
    out_int(out, self->store_id);
    out_key(out, "ok");
    out_bool(out, self->differences + self->others == 0);
    out_key(out, "next_after");
    if (self->next_after)
        out_int(out, self->next_after);
    else
        out_null(out);
    out_key(out, "differences");
    out_list(out, self->differences);
    for (unsigned set = 0; set < self->set_count; set++)
        for (unsigned row = self->sets[set].first; row < self->sets[set].rows.count; row++)
            out_row(out, &self->sets[set].rows, row);
}

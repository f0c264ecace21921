/* app_counts.c - see app_counts.h. Kept here because each service that keeps counts answers the same. */
#include "app_counts.h"

int
app_counts_reply(struct call *call, const struct rows *counts, const struct rows *latest)
{
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "counts");
    out_row(&call->out, counts, 0);
    out_key(&call->out, "latest");
    if (latest->count)
        out_row(&call->out, latest, 0);
    else
        out_null(&call->out);
    return call_reply(call, 200);
}

int
app_counts_reply_recount(struct call *call, const struct rows *differences)
{
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "ok");
    out_bool(&call->out, differences->count == 0);
    out_key(&call->out, "differences");
    out_rows(&call->out, differences);
    return call_reply(call, 200);
}

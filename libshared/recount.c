/* recount.c - see recount.h. Kept here because each service that keeps counts answers the same. */
#include "recount.h"

int
recount_reply(struct call *call, const struct rows *differences)
{
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "ok");
    out_bool(&call->out, differences->count == 0);
    out_key(&call->out, "differences");
    out_rows(&call->out, differences);
    return call_reply(call, 200);
}

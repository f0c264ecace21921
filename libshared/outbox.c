/* outbox.c - one insert, which travels with the next statement or the commit. outbox_publish.c takes the rows
 * out (protocols 7). */
#include "outbox.h"

#include <assert.h>

#include "actor.h"
#include "clock.h"
#include "outbox_publish.h"
#include "shared_statements.h"

#define DEED_SIZE_MAX 8192

void
outbox_wake(void)
{
    actor_wake(OUTBOX_ACTOR);
}

int
outbox_put(struct call *call, const char *topic, int64_t store_id, const char *resource_type, int64_t resource_id,
           struct str data)
{
    assert(db_in_transaction(call->db)); /* an event without its change, or a change without its event, is a lie */
    db_after_commit(call, outbox_wake);
    return db_post(call, OUTBOX_PUT, "slsljt", topic, store_id, resource_type, resource_id, data, clock_now_us());
}

int
outbox_audit(struct call *call, const struct deed *self)
{
    const struct identity *caller = &call->caller;
    struct buf buf;
    struct out out;
    int rc;

    buf_init(&buf, DEED_SIZE_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_map(&out, 6);
    out_key_text(&out, "actor",
                 caller->audience == AUDIENCE_INTERNAL ? caller->service
                 : caller->audience == AUDIENCE_APP    ? "app"
                                                       : "account");
    out_key_id(&out, "account_id", self->account_id ? self->account_id : caller->account_id);
    out_key_text(&out, "action", self->action);
    out_key_id(&out, "app_id", self->app_id);
    out_key_text(&out, "request_id", call->request_id);
    out_key_text(&out, "address", call->address);
    rc =
        outbox_put(call, OUTBOX_AUDIT, self->store_id, self->target, self->target_id, (struct str){buf.data, buf.size});
    buf_free(&buf);
    return rc;
}

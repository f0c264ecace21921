/* outbox.c - one insert, which travels with the next statement or the commit. outbox_publish.c takes the rows
 * out (protocols 7). */
#include "outbox.h"

#include <assert.h>

#include "actor.h"
#include "clock.h"
#include "outbox_publish.h"
#include "shared_statements.h"

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

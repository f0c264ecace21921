/* One insert. The rest of protocols 7 (publishing, deleting) is the outbox actor's. */
#include "outbox.h"

#include <assert.h>

#include "clock.h"
#include "shared_statements.h"

int
outbox_put(struct call *call, const char *topic, int64_t store_id, const char *resource_type, int64_t resource_id,
           struct str data)
{
    struct rows rows;

    assert(db_in_transaction(call->db)); /* an event without its change, or a change without its event, is a lie */
    return db_run(call, OUTBOX_PUT, &rows, "slsljt", topic, store_id, resource_type, resource_id, data, clock_now_us());
}

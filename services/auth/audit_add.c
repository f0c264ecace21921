/* audit_add.c - the deeds of which other services tell, from their outboxes (contract K.6; libshared/outbox.h): they
 * keep what they are about, auth keeps who did it. One that is known by its event_id is left as it is.
 */
#include "auth_operations.h"
#include "json_text.h"
#include "statements.h"

int
audit_add(struct call *call)
{
    struct rows rows;

    if (db_run(call, AUDIT_ADD, &rows, "j", json_text_of(in_at(call->in, "body.events"), call->arena)))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key_int(&call->out, "taken", rows.affected);
    return call_reply(call, 200);
}

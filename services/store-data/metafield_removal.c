/* metafield_removal.c - values that are to go, in batches: a definition that was deleted may have had hundreds of
 * thousands of them, in many stores, and no statement may run for long.
 *
 * A definition that is marked has no value written any more (METAFIELD_DEFINITIONS_SHARE), so what is left only
 * shrinks, and the row itself goes when nothing is. Killed at any moment, the next actor goes on with what is there.
 */
#include "metafields.h"
#include "statements.h"
#include "store_data_operations.h"

static int
take_turn(struct call *call)
{
    int64_t definition_id;
    struct rows rows;

    if (db_run(call, METAFIELD_REMOVAL_NEXT, &rows, ""))
        return -1;
    if (rows.count == 0)
        return ACTOR_DONE;
    definition_id = rows_int(&rows, 0, "definition_id");
    if (db_run(call, METAFIELD_REMOVAL_VALUES, &rows, "ll", definition_id, (int64_t)METAFIELD_REMOVED_MAX))
        return -1;
    if (rows.affected > 0)
        return ACTOR_AGAIN;
    if (db_run(call, METAFIELD_REMOVAL_DEFINITION, &rows, "l", definition_id))
        return -1;
    return rows.affected > 0 ? ACTOR_AGAIN : ACTOR_DONE; /* somebody holds a row; later */
}

const struct actor_plan metafield_removal_plan = {
    .name = "metafield-removal", .turn = take_turn, .look_ms = 1000, .turn_ms = 8000};

/* The internal operation: one batch, and the caller comes again until there are none. */
int
metafields_forget(struct call *call)
{
    struct rows rows;

    if (db_run(call, METAFIELD_FORGET_APP, &rows, "lll", in_int(call->in, "body.store_id", 0),
               in_int(call->in, "body.app_id", 0), (int64_t)METAFIELD_REMOVED_MAX))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "removed");
    out_int(&call->out, rows.affected);
    return call_reply(call, 200);
}

/* redaction.c - forgets people whom store-data has forgotten: the events about them keep what happened and lose who it
 * was, so that what is still to be delivered, replayed or read from the log tells of nobody.
 *
 * store-data says whom in the line of its events (topic webhooks.redaction), in the transaction that erases them and
 * therefore behind every event that knew them. They are gone through at once, and again a minute later, when no attempt
 * is under way any more whose answer could repeat what it was sent. What asks apps to forget a customer keeps the
 * e-mail and phone by which they know them for a week, far longer than it is tried for.
 */
#include "redaction.h"

#include "clock.h"
#include "statements.h"
#include "webhooks_operations.h"

#define TAKEN_AT_ONCE 100  /* customers and orders */
#define ROWS_AT_ONCE  1000 /* events or answers of them: far below STATEMENT_WAIT_MS */

/* One batch; those that have more stay due. */
static int
redact(struct call *call, struct str list)
{
    int64_t limit = ROWS_AT_ONCE;
    struct rows events, answers;

    if (db_run(call, REDACT_EVENTS, &events, "jl", list, limit) ||
        db_run(call, REDACT_ANSWERS, &answers, "jl", list, limit))
        return -1;
    if (events.affected < limit && answers.affected < limit)
        return db_post(call, REDACTION_ADVANCE, "jt", list, clock_now_us());
    return 0;
}

static int
take_turn(struct call *call)
{
    struct rows rows, held;
    struct str list;

    if (db_begin(call) || db_run(call, REDACTION_TAKE, &rows, "tl", clock_now_us(), (int64_t)TAKEN_AT_ONCE))
        return -1;
    if (rows_int(&rows, 0, "count") == 0) {
        db_rollback(call->db);
        return ACTOR_DONE;
    }
    list = str_of(rows_text(&rows, 0, "list"));
    if (redact(call, list) || db_commit(call) || db_run(call, REDACTION_REREAD, &held, "jt", list, clock_now_us()))
        return -1;
    return ACTOR_AGAIN;
}

const struct actor_plan redaction_plan = {.name = "redaction", .turn = take_turn, .look_ms = 200, .turn_ms = 5000};

int
redactions_read(struct call *call)
{
    struct rows rows;

    if (db_run(call, REDACTION_STANDING, &rows, "l", in_int(call->in, "body.store_id", 0)))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

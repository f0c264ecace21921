/* token_trim.c - an actor and not a chance with each new token: tokens are made in several places, and the numbers of
 * one kind of them need not ever be a multiple of anything. One batch a turn, in a statement of its own, so that
 * nothing is locked for long.
 */
#include "token_trim.h"

#include "clock.h"
#include "statements.h"

#define KEEP_S 86400

static int
take_turn(struct call *call)
{
    struct rows rows;

    if (db_run(call, TOKENS_TRIM, &rows, "t", clock_now_us() - KEEP_S * US_PER_SECOND))
        return -1;
    return rows_int(&rows, 0, "count") > 0 ? ACTOR_AGAIN : ACTOR_DONE;
}

const struct actor_plan token_trim_plan = {.name = "token-trim", .turn = take_turn, .look_ms = 5000, .turn_ms = 4000};

/* store_setup.c - has store-data make the profiles of new stores.
 *
 * A row of store_setup is put off before it is worked on and deleted when store-data has answered. store-data does
 * nothing for a store it knows already, so a crash between the answer and the delete costs one more request, and no
 * store stays without its profile.
 */
#include "actor.h"
#include "clock.h"
#include "log.h"
#include "statements.h"
#include "stores.h"

#define ACTOR_NAME "store-setup"

static int
make_profile(struct call *call, const struct rows *rows)
{
    static const char *const texts[] = {"name", "email", "phone", "address", "domain", "language"};
    struct call_question question;
    struct out *body = call_question(&question, 1 + ARRAY_COUNT(texts));
    struct in reply;

    out_key_int(body, "store_id", rows_int(rows, 0, "store_id"));
    for (unsigned i = 0; i < ARRAY_COUNT(texts); i++)
        out_key_text(body, texts[i], rows_text(rows, 0, texts[i]));
    return call_ask(call, "store-data.stores.create", &question, &reply);
}

/* What store-data could not do now stands in its row with a later time, out of the way of other stores. */
static int
turn(struct call *call)
{
    struct rows rows;
    int64_t store_id;

    if (db_run(call, STORE_SETUP_TAKE, &rows, "t", clock_now_us()))
        return -1;
    if (rows.count == 0)
        return ACTOR_DONE;
    store_id = rows_int(&rows, 0, "store_id");
    if (make_profile(call, &rows)) {
        log_event(LOG_WARN, "store_setup_failed", "s:request_id", call->request_id, "l:store_id", store_id, "l:tries",
                  rows_int(&rows, 0, "tries"), NULL);
        return ACTOR_AGAIN;
    }
    if (db_run(call, STORE_SETUP_DONE, &rows, "l", store_id))
        return -1;
    return ACTOR_AGAIN;
}

const struct actor_plan store_setup_plan = {.name = ACTOR_NAME, .turn = turn, .look_ms = 500, .turn_ms = 4000};

void
store_setup_wake(void)
{
    actor_wake(ACTOR_NAME);
}

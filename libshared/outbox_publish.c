/* outbox_publish.c - one batch a turn: read, hand over, delete. */
#include "outbox_publish.h"

#include <string.h>

#include "shared_statements.h"
#include "text.h"

#define BATCH_ROWS   500
#define BATCH_SHRINK 4
#define BATCH_BYTES  524288 /* of data; a single row may be larger */
/* For commits of other processes of the service, which cannot ring here. */
#define LOOK_MS 100
#define KEEN_MS 20

static void
write_event(struct out *out, const struct rows *rows, unsigned row)
{
    out_map(out, 7);
    out_key(out, "event_id");
    out_text(out, rows_text(rows, row, "event_id"));
    out_key(out, "topic");
    out_text(out, rows_text(rows, row, "topic"));
    out_key(out, "store_id");
    out_int(out, rows_int(rows, row, "store_id"));
    out_key(out, "resource_type");
    out_text(out, rows_text(rows, row, "resource_type"));
    out_key(out, "resource_id");
    out_int(out, rows_int(rows, row, "resource_id"));
    out_key(out, "created_us");
    out_int(out, rows_time(rows, row, "created_at"));
    out_key(out, "data");
    out_text(out, rows_text(rows, row, "data"));
}

static int
publish(struct call *call, const struct rows *rows)
{
    struct call_question question;
    struct out *body = call_question(&question, 1);
    struct in reply;

    out_key(body, "events");
    out_list(body, rows->count);
    for (unsigned row = 0; row < rows->count; row++)
        write_event(body, rows, row);
    return call_ask(call, "webhooks.events.publish", &question, &reply);
}

/* As PostgreSQL writes an array of numbers. */
static const char *
ids_text(struct call *call, const struct rows *rows)
{
    char *text = arena_alloc(call->arena, rows->count * INT_TEXT_SIZE + 3), *end = text;

    *end++ = '{';
    for (unsigned row = 0; row < rows->count; row++) {
        if (row > 0)
            *end++ = ',';
        end += text_from_int(end, rows_int(rows, row, "id"));
    }
    *end++ = '}';
    *end = '\0';
    return text;
}

/* Where thousands subscribe to the same topic a batch may be more than webhooks can take at once: then fewer. */
static int
take_turn(struct call *call)
{
    static int64_t batch = BATCH_ROWS;
    struct rows rows, gone;

    if (db_run(call, OUTBOX_READ, &rows, "ll", batch, (int64_t)BATCH_BYTES))
        return -1;
    if (rows.count == 0)
        return ACTOR_DONE;
    if (publish(call, &rows)) {
        batch = batch > BATCH_SHRINK ? batch / BATCH_SHRINK : 1;
        return -1;
    }
    batch = 2 * batch < BATCH_ROWS ? 2 * batch : BATCH_ROWS;
    return db_run(call, OUTBOX_DELETE, &gone, "s", ids_text(call, &rows)) ? -1 : ACTOR_AGAIN;
}

const struct actor_plan outbox_plan = {
    .name = OUTBOX_ACTOR, .turn = take_turn, .look_ms = LOOK_MS, .keen_ms = KEEN_MS, .turn_ms = 10000};

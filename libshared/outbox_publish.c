/* outbox_publish.c - one batch a turn: read, hand over, delete. */
#include "outbox_publish.h"

#include <string.h>

#include "outbox.h"
#include "shared_statements.h"
#include "text.h"

#define BATCH_ROWS   500
#define BATCH_SHRINK 4
#define BATCH_BYTES  524288 /* of data; a single row may be larger */
/* For commits of other processes of the service, which cannot ring here. */
#define LOOK_MS 100
#define KEEN_MS 20

/* Who gets which rows. */
struct receiver {
    const char *operation;
    bool audits;
};

static bool
is_for(const struct receiver *self, const struct rows *rows, unsigned row)
{
    return str_is(str_of(rows_text(rows, row, "topic")), OUTBOX_AUDIT) == self->audits;
}

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

/* As PostgreSQL writes an array of numbers. */
static const char *
ids_text(struct call *call, const struct receiver *receiver, const struct rows *rows)
{
    char *text = arena_alloc(call->arena, rows->count * INT_TEXT_SIZE + 3), *end = text;

    *end++ = '{';
    for (unsigned row = 0; row < rows->count; row++) {
        if (!is_for(receiver, rows, row))
            continue;
        if (end > text + 1)
            *end++ = ',';
        end += text_from_int(end, rows_int(rows, row, "id"));
    }
    *end++ = '}';
    *end = '\0';
    return text;
}

/* What it has taken is deleted at once: the next one may be away. */
static int
hand_over(struct call *call, const struct receiver *receiver, const struct rows *rows)
{
    struct call_question question;
    struct rows gone;
    struct out *body;
    struct in reply;
    unsigned count = 0;

    for (unsigned row = 0; row < rows->count; row++)
        count += is_for(receiver, rows, row);
    if (count == 0)
        return 0;
    body = call_question(&question, 1);
    out_key(body, "events");
    out_list(body, count);
    for (unsigned row = 0; row < rows->count; row++)
        if (is_for(receiver, rows, row))
            write_event(body, rows, row);
    if (call_ask(call, receiver->operation, &question, &reply))
        return -1;
    return db_run(call, OUTBOX_DELETE, &gone, "s", ids_text(call, receiver, rows));
}

/* Where thousands subscribe to the same topic a batch may be more than webhooks can take at once: then fewer. */
static int
take_turn(struct call *call)
{
    static const struct receiver webhooks = {"webhooks.events.publish", false}, audit = {"auth.audit.add", true};
    static int64_t batch = BATCH_ROWS;
    struct rows rows;

    if (db_run(call, OUTBOX_READ, &rows, "ll", batch, (int64_t)BATCH_BYTES))
        return -1;
    if (rows.count == 0)
        return ACTOR_DONE;
    if (hand_over(call, &webhooks, &rows) || hand_over(call, &audit, &rows)) {
        batch = batch > BATCH_SHRINK ? batch / BATCH_SHRINK : 1;
        return -1;
    }
    batch = 2 * batch < BATCH_ROWS ? 2 * batch : BATCH_ROWS;
    return ACTOR_AGAIN;
}

const struct actor_plan outbox_plan = {
    .name = OUTBOX_ACTOR, .turn = take_turn, .look_ms = LOOK_MS, .keen_ms = KEEN_MS, .turn_ms = 10000};

/* usage.c - takes what the gateways have counted: how often installations were used, and when credentials were last.
 *
 * A gateway numbers its batches and has one under way at a time; a batch whose answer was lost comes again under its
 * number and counts once. What a gateway had not yet sent when it was killed is not counted.
 */
#include "auth_operations.h"
#include "clock.h"
#include "statements.h"

#define TEXT_SIZE_MAX  1048576
#define GATEWAY_KEPT_S 86400 /* a gateway that sent nothing for a day is gone: it sends no batch again */
#define TRIM_EVERY     64

/* The entries as JSON text for PostgreSQL. */
static struct str
entries_json(struct call *call)
{
    struct in entries = in_at(call->in, "body.entries");
    unsigned count = in_count(entries, "");
    struct buf buf;
    struct out out;
    struct str text;

    buf_init(&buf, TEXT_SIZE_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, count);
    for (unsigned i = 0; i < count; i++) {
        struct in entry = in_item(entries, i);

        out_map(&out, 4);
        out_key(&out, "installation_id");
        out_int(&out, in_int(entry, "installation_id", 0));
        out_key(&out, "requests");
        out_int(&out, in_int(entry, "requests", 0));
        out_key(&out, "last_used_us");
        out_int(&out, in_int(entry, "last_used_us", 0));
        out_key(&out, "credential");
        out_text(&out, in_text(entry, "credential"));
    }
    text = (struct str){arena_strndup(call->arena, buf.data, buf.size), buf.size};
    buf_free(&buf);
    return text;
}

int
usage_add(struct call *call)
{
    int64_t batch = in_int(call->in, "body.batch", 0), now_us = clock_now_us();
    struct str entries = entries_json(call);
    struct rows rows;

    if (db_begin(call) ||
        db_run(call, USAGE_BATCH_TAKE, &rows, "llt", in_int(call->in, "body.gateway_id", 0), batch, now_us))
        return -1;
    if (rows.affected > 0 &&
        (db_post(call, USAGE_ADD, "j", entries) || db_post(call, CREDENTIAL_USE_PUT, "j", entries)))
        return -1;
    if (batch % TRIM_EVERY == 0 && db_post(call, USAGE_BATCHES_TRIM, "t", now_us - GATEWAY_KEPT_S * US_PER_SECOND))
        return -1;
    if (db_commit(call))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "batch");
    out_int(&call->out, batch);
    return call_reply(call, 200);
}

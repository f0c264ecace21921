/* privacy.c - a merchant passes on what a customer asked for: their data, or that it be forgotten (contract K.2, K.6).
 *
 * Recorded here, as the proof, and told through the outbox: whoever holds data of the customer hears of it, store-data
 * as well as apps. What the store knows about the customer is not auth's to know, so the event names the customer by
 * id alone.
 */
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "outbox.h"
#include "statements.h"
#include "store_access.h"

#define EVENT_MAX 1024

struct privacy_kind {
    const char *kind;
    const char *topic;
    const char *time_name; /* of the member of the event (contract D.2) */
    const char *action;
};

static struct str
event_data(struct call *call, const struct privacy_kind *kind, const struct rows *rows)
{
    struct buf buf;
    struct out out;
    struct str json;

    buf_init(&buf, EVENT_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_map(&out, 4);
    out_key(&out, "privacy_request_id");
    out_int(&out, rows_int(rows, 0, "privacy_request_id"));
    out_key(&out, "store_id");
    out_int(&out, rows_int(rows, 0, "store_id"));
    out_key(&out, "customer");
    out_map(&out, 1);
    out_key(&out, "id");
    out_int(&out, rows_int(rows, 0, "customer_id"));
    out_key(&out, kind->time_name);
    out_time(&out, rows_time(rows, 0, "created_at"));
    json = (struct str){arena_strndup(call->arena, buf.data, buf.size), buf.size};
    buf_free(&buf);
    return json;
}

static int
request(struct call *call, const struct privacy_kind *kind)
{
    int64_t store_id = in_int(call->in, "path.store_id", 0), request_id;
    int64_t customer_id = in_int(call->in, "body.customer_id", 0);
    struct rows rows;

    if (store_allow(call, store_id, PERMISSION_OWNER, STORE_CHANGE) || db_begin(call) ||
        db_run(call, PRIVACY_INSERT, &rows, "llslt", store_id, customer_id, kind->kind, call->caller.account_id,
               clock_now_us()))
        return -1;
    request_id = rows_int(&rows, 0, "privacy_request_id");
    if (outbox_put(call, kind->topic, store_id, "customer", customer_id, event_data(call, kind, &rows)) ||
        audit_put(call, kind->action, "privacy_request", request_id, store_id, 0) || db_commit(call))
        return -1;
    return call_reply_row(call, 201, &rows, 0);
}

int
privacy_data_request(struct call *call)
{
    static const struct privacy_kind kind = {"data_request", "customers/data_request", "requested_at",
                                             "privacy.data_requested"};

    return request(call, &kind);
}

int
privacy_redact(struct call *call)
{
    static const struct privacy_kind kind = {"redact", "customers/redact", "redact_requested_at",
                                             "privacy.redact_requested"};

    return request(call, &kind);
}

/* store.c - a store's profile: read and changed by apps, made by the platform when auth has made the store.
 *
 * The profile's name is the one that customers and apps see, in events too, and it is owned here. Auth keeps the name
 * that the store was opened under, for its owner's list of stores and the pages of consent, and nobody changes that.
 */
#include <string.h>

#include "bounds.h"
#include "changes.h"
#include "clock.h"
#include "statements.h"
#include "store_data_operations.h"

enum { NAME, EMAIL, PHONE, CURRENCY, IMAGE, ADDRESS, DOMAIN, LANGUAGE, FIELDS };

static const char *const field_names[FIELDS] = {"name",  "email",   "phone",  "currency",
                                                "image", "address", "domain", "language"};

/* As GET answers it, down to the order of the members. */
static void
write_store(struct out *out, const struct rows *rows, const char *message)
{
    out_row(out, rows, 0);
    out_key(out, "message");
    out_text(out, message);
}

static int
get_store(struct call *call, int64_t store_id, struct rows *rows)
{
    if (db_run(call, STORE_GET, rows, "l", store_id))
        return -1;
    return rows->count ? 0 : call_fail(call, FAIL_NOT_FOUND, "store_id", "No such store");
}

static int
answer_store(struct call *call, const struct rows *rows, const char *message)
{
    if (call->operation->path == NULL)
        return call_reply_row(call, 200, rows, 0);
    call_data_with(call, 1);
    write_store(&call->out, rows, message);
    return call_reply(call, 200);
}

int
store_get(struct call *call)
{
    struct rows rows;

    if (get_store(call, call->caller.store_id, &rows))
        return -1;
    return answer_store(call, &rows, "Store fetched");
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

/* call_if_match knows answers of {data, status}; this one has a message between them. */
static int
check_match(struct call *call, const struct rows *rows)
{
    struct buf body;
    struct out out;
    int rc;

    if (!call_has_if_match(call))
        return 0;
    buf_init(&body, WIRE_MESSAGE_MAX);
    out_init(&out, &body, OUT_JSON);
    out_map(&out, 3);
    out_key(&out, "data");
    write_store(&out, rows, "Store fetched");
    out_key(&out, "status");
    out_int(&out, 200);
    rc = call_if_match_body(call, (struct str){body.data, body.size});
    buf_free(&body);
    return rc;
}

/* Every amount of the store is in its currency, so it stays what it was from the first order on. */
static int
check_currency(struct call *call, const char *old, const char *new)
{
    struct rows rows;

    if (strcmp(old, new) == 0)
        return 0;
    if (db_run(call, STORE_LAST_ORDER, &rows, "l", call->caller.store_id))
        return -1;
    if (rows_int(&rows, 0, "last") == 0)
        return 0;
    return call_failf(call, FAIL_CONFLICT, "currency",
                      "The store has had orders in %s, so its currency stays; open another store for %s", old, new);
}

static int
lock_store(struct call *call, struct rows *rows)
{
    struct rows locked;

    return db_begin(call) || db_run(call, STORE_LOCK, &locked, "l", call->caller.store_id) ||
                   get_store(call, call->caller.store_id, rows) || check_match(call, rows)
               ? -1
               : 0;
}

int
store_update(struct call *call)
{
    struct in body = in_at(call->in, "body");
    int64_t store_id = call->caller.store_id;
    const char *values[FIELDS];
    struct changes changes;
    struct rows rows;

    if (lock_store(call, &rows))
        return -1;
    changes_begin(&changes);
    for (unsigned i = 0; i < FIELDS; i++) {
        const char *old = rows_text(&rows, 0, field_names[i]);

        values[i] = in_text_after(body, field_names[i], old);
        changes_text(&changes, field_names[i], old, values[i]);
    }
    if (changes_any(&changes) &&
        (check_currency(call, rows_text(&rows, 0, "currency"), values[CURRENCY]) ||
         db_post(call, STORE_UPDATE, "lsssssssst", store_id, values[NAME], values[EMAIL], values[PHONE],
                 values[CURRENCY], values[IMAGE], values[ADDRESS], values[DOMAIN], values[LANGUAGE], clock_now_us()) ||
         get_store(call, store_id, &rows)))
        return -1;
    if (db_commit(call))
        return -1;
    return answer_store(call, &rows, changes_any(&changes) ? "Store updated" : "Nothing has changed");
}

/* ---- made by the platform ---------------------------------------------------------------------------------------- */

static const char *
text_or(struct call *call, const char *path, const char *otherwise)
{
    const char *text = in_text(call->in, path);

    return text ? text : otherwise;
}

int
stores_create(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0);
    struct rows rows;

    if (db_run(call, STORE_INSERT, &rows, "lsssssssst", store_id, in_text(call->in, "body.name"),
               in_text(call->in, "body.email"), in_text(call->in, "body.phone"), text_or(call, "body.currency", "BDT"),
               in_text(call->in, "body.image"), in_text(call->in, "body.address"), in_text(call->in, "body.domain"),
               text_or(call, "body.language", "bn"), clock_now_us()) ||
        get_store(call, store_id, &rows))
        return -1;
    return answer_store(call, &rows, NULL);
}

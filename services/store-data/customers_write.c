/* customers_write.c - customers are made, changed and deleted.
 *
 * A phone number and an e-mail belong to one customer of a store at most; the unique indexes say so, whoever writes at
 * the same time. One customer and five hundred are made by the same statement, which also writes the events.
 */
#include <string.h>

#include "changes.h"
#include "clock.h"
#include "customers.h"
#include "outbox.h"
#include "statements.h"
#include "store_data_operations.h"

#define DUPLICATE_PHONE "Another customer of this store has this phone number; change that one instead"
#define DUPLICATE_EMAIL "Another customer of this store has this e-mail address; change that one instead"

/* ---- many -------------------------------------------------------------------------------------------------------- */

/* The lines that have not failed and have no id yet. */
static struct str
open_lines(const struct line *lines, unsigned count, struct arena *arena)
{
    struct json_text text;
    unsigned open = 0;

    for (unsigned i = 0; i < count; i++)
        open += !lines[i].failed && !lines[i].id;
    json_text_begin(&text);
    out_list(&text.out, open);
    for (unsigned i = 0; i < count; i++) {
        if (lines[i].failed || lines[i].id)
            continue;
        out_map(&text.out, 5);
        out_key(&text.out, "line");
        out_int(&text.out, i);
        out_key_text(&text.out, "name", in_text(lines[i].body, "name"));
        out_key_text(&text.out, "email", in_text(lines[i].body, "email"));
        out_key_text(&text.out, "phone", phone_normal(in_text(lines[i].body, "phone"), arena));
        out_key(&text.out, "address_json");
        out_json(&text.out, json_text_of(in_at(lines[i].body, "address_json"), arena));
    }
    return json_text_end(&text, arena);
}

/* Neither when the customer that was in the way has gone meanwhile. */
static void
fail_clash(struct line *line, const struct rows *rows, unsigned row)
{
    if (rows_int(rows, row, "phone"))
        line_fail(line, FAIL_DUPLICATE_PHONE, "phone", DUPLICATE_PHONE);
    else if (rows_int(rows, row, "email"))
        line_fail(line, FAIL_DUPLICATE_EMAIL, "email", DUPLICATE_EMAIL);
    else
        line_fail(line, FAIL_CONFLICT, "phone", "is being changed by another request at this moment; send it again");
}

int
customers_insert(struct call *call, struct line *lines, unsigned count)
{
    int64_t store_id = call->caller.store_id;
    unsigned open = 0;
    struct rows rows;

    for (unsigned i = 0; i < count; i++)
        open += !lines[i].failed;
    if (open == 0)
        return 0;
    db_after_commit(call, outbox_wake);
    if (db_run(call, CUSTOMERS_INSERT, &rows, "ljt", store_id, open_lines(lines, count, call->arena), clock_now_us()))
        return -1;
    for (unsigned row = 0; row < rows.count; row++)
        lines[rows_int(&rows, row, "line")].id = rows_int(&rows, row, "user_id");
    if (rows.count == open)
        return 0;
    if (db_run(call, CUSTOMERS_CLASH, &rows, "lj", store_id, open_lines(lines, count, call->arena)))
        return -1;
    for (unsigned row = 0; row < rows.count; row++)
        fail_clash(&lines[rows_int(&rows, row, "line")], &rows, row);
    return 0;
}

/* ---- one --------------------------------------------------------------------------------------------------------- */

int
customers_create(struct call *call)
{
    struct line line = {.body = in_at(call->in, "body")};
    struct rows rows;

    if (db_begin(call) || customers_insert(call, &line, 1))
        return -1;
    if (line.failed)
        return call_fail(call, line.code, line.field, line.why);
    if (db_run(call, CUSTOMER_GET, &rows, "ll", call->caller.store_id, line.id) || db_commit(call))
        return -1;
    return call_reply_resource(call, 201, &rows);
}

/* Locks the customer; rows: what GET answers now. */
static int
lock(struct call *call, int64_t user_id, struct rows *rows)
{
    int64_t store_id = call->caller.store_id;

    if (db_begin(call) || db_run(call, CUSTOMER_LOCK, rows, "ll", store_id, user_id))
        return -1;
    if (rows->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "user_id", "No such customer in this store");
    return db_run(call, CUSTOMER_GET, rows, "ll", store_id, user_id) || call_if_match(call, rows) ? -1 : 0;
}

int
customer_updated(struct call *call, const struct rows *after, const struct changes *changes)
{
    return outbox_put(call, "customer.updated", call->caller.store_id, "customer", rows_int(after, 0, "user_id"),
                      changes_of_row(after, 0, changes_end(changes, call->arena), call->arena));
}

static int
write_changes(struct call *call, const struct rows *before, const char *const values[3], struct str address)
{
    int64_t now_us = clock_now_us();
    struct changes changes;
    struct rows after;

    changes_begin(&changes);
    changes_text(&changes, "name", rows_text(before, 0, "name"), values[0]);
    changes_text(&changes, "email", rows_text(before, 0, "email"), values[1]);
    changes_text(&changes, "phone", rows_text(before, 0, "phone"), values[2]);
    changes_json(&changes, "address_json", rows_text(before, 0, "address_json"), address.base);
    if (!changes_any(&changes))
        return db_commit(call) ? -1 : call_reply_resource(call, 200, before);
    if (db_try(call, CUSTOMER_UPDATE, &after, "llsssjt", call->caller.store_id, rows_int(before, 0, "user_id"),
               values[0], values[1], values[2], address, now_us))
        return -1;
    if (db_violated(&after) && strcmp(db_violated(&after), "customer_phone") == 0)
        return call_fail(call, FAIL_DUPLICATE_PHONE, "phone", DUPLICATE_PHONE);
    if (db_violated(&after))
        return call_fail(call, FAIL_DUPLICATE_EMAIL, "email", DUPLICATE_EMAIL);
    if (customer_updated(call, &after, &changes) || db_commit(call))
        return -1;
    return call_reply_resource(call, 200, &after);
}

int
customers_update(struct call *call)
{
    struct in body = in_at(call->in, "body");
    const char *values[3];
    struct rows before;
    struct str address;

    if (lock(call, in_int(call->in, "path.user_id", 0), &before))
        return -1;
    values[0] = in_text_after(body, "name", rows_text(&before, 0, "name"));
    values[1] = in_text_after(body, "email", rows_text(&before, 0, "email"));
    values[2] =
        in_is_sent(body, "phone") ? phone_normal(in_text(body, "phone"), call->arena) : rows_text(&before, 0, "phone");
    address = json_text_after(body, "address_json", rows_text(&before, 0, "address_json"), call->arena);
    return write_changes(call, &before, values, address);
}

int
customers_delete(struct call *call)
{
    int64_t user_id = in_int(call->in, "path.user_id", 0);
    struct rows rows;

    if (lock(call, user_id, &rows) ||
        db_post(call, CUSTOMER_DELETE, "llt", call->caller.store_id, user_id, clock_now_us()) || db_commit(call))
        return -1;
    return call_reply_deleted(call, "user_id", user_id, "Customer deleted");
}

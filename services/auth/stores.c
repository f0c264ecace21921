/* stores.c - a store as auth knows it: who owns it, and whether anybody may call for it. */
#include "stores.h"

#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "listing.h"
#include "statements.h"
#include "store_access.h"

/* ---- for operators ----------------------------------------------------------------------------------------------- */

/* The row alone: an operator makes the profile, or lets nobody see the store yet. */
static int
insert_store(struct call *call, int64_t owner_account_id, const char *name, int64_t now_us, struct rows *store)
{
    int64_t store_id;

    if (db_run(call, STORE_INSERT, store, "lst", owner_account_id, name, now_us))
        return -1;
    if (store->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "owner_account_id", "No such account");
    store_id = rows_int(store, 0, "store_id");
    return audit_put_by(call, call->caller.audience == AUDIENCE_INTERNAL ? 0 : owner_account_id, "store.created",
                        "store", store_id, store_id, 0);
}

int
stores_create(struct call *call)
{
    struct rows rows;

    if (db_begin(call) ||
        insert_store(call, in_int(call->in, "body.owner_account_id", 0), in_text(call->in, "body.name"), clock_now_us(),
                     &rows) ||
        db_commit(call))
        return -1;
    return call_reply_row(call, 201, &rows, 0);
}

static int
set_status(struct call *call, int64_t store_id, const char *status, struct rows *rows)
{
    if (db_begin(call) || db_run(call, STORE_SET_STATUS, rows, "lst", store_id, status, clock_now_us()))
        return -1;
    if (rows->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "store_id", "No such store");
    if (audit_put(call, arena_printf(call->arena, "store.set_%s", status), "store", store_id, store_id, 0))
        return -1;
    return invalidation_commit(call, "store", store_id);
}

int
stores_set_status(struct call *call)
{
    struct rows rows;

    if (set_status(call, in_int(call->in, "body.store_id", 0), in_text(call->in, "body.status"), &rows))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
stores_list(struct call *call)
{
    struct rows rows;

    if (db_run(call, STORES_OF_ACCOUNT, &rows, "l", in_int(call->in, "body.owner_account_id", 0)))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "stores");
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

/* ---- for merchants and platform admins (contract K.2) ------------------------------------------------------------ */

int
store_make(struct call *call, int64_t owner_account_id, const struct store_profile *profile, struct rows *store)
{
    int64_t now_us = clock_now_us();

    if (insert_store(call, owner_account_id, profile->name, now_us, store))
        return -1;
    return db_post(call, STORE_SETUP_INSERT, "lsssssst", rows_int(store, 0, "store_id"), profile->name, profile->email,
                   profile->phone, profile->address, profile->domain, profile->language ? profile->language : "bn",
                   now_us);
}

int
stores_open(struct call *call)
{
    const struct store_profile profile = {
        .name = in_text(call->in, "body.name"),
        .email = in_text(call->in, "body.email"),
        .phone = in_text(call->in, "body.phone"),
        .address = in_text(call->in, "body.address"),
        .domain = in_text(call->in, "body.domain"),
        .language = in_text(call->in, "body.language"),
    };
    struct rows store;

    if (db_begin(call) || store_make(call, call->caller.account_id, &profile, &store) || db_commit(call))
        return -1;
    store_setup_wake();
    return call_reply_row(call, 201, &store, 0);
}

static void
write_mine(struct out *out, const struct rows *rows, unsigned row)
{
    static const char *const texts[] = {"name", "status", "role"};
    const char *permissions = rows_text(rows, row, "permissions");

    out_map(out, 6);
    out_key(out, "store_id");
    out_int(out, rows_int(rows, row, "store_id"));
    for (unsigned i = 0; i < ARRAY_COUNT(texts); i++) {
        out_key(out, texts[i]);
        out_text(out, rows_text(rows, row, texts[i]));
    }
    out_key(out, "permissions");
    out_permissions(out, permissions ? permissions : permissions_of_owner());
    out_key(out, "created_at");
    out_time(out, rows_time(rows, row, "created_at"));
}

int
stores_mine(struct call *call)
{
    struct listing page = {.list = "stores", .of = call->caller.account_id, .id_column = "store_id"};
    struct rows rows, count;
    unsigned shown;

    if (listing_begin(&page, call) ||
        db_run(call, STORES_MINE_PAGE, &rows, "llll", call->caller.account_id, listing_id(&page), listing_wanted(&page),
               listing_offset(&page)) ||
        db_run(call, STORES_MINE_COUNT, &count, "l", call->caller.account_id))
        return -1;
    shown = listing_open(&page, call, &rows);
    out_list(&call->out, shown);
    for (unsigned i = 0; i < shown; i++)
        write_mine(&call->out, &rows, i);
    return listing_end(&page, call, &rows, rows_int(&count, 0, "total"));
}

int
stores_change_status(struct call *call)
{
    struct rows rows;

    if (set_status(call, in_int(call->in, "path.store_id", 0), in_text(call->in, "body.status"), &rows))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

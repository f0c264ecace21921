/* members.c - who helps the owner of a store, and with what (contract K.2). What is changed here counts from the next
 * request on, because permissions are read with each (store_access.h); session tokens that were made for somebody who
 * may not have one any more are taken back. */
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "listing.h"
#include "statements.h"
#include "store_access.h"

/* Without the account's name: anybody may be added by an address, and would so tell who it belongs to. */
static void
write_member(struct out *out, const struct rows *rows, unsigned row, const char *permissions, int64_t created_us)
{
    out_map(out, 4);
    out_key(out, "account_id");
    out_int(out, rows_int(rows, row, "account_id"));
    out_key(out, "email");
    out_text(out, rows_text(rows, row, "email"));
    out_key(out, "permissions");
    out_permissions(out, permissions);
    out_key(out, "created_at");
    out_time(out, created_us);
}

int
members_list(struct call *call)
{
    int64_t store_id = in_int(call->in, "path.store_id", 0);
    struct listing page = {.list = "members", .of = store_id, .id_column = "account_id"};
    struct rows rows, count;
    unsigned shown;

    if (store_allow(call, store_id, PERMISSION_OWNER, STORE_READ) || listing_begin(&page, call) ||
        db_run(call, MEMBERS_PAGE, &rows, "llll", store_id, listing_id(&page), listing_wanted(&page),
               listing_offset(&page)) ||
        db_run(call, MEMBERS_COUNT, &count, "l", store_id))
        return -1;
    shown = listing_open(&page, call, &rows);
    out_list(&call->out, shown);
    for (unsigned i = 0; i < shown; i++)
        write_member(&call->out, &rows, i, rows_text(&rows, i, "permissions"), rows_time(&rows, i, "created_at"));
    return listing_end(&page, call, &rows, rows_int(&count, 0, "total"));
}

int
members_put(struct call *call)
{
    int64_t store_id = in_int(call->in, "path.store_id", 0), account_id;
    const char *permissions;
    struct rows account, rows;

    if (store_allow(call, store_id, PERMISSION_OWNER, STORE_CHANGE))
        return -1;
    permissions = permissions_of_request(call, "body.permissions", "permissions");
    if (!permissions || db_run(call, ACCOUNT_FIND, &account, "s", in_text(call->in, "body.email")))
        return -1;
    if (account.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "email", "No account has this e-mail; have them register first");
    account_id = rows_int(&account, 0, "account_id");
    if (account_id == call->caller.account_id)
        return call_fail(call, FAIL_CONFLICT, "email", "You own the store and have every permission already");
    if (db_begin(call) ||
        db_run(call, MEMBER_PUT, &rows, "llslt", store_id, account_id, permissions, call->caller.account_id,
               clock_now_us()) ||
        audit_put(call, rows_int(&rows, 0, "is_new") ? "member.added" : "member.changed", "account", account_id,
                  store_id, 0) ||
        (permissions_hold(permissions, PERMISSION_CREDENTIALS) ? db_commit(call)
                                                               : invalidation_commit(call, "account", account_id)))
        return -1;
    call_data(call);
    write_member(&call->out, &account, 0, permissions, rows_time(&rows, 0, "created_at"));
    return call_reply(call, rows_int(&rows, 0, "is_new") ? 201 : 200);
}

/* Nobody is left to remove. An earlier call may have committed without having answered, so what it took back is taken
 * back again. The transaction is open. */
static int
refuse_removal(struct call *call, int64_t account_id)
{
    if (invalidation_commit(call, "account", account_id))
        return -1;
    return call_fail(call, FAIL_NOT_FOUND, "account_id", "No such member of this store");
}

/* Whoever has left already has nothing to do with the store any more, and may repeat the call all the same. */
static int
allow_removal(struct call *call, int64_t store_id, int64_t account_id)
{
    struct rows rows;

    if (account_id != call->caller.account_id)
        return store_allow(call, store_id, PERMISSION_OWNER, STORE_CHANGE);
    if (db_run(call, STORE_ACCESS, &rows, "ll", store_id, account_id))
        return -1;
    return rows.count ? store_allow(call, store_id, NULL, STORE_CHANGE) : 0;
}

/* A member may also leave by itself. What they are making at this moment is made before the row is gone, and seen here,
 * or not at all (store_access.h). Custom apps belong to the store and work on: answer and audit log name those whose
 * credentials the member has made, for the owner to exchange them. */
int
members_remove(struct call *call)
{
    int64_t store_id = in_int(call->in, "path.store_id", 0), account_id = in_int(call->in, "path.account_id", 0);
    const char *action = account_id == call->caller.account_id ? "member.left" : "member.removed";
    struct rows rows, apps;

    if (allow_removal(call, store_id, account_id) || db_begin(call) ||
        db_run(call, MEMBER_REMOVE, &rows, "ll", store_id, account_id))
        return -1;
    if (rows.affected == 0)
        return refuse_removal(call, account_id);
    if (audit_put(call, action, "account", account_id, store_id, 0) ||
        db_run(call, CUSTOM_APPS_LEFT_BY, &apps, "ll", store_id, account_id))
        return -1;
    for (unsigned i = 0; i < apps.count; i++)
        if (audit_put(call, "custom_app.maker_left", "app", rows_int(&apps, i, "app_id"), store_id,
                      rows_int(&apps, i, "app_id")))
            return -1;
    if (invalidation_commit(call, "account", account_id))
        return -1;
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "account_id");
    out_int(&call->out, account_id);
    out_key(&call->out, "custom_apps");
    out_rows(&call->out, &apps);
    return call_reply(call, 200);
}

/* app_members.c - who helps the owner of an app with it, and in which role (contract A.5).
 *
 * One account has the app, as one has a repository elsewhere: it cannot leave and cannot be removed, only hand the app
 * on to a member. Admins manage the others. All of it holds the app (app_access.h), so that it happens in one order:
 * whoever was removed cannot have added somebody at the same moment.
 */
#include "app_access.h"
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "items.h"
#include "statements.h"

#define MEMBERS_OF_APP_MAX 100
#define APPS_OF_MEMBER_MAX 250 /* nobody's own list becomes long because others share theirs */

static int
no_such_member(struct call *call)
{
    return call_fail(call, FAIL_NOT_FOUND, "account_id", "No such member of this app");
}

/* Ends the transaction with the member as it is now. */
static int
reply_member(struct call *call, int64_t account_id, int status, const char *message)
{
    struct rows rows;

    if (db_run(call, APP_MEMBER_GET, &rows, "ll", in_int(call->in, "path.app_id", 0), account_id) || db_commit(call))
        return -1;
    if (rows.count == 0)
        return no_such_member(call);
    call_message(call, message);
    return call_reply_row(call, status, &rows, 0);
}

int
app_members_list(struct call *call)
{
    int64_t app_id = in_int(call->in, "path.app_id", 0);
    struct items page = {.id_column = "account_id"};
    struct rows access, rows;

    items_begin(&page, call);
    if (app_access(call, app_id, call->operation->role, &access) ||
        db_run(call, APP_MEMBERS_PAGE, &rows, "lll", app_id, items_wanted(&page), items_offset(&page)))
        return -1;
    call_message(call, "Members fetched");
    return items_reply(&page, call, &rows);
}

/* ---- adding ------------------------------------------------------------------------------------------------------ */

/* The account's lock makes those wait that add it elsewhere at the same moment. */
static int
check_room(struct call *call, int64_t app_id, int64_t account_id)
{
    struct rows rows;

    if (db_post(call, ACCOUNT_LOCK, "l", account_id) || db_run(call, APP_MEMBERS_ROOM, &rows, "ll", app_id, account_id))
        return -1;
    if (rows_int(&rows, 0, "members") >= MEMBERS_OF_APP_MAX)
        return call_failf(call, FAIL_CONFLICT, NULL, "An app has at most %d members; remove some first",
                          MEMBERS_OF_APP_MAX);
    if (rows_int(&rows, 0, "apps") >= APPS_OF_MEMBER_MAX)
        return call_failf(call, FAIL_CONFLICT, "email", "They help with %d apps already; they must leave one first",
                          APPS_OF_MEMBER_MAX);
    return 0;
}

int
app_members_add(struct call *call)
{
    int64_t app_id = in_int(call->in, "path.app_id", 0), account_id;
    const char *role = in_text(call->in, "body.role");
    struct rows access, account, member;

    if (db_begin(call) || app_access(call, app_id, call->operation->role, &access) ||
        db_run(call, ACCOUNT_FIND, &account, "s", in_text(call->in, "body.email")))
        return -1;
    if (account.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "email", "No account has this e-mail; have them register first");
    account_id = rows_int(&account, 0, "account_id");
    if (db_run(call, APP_MEMBER_GET, &member, "ll", app_id, account_id))
        return -1;
    if (member.count && str_is(str_of(rows_text(&member, 0, "role")), role))
        return reply_member(call, account_id, 200, "Member is there already");
    if (member.count)
        return call_failf(call, FAIL_CONFLICT, "email",
                          "They are %s of this app already; PATCH the member to change it",
                          rows_text(&member, 0, "role"));
    if (check_room(call, app_id, account_id) ||
        db_post(call, APP_MEMBER_INSERT, "llslt", app_id, account_id, role, call->caller.account_id, clock_now_us()) ||
        audit_put(call, arena_printf(call->arena, "app_member.added_as_%s", role), "account", account_id, 0, app_id))
        return -1;
    return reply_member(call, account_id, 201, "Member added");
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

/* The caller, who has the app, becomes an admin of it. */
static int
transfer(struct call *call, int64_t app_id, int64_t account_id)
{
    int64_t now_us = clock_now_us();
    struct rows rows;

    if (db_run(call, APP_TRANSFER, &rows, "llt", app_id, account_id, now_us))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_CONFLICT, "role",
                         "They cannot have an app yet: have them sign in as a developer first");
    return db_post(call, APP_MEMBER_REMOVE, "ll", app_id, account_id) ||
                   db_post(call, APP_MEMBER_INSERT, "llslt", app_id, call->caller.account_id, APP_ROLE_ADMIN,
                           call->caller.account_id, now_us) ||
                   audit_put(call, "app.transferred", "account", account_id, 0, app_id)
               ? -1
               : 0;
}

static int
set_role(struct call *call, int64_t app_id, int64_t account_id, const char *role)
{
    return db_post(call, APP_MEMBER_SET_ROLE, "llst", app_id, account_id, role, clock_now_us()) ||
                   audit_put(call, arena_printf(call->arena, "app_member.made_%s", role), "account", account_id, 0,
                             app_id)
               ? -1
               : 0;
}

/* Sent again after a transfer it is what it was: the answer may have been lost. */
int
app_members_update(struct call *call)
{
    int64_t app_id = in_int(call->in, "path.app_id", 0), account_id = in_int(call->in, "path.account_id", 0);
    const char *role = in_text(call->in, "body.role");
    bool hands_on = str_is(str_of(role), APP_ROLE_OWNER);
    struct rows access, member;

    if (db_begin(call) || app_access(call, app_id, call->operation->role, &access) ||
        db_run(call, APP_MEMBER_GET, &member, "ll", app_id, account_id))
        return -1;
    if (member.count == 0)
        return no_such_member(call);
    if (str_is(str_of(rows_text(&member, 0, "role")), role))
        return reply_member(call, account_id, 200, "Member updated");
    if (str_is(str_of(rows_text(&member, 0, "role")), APP_ROLE_OWNER))
        return call_fail(call, FAIL_CONFLICT, "account_id",
                         "They own the app; the owner makes another member owner to hand it on");
    if (hands_on && app_access(call, app_id, APP_ROLE_OWNER, &access))
        return -1;
    if (hands_on ? transfer(call, app_id, account_id) : set_role(call, app_id, account_id, role))
        return -1;
    return reply_member(call, account_id, 200, "Member updated");
}

/* Whoever has seen the client secret knows it still: that is for the others to rotate. */
int
app_members_remove(struct call *call)
{
    int64_t app_id = in_int(call->in, "path.app_id", 0), account_id = in_int(call->in, "path.account_id", 0);
    bool leaves = account_id == call->caller.account_id;
    struct rows access, member;

    if (db_begin(call) || app_access(call, app_id, leaves ? APP_ROLE_VIEWER : call->operation->role, &access) ||
        db_run(call, APP_MEMBER_GET, &member, "ll", app_id, account_id))
        return -1;
    if (member.count == 0)
        return no_such_member(call);
    if (str_is(str_of(rows_text(&member, 0, "role")), APP_ROLE_OWNER))
        return call_fail(call, FAIL_CONFLICT, "account_id",
                         "The owner cannot go; make another member owner first, or delete the app");
    if (db_post(call, APP_MEMBER_REMOVE, "ll", app_id, account_id) ||
        audit_put(call, leaves ? "app_member.left" : "app_member.removed", "account", account_id, 0, app_id) ||
        db_commit(call))
        return -1;
    call_message(call, "Member removed");
    call_data(call);
    out_map(&call->out, 1);
    out_key_int(&call->out, "account_id", account_id);
    return call_reply(call, 200);
}

/* store_access.c - one look at the store and the caller's place in it, then the answer in a fixed order: is there such
 * a store for this person, what may they do, what may be done at all now. */
#include "store_access.h"

#include <string.h>

#include "statements.h"

static const char *const names[] = {"apps__manage_apps", "apps__install_apps", "apps__view_webhooks",
                                    "apps__manage_billing"};

bool
permissions_hold(const char *permissions, const char *name)
{
    size_t len = strlen(name);

    if (strcmp(name, PERMISSION_CREDENTIALS) == 0)
        return permissions_hold(permissions, INSTALL_PERMISSION) || permissions_hold(permissions, MANAGE_PERMISSION);
    for (const char *at = permissions; (at = strstr(at, name)) != NULL; at += len)
        if ((at == permissions || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static int
refuse_member(struct call *call, const char *permission)
{
    if (strcmp(permission, PERMISSION_OWNER) == 0)
        return call_fail(call, FAIL_FORBIDDEN, NULL, "Only the store's owner may do this");
    if (strcmp(permission, PERMISSION_CREDENTIALS) == 0)
        return call_fail(call, FAIL_FORBIDDEN, NULL,
                         "This needs the permission apps__install_apps or apps__manage_apps on the store; its owner "
                         "can give it");
    return call_failf(call, FAIL_FORBIDDEN, NULL, "This needs the permission %s on the store; its owner can give it",
                      permission);
}

/* The lock first and alone: a statement that waits for it goes on to see the other tables as they were before. */
static int
read_access(struct call *call, int64_t store_id, struct rows *rows)
{
    int64_t account_id = call->caller.account_id;
    struct rows held;

    if (!db_in_transaction(call->db))
        return db_run(call, STORE_ACCESS, rows, "ll", store_id, account_id);
    return db_send(call, MEMBER_HOLD, "ll", store_id, account_id) ||
                   db_send(call, STORE_ACCESS, "ll", store_id, account_id) || db_collect(call, &held) ||
                   db_collect(call, rows)
               ? -1
               : 0;
}

int
store_allow(struct call *call, int64_t store_id, const char *permission, enum store_use use)
{
    const char *status, *held;
    struct rows rows;

    if (read_access(call, store_id, &rows))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "store_id", "You have no such store");
    status = rows_text(&rows, 0, "status");
    held = rows_text(&rows, 0, "permissions");
    if (permission && !rows_int(&rows, 0, "is_owner") && !permissions_hold(held ? held : "", permission))
        return refuse_member(call, permission);
    if (strcmp(status, "suspended") == 0)
        return call_fail(call, FAIL_STORE_INACTIVE, NULL, "The store is suspended; contact support");
    if (use == STORE_CHANGE && strcmp(status, "active") != 0)
        return call_fail(call, FAIL_STORE_INACTIVE, NULL, "The store is frozen: it can be read but not changed");
    return 0;
}

const char *
permissions_of_request(struct call *call, const char *path, const char *field)
{
    struct in list = in_at(call->in, path);
    bool asked[ARRAY_COUNT(names)] = {false};
    const char *text = "";

    for (unsigned i = 0; i < in_count(list, ""); i++) {
        struct str item = in_str(in_item(list, i), "");
        bool known = false;

        for (unsigned n = 0; n < ARRAY_COUNT(names); n++)
            if (str_is(item, names[n]))
                known = asked[n] = true;
        if (!known) {
            (void)!call_fail(call, FAIL_VALIDATION_ERROR, arena_printf(call->arena, "%s[%u]", field, i),
                             "must be one of apps__manage_apps, apps__install_apps, apps__view_webhooks, "
                             "apps__manage_billing");
            return NULL;
        }
    }
    for (unsigned n = 0; n < ARRAY_COUNT(names); n++)
        if (asked[n])
            text = arena_printf(call->arena, "%s%s%s", text, *text ? " " : "", names[n]);
    return text;
}

void
out_permissions(struct out *out, const char *permissions)
{
    unsigned count = 0;

    for (unsigned n = 0; n < ARRAY_COUNT(names); n++)
        count += permissions_hold(permissions, names[n]);
    out_list(out, count);
    for (unsigned n = 0; n < ARRAY_COUNT(names); n++)
        if (permissions_hold(permissions, names[n]))
            out_text(out, names[n]);
}

const char *
permissions_of_owner(void)
{
    return "apps__manage_apps apps__install_apps apps__view_webhooks apps__manage_billing";
}

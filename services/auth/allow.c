/* allow.c - other services ask whether somebody who has signed in may do something to an app or a store that is theirs,
 * and what apps are called. Nothing of it is cached: what was taken away counts from the next request on.
 */
#include "app_access.h"
#include "auth_operations.h"
#include "statements.h"
#include "store_access.h"

int
apps_owned(struct call *call)
{
    const char *role = in_text(call->in, "body.role");
    struct rows rows;

    call->caller.account_id = in_int(call->in, "body.account_id", 0); /* on whose behalf it is asked */
    if (app_access(call, in_int(call->in, "body.app_id", 0), role ? role : APP_ROLE_OWNER, &rows))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
apps_names(struct call *call)
{
    struct in ids = in_at(call->in, "body.app_ids");
    char *array = arena_strdup(call->arena, "{");
    struct rows rows;

    for (unsigned i = 0; i < in_count(ids, ""); i++)
        array = arena_printf(call->arena, "%s%s%lld", array, i ? "," : "", (long long)in_int(in_item(ids, i), "", 0));
    if (db_run(call, APP_NAMES, &rows, "s", arena_printf(call->arena, "%s}", array)))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "apps");
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

int
stores_allow(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0);
    enum store_use use = in_bool(call->in, "body.change", true) ? STORE_CHANGE : STORE_READ;

    call->caller.account_id = in_int(call->in, "body.account_id", 0); /* on whose behalf it is asked */
    if (store_allow(call, store_id, in_text(call->in, "body.permission"), use))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "store_id");
    out_int(&call->out, store_id);
    return call_reply(call, 200);
}

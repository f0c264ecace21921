/* switches.c - what auth does alone for an app's developer: switching it on and off, listing it, exchanging its
 * credentials (contract A.5 rows 84-87). auth has told every gateway by the time it answers.
 */
#include "call.h"
#include "developer_apps_operations.h"
#include "market.h"

/* flag: the member of the body to hand on; NULL: none. */
static int
ask_auth(struct call *call, const char *operation, const char *flag, struct in *reply)
{
    struct call_question question;
    struct out *body = call_question(&question, flag ? 4 : 3);
    struct call_failure failure;

    out_key_int(body, "app_id", in_int(call->in, "path.app_id", 0));
    out_key_int(body, "account_id", call->caller.account_id);
    out_key_text(body, "role", call->operation->role);
    if (flag) {
        out_key(body, flag);
        out_bool(body, in_bool(in_at(call->in, "body"), flag, false));
    }
    if (call_ask(call, operation, &question, reply) == 0)
        return 0;
    if (!call_take_failure(call, &failure))
        return -1;
    /* Deleted between the question whose it is and the change. */
    return failure.code == FAIL_NOT_FOUND ? call_fail(call, FAIL_APP_NOT_FOUND, NULL, NULL)
                                          : call_fail(call, failure.code, failure.field, failure.why);
}

static int
set_flag(struct call *call, const char *operation, const char *flag, const char *message)
{
    struct in reply;

    if (ask_auth(call, operation, flag, &reply))
        return -1;
    market_refresh(call, in_int(reply, "app_id", 0));
    call_message(call, message);
    call_data(call);
    out_map(&call->out, 2);
    out_key_int(&call->out, "app_id", in_int(reply, "app_id", 0));
    out_key_int(&call->out, flag, in_int(reply, flag, 0));
    return call_reply(call, 200);
}

static int
exchange(struct call *call, const char *operation, const char *credential, const char *message)
{
    struct in reply;

    if (ask_auth(call, operation, NULL, &reply))
        return -1;
    call_message(call, message);
    call_seal(call);
    call_data(call);
    out_map(&call->out, 2);
    out_key_int(&call->out, "app_id", in_int(reply, "app_id", 0));
    out_key_text(&call->out, credential, in_text(reply, credential));
    return call_reply(call, 200);
}

int
apps_set_listing(struct call *call)
{
    return set_flag(call, "auth.apps.set_listed", "is_listed", "App listing updated");
}

int
apps_set_status(struct call *call)
{
    return set_flag(call, "auth.apps.set_status", "is_active", "App status updated");
}

int
apps_rotate_secret(struct call *call)
{
    return exchange(call, "auth.apps.rotate_secret", "client_secret", "Client secret rotated");
}

int
apps_regenerate_signing_key(struct call *call)
{
    return exchange(call, "auth.apps.rotate_signing_key", "session_signing_key", "Session signing key regenerated");
}

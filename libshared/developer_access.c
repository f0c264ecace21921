/* developer_access.c - one question, asked in one place: by the handlers of developers' routes, and before the answer
 * to one of them is given again (idempotency.c). */
#include "developer_access.h"

int
developer_access(struct call *call, int64_t app_id, const char *role, struct in *reply)
{
    struct call_question question;
    struct out *body = call_question(&question, 3);

    out_key_int(body, "account_id", call->caller.account_id);
    out_key_int(body, "app_id", app_id);
    out_key_text(body, "role", role);
    return call_ask(call, "auth.apps.owned", &question, reply);
}

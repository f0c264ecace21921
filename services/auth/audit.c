/* audit.c - appends to the audit log; the service's role may insert and read it, nothing else. */
#include "audit.h"

#include "clock.h"
#include "statements.h"

static int
put(struct call *call, int64_t account_id, const char *action, const char *target, int64_t target_id, int64_t store_id,
    int64_t app_id, const char *reason)
{
    const char *actor = call->caller.audience == AUDIENCE_INTERNAL ? call->caller.service
                        : call->caller.audience == AUDIENCE_APP    ? "app"
                                                                   : "account";

    return db_post(call, AUDIT_INSERT, "tslsslllsss", clock_now_us(), actor, account_id, action, target, target_id,
                   store_id, app_id, call->request_id, call->address, reason);
}

int
audit_put_by(struct call *call, int64_t account_id, const char *action, const char *target, int64_t target_id,
             int64_t store_id, int64_t app_id)
{
    return put(call, account_id, action, target, target_id, store_id, app_id, NULL);
}

int
audit_put(struct call *call, const char *action, const char *target, int64_t target_id, int64_t store_id,
          int64_t app_id)
{
    return put(call, call->caller.account_id, action, target, target_id, store_id, app_id, NULL);
}

int
audit_put_why(struct call *call, const char *action, const char *target, int64_t target_id, int64_t store_id,
              int64_t app_id, const char *reason)
{
    return put(call, call->caller.account_id, action, target, target_id, store_id, app_id, reason);
}

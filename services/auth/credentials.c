/* credentials.c - new secrets for old ones (contract A.7 row 110, B), and when each was last used.
 *
 * The old secret dies at once. Who asks for overlap_hours keeps it beside the new one for so long, to exchange it in
 * many places without a gap; the gateways hold its identity no longer than that (identity.c). Who asks again because
 * the answer got lost must not lose the secret that still works with it: a secret that was never used is replaced, and
 * the one before it stays. Session tokens live for minutes, so a signing key has no overlap: the old one's tokens are
 * void.
 */
#include "credentials.h"

#include "app_access.h"
#include "apps.h"
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "statements.h"

#define US_PER_HOUR (3600 * US_PER_SECOND)

static int
no_such_app(struct call *call)
{
    return call_fail(call, FAIL_NOT_FOUND, "app_id", "No such app");
}

/* In the body, or in the query, where it is looked for just as well: unread, it would cost the old secret. */
static int
read_overlap(struct call *call, int64_t *hours)
{
    int64_t in_body = in_int(call->in, "body.overlap_hours", -1);
    int64_t in_query = in_int(call->in, "query.overlap_hours", -1);

    if (in_body >= 0 && in_query >= 0 && in_body != in_query)
        return call_fail(call, FAIL_VALIDATION_ERROR, "overlap_hours",
                         "is not the same in query and body; give it once");
    *hours = in_body >= 0 ? in_body : in_query >= 0 ? in_query : 0;
    return 0;
}

int
credentials_exchange_secret(struct call *call, int64_t app_id)
{
    int64_t now_us = clock_now_us(), hours = 0, dies_us;
    uint8_t hash[SHA256_SIZE];
    const char *secret = app_make_secret(call, hash);
    struct out *out = &call->out;
    struct rows rows;

    if (read_overlap(call, &hours))
        return -1;
    dies_us = now_us + hours * US_PER_HOUR;
    if (db_run(call, APP_SET_SECRET, &rows, "lxtTl", app_id, hash, sizeof hash, now_us, hours ? &dies_us : NULL,
               call->caller.account_id))
        return -1;
    if (rows.count == 0)
        return no_such_app(call);
    if (db_post(call, CREDENTIAL_USES_TRIM, "lsl", app_id, "secret", rows_int(&rows, 0, "secret_number")) ||
        audit_put(call, "app.secret_rotated", "app", app_id, rows_int(&rows, 0, "home_store_id"), app_id) ||
        invalidation_commit(call, "app", app_id))
        return -1;
    call_seal(call);
    call_data(call);
    out_map(out, 4);
    out_key(out, "app_id");
    out_int(out, app_id);
    out_key(out, "client_id");
    out_text(out, rows_text(&rows, 0, "client_id"));
    out_key(out, "client_secret");
    out_text(out, secret);
    out_key(out, "previous_secret_expires_at");
    if (hours)
        out_time(out, dies_us);
    else
        out_null(out);
    return call_reply(call, 200);
}

/* In the open transaction. */
static int
exchange_signing_key(struct call *call, int64_t app_id)
{
    uint8_t sealed[SEALED_KEY_SIZE];
    const char *key;
    struct rows rows;

    if (db_run(call, APP_CLIENT_ID, &rows, "l", app_id))
        return -1;
    if (rows.count == 0)
        return no_such_app(call);
    key = app_make_signing_key(call, rows_text(&rows, 0, "client_id"), sealed);
    if (db_run(call, APP_SET_SIGNING_KEY, &rows, "lxt", app_id, sealed, sizeof sealed, clock_now_us()))
        return -1;
    if (rows.count == 0)
        return no_such_app(call);
    if (db_post(call, CREDENTIAL_USES_TRIM, "lsl", app_id, "signing_key", rows_int(&rows, 0, "signing_key_number")) ||
        audit_put(call, "app.signing_key_rotated", "app", app_id, rows_int(&rows, 0, "home_store_id"), app_id) ||
        invalidation_commit(call, "app", app_id))
        return -1;
    call_seal(call);
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "app_id");
    out_int(&call->out, app_id);
    out_key(&call->out, "session_signing_key");
    out_text(&call->out, key);
    return call_reply(call, 200);
}

int
credentials_rotate_secret(struct call *call)
{
    int64_t app_id = in_int(call->in, "path.app_id", 0);

    return db_begin(call) || app_access_of_merchant(call, app_id, APP_ROLE_ADMIN)
               ? -1
               : credentials_exchange_secret(call, app_id);
}

int
credentials_generate_signing_key(struct call *call)
{
    int64_t app_id = in_int(call->in, "path.app_id", 0);

    return db_begin(call) || app_access_of_merchant(call, app_id, APP_ROLE_ADMIN) ? -1
                                                                                  : exchange_signing_key(call, app_id);
}

int
credentials_get(struct call *call)
{
    int64_t app_id = in_int(call->in, "path.app_id", 0);
    struct rows rows;

    if (app_access_of_merchant(call, app_id, APP_ROLE_VIEWER) ||
        db_run(call, APP_CREDENTIALS, &rows, "lt", app_id, clock_now_us()))
        return -1;
    if (rows.count == 0)
        return no_such_app(call);
    return call_reply_row(call, 200, &rows, 0);
}

int
apps_rotate_secret(struct call *call)
{
    return db_begin(call) || app_allow(call) ? -1
                                             : credentials_exchange_secret(call, in_int(call->in, "body.app_id", 0));
}

int
apps_rotate_signing_key(struct call *call)
{
    return db_begin(call) || app_allow(call) ? -1 : exchange_signing_key(call, in_int(call->in, "body.app_id", 0));
}

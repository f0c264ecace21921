/* session_refresh.c - renew a session, or leave it (RFC 9700 4.14.2, contract K.2).
 *
 * A refresh token is good once. Used again, either the thief or the owner holds a stale one and nobody can tell which:
 * the whole session ends. A merchant's old access token ends with the renewal; a developer's, a signed JWT, runs out
 * within its hour, or ends with the session.
 */
#include <string.h>

#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "sessions.h"
#include "statements.h"

static const char *
name_of(enum audience audience)
{
    return audience == AUDIENCE_MERCHANT ? "merchant" : "developer";
}

/* One answer for unknown, spent, run out and ended. */
static int
refuse(struct call *call, enum audience audience)
{
    return call_fail(call, audience == AUDIENCE_MERCHANT ? FAIL_INVALID_TOKEN : FAIL_UNAUTHORIZED, NULL,
                     "The refresh token is not valid any more; sign in again");
}

/* The token is no session's present one. Was it one? Then that session ends, again if it has: an earlier call may have
 * ended it without having told the gateways. The transaction is open. */
static int
end_family(struct call *call, enum audience audience, const uint8_t hash[SHA256_SIZE])
{
    struct rows spent, rows;
    int64_t session_id;

    if (db_run(call, SPENT_FIND, &spent, "xs", hash, (size_t)SHA256_SIZE, name_of(audience)))
        return -1;
    if (spent.count == 0)
        return refuse(call, audience);
    session_id = rows_int(&spent, 0, "session_id");
    if (rows_int(&spent, 0, "alive") &&
        (db_run(call, SESSION_SET_REVOKED, &rows, "lt", session_id, clock_now_us()) ||
         audit_put_by(call, rows_int(&spent, 0, "account_id"), "session.token_reused", "session", session_id, 0, 0)))
        return -1;
    if (invalidation_commit(call, "session", session_id))
        return -1;
    return refuse(call, audience);
}

/* Changes the row's tokens; the spent one is remembered as long as it would have lived. */
static int
rotate(struct call *call, enum audience audience, const struct rows *found, const uint8_t spent[SHA256_SIZE],
       struct session *self)
{
    bool merchant = audience == AUDIENCE_MERCHANT;

    *self = (struct session){.id = rows_int(found, 0, "session_id"), .account_id = rows_int(found, 0, "account_id")};
    session_make_tokens(call, audience, self);
    if (db_post(call, SPENT_TRIM, "t", self->now_us) ||
        db_post(call, SPENT_INSERT, "xlt", spent, (size_t)SHA256_SIZE, self->id,
                rows_time(found, 0, "refresh_expires_at")) ||
        db_post(call, SESSION_ROTATE, "lxxtt", self->id, merchant ? self->access_hash : NULL, sizeof self->access_hash,
                self->refresh_hash, sizeof self->refresh_hash,
                self->now_us + US_PER_SECOND * (merchant ? MERCHANT_SESSION_S : DEVELOPER_SESSION_S),
                self->refresh_expires_us))
        return -1;
    return merchant ? invalidation_commit(call, "session", self->id) : db_commit(call);
}

/* account: what the answer shows, read before the old token is spent. */
static int
renew(struct call *call, enum audience audience, struct str token, struct session *self, struct rows *account)
{
    uint8_t hash[SHA256_SIZE];
    struct rows found;

    secret_sha256(hash, token.base, token.len);
    if (db_begin(call) || db_run(call, SESSION_FOR_REFRESH, &found, "xs", hash, sizeof hash, name_of(audience)))
        return -1;
    if (found.count == 0)
        return end_family(call, audience, hash);
    if (!rows_int(&found, 0, "alive") || rows_time(&found, 0, "refresh_expires_at") <= clock_now_us())
        return refuse(call, audience);
    if (db_run(call, ACCOUNT_SHOW, account, "l", rows_int(&found, 0, "account_id")))
        return -1;
    return rotate(call, audience, &found, hash, self);
}

int
sessions_refresh(struct call *call)
{
    struct session session;
    struct rows account;

    if (renew(call, AUDIENCE_MERCHANT, in_str(call->in, "body.refresh_token"), &session, &account))
        return -1;
    return session_reply_merchant(call, 200, &session, &account, NULL);
}

int
sessions_developer_refresh(struct call *call)
{
    struct session session;
    struct rows account;

    if (renew(call, AUDIENCE_DEVELOPER, in_str(call->in, "body.refreshToken"), &session, &account))
        return -1;
    return session_reply_developer(call, 200, &session, "Session renewed");
}

/* ---- leave ------------------------------------------------------------------------------------------------------- */

static int
leave(struct call *call)
{
    int64_t session_id = call->caller.session_id;
    struct rows rows;

    if (db_begin(call) || db_run(call, SESSION_SET_REVOKED, &rows, "lt", session_id, clock_now_us()))
        return -1;
    if (audit_put(call, "session.closed", "session", session_id, 0, 0) ||
        invalidation_commit(call, "session", session_id))
        return -1;
    call_message(call, "Signed out");
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "session_id");
    out_int(&call->out, session_id);
    return call_reply(call, 200);
}

int
sessions_logout(struct call *call)
{
    return leave(call);
}

int
sessions_developer_logout(struct call *call)
{
    return leave(call);
}

/* sessions.c - sign in, who am I, end sessions. Renewing and leaving is in session_refresh.c. */
#include "sessions.h"

#include <string.h>

#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "jwt.h"
#include "login.h"
#include "statements.h"

#define TOKEN_BYTES 32

/* ---- a session and its tokens ------------------------------------------------------------------------------------ */

static const char *
developer_access_token(struct call *call, const struct session *session)
{
    long long now_s = (long long)(session->now_us / US_PER_SECOND);
    uint8_t key[32];
    char *payload, *token;

    payload = arena_printf(call->arena,
                           "{\"iss\":\"selorax\",\"aud\":\"" DEVELOPER_AUDIENCE
                           "\",\"sub\":\"%lld\",\"sid\":%lld,\"iat\":%lld,\"exp\":%lld}",
                           (long long)session->account_id, (long long)session->id, now_s, now_s + DEVELOPER_SESSION_S);
    secret_derive(key, DEVELOPER_KEY_LABEL);
    token = jwt_sign(call->arena, key, sizeof key, payload);
    secret_wipe(key, sizeof key);
    return token;
}

/* The half that is stored; a developer's access token names the row, which has no number yet when it is made. */
static void
make_stored_tokens(struct call *call, enum audience audience, const char *prefix, struct session *self)
{
    bool merchant = audience == AUDIENCE_MERCHANT;

    self->now_us = clock_now_us();
    self->refresh_expires_us = self->now_us + US_PER_SECOND * REFRESH_SESSION_S;
    self->refresh_token =
        secret_token(call->arena, merchant ? MERCHANT_REFRESH_PREFIX : DEVELOPER_REFRESH_PREFIX, TOKEN_BYTES);
    secret_sha256(self->refresh_hash, self->refresh_token, strlen(self->refresh_token));
    if (!merchant)
        return;
    self->access_token = secret_token(call->arena, prefix, TOKEN_BYTES);
    secret_sha256(self->access_hash, self->access_token, strlen(self->access_token));
}

void
session_make_tokens(struct call *call, enum audience audience, struct session *self)
{
    make_stored_tokens(call, audience, MERCHANT_TOKEN_PREFIX, self);
    if (audience == AUDIENCE_DEVELOPER)
        self->access_token = developer_access_token(call, self);
}

static int
open_with_prefix(struct call *call, int64_t account_id, enum audience audience, const char *prefix,
                 struct session *self)
{
    bool merchant = audience == AUDIENCE_MERCHANT;
    struct rows rows;

    *self = (struct session){.account_id = account_id};
    make_stored_tokens(call, audience, prefix, self);
    if (db_post(call, SESSIONS_TRIM, "t", self->now_us) ||
        db_run(call, SESSION_INSERT, &rows, "lsxxttt", account_id, merchant ? "merchant" : "developer",
               merchant ? self->access_hash : NULL, sizeof self->access_hash, self->refresh_hash,
               sizeof self->refresh_hash,
               self->now_us + US_PER_SECOND * (merchant ? MERCHANT_SESSION_S : DEVELOPER_SESSION_S),
               self->refresh_expires_us, self->now_us))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_FORBIDDEN, NULL, "This account is disabled; contact support");
    self->id = rows_int(&rows, 0, "session_id");
    if (!merchant)
        self->access_token = developer_access_token(call, self);
    return audit_put_by(call, account_id, "session.opened", "session", self->id, 0, 0);
}

int
session_open(struct call *call, int64_t account_id, enum audience audience, struct session *self)
{
    return open_with_prefix(call, account_id, audience, MERCHANT_TOKEN_PREFIX, self);
}

int
session_open_browser(struct call *call, int64_t account_id, struct session *self)
{
    return open_with_prefix(call, account_id, AUDIENCE_MERCHANT, BROWSER_TOKEN_PREFIX, self);
}

/* ---- sign in ----------------------------------------------------------------------------------------------------- */

int
session_reply_merchant(struct call *call, int http_status, const struct session *self, const struct rows *account,
                       const struct rows *store)
{
    struct out *out = &call->out;

    call_seal(call);
    call_data(call);
    out_map(out, 4 + (store != NULL));
    out_key(out, "token");
    out_text(out, self->access_token);
    out_key(out, "refresh_token");
    out_text(out, self->refresh_token);
    out_key(out, "expires_in");
    out_int(out, MERCHANT_SESSION_S);
    out_key(out, "account");
    out_row(out, account, 0);
    if (store) {
        out_key(out, "store");
        if (store->count)
            out_row(out, store, 0);
        else
            out_null(out);
    }
    return call_reply(call, http_status);
}

int
session_reply_developer(struct call *call, int body_status, const struct session *self, const char *message)
{
    struct out *out = &call->out;

    call_seal(call);
    /* Written without call_data: HTTP may say something else than the body. */
    out_map(out, 3);
    out_key(out, "data");
    out_map(out, 3);
    out_key(out, "accessToken");
    out_text(out, self->access_token);
    out_key(out, "refreshToken");
    out_text(out, self->refresh_token);
    out_key(out, "expiresIn");
    out_text(out, "1h");
    out_key(out, "message");
    out_text(out, message);
    out_key(out, "status");
    out_int(out, body_status);
    return call_reply(call, 201);
}

static int
open_alone(struct call *call, const struct rows *account, enum audience audience, struct session *session)
{
    if (db_begin(call) || session_open(call, rows_int(account, 0, "account_id"), audience, session))
        return -1;
    return db_commit(call);
}

int
sessions_login(struct call *call)
{
    const char *identifier = in_text(call->in, "body.identifier");
    struct session session;
    struct rows account;

    if (!identifier)
        identifier = in_text(call->in, "body.email");
    if (!identifier)
        return call_fail(call, FAIL_VALIDATION_ERROR, "identifier", "is required (e-mail, phone number or username)");
    if (login_check(call, identifier, in_str(call->in, "body.password"), &account) ||
        open_alone(call, &account, AUDIENCE_MERCHANT, &session))
        return -1;
    return session_reply_merchant(call, 200, &session, &account, NULL);
}

int
sessions_developer_login(struct call *call)
{
    struct session session;
    struct rows account;

    if (login_check(call, in_text(call->in, "body.identifier"), in_str(call->in, "body.password"), &account))
        return -1;
    if (!rows_int(&account, 0, "is_developer"))
        return call_fail(call, FAIL_FORBIDDEN, NULL, "This account has no access to the developer portal");
    if (open_alone(call, &account, AUDIENCE_DEVELOPER, &session))
        return -1;
    return session_reply_developer(call, 200, &session, "Signed in");
}

/* ---- who am I ---------------------------------------------------------------------------------------------------- */

static void
write_account(struct call *call, const struct rows *account, unsigned further)
{
    static const char *const texts[] = {"name", "email", "phone", "username"};
    static const char *const flags[] = {"is_admin", "is_developer"};
    struct out *out = &call->out;

    out_map(out, 8 + further);
    out_key(out, "account_id");
    out_int(out, call->caller.account_id);
    for (unsigned i = 0; i < ARRAY_COUNT(texts); i++) {
        out_key(out, texts[i]);
        out_text(out, rows_text(account, 0, texts[i]));
    }
    for (unsigned i = 0; i < ARRAY_COUNT(flags); i++) {
        out_key(out, flags[i]);
        out_int(out, rows_int(account, 0, flags[i]));
    }
    out_key(out, "created_at");
    out_time(out, rows_time(account, 0, "created_at"));
}

int
sessions_me(struct call *call)
{
    struct rows account, stores;

    if (db_run(call, ACCOUNT_GET, &account, "l", call->caller.account_id) ||
        db_run(call, STORES_OF_ACCOUNT, &stores, "l", call->caller.account_id))
        return -1;
    if (account.count == 0)
        return call_fail(call, FAIL_INVALID_TOKEN, NULL, NULL);
    call_data(call);
    write_account(call, &account, 1);
    out_key(&call->out, "stores");
    out_rows(&call->out, &stores);
    return call_reply(call, 200);
}

int
sessions_developer_me(struct call *call)
{
    struct rows account;

    if (db_run(call, ACCOUNT_GET, &account, "l", call->caller.account_id))
        return -1;
    if (account.count == 0)
        return call_fail(call, FAIL_UNAUTHORIZED, NULL, NULL);
    call_data(call);
    write_account(call, &account, 0);
    return call_reply(call, 200);
}

/* ---- an operator ends them --------------------------------------------------------------------------------------- */

static int
revoke_all_of(struct call *call, int64_t account_id)
{
    struct rows rows;

    if (db_begin(call) || db_run(call, ACCOUNT_GET, &rows, "l", account_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "account_id", "No such account");
    if (db_post(call, ACCOUNT_SESSIONS_SET_REVOKED, "lt", account_id, clock_now_us()) ||
        audit_put(call, "sessions.revoked", "account", account_id, 0, 0) ||
        invalidation_commit(call, "account", account_id))
        return -1;
    return invalidation_reply(call, "account_id", account_id);
}

int
sessions_revoke(struct call *call)
{
    int64_t session_id = in_int(call->in, "body.session_id", 0);
    int64_t account_id = in_int(call->in, "body.account_id", 0);
    struct str token = in_str(call->in, "body.token");
    uint8_t hash[SHA256_SIZE];
    struct rows rows;

    if ((session_id != 0) + (account_id != 0) + (token.base != NULL) != 1)
        return call_fail(call, FAIL_VALIDATION_ERROR, "session_id", "give one of session_id, account_id and token");
    if (account_id)
        return revoke_all_of(call, account_id);
    if (token.base) {
        secret_sha256(hash, token.base, token.len);
        if (db_run(call, SESSION_FIND_BY_ACCESS, &rows, "x", hash, sizeof hash))
            return -1;
        session_id = rows.count ? rows_int(&rows, 0, "session_id") : 0;
    }
    if (db_begin(call) || db_run(call, SESSION_SET_REVOKED, &rows, "lt", session_id, clock_now_us()))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, token.base ? "token" : "session_id", "No such session");
    if (audit_put(call, "session.revoked", "session", session_id, 0, 0) ||
        invalidation_commit(call, "session", session_id))
        return -1;
    return invalidation_reply(call, "account_id", rows_int(&rows, 0, "account_id"));
}

/* sessions.c - sign in, who am I, end sessions. */
#include "sessions.h"

#include <string.h>

#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "jwt.h"
#include "login.h"
#include "secret.h"
#include "statements.h"

#define TOKEN_BYTES 32

struct session {
    int64_t id;
    const char *access_token; /* NULL for developers: theirs is signed, not stored */
    const char *refresh_token;
    int64_t now_us;
};

/* audience is "merchant" or "developer". */
static int
session_insert(struct call *call, int64_t account_id, const char *audience, struct session *self)
{
    bool merchant = strcmp(audience, "merchant") == 0;
    uint8_t access_hash[SHA256_SIZE], refresh_hash[SHA256_SIZE];
    struct rows rows;

    self->now_us = clock_now_us();
    self->access_token = merchant ? secret_token(call->arena, MERCHANT_TOKEN_PREFIX, TOKEN_BYTES) : NULL;
    self->refresh_token = secret_token(call->arena, merchant ? "sx_mr_" : "sx_dr_", TOKEN_BYTES);
    if (merchant)
        secret_sha256(access_hash, self->access_token, strlen(self->access_token));
    secret_sha256(refresh_hash, self->refresh_token, strlen(self->refresh_token));
    if (db_run(call, SESSION_INSERT, &rows, "lsxxttt", account_id, audience, merchant ? access_hash : NULL,
               sizeof access_hash, refresh_hash, sizeof refresh_hash,
               self->now_us + US_PER_SECOND * (merchant ? MERCHANT_SESSION_S : DEVELOPER_SESSION_S),
               self->now_us + US_PER_SECOND * REFRESH_SESSION_S, self->now_us))
        return -1;
    self->id = rows_int(&rows, 0, "session_id");
    return 0;
}

int
sessions_login(struct call *call)
{
    const char *identifier = in_text(call->in, "body.identifier");
    struct out *out = &call->out;
    struct session session;
    struct rows account;

    if (!identifier)
        identifier = in_text(call->in, "body.email");
    if (!identifier)
        return call_fail(call, FAIL_VALIDATION_ERROR, "identifier", "is required (e-mail, phone number or username)");
    if (login_check(call, identifier, in_str(call->in, "body.password"), &account) ||
        session_insert(call, rows_int(&account, 0, "account_id"), "merchant", &session))
        return -1;
    call_seal(call);
    call_data(call);
    out_map(out, 4);
    out_key(out, "token");
    out_text(out, session.access_token);
    out_key(out, "refresh_token");
    out_text(out, session.refresh_token);
    out_key(out, "expires_in");
    out_int(out, MERCHANT_SESSION_S);
    out_key(out, "account");
    out_row(out, &account, 0);
    return call_reply(call, 200);
}

static char *
developer_access_token(struct call *call, const struct session *session, int64_t account_id)
{
    long long now_s = (long long)(session->now_us / US_PER_SECOND);
    uint8_t key[32];
    char *payload, *token;

    payload = arena_printf(call->arena,
                           "{\"iss\":\"selorax\",\"aud\":\"" DEVELOPER_AUDIENCE
                           "\",\"sub\":\"%lld\",\"sid\":%lld,\"iat\":%lld,\"exp\":%lld}",
                           (long long)account_id, (long long)session->id, now_s, now_s + DEVELOPER_SESSION_S);
    secret_derive(key, DEVELOPER_KEY_LABEL);
    token = jwt_sign(call->arena, key, sizeof key, payload);
    secret_wipe(key, sizeof key);
    return token;
}

int
sessions_developer_login(struct call *call)
{
    struct out *out = &call->out;
    struct session session;
    struct rows account;
    int64_t account_id;

    if (login_check(call, in_text(call->in, "body.identifier"), in_str(call->in, "body.password"), &account))
        return -1;
    if (!rows_int(&account, 0, "is_developer"))
        return call_fail(call, FAIL_FORBIDDEN, NULL, "This account has no access to the developer portal");
    account_id = rows_int(&account, 0, "account_id");
    if (session_insert(call, account_id, "developer", &session))
        return -1;
    call_seal(call);
    /* Written without call_data: HTTP says 201 here while the body says 200 (contract A.6 row 99). */
    out_map(out, 3);
    out_key(out, "data");
    out_map(out, 3);
    out_key(out, "accessToken");
    out_text(out, developer_access_token(call, &session, account_id));
    out_key(out, "refreshToken");
    out_text(out, session.refresh_token);
    out_key(out, "expiresIn");
    out_text(out, "1h");
    out_key(out, "message");
    out_text(out, "Signed in");
    out_key(out, "status");
    out_int(out, 200);
    return call_reply(call, 201);
}

int
sessions_me(struct call *call)
{
    static const char *const fields[] = {"name", "email", "phone", "username"};
    struct out *out = &call->out;
    struct rows account, stores;

    if (db_run(call, ACCOUNT_GET, &account, "l", call->caller.account_id) ||
        db_run(call, STORES_OF_ACCOUNT, &stores, "l", call->caller.account_id))
        return -1;
    if (account.count == 0)
        return call_fail(call, FAIL_INVALID_TOKEN, NULL, NULL);
    call_data(call);
    out_map(out, 9);
    out_key(out, "account_id");
    out_int(out, call->caller.account_id);
    for (unsigned i = 0; i < ARRAY_COUNT(fields); i++) {
        out_key(out, fields[i]);
        out_text(out, rows_text(&account, 0, fields[i]));
    }
    out_key(out, "is_admin");
    out_int(out, rows_int(&account, 0, "is_admin"));
    out_key(out, "is_developer");
    out_int(out, rows_int(&account, 0, "is_developer"));
    out_key(out, "created_at");
    out_time(out, rows_time(&account, 0, "created_at"));
    out_key(out, "stores");
    out_rows(out, &stores);
    return call_reply(call, 200);
}

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

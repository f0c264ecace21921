/* oauth_tokens.c - what an app may ask about its own tokens, and how it gives them back (RFC 7009, RFC 7662), and what
 * the platform's OAuth can do (RFC 8414).
 *
 * A token of another app is to its asker what one that never was is, except for revocation, where RFC 7009 wants an
 * error.
 */
#include <string.h>

#include "auth_operations.h"
#include "clock.h"
#include "oauth_client.h"
#include "scopes.h"
#include "secret.h"
#include "statements.h"
#include "tokens.h"

#define BASE "/api/apps/oauth"

/* ---- revocation -------------------------------------------------------------------------------------------------- */

static int
reply_revoked(struct call *call)
{
    struct out *out = &call->out;

    out_map(out, 3);
    out_key(out, "data");
    out_map(out, 1);
    out_key(out, "revoked");
    out_int(out, 1);
    out_key(out, "message");
    out_text(out, "The token is not valid any more");
    out_key(out, "status");
    out_int(out, 200);
    return call_reply(call, 200);
}

/* Three parts of base64url, the first of which begins an object: no token that is kept here has a dot. */
static bool
looks_like_jwt(struct str text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    unsigned dots = 0;

    if (text.len < 2 || memcmp(text.base, "ey", 2) != 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!memchr(allowed, text.base[i], sizeof allowed - 1))
            return false;
        dots += text.base[i] == '.';
    }
    return dots == 2;
}

int
oauth_revoke(struct call *call)
{
    struct str text = in_str(call->in, "body.token");
    uint8_t hash[SHA256_SIZE];
    struct rows token;

    if (oauth_client_identify(call))
        return -1;
    if (looks_like_jwt(text))
        return call_fail(call, FAIL_UNSUPPORTED_TOKEN_TYPE, NULL, NULL);
    secret_sha256(hash, text.base, text.len);
    if (db_begin(call) || db_run(call, OAUTH_TOKEN_FIND, &token, "x", hash, sizeof hash))
        return -1;
    if (token.count > 0 && rows_int(&token, 0, "app_id") != call->caller.app_id)
        return call_fail(call, FAIL_INVALID_GRANT, NULL, "This token was issued to another client");
    if (token.count > 0 ? token_revoke(call, &token) : db_commit(call))
        return -1;
    return reply_revoked(call);
}

/* ---- introspection ----------------------------------------------------------------------------------------------- */

static void
write_token(struct call *call, const struct rows *token)
{
    static const char *const ids[] = {"store_id", "installation_id", "app_id"};
    bool access = strcmp(rows_text(token, 0, "kind"), "access") == 0;
    const char *base_url = in_text(call->in, "web.base_url");
    struct out *out = &call->out;

    out_key(out, "scope");
    out_text(out, rows_text(token, 0, "granted_scopes"));
    out_key(out, "client_id");
    out_text(out, rows_text(token, 0, "client_id"));
    out_key(out, "token_type");
    out_text(out, access ? "Bearer" : "refresh_token");
    out_key(out, "exp");
    out_int(out, rows_time(token, 0, "expires_at") / US_PER_SECOND);
    out_key(out, "iat");
    out_int(out, rows_time(token, 0, "created_at") / US_PER_SECOND);
    out_key(out, "sub");
    out_text(out, arena_printf(call->arena, "%lld", (long long)rows_int(token, 0, "store_id")));
    out_key(out, "iss");
    out_text(out, base_url ? base_url : "");
    for (unsigned i = 0; i < ARRAY_COUNT(ids); i++) {
        out_key(out, ids[i]);
        out_int(out, rows_int(token, 0, ids[i]));
    }
}

#define TOKEN_MEMBERS 10 /* what write_token writes */

int
oauth_introspect(struct call *call)
{
    struct str text = in_str(call->in, "body.token");
    struct oauth_client client;
    uint8_t hash[SHA256_SIZE];
    struct out *out = &call->out;
    struct rows token;
    bool active;

    if (oauth_client_read(call, &client))
        return -1;
    secret_sha256(hash, text.base, text.len);
    if (db_run(call, OAUTH_INTROSPECT, &token, "sx", client.client_id, hash, sizeof hash) ||
        oauth_client_check(call, &client, &token) || oauth_client_note_use(call, &client))
        return -1;
    active = rows_int(&token, 0, "alive") && rows_time(&token, 0, "expires_at") > clock_now_us();
    out_map(out, 3 + (active ? TOKEN_MEMBERS : 0));
    out_key(out, "active");
    out_bool(out, active);
    if (active)
        write_token(call, &token);
    out_key(out, "data");
    out_map(out, 1 + (active ? TOKEN_MEMBERS : 0));
    out_key(out, "active");
    out_bool(out, active);
    if (active)
        write_token(call, &token);
    out_key(out, "status");
    out_int(out, 200);
    return call_reply(call, 200);
}

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

static void
write_list(struct out *out, const char *name, const char *const *values)
{
    unsigned count = 0;

    while (values[count])
        count++;
    out_key(out, name);
    out_list(out, count);
    for (unsigned i = 0; i < count; i++)
        out_text(out, values[i]);
}

int
oauth_metadata(struct call *call)
{
    static const char *const endpoints[][2] = {
        {"authorization_endpoint", BASE "/authorize"},
        {"token_endpoint", BASE "/token"},
        {"revocation_endpoint", BASE "/revoke"},
        {"introspection_endpoint", BASE "/introspect"},
        {"service_documentation", "/api/docs/openapi.json"},
    };
    static const char *const methods[] = {"client_secret_basic", "client_secret_post", NULL};
    static const char *const authentications[] = {"token_endpoint_auth_methods_supported",
                                                  "revocation_endpoint_auth_methods_supported",
                                                  "introspection_endpoint_auth_methods_supported"};
    const char *base_url = in_text(call->in, "web.base_url");
    struct out *out = &call->out;

    if (!base_url)
        return call_fail(call, FAIL_INVALID_REQUEST, NULL, "Ask for this over HTTP: it names the address you used");
    out_map(out, 1 + ARRAY_COUNT(endpoints) + ARRAY_COUNT(authentications) + 6);
    out_key(out, "issuer");
    out_text(out, base_url);
    for (unsigned i = 0; i < ARRAY_COUNT(endpoints); i++) {
        out_key(out, endpoints[i][0]);
        out_text(out, arena_printf(call->arena, "%s%s", base_url, endpoints[i][1]));
    }
    for (unsigned i = 0; i < ARRAY_COUNT(authentications); i++)
        write_list(out, authentications[i], methods);
    out_key(out, "scopes_supported");
    scopes_write(out, scopes_text(call->arena, UINT32_MAX));
    write_list(out, "response_types_supported", (const char *const[]){"code", NULL});
    write_list(out, "response_modes_supported", (const char *const[]){"query", NULL});
    write_list(out, "grant_types_supported", (const char *const[]){"authorization_code", "refresh_token", NULL});
    write_list(out, "code_challenge_methods_supported", (const char *const[]){"S256", NULL});
    out_key(out, "authorization_response_iss_parameter_supported");
    out_bool(out, true);
    return call_reply(call, 200);
}

/* session_tokens.c - made for a merchant who opens an app, checked for the app and for the gateways.
 *
 * A token dies with everything it rests on: it names the generation of the install, so that no reinstall revives it; it
 * is checked against the key that the app has now; it is refused when the app or the installation is off, or when the
 * person it was made for has nothing to do with the store any more. Nothing is stored of it.
 */
#include "session_tokens.h"

#include <string.h>

#include "apps.h"
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "config.h"
#include "embed.h"
#include "log.h"
#include "oauth_client.h"
#include "session_keys.h"
#include "statements.h"
#include "store_access.h"

#define CLOCKS_APART_S 60 /* how far ahead the clock of the host that made a token may be */
#define JTI_BYTES      16

/* ---- checked ----------------------------------------------------------------------------------------------------- */

/* No token lives longer than we make them, whoever signed it. */
static bool
is_in_time(const struct jwt *jwt)
{
    int64_t now_s = clock_now_us() / US_PER_SECOND;
    int64_t issued_s = jwt_number(jwt, "iat"), expires_s = jwt_number(jwt, "exp");

    return issued_s > 0 && issued_s <= now_s + CLOCKS_APART_S && expires_s > now_s &&
           expires_s - issued_s <= SESSION_TOKEN_S && jwt_number(jwt, "nbf") <= now_s;
}

static enum session_token_verdict
check_signature(struct call *call, const struct jwt *jwt, const struct rows *rows)
{
    uint8_t public_key[ES256_PUBLIC_SIZE], key[SIGNING_KEY_SIZE];
    bool genuine;

    if (jwt->es256 != (strcmp(rows_text(rows, 0, "session_algorithm"), "ES256") == 0))
        return SESSION_TOKEN_BAD;
    if (jwt->es256) {
        genuine = rows_bytes(rows, 0, "public_key", public_key, sizeof public_key) == sizeof public_key &&
                  jwt_verify_es256(jwt, public_key);
        return genuine ? SESSION_TOKEN_GOOD : SESSION_TOKEN_BAD;
    }
    if (app_open_signing_key(rows, key)) {
        log_event(LOG_ERROR, "signing_key_unusable", "s:request_id", call->request_id, "l:app_id",
                  rows_int(rows, 0, "app_id"), NULL);
        (void)!call_fail(call, FAIL_AUTH_ERROR, NULL, NULL);
        return SESSION_TOKEN_FAILED;
    }
    genuine = jwt_verify(jwt, key, sizeof key);
    secret_wipe(key, sizeof key);
    return genuine ? SESSION_TOKEN_GOOD : SESSION_TOKEN_BAD;
}

enum session_token_verdict
session_token_check(struct call *call, const struct jwt *jwt, struct rows *rows)
{
    enum session_token_verdict verdict;

    if (!is_in_time(jwt))
        return SESSION_TOKEN_BAD;
    if (db_run(call, IDENTIFY_APP_SESSION, rows, "lllstl", jwt_number(jwt, "sid"), jwt_number(jwt, "app_id"),
               jwt_number(jwt, "sub"), jwt->kid, clock_now_us(), jwt_number(jwt, "uid")))
        return SESSION_TOKEN_FAILED;
    if (rows_is_null(rows, 0, "app_id"))
        return SESSION_TOKEN_BAD;
    verdict = check_signature(call, jwt, rows);
    if (verdict != SESSION_TOKEN_GOOD)
        return verdict;
    /* A token of the platform's key says which key the app had; one signed with the app's own key needs not. */
    if (jwt->es256 && jwt_number(jwt, "key") != rows_int(rows, 0, "signing_key_number"))
        return SESSION_TOKEN_BAD;
    if (!rows_int(rows, 0, "alive") || jwt_number(jwt, "gen") != rows_int(rows, 0, "generation") ||
        !str_is(in_str(jwt->payload, "aud"), rows_text(rows, 0, "client_id")))
        return SESSION_TOKEN_BAD;
    return SESSION_TOKEN_GOOD;
}

int
session_tokens_verify(struct call *call)
{
    static const char *const fields[] = {"store_id", "installation_id", "app_id"};
    enum session_token_verdict verdict = SESSION_TOKEN_BAD;
    struct jwt jwt;
    struct rows rows;

    if (oauth_client_identify(call))
        return -1;
    if (jwt_read(&jwt, call->arena, in_str(call->in, "body.session_token")) == 0 &&
        jwt_number(&jwt, "app_id") == call->caller.app_id)
        verdict = session_token_check(call, &jwt, &rows);
    if (verdict == SESSION_TOKEN_FAILED)
        return -1;
    if (verdict == SESSION_TOKEN_BAD)
        return call_fail(call, FAIL_INVALID_TOKEN, NULL,
                         "The session token is expired, forged or not this app's; ask the dashboard for a new one");
    if (!rows_int(&rows, 0, "store_active"))
        return call_fail(call, FAIL_STORE_INACTIVE, NULL, NULL);
    call_data(call);
    out_map(&call->out, ARRAY_COUNT(fields));
    for (unsigned i = 0; i < ARRAY_COUNT(fields); i++) {
        out_key(&call->out, fields[i]);
        out_int(&call->out, rows_int(&rows, 0, fields[i]));
    }
    return call_reply(call, 200);
}

/* ---- made -------------------------------------------------------------------------------------------------------- */

/* The installation that is asked for, by its id or by app and store, once the merchant may have its app's credentials:
 * a session token opens all that the app may do. The transaction is open. */
static int
find_target(struct call *call, int64_t installation_id, int64_t app_id, int64_t store_id, struct rows *rows)
{
    static const char missing[] = "This app is not installed on the store, or it is switched off";
    int rc = installation_id ? db_run(call, SESSION_TARGET_BY_ID, rows, "l", installation_id)
                             : db_run(call, SESSION_TARGET_BY_APP, rows, "ll", app_id, store_id);

    if (rc)
        return -1;
    if (installation_id)
        store_id = rows->count ? rows_int(rows, 0, "store_id") : 0;
    /* Frozen stores are shut to apps, so a token for one would open nothing. */
    if (store_allow(call, store_id, PERMISSION_CREDENTIALS, STORE_CHANGE))
        return -1;
    if (rows->count == 0 || strcmp(rows_text(rows, 0, "status"), "active") != 0 || !rows_int(rows, 0, "app_active"))
        return call_fail(call, FAIL_NOT_FOUND, installation_id ? "installation_id" : "app_id", missing);
    if (strcmp(rows_text(rows, 0, "type"), "platform") != 0)
        return call_fail(call, FAIL_INVALID_REQUEST, installation_id ? "installation_id" : "app_id",
                         "A custom app has no page in the dashboard; it uses its access token");
    return 0;
}

/* Signs a token for the target; NULL after call_fail. key is the app's session signing key. */
static const char *
sign_token(struct call *call, const struct rows *target, const uint8_t key[SIGNING_KEY_SIZE])
{
    long long now_s = (long long)(clock_now_us() / US_PER_SECOND);
    const char *payload =
        arena_printf(call->arena,
                     "{\"iss\":\"selorax\",\"aud\":\"%s\",\"sub\":\"%lld\",\"sid\":%lld,\"app_id\":%lld,\"gen\":%lld,"
                     "\"uid\":%lld,\"key\":%lld,\"iat\":%lld,\"exp\":%lld,\"jti\":\"%s\"}",
                     rows_text(target, 0, "client_id"), (long long)rows_int(target, 0, "store_id"),
                     (long long)rows_int(target, 0, "installation_id"), (long long)rows_int(target, 0, "app_id"),
                     (long long)rows_int(target, 0, "generation"), (long long)call->caller.account_id,
                     (long long)rows_int(target, 0, "signing_key_number"), now_s, now_s + SESSION_TOKEN_S,
                     secret_token(call->arena, "", JTI_BYTES));

    if (strcmp(rows_text(target, 0, "session_algorithm"), "ES256") == 0)
        return session_key_sign(call, payload);
    return jwt_sign(call->arena, key, SIGNING_KEY_SIZE, payload);
}

/* Token, and with it iframe_url when wanted, and the audit row of both, with which the transaction ends. */
static int
issue(struct call *call, const struct rows *target, const char **token, const char **iframe_url)
{
    int64_t store_id = rows_int(target, 0, "store_id"), app_id = rows_int(target, 0, "app_id");
    uint8_t key[SIGNING_KEY_SIZE];

    if (app_open_signing_key(target, key)) {
        log_event(LOG_ERROR, "signing_key_unusable", "s:request_id", call->request_id, "l:app_id", app_id, NULL);
        return call_fail(call, FAIL_AUTH_ERROR, NULL, NULL);
    }
    *token = sign_token(call, target, key);
    if (iframe_url)
        *iframe_url = embed_url(call->arena, rows_text(target, 0, "app_url"), key, SIGNING_KEY_SIZE, store_id,
                                config.dashboard_origin, clock_now_us() / US_PER_SECOND);
    secret_wipe(key, sizeof key);
    if (!*token ||
        audit_put(call, "session_token.issued", "installation", rows_int(target, 0, "installation_id"), store_id,
                  app_id) ||
        db_commit(call))
        return -1;
    call_seal(call);
    call_header(call, "Cache-Control", "no-store");
    return 0;
}

int
session_tokens_create(struct call *call)
{
    int64_t installation_id = in_int(call->in, "body.installation_id", 0);
    int64_t app_id = in_int(call->in, "body.app_id", 0), store_id = in_int(call->in, "body.store_id", 0);
    struct out *out = &call->out;
    const char *token = NULL;
    struct rows target;

    if (installation_id ? app_id || store_id : !app_id || !store_id)
        return call_fail(call, FAIL_VALIDATION_ERROR, "app_id", "give app_id and store_id, or installation_id alone");
    if (db_begin(call) || find_target(call, installation_id, app_id, store_id, &target) ||
        issue(call, &target, &token, NULL))
        return -1;
    call_data_with(call, 2);
    out_map(out, 2);
    /* First in data, then beside it: the documented example is flat. */
    for (unsigned i = 0; i < 2; i++) {
        out_key(out, "session_token");
        out_text(out, token);
        out_key(out, "expires_in");
        out_int(out, SESSION_TOKEN_S);
    }
    return call_reply(call, 200);
}

int
session_tokens_embed_params(struct call *call)
{
    const char *token = NULL, *iframe_url = NULL;
    struct out *out = &call->out;
    struct rows target;

    if (db_begin(call) ||
        find_target(call, 0, in_int(call->in, "query.app_id", 0), in_int(call->in, "query.store_id", 0), &target))
        return -1;
    if (rows_is_null(&target, 0, "app_url"))
        return call_fail(call, FAIL_INVALID_REQUEST, "app_id",
                         "This app has no app_url, so there is no page to show; its developer can set one");
    if (issue(call, &target, &token, &iframe_url))
        return -1;
    call_data_with(call, 4);
    out_map(out, 4);
    for (unsigned i = 0; i < 2; i++) { /* twice, as above */
        out_key(out, "iframe_url");
        out_text(out, iframe_url);
        out_key(out, "session_token");
        out_text(out, token);
        out_key(out, "expires_in");
        out_int(out, SESSION_TOKEN_S);
        out_key(out, "app_name");
        out_text(out, rows_text(&target, 0, "name"));
    }
    return call_reply(call, 200);
}

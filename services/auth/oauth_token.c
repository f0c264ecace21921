/* oauth_token.c - codes and refresh tokens become pairs of tokens (RFC 6749, 4.1.3 and 6; RFC 7636; contract K.2).
 *
 * Every decision is taken on rows that the transaction has locked: of many requests with one code or one refresh token,
 * one goes first and the others see what it did. A code that comes twice takes back what it gave. A refresh token that
 * comes twice within 60 s, while nobody has used its successor, gets a new pair and voids that successor: an answer
 * that got lost must not cost an install. Later it means that two parties hold it, and the whole grant ends.
 */
#include <string.h>

#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "installation.h"
#include "invalidation.h"
#include "oauth_client.h"
#include "scopes.h"
#include "secret.h"
#include "statements.h"
#include "store_access.h"
#include "text.h"
#include "tokens.h"

#define REUSE_WAIT_S 60 /* contract K.2 */

/* ---- the answer, for both kinds of client ------------------------------------------------------------------------ */

static void
write_standard(struct out *out, const struct token_pair *pair, const char *scopes)
{
    token_write(out, &pair->access);
    out_key(out, "refresh_token");
    out_text(out, pair->refresh.text);
    out_key(out, "scope");
    out_text(out, scopes);
}

static void
write_id(struct out *out, const struct rows *installation, const char *name)
{
    out_key(out, name);
    out_int(out, rows_int(installation, 0, name));
}

static int
reply_pair(struct call *call, const struct rows *installation, const struct token_pair *pair)
{
    const char *scopes = rows_text(installation, 0, "granted_scopes");
    struct out *out = &call->out;

    call_seal(call);
    out_map(out, 7);
    write_standard(out, pair, scopes);
    out_key(out, "data");
    out_map(out, 10);
    write_standard(out, pair, scopes);
    token_write_terms(out, &pair->access, scopes);
    write_id(out, installation, "store_id");
    write_id(out, installation, "installation_id");
    write_id(out, installation, "app_id");
    out_key(out, "status");
    out_int(out, 200);
    return call_reply(call, 200);
}

/* ---- a code ------------------------------------------------------------------------------------------------------ */

/* RFC 7636, 4.6. A verifier for a code that was asked for without a challenge is refused as well: somebody took the
 * challenge out on the way (RFC 9700, 2.1.1). */
static bool
verifier_fits(struct call *call, const struct rows *code)
{
    struct str verifier = in_str(call->in, "body.code_verifier");
    const char *challenge = rows_text(code, 0, "code_challenge");
    char made[BASE64_SIZE(SHA256_SIZE)];
    uint8_t digest[SHA256_SIZE];

    if (!challenge || !verifier.base)
        return !challenge && !verifier.base;
    if (verifier.len < 43)
        return false;
    secret_sha256(digest, verifier.base, verifier.len);
    text_to_base64url(made, digest, sizeof digest);
    return strlen(made) == strlen(challenge) && secret_equal(made, challenge, strlen(made));
}

/* The second use of a code: what the first one gave ends (RFC 6749, 4.1.2). */
static int
refuse_replay(struct call *call, const struct rows *code)
{
    int64_t installation_id = rows_int(code, 0, "installation_id");
    struct rows locked;

    /* The lock is what a refresh takes first: no pair is made behind this back. */
    if (db_run(call, OAUTH_INSTALLATION_LOCK, &locked, "l", installation_id) ||
        db_post(call, INSTALLATION_TOKENS_END, "ll", installation_id, rows_int(code, 0, "generation")) ||
        audit_put(call, "oauth.code_replayed", "installation", installation_id, rows_int(code, 0, "store_id"),
                  rows_int(code, 0, "app_id")) ||
        invalidation_commit(call, "installation", installation_id))
        return -1;
    return call_fail(call, FAIL_INVALID_GRANT, NULL,
                     "This code was used before; the tokens it gave are revoked, install the app again");
}

static int
check_code(struct call *call, const struct rows *code)
{
    const char *redirect_uri = in_text(call->in, "body.redirect_uri");

    if (code->count == 0 || rows_int(code, 0, "app_id") != call->caller.app_id)
        return call_fail(call, FAIL_INVALID_GRANT, NULL, NULL);
    if (rows_int(code, 0, "used"))
        return refuse_replay(call, code);
    if (rows_time(code, 0, "expires_at") <= clock_now_us())
        return call_fail(call, FAIL_INVALID_GRANT, NULL, "This code has expired: it is good for 60 seconds");
    if (!redirect_uri || strcmp(redirect_uri, rows_text(code, 0, "redirect_uri")) != 0)
        return call_fail(call, FAIL_INVALID_GRANT, NULL, "redirect_uri must be the one the code was sent to");
    if (!verifier_fits(call, code))
        return call_fail(call, FAIL_INVALID_GRANT, NULL, "code_verifier does not fit the code's challenge");
    return 0;
}

static int
exchange_code(struct call *call, struct oauth_client *client)
{
    struct str text = in_str(call->in, "body.code");
    struct rows known, code, held, store, app, installation;
    uint8_t hash[SHA256_SIZE];
    struct token_pair pair;
    int64_t installation_id, generation, store_id, consented_us;

    if (!text.base)
        return call_fail(call, FAIL_VALIDATION_ERROR, "code", "is required");
    secret_sha256(hash, text.base, text.len);
    if (db_begin(call) || db_send(call, CLIENT_FIND, "s", client->client_id) ||
        db_send(call, OAUTH_CODE_FOR_USE, "x", hash, sizeof hash) || db_collect(call, &known) ||
        db_collect(call, &code) || oauth_client_check(call, client, &known) || check_code(call, &code))
        return -1;
    store_id = rows_int(&code, 0, "store_id");
    consented_us = rows_time(&code, 0, "created_at");
    if (db_send(call, MEMBER_HOLD, "ll", store_id, rows_int(&code, 0, "account_id")) ||
        db_send(call, OAUTH_STORE, "lls", store_id, rows_int(&code, 0, "account_id"), INSTALL_PERMISSION) ||
        db_send(call, APP_FOR_INSTALL, "l", call->caller.app_id) || db_collect(call, &held) ||
        db_collect(call, &store) || db_collect(call, &app))
        return -1;
    if (!rows_int(&store, 0, "active"))
        return call_fail(call, FAIL_STORE_INACTIVE, NULL, NULL);
    if (app.count == 0 || !rows_int(&app, 0, "active"))
        return call_fail(call, FAIL_INVALID_CLIENT, NULL, NULL);
    if (!rows_int(&store, 0, "allowed"))
        return call_fail(call, FAIL_INVALID_GRANT, NULL, "Whoever agreed to this may not install apps there any more");
    call->caller.account_id = rows_int(&code, 0, "account_id"); /* who has installed it, for the audit log */
    if (installation_install(call, store_id, call->caller.app_id, rows_text(&code, 0, "scopes"), INSTALLATION_OAUTH,
                             &consented_us, &installation))
        return -1;
    installation_id = rows_int(&installation, 0, "installation_id");
    generation = rows_int(&installation, 0, "generation");
    if (token_pair_insert(call, installation_id, generation, &pair) ||
        db_post(call, OAUTH_CODE_SET_USED, "xtll", hash, sizeof hash, pair.made_us, installation_id, generation))
        return -1;
    if (oauth_client_note_use(call, client) || installation_commit(call, &installation))
        return -1;
    return reply_pair(call, &installation, &pair);
}

/* ---- a refresh token --------------------------------------------------------------------------------------------- */

/* Scopes cannot grow here: new ones need the merchant's consent (contract K.6). Fewer are not given out singly: the
 * answer's scope says what the token can do (RFC 6749, 3.3). */
static int
check_scope(struct call *call, const struct rows *installation)
{
    struct str asked = in_str(call->in, "body.scope");
    uint32_t wanted = 0, granted = 0;

    if (!asked.base)
        return 0;
    if (scopes_add(&granted, str_of(rows_text(installation, 0, "granted_scopes"))))
        return call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
    if (scopes_add(&wanted, asked) || (wanted & ~granted))
        return call_fail(call, FAIL_INVALID_SCOPE, NULL, NULL);
    return 0;
}

static int
refuse_reuse(struct call *call, const struct rows *installation)
{
    int64_t installation_id = rows_int(installation, 0, "installation_id");

    if (db_post(call, INSTALLATION_TOKENS_END, "ll", installation_id, rows_int(installation, 0, "generation")) ||
        audit_put(call, "oauth.refresh_token_reused", "installation", installation_id,
                  rows_int(installation, 0, "store_id"), rows_int(installation, 0, "app_id")) ||
        invalidation_commit(call, "installation", installation_id))
        return -1;
    return call_fail(
        call, FAIL_INVALID_GRANT, NULL,
        "This refresh token was used before; all tokens of the install are revoked, install the app again");
}

/* Whether the token may give a pair. *voided is the access token that dies for it, 0 when none does. */
static int
check_refresh(struct call *call, const struct rows *token, const struct rows *installation, int64_t *voided)
{
    int64_t now_us = clock_now_us();
    struct rows successor;

    *voided = 0;
    if (installation->count == 0 || token->count == 0 || rows_int(token, 0, "revoked") ||
        rows_time(token, 0, "expires_at") <= now_us || strcmp(rows_text(installation, 0, "status"), "active") != 0 ||
        rows_int(token, 0, "generation") != rows_int(installation, 0, "generation") ||
        rows_int(token, 0, "token_id") < rows_int(installation, 0, "tokens_from"))
        return call_fail(call, FAIL_INVALID_GRANT, NULL, NULL);
    if (strcmp(rows_text(installation, 0, "store_status"), "active") != 0)
        return call_fail(call, FAIL_STORE_INACTIVE, NULL, NULL);
    if (check_scope(call, installation))
        return -1;
    if (rows_is_null(token, 0, "used_at"))
        return 0;
    if (db_run(call, OAUTH_SUCCESSOR, &successor, "l", rows_int(token, 0, "successor_id")))
        return -1;
    if (now_us - rows_time(token, 0, "used_at") > US_PER_SECOND * REUSE_WAIT_S || successor.count == 0 ||
        !rows_int(&successor, 0, "unused"))
        return refuse_reuse(call, installation);
    *voided = rows_int(&successor, 0, "access_id");
    return db_post(call, OAUTH_PAIR_SET_REVOKED, "llt", rows_int(&successor, 0, "token_id"), *voided, now_us);
}

static int
refresh(struct call *call, struct oauth_client *client)
{
    struct str text = in_str(call->in, "body.refresh_token");
    struct rows known, found, installation, token;
    uint8_t hash[SHA256_SIZE];
    struct token_pair pair;
    int64_t installation_id, voided;

    if (!text.base)
        return call_fail(call, FAIL_VALIDATION_ERROR, "refresh_token", "is required");
    secret_sha256(hash, text.base, text.len);
    if (db_begin(call) || db_send(call, CLIENT_FIND, "s", client->client_id) ||
        db_send(call, OAUTH_REFRESH_FIND, "x", hash, sizeof hash) || db_collect(call, &known) ||
        db_collect(call, &found) || oauth_client_check(call, client, &known))
        return -1;
    if (found.count == 0 || rows_int(&found, 0, "app_id") != call->caller.app_id)
        return call_fail(call, FAIL_INVALID_GRANT, NULL, NULL);
    installation_id = rows_int(&found, 0, "installation_id");
    if (db_send(call, OAUTH_INSTALLATION_LOCK, "l", installation_id) ||
        db_send(call, OAUTH_REFRESH_LOCK, "x", hash, sizeof hash) || db_collect(call, &installation) ||
        db_collect(call, &token) || check_refresh(call, &token, &installation, &voided) ||
        token_pair_insert(call, installation_id, rows_int(&installation, 0, "generation"), &pair) ||
        db_post(call, OAUTH_REFRESH_SET_USED, "ltl", rows_int(&token, 0, "token_id"), pair.made_us, pair.refresh_id) ||
        audit_put(call, "oauth.token_refreshed", "installation", installation_id,
                  rows_int(&installation, 0, "store_id"), call->caller.app_id) ||
        oauth_client_note_use(call, client))
        return -1;
    if (voided ? invalidation_commit(call, "token", voided) : db_commit(call))
        return -1;
    return reply_pair(call, &installation, &pair);
}

int
oauth_token(struct call *call)
{
    struct str grant_type = in_str(call->in, "body.grant_type");
    struct oauth_client client;

    if (oauth_client_read(call, &client))
        return -1;
    if (str_is(grant_type, "authorization_code"))
        return exchange_code(call, &client);
    if (str_is(grant_type, "refresh_token"))
        return refresh(call, &client);
    if (oauth_client_identify(call))
        return -1;
    return call_fail(call, FAIL_UNSUPPORTED_GRANT_TYPE, NULL, NULL);
}

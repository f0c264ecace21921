/* tokens.c - issue and revoke. Only hashes are stored: a random 256-bit secret needs no slow hash. */
#include "tokens.h"

#include <string.h>

#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "scopes.h"
#include "secret.h"
#include "statements.h"

#define TOKEN_BYTES 32

static void
make_token(struct call *call, struct token *self, const char *prefix, int64_t lifetime_s, int64_t now_us,
           uint8_t hash[SHA256_SIZE])
{
    self->text = secret_token(call->arena, prefix, TOKEN_BYTES);
    self->lifetime_s = lifetime_s;
    self->expires_us = now_us + US_PER_SECOND * lifetime_s;
    secret_sha256(hash, self->text, strlen(self->text));
}

int
token_insert(struct call *call, int64_t installation_id, int64_t generation, int64_t lifetime_s, struct token *token)
{
    int64_t now_us = clock_now_us();
    uint8_t hash[SHA256_SIZE];

    make_token(call, token, "sx_at_", lifetime_s, now_us, hash);
    return db_post(call, TOKEN_INSERT, "llxtt", installation_id, generation, hash, sizeof hash, token->expires_us,
                   now_us);
}

int
token_pair_insert(struct call *call, int64_t installation_id, int64_t generation, struct token_pair *pair)
{
    uint8_t access[SHA256_SIZE], refresh[SHA256_SIZE];
    struct rows rows;

    pair->made_us = clock_now_us();
    make_token(call, &pair->access, "sx_at_", ACCESS_TOKEN_S, pair->made_us, access);
    make_token(call, &pair->refresh, "sx_rt_", REFRESH_TOKEN_S, pair->made_us, refresh);
    if (db_run(call, TOKEN_PAIR_INSERT, &rows, "llxtxtt", installation_id, generation, access, sizeof access,
               pair->access.expires_us, refresh, sizeof refresh, pair->refresh.expires_us, pair->made_us))
        return -1;
    pair->refresh_id = rows_int(&rows, 0, "token_id");
    return 0;
}

void
token_write(struct out *out, const struct token *access)
{
    out_key(out, "access_token");
    out_text(out, access->text);
    out_key(out, "token_type");
    out_text(out, "Bearer");
    out_key(out, "expires_in");
    out_int(out, access->lifetime_s);
}

void
token_write_terms(struct out *out, const struct token *access, const char *granted)
{
    out_key(out, "expires_at");
    out_time(out, access->expires_us);
    out_key(out, "scopes");
    scopes_write(out, granted);
}

int
token_pair_reply(struct call *call, const struct rows *installation, const struct token_pair *pair)
{
    struct out *out = &call->out;

    call_seal(call);
    call_data(call);
    out_map(out, 9);
    out_key(out, "installation_id");
    out_int(out, rows_int(installation, 0, "installation_id"));
    out_key(out, "store_id");
    out_int(out, rows_int(installation, 0, "store_id"));
    out_key(out, "app_id");
    out_int(out, rows_int(installation, 0, "app_id"));
    out_key(out, "generation");
    out_int(out, rows_int(installation, 0, "generation"));
    out_key(out, "granted_scopes");
    out_text(out, rows_text(installation, 0, "granted_scopes"));
    out_key(out, "access_token");
    out_text(out, pair->access.text);
    out_key(out, "refresh_token");
    out_text(out, pair->refresh.text);
    out_key(out, "expires_at");
    out_time(out, pair->access.expires_us);
    out_key(out, "refresh_expires_at");
    out_time(out, pair->refresh.expires_us);
    return call_reply(call, 201);
}

int
tokens_issue(struct call *call)
{
    int64_t installation_id = in_int(call->in, "body.installation_id", 0);
    struct token_pair pair;
    struct rows rows;

    if (db_begin(call) || db_run(call, INSTALLATION_FOR_TOKENS, &rows, "l", installation_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_INVALID_INSTALLATION, "installation_id", NULL);
    if (token_pair_insert(call, installation_id, rows_int(&rows, 0, "generation"), &pair) ||
        audit_put(call, "token.issued", "installation", installation_id, rows_int(&rows, 0, "store_id"),
                  rows_int(&rows, 0, "app_id")) ||
        db_commit(call))
        return -1;
    return token_pair_reply(call, &rows, &pair);
}

/* ---- revocation -------------------------------------------------------------------------------------------------- */

/* The lock on the installation is what a refresh takes first: no pair is made behind this back. */
static int
end_tokens(struct call *call, int64_t installation_id, int64_t generation)
{
    struct rows locked;

    if (db_run(call, INSTALLATION_LOCK, &locked, "l", installation_id))
        return -1;
    if (locked.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "installation_id", "No such installation");
    if (db_post(call, INSTALLATION_TOKENS_END, "ll", installation_id,
                generation ? generation : rows_int(&locked, 0, "generation")) ||
        audit_put(call, "tokens.revoked", "installation", installation_id, rows_int(&locked, 0, "store_id"),
                  rows_int(&locked, 0, "app_id")))
        return -1;
    return invalidation_commit(call, "installation", installation_id);
}

int
token_revoke(struct call *call, const struct rows *token)
{
    int64_t token_id = rows_int(token, 0, "token_id");

    if (strcmp(rows_text(token, 0, "kind"), "access") != 0)
        return end_tokens(call, rows_int(token, 0, "installation_id"), rows_int(token, 0, "generation"));
    if (db_post(call, TOKEN_SET_REVOKED, "lt", token_id, clock_now_us()) ||
        audit_put(call, "token.revoked", "token", token_id, rows_int(token, 0, "store_id"),
                  rows_int(token, 0, "app_id")))
        return -1;
    return invalidation_commit(call, "token", token_id);
}

static int
revoke_one(struct call *call, struct str token)
{
    uint8_t hash[SHA256_SIZE];
    struct rows rows;

    secret_sha256(hash, token.base, token.len);
    if (db_begin(call) || db_run(call, OAUTH_TOKEN_FIND, &rows, "x", hash, sizeof hash))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "token", "No such token; send it in full, as sx_at_… or sx_rt_…");
    if (token_revoke(call, &rows))
        return -1;
    return invalidation_reply(call, "installation_id", rows_int(&rows, 0, "installation_id"));
}

int
tokens_revoke(struct call *call)
{
    int64_t installation_id = in_int(call->in, "body.installation_id", 0);
    struct str token = in_str(call->in, "body.token");

    if ((token.base != NULL) == (installation_id != 0))
        return call_fail(call, FAIL_VALIDATION_ERROR, "token", "give either token or installation_id");
    if (token.base)
        return revoke_one(call, token);
    if (db_begin(call) || end_tokens(call, installation_id, 0))
        return -1;
    return invalidation_reply(call, "installation_id", installation_id);
}

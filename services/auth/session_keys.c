/* session_keys.c - one key pair signs at a time; a new one is published a while before its first token, and the old one
 * until its last token has run out, so that a rotation is noticed by nobody. A key that may have become known is ended
 * at once instead: that is a revocation like any other (invalidation.h).
 *
 * Which apps are signed for with it is each app's choice.
 */
#include "session_keys.h"

#include "app_access.h"
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "es256.h"
#include "invalidation.h"
#include "jwt.h"
#include "log.h"
#include "secret.h"
#include "session_tokens.h"
#include "statements.h"
#include "text.h"

#define KID_BYTES      16
#define SEALED_PRIVATE (ES256_PRIVATE_SIZE + SEAL_OVERHEAD)

struct key_pair {
    const char *kid;
    uint8_t public_key[ES256_PUBLIC_SIZE];
    uint8_t sealed[SEALED_PRIVATE]; /* bound to the kid */
};

static void
make_pair(struct call *call, struct key_pair *self)
{
    uint8_t private_key[ES256_PRIVATE_SIZE];

    self->kid = secret_token(call->arena, "", KID_BYTES);
    es256_generate(private_key, self->public_key);
    secret_seal(self->sealed, SESSION_KEY_LABEL, str_of(self->kid), private_key, sizeof private_key);
    secret_wipe(private_key, sizeof private_key);
}

int
session_key_ensure(struct call *call)
{
    struct key_pair pair;
    struct rows rows;

    if (db_run(call, SESSION_KEYS_PUBLISHED, &rows, "t", clock_now_us()))
        return -1;
    if (rows.count)
        return 0;
    make_pair(call, &pair);
    return db_post(call, SESSION_KEY_FIRST, "sxxt", pair.kid, pair.public_key, sizeof pair.public_key, pair.sealed,
                   sizeof pair.sealed, clock_now_us());
}

static int
open_private(const struct rows *rows, uint8_t private_key[ES256_PRIVATE_SIZE])
{
    uint8_t sealed[SEALED_PRIVATE];

    if (rows->count == 0 || rows_bytes(rows, 0, "private_key", sealed, sizeof sealed) != sizeof sealed)
        return -1;
    return secret_open(private_key, SESSION_KEY_LABEL, str_of(rows_text(rows, 0, "kid")), sealed, sizeof sealed);
}

const char *
session_key_sign(struct call *call, const char *payload)
{
    uint8_t private_key[ES256_PRIVATE_SIZE], public_key[ES256_PUBLIC_SIZE];
    const char *token = NULL;
    struct rows rows;

    if (db_run(call, SESSION_KEY_SIGNING, &rows, "t", clock_now_us()))
        return NULL;
    if (open_private(&rows, private_key) == 0) {
        rows_bytes(&rows, 0, "public_key", public_key, sizeof public_key);
        token = jwt_sign_es256(call->arena, private_key, public_key, rows_text(&rows, 0, "kid"), payload);
        secret_wipe(private_key, sizeof private_key);
    }
    if (!token) {
        log_event(LOG_ERROR, "session_key_unusable", "s:request_id", call->request_id, "l:keys", (int64_t)rows.count,
                  NULL);
        (void)!call_fail(call, FAIL_AUTH_ERROR, NULL, NULL);
    }
    return token;
}

/* ---- the key set ------------------------------------------------------------------------------------------------- */

static void
out_coordinate(struct call *call, const char *name, const uint8_t *bytes)
{
    char *text = arena_alloc(call->arena, BASE64_SIZE(ES256_COORDINATE_SIZE));

    text_to_base64url(text, bytes, ES256_COORDINATE_SIZE);
    out_key(&call->out, name);
    out_text(&call->out, text);
}

int
session_keys_list(struct call *call)
{
    static const char *const fixed[][2] = {{"kty", "EC"}, {"crv", "P-256"}, {"use", "sig"}, {"alg", "ES256"}};
    uint8_t public_key[ES256_PUBLIC_SIZE];
    struct out *out = &call->out;
    struct rows rows;

    if (db_run(call, SESSION_KEYS_PUBLISHED, &rows, "t", clock_now_us()))
        return -1;
    call_header(call, "Cache-Control", "public, max-age=300");
    /* Written without call_data: what a key set looks like is RFC 7517's to say. */
    out_map(out, 1);
    out_key(out, "keys");
    out_list(out, rows.count);
    for (unsigned i = 0; i < rows.count; i++) {
        rows_bytes(&rows, i, "public_key", public_key, sizeof public_key);
        out_map(out, ARRAY_COUNT(fixed) + 3);
        for (unsigned f = 0; f < ARRAY_COUNT(fixed); f++) {
            out_key(out, fixed[f][0]);
            out_text(out, fixed[f][1]);
        }
        out_key(out, "kid");
        out_text(out, rows_text(&rows, i, "kid"));
        out_coordinate(call, "x", public_key);
        out_coordinate(call, "y", public_key + ES256_COORDINATE_SIZE);
    }
    return call_reply(call, 200);
}

/* ---- rotation ---------------------------------------------------------------------------------------------------- */

int
session_keys_rotate(struct call *call)
{
    bool at_once = in_bool(call->in, "body.at_once", false);
    int64_t now_us = clock_now_us();
    int64_t signs_us = at_once ? now_us : now_us + US_PER_SECOND * SESSION_KEY_LEAD_S;
    int64_t end_us = at_once ? 0 : signs_us + US_PER_SECOND * SESSION_TOKEN_S; /* 0: past on every host's clock */
    struct key_pair pair;
    struct rows before, rows;

    make_pair(call, &pair);
    if (db_begin(call) || db_run(call, SESSION_KEY_NEWEST_LOCK, &before, ""))
        return -1;
    if (before.count == 0)
        signs_us = now_us; /* nobody waits for the end of another one */
    if (db_post(call, SESSION_KEYS_SET_END, "t", end_us) ||
        db_run(call, SESSION_KEY_INSERT, &rows, "sxxtt", pair.kid, pair.public_key, sizeof pair.public_key, pair.sealed,
               sizeof pair.sealed, signs_us, now_us))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_CONFLICT, NULL, "Another key was made at the same moment; look, then try again");
    if (audit_put(call, at_once ? "session_key.replaced" : "session_key.rotated", "session_key",
                  rows_int(&rows, 0, "number"), 0, 0))
        return -1;
    if (at_once ? invalidation_commit(call, SESSION_KEYS_TAG, SESSION_KEYS_TAG_ID) : db_commit(call))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

/* ---- an app's choice --------------------------------------------------------------------------------------------- */

/* In the open transaction. The other algorithm's tokens are refused from the answer on. */
static int
set_algorithm(struct call *call, int64_t app_id)
{
    const char *algorithm = in_text(call->in, "body.algorithm");
    struct rows rows;

    if (session_key_ensure(call) ||
        db_run(call, APP_SET_SESSION_ALGORITHM, &rows, "lst", app_id, algorithm, clock_now_us()))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "app_id", "No such app");
    if (audit_put(call, arena_printf(call->arena, "app.session_algorithm_set_%s", algorithm), "app", app_id,
                  rows_int(&rows, 0, "_store_id"), app_id) ||
        invalidation_commit(call, "app", app_id))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
session_algorithm_set(struct call *call)
{
    int64_t app_id = in_int(call->in, "path.app_id", 0);

    return db_begin(call) || app_access_of_merchant(call, app_id, APP_ROLE_ADMIN) ? -1 : set_algorithm(call, app_id);
}

int
apps_set_session_algorithm(struct call *call)
{
    return db_begin(call) ? -1 : set_algorithm(call, in_int(call->in, "body.app_id", 0));
}

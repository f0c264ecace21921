/* identity.c - who is behind a credential, asked by the gateways; and their leases on the answers (protocols 5).
 *
 * Each kind of credential is read by one statement that also reads the version: the answer is true as of exactly that
 * version. The order in which errors win is the contract's (K.1): the credential itself, its family, the store id, the
 * installation, the store.
 */
#include <string.h>

#include "auth_operations.h"
#include "bounds.h"
#include "client_secret.h"
#include "clock.h"
#include "developer_keys.h"
#include "jwt.h"
#include "session_keys.h"
#include "session_tokens.h"
#include "sessions.h"
#include "statements.h"
#include "text.h"

struct finding {
    enum audience family; /* of the credential */
    int64_t version;
    int64_t token_id, session_id; /* 0 where there is none */
    int64_t session_keys;         /* SESSION_KEYS_TAG_ID when one of the platform's key pairs has signed */
    int64_t developer_keys;       /* DEVELOPER_KEYS_TAG_ID when the key derived for developers has */
    int64_t app_id, store_id, installation_id, generation, account_id;
    int64_t member_id; /* for whom a session token was made: the caller is the app */
    const char *scopes;
    const char *credential; /* what an app has shown: the name its last use is kept under */
    int64_t expires_us;     /* 0: never */
    bool store_active;
    bool admin, developer;
};

static enum audience
wanted(const struct call *call)
{
    return (enum audience)in_int(call->in, "body.audience", 0);
}

/* The developer family has one word for all of these (contract H). */
static int
refuse(struct call *call, enum fail code)
{
    return call_fail(call, wanted(call) == AUDIENCE_DEVELOPER ? FAIL_UNAUTHORIZED : code, NULL, NULL);
}

static void
take_installation(struct finding *found, const struct rows *rows)
{
    found->family = AUDIENCE_APP;
    found->version = rows_int(rows, 0, "v");
    found->app_id = rows_int(rows, 0, "app_id");
    found->store_id = rows_int(rows, 0, "store_id");
    found->installation_id = rows_int(rows, 0, "installation_id");
    found->generation = rows_int(rows, 0, "generation");
    found->scopes = rows_text(rows, 0, "granted_scopes");
    found->store_active = rows_int(rows, 0, "store_active");
}

static void
take_session(struct finding *found, const struct rows *rows, enum audience family)
{
    found->family = family;
    found->version = rows_int(rows, 0, "v");
    found->session_id = rows_int(rows, 0, "session_id");
    found->account_id = rows_int(rows, 0, "account_id");
    found->admin = rows_int(rows, 0, "admin");
    found->developer = rows_int(rows, 0, "developer");
    found->scopes = "";
}

static int
find_token(struct call *call, struct str token, struct finding *found)
{
    uint8_t hash[SHA256_SIZE];
    struct rows rows;

    secret_sha256(hash, token.base, token.len);
    if (db_run(call, IDENTIFY_TOKEN, &rows, "x", hash, sizeof hash))
        return -1;
    if (!rows_int(&rows, 0, "alive") || rows_time(&rows, 0, "expires_at") <= clock_now_us())
        return refuse(call, FAIL_INVALID_TOKEN);
    take_installation(found, &rows);
    found->token_id = rows_int(&rows, 0, "token_id");
    found->credential = arena_printf(call->arena, "token:%lld", (long long)found->token_id);
    found->expires_us = rows_time(&rows, 0, "expires_at");
    return 0;
}

static int
find_merchant(struct call *call, struct str token, struct finding *found)
{
    uint8_t hash[SHA256_SIZE];
    struct rows rows;

    secret_sha256(hash, token.base, token.len);
    if (db_run(call, IDENTIFY_SESSION, &rows, "x", hash, sizeof hash))
        return -1;
    if (!rows_int(&rows, 0, "alive") || rows_time(&rows, 0, "expires_at") <= clock_now_us())
        return refuse(call, FAIL_INVALID_TOKEN);
    take_session(found, &rows, AUDIENCE_MERCHANT);
    found->expires_us = rows_time(&rows, 0, "expires_at");
    return 0;
}

static int
find_developer(struct call *call, const struct jwt *jwt, struct finding *found)
{
    struct rows rows;

    if (!developer_keys_match(jwt))
        return refuse(call, FAIL_INVALID_TOKEN);
    if (db_run(call, IDENTIFY_DEVELOPER, &rows, "ll", jwt_number(jwt, "sid"), jwt_number(jwt, "sub")))
        return -1;
    if (!rows_int(&rows, 0, "alive"))
        return refuse(call, FAIL_INVALID_TOKEN);
    take_session(found, &rows, AUDIENCE_DEVELOPER);
    found->developer_keys = DEVELOPER_KEYS_TAG_ID;
    return 0;
}

/* A session token of an embedded app, for one installation (contract B). */
static int
find_app_session(struct call *call, const struct jwt *jwt, struct finding *found)
{
    struct rows rows;

    switch (session_token_check(call, jwt, &rows)) {
    case SESSION_TOKEN_GOOD: break;
    case SESSION_TOKEN_BAD: return refuse(call, FAIL_INVALID_TOKEN);
    case SESSION_TOKEN_FAILED: return -1;
    }
    take_installation(found, &rows);
    found->member_id = jwt_number(jwt, "uid");
    found->session_keys = jwt->es256 ? SESSION_KEYS_TAG_ID : 0;
    if (!jwt->es256)
        found->credential = arena_printf(call->arena, "signing_key:%lld:%lld", (long long)found->app_id,
                                         (long long)rows_int(&rows, 0, "signing_key_number"));
    return 0;
}

static int
find_jwt(struct call *call, struct str token, struct finding *found)
{
    int64_t now_s = clock_now_us() / US_PER_SECOND, expires_s;
    struct jwt jwt;
    int rc;

    if (jwt_read(&jwt, call->arena, token))
        return refuse(call, FAIL_INVALID_TOKEN);
    expires_s = jwt_number(&jwt, "exp");
    if (expires_s <= now_s || expires_s > INT64_MAX / US_PER_SECOND || jwt_number(&jwt, "nbf") > now_s)
        return refuse(call, FAIL_INVALID_TOKEN);
    if (str_is(in_str(jwt.payload, "aud"), DEVELOPER_AUDIENCE))
        rc = find_developer(call, &jwt, found);
    else
        rc = find_app_session(call, &jwt, found);
    found->expires_us = expires_s * US_PER_SECOND;
    return rc;
}

static int
find_bearer(struct call *call, struct finding *found)
{
    struct str token = in_str(call->in, "body.token");

    if (!token.base)
        token = STR("");
    if (token.len > 6 && memcmp(token.base, "sx_at_", 6) == 0)
        return find_token(call, token, found);
    if (token.len > 6 && memcmp(token.base, MERCHANT_TOKEN_PREFIX, 6) == 0)
        return find_merchant(call, token, found);
    return find_jwt(call, token, found);
}

/* Whether the secret is the app's. 0, or -1 after the refusal. A secret on its way out is trusted until it has gone.
 * The gateways tell of uses some seconds late, but the first one is kept here: a rotation asks whether there was one.
 */
static int
check_secret(struct call *call, const struct rows *rows, struct finding *found)
{
    struct client_secret_match match;

    switch (client_secret_check(call, rows, in_str(call->in, "body.client_secret"), &match)) {
    case CLIENT_SECRET_RIGHT: break;
    case CLIENT_SECRET_WRONG: return refuse(call, FAIL_INVALID_CLIENT);
    case CLIENT_SECRET_BROKEN: return -1;
    }
    if (!match.used_us && client_secret_note_use(call, rows_int(rows, 0, "app_id"), &match))
        return -1;
    found->expires_us = match.expires_us;
    found->credential =
        arena_printf(call->arena, "secret:%lld:%lld", (long long)rows_int(rows, 0, "app_id"), (long long)match.number);
    return 0;
}

static int
find_client(struct call *call, struct finding *found)
{
    struct str store_text = in_str(call->in, "body.store_id");
    const char *client_id = in_text(call->in, "body.client_id");
    int64_t store_id = 0;
    struct rows rows;

    if (store_text.len && text_to_int(store_text.base, store_text.len, &store_id))
        store_id = 0;
    if (db_run(call, IDENTIFY_CLIENT, &rows, "sl", client_id ? client_id : "", store_id))
        return -1;
    if (check_secret(call, &rows, found))
        return -1;
    if (wanted(call) != AUDIENCE_APP)
        return refuse(call, FAIL_MISSING_AUTH);
    if (!store_text.len)
        return call_fail(call, FAIL_MISSING_STORE_ID, NULL, NULL);
    if (!rows_int(&rows, 0, "installed"))
        return call_fail(call, FAIL_NOT_INSTALLED, NULL, NULL);
    take_installation(found, &rows);
    return 0;
}

/* The credential is good: is it good here? Tells whose rights it is used with. x-auth-token is for merchants alone. */
static int
admit(struct call *call, const struct finding *found, enum audience *audience)
{
    *audience = wanted(call);
    if (found->family != AUDIENCE_MERCHANT && str_is(in_str(call->in, "body.kind"), "session"))
        return refuse(call, FAIL_MISSING_AUTH);
    if (*audience == AUDIENCE_ADMIN && found->family == AUDIENCE_MERCHANT)
        return found->admin ? 0 : call_fail(call, FAIL_FORBIDDEN, NULL, "Only platform admins may do this");
    if (*audience != found->family)
        return refuse(call, FAIL_MISSING_AUTH);
    if (*audience == AUDIENCE_APP && !found->store_active)
        return call_fail(call, FAIL_STORE_INACTIVE, NULL, NULL);
    if (*audience == AUDIENCE_DEVELOPER && !found->developer)
        return call_fail(call, FAIL_FORBIDDEN, NULL, "This account has no access to the developer portal");
    return 0;
}

static void
write_caller(struct out *out, const struct finding *found, enum audience audience)
{
    const struct {
        const char *name;
        int64_t value;
    } ids[] = {
        {"audience", (int64_t)audience},   {"app_id", found->app_id},
        {"store_id", found->store_id},     {"installation_id", found->installation_id},
        {"account_id", found->account_id}, {"session_id", found->session_id},
        {"generation", found->generation},
    };

    out_map(out, ARRAY_COUNT(ids) + 1);
    for (unsigned i = 0; i < ARRAY_COUNT(ids); i++) {
        out_key(out, ids[i].name);
        out_int(out, ids[i].value);
    }
    out_key(out, "scopes");
    out_text(out, found->scopes);
}

/* Everything whose revocation must end the gateways' trust in this answer. */
static void
write_tags(struct call *call, const struct finding *found)
{
    const struct {
        const char *kind;
        int64_t id;
    } tags[] = {
        {"token", found->token_id},
        {"installation", found->installation_id},
        {"app", found->app_id},
        {"store", found->store_id},
        {"session", found->session_id},
        {"account", found->account_id ? found->account_id : found->member_id},
        {SESSION_KEYS_TAG, found->session_keys},
        {DEVELOPER_KEYS_TAG, found->developer_keys},
    };
    unsigned count = 0;

    for (unsigned i = 0; i < ARRAY_COUNT(tags); i++)
        count += tags[i].id != 0;
    out_list(&call->out, count);
    for (unsigned i = 0; i < ARRAY_COUNT(tags); i++)
        if (tags[i].id)
            out_text(&call->out, arena_printf(call->arena, "%s:%lld", tags[i].kind, (long long)tags[i].id));
}

int
identity_introspect(struct call *call)
{
    bool client = str_is(in_str(call->in, "body.kind"), "client");
    struct finding found = {0};
    enum audience audience;
    struct out *out = &call->out;

    if (client ? find_client(call, &found) : find_bearer(call, &found))
        return -1;
    if (admit(call, &found, &audience))
        return -1;
    call_data(call);
    out_map(out, 3 + (found.expires_us != 0) + (found.credential != NULL));
    out_key(out, "version");
    out_int(out, found.version);
    out_key(out, "caller");
    write_caller(out, &found, audience);
    out_key(out, "tags");
    write_tags(call, &found);
    if (found.expires_us) {
        out_key(out, "expires_us");
        out_int(out, found.expires_us);
    }
    if (found.credential) {
        out_key(out, "credential");
        out_text(out, found.credential);
    }
    return call_reply(call, 200);
}

/* ---- leases ------------------------------------------------------------------------------------------------------ */

int
identity_join(struct call *call)
{
    struct rows rows;

    if (db_run(call, GATEWAY_JOIN, &rows, "lt", in_int(call->in, "body.gateway_id", 0), clock_now_us()))
        return -1;
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "version");
    out_int(&call->out, rows_int(&rows, 0, "v"));
    return call_reply(call, 200);
}

int
identity_renew(struct call *call)
{
    int64_t since = in_int(call->in, "body.since", 0), version;
    struct out *out = &call->out;
    struct rows rows;
    unsigned count;

    if (db_run(call, GATEWAY_RENEW, &rows, "lll", in_int(call->in, "body.gateway_id", 0), since,
               (int64_t)INVALIDATION_RING))
        return -1;
    version = rows.count ? rows_int(&rows, 0, "v") : 0;
    /* Also a gateway that is too far behind, or ahead of a database that was restored, must start afresh. */
    if (rows.count == 0 || since > version || since < version - INVALIDATION_RING)
        return call_fail(call, FAIL_NOT_FOUND, NULL,
                         "This gateway holds no lease; drop every cached identity and join");
    count = rows_is_null(&rows, 0, "tag") ? 0 : rows.count;
    call_data(call);
    out_map(out, 2);
    out_key(out, "version");
    out_int(out, version);
    out_key(out, "tags");
    out_list(out, count);
    for (unsigned i = 0; i < count; i++) {
        out_list(out, 2);
        out_int(out, rows_int(&rows, i, "tag_v"));
        out_text(out, rows_text(&rows, i, "tag"));
    }
    return call_reply(call, 200);
}

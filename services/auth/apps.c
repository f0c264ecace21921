/* apps.c - apps as clients: their credentials, and whether they are switched on.
 *
 * The client secret is only compared, so its hash is kept; the session signing key is used by the platform itself, so
 * it is kept sealed, bound to the app's client id.
 */
#include "apps.h"

#include <string.h>

#include "app_access.h"
#include "audit.h"
#include "auth_operations.h"
#include "client_secret.h"
#include "clock.h"
#include "invalidation.h"
#include "oauth_redirect.h"
#include "outbound.h"
#include "scopes.h"
#include "statements.h"

#define SECRET_BYTES    32
#define CLIENT_ID_BYTES 16
#define SLUG_MAX        200
#define REDIRECTS_MAX   65536
#define SUSPENDED       "This app is suspended, which only the operator of the platform lifts"

const char *
app_make_secret(struct call *call, uint8_t hash[SHA256_SIZE])
{
    char *secret = secret_token(call->arena, CLIENT_SECRET_PREFIX, SECRET_BYTES);

    secret_sha256(hash, secret, strlen(secret));
    return secret;
}

const char *
app_make_signing_key(struct call *call, const char *client_id, uint8_t sealed[SEALED_KEY_SIZE])
{
    char *key = secret_token(call->arena, "", SECRET_BYTES);

    secret_seal(sealed, SIGNING_KEY_LABEL, str_of(client_id), key, SIGNING_KEY_SIZE);
    return key;
}

void
app_make_credentials(struct call *call, struct app_credentials *credentials)
{
    credentials->client_id = secret_token(call->arena, "sx_app_", CLIENT_ID_BYTES);
    credentials->client_secret = app_make_secret(call, credentials->secret_hash);
    credentials->signing_key = app_make_signing_key(call, credentials->client_id, credentials->sealed_key);
}

int
app_open_signing_key(const struct rows *rows, uint8_t key[SIGNING_KEY_SIZE])
{
    uint8_t sealed[SEALED_KEY_SIZE];

    if (rows_bytes(rows, 0, "session_signing_key", sealed, sizeof sealed) != sizeof sealed)
        return -1;
    return secret_open(key, SIGNING_KEY_LABEL, str_of(rows_text(rows, 0, "client_id")), sealed, sizeof sealed);
}

const char *
app_slug(struct call *call, const char *name, bool suffix)
{
    char *slug = arena_alloc(call->arena, SLUG_MAX + 1);
    size_t len = 0;

    for (; *name && len < SLUG_MAX; name++) {
        char letter = *name >= 'A' && *name <= 'Z' ? (char)(*name + 32) : *name;

        if ((letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9'))
            slug[len++] = letter;
        else if (len > 0 && slug[len - 1] != '-')
            slug[len++] = '-';
    }
    while (len > 0 && slug[len - 1] == '-')
        len--;
    slug[len] = '\0';
    if (suffix || len < 3)
        return arena_printf(call->arena, "%s%s", len ? slug : "app", secret_token(call->arena, "-", 8));
    return slug;
}

/* A list of texts; an empty one when it was not sent. */
static struct str
list_json(struct call *call, const char *path)
{
    struct in list = in_at(call->in, path);
    struct buf buf;
    struct out out;
    struct str json;

    buf_init(&buf, REDIRECTS_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, in_count(list, ""));
    for (unsigned i = 0; i < in_count(list, ""); i++)
        out_str(&out, in_str(in_item(list, i), ""));
    json = (struct str){arena_strndup(call->arena, buf.data, buf.size), buf.size};
    buf_free(&buf);
    return json;
}

static int
app_insert(struct call *call, const char *slug, const char *scopes, const struct app_credentials *credentials,
           struct rows *rows)
{
    const char *type = in_text(call->in, "body.type");

    return db_try(call, APP_INSERT, rows, "lsssssssssjssxxtsjs", in_int(call->in, "body.owner_account_id", 0),
                  type ? type : "platform", in_text(call->in, "body.name"), slug, in_text(call->in, "body.icon"),
                  in_text(call->in, "body.app_url"), in_text(call->in, "body.setup_url"),
                  in_text(call->in, "body.webhook_url"), in_text(call->in, "body.developer_name"),
                  in_text(call->in, "body.developer_email"), list_json(call, "body.redirect_urls"), scopes,
                  credentials->client_id, credentials->secret_hash, (size_t)SHA256_SIZE, credentials->sealed_key,
                  (size_t)SEALED_KEY_SIZE, clock_now_us(), in_text(call->in, "body.webhook_receive_url"),
                  list_json(call, "body.webhook_topics"), in_text(call->in, "body.creation_id"));
}

/* Makes the app, or takes what the first attempt made, whose answer was lost with its worker: with new credentials,
 * because nobody has seen those. A first attempt never does so: it may be late, and the second one's answer be out. */
static int
app_put(struct call *call, const char *slug, const char *scopes, const struct app_credentials *credentials,
        struct rows *rows)
{
    const char *creation_id = in_text(call->in, "body.creation_id");
    struct rows made;

    if (app_insert(call, slug, scopes, credentials, rows))
        return -1;
    if (!db_violated(rows) || !creation_id || !call->second_attempt)
        return 0;
    if (db_run(call, APP_MAKE_AGAIN, &made, "slsxx", creation_id, in_int(call->in, "body.owner_account_id", 0),
               credentials->client_id, credentials->secret_hash, (size_t)SHA256_SIZE, credentials->sealed_key,
               (size_t)SEALED_KEY_SIZE))
        return -1;
    if (made.count)
        *rows = made;
    return 0;
}

static int
reply_created(struct call *call, int64_t app_id, const char *slug, const struct app_credentials *credentials)
{
    struct out *out = &call->out;

    call_seal(call);
    call_data(call);
    out_map(out, 5);
    out_key(out, "app_id");
    out_int(out, app_id);
    out_key(out, "slug");
    out_text(out, slug);
    out_key(out, "client_id");
    out_text(out, credentials->client_id);
    out_key(out, "client_secret");
    out_text(out, credentials->client_secret);
    out_key(out, "session_signing_key");
    out_text(out, credentials->signing_key);
    return call_reply(call, 201);
}

int
app_check_urls(struct call *call, struct in fields)
{
    struct in list = in_at(fields, "redirect_urls");
    const char *webhook_url = in_text(fields, "webhook_url");
    const char *receive_url = in_text(fields, "webhook_receive_url");
    const char *wrong = webhook_url ? outbound_url_error(webhook_url) : NULL;
    const char *wrong_too = receive_url ? outbound_url_error(receive_url) : NULL;

    for (unsigned i = 0; i < in_count(list, ""); i++) {
        const char *why = redirect_error(call->arena, in_text(in_item(list, i), ""));

        if (why)
            return call_fail(call, FAIL_VALIDATION_ERROR, arena_printf(call->arena, "redirect_urls[%u]", i), why);
    }
    if (wrong_too)
        return call_fail(call, FAIL_VALIDATION_ERROR, "webhook_receive_url", wrong_too);
    return wrong ? call_fail(call, FAIL_VALIDATION_ERROR, "webhook_url", wrong) : 0;
}

int
apps_create(struct call *call)
{
    const char *given = in_text(call->in, "body.slug"), *name = in_text(call->in, "body.name");
    const char *slug = given ? given : app_slug(call, name, false);
    struct app_credentials credentials;
    struct rows rows;
    uint32_t scopes;

    if (scopes_of_request(call, "body.requested_scopes", "requested_scopes", &scopes) ||
        app_check_urls(call, in_at(call->in, "body")))
        return -1;
    app_make_credentials(call, &credentials);
    if (db_begin(call) || app_put(call, slug, scopes_text(call->arena, scopes), &credentials, &rows))
        return -1;
    if (db_violated(&rows) && !given) {
        slug = app_slug(call, name, true);
        if (app_put(call, slug, scopes_text(call->arena, scopes), &credentials, &rows))
            return -1;
    }
    if (db_violated(&rows))
        return call_fail(call, FAIL_CONFLICT, "slug", "Another app has this slug; choose another one");
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "owner_account_id", "No such account");
    if (audit_put(call, "app.created", "app", rows_int(&rows, 0, "app_id"), 0, rows_int(&rows, 0, "app_id")) ||
        db_commit(call))
        return -1;
    return reply_created(call, rows_int(&rows, 0, "app_id"), rows_text(&rows, 0, "slug"), &credentials);
}

static int
no_such_app(struct call *call)
{
    return call_fail(call, FAIL_NOT_FOUND, "app_id", "No such app");
}

int
apps_find(struct call *call)
{
    struct rows rows;

    if (db_run(call, APP_GET, &rows, "ls", in_int(call->in, "body.app_id", 0), in_text(call->in, "body.slug")))
        return -1;
    if (rows.count == 0)
        return no_such_app(call);
    return call_reply_row(call, 200, &rows, 0);
}

int
apps_set_status(struct call *call)
{
    int64_t app_id = in_int(call->in, "body.app_id", 0);
    bool is_active = in_bool(call->in, "body.is_active", false);
    struct rows held, rows;

    if (db_begin(call) || app_allow(call) || db_run(call, APP_SUSPENSION, &held, "l", app_id))
        return -1;
    if (held.count == 0)
        return no_such_app(call);
    if (is_active && rows_int(&held, 0, "is_suspended"))
        return call_fail(call, FAIL_APP_SUSPENDED, NULL,
                         arena_printf(call->arena, "%s. The reason: %s", SUSPENDED, rows_text(&held, 0, "reason")));
    if (db_run(call, APP_SET_ACTIVE, &rows, "lbt", app_id, is_active, clock_now_us()) ||
        audit_put(call, is_active ? "app.switched_on" : "app.switched_off", "app", app_id,
                  rows_int(&rows, 0, "_store_id"), app_id) ||
        invalidation_commit(call, "app", app_id))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

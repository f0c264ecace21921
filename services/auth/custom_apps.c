/* custom_apps.c - apps that a merchant makes for one store, with credentials that work at once (contract C.4, K.2).
 *
 * A custom app is installed on its home store from the start and can go nowhere else. It has an access token for a year
 * and no refresh token: the merchant makes a new one by hand. Names are the creator's own: they may not have two alike.
 */
#include <string.h>

#include "apps.h"
#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "credentials.h"
#include "installation.h"
#include "invalidation.h"
#include "listing.h"
#include "scopes.h"
#include "statements.h"
#include "store_access.h"
#include "tokens.h"

#define CUSTOM_TOKEN_S (365 * 86400) /* contract B: one year */

/* query.store_id or body.store_id; 0 when neither is given. */
static int
find_store_id(struct call *call, int64_t *store_id)
{
    int64_t in_query = in_int(call->in, "query.store_id", 0), in_body = in_int(call->in, "body.store_id", 0);

    *store_id = in_query ? in_query : in_body;
    if (in_query && in_body && in_query != in_body)
        return call_fail(call, FAIL_VALIDATION_ERROR, "store_id", "is not the same in query and body; give it once");
    return 0;
}

static int
need_store_id(struct call *call, int64_t *store_id)
{
    if (find_store_id(call, store_id))
        return -1;
    if (*store_id == 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, "store_id", "is required: the store the app is for");
    return 0;
}

static int
no_such_app(struct call *call)
{
    return call_fail(call, FAIL_NOT_FOUND, "app_id", "No such custom app in a store of yours");
}

/* The custom app at path.app_id, when the caller may manage it. A store's apps do not exist for those who have nothing
 * to do with the store. deleted: also one that is gone. */
static int
find_app_even(struct call *call, bool deleted, struct rows *app)
{
    int64_t store_id;

    if (find_store_id(call, &store_id) ||
        db_run(call, CUSTOM_APP_FIND, app, "llb", in_int(call->in, "path.app_id", 0), call->caller.account_id, deleted))
        return -1;
    if (app->count == 0 || (store_id && store_id != rows_int(app, 0, "home_store_id")))
        return no_such_app(call);
    return store_allow(call, rows_int(app, 0, "home_store_id"), MANAGE_PERMISSION, STORE_CHANGE);
}

/* Opens the transaction that is to change it. */
static int
find_app(struct call *call, struct rows *app)
{
    return db_begin(call) ? -1 : find_app_even(call, false, app);
}

/* Contract C.4: a custom app takes no payments. */
static int
read_scopes(struct call *call, uint32_t *set)
{
    uint32_t billing = 0;

    if (scopes_of_request(call, "body.scopes", "scopes", set) || scopes_add(&billing, STR("billing")))
        return -1;
    if (*set & billing)
        return call_fail(call, FAIL_VALIDATION_ERROR, "scopes",
                         "must not name billing: a custom app takes no payments; leave it out");
    return 0;
}

/* A custom app's access token is for a year, and alone. */
static int
insert_token(struct call *call, const struct rows *installation, struct token *token)
{
    return token_insert(call, rows_int(installation, 0, "installation_id"), rows_int(installation, 0, "generation"),
                        CUSTOM_TOKEN_S, token);
}

int
custom_apps_list(struct call *call)
{
    int64_t store_id, now_us = clock_now_us();
    struct rows rows, count;
    struct listing page;

    if (need_store_id(call, &store_id) || store_allow(call, store_id, MANAGE_PERMISSION, STORE_READ))
        return -1;
    page = (struct listing){.list = "custom_apps", .of = store_id, .id_column = "app_id", .descending = true};
    if (listing_begin(&page, call) ||
        db_run(call, CUSTOM_APPS_PAGE, &rows, "ltlll", store_id, now_us, listing_id(&page), listing_wanted(&page),
               listing_offset(&page)) ||
        db_run(call, CUSTOM_APPS_COUNT, &count, "l", store_id))
        return -1;
    return listing_reply(&page, call, &rows, rows_int(&count, 0, "total"));
}

static int
app_insert_once(struct call *call, int64_t store_id, const char *scopes, const struct app_credentials *credentials,
                struct rows *rows)
{
    const char *name = in_text(call->in, "body.name");

    return db_try(call, CUSTOM_APP_INSERT, rows, "lssslssxxt", call->caller.account_id, name,
                  app_slug(call, name, true), in_text(call->in, "body.description"), store_id, scopes,
                  credentials->client_id, credentials->secret_hash, (size_t)SHA256_SIZE, credentials->sealed_key,
                  (size_t)SEALED_KEY_SIZE, clock_now_us());
}

static bool
is_name_taken(const struct rows *rows)
{
    return db_violated(rows) && strcmp(db_violated(rows), "app_custom_name") == 0;
}

/* A slug that somebody has is ours to change, and not the name's fault. */
static int
app_insert(struct call *call, int64_t store_id, const char *scopes, const struct app_credentials *credentials,
           struct rows *rows)
{
    if (app_insert_once(call, store_id, scopes, credentials, rows))
        return -1;
    if (db_violated(rows) && !is_name_taken(rows) && app_insert_once(call, store_id, scopes, credentials, rows))
        return -1;
    if (is_name_taken(rows))
        return call_fail(call, FAIL_DUPLICATE_NAME, "name", NULL);
    return db_violated(rows) ? call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL) : 0;
}

static int
reply_created(struct call *call, const struct rows *installation, const struct app_credentials *credentials,
              const struct token *token, const char *scopes)
{
    struct out *out = &call->out;

    call_seal(call);
    call_data(call);
    out_map(out, 12);
    out_key(out, "app_id");
    out_int(out, rows_int(installation, 0, "app_id"));
    out_key(out, "installation_id");
    out_int(out, rows_int(installation, 0, "installation_id"));
    out_key(out, "store_id");
    out_int(out, rows_int(installation, 0, "store_id"));
    out_key(out, "name");
    out_text(out, in_text(call->in, "body.name"));
    out_key(out, "description");
    out_text(out, in_text(call->in, "body.description"));
    out_key(out, "client_id");
    out_text(out, credentials->client_id);
    out_key(out, "client_secret");
    out_text(out, credentials->client_secret);
    token_write(out, token);
    token_write_terms(out, token, scopes);
    return call_reply(call, 201);
}

int
custom_apps_create(struct call *call)
{
    struct app_credentials credentials;
    struct token token;
    struct rows app, installation;
    int64_t store_id, app_id;
    const char *scopes;
    uint32_t set;

    if (need_store_id(call, &store_id) || read_scopes(call, &set) || db_begin(call) ||
        store_allow(call, store_id, MANAGE_PERMISSION, STORE_CHANGE))
        return -1;
    scopes = scopes_text(call->arena, set);
    app_make_credentials(call, &credentials);
    if (app_insert(call, store_id, scopes, &credentials, &app))
        return -1;
    app_id = rows_int(&app, 0, "app_id");
    if (audit_put(call, "custom_app.created", "app", app_id, store_id, app_id) ||
        installation_install(call, store_id, app_id, scopes, INSTALLATION_CUSTOM, NULL, &installation) ||
        insert_token(call, &installation, &token) || installation_commit(call, &installation))
        return -1;
    return reply_created(call, &installation, &credentials, &token, scopes);
}

static int
reply_view(struct call *call, int64_t app_id)
{
    struct rows rows;

    if (db_run(call, CUSTOM_APP_VIEW, &rows, "lt", app_id, clock_now_us()))
        return -1;
    if (rows.count == 0)
        return no_such_app(call);
    return call_reply_row(call, 200, &rows, 0);
}

/* Scopes that are given count for the credentials there are, from the answer on. */
static int
set_scopes(struct call *call, const struct rows *app, const char *scopes)
{
    int64_t app_id = rows_int(app, 0, "app_id"), installation_id = rows_int(app, 0, "installation_id");

    if (db_post(call, INSTALLATION_SET_SCOPES, "lst", installation_id, scopes, clock_now_us()) ||
        installation_announce(call, installation_id) ||
        audit_put(call, "custom_app.scopes_changed", "app", app_id, rows_int(app, 0, "home_store_id"), app_id))
        return -1;
    return invalidation_commit(call, "installation", installation_id);
}

int
custom_apps_update(struct call *call)
{
    const char *name = in_text(call->in, "body.name"), *scopes = NULL;
    bool describe = in_is_sent(call->in, "body.description");
    struct rows app, rows;
    int64_t app_id;
    uint32_t set;

    if (!name && !describe && !in_has(call->in, "body.scopes"))
        return call_fail(call, FAIL_VALIDATION_ERROR, "name", "give a name, a description or scopes to change");
    if (in_has(call->in, "body.scopes")) {
        if (read_scopes(call, &set))
            return -1;
        scopes = scopes_text(call->arena, set);
    }
    if (find_app(call, &app))
        return -1;
    app_id = rows_int(&app, 0, "app_id");
    if (db_try(call, CUSTOM_APP_UPDATE, &rows, "lsbsst", app_id, name, describe, in_text(call->in, "body.description"),
               scopes, clock_now_us()))
        return -1;
    if (is_name_taken(&rows))
        return call_fail(call, FAIL_DUPLICATE_NAME, "name", NULL);
    if (db_violated(&rows))
        return call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
    if (rows.count == 0)
        return no_such_app(call);
    if (audit_put(call, "custom_app.updated", "app", app_id, rows_int(&app, 0, "home_store_id"), app_id) ||
        (scopes ? set_scopes(call, &app, scopes) : db_commit(call)))
        return -1;
    return reply_view(call, app_id);
}

int
custom_apps_regenerate_token(struct call *call)
{
    struct rows app, installation;
    struct token token;
    int64_t installation_id;

    if (find_app(call, &app))
        return -1;
    installation_id = rows_int(&app, 0, "installation_id");
    if (db_run(call, INSTALLATION_FOR_TOKENS, &installation, "l", installation_id))
        return -1;
    if (installation.count == 0)
        return call_fail(call, FAIL_INVALID_INSTALLATION, "app_id",
                         "The app was uninstalled from its store; delete it and make a new one");
    if (db_post(call, INSTALLATION_TOKENS_END, "ll", installation_id, rows_int(&installation, 0, "generation")) ||
        insert_token(call, &installation, &token) ||
        db_post(call, CUSTOM_APP_SET_TOKEN_MAKER, "ll", rows_int(&app, 0, "app_id"), call->caller.account_id) ||
        audit_put(call, "custom_app.token_regenerated", "installation", installation_id,
                  rows_int(&app, 0, "home_store_id"), rows_int(&app, 0, "app_id")) ||
        invalidation_commit(call, "installation", installation_id))
        return -1;
    call_seal(call);
    call_data(call);
    out_map(&call->out, 7);
    out_key(&call->out, "app_id");
    out_int(&call->out, rows_int(&app, 0, "app_id"));
    out_key(&call->out, "installation_id");
    out_int(&call->out, installation_id);
    token_write(&call->out, &token);
    token_write_terms(&call->out, &token, rows_text(&installation, 0, "granted_scopes"));
    return call_reply(call, 200);
}

int
custom_apps_rotate_secret(struct call *call)
{
    struct rows app;

    if (find_app(call, &app))
        return -1;
    return credentials_exchange_secret(call, rows_int(&app, 0, "app_id"));
}

/* The installation first: when we are killed in between, the app is still there to be deleted again. One that is gone
 * is deleted again as well: that call may have committed without having told the gateways. */
int
custom_apps_delete(struct call *call)
{
    struct rows app, rows;
    int64_t app_id;

    if (find_app_even(call, true, &app))
        return -1;
    app_id = rows_int(&app, 0, "app_id");
    if (installation_end(call, rows_int(&app, 0, "installation_id"), &rows) || db_begin(call) ||
        db_run(call, CUSTOM_APP_DELETE, &rows, "lt", app_id, clock_now_us()))
        return -1;
    if (rows.count && audit_put(call, "custom_app.deleted", "app", app_id, rows_int(&app, 0, "home_store_id"), app_id))
        return -1;
    if (invalidation_commit(call, "app", app_id))
        return -1;
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "app_id");
    out_int(&call->out, app_id);
    out_key(&call->out, "deleted");
    out_int(&call->out, 1);
    return call_reply(call, 200);
}

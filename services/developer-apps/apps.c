/* apps.c - a developer's apps: making, listing, changing and deleting them, and where they are installed (contract A.5
 * rows 79-83, 94). */
#include "app.h"
#include "completion.h"
#include "developer_apps_operations.h"
#include "items.h"
#include "json_text.h"
#include "market.h"
#include "statements.h"

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int
read_page(struct call *call, const struct items *page, struct in *reply)
{
    const char *status = in_text(call->in, "query.status");
    bool by_listed = in_has(call->in, "query.listed");
    struct call_question question;
    struct out *body = call_question(&question, 3 + (status != NULL) + by_listed);

    out_key_int(body, "account_id", call->caller.account_id);
    out_key_int(body, "limit", items_wanted(page));
    out_key_int(body, "offset", items_offset(page));
    if (status) {
        out_key(body, "is_active");
        out_bool(body, str_is(str_of(status), "active"));
    }
    if (by_listed) {
        out_key(body, "is_listed");
        out_bool(body, in_bool(call->in, "query.listed", false));
    }
    return call_ask(call, "auth.apps.page", &question, reply);
}

int
apps_list(struct call *call)
{
    struct items page = {.id_column = "app_id"};
    struct in reply;
    struct rows rows;

    items_begin(&page, call);
    if (read_page(call, &page, &reply) ||
        db_run(call, APPS_SHOW, &rows, "jl", json_text_of(in_at(reply, "apps"), call->arena),
               in_int(reply, "total", 0)))
        return -1;
    call_message(call, "Apps fetched");
    return items_reply(&page, call, &rows);
}

int
apps_get(struct call *call)
{
    struct rows rows;
    struct app app;

    if (app_read(call, &app) || db_run(call, app.is_suspended ? APP_SHOW_SUSPENDED : APP_SHOW, &rows, "j", app.of_auth))
        return -1;
    call_message(call, "App fetched");
    return call_reply_row(call, 200, &rows, 0);
}

int
apps_installations(struct call *call)
{
    const char *status = in_text(call->in, "query.status");
    struct items page = {.id_column = "installation_id"};
    struct call_question question;
    struct out *body;
    struct in reply;

    items_begin(&page, call);
    body = call_question(&question, 5 + (status != NULL));
    out_key_int(body, "app_id", in_int(call->in, "path.app_id", 0));
    out_key_int(body, "account_id", call->caller.account_id);
    out_key_text(body, "role", call->operation->role);
    out_key_int(body, "limit", items_wanted(&page));
    out_key_int(body, "offset", items_offset(&page));
    if (status)
        out_key_text(body, "status", status);
    if (call_ask(call, "auth.apps.installations", &question, &reply))
        return -1;
    call_message(call, "Installations fetched");
    return items_reply_json(&page, call, json_text_of(in_at(reply, "installations"), call->arena),
                            in_int(reply, "total", 0));
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static int
make_in_auth(struct call *call, const char *creation_id, struct in *reply)
{
    struct call_question question;
    struct out *body = call_question(&question, 2 + app_count_fields(call));

    out_key_text(body, "creation_id", creation_id);
    out_key_int(body, "owner_account_id", call->caller.account_id);
    app_write_fields(call, body);
    return call_ask(call, "auth.apps.create", &question, reply);
}

static int
reply_created(struct call *call, struct in made)
{
    struct out *out = &call->out;

    call_message(call, "App created");
    call_seal(call);
    call_data(call);
    out_map(out, 6);
    out_key_int(out, "app_id", in_int(made, "app_id", 0));
    out_key_text(out, "name", in_text(call->in, "body.name"));
    out_key_text(out, "slug", in_text(made, "slug"));
    out_key_text(out, "clientId", in_text(made, "client_id"));
    out_key_text(out, "clientSecret", in_text(made, "client_secret"));
    out_key_text(out, "sessionSigningKey", in_text(made, "session_signing_key"));
    return call_reply(call, 201);
}

/* Once auth has made the app it is there, and its credentials are told, whatever becomes of what is left to do. */
int
apps_create(struct call *call)
{
    int64_t due_us = clock_now_us() + COMPLETION_WAIT_US, app_id;
    struct call_failure ignored;
    const char *creation_id;
    struct rows rows, done;
    struct in made;

    if (app_check(call) || listing_put(call, NULL, NULL, &due_us, &rows))
        return -1;
    creation_id = rows_text(&rows, 0, "creation_id");
    if (make_in_auth(call, creation_id, &made))
        return app_refuse(call, creation_id);
    app_id = in_int(made, "app_id", 0);
    if (db_run(call, LISTING_MADE, &done, "sl", creation_id, app_id))
        call_take_failure(call, &ignored);
    else if (rows_int(&rows, 0, "payer_version"))
        app_tell_billing(call, app_id, rows_text(&rows, 0, "fee_payer"), rows_int(&rows, 0, "payer_version"));
    market_refresh(call, app_id);
    return reply_created(call, made);
}

/* ---- changing and deleting --------------------------------------------------------------------------------------- */

/* Those of the fields that were sent which its settings do not answer (seed 004's example). */
static const char *const answered[] = {
    "icon",         "screenshots",    "description",         "short_description", "homepage_url",  "app_url",
    "setup_url",    "webhook_url",    "webhook_receive_url", "webhook_topics",    "redirect_urls", "requested_scopes",
    "pricing_type", "pricing_amount", "fee_payer",           "category",          "metadata",
};

static const char *
names_to_answer(struct call *call)
{
    struct in body = in_at(call->in, "body");
    const char *names = "{app_id,name,slug,updated_at";

    for (unsigned i = 0; i < ARRAY_COUNT(answered); i++)
        if (in_is_sent(body, answered[i]))
            names = arena_printf(call->arena, "%s,%s", names, answered[i]);
    return arena_printf(call->arena, "%s}", names);
}

int
apps_update(struct call *call)
{
    struct rows rows;
    struct app app;

    if (app_change(call, &app) || db_run(call, APP_SHOW_FIELDS, &rows, "js", app.of_auth, names_to_answer(call)))
        return -1;
    return app_reply_shown(call, "App updated", &rows);
}

int
apps_delete(struct call *call)
{
    struct call_question question;
    struct out *body = call_question(&question, 3);
    struct in reply;

    out_key_int(body, "app_id", in_int(call->in, "path.app_id", 0));
    out_key_int(body, "account_id", call->caller.account_id);
    out_key_text(body, "role", call->operation->role);
    if (call_ask(call, "auth.apps.delete", &question, &reply))
        return -1;
    market_refresh(call, in_int(reply, "app_id", 0));
    call_message(call, "App deleted");
    call_data(call);
    out_map(&call->out, 1);
    out_key_int(&call->out, "app_id", in_int(reply, "app_id", 0));
    return call_reply(call, 200);
}

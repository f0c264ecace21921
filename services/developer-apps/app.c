/* app.c - what is sent of an app goes to whoever keeps it. auth first, because it may refuse: a slug that is taken, an
 * address that cannot be used. */
#include "app.h"

#include "clock.h"
#include "completion.h"
#include "json_text.h"
#include "market.h"
#include "statements.h"

#define METADATA_SIZE_MAX 65536

static const char *const of_auth_names[] = {
    "name",
    "slug",
    "icon",
    "app_url",
    "setup_url",
    "webhook_url",
    "webhook_receive_url",
    "webhook_topics",
    "redirect_urls",
    "requested_scopes",
    "developer_name",
    "developer_email",
};

static const char *const own_names[] = {
    "screenshots", "description",  "short_description", "homepage_url",
    "category",    "pricing_type", "pricing_amount",    "fee_payer",
};

static unsigned
count_sent(struct in body, const char *const *names, unsigned count)
{
    unsigned sent = 0;

    for (unsigned i = 0; i < count; i++)
        sent += in_is_sent(body, names[i]);
    return sent;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static int
check_twice(struct call *call, const char *name)
{
    struct in list = in_at(in_at(call->in, "body"), name);

    for (unsigned i = 1; i < in_count(list, ""); i++)
        for (unsigned before = 0; before < i; before++)
            if (str_equal(in_str(in_item(list, i), ""), in_str(in_item(list, before), "")))
                return call_failf(call, FAIL_DUPLICATE_FIELD, arena_printf(call->arena, "%s[%u]", name, i),
                                  "Unique constraint violation: the same as %s[%u]; give it once", name, before);
    return 0;
}

static int
check_topics(struct call *call)
{
    struct in topics = in_at(call->in, "body.webhook_topics"), unknown;
    struct call_question question;
    struct out *body;
    struct in reply;

    if (in_count(topics, "") == 0)
        return 0;
    body = call_question(&question, 1);
    out_key(body, "topics");
    out_list(body, in_count(topics, ""));
    for (unsigned i = 0; i < in_count(topics, ""); i++)
        out_str(body, in_str(in_item(topics, i), ""));
    if (call_ask(call, "webhooks.topics.unknown", &question, &reply))
        return -1;
    unknown = in_at(reply, "unknown");
    for (unsigned i = 0; in_count(unknown, "") && i < in_count(topics, ""); i++)
        if (str_equal(in_str(in_item(topics, i), ""), in_str(in_item(unknown, 0), "")))
            return call_fail(call, FAIL_VALIDATION_ERROR, arena_printf(call->arena, "webhook_topics[%u]", i),
                             "is no topic; GET /api/apps/v1/webhooks/topics lists them");
    return 0;
}

int
app_check(struct call *call)
{
    struct str metadata = json_text_of(in_at(call->in, "body.metadata"), call->arena);

    if (metadata.base && metadata.len > METADATA_SIZE_MAX)
        return call_failf(call, FAIL_VALIDATION_ERROR, "metadata", "must be at most %d bytes as JSON",
                          METADATA_SIZE_MAX);
    if (check_twice(call, "redirect_urls") || check_twice(call, "webhook_topics") || check_twice(call, "screenshots"))
        return -1;
    return check_topics(call);
}

/* ---- this service's part ----------------------------------------------------------------------------------------- */

struct str
app_own_json(struct call *call)
{
    struct in body = in_at(call->in, "body");
    struct json_text text;

    json_text_begin(&text);
    out_map(&text.out, count_sent(body, own_names, ARRAY_COUNT(own_names)));
    for (unsigned i = 0; i < ARRAY_COUNT(own_names); i++)
        if (in_is_sent(body, own_names[i])) {
            out_key(&text.out, own_names[i]);
            out_json(&text.out, json_text_of(in_at(body, own_names[i]), call->arena));
        }
    return json_text_end(&text, call->arena);
}

int
listing_put(struct call *call, const char *creation_id, const int64_t *app_id, const int64_t *due_us, struct rows *rows)
{
    return db_run(call, LISTING_PUT, rows, "sLljbjTt", creation_id, app_id, call->caller.account_id, app_own_json(call),
                  in_is_sent(call->in, "body.metadata"), json_text_of(in_at(call->in, "body.metadata"), call->arena),
                  due_us, clock_now_us());
}

/* ---- auth's part ------------------------------------------------------------------------------------------------- */

void
app_write_fields(struct call *call, struct out *out)
{
    struct in body = in_at(call->in, "body");

    for (unsigned i = 0; i < ARRAY_COUNT(of_auth_names); i++) {
        struct in value = in_at(body, of_auth_names[i]);

        if (!in_is_sent(body, of_auth_names[i]))
            continue;
        out_key(out, of_auth_names[i]);
        if (value.object->type != MSGPACK_OBJECT_ARRAY) {
            out_text(out, in_text(value, ""));
            continue;
        }
        out_list(out, in_count(value, ""));
        for (unsigned item = 0; item < in_count(value, ""); item++)
            out_str(out, in_str(in_item(value, item), ""));
    }
}

unsigned
app_count_fields(struct call *call)
{
    return count_sent(in_at(call->in, "body"), of_auth_names, ARRAY_COUNT(of_auth_names));
}

static struct app
app_of(struct call *call, struct in reply)
{
    return (struct app){json_text_of(reply, call->arena), in_text(reply, "creation_id"),
                        in_time(reply, "updated_at", 0), in_has(reply, "suspension")};
}

/* A merchant's route names none. */
static const char *
role_of_route(struct call *call)
{
    return call->operation->role ? call->operation->role : "developer";
}

/* What an app costs and who bears its fees is for admins, by whichever route it is said. */
static const char *
role_needed(struct call *call)
{
    struct in body = in_at(call->in, "body");

    if (in_is_sent(body, "pricing_type") || in_is_sent(body, "pricing_amount") || in_is_sent(body, "fee_payer"))
        return "admin";
    return role_of_route(call);
}

static void
write_whose(struct call *call, struct out *body, const char *role)
{
    out_key_int(body, "app_id", in_int(call->in, "path.app_id", 0));
    out_key_int(body, "account_id", call->caller.account_id);
    out_key_text(body, "role", role);
}

static int
read_as(struct call *call, const char *role, struct app *self)
{
    struct call_question question;
    struct in reply;

    write_whose(call, call_question(&question, 3), role);
    if (call_ask(call, "auth.apps.get", &question, &reply))
        return -1;
    *self = app_of(call, reply);
    return 0;
}

int
app_read(struct call *call, struct app *self)
{
    return read_as(call, role_of_route(call), self);
}

int
app_may_change(struct call *call)
{
    struct app app;

    return read_as(call, role_needed(call), &app);
}

int
app_refuse(struct call *call, const char *creation_id)
{
    struct call_failure failure, ignored;
    struct rows rows;

    if (!call_take_failure(call, &failure))
        return -1;
    if (creation_id && (failure.code == FAIL_CONFLICT || failure.code == FAIL_VALIDATION_ERROR) &&
        db_run(call, LISTING_FORGET, &rows, "s", creation_id))
        call_take_failure(call, &ignored);
    if (failure.code == FAIL_CONFLICT) /* nothing else of an app is unique */
        return call_fail(call, FAIL_SLUG_EXISTS, "slug", NULL);
    return call_fail(call, failure.code, failure.field, failure.why);
}

/* dry: it is only said what would become of it, to whoever may do anything of the kind. since_us: auth decides, also of
 * what it does not keep, which of several was first; 0: none is refused. */
static int
change_in_auth(struct call *call, struct app *self, bool dry, int64_t since_us)
{
    struct call_question question;
    struct out *body;
    struct in reply;

    if (app_count_fields(call) == 0 && since_us == 0)
        return read_as(call, role_needed(call), self);
    body = call_question(&question, 4 + dry + (since_us != 0));
    write_whose(call, body, dry ? role_of_route(call) : role_needed(call));
    if (dry) {
        out_key(body, "dry_run");
        out_bool(body, true);
    }
    if (since_us) {
        out_key(body, "unchanged_since");
        out_time(body, since_us);
    }
    out_key(body, "changes");
    out_map(body, app_count_fields(call));
    app_write_fields(call, body);
    if (call_ask(call, "auth.apps.update", &question, &reply))
        return app_refuse(call, NULL);
    *self = app_of(call, reply);
    return 0;
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

void
app_tell_billing(struct call *call, int64_t app_id, const char *fee_payer, int64_t version)
{
    struct call_question question;
    struct out *body = call_question(&question, 3);
    struct call_failure ignored;
    struct rows rows;
    struct in reply;

    out_key_int(body, "app_id", app_id);
    out_key_text(body, "fee_payer", fee_payer);
    out_key_int(body, "version", version);
    if (call_ask(call, "billing.terms.set_fee_payer", &question, &reply) ||
        db_run(call, LISTING_TOLD, &rows, "ll", app_id, version))
        call_take_failure(call, &ignored);
}

int
app_plan(struct call *call, struct app *self)
{
    return app_check(call) || change_in_auth(call, self, true, 0) ? -1 : 0;
}

int
app_change(struct call *call, struct app *self)
{
    return app_check(call) ? -1 : app_change_since(call, 0, self);
}

int
app_change_since(struct call *call, int64_t since_us, struct app *self)
{
    struct in body = in_at(call->in, "body");
    int64_t app_id = in_int(call->in, "path.app_id", 0), due_us = clock_now_us() + COMPLETION_WAIT_US;
    bool payer = in_is_sent(body, "fee_payer");
    struct rows rows;

    if (change_in_auth(call, self, false, since_us))
        return -1;
    if (app_count_fields(call))
        market_refresh(call, app_id);
    if (count_sent(body, own_names, ARRAY_COUNT(own_names)) == 0 && !in_is_sent(body, "metadata"))
        return 0;
    if (listing_put(call, self->creation_id, &app_id, payer ? &due_us : NULL, &rows))
        return -1;
    if (payer)
        app_tell_billing(call, app_id, rows_text(&rows, 0, "fee_payer"), rows_int(&rows, 0, "payer_version"));
    return 0;
}

int
app_reply_shown(struct call *call, const char *message, const struct rows *rows)
{
    call_message(call, message);
    call_data(call);
    out_json(&call->out, str_of(rows_text(rows, 0, "shown")));
    return call_reply(call, 200);
}

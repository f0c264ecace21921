/* manifest.c - an app's whole configuration as one document, which its developers keep beside their code.
 *
 * A manifest is first planned: auth checks its part and answers it as it would be, and what is different is found. Only
 * that is then changed, as by the settings (app.c), so that whatever could be refused was refused before anything
 * changed, and nothing at all is touched by what is so already. Whoever is killed in between is finished by the second
 * attempt.
 */
#include "app.h"
#include "developer_apps_operations.h"
#include "etag.h"
#include "json_text.h"
#include "statements.h"

#define NOTHING                                                                                                        \
    {                                                                                                                  \
        .type = MSGPACK_OBJECT_NIL                                                                                     \
    }
#define EMPTY                                                                                                          \
    {                                                                                                                  \
        .type = MSGPACK_OBJECT_ARRAY                                                                                   \
    }
#define FREE                                                                                                           \
    {                                                                                                                  \
        .type = MSGPACK_OBJECT_POSITIVE_INTEGER                                                                        \
    }
#define WORD(text)                                                                                                     \
    {                                                                                                                  \
        .type = MSGPACK_OBJECT_STR, .via.str = { sizeof(text) - 1, text }                                              \
    }

/* Without slug the app keeps the one it has; the other three without anything to fall back on are required. */
static const struct {
    const char *name;
    msgpack_object otherwise;
    bool stays;
} fields[] = {
    {"name", NOTHING, true},
    {"slug", NOTHING, true},
    {"icon", NOTHING, false},
    {"screenshots", EMPTY, false},
    {"description", NOTHING, false},
    {"short_description", NOTHING, false},
    {"homepage_url", NOTHING, false},
    {"app_url", NOTHING, false},
    {"setup_url", NOTHING, false},
    {"webhook_url", NOTHING, false},
    {"webhook_receive_url", NOTHING, false},
    {"webhook_topics", EMPTY, false},
    {"redirect_urls", NOTHING, true},
    {"requested_scopes", NOTHING, true},
    {"developer_name", NOTHING, false},
    {"developer_email", NOTHING, false},
    {"pricing_type", WORD("free"), false},
    {"pricing_amount", FREE, false},
    {"fee_payer", WORD("developer"), false},
    {"category", NOTHING, false},
    {"metadata", NOTHING, false},
};

/* An app as it was read, and its manifest as JSON. */
struct manifest {
    struct app app;
    struct str text;
    const char *metadata;
};

static int
show(struct call *call, struct manifest *self)
{
    struct rows rows;

    if (db_run(call, MANIFEST_SHOW, &rows, "j", self->app.of_auth))
        return -1;
    self->text = str_of(rows_text(&rows, 0, "shown"));
    self->metadata = rows_text(&rows, 0, "_metadata");
    return 0;
}

static int
read_manifest(struct call *call, struct manifest *self)
{
    return app_read(call, &self->app) || show(call, self) ? -1 : 0;
}

/* Behind call_data, or as the last member of what was opened there. */
static int
reply_manifest(struct call *call, const struct manifest *manifest)
{
    out_json(&call->out, manifest->text);
    return call_reply(call, 200);
}

/* ---- the tag ----------------------------------------------------------------------------------------------------- */

/* What the tag is made of: the manifest, and auth's last change, which says that somebody was first before all that
 * they change shows here. */
static struct str
version_of(struct call *call, const struct manifest *manifest)
{
    return str_of(arena_printf(call->arena, "%lld %s", (long long)manifest->app.updated_us, manifest->text.base));
}

static void
tell_tag(struct call *call, const struct manifest *manifest)
{
    struct str version = version_of(call, manifest);
    char tag[ETAG_SIZE];

    etag_of(tag, version.base, version.len);
    call_header(call, "ETag", tag);
}

/* Of a second attempt the first may be who has changed it. */
static int
check_tag(struct call *call, const struct manifest *manifest)
{
    struct call_failure failure;

    if (call_if_match_body(call, version_of(call, manifest)) == 0)
        return 0;
    if (!call->second_attempt || !call_take_failure(call, &failure))
        return -1;
    return call_fail(call, FAIL_OUTCOME_UNKNOWN, NULL, NULL);
}

int
manifest_get(struct call *call)
{
    struct manifest manifest;

    if (read_manifest(call, &manifest))
        return -1;
    call_message(call, "Manifest fetched");
    tell_tag(call, &manifest);
    call_data(call);
    return reply_manifest(call, &manifest);
}

/* ---- what was sent ----------------------------------------------------------------------------------------------- */

static msgpack_object
word(const char *text)
{
    struct str str = str_of(text);

    return (msgpack_object){.type = MSGPACK_OBJECT_STR, .via.str = {(uint32_t)str.len, str.base}};
}

/* The arguments with so many fields for a body. */
static struct in
with_body(struct call *call, msgpack_object_kv *members, unsigned count)
{
    msgpack_object_kv *arguments = arena_alloc(call->arena, 2 * sizeof *arguments);
    msgpack_object *root = arena_alloc(call->arena, sizeof *root);

    arguments[0] = (msgpack_object_kv){word("path"), *in_at(call->in, "path").object};
    arguments[1] = (msgpack_object_kv){word("body"), {.type = MSGPACK_OBJECT_MAP, .via.map = {count, members}}};
    *root = (msgpack_object){.type = MSGPACK_OBJECT_MAP, .via.map = {2, arguments}};
    return (struct in){root, call->arena};
}

/* The manifest whole, with what it leaves out. */
static struct in
whole(struct call *call)
{
    msgpack_object_kv *members = arena_alloc(call->arena, ARRAY_COUNT(fields) * sizeof *members);
    struct in body = in_at(call->in, "body");
    unsigned count = 0;

    for (unsigned i = 0; i < ARRAY_COUNT(fields); i++) {
        if (in_is_sent(body, fields[i].name))
            members[count++] = (msgpack_object_kv){word(fields[i].name), *in_at(body, fields[i].name).object};
        else if (!fields[i].stays)
            members[count++] = (msgpack_object_kv){word(fields[i].name), fields[i].otherwise};
    }
    return with_body(call, members, count);
}

/* Of the whole only what is different. */
static struct in
only(struct call *call, const struct rows *changes)
{
    msgpack_object_kv *members = arena_alloc(call->arena, (changes->count + 1) * sizeof *members);
    struct in body = in_at(call->in, "body");
    unsigned count = 0;

    for (unsigned i = 0; i < changes->count; i++) {
        const char *name = rows_text(changes, i, "field");

        if (in_is_sent(body, name))
            members[count++] = (msgpack_object_kv){word(name), *in_at(body, name).object};
    }
    return with_body(call, members, count);
}

/* ---- planning and applying --------------------------------------------------------------------------------------- */

static int
find_changes(struct call *call, const struct manifest *before, struct rows *changes)
{
    struct in body = in_at(call->in, "body");
    struct app planned;

    return app_plan(call, &planned) ||
                   db_run(call, MANIFEST_CHANGES, changes, "jjjj", planned.of_auth, app_own_json(call),
                          json_text_after(body, "metadata", before->metadata, call->arena), before->text)
               ? -1
               : 0;
}

/* Somebody was faster. Those who said what they know of hear what there is now. */
static int
refuse(struct call *call)
{
    struct call_failure failure;
    struct manifest now;

    if (!call_take_failure(call, &failure))
        return -1;
    if (failure.code == FAIL_PRECONDITION_FAILED &&
        (read_manifest(call, &now) || call_if_match_body(call, version_of(call, &now))))
        return -1;
    return call_fail(call, failure.code, failure.field, failure.why);
}

static int
apply(struct call *call, struct manifest *manifest)
{
    int64_t since_us = call_has_if_match(call) ? manifest->app.updated_us : 0;

    return app_change_since(call, since_us, &manifest->app) ? refuse(call) : show(call, manifest);
}

static int
put(struct call *call, bool dry, struct manifest *manifest, struct rows *changes)
{
    if (read_manifest(call, manifest) || check_tag(call, manifest))
        return -1;
    call->in = whole(call);
    if (find_changes(call, manifest, changes))
        return -1;
    if (changes->count == 0)
        return 0;
    call->in = only(call, changes);
    return dry ? app_may_change(call) : apply(call, manifest);
}

int
manifest_put(struct call *call)
{
    bool dry = in_bool(call->in, "query.dry_run", false);
    struct in arguments = call->in;
    struct manifest manifest;
    struct rows changes;
    int rc = put(call, dry, &manifest, &changes);

    call->in = arguments;
    if (rc)
        return -1;
    call_message(call, dry ? "Manifest checked" : "Manifest applied");
    tell_tag(call, &manifest);
    call_data(call);
    out_map(&call->out, 3);
    out_key(&call->out, "dry_run");
    out_bool(&call->out, dry);
    out_key(&call->out, "changes");
    out_rows(&call->out, &changes);
    out_key(&call->out, "manifest");
    return reply_manifest(call, &manifest);
}

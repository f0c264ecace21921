/* call_request.c - what a call is told: the REQUEST's map, checked against the contract where the gateway has not.
 *
 * The checks are those of HTTP, so a service that calls another one gets the same errors as a client.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "call_private.h"
#include "json.h"
#include "secret.h"
#include "text.h"
#include "token.h"

static const char *
text_or_empty(struct in map, const char *path)
{
    const char *text = in_text(map, path);

    return text ? text : "";
}

static void
read_caller(struct call *call, struct in request)
{
    struct in caller = in_at(request, "caller");
    int64_t audience = in_int(caller, "audience", AUDIENCE_INTERNAL);

    call->caller = (struct identity){
        .audience =
            audience >= AUDIENCE_NONE && audience <= AUDIENCE_INTERNAL ? (enum audience)audience : AUDIENCE_NONE,
        .app_id = in_int(caller, "app_id", 0),
        .store_id = in_int(caller, "store_id", 0),
        .installation_id = in_int(caller, "installation_id", 0),
        .generation = in_int(caller, "generation", 0),
        .account_id = in_int(caller, "account_id", 0),
        .session_id = in_int(caller, "session_id", 0),
        .scopes = text_or_empty(caller, "scopes"),
        .service = text_or_empty(caller, "service"),
    };
}

/* A parameter as the text it would be in a URL, because that is what its rules (defaults, clamping) are written for. */
static const char *
parameter_text(struct arena *arena, struct in value, size_t *len)
{
    const msgpack_object *object = value.object;
    char text[TIME_TEXT_SIZE];
    const char *result = NULL;
    int64_t time_us;

    if (!object)
        return NULL;
    switch (object->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER: result = arena_printf(arena, "%" PRIu64, object->via.u64); break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: result = arena_printf(arena, "%" PRId64, object->via.i64); break;
    case MSGPACK_OBJECT_BOOLEAN: result = object->via.boolean ? "true" : "false"; break;
    case MSGPACK_OBJECT_STR: result = in_text(value, ""); break;
    case MSGPACK_OBJECT_EXT:
        if (object->via.ext.type == EXT_NUMBER)
            result = arena_strndup(arena, object->via.ext.ptr, object->via.ext.size);
        else if (token_time(object, &time_us) == 0) {
            text_from_time(text, time_us);
            result = arena_strdup(arena, text);
        } else
            result = "?";
        break;
    case MSGPACK_OBJECT_NIL: break;
    default: result = "?"; break; /* of no type that a parameter can have: refused by its schema */
    }
    *len = result ? strlen(result) : 0;
    return result;
}

static void
pack_name(msgpack_packer *packer, const char *name)
{
    msgpack_pack_str(packer, strlen(name));
    msgpack_pack_str_body(packer, name, strlen(name));
}

/* {"path": ...} or {"query": ...}. A parameter that is absent becomes null, which reads like absent. */
static void
check_parameters(struct validation *validation, const struct operation *operation, enum parameter_place place,
                 struct in values, struct buf *target)
{
    msgpack_packer packer = token_packer(target);
    unsigned count = 0;

    for (unsigned i = 0; i < operation->parameter_count; i++)
        count += operation->parameters[i].place == place;
    msgpack_pack_map(&packer, count);
    for (unsigned i = 0; i < operation->parameter_count; i++) {
        const struct parameter *parameter = &operation->parameters[i];
        const char *text;
        size_t len = 0;

        if (parameter->place != place)
            continue;
        pack_name(&packer, parameter->name);
        text = parameter_text(validation->arena, in_at(values, parameter->name), &len);
        if (!validate_parameter(validation, parameter, text, len, target))
            msgpack_pack_nil(&packer);
    }
}

/* The body as it came, from either member; -1 when the error has been recorded. Absent is left absent. */
static int
read_body(struct call *call, struct in request, struct in *body)
{
    struct str raw = in_str(request, "raw");
    char why[JSON_WHY_SIZE];
    struct buf packed;
    size_t size;
    char *data;
    int rc;

    *body = in_at(request, "body");
    if (!raw.base)
        return 0;
    buf_init(&packed, WIRE_MESSAGE_MAX);
    if (json_to_msgpack(raw.base, raw.len, &packed, why) != 0) {
        buf_free(&packed);
        return call_failf(call, FAIL_INVALID_JSON, NULL, "The body cannot be read: %s", why);
    }
    data = buf_detach(&packed, &size);
    rc = in_decode(body, call->arena, arena_strndup(call->arena, data, size), size);
    free(data);
    return rc == 0 ? 0 : call_fail(call, FAIL_INVALID_JSON, NULL, NULL);
}

/* What stands in place of the body of an operation with x-upload. */
static const struct schema *
piece_schema(void)
{
    static const struct schema flag = {.type = SCHEMA_BOOLEAN};
    static const struct schema number = {.type = SCHEMA_INTEGER, .max = INT64_MAX};
    static const struct schema name = {.type = SCHEMA_STRING, .min = 1, .max = UPLOAD_ID_MAX};
    static const struct schema bytes = {.type = SCHEMA_STRING, .format = FORMAT_BINARY, .max = UPLOAD_PIECE_MAX};
    static const struct field fields[] = {
        {"upload", &name, false}, {"seq", &number, true}, {"bytes", &bytes, true}, {"last", &flag, true}};
    static const struct schema piece = {
        .type = SCHEMA_OBJECT, .max = INT64_MAX, .fields = fields, .field_count = ARRAY_COUNT(fields)};

    return &piece;
}

struct piece
call_piece(const struct call *self)
{
    return (struct piece){
        .upload = in_text(self->in, "body.upload"),
        .seq = in_int(self->in, "body.seq", 0),
        .bytes = in_str(self->in, "body.bytes"),
        .last = in_bool(self->in, "body.last", false),
    };
}

/* Makes call->in out of a request that the gateway has not, or not wholly, checked. */
static int
check_arguments(struct call *call, struct in request, bool parameters_checked)
{
    const struct operation *operation = call->operation;
    const struct schema *schema = operation->upload ? piece_schema() : operation->body;
    struct validation *validation = arena_alloc(call->arena, sizeof(*validation));
    struct buf typed;
    msgpack_packer packer = token_packer(&typed);
    struct in body;
    size_t size;
    char *data;
    int rc;

    if (read_body(call, request, &body) != 0)
        return -1;
    validation_init(validation, call->arena);
    buf_init(&typed, WIRE_MESSAGE_MAX);
    msgpack_pack_map(&packer, 3);
    for (unsigned i = 0; i < 2; i++) {
        struct in values = in_at(request, i ? "query" : "path");

        pack_name(&packer, i ? "query" : "path");
        if (!parameters_checked)
            check_parameters(validation, operation, i ? PLACE_QUERY : PLACE_PATH, values, &typed);
        else if (values.object)
            msgpack_pack_object(&packer, *values.object);
        else
            msgpack_pack_nil(&packer);
    }
    pack_name(&packer, "body");
    if (schema && body.object && (body.object->type != MSGPACK_OBJECT_NIL || in_has(request, "raw")))
        validate_value(validation, schema, body, "", &typed);
    else {
        if (operation->upload || (schema && operation->body_required))
            validation_add(validation, "body", "is required");
        msgpack_pack_nil(&packer);
    }
    if (validation->count) {
        buf_free(&typed);
        return call_fail_validation(call, validation);
    }
    data = buf_detach(&typed, &size);
    call->private->arguments = (struct str){arena_strndup(call->arena, data, size), size};
    free(data);
    rc = in_decode(&call->in, call->arena, call->private->arguments.base, size);
    return rc == 0 ? 0 : call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
}

/* Contract K.1: some bodies name the key, where the header does not; the gateway has made no hash then. */
static void
take_key_of_body(struct call *call)
{
    const struct in parts[] = {in_at(call->in, "path"), in_at(call->in, "body")};
    uint8_t *hash = arena_alloc(call->arena, SHA256_SIZE);
    msgpack_sbuffer packed;
    msgpack_packer packer;

    call->idempotency_key = in_text(call->in, "body.idempotency_key");
    if (!call->idempotency_key)
        return;
    msgpack_sbuffer_init(&packed);
    msgpack_packer_init(&packer, &packed, msgpack_sbuffer_write);
    msgpack_pack_str_with_body(&packer, call->operation->name, strlen(call->operation->name));
    for (unsigned i = 0; i < ARRAY_COUNT(parts); i++)
        if (parts[i].object)
            msgpack_pack_object(&packer, *parts[i].object);
    secret_sha256(hash, packed.data, packed.size);
    msgpack_sbuffer_destroy(&packed);
    call->private->request_hash = (struct str){(const char *)hash, SHA256_SIZE};
}

int
call_read_request(struct call *call, struct str map, bool from_http)
{
    struct call_private *private = call->private;
    struct in request;

    private->arguments = map;
    if (in_decode(&request, call->arena, private->arguments.base, private->arguments.len) != 0 ||
        request.object->type != MSGPACK_OBJECT_MAP)
        return call_fail(call, FAIL_BAD_REQUEST, NULL, "Send the request's map as proto/README.md describes it");
    read_caller(call, request);
    call->request_id = text_or_empty(request, "request_id");
    call->address = text_or_empty(request, "address");
    call->idempotency_key = in_text(request, "key");
    call->in = request;
    private->request_hash = in_str(request, "hash");
    private->if_match = in_str(request, "if_match");
    if (!call->operation)
        return call_fail(call, FAIL_NOT_FOUND, NULL, "This service has no such operation");
    if ((!from_http || !call->operation->path || in_has(request, "raw")) &&
        check_arguments(call, request, from_http && call->operation->path))
        return -1;
    if (!call->idempotency_key && call->operation->idempotent && call->operation->audience != AUDIENCE_DEVELOPER)
        take_key_of_body(call);
    return 0;
}

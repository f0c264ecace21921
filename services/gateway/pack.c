/* pack.c - parameters and body, checked against the contract, in the form of proto/README.md.
 *
 * Every problem of a request is gathered before it is refused, so that its sender sees all of them at once.
 */
#include "pack.h"

#include <stdlib.h>
#include <string.h>

#include "form.h"
#include "in.h"
#include "json.h"
#include "multipart.h"
#include "out.h"
#include "query.h"
#include "reply.h"
#include "secret.h"
#include "validate.h"
#include "web.h"

#define FRAME_OVERHEAD 65536

static void
append_name(struct buf *target, const char *name)
{
    size_t len = strlen(name);

    if (len < 32) {
        buf_append_byte(target, (char)(0xa0 | len));
    } else {
        buf_append_byte(target, (char)0xd9);
        buf_append_byte(target, (char)len);
    }
    buf_append(target, name, len);
}

/* A map whose number of members is known only at its end. */
static size_t
map_begin(struct buf *target)
{
    size_t place = target->size;

    buf_append(target, "\xde\0\0", 3);
    return place;
}

static void
map_end(struct buf *target, size_t place, unsigned count)
{
    if (buf_failed(target))
        return;
    target->data[place + 1] = (char)(count >> 8);
    target->data[place + 2] = (char)count;
}

/* A path that names nothing is answered 404, whatever is wrong with it: an id beyond 63 bits is nobody's id. */
static bool
pack_path(struct request *self, struct arena *arena, struct buf *target)
{
    size_t place = map_begin(target);
    struct validation validation;

    validation_init(&validation, arena);
    for (unsigned i = 0; i < self->route.value_count; i++) {
        struct str value = self->route.values[i];

        append_name(target, self->route.parameters[i]->name);
        validate_parameter(&validation, self->route.parameters[i], value.base, value.len, target);
    }
    map_end(target, place, self->route.value_count);
    return validation.count == 0;
}

static void
pack_parameter(struct request *self, const struct parameter *parameter, const struct query *query,
               struct validation *validation, struct buf *target, unsigned *count)
{
    bool twice;
    const struct query_value *found = query_find(query, parameter->name, &twice);
    struct str text = {NULL, 0};
    size_t before = target->size;

    if (twice) {
        validation_add(validation, parameter->name, "is given twice");
        return;
    }
    if (found && !found->good && !parameter->clamp) {
        validation_add(validation, parameter->name, "is not UTF-8, or not percent-encoded correctly");
        return;
    }
    if (found)
        text = found->good ? found->value : STR("");
    if (self->after && strcmp(parameter->name, "after") == 0)
        text = str_of(self->after);
    append_name(target, parameter->name);
    if (validate_parameter(validation, parameter, text.base, text.len, target))
        (*count)++;
    else
        target->size = before;
}

static void
pack_query(struct request *self, struct arena *arena, struct validation *validation, struct buf *target)
{
    size_t place = map_begin(target);
    struct query *query = arena_alloc(arena, sizeof *query);
    unsigned count = 0;

    if (query_read(query, self->query, arena) != 0)
        validation_add(validation, "query", "has more than %d parameters", QUERY_PARAMETERS_MAX);
    for (unsigned i = 0; i < self->operation->parameter_count; i++) {
        const struct parameter *parameter = &self->operation->parameters[i];

        if (parameter->place == PLACE_QUERY)
            pack_parameter(self, parameter, query, validation, target, &count);
    }
    map_end(target, place, count);
}

enum body_form { BODY_NONE, BODY_VALUE, BODY_RAW, BODY_PIECE, BODY_PARTS };

/* Validates the body into target. A missing body that must be there is checked as if it were empty, so that the errors
 * name the fields that are needed. -1: not JSON, and answered. */
static int
pack_body(struct request *self, struct arena *arena, struct validation *validation, struct buf *target,
          enum body_form *form)
{
    const struct operation *operation = self->operation;
    struct in value = {.arena = arena};
    struct buf decoded_body;
    char why[JSON_WHY_SIZE];
    int status = 0;

    *form = BODY_NONE;
    if (operation->multipart) {
        *form = BODY_PARTS;
        multipart_end(self->multipart, operation->body, validation);
        return 0;
    }
    if (!operation->body || (self->body.size == 0 && !operation->body_required))
        return 0;
    if (self->body.size > BODY_IN_LOOP_MAX) {
        *form = BODY_RAW;
        return 0;
    }
    *form = BODY_VALUE;
    if (operation->form && (operation->form_only || form_is(self))) {
        form_pack(self, arena, validation, target);
        return 0;
    }
    buf_init(&decoded_body, 4 * BODY_IN_LOOP_MAX);
    if (self->body.size == 0)
        buf_append_byte(&decoded_body, (char)0x80);
    else if (json_to_msgpack(self->body.data, self->body.size, &decoded_body, why) != 0)
        status = -1;
    if (status == 0 && in_decode(&value, arena, decoded_body.data, decoded_body.size) == 0) {
        validate_value(validation, operation->body, value, "", target);
        if (self->body.size == 0 && validation->count == 0)
            validation_add(validation, "body", "is required");
    } else {
        reply_fail(self, FAIL_INVALID_JSON, status ? arena_printf(arena, "The body cannot be read: %s", why) : NULL);
        status = -1;
    }
    buf_free(&decoded_body);
    return status;
}

static void
pack_caller(struct out *out, const struct identity *identity)
{
    out_key(out, "caller");
    out_map(out, 8);
    out_key(out, "audience");
    out_int(out, identity->audience);
    out_key(out, "app_id");
    out_int(out, identity->app_id);
    out_key(out, "store_id");
    out_int(out, identity->store_id);
    out_key(out, "installation_id");
    out_int(out, identity->installation_id);
    out_key(out, "generation");
    out_int(out, identity->generation);
    out_key(out, "account_id");
    out_int(out, identity->account_id);
    out_key(out, "session_id");
    out_int(out, identity->session_id);
    out_key(out, "scopes");
    out_text(out, identity->scopes ? identity->scopes : "");
}

static void
pack_piece_body(struct out *out, const struct pack_piece *piece)
{
    out_key(out, "body");
    out_map(out, piece->upload ? 4 : 3);
    if (piece->upload) {
        out_key(out, "upload");
        out_text(out, piece->upload);
    }
    out_key(out, "seq");
    out_int(out, piece->seq);
    out_key(out, "bytes");
    out_binary(out, piece->bytes.base, piece->bytes.len);
    out_key(out, "last");
    out_bool(out, piece->last);
}

bool
pack_has_key(const struct request *self)
{
    return self->operation->idempotent && self->headers[HEADER_IDEMPOTENCY_KEY].base;
}

/* The handler compares it with what it has locked; GET's If-None-Match is the gateway's. */
static bool
has_condition(const struct request *self)
{
    return self->headers[HEADER_IF_MATCH].base && self->operation->method != HTTP_GET &&
           self->operation->method != HTTP_POST;
}

static void
check_key(const struct request *self, struct validation *validation)
{
    struct str key = self->headers[HEADER_IDEMPOTENCY_KEY];
    bool good = key.len > 0 && key.len <= IDEMPOTENCY_KEY_MAX;

    for (size_t i = 0; i < key.len && good; i++)
        good = key.base[i] > 0x20 && key.base[i] < 0x7f;
    if (!good)
        validation_add(validation, "Idempotency-Key", "must be 1 to %d visible ASCII characters", IDEMPOTENCY_KEY_MAX);
}

/* What makes two requests the same one. The body goes in as its own digest, so that no part can be shifted into
 * another. */
static void
pack_key(struct request *self, struct arena *arena, struct out *out)
{
    struct str key = self->headers[HEADER_IDEMPOTENCY_KEY];
    size_t head_size = strlen(self->method_name) + self->path.len + self->query.len + 2;
    char *text = arena_alloc(arena, head_size + 1 + SHA256_SIZE);
    uint8_t digest[SHA256_SIZE];
    size_t size = 0;

    memcpy(text, self->method_name, strlen(self->method_name));
    size += strlen(self->method_name);
    text[size++] = ' ';
    memcpy(text + size, self->path.base, self->path.len);
    size += self->path.len;
    text[size++] = '?';
    if (self->query.len > 0)
        memcpy(text + size, self->query.base, self->query.len);
    size += self->query.len;
    text[size++] = '\n';
    secret_sha256(digest, self->body.data ? self->body.data : "", self->body.size);
    memcpy(text + size, digest, sizeof digest);
    secret_sha256(digest, text, size + sizeof digest);
    out_key(out, "key");
    out_str(out, key);
    out_key(out, "hash");
    out_binary(out, digest, sizeof digest);
}

static int
pack_parts(struct request *self, struct arena *arena, size_t sizes[3], enum body_form *form)
{
    struct validation *validation = arena_alloc(arena, sizeof *validation);
    struct buf *scratch = &self->scratch;

    validation_init(validation, arena);
    if (!pack_path(self, arena, scratch)) {
        reply_fail(self, FAIL_NOT_FOUND, NULL);
        return -1;
    }
    sizes[0] = scratch->size;
    pack_query(self, arena, validation, scratch);
    sizes[1] = scratch->size;
    if (pack_has_key(self))
        check_key(self, validation);
    if (*form != BODY_PIECE && pack_body(self, arena, validation, scratch, form) != 0)
        return -1;
    sizes[2] = scratch->size;
    if (validation->count > 0) {
        reply_invalid(self, validation);
        return -1;
    }
    return 0;
}

int
pack_request(struct request *self, struct arena *arena, const struct pack_piece *piece)
{
    enum body_form form = piece ? BODY_PIECE : BODY_NONE;
    bool called = self->identity.audience != AUDIENCE_NONE, keyed = pack_has_key(self);
    bool web = self->operation->answer != ANSWER_JSON, conditional = has_condition(self);
    size_t sizes[3];
    struct out out;
    char *parts;

    buf_reset(&self->scratch);
    self->scratch.size_max = FRAME_OVERHEAD + 4 * BODY_IN_LOOP_MAX;
    buf_reset(&self->frame);
    self->frame.size_max = FRAME_OVERHEAD + 4 * BODY_IN_LOOP_MAX + self->body.size + STREAM_CHUNK_MAX;
    if (pack_parts(self, arena, sizes, &form) != 0)
        return -1;
    parts = self->scratch.data;
    out_init(&out, &self->frame, OUT_MSGPACK);
    out_map(&out, 5 + 2u * keyed + (form != BODY_NONE) + web + conditional);
    pack_caller(&out, called ? &self->identity : &(struct identity){.audience = AUDIENCE_NONE});
    out_key(&out, "path");
    out_msgpack(&out, (struct str){parts, sizes[0]});
    out_key(&out, "query");
    out_msgpack(&out, (struct str){parts + sizes[0], sizes[1] - sizes[0]});
    out_key(&out, "request_id");
    out_text(&out, self->request_id);
    out_key(&out, "address");
    out_text(&out, self->address);
    if (keyed)
        pack_key(self, arena, &out);
    if (web)
        web_pack(self, &out);
    if (conditional) {
        out_key(&out, "if_match");
        out_str(&out, self->headers[HEADER_IF_MATCH]);
    }
    if (form == BODY_VALUE) {
        out_key(&out, "body");
        out_msgpack(&out, (struct str){parts + sizes[1], sizes[2] - sizes[1]});
    } else if (form == BODY_RAW) {
        out_key(&out, "raw");
        out_binary(&out, self->body.data, self->body.size);
    } else if (form == BODY_PARTS) {
        out_key(&out, "body");
        multipart_pack(self->multipart, &out);
    } else if (piece) {
        pack_piece_body(&out, piece);
    }
    if (buf_failed(&self->scratch) || !out_complete(&out)) {
        reply_fail(self, FAIL_PAYLOAD_TOO_LARGE, "The request is too large once it has been read; send less at once");
        return -1;
    }
    return 0;
}

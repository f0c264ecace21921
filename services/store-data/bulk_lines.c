/* bulk_lines.c - a line of an import: found in the piece, read as the body of a POST would be, and what came of it.
 *
 * Lines come from outside and are as hostile as bodies: whatever is wrong with one ends in its result, which is bounded
 * and well-formed whatever the line held.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "bulk.h"
#include "json.h"
#include "store_data_operations.h"
#include "text.h"

#define TEXT_MAX  200 /* bytes of one text in a result: fields and reasons may quote what was sent */
#define KEY_FIELD "idempotency_key"

const char *const bulk_resource_names[BULK_RESOURCES] = {"products", "customers", "orders", "inventory"};
const char *const bulk_write_scopes[BULK_RESOURCES] = {"write:products", "write:customers", "write:orders",
                                                       "write:inventory"};

enum bulk_resource
bulk_resource_of(const char *name)
{
    unsigned i = 0;

    while (i < BULK_RESOURCES && strcmp(bulk_resource_names[i], name) != 0)
        i++;
    assert(i < BULK_RESOURCES); /* the table has no others */
    return (enum bulk_resource)i;
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

bool
bulk_line_next(struct str *rest, bool whole, struct str *line)
{
    const char *end = rest->len ? memchr(rest->base, '\n', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->base) : rest->len;

    if (!end && (!whole || rest->len == 0))
        return false;
    *line = (struct str){rest->base, len};
    rest->base += len + (end != NULL);
    rest->len -= len + (end != NULL);
    return true;
}

bool
bulk_line_is_empty(struct str line)
{
    if (line.len >= STREAM_CHUNK_MAX) /* cut off: nobody knows what came behind */
        return false;
    for (size_t i = 0; i < line.len; i++)
        if (line.base[i] != ' ' && line.base[i] != '\t' && line.base[i] != '\r')
            return false;
    return true;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

void
bulk_line_fail(struct bulk_line *self, enum fail code, const char *field, const char *why)
{
    self->failed = true;
    self->code = code;
    self->field = field;
    self->why = why;
    self->validation = NULL;
}

/* A stock level is set by no POST of its own. */
static const struct schema *
inventory_schema(void)
{
    static const struct schema id = {.type = SCHEMA_INTEGER, .min = 1, .max = INT64_MAX};
    static const struct schema quantity = {.type = SCHEMA_INTEGER, .min = 0, .max = 1000000000};
    static const struct field fields[] = {{"sku_id", &id, true}, {"quantity", &quantity, true}};
    static const struct schema line = {
        .type = SCHEMA_OBJECT, .max = INT64_MAX, .fields = fields, .field_count = ARRAY_COUNT(fields)};

    return &line;
}

/* The very schema that the resource's POST is checked against. */
static const struct schema *
schema_of(enum bulk_resource resource)
{
    static const char *const names[BULK_RESOURCES] = {"store-data.products.create", "store-data.customers.create",
                                                      "store-data.orders.create", NULL};

    for (unsigned i = 0; names[resource] && i < store_data_handler_count; i++)
        if (strcmp(store_data_handlers[i].operation->name, names[resource]) == 0)
            return store_data_handlers[i].operation->body;
    return inventory_schema();
}

/* A text that someone outside may have had a hand in, short enough and whole in its characters. */
static const char *
clip(struct arena *arena, const char *text)
{
    size_t len = strnlen(text, TEXT_MAX + 1);
    bool cut = len > TEXT_MAX;

    if (cut)
        len = TEXT_MAX;
    while (len > 0 && !text_is_utf8(text, len))
        len--;
    return arena_printf(arena, "%.*s%s", (int)len, text, cut ? "…" : "");
}

static int
decode(struct in *value, struct arena *arena, struct buf *packed)
{
    const char *copy = arena_strndup(arena, packed->data, packed->size);
    int rc = in_decode(value, arena, copy, packed->size);

    buf_reset(packed);
    return rc;
}

static void
read_key(struct bulk_line *self, struct in raw)
{
    struct str key = in_str(raw, KEY_FIELD);
    uint8_t hash[SHA256_SIZE];

    if (!in_has(raw, KEY_FIELD))
        return;
    if (!key.base || key.len == 0 || text_characters(key.base, key.len) > IDEMPOTENCY_KEY_MAX) {
        bulk_line_fail(self, FAIL_VALIDATION_ERROR, KEY_FIELD, "must be a text of 1 to 255 characters");
        return;
    }
    self->key = in_text(raw, KEY_FIELD);
    secret_sha256(hash, self->text.base, self->text.len);
    secret_hex(self->hash, hash, sizeof hash);
}

static void
read_value(struct bulk_line *self, struct call *call, enum bulk_resource resource, struct buf *packed)
{
    struct validation *validation = arena_alloc(call->arena, sizeof *validation);
    char why[JSON_WHY_SIZE];
    struct in raw;

    if (json_to_msgpack(self->text.base, self->text.len, packed, why) != 0) {
        bulk_line_fail(self, FAIL_INVALID_JSON, NULL, clip(call->arena, why));
        return;
    }
    if (decode(&raw, call->arena, packed) != 0) {
        bulk_line_fail(self, FAIL_INVALID_JSON, NULL, "it cannot be read");
        return;
    }
    read_key(self, raw);
    if (self->failed)
        return;
    validation_init(validation, call->arena);
    validate_value(validation, schema_of(resource), raw, "", packed);
    if (validation->count) {
        bulk_line_fail(self, FAIL_VALIDATION_ERROR, NULL, NULL);
        self->validation = validation;
    } else if (decode(&self->body, call->arena, packed) != 0)
        bulk_line_fail(self, FAIL_INTERNAL_ERROR, NULL, NULL);
}

void
bulk_line_read(struct bulk_line *self, struct call *call, enum bulk_resource resource)
{
    struct buf packed;

    if (self->text.len >= STREAM_CHUNK_MAX) { /* its beginning: the gateway keeps no more of it */
        bulk_line_fail(self, FAIL_PAYLOAD_TOO_LARGE, NULL, "It is longer than 262143 bytes; make more lines of it");
        return;
    }
    buf_init(&packed, WIRE_MESSAGE_MAX);
    read_value(self, call, resource, &packed);
    buf_free(&packed);
}

/* ---- the result -------------------------------------------------------------------------------------------------- */

/* "name is required", "sku_id: No such variant in this store": reasons are the rest of a sentence, or one. */
static const char *
sentence_of(struct arena *arena, const char *field, const char *why)
{
    if (!field || !*field)
        return why;
    return arena_printf(arena, "%s%s %s", field, *why >= 'a' && *why <= 'z' ? "" : ":", why);
}

static void
write_error(struct out *out, struct arena *arena, const char *field, const char *message)
{
    out_map(out, 2);
    out_key(out, "field");
    out_text(out, clip(arena, field));
    out_key(out, "message");
    out_text(out, clip(arena, message));
}

static void
write_failure(const struct bulk_line *self, struct arena *arena, struct out *out)
{
    const struct validation *validation = self->validation;
    const char *field = validation ? validation->errors[0].field : self->field;
    const char *why = validation ? validation->errors[0].message : self->why;
    unsigned count = validation ? validation->count : self->field != NULL;

    if (!why)
        why = fail_texts[self->code].message;
    out_key(out, "code");
    out_text(out, fail_texts[self->code].code);
    out_key(out, "message");
    out_text(out, arena_printf(arena, "Line %lld: %s", (long long)self->number,
                               clip(arena, sentence_of(arena, field ? clip(arena, field) : NULL, why))));
    if (count == 0)
        return;
    out_key(out, "errors");
    out_list(out, count);
    for (unsigned i = 0; i < count; i++)
        write_error(out, arena, validation ? validation->errors[i].field : field,
                    validation ? validation->errors[i].message : why);
}

/* `line` stands first: bulk_jobs.c looks for it there. */
void
bulk_line_write(const struct bulk_line *self, struct arena *arena, struct out *out)
{
    bool errors = self->validation || self->field;

    out_map(out, self->failed ? 4 + errors : 3 + self->repeated);
    out_key(out, "line");
    out_int(out, self->number);
    out_key(out, "status");
    out_text(out, self->failed ? "failed" : "succeeded");
    if (self->failed) {
        write_failure(self, arena, out);
        return;
    }
    out_key(out, "id");
    out_int(out, self->id);
    if (self->repeated) {
        out_key(out, "repeated");
        out_bool(out, true);
    }
}

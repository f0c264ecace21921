/* multipart.c - parts become items of a list: each as msgpack has it, with its length in front, filled in as it grows.
 * So what is hashed for an Idempotency-Key (pack.c) tells one division into parts from another. */
#include "multipart.h"

#include <string.h>

#include "out.h"
#include "reply.h"

#define PROCESSOR_SIZE 32768 /* of its buffer: a part's headers must fit in it */
#define ITEM_HEAD      5     /* msgpack's bin 32 */
#define BOUNDARY_MIN   2     /* libmicrohttpd takes no shorter one */
#define BOUNDARY_MAX   70    /* RFC 2046 */

struct multipart {
    struct request *request;
    const struct field *field;
    struct MHD_PostProcessor *processor;
    unsigned count;
    size_t item; /* where the last one begins */
    bool is_open;
    bool is_malformed;
};

static size_t
item_size(const struct multipart *self)
{
    return self->request->body.size - self->item - ITEM_HEAD;
}

static void
write_size(struct multipart *self)
{
    struct buf *body = &self->request->body;

    if (!buf_failed(body))
        uint_to_bytes((uint8_t *)body->data + self->item + 1, item_size(self), 4);
}

static bool
begin_item(struct multipart *self)
{
    struct request *request = self->request;

    if (self->is_open && item_size(self) == 0)
        return true; /* nothing has come of it: an empty part is none */
    if (self->count == self->field->schema->max) {
        struct validation *validation = arena_alloc(request->arena, sizeof *validation);

        validation_init(validation, request->arena);
        validation_add(validation, self->field->name, "must have at most %u items", (unsigned)self->field->schema->max);
        reply_invalid(request, validation);
        return false;
    }
    self->item = request->body.size;
    self->is_open = true;
    self->count++;
    buf_append(&request->body, "\xc6\0\0\0\0", ITEM_HEAD);
    return true;
}

static enum MHD_Result
on_part(void *context, enum MHD_ValueKind kind, const char *key, const char *file_name, const char *type,
        const char *coding, const char *data, uint64_t offset, size_t size)
{
    struct multipart *self = context;
    struct request *request = self->request;

    (void)kind;
    (void)file_name; /* neither a name nor a type that a client claims is believed */
    (void)type;
    (void)coding;
    if (!key || strcmp(key, self->field->name) != 0)
        return MHD_YES;
    if (offset == 0 && !begin_item(self))
        return MHD_NO;
    if (item_size(self) + size > (size_t)self->field->schema->items->max) {
        reply_fail(request, FAIL_PAYLOAD_TOO_LARGE,
                   arena_printf(request->arena, "%s[%u] is larger than %lld bytes", self->field->name, self->count - 1,
                                (long long)self->field->schema->items->max));
        return MHD_NO;
    }
    if (buf_append(&request->body, data, size) != 0) {
        reply_fail(request, FAIL_PAYLOAD_TOO_LARGE, NULL);
        return MHD_NO;
    }
    write_size(self);
    return MHD_YES;
}

/* As libmicrohttpd finds it, which would take an empty one and never see its end. */
static bool
is_boundary_good(struct MHD_Connection *connection)
{
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *boundary = type ? strstr(type, "boundary=") : NULL;
    size_t len;

    if (!boundary)
        return false;
    boundary += strlen("boundary=");
    len = strlen(boundary);
    if (len >= 2 && boundary[0] == '"' && boundary[len - 1] == '"')
        len -= 2;
    return len >= BOUNDARY_MIN && len <= BOUNDARY_MAX;
}

struct multipart *
multipart_new(struct request *request)
{
    struct multipart *self = arena_alloc(request->arena, sizeof *self);

    self->request = request;
    self->field = &request->operation->body->fields[0];
    if (is_boundary_good(request->connection))
        self->processor = MHD_create_post_processor(request->connection, PROCESSOR_SIZE, on_part, self);
    if (self->processor)
        return self;
    reply_fail(request, FAIL_BAD_REQUEST,
               arena_printf(request->arena,
                            "The boundary between the parts, in the header Content-Type, must have %d to %d "
                            "characters; let your client choose it, or give it one such as boundary=cut-here",
                            BOUNDARY_MIN, BOUNDARY_MAX));
    return NULL;
}

void
multipart_free(struct multipart *self)
{
    if (self && self->processor)
        MHD_destroy_post_processor(self->processor);
}

void
multipart_take(struct multipart *self, const char *data, size_t size)
{
    if (!self->is_malformed && MHD_post_process(self->processor, data, size) != MHD_YES)
        self->is_malformed = true;
}

void
multipart_end(struct multipart *self, const struct schema *schema, struct validation *validation)
{
    const struct field *field = &schema->fields[0];

    if (self) {
        self->is_malformed |= MHD_destroy_post_processor(self->processor) != MHD_YES;
        self->processor = NULL;
        if (self->is_open && item_size(self) == 0) {
            self->request->body.size = self->item;
            self->count--;
        }
    }
    if (self && self->is_malformed)
        validation_add(validation, "body", "is no multipart/form-data with this boundary, or ends before the last one");
    else if (!self || self->count < field->schema->min)
        validation_add(validation, field->name, "must have at least %u item%s that is not empty",
                       (unsigned)field->schema->min, field->schema->min == 1 ? "" : "s");
}

void
multipart_pack(const struct multipart *self, struct out *out)
{
    const char *at = self->request->body.data;

    out_map(out, 1);
    out_key(out, self->field->name);
    out_list(out, self->count);
    for (unsigned i = 0; i < self->count; i++) {
        size_t size = ITEM_HEAD + uint_from_bytes((const uint8_t *)at + 1, 4);

        out_msgpack(out, (struct str){at, size});
        at += size;
    }
}

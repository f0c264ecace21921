/* Values that a request brought go on to the database as they came: numbers keep their text, nothing is a double. */
#include "json_text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "bounds.h"

void
json_text_begin(struct json_text *self)
{
    buf_init(&self->buf, WIRE_MESSAGE_MAX);
    out_init(&self->out, &self->buf, OUT_JSON);
}

struct str
json_text_end(struct json_text *self, struct arena *arena)
{
    struct str text;

    assert(out_complete(&self->out)); /* no request is near the buffer's maximum */
    text = (struct str){arena_strndup(arena, self->buf.data, self->buf.size), self->buf.size};
    buf_free(&self->buf);
    return text;
}

struct str
json_text_of(struct in value, struct arena *arena)
{
    struct json_text text;
    msgpack_sbuffer packed;
    msgpack_packer packer;

    if (!in_has(value, ""))
        return (struct str){NULL, 0};
    msgpack_sbuffer_init(&packed);
    msgpack_packer_init(&packer, &packed, msgpack_sbuffer_write);
    msgpack_pack_object(&packer, *value.object);
    json_text_begin(&text);
    out_msgpack(&text.out, (struct str){packed.data, packed.size});
    msgpack_sbuffer_destroy(&packed);
    return json_text_end(&text, arena);
}

static void
add_item(struct buf *text, struct in item)
{
    const char *word = in_text(item, "");
    char number[24];

    if (!word && item.object &&
        (item.object->type == MSGPACK_OBJECT_POSITIVE_INTEGER ||
         item.object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)) {
        snprintf(number, sizeof(number), "%" PRId64, in_int(item, "", 0));
        word = number;
    }
    if (!word)
        return;
    buf_append_text(text, text->size > 1 ? ",\"" : "\"");
    for (; *word; word++) {
        if (*word == '"' || *word == '\\')
            buf_append_byte(text, '\\');
        buf_append_byte(text, *word);
    }
    buf_append_byte(text, '"');
}

const char *
array_text_of(struct in value, struct arena *arena)
{
    struct buf text;
    char *result;

    buf_init(&text, WIRE_MESSAGE_MAX);
    buf_append_byte(&text, '{');
    if (in_count(value, "") == 0)
        add_item(&text, value);
    for (unsigned i = 0; i < in_count(value, ""); i++)
        add_item(&text, in_item(value, i));
    buf_append_byte(&text, '}');
    result = arena_strndup(arena, text.data, text.size);
    buf_free(&text);
    return result;
}

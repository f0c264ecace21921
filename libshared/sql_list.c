/* sql_list.c - the text form of an array (PostgreSQL, 8.15.2): quoted, with a backslash before quotes and backslashes.
 */
#include "sql_list.h"

#include <assert.h>

#include "bounds.h"
#include "text.h"

void
sql_list_begin(struct sql_list *self)
{
    buf_init(&self->buf, 2 * WIRE_MESSAGE_MAX + BATCH_MAX); /* bytes take two digits each */
    buf_append_byte(&self->buf, '{');
}

static void
separate(struct sql_list *self)
{
    if (self->buf.size > 1)
        buf_append_byte(&self->buf, ',');
}

void
sql_list_int(struct sql_list *self, int64_t value)
{
    char text[INT_TEXT_SIZE];

    separate(self);
    buf_append(&self->buf, text, text_from_int(text, value));
}

void
sql_list_str(struct sql_list *self, struct str text)
{
    separate(self);
    if (!text.base) {
        buf_append_text(&self->buf, "NULL");
        return;
    }
    buf_append_byte(&self->buf, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.base[i] == '"' || text.base[i] == '\\')
            buf_append_byte(&self->buf, '\\');
        buf_append_byte(&self->buf, text.base[i]);
    }
    buf_append_byte(&self->buf, '"');
}

void
sql_list_bytes(struct sql_list *self, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;

    separate(self);
    if (!data) {
        buf_append_text(&self->buf, "NULL");
        return;
    }
    buf_append_text(&self->buf, "\"\\\\x");
    for (size_t i = 0; i < size; i++) {
        buf_append_byte(&self->buf, digits[bytes[i] >> 4]);
        buf_append_byte(&self->buf, digits[bytes[i] & 15]);
    }
    buf_append_byte(&self->buf, '"');
}

const char *
sql_list_end(struct sql_list *self, struct arena *arena)
{
    const char *text;

    buf_append_byte(&self->buf, '}');
    assert(!buf_failed(&self->buf)); /* no request is near the buffer's maximum */
    text = arena_strndup(arena, self->buf.data, self->buf.size);
    buf_free(&self->buf);
    return text;
}

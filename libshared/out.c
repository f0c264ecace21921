/* out.c - one way of writing, two encodings: handlers are the same whether a browser or a service asked.
 *
 * On the hot path of every answer: a value costs one reservation in the buffer and copies of runs, never an allocation
 * of its own. Each open container counts what it still expects (a map counts names and values), which closes it by
 * itself and catches a handler that miscounted at once, in any test.
 */
#include "out.h"

#include <assert.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "money.h"
#include "text.h"
#include "token.h"

void
out_init(struct out *self, struct buf *target, enum out_encoding encoding)
{
    self->buf = target;
    self->encoding = encoding;
    self->depth = 0;
}

/* What stands in front of a value or a name: in JSON a comma, unless it is a value in a map or comes first. */
static void
begin_value(struct out *self)
{
    unsigned top = self->depth - 1;

    if (self->depth == 0)
        return;
    if (self->open[top].map) {
        assert(self->open[top].left % 2 == 1); /* a value in a map needs its name before it */
        return;
    }
    if (self->encoding == OUT_JSON && !self->open[top].first)
        buf_append_byte(self->buf, ',');
    self->open[top].first = false;
}

/* Counts the value that has just been written, and closes every container that it completed. */
static void
end_value(struct out *self)
{
    while (self->depth > 0) {
        unsigned top = self->depth - 1;

        if (--self->open[top].left > 0)
            return;
        if (self->encoding == OUT_JSON)
            buf_append_byte(self->buf, self->open[top].map ? '}' : ']');
        self->depth--;
    }
}

static void
open_container(struct out *self, unsigned count, bool map)
{
    assert(count <= UINT32_MAX / 2);
    begin_value(self);
    if (self->encoding == OUT_MSGPACK) {
        msgpack_packer packer = token_packer(self->buf);

        if (map)
            msgpack_pack_map(&packer, count);
        else
            msgpack_pack_array(&packer, count);
    } else {
        buf_append_byte(self->buf, map ? '{' : '[');
        if (count == 0)
            buf_append_byte(self->buf, map ? '}' : ']');
    }
    if (count == 0) {
        end_value(self);
        return;
    }
    assert(self->depth < OUT_DEPTH_MAX);
    self->open[self->depth].left = map ? 2 * count : count;
    self->open[self->depth].map = map;
    self->open[self->depth].first = true;
    self->depth++;
}

void
out_map(struct out *self, unsigned count)
{
    open_container(self, count, true);
}

void
out_list(struct out *self, unsigned count)
{
    open_container(self, count, false);
}

static bool
needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* Eight bytes at a time: a byte of (x - y) & ~x has its
 * high bit set where a byte of x was below y; a borrow can only mark bytes behind a real hit, so the first block with
 * a mark is searched byte by byte. */
size_t
out_plain_length(const char *text, size_t len)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
    size_t at = 0;

    for (; len - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word, quote, slash;

        memcpy(&word, text + at, sizeof(word));
        quote = word ^ (ones * '"');
        slash = word ^ (ones * '\\');
        if ((((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & high)
            break;
    }
    while (at < len && !needs_escape((unsigned char)text[at]))
        at++;
    return at;
}

static void
append_escape(struct buf *target, char c)
{
    static const char digits[] = "0123456789abcdef";
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char text[6] = {'\\', 'u', '0', '0', digits[(unsigned char)c >> 4], digits[c & 15]};

    for (size_t i = 0; i < sizeof(letters) - 1; i += 2) {
        if (letters[i] == c) {
            text[1] = letters[i + 1];
            buf_append(target, text, 2);
            return;
        }
    }
    buf_append(target, text, sizeof(text));
}

static void
append_quoted(struct buf *target, const char *text, size_t len)
{
    size_t plain = out_plain_length(text, len);

    if (plain == len) { /* nearly always */
        char *to = buf_reserve(target, len + 2);

        if (to == NULL)
            return;
        to[0] = '"';
        memcpy(to + 1, text, len);
        to[len + 1] = '"';
        target->size += len + 2;
        return;
    }
    buf_append_byte(target, '"');
    for (;;) {
        buf_append(target, text, plain);
        if (plain == len)
            break;
        append_escape(target, text[plain]);
        text += plain + 1;
        len -= plain + 1;
        plain = out_plain_length(text, len);
    }
    buf_append_byte(target, '"');
}

static void
append_packed_text(struct buf *target, struct str text)
{
    msgpack_packer packer = token_packer(target);

    msgpack_pack_str(&packer, text.len);
    msgpack_pack_str_body(&packer, text.base, text.len);
}

void
out_key_str(struct out *self, struct str name)
{
    unsigned top = self->depth - 1;

    assert(self->depth > 0 && self->open[top].map && self->open[top].left % 2 == 0);
    self->open[top].left--;
    if (self->encoding == OUT_MSGPACK) {
        append_packed_text(self->buf, name);
        return;
    }
    if (!self->open[top].first)
        buf_append_byte(self->buf, ',');
    self->open[top].first = false;
    append_quoted(self->buf, name.base, name.len);
    buf_append_byte(self->buf, ':');
}

void
out_key(struct out *self, const char *name)
{
    out_key_str(self, str_of(name));
}

void
out_str(struct out *self, struct str text)
{
    if (text.base == NULL) {
        out_null(self);
        return;
    }
    begin_value(self);
    if (self->encoding == OUT_MSGPACK)
        append_packed_text(self->buf, text);
    else
        append_quoted(self->buf, text.base, text.len);
    end_value(self);
}

void
out_text(struct out *self, const char *text)
{
    out_str(self, str_of(text));
}

void
out_key_text(struct out *self, const char *name, const char *text)
{
    out_key(self, name);
    out_text(self, text);
}

void
out_int(struct out *self, int64_t value)
{
    begin_value(self);
    if (self->encoding == OUT_MSGPACK) {
        msgpack_packer packer = token_packer(self->buf);

        msgpack_pack_int64(&packer, value);
    } else {
        char *to = buf_reserve(self->buf, INT_TEXT_SIZE);

        if (to != NULL)
            self->buf->size += text_from_int(to, value);
    }
    end_value(self);
}

void
out_key_int(struct out *self, const char *name, int64_t value)
{
    out_key(self, name);
    out_int(self, value);
}

void
out_key_id(struct out *self, const char *name, int64_t id)
{
    out_key(self, name);
    if (id)
        out_int(self, id);
    else
        out_null(self);
}

void
out_bool(struct out *self, bool value)
{
    begin_value(self);
    if (self->encoding == OUT_MSGPACK)
        buf_append_byte(self->buf, value ? '\xc3' : '\xc2');
    else
        buf_append_text(self->buf, value ? "true" : "false");
    end_value(self);
}

void
out_null(struct out *self)
{
    begin_value(self);
    if (self->encoding == OUT_MSGPACK)
        buf_append_byte(self->buf, '\xc0');
    else
        buf_append(self->buf, "null", 4);
    end_value(self);
}

void
out_time(struct out *self, int64_t time_us)
{
    begin_value(self);
    if (self->encoding == OUT_MSGPACK) {
        token_append_time(self->buf, time_us);
    } else {
        char text[TIME_TEXT_SIZE];
        size_t len = text_from_time(text, time_us);

        append_quoted(self->buf, text, len);
    }
    end_value(self);
}

void
out_money(struct out *self, int64_t amount, unsigned decimals)
{
    begin_value(self);
    if (self->encoding == OUT_MSGPACK) {
        token_append_money(self->buf, amount, decimals);
    } else {
        char *to = buf_reserve(self->buf, MONEY_TEXT_SIZE);

        if (to != NULL)
            self->buf->size += money_print(to, amount, decimals);
    }
    end_value(self);
}

void
out_binary(struct out *self, const void *data, size_t size)
{
    begin_value(self);
    if (self->encoding == OUT_MSGPACK) {
        msgpack_packer packer = token_packer(self->buf);

        msgpack_pack_bin(&packer, size);
        msgpack_pack_bin_body(&packer, data, size);
    } else {
        char *to;

        buf_append_byte(self->buf, '"');
        to = buf_reserve(self->buf, BASE64_SIZE(size));
        if (to != NULL)
            self->buf->size += text_to_base64(to, data, size);
        buf_append_byte(self->buf, '"');
    }
    end_value(self);
}

void
out_json(struct out *self, struct str json)
{
    char why[JSON_WHY_SIZE];

    if (json.base == NULL) {
        out_null(self);
        return;
    }
    begin_value(self);
    if (self->encoding == OUT_JSON)
        buf_append(self->buf, json.base, json.len);
    else if (json_to_msgpack(json.base, json.len, self->buf, why) != 0)
        self->buf->failed = true; /* what we trusted was wrong: no answer rather than half of one */
    end_value(self);
}

/* JSON has no infinities and no "not a number"; nothing of ours makes them. */
static void
write_float(struct out *self, double value)
{
    char text[32];
    int len = isfinite(value) ? snprintf(text, sizeof(text), "%.17g", value) : snprintf(text, sizeof(text), "null");

    begin_value(self);
    buf_append(self->buf, text, (size_t)len);
    end_value(self);
}

static void
write_ext(struct out *self, const msgpack_object *token)
{
    int64_t value;
    unsigned decimals;

    if (token_time(token, &value) == 0)
        out_time(self, value);
    else if (token_money(token, &value, &decimals) == 0)
        out_money(self, value, decimals);
    else if (token->via.ext.type == EXT_NUMBER && text_is_number(token->via.ext.ptr, token->via.ext.size))
        out_json(self, (struct str){token->via.ext.ptr, token->via.ext.size});
    else
        out_null(self);
}

static void
write_positive(struct out *self, uint64_t value)
{
    char text[INT_TEXT_SIZE];
    size_t len = text_from_uint(text, value);

    begin_value(self);
    buf_append(self->buf, text, len);
    end_value(self);
}

/* One token of a msgpack value, as JSON. */
static void
write_token(struct out *self, const msgpack_object *token)
{
    switch (token->type) {
    case MSGPACK_OBJECT_BOOLEAN: out_bool(self, token->via.boolean); break;
    case MSGPACK_OBJECT_POSITIVE_INTEGER: write_positive(self, token->via.u64); break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: out_int(self, token->via.i64); break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64: write_float(self, token->via.f64); break;
    case MSGPACK_OBJECT_STR: out_str(self, (struct str){token->via.str.ptr, token->via.str.size}); break;
    case MSGPACK_OBJECT_BIN: out_binary(self, token->via.bin.ptr, token->via.bin.size); break;
    case MSGPACK_OBJECT_EXT: write_ext(self, token); break;
    case MSGPACK_OBJECT_ARRAY: out_list(self, token->via.array.size); break;
    case MSGPACK_OBJECT_MAP: out_map(self, token->via.map.size); break;
    default: out_null(self); break;
    }
}

void
out_msgpack(struct out *self, struct str value)
{
    const uint8_t *at = (const uint8_t *)value.base;
    const uint8_t *end = at != NULL ? at + value.len : NULL;
    unsigned depth = self->depth;
    uint64_t pending = 1;

    if (value.base == NULL) {
        out_null(self);
        return;
    }
    if (self->encoding == OUT_MSGPACK) {
        begin_value(self);
        buf_append(self->buf, value.base, value.len);
        end_value(self);
        return;
    }
    while (pending > 0) {
        msgpack_object token;
        unsigned top = self->depth - 1;
        bool name = self->depth > depth && self->open[top].map && self->open[top].left % 2 == 0;

        if (token_read(&at, end, &token) != 0 || (name && token.type != MSGPACK_OBJECT_STR))
            break;
        pending += token_members(&token) - 1;
        if (pending > (uint64_t)(end - at) || (token_members(&token) > 0 && self->depth == OUT_DEPTH_MAX))
            break;
        if (name)
            out_key_str(self, (struct str){token.via.str.ptr, token.via.str.size});
        else
            write_token(self, &token);
    }
    if (pending > 0) {
        self->depth = depth;
        end_value(self); /* counted, so that the caller's own members still fit */
    }
    if (pending > 0 || at != end)
        self->buf->failed = true;
}

void
out_line_end(struct out *self)
{
    assert(self->depth == 0);
    if (self->encoding == OUT_JSON)
        buf_append_byte(self->buf, '\n');
}

bool
out_complete(const struct out *self)
{
    return self->depth == 0 && !buf_failed(self->buf);
}

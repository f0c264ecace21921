/* json.c - one pass over the text for what yajl lets through, then yajl's events become msgpack as they come.
 *
 * yajl hands over the text of numbers, but it is lenient elsewhere: it replaces lone surrogates, accepts \u0000, takes
 * form feeds for white space and knows nothing of duplicate keys. Those are found here. How many members a container
 * has is known only at its end, so every container gets a head of five bytes, whose count is filled in then.
 */
#include "json.h"

#include <assert.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "bounds.h"
#include "text.h"
#include "token.h"

#define HEAD_SIZE 5

struct container {
    size_t head;        /* where its head stands in target */
    uint32_t count;     /* members so far; a map's names are counted, not its values */
    unsigned first_key; /* of an object: where its names begin in the list of names */
    bool object;
};

/* A name of an object that is still open: where it stands in target, and its hash, to compare the names quickly. */
struct key {
    size_t offset;
    uint32_t len;
    uint32_t hash;
};

struct reading {
    struct buf *target;
    msgpack_packer packer;
    char *why;
    uint32_t nodes;
    unsigned depth;
    unsigned keys_used;
    struct container open[JSON_DEPTH_MAX];
    struct key keys[JSON_DEPTH_MAX * JSON_KEYS_MAX];
};

/* Callbacks answer 0 to make yajl stop; the reason is written once. */
static int
refuse(struct reading *self, const char *why)
{
    snprintf(self->why, JSON_WHY_SIZE, "%s", why);
    return 0;
}

/* Every value begins here: counts it. */
static int
begin_value(struct reading *self)
{
    if (++self->nodes > JSON_NODES_MAX)
        return refuse(self, "the JSON text holds too many values");
    if (self->depth > 0 && !self->open[self->depth - 1].object)
        self->open[self->depth - 1].count++;
    return 1;
}

static int
end_value(struct reading *self)
{
    return buf_failed(self->target) ? refuse(self, "the JSON text is too large") : 1;
}

static int
read_null(void *context)
{
    struct reading *self = context;

    if (!begin_value(self))
        return 0;
    msgpack_pack_nil(&self->packer);
    return end_value(self);
}

static int
read_boolean(void *context, int value)
{
    struct reading *self = context;

    if (!begin_value(self))
        return 0;
    if (value)
        msgpack_pack_true(&self->packer);
    else
        msgpack_pack_false(&self->packer);
    return end_value(self);
}

static int
read_number(void *context, const char *text, size_t len)
{
    struct reading *self = context;
    int64_t value;

    if (!begin_value(self))
        return 0;
    if (len > NUMBER_TEXT_MAX)
        return refuse(self, "a number in the JSON text has too many digits");
    /* -0 is kept as text: an integer would lose its sign. */
    if (text_to_int(text, len, &value) == 0 && !(value == 0 && text[0] == '-')) {
        msgpack_pack_int64(&self->packer, value);
    } else {
        msgpack_pack_ext(&self->packer, len, EXT_NUMBER);
        msgpack_pack_ext_body(&self->packer, text, len);
    }
    return end_value(self);
}

static int
read_string(void *context, const unsigned char *text, size_t len)
{
    struct reading *self = context;

    if (!begin_value(self))
        return 0;
    msgpack_pack_str(&self->packer, len);
    msgpack_pack_str_body(&self->packer, text, len);
    return end_value(self);
}

static int
open_container(struct reading *self, bool object)
{
    if (!begin_value(self))
        return 0;
    if (self->depth == JSON_DEPTH_MAX)
        return refuse(self, "the JSON text is nested too deeply");
    self->open[self->depth++] =
        (struct container){.head = self->target->size, .first_key = self->keys_used, .object = object};
    buf_append(self->target, object ? "\xdf\0\0\0\0" : "\xdd\0\0\0\0", HEAD_SIZE);
    return end_value(self);
}

static int
close_container(void *context)
{
    struct reading *self = context;
    const struct container *last = &self->open[--self->depth];
    char *head = self->target->data + last->head;

    for (int i = 1; i < HEAD_SIZE; i++)
        head[i] = (char)(last->count >> (8 * (HEAD_SIZE - 1 - i)));
    self->keys_used = last->first_key;
    return 1;
}

static int
open_object(void *context)
{
    return open_container(context, true);
}

static int
open_array(void *context)
{
    return open_container(context, false);
}

static uint32_t
hash_of(const unsigned char *text, size_t len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ text[i]) * 16777619u;
    return hash;
}

static bool
is_known(const struct reading *self, const struct container *object, const struct key *key, const void *text)
{
    for (unsigned i = object->first_key; i < self->keys_used; i++) {
        const struct key *other = &self->keys[i];

        if (other->hash == key->hash && other->len == key->len &&
            memcmp(self->target->data + other->offset, text, key->len) == 0)
            return true;
    }
    return false;
}

static int
read_key(void *context, const unsigned char *text, size_t len)
{
    struct reading *self = context;
    struct container *object = &self->open[self->depth - 1];
    struct key key = {.len = (uint32_t)len, .hash = hash_of(text, len)};

    if (object->count == JSON_KEYS_MAX)
        return refuse(self, "an object in the JSON text has too many fields");
    if (is_known(self, object, &key, text)) {
        size_t shown = len < 80 ? len : 80;

        while (shown < len && (text[shown] & 0xC0) == 0x80)
            shown--; /* not in the middle of a character */
        snprintf(self->why, JSON_WHY_SIZE, "duplicate field \"%.*s\"", (int)shown, (const char *)text);
        return 0;
    }
    msgpack_pack_str(&self->packer, len);
    key.offset = self->target->size;
    msgpack_pack_str_body(&self->packer, text, len);
    self->keys[self->keys_used++] = key;
    object->count++;
    return end_value(self);
}

static const yajl_callbacks callbacks = {
    .yajl_null = read_null,
    .yajl_boolean = read_boolean,
    .yajl_number = read_number,
    .yajl_string = read_string,
    .yajl_start_map = open_object,
    .yajl_map_key = read_key,
    .yajl_end_map = close_container,
    .yajl_start_array = open_array,
    .yajl_end_array = close_container,
};

static int
hex4(const char *text)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        int digit = text_hex_digit(text[i]);

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* \uXXXX that stands for no character: NUL, which PostgreSQL's text cannot hold, and halves of pairs. Malformed escapes
 * are left to yajl. Backslashes exist only within strings, so strings need not be followed. */
static const char *
check_escapes(const char *text, size_t len)
{
    const char *end = text + len;
    const char *at = text;

    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        int unit, next;

        if (end - at < 6 || at[1] != 'u') {
            at += end - at < 2 ? 1 : 2;
            continue;
        }
        unit = hex4(at + 2);
        at += 6;
        if (unit == 0)
            return "text must not hold NUL characters (\\u0000)";
        if (unit < 0xD800 || unit > 0xDFFF)
            continue;
        next = unit <= 0xDBFF && end - at >= 6 && at[0] == '\\' && at[1] == 'u' ? hex4(at + 2) : -1;
        if (next < 0xDC00 || next > 0xDFFF)
            return "text must not hold half of a surrogate pair (\\ud800 to \\udfff)";
        at += 6;
    }
    return NULL;
}

static void *
parser_malloc(void *context, size_t size)
{
    (void)context;
    return xmalloc(size);
}

static void *
parser_realloc(void *context, void *memory, size_t size)
{
    (void)context;
    return xrealloc(memory, size);
}

static void
parser_free(void *context, void *memory)
{
    (void)context;
    free(memory);
}

/* Runs yajl over the text; false when it or a callback stopped. */
static bool
parse(struct reading *self, const char *text, size_t len)
{
    yajl_alloc_funcs memory = {parser_malloc, parser_realloc, parser_free, NULL};
    yajl_handle parser = yajl_alloc(&callbacks, &memory, self);
    yajl_status status;

    yajl_config(parser, yajl_dont_validate_strings, 1); /* checked already, and more strictly */
    status = yajl_parse(parser, (const unsigned char *)text, len);
    if (status == yajl_status_error) {
        snprintf(self->why, JSON_WHY_SIZE, "not valid JSON at byte %zu", yajl_get_bytes_consumed(parser));
    } else if (status == yajl_status_ok) {
        status = yajl_complete_parse(parser);
        if (status == yajl_status_error)
            refuse(self, "not valid JSON: it is incomplete, or its last number or word is wrong");
    }
    yajl_free(parser);
    return status == yajl_status_ok;
}

int
json_to_msgpack(const char *text, size_t len, struct buf *target, char why[JSON_WHY_SIZE])
{
    struct reading reading; /* 130 KB, mostly names, hence not initialised */
    size_t before = target->size;
    const char *wrong = NULL;

    reading.target = target;
    reading.packer = token_packer(target);
    reading.why = why;
    reading.nodes = 0;
    reading.depth = 0;
    reading.keys_used = 0;
    why[0] = '\0';
    if (len == 0)
        wrong = "the JSON text is empty";
    else if (!text_is_utf8(text, len))
        wrong = "the JSON text is not valid UTF-8";
    else if (memchr(text, '\f', len) != NULL || memchr(text, '\v', len) != NULL)
        wrong = "not valid JSON: it holds a form feed or vertical tab";
    else
        wrong = check_escapes(text, len);
    if (wrong != NULL) {
        refuse(&reading, wrong);
        return -1;
    }
    if (!parse(&reading, text, len)) {
        target->size = before;
        return -1;
    }
    assert(reading.depth == 0 && reading.nodes > 0);
    return 0;
}

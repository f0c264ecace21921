/* json_same.c - are two JSON texts the same value? The order of members, white space and the way in which a number is
 * written (2, 2.0, 0.2e1) are no part of it, so a client that sends back what it has read changes nothing.
 *
 * PostgreSQL's jsonb would say the same, but refuses numbers that are kept here without harm (1e999999).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "json.h"
#include "json_text.h"

#define EXPONENT_DIGITS 15

/* 0.DIGITS times ten to the exponent, without zeros at either end; no digits for 0. */
struct number {
    char digits[NUMBER_TEXT_MAX + 1];
    size_t len;
    int64_t exponent;
    bool negative, known;
};

static void
read_number(struct number *self, const char *text, size_t len)
{
    size_t at = len > 0 && text[0] == '-', zeros = 0;
    bool fraction = false;
    long long exponent = 0;
    char rest[NUMBER_TEXT_MAX + 1];

    *self = (struct number){.negative = at == 1, .known = len <= NUMBER_TEXT_MAX};
    for (; self->known && at < len && text[at] != 'e' && text[at] != 'E'; at++) {
        if (text[at] == '.') {
            fraction = true;
            continue;
        }
        self->exponent += !fraction;
        self->digits[self->len++] = text[at];
    }
    if (self->known && at < len) {
        memcpy(rest, text + at + 1, len - at - 1);
        rest[len - at - 1] = '\0';
        self->known = len - at - 1 <= EXPONENT_DIGITS;
        exponent = self->known ? strtoll(rest, NULL, 10) : 0;
    }
    while (self->len > 0 && self->digits[self->len - 1] == '0')
        self->len--;
    while (zeros < self->len && self->digits[zeros] == '0')
        zeros++;
    memmove(self->digits, self->digits + zeros, self->len - zeros);
    self->len -= zeros;
    self->exponent = self->len ? self->exponent - (int64_t)zeros + exponent : 0;
    self->negative = self->negative && self->len;
}

/* False: it is no number. */
static bool
number_of(struct number *self, const msgpack_object *object)
{
    char text[24];
    int len;

    switch (object->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER: len = snprintf(text, sizeof text, "%" PRIu64, object->via.u64); break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: len = snprintf(text, sizeof text, "%" PRId64, object->via.i64); break;
    case MSGPACK_OBJECT_EXT: read_number(self, object->via.ext.ptr, object->via.ext.size); return true;
    default: return false;
    }
    read_number(self, text, (size_t)len);
    return true;
}

static int
compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order ? order : a_len < b_len ? -1 : a_len > b_len;
}

struct member {
    const msgpack_object_kv *pair;
};

static int
compare_members(const void *a, const void *b)
{
    const msgpack_object_str *x = &((const struct member *)a)->pair->key.via.str,
                             *y = &((const struct member *)b)->pair->key.via.str;

    return compare_bytes(x->ptr, x->size, y->ptr, y->size);
}

static struct member *
sorted(const msgpack_object_map *map, struct arena *arena)
{
    struct member *members = arena_alloc(arena, (map->size + 1) * sizeof *members);

    for (uint32_t i = 0; i < map->size; i++)
        members[i].pair = &map->ptr[i];
    qsort(members, map->size, sizeof *members, compare_members);
    return members;
}

static bool is_same(const msgpack_object *a, const msgpack_object *b, struct arena *arena);

static bool
is_same_map(const msgpack_object_map *a, const msgpack_object_map *b, struct arena *arena)
{
    struct member *x, *y;

    if (a->size != b->size)
        return false;
    x = sorted(a, arena);
    y = sorted(b, arena);
    for (uint32_t i = 0; i < a->size; i++)
        if (compare_members(&x[i], &y[i]) != 0 || !is_same(&x[i].pair->val, &y[i].pair->val, arena))
            return false;
    return true;
}

/* As deep as JSON_DEPTH_MAX. */
static bool
is_same(const msgpack_object *a, const msgpack_object *b, struct arena *arena)
{
    struct number x, y;

    if (number_of(&x, a))
        return number_of(&y, b) && x.known && y.known && x.negative == y.negative && x.exponent == y.exponent &&
               compare_bytes(x.digits, x.len, y.digits, y.len) == 0;
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case MSGPACK_OBJECT_NIL: return true;
    case MSGPACK_OBJECT_BOOLEAN: return a->via.boolean == b->via.boolean;
    case MSGPACK_OBJECT_STR:
        return compare_bytes(a->via.str.ptr, a->via.str.size, b->via.str.ptr, b->via.str.size) == 0;
    case MSGPACK_OBJECT_MAP: return is_same_map(&a->via.map, &b->via.map, arena);
    case MSGPACK_OBJECT_ARRAY:
        if (a->via.array.size != b->via.array.size)
            return false;
        for (uint32_t i = 0; i < a->via.array.size; i++)
            if (!is_same(&a->via.array.ptr[i], &b->via.array.ptr[i], arena))
                return false;
        return true;
    default: return false;
    }
}

static bool
json_same(const char *a, struct in b, struct arena *arena)
{
    char why[JSON_WHY_SIZE];
    struct buf packed;
    struct in value;
    bool same;

    buf_init(&packed, WIRE_MESSAGE_MAX);
    same = json_to_msgpack(a, strlen(a), &packed, why) == 0 &&
           in_decode(&value, arena, packed.data, packed.size) == 0 && is_same(value.object, b.object, arena);
    buf_free(&packed);
    return same;
}

struct str
json_text_after(struct in body, const char *name, const char *before, struct arena *arena)
{
    struct in value = in_at(body, name);

    if (!in_is_sent(body, name) || (before && in_has(value, "") && json_same(before, value, arena)))
        return str_of(before);
    return json_text_of(value, arena);
}

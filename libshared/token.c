/* token.c - the msgpack format, by its first bytes.
 *
 * msgpack-c's own unpacker believes what a container's head claims and reserves memory for it before the members are
 * there (5 bytes cost 2 GB), and its memory cannot come from an arena. A walk over the message is needed before it in
 * any case, and this is that walk.
 */
#include "token.h"

#include <assert.h>

#include "json.h"
#include "money.h"

static void
set_int(msgpack_object *token, int64_t value)
{
    token->type = value < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER : MSGPACK_OBJECT_POSITIVE_INTEGER;
    token->via.i64 = value;
}

/* Payloads of len bytes at *at. */
static int
take_payload(const uint8_t **at, const uint8_t *end, uint32_t len, msgpack_object_type type, msgpack_object *token)
{
    if ((size_t)(end - *at) < len)
        return -1;
    token->type = type;
    token->via.str.size = len; /* text and binary have the same shape */
    token->via.str.ptr = (const char *)*at;
    *at += len;
    return 0;
}

static int
take_ext(const uint8_t **at, const uint8_t *end, uint32_t len, msgpack_object *token)
{
    if (*at == end || (size_t)(end - *at) - 1 < len)
        return -1;
    token->type = MSGPACK_OBJECT_EXT;
    token->via.ext.type = (int8_t) * (*at)++;
    token->via.ext.size = len;
    token->via.ext.ptr = (const char *)*at;
    *at += len;
    return 0;
}

static int
take_container(uint32_t count, msgpack_object_type type, msgpack_object *token)
{
    token->type = type;
    if (type == MSGPACK_OBJECT_ARRAY)
        token->via.array = (msgpack_object_array){count, NULL};
    else
        token->via.map = (msgpack_object_map){count, NULL};
    return 0;
}

static int
take_float(const uint8_t *at, size_t size, msgpack_object *token)
{
    if (size == 4) {
        union {
            uint32_t bits;
            float value;
        } number = {.bits = (uint32_t)uint_from_bytes(at, 4)};

        token->type = MSGPACK_OBJECT_FLOAT32;
        token->via.f64 = (double)number.value;
    } else {
        union {
            uint64_t bits;
            double value;
        } number = {.bits = uint_from_bytes(at, 8)};

        token->type = MSGPACK_OBJECT_FLOAT64;
        token->via.f64 = number.value;
    }
    return 0;
}

static int
take_int(uint8_t head, const uint8_t *at, size_t size, msgpack_object *token)
{
    uint64_t bits = uint_from_bytes(at, size);

    if (head <= 0xcf) {
        token->type = MSGPACK_OBJECT_POSITIVE_INTEGER;
        token->via.u64 = bits;
    } else {
        unsigned shift = (unsigned)(64 - 8 * size);

        set_int(token, (int64_t)(bits << shift) >> shift);
    }
    return 0;
}

/* Heads 0xc4 to 0xdf carry a number of 1, 2, 4 or 8 bytes behind them: a length, a count or the value itself. */
static int
read_sized(uint8_t head, const uint8_t **at, const uint8_t *end, msgpack_object *token)
{
    static const uint8_t sizes[] = {
        1, 2, 4, 1, 2, 4, 4, 8, /* c4 bin, c7 ext, ca float */
        1, 2, 4, 8, 1, 2, 4, 8, /* cc uint, d0 int */
        0, 0, 0, 0, 0, 1, 2, 4, /* d4 fixext, d9 str */
        2, 4, 2, 4,             /* dc array, de map */
    };
    const uint8_t *number = *at;
    size_t size = sizes[head - 0xc4];
    uint32_t count;

    if ((size_t)(end - number) < size)
        return -1;
    *at += size;
    count = (uint32_t)uint_from_bytes(number, size < 8 ? size : 0);
    if (head <= 0xc6)
        return take_payload(at, end, count, MSGPACK_OBJECT_BIN, token);
    if (head <= 0xc9)
        return take_ext(at, end, count, token);
    if (head <= 0xcb)
        return take_float(number, size, token);
    if (head <= 0xd3)
        return take_int(head, number, size, token);
    if (head <= 0xd8)
        return take_ext(at, end, 1u << (head - 0xd4), token);
    if (head <= 0xdb)
        return take_payload(at, end, count, MSGPACK_OBJECT_STR, token);
    return take_container(count, head <= 0xdd ? MSGPACK_OBJECT_ARRAY : MSGPACK_OBJECT_MAP, token);
}

int
token_read(const uint8_t **at, const uint8_t *end, msgpack_object *token)
{
    uint8_t head;

    if (*at == end)
        return -1;
    head = *(*at)++;
    if (head <= 0x7f || head >= 0xe0) {
        set_int(token, (int8_t)head);
        return 0;
    }
    if (head <= 0x8f)
        return take_container(head & 0x0f, MSGPACK_OBJECT_MAP, token);
    if (head <= 0x9f)
        return take_container(head & 0x0f, MSGPACK_OBJECT_ARRAY, token);
    if (head <= 0xbf)
        return take_payload(at, end, head & 0x1f, MSGPACK_OBJECT_STR, token);
    switch (head) {
    case 0xc0: token->type = MSGPACK_OBJECT_NIL; return 0;
    case 0xc1: return -1; /* never used */
    case 0xc2:
    case 0xc3:
        token->type = MSGPACK_OBJECT_BOOLEAN;
        token->via.boolean = head == 0xc3;
        return 0;
    default: return read_sized(head, at, end, token);
    }
}

uint64_t
token_members(const msgpack_object *token)
{
    if (token->type == MSGPACK_OBJECT_ARRAY)
        return token->via.array.size;
    if (token->type == MSGPACK_OBJECT_MAP)
        return 2 * (uint64_t)token->via.map.size;
    return 0;
}

int
token_time(const msgpack_object *token, int64_t *time_us)
{
    const uint8_t *data;
    int64_t seconds;
    uint64_t nanoseconds = 0;

    if (token->type != MSGPACK_OBJECT_EXT || token->via.ext.type != -1)
        return -1;
    data = (const uint8_t *)token->via.ext.ptr;
    switch (token->via.ext.size) {
    case 4: seconds = (int64_t)uint_from_bytes(data, 4); break;
    case 8:
        nanoseconds = uint_from_bytes(data, 8) >> 34;
        seconds = (int64_t)(uint_from_bytes(data, 8) & UINT64_C(0x3ffffffff));
        break;
    case 12:
        nanoseconds = uint_from_bytes(data, 4);
        seconds = (int64_t)uint_from_bytes(data + 4, 8);
        break;
    default: return -1;
    }
    if (nanoseconds > 999999999 || __builtin_mul_overflow(seconds, 1000000, &seconds) ||
        __builtin_add_overflow(seconds, (int64_t)(nanoseconds / 1000), &seconds))
        return -1;
    *time_us = seconds;
    return 0;
}

static int
append_packed(void *target, const char *data, size_t size)
{
    return buf_append(target, data, size);
}

msgpack_packer
token_packer(struct buf *target)
{
    return (msgpack_packer){target, append_packed};
}

void
token_append_time(struct buf *target, int64_t time_us)
{
    int64_t rest = time_us % 1000000; /* of the second; before 1970 seconds are counted downwards */
    int64_t seconds = time_us / 1000000 - (rest < 0);
    uint64_t nanoseconds = (uint64_t)(rest < 0 ? rest + 1000000 : rest) * 1000;
    uint8_t bytes[15];

    if (seconds >= 0 && seconds < INT64_C(1) << 34) { /* until the year 2514 */
        bytes[0] = 0xd7;
        bytes[1] = 0xff;
        uint_to_bytes(bytes + 2, nanoseconds << 34 | (uint64_t)seconds, 8);
        buf_append(target, bytes, 10);
    } else {
        bytes[0] = 0xc7;
        bytes[1] = 12;
        bytes[2] = 0xff;
        uint_to_bytes(bytes + 3, nanoseconds, 4);
        uint_to_bytes(bytes + 7, (uint64_t)seconds, 8);
        buf_append(target, bytes, 15);
    }
}

void
token_append_money(struct buf *target, int64_t amount, unsigned decimals)
{
    uint8_t bytes[12] = {0xc7, 9, EXT_MONEY, (uint8_t)decimals};

    assert(decimals <= MONEY_DECIMALS_MAX);
    uint_to_bytes(bytes + 4, (uint64_t)amount, 8);
    buf_append(target, bytes, sizeof(bytes));
}

int
token_money(const msgpack_object *token, int64_t *amount, unsigned *decimals)
{
    const uint8_t *data;
    int64_t value;

    if (token->type != MSGPACK_OBJECT_EXT || token->via.ext.type != EXT_MONEY || token->via.ext.size != 9)
        return -1;
    data = (const uint8_t *)token->via.ext.ptr;
    value = (int64_t)uint_from_bytes(data + 1, 8);
    if (data[0] > MONEY_DECIMALS_MAX || value > MONEY_MAX || value < -MONEY_MAX)
        return -1;
    *amount = value;
    *decimals = data[0];
    return 0;
}

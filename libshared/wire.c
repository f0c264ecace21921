/* wire.c - the fixed header in front of every message between processes.
 *
 * Decoding is strict: a type, a flag or a status that no sender of ours writes means that the other side is not one of
 * ours, and its message is refused as a whole instead of being half understood.
 */
#include "wire.h"

#include <string.h>

#include "bounds.h"
#include "secret.h"

#define WIRE_FLAGS (WIRE_FLAG_JSON | WIRE_FLAG_AGAIN | WIRE_FLAG_ERROR | WIRE_FLAG_NESTED | WIRE_FLAG_BATCH)

static const uint8_t magic[4] = {'S', 'X', 'R', '1'};

void
wire_encode(const struct wire *self, uint8_t target[WIRE_SIZE])
{
    memcpy(target, magic, sizeof magic);
    target[4] = (uint8_t)self->type;
    target[5] = self->flags;
    uint_to_bytes(target + 6, self->status, 2);
    uint_to_bytes(target + 8, self->id, 8);
    uint_to_bytes(target + 16, self->budget_ms, 4);
    uint_to_bytes(target + 20, 0, 4);
}

int
wire_decode(struct wire *self, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    if (size != WIRE_SIZE || memcmp(bytes, magic, sizeof magic) != 0)
        return -1;
    if (bytes[4] < WIRE_READY || bytes[4] > WIRE_ACK || (bytes[5] & ~WIRE_FLAGS) != 0 ||
        uint_from_bytes(bytes + 20, 4) != 0)
        return -1;
    self->type = (enum wire_type)bytes[4];
    self->flags = bytes[5];
    self->status = (uint16_t)uint_from_bytes(bytes + 6, 2);
    self->id = uint_from_bytes(bytes + 8, 8);
    self->budget_ms = (uint32_t)uint_from_bytes(bytes + 16, 4);
    if (self->type == WIRE_REPLY ? self->status < 200 || self->status > 599 : self->status != 0)
        return -1;
    return 0;
}

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int
wire_split(const char *name, size_t len, struct str *service, struct str *operation)
{
    size_t first_dot = 0;

    if (len == 0 || len > OPERATION_NAME_MAX)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (name[i] != '.') {
            if (!is_name_char(name[i]))
                return -1;
            continue;
        }
        if (i == 0 || i + 1 == len || name[i - 1] == '.')
            return -1;
        if (first_dot == 0)
            first_dot = i;
    }
    if (first_dot == 0 || first_dot > SERVICE_NAME_MAX)
        return -1;
    *service = (struct str){name, first_dot};
    *operation = (struct str){name + first_dot + 1, len - first_dot - 1};
    return 0;
}

uint64_t
wire_incarnation(void)
{
    uint32_t random = 0;

    while (random == 0)
        secret_random(&random, sizeof random);
    return (uint64_t)random << 32;
}

/* jwt.c - sign, take apart, verify. */
#include "jwt.h"

#include <string.h>

#include "buf.h"
#include "json.h"
#include "text.h"

static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";

char *
jwt_sign(struct arena *arena, const void *key, size_t key_size, const char *payload)
{
    size_t payload_size = strlen(payload);
    char *token =
        arena_alloc(arena, BASE64_SIZE(sizeof header) + BASE64_SIZE(payload_size) + BASE64_SIZE(SHA256_SIZE) + 2);
    uint8_t mac[SHA256_SIZE];
    size_t len = text_to_base64url(token, header, sizeof header - 1);

    token[len++] = '.';
    len += text_to_base64url(token + len, payload, payload_size);
    secret_hmac(mac, key, key_size, token, len);
    token[len++] = '.';
    text_to_base64url(token + len, mac, sizeof mac);
    return token;
}

/* One base64url part that holds a JSON object. */
static int
read_part(struct in *target, struct arena *arena, struct str part)
{
    char *json = arena_alloc(arena, part.len + 1);
    char why[JSON_WHY_SIZE];
    struct buf packed;
    size_t size;
    int rc = -1;

    if (text_from_base64url(json, &size, part.base, part.len))
        return -1;
    buf_init(&packed, 4 * JWT_SIZE_MAX);
    if (json_to_msgpack(json, size, &packed, why) == 0)
        rc = in_decode(target, arena, arena_strndup(arena, packed.data, packed.size), packed.size);
    buf_free(&packed);
    return rc || target->object->type != MSGPACK_OBJECT_MAP ? -1 : 0;
}

int
jwt_read(struct jwt *self, struct arena *arena, struct str token)
{
    const char *first = token.len > 0 && token.len <= JWT_SIZE_MAX ? memchr(token.base, '.', token.len) : NULL;
    const char *end = token.base + token.len;
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    uint8_t signature[JWT_SIZE_MAX];
    struct in head;
    size_t size;

    if (!second || text_from_base64url(signature, &size, second + 1, (size_t)(end - second - 1)) || size != SHA256_SIZE)
        return -1;
    memcpy(self->signature, signature, SHA256_SIZE);
    self->signed_part = (struct str){token.base, (size_t)(second - token.base)};
    if (read_part(&head, arena, (struct str){token.base, (size_t)(first - token.base)}) ||
        !str_is(in_str(head, "alg"), "HS256") || in_has(head, "crit"))
        return -1;
    return read_part(&self->payload, arena, (struct str){first + 1, (size_t)(second - first - 1)});
}

bool
jwt_verify(const struct jwt *self, const void *key, size_t key_size)
{
    uint8_t mac[SHA256_SIZE];

    secret_hmac(mac, key, key_size, self->signed_part.base, self->signed_part.len);
    return secret_equal(mac, self->signature, sizeof mac);
}

int64_t
jwt_number(const struct jwt *self, const char *claim)
{
    struct str text = in_str(self->payload, claim);
    int64_t value;

    if (text.base && text_to_int(text.base, text.len, &value) == 0)
        return value;
    return in_int(self->payload, claim, 0);
}

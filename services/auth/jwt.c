/* jwt.c - sign, take apart, verify. */
#include "jwt.h"

#include <string.h>

#include "buf.h"
#include "json.h"
#include "text.h"

/* Token text up to and without the last dot, with room for a signature behind it. */
static char *
begin(struct arena *arena, const char *header, const char *payload, size_t *len)
{
    size_t header_size = strlen(header), payload_size = strlen(payload);
    char *token = arena_alloc(arena, BASE64_SIZE(header_size) + BASE64_SIZE(payload_size) +
                                         BASE64_SIZE(ES256_SIGNATURE_SIZE) + 2);

    *len = text_to_base64url(token, header, header_size);
    token[(*len)++] = '.';
    *len += text_to_base64url(token + *len, payload, payload_size);
    return token;
}

char *
jwt_sign(struct arena *arena, const void *key, size_t key_size, const char *payload)
{
    uint8_t mac[SHA256_SIZE];
    size_t len;
    char *token = begin(arena, "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", payload, &len);

    secret_hmac(mac, key, key_size, token, len);
    token[len++] = '.';
    text_to_base64url(token + len, mac, sizeof mac);
    return token;
}

char *
jwt_sign_es256(struct arena *arena, const uint8_t private_key[ES256_PRIVATE_SIZE],
               const uint8_t public_key[ES256_PUBLIC_SIZE], const char *kid, const char *payload)
{
    const char *header = arena_printf(arena, "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", kid);
    uint8_t signature[ES256_SIGNATURE_SIZE];
    size_t len;
    char *token = begin(arena, header, payload, &len);

    if (es256_sign(signature, private_key, public_key, token, len))
        return NULL;
    token[len++] = '.';
    text_to_base64url(token + len, signature, sizeof signature);
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

/* The header says one of the two algorithms, and the signature has that one's size. */
static int
read_header(struct jwt *self, struct in head, size_t signature_size)
{
    const char *kid = in_text(head, "kid");

    if (in_has(head, "crit"))
        return -1;
    self->kid = kid ? kid : "";
    self->es256 = str_is(in_str(head, "alg"), "ES256");
    if (self->es256)
        return signature_size == ES256_SIGNATURE_SIZE ? 0 : -1;
    return str_is(in_str(head, "alg"), "HS256") && signature_size == SHA256_SIZE ? 0 : -1;
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

    if (!second || text_from_base64url(signature, &size, second + 1, (size_t)(end - second - 1)) ||
        size > sizeof self->signature)
        return -1;
    memcpy(self->signature, signature, size);
    self->signed_part = (struct str){token.base, (size_t)(second - token.base)};
    if (read_part(&head, arena, (struct str){token.base, (size_t)(first - token.base)}) ||
        read_header(self, head, size))
        return -1;
    return read_part(&self->payload, arena, (struct str){first + 1, (size_t)(second - first - 1)});
}

bool
jwt_verify(const struct jwt *self, const void *key, size_t key_size)
{
    uint8_t mac[SHA256_SIZE];

    if (self->es256)
        return false;
    secret_hmac(mac, key, key_size, self->signed_part.base, self->signed_part.len);
    return secret_equal(mac, self->signature, sizeof mac);
}

bool
jwt_verify_es256(const struct jwt *self, const uint8_t public_key[ES256_PUBLIC_SIZE])
{
    return self->es256 && es256_verify(self->signature, public_key, self->signed_part.base, self->signed_part.len);
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

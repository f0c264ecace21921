/* jwt.h - JSON Web Tokens (RFC 7519) with HS256 or ES256, in compact form.
 *
 * Nothing in a token chooses how it is checked (RFC 8725, 3.1): whoever verifies says with which algorithm, because the
 * key it has is one of that algorithm, and a token of the other one is refused whatever its signature.
 */
#ifndef JWT_H
#define JWT_H

#include "arena.h"
#include "es256.h"
#include "in.h"
#include "secret.h"

#define JWT_SIZE_MAX 4096

struct jwt {
    struct in payload; /* a map; not to be believed before it is verified */
    struct str signed_part;
    bool es256;                              /* as the token says; else HS256 */
    const char *kid;                         /* "" when it names none */
    uint8_t signature[ES256_SIGNATURE_SIZE]; /* HS256 fills the first SHA256_SIZE bytes */
};

/* HS256. payload is JSON text. The answer lives in the arena. */
char *jwt_sign(struct arena *arena, const void *key, size_t key_size, const char *payload);

/* ES256. kid is of letters and digits. NULL when the halves are no key pair. */
char *jwt_sign_es256(struct arena *arena, const uint8_t private_key[ES256_PRIVATE_SIZE],
                     const uint8_t public_key[ES256_PUBLIC_SIZE], const char *kid, const char *payload);

/* Takes the token apart; -1 when it is none of the two. Borrows from token and arena. */
int jwt_read(struct jwt *self, struct arena *arena, struct str token) must_check;

/* Each is false for a token of the other algorithm. */
bool jwt_verify(const struct jwt *self, const void *key, size_t key_size);
bool jwt_verify_es256(const struct jwt *self, const uint8_t public_key[ES256_PUBLIC_SIZE]);

/* An integer claim, which may also be written as a string ("sub": "22"); 0 when it is neither. */
int64_t jwt_number(const struct jwt *self, const char *claim);

#endif

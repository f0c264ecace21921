/* jwt.h - JSON Web Tokens with HS256, the only algorithm this platform reads: nothing in a token chooses how it is
 * checked.
 */
#ifndef JWT_H
#define JWT_H

#include "arena.h"
#include "in.h"
#include "secret.h"

#define JWT_SIZE_MAX 4096

struct jwt {
    struct in payload; /* a map; not to be believed before jwt_verify */
    struct str signed_part;
    uint8_t signature[SHA256_SIZE];
};

/* payload is JSON text. The answer lives in the arena. */
char *jwt_sign(struct arena *arena, const void *key, size_t key_size, const char *payload);

/* Takes the token apart; -1 when it is no HS256 token. Borrows from token and arena. */
int jwt_read(struct jwt *self, struct arena *arena, struct str token) must_check;
bool jwt_verify(const struct jwt *self, const void *key, size_t key_size);

/* An integer claim, which may also be written as a string ("sub": "22"); 0 when it is neither. */
int64_t jwt_number(const struct jwt *self, const char *claim);

#endif

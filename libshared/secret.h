/* secret.h - everything OpenSSL and libargon2 do for us. All functions abort when the library itself fails. */
#ifndef SECRET_H
#define SECRET_H

#include "arena.h"
#include "base.h"

#define SHA256_SIZE     32
#define SHA512_SIZE     64
#define HEX_SIZE(bytes) (2 * (bytes) + 1)

void secret_random(void *target, size_t size);
void secret_hex(char *target, const void *data, size_t size); /* NUL-terminated, lower case */
int secret_unhex(void *target, size_t size, const char *hex, size_t len) must_check;

/* prefix + 2 x bytes hex digits of fresh randomness, as "sx_at_" with 32 bytes (contract B). In the arena. */
char *secret_token(struct arena *arena, const char *prefix, size_t bytes);

void secret_sha256(uint8_t target[SHA256_SIZE], const void *data, size_t size);
void secret_hmac(uint8_t target[SHA256_SIZE], const void *key, size_t key_size, const void *data, size_t size);
void secret_hmac_sha512(uint8_t target[SHA512_SIZE], const void *key, size_t key_size, const void *data, size_t size);
bool secret_equal(const void *a, const void *b, size_t size); /* constant time */
void secret_wipe(void *memory, size_t size);

/* Argon2id, 19 MiB, 2 passes, 1 lane (OWASP's first choice), in PHC form. Takes some 20 ms of CPU. */
#define PASSWORD_HASH_SIZE 128
void secret_password_hash(char target[PASSWORD_HASH_SIZE], const char *password, size_t len);
bool secret_password_matches(const char *hash, const char *password, size_t len);

/* Keys for one use are derived from the platform's master key (master_key.h, which is loaded before) with HKDF-SHA256
 * and a label, so that no key serves two ends. secret_derive_all gives the key in use first, and while the master key
 * is being exchanged the next one as well, which another process may use already; with old_too also the one before, for
 * what must still be recognized. The answer is how many, 1 or 2. */
#define DERIVED_KEY_SIZE 32
#define DERIVED_KEYS_MAX 2
void secret_derive(uint8_t target[DERIVED_KEY_SIZE], const char *label);
unsigned secret_derive_all(uint8_t targets[DERIVED_KEYS_MAX][DERIVED_KEY_SIZE], const char *label, bool old_too);

/* AES-256-GCM under the key derived for label: 4 bytes id of the master key, 12 bytes nonce, ciphertext, 16 bytes tag.
 * An id of zeros is that of values from before there were ids: any key may be theirs. `about` is authenticated but not
 * stored (the row's identity), so that a sealed value cannot be moved to another row. A column that holds sealed values
 * stands in its service's list of them (reseal.h), or it is lost when the master key is exchanged. */
#define SEAL_OVERHEAD 32
void secret_seal(uint8_t *target, const char *label, struct str about, const void *data, size_t size);
int secret_open(uint8_t *target, const char *label, struct str about, const void *sealed, size_t size) must_check;

#endif

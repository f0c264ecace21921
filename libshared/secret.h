/* secret.h - everything OpenSSL and libargon2 do for us. All functions abort when the library itself fails. */
#ifndef SECRET_H
#define SECRET_H

#include "arena.h"
#include "base.h"

#define SHA256_SIZE     32
#define HEX_SIZE(bytes) (2 * (bytes) + 1)

void secret_random(void *target, size_t size);
void secret_hex(char *target, const void *data, size_t size); /* NUL-terminated, lower case */
int secret_unhex(void *target, size_t size, const char *hex, size_t len) must_check;

/* prefix + 2 x bytes hex digits of fresh randomness, as "sx_at_" with 32 bytes (contract B). In the arena. */
char *secret_token(struct arena *arena, const char *prefix, size_t bytes);

void secret_sha256(uint8_t target[SHA256_SIZE], const void *data, size_t size);
void secret_hmac(uint8_t target[SHA256_SIZE], const void *key, size_t key_size, const void *data, size_t size);
bool secret_equal(const void *a, const void *b, size_t size); /* constant time */
void secret_wipe(void *memory, size_t size);

/* Argon2id, 19 MiB, 2 passes, 1 lane (OWASP's first choice), in PHC form. Takes some 20 ms of CPU. */
#define PASSWORD_HASH_SIZE 128
void secret_password_hash(char target[PASSWORD_HASH_SIZE], const char *password, size_t len);
bool secret_password_matches(const char *hash, const char *password, size_t len);

/* The platform's master key, read once from a file of 64 hex digits; log_fatal when that cannot be done. Keys for one
 * use are derived from it with HKDF-SHA256 and a label, so that no key serves two ends. */
void secret_load_master(const char *path);
void secret_derive(uint8_t target[32], const char *label);

/* AES-256-GCM under the key derived for label: 12 bytes nonce, ciphertext, 16 bytes tag. `about` is authenticated but
 * not stored (the row's identity), so that a sealed value cannot be moved to another row. */
#define SEAL_OVERHEAD 28
void secret_seal(uint8_t *target, const char *label, struct str about, const void *data, size_t size);
int secret_open(uint8_t *target, const char *label, struct str about, const void *sealed, size_t size) must_check;

#endif

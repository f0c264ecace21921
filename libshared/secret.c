/* secret.c - randomness, hashes, passwords, sealed values.
 *
 * Everything aborts when the library fails: a process that cannot draw a random number or compute a hash must not go on
 * with what happened to be in memory. What comes from outside (a password, a sealed value, a hash) can be wrong and
 * gets an answer instead.
 */
#include "secret.h"

#include <argon2.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "master_key.h"
#include "text.h"

#define NONCE_SIZE         12
#define TAG_SIZE           16
#define ARGON2_MEMORY_KIB  19456
#define ARGON2_PASSES      2
#define ARGON2_LANES       1
#define PASSWORD_SALT_SIZE 16
#define PASSWORD_RAW_SIZE  32

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MAC_CTX *hmac_sha256, *hmac_sha512; /* without a key: copied for each use */

static void
demand(bool good, const char *what)
{
    if (!good) {
        log_event(LOG_ERROR, "secret_failed", "s:what", what, NULL);
        abort();
    }
}

static EVP_MAC_CTX *
hmac_with(EVP_MAC *hmac, char *digest)
{
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);

    demand(context && EVP_MAC_CTX_set_params(context, parameters) == 1, "fetch of HMAC");
    return context;
}

/* Fetched once: looking an algorithm up by name costs more than hashing a token with it. */
static void
fetch_algorithms(void)
{
    char sha256_name[] = "SHA256", sha512_name[] = "SHA512";
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    demand(hmac != NULL && sha256 != NULL, "fetch of HMAC and SHA256");
    hmac_sha256 = hmac_with(hmac, sha256_name);
    hmac_sha512 = hmac_with(hmac, sha512_name);
    EVP_MAC_free(hmac); /* the contexts have their own hold of it */
}

void
secret_random(void *target, size_t size)
{
    uint8_t *bytes = target;

    while (size > 0) {
        int step = size > 1 << 20 ? 1 << 20 : (int)size;

        demand(RAND_bytes(bytes, step) == 1, "random numbers");
        bytes += step;
        size -= (size_t)step;
    }
}

void
secret_hex(char *target, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++) {
        target[2 * i] = digits[bytes[i] >> 4];
        target[2 * i + 1] = digits[bytes[i] & 15];
    }
    target[2 * size] = '\0';
}

int
secret_unhex(void *target, size_t size, const char *hex, size_t len)
{
    uint8_t *bytes = target;

    if (len != 2 * size)
        return -1;
    for (size_t i = 0; i < size; i++) {
        int high = text_hex_digit(hex[2 * i]);
        int low = text_hex_digit(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return -1;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

char *
secret_token(struct arena *arena, const char *prefix, size_t bytes)
{
    size_t prefix_len = strlen(prefix);
    uint8_t *random = arena_alloc(arena, bytes);
    char *token = arena_alloc(arena, prefix_len + HEX_SIZE(bytes));

    secret_random(random, bytes);
    memcpy(token, prefix, prefix_len + 1);
    secret_hex(token + prefix_len, random, bytes);
    secret_wipe(random, bytes);
    return token;
}

void
secret_sha256(uint8_t target[SHA256_SIZE], const void *data, size_t size)
{
    pthread_once(&fetched, fetch_algorithms);
    demand(EVP_Digest(data, size, target, NULL, sha256, NULL) == 1, "sha256");
}

static void
authenticate(const EVP_MAC_CTX *with, uint8_t *target, size_t target_size, const void *key, size_t key_size,
             const void *data, size_t size)
{
    EVP_MAC_CTX *context = EVP_MAC_CTX_dup(with);
    size_t written = 0;

    demand(context && EVP_MAC_init(context, key, key_size, NULL) == 1 && EVP_MAC_update(context, data, size) == 1 &&
               EVP_MAC_final(context, target, &written, target_size) == 1 && written == target_size,
           "hmac");
    EVP_MAC_CTX_free(context);
}

void
secret_hmac(uint8_t target[SHA256_SIZE], const void *key, size_t key_size, const void *data, size_t size)
{
    pthread_once(&fetched, fetch_algorithms);
    authenticate(hmac_sha256, target, SHA256_SIZE, key, key_size, data, size);
}

void
secret_hmac_sha512(uint8_t target[SHA512_SIZE], const void *key, size_t key_size, const void *data, size_t size)
{
    pthread_once(&fetched, fetch_algorithms);
    authenticate(hmac_sha512, target, SHA512_SIZE, key, key_size, data, size);
}

bool
secret_equal(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}

void
secret_wipe(void *memory, size_t size)
{
    OPENSSL_cleanse(memory, size);
}

void
secret_password_hash(char target[PASSWORD_HASH_SIZE], const char *password, size_t len)
{
    uint8_t salt[PASSWORD_SALT_SIZE];

    secret_random(salt, sizeof salt);
    demand(argon2id_hash_encoded(ARGON2_PASSES, ARGON2_MEMORY_KIB, ARGON2_LANES, password, len, salt, sizeof salt,
                                 PASSWORD_RAW_SIZE, target, PASSWORD_HASH_SIZE) == ARGON2_OK,
           "argon2id");
}

bool
secret_password_matches(const char *hash, const char *password, size_t len)
{
    return argon2id_verify(hash, password, len) == ARGON2_OK;
}

void
secret_derive(uint8_t target[DERIVED_KEY_SIZE], const char *label)
{
    struct master_keys keys;

    master_take(&keys);
    master_derive(&keys.current, label, target);
    secret_wipe(&keys, sizeof keys);
}

unsigned
secret_derive_all(uint8_t targets[DERIVED_KEYS_MAX][DERIVED_KEY_SIZE], const char *label, bool old_too)
{
    struct master_keys keys;
    unsigned count;

    master_take(&keys);
    count = keys.other == MASTER_NEXT || (keys.other == MASTER_OLD && old_too) ? 2 : 1;
    master_derive(&keys.current, label, targets[0]);
    if (count > 1)
        master_derive(&keys.second, label, targets[1]);
    secret_wipe(&keys, sizeof keys);
    return count;
}

void
secret_seal(uint8_t *target, const char *label, struct str about, const void *data, size_t size)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    const uint8_t *about_bytes = (const uint8_t *)(about.base ? about.base : ""); /* NULL would mean "finish" */
    uint8_t key[DERIVED_KEY_SIZE], *nonce = target + MASTER_KEY_ID_SIZE, *inner = nonce + NONCE_SIZE;
    struct master_keys keys;
    int written;

    master_take(&keys);
    memcpy(target, keys.current.id, MASTER_KEY_ID_SIZE);
    master_derive(&keys.current, label, key);
    secret_wipe(&keys, sizeof keys);
    secret_random(nonce, NONCE_SIZE);
    demand(size <= INT32_MAX && context && EVP_EncryptInit_ex2(context, EVP_aes_256_gcm(), key, nonce, NULL) == 1 &&
               EVP_EncryptUpdate(context, NULL, &written, about_bytes, (int)about.len) == 1 &&
               EVP_EncryptUpdate(context, inner, &written, size ? data : target, (int)size) == 1 &&
               EVP_EncryptFinal_ex(context, inner + size, &written) == 1 &&
               EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, inner + size) == 1,
           "seal");
    EVP_CIPHER_CTX_free(context);
    secret_wipe(key, sizeof key);
}

/* bytes begin with the nonce; size is that of the inner value. */
static int
open_with(const struct master_key *master, uint8_t *target, const char *label, struct str about, const uint8_t *bytes,
          size_t size)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    const uint8_t *about_bytes = (const uint8_t *)(about.base ? about.base : "");
    uint8_t key[DERIVED_KEY_SIZE], tag[TAG_SIZE];
    int written, good;

    memcpy(tag, bytes + NONCE_SIZE + size, TAG_SIZE);
    master_derive(master, label, key);
    demand(context && EVP_DecryptInit_ex2(context, EVP_aes_256_gcm(), key, bytes, NULL) == 1 &&
               EVP_DecryptUpdate(context, NULL, &written, about_bytes, (int)about.len) == 1 &&
               EVP_DecryptUpdate(context, target, &written, bytes + NONCE_SIZE, (int)size) == 1 &&
               EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1,
           "open");
    good = EVP_DecryptFinal_ex(context, target + size, &written);
    EVP_CIPHER_CTX_free(context);
    secret_wipe(key, sizeof key);
    if (good != 1)
        secret_wipe(target, size);
    return good == 1 ? 0 : -1;
}

int
secret_open(uint8_t *target, const char *label, struct str about, const void *sealed, size_t size)
{
    static const uint8_t no_id[MASTER_KEY_ID_SIZE];
    const uint8_t *bytes = sealed, *nonce = bytes + MASTER_KEY_ID_SIZE;
    size_t inner = size - SEAL_OVERHEAD;
    struct master_keys keys;
    bool any;
    int rc = -1;

    if (size < SEAL_OVERHEAD || size > INT32_MAX)
        return -1;
    master_take(&keys);
    any = memcmp(bytes, no_id, sizeof no_id) == 0;
    if (any || memcmp(bytes, keys.current.id, MASTER_KEY_ID_SIZE) == 0)
        rc = open_with(&keys.current, target, label, about, nonce, inner);
    if (rc && keys.other != MASTER_NONE && (any || memcmp(bytes, keys.second.id, MASTER_KEY_ID_SIZE) == 0))
        rc = open_with(&keys.second, target, label, about, nonce, inner);
    secret_wipe(&keys, sizeof keys);
    return rc;
}

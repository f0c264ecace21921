/* secret.c - randomness, hashes, passwords, sealed values.
 *
 * Everything aborts when the library fails: a process that cannot draw a random number or compute a hash must not go on
 * with what happened to be in memory. What comes from outside (a password, a sealed value, a hash) can be wrong and
 * gets an answer instead.
 */
#include "secret.h"

#include <argon2.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "text.h"

#define NONCE_SIZE         12
#define TAG_SIZE           16
#define ARGON2_MEMORY_KIB  19456
#define ARGON2_PASSES      2
#define ARGON2_LANES       1
#define PASSWORD_SALT_SIZE 16
#define PASSWORD_RAW_SIZE  32
#define MASTER_SIZE        32

static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static uint8_t master[MASTER_SIZE];
static bool master_loaded;

static void
demand(bool good, const char *what)
{
    if (!good) {
        log_event(LOG_ERROR, "secret_failed", "s:what", what, NULL);
        abort();
    }
}

/* Fetched once: looking an algorithm up by name costs more than hashing a token with it. */
static void
fetch_algorithms(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    demand(sha256 != NULL, "fetch of SHA256");
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

void
secret_hmac(uint8_t target[SHA256_SIZE], const void *key, size_t key_size, const void *data, size_t size)
{
    unsigned written = 0;

    pthread_once(&fetched, fetch_algorithms);
    demand(HMAC(sha256, key, (int)key_size, data, size, target, &written) && written == SHA256_SIZE, "hmac");
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
secret_load_master(const char *path)
{
    char text[2 * MASTER_SIZE + 2];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text);

    if (fd >= 0)
        close(fd);
    if (size == 2 * MASTER_SIZE + 1 && text[size - 1] == '\n')
        size--;
    if (size != 2 * MASTER_SIZE || secret_unhex(master, sizeof master, text, (size_t)size))
        log_fatal("master_key_unusable", "s:path", path, "s:why",
                  fd < 0 ? "the file cannot be read; make up writes it, or set SX_MASTER_KEY_FILE"
                         : "the file must hold exactly 64 hex digits",
                  NULL);
    secret_wipe(text, sizeof text);
    master_loaded = true;
}

void
secret_derive(uint8_t target[32], const char *label)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, master, sizeof master),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (char *)label, strlen(label)),
        OSSL_PARAM_construct_end(),
    };

    demand(master_loaded, "a key was asked for before secret_load_master");
    demand(context && EVP_KDF_derive(context, target, 32, parameters) == 1, "hkdf");
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

void
secret_seal(uint8_t *target, const char *label, struct str about, const void *data, size_t size)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    const uint8_t *about_bytes = (const uint8_t *)(about.base ? about.base : ""); /* NULL would mean "finish" */
    uint8_t key[32];
    int written;

    secret_derive(key, label);
    secret_random(target, NONCE_SIZE);
    demand(size <= INT32_MAX && context && EVP_EncryptInit_ex2(context, EVP_aes_256_gcm(), key, target, NULL) == 1 &&
               EVP_EncryptUpdate(context, NULL, &written, about_bytes, (int)about.len) == 1 &&
               EVP_EncryptUpdate(context, target + NONCE_SIZE, &written, size ? data : target, (int)size) == 1 &&
               EVP_EncryptFinal_ex(context, target + NONCE_SIZE + size, &written) == 1 &&
               EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, target + NONCE_SIZE + size) == 1,
           "seal");
    EVP_CIPHER_CTX_free(context);
    secret_wipe(key, sizeof key);
}

int
secret_open(uint8_t *target, const char *label, struct str about, const void *sealed, size_t size)
{
    EVP_CIPHER_CTX *context;
    const uint8_t *bytes = sealed;
    const uint8_t *about_bytes = (const uint8_t *)(about.base ? about.base : "");
    uint8_t key[32], tag[TAG_SIZE];
    int written, good;
    size_t inner = size - SEAL_OVERHEAD;

    if (size < SEAL_OVERHEAD || size > INT32_MAX)
        return -1;
    context = EVP_CIPHER_CTX_new();
    memcpy(tag, bytes + NONCE_SIZE + inner, TAG_SIZE);
    secret_derive(key, label);
    demand(context && EVP_DecryptInit_ex2(context, EVP_aes_256_gcm(), key, bytes, NULL) == 1 &&
               EVP_DecryptUpdate(context, NULL, &written, about_bytes, (int)about.len) == 1 &&
               EVP_DecryptUpdate(context, target, &written, bytes + NONCE_SIZE, (int)inner) == 1 &&
               EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1,
           "open");
    good = EVP_DecryptFinal_ex(context, target + inner, &written);
    EVP_CIPHER_CTX_free(context);
    secret_wipe(key, sizeof key);
    if (good != 1) {
        secret_wipe(target, inner);
        return -1;
    }
    return 0;
}

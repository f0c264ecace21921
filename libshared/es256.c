/* es256.c - OpenSSL's keys and signatures turned into the bytes of JWK and JWS, and back.
 *
 * OpenSSL signs in DER, whose length varies; JWS wants r and s side by side (RFC 7518, 3.4). A public key is checked to
 * lie on the curve when it is taken in, so that no made-up point is ever computed with.
 */
#include "es256.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define CURVE        "P-256"
#define DER_MAX      80                              /* of a signature on this curve: 72 at most */
#define POINT_SIZE   (1 + 2 * ES256_COORDINATE_SIZE) /* uncompressed, as SEC 1 writes it */
#define UNCOMPRESSED 4

static void
demand(bool good, const char *what)
{
    if (!good) {
        log_event(LOG_ERROR, "es256_failed", "s:what", what, NULL);
        abort();
    }
}

void
es256_generate(uint8_t private_key[ES256_PRIVATE_SIZE], uint8_t public_key[ES256_PUBLIC_SIZE])
{
    EVP_PKEY *pair = EVP_EC_gen(CURVE);
    BIGNUM *d = NULL, *x = NULL, *y = NULL;

    demand(pair && EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1 &&
               EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
               EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
               BN_bn2binpad(d, private_key, ES256_PRIVATE_SIZE) == ES256_PRIVATE_SIZE &&
               BN_bn2binpad(x, public_key, ES256_COORDINATE_SIZE) == ES256_COORDINATE_SIZE &&
               BN_bn2binpad(y, public_key + ES256_COORDINATE_SIZE, ES256_COORDINATE_SIZE) == ES256_COORDINATE_SIZE,
           "generate");
    BN_clear_free(d);
    BN_free(x);
    BN_free(y);
    EVP_PKEY_free(pair);
}

/* private_key is NULL for one that only verifies. NULL when it is no key of this curve. */
static EVP_PKEY *
take_key(const uint8_t *private_key, const uint8_t public_key[ES256_PUBLIC_SIZE])
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *d = private_key ? BN_secure_new() : NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    int selection = private_key ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    uint8_t point[POINT_SIZE] = {UNCOMPRESSED};
    OSSL_PARAM *parameters;
    EVP_PKEY *key = NULL;

    memcpy(point + 1, public_key, ES256_PUBLIC_SIZE);
    demand(builder && context && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, CURVE, 0) == 1 &&
               OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1,
           "parameters");
    if (private_key)
        demand(d && BN_bin2bn(private_key, ES256_PRIVATE_SIZE, d) &&
                   OSSL_PARAM_BLD_push_BN_pad(builder, OSSL_PKEY_PARAM_PRIV_KEY, d, ES256_PRIVATE_SIZE) == 1,
               "private key");
    parameters = OSSL_PARAM_BLD_to_param(builder);
    demand(parameters && EVP_PKEY_fromdata_init(context) == 1, "parameters");
    if (EVP_PKEY_fromdata(context, &key, selection, parameters) != 1) {
        ERR_clear_error();
        key = NULL;
    }
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    BN_clear_free(d);
    return key;
}

/* r and s of a signature in DER. */
static void
from_der(uint8_t signature[ES256_SIGNATURE_SIZE], const uint8_t *der, size_t size)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)size);

    demand(pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, ES256_COORDINATE_SIZE) == ES256_COORDINATE_SIZE &&
               BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + ES256_COORDINATE_SIZE, ES256_COORDINATE_SIZE) ==
                   ES256_COORDINATE_SIZE,
           "signature");
    ECDSA_SIG_free(pair);
}

static int
to_der(uint8_t der[DER_MAX], const uint8_t signature[ES256_SIGNATURE_SIZE])
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, ES256_COORDINATE_SIZE, NULL);
    BIGNUM *s = BN_bin2bn(signature + ES256_COORDINATE_SIZE, ES256_COORDINATE_SIZE, NULL);
    int size;

    demand(pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1, "signature"); /* r and s now belong to the pair */
    size = i2d_ECDSA_SIG(pair, &der);
    demand(size > 0 && size <= DER_MAX, "signature");
    ECDSA_SIG_free(pair);
    return size;
}

int
es256_sign(uint8_t signature[ES256_SIGNATURE_SIZE], const uint8_t private_key[ES256_PRIVATE_SIZE],
           const uint8_t public_key[ES256_PUBLIC_SIZE], const void *data, size_t size)
{
    EVP_PKEY *key = take_key(private_key, public_key);
    EVP_MD_CTX *context;
    uint8_t der[DER_MAX];
    size_t len = sizeof der;

    if (!key)
        return -1;
    context = EVP_MD_CTX_new();
    demand(context && EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
               EVP_DigestSign(context, der, &len, data, size) == 1,
           "sign");
    from_der(signature, der, len);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    /* Halves that do not belong together sign as well; nobody could check it. */
    return es256_verify(signature, public_key, data, size) ? 0 : -1;
}

bool
es256_verify(const uint8_t signature[ES256_SIGNATURE_SIZE], const uint8_t public_key[ES256_PUBLIC_SIZE],
             const void *data, size_t size)
{
    EVP_PKEY *key = take_key(NULL, public_key);
    EVP_MD_CTX *context;
    uint8_t der[DER_MAX];
    bool good;

    if (!key)
        return false;
    context = EVP_MD_CTX_new();
    demand(context && EVP_DigestVerifyInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) == 1, "verify");
    good = EVP_DigestVerify(context, der, (size_t)to_der(der, signature), data, size) == 1;
    ERR_clear_error(); /* of a signature that is none; whoever uses OpenSSL next on this thread must not find it */
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good;
}

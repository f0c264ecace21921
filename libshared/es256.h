/* es256.h - signatures that others can check without a shared secret: ECDSA on P-256 with SHA-256 (RFC 7518, 3.4).
 *
 * Keys and signatures are fixed-size bytes, big-endian, as JWK and JWS write them: a private key is the scalar d, a
 * public key is x and y, a signature is r and s. All functions abort when the library itself fails; bytes from outside
 * that are no key or no signature get an answer.
 */
#ifndef ES256_H
#define ES256_H

#include "base.h"

#define ES256_COORDINATE_SIZE 32
#define ES256_PRIVATE_SIZE    32
#define ES256_PUBLIC_SIZE     64
#define ES256_SIGNATURE_SIZE  64

/* A fresh pair. The private half is the caller's to seal and to wipe. */
void es256_generate(uint8_t private_key[ES256_PRIVATE_SIZE], uint8_t public_key[ES256_PUBLIC_SIZE]);

/* -1 when the two halves are no key pair of this curve. */
int es256_sign(uint8_t signature[ES256_SIGNATURE_SIZE], const uint8_t private_key[ES256_PRIVATE_SIZE],
               const uint8_t public_key[ES256_PUBLIC_SIZE], const void *data, size_t size) must_check;

bool es256_verify(const uint8_t signature[ES256_SIGNATURE_SIZE], const uint8_t public_key[ES256_PUBLIC_SIZE],
                  const void *data, size_t size);

#endif

/* Hashes against published vectors, passwords, and sealed values that open only where they belong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "master_key.h"
#include "secret.h"

#define MASTER "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"

static int
load_master(void **state)
{
    char path[] = "/tmp/test_secret_XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    if (fd < 0 || write(fd, MASTER, sizeof MASTER - 1) != sizeof MASTER - 1)
        return -1;
    close(fd);
    master_load(path);
    return unlink(path);
}

static void
hashes_are_the_published_ones(void **state)
{
    uint8_t key[131];
    uint8_t hash[SHA256_SIZE];
    char hex[HEX_SIZE(SHA256_SIZE)];

    (void)state;
    secret_sha256(hash, "abc", 3); /* FIPS 180-2 */
    secret_hex(hex, hash, sizeof hash);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    secret_sha256(hash, "", 0);
    secret_hex(hex, hash, sizeof hash);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    secret_hmac(hash, "Jefe", 4, "what do ya want for nothing?", 28); /* RFC 4231, case 2 */
    secret_hex(hex, hash, sizeof hash);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key); /* case 6: a key that is longer than a block */
    secret_hmac(hash, key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First", 54);
    secret_hex(hex, hash, sizeof hash);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    secret_hmac(hash, "", 0, "", 0);
    secret_hex(hex, hash, sizeof hash);
    assert_string_equal(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void
hex_is_read_strictly(void **state)
{
    uint8_t bytes[3];

    (void)state;
    assert_int_equal(secret_unhex(bytes, 3, "00aBfF", 6), 0);
    assert_memory_equal(bytes, "\x00\xab\xff", 3);
    assert_int_equal(secret_unhex(bytes, 3, "00abf", 5), -1);
    assert_int_equal(secret_unhex(bytes, 3, "00abfg", 6), -1);
    assert_int_equal(secret_unhex(bytes, 3, "0x00ab", 6), -1);
    assert_int_equal(secret_unhex(bytes, 3, "00abff00", 8), -1);
}

static void
tokens_are_fresh(void **state)
{
    struct arena *arena = arena_new(256);
    const char *a = secret_token(arena, "sx_at_", 32), *b = secret_token(arena, "sx_at_", 32);

    (void)state;
    assert_int_equal(strlen(a), 6 + 64);
    assert_memory_equal(a, "sx_at_", 6);
    assert_int_equal(strspn(a + 6, "0123456789abcdef"), 64);
    assert_string_not_equal(a, b);
    arena_destroy(&arena);
}

static void
comparison_is_exact(void **state)
{
    (void)state;
    assert_true(secret_equal("same", "same", 4));
    assert_false(secret_equal("same", "sane", 4));
    assert_true(secret_equal("", "", 0));
}

static void
passwords_match_only_themselves(void **state)
{
    char hash[PASSWORD_HASH_SIZE], other[PASSWORD_HASH_SIZE];

    (void)state;
    secret_password_hash(hash, "correct horse", 13);
    secret_password_hash(other, "correct horse", 13);
    assert_memory_equal(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_string_not_equal(hash, other); /* salted */
    assert_true(secret_password_matches(hash, "correct horse", 13));
    assert_false(secret_password_matches(hash, "correct horsf", 13));
    assert_false(secret_password_matches(hash, "", 0));
    assert_false(secret_password_matches("", "correct horse", 13));
    assert_false(secret_password_matches("$argon2id$nonsense", "correct horse", 13));
}

static void
keys_differ_by_label(void **state)
{
    uint8_t a[32], b[32], again[32];
    char hex[HEX_SIZE(32)];

    (void)state;
    secret_derive(a, "cursor");
    secret_derive(b, "secrets");
    secret_derive(again, "cursor");
    assert_memory_equal(a, again, 32);
    assert_memory_not_equal(a, b, 32);
    /* HKDF-SHA256 of the master key without salt and with this label, computed with another implementation. */
    secret_hex(hex, a, 32);
    assert_string_equal(hex, "9202600af550cd6812435a9dae11b2e67ad0a64b5bcbefd35c54af37071f5cd1");
}

static void
sealed_values_open_only_where_they_belong(void **state)
{
    static const char text[] = "sx_cs_0123456789";
    uint8_t sealed[sizeof text + SEAL_OVERHEAD], again[sizeof sealed], opened[sizeof text];

    (void)state;
    secret_seal(sealed, "secrets", STR("app:7"), text, sizeof text);
    secret_seal(again, "secrets", STR("app:7"), text, sizeof text);
    assert_memory_not_equal(sealed, again, sizeof sealed); /* fresh nonce */
    assert_int_equal(secret_open(opened, "secrets", STR("app:7"), sealed, sizeof sealed), 0);
    assert_memory_equal(opened, text, sizeof text);
    assert_int_equal(secret_open(opened, "secrets", STR("app:8"), sealed, sizeof sealed), -1);
    assert_int_equal(secret_open(opened, "cursor", STR("app:7"), sealed, sizeof sealed), -1);
    assert_int_equal(secret_open(opened, "secrets", (struct str){NULL, 0}, sealed, sizeof sealed), -1);
    for (size_t i = 0; i < sizeof sealed; i++) {
        memcpy(again, sealed, sizeof sealed);
        again[i] ^= 1;
        assert_int_equal(secret_open(opened, "secrets", STR("app:7"), again, sizeof again), -1);
    }
    for (size_t size = 0; size < sizeof sealed; size++)
        assert_int_equal(secret_open(opened, "secrets", STR("app:7"), sealed, size), -1);
}

static void
nothing_can_be_sealed_too(void **state)
{
    uint8_t sealed[SEAL_OVERHEAD], opened[1];

    (void)state;
    secret_seal(sealed, "secrets", (struct str){NULL, 0}, NULL, 0);
    assert_int_equal(secret_open(opened, "secrets", (struct str){NULL, 0}, sealed, sizeof sealed), 0);
    assert_int_equal(secret_open(opened, "secrets", STR("x"), sealed, sizeof sealed), -1);
}

/* A value that was sealed before sealed values named their key. */
static void
values_without_an_id_open_too(void **state)
{
    uint8_t sealed[4 + SEAL_OVERHEAD], opened[4];

    (void)state;
    secret_seal(sealed, "secrets", STR("app:7"), "text", 4);
    memset(sealed, 0, MASTER_KEY_ID_SIZE);
    assert_int_equal(secret_open(opened, "secrets", STR("app:7"), sealed, sizeof sealed), 0);
    assert_memory_equal(opened, "text", 4);
    sealed[sizeof sealed - 1] ^= 1;
    assert_int_equal(secret_open(opened, "secrets", STR("app:7"), sealed, sizeof sealed), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_the_published_ones),
        cmocka_unit_test(hex_is_read_strictly),
        cmocka_unit_test(tokens_are_fresh),
        cmocka_unit_test(comparison_is_exact),
        cmocka_unit_test(passwords_match_only_themselves),
        cmocka_unit_test(keys_differ_by_label),
        cmocka_unit_test(sealed_values_open_only_where_they_belong),
        cmocka_unit_test(nothing_can_be_sealed_too),
        cmocka_unit_test(values_without_an_id_open_too),
    };

    return cmocka_run_group_tests(tests, load_master, NULL);
}

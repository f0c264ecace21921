/* ES256 against the RFC's example, and against keys and signatures that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "es256.h"
#include "text.h"

/* RFC 7515, A.3. */
static const char text[] =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc1"
    "9yb290Ijp0cnVlfQ";
static uint8_t private_key[ES256_PRIVATE_SIZE], public_key[ES256_PUBLIC_SIZE], signature[ES256_SIGNATURE_SIZE];

static void
take(uint8_t *target, size_t size, const char *base64)
{
    size_t len;

    assert_int_equal(text_from_base64url(target, &len, base64, strlen(base64)), 0);
    assert_int_equal(len, size);
}

static int
set_up(void **state)
{
    (void)state;
    take(private_key, 32, "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    take(public_key, 32, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    take(public_key + 32, 32, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    take(signature, 64, "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
    return 0;
}

static void
the_published_signature_is_good(void **state)
{
    (void)state;
    assert_true(es256_verify(signature, public_key, text, sizeof text - 1));
    assert_false(es256_verify(signature, public_key, text, sizeof text - 2));
}

static void
what_we_sign_is_good_and_fresh(void **state)
{
    uint8_t first[ES256_SIGNATURE_SIZE], second[ES256_SIGNATURE_SIZE];

    (void)state;
    assert_int_equal(es256_sign(first, private_key, public_key, text, sizeof text - 1), 0);
    assert_int_equal(es256_sign(second, private_key, public_key, text, sizeof text - 1), 0);
    assert_true(es256_verify(first, public_key, text, sizeof text - 1));
    assert_memory_not_equal(first, second, sizeof first);
}

static void
one_bit_is_enough(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 8 * ES256_SIGNATURE_SIZE; bit += 5) {
        uint8_t bent[ES256_SIGNATURE_SIZE];

        memcpy(bent, signature, sizeof bent);
        bent[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(es256_verify(bent, public_key, text, sizeof text - 1));
    }
}

static void
numbers_out_of_range_sign_nothing(void **state)
{
    static const uint8_t order[] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                    0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    uint8_t bent[ES256_SIGNATURE_SIZE] = {0};

    (void)state;
    assert_false(es256_verify(bent, public_key, text, sizeof text - 1)); /* r = s = 0: CVE-2022-21449 */
    memcpy(bent, order, 32);
    memcpy(bent + 32, order, 32);
    assert_false(es256_verify(bent, public_key, text, sizeof text - 1));
    memset(bent, 0xff, sizeof bent);
    assert_false(es256_verify(bent, public_key, text, sizeof text - 1));
}

static void
keys_that_are_none_are_refused(void **state)
{
    uint8_t point[ES256_PUBLIC_SIZE] = {0}, fresh[ES256_PRIVATE_SIZE], made[ES256_SIGNATURE_SIZE];

    (void)state;
    assert_false(es256_verify(signature, point, text, sizeof text - 1));
    memcpy(point, public_key, sizeof point);
    point[63] ^= 1; /* beside the curve */
    assert_false(es256_verify(signature, point, text, sizeof text - 1));
    es256_generate(fresh, point);
    assert_int_equal(es256_sign(made, fresh, public_key, text, sizeof text - 1), -1); /* halves of two pairs */
    memset(fresh, 0, sizeof fresh);
    assert_int_equal(es256_sign(made, fresh, public_key, text, sizeof text - 1), -1);
}

static void
fresh_pairs_work_and_differ(void **state)
{
    uint8_t first[ES256_PRIVATE_SIZE], second[ES256_PRIVATE_SIZE], point[ES256_PUBLIC_SIZE], made[ES256_SIGNATURE_SIZE];

    (void)state;
    es256_generate(first, point);
    assert_int_equal(es256_sign(made, first, point, "", 0), 0);
    assert_true(es256_verify(made, point, "", 0));
    assert_false(es256_verify(made, public_key, "", 0));
    es256_generate(second, point);
    assert_memory_not_equal(first, second, sizeof first);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_signature_is_good),
        cmocka_unit_test(what_we_sign_is_good_and_fresh),
        cmocka_unit_test(one_bit_is_enough),
        cmocka_unit_test(numbers_out_of_range_sign_nothing),
        cmocka_unit_test(keys_that_are_none_are_refused),
        cmocka_unit_test(fresh_pairs_work_and_differ),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}

/* Secrets in what is logged: whatever has the form of one is masked, all else stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mask.h"

#define HEX32 "0123456789abcdef0123456789ABCDEF"
#define HEX64 HEX32 HEX32

static void
check(const char *text, const char *expected)
{
    struct arena *arena = arena_new(4096);
    struct str masked = mask_secrets(arena, str_of(text));

    assert_int_equal(masked.len, strlen(expected));
    assert_memory_equal(masked.base, expected, masked.len);
    arena_destroy(&arena);
}

static void
secrets(void **state)
{
    (void)state;
    check("/x/sx_at_" HEX64, "/x/sx_at_***");
    check("/sx_secret_" HEX64 "/y", "/sx_secret_***/y");
    check("/sx_ms_" HEX64 "/sx_rt_" HEX32 "?", "/sx_ms_***/sx_rt_***?");
    check("sx_ac_0123456789abcdef", "sx_ac_***"); /* one that was cut on the way */
    check("/whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw/", "/whsec_***/");
    check("/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_x/z", "/***/z");
    check("/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0", "/***");
    check("/session_eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x", "/session_***");
    check("/key/" HEX64, "/key/***");
    check("/sx%5Fat_" HEX64, "/sx%5Fat_***");
}

static void
other_words(void **state)
{
    static const char *const plain[] = {
        "",
        "/",
        "/api/apps/v1/orders/12345",
        "/sx_app_" HEX32,
        "/" HEX32,
        "/sx_at_",
        "/sx_at_0123",
        "/sx__" HEX32,
        "/whsec_",
        "/eyebrow.example/eyelids",
        "/eyJhbGciOiJIUzI1NiJ9",
        "/.well-known/jwks.json",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++)
        check(plain[i], plain[i]);
}

/* Each looks like a beginning at every place; reading on from each would take minutes. */
static void
much_that_nearly_is_one(void **state)
{
    enum { SIZE = 1000000 };
    static const char *const parts[] = {"ey", "sx_", "sx_at", "whsec_-", "eyJeyJeyJ.", "0123456789abcdef."};
    struct arena *arena = arena_new(4096);
    char *text = xmalloc(SIZE);

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        struct str masked;

        for (size_t at = 0; at < SIZE; at++)
            text[at] = parts[i][at % strlen(parts[i])];
        masked = mask_secrets(arena, (struct str){text, SIZE});
        assert_true(masked.len <= SIZE);
    }
    free(text);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets),
        cmocka_unit_test(other_words),
        cmocka_unit_test(much_that_nearly_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

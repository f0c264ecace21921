/* Validators: one changed byte or length changes the tag, and If-None-Match is read as browsers write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "etag.h"

static void
every_byte_counts(void **state)
{
    static char body[300];
    char first[ETAG_SIZE], tag[ETAG_SIZE];

    (void)state;
    etag_of(first, body, sizeof body);
    assert_int_equal(strlen(first), ETAG_SIZE - 1);
    for (unsigned i = 0; i < sizeof body; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            body[i] = (char)(1u << bit);
            etag_of(tag, body, sizeof body);
            assert_string_not_equal(tag, first);
        }
        body[i] = 0;
    }
    etag_of(tag, body, sizeof body);
    assert_string_equal(tag, first);
    for (unsigned size = 0; size < sizeof body; size++) {
        etag_of(tag, body, size);
        assert_string_not_equal(tag, first);
    }
}

/* Tags of short bodies that differ little are all different. */
static void
no_collisions_among_neighbours(void **state)
{
    enum { COUNT = 2000 };
    static char tags[COUNT][ETAG_SIZE];

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        char body[40] = {0};

        body[i % 40] = (char)(i / 40 + 1);
        etag_of(tags[i], body, sizeof body);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(tags[k], tags[i]);
    }
}

static void
lists_of_tags(void **state)
{
    const char *tag = "\"abc\"";

    (void)state;
    assert_true(etag_matches(STR("\"abc\""), tag));
    assert_true(etag_matches(STR("W/\"abc\""), tag));
    assert_false(etag_matches_strongly(STR("W/\"abc\""), tag));
    assert_true(etag_matches_strongly(STR("W/\"abc\", \"abc\""), tag));
    assert_true(etag_matches_strongly(STR("*"), tag));
    assert_true(etag_matches(STR("\"x\" , \"abc\""), tag));
    assert_true(etag_matches(STR("*"), tag));
    assert_true(etag_matches(STR("\t\"abc\"\t,"), tag));
    assert_false(etag_matches(STR(""), tag));
    assert_false(etag_matches(STR("abc"), tag));
    assert_false(etag_matches(STR("\"abcd\""), tag));
    assert_false(etag_matches(STR(",,W/,"), tag));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(no_collisions_among_neighbours),
        cmocka_unit_test(lists_of_tags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

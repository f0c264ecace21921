/* Borrowed text: absent and empty are two things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base.h"

static void
absent_is_not_empty(void **state)
{
    (void)state;
    assert_null(str_of(NULL).base);
    assert_false(str_equal(str_of(NULL), str_of("")));
    assert_true(str_equal(str_of(NULL), str_of(NULL)));
    assert_true(str_equal(str_of(""), STR("")));
    assert_false(str_is(str_of(NULL), ""));
    assert_true(text_equal(NULL, NULL));
    assert_false(text_equal(NULL, "") || text_equal("", NULL));
    assert_true(text_equal("a", "a") && !text_equal("a", "ab"));
}

static void
compares_whole_texts(void **state)
{
    (void)state;
    assert_true(str_is(STR("orders"), "orders"));
    assert_false(str_is(STR("orders"), "order"));
    assert_false(str_is(STR("order"), "orders"));
    assert_false(str_equal(STR("a\0b"), STR("a\0c")));
}

static void
allocates_nothing_as_something(void **state)
{
    char *copy = xstrdup("x");
    void *empty = xmalloc(0);
    void *zeroed = xcalloc(0, 8);

    (void)state;
    assert_string_equal(copy, "x");
    assert_non_null(empty);
    assert_non_null(zeroed);
    empty = xrealloc(empty, 100);
    free(copy);
    free(empty);
    free(zeroed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_is_not_empty),
        cmocka_unit_test(compares_whole_texts),
        cmocka_unit_test(allocates_nothing_as_something),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

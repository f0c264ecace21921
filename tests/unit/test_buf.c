/* Buffers: they grow to their maximum, and past it keep what they have and stay failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"

static void
grows_byte_by_byte(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 100000);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(buf_append_byte(&buf, (char)i), 0);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(buf.data[i], (char)i);
    assert_false(buf_failed(&buf));
    assert_int_equal(buf_append_byte(&buf, 'x'), -1);
    assert_true(buf_failed(&buf));
    assert_int_equal(buf.size, 100000);
    buf_free(&buf);
}

static void
failure_stays_until_reset(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 8);
    assert_int_equal(buf_append_text(&buf, "12345678"), 0);
    assert_int_equal(buf_append(&buf, "", 0), 0);
    assert_int_equal(buf_append_text(&buf, "9"), -1);
    assert_int_equal(buf_append(&buf, "", 0), -1);
    assert_null(buf_reserve(&buf, 0));
    assert_memory_equal(buf.data, "12345678", 8);
    buf_reset(&buf);
    assert_false(buf_failed(&buf));
    assert_int_equal(buf_append_text(&buf, "new"), 0);
    assert_int_equal(buf_append(&buf, "x", SIZE_MAX), -1);
    buf_free(&buf);
    assert_null(buf.data);
    assert_int_equal(buf_append_text(&buf, "again"), 0);
    buf_free(&buf);
}

static void
detached_memory_is_the_callers(void **state)
{
    struct buf buf;
    size_t size;
    char *data;

    (void)state;
    buf_init(&buf, 100);
    buf_append_text(&buf, "abc");
    data = buf_detach(&buf, &size);
    assert_int_equal(size, 3);
    assert_memory_equal(data, "abc", 3);
    assert_int_equal(buf.size, 0);
    free(data);
    data = buf_reserve(&buf, 2);
    memcpy(data, "de", 2);
    buf.size += 2;
    assert_int_equal(buf.size, 2);
    buf_free(&buf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_byte_by_byte),
        cmocka_unit_test(failure_stays_until_reset),
        cmocka_unit_test(detached_memory_is_the_callers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

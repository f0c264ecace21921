/* Cursors: what went in comes out, and nothing else comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cursor.h"

static int
setup(void **state)
{
    const uint8_t keys[1][CURSOR_KEY_SIZE] = {"0123456789abcdef0123456789abcde"};

    cursor_set_keys(keys, 1);
    *state = arena_new(4096);
    return 0;
}

static int
teardown(void **state)
{
    arena_destroy((struct arena **)state);
    return 0;
}

static struct cursor
sample(void)
{
    return (struct cursor){.sort = 5,
                           .descending = true,
                           .filters = UINT64_C(0xfedcba9876543210),
                           .id = INT64_MAX - 1,
                           .key = STR("2026-01-15 08:30:00.123456+00")};
}

/* Expects what the sample was made for; id and key are for the text to say. */
static int
decode(struct cursor *cursor, struct arena *arena, const char *text, size_t len)
{
    *cursor = sample();
    cursor->id = 0;
    cursor->key = (struct str){NULL, 0};
    return cursor_decode(cursor, arena, text, len);
}

static void
round_trips(void **state)
{
    struct cursor cursor = sample();
    char key[CURSOR_KEY_MAX + 1];
    char *text = cursor_encode(&cursor, *state);

    assert_int_equal(decode(&cursor, *state, text, strlen(text)), 0);
    assert_true(cursor.id == INT64_MAX - 1);
    assert_true(str_is(cursor.key, "2026-01-15 08:30:00.123456+00"));
    cursor.key = (struct str){NULL, 0};
    cursor.id = -1;
    text = cursor_encode(&cursor, *state);
    assert_int_equal(decode(&cursor, *state, text, strlen(text)), 0);
    assert_null(cursor.key.base);
    assert_int_equal(cursor.id, -1);
    cursor.key = STR("");
    text = cursor_encode(&cursor, *state);
    assert_int_equal(decode(&cursor, *state, text, strlen(text)), 0);
    assert_true(str_is(cursor.key, ""));
    memset(key, 'k', sizeof(key));
    cursor.key = (struct str){key, CURSOR_KEY_MAX};
    text = cursor_encode(&cursor, *state);
    assert_true(strlen(text) < CURSOR_TEXT_MAX);
    assert_int_equal(decode(&cursor, *state, text, strlen(text)), 0);
    assert_int_equal(cursor.key.len, CURSOR_KEY_MAX);
    cursor.key.len = CURSOR_KEY_MAX + 1;
    assert_null(cursor_encode(&cursor, *state));
}

static void
changed_cut_or_grown_is_refused(void **state)
{
    struct cursor cursor = sample();
    char *text = cursor_encode(&cursor, *state);
    size_t len = strlen(text);
    char longer[CURSOR_TEXT_MAX + 100];

    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ 1 << bit);
            assert_int_equal(decode(&cursor, *state, text, len), -1);
            text[i] = (char)(text[i] ^ 1 << bit);
        }
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(decode(&cursor, *state, text, cut), -1);
    memset(longer, 'A', sizeof(longer));
    memcpy(longer, text, len);
    for (size_t grown = len + 1; grown < sizeof(longer); grown++)
        assert_int_equal(decode(&cursor, *state, longer, grown), -1);
    assert_int_equal(decode(&cursor, *state, text, len), 0);
}

static void
another_list_is_refused(void **state)
{
    struct cursor made = sample(), cursor;
    char *text = cursor_encode(&made, *state);

    cursor = sample();
    cursor.sort = 4;
    assert_int_equal(cursor_decode(&cursor, *state, text, strlen(text)), -1);
    cursor = sample();
    cursor.descending = false;
    assert_int_equal(cursor_decode(&cursor, *state, text, strlen(text)), -1);
    cursor = sample();
    cursor.filters ^= 1;
    assert_int_equal(cursor_decode(&cursor, *state, text, strlen(text)), -1);
}

static void
another_key_is_refused(void **state)
{
    struct cursor cursor = sample();
    char *text = cursor_encode(&cursor, *state);
    const uint8_t other[1][CURSOR_KEY_SIZE] = {{1}};
    const uint8_t both[2][CURSOR_KEY_SIZE] = {{1}, "0123456789abcdef0123456789abcde"};

    cursor_set_keys(other, 1);
    assert_int_equal(decode(&cursor, *state, text, strlen(text)), -1);
    cursor_set_keys(both, 2); /* while keys are exchanged: the old ones are still read, the new ones are written */
    assert_int_equal(decode(&cursor, *state, text, strlen(text)), 0);
    assert_string_not_equal(cursor_encode(&cursor, *state), text);
}

static void
hashes_tell_filters_apart(void **state)
{
    (void)state;
    assert_true(cursor_hash(0, "ab", 2) == cursor_hash(0, "ab", 2));
    assert_true(cursor_hash(0, "ab", 2) != cursor_hash(0, "ba", 2));
    assert_true(cursor_hash(cursor_hash(0, "ab", 2), "c", 1) != cursor_hash(cursor_hash(0, "a", 1), "bc", 2));
    assert_true(cursor_hash(cursor_hash(0, "a", 1), "", 0) != cursor_hash(0, "a", 1));
    assert_true(cursor_hash(0, NULL, 0) != 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trips, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_cut_or_grown_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(another_list_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(another_key_is_refused, setup, teardown),
        cmocka_unit_test(hashes_tell_filters_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* JSON from outside: RFC 8259 and nothing more, within our limits, and nothing lost on the way to msgpack and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bounds.h"
#include "in.h"
#include "json.h"
#include "out.h"

/* What comes out as JSON again; why in `why` and -1 when it was refused. */
static int
round_trip(const char *text, size_t len, struct buf *json, char why[JSON_WHY_SIZE])
{
    struct buf packed;
    struct out out;
    int result;

    buf_init(&packed, 1 << 24);
    buf_init(json, 1 << 24);
    result = json_to_msgpack(text, len, &packed, why);
    if (result == 0) {
        struct arena *arena = arena_new(4096);
        struct in in;

        assert_int_equal(in_decode(&in, arena, packed.data, packed.size), 0);
        arena_destroy(&arena);
        out_init(&out, json, OUT_JSON);
        out_msgpack(&out, (struct str){packed.data, packed.size});
        assert_true(out_complete(&out));
    } else {
        assert_int_equal(packed.size, 0);
        assert_true(why[0] != '\0');
    }
    buf_free(&packed);
    return result;
}

static void
expect(const char *text, const char *expected)
{
    char why[JSON_WHY_SIZE];
    struct buf json;

    if (round_trip(text, strlen(text), &json, why) != 0)
        fail_msg("%s refused: %s", text, why);
    assert_int_equal(json.size, strlen(expected));
    assert_memory_equal(json.data, expected, json.size);
    buf_free(&json);
}

static void
expect_refused(const char *text, size_t len, const char *reason)
{
    char why[JSON_WHY_SIZE];
    struct buf json;

    if (round_trip(text, len, &json, why) == 0)
        fail_msg("accepted: %.40s", text);
    if (strstr(why, reason) == NULL)
        fail_msg("%.40s: %s instead of %s", text, why, reason);
    buf_free(&json);
}

static void
nothing_is_lost(void **state)
{
    static const char *const same[] = {
        "{}",
        "[]",
        "null",
        "true",
        "false",
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "-9223372036854775809",
        "123456789012345678901234567890",
        "0.1",
        "1.10",
        "-0",
        "-0.0",
        "1e5",
        "1E+400",
        "-1.25e-30",
        "\"\"",
        "\"x\"",
        "[1,[2,[3,{\"a\":[]}]]]",
        "{\"\":{\"\":null}}",
        "[\"\\u0001\\n\\\"\\\\\"]",
        "\"\xe0\xa6\xac\xe0\xa6\xbe\"",
        "\"\xf0\x9f\x98\x80\"",
        "{\"a\":1,\"b\":{\"a\":2},\"c\":[{\"a\":3},{\"a\":4}]}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(same); i++)
        expect(same[i], same[i]);
    expect(" \t\r\n[ 1 , 2 ] \n", "[1,2]");
    expect("\"\\ud83d\\ude00\\u0041\\/\"", "\"\xf0\x9f\x98\x80"
                                           "A/\"");
    expect("\"\\\\u0000\"", "\"\\\\u0000\""); /* a backslash and the letters u0000 */
    expect("\"\\\\\\u0041\"", "\"\\\\A\"");
    expect("{\"a\":1,\"\\u0062\":2}", "{\"a\":1,\"b\":2}");
}

static void
only_rfc_8259(void **state)
{
    static const char *const bad[] = {
        " ",
        "{",
        "[",
        "}",
        "]",
        "[}",
        "{]",
        ",",
        ":",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1:2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\",1}",
        "{a:1}",
        "{1:2}",
        "{'a':1}",
        "'a'",
        "01",
        "-01",
        "00",
        "1.",
        "-",
        "--1",
        "+1",
        ".5",
        "1e",
        "1e+",
        "[1.]",
        "[1e]",
        "[-]",
        "[01]",
        "0x10",
        "1.5.5",
        "NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "[NaN]",
        "tru",
        "true1",
        "truefalse",
        "nul",
        "None",
        "TRUE",
        "{} x",
        "{}{}",
        "1 2",
        "[] []",
        "{}\xef\xbb\xbf",
        "\"a",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"\x01\"",
        "\"\x1f\"",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\\"",
        "\"\\a\"",
        "// c\n1",
        "/* c */1",
        "1 // c",
        "[1/**/]",
        "# c\n1",
        "\f1",
        "\v1",
        "[1,\f2]",
        "\xef\xbb\xbf{}",
        "undefined",
        "\"\\U0041\"",
        "{\"a\":1 \"b\":2}",
        "[\"a\" \"b\"]",
        "\\u0041",
        "\\",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        expect_refused(bad[i], strlen(bad[i]), "not valid JSON");
    expect_refused("", 0, "empty");
    expect_refused("[1]\0", 4, "not valid JSON");
    expect_refused("\"a\0b\"", 5, "not valid JSON");
    expect_refused("\0", 1, "not valid JSON");
}

static void
only_real_characters(void **state)
{
    static const char *const bad_utf8[] = {"\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xff\"", "\"\xf4\x90\x80\x80\"",
                                           "\"\xe2\x82\"", "{\"\xc0\xaf\":1}", "\x80"};
    static const char *const halves[] = {"\"\\ud800\"",          "\"\\udc00\"",        "\"\\ud800\\u0041\"",
                                         "\"\\ud800x\"",         "\"\\uDBFF\\ud800\"", "\"\\udfff\\ud800\"",
                                         "\"\\ud83d\\\\ude00\"", "{\"\\ud800\":1}",    "\"\\ud83d"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad_utf8); i++)
        expect_refused(bad_utf8[i], strlen(bad_utf8[i]), "UTF-8");
    for (size_t i = 0; i < ARRAY_COUNT(halves); i++)
        expect_refused(halves[i], strlen(halves[i]), "surrogate");
    expect_refused("\"\\u0000\"", 8, "NUL");
    expect_refused("\"\\\\\\u0000\"", 10, "NUL");
    expect_refused("{\"\\u0000\":1}", 12, "NUL");
}

static void
duplicates_are_named(void **state)
{
    char text[400];

    (void)state;
    expect_refused("{\"a\":1,\"b\":2,\"a\":3}", 19, "duplicate field \"a\"");
    expect_refused("{\"a\":1,\"\\u0061\":2}", 18, "duplicate field \"a\"");
    expect_refused("[{\"x\":{\"y\":1,\"y\":1}}]", 21, "duplicate field \"y\"");
    expect_refused("{\"\":1,\"\":2}", 11, "duplicate field \"\"");
    expect_refused("{\"a\":{\"b\":1},\"a\":2}", 19, "duplicate field \"a\"");
    /* a long name is cut between characters */
    memset(text, 'n', sizeof(text));
    snprintf(text, sizeof(text), "{\"%.*s\xe0\xa6\xac\":1,\"%.*s\xe0\xa6\xac\":2}", 79,
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 79,
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    expect_refused(text, strlen(text), "aaaa\"");
}

/* count times `part`, between `before` and `after`. */
static char *
repeat(const char *before, const char *part, size_t count, const char *after)
{
    struct buf buf;
    size_t size;

    buf_init(&buf, SIZE_MAX / 2);
    buf_append_text(&buf, before);
    for (size_t i = 0; i < count; i++)
        buf_append_text(&buf, part);
    buf_append(&buf, after, strlen(after) + 1);
    return buf_detach(&buf, &size);
}

static void
limits_hold(void **state)
{
    char *text;
    struct buf json;
    char why[JSON_WHY_SIZE];

    (void)state;
    text = repeat("", "[", 200, "");
    expect_refused(text, strlen(text), "nested too deeply");
    free(text);
    text = repeat("", "{\"a\":", 200, "");
    expect_refused(text, strlen(text), "nested too deeply");
    free(text);
    text = repeat("", "[", JSON_DEPTH_MAX, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    assert_int_equal(round_trip(text, strlen(text), &json, why), 0);
    buf_free(&json);
    free(text);
    text = repeat("[0", ",0", JSON_NODES_MAX - 2, "]");
    assert_int_equal(round_trip(text, strlen(text), &json, why), 0);
    buf_free(&json);
    free(text);
    text = repeat("[0", ",0", JSON_NODES_MAX - 1, "]");
    expect_refused(text, strlen(text), "too many values");
    free(text);
    text = repeat("", "1", NUMBER_TEXT_MAX, "");
    assert_int_equal(round_trip(text, strlen(text), &json, why), 0);
    buf_free(&json);
    free(text);
    text = repeat("1.", "1", NUMBER_TEXT_MAX, "");
    expect_refused(text, strlen(text), "too many digits");
    free(text);
}

static void
fields_are_bounded(void **state)
{
    struct buf text, json;
    char field[32], why[JSON_WHY_SIZE];

    (void)state;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < JSON_KEYS_MAX; i++) {
        snprintf(field, sizeof(field), "%c\"field%d\":%d", i == 0 ? '{' : ',', i, i);
        buf_append_text(&text, field);
    }
    buf_append_byte(&text, '}');
    assert_int_equal(round_trip(text.data, text.size, &json, why), 0);
    assert_memory_equal(json.data, text.data, text.size);
    buf_free(&json);
    text.size--;
    buf_append_text(&text, ",\"one more\":1}");
    expect_refused(text.data, text.size, "too many fields");
    buf_free(&text);
}

static void
the_target_is_bounded_and_kept(void **state)
{
    struct buf target;
    char why[JSON_WHY_SIZE];

    (void)state;
    buf_init(&target, 40);
    buf_append_text(&target, "before");
    assert_int_equal(json_to_msgpack("[1,2", 4, &target, why), -1);
    assert_int_equal(target.size, 6);
    assert_int_equal(json_to_msgpack("\"0123456789012345678901234567890123456789\"", 42, &target, why), -1);
    assert_non_null(strstr(why, "too large"));
    assert_int_equal(target.size, 6);
    buf_reset(&target);
    assert_int_equal(json_to_msgpack("[1]", 3, &target, why), 0);
    assert_int_equal(target.size, 6);
    assert_memory_equal(target.data, "\xdd\0\0\0\1\1", 6);
    buf_free(&target);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(only_rfc_8259),
        cmocka_unit_test(only_real_characters),
        cmocka_unit_test(duplicates_are_named),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(fields_are_bounded),
        cmocka_unit_test(the_target_is_bounded_and_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

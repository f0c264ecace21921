/* Text from outside: UTF-8, integers, escapes, times, base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "text.h"

static void
utf8_is_strict(void **state)
{
    static const struct str good[] = {
        STR(""),
        STR("plain"),
        STR("\xc2\x80"),
        STR("\xdf\xbf"),
        STR("\xe0\xa0\x80"),
        STR("\xed\x9f\xbf"),
        STR("\xee\x80\x80"),
        STR("\xef\xbf\xbf"),
        STR("\xf0\x90\x80\x80"),
        STR("\xf4\x8f\xbf\xbf"),
        STR("a\0b"),
        STR("\xe0\xa6\xaa\xe0\xa6\xbe\xe0\xa6\x9e\xe0\xa7\x8d\xe0\xa6\x9c\xe0\xa6\xbe\xe0\xa6\xac\xe0\xa6\xbf"),
    };
    static const struct str bad[] = {
        STR("\x80"),
        STR("\xbf"),
        STR("\xc0\x80"),
        STR("\xc1\xbf"),
        STR("\xe0\x80\x80"),
        STR("\xe0\x9f\xbf"),
        STR("\xf0\x80\x80\x80"),
        STR("\xf0\x8f\xbf\xbf"),
        STR("\xed\xa0\x80"),
        STR("\xed\xbf\xbf"),
        STR("\xf4\x90\x80\x80"),
        STR("\xf5\x80\x80\x80"),
        STR("\xfe"),
        STR("\xff"),
        STR("\xc2"),
        STR("\xe2\x82"),
        STR("\xf0\x9f\x98"),
        STR("\xc2 "),
        STR("\xe2\x82 "),
        STR("\xf0\x9f\x98 "),
        STR("12345678\xc0\xaf"),
        STR("1234567\xc2"),
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_true(text_is_utf8(good[i].base, good[i].len));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(text_is_utf8(bad[i].base, bad[i].len));
    assert_int_equal(text_characters(good[11].base, good[11].len), 8);
    assert_int_equal(text_characters("abc", 3), 3);
}

static int
to_int(const char *text, int64_t *value)
{
    return text_to_int(text, strlen(text), value);
}

static void
integers_are_whole_and_fit(void **state)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "1e3",
                                      "0x1",
                                      "a",
                                      "--1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999"};
    char text[INT_TEXT_SIZE];
    int64_t value = 0;

    (void)state;
    assert_int_equal(to_int("9223372036854775807", &value), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(to_int("-9223372036854775808", &value), 0);
    assert_true(value == INT64_MIN);
    assert_int_equal(text_from_int(text, INT64_MIN), 20);
    assert_string_equal(text, "-9223372036854775808");
    text_from_int(text, 0);
    assert_string_equal(text, "0");
    text_from_uint(text, UINT64_MAX);
    assert_string_equal(text, "18446744073709551615");
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(to_int(bad[i], &value), -1);
}

static void
numbers_follow_the_grammar(void **state)
{
    static const char *const good[] = {"0", "-0", "1.5", "1e5", "1E+10", "-1.25e-3", "10", "123456789012345678901"};
    static const char *const bad[] = {"", "-", "01", "1.", ".5", "1e", "1e+", "+1", "1 ", "0x1", "NaN", "1,2", "--1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_true(text_is_number(good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(text_is_number(bad[i], strlen(bad[i])));
}

static int
decode(const char *text, bool plus, char *target)
{
    size_t len = strlen(text);

    memcpy(target, text, len);
    if (text_percent_decode(target, &len, plus) != 0)
        return -1;
    target[len] = '\0';
    return 0;
}

static void
percent_escapes(void **state)
{
    static const char *const bad[] = {"%", "%4", "%zz", "a%0", "%00", "%%41", "% 41", "%-1"};
    char text[64];

    (void)state;
    assert_int_equal(decode("a%20b+c%2B%e0%A6%AC", true, text), 0);
    assert_string_equal(text, "a b c+\xe0\xa6\xac");
    assert_int_equal(decode("a+b", false, text), 0);
    assert_string_equal(text, "a+b");
    assert_int_equal(decode("%2500", false, text), 0);
    assert_string_equal(text, "%00");
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(decode(bad[i], true, text), -1);
}

static int
to_time(const char *text, int64_t *time_us)
{
    return text_to_time(text, strlen(text), time_us);
}

static void
times_are_read(void **state)
{
    static const char *const bad[] = {
        "",
        "2026",
        "2026-1-1",
        "2026-13-01",
        "2026-00-01",
        "2026-02-29",
        "2024-02-30",
        "2026-01-32",
        "2026-01-00",
        "0000-01-01",
        "2026-01-15T",
        "2026-01-15T08:30",
        "2026-01-15T08:30:00",
        "2026-01-15T08:30:00.Z",
        "2026-01-15T24:00:00Z",
        "2026-01-15T08:60:00Z",
        "2026-01-15T08:30:60Z",
        "2026-01-15T08:30:00+6",
        "2026-01-15T08:30:00+06",
        "2026-01-15T08:30:00+24:00",
        "2026-01-15T08:30:00+06:60",
        "2026-01-15T08:30:00Z ",
        " 2026-01-15",
        "2026-01-15x",
        "20260115",
        "tomorrow",
        "1900-02-29",
        "+2026-01-15",
        "-026-01-15",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2026-01-15T08:30:00Zz",
        "2026-01-15T08:30:0xZ",
    };
    int64_t time_us = 0;

    (void)state;
    assert_int_equal(to_time("1970-01-01", &time_us), 0);
    assert_int_equal(time_us, 0);
    assert_int_equal(to_time("2026-01-15T08:30:00.123456789Z", &time_us), 0);
    assert_int_equal(time_us, INT64_C(1768465800123456));
    assert_int_equal(to_time("2026-01-15t14:30:00.5+06:00", &time_us), 0);
    assert_int_equal(time_us, INT64_C(1768465800500000));
    assert_int_equal(to_time("2026-01-15 02:30:00-06:00", &time_us), 0);
    assert_int_equal(time_us, INT64_C(1768465800000000));
    assert_int_equal(to_time("2000-02-29", &time_us), 0);
    assert_int_equal(to_time("0001-01-01", &time_us), 0);
    assert_int_equal(to_time("9999-12-31T23:59:59.999999Z", &time_us), 0);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(to_time(bad[i], &time_us), -1);
}

/* Against the C library's calendar, over the whole range; then back through our own reader. */
static void
times_are_printed(void **state)
{
    const int64_t first = INT64_C(-62135596800), last = INT64_C(253402300799);
    char text[TIME_TEXT_SIZE], expected[64];

    (void)state;
    for (int64_t second = first; second <= last; second += 86400 * 17 + 3607) {
        time_t t = (time_t)second;
        struct tm parts;
        int64_t again;

        gmtime_r(&t, &parts);
        assert_int_equal(text_from_time(text, second * 1000000 + 999999), 24);
        snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d.999Z", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
        assert_string_equal(text, expected);
        assert_int_equal(to_time(text, &again), 0);
        assert_int_equal(again, second * 1000000 + 999000);
    }
    text_from_time(text, -1);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    assert_true(text_from_time(text, INT64_MAX) < TIME_TEXT_SIZE);
    assert_string_equal(text, "+294247-01-10T04:00:54.775Z");
    assert_true(text_from_time(text, INT64_MIN) < TIME_TEXT_SIZE);
}

static void
base64_round_trips(void **state)
{
    uint8_t data[256], again[400];
    char text[BASE64_SIZE(256)];
    size_t size = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 31 + 7);
    for (size_t n = 0; n <= sizeof(data); n++) {
        size_t len = text_to_base64url(text, data, n);

        assert_int_equal(len, strlen(text));
        assert_int_equal(text_from_base64url(again, &size, text, len), 0);
        assert_int_equal(size, n);
        assert_memory_equal(again, data, n);
    }
    text_to_base64(text, "\xfb\xff", 2);
    assert_string_equal(text, "+/8=");
    text_to_base64url(text, "\xfb\xff", 2);
    assert_string_equal(text, "-_8");
    text_to_base64(text, "a", 1);
    assert_string_equal(text, "YQ==");
    assert_int_equal(text_from_base64url(again, &size, "YR", 2), -1); /* unused bits set */
    assert_int_equal(text_from_base64url(again, &size, "YQ==", 4), -1);
    assert_int_equal(text_from_base64url(again, &size, "Y", 1), -1);
    assert_int_equal(text_from_base64url(again, &size, "+/8", 3), -1);
    assert_int_equal(text_from_base64url(again, &size, "-_9", 3), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(integers_are_whole_and_fit),
        cmocka_unit_test(numbers_follow_the_grammar),
        cmocka_unit_test(percent_escapes),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(times_are_printed),
        cmocka_unit_test(base64_round_trips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

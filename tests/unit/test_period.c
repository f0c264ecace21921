/* When periods begin: always counted from the first one, so that short months do not make the others shorter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../services/billing/period.h"
#include "text.h"

static int64_t
at(const char *text)
{
    int64_t time_us;

    assert_int_equal(text_to_time(text, strlen(text), &time_us), 0);
    return time_us;
}

static void
expect(int64_t time_us, const char *expected)
{
    char text[TIME_TEXT_SIZE];

    text_from_time(text, time_us);
    assert_string_equal(text, expected);
}

static void
months_from_the_last_day(void **state)
{
    static const char *const begins[] = {
        "2027-01-31T10:20:30.456Z", "2027-02-28T10:20:30.456Z", "2027-03-31T10:20:30.456Z", "2027-04-30T10:20:30.456Z",
        "2027-05-31T10:20:30.456Z", "2027-06-30T10:20:30.456Z", "2027-07-31T10:20:30.456Z", "2027-08-31T10:20:30.456Z",
        "2027-09-30T10:20:30.456Z", "2027-10-31T10:20:30.456Z", "2027-11-30T10:20:30.456Z", "2027-12-31T10:20:30.456Z",
        "2028-01-31T10:20:30.456Z", "2028-02-29T10:20:30.456Z", "2028-03-31T10:20:30.456Z",
    };
    int64_t anchor = at(begins[0]);

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(begins); i++)
        expect(period_begin(anchor, INTERVAL_MONTHLY, (int64_t)i), begins[i]);
}

static void
years_from_a_leap_day(void **state)
{
    int64_t anchor = at("2096-02-29T23:59:59.999Z");

    (void)state;
    expect(period_begin(anchor, INTERVAL_YEARLY, 1), "2097-02-28T23:59:59.999Z");
    expect(period_begin(anchor, INTERVAL_YEARLY, 4), "2100-02-28T23:59:59.999Z"); /* no leap year */
    expect(period_begin(anchor, INTERVAL_YEARLY, 8), "2104-02-29T23:59:59.999Z");
    expect(period_begin(anchor, INTERVAL_MONTHLY, 1), "2096-03-29T23:59:59.999Z");
    expect(period_begin(anchor, INTERVAL_MONTHLY, 12 * 304), "2400-02-29T23:59:59.999Z");
}

/* Against days counted one by one: each period begins on the anchor's day or on the last of a shorter month. */
static void
every_day_of_four_years(void **state)
{
    int64_t first = at("2026-01-01T00:00:00.000Z");

    (void)state;
    for (int64_t day = 0; day < 1461; day++) {
        int64_t anchor = first + day * DAY_US + 1, before = anchor;
        char anchor_text[TIME_TEXT_SIZE], text[TIME_TEXT_SIZE], after[TIME_TEXT_SIZE];

        text_from_time(anchor_text, anchor);
        assert_true(period_begin(anchor, INTERVAL_MONTHLY, 0) == anchor);
        for (int64_t n = 1; n <= 48; n++) {
            int64_t begin = period_begin(anchor, INTERVAL_MONTHLY, n);

            assert_true(begin - before >= 28 * DAY_US && begin - before <= 31 * DAY_US);
            assert_true(begin % DAY_US == 1);
            text_from_time(text, begin);
            text_from_time(after, begin + DAY_US);
            assert_true(memcmp(text + 8, anchor_text + 8, 2) == 0 || memcmp(after + 8, "01", 2) == 0);
            if (n % 12 == 0)
                assert_true(begin == period_begin(anchor, INTERVAL_YEARLY, n / 12));
            before = begin;
        }
    }
}

static void
calendar_months(void **state)
{
    (void)state;
    expect(month_begin(at("2027-12-31T23:59:59.999Z"), 0), "2027-12-01T00:00:00.000Z");
    expect(month_begin(at("2027-12-31T23:59:59.999Z"), 1), "2028-01-01T00:00:00.000Z");
    expect(month_begin(at("2028-02-01T00:00:00.000Z"), 0), "2028-02-01T00:00:00.000Z");
    expect(month_begin(at("2028-02-01T00:00:00.000Z") - 1, 0), "2028-01-01T00:00:00.000Z");
    expect(month_begin(at("1969-12-31T23:59:59.999Z"), 1), "1970-01-01T00:00:00.000Z");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(months_from_the_last_day),
        cmocka_unit_test(years_from_a_leap_day),
        cmocka_unit_test(every_day_of_four_years),
        cmocka_unit_test(calendar_months),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

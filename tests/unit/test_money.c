/* Money: exact in both directions, and refused rather than rounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "money.h"

static int
parse(const char *text, unsigned decimals, int64_t *amount)
{
    return money_parse(text, strlen(text), decimals, amount);
}

static void
reads_what_is_written(void **state)
{
    static const struct {
        const char *text;
        unsigned decimals;
        int64_t amount;
    } rows[] = {
        {"1460", 2, 146000},
        {"1460.5", 2, 146050},
        {"1460.50", 2, 146050},
        {"0", 2, 0},
        {"-0", 2, 0},
        {"-0.01", 2, -1},
        {"0.001", 3, 1},
        {"7", 0, 7},
        {"9999999999999.99", 2, MONEY_MAX},
        {"999999999999.999", 3, MONEY_MAX},
        {"-9999999999999.99", 2, -MONEY_MAX},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        int64_t amount = 12345;

        assert_int_equal(parse(rows[i].text, rows[i].decimals, &amount), 0);
        assert_int_equal(amount, rows[i].amount);
    }
}

static void
refuses_the_rest(void **state)
{
    static const char *const texts[] = {
        "",
        "-",
        ".",
        ".5",
        "5.",
        "-.5",
        "+1",
        " 1",
        "1 ",
        "1.",
        "1.234",
        "1.000",
        "1e2",
        "1E2",
        "1.5e",
        "0x1",
        "NaN",
        "1,00",
        "--1",
        "1-",
        "01",
        "00",
        "-01.5",
        "00.50",
        "1..2",
        "1.2.3",
        "Infinity",
        "10000000000000",
        "10000000000000.00",
        "99999999999999999999999999999999",
        "18446744073709551617",
        "9223372036854775807",
        "92233720368547758.08",
    };
    int64_t amount = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        assert_int_equal(parse(texts[i], 2, &amount), -1);
    assert_int_equal(parse("5.0", 0, &amount), -1);
    assert_int_equal(parse("5.0001", 3, &amount), -1);
    assert_int_equal(money_parse("1\0", 2, 2, &amount), -1);
}

static void
prints_all_decimals(void **state)
{
    char text[MONEY_TEXT_SIZE];

    (void)state;
    assert_int_equal(money_print(text, 146000, 2), 7);
    assert_string_equal(text, "1460.00");
    money_print(text, -5, 2);
    assert_string_equal(text, "-0.05");
    money_print(text, 7, 0);
    assert_string_equal(text, "7");
    money_print(text, 1, 3);
    assert_string_equal(text, "0.001");
    money_print(text, INT64_MIN, 2);
    assert_string_equal(text, "-92233720368547758.08");
    money_print(text, INT64_MIN, 0);
    assert_string_equal(text, "-9223372036854775808");
}

static uint64_t
next_number(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Every amount of every size comes back as itself, and one digit more is refused. */
static void
round_trips(void **state)
{
    uint64_t seed = 88172645463325252u;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        unsigned decimals = (unsigned)(next_number(&seed) % 4);
        int64_t amount = (int64_t)(next_number(&seed) >> (next_number(&seed) % 64)) % (MONEY_MAX + 1), again;
        char text[MONEY_TEXT_SIZE + 2];
        size_t len;

        if (next_number(&seed) % 2 == 0)
            amount = -amount;
        len = money_print(text, amount, decimals);
        assert_int_equal(len, strlen(text));
        assert_int_equal(money_parse(text, len, decimals, &again), 0);
        assert_int_equal(again, amount);
        if (decimals > 0) {
            text[len] = '0';
            assert_int_equal(money_parse(text, len + 1, decimals, &again), -1);
        }
    }
}

static void
arithmetic_stops_at_the_limit(void **state)
{
    int64_t result = 0;

    (void)state;
    assert_int_equal(money_multiply(146000, 3, &result), 0);
    assert_int_equal(result, 438000);
    assert_int_equal(money_multiply(MONEY_MAX, 1, &result), 0);
    assert_int_equal(money_multiply(MONEY_MAX, 2, &result), -1);
    assert_int_equal(money_multiply(MONEY_MAX, INT64_MAX, &result), -1);
    assert_int_equal(money_multiply(-MONEY_MAX, 2, &result), -1);
    assert_int_equal(money_multiply(INT64_MIN, -1, &result), -1);
    assert_int_equal(money_add(MONEY_MAX, 1, &result), -1);
    assert_int_equal(money_add(INT64_MAX, 1, &result), -1);
    assert_int_equal(money_add(MONEY_MAX, -1, &result), 0);
    assert_int_equal(result, MONEY_MAX - 1);
    assert_int_equal(money_add(-MONEY_MAX, -1, &result), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_written),         cmocka_unit_test(refuses_the_rest),
        cmocka_unit_test(prints_all_decimals),           cmocka_unit_test(round_trips),
        cmocka_unit_test(arithmetic_stops_at_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

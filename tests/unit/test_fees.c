/* Fees: the worked figures of contract E.3, parts that always add up, and refunds that take back exactly what was
 * split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../services/billing/fees.h"
#include "money.h"

static void
the_worked_figures(void **state)
{
    static const struct {
        enum fee_payer payer;
        int64_t base, commission, gateway;
        struct fees fees;
    } rows[] = {
        {FEE_PAYER_DEVELOPER, 50000, 100000, 25000, {50000, 50000, 5000, 1250, 43750}},
        {FEE_PAYER_MERCHANT, 50000, 100000, 25000, {50000, 56250, 5000, 1250, 50000}},
        {FEE_PAYER_DEVELOPER, 15000, 100000, 25000, {15000, 15000, 1500, 375, 13125}},
        {FEE_PAYER_DEVELOPER, 150000, 100000, 25000, {150000, 150000, 15000, 3750, 131250}},
        {FEE_PAYER_DEVELOPER, 250, 100000, 0, {250, 250, 25, 0, 225}},
        {FEE_PAYER_DEVELOPER, 1250, 100000, 0, {1250, 1250, 125, 0, 1125}},
        {FEE_PAYER_DEVELOPER, 1001, 25000, 0, {1001, 1001, 25, 0, 976}}, /* 25.025 */
        {FEE_PAYER_DEVELOPER, 1020, 25000, 0, {1020, 1020, 26, 0, 994}}, /* 25.5 goes up */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct fees fees;

        assert_int_equal(fees_split(&fees, rows[i].base, rows[i].payer, rows[i].commission, rows[i].gateway), 0);
        assert_int_equal(fees.amount, rows[i].fees.amount);
        assert_int_equal(fees.platform, rows[i].fees.platform);
        assert_int_equal(fees.gateway, rows[i].fees.gateway);
        assert_int_equal(fees.developer, rows[i].fees.developer);
    }
}

static void
refuses_what_leaves_nothing(void **state)
{
    struct fees fees;

    (void)state;
    assert_int_equal(fees_split(&fees, 1000, FEE_PAYER_DEVELOPER, 990000, 25000), -1);
    assert_int_equal(fees_split(&fees, MONEY_MAX, FEE_PAYER_MERCHANT, 1, 0), -1);
    assert_int_equal(fees_split(&fees, MONEY_MAX, FEE_PAYER_DEVELOPER, RATE_WHOLE, 0), 0);
    assert_int_equal(fees.developer, 0);
}

/* A small generator, so that a failure can be run again: xorshift. */
static uint64_t
next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void
parts_add_up_and_refunds_take_them_back(void **state)
{
    uint64_t seed = 88172645463325252u;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        int64_t base = 1 + (int64_t)(next(&seed) % 5000000), before = 0;
        enum fee_payer payer = next(&seed) % 2 ? FEE_PAYER_MERCHANT : FEE_PAYER_DEVELOPER;
        int64_t commission = (int64_t)(next(&seed) % 500001), gateway = (int64_t)(next(&seed) % 100001);
        struct fees whole, part, sum = {0};

        if (fees_split(&whole, base, payer, commission, gateway))
            continue;
        assert_int_equal(whole.amount, whole.platform + whole.gateway + whole.developer);
        while (before < whole.amount) {
            int64_t step = 1 + (int64_t)(next(&seed) % (uint64_t)(whole.amount - before));

            fees_refund(&part, &whole, before, before + step);
            assert_int_equal(part.amount, step);
            assert_int_equal(part.platform + part.gateway + part.developer, step);
            assert_true(part.platform >= 0 && part.gateway >= 0 && part.developer >= -1);
            sum.amount += part.amount;
            sum.base += part.base;
            sum.platform += part.platform;
            sum.gateway += part.gateway;
            sum.developer += part.developer;
            before += step;
        }
        assert_int_equal(sum.base, whole.base);
        assert_int_equal(sum.platform, whole.platform);
        assert_int_equal(sum.gateway, whole.gateway);
        assert_int_equal(sum.developer, whole.developer);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worked_figures),
        cmocka_unit_test(refuses_what_leaves_nothing),
        cmocka_unit_test(parts_add_up_and_refunds_take_them_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The settable clock: follows its file, survives nonsense in it, and leaves the clocks of deadlines alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"

#define DAY_US INT64_C(86400000000)

static char path[] = "/tmp/test_clock_XXXXXX";

static int
make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 || close(fd) ? -1 : 0;
}

static int
remove_file(void **state)
{
    (void)state;
    clock_follow(NULL);
    return unlink(path);
}

/* What the clock is ahead of the machine's, after it had time to look. */
static int64_t
offset_after(const char *text)
{
    FILE *file = fopen(path, "w");
    struct timespec now;

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    usleep(60000);
    int64_t ours = clock_now_us();
    clock_gettime(CLOCK_REALTIME, &now);
    return ours - ((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

#define assert_near(value, expected) assert_in_range((value) - (expected) + 1000000, 0, 2000000)

static void
follows_the_file(void **state)
{
    int64_t monotonic_ms = clock_monotonic_ms();

    (void)state;
    clock_follow(path);
    assert_near(offset_after("86400\n"), DAY_US);
    assert_near(offset_after("172800"), 2 * DAY_US);
    assert_near(offset_after("-86400"), -DAY_US);
    assert_in_range(clock_monotonic_ms() - monotonic_ms, 0, 5000);
}

static void
nonsense_changes_nothing(void **state)
{
    (void)state;
    clock_follow(path);
    assert_near(offset_after("86400"), DAY_US);
    assert_near(offset_after(""), DAY_US);
    assert_near(offset_after("tomorrow"), DAY_US);
    assert_near(offset_after("12 days"), DAY_US);
    assert_near(offset_after("99999999999999999999"), DAY_US);
    assert_near(offset_after("0"), 0);
}

static void
without_a_file_it_is_the_machine_s_clock(void **state)
{
    (void)state;
    clock_follow(path);
    assert_near(offset_after("86400"), DAY_US);
    clock_follow("");
    assert_near(offset_after("86400"), 0);
    clock_follow("/nonexistent/clock");
    assert_near(offset_after("86400"), 0);
}

static void
the_others_never_go_back(void **state)
{
    int64_t boot = clock_boot_ms(), monotonic = clock_monotonic_ms(), fine = clock_monotonic_us();

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(clock_boot_ms() >= boot);
        assert_true(clock_monotonic_ms() >= monotonic);
        assert_true(clock_monotonic_us() >= fine);
        fine = clock_monotonic_us();
    }
    assert_true(fine / 1000 >= monotonic);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_file),
        cmocka_unit_test(nonsense_changes_nothing),
        cmocka_unit_test(without_a_file_it_is_the_machine_s_clock),
        cmocka_unit_test(the_others_never_go_back),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}

/* test_limiter.c - windows that are exact whoever counts (protocols 9): over time, over keys, over processes. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "limiter.h"
#include "metric.h"

#define PROCESSES 4
#define TAKES     100000

static char directory[64];
static char path[96];
static int64_t boot_now_ms = INT64_C(1000) * 60 * 1000;

static int64_t
fake_boot_ms(void)
{
    return boot_now_ms;
}

/* A clock that moves at each look: what a process sees that was stopped between two looks. */
static int64_t
jumping_boot_ms(void)
{
    int64_t now_ms = boot_now_ms;

    boot_now_ms += 60000;
    return now_ms;
}

static const struct config_rate plain_rates[RATE_CLASSES] = {
    [RATE_GLOBAL] = {10, 60},       [RATE_TOKEN] = {3, 60},        [RATE_VERIFY] = {5, 60},
    [RATE_CREDENTIALS] = {10, 900}, [RATE_METAFIELDS] = {120, 60},
};

static struct limiter *
open_limiter(const struct config_rate *rates)
{
    struct limiter *self = limiter_new(path, rates);

    assert_non_null(self);
    limiter_set_clock(self, fake_boot_ms);
    return self;
}

static struct limit_answer
take(struct limiter *self, enum rate_class class, const char *key)
{
    return limiter_take(self, class, LIMIT_CREDENTIAL, key, strlen(key));
}

static int
set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/test-limiter-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/limits", directory);
    boot_now_ms = INT64_C(1000) * 60 * 1000;
    return 0;
}

static unsigned
for_each_file(void (*visit)(const char *name))
{
    char command[160], name[256];
    unsigned count = 0;
    FILE *list;

    snprintf(command, sizeof command, "ls -d %s/* 2>/dev/null", directory);
    list = popen(command, "r");
    assert_non_null(list);
    while (fgets(name, sizeof name, list) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        count++;
        if (visit != NULL)
            visit(name);
    }
    pclose(list);
    return count;
}

static void
remove_file(const char *name)
{
    assert_int_equal(unlink(name), 0);
}

static int
tear_down(void **state)
{
    (void)state;
    for_each_file(remove_file);
    assert_int_equal(rmdir(directory), 0);
    return 0;
}

static void
test_counts_to_the_limit(void **state)
{
    struct limiter *self = open_limiter(plain_rates);
    struct limit_answer answer;

    (void)state;
    boot_now_ms += 12345;
    for (unsigned i = 0; i < 10; i++) {
        answer = take(self, RATE_GLOBAL, "a");
        assert_true(answer.allowed);
        assert_int_equal(answer.limit, 10);
        assert_int_equal(answer.remaining, 9 - i);
        assert_int_equal(answer.reset_s, 48);
    }
    answer = take(self, RATE_GLOBAL, "a");
    assert_false(answer.allowed);
    assert_int_equal(answer.remaining, 0);
    assert_int_equal(answer.reset_s, 48);
    assert_true(take(self, RATE_GLOBAL, "b").allowed);
    assert_true(take(self, RATE_VERIFY, "a").allowed); /* classes count apart */
    assert_true(take(self, RATE_CREDENTIALS, "a").allowed);
    assert_true(limiter_take(self, RATE_GLOBAL, LIMIT_ADDRESS, "a", 1).allowed); /* and so do subjects */
    limiter_destroy(&self);
    assert_null(self);
    limiter_destroy(&self);
}

static void
test_window_rolls(void **state)
{
    struct limiter *self = open_limiter(plain_rates);
    struct limit_answer answer;

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        answer = take(self, RATE_TOKEN, "a");
    assert_false(answer.allowed);
    boot_now_ms += 59999;
    answer = take(self, RATE_TOKEN, "a");
    assert_false(answer.allowed);
    assert_int_equal(answer.reset_s, 1);
    boot_now_ms += 1;
    answer = take(self, RATE_TOKEN, "a");
    assert_true(answer.allowed);
    assert_int_equal(answer.remaining, 2);
    assert_int_equal(answer.reset_s, 60);
    boot_now_ms += INT64_C(65536) * 60000 - 60000; /* the window's number has gone round, but for one */
    assert_int_equal(take(self, RATE_TOKEN, "a").remaining, 2);
    limiter_destroy(&self);
}

static void
test_first_window_after_boot(void **state)
{
    struct limiter *self = open_limiter(plain_rates);

    (void)state;
    boot_now_ms = 0; /* window 0: an untouched slot is free all the same */
    for (unsigned i = 0; i < 1000; i++) {
        char key[16];

        snprintf(key, sizeof key, "k%u", i);
        assert_int_equal(take(self, RATE_TOKEN, key).remaining, 2);
    }
    limiter_destroy(&self);
}

static void
test_peek_counts_nothing(void **state)
{
    struct limiter *self = open_limiter(plain_rates);

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct limit_answer answer = limiter_peek(self, RATE_TOKEN, LIMIT_ADDRESS, "a", 1);

        assert_true(answer.allowed);
        assert_int_equal(answer.remaining, 3);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_true(limiter_take(self, RATE_TOKEN, LIMIT_ADDRESS, "a", 1).allowed);
    assert_false(limiter_peek(self, RATE_TOKEN, LIMIT_ADDRESS, "a", 1).allowed);
    limiter_destroy(&self);
}

static void
test_classes_without_a_limit(void **state)
{
    struct config_rate rates[RATE_CLASSES] = {[RATE_GLOBAL] = {4000000000u, 60}, [RATE_TOKEN] = {5, 0}};
    struct limiter *self = open_limiter(rates);

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        assert_true(take(self, RATE_EXEMPT, "a").allowed);
        assert_true(take(self, RATE_TOKEN, "a").allowed);
    }
    for (unsigned i = 0; i < (1 << 20) + 10; i++) /* past what a count can hold: not enforced */
        assert_true(take(self, RATE_GLOBAL, "a").allowed);
    limiter_destroy(&self);
}

static void
test_many_keys_count_apart(void **state)
{
    struct limiter *self = open_limiter(plain_rates);
    char key[16];

    (void)state;
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 50000; i++) {
            snprintf(key, sizeof key, "key %u", i);
            assert_int_equal(take(self, RATE_TOKEN, key).remaining, 2 - round);
        }
    limiter_destroy(&self);
}

/* ---- the file ------------------------------------------------------------------------------------------------ */

static uint64_t *mapped;

static void
map_minute(const char *name)
{
    int fd;

    if (strstr(name, ".60.") == NULL)
        return;
    fd = open(name, O_RDWR);
    assert_true(fd >= 0);
    mapped = mmap(NULL, 4096 + (8u << 20), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    assert_ptr_not_equal(mapped, MAP_FAILED);
}

/* Every slot taken by others in this window: addresses are refused, credentials pass, both are counted. */
static void
test_probes_used_up(void **state)
{
    struct limiter *self = open_limiter(plain_rates);
    uint64_t window = (uint64_t)(boot_now_ms / 60000) & 0xffff;
    struct limit_answer answer;

    (void)state;
    for_each_file(map_minute);
    for (unsigned i = 0; i < 1u << 20; i++)
        mapped[512 + i] = UINT64_C(0xabcdef1) << 36 | window << 20 | 1;
    answer = limiter_take(self, RATE_TOKEN, LIMIT_ADDRESS, "a", 1);
    assert_false(answer.allowed);
    assert_int_equal(answer.remaining, 0);
    answer = limiter_take(self, RATE_TOKEN, LIMIT_CREDENTIAL, "a", 1);
    assert_true(answer.allowed);
    boot_now_ms += 60000; /* and all of them are free again */
    assert_true(limiter_take(self, RATE_TOKEN, LIMIT_ADDRESS, "a", 1).allowed);
    munmap(mapped, 4096 + (8u << 20));
    limiter_destroy(&self);
}

/* A process looks at the clock, is stopped, and finds slots of a later window when it goes on: it must count there. */
static void
test_stopped_between_clock_and_slot(void **state)
{
    struct limiter *self = open_limiter(plain_rates), *other = open_limiter(plain_rates);
    int64_t old_ms = boot_now_ms;
    unsigned allowed = 0;

    (void)state;
    boot_now_ms += 60000;
    for (unsigned i = 0; i < 3; i++)
        assert_true(take(other, RATE_TOKEN, "a").allowed);
    boot_now_ms = old_ms;
    limiter_set_clock(self, jumping_boot_ms);
    assert_false(take(self, RATE_TOKEN, "a").allowed); /* first look: the old window; second: the new one */
    boot_now_ms = old_ms + 60000;
    for (unsigned i = 0; i < 3; i++)
        allowed += take(other, RATE_TOKEN, "a").allowed;
    assert_int_equal(allowed, 0);
    limiter_destroy(&self);
    limiter_destroy(&other);
}

static void
test_processes_share_and_restarts_remember(void **state)
{
    struct limiter *first = open_limiter(plain_rates), *second = open_limiter(plain_rates);

    (void)state;
    assert_int_equal(for_each_file(NULL), 2); /* one for 60 s, one for 900 s, nothing temporary */
    assert_int_equal(take(first, RATE_TOKEN, "a").remaining, 2);
    assert_int_equal(take(second, RATE_TOKEN, "a").remaining, 1);
    limiter_destroy(&first);
    limiter_destroy(&second);
    first = open_limiter(plain_rates);
    assert_int_equal(take(first, RATE_TOKEN, "a").remaining, 0);
    assert_false(take(first, RATE_TOKEN, "a").allowed);
    limiter_destroy(&first);
}

static void
spoil_magic(const char *name)
{
    int fd = open(name, O_RDWR);

    assert_true(fd >= 0 && pwrite(fd, "x", 1, 0) == 1);
    close(fd);
}

static void
spoil_window(const char *name)
{
    uint32_t window = 7;
    int fd = open(name, O_RDWR);

    assert_true(fd >= 0 && pwrite(fd, &window, sizeof window, 12) == sizeof window);
    close(fd);
}

static void
spoil_size(const char *name)
{
    assert_int_equal(truncate(name, 4096), 0);
}

static void
test_layout_is_checked(void **state)
{
    static void (*const spoil[])(const char *name) = {spoil_magic, spoil_window, spoil_size};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct limiter *self = open_limiter(plain_rates);

        limiter_destroy(&self);
        for_each_file(spoil[i]);
        assert_null(limiter_new(path, plain_rates));
        for_each_file(remove_file);
    }
    snprintf(path, sizeof path, "%s/missing/limits", directory);
    assert_null(limiter_new(path, plain_rates));
}

static void
test_files_of_an_earlier_boot_are_removed(void **state)
{
    char old[160], other[160];
    struct limiter *self;
    FILE *file;

    (void)state;
    snprintf(old, sizeof old, "%s.60.00000000", path);
    snprintf(other, sizeof other, "%s.60.keep", path);
    file = fopen(old, "w");
    fclose(file);
    file = fopen(other, "w");
    fclose(file);
    self = open_limiter(plain_rates);
    assert_int_not_equal(access(old, F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
    limiter_destroy(&self);
}

/* ---- several processes --------------------------------------------------------------------------------------- */

/* A child opens the file itself (four at once: one of them makes it) and counts what it was allowed. */
static void
child(int answers, unsigned keys)
{
    struct config_rate rates[RATE_CLASSES] = {[RATE_GLOBAL] = {12345, 60}};
    struct limiter *self = limiter_new(path, rates);
    unsigned allowed[64] = {0};

    if (self == NULL)
        _exit(1);
    limiter_set_clock(self, fake_boot_ms);
    for (unsigned i = 0; i < TAKES; i++) {
        unsigned key = i % keys;

        allowed[key] += limiter_take(self, RATE_GLOBAL, LIMIT_ADDRESS, &key, sizeof key).allowed;
    }
    if (write(answers, allowed, sizeof allowed) != sizeof allowed)
        _exit(1);
    _exit(0);
}

static void
run_processes(unsigned keys, unsigned totals[64])
{
    int answers[2];

    assert_int_equal(pipe(answers), 0);
    for (unsigned i = 0; i < PROCESSES; i++)
        if (fork() == 0)
            child(answers[1], keys);
    close(answers[1]);
    for (unsigned i = 0; i < PROCESSES; i++) {
        unsigned allowed[64];
        int status;

        assert_int_equal(read(answers[0], allowed, sizeof allowed), sizeof allowed);
        for (unsigned key = 0; key < keys; key++)
            totals[key] += allowed[key];
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    close(answers[0]);
}

static void
test_exact_over_four_processes_on_one_key(void **state)
{
    unsigned totals[64] = {0};

    (void)state;
    run_processes(1, totals);
    assert_int_equal(totals[0], 12345);
}

static void
test_exact_over_four_processes_on_many_keys(void **state)
{
    unsigned totals[64] = {0};

    (void)state;
    run_processes(32, totals);
    for (unsigned key = 0; key < 32; key++)
        assert_int_equal(totals[key], 12345 < PROCESSES * TAKES / 32 ? 12345 : PROCESSES * TAKES / 32);
}

/* ---- addresses ----------------------------------------------------------------------------------------------- */

static bool
same_key(const char *a, const char *b)
{
    uint8_t key_a[24], key_b[24];
    size_t size_a = limiter_address_key(key_a, a), size_b = limiter_address_key(key_b, b);

    assert_true(size_a >= 1 && size_a <= 24 && size_b <= 24);
    return size_a == size_b && memcmp(key_a, key_b, size_a) == 0;
}

static void
test_address_keys(void **state)
{
    (void)state;
    assert_true(same_key("203.0.113.9", "203.0.113.9"));
    assert_false(same_key("203.0.113.9", "203.0.113.10"));
    assert_true(same_key("203.0.113.9", "::ffff:203.0.113.9"));
    assert_true(same_key("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
    assert_false(same_key("2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert_true(same_key("fe80::1%eth0", "fe80::1"));
    assert_false(same_key("", "unix"));
    assert_true(same_key("no address, and a very long one at that 1", "no address, and a very long one at that 2"));
}

static void
test_cost_of_a_take(void **state)
{
    struct config_rate rates[RATE_CLASSES] = {[RATE_GLOBAL] = {1000000, 60}};
    struct limiter *self = limiter_new(path, rates);
    struct timespec start, end;
    unsigned rounds = 200000;
    double us;

    (void)state;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t key[2] = {i % 1000, 22};

        assert_true(limiter_take(self, RATE_GLOBAL, LIMIT_CREDENTIAL, key, sizeof key).allowed);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    us = ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) / 1e3;
    print_message("             one count of the limiter: %.2f us of CPU\n", us / rounds);
    limiter_destroy(&self);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_counts_to_the_limit),
        TEST(test_window_rolls),
        TEST(test_first_window_after_boot),
        TEST(test_peek_counts_nothing),
        TEST(test_classes_without_a_limit),
        TEST(test_many_keys_count_apart),
        TEST(test_probes_used_up),
        TEST(test_stopped_between_clock_and_slot),
        TEST(test_processes_share_and_restarts_remember),
        TEST(test_layout_is_checked),
        TEST(test_files_of_an_earlier_boot_are_removed),
        TEST(test_exact_over_four_processes_on_one_key),
        TEST(test_exact_over_four_processes_on_many_keys),
        TEST(test_address_keys),
        TEST(test_cost_of_a_take),
    };

    return cmocka_run_group_tests_name("limiter", tests, NULL, NULL);
}

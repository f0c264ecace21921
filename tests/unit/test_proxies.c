/* test_proxies.c - whose X-Forwarded-For is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "proxies.h"

static struct proxies *proxies;

static bool
have(const char *address)
{
    return proxies_have(proxies, address);
}

static int
tear_down(void **state)
{
    (void)state;
    proxies_destroy(&proxies);
    return 0;
}

static void
test_nobody(void **state)
{
    (void)state;
    proxies = proxies_new(NULL);
    assert_false(have("127.0.0.1"));
    assert_false(have(""));
}

static void
test_addresses(void **state)
{
    (void)state;
    proxies = proxies_new("10.0.0.7, 2001:db8::1,192.0.2.1 ,");
    assert_true(have("10.0.0.7"));
    assert_true(have("::ffff:10.0.0.7"));
    assert_true(have("2001:0DB8:0::1"));
    assert_true(have("192.0.2.1"));
    assert_false(have("10.0.0.70"));
    assert_false(have("10.0.0.8"));
    assert_false(have("2001:db8::2"));
    assert_false(have("10.0.0.7x"));
}

static void
test_networks(void **state)
{
    (void)state;
    proxies = proxies_new("10.1.0.0/16 172.16.128.0/17 fd00::/9 192.0.2.255/32");
    assert_true(have("10.1.255.255"));
    assert_false(have("10.2.0.0"));
    assert_true(have("172.16.255.1"));
    assert_false(have("172.16.127.1"));
    assert_true(have("fd7f::1"));
    assert_false(have("fd80::1"));
    assert_true(have("192.0.2.255"));
    assert_false(have("192.0.2.254"));
    proxies_destroy(&proxies);
    proxies = proxies_new("0.0.0.0/0");
    assert_true(have("203.0.113.9"));
    assert_false(have("2001:db8::1"));
}

static void
test_names(void **state)
{
    const struct timespec pause = {0, 10000000};

    (void)state;
    proxies = proxies_new("no-such-host.invalid,localhost");
    for (unsigned i = 0; i < 500 && !have("127.0.0.1"); i++)
        nanosleep(&pause, NULL);
    assert_true(have("127.0.0.1"));
    assert_false(have("127.0.0.2"));
}

static void
test_what_cannot_be_read_is_refused(void **state)
{
    static const char *const lists[] = {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129",
                                        "edge/8",      "10.0.0",    "1.2.3.4:80",  "10.0.0.1/8x"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(lists); i++)
        assert_null(proxies_new(lists[i]));
}

/* The client as text; NULL when the header ends in no address. */
static const char *
client(const char *forwarded)
{
    static char text[ADDRESS_TEXT_SIZE];

    return proxies_client(proxies, str_of(forwarded), text) ? text : NULL;
}

static void
test_forwarded(void **state)
{
    (void)state;
    proxies = proxies_new("10.0.0.0/8");
    assert_string_equal(client("192.0.2.1"), "192.0.2.1");
    assert_string_equal(client("203.0.113.9, 192.0.2.1 ,10.0.0.7"), "192.0.2.1"); /* the first is the client's word */
    assert_string_equal(client("192.0.2.1:4711"), "192.0.2.1");
    assert_string_equal(client("2001:db8::1"), "2001:db8::1");
    assert_string_equal(client("::ffff:192.0.2.1"), "::ffff:192.0.2.1");
    assert_string_equal(client("10.0.0.1, 10.0.0.2"), "10.0.0.1"); /* all are ours: the farthest */
    assert_string_equal(client("unknown, 10.0.0.2"), "10.0.0.2");
    assert_null(client("10.0.0.2, unknown"));
    assert_null(client("192.0.2.1,"));
    assert_null(client(" "));
    assert_null(client(""));
    assert_null(client("0000000000000000000000000000000000000000000000192.0.2.1"));
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nobody),
        TEST(test_addresses),
        TEST(test_networks),
        TEST(test_names),
        TEST(test_what_cannot_be_read_is_refused),
        TEST(test_forwarded),
    };

    return cmocka_run_group_tests_name("proxies", tests, NULL, NULL);
}

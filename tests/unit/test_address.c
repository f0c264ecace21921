/* test_address.c - no address that leads inside is taken for a public one (contract K.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "address.h"

static bool
is_public(const char *text)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in4 = {.sin_family = AF_INET};

    if (inet_pton(AF_INET, text, &in4.sin_addr) == 1)
        return address_is_public((const struct sockaddr *)&in4);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return address_is_public((const struct sockaddr *)&in6);
}

static void
public_addresses(void **state)
{
    static const char *const texts[] = {
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "192.0.1.0",
        "203.0.112.255",
        "203.0.114.0",
        "2606:4700:4700::1111",
        "2a00:1450::200e",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        if (!is_public(texts[i]))
            fail_msg("%s is public", texts[i]);
}

static void
addresses_that_lead_inside(void **state)
{
    static const char *const texts[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:1::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
        "168.63.129.16",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fe80::a9fe:a9fe",
        "fd20:ce::254",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "4000::1",
    };
    struct sockaddr other = {.sa_family = AF_UNIX};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        if (is_public(texts[i]))
            fail_msg("%s leads inside", texts[i]);
    assert_false(address_is_public(&other));
}

static void
whose_address(void **state)
{
    static const struct {
        const char *address, *owner;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
        {"2001:db8:1:2::", "2001:db8:1:2::"},
        {"fe80::1%eth0", "fe80::"},
        {"", ""},
        {"unix", "unix"},
    };
    char owner[ADDRESS_OWNER_SIZE], longest[100];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        address_owner(owner, cases[i].address);
        assert_string_equal(owner, cases[i].owner);
    }
    memset(longest, '1', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    address_owner(owner, longest);
    assert_int_equal(strlen(owner), ADDRESS_OWNER_SIZE - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_addresses),
        cmocka_unit_test(addresses_that_lead_inside),
        cmocka_unit_test(whose_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

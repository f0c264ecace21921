/* Forms of text: what is an address, and what only looks like one. The others are tested with the validator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "format.h"

static bool
is_email(const char *text, size_t len)
{
    return format_error(FORMAT_EMAIL, text, len) == NULL;
}

static bool
is_url(const char *text, size_t len)
{
    return format_error(FORMAT_URI, text, len) == NULL;
}

static void
addresses(void **state)
{
    static const char *const emails[] = {"a@b.co", "first.last+tag@mail.example.com.bd", "x_y@sub-domain.org"};
    static const char *const no_emails[] = {"",        "a",       "@b.co",    "a@",       "a@b",    "a@b.",
                                            "a@.b",    "a b@c.d", "a@b c.d",  "a..b@c.d", ".a@c.d", "a.@c.d",
                                            "a@-b.co", "a@b@c.d", "a@b.co\n", "\xe0@b.co"};
    static const char *const urls[] = {
        "https://example.com",  "http://localhost:5001/cb?x=1#y",        "HTTPS://a.b/%20",
        "https://[::1]:8443/x", "https://shop.example.com/\xe0\xa6\xac", "http://127.0.0.1?x"};
    static const char *const no_urls[] = {"",
                                          "https://",
                                          "http:///x",
                                          "ftp://a.b",
                                          "javascript:alert(1)",
                                          "//a.b",
                                          "https://a b.c",
                                          "https://a.b/\r\nX: y",
                                          "https://user@a.b",
                                          "https://a.b:0",
                                          "https://a.b:65536",
                                          "https://a.b:",
                                          "https://a.b:8x",
                                          "https://-a.b",
                                          "https://a..b",
                                          "https://[::1",
                                          "https://[]",
                                          "https://a.b\\c",
                                          "https://a.b/\"",
                                          "https://a.b/\x7f",
                                          "https://a.b/\xff",
                                          "https://[::1]x"};
    char longest[300];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(emails); i++)
        assert_true(is_email(emails[i], strlen(emails[i])));
    for (size_t i = 0; i < ARRAY_COUNT(no_emails); i++)
        assert_false(is_email(no_emails[i], strlen(no_emails[i])));
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++)
        assert_true(is_url(urls[i], strlen(urls[i])));
    for (size_t i = 0; i < ARRAY_COUNT(no_urls); i++)
        assert_false(is_url(no_urls[i], strlen(no_urls[i])));
    memset(longest, 'a', sizeof(longest));
    memcpy(longest + 65, "@b.co", 5);
    assert_false(is_email(longest, 70));
    assert_true(is_email(longest + 1, 69));
    assert_false(is_url("https://a.b/\0", 13));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

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

static void
names(void **state)
{
    static const char *const good[] = {"a",          "O'Neil & Co <b>",
                                       "Zo\xc3\xab", "\xe0\xa6\xb0\xe2\x80\x8d\xe0\xa6\xaf",
                                       "a\xc2\xa0z", "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb"};
    static const char *const bad[] = {"",
                                      " ",
                                      "\xe3\x80\x80",
                                      "a\n",
                                      "\ta",
                                      "a\x1f",
                                      "\x7f"
                                      "a",
                                      "a\xc2\x85",
                                      "a\xe2\x80\x8b",
                                      "a\xe2\x80\x8f",
                                      "\xe2\x80\xae"
                                      "a",
                                      "\xe2\x81\xa6"
                                      "a",
                                      "\xe2\x80\xa8"
                                      "a",
                                      "\xef\xbb\xbf"
                                      "a",
                                      "a\xe2\x80\x8d"
                                      "b",
                                      "\xe0\xa6\xb0\xe2\x80\x8d",
                                      "\xe2\x80\x8d\xe0\xa6\xb0",
                                      "\xf3\xa0\x81\x81"
                                      "a",
                                      "a\xff"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_null(format_error(FORMAT_NAME, good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_non_null(format_error(FORMAT_NAME, bad[i], strlen(bad[i])));
}

static void
hosts_and_images(void **state)
{
    static const char *const hosts[] = {"a", "shop.example", "1-a.b2"}, *const no_hosts[] = {"",     "a..b", "-a",
                                                                                             "a-.b", "a:1",  "a b"};
    static const char *const images[] = {"a.png", "stores/1/a.png", "https://a.example/b.png"},
                             *const no_images[] = {"", "javascript:x", "../a", "a/../b", "//a", "a/", "a b", "data:a"};

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        assert_null(format_error(FORMAT_HOST, hosts[i], strlen(hosts[i])));
    for (size_t i = 0; i < sizeof no_hosts / sizeof *no_hosts; i++)
        assert_non_null(format_error(FORMAT_HOST, no_hosts[i], strlen(no_hosts[i])));
    for (size_t i = 0; i < sizeof images / sizeof *images; i++)
        assert_null(format_error(FORMAT_IMAGE, images[i], strlen(images[i])));
    for (size_t i = 0; i < sizeof no_images / sizeof *no_images; i++)
        assert_non_null(format_error(FORMAT_IMAGE, no_images[i], strlen(no_images[i])));
    assert_null(format_error(FORMAT_IMAGES, "a.png, b/c.png,", 15));
    assert_non_null(format_error(FORMAT_IMAGES, "a.png,data:x", 12));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(names),
        cmocka_unit_test(hosts_and_images),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

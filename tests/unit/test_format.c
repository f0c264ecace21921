/* Forms of text: what is an address, and what only looks like one. The others are tested with the validator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

/* What nobody sees: a name of it alone is no name, and behind another name it is that name's double. */
static void
invisible_names(void **state)
{
    static const char *const invisible[] = {
        "\u3164",     "\u2800",     "\u115F", "\u1160", "\u034F", "\uFE00",     "\uFE0F",     "\U000E0100",
        "\U000E01EF", "\u17B4",     "\u17B5", "\uFFF9", "\uFFFC", "\uFFFD",     "\uFFFE",     "\uFFFF",
        "\uFFA0",     "\u180B",     "\u180E", "\u2064", "\uFDD0", "\U0001D173", "\U0001BCA0", "\U000E0FFF",
        "\U0001FFFE", "\U0010FFFF", "\u200C", "\u200D", "\uFFF0", "\U0001D159",
    };
    static const char *const around[][2] = {{"", ""}, {"Shop", ""}, {"", "Shop"}, {"Sh", "op"}, {" ", " "}};
    char text[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(invisible); i++) {
        for (size_t k = 0; k < ARRAY_COUNT(around); k++) {
            snprintf(text, sizeof text, "%s%s%s", around[k][0], invisible[i], around[k][1]);
            assert_non_null(format_error(FORMAT_NAME, text, strlen(text)));
        }
    }
}

/* The same characters where a script or an emoji needs them. */
static void
joiners_and_selectors(void **state)
{
    static const char *const good[] = {
        "\u09B0\u200D\u09CD\u09AF\u09BE\u09AC",                                      /* Bengali: ra, ZWJ, ya-phala */
        "\u0989\u09A6\u09CD\u200C\u09AC\u09C7\u0997 \u09B8\u09CD\u099F\u09CB\u09B0", /* hasant shown: ZWNJ */
        "\u09B8\u09A4\u09CD\u200D",                                /* khanda ta as it was spelt, at the end */
        "\u09B8\u09A4\u09CD\u200C \u09A6\u09CB\u0995\u09BE\u09A8", /* and before a space */
        "\u0915\u094D\u200D\u0937",                                /* Devanagari half form */
        "\u0645\u06CC\u200C\u062E\u0648\u0627\u0647\u0645",        /* Persian */
        "\u0DC1\u0DCA\u200D\u0DBB\u0DD3",                          /* Sinhala */
        "Shop \u2764\uFE0F",
        "\u2764\uFE0F\u200D\U0001F525 Hot",
        "\U0001F3F3\uFE0F\u200D\U0001F308",
        "\U0001F469\U0001F3FD\u200D\U0001F4BB",
        "\u845B\U000E0100\u57CE", /* a Han variant */
        "\uAC00\uB098\uB2E4",
        "Caf\u00E9 \u2014 \u0421\u0430\u043C\u043E\u0432\u0430\u0440",
    };
    static const char *const bad[] = {
        "\u09A6\u09CB\u200C",       /* behind a vowel sign, at the end */
        "\u0421\u200D\u0430",       /* Cyrillic letters do not join */
        "\u09B0\u200C\u200D\u09AF", /* one is enough */
        "\u09B0\uFE0F",
        "\u0995\u200D ",
        "Shop\uFE0F",
        "\u57CE\uFE0F\uFE0F",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_null(format_error(FORMAT_NAME, good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_non_null(format_error(FORMAT_NAME, bad[i], strlen(bad[i])));
}

/* A text may hold what a name may not, so long as something of it is seen. */
static void
texts(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       " a ",
                                       "two\nlines\t",
                                       "\u200Ba",
                                       "a\u202E",
                                       "\u2764\uFE0F",
                                       "\u09A6\u09CB\u200C",
                                       "\u00A0.",
                                       "\u3164\U0001F600"};
    static const char *const bad[] = {" ",      "   ",       "\n",     "\t \r\n", "\u00A0", "\u3000\u2003",
                                      "\u200B", "\u200D",    "\u2060", "\uFEFF",  "\u3164", "\u2800",
                                      "\uFE0F", " \u202E\n", "\x7f",   "\xff"};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        assert_null(format_error(FORMAT_TEXT, good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_non_null(format_error(FORMAT_TEXT, bad[i], strlen(bad[i])));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),        cmocka_unit_test(names),           cmocka_unit_test(texts),
        cmocka_unit_test(hosts_and_images), cmocka_unit_test(invisible_names), cmocka_unit_test(joiners_and_selectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_outbound_url.c - which URLs strangers may give, and which tricks with them are known (contract K.4, Targets).
 *
 * api/test_target_packets.py dials what is allowed here, and looks at the network.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "config.h"
#include "outbound.h"

#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char *const fine[] = {
    "https://app.example/hooks",
    "HTTPS://App.Example/hooks?a=b&c=%20d",
    "https://app.example",
    "https://app.example?x=1",
    "https://app.example:443/",
    "https://app.example:/",
    "https://app.example:8443/hooks",
    "https://app.example:65535/",
    "https://a_b.app.example/",
    "https://xn--80akhbyknj4f.example/",
    "https://1.app.example/",
    "https://app.example/a@b:c//d/../e",
    "https://93.184.215.14/hooks",
    "https://[2606:4700:4700::1111]/",
    "https://[2606:4700:4700::1111]:8443/",
    "https://" LABEL_63 "." LABEL_63 "." LABEL_63 ".a/",
};

/* However the platform is set up. */
static const char *const unclear[] = {
    /* schemes, slashes */
    "",
    "app.example",
    "//app.example/",
    "https:app.example",
    "https:/app.example/",
    "https:///app.example/",
    "https:////app.example/",
    "https://",
    "https:///",
    "https://?x",
    "https://:443/",
    "ftp://app.example/",
    "file:///etc/passwd",
    "gopher://app.example:70/_x",
    "dict://app.example:11211/stats",
    "ldap://app.example/",
    "ws://app.example/",
    "javascript:alert(1)",
    "http+unix://%2Frun%2Fpostgresql/",
    /* credentials, and hosts that look like another one */
    "https://user:secret@app.example/",
    "https://user@app.example/",
    "https://@app.example/",
    "https://:@app.example/",
    "https://app.example@127.0.0.1/",
    "https://app.example:443@169.254.169.254/",
    "https://app.example\\@127.0.0.1/",
    "https://127.0.0.1\\.app.example/",
    "https:\\\\app.example\\",
    "https://app.example#@127.0.0.1/",
    "https://app.example/#top",
    "https://app.example/#",
    "https://127.0.0.1#.app.example/",
    /* addresses in disguise: decimal, octal, hexadecimal, short, with escapes, dots at the end */
    "https://2130706433/",
    "https://134744072/",
    "https://4294967296/",
    "https://017700000001/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://0300.0250.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://08.8.8.8/",
    "https://8.8.8.8./",
    "https://127.0.0.1./",
    "https://127%2e0%2e0%2e1/",
    "https://%31%32%37.0.0.1/",
    "https://256.1.1.1/",
    "https://1.2.3.4.5/",
    "https://app.example.0x7f/",
    "https://0/",
    /* IPv6 */
    "https://::1/",
    "https://[::1/",
    "https://[::1]x/",
    "https://[]/",
    "https://[127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[2606:4700:4700::1111%25lo]/",
    "https://[v1.fe80]/",
    /* names */
    "https://app.example./",
    "https://localhost./",
    "https://app..example/",
    "https://.app.example/",
    "https://./",
    "https://app.example,127.0.0.1/",
    "https://*.example/",
    "https://" LABEL_63 "a.example/",
    "https://" LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63 ".example/",
    /* Unicode: digits, dots, letters that become others */
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://１２７.０.０.１/",
    "https://ｌocalhost/",
    "https://bücher.example/",
    "https://app.example\xe2\x80\x8b/",
    "https://app.example/\xc3\xa4",
    "https://app.example/\xff",
    /* blanks and control characters */
    "https://app.example/a b",
    " https://app.example/",
    "https://app.example/ ",
    "https://app.example/\r\nX-Injected: 1",
    "https://app.example\n.127.0.0.1/",
    "https://app.example\t/",
    "https://app.example/\x7f",
    "https://app.example/\x01",
    /* ports */
    "https://app.example:0/",
    "https://app.example:65536/",
    "https://app.example:-1/",
    "https://app.example:443:80/",
    "https://app.example:+443/",
    "https://app.example:4 43/",
    "https://app.example:https/",
};

/* Development alone may have these. */
static const char *const inside[] = {
    "http://app.example/hooks",
    "http://93.184.215.14/",
    "https://localhost/",
    "https://LOCALHOST:8443/",
    "https://app.localhost/",
    "https://postgres/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://printer.local/",
    "https://router.home.arpa/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://100.100.100.200/latest/meta-data",
    "https://127.0.0.1/",
    "https://127.8.8.8:8443/",
    "https://168.63.129.16/",
    "https://169.254.169.254/latest/meta-data",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::1]/",
    "https://[2001::1]/",
    "https://[2002:7f00:1::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[ff02::1]/",
    "https://app.example:1/",
    "https://app.example:22/",
    "https://app.example:25/",
    "https://app.example:80/",
};

static void
urls_that_are_fine(void **state)
{
    (void)state;
    for (int dev = 0; dev <= 1; dev++) {
        config.dev = dev;
        for (size_t i = 0; i < ARRAY_COUNT(fine); i++)
            if (outbound_url_error(fine[i]))
                fail_msg("%s %s", fine[i], outbound_url_error(fine[i]));
    }
}

static void
urls_that_are_unclear(void **state)
{
    (void)state;
    for (int dev = 0; dev <= 1; dev++) {
        config.dev = dev;
        for (size_t i = 0; i < ARRAY_COUNT(unclear); i++)
            if (!outbound_url_error(unclear[i]))
                fail_msg("%s passes, dev %d", unclear[i], dev);
    }
}

static void
urls_that_lead_inside(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(inside); i++) {
        config.dev = 0;
        if (!outbound_url_error(inside[i]))
            fail_msg("%s passes", inside[i]);
        config.dev = 1;
        if (outbound_url_error(inside[i]))
            fail_msg("%s %s", inside[i], outbound_url_error(inside[i]));
    }
}

static void
the_very_longest(void **state)
{
    static char url[2 * 1024 * 1024];

    (void)state;
    memset(url, 'a', sizeof url - 1);
    memcpy(url, "https://", 8);
    for (int dev = 0; dev <= 1; dev++) {
        config.dev = dev;
        assert_non_null(outbound_url_error(url));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_that_are_fine),
        cmocka_unit_test(urls_that_are_unclear),
        cmocka_unit_test(urls_that_lead_inside),
        cmocka_unit_test(the_very_longest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* oauth_browser.c - cookies and form tokens (RFC 6265, RFC 9700 4.7: protection against forged requests). */
#include "oauth_browser.h"

#include <string.h>

#include "clock.h"
#include "secret.h"
#include "sessions.h"
#include "statements.h"
#include "text.h"

#define FORM_KEY_LABEL   "oauth-form"
#define ANONYMOUS_PREFIX "sx_an_"
#define TOKEN_BYTES      32
#define COOKIE_VALUE_LEN (6 + 2 * TOKEN_BYTES)

/* What the gateway told of the browser; in an internal operation the service that was told passes it on. */
static struct in
web_of(const struct call *call)
{
    return in_at(call->in, in_has(call->in, "web") ? "web" : "body.web");
}

static bool
is_https(struct call *call)
{
    struct str base_url = in_str(web_of(call), "base_url");

    return base_url.len > 8 && memcmp(base_url.base, "https://", 8) == 0;
}

static const char *
cookie_name(struct call *call)
{
    return is_https(call) ? "__Host-sx_oauth" : "sx_oauth";
}

/* Our cookies are a prefix and hex digits; anything else was not made here. */
static bool
is_ours(struct str value)
{
    if (value.len != COOKIE_VALUE_LEN ||
        (memcmp(value.base, BROWSER_TOKEN_PREFIX, 6) != 0 && memcmp(value.base, ANONYMOUS_PREFIX, 6) != 0))
        return false;
    for (size_t i = 6; i < value.len; i++)
        if (text_hex_digit(value.base[i]) < 0)
            return false;
    return true;
}

const char *
browser_cookie(struct call *call)
{
    const char *name = cookie_name(call), *place = in_text(web_of(call), "cookie");
    size_t name_len = strlen(name);

    while (place && *place) {
        size_t len = strcspn(place, ";");

        if (len > name_len && memcmp(place, name, name_len) == 0 && place[name_len] == '=') {
            struct str value = {place + name_len + 1, len - name_len - 1};

            return is_ours(value) ? arena_strndup(call->arena, value.base, value.len) : "";
        }
        place += len;
        place += strspn(place, "; ");
    }
    return "";
}

void
browser_set_cookie(struct call *call, const char *value)
{
    bool https = is_https(call);

    call_header(call, "Set-Cookie",
                arena_printf(call->arena, "%s=%s; Path=/; HttpOnly; SameSite=Lax%s%s", cookie_name(call), value,
                             https ? "; Secure" : "", *value ? "" : "; Max-Age=0"));
}

int
browser_identify(struct call *call, bool *signed_in)
{
    const char *cookie = browser_cookie(call);
    uint8_t hash[SHA256_SIZE];
    struct rows rows;

    *signed_in = false;
    if (strncmp(cookie, BROWSER_TOKEN_PREFIX, 6) != 0)
        return 0;
    secret_sha256(hash, cookie, strlen(cookie));
    if (db_run(call, IDENTIFY_SESSION, &rows, "x", hash, sizeof hash))
        return -1;
    if (!rows_int(&rows, 0, "alive") || rows_time(&rows, 0, "expires_at") <= clock_now_us())
        return 0;
    *signed_in = true;
    call->caller = (struct identity){.audience = AUDIENCE_MERCHANT,
                                     .account_id = rows_int(&rows, 0, "account_id"),
                                     .session_id = rows_int(&rows, 0, "session_id"),
                                     .scopes = "",
                                     .service = ""};
    return 0;
}

const char *
browser_remember(struct call *call)
{
    const char *cookie = browser_cookie(call);

    if (strncmp(cookie, ANONYMOUS_PREFIX, 6) == 0)
        return cookie;
    cookie = secret_token(call->arena, ANONYMOUS_PREFIX, TOKEN_BYTES);
    browser_set_cookie(call, cookie);
    return cookie;
}

const char *
browser_form_token(struct call *call, const char *cookie, const char *purpose, const char *about)
{
    const char *text = arena_printf(call->arena, "%s\n%s\n%s", purpose, cookie, about);
    char *hex = arena_alloc(call->arena, HEX_SIZE(SHA256_SIZE));
    uint8_t key[32], mac[SHA256_SIZE];

    secret_derive(key, FORM_KEY_LABEL);
    secret_hmac(mac, key, sizeof key, text, strlen(text));
    secret_wipe(key, sizeof key);
    secret_hex(hex, mac, sizeof mac);
    return hex;
}

int
browser_check_form(struct call *call, const char *purpose, const char *about)
{
    const char *cookie = browser_cookie(call);
    const char *expected = browser_form_token(call, cookie, purpose, about);
    struct str given = in_str(call->in, "body.form_token");

    if (*cookie && given.len == strlen(expected) && secret_equal(given.base, expected, given.len))
        return 0;
    return call_fail(call, FAIL_FORBIDDEN, NULL,
                     "This form was not made for this browser, or it is too old. Allow cookies, go back to where you "
                     "came from, and start again");
}

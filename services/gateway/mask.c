/* mask.c - a token that somebody has put into a path must not lie in a log for longer than it would have lived.
 *
 * Looked for is the form, not whether the secret is one: asking would cost a query, and a mistyped secret tells most of
 * the real one. What was escaped in the path (%5F) is still found by its digits.
 */
#include "mask.h"

#include <string.h>

#include "text.h"

#define SECRET_DIGITS_MIN 16 /* behind a prefix; less gives nobody anything, and may be a word */
#define BARE_DIGITS_MIN   64 /* signing keys have no prefix */
#define JWT_PART_MIN      8
#define WHSEC_MIN         8

static size_t
hex_run(struct str text, size_t from)
{
    size_t at = from;

    while (at < text.len && text_hex_digit(text.base[at]) >= 0)
        at++;
    return at - from;
}

static size_t
base64_run(struct str text, size_t from)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+=";
    size_t at = from;

    while (at < text.len && memchr(allowed, text.base[at], sizeof allowed - 1))
        at++;
    return at - from;
}

static bool
begins(struct str text, size_t at, const char *prefix)
{
    size_t len = strlen(prefix);

    return text.len - at >= len && memcmp(text.base + at, prefix, len) == 0;
}

/* sx_at_0123…; how much of it stays readable is *kept. 0: none begins here. */
static size_t
prefixed(struct str text, size_t at, size_t *kept)
{
    size_t place = at + 3, digits;

    if (!begins(text, at, "sx_") || begins(text, at, "sx_app_"))
        return 0;
    while (place < text.len && text.base[place] >= 'a' && text.base[place] <= 'z')
        place++;
    if (place == at + 3 || place == text.len || text.base[place] != '_')
        return 0;
    *kept = place + 1 - at;
    digits = hex_run(text, place + 1);
    return digits >= SECRET_DIGITS_MIN ? *kept + digits : 0;
}

/* Until *none_before the first part is one run of letters that was found not to begin one: looked at once, not again
 * from each "ey" in it. */
static size_t
jwt(struct str text, size_t at, size_t *none_before)
{
    size_t head, payload, signature;

    if (at < *none_before || !begins(text, at, "ey"))
        return 0;
    head = base64_run(text, at);
    payload = at + head < text.len && text.base[at + head] == '.' ? base64_run(text, at + head + 1) : 0;
    if (head < JWT_PART_MIN || payload < JWT_PART_MIN) {
        *none_before = at + head;
        return 0;
    }
    head += 1 + payload;
    if (at + head == text.len || text.base[at + head] != '.')
        return head;
    signature = base64_run(text, at + head + 1);
    return head + 1 + signature;
}

/* The length of the secret that begins here; 0 when none does. */
static size_t
secret_at(struct str text, size_t at, size_t *kept, size_t *no_jwt_before)
{
    size_t len = prefixed(text, at, kept);

    if (len > 0)
        return len;
    *kept = 0;
    if (begins(text, at, "whsec_") && base64_run(text, at + 6) >= WHSEC_MIN) {
        *kept = 6;
        return 6 + base64_run(text, at + 6);
    }
    len = jwt(text, at, no_jwt_before);
    if (len > 0)
        return len;
    len = hex_run(text, at);
    return len >= BARE_DIGITS_MIN ? len : 0;
}

struct str
mask_secrets(struct arena *arena, struct str text)
{
    char *copy = NULL;
    size_t size = 0, no_jwt_before = 0;

    for (size_t at = 0; at < text.len;) {
        size_t kept, len = secret_at(text, at, &kept, &no_jwt_before);

        if (len == 0) {
            if (copy)
                copy[size++] = text.base[at];
            at++;
            continue;
        }
        if (!copy) { /* no longer than the text: every secret is longer than *** */
            copy = arena_alloc(arena, text.len);
            memcpy(copy, text.base, at);
            size = at;
        }
        memcpy(copy + size, text.base + at, kept);
        memset(copy + size + kept, '*', 3);
        size += kept + 3;
        at += len;
    }
    return copy ? (struct str){copy, size} : text;
}

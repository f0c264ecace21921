/* embed.c - takes an app's address apart at ? and #, and puts it together again with what we sign.
 *
 * What is signed are the parameters as a frontend reads them (URLSearchParams, or its server's parser), and not as they
 * are escaped in the address: clients do not escape them again before they compare.
 */
#include "embed.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "secret.h"
#include "text.h"

#define URL_MAX 65536 /* far above an app_url and what is added to it */

struct parameter_text {
    struct str name, value; /* decoded */
    struct str raw;         /* as it stands in the address */
};

static struct str
decoded(struct arena *arena, struct str raw)
{
    char *text = arena_strndup(arena, raw.base, raw.len);
    size_t len = raw.len;

    return text_percent_decode(text, &len, true) == 0 ? (struct str){text, len} : raw;
}

static bool
is_ours(struct str name)
{
    return str_is(name, "store_id") || str_is(name, "host") || str_is(name, "timestamp") || str_is(name, "hmac");
}

static struct parameter_text
parameter_of(struct arena *arena, struct str raw)
{
    const char *equals = raw.len ? memchr(raw.base, '=', raw.len) : NULL;
    struct str name = {raw.base, equals ? (size_t)(equals - raw.base) : raw.len}, value = STR("");

    if (equals)
        value = (struct str){equals + 1, (size_t)(raw.base + raw.len - equals - 1)};
    return (struct parameter_text){decoded(arena, name), decoded(arena, value), raw};
}

/* The app's own parameters, without those that bear our names; list has room for all. */
static unsigned
split_query(struct arena *arena, struct str query, struct parameter_text *list)
{
    unsigned count = 0;

    for (size_t start = 0, i = 0; i <= query.len; i++) {
        if (i < query.len && query.base[i] != '&')
            continue;
        if (i > start) {
            list[count] = parameter_of(arena, (struct str){query.base + start, i - start});
            count += !is_ours(list[count].name);
        }
        start = i + 1;
    }
    return count;
}

/* By name; equal names stay in the order of the address, which is that of their memory. */
static int
compare(const void *a, const void *b)
{
    const struct parameter_text *left = a, *right = b;
    size_t least = left->name.len < right->name.len ? left->name.len : right->name.len;
    int order = least ? memcmp(left->name.base, right->name.base, least) : 0;

    if (order == 0 && left->name.len != right->name.len)
        order = left->name.len < right->name.len ? -1 : 1;
    if (order == 0)
        order = left->raw.base < right->raw.base ? -1 : 1;
    return order;
}

static void
append_str(struct buf *buf, struct str text)
{
    if (text.len)
        buf_append(buf, text.base, text.len);
}

static void
sign(char hex[HEX_SIZE(SHA256_SIZE)], const void *key, size_t key_size, const struct parameter_text *list,
     unsigned count)
{
    uint8_t mac[SHA256_SIZE];
    struct buf text;

    buf_init(&text, URL_MAX);
    for (unsigned i = 0; i < count; i++) {
        append_str(&text, i ? STR("&") : STR(""));
        append_str(&text, list[i].name);
        append_str(&text, STR("="));
        append_str(&text, list[i].value);
    }
    secret_hmac(mac, key, key_size, text.data, text.size);
    secret_hex(hex, mac, sizeof mac);
    buf_free(&text);
}

char *
embed_url(struct arena *arena, const char *app_url, const void *key, size_t key_size, int64_t store_id,
          const char *origin, int64_t now_s)
{
    size_t place = strcspn(app_url, "#"), path = strcspn(app_url, "?#");
    struct str query = path < place ? (struct str){app_url + path + 1, place - path - 1} : STR("");
    struct parameter_text *list = arena_alloc(arena, (query.len + 4) * sizeof *list);
    char *host = arena_alloc(arena, BASE64_SIZE(strlen(origin)));
    unsigned count = split_query(arena, query, list);
    char hex[HEX_SIZE(SHA256_SIZE)], *result;
    struct buf url;

    text_to_base64url(host, origin, strlen(origin));
    list[count++] = parameter_of(arena, str_of(arena_printf(arena, "store_id=%lld", (long long)store_id)));
    list[count++] = parameter_of(arena, str_of(arena_printf(arena, "host=%s", host)));
    list[count++] = parameter_of(arena, str_of(arena_printf(arena, "timestamp=%lld", (long long)now_s)));
    buf_init(&url, URL_MAX);
    buf_append(&url, app_url, path);
    for (unsigned i = 0; i < count; i++) {
        append_str(&url, i ? STR("&") : STR("?"));
        append_str(&url, list[i].raw);
    }
    qsort(list, count, sizeof *list, compare);
    sign(hex, key, key_size, list, count);
    buf_append_text(&url, "&hmac=");
    buf_append_text(&url, hex);
    buf_append_text(&url, app_url + place);
    result = arena_strndup(arena, url.data, url.size);
    buf_free(&url);
    return result;
}

/* oauth_redirect.c - takes an address apart as a browser would, and refuses what different readers could understand
 * differently: there the answer, with its code, would go astray. */
#include "oauth_redirect.h"

#include <string.h>

#include "arena.h"
#include "config.h"
#include "text.h"

static bool
is_loopback(const char *host, size_t len)
{
    struct str name = {host, len};

    for (size_t i = len; i-- > 0 && host[i] != ']';)
        if (host[i] == ':')
            name.len = i;
    return str_is(name, "localhost") || str_is(name, "127.0.0.1") || str_is(name, "[::1]");
}

/* An app that reads the first of two would take what stood in its own address for our answer. */
static bool
has_our_parameter(struct arena *arena, const char *query)
{
    static const char *const ours[] = {"code", "state", "iss", "error", "error_description"};

    while (*query) {
        size_t len = strcspn(query, "&"), name_len = strcspn(query, "=&");
        char *name = arena_strndup(arena, query, name_len);

        if (text_percent_decode(name, &name_len, true) == 0)
            for (unsigned i = 0; i < ARRAY_COUNT(ours); i++)
                if (str_is((struct str){name, name_len}, ours[i]))
                    return true;
        query += len + (query[len] == '&');
    }
    return false;
}

const char *
redirect_error(struct arena *arena, const char *uri)
{
    static const char in_host[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:[]";
    bool https = strncmp(uri, "https://", 8) == 0, http = strncmp(uri, "http://", 7) == 0;
    const char *host = uri + (https ? 8 : 7), *query = strchr(uri, '?');
    size_t len;

    if (!https && !http)
        return "must begin with https://";
    if (strchr(uri, '#'))
        return "must not have a fragment: leave out the # and what follows it";
    for (const char *place = uri; *place; place++)
        if (*place <= 0x20 || *place >= 0x7f || strchr("\\\"<>`{}|^", *place))
            return "must be of visible ASCII without \\ \" < > ` { } | ^: escape them with %";
    len = strcspn(host, "/?");
    if (len == 0 || strspn(host, in_host) < len)
        return "must name a host of letters, digits, dots and hyphens, with its port at most: no user, no password";
    if (!https && !config.dev && !is_loopback(host, len))
        return "must begin with https://; http is for localhost, 127.0.0.1 and [::1] only";
    if (query && has_our_parameter(arena, query + 1))
        return "must not have a query with code, state, iss, error or error_description: the answer adds them";
    return NULL;
}

/* outbound_url.c - which URLs a stranger may have us dial, judged before anything is dialled (contract K.4, Targets).
 *
 * The parser is the one that dials, libcurl's, so that the host that was judged is the host that is dialled. What it
 * reads must moreover stand in the text letter by letter: user names, escapes, zones and addresses in disguise (0x7f.1,
 * 2130706433) are refused for being unclear, wherever they lead. What a name resolves to is judged when it is dialled.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "address.h"
#include "config.h"
#include "outbound.h"

#define HOST_MAX  253 /* RFC 1035, as text */
#define LABEL_MAX 63

/* ---- a path behind it -------------------------------------------------------------------------------------------- */

static char *
url_with_leaf(struct arena *arena, CURLU *parts, const char *leaf)
{
    char *scheme = NULL, *path = NULL, *text = NULL, *longer, *answer = NULL;
    size_t len;

    if (curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == 0 &&
        (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0) &&
        curl_url_get(parts, CURLUPART_PATH, &path, 0) == 0) {
        len = strlen(path);
        while (len > 0 && path[len - 1] == '/')
            len--;
        longer = arena_printf(arena, "%.*s/%s", (int)len, path, leaf);
        if (curl_url_set(parts, CURLUPART_PATH, longer, 0) == 0 &&
            curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0) == 0 && curl_url_get(parts, CURLUPART_URL, &text, 0) == 0)
            answer = arena_strdup(arena, text);
    }
    curl_free(scheme);
    curl_free(path);
    curl_free(text);
    return answer;
}

char *
outbound_url(struct arena *arena, const char *url, const char *leaf)
{
    char *answer = NULL;
    CURLU *parts;

    outbound_start();
    parts = curl_url();
    if (!parts)
        abort();
    if (curl_url_set(parts, CURLUPART_URL, url, 0) == 0)
        answer = url_with_leaf(arena, parts, leaf);
    curl_url_cleanup(parts);
    return answer;
}

/* ---- what is wrong with it --------------------------------------------------------------------------------------- */

/* Blanks, control characters and what is not ASCII is read differently by different programs, and so is a backslash. */
static bool
is_plain_text(const char *url)
{
    for (; *url; url++)
        if (*url <= ' ' || *url > '~' || *url == '\\')
            return false;
    return true;
}

static bool
host_stands_there(const char *url, const char *host)
{
    const char *text = strstr(url, "://");
    size_t len = strlen(host);

    return text && strncasecmp(text + 3, host, len) == 0 && strchr("/?#:", text[3 + len]) != NULL;
}

/* Labels with dots between them. No top-level domain begins with a digit: what does is half an address. */
static bool
is_name(const char *host)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    const char *label = host;

    if (strlen(host) > HOST_MAX)
        return false;
    for (;;) {
        size_t len = strspn(label, allowed);

        if (len == 0 || len > LABEL_MAX)
            return false;
        if (label[len] == '\0')
            return *label < '0' || *label > '9';
        if (label[len] != '.')
            return false;
        label += len + 1;
    }
}

/* Names that by their standards are never the public internet's. */
static bool
is_name_inside(const char *host)
{
    static const char *const ends[] = {"localhost", "local", "internal", "home.arpa"};
    size_t len = strlen(host);

    if (!strchr(host, '.'))
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        size_t end = strlen(ends[i]);

        if (len > end && host[len - end - 1] == '.' && strcasecmp(host + len - end, ends[i]) == 0)
            return true;
    }
    return false;
}

/* host is as libcurl writes it: IPv4 in four decimal numbers, IPv6 in brackets. */
static const char *
host_error(const char *host)
{
    static const char inside[] = "must have a host on the public internet";
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    char text[INET6_ADDRSTRLEN] = "";
    size_t len = strlen(host);
    bool is_public;

    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        is_public = address_is_public((const struct sockaddr *)&v4);
    } else if (host[0] == '[') {
        if (len - 2 < sizeof text)
            memcpy(text, host + 1, len - 2);
        if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
            return "must have an IPv6 address in the brackets";
        is_public = address_is_public((const struct sockaddr *)&v6);
    } else {
        if (!is_name(host))
            return "must have a host name of letters, digits and hyphens with single dots between them, or an IP address";
        is_public = !is_name_inside(host);
    }
    return is_public || config.dev ? NULL : inside;
}

static const char *
parts_error(const char *url, const char *scheme, const char *host, long port)
{
    if (strcmp(scheme, "https") != 0 && (!config.dev || strcmp(scheme, "http") != 0))
        return "must begin with https://";
    if (!host_stands_there(url, host))
        return "must name its host plainly: without user name or password, without escapes, an IP address in its usual "
               "form";
    if (strchr(url, '#'))
        return "must have no fragment, the part from # on: it is never sent";
    if (!outbound_port_is_fine(port))
        return "must use port 443 or one above 1023";
    return host_error(host);
}

bool
outbound_port_is_fine(long port)
{
    return port == 443 || port > 1023 || (config.dev && port > 0);
}

const char *
outbound_url_error(const char *url)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    const char *error = "must be an https URL";
    CURLU *parts;

    if (!is_plain_text(url))
        return "must be of visible ASCII characters without a backslash: percent-encode others, and write the host as "
               "xn--…";
    outbound_start();
    parts = curl_url();
    if (!parts)
        abort();
    if (curl_url_set(parts, CURLUPART_URL, url, 0) == 0 && curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == 0 &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == 0 &&
        curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == 0)
        error = parts_error(url, scheme, host, strtol(port, NULL, 10));
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return error;
}

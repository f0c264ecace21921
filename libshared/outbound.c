/* outbound.c - libcurl, with everything switched off that a stranger could use. */
#include "outbound.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actor.h"
#include "address.h"
#include "clock.h"
#include "config.h"
#include "log.h"

#define CONNECT_MS      5000
#define ANSWER_SIZE_MAX 65536 /* read, so that the connection ends in order, and thrown away */
#define LOOK_MS         100   /* at actor_is_stopping */
#define USER_AGENT      "SeloraX-Webhook/1.0"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
start_library(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        log_fatal("curl_failed", NULL);
}

/* ---- the URL ----------------------------------------------------------------------------------------------------- */

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
    CURLU *parts;
    char *answer = NULL;

    pthread_once(&once, start_library);
    parts = curl_url();
    if (!parts)
        abort();
    if (curl_url_set(parts, CURLUPART_URL, url, 0) == 0)
        answer = url_with_leaf(arena, parts, leaf);
    curl_url_cleanup(parts);
    return answer;
}

/* host is as libcurl writes it: IPv4 in four decimal numbers whatever the URL had, IPv6 in brackets. */
static bool
host_is_inside(const char *host)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    char text[INET6_ADDRSTRLEN] = "";
    size_t len = strlen(host);

    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        return !address_is_public((const struct sockaddr *)&v4);
    if (host[0] == '[' && len - 2 < sizeof text) {
        memcpy(text, host + 1, len - 2);
        return inet_pton(AF_INET6, text, &v6.sin6_addr) != 1 || !address_is_public((const struct sockaddr *)&v6);
    }
    return strcasecmp(host, "localhost") == 0 || (len > 10 && strcasecmp(host + len - 10, ".localhost") == 0);
}

const char *
outbound_url_error(const char *url)
{
    const char *error = NULL;
    char *scheme = NULL, *host = NULL;
    CURLU *parts;

    if (config.dev)
        return NULL;
    pthread_once(&once, start_library);
    parts = curl_url();
    if (!parts)
        abort();
    if (curl_url_set(parts, CURLUPART_URL, url, 0) != 0 || curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != 0 ||
        curl_url_get(parts, CURLUPART_HOST, &host, 0) != 0)
        error = "must be an https URL";
    else if (strcmp(scheme, "https") != 0)
        error = "must begin with https://: access tokens are sent there";
    else if (host_is_inside(host))
        error = "must have a host on the public internet";
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parts);
    return error;
}

/* ---- one transfer ------------------------------------------------------------------------------------------------ */

struct transfer {
    struct outbound_request *request;
    CURL *handle;
    size_t received;
    bool refused; /* an address that is not public */
    char error[CURL_ERROR_SIZE];
};

static curl_socket_t
open_public_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *self = context;

    (void)purpose;
    if (!config.dev && !address_is_public(&address->addr)) {
        self->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t
swallow(char *data, size_t size, size_t count, void *context)
{
    struct transfer *self = context;

    (void)data;
    self->received += size * count;
    return self->received <= ANSWER_SIZE_MAX ? size * count : 0;
}

static void
allow_protocols(CURL *handle)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, config.dev ? "http,https" : "https");
#else
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS,
                     (long)(config.dev ? CURLPROTO_HTTP | CURLPROTO_HTTPS : CURLPROTO_HTTPS));
#endif
}

static void
transfer_begin(struct transfer *self, struct outbound_request *request, int64_t timeout_ms, struct curl_slist *headers)
{
    CURL *handle = curl_easy_init();

    if (!handle)
        abort();
    self->request = request;
    self->handle = handle;
    curl_easy_setopt(handle, CURLOPT_URL, request->url);
    curl_easy_setopt(handle, CURLOPT_POST, 1L);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body.base);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, USER_AGENT);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L); /* the end of the time waits for no resolver */
#endif
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    allow_protocols(handle);
    curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, open_public_socket);
    curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, self);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, self);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, self->error);
}

/* A status counts although the answer behind it was too long, or was cut off: its first line is what was asked for. */
static void
transfer_end(struct transfer *self, struct call *call)
{
    struct outbound_request *request = self->request;
    long status = 0;

    curl_easy_getinfo(self->handle, CURLINFO_RESPONSE_CODE, &status);
    request->status = (int)status;
    if (status == 0)
        request->error = arena_strdup(call->arena, self->refused    ? "the host's address is not public"
                                                   : self->error[0] ? self->error
                                                                    : "no answer");
    curl_easy_cleanup(self->handle);
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static void
run_all(CURLM *multi, struct call *call, int64_t until_ms)
{
    int running = 1;

    while (running > 0 && clock_monotonic_ms() < until_ms && !actor_is_stopping(call)) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return;
        if (running > 0 && curl_multi_poll(multi, NULL, 0, LOOK_MS, NULL) != CURLM_OK)
            return;
    }
}

void
outbound_send(struct outbound_request *const *requests, unsigned count, int64_t timeout_ms, struct call *call)
{
    struct transfer *transfers = arena_alloc(call->arena, (count + 1) * sizeof *transfers);
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    struct curl_slist *headers;
    CURLM *multi;

    if (count == 0)
        return;
    pthread_once(&once, start_library);
    multi = curl_multi_init();
    headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (!multi || !headers)
        abort();
    for (unsigned i = 0; i < count; i++) {
        if (!requests[i]->url) {
            requests[i]->error = arena_strdup(call->arena, "the URL cannot be used");
            continue;
        }
        transfer_begin(&transfers[i], requests[i], timeout_ms, headers);
        curl_multi_add_handle(multi, transfers[i].handle);
    }
    run_all(multi, call, until_ms);
    for (unsigned i = 0; i < count; i++) {
        if (!transfers[i].handle)
            continue;
        curl_multi_remove_handle(multi, transfers[i].handle);
        transfer_end(&transfers[i], call);
    }
    curl_slist_free_all(headers);
    curl_multi_cleanup(multi);
}

/* outbound.c - libcurl, with everything switched off that a stranger could use. */
#include "outbound.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "clock.h"
#include "config.h"
#include "log.h"

#define CONNECT_MS       5000
#define ANSWER_SIZE_MAX  65536 /* read, so that the connection ends in order, and thrown away */
#define CONNECTIONS_KEPT 512
#define USER_AGENT       "SeloraX-Webhook/1.0"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
start_library(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        log_fatal("curl_failed", NULL);
}

void
outbound_start(void)
{
    pthread_once(&once, start_library);
}

/* ---- one transfer ------------------------------------------------------------------------------------------------ */

struct transfer {
    struct outbound_request *request;
    CURL *handle;
    struct curl_slist *headers;
    struct transfer *next, *before; /* of those under way, or (next) of those that are free */
    size_t received;
    int64_t begun_ms;
    bool refused;  /* an address that is not public */
    bool answered; /* a status with all its headers */
    char error[CURL_ERROR_SIZE];
};

struct outbound {
    CURLM *multi;
    struct transfer *first; /* under way */
    struct transfer *free;  /* their handles are used again: making one costs as much as a request */
};

static long
port_of(const struct sockaddr *address)
{
    struct sockaddr_in in4; /* IPv6 has its port in the same place */

    memcpy(&in4, address, sizeof in4);
    return ntohs(in4.sin_port);
}

static curl_socket_t
open_public_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *self = context;

    (void)purpose;
    if (!config.dev && !(address_is_public(&address->addr) && outbound_port_is_fine(port_of(&address->addr)))) {
        self->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* All headers together are bounded as the body is. A blank line ends them; those of a 1xx are not the answer's. */
static size_t
take_header(char *data, size_t size, size_t count, void *context)
{
    struct transfer *self = context;
    size_t len = size * count;
    long status = 0;

    if (len <= 2 && (data[0] == '\r' || data[0] == '\n')) {
        curl_easy_getinfo(self->handle, CURLINFO_RESPONSE_CODE, &status);
        self->answered = status >= 200;
    }
    self->received += len;
    return self->received <= ANSWER_SIZE_MAX ? len : 0;
}

/* What is not kept is swallowed, up to a bound, so that the connection ends in order and can serve again. */
static size_t
take_answer(char *data, size_t size, size_t count, void *context)
{
    struct transfer *self = context;
    struct outbound_request *request = self->request;
    size_t room = request->answer_size - request->answer_len, len = size * count;

    if (room > 0) {
        memcpy(request->answer + request->answer_len, data, len < room ? len : room);
        request->answer_len += len < room ? len : room;
    }
    self->received += len;
    return self->received <= ANSWER_SIZE_MAX ? len : 0;
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

/* What is the same for every request. */
static void
transfer_prepare(struct transfer *self)
{
    CURL *handle = self->handle;

    curl_easy_setopt(handle, CURLOPT_PRIVATE, self);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, USER_AGENT);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L); /* neither its end nor ours waits for a resolver */
#endif
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    allow_protocols(handle);
    curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, open_public_socket);
    curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, self);
    curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, self);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, self);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, self->error);
}

static struct transfer *
transfer_new(void)
{
    struct transfer *self = xcalloc(1, sizeof *self);

    self->handle = curl_easy_init();
    if (!self->handle)
        abort();
    transfer_prepare(self);
    return self;
}

/* Before its next request. libcurl sends again on a new connection what came to a kept one and found it closed, but
 * counts that in the handle, over all its requests, and at the sixth time it gives up: a reset counts from zero. Where
 * no connection was made nothing was counted. */
static void
transfer_refresh(struct transfer *self)
{
    long connections = 0;

    curl_easy_getinfo(self->handle, CURLINFO_NUM_CONNECTS, &connections);
    if (connections > 0) {
        curl_easy_reset(self->handle);
        transfer_prepare(self);
    }
}

static struct curl_slist *
append_header(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);

    if (!longer)
        abort();
    return longer;
}

static void
transfer_begin(struct transfer *self, struct outbound_request *request, int64_t timeout_ms)
{
    CURL *handle = self->handle;

    self->request = request;
    self->received = 0;
    self->begun_ms = clock_monotonic_ms();
    self->refused = false;
    self->answered = false;
    self->error[0] = '\0';
    self->headers = append_header(NULL, "Expect:"); /* a large body waits for no leave */
    if (request->body.base)
        self->headers = append_header(self->headers, "Content-Type: application/json");
    for (unsigned i = 0; i < OUTBOUND_HEADERS_MAX && request->headers[i]; i++)
        self->headers = append_header(self->headers, request->headers[i]);
    curl_easy_setopt(handle, CURLOPT_URL, request->url);
    if (request->body.base) {
        curl_easy_setopt(handle, CURLOPT_POST, 1L);
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body.base);
    } else {
        curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, self->headers);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
}

/* A status with its headers counts although the body behind them was too long, or was cut off: nobody asked for that.
 */
static void
transfer_read(const struct transfer *self)
{
    struct outbound_request *request = self->request;
    curl_off_t retry_after = 0;
    long status = 0;

    curl_easy_getinfo(self->handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(self->handle, CURLINFO_RETRY_AFTER, &retry_after);
    if (!self->answered)
        status = 0;
    request->status = (int)status;
    request->retry_after_s = status ? (int64_t)retry_after : 0;
    request->duration_ms = clock_monotonic_ms() - self->begun_ms;
    if (status == 0)
        snprintf(request->error, sizeof request->error, "%s",
                 self->refused                      ? "the host's address is not public"
                 : self->received > ANSWER_SIZE_MAX ? "the answer's headers do not end"
                 : self->error[0]                   ? self->error
                                                    : "no answer");
}

/* ---- those under way --------------------------------------------------------------------------------------------- */

struct outbound *
outbound_new(void)
{
    struct outbound *self = xcalloc(1, sizeof *self);

    outbound_start();
    self->multi = curl_multi_init();
    if (!self->multi)
        abort();
    curl_multi_setopt(self->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    return self;
}

static void
end_transfer(struct outbound *self, struct transfer *transfer)
{
    if (transfer->before)
        transfer->before->next = transfer->next;
    else
        self->first = transfer->next;
    if (transfer->next)
        transfer->next->before = transfer->before;
    curl_multi_remove_handle(self->multi, transfer->handle);
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    transfer->request = NULL;
    transfer->next = self->free;
    self->free = transfer;
}

void
outbound_destroy(struct outbound **self)
{
    struct outbound *outbound = *self;
    struct transfer *transfer;

    *self = NULL;
    if (!outbound)
        return;
    while (outbound->first)
        end_transfer(outbound, outbound->first);
    while ((transfer = outbound->free) != NULL) {
        outbound->free = transfer->next;
        curl_easy_cleanup(transfer->handle);
        free(transfer);
    }
    curl_multi_cleanup(outbound->multi);
    free(outbound);
}

int
outbound_begin(struct outbound *self, struct outbound_request *request, int64_t timeout_ms)
{
    struct transfer *transfer = self->free;

    request->status = 0;
    request->error[0] = '\0';
    request->answer_len = 0;
    request->retry_after_s = 0;
    request->duration_ms = 0;
    if (!request->url) {
        snprintf(request->error, sizeof request->error, "the URL cannot be used");
        return -1;
    }
    if (transfer) {
        self->free = transfer->next;
        transfer_refresh(transfer);
    } else {
        transfer = transfer_new();
    }
    transfer_begin(transfer, request, timeout_ms);
    transfer->before = NULL;
    transfer->next = self->first;
    if (self->first)
        self->first->before = transfer;
    self->first = transfer;
    if (curl_multi_add_handle(self->multi, transfer->handle) != CURLM_OK)
        log_fatal("curl_failed", NULL);
    return 0;
}

static struct transfer *
find_ended(struct outbound *self)
{
    struct transfer *transfer = NULL;
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(self->multi, &left)) != NULL)
        if (message->msg == CURLMSG_DONE) {
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
            break;
        }
    return transfer;
}

struct outbound_request *
outbound_take_or(struct outbound *self, int64_t until_ms, int fd)
{
    struct curl_waitfd other = {.fd = fd, .events = CURL_WAIT_POLLIN};
    struct outbound_request *request;
    struct transfer *transfer;
    int64_t left_ms;
    int running;

    while (self->first) {
        transfer = find_ended(self); /* those of the last look, before all of them are looked at again */
        if (!transfer && curl_multi_perform(self->multi, &running) != CURLM_OK)
            log_fatal("curl_failed", NULL);
        if (!transfer)
            transfer = find_ended(self);
        if (transfer) {
            request = transfer->request;
            transfer_read(transfer);
            end_transfer(self, transfer);
            return request;
        }
        left_ms = until_ms - clock_monotonic_ms();
        if (left_ms <= 0 || other.revents)
            break;
        if (curl_multi_poll(self->multi, &other, fd >= 0, (int)left_ms, NULL) != CURLM_OK)
            log_fatal("curl_failed", NULL);
    }
    return NULL;
}

struct outbound_request *
outbound_take(struct outbound *self, int64_t until_ms)
{
    return outbound_take_or(self, until_ms, -1);
}

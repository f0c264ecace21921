/* http_errors.c - malformed HTTP gets the contract's JSON, not libmicrohttpd's HTML.
 *
 * libmicrohttpd 0.9.75 answers what it cannot parse with pages of its own and has no setting for them. It does so
 * through its public MHD_queue_response, which a shared library calls by name: the program's definition comes first,
 * and that is the one below. Our own answers go to the real one, so whatever arrives here is one of those pages. It is
 * written to the socket directly, because libmicrohttpd sends the head of some of these answers twice; then the
 * connection is closed. tests/api sends malformed requests and would notice a library that binds the name differently.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>

#include "access.h"
#include "admit.h"
#include "http_private.h"
#include "log.h"
#include "reply.h"

#define TEXT_SIZE_MAX  8192
#define DISCARD_ROUNDS 16

static enum MHD_Result (*real_queue)(struct MHD_Connection *, unsigned, struct MHD_Response *);
static struct http *the_http;

void
http_errors_start(struct http *http)
{
    the_http = http;
    *(void **)&real_queue = dlsym(RTLD_NEXT, "MHD_queue_response");
    if (!real_queue)
        log_fatal("no_symbol", "s:name", "MHD_queue_response", NULL);
}

enum MHD_Result
http_errors_queue(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response)
{
    return real_queue(connection, status, response);
}

static enum fail
fail_of(unsigned status)
{
    switch (status) {
    case 413: return FAIL_PAYLOAD_TOO_LARGE;
    case 414: return FAIL_URI_TOO_LONG;
    case 431: return FAIL_HEADERS_TOO_LARGE;
    case 500: return FAIL_INTERNAL_ERROR;
    default: return FAIL_BAD_REQUEST;
    }
}

/* The socket is empty before this: libmicrohttpd has sent the answers to earlier requests. What the client is still
 * sending is read away, because closing on unread data makes the kernel throw away what we sent. */
static void
write_answer(int fd, const struct answer *answer)
{
    char text[TEXT_SIZE_MAX], discarded[4096];
    size_t size = 0;
    int n = snprintf(text, sizeof text, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %zu\r\n",
                     answer->status, MHD_get_reason_phrase_for((unsigned)answer->status), answer->body_size);

    for (unsigned i = 0; i < answer->header_count && n > 0 && size + (size_t)n < sizeof text; i++) {
        size += (size_t)n;
        n = snprintf(text + size, sizeof text - size, "%s: %s\r\n", answer->headers[i].name, answer->headers[i].value);
    }
    if (n < 0 || size + (size_t)n >= sizeof text)
        return;
    size += (size_t)n;
    n = snprintf(text + size, sizeof text - size, "\r\n%.*s", (int)answer->body_size, answer->body);
    if (n < 0 || size + (size_t)n >= sizeof text)
        return;
    if (send(fd, text, size + (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return;
    shutdown(fd, SHUT_WR);
    for (unsigned i = 0; i < DISCARD_ROUNDS && recv(fd, discarded, sizeof discarded, MSG_DONTWAIT) > 0; i++)
        continue;
}

enum MHD_Result
MHD_queue_response(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response)
{
    struct request *request = http_broken_request(the_http, connection);

    if (request->state != REQUEST_SENDING) {
        admit_show_window(request);
        reply_fail(request, fail_of(status), NULL);
        reply_complete(request);
        request->state = REQUEST_SENDING;
        request->ended_us = access_now_us();
        write_answer(request->peer->fd, &request->answer);
    }
    shutdown(request->peer->fd, SHUT_RDWR);
    return real_queue(connection, status, response);
}

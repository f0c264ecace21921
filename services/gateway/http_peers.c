/* http_peers.c - connections: who is at the other end, and how long we have waited to hear from it.
 *
 * libmicrohttpd closes connections that are silent. What it does not see is ended here: a client that sends a byte now
 * and then and never a whole head, and one that closed together with its last data, between requests or in the middle
 * of one.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "access.h"
#include "clock.h"
#include "http_private.h"

#define TICK_INTERVAL_MS 1000
#define HEAD_WAIT_MS     (2000 * CONNECTION_IDLE_S)

void
http_peer_waits(struct http *http, struct peer *peer)
{
    peer->waiting_since_ms = clock_monotonic_ms();
    peer->next = NULL;
    peer->previous = http->last_waiting;
    if (peer->previous)
        peer->previous->next = peer;
    else
        http->first_waiting = peer;
    http->last_waiting = peer;
    if (!http->first_unheard)
        http->first_unheard = peer;
}

void
http_peer_heard(struct http *http, struct peer *peer)
{
    if (peer->waiting_since_ms == 0)
        return;
    if (http->first_unheard == peer)
        http->first_unheard = peer->next;
    if (peer->previous)
        peer->previous->next = peer->next;
    else
        http->first_waiting = peer->next;
    if (peer->next)
        peer->next->previous = peer->previous;
    else
        http->last_waiting = peer->previous;
    peer->waiting_since_ms = 0;
}

static void
address_text(const struct sockaddr *address, char target[ADDRESS_TEXT_SIZE])
{
    if (address && address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, target, ADDRESS_TEXT_SIZE);
    } else if (address && address->sa_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

        if (IN6_IS_ADDR_V4MAPPED(in6))
            inet_ntop(AF_INET, &in6->s6_addr[12], target, ADDRESS_TEXT_SIZE);
        else
            inet_ntop(AF_INET6, in6, target, ADDRESS_TEXT_SIZE);
    } else {
        memcpy(target, "0.0.0.0", sizeof "0.0.0.0");
    }
}

void
http_on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                   enum MHD_ConnectionNotificationCode code)
{
    struct http *http = context;
    struct peer *peer = *socket_context;

    http->called = true;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        peer = xcalloc(1, sizeof *peer);
        address_text(MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
                     peer->address);
        peer->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        *socket_context = peer;
        http_peer_waits(http, peer);
        return;
    }
    http_peer_heard(http, peer);
    if (peer->request) { /* its head was never understood, so libmicrohttpd does not tell its end */
        access_note(http->gateway->access, peer->request);
        http_request_free(http, peer->request);
    }
    free(peer);
    *socket_context = NULL;
}

/* libmicrohttpd misses the end of a stream that came together with the last data, because it waits for an edge that has
 * passed. */
static void
end_if_finished(struct peer *peer)
{
    char byte;

    if (recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        shutdown(peer->fd, SHUT_RDWR);
}

/* Each connection is looked at once, when it has waited a little. */
static void
end_finished(struct http *self, int64_t now_ms)
{
    struct peer *peer = self->first_unheard;

    for (; peer && peer->waiting_since_ms < now_ms - TICK_INTERVAL_MS / 2; peer = peer->next)
        end_if_finished(peer);
    self->first_unheard = peer;
}

/* Requests that are not whole yet, and of which nothing has come since the last tick. One that is whole may be followed
 * by the end of the stream: its client waits for the answer. */
static void
end_cut_short(struct http *self)
{
    for (struct request *request = self->live; request; request = request->next) {
        if (request->suspended || request->state == REQUEST_SENDING)
            continue;
        if (request->looked_at && request->looked_size == request->body_size)
            end_if_finished(request->peer);
        request->looked_at = true;
        request->looked_size = request->body_size;
    }
}

void
http_tick(struct http *self)
{
    int64_t now_ms = clock_monotonic_ms();

    if (now_ms < self->tick_ms)
        return;
    self->tick_ms = now_ms + TICK_INTERVAL_MS;
    end_finished(self, now_ms);
    end_cut_short(self);
    for (struct peer *peer = self->first_waiting; peer && peer->waiting_since_ms < now_ms - HEAD_WAIT_MS;
         peer = peer->next)
        shutdown(peer->fd, SHUT_RDWR);
}

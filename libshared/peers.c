/* peers.c - the gateways and the sockets to them. Whether a gateway is live is asked of the socket itself (it takes a
 * message or it does not), so a killed gateway is noticed at once and a stopped one when its heartbeats have run out.
 */
#include "peers.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "config.h"
#include "curve.h"
#include "log.h"
#include "metric.h"
#include "text.h"

#define RECONNECT_FIRST_MS  50
#define RECONNECT_LAST_MS   500
#define HANDSHAKE_WAIT_MS   5000
#define LAST_REPLY_WAIT_MS  1000 /* protocols 14: a worker that goes still delivers its last REPLY */
#define SOCKET_MESSAGES_MAX 1000
#define INVALIDATE_LOOK_MS  20 /* how soon a gateway that connects meanwhile is told as well */

struct peers {
    struct gateways *gateways;
    uint64_t version; /* of the set as last seen */
    bool outdated;    /* a peer has left the set but is still connected */
    unsigned count;
    struct peer *list[GATEWAYS_MAX];
};

static struct metric malformed =
    METRIC_COUNTER("sx_rpc_malformed_total", "Messages from gateways that were no messages.");

/* ---- the sockets ------------------------------------------------------------------------------------------------- */

/* libzmq refuses only what it does not know. */
static void
set_option(void *socket, int option, int value)
{
    if (zmq_setsockopt(socket, option, &value, sizeof(value)) != 0)
        log_fatal("socket_option_refused", "l:option", (int64_t)option, "s:why", zmq_strerror(errno), NULL);
}

static int
peer_events(const struct peer *self)
{
    int events = 0;
    size_t size = sizeof(events);

    return zmq_getsockopt(self->socket, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

static void
peer_open(const struct peers *peers, struct peer *self)
{
    int64_t size_max = WIRE_MESSAGE_MAX;
    size_t fd_size = sizeof(self->fd);

    assert(self->held_count == 0);
    self->last_id = wire_incarnation();
    self->taken = self->told = 0;
    self->slots = 0;
    self->leaving = false;
    self->ready_ms = 0;
    self->socket = zmq_socket(gateways_context(peers->gateways), ZMQ_DEALER);
    if (!self->socket)
        log_fatal("socket_failed", "s:why", zmq_strerror(errno), NULL);
    set_option(self->socket, ZMQ_IMMEDIATE, 1);
    set_option(self->socket, ZMQ_LINGER, LAST_REPLY_WAIT_MS);
    set_option(self->socket, ZMQ_SNDHWM, SOCKET_MESSAGES_MAX);
    set_option(self->socket, ZMQ_RCVHWM, SOCKET_MESSAGES_MAX);
    set_option(self->socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS);
    set_option(self->socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    set_option(self->socket, ZMQ_RECONNECT_IVL, RECONNECT_FIRST_MS);
    set_option(self->socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_LAST_MS);
    set_option(self->socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_WAIT_MS);
    set_option(self->socket, ZMQ_IPV6, 1);
    if (zmq_setsockopt(self->socket, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max)) != 0 ||
        zmq_getsockopt(self->socket, ZMQ_FD, &self->fd, &fd_size) != 0)
        log_fatal("socket_failed", "s:why", zmq_strerror(errno), NULL);
    if (config.gateway && config.keys &&
        curve_client(self->socket, config.keys, gateways_service(peers->gateways)) != 0)
        log_fatal("keys_missing", "s:SX_KEYS", config.keys, "s:why", "make them with: sxctl keys DIRECTORY", NULL);
    if (zmq_connect(self->socket, self->endpoint) != 0)
        log_fatal("connect_failed", "s:gateway", self->endpoint, "s:why", zmq_strerror(errno), NULL);
}

static void
peer_close(struct peer *self)
{
    zmq_close(self->socket);
    self->socket = NULL;
}

void
peer_reset(struct peers *peers, struct peer *self)
{
    peer_close(self);
    peer_open(peers, self);
}

struct peers *
peers_new(struct gateways *gateways)
{
    struct peers *self = xcalloc(1, sizeof(*self));

    self->gateways = gateways;
    return self;
}

void
peers_destroy(struct peers **self)
{
    if (!*self)
        return;
    for (unsigned i = 0; i < (*self)->count; i++) {
        peer_close((*self)->list[i]);
        free((*self)->list[i]);
    }
    free(*self);
    *self = NULL;
}

static void
peers_insert(struct peers *self, const char *endpoint)
{
    struct peer *peer = xcalloc(1, sizeof(*peer));
    unsigned at = self->count;

    snprintf(peer->endpoint, sizeof(peer->endpoint), "%s", endpoint);
    peer_open(self, peer);
    while (at > 0 && strcmp(self->list[at - 1]->endpoint, endpoint) > 0) {
        self->list[at] = self->list[at - 1];
        at--;
    }
    self->list[at] = peer;
    self->count++;
}

/* Adds what is new; peers that left the set stay, because a caller may be in the middle of a talk with one. */
static bool
peers_grow(struct peers *self, struct endpoints *known)
{
    bool changed = false;
    unsigned i, j;

    self->version = gateways_copy(self->gateways, known);
    for (i = 0; i < known->count && self->count < GATEWAYS_MAX; i++) {
        for (j = 0; j < self->count && strcmp(self->list[j]->endpoint, known->text[i]) != 0; j++)
            ;
        if (j == self->count) {
            peers_insert(self, known->text[i]);
            changed = true;
        }
    }
    return changed;
}

/* A peer that left the set is taken away only when it is not connected any more: its address may be missing from DNS
 * for a moment, and a gateway that drains still waits for its replies. */
bool
peers_sync(struct peers *self)
{
    struct endpoints *known;
    bool changed;
    unsigned kept = 0;

    if (self->version == gateways_version(self->gateways) && !self->outdated)
        return false;
    known = xmalloc(sizeof(*known));
    changed = peers_grow(self, known);
    self->outdated = false;
    for (unsigned i = 0; i < self->count; i++) {
        struct peer *peer = self->list[i];

        if (endpoints_have(known, peer->endpoint) || peer->held_count > 0 || peer_is_live(peer)) {
            self->outdated |= !endpoints_have(known, peer->endpoint);
            self->list[kept++] = peer;
            continue;
        }
        peer_close(peer);
        free(peer);
        changed = true;
    }
    self->count = kept;
    free(known);
    return changed;
}

unsigned
peers_count(const struct peers *self)
{
    return self->count;
}

struct peer *
peers_at(const struct peers *self, unsigned index)
{
    assert(index < self->count);
    return self->list[index];
}

struct peer *
peers_named(const struct peers *self, const char *endpoint)
{
    for (unsigned i = 0; i < self->count; i++)
        if (strcmp(self->list[i]->endpoint, endpoint) == 0)
            return self->list[i];
    return NULL;
}

struct peer *
peers_live(const struct peers *self)
{
    for (unsigned i = 0; i < self->count; i++)
        if (peer_is_live(self->list[i]))
            return self->list[i];
    return NULL;
}

bool
peer_is_live(const struct peer *self)
{
    return peer_events(self) & ZMQ_POLLOUT;
}

bool
peer_has_input(const struct peer *self)
{
    return peer_events(self) & ZMQ_POLLIN;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static int
frame_send(void *socket, const void *data, size_t size, int flags)
{
    zmq_msg_t frame;

    zmq_msg_init_size(&frame, size);
    if (size)
        memcpy(zmq_msg_data(&frame), data, size);
    if (zmq_msg_send(&frame, socket, flags | ZMQ_DONTWAIT) >= 0)
        return 0;
    zmq_msg_close(&frame);
    return -1;
}

int
peer_send_message(struct peer *self, const struct wire *wire, struct str name, zmq_msg_t *body)
{
    uint8_t header[WIRE_SIZE];

    wire_encode(wire, header);
    /* Only the first frame can be refused: a message that was begun may be finished. */
    if (frame_send(self->socket, header, sizeof(header), ZMQ_SNDMORE) != 0) {
        zmq_msg_close(body);
        return -1;
    }
    if (frame_send(self->socket, name.base, name.len, ZMQ_SNDMORE) != 0 ||
        zmq_msg_send(body, self->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(body);
        return -1;
    }
    return 0;
}

int
peer_send(struct peer *self, const struct wire *wire, struct str name, struct str body)
{
    zmq_msg_t frame;

    zmq_msg_init_size(&frame, body.len);
    if (body.len)
        memcpy(zmq_msg_data(&frame), body.base, body.len);
    return peer_send_message(self, wire, name, &frame);
}

/* One whole message from the socket: 1 taken, 0 malformed and dropped, -1 none there. */
static int
message_read(void *socket, struct peer_message *target)
{
    zmq_msg_t frames[3];
    unsigned count = 0;
    bool more = true, good;

    while (more) {
        zmq_msg_t frame;

        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            break;
        }
        more = zmq_msg_more(&frame);
        if (count < 3) {
            zmq_msg_init(&frames[count]);
            zmq_msg_move(&frames[count], &frame);
        }
        count++;
        zmq_msg_close(&frame);
    }
    if (count == 0)
        return -1;
    good = count == 3 && wire_decode(&target->wire, zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0])) == 0;
    if (good) {
        target->name = frames[1];
        target->body = frames[2];
        zmq_msg_close(&frames[0]);
        return 1;
    }
    for (unsigned i = 0; i < count && i < 3; i++)
        zmq_msg_close(&frames[i]);
    metric_add(&malformed, 1);
    return 0;
}

int
peer_receive(struct peer *self, struct peer_message *message)
{
    int read;

    while ((read = message_read(self->socket, message)) == 0)
        ;
    return read == 1 ? 0 : -1;
}

void
peer_message_close(struct peer_message *message)
{
    zmq_msg_close(&message->name);
    zmq_msg_close(&message->body);
}

/* zmq_poll would do, with twice the system calls. The descriptors of ZeroMQ are edge-triggered: what happened before
 * the poll must be asked of each socket. */
void
peers_wait(struct peers *self, bool for_live, int64_t until_ms)
{
    struct pollfd items[GATEWAYS_MAX];
    int64_t wait_ms = until_ms - clock_monotonic_ms();
    unsigned count = 0;

    for (unsigned i = 0; i < self->count; i++) {
        if (peer_events(self->list[i]) & (ZMQ_POLLIN | (for_live ? ZMQ_POLLOUT : 0)))
            return;
        items[count++] = (struct pollfd){.fd = self->list[i]->fd, .events = POLLIN};
    }
    if (wait_ms > 0)
        poll(items, count, (int)wait_ms);
}

/* ---- invalidation ------------------------------------------------------------------------------------------------ */

static void
collect_acks(struct peer *self, uint64_t version, void (*acked)(void *context, int64_t gateway_id), void *context)
{
    struct peer_message message;

    while (peer_receive(self, &message) == 0) {
        int64_t gateway_id;

        if (message.wire.type == WIRE_ACK && message.wire.id == version &&
            text_to_int(zmq_msg_data(&message.name), zmq_msg_size(&message.name), &gateway_id) == 0)
            acked(context, gateway_id);
        peer_message_close(&message);
    }
}

int
peers_invalidate(struct peers *self, uint64_t version, const struct buf *tags, int64_t deadline_ms,
                 void (*acked)(void *context, int64_t gateway_id), bool (*enough)(void *context), void *context)
{
    const struct wire wire = {.type = WIRE_INVALIDATE, .id = version};
    struct endpoints *known = xmalloc(sizeof(*known));
    int64_t now_ms = clock_monotonic_ms();
    bool done;

    while (!(done = enough(context)) && now_ms < deadline_ms) {
        if (self->version != gateways_version(self->gateways)) {
            peers_grow(self, known);
            self->outdated = true;
        }
        for (unsigned i = 0; i < self->count; i++) {
            struct peer *peer = self->list[i];

            if (peer->told != version && peer_is_live(peer) &&
                peer_send(peer, &wire, STR(""), (struct str){tags->data, tags->size}) == 0)
                peer->told = version;
            collect_acks(peer, version, acked, context);
        }
        done = enough(context);
        if (done)
            break;
        peers_wait(self, false, now_ms + INVALIDATE_LOOK_MS < deadline_ms ? now_ms + INVALIDATE_LOOK_MS : deadline_ms);
        now_ms = clock_monotonic_ms();
    }
    free(known);
    return done ? 0 : -1;
}

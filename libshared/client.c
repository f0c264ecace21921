/* client.c - requests to other services. A gateway that is lost while it works on a request never answers it: that is
 * noticed within LIVENESS_LOOK_MS and told as such, because a second try is for the caller to decide. */
#include "client.h"

#include "bounds.h"
#include "clock.h"
#include "contract.h"
#include "out.h"
#include "token.h"

#define LIVENESS_LOOK_MS 25 /* less than a reconnect takes (peers.c), so that no loss goes unseen */

static int64_t
next_look_ms(int64_t now_ms, int64_t deadline_ms)
{
    return now_ms + LIVENESS_LOOK_MS < deadline_ms ? now_ms + LIVENESS_LOOK_MS : deadline_ms;
}

/* The exchanges of one call. */
struct talk {
    struct peers *peers;
    struct client_exchange *exchanges;
    unsigned count;
    uint8_t flags;
    int64_t deadline_ms;
};

/* The one that the message answers; NULL: whoever asked has given up. */
static struct client_exchange *
exchange_of(const struct talk *self, const struct peer *peer, const struct peer_message *message)
{
    for (unsigned i = 0; message->wire.type == WIRE_REPLY && i < self->count; i++)
        if (self->exchanges[i].peer == peer && self->exchanges[i].id == message->wire.id)
            return &self->exchanges[i];
    return NULL;
}

/* Reads everything there is on all sockets, because an unread message would keep peers_wait from sleeping. */
static void
read_all(struct talk *self)
{
    for (unsigned i = 0; i < peers_count(self->peers); i++) {
        struct peer *peer = peers_at(self->peers, i);
        struct peer_message message;

        while (peer_receive(peer, &message) == 0) {
            struct client_exchange *exchange = exchange_of(self, peer, &message);

            if (!exchange) {
                peer_message_close(&message);
                continue;
            }
            exchange->reply.status = message.wire.status;
            exchange->reply.error = message.wire.flags & WIRE_FLAG_ERROR;
            exchange->reply.headers = message.name;
            exchange->reply.body = message.body;
            exchange->answered = true;
            exchange->peer = NULL;
        }
    }
}

/* Sends to the preferred gateway or the first that takes it; not at all when none was connected until the deadline. */
static void
send_somewhere(struct talk *self, struct peer *prefer, struct client_exchange *exchange)
{
    const struct str name = str_of(exchange->operation), body = {exchange->request->data, exchange->request->size};
    int64_t now_ms;

    while ((now_ms = clock_monotonic_ms()) < self->deadline_ms) {
        for (unsigned i = 0; i <= peers_count(self->peers); i++) {
            struct peer *peer = i == 0 ? prefer : peers_at(self->peers, i - 1);
            struct wire wire = {.type = WIRE_REQUEST, .flags = self->flags};

            if (!peer || !peer_is_live(peer))
                continue;
            wire.id = ++peer->last_id;
            wire.budget_ms = (uint32_t)(self->deadline_ms - now_ms);
            if (peer_send(peer, &wire, name, body) == 0) {
                exchange->peer = peer;
                exchange->id = wire.id;
                exchange->maybe_sent = true;
                return;
            }
        }
        read_all(self);
        peers_wait(self->peers, true, next_look_ms(now_ms, self->deadline_ms));
    }
}

/* Whether something is still to be waited for. */
static bool
is_under_way(struct talk *self)
{
    bool any = false;

    for (unsigned i = 0; i < self->count; i++) {
        struct client_exchange *exchange = &self->exchanges[i];

        if (exchange->peer && !peer_is_live(exchange->peer))
            exchange->peer = NULL;
        any |= exchange->peer != NULL;
    }
    return any;
}

void
client_request_all(struct peers *peers, struct peer *prefer, uint8_t flags, int64_t deadline_ms,
                   struct client_exchange *exchanges, unsigned count)
{
    struct talk self = {peers, exchanges, count, flags, deadline_ms};
    int64_t now_ms;

    for (unsigned i = 0; i < count; i++) {
        exchanges[i].answered = exchanges[i].maybe_sent = false;
        exchanges[i].peer = NULL;
    }
    for (unsigned i = 0; i < count; i++)
        if (exchanges[i].request)
            send_somewhere(&self, prefer, &exchanges[i]);
    while ((now_ms = clock_monotonic_ms()) < deadline_ms) {
        read_all(&self);
        if (!is_under_way(&self))
            return;
        peers_wait(peers, false, next_look_ms(now_ms, deadline_ms));
    }
}

int
client_request(struct peers *peers, struct peer *prefer, const char *operation, uint8_t flags,
               const struct buf *request, int64_t deadline_ms, struct client_reply *reply, bool *maybe_sent)
{
    struct client_exchange only = {.operation = operation, .request = request};

    client_request_all(peers, prefer, flags, deadline_ms, &only, 1);
    *maybe_sent = only.maybe_sent;
    if (!only.answered)
        return -1;
    *reply = only.reply;
    return 0;
}

/* The members of arguments are copied as they are behind our own: nothing is decoded but the number of them. */
int
client_arguments(struct buf *target, struct str arguments, const char *service, const char *request_id)
{
    const uint8_t *at = (const uint8_t *)arguments.base, *end = at + arguments.len;
    msgpack_object map = {.type = MSGPACK_OBJECT_MAP};
    struct arena *arena = arena_new(1024);
    struct in in = {NULL, arena};
    struct out out;
    bool named;

    if (arguments.len && (in_decode(&in, arena, at, arguments.len) != 0 || token_read(&at, end, &map) != 0 ||
                          map.type != MSGPACK_OBJECT_MAP)) {
        arena_destroy(&arena);
        return -1;
    }
    named = in_has(in, "caller");
    arena_destroy(&arena);
    out_init(&out, target, OUT_MSGPACK);
    out_map(&out, map.via.map.size + 1 + !named);
    out_key(&out, "request_id");
    out_text(&out, request_id);
    if (!named) {
        out_key(&out, "caller");
        out_map(&out, 2);
        out_key(&out, "audience");
        out_int(&out, AUDIENCE_INTERNAL);
        out_key(&out, "service");
        out_text(&out, service);
    }
    return buf_append(target, at, (size_t)(end - at));
}

int
client_reply_decode(struct client_reply *reply, struct arena *arena, struct in *value)
{
    size_t size = zmq_msg_size(&reply->body);

    return in_decode(value, arena, arena_strndup(arena, zmq_msg_data(&reply->body), size), size);
}

void
client_reply_close(struct client_reply *reply)
{
    zmq_msg_close(&reply->headers);
    zmq_msg_close(&reply->body);
}

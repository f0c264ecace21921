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

static bool
is_answer(const struct peer_message *message, const struct peer *peer)
{
    return message->wire.type == WIRE_REPLY && message->wire.id == peer->last_id;
}

/* Reads everything there is on all sockets, because an unread message would keep peers_wait from sleeping. 0 when the
 * reply of the awaited gateway was among it; awaited is NULL while nothing was sent. */
static int
read_all(struct peers *peers, const struct peer *awaited, struct client_reply *reply)
{
    bool found = false;

    for (unsigned i = 0; i < peers_count(peers); i++) {
        struct peer *peer = peers_at(peers, i);
        struct peer_message message;

        while (peer_receive(peer, &message) == 0) {
            if (found || !awaited || peer != awaited || !is_answer(&message, peer)) {
                peer_message_close(&message); /* late: whoever asked has given up */
                continue;
            }
            reply->status = message.wire.status;
            reply->error = message.wire.flags & WIRE_FLAG_ERROR;
            reply->headers = message.name;
            reply->body = message.body;
            found = true;
        }
    }
    return found ? 0 : -1;
}

/* Sends to the preferred gateway or the first that takes it; NULL when none was connected until the deadline. */
static struct peer *
send_somewhere(struct peers *peers, struct peer *prefer, const struct wire *wire, struct str name, struct str body,
               int64_t deadline_ms)
{
    int64_t now_ms;

    while ((now_ms = clock_monotonic_ms()) < deadline_ms) {
        for (unsigned i = 0; i <= peers_count(peers); i++) {
            struct peer *peer = i == 0 ? prefer : peers_at(peers, i - 1);
            struct wire numbered = *wire;

            if (!peer || !peer_is_live(peer))
                continue;
            numbered.id = ++peer->last_id;
            numbered.budget_ms = (uint32_t)(deadline_ms - now_ms);
            if (peer_send(peer, &numbered, name, body) == 0)
                return peer;
        }
        (void)read_all(peers, NULL, NULL);
        peers_wait(peers, true, next_look_ms(now_ms, deadline_ms));
    }
    return NULL;
}

int
client_request(struct peers *peers, struct peer *prefer, const char *operation, uint8_t flags,
               const struct buf *request, int64_t deadline_ms, struct client_reply *reply, bool *maybe_sent)
{
    const struct wire wire = {.type = WIRE_REQUEST, .flags = flags};
    struct peer *peer;
    int64_t now_ms;

    *maybe_sent = false;
    peer = send_somewhere(peers, prefer, &wire, str_of(operation), (struct str){request->data, request->size},
                          deadline_ms);
    if (!peer)
        return -1;
    *maybe_sent = true;
    while ((now_ms = clock_monotonic_ms()) < deadline_ms) {
        if (read_all(peers, peer, reply) == 0)
            return 0;
        if (!peer_is_live(peer))
            return -1;
        peers_wait(peers, false, next_look_ms(now_ms, deadline_ms));
    }
    return -1;
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

/* client.h - makes requests to services through the gateways; for call_service, actors and sxctl.
 *
 * A client uses the peers of its thread, and brings them up to date (peers_sync) between requests. One request at a
 * time, or several that are asked together; a reply counts only if it comes from the gateway the request went to and
 * carries its id (protocols 1).
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "arena.h"
#include "buf.h"
#include "in.h"
#include "peers.h"

struct client_reply {
    int status;
    bool error;        /* body is the error map */
    zmq_msg_t headers; /* a msgpack map, or empty */
    zmq_msg_t body;    /* msgpack */
};

/* prefer: the gateway to try first, or NULL. flags: 0 or WIRE_FLAG_NESTED; replies are msgpack. While no gateway is
 * connected it waits for one. Waits until deadline_ms (clock_monotonic_ms). Answers 0 with a reply to be closed, or -1:
 * no gateway reached, or nothing came in time; then *maybe_sent says whether the request may have been carried out. */
int client_request(struct peers *peers, struct peer *prefer, const char *operation, uint8_t flags,
                   const struct buf *request, int64_t deadline_ms, struct client_reply *reply,
                   bool *maybe_sent) must_check;
void client_reply_close(struct client_reply *reply);

/* Several at once: each is sent, and then all are waited for together, so that they take as long as the slowest. What
 * holds for client_request holds for each of them. The caller sets operation and request, and lends both; a request of
 * NULL is passed over. When it returns every one is answered, with a reply to be closed, or came to nothing. */
struct client_exchange {
    const char *operation;
    const struct buf *request;
    bool answered, maybe_sent;
    struct client_reply reply;
    struct peer *peer; /* it is under way there, as */
    uint64_t id;
};
void client_request_all(struct peers *peers, struct peer *prefer, uint8_t flags, int64_t deadline_ms,
                        struct client_exchange *exchanges, unsigned count);

/* The body's value, copied into the arena, so that it outlives the reply. -1 when it cannot be read. */
int client_reply_decode(struct client_reply *reply, struct arena *arena, struct in *value) must_check;

/* Appends a request map: the members of arguments (a msgpack map, or empty) with request_id and, unless arguments
 * brings one, the caller {audience: internal, service}. -1 when arguments is no map, or
 * target is full. */
int client_arguments(struct buf *target, struct str arguments, const char *service, const char *request_id) must_check;

#endif

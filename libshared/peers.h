/* peers.h - a set of sockets to the gateways (protocols 3).
 *
 * The set of gateways is one per process (gateways.h). One DEALER per gateway: a DEALER connected to several would deal
 * READY and REPLY round robin. ZMQ_IMMEDIATE is on, so nothing is kept for a gateway that is gone (protocols 1).
 *
 * A set has one user at a time and carries one conversation: the intake of a pool of workers (READY, REQUEST, REPLY,
 * BYE; under its lock), or one thread's own requests to services (client.h).
 */
#ifndef PEERS_H
#define PEERS_H

#include <zmq.h>

#include "base.h"
#include "bounds.h"
#include "buf.h"
#include "gateways.h"
#include "wire.h"

struct peers;

/* One message as it travels: three frames, the first decoded. */
struct peer_message {
    struct wire wire;
    zmq_msg_t name;
    zmq_msg_t body;
};

/* One gateway. Stays where it is until peers_sync takes it away. */
struct peer {
    char endpoint[PEER_ENDPOINT_MAX];
    void *socket;
    int fd; /* readable when something may have happened to the socket */
    /* of requests to services (client.c, peers_invalidate) */
    uint64_t last_id; /* protocols 1 */
    uint64_t told;    /* the last version sent by peers_invalidate */
    /* of requests to this process (intake.c) */
    uint64_t taken;                    /* id of the last REQUEST taken on this socket; READY tells it (protocols 2) */
    uint64_t held[WORKER_THREADS_MAX]; /* ids of those in hand */
    unsigned held_count;
    unsigned slots, target; /* it was given; it should have */
    bool leaving;           /* was told BYE, has not echoed it */
    int64_t leave_until_ms, ready_ms;
};

/* Empty until the first peers_sync: who makes no requests needs no sockets. Borrows gateways. */
struct peers *peers_new(struct gateways *gateways);
void peers_destroy(struct peers **self);

/* Brings the set up to date, between requests; true when it changed. A gateway that has left it stays while it is
 * connected or has requests in hand here. log_fatal when a socket cannot be made. */
bool peers_sync(struct peers *self);
unsigned peers_count(const struct peers *self);
struct peer *peers_at(const struct peers *self, unsigned index); /* in the stable order of the endpoints */

struct peer *peers_named(const struct peers *self, const char *endpoint); /* NULL when it is not in the set */
struct peer *peers_live(const struct peers *self);                        /* the first that is; NULL when none is */

bool peer_is_live(const struct peer *self); /* connected now, with the handshake done */
bool peer_has_input(const struct peer *self);

/* A new connection: whatever credit the old one held is gone. Nothing may be in hand. */
void peer_reset(struct peers *peers, struct peer *self);

/* Sends three frames without waiting; -1 when the gateway is gone or takes no more. Empty strs make empty frames. */
int peer_send(struct peer *self, const struct wire *wire, struct str name, struct str body) must_check;

/* The same, with the body moved out of a message made by the caller; it is empty or closed afterwards. */
int peer_send_message(struct peer *self, const struct wire *wire, struct str name, zmq_msg_t *body) must_check;

/* The next message; 0, or -1 when there is none. Malformed ones are counted and dropped. The message is to be closed.
 */
int peer_receive(struct peer *self, struct peer_message *message) must_check;
void peer_message_close(struct peer_message *message);

/* Sleeps until until_ms, or a message may be there on any socket, or, when for_live is set, a gateway takes messages
 * (for those that have none: with a live one it would return at once). May return for nothing. */
void peers_wait(struct peers *self, bool for_live, int64_t until_ms);

/* Tells every gateway that these tags are void since version (protocols 5): sends INVALIDATE on every socket that is
 * live or becomes so, and calls acked with the gateway's id for each ACK of this version, until enough answers true or
 * deadline_ms (clock_monotonic_ms) has come. tags is a msgpack list of texts. Whatever else arrives is late and is
 * dropped. 0 when there was enough, -1 when the time was up. Call it from the thread that owns the peers (call->peers).
 */
int peers_invalidate(struct peers *self, uint64_t version, const struct buf *tags, int64_t deadline_ms,
                     void (*acked)(void *context, int64_t gateway_id), bool (*enough)(void *context),
                     void *context) must_check;

#endif

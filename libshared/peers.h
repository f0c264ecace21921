/* peers.h - one thread's sockets to the gateways (protocols 3).
 *
 * The set of gateways is one per process (gateways.h). The sockets belong to one thread, which brings them up to date
 * between requests. One DEALER per gateway: a DEALER connected to several would deal READY and REPLY round robin.
 * ZMQ_IMMEDIATE is on, so nothing is kept for a gateway that is gone (protocols 1).
 *
 * One socket carries two conversations: a worker's (READY, REQUEST, REPLY, BYE) and the thread's own requests (REQUEST,
 * REPLY). Whoever reads a message that is not his gives it to peer_keep, and the worker takes it from there: nothing
 * a gateway sent is lost because it came at the wrong moment.
 */
#ifndef PEERS_H
#define PEERS_H

#include <zmq.h>

#include "base.h"
#include "buf.h"
#include "gateways.h"
#include "wire.h"

#define PEER_KEPT_MAX 4 /* one REQUEST and one BYE are what the credit rule allows; the rest is slack */

struct peers;

/* One message as it travels: three frames, the first decoded. */
struct peer_message {
    struct wire wire;
    zmq_msg_t name;
    zmq_msg_t body;
};

/* One gateway as one thread sees it. Stays where it is until peers_sync takes it away. */
struct peer {
    char endpoint[PEER_ENDPOINT_MAX];
    void *socket;
    int fd;           /* readable when something may have happened to the socket */
    uint64_t last_id; /* of this thread's own requests on this socket (protocols 1) */
    uint64_t taken;   /* of the last REQUEST taken on this socket; READY tells it (protocols 2) */
    uint64_t told;    /* the last version sent by peers_invalidate */
    struct peer_message kept[PEER_KEPT_MAX];
    unsigned kept_count;
};

struct peers *peers_new(struct gateways *gateways); /* borrows it; log_fatal when a socket cannot be made */
void peers_destroy(struct peers **self);
bool peers_sync(struct peers *self); /* between requests only; true when the set changed */
unsigned peers_count(const struct peers *self);
struct peer *peers_at(const struct peers *self, unsigned index); /* in the stable order of the endpoints */

/* The home of worker thread `thread`: thread modulo the live gateways, in a stable order. NULL when none is live. */
struct peer *peers_home(const struct peers *self, unsigned thread);

bool peer_is_live(const struct peer *self); /* connected now, with the handshake done */

/* A new connection: what was kept and whatever credit the old one held are gone. */
void peer_reset(struct peers *peers, struct peer *self);

/* Sends three frames without waiting; -1 when the gateway is gone or takes no more. Empty strs make empty frames. */
int peer_send(struct peer *self, const struct wire *wire, struct str name, struct str body) must_check;

/* The same, with the body moved out of a message made by the caller; it is empty or closed afterwards. */
int peer_send_message(struct peer *self, const struct wire *wire, struct str name, zmq_msg_t *body) must_check;

/* The next message, first of those that were kept when kept_too is set; 0, or -1 when there is none. Malformed ones are
 * counted and dropped. The message is to be closed. */
int peer_receive(struct peer *self, bool kept_too, struct peer_message *message) must_check;
void peer_keep(struct peer *self, struct peer_message *message); /* takes the message over; only REQUEST and BYE stay */
void peer_message_close(struct peer_message *message);

/* Sleeps until until_ms, or a message may be there on any socket, or wake_fd is readable (-1: none), or, when for_live
 * is set, a gateway takes messages (for those that have none: with a live one it would return at once). Messages that
 * were kept do not wake it. May return for nothing. */
void peers_wait(struct peers *self, bool for_live, int wake_fd, int64_t until_ms);

/* Tells every gateway that these tags are void since version (protocols 5): sends INVALIDATE on every socket that is
 * live or becomes so, and calls acked with the gateway's id for each ACK of this version, until enough answers true or
 * deadline_ms (clock_monotonic_ms) has come. tags is a msgpack list of texts. Whatever else arrives is kept for the
 * worker. 0 when there was enough, -1 when the time was up. Call it from the thread that owns the peers (call->peers).
 */
int peers_invalidate(struct peers *self, uint64_t version, const struct buf *tags, int64_t deadline_ms,
                     void (*acked)(void *context, int64_t gateway_id), bool (*enough)(void *context),
                     void *context) must_check;

#endif

/* serve.h - one REQUEST becomes one REPLY: decoded, checked against the contract, handled, written. No sockets here but
 * those a handler uses for its own calls.
 *
 * Over HTTP the gateway has checked everything but large bodies (`raw`); it says so with WIRE_FLAG_JSON. Whatever comes
 * without that flag (from services, actors, sxctl) is checked here, so a handler never sees what the contract forbids.
 */
#ifndef SERVE_H
#define SERVE_H

#include "call_private.h"
#include "service.h"

struct server;

struct served {
    struct wire wire;   /* of the REPLY */
    struct buf headers; /* frame 2; reset before each use, freed with the server's owner */
    zmq_msg_t body;     /* frame 3; the receiver's to send or close */
};

/* What one worker needs, borrowed. peers are for the requests its handlers make. */
struct server *server_new(const struct service *service, struct db *db, struct peers *peers);
void server_destroy(struct server **self);

/* Handles one request that reached this thread at received_ms (clock_monotonic_ms). Always gives a reply. The request
 * stays the caller's to close. from is the endpoint of the gateway it came through. */
void serve_request(struct server *self, const char *from, struct peer_message *request, int64_t received_ms,
                   struct served *reply);

/* How many requests the workers of this process have handled so far: what goes on beside them (a bulk import) sees by
 * it whether they are busy. */
int64_t serve_calls(void);

/* Housekeeping between requests, for one worker of a process: forgets a batch of old answers under Idempotency-Keys.
 * True when there may be more to do soon. */
bool server_tidy(struct server *self);

#endif

/* intake.h - where the requests of one pool of worker threads come in (protocols 2, 3, 14).
 *
 * The threads of a pool share one socket to each gateway. Whoever has nothing to do takes the next request, so a thread
 * that has just answered goes on without sleeping while there is more, and what one of them is slow with holds up
 * nobody else. Credit is the pool's: each gateway may have as many requests unanswered here as it was given slots, and
 * all slots together are as many as there are threads that can work, so no request waits behind another one here for
 * longer than a millisecond.
 *
 * All functions may be called by any thread. How it works inside is told in intake.c.
 */
#ifndef INTAKE_H
#define INTAKE_H

#include "peers.h"

struct intake;

struct intake_request {
    struct peer *from;           /* stays where it is until the answer */
    struct peer_message message; /* the taker's to close */
    int64_t received_ms;         /* clock_monotonic_ms: it cannot have come earlier */
};

enum intake_result { INTAKE_REQUEST, INTAKE_NOTHING, INTAKE_CLOSED };

/* name is the pool it is ready for: a service's name, or its aside's. gateways is borrowed. */
struct intake *intake_new(const char *name, struct gateways *gateways);
void intake_destroy(struct intake **self); /* after the last thread has seen INTAKE_CLOSED */

/* The next request, after at most INTAKE_LOOK_MS. INTAKE_NOTHING: look after yourself and call again. INTAKE_CLOSED:
 * nothing more will come. */
enum intake_result intake_take(struct intake *self, struct intake_request *request);

/* Sends the REPLY and gives the slot back; body is moved out of. The request's message may be closed before or after.
 * A gateway that is gone gets nothing, which is counted. */
void intake_answer(struct intake *self, const struct intake_request *request, const struct wire *wire,
                   struct str headers, zmq_msg_t *body);

/* One more thread can work, or one less: it has lost its database, or goes. Each that can is a slot to give. */
void intake_set_able(struct intake *self, bool able);

/* More requests may be on their way than threads can work: what crossed a BYE is to be taken and answered, if only with
 * an error, also by a thread that cannot. */
bool intake_is_short(struct intake *self);

/* The caller will not be back at once: what its last call may have left lying is for another thread. */
void intake_leave(struct intake *self);

/* From now on no gateway is given credit; INTAKE_CLOSED once each has echoed that. */
void intake_close(struct intake *self);
bool intake_is_closed(struct intake *self);

#define INTAKE_LOOK_MS 250

#endif

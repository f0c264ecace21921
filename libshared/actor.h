/* actor.h - work that no request waits for: sagas, deliveries, trimming (design decision 6, protocols 4, 7, 8).
 *
 * An actor is a thread with its own sockets, its own database connection and its own arena. Created means running,
 * destroyed means gone. It holds no credit, so no request is ever dealt to it, and its plan's turn may therefore call
 * any service with call_service, upwards too, where the operation lists the actor's service under x-actors
 * (proto/README.md); the gateways refuse a handler's call there.
 *
 * Of all processes of a service one at a time begins turns of the actor of a name: the holder of its row in
 * actor_lease, for LEASE_MS at a time, renewed between turns. A killed process's actor goes on elsewhere when that time
 * is over, a stopped one's (SIGTERM) at once. The lease spares work; it proves nothing: a turn that takes longer than
 * LEASE_MS loses it on the way, and a process that was paused may finish its turn late, both beside the next holder. So
 * a turn takes its work from rows (an outbox, a saga table), locks what it changes, and does nothing that may not
 * happen twice. What lasts longer than a transaction and must not run beside itself is marked in its row
 * (app_push.busy_until).
 *
 *     static int turn(struct call *call) { ...; return found ? ACTOR_AGAIN : ACTOR_DONE; }
 *     static const struct actor_plan plans[] = {{.name = "uninstall", .turn = turn, .look_ms = 250, .turn_ms = 10000}};
 *     struct service self = {..., .actors = plans, .actor_count = ARRAY_COUNT(plans)};
 */
#ifndef ACTOR_H
#define ACTOR_H

#include "call.h"
#include "gateways.h"

#define ACTOR_DONE  0 /* nothing is left to do: sleep */
#define ACTOR_AGAIN 1 /* there may be more: the next turn follows at once */

struct service;

struct actor_plan {
    const char *name; /* of the lease; unique in the service, at most SERVICE_NAME_MAX */

    /* One piece of work: ACTOR_AGAIN, ACTOR_DONE, or -1 with the error recorded as in a handler. After -1 an open
     * transaction is rolled back, the error is logged and the next turn comes after a pause, which grows to
     * ACTOR_PAUSE_MAX_MS while turns fail. A piece of work that fails for reasons of its own must not stand in the way
     * of the others: note in its row when to try again, and return ACTOR_AGAIN.
     *
     * The call is that of a handler without a request: caller is {internal, the service}, request_id is made for the
     * turn, call->in is empty, operation is NULL, and there is nothing to reply. Its deadline is turn_ms away. */
    int (*turn)(struct call *call);

    /* Or NULL: after the last turn, because the process ends or another one has the lease now. Lets go of what turns
     * have kept for the next one; the call is a turn's, and what it leaves undone stays undone. */
    void (*leave)(struct call *call);

    /* Every process runs it, without a lease: turns share the work through rows they lock or lease themselves. */
    bool everywhere;

    int64_t look_ms; /* how long to sleep after ACTOR_DONE; actor_wake ends it earlier */
    int64_t keen_ms; /* the same for a second after work was found; 0: look_ms */
    int64_t turn_ms; /* the longest a turn may take; SIGTERM waits for it, so keep it below DRAIN_WAIT_MS */
};

struct actor;

/* service, plan and gateways are borrowed and must outlive it; index numbers its connection among the process's. NULL
 * after logging why when there is no database. */
struct actor *actor_new(const struct service *service, const struct actor_plan *plan, struct gateways *gateways,
                        unsigned index);
void actor_stop(struct actor *self);     /* asks it to end after the turn it is in; actor_destroy waits for that */
void actor_destroy(struct actor **self); /* gives the lease back */

/* From any thread, after the commit that made work: the actor of that name looks now, if this process runs it. When
 * another process does, its next look finds the row. */
void actor_wake(const char *name);

/* Inside a turn that waits for something slow: true when the process is to end, so that it can be left early. */
bool actor_is_stopping(const struct call *call);

/* Inside a turn that waits for more than the clock: readable once actor_wake or the end has rung. Do not read it. */
int actor_wake_fd(const struct call *call);

#endif

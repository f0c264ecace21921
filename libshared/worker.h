/* worker.h - the actor that handles requests: a thread with its own sockets, connection and arena.
 *
 * Created means running, destroyed means gone. READY goes to the worker's home gateway when it is idle, and again each
 * second; one REQUEST at a time is taken, handled and answered. Before it goes, a worker sends BYE and waits for the
 * echo (protocols 14).
 */
#ifndef WORKER_H
#define WORKER_H

#include "service.h"

struct worker;

/* name is the pool it is ready for: the service's name, or service->aside. index numbers the workers of a process: it
 * picks the home. service and gateways are borrowed. NULL after logging why when there is no database. */
struct worker *worker_new(const struct service *service, const char *name, struct gateways *gateways, unsigned index);
void worker_stop(struct worker *self); /* asks it to drain and go; worker_destroy waits for that */
void worker_destroy(struct worker **self);

#endif

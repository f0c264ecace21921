/* worker.h - the actor that handles requests: a thread with its own connection, arena, and sockets for requests of its
 * own. Requests come to it through the intake of its pool.
 *
 * Created means running, destroyed means gone.
 */
#ifndef WORKER_H
#define WORKER_H

#include "intake.h"
#include "service.h"

struct worker;

/* index numbers the workers of a process. service, intake and gateways are borrowed. NULL after logging why when there
 * is no database. */
struct worker *worker_new(const struct service *service, struct intake *intake, struct gateways *gateways,
                          unsigned index);
void worker_destroy(struct worker **self); /* waits until it has gone, which it does once intake_close was called */

#endif

/* gateways.h - the set of gateways that a process knows (protocols 3).
 *
 * One per process. The main thread keeps it up to date; every thread with sockets copies it when its version has
 * changed.
 */
#ifndef GATEWAYS_H
#define GATEWAYS_H

#include "base.h"
#include "bounds.h"

#define PEER_ENDPOINT_MAX 256

/* Where the gateways listen, in the order of the texts. */
struct endpoints {
    unsigned count;
    char text[GATEWAYS_MAX][PEER_ENDPOINT_MAX];
};

struct gateways;

/* config.gateway set: host:port, all its addresses, with the CURVE keys in config.keys when that is set; else
 * $SX_HOME/run/gateway-*.ipc. service is whose key is used. */
struct gateways *gateways_new(void *zmq_context, const char *service);
void gateways_destroy(struct gateways **self);
bool gateways_refresh(struct gateways *self); /* one thread, every 250 ms; true when the set changed */

unsigned gateways_count(struct gateways *self);
uint64_t gateways_version(const struct gateways *self);
uint64_t gateways_copy(struct gateways *self, struct endpoints *target); /* answers the version of the copy */
bool endpoints_have(const struct endpoints *self, const char *endpoint);

void *gateways_context(const struct gateways *self);
const char *gateways_service(const struct gateways *self);

#endif

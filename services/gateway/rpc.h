/* rpc.h - the ROUTER socket that workers and other processes connect to, and its monitor.
 *
 * It is bound at $SX_HOME/run/gateway-N.ipc, or, with SX_RPC_LISTEN, at a TCP address where CURVE decides who gets in.
 * Peers choose no routing ids: a restarted peer is a new one.
 */
#ifndef RPC_H
#define RPC_H

#include "gateway.h"
#include "wire.h"

struct rpc *rpc_new(void *zmq_context); /* bound; NULL after logging why not */
void rpc_destroy(struct rpc **self);

/* struct hub_transport's send; the context is the struct rpc. */
int rpc_send(void *self, const void *routing_id, size_t routing_size, const struct wire *wire, struct str name,
             struct str body);

/* Readable when something may have come; edge-triggered, so rpc_has_input decides. */
int rpc_fd(const struct rpc *self);
int rpc_monitor_fd(const struct rpc *self);
bool rpc_has_input(struct rpc *self);

/* Hands at most max messages to the hub. */
void rpc_receive(struct rpc *self, struct hub *hub, unsigned max);

/* Whether a peer has gone since it was asked last. */
bool rpc_lost_peer(struct rpc *self);

#endif

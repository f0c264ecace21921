/* rpc.h - a connection of sxctl to the services, for commands that make several calls. */
#ifndef RPC_H
#define RPC_H

#include "arena.h"
#include "in.h"
#include "peers.h"

struct rpc {
    struct arena *arena; /* replies and texts live here until rpc_destroy */
    void *context;
    struct gateways *gateways;
    struct peers *peers;
};

/* Waits some seconds for a gateway; exits with a message when none is there. */
struct rpc *rpc_new(void);
void rpc_destroy(struct rpc **self);

/* Calls SERVICE.OPERATION with a body given as JSON text by a format. rpc_try answers the error's status, or 0;
 * rpc_call prints the error and exits when it is not 0. */
int rpc_try(struct rpc *self, struct in *reply, const char *operation, const char *body_format, ...) printf_like(4, 5);
void rpc_call(struct rpc *self, struct in *reply, const char *operation, const char *body_format, ...)
    printf_like(4, 5);

#endif

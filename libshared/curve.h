/* curve.h - CURVE keys between hosts: who may talk to a gateway, and under which name (decision 12).
 *
 * A key directory holds NAME.public and, where NAME runs, NAME.secret (mode 0600): one line of 40 Z85 characters each.
 * Names are "gateway", the services' and "operator" (sxctl). The gateway admits the keys whose NAME.public it
 * has, and reads the name of each message's sender with curve_peer. Removing the file and restarting the gateway shuts
 * the name out.
 */
#ifndef CURVE_H
#define CURVE_H

#include <zmq.h>

#include "base.h"

/* Makes the pairs that are not there yet; what exists is kept. -1 after logging why. */
int curve_make_keys(const char *directory, const char *const *names, unsigned count) must_check;

/* Before connect and before bind; -1 after logging what is missing. */
int curve_client(void *socket, const char *directory, const char *name) must_check;
int curve_server(void *socket, const char *directory) must_check;

/* The thread that admits peers of the sockets of a context (ZAP). Make it before the ROUTER is bound, destroy it after
 * the ROUTER is closed. */
struct curve_guard;
struct curve_guard *curve_guard_new(void *zmq_context, const char *directory); /* NULL after logging why */
void curve_guard_destroy(struct curve_guard **self);

/* The name behind a message received from a guarded socket; NULL on ipc. Lives as long as the message. */
const char *curve_peer(zmq_msg_t *message);

#endif

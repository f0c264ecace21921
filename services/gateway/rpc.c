/* rpc.c - frames in, frames out. What they mean is the hub's business. */
#include "rpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "bounds.h"
#include "config.h"
#include "curve.h"
#include "hub.h"
#include "log.h"
#include "metric.h"

#define QUEUE_PER_PEER 1000
#define FRAMES         4 /* routing id, header, name, body */

static struct metric malformed =
    METRIC_COUNTER("sx_rpc_malformed_total", "Messages with another number of frames than four.");

struct rpc {
    void *router, *monitor;
    struct curve_guard *guard;
    char *path; /* of the ipc socket; NULL with tcp */
};

static void
set_option(void *socket, int option, int value)
{
    if (zmq_setsockopt(socket, option, &value, sizeof value) != 0)
        log_fatal("zmq_option", "l:option", (int64_t)option, "s:why", zmq_strerror(errno), NULL);
}

static int
bind_ipc(struct rpc *self)
{
    char name[64], endpoint[256];
    int status;

    snprintf(name, sizeof name, "run/gateway-%d.ipc", (int)config.gateway_index);
    self->path = config_path(name);
    snprintf(endpoint, sizeof endpoint, "ipc://%s", self->path);
    status = zmq_bind(self->router, endpoint);
    if (status == 0 && chmod(self->path, 0600) != 0)
        status = -1;
    if (status != 0)
        log_event(LOG_ERROR, "bind_failed", "s:address", endpoint, "s:why", strerror(errno), NULL);
    return status;
}

static int
bind_tcp(struct rpc *self, void *zmq_context)
{
    if (!config.keys) {
        log_event(LOG_ERROR, "bind_failed", "s:address", config.rpc_listen, "s:why",
                  "SX_RPC_LISTEN needs SX_KEYS; sxctl keys makes them", NULL);
        return -1;
    }
    self->guard = curve_guard_new(zmq_context, config.keys);
    if (!self->guard || curve_server(self->router, config.keys) != 0)
        return -1;
    if (zmq_bind(self->router, config.rpc_listen) != 0) {
        log_event(LOG_ERROR, "bind_failed", "s:address", config.rpc_listen, "s:why", zmq_strerror(errno), NULL);
        return -1;
    }
    return 0;
}

struct rpc *
rpc_new(void *zmq_context)
{
    struct rpc *self = xcalloc(1, sizeof *self);
    int64_t size_max = WIRE_MESSAGE_MAX;

    self->router = zmq_socket(zmq_context, ZMQ_ROUTER);
    set_option(self->router, ZMQ_ROUTER_MANDATORY, 1);
    set_option(self->router, ZMQ_LINGER, 0);
    set_option(self->router, ZMQ_SNDHWM, QUEUE_PER_PEER);
    set_option(self->router, ZMQ_RCVHWM, QUEUE_PER_PEER);
    set_option(self->router, ZMQ_HEARTBEAT_IVL, HEARTBEAT_INTERVAL_MS);
    set_option(self->router, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    set_option(self->router, ZMQ_HEARTBEAT_TTL, HEARTBEAT_TIMEOUT_MS);
    zmq_setsockopt(self->router, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max);
    self->monitor = zmq_socket(zmq_context, ZMQ_PAIR);
    set_option(self->monitor, ZMQ_LINGER, 0);
    if (zmq_socket_monitor(self->router, "inproc://router-monitor", ZMQ_EVENT_DISCONNECTED) != 0 ||
        zmq_connect(self->monitor, "inproc://router-monitor") != 0)
        log_fatal("zmq_monitor", "s:why", zmq_strerror(errno), NULL);
    if ((config.rpc_listen ? bind_tcp(self, zmq_context) : bind_ipc(self)) != 0)
        rpc_destroy(&self);
    return self;
}

void
rpc_destroy(struct rpc **self)
{
    if (!*self)
        return;
    zmq_socket_monitor((*self)->router, NULL, 0);
    zmq_close((*self)->monitor);
    zmq_close((*self)->router);
    curve_guard_destroy(&(*self)->guard);
    if ((*self)->path)
        unlink((*self)->path); /* nobody need try this gateway again */
    free((*self)->path);
    free(*self);
    *self = NULL;
}

/* The routing id goes first and decides: once it is taken, the rest of the message cannot fail. */
int
rpc_send(void *context, const void *routing_id, size_t routing_size, const struct wire *wire, struct str name,
         struct str body)
{
    struct rpc *self = context;
    uint8_t header[WIRE_SIZE];

    if (zmq_send(self->router, routing_id, routing_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return -1;
    wire_encode(wire, header);
    if (zmq_send(self->router, header, sizeof header, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(self->router, name.base, name.len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(self->router, body.base, body.len, ZMQ_DONTWAIT) < 0)
        return -1;
    return 0;
}

static int
socket_fd(void *socket)
{
    int fd = -1;
    size_t size = sizeof fd;

    zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    return fd;
}

int
rpc_fd(const struct rpc *self)
{
    return socket_fd(self->router);
}

int
rpc_monitor_fd(const struct rpc *self)
{
    return socket_fd(self->monitor);
}

bool
rpc_has_input(struct rpc *self)
{
    int events = 0;
    size_t size = sizeof events;

    zmq_getsockopt(self->router, ZMQ_EVENTS, &events, &size);
    return (events & ZMQ_POLLIN) != 0;
}

/* The frames of one message. 0, or -1 when there is none. Frames beyond the fourth are dropped, and count says how many
 * came. */
static int
receive_frames(struct rpc *self, zmq_msg_t frames[FRAMES], unsigned *count)
{
    zmq_msg_t further;

    *count = 0;
    for (unsigned i = 0; i < FRAMES; i++)
        zmq_msg_init(&frames[i]);
    if (zmq_msg_recv(&frames[0], self->router, ZMQ_DONTWAIT) < 0)
        return -1;
    *count = 1;
    zmq_msg_init(&further);
    while (zmq_msg_more(*count <= FRAMES ? &frames[*count - 1] : &further)) {
        zmq_msg_t *frame = *count < FRAMES ? &frames[*count] : &further;

        if (zmq_msg_recv(frame, self->router, ZMQ_DONTWAIT) < 0)
            break;
        (*count)++;
    }
    zmq_msg_close(&further);
    return 0;
}

void
rpc_receive(struct rpc *self, struct hub *hub, unsigned max)
{
    zmq_msg_t frames[FRAMES];
    unsigned count;

    for (unsigned i = 0; i < max; i++) {
        int status = receive_frames(self, frames, &count);

        if (status == 0 && count == FRAMES) {
            struct str routing_id = {zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0])};

            hub_receive(hub, routing_id, config.rpc_listen ? curve_peer(&frames[1]) : NULL, &frames[1], &frames[2],
                        &frames[3]);
        } else if (status == 0) {
            metric_add(&malformed, 1);
        }
        for (unsigned k = 0; k < FRAMES; k++)
            zmq_msg_close(&frames[k]);
        if (status != 0)
            return;
    }
}

bool
rpc_lost_peer(struct rpc *self)
{
    bool lost = false;
    zmq_msg_t frame;

    zmq_msg_init(&frame);
    while (zmq_msg_recv(&frame, self->monitor, ZMQ_DONTWAIT) >= 0)
        lost = true;
    zmq_msg_close(&frame);
    return lost;
}

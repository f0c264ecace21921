/* loop.c - one thread, one poll: HTTP, workers, lost peers, signals, and the earliest of everybody's deadlines.
 *
 * A turn serves what has come from workers first, at most ROUTER_MESSAGES_PER_TURN of it, because answers free
 * connections; then libmicrohttpd, which also must run after every resumption and whenever it asks for it. ZeroMQ's
 * descriptors are edge-triggered and any call on a socket may swallow the edge, so before waiting the socket is asked.
 */
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "access.h"
#include "bounds.h"
#include "clock.h"
#include "http.h"
#include "hub.h"
#include "identities.h"
#include "log.h"
#include "metric.h"
#include "rpc.h"
#include "usage.h"

enum { POLL_HTTP, POLL_RPC, POLL_MONITOR, POLL_SIGNAL, POLLS };

struct loop {
    struct gateway *gateway;
    struct pollfd polls[POLLS];
    bool more_rpc;          /* messages were left over from the last turn */
    int64_t drain_until_ms; /* 0: not draining */
};

static struct metric turns = METRIC_COUNTER("sx_loop_turns_total", "Turns of the gateway's loop.");

static int64_t
earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Not once the last client has been answered: a renewal would always be in flight, and the drain waits for what is. */
static bool
renews_lease(const struct loop *self)
{
    return self->drain_until_ms == 0 || !http_is_idle(self->gateway->http);
}

/* Milliseconds poll may wait. */
static int
wait_time(struct loop *self)
{
    struct gateway *gateway = self->gateway;
    int64_t next_ms = http_next_ms(gateway->http), now_ms;

    if (self->more_rpc || next_ms == 0)
        return 0;
    next_ms = earliest(next_ms, hub_next_ms(gateway->hub));
    if (renews_lease(self))
        next_ms = earliest(next_ms, identities_next_ms(gateway->identities));
    next_ms = earliest(next_ms, usage_next_ms(gateway->usage));
    if (self->drain_until_ms > 0)
        next_ms = earliest(next_ms, self->drain_until_ms);
    now_ms = clock_monotonic_ms();
    if (next_ms <= now_ms)
        return 0;
    return next_ms - now_ms > 1000 ? 1000 : (int)(next_ms - now_ms);
}

static void
begin_drain(struct loop *self)
{
    struct signalfd_siginfo info;

    if (read(self->polls[POLL_SIGNAL].fd, &info, sizeof info) < 0 || self->drain_until_ms > 0)
        return;
    log_event(LOG_INFO, "draining", "l:signal", (int64_t)info.ssi_signo, "l:in_flight",
              (int64_t)hub_in_flight(self->gateway->hub), NULL);
    self->gateway->draining = true;
    hub_drain(self->gateway->hub);
    self->drain_until_ms = clock_monotonic_ms() + DRAIN_WAIT_MS;
    http_quiesce(self->gateway->http);
}

static bool
is_drained(const struct loop *self)
{
    if (self->drain_until_ms == 0)
        return false;
    return (http_is_idle(self->gateway->http) && hub_in_flight(self->gateway->hub) == 0 &&
            usage_next_ms(self->gateway->usage) == INT64_MAX) ||
           clock_monotonic_ms() >= self->drain_until_ms;
}

static void
turn(struct loop *self)
{
    struct gateway *gateway = self->gateway;
    int ready = poll(self->polls, POLLS, wait_time(self));

    metric_add(&turns, 1);
    if (ready < 0 && errno != EINTR)
        log_fatal("poll", "s:why", strerror(errno), NULL);
    if (self->polls[POLL_SIGNAL].revents)
        begin_drain(self);
    if (self->polls[POLL_MONITOR].revents && rpc_lost_peer(gateway->rpc))
        hub_disconnected(gateway->hub);
    if (self->more_rpc || self->polls[POLL_RPC].revents)
        rpc_receive(gateway->rpc, gateway->hub, ROUTER_MESSAGES_PER_TURN);
    hub_tick(gateway->hub);
    if (renews_lease(self))
        identities_tick(gateway->identities);
    usage_tick(gateway->usage);
    http_tick(gateway->http);
    if (self->polls[POLL_HTTP].revents || http_next_ms(gateway->http) <= clock_monotonic_ms())
        http_run(gateway->http);
    if (!renews_lease(self))
        usage_drain(gateway->usage);
    access_flush(gateway->access);
    self->more_rpc = rpc_has_input(gateway->rpc);
}

void
loop_run(struct gateway *gateway)
{
    struct loop self = {.gateway = gateway};
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    self.polls[POLL_HTTP] = (struct pollfd){.fd = http_fd(gateway->http), .events = POLLIN};
    self.polls[POLL_RPC] = (struct pollfd){.fd = rpc_fd(gateway->rpc), .events = POLLIN};
    self.polls[POLL_MONITOR] = (struct pollfd){.fd = rpc_monitor_fd(gateway->rpc), .events = POLLIN};
    self.polls[POLL_SIGNAL] =
        (struct pollfd){.fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC), .events = POLLIN};
    if (self.polls[POLL_SIGNAL].fd < 0)
        log_fatal("signalfd", "s:why", strerror(errno), NULL);
    self.more_rpc = true;
    while (!is_drained(&self))
        turn(&self);
    http_abort(gateway->http);
    access_flush(gateway->access);
    close(self.polls[POLL_SIGNAL].fd);
}

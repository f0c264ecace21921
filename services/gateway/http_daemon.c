/* http_daemon.c - libmicrohttpd's daemon without a thread: started, turned by our loop, drained, stopped.
 *
 * Without a thread of its own its epoll descriptor is one more descriptor for our poll; with one it would stall for
 * seconds whenever 128 connections are ready at once (design 8.2).
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "http_private.h"
#include "log.h"
#include "reply.h"
#include "stream.h"

#define LISTEN_BACKLOG   1024
#define SPARE_FILES      256 /* descriptors that are no connections: ZeroMQ's, logs, files */
#define FINISH_TURNS_MAX 64

/* A connection whose buffer is full and holds nothing that could be used makes libmicrohttpd ask for turn after turn
 * until it times out. What really happens on a socket ends the pause. */
#define IDLE_TURNS_MAX 16
#define IDLE_PAUSE_MS  5

/* libmicrohttpd's own remarks: clients that went away and the like. */
static void
on_log(void *context, const char *format, va_list arguments)
{
    char line[512];

    (void)context;
    vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\n")] = '\0';
    log_event(LOG_DEBUG, "http", "s:text", line, NULL);
}

/* The listening address as a socket address; -1 when it is none. */
static int
listen_address(struct sockaddr_storage *target)
{
    struct sockaddr_in *in = (struct sockaddr_in *)target;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)target;

    memset(target, 0, sizeof *target);
    if (inet_pton(AF_INET, config.listen, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)config.port);
        return 0;
    }
    if (inet_pton(AF_INET6, config.listen, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)config.port);
        return 0;
    }
    return -1;
}

static unsigned
raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return CONNECTIONS_MAX / 4;
    if (limit.rlim_cur < CONNECTIONS_MAX + SPARE_FILES) {
        limit.rlim_cur =
            limit.rlim_max < CONNECTIONS_MAX + SPARE_FILES ? limit.rlim_max : CONNECTIONS_MAX + SPARE_FILES;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < CONNECTIONS_MAX + SPARE_FILES) {
        log_event(LOG_WARN, "few_files", "l:limit", (int64_t)limit.rlim_cur, "l:wanted",
                  (int64_t)(CONNECTIONS_MAX + SPARE_FILES), NULL);
        return limit.rlim_cur > 2 * SPARE_FILES ? (unsigned)limit.rlim_cur - SPARE_FILES : SPARE_FILES / 2;
    }
    return CONNECTIONS_MAX;
}

static struct MHD_Daemon *
start_daemon(struct http *self, const struct sockaddr_storage *address)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    unsigned connections = raise_file_limit();

    if (address->ss_family == AF_INET6)
        flags |= MHD_USE_DUAL_STACK;
    return MHD_start_daemon(flags, (uint16_t)config.port, NULL, NULL, http_on_request, self, /**/
                            MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,                        /**/
                            MHD_OPTION_SOCK_ADDR, (const struct sockaddr *)address,          /**/
                            MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,                          /**/
                            MHD_OPTION_LISTEN_BACKLOG_SIZE, (unsigned)LISTEN_BACKLOG,        /**/
                            MHD_OPTION_CONNECTION_LIMIT, connections,                        /**/
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_IDLE_S,      /**/
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_MEMORY_MAX,   /**/
                            MHD_OPTION_STRICT_FOR_CLIENT, 1,                                 /**/
                            MHD_OPTION_URI_LOG_CALLBACK, http_on_uri, self,                  /**/
                            MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, self,          /**/
                            MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, self, MHD_OPTION_END);
}

struct http *
http_new(struct gateway *gateway)
{
    struct http *self = xcalloc(1, sizeof *self);
    struct sockaddr_storage address;

    self->gateway = gateway;
    self->quiesced_fd = -1;
    http_errors_start(self);
    if (listen_address(&address) != 0) {
        log_event(LOG_ERROR, "listen_failed", "s:address", config.listen, "s:why", "SX_LISTEN is not an IP address",
                  NULL);
        free(self);
        return NULL;
    }
    self->daemon = start_daemon(self, &address);
    if (!self->daemon) {
        log_event(LOG_ERROR, "listen_failed", "s:address", config.listen, "l:port", config.port, "s:why",
                  "the port is taken or not allowed; choose another with SX_PORT", NULL);
        free(self);
        return NULL;
    }
    self->epoll_fd = MHD_get_daemon_info(self->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return self;
}

void
http_destroy(struct http **self)
{
    struct request *spare;

    if (!*self)
        return;
    MHD_stop_daemon((*self)->daemon);
    if ((*self)->quiesced_fd >= 0)
        close((*self)->quiesced_fd);
    while ((spare = (*self)->spare)) {
        (*self)->spare = spare->next;
        buf_free(&spare->body);
        buf_free(&spare->scratch);
        buf_free(&spare->frame);
        arena_destroy(&spare->arena);
        free(spare);
    }
    free(*self);
    *self = NULL;
}

int
http_fd(const struct http *self)
{
    return self->epoll_fd;
}

void
http_run(struct http *self)
{
    self->must_run = self->called = false;
    MHD_run(self->daemon);
    self->idle_turns = self->called ? 0 : self->idle_turns + 1;
    self->pause_till_ms = self->idle_turns < IDLE_TURNS_MAX ? 0 : clock_monotonic_ms() + IDLE_PAUSE_MS;
}

bool
http_must_run(const struct http *self)
{
    return self->must_run;
}

int64_t
http_next_ms(const struct http *self)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    int64_t next_ms = self->first_waiting || self->live ? self->tick_ms : INT64_MAX;

    if (self->must_run)
        return 0;
    if (MHD_get_timeout(self->daemon, &wait_ms) == MHD_YES) {
        int64_t then_ms = wait_ms == 0 ? self->pause_till_ms : clock_monotonic_ms() + (int64_t)wait_ms;

        next_ms = then_ms < next_ms ? then_ms : next_ms;
    }
    return next_ms;
}

void
http_quiesce(struct http *self)
{
    http_run(self); /* takes what has been connected already */
    self->quiesced_fd = MHD_quiesce_daemon(self->daemon);
    if (self->quiesced_fd >= 0)
        close(self->quiesced_fd);
    self->quiesced_fd = -1;
}

bool
http_is_idle(const struct http *self)
{
    return self->live == NULL;
}

static void
abort_suspended(struct http *self)
{
    for (struct request *request = self->live; request; request = request->next) {
        if (!request->suspended)
            continue;
        if (request->state == REQUEST_ASKING)
            identities_cancel(self->gateway->identities, &request->question);
        if (request->state == REQUEST_CALLING)
            hub_cancel(self->gateway->hub, &request->call);
        if (request->stream) {
            stream_orphan(request->stream);
            request->stream = NULL; /* its response releases it */
        } else {
            reply_fail(request, FAIL_SERVICE_UNAVAILABLE, "The platform is being restarted");
        }
        http_wake(request);
    }
}

/* What still moves may ask a service for more and be suspended in any of these turns. libmicrohttpd does not stop, but
 * aborts the process, while a connection is suspended. */
void
http_abort(struct http *self)
{
    for (unsigned i = 0; i < FINISH_TURNS_MAX && self->live; i++) {
        abort_suspended(self);
        http_run(self);
    }
    abort_suspended(self);
}

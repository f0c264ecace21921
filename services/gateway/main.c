/* main.c - the gateway: takes HTTP requests, decides whether they may be made, gives them to services over ZeroMQ.
 *
 *     gateway            runs until SIGTERM or SIGINT, then answers what is in flight
 *     gateway --help     the settings
 *
 * loop.c turns it; http.c takes a request through admit.c, forward.c and reply.c; hub.c knows the workers.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "access.h"
#include "clock.h"
#include "config.h"
#include "cors.h"
#include "docs.h"
#include "gateway.h"
#include "http.h"
#include "hub.h"
#include "identities.h"
#include "limiter.h"
#include "log.h"
#include "loop.h"
#include "proxies.h"
#include "router.h"
#include "rpc.h"
#include "scheduling.h"
#include "secret.h"
#include "usage.h"

static int64_t
now_ms(void *context)
{
    (void)context;
    return clock_monotonic_ms();
}

static void
on_invalidate(void *context, uint64_t version, struct str tags)
{
    struct gateway *gateway = context;

    identities_invalidate(gateway->identities, version, tags);
}

/* The hub has one context for all it is given: send wants the socket, invalidate the cache. */
static int
on_send(void *context, const void *routing_id, size_t routing_size, const struct wire *wire, struct str name,
        struct str body)
{
    struct gateway *gateway = context;

    return rpc_send(gateway->rpc, routing_id, routing_size, wire, name, body);
}

/* Signals go to the loop's descriptor only, also with ZeroMQ's threads; a client that closed early is no reason to die.
 */
static void
set_signals(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The loop must not stand still because nobody reads the log. Under a description of its own: the one that was
 * inherited may be shared, with a shell or with other processes, to whom it would happen as well. What cannot be opened
 * again, a socket for one, stays as it is. */
static void
unblock_stderr(void)
{
    int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0)
        return;
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static struct limiter *
open_limiter(void)
{
    const struct config_rate rates[RATE_CLASSES] = {
        [RATE_GLOBAL] = config.rate_global, [RATE_TOKEN] = config.rate_token,
        [RATE_VERIFY] = config.rate_verify, [RATE_CREDENTIALS] = config.rate_credentials,
        [RATE_LOGIN] = config.rate_login,   [RATE_METAFIELDS] = config.rate_metafields,
    };
    char *path = config.limits_file ? xstrdup(config.limits_file) : config_path("run/limits");
    struct limiter *limiter = limiter_new(path, rates);

    free(path);
    return limiter;
}

/* For the socket and the limiter's files; up has made it already, a gateway in a container of its own makes it here. */
static void
make_run_directory(void)
{
    char *run = config_path("run");

    if ((mkdir(config.home, 0700) != 0 && errno != EEXIST) || (mkdir(run, 0700) != 0 && errno != EEXIST))
        log_event(LOG_ERROR, "no_run_directory", "s:path", run, "s:why", strerror(errno), NULL);
    free(run);
}

static int
start(struct gateway *self, const char *process, void *zmq_context)
{
    const struct hub_transport transport = {
        .send = on_send, .now_ms = now_ms, .invalidate = on_invalidate, .context = self};

    secret_random(&self->id, sizeof self->id);
    self->id = (self->id & INT64_MAX) | 1;
    self->access = access_new(process, config.access_log != 0);
    self->router = router_new(operations, operation_count);
    self->cors = cors_new(config.cors_origins);
    self->proxies = proxies_new(config.trusted_proxies);
    if (!self->proxies)
        return -1;
    make_run_directory();
    self->rpc = rpc_new(zmq_context);
    if (!self->rpc)
        return -1;
    self->limiter = open_limiter();
    if (!self->limiter)
        return -1;
    self->hub = hub_new(&transport, self->id);
    self->identities = identities_new(self->hub, self->id, config.identity_lease_ms);
    self->usage = usage_new(self->hub, self->id);
    self->http = http_new(self);
    return self->http ? 0 : -1;
}

static void
stop(struct gateway *self)
{
    http_destroy(&self->http);
    usage_destroy(&self->usage);
    identities_destroy(&self->identities);
    hub_destroy(&self->hub);
    limiter_destroy(&self->limiter);
    rpc_destroy(&self->rpc);
    cors_destroy(&self->cors);
    proxies_destroy(&self->proxies);
    router_destroy(&self->router);
    access_destroy(&self->access);
}

/* Without it whoever sends a Host of his own reads it again as the OAuth issuer, and in the redirects. */
static void
warn_of_settings(void)
{
    if (!config.dev && !config.public_url)
        log_event(LOG_WARN, "no_public_url", "s:why",
                  "OAuth's issuer and redirects are made of the Host that each client sends; set SX_PUBLIC_URL to "
                  "where clients reach the gateways, as https://api.example.com",
                  NULL);
}

int
main(int argc, char **argv)
{
    struct gateway self = {0};
    enum log_level level = LOG_INFO;
    void *zmq_context;
    char process[32];
    int status;

    if (argc > 1) {
        config_print_help();
        return strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    if (config_load() != 0)
        return 1;
    snprintf(process, sizeof process, "gateway-%d", (int)config.gateway_index);
    if (log_level_of(config.log_level, &level) != 0) {
        fprintf(stderr, "SX_LOG_LEVEL: debug, info, warn or error\n");
        return 1;
    }
    unblock_stderr();
    log_start(process, level);
    clock_follow(config.dev ? config.clock_file : NULL);
    set_signals();
    scheduling_batch();
    zmq_context = zmq_ctx_new();
    status = start(&self, process, zmq_context);
    if (status == 0) {
        warn_of_settings();
        log_event(LOG_INFO, "started", "s:listen", config.listen, "l:port", config.port, "l:gateway_id", self.id,
                  "s:contract", contract_digest, NULL);
        loop_run(&self);
        log_event(LOG_INFO, "stopped", NULL);
    }
    stop(&self);
    zmq_ctx_term(zmq_context);
    return status == 0 ? 0 : 1;
}

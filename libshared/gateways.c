/* gateways.c - gateways are found in the run directory or by name. What is found is only where they may be: whether one
 * is there, its socket says (peers.c). */
#include "gateways.h"

#include <dirent.h>
#include <fnmatch.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "config.h"
#include "log.h"

#define RESOLVE_INTERVAL_MS 1000 /* of the gateways' name */

struct gateways {
    void *context;
    char service[SERVICE_NAME_MAX + 1];
    pthread_mutex_t lock; /* of known and version */
    struct endpoints known;
    _Atomic uint64_t version;
    int64_t resolved_ms;
};

static int
compare_endpoints(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void endpoints_add(struct endpoints *self, const char *format, ...) printf_like(2, 3);

static void
endpoints_add(struct endpoints *self, const char *format, ...)
{
    va_list arguments;
    int len;

    if (self->count == GATEWAYS_MAX)
        return;
    va_start(arguments, format);
    len = vsnprintf(self->text[self->count], PEER_ENDPOINT_MAX, format, arguments);
    va_end(arguments);
    if (len > 0 && len < PEER_ENDPOINT_MAX)
        self->count++;
}

static int
find_in_run_directory(struct endpoints *target)
{
    char *path = config_path("run");
    DIR *directory = opendir(path);
    struct dirent *entry;

    while (directory && (entry = readdir(directory)) != NULL)
        if (fnmatch("gateway-*.ipc", entry->d_name, 0) == 0)
            endpoints_add(target, "ipc://%s/%s", path, entry->d_name);
    if (directory)
        closedir(directory);
    free(path);
    return 0;
}

/* All addresses of the name. A name that does not resolve leaves the set as it is: a gateway that is connected needs no
 * DNS. */
static int
find_by_name(struct endpoints *target)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found, *one;
    char name[PEER_ENDPOINT_MAX], host[NI_MAXHOST], port[NI_MAXSERV];
    char *colon;

    snprintf(name, sizeof(name), "%s", config.gateway);
    colon = strrchr(name, ':');
    if (!colon)
        log_fatal("bad_gateway_setting", "s:SX_GATEWAY", config.gateway, "s:why", "write it as host:port", NULL);
    *colon = '\0';
    if (getaddrinfo(name, colon + 1, &hints, &found) != 0)
        return -1;
    for (one = found; one; one = one->ai_next)
        if (getnameinfo(one->ai_addr, one->ai_addrlen, host, sizeof(host), port, sizeof(port),
                        NI_NUMERICHOST | NI_NUMERICSERV) == 0)
            endpoints_add(target, one->ai_family == AF_INET6 ? "tcp://[%s]:%s" : "tcp://%s:%s", host, port);
    freeaddrinfo(found);
    return 0;
}

struct gateways *
gateways_new(void *zmq_context, const char *service)
{
    struct gateways *self = xcalloc(1, sizeof(*self));

    self->context = zmq_context;
    snprintf(self->service, sizeof(self->service), "%s", service);
    pthread_mutex_init(&self->lock, NULL);
    atomic_init(&self->version, 1);
    self->resolved_ms = INT64_MIN / 2;
    gateways_refresh(self);
    return self;
}

void
gateways_destroy(struct gateways **self)
{
    if (!*self)
        return;
    pthread_mutex_destroy(&(*self)->lock);
    free(*self);
    *self = NULL;
}

bool
gateways_refresh(struct gateways *self)
{
    struct endpoints *found;
    bool changed = false;

    if (config.gateway) {
        int64_t now_ms = clock_monotonic_ms();

        if (now_ms - self->resolved_ms < RESOLVE_INTERVAL_MS)
            return false;
        self->resolved_ms = now_ms;
    }
    found = xcalloc(1, sizeof(*found));
    if ((config.gateway ? find_by_name(found) : find_in_run_directory(found)) == 0) {
        qsort(found->text, found->count, sizeof(found->text[0]), compare_endpoints);
        pthread_mutex_lock(&self->lock);
        changed = found->count != self->known.count ||
                  memcmp(found->text, self->known.text, found->count * sizeof(found->text[0])) != 0;
        if (changed) {
            self->known = *found;
            atomic_fetch_add(&self->version, 1);
        }
        pthread_mutex_unlock(&self->lock);
    }
    free(found);
    return changed;
}

unsigned
gateways_count(struct gateways *self)
{
    unsigned count;

    pthread_mutex_lock(&self->lock);
    count = self->known.count;
    pthread_mutex_unlock(&self->lock);
    return count;
}

uint64_t
gateways_version(const struct gateways *self)
{
    return atomic_load(&self->version);
}

uint64_t
gateways_copy(struct gateways *self, struct endpoints *target)
{
    uint64_t version;

    pthread_mutex_lock(&self->lock);
    *target = self->known;
    version = atomic_load(&self->version);
    pthread_mutex_unlock(&self->lock);
    return version;
}

bool
endpoints_have(const struct endpoints *self, const char *endpoint)
{
    return bsearch(endpoint, self->text, self->count, sizeof(self->text[0]), compare_endpoints) != NULL;
}

void *
gateways_context(const struct gateways *self)
{
    return self->context;
}

const char *
gateways_service(const struct gateways *self)
{
    return self->service;
}

/* service.c - from main to the end of a service process. The main thread only looks for gateways and waits for signals;
 * everything else happens in workers and actors. */
#include "service.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "bounds.h"
#include "clock.h"
#include "config.h"
#include "connection.h"
#include "cursor.h"
#include "log.h"
#include "master_key.h"
#include "peers.h"
#include "scheduling.h"
#include "secret.h"
#include "worker.h"

#define GATEWAYS_LOOK_MS  250
#define ASIDE_WORKERS_MIN 2     /* and at least one for each gateway */
#define MIGRATE_WAIT_MS   30000 /* for PostgreSQL to come up */
#define MALLOC_ARENAS_MAX 2     /* threads share them: ten of their own would cost megabytes each */
#define SOCKETS_MAX       ((WORKER_THREADS_MAX + 32 + ACTORS_MAX) * GATEWAYS_MAX)

struct running {
    const struct service *service;
    void *context;
    struct gateways *gateways;
    struct intake *intake, *aside;
    struct worker *workers[WORKER_THREADS_MAX + GATEWAYS_MAX];
    unsigned worker_count;
    struct actor *actors[ACTORS_MAX];
};

/* Looked at again and again, because the master key may be exchanged while we run. */
static void
follow_keys(void)
{
    uint8_t keys[CURSOR_KEYS_MAX][CURSOR_KEY_SIZE];
    unsigned count = secret_derive_all(keys, "cursor", true);

    cursor_set_keys((const uint8_t(*)[CURSOR_KEY_SIZE])keys, count);
    secret_wipe(keys, sizeof keys);
}

static void
load_keys(void)
{
    char *path = config.master_key_file ? xstrdup(config.master_key_file) : config_path("secrets/master.key");

    master_load(path);
    free(path);
    follow_keys();
}

static void
wait_ms(int64_t ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

static int
migrate(const struct service *self)
{
    int64_t until_ms = clock_monotonic_ms() + MIGRATE_WAIT_MS;
    char schema[SERVICE_NAME_MAX + 1];
    PGconn *connection;
    int rc;

    while ((connection = db_connect(self->name, true)) == NULL) {
        if (clock_monotonic_ms() >= until_ms)
            return EXIT_FAILURE;
        wait_ms(RECONNECT_WAIT_MS);
    }
    connection_schema(schema, sizeof schema, self->name);
    rc = migrate_run(connection, schema, self->migrations, self->migration_count);
    PQfinish(connection);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void
check_schema(const struct service *self)
{
    char schema[SERVICE_NAME_MAX + 1];
    PGconn *connection = db_connect(self->name, false);
    int rc;

    if (!connection)
        exit(EXIT_FAILURE); /* said why; the supervisor starts us again */
    connection_schema(schema, sizeof schema, self->name);
    rc = migrate_check(connection, schema, self->migrations, self->migration_count);
    PQfinish(connection);
    if (rc != 0)
        exit(EXIT_FAILURE);
}

/* Each gateway needs a worker of each pool (protocols 3): those that are there, or are still to come. */
static unsigned
workers_needed(const struct running *self)
{
    unsigned gateways = gateways_count(self->gateways);

    return gateways > config.gateways ? gateways : (unsigned)config.gateways;
}

static int
check_workers(const struct running *self)
{
    unsigned needed = workers_needed(self);

    if (config.workers >= needed)
        return 0;
    log_event(LOG_ERROR, "too_few_workers", "l:SX_WORKERS", config.workers, "l:gateways", (int64_t)needed, "s:why",
              "every gateway needs a worker of its own: raise SX_WORKERS", NULL);
    return -1;
}

static struct intake *
start_pool(struct running *self, const char *name, unsigned workers)
{
    struct intake *intake = intake_new(name, self->gateways);

    for (unsigned i = 0; i < workers; i++) {
        struct worker *worker = worker_new(self->service, intake, self->gateways, self->worker_count);

        if (!worker)
            _exit(EXIT_FAILURE); /* db_new has said why; exit would run destructors beside the threads that there are */
        self->workers[self->worker_count++] = worker;
    }
    return intake;
}

static void
start_actor(struct running *self, unsigned number)
{
    self->actors[number] =
        actor_new(self->service, &self->service->actors[number], self->gateways, self->worker_count + number);
    if (!self->actors[number])
        _exit(EXIT_FAILURE);
}

static void
start_all(struct running *self)
{
    const struct service *service = self->service;

    self->context = zmq_ctx_new();
    zmq_ctx_set(self->context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    self->gateways = gateways_new(self->context, service->name);
    if (check_workers(self) != 0)
        exit(EXIT_FAILURE);
    self->intake = start_pool(self, service->name, (unsigned)config.workers);
    if (service->aside)
        self->aside = start_pool(self, service->aside,
                                 workers_needed(self) > ASIDE_WORKERS_MIN ? workers_needed(self) : ASIDE_WORKERS_MIN);
    assert(service->actor_count <= ACTORS_MAX);
    for (unsigned i = 0; i < service->actor_count; i++)
        start_actor(self, i);
}

static void
stop_all(struct running *self)
{
    intake_close(self->intake); /* all drain at once */
    if (self->aside)
        intake_close(self->aside);
    for (unsigned i = 0; i < self->service->actor_count; i++)
        actor_stop(self->actors[i]);
    for (unsigned i = 0; i < self->worker_count; i++)
        worker_destroy(&self->workers[i]);
    for (unsigned i = 0; i < self->service->actor_count; i++)
        actor_destroy(&self->actors[i]);
    intake_destroy(&self->intake);
    intake_destroy(&self->aside);
    gateways_destroy(&self->gateways);
    zmq_ctx_term(self->context);
}

static void
serve(const struct service *service, const sigset_t *signals)
{
    const struct timespec look = {0, GATEWAYS_LOOK_MS * 1000000};
    struct running *self = xcalloc(1, sizeof(*self));
    int number;

    self->service = service;
    start_all(self);
    log_event(LOG_INFO, "started", "l:workers", (int64_t)self->worker_count, NULL);
    while ((number = sigtimedwait(signals, NULL, &look)) < 0) {
        if (gateways_refresh(self->gateways))
            (void)check_workers(self); /* the workers there are go on serving */
        follow_keys();
    }
    log_event(LOG_INFO, "stopping", "s:signal", strsignal(number), NULL);
    stop_all(self);
    log_event(LOG_INFO, "stopped", NULL);
    free(self);
}

static enum log_level
configured_log_level(void)
{
    enum log_level level = LOG_INFO;

    return log_level_of(config.log_level, &level) == 0 ? level : LOG_INFO;
}

int
service_main(int argc, char **argv, const struct service *self)
{
    sigset_t signals;

    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        printf("%s             serves until SIGTERM\n%s migrate     brings its schema to the newest version\n\n",
               self->name, self->name);
        config_print_help();
        return EXIT_SUCCESS;
    }
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "migrate") != 0)) {
        fprintf(stderr, "usage: %s [migrate | --help]\n", self->name);
        return EXIT_FAILURE;
    }
    if (config_load() != 0)
        return EXIT_FAILURE;
    mallopt(M_ARENA_MAX, MALLOC_ARENAS_MAX);
    log_start(self->name, configured_log_level());
    clock_follow(config.clock_file);
    if (argc == 2)
        return migrate(self);

    /* Blocked before the first thread is made, so that only sigtimedwait sees them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    scheduling_batch();
    load_keys();
    reseal_columns(self->sealed, self->sealed_count);
    check_schema(self);
    serve(self, &signals);
    return EXIT_SUCCESS;
}

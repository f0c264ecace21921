/* worker.c - the worker thread: takes a request, has it served, answers, and between requests looks after its
 * connection. What it does with a request is serve.c's; which requests it gets is intake.c's.
 */
#include "worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bounds.h"
#include "clock.h"
#include "log.h"
#include "serve.h"

#define TIDY_INTERVAL_MS 60000
#define TIDY_AGAIN_MS    200 /* while there is more to tidy */
#define TIDYING_INDEX    0   /* one worker of a process does it */
#define HEADERS_SIZE_MAX 8192

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_SIZE (4096 * 1024)
#else
#define STACK_SIZE (512 * 1024)
#endif

struct worker {
    unsigned index;
    struct intake *intake;
    pthread_t thread;
    struct db *db;
    struct peers *peers;
    struct server *server;
    struct served reply;
    bool has_database;
    int64_t look_ms, tidy_ms;
};

/* Whether it can work. A worker without its database is ready for nobody: requests wait in the gateway, which is right
 * for the second that PostgreSQL takes to restart, and /readyz tells the truth. But what was sent before the gateway
 * knew must be answered in time. */
static bool
look_at_database(struct worker *self)
{
    bool has = db_ensure(self->db) == 0;

    self->look_ms = clock_monotonic_ms() + (has ? INTAKE_LOOK_MS : RECONNECT_WAIT_MS);
    if (has != self->has_database) {
        self->has_database = has;
        intake_set_able(self->intake, has);
        if (has)
            log_event(LOG_INFO, "database_back", "l:worker", (int64_t)self->index, NULL);
    }
    return has || intake_is_short(self->intake);
}

/* Everything that is looked after between requests. */
static bool
look(struct worker *self, int64_t now_ms)
{
    bool takes = look_at_database(self);

    if (peers_count(self->peers) > 0)
        peers_sync(self->peers);
    if (self->index == TIDYING_INDEX && now_ms >= self->tidy_ms)
        self->tidy_ms = now_ms + (server_tidy(self->server) ? TIDY_AGAIN_MS : TIDY_INTERVAL_MS);
    return takes;
}

static void
handle(struct worker *self, struct intake_request *request)
{
    serve_request(self->server, request->from->endpoint, &request->message, request->received_ms, &self->reply);
    intake_answer(self->intake, request, &self->reply.wire,
                  (struct str){self->reply.headers.data, self->reply.headers.size}, &self->reply.body);
    peer_message_close(&request->message);
    if (!db_is_connected(self->db))
        self->look_ms = 0;
}

static void *
worker_run(void *argument)
{
    const struct timespec pause = {0, RECONNECT_WAIT_MS * 1000000L};
    struct worker *self = argument;
    enum intake_result result = INTAKE_NOTHING;

    while (result != INTAKE_CLOSED) {
        int64_t now_ms = clock_monotonic_ms();
        struct intake_request request;

        if (now_ms >= self->look_ms) {
            intake_leave(self->intake);
            if (!look(self, now_ms)) {
                nanosleep(&pause, NULL);
                result = intake_is_closed(self->intake) ? INTAKE_CLOSED : INTAKE_NOTHING;
                continue;
            }
        }
        result = intake_take(self->intake, &request);
        if (result == INTAKE_REQUEST)
            handle(self, &request);
    }
    if (self->has_database)
        intake_set_able(self->intake, false);
    return NULL;
}

struct worker *
worker_new(const struct service *service, struct intake *intake, struct gateways *gateways, unsigned index)
{
    struct worker *self = xcalloc(1, sizeof(*self));
    pthread_attr_t attributes;
    int rc;

    self->index = index;
    self->intake = intake;
    self->db = db_new(service->name, index, service->statements, service->statement_count);
    if (!self->db) {
        free(self);
        return NULL;
    }
    self->has_database = true;
    self->peers = peers_new(gateways);
    self->server = server_new(service, self->db, self->peers);
    buf_init(&self->reply.headers, HEADERS_SIZE_MAX);
    self->tidy_ms = clock_monotonic_ms() + TIDY_INTERVAL_MS / 4;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    intake_set_able(intake, true);
    rc = pthread_create(&self->thread, &attributes, worker_run, self);
    pthread_attr_destroy(&attributes);
    if (rc != 0)
        log_fatal("thread_failed", "s:why", strerror(rc), NULL);
    return self;
}

void
worker_destroy(struct worker **self)
{
    struct worker *worker = *self;

    if (!worker)
        return;
    pthread_join(worker->thread, NULL);
    server_destroy(&worker->server);
    peers_destroy(&worker->peers);
    db_destroy(&worker->db);
    buf_free(&worker->reply.headers);
    free(worker);
    *self = NULL;
}

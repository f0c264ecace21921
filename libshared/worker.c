/* worker.c - the worker thread: credit, homes, draining. What it does with a request is serve.c's.
 *
 * Credit (protocols 2, 3). One gateway at a time, the home, may send this thread one REQUEST. READY gives that credit
 * and the REPLY renews it. When the home changes while the old one is alive, the credit is taken back before it is
 * given away: BYE goes to the old home, and only its echo ends the credit, because a REQUEST may have crossed the BYE.
 * Until the echo this thread is ready for nobody; a REQUEST that crossed is served. An old home that does not echo
 * within ECHO_WAIT_MS loses the connection, and the credit with it. Going away is the same: BYE, the echo, then the
 * sockets close.
 *
 *     home live, same as computed ......... READY each second while idle
 *     database lost ....................... as if no home were computed
 *     another home computed, old live ..... BYE; leaving = old; no home
 *     echo | old gone | too late: reset ... leaving = none; home = computed; READY at once
 */
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"
#include "log.h"
#include "metric.h"
#include "serve.h"

#define LOOK_INTERVAL_MS 250 /* at the set of gateways and who of them lives */
#define FIRST_READY_MS   50  /* after a REPLY: should it be lost, this READY is what frees the worker */
#define ECHO_WAIT_MS     500
#define OVERSLEPT_MS     100 /* a wait that took this much longer: the process was stopped */
#define TIDY_INTERVAL_MS 60000
#define TIDY_AGAIN_MS    200 /* while there is more to tidy */
#define TIDYING_INDEX    0   /* one worker of a process does it */
#define READY_SIZE_MAX   512

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_SIZE (4096 * 1024)
#else
#define STACK_SIZE (512 * 1024)
#endif

struct worker {
    const struct service *service;
    char name[SERVICE_NAME_MAX + 1];
    unsigned index;
    struct gateways *gateways;
    pthread_t thread;
    atomic_bool stop;
    int wake_fd; /* readable once stop is set */
    /* the thread's own */
    struct db *db;
    struct peers *peers;
    struct server *server;
    struct served reply;
    struct peer *home;    /* holds our credit, or is about to get it with the next READY */
    struct peer *leaving; /* was told BYE, has not echoed it */
    bool stopping;
    bool has_database;
    int64_t leave_until_ms, look_ms, ready_ms, tidy_ms;
    int64_t received_ms; /* the earliest time at which a message found now may have come */
    struct buf ready;    /* frame 3 of READY */
};

static struct metric homes = METRIC_COUNTER("sx_worker_homes_total", "Changes of a worker's home gateway.");
static struct metric resets = METRIC_COUNTER("sx_worker_resets_total", "Gateways that did not echo BYE in time.");
static struct metric replies_lost = METRIC_COUNTER("sx_worker_replies_lost_total", "Replies whose gateway was gone.");

static void
write_ready(struct worker *self)
{
    char host[256] = "?", instance[320];
    struct out out;

    gethostname(host, sizeof(host) - 1);
    snprintf(instance, sizeof(instance), "%s:%ld/%u", host, (long)getpid(), self->index);
    buf_init(&self->ready, READY_SIZE_MAX);
    out_init(&out, &self->ready, OUT_MSGPACK);
    out_map(&out, 2);
    out_key(&out, "instance");
    out_text(&out, instance);
    out_key(&out, "contract");
    out_text(&out, contract_digest);
}

/* ---- homes ------------------------------------------------------------------------------------------------------- */

static void
move_in(struct worker *self, struct peer *home)
{
    self->home = home;
    self->ready_ms = 0;
    if (home)
        metric_add(&homes, 1);
}

static void
leave(struct worker *self, struct peer *peer)
{
    const struct wire bye = {.type = WIRE_BYE};

    if (!peer_is_live(peer) || peer_send(peer, &bye, STR(""), STR("")) != 0)
        return; /* no connection, no credit */
    self->leaving = peer;
    self->leave_until_ms = clock_monotonic_ms() + ECHO_WAIT_MS;
}

static bool
is_known(const struct peers *peers, const struct peer *peer)
{
    for (unsigned i = 0; i < peers_count(peers); i++)
        if (peers_at(peers, i) == peer)
            return true;
    return false;
}

static void
finish_leaving(struct worker *self, int64_t now_ms)
{
    if (!self->leaving)
        return;
    if (!peer_is_live(self->leaving)) {
        self->leaving = NULL;
    } else if (now_ms >= self->leave_until_ms) {
        log_event(LOG_WARN, "gateway_silent", "s:gateway", self->leaving->endpoint, NULL);
        metric_add(&resets, 1);
        peer_reset(self->peers, self->leaving);
        self->leaving = NULL;
    }
}

/* A worker without its database is ready for nobody: requests wait in the gateway, which is right for the second that
 * PostgreSQL takes to restart, and /readyz tells the truth. */
static void
look_at_database(struct worker *self)
{
    bool had = self->has_database;

    self->has_database = db_ensure(self->db) == 0;
    if (self->has_database && !had)
        log_event(LOG_INFO, "database_back", "l:worker", (int64_t)self->index, NULL);
    if (!self->has_database)
        self->look_ms = clock_monotonic_ms() + RECONNECT_WAIT_MS;
}

/* Everything that is looked after between requests. */
static void
look(struct worker *self, int64_t now_ms)
{
    struct peer *home;

    self->look_ms = now_ms + LOOK_INTERVAL_MS;
    if (peers_sync(self->peers)) {
        if (!is_known(self->peers, self->home))
            self->home = NULL;
        if (!is_known(self->peers, self->leaving))
            self->leaving = NULL;
    }
    finish_leaving(self, now_ms);
    look_at_database(self);
    home = self->stopping || !self->has_database ? NULL : peers_home(self->peers, self->index);
    if (home != self->home && self->home) {
        leave(self, self->home);
        self->home = NULL;
    }
    if (!self->leaving && home != self->home)
        move_in(self, home);
    if (self->leaving && self->leave_until_ms < self->look_ms)
        self->look_ms = self->leave_until_ms;
}

static void
send_ready(struct worker *self, int64_t now_ms)
{
    const struct wire wire = {.type = WIRE_READY, .id = self->home->taken};

    if (peer_send(self->home, &wire, str_of(self->name), (struct str){self->ready.data, self->ready.size}) == 0)
        self->ready_ms = now_ms + READY_INTERVAL_MS;
    else
        self->look_ms = self->ready_ms = now_ms + FIRST_READY_MS; /* it is gone, or stopped reading: look soon */
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static void
handle_request(struct worker *self, struct peer *from, struct peer_message *request)
{
    from->taken = request->wire.id;
    serve_request(self->server, from, request, self->received_ms, &self->reply);
    if (peer_send_message(from, &self->reply.wire, (struct str){self->reply.headers.data, self->reply.headers.size},
                          &self->reply.body) != 0)
        metric_add(&replies_lost, 1);
    self->received_ms = clock_monotonic_ms();
    self->ready_ms = self->received_ms + FIRST_READY_MS;
    if (!db_is_connected(self->db))
        self->look_ms = 0;
    /* A gateway that is no home and sends has a credit we know nothing of: its REPLY would renew that. */
    if (from != self->home && !self->leaving)
        leave(self, from);
}

/* Takes one message of a gateway's, and all that were kept: more than one at a time is the exception, and looking in
 * vain costs system calls. */
static void
take_messages(struct worker *self, struct peer *peer)
{
    struct peer_message message;

    do {
        if (peer_receive(peer, true, &message) != 0)
            return;
        if (message.wire.type == WIRE_REQUEST)
            handle_request(self, peer, &message);
        else if (message.wire.type == WIRE_BYE && self->leaving && peer == self->leaving) {
            self->leaving = NULL;
            self->look_ms = 0;
        }
        /* PING asks only whether this connection exists. A REPLY or ACK is late: whoever asked has given up. */
        peer_message_close(&message);
    } while (peer->kept_count > 0);
}

static void
wait_for_messages(struct worker *self)
{
    int64_t now_ms = clock_monotonic_ms(), until_ms = self->look_ms;
    bool homeless = !self->home && !self->leaving && self->has_database;
    int64_t woke_ms;

    if (self->home && self->ready_ms < until_ms)
        until_ms = self->ready_ms;
    peers_wait(self->peers, homeless, self->stopping ? -1 : self->wake_fd, until_ms);
    if (homeless)
        self->look_ms = 0; /* perhaps there is one now */
    woke_ms = clock_monotonic_ms();
    /* Budgets are relative. If the process was stopped, a message may have lain here all the while. */
    self->received_ms = woke_ms > until_ms + OVERSLEPT_MS ? now_ms : woke_ms;
}

static void *
worker_run(void *argument)
{
    struct worker *self = argument;

    self->received_ms = clock_monotonic_ms();
    for (;;) {
        int64_t now_ms = clock_monotonic_ms();

        if (!self->stopping && atomic_load(&self->stop)) {
            self->stopping = true;
            self->look_ms = 0;
        }
        if (now_ms >= self->look_ms)
            look(self, now_ms);
        if (self->stopping && !self->leaving)
            break;
        if (self->home && now_ms >= self->ready_ms)
            send_ready(self, now_ms);
        if (self->index == TIDYING_INDEX && now_ms >= self->tidy_ms)
            self->tidy_ms = now_ms + (server_tidy(self->server) ? TIDY_AGAIN_MS : TIDY_INTERVAL_MS);
        for (unsigned i = 0; i < peers_count(self->peers); i++)
            take_messages(self, peers_at(self->peers, i));
        wait_for_messages(self);
    }
    return NULL;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

struct worker *
worker_new(const struct service *service, const char *name, struct gateways *gateways, unsigned index)
{
    struct worker *self = xcalloc(1, sizeof(*self));
    pthread_attr_t attributes;
    int rc;

    self->service = service;
    self->gateways = gateways;
    self->index = index;
    snprintf(self->name, sizeof(self->name), "%s", name);
    self->db = db_new(service->name, index, service->statements, service->statement_count);
    if (!self->db) {
        free(self);
        return NULL;
    }
    self->has_database = true;
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->peers = peers_new(gateways);
    self->server = server_new(service, self->db, self->peers);
    buf_init(&self->reply.headers, READY_SIZE_MAX * 16);
    write_ready(self);
    self->tidy_ms = clock_monotonic_ms() + TIDY_INTERVAL_MS / 4;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    rc = pthread_create(&self->thread, &attributes, worker_run, self);
    pthread_attr_destroy(&attributes);
    if (rc != 0)
        log_fatal("thread_failed", "s:why", strerror(rc), NULL);
    return self;
}

void
worker_stop(struct worker *self)
{
    const uint64_t one = 1;

    atomic_store(&self->stop, true);
    if (write(self->wake_fd, &one, sizeof(one)) != sizeof(one))
        log_event(LOG_ERROR, "stop_failed", "s:why", strerror(errno), NULL);
}

void
worker_destroy(struct worker **self)
{
    struct worker *worker = *self;

    if (!worker)
        return;
    worker_stop(worker);
    pthread_join(worker->thread, NULL);
    server_destroy(&worker->server);
    peers_destroy(&worker->peers);
    db_destroy(&worker->db);
    buf_free(&worker->reply.headers);
    buf_free(&worker->ready);
    close(worker->wake_fd);
    free(worker);
    *self = NULL;
}

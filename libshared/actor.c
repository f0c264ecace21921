/* actor.c - the actor's thread: lease, turn, sleep. The thread's socket to the outside is call_service alone; whatever
 * else comes in on its sockets is a reply that came too late, and is thrown away.
 */
#include "actor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bounds.h"
#include "call_private.h"
#include "clock.h"
#include "log.h"
#include "metric.h"
#include "secret.h"
#include "service.h"
#include "shared_statements.h"

#define LEASE_MS           2000
#define LEASE_RENEW_EACH   700  /* milliseconds; two renewals may be late before another process takes over */
#define LEASE_TRY_EACH     500  /* who does not hold it */
#define KEEN_FOR_MS        1000 /* after it has found work */
#define ACTOR_PAUSE_MIN_MS 100
#define ACTOR_PAUSE_MAX_MS 5000
#define ARENA_FIRST_BLOCK  16384
#define ACTOR_BODY_MAX     1048576
#define TURN_ID_RANDOM     8

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_SIZE (4096 * 1024)
#else
#define STACK_SIZE (1024 * 1024) /* resolvers and TLS are hungrier than our own code */
#endif

struct actor {
    const struct service *service;
    const struct actor_plan *plan;
    pthread_t thread;
    atomic_bool stop;
    int wake_fd;
    struct actor *next; /* in the list of those that can be woken */
    /* the thread's own */
    struct gateways *gateways;
    struct db *db;
    struct peers *peers;
    struct arena *arena;
    struct buf body;
    int64_t holder; /* who we are in actor_lease: random, because a restarted process holds nothing */
    bool holds;
    bool has_turned;  /* since leave */
    int64_t lease_ms; /* when to renew it, or to try for it */
    int64_t pause_ms; /* after the last failure */
    int64_t keen_until_ms;
};

static struct metric turns = METRIC_COUNTER("sx_actor_turns_total", "Turns of actors that found work.");
static struct metric failures = METRIC_COUNTER("sx_actor_failures_total", "Turns of actors that failed.");

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct actor *list;

/* The actor whose thread this is, for actor_is_stopping. */
static _Thread_local const struct actor *current;

/* ---- waking ------------------------------------------------------------------------------------------------------ */

static void
ring(const struct actor *self)
{
    const uint64_t one = 1;

    if (write(self->wake_fd, &one, sizeof one) != sizeof one && errno != EAGAIN)
        log_event(LOG_ERROR, "wake_failed", "s:actor", self->plan->name, "s:why", strerror(errno), NULL);
}

void
actor_wake(const char *name)
{
    pthread_mutex_lock(&list_lock);
    for (struct actor *each = list; each; each = each->next)
        if (strcmp(each->plan->name, name) == 0)
            ring(each);
    pthread_mutex_unlock(&list_lock);
}

static void
list_add(struct actor *self)
{
    pthread_mutex_lock(&list_lock);
    self->next = list;
    list = self;
    pthread_mutex_unlock(&list_lock);
}

static void
list_remove(const struct actor *self)
{
    struct actor **link = &list;

    pthread_mutex_lock(&list_lock);
    while (*link && *link != self)
        link = &(*link)->next;
    if (*link)
        *link = self->next;
    pthread_mutex_unlock(&list_lock);
}

bool
actor_is_stopping(const struct call *call)
{
    (void)call;
    return current && atomic_load(&current->stop);
}

int
actor_wake_fd(const struct call *call)
{
    (void)call;
    return current ? current->wake_fd : -1;
}

/* True when somebody rang. */
static bool
sleep_until(const struct actor *self, int64_t until_ms)
{
    struct pollfd item = {.fd = self->wake_fd, .events = POLLIN};
    int64_t wait_ms = until_ms - clock_monotonic_ms();
    uint64_t rung;

    if (wait_ms > 0 && !atomic_load(&self->stop))
        poll(&item, 1, (int)wait_ms);
    return read(self->wake_fd, &rung, sizeof rung) == sizeof rung;
}

/* ---- a call without a request ------------------------------------------------------------------------------------ */

static void
begin_turn(struct actor *self, struct call *call, struct call_private *private, int64_t turn_ms)
{
    *private = (struct call_private){.service = self->service->name, .body = self->body};
    *call = (struct call){
        .arena = self->arena,
        .db = self->db,
        .peers = self->peers,
        .in = {NULL, self->arena},
        .request_id = secret_token(self->arena, arena_printf(self->arena, "%s-", self->plan->name), TURN_ID_RANDOM),
        .address = "",
        .caller = {.audience = AUDIENCE_INTERNAL, .scopes = "", .service = self->service->name},
        .deadline_ms = clock_monotonic_ms() + turn_ms,
        .private = private,
    };
    out_init(&call->out, &private->body, OUT_MSGPACK);
    call_reset(call);
}

static void
end_turn(struct actor *self, struct call *call)
{
    if (db_in_transaction(self->db))
        db_rollback(self->db);
    self->body = call->private->body;
    db_release(self->db);
    arena_reset(self->arena);
}

/* ---- the lease --------------------------------------------------------------------------------------------------- */

static bool
take_lease(struct actor *self, struct call *call)
{
    struct rows rows;

    if (db_run(call, ACTOR_LEASE_TAKE, &rows, "sll", self->plan->name, self->holder, (int64_t)LEASE_MS))
        return false;
    if (rows.affected == 0 &&
        db_run(call, ACTOR_LEASE_MAKE, &rows, "sll", self->plan->name, self->holder, (int64_t)LEASE_MS))
        return false;
    return rows.affected > 0;
}

static void
look_at_lease(struct actor *self)
{
    struct call_private private;
    bool held = self->holds;
    struct call call;

    begin_turn(self, &call, &private, STATEMENT_WAIT_MS);
    self->holds = take_lease(self, &call);
    end_turn(self, &call);
    self->lease_ms = clock_monotonic_ms() + (self->holds ? LEASE_RENEW_EACH : LEASE_TRY_EACH);
    if (held != self->holds)
        log_event(LOG_INFO, self->holds ? "actor_runs_here" : "actor_runs_elsewhere", "s:actor", self->plan->name,
                  NULL);
}

static void
give_lease(struct actor *self)
{
    struct call_private private;
    struct rows rows;
    struct call call;

    if (!self->holds || self->plan->everywhere || db_ensure(self->db) != 0)
        return;
    begin_turn(self, &call, &private, STATEMENT_WAIT_MS);
    if (db_run(&call, ACTOR_LEASE_GIVE, &rows, "sl", self->plan->name, self->holder))
        log_event(LOG_WARN, "lease_kept", "s:actor", self->plan->name, NULL);
    end_turn(self, &call);
}

/* ---- turns ------------------------------------------------------------------------------------------------------- */

static void
note_failure(struct actor *self, const struct call *call)
{
    const struct call_private *private = call->private;

    metric_add(&failures, 1);
    self->pause_ms = self->pause_ms ? 2 * self->pause_ms : ACTOR_PAUSE_MIN_MS;
    if (self->pause_ms > ACTOR_PAUSE_MAX_MS)
        self->pause_ms = ACTOR_PAUSE_MAX_MS;
    log_event(LOG_WARN, "actor_turn_failed", "s:actor", self->plan->name, "s:request_id", call->request_id, "s:code",
              private->failed ? fail_texts[private->code].code : "unsaid", "s:why", private->why, "l:pause_ms",
              self->pause_ms, NULL);
}

/* Work that was found is seldom alone. */
static int64_t
look_after(const struct actor *self)
{
    bool keen = self->plan->keen_ms && clock_monotonic_ms() < self->keen_until_ms;

    return keen ? self->plan->keen_ms : self->plan->look_ms;
}

/* Answers how long to sleep. */
static int64_t
take_turn(struct actor *self)
{
    struct call_private private;
    struct call call;
    int rc;

    begin_turn(self, &call, &private, self->plan->turn_ms);
    self->has_turned = true;
    rc = self->plan->turn(&call);
    if (rc >= 0 && db_in_transaction(self->db))
        rc = call_fail(&call, FAIL_INTERNAL_ERROR, NULL, "the turn left a transaction open");
    if (rc < 0)
        note_failure(self, &call);
    else
        self->pause_ms = 0;
    if (rc == ACTOR_AGAIN) {
        metric_add(&turns, 1);
        self->keen_until_ms = clock_monotonic_ms() + KEEN_FOR_MS;
    }
    end_turn(self, &call);
    return rc < 0 ? self->pause_ms : rc == ACTOR_AGAIN ? 0 : look_after(self);
}

static void
leave(struct actor *self)
{
    struct call_private private;
    struct call call;

    if (!self->has_turned || !self->plan->leave)
        return;
    begin_turn(self, &call, &private, self->plan->turn_ms);
    self->plan->leave(&call);
    end_turn(self, &call);
    self->has_turned = false;
}

/* The set of gateways may have changed; and an unread message would lie in memory for ever. */
static void
look_at_gateways(const struct actor *self)
{
    struct peer_message message;

    (void)peers_sync(self->peers);
    for (unsigned i = 0; i < peers_count(self->peers); i++)
        while (peer_receive(peers_at(self->peers, i), &message) == 0)
            peer_message_close(&message);
}

static void *
actor_run(void *argument)
{
    struct actor *self = argument;
    int64_t next_ms = 0;

    current = self;
    while (!atomic_load(&self->stop)) {
        look_at_gateways(self);
        if (db_ensure(self->db) != 0) {
            self->holds = false;
            self->lease_ms = 0;
            (void)sleep_until(self, clock_monotonic_ms() + RECONNECT_WAIT_MS);
            continue;
        }
        if (self->plan->everywhere) {
            self->holds = true;
            self->lease_ms = INT64_MAX;
        } else if (clock_monotonic_ms() >= self->lease_ms)
            look_at_lease(self);
        if (!self->holds) {
            leave(self);
            (void)sleep_until(self, self->lease_ms);
            continue;
        }
        if (clock_monotonic_ms() >= next_ms)
            next_ms = clock_monotonic_ms() + take_turn(self);
        if (sleep_until(self, next_ms < self->lease_ms ? next_ms : self->lease_ms) && self->pause_ms == 0)
            next_ms = 0; /* a failure is slept off: whoever rings knows nothing of it */
    }
    leave(self);
    give_lease(self);
    return NULL;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void
actor_free(struct actor *self)
{
    peers_destroy(&self->peers);
    arena_destroy(&self->arena);
    db_destroy(&self->db);
    buf_free(&self->body);
    close(self->wake_fd);
    free(self);
}

struct actor *
actor_new(const struct service *service, const struct actor_plan *plan, struct gateways *gateways, unsigned index)
{
    struct actor *self = xcalloc(1, sizeof *self);
    pthread_attr_t attributes;
    int rc;

    self->service = service;
    self->plan = plan;
    self->gateways = gateways;
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->db = db_new(service->name, index, service->statements, service->statement_count);
    if (!self->db) {
        close(self->wake_fd);
        free(self);
        return NULL;
    }
    secret_random(&self->holder, sizeof self->holder);
    self->peers = peers_new(gateways);
    self->arena = arena_new(ARENA_FIRST_BLOCK);
    buf_init(&self->body, ACTOR_BODY_MAX);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    rc = pthread_create(&self->thread, &attributes, actor_run, self);
    pthread_attr_destroy(&attributes);
    if (rc != 0)
        log_fatal("thread_failed", "s:why", strerror(rc), NULL);
    list_add(self);
    return self;
}

void
actor_stop(struct actor *self)
{
    atomic_store(&self->stop, true);
    ring(self);
}

void
actor_destroy(struct actor **self)
{
    if (!*self)
        return;
    list_remove(*self);
    actor_stop(*self);
    pthread_join((*self)->thread, NULL);
    actor_free(*self);
    *self = NULL;
}

/* intake.c - threads that have nothing to do sleep in one epoll, and each message wakes one of them.
 *
 * Everything is under one lock, but for the sleep. ZeroMQ's descriptors are edge-triggered and any call on a socket may
 * swallow the edge, so epoll is used the same way: who is woken looks at everything, and who leaves messages behind
 * while others sleep wakes another one. The kernel wakes whoever went to sleep last, whose connection is the warmest. A
 * busy pool wakes nobody: each thread that has answered looks by itself. What is to be done at a time is in a timer
 * that wakes one of them too.
 *
 * Slots (protocols 2, 3). READY gives a gateway a number of slots, names the last REQUEST taken and those in hand. Of n
 * threads that can work and g gateways that live, gateway i gets those with index modulo g = i. What a gateway has is
 * taken back before it is given away: BYE, and only its echo ends the credit, because a REQUEST may have crossed the
 * BYE; then what it still has in hand counts until it is answered. So the slots given and the requests in hand are
 * never more than the threads. A gateway that does not echo within ECHO_WAIT_MS, and has nothing in hand, loses the
 * connection, and the credit with it. Closing is the same: no gateway gets anything, BYE, the echoes.
 */
#include "intake.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "bounds.h"
#include "clock.h"
#include "contract.h"
#include "log.h"
#include "metric.h"
#include "out.h"

#define ECHO_WAIT_MS   500
#define SOON_MS        50  /* when READY follows a REPLY: should that be lost, it frees the slot */
#define OVERSLEPT_MS   100 /* a look that came this much too late: the process was stopped */
#define CATCH_UP_MS    100 /* after that ZeroMQ's own thread has brought in what lay in the kernel */
#define MORE_WAIT_MS   1   /* that a message may lie behind while sleepers are left asleep */
#define READY_SIZE_MAX 2048

struct intake {
    char name[SERVICE_NAME_MAX + 1];
    char instance[320];
    pthread_mutex_t lock;
    struct peers *peers;
    int sleep_fd; /* the epoll, with the sockets, wake_fd and timer_fd */
    int wake_fd;  /* each write wakes a sleeper; never read */
    int timer_fd; /* the same at armed_ms; INT64_MAX: it is not set */
    int64_t armed_ms;
    unsigned asleep; /* threads in epoll, or on their way into or out of it */
    unsigned able, held;
    unsigned first;          /* peer to look at first */
    bool closing;            /* intake_close was called */
    bool closed;             /* and every gateway knows */
    bool unsettled;          /* somebody has yet to get slots, or to give them back */
    int64_t more_ms;         /* when messages that were left behind are anybody's; INT64_MAX: there are none */
    int64_t look_ms;         /* at the set of gateways and who of them lives */
    int64_t beat_ms;         /* when a thread was last here */
    int64_t missed_ms;       /* the process was stopped since then, and messages may have lain here; 0: no */
    int64_t missed_until_ms; /* what is found before this may be one of them */
    struct buf ready;        /* frame 3 of READY */
};

static struct metric moves =
    METRIC_COUNTER("sx_worker_moves_total", "Slots taken back from a gateway for another one.");
static struct metric resets = METRIC_COUNTER("sx_worker_resets_total", "Gateways that did not echo BYE in time.");
static struct metric replies_lost = METRIC_COUNTER("sx_worker_replies_lost_total", "Replies whose gateway was gone.");
static struct metric overrun =
    METRIC_COUNTER("sx_rpc_overrun_total", "Requests of gateways beyond what any credit allows; they were dropped.");

/* ---- slots ------------------------------------------------------------------------------------------------------- */

static unsigned
committed(const struct peer *peer)
{
    return peer->slots > peer->held_count ? peer->slots : peer->held_count;
}

/* Those of the indexes below `able` that are `at` modulo `live`. */
static unsigned
share(unsigned able, unsigned live, unsigned at)
{
    return able / live + (at < able % live);
}

static void
take_back(struct intake *self, struct peer *peer, int64_t now_ms)
{
    const struct wire bye = {.type = WIRE_BYE};

    metric_add(&moves, 1);
    self->unsettled = true;
    if (peer_send(peer, &bye, STR(""), STR("")) != 0) {
        peer->slots = 0; /* no connection, no credit */
        return;
    }
    peer->leaving = true;
    peer->leave_until_ms = now_ms + ECHO_WAIT_MS;
}

/* What a gateway should have, and has too much of, is asked back; what is free is given. */
static void
deal(struct intake *self, int64_t now_ms)
{
    unsigned live = 0, at = 0, room = self->able, count = peers_count(self->peers);
    bool is_live[GATEWAYS_MAX];

    self->unsettled = false;
    for (unsigned i = 0; i < count; i++)
        live += is_live[i] = peer_is_live(peers_at(self->peers, i)); /* asked once: it may change any moment */
    for (unsigned i = 0; i < count; i++) {
        struct peer *peer = peers_at(self->peers, i);

        if (!is_live[i]) {
            peer->slots = 0;
            peer->leaving = false;
            peer->target = 0;
        } else
            peer->target = self->closing ? 0 : share(self->able, live, at++);
        if (!peer->leaving && peer->slots > peer->target)
            take_back(self, peer, now_ms);
        self->unsettled |= peer->leaving || peer->held_count > peer->target;
        room -= committed(peer) < room ? committed(peer) : room;
    }
    for (unsigned i = 0; i < count; i++) {
        struct peer *peer = peers_at(self->peers, i);
        unsigned has = committed(peer), gets = peer->target > has ? peer->target - has : 0;

        if (peer->leaving || peer->slots >= peer->target)
            continue;
        gets = gets < room ? gets : room;
        room -= gets;
        has = has + gets < peer->target ? has + gets : peer->target;
        self->unsettled |= has < peer->target;
        if (has != peer->slots)
            peer->ready_ms = 0;
        peer->slots = has;
    }
}

static void
finish_leaving(struct intake *self, struct peer *peer, int64_t now_ms)
{
    if (!peer->leaving || now_ms < peer->leave_until_ms || peer->held_count > 0 || !peer_is_live(peer))
        return;
    if (peer_has_input(peer)) /* perhaps the echo */
        return;
    log_event(LOG_WARN, "gateway_silent", "s:gateway", peer->endpoint, NULL);
    metric_add(&resets, 1);
    peer_reset(self->peers, peer);
}

/* A socket that is closed leaves the epoll by itself; those that are in it already say so. */
static void
watch_sockets(struct intake *self)
{
    for (unsigned i = 0; i < peers_count(self->peers); i++) {
        int fd = peers_at(self->peers, i)->fd;
        struct epoll_event event = {.events = EPOLLIN | EPOLLET};

        if (epoll_ctl(self->sleep_fd, EPOLL_CTL_ADD, fd, &event) != 0 && errno != EEXIST)
            log_fatal("epoll_failed", "s:why", strerror(errno), NULL);
    }
}

static void
look(struct intake *self, int64_t now_ms)
{
    bool leaving = false;

    self->look_ms = now_ms + INTAKE_LOOK_MS;
    peers_sync(self->peers);
    for (unsigned i = 0; i < peers_count(self->peers); i++)
        finish_leaving(self, peers_at(self->peers, i), now_ms);
    watch_sockets(self);
    deal(self, now_ms);
    for (unsigned i = 0; i < peers_count(self->peers); i++) {
        const struct peer *peer = peers_at(self->peers, i);

        leaving |= peer->leaving;
        if (peer->leaving && peer->leave_until_ms > now_ms && peer->leave_until_ms < self->look_ms)
            self->look_ms = peer->leave_until_ms;
    }
    self->closed = self->closing && !leaving;
}

/* There are threads for somebody, and nobody has them. */
static bool
is_homeless(const struct intake *self)
{
    if (self->closing || self->held >= self->able)
        return false;
    for (unsigned i = 0; i < peers_count(self->peers); i++) {
        const struct peer *peer = peers_at(self->peers, i);

        if (peer->slots > 0 || peer->leaving)
            return false;
    }
    return true;
}

static bool
is_anybody_live(const struct intake *self)
{
    for (unsigned i = 0; i < peers_count(self->peers); i++)
        if (peer_is_live(peers_at(self->peers, i)))
            return true;
    return false;
}

static void
send_ready(struct intake *self, struct peer *peer, int64_t now_ms)
{
    const struct wire wire = {.type = WIRE_READY, .id = peer->taken};
    struct out out;

    buf_reset(&self->ready);
    out_init(&out, &self->ready, OUT_MSGPACK);
    out_map(&out, 4);
    out_key(&out, "instance");
    out_text(&out, self->instance);
    out_key(&out, "contract");
    out_text(&out, contract_digest);
    out_key(&out, "slots");
    out_int(&out, peer->slots);
    out_key(&out, "held");
    out_list(&out, peer->held_count);
    for (unsigned i = 0; i < peer->held_count; i++)
        out_int(&out, (uint32_t)peer->held[i]);
    if (peer_send(peer, &wire, str_of(self->name), (struct str){self->ready.data, self->ready.size}) == 0)
        peer->ready_ms = now_ms + READY_INTERVAL_MS;
    else
        self->look_ms = peer->ready_ms = now_ms + SOON_MS; /* it is gone, or stopped reading: look soon */
}

/* When something is to be done without a message. */
static int64_t
next_ms(const struct intake *self)
{
    int64_t next = self->look_ms < self->more_ms ? self->look_ms : self->more_ms;

    for (unsigned i = 0; i < peers_count(self->peers); i++) {
        const struct peer *peer = peers_at(self->peers, i);

        if (peer->slots > 0 && !peer->leaving && peer->ready_ms < next)
            next = peer->ready_ms;
    }
    return next;
}

static void
send_all_ready(struct intake *self, int64_t now_ms)
{
    for (unsigned i = 0; i < peers_count(self->peers); i++) {
        struct peer *peer = peers_at(self->peers, i);

        if (peer->slots > 0 && !peer->leaving && now_ms >= peer->ready_ms)
            send_ready(self, peer, now_ms);
    }
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

/* The next REQUEST of this gateway, if there is one. */
static bool
receive_from(struct intake *self, struct peer *peer, struct peer_message *message)
{
    while (peer_receive(peer, message) == 0) {
        if (message->wire.type == WIRE_REQUEST && peer->held_count < WORKER_THREADS_MAX) {
            peer->taken = peer->held[peer->held_count++] = message->wire.id;
            self->held++;
            return true;
        }
        if (message->wire.type == WIRE_REQUEST)
            metric_add(&overrun, 1);
        if (message->wire.type == WIRE_BYE && peer->leaving) {
            peer->leaving = false;
            peer->slots = 0;
            self->look_ms = 0;
        }
        /* PING asks only whether this connection exists. */
        peer_message_close(message);
    }
    return false;
}

static bool
receive(struct intake *self, struct intake_request *request)
{
    unsigned count = peers_count(self->peers);

    for (unsigned i = 0; i < count; i++) {
        struct peer *peer = peers_at(self->peers, (self->first + i) % count);

        if (!receive_from(self, peer, &request->message))
            continue;
        self->first = (self->first + i + 1) % count;
        request->from = peer;
        return true;
    }
    return false;
}

/* ---- sleeping and waking ----------------------------------------------------------------------------------------- */

static void
wake_one(struct intake *self)
{
    const uint64_t one = 1;

    if (write(self->wake_fd, &one, sizeof(one)) != sizeof(one))
        log_event(LOG_ERROR, "wake_failed", "s:why", strerror(errno), NULL);
}

static void
look_soon(struct intake *self)
{
    self->look_ms = 0;
    wake_one(self);
}

/* A timer that is early is left alone: who it wakes sets it anew. */
static void
set_timer(struct intake *self)
{
    int64_t next = next_ms(self);
    struct itimerspec at = {.it_value = {.tv_sec = next / 1000, .tv_nsec = next % 1000 * 1000000 + 1}};

    if (next >= self->armed_ms)
        return;
    if (timerfd_settime(self->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) != 0)
        log_fatal("timer_failed", "s:why", strerror(errno), NULL);
    self->armed_ms = next;
}

/* For a thread that goes away, with a request or to look after itself: gives the lock back. What it leaves behind is
 * for a sleeper; but while more than half of the threads are at work, one of those will be back sooner than a sleeper
 * is awake, and only if none of them is, a sleeper takes it. */
static void
leave(struct intake *self, int64_t now_ms)
{
    bool all = self->closed || self->look_ms == 0, more = false, wakes;

    for (unsigned i = 0; self->asleep > 0 && !all && !more && i < peers_count(self->peers); i++)
        more = peer_has_input(peers_at(self->peers, i));
    wakes = self->asleep > 0 && (all || (more && self->held <= self->able / 2));
    self->more_ms = more && !wakes ? now_ms + MORE_WAIT_MS : INT64_MAX;
    set_timer(self);
    pthread_mutex_unlock(&self->lock);
    if (wakes)
        wake_one(self);
}

static void
sleep_a_while(struct intake *self)
{
    struct epoll_event event;

    set_timer(self);
    self->asleep++;
    pthread_mutex_unlock(&self->lock);
    (void)epoll_wait(self->sleep_fd, &event, 1, INTAKE_LOOK_MS);
    pthread_mutex_lock(&self->lock);
    self->asleep--;
}

/* While threads are idle one of them comes by each INTAKE_LOOK_MS. When none did, the process was stopped: a message
 * found now may have lain here all the while, and its budget with it. */
static void
beat(struct intake *self, int64_t now_ms)
{
    if (self->missed_ms && now_ms >= self->missed_until_ms)
        self->missed_ms = 0;
    if (self->held < self->able && now_ms - self->beat_ms > INTAKE_LOOK_MS + OVERSLEPT_MS) {
        self->missed_ms = self->missed_ms ? self->missed_ms : self->beat_ms;
        self->missed_until_ms = now_ms + CATCH_UP_MS;
    }
    self->beat_ms = now_ms;
}

enum intake_result
intake_take(struct intake *self, struct intake_request *request)
{
    enum intake_result result = INTAKE_NOTHING;
    bool slept = false;
    int64_t now_ms;

    pthread_mutex_lock(&self->lock);
    for (;;) {
        now_ms = clock_monotonic_ms();
        beat(self, now_ms);
        if (now_ms >= self->armed_ms)
            self->armed_ms = INT64_MAX;
        if (now_ms >= self->look_ms)
            look(self, now_ms);
        if (self->closed) {
            result = INTAKE_CLOSED;
            break;
        }
        send_all_ready(self, now_ms);
        if (receive(self, request)) {
            request->received_ms = self->missed_ms ? self->missed_ms : now_ms;
            result = INTAKE_REQUEST;
            break;
        }
        self->more_ms = INT64_MAX;
        if (self->look_ms == 0)
            continue; /* an echo was among it */
        if (slept)
            break;
        slept = true;
        if (is_homeless(self) && is_anybody_live(self))
            self->look_ms = 0;
        else
            sleep_a_while(self);
        if (is_homeless(self))
            self->look_ms = 0; /* perhaps there is a gateway now */
    }
    leave(self, now_ms);
    return result;
}

void
intake_answer(struct intake *self, const struct intake_request *request, const struct wire *wire, struct str headers,
              zmq_msg_t *body)
{
    struct peer *from = request->from;
    int64_t now_ms = clock_monotonic_ms();
    unsigned i = 0;

    pthread_mutex_lock(&self->lock);
    beat(self, now_ms);
    while (from->held[i] != request->message.wire.id)
        i++;
    from->held[i] = from->held[--from->held_count];
    self->held--;
    if (peer_send_message(from, wire, headers, body) != 0)
        metric_add(&replies_lost, 1);
    if (from->ready_ms > now_ms + SOON_MS)
        from->ready_ms = now_ms + SOON_MS;
    /* A gateway that has no slots and sends has a credit we know nothing of, which the REPLY has renewed. */
    if (from->slots == 0 && !from->leaving && peer_is_live(from))
        take_back(self, from, now_ms);
    if (self->unsettled)
        self->look_ms = 0;
    pthread_mutex_unlock(&self->lock);
}

void
intake_set_able(struct intake *self, bool able)
{
    pthread_mutex_lock(&self->lock);
    self->able += able ? 1 : -1u;
    look_soon(self);
    pthread_mutex_unlock(&self->lock);
}

bool
intake_is_short(struct intake *self)
{
    unsigned given = 0;
    bool is_short;

    pthread_mutex_lock(&self->lock);
    for (unsigned i = 0; i < peers_count(self->peers); i++)
        given += committed(peers_at(self->peers, i));
    is_short = self->able == 0 || (self->held >= self->able && given > self->able);
    pthread_mutex_unlock(&self->lock);
    return is_short;
}

void
intake_leave(struct intake *self)
{
    pthread_mutex_lock(&self->lock);
    leave(self, clock_monotonic_ms());
}

void
intake_close(struct intake *self)
{
    pthread_mutex_lock(&self->lock);
    self->closing = true;
    look_soon(self);
    pthread_mutex_unlock(&self->lock);
}

bool
intake_is_closed(struct intake *self)
{
    bool closed;

    pthread_mutex_lock(&self->lock);
    closed = self->closed;
    pthread_mutex_unlock(&self->lock);
    return closed;
}

/* It is held for a few microseconds, mostly: who finds it taken looks a few times more before it sleeps. A list of 50
 * rows got 4 % more requests a second by it on two busy cores. */
static void
make_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

struct intake *
intake_new(const char *name, struct gateways *gateways)
{
    struct intake *self = xcalloc(1, sizeof(*self));
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    char host[256] = "?";

    gethostname(host, sizeof(host) - 1);
    snprintf(self->name, sizeof(self->name), "%s", name);
    snprintf(self->instance, sizeof(self->instance), "%s:%ld", host, (long)getpid());
    make_lock(&self->lock);
    self->sleep_fd = epoll_create1(EPOLL_CLOEXEC);
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    self->armed_ms = self->more_ms = INT64_MAX;
    if (self->sleep_fd < 0 || self->wake_fd < 0 || self->timer_fd < 0 ||
        epoll_ctl(self->sleep_fd, EPOLL_CTL_ADD, self->wake_fd, &event) != 0 ||
        epoll_ctl(self->sleep_fd, EPOLL_CTL_ADD, self->timer_fd, &event) != 0)
        log_fatal("epoll_failed", "s:why", strerror(errno), NULL);
    self->peers = peers_new(gateways);
    self->beat_ms = clock_monotonic_ms();
    buf_init(&self->ready, READY_SIZE_MAX);
    return self;
}

void
intake_destroy(struct intake **self)
{
    struct intake *intake = *self;

    if (!intake)
        return;
    peers_destroy(&intake->peers);
    pthread_mutex_destroy(&intake->lock);
    buf_free(&intake->ready);
    close(intake->timer_fd);
    close(intake->wake_fd);
    close(intake->sleep_fd);
    free(intake);
    *self = NULL;
}

/* hub_private.h - what the files of the hub share; nobody else includes it.
 *
 *   hub.c            submit, queues, dispatch, the end of a call
 *   hub_workers.c    routing ids, READY and REPLY, who is still there
 *   hub_batches.c    calls that go together
 *   hub_callers.c    requests that come from services and from sxctl
 *   hub_deadlines.c  which call ends next
 */
#ifndef HUB_PRIVATE_H
#define HUB_PRIVATE_H

#include "arena.h"
#include "bounds.h"
#include "hub.h"

#define WORKER_BUCKETS   1024 /* power of two; routing ids come in sequence and spread well */
#define BATCH_BUCKETS    1024 /* the same */
#define HUB_PING_ROUNDS  3    /* quick ones after a disconnect, after the one at once */
#define ROUTING_SIZE_MAX 255  /* what ZeroMQ allows; the ROUTER's own choice is 5 */
#define INSTANCE_MAX     64   /* of HOST:PID; the rest is cut */

enum { CALL_NONE, CALL_QUEUED, CALL_SENT, CALL_IN_BATCH };
enum { QUEUE_NESTED, QUEUE_ORDINARY, QUEUES };

struct hub_queue {
    struct hub_call *first, *last;
};

/* The workers that are ready under one name, and the calls that wait for one of them. */
struct hub_pool {
    char name[SERVICE_NAME_MAX + 1];
    char service[SERVICE_NAME_MAX + 1]; /* whose pool it is; "auth" for "auth-aside" */
    struct hub_queue queues[QUEUES];
    unsigned queued;         /* in the queues, or in batches that wait for one; what carries those is not counted */
    struct hub_worker *idle; /* those that take a request; the most recently ready first */
    unsigned workers, foreign;
    int64_t seen_ms;               /* when it last had a worker */
    struct operation metrics_read; /* NAME.metrics.read, which every service answers and no contract lists */
    char metrics_name[OPERATION_NAME_MAX];
};

/* One REQUEST that was sent and not answered: a slot that is taken. */
struct hub_sent {
    uint64_t id;
    struct hub_call *call; /* NULL when nobody waits for it any more */
};

/* One routing id: a worker when it has a pool, otherwise somebody who has requests under way. A worker is a process,
 * or a group of its threads: it takes as many requests at a time as it has slots. */
struct hub_worker {
    struct hub_worker *bucket_next;
    struct hub_worker *next, *previous; /* of all with a pool */
    struct hub_worker *idle_next, *idle_previous;
    struct hub_pool *pool;
    char instance[INSTANCE_MAX + 1]; /* HOST:PID */
    struct hub_sent *sent;           /* in its hands; room for slots, or for what it held when it had more of them */
    unsigned sent_count, slots;
    unsigned strangers; /* in its hands as well: of a connection before this one */
    uint64_t last_sent; /* id of the last REQUEST it was sent; 0 when none */
    uint64_t total;     /* requests sent since its first READY */
    int64_t seen_ms;
    bool idle;                   /* in pool->idle: a slot is free, and nothing says that it should not be used */
    bool silent;                 /* was not heard of for too long, or takes nothing; until it speaks */
    bool leaving;                /* has said BYE */
    bool foreign;                /* was built from another contract */
    unsigned timeouts;           /* deadlines missed in a row */
    struct hub_nested *requests; /* its own, under way */
    unsigned nested;
    size_t routing_size;
    uint8_t routing[ROUTING_SIZE_MAX];
};

struct hub_deadline {
    int64_t at_ms;
    struct hub_call *call;
};

struct hub {
    struct hub_transport transport;
    int64_t gateway_id;
    struct arena *arena; /* for reading small messages; empty in between */
    struct hub_pool pools[SERVICES_MAX];
    unsigned pool_count;
    uint8_t *pool_of; /* index of operations[] to index of pools[] */
    struct hub_worker *buckets[WORKER_BUCKETS];
    struct hub_worker *workers; /* those with a pool */
    struct hub_batch *batches[BATCH_BUCKETS];
    unsigned peer_count, worker_count, idle_count;
    struct hub_deadline *deadlines; /* a heap */
    size_t deadline_count, deadline_capacity;
    int64_t ping_ms, sweep_ms; /* when next; INT64_MAX when not */
    struct hub_call *ending;   /* its reply is here, and it ends as soon as its slot is taken again */
    unsigned ping_step;        /* up to HUB_PING_ROUNDS: a disconnect was a moment ago */
    bool draining;
};

/* hub.c */
void hub_list_put(struct hub_queue *self, struct hub_call *call, bool first);
void hub_list_take(struct hub_queue *self, struct hub_call *call);
void hub_enqueue(struct hub *self, struct hub_pool *pool, struct hub_call *call, bool first);
void hub_dequeue(struct hub *self, struct hub_pool *pool, struct hub_call *call);
struct hub_pool *hub_pool_named(struct hub *self, struct str name);
void hub_dispatch(struct hub *self, struct hub_pool *pool);
void hub_end(struct hub *self, struct hub_call *call, struct hub_reply *reply);
void hub_end_local(struct hub *self, struct hub_call *call, enum fail fail);
void hub_call_lost(struct hub *self, struct hub_call *call); /* its worker is gone, or has lost the answer */
bool hub_lost_repeats(const struct hub_call *call);          /* counts the loss */
void hub_end_lost(struct hub *self, struct hub_call *call);  /* one that does not go again */
void hub_count_queue(struct hub *self, struct hub_pool *pool);

/* hub_workers.c */
struct hub_worker *hub_worker_find(const struct hub *self, struct str routing_id);
struct hub_worker *hub_worker_add(struct hub *self, struct str routing_id); /* NULL when there are too many */
void hub_worker_forget(struct hub *self, struct hub_worker *worker);        /* nothing in its hands */
void hub_worker_lose(struct hub *self, struct hub_worker *worker);          /* whatever is in its hands is lost */
void hub_worker_settle(struct hub *self, struct hub_worker *worker); /* into pool->idle or out of it, as it is now */
void hub_worker_silence(struct hub *self, struct hub_worker *worker);
unsigned hub_worker_free(const struct hub_worker *worker);                                /* slots */
void hub_worker_note_sent(struct hub_worker *worker, uint64_t id, struct hub_call *call); /* a slot must be free */
void hub_worker_drop_call(struct hub_worker *worker, const struct hub_call *call);        /* it works on for nobody */
struct hub_worker *hub_worker_choose(const struct hub_pool *pool);
void hub_take_ready(struct hub *self, struct str routing_id, const char *peer, uint64_t id, struct str name,
                    struct str body);
void hub_take_reply(struct hub *self, struct str routing_id, const struct wire *wire, zmq_msg_t *headers,
                    zmq_msg_t *body);
void hub_take_bye(struct hub *self, struct str routing_id, const struct wire *wire);
void hub_ping_workers(struct hub *self);
void hub_sweep_workers(struct hub *self);
int hub_send(struct hub *self, const struct hub_worker *worker, const struct wire *wire, struct str name,
             struct str body) must_check;

/* hub_batches.c */
void hub_batch_join(struct hub *self, struct hub_pool *pool, struct hub_call *call);
void hub_batch_leave(struct hub_call *call);                                   /* out of whichever list it stands in */
struct hub_call *hub_batch_late(const struct hub_batch *self, int64_t now_ms); /* one whose time is up, or NULL */
int64_t hub_batch_load(struct hub_batch *self, unsigned max, int64_t now_ms);  /* makes the REQUEST; its deadline */
void hub_batch_sent(struct hub_batch *self, int64_t deadline_ms, int64_t now_ms);
void hub_batch_lost(struct hub_batch *self);
void hub_batches_forget(struct hub *self);

/* hub_callers.c */
void hub_take_request(struct hub *self, struct str routing_id, const char *peer, const struct wire *wire,
                      zmq_msg_t *name, zmq_msg_t *body);
void hub_drop_requests(struct hub *self, struct hub_worker *caller); /* nobody waits for them any more */

/* hub_deadlines.c */
void hub_deadline_add(struct hub *self, struct hub_call *call);
void hub_deadline_remove(struct hub *self, struct hub_call *call);

#endif

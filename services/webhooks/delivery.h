/* delivery.h - the parts of the delivery actor, which run in its thread alone (deliver.c).
 *
 * A process holds the queues of some subscriptions, by a lease that it renews: no other one sends for them meanwhile.
 * Of each it has the next deliveries in memory, never more than ITEMS_MAX, however many wait. A delivery is begun when
 * every earlier one of the same resource is over.
 *
 * An endpoint is trusted while its answers are good and quick, and failing when the last ones were not good; doubted is
 * one that has not answered yet, or is slow. Each of these has a part of the requests under way (PART_OF_...): what
 * hangs in one leaves the others alone. Of a part an owner may have a 16th of what is free, and one more with each good
 * and quick answer while it waits for more, but never more than are free. So an owner that hangs takes little, and the
 * next one less. Of failing ones any number may hang without keeping a new or trusted one waiting, of new ones without
 * keeping a trusted one; that one more of a kind must wait it takes 33 failing, 43 new or 58 trusted owners who hang
 * all at once, and they are failing then.
 *
 * There are more places for queues than there may be requests under way. When all are taken, queues whose owner has all
 * that it may have, and is slow to let go of it, are put off (delivery_release) and come back one after the other:
 * there are places for what comes for others. Each process keeps these rules for itself, so that they hold for any
 * number of them; what an endpoint was last the others, and those that start, read in its row.
 */
#ifndef DELIVERY_H
#define DELIVERY_H

#include "outbound.h"
#include "signature.h"
#include "subscription.h"

#define PART_OF_FAILING 64  /* requests under way at a time, */
#define PART_OF_DOUBTED 128 /* of all endpoints that are so */
#define PART_OF_TRUSTED 320
#define TRANSFERS_MAX   (PART_OF_FAILING + PART_OF_DOUBTED + PART_OF_TRUSTED)
#define ENDPOINTS_MAX   (TRANSFERS_MAX + 64) /* queues held at a time */
#define OF_ENDPOINT     64                   /* under way of one subscription, when its endpoint is fast */
#define ITEMS_MAX       256                  /* of one queue, in memory */
#define ITEMS_DOUBTED   16                   /* of a queue whose endpoint is not trusted */
#define ITEMS_ALL       65536                /* of all, about */
#define QUICK_MS        2000
#define NOTED_AT_ONCE   384  /* results in one statement: all of them at their largest fit (delivery_note.c) */
#define OVER_MAX        2048 /* nothing more is begun while so many are not noted */
#define ANSWER_KEPT     4096
#define ATTEMPTS_MAX    6  /* contract D.3 */
#define FAILURES_MAX    10 /* contract K.4: events in a row */
#define EVENT_ID_SIZE   37
#define TOPIC_SIZE      101

struct endpoint;

/* What its last answers say of an endpoint. */
enum standing { FAILING, DOUBTED, TRUSTED, STANDINGS };

enum item_state {
    ITEM_WAITS,
    ITEM_CHAINED, /* an earlier one of its resource is in hand */
    ITEM_UNDER_WAY,
    ITEM_OVER,
    ITEM_NOTED /* its note is on its way to the database */
};

struct item {
    struct endpoint *endpoint;
    struct item *next, *before; /* of its endpoint, in their order */
    struct item *behind;        /* the next one of its resource that is in hand */
    enum item_state state;
    enum standing standing; /* of its endpoint when it was begun */
    int64_t begun_ms;       /* by the monotonic clock */
    int64_t delivery_id;
    int64_t attempt; /* this one's number, from 1 */
    char event_id[EVENT_ID_SIZE], attempt_id[EVENT_ID_SIZE], topic[TOPIC_SIZE];
    char *body;    /* NULL when the event is kept no more */
    char *headers; /* of the attempt, as JSON, and */
    char *answer;  /* room for the answer's first bytes; NULL before */
    int64_t begun_us;
    struct outbound_request request;
    const char *result; /* "success", "retrying", "failed" */
    int64_t next_us;
};

/* Requests under way of one owner, in one part. */
struct crowd {
    unsigned count;
    unsigned more;   /* may be under way than at first */
    int64_t full_ms; /* since when none may be begun; 0: they may */
    int64_t took_ms; /* about as long as they took lately */
};

/* Of the endpoints that are held: one app, or the merchant of one store. */
struct owner {
    int64_t number;
    unsigned endpoints; /* 0: nobody's place in the table */
    struct crowd crowds[STANDINGS];
};

struct endpoint {
    int64_t subscription_id, store_id, version;
    struct owner *owner; /* of delivery.owners; NULL until it is read */
    char *url;
    char secret[SECRET_TEXT_SIZE], old_secret[SECRET_TEXT_SIZE];
    bool has_old, readable;
    int64_t old_until_us, updated_us, reread_us;
    enum profile profile;
    struct item *first, *last;
    unsigned count, active;
    unsigned cap; /* how many may be under way; 0: not known before it is read */
    bool may_have_more;
    bool suspended; /* nothing of it is read: its app is suspended */
};

struct delivery {
    int64_t holder; /* who we are in table queue */
    struct outbound *outbound;
    struct endpoint *endpoints[ENDPOINTS_MAX];
    unsigned count;
    struct owner owners[ENDPOINTS_MAX];
    unsigned under_way[STANDINGS], active; /* of all owners; together */
    int64_t renewed_ms, claimed_ms;
    int64_t back_ms;     /* when the last queue that was put off comes back */
    unsigned connection; /* db_connection_number */
    unsigned turn_of;    /* whose turn it is to begin, and to be noted */
    unsigned over;       /* about how many are not noted yet */
    unsigned note_max;   /* how many the next note takes: fewer when the last one was refused */
};

/* delivery_queue.c: endpoints and items in memory */
struct endpoint *endpoint_add(struct delivery *self, int64_t subscription_id);
void endpoint_remove(struct delivery *self, unsigned index); /* with all that it has in hand, which was broken off */
struct endpoint *endpoint_find(struct delivery *self, int64_t subscription_id);
struct item *endpoint_find_item(const struct endpoint *self, int64_t delivery_id);
struct item *item_add(struct endpoint *self, int64_t delivery_id);
void item_free(struct item *self);
void endpoint_forget_waiting(struct endpoint *self); /* all that is not under way or over: they are read again */
/* Whose it is, and what is to be thought of it where this process has learned nothing. */
void endpoint_introduce(struct delivery *self, struct endpoint *endpoint, int64_t owner, enum standing standing);
enum standing endpoint_standing(const struct endpoint *self);
bool endpoint_may_begin(const struct delivery *self, struct endpoint *endpoint);
bool endpoint_hangs(const struct delivery *self, const struct endpoint *endpoint); /* it could only wait, and long */
void endpoint_begins(struct delivery *self, struct item *item);
void endpoint_ends(struct delivery *self, struct item *item); /* broken off; otherwise it answers, or does not */
void endpoint_answers(struct delivery *self, struct item *item, bool good, int64_t took_ms);

/* deliver.c: requests go on until the database has answered what was sent to it. */
void delivery_meanwhile(struct call *call, struct delivery *self);

/* delivery_load.c */
int delivery_claim(struct call *call, struct delivery *self) must_check;
int delivery_load(struct call *call, struct delivery *self) must_check;
int delivery_release(struct call *call, struct delivery *self) must_check;

/* delivery_note.c: writes down what came of every item that is over, and forgets them. */
int delivery_note(struct call *call, struct delivery *self) must_check;

#endif

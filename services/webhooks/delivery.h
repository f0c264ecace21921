/* delivery.h - the parts of the delivery actor, which run in its thread alone (deliver.c).
 *
 * A process holds the queues of some subscriptions, by a lease that it renews: no other one sends for them meanwhile.
 * Of each it has the next deliveries in memory, never more than ITEMS_MAX, however many wait. A delivery is begun when
 * every earlier one of the same resource is over.
 *
 * An endpoint is trusted while its answers are good and quick. One that is new, fails or hangs has few requests under
 * way, all such endpoints together have DOUBTFUL_MAX and those of one owner DOUBTFUL_OF: the rest of the transfers is
 * kept free for the others. While places are scarce (PLACES_FREE), endpoints of which nothing is under way, because
 * those like them have all that they may have and are slow to let go of it, are put off (delivery_release), and a slow
 * owner has requests under way to PLACES_OF_OWNER endpoints: so there are always places for what comes for others.
 */
#ifndef DELIVERY_H
#define DELIVERY_H

#include "outbound.h"
#include "signature.h"
#include "subscription.h"

#define ENDPOINTS_MAX   256                                 /* queues held at a time */
#define ITEMS_MAX       256                                 /* of one queue, in memory */
#define ITEMS_LOW       96                                  /* more are read when so few are left */
#define ITEMS_DOUBTFUL  16                                  /* of a queue whose endpoint is not trusted */
#define TRANSFERS_MAX   512                                 /* under way at a time */
#define OF_ENDPOINT     64                                  /* of one subscription, when its endpoint is fast */
#define OF_OWNER        192                                 /* of one app, or one store's merchant */
#define PLACES_FREE     (ENDPOINTS_MAX - ENDPOINTS_MAX / 4) /* more than that, and places are scarce */
#define PLACES_OF_OWNER (ENDPOINTS_MAX / 4)                 /* while they are, and its endpoints are slow */
#define DOUBTFUL_MAX    192                                 /* of all endpoints that are not trusted, and */
#define DOUBTFUL_OF     32                                  /* of those of one owner */
#define QUICK_MS        2000
#define OWNERS_KNOWN    1024 /* by the owner's number; two that meet share what one may have */
#define NOTED_AT_ONCE   384  /* results in one statement: all of them at their largest fit (delivery_note.c) */
#define OVER_MAX        2048 /* nothing more is begun while so many are not noted */
#define ANSWER_KEPT     4096
#define ATTEMPTS_MAX    6  /* contract D.3 */
#define FAILURES_MAX    10 /* contract K.4: events in a row */
#define EVENT_ID_SIZE   37
#define TOPIC_SIZE      101

struct endpoint;

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
    bool doubtful;    /* was begun as such */
    int64_t begun_ms; /* by the monotonic clock */
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

/* Requests under way that have a limit together. */
struct crowd {
    unsigned count;
    int64_t full_ms; /* since when no more may begin; 0: they may */
    int64_t took_ms; /* about as long as they took lately */
};

/* Of those who are in one place of the table. */
struct owner {
    struct crowd active, doubtful; /* the one holds the other */
    unsigned places;               /* endpoints to which something is under way */
    int64_t back_ms;               /* when the last one that was put off comes back */
};

struct endpoint {
    int64_t subscription_id, store_id, version;
    struct owner *owner; /* of delivery.owners */
    char *url;
    char secret[SECRET_TEXT_SIZE], old_secret[SECRET_TEXT_SIZE];
    bool has_old, readable;
    int64_t old_until_us, updated_us, reread_us;
    enum profile profile;
    struct item *first, *last;
    unsigned count, active, cap;
    bool may_have_more;
};

struct delivery {
    int64_t holder; /* who we are in table queue */
    struct outbound *outbound;
    struct endpoint *endpoints[ENDPOINTS_MAX];
    unsigned count;
    struct owner all, owners[OWNERS_KNOWN];
    int64_t renewed_ms, claimed_ms;
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
void endpoint_learn(struct endpoint *self, bool good, int64_t took_ms); /* how many at a time its endpoint can take */
bool endpoint_is_trusted(const struct endpoint *self);
bool endpoint_fails(const struct endpoint *self); /* it did last */
bool endpoint_may_begin(const struct delivery *self, struct endpoint *endpoint);
bool endpoint_hangs(const struct delivery *self, const struct endpoint *endpoint); /* it stands in others' way */
void endpoint_begins(struct delivery *self, struct item *item);
void endpoint_ends(struct delivery *self, struct item *item);

/* deliver.c: requests go on until the database has answered what was sent to it. */
void delivery_meanwhile(struct call *call, struct delivery *self);

/* delivery_load.c */
int delivery_claim(struct call *call, struct delivery *self) must_check;
int delivery_load(struct call *call, struct delivery *self) must_check;
int delivery_release(struct call *call, struct delivery *self) must_check;

/* delivery_note.c: writes down what came of every item that is over, and forgets them. */
int delivery_note(struct call *call, struct delivery *self) must_check;

#endif

/* delivery.h - the parts of the delivery actor, which run in its thread alone (deliver.c).
 *
 * A process holds the queues of some subscriptions, by a lease that it renews: no other one sends for them meanwhile.
 * Of each it has the next deliveries in memory, never more than ITEMS_MAX, however many wait. A delivery is begun when
 * every earlier one of the same resource is over.
 */
#ifndef DELIVERY_H
#define DELIVERY_H

#include "outbound.h"
#include "signature.h"
#include "subscription.h"

#define ENDPOINTS_MAX 256 /* queues held at a time */
#define ITEMS_MAX     256 /* of one queue, in memory */
#define ITEMS_LOW     96  /* more are read when so few are left */
#define TRANSFERS_MAX 512 /* under way at a time */
#define OF_ENDPOINT   64  /* of one subscription, when its endpoint is fast */
#define ANSWER_KEPT   4096
#define ATTEMPTS_MAX  6  /* contract D.3 */
#define FAILURES_MAX  10 /* contract K.4: events in a row */
#define EVENT_ID_SIZE 37
#define TOPIC_SIZE    101

struct endpoint;

enum item_state { ITEM_WAITS, ITEM_CHAINED /* an earlier one of its resource is in hand */, ITEM_UNDER_WAY, ITEM_OVER };

struct item {
    struct endpoint *endpoint;
    struct item *next, *before; /* of its endpoint, in their order */
    struct item *behind;        /* the next one of its resource that is in hand */
    enum item_state state;
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

struct endpoint {
    int64_t subscription_id, store_id, version;
    char *url;
    char secret[SECRET_TEXT_SIZE], old_secret[SECRET_TEXT_SIZE];
    bool has_old, readable;
    int64_t old_until_us, updated_us;
    enum profile profile;
    struct item *first, *last;
    unsigned count, active, cap;
    bool may_have_more;
};

struct delivery {
    int64_t holder; /* who we are in table queue */
    struct outbound *outbound;
    struct endpoint *endpoints[ENDPOINTS_MAX];
    unsigned count, active;
    int64_t renewed_ms, claimed_ms;
    unsigned turn_of; /* whose turn it is to begin */
};

/* delivery_queue.c: endpoints and items in memory */
struct endpoint *endpoint_add(struct delivery *self, int64_t subscription_id);
void endpoint_remove(struct delivery *self, unsigned index); /* with all that it has in hand; none may be under way */
struct endpoint *endpoint_find(struct delivery *self, int64_t subscription_id);
struct item *endpoint_find_item(const struct endpoint *self, int64_t delivery_id);
struct item *item_add(struct endpoint *self, int64_t delivery_id);
void item_free(struct item *self);
void endpoint_forget_waiting(struct endpoint *self);   /* all that is not under way or over: they are read again */
void endpoint_learn(struct endpoint *self, bool good); /* how many at a time its endpoint can take */

/* delivery_load.c */
int delivery_claim(struct call *call, struct delivery *self) must_check;
int delivery_load(struct call *call, struct delivery *self) must_check;
int delivery_release(struct call *call, struct delivery *self) must_check;

/* delivery_note.c: writes down what came of every item that is over, and forgets them. */
int delivery_note(struct call *call, struct delivery *self) must_check;

#endif

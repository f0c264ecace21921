/* delivery_queue.c - the endpoints and items that this process has in hand. */
#include <stdlib.h>

#include "clock.h"
#include "delivery.h"

#define CAP_FIRST  4 /* more than that is trust */
#define STUCK_MS   500
#define CAPS_KNOWN 4096
#define AT_FIRST   16 /* one of so many that are free an owner may have before it has shown more */

static const unsigned parts[STANDINGS] = {PART_OF_FAILING, PART_OF_DOUBTED, PART_OF_TRUSTED};

/* What was learned of endpoints, for when their queue is held again; of two that share a place the later one. */
static struct {
    int64_t subscription_id;
    unsigned cap;
} caps[CAPS_KNOWN];

struct endpoint *
endpoint_add(struct delivery *self, int64_t subscription_id)
{
    struct endpoint *endpoint = xcalloc(1, sizeof *endpoint);
    uint64_t place = (uint64_t)subscription_id % CAPS_KNOWN;

    endpoint->subscription_id = subscription_id;
    if (caps[place].subscription_id == subscription_id)
        endpoint->cap = caps[place].cap;
    endpoint->may_have_more = true;
    self->endpoints[self->count++] = endpoint;
    return endpoint;
}

void
endpoint_remove(struct delivery *self, unsigned index)
{
    struct endpoint *endpoint = self->endpoints[index];

    for (struct item *item = endpoint->first, *next; item; item = next) {
        next = item->next;
        if (item->state == ITEM_UNDER_WAY)
            endpoint_ends(self, item);
        item_free(item);
    }
    if (endpoint->owner)
        endpoint->owner->endpoints--;
    secret_wipe(endpoint->secret, sizeof endpoint->secret);
    secret_wipe(endpoint->old_secret, sizeof endpoint->old_secret);
    free(endpoint->url);
    free(endpoint);
    self->endpoints[index] = self->endpoints[--self->count];
}

/* An owner is known as long as one of its endpoints is held, so that there are never more of them than places. */
void
endpoint_introduce(struct delivery *self, struct endpoint *endpoint, int64_t number, enum standing standing)
{
    static const unsigned first_caps[STANDINGS] = {1, CAP_FIRST, CAP_FIRST + 1};
    struct owner *owner = NULL;

    if (endpoint->owner)
        return;
    if (endpoint->cap == 0)
        endpoint->cap = first_caps[standing];
    for (unsigned i = 0; i < ENDPOINTS_MAX; i++) {
        struct owner *at = &self->owners[i];

        if (at->endpoints > 0 && at->number == number) {
            owner = at;
            break;
        }
        if (at->endpoints == 0 && !owner)
            owner = at;
    }
    if (owner->endpoints++ == 0)
        *owner = (struct owner){.number = number, .endpoints = 1};
    endpoint->owner = owner;
}

struct endpoint *
endpoint_find(struct delivery *self, int64_t subscription_id)
{
    for (unsigned i = 0; i < self->count; i++)
        if (self->endpoints[i]->subscription_id == subscription_id)
            return self->endpoints[i];
    return NULL;
}

struct item *
endpoint_find_item(const struct endpoint *self, int64_t delivery_id)
{
    for (struct item *item = self->first; item; item = item->next)
        if (item->delivery_id == delivery_id)
            return item;
    return NULL;
}

struct item *
item_add(struct endpoint *self, int64_t delivery_id)
{
    struct item *item = xcalloc(1, sizeof *item);

    item->endpoint = self;
    item->delivery_id = delivery_id;
    item->request.owner = item;
    item->before = self->last;
    if (self->last)
        self->last->next = item;
    else
        self->first = item;
    self->last = item;
    self->count++;
    return item;
}

void
item_free(struct item *self)
{
    struct endpoint *endpoint = self->endpoint;

    if (self->before)
        self->before->next = self->next;
    else
        endpoint->first = self->next;
    if (self->next)
        self->next->before = self->before;
    else
        endpoint->last = self->before;
    endpoint->count--;
    free(self->body);
    free(self->headers);
    free(self->answer);
    free(self);
}

/* What is behind one that is under way goes as well; behind NULL it is read again when that one is over. */
void
endpoint_forget_waiting(struct endpoint *self)
{
    struct item *item = self->first;

    while (item) {
        struct item *next = item->next;

        if (item->state == ITEM_UNDER_WAY || item->state == ITEM_OVER || item->state == ITEM_NOTED)
            item->behind = NULL;
        else
            item_free(item);
        item = next;
    }
    self->may_have_more = true;
}

/* ---- how many at a time ------------------------------------------------------------------------------------------ */

/* One that answers at once gets more at a time, one that fails or never answers soon has a single request under way. */
static void
endpoint_learn(struct endpoint *self, bool good, int64_t took_ms)
{
    uint64_t place = (uint64_t)self->subscription_id % CAPS_KNOWN;

    if (good && took_ms > QUICK_MS)
        self->cap = self->cap / 2 > CAP_FIRST ? self->cap / 2 : CAP_FIRST;
    else if (good && self->cap < OF_ENDPOINT)
        self->cap++;
    else if (!good && self->cap > 1)
        self->cap /= 2;
    caps[place].subscription_id = self->subscription_id;
    caps[place].cap = self->cap;
}

enum standing
endpoint_standing(const struct endpoint *self)
{
    if (self->cap > CAP_FIRST)
        return TRUSTED;
    return self->cap < CAP_FIRST ? FAILING : DOUBTED;
}

/* Items are begun in their order, so that the first one under way is among the oldest. */
static bool
is_slow(const struct endpoint *self)
{
    const struct item *item = self->active ? self->first : NULL;

    while (item && item->state != ITEM_UNDER_WAY)
        item = item->next;
    return item && clock_monotonic_ms() - item->begun_ms > QUICK_MS;
}

static bool
has_room(const struct delivery *self, const struct endpoint *endpoint)
{
    enum standing standing = endpoint_standing(endpoint);
    const struct crowd *crowd = &endpoint->owner->crowds[standing];
    unsigned left = parts[standing] - self->under_way[standing];

    return crowd->count < left && crowd->count < left / AT_FIRST + 1 + crowd->more;
}

bool
endpoint_may_begin(const struct delivery *self, struct endpoint *endpoint)
{
    struct crowd *crowd;

    if (endpoint_standing(endpoint) == TRUSTED && is_slow(endpoint))
        endpoint->cap = CAP_FIRST; /* before the first of them is over */
    if (endpoint->active >= endpoint->cap)
        return false;
    crowd = &endpoint->owner->crowds[endpoint_standing(endpoint)];
    if (has_room(self, endpoint)) {
        crowd->full_ms = 0;
        return true;
    }
    if (crowd->full_ms == 0)
        crowd->full_ms = clock_monotonic_ms();
    return false;
}

void
endpoint_begins(struct delivery *self, struct item *item)
{
    struct endpoint *endpoint = item->endpoint;

    item->standing = endpoint_standing(endpoint);
    item->begun_ms = clock_monotonic_ms();
    endpoint->active++;
    endpoint->owner->crowds[item->standing].count++;
    self->under_way[item->standing]++;
    self->active++;
}

/* Its owner gets more as long as it has use for that and answers are good and quick, and loses what it does not use. */
static void
crowd_learn(struct crowd *self, unsigned part, bool good, int64_t took_ms)
{
    bool quick = took_ms <= QUICK_MS;

    if (good && quick && self->full_ms && self->more < part)
        self->more++;
    else if (self->more > 0 && (!quick || (!self->full_ms && self->more > 2 * self->count)))
        self->more--;
    self->took_ms = (7 * self->took_ms + (quick ? took_ms : QUICK_MS)) / 8; /* one that hangs says little of others */
}

void
endpoint_ends(struct delivery *self, struct item *item)
{
    item->endpoint->active--;
    item->endpoint->owner->crowds[item->standing].count--;
    self->under_way[item->standing]--;
    self->active--;
}

void
endpoint_answers(struct delivery *self, struct item *item, bool good, int64_t took_ms)
{
    endpoint_ends(self, item);
    crowd_learn(&item->endpoint->owner->crowds[item->standing], parts[item->standing], good, took_ms);
    endpoint_learn(item->endpoint, good, took_ms);
}

/* Whoever waits for its owner's other requests waits long when they hang, or take their time one after the other. Those
 * that are quick leave no room as well when there is much to do, but not for long. */
bool
endpoint_hangs(const struct delivery *self, const struct endpoint *endpoint)
{
    const struct crowd *crowd;

    if (!endpoint->first || endpoint->active > 0 || has_room(self, endpoint))
        return false;
    crowd = &endpoint->owner->crowds[endpoint_standing(endpoint)];
    return crowd->took_ms > STUCK_MS || (crowd->full_ms && clock_monotonic_ms() - crowd->full_ms > STUCK_MS);
}

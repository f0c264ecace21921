/* delivery_queue.c - the endpoints and items that this process has in hand. */
#include <stdlib.h>

#include "clock.h"
#include "delivery.h"

#define CAP_FIRST  4 /* more than that is trust */
#define STUCK_MS   500
#define CAPS_KNOWN 4096 /* by the subscription's number; two that share a place only guess worse */

static uint8_t caps[CAPS_KNOWN];

struct endpoint *
endpoint_add(struct delivery *self, int64_t subscription_id)
{
    struct endpoint *endpoint = xcalloc(1, sizeof *endpoint);

    endpoint->subscription_id = subscription_id;
    endpoint->cap = caps[(uint64_t)subscription_id % CAPS_KNOWN];
    if (endpoint->cap == 0)
        endpoint->cap = CAP_FIRST;
    endpoint->may_have_more = true;
    endpoint->owner = &self->owners[0]; /* until it is read */
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
    secret_wipe(endpoint->secret, sizeof endpoint->secret);
    secret_wipe(endpoint->old_secret, sizeof endpoint->old_secret);
    free(endpoint->url);
    free(endpoint);
    self->endpoints[index] = self->endpoints[--self->count];
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
void
endpoint_learn(struct endpoint *self, bool good, int64_t took_ms)
{
    if (good && took_ms > QUICK_MS)
        self->cap = self->cap / 2 > CAP_FIRST ? self->cap / 2 : CAP_FIRST;
    else if (good && self->cap < OF_ENDPOINT)
        self->cap++;
    else if (!good && self->cap > 1)
        self->cap /= 2;
    caps[(uint64_t)self->subscription_id % CAPS_KNOWN] = (uint8_t)self->cap;
}

bool
endpoint_is_trusted(const struct endpoint *self)
{
    return self->cap > CAP_FIRST;
}

bool
endpoint_fails(const struct endpoint *self)
{
    return self->cap < CAP_FIRST;
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

/* Whoever waits for one of them waits long: they hang, or take their time one after the other. Those who are quick are
 * full as well when there is much to do, but not for long. */
static bool
is_stuck(const struct crowd *self)
{
    return self->full_ms && (self->took_ms > STUCK_MS || clock_monotonic_ms() - self->full_ms > STUCK_MS);
}

static bool
has_its_places(const struct delivery *self, const struct owner *owner)
{
    return self->count > PLACES_FREE && owner->places >= PLACES_OF_OWNER && owner->active.took_ms > STUCK_MS;
}

bool
endpoint_may_begin(const struct delivery *self, struct endpoint *endpoint)
{
    const struct owner *owner = endpoint->owner;

    if (endpoint->active >= endpoint->cap || self->all.active.count >= TRANSFERS_MAX)
        return false;
    if (endpoint->active == 0 && has_its_places(self, owner))
        return false;
    if (endpoint_is_trusted(endpoint) && is_slow(endpoint))
        endpoint->cap = CAP_FIRST; /* before the first of them is over */
    if (endpoint_is_trusted(endpoint))
        return owner->active.count < OF_OWNER;
    return endpoint->active < endpoint->cap && self->all.doubtful.count < DOUBTFUL_MAX &&
           owner->doubtful.count < DOUBTFUL_OF;
}

static void
crowd_grows(struct crowd *self, unsigned max)
{
    if (++self->count >= max && self->full_ms == 0)
        self->full_ms = clock_monotonic_ms();
}

static void
crowd_shrinks(struct crowd *self, unsigned max, int64_t took_ms)
{
    if (took_ms > QUICK_MS)
        took_ms = QUICK_MS; /* a single one that hangs says little of the others */
    self->took_ms = (7 * self->took_ms + took_ms) / 8;
    if (--self->count < max)
        self->full_ms = 0;
}

void
endpoint_begins(struct delivery *self, struct item *item)
{
    struct endpoint *endpoint = item->endpoint;
    struct owner *owner = endpoint->owner;

    item->doubtful = !endpoint_is_trusted(endpoint);
    item->begun_ms = clock_monotonic_ms();
    owner->places += endpoint->active++ == 0;
    crowd_grows(&self->all.active, TRANSFERS_MAX);
    crowd_grows(&owner->active, OF_OWNER);
    if (!item->doubtful)
        return;
    crowd_grows(&self->all.doubtful, DOUBTFUL_MAX);
    crowd_grows(&owner->doubtful, DOUBTFUL_OF);
}

void
endpoint_ends(struct delivery *self, struct item *item)
{
    int64_t took_ms = clock_monotonic_ms() - item->begun_ms;
    struct endpoint *endpoint = item->endpoint;
    struct owner *owner = endpoint->owner;

    owner->places -= --endpoint->active == 0;
    crowd_shrinks(&self->all.active, TRANSFERS_MAX, took_ms);
    crowd_shrinks(&owner->active, OF_OWNER, took_ms);
    if (!item->doubtful)
        return;
    crowd_shrinks(&self->all.doubtful, DOUBTFUL_MAX, took_ms);
    crowd_shrinks(&owner->doubtful, DOUBTFUL_OF, took_ms);
}

bool
endpoint_hangs(const struct delivery *self, const struct endpoint *endpoint)
{
    const struct owner *owner = endpoint->owner;

    if (endpoint->active > 0)
        return false;
    if (has_its_places(self, owner) || is_stuck(&owner->active))
        return true;
    return !endpoint_is_trusted(endpoint) &&
           (endpoint_fails(endpoint) || is_stuck(&owner->doubtful) || is_stuck(&self->all.doubtful));
}

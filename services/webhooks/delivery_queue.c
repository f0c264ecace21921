/* delivery_queue.c - the endpoints and items that this process has in hand. */
#include <stdlib.h>

#include "delivery.h"

#define CAP_FIRST  4
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
    self->endpoints[self->count++] = endpoint;
    return endpoint;
}

void
endpoint_remove(struct delivery *self, unsigned index)
{
    struct endpoint *endpoint = self->endpoints[index];

    while (endpoint->first)
        item_free(endpoint->first);
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

        if (item->state == ITEM_UNDER_WAY || item->state == ITEM_OVER)
            item->behind = NULL;
        else
            item_free(item);
        item = next;
    }
    self->may_have_more = true;
}

/* One that answers gets more at a time, one that fails or never answers soon has a single request under way. */
void
endpoint_learn(struct endpoint *self, bool good)
{
    if (good && self->cap < OF_ENDPOINT)
        self->cap++;
    else if (!good && self->cap > 1)
        self->cap /= 2;
    caps[(uint64_t)self->subscription_id % CAPS_KNOWN] = (uint8_t)self->cap;
}

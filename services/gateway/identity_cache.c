/* identity_cache.c - a set-associative table, and a ring of invalidations (protocols 5).
 *
 * Invalidations are counted, and an answer remembers how many of them it has been compared with; at its next use it is
 * compared with those that came since. So an invalidation costs nothing when it comes, in whatever order they come, and
 * an answer that has slept through a whole ring is simply not used any more. The same ring keeps an answer that was
 * read before a revocation from being cached after it.
 */
#include "identity_cache.h"

#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "metric.h"

#define WAYS     8 /* entries that a key may be in; the one used longest ago makes room */
#define TAGS_MAX 8 /* of one identity; an answer with more is not kept */

static struct metric invalidated_total =
    METRIC_COUNTER("sx_identity_invalidations_total", "Tags that were invalidated, renewals' repetitions included.");

struct entry {
    uint8_t key[SHA256_SIZE];
    uint64_t version; /* auth's, when the answer was read */
    uint64_t checked; /* invalidations before this number have been compared with it */
    uint64_t used;    /* when last, in uses of the cache; 0: free */
    int64_t expires_us;
    struct identity identity; /* scopes is owned */
    uint64_t tags[TAGS_MAX];
    unsigned tag_count;
};

struct invalidation {
    uint64_t version;
    uint64_t tag;
};

struct identity_cache {
    struct entry *entries; /* IDENTITY_CACHE_MAX */
    uint64_t uses;
    struct invalidation ring[INVALIDATION_RING];
    uint64_t applied; /* invalidations so far; number n is in ring[n % INVALIDATION_RING] */
    uint64_t floor;   /* the ring is complete above this version */
};

struct identity_cache *
identity_cache_new(void)
{
    struct identity_cache *self = xcalloc(1, sizeof *self);

    self->entries = xcalloc(IDENTITY_CACHE_MAX, sizeof self->entries[0]);
    return self;
}

static void
drop_entry(struct entry *entry)
{
    free((char *)entry->identity.scopes);
    memset(entry, 0, sizeof *entry);
}

void
identity_cache_clear(struct identity_cache *self)
{
    for (unsigned i = 0; i < IDENTITY_CACHE_MAX; i++)
        if (self->entries[i].used != 0)
            drop_entry(&self->entries[i]);
}

void
identity_cache_destroy(struct identity_cache **self)
{
    if (*self == NULL)
        return;
    identity_cache_clear(*self);
    free((*self)->entries);
    free(*self);
    *self = NULL;
}

void
identity_cache_raise(struct identity_cache *self, uint64_t version)
{
    if (version > self->floor)
        self->floor = version;
}

void
identity_cache_restart(struct identity_cache *self, uint64_t version)
{
    identity_cache_clear(self);
    memset(self->ring, 0, sizeof self->ring);
    self->floor = version;
}

/* A collision of two tags drops an answer that was good; none is kept that was not. */
static uint64_t
tag_hash(struct str tag)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < tag.len; i++)
        hash = (hash ^ (uint8_t)tag.base[i]) * UINT64_C(1099511628211);
    return hash;
}

void
identity_cache_invalidate(struct identity_cache *self, uint64_t version, struct str tag)
{
    struct invalidation *slot = &self->ring[self->applied % INVALIDATION_RING];

    identity_cache_raise(self, slot->version);
    *slot = (struct invalidation){version, tag_hash(tag)};
    self->applied++;
    metric_add(&invalidated_total, 1);
}

/* Compares an entry with the invalidations it has not met yet; false when one of them meant it, or may have. */
static bool
is_current(const struct identity_cache *self, struct entry *entry)
{
    if (self->applied - entry->checked > INVALIDATION_RING)
        return false;
    for (; entry->checked < self->applied; entry->checked++) {
        const struct invalidation *it = &self->ring[entry->checked % INVALIDATION_RING];

        if (it->version <= entry->version)
            continue;
        for (unsigned i = 0; i < entry->tag_count; i++)
            if (entry->tags[i] == it->tag)
                return false;
    }
    return true;
}

static struct entry *
set_of(const struct identity_cache *self, const uint8_t key[SHA256_SIZE])
{
    uint64_t hash;

    memcpy(&hash, key, sizeof hash);
    return &self->entries[hash % (IDENTITY_CACHE_MAX / WAYS) * WAYS];
}

const struct identity *
identity_cache_find(struct identity_cache *self, const uint8_t key[SHA256_SIZE])
{
    struct entry *set = set_of(self, key);

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].used == 0 || memcmp(set[i].key, key, SHA256_SIZE) != 0)
            continue;
        if (is_current(self, &set[i]) && clock_now_us() < set[i].expires_us) {
            set[i].used = ++self->uses;
            return &set[i].identity;
        }
        drop_entry(&set[i]);
        return NULL;
    }
    return NULL;
}

/* The entry of this key, else a free one, else the one used longest ago. */
static struct entry *
place_for(struct identity_cache *self, const uint8_t key[SHA256_SIZE])
{
    struct entry *set = set_of(self, key), *place = &set[0];

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].used != 0 && memcmp(set[i].key, key, SHA256_SIZE) == 0)
            return &set[i];
        if (set[i].used < place->used)
            place = &set[i];
    }
    return place;
}

void
identity_cache_put(struct identity_cache *self, const uint8_t key[SHA256_SIZE], const struct identity *identity,
                   uint64_t version, struct in tags, int64_t expires_us)
{
    struct entry entry = {
        .version = version, .expires_us = expires_us, .identity = *identity, .tag_count = in_count(tags, "")};
    struct entry *place;

    if (version < self->floor || entry.tag_count > TAGS_MAX)
        return;
    for (unsigned i = 0; i < entry.tag_count; i++)
        entry.tags[i] = tag_hash(in_str(in_item(tags, i), ""));
    entry.checked = self->applied > INVALIDATION_RING ? self->applied - INVALIDATION_RING : 0;
    if (!is_current(self, &entry))
        return;
    place = place_for(self, key);
    drop_entry(place);
    memcpy(entry.key, key, SHA256_SIZE);
    entry.used = ++self->uses;
    entry.identity.scopes = xstrdup(identity->scopes);
    entry.identity.service = "";
    *place = entry;
}

/* identity_cache.h - answers of auth by credential, and the ring of invalidations they are compared with (protocols 5).
 *
 * Knows nothing of leases: whoever asks it must hold one. Bounded: IDENTITY_CACHE_MAX answers, INVALIDATION_RING tags.
 */
#ifndef IDENTITY_CACHE_H
#define IDENTITY_CACHE_H

#include "call.h"
#include "secret.h"

struct identity_cache;

struct identity_cache *identity_cache_new(void);
void identity_cache_destroy(struct identity_cache **self);

/* Forgets all answers. The ring stays: an answer may be on its way that was read before what the ring holds. */
void identity_cache_clear(struct identity_cache *self);

/* Answers read before this version are not kept any more: what was invalidated up to it may never have been heard of.
 */
void identity_cache_raise(struct identity_cache *self, uint64_t version);

/* Another database, with versions of its own: forgets the ring as well; answers from version on are kept. */
void identity_cache_restart(struct identity_cache *self, uint64_t version);

void identity_cache_invalidate(struct identity_cache *self, uint64_t version, struct str tag);

/* Borrowed until the next call into the cache; NULL when there is none that is current and not expired. */
const struct identity *identity_cache_find(struct identity_cache *self, const uint8_t key[SHA256_SIZE]);

/* Keeps a copy of an answer that auth read at version, unless something it rests on was, or may have been, invalidated
 * since. tags is a list of texts. */
void identity_cache_put(struct identity_cache *self, const uint8_t key[SHA256_SIZE], const struct identity *identity,
                        uint64_t version, struct in tags, int64_t expires_us);

#endif

/* in.h - reads a msgpack value: typed look-ups by path.
 *
 * in_decode refuses containers that claim more members than bytes are left, depth beyond TOKEN_DEPTH_MAX, names that
 * are no text, and trailing bytes. The tree lives in the arena, text stays in the message. Look-ups cannot fail: a
 * value that is absent, null or of another type gives `otherwise`. Callers need no checks, because the contract's
 * validator has run before them.
 *
 * Paths are dotted names: "body.customer.name"; "" is the value itself. Lists are walked with in_item.
 */
#ifndef IN_H
#define IN_H

#include <msgpack.h>

#include "arena.h"
#include "base.h"

struct in {
    const msgpack_object *object; /* NULL when absent */
    struct arena *arena;          /* strings handed out live here */
};

/* data must outlive the value. -1 when it is not one well-formed value. */
int in_decode(struct in *self, struct arena *arena, const void *data, size_t size) must_check;

struct in in_at(struct in self, const char *path);
bool in_has(struct in self, const char *path);     /* present and not null */
bool in_is_null(struct in self, const char *path); /* present and null */
bool in_is_sent(struct in self, const char *path); /* present, null or not: what a partial update changes */
int64_t in_int(struct in self, const char *path, int64_t otherwise);
bool in_bool(struct in self, const char *path, bool otherwise);
const char *in_text(struct in self, const char *path); /* NUL-terminated, in the arena; NULL when absent */
/* What a field that may be left out will be: the text that was sent, NULL for null, `before` when nothing was. */
const char *in_text_after(struct in self, const char *path, const char *before);
struct str in_str(struct in self, const char *path); /* text or binary, borrowed from the message */
int64_t in_time(struct in self, const char *path, int64_t otherwise_us);
int64_t in_money(struct in self, const char *path, int64_t otherwise); /* in the smallest unit, as validated */

unsigned in_count(struct in self, const char *path); /* members of a list or map; 0 when it is neither */
struct in in_item(struct in self, unsigned index);   /* of a list */
struct str in_key(struct in self, unsigned index);   /* of a map */
struct in in_value(struct in self, unsigned index);  /* of a map */

#endif

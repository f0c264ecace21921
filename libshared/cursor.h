/* cursor.h - the opaque `cursor` of list answers (protocols 13).
 *
 * It holds the sort, its direction, the full-precision key and the id of the last row, and a hash of the filters, and
 * carries a MAC, so that nobody can make one that walks another index or another store. base64url, at most
 * CURSOR_TEXT_MAX characters.
 */
#ifndef CURSOR_H
#define CURSOR_H

#include "arena.h"
#include "base.h"

#define CURSOR_KEY_SIZE 32 /* of the MAC */
#define CURSOR_TEXT_MAX 512
#define CURSOR_KEY_MAX  256

struct cursor {
    uint8_t sort; /* the list's own number for its column */
    bool descending;
    uint64_t filters; /* cursor_hash over everything that selects rows, the store included */
    int64_t id;
    struct str key; /* text of the sort column's value, as PostgreSQL prints it */
};

/* Before the first cursor (asserted), and again at any time: service_main gives keys derived from the platform's master
 * keys, the same in all processes. The first one signs; all of them are accepted. */
#define CURSOR_KEYS_MAX 2
void cursor_set_keys(const uint8_t keys[][CURSOR_KEY_SIZE], unsigned count);

/* NULL when the key is longer than CURSOR_KEY_MAX. */
char *cursor_encode(const struct cursor *self, struct arena *arena);

/* self comes with the sort, the direction and the filters of the request at hand, and gets id and key (in the arena;
 * absent when it was absent). -1 when the text is not ours, was cut or changed, or belongs to another sort or filters.
 */
int cursor_decode(struct cursor *self, struct arena *arena, const char *text, size_t len) must_check;

uint64_t cursor_hash(uint64_t seed, const char *data, size_t len); /* chain it over the filters; seed 0 first */

#endif

/* arena.h - memory that lives as long as one request.
 *
 * Everything a request needs is taken from its arena and given back all at once; nothing is freed singly.
 * An arena belongs to one thread. Alignment is that of max_align_t.
 */
#ifndef ARENA_H
#define ARENA_H

#include "base.h"

struct arena;

struct arena *arena_new(size_t first_block_size);
void arena_destroy(struct arena **self);

/* Give back everything taken so far; the first block is kept for the next request. */
void arena_reset(struct arena *self);

void *arena_alloc(struct arena *self, size_t size); /* zeroed; never NULL */
char *arena_strndup(struct arena *self, const char *text, size_t len);
char *arena_strdup(struct arena *self, const char *text); /* NULL gives NULL */
char *arena_printf(struct arena *self, const char *format, ...) printf_like(2, 3);
size_t arena_used(const struct arena *self);

#endif

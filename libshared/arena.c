/* arena.c - a chain of blocks; taking memory is moving a number.
 *
 * The first block is sized for the usual request, so that a busy worker never calls malloc. Further blocks double.
 * Under AddressSanitizer everything not handed out is poisoned: a pointer kept beyond its request is found by any test.
 */
#include "arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#endif

#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, size)   ((void)(memory), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(memory, size) ((void)(memory), (void)(size))
#endif

#define ALIGNMENT      alignof(max_align_t)
#define BLOCK_SIZE_MAX ((size_t)4 << 20) /* blocks stop doubling here */

struct block {
    struct block *previous;
    size_t size; /* of data */
    size_t used;
    alignas(max_align_t) char data[];
};

struct arena {
    struct block *last;
    size_t used; /* bytes in the blocks before the last one */
};

static struct block *
block_new(size_t size, struct block *previous)
{
    struct block *self;

    if (size > SIZE_MAX - sizeof(struct block))
        abort();
    self = xmalloc(sizeof(struct block) + size);
    self->previous = previous;
    self->size = size;
    self->used = 0;
    ASAN_POISON_MEMORY_REGION(self->data, size);
    return self;
}

static void
block_free(struct block *self)
{
    ASAN_UNPOISON_MEMORY_REGION(self->data, self->size);
    free(self);
}

struct arena *
arena_new(size_t first_block_size)
{
    struct arena *self = xmalloc(sizeof(struct arena));

    self->last = block_new(first_block_size, NULL);
    self->used = 0;
    return self;
}

void
arena_destroy(struct arena **self)
{
    if (*self == NULL)
        return;
    arena_reset(*self);
    block_free((*self)->last);
    free(*self);
    *self = NULL;
}

void
arena_reset(struct arena *self)
{
    while (self->last->previous != NULL) {
        struct block *previous = self->last->previous;

        block_free(self->last);
        self->last = previous;
    }
    ASAN_POISON_MEMORY_REGION(self->last->data, self->last->size);
    self->last->used = 0;
    self->used = 0;
}

static void
arena_grow(struct arena *self, size_t size)
{
    size_t doubled = self->last->size < BLOCK_SIZE_MAX / 2 ? self->last->size * 2 : BLOCK_SIZE_MAX;

    self->used += self->last->used;
    self->last = block_new(size > doubled ? size : doubled, self->last);
}

void *
arena_alloc(struct arena *self, size_t size)
{
    char *memory;
    size_t taken;

    if (size > SIZE_MAX - ALIGNMENT)
        abort();
    taken = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (taken > self->last->size - self->last->used)
        arena_grow(self, taken);
    memory = self->last->data + self->last->used;
    self->last->used += taken;
    ASAN_UNPOISON_MEMORY_REGION(memory, size);
    memset(memory, 0, size);
    return memory;
}

char *
arena_strndup(struct arena *self, const char *text, size_t len)
{
    char *copy = arena_alloc(self, len + 1);

    if (len > 0)
        memcpy(copy, text, len);
    return copy;
}

char *
arena_strdup(struct arena *self, const char *text)
{
    return text != NULL ? arena_strndup(self, text, strlen(text)) : NULL;
}

char *
arena_printf(struct arena *self, const char *format, ...)
{
    char small[256];
    char *text;
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(small, sizeof(small), format, arguments);
    va_end(arguments);
    if (len < 0)
        abort();
    if ((size_t)len < sizeof(small))
        return arena_strndup(self, small, (size_t)len);
    text = arena_alloc(self, (size_t)len + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)len + 1, format, arguments);
    va_end(arguments);
    return text;
}

size_t
arena_used(const struct arena *self)
{
    return self->used + self->last->used;
}

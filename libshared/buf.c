/* buf.c - one growing piece of memory; doubles until it reaches its maximum.
 *
 * The failed mark is what lets writers append without looking at each answer.
 */
#include "buf.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 512

void
buf_init(struct buf *self, size_t size_max)
{
    *self = (struct buf){.size_max = size_max};
}

void
buf_free(struct buf *self)
{
    free(self->data);
    buf_init(self, self->size_max);
}

void
buf_reset(struct buf *self)
{
    self->size = 0;
    self->failed = false;
}

char *
buf_reserve(struct buf *self, size_t size)
{
    if (self->failed)
        return NULL;
    if (size > self->capacity - self->size || self->data == NULL) {
        size_t capacity = self->capacity > 0 ? self->capacity : FIRST_CAPACITY;

        if (size > self->size_max - self->size) {
            self->failed = true;
            return NULL;
        }
        while (capacity < self->size + size)
            capacity *= 2;
        if (capacity > self->size_max)
            capacity = self->size_max;
        self->data = xrealloc(self->data, capacity);
        self->capacity = capacity;
    }
    return self->data + self->size;
}

int
buf_append(struct buf *self, const void *data, size_t size)
{
    char *target = buf_reserve(self, size);

    if (target == NULL)
        return -1;
    if (size > 0)
        memcpy(target, data, size);
    self->size += size;
    return 0;
}

int
buf_append_text(struct buf *self, const char *text)
{
    return buf_append(self, text, strlen(text));
}

int
buf_append_byte(struct buf *self, char byte)
{
    char *target = buf_reserve(self, 1);

    if (target == NULL)
        return -1;
    *target = byte;
    self->size++;
    return 0;
}

bool
buf_failed(const struct buf *self)
{
    return self->failed;
}

char *
buf_detach(struct buf *self, size_t *size)
{
    char *data = self->data;

    *size = self->size;
    buf_init(self, self->size_max);
    return data;
}

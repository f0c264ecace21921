/* buf.h - a growable byte buffer with a maximum it is born with.
 *
 * Appending past the maximum fails, keeps what is there, and marks the buffer: later appends fail too, so a writer
 * may check once at the end with buf_failed.
 */
#ifndef BUF_H
#define BUF_H

#include "base.h"

struct buf {
    char *data; /* not NUL-terminated; NULL while empty */
    size_t size;
    size_t capacity;
    size_t size_max;
    bool failed;
};

void buf_init(struct buf *self, size_t size_max);
void buf_free(struct buf *self);  /* releases the memory; the buffer may be used again */
void buf_reset(struct buf *self); /* forgets the content, keeps the memory */
int buf_append(struct buf *self, const void *data, size_t size);
int buf_append_text(struct buf *self, const char *text);
int buf_append_byte(struct buf *self, char byte);
char *buf_reserve(struct buf *self, size_t size); /* room for size bytes at the end, or NULL; then add to self->size */
bool buf_failed(const struct buf *self);
char *buf_detach(struct buf *self, size_t *size); /* the memory is the caller's to free; the buffer is empty */

#endif

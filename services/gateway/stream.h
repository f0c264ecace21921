/* stream.h - an answer that comes in chunks (x-stream, protocols 11).
 *
 * The service is asked for one chunk at a time, and for the next only when the client has taken the last: whatever is
 * exported, the gateway holds one chunk and no worker waits. When a chunk fails, the connection ends without the
 * closing chunk, so that the client cannot take a part for the whole.
 */
#ifndef STREAM_H
#define STREAM_H

#include "request.h"

struct stream;

/* The first chunk has come. The stream takes the body frame over; it is NULL when the chunk is the only one: then that
 * is an ordinary body. -1 when the reply does not say where to go on. */
int stream_begin(struct stream **self, struct request *request, struct hub_reply *reply) must_check;
void stream_destroy(struct stream **self);

/* libmicrohttpd's content reader and its release; the stream is the context. */
ssize_t stream_read(void *self, uint64_t position, char *target, size_t size);
void stream_release(void *self);

/* The request is gone before its stream. */
void stream_orphan(struct stream *self);

#endif

/* upload.h - a request body that is sent on in pieces while it arrives (x-upload, protocols 11).
 *
 * The body is cut at the last newline within STREAM_CHUNK_MAX (of a longer line only the beginning goes on); each piece
 * is one REQUEST to the operation, and the client is read on when its reply has come: constant memory, and no worker is
 * held. The convention is in proto/README.md. A request that ends between pieces leaves an upload that the service
 * drops in its own time.
 */
#ifndef UPLOAD_H
#define UPLOAD_H

#include "request.h"

struct upload;

struct upload *upload_new(struct request *request); /* in the request's arena, but for what upload_free releases */
void upload_free(struct upload *self);

/* Bytes of the body. May leave the request suspended in REQUEST_CALLING until the piece is taken, or answered with an
 * error. How many were taken: the rest is offered again. */
size_t upload_take(struct upload *self, const char *data, size_t size);

/* The body is complete: the last piece goes out and its reply is the answer. */
void upload_end(struct upload *self);

#endif

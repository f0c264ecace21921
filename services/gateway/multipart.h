/* multipart.h - a request body in parts (multipart/form-data), for the operations that take files.
 *
 * The operation's body schema is an object with one field, a list of binary texts. Each part of that name that is not
 * empty is an item; other parts are dropped. libmicrohttpd's post processor finds the parts while the body arrives.
 */
#ifndef MULTIPART_H
#define MULTIPART_H

#include "request.h"
#include "validate.h"

struct multipart;

/* In the request's arena, but for what multipart_free releases. NULL: the body names no boundary, and the request has
 * been answered. */
struct multipart *multipart_new(struct request *request);
void multipart_free(struct multipart *self);

/* Bytes of the body. request->body gets the items, as msgpack binaries one after another. May leave the request
 * answered with an error: too many parts, or one that is too large. */
void multipart_take(struct multipart *self, const char *data, size_t size);

/* The body is complete: notes what is wrong with it. self is NULL where there was no body. */
void multipart_end(struct multipart *self, const struct schema *schema, struct validation *validation);

/* The checked body, {field: [binary...]}. */
void multipart_pack(const struct multipart *self, struct out *out);

#endif

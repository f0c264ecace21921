/* form.h - bodies as forms send them (application/x-www-form-urlencoded), for the operations that take them. */
#ifndef FORM_H
#define FORM_H

#include "request.h"
#include "validate.h"

/* Whether this is the request's Content-Type, in upper or lower case, whatever its parameters. */
bool form_type_is(const struct request *self, const char *type);

/* Whether the request's Content-Type says that its body is a form. */
bool form_is(const struct request *self);

/* Writes the body, checked against the operation's schema, as one msgpack map. A field that is empty counts as absent
 * and one that stands twice is an error (RFC 6749, 3.1); unknown ones are dropped, or refused by a strict schema. */
void form_pack(struct request *self, struct arena *arena, struct validation *validation, struct buf *target);

#endif

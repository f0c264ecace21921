/* reply_private.h - an error on its way to the client, as reply.c and web.c see it: the same facts become the
 * platform's envelope, RFC 6749's members beside it, or a page. */
#ifndef REPLY_PRIVATE_H
#define REPLY_PRIVATE_H

#include "in.h"
#include "request.h"
#include "validate.h"

struct error {
    int status;
    const char *code;
    const char *message;
    const struct validation *validation; /* the gateway's own list of fields */
    struct in errors, details;           /* a service's; absent when there are none */
};

unsigned error_fields(const struct error *self);
void error_field(const struct error *self, unsigned index, const char **field, const char **message);

#endif

/* reply.h - answers: from a service's reply frame, from an error, from the gateway's own pages.
 *
 * Everything here only fills request->answer and sets the state to REQUEST_ANSWERED; http.c hands it to libmicrohttpd.
 * The last answer wins. Header values are ours, or checked to be printable ASCII, so nothing can be injected.
 */
#ifndef REPLY_H
#define REPLY_H

#include "request.h"
#include "validate.h"

/* The error envelope of the path's family. why NULL is the code's own sentence; copied. */
void reply_fail(struct request *self, enum fail fail, const char *why);
void reply_invalid(struct request *self, const struct validation *validation);

/* What a service, or the hub in its place, said. Takes the reply's messages over. */
void reply_service(struct request *self, struct hub_reply *reply);

/* A JSON text of the gateway's own, in the arena; or program text with a validator and its type. */
void reply_json(struct request *self, int status, struct str json);
void reply_page(struct request *self, const char *content_type, const char *text, size_t size, const char *tag);

/* name is program text; value is copied unless it is program text too. */
void reply_header(struct request *self, const char *name, const char *value);
void reply_header_static(struct request *self, const char *name, const char *value);

/* The answer depends on this header of the request as well; program text. */
void reply_vary(struct request *self, const char *name);

/* The headers every answer carries; once, when the answer is handed over. */
void reply_complete(struct request *self);

/* Releases what an answer owns. */
void reply_clear(struct request *self);

#endif

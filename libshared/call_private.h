/* call_private.h - what a call remembers between the request and the reply frames; for call.c, call_request.c, serve.c,
 * idempotency.c and actor.c only. Everything it points to is in the call's arena or in the request, except the body.
 */
#ifndef CALL_PRIVATE_H
#define CALL_PRIVATE_H

#include "call.h"
#include "peers.h"
#include "validate.h"

#define CALL_HEADERS_MAX 8 /* extra headers of one answer; a replay adds one to those of the handler */
#define CALL_DETAILS_MAX 4 /* further members of one error body */

struct call_pair {
    const char *name;
    const char *value;
};

struct call_private {
    const char *service;     /* whose worker this is */
    const char *from;        /* endpoint of the gateway the request came through, which nested calls prefer; NULL in
                                an actor's turn */
    struct buf body;         /* call->out writes here */
    struct str arguments;    /* {path, query, body} as checked, msgpack; over HTTP the whole request */
    struct str request_hash; /* of method, path, query and raw body; 32 bytes */
    struct str if_match;     /* the header; base NULL without it */

    bool replied;
    int status;
    bool envelope; /* call_data was called */
    bool sealed;
    const char *message;
    struct call_pair headers[CALL_HEADERS_MAX];
    unsigned header_count;

    bool failed;
    enum fail code;
    const char *field, *why;
    const struct validation *validation; /* many fields at once, instead of field */
    struct call_pair details[CALL_DETAILS_MAX];
    unsigned detail_count;
    struct str passed; /* the error map of a service below, passed on as it is */
};

/* Fills the call from a REQUEST's map, from which it then borrows; from_http: flag 1 (JSON) was set. -1 when the error
 * has been recorded: no map, an operation that this service does not have (call->operation is NULL), or what the
 * contract forbids. */
int call_read_request(struct call *self, struct str map, bool from_http) must_check;

/* Makes an error of `from` this call's. */
int call_fail_as(struct call *self, const struct call *from);

/* Forgets the answer, so that the handler can run again. */
void call_reset(struct call *self);

/* validation_error with all that was found; the validation lives in the arena. */
int call_fail_validation(struct call *self, const struct validation *validation) must_check;

/* The two last frames of the reply, appended. headers gets nothing when there are none. */
void call_write_headers(const struct call *self, struct buf *target);
void call_write_error(const struct call *self, struct buf *target);
int call_status(const struct call *self); /* of the answer or of the error */

#endif

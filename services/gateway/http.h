/* http.h - libmicrohttpd on one side, struct request on the other. Suspending and resuming happens here and nowhere
 * else.
 *
 * A suspended connection is watched by nobody: libmicrohttpd neither times it out nor notices that its client left. So
 * everything that suspends has a deadline of its own, and always wakes the request.
 */
#ifndef HTTP_H
#define HTTP_H

#include "request.h"

struct http;

struct http *http_new(struct gateway *gateway); /* listens; NULL after logging why not */
void http_destroy(struct http **self);          /* nothing may be suspended any more */

int http_fd(const struct http *self); /* readable when http_run has something to do */
void http_run(struct http *self);
bool http_must_run(const struct http *self);   /* resumed connections wait for http_run */
int64_t http_next_ms(const struct http *self); /* monotonic; INT64_MAX when never */
void http_tick(struct http *self);             /* cuts off clients that drip their head in */

void http_wake(struct request *request);    /* the request's state has moved on */
void http_called(struct http *self);        /* from a content reader that had something: this turn was not idle */
void http_suspend(struct request *request); /* from a callback of libmicrohttpd only */

/* Drain: no new connections; true when no request is open. */
void http_quiesce(struct http *self);
bool http_is_idle(const struct http *self);
void http_abort(struct http *self); /* what is still suspended is answered 503 */

#endif

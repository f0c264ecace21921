/* outbound.h - HTTP requests to addresses that strangers have named: apps' endpoints (contract C.1, D.2, K.4).
 *
 * Rules that no caller can leave out: https only (http as well under SX_DEV); the address that was resolved is the one
 * that is dialled, and it must be public (address.h; any under SX_DEV); no redirects, no proxy, no credentials from the
 * environment; certificates are checked; time and the answer's size are bounded. Blocks its thread: for actors.
 */
#ifndef OUTBOUND_H
#define OUTBOUND_H

#include "call.h"

/* One POST of JSON. */
struct outbound_request {
    const char *url; /* NULL: no URL that could be used; the request fails */
    struct str body; /* borrowed; never logged */
    /* the answer */
    int status;  /* 0: none came */
    char *error; /* why none came, in the call's arena; NULL when there is a status */
};

/* url with the path segment `leaf` added behind its path, in the arena; NULL when url is none, or not http or https. */
char *outbound_url(struct arena *arena, const char *url, const char *leaf);

/* What is wrong with an address that a stranger gives to be dialled later, as a sentence for him; NULL when nothing is
 * that could be known now: names are looked up when they are dialled. Under SX_DEV any URL is fine. */
const char *outbound_url_error(const char *url);

/* Sends all side by side and answers when each has its end, after timeout_ms at the latest. In an actor's turn that is
 * to end (actor_is_stopping) it gives up at once what is under way. */
void outbound_send(struct outbound_request *const *requests, unsigned count, int64_t timeout_ms, struct call *call);

#endif

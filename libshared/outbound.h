/* outbound.h - HTTP requests to addresses that strangers have named: apps' endpoints (contract C.1, D.2, K.4).
 *
 * Rules that no caller can leave out: https only (http as well under SX_DEV); the address that was resolved is the one
 * that is dialled, and it must be public (address.h; any under SX_DEV), its port 443 or above 1023; no redirects, no
 * proxy, no credentials from the environment; certificates are checked; time and the answer's size are bounded.
 *
 * Requests are under way side by side, each with its own time, so that one that is slow holds up no other. For actors:
 * a turn begins some, takes those that are over, and leaves the rest to the next turn.
 */
#ifndef OUTBOUND_H
#define OUTBOUND_H

#include "call.h"

#define OUTBOUND_ERROR_SIZE  256
#define OUTBOUND_HEADERS_MAX 12

/* One POST of JSON, or a GET when body is absent. Its owner's; must stay where it is, with all it points to, until it
 * is over. */
struct outbound_request {
    const char *url;
    struct str body; /* never logged */
    void *owner;     /* whatever the owner wants to find it by */

    /* Further header lines, "Name: value", the owner's; their text has no line breaks. NULL ends them, and so does the
     * array being full. */
    const char *headers[OUTBOUND_HEADERS_MAX];

    /* The answer's first bytes, into memory of the owner's; 0: none are wanted. */
    char *answer;
    size_t answer_size;

    /* the answer */
    int status; /* 0: none came */
    size_t answer_len;
    int64_t retry_after_s;           /* what its Retry-After asks for; 0: nothing */
    int64_t duration_ms;             /* from the beginning to the end */
    char error[OUTBOUND_ERROR_SIZE]; /* why none came; "" when there is a status */
};

/* The requests that are under way, and the connections that are kept for the next ones: of one thread. */
struct outbound;

struct outbound *outbound_new(void);

/* What is under way is broken off, at once, and its requests are the owner's again without an answer. */
void outbound_destroy(struct outbound **self);

/* Sends it; it is over after timeout_ms at the latest. -1, with the error in it, when there is no URL (url is NULL). */
int outbound_begin(struct outbound *self, struct outbound_request *request, int64_t timeout_ms) must_check;

/* A request that is over; NULL when none was until then (clock_monotonic_ms), or none is under way. */
struct outbound_request *outbound_take(struct outbound *self, int64_t until_ms);

/* The same, but also NULL as soon as fd can be read; -1: none. Requests that are over come first. */
struct outbound_request *outbound_take_or(struct outbound *self, int64_t until_ms, int fd);

/* url with the path segment `leaf` added behind its path, in the arena; NULL when url is none, or not http or https. */
char *outbound_url(struct arena *arena, const char *url, const char *leaf);

/* What is wrong with an address that a stranger gives to be dialled later, as a sentence for him; NULL when nothing is
 * that could be known now: names are looked up when they are dialled. SX_DEV allows http, any port but 0, and hosts
 * that are not public; how the URL is to be written holds there too (outbound_url.c). */
const char *outbound_url_error(const char *url);

/* For outbound*.c: ports of well-known services other than https are not dialled. */
bool outbound_port_is_fine(long port);
void outbound_start(void); /* the library, once */

#endif

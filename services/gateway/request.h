/* request.h - one HTTP request, from its first header to its last byte of answer.
 *
 * `state` is the whole state of a request; http.c moves it on. Its memory is the arena, given back when libmicrohttpd
 * has sent the answer or lost the client; requests themselves come from a free list. Header values are borrowed from
 * the connection and live as long as the request.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <microhttpd.h>

#include "arena.h"
#include "bounds.h"
#include "buf.h"
#include "gateway.h"
#include "hub.h"
#include "identities.h"
#include "limiter.h"
#include "proxies.h"
#include "router.h"

enum request_state {
    REQUEST_HEAD,       /* the URL is there, the headers are not yet */
    REQUEST_ASKING,     /* auth is asked who this is; suspended */
    REQUEST_BODY,       /* admitted; the body arrives */
    REQUEST_SWALLOWING, /* answered, but the client still sends its body */
    REQUEST_CALLING,    /* a service works on it; suspended */
    REQUEST_ANSWERED,   /* the answer is ready */
    REQUEST_SENDING,    /* libmicrohttpd has the answer */
};

/* The headers we read. Others are ignored. */
enum request_header {
    HEADER_AUTHORIZATION,
    HEADER_AUTH_TOKEN,
    HEADER_CLIENT_ID,
    HEADER_CLIENT_SECRET,
    HEADER_STORE_ID,
    HEADER_REQUEST_ID,
    HEADER_IDEMPOTENCY_KEY,
    HEADER_CONTENT_TYPE,
    HEADER_CONTENT_ENCODING,
    HEADER_HOST,
    HEADER_CONTENT_LENGTH,
    HEADER_TRANSFER_ENCODING,
    HEADER_EXPECT,
    HEADER_IF_NONE_MATCH,
    HEADER_IF_MATCH,
    HEADER_ORIGIN,
    HEADER_FORWARDED_FOR,
    HEADER_FORWARDED_PROTO,
    HEADER_COOKIE,
    HEADER_ACCEPT_ENCODING,
    HEADERS,
};

#define ANSWER_HEADERS_MAX 24

struct answer {
    int status;
    const char *body;
    size_t body_size;
    bool body_is_static;   /* program text; else in the arena, or in message */
    zmq_msg_t *message;    /* the reply's body frame, when a service made it; owned */
    struct stream *stream; /* instead of a body: the answer comes in chunks; owned */
    unsigned header_count;
    struct {
        const char *name, *value; /* program text or arena */
    } headers[ANSWER_HEADERS_MAX];
};

/* One TCP connection. */
struct peer {
    char address[ADDRESS_TEXT_SIZE];
    int fd;
    int64_t waiting_since_ms;     /* for a complete head; a client that drips one in is cut off */
    struct request *request;      /* the one being read or answered, or NULL */
    struct peer *next, *previous; /* of those waiting, oldest first */
};

struct request {
    enum request_state state;
    bool suspended;
    bool body_begun;     /* libmicrohttpd has gone past the headers */
    bool broken;         /* the headers contradict each other */
    const char *doubled; /* a header that may stand once, and stood twice; program text */
    bool close;          /* the connection ends with the answer */
    struct gateway *gateway;
    struct MHD_Connection *connection;
    struct peer *peer;
    struct arena *arena;
    struct request *next, *previous;
    int64_t started_us, ended_us; /* until the answer was ready */
    int64_t body_since_ms;
    bool looked_at;       /* by http_tick, */
    uint64_t looked_size; /* when body_size was this */

    /* what is asked */
    struct str uri;         /* as sent */
    const char *uri_end;    /* in the connection's memory */
    struct str path, query; /* parts of uri; query is absent when there is no "?" */
    const char *method_name;
    int method; /* enum http_method, or -1: HEAD is GET */
    bool is_head, is_options;
    bool is_limited; /* under /api/: counts in the global class */
    bool upper_case; /* the developer family's error codes */
    bool no_cors;    /* a page: no script of another origin may read it (RFC 9700, 2.6) */
    struct str headers[HEADERS];
    int64_t content_length; /* as announced; 0 when not */
    char request_id[REQUEST_ID_MAX + 1];
    struct route_match route;
    const struct operation *operation; /* NULL: a path of the gateway's own, or none */

    /* who asks */
    const char *address;
    uint8_t address_key[24];
    size_t address_key_size;
    struct identity identity;
    struct identity_question question;
    struct limit_answer limit; /* the window nearest to its limit; limit 0: none looked at yet */

    /* what is sent on */
    uint64_t body_size;   /* bytes that came, also of a body that is thrown away */
    uint64_t swallow_max; /* where throwing away ends and the connection is closed */
    size_t body_held;     /* of these, counted in the bound of all bodies */
    struct buf body;
    struct buf scratch; /* for packing */
    struct buf frame;   /* the REQUEST's frame 3 */
    struct hub_call call;
    int64_t service_ms;
    struct upload *upload;       /* x-upload: sent on in pieces */
    struct multipart *multipart; /* a body in parts */
    struct stream *stream;       /* x-stream: being sent; libmicrohttpd's */
    const char *after;           /* x-stream: where the next chunk begins */

    struct answer answer;
};

#endif

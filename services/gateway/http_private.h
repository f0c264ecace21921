/* http_private.h - what the files of http.h share. */
#ifndef HTTP_PRIVATE_H
#define HTTP_PRIVATE_H

#include "http.h"

#define ARENA_FIRST_BLOCK 8192
#define BUFFER_KEPT_MAX   16384 /* larger buffers are freed with their request */
#define REQUESTS_KEPT_MAX 256   /* spare requests, some 10 KiB each */

struct http {
    struct gateway *gateway;
    struct MHD_Daemon *daemon;
    int epoll_fd;
    int quiesced_fd; /* the listening socket that drain gave back, or -1 */
    bool must_run;
    bool called;           /* by libmicrohttpd, since http_run began */
    unsigned idle_turns;   /* in a row, in which it called nothing */
    int64_t pause_till_ms; /* it asks for the next turn, but would do nothing in it */
    int64_t tick_ms;
    struct request *live, *spare;
    unsigned spare_count;
    size_t bodies_size; /* bytes of request bodies held, all together */
    struct peer *first_waiting, *last_waiting;
    struct peer *first_unheard; /* of those waiting, the first not looked at by http_tick */
};

void http_request_free(struct http *http, struct request *self);

/* A connection waits for the next head, or has sent one. */
void http_peer_waits(struct http *http, struct peer *peer);
void http_peer_heard(struct http *http, struct peer *peer);

/* libmicrohttpd's callbacks */
void *http_on_uri(void *context, const char *uri, struct MHD_Connection *connection);
void http_on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code);
enum MHD_Result http_on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                const char *version, const char *data, size_t *size, void **cookie);
void http_on_completed(void *context, struct MHD_Connection *connection, void **cookie,
                       enum MHD_RequestTerminationCode code);

/* Hands the answer over (http_answer.c). */
enum MHD_Result http_answer(struct request *self);

/* The real MHD_queue_response; the plain name is only ever called by libmicrohttpd itself (http_errors.c). */
enum MHD_Result http_errors_queue(struct MHD_Connection *connection, unsigned status, struct MHD_Response *response);
void http_errors_start(struct http *http);

/* The request libmicrohttpd refuses before it reaches us; made when it did not get as far as a URL. */
struct request *http_broken_request(struct http *self, struct MHD_Connection *connection);

#endif

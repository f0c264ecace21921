/* http_answer.c - a finished answer becomes libmicrohttpd's response, without a copy of what a service wrote. */
#include <stdlib.h>

#include "access.h"
#include "http_private.h"
#include "log.h"
#include "reply.h"
#include "stream.h"

static void
release_message(void *context)
{
    zmq_msg_t *message = context;

    zmq_msg_close(message);
    free(message);
}

static void
release_nothing(void *context)
{
    (void)context;
}

/* The answer as libmicrohttpd wants it. A message or a stream is the response's from here on. */
static struct MHD_Response *
make_response(struct request *self)
{
    struct answer *answer = &self->answer;
    struct MHD_Response *response;
    void *body = (void *)(uintptr_t)answer->body; /* libmicrohttpd does not write to it */

    if (answer->stream) {
        self->stream = answer->stream;
        answer->stream = NULL;
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HEADER_MEMORY_MAX / 2, stream_read, self->stream,
                                                     stream_release);
    } else if (answer->message) {
        response = MHD_create_response_from_buffer_with_free_callback_cls(answer->body_size, body, release_message,
                                                                          answer->message);
        answer->message = NULL;
    } else if (answer->body_is_static) {
        response =
            MHD_create_response_from_buffer_with_free_callback_cls(answer->body_size, body, release_nothing, NULL);
    } else {
        response = MHD_create_response_from_buffer(answer->body_size, body, MHD_RESPMEM_MUST_COPY);
    }
    if (!response)
        log_fatal("no_memory", "s:what", "an HTTP response", NULL);
    for (unsigned i = 0; i < answer->header_count; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    return response;
}

enum MHD_Result
http_answer(struct request *self)
{
    struct MHD_Response *response;
    enum MHD_Result result;

    reply_complete(self);
    if (self->close || self->gateway->draining)
        reply_header_static(self, "Connection", "close");
    self->ended_us = access_now_us();
    self->state = REQUEST_SENDING;
    response = make_response(self);
    result = http_errors_queue(self->connection, (unsigned)self->answer.status, response);
    MHD_destroy_response(response);
    return result;
}

/* stream.c - libmicrohttpd pulls, we ask the service when there is nothing left to give.
 *
 * libmicrohttpd releases the content reader in its own time, so the stream outlives its request and knows that.
 */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#include "forward.h"
#include "http.h"
#include "in.h"
#include "log.h"
#include "pack.h"

#define NEXT_SIZE_MAX (STREAM_NEXT_MAX + 1)

struct stream {
    struct request *request; /* NULL: gone */
    struct arena *arena;     /* emptied before each chunk, so that a long export does not grow */
    struct hub_call call;
    zmq_msg_t chunk;
    size_t used;
    char next[NEXT_SIZE_MAX]; /* "" after the last chunk */
    bool waiting, failed;
};

/* The X-Stream-Next header of a reply into target; "" when it is the last. */
static int
read_next(struct arena *arena, zmq_msg_t *headers, char target[NEXT_SIZE_MAX])
{
    struct in map;
    struct str next;

    target[0] = '\0';
    if (zmq_msg_size(headers) == 0)
        return 0;
    if (in_decode(&map, arena, zmq_msg_data(headers), zmq_msg_size(headers)) != 0)
        return -1;
    next = in_str(map, "X-Stream-Next");
    if (next.len >= NEXT_SIZE_MAX)
        return -1;
    if (next.len > 0)
        memcpy(target, next.base, next.len);
    target[next.len] = '\0';
    return 0;
}

int
stream_begin(struct stream **self, struct request *request, struct hub_reply *reply)
{
    char next[NEXT_SIZE_MAX];
    struct stream *made;

    *self = NULL;
    if (read_next(request->arena, &reply->headers, next) != 0)
        return -1;
    if (next[0] == '\0')
        return 0;
    made = xcalloc(1, sizeof *made);
    made->request = request;
    made->arena = arena_new(8192);
    memcpy(made->next, next, strlen(next) + 1);
    zmq_msg_init(&made->chunk);
    zmq_msg_move(&made->chunk, &reply->body);
    *self = made;
    return 0;
}

void
stream_destroy(struct stream **self)
{
    if (!*self)
        return;
    if ((*self)->waiting && (*self)->request)
        hub_cancel((*self)->request->gateway->hub, &(*self)->call);
    if ((*self)->request)
        (*self)->request->stream = NULL;
    zmq_msg_close(&(*self)->chunk);
    arena_destroy(&(*self)->arena);
    free(*self);
    *self = NULL;
}

void
stream_release(void *context)
{
    struct stream *self = context;

    stream_destroy(&self);
}

void
stream_orphan(struct stream *self)
{
    if (self->waiting && self->request)
        hub_cancel(self->request->gateway->hub, &self->call);
    self->waiting = false;
    self->failed = true;
    self->request = NULL;
}

static void
break_off(struct stream *self, int status)
{
    log_event(LOG_WARN, "stream_broken", "s:request_id", self->request->request_id, "s:operation",
              self->request->operation->name, "l:status", (int64_t)status, NULL);
    self->failed = true;
}

static void
on_chunk(struct hub_call *call, struct hub_reply *reply)
{
    struct stream *self = call->owner;

    self->waiting = false;
    if (reply->local || reply->error || reply->status != 200 ||
        read_next(self->arena, &reply->headers, self->next) != 0) {
        break_off(self, reply->local ? fail_texts[reply->fail].status : reply->status);
    } else {
        zmq_msg_move(&self->chunk, &reply->body);
        self->used = 0;
    }
    zmq_msg_close(&reply->headers);
    zmq_msg_close(&reply->body);
    http_wake(self->request);
}

static void
ask_next(struct stream *self)
{
    struct request *request = self->request;
    struct answer sent = request->answer; /* what cannot be packed makes pack_request answer */
    int rc;

    arena_reset(self->arena);
    request->after = self->next;
    rc = pack_request(request, self->arena, NULL);
    request->after = NULL;
    if (rc != 0) {
        request->answer = sent;
        request->state = REQUEST_SENDING;
        break_off(self, 0);
        return;
    }
    forward_prepare(request, &self->call);
    self->call.done = on_chunk;
    self->call.owner = self;
    self->waiting = true;
    hub_submit(request->gateway->hub, &self->call);
}

ssize_t
stream_read(void *context, uint64_t position, char *target, size_t size)
{
    struct stream *self = context;

    (void)position;
    for (;;) {
        size_t left = zmq_msg_size(&self->chunk) - self->used;

        if (left > 0) {
            size = left < size ? left : size;
            memcpy(target, (const char *)zmq_msg_data(&self->chunk) + self->used, size);
            self->used += size;
            http_called(self->request->gateway->http);
            self->request->answer.body_size += size;
            return (ssize_t)size;
        }
        if (self->failed)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        if (self->next[0] == '\0')
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (!self->waiting)
            ask_next(self);
        if (self->waiting) {
            http_suspend(self->request);
            return 0;
        }
    }
}

/* upload.c - pieces of a long body, one at a time. */
#include "upload.h"

#include <string.h>

#include "clock.h"
#include "forward.h"
#include "http.h"
#include "in.h"
#include "log.h"
#include "pack.h"
#include "reply.h"

struct upload {
    struct request *request;
    struct arena *arena;        /* emptied before each piece */
    char id[UPLOAD_ID_MAX + 1]; /* "" before the first reply */
    int64_t seq;
    size_t piece_size; /* of the piece on its way: the head of request->body */
    bool last;
    bool skipping; /* what still comes of a line that was too long */
};

struct upload *
upload_new(struct request *request)
{
    struct upload *self = arena_alloc(request->arena, sizeof *self);

    self->request = request;
    self->arena = arena_new(8192);
    request->body.size_max = UPLOAD_PIECE_MAX;
    return self;
}

void
upload_free(struct upload *self)
{
    if (self)
        arena_destroy(&self->arena);
}

/* The id the service gave with the first piece, from the header X-Upload-Id. */
static int
read_id(struct upload *self, zmq_msg_t *headers)
{
    struct in map;
    struct str id;

    if (self->id[0] != '\0')
        return 0;
    if (zmq_msg_size(headers) == 0 || in_decode(&map, self->arena, zmq_msg_data(headers), zmq_msg_size(headers)) != 0)
        return -1;
    id = in_str(map, "X-Upload-Id");
    if (id.len == 0 || id.len > UPLOAD_ID_MAX)
        return -1;
    memcpy(self->id, id.base, id.len);
    self->id[id.len] = '\0';
    return 0;
}

static void
on_piece(struct hub_call *call, struct hub_reply *reply)
{
    struct upload *self = call->owner;
    struct request *request = self->request;
    struct buf *body = &request->body;

    if (call->sent_ms > 0)
        request->service_ms += clock_monotonic_ms() - call->sent_ms;
    if (self->last || reply->local || reply->error) {
        reply_service(request, reply);
        http_wake(request);
        return;
    }
    if (read_id(self, &reply->headers) != 0) {
        log_event(LOG_ERROR, "reply_unreadable", "s:request_id", request->request_id, "s:operation",
                  request->operation->name, "s:header", "X-Upload-Id", NULL);
        reply_fail(request, FAIL_INTERNAL_ERROR, NULL);
    } else {
        memmove(body->data, body->data + self->piece_size, body->size - self->piece_size);
        body->size -= self->piece_size;
        self->seq++;
        request->state = REQUEST_BODY;
    }
    zmq_msg_close(&reply->headers);
    zmq_msg_close(&reply->body);
    http_wake(request);
}

static void
send_piece(struct upload *self, size_t size, bool last)
{
    struct request *request = self->request;
    struct pack_piece piece = {
        .upload = self->id[0] ? self->id : NULL,
        .seq = self->seq,
        .bytes = {request->body.data, size},
        .last = last,
    };

    arena_reset(self->arena);
    self->piece_size = size;
    self->last = last;
    if (pack_request(request, self->arena, &piece) != 0)
        return;
    forward_prepare(request, &request->call);
    request->call.repeatable = request->operation->retry && self->id[0] != '\0'; /* seq tells a repeated piece */
    request->call.done = on_piece;
    request->call.owner = self;
    request->state = REQUEST_CALLING;
    hub_submit(request->gateway->hub, &request->call);
}

/* Nothing of the rest of the line is kept. */
static size_t
skip(struct upload *self, const char *data, size_t size)
{
    const char *newline = memchr(data, '\n', size);

    self->skipping = newline == NULL;
    return newline ? (size_t)(newline + 1 - data) : size;
}

size_t
upload_take(struct upload *self, const char *data, size_t size)
{
    struct buf *body = &self->request->body;
    size_t room = STREAM_CHUNK_MAX - body->size, taken = size < room ? size : room;
    const char *newline;

    if (self->skipping)
        return skip(self, data, size);
    buf_append(body, data, taken);
    if (body->size < STREAM_CHUNK_MAX)
        return taken;
    newline = memrchr(body->data, '\n', body->size);
    if (!newline) {
        buf_append(body, "\n", 1);
        self->skipping = true;
    }
    send_piece(self, newline ? (size_t)(newline + 1 - body->data) : body->size, false);
    return taken;
}

void
upload_end(struct upload *self)
{
    send_piece(self, self->request->body.size, true);
}

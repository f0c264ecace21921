/* rpc.c - sxctl as a caller of services: it is the peer `operator`. */
#include "rpc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "client.h"
#include "clock.h"
#include "json.h"
#include "out.h"

#define GATEWAY_WAIT_MS 5000
#define CALL_WAIT_MS    30000
#define LOOK_MS         100

struct rpc *
rpc_new(void)
{
    struct rpc *self = xcalloc(1, sizeof(*self));
    int64_t until_ms = clock_monotonic_ms() + GATEWAY_WAIT_MS;

    self->arena = arena_new(65536);
    self->context = zmq_ctx_new();
    self->gateways = gateways_new(self->context, "operator");
    self->peers = peers_new(self->gateways);
    peers_sync(self->peers);
    while (!peers_live(self->peers)) {
        int64_t now_ms = clock_monotonic_ms();

        if (now_ms >= until_ms) {
            fprintf(stderr,
                    "sxctl: no gateway answers; start the platform with: make up (or set SX_HOME or SX_GATEWAY)\n");
            exit(EXIT_FAILURE);
        }
        peers_wait(self->peers, true, now_ms + LOOK_MS);
        gateways_refresh(self->gateways);
        peers_sync(self->peers);
    }
    return self;
}

void
rpc_destroy(struct rpc **self)
{
    if (!*self)
        return;
    peers_destroy(&(*self)->peers);
    gateways_destroy(&(*self)->gateways);
    zmq_ctx_term((*self)->context);
    arena_destroy(&(*self)->arena);
    free(*self);
    *self = NULL;
}

/* {"body": …} out of JSON text that this program wrote itself. */
static void
write_request(struct buf *target, const char *operation, const char *format, va_list values)
{
    struct buf members;
    struct out out;
    char why[JSON_WHY_SIZE];
    char *json;
    int len = vasprintf(&json, format, values);

    buf_init(&members, WIRE_MESSAGE_MAX);
    out_init(&out, &members, OUT_MSGPACK);
    out_map(&out, 1);
    out_key(&out, "body");
    if (len < 0 || json_to_msgpack(json, (size_t)len, &members, why) != 0 ||
        client_arguments(target, (struct str){members.data, members.size}, "operator", operation) != 0) {
        fprintf(stderr, "sxctl: %s: bad arguments\n", operation);
        exit(EXIT_FAILURE);
    }
    free(json);
    buf_free(&members);
}

static int
try_with(struct rpc *self, struct in *reply, const char *operation, const char *format, va_list values)
{
    struct client_reply answer;
    struct buf request;
    bool maybe_sent;
    int status;

    buf_init(&request, WIRE_MESSAGE_MAX);
    write_request(&request, operation, format, values);
    if (client_request(self->peers, NULL, operation, 0, &request, clock_monotonic_ms() + CALL_WAIT_MS, &answer,
                       &maybe_sent) != 0) {
        fprintf(stderr, "sxctl: %s: no answer\n", operation);
        exit(EXIT_FAILURE);
    }
    buf_free(&request);
    status = answer.error ? answer.status : 0;
    if (client_reply_decode(&answer, self->arena, reply) != 0)
        *reply = (struct in){NULL, self->arena};
    client_reply_close(&answer);
    return status;
}

int
rpc_try(struct rpc *self, struct in *reply, const char *operation, const char *body_format, ...)
{
    va_list values;
    int status;

    va_start(values, body_format);
    status = try_with(self, reply, operation, body_format, values);
    va_end(values);
    return status;
}

void
rpc_call(struct rpc *self, struct in *reply, const char *operation, const char *body_format, ...)
{
    va_list values;
    int status;

    va_start(values, body_format);
    status = try_with(self, reply, operation, body_format, values);
    va_end(values);
    if (status == 0)
        return;
    fprintf(stderr, "sxctl: %s answered %d %s: %s\n", operation, status, in_text(*reply, "code"),
            in_text(*reply, "message"));
    for (unsigned i = 0; i < in_count(*reply, "errors"); i++)
        fprintf(stderr, "  %s %s\n", in_text(in_item(in_at(*reply, "errors"), i), "field"),
                in_text(in_item(in_at(*reply, "errors"), i), "message"));
    exit(EXIT_FAILURE);
}

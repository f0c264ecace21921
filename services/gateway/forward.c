/* forward.c - the way through the hub.
 *
 * A second attempt after a lost worker is allowed for what may run twice: safe methods, and keyed requests of
 * operations that say so (x-retry). The hub decides when; here it is only said whether.
 */
#include "forward.h"

#include <string.h>

#include "clock.h"
#include "http.h"
#include "pack.h"
#include "reply.h"

void
forward_prepare(struct request *self, struct hub_call *call)
{
    memset(call, 0, sizeof *call);
    call->operation = self->operation;
    call->request = &self->frame;
    call->flags = WIRE_FLAG_JSON;
    call->repeatable = self->operation->retry && (self->method == HTTP_GET || pack_has_key(self));
    call->deadline_ms = clock_monotonic_ms() + self->operation->timeout_ms;
    call->request_id = self->request_id;
    call->store_id = self->identity.store_id;
    call->app_id = self->identity.app_id;
}

static void
on_reply(struct hub_call *call, struct hub_reply *reply)
{
    struct request *self = call->owner;

    self->service_ms = call->sent_ms > 0 ? clock_monotonic_ms() - call->sent_ms : 0;
    reply_service(self, reply);
    http_wake(self);
}

void
forward_begin(struct request *self)
{
    if (pack_request(self, self->arena, NULL) != 0)
        return;
    forward_prepare(self, &self->call);
    self->call.done = on_reply;
    self->call.owner = self;
    self->state = REQUEST_CALLING;
    hub_submit(self->gateway->hub, &self->call);
}

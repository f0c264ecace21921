/* serve_batch.c - the way of requests that come together (x-batch; call_batch.h): read each, decide all in one
 * transaction, answer each. A request that comes alone is a batch of one, and takes the same way.
 *
 * Rounds: whose Idempotency-Key stands before it in the batch is asked in the next round, when that answer is committed
 * or there is none. So a round has one request of a key that is new, and the order within a key is that in which they
 * came.
 */
#include <stdlib.h>

#include "bounds.h"
#include "clock.h"
#include "idempotency.h"
#include "serve_private.h"

struct member {
    struct call call;
    struct call_private private;
};

/* A REQUEST on its way through. */
struct together {
    struct server *server;
    const struct handler *handler;
    struct member *members;
    unsigned count;
    bool several;      /* it came with WIRE_FLAG_BATCH, and goes back so */
    struct call whole; /* runs the statements; what fails it fails all */
    struct call_private private;
};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* It has ended; the others go on. */
static void
refuse(struct call *call, enum fail code, const char *why)
{
    int rc = call_fail(call, code, NULL, why);

    (void)rc;
}

static void
read_member(struct together *self, struct member *member, const char *from, struct str map, uint8_t flags,
            int64_t deadline_ms)
{
    struct call *call = &member->call;

    server_begin(self->server, call, &member->private);
    buf_init(&member->private.body, BATCH_REPLY_MAX);
    member->private.from = from;
    call->operation = self->handler->operation;
    call->second_attempt = flags & WIRE_FLAG_AGAIN;
    call->deadline_ms = deadline_ms;
    call->out.encoding = flags & WIRE_FLAG_JSON ? OUT_JSON : OUT_MSGPACK;
    call_reset(call);
    if (call_read_request(call, map, flags & WIRE_FLAG_JSON) != 0)
        return;
    if (deadline_ms > self->whole.deadline_ms)
        self->whole.deadline_ms = deadline_ms;
    if (self->whole.operation == NULL) {
        self->whole.operation = call->operation;
        self->whole.request_id = call->request_id;
        self->whole.caller = (struct identity){.audience = call->caller.audience,
                                               .store_id = call->caller.store_id,
                                               .app_id = call->caller.app_id,
                                               .scopes = "",
                                               .service = ""};
    } else if (call->caller.audience != self->whole.caller.audience ||
               call->caller.store_id != self->whole.caller.store_id ||
               call->caller.app_id != self->whole.caller.app_id) {
        refuse(call, FAIL_BAD_REQUEST, "A batch is of one app in one store");
    }
}

/* -1 with the error recorded in the whole: no list of requests. */
static int
read_list(struct together *self, const char *from, struct str frame, int64_t received_ms)
{
    struct arena *arena = self->server->arena;
    struct in list;
    unsigned count;

    if (in_decode(&list, arena, frame.base, frame.len) != 0 || in_count(list, "") < 1 || in_count(list, "") > BATCH_MAX)
        return call_fail(&self->whole, FAIL_BAD_REQUEST, NULL, "Send a list of requests as proto/README.md says");
    count = in_count(list, "");
    self->members = arena_alloc(arena, count * sizeof(struct member));
    for (; self->count < count; self->count++) {
        struct in each = in_item(list, self->count);

        read_member(self, &self->members[self->count], from, in_str(in_item(each, 2), ""),
                    (uint8_t)in_int(in_item(each, 0), "", 0), received_ms + in_int(in_item(each, 1), "", 0));
    }
    return 0;
}

static int
read_request(struct together *self, const char *from, const struct peer_message *request, int64_t received_ms)
{
    const struct wire *wire = &request->wire;
    struct str frame = {zmq_msg_data((zmq_msg_t *)(uintptr_t)&request->body), zmq_msg_size(&request->body)};

    server_begin(self->server, &self->whole, &self->private);
    self->private.from = from;
    self->whole.out.encoding = wire->flags & WIRE_FLAG_JSON ? OUT_JSON : OUT_MSGPACK;
    self->several = wire->flags & WIRE_FLAG_BATCH;
    call_reset(&self->whole);
    if (self->several)
        return read_list(self, from, frame, received_ms);
    self->members = arena_alloc(self->server->arena, sizeof(struct member));
    self->count = 1;
    read_member(self, self->members, from, frame, wire->flags, received_ms + wire->budget_ms);
    return 0;
}

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

/* One try. 0 when each has ended, or is in `later`; -1 when the batch's call has failed. */
static int
run_once(const struct handler *handler, struct call_batch *batch, struct call_batch *later)
{
    struct call *call = batch->call;
    bool idempotent = handler->operation->idempotent;
    unsigned done = 0;

    if (db_begin(call) != 0 || (idempotent && idempotency_begin_all(batch, later) != 0))
        return -1;
    if (batch->count > 0 && handler->run_batch(batch) != 0)
        return -1;
    for (unsigned i = 0; i < batch->count; i++) {
        if (call_failed(batch->members[i]))
            continue;
        if (serve_check_answer(batch->members[i]) != 0)
            return call_fail_as(call, batch->members[i]);
        done++;
    }
    if (done == 0) {
        db_rollback(call->db); /* nothing was changed */
        return 0;
    }
    if (idempotent && idempotency_keep_all(batch) != 0)
        return -1;
    if (db_commit(call) != 0)
        return -1;
    return db_in_transaction(call->db) ? serve_fail_internally(call, "it left a transaction open") : 0;
}

/* Everybody who is still in time, as at the beginning. */
static void
begin_round(const struct call_batch *all, struct call_batch *batch)
{
    int64_t now_ms = clock_monotonic_ms();

    call_reset(all->call);
    batch->count = 0;
    for (unsigned i = 0; i < all->count; i++) {
        call_reset(all->members[i]);
        if (now_ms < all->members[i]->deadline_ms)
            batch->members[batch->count++] = all->members[i];
        else
            refuse(all->members[i], FAIL_GATEWAY_TIMEOUT, NULL);
    }
}

static int
run_often(const struct handler *handler, const struct call_batch *all, struct call_batch *later)
{
    struct call *members[BATCH_MAX];
    struct call_batch batch = {.call = all->call, .members = members};
    unsigned runs = 0;

    do {
        later->count = 0;
        begin_round(all, &batch);
        if (batch.count == 0 || run_once(handler, &batch, later) == 0)
            return 0;
        if (db_in_transaction(all->call->db))
            db_rollback(all->call->db);
    } while (serve_runs_again(all->call, ++runs));
    return call_failed(all->call) ? -1 : serve_fail_internally(all->call, "it returned -1 without call_fail");
}

/* A transaction that has failed has done nothing for any of them. */
static void
run_round(const struct handler *handler, const struct call_batch *all, struct call_batch *later)
{
    call_reset(all->call);
    if (serve_ensure_database(all->call) == 0 && run_often(handler, all, later) == 0)
        return;
    later->count = 0;
    for (unsigned i = 0; i < all->count; i++) {
        call_reset(all->members[i]);
        call_fail_as(all->members[i], all->call);
    }
}

static void
run_all(struct together *self)
{
    struct call *members[BATCH_MAX], *next[BATCH_MAX] = {NULL};
    struct call_batch all = {.call = &self->whole, .members = members};
    struct call_batch later = {.call = &self->whole, .members = next};

    for (unsigned i = 0; i < self->count; i++)
        if (!call_failed(&self->members[i].call))
            all.members[all.count++] = &self->members[i].call;
    while (all.count > 0) {
        run_round(self->handler, &all, &later);
        db_release(self->server->db);
        for (all.count = 0; all.count < later.count; all.count++)
            members[all.count] = next[all.count];
    }
}

/* ---- the reply --------------------------------------------------------------------------------------------------- */

static void
free_body(void *data, void *hint)
{
    (void)hint;
    free(data);
}

/* Each with what would have been its own header and frames. */
static void
write_replies(struct together *self, uint64_t id, struct served *reply)
{
    struct served each;
    struct buf body;
    struct out out;
    size_t size;
    char *data;

    reply->wire = (struct wire){.type = WIRE_REPLY, .flags = WIRE_FLAG_BATCH, .id = id, .status = 200};
    buf_reset(&reply->headers);
    buf_init(&each.headers, reply->headers.size_max);
    buf_init(&body, WIRE_MESSAGE_MAX);
    out_init(&out, &body, OUT_MSGPACK);
    out_list(&out, self->count);
    for (unsigned i = 0; i < self->count; i++) {
        serve_write_reply(&self->members[i].call, id, &each);
        out_list(&out, 4);
        out_int(&out, each.wire.status);
        out_int(&out, each.wire.flags);
        out_binary(&out, each.headers.data, each.headers.size);
        out_binary(&out, zmq_msg_data(&each.body), zmq_msg_size(&each.body));
        zmq_msg_close(&each.body);
    }
    buf_free(&each.headers);
    data = buf_detach(&body, &size);
    zmq_msg_init_data(&reply->body, data, size, free_body, NULL);
}

void
serve_batch(struct server *server, const struct handler *handler, const char *from, const struct peer_message *request,
            int64_t received_ms, struct served *reply)
{
    struct str name = str_of(handler->operation->name);
    int64_t started_us = clock_monotonic_us();
    struct together self = {.server = server, .handler = handler};

    if (read_request(&self, from, request, received_ms) != 0) {
        serve_write_reply(&self.whole, request->wire.id, reply);
        serve_account(&self.whole, name, started_us);
    } else {
        run_all(&self);
        if (self.several)
            write_replies(&self, request->wire.id, reply);
        else
            serve_write_reply(&self.members[0].call, request->wire.id, reply);
    }
    for (unsigned i = 0; i < self.count; i++) {
        serve_account(&self.members[i].call, name, started_us);
        buf_free(&self.members[i].private.body);
    }
    server_end(server, &self.whole);
}

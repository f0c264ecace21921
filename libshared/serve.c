/* serve.c - the way of a request through a worker thread. Whatever goes wrong ends as an error in the call, and there
 * is one place that writes the reply. What comes together is served by serve_batch.c, step by step in the same way. */
#include "serve_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "idempotency.h"
#include "log.h"
#include "metric.h"

#define ARENA_FIRST_BLOCK 32768
#define SLOW_MS           1000  /* calls that take longer are logged */
#define BODY_KEPT_MAX     65536 /* a larger buffer is given away with the reply, not kept */
#define METRICS_SIZE_MAX  262144
#define METRICS_READ      ".metrics.read"

static struct metric calls = METRIC_COUNTER("sx_calls_total", "Requests handled.");
static struct metric errors = METRIC_COUNTER("sx_call_errors_total", "Requests that ended with a 5xx error.");
static struct metric reruns =
    METRIC_COUNTER("sx_call_reruns_total", "Handlers run again after a serialization failure.");
static struct metric handler_us = METRIC_HISTOGRAM("sx_handler_seconds", "Time from taking a request to its reply.");

int64_t
serve_calls(void)
{
    return metric_value(&calls);
}

struct server *
server_new(const struct service *service, struct db *db, struct peers *peers)
{
    struct server *self = xcalloc(1, sizeof(*self));

    self->service = service;
    self->db = db;
    self->peers = peers;
    self->arena = arena_new(ARENA_FIRST_BLOCK);
    buf_init(&self->body, REPLY_SIZE_MAX);
    return self;
}

void
server_destroy(struct server **self)
{
    if (!*self)
        return;
    arena_destroy(&(*self)->arena);
    buf_free(&(*self)->body);
    free(*self);
    *self = NULL;
}

/* ---- finding the handler ------------------------------------------------------------------------------------- */

/* Every service answers NAME.metrics.read, also where its contract does not list it (NAME-aside). One process answers
 * for itself. */
int
metrics_read(struct call *call)
{
    struct buf text;

    buf_init(&text, METRICS_SIZE_MAX);
    metric_write(&text);
    out_str(&call->out, (struct str){text.data, text.size});
    buf_free(&text);
    return call_reply(call, 200);
}

static const struct operation metrics_operation = {.name = METRICS_READ, .audience = AUDIENCE_INTERNAL};
static const struct handler metrics_handler = {.operation = &metrics_operation, .run = metrics_read};

/* The order in which the table stands. */
static int
compare_name(struct str name, const char *candidate)
{
    size_t len = strlen(candidate);
    int order = memcmp(name.base, candidate, name.len < len ? name.len : len);

    return order ? order : (name.len > len) - (name.len < len);
}

static const struct handler *
find_handler(const struct service *service, struct str name)
{
    const size_t suffix = strlen(METRICS_READ);
    unsigned low = 0, high = service->handler_count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = compare_name(name, service->handlers[middle].operation->name);

        if (order == 0)
            return &service->handlers[middle];
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (name.len > suffix && memcmp(name.base + name.len - suffix, METRICS_READ, suffix) == 0)
        return &metrics_handler;
    return NULL;
}

/* ---- the handler ------------------------------------------------------------------------------------------------- */

int
serve_fail_internally(struct call *call, const char *why)
{
    log_event(LOG_ERROR, "handler_broken", "s:operation", call->operation->name, "s:request_id", call->request_id,
              "s:why", why, NULL);
    return call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
}

/* Found in any test that runs the handler. */
int
serve_check_answer(struct call *call)
{
    const struct call_private *private = call->private;

    if (!private->replied)
        return serve_fail_internally(call, "it returned 0 without call_reply");
    if (buf_failed(&private->body))
        return serve_fail_internally(call, "the answer is larger than REPLY_SIZE_MAX");
    if (!out_complete(&call->out))
        return serve_fail_internally(call, "the answer lacks members that were announced");
    if (call->operation->stream && private->body.size > STREAM_CHUNK_MAX)
        return serve_fail_internally(call, "the chunk is larger than STREAM_CHUNK_MAX");
    return 0;
}

static int
run_once(struct call *call, const struct handler *handler)
{
    bool keyed = call->operation->idempotent && call->idempotency_key && !idempotency_claims(call);
    int rc;

    if (keyed) {
        switch (idempotency_begin(call)) {
        case IDEMPOTENCY_REPLAYED: return 0;
        case IDEMPOTENCY_FAILED: return -1;
        case IDEMPOTENCY_NEW: break;
        }
    }
    rc = handler->run(call);
    if (rc == 0)
        rc = serve_check_answer(call);
    if (rc == 0 && keyed)
        rc = idempotency_keep(call);
    if (rc == 0 && db_in_transaction(call->db))
        rc = serve_fail_internally(call, "it left a transaction open");
    return rc;
}

/* A serialization failure is recorded as unavailable; a later error of the handler's own stands. What was committed
 * must not happen twice. */
static bool
wants_rerun(const struct call *call)
{
    return db_wants_retry(call->db) && call->private->failed && call->private->code == FAIL_SERVICE_UNAVAILABLE;
}

bool
serve_runs_again(const struct call *call, unsigned runs)
{
    bool again = runs < TRANSACTION_TRIES_MAX && wants_rerun(call) && clock_monotonic_ms() < call->deadline_ms;

    metric_add(&reruns, again);
    return again;
}

int
serve_ensure_database(struct call *call)
{
    if (db_ensure(call->db) == 0)
        return 0;
    log_event(LOG_WARN, "database_away", "s:request_id", call->request_id, NULL);
    return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
}

static int
run_until_done(struct call *call, const struct handler *handler)
{
    unsigned runs = 0;
    int rc;

    do {
        call_reset(call);
        rc = run_once(call, handler);
        if (rc == 0)
            return 0;
        if (db_in_transaction(call->db))
            db_rollback(call->db);
    } while (serve_runs_again(call, ++runs));
    if (!call_failed(call))
        rc = serve_fail_internally(call, "it returned -1 without call_fail");
    return rc;
}

static int
run_claimed(struct call *call, const struct handler *handler)
{
    enum idempotency_state state = idempotency_begin(call);
    int rc;

    if (state == IDEMPOTENCY_FAILED && db_in_transaction(call->db))
        db_rollback(call->db);
    if (state != IDEMPOTENCY_NEW)
        return state == IDEMPOTENCY_REPLAYED ? 0 : -1;
    db_release(call->db); /* what the claim has committed keeps the handler from nothing */
    rc = run_until_done(call, handler);
    idempotency_settle(call);
    return rc;
}

static int
run_handler(struct call *call, const struct handler *handler)
{
    if (clock_monotonic_ms() >= call->deadline_ms)
        return call_fail(call, FAIL_GATEWAY_TIMEOUT, NULL, NULL);
    if (handler != &metrics_handler && serve_ensure_database(call) != 0)
        return -1;
    return idempotency_claims(call) ? run_claimed(call, handler) : run_until_done(call, handler);
}

/* ---- the reply --------------------------------------------------------------------------------------------------- */

static void
free_body(void *data, void *hint)
{
    (void)hint;
    free(data);
}

void
serve_write_reply(struct call *call, uint64_t id, struct served *reply)
{
    struct call_private *private = call->private;
    size_t size;
    char *data;

    reply->wire = (struct wire){.type = WIRE_REPLY, .id = id, .status = (uint16_t)call_status(call)};
    buf_reset(&reply->headers);
    call_write_headers(call, &reply->headers);
    if (private->failed) {
        reply->wire.flags = WIRE_FLAG_ERROR;
        buf_reset(&private->body);
        call_write_error(call, &private->body);
    }
    if (private->body.capacity > BODY_KEPT_MAX) {
        data = buf_detach(&private->body, &size);
        zmq_msg_init_data(&reply->body, data, size, free_body, NULL);
        return;
    }
    zmq_msg_init_size(&reply->body, private->body.size);
    if (private->body.size)
        memcpy(zmq_msg_data(&reply->body), private->body.data, private->body.size);
}

void
serve_account(const struct call *call, struct str name, int64_t started_us)
{
    int64_t took_us = clock_monotonic_us() - started_us;
    int status = call_status(call);

    metric_add(&calls, 1);
    metric_observe_us(&handler_us, took_us);
    if (status >= 500)
        metric_add(&errors, 1);
    if (status >= 500 || took_us >= SLOW_MS * 1000)
        log_event(status >= 500 ? LOG_ERROR : LOG_WARN, status >= 500 ? "call_failed" : "call_slow", "s:operation",
                  arena_strndup(call->arena, name.base, name.len), "s:request_id", call->request_id, "l:status",
                  (int64_t)status, "s:code", call->private->failed ? fail_texts[call->private->code].code : NULL,
                  "l:took_us", took_us, NULL);
}

void
server_begin(struct server *self, struct call *call, struct call_private *private)
{
    *private = (struct call_private){.service = self->service->name, .body = self->body};
    *call = (struct call){
        .arena = self->arena,
        .db = self->db,
        .peers = self->peers,
        .request_id = "",
        .address = "",
        .caller = {.audience = AUDIENCE_NONE, .scopes = "", .service = ""},
        .private = private,
    };
    out_init(&call->out, &private->body, OUT_MSGPACK);
}

void
server_end(struct server *self, struct call *call)
{
    self->body = call->private->body;
    db_release(self->db);
    arena_reset(self->arena);
}

void
serve_request(struct server *self, const char *from, struct peer_message *request, int64_t received_ms,
              struct served *reply)
{
    struct str name = {zmq_msg_data(&request->name), zmq_msg_size(&request->name)};
    const struct handler *handler = find_handler(self->service, name);
    int64_t started_us = clock_monotonic_us();
    struct call_private private;
    struct call call;

    if (handler != NULL && handler->run_batch != NULL) {
        serve_batch(self, handler, from, request, received_ms, reply);
        return;
    }
    server_begin(self, &call, &private);
    private.from = from;
    call.operation = handler ? handler->operation : NULL;
    call.second_attempt = request->wire.flags & WIRE_FLAG_AGAIN;
    call.deadline_ms = received_ms + request->wire.budget_ms;
    call.out.encoding = request->wire.flags & WIRE_FLAG_JSON ? OUT_JSON : OUT_MSGPACK;
    call_reset(&call);
    if (call_read_request(&call, (struct str){zmq_msg_data(&request->body), zmq_msg_size(&request->body)},
                          request->wire.flags & WIRE_FLAG_JSON) == 0) {
        assert(handler != NULL); /* what has none is refused */
        if (run_handler(&call, handler) != 0)
            assert(call_failed(&call));
    }
    serve_write_reply(&call, request->wire.id, reply);
    serve_account(&call, name, started_us);
    server_end(self, &call);
}

bool
server_tidy(struct server *self)
{
    struct call_private private;
    struct call call;
    bool more;

    if (db_ensure(self->db) != 0)
        return false;
    server_begin(self, &call, &private);
    call.deadline_ms = clock_monotonic_ms() + STATEMENT_WAIT_MS;
    call_reset(&call);
    more = idempotency_expire(&call);
    server_end(self, &call);
    return more;
}

/* The way of a request through a worker thread. Whatever goes wrong ends as an error in the call, and there is one
 * place that writes the reply. */
#include "serve.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "idempotency.h"
#include "json.h"
#include "limits.h"
#include "log.h"
#include "metric.h"
#include "secret.h"
#include "text.h"

#define ARENA_FIRST_BLOCK 32768
#define SLOW_MS           1000  /* calls that take longer are logged */
#define BODY_KEPT_MAX     65536 /* a larger buffer is given away with the reply, not kept */
#define METRICS_SIZE_MAX  262144
#define METRICS_READ      ".metrics.read"

struct server {
    const struct service *service;
    struct db *db;
    struct peers *peers;
    struct arena *arena;
    struct buf body; /* its memory goes from reply to reply */
};

static struct metric calls = METRIC_COUNTER("sx_calls_total", "Requests handled.");
static struct metric errors = METRIC_COUNTER("sx_call_errors_total", "Requests that ended with a 5xx error.");
static struct metric reruns =
    METRIC_COUNTER("sx_call_reruns_total", "Handlers run again after a serialization failure.");
static struct metric handler_us = METRIC_HISTOGRAM("sx_handler_seconds", "Time from taking a request to its reply.");

static int64_t
monotonic_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
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

/* ---- the request ----------------------------------------------------------------------------------------------------
 */

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
static const struct handler metrics_handler = {&metrics_operation, metrics_read};

static const struct handler *
find_handler(const struct service *service, struct str name)
{
    unsigned low = 0, high = service->handler_count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        const char *candidate = service->handlers[middle].operation->name;
        int order = strncmp(name.base, candidate, name.len);

        if (order == 0 && candidate[name.len] == '\0')
            return &service->handlers[middle];
        if (order > 0)
            low = middle + 1;
        else
            high = middle; /* a name that is the beginning of the candidate stands before it */
    }
    if (name.len > strlen(METRICS_READ) &&
        memcmp(name.base + name.len - strlen(METRICS_READ), METRICS_READ, strlen(METRICS_READ)) == 0)
        return &metrics_handler;
    return NULL;
}

static const char *
text_or_empty(struct in map, const char *path)
{
    const char *text = in_text(map, path);

    return text ? text : "";
}

static void
read_caller(struct call *call, struct in request)
{
    struct in caller = in_at(request, "caller");
    int64_t audience = in_int(caller, "audience", AUDIENCE_INTERNAL);

    call->caller = (struct identity){
        .audience =
            audience >= AUDIENCE_NONE && audience <= AUDIENCE_INTERNAL ? (enum audience)audience : AUDIENCE_NONE,
        .app_id = in_int(caller, "app_id", 0),
        .store_id = in_int(caller, "store_id", 0),
        .installation_id = in_int(caller, "installation_id", 0),
        .account_id = in_int(caller, "account_id", 0),
        .scopes = text_or_empty(caller, "scopes"),
        .service = text_or_empty(caller, "service"),
    };
}

static int
append_packed(void *target, const char *data, size_t size)
{
    return buf_append(target, data, size);
}

/* A parameter as the text it would be in a URL, because that is what its rules (defaults, clamping) are written for. */
static const char *
parameter_text(struct arena *arena, struct in value, size_t *len)
{
    const msgpack_object *object = value.object;
    char text[TIME_TEXT_SIZE];
    const char *result = NULL;

    if (!object)
        return NULL;
    switch (object->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER: result = arena_printf(arena, "%" PRIu64, object->via.u64); break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: result = arena_printf(arena, "%" PRId64, object->via.i64); break;
    case MSGPACK_OBJECT_BOOLEAN: result = object->via.boolean ? "true" : "false"; break;
    case MSGPACK_OBJECT_STR: result = in_text(value, ""); break;
    case MSGPACK_OBJECT_EXT:
        if (object->via.ext.type == EXT_NUMBER)
            result = arena_strndup(arena, object->via.ext.ptr, object->via.ext.size);
        else if (object->via.ext.type == -1) {
            text_from_time(text, in_time(value, "", 0));
            result = arena_strdup(arena, text);
        } else
            result = "?";
        break;
    case MSGPACK_OBJECT_NIL: break;
    default: result = "?"; break; /* of no type that a parameter can have: refused by its schema */
    }
    *len = result ? strlen(result) : 0;
    return result;
}

/* {"path": ...} or {"query": ...}. A parameter that is absent becomes null, which reads like absent. */
static void
check_parameters(struct validation *validation, const struct operation *operation, enum parameter_place place,
                 struct in values, struct buf *target)
{
    msgpack_packer packer = {target, append_packed};
    unsigned count = 0;

    for (unsigned i = 0; i < operation->parameter_count; i++)
        count += operation->parameters[i].place == place;
    msgpack_pack_map(&packer, count);
    for (unsigned i = 0; i < operation->parameter_count; i++) {
        const struct parameter *parameter = &operation->parameters[i];
        const char *text;
        size_t len = 0;

        if (parameter->place != place)
            continue;
        msgpack_pack_str(&packer, strlen(parameter->name));
        msgpack_pack_str_body(&packer, parameter->name, strlen(parameter->name));
        text = parameter_text(validation->arena, in_at(values, parameter->name), &len);
        if (!validate_parameter(validation, parameter, text, len, target))
            msgpack_pack_nil(&packer);
    }
}

static void
pack_name(msgpack_packer *packer, const char *name)
{
    msgpack_pack_str(packer, strlen(name));
    msgpack_pack_str_body(packer, name, strlen(name));
}

/* The body as it came, from either member; -1 when the error has been recorded. Absent is left absent. */
static int
read_body(struct call *call, struct in request, struct in *body)
{
    struct str raw = in_str(request, "raw");
    char why[JSON_WHY_SIZE];
    struct buf packed;
    size_t size;
    char *data;
    int rc;

    *body = in_at(request, "body");
    if (!raw.base)
        return 0;
    buf_init(&packed, WIRE_MESSAGE_MAX);
    if (json_to_msgpack(raw.base, raw.len, &packed, why) != 0) {
        buf_free(&packed);
        return call_fail(call, FAIL_INVALID_JSON, NULL, why);
    }
    data = buf_detach(&packed, &size);
    rc = in_decode(body, call->arena, arena_strndup(call->arena, data, size), size);
    free(data);
    return rc == 0 ? 0 : call_fail(call, FAIL_INVALID_JSON, NULL, NULL);
}

/* Makes call->in out of a request that the gateway has not, or not wholly, checked. */
static int
check_arguments(struct call *call, struct in request, bool parameters_checked)
{
    const struct operation *operation = call->operation;
    struct validation *validation = arena_alloc(call->arena, sizeof(*validation));
    struct buf typed;
    msgpack_packer packer = {&typed, append_packed};
    struct in body;
    size_t size;
    char *data;
    int rc;

    if (read_body(call, request, &body) != 0)
        return -1;
    validation_init(validation, call->arena);
    buf_init(&typed, WIRE_MESSAGE_MAX);
    msgpack_pack_map(&packer, 3);
    for (unsigned i = 0; i < 2; i++) {
        struct in values = in_at(request, i ? "query" : "path");

        pack_name(&packer, i ? "query" : "path");
        if (!parameters_checked)
            check_parameters(validation, operation, i ? PLACE_QUERY : PLACE_PATH, values, &typed);
        else if (values.object)
            msgpack_pack_object(&packer, *values.object);
        else
            msgpack_pack_nil(&packer);
    }
    pack_name(&packer, "body");
    if (operation->body && body.object && body.object->type != MSGPACK_OBJECT_NIL)
        validate_value(validation, operation->body, body, "", &typed);
    else {
        if (operation->body && operation->body_required)
            validation_add(validation, "body", "is required");
        msgpack_pack_nil(&packer);
    }
    if (validation->count) {
        buf_free(&typed);
        return call_fail_validation(call, validation);
    }
    data = buf_detach(&typed, &size);
    call->private->arguments = (struct str){arena_strndup(call->arena, data, size), size};
    free(data);
    rc = in_decode(&call->in, call->arena, call->private->arguments.base, size);
    return rc == 0 ? 0 : call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
}

/* Fills the call from the message. -1 when the error has been recorded. */
static int
read_request(struct call *call, struct peer_message *message, struct call_private *private)
{
    bool from_http = message->wire.flags & WIRE_FLAG_JSON;
    struct in request;

    private->arguments = (struct str){zmq_msg_data(&message->body), zmq_msg_size(&message->body)};
    if (in_decode(&request, call->arena, private->arguments.base, private->arguments.len) != 0 ||
        request.object->type != MSGPACK_OBJECT_MAP)
        return call_fail(call, FAIL_BAD_REQUEST, NULL, "Send the request's map as proto/README.md describes it");
    read_caller(call, request);
    call->request_id = text_or_empty(request, "request_id");
    call->address = text_or_empty(request, "address");
    call->idempotency_key = in_text(request, "key");
    call->in = request;
    private->request_hash = in_str(request, "hash");
    if (!call->operation)
        return call_fail(call, FAIL_NOT_FOUND, NULL, "This service has no such operation");
    if (from_http && call->operation->path && !in_has(request, "raw"))
        return 0;
    return check_arguments(call, request, from_http && call->operation->path);
}

/* ---- the handler ----------------------------------------------------------------------------------------------------
 */

static int
fail_internally(struct call *call, const char *why)
{
    log_event(LOG_ERROR, "handler_broken", "s:operation", call->operation->name, "s:request_id", call->request_id,
              "s:why", why, NULL);
    return call_fail(call, FAIL_INTERNAL_ERROR, NULL, NULL);
}

/* What no handler may do is found here, in any test that runs it. */
static int
check_answer(struct call *call)
{
    const struct call_private *private = call->private;

    if (!private->replied)
        return fail_internally(call, "it returned 0 without call_reply");
    if (buf_failed(&private->body))
        return fail_internally(call, "the answer is larger than REPLY_SIZE_MAX");
    if (!out_complete(&call->out))
        return fail_internally(call, "the answer lacks members that were announced");
    return 0;
}

static int
run_once(struct call *call, const struct handler *handler)
{
    bool keyed = call->operation->idempotent && call->idempotency_key;
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
        rc = check_answer(call);
    if (rc == 0 && keyed)
        rc = idempotency_keep(call, call->private->status);
    if (rc == 0 && db_in_transaction(call->db))
        rc = fail_internally(call, "it left a transaction open");
    return rc;
}

/* A serialization failure is recorded as unavailable; a later error of the handler's own stands. */
static bool
wants_rerun(const struct call *call)
{
    return db_wants_retry(call->db) && call->private->failed && call->private->code == FAIL_SERVICE_UNAVAILABLE;
}

static int
run_handler(struct call *call, const struct handler *handler)
{
    int rc = -1;

    if (clock_monotonic_ms() >= call->deadline_ms)
        return call_fail(call, FAIL_GATEWAY_TIMEOUT, NULL, NULL);
    if (db_ensure(call->db) != 0 && handler != &metrics_handler)
        return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
    for (unsigned run = 1; run <= TRANSACTION_TRIES_MAX; run++) {
        call_reset(call);
        rc = run_once(call, handler);
        if (rc == 0)
            return 0;
        if (db_in_transaction(call->db))
            db_rollback(call->db);
        if (!wants_rerun(call) || clock_monotonic_ms() >= call->deadline_ms)
            break;
        metric_add(&reruns, 1);
    }
    if (!call_failed(call))
        rc = fail_internally(call, "it returned -1 without call_fail");
    return rc;
}

/* ---- the reply ------------------------------------------------------------------------------------------------------
 */

static void
free_body(void *data, void *hint)
{
    (void)hint;
    free(data);
}

static void
write_reply(struct call *call, const struct peer_message *request, struct served *reply)
{
    struct call_private *private = call->private;
    size_t size;
    char *data;

    reply->wire = (struct wire){.type = WIRE_REPLY, .id = request->wire.id, .status = (uint16_t)call_status(call)};
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

static void
account(const struct call *call, struct str name, int64_t started_us)
{
    int64_t took_us = monotonic_us() - started_us;
    int status = call_status(call);

    metric_add(&calls, 1);
    metric_observe_us(&handler_us, took_us);
    if (status >= 500)
        metric_add(&errors, 1);
    if (status >= 500 || took_us >= SLOW_MS * 1000)
        log_event(status >= 500 ? LOG_ERROR : LOG_WARN, status >= 500 ? "call_failed" : "call_slow", "s:operation",
                  arena_strndup(call->arena, name.base, name.len), "s:request_id", call->request_id, "l:status",
                  (int64_t)status, "l:took_us", took_us, NULL);
}

/* A call as it is before anything is known about it. */
static void
begin_call(struct server *self, struct call *call, struct call_private *private)
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

static void
end_call(struct server *self, struct call *call)
{
    self->body = call->private->body;
    db_release(self->db);
    arena_reset(self->arena);
}

void
serve_request(struct server *self, struct peer *from, struct peer_message *request, int64_t received_ms,
              struct served *reply)
{
    struct str name = {zmq_msg_data(&request->name), zmq_msg_size(&request->name)};
    const struct handler *handler = find_handler(self->service, name);
    int64_t started_us = monotonic_us();
    struct call_private private;
    struct call call;

    begin_call(self, &call, &private);
    private.from = from;
    call.operation = handler ? handler->operation : NULL;
    call.second_attempt = request->wire.flags & WIRE_FLAG_AGAIN;
    call.deadline_ms = received_ms + request->wire.budget_ms;
    call.out.encoding = request->wire.flags & WIRE_FLAG_JSON ? OUT_JSON : OUT_MSGPACK;
    call_reset(&call);
    if (read_request(&call, request, &private) == 0 && run_handler(&call, handler) != 0)
        assert(call_failed(&call));
    write_reply(&call, request, reply);
    account(&call, name, started_us);
    end_call(self, &call);
}

bool
server_tidy(struct server *self)
{
    struct call_private private;
    struct call call;
    bool more;

    if (db_ensure(self->db) != 0)
        return false;
    begin_call(self, &call, &private);
    call.deadline_ms = clock_monotonic_ms() + STATEMENT_WAIT_MS;
    call_reset(&call);
    more = idempotency_expire(&call);
    end_call(self, &call);
    return more;
}

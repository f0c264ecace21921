/* call.c - a handler's side of a request: its answer, its error, its calls to the services below. */
#include "call.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "call_private.h"
#include "client.h"
#include "clock.h"
#include "etag.h"

#define WHY_SIZE_MAX 512

/* One word of the list, with _ and : as the same letter, so that read_orders is read:orders. */
static bool
scope_equal(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool aliased = (a[i] == ':' && b[i] == '_') || (a[i] == '_' && b[i] == ':');

        if (a[i] != b[i] && !aliased)
            return false;
    }
    return true;
}

bool
identity_has_scope(const struct identity *self, const char *scope)
{
    size_t len = strlen(scope);
    const char *at = self->scopes ? self->scopes : "";

    while (*at) {
        size_t word = strcspn(at, " ,");

        if (word == len && scope_equal(at, scope, len))
            return true;
        at += word;
        at += strspn(at, " ,");
    }
    return false;
}

/* ---- failing ----------------------------------------------------------------------------------------------------- */

static int
fail_with(struct call *self, enum fail code, const char *field, const char *why)
{
    struct call_private *private = self->private;

    private->failed = true;
    private->code = code;
    private->field = field;
    private->why = why;
    private->validation = NULL;
    private->passed = (struct str){NULL, 0};
    return -1;
}

int
call_fail(struct call *self, enum fail code, const char *field, const char *why)
{
    return fail_with(self, code, arena_strdup(self->arena, field), arena_strdup(self->arena, why));
}

int
call_failf(struct call *self, enum fail code, const char *field, const char *format, ...)
{
    char why[WHY_SIZE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    return call_fail(self, code, field, why);
}

int
call_fail_validation(struct call *self, const struct validation *validation)
{
    (void)fail_with(self, FAIL_VALIDATION_ERROR, NULL, NULL);
    self->private->validation = validation;
    return -1;
}

int
call_fail_as(struct call *self, const struct call *from)
{
    struct call_private *private = self->private;

    (void)fail_with(self, from->private->code, from->private->field, from->private->why);
    private->validation = from->private->validation;
    private->passed = from->private->passed;
    memcpy(private->details, from->private->details, sizeof private->details);
    private->detail_count = from->private->detail_count;
    return -1;
}

bool
call_failed(const struct call *self)
{
    return self->private->failed;
}

bool
call_take_failure(struct call *self, struct call_failure *failure)
{
    struct call_private *private = self->private;

    if (!private->failed)
        return false;
    *failure = (struct call_failure){private->code, private->field, private->why};
    private->failed = false;
    private->detail_count = 0;
    return true;
}

static void
pair_add(struct call *self, struct call_pair *pairs, unsigned *count, unsigned max, const char *name, const char *value)
{
    assert(*count < max);
    pairs[(*count)++] = (struct call_pair){arena_strdup(self->arena, name), arena_strdup(self->arena, value)};
}

void
call_fail_detail(struct call *self, const char *name, const char *json)
{
    pair_add(self, self->private->details, &self->private->detail_count, CALL_DETAILS_MAX, name, json);
}

/* ---- answering --------------------------------------------------------------------------------------------------- */

void
call_data(struct call *self)
{
    call_data_with(self, 0);
}

void
call_data_with(struct call *self, unsigned further_members)
{
    if (!self->operation->path) {
        assert(further_members == 0); /* an internal answer is one bare value */
        return;
    }
    self->private->envelope = true;
    out_map(&self->out, 2 + self->operation->upper_case + further_members);
    out_key(&self->out, "data");
}

int
call_reply(struct call *self, int status)
{
    struct call_private *private = self->private;

    if (private->envelope) {
        if (self->operation->upper_case) {
            out_key(&self->out, "message");
            out_text(&self->out, private->message ? private->message : "OK");
        }
        out_key(&self->out, "status");
        out_int(&self->out, status);
    }
    private->replied = true;
    private->status = status;
    return 0;
}

int
call_reply_row(struct call *self, int status, const struct rows *rows, unsigned row)
{
    call_data(self);
    out_row(&self->out, rows, row);
    return call_reply(self, status);
}

/* Written as the GET's answer first, whose status is 200. */
int
call_reply_resource(struct call *self, int status, const struct rows *rows)
{
    struct buf *body = self->out.buf;
    char tag[ETAG_SIZE];
    struct out before;
    size_t size;
    int rc;

    call_data(self);
    out_row(&self->out, rows, 0);
    before = self->out;
    size = body->size;
    rc = call_reply(self, 200);
    if (self->private->envelope && self->out.encoding == OUT_JSON && !buf_failed(body)) {
        etag_of(tag, body->data, body->size);
        call_header(self, "ETag", tag);
    }
    if (status == 200)
        return rc;
    self->out = before;
    body->size = size;
    return call_reply(self, status);
}

int
call_reply_deleted(struct call *self, const char *id_name, int64_t id, const char *message)
{
    call_data_with(self, 1);
    out_map(&self->out, 1);
    out_key(&self->out, id_name);
    out_int(&self->out, id);
    out_key(&self->out, "message");
    out_text(&self->out, message);
    return call_reply(self, 200);
}

void
call_header(struct call *self, const char *name, const char *value)
{
    pair_add(self, self->private->headers, &self->private->header_count, CALL_HEADERS_MAX, name, value);
}

void
call_message(struct call *self, const char *text)
{
    self->private->message = arena_strdup(self->arena, text);
}

void
call_seal(struct call *self)
{
    self->private->sealed = true;
}

/* ---- conditions -------------------------------------------------------------------------------------------------- */

bool
call_has_if_match(const struct call *self)
{
    return self->private->if_match.base != NULL;
}

int
call_if_match_body(struct call *self, struct str body)
{
    char tag[ETAG_SIZE];

    if (!call_has_if_match(self))
        return 0;
    etag_of(tag, body.base, body.len);
    if (etag_matches_strongly(self->private->if_match, tag))
        return 0;
    call_header(self, "ETag", tag);
    return call_fail(self, FAIL_PRECONDITION_FAILED, NULL, NULL);
}

/* As call_data and call_reply write a GET's answer. */
int
call_if_match(struct call *self, const struct rows *rows)
{
    struct buf body;
    struct out out;
    int rc;

    if (!call_has_if_match(self))
        return 0;
    if (rows->count == 0)
        return call_fail(self, FAIL_NOT_FOUND, NULL, NULL);
    buf_init(&body, WIRE_MESSAGE_MAX);
    out_init(&out, &body, OUT_JSON);
    out_map(&out, 2);
    out_key(&out, "data");
    out_row(&out, rows, 0);
    out_key(&out, "status");
    out_int(&out, 200);
    rc = out_complete(&out) ? call_if_match_body(self, (struct str){body.data, body.size})
                            : call_fail(self, FAIL_PAYLOAD_TOO_LARGE, NULL, NULL);
    buf_free(&body);
    return rc;
}

int
call_if_match_get(struct call *self, unsigned get_statement, int64_t id)
{
    struct rows now;

    if (!call_has_if_match(self))
        return 0;
    if (db_run(self, get_statement, &now, "ll", self->caller.store_id, id))
        return -1;
    return call_if_match(self, &now);
}

/* ---- the reply's frames ------------------------------------------------------------------------------------------ */

void
call_reset(struct call *self)
{
    struct call_private *private = self->private;

    buf_reset(&private->body);
    out_init(&self->out, &private->body, self->out.encoding);
    private->replied = private->envelope = private->sealed = private->failed = false;
    private->message = private->field = private->why = NULL;
    private->header_count = private->detail_count = 0;
    private->passed = (struct str){NULL, 0};
    private->validation = NULL;
}

int
call_status(const struct call *self)
{
    return self->private->failed ? fail_texts[self->private->code].status : self->private->status;
}

void
call_write_headers(const struct call *self, struct buf *target)
{
    const struct call_private *private = self->private;
    struct out out;

    if (private->header_count == 0)
        return;
    out_init(&out, target, OUT_MSGPACK);
    out_map(&out, private->header_count);
    for (unsigned i = 0; i < private->header_count; i++) {
        out_key(&out, private->headers[i].name);
        out_text(&out, private->headers[i].value);
    }
}

static void
write_field(struct out *out, const char *field, const char *message)
{
    out_map(out, 2);
    out_key(out, "field");
    out_text(out, field);
    out_key(out, "message");
    out_text(out, message);
}

void
call_write_error(const struct call *self, struct buf *target)
{
    const struct call_private *private = self->private;
    const struct fail_text *text = &fail_texts[private->code];
    const char *message = private->why ? private->why : text->message;
    unsigned errors = private->validation ? private->validation->count : private->field != NULL;
    struct out out;

    if (private->passed.len) {
        buf_append(target, private->passed.base, private->passed.len);
        return;
    }
    out_init(&out, target, OUT_MSGPACK);
    out_map(&out, 3 + (errors > 0) + (private->detail_count > 0));
    out_key(&out, "code");
    out_text(&out, text->code);
    out_key(&out, "status");
    out_int(&out, text->status);
    out_key(&out, "message");
    out_text(&out, message);
    if (errors) {
        out_key(&out, "errors");
        out_list(&out, errors);
        for (unsigned i = 0; private->validation && i < errors; i++)
            write_field(&out, private->validation->errors[i].field, private->validation->errors[i].message);
        if (!private->validation)
            write_field(&out, private->field, message);
    }
    if (private->detail_count) {
        out_key(&out, "details");
        out_map(&out, private->detail_count);
        for (unsigned i = 0; i < private->detail_count; i++) {
            out_key(&out, private->details[i].name);
            out_json(&out, str_of(private->details[i].value));
        }
    }
}

/* ---- calling others ---------------------------------------------------------------------------------------------- */

/* The callee's error becomes this call's, word for word; a code that is not known here still keeps its status. */
static int
pass_error(struct call *self, struct client_reply *reply, struct in map)
{
    struct in first = in_item(in_at(map, "errors"), 0);
    const char *code = in_text(map, "code"), *field = in_text(first, "field");
    enum fail found = FAIL_INTERNAL_ERROR;

    for (unsigned i = 0; code && i < fail_count; i++)
        if (strcmp(fail_texts[i].code, code) == 0)
            found = (enum fail)i;
    (void)fail_with(self, found, NULL, NULL);
    if (code && fail_texts[found].status == reply->status) {
        self->private->field = field; /* these two for who takes it back (call_take_failure) */
        self->private->why = in_text(field ? first : map, "message");
        self->private->passed.len = zmq_msg_size(&reply->body);
        self->private->passed.base = arena_strndup(self->arena, zmq_msg_data(&reply->body), zmq_msg_size(&reply->body));
    }
    return -1;
}

/* No answer came. Only what was never sent can be said to have done nothing. */
static int
fail_unanswered(struct call *self, bool maybe_sent, bool late)
{
    if (late)
        return call_fail(self, FAIL_GATEWAY_TIMEOUT, NULL, NULL);
    return call_fail(self, maybe_sent ? FAIL_OUTCOME_UNKNOWN : FAIL_SERVICE_UNAVAILABLE, NULL, NULL);
}

/* The whole request, to be released; -1 when there is none to be sent. */
static int
write_request(struct call *self, struct buf *request, const struct buf *arguments)
{
    buf_init(request, WIRE_MESSAGE_MAX);
    return client_arguments(request, (struct str){arguments->data, arguments->size}, self->private->service,
                            self->request_id);
}

/* Only who holds a worker goes to the head of the queue; an actor can wait. */
static void
exchange_all(struct call *self, struct client_exchange *exchanges, unsigned count, int64_t deadline_ms)
{
    const char *from = self->private->from;

    peers_sync(self->peers);
    client_request_all(self->peers, from ? peers_named(self->peers, from) : NULL, from ? WIRE_FLAG_NESTED : 0,
                       deadline_ms, exchanges, count);
}

/* What came of one. late: no time was left to ask. */
static int
take_answer(struct call *self, struct client_exchange *exchange, bool late, int64_t deadline_ms, struct in *reply)
{
    bool sent = exchange->maybe_sent;
    int rc;

    if (late)
        return fail_unanswered(self, false, true);
    if (!exchange->request)
        return call_fail(self, FAIL_INTERNAL_ERROR, NULL, NULL);
    if (!exchange->answered)
        return fail_unanswered(self, sent, sent && clock_monotonic_ms() >= deadline_ms);
    rc = client_reply_decode(&exchange->reply, self->arena, reply);
    if (exchange->reply.error)
        rc = pass_error(self, &exchange->reply, *reply);
    else if (rc != 0)
        rc = call_fail(self, FAIL_INTERNAL_ERROR, NULL, NULL);
    client_reply_close(&exchange->reply);
    return rc;
}

int
call_service(struct call *self, const char *operation, const struct buf *arguments, struct in *reply)
{
    int64_t deadline_ms = self->deadline_ms - NESTED_BUDGET_MARGIN_MS;
    bool late = clock_monotonic_ms() >= deadline_ms;
    struct client_exchange exchange = {.operation = operation};
    struct buf request;
    int rc;

    assert(!db_in_transaction(self->db));
    if (write_request(self, &request, arguments) == 0)
        exchange.request = &request;
    if (!late)
        exchange_all(self, &exchange, 1, deadline_ms);
    rc = take_answer(self, &exchange, late, deadline_ms, reply);
    buf_free(&request);
    return rc;
}

struct out *
call_question(struct call_question *self, unsigned members)
{
    buf_init(&self->arguments, WIRE_MESSAGE_MAX);
    out_init(&self->out, &self->arguments, OUT_MSGPACK);
    out_map(&self->out, 1);
    out_key(&self->out, "body");
    out_map(&self->out, members);
    return &self->out;
}

int
call_ask(struct call *self, const char *operation, struct call_question *question, struct in *reply)
{
    int rc = call_service(self, operation, &question->arguments, reply);

    buf_free(&question->arguments);
    return rc;
}

void
call_ask_all(struct call *self, struct call_asked *asked, unsigned count, int64_t spare_ms)
{
    int64_t deadline_ms = self->deadline_ms - (spare_ms > NESTED_BUDGET_MARGIN_MS ? spare_ms : NESTED_BUDGET_MARGIN_MS);
    bool late = clock_monotonic_ms() >= deadline_ms;
    struct client_exchange exchanges[CALL_ASKED_MAX] = {0};
    struct buf requests[CALL_ASKED_MAX];

    assert(count <= CALL_ASKED_MAX && !db_in_transaction(self->db));
    for (unsigned i = 0; i < count; i++) {
        exchanges[i].operation = asked[i].operation;
        if (write_request(self, &requests[i], &asked[i].question.arguments) == 0)
            exchanges[i].request = &requests[i];
        buf_free(&asked[i].question.arguments);
    }
    if (!late)
        exchange_all(self, exchanges, count, deadline_ms);
    for (unsigned i = 0; i < count; i++) {
        asked[i].answered = take_answer(self, &exchanges[i], late, deadline_ms, &asked[i].reply) == 0;
        if (!asked[i].answered)
            call_take_failure(self, &asked[i].failure);
        buf_free(&requests[i]);
    }
}

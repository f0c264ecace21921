/* reply.c - builds answers without copying what a service wrote.
 *
 * A body frame that came over ZeroMQ goes to libmicrohttpd as it is. Only errors are written here: a service tells code
 * and reason, and the envelope depends on the family of the path it was asked through.
 */
#include "reply.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cors.h"
#include "etag.h"
#include "in.h"
#include "log.h"
#include "out.h"
#include "reply_private.h"
#include "stream.h"
#include "web.h"

#define HEADER_VALUE_MAX 8192
#define ERROR_SIZE_MAX   262144

/* What a service may set. */
static const char *const service_headers[] = {
    "Retry-After",         "Idempotent-Replayed", "Location", "ETag",          "Content-Type",
    "Content-Disposition", "Deprecation",         "Sunset",   "Cache-Control", "Content-Security-Policy",
};

/* And where browsers and RFC clients are answered (x-answer). */
static const char *const web_headers[] = {"Set-Cookie", "WWW-Authenticate"};

void
reply_header_static(struct request *self, const char *name, const char *value)
{
    struct answer *answer = &self->answer;

    for (unsigned i = 0; i < answer->header_count; i++) {
        if (strcasecmp(answer->headers[i].name, name) == 0) {
            answer->headers[i].value = value;
            return;
        }
    }
    if (answer->header_count < ANSWER_HEADERS_MAX) {
        answer->headers[answer->header_count].name = name;
        answer->headers[answer->header_count++].value = value;
    }
}

void
reply_header(struct request *self, const char *name, const char *value)
{
    reply_header_static(self, name, arena_strdup(self->arena, value));
}

static const char *
header_value(const struct request *self, const char *name)
{
    for (unsigned i = 0; i < self->answer.header_count; i++) {
        if (strcasecmp(self->answer.headers[i].name, name) == 0)
            return self->answer.headers[i].value;
    }
    return NULL;
}

void
reply_vary(struct request *self, const char *name)
{
    const char *known = header_value(self, "Vary");

    reply_header_static(self, "Vary", known ? arena_printf(self->arena, "%s, %s", known, name) : name);
}

void
reply_clear(struct request *self)
{
    struct answer *answer = &self->answer;

    if (answer->message) {
        zmq_msg_close(answer->message);
        free(answer->message);
    }
    stream_destroy(&answer->stream);
    memset(answer, 0, sizeof *answer);
}

static void
answer_begin(struct request *self, int status)
{
    reply_clear(self);
    self->answer.status = status;
    self->state = REQUEST_ANSWERED;
}

void
reply_json(struct request *self, int status, struct str json)
{
    answer_begin(self, status);
    self->answer.body = json.base;
    self->answer.body_size = json.len;
}

void
reply_page(struct request *self, const char *content_type, const char *text, size_t size, const char *tag)
{
    bool unchanged =
        tag && self->headers[HEADER_IF_NONE_MATCH].base && etag_matches(self->headers[HEADER_IF_NONE_MATCH], tag);

    answer_begin(self, unchanged ? 304 : 200);
    self->answer.body = text;
    self->answer.body_size = size;
    self->answer.body_is_static = true;
    reply_header_static(self, "Content-Type", content_type);
    if (tag) {
        reply_header_static(self, "ETag", tag);
        reply_header_static(self, "Cache-Control", "public, no-cache");
    }
}

/* ---- errors -------------------------------------------------------------------------------------------------- */

unsigned
error_fields(const struct error *self)
{
    return self->validation ? self->validation->count : in_count(self->errors, "");
}

void
error_field(const struct error *self, unsigned index, const char **field, const char **message)
{
    if (self->validation) {
        *field = self->validation->errors[index].field;
        *message = self->validation->errors[index].message;
        return;
    }
    *field = in_text(in_item(self->errors, index), "field");
    *message = in_text(in_item(self->errors, index), "message");
}

static void
write_status_code_message(struct request *self, struct out *out, const struct error *error)
{
    if (!self->upper_case) {
        out_key(out, "message");
        out_text(out, error->message);
        out_key(out, "code");
        out_text(out, error->code);
        out_key(out, "status");
        out_int(out, error->status);
        return;
    }
    out_key(out, "status");
    out_int(out, error->status);
    out_key(out, "code");
    out_text(out, error->code);
    out_key(out, "message");
    out_text(out, error->message);
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

static void
write_fields(struct out *out, const struct error *error, unsigned count)
{
    out_key(out, "errors");
    out_list(out, count);
    for (unsigned i = 0; i < count; i++) {
        const char *field, *message;

        error_field(error, i, &field, &message);
        write_field(out, field, message);
    }
}

static void
write_details(struct out *out, struct in details)
{
    for (unsigned i = 0; i < in_count(details, ""); i++) {
        msgpack_sbuffer packed;
        msgpack_packer packer;

        msgpack_sbuffer_init(&packed);
        msgpack_packer_init(&packer, &packed, msgpack_sbuffer_write);
        msgpack_pack_object(&packer, *in_value(details, i).object);
        out_key_str(out, in_key(details, i));
        out_msgpack(out, (struct str){packed.data, packed.size});
        msgpack_sbuffer_destroy(&packed);
    }
}

static void
write_error(struct request *self, const struct error *error)
{
    bool oauth = self->operation && self->operation->answer == ANSWER_OAUTH;
    unsigned fields = error_fields(error);
    struct buf text;
    struct out out;

    buf_init(&text, ERROR_SIZE_MAX);
    out_init(&out, &text, OUT_JSON);
    out_map(&out, 3 + 2u * oauth + (fields > 0) + in_count(error->details, ""));
    if (oauth)
        web_write_oauth_error(self, &out, error);
    write_status_code_message(self, &out, error);
    if (fields > 0)
        write_fields(&out, error, fields);
    write_details(&out, error->details);
    if (!out_complete(&out)) {
        const struct fail_text *fail = &fail_texts[FAIL_INTERNAL_ERROR];
        const struct error plain = {.status = fail->status, .code = fail->code, .message = fail->message};

        log_event(LOG_ERROR, "error_unwritable", "s:request_id", self->request_id, "s:code", error->code, NULL);
        buf_free(&text);
        if (error->code != fail->code)
            write_error(self, &plain);
        return;
    }
    reply_json(self, error->status, (struct str){arena_strndup(self->arena, text.data, text.size), text.size});
    buf_free(&text);
}

/* What a client could show (RFC 6750, 3), and whether it was a token that has been refused. */
static void
add_challenge(struct request *self)
{
    bool token = self->headers[HEADER_AUTHORIZATION].base || self->headers[HEADER_AUTH_TOKEN].base;

    reply_header_static(self, "WWW-Authenticate", token ? "Bearer error=\"invalid_token\"" : "Bearer");
}

static void
reply_error(struct request *self, const struct error *error)
{
    if (self->operation && self->operation->answer == ANSWER_PAGE)
        web_reply_error(self, error);
    else
        write_error(self, error);
    if (error->status == 401 && self->operation && self->operation->audience != AUDIENCE_NONE)
        add_challenge(self);
    if (error->status == 503)
        reply_header_static(self, "Retry-After", "1");
    else if (error->status == 429 && self->limit.limit > 0)
        reply_header_static(self, "Retry-After", arena_printf(self->arena, "%u", self->limit.reset_s));
}

void
reply_fail(struct request *self, enum fail fail, const char *why)
{
    const struct fail_text *text = &fail_texts[fail];
    const struct error error = {
        .status = text->status,
        .code = self->upper_case ? text->upper : text->code,
        .message = why ? why : text->message,
    };

    reply_error(self, &error);
}

void
reply_invalid(struct request *self, const struct validation *validation)
{
    const struct fail_text *text = &fail_texts[FAIL_VALIDATION_ERROR];
    const struct error error = {
        .status = text->status,
        .code = self->upper_case ? text->upper : text->code,
        .message = text->message,
        .validation = validation,
    };

    reply_error(self, &error);
}

/* ---- what services say --------------------------------------------------------------------------------------- */

/* The error map of proto/README.md. One that is none is the service's fault, not the client's. */
static void
reply_error_map(struct request *self, struct hub_reply *reply)
{
    const struct fail_text *known = NULL;
    struct error error = {.status = reply->status};
    struct in map;

    if (in_decode(&map, self->arena, zmq_msg_data(&reply->body), zmq_msg_size(&reply->body)) != 0 ||
        !in_text(map, "code") || error.status < 400 || error.status > 599) {
        log_event(LOG_ERROR, "reply_unreadable", "s:request_id", self->request_id, "s:operation", self->operation->name,
                  NULL);
        reply_fail(self, FAIL_INTERNAL_ERROR, NULL);
        return;
    }
    error.code = in_text(map, "code");
    error.message = in_text(map, "message");
    error.errors = in_at(map, "errors");
    error.details = in_at(map, "details");
    for (unsigned i = 0; i < fail_count && !known; i++) {
        if (strcmp(fail_texts[i].code, error.code) == 0)
            known = &fail_texts[i];
    }
    if (!error.message)
        error.message = known ? known->message : fail_texts[FAIL_INTERNAL_ERROR].message;
    if (self->upper_case && known) {
        error.code = known->upper;
    } else if (self->upper_case) {
        char *code = arena_strdup(self->arena, error.code);

        for (char *place = code; *place; place++)
            *place = (char)toupper((unsigned char)*place);
        error.code = code;
    }
    reply_error(self, &error);
}

static bool
is_printable(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.base[i] < 0x20 || (unsigned char)text.base[i] > 0x7e)
            return false;
    }
    return text.len > 0 && text.len <= HEADER_VALUE_MAX;
}

static void
add_known_header(struct request *self, const char *const *known, unsigned count, struct str name, struct str value)
{
    for (unsigned i = 0; i < count; i++) {
        if (name.len == strlen(known[i]) && strncasecmp(name.base, known[i], name.len) == 0 && is_printable(value))
            reply_header_static(self, known[i], arena_strndup(self->arena, value.base, value.len));
    }
}

static void
add_service_headers(struct request *self, zmq_msg_t *frame)
{
    bool web = self->operation->answer != ANSWER_JSON;
    struct in map;

    if (zmq_msg_size(frame) == 0)
        return;
    if (in_decode(&map, self->arena, zmq_msg_data(frame), zmq_msg_size(frame)) != 0)
        return;
    for (unsigned i = 0; i < in_count(map, ""); i++) {
        struct str name = in_key(map, i), value = in_str(in_value(map, i), "");

        add_known_header(self, service_headers, ARRAY_COUNT(service_headers), name, value);
        if (web)
            add_known_header(self, web_headers, ARRAY_COUNT(web_headers), name, value);
    }
}

/* A GET's answer gets its validator, and none of its body when the client has it already. */
static void
add_validator(struct request *self)
{
    struct answer *answer = &self->answer;
    struct str known = self->headers[HEADER_IF_NONE_MATCH];
    const char *tag = header_value(self, "ETag"), *caching = header_value(self, "Cache-Control");

    if (caching && strcmp(caching, "no-store") == 0)
        return; /* a secret, fresh each time */
    if (!tag) {
        char *made = arena_alloc(self->arena, ETAG_SIZE);

        etag_of(made, answer->body, answer->body_size);
        tag = made;
        reply_header_static(self, "ETag", tag);
    }
    if (!caching)
        reply_header_static(self, "Cache-Control", "private, no-cache");
    if (known.base && etag_matches(known, tag))
        answer->status = 304; /* the body stays for its length and is not sent */
}

static void
reply_success(struct request *self, struct hub_reply *reply)
{
    struct answer *answer = &self->answer;
    int status = reply->status;

    if (status < 200 || status > 599) {
        log_event(LOG_ERROR, "reply_unreadable", "s:request_id", self->request_id, "s:operation", self->operation->name,
                  "l:status", (int64_t)status, NULL);
        reply_fail(self, FAIL_INTERNAL_ERROR, NULL);
        return;
    }
    answer_begin(self, status);
    if (self->operation->stream && status == 200) {
        if (stream_begin(&answer->stream, self, reply) != 0) {
            log_event(LOG_ERROR, "reply_unreadable", "s:request_id", self->request_id, "s:operation",
                      self->operation->name, "s:header", "X-Stream-Next", NULL);
            reply_fail(self, FAIL_INTERNAL_ERROR, NULL);
            return;
        }
        reply_header_static(self, "Content-Type", "application/x-ndjson"); /* unless the service says otherwise */
        if (answer->stream)
            return;
    }
    answer->message = xmalloc(sizeof *answer->message);
    zmq_msg_init(answer->message);
    zmq_msg_move(answer->message, &reply->body);
    answer->body = zmq_msg_data(answer->message);
    answer->body_size = zmq_msg_size(answer->message);
}

void
reply_service(struct request *self, struct hub_reply *reply)
{
    if (reply->local) {
        reply_fail(self, reply->fail, NULL);
        return;
    }
    if (reply->error)
        reply_error_map(self, reply);
    else
        reply_success(self, reply);
    add_service_headers(self, &reply->headers);
    if (!reply->error && self->answer.status == 200 && self->method == HTTP_GET && !self->answer.stream &&
        self->operation->answer != ANSWER_PAGE)
        add_validator(self);
    zmq_msg_close(&reply->headers);
    zmq_msg_close(&reply->body);
}

/* ---- on every answer ----------------------------------------------------------------------------------------- */

void
reply_complete(struct request *self)
{
    struct answer *answer = &self->answer;

    if (self->operation && self->operation->answer == ANSWER_PAGE)
        web_page_headers(self);
    if (answer->status != 304 && !header_value(self, "Content-Type"))
        reply_header_static(self, "Content-Type", "application/json");
    if (!header_value(self, "Cache-Control")) {
        reply_header_static(self, "Cache-Control", "no-store");
        if (self->operation && self->operation->answer == ANSWER_OAUTH)
            reply_header_static(self, "Pragma", "no-cache"); /* RFC 6749, 5.1 */
    }
    reply_header_static(self, "X-Request-Id", self->request_id);
    reply_header_static(self, "X-SeloraX-API-Version", "v1");
    reply_header_static(self, "X-Content-Type-Options", "nosniff"); /* much of what is answered is users' text */
    if (self->limit.limit > 0) {
        char *text = arena_alloc(self->arena, 48);

        snprintf(text, 16, "%u", self->limit.limit);
        snprintf(text + 16, 16, "%u", self->limit.remaining);
        snprintf(text + 32, 16, "%u", self->limit.reset_s);
        reply_header_static(self, "RateLimit-Limit", text);
        reply_header_static(self, "RateLimit-Remaining", text + 16);
        reply_header_static(self, "RateLimit-Reset", text + 32);
    }
    cors_headers(self->gateway->cors, self);
}

/* http.c - libmicrohttpd's callbacks.
 *
 * The access handler is called for a request once its head is there, again with each piece of its body, once more at
 * the end, and anew after each resumption; `state` and `body_begun` tell these apart. An answer that is ready before
 * the body has come waits until the body has been swallowed, when that is short: libmicrohttpd would close the
 * connection, and the client would not hear the answer.
 */
#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "access.h"
#include "admit.h"
#include "clock.h"
#include "forward.h"
#include "http_private.h"
#include "metric.h"
#include "multipart.h"
#include "reply.h"
#include "stream.h"
#include "text.h"
#include "upload.h"

static struct metric suspensions =
    METRIC_COUNTER("sx_http_suspended_total", "Connections suspended for auth or a service.");

static const struct {
    const char *name;
    size_t len;
    bool once; /* who asks, and what the body is: of two, whoever stands before us may have read the other one */
} header_names[HEADERS] = {
#define NAME(text)                                                                                                     \
    {                                                                                                                  \
        (text), sizeof(text) - 1, false                                                                                \
    }
#define ONCE(text)                                                                                                     \
    {                                                                                                                  \
        (text), sizeof(text) - 1, true                                                                                 \
    }
    [HEADER_AUTHORIZATION] = ONCE("Authorization"),
    [HEADER_AUTH_TOKEN] = ONCE("X-Auth-Token"),
    [HEADER_CLIENT_ID] = ONCE("X-Client-Id"),
    [HEADER_CLIENT_SECRET] = ONCE("X-Client-Secret"),
    [HEADER_STORE_ID] = ONCE("X-Store-Id"),
    [HEADER_REQUEST_ID] = NAME("X-Request-Id"),
    [HEADER_IDEMPOTENCY_KEY] = NAME("Idempotency-Key"),
    [HEADER_CONTENT_TYPE] = ONCE("Content-Type"),
    [HEADER_CONTENT_ENCODING] = ONCE("Content-Encoding"),
    [HEADER_HOST] = NAME("Host"),
    [HEADER_CONTENT_LENGTH] = NAME("Content-Length"),
    [HEADER_TRANSFER_ENCODING] = NAME("Transfer-Encoding"),
    [HEADER_EXPECT] = NAME("Expect"),
    [HEADER_IF_NONE_MATCH] = NAME("If-None-Match"),
    [HEADER_IF_MATCH] = ONCE("If-Match"),
    [HEADER_ORIGIN] = NAME("Origin"),
    [HEADER_FORWARDED_FOR] = NAME("X-Forwarded-For"),
    [HEADER_FORWARDED_PROTO] = NAME("X-Forwarded-Proto"),
    [HEADER_COOKIE] = NAME("Cookie"),
    [HEADER_ACCEPT_ENCODING] = NAME("Accept-Encoding"),
#undef NAME
#undef ONCE
};

void
http_suspend(struct request *request)
{
    metric_add(&suspensions, 1);
    request->suspended = true;
    MHD_suspend_connection(request->connection);
}

void
http_wake(struct request *request)
{
    if (!request->suspended)
        return;
    request->suspended = false;
    request->gateway->http->must_run = true;
    MHD_resume_connection(request->connection);
}

void
http_called(struct http *self)
{
    self->called = true;
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

static struct request *
request_new(struct http *http, struct MHD_Connection *connection)
{
    struct request *self = http->spare;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    if (self) {
        http->spare = self->next;
        http->spare_count--;
    } else {
        self = xcalloc(1, sizeof *self);
        self->arena = arena_new(ARENA_FIRST_BLOCK);
    }
    self->gateway = http->gateway;
    self->connection = connection;
    self->peer = info->socket_context;
    self->peer->request = self;
    self->method = -1;
    self->started_us = access_now_us();
    self->previous = NULL;
    self->next = http->live;
    if (http->live)
        http->live->previous = self;
    http->live = self;
    return self;
}

/* Buffers are kept with the request while they are small. */
static void
recycle_buf(struct buf *buf, struct buf *target)
{
    if (buf->capacity > BUFFER_KEPT_MAX)
        buf_free(buf);
    buf_reset(buf);
    *target = *buf;
}

void
http_request_free(struct http *http, struct request *self)
{
    struct buf body, scratch, frame;
    struct arena *arena = self->arena;

    if (self->previous)
        self->previous->next = self->next;
    else
        http->live = self->next;
    if (self->next)
        self->next->previous = self->previous;
    self->peer->request = NULL;
    if (self->stream)
        stream_orphan(self->stream);
    upload_free(self->upload);
    multipart_free(self->multipart);
    reply_clear(self);
    http->bodies_size -= self->body_held;
    if (http->spare_count == REQUESTS_KEPT_MAX) {
        buf_free(&self->body);
        buf_free(&self->scratch);
        buf_free(&self->frame);
        arena_destroy(&self->arena);
        free(self);
        return;
    }
    recycle_buf(&self->body, &body);
    recycle_buf(&self->scratch, &scratch);
    recycle_buf(&self->frame, &frame);
    arena_reset(arena);
    memset(self, 0, sizeof *self);
    self->arena = arena;
    self->body = body;
    self->scratch = scratch;
    self->frame = frame;
    self->next = http->spare;
    http->spare = self;
    http->spare_count++;
}

/* ---- the access handler -------------------------------------------------------------------------------------- */

/* libmicrohttpd would cut the query into a list in the connection's memory, and refuse the request when there is no
 * room for it. We read queries ourselves (pack.c), from the copy; the text here is the connection's own buffer, of
 * which libmicrohttpd reads what follows the "?" after this. */
static void
hide_query(char *uri)
{
    char *mark = strchr(uri, '?');

    if (mark)
        mark[1] = '\0'; /* at most the end it had */
}

void *
http_on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct http *http = context;
    struct request *self = request_new(http, connection);
    size_t len = strlen(uri);

    http->called = true;
    self->uri = (struct str){arena_strndup(self->arena, uri, len), len};
    self->uri_end = uri + len;
    hide_query((char *)(uintptr_t)uri);
    return self;
}

/* A token, a colon, blanks, the value, on one line. libmicrohttpd takes blanks before the colon for part of the name,
 * and glues a folded line to the name of the one before it: the header would be lost, and with it what it says. */
static bool
is_plain_header(const char *name, size_t name_len, const char *value)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const char *place = name + name_len + 1; /* behind the colon, in the connection's memory */

    if (name_len == 0 || strspn(name, token) != name_len)
        return false;
    return !value || place + strspn(place, " \t") == value;
}

static enum MHD_Result
on_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value,
          size_t value_len)
{
    struct request *self = context;

    (void)kind;
    if (!is_plain_header(name, name_len, value))
        self->broken = true;
    for (unsigned i = 0; i < HEADERS; i++) {
        struct str *header = &self->headers[i];

        if (header_names[i].len != name_len || strncasecmp(header_names[i].name, name, name_len) != 0)
            continue;
        if (header->base && (i == HEADER_CONTENT_LENGTH || i == HEADER_TRANSFER_ENCODING || i == HEADER_HOST))
            self->broken = true;
        if (header->base && header_names[i].once)
            self->doubled = header_names[i].name;
        if (!header->base || i == HEADER_FORWARDED_FOR) /* proxies append: the last one is theirs */
            *header = (struct str){value ? value : "", value_len};
        break;
    }
    return MHD_YES;
}

static void
read_method(struct request *self, const char *method)
{
    self->method_name = arena_strdup(self->arena, method);
    self->is_head = strcmp(method, "HEAD") == 0;
    self->is_options = strcmp(method, "OPTIONS") == 0;
    if (self->is_head)
        self->method = HTTP_GET;
    for (int i = 0; i < HTTP_METHODS; i++) {
        if (strcmp(method, http_method_names[i]) == 0)
            self->method = i;
    }
}

/* A NUL in the URL ends the string we are given, but not the line: what follows the URL in the connection's memory is
 * the version. Memory elsewhere tells nothing. */
static bool
is_cut_short(const struct request *self, const char *version)
{
    return version > self->uri_end && version < self->uri_end + HEADER_MEMORY_MAX && version != self->uri_end + 1;
}

/* Two lengths, a coding we do not read, a header that could be read in two ways: whoever stands before us may see other
 * borders between requests than we do. */
static bool
is_ambiguous(const struct request *self)
{
    struct str coding = self->headers[HEADER_TRANSFER_ENCODING];

    if (!coding.base)
        return self->broken;
    return self->broken || self->headers[HEADER_CONTENT_LENGTH].base || coding.len != 7 ||
           strncasecmp(coding.base, "chunked", 7) != 0;
}

static void
begin(struct request *self, const char *method, const char *version)
{
    MHD_get_connection_values_n(self->connection, MHD_HEADER_KIND, on_header, self);
    read_method(self, method);
    if (self->headers[HEADER_CONTENT_LENGTH].base &&
        text_to_int(self->headers[HEADER_CONTENT_LENGTH].base, self->headers[HEADER_CONTENT_LENGTH].len,
                    &self->content_length) != 0)
        self->content_length = INT64_MAX;
    admit_request_id(self);
    admit_address(self);
    if (is_cut_short(self, version)) {
        admit_uri(self);
        admit_show_window(self);
        reply_fail(self, FAIL_BAD_REQUEST, "The URL holds a NUL");
        return;
    }
    if (is_ambiguous(self)) {
        self->close = true;
        admit_uri(self);
        admit_show_window(self);
        reply_fail(self, FAIL_BAD_REQUEST,
                   "The headers can be read in more than one way: send one Host, one Content-Length or chunked, and "
                   "each header on a line of its own without a blank before its colon");
        return;
    }
    if (self->doubled) {
        admit_uri(self);
        admit_show_window(self);
        reply_fail(self, FAIL_BAD_REQUEST,
                   arena_printf(self->arena, "The header %s stands twice; send it once", self->doubled));
        return;
    }
    admit_begin(self);
}

/* Whether to wait for the end of the request although its answer is ready. An answer to the head alone makes
 * libmicrohttpd close the connection, and a client that only listens once it has sent its body would not hear it. */
static bool
must_swallow(const struct request *self)
{
    if (!admit_has_body(self))
        return true;
    return !self->close && !self->headers[HEADER_EXPECT].base && self->content_length <= SWALLOW_MAX;
}

/* All bodies together are bounded too: thousands of clients that send a large one slowly must not cost gigabytes. */
static bool
hold(struct request *self, size_t size)
{
    struct http *http = self->gateway->http;

    if (http->bodies_size + size > BODIES_SIZE_MAX) {
        reply_fail(self, FAIL_SERVICE_UNAVAILABLE, "Too many large requests at once; try again in a second");
        return false;
    }
    self->body_held += size;
    http->bodies_size += size;
    return true;
}

static void
hold_body(struct request *self, const char *data, size_t size)
{
    if (hold(self, size) && buf_append(&self->body, data, size) != 0)
        reply_fail(self, FAIL_PAYLOAD_TOO_LARGE, NULL);
}

static enum MHD_Result
head_step(struct request *self)
{
    if (self->state == REQUEST_ASKING) {
        http_suspend(self);
        return MHD_YES;
    }
    if (self->state == REQUEST_BODY) {
        self->body_begun = true;
        self->body_since_ms = clock_monotonic_ms();
        self->body.size_max = self->operation->body_size_max;
        if (self->operation->upload && hold(self, STREAM_CHUNK_MAX))
            self->upload = upload_new(self);
        if (self->operation->multipart && admit_has_body(self))
            self->multipart = multipart_new(self);
        return MHD_YES;
    }
    if (must_swallow(self)) {
        self->state = REQUEST_SWALLOWING;
        self->swallow_max = SWALLOW_MAX;
        self->body_begun = true;
        self->body_since_ms = clock_monotonic_ms();
        return MHD_YES;
    }
    self->close = true;
    return http_answer(self);
}

static void
drop_body(struct request *self)
{
    self->gateway->http->bodies_size -= self->body_held;
    self->body_held = 0;
    buf_free(&self->body);
}

static enum MHD_Result
body_step(struct request *self, const char *data, size_t *size)
{
    int64_t waited_ms = clock_monotonic_ms() - self->body_since_ms;

    if (self->state == REQUEST_CALLING) /* a piece of an upload is on its way: offered again after it */
        return MHD_YES;
    self->body_size += *size;
    if (waited_ms > BODY_WAIT_MS && (int64_t)self->body_size < waited_ms * BODY_BYTES_PER_MS_MIN)
        return MHD_NO;
    if (self->state == REQUEST_BODY && self->body_size > self->operation->body_size_max)
        reply_fail(self, FAIL_PAYLOAD_TOO_LARGE, NULL);
    if (self->state == REQUEST_BODY && self->upload) {
        size_t taken = upload_take(self->upload, data, *size);

        if (self->state != REQUEST_ANSWERED) { /* a refused one is swallowed: what is left may be all there is */
            self->body_size -= *size - taken;
            *size -= taken;
            if (self->state == REQUEST_CALLING)
                http_suspend(self);
            return MHD_YES;
        }
    }
    if (self->state == REQUEST_BODY && self->multipart) {
        if (hold(self, *size))
            multipart_take(self->multipart, data, *size);
    } else if (self->state == REQUEST_BODY)
        hold_body(self, data, *size);
    if (self->state == REQUEST_ANSWERED) {
        drop_body(self);
        /* what the operation would have taken does not count */
        self->swallow_max =
            (self->upload || self->multipart ? self->operation->body_size_max : self->body_size) + SWALLOW_MAX;
        self->state = REQUEST_SWALLOWING;
    }
    *size = 0;
    return self->state == REQUEST_SWALLOWING && self->body_size > self->swallow_max ? MHD_NO : MHD_YES;
}

static enum MHD_Result
end_step(struct request *self)
{
    if (self->state == REQUEST_BODY && self->upload)
        upload_end(self->upload);
    else if (self->state == REQUEST_BODY)
        forward_begin(self);
    if (self->state == REQUEST_CALLING) {
        http_suspend(self);
        return MHD_YES;
    }
    return http_answer(self);
}

enum MHD_Result
http_on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                const char *version, const char *data, size_t *size, void **cookie)
{
    struct request *self = *cookie;

    (void)connection;
    (void)url;
    self->gateway->http->called = true;
    if (self->state == REQUEST_HEAD) {
        http_peer_heard(context, self->peer);
        begin(self, method, version);
    }
    if (self->state == REQUEST_SENDING)
        return MHD_YES;
    if (!self->body_begun)
        return head_step(self);
    if (*size > 0)
        return body_step(self, data, size);
    return end_step(self);
}

void
http_on_completed(void *context, struct MHD_Connection *connection, void **cookie, enum MHD_RequestTerminationCode code)
{
    struct http *http = context;
    struct request *self = *cookie;

    (void)connection;
    (void)code;
    http->called = true;
    if (!self)
        return;
    if (self->state == REQUEST_CALLING)
        hub_cancel(http->gateway->hub, &self->call);
    if (self->state == REQUEST_ASKING)
        identities_cancel(http->gateway->identities, &self->question);
    if (self->state != REQUEST_SENDING) {
        self->ended_us = access_now_us();
        self->answer.status = 0;
    }
    access_note(http->gateway->access, self);
    http_peer_heard(http, self->peer);
    http_peer_waits(http, self->peer);
    http_request_free(http, self);
    *cookie = NULL;
}

struct request *
http_broken_request(struct http *http, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct peer *peer = info->socket_context;
    struct request *self = peer->request ? peer->request : request_new(http, connection);

    if (self->state == REQUEST_CALLING) { /* the body went wrong just behind a piece that is on its way */
        hub_cancel(http->gateway->hub, &self->call);
        http_wake(self); /* or nobody ever would, and the connection would stay for good */
    }
    if (self->uri.base)
        admit_uri(self);
    if (self->request_id[0] == '\0')
        admit_request_id(self);
    admit_address(self);
    return self;
}

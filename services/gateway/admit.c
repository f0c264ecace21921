/* admit.c - the order of admission.
 *
 * Failed authentications count by the client's address, before auth is asked, so that guessing is slow and costs auth
 * nothing; what succeeded counts by the credential's owner and never by address, so that two apps behind one address do
 * not take each other's share.
 */
#include "admit.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "config.h"
#include "cors.h"
#include "docs.h"
#include "form.h"
#include "http.h"
#include "proxies.h"
#include "query.h"
#include "reply.h"
#include "secret.h"
#include "text.h"
#include "usage.h"

#define TOKEN_SIZE_MAX 4096

/* ---- request id and address ---------------------------------------------------------------------------------- */

static bool
is_request_id(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.base[i];

        if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
              byte == '-' || byte == '_'))
            return false;
    }
    return text.base && text.len > 0 && text.len <= REQUEST_ID_MAX;
}

void
admit_request_id(struct request *self)
{
    static char prefix[HEX_SIZE(6)];
    static uint64_t counter;
    struct str sent = self->headers[HEADER_REQUEST_ID];

    if (is_request_id(sent)) {
        memcpy(self->request_id, sent.base, sent.len);
        self->request_id[sent.len] = '\0';
        return;
    }
    if (counter == 0) {
        uint8_t random[6];

        secret_random(random, sizeof random);
        secret_hex(prefix, random, sizeof random);
    }
    snprintf(self->request_id, sizeof self->request_id, "%s-%llx", prefix, (unsigned long long)++counter);
}

/* Asked for each request: a proxy's connection may be older than the knowledge that it is one. */
void
admit_address(struct request *self)
{
    self->address = self->peer->address;
    if (self->headers[HEADER_FORWARDED_FOR].base && proxies_have(self->gateway->proxies, self->peer->address)) {
        char *forwarded = arena_alloc(self->arena, ADDRESS_TEXT_SIZE);

        if (proxies_client(self->gateway->proxies, self->headers[HEADER_FORWARDED_FOR], forwarded))
            self->address = forwarded;
    }
    self->address_key_size = limiter_address_key(self->address_key, self->address);
}

/* ---- windows ------------------------------------------------------------------------------------------------- */

/* Shown is the window nearest to its limit. */
static void
note_window(struct request *self, const struct limit_answer *window)
{
    if (self->limit.limit == 0 || !window->allowed || window->remaining < self->limit.remaining)
        self->limit = *window;
}

static bool
refuse_limited(struct request *self, const struct limit_answer *window)
{
    self->limit = *window;
    reply_fail(self, FAIL_RATE_LIMITED, NULL);
    return false;
}

/* False when the request has been refused with 429. */
static bool
take(struct request *self, enum rate_class class, enum limit_subject subject, const void *key, size_t size)
{
    struct limit_answer window = limiter_take(self->gateway->limiter, class, subject, key, size);

    if (!window.allowed)
        return refuse_limited(self, &window);
    note_window(self, &window);
    return true;
}

static bool
take_address(struct request *self, enum rate_class class)
{
    return take(self, class, LIMIT_ADDRESS, self->address_key, self->address_key_size);
}

/* Counted before anybody is asked who it is. */
static bool is_of_address(enum rate_class class)
{
    return class == RATE_TOKEN || class == RATE_VERIFY || class == RATE_CREDENTIALS || class == RATE_LOGIN;
}

static struct limit_answer
address_window(const struct request *self)
{
    return limiter_peek(self->gateway->limiter, RATE_GLOBAL, LIMIT_ADDRESS, self->address_key, self->address_key_size);
}

void
admit_show_window(struct request *self)
{
    struct limit_answer window = address_window(self);

    note_window(self, &window);
}

/* app and store, or the account. */
static bool
take_caller(struct request *self)
{
    const struct identity *identity = &self->identity;
    int64_t key[3] = {identity->app_id, identity->store_id, 0};

    if (identity->app_id == 0) {
        key[1] = 0;
        key[2] = identity->account_id;
    }
    if (self->operation->rate == RATE_METAFIELDS && !take(self, RATE_METAFIELDS, LIMIT_CREDENTIAL, key, sizeof key))
        return false;
    return !self->is_limited || take(self, RATE_GLOBAL, LIMIT_CREDENTIAL, key, sizeof key);
}

/* ---- the body, by what its headers say ----------------------------------------------------------------------- */

bool
admit_has_body(const struct request *self)
{
    return self->headers[HEADER_TRANSFER_ENCODING].base || self->content_length > 0;
}

static bool
content_type_fits(const struct request *self)
{
    if (self->operation->upload)
        return form_type_is(self, "application/x-ndjson") || form_type_is(self, "application/ndjson");
    if (self->operation->multipart)
        return form_type_is(self, "multipart/form-data");
    if (self->operation->form && form_is(self))
        return true;
    return !self->operation->form_only && form_type_is(self, "application/json");
}

static const char *
wanted_type(const struct operation *operation)
{
    if (operation->upload)
        return "Send the body as application/x-ndjson";
    if (operation->multipart)
        return "Send the body as multipart/form-data";
    if (operation->form_only)
        return "Send the body as application/x-www-form-urlencoded";
    return operation->form ? "Send the body as application/json or application/x-www-form-urlencoded" : NULL;
}

/* We unpack nothing: a small body that grows to a large one is no request of an honest client. */
static bool
is_encoded(const struct request *self)
{
    struct str coding = self->headers[HEADER_CONTENT_ENCODING];

    return coding.len > 0 && (coding.len != 8 || strncasecmp(coding.base, "identity", 8) != 0);
}

static void
admit_body(struct request *self)
{
    self->state = REQUEST_BODY;
    if (!admit_has_body(self))
        return;
    if (self->content_length > self->operation->body_size_max) {
        reply_fail(self, FAIL_PAYLOAD_TOO_LARGE,
                   arena_printf(self->arena, "The body is larger than the %u bytes this endpoint takes",
                                self->operation->body_size_max));
        return;
    }
    if (!self->operation->body && !self->operation->upload)
        return;
    if (is_encoded(self))
        reply_fail(self, FAIL_UNSUPPORTED_MEDIA_TYPE, "Send the body as it is, without Content-Encoding");
    else if (!content_type_fits(self))
        reply_fail(self, FAIL_UNSUPPORTED_MEDIA_TYPE, wanted_type(self->operation));
}

/* ---- the credential ------------------------------------------------------------------------------------------ */

/* The developer family knows one word for all of these. */
static enum fail
family_fail(const struct request *self, enum fail fail)
{
    if (self->operation->audience != AUDIENCE_DEVELOPER)
        return fail;
    switch (fail) {
    case FAIL_MISSING_TOKEN:
    case FAIL_INVALID_TOKEN:
    case FAIL_INVALID_CLIENT:
    case FAIL_MISSING_AUTH: return FAIL_UNAUTHORIZED;
    default: return fail;
    }
}

static void
refuse_caller(struct request *self, enum fail fail, const char *why)
{
    bool failure = fail_texts[fail].status < 500;
    enum fail shown = family_fail(self, fail);

    if (failure && self->is_limited && !take_address(self, RATE_GLOBAL))
        return;
    if (!failure && self->is_limited)
        admit_show_window(self);
    reply_fail(self, shown, shown == fail ? why : NULL);
}

/* "Bearer x"; 1 found, 0 no Authorization header, -1 one that is no bearer. */
static int
bearer_of(struct str header, struct str *token)
{
    static const char scheme[] = "Bearer ";
    size_t start = sizeof scheme - 1;

    if (!header.base)
        return 0;
    if (header.len < start || strncasecmp(header.base, scheme, start) != 0)
        return -1;
    while (start < header.len && header.base[start] == ' ')
        start++;
    *token = (struct str){header.base + start, header.len - start};
    return token->len > 0 && token->len <= TOKEN_SIZE_MAX ? 1 : -1;
}

/* Something, and nothing that no credential of ours holds: auth takes text only, and would call it a bad request. */
static bool
is_visible(struct str text)
{
    if (text.base == NULL)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.base[i] <= 0x20 || (unsigned char)text.base[i] >= 0x7f)
            return false;
    }
    return text.len > 0;
}

/* The header, or the query parameter for clients that cannot set one. Absent too when it is nothing or given twice:
 * auth says that it is missing, once it has looked at the credential. */
static struct str
find_store_id(struct request *self)
{
    struct str store_id = self->headers[HEADER_STORE_ID];
    bool twice = false;

    if (!store_id.base && self->query.len > 0) {
        struct query *query = arena_alloc(self->arena, sizeof *query);
        const struct query_value *found = NULL;

        if (query_read(query, self->query, self->arena) == 0)
            found = query_find(query, "store_id", &twice);
        if (found && found->good)
            store_id = found->value;
    }
    return is_visible(store_id) && !twice ? store_id : (struct str){NULL, 0};
}

/* Finds what the caller shows. False when that is nothing, or nothing that could be right: the request is refused. */
static bool
find_credential(struct request *self, struct credential *credential)
{
    struct str *headers = self->headers;
    int bearer = bearer_of(headers[HEADER_AUTHORIZATION], &credential->token);

    if (bearer > 0) {
        credential->kind = CREDENTIAL_BEARER;
        if (is_visible(credential->token))
            return true;
        refuse_caller(self, FAIL_INVALID_TOKEN, NULL);
        return false;
    }
    if (self->operation->audience == AUDIENCE_APP &&
        (headers[HEADER_CLIENT_ID].base || headers[HEADER_CLIENT_SECRET].base)) {
        credential->kind = CREDENTIAL_CLIENT;
        credential->client_id = headers[HEADER_CLIENT_ID];
        credential->client_secret = headers[HEADER_CLIENT_SECRET];
        credential->store_id = find_store_id(self);
        if (is_visible(credential->client_id) && is_visible(credential->client_secret))
            return true;
        refuse_caller(self, FAIL_INVALID_CLIENT,
                      credential->client_id.len > 0 && credential->client_secret.len > 0
                          ? NULL
                          : "Send both X-Client-Id and X-Client-Secret");
        return false;
    }
    if (is_visible(headers[HEADER_AUTH_TOKEN]) && headers[HEADER_AUTH_TOKEN].len <= TOKEN_SIZE_MAX) {
        credential->kind = CREDENTIAL_SESSION;
        credential->token = headers[HEADER_AUTH_TOKEN];
        return true;
    }
    if (bearer < 0 || headers[HEADER_AUTH_TOKEN].len > 0)
        refuse_caller(self, FAIL_INVALID_TOKEN, NULL);
    else
        refuse_caller(self, FAIL_MISSING_TOKEN, NULL);
    return false;
}

static void
admit_caller(struct request *self)
{
    const char *const *scope = self->operation->scopes;

    if (!take_caller(self))
        return;
    usage_note(self->gateway->usage, &self->identity);
    for (; scope && *scope; scope++) {
        if (!identity_has_scope(&self->identity, *scope)) {
            if (self->operation->audience == AUDIENCE_APP)
                reply_fail(self, FAIL_INSUFFICIENT_SCOPE,
                           arena_printf(self->arena, "Your app lacks the scope this endpoint requires: %s", *scope));
            else
                reply_fail(self, FAIL_FORBIDDEN, NULL);
            return;
        }
    }
    admit_body(self);
}

static void
on_identity(struct identity_question *question, const struct identity_answer *answer)
{
    struct request *self = question->owner;

    self->state = REQUEST_HEAD;
    if (answer->ok) {
        self->identity = answer->identity;
        self->identity.scopes = arena_strdup(self->arena, answer->identity.scopes ? answer->identity.scopes : "");
        self->identity.service = NULL;
        admit_caller(self);
    } else {
        refuse_caller(self, answer->fail, answer->message);
    }
    http_wake(self);
}

static void
ask_identity(struct request *self)
{
    struct identity_question *question = &self->question;
    struct limit_answer window;

    memset(question, 0, sizeof *question);
    if (!find_credential(self, &question->credential))
        return;
    window = address_window(self);
    if (self->is_limited && !window.allowed) { /* it failed too often: auth is not asked for it again */
        refuse_limited(self, &window);
        return;
    }
    question->audience = self->operation->audience;
    question->request_id = self->request_id;
    question->address = self->address;
    question->deadline_ms = clock_monotonic_ms() + self->operation->timeout_ms;
    question->done = on_identity;
    question->owner = self;
    self->state = REQUEST_ASKING;
    identities_ask(self->gateway->identities, question);
}

/* ---- the path ------------------------------------------------------------------------------------------------ */

static bool
is_under(struct str path, const char *prefix)
{
    size_t len = strlen(prefix);

    return path.len >= len && memcmp(path.base, prefix, len) == 0 && (path.len == len || path.base[len] == '/');
}

/* "http://host/path" is the form proxies get; it means the same. */
static struct str
without_host(struct str uri)
{
    const char *end = uri.base + uri.len, *place = uri.base;

    if (uri.len > 7 && strncasecmp(uri.base, "http://", 7) == 0)
        place += 7;
    else if (uri.len > 8 && strncasecmp(uri.base, "https://", 8) == 0)
        place += 8;
    else
        return uri;
    while (place < end && *place != '/' && *place != '?')
        place++;
    return place < end && *place == '/' ? (struct str){place, (size_t)(end - place)} : STR("/");
}

/* As the router reads it: an escaped letter in the prefix must not lead around the limits. */
static struct str
unescaped(struct request *self, struct str path)
{
    struct str copy = {arena_strndup(self->arena, path.base, path.len), path.len};

    return text_percent_decode((char *)(uintptr_t)copy.base, &copy.len, false) == 0 ? copy : path;
}

void
admit_uri(struct request *self)
{
    struct str rest = without_host(self->uri), path;
    const char *mark = memchr(rest.base, '?', rest.len);

    self->path = (struct str){rest.base, mark ? (size_t)(mark - rest.base) : rest.len};
    self->query = (struct str){NULL, 0};
    if (mark)
        self->query = (struct str){mark + 1, (size_t)(rest.base + rest.len - mark - 1)};
    path = memchr(self->path.base, '%', self->path.len) ? unescaped(self, self->path) : self->path;
    self->upper_case = is_under(path, "/api/v1");
    self->is_limited = is_under(path, "/api");
}

/* Paths that are no operation's: our own pages, preflights, mistakes. */
static void
admit_no_operation(struct request *self, bool page, unsigned methods)
{
    char *allow;

    if (self->is_options && methods != 0) {
        admit_show_window(
            self); /* a preflight costs nothing: refusing it would hide from the page why it was refused */
        cors_preflight(self->gateway->cors, self, methods);
        return;
    }
    if (!self->is_limited)
        admit_show_window(self);
    else if (!take_address(self, RATE_GLOBAL))
        return;
    if (page && self->method == HTTP_GET) {
        docs_answer(self);
        return;
    }
    if (methods == 0) {
        reply_fail(self, FAIL_NOT_FOUND, NULL);
        return;
    }
    reply_fail(self, FAIL_METHOD_NOT_ALLOWED, NULL);
    allow = arena_alloc(self->arena, ROUTER_ALLOW_SIZE);
    router_allow(methods, allow);
    reply_header_static(self, "Allow", allow);
}

/* Also a preflight, which has no operation: any of the path's tells. */
static bool
is_page(const struct request *self)
{
    struct route_match match = self->route;

    for (int method = 0; method < HTTP_METHODS && !match.operation; method++) {
        if (match.methods & (1u << method))
            router_find(self->gateway->router, method, arena_strndup(self->arena, self->path.base, self->path.len),
                        self->path.len, &match);
    }
    return match.operation && match.operation->answer == ANSWER_PAGE;
}

void
admit_begin(struct request *self)
{
    enum rate_class class;
    bool page;

    admit_uri(self);
    if (self->uri.len > URL_SIZE_MAX) {
        admit_show_window(self);
        reply_fail(self, FAIL_URI_TOO_LONG, NULL);
        return;
    }
    page = docs_have(self->path); /* first: one lies where routes have an id */
    if (!page)
        router_find(self->gateway->router, self->method, arena_strndup(self->arena, self->path.base, self->path.len),
                    self->path.len, &self->route);
    self->operation = self->route.operation;
    self->no_cors = page ? docs_have_page(self->path) : is_page(self);
    if (!self->operation) {
        admit_no_operation(self, page, page ? 1u << HTTP_GET : self->route.methods);
        return;
    }
    class = self->operation->rate;
    if (class == RATE_GLOBAL)
        self->is_limited = true; /* a page outside /api that says so */
    if (is_of_address(class) && !take_address(self, class))
        return;
    if (self->operation->audience != AUDIENCE_NONE) {
        ask_identity(self);
        return;
    }
    if (!self->is_limited || class == RATE_EXEMPT)
        admit_show_window(self);
    else if (!take_address(self, RATE_GLOBAL))
        return;
    admit_body(self);
}

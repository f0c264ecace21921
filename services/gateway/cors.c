/* cors.c - Access-Control headers; the list of allowed origins is read once at start. */
#include "cors.h"

#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "reply.h"

#define ORIGINS_MAX 32

struct cors {
    char *text; /* what the origins point into */
    bool any;
    unsigned count;
    struct str origins[ORIGINS_MAX];
};

struct cors *
cors_new(const char *origins)
{
    struct cors *self = xcalloc(1, sizeof *self);
    const char *place;

    self->text = xstrdup(origins);
    place = self->text;
    while (*place) {
        size_t len = strcspn(place, ", ");

        if (len == 1 && *place == '*')
            self->any = true;
        else if (len > 0 && self->count < ORIGINS_MAX)
            self->origins[self->count++] = (struct str){place, len};
        place += len;
        place += strspn(place, ", ");
    }
    return self;
}

void
cors_destroy(struct cors **self)
{
    if (!*self)
        return;
    free((*self)->text);
    free(*self);
    *self = NULL;
}

/* What Access-Control-Allow-Origin says to this request; NULL for nothing. A listed origin is our own text, so what a
 * client sent is never echoed. */
static const char *
allowed_origin(const struct cors *self, struct request *request)
{
    struct str origin = request->headers[HEADER_ORIGIN];

    if (!origin.base || request->no_cors)
        return NULL;
    if (self->any)
        return "*";
    for (unsigned i = 0; i < self->count; i++) {
        if (str_equal(self->origins[i], origin))
            return arena_strndup(request->arena, self->origins[i].base, self->origins[i].len);
    }
    return NULL;
}

void
cors_headers(const struct cors *self, struct request *request)
{
    const char *origin = allowed_origin(self, request);

    if (!self->any)
        reply_vary(request, "Origin");
    if (!origin)
        return;
    reply_header_static(request, "Access-Control-Allow-Origin", origin);
    reply_header_static(
        request, "Access-Control-Expose-Headers",
        "ETag, Idempotent-Replayed, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, "
        "WWW-Authenticate, X-Request-Id, X-SeloraX-API-Version");
}

void
cors_preflight(const struct cors *self, struct request *request, unsigned methods)
{
    char *allow = arena_alloc(request->arena, ROUTER_ALLOW_SIZE);
    struct buf text;
    struct out out;
    unsigned count = methods & (1u << HTTP_GET) ? 2 : 1; /* HEAD comes with GET, OPTIONS always */

    for (unsigned i = 0; i < HTTP_METHODS; i++)
        count += methods >> i & 1;
    buf_init(&text, 1024);
    out_init(&out, &text, OUT_JSON);
    out_map(&out, 2);
    out_key(&out, "data");
    out_map(&out, 1);
    out_key(&out, "methods");
    out_list(&out, count);
    for (unsigned i = 0; i < HTTP_METHODS; i++) {
        if (methods & (1u << i))
            out_text(&out, http_method_names[i]);
    }
    if (methods & (1u << HTTP_GET))
        out_text(&out, "HEAD");
    out_text(&out, "OPTIONS");
    out_key(&out, "status");
    out_int(&out, 200);
    reply_json(request, 200, (struct str){arena_strndup(request->arena, text.data, text.size), text.size});
    buf_free(&text);
    router_allow(methods, allow);
    reply_header_static(request, "Allow", allow);
    if (!allowed_origin(self, request))
        return;
    reply_header_static(request, "Access-Control-Allow-Methods", allow);
    reply_header_static(
        request, "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Auth-Token, X-Client-Id, "
        "X-Client-Secret, X-Request-Id, X-Store-Id");
    reply_header_static(request, "Access-Control-Max-Age", "600");
}

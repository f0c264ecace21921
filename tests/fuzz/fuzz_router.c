/* Whatever URL a client sends: it leads to an operation or to none, and the REQUEST made of it is one well-formed
 * value.
 *
 * The first byte chooses the method and whether the body is a form; a newline ends the URL, and the rest is the body.
 */
#include <assert.h>
#include <string.h>

#include "in.h"
#include "pack.h"
#include "reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct router *router;
static struct request request;

static void
pack(struct str query, struct str body)
{
    struct in packed;

    request.operation = request.route.operation;
    request.method = (int)request.operation->method;
    request.query = query;
    request.headers[HEADER_IDEMPOTENCY_KEY] = query;
    request.headers[HEADER_COOKIE] = query;
    request.headers[HEADER_HOST] = query;
    buf_reset(&request.body);
    buf_append(&request.body, body.base, body.len);
    if (pack_request(&request, request.arena, NULL) == 0) {
        int result = in_decode(&packed, request.arena, request.frame.data, request.frame.size);

        assert(result == 0);
        assert(in_has(packed, "path") && in_has(packed, "query"));
    } else {
        assert(request.answer.status == 400 || request.answer.status == 404 || request.answer.status == 413);
    }
    reply_clear(&request);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data + 1;
    const char *newline, *mark;
    size_t len;

    if (size < 2)
        return 0;
    if (!router) {
        router = router_new(operations, operation_count);
        request.arena = arena_new(8192);
        buf_init(&request.body, BODY_SIZE_MAX_DEFAULT);
        request.method_name = "GET";
        request.address = "192.0.2.1";
    }
    request.headers[HEADER_CONTENT_TYPE] =
        data[0] & 0x80 ? STR("application/x-www-form-urlencoded") : STR("application/json");
    newline = memchr(text, '\n', size - 1);
    len = newline ? (size_t)(newline - text) : size - 1;
    mark = memchr(text, '?', len);
    request.path = (struct str){text, mark ? (size_t)(mark - text) : len};
    router_find(router, data[0] % (HTTP_METHODS + 1) - 1, arena_strndup(request.arena, text, request.path.len),
                request.path.len, &request.route);
    assert(!request.route.operation || request.route.methods != 0);
    assert(request.route.value_count <= PATH_SEGMENTS_MAX);
    if (request.route.operation)
        pack(mark ? (struct str){mark + 1, len - request.path.len - 1} : (struct str){NULL, 0},
             newline ? (struct str){newline + 1, size - 2 - len} : (struct str){"", 0});
    arena_reset(request.arena);
    return 0;
}

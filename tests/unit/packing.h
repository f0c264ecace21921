/* packing.h - one request without a network, for tests of what is made of it: packed for a service, or refused.
 *
 * The test's own set-up calls request_begin, says what the request is, and then packs bodies. Included by one file of a
 * program, which is why everything here is static.
 */
#ifndef PACKING_H
#define PACKING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "in.h"
#include "pack.h"
#include "reply.h"

static struct request request;
static struct in packed; /* of pack_body */

static inline void
request_begin(const struct operation *operation, const char *method, const char *path)
{
    request.arena = arena_new(4096);
    request.operation = operation;
    request.method = operation->method;
    request.method_name = method;
    request.path = str_of(path);
    request.address = "192.0.2.1";
    memcpy(request.request_id, "r1", 3);
    buf_init(&request.body, operation->body_size_max);
}

static inline int
request_end(void **state)
{
    (void)state;
    reply_clear(&request);
    buf_free(&request.body);
    buf_free(&request.scratch);
    buf_free(&request.frame);
    arena_destroy(&request.arena);
    memset(&request, 0, sizeof request);
    return 0;
}

/* Status of the refusal, or 0: then `packed` is what would be sent. */
static inline int
pack_body(const char *body)
{
    buf_reset(&request.body);
    buf_append(&request.body, body, strlen(body));
    if (pack_request(&request, request.arena, NULL) != 0)
        return request.answer.status;
    assert_int_equal(in_decode(&packed, request.arena, request.frame.data, request.frame.size), 0);
    return 0;
}

static inline bool
answer_has(const char *text)
{
    return memmem(request.answer.body, request.answer.body_size, text, strlen(text)) != NULL;
}

#endif

/* json_text.h - JSON text for PostgreSQL and for events, made in the arena of a call.
 *
 *     struct json_text text;
 *     json_text_begin(&text);
 *     out_map(&text.out, 1);  out_key(&text.out, "order_id");  out_int(&text.out, 7);
 *     data = json_text_end(&text, call->arena);
 */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include "arena.h"
#include "in.h"
#include "out.h"

struct json_text {
    struct buf buf;
    struct out out;
};

void json_text_begin(struct json_text *self);

/* The text, in the arena; self needs nothing more. */
struct str json_text_end(struct json_text *self, struct arena *arena);

/* A value of a request as JSON text; absent and null give the absent str, which the database takes for null. */
struct str json_text_of(struct in value, struct arena *arena);

/* What a JSON column that may be left out will be: the value that was sent, or `before` (NULL for null) when nothing
 * was or when it is the same value written otherwise (json_same.c). */
struct str json_text_after(struct in body, const char *name, const char *before, struct arena *arena);

/* A text or a list of texts as PostgreSQL writes a list, {"a","b"}; numbers become text, other values are left out. */
const char *array_text_of(struct in value, struct arena *arena);

#endif

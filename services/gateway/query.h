/* query.h - the query string of a URL, read once and checked.
 *
 * Not by libmicrohttpd, whose table of arguments decodes without checking.
 */
#ifndef QUERY_H
#define QUERY_H

#include "arena.h"
#include "bounds.h"

struct query_value {
    struct str name, value; /* decoded; part of the text, or in the arena */
    bool good;              /* percent-encoded correctly, UTF-8, without NUL */
};

struct query {
    unsigned count;
    struct query_value values[QUERY_PARAMETERS_MAX];
};

/* text is what stands behind the "?", and must live as long as self. -1: there are more than QUERY_PARAMETERS_MAX; the
 * first of them are there. */
int query_read(struct query *self, struct str text, struct arena *arena) must_check;

/* The first value of that name, or NULL. Twice: whether there is another. */
const struct query_value *query_find(const struct query *self, const char *name, bool *twice);

#endif

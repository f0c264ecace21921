/* router.h - from a path to an operation, over the generated table.
 *
 * A tree of path segments, made once at start. A literal segment wins over a parameter; when the literal's branch does
 * not fit the rest of the path, the parameter's is tried. Empty segments, and so a slash at the end, fit nothing.
 */
#ifndef ROUTER_H
#define ROUTER_H

#include "bounds.h"
#include "contract.h"

struct router;

struct route_match {
    const struct operation *operation; /* NULL: no such path, or not with this method */
    unsigned methods;                  /* bits 1 << enum http_method the path takes; 0: no such path */
    unsigned value_count;
    struct str values[PATH_SEGMENTS_MAX];      /* path parameters in path order, decoded */
    const struct parameter *const *parameters; /* theirs, in the same order */
};

/* Keeps pointers into operations; those without a path are left out. Two operations with one method and shape of path
 * are a programming error (assert). */
struct router *router_new(const struct operation *operations, unsigned count);
void router_destroy(struct router **self);

/* path is decoded in place (%XX); the values in match point into it. method -1 finds the path only. */
void router_find(const struct router *self, int method, char *path, size_t len, struct route_match *match);

extern const char *const http_method_names[HTTP_METHODS]; /* "GET", ... */

/* "GET, HEAD, POST, OPTIONS": what an Allow header says. target holds ROUTER_ALLOW_SIZE bytes. */
#define ROUTER_ALLOW_SIZE 64
void router_allow(unsigned methods, char target[ROUTER_ALLOW_SIZE]);

#endif

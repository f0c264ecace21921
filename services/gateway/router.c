/* router.c - the tree of path segments.
 *
 * Children of a node are a short list: the widest node of the contract has some twenty, and comparing lengths first
 * leaves one or two memcmp per segment.
 */
#include "router.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

const char *const http_method_names[HTTP_METHODS] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

struct target {
    const struct operation *operation;
    const struct parameter *parameters[PATH_SEGMENTS_MAX]; /* in path order */
};

struct node {
    struct str literal; /* absent for a parameter */
    struct node *child, *sibling;
    struct node *parameter; /* the child for any segment */
    struct target *targets[HTTP_METHODS];
    unsigned methods;
};

struct router {
    struct node root;
};

/* Cuts the next segment off path; false at the end. */
static bool
segment_next(struct str *path, struct str *segment)
{
    const char *slash;

    if (path->len == 0 || path->base[0] != '/')
        return false;
    segment->base = path->base + 1;
    slash = memchr(segment->base, '/', path->len - 1);
    segment->len = slash ? (size_t)(slash - segment->base) : path->len - 1;
    path->base += segment->len + 1;
    path->len -= segment->len + 1;
    return true;
}

static struct node *
node_child(struct node *self, struct str segment)
{
    bool is_parameter = segment.len > 1 && segment.base[0] == '{';
    struct node **place = is_parameter ? &self->parameter : &self->child;

    if (!is_parameter) {
        while (*place && !str_equal((*place)->literal, segment))
            place = &(*place)->sibling;
    }
    if (!*place) {
        *place = xcalloc(1, sizeof **place);
        if (!is_parameter)
            (*place)->literal = segment;
    }
    return *place;
}

static const struct parameter *
parameter_named(const struct operation *operation, struct str name)
{
    for (unsigned i = 0; i < operation->parameter_count; i++) {
        const struct parameter *parameter = &operation->parameters[i];

        if (parameter->place == PLACE_PATH && str_is(name, parameter->name))
            return parameter;
    }
    return NULL;
}

static void
router_add(struct router *self, const struct operation *operation)
{
    struct str path = str_of(operation->path), segment;
    struct target *target = xcalloc(1, sizeof *target);
    struct node *node = &self->root;
    unsigned count = 0;

    target->operation = operation;
    while (segment_next(&path, &segment)) {
        node = node_child(node, segment);
        if (segment.len > 1 && segment.base[0] == '{') {
            struct str name = {segment.base + 1, segment.len - 2};

            assert(count < PATH_SEGMENTS_MAX);
            target->parameters[count] = parameter_named(operation, name);
            assert(target->parameters[count]);
            count++;
        }
    }
    assert(!node->targets[operation->method]);
    node->targets[operation->method] = target;
    node->methods |= 1u << operation->method;
}

struct router *
router_new(const struct operation *list, unsigned count)
{
    struct router *self = xcalloc(1, sizeof *self);

    for (unsigned i = 0; i < count; i++) {
        if (list[i].path)
            router_add(self, &list[i]);
    }
    return self;
}

static void
node_free(struct node *self)
{
    struct node *child = self->child;

    while (child) {
        struct node *next = child->sibling;

        node_free(child);
        free(child);
        child = next;
    }
    if (self->parameter) {
        node_free(self->parameter);
        free(self->parameter);
    }
    for (unsigned i = 0; i < HTTP_METHODS; i++)
        free(self->targets[i]);
}

void
router_destroy(struct router **self)
{
    if (!*self)
        return;
    node_free(&(*self)->root);
    free(*self);
    *self = NULL;
}

/* The node the segments lead to, with the parameters' values noted on the way; at most PATH_SEGMENTS_MAX deep. */
static const struct node *
node_find(const struct node *self, const struct str *segments, unsigned count, struct route_match *match)
{
    const struct node *found = NULL;

    if (count == 0)
        return self->methods ? self : NULL;
    for (const struct node *child = self->child; child; child = child->sibling) {
        if (str_equal(child->literal, segments[0])) {
            found = node_find(child, segments + 1, count - 1, match);
            break;
        }
    }
    if (!found && self->parameter && segments[0].len > 0) {
        unsigned index = match->value_count++;

        match->values[index] = segments[0];
        found = node_find(self->parameter, segments + 1, count - 1, match);
        if (!found)
            match->value_count = index;
    }
    return found;
}

void
router_find(const struct router *self, int method, char *path, size_t len, struct route_match *match)
{
    struct str rest = {path, len}, segments[PATH_SEGMENTS_MAX];
    const struct node *node;
    unsigned count = 0;

    memset(match, 0, sizeof *match);
    while (rest.len > 0) {
        char *text;

        if (count == PATH_SEGMENTS_MAX || !segment_next(&rest, &segments[count]))
            return;
        text = path + (segments[count].base - path);
        if (memchr(text, '%', segments[count].len) && text_percent_decode(text, &segments[count].len, false) != 0)
            return;
        if (!text_is_utf8(text, segments[count].len) || memchr(text, 0, segments[count].len))
            return;
        count++;
    }
    node = node_find(&self->root, segments, count, match);
    if (!node)
        return;
    match->methods = node->methods;
    if (method >= 0 && node->targets[method]) {
        match->operation = node->targets[method]->operation;
        match->parameters = node->targets[method]->parameters;
    }
}

void
router_allow(unsigned methods, char target[ROUTER_ALLOW_SIZE])
{
    int size = 0;

    for (unsigned i = 0; i < HTTP_METHODS; i++) {
        if (methods & (1u << i))
            size += snprintf(target + size, (size_t)(ROUTER_ALLOW_SIZE - size), "%s, %s", http_method_names[i],
                             i == HTTP_GET ? "HEAD, " : "");
    }
    snprintf(target + size, (size_t)(ROUTER_ALLOW_SIZE - size), "OPTIONS");
}

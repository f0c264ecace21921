/* lines.h - rows of one kind that are written together: one of a POST, up to LINES_MAX of a bulk import.
 *
 * A line that cannot be written fails by itself, and the others go on: {products,customers}_insert and
 * inventory_set_lines work inside the caller's transaction, take the lines with a few statements however many they are,
 * and leave in each either its id or why it failed. They answer -1 only when the call itself has failed.
 */
#ifndef LINES_H
#define LINES_H

#include "call.h"

#define LINES_MAX 500

struct line {
    struct in body; /* validated: the schema of the resource's POST */
    int64_t id;     /* what was made or set */
    bool failed;
    enum fail code;
    const char *field, *why; /* in the call's arena; NULL as with call_fail */
};

/* For the files that write lines. */
static inline void
line_fail(struct line *self, enum fail code, const char *field, const char *why)
{
    self->failed = true;
    self->code = code;
    self->field = field;
    self->why = why;
}

#endif

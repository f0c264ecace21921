/* validate.h - checks a value from outside against its schema and writes the typed value handlers read.
 *
 * What comes out differs from what came in only in type: money becomes EXT_MONEY, date-times become msgpack
 * timestamps, unknown fields are dropped (or named as errors when the schema is strict). Every problem is collected, up
 * to VALIDATION_ERRORS_MAX, each with the field's path ("items[2].quantity").
 */
#ifndef VALIDATE_H
#define VALIDATE_H

#include "arena.h"
#include "bounds.h"
#include "buf.h"
#include "contract.h"
#include "in.h"

struct validation_error {
    const char *field; /* in the arena */
    const char *message;
};

struct validation {
    struct arena *arena;
    unsigned count; /* 0 when the value is good */
    struct validation_error errors[VALIDATION_ERRORS_MAX];
};

void validation_init(struct validation *self, struct arena *arena);

/* Appends the typed value to target. Call it with path "" for a whole body. When it notes an error, what stands in
 * target is no value: throw it away. */
void validate_value(struct validation *self, const struct schema *schema, struct in value, const char *path,
                    struct buf *target);

/* A parameter that arrived as text (URL decoded), NULL when it was not sent. Appends one msgpack value, the default
 * when it is absent; false when there is none or an error was noted. */
bool validate_parameter(struct validation *self, const struct parameter *parameter, const char *text, size_t len,
                        struct buf *target);

/* Adds an error by hand, for rules no schema can say; beyond VALIDATION_ERRORS_MAX it is dropped. */
void validation_add(struct validation *self, const char *field, const char *format, ...) printf_like(3, 4);

#endif

/* parameters.h - the values of one statement, in the form libpq takes them.
 *
 * Filled from a type text and a variable argument list (the letters are explained in db.h) without an allocation,
 * except for JSON text, which is copied into the arena to be terminated.
 */
#ifndef PARAMETERS_H
#define PARAMETERS_H

#include <stdarg.h>

#include "arena.h"
#include "base.h"
#include "text.h"

#define PARAMETERS_MAX      64
#define PARAMETER_TEXT_SIZE 40

struct parameters {
    int count;
    const char *values[PARAMETERS_MAX];
    int lengths[PARAMETERS_MAX];
    int formats[PARAMETERS_MAX]; /* 1: binary, of bytea only */
    char texts[PARAMETERS_MAX][PARAMETER_TEXT_SIZE];
};

/* Pointers given stay borrowed. A letter that is unknown, or one too many, is a programming error (assert). */
void parameters_fill(struct parameters *self, struct arena *arena, const char *types, va_list values);

#endif

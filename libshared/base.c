/* base.c - allocation that never fails, comparisons of borrowed text, numbers in bytes.
 *
 * Running out of memory ends the process at once: a half-finished request must not limp on, and the supervisor starts
 * a fresh process within a second.
 */
#include "base.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *
present(void *memory)
{
    static const char why[] = "out of memory\n";

    if (memory == NULL) {
        /* No logging here: the log itself may want memory. */
        if (write(STDERR_FILENO, why, sizeof(why) - 1) < 0)
            abort();
        abort();
    }
    return memory;
}

void *
xmalloc(size_t size)
{
    return present(malloc(size > 0 ? size : 1));
}

void *
xcalloc(size_t count, size_t size)
{
    return present(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *
xrealloc(void *memory, size_t size)
{
    return present(realloc(memory, size > 0 ? size : 1));
}

char *
xstrdup(const char *text)
{
    return present(strdup(text));
}

struct str
str_of(const char *text)
{
    return (struct str){text, text != NULL ? strlen(text) : 0};
}

bool
str_equal(struct str a, struct str b)
{
    /* Absent and empty are two things, as null and "" are. */
    if (a.base == NULL || b.base == NULL)
        return a.base == b.base;
    return a.len == b.len && memcmp(a.base, b.base, a.len) == 0;
}

bool
str_is(struct str self, const char *text)
{
    return str_equal(self, str_of(text));
}

bool
text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

uint64_t
uint_from_bytes(const uint8_t *source, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | source[i];
    return value;
}

void
uint_to_bytes(uint8_t *target, uint64_t value, size_t size)
{
    while (size > 0) {
        target[--size] = (uint8_t)value;
        value >>= 8;
    }
}

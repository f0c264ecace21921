/* base.h - the few words every file uses.
 *
 * Allocation never fails: memory that is not there ends the process, and a supervisor starts it again.
 * What a client controls is checked against limits.h before anything is allocated for it.
 */
#ifndef BASE_H
#define BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define must_check               __attribute__((warn_unused_result))
#define printf_like(text, first) __attribute__((format(printf, text, first)))
#define ARRAY_COUNT(array)       (sizeof(array) / sizeof((array)[0]))

/* Text that is not NUL-terminated, borrowed from whoever owns it. base is NULL for "absent". */
struct str {
    const char *base;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

struct str str_of(const char *text); /* NULL gives the absent str */
bool str_equal(struct str a, struct str b);
bool str_is(struct str self, const char *text);

/* Like malloc, calloc and strdup, but abort when there is no memory. Release with free. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *memory, size_t size);
char *xstrdup(const char *text);

#endif

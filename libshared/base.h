/* base.h - the few words every file uses.
 *
 * Allocation never fails: memory that is not there ends the process, and a supervisor starts it again.
 * What a client controls is checked against bounds.h before anything is allocated for it.
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

/* Times are counted in microseconds. */
#define US_PER_SECOND INT64_C(1000000)
#define DAY_US        INT64_C(86400000000)

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

struct str str_of(const char *text); /* NULL gives the absent str */
bool str_equal(struct str a, struct str b);
bool str_is(struct str self, const char *text);
bool text_equal(const char *a, const char *b); /* NULL equals NULL alone */

/* Like malloc, calloc, realloc and strdup, but abort when there is no memory. Release with free. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *memory, size_t size);
char *xstrdup(const char *text);

/* Unsigned numbers of 0 to 8 bytes, big endian, as all our messages have them. */
uint64_t uint_from_bytes(const uint8_t *source, size_t size);
void uint_to_bytes(uint8_t *target, uint64_t value, size_t size);

#endif

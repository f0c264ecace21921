/* parameters.c - turns C values into PostgreSQL's text form.
 *
 * Text, because the server infers the type of each parameter from the statement: an integer sent as text fits int4,
 * int8 and numeric alike, while a binary one has to match exactly.
 */
#include "parameters.h"

#include <assert.h>
#include <string.h>

#include "money.h"

/* RFC 3339 with microseconds, while text.h prints the contract's milliseconds. */
static const char *
print_time(char *target, int64_t time_us)
{
    size_t len = text_from_time(target, time_us); /* ends in "123Z" */
    int64_t rest = (time_us % 1000 + 1000) % 1000;

    assert(len + 4 < PARAMETER_TEXT_SIZE && target[len - 1] == 'Z');
    target[len - 1] = (char)('0' + rest / 100);
    target[len] = (char)('0' + rest / 10 % 10);
    target[len + 1] = (char)('0' + rest % 10);
    target[len + 2] = 'Z';
    target[len + 3] = '\0';
    return target;
}

static const char *
print_number(char *target, char type, int64_t value)
{
    if (type == 't')
        return print_time(target, value);
    if (type == 'm')
        money_print(target, value, 2);
    else
        text_from_int(target, value);
    return target;
}

void
parameters_fill(struct parameters *self, struct arena *arena, const char *types, va_list values)
{
    self->count = 0;
    for (; *types; types++) {
        const char *value = NULL;
        const int64_t *number;
        struct str json;
        size_t size = 0;
        int at = self->count++;

        assert(at < PARAMETERS_MAX);
        self->formats[at] = 0;
        switch (*types) {
        case 'l':
        case 'm':
        case 't': value = print_number(self->texts[at], *types, va_arg(values, int64_t)); break;
        case 'L':
        case 'M':
        case 'T':
            number = va_arg(values, const int64_t *);
            value = number ? print_number(self->texts[at], (char)(*types + 'a' - 'A'), *number) : NULL;
            break;
        case 's': value = va_arg(values, const char *); break;
        case 'b': value = va_arg(values, int) ? "t" : "f"; break;
        case 'x':
            value = va_arg(values, const char *);
            size = va_arg(values, size_t);
            self->formats[at] = 1;
            break;
        case 'j':
            json = va_arg(values, struct str);
            value = json.base ? arena_strndup(arena, json.base, json.len) : NULL;
            break;
        default: assert(!"parameters: unknown type letter");
        }
        assert(size <= INT32_MAX);
        self->values[at] = value;
        self->lengths[at] = (int)size;
    }
}

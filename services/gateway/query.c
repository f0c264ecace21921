/* query.c - "name=value&name=value", decoded as forms encode it. */
#include "query.h"

#include <string.h>

#include "text.h"

static struct str
decoded(struct arena *arena, const char *text, size_t len, bool *good)
{
    struct str self = {text, len};

    if (memchr(text, '%', len) || memchr(text, '+', len)) {
        char *copy = arena_strndup(arena, text, len);

        *good = *good && text_percent_decode(copy, &self.len, true) == 0;
        self.base = copy;
    }
    *good = *good && text_is_utf8(self.base, self.len) && !memchr(self.base, 0, self.len);
    return self;
}

int
query_read(struct query *self, struct str text, struct arena *arena)
{
    const char *place, *end;

    self->count = 0;
    if (text.len == 0)
        return 0;
    end = text.base + text.len;
    for (place = text.base; place < end;) {
        const char *stop = memchr(place, '&', (size_t)(end - place)), *equals;
        struct query_value *value;

        if (!stop)
            stop = end;
        if (stop > place) {
            if (self->count == QUERY_PARAMETERS_MAX)
                return -1;
            value = &self->values[self->count++];
            value->good = true;
            equals = memchr(place, '=', (size_t)(stop - place));
            value->name = decoded(arena, place, (size_t)((equals ? equals : stop) - place), &value->good);
            value->value = equals ? decoded(arena, equals + 1, (size_t)(stop - equals - 1), &value->good) : STR("");
        }
        place = stop + 1;
    }
    return 0;
}

const struct query_value *
query_find(const struct query *self, const char *name, bool *twice)
{
    const struct query_value *found = NULL;

    *twice = false;
    for (unsigned i = 0; i < self->count; i++) {
        if (!str_is(self->values[i].name, name))
            continue;
        *twice = found != NULL;
        if (*twice)
            return found;
        found = &self->values[i];
    }
    return found;
}

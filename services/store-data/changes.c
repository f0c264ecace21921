/* changes.c - the fields of a row that differ, gathered first and written once it is known how many there are. */
#include "changes.h"

#include <assert.h>

void
changes_begin(struct changes *self)
{
    self->count = 0;
}

static void
add(struct changes *self, const char *name, const char *old, const char *new, bool json)
{
    if (text_equal(old, new))
        return;
    assert(self->count < CHANGES_MAX);
    self->all[self->count++] = (struct change){name, old, new, json};
}

void
changes_text(struct changes *self, const char *name, const char *old, const char *new)
{
    add(self, name, old, new, false);
}

void
changes_json(struct changes *self, const char *name, const char *old, const char *new)
{
    add(self, name, old, new, true);
}

bool
changes_any(const struct changes *self)
{
    return self->count > 0;
}

static void
write_value(struct out *out, const char *key, const char *text, bool json)
{
    out_key(out, key);
    if (json)
        out_json(out, str_of(text ? text : "null"));
    else
        out_text(out, text);
}

struct str
changes_end(const struct changes *self, struct arena *arena)
{
    struct json_text text;

    json_text_begin(&text);
    out_map(&text.out, self->count);
    for (unsigned i = 0; i < self->count; i++) {
        const struct change *change = &self->all[i];

        out_key(&text.out, change->name);
        out_map(&text.out, 2);
        write_value(&text.out, "old", change->old, change->json);
        write_value(&text.out, "new", change->new, change->json);
    }
    return json_text_end(&text, arena);
}

struct str
changes_of_row(const struct rows *rows, unsigned row, struct str changed, struct arena *arena)
{
    struct json_text text;
    struct str data;

    json_text_begin(&text);
    out_row(&text.out, rows, row);
    data = json_text_end(&text, arena);
    if (changed.base == NULL)
        return data;
    return str_of(
        arena_printf(arena, "%.*s,\"changed\":%.*s}", (int)data.len - 1, data.base, (int)changed.len, changed.base));
}

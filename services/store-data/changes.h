/* changes.h - what an update has changed, as its event tells it: {"price": {"old": 10.00, "new": 12.00}} (member
 * `changed`; contract D.2). A field that stays as it was is not added, so an update without changes has no event.
 *
 *     struct changes changes;
 *     changes_begin(&changes);
 *     changes_text(&changes, "note", rows_text(&before, 0, "note"), rows_text(&after, 0, "note"));
 *     changes_json(&changes, "price", rows_text(&before, 0, "price"), rows_text(&after, 0, "price"));
 *     if (changes_any(&changes)) ... changes_end(&changes, call->arena) ...
 */
#ifndef CHANGES_H
#define CHANGES_H

#include "db.h"
#include "json_text.h"

#define CHANGES_MAX 32

struct change {
    const char *name, *old, *new;
    bool json;
};

struct changes {
    struct change all[CHANGES_MAX];
    unsigned count;
};

void changes_begin(struct changes *self);

/* All texts are borrowed until changes_end; NULL is null. changes_json: JSON text, also of numbers, whose text
 * PostgreSQL writes the same for the same value (numeric(14,2)); true and false for what a column calls t and f is the
 * caller's to write. */
void changes_text(struct changes *self, const char *name, const char *old, const char *new);
void changes_json(struct changes *self, const char *name, const char *old, const char *new);

bool changes_any(const struct changes *self);
struct str changes_end(const struct changes *self, struct arena *arena); /* an object; {} without changes */

/* The data of an event that tells a row as GET answers it: its columns, and `changed` beside them unless that is
 * absent. In the arena. */
struct str changes_of_row(const struct rows *rows, unsigned row, struct str changed, struct arena *arena);

#endif

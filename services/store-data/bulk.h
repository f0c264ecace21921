/* bulk.h - what the files of bulk import share: the resources, and a line on its way from text to result.
 *
 * bulk_upload.c takes pieces, bulk_import.c applies them, bulk_lines.c reads lines and writes their results,
 * bulk_pace.c leaves the other tenants their time, bulk_jobs.c answers for the jobs, bulk_export.c is the way out.
 */
#ifndef BULK_H
#define BULK_H

#include "actor.h"
#include "secret.h"
#include "validate.h"

enum bulk_resource { BULK_PRODUCTS, BULK_CUSTOMERS, BULK_ORDERS, BULK_INVENTORY, BULK_RESOURCES };
extern const char *const bulk_resource_names[BULK_RESOURCES];
extern const char *const bulk_write_scopes[BULK_RESOURCES];

enum bulk_resource bulk_resource_of(const char *name); /* a name from the table */

/* ---- lines (bulk_lines.c) ---- */

/* One line; what it points to is in the call's arena or in the piece. */
struct bulk_line {
    int64_t number; /* in the body, the first is 1 */
    struct str text;
    const char *key;                  /* its idempotency_key, or NULL */
    char hash[HEX_SIZE(SHA256_SIZE)]; /* of the text; with a key */
    struct in body;                   /* as the resource's POST is handed it */
    int64_t id;                       /* what it made or set; a repeated one: what that was the first time */
    bool repeated, failed;
    enum fail code;
    const char *field, *why;             /* NULL as with call_fail */
    const struct validation *validation; /* instead of those, when fields are wrong */
};

/* Takes the next line off the text; the newline is not part of it. False when nothing is left, or when no newline is
 * there and the text goes on elsewhere (whole is false). */
bool bulk_line_next(struct str *rest, bool whole, struct str *line);
bool bulk_line_is_empty(struct str line); /* nothing but white space */

/* Reads self->text against the schema of the resource; what is wrong with it is noted in the line. */
void bulk_line_read(struct bulk_line *self, struct call *call, enum bulk_resource resource);

void bulk_line_fail(struct bulk_line *self, enum fail code, const char *field, const char *why);
void bulk_line_write(const struct bulk_line *self, struct arena *arena, struct out *out); /* BulkResult */

/* ---- the actors (bulk_import.c) ---- */

#define BULK_LANES 2
extern const struct actor_plan bulk_plans[BULK_LANES];
void bulk_wake(void); /* a job has been queued */

#endif

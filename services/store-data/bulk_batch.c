/* bulk_batch.c - lines are applied by the very functions that their POST uses, many at a time; orders one at a time,
 * because each locks variants and customers in an order of its own and two in one transaction could wait in a ring.
 */
#include "bulk_batch.h"

#include <string.h>

#include "clock.h"
#include "customers.h"
#include "inventory.h"
#include "json_text.h"
#include "orders.h"
#include "products.h"
#include "statements.h"

#define KEYS_KEPT_US   (INT64_C(7) * 86400 * US_PER_SECOND)
#define RESULT_ROW_MAX 49152 /* bytes, and the line that passes it; small beside a chunk of the results' stream */

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* One of two lines with the same key must see what the other has made: it goes into the next batch. */
static bool
has_key(const struct bulk_batch *self, const char *key)
{
    for (unsigned i = 0; key && i < self->count; i++)
        if (self->lines[i].key && strcmp(self->lines[i].key, key) == 0)
            return true;
    return false;
}

static void
take_poison(struct bulk_line *line, struct call *call, const struct bulk_poison *poison)
{
    bulk_line_fail(line, poison->code, poison->has_field ? arena_strdup(call->arena, poison->field) : NULL,
                   poison->has_why ? arena_strdup(call->arena, poison->why) : NULL);
}

bool
bulk_batch_read(struct bulk_batch *self, struct call *call, const struct bulk_job *job, unsigned max,
                const struct bulk_poison *poison)
{
    bool whole = job->piece_at + (int64_t)job->bytes.len >= job->size;
    struct str rest = job->bytes, text, before = rest;

    self->count = 0;
    self->succeeded = 0;
    self->last_line = job->line;
    for (; self->count < max && bulk_line_next(&rest, whole, &text); before = rest) {
        struct bulk_line *line = &self->lines[self->count];

        self->last_line++;
        if (bulk_line_is_empty(text))
            continue;
        *line = (struct bulk_line){.number = self->last_line, .text = text};
        if (poison->job_id == job->job_id && poison->line == line->number)
            take_poison(line, call, poison);
        else
            bulk_line_read(line, call, job->resource);
        if (has_key(self, line->key)) {
            self->last_line--;
            break;
        }
        self->count++;
    }
    self->next_piece = job->piece + (whole && before.len == 0);
    self->next_at = self->next_piece > job->piece ? 0 : job->piece_at + (int64_t)(job->bytes.len - before.len);
    return self->last_line > job->line || self->next_piece > job->piece;
}

/* ---- idempotency keys -------------------------------------------------------------------------------------------- */

static struct str
keys_json(const struct bulk_batch *self, struct arena *arena, unsigned count)
{
    struct json_text text;

    json_text_begin(&text);
    out_list(&text.out, count);
    for (unsigned i = 0; i < self->count; i++)
        if (self->lines[i].key)
            out_text(&text.out, self->lines[i].key);
    return json_text_end(&text, arena);
}

static void
match(struct bulk_batch *self, const char *key, const char *hash, int64_t id)
{
    for (unsigned i = 0; i < self->count; i++) {
        struct bulk_line *line = &self->lines[i];

        if (!line->key || strcmp(line->key, key) != 0)
            continue;
        if (strcmp(line->hash, hash) != 0)
            bulk_line_fail(line, FAIL_IDEMPOTENCY_CONFLICT, "idempotency_key",
                           "was used for another line; use a new key");
        else if (!line->failed) {
            line->repeated = true;
            line->id = id;
        }
    }
}

static int
find_keys(struct bulk_batch *self, struct call *call, const struct bulk_job *job)
{
    unsigned count = 0;
    struct rows rows;

    for (unsigned i = 0; i < self->count; i++)
        count += self->lines[i].key != NULL;
    if (count == 0)
        return 0;
    if (db_run(call, BULK_KEYS_FIND, &rows, "llsjt", job->store_id, job->app_id, bulk_resource_names[job->resource],
               keys_json(self, call->arena, count), clock_now_us() - KEYS_KEPT_US))
        return -1;
    for (unsigned i = 0; i < rows.count; i++)
        match(self, rows_text(&rows, i, "key"), rows_text(&rows, i, "hash"), rows_int(&rows, i, "id"));
    return 0;
}

static bool
is_kept(const struct bulk_line *line)
{
    return line->key && !line->failed && !line->repeated;
}

static int
keep_keys(const struct bulk_batch *self, struct call *call, const struct bulk_job *job)
{
    struct json_text text;
    unsigned count = 0;

    for (unsigned i = 0; i < self->count; i++)
        count += is_kept(&self->lines[i]);
    if (count == 0)
        return 0;
    json_text_begin(&text);
    out_list(&text.out, count);
    for (unsigned i = 0; i < self->count; i++) {
        const struct bulk_line *line = &self->lines[i];

        if (!is_kept(line))
            continue;
        out_map(&text.out, 3);
        out_key(&text.out, "key");
        out_text(&text.out, line->key);
        out_key(&text.out, "hash");
        out_text(&text.out, line->hash);
        out_key(&text.out, "id");
        out_int(&text.out, line->id);
    }
    return db_post(call, BULK_KEYS_INSERT, "llsjt", job->store_id, job->app_id, bulk_resource_names[job->resource],
                   json_text_end(&text, call->arena), clock_now_us());
}

/* ---- applying ---------------------------------------------------------------------------------------------------- */

static int
place_order(struct call *call, struct line *line)
{
    struct rows order;

    if (order_place(call, line->body, &order))
        return -1;
    line->id = rows_int(&order, 0, "order_id");
    return 0;
}

static int
apply(struct call *call, enum bulk_resource resource, struct line *lines, unsigned count)
{
    switch (resource) {
    case BULK_PRODUCTS: return products_insert(call, lines, count);
    case BULK_CUSTOMERS: return customers_insert(call, lines, count);
    case BULK_INVENTORY: return inventory_set_lines(call, lines, count);
    case BULK_ORDERS:
    case BULK_RESOURCES: break;
    }
    for (unsigned i = 0; i < count; i++)
        if (place_order(call, &lines[i]))
            return -1;
    return 0;
}

/* The good lines side by side, as the functions want them, and back. */
static int
apply_good(struct bulk_batch *self, struct call *call, const struct bulk_job *job)
{
    struct line *good = arena_alloc(call->arena, (self->count + 1) * sizeof *good);
    unsigned count = 0;

    for (unsigned i = 0; i < self->count; i++)
        if (!self->lines[i].failed && !self->lines[i].repeated)
            good[count++] = (struct line){.body = self->lines[i].body};
    if (count > 0 && apply(call, job->resource, good, count))
        return -1;
    count = 0;
    for (unsigned i = 0; i < self->count; i++) {
        struct bulk_line *line = &self->lines[i];

        if (line->failed || line->repeated)
            continue;
        line->id = good[count].id;
        if (good[count].failed)
            bulk_line_fail(line, good[count].code, good[count].field, good[count].why);
        count++;
    }
    return 0;
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

static int
put_results(const struct bulk_batch *self, struct call *call, const struct bulk_job *job)
{
    struct json_text text;
    int rc = 0;

    json_text_begin(&text);
    for (unsigned i = 0; rc == 0 && i < self->count; i++) {
        bulk_line_write(&self->lines[i], call->arena, &text.out);
        out_line_end(&text.out);
        if (text.buf.size < RESULT_ROW_MAX && i + 1 < self->count)
            continue;
        rc = db_post(call, BULK_RESULT_INSERT, "lllj", job->store_id, job->job_id, self->lines[i].number,
                     (struct str){text.buf.data, text.buf.size});
        buf_reset(&text.buf);
    }
    buf_free(&text.buf);
    return rc;
}

int
bulk_batch_apply(struct bulk_batch *self, struct call *call, const struct bulk_job *job)
{
    if (find_keys(self, call, job) || apply_good(self, call, job) || keep_keys(self, call, job) ||
        put_results(self, call, job))
        return -1;
    for (unsigned i = 0; i < self->count; i++)
        self->succeeded += !self->lines[i].failed;
    return db_post(call, BULK_ADVANCE, "lllllllt", job->store_id, job->job_id, self->next_piece, self->next_at,
                   self->last_line, (int64_t)self->count, self->succeeded, clock_now_us());
}

/* bulk_export.c - a whole resource as NDJSON, chunk by chunk, in the order of its primary key.
 *
 * Each chunk begins behind the last row of the one before it, so an export costs the same at any depth, holds no
 * transaction open, and can go on after a loss. `after` is an id, as the client knows it from its last line; a line
 * that is larger than a chunk goes in parts, which the gateway asks for with ID:OFFSET:HASH. Were the row to change
 * between two parts, the line would be none: then the stream ends as an error, and goes on behind the line before.
 */
#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "bulk.h"
#include "cursor.h"
#include "statements.h"
#include "store_data_operations.h"
#include "text.h"

#define FIRST_ROWS 64 /* of a chunk, until it is known how wide they are */
#define ROWS_MAX   4000

struct export
{
    unsigned statement;
    const char *id_column;
    int64_t after, offset; /* into the row behind `after` */
    uint64_t hash;         /* of that row's line */
    struct buf line;
};

static int
read_after(struct export *self, struct call *call)
{
    struct str text = in_str(call->in, "query.after");
    struct str parts[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    int64_t hash = 0;
    unsigned count = 0;

    if (!text.base)
        return 0;
    for (const char *at = text.base, *end = text.base + text.len; count < 3; at += parts[count++].len + 1) {
        const char *colon = memchr(at, ':', (size_t)(end - at));

        parts[count] = (struct str){at, (size_t)((colon && count < 2 ? colon : end) - at)};
        if (parts[count].base + parts[count].len == end) {
            count++;
            break;
        }
    }
    if ((count != 1 && count != 3) || text_to_int(parts[0].base, parts[0].len, &self->after) ||
        (count == 3 && (text_to_int(parts[1].base, parts[1].len, &self->offset) ||
                        text_to_int(parts[2].base, parts[2].len, &hash))) ||
        self->after < 0 || self->offset < 0)
        return call_failf(call, FAIL_VALIDATION_ERROR, "after", "must be the %s of the last whole line you have",
                          self->id_column);
    self->hash = (uint64_t)hash;
    return 0;
}

/* PostgreSQL breaks lines between the items of a list it makes. In JSON a newline can only stand between values: inside
 * a text it would be escaped. */
static void
join_lines(struct buf *json)
{
    for (char *at = json->data, *end = at + json->size; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        *at = ' ';
}

static void
write_line(struct export *self, const struct call *call, const struct rows *rows, unsigned row)
{
    struct out out;

    buf_reset(&self->line);
    out_init(&out, &self->line, call->out.encoding);
    out_row(&out, rows, row);
    if (out.encoding == OUT_JSON)
        join_lines(&self->line);
    out_line_end(&out);
}

static size_t
room(const struct call *call)
{
    return STREAM_CHUNK_MAX - call->out.buf->size;
}

/* A part of a line that no chunk can hold; the chunk has nothing else in it. */
static int
send_part(struct export *self, struct call *call, int64_t id)
{
    uint64_t hash = cursor_hash(0, self->line.data, self->line.size) >> 1;
    size_t rest;

    if (self->offset > 0 && (hash != self->hash || (size_t)self->offset >= self->line.size))
        return call_failf(call, FAIL_CONFLICT, "after", "the row changed while it was sent; go on with after=%" PRId64,
                          self->after);
    rest = self->line.size - (size_t)self->offset;
    buf_append(call->out.buf, self->line.data + self->offset, rest < STREAM_CHUNK_MAX ? rest : STREAM_CHUNK_MAX);
    if (rest <= STREAM_CHUNK_MAX) {
        self->after = id;
        self->offset = 0;
        return 0;
    }
    self->offset += STREAM_CHUNK_MAX;
    self->hash = hash;
    return 0;
}

/* 1 when all rows went into the chunk, 0 when it is full. */
static int
send_rows(struct export *self, struct call *call, const struct rows *rows)
{
    for (unsigned i = 0; i < rows->count; i++) {
        int64_t id = rows_int(rows, i, self->id_column);

        write_line(self, call, rows, i);
        if (self->offset > 0 || (call->out.buf->size == 0 && self->line.size > STREAM_CHUNK_MAX))
            return send_part(self, call, id);
        if (self->line.size > room(call))
            return 0;
        buf_append(call->out.buf, self->line.data, self->line.size);
        self->after = id;
    }
    return 1;
}

/* How many rows may fill what is left, by those that are there; too many are read in vain, too few cost a statement. */
static int64_t
rows_wanted(const struct call *call, int64_t sent)
{
    int64_t width = sent ? (int64_t)call->out.buf->size / sent + 1 : 0;
    int64_t wanted = sent ? (int64_t)room(call) / width + 1 : FIRST_ROWS;

    return wanted < ROWS_MAX ? wanted : ROWS_MAX;
}

static int
send_chunk(struct export *self, struct call *call)
{
    int64_t sent = 0, wanted;
    bool more = true;
    struct rows rows;
    int rc = 1;

    if (read_after(self, call))
        return -1;
    while (rc == 1 && more && room(call) > STREAM_CHUNK_MAX / 32) {
        wanted = self->offset ? 1 : rows_wanted(call, sent);
        if (db_run(call, self->statement, &rows, "lll", call->caller.store_id, self->after, wanted))
            return -1;
        more = rows.count == wanted;
        rc = send_rows(self, call, &rows);
        sent += rows.count;
    }
    if (rc < 0)
        return -1;
    if (self->offset > 0)
        call_header(
            call, "X-Stream-Next",
            arena_printf(call->arena, "%" PRId64 ":%" PRId64 ":%" PRIu64, self->after, self->offset, self->hash));
    else if (rc == 0 || more)
        call_header(call, "X-Stream-Next", arena_printf(call->arena, "%" PRId64, self->after));
    return call_reply(call, 200);
}

static int
export_rows(struct call *call, unsigned statement, const char *id_column)
{
    struct export self = {.statement = statement, .id_column = id_column};
    int rc;

    buf_init(&self.line, REPLY_SIZE_MAX);
    rc = send_chunk(&self, call);
    buf_free(&self.line);
    return rc;
}

int
bulk_export_products(struct call *call)
{
    return export_rows(call, EXPORT_PRODUCTS, "product_id");
}

int
bulk_export_customers(struct call *call)
{
    return export_rows(call, EXPORT_CUSTOMERS, "user_id");
}

int
bulk_export_orders(struct call *call)
{
    return export_rows(call, EXPORT_ORDERS, "order_id");
}

int
bulk_export_inventory(struct call *call)
{
    return export_rows(call, EXPORT_INVENTORY, "sku_id");
}

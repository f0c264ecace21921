/* rows.c - reads what PostgreSQL answered, and writes it out.
 *
 * Writing a page of rows is the hottest loop of a worker. So the columns are looked at once: their names are quoted and
 * their types become a kind, and each row is then copied from PostgreSQL's text into JSON with one reservation.
 */
#include "db.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "money.h"
#include "secret.h"
#include "text.h"

/* Type numbers that PostgreSQL never changes (pg_type.dat). */
enum type_oid {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
    OID_JSONB = 3802,
};

enum kind { KIND_HIDDEN, KIND_TEXT, KIND_BOOLEAN, KIND_INTEGER, KIND_FLOAT, KIND_NUMERIC, KIND_JSON, KIND_TIME };

#define COLUMNS_MAX 128
#define TIME_SIZE   22 /* "2026-01-15 08:30:00+00": what is shorter is infinity or a year before 1 */

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* PQfnumber copies and folds its argument at each call. Handlers read columns mostly in their order, so the search goes
 * on where the last one ended: one comparison nearly always. */
static int
column_index(const struct rows *self, const char *name)
{
    static _Thread_local unsigned next;

    for (unsigned i = 0; i < self->columns; i++) {
        unsigned at = next < self->columns ? next : 0;

        next = at + 1;
        if (strcmp(PQfname(self->result, (int)at), name) == 0)
            return (int)at;
    }
    assert(!"rows: no such column");
    abort();
}

static struct str
cell(const struct rows *self, unsigned row, int column)
{
    int len = PQgetlength(self->result, (int)row, column);

    assert(row < self->count);
    if (len == 0 && PQgetisnull(self->result, (int)row, column))
        return (struct str){NULL, 0};
    return (struct str){PQgetvalue(self->result, (int)row, column), (size_t)len};
}

bool
rows_is_null(const struct rows *self, unsigned row, const char *column)
{
    return cell(self, row, column_index(self, column)).base == NULL;
}

int64_t
rows_int(const struct rows *self, unsigned row, const char *column)
{
    struct str text = cell(self, row, column_index(self, column));
    int64_t value = 0;

    if (!text.base)
        return 0;
    if (str_is(text, "t") || str_is(text, "f"))
        return text.base[0] == 't';
    if (text_to_int(text.base, text.len, &value))
        assert(!"rows_int: no integer");
    return value;
}

const char *
rows_text(const struct rows *self, unsigned row, const char *column)
{
    return cell(self, row, column_index(self, column)).base;
}

int64_t
rows_money(const struct rows *self, unsigned row, const char *column)
{
    struct str text = cell(self, row, column_index(self, column));
    int64_t value = 0;

    if (text.base && money_parse(text.base, text.len, 2, &value))
        assert(!"rows_money: no amount with 2 decimals");
    return value;
}

/* "2026-01-15 08:30:00.123456+00", the session being in UTC. */
static int
parse_time(struct str text, int64_t *time_us)
{
    char iso[48];

    if (text.len < TIME_SIZE || text.len > 32 || text.base[10] != ' ' ||
        memcmp(text.base + text.len - 3, "+00", 3) != 0)
        return -1;
    memcpy(iso, text.base, text.len);
    iso[10] = 'T';
    memcpy(iso + text.len, ":00", sizeof ":00");
    return text_to_time(iso, text.len + 3, time_us);
}

int64_t
rows_time(const struct rows *self, unsigned row, const char *column)
{
    struct str text = cell(self, row, column_index(self, column));
    int64_t value = 0;

    if (text.base && str_is(text, "infinity"))
        return INT64_MAX;
    if (text.base && parse_time(text, &value))
        assert(!"rows_time: no timestamptz");
    return value;
}

size_t
rows_bytes(const struct rows *self, unsigned row, const char *column, uint8_t *target, size_t size)
{
    struct str text = cell(self, row, column_index(self, column));
    size_t bytes;

    if (!text.base)
        return 0;
    assert(text.len >= 2 && text.base[0] == '\\' && text.base[1] == 'x');
    bytes = (text.len - 2) / 2;
    if (size > bytes)
        size = bytes;
    if (secret_unhex(target, size, text.base + 2, 2 * size))
        assert(!"rows_bytes: no bytea");
    return bytes;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

#define KEY_SIZE  72 /* PostgreSQL cuts names to 63 bytes */
#define KEY_SHORT 32 /* nearly all are, and are copied without a look at their length */

struct column {
    struct str name;
    enum kind kind;
    size_t key_len;
    char key[KEY_SIZE]; /* JSON: the brace or comma in front, the quoted name and its colon */
};

struct layout {
    unsigned count; /* of the columns that are written */
    struct column columns[COLUMNS_MAX];
};

static enum kind
kind_of(const char *name, Oid type)
{
    if (name[0] == '_')
        return KIND_HIDDEN;
    switch (type) {
    case OID_BOOL: return KIND_BOOLEAN;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8: return KIND_INTEGER;
    case OID_FLOAT4:
    case OID_FLOAT8: return KIND_FLOAT;
    case OID_NUMERIC: return KIND_NUMERIC;
    case OID_JSON:
    case OID_JSONB: return KIND_JSON;
    case OID_TIMESTAMPTZ: return KIND_TIME;
    default: return KIND_TEXT;
    }
}

/* Column names are ours (queries.h): they need quoting, but hold nothing to escape. */
static void
layout_init(struct layout *self, const struct rows *rows)
{
    assert(rows->columns <= COLUMNS_MAX);
    self->count = 0;
    for (unsigned i = 0; i < rows->columns; i++) {
        struct column *column = &self->columns[i];
        const char *name = PQfname(rows->result, (int)i);

        column->name = str_of(name);
        column->kind = kind_of(name, PQftype(rows->result, (int)i));
        if (column->kind == KIND_HIDDEN)
            continue;
        column->key_len = column->name.len + 4;
        assert(column->key_len <= KEY_SIZE);
        column->key[0] = self->count++ ? ',' : '{';
        column->key[1] = '"';
        memcpy(column->key + 2, name, column->name.len);
        memcpy(column->key + 2 + column->name.len, "\":", 2);
    }
}

/* The target has room for KEY_SHORT bytes, whatever the key's length. */
static char *
put_key(char *target, const struct column *column)
{
    memcpy(target, column->key, KEY_SHORT);
    if (column->key_len > KEY_SHORT)
        memcpy(target + KEY_SHORT, column->key + KEY_SHORT, column->key_len - KEY_SHORT);
    return target + column->key_len;
}

/* Most texts are numbers of a few digits: two copies that overlap cost less than a call. */
static char *
put(char *target, const char *text, size_t len)
{
    if (len > 16) {
        memcpy(target, text, len);
    } else if (len >= 8) {
        memcpy(target, text, 8);
        memcpy(target + (len - 8), text + (len - 8), 8);
    } else if (len >= 4) {
        memcpy(target, text, 4);
        memcpy(target + (len - 4), text + (len - 4), 4);
    } else if (len > 0) {
        target[0] = text[0];
        target[len / 2] = text[len / 2];
        target[len - 1] = text[len - 1];
    }
    return target + len;
}

/* The longest that a character becomes is \u00XX: the target has room for six times the text and two quotes. */
static char *
put_quoted(char *target, struct str text)
{
    static const char digits[] = "0123456789abcdef";

    *target++ = '"';
    for (;;) {
        size_t plain = out_plain_length(text.base, text.len);
        unsigned char c;

        target = put(target, text.base, plain);
        if (plain == text.len)
            break;
        c = (unsigned char)text.base[plain];
        text.base += plain + 1;
        text.len -= plain + 1;
        *target++ = '\\';
        if (c == '"' || c == '\\') {
            *target++ = (char)c;
        } else if (c == '\n' || c == '\t' || c == '\r') {
            *target++ = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
        } else {
            target = put(target, "u00", 3);
            *target++ = digits[c >> 4];
            *target++ = digits[c & 15];
        }
    }
    *target++ = '"';
    return target;
}

/* PostgreSQL's own form is one blank and a time zone away from ISO 8601, and is cut to milliseconds. */
static char *
put_time(char *target, struct str text)
{
    const char *fraction = text.base + 20;
    size_t digits = text.len >= TIME_SIZE + 2 && text.base[19] == '.' ? text.len - 20 - 3 : 0;

    if (text.len < TIME_SIZE || text.base[10] != ' ' || memcmp(text.base + text.len - 3, "+00", 3) != 0)
        return put_quoted(target, text);
    *target++ = '"';
    target = put(target, text.base, 10);
    *target++ = 'T';
    target = put(target, text.base + 11, 8);
    *target++ = '.';
    for (unsigned i = 0; i < 3; i++)
        *target++ = i < digits ? fraction[i] : '0';
    return put(target, "Z\"", 2);
}

static char *
put_cell(char *target, enum kind kind, struct str text)
{
    switch (kind) {
    case KIND_BOOLEAN: *target = text.base[0] == 't' ? '1' : '0'; return target + 1;
    case KIND_FLOAT:
    case KIND_NUMERIC:
        if (text.base[text.len - 1] > '9') /* NaN, Infinity */
            return put(target, "null", 4);
        return put(target, text.base, text.len);
    case KIND_INTEGER:
    case KIND_JSON: return put(target, text.base, text.len);
    case KIND_TIME: return put_time(target, text);
    default: return put_quoted(target, text);
    }
}

static void
write_json_row(struct buf *target, const struct layout *layout, const struct rows *rows, unsigned row)
{
    struct str cells[COLUMNS_MAX];
    size_t size = KEY_SHORT;
    char *to;

    for (unsigned i = 0; i < rows->columns; i++) {
        const struct column *column = &layout->columns[i];

        if (column->kind == KIND_HIDDEN)
            continue;
        cells[i] = cell(rows, row, (int)i);
        size += column->key_len + (column->kind == KIND_TEXT ? 6 * cells[i].len : cells[i].len) + 32;
    }
    to = buf_reserve(target, size);
    if (!to)
        return; /* the buffer remembers */
    if (layout->count == 0)
        *to++ = '{';
    for (unsigned i = 0; i < rows->columns; i++) {
        const struct column *column = &layout->columns[i];

        if (column->kind == KIND_HIDDEN)
            continue;
        to = put_key(to, column);
        to = cells[i].base ? put_cell(to, column->kind, cells[i]) : put(to, "null", 4);
    }
    *to++ = '}';
    target->size = (size_t)(to - target->data);
}

/* As many decimals as PostgreSQL printed; what money cannot hold stays a number as text. */
static void
write_numeric(struct out *out, struct str text)
{
    const char *point = memchr(text.base, '.', text.len);
    size_t decimals = point ? (size_t)(text.base + text.len - point - 1) : 0;
    int64_t amount;

    if (decimals <= MONEY_DECIMALS_MAX && money_parse(text.base, text.len, (unsigned)decimals, &amount) == 0)
        out_money(out, amount, (unsigned)decimals);
    else if (text.base[text.len - 1] > '9')
        out_null(out);
    else
        out_json(out, text);
}

static void
write_value(struct out *out, enum kind kind, struct str text)
{
    int64_t number = 0;

    if (!text.base) {
        out_null(out);
        return;
    }
    switch (kind) {
    case KIND_BOOLEAN: out_int(out, text.base[0] == 't'); break;
    case KIND_INTEGER:
        if (text_to_int(text.base, text.len, &number))
            assert(!"an integer of PostgreSQL that is none");
        out_int(out, number);
        break;
    case KIND_NUMERIC: write_numeric(out, text); break;
    case KIND_FLOAT:
        if (text.base[text.len - 1] > '9')
            out_null(out);
        else
            out_json(out, text);
        break;
    case KIND_JSON: out_json(out, text); break;
    case KIND_TIME:
        if (parse_time(text, &number) == 0)
            out_time(out, number);
        else
            out_str(out, text);
        break;
    default: out_str(out, text);
    }
}

static void
write_members(struct out *out, const struct layout *layout, const struct rows *rows, unsigned row, unsigned further)
{
    out_map(out, layout->count + further);
    for (unsigned i = 0; i < rows->columns; i++) {
        if (layout->columns[i].kind == KIND_HIDDEN)
            continue;
        out_key_str(out, layout->columns[i].name);
        write_value(out, layout->columns[i].kind, cell(rows, row, (int)i));
    }
}

static void
write_row(struct out *out, const struct layout *layout, const struct rows *rows, unsigned row, struct buf *scratch)
{
    if (out->encoding == OUT_JSON) {
        buf_reset(scratch);
        write_json_row(scratch, layout, rows, row);
        if (buf_failed(scratch))
            out->buf->failed = true;
        else
            out_json(out, (struct str){scratch->data, scratch->size});
        return;
    }
    write_members(out, layout, rows, row, 0);
}

void
out_row_with(struct out *self, const struct rows *rows, unsigned row, unsigned further)
{
    struct layout layout;

    layout_init(&layout, rows);
    write_members(self, &layout, rows, row, further);
}

void
out_row(struct out *self, const struct rows *rows, unsigned row)
{
    struct layout layout;
    struct buf scratch;

    layout_init(&layout, rows);
    buf_init(&scratch, REPLY_SIZE_MAX);
    write_row(self, &layout, rows, row, &scratch);
    buf_free(&scratch);
}

void
out_rows(struct out *self, const struct rows *rows)
{
    struct layout layout;
    struct buf scratch;

    layout_init(&layout, rows);
    buf_init(&scratch, REPLY_SIZE_MAX);
    out_list(self, rows->count);
    for (unsigned row = 0; row < rows->count; row++)
        write_row(self, &layout, rows, row, &scratch);
    buf_free(&scratch);
}

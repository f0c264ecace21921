/* orders_filter_read.c - what a client wants of orders, from whatever it sends.
 *
 * Clients send filters that no platform ever knew and expect an answer all the same, so an unknown one has no effect;
 * it is named in `warnings`, so that it does not go unnoticed. A metafield that the app has not defined is none of
 * those: it has no values, so a filter by it finds nothing, and without it nothing is left out.
 */
#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "cursor.h"
#include "json_text.h"
#include "orders_filter.h"
#include "statements.h"

static const char *const value_columns[FILTER_COLUMNS] = {"order_status",   "financial_status", "fulfillment_status",
                                                          "payment_method", "courier",          "courier_id"};
static const char *const filled_columns[] = {"courier", "courier_id", "tracking_code", "payment_method", "note"};

static void
warn(struct order_filters *self, struct call *call, unsigned index, const char *why)
{
    self->warnings[self->warning_count++] = arena_printf(call->arena, "filters[%u] has no effect: %s", index, why);
}

static void
warn_repeated(struct order_filters *self, struct call *call, unsigned index, const char *name)
{
    warn(self, call, index, arena_printf(call->arena, "\"%s\" was filtered before", name));
}

/* A word of the client in a sentence: what is absent is "". */
static const char *
word(struct in filter, const char *name)
{
    const char *text = in_text(filter, name);

    return text ? text : "";
}

static int
find(const char *const *names, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

/* A value, or a list of 1 to FILTER_VALUES_MAX: how many; 0 and a warning when it is neither. */
static unsigned
count_values(struct order_filters *self, struct call *call, unsigned index, struct in value)
{
    bool list = value.object && value.object->type == MSGPACK_OBJECT_ARRAY;
    unsigned count = list ? in_count(value, "") : in_has(value, "") && in_count(value, "") == 0;

    if (count >= 1 && count <= FILTER_VALUES_MAX)
        return count;
    warn(self, call, index, arena_printf(call->arena, "value must be a list of 1 to %d texts", FILTER_VALUES_MAX));
    return 0;
}

/* ---- columns ----------------------------------------------------------------------------------------------------- */

static void
read_values(struct order_filters *self, struct call *call, unsigned index, unsigned column, struct in value)
{
    unsigned count;
    const char *only;

    if (self->values[column]) {
        warn_repeated(self, call, index, value_columns[column]);
        return;
    }
    if ((count = count_values(self, call, index, value)) == 0)
        return;
    only = count == 1 ? in_text(in_text(value, "") ? value : in_item(value, 0), "") : NULL;
    self->values[column] = array_text_of(value, call->arena);
    self->column_count++;
    if (column == ORDER_STATUS && only && *only)
        self->status = only;
}

static void
read_filled(struct order_filters *self, struct call *call, unsigned filled, bool *seen)
{
    if (seen[filled])
        return;
    seen[filled] = true;
    self->column_count++;
    self->filled = arena_printf(call->arena, "%.*s%s%s}", self->filled ? (int)strlen(self->filled) - 1 : 1,
                                self->filled ? self->filled : "{", self->filled ? "," : "", filled_columns[filled]);
}

/* ---- metafields -------------------------------------------------------------------------------------------------- */

/* What is no text is meant as its JSON text, as where values are set. */
static void
add_value(struct buf *list, struct in value, struct arena *arena)
{
    struct str text = in_text(value, "") ? in_str(value, "") : json_text_of(value, arena);

    buf_append_text(list, list->size > 1 ? ",\"" : "\"");
    for (size_t i = 0; i < text.len; i++) {
        if (text.base[i] == '"' || text.base[i] == '\\')
            buf_append_byte(list, '\\');
        buf_append_byte(list, text.base[i]);
    }
    buf_append_byte(list, '"');
}

static const char *
metafield_values(struct in value, unsigned count, struct arena *arena)
{
    bool is_list = value.object->type == MSGPACK_OBJECT_ARRAY;
    const char *text;
    struct buf list;

    buf_init(&list, WIRE_MESSAGE_MAX);
    buf_append_byte(&list, '{');
    for (unsigned i = 0; i < count; i++)
        add_value(&list, is_list ? in_item(value, i) : value, arena);
    buf_append_byte(&list, '}');
    text = arena_strndup(arena, list.data, list.size);
    buf_free(&list);
    return text;
}

static void
read_metafield(struct order_filters *self, struct call *call, unsigned index, struct in filter)
{
    const char *name = word(filter, "name"), *type = word(filter, "type");
    bool any = strcmp(type, "is_not_empty") == 0;
    struct metafield_filter *target = &self->metafields[self->metafield_count];
    struct in value = in_at(filter, "value");

    if (!any && strcmp(type, "is") != 0 && strcmp(type, "select") != 0 && strcmp(type, "metafield_is") != 0) {
        warn(self, call, index, arena_printf(call->arena, "\"%s\" of a metafield is not known", type));
        return;
    }
    if (!strchr(name, '.')) {
        warn(self, call, index, "the name of a metafield is namespace.key");
        return;
    }
    for (unsigned i = 0; i < self->metafield_count; i++)
        if (strcmp(self->metafields[i].name, name) == 0) {
            warn_repeated(self, call, index, name);
            return;
        }
    if (self->metafield_count == FILTER_METAFIELDS_MAX) {
        warn(self, call, index, arena_printf(call->arena, "at most %d metafields at a time", FILTER_METAFIELDS_MAX));
        return;
    }
    *target = (struct metafield_filter){.name = name, .values = "{NULL}", .value_count = 1};
    if (!any) {
        if ((target->value_count = count_values(self, call, index, value)) == 0)
            return;
        target->values = metafield_values(value, target->value_count, call->arena);
    }
    self->metafield_count++;
}

static void
read_excluded(struct order_filters *self, struct call *call)
{
    struct in all = in_at(call->in, "body.exclude_metafields");

    self->excluded_count = in_count(all, "");
    for (unsigned i = 0; i < self->excluded_count; i++)
        self->excluded_names[i] =
            arena_printf(call->arena, "%s.%s", word(in_item(all, i), "namespace"), word(in_item(all, i), "key"));
}

/* One statement for all the names, those of filters first. */
static int
look_up(struct order_filters *self, struct call *call)
{
    struct json_text names;
    const char *ids = NULL;
    struct rows rows;

    if (self->metafield_count + self->excluded_count == 0)
        return 0;
    json_text_begin(&names);
    out_list(&names.out, self->metafield_count + self->excluded_count);
    for (unsigned i = 0; i < self->metafield_count; i++)
        out_text(&names.out, self->metafields[i].name);
    for (unsigned i = 0; i < self->excluded_count; i++)
        out_text(&names.out, self->excluded_names[i]);
    if (db_run(call, METAFIELD_ORDER_DEFINITIONS, &rows, "lj", call->caller.app_id, json_text_end(&names, call->arena)))
        return -1;
    for (unsigned i = 0; i < rows.count; i++) {
        int64_t id = rows_int(&rows, i, "definition_id");

        if (i < self->metafield_count)
            self->metafields[i].definition_id = id;
        else if (id)
            ids = arena_printf(call->arena, "%s%s%" PRId64, ids ? ids : "", ids ? "," : "", id);
    }
    self->excluded = ids ? arena_printf(call->arena, "{%s}", ids) : NULL;
    return 0;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void
read_filter(struct order_filters *self, struct call *call, unsigned index, struct in filter, bool *seen)
{
    const char *name = word(filter, "name"), *type = word(filter, "type"), *data_type = word(filter, "dataType");
    bool order = strcmp(word(filter, "tableAlias"), "o") == 0 || !in_has(filter, "tableAlias");
    bool chosen = strcmp(data_type, "select") == 0 && (strcmp(type, "is") == 0 || strcmp(type, "select") == 0);
    int column = find(value_columns, FILTER_COLUMNS, name),
        filled = find(filled_columns, ARRAY_COUNT(filled_columns), name);

    if (order && strcmp(data_type, "metafield") == 0)
        read_metafield(self, call, index, filter);
    else if (order && chosen && column >= 0)
        read_values(self, call, index, (unsigned)column, in_at(filter, "value"));
    else if (order && filled >= 0 && strcmp(type, "is_not_empty") == 0)
        read_filled(self, call, (unsigned)filled, seen);
    else
        warn(self, call, index,
             arena_printf(call->arena, "\"%s\" with dataType \"%s\" on \"%s\" is not known", type, data_type, name));
}

int
order_filters_read(struct order_filters *self, struct call *call)
{
    struct in all = in_at(call->in, "body.filters");
    bool seen[ARRAY_COUNT(filled_columns)] = {false};

    *self = (struct order_filters){.status = ""};
    for (unsigned i = 0; i < in_count(all, ""); i++)
        read_filter(self, call, i, in_item(all, i), seen);
    read_excluded(self, call);
    return look_up(self, call);
}

static uint64_t
hash_text(uint64_t hash, const char *text)
{
    return cursor_hash(hash, text ? text : "", text ? strlen(text) + 1 : 0);
}

uint64_t
order_filters_hash(const struct order_filters *self, struct call *call)
{
    const char *caller =
        arena_printf(call->arena, "filters %" PRId64 " %" PRId64, call->caller.store_id, call->caller.app_id);
    uint64_t hash = hash_text(0, caller);

    for (unsigned i = 0; i < FILTER_COLUMNS; i++)
        hash = hash_text(hash, self->values[i] ? self->values[i] : "-");
    hash = hash_text(hash, self->filled ? self->filled : "-");
    for (unsigned i = 0; i < self->metafield_count; i++)
        hash = hash_text(hash_text(hash, self->metafields[i].name), self->metafields[i].values);
    hash = hash_text(hash, "-");
    for (unsigned i = 0; i < self->excluded_count; i++)
        hash = hash_text(hash, self->excluded_names[i]);
    return hash;
}

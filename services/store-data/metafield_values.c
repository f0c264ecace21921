/* metafield_values.c - what apps keep: typed values on orders, products, customers and the store.
 *
 * A value is kept and answered as the text that was sent. A batch is written as a whole or not at all, in four
 * statements however many values it has: the definitions and the customers it names (held until it ends), the resources
 * that are not there, the values in the order of their index.
 */
#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "json_text.h"
#include "list.h"
#include "metafields.h"
#include "statements.h"
#include "store_data_operations.h"

/* Of values, as JSON; below REPLY_SIZE_MAX by all that stands around them. */
#define PAGE_BYTES_MAX (12 * 1024 * 1024)

static const struct list_sort sorts[LIST_SORTS] = {{"name", "_name", "", ""}};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* How many bytes a text takes in JSON, at most. */
static size_t
json_size(const char *text)
{
    size_t size = 2;

    for (; *text; text++)
        size += (unsigned char)*text < ' ' ? 6 : *text == '"' || *text == '\\' ? 2 : 1;
    return size;
}

/* A page of long values may be more than an answer can hold. */
static int
check_size(struct call *call, const struct rows *rows)
{
    size_t size = 0;

    for (unsigned i = 0; i < rows->count; i++)
        size += rows_is_null(rows, i, "value") ? 0 : json_size(rows_text(rows, i, "value"));
    if (size <= PAGE_BYTES_MAX)
        return 0;
    return call_fail(call, FAIL_VALIDATION_ERROR, "limit",
                     "these values are too long for one answer; ask for fewer, and go on with next_cursor");
}

static int
read_resource(struct call *call, const char **letter, int64_t *resource_id)
{
    *letter = metafield_letter(in_text(call->in, "query.resource_type"));
    *resource_id = in_int(call->in, "query.resource_id", 0);
    if (*resource_id == 0 && **letter == 's')
        *resource_id = call->caller.store_id;
    if (*resource_id == 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, "resource_id", "is required unless resource_type is store");
    return 0;
}

int
metafields_values_list(struct call *call)
{
    struct list list = {.sorts = sorts, .id_column = "value_id"};
    int64_t store_id = call->caller.store_id, app_id = call->caller.app_id, resource_id;
    const char *letter;
    struct rows rows;

    if (read_resource(call, &letter, &resource_id))
        return -1;
    if (list_read(&list, call, "name:asc", arena_printf(call->arena, "%s %" PRId64, letter, resource_id)) ||
        db_run(call, METAFIELD_RESOURCE_FIND, &rows, "lsl", store_id, letter, resource_id))
        return -1;
    if (rows.count == 0)
        return call_failf(call, FAIL_NOT_FOUND, "resource_id", "No such %s in this store",
                          in_text(call->in, "query.resource_type"));
    if (db_run(call, METAFIELD_VALUES_LIST, &rows, "llslllsl", store_id, app_id, letter, resource_id,
               list_wanted(&list), list_offset(&list), list_key(&list), list_id(&list)) ||
        check_size(call, &rows))
        return -1;
    list_write(&list, call, &rows, 0);
    return call_reply(call, 200);
}

int
metafields_values_get(struct call *call)
{
    struct rows rows;

    if (db_run(call, METAFIELD_VALUE_GET, &rows, "lll", call->caller.store_id, call->caller.app_id,
               in_int(call->in, "path.value_id", 0)))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "value_id", "Your app keeps no such value in this store");
    return call_reply_row(call, 200, &rows, 0);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct item {
    unsigned number; /* in the batch */
    const char *namespace, *key, *resource_type, *letter;
    int64_t resource_id, definition_id;
    struct str value;
};

struct batch {
    struct item *items; /* in the arena */
    unsigned count;
};

static int
fail_item(struct call *call, const struct item *item, enum fail code, const char *field, const char *why)
{
    return call_fail(call, code, arena_printf(call->arena, "metafields[%u].%s", item->number, field), why);
}

static int
read_item(struct item *self, struct call *call, struct in body)
{
    struct in value = in_at(body, "value");
    const char *why;

    self->namespace = in_text(body, "namespace");
    self->key = in_text(body, "key");
    self->resource_type = in_text(body, "resource_type");
    self->letter = metafield_letter(self->resource_type);
    self->resource_id = in_int(body, "resource_id", *self->letter == 's' ? call->caller.store_id : 0);
    if ((why = metafield_namespace_error(self->namespace)))
        return fail_item(call, self, FAIL_VALIDATION_ERROR, "namespace", why);
    if ((why = metafield_key_error(self->key)))
        return fail_item(call, self, FAIL_VALIDATION_ERROR, "key", why);
    if (self->resource_id == 0)
        return fail_item(call, self, FAIL_VALIDATION_ERROR, "resource_id", "is required unless resource_type is store");
    if (!in_has(value, ""))
        return fail_item(call, self, FAIL_VALIDATION_ERROR, "value",
                         "must not be null; DELETE /metafields/values/:value_id removes a value");
    self->value = in_text(value, "") ? in_str(value, "") : json_text_of(value, call->arena);
    return 0;
}

static int
read_batch(struct batch *self, struct call *call)
{
    struct in all = in_at(call->in, "body.metafields");

    self->count = in_count(all, "");
    self->items = arena_alloc(call->arena, self->count * sizeof(*self->items));
    for (unsigned i = 0; i < self->count; i++) {
        self->items[i].number = i;
        if (read_item(&self->items[i], call, in_item(all, i)))
            return -1;
    }
    return 0;
}

/* What the statements take: which values, and what they are only where that is wanted. */
static struct str
batch_json(const struct batch *self, struct arena *arena, bool values)
{
    struct json_text text;

    json_text_begin(&text);
    out_list(&text.out, self->count);
    for (unsigned i = 0; i < self->count; i++) {
        const struct item *item = &self->items[i];

        out_map(&text.out, values ? 7 : 6);
        out_key(&text.out, "n");
        out_int(&text.out, item->number);
        out_key(&text.out, "namespace");
        out_text(&text.out, item->namespace);
        out_key(&text.out, "key");
        out_text(&text.out, item->key);
        out_key(&text.out, "letter");
        out_text(&text.out, item->letter);
        out_key(&text.out, "id");
        out_int(&text.out, item->resource_id);
        out_key(&text.out, "definition");
        out_int(&text.out, item->definition_id);
        if (values) {
            out_key(&text.out, "value");
            out_str(&text.out, item->value);
        }
    }
    return json_text_end(&text, arena);
}

/* The definition, and whether its type takes the value. */
static int
define_item(struct item *self, struct call *call, const struct rows *definitions)
{
    const char *why;
    unsigned i = 0;

    while (i < definitions->count && (strcmp(rows_text(definitions, i, "key"), self->key) != 0 ||
                                      strcmp(rows_text(definitions, i, "namespace"), self->namespace) != 0))
        i++;
    if (i == definitions->count)
        return fail_item(call, self, FAIL_NOT_FOUND, "key",
                         arena_printf(call->arena,
                                      "Your app has no definition %s.%s; make it with POST /metafields/definitions",
                                      self->namespace, self->key));
    if (strcmp(rows_text(definitions, i, "letter"), self->letter) != 0)
        return fail_item(call, self, FAIL_VALIDATION_ERROR, "resource_type",
                         arena_printf(call->arena, "%s.%s is not defined for a %s", self->namespace, self->key,
                                      self->resource_type));
    self->definition_id = rows_int(definitions, i, "definition_id");
    if ((why = metafield_value_error(rows_text(definitions, i, "value_type"), self->value)))
        return fail_item(call, self, FAIL_VALIDATION_ERROR, "value", why);
    return 0;
}

static int
by_place(const void *left, const void *right)
{
    const struct item *const *a = left, *const *b = right;

    if ((*a)->definition_id != (*b)->definition_id)
        return (*a)->definition_id < (*b)->definition_id ? -1 : 1;
    if ((*a)->resource_id != (*b)->resource_id)
        return (*a)->resource_id < (*b)->resource_id ? -1 : 1;
    return (*a)->number < (*b)->number ? -1 : 1;
}

/* A batch that says two things about one value says nothing. */
static int
refuse_repeated(const struct batch *self, struct call *call)
{
    const struct item **sorted = arena_alloc(call->arena, self->count * sizeof(struct item *));

    for (unsigned i = 0; i < self->count; i++)
        sorted[i] = &self->items[i];
    qsort(sorted, self->count, sizeof(struct item *), by_place);
    for (unsigned i = 1; i < self->count; i++)
        if (sorted[i]->definition_id == sorted[i - 1]->definition_id &&
            sorted[i]->resource_id == sorted[i - 1]->resource_id)
            return fail_item(call, sorted[i], FAIL_VALIDATION_ERROR, "key",
                             arena_printf(call->arena, "is the same value of the same %s as metafields[%u]",
                                          sorted[i]->resource_type, sorted[i - 1]->number));
    return 0;
}

/* Holds the definitions and the customers, and sees that every resource is in this store. */
static int
check_batch(struct batch *self, struct call *call)
{
    struct str names = batch_json(self, call->arena, false);
    int64_t store_id = call->caller.store_id, app_id = call->caller.app_id;
    struct rows definitions, held, missing;

    if (db_send(call, METAFIELD_DEFINITIONS_SHARE, "lj", app_id, names) ||
        db_send(call, METAFIELD_CUSTOMERS_HOLD, "lj", store_id, names) ||
        db_send(call, METAFIELD_RESOURCES_MISSING, "lj", store_id, names) || db_collect(call, &definitions) ||
        db_collect(call, &held) || db_collect(call, &missing))
        return -1;
    for (unsigned i = 0; i < self->count; i++)
        if (define_item(&self->items[i], call, &definitions))
            return -1;
    if (missing.count > 0) {
        const struct item *item = &self->items[rows_int(&missing, 0, "n")];

        return fail_item(call, item, FAIL_NOT_FOUND, "resource_id",
                         arena_printf(call->arena, "No such %s in this store", item->resource_type));
    }
    return refuse_repeated(self, call);
}

int
metafields_values_set(struct call *call)
{
    int64_t store_id = call->caller.store_id, app_id = call->caller.app_id;
    struct batch batch;
    struct rows rows;

    if (read_batch(&batch, call) || db_begin(call) || check_batch(&batch, call) ||
        db_post(call, METAFIELD_VALUES_PUT, "lljt", store_id, app_id, batch_json(&batch, call->arena, true),
                clock_now_us()) ||
        db_run(call, METAFIELD_VALUES_OF, &rows, "llj", store_id, app_id, batch_json(&batch, call->arena, false)) ||
        db_commit(call))
        return -1;
    call_data(call);
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

int
metafields_values_delete(struct call *call)
{
    int64_t store_id = call->caller.store_id, app_id = call->caller.app_id,
            value_id = in_int(call->in, "path.value_id", 0);
    struct rows rows;

    if (db_begin(call) || db_run(call, METAFIELD_VALUE_LOCK, &rows, "lll", store_id, app_id, value_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "value_id", "Your app keeps no such value in this store");
    if ((call_has_if_match(call) && call_if_match(call, &rows)) ||
        db_post(call, METAFIELD_VALUE_DELETE, "lll", store_id, app_id, value_id) || db_commit(call))
        return -1;
    return call_reply_deleted(call, "value_id", value_id, "Value deleted");
}

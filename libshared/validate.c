/* validate.c - the contract's schemas, applied.
 *
 * One descent over the value writes the typed copy and notes what is wrong on the way. The place of a value is a chain
 * on the stack; it becomes text only for an error, so that good requests pay nothing for good messages.
 */
#include "validate.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "json.h"
#include "money.h"
#include "text.h"
#include "token.h"

#define FIELD_TEXT_MAX   256 /* of a path in an error; names of unknown fields come from the client */
#define MESSAGE_TEXT_MAX 512
#define FIELDS_MAX       256 /* of one object schema */

struct place {
    const struct place *up;
    struct str name; /* absent: an item of a list */
    unsigned index;
};

void
validation_init(struct validation *self, struct arena *arena)
{
    self->arena = arena;
    self->count = 0;
}

static void
add_error(struct validation *self, const char *field, const char *format, va_list arguments)
{
    char message[MESSAGE_TEXT_MAX];

    if (self->count == VALIDATION_ERRORS_MAX)
        return;
    vsnprintf(message, sizeof(message), format, arguments);
    self->errors[self->count].field = arena_strdup(self->arena, field);
    self->errors[self->count].message = arena_strdup(self->arena, message);
    self->count++;
}

void
validation_add(struct validation *self, const char *field, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add_error(self, field, format, arguments);
    va_end(arguments);
}

/* "items[2].quantity" into target; cut between characters when it is too long. */
static void
print_place(const struct place *place, struct buf *target)
{
    char index[INT_TEXT_SIZE + 2];

    if (place == NULL)
        return;
    print_place(place->up, target);
    if (place->name.base == NULL) {
        int len = snprintf(index, sizeof(index), "[%u]", place->index);

        buf_append(target, index, (size_t)len);
        return;
    }
    if (target->size > 0 && place->name.len > 0)
        buf_append_byte(target, '.');
    if (place->name.len > target->size_max - target->size) {
        size_t shown = target->size_max - target->size;

        while (shown > 0 && (place->name.base[shown] & 0xC0) == 0x80)
            shown--;
        buf_append(target, place->name.base, shown);
        target->failed = true; /* nothing behind it either */
        return;
    }
    buf_append(target, place->name.base, place->name.len);
}

static void printf_like(3, 4) report(struct validation *self, const struct place *place, const char *format, ...)
{
    struct buf field;
    va_list arguments;

    buf_init(&field, FIELD_TEXT_MAX);
    print_place(place, &field);
    va_start(arguments, format);
    add_error(self, field.size > 0 ? arena_strndup(self->arena, field.data, field.size) : "body", format, arguments);
    va_end(arguments);
    buf_free(&field);
}

static bool
is_ext(const msgpack_object *object, int type)
{
    return object->type == MSGPACK_OBJECT_EXT && object->via.ext.type == type;
}

static void
copy_object(const msgpack_object *object, struct buf *target)
{
    msgpack_packer packer = token_packer(target);

    msgpack_pack_object(&packer, *object);
}

/* ---- scalars ----------------------------------------------------------------------------------------------------- */

static void
check_boolean(struct validation *self, const struct place *place, const msgpack_object *object, struct buf *target)
{
    if (object->type != MSGPACK_OBJECT_BOOLEAN)
        report(self, place, "must be true or false");
    else
        copy_object(object, target);
}

/* A whole number, however large: what an int64_t cannot hold is beyond, below or above. -1 when it is not whole. */
static int
read_integer(const msgpack_object *object, int64_t *value, int *beyond)
{
    struct str text = {object->via.ext.ptr, object->via.ext.size};

    *beyond = 0;
    if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER || object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        *value = object->via.i64;
        if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 > INT64_MAX)
            *beyond = 1;
        return 0;
    }
    if (!is_ext(object, EXT_NUMBER) || !text_is_number(text.base, text.len))
        return -1;
    for (size_t i = 0; i < text.len; i++)
        if (text.base[i] == '.' || text.base[i] == 'e' || text.base[i] == 'E')
            return -1;
    /* Whole numbers come as text only when they pass 64 bits, or as -0. */
    if (text_to_int(text.base, text.len, value) != 0)
        *beyond = text.base[0] == '-' ? -1 : 1;
    return 0;
}

static void
check_integer(struct validation *self, const struct schema *schema, const struct place *place,
              const msgpack_object *object, struct buf *target)
{
    msgpack_packer packer = token_packer(target);
    int64_t value = 0;
    int beyond;

    if (read_integer(object, &value, &beyond) != 0)
        report(self, place, "must be a whole number");
    else if (beyond < 0 || (beyond == 0 && value < schema->min))
        report(self, place, "must be at least %lld", (long long)schema->min);
    else if (beyond > 0 || value > schema->max)
        report(self, place, "must be at most %lld", (long long)schema->max);
    else
        msgpack_pack_int64(&packer, value);
}

/* The amount in the schema's smallest unit: from a whole number, a number's text, or money from one of our services. */
static int
read_amount(const msgpack_object *object, unsigned decimals, int64_t *amount)
{
    char text[INT_TEXT_SIZE];
    unsigned given;

    switch (object->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return money_parse(text, text_from_uint(text, object->via.u64), decimals, amount);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return money_parse(text, text_from_int(text, object->via.i64), decimals, amount);
    case MSGPACK_OBJECT_EXT:
        if (is_ext(object, EXT_NUMBER))
            return money_parse(object->via.ext.ptr, object->via.ext.size, decimals, amount);
        return token_money(object, amount, &given) == 0 && given == decimals ? 0 : -1;
    default: return -1;
    }
}

static void
check_money(struct validation *self, const struct schema *schema, const struct place *place,
            const msgpack_object *object, struct buf *target)
{
    char text[MONEY_TEXT_SIZE];
    int64_t amount;

    if (read_amount(object, schema->decimals, &amount) != 0) {
        money_print(text, MONEY_MAX, schema->decimals);
        if (schema->decimals == 0)
            report(self, place, "must be a whole number up to %s", text);
        else
            report(self, place, "must be a number with at most %u decimals and no exponent, up to %s",
                   (unsigned)schema->decimals, text);
    } else if (amount < schema->min) {
        money_print(text, schema->min, schema->decimals);
        report(self, place, "must be at least %s", text);
    } else if (amount > schema->max) {
        money_print(text, schema->max, schema->decimals);
        report(self, place, "must be at most %s", text);
    } else {
        token_append_money(target, amount, schema->decimals);
    }
}

static void
report_choices(struct validation *self, const struct place *place, const char *const *choices)
{
    char list[MESSAGE_TEXT_MAX - 32];
    size_t len = 0;

    for (; *choices != NULL && len < sizeof(list); choices++)
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len > 0 ? ", " : "", *choices);
    report(self, place, "must be one of %s", list);
}

static bool
is_choice(const char *const *choices, struct str text)
{
    for (; *choices != NULL; choices++)
        if (str_is(text, *choices))
            return true;
    return false;
}

static void
check_text(struct validation *self, const struct schema *schema, const struct place *place,
           const msgpack_object *object, struct buf *target)
{
    struct str text = {object->via.str.ptr, object->via.str.size};
    const char *wrong;
    int64_t characters;

    /* JSON and query strings have been checked for both; what other processes send has not. PostgreSQL takes neither.
     */
    if (!text_is_utf8(text.base, text.len) || (text.len > 0 && memchr(text.base, '\0', text.len) != NULL)) {
        report(self, place, "must be UTF-8 text without NUL characters");
        return;
    }
    characters = (int64_t)text_characters(text.base, text.len);
    wrong = format_error(schema->format, text.base, text.len);
    if (schema->choices != NULL && !is_choice(schema->choices, text))
        report_choices(self, place, schema->choices);
    else if (characters == 0 && schema->min > 0)
        report(self, place, "must not be empty");
    else if (characters < schema->min)
        report(self, place, "must be at least %lld characters", (long long)schema->min);
    else if (characters > schema->max)
        report(self, place, "must be at most %lld characters", (long long)schema->max);
    else if (wrong != NULL)
        report(self, place, "%s", wrong);
    else
        copy_object(object, target);
}

/* A date-time is a string outside and a timestamp between our processes. */
static void
check_time(struct validation *self, const struct place *place, const msgpack_object *object, struct buf *target)
{
    int64_t time_us;

    if (token_time(object, &time_us) == 0 ||
        (object->type == MSGPACK_OBJECT_STR && text_to_time(object->via.str.ptr, object->via.str.size, &time_us) == 0))
        token_append_time(target, time_us);
    else
        report(self, place, "must be a date and time such as 2026-01-15T08:30:00Z");
}

static void
check_string(struct validation *self, const struct schema *schema, const struct place *place,
             const msgpack_object *object, struct buf *target)
{
    if (schema->format == FORMAT_DATE_TIME) {
        check_time(self, place, object, target);
    } else if (schema->format == FORMAT_BINARY && object->type == MSGPACK_OBJECT_BIN) {
        if (object->via.bin.size < schema->min || object->via.bin.size > schema->max)
            report(self, place, "must be %lld to %lld bytes", (long long)schema->min, (long long)schema->max);
        else
            copy_object(object, target);
    } else if (object->type != MSGPACK_OBJECT_STR) {
        report(self, place, "must be a string");
    } else {
        check_text(self, schema, place, object, target);
    }
}

/* ---- containers -------------------------------------------------------------------------------------------------- */

static void check_value(struct validation *self, const struct schema *schema, const struct place *place,
                        const msgpack_object *object, struct buf *target);

static void
check_array(struct validation *self, const struct schema *schema, const struct place *place,
            const msgpack_object *object, struct buf *target)
{
    msgpack_packer packer = token_packer(target);
    uint32_t count;

    if (object->type != MSGPACK_OBJECT_ARRAY) {
        report(self, place, "must be a list");
        return;
    }
    count = object->via.array.size;
    if (count < schema->min || count > schema->max) {
        bool few = count < schema->min;
        long long bound = few ? schema->min : schema->max;

        report(self, place, "must have at %s %lld item%s", few ? "least" : "most", bound, bound == 1 ? "" : "s");
        return;
    }
    msgpack_pack_array(&packer, count);
    for (uint32_t i = 0; i < count && self->count < VALIDATION_ERRORS_MAX; i++) {
        struct place item = {.up = place, .index = i};

        check_value(self, schema->items, &item, &object->via.array.ptr[i], target);
    }
}

static const struct field *
find_field(const struct schema *schema, struct str name)
{
    for (unsigned i = 0; i < schema->field_count; i++)
        if (name.len > 0 && schema->fields[i].name[0] == name.base[0] && str_is(name, schema->fields[i].name))
            return &schema->fields[i];
    return NULL;
}

/* A member that the schema does not name: kept, refused or dropped. Answers how many members it wrote. */
static uint32_t
check_further(struct validation *self, const struct schema *schema, const struct place *place,
              const msgpack_object_kv *member, struct buf *target)
{
    if (!schema->additional) {
        if (schema->strict)
            report(self, place, "is not a known field");
        return 0;
    }
    copy_object(&member->key, target);
    if (schema->items != NULL)
        check_value(self, schema->items, place, &member->val, target);
    else
        copy_object(&member->val, target);
    return 1;
}

static uint32_t
check_members(struct validation *self, const struct schema *schema, const struct place *place,
              const msgpack_object_map *map, bool *seen, struct buf *target)
{
    uint32_t written = 0;

    for (uint32_t i = 0; i < map->size && self->count < VALIDATION_ERRORS_MAX; i++) {
        const msgpack_object_kv *member = &map->ptr[i];
        struct place inner = {place, {member->key.via.str.ptr, member->key.via.str.size}, 0};
        const struct field *field = find_field(schema, inner.name);

        if (field == NULL) {
            written += check_further(self, schema, &inner, member, target);
            continue;
        }
        if (seen[field - schema->fields]) {
            report(self, &inner, "is given twice"); /* only other processes can: JSON with duplicates is refused */
            continue;
        }
        seen[field - schema->fields] = true;
        copy_object(&member->key, target);
        check_value(self, field->schema, &inner, &member->val, target);
        written++;
    }
    return written;
}

static void
check_object(struct validation *self, const struct schema *schema, const struct place *place,
             const msgpack_object *object, struct buf *target)
{
    bool seen[FIELDS_MAX] = {false};
    size_t head = target->size;
    uint32_t written;

    assert(schema->field_count <= FIELDS_MAX);
    if (object->type != MSGPACK_OBJECT_MAP) {
        report(self, place, "must be an object");
        return;
    }
    if (object->via.map.size < schema->min || object->via.map.size > schema->max) {
        bool few = object->via.map.size < schema->min;
        long long bound = few ? schema->min : schema->max;

        report(self, place, "must have at %s %lld field%s", few ? "least" : "most", bound, bound == 1 ? "" : "s");
        return;
    }
    /* How many members are kept is known at the end: a head of five bytes, filled in then. */
    buf_append(target, "\xdf\0\0\0\0", 5);
    written = check_members(self, schema, place, &object->via.map, seen, target);
    if (!buf_failed(target))
        for (unsigned i = 0; i < 4; i++)
            target->data[head + 1 + i] = (char)(written >> (24 - 8 * i));
    for (unsigned i = 0; i < schema->field_count; i++) {
        struct place inner = {place, str_of(schema->fields[i].name), 0};

        if (schema->fields[i].required && !seen[i])
            report(self, &inner, "is required");
    }
}

static void
check_value(struct validation *self, const struct schema *schema, const struct place *place,
            const msgpack_object *object, struct buf *target)
{
    if (object->type == MSGPACK_OBJECT_NIL && schema->type != SCHEMA_ANY) {
        if (schema->nullable)
            buf_append_byte(target, '\xc0');
        else
            report(self, place, "must not be null");
        return;
    }
    switch (schema->type) {
    case SCHEMA_ANY: copy_object(object, target); break;
    case SCHEMA_BOOLEAN: check_boolean(self, place, object, target); break;
    case SCHEMA_INTEGER: check_integer(self, schema, place, object, target); break;
    case SCHEMA_MONEY: check_money(self, schema, place, object, target); break;
    case SCHEMA_STRING: check_string(self, schema, place, object, target); break;
    case SCHEMA_ARRAY: check_array(self, schema, place, object, target); break;
    case SCHEMA_OBJECT: check_object(self, schema, place, object, target); break;
    }
}

void
validate_value(struct validation *self, const struct schema *schema, struct in value, const char *path,
               struct buf *target)
{
    struct place place = {.name = str_of(path)};

    if (value.object == NULL)
        report(self, &place, "is required");
    else
        check_value(self, schema, &place, value.object, target);
}

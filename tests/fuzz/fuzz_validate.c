/* Whatever value arrives, as JSON or from another process: it is refused with errors that name fields, or what comes
 * out passes the same schema again, unchanged. The first byte says how the rest is read. */
#include <assert.h>
#include <string.h>

#include "json.h"
#include "money.h"
#include "text.h"
#include "validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ANY_SIZE .min = 0, .max = INT64_MAX

static const char *const words[] = {"a", "b", NULL};
static const struct schema any = {.type = SCHEMA_ANY};
static const struct schema boolean = {.type = SCHEMA_BOOLEAN, .nullable = true};
static const struct schema integer = {.type = SCHEMA_INTEGER, .min = -5, .max = 250};
static const struct schema money = {.type = SCHEMA_MONEY, .decimals = 2, .min = -MONEY_MAX, .max = MONEY_MAX};
static const struct schema fine = {.type = SCHEMA_MONEY, .decimals = 3, .min = 0, .max = 5000};
static const struct schema text = {.type = SCHEMA_STRING, .min = 1, .max = 5};
static const struct schema word = {.type = SCHEMA_STRING, ANY_SIZE, .choices = words};
static const struct schema formats[] = {
    {.type = SCHEMA_STRING, ANY_SIZE, .format = FORMAT_DATE_TIME},
    {.type = SCHEMA_STRING, ANY_SIZE, .format = FORMAT_EMAIL},
    {.type = SCHEMA_STRING, ANY_SIZE, .format = FORMAT_URI},
    {.type = SCHEMA_STRING, ANY_SIZE, .format = FORMAT_UUID},
    {.type = SCHEMA_STRING, ANY_SIZE, .format = FORMAT_DATE},
    {.type = SCHEMA_STRING, ANY_SIZE, .format = FORMAT_SLUG},
    {.type = SCHEMA_STRING, ANY_SIZE, .format = FORMAT_PHONE},
    {.type = SCHEMA_STRING, ANY_SIZE, .format = FORMAT_NAME},
    {.type = SCHEMA_STRING, ANY_SIZE, .format = FORMAT_BINARY},
    {.type = SCHEMA_STRING, ANY_SIZE, .format = FORMAT_TEXT},
};
static const struct schema list = {.type = SCHEMA_ARRAY, .min = 0, .max = 9, .items = &money};
static const struct schema kept = {.type = SCHEMA_OBJECT, .max = 9, .additional = true, .items = &list};
static const struct field inner_fields[] = {{"m", &money, true}, {"i", &integer, false}, {"w", &word, false}};
static const struct schema inner = {
    .type = SCHEMA_OBJECT, ANY_SIZE, .strict = true, .fields = inner_fields, .field_count = ARRAY_COUNT(inner_fields)};
static const struct schema inners = {.type = SCHEMA_ARRAY, ANY_SIZE, .items = &inner};
static const struct field fields[] = {
    {"x", &any, false},         {"b", &boolean, false},     {"i", &integer, false},     {"m", &money, false},
    {"f", &fine, false},        {"t", &text, false},        {"w", &word, false},        {"l", &list, false},
    {"k", &kept, false},        {"o", &inner, false},       {"os", &inners, false},     {"f0", &formats[0], false},
    {"f1", &formats[1], false}, {"f2", &formats[2], false}, {"f3", &formats[3], false}, {"f4", &formats[4], false},
    {"f5", &formats[5], false}, {"f6", &formats[6], false}, {"f7", &formats[7], false}, {"f8", &formats[8], false},
    {"f9", &formats[9], false},
};
static const struct schema root = {
    .type = SCHEMA_OBJECT, ANY_SIZE, .fields = fields, .field_count = ARRAY_COUNT(fields)};

static void
check_errors(const struct validation *validation)
{
    assert(validation->count <= VALIDATION_ERRORS_MAX);
    for (unsigned i = 0; i < validation->count; i++)
        assert(validation->errors[i].field[0] != '\0' && validation->errors[i].message[0] != '\0');
}

static void
check_value(struct arena *arena, const uint8_t *data, size_t size)
{
    struct validation validation;
    struct buf once, twice;
    struct in in;

    if (in_decode(&in, arena, data, size) != 0)
        return;
    buf_init(&once, 1 << 20);
    buf_init(&twice, 1 << 20);
    validation_init(&validation, arena);
    validate_value(&validation, &root, in, "", &once);
    check_errors(&validation);
    if (validation.count == 0) {
        int result = in_decode(&in, arena, once.data, once.size);

        assert(result == 0);
        validate_value(&validation, &root, in, "", &twice);
        assert(validation.count == 0 && once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    }
    buf_free(&once);
    buf_free(&twice);
}

static void
check_parameters(struct arena *arena, const char *value, size_t size)
{
    for (unsigned i = 0; i < ARRAY_COUNT(fields); i++) {
        bool clamp = size % 2 == 0;
        struct parameter parameter = {fields[i].name, fields[i].schema, NULL, PLACE_QUERY, false, clamp};
        struct validation validation;
        struct buf target;

        if (fields[i].schema->type == SCHEMA_ARRAY || fields[i].schema->type == SCHEMA_OBJECT)
            continue;
        buf_init(&target, 1 << 20);
        validation_init(&validation, arena);
        if (validate_parameter(&validation, &parameter, value, size, &target))
            assert(validation.count == 0 && target.size > 0);
        else
            assert(target.size == 0 && (validation.count > 0) == (!clamp && size > 0));
        check_errors(&validation);
        buf_free(&target);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(4096);
    struct buf packed;
    char why[JSON_WHY_SIZE];

    buf_init(&packed, 1 << 20);
    if (size > 0 && data[0] == 'p')
        check_parameters(arena, (const char *)data + 1, size - 1);
    else if (size > 0 && data[0] == 'm')
        check_value(arena, data + 1, size - 1);
    else if (json_to_msgpack((const char *)data, size, &packed, why) == 0)
        check_value(arena, (const uint8_t *)packed.data, packed.size);
    buf_free(&packed);
    arena_destroy(&arena);
    return 0;
}

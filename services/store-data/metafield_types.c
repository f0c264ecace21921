/* metafield_types.c - which texts are namespaces, keys and values (contract A.2 and K.3).
 *
 * A value is kept and answered as the text that was sent, so a text is accepted only in the form that every reader
 * understands: numbers by JSON's grammar, booleans as true and false, no exponents.
 */
#include <string.h>

#include "bounds.h"
#include "format.h"
#include "json.h"
#include "metafields.h"
#include "text.h"

static const struct {
    const char *name, *letter;
} resource_types[] = {{"order", "o"}, {"product", "p"}, {"customer", "c"}, {"store", "s"}};

const char *
metafield_letter(const char *resource_type)
{
    for (unsigned i = 0; i < ARRAY_COUNT(resource_types); i++)
        if (strcmp(resource_types[i].name, resource_type) == 0)
            return resource_types[i].letter;
    return NULL;
}

static bool
consists_of(const char *text, char further)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++)
        if (!(text[i] >= 'a' && text[i] <= 'z') && !(text[i] >= '0' && text[i] <= '9') && text[i] != further)
            return false;
    return len >= 1 && len <= METAFIELD_NAME_MAX;
}

const char *
metafield_namespace_error(const char *text)
{
    return consists_of(text, '-') ? NULL : "must be 1 to 64 characters of a-z, 0-9 and hyphen";
}

const char *
metafield_key_error(const char *text)
{
    return consists_of(text, '_') ? NULL : "must be 1 to 64 characters of a-z, 0-9 and underscore";
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static const char *
integer_error(struct str value)
{
    int64_t number;

    return text_is_number(value.base, value.len) && text_to_int(value.base, value.len, &number) == 0
               ? NULL
               : "must be a whole number of at most 64 bits, such as 42";
}

static const char *
decimal_error(struct str value)
{
    return value.len <= NUMBER_TEXT_MAX && text_is_number(value.base, value.len) &&
                   memchr(value.base, 'e', value.len) == NULL && memchr(value.base, 'E', value.len) == NULL
               ? NULL
               : "must be a decimal number of at most 64 characters without an exponent, such as 12.50";
}

static const char *
boolean_error(struct str value)
{
    return str_equal(value, str_of("true")) || str_equal(value, str_of("false")) ? NULL : "must be true or false";
}

static const char *
json_error(struct str value)
{
    char why[JSON_WHY_SIZE];
    struct buf target;
    int rc;

    buf_init(&target, WIRE_MESSAGE_MAX);
    rc = json_to_msgpack(value.base, value.len, &target, why);
    buf_free(&target);
    return rc ? "must be JSON: one value by RFC 8259, without duplicate fields" : NULL;
}

static const char *
date_error(struct str value)
{
    return format_error(FORMAT_DATE, value.base, value.len);
}

static const char *
datetime_error(struct str value)
{
    int64_t time_us;

    return value.len > 10 && text_to_time(value.base, value.len, &time_us) == 0
               ? NULL
               : "must be a time by RFC 3339 such as 2026-01-15T08:30:00Z";
}

static const char *
url_error(struct str value)
{
    if (value.len > 2048)
        return "must be a URL of at most 2048 characters";
    return format_error(FORMAT_URI, value.base, value.len);
}

static const char *
color_error(struct str value)
{
    bool good = value.len == 7 && value.base[0] == '#';

    for (size_t i = 1; good && i < value.len; i++)
        good = text_hex_digit(value.base[i]) >= 0;
    return good ? NULL : "must be a color such as #1a2b3c";
}

static const char *
string_error(struct str value)
{
    (void)value;
    return NULL;
}

static const struct {
    const char *name;
    const char *(*error)(struct str value);
} value_types[] = {
    {"string", string_error}, {"integer", integer_error},   {"decimal", decimal_error},
    {"json", json_error},     {"boolean", boolean_error},   {"date", date_error},
    {"url", url_error},       {"datetime", datetime_error}, {"color", color_error},
};

const char *
metafield_value_error(const char *value_type, struct str value)
{
    if (value.len > METAFIELD_VALUE_MAX)
        return "must be at most 65536 bytes";
    if (!text_is_utf8(value.base, value.len) || memchr(value.base, '\0', value.len) != NULL)
        return "must be UTF-8 text without NUL characters";
    for (unsigned i = 0; i < ARRAY_COUNT(value_types); i++)
        if (strcmp(value_types[i].name, value_type) == 0)
            return value_types[i].error(value);
    return "has a type that this platform does not know";
}

/* validate_parameter.c - path and query parameters: text that stands for a value of its schema.
 *
 * The text becomes the value that it stands for, and is then checked like any other.
 */
#include "json.h"
#include "text.h"
#include "token.h"
#include "validate.h"

static msgpack_object
text_object(struct str text)
{
    msgpack_object object = {.type = MSGPACK_OBJECT_STR};

    object.via.str.ptr = text.base;
    object.via.str.size = (uint32_t)text.len;
    return object;
}

/* The value that the text of a parameter stands for; the text itself when it stands for none of the schema's type. */
static msgpack_object
parameter_object(const struct schema *schema, struct str text)
{
    msgpack_object object = text_object(text);
    int64_t value;

    if (schema->type == SCHEMA_BOOLEAN && (str_is(text, "true") || str_is(text, "1"))) {
        object.type = MSGPACK_OBJECT_BOOLEAN;
        object.via.boolean = true;
    } else if (schema->type == SCHEMA_BOOLEAN && (str_is(text, "false") || str_is(text, "0"))) {
        object.type = MSGPACK_OBJECT_BOOLEAN;
        object.via.boolean = false;
    } else if (schema->type == SCHEMA_INTEGER && text_to_int(text.base, text.len, &value) == 0) {
        object.type = value < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER : MSGPACK_OBJECT_POSITIVE_INTEGER;
        object.via.i64 = value;
    } else if ((schema->type == SCHEMA_INTEGER || schema->type == SCHEMA_MONEY) &&
               text_is_number(text.base, text.len)) {
        object.type = MSGPACK_OBJECT_EXT;
        object.via.ext.type = EXT_NUMBER;
        object.via.ext.ptr = text.base;
        object.via.ext.size = (uint32_t)text.len;
    }
    return object;
}

/* The nearest allowed whole number; false when the text is none. */
static bool
clamp_integer(const struct schema *schema, struct str text, int64_t *value)
{
    size_t digits = text.len > 0 && text.base[0] == '-' ? 1 : 0;

    if (text_to_int(text.base, text.len, value) != 0) {
        if (text.len == digits)
            return false;
        for (size_t i = digits; i < text.len; i++)
            if (text.base[i] < '0' || text.base[i] > '9')
                return false;
        *value = digits > 0 ? INT64_MIN : INT64_MAX;
    }
    if (*value < schema->min)
        *value = schema->min;
    if (*value > schema->max)
        *value = schema->max;
    return true;
}

/* Appends the value of the text; when it is wrong, notes the error and appends nothing. Parameters are scalars. */
static bool
append_parameter(struct validation *self, const struct parameter *parameter, struct str text, struct buf *target)
{
    msgpack_object object = parameter_object(parameter->schema, text);
    size_t size = target->size;
    unsigned count = self->count;

    validate_value(self, parameter->schema, (struct in){&object, self->arena}, parameter->name, target);
    return self->count == count && target->size > size;
}

bool
validate_parameter(struct validation *self, const struct parameter *parameter, const char *text, size_t len,
                   struct buf *target)
{
    struct str given = {text, text != NULL ? len : 0};
    unsigned count = self->count;
    int64_t value;

    /* "?status=" is how forms say that nothing was chosen. */
    if (given.len > 0) {
        if (parameter->clamp && parameter->schema->type == SCHEMA_INTEGER &&
            clamp_integer(parameter->schema, given, &value)) {
            msgpack_packer packer = token_packer(target);

            msgpack_pack_int64(&packer, value);
            return true;
        }
        if (append_parameter(self, parameter, given, target))
            return true;
        if (!parameter->clamp)
            return false;
        self->count = count; /* a bad value is forgiven: as if it had not been sent */
    }
    if (parameter->otherwise != NULL)
        return append_parameter(self, parameter, str_of(parameter->otherwise), target);
    if (parameter->required)
        validation_add(self, parameter->name, "is required");
    return false;
}

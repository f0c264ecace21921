/* form.c - "name=value&name=value" in a body: the same text as a query string, so it is read by the same reader, and
 * each field is checked as a parameter of its schema. */
#include "form.h"

#include <string.h>
#include <strings.h>

#include "query.h"
#include "token.h"

bool
form_type_is(const struct request *self, const char *type)
{
    struct str header = self->headers[HEADER_CONTENT_TYPE];
    size_t len = 0;

    while (len < header.len && header.base[len] != ';')
        len++;
    while (len > 0 && (header.base[len - 1] == ' ' || header.base[len - 1] == '\t'))
        len--;
    return header.base && len == strlen(type) && strncasecmp(header.base, type, len) == 0;
}

bool
form_is(const struct request *self)
{
    return form_type_is(self, "application/x-www-form-urlencoded");
}

static bool
is_known(const struct schema *schema, struct str name)
{
    for (unsigned i = 0; i < schema->field_count; i++) {
        if (str_is(name, schema->fields[i].name))
            return true;
    }
    return false;
}

/* Appends name and value, or nothing. */
static bool
pack_field(const struct field *field, const struct query *query, struct validation *validation, struct buf *target)
{
    const struct parameter parameter = {
        .name = field->name, .schema = field->schema, .place = PLACE_QUERY, .required = field->required};
    msgpack_packer packer = token_packer(target);
    size_t before = target->size;
    const struct query_value *found;
    bool twice;

    found = query_find(query, field->name, &twice);
    if (twice) {
        validation_add(validation, field->name, "is given twice");
        return false;
    }
    if (found && !found->good) {
        validation_add(validation, field->name, "is not UTF-8, or not percent-encoded correctly");
        return false;
    }
    msgpack_pack_str(&packer, strlen(field->name));
    msgpack_pack_str_body(&packer, field->name, strlen(field->name));
    if (validate_parameter(validation, &parameter, found ? found->value.base : NULL, found ? found->value.len : 0,
                           target))
        return true;
    target->size = before;
    return false;
}

void
form_pack(struct request *self, struct arena *arena, struct validation *validation, struct buf *target)
{
    const struct schema *schema = self->operation->body;
    struct query *query = arena_alloc(arena, sizeof *query);
    struct str text = {self->body.data ? self->body.data : "", self->body.size};
    size_t place = target->size;
    unsigned count = 0;

    if (query_read(query, text, arena) != 0)
        validation_add(validation, "body", "has more than %d fields", QUERY_PARAMETERS_MAX);
    buf_append(target, "\xde\0\0", 3); /* a map of as many members as will have been written */
    for (unsigned i = 0; i < schema->field_count; i++)
        count += pack_field(&schema->fields[i], query, validation, target);
    for (unsigned i = 0; i < query->count && schema->strict; i++) {
        if (!is_known(schema, query->values[i].name))
            validation_add(validation, "body", "has a field that is not known");
    }
    if (buf_failed(target))
        return;
    target->data[place + 1] = (char)(count >> 8);
    target->data[place + 2] = (char)count;
}

/* scopes.c - the scopes an app can ask for (proto/common.json documents them). Their place in the list is their bit,
 * and only in memory: the database holds their names. */
#include "scopes.h"

#include <string.h>

#include "auth_operations.h"

static const char *const names[] = {
    "read:orders",     "write:orders",    "read:products",    "write:products", "read:customers",
    "write:customers", "read:inventory",  "write:inventory",  "read:discounts", "write:discounts",
    "read:shipping",   "write:shipping",  "read:store",       "write:store",    "read:analytics",
    "write:analytics", "read:metafields", "write:metafields", "billing",
};

/* In the order of the names. */
static const char *const meanings[] = {
    "See your orders",
    "Create and change orders, and their status",
    "See your products",
    "Create, change and delete products",
    "See your customers and how to reach them",
    "Create, change and delete customers",
    "See stock levels",
    "Change stock levels",
    "See discounts",
    "Create, change and delete discounts",
    "See shipping zones and rates",
    "Create, change and delete shipping zones",
    "See your store's profile",
    "Change your store's profile",
    "See your sales figures",
    "Add events to your analytics",
    "See its own custom fields",
    "Create, change and delete its own custom fields",
    "Ask you for payments and use its wallet; each charge needs your approval",
};
_Static_assert(ARRAY_COUNT(meanings) == ARRAY_COUNT(names), "each scope has a meaning");

const char *
scope_meaning(unsigned index)
{
    return index < ARRAY_COUNT(meanings) ? meanings[index] : NULL;
}

int
scopes_list(struct call *call)
{
    call_data(call);
    out_list(&call->out, ARRAY_COUNT(names));
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
        out_map(&call->out, 2);
        out_key_text(&call->out, "scope", names[i]);
        out_key_text(&call->out, "description", meanings[i]);
    }
    return call_reply(call, 200);
}

static bool
is_spelling_of(struct str text, const char *name)
{
    size_t len = strlen(name);

    if (text.len != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text.base[i] != name[i] && !(name[i] == ':' && text.base[i] == '_'))
            return false;
    return true;
}

static int
add_one(uint32_t *set, struct str text)
{
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
        if (is_spelling_of(text, names[i])) {
            *set |= UINT32_C(1) << i;
            return 0;
        }
    return -1;
}

int
scopes_add(uint32_t *set, struct str text)
{
    size_t start = 0;

    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.base[i] != ' ' && text.base[i] != ',')
            continue;
        if (i > start && add_one(set, (struct str){text.base + start, i - start}))
            return -1;
        start = i + 1;
    }
    return 0;
}

char *
scopes_text(struct arena *arena, uint32_t set)
{
    const char *text = "";

    for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
        if (set & UINT32_C(1) << i)
            text = arena_printf(arena, "%s%s%s", text, *text ? " " : "", names[i]);
    return arena_strdup(arena, text);
}

void
scopes_write(struct out *out, const char *text)
{
    unsigned count = *text != '\0';

    for (const char *place = text; *place; place++)
        count += *place == ' ';
    out_list(out, count);
    while (*text) {
        size_t len = strcspn(text, " ");

        out_str(out, (struct str){text, len});
        text += len + (text[len] == ' ');
    }
}

int
scopes_of_request(struct call *call, const char *path, const char *field, uint32_t *set)
{
    struct in list = in_at(call->in, path);

    *set = 0;
    for (unsigned i = 0; i < in_count(list, ""); i++)
        if (scopes_add(set, in_str(in_item(list, i), "")))
            return call_fail(call, FAIL_VALIDATION_ERROR, arena_printf(call->arena, "%s[%u]", field, i),
                             "is no scope; the contract document lists them, as read:orders");
    if (*set == 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, field, "must name at least one scope");
    return 0;
}

/* metafield_definitions.c - what an app says it will keep: made once, then it holds in all stores of the app.
 *
 * A definition is unique by namespace and key in its app, whatever it is about (contract A.2, J 28).
 */
#include "bounds.h"
#include "clock.h"
#include "list.h"
#include "metafields.h"
#include "statements.h"
#include "store_data_operations.h"

static const struct list_sort sorts[LIST_SORTS] = {{"name", "_name", "", ""}};

int
metafields_definitions_list(struct call *call)
{
    const char *type = in_text(call->in, "query.resource_type"), *letter = type ? metafield_letter(type) : "";
    struct list list = {.sorts = sorts, .id_column = "definition_id"};
    int64_t app_id = call->caller.app_id;
    struct rows rows;

    if (list_read(&list, call, "name:asc", letter) ||
        db_run(call, METAFIELD_DEFINITIONS, &rows, "lsllsl", app_id, letter, list_wanted(&list), list_offset(&list),
               list_key(&list), list_id(&list)))
        return -1;
    list_write(&list, call, &rows, 0);
    return call_reply(call, 200);
}

int
metafields_definitions_get(struct call *call)
{
    struct rows rows;

    if (db_run(call, METAFIELD_DEFINITION_GET, &rows, "ll", call->caller.app_id,
               in_int(call->in, "path.definition_id", 0)))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "definition_id", "Your app has no such definition");
    return call_reply_row(call, 200, &rows, 0);
}

/* Why no row was made: it is there already, or there are too many. */
static int
refuse(struct call *call, const char *namespace, const char *key)
{
    struct rows rows;

    if (db_run(call, METAFIELD_DEFINITION_FIND, &rows, "lss", call->caller.app_id, namespace, key))
        return -1;
    if (rows.count > 0)
        return call_failf(call, FAIL_DUPLICATE_DEFINITION, "key", "Your app has defined %s.%s already", namespace, key);
    return call_failf(call, FAIL_VALIDATION_ERROR, "key",
                      "an app has at most %d definitions; delete one that it does not need", METAFIELD_DEFINITIONS_MAX);
}

int
metafields_definitions_create(struct call *call)
{
    struct in body = in_at(call->in, "body");
    const char *namespace = in_text(body, "namespace"), *key = in_text(body, "key"), *name = in_text(body, "name");
    const char *value_type = in_text(body, "value_type"), *why = metafield_namespace_error(namespace);
    int64_t app_id = call->caller.app_id;
    struct rows rows;

    if (why)
        return call_fail(call, FAIL_VALIDATION_ERROR, "namespace", why);
    if ((why = metafield_key_error(key)))
        return call_fail(call, FAIL_VALIDATION_ERROR, "key", why);
    if (db_begin(call) || db_post(call, METAFIELD_APP_LOCK, "l", app_id) ||
        db_run(call, METAFIELD_DEFINITION_INSERT, &rows, "lsssssstl", app_id, namespace, key, name ? name : key,
               in_text(body, "description"), metafield_letter(in_text(body, "resource_type")),
               value_type ? value_type : "string", clock_now_us(), (int64_t)METAFIELD_DEFINITIONS_MAX))
        return -1;
    if (rows.count == 0)
        return refuse(call, namespace, key);
    if (db_commit(call))
        return -1;
    return call_reply_resource(call, 201, &rows);
}

int
metafields_definitions_delete(struct call *call)
{
    int64_t app_id = call->caller.app_id, definition_id = in_int(call->in, "path.definition_id", 0);
    struct rows rows;

    if (db_begin(call) || db_run(call, METAFIELD_DEFINITION_LOCK, &rows, "ll", app_id, definition_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "definition_id", "Your app has no such definition");
    if ((call_has_if_match(call) && call_if_match(call, &rows)) ||
        db_post(call, METAFIELD_DEFINITION_MARK, "llt", app_id, definition_id, clock_now_us()) || db_commit(call))
        return -1;
    actor_wake(metafield_removal_plan.name);
    return call_reply_deleted(call, "definition_id", definition_id, "Definition deleted");
}

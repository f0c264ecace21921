/* versions.c - a developer looks at what was submitted of an app, and what each version has changed. */
#include "app.h"
#include "developer_apps_operations.h"
#include "items.h"
#include "statements.h"

int
versions_list(struct call *call)
{
    struct items page = {.id_column = "version"};
    struct rows rows;
    struct app app;

    items_begin(&page, call);
    if (app_read(call, &app) || db_run(call, VERSIONS_PAGE, &rows, "lll", in_int(call->in, "path.app_id", 0),
                                       items_wanted(&page), items_offset(&page)))
        return -1;
    call_message(call, "Versions fetched");
    return items_reply(&page, call, &rows);
}

int
versions_get(struct call *call)
{
    int64_t against = in_int(call->in, "query.against", 0);
    struct rows rows;
    struct app app;

    if (app_read(call, &app) || db_run(call, VERSION_SHOW, &rows, "llL", in_int(call->in, "path.app_id", 0),
                                       in_int(call->in, "path.version", 0), against ? &against : NULL))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "version", "The app has no such version; its list names those it has");
    if (against && rows_is_null(&rows, 0, "against"))
        return call_fail(call, FAIL_VALIDATION_ERROR, "against",
                         "is no version of the app; its list names those it has");
    call_message(call, "Version fetched");
    return call_reply_row(call, 200, &rows, 0);
}

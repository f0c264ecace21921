/* settings.c - the same fields as the profile's, by category (contract A.5 rows 88-93). */
#include "app.h"
#include "developer_apps_operations.h"
#include "statements.h"

/* group NULL: all of them. */
static int
reply_settings(struct call *call, const struct app *app, const char *group, const char *message)
{
    struct rows rows;

    if (db_run(call, SETTINGS_SHOW, &rows, "js", app->of_auth, group))
        return -1;
    return app_reply_shown(call, message, &rows);
}

static int
change_group(struct call *call, const char *group)
{
    struct app app;

    return app_change(call, &app) ? -1 : reply_settings(call, &app, group, "Settings updated");
}

int
settings_get(struct call *call)
{
    struct app app;

    return app_read(call, &app) ? -1 : reply_settings(call, &app, NULL, "Settings fetched");
}

int
settings_oauth(struct call *call)
{
    return change_group(call, "oauth");
}

int
settings_webhooks(struct call *call)
{
    return change_group(call, "webhooks");
}

int
settings_embed(struct call *call)
{
    return change_group(call, "embed");
}

int
settings_billing(struct call *call)
{
    return change_group(call, "billing");
}

int
settings_developer(struct call *call)
{
    return change_group(call, "developer");
}

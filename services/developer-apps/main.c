/* main.c - developer-apps: how developers make, describe, publish and look after their apps (contract A.5).
 *
 * Reading order: schema/001_init.sql (what is kept, and what is not: the app as a client is auth's), app.c (who gets
 * which field), apps.c with completion.c (how an app comes to be in several services at once), settings.c, switches.c,
 * manifest.c (all of it at once), overview.c (what is gathered from all the others), market.c (what merchants find),
 * reviews.c with versions.c.
 */
#include "completion.h"
#include "developer_apps_operations.h"
#include "outbox_publish.h"
#include "reviews.h"
#include "service.h"
#include "statements.h"

static const char *const statements[] = {
#define QUERY(name, sql) [name] = NAMED_SQL(name, sql),
#include "queries.h"
#undef QUERY
};

int
main(int argc, char **argv)
{
    const struct actor_plan actors[] = {completion_plan, decisions_plan, outbox_plan};
    const struct service self = {
        .name = "developer-apps",
        .handlers = developer_apps_handlers,
        .handler_count = developer_apps_handler_count,
        .statements = statements,
        .statement_count = STATEMENT_COUNT,
        .migrations = developer_apps_migrations,
        .migration_count = developer_apps_migration_count,
        .actors = actors,
        .actor_count = ARRAY_COUNT(actors),
    };

    return service_main(argc, argv, &self);
}

/* main.c - webhooks: events of all services, kept as a log and delivered to whoever subscribed to them.
 *
 * Reading order: schema/001_init.sql (what is kept), intake.c with queries_intake.h (how events come in),
 * installations.c (how an uninstall ends them), subscriptions.c (the app's routes), deliver.c with delivery.h (how
 * events go out), history.c and replays.c (what went out, and once more), people.c (developers' and merchants' routes),
 * overview.c (an app's figures), redaction.c (how people are forgotten).
 */
#include "deliver.h"
#include "redaction.h"
#include "replay.h"
#include "retention.h"
#include "service.h"
#include "statements.h"
#include "subscription.h"
#include "webhooks_operations.h"

static const char *const statements[] = {
#define QUERY(name, sql) [name] = NAMED_SQL(name, sql),
#include "queries.h"
#undef QUERY
};

/* Every column that holds what secret_seal wrote. */
static const struct sealed_column sealed[] = {
    {SECRET_LABEL, SECRETS_TO_RESEAL, SECRET_RESEAL},
    {SECRET_LABEL, OLD_SECRETS_TO_RESEAL, OLD_SECRET_RESEAL},
};

int
main(int argc, char **argv)
{
    const struct actor_plan actors[] = {deliver_plan, redaction_plan, replay_plan, retention_plan};
    const struct service self = {
        .name = "webhooks",
        .handlers = webhooks_handlers,
        .handler_count = webhooks_handler_count,
        .statements = statements,
        .statement_count = STATEMENT_COUNT,
        .migrations = webhooks_migrations,
        .migration_count = webhooks_migration_count,
        .sealed = sealed,
        .sealed_count = ARRAY_COUNT(sealed),
        .actors = actors,
        .actor_count = ARRAY_COUNT(actors),
    };

    return service_main(argc, argv, &self);
}

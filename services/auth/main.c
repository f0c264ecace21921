/* main.c - auth: accounts, sessions, stores, apps as clients, installations, tokens, and who is behind a credential.
 *
 * Reading order: identity.c (what each request of the platform asks), invalidation.c (how something is taken back so
 * that no gateway accepts it any more), then the rows themselves: tokens.c, installations.c, apps.c, stores.c,
 * accounts.c, sessions.c with login.c.
 */
#include "auth_operations.h"
#include "statements.h"

static const char *const statements[] = {
#define QUERY(name, sql) [name] = (sql),
#include "queries.h"
#undef QUERY
};

int
main(int argc, char **argv)
{
    const struct service self = {
        .name = "auth",
        .handlers = auth_handlers,
        .handler_count = auth_handler_count,
        .statements = statements,
        .statement_count = STATEMENT_COUNT,
        .migrations = auth_migrations,
        .migration_count = auth_migration_count,
        .aside = "auth-aside",
    };

    return service_main(argc, argv, &self);
}

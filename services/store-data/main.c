/* main.c - store-data: what a store owns, its profile, catalogue, customers and orders.
 *
 * Reading order: orders_read.c (a handler, and how a list chooses its statement), list.c (paging), queries.h with
 * sql_lists.h (the statements), orders_create.c with order_lines.c (stock and totals), orders_update.c,
 * orders_status.c. orders_filter.c with queries_order_filters.h: how a search finds what drives it. metafield_values.c.
 */
#include "analytics.h"
#include "bulk.h"
#include "metafields.h"
#include "outbox_publish.h"
#include "redaction.h"
#include "statements.h"
#include "store_data_operations.h"

static const char *const statements[] = {
#define QUERY(name, sql) [name] = NAMED_SQL(name, sql),
#include "queries.h"
#undef QUERY
};

int
main(int argc, char **argv)
{
    struct actor_plan actors[BULK_LANES + 4];
    struct service self = {
        .name = "store-data",
        .handlers = store_data_handlers,
        .handler_count = store_data_handler_count,
        .statements = statements,
        .statement_count = STATEMENT_COUNT,
        .migrations = store_data_migrations,
        .migration_count = store_data_migration_count,
        .actors = actors,
        .actor_count = ARRAY_COUNT(actors),
    };

    for (unsigned i = 0; i < BULK_LANES; i++)
        actors[i] = bulk_plans[i];
    actors[BULK_LANES] = redaction_plan;
    actors[BULK_LANES + 1] = metafield_removal_plan;
    actors[BULK_LANES + 2] = event_trim_plan;
    actors[BULK_LANES + 3] = outbox_plan;
    return service_main(argc, argv, &self);
}

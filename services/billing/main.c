/* main.c - billing: what apps charge, what merchants pay, and the ledger.
 *
 * Reading order: schema/001_init.sql (what is kept), fees.c (how a payment is split), ledger.c with ledger_hash.c and
 * ledger_seal.c (where each amount goes, and why nobody can change it), charge.h and terms.c, charges.c, payments.c
 * (what becomes of a charge), wallets.c, subscription_life.c with period.c (what comes back), usage.c with usage_bill.c
 * (what is counted), schedule.c (what time brings) with store_clock.c; merchant.c and approval_page.c (who approves),
 * checkouts.c with provider.h and both providers (how it is paid), refunds.c, owed.c (what came too late); developer.c
 * and payouts.c (what developers get of it); installations.c (how it ends).
 */
#include "billing_operations.h"
#include "checkout.h"
#include "ledger_seal.h"
#include "outbox_publish.h"
#include "schedule.h"
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
    const struct actor_plan actors[] = {checkout_plan, ledger_seal_plan, outbox_plan, schedule_plan};
    const struct service self = {
        .name = "billing",
        .handlers = billing_handlers,
        .handler_count = billing_handler_count,
        .statements = statements,
        .statement_count = STATEMENT_COUNT,
        .migrations = billing_migrations,
        .migration_count = billing_migration_count,
        .aside = "billing-aside", /* a payment provider that hangs holds up nobody else */
        .actors = actors,
        .actor_count = ARRAY_COUNT(actors),
    };

    return service_main(argc, argv, &self);
}

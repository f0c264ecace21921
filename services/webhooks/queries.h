/* queries.h - all SQL of webhooks: QUERY(NAME, "statement"), prepared at connect. Included twice on purpose:
 * statements.h makes the enum of it, main.c the array.
 */
#include "reseal_sql.h"

/* s, a subscription, is one of those that $2 names, as subscription_owner makes it. */
#define SUBSCRIPTION_OF                                                                                                \
    "$2::text in ('installation ' || s.installation_id || ' ' || s.generation, 'app ' || s.app_id, case when "         \
    "s.made_by = 'merchant' then 'store ' || s.store_id end)"

/* The table of that day's deliveries is there: retention may have dropped it while one of them was still under way. */
#define DAY_IS_KEPT "to_regclass('webhooks.delivery_' || to_char(event_at at time zone 'UTC', 'YYYYMMDD')) is not null"

#include "queries_deliver.h"
#include "queries_history.h"
#include "queries_intake.h"
#include "queries_overview.h"
#include "queries_redaction.h"
#include "queries_replays.h"
#include "queries_subscriptions.h"

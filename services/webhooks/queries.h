/* queries.h - all SQL of webhooks: QUERY(NAME, "statement"), prepared at connect. Included twice on purpose:
 * statements.h makes the enum of it, main.c the array.
 */
#include "reseal_sql.h"

#include "queries_deliver.h"
#include "queries_history.h"
#include "queries_intake.h"
#include "queries_subscriptions.h"

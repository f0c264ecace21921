/* queries.h - all SQL of billing: QUERY(NAME, "statement"), prepared at connect. Included twice on purpose:
 * statements.h makes the enum of it, main.c the array.
 */
#include "queries_charges.h"
#include "queries_ledger.h"
#include "queries_merchant.h"
#include "queries_payouts.h"
#include "queries_schedule.h"
#include "queries_subscriptions.h"
#include "queries_usage.h"
#include "queries_wallets.h"

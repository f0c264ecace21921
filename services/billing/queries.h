/* queries.h - all SQL of billing: QUERY(NAME, "statement"), prepared at connect. Included twice on purpose:
 * statements.h makes the enum of it, main.c the array.
 */
#include "queries_charges.h"
#include "queries_ledger.h"
#include "queries_wallets.h"

/* statements.h - the names of this service's SQL statements, from the one list in queries.h.
 *
 * Locks, in this order everywhere: installation, charge, checkout, subscription, the charge that was its latest payment
 * until now, usage_bill, payout, developer_balance, wallet. The ledger's rows are only inserted.
 */
#ifndef STATEMENTS_H
#define STATEMENTS_H

enum statement {
#define QUERY(name, sql) name,
#include "queries.h"
#undef QUERY
    STATEMENT_COUNT
};

#endif

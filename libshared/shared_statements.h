/* shared_statements.h - names of the statements in shared_queries.h, for db_run and its kin. */
#ifndef SHARED_STATEMENTS_H
#define SHARED_STATEMENTS_H

/* Far above any service's own statements, which are numbered from 0. */
#define SHARED_STATEMENT_BASE 0x1000

enum shared_statement {
    SHARED_STATEMENT_BEFORE = SHARED_STATEMENT_BASE - 1,
#define QUERY(name, sql) name,
#include "shared_queries.h"
#undef QUERY
    SHARED_STATEMENT_END
};

#define SHARED_STATEMENT_COUNT (SHARED_STATEMENT_END - SHARED_STATEMENT_BASE)

#endif

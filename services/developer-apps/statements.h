/* statements.h - the names of this service's SQL statements, from the one list in queries.h. */
#ifndef STATEMENTS_H
#define STATEMENTS_H

enum statement {
#define QUERY(name, sql) name,
#include "queries.h"
#undef QUERY
    STATEMENT_COUNT
};

#endif

/* statements.h - the name of every statement of store-data, as db.h takes it. */
#ifndef STATEMENTS_H
#define STATEMENTS_H

enum statement {
#define QUERY(name, sql) name,
#include "queries.h"
#undef QUERY
    STATEMENT_COUNT
};

#endif

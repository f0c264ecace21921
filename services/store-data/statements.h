/* statements.h - the name of every statement of store-data, as db.h takes it.
 *
 * What a transaction locks, it locks in this order, and rows of one kind in the order of their ids (keys), so that
 * transactions wait for each other in a row and never in a ring:
 *
 *     a customer         whom an order is for, or who is changed, deleted, erased
 *     an order           that changes; what it holds is released or replaced below it
 *     products, then their variants (sku); categories are held beside them (who locks one to delete it locks no
 * product) a discount's code, which also guards its uses product_stock      by the triggers of sku and product
 *     store_serial       late, because all orders of a store wait for each other from there to the commit
 *     kept counts, figures and totals, by the triggers of the rows written (schema/), each in the order of its key
 *     the outbox's rows, which wait for nobody
 *
 * Who does several such things in one transaction (bulk_batch.c) may still meet another in a ring; db.h has the loser
 * begin again. Advisory locks (shipping, slugs, definitions of an app) come first of all.
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

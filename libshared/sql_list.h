/* sql_list.h - a list as PostgreSQL writes it, {"a",NULL,7}: the parameter of a statement that takes many rows at once.
 *
 *     sql_list_begin(&amounts);
 *     for (...) sql_list_int(&amounts, amount);
 *     db_run(call, STATEMENT, &rows, "s", sql_list_end(&amounts, call->arena));   -- unnest($1::bigint[])
 *
 * Values may be anything that came in a request: they are quoted. Every list that is begun is ended.
 */
#ifndef SQL_LIST_H
#define SQL_LIST_H

#include "arena.h"
#include "buf.h"

struct sql_list {
    struct buf buf;
};

void sql_list_begin(struct sql_list *self);
void sql_list_int(struct sql_list *self, int64_t value);
void sql_list_str(struct sql_list *self, struct str text);                 /* absent is null */
void sql_list_bytes(struct sql_list *self, const void *data, size_t size); /* of bytea; NULL is null */

/* The text, in the arena; self needs nothing more. */
const char *sql_list_end(struct sql_list *self, struct arena *arena);

#endif

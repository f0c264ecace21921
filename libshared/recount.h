/* recount.h - the answer of an operation that compares kept counts with a recount (protocols 12).
 *
 *     if (db_run(call, APP_COUNTS_VERIFY, &rows, "l", app_id))
 *         return -1;
 *     return recount_reply(call, &rows);
 *
 * The statement answers those that differ: count, kept, counted. Nothing is changed.
 */
#ifndef RECOUNT_H
#define RECOUNT_H

#include "call.h"
#include "db.h"

int recount_reply(struct call *call, const struct rows *differences) must_check;

#endif

/* app_counts.h - what services answer of the counts that they keep of an app (protocols 12).
 *
 *     if (db_run(call, APP_COUNTS_VERIFY, &rows, "l", app_id))
 *         return -1;
 *     return app_counts_reply_recount(call, &rows);
 */
#ifndef APP_COUNTS_H
#define APP_COUNTS_H

#include "call.h"
#include "db.h"

/* This service's part of an overview: the row of counts, and the row of what came last; none: null. */
int app_counts_reply(struct call *call, const struct rows *counts, const struct rows *latest) must_check;

/* Kept counts against a recount: rows of those that differ, as count, kept, counted. Nothing is changed. */
int app_counts_reply_recount(struct call *call, const struct rows *differences) must_check;

#endif

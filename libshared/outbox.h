/* outbox.h - events, written in the transaction of the change that caused them (decision 11, protocols 7).
 *
 * Call it after the resource's row has been locked in the same transaction: then per resource the rows' order is the
 * order of the commits. Each service's schema has the table `outbox`, and outbox_publish.h takes its rows out.
 */
#ifndef OUTBOX_H
#define OUTBOX_H

#include "call.h"

/* Inside a transaction. -1 with the error recorded; a row that PostgreSQL refuses makes the commit fail.
 * data: the event's `data` object as JSON text (built by PostgreSQL or out.h). topic as in contract D.1. */
int outbox_put(struct call *call, const char *topic, int64_t store_id, const char *resource_type, int64_t resource_id,
               struct str data) must_check;

/* For db_after_commit, where a statement of the service's own writes to the outbox: the rows go out at once. */
void outbox_wake(void);

#endif

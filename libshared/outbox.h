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

/* What somebody did to whom (contract K.6): a row of the audit log, which is auth's. Inside a transaction, as an event,
 * and kept there once however often it is sent. action as in "charge.approved"; target is the kind of thing target_id
 * is. account_id is 0 for the caller's own; store_id and app_id are 0 where they do not apply. Never put a secret into
 * any of them. */
struct deed {
    const char *action, *target;
    int64_t target_id, store_id, app_id, account_id;
};
int outbox_audit(struct call *call, const struct deed *self) must_check;

#define OUTBOX_AUDIT "auth.audit" /* the topic of such a row, which is no event */

/* For db_after_commit, where a statement of the service's own writes to the outbox: the rows go out at once. */
void outbox_wake(void);

#endif

/* invalidation.h - the end of every transaction that takes something back (protocols 5).
 *
 * A gateway may trust a cached identity for as long as its lease runs. A handler that revokes ends its transaction with
 * invalidation_commit instead of db_commit; when that has returned 0 and the handler answers, no gateway accepts what
 * was revoked, whether it is connected to this process, to another one, stopped, or about to start.
 */
#ifndef INVALIDATION_H
#define INVALIDATION_H

#include "call.h"

/* Notes the tag KIND:ID ("token", "installation", "app", "store", "account", "session") under the next version as the
 * last statement of the open transaction, commits, and waits until every gateway has applied it or can hold no lease
 * from before it (at most INVALIDATE_WAIT_MS). Call it also when the row was revoked already: an earlier call may have
 * committed without having answered. -1 with the error recorded: as db_commit, or outcome_unknown when it is committed
 * but not known to have reached every gateway. */
int invalidation_commit(struct call *call, const char *kind, int64_t id) must_check;

/* The answer {NAME: ID, "revoked": 1} of an operation that revokes. */
int invalidation_reply(struct call *call, const char *name, int64_t id) must_check;

#endif

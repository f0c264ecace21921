/* idempotency.h - the same key, the same answer (contract K.1, protocols 6).
 *
 * Used by the worker around handlers of operations marked x-idempotent, when the request carries a key. The transaction
 * is the worker's: lock, look up, handler, keep the answer, commit. Every service's schema has the table `idempotency`
 * (libshared/schema/000_shared.sql, built into the migrations of each service as its first file).
 */
#ifndef IDEMPOTENCY_H
#define IDEMPOTENCY_H

#include "call_batch.h"

enum idempotency_state {
    IDEMPOTENCY_NEW,      /* run the handler, then idempotency_keep */
    IDEMPOTENCY_REPLAYED, /* the kept answer is in the call; nothing to run */
    IDEMPOTENCY_FAILED,   /* the error is recorded: conflict, other request, no access any more, database */
};

/* Developers' routes ask other services, which no transaction may wait for. There the key is claimed before the handler
 * runs, in a transaction of its own: after IDEMPOTENCY_NEW none is open, and idempotency_settle must follow. A request
 * whose claim was never settled, because its process was lost, is answered with outcome_unknown: it is not done again.
 * A kept answer is given again only to who has still the role in the app that the route takes, and that of the making
 * of an app to its owner: auth is asked, as by the handler (developer_access.h). */
bool idempotency_claims(const struct call *call);

/* Keeps the answer, or gives the claim back when the handler failed and nothing was done. */
void idempotency_settle(struct call *call);

/* Begins the transaction, takes the key's lock and looks for its answer. After IDEMPOTENCY_NEW the transaction is open;
 * after IDEMPOTENCY_FAILED it may be, and the worker rolls it back. */
enum idempotency_state idempotency_begin(struct call *call);

/* Keeps the answer that stands in the call, if it is a 2xx, and commits. -1 with the error recorded. */
int idempotency_keep(struct call *call) must_check;

/* The same for a batch (call_batch.h), one statement for all keys, inside the transaction of its call. What is left in
 * the batch is new; who has ended, with the kept answer or an error, is not in it any more; who has the key of one that
 * is left is in `later`, to be asked again when that one's answer is committed or it has failed. -1: the batch's call
 * has failed. */
int idempotency_begin_all(struct call_batch *batch, struct call_batch *later) must_check;

/* Keeps the answers that stand in the calls; the commit is the worker's. */
int idempotency_keep_all(const struct call_batch *batch) must_check;

/* Deletes a batch of answers older than 24 h, as a call of its own; true when there may be more. */
bool idempotency_expire(struct call *call);

#endif

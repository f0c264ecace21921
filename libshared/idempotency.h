/* idempotency.h - the same key, the same answer (contract K.1, protocols 6).
 *
 * Used by the worker around handlers of operations marked x-idempotent, when the request carries a key. The transaction
 * is the worker's: lock, look up, handler, keep the answer, commit. Every service's schema has the table `idempotency`
 * (libshared/schema/000_shared.sql, built into the migrations of each service as its first file).
 */
#ifndef IDEMPOTENCY_H
#define IDEMPOTENCY_H

#include "call.h"

enum idempotency_state {
    IDEMPOTENCY_NEW,      /* run the handler, then idempotency_keep */
    IDEMPOTENCY_REPLAYED, /* the kept answer is in the call; nothing to run */
    IDEMPOTENCY_FAILED,   /* the error is recorded: conflict, other request, database */
};

enum idempotency_state idempotency_begin(struct call *call);
int idempotency_keep(struct call *call, int status) must_check; /* and commits */

/* Deletes a batch of answers older than 24 h; true when there may be more. */
bool idempotency_expire(struct call *call);

#endif

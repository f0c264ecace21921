/* call_batch.h - several calls of one operation by one app in one store, handled at once (x-batch; protocols 10).
 *
 * What they would wait for one after the other, the lock of a row and the disk, is waited for once. The worker has read
 * and checked each of them, has answered those whose Idempotency-Key has an answer, and has begun the transaction; it
 * keeps the answers and commits when the handler has returned 0.
 *
 *     int wallets_debit(struct call_batch *batch)
 *
 * decides the calls in their order. Each ends by call_reply or call_fail of its own, and one that fails has changed
 * nothing and does not touch the others. Statements are run with the batch's call, whose failure is that of all:
 * nothing was done then. A single call is a batch of one.
 */
#ifndef CALL_BATCH_H
#define CALL_BATCH_H

#include "call.h"

struct call_batch {
    struct call *call;     /* of the whole; its caller has the store and the app alone, its deadline is the latest */
    struct call **members; /* at most BATCH_MAX; their arena is the batch's */
    unsigned count;        /* 1 at least */
};

#endif

/* ledger_hash.h - the chain that makes the ledger tamper-evident.
 *
 * A block's hash is SHA-256 of the hash of the block before it (32 zero bytes before the first), the block's number and
 * each transfer of it in order, each a line of text:
 *
 *     block_id\n
 *     transfer_id|from_account|to_account|amount|reason|charge_id or 0|microseconds since 1970\n
 *
 * so that whoever has an export can check it with any tool. Pure: no clock, no database.
 */
#ifndef LEDGER_HASH_H
#define LEDGER_HASH_H

#include "buf.h"
#include "secret.h"

struct ledger_line {
    int64_t transfer_id, from_account, to_account, amount, charge_id, at_us;
    const char *reason;
};

/* text: an initialised buffer that is emptied and grows as the block needs. */
void ledger_hash_begin(struct buf *text, const uint8_t before[SHA256_SIZE], int64_t block_id);
void ledger_hash_add(struct buf *text, const struct ledger_line *line);
int ledger_hash_end(const struct buf *text, uint8_t hash[SHA256_SIZE]) must_check; /* -1: the buffer was too small */

#endif

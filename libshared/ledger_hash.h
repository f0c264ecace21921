/* ledger_hash.h - the chain that makes billing's ledger tamper-evident: written by billing, checked by `sxctl ledger`.
 *
 * A block's hash is SHA-256 of the hash of the block before it (32 zero bytes before the first) and of its text, so
 * that whoever has an export can check it with any tool:
 *
 *     B|block_id\n
 *     transfer_id|from|to|amount|reason|charge_id or 0|microseconds since 1970\n
 *
 * from and to are accounts: kind:app_id:store_id:currency, as "wallet:4:9:BDT" (services/billing/ledger.h). amount is
 * in the currency's smallest unit. Pure: no clock, no database.
 */
#ifndef LEDGER_HASH_H
#define LEDGER_HASH_H

#include "buf.h"
#include "secret.h"

struct ledger_line {
    int64_t transfer_id, amount, charge_id, at_us;
    struct str from, to, reason;
};

/* A block's text: emptied and begun, a line added. Failure is kept in the buffer (buf_failed). */
void ledger_text_begin(struct buf *text, int64_t block_id);
void ledger_text_add(struct buf *text, const struct ledger_line *line);

void ledger_hash(uint8_t hash[SHA256_SIZE], const uint8_t before[SHA256_SIZE], struct str text);

/* A transfer's line without its newline, read back. -1 when it is not what ledger_text_add writes: each number in its
 * one form, an amount above 0. The texts are borrowed from it. */
int ledger_line_read(struct ledger_line *line, struct str text) must_check;

#endif

/* ledger_hash.c - see ledger_hash.h. */
#include "ledger_hash.h"

#include <string.h>

#include "text.h"

static void
add_number(struct buf *text, int64_t number, char end)
{
    char digits[INT_TEXT_SIZE];

    buf_append(text, digits, text_from_int(digits, number));
    buf_append_byte(text, (uint8_t)end);
}

void
ledger_hash_begin(struct buf *text, const uint8_t before[SHA256_SIZE], int64_t block_id)
{
    buf_reset(text);
    buf_append(text, before, SHA256_SIZE);
    add_number(text, block_id, '\n');
}

void
ledger_hash_add(struct buf *text, const struct ledger_line *line)
{
    add_number(text, line->transfer_id, '|');
    add_number(text, line->from_account, '|');
    add_number(text, line->to_account, '|');
    add_number(text, line->amount, '|');
    buf_append(text, line->reason, strlen(line->reason));
    buf_append_byte(text, '|');
    add_number(text, line->charge_id, '|');
    add_number(text, line->at_us, '\n');
}

int
ledger_hash_end(const struct buf *text, uint8_t hash[SHA256_SIZE])
{
    if (buf_failed(text))
        return -1;
    secret_sha256(hash, text->data, text->size);
    return 0;
}

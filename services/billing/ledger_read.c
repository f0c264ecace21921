/* ledger_read.c - the ledger as text, for whoever checks it: `sxctl ledger export` and `verify`. */
#include "billing_operations.h"
#include "ledger_seal.h"
#include "statements.h"
#include "text.h"

#define BLOCKS_AT_ONCE   4
#define BALANCES_AT_ONCE 5000
#define TEXT_MAX         (4 * 1024 * 1024)

static void
end_block(struct buf *text, const struct rows *blocks, unsigned block)
{
    uint8_t hash[SHA256_SIZE];
    char hex[HEX_SIZE(SHA256_SIZE)];

    rows_bytes(blocks, block, "hash", hash, sizeof hash);
    secret_hex(hex, hash, sizeof hash);
    buf_append_text(text, "H|");
    buf_append_text(text, hex);
    buf_append_byte(text, '\n');
}

static void
write_blocks(struct buf *text, struct buf *part, const struct rows *blocks, const struct rows *lines)
{
    unsigned row = 0;

    for (unsigned block = 0; block < blocks->count; block++) {
        int64_t block_id = rows_int(blocks, block, "block_id");

        ledger_text_begin(part, block_id);
        for (; row < lines->count && rows_int(lines, row, "block_id") == block_id; row++) {
            struct ledger_line line = ledger_line_of(lines, row);

            ledger_text_add(part, &line);
        }
        buf_append(text, part->data, part->size);
        end_block(text, blocks, block);
    }
}

static int
reply_text(struct call *call, const struct buf *text, int64_t last, const char *count_name, int64_t count)
{
    out_key(&call->out, "text");
    out_str(&call->out, (struct str){text->size ? (const char *)text->data : "", text->size});
    out_key(&call->out, "last");
    out_int(&call->out, last);
    out_key(&call->out, count_name);
    out_int(&call->out, count);
    return call_reply(call, 200);
}

int
ledger_read(struct call *call)
{
    int64_t after = in_int(call->in, "body.after", 0), last = after, unsealed;
    struct rows blocks, lines = {0}, tail;
    struct buf text, part;
    int rc;

    if (db_run(call, LEDGER_BLOCKS, &blocks, "ll", after, (int64_t)BLOCKS_AT_ONCE) ||
        db_run(call, LEDGER_TAIL, &tail, ""))
        return -1;
    unsealed = rows_int(&tail, 0, "count");
    if (blocks.count) {
        last = rows_int(&blocks, blocks.count - 1, "block_id");
        if (db_run(call, LEDGER_LINES, &lines, "ll", rows_int(&blocks, 0, "block_id"), last))
            return -1;
    }
    buf_init(&text, TEXT_MAX);
    buf_init(&part, TEXT_MAX);
    write_blocks(&text, &part, &blocks, &lines);
    call_data(call);
    out_map(&call->out, 4);
    out_key(&call->out, "unsealed");
    out_int(&call->out, unsealed);
    rc = reply_text(call, &text, last, "blocks", blocks.count);
    buf_free(&text);
    buf_free(&part);
    return rc;
}

/* Lines W|account|balance of what a statement finds. */
static int
reply_balances(struct call *call, unsigned statement)
{
    int64_t last = in_int(call->in, "body.after", 0);
    char number[INT_TEXT_SIZE];
    struct rows rows;
    struct buf text;
    int rc;

    if (db_run(call, statement, &rows, "lll", in_int(call->in, "body.block", 0), last, (int64_t)BALANCES_AT_ONCE))
        return -1;
    buf_init(&text, TEXT_MAX);
    for (unsigned row = 0; row < rows.count; row++) {
        last = rows_int(&rows, row, "id");
        buf_append_text(&text, "W|");
        buf_append_text(&text, rows_text(&rows, row, "name"));
        buf_append_byte(&text, '|');
        buf_append(&text, number, text_from_int(number, rows_int(&rows, row, "balance")));
        buf_append_byte(&text, '\n');
    }
    call_data(call);
    out_map(&call->out, 3);
    rc = reply_text(call, &text, last, "balances", rows.count);
    buf_free(&text);
    return rc;
}

int
ledger_wallets(struct call *call)
{
    return reply_balances(call, LEDGER_WALLETS);
}

int
ledger_developers(struct call *call)
{
    return reply_balances(call, LEDGER_DEVELOPERS);
}

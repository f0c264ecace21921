/* ledger_seal.c - one block a turn. Off the path of payments, because a chain has one end for all of them to wait for.
 */
#include "ledger_seal.h"

#include "clock.h"
#include "statements.h"
#include "text.h"

#define BLOCK_TRANSFERS 1000
#define BLOCK_TEXT_MAX  (BLOCK_TRANSFERS * 256)
#define LOOK_MS         500

struct ledger_line
ledger_line_of(const struct rows *rows, unsigned row)
{
    return (struct ledger_line){
        .transfer_id = rows_int(rows, row, "transfer_id"),
        .from = str_of(rows_text(rows, row, "from_name")),
        .to = str_of(rows_text(rows, row, "to_name")),
        .amount = rows_int(rows, row, "amount"),
        .charge_id = rows_int(rows, row, "charge_id"),
        .at_us = rows_time(rows, row, "at"),
        .reason = str_of(rows_text(rows, row, "reason")),
    };
}

/* The transfers' ids as PostgreSQL writes an array. */
static const char *
hash_all(struct call *call, const struct rows *rows, const uint8_t before[SHA256_SIZE], int64_t block_id,
         uint8_t hash[SHA256_SIZE])
{
    char *ids = arena_alloc(call->arena, rows->count * INT_TEXT_SIZE + 3), *end = ids;
    struct buf text;
    bool fits;

    buf_init(&text, BLOCK_TEXT_MAX);
    ledger_text_begin(&text, block_id);
    *end++ = '{';
    for (unsigned row = 0; row < rows->count; row++) {
        struct ledger_line line = ledger_line_of(rows, row);

        ledger_text_add(&text, &line);
        if (row > 0)
            *end++ = ',';
        end += text_from_int(end, line.transfer_id);
    }
    *end++ = '}';
    *end = '\0';
    fits = !buf_failed(&text);
    if (fits)
        ledger_hash(hash, before, (struct str){text.data, text.size});
    buf_free(&text);
    return fits ? ids : NULL;
}

static int
take_turn(struct call *call)
{
    uint8_t before[SHA256_SIZE] = {0}, hash[SHA256_SIZE];
    struct rows last, rows, done;
    const char *ids;
    int64_t block_id = 1;

    if (db_begin(call) || db_run(call, BLOCK_LAST, &last, "") ||
        db_run(call, TRANSFERS_UNSEALED, &rows, "l", (int64_t)BLOCK_TRANSFERS))
        return -1;
    if (rows.count == 0)
        return db_commit(call) ? -1 : ACTOR_DONE;
    if (last.count) {
        block_id = rows_int(&last, 0, "block_id") + 1;
        rows_bytes(&last, 0, "hash", before, sizeof before);
    }
    ids = hash_all(call, &rows, before, block_id, hash);
    if (!ids)
        return call_fail(call, FAIL_INTERNAL_ERROR, NULL, "the block's text does not fit");
    if (db_run(call, BLOCK_INSERT, &done, "lsxt", block_id, ids, hash, sizeof hash, clock_now_us()))
        return -1;
    if (done.affected == 0)
        return call_fail(call, FAIL_INTERNAL_ERROR, NULL, "another process has sealed these transfers");
    return db_commit(call) ? -1 : rows.count == BLOCK_TRANSFERS ? ACTOR_AGAIN : ACTOR_DONE;
}

const struct actor_plan ledger_seal_plan = {
    .name = "ledger-seal", .turn = take_turn, .look_ms = LOOK_MS, .turn_ms = 5000};

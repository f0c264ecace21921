/* ledger_hash.c - see ledger_hash.h. */
#include "ledger_hash.h"

#include <string.h>

#include "text.h"

#define LINE_PARTS 7

static void
add_number(struct buf *text, int64_t number, char end)
{
    char digits[INT_TEXT_SIZE];

    buf_append(text, digits, text_from_int(digits, number));
    buf_append_byte(text, (uint8_t)end);
}

static void
add_text(struct buf *text, struct str part)
{
    buf_append(text, part.base, part.len);
    buf_append_byte(text, '|');
}

void
ledger_text_begin(struct buf *text, int64_t block_id)
{
    buf_reset(text);
    buf_append_text(text, "B|");
    add_number(text, block_id, '\n');
}

void
ledger_text_add(struct buf *text, const struct ledger_line *line)
{
    add_number(text, line->transfer_id, '|');
    add_text(text, line->from);
    add_text(text, line->to);
    add_number(text, line->amount, '|');
    add_text(text, line->reason);
    add_number(text, line->charge_id, '|');
    add_number(text, line->at_us, '\n');
}

void
ledger_hash(uint8_t hash[SHA256_SIZE], const uint8_t before[SHA256_SIZE], struct str text)
{
    struct buf whole;

    buf_init(&whole, SHA256_SIZE + text.len);
    buf_append(&whole, before, SHA256_SIZE);
    buf_append(&whole, text.base, text.len);
    secret_sha256(hash, whole.data, whole.size);
    buf_free(&whole);
}

/* 007 and -0 are other bytes than what was written. */
static int
read_number(struct str part, int64_t *number)
{
    char digits[INT_TEXT_SIZE];

    if (text_to_int(part.base, part.len, number))
        return -1;
    return text_from_int(digits, *number) == part.len && memcmp(digits, part.base, part.len) == 0 ? 0 : -1;
}

int
ledger_line_read(struct ledger_line *line, struct str text)
{
    struct str parts[LINE_PARTS];
    const char *at = text.base, *end = text.base + text.len;

    for (unsigned i = 0; i < LINE_PARTS; i++) {
        const char *bar = i + 1 < LINE_PARTS ? memchr(at, '|', (size_t)(end - at)) : end;

        if (!bar || bar == at)
            return -1;
        parts[i] = (struct str){at, (size_t)(bar - at)};
        at = bar + 1;
    }
    line->from = parts[1];
    line->to = parts[2];
    line->reason = parts[4];
    if (read_number(parts[0], &line->transfer_id) || read_number(parts[3], &line->amount) ||
        read_number(parts[5], &line->charge_id) || read_number(parts[6], &line->at_us))
        return -1;
    return line->amount > 0 ? 0 : -1;
}
